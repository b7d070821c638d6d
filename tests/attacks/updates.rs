//! Fresh keys under attack: by the line, which can only end the session, and by the peer, which has to keep to its turns. Healing.

use bytes::BytesMut;
use vixp2p::base::CloseReason;
use vixp2p::base::config::KeyAgreement;
use vixp2p::crypto::Secret;
use vixp2p::crypto::kex::{self, Group, Offer};
use vixp2p::session::{Established, Progress, key_update};
use vixp2p::wire::message::KeyUpdate;
use vixp2p::wire::{Inbound, Message};

use crate::support::*;

fn fresh(wanted: KeyAgreement, seed: u64) -> (Established, Established) {
    session(&only(wanted, 1, None), &only(wanted, 2, None), seed)
}

fn send(side: &mut Established, update: KeyUpdate) -> Vec<u8> {
    side.send.push(&Message::KeyUpdate(update));
    taken(side)
}

fn is_protocol_error(result: &Result<(), CloseReason>) -> bool {
    matches!(result, Err(CloseReason::Protocol(_)))
}

/// The three records of an agreement pass through `hand`; whether either side ended the session.
fn agree(initiator: &mut Established, responder: &mut Established, mut hand: impl FnMut(usize, &mut Vec<u8>)) -> Result<(), CloseReason> {
    key_update::renew(&mut initiator.send, &kex_secrets(1));
    for number in 0..3 {
        let (from, to) = if number == 1 { (&mut *responder, &mut *initiator) } else { (&mut *initiator, &mut *responder) };
        let mut bytes = taken(from);
        hand(number, &mut bytes);
        deliver(to, &bytes).1?;
    }
    // Whatever was tried: the two still understand each other, or one of them says no.
    for back in [false, true] {
        let (from, to) = if back { (&mut *responder, &mut *initiator) } else { (&mut *initiator, &mut *responder) };
        let bytes = record(from, b"text");
        let (texts, result) = deliver(to, &bytes);
        result?;
        assert_eq!(texts, [b"text"]);
    }
    Ok(())
}

#[test]
fn every_bit_of_an_agreement_is_bound() {
    let (mut initiator, mut responder) = fresh(KeyAgreement::Classic, 1);
    let mut sizes = [0; 3];
    agree(&mut initiator, &mut responder, |number, bytes| sizes[number] = bytes.len()).expect("honest");
    for (message, size) in sizes.into_iter().enumerate() {
        // From byte 2 on: the bits above make the record seem longer, and the side waits.
        for bit in 16..size * 8 {
            let (mut initiator, mut responder) = fresh(KeyAgreement::Classic, 1);
            let result = agree(&mut initiator, &mut responder, |number, bytes| {
                if number == message {
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
            });
            assert!(result.is_err(), "record {message}, bit {bit}");
        }
    }
}

#[test]
fn a_step_that_is_lost_doubled_or_taken_from_another_session_ends_this_one() {
    for wanted in [KeyAgreement::Classic, KeyAgreement::PostQuantum] {
        let (mut initiator, mut responder) = fresh(wanted, 8);
        let mut other = Vec::new();
        agree(&mut initiator, &mut responder, |_, bytes| other.push(bytes.clone())).expect("honest");
        for (message, foreign) in other.iter().enumerate() {
            let end = |change: &dyn Fn(&mut Vec<u8>)| {
                let (mut initiator, mut responder) = fresh(wanted, 9);
                agree(&mut initiator, &mut responder, |number, bytes| {
                    if number == message {
                        change(bytes);
                    }
                })
            };
            assert!(end(&|bytes| *bytes = bytes.repeat(2)).is_err(), "doubled {message}");
            assert!(end(&|bytes| bytes.clone_from(foreign)).is_err(), "spliced {message}");
            // A lost record is noticed at the latest by the next one.
            assert!(end(&Vec::clear).is_err() || message == 0, "lost {message}");
        }
        let (mut initiator, mut responder) = fresh(wanted, 9);
        key_update::renew(&mut initiator.send, &kex_secrets(1));
        let _lost = taken(&mut initiator);
        let bytes = record(&mut initiator, b"text");
        assert!(deliver(&mut responder, &bytes).1.is_err(), "what follows a lost offer does not open");
    }
}

#[test]
fn the_peer_has_to_keep_to_its_turns() {
    let share = |seed| Offer::new(&[Group::X25519], &kex_secrets(seed)).share(Group::X25519).expect("offered").to_vec();
    let offer = |seed| KeyUpdate::Offer(share(seed));
    let answer = |seed| KeyUpdate::Answer(share(seed));
    // What a peer says and in which role; only the last one is wrong.
    let sequences: Vec<(bool, Vec<KeyUpdate>)> = vec![
        (true, vec![KeyUpdate::Request]),
        (true, vec![answer(1)]),
        (true, vec![KeyUpdate::Switch]),
        (true, vec![offer(1), offer(1)]),
        (true, vec![offer(1), offer(2)]),
        (true, vec![offer(1), answer(1)]),
        (true, vec![offer(1), KeyUpdate::Request]),
        (false, vec![offer(1)]),
        (false, vec![KeyUpdate::Switch]),
        (false, vec![answer(1)]),
        (false, vec![KeyUpdate::Request, offer(1)]),
        (false, vec![KeyUpdate::Request, KeyUpdate::Switch]),
    ];
    for (by_initiator, sequence) in sequences {
        let (mut initiator, mut responder) = fresh(KeyAgreement::Classic, 1);
        let (from, to) = if by_initiator { (&mut initiator, &mut responder) } else { (&mut responder, &mut initiator) };
        for (number, update) in sequence.iter().enumerate() {
            let bytes = send(from, update.clone());
            let (_, result) = deliver(to, &bytes);
            assert_eq!(is_protocol_error(&result), number + 1 == sequence.len(), "{sequence:?}: {result:?}");
        }
    }
}

#[test]
fn a_second_answer_or_switch_does_not_open_or_is_out_of_turn() {
    let (mut initiator, mut responder) = fresh(KeyAgreement::Classic, 1);
    agree(&mut initiator, &mut responder, |_, _| {}).expect("honest");
    let bytes = send(&mut initiator, KeyUpdate::Switch);
    assert!(is_protocol_error(&deliver(&mut responder, &bytes).1));
    let (mut initiator, mut responder) = fresh(KeyAgreement::Classic, 1);
    agree(&mut initiator, &mut responder, |_, _| {}).expect("honest");
    let bytes = send(&mut responder, KeyUpdate::Answer(vec![9; 32]));
    assert!(is_protocol_error(&deliver(&mut initiator, &bytes).1));
}

#[test]
fn a_side_that_announces_a_switch_and_stays_under_the_old_key_is_not_understood() {
    // The initiator says Switch and goes on as before, as if it could keep a stolen key in use.
    let (mut initiator, mut responder) = fresh(KeyAgreement::Classic, 1);
    let offer = Offer::new(&[Group::X25519], &kex_secrets(1)).share(Group::X25519).expect("offered").to_vec();
    let bytes = [send(&mut initiator, KeyUpdate::Offer(offer)), send(&mut initiator, KeyUpdate::Switch)].concat();
    assert!(deliver(&mut responder, &bytes).1.is_ok());
    let bytes = record(&mut initiator, b"under the old key");
    let (texts, result) = deliver(&mut responder, &bytes);
    assert!(texts.is_empty() && result.is_err());
    // Nor under the next key of the old line.
    let (mut initiator, mut responder) = fresh(KeyAgreement::Classic, 1);
    let offer = Offer::new(&[Group::X25519], &kex_secrets(1)).share(Group::X25519).expect("offered").to_vec();
    let bytes = [send(&mut initiator, KeyUpdate::Offer(offer)), send(&mut initiator, KeyUpdate::Switch)].concat();
    assert!(deliver(&mut responder, &bytes).1.is_ok());
    initiator.send.step(None);
    let bytes = record(&mut initiator, b"under a plain step");
    assert!(deliver(&mut responder, &bytes).1.is_err());
}

#[test]
fn a_share_of_another_group_or_none_ends_the_session() {
    for (wanted, own, other) in
        [(KeyAgreement::Classic, Group::X25519, Group::XWing), (KeyAgreement::PostQuantum, Group::XWing, Group::X25519)]
    {
        let offer = |group| Offer::new(&[group], &kex_secrets(1)).share(group).expect("offered").to_vec();
        let answer = |group| kex::answer(group, &offer(group), &kex_secrets(2)).expect("honest").0;
        for bad in [offer(other), answer(other), vec![], offer(own)[1..].to_vec(), [&offer(own)[..], &[0]].concat()] {
            let (mut initiator, mut responder) = fresh(wanted, 1);
            let bytes = send(&mut initiator, KeyUpdate::Offer(bad.clone()));
            assert!(is_protocol_error(&deliver(&mut responder, &bytes).1), "{own:?} offer of {}", bad.len());
        }
        for bad in [offer(other), answer(other), vec![], answer(own)[1..].to_vec(), [&answer(own)[..], &[0]].concat()] {
            if own == Group::X25519 && bad.len() == 32 {
                continue; // X25519's answers are such keys too
            }
            let (mut initiator, mut responder) = fresh(wanted, 1);
            key_update::renew(&mut initiator.send, &kex_secrets(1));
            let bytes = send(&mut responder, KeyUpdate::Answer(bad.clone()));
            assert!(is_protocol_error(&deliver(&mut initiator, &bytes).1), "{own:?} answer of {}", bad.len());
        }
    }
}

#[test]
fn endless_requests_bring_one_offer_and_grow_nothing() {
    let (mut initiator, mut responder) = fresh(KeyAgreement::PostQuantum, 1);
    for round in 0..5_000 {
        let bytes = send(&mut responder, KeyUpdate::Request);
        assert_eq!(deliver(&mut initiator, &bytes).1, Ok(()));
        assert!(initiator.send.pending() < 2_000, "round {round}: {} bytes", initiator.send.pending());
    }
    let offer = taken(&mut initiator);
    assert_eq!((records(&offer).len(), deliver(&mut responder, &offer).1), (1, Ok(())));
    // The peer that asked so often pays for every further agreement by answering it.
    exchange(&mut initiator, &mut responder, b"alive");
}

#[test]
fn requests_offers_and_plain_steps_may_cross() {
    for steps in 0..16u8 {
        let (mut initiator, mut responder) = fresh(KeyAgreement::Classic, 1);
        let step = |bit: u8, side: &mut Established| {
            if steps & bit != 0 {
                side.send.step(None);
            }
        };
        key_update::renew(&mut responder.send, &kex_secrets(3));
        key_update::renew(&mut initiator.send, &kex_secrets(1));
        step(1, &mut initiator);
        step(2, &mut responder);
        initiator.send.push_data(b"1");
        let (to_r, to_i) = (taken(&mut initiator), taken(&mut responder));
        assert_eq!(deliver(&mut responder, &to_r), (vec![b"1".to_vec()], Ok(())));
        assert_eq!(deliver(&mut initiator, &to_i).1, Ok(()), "a request that crossed the offer");
        step(4, &mut responder);
        responder.send.push_data(b"2");
        step(8, &mut initiator);
        initiator.send.push_data(b"3");
        let (to_i, to_r) = (taken(&mut responder), taken(&mut initiator));
        assert_eq!(deliver(&mut initiator, &to_i), (vec![b"2".to_vec()], Ok(())), "steps {steps:b}");
        assert_eq!(deliver(&mut responder, &to_r), (vec![b"3".to_vec()], Ok(())), "steps {steps:b}");
        exchange(&mut initiator, &mut responder, b"4");
        exchange(&mut responder, &mut initiator, b"5");
    }
}

#[test]
fn agreements_outlast_the_epochs_byte() {
    let (mut initiator, mut responder) = fresh(KeyAgreement::Classic, 1);
    for _ in 0..300 {
        agree(&mut initiator, &mut responder, |_, _| {}).expect("honest");
    }
}

#[test]
fn a_key_update_before_the_welcome_ends_the_handshake() {
    let (a, b) = (party(1, None), party(2, None));
    for behind_it in [false, true] {
        let (mut dialler, mut acceptor) = (dial(&a, 1), accept(&b, 1));
        give(&mut acceptor, &dialler.outgoing()).expect("a Hello");
        give(&mut dialler, &acceptor.outgoing()).expect("a HelloAck");
        let mut responder = give(&mut acceptor, &dialler.outgoing()).expect("a HelloFinish").expect("established");
        let mut bytes = send(&mut responder, KeyUpdate::Request);
        if behind_it {
            responder.send.push(&Message::Welcome);
            bytes.extend(taken(&mut responder));
        }
        assert!(matches!(give(&mut dialler, &bytes), Err(CloseReason::Protocol(why)) if why.contains("welcome")));
    }
}

#[test]
fn a_key_update_right_behind_the_welcome_is_kept_for_its_turn() {
    let (mut dialler, mut acceptor) = (dial(&party(1, None), 1), accept(&party(2, None), 1));
    give(&mut acceptor, &dialler.outgoing()).expect("a Hello");
    give(&mut dialler, &acceptor.outgoing()).expect("a HelloAck");
    let mut responder = give(&mut acceptor, &dialler.outgoing()).expect("a HelloFinish").expect("established");
    responder.send.push(&Message::Welcome);
    key_update::renew(&mut responder.send, &kex_secrets(1));
    responder.send.push_data(b"behind");
    let mut input = BytesMut::from(&taken(&mut responder)[..]);
    let mut initiator = dialler.receive(&mut input).expect("a Welcome").expect("established");
    assert!(initiator.early.is_empty());
    let mut items = Vec::new();
    assert_eq!(initiator.recv.receive(&mut input, &mut items), Ok(Progress::KeyUpdate(KeyUpdate::Request)));
    assert_eq!(initiator.recv.receive(&mut input, &mut items), Ok(Progress::Done));
    assert!(matches!(&items[..], [Inbound::Data(_)]));
}

/// Somebody who knows both directions' secrets of a session, and listens.
fn thief(said: &[Vec<u8>; 3], group: Group) -> [Traffic; 2] {
    let ack = ack_in(&said[1]);
    let dh = Offer::new(&[group], &kex_secrets(1)).complete(group, &ack.key_share).expect("usable");
    let h1 = open_transcript(None, &hello_in(&said[0])).0;
    let h2 = vixp2p::crypto::schedule::hash(&[&h1, &ack.encode_without_box()]);
    let h3 = vixp2p::crypto::schedule::hash(&[&h2, &ack.sealed]);
    let h4 = vixp2p::crypto::schedule::hash(&[&h3, &finish_in(&said[2]).sealed]);
    let suite = vixp2p::crypto::Suite::from_number(ack.suite).expect("a suite");
    let [i2r, mut r2i] = Ladder::new(suite, None, &dh, h2).traffic(&h4);
    r2i.number = 1;
    [i2r, r2i]
}

#[test]
fn whoever_has_both_directions_secrets_is_locked_out_by_an_agreement_unless_it_takes_part() {
    for wanted in [KeyAgreement::Classic, KeyAgreement::PostQuantum] {
        let outcome = run(dial(&only(wanted, 1, None), 1), accept(&only(wanted, 2, None), 1), |_, _| {});
        let said = outcome.said.clone();
        let (mut initiator, mut responder) = outcome.both();
        let group = initiator.suite.group;
        let [mut i2r, mut r2i] = thief(&said, group);
        assert!(i2r.open(&record(&mut initiator, b"read by the thief")).is_some(), "the control");
        // The receiving side has to see it as well.
        let (mut initiator, mut responder_) = run(dial(&only(wanted, 1, None), 1), accept(&only(wanted, 2, None), 1), |_, _| {}).both();
        std::mem::swap(&mut responder, &mut responder_);
        let [mut again, _] = thief(&said, group);
        std::mem::swap(&mut i2r, &mut again);

        let mut heard = Vec::new();
        agree_heard(&mut initiator, &mut responder, &mut heard);
        // It reads every step, as plaintext: header of the frame (length, kind), step, length of the share.
        let share = |plain: &[u8]| plain[plain.len() - share_len(plain)..].to_vec();
        let offer = share(&i2r.open(&heard[0]).expect("still under the old key"));
        let answer = share(&r2i.open(&heard[1]).expect("still under the old key"));
        assert!(i2r.open(&heard[2]).is_some(), "the Switch too");
        let (there, back) = (record(&mut initiator, b"healed"), record(&mut responder, b"healed"));
        let opens = |fresh: Option<&Secret<64>>| {
            let (mut i2r, mut r2i) = (i2r.clone(), r2i.clone());
            i2r.step(fresh);
            r2i.step(fresh);
            [i2r.open(&there).is_some(), r2i.open(&back).is_some()]
        };
        let under = |dh: &Secret<32>| opens(Some(&kex::fresh(dh, &offer, &answer)));
        assert_eq!(opens(None), [false; 2], "a plain step");
        assert_eq!([under(&Secret::zero()), under(&Secret::new(*offer.last_chunk().expect("32 bytes")))], [[false; 2]; 2]);
        let guess = Offer::new(&[group], &kex_secrets(77)).complete(group, &answer).expect("computable");
        assert_eq!(under(&guess), [false; 2], "an agreement of its own");
        // The control: with the one secret it lacks it would read on.
        let true_one = Offer::new(&[group], &kex_secrets(1)).complete(group, &answer).expect("usable");
        assert_eq!(under(&true_one), [true; 2]);

        // Active, it can put a share of its own into the offer, as long as the old key is in force: PROTOCOL.md promises no more.
        let (initiator, mut responder) = run(dial(&only(wanted, 1, None), 1), accept(&only(wanted, 2, None), 1), |_, _| {}).both();
        drop(initiator);
        let [mut i2r, mut r2i] = thief(&said, group);
        let own = Offer::new(&[group], &kex_secrets(66));
        let own_share = own.share(group).expect("offered").to_vec();
        let mut plain = Vec::new();
        let mut body = vec![8, 1];
        vixp2p::wire::cursor::encode_varint(own_share.len() as u64, &mut body);
        body.extend_from_slice(&own_share);
        vixp2p::wire::cursor::encode_varint(body.len() as u64, &mut plain);
        plain.extend_from_slice(&body);
        assert_eq!(deliver(&mut responder, &i2r.seal(&plain)).1, Ok(()));
        let answer = share(&r2i.open(&taken(&mut responder)).expect("under the old key"));
        let dh = own.complete(group, &answer).expect("usable");
        r2i.step(Some(&kex::fresh(&dh, &own_share, &answer)));
        assert!(r2i.open(&record(&mut responder, b"to the thief")).is_some());
    }
}

/// Length of the share at the end of a key update's plaintext.
fn share_len(plain: &[u8]) -> usize {
    // X25519: 1 + 1 + 1 + 1 + 32; X-Wing: two bytes for either length.
    if plain.len() == 36 { 32 } else { plain.len() - 6 }
}

fn agree_heard(initiator: &mut Established, responder: &mut Established, heard: &mut Vec<Vec<u8>>) {
    key_update::renew(&mut initiator.send, &kex_secrets(1));
    for number in 0..3 {
        let (from, to) = if number == 1 { (&mut *responder, &mut *initiator) } else { (&mut *initiator, &mut *responder) };
        let bytes = taken(from);
        heard.push(bytes.clone());
        assert_eq!(deliver(to, &bytes).1, Ok(()));
    }
}
