//! H1 replay of messages and of whole runs; H2 reflection, and a node made to talk to itself.

use bytes::BytesMut;
use vixp2p::base::CloseReason;
use vixp2p::session::{Handshaking, RunSecrets};
use vixp2p::wire::handshake::{kind, to_frame};

use crate::support::*;

const PSKS: [Option<u8>; 2] = [None, Some(9)];

#[test]
fn h1_a_recorded_run_replayed_to_either_side_ends_without_a_session() {
    for psk in PSKS {
        let (a, b) = (party(1, psk), party(2, psk));
        let recorded = run(dial(&a, 1), accept(&b, 1), |_, _| {}).said;
        let mut responder = accept(&b, 2);
        assert!(give(&mut responder, &recorded[0]).expect("a Hello is a Hello").is_none());
        assert_ne!(responder.outgoing(), recorded[1], "a fresh answer");
        assert!(give(&mut responder, &recorded[2]).is_err());
        let mut initiator = dial(&a, 2);
        assert!(give(&mut initiator, &recorded[1]).is_err());
        assert!(!initiator.has_outgoing() || initiator.outgoing() != recorded[2]);
    }
}

#[test]
fn h1_a_recorded_run_is_no_use_even_where_nonces_and_random_bytes_come_again() {
    // Only the ephemeral secrets of the honest side are fresh: a clock set back, a generator that repeats itself in public.
    let again = |seed: u64| RunSecrets { kex: kex_secrets(seed + 100), ..run_secrets(seed) };
    for psk in PSKS {
        let (a, b) = (party(1, psk), party(2, psk));
        let recorded = run(Handshaking::dial(a.clone(), run_secrets(1)), Handshaking::accept(b.clone(), run_secrets(2)), |_, _| {}).said;
        let mut initiator = Handshaking::dial(a, again(1));
        assert!(matches!(give(&mut initiator, &recorded[1]), Err(CloseReason::HandshakeFailed(_))));
        let mut responder = Handshaking::accept(b, again(2));
        assert!(give(&mut responder, &recorded[0]).expect("a Hello is a Hello").is_none());
        assert!(matches!(give(&mut responder, &recorded[2]), Err(CloseReason::HandshakeFailed(_))));
    }
}

#[test]
fn h1_a_message_said_twice_in_one_run_ends_it() {
    for repeated in 0..3 {
        let (a, b) = (party(1, Some(9)), party(2, Some(9)));
        let outcome = run(dial(&a, 1), accept(&b, 1), |number, bytes| {
            if number == repeated {
                *bytes = bytes.repeat(2);
            }
        });
        assert!(outcome.initiator.is_err() || outcome.responder.is_err(), "message {repeated}");
    }
}

#[test]
fn h1_each_message_in_the_place_of_each_other_ends_the_run() {
    let (a, b) = (party(1, None), party(2, None));
    let recorded = run(dial(&a, 1), accept(&b, 1), |_, _| {}).said;
    for place in 0..3 {
        for wrong in (0..3).filter(|wrong| *wrong != place) {
            let outcome = run(dial(&a, 1), accept(&b, 1), |number, bytes| {
                if number == place {
                    bytes.clone_from(&recorded[wrong]);
                }
            });
            assert!(outcome.nobody() && (outcome.initiator.is_err() || outcome.responder.is_err()), "{wrong} as {place}");
        }
    }
}

#[test]
fn h1_a_message_of_one_run_in_another_run_of_the_same_two_nodes_ends_it() {
    for psk in PSKS {
        let (a, b) = (party(1, psk), party(2, psk));
        let other = run(dial(&a, 8), accept(&b, 8), |_, _| {}).said;
        for (place, foreign) in other.iter().enumerate() {
            let outcome = run(dial(&a, 9), accept(&b, 9), |number, bytes| {
                if number == place {
                    bytes.clone_from(foreign);
                }
            });
            assert!(outcome.nobody(), "message {place}");
        }
    }
}

#[test]
fn h1_the_body_of_a_recorded_answer_under_the_nonces_of_the_present_run_ends_it() {
    for psk in PSKS {
        let (a, b) = (party(1, psk), party(2, psk));
        let other = run(dial(&a, 8), accept(&b, 8), |_, _| {}).said;
        let mut nonces = (0, 0);
        let outcome = run(dial(&a, 9), accept(&b, 9), |number, bytes| match number {
            0 => nonces.0 = hello_in(bytes).nonce_a,
            1 => {
                let mut ack = ack_in(&other[1]);
                ack.nonce_a = nonces.0;
                *bytes = to_frame(kind::HELLO_ACK, ack.encode());
            }
            _ => {}
        });
        assert!(outcome.initiator.is_err() && outcome.nobody());
        let outcome = run(dial(&a, 9), accept(&b, 9), |number, bytes| match number {
            1 => nonces = (ack_in(bytes).nonce_a, ack_in(bytes).nonce_b),
            2 => {
                let mut finish = finish_in(&other[2]);
                (finish.nonce_a, finish.nonce_b) = nonces;
                *bytes = to_frame(kind::HELLO_FINISH, finish.encode());
            }
            _ => {}
        });
        assert!(outcome.responder.is_err() && outcome.nobody());
    }
}

#[test]
fn h1_a_machine_that_has_failed_takes_nothing_more() {
    let (a, b) = (party(1, None), party(2, None));
    let honest = run(dial(&a, 1), accept(&b, 1), |_, _| {}).said;
    for wrong in [&honest[2][..], &[0], &[0xff; 12], &[3, 1, 2, 3]] {
        let mut responder = accept(&b, 1);
        assert!(give(&mut responder, wrong).is_err());
        for message in &honest {
            assert!(give(&mut responder, message).is_err(), "after {wrong:?}");
        }
        assert!(!responder.has_outgoing());
    }
}

#[test]
fn h2_every_message_sent_back_to_its_sender_ends_the_run() {
    for psk in PSKS {
        let (a, b) = (party(1, psk), party(2, psk));
        let mut initiator = dial(&a, 1);
        let hello = initiator.outgoing();
        assert!(give(&mut initiator, &hello).is_err());

        let (mut initiator, mut responder) = (dial(&a, 1), accept(&b, 1));
        give(&mut responder, &initiator.outgoing()).expect("a Hello");
        let ack = responder.outgoing();
        assert!(give(&mut responder, &ack).is_err());
        give(&mut initiator, &ack).expect("a HelloAck");
        let finish = initiator.outgoing();
        assert!(give(&mut initiator, &finish).is_err(), "a record is due");
    }
}

#[test]
fn h2_a_node_whose_dial_is_led_back_to_itself_stops_before_it_shows_itself() {
    // Selfie (Drucker, Gueron 2019): the pre-shared key alone does not say who speaks.
    for psk in PSKS {
        let a = party(1, psk);
        let outcome = run(dial(&a, 1), accept(&a, 2), |_, _| {});
        assert_eq!(outcome.initiator.expect_err("itself"), CloseReason::SelfConnect);
        assert!(outcome.said[2].is_empty() && !matches!(outcome.responder, Ok(Some(_))));
    }
}

#[test]
fn h2_two_dials_of_one_node_with_each_other_come_to_nothing() {
    let a = party(1, Some(9));
    let (mut one, mut two) = (dial(&a, 1), dial(&a, 2));
    let (hello_one, hello_two) = (one.outgoing(), two.outgoing());
    assert!(give(&mut one, &hello_two).is_err() && give(&mut two, &hello_one).is_err());
}

#[test]
fn h2_an_initiator_with_this_nodes_own_key_is_refused_by_the_responder_too() {
    for with in PSKS {
        let a = party(1, with);
        let mut liar = FakeInitiator::new(with.map(psk), 5, |_| {});
        let mut responder = accept(&a, 1);
        give(&mut responder, &liar.hello()).expect("a Hello");
        liar.take(&responder.outgoing());
        let finish = liar.finish(liar.ladder().signed("initiator", &liar.h3(), claim(1), &identity(1)));
        assert_eq!(give(&mut responder, &finish).expect_err("itself"), CloseReason::SelfConnect);
    }
}

#[test]
fn h2_a_proof_of_one_role_is_none_of_the_other() {
    // The liar has everything but the right role: signature and MAC of the other one over the right transcript.
    for (signed_as, mac_as) in [("responder", "initiator"), ("initiator", "responder"), ("responder", "responder")] {
        let mut liar = FakeInitiator::new(None, 5, |_| {});
        let mut responder = accept(&party(1, None), 1);
        give(&mut responder, &liar.hello()).expect("a Hello");
        liar.take(&responder.outgoing());
        let claim = claim(2);
        let signature = identity(2).sign(&Ladder::signed_text(signed_as, &liar.h3(), &claim.encode()));
        let fin = liar.ladder().fin(mac_as, &liar.h3(), &claim, &signature);
        let plain = vixp2p::wire::handshake::Identity { claim, signature, fin }.encode();
        let finish = liar.finish(liar.ladder().seal("initiator", &liar.h3(), plain));
        assert!(matches!(give(&mut responder, &finish), Err(CloseReason::HandshakeFailed(_))), "{signed_as} {mac_as}");
    }
}

#[test]
fn h2_records_sent_back_to_their_sender_do_not_open() {
    let (mut initiator, mut responder) = session(&party(1, None), &party(2, None), 1);
    for side in [&mut initiator, &mut responder] {
        let bytes = record(side, b"text");
        let (texts, result) = deliver(side, &bytes);
        assert!(texts.is_empty() && result.is_err());
    }
}

#[test]
fn h1_a_whole_recorded_session_replayed_to_the_responder_delivers_nothing() {
    let (a, b) = (party(1, Some(9)), party(2, Some(9)));
    let outcome = run(dial(&a, 1), accept(&b, 1), |_, _| {});
    let mut stream = [outcome.said[0].clone(), outcome.said[2].clone()].concat();
    let (mut initiator, _) = outcome.both();
    stream.extend(record(&mut initiator, b"pay me"));
    let mut responder = accept(&b, 2);
    assert!(responder.receive(&mut BytesMut::from(&stream[..])).is_err());
}
