//! An allocator that remembers which returned blocks still held a part of a watched secret.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Parts of a secret of this length count.
const PART: usize = 12;

struct Watch;

#[global_allocator]
static ALLOCATOR: Watch = Watch;

/// One test watches at a time.
static TURN: Mutex<()> = Mutex::new(());
static SECRETS: AtomicPtr<Vec<Vec<u8>>> = AtomicPtr::new(std::ptr::null_mut());
static FOUND: AtomicUsize = AtomicUsize::new(0);
/// Of the last block found: its length, and which part of which secret it began to hold.
static BLOCK: AtomicUsize = AtomicUsize::new(0);
static WHICH: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread is watched; the other tests' threads hold copies of their own.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// How many blocks came back during `work`, on this thread, with a part of a secret in them.
pub(crate) fn leaks(secrets: &[&[u8]], work: impl FnOnce()) -> usize {
    let turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let parts = secrets.iter().flat_map(|secret| secret.windows(PART)).map(<[u8]>::to_vec).collect();
    let parts: *mut Vec<Vec<u8>> = Box::into_raw(Box::new(parts));
    FOUND.store(0, Ordering::SeqCst);
    SECRETS.store(parts, Ordering::SeqCst);
    WATCHED.set(true);
    work();
    WATCHED.set(false);
    SECRETS.store(std::ptr::null_mut(), Ordering::SeqCst);
    // SAFETY: made above by into_raw, and nobody looks at it any more: only this thread did, while it was watched.
    drop(unsafe { Box::from_raw(parts) });
    let found = FOUND.load(Ordering::SeqCst);
    if found > 0 {
        let (block, mut part) = (BLOCK.load(Ordering::SeqCst), WHICH.load(Ordering::SeqCst));
        let mut holds = |secret: &[u8]| match part.checked_sub(secret.len() + 1 - PART) {
            Some(rest) => {
                part = rest;
                false
            }
            None => true,
        };
        println!("the last of {found}: a block of {block} bytes with a part of secret {:?}", secrets.iter().position(|s| holds(s)));
    }
    drop(turn);
    found
}

/// Looks at a block on its way back.
fn look(block: *const u8, length: usize) {
    if !WATCHED.try_with(Cell::get).unwrap_or(false) {
        return;
    }
    // SAFETY: set by `leaks` before this thread was watched, freed after.
    let Some(parts) = (unsafe { SECRETS.load(Ordering::SeqCst).as_ref() }) else { return };
    // SAFETY: the block is still allocated and has that length. Bytes nobody wrote are read as whatever they are; volatile, so that
    // the compiler neither guesses them nor drops the wiping before.
    let byte = |at: usize| unsafe { block.add(at).read_volatile() };
    let begins = |at: usize, part: &[u8]| part.iter().enumerate().all(|(i, wanted)| byte(at + i) == *wanted);
    if let Some(which) = (0..(length + 1).saturating_sub(PART)).find_map(|at| parts.iter().position(|part| begins(at, part))) {
        FOUND.fetch_add(1, Ordering::SeqCst);
        BLOCK.store(length, Ordering::SeqCst);
        WHICH.store(which, Ordering::SeqCst);
    }
}

// SAFETY: every call goes to the system's allocator with its own arguments.
unsafe impl GlobalAlloc for Watch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promised. Zeroed, so that no block begins with what the last owner left.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        look(block, layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(block, layout) }
    }
    // `realloc` is the default one: a new block, a copy, and the old one comes back as any other.
}
