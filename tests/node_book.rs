//! The address book of a data directory: who was met is found again after a restart, unless nobody wants that.

mod common;

use std::fs;
use std::path::Path;

use common::{Peer, config};
use vixp2p::base::config::Listen;
use vixp2p::{Config, Event};

/// A node with a data directory that listens nowhere.
fn keeping(dir: &Path) -> Config {
    Config { listen: Listen::Off, data_dir: Some(dir.to_owned()), ..config("keeping") }
}

fn book(dir: &Path) -> String {
    fs::read_to_string(dir.join("peers")).unwrap_or_default()
}

#[test]
fn who_was_met_is_dialled_again_after_a_restart() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut b = Peer::named("b");
    let mut a = Peer::start(keeping(dir.path()));
    a.join(&mut b);
    a.node.stop_blocking();
    let line = book(dir.path());
    assert!(line.starts_with(&format!("{} {} ", b.endpoint(), b.id())) && line.lines().count() == 1, "{line}");
    a.node.start().expect("again");
    assert_eq!(a.expect_connected(), b.id());
    // A running node that is dropped holds its directory until its threads have ended.
    a.node.stop_blocking();
    drop(a);
    let mut a = Peer::start(keeping(dir.path()));
    assert_eq!(a.expect_connected(), b.id());
}

#[test]
fn who_was_disconnected_or_forgotten_is_not_dialled_again() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut b, mut c) = (Peer::named("b"), Peer::named("c"));
    let mut a = Peer::start(keeping(dir.path()));
    a.join(&mut b);
    a.join(&mut c);
    common::eventually("both in the book", || book(dir.path()).lines().count() == 2);
    a.node.disconnect(b.id()).expect("runs");
    a.node.forget_endpoint(c.endpoint()).expect("runs");
    common::eventually("an empty book", || book(dir.path()).is_empty());
    a.node.stop_blocking();
    a.node.start().expect("again");
    assert_eq!(a.node.stats().connect_attempts, 0);
}

#[test]
fn a_node_that_is_to_remember_nobody_neither_reads_nor_writes_a_book() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut b, c) = (Peer::named("b"), Peer::named("c"));
    fs::write(dir.path().join("peers"), format!("{}\n", c.endpoint())).expect("written");
    let mut a = Peer::start(Config { remember_peers: false, ..keeping(dir.path()) });
    a.join(&mut b);
    a.node.stop_blocking();
    assert_eq!(book(dir.path()), format!("{}\n", c.endpoint()));
    assert!(!a.has_seen(|e| matches!(e, Event::PeerConnected { peer, .. } if *peer == c.id())));
}

#[test]
fn a_line_that_is_no_address_is_told_by_its_number_and_the_others_are_dialled() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut b = Peer::named("b");
    fs::write(dir.path().join("peers"), format!("rubbish\n{}\n", b.endpoint())).expect("written");
    let mut a = Peer::start(keeping(dir.path()));
    let fault = a.expect("AddressBookFaulty", |e| if let Event::AddressBookFaulty { detail } = e { Some(detail.clone()) } else { None });
    assert!(fault.contains("line 1") && fault.contains("rubbish"), "{fault}");
    assert_eq!((a.expect_connected(), b.expect_connected()), (b.id(), a.id()));
}

#[test]
fn a_peer_that_dialled_this_node_leaves_no_address() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut b = Peer::named("b");
    let mut a = Peer::start(Config { listen: config("a").listen, ..keeping(dir.path()) });
    b.join(&mut a);
    a.node.stop_blocking();
    assert_eq!(book(dir.path()), "");
}
