//! Whole handshakes between two machines, honest and not.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;

use crate::base::config::{KeyAgreement, Psk};
use crate::base::{CloseReason, limits};
use crate::crypto::rotation::sign;
use crate::crypto::{Identity, Secret, Suite};
use crate::session::handshaking::seeded_kex;
use crate::session::{Established, Handshaking, LocalParty, Progress, RunSecrets, key_update};
use crate::wire::message::KeyUpdate;
use crate::wire::{Inbound, Message, Rotation};

fn party(seed: u8, psk: Option<u8>) -> Arc<LocalParty> {
    let identity = Arc::new(Identity::from_seed(&Secret::new([seed; 32])));
    let capabilities = BTreeMap::from([("proto".to_owned(), "2".to_owned())]);
    let psk = psk.map(|byte| Psk::new([byte; 32]));
    Arc::new(LocalParty::new(identity, &format!("node-{seed}"), &capabilities, psk.as_ref()).expect("small claim"))
}

struct Pair {
    dialler: Handshaking,
    acceptor: Handshaking,
}

impl Pair {
    fn new(a: &Arc<LocalParty>, b: &Arc<LocalParty>, seed: u64) -> Pair {
        let mut rng = fastrand::Rng::with_seed(seed);
        let dialler = Handshaking::dial(a.clone(), RunSecrets::seeded(&mut rng));
        Pair { dialler, acceptor: Handshaking::accept(b.clone(), RunSecrets::seeded(&mut rng)) }
    }

    /// Runs the three messages, each passed through `tamper` with its number; then the welcome.
    fn run(mut self, mut tamper: impl FnMut(usize, &mut Vec<u8>)) -> Result<(Established, Established), CloseReason> {
        let mut hello = self.dialler.outgoing();
        tamper(0, &mut hello);
        assert!(self.acceptor.receive(&mut BytesMut::from(&hello[..]))?.is_none());
        let mut ack = self.acceptor.outgoing();
        tamper(1, &mut ack);
        assert!(self.dialler.receive(&mut BytesMut::from(&ack[..]))?.is_none());
        let mut finish = self.dialler.outgoing();
        tamper(2, &mut finish);
        let Some(mut responder) = self.acceptor.receive(&mut BytesMut::from(&finish[..]))? else {
            return Err(CloseReason::Timeout);
        };
        responder.send.push(&Message::Welcome);
        let mut welcome = Vec::new();
        responder.send.take(&mut welcome);
        match self.dialler.receive(&mut BytesMut::from(&welcome[..]))? {
            Some(initiator) => Ok((*initiator, *responder)),
            None => Err(CloseReason::Timeout),
        }
    }
}

/// Carries what `from` has queued to `to`, which takes its part in key updates.
fn carry(from: &mut Established, to: &mut Established) -> Result<Vec<Inbound>, CloseReason> {
    let mut bytes = Vec::new();
    from.send.take(&mut bytes);
    let (mut input, mut items) = (BytesMut::from(&bytes[..]), Vec::new());
    while let Progress::KeyUpdate(update) = to.recv.receive(&mut input, &mut items)? {
        let secrets = seeded_kex(&mut fastrand::Rng::with_seed(bytes.len() as u64));
        if key_update::turn(&mut to.send, &mut to.recv, update, &secrets)? {
            items.push(Inbound::FreshKeys);
        }
    }
    Ok(items)
}

fn exchange(from: &mut Established, to: &mut Established, text: &[u8]) {
    from.send.push_data(text);
    let items = carry(from, to).expect("honest record");
    match &items[..] {
        [Inbound::Data(batch)] => assert_eq!(batch.iter().collect::<Vec<_>>(), [text]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_honest_nodes_know_each_other_and_talk_both_ways() {
    for psk in [None, Some(9)] {
        let (a, b) = (party(1, psk), party(2, psk));
        let (mut initiator, mut responder) = Pair::new(&a, &b, 7).run(|_, _| {}).expect("honest");
        assert_eq!((initiator.peer.id, responder.peer.id), (b.identity.id(), a.identity.id()));
        assert_eq!(initiator.peer.node_id, "node-2");
        assert_eq!(responder.peer.capabilities, [("proto".to_owned(), "2".to_owned())]);
        exchange(&mut initiator, &mut responder, b"there");
        exchange(&mut responder, &mut initiator, b"and back");
    }
}

#[test]
fn a_rotated_node_proves_its_earlier_keys_to_both_sides_and_a_false_record_ends_the_handshake() {
    let key = |byte: u8| Identity::from_seed(&Secret::new([byte; 32]));
    let id = |byte: u8| key(byte).id();
    let rotated = |seed, records: &[Rotation]| {
        let party = Arc::into_inner(party(seed, None)).expect("sole owner");
        Arc::new(party.with_rotations(records).expect("small claim"))
    };
    let history = [sign(&key(5), &id(4), 10), sign(&key(4), &id(3), 20), sign(&key(3), &id(2), 30)];
    let (plain, moved) = (party(1, None), rotated(2, &history));
    let told = [id(3), id(4)];
    let (initiator, responder) = Pair::new(&plain, &moved, 7).run(|_, _| {}).expect("honest");
    assert_eq!((&initiator.peer.formerly[..], &responder.peer.formerly[..]), (&told[..], &[][..]), "the last two, the newest first");
    let (initiator, responder) = Pair::new(&moved, &plain, 7).run(|_, _| {}).expect("honest");
    assert_eq!((&initiator.peer.formerly[..], &responder.peer.formerly[..]), (&[][..], &told[..]));

    let later = Rotation { issued: 31, ..history[2] };
    for records in [&history[..2], &[later], &[history[2], history[1]], &[sign(&key(2), &id(2), 0)]] {
        let liar = rotated(2, records);
        for pair in [Pair::new(&plain, &liar, 7), Pair::new(&liar, &plain, 7)] {
            match pair.run(|_, _| {}).map(drop) {
                Err(CloseReason::HandshakeFailed(why)) => assert!(why.contains("earlier keys"), "{why}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn the_largest_label_capabilities_and_history_fit_a_handshake() {
    let per_entry = limits::CAPABILITIES_TOTAL_MAX_BYTES / limits::CAPABILITIES_MAX;
    let entry = |i| (format!("{i:02}{}", "k".repeat(per_entry / 2 - 2)), "v".repeat(per_entry - per_entry / 2));
    let many: BTreeMap<_, _> = (0..limits::CAPABILITIES_MAX).map(entry).collect();
    let mut left = limits::CAPABILITIES_TOTAL_MAX_BYTES;
    let long: BTreeMap<_, _> = (0..limits::CAPABILITIES_MAX)
        .map_while(|i| {
            let take = left.min(128 + 128);
            left -= take;
            (take > 3).then(|| (format!("{i:02}{}", "k".repeat(take / 2 - 2)), "v".repeat(take - take / 2)))
        })
        .collect();
    let records = [Rotation { old: [0; 32], issued: u64::MAX, signature: [0; 64] }; 3];
    for capabilities in [many, long] {
        let mut config = crate::base::Config::new("n".repeat(limits::NODE_ID_MAX_BYTES));
        config.capabilities = capabilities;
        config.validate().expect("within its limits");
        let identity = Arc::new(Identity::from_seed(&Secret::new([1; 32])));
        let party = LocalParty::new(identity, &config.node_id, &config.capabilities, None).expect("fits");
        party.with_rotations(&records).expect("fits with two records");
    }
}

#[test]
fn every_suite_both_sides_know_carries_a_session() {
    for suite in Suite::supported(KeyAgreement::Any) {
        let only = |seed| Arc::new(Arc::into_inner(party(seed, None)).expect("sole owner").with_suites(vec![suite]));
        let (a, b) = (only(1), only(2));
        let (mut initiator, mut responder) = Pair::new(&a, &b, 1).run(|_, _| {}).expect("honest");
        exchange(&mut initiator, &mut responder, b"text");
    }
}

#[test]
fn a_flipped_bit_anywhere_in_the_three_messages_fails_the_handshake() {
    // X25519 alone: every bit of the longer messages of X-Wing is the attack suite's work.
    let classic = |seed, psk| {
        let party = Arc::into_inner(party(seed, psk)).expect("sole owner");
        Arc::new(party.with_suites(Suite::supported(KeyAgreement::Classic)))
    };
    for psk in [None, Some(9)] {
        let (a, b) = (classic(1, psk), classic(2, psk));
        let mut sizes = [0; 3];
        Pair::new(&a, &b, 3).run(|n, bytes| sizes[n] = bytes.len()).expect("honest");
        for (message, size) in sizes.into_iter().enumerate() {
            for bit in 0..size * 8 {
                let outcome = Pair::new(&a, &b, 3).run(|n, bytes| {
                    if n == message {
                        bytes[bit / 8] ^= 1 << (bit % 8);
                    }
                });
                assert!(outcome.is_err(), "message {message}, bit {bit}, psk {psk:?}");
            }
        }
    }
}

#[test]
fn another_or_a_missing_pre_shared_key_is_named_on_our_side() {
    for (ours, theirs, word) in [(Some(1), Some(2), "wrong"), (None, Some(1), "this node has one"), (Some(1), None, "this node has none")] {
        let error = Pair::new(&party(1, ours), &party(2, theirs), 5).run(|_, _| {}).expect_err("different keys");
        assert!(matches!(&error, CloseReason::HandshakeFailed(why) if why.contains(word)), "{error}");
    }
}

#[test]
fn a_v1_hello_is_named_as_such() {
    let (a, b) = (party(1, None), party(2, None));
    let mut frame = Pair::new(&a, &b, 1).dialler.outgoing();
    let at = frame.windows(4).position(|w| w == b"VP2P").expect("magic") + 4;
    frame[at] = 1;
    let error = Pair::new(&a, &b, 1).acceptor.receive(&mut BytesMut::from(&frame[..])).expect_err("v1");
    assert!(matches!(&error, CloseReason::BadVersion(why) if why.contains("plaintext")), "{error}");
}

#[test]
fn a_node_does_not_connect_to_itself() {
    let a = party(1, None);
    assert_eq!(Pair::new(&a, &a, 1).run(|_, _| {}).expect_err("self"), CloseReason::SelfConnect);
}

#[test]
fn a_hello_sent_back_to_its_sender_is_no_answer() {
    let mut pair = Pair::new(&party(1, Some(4)), &party(2, Some(4)), 1);
    let hello = pair.dialler.outgoing();
    assert!(pair.dialler.receive(&mut BytesMut::from(&hello[..])).is_err());
}

#[test]
fn a_recorded_handshake_replayed_to_the_responder_goes_nowhere() {
    let (a, b) = (party(1, None), party(2, None));
    let mut messages = vec![Vec::new(); 3];
    Pair::new(&a, &b, 1).run(|n, bytes| messages[n] = bytes.clone()).expect("honest");
    let mut fresh = Handshaking::accept(b, RunSecrets::seeded(&mut fastrand::Rng::with_seed(99)));
    assert!(fresh.receive(&mut BytesMut::from(&messages[0][..])).expect("a Hello is a Hello").is_none());
    assert!(fresh.receive(&mut BytesMut::from(&messages[2][..])).is_err());
}

#[test]
fn a_rejection_reaches_the_initiator_with_its_name() {
    let mut pair = Pair::new(&party(1, None), &party(2, None), 1);
    let hello = pair.dialler.outgoing();
    pair.acceptor.receive(&mut BytesMut::from(&hello[..])).expect("hello");
    let ack = pair.acceptor.outgoing();
    pair.dialler.receive(&mut BytesMut::from(&ack[..])).expect("ack");
    let finish = pair.dialler.outgoing();
    let mut responder = pair.acceptor.receive(&mut BytesMut::from(&finish[..])).expect("finish").expect("done");
    responder.send.push(&Message::Close { code: CloseReason::MaxPeers.code(), detail: String::new() });
    let mut bytes = Vec::new();
    responder.send.take(&mut bytes);
    assert_eq!(pair.dialler.receive(&mut BytesMut::from(&bytes[..])).expect_err("refused"), CloseReason::MaxPeers);
}

#[test]
fn an_oversized_first_frame_is_refused_at_its_length() {
    let mut acceptor = Pair::new(&party(1, None), &party(2, None), 1).acceptor;
    let error = acceptor.receive(&mut BytesMut::from(&[0xff, 0xff, 0x7f][..])).expect_err("2 MiB announced");
    assert!(matches!(error, CloseReason::FrameTooLarge { got: 2_097_151, max: 4096 }), "{error}");
}

#[test]
fn a_handshake_needs_no_particular_cut_of_the_bytes() {
    let (a, b) = (party(1, None), party(2, None));
    let mut pair = Pair::new(&a, &b, 1);
    let hello = pair.dialler.outgoing();
    let mut input = BytesMut::new();
    for byte in &hello {
        assert!(!pair.acceptor.has_outgoing());
        input.extend_from_slice(&[*byte]);
        assert!(pair.acceptor.receive(&mut input).expect("honest").is_none());
    }
    assert!(pair.acceptor.has_outgoing());
}

#[test]
fn a_responder_that_is_not_trusted_never_learns_who_dialled() {
    use crate::base::close::Distrust;
    use crate::base::trust::{Gate, TrustTable};
    let (a, b) = (party(1, None), party(2, None));
    let table = Arc::new(TrustTable::of_friends([b.identity.id()]));
    let strangers = Arc::new(TrustTable::of_friends([]));
    let gates = [
        (Gate { table: table.clone(), expected: None }, true),
        (Gate { table: table.clone(), expected: Some(b.identity.id()) }, true),
        (Gate { table, expected: Some(a.identity.id()) }, false),
        (Gate { table: strangers, expected: None }, false),
    ];
    for (gate, welcome) in gates {
        let mut pair = Pair::new(&a, &b, 7);
        pair.dialler = pair.dialler.judging(gate);
        assert!(pair.acceptor.receive(&mut BytesMut::from(&pair.dialler.outgoing()[..])).is_ok());
        let judged = pair.dialler.receive(&mut BytesMut::from(&pair.acceptor.outgoing()[..]));
        assert_eq!(pair.dialler.has_outgoing(), welcome);
        match judged {
            Ok(None) => assert!(welcome),
            Err(CloseReason::Untrusted(Distrust::Unlisted { .. } | Distrust::Unexpected { .. })) => assert!(!welcome),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_handshake_that_failed_stays_failed() {
    let (a, b) = (party(1, None), party(2, None));
    for junk in [&[0xff, 0xff, 0x7f][..], b"\x0eGET / HTTP/1.1"] {
        let mut pair = Pair::new(&a, &b, 1);
        pair.acceptor.receive(&mut BytesMut::from(junk)).expect_err("no handshake");
        assert!(pair.acceptor.receive(&mut BytesMut::from(&pair.dialler.outgoing()[..])).is_err());
    }
}

fn session(seed: u64) -> (Established, Established) {
    Pair::new(&party(1, None), &party(2, None), seed).run(|_, _| {}).expect("honest")
}

fn secrets(seed: u64) -> crate::crypto::kex::KexSecrets {
    seeded_kex(&mut fastrand::Rng::with_seed(seed))
}

#[test]
fn fresh_keys_are_agreed_on_by_either_side_between_messages() {
    let (mut initiator, mut responder) = session(1);
    for round in 0..5 {
        initiator.send.push_data(b"before");
        key_update::renew(&mut initiator.send, &secrets(round));
        initiator.send.push_data(b"behind the offer");
        assert_eq!(carry(&mut initiator, &mut responder).expect("offer").len(), 2);
        responder.send.push_data(b"behind the answer");
        let items = carry(&mut responder, &mut initiator).expect("answer");
        assert!(matches!(&items[..], [Inbound::FreshKeys, Inbound::Data(_)]), "{items:?}");
        initiator.send.push_data(b"behind the switch");
        let items = carry(&mut initiator, &mut responder).expect("switch");
        assert!(matches!(&items[..], [Inbound::FreshKeys, Inbound::Data(_)]), "{items:?}");
        exchange(&mut responder, &mut initiator, b"and back");
        key_update::renew(&mut responder.send, &secrets(round));
        carry(&mut responder, &mut initiator).expect("request");
        carry(&mut initiator, &mut responder).expect("offer");
        assert_eq!(carry(&mut responder, &mut initiator).expect("answer").len(), 1);
        assert_eq!(carry(&mut initiator, &mut responder).expect("switch").len(), 1);
        exchange(&mut initiator, &mut responder, b"there");
    }
}

#[test]
fn a_second_wish_for_fresh_keys_joins_the_agreement_under_way() {
    let (mut initiator, mut responder) = session(1);
    key_update::renew(&mut initiator.send, &secrets(1));
    key_update::renew(&mut initiator.send, &secrets(2));
    key_update::renew(&mut responder.send, &secrets(3));
    carry(&mut initiator, &mut responder).expect("one offer");
    assert_eq!(carry(&mut responder, &mut initiator).expect("request and answer").len(), 1);
    carry(&mut initiator, &mut responder).expect("switch");
    exchange(&mut initiator, &mut responder, b"there");
    exchange(&mut responder, &mut initiator, b"and back");
}

#[test]
fn a_step_out_of_turn_ends_the_session() {
    let share = || vec![9; 32];
    for (by_initiator, update) in [
        (true, KeyUpdate::Request),
        (true, KeyUpdate::Answer(share())),
        (true, KeyUpdate::Switch),
        (true, KeyUpdate::Offer(share())),
        (false, KeyUpdate::Offer(share())),
        (false, KeyUpdate::Answer(share())),
        (false, KeyUpdate::Switch),
    ] {
        let (mut initiator, mut responder) = session(1);
        let (from, to) = if by_initiator { (&mut initiator, &mut responder) } else { (&mut responder, &mut initiator) };
        from.send.push_last(&Message::KeyUpdate(update.clone()));
        let error = carry(from, to).expect_err("out of turn");
        assert!(matches!(error, CloseReason::Protocol(_)), "{update:?}: {error}");
    }
}

#[test]
fn a_key_update_in_the_middle_of_a_record_ends_the_session() {
    let (mut initiator, mut responder) = session(1);
    initiator.send.push(&Message::KeyUpdate(KeyUpdate::Offer(vec![9; 32])));
    initiator.send.push_data(b"under which key?");
    assert!(matches!(carry(&mut initiator, &mut responder), Err(CloseReason::Protocol(_))));
}

#[test]
fn a_plain_step_is_followed_in_both_directions() {
    let (mut initiator, mut responder) = session(1);
    for round in 0..300u32 {
        initiator.send.step(None);
        exchange(&mut initiator, &mut responder, &round.to_le_bytes());
        responder.send.step(None);
        exchange(&mut responder, &mut initiator, &round.to_le_bytes());
    }
}

#[test]
fn plain_steps_of_an_idle_direction_are_one_and_none_spoils_fresh_keys() {
    let (mut initiator, mut responder) = session(1);
    for round in 0..8u64 {
        (0..round).for_each(|_| initiator.send.step(None));
        exchange(&mut initiator, &mut responder, b"after silence");
        key_update::renew(&mut initiator.send, &secrets(round));
        carry(&mut initiator, &mut responder).expect("an offer");
        // The timer of the side that has answered runs on.
        responder.send.step(None);
        carry(&mut responder, &mut initiator).expect("an answer");
        initiator.send.step(None);
        carry(&mut initiator, &mut responder).expect("a switch");
        (0..round).for_each(|_| responder.send.step(None));
        exchange(&mut responder, &mut initiator, b"after silence");
    }
}

#[test]
fn a_node_with_two_pre_shared_keys_meets_those_who_have_either() {
    let both = |seed| Arc::new(Arc::into_inner(party(seed, Some(7))).expect("sole owner").with_previous_psk(Some(&Psk::new([6; 32]))));
    let (old, new, two) = (party(1, Some(6)), party(2, Some(7)), both(3));
    for other in [&old, &new, &both(4)] {
        assert!(Pair::new(other, &two, 1).run(|_, _| {}).is_ok(), "dialled by {other:?}");
    }
    let mut pair = Pair::new(&two, &old, 1);
    let hello = pair.dialler.outgoing();
    assert!(pair.acceptor.receive(&mut BytesMut::from(&hello[..])).is_err(), "the newer key first");
    let mut rng = fastrand::Rng::with_seed(5);
    pair.dialler = pair.dialler.again(RunSecrets::seeded(&mut rng)).expect("the older key");
    pair.acceptor = Handshaking::accept(old.clone(), RunSecrets::seeded(&mut rng));
    assert!(pair.dialler.again(RunSecrets::seeded(&mut rng)).is_none(), "there is no third");
    pair.run(|_, _| {}).expect("the older key is known there");
}

#[test]
fn a_dialler_that_was_answered_does_not_try_another_key() {
    let two = Arc::into_inner(party(1, Some(7))).expect("sole owner").with_previous_psk(Some(&Psk::new([6; 32])));
    let mut pair = Pair::new(&Arc::new(two), &party(2, Some(7)), 1);
    let hello = pair.dialler.outgoing();
    pair.acceptor.receive(&mut BytesMut::from(&hello[..])).expect("hello");
    let mut ack = pair.acceptor.outgoing();
    *ack.last_mut().expect("not empty") ^= 1;
    assert!(pair.dialler.receive(&mut BytesMut::from(&ack[..])).is_err());
    assert!(pair.dialler.again(RunSecrets::seeded(&mut fastrand::Rng::with_seed(5))).is_none());
}

#[test]
fn the_suites_of_both_sides_decide_the_key_agreement() {
    let with = |seed, wanted| Arc::new(Arc::into_inner(party(seed, None)).expect("sole owner").with_suites(Suite::supported(wanted)));
    use KeyAgreement::{Any, Classic, PostQuantum};
    for (ours, theirs, expected) in
        [(Any, Any, Some(2)), (Any, Classic, Some(1)), (Classic, Any, Some(1)), (PostQuantum, Any, Some(2)), (PostQuantum, Classic, None)]
    {
        let outcome = Pair::new(&with(1, ours), &with(2, theirs), 1).run(|_, _| {});
        match (outcome, expected) {
            (Ok((a, b)), Some(group)) => assert_eq!((a.suite.group.number(), a.suite), (group, b.suite), "{ours:?} {theirs:?}"),
            (Err(CloseReason::HandshakeFailed(why)), None) => assert!(why.contains("no common cipher suite"), "{why}"),
            (other, _) => panic!("{ours:?} {theirs:?}: {other:?}"),
        }
    }
}

/// Pushes of 64 KiB each, numbered.
fn records(n: u64) -> Message {
    let log = crate::base::LogId { origin: crate::base::PeerId([3; 32]), incarnation: crate::base::Incarnation(1) };
    Message::WalPush(crate::wire::message::WalPush { log, seq_begin: n, seq_end: n, wal_bytes: vec![n as u8; 65_536].into() })
}

/// Everything that is queued, take by take, as the numbers of pushes and 0 for anything else.
fn order(from: &mut Established, to: &mut Established) -> Vec<u64> {
    let number = |item: Inbound| if let Inbound::Message(Message::WalPush(push)) = item { push.seq_begin } else { 0 };
    let mut seen = Vec::new();
    while from.send.pending() > 0 {
        seen.extend(carry(from, to).expect("an honest session").into_iter().map(number));
    }
    seen
}

#[test]
fn a_heartbeat_passes_records_that_wait_and_records_keep_their_order() {
    let (mut a, mut b) = session(1);
    (1..=60).for_each(|n| a.send.push(&records(n)));
    a.send.push(&Message::Ping { nonce: 1 });
    let seen = order(&mut a, &mut b);
    let at = seen.iter().position(|n| *n == 0).expect("the heartbeat arrives");
    assert!(at <= 1 + crate::base::limits::LINK_BULK_BYTES / 65_536, "behind {at} pushes");
    assert!(seen.into_iter().filter(|n| *n > 0).eq(1..=60));
}

#[test]
fn records_that_wait_move_on_however_much_else_is_queued() {
    let (mut a, mut b) = session(2);
    (1..=20).for_each(|n| a.send.push(&records(n)));
    let mut seen = Vec::new();
    for _ in 0..30 {
        (0..6).for_each(|_| a.send.push_data(&[7; 60_000]));
        seen.extend(carry(&mut a, &mut b).expect("an honest session"));
    }
    let pushes = seen.iter().filter(|item| matches!(item, Inbound::Message(Message::WalPush(_)))).count();
    assert_eq!(pushes, 20);
}

#[test]
fn a_side_that_is_silent_while_its_keys_step_again_and_again_is_still_understood() {
    let (mut a, mut b) = session(4);
    for silent in 0..5 {
        (0..silent).for_each(|_| a.send.step(None));
        exchange(&mut a, &mut b, b"after the steps");
    }
}

#[test]
fn nothing_comes_behind_a_goodbye() {
    let (mut a, mut b) = session(3);
    (1..=20).for_each(|n| a.send.push(&records(n)));
    a.send.push(&Message::Close { code: 0, detail: String::new() });
    let mut want: Vec<u64> = (1..=20).collect();
    want.push(0);
    assert_eq!(order(&mut a, &mut b), want);
}
