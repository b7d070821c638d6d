//! The statuses every call ends with, and the text of the last failure. Never decides what is an error.

use std::ffi::c_char;

use crate::ffi::boundary;

/// The ABI this header describes; see vixp2p_abi_version().
pub const VIXP2P_ABI_VERSION: u32 = 1;

/// How a call ended. 0 is success, a positive value is "nothing wrong, but nothing done", a negative value is an error whose
/// text vixp2p_last_error_message() gives. Values are never renumbered; new ones may come, so treat an unknown negative value
/// as an error.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum vixp2p_status {
    /// Done.
    VIXP2P_OK = 0,
    /// Nothing is waiting, or the event has no such part.
    VIXP2P_EMPTY = 1,
    /// Nothing came within the time given.
    VIXP2P_TIMEOUT = 2,
    /// The node was in that state already.
    VIXP2P_ALREADY = 3,
    /// The handle is NULL, was destroyed, or never was one.
    VIXP2P_ERR_BAD_HANDLE = -1,
    /// An argument is unusable; the text names it.
    VIXP2P_ERR_INVALID = -2,
    /// A string is not UTF-8.
    VIXP2P_ERR_UTF8 = -3,
    /// The operating system refused something; the text says what.
    VIXP2P_ERR_IO = -4,
    /// The port is taken.
    VIXP2P_ERR_PORT_IN_USE = -5,
    /// The key file cannot be used.
    VIXP2P_ERR_KEY = -6,
    /// The data directory belongs to another running node.
    VIXP2P_ERR_DIR_IN_USE = -7,
    /// The log cannot take more; nothing acknowledged is lost.
    VIXP2P_ERR_LOG = -8,
    /// The node is not running.
    VIXP2P_ERR_STOPPED = -9,
    /// That peer is not connected.
    VIXP2P_ERR_NOT_CONNECTED = -10,
    /// The queue towards the peer is full; nothing was taken.
    VIXP2P_ERR_WOULD_BLOCK = -11,
    /// A message or record is over its limit.
    VIXP2P_ERR_TOO_LARGE = -12,
    /// The buffer is too small; the size needed was written.
    VIXP2P_ERR_BUFFER_TOO_SMALL = -13,
    /// The call would wait for the callback it is made from.
    VIXP2P_ERR_WOULD_DEADLOCK = -14,
    /// The handle belongs to the process this one was forked from, or that process had nodes.
    VIXP2P_ERR_FORKED = -15,
    /// The library failed inside the call (a defect); the node can only be destroyed.
    VIXP2P_ERR_PANIC = -16,
    /// An earlier call failed inside the library; the node can only be destroyed.
    VIXP2P_ERR_POISONED = -17,
    /// This library or this node's settings do not offer that.
    VIXP2P_ERR_UNSUPPORTED = -18,
    /// A worker of the node failed; it can only be destroyed.
    VIXP2P_ERR_FAILED = -19,
    /// Records asked for are not kept any more; their effect is in a snapshot.
    VIXP2P_ERR_TRUNCATED = -20,
}

pub(super) use vixp2p_status::*;

/// The text of the calling thread's last failed call: function, argument, value and cause in one sentence.
///
/// A successful call does not clear it.
///
/// @return a string that stays valid until the next failing call of this thread, or NULL if no call failed.
#[unsafe(no_mangle)]
pub extern "C" fn vixp2p_last_error_message() -> *const c_char {
    boundary::last_error_message()
}

/// The status of the calling thread's last failed call.
///
/// @return a negative status, or VIXP2P_OK if no call failed.
#[unsafe(no_mangle)]
pub extern "C" fn vixp2p_last_error_code() -> vixp2p_status {
    boundary::last_error_code()
}

/// What a status means, in a few words. For the cause of one failure see vixp2p_last_error_message().
///
/// @param status  a #vixp2p_status; any number may be given.
/// @return a static string; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn vixp2p_status_str(status: i32) -> *const c_char {
    let text = match status {
        0 => c"ok",
        1 => c"nothing is waiting",
        2 => c"nothing came in time",
        3 => c"already so",
        -1 => c"bad handle",
        -2 => c"invalid argument",
        -3 => c"text is not UTF-8",
        -4 => c"input/output error",
        -5 => c"port in use",
        -6 => c"key file unusable",
        -7 => c"data directory in use",
        -8 => c"log failed",
        -9 => c"node is not running",
        -10 => c"peer is not connected",
        -11 => c"queue is full",
        -12 => c"too large",
        -13 => c"buffer too small",
        -14 => c"would deadlock",
        -15 => c"node of the parent process",
        -16 => c"internal error",
        -17 => c"node is unusable after an internal error",
        -18 => c"not supported",
        -19 => c"node failed",
        -20 => c"records are not kept any more",
        _ => c"unknown status",
    };
    text.as_ptr()
}
