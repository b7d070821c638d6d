//! What is on the disks, counted and hashed. Reads only files, asks no process.

use std::io::{self, Write};
use std::path::Path;

use bytes::Bytes;
use vixp2p::PeerId;
use vixp2p::base::{LogId, limits};
use vixp2p::driver::keyfile;

use crate::apply;
use crate::commands::tail;
use crate::failure::Failure;

/// Records in order: how many, and the BLAKE3 of each followed by a line feed (the hash of a text file with these lines).
#[derive(Default)]
struct Tally {
    count: u64,
    hasher: blake3::Hasher,
}

impl Tally {
    fn add(&mut self, payload: &[u8]) {
        self.count += 1;
        self.hasher.update(payload);
        self.hasher.update(b"\n");
    }

    fn result(&self) -> (u64, String) {
        (self.count, self.hasher.finalize().to_string())
    }
}

/// Compares the input with A's log, with A's log on B's disk and with what B applied, and prints all four.
pub(super) fn judge(records: &[Bytes], a: &Path, b: &Path, applied: &Path) -> Result<bool, Failure> {
    let (origin, _) = keyfile::public_key(a)?;
    let mut input = Tally::default();
    records.iter().for_each(|record| input.add(record));
    let (mut file, mut strangers) = (Tally::default(), 0);
    apply::read_lines(applied, |log, _, payload, _| if log.origin == origin { file.add(&payload) } else { strangers += 1 })?;
    let rows = [("input", input), ("A's log", log_of(origin, a)?), ("A's log on B", log_of(origin, b)?), ("applied by B", file)];
    let want = rows[0].1.result();
    let mut equal = strangers == 0;
    let mut table = format!("{:>14}  {:>8}  BLAKE3 of the lines\n", "", "records");
    for (name, tally) in &rows {
        let got = tally.result();
        equal &= got == want;
        table += &format!("{name:>14}  {:>8}  {}\n", got.0, got.1);
    }
    // The exit code says it too.
    let _ = write!(io::stdout(), "{table}");
    Ok(equal)
}

/// How many records of the input are in A's log already; an error if other records are.
pub(super) fn check_begun(records: &[Bytes], a: &Path) -> Result<u64, Failure> {
    let origin = match keyfile::public_key(a) {
        Err(error) if keyfile::is_missing(&error) => return Ok(0),
        other => other?.0,
    };
    let mut count = 0;
    let mut same = true;
    each_record(origin, a, |payload| {
        same &= records.get(count).is_some_and(|record| record == payload);
        count += 1;
    })?;
    if !same {
        return Err(Failure::Runtime(
            "A's log has other records than the input; use the input of the earlier run, or another directory".into(),
        ));
    }
    Ok(count as u64)
}

fn log_of(origin: PeerId, dir: &Path) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    each_record(origin, dir, |payload| tally.add(payload))?;
    Ok(tally)
}

fn each_record(origin: PeerId, dir: &Path, mut each: impl FnMut(&Bytes)) -> Result<(), Failure> {
    let mut reader = tail::open(dir)?;
    let (mut seen, mut last): (Option<LogId>, u64) = (None, 0);
    loop {
        let groups = reader.poll(limits::READ_RECORDS_MAX_BYTES).map_err(|error| Failure::Runtime(error.to_string()))?;
        if groups.is_empty() {
            return Ok(());
        }
        for group in groups.iter().filter(|group| group.log.origin == origin) {
            let before = seen.replace(group.log);
            for entry in group.entries() {
                if before.is_some_and(|before| before != group.log) || entry.seq != last + 1 {
                    return Err(Failure::Runtime(format!(
                        "record {} of {} stands behind record {last} in {}",
                        entry.seq,
                        group.log,
                        dir.display()
                    )));
                }
                last = entry.seq;
                each(&entry.payload);
            }
        }
    }
}
