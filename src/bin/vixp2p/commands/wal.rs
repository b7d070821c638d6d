//! `wal`: what is in log files. Reads only, so that a node may run on the directory meanwhile.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use vixp2p::base::limits;
use vixp2p::driver::disk::DiskStorage;
use vixp2p::sync::{GroupSeen, LogReport, Verdict, inspect, inspect_segment};

use crate::args::{WalArgs, WalLook};
use crate::failure::Failure;

/// No segment is larger: what it holds when it is closed, one more commit, and room in advance.
const FILE_MAX_BYTES: u64 = 4 * limits::SEGMENT_MAX_BYTES;

pub(crate) fn run(args: &WalArgs) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut written: io::Result<()> = Ok(());
    let mut dump = |seen: &GroupSeen<'_>| {
        if args.what == WalLook::Dump && written.is_ok() {
            written = group(&mut out, seen);
        }
    };
    let reports = look(&args.path, &mut dump)?;
    written.map_err(Failure::stdout)?;
    for report in &reports {
        line(&mut out, args.what, report).map_err(Failure::stdout)?;
    }
    out.flush().map_err(Failure::stdout)?;
    let damaged = |report: &&LogReport| matches!(report.verdict, Verdict::Damaged { .. });
    match reports.iter().find(damaged) {
        Some(report) if args.what != WalLook::Stat => {
            Err(Failure::Runtime(format!("log {} {}", report.log, ends(report))))
        }
        _ => Ok(()),
    }
}

fn look(path: &Path, each: &mut dyn FnMut(&GroupSeen<'_>)) -> Result<Vec<LogReport>, Failure> {
    let metadata = fs::metadata(path).map_err(Failure::io(path.display().to_string()))?;
    let failed = |error: vixp2p::sync::WalError| Failure::Runtime(error.to_string());
    if metadata.is_dir() {
        return inspect(&DiskStorage::new(path), each).map_err(failed);
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Failure::io(path.display().to_string()))?;
    file.take(FILE_MAX_BYTES).read_to_end(&mut bytes).map_err(Failure::io(path.display().to_string()))?;
    let report = inspect_segment(bytes, each).map_err(failed)?;
    report.map(|report| vec![report]).ok_or_else(|| Failure::Runtime(format!("{} does not begin as a log file does", path.display())))
}

/// One group of a dump and its records.
fn group(out: &mut impl Write, seen: &GroupSeen<'_>) -> io::Result<()> {
    let (group, seal) = (&seen.group, if seen.sealed { "ok" } else { "BAD" });
    let (origin, incarnation) = (group.log.origin, group.log.incarnation);
    let place = format!("{} byte {}", seen.segment, seen.offset);
    writeln!(out, "group {origin} {incarnation} {}..{} {} bytes seal {seal} at {place}", group.first, group.last, group.bytes.len())?;
    for entry in group.entries() {
        writeln!(out, "record {origin} {incarnation} {} {} bytes time {}", entry.seq, entry.payload.len(), entry.time_us)?;
    }
    Ok(())
}

/// The line of a whole log.
fn line(out: &mut impl Write, what: WalLook, report: &LogReport) -> io::Result<()> {
    let LogReport { log, last, bytes, segments, marked, applied, set_aside, fork, .. } = report;
    let name = format!("{} {}", log.origin, log.incarnation);
    if what != WalLook::Stat {
        return writeln!(out, "log {name} {}", ends(report));
    }
    let fork = fork.map_or(String::new(), |seq| format!(" fork-at {seq}"));
    let (files, aside) = set_aside;
    writeln!(
        out,
        "{name} records {last} bytes {bytes} segments {segments} durable-mark {marked} applied {applied} set-aside {files} files {aside} bytes{fork}"
    )
}

fn ends(report: &LogReport) -> String {
    let last = report.last;
    match &report.verdict {
        Verdict::Whole => format!("is whole to record {last}"),
        Verdict::Unfinished { segment, offset, why } => {
            format!("is whole to record {last}, then comes an unfinished write (segment {segment}, byte {offset}: {why})")
        }
        Verdict::Damaged { segment, offset, why } => format!("is damaged after record {last} (segment {segment}, byte {offset}: {why})"),
    }
}
