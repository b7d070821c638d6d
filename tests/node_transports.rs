//! The same node over every transport: Unix sockets and pipes within the process beside TCP.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{Peer, config};
use vixp2p::base::config::{Listen, Psk};
use vixp2p::base::{CloseReason, limits};
use vixp2p::{Config, Endpoint, Error, Event};

/// Settings of a node that listens at one place and not on TCP.
fn at(name: &str, place: &Endpoint) -> Config {
    Config { listen: Listen::Off, listen_also: vec![place.clone()], ..config(name) }
}

fn nowhere(name: &str) -> Config {
    Config { listen: Listen::Off, ..config(name) }
}

fn socket(dir: &tempfile::TempDir) -> Endpoint {
    Endpoint::unix(dir.path().join("node.sock").to_str().expect("text")).expect("short path")
}

fn mem(name: &str) -> Endpoint {
    Endpoint::mem(name).expect("short name")
}

/// Every transport that is not TCP, at a place nobody else uses.
fn places(dir: &tempfile::TempDir, name: &str) -> [Endpoint; 2] {
    [socket(dir), mem(name)]
}

fn meet(dialler: &mut Peer, listener: &mut Peer, place: &Endpoint) {
    dialler.node.connect(place.clone()).expect("dials");
    assert_eq!(dialler.expect_connected(), listener.id());
    assert_eq!(listener.expect_connected(), dialler.id());
}

#[test]
fn nodes_meet_and_talk_over_every_transport() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for place in places(&dir, "talk") {
        let (mut a, mut b) = (Peer::start(nowhere("a")), Peer::start(at("b", &place)));
        meet(&mut a, &mut b, &place);
        assert_eq!(a.node.port() + b.node.port(), 0, "no TCP");
        assert!([&a, &b].iter().all(|peer| peer.node.peers()[0].endpoint == place && peer.node.peers()[0].secure));
        let large: Vec<u8> = (0..limits::MESSAGE_MAX_BYTES).map(|i| (i % 251) as u8).collect();
        for payload in [&b""[..], b"small", &large, b"after"] {
            a.send(b.id(), payload);
            b.send(a.id(), payload);
            assert!(b.receive(1)[0] == payload && a.receive(1)[0] == payload, "{place}: {} bytes", payload.len());
        }
    }
}

#[test]
fn records_go_over_every_transport_and_a_middle_node_joins_two_of_them() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let [unix, mem] = places(&dir, "records");
    let mut middle = Peer::start(Config { listen_also: vec![unix.clone(), mem.clone()], ..config("middle") });
    let mut ends = [("by-unix", unix), ("by-mem", mem), ("by-tcp", middle.endpoint())].map(|(name, place)| {
        let mut end = Peer::start(nowhere(name));
        meet(&mut end, &mut middle, &place);
        end
    });
    for end in &mut ends {
        end.append((0..20).map(|n| format!("record {n}")));
    }
    for end in &ends {
        ends.iter().for_each(|other| other.expect_log(end.node.own_log(), 20, 20));
    }
}

#[test]
fn a_node_that_ends_and_comes_back_is_redialled_over_every_transport() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for place in places(&dir, "back") {
        let mut a = Peer::start(nowhere("a"));
        let data = dir.path().join(place.scheme.name());
        let settings = || Config { data_dir: Some(data.clone()), ..at("b", &place) };
        let mut b = Peer::start(settings());
        meet(&mut a, &mut b, &place);
        let id = b.id();
        // Nothing is said goodbye to: the tasks of a dropped node are cut off, or end, as their runtime does.
        drop(b);
        a.expect_disconnected();
        common::eventually("the directory is given up", || !vixp2p::driver::disk::is_owned(&data));
        let mut b = Peer::start(settings());
        assert_eq!((a.expect_connected(), b.expect_connected()), (id, a.id()));
        a.send(id, b"again");
        assert_eq!(b.receive(1)[0], "again");
    }
}

#[test]
fn a_place_is_free_again_after_a_stop_and_taken_until_then() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for place in places(&dir, "place") {
        let first = Peer::start(at("first", &place));
        let second = Peer::open(at("second", &place));
        assert!(matches!(second.node.start(), Err(Error::Invalid(why)) if why.contains(&place.to_string())));
        assert!(!second.node.is_running());
        first.node.stop_blocking();
        second.node.start().expect("free now");
        let (mut third, mut second) = (Peer::start(nowhere("third")), second);
        meet(&mut third, &mut second, &place);
    }
}

#[test]
fn a_stale_socket_file_is_replaced_and_the_new_one_is_private_and_goes_with_the_node() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let place = socket(&dir);
    drop(std::os::unix::net::UnixListener::bind(&place.host).expect("leaves its file"));
    let (mut a, mut b) = (Peer::start(nowhere("a")), Peer::start(at("b", &place)));
    meet(&mut a, &mut b, &place);
    assert_eq!(fs::metadata(&place.host).expect("there").permissions().mode() & 0o777, 0o600);
    b.node.stop_blocking();
    assert!(!fs::exists(&place.host).expect("looks"));
}

#[test]
fn nobody_at_a_place_is_a_failed_dial_that_is_tried_again() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for place in places(&dir, "nobody") {
        let mut a = Peer::start(nowhere("a"));
        a.node.connect(place.clone()).expect("dials");
        let (reason, retry) = a.expect_connect_failed();
        assert!(matches!(reason, CloseReason::Refused(_)) && retry.is_some(), "{place}: {reason}");
    }
}

#[test]
fn the_handshake_is_the_same_and_a_wrong_secret_is_refused_over_every_transport() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for place in places(&dir, "secret") {
        let psk = |n| Some(Psk::new([n; 32]));
        let mut b = Peer::start(Config { psk: psk(1), ..at("b", &place) });
        let mut wrong = Peer::start(Config { psk: psk(2), ..nowhere("wrong") });
        wrong.node.connect(place.clone()).expect("dials");
        assert!(matches!(wrong.expect_handshake_failed(), CloseReason::Lost(_) | CloseReason::HandshakeFailed(_)));
        let mut right = Peer::start(Config { psk: psk(1), ..nowhere("right") });
        meet(&mut right, &mut b, &place);
    }
}

#[test]
fn silent_connections_by_a_unix_socket_take_no_place_from_those_over_tcp() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let place = socket(&dir);
    let mut b = Peer::start(Config { listen_also: vec![place.clone()], ..config("b") });
    let silent: Vec<_> = (0..100).map(|_| std::os::unix::net::UnixStream::connect(&place.host).expect("accepted")).collect();
    common::eventually("silent connections", || b.node.stats().half_open == silent.len() as u64);
    let (mut by_tcp, mut by_unix) = (Peer::start(nowhere("by-tcp")), Peer::start(nowhere("by-unix")));
    let tcp = b.endpoint();
    meet(&mut by_tcp, &mut b, &tcp);
    meet(&mut by_unix, &mut b, &place);
    assert!(!b.has_seen(|e| matches!(e, Event::PeerDisconnected { .. })));
}
