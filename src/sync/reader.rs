//! Follows the logs of a directory that another process writes, without changing a byte.
//!
//! Never repairs, never verifies a signature (whoever writes the directory did) and never goes past a group that does not check:
//! the writer may be in the middle of it. A group seen here may be a moment ahead of its sync.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;

use crate::base::LogId;
use crate::sync::base::Base;
use crate::sync::cell::Cell;
use crate::sync::error::WalError;
use crate::sync::group::Group;
use crate::sync::recover::Files;
use crate::sync::seal::{Head, log_head};
use crate::sync::segment::{HEADER_BYTES, Scanner, Step, encode_header, log_dir, segment_path, written_len};
use crate::sync::storage::Storage;
use crate::sync::wal::list_logs;

/// A read-only follower of every log in a directory.
pub struct Reader<S: Storage> {
    disk: S,
    places: BTreeMap<LogId, Place>,
    window: Vec<u8>,
}

/// Where a log cannot be followed further although there is more, or was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leftover {
    /// Which log.
    pub log: LogId,
    /// Last record before them.
    pub last: u64,
    /// The file.
    pub segment: String,
    /// Where they begin in it.
    pub offset: u64,
    /// How many there are; they are no whole group, or of a file that does not go on where the last one ended.
    pub bytes: u64,
    /// The last record that was durable, as far as that was noted.
    pub marked: u64,
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Leftover { log, last, segment, offset, bytes, marked } = self;
        if *bytes == 0 {
            return write!(f, "log {log} is damaged after record {last}: records up to {marked} were durable");
        }
        let what = if marked > last { "damaged" } else { "damaged, or its last write unfinished," };
        write!(f, "log {log} is {what} after record {last} (segment {segment}, byte {offset}): {bytes} bytes do not go on there")
    }
}

/// How far each log has been followed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(BTreeMap<LogId, Place>);

/// How far a log has been followed.
#[derive(Clone, Debug)]
struct Place {
    /// First record of the segment being read; 0 before the first.
    segment: u64,
    offset: u64,
    last: u64,
    head: Head,
}

impl<S: Storage> Reader<S> {
    /// Begins before the first record of every log.
    pub fn open(disk: S) -> Result<Reader<S>, WalError> {
        let mut reader = Reader { disk, places: BTreeMap::new(), window: Vec::new() };
        reader.look()?;
        Ok(reader)
    }

    /// Goes on where another reader of the same logs ended.
    pub(crate) fn resume(disk: S, places: Places) -> Reader<S> {
        Reader { disk, places: places.0, window: Vec::new() }
    }

    /// How far it has come.
    pub(crate) fn into_places(self) -> Places {
        Places(self.places)
    }

    /// How far a log has been followed: its last record read, or the last one that is not kept.
    pub(crate) fn upto(&self, log: &LogId) -> u64 {
        self.places.get(log).map_or(0, |place| place.last)
    }

    /// Logs seen so far.
    pub fn logs(&self) -> Vec<LogId> {
        self.places.keys().copied().collect()
    }

    /// Groups that came since the last call, about `max_bytes`; empty: nothing new.
    pub fn poll(&mut self, max_bytes: usize) -> Result<Vec<Group>, WalError> {
        self.look()?;
        let (mut groups, mut bytes) = (Vec::new(), 0);
        for (log, place) in &mut self.places {
            while bytes < max_bytes && place.follow(&self.disk, log, &mut self.window, max_bytes, &mut bytes, &mut groups)? {}
        }
        Ok(groups)
    }

    /// Logs that have more than could be followed, or lack what was durable: a write under way if somebody writes, else damage or a
    /// torn tail.
    pub fn leftovers(&self) -> Vec<Leftover> {
        let files = list_logs(&self.disk).unwrap_or_default();
        self.places.iter().filter_map(|(log, place)| self.leftover(log, place, files.get(log)?)).collect()
    }

    fn leftover(&self, log: &LogId, place: &Place, files: &Files) -> Option<Leftover> {
        let dir = log_dir(log);
        let marked = Cell::load(&self.disk, format!("{dir}mark")).map_or(0, |mark| mark.seq());
        let behind = |first: u64, offset: u64| {
            let segment = segment_path(&dir, first);
            let bytes = written_len(&self.disk, &segment, offset).ok().filter(|bytes| *bytes > 0)?;
            Some(Leftover { log: *log, last: place.last, segment, offset, bytes, marked })
        };
        let here = (place.segment > 0).then(|| behind(place.segment, place.offset)).flatten();
        let next =
            || files.segments.iter().filter(|first| **first > place.last && **first != place.segment).find_map(|first| behind(*first, 0));
        let lost = || {
            let segment = segment_path(&dir, place.segment.max(1));
            (marked > place.last).then_some(Leftover { log: *log, last: place.last, segment, offset: place.offset, bytes: 0, marked })
        };
        here.or_else(next).or_else(lost)
    }

    fn look(&mut self) -> Result<(), WalError> {
        for log in list_logs(&self.disk)?.into_keys() {
            if !self.places.contains_key(&log) {
                let base = Base::load(&self.disk, &log_dir(&log), &log)?;
                let (last, head) = base.map_or_else(|| (0, log_head(&log)), |base| (base.seq, base.head));
                self.places.insert(log, Place { segment: 0, offset: 0, last, head });
            }
        }
        Ok(())
    }
}

impl Place {
    /// Takes groups from the current segment; `true` if it moved on to the next one and there may be more.
    fn follow<S: Storage>(
        &mut self,
        disk: &S,
        log: &LogId,
        window: &mut Vec<u8>,
        max_bytes: usize,
        bytes: &mut usize,
        groups: &mut Vec<Group>,
    ) -> Result<bool, WalError> {
        let dir = log_dir(log);
        let path = segment_path(&dir, self.segment);
        let current = if self.segment > 0 { open(disk, &path, self.offset, window)? } else { None };
        let is_gone = self.segment > 0 && current.is_none();
        if let Some(mut scanner) = current {
            while *bytes < max_bytes {
                let Step::Group { offset, walked, .. } = scanner.step(self.last + 1, &mut self.head)? else { break };
                let checked = Bytes::copy_from_slice(scanner.stepped(&walked));
                groups.push(Group { log: *log, first: walked.first, last: walked.last, bytes: checked });
                (self.offset, self.last) = (offset + walked.len as u64, walked.last);
                *bytes += walked.len;
            }
        }
        if self.segment == self.last + 1 && !is_gone {
            return Ok(false);
        }
        let next = segment_path(&dir, self.last + 1);
        let Some(mut scanner) = open(disk, &next, 0, window)? else {
            // The writer may have let go of what was not read yet; what is left begins at its base.
            let Some(base) = Base::load(disk, &dir, log)?.filter(|base| base.seq >= self.last + u64::from(!is_gone)) else {
                return Ok(false);
            };
            let goes_on = base.seq > self.last;
            *self = Place { segment: 0, offset: 0, last: base.seq, head: base.head };
            return Ok(goes_on);
        };
        let is_next = scanner.header_is(&encode_header(log, self.last + 1, &self.head))?;
        if is_next {
            (self.segment, self.offset) = (self.last + 1, HEADER_BYTES as u64);
        }
        Ok(is_next)
    }
}

/// A scanner at a place in a segment; `None` if there is no such file (any more).
fn open<'a, S: Storage>(disk: &'a S, path: &'a str, offset: u64, window: &'a mut Vec<u8>) -> Result<Option<Scanner<'a, S>>, WalError> {
    match Scanner::new(disk, path, offset, window) {
        Err(WalError::Disk { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}
