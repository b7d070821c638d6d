//! X25519 (RFC 7748) by the fastest provider built in. The ephemeral secret is handed in and wiped with its owner.

use crate::crypto::Secret;

/// An ephemeral X25519 key pair, good for one handshake.
pub struct KeyPair {
    secret: provider::Private,
    public: [u8; 32],
}

impl KeyPair {
    /// The pair of 32 fresh random bytes.
    pub fn from_secret(secret: &Secret<32>) -> KeyPair {
        let (secret, public) = provider::pair(secret);
        KeyPair { secret, public }
    }

    /// What the peer gets.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The shared secret; `None` if the peer's key is of small order (an all-zero result, RFC 7748 §6.1).
    pub fn agree(&self, peer: &[u8; 32]) -> Option<Secret<32>> {
        provider::agree(&self.secret, peer).filter(|shared| shared.expose().iter().any(|b| *b != 0))
    }
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyPair(..)")
    }
}

#[cfg(feature = "aws-lc")]
mod provider {
    use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree as agree_with};

    use crate::crypto::Secret;

    /// Wiped by the provider when it is freed.
    pub(super) type Private = PrivateKey;

    pub(super) fn pair(secret: &Secret<32>) -> (Private, [u8; 32]) {
        let key = PrivateKey::from_private_key(&X25519, secret.expose()).expect("32 bytes are an X25519 key");
        let public = key.compute_public_key().expect("an X25519 key has a public half");
        let public = public.as_ref().try_into().expect("X25519 public keys have 32 bytes");
        (key, public)
    }

    pub(super) fn agree(key: &Private, peer: &[u8; 32]) -> Option<Secret<32>> {
        agree_with(key, UnparsedPublicKey::new(&X25519, peer), (), |shared| shared.try_into().map(Secret::new).map_err(|_| ())).ok()
    }
}

#[cfg(not(feature = "aws-lc"))]
mod provider {
    pub(super) use super::orion_provider::{Private, agree, pair};
}

#[cfg(any(test, not(feature = "aws-lc")))]
mod orion_provider {
    use orion::hazardous::ecc::x25519::{PrivateKey, PublicKey, key_agreement};

    use crate::crypto::Secret;

    /// Wiped by the provider when it is dropped.
    pub(super) type Private = PrivateKey;

    pub(super) fn pair(secret: &Secret<32>) -> (Private, [u8; 32]) {
        let key = PrivateKey::try_from(secret.expose().as_slice()).expect("32 bytes are an X25519 key");
        let public = PublicKey::try_from(&key).expect("an X25519 key has a public half");
        let public = public.as_ref().try_into().expect("X25519 public keys have 32 bytes");
        (key, public)
    }

    pub(super) fn agree(key: &Private, peer: &[u8; 32]) -> Option<Secret<32>> {
        let peer = PublicKey::try_from(peer.as_slice()).ok()?;
        let shared = key_agreement(key, &peer).ok()?;
        shared.unprotected_as_ref().try_into().ok().map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{from_hex, hex};

    fn key(text: &str) -> Secret<32> {
        Secret::new(from_hex(text).expect("hex").try_into().expect("32 bytes"))
    }

    #[test]
    fn the_secret_is_that_of_rfc_7748_section_6_1() {
        let bob = KeyPair::from_secret(&key("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
        assert_eq!(hex(bob.public()), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        let alice = key("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        let shared = bob.agree(alice.expose()).expect("valid");
        assert_eq!(hex(shared.expose()), "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    }

    #[test]
    fn the_providers_agree_byte_for_byte() {
        for byte in 1..=20 {
            let (a, b) = (Secret::new([byte; 32]), Secret::new([byte ^ 0xff; 32]));
            let ((secret_a, public_a), (secret_b, public_b)) = (provider::pair(&a), orion_provider::pair(&b));
            assert_eq!(public_a, orion_provider::pair(&a).1);
            let ours = provider::agree(&secret_a, &public_b).expect("valid");
            assert_eq!(ours.expose(), orion_provider::agree(&secret_b, &public_a).expect("valid").expose());
        }
    }

    #[test]
    fn a_small_order_public_key_is_refused() {
        let pair = KeyPair::from_secret(&Secret::new([3; 32]));
        let mut one = [0u8; 32];
        one[0] = 1;
        assert!(pair.agree(&[0; 32]).is_none());
        assert!(pair.agree(&one).is_none());
    }
}
