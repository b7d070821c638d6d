//! `wal`: what is in log files. Reads only, so that a node may run on the directory meanwhile.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use serde_json::{Value, json};
use vixp2p::base::limits;
use vixp2p::driver::disk::DiskStorage;
use vixp2p::sync::{Cause, GroupSeen, LogReport, Verdict, inspect, inspect_segment};

use crate::args::{WalArgs, WalLook};
use crate::failure::Failure;

/// No segment is larger: what it holds when it is closed, one more commit, and room in advance.
const FILE_MAX_BYTES: u64 = 4 * limits::SEGMENT_MAX_BYTES;

pub(crate) fn run(args: &WalArgs) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut written: io::Result<()> = Ok(());
    let mut dump = |seen: &GroupSeen<'_>| {
        if args.what == WalLook::Dump && written.is_ok() {
            written = if args.json { writeln!(out, "{}", group_json(seen)) } else { group(&mut out, seen) };
        }
    };
    let reports = look(&args.path, &mut dump)?;
    let tell = |report| if args.json { writeln!(out, "{}", log_json(report)) } else { line(&mut out, args.what, report) };
    let said = written.and_then(|()| reports.iter().try_for_each(tell)).and_then(|()| out.flush());
    verdict(args, &reports).and(said.map_err(Failure::stdout))
}

/// What `wal` ends with, whoever reads what it prints.
fn verdict(args: &WalArgs, reports: &[LogReport]) -> Result<(), Failure> {
    if reports.is_empty() && args.what == WalLook::Verify {
        return Err(Failure::Runtime(format!("no log in {}", args.path.display())));
    }
    if let Some(report) = reports.iter().find(|report| matches!(report.verdict, Verdict::Damaged { .. })) {
        return Err(Failure::Runtime(format!("log {} {}", report.log, ends(report))));
    }
    // What a directory tells by the file that notes what was durable.
    match reports.iter().find(|report| !args.path.is_dir() && matches!(report.verdict, Verdict::Unfinished { .. })) {
        Some(report) => {
            let text = "a file alone does not tell whether that was durable; look at its directory";
            Err(Failure::Runtime(format!("log {} {}; {text}", report.log, ends(report))))
        }
        None => Ok(()),
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
        for Cause { log, seq } in entry.causes.iter() {
            writeln!(out, "  after {} {} {seq}", log.origin, log.incarnation)?;
        }
    }
    Ok(())
}

/// The line of a whole log.
fn line(out: &mut impl Write, what: WalLook, report: &LogReport) -> io::Result<()> {
    let LogReport { log, base, last, bytes, segments, marked, applied, set_aside, fork, .. } = report;
    let name = format!("{} {}", log.origin, log.incarnation);
    if what != WalLook::Stat {
        return writeln!(out, "log {name} {}", ends(report));
    }
    let base = if *base > 0 { format!(" base {base}") } else { String::new() };
    let fork = fork.map_or(String::new(), |seq| format!(" fork-at {seq}"));
    let (files, aside) = set_aside;
    writeln!(
        out,
        "{name} records {last} bytes {bytes} segments {segments} durable-mark {marked} applied {applied} set-aside {files} files {aside} bytes{base}{fork}"
    )
}

fn group_json(seen: &GroupSeen<'_>) -> Value {
    let group = &seen.group;
    let after =
        |Cause { log, seq }: Cause| json!({ "origin": log.origin.to_string(), "incarnation": log.incarnation.to_string(), "seq": seq });
    let record = |entry: vixp2p::sync::Entry| {
        let mut record = json!({ "seq": entry.seq, "bytes": entry.payload.len(), "time_us": entry.time_us });
        if !entry.causes.is_empty() {
            record["after"] = entry.causes.iter().map(after).collect();
        }
        record
    };
    json!({
        "group": { "first": group.first, "last": group.last, "bytes": group.bytes.len(), "seal_ok": seen.sealed },
        "origin": group.log.origin.to_string(),
        "incarnation": group.log.incarnation.to_string(),
        "segment": seen.segment,
        "offset": seen.offset,
        "records": group.entries().map(record).collect::<Vec<_>>(),
    })
}

fn log_json(report: &LogReport) -> Value {
    let LogReport { log, base, last, bytes, segments, marked, applied, set_aside: (files, aside), fork, verdict } = report;
    let (state, place) = match verdict {
        Verdict::Whole => ("whole", None),
        Verdict::Unfinished { segment, offset, why } => ("unfinished", Some((segment, offset, why))),
        Verdict::Damaged { segment, offset, why } => ("damaged", Some((segment, offset, why))),
    };
    json!({
        "log": { "state": state, "base": base, "records": last, "bytes": bytes, "segments": segments, "durable_mark": marked, "applied": applied },
        "origin": log.origin.to_string(),
        "incarnation": log.incarnation.to_string(),
        "set_aside": { "files": files, "bytes": aside },
        "fork_at": fork,
        "ends_at": place.map(|(segment, offset, why)| json!({ "segment": segment, "offset": offset, "why": why })),
    })
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
