//! `--apply-to`: replicated records as lines of a file, each exactly once, whenever the process is killed.
//!
//! The file is its own cursor: what stands in it has been applied, so the node is told to go on behind its last lines. Never
//! holds back a record and never writes one twice.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use vixp2p::Node;
use vixp2p::base::LogId;
use vixp2p::driver::apply::{Outcome, Record};
use vixp2p::mesh::LogView;

use crate::failure::Failure;
use crate::line;

/// The longest line: every byte of the largest payload escaped, and the fields before it.
const LINE_MAX_BYTES: u64 = 4 * vixp2p::base::limits::RECORD_PAYLOAD_MAX_BYTES as u64 + 256;

/// The file and how far each log has come in it.
#[derive(Debug)]
pub(crate) struct ApplyFile {
    path: PathBuf,
    file: File,
    len: u64,
    cursors: BTreeMap<LogId, u64>,
    lines: u64,
}

impl ApplyFile {
    /// Opens or creates the file, reads the cursors off it and cuts an unfinished last line.
    pub(crate) fn open(path: &Path) -> Result<ApplyFile, Failure> {
        let context = || format!("opening {}", path.display());
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(Failure::io(context()))?;
        let (mut len, mut lines, mut cursors) = (0, 0, BTreeMap::new());
        read_lines(path, |log, seq, _, bytes| {
            cursors.insert(log, seq);
            len += bytes;
            lines += 1;
        })?;
        file.set_len(len).map_err(Failure::io(context()))?;
        Ok(ApplyFile { path: path.to_owned(), file, len, cursors, lines })
    }

    /// Tells the node, which has not been started, how far this file has come.
    pub(crate) fn align(&self, node: &Node) -> Result<(), Failure> {
        let own = |state: &LogView| state.log.origin == node.id() || node.formerly().contains(&state.log.origin);
        for state in node.logs().into_iter().filter(|state| !own(state)) {
            let applied = self.cursors.get(&state.log).copied().unwrap_or(0);
            node.set_applied(state.log, applied.min(state.durable))?;
        }
        Ok(())
    }

    /// Records in the file.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// Writes the record's line, unless it is there.
    pub(crate) fn apply(&mut self, record: &Record<'_>) -> Result<Outcome, String> {
        let cursor = self.cursors.entry(record.log).or_insert(0);
        if record.seq <= *cursor {
            return Ok(Outcome::Applied);
        }
        let line = line::long(record.log, record.seq, record.payload) + "\n";
        if let Err(error) = self.file.write_all_at(line.as_bytes(), self.len) {
            // Half a line would be cut at the next start anyway.
            let _ = self.file.set_len(self.len);
            return Err(format!("cannot write {}: {error}", self.path.display()));
        }
        self.len += line.len() as u64;
        self.lines += 1;
        *cursor = record.seq;
        Ok(Outcome::Applied)
    }
}

/// Calls `each` with the log, number, payload and length of every finished line, and checks that no log has a hole.
pub(crate) fn read_lines(path: &Path, mut each: impl FnMut(LogId, u64, Vec<u8>, u64)) -> Result<(), Failure> {
    let mut reader = BufReader::new(File::open(path).map_err(Failure::io(format!("opening {}", path.display())))?);
    let mut cursors: BTreeMap<LogId, u64> = BTreeMap::new();
    for number in 1u64.. {
        let bytes = read_line(&mut reader).map_err(Failure::io(format!("reading {}, line {number}", path.display())))?;
        let refuse = |why: &str| Failure::Runtime(format!("{}, line {number}: {why}; move the file away to begin anew", path.display()));
        let Some(text) = bytes.strip_suffix(b"\n") else {
            let torn = bytes.iter().take(64).all(u8::is_ascii_hexdigit);
            return if torn { Ok(()) } else { Err(refuse("not the beginning of a line that --apply-to wrote")) };
        };
        let (log, seq, payload) =
            std::str::from_utf8(text).ok().and_then(line::parse_long).ok_or_else(|| refuse("not a line that --apply-to wrote"))?;
        let cursor = cursors.entry(log).or_insert(0);
        if seq != *cursor + 1 {
            return Err(refuse(&format!("record {seq} stands where record {} belongs", *cursor + 1)));
        }
        *cursor = seq;
        each(log, seq, payload, bytes.len() as u64);
    }
    Ok(())
}

fn read_line(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut line = Vec::new();
    reader.take(LINE_MAX_BYTES).read_until(b'\n', &mut line)?;
    if line.len() as u64 == LINE_MAX_BYTES && !line.ends_with(b"\n") {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("longer than {LINE_MAX_BYTES} bytes")));
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vixp2p::PeerId;
    use vixp2p::base::Incarnation;

    fn record(seq: u64, payload: &[u8]) -> Record<'_> {
        let log = LogId { origin: PeerId([1; 32]), incarnation: Incarnation(2) };
        Record { log, seq, time_us: 0, payload }
    }

    #[test]
    fn a_record_offered_again_is_written_once() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("applied.txt");
        let mut file = ApplyFile::open(&path).expect("new");
        file.apply(&record(1, b"one")).expect("written");
        file.apply(&record(2, b"")).expect("written");
        file.apply(&record(1, b"one")).expect("there");
        drop(file);
        let torn = std::fs::read(&path).expect("read");
        let half = &line::long(record(3, b"").log, 3, b"half a li");
        std::fs::write(&path, [&torn[..], half.as_bytes()].concat()).expect("write");
        let mut file = ApplyFile::open(&path).expect("torn line is cut");
        assert_eq!(file.lines(), 2);
        file.apply(&record(2, b"")).expect("there");
        file.apply(&record(3, b"three\n")).expect("written");
        let mut payloads = Vec::new();
        read_lines(&path, |_, _, payload, _| payloads.push(payload)).expect("readable");
        assert_eq!(payloads, [&b"one"[..], b"", b"three\n"]);
    }

    #[test]
    fn a_file_with_a_hole_or_of_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("applied.txt");
        for text in ["hello\n".to_owned(), "hello".to_owned(), line::long(record(2, b"").log, 2, b"x") + "\n"] {
            std::fs::write(&path, &text).expect("write");
            let Failure::Runtime(why) = ApplyFile::open(&path).expect_err("refused") else { panic!("runtime failure") };
            assert!(why.contains("line 1"), "{why}");
            assert_eq!(std::fs::read_to_string(&path).expect("untouched"), text);
        }
    }
}
