//! H11: from outside every failure before the end of the handshake looks the same; our log names each.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use vixp2p::Event;
use vixp2p::base::{CloseReason, Level};
use vixp2p::wire::handshake::{kind, to_frame};
use vixp2p::wire::v1;

use crate::common::{PATIENCE, Peer, config, eventually};
use crate::support::*;

const PSK: Option<u8> = Some(9);

/// First messages that a node with that pre-shared key refuses, and what its log says.
fn refused() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let hello = |with: Option<u8>, alter: fn(&mut vixp2p::wire::handshake::Hello)| FakeInitiator::new(with.map(psk), 66, alter);
    let mut wrong_mac = hello(PSK, |_| {}).hello;
    wrong_mac.mac1[0] ^= 1;
    let honest = hello(PSK, |_| {});
    let old = v1::Hello { nonce_a: 7, ts_ms: 1, node_id: b"old".to_vec(), capabilities: Vec::new(), public_key: vec![1; 32] };
    let mut of_v1 = Vec::new();
    v1::framing::encode(&v1::envelope::pack(&v1::Message::Hello(old), 1, 0).encode(), &mut of_v1);
    let mut of_v3 = honest.hello();
    let at = of_v3.windows(4).position(|w| w == b"VP2P").expect("magic") + 4;
    of_v3[at] = 3;
    let mut flagged = honest.hello();
    flagged[at + 14] = 4;
    vec![
        ("another pre-shared key", hello(Some(8), |_| {}).hello(), "wrong pre-shared key"),
        ("none", hello(None, |_| {}).hello(), "has no pre-shared key"),
        ("a wrong mac1", to_frame(kind::HELLO, wrong_mac.encode()), "wrong pre-shared key"),
        (
            "an unknown suite",
            hello(PSK, |h| {
                h.suites = vec![0x0301];
                h.key_shares.insert(3, vec![1; 32]);
            })
            .hello(),
            "no common cipher suite",
        ),
        ("an old version", hello(PSK, |h| (h.version_min, h.version_max) = (1, 1)).hello(), "no common protocol version"),
        ("a later version", hello(PSK, |h| (h.version_min, h.version_max) = (3, 9)).hello(), "no common protocol version"),
        ("a v1 peer", of_v1, "plaintext protocol 1"),
        ("an envelope of version 3", of_v3, "the peer speaks 3"),
        ("flags in the envelope", flagged, "flags"),
        ("a byte too many", to_frame(kind::HELLO, [honest.hello.encode(), vec![0]].concat()), "malformed"),
        ("a byte too few", to_frame(kind::HELLO, honest.hello.encode()[1..].to_vec()), "malformed"),
        ("no suite", hello(PSK, |h| h.suites.clear()).hello(), "no suite offered"),
        ("another message", to_frame(kind::HELLO_FINISH, honest.hello.encode()), "another handshake message"),
        (
            "a small-order share",
            hello(PSK, |h| {
                h.key_shares.insert(1, vec![0; 32]);
                h.suites.retain(|suite| suite >> 8 == 1);
            })
            .hello(),
            "unusable ephemeral key",
        ),
        ("no envelope", b"\x20GET / HTTP/1.1 and some more of it".to_vec(), "no envelope"),
    ]
}

#[test]
fn h11_the_responder_says_nothing_to_any_wrong_first_message_and_names_it_for_itself() {
    for (what, bytes, word) in refused() {
        let mut responder = accept(&party(2, PSK), 1);
        let reason = give(&mut responder, &bytes).expect_err(what);
        assert!(reason.to_string().contains(word), "{what}: {reason}");
        assert!(!responder.has_outgoing(), "{what}");
    }
}

/// What is to be seen of a connection by whoever opened it: the bytes, and how it ended.
fn seen(port: u16, bytes: &[u8]) -> (Vec<u8>, Option<ErrorKind>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.write_all(bytes).expect("takes it");
    let mut said = Vec::new();
    let end = stream.read_to_end(&mut said).err().map(|e| e.kind());
    (said, end)
}

#[test]
fn h11_over_a_socket_all_of_them_are_the_same_byte_for_byte_and_the_log_tells_them_apart() {
    let mut settings = config("node");
    settings.psk = PSK.map(psk);
    let mut node = Peer::open(settings);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = lines.clone();
    node.node.on_log(Level::Trace, move |_, line| log.lock().expect("lines").push(line.to_owned()));
    node.node.start().expect("starts");
    for (what, bytes, word) in refused() {
        assert_eq!(seen(node.node.port(), &bytes), (Vec::new(), None), "{what}: not a byte, and an ordinary end");
        let reason = node.expect_handshake_failed();
        assert!(reason.to_string().contains(word), "{what}: {reason}");
        eventually("the log's line", || lines.lock().expect("lines").iter().any(|line| line.contains(word)));
    }
    // A whole run whose last message is wrong: the answer to the Hello, then the same end.
    for spoil in [false, true] {
        let mut liar = FakeInitiator::new(PSK.map(psk), 66, |_| {});
        let mut stream = TcpStream::connect(("127.0.0.1", node.node.port())).expect("listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.write_all(&liar.hello()).expect("takes it");
        let mut ack = vec![0; 8192];
        let mut got = 0;
        while vixp2p::wire::frame::Framer::new(4096).first(&ack[..got]).expect("a frame").is_none() {
            got += stream.read(&mut ack[got..]).expect("an answer");
        }
        liar.take(&ack[..got]);
        let signer = if spoil { 5 } else { 6 };
        let mut sealed = liar.ladder().signed("initiator", &liar.h3(), claim(6), &identity(signer));
        if !spoil {
            *sealed.last_mut().expect("a tag") ^= 1;
        }
        stream.write_all(&liar.finish(sealed)).expect("takes it");
        let mut rest = Vec::new();
        assert!(stream.read_to_end(&mut rest).is_ok() && rest.is_empty(), "no word and an ordinary end");
        let word = if spoil { "false signature" } else { "does not open" };
        assert!(matches!(node.expect_handshake_failed(), CloseReason::HandshakeFailed(why) if why.contains(word)));
    }
    assert_eq!(node.node.stats().peers_total, 0);
    assert!(!node.has_seen(|event| matches!(event, Event::PeerConnected { .. })));
}

#[test]
fn h11_the_initiator_too_goes_without_a_word() {
    // Answers of a false responder, each wrong in its own way: after its Hello the initiator says nothing more.
    type Wrong = fn(&mut FakeResponder) -> Vec<u8>;
    let honest: Wrong = |liar| {
        let sealed = liar.ladder.signed("responder", &liar.ladder.h2, claim(6), &identity(6));
        liar.say(sealed)
    };
    let answers: [(Wrong, &str); 4] = [
        (
            |liar| {
                let s = liar.ladder.signed("responder", &liar.ladder.h2, claim(6), &identity(5));
                liar.say(s)
            },
            "false signature",
        ),
        (|liar| liar.say(vec![0; 400]), "does not open"),
        (
            |liar| {
                liar.ack.nonce_a ^= 1;
                liar.say(vec![0; 400])
            },
            "another handshake",
        ),
        (
            |liar| {
                liar.ack.suite = 0x0999;
                liar.say(vec![0; 400])
            },
            "not offered",
        ),
    ];
    for (answer, word) in answers.into_iter().chain([(honest, "")]) {
        let mut initiator = dial(&party(1, PSK), 1);
        let mut liar = FakeResponder::answer(&initiator.outgoing(), PSK.map(psk).as_ref(), 66, |_| {});
        let result = give(&mut initiator, &answer(&mut liar));
        assert_eq!(result.is_err(), !word.is_empty(), "{word}");
        assert_eq!(initiator.outgoing().is_empty(), !word.is_empty(), "{word}");
        assert!(result.err().is_none_or(|reason| reason.to_string().contains(word)));
    }
}
