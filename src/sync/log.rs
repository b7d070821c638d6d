//! One log on disk: where its groups lie, how a commit becomes durable, how groups are read back.
//!
//! Trusts what it is given: signatures and the chain are the business of [`wal`](super::wal) and [`recover`](super::recover).
//! What it guards is the disk's word: a commit counts after `sync` returned without an error, and never otherwise. When a write
//! or sync fails, the bytes are cut off again and the cut is synced before the log takes the next commit; as long as that
//! fails too, the log takes none. Reads stay within what is durable and are not concerned.

use std::io;

use bytes::{Bytes, BytesMut};

use crate::base::{LogId, limits};
use crate::sync::base::Base;
use crate::sync::cell::Cell;
use crate::sync::error::{Damage, DamageKind, GroupError, RecordError, WalError};
use crate::sync::group::{Group, Walked, walk};
use crate::sync::seal::{Head, log_head};
use crate::sync::segment::{self, BATCH_BYTES, HEADER_BYTES, batch_before, encode_batch, read_full, segment_path};
use crate::sync::storage::Storage;

/// One log of one origin.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) id: LogId,
    pub(super) dir: String,
    /// Highest durable record.
    pub(super) durable: u64,
    /// The chain's head after `durable`.
    pub(super) head: Head,
    /// Files in order; the last one grows.
    pub(super) segments: Vec<Segment>,
    /// What was durable when last noted: tells a torn end from damage.
    pub(super) mark: Cell,
    /// What the application has applied.
    pub(super) cursor: Cell,
    /// Where it begins here, if not with its first record.
    pub(super) base: Option<Base>,
    /// First record of a proven fork: the log takes nothing more.
    pub(super) frozen: Option<u64>,
    broken: Option<Broken>,
    /// Whether this process has committed to the last segment, hence knows that nothing lies behind its end. A process before may
    /// have cut a failed write and died before the cut was durable; what it saw as cut would come back after a power cut.
    settled: bool,
    /// Length the last segment's file was given in advance; 0 if none is known.
    reserved: u64,
}

/// One file of a log.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: String,
    pub(super) first: u64,
    /// Durable bytes; what may lie behind them is not the log's.
    pub(super) len: u64,
    /// Some groups' (first record, offset), `INDEX_STEP_BYTES` apart or more, the first group always.
    index: Vec<(u64, u64)>,
}

/// A failed commit that is not yet undone.
#[derive(Debug)]
struct Broken {
    path: String,
    len: u64,
    cause: String,
}

/// Where the next commit goes.
#[derive(Debug)]
pub(super) struct Place {
    /// The header that must stand before the groups, for a new file.
    pub(super) header: Option<[u8; HEADER_BYTES]>,
    /// The batch mark that must stand before the groups.
    pub(super) mark: [u8; BATCH_BYTES],
}

impl Place {
    /// Writes what stands before the groups.
    pub(super) fn begin(&self, out: &mut BytesMut) {
        out.extend_from_slice(self.header.as_ref().map_or(&[], |header| &header[..]));
        out.extend_from_slice(&self.mark);
    }
}

impl Segment {
    pub(super) fn new(dir: &str, first: u64) -> Segment {
        Segment { path: segment_path(dir, first), first, len: HEADER_BYTES as u64, index: Vec::new() }
    }

    /// Takes note of a group that begins at `offset`.
    fn add(&mut self, first: u64, offset: u64, len: u64) {
        if self.index.last().is_none_or(|(_, at)| offset - at >= limits::INDEX_STEP_BYTES) {
            self.index.push((first, offset));
        }
        self.len = offset + len;
    }

    /// The indexed group at or before the one with record `seq`.
    fn seek(&self, seq: u64) -> (u64, u64) {
        let after = self.index.partition_point(|(first, _)| *first <= seq);
        after.checked_sub(1).and_then(|i| self.index.get(i)).copied().unwrap_or((self.first, HEADER_BYTES as u64))
    }
}

impl Log {
    /// A log without records and files.
    pub(super) fn new(id: LogId) -> Log {
        let dir = segment::log_dir(&id);
        let (mark, cursor) = (Cell::new(format!("{dir}mark")), Cell::new(format!("{dir}applied")));
        Log::with_cells(id, dir, mark, cursor)
    }

    /// A log whose cells are known and whose segments are yet to be scanned.
    pub(super) fn with_cells(id: LogId, dir: String, mark: Cell, cursor: Cell) -> Log {
        Log {
            id,
            dir,
            durable: 0,
            head: log_head(&id),
            segments: Vec::new(),
            mark,
            cursor,
            base: None,
            frozen: None,
            broken: None,
            settled: false,
            reserved: 0,
        }
    }

    /// Whether there is nothing of it, neither on disk nor to remember.
    pub(super) fn is_blank(&self) -> bool {
        self.segments.is_empty() && self.base.is_none() && self.broken.is_none() && self.frozen.is_none() && self.cursor.value().is_none()
    }

    /// Takes note of a group found or written at `offset` of the last segment; `head` is the head after it.
    pub(super) fn add(&mut self, offset: u64, first: u64, last: u64, len: usize, head: Head) {
        if let Some(segment) = self.segments.last_mut() {
            segment.add(first, offset, len as u64);
        }
        (self.durable, self.head) = (last, head);
    }

    /// Takes back the group last noted: the last segment ends at `offset` again, `durable` and `head` are those before it.
    pub(super) fn take_back(&mut self, offset: u64, durable: u64, head: Head) {
        if let Some(segment) = self.segments.last_mut() {
            segment.len = offset;
            segment.index.retain(|(_, at)| *at < offset);
        }
        (self.durable, self.head) = (durable, head);
    }

    /// Makes the log ready for a commit: undoes a failed one, and says whether a new file begins.
    pub(super) fn prepare<S: Storage>(&mut self, disk: &mut S, segment_max: u64) -> Result<Place, WalError> {
        self.repair(disk)?;
        // A segment without records would be begun again under the same name, so it is filled first.
        let goes_on = self.segments.last().filter(|segment| segment.len < segment_max || segment.first > self.durable);
        let (path, end) =
            goes_on.map_or_else(|| (segment_path(&self.dir, self.durable + 1), 0), |segment| (segment.path.clone(), segment.len));
        let header = goes_on.is_none().then(|| segment::encode_header(&self.id, self.durable + 1, &self.head));
        let place = Place { header, mark: encode_batch(self.durable + 1) };
        if place.header.is_some() || !self.settled {
            self.unreserve(disk);
            match disk.truncate(&path, end) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(WalError::disk("cut", &path, e)),
                _ => {}
            }
        }
        if place.header.is_some() {
            if let (false, Some(left)) = (self.settled, self.segments.last()) {
                // Whole groups that came back behind its end would contradict the new segment.
                let cut = disk.truncate(&left.path, left.len).and_then(|()| disk.sync(&left.path));
                cut.map_err(|e| WalError::disk("cut", &left.path, e))?;
            }
            // The mark only sharpens what recovery can tell; a disk that refuses it will refuse the commit too, and that counts.
            let _ = self.mark.sync(disk);
        }
        Ok(place)
    }

    /// Writes and syncs `bytes` (what `place` begins with, then the groups) and takes note of the groups, `head` being the
    /// head after the last. On an error nothing has happened.
    pub(super) fn commit<S: Storage>(
        &mut self,
        disk: &mut S,
        place: &Place,
        bytes: &[u8],
        groups: &[Group],
        head: Head,
    ) -> Result<(), WalError> {
        let (path, offset) = self.target(place)?;
        self.write_at(disk, place, 0, bytes)?;
        let done = self.settle(disk, place, groups, head);
        if let Err(error) = &done {
            self.undo(disk, path, offset, error);
        }
        done
    }

    /// Writes a piece of a commit, `done` bytes after its beginning. On an error this piece is cut off again, and those before it are
    /// where they were; if it cannot be cut off the log [is broken](Log::is_broken).
    pub(super) fn write_at<S: Storage>(&mut self, disk: &mut S, place: &Place, done: u64, bytes: &[u8]) -> Result<(), WalError> {
        let (path, offset) = self.target(place)?;
        let at = offset + done;
        let Err(error) = disk.write(&path, at, bytes) else {
            if bytes.len() < limits::RESERVE_WRITES_BELOW_BYTES {
                self.reserve(disk, &path, at + bytes.len() as u64);
            }
            return Ok(());
        };
        let error = WalError::disk("write", &path, error);
        self.reserved = 0;
        if done == 0 {
            self.undo(disk, path, at, &error);
        } else if disk.truncate(&path, at).is_err() {
            // No sync here: one that fails would take the pieces before it along.
            self.broken = Some(Broken { path, len: at, cause: error.to_string() });
        }
        Err(error)
    }

    /// Writes all of a commit once more and cuts off what is behind it, so that a sync means something again after one that
    /// failed; then as [`Log::settle`]. On an error what was in the file is still there.
    pub(super) fn settle_anew<S: Storage>(
        &mut self,
        disk: &mut S,
        place: &Place,
        bytes: &[u8],
        groups: &[Group],
        head: Head,
    ) -> Result<(), WalError> {
        let (path, offset) = self.target(place)?;
        self.reserved = 0;
        disk.truncate(&path, offset + bytes.len() as u64).map_err(|e| WalError::disk("cut", &path, e))?;
        disk.write(&path, offset, bytes).map_err(|e| WalError::disk("write", &path, e))?;
        self.settle(disk, place, groups, head)?;
        self.broken = None;
        Ok(())
    }

    /// Syncs what was written at `place` and takes note of the groups, `head` being the head after the last.
    pub(super) fn settle<S: Storage>(&mut self, disk: &mut S, place: &Place, groups: &[Group], head: Head) -> Result<(), WalError> {
        let (path, offset) = self.target(place)?;
        disk.sync(&path).map_err(|e| WalError::disk("sync", &path, e))?;
        self.settled = true;
        let mut at = BATCH_BYTES as u64 + if place.header.is_some() { HEADER_BYTES as u64 } else { offset };
        self.segments.extend(place.header.map(|_| Segment::new(&self.dir, self.durable + 1)));
        for group in groups {
            self.add(at, group.first, group.last, group.bytes.len(), head);
            at += group.bytes.len() as u64;
        }
        Ok(())
    }

    /// Notes what is durable, if that has changed. Not synced, and not missed if it fails: an older mark is a true mark.
    pub(super) fn note_mark<S: Storage>(&mut self, disk: &mut S) {
        if self.mark.value() != Some((self.durable, self.head)) {
            let _ = self.mark.put(disk, self.durable, &self.head);
        }
    }

    /// The file a commit goes to, and the offset in it.
    fn target(&self, place: &Place) -> Result<(String, u64), WalError> {
        if place.header.is_some() {
            return Ok((segment_path(&self.dir, self.durable + 1), 0));
        }
        self.segments.last().map(|last| (last.path.clone(), last.len)).ok_or(WalError::UnknownLog(self.id))
    }

    /// The files that a failed write, or room made in advance, concern are gone.
    pub(super) fn forget_end(&mut self) {
        (self.broken, self.settled, self.reserved) = (None, false, 0);
    }

    /// Whether a failed write is not undone yet.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Cuts a failed write off: at once if the disk allows, else before the next commit; the caller hears the first cause.
    fn undo<S: Storage>(&mut self, disk: &mut S, path: String, len: u64, error: &WalError) {
        self.broken = Some(Broken { path, len, cause: error.to_string() });
        let _ = self.repair(disk);
    }

    /// Makes room in the file for writes beyond `end`, once there is none left.
    fn reserve<S: Storage>(&mut self, disk: &mut S, path: &str, end: u64) {
        if end > self.reserved {
            let len = end + end.min(limits::RESERVE_STEP_MAX_BYTES);
            // Without room in advance every write makes it for itself.
            self.reserved = disk.reserve(path, len).map_or(0, |()| len);
        }
    }

    /// Gives back the room in the last segment that no record took. The zeros are no records, so nothing rests on it.
    pub(super) fn unreserve<S: Storage>(&mut self, disk: &mut S) {
        if let Some(segment) = self.segments.last().filter(|segment| self.reserved > segment.len) {
            let _ = disk.truncate(&segment.path, segment.len);
        }
        self.reserved = 0;
    }

    /// Cuts off what a failed commit may have left. Its bytes are not written again and its sync is not repeated: the cut is a
    /// change of its own, and only its own sync says that it holds.
    fn repair<S: Storage>(&mut self, disk: &mut S) -> Result<(), WalError> {
        let Some(broken) = &mut self.broken else { return Ok(()) };
        self.reserved = 0;
        let undone = match disk.len(&broken.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
            Ok(_) => disk.truncate(&broken.path, broken.len).and_then(|()| disk.sync(&broken.path)),
        };
        if let Err(error) = undone {
            broken.cause = format!("{}; undoing it: {error}", broken.cause.split("; undoing").next().unwrap_or_default());
            return Err(WalError::Failed { log: self.id, cause: broken.cause.clone() });
        }
        self.broken = None;
        Ok(())
    }

    /// Whole groups from the one with record `from` on, until `max_bytes` is passed.
    pub(super) fn read<S: Storage>(&self, disk: &S, from: u64, max_bytes: usize) -> Result<Vec<Group>, WalError> {
        let mut reading = Reading { log: self, from: from.max(1), max_bytes, bytes: 0, groups: Vec::new() };
        if reading.from > self.durable {
            return Ok(reading.groups);
        }
        if reading.from <= self.base_seq() {
            return Err(WalError::Truncated { log: self.id, base: self.base_seq() });
        }
        let begin = self.segments.partition_point(|segment| segment.first <= reading.from).saturating_sub(1);
        for segment in &self.segments[begin..] {
            match reading.segment(disk, segment) {
                Ok(()) if reading.bytes < max_bytes => {}
                Ok(()) => break,
                // What is intact is handed out; the next call begins at the damage and reports it.
                Err(_) if !reading.groups.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(reading.groups)
    }

    /// The group with record `seq`, which must be durable.
    pub(super) fn group_at<S: Storage>(&self, disk: &S, seq: u64) -> Result<Group, WalError> {
        self.read(disk, seq, 1)?.into_iter().next().ok_or(WalError::UnknownLog(self.id))
    }

    /// What lies behind record `after`: bytes of groups, exact to an index step if there is much, and the time of the first record.
    pub(super) fn behind<S: Storage>(&self, disk: &S, after: u64) -> Result<(u64, u64), WalError> {
        let from = after.saturating_add(1);
        let groups = self.read(disk, from, limits::INDEX_STEP_BYTES as usize)?;
        let first = groups.iter().flat_map(Group::entries).find(|entry| entry.seq >= from);
        let since_us = first.map_or(0, |entry| entry.time_us);
        if groups.last().is_none_or(|group| group.last >= self.durable) {
            return Ok((groups.iter().map(|group| group.bytes.len() as u64).sum(), since_us));
        }
        let begin = self.segments.partition_point(|segment| segment.first <= from).saturating_sub(1);
        let later = self.segments.iter().skip(begin + 1).map(|segment| segment.len - HEADER_BYTES as u64);
        let here = self.segments.get(begin).map_or(0, |segment| segment.len - segment.seek(from).1);
        Ok((here + later.sum::<u64>(), since_us))
    }

    /// The head before the group that begins with record `first`.
    pub(super) fn head_before<S: Storage>(&self, disk: &S, first: u64) -> Result<Head, WalError> {
        if first <= 1 {
            return Ok(log_head(&self.id));
        }
        if let Some(base) = self.base.as_ref().filter(|base| base.seq + 1 == first) {
            return Ok(base.head);
        }
        let group = self.group_at(disk, first - 1)?;
        let walked = walk(&group.bytes, Some(group.first), None);
        walked.map(|w| w.seal.head).map_err(|e| self.unreadable(&self.dir, 0, group.first - 1, &e))
    }

    pub(super) fn unreadable(&self, segment: &str, offset: u64, after_seq: u64, why: &GroupError) -> WalError {
        WalError::Damaged(Box::new(Damage {
            log: self.id,
            after_seq,
            segment: segment.to_owned(),
            offset,
            bytes: 0,
            set_aside: Vec::new(),
            kind: DamageKind::Unreadable,
            why: why.to_string(),
        }))
    }
}

/// A read under way.
struct Reading<'a> {
    log: &'a Log,
    from: u64,
    max_bytes: usize,
    bytes: usize,
    groups: Vec<Group>,
}

impl Reading<'_> {
    /// Takes what is wanted from one segment.
    fn segment<S: Storage>(&mut self, disk: &S, segment: &Segment) -> Result<(), WalError> {
        let (mut next, mut offset) = segment.seek(self.from);
        // The indexed group may lie a step before the wanted one; a group that straddles the end takes a second, longer read.
        let usual = (self.max_bytes - self.bytes).min(limits::READ_RECORDS_MAX_BYTES) + limits::INDEX_STEP_BYTES as usize;
        let mut size = usual;
        while offset < segment.len && self.bytes < self.max_bytes {
            let want = size.min(usize::try_from(segment.len - offset).unwrap_or(usize::MAX));
            let mut chunk = vec![0u8; want];
            let n = read_full(disk, &segment.path, offset, &mut chunk)?;
            chunk.truncate(n);
            let end = offset + n as u64;
            let (used, stop) = self.chunk(&Bytes::from(chunk), &mut next);
            offset += used as u64;
            let grown = if used > 0 { usual } else { limits::WAL_PUSH_MAX_BYTES };
            match stop {
                None => size = usual,
                Some(why) => {
                    let cut = matches!(why, GroupError::Record { source: RecordError::Short { .. }, .. });
                    if !cut || n < want || end >= segment.len || (used == 0 && size >= grown) {
                        return Err(self.log.unreadable(&segment.path, offset, next - 1, &why));
                    }
                    size = grown;
                }
            }
        }
        Ok(())
    }

    /// Takes groups off the front of `chunk`; returns the bytes used and why it stopped before the end.
    fn chunk(&mut self, chunk: &Bytes, next: &mut u64) -> (usize, Option<GroupError>) {
        let mut at = 0;
        while at < chunk.len() && self.bytes < self.max_bytes {
            at += batch_before(&chunk[at..], *next);
            match walk(&chunk[at..], Some(*next), None) {
                Ok(Walked { first, last, len, .. }) => {
                    if last >= self.from {
                        self.groups.push(Group { log: self.log.id, first, last, bytes: chunk.slice(at..at + len) });
                        self.bytes += len;
                    }
                    at += len;
                    *next = last + 1;
                }
                Err(why) => return (at, Some(why)),
            }
        }
        (at, None)
    }
}
