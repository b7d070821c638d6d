//! Cipher suites and the AEADs behind them, sealed and opened in place. Never chooses a nonce.

use crate::base::config::KeyAgreement;
use crate::crypto::Secret;
use crate::crypto::kex::Group;

/// Bytes an AEAD adds to a plaintext.
pub const TAG_BYTES: usize = 16;

/// The cipher of a suite. The number is the second byte of the suite's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cipher {
    /// AES-256-GCM (NIST SP 800-38D).
    Aes256Gcm = 1,
    /// ChaCha20-Poly1305 (RFC 8439).
    ChaCha20Poly1305 = 2,
}

/// A key agreement and an AEAD, as negotiated; the hash is SHA-512 in all of them. The number on the wire is in PROTOCOL.md ("Suites").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Suite {
    /// How the secret is agreed.
    pub group: Group,
    /// What seals the records.
    pub cipher: Cipher,
}

impl Suite {
    /// The suite's number: group, then cipher.
    pub fn number(self) -> u16 {
        u16::from_be_bytes([self.group.number(), self.cipher as u8])
    }

    /// The suite of a number, if this build knows it.
    pub fn from_number(number: u16) -> Option<Suite> {
        Suite::supported(KeyAgreement::Any).into_iter().find(|suite| suite.number() == number)
    }

    /// What this build and CPU offer under a setting, best first: X-Wing before X25519, AES only where the CPU computes it.
    pub fn supported(wanted: KeyAgreement) -> Vec<Suite> {
        let groups: &[Group] = match wanted {
            KeyAgreement::Any => &[Group::XWing, Group::X25519],
            KeyAgreement::PostQuantum => &[Group::XWing],
            KeyAgreement::Classic => &[Group::X25519],
        };
        let ciphers: &[Cipher] = match (cfg!(feature = "aws-lc"), aes_in_hardware()) {
            (true, true) => &[Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305],
            (true, false) => &[Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm],
            (false, _) => &[Cipher::ChaCha20Poly1305],
        };
        groups.iter().flat_map(|group| ciphers.iter().map(|cipher| Suite { group: *group, cipher: *cipher })).collect()
    }

    /// The responder's choice: the common suite with the smallest sum of ranks in both lists; of equals the greater number, so that
    /// X-Wing goes before X25519, and AES is taken only if both sides compute it in hardware.
    pub fn choose(ours: &[Suite], theirs: &[u16]) -> Option<Suite> {
        let ranks = ours.iter().enumerate().filter_map(|(rank, suite)| {
            let their_rank = theirs.iter().position(|n| *n == suite.number())?;
            Some((rank + their_rank, *suite))
        });
        ranks.min_by_key(|(sum, suite)| (*sum, std::cmp::Reverse(*suite))).map(|(_, suite)| suite)
    }

    /// The AEAD of this suite under `key`, by the fastest provider built in.
    pub fn aead(self, key: &Secret<32>) -> Aead {
        match self.cipher {
            #[cfg(feature = "aws-lc")]
            Cipher::Aes256Gcm => Aead(Provider::AwsLc(aws_lc_key(&aws_lc_rs::aead::AES_256_GCM, key))),
            #[cfg(not(feature = "aws-lc"))]
            Cipher::Aes256Gcm => unreachable!("never offered nor accepted without the aws-lc feature"),
            #[cfg(feature = "aws-lc")]
            Cipher::ChaCha20Poly1305 => Aead(Provider::AwsLc(aws_lc_key(&aws_lc_rs::aead::CHACHA20_POLY1305, key))),
            #[cfg(not(feature = "aws-lc"))]
            Cipher::ChaCha20Poly1305 => Aead::orion(key),
        }
    }
}

impl std::fmt::Display for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let group = match self.group {
            Group::X25519 => "X25519",
            Group::XWing => "X-Wing",
        };
        let cipher = match self.cipher {
            Cipher::Aes256Gcm => "AES-256-GCM",
            Cipher::ChaCha20Poly1305 => "ChaCha20-Poly1305",
        };
        write!(f, "{group} with {cipher}")
    }
}

#[cfg(target_arch = "x86_64")]
fn aes_in_hardware() -> bool {
    std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq")
}

#[cfg(target_arch = "aarch64")]
fn aes_in_hardware() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn aes_in_hardware() -> bool {
    false
}

#[cfg(feature = "aws-lc")]
fn aws_lc_key(algorithm: &'static aws_lc_rs::aead::Algorithm, key: &Secret<32>) -> Box<aws_lc_rs::aead::LessSafeKey> {
    let key = aws_lc_rs::aead::UnboundKey::new(algorithm, key.expose()).expect("both AEADs take 32-byte keys");
    Box::new(aws_lc_rs::aead::LessSafeKey::new(key))
}

/// An AEAD under one key. The caller owns the nonces.
#[derive(Debug)]
pub struct Aead(Provider);

enum Provider {
    #[cfg(feature = "aws-lc")]
    AwsLc(Box<aws_lc_rs::aead::LessSafeKey>),
    #[cfg_attr(all(feature = "aws-lc", not(test)), allow(dead_code))]
    Orion(Box<Secret<32>>),
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            #[cfg(feature = "aws-lc")]
            Provider::AwsLc(_) => "aws-lc",
            Provider::Orion(_) => "orion",
        })
    }
}

/// A record or box that did not open: altered, replayed, or under another key. Says nothing more on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenError;

impl Aead {
    /// ChaCha20-Poly1305 by orion: portable, 6–11 times slower in bulk.
    #[cfg_attr(all(feature = "aws-lc", not(test)), allow(dead_code))]
    pub(super) fn orion(key: &Secret<32>) -> Aead {
        Aead(Provider::Orion(Box::new(key.clone())))
    }

    /// Encrypts `text` where it stands and returns the tag.
    pub fn seal(&self, nonce: [u8; 12], ad: &[u8], text: &mut [u8]) -> [u8; TAG_BYTES] {
        match &self.0 {
            #[cfg(feature = "aws-lc")]
            Provider::AwsLc(key) => {
                let nonce = aws_lc_rs::aead::Nonce::assume_unique_for_key(nonce);
                let tag = key
                    .seal_in_place_separate_tag(nonce, aws_lc_rs::aead::Aad::from(ad), text)
                    .expect("records are far below the AEAD's length limit");
                tag.as_ref().try_into().expect("both AEADs have 16-byte tags")
            }
            Provider::Orion(key) => portable::seal(key, nonce, ad, text),
        }
    }

    /// Checks and decrypts `sealed` (ciphertext, then tag) where it stands; the plaintext is its front.
    pub fn open<'a>(&self, nonce: [u8; 12], ad: &[u8], sealed: &'a mut [u8]) -> Result<&'a mut [u8], OpenError> {
        match &self.0 {
            #[cfg(feature = "aws-lc")]
            Provider::AwsLc(key) => {
                let nonce = aws_lc_rs::aead::Nonce::assume_unique_for_key(nonce);
                key.open_in_place(nonce, aws_lc_rs::aead::Aad::from(ad), sealed).map_err(|_| OpenError)
            }
            Provider::Orion(key) => portable::open(key, nonce, ad, sealed),
        }
    }
}

#[cfg_attr(all(feature = "aws-lc", not(test)), allow(dead_code))]
mod portable {
    use orion::hazardous::aead::chacha20poly1305::{ChaCha20Poly1305, Nonce, SecretKey, Tag};

    use super::{OpenError, TAG_BYTES};
    use crate::crypto::Secret;

    pub(super) fn seal(key: &Secret<32>, nonce: [u8; 12], ad: &[u8], text: &mut [u8]) -> [u8; TAG_BYTES] {
        let key = SecretKey::try_from(key.expose().as_slice()).expect("32-byte key");
        let tag = ChaCha20Poly1305::seal_inplace(&key, &Nonce::from(nonce), Some(ad), text)
            .expect("records are far below the AEAD's length limit");
        tag.unprotected_as_ref().try_into().expect("16-byte tag")
    }

    pub(super) fn open<'a>(key: &Secret<32>, nonce: [u8; 12], ad: &[u8], sealed: &'a mut [u8]) -> Result<&'a mut [u8], OpenError> {
        let at = sealed.len().checked_sub(TAG_BYTES).ok_or(OpenError)?;
        let (text, tag) = sealed.split_at_mut(at);
        let key = SecretKey::try_from(key.expose().as_slice()).expect("32-byte key");
        let tag = Tag::try_from(&*tag).map_err(|_| OpenError)?;
        ChaCha20Poly1305::open_inplace(&key, &Nonce::from(nonce), &tag, Some(ad), text).map_err(|_| OpenError)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(group: Group, cipher: Cipher) -> Suite {
        Suite { group, cipher }
    }

    fn lists() -> [Vec<Suite>; 3] {
        use Cipher::{Aes256Gcm as Aes, ChaCha20Poly1305 as ChaCha};
        use Group::{X25519, XWing};
        let list = |suites: &[(Group, Cipher)]| suites.iter().map(|(group, cipher)| suite(*group, *cipher)).collect();
        [
            list(&[(XWing, Aes), (XWing, ChaCha), (X25519, Aes), (X25519, ChaCha)]),
            list(&[(XWing, ChaCha), (XWing, Aes), (X25519, ChaCha), (X25519, Aes)]),
            list(&[(X25519, ChaCha)]),
        ]
    }

    #[test]
    fn aes_is_chosen_only_when_both_sides_put_it_first_and_x_wing_whenever_both_have_it() {
        let numbers = |suites: &[Suite]| suites.iter().map(|s| s.number()).collect::<Vec<_>>();
        let [hardware, software, small] = lists();
        let choose = |ours: &[Suite], theirs: &[Suite]| Suite::choose(ours, &numbers(theirs)).expect("one in common").number();
        assert_eq!(choose(&hardware, &hardware), 0x0201);
        assert_eq!(choose(&software, &software), 0x0202);
        assert_eq!([choose(&hardware, &software), choose(&software, &hardware)], [0x0202; 2]);
        assert_eq!([choose(&hardware, &small), choose(&small, &software)], [0x0102; 2]);
        assert_eq!(Suite::choose(&hardware, &[0x0999]), None);
        assert_eq!(Suite::choose(&hardware[..2], &numbers(&small)), None, "post-quantum only");
    }

    #[cfg(feature = "aws-lc")]
    #[test]
    fn the_providers_of_one_aead_agree_byte_for_byte() {
        let key = Secret::new([5; 32]);
        let (fast, portable) = (suite(Group::X25519, Cipher::ChaCha20Poly1305).aead(&key), Aead::orion(&key));
        for len in [0, 1, 63, 64, 65, 1000] {
            let text: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let (mut a, mut b) = (text.clone(), text.clone());
            let (tag_a, tag_b) = (fast.seal([1; 12], b"ad", &mut a), portable.seal([1; 12], b"ad", &mut b));
            assert_eq!((&a, tag_a), (&b, tag_b));
            a.extend_from_slice(&tag_a);
            assert_eq!(portable.open([1; 12], b"ad", &mut a).expect("opens"), text);
        }
    }

    #[test]
    fn any_change_to_text_tag_nonce_or_header_fails_to_open() {
        for suite in Suite::supported(KeyAgreement::Classic) {
            let aead = suite.aead(&Secret::new([6; 32]));
            let mut sealed = b"hello".to_vec();
            let tag = aead.seal([2; 12], b"ad", &mut sealed);
            sealed.extend_from_slice(&tag);
            for bit in 0..sealed.len() * 8 {
                let mut altered = sealed.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(aead.open([2; 12], b"ad", &mut altered), Err(OpenError));
            }
            assert!(aead.open([3; 12], b"ad", &mut sealed.clone()).is_err());
            assert!(aead.open([2; 12], b"da", &mut sealed.clone()).is_err());
            assert!(aead.open([2; 12], b"ad", &mut [0; 15]).is_err());
            assert_eq!(aead.open([2; 12], b"ad", &mut sealed).expect("untouched"), b"hello");
        }
    }
}
