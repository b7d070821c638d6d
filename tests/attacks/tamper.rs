//! H6: every bit of the three messages, by every key agreement, with and without a pre-shared key; and every message a byte shorter or longer.

use std::sync::Arc;

use vixp2p::base::config::KeyAgreement;
use vixp2p::session::{LocalParty, RunSecrets};
use vixp2p::wire::handshake::{kind, to_frame};

use crate::support::*;

const KINDS: [u16; 3] = [kind::HELLO, kind::HELLO_ACK, kind::HELLO_FINISH];

/// Fast runs: the key agreement draws its own random numbers, by the fastest provider.
fn machines(a: &Arc<LocalParty>, b: &Arc<LocalParty>) -> (vixp2p::session::Handshaking, vixp2p::session::Handshaking) {
    let drawn = |seed| {
        let mut secrets = run_secrets(seed);
        secrets.kex.reproducible = false;
        secrets
    };
    let (of_a, of_b): (RunSecrets, RunSecrets) = (drawn(1), drawn(2));
    (vixp2p::session::Handshaking::dial(a.clone(), of_a), vixp2p::session::Handshaking::accept(b.clone(), of_b))
}

/// Flips every bit, one a run; how many there were.
fn flip(wanted: KeyAgreement, with: Option<u8>) -> usize {
    let (a, b) = (only(wanted, 1, with), only(wanted, 2, with));
    let fresh = || machines(&a, &b);
    let (dialler, acceptor) = fresh();
    let honest = run(dialler, acceptor, |_, _| {});
    let sizes = honest.said.clone().map(|said| said.len());
    honest.both();
    let mut runs = 0;
    for (message, size) in sizes.into_iter().enumerate() {
        for bit in 0..size * 8 {
            let (dialler, acceptor) = fresh();
            let outcome = run(dialler, acceptor, |number, bytes| {
                if number == message {
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
            });
            assert!(outcome.nobody(), "{wanted:?}, message {message}, bit {bit}, psk {with:?}");
            // The side that dialled shows itself to nobody whose words, or what was made of its own, are not as they were.
            assert!(message == 2 || outcome.said[2].is_empty(), "{wanted:?}, message {message}, bit {bit}");
            runs += 1;
        }
    }
    runs
}

#[test]
fn h6_no_bit_of_the_messages_with_x25519_can_be_flipped() {
    for with in [None, Some(9)] {
        assert!(flip(KeyAgreement::Classic, with) > 4_000);
    }
}

#[test]
fn h6_no_bit_of_the_messages_with_x_wing_can_be_flipped() {
    for with in [None, Some(9)] {
        assert!(flip(KeyAgreement::PostQuantum, with) > 20_000);
    }
}

/// Ways to make a payload one byte shorter or longer.
fn cuts(payload: &[u8]) -> Vec<Vec<u8>> {
    let mut made = vec![payload[1..].to_vec(), payload[..payload.len() - 1].to_vec()];
    for byte in [0, 1, 0x80, 0xff] {
        made.push([&[byte], payload].concat());
        made.push([payload, &[byte]].concat());
    }
    made
}

#[test]
fn h6_a_message_one_byte_shorter_or_longer_in_its_frame_ends_the_run() {
    for wanted in [KeyAgreement::Classic, KeyAgreement::PostQuantum] {
        for with in [None, Some(9)] {
            let (a, b) = (only(wanted, 1, with), only(wanted, 2, with));
            for message in 0..3 {
                for cut in 0..10 {
                    let outcome = run(dial(&a, 1), accept(&b, 1), |number, bytes| {
                        if number == message {
                            *bytes = to_frame(KINDS[number], cuts(&payload(KINDS[number], bytes)).swap_remove(cut));
                        }
                    });
                    assert!(outcome.initiator.is_err() || outcome.responder.is_err(), "message {message}, cut {cut}");
                    assert!(outcome.nobody());
                }
            }
        }
    }
}

#[test]
fn h6_a_box_one_byte_or_one_padding_shorter_or_longer_does_not_open() {
    let (a, b) = (party(1, None), party(2, None));
    let changes: [fn(&mut Vec<u8>); 8] = [
        |sealed| sealed.truncate(sealed.len() - 1),
        |sealed| sealed.rotate_left(1),
        |sealed| *sealed = sealed[1..].to_vec(),
        |sealed| sealed.push(0),
        |sealed| sealed.insert(0, 0),
        |sealed| sealed.extend([0; 64]),
        |sealed| sealed.truncate(16),
        Vec::clear,
    ];
    for message in [1, 2] {
        for change in changes {
            let outcome = run(dial(&a, 1), accept(&b, 1), |number, bytes| match (number, message) {
                (1, 1) => {
                    let mut ack = ack_in(bytes);
                    change(&mut ack.sealed);
                    *bytes = to_frame(kind::HELLO_ACK, ack.encode());
                }
                (2, 2) => {
                    let mut finish = finish_in(bytes);
                    change(&mut finish.sealed);
                    *bytes = to_frame(kind::HELLO_FINISH, finish.encode());
                }
                _ => {}
            });
            assert!(outcome.nobody());
        }
    }
}

#[test]
fn h6_bytes_lost_or_added_on_the_line_never_end_in_a_session() {
    let (a, b) = (party(1, None), party(2, None));
    for message in 0..3 {
        let lost = run(dial(&a, 1), accept(&b, 1), |number, bytes| {
            if number == message {
                bytes.pop();
            }
        });
        assert!(lost.nobody(), "message {message} without its last byte");
        let missing = run(dial(&a, 1), accept(&b, 1), |number, bytes| {
            if number == message {
                bytes.remove(0);
            }
        });
        assert!(missing.nobody(), "message {message} without its first byte");
        let added = run(dial(&a, 1), accept(&b, 1), |number, bytes| {
            if number == message {
                bytes.insert(0, 0x17);
            }
        });
        assert!(added.nobody(), "message {message} behind a byte");
        // A byte behind a message is the first of the next one, which it spoils; behind the last one it is a record's.
        let behind = run(dial(&a, 1), accept(&b, 1), |number, bytes| {
            if number == message {
                bytes.push(0x17);
            }
        });
        let spoilt = match message {
            0 => behind.nobody(),
            1 => !matches!(behind.initiator, Ok(Some(_))),
            _ => !matches!(behind.responder, Ok(Some(_))) || deliver(&mut behind.both().1, &[0; 8]).0.is_empty(),
        };
        assert!(spoilt, "message {message} with a byte behind it");
    }
}

#[test]
fn h6_a_byte_put_in_before_the_first_record_is_the_end_of_the_session() {
    let (mut initiator, mut responder) = session(&party(1, None), &party(2, None), 1);
    // It moves every length and every header; enough has to follow for the first record to seem whole.
    let bytes = [&[0x17][..], &record(&mut initiator, &[7; 200]), &record(&mut initiator, &[8; 65_000])].concat();
    let (texts, result) = deliver(&mut responder, &bytes);
    assert!(texts.is_empty() && result.is_err());
}
