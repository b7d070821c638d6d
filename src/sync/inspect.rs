//! Looks at the files of logs for people who want to know what is in them. Never changes a byte, so that a node may be running.

use crate::base::LogId;
use crate::sync::error::WalError;
use crate::sync::group::{Group, Walked};
use crate::sync::recover::{self, Files, Findings};
use crate::sync::segment::{self, decode_header, log_dir, segment_path};
use crate::sync::storage::{MemStorage, Storage};
use crate::sync::wal::list_logs;

/// A group and where it lies.
#[derive(Debug)]
pub struct GroupSeen<'a> {
    /// Its file.
    pub segment: &'a str,
    /// Its first byte in it.
    pub offset: u64,
    /// Whether the origin signed its seal.
    pub sealed: bool,
    /// The group itself.
    pub group: Group,
}

/// How a log's files end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nothing is wrong.
    Whole,
    /// A write that was never acknowledged, or that is under way.
    Unfinished {
        /// The file.
        segment: String,
        /// Where it begins in the file.
        offset: u64,
        /// What is wrong there.
        why: String,
    },
    /// Records that were durable are damaged or missing.
    Damaged {
        /// The file.
        segment: String,
        /// Where the damage begins in the file.
        offset: u64,
        /// What is wrong there.
        why: String,
    },
}

/// What one log's files hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogReport {
    /// Which log.
    pub log: LogId,
    /// Last record that is no longer kept; 0 if the log is whole.
    pub base: u64,
    /// Its last whole record.
    pub last: u64,
    /// Bytes of its segments up to there.
    pub bytes: u64,
    /// How many segments they are.
    pub segments: usize,
    /// What was durable when last noted; may lag behind.
    pub marked: u64,
    /// What the application has applied.
    pub applied: u64,
    /// Files that recovery set aside, and their bytes.
    pub set_aside: (usize, u64),
    /// First record of a proven fork.
    pub fork: Option<u64>,
    /// How it ends.
    pub verdict: Verdict,
}

/// Walks every log on `disk`, in the order of their ids: chain, checksums and every seal. `each` hears of every group.
pub fn inspect<S: Storage>(disk: &S, each: &mut dyn FnMut(&GroupSeen<'_>)) -> Result<Vec<LogReport>, WalError> {
    let (mut reports, mut window) = (Vec::new(), Vec::new());
    for (log, files) in list_logs(disk)? {
        let mut report = inspect_log(disk, log, &files, &mut window, each);
        // A node that runs may have written, begun or let go of a file meanwhile: what is damaged stays so.
        if !matches!(&report, Ok(LogReport { verdict: Verdict::Whole | Verdict::Unfinished { .. }, .. })) {
            let files = list_logs(disk)?.remove(&log).unwrap_or_default();
            report = inspect_log(disk, log, &files, &mut window, &mut |_| {});
        }
        let mut report = report?;
        for path in disk.list(&log_dir(&log)).map_err(|e| WalError::disk("list", &log_dir(&log), e))? {
            if path.contains(".damaged-") || segment::is_former(&path) {
                report.set_aside.0 += 1;
                report.set_aside.1 += disk.len(&path).map_err(|e| WalError::disk("read", &path, e))?;
            }
        }
        reports.push(report);
    }
    Ok(reports)
}

/// Walks one log.
fn inspect_log<S: Storage>(
    disk: &S,
    log: LogId,
    files: &Files,
    window: &mut Vec<u8>,
    each: &mut dyn FnMut(&GroupSeen<'_>),
) -> Result<LogReport, WalError> {
    let mut unsealed = None;
    let found = recover::examine(disk, log, files, window, &mut |segment, offset, walked, bytes| {
        tell(log, (segment, offset, walked, bytes), &mut unsealed, each);
    })?;
    Ok(summarize(&found, unsealed))
}

/// Walks one segment file, wherever it lies; `None` if the bytes do not begin with the header of one. What is before its first
/// record is taken from the header.
pub fn inspect_segment(bytes: Vec<u8>, each: &mut dyn FnMut(&GroupSeen<'_>)) -> Result<Option<LogReport>, WalError> {
    let Some(start) = decode_header(&bytes) else { return Ok(None) };
    let (log, mut disk, mut unsealed) = (start.0, MemStorage::new(), None);
    disk.files_mut().insert(segment_path(&log_dir(&log), start.1), bytes);
    let found = recover::examine_segment(&disk, start, &mut Vec::new(), &mut |segment, offset, walked, bytes| {
        tell(log, (segment, offset, walked, bytes), &mut unsealed, each);
    })?;
    Ok(Some(summarize(&found, unsealed)))
}

/// Checks the seal of a group, notes the first false one, and passes the group on.
fn tell(
    log: LogId,
    (segment, offset, walked, bytes): (&str, u64, &Walked, &[u8]),
    unsealed: &mut Option<Verdict>,
    each: &mut dyn FnMut(&GroupSeen<'_>),
) {
    let sealed = walked.seal.is_signed(&log);
    if !sealed && unsealed.is_none() {
        let why = format!("the seal over records {}..={} is not signed by the origin", walked.first, walked.last);
        *unsealed = Some(Verdict::Damaged { segment: segment.to_owned(), offset, why });
    }
    let group = Group { log, first: walked.first, last: walked.last, bytes: bytes.to_vec().into() };
    each(&GroupSeen { segment, offset, sealed, group });
}

fn summarize(found: &Findings, unsealed: Option<Verdict>) -> LogReport {
    let verdict = match (unsealed, found.place()) {
        (Some(verdict), _) => verdict,
        (None, None) => Verdict::Whole,
        (None, Some((segment, offset, why))) if found.is_damaged() => Verdict::Damaged { segment, offset, why },
        (None, Some((segment, offset, why))) => Verdict::Unfinished { segment, offset, why },
    };
    let log = &found.log;
    LogReport {
        log: log.id,
        base: log.base_seq(),
        last: log.durable,
        bytes: log.segments.iter().map(|segment| segment.len).sum(),
        segments: log.segments.len(),
        marked: log.mark.seq(),
        applied: log.cursor.seq(),
        set_aside: (0, 0),
        fork: log.frozen,
        verdict,
    }
}
