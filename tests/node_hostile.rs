//! Peers that are wrong, broken or hostile: the handshake fails with a reason, and an honest peer is served right after.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::proxy::{Fate, Piece, Proxy};
use common::{PATIENCE, Peer, config, now};
use vixp2p::base::CloseReason;
use vixp2p::base::config::Psk;
use vixp2p::wire::v1;
use vixp2p::{Config, Event};

fn with_psk(name: &str, psk: Option<u8>) -> Config {
    let mut settings = config(name);
    settings.psk = psk.map(|byte| Psk::new([byte; 32]));
    settings
}

fn raw(to: &Peer) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", to.node.port())).expect("listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

/// Reads until the other side ends the connection; what it said.
fn until_closed(mut stream: &TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Err(e) if e.kind() != ErrorKind::ConnectionReset => panic!("not closed: {e}"),
        _ => said,
    }
}

/// A node that was bothered still serves.
fn serves(node: &mut Peer, psk: Option<u8>) {
    let mut honest = Peer::start(with_psk("honest", psk));
    honest.join(node);
    node.send(honest.id(), b"welcome");
    assert_eq!(honest.receive(1)[0], "welcome");
}

#[test]
fn nodes_with_different_pre_shared_keys_do_not_meet_and_the_retries_back_off() {
    for (ours, theirs, why) in [
        (Some(1), Some(2), "wrong pre-shared key"),
        (Some(1), None, "has a pre-shared key, this node has none"),
        (None, Some(2), "has no pre-shared key"),
    ] {
        let (mut a, mut b) = (Peer::start(with_psk("a", ours)), Peer::start(with_psk("b", theirs)));
        a.node.connect(b.endpoint()).expect("dials");
        assert!(matches!(b.expect_handshake_failed(), CloseReason::HandshakeFailed(text) if text.contains(why)));
        assert!(matches!(a.expect_handshake_failed(), CloseReason::Lost(text) if text.contains("pre-shared key")));
        let (_, first) = a.expect_connect_failed();
        assert_eq!(first, Some(2_500), "what a person asked for");
        if ours.is_some() && theirs.is_some() {
            let (_, second) = a.expect_connect_failed();
            assert!(second >= Some(4_000), "{second:?}");
        }
        assert_eq!(b.node.stats().peers_total, 0);
        serves(&mut b, theirs);
    }
}

#[test]
fn a_plaintext_peer_of_version_1_is_named_and_told_nothing() {
    let mut node = Peer::named("node");
    let hello = v1::Hello { nonce_a: 7, ts_ms: 1, node_id: b"old".to_vec(), capabilities: Vec::new(), public_key: vec![1; 32] };
    let mut bytes = Vec::new();
    v1::framing::encode(&v1::envelope::pack(&v1::Message::Hello(hello), 1, 0).encode(), &mut bytes);
    let stream = raw(&node);
    (&stream).write_all(&bytes).expect("takes it");
    assert!(matches!(node.expect_handshake_failed(), CloseReason::BadVersion(why) if why.contains("plaintext")));
    assert_eq!(until_closed(&stream), b"");
    serves(&mut node, None);
}

#[test]
fn bytes_of_another_protocol_or_of_none_are_refused_unanswered() {
    let mut node = Peer::named("node");
    let mut rng = fastrand::Rng::with_seed(5);
    let noise: Vec<u8> = (0..4_000).map(|_| rng.u8(..)).collect();
    let http = "GET / HTTP/1.1\r\nHost: somewhere.example\r\nUser-Agent: a browser that is lost\r\nAccept: */*\r\n\r\n";
    let zeros = [0u8; 200];
    for bytes in [&noise[..], http.as_bytes(), &zeros, &[0x80; 200], &[0xff; 200]] {
        let stream = raw(&node);
        (&stream).write_all(bytes).expect("takes it");
        let reason = node.expect_handshake_failed();
        assert!(matches!(reason, CloseReason::Protocol(_) | CloseReason::FrameTooLarge { .. }), "{reason}");
        assert_eq!(until_closed(&stream), b"");
    }
    serves(&mut node, None);
}

#[test]
fn an_announced_giant_frame_is_refused_by_its_length_alone() {
    let mut node = Peer::named("node");
    let stream = raw(&node);
    // varint of 2^40.
    (&stream).write_all(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x20]).expect("takes it");
    let reason = node.expect_handshake_failed();
    assert!(matches!(reason, CloseReason::FrameTooLarge { got, .. } if got == 1 << 40), "{reason}");
    serves(&mut node, None);
}

#[test]
fn connections_that_are_reset_at_once_leave_nothing_behind() {
    let mut node = Peer::named("node");
    for _ in 0..50 {
        let stream = raw(&node);
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("set");
        drop(stream);
    }
    for _ in 0..50 {
        assert!(matches!(node.expect_handshake_failed(), CloseReason::Lost(_)));
    }
    serves(&mut node, None);
}

#[test]
fn a_handshake_that_does_not_come_to_an_end_is_closed_at_its_deadline() {
    let mut settings = config("node");
    settings.handshake_timeout = Duration::from_millis(200);
    let mut node = Peer::start(settings);
    let silent = raw(&node);
    let mut dripping = raw(&node);
    dripping.set_read_timeout(Some(Duration::from_millis(10))).expect("set");
    let begin = now();
    // A byte now and then buys nothing.
    loop {
        let mut byte = [0];
        match (dripping.write(&[100]), dripping.read(&mut byte)) {
            (Ok(_), Err(e)) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => assert!(begin.elapsed() < PATIENCE),
            _ => break,
        }
    }
    assert_eq!(until_closed(&silent), b"");
    assert!(begin.elapsed() >= Duration::from_millis(150));
    for _ in 0..2 {
        assert_eq!(node.expect_handshake_failed(), CloseReason::Timeout);
    }
}

/// What passed in the order it passed: direction and length.
type Seen = Arc<Mutex<Vec<(bool, usize)>>>;

/// Lengths of Hello, HelloAck and HelloFinish.
fn message_lengths(psk: Option<u8>) -> [u64; 3] {
    let (mut a, mut b) = (Peer::start(with_psk("a", psk)), Peer::start(with_psk("b", psk)));
    let seen = Seen::default();
    let notes = seen.clone();
    let proxy = Proxy::to(&b.endpoint(), move |piece| {
        notes.lock().expect("notes").push((piece.to_server, piece.bytes.len()));
        Fate::Pass
    });
    a.node.connect(proxy.endpoint()).expect("dials");
    a.expect_connected();
    b.expect_connected();
    let seen = seen.lock().expect("notes");
    assert_eq!([seen[0].0, seen[1].0, seen[2].0], [true, false, true]);
    [seen[0].1 as u64, seen[1].1 as u64, seen[2].1 as u64]
}

/// Which bytes of a message to alter: its framing and first fields, its end, and samples of what is between.
fn positions(length: u64) -> impl Iterator<Item = u64> {
    (0..length).filter(move |at| *at < 36 || *at + 20 > length || at % 17 == 0)
}

#[test]
fn a_byte_altered_anywhere_in_the_handshake_fails_it_and_an_honest_retry_succeeds() {
    let psk = Some(9);
    let [hello, ack, finish] = message_lengths(psk);
    let to_server = positions(hello).chain(positions(finish).map(move |at| hello + at)).map(|at| (true, at));
    let spots: Vec<(bool, u64)> = to_server.chain(positions(ack).map(|at| (false, at))).collect();
    let settings = |name: &str| {
        let mut settings = with_psk(name, psk);
        settings.handshake_timeout = Duration::from_secs(2);
        settings
    };
    let mut b = Peer::start(settings("b"));
    for spots in spots.chunks(60) {
        let mut a = Peer::start(settings("a"));
        let altered = Arc::new(Mutex::new(0));
        let spoil = |(direction, at): (bool, u64)| {
            let altered = altered.clone();
            let hook = move |piece: &mut Piece<'_>| {
                if piece.to_server == direction && piece.flip(at) {
                    *altered.lock().expect("count") += 1;
                }
                Fate::Pass
            };
            Proxy::to(&b.endpoint(), hook)
        };
        let proxies: Vec<Proxy> = spots.iter().map(|spot| spoil(*spot)).collect();
        proxies.iter().for_each(|proxy| a.node.connect(proxy.endpoint()).expect("dials"));
        for (proxy, spot) in proxies.iter().zip(spots) {
            a.expect(&format!("a failure for {spot:?}"), |e| match e {
                Event::ConnectFailed { endpoint, .. } if *endpoint == proxy.endpoint() => Some(()),
                Event::PeerConnected { endpoint, .. } => panic!("connected through {endpoint} although a byte was altered"),
                _ => None,
            });
        }
        assert!(*altered.lock().expect("count") >= spots.len());
        assert_eq!((a.node.stats().peers_total, b.node.stats().peers_total), (0, 0));
    }
    serves(&mut b, psk);
}
