//! Taking events on the program's own thread: the descriptor, next, wait, dispatch. Only for nodes that poll.

use std::ffi::c_int;
use std::time::{Duration, Instant};

use crate::ffi::boundary::{Answer, Failure, write_optional, write_out};
use crate::ffi::callbacks::refuse_inside_callback;
use crate::ffi::delivery::Waited;
use crate::ffi::event::vixp2p_event;
use crate::ffi::handle::{Inner, on_node};
use crate::ffi::status::{VIXP2P_EMPTY, VIXP2P_ERR_STOPPED, VIXP2P_ERR_UNSUPPORTED, VIXP2P_OK, VIXP2P_TIMEOUT, vixp2p_status};
use crate::ffi::sys::Beacon;
use crate::ffi::types::vixp2p_node;

/// A descriptor for poll, select, epoll or an event loop: readable as long as something waits. Level-triggered. Do not read,
/// write or close it; it is valid until the node is destroyed.
///
/// @param node  a node with VIXP2P_DELIVERY_POLL.
/// @return the descriptor, or -1; vixp2p_last_error_code() then says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_event_fd(node: *const vixp2p_node) -> c_int {
    let mut fd = -1;
    on_node("vixp2p_node_event_fd", node, |inner| {
        fd = polled(inner)?.fd();
        Ok(VIXP2P_OK)
    });
    fd
}

/// Takes the next event without waiting. Log lines and records that are due are given to the log and apply callbacks first, on
/// the calling thread, a bounded number of them; the event and message callbacks are not used: every message is an event.
///
/// Take events on one thread; a second one may have to wait until the first one's callbacks return.
///
/// @param node  a node with VIXP2P_DELIVERY_POLL.
/// @param out   where the event goes, to be freed with vixp2p_event_free(); NULL there if there is none.
/// @return VIXP2P_OK; VIXP2P_EMPTY if there is no event (there may be more records: go by the descriptor);
///         VIXP2P_ERR_UNSUPPORTED under VIXP2P_DELIVERY_CALLBACK; VIXP2P_ERR_WOULD_DEADLOCK from inside a callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_next_event(node: *mut vixp2p_node, out: *mut *mut vixp2p_event) -> vixp2p_status {
    // SAFETY: the caller promises that out, if not NULL, can be written.
    let place = unsafe { write_out(out, std::ptr::null_mut(), "out") };
    on_node("vixp2p_node_next_event", node, |inner| {
        place?;
        polled(inner)?;
        refuse_inside_callback()?;
        let Some(event) = inner.take_event(None) else { return Ok(VIXP2P_EMPTY) };
        // SAFETY: out was written before.
        unsafe { write_out(out, event, "out") }?;
        Ok(VIXP2P_OK)
    })
}

/// Takes the next event and waits for it. Callbacks run as with vixp2p_node_next_event().
///
/// @param node        a node with VIXP2P_DELIVERY_POLL.
/// @param timeout_ms  how long to wait; -1 for ever, 0 not at all.
/// @param out         where the event goes, to be freed with vixp2p_event_free(); NULL there if there is none.
/// @return VIXP2P_OK; VIXP2P_TIMEOUT; VIXP2P_ERR_STOPPED if the node does not run and nothing waits;
///         VIXP2P_ERR_UNSUPPORTED under VIXP2P_DELIVERY_CALLBACK; VIXP2P_ERR_WOULD_DEADLOCK from inside a callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_wait_event(node: *mut vixp2p_node, timeout_ms: i32, out: *mut *mut vixp2p_event) -> vixp2p_status {
    // SAFETY: the caller promises that out, if not NULL, can be written.
    let place = unsafe { write_out(out, std::ptr::null_mut(), "out") };
    on_node("vixp2p_node_wait_event", node, |inner| {
        place?;
        polled(inner)?;
        refuse_inside_callback()?;
        let deadline = deadline(timeout_ms);
        loop {
            if let Some(event) = inner.take_event(deadline) {
                // SAFETY: out was written before.
                unsafe { write_out(out, event, "out") }?;
                return Ok(VIXP2P_OK);
            }
            match inner.desk.wait(deadline, false) {
                // Something may be left that only a callback which is running now could have taken.
                Waited::Readable if is_past(deadline) => return Ok(VIXP2P_TIMEOUT),
                Waited::Readable => {}
                Waited::TimedOut => return Ok(VIXP2P_TIMEOUT),
                Waited::Ended => return Err(Failure::new(VIXP2P_ERR_STOPPED, "the node does not run and no event is waiting")),
            }
        }
    })
}

/// Runs the callbacks for what waits, on the calling thread, one after the other.
///
/// @param node      a node with VIXP2P_DELIVERY_POLL.
/// @param max       the most events, messages and runs of records to give out; 0: until nothing waits.
/// @param out_done  where their number goes; may be NULL.
/// @return VIXP2P_OK; VIXP2P_EMPTY if nothing waited; VIXP2P_ERR_UNSUPPORTED under VIXP2P_DELIVERY_CALLBACK;
///         VIXP2P_ERR_WOULD_DEADLOCK from inside a callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_dispatch(node: *mut vixp2p_node, max: usize, out_done: *mut usize) -> vixp2p_status {
    // SAFETY: the caller promises NULL or a place for the number.
    unsafe { write_optional(out_done, 0) };
    on_node("vixp2p_node_dispatch", node, |inner| {
        polled(inner)?;
        refuse_inside_callback()?;
        let most = if max == 0 { usize::MAX } else { max };
        let mut done = 0;
        if let Some(turn) = inner.desk.turn(None) {
            while done < most && !inner.desk.is_closing() && inner.deliver_next(&turn).is_some() {
                done += 1;
            }
        }
        // SAFETY: as above.
        unsafe { write_optional(out_done, done) };
        Ok(if done > 0 { VIXP2P_OK } else { VIXP2P_EMPTY })
    })
}

fn polled(inner: &Inner) -> Answer<&Beacon> {
    let text = "the node calls back; set options.delivery to VIXP2P_DELIVERY_POLL to take events";
    inner.desk.beacon().ok_or_else(|| Failure::new(VIXP2P_ERR_UNSUPPORTED, text))
}

#[expect(clippy::disallowed_methods, reason = "the caller's timeout is in real time")]
pub(super) fn deadline(timeout_ms: i32) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(u64::try_from(timeout_ms).ok()?))
}

#[expect(clippy::disallowed_methods, reason = "the caller's timeout is in real time")]
fn is_past(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|at| at <= Instant::now())
}
