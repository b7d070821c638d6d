//! The hash chain over a log and the origin's signature on its head. Knows keys only as bytes; never keeps one.
//!
//! ```text
//! head_0 = BLAKE3 derive_key("vixp2p log v1", origin[32] || incarnation u64)
//! head_n = BLAKE3(the data records of group n as encoded || head_(n-1)[32])
//! seal   = Ed25519("vixp2p wal seal v1\0" || origin[32] || incarnation u64 || first u64 || last u64 || head_last[32])
//! ```
//!
//! A link per group, not per record, and the records first: so BLAKE3 sees whole chunks in one piece and hashes many at once. That is five to
//! ten times as fast, and nothing is ever cut between the records of a group.

use bytes::BytesMut;

use crate::base::{LogId, PeerId};
use crate::crypto::identity::verify;
use crate::sync::error::{GroupError, RecordError};
use crate::sync::record::{self, Kind, Record, SEAL_PAYLOAD_BYTES};
use crate::wire::cursor::Reader;

/// The hash over a log up to some record.
pub type Head = [u8; 32];

const HEAD_CONTEXT: &str = "vixp2p log v1";
const SEAL_CONTEXT: &[u8] = b"vixp2p wal seal v1\0";
const MESSAGE_BYTES: usize = SEAL_CONTEXT.len() + 32 + 8 + 8 + 8 + 32;

/// Whoever can sign for this node's log.
pub trait Signer {
    /// The key the signatures verify under.
    fn public(&self) -> PeerId;

    /// The Ed25519 signature over `message`.
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

impl Signer for crate::crypto::Identity {
    fn public(&self) -> PeerId {
        self.id()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        crate::crypto::Identity::sign(self, message)
    }
}

/// The head of a log without records.
pub fn log_head(log: &LogId) -> Head {
    let mut hasher = blake3::Hasher::new_derive_key(HEAD_CONTEXT);
    hasher.update(&log.origin.0).update(&log.incarnation.0.to_le_bytes());
    *hasher.finalize().as_bytes()
}

/// The head after a group with these encoded data records.
pub(super) fn extend(head: &Head, records: &[u8]) -> Head {
    let mut hasher = blake3::Hasher::new();
    hasher.update(records).update(head);
    *hasher.finalize().as_bytes()
}

/// The fields of a seal record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seal {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) head: Head,
    pub(super) signature: [u8; 64],
}

impl Seal {
    /// Reads the fields of a record of kind seal.
    pub(super) fn decode(record: &Record<'_>) -> Result<Seal, GroupError> {
        if record.time_us != 0 {
            return Err(GroupError::SealTime);
        }
        let mut r = Reader::new(record.payload);
        let short = |_| GroupError::Record { at: 0, source: RecordError::Short { need: SEAL_PAYLOAD_BYTES, have: record.payload.len() } };
        Ok(Seal { first: r.u64().map_err(short)?, last: record.seq, head: r.array().map_err(short)?, signature: r.array().map_err(short)? })
    }

    /// Signs `head` and appends the seal record.
    pub(super) fn append(log: &LogId, first: u64, last: u64, head: &Head, signer: &dyn Signer, out: &mut BytesMut) {
        let mut payload = [0u8; SEAL_PAYLOAD_BYTES];
        payload[..8].copy_from_slice(&first.to_le_bytes());
        payload[8..40].copy_from_slice(head);
        payload[40..].copy_from_slice(&signer.sign(&message(log, first, last, head)));
        record::encode_record(Kind::Seal, last, 0, (&[], &payload), out);
    }

    /// Whether the origin of `log` signed this.
    pub(super) fn is_signed(&self, log: &LogId) -> bool {
        verify(&log.origin, &message(log, self.first, self.last, &self.head), &self.signature)
    }
}

fn message(log: &LogId, first: u64, last: u64, head: &Head) -> [u8; MESSAGE_BYTES] {
    let mut out = [0u8; MESSAGE_BYTES];
    let mut at = 0;
    for part in [SEAL_CONTEXT, &log.origin.0, &log.incarnation.0.to_le_bytes(), &first.to_le_bytes(), &last.to_le_bytes(), head] {
        out[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    out
}
