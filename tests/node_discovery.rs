//! Nodes that find each other on networks which exist only for the test. Skipped where namespaces may not be made.

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use common::lan::Lan;
use common::{PATIENCE, Peer, now};
use vixp2p::base::config::{Listen, Psk};
use vixp2p::base::{DiscoveryConfig, DiscoveryMode, TrustPolicy};
use vixp2p::wire::v1::DiscoveryAnnounce;
use vixp2p::{Config, Event};

fn config(name: &str) -> Config {
    let mut config = Config::new(name);
    config.listen = Listen::On { host: String::new(), port: 0 };
    config.trust = Some(TrustPolicy::Tofu);
    config.discovery = Some(DiscoveryConfig::default());
    config
}

fn with_mode(name: &str, mode: DiscoveryMode) -> Config {
    let mut config = config(name);
    config.discovery = Some(DiscoveryConfig { mode, ..DiscoveryConfig::default() });
    config
}

fn with_secret(name: &str, byte: u8) -> Config {
    Config { psk: Some(Psk::new([byte; 32])), ..config(name) }
}

/// Waits for the link; the address the other one was met at.
fn connected(peer: &mut Peer, to: &Peer) -> String {
    let id = to.id();
    peer.expect("a link", |event| match event {
        Event::PeerConnected { peer, endpoint, .. } if *peer == id => Some(endpoint.host.clone()),
        _ => None,
    })
}

fn pair(lan: &Lan, a: Config, b: Config) -> (Peer, Peer) {
    (lan.on("A", || Peer::start(a)), lan.on("B", || Peer::start(b)))
}

#[test]
fn two_nodes_on_a_network_find_each_other_by_broadcast() {
    let Some(lan) = Lan::ipv4() else { return };
    let (mut a, mut b) = pair(&lan, config("a"), config("b"));
    let host = connected(&mut a, &b);
    assert!(host == "10.77.0.2" || host.starts_with("fe80::"), "{host}");
    connected(&mut b, &a);
    // The first announcement of b is heard, or b's answer is: either names a port and b's own label.
    let found = a.node.discovered();
    assert!(found.iter().any(|found| found.node_id == "b" && found.endpoint.port == b.node.port()), "{found:?}");
}

#[test]
fn a_network_of_ipv6_alone_is_enough() {
    let Some(lan) = Lan::new() else { return };
    for mode in [DiscoveryMode::Broadcast, DiscoveryMode::Multicast] {
        let (mut a, mut b) = pair(&lan, with_mode("a", mode), with_mode("b", mode));
        assert!(connected(&mut a, &b).starts_with("fe80::"));
        connected(&mut b, &a);
    }
}

#[test]
fn multicast_works_where_broadcasts_go_astray() {
    let Some(lan) = Lan::ipv4() else { return };
    let (at_a, at_b) = (lan.mac("A"), lan.mac("B"));
    for (host, other, ip) in [("A", &at_b, "10.77.0.2"), ("B", &at_a, "10.77.0.1")] {
        // Broadcasts leave for a station that is not there, so who lives where has to be said by hand.
        lan.ip(&["-n", host, "link", "set", "v0", "broadcast", "02:00:00:00:00:99"]);
        lan.ip(&["-n", host, "neigh", "replace", ip, "lladdr", other, "nud", "permanent", "dev", "v0"]);
        lan.ip(&["-n", host, "-6", "addr", "flush", "dev", "v0"]);
    }
    let (a, b) = pair(&lan, with_mode("a", DiscoveryMode::Broadcast), with_mode("b", DiscoveryMode::Broadcast));
    let (mut c, mut d) = pair(&lan, with_mode("c", DiscoveryMode::Both), with_mode("d", DiscoveryMode::Multicast));
    assert_eq!(connected(&mut c, &d), "10.77.0.2");
    connected(&mut d, &c);
    assert!(a.node.discovered().iter().all(|found| found.node_id != "b"));
    assert!(b.node.discovered().iter().all(|found| found.node_id != "a"));
}

#[test]
fn members_of_a_cluster_find_each_other_and_nobody_else() {
    let Some(lan) = Lan::ipv4() else { return };
    let outsider = lan.on("B", || Peer::start(with_secret("outsider", 9)));
    let open = lan.on("B", || Peer::start(config("open")));
    let (mut a, mut b) = pair(&lan, with_secret("a", 1), with_secret("b", 1));
    connected(&mut a, &b);
    connected(&mut b, &a);
    let found = a.node.discovered();
    assert!(found.iter().all(|found| found.node_id == "b"), "{found:?}");
    assert!(found.iter().any(|found| found.authenticated));
    assert!(outsider.node.discovered().is_empty());
    drop(open);
}

#[test]
fn a_node_that_does_not_listen_finds_those_that_do() {
    let Some(lan) = Lan::ipv4() else { return };
    let (mut a, mut b) = pair(&lan, Config { listen: Listen::Off, ..with_secret("a", 1) }, with_secret("b", 1));
    connected(&mut a, &b);
    connected(&mut b, &a);
}

#[test]
fn a_v1_node_hears_and_is_heard() {
    let Some(lan) = Lan::ipv4() else { return };
    lan.ip(&["-n", "B", "route", "add", "default", "dev", "v0"]);
    // What v1 does: one socket on the port of everybody, announcements to the limited broadcast address.
    let v1 = lan.on("B", || UdpSocket::bind("0.0.0.0:37020")).expect("free");
    v1.set_broadcast(true).expect("set");
    v1.set_read_timeout(Some(Duration::from_millis(100))).expect("set");
    let mut a = lan.on("A", || Peer::start(config("a")));
    let mut buffer = [0; 1024];
    let mut heard = None;
    common::eventually("an announcement", || {
        let datagram = v1.recv_from(&mut buffer).ok().map(|(len, _)| len);
        heard = datagram.and_then(|len| DiscoveryAnnounce::from_json(&buffer[..len]));
        heard.is_some()
    });
    let heard = heard.expect("read as v1 reads");
    assert_eq!((heard.node_id.as_slice(), heard.tcp_port), (b"a".as_slice(), a.node.port()));
    let capabilities = vec![(b"transport".to_vec(), b"tcp".to_vec()), (b"proto".to_vec(), b"1.0".to_vec())];
    let own = DiscoveryAnnounce { node_id: b"old".to_vec(), tcp_port: 9, ts_ms: 1, nonce: u64::MAX, capabilities };
    v1.send_to(&own.to_json(), "255.255.255.255:37020").expect("sent");
    let found = a.expect("the v1 node", |event| match event {
        Event::PeerDiscovered { node_id, endpoint } => Some((node_id.clone(), endpoint.to_string())),
        _ => None,
    });
    assert_eq!(found, ("old".into(), "tcp://10.77.0.2:9".into()));
    // Nobody listens there: one attempt, and none again before it is named again.
    assert_eq!(a.expect_connect_failed().1, None);
}

#[test]
fn several_nodes_of_one_host_and_loopback_alone_find_each_other() {
    let Some(lan) = Lan::new() else { return };
    let local = |name: &str| {
        let mut config = config(name);
        config.listen = Listen::On { host: "127.0.0.1".into(), port: 0 };
        config.discovery = Some(DiscoveryConfig { interfaces: vec!["lo".into()], ..DiscoveryConfig::default() });
        config
    };
    let mut peers: Vec<Peer> = ["a", "b", "c"].into_iter().map(|name| lan.on("A", || Peer::start(local(name)))).collect();
    let ids: Vec<_> = peers.iter().map(Peer::id).collect();
    for peer in &mut peers {
        common::eventually("both others", || ids.iter().filter(|id| peer.node.sender(**id).is_ok()).count() == 2);
    }
}

#[test]
fn a_node_that_listens_on_one_address_says_nothing_elsewhere() {
    let Some(lan) = Lan::ipv4() else { return };
    let ear = lan.on("B", || UdpSocket::bind("0.0.0.0:37020")).expect("free");
    ear.set_read_timeout(Some(Duration::from_millis(1))).expect("set");
    let mut quiet = config("quiet");
    quiet.listen = Listen::On { host: "127.0.0.1".into(), port: 0 };
    quiet.discovery = Some(DiscoveryConfig { announce_interval: Duration::from_millis(100), ..DiscoveryConfig::default() });
    let mut loud = quiet.clone();
    (loud.node_id, loud.listen) = ("loud".into(), Listen::On { host: "10.77.0.1".into(), port: 0 });
    let (_quiet, _loud) = (lan.on("A", || Peer::start(quiet)), lan.on("A", || Peer::start(loud)));
    let (mut heard, mut buffer) = (0, [0; 1024]);
    common::eventually("ten announcements", || {
        if let Ok((len, from)) = ear.recv_from(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..len]);
            assert!(text.contains("\"node_id\":\"loud\"") && from.ip().to_string() == "10.77.0.1", "{text}");
            heard += 1;
        }
        heard == 10
    });
}

#[test]
fn nodes_that_were_parted_find_each_other_again_without_a_restart() {
    let Some(lan) = Lan::ipv4() else { return };
    let impatient = |name: &str| {
        let mut config = config(name);
        (config.heartbeat_interval, config.stale_after) = (Duration::from_millis(200), Duration::from_secs(1));
        config.discovery = Some(DiscoveryConfig { connect_cooldown: Duration::from_secs(1), ..DiscoveryConfig::default() });
        config
    };
    let (mut a, mut b) = pair(&lan, impatient("a"), impatient("b"));
    connected(&mut a, &b);
    connected(&mut b, &a);
    lan.ip(&["-n", "A", "link", "set", "v0", "down"]);
    for peer in [&mut a, &mut b] {
        peer.expect("the loss", |event| matches!(event, Event::PeerDisconnected { .. }).then_some(()));
    }
    lan.ip(&["-n", "A", "link", "set", "v0", "up"]);
    connected(&mut a, &b);
    connected(&mut b, &a);
}

/// Gives B eight interfaces that lead nowhere, and A an address that announces itself and where B finds silence.
fn dead_ends(lan: &Lan) -> UdpSocket {
    for n in 0..8 {
        let (name, far, address) = (format!("dead{n}"), format!("far{n}"), format!("10.78.{n}.1/24"));
        lan.ip(&["-n", "B", "link", "add", &name, "type", "veth", "peer", "name", &far]);
        lan.ip(&["-n", "B", "addr", "add", &address, "broadcast", "+", "dev", &name]);
        lan.ip(&["-n", "B", "link", "set", &name, "up"]);
        lan.ip(&["-n", "B", "link", "set", &far, "up"]);
    }
    lan.ip(&["-n", "A", "addr", "add", "10.77.0.66/24", "dev", "v0"]);
    // What B sends there is for a station that does not exist.
    lan.ip(&["-n", "B", "neigh", "replace", "10.77.0.66", "lladdr", "02:00:00:00:00:99", "nud", "permanent", "dev", "v0"]);
    let ghost = lan.on("A", || UdpSocket::bind("10.77.0.66:0")).expect("free");
    ghost.set_broadcast(true).expect("set");
    ghost
}

fn appear(ghost: &UdpSocket) {
    let dead = br#"{"node_id":"ghost","tcp_port":9,"ts_ms":1,"nonce":2}"#;
    ghost.send_to(dead, "255.255.255.255:37020").expect("sent");
}

#[test]
fn two_nodes_meet_by_the_first_answer_beside_dead_interfaces_and_a_dead_address() {
    let Some(lan) = Lan::ipv4() else { return };
    let ghost = dead_ends(&lan);
    // A second announcement would come long after the test has given up.
    let once = |name: &str| {
        let mut config = config(name);
        let (announce_interval, seen_ttl) = (10 * PATIENCE, 20 * PATIENCE);
        config.discovery = Some(DiscoveryConfig { announce_interval, seen_ttl, ..DiscoveryConfig::default() });
        config
    };
    let mut a = lan.on("A", || Peer::start(once("a")));
    let is_ghost = |event: &Event| matches!(event, Event::PeerDiscovered { node_id, .. } if node_id == "ghost").then_some(());
    common::eventually("a listens", || {
        appear(&ghost);
        a.has_seen(|event| is_ghost(event).is_some())
    });
    let mut b = lan.on("B", || Peer::start(once("b")));
    appear(&ghost);
    connected(&mut b, &a);
    connected(&mut a, &b);
}

/// `cargo test --test node_discovery -- --ignored --exact measure_meeting --nocapture`: how soon a node that starts is connected to
/// one that is there, with eight interfaces that lead nowhere and an announced address where nobody lives.
#[test]
#[ignore = "a measurement"]
fn measure_meeting() {
    const PAIRS: usize = 200;
    let Some(lan) = Lan::ipv4() else { return };
    let ghost = dead_ends(&lan);
    for (what, secret) in [("open", None), ("with a secret", Some(1))] {
        let settings = |name: &str| secret.map_or_else(|| config(name), |byte| with_secret(name, byte));
        let mut took: Vec<Duration> = (0..PAIRS)
            .map(|_| {
                // A fresh one each time: nodes that restart every few milliseconds are not what rates are made for.
                let mut a = lan.on("A", || Peer::start(settings("a")));
                let b = lan.on("B", || Peer::open(settings("b")));
                let begin = now();
                appear(&ghost);
                let mut b = lan.on("B", || {
                    b.node.start().expect("starts");
                    b
                });
                appear(&ghost);
                connected(&mut b, &a);
                connected(&mut a, &b);
                let took = begin.elapsed();
                a.node.stop_blocking();
                b.node.stop_blocking();
                took
            })
            .collect();
        took.sort();
        assert!(took[PAIRS - 1] < PATIENCE);
        println!("{what}: {PAIRS} meetings, p50 {:?}, p99 {:?}, worst {:?}", took[PAIRS / 2], took[PAIRS * 99 / 100], took[PAIRS - 1]);
    }
}
