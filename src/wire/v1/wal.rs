//! The replication family of v1: WalPush, WalAck, OutboxPull. Never looks into the records, nor at the order of the numbers.

use crate::wire::cursor::Writer;
use crate::wire::v1::{Error, Reader};

/// Records of the sender's log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WalPush {
    /// First record.
    pub seq_begin: u64,
    /// Last record, inclusive; v1 accepts one before the first.
    pub seq_end: u64,
    /// The records.
    pub wal_bytes: Vec<u8>,
}

impl WalPush {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.seq_begin);
        w.u64(self.seq_end);
        w.bytes_var(&self.wal_bytes);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<WalPush, Error> {
        Ok(WalPush { seq_begin: r.u64()?, seq_end: r.u64()?, wal_bytes: r.bytes_var()?.to_vec() })
    }
}

/// Cumulative progress.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WalAck {
    /// Highest record applied.
    pub last_applied_seq: u64,
}

impl WalAck {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.last_applied_seq);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<WalAck, Error> {
        Ok(WalAck { last_applied_seq: r.u64()? })
    }
}

/// Request for items queued for a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutboxPull {
    /// For whom; bytes, as v1 does not ask for UTF-8.
    pub target_node_id: Vec<u8>,
    /// How many at most.
    pub max_items: u32,
}

impl Default for OutboxPull {
    fn default() -> OutboxPull {
        OutboxPull { target_node_id: Vec::new(), max_items: 128 }
    }
}

impl OutboxPull {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.bytes_var(&self.target_node_id);
        w.u32(self.max_items);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<OutboxPull, Error> {
        Ok(OutboxPull { target_node_id: r.str_var()?.to_vec(), max_items: r.u32()? })
    }
}
