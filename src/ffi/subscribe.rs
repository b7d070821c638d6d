//! Following logs: a subscription, its next record, its descriptor. Decides nothing; holds one record for the caller.

use std::cell::RefCell;
use std::ffi::c_int;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::base::{Error, LogId};
use crate::driver::subscribe::{Look, is_over};
use crate::ffi::boundary::{Failure, guard, read_ref, write_out};
use crate::ffi::callbacks::{refuse_inside_callback, vixp2p_record};
use crate::ffi::delivery::inside_log_callback;
use crate::ffi::handle::{self, on_node};
use crate::ffi::peers::write_array;
use crate::ffi::status::{VIXP2P_EMPTY, VIXP2P_ERR_UNSUPPORTED, VIXP2P_ERR_WOULD_DEADLOCK, VIXP2P_OK, VIXP2P_TIMEOUT, vixp2p_status};
use crate::ffi::sys::Beacon;
use crate::ffi::types::{vixp2p_log_id, vixp2p_node};
use crate::node::{Canceller, LogRecord, Subscribe, Subscription};

/// Follows logs of a node. To be freed with vixp2p_subscription_free(), before or after the node is destroyed. Calls on a freed one
/// are recognised and refused with VIXP2P_ERR_BAD_HANDLE.
pub struct vixp2p_subscription {
    _opaque: [u8; 0],
}

/// A place in a log.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct vixp2p_cursor {
    /// Which log.
    pub log: vixp2p_log_id,
    /// The record to go on with; 0 is the first, which is 1.
    pub seq: u64,
}

/// vixp2p_node_subscribe(): every log, also such that come later; the cursors say where some of them begin, the others begin at
/// their first record.
pub const VIXP2P_SUBSCRIBE_ALL: u32 = 1;
/// vixp2p_node_subscribe(), with VIXP2P_SUBSCRIBE_ALL: logs that are here now and have no cursor begin behind their last record.
pub const VIXP2P_SUBSCRIBE_NEW: u32 = 2;

/// What a subscription's handle stands for.
pub struct Follower {
    /// Locked for a look, never for a wait: a callback that looks must not wait for a thread that waits.
    subscription: Mutex<Subscription>,
    /// The record given out last.
    given: Mutex<Option<Arc<Given>>>,
    beacon: Arc<Beacon>,
    canceller: Canceller,
}

/// What a caller looks at.
struct Given {
    view: vixp2p_record,
    /// Whose bytes the view leads to.
    _record: LogRecord,
}

// SAFETY: the pointer in the view leads to the record beside it; neither changes any more.
unsafe impl Send for Given {}
// SAFETY: as above.
unsafe impl Sync for Given {}

thread_local! {
    /// What this thread was given last, and the handle: another thread may take the next record, or free the subscription, before
    /// this one has come to look.
    static KEPT: RefCell<Option<(usize, Arc<Given>)>> = const { RefCell::new(None) };
}

/// Follows logs: this node's own and those it carries, from any place on, live afterwards. Records of one log come in order, each when
/// it is durable here, applied or not, and none but the outbox's own is left out; between logs there is no order. What is not taken waits in the log's files
/// and costs no memory; nobody remembers how far a subscription came but vixp2p_subscription_cursor().
///
/// @param node     a running node. When it stops the subscription ends; vixp2p_subscription_next() then says VIXP2P_ERR_STOPPED.
/// @param cursors  where logs begin; may be NULL if count is 0.
/// @param count    how many.
/// @param flags    0: the logs named and no others; VIXP2P_SUBSCRIBE_ALL, VIXP2P_SUBSCRIBE_NEW, joined with |.
/// @param out      where the subscription goes; NULL there on failure.
/// @return VIXP2P_OK, VIXP2P_ERR_INVALID, VIXP2P_ERR_UNSUPPORTED for unknown flags, VIXP2P_ERR_STOPPED or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_subscribe(
    node: *mut vixp2p_node,
    cursors: *const vixp2p_cursor,
    count: usize,
    flags: u32,
    out: *mut *mut vixp2p_subscription,
) -> vixp2p_status {
    // SAFETY: the caller promises that out, if not NULL, can be written.
    let place = unsafe { write_out(out, std::ptr::null_mut(), "out") };
    on_node("vixp2p_node_subscribe", node, |inner| {
        place?;
        if flags & !(VIXP2P_SUBSCRIBE_ALL | VIXP2P_SUBSCRIBE_NEW) != 0 {
            return Err(Failure::new(VIXP2P_ERR_UNSUPPORTED, format!("flags are {flags:#x}, of which this library knows 3")));
        }
        if count > 0 && cursors.is_null() {
            return Err(Failure::invalid(format!("cursors is NULL but count is {count}")));
        }
        let mut wanted = match flags {
            0 if count == 0 => return Err(Failure::invalid("count and flags are 0: nothing to follow")),
            0 => Subscribe::default(),
            VIXP2P_SUBSCRIBE_ALL => Subscribe::all(),
            VIXP2P_SUBSCRIBE_NEW => return Err(Failure::invalid("flags have VIXP2P_SUBSCRIBE_NEW without VIXP2P_SUBSCRIBE_ALL")),
            _ => Subscribe::new_records(),
        };
        for i in 0..count {
            // SAFETY: the caller promises count cursors.
            let cursor = unsafe { read_ref(cursors.add(i), "cursors[]") }?;
            wanted = wanted.and(cursor.log.into(), cursor.seq);
        }
        let mut subscription = inner.node.subscribe(wanted)?;
        let beacon = Arc::new(Beacon::new().map_err(Error::io("making the subscription's descriptor"))?);
        beacon.light(true);
        let theirs = beacon.clone();
        subscription.watch(Box::new(move || theirs.light(true)));
        let canceller = subscription.canceller();
        let follower = Follower { subscription: Mutex::new(subscription), given: Mutex::default(), beacon, canceller };
        // SAFETY: out was written before.
        unsafe { write_out(out, handle::insert_follower(follower), "out") }?;
        Ok(VIXP2P_OK)
    })
}

/// Takes the next record, and waits for it. Of several threads in it each record goes to one.
///
/// @param subscription  the subscription.
/// @param timeout_ms    how long to wait for a record to come; -1 for ever, 0 not at all (the disk is read in any case).
/// @param out           where a pointer to the record goes; it and its data are valid until the next call of this function, or
///                      vixp2p_subscription_free(), for this subscription, and if that comes from another thread at least until
///                      this thread calls this function again. NULL there if there is none.
/// @return VIXP2P_OK; VIXP2P_EMPTY (0 given) or VIXP2P_TIMEOUT; VIXP2P_ERR_TRUNCATED once where records are not kept any more, the
///         text says which, after which the next call goes on behind them; VIXP2P_ERR_STOPPED once the node stops or the subscription is freed
///         meanwhile; VIXP2P_ERR_WOULD_DEADLOCK from inside a callback if timeout_ms is not 0, or from the log callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_subscription_next(
    subscription: *mut vixp2p_subscription,
    timeout_ms: i32,
    out: *mut *const vixp2p_record,
) -> vixp2p_status {
    // SAFETY: the caller promises that out, if not NULL, can be written.
    let place = unsafe { write_out(out, std::ptr::null(), "out") };
    guard("vixp2p_subscription_next", || {
        let follower = handle::find_follower(subscription)?;
        place?;
        if inside_log_callback() {
            return Err(Failure::new(VIXP2P_ERR_WOULD_DEADLOCK, "called from inside the log callback, which must not wait"));
        }
        if timeout_ms != 0 {
            refuse_inside_callback()?;
        }
        let deadline = deadline(timeout_ms);
        drop(follower.given.lock().take());
        KEPT.take();
        let record = loop {
            match follower.look()? {
                Look::Record(record) => break record,
                Look::Nothing(..) if timeout_ms == 0 => return Ok(VIXP2P_EMPTY),
                Look::Nothing(..) if is_over(deadline) => return Ok(VIXP2P_TIMEOUT),
                Look::Nothing(seen, until) => follower.canceller.wait(seen, deadline.into_iter().chain(until).min()),
            }
        };
        let given = Arc::new(Given { view: view(&record), _record: record });
        *follower.given.lock() = Some(given.clone());
        let at = std::ptr::from_ref(&given.view);
        KEPT.set(Some((subscription.addr(), given)));
        // SAFETY: out was written before.
        unsafe { write_out(out, at, "out") }?;
        Ok(VIXP2P_OK)
    })
}

impl Follower {
    /// One look, and what the descriptor tells after it.
    fn look(&self) -> Result<Look, Error> {
        let mut subscription = self.subscription.lock();
        // Before the look: what comes after it lights it again.
        self.beacon.light(false);
        let found = subscription.look();
        if !matches!(found, Ok(Look::Nothing(..))) {
            self.beacon.light(true);
        }
        found
    }
}

/// A descriptor for poll, select, epoll or an event loop: readable when vixp2p_subscription_next() may have a record, or has an error
/// to tell; not readable after it has answered VIXP2P_EMPTY, until there may be more. Level-triggered. Do not read, write or close it.
///
/// @param subscription  the subscription.
/// @return the descriptor, valid until the subscription is freed, or -1; vixp2p_last_error_code() then says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_subscription_fd(subscription: *const vixp2p_subscription) -> c_int {
    let mut fd = -1;
    guard("vixp2p_subscription_fd", || {
        fd = handle::find_follower(subscription)?.beacon.fd();
        Ok(VIXP2P_OK)
    });
    fd
}

/// Where each log goes on: what vixp2p_node_subscribe() takes to go on here another time, in this or another life of the program.
///
/// @param subscription  the subscription.
/// @param cursors       an array to fill; may be NULL if *inout_count is 0.
/// @param inout_count   places in the array; becomes the number of logs.
/// @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_subscription_cursor(
    subscription: *const vixp2p_subscription,
    cursors: *mut vixp2p_cursor,
    inout_count: *mut usize,
) -> vixp2p_status {
    guard("vixp2p_subscription_cursor", || {
        let places = handle::find_follower(subscription)?.subscription.lock().cursor();
        let write = |at: *mut u8, i: usize| {
            let (log, seq): (LogId, u64) = places[i];
            // SAFETY: write_array gives a place for one cursor.
            unsafe { at.cast::<vixp2p_cursor>().write_unaligned(vixp2p_cursor { log: log.into(), seq }) };
        };
        // SAFETY: the caller promises *inout_count places at cursors.
        unsafe { write_array(cursors.cast(), size_of::<vixp2p_cursor>(), inout_count, places.len(), write) }
    })
}

/// Ends a subscription and frees it with the record it gave last. A call of vixp2p_subscription_next() that waits in another thread
/// answers VIXP2P_ERR_STOPPED.
///
/// @param subscription  the subscription; NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_subscription_free(subscription: *mut vixp2p_subscription) {
    guard("vixp2p_subscription_free", || {
        if !subscription.is_null() {
            handle::remove_follower(subscription)?.canceller.cancel();
            KEPT.with_borrow_mut(|kept| drop(kept.take_if(|(of, _)| *of == subscription.addr())));
        }
        Ok(VIXP2P_OK)
    });
}

fn blank() -> vixp2p_record {
    let struct_size = size_of::<vixp2p_record>() as u32;
    vixp2p_record { struct_size, reserved: 0, log: vixp2p_log_id::default(), seq: 0, time_us: 0, data: std::ptr::null(), len: 0 }
}

fn view(record: &LogRecord) -> vixp2p_record {
    let (data, len) = (record.payload.as_ptr().cast(), record.payload.len());
    vixp2p_record { log: record.log.into(), seq: record.seq, time_us: record.time_us, data, len, ..blank() }
}

/// When a timeout in milliseconds is over; negative: never.
#[expect(clippy::disallowed_methods, reason = "the caller's timeout is in real time")]
pub(super) fn deadline(timeout_ms: i32) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(u64::try_from(timeout_ms).ok()?))
}
