//! An established session: what arrives is what was sent, in its order, up to the first altered byte; then nothing.

use bytes::BytesMut;
use vixp2p::base::config::KeyAgreement;
use vixp2p::base::{Incarnation, LogId, PeerId, limits};
use vixp2p::crypto::handshake::Role;
use vixp2p::crypto::kex::{Group, KexSecrets};
use vixp2p::crypto::record::{HEADER_BYTES, Opener, Sealer};
use vixp2p::crypto::{Suite, schedule};
use vixp2p::session::handshaking::seeded_kex;
use vixp2p::session::{Progress, RecvHalf, SendHalf, key_update};
use vixp2p::wire::cursor::encode_varint;
use vixp2p::wire::message::{KeyUpdate, WalAck, kind};
use vixp2p::wire::{Inbound, Message};

use super::edits::{Choices, pieces};

/// One thing sent or received.
#[derive(Clone, PartialEq, Debug)]
enum Item {
    Data(Vec<u8>),
    Message(Message),
}

impl Item {
    fn encode(&self, out: &mut Vec<u8>) {
        let (kind, body) = match self {
            Item::Data(payload) => (kind::DATA, payload.clone()),
            Item::Message(message) => {
                let mut body = Vec::new();
                message.encode_body(&mut body);
                (message.kind(), body)
            }
        };
        encode_varint(body.len() as u64 + 1, out);
        out.push(kind);
        out.extend_from_slice(&body);
    }
}

/// One side of a session.
struct End {
    send: SendHalf,
    recv: RecvHalf,
}

/// The sealer and opener of a direction.
fn direction(choice: u8, secret: &[u8]) -> (Sealer, Opener) {
    let suites = Suite::supported(KeyAgreement::Classic);
    let suite = suites[usize::from(choice) % suites.len()];
    let secret = schedule::extract(b"fuzz", secret);
    (Sealer::new(suite, secret.clone(), [1; 32]), Opener::new(suite, secret, [1; 32]))
}

/// The side that dialled and the one that was dialled.
fn ends(choice: u8) -> (End, End) {
    let ((there, from_dialler), (back, from_acceptor)) = (direction(choice, b"there"), direction(choice, b"back"));
    let dialler = End { send: SendHalf::new(there, Role::Initiator, Group::X25519), recv: RecvHalf::new(from_acceptor) };
    (dialler, End { send: SendHalf::new(back, Role::Responder, Group::X25519), recv: RecvHalf::new(from_dialler) })
}

impl End {
    fn flush(&mut self, wire: &mut Vec<u8>) {
        let mut out = Vec::new();
        self.send.take(&mut out);
        wire.extend_from_slice(&out);
    }
}

fn secrets(seed: u64) -> KexSecrets {
    seeded_kex(&mut fastrand::Rng::with_seed(seed))
}

/// What one side makes of a stream, and whether it was content to the end.
fn receive(end: &mut End, stream: &[u8], cut: u8) -> (Vec<Item>, bool) {
    let (mut input, mut items, mut got) = (BytesMut::new(), Vec::new(), Vec::new());
    let before = end.recv.frames();
    let content = pieces(stream, cut).all(|piece| {
        input.extend_from_slice(piece);
        loop {
            match end.recv.receive(&mut input, &mut items) {
                Err(_) => return false,
                Ok(Progress::Done) => return true,
                Ok(Progress::KeyUpdate(update)) => {
                    collect(&mut items, &mut got);
                    got.push(Item::Message(Message::KeyUpdate(update.clone())));
                    if key_update::turn(&mut end.send, &mut end.recv, update, &secrets(2)).is_err() {
                        return false;
                    }
                }
            }
        }
    });
    collect(&mut items, &mut got);
    // The last frame counts although it was refused, if it is a key update that does not end its record.
    let frames = end.recv.frames() - before;
    assert!(frames == got.len() as u64 || (!content && frames == got.len() as u64 + 1));
    (got, content)
}

fn collect(items: &mut Vec<Inbound>, got: &mut Vec<Item>) {
    for item in items.drain(..) {
        match item {
            Inbound::Data(mut batch) => {
                let read: Vec<Vec<u8>> = batch.iter().map(<[u8]>::to_vec).collect();
                assert_eq!(read.len(), batch.len());
                assert!(read.iter().all(|payload| batch.pop_front().as_deref() == Some(payload)) && batch.is_empty());
                got.extend(read.into_iter().map(Item::Data));
            }
            Inbound::Message(message) => got.push(Item::Message(message)),
            Inbound::FreshKeys => unreachable!("a carrier's word"),
        }
    }
}

fn honest_stream(choice: u8) -> Vec<u8> {
    let (End { mut send, .. }, _) = ends(choice);
    send.push_data(b"first");
    send.push(&Message::Ping { nonce: 1 });
    let mut out = Vec::new();
    send.take(&mut out);
    out
}

/// `suite, cut, stream`
pub(crate) fn stream(input: &[u8]) {
    let mut choices = Choices::new(input);
    let (suite, cut) = (choices.byte(), choices.byte());
    let (_, mut acceptor) = ends(suite);
    let (got, _) = receive(&mut acceptor, choices.rest(), cut);
    // Nobody can make a record but whoever has the key.
    assert!(got.is_empty() || choices.rest().starts_with(&honest_stream(suite)));
}

pub(crate) fn stream_seeds() -> Vec<Vec<u8>> {
    (0..2).map(|suite| [&[suite, 0], &honest_stream(suite)[..]].concat()).collect()
}

/// `cut, (length, plaintext of a record)*`: an authenticated peer that puts anything into its records.
pub(crate) fn frames(input: &[u8]) {
    let mut choices = Choices::new(input);
    let cut = choices.byte();
    let (mut sealer, _) = direction(0, b"there");
    let (_, mut acceptor) = ends(0);
    let (mut wire, mut plain) = (Vec::new(), Vec::new());
    while !choices.is_empty() {
        let length = usize::from(choices.u16()).clamp(1, limits::RECORD_PLAINTEXT_MAX_BYTES);
        let text = choices.take(length);
        let start = wire.len();
        wire.extend_from_slice(&[0; HEADER_BYTES]);
        wire.extend_from_slice(text);
        let tag = sealer.seal(&mut wire[start..]);
        wire.extend_from_slice(&tag);
        plain.extend_from_slice(text);
    }
    let (got, _) = receive(&mut acceptor, &wire, cut);
    let mut again = Vec::new();
    got.iter().for_each(|item| item.encode(&mut again));
    assert!(plain.starts_with(&again), "every frame has one encoding");
}

pub(crate) fn frames_seeds() -> Vec<Vec<u8>> {
    let mut plain = Vec::new();
    Item::Data(b"payload".to_vec()).encode(&mut plain);
    Item::Message(Message::Pong { nonce: 7 }).encode(&mut plain);
    Item::Data(vec![1; 150]).encode(&mut plain);
    let record = |text: &[u8]| [&(text.len() as u16).to_le_bytes(), text].concat();
    let whole = [&[0], &record(&plain)[..]].concat();
    let split = [&[5], &record(&plain[..40])[..], &record(&plain[40..])].concat();
    let mut update = Vec::new();
    Item::Message(Message::KeyUpdate(KeyUpdate::Offer([9; 32].to_vec()))).encode(&mut update);
    let update = [&[0], &record(&update)[..]].concat();
    vec![whole, split, update, vec![0, 5, 0, 0xff, 0xff, 0xff, 7, 32]]
}

/// `suite, cut, edits, what is sent`: honest traffic, altered on its way.
pub(crate) fn tampered(input: &[u8]) {
    let mut choices = Choices::new(input);
    let (suite, cut, count) = (choices.byte(), choices.byte(), choices.byte() % 8);
    let mut edits = Choices::new(choices.take(4 * usize::from(count)));
    let (mut dialler, mut acceptor) = ends(suite);
    // Receives everything unaltered, so that a key update comes to its end.
    let (_, mut shadow) = ends(suite);
    let (mut sent, mut wire, mut told, mut long, mut updates) = (Vec::new(), Vec::new(), 0, 0, 0);
    while !choices.is_empty() && sent.len() < 200 {
        let item = match choices.byte() % 6 {
            0 => Item::Message(Message::Ping { nonce: choices.number() }),
            1 => {
                let log = LogId { origin: PeerId([choices.byte(); 32]), incarnation: Incarnation(1) };
                Item::Message(Message::Vector(vec![WalAck { log, durable: 5, applied: 2 }; usize::from(choices.byte() % 4)]))
            }
            2 => {
                dialler.flush(&mut wire);
                continue;
            }
            5 if updates < 2 => {
                updates += 1;
                key_update::renew(&mut dialler.send, &secrets(1));
                dialler.flush(&mut wire);
                let offer = receive(&mut shadow, &wire[told..], 0).0;
                told = wire.len();
                sent.extend(offer.last().cloned());
                let mut answer = Vec::new();
                shadow.flush(&mut answer);
                assert!(receive(&mut dialler, &answer, 0).1);
                sent.push(Item::Message(Message::KeyUpdate(KeyUpdate::Switch)));
                dialler.flush(&mut wire);
                continue;
            }
            3 if long < 2 => {
                long += 1;
                Item::Data(vec![3; limits::RECORD_PLAINTEXT_MAX_BYTES - 200 + usize::from(choices.u16() % 400)])
            }
            _ => {
                let length = usize::from(choices.byte());
                Item::Data(choices.take(length).to_vec())
            }
        };
        match &item {
            Item::Data(payload) => dialler.send.push_data(payload),
            Item::Message(message) => dialler.send.push(message),
        }
        sent.push(item);
    }
    dialler.flush(&mut wire);
    let honest = wire.clone();
    edits.edit(&mut wire, count);
    let (got, content) = receive(&mut acceptor, &wire, cut.max(u8::from(wire.len() > 4096) * 200));
    assert!(sent.starts_with(&got), "nothing but what was sent, in its order");
    if wire.starts_with(&honest) {
        assert_eq!(got, sent);
        assert!(content || wire.len() > honest.len());
    }
}

pub(crate) fn tampered_seeds() -> Vec<Vec<u8>> {
    vec![
        vec![0, 0, 0, 4, 3, b'a', b'b', b'c', 0, 9, 2, 1, 7, 2, 5, 0],
        vec![1, 9, 1, 0, 30, 0, 1, 4, 3, b'a', b'b', b'c', 2, 0, 9],
        vec![0, 0, 0, 3, 200, 0, 4, 2, 1, 1, 3, 10, 1],
        vec![0, 0, 1, 5, 0, 0, 30, 0, 9, 2, 0, 10],
        vec![0, 0, 0, 4, 3, b'a', b'b', b'c', 5, 0, 7, 5, 4, 1, b'd'],
    ]
}
