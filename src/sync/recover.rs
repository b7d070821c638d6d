//! Opening a log after whatever happened to it. Two steps: `examine` only reads, `mend` changes files; between them the caller
//! makes sure that this node's own numbers will not be used twice.
//!
//! The scan checks every checksum, number and chain link, and the signature of the last seal in each segment (it covers the
//! chain, hence everything before it). A segment's header names the first record and the head before it, so it also proves where
//! the log left the file before: bytes behind that place, and files in between, are the remains of commits that failed and whose
//! cut did not reach the disk. They are passed over. Otherwise the scan ends cleanly (end of the last file, or zeros up to it) or
//! at a fault:
//!
//! - *Clean end at or past the mark*: intact. Groups past the mark are written once more and synced, because this process may see
//!   them only in the page cache (a failed sync leaves such pages behind).
//! - *Fault in the last segment, past the mark, without a later batch behind it*: an unfinished write, of which any part may have
//!   come through. Cut off, reported as `TornTail`.
//! - *Any other fault* (at or below the mark, before the last segment, or with a later batch behind it): damage. A batch is begun
//!   only when the one before it is durable, so its mark, with a sealed group behind it, proves that the bytes before it were
//!   whole. The bytes from the fault on go to `….damaged-<n>` files, nothing is destroyed, reported as `Quarantined`.
//! - *Clean end below the mark, or another chain at the mark*: the files were shortened or exchanged. Left as they are, reported
//!   as `Lost`.
//!
//! The mark is written after every commit without a sync of its own, and synced when a segment is closed and when the log is; it
//! is never ahead of what is durable. A missing or damaged mark counts as none: then only the two other signs of damage remain.
//! After `Quarantined` or `Lost` the node's own log is never continued: acknowledged numbers may be gone, so a new incarnation
//! is recorded *before* the evidence is moved, and a crash in between can only repeat the finding.

use crate::base::{LogId, limits};
use crate::sync::base::Base;
use crate::sync::cell::Cell;
use crate::sync::error::{Damage, DamageKind, WalError};
use crate::sync::group::{Walked, walk};
use crate::sync::log::{Log, Segment};
use crate::sync::seal::{Head, Seal};
use crate::sync::segment::{
    self, BATCH_BYTES, BATCH_MAGIC, HEADER_BYTES, Scanner, Step, decode_batch, log_dir, read_full, segment_path, written_len,
};
use crate::sync::storage::Storage;

const COPY_BYTES: usize = 1024 * 1024;

/// The files of one log that matter to recovery.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// First records of the segment files, ascending.
    pub(super) segments: Vec<u64>,
    /// First record of a proven fork.
    pub(super) fork: Option<u64>,
}

/// What a log's files hold.
pub(super) struct Findings {
    pub(super) log: Log,
    /// First records of files that lie before the base: a truncation did not come to remove them.
    stale: Vec<u64>,
    files: Vec<u64>,
    fault: Option<Fault>,
    /// Why records below the mark are missing although no byte is bad.
    lost: Option<String>,
    /// Where the first group past the mark begins in the last segment.
    unmarked: Option<u64>,
}

/// Where the good part ends.
struct Fault {
    /// Which file, counted from the first.
    index: usize,
    offset: u64,
    why: String,
    torn: bool,
}

impl Findings {
    /// Whether records that were acknowledged may be missing.
    pub(super) fn is_damaged(&self) -> bool {
        self.lost.is_some() || self.fault.as_ref().is_some_and(|fault| !fault.torn)
    }
}

/// A group that a scan went over: its file, the offset in it, what it is and its bytes.
pub(super) type Seen<'a> = dyn FnMut(&str, u64, &Walked, &[u8]) + 'a;

/// Reads a log through and says how far it is intact; `seen` hears of every group. Changes nothing.
pub(super) fn examine<S: Storage>(
    disk: &S,
    id: LogId,
    files: &Files,
    window: &mut Vec<u8>,
    seen: &mut Seen<'_>,
) -> Result<Findings, WalError> {
    let dir = log_dir(&id);
    let mark = Cell::load(disk, format!("{dir}mark"))?;
    let mut cursor = Cell::load(disk, format!("{dir}applied"))?;
    cursor.distrust();
    let mut log = Log::with_cells(id, dir, mark, cursor);
    log.frozen = files.fork;
    log.base = Base::load(disk, &log.dir, &id)?;
    if let Some(base) = &log.base {
        (log.durable, log.head) = (base.seq, base.head);
    }
    let (stale, kept) = files.segments.split_at(files.segments.partition_point(|first| *first <= log.durable));
    let mut found = Findings { log, stale: stale.to_vec(), files: Vec::new(), fault: None, lost: None, unmarked: None };
    for first in kept {
        let path = segment_path(&found.log.dir, *first);
        // An empty file is the trace of a segment that was begun and cut back or never written; if it ever held records, the
        // next header or the mark tells.
        let mut start = [0u8; HEADER_BYTES];
        let n = read_full(disk, &path, 0, &mut start)?;
        if start[..n].iter().any(|b| *b != 0) || written_len(disk, &path, 0)? > 0 {
            found.files.push(*first);
        }
    }
    found.walk(disk, window, seen)?;
    Ok(found)
}

/// What one segment file holds by itself, the head in its header being right.
pub(super) fn examine_segment<S: Storage>(
    disk: &S,
    (id, first, head): (LogId, u64, Head),
    window: &mut Vec<u8>,
    seen: &mut Seen<'_>,
) -> Result<Findings, WalError> {
    let mut log = Log::new(id);
    (log.durable, log.head) = (first.saturating_sub(1), head);
    let mut found = Findings { log, stale: Vec::new(), files: vec![first], fault: None, lost: None, unmarked: None };
    found.walk(disk, window, seen)?;
    Ok(found)
}

impl Findings {
    /// What is wrong, if anything: the file, the place in it and the reason.
    pub(super) fn place(&self) -> Option<(String, u64, String)> {
        let fault = self.fault.as_ref().and_then(|fault| {
            let path = segment_path(&self.log.dir, *self.files.get(fault.index)?);
            Some((path, fault.offset, fault.why.clone()))
        });
        let end = || self.log.segments.last().map_or_else(|| (self.log.dir.clone(), 0), |segment| (segment.path.clone(), segment.len));
        fault.or_else(|| self.lost.as_ref().map(|why| (end().0, end().1, why.clone())))
    }

    /// Goes through the files in order.
    fn walk<S: Storage>(&mut self, disk: &S, window: &mut Vec<u8>, seen: &mut Seen<'_>) -> Result<(), WalError> {
        let mut index = 0;
        while let Some(first) = self.files.get(index).copied() {
            let bad = self.scan(disk, first, window, seen)?;
            let goes_on = self.continued_at(disk, index)?;
            match (bad, goes_on) {
                (Some((offset, why)), None) => {
                    self.fault = Some(Fault { index, offset, why, torn: false });
                    break;
                }
                (_, next) => index = next.unwrap_or(index + 1),
            }
        }
        self.judge(disk)
    }

    /// Walks one segment; returns the first bad offset and what is wrong there.
    fn scan<S: Storage>(
        &mut self,
        disk: &S,
        first: u64,
        window: &mut Vec<u8>,
        seen: &mut Seen<'_>,
    ) -> Result<Option<(u64, String)>, WalError> {
        let log = &mut self.log;
        let path = segment_path(&log.dir, first);
        let mut scanner = Scanner::new(disk, &path, 0, window)?;
        if !scanner.header_is(&segment::encode_header(&log.id, log.durable + 1, &log.head))? {
            return Ok(Some((0, format!("no header of a segment beginning with record {}", log.durable + 1))));
        }
        log.segments.push(Segment::new(&log.dir, first));
        self.unmarked = None;
        let mut last: Option<(u64, u64, Head, Seal)> = None;
        let mut head = log.head;
        let ended = loop {
            match scanner.step(log.durable + 1, &mut head)? {
                Step::Group { start, offset, walked } => {
                    seen(&path, offset, &walked, scanner.stepped(&walked));
                    last = Some((start, log.durable, log.head, walked.seal));
                    let mark = log.mark.value();
                    if self.unmarked.is_none() && mark.is_none_or(|(seq, _)| walked.last > seq) {
                        self.unmarked = Some(if start == HEADER_BYTES as u64 { 0 } else { start });
                    }
                    if mark.is_some_and(|(seq, at)| (walked.first..=walked.last).contains(&seq) && (seq != walked.last || at != head)) {
                        self.lost = Some(format!("record {} is not the one that was durable here", walked.last));
                    }
                    log.add(offset, walked.first, walked.last, walked.len, head);
                }
                Step::End => break None,
                Step::Bad(offset, error) => break Some((offset, error.to_string())),
            }
        };
        if let Some((start, durable, head, seal)) = last
            && !seal.is_signed(&log.id)
        {
            log.take_back(start, durable, head);
            return Ok(Some((start, format!("the seal over records {}..={} is not signed by the origin", seal.first, seal.last))));
        }
        Ok(ended)
    }

    /// The file after `index` whose header names exactly the record and head reached so far.
    fn continued_at<S: Storage>(&self, disk: &S, index: usize) -> Result<Option<usize>, WalError> {
        let next = self.log.durable + 1;
        let Some(at) = self.files.iter().position(|first| *first == next).filter(|at| *at > index) else { return Ok(None) };
        let mut found = [0u8; HEADER_BYTES];
        let n = read_full(disk, &segment_path(&self.log.dir, next), 0, &mut found)?;
        Ok((found[..n] == segment::encode_header(&self.log.id, next, &self.log.head)).then_some(at))
    }

    /// Tells a torn end from damage, and notices what is missing without a trace.
    fn judge<S: Storage>(&mut self, disk: &S) -> Result<(), WalError> {
        let (log, marked) = (&self.log, self.log.mark.seq());
        if let Some(fault) = &mut self.fault {
            let last = fault.index + 1 == self.files.len();
            fault.torn = last && marked <= log.durable && self.lost.is_none();
            if fault.torn {
                let path = self.files.get(fault.index).map(|first| segment_path(&log.dir, *first)).unwrap_or_default();
                fault.torn = !later_batch(disk, &path, fault.offset, log)?;
            }
        } else if marked > log.durable {
            self.lost = Some(format!("records up to {marked} were durable"));
        }
        Ok(())
    }
}

/// Whether the bytes from `offset` on hold a batch after the one that would begin next: then what lies between was durable.
/// A payload may hold anything, a batch mark too, but not one followed by a group that the origin has yet to seal.
fn later_batch<S: Storage>(disk: &S, path: &str, offset: u64, log: &Log) -> Result<bool, WalError> {
    let len = disk.len(path).map_err(|e| WalError::disk("read", path, e))?;
    // One byte more than there is, so that a short read tells the end.
    let rest = usize::try_from(len.saturating_sub(offset)).unwrap_or(limits::SCAN_WINDOW_BYTES);
    let mut chunk = vec![0u8; rest.saturating_add(1).min(limits::SCAN_WINDOW_BYTES)];
    let mut at = offset;
    loop {
        let n = read_full(disk, path, at, &mut chunk)?;
        let is_last = n < chunk.len();
        // What begins close to the edge is looked at in the next chunk, whole.
        let step = if is_last { n } else { n - limits::WAL_PUSH_MAX_BYTES };
        let later = |i: &usize| {
            let first = decode_batch(&chunk[*i..n]).filter(|first| *first > log.durable + 1)?;
            walk(&chunk[*i + BATCH_BYTES..n], Some(first), None).ok().filter(|walked| walked.seal.is_signed(&log.id))
        };
        if (0..step).filter(|i| chunk[*i] == BATCH_MAGIC[0]).any(|i| later(&i).is_some()) {
            return Ok(true);
        }
        if is_last {
            return Ok(false);
        }
        at += step as u64;
    }
}

/// Brings the files into the state `Findings` describe and returns the open log with what there is to report.
pub(super) fn mend<S: Storage>(disk: &mut S, found: Findings) -> Result<(Log, Option<Damage>), WalError> {
    let Findings { mut log, stale, files, fault, lost, unmarked } = found;
    // The base may be seen only because a rename failed: written once more first. A disk that refuses keeps what is in the way of nothing.
    let is_base_kept = !stale.is_empty() && log.base.as_ref().is_none_or(|base| base.store(disk, &log.dir).is_ok());
    if is_base_kept {
        for first in stale {
            let path = segment_path(&log.dir, first);
            disk.remove(&path).map_err(|e| WalError::disk("remove", &path, e))?;
        }
    }
    if let (Some(from), Some(segment)) = (unmarked, log.segments.last()) {
        rewrite(disk, &segment.path, from, segment.len)?;
    }
    let end = log.segments.last().map_or_else(|| (log.dir.clone(), 0), |segment| (segment.path.clone(), segment.len));
    let mut damage = Damage {
        log: log.id,
        after_seq: log.durable,
        segment: end.0,
        offset: end.1,
        bytes: 0,
        set_aside: Vec::new(),
        kind: DamageKind::Lost,
        why: lost.clone().unwrap_or_default(),
    };
    let mut report = lost.is_some();
    if let Some(fault) = fault {
        let paths: Vec<String> = files[fault.index..].iter().map(|first| segment_path(&log.dir, *first)).collect();
        if let Some(path) = paths.first() {
            damage.segment.clone_from(path);
        }
        (damage.offset, damage.why) = (fault.offset, fault.why);
        if fault.torn {
            damage.kind = DamageKind::TornTail;
            damage.bytes = cut(disk, &damage.segment, fault.offset)?;
        } else {
            damage.kind = DamageKind::Quarantined;
            set_aside(disk, &paths, &mut damage)?;
        }
        report = true;
    }
    if log.mark.value() != Some((log.durable, log.head)) && !(log.durable == 0 && log.mark.value().is_none()) {
        let (durable, head) = (log.durable, log.head);
        log.mark.put(disk, durable, &head).map_err(|e| WalError::disk("write mark in", &log.dir, e))?;
        log.mark.sync(disk)?;
    }
    Ok((log, report.then_some(damage)))
}

/// Writes what is there once more and syncs it, so that it is on the disk and not only in a page that a failed sync marked clean.
fn rewrite<S: Storage>(disk: &mut S, path: &str, from: u64, to: u64) -> Result<(), WalError> {
    copy(disk, path, from..to, path, from)?;
    disk.sync(path).map_err(|e| WalError::disk("sync", path, e))
}

/// Cuts a torn end; returns the bytes cut, without the room behind them.
fn cut<S: Storage>(disk: &mut S, path: &str, offset: u64) -> Result<u64, WalError> {
    let len = disk.len(path).map_err(|e| WalError::disk("read", path, e))?;
    let written = if len > offset { written_len(disk, path, offset)? } else { 0 };
    if len > offset {
        disk.truncate(path, offset).and_then(|()| disk.sync(path)).map_err(|e| WalError::disk("cut", path, e))?;
    }
    Ok(written)
}

/// Moves the bytes from the damage on, and every later segment, out of the log's way. The copy is durable before the original
/// is cut, so a crash in between leaves too much and never too little.
fn set_aside<S: Storage>(disk: &mut S, paths: &[String], damage: &mut Damage) -> Result<(), WalError> {
    for (i, path) in paths.iter().enumerate() {
        let prefix = format!("{path}.damaged-");
        let taken = disk.list(&prefix).map_err(|e| WalError::disk("list", &prefix, e))?.len();
        let target = format!("{prefix}{}", taken + 1);
        let len = disk.len(path).map_err(|e| WalError::disk("read", path, e))?;
        if i == 0 && damage.offset > 0 {
            copy(disk, path, damage.offset..len, &target, 0)?;
            disk.sync(&target).map_err(|e| WalError::disk("sync", &target, e))?;
            cut(disk, path, damage.offset)?;
            damage.bytes += len - damage.offset;
        } else {
            disk.rename(path, &target).map_err(|e| WalError::disk("rename", path, e))?;
            damage.bytes += len;
        }
        damage.set_aside.push(target);
    }
    Ok(())
}

/// Copies a part of a file behind `at` of another.
fn copy<S: Storage>(disk: &mut S, from: &str, range: std::ops::Range<u64>, to: &str, at: u64) -> Result<(), WalError> {
    let mut chunk = Vec::new();
    let mut done = range.start;
    while done < range.end {
        chunk.resize(COPY_BYTES.min(usize::try_from(range.end - done).unwrap_or(COPY_BYTES)), 0);
        let n = read_full(disk, from, done, &mut chunk)?;
        if n == 0 {
            break;
        }
        disk.write(to, at + (done - range.start), &chunk[..n]).map_err(|e| WalError::disk("write", to, e))?;
        done += n as u64;
    }
    Ok(())
}
