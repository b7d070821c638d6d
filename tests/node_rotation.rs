//! A node that changes its key: what its peers are told, and what becomes of its log.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use common::{PATIENCE, Peer, config};
use vixp2p::base::{Passphrase, PeerInfo};
use vixp2p::crypto::{Identity, Secret};
use vixp2p::driver::apply::Outcome;
use vixp2p::driver::disk::DirectoryLock;
use vixp2p::driver::keyfile;
use vixp2p::session::{Handshaking, LocalParty, RunSecrets};
use vixp2p::{Config, PeerId};

fn passphrase() -> Passphrase {
    Passphrase::new(b"open sesame".to_vec()).expect("short")
}

fn on_disk(name: &str, dir: &Path) -> Config {
    Config { data_dir: Some(dir.to_owned()), key_passphrase: Some(passphrase()), ..config(name) }
}

fn rotate(dir: &Path) -> (PeerId, PeerId) {
    let owner = DirectoryLock::take(dir).expect("nobody runs on it");
    keyfile::rotate(dir, &owner, Some(&passphrase())).expect("rotated")
}

/// Runs a handshake over a socket as a node of its own; who the other side proved to be.
fn meet(mut stream: TcpStream, dials: bool) -> PeerInfo {
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let identity = Arc::new(Identity::from_seed(&Secret::new([0x77; 32])));
    let party = Arc::new(LocalParty::new(identity, "stranger", &Default::default(), None).expect("small claim"));
    let secrets = RunSecrets::draw().expect("random numbers");
    let mut handshake = if dials { Handshaking::dial(party, secrets) } else { Handshaking::accept(party, secrets) };
    let mut input = BytesMut::new();
    loop {
        stream.write_all(&handshake.outgoing()).expect("written");
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).expect("readable");
        assert_ne!(read, 0, "closed in the handshake");
        input.extend_from_slice(&piece[..read]);
        if let Some(established) = handshake.receive(&mut input).expect("honest") {
            return established.peer;
        }
    }
}

#[test]
fn a_rotated_node_proves_its_earlier_keys_to_whom_it_meets_whoever_dials() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let node = Peer::start(on_disk("a", dir.path()));
    let first = node.id();
    assert!(node.node.formerly().is_empty());
    assert_eq!(meet(TcpStream::connect(("127.0.0.1", node.node.port())).expect("connects"), true).formerly, []);
    node.node.stop_blocking();
    drop(node);

    let (_, second) = rotate(dir.path());
    let (_, third) = rotate(dir.path());
    let node = Peer::start(on_disk("a", dir.path()));
    assert_eq!((node.id(), node.node.formerly()), (third, &[second, first][..]));
    let accepted = meet(TcpStream::connect(("127.0.0.1", node.node.port())).expect("connects"), true);
    let listener = TcpListener::bind("127.0.0.1:0").expect("free port");
    node.node.connect(listener.local_addr().expect("bound").to_string().parse().expect("an endpoint")).expect("dials");
    let dialled = meet(listener.accept().expect("dialled").0, false);
    for peer in [accepted, dialled] {
        assert_eq!((peer.id, peer.formerly), (third, vec![second, first]));
    }
}

#[test]
fn after_a_rotation_appends_go_to_a_new_log_and_the_old_one_is_still_carried() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut a = Peer::start(on_disk("a", dir.path()));
    let old = a.node.own_log();
    assert_eq!(a.append(["one".to_owned(), "two".to_owned()]), (1, 2));
    a.node.stop_blocking();
    drop(a);
    rotate(dir.path());

    let reopened = Peer::open(on_disk("a", dir.path()));
    reopened.node.on_apply(move |record| {
        assert_ne!(record.log, old, "what it appended itself is offered to nobody");
        Outcome::Applied
    });
    let there = reopened.node.logs().into_iter().find(|view| view.log == old).expect("kept");
    assert_eq!((there.durable, there.applied), (2, 2));
    reopened.node.start().expect("starts");
    a = reopened;
    let new = a.node.own_log();
    assert_eq!(new.origin, a.id());
    assert_eq!(a.append(["three".to_owned()]), (1, 1));

    let mut b = Peer::named("b");
    a.join(&mut b);
    b.expect_log(old, 2, 2);
    b.expect_log(new, 1, 1);
    // The other way round as well: nothing of it comes back as news.
    assert_eq!(b.append(["from b".to_owned()]), (1, 1));
    a.expect_log(b.node.own_log(), 1, 1);
}
