//! The v1 default provider: arithmetic in the shape of cryptography, protecting nothing. Held by the golden vectors.
//!
//! Never negotiated and never reachable from a session; it exists so that the v1 codecs can be compared with the C++ module.

/// Start of the hash (close to FNV-1a's, but not it).
const HASH_START: u64 = 1_469_598_103_934_665_603;
/// Factor of the hash.
const HASH_FACTOR: u64 = 1_099_511_628_211;
/// Factor of the key stream.
const STREAM_FACTOR: u64 = 0xff51_afd7_ed55_8ccd;

/// 32 bytes out of any bytes.
pub fn kdf_32(input: &[u8]) -> [u8; 32] {
    let mut x = hash(input);
    std::array::from_fn(|i| {
        x = step(x);
        (x >> (8 * (i % 8))) as u8
    })
}

/// What v1 calls a signature: anybody who knows `private_key` can make it, nobody can check it.
pub fn sign(data: &[u8], private_key: &[u8]) -> [u8; 32] {
    kdf_32(&[data, private_key].concat())
}

/// What v1 calls verification: the signature is not empty.
pub fn verify(signature: &[u8]) -> bool {
    !signature.is_empty()
}

/// Ciphertext and tag.
pub fn seal(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], plaintext: &[u8]) -> (Vec<u8>, [u8; 16]) {
    let ciphertext = mask(key, nonce, aad, plaintext);
    let tag = tag(key, nonce, aad, &ciphertext);
    (ciphertext, tag)
}

/// Plaintext; empty if the tag is wrong, so that an empty plaintext cannot be told from a forgery (v1 rule).
pub fn open(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], ciphertext: &[u8], expected: &[u8; 16]) -> Vec<u8> {
    if tag(key, nonce, aad, ciphertext) == *expected { mask(key, nonce, aad, ciphertext) } else { Vec::new() }
}

fn hash(input: &[u8]) -> u64 {
    input.iter().fold(HASH_START, |x, byte| (x ^ u64::from(*byte)).wrapping_mul(HASH_FACTOR))
}

fn step(x: u64) -> u64 {
    (x ^ (x >> 33)).wrapping_mul(STREAM_FACTOR)
}

fn mask(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], input: &[u8]) -> Vec<u8> {
    let mut x = hash(&[&key[..], nonce, aad].concat());
    let mut masked = |byte: &u8| {
        x = step(x);
        byte ^ x as u8
    };
    input.iter().map(&mut masked).collect()
}

fn tag(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], ciphertext: &[u8]) -> [u8; 16] {
    let digest = kdf_32(&[&key[..], nonce, aad, ciphertext].concat());
    std::array::from_fn(|i| digest[i])
}
