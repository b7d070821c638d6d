//! Handles: numbers that look like pointers, never used twice, so that a destroyed handle is known as such. Never dereferenced.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};

use crate::base::Level;
use crate::ffi::boundary::{Answer, Failure, guard};
use crate::ffi::callbacks::Callbacks;
use crate::ffi::delivery::Desk;
use crate::ffi::status::{VIXP2P_ERR_BAD_HANDLE, VIXP2P_ERR_FORKED, VIXP2P_ERR_POISONED, vixp2p_status};
use crate::ffi::subscribe::{Follower, vixp2p_subscription};
use crate::ffi::sys;
use crate::ffi::types::vixp2p_node;
use crate::node::{LastValues, Node};

/// What a handle stands for.
pub(super) struct Inner {
    pub(super) node: Node,
    pub(super) desk: Arc<Desk>,
    pub(super) callbacks: Callbacks,
    /// Whether the application takes events itself instead of a thread calling it.
    pub(super) polled: bool,
    /// The level asked for; what the node is told is `Off` while nobody takes log lines.
    pub(super) level: AtomicU8,
    pub(super) poisoned: AtomicBool,
    /// Held by whoever sets what applies records, and never while a program's function runs.
    pub(super) setup: Mutex<()>,
    /// The last value of each key, if that is what is kept.
    pub(super) values: OnceLock<LastValues>,
    /// The thread that calls back, once the node was started.
    pub(super) thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inner {
    /// A node that counts as alive until it is dropped.
    pub(super) fn new(node: Node, desk: Arc<Desk>, callbacks: Callbacks, polled: bool, level: Level) -> Arc<Inner> {
        LIVE.fetch_add(1, Ordering::Relaxed);
        let (level, poisoned, thread) = (AtomicU8::new(level as u8), AtomicBool::new(false), Mutex::new(None));
        Arc::new(Inner { node, desk, callbacks, polled, level, poisoned, setup: Mutex::default(), values: OnceLock::new(), thread })
    }

    pub(super) fn set_log_level(&self, level: Level) {
        self.level.store(level as u8, Ordering::Relaxed);
        self.renew_log_level();
    }

    /// Tells the node which lines are wanted: none without a log callback.
    pub(super) fn renew_log_level(&self) {
        let wanted = Level::from_number(self.level.load(Ordering::Relaxed)).unwrap_or(Level::Off);
        self.node.set_log_level(if self.callbacks.log.is_set() { wanted } else { Level::Off });
        // Those who take events and no lines ask for everything by the same level.
        self.node.tell_everything(wanted == Level::Trace);
    }
}

/// The handles of one process image. A forked child gets a new one, since the old one's lock may be held by a thread it lacks.
struct Slab {
    generation: u32,
    /// Handles below this belong to the parent process.
    floor: usize,
    /// The parent had nodes when it was forked: their threads are gone here, but not from the queues of the locks they waited for
    /// (parking_lot keeps those in one table per process), so that a node of this process could meet their remains.
    haunted: bool,
    nodes: RwLock<BTreeMap<usize, Arc<Inner>>>,
    followers: RwLock<BTreeMap<usize, Arc<Follower>>>,
}

static CURRENT: AtomicPtr<Slab> = AtomicPtr::new(std::ptr::null_mut());
static NEXT: AtomicUsize = AtomicUsize::new(1);
/// Nodes of this process that are not wholly gone.
static LIVE: AtomicUsize = AtomicUsize::new(0);
/// Handles are multiples of this, as addresses would be.
const STEP: usize = 16;

fn slab() -> &'static Slab {
    let generation = sys::generation();
    let current = CURRENT.load(Ordering::Acquire);
    // SAFETY: CURRENT is null or came from Box::into_raw below and is never freed.
    if let Some(slab) = unsafe { current.as_ref() }
        && slab.generation == generation
    {
        return slab;
    }
    let haunted = !current.is_null() && LIVE.load(Ordering::Relaxed) > 0;
    let fresh = Slab { generation, floor: NEXT.load(Ordering::Relaxed), haunted, nodes: RwLock::default(), followers: RwLock::default() };
    let fresh = Box::into_raw(Box::new(fresh));
    match CURRENT.compare_exchange(current, fresh, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: just made, and never freed from here on. What it replaces stays too: it is the parent's.
        Ok(_) => unsafe { &*fresh },
        Err(other) => {
            // SAFETY: fresh was not published; other was, and is never freed.
            unsafe {
                drop(Box::from_raw(fresh));
                &*other
            }
        }
    }
}

/// Refuses a node in the child of a process that had some.
pub(super) fn refuse_haunted() -> Answer<()> {
    if slab().haunted {
        let text = "this process was forked from one that had nodes; fork before creating any, or exec first";
        return Err(Failure::new(VIXP2P_ERR_FORKED, text));
    }
    Ok(())
}

/// Gives a new node its handle.
pub(super) fn insert(inner: Arc<Inner>) -> *mut vixp2p_node {
    let slab = slab();
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    slab.nodes.write().insert(id, inner);
    std::ptr::without_provenance_mut(id * STEP)
}

/// Ends a handle; what it stood for goes to the caller.
pub(super) fn remove(handle: *const vixp2p_node) -> Answer<Arc<Inner>> {
    let slab = slab();
    let id = known(slab, handle.cast(), "node")?;
    slab.nodes.write().remove(&id).ok_or_else(destroyed)
}

/// Gives a new subscription its handle.
pub(super) fn insert_follower(follower: Follower) -> *mut vixp2p_subscription {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    slab().followers.write().insert(id, Arc::new(follower));
    std::ptr::without_provenance_mut(id * STEP)
}

/// Ends a subscription's handle; what it stood for goes to the caller.
pub(super) fn remove_follower(handle: *const vixp2p_subscription) -> Answer<Arc<Follower>> {
    let slab = slab();
    let id = known(slab, handle.cast(), "subscription")?;
    slab.followers.write().remove(&id).ok_or_else(freed)
}

/// What a subscription's handle stands for.
pub(super) fn find_follower(handle: *const vixp2p_subscription) -> Answer<Arc<Follower>> {
    let slab = slab();
    let id = known(slab, handle.cast(), "subscription")?;
    slab.followers.read().get(&id).cloned().ok_or_else(freed)
}

fn freed() -> Failure {
    Failure::new(VIXP2P_ERR_BAD_HANDLE, "subscription was freed, or is none")
}

fn find(handle: *const vixp2p_node) -> Answer<Arc<Inner>> {
    let slab = slab();
    let id = known(slab, handle.cast(), "node")?;
    slab.nodes.read().get(&id).cloned().ok_or_else(destroyed)
}

fn destroyed() -> Failure {
    Failure::new(VIXP2P_ERR_BAD_HANDLE, "node was destroyed")
}

/// The number of a handle that was given out at some time in this process.
fn known(slab: &Slab, handle: *const c_void, what: &str) -> Answer<usize> {
    if handle.is_null() {
        return Err(Failure::new(VIXP2P_ERR_BAD_HANDLE, format!("{what} is NULL")));
    }
    let id = handle.addr() / STEP;
    if !handle.addr().is_multiple_of(STEP) || id >= NEXT.load(Ordering::Relaxed) {
        return Err(Failure::new(VIXP2P_ERR_BAD_HANDLE, format!("{what} is no handle of this library")));
    }
    if id < slab.floor {
        let text = format!("{what} belongs to the process this one was forked from; create a node of its own here");
        return Err(Failure::new(VIXP2P_ERR_FORKED, text));
    }
    Ok(id)
}

/// Runs the body of a function of a node that is alive and sound. A panic inside makes the node unusable.
pub(super) fn on_node(function: &str, handle: *const vixp2p_node, body: impl FnOnce(&Arc<Inner>) -> Answer) -> vixp2p_status {
    guard(function, || {
        let inner = find(handle)?;
        if inner.poisoned.load(Ordering::Relaxed) {
            return Err(Failure::new(VIXP2P_ERR_POISONED, "an earlier call failed inside the library; destroy the node"));
        }
        let _poison = PoisonOnPanic(&inner);
        body(&inner)
    })
}

struct PoisonOnPanic<'a>(&'a Inner);

impl Drop for PoisonOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poisoned.store(true, Ordering::Relaxed);
        }
    }
}

/// Gives a line to the log of every node. For the panic hook: takes no lock that it would have to wait for.
pub(super) fn tell_every_log(level: Level, text: &str) {
    // SAFETY: null or never freed.
    let Some(slab) = (unsafe { CURRENT.load(Ordering::Acquire).as_ref() }) else { return };
    let Some(nodes) = slab.nodes.try_read() else { return };
    for inner in nodes.values() {
        if level as u8 >= inner.level.load(Ordering::Relaxed) {
            inner.desk.write_line(level, text);
        }
    }
}
