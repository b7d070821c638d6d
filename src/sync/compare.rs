//! Two copies of one log compared by a seal: whoever has less shows where its copy ends, whoever has as much looks what stands there.
//!
//! An origin cuts its groups once, so a place where one copy has the end of a group and another has none, or another head, lies in two
//! histories, and the origin's signature under both proves it. Reads one group and stores nothing but the proof of a fork.

use crate::base::{LogId, limits};
use crate::sync::base::Base;
use crate::sync::error::{GroupError, StoreError, WalError};
use crate::sync::group::Group;
use crate::sync::log::Log;
use crate::sync::record::{Kind, Record, SEAL_BYTES};
use crate::sync::seal::{Head, Seal};
use crate::sync::segment::fork_path;
use crate::sync::storage::Storage;
use crate::sync::wal::Wal;

const _: () = assert!(SEAL_BYTES == limits::SEAL_RECORD_BYTES);

/// A seal record that is well formed; who signed it is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SealRecord {
    first: u64,
    last: u64,
    bytes: [u8; SEAL_BYTES],
}

impl SealRecord {
    /// Reads a record that must be a seal with a place in a log, down to the last byte.
    pub fn read(bytes: &[u8; SEAL_BYTES]) -> Result<SealRecord, GroupError> {
        let record = Record::decode(bytes).map_err(|source| GroupError::Record { at: 0, source })?;
        if record.kind != Kind::Seal {
            return Err(GroupError::Mislabelled("a seal".into()));
        }
        let Seal { first, last, .. } = Seal::decode(&record)?;
        if first == 0 || first > last || last == u64::MAX || last - first >= limits::GROUP_MAX_RECORDS as u64 {
            return Err(GroupError::Empty);
        }
        Ok(SealRecord { first, last, bytes: *bytes })
    }

    /// The seal of a group; `None` if its bytes do not end in one that closes it.
    pub fn of(group: &Group) -> Option<SealRecord> {
        let seal = SealRecord::read(group.bytes.last_chunk()?).ok()?;
        ((seal.first, seal.last) == (group.first, group.last)).then_some(seal)
    }

    /// The seal that groups in a row end with; `None` if their bytes do not end in one that closes the last of them.
    pub fn at_end(groups: &Group) -> Option<SealRecord> {
        SealRecord::read(groups.bytes.last_chunk()?).ok().filter(|seal| seal.last == groups.last)
    }

    /// First record under the seal.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Last record under the seal.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The record as it stands in the log.
    pub fn bytes(&self) -> &[u8; SEAL_BYTES] {
        &self.bytes
    }

    fn head(&self) -> Option<Head> {
        Some(Seal::decode(&Record::decode(&self.bytes).ok()?).ok()?.head)
    }

    fn says_the_same(&self, other: &SealRecord) -> bool {
        (self.first, self.last, self.head()) == (other.first, other.last, other.head())
    }

    /// Checks that the origin of `log` signed it.
    fn prove(&self, log: &LogId) -> Result<(), GroupError> {
        Base::prove(log, &self.bytes).map(drop)
    }
}

/// What came of a seal that was compared with the log here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Compared {
    /// Everything up to its last record is the same here and where it came from.
    Fits,
    /// Nothing is left here, or nothing has come, to compare it with.
    Unknown,
    /// It is the origin's, and another one stands here.
    Differs {
        /// The seal that stands at its place here, or the last one before; `None` if there is none.
        ours: Option<SealRecord>,
        /// [`StoreError::Fork`], or for this node's own log [`StoreError::Rollback`].
        why: StoreError,
    },
    /// The origin did not sign it: whoever sent it is to blame.
    False(GroupError),
    /// The disk refused.
    Failed(String),
}

impl<S: Storage> Wal<S> {
    /// The last seal of a log; `None` if nothing is known of it.
    pub fn last_seal(&self, log: LogId) -> Result<Option<SealRecord>, WalError> {
        self.logs.get(&log).map_or(Ok(None), |entry| entry.seal_at(&self.disk, entry.durable))
    }

    /// Compares a seal of `log` that somebody else has with what stands here. Another one under the origin's signature freezes the log,
    /// and the seal is kept as proof; of the own log it shows that this node was set back, and nothing is changed:
    /// [`Wal::renew`] comes first.
    pub fn compare(&mut self, log: LogId, theirs: &SealRecord) -> Compared {
        let own = log == self.own;
        let Some(entry) = self.logs.get_mut(&log) else { return Compared::Unknown };
        let have = entry.durable;
        if theirs.first > have && !own {
            return Compared::Unknown;
        }
        let ours = match entry.seal_at(&self.disk, theirs.last.min(have)) {
            Ok(ours) => ours,
            Err(error) => return Compared::Failed(error.to_string()),
        };
        if ours.is_some_and(|ours| ours == *theirs) {
            return Compared::Fits;
        }
        if ours.is_none() && theirs.last <= have {
            return Compared::Unknown;
        }
        if let Err(why) = theirs.prove(&log) {
            return Compared::False(why);
        }
        if ours.is_some_and(|ours| ours.says_the_same(theirs)) {
            // Only the signature's bytes differ.
            return Compared::Fits;
        }
        let why = if own {
            StoreError::Rollback { have, claimed: theirs.last }
        } else {
            let seq = ours.map_or(theirs.first, |ours| ours.first.min(theirs.first));
            entry.freeze(&mut self.disk, seq, &theirs.bytes);
            StoreError::Fork { seq }
        };
        Compared::Differs { ours, why }
    }
}

impl Log {
    /// The seal of the group with record `seq`, or of what was let go of if that ends there; `None` if it is not kept.
    fn seal_at<S: Storage>(&self, disk: &S, seq: u64) -> Result<Option<SealRecord>, WalError> {
        if seq <= self.base_seq() {
            let base = self.base.as_ref().filter(|base| base.seq == seq);
            return Ok(base.and_then(|base| SealRecord::read(&base.proof).ok()));
        }
        if seq > self.durable {
            return Ok(None);
        }
        self.group_at(disk, seq).map(|group| SealRecord::of(&group))
    }

    /// Takes nothing more into a log whose origin sealed two histories, and keeps what proves the second one.
    pub(super) fn freeze<S: Storage>(&mut self, disk: &mut S, seq: u64, proof: &[u8]) {
        if self.frozen.is_none() {
            self.frozen = Some(seq);
            // Without the file the log freezes again when the fork is next seen; nothing wrong is stored either way.
            let path = fork_path(&self.dir, seq);
            let _ = disk.write(&path, 0, proof).and_then(|()| disk.sync(&path));
        }
    }
}
