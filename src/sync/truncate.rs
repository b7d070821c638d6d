//! Letting go of the beginning of a log, and beginning one in the middle: for logs whose effect a snapshot holds.
//!
//! Whole segments go, so less may go than was asked. The base is durable before the first of them is touched: a crash in between
//! leaves files that nothing needs, and the next open removes them. Never judges whether the records are still needed by anybody.

use crate::base::{LogId, limits};
use crate::sync::base::Base;
use crate::sync::error::{GroupError, StoreError, WalError};
use crate::sync::log::{Log, Segment};
use crate::sync::record::SEAL_BYTES;
use crate::sync::segment;
use crate::sync::storage::Storage;
use crate::sync::wal::Wal;

impl<S: Storage> Wal<S> {
    /// Last record of `log` that is no longer kept here; 0 if it is whole or unknown.
    pub fn base(&self, log: LogId) -> u64 {
        self.logs.get(&log).map_or(0, Log::base_seq)
    }

    /// The last group's end of `log` at or before `upto`, with its proof; `None` if the log is unknown or has none there.
    pub fn place_before(&self, log: LogId, upto: u64) -> Result<Option<Base>, WalError> {
        let Some(log) = self.logs.get(&log) else { return Ok(None) };
        let upto = upto.min(log.durable);
        if upto <= log.base_seq() {
            return Ok(log.base.clone().filter(|base| base.seq <= upto));
        }
        let group = log.group_at(&self.disk, upto)?;
        let end = if group.last == upto { upto } else { group.first - 1 };
        log.place_at(&self.disk, end)
    }

    /// Removes the segments that hold nothing beyond record `upto`, nor beyond what is applied (and are not the last one). Returns the
    /// new [`Wal::base`].
    pub fn truncate(&mut self, log: LogId, upto: u64) -> Result<u64, WalError> {
        let upto = upto.min(self.applied(log));
        let Some(entry) = self.logs.get_mut(&log) else { return Err(WalError::UnknownLog(log)) };
        let keep = entry.segments.partition_point(|segment| segment.first <= upto.saturating_add(1)).saturating_sub(1);
        let Some(end) = entry.segments.get(keep).filter(|_| keep > 0).map(|segment| segment.first - 1) else {
            return Ok(entry.base_seq());
        };
        let base = entry.place_at(&self.disk, end)?.ok_or(WalError::UnknownLog(log))?;
        // A power cut must not bring back a note before records that are gone.
        entry.cursor.sync(&mut self.disk)?;
        base.store(&mut self.disk, &entry.dir)?;
        entry.base = Some(base);
        let gone: Vec<_> = entry.segments.drain(..keep).collect();
        remove_all(&mut self.disk, &gone);
        Ok(end)
    }

    /// Every place where a log can be cut, rising: the last record before it and the bytes between the cut before and this one; and the
    /// bytes that stay in any case.
    pub fn cuts(&self, log: LogId) -> (Vec<(u64, u64)>, u64) {
        let Some(entry) = self.logs.get(&log) else { return (Vec::new(), 0) };
        let cut = |pair: &[Segment]| Some((pair.get(1)?.first - 1, pair.first()?.len));
        let applied = self.applied_in(entry);
        let cuts: Vec<(u64, u64)> = entry.segments.windows(2).filter_map(cut).take_while(|(seq, _)| *seq <= applied).collect();
        let rest = entry.segments.iter().skip(cuts.len()).map(|segment| segment.len).sum();
        (cuts, rest)
    }

    /// Notes that records up to `applied` of the first group of `log` were applied to the application's state by other means than this
    /// log, which still begins with its first record; of a frozen one those that are here.
    pub fn adopt_beginning(&mut self, log: LogId, applied: u64) -> Result<(), StoreError> {
        if applied >= limits::GROUP_MAX_RECORDS as u64 {
            return Err(GroupError::Mislabelled(format!("applied to {applied} without a seal")).into());
        }
        if log.origin == self.own.origin {
            return Ok(());
        }
        if !self.logs.contains_key(&log) && self.logs.len() >= limits::LOGS_MAX {
            return Err(StoreError::TooManyLogs { max: limits::LOGS_MAX });
        }
        let entry = self.logs.entry(log).or_insert_with(|| Log::new(log));
        let taken = if entry.frozen.is_some() { applied.min(entry.durable) } else { applied };
        entry.note_taken(&mut self.disk, taken).map_err(|e| StoreError::Disk(e.to_string()))
    }

    /// Begins `log` behind `base`, whose records were applied to the application's state up to `applied` by other means than this
    /// log; what there is of it before that goes. Changes nothing where the log has come as far by itself.
    ///
    /// Fails with `Rollback` for this node's own current log if that is shorter (it was restored from a copy), with `Fork` for a
    /// frozen one, whose records here count as applied as far as `applied` says.
    pub fn adopt(&mut self, log: LogId, base: &Base, applied: u64) -> Result<(), StoreError> {
        let proven = Base::prove(&log, &base.proof)?;
        if !proven.reaches(applied) {
            return Err(GroupError::Mislabelled(format!("applied to {applied} behind a seal at {}", proven.seq)).into());
        }
        let failed = |e: WalError| StoreError::Disk(e.to_string());
        let have = self.durable(log);
        if log == self.own && have < proven.seq {
            return Err(StoreError::Rollback { have, claimed: proven.seq });
        }
        if !self.logs.contains_key(&log) && self.logs.len() >= limits::LOGS_MAX {
            return Err(StoreError::TooManyLogs { max: limits::LOGS_MAX });
        }
        let entry = self.logs.entry(log).or_insert_with(|| Log::new(log));
        // Before the records go: one that is applied may be missing, one that is missing must not be waited for. What never comes to a
        // frozen log is not applied either, but what is here of it has taken effect all the same.
        if log.origin != self.own.origin {
            let taken = if entry.frozen.is_some() { applied.min(have) } else { applied };
            entry.note_taken(&mut self.disk, taken).map_err(failed)?;
        }
        if let Some(seq) = entry.frozen.filter(|_| have < proven.seq) {
            return Err(StoreError::Fork { seq });
        }
        if have < proven.seq {
            if log.origin == self.own.origin {
                // Set back, this node may have used numbers twice before it was told: then no snapshot has these.
                entry.keep_former(&mut self.disk, proven.seq).map_err(failed)?;
            }
            entry.begin_behind(&mut self.disk, proven).map_err(failed)?;
        }
        Ok(())
    }

    /// Files with what was in this node's own logs when these went on behind a snapshot's place that was ahead of them.
    pub fn formers(&self) -> Vec<String> {
        let listed = self.disk.list(segment::ROOT).unwrap_or_default();
        listed.into_iter().filter(|path| segment::is_former(path)).collect()
    }
}

impl Log {
    /// Last record that is not kept.
    pub(super) fn base_seq(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| base.seq)
    }

    /// Makes it survive a power cut that `applied` is. Synced also if it stands there: a process that was killed before its sync may have
    /// written it.
    fn note_taken<S: Storage>(&mut self, disk: &mut S, applied: u64) -> Result<(), WalError> {
        if applied > self.cursor.seq() {
            self.cursor.put(disk, applied, &[0; 32]).map_err(|e| WalError::disk("write applied in", &self.dir, e))?;
        }
        self.cursor.sync(disk)
    }

    /// The place after record `end`, the last of a group.
    fn place_at<S: Storage>(&self, disk: &S, end: u64) -> Result<Option<Base>, WalError> {
        if end <= self.base_seq() {
            return Ok(self.base.clone().filter(|base| base.seq == end));
        }
        let group = self.group_at(disk, end)?;
        let proof: Option<&[u8; SEAL_BYTES]> = group.bytes.last_chunk().filter(|_| group.last == end);
        let place = proof.map(|proof| Base::prove(&self.id, proof)).transpose();
        place.map_err(|why| self.unreadable(&self.dir, 0, group.first - 1, &why))
    }

    /// Puts the segments where nothing reads them, which takes no room, before the log goes on behind a place at record `base`. The last
    /// first: what a crash leaves is a shorter log, of which the same is done again.
    fn keep_former<S: Storage>(&mut self, disk: &mut S, base: u64) -> Result<(), WalError> {
        while let Some(segment) = self.segments.last() {
            let target = segment::former_path(&segment.path, base);
            let cut = disk.truncate(&segment.path, segment.len);
            cut.and_then(|()| disk.rename(&segment.path, &target)).map_err(|e| WalError::disk("keep", &target, e))?;
            self.segments.pop();
        }
        Ok(())
    }

    /// Lets go of all records and goes on behind `base`, which is ahead of them.
    fn begin_behind<S: Storage>(&mut self, disk: &mut S, base: Base) -> Result<(), WalError> {
        base.store(disk, &self.dir)?;
        (self.durable, self.head) = (base.seq, base.head);
        self.base = Some(base);
        self.forget_end();
        remove_all(disk, &std::mem::take(&mut self.segments));
        let (durable, head) = (self.durable, self.head);
        self.mark.put(disk, durable, &head).map_err(|e| WalError::disk("write mark in", &self.dir, e))?;
        self.mark.sync(disk)
    }
}

/// Removes files that nothing needs: the base stands, and the next open removes what this cannot.
fn remove_all<S: Storage>(disk: &mut S, segments: &[Segment]) {
    for segment in segments {
        let _ = disk.remove(&segment.path);
    }
}
