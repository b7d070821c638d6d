//! The node's Ed25519 identity: signing and strict verification. Its text forms are [`keyfile`](super::keyfile)'s.

use std::fmt;

use ed25519_dalek::{Signature, SigningKey, VerifyingKey};

use crate::base::PeerId;
use crate::crypto::Secret;

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
    VerifyingKey::from_bytes(&peer.0).is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
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
