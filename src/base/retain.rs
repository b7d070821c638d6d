//! Settings of snapshots and of what is kept for others. Never reads a clock or a file.

use std::time::Duration;

use crate::base::error::{Error, Result};
use crate::base::id::PeerId;
use crate::base::limits;

/// What snapshots are made and taken, and when records go. `SnapshotConfig::default()` takes every trusted peer's and keeps without a cap.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotConfig {
    /// What the application calls the form of its snapshots; one of another form is not taken. At most 64 bytes.
    pub schema: String,
    /// Makers whose snapshots are taken, if they are trusted; `None` = every trusted peer.
    pub from: Option<Vec<PeerId>>,
    /// Bytes of logs on disk past which records go that a snapshot holds, although peers lack them; `None` = no cap.
    pub log_max_bytes: Option<u64>,
    /// A peer that was not heard of for so long does not keep records from going.
    pub lease: Duration,
}

impl Default for SnapshotConfig {
    fn default() -> SnapshotConfig {
        SnapshotConfig { schema: String::new(), from: None, log_max_bytes: None, lease: limits::REPLICA_LEASE }
    }
}

impl SnapshotConfig {
    /// Size of a file of a log: with a cap so small that whole files can go to hold it.
    pub fn segment_bytes(&self) -> u64 {
        let share = self.log_max_bytes.map_or(u64::MAX, |cap| cap / 8);
        share.clamp(limits::SEGMENT_MIN_BYTES, limits::SEGMENT_MAX_BYTES)
    }

    /// Checks every field against its limit.
    pub fn validate(&self) -> Result<()> {
        let (got, max) = (self.schema.len(), limits::SNAPSHOT_SCHEMA_MAX_BYTES);
        if got > max {
            return Err(Error::TooLarge { what: "snapshot_schema", got, max });
        }
        if self.lease.is_zero() {
            return Err(Error::Invalid("replica_lease is zero; peers would lose records the moment they go".into()));
        }
        Ok(())
    }
}
