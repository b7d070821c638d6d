//! The application's functions: what they look like, how they are kept, called and let go. Never called with a lock held.

use std::cell::Cell;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::ffi::boundary::{Failure, read_ref};
use crate::ffi::event::vixp2p_event;
use crate::ffi::handle::on_node;
use crate::ffi::log::vixp2p_log_fn;
use crate::ffi::snapshot::SnapshotFns;
use crate::ffi::status::{VIXP2P_ERR_WOULD_DEADLOCK, VIXP2P_OK, vixp2p_status};
use crate::ffi::types::{vixp2p_log_id, vixp2p_node, vixp2p_peer_id};

/// What an apply callback returns when the record has taken effect.
pub const VIXP2P_APPLY_OK: i32 = 0;
/// What an apply callback returns when the record cannot take effect now; it is offered again later, and none after it before.
pub const VIXP2P_APPLY_RETRY: i32 = 1;
/// What an apply callback returns when the record can never take effect: its log is parked there, over restarts too, until
/// vixp2p_node_apply_resume(); VIXP2P_EVENT_APPLY_PARKED tells, now and at every start.
pub const VIXP2P_APPLY_POISON: i32 = 2;

/// One record of a replicated log.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_record {
    /// Bytes of this struct as the library knows it; fields beyond it do not exist.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Whose log, and which life of it.
    pub log: vixp2p_log_id,
    /// The record's number in that log: from 1, rising; only numbers of the outbox's own records are left out.
    pub seq: u64,
    /// The origin's wall clock when it appended, in microseconds since 1970; information only.
    pub time_us: u64,
    /// What was appended; valid during the call.
    pub data: *const c_void,
    /// Its length in bytes.
    pub len: usize,
}

/// Lets go of a callback's userdata. Runs exactly once, after the last call of that callback has returned.
pub type vixp2p_drop_fn = Option<unsafe extern "C" fn(userdata: *mut c_void)>;

/// Takes an event; it is valid during the call and is not freed by the callback.
pub type vixp2p_event_fn = Option<unsafe extern "C" fn(userdata: *mut c_void, event: *const vixp2p_event)>;

/// Takes an application message of a peer; peer and data are valid during the call.
pub type vixp2p_message_fn =
    Option<unsafe extern "C" fn(userdata: *mut c_void, peer: *const vixp2p_peer_id, data: *const c_void, len: usize)>;

/// Takes a record of another node's log that is durable here. VIXP2P_APPLY_OK: it took effect;
/// VIXP2P_APPLY_POISON: it never will; any other value, best VIXP2P_APPLY_RETRY: it is offered again later. Records of one log come in order and each once in the life of a process; after
/// a crash those whose return was not yet written down come again, see vixp2p_node_set_cursor_callback().
pub type vixp2p_apply_fn = Option<unsafe extern "C" fn(userdata: *mut c_void, record: *const vixp2p_record) -> i32>;

/// Tells how far the application's own store has come in a log: the last record of it that took effect, 0 for none yet.
///
/// Called inside vixp2p_node_start() for every log that is here, then for one that appears later before its first record, where
/// records are applied.
///
/// Returns 1 if it has set *out_seq, 0 to leave it to the library's own note, a negative number if it cannot tell now: then
/// vixp2p_node_start() fails with VIXP2P_ERR_INVALID, or the record waits (VIXP2P_EVENT_APPLY_REFUSED) and this is called again.
pub type vixp2p_cursor_fn = Option<unsafe extern "C" fn(userdata: *mut c_void, log: *const vixp2p_log_id, out_seq: *mut u64) -> i32>;

/// Where log lines go. All members may be NULL.
///
/// The library owns userdata from the call that takes it, even if that call fails, and lets go of it with drop.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_log_callback {
    /// The function.
    pub r#fn: vixp2p_log_fn,
    /// Given to the function.
    pub userdata: *mut c_void,
    /// Lets go of userdata.
    pub drop: vixp2p_drop_fn,
}

/// Where events go. See vixp2p_log_callback for who owns userdata.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_event_callback {
    /// The function.
    pub r#fn: vixp2p_event_fn,
    /// Given to the function.
    pub userdata: *mut c_void,
    /// Lets go of userdata.
    pub drop: vixp2p_drop_fn,
}

/// Where application messages go. See vixp2p_log_callback for who owns userdata.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_message_callback {
    /// The function.
    pub r#fn: vixp2p_message_fn,
    /// Given to the function.
    pub userdata: *mut c_void,
    /// Lets go of userdata.
    pub drop: vixp2p_drop_fn,
}

/// What applies replicated records. See vixp2p_log_callback for who owns userdata.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_apply_callback {
    /// The function.
    pub r#fn: vixp2p_apply_fn,
    /// Given to the function.
    pub userdata: *mut c_void,
    /// Lets go of userdata.
    pub drop: vixp2p_drop_fn,
}

/// What tells how far the application's own store has come. See vixp2p_log_callback for who owns userdata.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_cursor_callback {
    /// The function.
    pub r#fn: vixp2p_cursor_fn,
    /// Given to the function.
    pub userdata: *mut c_void,
    /// Lets go of userdata.
    pub drop: vixp2p_drop_fn,
}

/// Replaces the log callback, from anywhere, running or not. The old userdata is dropped when no call uses it any more.
///
/// @param node      the node.
/// @param callback  the new one; NULL for none.
/// @return VIXP2P_OK or an error; in both cases the new userdata is the library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_set_log_callback(node: *mut vixp2p_node, callback: *const vixp2p_log_callback) -> vixp2p_status {
    // SAFETY: the caller promises that callback is NULL or points to one.
    let given = unsafe { read_ref(callback, "callback") }.ok();
    let new = Slot::take(given.map(|c| (c.r#fn, c.userdata, c.drop)));
    on_node("vixp2p_node_set_log_callback", node, |inner| {
        let old = inner.callbacks.log.put(new);
        inner.renew_log_level();
        drop(old);
        Ok(VIXP2P_OK)
    })
}

/// Replaces the event callback, from anywhere, running or not. The old userdata is dropped when no call uses it any more.
///
/// @param node      the node.
/// @param callback  the new one; NULL for none.
/// @return VIXP2P_OK or an error; in both cases the new userdata is the library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_set_event_callback(node: *mut vixp2p_node, callback: *const vixp2p_event_callback) -> vixp2p_status {
    // SAFETY: the caller promises that callback is NULL or points to one.
    let given = unsafe { read_ref(callback, "callback") }.ok();
    let new = Slot::take(given.map(|c| (c.r#fn, c.userdata, c.drop)));
    on_node("vixp2p_node_set_event_callback", node, |inner| {
        drop(inner.callbacks.event.put(new));
        Ok(VIXP2P_OK)
    })
}

/// Replaces the message callback, from anywhere, running or not. The old userdata is dropped when no call uses it any more.
///
/// @param node      the node.
/// @param callback  the new one; NULL for none.
/// @return VIXP2P_OK or an error; in both cases the new userdata is the library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_set_message_callback(
    node: *mut vixp2p_node,
    callback: *const vixp2p_message_callback,
) -> vixp2p_status {
    // SAFETY: the caller promises that callback is NULL or points to one.
    let given = unsafe { read_ref(callback, "callback") }.ok();
    let new = Slot::take(given.map(|c| (c.r#fn, c.userdata, c.drop)));
    on_node("vixp2p_node_set_message_callback", node, |inner| {
        drop(inner.callbacks.message.put(new));
        Ok(VIXP2P_OK)
    })
}

/// Replaces the apply callback, from anywhere. The old userdata is dropped when no call uses it any more.
///
/// A node that was started without an apply callback treats records as applied once they are durable; a callback given to it
/// takes effect at the next start. Taking the callback away while the node runs keeps records for later.
///
/// @param node      the node.
/// @param callback  the new one; NULL for none.
/// @return VIXP2P_OK or an error; in both cases the new userdata is the library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_set_apply_callback(node: *mut vixp2p_node, callback: *const vixp2p_apply_callback) -> vixp2p_status {
    // SAFETY: the caller promises that callback is NULL or points to one.
    let given = unsafe { read_ref(callback, "callback") }.ok();
    let new = Slot::take(given.map(|c| (c.r#fn, c.userdata, c.drop)));
    on_node("vixp2p_node_set_apply_callback", node, |inner| {
        let setup = inner.setup.lock();
        inner.refuse_beside_values()?;
        let old = inner.callbacks.apply.put(new);
        drop(setup);
        drop(old);
        Ok(VIXP2P_OK)
    })
}

/// Replaces the cursor callback, from anywhere; it takes effect at the next start. With it a program that keeps the number of the
/// last applied record in the same transaction as its effect applies every record exactly once; without it the library keeps a
/// note, and up to a second's records may come again after a power cut.
///
/// @param node      the node.
/// @param callback  the new one; NULL for none.
/// @return VIXP2P_OK or an error; in both cases the new userdata is the library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_set_cursor_callback(node: *mut vixp2p_node, callback: *const vixp2p_cursor_callback) -> vixp2p_status {
    // SAFETY: the caller promises that callback is NULL or points to one.
    let given = unsafe { read_ref(callback, "callback") }.ok();
    let new = Slot::take(given.map(|c| (c.r#fn, c.userdata, c.drop)));
    on_node("vixp2p_node_set_cursor_callback", node, |inner| {
        let setup = inner.setup.lock();
        inner.refuse_beside_values()?;
        let old = inner.callbacks.cursor.put(new.clone());
        inner.node.set_cursor(new.map(crate::ffi::apply::cursor_of));
        drop(setup);
        drop(old);
        Ok(VIXP2P_OK)
    })
}

/// A callback the library owns: lets go of userdata when the last user of it is gone.
pub(super) struct Slot<F> {
    call: Option<F>,
    userdata: *mut c_void,
    release: vixp2p_drop_fn,
    _function: PhantomData<F>,
}

// SAFETY: the header says that callbacks and drop functions run on threads of the library; userdata is only handed to them, and
// calls of one node are serialised.
unsafe impl<F> Send for Slot<F> {}
// SAFETY: as above; nothing is changed through a shared reference.
unsafe impl<F> Sync for Slot<F> {}

impl<F: Copy> Slot<F> {
    /// Takes ownership of userdata; `None` if there is neither a function nor anything to let go of.
    pub(super) fn take(given: Option<(Option<F>, *mut c_void, vixp2p_drop_fn)>) -> Option<Arc<Slot<F>>> {
        let (call, userdata, release) = given?;
        (call.is_some() || release.is_some()).then(|| Arc::new(Slot { call, userdata, release, _function: PhantomData }))
    }

    /// Runs the application's function, marked as inside a callback; `None` if there is none.
    pub(super) fn run<R>(&self, call: impl FnOnce(F, *mut c_void) -> R) -> Option<R> {
        let function = self.call?;
        let _inside = Depth::enter();
        Some(call(function, self.userdata))
    }
}

impl<F> Drop for Slot<F> {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            let _inside = Depth::enter();
            // SAFETY: the application gave both for exactly this; no call uses userdata any more, since each held the slot.
            unsafe { release(self.userdata) }
        }
    }
}

/// One place for a callback. The lock is held to read or replace it, never while it runs.
pub(super) struct Place<F>(Mutex<Option<Arc<Slot<F>>>>);

impl<F> Default for Place<F> {
    fn default() -> Self {
        Place(Mutex::new(None))
    }
}

impl<F> Place<F> {
    pub(super) fn put(&self, new: Option<Arc<Slot<F>>>) -> Option<Arc<Slot<F>>> {
        std::mem::replace(&mut *self.0.lock(), new)
    }

    pub(super) fn get(&self) -> Option<Arc<Slot<F>>> {
        self.0.lock().clone()
    }

    /// Whether there is a function to call.
    pub(super) fn is_set(&self) -> bool {
        self.0.lock().as_ref().is_some_and(|slot| slot.call.is_some())
    }
}

type LogFn = unsafe extern "C" fn(*mut c_void, *const crate::ffi::log::vixp2p_log_record);
type EventFn = unsafe extern "C" fn(*mut c_void, *const vixp2p_event);
type MessageFn = unsafe extern "C" fn(*mut c_void, *const vixp2p_peer_id, *const c_void, usize);
pub(super) type CursorFn = unsafe extern "C" fn(*mut c_void, *const vixp2p_log_id, *mut u64) -> i32;
type ApplyFn = unsafe extern "C" fn(*mut c_void, *const vixp2p_record) -> i32;

/// The callbacks of a node.
#[derive(Default)]
pub(super) struct Callbacks {
    pub(super) log: Place<LogFn>,
    pub(super) event: Place<EventFn>,
    pub(super) message: Place<MessageFn>,
    pub(super) apply: Place<ApplyFn>,
    pub(super) cursor: Place<CursorFn>,
    pub(super) snapshot: Place<SnapshotFns>,
}

impl Callbacks {
    /// Takes every callback out; dropping the result lets go of the userdata, with no lock held.
    pub(super) fn clear(&self) -> impl Sized + use<> {
        let (log, event, message) = (self.log.put(None), self.event.put(None), self.message.put(None));
        (log, event, message, self.apply.put(None), self.cursor.put(None), self.snapshot.put(None))
    }
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Marks that the thread runs the application's code on behalf of the library.
pub(super) struct Depth;

impl Depth {
    pub(super) fn enter() -> Depth {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        Depth
    }
}

impl Drop for Depth {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}

/// Whether the calling thread is inside a callback of any node.
pub(super) fn inside_callback() -> bool {
    DEPTH.with(Cell::get) > 0
}

/// Refuses a call that would wait for the callback it comes from.
pub(super) fn refuse_inside_callback() -> Result<(), Failure> {
    if inside_callback() {
        return Err(Failure::new(VIXP2P_ERR_WOULD_DEADLOCK, "called from inside a callback, which it would wait for"));
    }
    Ok(())
}
