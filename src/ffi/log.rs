//! Log lines on their way to the application: the record it sees and the level it wants. Never prints.

use std::ffi::{c_char, c_void};

use crate::base::Level;
use crate::driver::{clear_process_log, set_process_log};
use crate::ffi::boundary::{Answer, Failure, c_text, guard, read_ref};
use crate::ffi::callbacks::{Slot, vixp2p_log_callback};
use crate::ffi::delivery::as_log_callback;
use crate::ffi::handle::on_node;
use crate::ffi::status::{VIXP2P_OK, vixp2p_status};
use crate::ffi::types::vixp2p_node;

/// How much a log line matters.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum vixp2p_log_level {
    /// Every message.
    VIXP2P_LOG_TRACE = 0,
    /// Every decision.
    VIXP2P_LOG_DEBUG = 1,
    /// What an operator wants to see.
    VIXP2P_LOG_INFO = 2,
    /// Something went wrong and was dealt with.
    VIXP2P_LOG_WARN = 3,
    /// Something went wrong and needs a person.
    VIXP2P_LOG_ERROR = 4,
    /// The node cannot go on.
    VIXP2P_LOG_CRITICAL = 5,
    /// Nothing at all.
    VIXP2P_LOG_OFF = 6,
}

/// One log line. Never use the message as a format string: names in it come from the network.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_log_record {
    /// Bytes of this struct as the library knows it; fields beyond it do not exist.
    pub struct_size: u32,
    /// A #vixp2p_log_level.
    pub level: i32,
    /// The line, UTF-8, without a line end, zero-terminated; valid during the call.
    pub message: *const c_char,
    /// Bytes of the message without the terminating zero.
    pub message_len: usize,
    /// The label of the node that says it, zero-terminated; valid during the call.
    pub node_id: *const c_char,
}

/// Takes a log line. Lines that calls made from inside it cause on its own thread are dropped.
pub type vixp2p_log_fn = Option<unsafe extern "C" fn(userdata: *mut c_void, record: *const vixp2p_log_record)>;

pub(super) fn read_level(number: i32, what: &str) -> Answer<Level> {
    let level = u8::try_from(number).ok().and_then(Level::from_number);
    level.ok_or_else(|| Failure::invalid(format!("{what} is {number}; it goes from 0 (trace) to 6 (off)")))
}

/// Changes which log lines reach the log callback, from now on. At VIXP2P_LOG_TRACE the events PING and PONG come too.
///
/// @param node   the node.
/// @param level  the least #vixp2p_log_level that is wanted.
/// @return VIXP2P_OK or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_set_log_level(node: *mut vixp2p_node, level: i32) -> vixp2p_status {
    on_node("vixp2p_node_set_log_level", node, |inner| {
        inner.set_log_level(read_level(level, "level")?);
        Ok(VIXP2P_OK)
    })
}

/// Has the log lines of every node of the process go to a callback as well, whatever the nodes' own callbacks take. Replaces the one
/// that was set before.
///
/// Unlike a node's own callbacks it is called on any thread of the library, on several at the same time, also for nodes with
/// VIXP2P_DELIVERY_POLL. It must return quickly and may not call functions that wait (VIXP2P_ERR_WOULD_DEADLOCK).
///
/// @param level     the least #vixp2p_log_level that is wanted.
/// @param callback  where lines go; its userdata is the library's, even if the call fails.
/// @return VIXP2P_OK or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_set_process_log(level: i32, callback: *const vixp2p_log_callback) -> vixp2p_status {
    guard("vixp2p_set_process_log", || {
        // SAFETY: the caller promises that callback is NULL or points to one.
        let given = unsafe { read_ref(callback, "callback") }?;
        let slot = Slot::take(Some((given.r#fn, given.userdata, given.drop)));
        let least = read_level(level, "level")?;
        let slot = slot.filter(|_| given.r#fn.is_some()).ok_or_else(|| Failure::invalid("callback.fn is NULL".to_owned()))?;
        set_process_log(least, move |level, node_id, text| {
            let (label, message) = (c_text(node_id), c_text(text));
            let record = vixp2p_log_record {
                struct_size: size_of::<vixp2p_log_record>() as u32,
                level: level as i32,
                message: message.as_ptr(),
                message_len: message.as_bytes().len(),
                node_id: label.as_ptr(),
            };
            // SAFETY: the application gave both for exactly this; the record and its texts live through the call.
            let run = |function: unsafe extern "C" fn(*mut c_void, *const vixp2p_log_record), userdata| unsafe {
                function(userdata, &raw const record);
            };
            as_log_callback(|| slot.run(run));
        });
        Ok(VIXP2P_OK)
    })
}

/// Ends what vixp2p_set_process_log() began. Its userdata is dropped when no call uses it any more. Does nothing if there is none.
///
/// @return VIXP2P_OK or an error.
#[unsafe(no_mangle)]
pub extern "C" fn vixp2p_clear_process_log() -> vixp2p_status {
    guard("vixp2p_clear_process_log", || {
        clear_process_log();
        Ok(VIXP2P_OK)
    })
}
