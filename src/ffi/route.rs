//! Messages to peers that need not be connected, and the ways to them: a thin line to the node. Never waits for the network.

use std::ffi::c_void;
use std::time::Duration;

use crate::base::limits;
use crate::ffi::boundary::{Failure, read_bytes, read_ref, write_optional};
use crate::ffi::handle::on_node;
use crate::ffi::status::{VIXP2P_EMPTY, VIXP2P_OK, vixp2p_status};
use crate::ffi::types::{vixp2p_node, vixp2p_peer_id};

/// Sends a message to a peer, connected or not: over its link, or over relays that the node finds by itself. It is sealed end to end:
/// relays can neither read nor alter it. The recipient gets it like any message from this node, at most once, in no promised order;
/// VIXP2P_EVENT_DELIVERED or VIXP2P_EVENT_UNDELIVERED tells here what became of it within its life. A node that stops forgets what is
/// under way. For few messages: vixp2p_node_send() to a connected peer is faster and keeps order, the log survives everything.
///
/// @param node        a running node.
/// @param peer        whom; not the node itself.
/// @param data        the message; may be NULL if len is 0.
/// @param len         its length, at most 64 KiB.
/// @param life_ms     how long it is tried, at most ten minutes; 0: 30 s.
/// @param out_number  where the message's number goes, which its event carries; may be NULL.
/// @return VIXP2P_OK; VIXP2P_ERR_WOULD_BLOCK if too many messages are under way, or the events of too many wait to
///         be read (nothing was taken); VIXP2P_ERR_TOO_LARGE, VIXP2P_ERR_INVALID, VIXP2P_ERR_STOPPED or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_send_to(
    node: *mut vixp2p_node,
    peer: *const vixp2p_peer_id,
    data: *const c_void,
    len: usize,
    life_ms: u32,
    out_number: *mut u64,
) -> vixp2p_status {
    on_node("vixp2p_node_send_to", node, |inner| {
        // SAFETY: the caller promises NULL or a peer id, and len bytes at data.
        let (peer, data) = unsafe { (read_ref(peer, "peer")?, read_bytes(data, len, "data")?) };
        let life = (life_ms > 0).then(|| Duration::from_millis(life_ms.into()));
        let number = inner.node.send_to(peer.into(), data, life)?;
        // SAFETY: the caller promises NULL or a place for the number.
        unsafe { write_optional(out_number, number) };
        Ok(VIXP2P_OK)
    })
}

/// Says by which neighbour a peer is reached. Taken by vixp2p_node_send_to() whenever next_hop is connected and the peer itself is not;
/// without it a way is searched. Holds, also while the node is stopped, until it is removed or the node destroyed.
///
/// @param node      a node, running or not.
/// @param peer      who is reached; not the node itself.
/// @param next_hop  the neighbour that gets what is for the peer.
/// @param ttl       links a message may pass, 1 to 8; 0: 8.
/// @return VIXP2P_OK, VIXP2P_ERR_INVALID or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_route_set(
    node: *mut vixp2p_node,
    peer: *const vixp2p_peer_id,
    next_hop: *const vixp2p_peer_id,
    ttl: u32,
) -> vixp2p_status {
    on_node("vixp2p_node_route_set", node, |inner| {
        // SAFETY: the caller promises NULL or a peer id.
        let (peer, next_hop) = unsafe { (read_ref(peer, "peer")?, read_ref(next_hop, "next_hop")?) };
        let ttl = if ttl == 0 { u32::from(limits::ROUTE_TTL) } else { ttl };
        let ttl = u8::try_from(ttl).map_err(|_| Failure::invalid(format!("ttl is {ttl}; possible are 1 to {}", limits::ROUTE_TTL)))?;
        inner.node.set_route(peer.into(), next_hop.into(), ttl)?;
        Ok(VIXP2P_OK)
    })
}

/// Takes back what vixp2p_node_route_set() said about a peer, and forgets what was found by searching.
///
/// @param node  a node, running or not.
/// @param peer  who was reached.
/// @return VIXP2P_OK; VIXP2P_EMPTY if nothing had been said; or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_route_remove(node: *mut vixp2p_node, peer: *const vixp2p_peer_id) -> vixp2p_status {
    on_node("vixp2p_node_route_remove", node, |inner| {
        // SAFETY: the caller promises NULL or a peer id.
        let peer = unsafe { read_ref(peer, "peer") }?;
        Ok(if inner.node.remove_route(peer.into()) { VIXP2P_OK } else { VIXP2P_EMPTY })
    })
}

/// The way a message to a peer would take now: straight to a connected peer, else as the program said, else as it was found.
///
/// @param node           a node.
/// @param peer           who is reached.
/// @param out_next_hop   where the neighbour's id goes; may be NULL.
/// @param out_via_relay  where 1 goes if that neighbour passes it on, 0 if it is the peer itself; may be NULL.
/// @param out_ttl        where the number of links a message may pass goes; may be NULL.
/// @return VIXP2P_OK; VIXP2P_EMPTY if a way would have to be searched, or the node does not run; or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_route_resolve(
    node: *mut vixp2p_node,
    peer: *const vixp2p_peer_id,
    out_next_hop: *mut vixp2p_peer_id,
    out_via_relay: *mut i32,
    out_ttl: *mut u32,
) -> vixp2p_status {
    on_node("vixp2p_node_route_resolve", node, |inner| {
        // SAFETY: the caller promises NULL or a peer id.
        let peer = unsafe { read_ref(peer, "peer") }?;
        let Some(route) = inner.node.route(peer.into()) else { return Ok(VIXP2P_EMPTY) };
        // SAFETY: the caller promises NULL or a place for each result.
        unsafe {
            write_optional(out_next_hop, route.next_hop.into());
            write_optional(out_via_relay, i32::from(route.via_relay));
            write_optional(out_ttl, u32::from(route.ttl));
        }
        Ok(VIXP2P_OK)
    })
}
