//! The arithmetic of the handshake: SIGMA-I in the shape of TLS 1.3 (Krawczyk, CRYPTO 2003; RFC 8446 §4.4). PROTOCOL.md has the transcript.
//!
//! Knows hashes, keys, boxes and signatures; never the order of messages, which is `session::handshaking`'s.

use subtle::ConstantTimeEq;

use crate::base::PeerId;
use crate::base::config::Psk;
use crate::crypto::identity::{self, Identity};
use crate::crypto::record::{Opener, Sealer};
use crate::crypto::schedule::{Expander, HASH_BYTES, extract, hash, mac};
use crate::crypto::suite::{OpenError, TAG_BYTES};
use crate::crypto::{Secret, Suite};
use crate::wire::handshake::{Claim, Identity as SealedIdentity, MAC1_LEN, SIGNATURE_LEN};

const CONTEXT: &[u8] = b"vixp2p handshake v2";
/// The box keys are used once, so their nonce is constant.
const BOX_NONCE: [u8; 12] = [0; 12];

/// Which side of the handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Sent the Hello.
    Initiator,
    /// Answered it.
    Responder,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Initiator => "initiator",
            Role::Responder => "responder",
        }
    }
}

/// What a pre-shared key (or none) contributes.
#[derive(Debug)]
pub struct ClusterKeys {
    /// Names the key on the wire; zeros for none.
    pub id: [u8; 8],
    tag: Secret<32>,
    mac1: Option<Secret<HASH_BYTES>>,
    salt: Secret<HASH_BYTES>,
    parcel: Secret<HASH_BYTES>,
}

impl ClusterKeys {
    /// Derives them. Without a key everything is zeros and `mac1` is not computed.
    pub fn new(psk: Option<&Psk>) -> ClusterKeys {
        let Some(psk) = psk else {
            let salt = extract(&[], &[0; 32]);
            return ClusterKeys { id: [0; 8], tag: Secret::zero(), mac1: None, salt, parcel: Secret::zero() };
        };
        let base = Expander::new(&extract(b"vixp2p psk", psk.as_bytes()));
        ClusterKeys {
            id: *base.expand::<8>("id", &[]).expose(),
            tag: base.expand("tag", &[]),
            mac1: Some(base.expand("mac1", &[])),
            salt: extract(&[], psk.as_bytes()),
            parcel: base.expand("parcel", &[]),
        }
    }

    /// What the secrets of parcels are extracted under.
    pub(super) fn parcel_salt(&self) -> &[u8] {
        self.parcel.expose()
    }

    /// `h1`, the hash of the Hello under the cluster's context, and the `mac1` that belongs to it.
    pub fn open_transcript(&self, hello_without_mac: &[u8]) -> (Transcript, [u8; MAC1_LEN]) {
        let h1 = hash(&[CONTEXT, self.tag.expose(), hello_without_mac]);
        let mut mac1 = [0; MAC1_LEN];
        if let Some(key) = &self.mac1 {
            mac1.copy_from_slice(&mac(key, &h1)[..MAC1_LEN]);
        }
        (Transcript(h1), mac1)
    }

    /// Compares in constant time.
    pub fn same_mac1(ours: &[u8; MAC1_LEN], theirs: &[u8; MAC1_LEN]) -> bool {
        ours.ct_eq(theirs).into()
    }

    /// The handshake's keys, once both shares are known and `transcript` covers both.
    pub fn schedule(&self, suite: Suite, dh: &Secret<32>, transcript: &Transcript) -> HandshakeKeys {
        let secret = Expander::new(&extract(self.salt.expose(), dh.expose()));
        HandshakeKeys { suite, secret, h2: *transcript }
    }
}

/// The running hash over everything said so far.
#[derive(Clone, Copy, Debug)]
pub struct Transcript([u8; HASH_BYTES]);

impl Transcript {
    /// Covers `bytes` as well.
    pub fn absorb(&mut self, bytes: &[u8]) {
        self.0 = hash(&[&self.0, bytes]);
    }
}

/// The handshake secret and what hangs on it.
#[derive(Debug)]
pub struct HandshakeKeys {
    suite: Suite,
    secret: Expander,
    h2: Transcript,
}

/// Why a box was not accepted. For our own log; the wire never tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BoxError {
    /// It did not open: altered bytes, or another pre-shared key.
    Sealed,
    /// It opened to something that is no identity.
    Malformed,
    /// The signature is not the claimed key's, or the MAC is not this run's.
    Forged,
}

impl From<OpenError> for BoxError {
    fn from(_: OpenError) -> BoxError {
        BoxError::Sealed
    }
}

impl HandshakeKeys {
    /// What was negotiated.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    fn box_key(&self, role: Role) -> Secret<32> {
        self.secret.expand(&format!("{} box", role.name()), &self.h2.0)
    }

    fn fin_key(&self, role: Role) -> Secret<HASH_BYTES> {
        self.secret.expand(&format!("{} fin", role.name()), &self.h2.0)
    }

    fn signed_text(role: Role, transcript: &Transcript, claim: &[u8]) -> Vec<u8> {
        let mut text = format!("vixp2p sig {}\0", role.name()).into_bytes();
        text.extend_from_slice(&hash(&[&transcript.0, claim]));
        text
    }

    /// Signs, MACs and seals `claim` at this point of the transcript.
    pub fn seal_identity(&self, role: Role, transcript: &Transcript, claim: Claim, identity: &Identity) -> Vec<u8> {
        let signature = identity.sign(&Self::signed_text(role, transcript, &claim.encode()));
        let signed = SealedIdentity::encode_signed(&claim, &signature);
        let fin = mac(&self.fin_key(role), &hash(&[&transcript.0, &signed]));
        let mut sealed = SealedIdentity { claim, signature, fin }.encode();
        let tag = self.suite.aead(&self.box_key(role)).seal(BOX_NONCE, &transcript.0, &mut sealed);
        sealed.extend_from_slice(&tag);
        sealed
    }

    /// Opens and proves the other side's identity at this point of the transcript.
    pub fn open_identity(&self, role: Role, transcript: &Transcript, sealed: &[u8]) -> Result<Claim, BoxError> {
        if sealed.len() <= TAG_BYTES {
            return Err(BoxError::Malformed);
        }
        let mut bytes = zeroize::Zeroizing::new(sealed.to_vec());
        let plain = self.suite.aead(&self.box_key(role)).open(BOX_NONCE, &transcript.0, &mut bytes)?;
        let (theirs, claim_len) = SealedIdentity::decode(plain).map_err(|_| BoxError::Malformed)?;
        let fin = mac(&self.fin_key(role), &hash(&[&transcript.0, &plain[..claim_len + SIGNATURE_LEN]]));
        let text = Self::signed_text(role, transcript, &plain[..claim_len]);
        let signed = identity::verify(&PeerId(theirs.claim.public_key), &text, &theirs.signature);
        if signed && bool::from(fin.ct_eq(&theirs.fin)) { Ok(theirs.claim) } else { Err(BoxError::Forged) }
    }

    /// The session's two directions as seen by `role`, under the whole transcript. Ends the handshake secret's life.
    pub fn finish(self, role: Role, transcript: &Transcript) -> (Sealer, Opener) {
        let master = Expander::new(&self.secret.expand("master", &transcript.0));
        let session = *master.expand::<32>("session id", &[]).expose();
        let (i2r, r2i) = (master.expand("initiator to responder", &[]), master.expand("responder to initiator", &[]));
        let (ours, theirs) = if role == Role::Initiator { (i2r, r2i) } else { (r2i, i2r) };
        (Sealer::new(self.suite, ours, session), Opener::new(self.suite, theirs, session))
    }
}
