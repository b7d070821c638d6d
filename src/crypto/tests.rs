//! Project Wycheproof's vectors against this room's own wrappers, so that whichever provider is built in passes them.
//!
//! Never calls a provider directly: `make test` runs this with aws-lc and in the pure-Rust build.

use wycheproof::{TestResult, aead, eddsa, hkdf, mac, mlkem, xdh};

use crate::base::PeerId;
use crate::base::config::KeyAgreement;
use crate::crypto::kex::x25519::KeyPair;
use crate::crypto::kex::{self, Group};
use crate::crypto::suite::{Aead, Cipher, TAG_BYTES};
use crate::crypto::{Secret, Suite, identity, schedule};

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

#[test]
fn x25519_gives_every_secret_of_the_vectors_and_refuses_every_zero_one() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).expect("embedded");
    let (mut agreed, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let pair = KeyPair::from_secret(&Secret::new(fixed(&test.private_key).expect("32 bytes")));
        let shared = pair.agree(&fixed(&test.public_key).expect("32 bytes"));
        if test.flags.contains(&xdh::TestFlag::ZeroSharedSecret) {
            assert!(test.shared_secret.iter().all(|byte| *byte == 0), "case {}", test.tc_id);
            assert!(shared.is_none(), "case {}: {}", test.tc_id, test.comment);
            refused += 1;
        } else {
            let shared = shared.unwrap_or_else(|| panic!("case {}: {}", test.tc_id, test.comment));
            assert_eq!(shared.expose(), &test.shared_secret[..], "case {}: {}", test.tc_id, test.comment);
            agreed += 1;
        }
    }
    assert_eq!((agreed, refused), (487, 31));
}

#[test]
fn strict_ed25519_accepts_exactly_the_valid_signatures() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).expect("embedded");
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        let peer = PeerId(fixed(&group.key.pk).expect("32 bytes"));
        for test in &group.tests {
            // A signature of another length does not get as far as `verify`: its type has 64 bytes.
            let verified = fixed(&test.sig).is_some_and(|signature| identity::verify(&peer, &test.msg, &signature));
            // No case is merely acceptable, and strictness refuses none that is valid.
            assert_ne!(test.result, TestResult::Acceptable, "case {}", test.tc_id);
            assert_eq!(verified, test.result == TestResult::Valid, "case {}: {}", test.tc_id, test.comment);
            *(if verified { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert_eq!((valid, invalid), (88, 63));
}

/// Runs the cases of one AEAD that have the sizes of this room, and says how many were valid and how many were not.
fn run_aead(name: aead::TestName, make: impl Fn(&Secret<32>) -> Aead) -> (usize, usize) {
    let set = aead::TestSet::load(name).expect("embedded");
    let (mut valid, mut invalid) = (0, 0);
    let sized = |group: &&aead::TestGroup| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128);
    for test in set.test_groups.iter().filter(sized).flat_map(|group| &group.tests) {
        let aead = make(&Secret::new(fixed(&test.key).expect("32 bytes")));
        let nonce = fixed(&test.nonce).expect("12 bytes");
        let mut sealed = [&test.ct[..], &test.tag[..]].concat();
        let opened = aead.open(nonce, &test.aad, &mut sealed).map(|text| text.to_vec());
        let mut text = test.pt.to_vec();
        let tag: [u8; TAG_BYTES] = aead.seal(nonce, &test.aad, &mut text);
        if test.result.must_fail() {
            assert!(opened.is_err(), "case {}: {}", test.tc_id, test.comment);
            assert_ne!((&text[..], &tag[..]), (&test.ct[..], &test.tag[..]), "case {}: {}", test.tc_id, test.comment);
            invalid += 1;
        } else {
            assert_eq!(opened.as_deref(), Ok(&test.pt[..]), "case {}: {}", test.tc_id, test.comment);
            assert_eq!((&text[..], &tag[..]), (&test.ct[..], &test.tag[..]), "case {}: {}", test.tc_id, test.comment);
            valid += 1;
        }
    }
    (valid, invalid)
}

#[test]
fn every_aead_seals_and_opens_as_the_vectors_say() {
    for suite in Suite::supported(KeyAgreement::Classic) {
        let (name, count) = match suite.cipher {
            Cipher::Aes256Gcm => (aead::TestName::AesGcm, (39, 27)),
            Cipher::ChaCha20Poly1305 => (aead::TestName::ChaCha20Poly1305, (256, 60)),
        };
        assert_eq!(run_aead(name, |key| suite.aead(key)), count, "{suite:?}");
    }
    assert_eq!(run_aead(aead::TestName::ChaCha20Poly1305, Aead::orion), (256, 60), "the portable provider");
}

#[test]
fn hkdf_sha_512_gives_the_keys_of_the_vectors() {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha512).expect("embedded");
    let mut tried = 0;
    // The invalid ones ask for more than 255 hashes; here every length is fixed in the code, and none is longer than one. A longer
    // output begins with a shorter one.
    for test in set.test_groups.iter().flat_map(|group| &group.tests).filter(|test| !test.result.must_fail()) {
        let mut out = vec![0; test.size.min(schedule::HASH_BYTES)];
        schedule::expand_info(&schedule::extract(&test.salt, &test.ikm), &test.info, &mut out);
        assert!(out == test.okm[..out.len()], "case {}: {}", test.tc_id, test.comment);
        tried += 1;
    }
    assert_eq!(tried, 80);
}

#[test]
fn hmac_sha_512_gives_the_tags_of_the_vectors_whole_and_cut_to_32_bytes() {
    let set = mac::TestSet::load(mac::TestName::HmacSha512).expect("embedded");
    let mut tried = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let told = |tag: &[u8]| assert_eq!(tag == &test.tag[..], !test.result.must_fail(), "case {}: {}", test.tc_id, test.comment);
        // HKDF-Extract is HMAC with the salt as its key, of whatever length.
        told(&schedule::extract(&test.key, &test.msg).expose()[..test.tag.len()]);
        tried += 1;
        let mut key = Secret::zero();
        let Some(front) = key.expose_mut().get_mut(..test.key.len()) else { continue };
        // A shorter key is padded with zeros, as HMAC itself does (RFC 2104 §2).
        front.copy_from_slice(&test.key);
        let cut = schedule::mac(&key, &test.msg);
        if test.tag.len() == cut.len() {
            told(&cut);
        }
    }
    assert_eq!(tried, 174);
}

#[test]
fn x_wing_answers_exactly_the_valid_ml_kem_keys() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768Encaps).expect("embedded");
    let x25519 = *KeyPair::from_secret(&Secret::new([7; 32])).public();
    let (mut valid, mut invalid) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let ml_kem = test.encaps_key.as_ref().expect("a key");
        // Even secrets take the portable provider, odd ones the fastest.
        for secrets in [kex::tests::secrets(2), kex::tests::secrets(3)] {
            let answered = kex::answer(Group::XWing, &[&ml_kem[..], &x25519].concat(), &secrets).is_some();
            assert_eq!(answered, !test.result.must_fail(), "case {}: {}", test.tc_id, test.comment);
        }
        *(if test.result.must_fail() { &mut invalid } else { &mut valid }) += 1;
    }
    assert!(valid > 0 && invalid > 0, "{valid} valid, {invalid} not");
}
