//! Networks that fail in part or change under a node.

mod common;

use std::time::Duration;

use common::lan::Lan;
use common::proxy::{Fate, Proxy};
use common::{Peer, config};
use vixp2p::base::CloseReason;
use vixp2p::base::config::Listen;
use vixp2p::mesh::PeerState;
use vixp2p::{Config, Endpoint, Event};

/// A node whose heartbeats come too late for any test.
fn patient(name: &str) -> Config {
    let mut settings = config(name);
    settings.heartbeat_interval = Duration::from_secs(600);
    settings.stale_after = Duration::from_secs(1_200);
    settings
}

#[test]
fn a_peer_whose_ipv6_address_is_dead_is_reached_over_ipv4() {
    let (mut a, mut b) = (Peer::named("a"), Peer::named("b"));
    // The port is free on [::1]: the peer listens on 127.0.0.1 only.
    let six = Endpoint::tcp("::1", b.node.port());
    a.node.connect_to(six.clone(), b.id()).expect("dials");
    a.node.connect_to(b.endpoint(), b.id()).expect("dials");
    assert_eq!((a.expect_connected(), b.expect_connected()), (b.id(), a.id()));
    let failed = a.expect("ConnectFailed", |e| match e {
        Event::ConnectFailed { endpoint, peer, .. } => Some((endpoint.clone(), *peer)),
        _ => None,
    });
    assert_eq!(failed, (six, Some(b.id())));
}

#[test]
fn a_host_name_with_a_dead_address_is_reached_at_the_other() {
    let (mut a, mut b) = (Peer::named("a"), Peer::named("b"));
    // Where the system has both, this is [::1] first, and nobody there.
    a.node.connect(Endpoint::tcp("localhost", b.node.port())).expect("dials");
    assert_eq!((a.expect_connected(), b.expect_connected()), (b.id(), a.id()));
    assert_eq!(a.node.stats().connect_failures, 0);
}

#[test]
fn a_link_that_died_without_a_word_is_found_and_dialled_again_when_the_network_changes() {
    let (mut a, mut b) = (Peer::start(patient("a")), Peer::start(patient("b")));
    let proxy = Proxy::to(&b.endpoint(), |_| Fate::Pass);
    a.node.connect(proxy.endpoint()).expect("dials");
    a.expect_connected();
    b.expect_connected();
    proxy.hold();
    // The old way is dead; a new one to the same peer is there, as after a change from one network to another.
    a.node.network_changed().expect("runs");
    assert_eq!(a.expect_disconnected(), CloseReason::Stale);
    a.node.forget_endpoint(proxy.endpoint()).expect("runs");
    a.node.connect(b.endpoint()).expect("dials");
    assert_eq!(a.expect_connected(), b.id());
    a.send(b.id(), b"again");
    assert_eq!(b.receive(1)[0], "again");
}

#[test]
fn a_peer_whose_cable_is_pulled_is_stale_and_then_closed() {
    let Some(lan) = Lan::ipv4() else { return };
    let impatient = |name: &str, ip: &str| {
        let mut settings = config(name);
        settings.listen = Listen::On { host: ip.into(), port: 0 };
        (settings.heartbeat_interval, settings.stale_after) = (Duration::from_millis(200), Duration::from_millis(1_500));
        settings
    };
    let mut a = lan.on("A", || Peer::start(impatient("a", "10.77.0.1")));
    let mut b = lan.on("B", || Peer::start(impatient("b", "10.77.0.2")));
    a.node.connect(Endpoint::tcp("10.77.0.2", b.node.port())).expect("dials");
    assert_eq!((a.expect_connected(), b.expect_connected()), (b.id(), a.id()));
    lan.ip(&["-n", "A", "link", "set", "v0", "down"]);
    for peer in [&mut a, &mut b] {
        peer.expect("PeerStale", |e| matches!(e, Event::PeerStale { .. }).then_some(()));
        assert_eq!(peer.expect_disconnected(), CloseReason::Stale);
    }
    // The side that was dialled has nothing to do about it.
    let gone = b.node.peers().remove(0);
    assert_eq!((gone.state, gone.last_reason, gone.next_attempt_in_ms), (PeerState::Closed, Some(CloseReason::Stale), None));
    lan.ip(&["-n", "A", "link", "set", "v0", "up"]);
    assert_eq!((a.expect_connected(), b.expect_connected()), (b.id(), a.id()));
}

#[test]
fn a_living_link_survives_a_change_of_the_network() {
    let (mut a, mut b) = (Peer::start(patient("a")), Peer::start(patient("b")));
    a.join(&mut b);
    let before = a.node.stats().frames_received;
    a.node.network_changed().expect("runs");
    common::eventually("the answer", || a.node.stats().frames_received > before);
    assert!(!a.has_seen(|e| matches!(e, Event::PeerDisconnected { .. })));
}

#[test]
fn an_address_in_backoff_is_dialled_at_once_when_the_network_changes() {
    let (mut a, b) = (Peer::named("a"), Peer::named("b"));
    let endpoint = b.endpoint();
    b.node.stop_blocking();
    a.node.connect(endpoint.clone()).expect("dials");
    let (_, retry) = a.expect_connect_failed();
    assert!(retry.is_some());
    let attempts = a.node.stats().connect_attempts;
    a.node.network_changed().expect("runs");
    common::eventually("another attempt", || a.node.stats().connect_attempts > attempts);
    a.node.forget_endpoint(endpoint).expect("runs");
    assert!(a.node.peers().is_empty(), "nobody is dialled any more");
}
