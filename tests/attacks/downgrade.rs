//! H5 downgrade: of what is offered, of the choice, of versions and key shares.

use vixp2p::base::CloseReason;
use vixp2p::base::config::KeyAgreement;
use vixp2p::crypto::Suite;
use vixp2p::wire::handshake::{Hello, HelloAck, kind, to_frame};

use crate::support::*;

type Alter<T> = fn(&mut T);

/// What an attacker may want to make of an offer.
const OFFERS: [(&str, Alter<Hello>); 14] = [
    ("X-Wing stripped", |h| h.suites.retain(|s| s >> 8 == 1)),
    ("X-Wing and its share stripped", |h| {
        h.suites.retain(|s| s >> 8 == 1);
        h.key_shares.remove(&2);
    }),
    ("the first suite only", |h| h.suites.truncate(1)),
    ("the last suite only", |h| h.suites = h.suites.split_off(h.suites.len() - 1)),
    ("reversed", |h| h.suites.reverse()),
    ("AES last", |h| h.suites.sort_by_key(|s| s & 0xff == 1)),
    ("AES stripped", |h| h.suites.retain(|s| s & 0xff == 2)),
    ("a suite added", |h| h.suites.push(0x0103)),
    ("an older version allowed", |h| h.version_min = 1),
    ("a later version offered", |h| h.version_max = 3),
    ("only an older version", |h| (h.version_min, h.version_max) = (1, 1)),
    ("the pre-shared key denied", |h| (h.psk_id, h.mac1) = ([0; 8], [0; 16])),
    ("a share of a group that no suite names", |h| {
        h.key_shares.insert(3, vec![1; 32]);
    }),
    ("the small group's share exchanged", |h| {
        h.key_shares.insert(1, kex_share());
    }),
];

/// A share of the attacker's own.
fn kex_share() -> Vec<u8> {
    hello_in(&FakeInitiator::new(None, 66, |_| {}).hello()).key_shares[&1].clone()
}

#[test]
fn h5_an_altered_offer_never_ends_in_a_session() {
    for with in [None, Some(9)] {
        let (a, b) = (party(1, with), party(2, with));
        for (what, alter) in OFFERS {
            let mut changed = false;
            let outcome = run(dial(&a, 1), accept(&b, 1), |number, bytes| {
                if number == 0 {
                    let mut hello = hello_in(bytes);
                    alter(&mut hello);
                    let altered = to_frame(kind::HELLO, hello.encode());
                    changed = altered != *bytes;
                    *bytes = altered;
                }
            });
            if !changed {
                continue; // there is no pre-shared key to deny
            }
            assert!(outcome.nobody() && (outcome.initiator.is_err() || outcome.responder.is_err()), "{what} {with:?}");
            // Without the pre-shared key an outsider's change is seen before any curve work.
            assert!(with.is_none() || outcome.said[1].is_empty(), "{what}");
        }
    }
}

#[test]
fn h5_a_member_of_the_cluster_cannot_alter_anothers_offer_either() {
    // With the pre-shared key mac1 can be made anew; then it is the initiator that sees another transcript.
    let with = Some(9);
    let (a, b) = (party(1, with), party(2, with));
    for (what, alter) in OFFERS {
        let outcome = run(dial(&a, 1), accept(&b, 1), |number, bytes| {
            if number == 0 {
                let mut hello = hello_in(bytes);
                alter(&mut hello);
                hello.mac1 = open_transcript(with.map(psk).as_ref(), &hello).1;
                *bytes = to_frame(kind::HELLO, hello.encode());
            }
        });
        assert!(outcome.nobody() && (outcome.initiator.is_err() || outcome.responder.is_err()), "{what}");
        assert!(outcome.said[2].is_empty(), "{what}: the initiator does not show itself");
    }
}

/// What an attacker may want to make of an answer.
const ANSWERS: [(&str, Alter<HelloAck>); 8] = [
    ("another suite of those offered", |a| a.suite = if a.suite == 0x0202 { 0x0201 } else { 0x0202 }),
    ("a suite of the small group", |a| a.suite = 0x0102),
    ("a suite that nobody knows", |a| a.suite = 0x0104),
    ("version 1", |a| a.version = 1),
    ("version 3", |a| a.version = 3),
    ("the pre-shared key denied", |a| a.psk_id = [0; 8]),
    ("another pre-shared key", |a| a.psk_id = [5; 8]),
    ("no key share", |a| a.key_share.clear()),
];

#[test]
fn h5_an_altered_choice_never_ends_in_a_session() {
    for with in [None, Some(9)] {
        let (a, b) = (party(1, with), party(2, with));
        for (what, alter) in ANSWERS {
            let mut changed = false;
            let outcome = run(dial(&a, 1), accept(&b, 1), |number, bytes| {
                if number == 1 {
                    let mut ack = ack_in(bytes);
                    alter(&mut ack);
                    let altered = to_frame(kind::HELLO_ACK, ack.encode());
                    changed = altered != *bytes;
                    *bytes = altered;
                }
            });
            assert_eq!(outcome.initiator.is_err(), changed, "{what}");
            assert!(!changed || (outcome.nobody() && outcome.said[2].is_empty()), "{what}");
        }
    }
}

#[test]
fn h5_a_responder_that_chooses_what_was_not_offered_is_left() {
    let refused = |wanted, alter: Alter<HelloAck>| {
        let mut a = dial(&only(wanted, 1, None), 1);
        let mut liar = FakeResponder::answer(&a.outgoing(), None, 66, alter);
        let sealed = liar.ladder.signed("responder", &liar.ladder.h2, claim(6), &identity(6));
        let result = give(&mut a, &liar.say(sealed));
        assert!(a.outgoing().is_empty());
        result.expect_err("not offered")
    };
    use KeyAgreement::{Classic, PostQuantum};
    for (wanted, alter) in [
        (PostQuantum, (|ack| (ack.suite, ack.key_share) = (0x0102, kex_share())) as Alter<HelloAck>),
        (Classic, |ack| ack.suite = 0x0202),
        (Classic, |ack| ack.suite = 0x0000),
        (Classic, |ack| ack.suite = 0xffff),
    ] {
        let reason = refused(wanted, alter);
        assert!(matches!(&reason, CloseReason::HandshakeFailed(why) if why.contains("not offered")), "{reason}");
    }
    for alter in [(|ack| ack.version = 1) as Alter<HelloAck>, |ack| ack.version = 3, |ack| ack.version = 0] {
        assert!(matches!(refused(Classic, alter), CloseReason::BadVersion(_)));
    }
}

#[test]
fn h5_an_offer_cut_short_is_no_offer() {
    let (a, b) = (party(1, None), party(2, None));
    let alterations: [Alter<Hello>; 5] = [
        |h| h.suites.clear(),
        |h| h.key_shares.clear(),
        |h| drop(h.key_shares.remove(&1)),
        |h| drop(h.key_shares.remove(&2)),
        |h| h.suites = [h.suites.clone(), h.suites.clone()].concat(),
    ];
    for alter in alterations {
        let outcome = run(dial(&a, 1), accept(&b, 1), |number, bytes| {
            if number == 0 {
                let mut hello = hello_in(bytes);
                alter(&mut hello);
                *bytes = to_frame(kind::HELLO, hello.encode());
            }
        });
        assert!(matches!(&outcome.responder, Err(CloseReason::HandshakeFailed(why)) if why.contains("malformed")), "{outcome:?}");
        assert!(outcome.said[1].is_empty());
    }
}

#[test]
fn h5_two_honest_nodes_get_the_best_they_share_whatever_else_is_tried() {
    let best = Suite::supported(KeyAgreement::Any)[0];
    let (initiator, responder) = session(&party(1, None), &party(2, None), 1);
    assert_eq!((initiator.suite, responder.suite), (best, best));
}
