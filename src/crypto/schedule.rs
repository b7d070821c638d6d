//! HKDF-SHA-512 (RFC 5869), HMAC-SHA-512 and SHA-512 under the few shapes the handshake uses, by the fastest provider built in.
//! Never keeps state.

use crate::crypto::Secret;

/// The length of a hash and of a chaining secret.
pub const HASH_BYTES: usize = 64;

/// SHA-512 over `parts`, each preceded by its length as a u64 (little-endian), so that no two lists collide.
pub fn hash(parts: &[&[u8]]) -> [u8; HASH_BYTES] {
    provider::hash(parts)
}

/// HKDF-Extract, which is HMAC under the salt.
pub fn extract(salt: &[u8], ikm: &[u8]) -> Secret<HASH_BYTES> {
    provider::hmac(salt, ikm)
}

/// HKDF-Expand of `N` bytes, at most 64, under `label || 0 || context`.
pub fn expand<const N: usize>(secret: &Secret<HASH_BYTES>, label: &str, context: &[u8]) -> Secret<N> {
    Expander::new(secret).expand(label, context)
}

/// [`expand`] of one secret more than once: its key is set up a single time. Wiped on drop by the provider.
pub struct Expander(provider::Prk);

impl Expander {
    /// Of this secret.
    pub fn new(secret: &Secret<HASH_BYTES>) -> Expander {
        Expander(provider::Prk::new(secret))
    }

    /// As [`expand`].
    pub fn expand<const N: usize>(&self, label: &str, context: &[u8]) -> Secret<N> {
        const { assert!(N <= HASH_BYTES) };
        let mut out = Secret::zero();
        self.0.expand(&[label.as_bytes(), &[0], context], out.expose_mut());
        out
    }
}

impl std::fmt::Debug for Expander {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Expander(..)")
    }
}

/// HKDF-Expand under any info, for the vectors.
#[cfg(test)]
pub(super) fn expand_info(secret: &Secret<HASH_BYTES>, info: &[u8], out: &mut [u8]) {
    provider::Prk::new(secret).expand(&[info], out);
}

/// HMAC-SHA-512, cut to the first 32 bytes.
pub fn mac(key: &Secret<HASH_BYTES>, message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(&provider::hmac(key.expose(), message).expose()[..32]);
    out
}

#[cfg(feature = "aws-lc")]
mod provider {
    use aws_lc_rs::digest::{Context, SHA512};
    use aws_lc_rs::hmac::{self, HMAC_SHA512, Key, sign_to_buffer};

    use super::HASH_BYTES;
    use crate::crypto::Secret;

    pub(super) fn hash(parts: &[&[u8]]) -> [u8; HASH_BYTES] {
        let mut state = Context::new(&SHA512);
        for part in parts {
            state.update(&(part.len() as u64).to_le_bytes());
            state.update(part);
        }
        state.finish().as_ref().try_into().expect("SHA-512 has 64 bytes")
    }

    pub(super) fn hmac(key: &[u8], message: &[u8]) -> Secret<HASH_BYTES> {
        let mut out = Secret::zero();
        sign_to_buffer(&Key::new(HMAC_SHA512, key), message, out.expose_mut()).expect("a tag of SHA-512 has 64 bytes");
        out
    }

    /// A pseudorandom key; the provider wipes it when it is dropped.
    pub(super) struct Prk(Key);

    impl Prk {
        pub(super) fn new(secret: &Secret<HASH_BYTES>) -> Prk {
            Prk(Key::new(HMAC_SHA512, secret.expose()))
        }

        /// T(1) of RFC 5869 §2.3, the whole of an output that is no longer than a hash.
        pub(super) fn expand(&self, info: &[&[u8]], out: &mut [u8]) {
            let mut state = hmac::Context::with_key(&self.0);
            info.iter().for_each(|part| state.update(part));
            state.update(&[1]);
            let mut block = Secret::<HASH_BYTES>::zero();
            block.expose_mut().copy_from_slice(state.sign().as_ref());
            out.copy_from_slice(&block.expose()[..out.len()]);
        }
    }
}

#[cfg(not(feature = "aws-lc"))]
mod provider {
    pub(super) use super::orion_provider::{Prk, hash, hmac};
}

#[cfg(any(test, not(feature = "aws-lc")))]
mod orion_provider {
    use orion::hazardous::hash::sha2::sha512::Sha512;
    use orion::hazardous::kdf::hkdf::{Hkdf, SHA512};
    use orion::hazardous::mac::hmac::sha512::Tag;

    use super::HASH_BYTES;
    use crate::crypto::Secret;

    pub(super) fn hash(parts: &[&[u8]]) -> [u8; HASH_BYTES] {
        let mut state = Sha512::new();
        for part in parts {
            infallible(state.update(&(part.len() as u64).to_le_bytes()));
            infallible(state.update(part));
        }
        infallible(state.finalize()).as_ref().try_into().expect("SHA-512 has 64 bytes")
    }

    /// By way of HKDF-Extract, which takes keys of any length.
    pub(super) fn hmac(key: &[u8], message: &[u8]) -> Secret<HASH_BYTES> {
        let tag = infallible(Hkdf::<SHA512>::extract(key, message));
        let mut out = Secret::zero();
        out.expose_mut().copy_from_slice(tag.unprotected_as_ref());
        out
    }

    pub(super) struct Prk(Tag);

    impl Prk {
        pub(super) fn new(secret: &Secret<HASH_BYTES>) -> Prk {
            Prk(infallible(Tag::try_from(secret.expose().as_slice())))
        }

        pub(super) fn expand(&self, info: &[&[u8]], out: &mut [u8]) {
            infallible(Hkdf::<SHA512>::expand(&self.0, Some(&info.concat()), out));
        }
    }

    /// The library reports errors only for lengths outside what this module fixes at compile time.
    fn infallible<T>(result: Result<T, orion::errors::UnknownCryptoError>) -> T {
        result.expect("lengths are fixed and in range")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{from_hex, hex};

    #[test]
    fn hash_lists_that_join_alike_differ() {
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        assert_ne!(hash(&[b"ab"]), hash(&[b"ab", b""]));
    }

    #[test]
    fn hmac_matches_rfc_4231_case_2() {
        // RFC 4231 §4.3: key "Jefe", zero-padded here to 64 bytes, which HMAC treats alike (RFC 2104 §2).
        let mut key = Secret::zero();
        key.expose_mut()[..4].copy_from_slice(b"Jefe");
        let tag = mac(&key, b"what do ya want for nothing?");
        assert_eq!(hex(&tag), "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554");
    }

    #[test]
    fn extract_is_hmac_under_the_salt() {
        let salt = from_hex("000102030405060708090a0b0c").expect("hex");
        let ikm = [0x0b; 22];
        let mut key = Secret::zero();
        key.expose_mut()[..salt.len()].copy_from_slice(&salt);
        assert_eq!(extract(&salt, &ikm).expose()[..32], mac(&key, &ikm));
    }

    #[test]
    fn the_providers_agree_byte_for_byte() {
        let text: Vec<u8> = (0..400u32).map(|i| i as u8).collect();
        let secret = extract(b"salt", b"ikm");
        for len in [0, 1, 63, 64, 65, 111, 112, 127, 128, 129, 255, 400] {
            let part = &text[..len];
            assert_eq!(provider::hash(&[b"ab", part]), orion_provider::hash(&[b"ab", part]));
            assert_eq!(provider::hmac(part, b"message").expose(), orion_provider::hmac(part, b"message").expose());
            assert_eq!(provider::hmac(b"key", part).expose(), orion_provider::hmac(b"key", part).expose());
            for out in [8, 32, 64] {
                let (mut a, mut b) = (vec![0; out], vec![0; out]);
                provider::Prk::new(&secret).expand(&[b"label", &[0], part], &mut a);
                orion_provider::Prk::new(&secret).expand(&[b"label", &[0], part], &mut b);
                assert_eq!(a, b);
            }
        }
    }

    #[test]
    fn labels_and_contexts_part_the_keys() {
        let secret = extract(b"salt", b"ikm");
        let keys = [expand::<32>(&secret, "a", b"x"), expand(&secret, "b", b"x"), expand(&secret, "a", b"y")];
        assert!(keys[0].expose() != keys[1].expose() && keys[0].expose() != keys[2].expose());
    }
}
