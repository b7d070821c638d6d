//! The replication family: WalPush, WalAck, Vector, WalNak, WalSeal. The fields of v1 plus whose log they speak of.

use bytes::Bytes;

use crate::base::limits;
use crate::base::{Incarnation, LogId, PeerId};
use crate::wire::cursor::{Reader, WireError, Writer};

/// Records `seq_begin..=seq_end` of a log: whole groups, each closed by its origin's seal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WalPush {
    /// Whose records.
    pub log: LogId,
    /// First record.
    pub seq_begin: u64,
    /// Last record, inclusive.
    pub seq_end: u64,
    /// The records as they stand in the log file (`sync::record`).
    pub wal_bytes: Bytes,
}

/// Cumulative: everything up to these records. `applied <= durable`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalAck {
    /// Which log.
    pub log: LogId,
    /// Highest record durable at the sender.
    pub durable: u64,
    /// Highest record applied at the sender (v1: `last_applied_seq`).
    pub applied: u64,
}

/// One line of a vector; the same three facts as an ack.
pub type VectorEntry = WalAck;

/// The receiver has `have` and was pushed something later; push again from `have + 1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalNak {
    /// Which log.
    pub log: LogId,
    /// Highest record durable at the sender.
    pub have: u64,
}

/// Where the sender's copy of a log ends: its last seal, to be compared with what stands there at the receiver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalSeal {
    /// Which log.
    pub log: LogId,
    /// The seal record as it stands in the log (`sync::record`).
    pub seal: [u8; limits::SEAL_RECORD_BYTES],
}

fn encode_log(log: &LogId, w: &mut Writer<'_>) {
    w.bytes(&log.origin.0);
    w.u64(log.incarnation.0);
}

fn decode_log(r: &mut Reader<'_>) -> Result<LogId, WireError> {
    Ok(LogId { origin: PeerId(r.array()?), incarnation: Incarnation(r.u64()?) })
}

impl WalPush {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        encode_log(&self.log, w);
        w.u64(self.seq_begin);
        w.u64(self.seq_end);
        w.bytes_var(&self.wal_bytes);
    }

    pub(super) fn decode(r: &mut Reader<'_>, body: &Bytes) -> Result<WalPush, WireError> {
        let log = decode_log(r)?;
        let (seq_begin, seq_end) = (r.u64()?, r.u64()?);
        let bytes = r.bytes_var(limits::WAL_PUSH_MAX_BYTES)?;
        if seq_begin == 0 || seq_end < seq_begin {
            return Err(WireError::Range { what: "WalPush sequence range", got: seq_end, min: seq_begin.max(1) });
        }
        Ok(WalPush { log, seq_begin, seq_end, wal_bytes: body.slice_ref(bytes) })
    }
}

impl WalAck {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        encode_log(&self.log, w);
        w.u64(self.durable);
        w.u64(self.applied);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<WalAck, WireError> {
        let (log, durable, applied) = (decode_log(r)?, r.u64()?, r.u64()?);
        if applied > durable {
            return Err(WireError::Range { what: "WalAck durable", got: durable, min: applied });
        }
        Ok(WalAck { log, durable, applied })
    }
}

impl WalNak {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        encode_log(&self.log, w);
        w.u64(self.have);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<WalNak, WireError> {
        Ok(WalNak { log: decode_log(r)?, have: r.u64()? })
    }
}

impl WalSeal {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        encode_log(&self.log, w);
        w.bytes(&self.seal);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<WalSeal, WireError> {
        Ok(WalSeal { log: decode_log(r)?, seal: r.array()? })
    }
}

pub(super) fn encode_vector(entries: &[VectorEntry], w: &mut Writer<'_>) {
    w.var_u64(entries.len() as u64);
    for entry in entries {
        entry.encode(w);
    }
}

pub(super) fn decode_vector(r: &mut Reader<'_>) -> Result<Vec<VectorEntry>, WireError> {
    let count = r.count(limits::VECTOR_MAX_ENTRIES)?;
    (0..count).map(|_| WalAck::decode(r)).collect()
}
