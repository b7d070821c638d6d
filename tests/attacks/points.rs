//! H7: points and scalars that a careful implementation refuses, wherever the protocol takes one.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use orion::hazardous::hash::sha2::sha512::Sha512;
use vixp2p::base::config::KeyAgreement;
use vixp2p::base::id::from_hex;
use vixp2p::base::{CloseReason, PeerId};
use vixp2p::crypto::identity::verify;
use vixp2p::crypto::kex::{self, Group, KexSecrets, Offer};
use vixp2p::session::key_update;
use vixp2p::wire::Message;
use vixp2p::wire::handshake::Claim;
use vixp2p::wire::message::KeyUpdate;

use crate::support::*;

/// Every u-coordinate of a small-order point of Curve25519 or its twist, by its canonical encoding and, where 2^255 leaves room, the other one.
const SMALL_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/// All of them, also with the top bit set, which X25519 ignores.
fn small_order() -> Vec<Vec<u8>> {
    let canonical = SMALL_ORDER.map(|digits| from_hex(digits).expect("hex"));
    let mut all = canonical.to_vec();
    all.extend(canonical.map(|mut point| {
        point[31] |= 0x80;
        point
    }));
    all
}

fn secrets(reproducible: bool) -> KexSecrets {
    KexSecrets { reproducible, ..kex_secrets(5) }
}

/// Shares of a group with the X25519 part exchanged for each small-order point; `at` is where it stands.
fn spoilt(share: &[u8], at: usize) -> Vec<Vec<u8>> {
    let put = |point: Vec<u8>| [&share[..at], &point, &share[at + 32..]].concat();
    small_order().into_iter().map(put).collect()
}

#[test]
fn h7_small_order_points_are_refused_in_every_share_by_every_provider() {
    for reproducible in [false, true] {
        let offer = Offer::new(&[Group::X25519, Group::XWing], &secrets(reproducible));
        for (group, at_key, at_answer) in [(Group::X25519, 0, 0), (Group::XWing, 1184, 1088)] {
            let share = offer.share(group).expect("offered");
            let (honest, _) = kex::answer(group, share, &secrets(reproducible)).expect("honest");
            for bad in spoilt(share, at_key) {
                assert!(kex::answer(group, &bad, &secrets(reproducible)).is_none(), "{group:?} {reproducible}");
            }
            for bad in spoilt(&honest, at_answer) {
                assert!(offer.complete(group, &bad).is_none(), "{group:?} {reproducible}");
            }
        }
    }
}

fn unusable<T>(result: Result<T, CloseReason>) -> bool {
    matches!(result, Err(CloseReason::HandshakeFailed(why)) if why == "unusable ephemeral key")
}

#[test]
fn h7_small_order_points_in_the_messages_end_the_handshake() {
    for (wanted, group, at_key, at_answer) in [(KeyAgreement::Classic, 1, 0, 0), (KeyAgreement::PostQuantum, 2, 1184, 1088)] {
        let (a, b) = (only(wanted, 1, Some(9)), only(wanted, 2, Some(9)));
        for which in 0..small_order().len() {
            let liar = FakeInitiator::new(Some(psk(9)), 66, |hello| {
                let share = hello.key_shares[&group].clone();
                hello.key_shares.insert(group, spoilt(&share, at_key).swap_remove(which));
            });
            let mut responder = accept(&b, 1);
            assert!(unusable(give(&mut responder, &liar.hello())), "{wanted:?} {which}");
            assert!(!responder.has_outgoing());

            let mut initiator = dial(&a, 1);
            let mut liar = FakeResponder::answer(&initiator.outgoing(), Some(&psk(9)), 66, |ack| {
                ack.key_share = spoilt(&ack.key_share, at_answer).swap_remove(which)
            });
            let sealed = liar.ladder.signed("responder", &liar.ladder.h2, claim(6), &identity(6));
            assert!(unusable(give(&mut initiator, &liar.say(sealed))), "{wanted:?} {which}");
            assert!(!initiator.has_outgoing());
        }
    }
}

#[test]
fn h7_another_encoding_of_an_honest_share_agrees_on_nothing_that_both_sides_would_use() {
    // X25519 ignores the top bit: the secret is the same, the transcript is not.
    let (a, b) = (only(KeyAgreement::Classic, 1, None), only(KeyAgreement::Classic, 2, None));
    for message in [0, 1] {
        let outcome = run(dial(&a, 1), accept(&b, 1), |number, bytes| {
            if number == message {
                let share = if number == 0 { hello_in(bytes).key_shares[&1].clone() } else { ack_in(bytes).key_share };
                let at = bytes.windows(32).position(|part| part == share).expect("there");
                bytes[at + 31] ^= 0x80;
            }
        });
        assert!(outcome.nobody() && outcome.initiator.is_err() && outcome.said[2].is_empty());
    }
}

#[test]
fn h7_ml_kem_keys_out_of_range_are_refused_by_every_provider() {
    // FIPS 203 §7.2: every 12-bit coefficient is below 3,329. 1,184 bytes are 768 coefficients and a seed.
    for reproducible in [false, true] {
        let offer = Offer::new(&[Group::XWing], &secrets(reproducible));
        let share = offer.share(Group::XWing).expect("offered");
        for coefficient in [0usize, 1, 255, 256, 383, 766, 767] {
            for value in [3329u16, 3330, 4095] {
                let mut bad = share.to_vec();
                let at = coefficient / 2 * 3;
                if coefficient.is_multiple_of(2) {
                    bad[at] = value as u8;
                    bad[at + 1] = bad[at + 1] & 0xf0 | (value >> 8) as u8;
                } else {
                    bad[at + 1] = bad[at + 1] & 0x0f | (value << 4) as u8;
                    bad[at + 2] = (value >> 4) as u8;
                }
                assert!(kex::answer(Group::XWing, &bad, &secrets(reproducible)).is_none(), "{coefficient} = {value}, {reproducible}");
            }
        }
        let liar = FakeInitiator::new(None, 66, |hello| hello.key_shares.get_mut(&2).expect("there")[..3].fill(0xff));
        assert!(unusable(give(&mut accept(&party(1, None), 1), &liar.hello())));
    }
}

#[test]
fn h7_small_order_points_in_a_key_update_end_the_session() {
    for (wanted, at_key, at_answer) in [(KeyAgreement::Classic, 0, 0), (KeyAgreement::PostQuantum, 1184, 1088)] {
        let (a, b) = (only(wanted, 1, None), only(wanted, 2, None));
        let group = session(&a, &b, 1).0.suite.group;
        let offer = Offer::new(&[group], &secrets(true));
        let share = offer.share(group).expect("offered");
        let (honest, _) = kex::answer(group, share, &secrets(true)).expect("honest");
        for bad in spoilt(share, at_key) {
            let (mut initiator, mut responder) = session(&a, &b, 1);
            initiator.send.push(&Message::KeyUpdate(KeyUpdate::Offer(bad)));
            let bytes = taken(&mut initiator);
            assert!(matches!(deliver(&mut responder, &bytes).1, Err(CloseReason::Protocol(_))));
        }
        for bad in spoilt(&honest, at_answer) {
            let (mut initiator, mut responder) = session(&a, &b, 1);
            key_update::renew(&mut initiator.send, &secrets(true));
            responder.send.push(&Message::KeyUpdate(KeyUpdate::Answer(bad)));
            let bytes = taken(&mut responder);
            assert!(matches!(deliver(&mut initiator, &bytes).1, Err(CloseReason::Protocol(_))));
        }
    }
}

/// What a claim says about itself, and a signature over it, taken to both sides of a handshake.
fn shown(key: [u8; 32], sign: impl Fn(&[u8]) -> [u8; 64]) -> [Result<(), CloseReason>; 2] {
    let claim = Claim { public_key: key, ..claim(6) };
    let mut a = dial(&party(1, None), 1);
    let mut eve = FakeResponder::answer(&a.outgoing(), None, 66, |_| {});
    let signature = sign(&Ladder::signed_text("responder", &eve.ladder.h2, &claim.encode()));
    let sealed = eve.ladder.boxed("responder", &eve.ladder.h2, claim.clone(), signature);
    let to_initiator = give(&mut a, &eve.say(sealed)).map(drop);

    let mut eve = FakeInitiator::new(None, 66, |_| {});
    let mut b = accept(&party(2, None), 1);
    give(&mut b, &eve.hello()).expect("a Hello");
    eve.take(&b.outgoing());
    let signature = sign(&Ladder::signed_text("initiator", &eve.h3(), &claim.encode()));
    let finish = eve.finish(eve.ladder().boxed("initiator", &eve.h3(), claim, signature));
    [to_initiator, give(&mut b, &finish).map(drop)]
}

fn refused(key: [u8; 32], sign: impl Fn(&[u8]) -> [u8; 64]) -> bool {
    shown(key, sign).iter().all(|result| matches!(result, Err(CloseReason::HandshakeFailed(why)) if why.contains("false signature")))
}

/// The torsion points in every encoding: canonical, with y + p where that fits, and with the sign of a zero x set.
fn weak_keys() -> Vec<[u8; 32]> {
    let mut keys: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
    let edge = |low: u8, sign: u8| {
        let mut key = [0xff; 32];
        (key[0], key[31]) = (low, 0x7f | sign);
        key
    };
    // y = p (0), p + 1 (1) and p - 1 (-1), with either sign; and y = 1 with a sign that x = 0 cannot have.
    keys.extend([0xec, 0xed, 0xee].into_iter().flat_map(|low| [edge(low, 0), edge(low, 0x80)]));
    let mut one = [0; 32];
    (one[0], one[31]) = (1, 0x80);
    keys.push(one);
    keys
}

#[test]
fn h7_no_signature_holds_under_a_small_order_key() {
    for key in weak_keys() {
        for r in weak_keys() {
            // S = 0 and R of small order: what a lax verifier accepts for one message in eight, or for all.
            let signature: [u8; 64] = [r, [0; 32]].concat().try_into().expect("64 bytes");
            assert!((0..16u8).all(|message| !verify(&PeerId(key), &[message], &signature)));
        }
        let identity_point = weak_keys()[0];
        assert!(refused(key, |_| [identity_point, [0; 32]].concat().try_into().expect("64 bytes")), "{key:?}");
    }
}

/// Ed25519 signing with its parts in the open (RFC 8032 §5.1.6): `twist` is added to the key, `tilt` to R.
struct Signer {
    secret: Scalar,
    key: EdwardsPoint,
}

impl Signer {
    fn new(seed: u8, twist: EdwardsPoint) -> Signer {
        let digest = Sha512::digest(&[seed; 32]).expect("short");
        let half: [u8; 32] = digest.as_ref()[..32].try_into().expect("32 bytes");
        let secret = Scalar::from_bytes_mod_order(clamp_integer(half));
        Signer { secret, key: EdwardsPoint::mul_base(&secret) + twist }
    }

    fn public(&self) -> [u8; 32] {
        self.key.compress().to_bytes()
    }

    /// `salt` is the nonce's: different ones give different signatures of one text.
    fn sign(&self, text: &[u8], salt: u64, tilt: EdwardsPoint) -> [u8; 64] {
        let wide = |parts: &[&[u8]]| {
            let digest = Sha512::digest(&parts.concat()).expect("short");
            Scalar::from_bytes_mod_order_wide(&digest.as_ref().try_into().expect("64 bytes"))
        };
        let nonce = wide(&[&salt.to_le_bytes(), text]);
        let r = (EdwardsPoint::mul_base(&nonce) + tilt).compress().to_bytes();
        let s = nonce + wide(&[&r, &self.public(), text]) * self.secret;
        [r, s.to_bytes()].concat().try_into().expect("64 bytes")
    }
}

const NEUTRAL: EdwardsPoint = EIGHT_TORSION[0];

#[test]
fn h7_the_open_signer_is_ed25519() {
    let honest = Signer::new(6, NEUTRAL);
    assert_eq!(honest.public(), identity(6).id().0);
    assert!(shown(honest.public(), |text| honest.sign(text, 1, NEUTRAL)).iter().all(Result::is_ok), "the control of the tests below");
}

#[test]
fn h7_a_signature_with_a_small_order_part_in_r_is_refused() {
    // A verifier that multiplies by the cofactor would take every one of them.
    let honest = Signer::new(6, NEUTRAL);
    for tilt in &EIGHT_TORSION[1..] {
        assert!(refused(honest.public(), |text| honest.sign(text, 1, *tilt)));
    }
}

#[test]
fn h7_a_key_with_a_small_order_part_is_another_key_and_helps_nobody_to_pass_for_the_one_without() {
    // The holder of a secret can sign for such a key by trying some eight nonces; it has a name of its own by then, and whoever has no
    // secret has gained nothing.
    let honest = Signer::new(6, NEUTRAL);
    for torsion in &EIGHT_TORSION[1..] {
        let mixed = Signer::new(6, *torsion);
        assert_ne!(mixed.public(), honest.public());
        let text = b"text";
        for salt in 0..40 {
            let signature = mixed.sign(text, salt, NEUTRAL);
            assert!(!verify(&PeerId(honest.public()), text, &signature), "never under the other key");
        }
        assert!(!verify(&PeerId(mixed.public()), text, &honest.sign(text, 1, NEUTRAL)), "an honest signature does not carry over");
    }
}

#[test]
fn h7_a_signature_has_one_form_only() {
    // S + L, and the second encodings of R: the same equation, other bytes.
    let order = from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").expect("hex");
    let stretched = |text: &[u8]| {
        let mut signature = identity(6).sign(text);
        let mut carry = 0u16;
        for (byte, more) in signature[32..].iter_mut().zip(&order) {
            carry += u16::from(*byte) + u16::from(*more);
            *byte = carry as u8;
            carry >>= 8;
        }
        signature
    };
    assert!(refused(identity(6).id().0, stretched));
    for bit in 0..8 {
        assert!(refused(identity(6).id().0, |text| {
            let mut signature = identity(6).sign(text);
            signature[63] ^= 1 << bit;
            signature
        }));
    }
    assert!(refused(identity(6).id().0, |text| {
        let mut signature = identity(6).sign(text);
        signature[31] ^= 0x80;
        signature
    }));
}

#[test]
fn h7_a_second_encoding_of_a_key_names_nobody() {
    // y >= p encodes the point of y - p; of those that exist none has a known secret, and none is taken for the canonical one.
    for low in 0xed..=0xffu8 {
        for sign in [0x7f, 0xff] {
            let mut key = [0xff; 32];
            (key[0], key[31]) = (low, sign);
            assert!(refused(key, |text| identity(6).sign(text)), "{low:x} {sign:x}");
        }
    }
}
