//! The plain structs C and the library hand each other: handles, peer ids, log ids, slices. Never own memory.

use std::ffi::{c_char, c_void};

use crate::base::{Incarnation, LogId, PeerId, id};
use crate::ffi::boundary::{Failure, guard, read_ref, read_str, write_out};
use crate::ffi::status::{VIXP2P_ERR_BUFFER_TOO_SMALL, VIXP2P_ERR_INVALID, VIXP2P_OK, vixp2p_status};

/// Bytes of a peer id's text: 64 hex digits and the terminating zero.
pub const VIXP2P_PEER_ID_HEX_SIZE: usize = 65;

/// A node. Every function may be called on it from any thread at any time; vixp2p_node_destroy() is the last call, and calls
/// after it are recognised and refused with VIXP2P_ERR_BAD_HANDLE.
pub struct vixp2p_node {
    _opaque: [u8; 0],
}

/// Who a node is: its Ed25519 public key. Compare with memcmp.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct vixp2p_peer_id {
    /// The key.
    pub bytes: [u8; 32],
}

/// One append-only log: who writes it, and which life of it. A node that lost or rolled back its data goes on in a new
/// incarnation, so that a record's place is never taken twice.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct vixp2p_log_id {
    /// The node that appends to the log.
    pub origin: vixp2p_peer_id,
    /// Which of its logs.
    pub incarnation: u64,
}

/// Bytes that somebody else owns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_slice {
    /// First byte; may be NULL if len is 0.
    pub data: *const c_void,
    /// Number of bytes.
    pub len: usize,
}

impl From<PeerId> for vixp2p_peer_id {
    fn from(id: PeerId) -> Self {
        vixp2p_peer_id { bytes: id.0 }
    }
}

impl From<vixp2p_peer_id> for PeerId {
    fn from(id: vixp2p_peer_id) -> Self {
        PeerId(id.bytes)
    }
}

impl From<LogId> for vixp2p_log_id {
    fn from(log: LogId) -> Self {
        vixp2p_log_id { origin: log.origin.into(), incarnation: log.incarnation.0 }
    }
}

impl From<vixp2p_log_id> for LogId {
    fn from(log: vixp2p_log_id) -> Self {
        LogId { origin: log.origin.into(), incarnation: Incarnation(log.incarnation) }
    }
}

/// Writes a peer id as 64 lower-case hex digits and a terminating zero.
///
/// @param id        the peer id.
/// @param out       where the text goes.
/// @param out_size  bytes there; #VIXP2P_PEER_ID_HEX_SIZE are needed, with fewer nothing is written.
/// @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL or VIXP2P_ERR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_peer_id_to_hex(id: *const vixp2p_peer_id, out: *mut c_char, out_size: usize) -> vixp2p_status {
    guard("vixp2p_peer_id_to_hex", || {
        // SAFETY: the caller promises that id, if not NULL, points to a peer id.
        let id = unsafe { read_ref(id, "id") }?;
        if out.is_null() {
            return Err(Failure::null("out"));
        }
        if out_size < VIXP2P_PEER_ID_HEX_SIZE {
            let text = format!("out_size is {out_size}, {VIXP2P_PEER_ID_HEX_SIZE} are needed");
            return Err(Failure::new(VIXP2P_ERR_BUFFER_TOO_SMALL, text));
        }
        let text = id::hex(&id.bytes);
        // SAFETY: the caller promises out_size writable bytes at out, which was just found enough for 64 digits and a zero.
        unsafe {
            out.copy_from_nonoverlapping(text.as_ptr().cast(), text.len());
            out.add(text.len()).write(0);
        }
        Ok(VIXP2P_OK)
    })
}

/// Reads a peer id from 64 hex digits of either case.
///
/// @param hex  the text, zero-terminated.
/// @param out  where the peer id goes; unchanged on failure.
/// @return VIXP2P_OK, VIXP2P_ERR_INVALID or VIXP2P_ERR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_peer_id_from_hex(hex: *const c_char, out: *mut vixp2p_peer_id) -> vixp2p_status {
    guard("vixp2p_peer_id_from_hex", || {
        // SAFETY: the caller promises that hex, if not NULL, is a zero-terminated string that stays put during the call.
        let text = unsafe { read_str(hex, "hex") }?.ok_or_else(|| Failure::null("hex"))?;
        let id: PeerId = text.parse().map_err(|e: crate::base::Error| Failure::new(VIXP2P_ERR_INVALID, format!("hex: {e}")))?;
        // SAFETY: the caller promises that out, if not NULL, can be written.
        unsafe { write_out(out, id.into(), "out") }?;
        Ok(VIXP2P_OK)
    })
}
