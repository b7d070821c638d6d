//! X-Wing, X25519 and ML-KEM-768 bound by one hash (draft-connolly-cfrg-xwing-kem-10; FIPS 203). Never reuses a key pair.
//!
//! Two providers with the same bytes on the wire: aws-lc's ML-KEM, which draws its own randomness, and orion's X-Wing, which takes seeds.

use crate::crypto::Secret;
use crate::crypto::kex::KexSecrets;

/// An ephemeral X-Wing key pair.
#[derive(Debug)]
pub(super) enum KeyPair {
    #[cfg(feature = "aws-lc")]
    Fast(Box<fast::KeyPair>),
    Portable(Box<portable::KeyPair>),
}

impl KeyPair {
    pub(super) fn new(secrets: &KexSecrets) -> KeyPair {
        #[cfg(feature = "aws-lc")]
        if !secrets.reproducible {
            return KeyPair::Fast(Box::new(fast::KeyPair::new(secrets)));
        }
        KeyPair::Portable(Box::new(portable::KeyPair::new(secrets)))
    }

    /// The encapsulation key, 1,216 bytes.
    pub(super) fn public(&self) -> &[u8] {
        match self {
            #[cfg(feature = "aws-lc")]
            KeyPair::Fast(pair) => &pair.public,
            KeyPair::Portable(pair) => &pair.public,
        }
    }

    /// The shared secret inside a ciphertext of 1,120 bytes.
    pub(super) fn open(&self, ciphertext: &[u8]) -> Option<Secret<32>> {
        match self {
            #[cfg(feature = "aws-lc")]
            KeyPair::Fast(pair) => pair.open(ciphertext),
            KeyPair::Portable(pair) => pair.open(ciphertext),
        }
    }
}

/// A ciphertext to an encapsulation key, and the shared secret in it.
pub(super) fn seal_to(public: &[u8], secrets: &KexSecrets) -> Option<(Vec<u8>, Secret<32>)> {
    #[cfg(feature = "aws-lc")]
    if !secrets.reproducible {
        return fast::seal_to(public, secrets);
    }
    portable::seal_to(public, secrets)
}

#[cfg(feature = "aws-lc")]
mod fast {
    use aws_lc_rs::kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768};
    use orion::hazardous::hash::sha3::sha3_256::Sha3_256;

    use crate::crypto::Secret;
    use crate::crypto::kex::{KexSecrets, x25519};

    /// Length of ML-KEM-768's ciphertext, which comes first in X-Wing's.
    const ML_KEM_CIPHERTEXT_BYTES: usize = 1088;
    /// Length of its encapsulation key, which comes first in X-Wing's.
    const ML_KEM_KEY_BYTES: usize = 1184;
    /// The draft's label, section 5.3.
    const LABEL: &[u8; 6] = b"\\.//^\\";

    pub(in crate::crypto::kex) struct KeyPair {
        ml_kem: DecapsulationKey,
        x25519: x25519::KeyPair,
        pub(super) public: Vec<u8>,
    }

    impl std::fmt::Debug for KeyPair {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("KeyPair(..)")
        }
    }

    impl KeyPair {
        pub(super) fn new(secrets: &KexSecrets) -> KeyPair {
            let ml_kem = DecapsulationKey::generate(&ML_KEM_768).expect("aws-lc has random numbers or ends the process");
            let public = ml_kem.encapsulation_key().and_then(|key| key.key_bytes()).expect("a generated key has a public half");
            // The seed's second 32 bytes: not those of the plain X25519 share, so that no two shares have a key in common.
            let x25519 = x25519::KeyPair::from_secret(&second_half(&secrets.xwing));
            let public = [public.as_ref(), x25519.public()].concat();
            KeyPair { ml_kem, x25519, public }
        }

        pub(super) fn open(&self, ciphertext: &[u8]) -> Option<Secret<32>> {
            let (ct_m, ct_x) = ciphertext.split_at_checked(ML_KEM_CIPHERTEXT_BYTES)?;
            let ss_x = self.x25519.agree(ct_x.try_into().ok()?)?;
            let ss_m = self.ml_kem.decapsulate(Ciphertext::from(ct_m)).ok()?;
            Some(combine(ss_m.as_ref(), &ss_x, ct_x, self.x25519.public()))
        }
    }

    pub(super) fn seal_to(public: &[u8], secrets: &KexSecrets) -> Option<(Vec<u8>, Secret<32>)> {
        let (pk_m, pk_x) = public.split_at_checked(ML_KEM_KEY_BYTES)?;
        let pk_x: &[u8; 32] = pk_x.try_into().ok()?;
        let ephemeral = x25519::KeyPair::from_secret(&second_half(&secrets.xwing));
        let ss_x = ephemeral.agree(pk_x)?;
        let (ct_m, ss_m) = EncapsulationKey::new(&ML_KEM_768, pk_m).ok()?.encapsulate().ok()?;
        let ciphertext = [ct_m.as_ref(), ephemeral.public()].concat();
        Some((ciphertext, combine(ss_m.as_ref(), &ss_x, ephemeral.public(), pk_x)))
    }

    fn second_half(seed: &Secret<64>) -> Secret<32> {
        let mut half = Secret::zero();
        half.expose_mut().copy_from_slice(&seed.expose()[32..]);
        half
    }

    fn combine(ss_m: &[u8], ss_x: &Secret<32>, ct_x: &[u8], pk_x: &[u8]) -> Secret<32> {
        let mut hash = Sha3_256::new();
        for part in [ss_m, ss_x.expose(), ct_x, pk_x, LABEL] {
            hash.update(part).expect("a fresh state takes updates");
        }
        let mut out = Secret::zero();
        out.expose_mut().copy_from_slice(hash.finalize().expect("a fresh state finalizes once").as_ref());
        out
    }
}

mod portable {
    use orion::KP;
    use orion::hazardous::kem::xwing;

    use crate::crypto::Secret;
    use crate::crypto::kex::KexSecrets;

    pub(in crate::crypto::kex) struct KeyPair {
        pair: xwing::KeyPair,
        pub(super) public: Vec<u8>,
    }

    impl std::fmt::Debug for KeyPair {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("KeyPair(..)")
        }
    }

    impl KeyPair {
        pub(super) fn new(secrets: &KexSecrets) -> KeyPair {
            let seed = xwing::DecapsulationKey::try_from(&secrets.xwing.expose()[..32]).expect("a seed has 32 bytes");
            let pair = xwing::KeyPair::try_from(&seed).expect("every seed gives a key pair");
            let public = pair.public().as_ref().to_vec();
            KeyPair { pair, public }
        }

        pub(super) fn open(&self, ciphertext: &[u8]) -> Option<Secret<32>> {
            let ciphertext = xwing::Ciphertext::try_from(ciphertext).ok()?;
            let shared = self.pair.decap(&ciphertext).ok()?;
            shared.unprotected_as_ref().try_into().ok().map(Secret::new)
        }
    }

    pub(super) fn seal_to(public: &[u8], secrets: &KexSecrets) -> Option<(Vec<u8>, Secret<32>)> {
        let public = xwing::EncapsulationKey::try_from(public).ok()?;
        let seed = xwing::Eseed::try_from(secrets.xwing.expose().as_slice()).expect("a seed has 64 bytes");
        let (shared, ciphertext) = public.encap_deterministic(&seed).ok()?;
        let shared = shared.unprotected_as_ref().try_into().ok().map(Secret::new)?;
        Some((ciphertext.as_ref().to_vec(), shared))
    }
}
