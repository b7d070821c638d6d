//! A group commit: the unit that is signed, made durable, pushed and stored. Never split.

use std::fmt;

use bytes::Bytes;

use crate::base::LogId;

/// Records `first..=last` of a log and the seal over them, as they stand on disk and on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Whose records.
    pub log: LogId,
    /// First record's number.
    pub first: u64,
    /// Last record's number, inclusive.
    pub last: u64,
    /// The encoded records followed by their seal (`sync::record`).
    pub bytes: Bytes,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}..={} ({} bytes)", self.log, self.first, self.last, self.bytes.len())
    }
}
