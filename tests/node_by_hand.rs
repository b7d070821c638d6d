//! A node against a session that the test drives by hand: what is on the wire, record by record.

mod common;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use bytes::BytesMut;
use common::{PATIENCE, Peer, config, eventually};
use vixp2p::base::CloseReason;
use vixp2p::base::config::Listen;
use vixp2p::crypto::{Identity, Secret};
use vixp2p::mesh::{HandshakeStage, PeerState};
use vixp2p::session::{Established, Handshaking, LocalParty, Progress, RunSecrets};
use vixp2p::wire::{Inbound, Message};
use vixp2p::{Endpoint, Event, Node};

/// The first bytes of a record: the length of what follows them (PROTOCOL.md, "Records").
const RECORD_HEADER_BYTES: usize = 8;

fn party() -> Arc<LocalParty> {
    let identity = Arc::new(Identity::from_seed(&Secret::new([77; 32])));
    Arc::new(LocalParty::new(identity, "by hand", &BTreeMap::new(), None).expect("small"))
}

fn send(mut stream: &TcpStream, session: &mut Established, messages: &[Message]) {
    messages.iter().for_each(|message| session.send.push(message));
    let mut bytes = Vec::new();
    session.send.take(&mut bytes);
    stream.write_all(&bytes).expect("takes it");
}

/// Runs the handshake; what was read behind it is left in the buffer.
fn handshake(mut stream: &TcpStream, mut machine: Handshaking) -> (Established, BytesMut) {
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut input = BytesMut::new();
    loop {
        stream.write_all(&machine.outgoing()).expect("takes it");
        if let Some(session) = machine.receive(&mut input).expect("agrees") {
            return (*session, input);
        }
        if !machine.has_outgoing() {
            read_more(stream, &mut input);
        }
    }
}

fn read_more(mut stream: &TcpStream, input: &mut BytesMut) -> usize {
    let mut chunk = [0; 4096];
    let n = stream.read(&mut chunk).expect("there is more, or the end");
    input.extend_from_slice(&chunk[..n]);
    n
}

#[test]
fn a_goodbye_is_not_answered() {
    let mut node = Peer::named("node");
    let stream = TcpStream::connect(("127.0.0.1", node.node.port())).expect("listens");
    let secrets = RunSecrets::draw().expect("random numbers");
    let (mut session, mut input) = handshake(&stream, Handshaking::dial(party(), secrets));
    node.expect_connected();
    let bye = Message::Close { code: CloseReason::Disconnected.code(), detail: String::new() };
    send(&stream, &mut session, &[Message::Vector(Vec::new()), bye]);
    node.expect_disconnected();
    // Our side stays open: everything the node says up to its end is read.
    while read_more(&stream, &mut input) > 0 {}
    let mut said = session.early;
    assert_eq!(session.recv.receive(&mut input, &mut said).expect("good records"), Progress::Done);
    assert!(!said.is_empty() && said.iter().all(|item| matches!(item, Inbound::Message(Message::Vector(_)))), "{said:?}");
}

#[test]
fn what_the_application_says_to_a_new_peer_at_once_goes_out_with_the_nodes_first_words() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = listener.local_addr().expect("bound").port();
    let by_hand = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("is dialled");
        let secrets = RunSecrets::draw().expect("random numbers");
        let (mut session, mut input) = handshake(&stream, Handshaking::accept(party(), secrets));
        send(&stream, &mut session, &[Message::Welcome, Message::Vector(Vec::new())]);
        while input.len() < RECORD_HEADER_BYTES {
            assert!(read_more(&stream, &mut input) > 0, "closed");
        }
        let record = RECORD_HEADER_BYTES + u32::from_le_bytes(input[..4].try_into().expect("four bytes")) as usize;
        while input.len() < record {
            assert!(read_more(&stream, &mut input) > 0, "closed");
        }
        let (mut first, mut items) = (input.split_to(record), Vec::new());
        assert_eq!(session.recv.receive(&mut first, &mut items).expect("a good record"), Progress::Done);
        items
    });
    // On one thread with the application, as a program of one runtime has it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let items = runtime.block_on(async {
        let node = Node::open(config_without_listening()).expect("opens");
        node.start().expect("starts");
        node.connect(Endpoint::tcp("127.0.0.1", port)).expect("dials");
        loop {
            if let Event::PeerConnected { peer, .. } = node.next_event().await.expect("runs") {
                node.send(peer, b"at once").expect("connected");
                break;
            }
        }
        let items = tokio::task::spawn_blocking(|| by_hand.join().expect("no panic")).await.expect("ends");
        node.stop().await;
        items
    });
    assert!(matches!(&items[..], [Inbound::Message(Message::Vector(_)), Inbound::Data(_)]), "{items:?}");
}

fn config_without_listening() -> vixp2p::Config {
    let mut settings = config("node");
    settings.listen = Listen::Off;
    settings
}

#[test]
fn a_peer_that_ends_only_its_own_direction_is_gone_at_once() {
    let mut node = Peer::named("node");
    let stream = TcpStream::connect(("127.0.0.1", node.node.port())).expect("listens");
    let secrets = RunSecrets::draw().expect("random numbers");
    let _session = handshake(&stream, Handshaking::dial(party(), secrets));
    node.expect_connected();
    stream.shutdown(std::net::Shutdown::Write).expect("open");
    assert!(matches!(node.expect_disconnected(), CloseReason::Lost(_)));
    let peer = node.node.peers().remove(0);
    assert_eq!(peer.state, PeerState::Closed);
    assert!(matches!(peer.last_reason, Some(CloseReason::Lost(_))));
}

/// What is seen of the only peer there is.
fn seen(node: &Peer) -> Option<(PeerState, HandshakeStage)> {
    node.node.peers().first().map(|peer| (peer.state, peer.stage))
}

#[test]
fn the_stages_of_an_accepted_handshake_can_be_seen_from_outside() {
    let node = Peer::named("node");
    let mut stream = TcpStream::connect(("127.0.0.1", node.node.port())).expect("listens");
    let mut machine = Handshaking::dial(party(), RunSecrets::draw().expect("random numbers"));
    stream.write_all(&machine.outgoing()).expect("takes it");
    eventually("the answer", || seen(&node) == Some((PeerState::Handshaking, HandshakeStage::AckSent)));
    let _session = handshake(&stream, machine);
    eventually("the end", || seen(&node) == Some((PeerState::Connected, HandshakeStage::Finished)));
}

#[test]
fn the_stages_of_a_dialled_handshake_can_be_seen_from_outside() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let node = Peer::named("node");
    node.node.connect(Endpoint::tcp("127.0.0.1", listener.local_addr().expect("bound").port())).expect("dials");
    let (mut stream, _) = listener.accept().expect("is dialled");
    let (mut machine, mut input) = (Handshaking::accept(party(), RunSecrets::draw().expect("random numbers")), BytesMut::new());
    eventually("the Hello", || seen(&node) == Some((PeerState::Handshaking, HandshakeStage::HelloSent)));
    while !machine.has_outgoing() {
        read_more(&stream, &mut input);
        assert!(machine.receive(&mut input).expect("agrees").is_none());
    }
    stream.write_all(&machine.outgoing()).expect("takes it");
    eventually("the last step", || seen(&node) == Some((PeerState::Handshaking, HandshakeStage::AckReceived)));
    let (mut session, _) = handshake(&stream, machine);
    send(&stream, &mut session, &[Message::Welcome]);
    eventually("the end", || seen(&node) == Some((PeerState::Connected, HandshakeStage::Finished)));
}
