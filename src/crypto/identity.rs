//! The node's Ed25519 identity: signing and strict verification. Its text forms are [`keyfile`](super::keyfile)'s.

use std::fmt;

use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::base::PeerId;
use crate::crypto::Secret;
use crate::crypto::kex::x25519::KeyPair;

/// A signing key. Wiped on drop (by `ed25519-dalek` and aws-lc), never printed.
pub struct Identity {
    key: SigningKey,
    signer: signer::Signer,
    id: PeerId,
}

impl Identity {
    /// The identity of a 32-byte seed (RFC 8032 §5.1.5 private key).
    pub fn from_seed(seed: &Secret<32>) -> Identity {
        let key = SigningKey::from_bytes(seed.expose());
        let id = PeerId(key.verifying_key().to_bytes());
        Identity { signer: signer::Signer::new(&key), key, id }
    }

    /// The public key.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// Ed25519 signature over `message` (RFC 8032 §5.1.6).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signer.sign(message)
    }

    /// The same key in its X25519 form: what parcels to this identity are agreed with.
    pub(super) fn agreement_key(&self) -> KeyPair {
        let scalar = Zeroizing::new(self.key.to_scalar_bytes());
        KeyPair::from_secret(&Secret::new(*scalar))
    }

    /// The private key, for the key file.
    pub(super) fn seed(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.id.short())
    }
}

#[cfg(feature = "aws-lc")]
mod signer {
    use aws_lc_rs::signature::Ed25519KeyPair;

    /// Signs by aws-lc, in half the time.
    pub(super) struct Signer(Ed25519KeyPair);

    impl Signer {
        pub(super) fn new(key: &ed25519_dalek::SigningKey) -> Signer {
            let pair = Ed25519KeyPair::from_seed_and_public_key(key.as_bytes(), key.verifying_key().as_bytes());
            Signer(pair.expect("the public key is the seed's"))
        }

        pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
            self.0.sign(message).as_ref().try_into().expect("Ed25519 signatures have 64 bytes")
        }
    }
}

#[cfg(not(feature = "aws-lc"))]
mod signer {
    use ed25519_dalek::{Signer as _, SigningKey};

    pub(super) struct Signer(SigningKey);

    impl Signer {
        pub(super) fn new(key: &SigningKey) -> Signer {
            Signer(key.clone())
        }

        pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
            self.0.sign(message).to_bytes()
        }
    }
}

/// Whether `signature` over `message` is `peer`'s. Strict: small-order and non-canonical points and scalars fail (Brendel et al., IEEE S&P 2021).
pub fn verify(peer: &PeerId, message: &[u8], signature: &[u8; 64]) -> bool {
    verifier::verify(&peer.0, message, signature)
}

#[cfg(feature = "aws-lc")]
mod verifier {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    /// 2^255 - 19, little-endian.
    const P: [u8; 32] = {
        let mut p = [0xff; 32];
        (p[0], p[31]) = (0xed, 0x7f);
        p
    };

    /// The y coordinates of the eight points of small order (Chalkias, Garillot and Nikolaenko, SSR 2020, table 1), little-endian.
    const SMALL_ORDER: [[u8; 32]; 5] = [
        [0; 32],
        {
            let mut one = [0; 32];
            one[0] = 1;
            one
        },
        {
            let mut minus_one = P;
            minus_one[0] = 0xec;
            minus_one
        },
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3,
            0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c,
            0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ];

    /// By aws-lc, in two thirds of the time. It compares R by its bytes and wants S < L; what else is strict is added here.
    pub(super) fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let (r, _) = signature.split_first_chunk::<32>().expect("a signature has 64 bytes");
        is_strict(key) && is_strict(r) && UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
    }

    /// Whether the encoded y is below p and not that of a point of small order, whatever its sign bit.
    fn is_strict(point: &[u8; 32]) -> bool {
        let mut y = *point;
        y[31] &= 0x7f;
        y.iter().rev().lt(P.iter().rev()) && !SMALL_ORDER.contains(&y)
    }
}

#[cfg(not(feature = "aws-lc"))]
mod verifier {
    use ed25519_dalek::{Signature, VerifyingKey};

    pub(super) fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(key).is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::hex;

    fn identity(byte: u8) -> Identity {
        Identity::from_seed(&Secret::new([byte; 32]))
    }

    #[test]
    fn a_signature_holds_for_its_key_and_message_only() {
        let (a, b) = (identity(1), identity(2));
        let signature = a.sign(b"message");
        assert!(verify(&a.id(), b"message", &signature));
        assert!(!verify(&a.id(), b"massage", &signature));
        assert!(!verify(&b.id(), b"message", &signature));
    }

    #[test]
    fn signatures_are_those_of_the_portable_provider() {
        for byte in 0..20 {
            let identity = identity(byte);
            let message = vec![byte; usize::from(byte) * 20];
            let portable = ed25519_dalek::Signer::sign(&identity.key, &message).to_bytes();
            assert_eq!(identity.sign(&message), portable);
        }
    }

    /// The eight points of small order in every encoding: y, y + p where that fits, both signs.
    fn small_order_encodings() -> Vec<[u8; 32]> {
        let mut all = Vec::new();
        for point in curve25519_dalek::constants::EIGHT_TORSION {
            let mut y = point.compress().to_bytes();
            y[31] &= 0x7f;
            let low = y[0];
            let mut encodings = vec![y];
            if low < 19 && y[1..].iter().all(|b| *b == 0) {
                let mut beyond = [0xff; 32];
                (beyond[0], beyond[31]) = (0xed + low, 0x7f);
                encodings.push(beyond);
            }
            for mut y in encodings {
                all.push(y);
                y[31] |= 0x80;
                all.push(y);
            }
        }
        all
    }

    fn portable(peer: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        ed25519_dalek::VerifyingKey::from_bytes(peer).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }

    #[test]
    fn what_verifies_is_what_the_portable_provider_takes_strictly() {
        use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
        use curve25519_dalek::scalar::Scalar;
        use orion::hazardous::hash::sha2::sha512::Sha512;

        // Keys, nonces and torsion parts of every kind: S = r + H(R, A, m) a solves the equation up to the torsion.
        let (mut taken, mut refused) = (0, 0);
        for byte in 0..48u8 {
            let (a, r) = (Scalar::from(u64::from(byte % 5)), Scalar::from(u64::from(byte % 7)));
            for torsion_a in EIGHT_TORSION {
                for torsion_r in EIGHT_TORSION {
                    let key = (ED25519_BASEPOINT_POINT * a + torsion_a).compress().to_bytes();
                    let big_r = (ED25519_BASEPOINT_POINT * r + torsion_r).compress().to_bytes();
                    let digest = Sha512::digest(&[&big_r[..], &key, &[byte]].concat()).expect("short");
                    let s = r + Scalar::from_bytes_mod_order_wide(digest.as_ref().try_into().expect("64 bytes")) * a;
                    let signature: [u8; 64] = [big_r, s.to_bytes()].concat().try_into().expect("64 bytes");
                    let verdict = verify(&PeerId(key), &[byte], &signature);
                    assert_eq!(verdict, portable(&key, &[byte], &signature), "{byte} {}", hex(&signature));
                    *(if verdict { &mut taken } else { &mut refused }) += 1;
                }
            }
        }
        assert!(taken > 20 && refused > 20, "{taken} {refused}");
    }

    #[test]
    fn no_encoding_of_a_small_order_point_is_taken_as_a_key_or_in_a_signature() {
        let encodings = small_order_encodings();
        assert!(encodings.len() >= 20);
        let honest = identity(3);
        for point in encodings {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&point);
            assert!(!verify(&PeerId(point), b"anything", &signature), "{}", hex(&point));
            assert!(!verify(&honest.id(), b"anything", &signature), "{}", hex(&point));
            let signature = honest.sign(b"anything");
            assert!(!verify(&PeerId(point), b"anything", &signature), "{}", hex(&point));
        }
    }

    #[test]
    fn a_small_order_key_verifies_nothing() {
        // The identity point: with it as the key, lax verifiers accept R = identity, S = 0 for every message.
        let mut point = [0u8; 32];
        point[0] = 1;
        let mut signature = [0u8; 64];
        signature[0] = 1;
        assert!(!verify(&PeerId(point), b"anything", &signature));
    }

    #[test]
    fn debug_shows_no_secret() {
        assert!(!format!("{:?}", identity(9)).contains(&hex(&[9; 4])));
    }
}
