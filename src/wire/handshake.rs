//! The three messages of the live handshake and the identity inside their sealed boxes.
//!
//! Each message is the payload of an envelope of major version 2 with flags and message id zero, one envelope per frame.
//! Never computes a hash, a key or a signature: it tells exactly which bytes those are to cover. Every encoding is the only one
//! of its value, so that what a verifier encodes anew is what came over the wire.

use std::collections::BTreeMap;

use crate::base::limits;
use crate::wire::cursor::{Reader, WireError, Writer};
use crate::wire::envelope::{Envelope, LIVE_MAJOR};
use crate::wire::frame;
use crate::wire::rotation::Rotation;

/// Envelope type numbers of the handshake.
pub mod kind {
    /// Initiator's first message.
    pub const HELLO: u16 = 1;
    /// Responder's answer.
    pub const HELLO_ACK: u16 = 4;
    /// Initiator's last message.
    pub const HELLO_FINISH: u16 = 5;
}

/// Length of [`Hello::mac1`], the last field of a Hello.
pub const MAC1_LEN: usize = 16;
/// Length of [`Identity::signature`].
pub const SIGNATURE_LEN: usize = 64;
/// Length of [`Identity::fin`].
pub const FIN_LEN: usize = 32;
/// An identity's plaintext is zero-padded to a multiple of this.
pub const PADDING: usize = 64;
/// Bytes an AEAD adds to an identity.
const TAG_LEN: usize = 16;
/// The largest `sealed` field.
const SEALED_MAX: usize = limits::IDENTITY_MAX_BYTES + TAG_LEN;

/// One handshake payload as a frame ready for the socket.
pub fn to_frame(kind: u16, payload: Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    frame::encode(&Envelope::live(kind, payload).encode(), &mut out);
    out
}

/// The payload inside a received frame, if it is the expected message of the live version.
///
/// Call [`crate::wire::envelope::peek_version`] first to name another version as such.
pub fn from_frame(kind: u16, frame: &[u8]) -> Result<Vec<u8>, WireError> {
    let envelope = Envelope::decode(frame, limits::PREAUTH_FRAME_MAX_BYTES)?;
    if envelope.major != LIVE_MAJOR {
        return Err(WireError::Malformed("envelope of another protocol version"));
    }
    if envelope.kind != kind {
        return Err(WireError::Malformed("another handshake message was due"));
    }
    if envelope.minor != 0 || envelope.flags != 0 || envelope.msg_id != 0 {
        return Err(WireError::Malformed("handshake envelope with a minor version, flags or a message id"));
    }
    Ok(envelope.payload)
}

/// The first message, in clear, without any identity.
///
/// `nonce_a u64 | version_min u16 | version_max u16 | varint n, n x suite u16 | varint m, m x (group u8, share bytes) | rand 32 | psk_id 8 | mac1 16`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Names this run; echoed by the responder.
    pub nonce_a: u64,
    /// Lowest major version spoken.
    pub version_min: u16,
    /// Highest major version spoken.
    pub version_max: u16,
    /// Suites offered, the preferred first, none twice.
    pub suites: Vec<u16>,
    /// An ephemeral public key for each group of the suites offered, by the group's number; its length is the group's affair.
    pub key_shares: BTreeMap<u8, Vec<u8>>,
    /// Fresh random bytes.
    pub rand: [u8; 32],
    /// Which pre-shared key; zeros for none.
    pub psk_id: [u8; 8],
    /// Proof of knowing the pre-shared key; zeros for none.
    pub mac1: [u8; MAC1_LEN],
}

impl Hello {
    /// The payload without its last field: what `mac1` and the transcript cover.
    pub fn encode_without_mac(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + self.key_shares.values().map(|share| share.len() + 8).sum::<usize>());
        let mut w = Writer::new(&mut out);
        w.u64(self.nonce_a);
        w.u16(self.version_min);
        w.u16(self.version_max);
        w.var_u64(self.suites.len() as u64);
        self.suites.iter().for_each(|suite| w.u16(*suite));
        w.var_u64(self.key_shares.len() as u64);
        for (group, share) in &self.key_shares {
            w.u8(*group);
            w.bytes_var(share);
        }
        w.bytes(&self.rand);
        w.bytes(&self.psk_id);
        out
    }

    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.encode_without_mac();
        out.extend_from_slice(&self.mac1);
        out
    }

    /// The message of a payload. [`without_mac`] gives the part of the same payload that the transcript covers.
    pub fn decode(payload: &[u8]) -> Result<Hello, WireError> {
        let mut r = Reader::new(payload);
        let (nonce_a, version_min, version_max) = (r.u64()?, r.u16()?, r.u16()?);
        if version_max < version_min {
            return Err(WireError::Range { what: "highest version offered", got: version_max.into(), min: version_min.into() });
        }
        let suites = decode_suites(&mut r)?;
        let key_shares = decode_key_shares(&mut r, &suites)?;
        let (rand, psk_id, mac1) = (r.array()?, r.array()?, r.array()?);
        r.finish()?;
        Ok(Hello { nonce_a, version_min, version_max, suites, key_shares, rand, psk_id, mac1 })
    }
}

/// The bytes of a decoded Hello payload that `mac1` and the transcript cover.
pub fn without_mac(payload: &[u8]) -> &[u8] {
    &payload[..payload.len().saturating_sub(MAC1_LEN)]
}

fn decode_suites(r: &mut Reader<'_>) -> Result<Vec<u16>, WireError> {
    let count = r.count(limits::SUITES_MAX)?;
    if count == 0 {
        return Err(WireError::Malformed("no suite offered"));
    }
    let mut suites = Vec::with_capacity(count);
    for _ in 0..count {
        let suite = r.u16()?;
        if suites.contains(&suite) {
            return Err(WireError::Malformed("a suite is offered twice"));
        }
        suites.push(suite);
    }
    Ok(suites)
}

fn decode_key_shares(r: &mut Reader<'_>, suites: &[u16]) -> Result<BTreeMap<u8, Vec<u8>>, WireError> {
    let mut shares = BTreeMap::new();
    let mut last = None;
    for _ in 0..r.count(limits::KEY_SHARES_MAX)? {
        let group = r.u8()?;
        if last.is_some_and(|last| group <= last) {
            return Err(WireError::Malformed("the groups of the key shares do not rise"));
        }
        last = Some(group);
        shares.insert(group, r.bytes_var(limits::KEY_SHARE_MAX_BYTES)?.to_vec());
    }
    match suites.iter().all(|suite| shares.contains_key(&group_of(*suite))) {
        true => Ok(shares),
        false => Err(WireError::Malformed("a suite is offered without a key share of its group")),
    }
}

/// The group of a suite's number.
pub fn group_of(suite: u16) -> u8 {
    suite.to_be_bytes()[0]
}

/// The responder's choice, its ephemeral key, and its identity in a box.
///
/// `nonce_a u64 | nonce_b u64 | version u16 | suite u16 | key_share bytes | rand 32 | psk_id 8 | sealed bytes`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HelloAck {
    /// The Hello's.
    pub nonce_a: u64,
    /// Names this run on the responder's side; echoed by the initiator.
    pub nonce_b: u64,
    /// Version chosen.
    pub version: u16,
    /// Suite chosen.
    pub suite: u16,
    /// The answer to the chosen group's share: an ephemeral public key, or a KEM's ciphertext.
    pub key_share: Vec<u8>,
    /// Fresh random bytes.
    pub rand: [u8; 32],
    /// Which pre-shared key was mixed in; zeros for none.
    pub psk_id: [u8; 8],
    /// The responder's [`Identity`], sealed.
    pub sealed: Vec<u8>,
}

impl HelloAck {
    /// The payload up to the length of `sealed`, not including it: what the transcript covers before the box.
    pub fn encode_without_box(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(80 + self.key_share.len() + self.sealed.len());
        let mut w = Writer::new(&mut out);
        w.u64(self.nonce_a);
        w.u64(self.nonce_b);
        w.u16(self.version);
        w.u16(self.suite);
        w.bytes_var(&self.key_share);
        w.bytes(&self.rand);
        w.bytes(&self.psk_id);
        out
    }

    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.encode_without_box();
        Writer::new(&mut out).bytes_var(&self.sealed);
        out
    }

    /// The message of a payload.
    pub fn decode(payload: &[u8]) -> Result<HelloAck, WireError> {
        let mut r = Reader::new(payload);
        let (nonce_a, nonce_b, version, suite) = (r.u64()?, r.u64()?, r.u16()?, r.u16()?);
        let key_share = r.bytes_var(limits::KEY_SHARE_MAX_BYTES)?.to_vec();
        let (rand, psk_id) = (r.array()?, r.array()?);
        let sealed = r.bytes_var(SEALED_MAX)?.to_vec();
        r.finish()?;
        Ok(HelloAck { nonce_a, nonce_b, version, suite, key_share, rand, psk_id, sealed })
    }
}

/// The initiator's identity in a box.
///
/// `nonce_a u64 | nonce_b u64 | sealed bytes`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HelloFinish {
    /// The Hello's.
    pub nonce_a: u64,
    /// The HelloAck's.
    pub nonce_b: u64,
    /// The initiator's [`Identity`], sealed.
    pub sealed: Vec<u8>,
}

impl HelloFinish {
    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(20 + self.sealed.len());
        let mut w = Writer::new(&mut out);
        w.u64(self.nonce_a);
        w.u64(self.nonce_b);
        w.bytes_var(&self.sealed);
        out
    }

    /// The message of a payload.
    pub fn decode(payload: &[u8]) -> Result<HelloFinish, WireError> {
        let mut r = Reader::new(payload);
        let (nonce_a, nonce_b) = (r.u64()?, r.u64()?);
        let sealed = r.bytes_var(SEALED_MAX)?.to_vec();
        r.finish()?;
        Ok(HelloFinish { nonce_a, nonce_b, sealed })
    }
}

/// Who one side says it is: what its signature covers.
///
/// `public_key 32 | node_id str | varint n, n x (key str, value str) by rising key | cert bytes`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Ed25519 public key: the peer id.
    pub public_key: [u8; 32],
    /// A label for people, not empty.
    pub node_id: String,
    /// What the node says it can do.
    pub capabilities: BTreeMap<String, String>,
    /// Rotation records ([`Rotation`]), the oldest first; empty for a first key.
    pub cert: Vec<u8>,
}

impl Claim {
    /// The claim's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PADDING * 5);
        let mut w = Writer::new(&mut out);
        w.bytes(&self.public_key);
        w.str(&self.node_id);
        w.var_u64(self.capabilities.len() as u64);
        for (key, value) in &self.capabilities {
            w.str(key);
            w.str(value);
        }
        w.bytes_var(&self.cert);
        out
    }

    fn decode(r: &mut Reader<'_>) -> Result<Claim, WireError> {
        let public_key = r.array()?;
        let node_id = r.str(limits::NODE_ID_MAX_BYTES)?.to_owned();
        if node_id.is_empty() {
            return Err(WireError::Malformed("node_id is empty"));
        }
        let capabilities = decode_capabilities(r)?;
        let cert = r.bytes_var(limits::CERT_MAX_BYTES)?.to_vec();
        Rotation::decode_all(&cert)?;
        Ok(Claim { public_key, node_id, capabilities, cert })
    }
}

fn decode_capabilities(r: &mut Reader<'_>) -> Result<BTreeMap<String, String>, WireError> {
    let mut capabilities = BTreeMap::new();
    let mut last: Option<&str> = None;
    for _ in 0..r.count(limits::CAPABILITIES_MAX)? {
        let key = r.str(limits::CAPABILITY_MAX_BYTES)?;
        if last.is_some_and(|last| key <= last) {
            return Err(WireError::Malformed("capability keys do not rise"));
        }
        last = Some(key);
        capabilities.insert(key.to_owned(), r.str(limits::CAPABILITY_MAX_BYTES)?.to_owned());
    }
    Ok(capabilities)
}

/// The plaintext of a box: claim, signature, MAC, then zeros up to the next multiple of [`PADDING`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Who.
    pub claim: Claim,
    /// Ed25519 over the transcript and the claim.
    pub signature: [u8; SIGNATURE_LEN],
    /// MAC over the transcript, the claim and the signature.
    pub fin: [u8; FIN_LEN],
}

impl Identity {
    /// The claim and the signature: what `fin` covers of the box.
    pub fn encode_signed(claim: &Claim, signature: &[u8; SIGNATURE_LEN]) -> Vec<u8> {
        let mut out = claim.encode();
        out.extend_from_slice(signature);
        out
    }

    /// The padded plaintext.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Identity::encode_signed(&self.claim, &self.signature);
        out.extend_from_slice(&self.fin);
        out.resize(out.len().next_multiple_of(PADDING), 0);
        out
    }

    /// The identity of a plaintext, and the length of the claim at its front: `plaintext[..len]` is what the signature covers,
    /// `plaintext[..len + SIGNATURE_LEN]` what `fin` covers.
    pub fn decode(plaintext: &[u8]) -> Result<(Identity, usize), WireError> {
        if plaintext.len() > limits::IDENTITY_MAX_BYTES {
            return Err(WireError::TooLarge { got: plaintext.len() as u64, max: limits::IDENTITY_MAX_BYTES as u64 });
        }
        let mut r = Reader::new(plaintext);
        let claim = Claim::decode(&mut r)?;
        let claim_len = plaintext.len() - r.remaining();
        let (signature, fin) = (r.array()?, r.array()?);
        let used = plaintext.len() - r.remaining();
        if plaintext.len() != used.next_multiple_of(PADDING) || plaintext[used..].iter().any(|byte| *byte != 0) {
            return Err(WireError::Malformed("identity is not padded with zeros to the next multiple of 64"));
        }
        Ok((Identity { claim, signature, fin }, claim_len))
    }
}

#[cfg(test)]
mod tests;
