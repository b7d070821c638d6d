//! HKDF-SHA-512 (RFC 5869), HMAC-SHA-512 and SHA-512 under the few shapes the handshake uses. Never keeps state.

use orion::errors::UnknownCryptoError;
use orion::hazardous::hash::sha2::sha512::Sha512;
use orion::hazardous::kdf::hkdf::{Hkdf, SHA512};
use orion::hazardous::mac::hmac::sha512::{HmacSha512, SecretKey, Tag};

use crate::crypto::Secret;

/// The length of a hash and of a chaining secret.
pub const HASH_BYTES: usize = 64;

/// SHA-512 over `parts`, each preceded by its length as a u64 (little-endian), so that no two lists collide.
pub fn hash(parts: &[&[u8]]) -> [u8; HASH_BYTES] {
    let mut state = Sha512::new();
    for part in parts {
        infallible(state.update(&(part.len() as u64).to_le_bytes()));
        infallible(state.update(part));
    }
    let digest = infallible(state.finalize());
    let mut out = [0; HASH_BYTES];
    out.copy_from_slice(digest.as_ref());
    out
}

/// HKDF-Extract.
pub fn extract(salt: &[u8], ikm: &[u8]) -> Secret<HASH_BYTES> {
    let tag = infallible(Hkdf::<SHA512>::extract(salt, ikm));
    let mut out = Secret::zero();
    out.expose_mut().copy_from_slice(tag.unprotected_as_ref());
    out
}

/// HKDF-Expand of `N` bytes under `label || 0 || context`.
pub fn expand<const N: usize>(secret: &Secret<HASH_BYTES>, label: &str, context: &[u8]) -> Secret<N> {
    let mut info = Vec::with_capacity(label.len() + 1 + context.len());
    info.extend_from_slice(label.as_bytes());
    info.push(0);
    info.extend_from_slice(context);
    let mut out = Secret::zero();
    infallible(expand_info(secret, &info, out.expose_mut()));
    out
}

/// HKDF-Expand as the standard has it; fails only for an output over 255 hashes.
pub(super) fn expand_info(secret: &Secret<HASH_BYTES>, info: &[u8], out: &mut [u8]) -> Result<(), UnknownCryptoError> {
    Hkdf::<SHA512>::expand(&Tag::try_from(secret.expose().as_slice())?, Some(info), out)
}

/// HMAC-SHA-512, cut to the first 32 bytes.
pub fn mac(key: &Secret<HASH_BYTES>, message: &[u8]) -> [u8; 32] {
    let key = infallible(SecretKey::try_from(key.expose().as_slice()));
    let tag = infallible(HmacSha512::hmac(&key, message));
    let mut out = [0; 32];
    out.copy_from_slice(&tag.unprotected_as_ref()[..32]);
    out
}

/// The library reports errors only for lengths outside what this module fixes at compile time.
fn infallible<T>(result: Result<T, UnknownCryptoError>) -> T {
    result.expect("lengths are fixed and in range")
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
    fn labels_and_contexts_part_the_keys() {
        let secret = extract(b"salt", b"ikm");
        let keys = [expand::<32>(&secret, "a", b"x"), expand(&secret, "b", b"x"), expand(&secret, "a", b"y")];
        assert!(keys[0].expose() != keys[1].expose() && keys[0].expose() != keys[2].expose());
    }
}
