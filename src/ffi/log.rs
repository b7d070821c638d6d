//! Log lines on their way to the application: the record it sees and the level it wants. Never prints.

use std::ffi::{c_char, c_void};

use crate::base::Level;
use crate::ffi::boundary::{Answer, Failure};
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
}

/// Takes a log line. Lines that calls made from inside it cause on its own thread are dropped.
pub type vixp2p_log_fn = Option<unsafe extern "C" fn(userdata: *mut c_void, record: *const vixp2p_log_record)>;

pub(super) fn read_level(number: i32, what: &str) -> Answer<Level> {
    let level = u8::try_from(number).ok().and_then(Level::from_number);
    level.ok_or_else(|| Failure::invalid(format!("{what} is {number}; it goes from 0 (trace) to 6 (off)")))
}

/// Changes which log lines reach the log callback, from now on.
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
