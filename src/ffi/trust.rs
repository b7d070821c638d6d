//! Whose key a node trusts: thin lines to the node. Never judges anybody.

use std::ffi::c_char;

use crate::base::event::printable;
use crate::base::{Endpoint, TrustEntry, TrustState};
use crate::ffi::boundary::{Failure, read_ref, read_str, write_sized};
use crate::ffi::handle::on_node;
use crate::ffi::peers::{VIXP2P_NODE_ID_SIZE, fixed, write_array};
use crate::ffi::status::{VIXP2P_EMPTY, VIXP2P_OK, vixp2p_status};
use crate::ffi::types::{vixp2p_node, vixp2p_peer_id};

/// What is settled about a key.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum vixp2p_trust_state {
    /// Trusted by vixp2p_node_trust(), whatever label its node gives itself.
    VIXP2P_TRUST_STATE_TRUSTED = 1,
    /// The first key that came with its label, under #VIXP2P_TRUST_TOFU; trusted with that label.
    VIXP2P_TRUST_STATE_PINNED = 2,
    /// Refused for good by vixp2p_node_revoke().
    VIXP2P_TRUST_STATE_REVOKED = 3,
}

/// One line of the list of known keys.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_trust_info {
    /// Bytes of this struct that the library filled.
    pub struct_size: u32,
    /// A #vixp2p_trust_state.
    pub state: i32,
    /// The key.
    pub id: vixp2p_peer_id,
    /// When it was added, in seconds since 1970; -1 if that is not known.
    pub added_s: i64,
    /// Its label, without control characters, cut if need be, zero-terminated.
    pub label: [c_char; VIXP2P_NODE_ID_SIZE],
}

/// As vixp2p_node_connect(), but takes no other answer than from one key: whoever else answers is refused, and this node's
/// identity is not shown to them. Under #VIXP2P_TRUST_PINNED that is enough to trust the peer on this link.
///
/// @param node      a running node.
/// @param endpoint  "host:port" or "tcp://host:port", an IPv6 address in brackets.
/// @param peer      the key.
/// @return VIXP2P_OK, VIXP2P_ERR_INVALID, VIXP2P_ERR_STOPPED or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_connect_peer(
    node: *mut vixp2p_node,
    endpoint: *const c_char,
    peer: *const vixp2p_peer_id,
) -> vixp2p_status {
    on_node("vixp2p_node_connect_peer", node, |inner| {
        // SAFETY: the caller promises NULL or a zero-terminated string.
        let text = unsafe { read_str(endpoint, "endpoint") }?.ok_or_else(|| Failure::null("endpoint"))?;
        // SAFETY: the caller promises NULL or a peer id.
        let peer = unsafe { read_ref(peer, "peer") }?;
        inner.node.connect_to(text.parse::<Endpoint>()?, peer.into())?;
        Ok(VIXP2P_OK)
    })
}

/// Trusts a key from now on, also one that was revoked. Standing links follow at once. This and the next two work whether the
/// node runs or not, are kept in the file known_peers of the data directory, and return when that is durable.
///
/// @param node   the node.
/// @param peer   the key.
/// @param label  for people, at most 255 bytes of UTF-8; NULL or "" leaves the label as it is. Under #VIXP2P_TRUST_TOFU no other
///               key may use it as its node_id.
/// @return VIXP2P_OK; VIXP2P_ERR_INVALID, VIXP2P_ERR_UTF8, VIXP2P_ERR_TOO_LARGE (label, or too many keys); VIXP2P_ERR_IO if
///         nothing could be kept, and then nothing has changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_trust(node: *mut vixp2p_node, peer: *const vixp2p_peer_id, label: *const c_char) -> vixp2p_status {
    on_node("vixp2p_node_trust", node, |inner| {
        // SAFETY: the caller promises NULL or a peer id, and NULL or a zero-terminated string.
        let (peer, label) = unsafe { (read_ref(peer, "peer")?, read_str(label, "label")?) };
        inner.node.trust(peer.into(), label.unwrap_or_default())?;
        Ok(VIXP2P_OK)
    })
}

/// Refuses a key for good under every policy, and its proven successors unless they are trusted by vixp2p_node_trust(). A link
/// that stands is closed.
///
/// @param node  the node.
/// @param peer  the key.
/// @return VIXP2P_OK, VIXP2P_ERR_TOO_LARGE, VIXP2P_ERR_IO or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_revoke(node: *mut vixp2p_node, peer: *const vixp2p_peer_id) -> vixp2p_status {
    on_node("vixp2p_node_revoke", node, |inner| {
        // SAFETY: the caller promises NULL or a peer id.
        let peer = unsafe { read_ref(peer, "peer") }?;
        inner.node.revoke(peer.into())?;
        Ok(VIXP2P_OK)
    })
}

/// Forgets a key, as if it had never been met. A link that stood on its being trusted is closed.
///
/// @param node  the node.
/// @param peer  the key.
/// @return VIXP2P_OK, VIXP2P_EMPTY if the key is not listed, VIXP2P_ERR_IO or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_forget_peer(node: *mut vixp2p_node, peer: *const vixp2p_peer_id) -> vixp2p_status {
    on_node("vixp2p_node_forget_peer", node, |inner| {
        // SAFETY: the caller promises NULL or a peer id.
        let peer = unsafe { read_ref(peer, "peer") }?;
        let was_listed = inner.node.forget(peer.into())?;
        Ok(if was_listed { VIXP2P_OK } else { VIXP2P_EMPTY })
    })
}

/// Every key that is trusted, pinned or revoked, in the order of the keys; also of a node that does not run.
///
/// @param node         the node.
/// @param infos        an array to fill; may be NULL if *inout_count is 0.
/// @param info_size    sizeof(vixp2p_trust_info).
/// @param inout_count  places in the array; becomes the number of keys. It may have grown before the next call: give spare room.
/// @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_trust_list(
    node: *const vixp2p_node,
    infos: *mut vixp2p_trust_info,
    info_size: usize,
    inout_count: *mut usize,
) -> vixp2p_status {
    on_node("vixp2p_node_trust_list", node, |inner| {
        let entries = inner.node.trusted();
        let write = |at: *mut u8, i: usize| {
            let mut info = describe(&entries[i]);
            info.struct_size = info_size.min(size_of::<vixp2p_trust_info>()) as u32;
            // SAFETY: write_array gives a place of info_size bytes.
            unsafe { write_sized(at, info_size, &info) };
        };
        // SAFETY: the caller promises *inout_count places of info_size bytes at infos.
        unsafe { write_array(infos.cast(), info_size, inout_count, entries.len(), write) }
    })
}

fn describe(entry: &TrustEntry) -> vixp2p_trust_info {
    let state = match entry.state {
        TrustState::Trusted => vixp2p_trust_state::VIXP2P_TRUST_STATE_TRUSTED,
        TrustState::Pinned => vixp2p_trust_state::VIXP2P_TRUST_STATE_PINNED,
        TrustState::Revoked => vixp2p_trust_state::VIXP2P_TRUST_STATE_REVOKED,
    };
    vixp2p_trust_info {
        struct_size: 0,
        state: state as i32,
        id: entry.peer.into(),
        added_s: entry.added_s.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(-1),
        label: fixed(&printable(&entry.label)),
    }
}
