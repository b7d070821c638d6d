//! NULL for every pointer of the functions that follow logs, wait for them, and put and execute operations.

use std::ffi::c_int;
use std::ptr::{null, null_mut};

use vixp2p::ffi::*;

use crate::null::{Row, asked};
use crate::support::{Node, polled};

fn follower(node: *mut vixp2p_node) -> *mut vixp2p_subscription {
    let mut made = null_mut();
    unsafe { vixp2p_node_subscribe(node, null(), 0, VIXP2P_SUBSCRIBE_ALL, &raw mut made) };
    made
}

fn snapshot_rows(node: *mut vixp2p_node) -> Vec<Row> {
    let none = null_mut();
    unsafe {
        vec![
            ("vixp2p_snapshot_make", "node", vixp2p_snapshot_make(none)),
            ("vixp2p_snapshot_list", "node", vixp2p_snapshot_list(none, null_mut(), 192, &mut 0)),
            ("vixp2p_snapshot_list", "infos", vixp2p_snapshot_list(node, null_mut(), 192, &mut 1)),
            ("vixp2p_snapshot_list", "inout_count", vixp2p_snapshot_list(node, null_mut(), 192, null_mut())),
            ("vixp2p_log_truncate", "node", vixp2p_log_truncate(none, &mut 0)),
            ("vixp2p_log_truncate", "out_bytes", vixp2p_log_truncate(node, null_mut())),
            ("vixp2p_node_set_snapshot_callback", "node", vixp2p_node_set_snapshot_callback(none, null())),
            ("vixp2p_node_set_snapshot_callback", "callback", vixp2p_node_set_snapshot_callback(node, null())),
            ("vixp2p_snapshot_write", "writer", vixp2p_snapshot_write(null_mut(), null(), 0)),
            ("vixp2p_snapshot_write", "data", vixp2p_snapshot_write(null_mut(), null(), 1)),
            ("vixp2p_snapshot_read", "reader", vixp2p_snapshot_read(null_mut(), null_mut(), 0, &mut 0)),
            ("vixp2p_snapshot_read", "out", vixp2p_snapshot_read(null_mut(), null_mut(), 1, &mut 0)),
            ("vixp2p_snapshot_read", "out_len", vixp2p_snapshot_read(null_mut(), null_mut(), 0, null_mut())),
            ("vixp2p_snapshot_places", "reader", vixp2p_snapshot_places(null_mut(), null_mut(), &mut 0)),
            ("vixp2p_snapshot_places", "places", vixp2p_snapshot_places(null_mut(), null_mut(), &mut 1)),
            ("vixp2p_snapshot_places", "inout_count", vixp2p_snapshot_places(null_mut(), null_mut(), null_mut())),
            ("vixp2p_event_bytes", "event", asked(vixp2p_event_bytes(null()))),
        ]
    }
}

/// Of a node that keeps values: another one refuses them whatever it is given.
fn values_rows() -> Vec<Row> {
    let keeper = polled(c"keeper");
    let node = keeper.0;
    assert_eq!(unsafe { vixp2p_values_keep(node) }, vixp2p_status::VIXP2P_OK);
    let (none, text) = (null_mut(), c"k".as_ptr().cast());
    unsafe {
        vec![
            ("vixp2p_values_keep", "node", vixp2p_values_keep(none)),
            ("vixp2p_values_put", "node", vixp2p_values_put(none, text, 1, text, 1)),
            ("vixp2p_values_put", "key", vixp2p_values_put(node, null(), 1, text, 1)),
            ("vixp2p_values_put", "value", vixp2p_values_put(node, text, 1, null(), 1)),
            ("vixp2p_values_remove", "node", vixp2p_values_remove(none, text, 1)),
            ("vixp2p_values_remove", "key", vixp2p_values_remove(node, null(), 1)),
            ("vixp2p_values_get", "node", vixp2p_values_get(none, text, 1, null_mut(), &mut 0)),
            ("vixp2p_values_get", "key", vixp2p_values_get(node, null(), 1, null_mut(), &mut 0)),
            ("vixp2p_values_get", "out", vixp2p_values_get(node, text, 1, null_mut(), &mut 1)),
            ("vixp2p_values_get", "inout_len", vixp2p_values_get(node, text, 1, null_mut(), null_mut())),
            ("vixp2p_values_next_key", "node", vixp2p_values_next_key(none, null(), 0, null_mut(), &mut 0)),
            ("vixp2p_values_next_key", "after", vixp2p_values_next_key(node, null(), 1, null_mut(), &mut 0)),
            ("vixp2p_values_next_key", "out", vixp2p_values_next_key(node, null(), 0, null_mut(), &mut 1)),
            ("vixp2p_values_next_key", "inout_len", vixp2p_values_next_key(node, null(), 0, null_mut(), null_mut())),
        ]
    }
}

/// The rows of a running node.
pub(crate) fn rows(node: *mut vixp2p_node, event: *const vixp2p_event) -> Vec<Row> {
    let (log, peer, id) = (&vixp2p_log_id::default(), &vixp2p_peer_id::default(), &vixp2p_op_id::default());
    let (none, kind) = (null_mut(), c"k".as_ptr());
    let followed = follower(node);
    let (bytes, mut at) = (vixp2p_slice { data: c"x".as_ptr().cast(), len: 1 }, vixp2p_log_id::default());
    let (mut made, mut record, mut operation) = (null_mut(), null(), null());
    let (made, record, operation) = (&raw mut made, &raw mut record, &raw mut operation);
    let fd = |subscription| -> c_int { unsafe { vixp2p_subscription_fd(subscription) } };
    let mut rows = snapshot_rows(node);
    rows.extend(values_rows());
    rows.extend(unsafe {
        vec![
            ("vixp2p_node_flush", "node", vixp2p_node_flush(none, &mut 0)),
            ("vixp2p_node_flush", "out_durable", vixp2p_node_flush(node, null_mut())),
            ("vixp2p_node_wait_ack", "node", vixp2p_node_wait_ack(none, log, 1, peer, 1, 0, 0, &mut 0)),
            ("vixp2p_node_wait_ack", "log", vixp2p_node_wait_ack(node, null(), 1, peer, 1, 0, 0, &mut 0)),
            ("vixp2p_node_wait_ack", "peers", vixp2p_node_wait_ack(node, log, 1, null(), 1, 0, 0, &mut 0)),
            ("vixp2p_node_wait_ack", "out_reached", vixp2p_node_wait_ack(node, log, 1, peer, 1, 0, 0, null_mut())),
            ("vixp2p_node_append_records", "node", vixp2p_node_append_records(none, &bytes, 1, &mut at, &mut 0, &mut 0)),
            ("vixp2p_node_append_records", "records", vixp2p_node_append_records(node, null(), 1, &mut at, &mut 0, &mut 0)),
            ("vixp2p_node_append_records", "out_log", vixp2p_node_append_records(node, &bytes, 1, null_mut(), &mut 0, &mut 0)),
            ("vixp2p_node_append_records", "out_first", vixp2p_node_append_records(node, &bytes, 1, &mut at, null_mut(), &mut 0)),
            ("vixp2p_node_append_records", "out_last", vixp2p_node_append_records(node, &bytes, 1, &mut at, &mut 0, null_mut())),
            ("vixp2p_node_sync_status", "node", vixp2p_node_sync_status(null(), null_mut(), 128, &mut 0)),
            ("vixp2p_node_sync_status", "states", vixp2p_node_sync_status(node, null_mut(), 128, &mut 1)),
            ("vixp2p_node_sync_status", "inout_count", vixp2p_node_sync_status(node, null_mut(), 128, null_mut())),
            ("vixp2p_node_subscribe", "node", vixp2p_node_subscribe(none, null(), 0, 1, made)),
            ("vixp2p_node_subscribe", "cursors", vixp2p_node_subscribe(node, null(), 1, 1, made)),
            ("vixp2p_node_subscribe", "out", vixp2p_node_subscribe(node, null(), 0, 1, null_mut())),
            ("vixp2p_subscription_next", "subscription", vixp2p_subscription_next(null_mut(), 0, record)),
            ("vixp2p_subscription_next", "out", vixp2p_subscription_next(followed, 0, null_mut())),
            ("vixp2p_subscription_fd", "subscription", asked(fd(null()))),
            ("vixp2p_subscription_cursor", "subscription", vixp2p_subscription_cursor(null(), null_mut(), &mut 0)),
            ("vixp2p_subscription_cursor", "cursors", vixp2p_subscription_cursor(followed, null_mut(), &mut 1)),
            ("vixp2p_subscription_cursor", "inout_count", vixp2p_subscription_cursor(followed, null_mut(), null_mut())),
            ("vixp2p_outbox_put", "node", vixp2p_outbox_put(none, peer, kind, null(), 0, null(), 0, null_mut())),
            ("vixp2p_outbox_put", "target", vixp2p_outbox_put(node, null(), kind, null(), 0, null(), 0, null_mut())),
            ("vixp2p_outbox_put", "kind", vixp2p_outbox_put(node, peer, null(), null(), 0, null(), 0, null_mut())),
            ("vixp2p_outbox_put", "key", vixp2p_outbox_put(node, peer, kind, null(), 1, null(), 0, null_mut())),
            ("vixp2p_outbox_put", "data", vixp2p_outbox_put(node, peer, kind, null(), 0, null(), 1, null_mut())),
            ("vixp2p_outbox_put", "out", vixp2p_outbox_put(node, null(), kind, null(), 0, null(), 0, null_mut())),
            ("vixp2p_outbox_claim", "node", vixp2p_outbox_claim(none, 0, operation)),
            ("vixp2p_outbox_claim", "out", vixp2p_outbox_claim(node, 0, null_mut())),
            ("vixp2p_outbox_done", "node", vixp2p_outbox_done(none, id)),
            ("vixp2p_outbox_done", "id", vixp2p_outbox_done(node, null())),
            ("vixp2p_outbox_fail", "node", vixp2p_outbox_fail(none, id, 0, kind)),
            ("vixp2p_outbox_fail", "id", vixp2p_outbox_fail(node, null(), 0, kind)),
            ("vixp2p_outbox_fail", "detail", vixp2p_outbox_fail(node, id, 0, null())),
            ("vixp2p_outbox_wait", "node", vixp2p_outbox_wait(none, id, 0, &mut 0)),
            ("vixp2p_outbox_wait", "id", vixp2p_outbox_wait(node, null(), 0, &mut 0)),
            ("vixp2p_outbox_wait", "out_state", vixp2p_outbox_wait(node, id, 0, null_mut())),
            ("vixp2p_outbox_list", "node", vixp2p_outbox_list(none, null_mut(), 432, &mut 0)),
            ("vixp2p_outbox_list", "infos", vixp2p_outbox_list(node, null_mut(), 432, &mut 1)),
            ("vixp2p_outbox_list", "inout_count", vixp2p_outbox_list(node, null_mut(), 432, null_mut())),
            ("vixp2p_outbox_prune", "node", vixp2p_outbox_prune(none, null(), &mut 0)),
            ("vixp2p_outbox_prune", "id", vixp2p_outbox_prune(node, null(), &mut 0)),
            ("vixp2p_outbox_prune", "out_count", vixp2p_outbox_prune(node, id, null_mut())),
            ("vixp2p_outbox_ask", "node", vixp2p_outbox_ask(none, peer, peer, 1)),
            ("vixp2p_outbox_ask", "peer", vixp2p_outbox_ask(node, null(), peer, 1)),
            ("vixp2p_outbox_ask", "target", vixp2p_outbox_ask(node, peer, null(), 1)),
            ("vixp2p_event_target", "event", vixp2p_event_target(null(), &mut vixp2p_peer_id::default())),
            ("vixp2p_event_target", "out", vixp2p_event_target(event, null_mut())),
        ]
    });
    unsafe { vixp2p_subscription_free(followed) };
    rows
}

/// Pointers that may be NULL.
const MAY_BE_NULL: &[(&str, &str)] = &[
    ("vixp2p_node_flush", "out_durable"),
    ("vixp2p_node_append_records", "out_log"),
    ("vixp2p_node_append_records", "out_first"),
    ("vixp2p_node_append_records", "out_last"),
    ("vixp2p_node_wait_ack", "peers"),
    ("vixp2p_node_wait_ack", "out_reached"),
    ("vixp2p_log_truncate", "out_bytes"),
    ("vixp2p_node_set_snapshot_callback", "callback"),
    ("vixp2p_outbox_put", "target"),
    ("vixp2p_outbox_put", "out"),
    ("vixp2p_outbox_prune", "id"),
    ("vixp2p_outbox_prune", "out_count"),
    // Of an event without a target nothing is written.
    ("vixp2p_event_target", "out"),
];

#[test]
fn null_for_any_pointer_is_a_status_also_of_those_that_follow_logs() {
    use vixp2p_status::{VIXP2P_ERR_BAD_HANDLE, VIXP2P_ERR_INVALID, VIXP2P_ERR_STOPPED};
    let node: Node = polled(c"null");
    node.start();
    let event = node.until(vixp2p_event_kind::VIXP2P_EVENT_STARTED);
    for (function, parameter, status) in rows(node.0, event.0) {
        let may_be_null = MAY_BE_NULL.contains(&(function, parameter));
        match parameter {
            _ if may_be_null => assert!(!matches!(status, VIXP2P_ERR_INVALID | VIXP2P_ERR_STOPPED), "{function}({parameter} = NULL)"),
            "node" | "event" | "subscription" => assert_eq!(status, VIXP2P_ERR_BAD_HANDLE, "{function}({parameter} = NULL)"),
            // An operation that nobody put is refused with or without a pointer.
            _ => assert_eq!(status, VIXP2P_ERR_INVALID, "{function}({parameter} = NULL)"),
        }
    }
}
