//! All logs of one node: its own, which it appends to, and those of others, which it proves and keeps.
//!
//! Never gives out, acknowledges or applies anything that is not durable, and never lets one log's trouble touch another. What
//! recovery does with damaged files is written in [`recover`](super::recover), what happens when the disk fails in
//! [`log`](super::log).
//!
//! An append that failed was not acknowledged and its bytes are cut off; only if the process dies before the cut holds may
//! its records be found, whole groups of them, at the next open. They are then in the log like any other.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::base::{Incarnation, LogId, limits};
use crate::sync::accepted::{Accepted, Sealed, seal_groups};
use crate::sync::base::Base;
use crate::sync::causes::{self, Cause};
use crate::sync::cell::{self, Current};
use crate::sync::cursor;
use crate::sync::error::{Damage, DamageKind, GroupError, StoreError, Stored, WalError};
use crate::sync::group::{self, Group, check_label, verify_group, walk};
use crate::sync::log::Log;
use crate::sync::proven::Proven;
use crate::sync::recover::{self, Files};
use crate::sync::seal::{Head, Seal, Signer};
use crate::sync::segment::{self, FileKind, current_path};
use crate::sync::storage::Storage;

/// How far a log has come here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogState {
    /// Which log.
    pub log: LogId,
    /// Highest durable record.
    pub durable: u64,
    /// Highest applied record; in this node's own logs the same as `durable`. May be ahead of `durable` after damage was set
    /// aside: cap it before telling a peer, and do not apply the refetched records again.
    pub applied: u64,
    /// The application is stuck at this record: it is not offered before somebody says so.
    pub parked: Option<u64>,
    /// Two histories of the log were seen from this record on: nothing more is stored of it.
    pub frozen: Option<u64>,
    /// Last record that is no longer kept; 0 if the log is whole.
    pub base: u64,
}

/// All logs of one node.
pub struct Wal<S: Storage> {
    pub(super) disk: S,
    pub(super) signer: Arc<dyn Signer + Send + Sync>,
    pub(super) own: LogId,
    pub(super) logs: BTreeMap<LogId, Log>,
    /// Commits are put together here; what is handed out shares its memory until dropped.
    pub(super) buffer: BytesMut,
    pub(super) segment_max: u64,
    pub(super) accepted: Accepted,
    /// Records of the own log are known to be elsewhere that are not here, and no new log could be begun.
    set_back: bool,
    /// The log whose place was synced last.
    pub(super) synced_last: Option<LogId>,
}

impl<S: Storage> Wal<S> {
    /// Opens every log on `disk` and says what was damaged. The own log is the one the disk names; `fresh` (random, never used
    /// before) becomes it if there is none, or if acknowledged records of it may be gone.
    pub fn open(mut disk: S, signer: Arc<dyn Signer + Send + Sync>, fresh: Incarnation) -> Result<(Wal<S>, Vec<Damage>), WalError> {
        let files = list_logs(&disk)?;
        let me = signer.public();
        let fresh = LogId { origin: me, incarnation: fresh };
        let mut damages = Vec::new();
        let mut own = match cell::load_current(&disk, &current_path(&me))? {
            Current::Is(incarnation) => Some(LogId { origin: me, incarnation }),
            Current::Missing => None,
            Current::Damaged(bytes) => {
                damages.push(set_current_aside(&mut disk, fresh, bytes)?);
                None
            }
        };
        let (mut logs, mut window) = (BTreeMap::new(), Vec::new());
        for (id, held) in &files {
            let found = recover::examine(&disk, *id, held, &mut window, &mut |_, _, _, _| ())?;
            if id.origin == me && found.is_damaged() {
                // Before it is mended: nobody may go on in what is left of it, not even after a power cut.
                if own.is_none_or(|own| own == *id) {
                    own = Some(begin_own(&mut disk, &files, fresh)?);
                } else {
                    // `current` may be seen only because a rename failed.
                    let path = current_path(&me);
                    disk.sync(&path).map_err(|e| WalError::disk("sync", &path, e))?;
                }
            }
            let (log, damage) = recover::mend(&mut disk, found)?;
            damages.extend(damage);
            logs.insert(*id, log);
        }
        let own = match own {
            Some(own) => own,
            None => begin_own(&mut disk, &files, fresh)?,
        };
        logs.entry(own).or_insert_with(|| Log::new(own));
        let segment_max = limits::SEGMENT_MAX_BYTES;
        let (buffer, accepted) = (BytesMut::new(), Accepted::default());
        Ok((Wal { disk, signer, own, logs, buffer, segment_max, accepted, set_back: false, synced_last: None }, damages))
    }

    /// The log `append` writes to.
    pub fn own(&self) -> LogId {
        self.own
    }

    /// The disk under the logs.
    pub fn storage(&self) -> &S {
        &self.disk
    }

    /// The same disk, for tests that damage it under an open log.
    #[cfg(test)]
    pub(super) fn storage_mut(&mut self) -> &mut S {
        &mut self.disk
    }

    /// Every log that has records or is the own one, in the order of their ids.
    pub fn states(&self) -> Vec<LogState> {
        let state = |log: &Log| LogState {
            log: log.id,
            durable: log.durable,
            applied: self.applied_in(log),
            parked: cursor::parked(&log.cursor).filter(|_| log.id.origin != self.own.origin),
            frozen: log.frozen,
            base: log.base_seq(),
        };
        self.logs.values().map(state).collect()
    }

    /// Highest durable record; 0 for an unknown log.
    pub fn durable(&self, log: LogId) -> u64 {
        self.logs.get(&log).map_or(0, |log| log.durable)
    }

    /// Appends records to the own log: one write and one sync for all of them, then they are returned, sealed, in groups.
    /// `now_us` is the wall clock in microseconds since 1970. On an error none of them is in the log.
    pub fn append(&mut self, now_us: u64, payloads: &[Bytes]) -> Result<Vec<Group>, WalError> {
        let groups = self.append_unmarked(now_us, payloads)?;
        self.mark_own();
        Ok(groups)
    }

    /// [`Wal::append`] after which [`Wal::mark_own`] is to be called, when nobody waits any more: until then a torn end of the log
    /// and damage to its last records look the same.
    pub fn append_unmarked(&mut self, now_us: u64, payloads: &[Bytes]) -> Result<Vec<Group>, WalError> {
        self.append_unmarked_after(now_us, &[], payloads)
    }

    /// [`Wal::append_unmarked`] of records that come after `causes` in other logs: the first of them says so.
    pub fn append_unmarked_after(&mut self, now_us: u64, causes: &[Cause], payloads: &[Bytes]) -> Result<Vec<Group>, WalError> {
        check_payloads(payloads)?;
        self.check_not_set_back()?;
        let causes = causes::encode(&self.own, causes)?;
        self.check_flushed()?;
        if payloads.is_empty() {
            return Ok(Vec::new());
        }
        let Wal { disk, signer, own, logs, buffer, segment_max, .. } = self;
        let log = logs.get_mut(own).ok_or(WalError::UnknownLog(*own))?;
        let place = log.prepare(disk, *segment_max)?;
        buffer.clear();
        place.begin(buffer);
        let from = (log.durable + 1, log.head);
        let Sealed { bytes, groups, head } = seal_groups(*own, from, now_us, (&causes, payloads), signer.as_ref(), buffer);
        log.commit(disk, &place, &bytes, &groups, head)?;
        Ok(groups)
    }

    /// Notes in the own log how far it is durable.
    pub fn mark_own(&mut self) {
        if let Some(log) = self.logs.get_mut(&self.own) {
            log.note_mark(&mut self.disk);
        }
    }

    /// Proves groups of other origins' logs (or of this node's earlier ones) and makes them durable: one write and one sync per
    /// log for all of them. One verdict per group, in the order given; a log's trouble does not concern the other logs.
    pub fn store(&mut self, groups: &[Group]) -> Vec<Result<Stored, StoreError>> {
        self.store_proven(&groups.iter().cloned().map(Proven::from).collect::<Vec<_>>())
    }

    /// [`Wal::store`] of groups some of which were proven before.
    pub fn store_proven(&mut self, groups: &[Proven]) -> Vec<Result<Stored, StoreError>> {
        let mut verdicts = vec![Err(StoreError::Disk("not reached".into())); groups.len()];
        let mut by_log: BTreeMap<LogId, Vec<usize>> = BTreeMap::new();
        for (index, group) in groups.iter().enumerate() {
            by_log.entry(group.group().log).or_default().push(index);
        }
        for (id, indices) in by_log {
            if id == self.own {
                for index in indices {
                    verdicts[index] = self.own_claim(groups[index].group());
                }
                continue;
            }
            let full = self.logs.len() >= limits::LOGS_MAX;
            let log = match self.logs.entry(id) {
                Slot::Occupied(slot) => slot.into_mut(),
                Slot::Vacant(slot) if !full => slot.insert(Log::new(id)),
                Slot::Vacant(_) => {
                    indices.iter().for_each(|index| verdicts[*index] = Err(StoreError::TooManyLogs { max: limits::LOGS_MAX }));
                    continue;
                }
            };
            let mut storing = Storing::new(log, &mut self.disk, &mut self.buffer, self.segment_max, groups, &mut verdicts);
            indices.iter().for_each(|index| storing.take(*index));
            storing.flush();
            if log.is_blank() {
                self.logs.remove(&id);
            }
        }
        verdicts
    }

    /// Somebody pushes this node's own current log: old news, a forgery, or proof that this node was set back.
    fn own_claim(&self, group: &Group) -> Result<Stored, StoreError> {
        let log = self.logs.get(&self.own).ok_or(StoreError::Gap { have: 0 })?;
        let rollback = StoreError::Rollback { have: log.durable, claimed: group.last };
        if group.first <= log.durable {
            return match compare(log, &self.disk, group) {
                Err(StoreError::Fork { .. }) => Err(rollback),
                other => other,
            };
        }
        prove_seal(group)?;
        Err(rollback)
    }

    /// A snapshot names this place in this node's own current log: nothing new, or `Rollback`, if records up to it are not here or are
    /// others. The origin's seal is the proof, whoever shows it.
    pub fn own_place(&self, place: &Base) -> Result<(), StoreError> {
        let proven = Base::prove(&self.own, &place.proof)?;
        let rollback = StoreError::Rollback { have: self.durable(self.own), claimed: proven.seq };
        if self.durable(self.own) < proven.seq {
            return Err(rollback);
        }
        if proven.seq < self.base(self.own) {
            // Nothing is left here to compare it with.
            return Ok(());
        }
        match self.place_before(self.own, proven.seq).map_err(|e| StoreError::Disk(e.to_string()))? {
            Some(here) if (here.seq, here.head) == (proven.seq, proven.head) => Ok(()),
            // Groups are never cut twice, so another border is another history as well.
            _ => Err(rollback),
        }
    }

    /// Whole groups from the one with record `from` on, until `max_bytes` is passed; empty if there is nothing. Checksums are
    /// checked again: damaged bytes are reported, never returned.
    pub fn read(&self, log: LogId, from: u64, max_bytes: usize) -> Result<Vec<Group>, WalError> {
        self.logs.get(&log).map_or(Ok(Vec::new()), |log| log.read(&self.disk, from, max_bytes))
    }

    /// What lies behind record `after` of a log: bytes of groups, and the origin's wall clock at the first record; zeros if nothing.
    pub fn behind(&self, log: LogId, after: u64) -> Result<(u64, u64), WalError> {
        self.logs.get(&log).map_or(Ok((0, 0)), |log| log.behind(&self.disk, after))
    }

    /// Begins a new own log, because records of the old one exist elsewhere that are not here ([`StoreError::Rollback`]). Until it has worked
    /// no append is taken, since the numbers are used.
    pub fn renew(&mut self, fresh: Incarnation) -> Result<LogId, WalError> {
        self.set_back = true;
        self.check_flushed()?;
        let id = LogId { origin: self.own.origin, incarnation: fresh };
        if self.logs.contains_key(&id) {
            return Err(WalError::IncarnationTaken(fresh));
        }
        cell::store_current(&mut self.disk, &current_path(&id.origin), fresh)?;
        self.logs.insert(id, Log::new(id));
        self.own = id;
        self.set_back = false;
        Ok(id)
    }

    /// Whether a [`Wal::renew`] is to be tried again before anything is appended.
    pub fn is_set_back(&self) -> bool {
        self.set_back
    }

    pub(super) fn check_not_set_back(&self) -> Result<(), WalError> {
        if self.set_back { Err(WalError::SetBack(self.own)) } else { Ok(()) }
    }

    /// Sets the size past which a segment is closed (`limits::SEGMENT_MAX_BYTES` unless set): for tests and simulation.
    pub fn set_segment_max(&mut self, bytes: u64) {
        self.segment_max = bytes;
    }

    /// Makes marks, cursors and what was only accepted survive a power cut, and gives room back. Durable records need no closing.
    pub fn close(mut self) -> Result<(), WalError> {
        let mut result = self.flush().map(drop);
        for log in self.logs.values_mut() {
            log.unreserve(&mut self.disk);
            result = result.and(log.mark.sync(&mut self.disk)).and(log.cursor.sync(&mut self.disk));
        }
        result
    }
}

/// The logs on a disk with their segments in order.
pub(super) fn list_logs<S: Storage>(disk: &S) -> Result<BTreeMap<LogId, Files>, WalError> {
    let mut logs: BTreeMap<LogId, Files> = BTreeMap::new();
    for path in disk.list(segment::ROOT).map_err(|e| WalError::disk("list", segment::ROOT, e))? {
        let Some((id, kind)) = segment::parse_path(&path) else { continue };
        let files = logs.entry(id).or_default();
        match kind {
            FileKind::Segment(first) => files.segments.push(first),
            FileKind::Fork(first) => files.fork = files.fork.or(Some(first)),
            FileKind::Other => {}
        }
    }
    Ok(logs)
}

/// Records `fresh` as the own log.
fn begin_own<S: Storage>(disk: &mut S, taken: &BTreeMap<LogId, Files>, fresh: LogId) -> Result<LogId, WalError> {
    if taken.contains_key(&fresh) {
        return Err(WalError::IncarnationTaken(fresh.incarnation));
    }
    cell::store_current(disk, &current_path(&fresh.origin), fresh.incarnation)?;
    Ok(fresh)
}

/// Keeps a `current` file that cannot be read, and says so: the own log begins anew.
fn set_current_aside<S: Storage>(disk: &mut S, fresh: LogId, bytes: u64) -> Result<Damage, WalError> {
    let path = current_path(&fresh.origin);
    let target = format!("{path}.damaged-{}", fresh.incarnation);
    disk.rename(&path, &target).map_err(|e| WalError::disk("rename", &path, e))?;
    let why = "the file that names the own log does not check".to_owned();
    let set_aside = vec![target];
    Ok(Damage { log: fresh, after_seq: 0, segment: path, offset: 0, bytes, set_aside, kind: DamageKind::Quarantined, why })
}

/// Whether every payload is short enough.
pub(super) fn check_payloads(payloads: &[Bytes]) -> Result<(), WalError> {
    let max = limits::RECORD_PAYLOAD_MAX_BYTES;
    let large = payloads.iter().find(|payload| payload.len() > max);
    large.map_or(Ok(()), |large| Err(WalError::PayloadTooLarge { got: large.len(), max }))
}

/// Cuts payloads into groups, the first behind so many bytes of other logs' names.
pub(super) fn cut_groups(mut payloads: &[Bytes], mut causes: usize) -> Vec<&[Bytes]> {
    let mut cuts = Vec::new();
    while !payloads.is_empty() {
        let (cut, rest) = payloads.split_at(group::next_group(payloads, std::mem::take(&mut causes)));
        cuts.push(cut);
        payloads = rest;
    }
    cuts
}

/// Form and signature of a group whose place in the chain is not known here.
fn prove_seal(group: &Group) -> Result<Seal, GroupError> {
    let walked = walk(&group.bytes, Some(group.first), None)?;
    check_label(&group.log, group, &walked)?;
    let (first, last) = (walked.first, walked.last);
    if walked.seal.is_signed(&group.log) { Ok(walked.seal) } else { Err(GroupError::Signature { first, last }) }
}

/// Compares a group with what stands at its place here.
fn compare<S: Storage>(log: &Log, disk: &S, group: &Group) -> Result<Stored, StoreError> {
    let failed = |e: WalError| StoreError::Disk(e.to_string());
    if group.last <= log.base_seq() {
        // Nothing is left here to compare it with.
        return Ok(Stored::Past);
    }
    if group.first <= log.base_seq() {
        // The base is a group's end that the origin sealed, and groups are never cut twice.
        prove_seal(group)?;
        return Err(StoreError::Fork { seq: group.first });
    }
    let ours = log.group_at(disk, group.first).map_err(failed)?;
    if ours == *group {
        return Ok(Stored::Duplicate);
    }
    let theirs = prove_seal(group)?;
    let same_seal = walk(&ours.bytes, Some(ours.first), None).is_ok_and(|w| {
        let seal = w.seal;
        (seal.first, seal.last, seal.head) == (theirs.first, theirs.last, theirs.head)
    });
    if same_seal {
        // One history, so either only the signature's bytes differ, or the records are not those that were sealed.
        let prev = log.head_before(disk, group.first).map_err(failed)?;
        verify_group(&log.id, &prev, group)?;
        return Ok(Stored::Duplicate);
    }
    // Two seals of the origin disagree. Groups are never cut twice, so other borders are another history as well.
    let differs = ours.entries().skip_while(|entry| entry.seq < group.first).zip(group.entries()).find(|(a, b)| a != b);
    Err(StoreError::Fork { seq: differs.map_or(group.first, |(entry, _)| entry.seq) })
}

/// The groups of one log on their way to one write and one sync.
struct Storing<'a, S: Storage> {
    log: &'a mut Log,
    disk: &'a mut S,
    buffer: &'a mut BytesMut,
    segment_max: u64,
    groups: &'a [Proven],
    verdicts: &'a mut [Result<Stored, StoreError>],
    /// Proven, in order, not yet written.
    accepted: Vec<usize>,
    /// Last record and head after the accepted ones.
    last: u64,
    head: Head,
}

impl<'a, S: Storage> Storing<'a, S> {
    fn new(
        log: &'a mut Log,
        disk: &'a mut S,
        buffer: &'a mut BytesMut,
        segment_max: u64,
        groups: &'a [Proven],
        verdicts: &'a mut [Result<Stored, StoreError>],
    ) -> Storing<'a, S> {
        let (last, head) = (log.durable, log.head);
        Storing { log, disk, buffer, segment_max, groups, verdicts, accepted: Vec::new(), last, head }
    }

    /// Judges one group; an accepted one gets its verdict from `flush`.
    fn take(&mut self, index: usize) {
        let (proven, group) = (&self.groups[index], self.groups[index].group());
        if group.first <= self.last && group.first > self.log.durable {
            // The batch repeats itself: what it repeats must be on disk to be compared with.
            self.flush();
        }
        let verdict = if group.first == 0 {
            Err(GroupError::Mislabelled(group.to_string()).into())
        } else if group.first <= self.log.durable {
            compare(self.log, self.disk, group)
        } else if let Some(seq) = self.log.frozen {
            Err(StoreError::Fork { seq })
        } else if group.first > self.last + 1 {
            Err(StoreError::Gap { have: self.last })
        } else {
            match proven.after(&self.head).map_or_else(|| verify_group(&self.log.id, &self.head, group), Ok) {
                Ok(head) => {
                    self.accepted.push(index);
                    (self.last, self.head) = (group.last, head);
                    return;
                }
                // Before the first record there is one history only.
                Err(GroupError::Chain { .. }) if group.first > 1 && prove_seal(group).is_ok() => {
                    Err(StoreError::Diverged { have: self.last })
                }
                Err(why) => Err(StoreError::BadGroup(why)),
            }
        };
        if let Err(StoreError::Fork { seq }) = verdict {
            self.log.freeze(self.disk, seq, &group.bytes);
        }
        self.verdicts[index] = verdict;
    }

    /// Makes the accepted groups durable.
    fn flush(&mut self) {
        let taken: Vec<Group> = self.accepted.iter().map(|index| self.groups[*index].group().clone()).collect();
        if !taken.is_empty() {
            let verdict = self.commit(&taken).map(|()| Stored::New).map_err(|e| StoreError::Disk(e.to_string()));
            self.accepted.drain(..).for_each(|index| self.verdicts[index] = verdict.clone());
        }
        (self.last, self.head) = (self.log.durable, self.log.head);
    }

    fn commit(&mut self, taken: &[Group]) -> Result<(), WalError> {
        let place = self.log.prepare(self.disk, self.segment_max)?;
        self.buffer.clear();
        place.begin(self.buffer);
        taken.iter().for_each(|group| self.buffer.extend_from_slice(&group.bytes));
        let done = self.log.commit(self.disk, &place, self.buffer, taken, self.head);
        self.log.note_mark(self.disk);
        self.buffer.clear();
        done
    }
}
