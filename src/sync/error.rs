//! What can be wrong with bytes, a push, the disk or a log. Each error is one sentence with its numbers; none decides anything.

use std::fmt;
use std::io;

use crate::base::{Incarnation, LogId};

/// Why bytes are no record.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordError {
    /// The bytes end inside the record.
    #[error("{have} bytes where the record needs {need}")]
    Short {
        /// Bytes the record would take.
        need: usize,
        /// Bytes there are.
        have: usize,
    },
    /// The length field is zero: nothing was written here.
    #[error("length is zero")]
    Zero,
    /// The length field is smaller than the fixed fields, larger than any record, or not that of a seal.
    #[error("length {got} is outside {min} to {max}")]
    Length {
        /// What the field says.
        got: usize,
        /// Smallest allowed.
        min: usize,
        /// Largest allowed.
        max: usize,
    },
    /// The checksum does not match.
    #[error("checksum is {got:08x}, the bytes give {want:08x}")]
    Checksum {
        /// What the field says.
        got: u32,
        /// What the bytes say.
        want: u32,
    },
    /// A kind nobody defined.
    #[error("unknown record kind {0}")]
    Kind(u8),
    /// Flags nobody defined.
    #[error("unknown record flags {0:#04x}")]
    Flags(u8),
    /// The names of records that come before it break a rule.
    #[error("the records it depends on {what}")]
    Causes {
        /// What is wrong with them.
        what: &'static str,
    },
}

/// Why bytes are no group, or not the group they claim to be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GroupError {
    /// A record in it is malformed.
    #[error("record at byte {at}: {source}")]
    Record {
        /// Offset of the record from the group's first byte.
        at: usize,
        /// What is wrong with it.
        source: RecordError,
    },
    /// A record has another number than its place demands.
    #[error("record {got} stands where record {expected} belongs")]
    Sequence {
        /// The number expected.
        expected: u64,
        /// The number found.
        got: u64,
    },
    /// The seal covers no record.
    #[error("a seal without records")]
    Empty,
    /// More records than a group may have.
    #[error("more than {max} records in one group")]
    TooManyRecords {
        /// The limit.
        max: usize,
    },
    /// More payload bytes than a group of several records may have.
    #[error("{got} payload bytes in one group, limit is {max}")]
    TooLarge {
        /// Bytes so far.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// The seal speaks of other records than those before it, or has a time.
    #[error("seal of {first}..={last} after records {want_first}..={want_last}")]
    SealRange {
        /// First record by the seal.
        first: u64,
        /// Last record by the seal.
        last: u64,
        /// First record found.
        want_first: u64,
        /// Last record found.
        want_last: u64,
    },
    /// The seal's unsigned fields are not what they must be.
    #[error("seal has a time of its own")]
    SealTime,
    /// The chain over the records does not end in the sealed head: altered records, or another history before them.
    #[error("the chain over records {first}..={last} does not end in the sealed hash")]
    Chain {
        /// First record.
        first: u64,
        /// Last record.
        last: u64,
    },
    /// The signature is not the origin's.
    #[error("the seal over records {first}..={last} is not signed by the origin")]
    Signature {
        /// First record.
        first: u64,
        /// Last record.
        last: u64,
    },
    /// A record says of its own log what comes before it, which the numbers say.
    #[error("record {seq} depends on its own log by name")]
    OwnCause {
        /// Which record.
        seq: u64,
    },
    /// Bytes follow the seal.
    #[error("{0} bytes after the seal")]
    Trailing(usize),
    /// The group's description (log, first, last) differs from its bytes or from what was asked.
    #[error("the bytes are not {0}")]
    Mislabelled(String),
}

/// What recovery did with bytes that are no intact records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DamageKind {
    /// The end of a write that never became durable; cut off. Nothing acknowledged is concerned.
    TornTail,
    /// Records that were durable are damaged; the bytes from the damage on were moved into `set_aside`.
    Quarantined,
    /// Records that were durable are no longer in the files (a shortened or exchanged file); there is nothing to set aside.
    Lost,
    /// Found while reading; the files were left as they are, the next open deals with it.
    Unreadable,
}

/// Damage found in a log and what was done about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// Which log.
    pub log: LogId,
    /// Last intact record: the log is open up to here.
    pub after_seq: u64,
    /// File with the first bad byte.
    pub segment: String,
    /// Where the bad bytes begin in it.
    pub offset: u64,
    /// Bytes concerned, over all files: cut or set aside.
    pub bytes: u64,
    /// Files the bytes were moved to.
    pub set_aside: Vec<String>,
    /// What it is and what was done.
    pub kind: DamageKind,
    /// What was wrong with the bytes.
    pub why: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage { log, after_seq, segment, offset, bytes, set_aside, kind, why } = self;
        match kind {
            DamageKind::TornTail => {
                write!(
                    f,
                    "log {log} ends in an unfinished write after record {after_seq} (segment {segment}, byte {offset}); {bytes} bytes cut"
                )
            }
            DamageKind::Quarantined => {
                write!(
                    f,
                    "log {log} is damaged after record {after_seq} (segment {segment}, byte {offset}: {why}); \
                     opened at {after_seq}, {bytes} bytes set aside in {}",
                    set_aside.join(", ")
                )
            }
            DamageKind::Lost => {
                write!(f, "log {log} has lost records after {after_seq} (segment {segment}, byte {offset}: {why}); opened at {after_seq}")
            }
            DamageKind::Unreadable => {
                write!(
                    f,
                    "log {log} cannot be read after record {after_seq} (segment {segment}, byte {offset}: {why}); reopen to set it aside"
                )
            }
        }
    }
}

/// Why a call on the log failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalError {
    /// The disk refused; nothing of the call is acknowledged.
    #[error("cannot {what}: {source}")]
    Disk {
        /// What was tried, with the file's name.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// An earlier disk error could not be undone; appends fail until it can. Reading goes on.
    #[error("log {log} takes no records since the disk failed: {cause}")]
    Failed {
        /// Which log.
        log: LogId,
        /// The latest answer of the disk.
        cause: String,
    },
    /// Records of the own log are elsewhere that are not here, and the disk did not let a new log begin: its numbers are used.
    #[error("log {0} was set back, and no new one could be begun yet")]
    SetBack(LogId),
    /// A payload is over the limit; nothing of the call was written.
    #[error("record payload has {got} bytes, limit is {max}")]
    PayloadTooLarge {
        /// Its size.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// More logs are to be named by one record than it has room for; nothing of the call was written.
    #[error("{got} logs come before the record, it can name {max}")]
    TooManyCauses {
        /// How many.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// No such log here.
    #[error("no log {0} here")]
    UnknownLog(LogId),
    /// The application cannot have applied what is not here.
    #[error("record {seq} of {log} cannot be applied, the log ends at {durable}")]
    AheadOfLog {
        /// Which log.
        log: LogId,
        /// The number given.
        seq: u64,
        /// Where the log ends.
        durable: u64,
    },
    /// The "fresh" incarnation has been used by this node before.
    #[error("incarnation {0} has been used before; draw another")]
    IncarnationTaken(Incarnation),
    /// The records asked for were let go, their effect being in a snapshot.
    #[error("log {log} begins after record {base} here; what was before is in a snapshot")]
    Truncated {
        /// Which log.
        log: LogId,
        /// Last record that is not kept.
        base: u64,
    },
    /// Bytes on disk are not what was written.
    #[error("{0}")]
    Damaged(Box<Damage>),
}

impl WalError {
    /// A disk error with what was being done to which file.
    pub(super) fn disk(verb: &str, path: &str, source: io::Error) -> WalError {
        WalError::Disk { what: format!("{verb} {path}"), source }
    }
}

/// What became of a group given to `Wal::store`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stored {
    /// It is durable now.
    New,
    /// It was durable before, with the same content.
    Duplicate,
    /// Its records were let go of here, so that nobody looked at its content: nothing in it may be believed.
    Past,
}

/// Why a group was not stored.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Records are missing between the log's end and the group.
    #[error("the log ends at record {have}; records are missing before the group")]
    Gap {
        /// Highest durable record here.
        have: u64,
    },
    /// The origin sealed two histories; the log is frozen, both versions are kept.
    #[error("the origin sealed two different histories from record {seq} on; the log is frozen")]
    Fork {
        /// First record known to differ.
        seq: u64,
    },
    /// The group is sealed by its origin and does not follow what is here: somebody altered its records, or there is another history
    /// before it. Which of the two cannot be told from it, so its sender is not blamed, and nothing is stored.
    #[error("the group after record {have} does not follow what is here: it was altered, or its origin sealed two histories")]
    Diverged {
        /// Highest durable record here.
        have: u64,
    },
    /// The group breaks a rule or is forged.
    #[error("bad group: {0}")]
    BadGroup(#[from] GroupError),
    /// The group is a later part of this node's own log, sealed by its own key: this node was restored from an old copy.
    /// `Wal::renew` must come before the next append; then the group can be stored.
    #[error("own log ends at record {have} here, but record {claimed} with this node's seal exists elsewhere: restored from a copy")]
    Rollback {
        /// Highest durable record here.
        have: u64,
        /// Last record of the group.
        claimed: u64,
    },
    /// No room for another log.
    #[error("already {max} logs, no room for another")]
    TooManyLogs {
        /// The limit.
        max: usize,
    },
    /// The disk refused.
    #[error("{0}")]
    Disk(String),
}

impl StoreError {
    /// Whether whoever sent the group broke a rule (any honest node would have refused the group too).
    pub fn blames_peer(&self) -> bool {
        matches!(self, StoreError::BadGroup(_))
    }
}
