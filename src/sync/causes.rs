//! What a record says of other logs: how far its writer's application had come in each when the record was written.
//!
//! A data record whose `flags` have bit 0 begins its payload with
//!
//! ```text
//!  26      28        60            68       76
//!  +-------+---------+-------------+--------+--- ... ---+------------------+
//!  | count | origin  | incarnation | seq    | lines     | payload          |
//!  | u16   | 32      | u64         | u64    | 48 each   | len - 20 - lines |
//!  +-------+---------+-------------+--------+--- ... ---+------------------+
//! ```
//!
//! A line is needed only for a log in which the application has come further since the record before: a log is read in its order, so
//! what an earlier record named is not named again. Strict: one line at least, sorted by log (its origin's bytes, then the number of
//! the incarnation), no log twice, no `seq` of 0, never the log the record is in. Decides nothing: what is done about them is the mesh's.

use bytes::Bytes;
use serde::Serialize;

use crate::base::{Incarnation, LogId, PeerId, limits};
use crate::sync::error::{RecordError, WalError};

/// The flag of a record that begins with dependency lines.
pub(super) const FLAG_CAUSES: u8 = 1;
/// Bytes of one line.
pub(super) const LINE_BYTES: usize = 32 + 8 + 8;
/// Bytes of the count before the lines.
const COUNT_BYTES: usize = 2;
/// Bytes of the most lines with their count.
pub(super) const CAUSES_MAX_BYTES: usize = COUNT_BYTES + limits::RECORD_CAUSES_MAX * LINE_BYTES;
const _: () = assert!(limits::RECORD_CAUSES_MAX <= u16::MAX as usize);

/// All records of `log` up to `seq`: what comes before some record of another log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct Cause {
    /// Which log.
    pub log: LogId,
    /// Its last record that is meant.
    pub seq: u64,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "record {} of {}", self.seq, self.log)
    }
}

/// The dependency lines of one record, sharing the bytes of its group; empty for most.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Causes(Bytes);

impl Causes {
    /// Takes whole lines that [`split`] has checked.
    pub(super) fn new(lines: Bytes) -> Causes {
        Causes(lines)
    }

    /// Whether the record names no other log.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lines, sorted by their logs.
    pub fn iter(&self) -> impl Iterator<Item = Cause> + '_ {
        lines(&self.0)
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = Cause> + '_ {
    let (lines, _) = bytes.as_chunks::<LINE_BYTES>();
    lines.iter().map(|line| {
        let (origin, rest) = line.split_at(32);
        let (incarnation, seq) = rest.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        let origin = PeerId(origin.try_into().unwrap_or_default());
        Cause { log: LogId { origin, incarnation: Incarnation(number(incarnation)) }, seq: number(seq) }
    })
}

/// Bytes that stand before the application's payload in a record with this flag set, and those of the lines among them. Strict.
pub(super) fn split(payload: &[u8]) -> Result<(&[u8], &[u8]), RecordError> {
    let bad = |what| RecordError::Causes { what };
    let Some((count, rest)) = payload.split_first_chunk::<COUNT_BYTES>() else { return Err(bad("are cut off")) };
    let count = usize::from(u16::from_le_bytes(*count));
    if !(1..=limits::RECORD_CAUSES_MAX).contains(&count) {
        return Err(bad(if count == 0 { "are none" } else { "are too many" }));
    }
    let Some((named, rest)) = rest.split_at_checked(count * LINE_BYTES) else { return Err(bad("are cut off")) };
    let mut before = None;
    for cause in lines(named) {
        if cause.seq == 0 {
            return Err(bad("name record 0"));
        }
        if before.replace(cause.log).is_some_and(|before| before >= cause.log) {
            return Err(bad("are not sorted, or name a log twice"));
        }
    }
    Ok((named, rest))
}

/// What stands before the payload of a record of `own` that comes after `causes`: nothing if there are none. In any order; of a log that
/// is named twice the later record counts.
pub(super) fn encode(own: &LogId, causes: &[Cause]) -> Result<Vec<u8>, WalError> {
    let mut sorted: Vec<Cause> = causes.iter().copied().filter(|cause| cause.log != *own && cause.seq > 0).collect();
    sorted.sort_unstable_by(|a, b| a.log.cmp(&b.log).then(b.seq.cmp(&a.seq)));
    sorted.dedup_by_key(|cause| cause.log);
    if sorted.is_empty() {
        return Ok(Vec::new());
    }
    if sorted.len() > limits::RECORD_CAUSES_MAX {
        return Err(WalError::TooManyCauses { got: sorted.len(), max: limits::RECORD_CAUSES_MAX });
    }
    let mut out = Vec::with_capacity(COUNT_BYTES + sorted.len() * LINE_BYTES);
    out.extend_from_slice(&(sorted.len() as u16).to_le_bytes());
    for cause in &sorted {
        out.extend_from_slice(&cause.log.origin.0);
        out.extend_from_slice(&cause.log.incarnation.0.to_le_bytes());
        out.extend_from_slice(&cause.seq.to_le_bytes());
    }
    Ok(out)
}

/// Bytes of the count and lines in front of the payload.
pub(super) fn block_bytes(payload: &[u8]) -> Option<usize> {
    split(payload).ok().map(|(lines, _)| COUNT_BYTES + lines.len())
}
