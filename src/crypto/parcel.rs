//! A payload sealed end to end to a peer of whom nothing is known but its id: for messages that others carry and keep.
//!
//! ```text
//!    1         32         32           n + 64 + 16
//! | version | ephemeral | pledge | AEAD( payload | signature ) |
//! ```
//!
//! X25519 between a fresh key of the sender and the recipient's Ed25519 key taken to its X25519 form (one key for both is sound:
//! Thormarker, eprint 2021/509); the sender signs inside the box. Who is to get it, who it is from and the caller's header are bound
//! by key and signature, and are not in it. The pledge is what `base/answer` makes of the receipt; one that is not does not open. PROTOCOL.md ("Parcels") has the schedule.
//!
//! What others learn: carriers its length and when it passes, and nothing else of it. A thief of the recipient's key opens every
//! parcel to it that was recorded (there is no forward secrecy towards somebody who is not there to agree), but can write none as from
//! others (a signature, no static agreement). A thief of the sender's key writes in its name and opens nothing. With the cluster's
//! secret mixed in, either needs that too.
//!
//! Never draws random numbers, keeps nothing, and knows no replays: whoever opens compares what the header names.

use ed25519_dalek::VerifyingKey;

use crate::base::PeerId;
use crate::base::answer::{Answers, Pledge};
use crate::base::config::KeyAgreement;
use crate::crypto::handshake::ClusterKeys;
use crate::crypto::identity::verify;
use crate::crypto::kex::x25519::KeyPair;
use crate::crypto::schedule::{Expander, HASH_BYTES, extract, hash};
use crate::crypto::suite::{Aead, Cipher, OpenError, TAG_BYTES};
use crate::crypto::{Identity, Secret, Suite};

/// The only layout there is: X25519, ChaCha20-Poly1305 (which every build has), SHA-512, Ed25519.
pub const VERSION: u8 = 1;
/// Bytes a parcel has on top of its payload.
pub const OVERHEAD_BYTES: usize = HEAD_BYTES + SIGNATURE_BYTES + TAG_BYTES;

const HEAD_BYTES: usize = 1 + 32 + 32;
const SIGNATURE_BYTES: usize = 64;
const CONTEXT: &[u8] = b"vixp2p parcel v1";
const SIGNED: &[u8] = b"vixp2p sig parcel\0";
/// Every key seals one box.
const NONCE: [u8; 12] = [0; 12];

/// A parcel, and what proves that it was opened.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// For whoever carries it.
    pub bytes: Vec<u8>,
    /// What the recipient will tell, kept by the sender to compare.
    pub answers: Answers,
}

/// What a parcel held.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The sender's bytes.
    pub payload: Vec<u8>,
    /// To be told to the sender, over any way: nobody else could have made them.
    pub answers: Answers,
}

/// Seals `payload` to the holder of `to`. `header` is bound and travels beside the parcel; `ephemeral` is fresh randomness, used for this
/// parcel only. `None` if `to` is no public key.
pub fn seal(from: &Identity, to: &PeerId, cluster: &ClusterKeys, ephemeral: &Secret<32>, header: &[u8], payload: &[u8]) -> Option<Sealed> {
    let theirs = VerifyingKey::from_bytes(&to.0).ok()?.to_montgomery().to_bytes();
    let pair = KeyPair::from_secret(ephemeral);
    let shared = pair.agree(&theirs)?;
    let context = hash(&[CONTEXT, pair.public(), &to.0, &from.id().0, header]);
    let keys = Keys::new(cluster, &shared, &context);
    let whole = hash(&[&context, payload]);
    let answers = keys.answers(&whole);
    let mut bytes = Vec::with_capacity(payload.len() + OVERHEAD_BYTES);
    bytes.push(VERSION);
    bytes.extend_from_slice(pair.public());
    bytes.extend_from_slice(&answers.pledge().0);
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&from.sign(&signed(&whole)));
    let tag = keys.aead.seal(NONCE, &context, &mut bytes[HEAD_BYTES..]);
    bytes.extend_from_slice(&tag);
    Some(Sealed { bytes, answers })
}

/// Opens a parcel that is said to be `from` that peer, under the same `header`. Of `clusters` the first that fits counts: the present secret
/// and the one before it.
pub fn open(to: &Identity, from: &PeerId, clusters: &[ClusterKeys], header: &[u8], parcel: &[u8]) -> Result<Opened, OpenError> {
    let (version, rest) = parcel.split_first().ok_or(OpenError)?;
    let (ephemeral, rest) = rest.split_first_chunk::<32>().ok_or(OpenError)?;
    let (pledge, sealed) = rest.split_first_chunk::<32>().ok_or(OpenError)?;
    if *version != VERSION || sealed.len() < SIGNATURE_BYTES + TAG_BYTES {
        return Err(OpenError);
    }
    let shared = to.agreement_key().agree(ephemeral).ok_or(OpenError)?;
    let context = hash(&[CONTEXT, ephemeral, &to.id().0, &from.0, header]);
    for cluster in clusters {
        let keys = Keys::new(cluster, &shared, &context);
        let mut payload = sealed.to_vec();
        let Ok(text) = keys.aead.open(NONCE, &context, &mut payload) else { continue };
        let (text, signature) = text.split_last_chunk::<SIGNATURE_BYTES>().ok_or(OpenError)?;
        let whole = hash(&[&context, text]);
        let answers = keys.answers(&whole);
        if answers.pledge() != Pledge(*pledge) || !verify(from, &signed(&whole), signature) {
            return Err(OpenError);
        }
        let len = text.len();
        payload.truncate(len);
        return Ok(Opened { payload, answers });
    }
    Err(OpenError)
}

fn signed(whole: &[u8; HASH_BYTES]) -> Vec<u8> {
    [SIGNED, whole].concat()
}

/// What one parcel is sealed and answered with.
struct Keys {
    prk: Expander,
    aead: Aead,
}

impl Keys {
    fn new(cluster: &ClusterKeys, shared: &Secret<32>, context: &[u8; HASH_BYTES]) -> Keys {
        let prk = Expander::new(&extract(cluster.parcel_salt(), shared.expose()));
        let aead = chacha().aead(&prk.expand("parcel key", context));
        Keys { prk, aead }
    }

    fn answers(&self, whole: &[u8; HASH_BYTES]) -> Answers {
        let made = |label| self.prk.expand::<32>(label, whole);
        Answers::new(*made("parcel receipt").expose(), *made("parcel run").expose())
    }
}

fn chacha() -> Suite {
    let suites = Suite::supported(KeyAgreement::Classic);
    *suites.iter().find(|suite| suite.cipher == Cipher::ChaCha20Poly1305).expect("every build has ChaCha20-Poly1305")
}

#[cfg(test)]
mod tests;
