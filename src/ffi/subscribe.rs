//! Following logs: a subscription, its next record, its descriptor. Decides nothing; holds one record for the caller.

use std::ffi::c_int;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::base::{Error, LogId};
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
    held: Mutex<Held>,
    beacon: Arc<Beacon>,
    canceller: Canceller,
}

struct Held {
    subscription: Subscription,
    /// What the caller looks at; its bytes are the record's.
    record: Option<LogRecord>,
    view: Box<vixp2p_record>,
}

// SAFETY: the pointer in view leads to the record beside it, which is only dropped after view was set anew or with it.
unsafe impl Send for Held {}

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
        let held = Mutex::new(Held { subscription, record: None, view: Box::new(blank()) });
        // SAFETY: out was written before.
        unsafe { write_out(out, handle::insert_follower(Follower { held, beacon, canceller }), "out") }?;
        Ok(VIXP2P_OK)
    })
}

/// Takes the next record, and waits for it. Two threads in it take turns.
///
/// @param subscription  the subscription.
/// @param timeout_ms    how long to wait for a record to come; -1 for ever, 0 not at all (the disk is read in any case).
/// @param out           where a pointer to the record goes; it and its data are valid until the next call of this function, or
///                      vixp2p_subscription_free(), for this subscription. NULL there if there is none.
/// @return VIXP2P_OK; VIXP2P_EMPTY (0 given) or VIXP2P_TIMEOUT; VIXP2P_ERR_STOPPED once the node stops or the subscription is freed
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
        let mut held = follower.held.lock();
        (*held.view, held.record) = (blank(), None);
        // Before the look: what comes after it lights it again.
        follower.beacon.light(false);
        let next = held.subscription.next_before(deadline);
        if !matches!(next, Ok(None)) {
            follower.beacon.light(true);
        }
        let Some(record) = next? else { return Ok(if timeout_ms == 0 { VIXP2P_EMPTY } else { VIXP2P_TIMEOUT }) };
        *held.view = view(&record);
        held.record = Some(record);
        // SAFETY: out was written before.
        unsafe { write_out(out, std::ptr::from_ref(&*held.view), "out") }?;
        Ok(VIXP2P_OK)
    })
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
        let places = handle::find_follower(subscription)?.held.lock().subscription.cursor();
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
