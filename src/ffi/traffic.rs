//! Connecting and talking to peers: a thin line to the node. Never waits for the network.

use std::ffi::{c_char, c_void};

use crate::base::Endpoint;
use crate::ffi::boundary::{Failure, read_bytes, read_ref, read_str, write_optional};
use crate::ffi::handle::on_node;
use crate::ffi::status::{VIXP2P_OK, vixp2p_status};
use crate::ffi::types::{vixp2p_node, vixp2p_peer_id};

/// Wants a link to an address, now and again after every loss, until vixp2p_node_disconnect(). Returns at once; events tell the
/// rest: VIXP2P_EVENT_PEER_CONNECTED, or VIXP2P_EVENT_CONNECT_FAILED with the time of the next attempt.
///
/// @param node      a running node.
/// @param endpoint  "host:port" or "tcp://host:port", an IPv6 address in brackets.
/// @return VIXP2P_OK, VIXP2P_ERR_INVALID, VIXP2P_ERR_STOPPED or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_connect(node: *mut vixp2p_node, endpoint: *const c_char) -> vixp2p_status {
    on_node("vixp2p_node_connect", node, |inner| {
        // SAFETY: the caller promises NULL or a zero-terminated string.
        let text = unsafe { read_str(endpoint, "endpoint") }?.ok_or_else(|| Failure::null("endpoint"))?;
        inner.node.connect(text.parse::<Endpoint>()?)?;
        Ok(VIXP2P_OK)
    })
}

/// Ends the link to a peer, if there is one, and stops dialling it.
///
/// @param node  a running node.
/// @param peer  whom.
/// @return VIXP2P_OK, VIXP2P_ERR_STOPPED or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_disconnect(node: *mut vixp2p_node, peer: *const vixp2p_peer_id) -> vixp2p_status {
    on_node("vixp2p_node_disconnect", node, |inner| {
        // SAFETY: the caller promises NULL or a peer id.
        let peer = unsafe { read_ref(peer, "peer") }?;
        inner.node.disconnect(peer.into())?;
        Ok(VIXP2P_OK)
    })
}

/// Stops dialling an address, also one where nobody ever answered. A link that stands stays.
///
/// @param node      a running node.
/// @param endpoint  the address, as given to vixp2p_node_connect().
/// @return VIXP2P_OK, also for an address that is not being dialled, VIXP2P_ERR_STOPPED or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_forget_endpoint(node: *mut vixp2p_node, endpoint: *const c_char) -> vixp2p_status {
    on_node("vixp2p_node_forget_endpoint", node, |inner| {
        // SAFETY: the caller promises NULL or a zero-terminated string.
        let text = unsafe { read_str(endpoint, "endpoint") }?.ok_or_else(|| Failure::null("endpoint"))?;
        inner.node.forget_endpoint(text.parse()?)?;
        Ok(VIXP2P_OK)
    })
}

/// Tells that the network is another one: an interface came or went, the machine woke up. Every link is asked for a sign of life and
/// closed without one within two seconds, and what is not connected is dialled at once, however often that failed before.
///
/// @param node  a running node.
/// @return VIXP2P_OK, VIXP2P_ERR_STOPPED or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_network_changed(node: *mut vixp2p_node) -> vixp2p_status {
    on_node("vixp2p_node_network_changed", node, |inner| {
        inner.node.network_changed()?;
        Ok(VIXP2P_OK)
    })
}

/// Agrees on fresh keys with a connected peer, ahead of time: whoever stole the keys in use can open nothing that is sent
/// afterwards. VIXP2P_EVENT_FRESH_KEYS tells when both directions use them.
///
/// @param node  a running node.
/// @param peer  whom.
/// @return VIXP2P_OK, VIXP2P_ERR_NOT_CONNECTED, VIXP2P_ERR_STOPPED or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_rekey(node: *mut vixp2p_node, peer: *const vixp2p_peer_id) -> vixp2p_status {
    on_node("vixp2p_node_rekey", node, |inner| {
        // SAFETY: the caller promises NULL or a peer id.
        let peer = unsafe { read_ref(peer, "peer") }?;
        inner.node.rekey(peer.into())?;
        Ok(VIXP2P_OK)
    })
}

/// Queues a message to a connected peer. Messages to one peer arrive in order, each at most once, as long as the link stands;
/// what must survive a lost link belongs into the log.
///
/// @param node  a running node.
/// @param peer  whom.
/// @param data  the message; may be NULL if len is 0.
/// @param len   its length, at most 16 MiB.
/// @return VIXP2P_OK; VIXP2P_ERR_WOULD_BLOCK if the queue is full (nothing was taken, try again later);
///         VIXP2P_ERR_NOT_CONNECTED, VIXP2P_ERR_TOO_LARGE, VIXP2P_ERR_STOPPED or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_send(
    node: *mut vixp2p_node,
    peer: *const vixp2p_peer_id,
    data: *const c_void,
    len: usize,
) -> vixp2p_status {
    on_node("vixp2p_node_send", node, |inner| {
        // SAFETY: the caller promises NULL or a peer id, and len bytes at data.
        let (peer, data) = unsafe { (read_ref(peer, "peer")?, read_bytes(data, len, "data")?) };
        inner.node.send(peer.into(), data)?;
        Ok(VIXP2P_OK)
    })
}

/// Queues a message to every connected peer whose queue has room.
///
/// @param node        a running node.
/// @param data        the message; may be NULL if len is 0.
/// @param len         its length, at most 16 MiB.
/// @param out_queued  where the number of peers whose queue took it goes; may be NULL.
/// @return VIXP2P_OK (even if no peer took it), VIXP2P_ERR_TOO_LARGE, VIXP2P_ERR_STOPPED or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_broadcast(
    node: *mut vixp2p_node,
    data: *const c_void,
    len: usize,
    out_queued: *mut usize,
) -> vixp2p_status {
    on_node("vixp2p_node_broadcast", node, |inner| {
        // SAFETY: the caller promises len bytes at data.
        let data = unsafe { read_bytes(data, len, "data") }?;
        let queued = inner.node.broadcast(data)?;
        // SAFETY: the caller promises NULL or a place for the number.
        unsafe { write_optional(out_queued, queued) };
        Ok(VIXP2P_OK)
    })
}
