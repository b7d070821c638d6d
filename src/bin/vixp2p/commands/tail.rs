//! `tail`: the records of a data directory, one a line. Reads only, so that a node may run on the directory meanwhile.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use vixp2p::base::limits;
use vixp2p::driver::disk::{self, DiskStorage};
use vixp2p::sync::Reader;

use crate::args::TailArgs;
use crate::failure::Failure;
use crate::line;

/// How often `--follow` looks.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

pub(crate) async fn run(args: TailArgs) -> Result<(), Failure> {
    let mut reader = open(&args.data)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut ticks = tokio::time::interval(FOLLOW_INTERVAL);
    // Also after a look that took long there is a pause.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let line = if args.long { line::long } else { line::short };
    loop {
        let groups = reader.poll(limits::READ_RECORDS_MAX_BYTES).map_err(|error| Failure::Runtime(error.to_string()))?;
        for group in &groups {
            for entry in group.entries() {
                writeln!(out, "{}", line(group.log, entry.seq, &entry.payload)).map_err(Failure::stdout)?;
            }
        }
        if !groups.is_empty() {
            continue;
        }
        out.flush().map_err(Failure::stdout)?;
        if !args.follow {
            break;
        }
        ticks.tick().await;
    }
    if !args.long {
        name_incarnations(&reader);
    }
    match reader.leftovers().first() {
        // Whoever writes the directory may be in the middle of it.
        Some(damage) if !disk::is_owned(&args.data) => {
            Err(Failure::Runtime(format!("{damage}; start a node on the directory to have it set aside")))
        }
        _ => Ok(()),
    }
}

/// A reader of the logs in `dir`.
pub(crate) fn open(dir: &Path) -> Result<Reader<DiskStorage>, Failure> {
    let metadata = std::fs::metadata(dir).map_err(Failure::io(format!("data directory {}", dir.display())))?;
    if !metadata.is_dir() {
        return Err(Failure::Runtime(format!("{} is not a directory", dir.display())));
    }
    Reader::open(DiskStorage::new(dir)).map_err(|error| Failure::Runtime(error.to_string()))
}

/// Numbers begin anew with every incarnation; whoever sees 1 twice should know why.
fn name_incarnations(reader: &Reader<DiskStorage>) {
    let mut incarnations: BTreeMap<_, usize> = BTreeMap::new();
    reader.logs().into_iter().for_each(|log| *incarnations.entry(log.origin).or_default() += 1);
    for (origin, count) in incarnations.into_iter().filter(|(_, count)| *count > 1) {
        // Only a hint.
        let _ = writeln!(io::stderr(), "vixp2p: {origin} has {count} incarnations, each counting from 1; --long tells them apart");
    }
}
