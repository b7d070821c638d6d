//! The codecs. Strict ones give back the very bytes they decoded; those of v1 the same value.

use std::collections::BTreeMap;

use bytes::Bytes;
use vixp2p::base::answer::ProvenRun;
use vixp2p::base::{Incarnation, LogId, LogRange, PeerId, limits};
use vixp2p::wire::announce::Announce;
use vixp2p::wire::envelope::{Envelope, peek_version};
use vixp2p::wire::frame::{self, Framer};
use vixp2p::wire::handshake::{Claim, Hello, HelloAck, HelloFinish, Identity, from_frame, kind};
use vixp2p::wire::message::{Decline, Part, SnapshotData, SnapshotDecline, SnapshotFetch, SnapshotId, SnapshotOffer};
use vixp2p::wire::message::{KeyUpdate, Neighbours, Notice, OutboxHeld, OutboxPull, Parcel, ParcelId, Search, SearchStep};
use vixp2p::wire::message::{Verdict, WalAck, WalNak, WalPush, WalSeal};
use vixp2p::wire::{Message, v1};

use super::edits::Choices;
use super::handshake::honest_frames;

pub(crate) fn frame(input: &[u8]) {
    let mut choices = Choices::new(input);
    let max = usize::from(choices.u16()) % 5000;
    let mut rest = choices.rest();
    while let Ok(Some(range)) = Framer::new(max).first(rest) {
        let payload = &rest[range.clone()];
        assert!(!payload.is_empty() && payload.len() <= max);
        let mut again = Vec::new();
        frame::encode(payload, &mut again);
        assert_eq!(again, &rest[..range.end]);
        rest = &rest[range.end..];
    }
}

pub(crate) fn frame_seeds() -> Vec<Vec<u8>> {
    let mut two = 4096u16.to_le_bytes().to_vec();
    frame::encode(b"one", &mut two);
    frame::encode(&[7; 200], &mut two);
    vec![two, vec![0x10, 0, 0xff, 0xff, 0xff, 1]]
}

pub(crate) fn envelope(input: &[u8]) {
    let Ok(envelope) = Envelope::decode(input, limits::PREAUTH_FRAME_MAX_BYTES) else { return };
    assert_eq!(peek_version(input), Some((envelope.major, envelope.minor)));
    assert_eq!(envelope.encode(), input);
}

pub(crate) fn envelope_seeds() -> Vec<Vec<u8>> {
    let sealed = Envelope { major: 1, minor: 3, kind: 10, msg_id: 5, flags: 1, nonce: [1; 12], tag: [2; 16], payload: vec![9; 40] };
    vec![Envelope::live(4, b"payload".to_vec()).encode(), sealed.encode()]
}

pub(crate) fn handshake_message(input: &[u8]) {
    let Some((which, payload)) = input.split_first() else { return };
    match which % 5 {
        0 => _ = Hello::decode(payload).map(|it| assert_eq!(it.encode(), payload)),
        1 => _ = HelloAck::decode(payload).map(|it| assert_eq!(it.encode(), payload)),
        2 => _ = HelloFinish::decode(payload).map(|it| assert_eq!(it.encode(), payload)),
        3 => {
            if let Ok((identity, claim_len)) = Identity::decode(payload) {
                assert_eq!(identity.encode(), payload);
                assert_eq!(identity.claim.encode(), &payload[..claim_len]);
            }
        }
        _ => {
            for kind in [kind::HELLO, kind::HELLO_ACK, kind::HELLO_FINISH] {
                _ = from_frame(kind, payload).map(|body| assert_eq!(Envelope::live(kind, body).encode(), payload));
            }
        }
    }
}

pub(crate) fn handshake_message_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (which, kind) in [kind::HELLO, kind::HELLO_ACK, kind::HELLO_FINISH].into_iter().enumerate() {
        let envelope = &honest_frames()[which];
        let payload = from_frame(kind, envelope).expect("honest");
        seeds.push([&[which as u8], &payload[..]].concat());
        seeds.push([&[4], &envelope[..]].concat());
    }
    let capabilities = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
    let claim = Claim { public_key: [3; 32], node_id: "node".into(), capabilities, cert: Vec::new() };
    seeds.push([&[3], &Identity { claim, signature: [4; 64], fin: [5; 32] }.encode()[..]].concat());
    seeds
}

pub(crate) fn message(input: &[u8]) {
    let Some((kind, body)) = input.split_first() else { return };
    let body = Bytes::copy_from_slice(body);
    let Ok(message) = Message::decode(*kind, &body) else { return };
    assert_eq!(message.kind(), *kind);
    let mut again = Vec::new();
    message.encode_body(&mut again);
    assert_eq!(again, body);
}

pub(crate) fn message_seeds() -> Vec<Vec<u8>> {
    let log = LogId { origin: PeerId([1; 32]), incarnation: Incarnation(2) };
    let ack = WalAck { log, durable: 9, applied: 4 };
    let id = ParcelId { from: PeerId([1; 32]), from_run: 2, number: 3, attempt: 4 };
    let snapshot = SnapshotId([4; 32]);
    let messages = [
        Message::Ping { nonce: 1 },
        Message::Pong { nonce: 2 },
        Message::Welcome,
        Message::Close { code: 3, detail: "gründe".into() },
        Message::KeyUpdate(KeyUpdate::Offer(vec![5; 32])),
        Message::KeyUpdate(KeyUpdate::Switch),
        Message::WalPush(WalPush { log, seq_begin: 1, seq_end: 2, wal_bytes: Bytes::from_static(b"records") }),
        Message::WalAck(ack),
        Message::Vector(vec![ack, ack]),
        Message::WalNak(WalNak { log, have: 7 }),
        Message::OutboxPull(OutboxPull { target: log.origin, max_items: 128 }),
        Message::OutboxHeld(OutboxHeld { target: log.origin, ranges: vec![LogRange { log, first: 1, last: 9 }] }),
        Message::SnapshotOffer(SnapshotOffer { id: snapshot, maker: log.origin, root: [3; 32], size: 9, manifest: 300 }),
        Message::SnapshotFetch(SnapshotFetch { id: snapshot, part: Part::Hashes }),
        Message::SnapshotFetch(SnapshotFetch { id: snapshot, part: Part::Piece(7) }),
        Message::SnapshotData(SnapshotData { id: snapshot, part: Part::Manifest, bytes: Some(Bytes::from_static(b"manifest")) }),
        Message::SnapshotData(SnapshotData { id: snapshot, part: Part::Piece(1), bytes: None }),
        Message::SnapshotDecline(SnapshotDecline { id: snapshot, why: Decline::Unneeded }),
        Message::Parcel(Parcel { id, to: PeerId([5; 32]), to_run: 6, ttl: 7, sealed: Bytes::from_static(b"sealed") }),
        Message::Notice(Notice { id, verdict: Verdict::Received([8; 32]) }),
        Message::Notice(Notice { id, verdict: Verdict::NoRoute }),
        Message::Notice(Notice { id, verdict: Verdict::Run(ProvenRun { run: 6, opened: [8; 32], proof: [9; 32] }) }),
        Message::Search(Search { origin: id.from, number: 1, target: PeerId([5; 32]), step: SearchStep::Seek { ttl: 8 } }),
        Message::Neighbours(Neighbours { port: 9001, others: vec![(id.from, "tcp://192.0.2.1:9001".into())] }),
        Message::WalSeal(WalSeal { log, seal: [6; 130] }),
    ];
    let bytes = |message: &Message| {
        let mut out = vec![message.kind()];
        message.encode_body(&mut out);
        out
    };
    messages.iter().map(bytes).collect()
}

pub(crate) fn announce(input: &[u8]) {
    if let Ok(announce) = Announce::parse(input) {
        let text = announce.to_json().expect("what was read can be written");
        assert_eq!(Announce::parse(text.as_bytes()), Ok(announce));
    }
    if let Some(lax) = v1::DiscoveryAnnounce::from_json(input) {
        assert!(!lax.node_id.is_empty() && lax.tcp_port > 0);
        assert!(lax.to_json().len() <= limits::ANNOUNCE_MAX_BYTES);
    }
}

pub(crate) fn announce_seeds() -> Vec<Vec<u8>> {
    [
        r#"{"node_id":"node-a","tcp_port":9001,"ts_ms":1,"nonce":2,"cap":{"proto":"1.0"}}"#,
        r#"{"nonce":18446744073709551615,"ts_ms":0,"tcp_port":1,"node_id":"\u00e4\n\"","x":[{}]}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(crate) fn v1(input: &[u8]) {
    let Some((which, bytes)) = input.split_first() else { return };
    match which {
        0 => {
            if let Ok(envelope) = v1::envelope::decode(bytes) {
                assert_eq!(v1::envelope::decode(&envelope.encode()), Ok(envelope));
            }
        }
        255 => {
            if let Ok(decoded) = v1::framing::decode(bytes) {
                let mut again = Vec::new();
                decoded.frames.iter().for_each(|frame| v1::framing::encode(frame, &mut again));
                assert_eq!(v1::framing::decode(&again).map(|d| d.frames), Ok(decoded.frames));
            }
        }
        kind => {
            if let Ok(message) = v1::Message::decode(u16::from(*kind), bytes) {
                assert_eq!(message.kind(), u16::from(*kind));
                assert_eq!(v1::Message::decode(message.kind(), &message.encode()), Ok(message));
            }
        }
    }
}

pub(crate) fn v1_seeds() -> Vec<Vec<u8>> {
    let capabilities = vec![(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"2".to_vec())];
    let messages = [
        v1::Message::Hello(v1::Hello { nonce_a: 1, ts_ms: 2, node_id: b"n".to_vec(), capabilities, public_key: vec![3; 32] }),
        v1::Message::HelloAck(v1::HelloAck { nonce_a: 1, nonce_b: 300, public_key: vec![3; 32] }),
        v1::Message::HelloFinish(v1::HelloFinish { nonce_a: 1, nonce_b: 300, signature: vec![4; 32] }),
        v1::Message::Ping(v1::Ping { nonce: 5 }),
        v1::Message::WalPush(v1::WalPush { seq_begin: 1, seq_end: 2, wal_bytes: b"records".to_vec() }),
        v1::Message::OutboxPull(v1::OutboxPull { target_node_id: b"n".to_vec(), max_items: 3 }),
    ];
    let mut seeds: Vec<Vec<u8>> = messages.iter().map(|m| [&[m.kind() as u8], &m.encode()[..]].concat()).collect();
    let envelope = v1::envelope::pack(&messages[0], 1, 0).encode();
    let mut framed = vec![255];
    v1::framing::encode(&envelope, &mut framed);
    v1::framing::encode(b"", &mut framed);
    seeds.push([&[0], &envelope[..]].concat());
    seeds.push(framed);
    seeds
}
