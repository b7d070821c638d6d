//! H9 and H10: what an attacker on the line can do to sealed records is to end the session, nothing else.

use vixp2p::base::CloseReason;
use vixp2p::base::config::KeyAgreement;
use vixp2p::crypto::Suite;
use vixp2p::session::Established;
use vixp2p::wire::handshake::{kind, to_frame};
use vixp2p::wire::v1;

use crate::support::*;

fn fresh() -> (Established, Established) {
    session(&party(1, None), &party(2, None), 1)
}

/// The stream ends the session, having delivered these texts and no other.
fn ends_after(to: &mut Established, stream: &[u8], delivered: &[&[u8]], why: &str) {
    let (texts, result) = deliver(to, stream);
    assert!(texts.iter().map(Vec::as_slice).eq(delivered.iter().copied()), "{why}: {texts:?}");
    assert!(result.is_err(), "{why}");
}

/// Afterwards not even the honest bytes are taken.
fn is_dead(to: &mut Established, honest: &[u8]) {
    let (texts, result) = deliver(to, honest);
    assert!(texts.is_empty() && result.is_err());
}

#[test]
fn h9_every_bit_of_a_record_is_bound() {
    for suite in Suite::supported(KeyAgreement::Any) {
        let only_suite = |seed| {
            let party = std::sync::Arc::into_inner(party(seed, None)).expect("sole owner");
            std::sync::Arc::new(party.with_suites(vec![suite]))
        };
        let (a, b) = (only_suite(1), only_suite(2));
        // Headers in every suite; the whole record by one suite of each cipher.
        let (mut initiator, _) = session(&a, &b, 1);
        let record_ = record(&mut initiator, b"text");
        let bits = if suite.group.number() == 1 { record_.len() * 8 } else { 64 };
        for bit in 0..bits {
            let (mut initiator, mut responder) = session(&a, &b, 1);
            let honest = record(&mut initiator, b"text");
            let mut altered = honest.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            // Where the length grows, more bytes have to come before anything can be said of it.
            altered.resize(altered.len() + 300, 0x55);
            let (texts, result) = deliver(&mut responder, &altered);
            assert!(texts.is_empty(), "{suite} bit {bit}");
            let length = u32::from_le_bytes(altered[..4].try_into().expect("4 bytes")) as usize;
            assert_eq!(result.is_err(), length + 8 <= altered.len() || length > 65_808, "{suite} bit {bit}: {result:?}");
            if result.is_err() {
                is_dead(&mut responder, &honest);
            }
        }
    }
}

#[test]
fn h9_records_that_change_places_are_lost_doubled_or_cut_end_the_session() {
    let texts: [&[u8]; 4] = [b"one", b"two", b"three", b"four"];
    let sealed = || {
        let (mut initiator, responder) = fresh();
        let records = texts.map(|text| record(&mut initiator, text));
        (responder, records)
    };
    let (mut to, [one, two, three, four]) = sealed();
    ends_after(&mut to, &[one.clone(), three.clone(), two.clone()].concat(), &[b"one"], "reordered");
    is_dead(&mut to, &two);
    let (mut to, _) = sealed();
    ends_after(&mut to, &[one.clone(), two.clone(), four].concat(), &[b"one", b"two"], "one lost");
    let (mut to, _) = sealed();
    ends_after(&mut to, &[one.clone(), one.clone()].concat(), &[b"one"], "doubled");
    let (mut to, _) = sealed();
    ends_after(&mut to, &[two.clone(), one.clone()].concat(), &[], "the first lost");
    for cut in 1..two.len() {
        let (mut to, _) = sealed();
        // Cut short and followed by the rest of the stream.
        let spliced = [&one[..], &two[..cut], &three, &[0; 70_000]].concat();
        let (texts, result) = deliver(&mut to, &spliced);
        assert!(texts == [b"one".to_vec()] && result.is_err(), "cut {cut}");
    }
    for cut in 0..two.len() {
        let (mut to, _) = sealed();
        let (texts, result) = deliver(&mut to, &[&one[..], &two[..cut]].concat());
        assert!(texts == [b"one".to_vec()] && result.is_ok(), "a stream that stops at {cut} delivers whole records only");
    }
}

#[test]
fn h9_records_of_another_session_direction_or_epoch_do_not_open() {
    let (a, b) = (party(1, None), party(2, None));
    let (mut one, mut one_peer) = session(&a, &b, 1);
    let (mut other, _) = session(&a, &b, 2);
    let foreign = record(&mut other, b"text");
    ends_after(&mut one_peer, &foreign, &[], "another session of the same two nodes");
    is_dead(&mut one_peer, &record(&mut one, b"text"));

    let (mut initiator, mut responder) = fresh();
    let (there, back) = (record(&mut initiator, b"text"), record(&mut responder, b"text"));
    ends_after(&mut responder, &back, &[], "its own record");
    ends_after(&mut initiator, &there, &[], "its own record");

    let (mut initiator, mut responder) = fresh();
    let old = record(&mut initiator, b"old");
    initiator.send.step(None);
    let new = record(&mut initiator, b"new");
    ends_after(&mut responder, &[old.clone(), new.clone(), old.clone()].concat(), &[b"old", b"new"], "an old epoch");
    let (_, mut responder) = fresh();
    let mut relabelled = old.clone();
    relabelled[4] = 1;
    ends_after(&mut responder, &relabelled, &[], "an old record in the next epoch");
    let (_, mut responder) = fresh();
    let mut back_dated = new;
    back_dated[4] = 0;
    ends_after(&mut responder, &[old, back_dated].concat(), &[b"old"], "a new record in the old epoch");
}

#[test]
fn h9_nothing_in_plain_text_is_listened_to_after_the_handshake() {
    let (a, b) = (party(1, None), party(2, None));
    let said = run(dial(&a, 1), accept(&b, 1), |_, _| {}).said;
    let v1_data = v1::envelope::pack(&v1::Message::Ping(v1::Ping { nonce: 7 }), 1, 0).encode();
    let mut v1_frame = Vec::new();
    v1::framing::encode(&v1_data, &mut v1_frame);
    // A record whose header is right and whose body is frames in clear, as they would stand inside.
    let clear = |body: &[u8]| [&(body.len() as u32 + 16).to_le_bytes()[..], &[0, 0, 0, 0], body, &[0; 16]].concat();
    let more = vec![0; 70_000];
    for (what, bytes) in [
        ("Hello", said[0].clone()),
        ("HelloAck", said[1].clone()),
        ("HelloFinish", said[2].clone()),
        ("an envelope of v1", v1_frame),
        ("an empty envelope", to_frame(kind::HELLO_FINISH, Vec::new())),
        ("data in clear", clear(b"\x05\x20text")),
        ("a Close in clear", clear(&[3, 7, 6, 0])),
        ("a Welcome in clear", clear(&[1, 6])),
        ("a frame without a record", b"\x05\x20text".to_vec()),
        ("zeros", vec![0; 32]),
    ] {
        for to_initiator in [true, false] {
            let (mut initiator, mut responder) = fresh();
            let (to, from) = if to_initiator { (&mut initiator, &mut responder) } else { (&mut responder, &mut initiator) };
            ends_after(to, &[bytes.clone(), more.clone()].concat(), &[], what);
            is_dead(to, &record(from, b"honest"));
        }
    }
}

#[test]
fn h9_a_header_that_claims_another_type_flags_or_length_ends_the_session() {
    for (at, value) in [(5usize, 1u8), (5, 0xff), (6, 1), (6, 0x80), (7, 1), (7, 0x80)] {
        let (mut initiator, mut responder) = fresh();
        let mut altered = record(&mut initiator, b"text");
        altered[at] = value;
        ends_after(&mut responder, &altered, &[], "type and flags");
    }
    let (_, mut responder) = fresh();
    for length in [0u32, 1, 15, 16] {
        let (_, mut to) = fresh();
        ends_after(&mut to, &[&length.to_le_bytes()[..], &[0; 40]].concat(), &[], "shorter than a tag and a byte");
    }
    let (_, result) = deliver(&mut responder, &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    assert!(matches!(result, Err(CloseReason::FrameTooLarge { .. })));
}

#[test]
fn h9_two_streams_of_one_session_cannot_be_joined_at_any_place() {
    // Records of one run up to n, then those of another run of the same nodes: nothing of the second is delivered.
    let (a, b) = (party(1, None), party(2, None));
    for place in 0..5u8 {
        let ((mut one, mut to), (mut two, _)) = (session(&a, &b, 1), session(&a, &b, 2));
        let first: Vec<Vec<u8>> = (0..5).map(|n| record(&mut one, &[n])).collect();
        let second: Vec<Vec<u8>> = (0..5).map(|n| record(&mut two, &[n])).collect();
        let stream = [first[..usize::from(place)].concat(), second[usize::from(place)..].concat()].concat();
        let (texts, result) = deliver(&mut to, &stream);
        assert!(texts == (0..place).map(|n| vec![n]).collect::<Vec<_>>() && result.is_err());
    }
}

#[test]
fn h10_a_forged_record_of_any_epoch_ends_the_session_and_nothing_of_it_is_taken() {
    let mut rng = fastrand::Rng::with_seed(3);
    for epoch in 0..=255u8 {
        let (mut initiator, mut responder) = fresh();
        exchange(&mut initiator, &mut responder, b"before");
        let before = format!("{:?}", responder.recv);
        let mut forged = record(&mut initiator, b"honest");
        let honest = forged.clone();
        forged[4] = epoch;
        rng.fill(&mut forged[8..]);
        ends_after(&mut responder, &forged, &[], "forged");
        assert_eq!(responder.recv.frames(), 1, "epoch {epoch}: nothing was counted");
        // The records of this protocol carry no number that could move a window; only the next epoch's key is tried, and that is the end.
        let moved = format!("{:?}", responder.recv) != before.replace("over: false", "over: true");
        assert_eq!(moved, epoch == 1, "epoch {epoch}");
        is_dead(&mut responder, &honest);
    }
}

#[test]
fn h10_the_bytes_of_a_number_are_nowhere_in_a_record() {
    // Two records of the same text differ in nothing that is readable: the number is implied.
    let (mut initiator, _) = fresh();
    let (one, two) = (record(&mut initiator, b"same"), record(&mut initiator, b"same"));
    assert_eq!(one[..8], two[..8]);
    assert_ne!(one[8..], two[8..]);
}
