//! What the library itself keeps in a state, before the application's bytes: the records of the outbox that still mean something.
//!
//! ```text
//!  "VIXP2PST" | version u32 = 1 | count u32 | count x ( log | upto u64 )       every record of the log up to there was looked at
//!  | ( 1 u8 | log | seq u64 | time_us u64 | length u32 | payload ) ... | 0 u8   log: origin 32, incarnation u64; all little-endian
//! ```
//!
//! Written as a stream: nothing of it is held but one record.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::base::{Event, Incarnation, LogId, PeerId, limits};
use crate::driver::Shell;
use crate::driver::snapshots::Archive;
use crate::outbox::carry::Sieve;
use crate::outbox::{Body, OpId, is_ours};
use crate::sync::Group;

const MAGIC: &[u8; 8] = b"VIXP2PST";
const VERSION: u32 = 1;

/// A record of the outbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Carried {
    pub(crate) log: LogId,
    pub(crate) seq: u64,
    pub(crate) time_us: u64,
    pub(crate) payload: Vec<u8>,
}

/// Writes the section of a state that stands at these records: what the newest snapshot here carries, and what came since.
pub(crate) fn write(shell: &Arc<Shell>, upto: &BTreeMap<LogId, u64>, out: &mut dyn Write) -> io::Result<()> {
    let mut sieve = Sieve::default();
    let lost = every(shell, upto, &mut |record, body| {
        sieve.look(record.log, body);
        Ok(())
    })?;
    if let Some((log, base)) = lost {
        // Refusing would not bring them back, and no snapshot would be made again.
        let what = format!("records up to {base} of {log} are gone, and so is the snapshot that had them");
        shell.emit(Event::LogDamaged { detail: format!("{what}; operations put and keys executed there are forgotten") });
    }
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    out.write_all(&(upto.len() as u32).to_le_bytes())?;
    for (log, seq) in upto {
        write_log(log, out)?;
        out.write_all(&seq.to_le_bytes())?;
    }
    every(shell, upto, &mut |record, body| {
        if !sieve.keeps(record.log, record.seq, body) {
            return Ok(());
        }
        out.write_all(&[1])?;
        write_log(&record.log, out)?;
        out.write_all(&record.seq.to_le_bytes())?;
        out.write_all(&record.time_us.to_le_bytes())?;
        out.write_all(&(record.payload.len() as u32).to_le_bytes())?;
        out.write_all(&record.payload)
    })?;
    out.write_all(&[0])
}

fn write_log(log: &LogId, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&log.origin.0)?;
    out.write_all(&log.incarnation.0.to_le_bytes())
}

type Visit<'a> = &'a mut dyn FnMut(&Carried, &Body) -> io::Result<()>;

/// Every record of the outbox up to there: from the newest snapshot here, then from the logs. A log of which neither has the beginning.
fn every(shell: &Arc<Shell>, upto: &BTreeMap<LogId, u64>, visit: Visit<'_>) -> io::Result<Option<(LogId, u64)>> {
    let (mut had, mut lost) = (BTreeMap::new(), None);
    if let Some(mut input) = shell.snapshots.get().and_then(|archive| archive.newest_state()) {
        had = read_head(&mut input)?;
        while let Some(record) = read_record(&mut input)? {
            if let Ok(body) = Body::decode(&record.payload) {
                visit(&record, &body)?;
            }
        }
    }
    for (log, upto) in upto {
        let mut next = had.get(log).copied().unwrap_or(0) + 1;
        while next <= *upto {
            let groups = match shell.log.fetch_blocking(*log, next, limits::READ_RECORDS_MAX_BYTES) {
                Ok(groups) if groups.is_empty() => return Err(io::Error::other(format!("record {next} of {log} cannot be read"))),
                Ok(groups) => groups,
                Err(base) => {
                    // Let go of by a snapshot that is here no longer.
                    lost = Some((*log, base));
                    next = base + 1;
                    continue;
                }
            };
            for entry in groups.iter().flat_map(Group::entries).filter(|entry| entry.seq >= next && entry.seq <= *upto) {
                if is_ours(&entry.payload)
                    && let Ok(body) = Body::decode(&entry.payload)
                {
                    let (seq, time_us) = (entry.seq, entry.time_us);
                    visit(&Carried { log: *log, seq, time_us, payload: entry.payload.to_vec() }, &body)?;
                }
            }
            next = groups.last().map_or(next, |group| group.last) + 1;
        }
    }
    Ok(lost)
}

/// The beginning of a state: how far each log was looked at.
pub(crate) fn read_head(input: &mut dyn Read) -> io::Result<BTreeMap<LogId, u64>> {
    if array::<8>(input)? != *MAGIC || u32::from_le_bytes(array(input)?) != VERSION {
        return Err(io::Error::other("the state begins in a form that this version does not know"));
    }
    let count = u32::from_le_bytes(array(input)?) as usize;
    if count > limits::LOGS_MAX {
        return Err(io::Error::other(format!("the state names {count} logs, limit is {}", limits::LOGS_MAX)));
    }
    (0..count).map(|_| Ok((read_log(input)?, u64::from_le_bytes(array(input)?)))).collect()
}

/// The next record of the section; `None` at its end, where the application's bytes begin.
pub(crate) fn read_record(input: &mut dyn Read) -> io::Result<Option<Carried>> {
    match array::<1>(input)? {
        [0] => return Ok(None),
        [1] => {}
        _ => return Err(io::Error::other("the state's section of the outbox is not well formed")),
    }
    let (log, seq, time_us) = (read_log(input)?, u64::from_le_bytes(array(input)?), u64::from_le_bytes(array(input)?));
    let len = u32::from_le_bytes(array(input)?) as usize;
    if len > limits::RECORD_PAYLOAD_MAX_BYTES {
        return Err(io::Error::other(format!("the state has a record of {len} bytes, limit is {}", limits::RECORD_PAYLOAD_MAX_BYTES)));
    }
    let mut payload = vec![0; len];
    input.read_exact(&mut payload)?;
    Ok(Some(Carried { log, seq, time_us, payload }))
}

fn read_log(input: &mut dyn Read) -> io::Result<LogId> {
    Ok(LogId { origin: PeerId(array(input)?), incarnation: Incarnation(u64::from_le_bytes(array(input)?)) })
}

fn array<const N: usize>(input: &mut dyn Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Passes over the section of a state.
pub(crate) fn skip(input: &mut dyn Read) -> io::Result<()> {
    read_head(input)?;
    while read_record(input)?.is_some() {}
    Ok(())
}

/// How far each log was looked at, and the records that still mean something.
pub(crate) type Section = (BTreeMap<LogId, u64>, Vec<Carried>);

/// What the newest state here carries: how far each log was looked at, and the records. Their payloads are kept here only as long as it
/// takes to read them into the outbox.
pub(crate) fn all(archive: &Archive) -> io::Result<Option<Section>> {
    let Some(mut input) = archive.newest_state() else { return Ok(None) };
    let (head, mut records) = (read_head(&mut input)?, Vec::new());
    while let Some(record) = read_record(&mut input)? {
        records.push(record);
    }
    Ok(Some((head, records)))
}

/// The record of an operation that is no longer in its log.
pub(crate) fn find(archive: &Archive, id: &OpId) -> io::Result<Option<Carried>> {
    let Some(mut input) = archive.newest_state() else { return Ok(None) };
    read_head(&mut input)?;
    while let Some(record) = read_record(&mut input)? {
        if (record.log, record.seq) == (id.log, id.seq) {
            return Ok(Some(record));
        }
    }
    Ok(None)
}
