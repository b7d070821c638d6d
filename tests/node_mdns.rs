//! Nodes that meet by mDNS, on networks which exist only for the test. Skipped where namespaces may not be made.
#![cfg(feature = "mdns")]

mod common;

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

use common::lan::Lan;
use common::{Peer, eventually};
use socket2::{Domain, Protocol, Socket, Type};
use vixp2p::base::config::{Listen, Psk};
use vixp2p::base::{DiscoveryConfig, DiscoveryMode, Level, TrustPolicy};
use vixp2p::{Config, Event, Node};

/// mDNS and nothing else.
fn config(name: &str) -> Config {
    let mut config = Config::new(name);
    config.listen = Listen::On { host: String::new(), port: 0 };
    config.trust = Some(TrustPolicy::Tofu);
    config.discovery = Some(DiscoveryConfig { mode: DiscoveryMode::Off, mdns: true, ..DiscoveryConfig::default() });
    config
}

/// Waits for the link; the address the other one was met at.
fn connected(peer: &mut Peer, to: &Peer) -> String {
    let id = to.id();
    peer.expect("a link", |event| match event {
        Event::PeerConnected { peer, endpoint, .. } if *peer == id => Some(endpoint.host.clone()),
        _ => None,
    })
}

/// Hears what is said to the group of mDNS on these addresses' interfaces.
fn ear(at: &[Ipv4Addr]) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
    socket.set_reuse_address(true).expect("set");
    socket.set_reuse_port(true).expect("set");
    socket.bind(&std::net::SocketAddr::from(([0, 0, 0, 0], 5353)).into()).expect("shared");
    at.iter().for_each(|ip| socket.join_multicast_v4(&Ipv4Addr::new(224, 0, 0, 251), ip).expect("joined"));
    socket.set_read_timeout(Some(Duration::from_millis(10))).expect("set");
    socket.into()
}

#[test]
fn two_nodes_meet_by_mdns_with_no_announcement_of_their_own() {
    let Some(lan) = Lan::ipv4() else { return };
    let announcements = lan.on("B", || UdpSocket::bind("0.0.0.0:37020")).expect("free");
    announcements.set_nonblocking(true).expect("set");
    let (mut a, mut b) = (lan.on("A", || Peer::start(config("a"))), lan.on("B", || Peer::start(config("b.with.dots"))));
    let host = connected(&mut a, &b);
    assert!(host.starts_with("10.77.0.") || host.starts_with("fe80::"), "{host}");
    connected(&mut b, &a);
    eventually("the neighbour in the list", || a.node.discovered().iter().any(|found| found.node_id == "b.with.dots"));
    let found = a.node.discovered();
    assert!(found.iter().all(|found| found.endpoint.port == b.node.port() && !found.authenticated), "not itself: {found:?}");
    assert!(announcements.recv_from(&mut [0; 1024]).is_err(), "nothing comes to the port of announcements");
}

#[test]
fn a_network_of_ipv6_alone_is_enough_for_mdns() {
    let Some(lan) = Lan::new() else { return };
    let (mut a, mut b) = (lan.on("A", || Peer::start(config("a"))), lan.on("B", || Peer::start(config("b"))));
    assert!(connected(&mut a, &b).starts_with("fe80::"));
    connected(&mut b, &a);
}

#[test]
fn a_node_that_stops_says_goodbye_and_is_forgotten_long_before_its_time() {
    let Some(lan) = Lan::ipv4() else { return };
    let mut patient = config("a");
    let discovery = patient.discovery.as_mut().expect("on");
    (discovery.announce_interval, discovery.seen_ttl) = (Duration::from_secs(600), Duration::from_secs(3_600));
    let (mut a, b) = (lan.on("A", || Peer::start(patient)), lan.on("B", || Peer::start(config("b"))));
    connected(&mut a, &b);
    eventually("the neighbour in the list", || !a.node.discovered().is_empty());
    b.node.stop_blocking();
    eventually("an empty list", || a.node.discovered().is_empty());
    // It comes back, and is found again.
    lan.on("B", || b.node.start().expect("starts"));
    a.forget();
    connected(&mut a, &b);
}

#[test]
fn mdns_stays_on_the_interfaces_that_are_named() {
    let Some(lan) = Lan::ipv4() else { return };
    lan.ip(&["-n", "A", "link", "add", "v1", "type", "veth", "peer", "name", "v1", "netns", "B"]);
    for (host, address) in [("A", "10.78.0.1/24"), ("B", "10.78.0.2/24")] {
        lan.ip(&["-n", host, "addr", "add", address, "dev", "v1"]);
        lan.ip(&["-n", host, "link", "set", "v1", "up"]);
    }
    let ear = lan.on("B", || ear(&[Ipv4Addr::new(10, 77, 0, 2), Ipv4Addr::new(10, 78, 0, 2)]));
    let mut named = config("a");
    named.discovery.as_mut().expect("on").interfaces = vec!["v1".into()];
    let _a = lan.on("A", || Peer::start(named));
    let (mut heard, mut buffer) = (0, [0; 9000]);
    eventually("a question and two announcements", || {
        if let Ok((_, from)) = ear.recv_from(&mut buffer) {
            assert_eq!(from.ip().to_string(), "10.78.0.1");
            heard += 1;
        }
        heard == 3
    });
}

#[test]
fn with_a_secret_mdns_names_a_node_and_causes_no_dial() {
    let Some(lan) = Lan::ipv4() else { return };
    let member = |name: &str| Config { psk: Some(Psk::new([1; 32])), ..config(name) };
    let (mut a, b) = (lan.on("A", || Peer::start(member("a"))), lan.on("B", || Peer::start(member("b"))));
    let mut open = lan.on("B", || Peer::start(config("open")));
    for name in ["a", "b"] {
        open.expect("both by name", |event| matches!(event, Event::PeerDiscovered { node_id, .. } if node_id == name).then_some(()));
    }
    // What an outsider has heard by now, they have too.
    assert!(a.node.discovered().is_empty() && b.node.discovered().is_empty());
    assert_eq!(a.node.stats().connect_attempts + b.node.stats().connect_attempts, 0);
    assert!(!a.has_seen(|event| matches!(event, Event::PeerDiscovered { .. } | Event::PeerConnected { .. })));
}

/// An answer that nobody asked for: so many addresses of machines, numbered from `first`, each for more than an hour.
fn addresses(first: u32, count: u16) -> Vec<u8> {
    let mut packet = vec![0, 0, 0x84, 0, 0, 0];
    packet.extend(count.to_be_bytes());
    packet.extend([0; 4]);
    for number in first..first + u32::from(count) {
        packet.push(8);
        packet.extend(format!("{number:08x}").as_bytes());
        packet.extend(b"\x05local\0\0\x01\0\x01");
        packet.extend(4_500u32.to_be_bytes());
        packet.extend([0, 4, 10, 77, 0, 9]);
    }
    packet
}

/// Says things to the group of mDNS beside a node with a secret until it gives mDNS up; what it says of that.
fn until_it_is_off(mut say: impl FnMut() -> Vec<u8>) -> Option<String> {
    let lan = Lan::ipv4()?;
    let mouth = lan.on("B", || ear(&[Ipv4Addr::new(10, 77, 0, 2)]));
    socket2::SockRef::from(&mouth).set_multicast_if_v4(&Ipv4Addr::new(10, 77, 0, 2)).expect("set");
    let member = lan.on("A", || {
        let (tell, told) = mpsc::channel();
        let config = Config { psk: Some(Psk::new([1; 32])), ..config("a") };
        let node = Node::open(config).expect("opens");
        node.on_log(Level::Warn, move |_, line| drop(tell.send(line.to_owned())));
        node.start().expect("starts");
        (node, told)
    });
    let mut off = None;
    eventually("an end of mDNS", || {
        for _ in 0..8 {
            mouth.send_to(&say(), (Ipv4Addr::new(224, 0, 0, 251), 5353)).expect("sent");
        }
        off = member.1.try_iter().find(|line| line.contains("mDNS"));
        off.is_some()
    });
    member.0.stop_blocking();
    off
}

#[test]
fn what_anybody_says_of_any_machine_ends_mdns_before_it_fills_the_memory() {
    let mut said = 0;
    let off = until_it_is_off(|| {
        said += 256;
        addresses(said, 256)
    });
    assert!(off.is_none_or(|line| line.contains("records") && line.contains("until this node is started again")));
}

#[test]
fn the_same_said_again_and_again_ends_mdns_too() {
    let same = addresses(0, 256);
    let off = until_it_is_off(|| same.clone());
    assert!(off.is_none_or(|line| line.contains("times at which records end")));
}
