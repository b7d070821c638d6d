//! Segment files: their names, their header, and a scanner over the groups in them. Never writes and never judges damage.
//!
//! `log/<origin, 64 hex digits>/<incarnation, 16 hex digits>/<first record, 20 digits>.wal` is
//!
//! ```text
//!  0             8          12          44            52       60           92       96
//!  +-------------+----------+-----------+-------------+--------+------------+--------+-----------+---------+-
//!  | "VIXP2PWL"  | version  | origin    | incarnation | first  | head       | crc32c | group     | group   | ...
//!  |             | u32 = 1  | 32 bytes  | u64         | u64    | before it  | u32    |           |         |
//!  +-------------+----------+-----------+-------------+--------+------------+--------+-----------+---------+-
//! ```
//!
//! Every write begins, behind the header of a new file, with a batch mark: all records before `first` were durable when it was
//! written, and the groups up to the next mark reached the disk by one sync or not at all.
//!
//! ```text
//!  0        4        8                16
//!  +--------+--------+----------------+
//!  | "VIXB" | crc32c | first          |
//!  |        | u32    | u64            |
//!  +--------+--------+----------------+
//! ```
//!
//! Zero bytes up to the end of the file are no records: the log ends before them.

use std::io;

use crate::base::id::{from_hex, hex};
use crate::base::{Incarnation, LogId, PeerId, limits};
use crate::sync::causes::CAUSES_MAX_BYTES;
use crate::sync::error::{GroupError, WalError};
use crate::sync::group::{Walked, walk};
use crate::sync::record::{HEADER_BYTES as RECORD_HEADER_BYTES, SEAL_BYTES};
use crate::sync::seal::Head;
use crate::sync::storage::Storage;

/// Bytes before the first group.
pub(super) const HEADER_BYTES: usize = 96;
const MAGIC: &[u8; 8] = b"VIXP2PWL";
const VERSION: u32 = 1;
/// Bytes of a batch mark.
pub(super) const BATCH_BYTES: usize = 16;
/// Read as the length of a record it is larger than any.
pub(super) const BATCH_MAGIC: [u8; 4] = *b"VIXB";
/// Bytes read at a time where only zeros are expected.
const ZEROS_BYTES: usize = 16 * 1024;
const FORMER: &str = ".former-";
/// Everything lies below this.
pub(super) const ROOT: &str = "log/";

// The scanner keeps one whole group and the mark before it in its window, so the largest one must fit.
const AROUND_BYTES: usize = BATCH_BYTES + SEAL_BYTES;
const _: () =
    assert!(CAUSES_MAX_BYTES + limits::RECORD_PAYLOAD_MAX_BYTES + RECORD_HEADER_BYTES + AROUND_BYTES <= limits::WAL_PUSH_MAX_BYTES);
const _: () =
    assert!(limits::GROUP_MAX_BYTES + limits::GROUP_MAX_RECORDS * RECORD_HEADER_BYTES + AROUND_BYTES <= limits::WAL_PUSH_MAX_BYTES);
const _: () = assert!(u32::from_le_bytes(BATCH_MAGIC) as usize > limits::WAL_PUSH_MAX_BYTES);

/// The directory of a log, with a slash at the end.
pub(super) fn log_dir(log: &LogId) -> String {
    format!("{ROOT}{}/{}/", hex(&log.origin.0), log.incarnation)
}

/// The file that names the own incarnation.
pub(super) fn current_path(origin: &PeerId) -> String {
    format!("{ROOT}{}/current", hex(&origin.0))
}

/// The segment that begins with this record.
pub(super) fn segment_path(dir: &str, first: u64) -> String {
    format!("{dir}{first:020}.wal")
}

/// Where the group that proves a fork at this record is kept.
pub(super) fn fork_path(dir: &str, first: u64) -> String {
    format!("{dir}{first:020}.fork")
}

/// Where a segment of an own log is kept that had to go for a snapshot's place at record `base`.
pub(super) fn former_path(segment: &str, base: u64) -> String {
    format!("{segment}{FORMER}{base:020}")
}

/// Whether a file is such a one.
pub(super) fn is_former(path: &str) -> bool {
    path.contains(FORMER)
}

/// What a file in a log's directory is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FileKind {
    /// The segment beginning with this record.
    Segment(u64),
    /// Proof of a fork at this record.
    Fork(u64),
    /// A cell, something set aside, or a stranger.
    Other,
}

/// Reads a path back; `None` if it is not inside a log's directory. Only the exact form this room writes is recognised.
pub(super) fn parse_path(path: &str) -> Option<(LogId, FileKind)> {
    let mut parts = path.strip_prefix(ROOT)?.split('/');
    let (origin, incarnation, name) = (parts.next()?, parts.next()?, parts.next()?);
    let origin = PeerId(from_hex(origin)?.try_into().ok()?);
    let incarnation = Incarnation(u64::from_str_radix(incarnation, 16).ok()?);
    let log = LogId { origin, incarnation };
    let dir = log_dir(&log);
    let number = name.split_once('.').and_then(|(digits, _)| digits.parse().ok());
    let kind = match number {
        Some(first) if segment_path(&dir, first) == path => FileKind::Segment(first),
        Some(first) if fork_path(&dir, first) == path => FileKind::Fork(first),
        _ => FileKind::Other,
    };
    path.starts_with(&dir).then_some((log, kind))
}

/// The header of the segment of `log` that begins with record `first`, `head` being the head before it.
pub(super) fn encode_header(log: &LogId, first: u64, head: &Head) -> [u8; HEADER_BYTES] {
    let mut out = [0u8; HEADER_BYTES];
    out[..8].copy_from_slice(MAGIC);
    out[8..12].copy_from_slice(&VERSION.to_le_bytes());
    out[12..44].copy_from_slice(&log.origin.0);
    out[44..52].copy_from_slice(&log.incarnation.0.to_le_bytes());
    out[52..60].copy_from_slice(&first.to_le_bytes());
    out[60..92].copy_from_slice(head);
    let crc = crc32c::crc32c(&out[..92]);
    out[92..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// The log, the first record and the head before it, by the header at the front of `input`.
pub(super) fn decode_header(input: &[u8]) -> Option<(LogId, u64, Head)> {
    let header: &[u8; HEADER_BYTES] = input.first_chunk()?;
    let rest = header.strip_prefix(MAGIC)?.strip_prefix(&VERSION.to_le_bytes())?;
    let (origin, rest) = rest.split_first_chunk()?;
    let (incarnation, rest) = rest.split_first_chunk()?;
    let (first, rest) = rest.split_first_chunk()?;
    let log = LogId { origin: PeerId(*origin), incarnation: Incarnation(u64::from_le_bytes(*incarnation)) };
    let (first, head) = (u64::from_le_bytes(*first), *rest.first_chunk()?);
    (*header == encode_header(&log, first, &head)).then_some((log, first, head))
}

/// The batch mark before the group that begins with record `first`.
pub(super) fn encode_batch(first: u64) -> [u8; BATCH_BYTES] {
    let mut out = [0u8; BATCH_BYTES];
    out[..4].copy_from_slice(&BATCH_MAGIC);
    out[8..].copy_from_slice(&first.to_le_bytes());
    let crc = crc32c::crc32c(&out[8..]);
    out[4..8].copy_from_slice(&crc.to_le_bytes());
    out
}

/// The record before which `input` begins with a batch mark.
pub(super) fn decode_batch(input: &[u8]) -> Option<u64> {
    let mark: &[u8; BATCH_BYTES] = input.first_chunk()?;
    let first = u64::from_le_bytes(*mark.last_chunk()?);
    (*mark == encode_batch(first)).then_some(first)
}

/// Bytes of the batch mark that stands before record `first` here; 0 if there is none.
pub(super) fn batch_before(input: &[u8], first: u64) -> usize {
    if decode_batch(input) == Some(first) { BATCH_BYTES } else { 0 }
}

/// Where a scan ended and why.
#[derive(Debug)]
pub(super) enum Step {
    /// A whole group; the head has moved on.
    Group {
        /// Where it begins, or the batch mark before it.
        start: u64,
        /// Where it begins itself.
        offset: u64,
        /// What it is.
        walked: Walked,
    },
    /// The end of the file, or zeros up to it.
    End,
    /// No group, and no batch mark with a group behind it, begins at this offset.
    Bad(u64, GroupError),
}

/// Walks the groups of one segment file through a bounded window.
pub(super) struct Scanner<'a, S: Storage> {
    disk: &'a S,
    path: &'a str,
    file_len: u64,
    window: &'a mut Vec<u8>,
    base: u64,
    at: usize,
}

impl<'a, S: Storage> Scanner<'a, S> {
    /// Starts at `offset`. `window` is working memory, reused from scan to scan.
    pub(super) fn new(disk: &'a S, path: &'a str, offset: u64, window: &'a mut Vec<u8>) -> Result<Scanner<'a, S>, WalError> {
        let file_len = disk.len(path).map_err(|e| WalError::disk("read", path, e))?;
        window.clear();
        Ok(Scanner { disk, path, file_len, window, base: offset, at: 0 })
    }

    /// Whether the file begins with exactly this header; moves behind it.
    pub(super) fn header_is(&mut self, header: &[u8; HEADER_BYTES]) -> Result<bool, WalError> {
        self.fill()?;
        let found = self.window[self.at..].starts_with(header);
        self.at += if found { HEADER_BYTES } else { 0 };
        Ok(found)
    }

    /// The next group, which must begin with record `first` and continue `head`.
    pub(super) fn step(&mut self, first: u64, head: &mut Head) -> Result<Step, WalError> {
        self.fill()?;
        let start = self.base + self.at as u64;
        let rest = &self.window[self.at..];
        if rest.is_empty() {
            return Ok(Step::End);
        }
        let mark = batch_before(rest, first);
        match walk(&rest[mark..], Some(first), Some(head)) {
            Ok(walked) => {
                self.at += mark + walked.len;
                Ok(Step::Group { start, offset: start + mark as u64, walked })
            }
            Err(_) if self.only_zeros()? => Ok(Step::End),
            Err(error) => Ok(Step::Bad(start, error)),
        }
    }

    /// The bytes of the group last stepped over.
    pub(super) fn stepped(&self, walked: &Walked) -> &[u8] {
        &self.window[self.at.saturating_sub(walked.len)..self.at]
    }

    /// Sees to it that the window holds a whole group from the current place on, or all there is.
    fn fill(&mut self) -> Result<(), WalError> {
        let end = self.base + self.window.len() as u64;
        if self.window.len() - self.at >= limits::WAL_PUSH_MAX_BYTES || end >= self.file_len {
            return Ok(());
        }
        self.window.drain(..self.at);
        self.base += self.at as u64;
        self.at = 0;
        let have = self.window.len();
        let want = (limits::SCAN_WINDOW_BYTES - have).min(usize::try_from(self.file_len - end).unwrap_or(usize::MAX));
        self.window.resize(have + want, 0);
        let n = read_full(self.disk, self.path, end, &mut self.window[have..])?;
        self.window.truncate(have + n);
        if n < want {
            self.file_len = end + n as u64;
        }
        Ok(())
    }

    fn only_zeros(&self) -> Result<bool, WalError> {
        if self.window[self.at..].iter().any(|b| *b != 0) {
            return Ok(false);
        }
        let mut offset = self.base + self.window.len() as u64;
        let rest = usize::try_from(self.file_len.saturating_sub(offset)).unwrap_or(ZEROS_BYTES);
        let mut chunk = vec![0u8; rest.min(ZEROS_BYTES)];
        while offset < self.file_len {
            let n = read_full(self.disk, self.path, offset, &mut chunk)?;
            if chunk[..n].iter().any(|b| *b != 0) {
                return Ok(false);
            }
            if n == 0 {
                break;
            }
            offset += n as u64;
        }
        Ok(true)
    }
}

/// Bytes from `from` on without the zeros at the end of the file, which are room for what is to come.
pub(super) fn written_len<S: Storage>(disk: &S, path: &str, from: u64) -> Result<u64, WalError> {
    let mut chunk = vec![0u8; ZEROS_BYTES];
    let (mut at, mut written) = (from, 0);
    loop {
        let n = read_full(disk, path, at, &mut chunk)?;
        if let Some(last) = chunk[..n].iter().rposition(|b| *b != 0) {
            written = at + last as u64 + 1 - from;
        }
        if n < chunk.len() {
            return Ok(written);
        }
        at += n as u64;
    }
}

/// Fills `buf`, or as much of it as the file has.
pub(super) fn read_full<S: Storage>(disk: &S, path: &str, offset: u64, buf: &mut [u8]) -> Result<usize, WalError> {
    let mut have = 0;
    while have < buf.len() {
        match disk.read(path, offset + have as u64, &mut buf[have..]) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(WalError::disk("read", path, e)),
        }
    }
    Ok(have)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_log_only_in_the_exact_form_written_here() {
        let log = LogId { origin: PeerId([0xab; 32]), incarnation: Incarnation(7) };
        let dir = log_dir(&log);
        assert_eq!(parse_path(&segment_path(&dir, 12)), Some((log, FileKind::Segment(12))));
        assert_eq!(parse_path(&fork_path(&dir, 12)), Some((log, FileKind::Fork(12))));
        assert_eq!(parse_path(&format!("{}.damaged-1", segment_path(&dir, 12))), Some((log, FileKind::Other)));
        assert_eq!(parse_path(&current_path(&log.origin)), None);
        assert_eq!(parse_path(&segment_path(&dir, 12).replace("ab", "AB")), None);
        assert_eq!(parse_path(&format!("{dir}12.wal")), Some((log, FileKind::Other)));
    }
}
