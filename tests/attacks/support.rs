//! The stage of the attacks: honest parties and their machines, and a liar that computes the handshake by PROTOCOL.md and may say
//! whatever it likes in it.

#![allow(unreachable_pub, reason = "the other files of this program use it")]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use vixp2p::base::CloseReason;
use vixp2p::base::config::{KeyAgreement, Psk};
use vixp2p::base::limits::PREAUTH_FRAME_MAX_BYTES;
use vixp2p::crypto::kex::{self, Group, KexSecrets, Offer};
use vixp2p::crypto::schedule::{expand, extract, hash, mac};
use vixp2p::crypto::{Identity, Secret, Suite};
use vixp2p::session::handshaking::seeded_kex;
use vixp2p::session::{Established, Handshaking, LocalParty, Progress, RunSecrets, key_update};
use vixp2p::wire::frame::Framer;
use vixp2p::wire::handshake::{Claim, Hello, HelloAck, HelloFinish, Identity as Plain, from_frame, kind, to_frame};
use vixp2p::wire::{Inbound, Message};

pub fn identity(seed: u8) -> Identity {
    Identity::from_seed(&Secret::new([seed; 32]))
}

pub fn psk(byte: u8) -> Psk {
    Psk::new([byte; 32])
}

fn capabilities() -> BTreeMap<String, String> {
    BTreeMap::from([("proto".to_owned(), "2".to_owned())])
}

fn bare(seed: u8, with: Option<u8>) -> LocalParty {
    LocalParty::new(Arc::new(identity(seed)), &format!("node-{seed}"), &capabilities(), with.map(psk).as_ref()).expect("small claim")
}

/// An honest node that speaks every suite.
pub fn party(seed: u8, psk: Option<u8>) -> Arc<LocalParty> {
    Arc::new(bare(seed, psk))
}

/// One of a kind of key agreement only.
pub fn only(wanted: KeyAgreement, seed: u8, psk: Option<u8>) -> Arc<LocalParty> {
    Arc::new(bare(seed, psk).with_suites(Suite::supported(wanted)))
}

/// What that party says it is.
pub fn claim(seed: u8) -> Claim {
    Claim { public_key: identity(seed).id().0, node_id: format!("node-{seed}"), capabilities: capabilities(), cert: Vec::new() }
}

pub fn kex_secrets(seed: u64) -> KexSecrets {
    seeded_kex(&mut fastrand::Rng::with_seed(seed))
}

pub fn run_secrets(seed: u64) -> RunSecrets {
    RunSecrets::seeded(&mut fastrand::Rng::with_seed(seed))
}

pub fn dial(party: &Arc<LocalParty>, seed: u64) -> Handshaking {
    Handshaking::dial(party.clone(), run_secrets(seed))
}

pub fn accept(party: &Arc<LocalParty>, seed: u64) -> Handshaking {
    Handshaking::accept(party.clone(), run_secrets(seed ^ 0xacce_97ed))
}

/// Gives bytes to a machine.
pub fn give(machine: &mut Handshaking, bytes: &[u8]) -> Result<Option<Box<Established>>, CloseReason> {
    machine.receive(&mut BytesMut::from(bytes))
}

/// What a handshake that was let run gave: bytes said, and who ended up believing in a session.
#[derive(Debug)]
pub struct Outcome {
    pub said: [Vec<u8>; 3],
    pub initiator: Result<Option<Box<Established>>, CloseReason>,
    pub responder: Result<Option<Box<Established>>, CloseReason>,
}

impl Outcome {
    /// Neither side has a session.
    pub fn nobody(&self) -> bool {
        !matches!(self.initiator, Ok(Some(_))) && !matches!(self.responder, Ok(Some(_)))
    }

    pub fn both(self) -> (Established, Established) {
        match (self.initiator, self.responder) {
            (Ok(Some(initiator)), Ok(Some(responder))) => (*initiator, *responder),
            other => panic!("no session: {other:?}"),
        }
    }
}

/// Two machines with the attacker on the line: every message passes through `hand`, which gets its number.
pub fn run(mut dialler: Handshaking, mut acceptor: Handshaking, mut hand: impl FnMut(usize, &mut Vec<u8>)) -> Outcome {
    let (mut to_r, mut to_i) = (BytesMut::new(), BytesMut::new());
    let mut outcome = Outcome { said: Default::default(), initiator: Ok(None), responder: Ok(None) };
    for number in 0..3 {
        let from_initiator = number != 1;
        let said = if from_initiator { dialler.outgoing() } else { acceptor.outgoing() };
        outcome.said[number].clone_from(&said);
        let mut passed = said;
        hand(number, &mut passed);
        let input = if from_initiator { &mut to_r } else { &mut to_i };
        input.extend_from_slice(&passed);
        match from_initiator {
            true => outcome.responder = acceptor.receive(input),
            false => outcome.initiator = dialler.receive(input),
        }
        if outcome.responder.is_err() || outcome.initiator.is_err() {
            return outcome;
        }
    }
    if let Ok(Some(responder)) = &mut outcome.responder {
        responder.send.push(&Message::Welcome);
        to_i.extend_from_slice(&taken(responder));
        outcome.initiator = dialler.receive(&mut to_i);
        // What the attacker left in front of the first record is found when that is read.
        if !to_r.is_empty() && responder.recv.receive(&mut to_r, &mut Vec::new()).is_err() {
            outcome.responder = Err(CloseReason::BadRecord(String::new()));
        }
    }
    outcome
}

/// A session of two honest nodes.
pub fn session(a: &Arc<LocalParty>, b: &Arc<LocalParty>, seed: u64) -> (Established, Established) {
    run(dial(a, seed), accept(b, seed), |_, _| {}).both()
}

/// What a side has queued, sealed.
pub fn taken(side: &mut Established) -> Vec<u8> {
    let mut bytes = Vec::new();
    side.send.take(&mut bytes);
    bytes
}

/// One sealed record with that text.
pub fn record(side: &mut Established, text: &[u8]) -> Vec<u8> {
    side.send.push_data(text);
    taken(side)
}

/// Gives sealed bytes to a side, which takes its part in key updates: the texts it would deliver, and how it ended.
pub fn deliver(to: &mut Established, bytes: &[u8]) -> (Vec<Vec<u8>>, Result<(), CloseReason>) {
    let (mut input, mut items) = (BytesMut::from(bytes), Vec::new());
    let result = loop {
        match to.recv.receive(&mut input, &mut items) {
            Ok(Progress::Done) => break Ok(()),
            Ok(Progress::KeyUpdate(update)) => {
                let secrets = kex_secrets(bytes.len() as u64);
                if let Err(reason) = key_update::turn(&mut to.send, &mut to.recv, update, &secrets) {
                    break Err(reason);
                }
            }
            Err(reason) => break Err(reason),
        }
    };
    let texts = items.iter().filter_map(|item| if let Inbound::Data(batch) = item { Some(batch) } else { None });
    (texts.flat_map(|batch| batch.iter().map(<[u8]>::to_vec).collect::<Vec<_>>()).collect(), result)
}

/// Honest traffic arrives.
pub fn exchange(from: &mut Established, to: &mut Established, text: &[u8]) {
    let bytes = record(from, text);
    let (texts, result) = deliver(to, &bytes);
    assert_eq!((texts, result), (vec![text.to_vec()], Ok(())));
}

/// The payload of a handshake message as it went over the wire.
pub fn payload(message: u16, frame: &[u8]) -> Vec<u8> {
    let range = Framer::new(PREAUTH_FRAME_MAX_BYTES).first(frame).expect("a frame").expect("whole");
    from_frame(message, &frame[range]).expect("that message")
}

pub fn hello_in(frame: &[u8]) -> Hello {
    Hello::decode(&payload(kind::HELLO, frame)).expect("a Hello")
}

pub fn ack_in(frame: &[u8]) -> HelloAck {
    HelloAck::decode(&payload(kind::HELLO_ACK, frame)).expect("a HelloAck")
}

pub fn finish_in(frame: &[u8]) -> HelloFinish {
    HelloFinish::decode(&payload(kind::HELLO_FINISH, frame)).expect("a HelloFinish")
}

/// A pre-shared key's first values: the transcript after a Hello, and its mac1.
pub fn open_transcript(psk: Option<&Psk>, hello: &Hello) -> ([u8; 64], [u8; 16]) {
    let base = psk.map(|psk| extract(b"vixp2p psk", psk.as_bytes()));
    let tag = base.as_ref().map_or([0; 32], |base| *expand(base, "tag", &[]).expose());
    let h1 = hash(&[b"vixp2p handshake v2", &tag, &hello.encode_without_mac()]);
    let mut mac1 = [0; 16];
    if let Some(base) = &base {
        mac1.copy_from_slice(&mac(&expand(base, "mac1", &[]), &h1)[..16]);
    }
    (h1, mac1)
}

pub fn psk_id(psk: Option<&Psk>) -> [u8; 8] {
    psk.map_or([0; 8], |psk| *expand::<8>(&extract(b"vixp2p psk", psk.as_bytes()), "id", &[]).expose())
}

/// The key schedule in the hands of whoever has its inputs.
pub struct Ladder {
    pub suite: Suite,
    hs: Secret<64>,
    pub h2: [u8; 64],
}

impl Ladder {
    pub fn new(suite: Suite, psk: Option<&Psk>, dh: &Secret<32>, h2: [u8; 64]) -> Ladder {
        let salt = extract(&[], psk.map_or(&[0; 32], |psk| psk.as_bytes()));
        Ladder { suite, hs: extract(salt.expose(), dh.expose()), h2 }
    }

    pub fn box_key(&self, role: &str) -> Secret<32> {
        expand(&self.hs, &format!("{role} box"), &self.h2)
    }

    pub fn signed_text(role: &str, transcript: &[u8; 64], claim: &[u8]) -> Vec<u8> {
        [format!("vixp2p sig {role}\0").as_bytes(), &hash(&[transcript, claim])].concat()
    }

    pub fn fin(&self, role: &str, transcript: &[u8; 64], claim: &Claim, signature: &[u8; 64]) -> [u8; 32] {
        mac(&expand(&self.hs, &format!("{role} fin"), &self.h2), &hash(&[transcript, &Plain::encode_signed(claim, signature)]))
    }

    pub fn seal(&self, role: &str, transcript: &[u8; 64], mut plain: Vec<u8>) -> Vec<u8> {
        let tag = self.suite.aead(&self.box_key(role)).seal([0; 12], transcript, &mut plain);
        plain.extend_from_slice(&tag);
        plain
    }

    pub fn open(&self, role: &str, transcript: &[u8; 64], sealed: &[u8]) -> Option<Plain> {
        let mut bytes = sealed.to_vec();
        let plain = self.suite.aead(&self.box_key(role)).open([0; 12], transcript, &mut bytes).ok()?;
        Plain::decode(plain).ok().map(|(plain, _)| plain)
    }

    /// A box with this claim and signature and the MAC that belongs to them.
    pub fn boxed(&self, role: &str, transcript: &[u8; 64], claim: Claim, signature: [u8; 64]) -> Vec<u8> {
        let fin = self.fin(role, transcript, &claim, &signature);
        self.seal(role, transcript, Plain { claim, signature, fin }.encode())
    }

    /// The same, signed by `signer`, whoever the claim names.
    pub fn signed(&self, role: &str, transcript: &[u8; 64], claim: Claim, signer: &Identity) -> Vec<u8> {
        let signature = signer.sign(&Ladder::signed_text(role, transcript, &claim.encode()));
        self.boxed(role, transcript, claim, signature)
    }

    /// Both directions, initiator's first, and the session's id.
    pub fn traffic(&self, h4: &[u8; 64]) -> [Traffic; 2] {
        let master: Secret<64> = expand(&self.hs, "master", h4);
        let session = *expand::<32>(&master, "session id", &[]).expose();
        ["initiator to responder", "responder to initiator"].map(|label| Traffic {
            suite: self.suite,
            session,
            secret: expand(&master, label, &[]),
            epoch: 0,
            number: 0,
        })
    }
}

/// A direction's secret in the wrong hands.
#[derive(Clone)]
pub struct Traffic {
    pub suite: Suite,
    session: [u8; 32],
    secret: Secret<64>,
    pub epoch: u8,
    pub number: u64,
}

impl Traffic {
    pub fn step(&mut self, fresh: Option<&Secret<64>>) {
        let next: Secret<64> = expand(&self.secret, "next", &[]);
        self.secret = fresh.map_or_else(|| next.clone(), |fresh| extract(next.expose(), fresh.expose()));
        (self.epoch, self.number) = (self.epoch.wrapping_add(1), 0);
    }

    pub fn key(&self) -> Secret<32> {
        expand(&self.secret, "key", &[])
    }

    fn nonce(&self) -> [u8; 12] {
        [&[0; 4][..], &self.number.to_le_bytes()].concat().try_into().expect("12 bytes")
    }

    /// Reads the record, if this secret opens it.
    pub fn open(&mut self, record: &[u8]) -> Option<Vec<u8>> {
        let (header, sealed) = record.split_at(8);
        let mut bytes = sealed.to_vec();
        let ad = [header, &self.session].concat();
        let plain = self.suite.aead(&self.key()).open(self.nonce(), &ad, &mut bytes).ok()?.to_vec();
        self.number += 1;
        Some(plain)
    }

    /// Writes a record with any plaintext.
    pub fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let header = [&(plain.len() as u32 + 16).to_le_bytes()[..], &[self.epoch, 0, 0, 0]].concat();
        let mut text = plain.to_vec();
        let tag = self.suite.aead(&self.key()).seal(self.nonce(), &[&header[..], &self.session].concat(), &mut text);
        self.number += 1;
        [&header[..], &text, &tag].concat()
    }
}

/// Whole records out of a stream.
pub fn records(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some(length) = vixp2p::crypto::record::record_length(stream) {
        let (record, rest) = stream.split_at(length);
        found.push(record.to_vec());
        stream = rest;
    }
    found
}

/// A responder that lies: it has taken a Hello and chosen; what it says who it is comes later.
pub struct FakeResponder {
    pub ladder: Ladder,
    pub ack: HelloAck,
}

impl FakeResponder {
    /// Answers as the rules are, then lets `alter` change the answer before anything is derived from it.
    pub fn answer(hello: &[u8], psk: Option<&Psk>, seed: u64, alter: impl FnOnce(&mut HelloAck)) -> FakeResponder {
        let hello = hello_in(hello);
        let suite = Suite::choose(&Suite::supported(KeyAgreement::Any), &hello.suites).expect("one in common");
        let (key_share, dh) = kex::answer(suite.group, &hello.key_shares[&suite.group.number()], &kex_secrets(seed)).expect("usable");
        let mut ack = HelloAck {
            nonce_a: hello.nonce_a,
            nonce_b: seed,
            version: 2,
            suite: suite.number(),
            key_share,
            rand: [7; 32],
            psk_id: psk_id(psk),
            sealed: Vec::new(),
        };
        alter(&mut ack);
        let h2 = hash(&[&open_transcript(psk, &hello).0, &ack.encode_without_box()]);
        FakeResponder { ladder: Ladder::new(suite, psk, &dh, h2), ack }
    }

    /// The HelloAck with this box.
    pub fn say(&mut self, sealed: Vec<u8>) -> Vec<u8> {
        self.ack.sealed = sealed;
        to_frame(kind::HELLO_ACK, self.ack.encode())
    }

    pub fn h3(&self) -> [u8; 64] {
        hash(&[&self.ladder.h2, &self.ack.sealed])
    }
}

/// An initiator that lies.
pub struct FakeInitiator {
    offer: Offer,
    psk: Option<Psk>,
    pub hello: Hello,
    pub ladder: Option<Ladder>,
    h3: [u8; 64],
    nonce_b: u64,
}

impl FakeInitiator {
    /// A Hello by the rules, then altered, then with the mac1 that belongs to it.
    pub fn new(psk: Option<Psk>, seed: u64, alter: impl FnOnce(&mut Hello)) -> FakeInitiator {
        let groups = [Group::X25519, Group::XWing];
        let offer = Offer::new(&groups, &kex_secrets(seed));
        let mut hello = Hello {
            nonce_a: seed,
            version_min: 2,
            version_max: 2,
            suites: Suite::supported(KeyAgreement::Any).iter().map(|suite| suite.number()).collect(),
            key_shares: groups.map(|group| (group.number(), offer.share(group).expect("offered").to_vec())).into(),
            rand: [9; 32],
            psk_id: psk_id(psk.as_ref()),
            mac1: [0; 16],
        };
        alter(&mut hello);
        hello.mac1 = open_transcript(psk.as_ref(), &hello).1;
        FakeInitiator { offer, psk, hello, ladder: None, h3: [0; 64], nonce_b: 0 }
    }

    pub fn hello(&self) -> Vec<u8> {
        to_frame(kind::HELLO, self.hello.encode())
    }

    /// Takes the answer; the responder's identity as the liar reads it.
    pub fn take(&mut self, ack: &[u8]) -> Plain {
        let ack = ack_in(ack);
        let suite = Suite::from_number(ack.suite).expect("a suite");
        let dh = self.offer.complete(suite.group, &ack.key_share).expect("usable");
        let h2 = hash(&[&open_transcript(self.psk.as_ref(), &self.hello).0, &ack.encode_without_box()]);
        let ladder = Ladder::new(suite, self.psk.as_ref(), &dh, h2);
        let plain = ladder.open("responder", &h2, &ack.sealed).expect("the responder's box");
        (self.h3, self.nonce_b) = (hash(&[&h2, &ack.sealed]), ack.nonce_b);
        self.ladder = Some(ladder);
        plain
    }

    pub fn h3(&self) -> [u8; 64] {
        self.h3
    }

    pub fn ladder(&self) -> &Ladder {
        self.ladder.as_ref().expect("took an answer")
    }

    /// The HelloFinish with this box.
    pub fn finish(&self, sealed: Vec<u8>) -> Vec<u8> {
        to_frame(kind::HELLO_FINISH, HelloFinish { nonce_a: self.hello.nonce_a, nonce_b: self.nonce_b, sealed }.encode())
    }
}
