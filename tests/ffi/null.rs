//! Every pointer of every function may be NULL: what is needed is refused by name, what is optional is left alone.

use std::ptr::{null, null_mut};

use vixp2p::ffi::vixp2p_status::*;
use vixp2p::ffi::*;

use crate::support::{last_error, polled};

pub(crate) type Row = (&'static str, &'static str, vixp2p_status);

/// An accessor that returns no status: what the last error says.
pub(crate) fn asked<T>(_value: T) -> vixp2p_status {
    vixp2p_last_error_code()
}

fn on_nodes(node: *mut vixp2p_node) -> Vec<Row> {
    let peer = &NOBODY;
    let (byte, len) = (c"x".as_ptr().cast(), 1);
    let mut event = null_mut();
    let event = &raw mut event;
    let slice = &SLICE;
    unsafe {
        vec![
            ("vixp2p_node_create", "options", created(null())),
            ("vixp2p_node_create", "out", vixp2p_node_create(null(), null_mut())),
            ("vixp2p_node_options_init", "options", vixp2p_node_options_init(null_mut(), 176)),
            ("vixp2p_node_start", "node", vixp2p_node_start(null_mut())),
            ("vixp2p_node_stop", "node", vixp2p_node_stop(null_mut(), 0)),
            ("vixp2p_node_id", "node", vixp2p_node_id(null(), &mut vixp2p_peer_id::default())),
            ("vixp2p_node_id", "out", vixp2p_node_id(node, null_mut())),
            ("vixp2p_node_port", "node", vixp2p_node_port(null(), &mut 0)),
            ("vixp2p_node_port", "out", vixp2p_node_port(node, null_mut())),
            ("vixp2p_node_disconnect", "node", vixp2p_node_disconnect(null_mut(), peer)),
            ("vixp2p_node_disconnect", "peer", vixp2p_node_disconnect(node, null())),
            ("vixp2p_node_send", "node", vixp2p_node_send(null_mut(), peer, byte, len)),
            ("vixp2p_node_send", "peer", vixp2p_node_send(node, null(), byte, len)),
            ("vixp2p_node_send", "data", vixp2p_node_send(node, peer, null(), len)),
            ("vixp2p_node_broadcast", "node", vixp2p_node_broadcast(null_mut(), byte, len, &mut 0)),
            ("vixp2p_node_broadcast", "data", vixp2p_node_broadcast(node, null(), len, &mut 0)),
            ("vixp2p_node_broadcast", "out_queued", vixp2p_node_broadcast(node, byte, len, null_mut())),
            ("vixp2p_node_append", "node", vixp2p_node_append(null_mut(), byte, len, &mut 0)),
            ("vixp2p_node_append", "data", vixp2p_node_append(node, null(), len, &mut 0)),
            ("vixp2p_node_append", "out_seq", vixp2p_node_append(node, byte, len, null_mut())),
            ("vixp2p_node_append_batch", "node", vixp2p_node_append_batch(null_mut(), slice, 1, &mut 0, &mut 0)),
            ("vixp2p_node_append_batch", "records", vixp2p_node_append_batch(node, null(), 1, &mut 0, &mut 0)),
            ("vixp2p_node_append_batch", "out_first", vixp2p_node_append_batch(node, slice, 1, null_mut(), &mut 0)),
            ("vixp2p_node_append_batch", "out_last", vixp2p_node_append_batch(node, slice, 1, &mut 0, null_mut())),
            ("vixp2p_node_set_applied", "node", vixp2p_node_set_applied(null_mut(), &vixp2p_log_id::default(), 0)),
            ("vixp2p_node_set_applied", "log", vixp2p_node_set_applied(node, null(), 0)),
            ("vixp2p_node_own_log", "node", vixp2p_node_own_log(null(), &mut vixp2p_log_id::default())),
            ("vixp2p_node_own_log", "out", vixp2p_node_own_log(node, null_mut())),
            ("vixp2p_node_logs", "node", vixp2p_node_logs(null(), null_mut(), 64, &mut 0)),
            ("vixp2p_node_logs", "states", vixp2p_node_logs(node, null_mut(), 64, &mut 1)),
            ("vixp2p_node_logs", "inout_count", vixp2p_node_logs(node, null_mut(), 64, null_mut())),
            ("vixp2p_node_peers", "node", vixp2p_node_peers(null(), null_mut(), 640, &mut 0)),
            ("vixp2p_node_peers", "infos", vixp2p_node_peers(node, null_mut(), 640, &mut 1)),
            ("vixp2p_node_peers", "inout_count", vixp2p_node_peers(node, null_mut(), 640, null_mut())),
            ("vixp2p_node_targets", "node", vixp2p_node_targets(null(), null_mut(), 704, &mut 0)),
            ("vixp2p_node_targets", "infos", vixp2p_node_targets(node, null_mut(), 704, &mut 1)),
            ("vixp2p_node_targets", "inout_count", vixp2p_node_targets(node, null_mut(), 704, null_mut())),
            ("vixp2p_node_discovered", "node", vixp2p_node_discovered(null(), null_mut(), 592, &mut 0)),
            ("vixp2p_node_discovered", "infos", vixp2p_node_discovered(node, null_mut(), 592, &mut 1)),
            ("vixp2p_node_discovered", "inout_count", vixp2p_node_discovered(node, null_mut(), 592, null_mut())),
            ("vixp2p_node_stats", "node", vixp2p_node_stats(null(), null_mut(), 0)),
            ("vixp2p_node_stats", "out", vixp2p_node_stats(node, null_mut(), 136)),
            ("vixp2p_node_set_log_level", "node", vixp2p_node_set_log_level(null_mut(), 2)),
            ("vixp2p_set_process_log", "callback", vixp2p_set_process_log(2, null())),
            ("vixp2p_node_set_log_callback", "node", vixp2p_node_set_log_callback(null_mut(), null())),
            ("vixp2p_node_set_log_callback", "callback", vixp2p_node_set_log_callback(node, null())),
            ("vixp2p_node_set_event_callback", "node", vixp2p_node_set_event_callback(null_mut(), null())),
            ("vixp2p_node_set_event_callback", "callback", vixp2p_node_set_event_callback(node, null())),
            ("vixp2p_node_set_message_callback", "node", vixp2p_node_set_message_callback(null_mut(), null())),
            ("vixp2p_node_set_message_callback", "callback", vixp2p_node_set_message_callback(node, null())),
            ("vixp2p_node_set_apply_callback", "node", vixp2p_node_set_apply_callback(null_mut(), null())),
            ("vixp2p_node_set_apply_callback", "callback", vixp2p_node_set_apply_callback(node, null())),
            ("vixp2p_node_event_fd", "node", asked(vixp2p_node_event_fd(null()))),
            ("vixp2p_node_next_event", "node", vixp2p_node_next_event(null_mut(), event)),
            ("vixp2p_node_next_event", "out", vixp2p_node_next_event(node, null_mut())),
            ("vixp2p_node_wait_event", "node", vixp2p_node_wait_event(null_mut(), 0, event)),
            ("vixp2p_node_wait_event", "out", vixp2p_node_wait_event(node, 0, null_mut())),
            ("vixp2p_node_dispatch", "node", vixp2p_node_dispatch(null_mut(), 0, &mut 0)),
            ("vixp2p_node_dispatch", "out_done", vixp2p_node_dispatch(node, 0, null_mut())),
        ]
    }
}

/// Calls about ways to peers.
fn on_routes(node: *mut vixp2p_node) -> Vec<Row> {
    let (peer, text) = (&NOBODY, c"127.0.0.1:1".as_ptr());
    unsafe {
        vec![
            ("vixp2p_node_connect", "node", vixp2p_node_connect(null_mut(), text)),
            ("vixp2p_node_connect", "endpoint", vixp2p_node_connect(node, null())),
            ("vixp2p_node_send_to", "node", vixp2p_node_send_to(null_mut(), peer, null(), 0, 0, null_mut())),
            ("vixp2p_node_send_to", "peer", vixp2p_node_send_to(node, null(), null(), 0, 0, null_mut())),
            ("vixp2p_node_send_to", "data", vixp2p_node_send_to(node, peer, null(), 1, 0, null_mut())),
            ("vixp2p_node_send_to", "out_number", vixp2p_node_send_to(node, peer, null(), 0, 0, null_mut())),
            ("vixp2p_node_route_set", "node", vixp2p_node_route_set(null_mut(), peer, peer, 0)),
            ("vixp2p_node_route_set", "peer", vixp2p_node_route_set(node, null(), peer, 0)),
            ("vixp2p_node_route_set", "next_hop", vixp2p_node_route_set(node, peer, null(), 0)),
            ("vixp2p_node_route_remove", "node", vixp2p_node_route_remove(null_mut(), peer)),
            ("vixp2p_node_route_remove", "peer", vixp2p_node_route_remove(node, null())),
            ("vixp2p_node_route_resolve", "node", vixp2p_node_route_resolve(null_mut(), peer, null_mut(), null_mut(), null_mut())),
            ("vixp2p_node_route_resolve", "peer", vixp2p_node_route_resolve(node, null(), null_mut(), null_mut(), null_mut())),
            ("vixp2p_node_route_resolve", "out_next_hop", vixp2p_node_route_resolve(node, peer, null_mut(), null_mut(), null_mut())),
            ("vixp2p_node_route_resolve", "out_via_relay", vixp2p_node_route_resolve(node, peer, null_mut(), null_mut(), null_mut())),
            ("vixp2p_node_route_resolve", "out_ttl", vixp2p_node_route_resolve(node, peer, null_mut(), null_mut(), null_mut())),
        ]
    }
}

fn on_applying(node: *mut vixp2p_node) -> Vec<Row> {
    let log = &vixp2p_log_id::default();
    unsafe {
        vec![
            ("vixp2p_node_apply_resume", "node", vixp2p_node_apply_resume(null_mut(), log, 0)),
            ("vixp2p_node_apply_resume", "log", vixp2p_node_apply_resume(node, null(), 0)),
            ("vixp2p_node_set_cursor_callback", "node", vixp2p_node_set_cursor_callback(null_mut(), null())),
            ("vixp2p_node_set_cursor_callback", "callback", vixp2p_node_set_cursor_callback(node, null())),
        ]
    }
}

fn on_keys(node: *mut vixp2p_node) -> Vec<Row> {
    let peer = &NOBODY;
    let text = c"127.0.0.1:1".as_ptr();
    unsafe {
        vec![
            ("vixp2p_node_connect_peer", "node", vixp2p_node_connect_peer(null_mut(), text, peer)),
            ("vixp2p_node_connect_peer", "endpoint", vixp2p_node_connect_peer(node, null(), peer)),
            ("vixp2p_node_connect_peer", "peer", vixp2p_node_connect_peer(node, text, null())),
            ("vixp2p_node_forget_endpoint", "node", vixp2p_node_forget_endpoint(null_mut(), c"h:1".as_ptr())),
            ("vixp2p_node_forget_endpoint", "endpoint", vixp2p_node_forget_endpoint(node, null())),
            ("vixp2p_node_network_changed", "node", vixp2p_node_network_changed(null_mut())),
            ("vixp2p_node_rekey", "node", vixp2p_node_rekey(null_mut(), peer)),
            ("vixp2p_node_rekey", "peer", vixp2p_node_rekey(node, null())),
            ("vixp2p_node_trust", "node", vixp2p_node_trust(null_mut(), peer, text)),
            ("vixp2p_node_trust", "peer", vixp2p_node_trust(node, null(), text)),
            ("vixp2p_node_trust", "label", vixp2p_node_trust(node, peer, null())),
            ("vixp2p_node_revoke", "node", vixp2p_node_revoke(null_mut(), peer)),
            ("vixp2p_node_revoke", "peer", vixp2p_node_revoke(node, null())),
            ("vixp2p_node_forget_peer", "node", vixp2p_node_forget_peer(null_mut(), peer)),
            ("vixp2p_node_forget_peer", "peer", vixp2p_node_forget_peer(node, null())),
            ("vixp2p_node_trust_list", "node", vixp2p_node_trust_list(null(), null_mut(), 304, &mut 0)),
            ("vixp2p_node_trust_list", "infos", vixp2p_node_trust_list(node, null_mut(), 304, &mut 1)),
            ("vixp2p_node_trust_list", "inout_count", vixp2p_node_trust_list(node, null_mut(), 304, null_mut())),
            ("vixp2p_node_capabilities", "node", vixp2p_node_capabilities(null(), peer, null_mut(), 520, &mut 0)),
            ("vixp2p_node_capabilities", "peer", vixp2p_node_capabilities(node, null(), null_mut(), 520, &mut 0)),
            ("vixp2p_node_capabilities", "infos", vixp2p_node_capabilities(node, peer, null_mut(), 520, &mut 1)),
            ("vixp2p_node_capabilities", "inout_count", vixp2p_node_capabilities(node, peer, null_mut(), 520, null_mut())),
            ("vixp2p_node_registry_peers", "node", vixp2p_node_registry_peers(null(), null_mut(), 520, &mut 0)),
            ("vixp2p_node_registry_peers", "peers", vixp2p_node_registry_peers(node, null_mut(), 520, &mut 1)),
            ("vixp2p_node_registry_peers", "inout_count", vixp2p_node_registry_peers(node, null_mut(), 520, null_mut())),
        ]
    }
}

fn on_events_and_ids(event: *const vixp2p_event) -> Vec<Row> {
    let mut id = vixp2p_peer_id::default();
    let mut text = [0; VIXP2P_PEER_ID_HEX_SIZE];
    let digits = [b'a'; 64];
    let hex = std::ffi::CString::new(digits).expect("no zero inside");
    let address = c"127.0.0.1:1".as_ptr();
    let addresses = &raw const address;
    unsafe {
        vec![
            ("vixp2p_peer_id_to_hex", "id", vixp2p_peer_id_to_hex(null(), text.as_mut_ptr(), text.len())),
            ("vixp2p_peer_id_to_hex", "out", vixp2p_peer_id_to_hex(&raw const id, null_mut(), text.len())),
            ("vixp2p_peer_id_from_hex", "hex", vixp2p_peer_id_from_hex(null(), &raw mut id)),
            ("vixp2p_peer_id_from_hex", "out", vixp2p_peer_id_from_hex(hex.as_ptr(), null_mut())),
            ("vixp2p_invite_make", "peer", vixp2p_invite_make(null(), addresses, 1, null(), 0, null_mut(), &mut 0)),
            ("vixp2p_invite_make", "addresses", vixp2p_invite_make(&NOBODY, null(), 1, null(), 0, null_mut(), &mut 0)),
            ("vixp2p_invite_make", "psk", vixp2p_invite_make(&NOBODY, addresses, 1, null(), 32, null_mut(), &mut 0)),
            ("vixp2p_invite_make", "out", vixp2p_invite_make(&NOBODY, addresses, 1, null(), 0, null_mut(), &mut 9)),
            ("vixp2p_invite_make", "inout_size", vixp2p_invite_make(&NOBODY, addresses, 1, null(), 0, null_mut(), null_mut())),
            ("vixp2p_invite_parse", "text", vixp2p_invite_parse(null(), null_mut(), 0)),
            ("vixp2p_invite_parse", "out", vixp2p_invite_parse(hex.as_ptr(), null_mut(), 0)),
            ("vixp2p_event_get_kind", "event", asked(vixp2p_event_get_kind(null()))),
            ("vixp2p_event_peer", "event", vixp2p_event_peer(null(), &raw mut id)),
            ("vixp2p_event_peer", "out", vixp2p_event_peer(event, null_mut())),
            ("vixp2p_event_former", "event", vixp2p_event_former(null(), &raw mut id)),
            ("vixp2p_event_former", "out", vixp2p_event_former(event, null_mut())),
            ("vixp2p_event_trusted", "event", asked(vixp2p_event_trusted(null()))),
            ("vixp2p_event_node_id", "event", asked(vixp2p_event_node_id(null()))),
            ("vixp2p_event_endpoint", "event", asked(vixp2p_event_endpoint(null()))),
            ("vixp2p_event_direction", "event", asked(vixp2p_event_direction(null()))),
            ("vixp2p_event_reason", "event", asked(vixp2p_event_reason(null()))),
            ("vixp2p_event_reason_text", "event", asked(vixp2p_event_reason_text(null()))),
            ("vixp2p_event_data", "event", asked(vixp2p_event_data(null(), &mut 0))),
            ("vixp2p_event_data", "out_len", asked(vixp2p_event_data(event, null_mut()))),
            ("vixp2p_event_log", "event", vixp2p_event_log(null(), &mut vixp2p_log_id::default())),
            ("vixp2p_event_log", "out", vixp2p_event_log(event, null_mut())),
            ("vixp2p_event_port", "event", asked(vixp2p_event_port(null()))),
            ("vixp2p_event_connected", "event", asked(vixp2p_event_connected(null()))),
            ("vixp2p_event_durable", "event", asked(vixp2p_event_durable(null()))),
            ("vixp2p_event_applied", "event", asked(vixp2p_event_applied(null()))),
            ("vixp2p_event_seq", "event", asked(vixp2p_event_seq(null()))),
            ("vixp2p_event_retry_in_ms", "event", asked(vixp2p_event_retry_in_ms(null()))),
            ("vixp2p_event_count", "event", asked(vixp2p_event_count(null()))),
            ("vixp2p_event_message_number", "event", asked(vixp2p_event_message_number(null()))),
            ("vixp2p_event_new_count", "event", asked(vixp2p_event_new_count(null()))),
            ("vixp2p_event_text", "event", asked(vixp2p_event_text(null()))),
            ("vixp2p_event_json", "event", asked(vixp2p_event_json(null()))),
        ]
    }
}

const NOBODY: vixp2p_peer_id = vixp2p_peer_id { bytes: [7; 32] };

const SLICE: vixp2p_slice = vixp2p_slice { data: null(), len: 0 };

unsafe fn created(options: *const vixp2p_node_options) -> vixp2p_status {
    let mut node = null_mut();
    let status = unsafe { vixp2p_node_create(options, &raw mut node) };
    unsafe { vixp2p_node_destroy(node) };
    status
}

/// What NULL may mean without being refused.
const MAY_BE_NULL: [(&str, &str); 21] = [
    ("vixp2p_node_send_to", "out_number"),
    ("vixp2p_node_route_resolve", "out_next_hop"),
    ("vixp2p_node_route_resolve", "out_via_relay"),
    ("vixp2p_node_route_resolve", "out_ttl"),
    ("vixp2p_node_trust", "label"),
    ("vixp2p_event_former", "out"),
    ("vixp2p_node_create", "options"),
    ("vixp2p_node_destroy", "node"),
    ("vixp2p_event_free", "event"),
    ("vixp2p_node_broadcast", "out_queued"),
    ("vixp2p_node_append", "out_seq"),
    ("vixp2p_node_append_batch", "out_first"),
    ("vixp2p_node_append_batch", "out_last"),
    ("vixp2p_node_dispatch", "out_done"),
    ("vixp2p_event_data", "out_len"),
    ("vixp2p_node_set_log_callback", "callback"),
    ("vixp2p_node_set_event_callback", "callback"),
    ("vixp2p_node_set_message_callback", "callback"),
    ("vixp2p_node_set_apply_callback", "callback"),
    ("vixp2p_node_set_cursor_callback", "callback"),
    ("vixp2p_event_log", "out"),
];

#[test]
fn null_is_refused_wherever_it_means_nothing() {
    let node = polled(c"sweep");
    node.start();
    let event = node.until(vixp2p_event_kind::VIXP2P_EVENT_STARTED);
    unsafe {
        vixp2p_node_destroy(null_mut());
        vixp2p_event_free(null_mut());
    }
    let mut rows = on_nodes(node.0);
    rows.extend(on_applying(node.0));
    rows.extend(on_routes(node.0));
    rows.extend(on_keys(node.0));
    rows.extend(on_events_and_ids(event.0));
    for (function, parameter, status) in &rows {
        let expected = match *parameter {
            _ if MAY_BE_NULL.contains(&(function, parameter)) => continue,
            "node" | "event" => VIXP2P_ERR_BAD_HANDLE,
            _ if (*function, *parameter) == ("vixp2p_event_peer", "out") => VIXP2P_EMPTY,
            _ => VIXP2P_ERR_INVALID,
        };
        assert_eq!(*status, expected, "{function}({parameter} = NULL)");
    }
    let created = rows.iter().find(|row| row.1 == "options").expect("a row");
    assert_eq!(created.2, VIXP2P_OK, "{}", last_error());
}

#[test]
fn the_sweep_has_a_row_for_every_pointer_of_the_header() {
    let node = polled(c"sweep");
    let pairs = |rows: Vec<Row>| rows.into_iter().map(|row| (row.0.into(), row.1.into())).collect::<Vec<(String, String)>>();
    let mut rows = pairs(on_nodes(node.0));
    rows.extend(pairs(on_applying(node.0)));
    rows.extend(pairs(on_routes(node.0)));
    rows.extend(pairs(on_keys(node.0)));
    // An event is only looked at where one is needed.
    node.start();
    let event = node.until(vixp2p_event_kind::VIXP2P_EVENT_STARTED);
    rows.extend(pairs(on_events_and_ids(event.0)));
    rows.extend(pairs(crate::null_sync::rows(node.0, event.0)));
    rows.extend([("vixp2p_subscription_free", "subscription"), ("vixp2p_operation_free", "operation")].map(|(f, p)| (f.into(), p.into())));
    rows.extend([("vixp2p_node_destroy".into(), "node".into()), ("vixp2p_event_free".into(), "event".into())]);
    let header = include_str!("../../include/vixp2p.h");
    for declaration in header.split("\nVIXP2P_API").skip(1).map(|rest| &rest[..rest.find(';').expect("an end")]) {
        let (head, list) = declaration.split_once('(').expect("a list");
        let function = head.rsplit([' ', '*', '\n']).next().expect("a name");
        for parameter in list.trim_end_matches(')').split(',').filter(|p| p.contains('*')) {
            let name = parameter.rsplit('*').next().expect("a name").trim();
            assert!(rows.contains(&(function.into(), name.into())), "{function}({name}) is never NULL in the sweep");
        }
    }
}
