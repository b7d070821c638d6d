//! Nodes of the program that find each other, on a network of their own. Skipped where namespaces may not be made.

#[path = "../common/lan.rs"]
mod lan;

use crate::support::{From, Running};
use lan::Lan;

#[test]
fn two_nodes_on_a_network_need_no_address() {
    let Some(lan) = Lan::ipv4() else { return };
    // Anything of discovery on the line stands for its default here, which is on.
    let mut a = lan.on("A", || Running::start(&["--id=A", "--listen=9001", "--disc-interval=2000", "--log-level=debug"]));
    a.wait_for(From::Stderr, "discovery uses v0 (10.77.0.1)");
    let mut b = lan.on("B", || Running::start(&["--id=B", "--listen=9002", "--disc-mode=both", "--log-level=debug"]));
    b.wait_for(From::Stderr, "node \"A\" announces itself at tcp://");
    b.wait_for(From::Stderr, "\"A\" connected");
    a.wait_for(From::Stderr, "\"B\" connected");
    for node in [a, b] {
        let (status, ..) = node.stop_by("TERM");
        assert!(status.success());
    }
}

#[test]
fn a_node_without_discovery_or_on_another_interface_finds_nobody() {
    let Some(lan) = Lan::ipv4() else { return };
    let _a = lan.on("A", || Running::start(&["--id=A", "--listen=9001", "--disc-iface=v0", "--disc-interval=100"]));
    let mut off = lan.on("B", || Running::start(&["--id=B", "--listen=9002", "--discovery=off", "--run=1", "--quiet"]));
    let mut lo = lan.on("B", || Running::start(&["--id=C", "--listen=9003", "--disc-iface=lo", "--run=1", "--quiet"]));
    for node in [&mut off, &mut lo] {
        node.wait_for(From::Stdout, "peers_total=0 peers_connected=0 handshakes_started=0");
    }
}

#[test]
fn two_nodes_meet_by_mdns_alone() {
    let Some(lan) = Lan::ipv4() else { return };
    let start = |host: &str, id: &str| lan.on(host, || Running::start(&[id, "--listen=9001", "--discovery=off", "--mdns=on"]));
    let (mut a, mut b) = (start("A", "--id=A"), start("B", "--id=B"));
    a.wait_for(From::Stderr, "\"B\" connected");
    b.wait_for(From::Stderr, "\"A\" connected");
    for node in [a, b] {
        let (status, ..) = node.stop_by("TERM");
        assert!(status.success());
    }
}
