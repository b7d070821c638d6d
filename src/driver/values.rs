//! A state for those who want none of their own: the last value of each key, over all nodes, kept in memory and in one file.
//!
//! ```text
//!  payload of a record   "vkv1" | time_us u64 | key length u16 | key | 1 u8, value, or 0 u8 if the key is removed
//!  file, any number of   length u32 | crc32c u32 | origin 32 | incarnation u64 | seq u64 | payload (empty: a cursor)
//!  state of a snapshot   the same, one for each key in their order, then the cursors
//!  file written anew     the same behind one of origin 0, incarnation 0, how many there are, "vkvn"; later ones in the order they came
//! ```
//!
//! Little-endian. The later time wins, then the greater log and number, so that all nodes agree whatever order records come in. The file
//! is its own cursor: what a power cut takes of its end is applied again, and everything where more than its end is lost. Never syncs for a record; a snapshot does, before records go.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use crate::base::{Error, Incarnation, LogId, PeerId, Result, limits};
use crate::driver::known::put_whole;

/// The file's name in a data directory.
pub(crate) const VALUES_FILE: &str = "values";

const MARK: &[u8; 4] = b"vkv1";
/// Payload of the entry that says how many follow which were written at once.
const COUNT_MARK: &[u8; 4] = b"vkvn";
/// Whose entry that is.
const NOBODY: LogId = LogId { origin: PeerId([0; 32]), incarnation: Incarnation(0) };
/// Bytes of an entry beside its payload.
const HEAD_BYTES: usize = 4 + 4 + 32 + 8 + 8;

/// When a value was put, and by which record.
type Stamp = (u64, LogId, u64);

/// The last value of each key.
#[derive(Debug, Default)]
pub(crate) struct Values {
    /// By key: the stamp and the payload of the record that won.
    last: BTreeMap<Vec<u8>, (Stamp, Vec<u8>)>,
    cursors: BTreeMap<LogId, u64>,
    file: Option<(PathBuf, File)>,
    written: u64,
    /// The file may end in half an entry, or lack some: it is written anew before anything else goes to it.
    is_broken: bool,
    /// What was found wrong with the file, if anything.
    pub(crate) damage: Option<String>,
    /// This node's logs may have records of its own that are not here.
    pub(crate) lacks_own: bool,
}

/// The payload that puts a value, or removes the key.
pub(crate) fn payload(time_us: u64, key: &[u8], value: Option<&[u8]>) -> Result<Vec<u8>> {
    let key_len = u16::try_from(key.len()).map_err(|_| Error::TooLarge { what: "key", got: key.len(), max: u16::MAX.into() })?;
    let mut out = MARK.to_vec();
    out.extend_from_slice(&time_us.to_le_bytes());
    out.extend_from_slice(&key_len.to_le_bytes());
    out.extend_from_slice(key);
    out.push(u8::from(value.is_some()));
    out.extend_from_slice(value.unwrap_or_default());
    Ok(out)
}

type Parsed<'a> = (u64, &'a [u8], Option<&'a [u8]>);

/// Time, key and value of a payload; `None` if it is none of these.
fn parse(payload: &[u8]) -> Option<Parsed<'_>> {
    let (time, rest) = payload.strip_prefix(MARK)?.split_first_chunk::<8>()?;
    let (key_len, rest) = rest.split_first_chunk::<2>()?;
    let (key, rest) = rest.split_at_checked(u16::from_le_bytes(*key_len).into())?;
    let value = match rest.split_first()? {
        (0, []) => None,
        (1, value) => Some(value),
        _ => return None,
    };
    Some((u64::from_le_bytes(*time), key, value))
}

fn entry(log: &LogId, seq: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 8];
    out.extend_from_slice(&log.origin.0);
    out.extend_from_slice(&log.incarnation.0.to_le_bytes());
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(payload);
    let (len, crc) = ((out.len() as u32).to_le_bytes(), crc32c::crc32c(&out[8..]).to_le_bytes());
    out[..4].copy_from_slice(&len);
    out[4..8].copy_from_slice(&crc);
    out
}

/// The next entry; `None` at the end. `UnexpectedEof` where a write was cut off, `InvalidData` for what is no entry.
fn read_entry(input: &mut dyn Read) -> io::Result<Option<(LogId, u64, Vec<u8>)>> {
    let mut head = [0; HEAD_BYTES];
    let mut have = 0;
    while have < head.len() {
        match input.read(&mut head[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let part = |from: usize| head.get(from..from + 8).and_then(|part| part.try_into().ok()).map_or(0, u64::from_le_bytes);
    let (len, crc) = ((part(0) & 0xffff_ffff) as usize, (part(0) >> 32) as u32);
    if !(HEAD_BYTES..=HEAD_BYTES + limits::RECORD_PAYLOAD_MAX_BYTES).contains(&len) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("an entry of {len} bytes is none of the last values")));
    }
    let mut payload = vec![0; len - HEAD_BYTES];
    input.read_exact(&mut payload)?;
    if crc32c::crc32c_append(crc32c::crc32c(&head[8..]), &payload) != crc {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an entry whose checksum is wrong is none of the last values"));
    }
    let mut origin = [0; 32];
    origin.copy_from_slice(&head[8..40]);
    Ok(Some((LogId { origin: PeerId(origin), incarnation: Incarnation(part(40)) }, part(48), payload)))
}

impl Values {
    /// Reads the file of a data directory, cuts off what was written by half, and keeps it short; without one all is in memory.
    pub(crate) fn open(dir: Option<&Path>) -> Result<Values> {
        let mut values = Values::default();
        let Some(path) = dir.map(|dir| dir.join(VALUES_FILE)) else { return Ok(values) };
        let failed = || format!("reading {}", path.display());
        match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            other => {
                let mut input = io::BufReader::new(other.map_err(Error::io(failed()))?);
                if !values.read_file(&mut input).map_err(Error::io(failed()))? {
                    // What is missing may be of any log, and have any number.
                    values.cursors.clear();
                    let what = format!("{} is damaged: not all that was written at once can be read", path.display());
                    values.damage = Some(format!("{what}; everything is taken from the logs or the newest snapshot again"));
                }
            }
        }
        if let Err(error) = values.rewrite(path.clone()) {
            let is_full = |kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            if !matches!(&error, Error::Io { source, .. } if is_full(source.kind())) {
                return Err(error);
            }
            // What a full disk does not take now it may with the next value: what was written is there as it was.
            let file = OpenOptions::new().append(true).open(&path).map_err(|_| error)?;
            values.file = Some((path, file));
        }
        Ok(values)
    }

    /// Takes in a file as far as it can be read; whether all is there that was written at once. What is missing behind that was written
    /// by half, and the cursors say what is to come again.
    fn read_file(&mut self, input: &mut dyn Read) -> io::Result<bool> {
        // Of those that were written at once; unknown before their number was read.
        let mut left = None;
        loop {
            match read_entry(input) {
                Ok(Some((NOBODY, count, payload))) if left.is_none() && payload == COUNT_MARK => left = Some(count),
                Ok(Some((log, seq, payload))) => match &mut left {
                    Some(left) if *left > 0 => {
                        *left -= 1;
                        self.place(log, seq, payload);
                    }
                    _ => self.merge(log, seq, payload),
                },
                Ok(None) => return Ok(left.unwrap_or(0) == 0),
                Err(e) if matches!(e.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) => return Ok(left == Some(0)),
                Err(e) => return Err(e),
            }
        }
    }

    /// Writes the file anew: one entry for each key, and the cursors.
    fn rewrite(&mut self, path: PathBuf) -> Result<()> {
        // Until this is done nobody knows which file stands there.
        self.is_broken = true;
        let mut bytes = entry(&NOBODY, (self.last.len() + self.cursors.len()) as u64, COUNT_MARK);
        self.write_to(&mut bytes).map_err(Error::io("writing the last values".to_owned()))?;
        put_whole(&path, &bytes)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(Error::io(format!("opening {}", path.display())))?;
        (self.file, self.written, self.is_broken) = (Some((path, file)), bytes.len() as u64, false);
        Ok(())
    }

    /// Writes the file anew if a write to it has failed.
    fn mend(&mut self) -> io::Result<()> {
        match &self.file {
            Some((path, _)) if self.is_broken => {
                let path = path.clone();
                self.rewrite(path).map_err(io::Error::other)
            }
            _ => Ok(()),
        }
    }

    /// One of many that were written at once, in the order of their keys: only what is no value says how far a log was taken.
    fn place(&mut self, log: LogId, seq: u64, payload: Vec<u8>) {
        if payload.is_empty() { self.merge(log, seq, payload) } else { self.keep(log, seq, payload) }
    }

    fn merge(&mut self, log: LogId, seq: u64, payload: Vec<u8>) {
        let cursor = self.cursors.entry(log).or_default();
        *cursor = seq.max(*cursor);
        self.keep(log, seq, payload);
    }

    fn keep(&mut self, log: LogId, seq: u64, payload: Vec<u8>) {
        let Some((time_us, key, _)) = parse(&payload) else { return };
        let stamp = (time_us, log, seq);
        if self.last.get(key).is_none_or(|(last, _)| *last < stamp) {
            self.last.insert(key.to_vec(), (stamp, payload));
        }
    }

    /// A record of any log, each log's in their order. One that was taken before, or puts no value, changes nothing but the cursor.
    pub(crate) fn take(&mut self, log: LogId, seq: u64, payload: &[u8]) -> io::Result<()> {
        if self.cursors.get(&log).is_some_and(|cursor| seq <= *cursor) {
            return Ok(());
        }
        let payload = if parse(payload).is_some() { payload } else { &[] };
        self.mend()?;
        if let Some((_, file)) = &mut self.file {
            let entry = entry(&log, seq, payload);
            let done = file.write_all(&entry);
            self.is_broken = done.is_err();
            done?;
            self.written += entry.len() as u64;
        }
        self.merge(log, seq, payload.to_vec());
        Ok(())
    }

    /// [`Values::take`] of a record of this node's own log, which is durable there: memory has it in any case. What the file cannot take
    /// now it gets with the next entry or snapshot, or from the log at the next open.
    pub(crate) fn take_own(&mut self, log: LogId, seq: u64, payload: &[u8]) {
        if self.take(log, seq, payload).is_err() {
            self.is_broken = true;
            self.merge(log, seq, payload.to_vec());
        }
    }

    /// The last record taken of a log.
    pub(crate) fn cursor(&self, log: &LogId) -> Option<u64> {
        self.cursors.get(log).copied()
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.last.get(key).and_then(|(_, payload)| parse(payload)?.2.map(<[u8]>::to_vec))
    }

    /// Every key that has a value.
    pub(crate) fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.last.keys().filter_map(|key| Some((key.clone(), self.get(key)?))).collect()
    }

    /// The first key that has a value, or the first behind `after`.
    pub(crate) fn next_key(&self, after: Option<&[u8]>) -> Option<&[u8]> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut behind = self.last.range::<[u8], _>((from, Bound::Unbounded));
        behind.find(|(_, (_, payload))| parse(payload).is_some_and(|(.., value)| value.is_some())).map(|(key, _)| key.as_slice())
    }

    /// A time for the next value of a key that is later than that of its last one, whatever the clocks say.
    pub(crate) fn time_for(&self, key: &[u8], now_us: u64) -> u64 {
        self.last.get(key).map_or(now_us, |((last, ..), _)| now_us.max(last.saturating_add(1)))
    }

    /// Writes everything.
    pub(crate) fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        for ((_, log, seq), payload) in self.last.values() {
            out.write_all(&entry(log, *seq, payload))?;
        }
        self.cursors.iter().try_for_each(|(log, seq)| out.write_all(&entry(log, *seq, &[])))
    }

    /// Makes the file durable, and short again where it has grown: before records go that are in it.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        self.mend()?;
        let live: usize = self.last.values().map(|(_, payload)| HEAD_BYTES + payload.len()).sum();
        match &self.file {
            Some((path, _)) if self.written > 2 * live as u64 + limits::SNAPSHOT_PIECE_BYTES as u64 => {
                let path = path.clone();
                self.rewrite(path).map_err(io::Error::other)
            }
            Some((_, file)) => {
                let done = file.sync_data();
                // A second sync would say that all is well.
                self.is_broken = done.is_err();
                done
            }
            None => Ok(()),
        }
    }

    /// Takes in what another node wrote by [`Values::write_to`], durably, and as a whole or not at all. What is later here stays, so
    /// that records of this node that are not in it need nothing done.
    pub(crate) fn read_from(&mut self, input: &mut dyn Read, places: &[(LogId, u64)]) -> io::Result<()> {
        let mut all = Vec::new();
        while let Some(entry) = read_entry(input)? {
            all.push(entry);
        }
        // Nothing changes before all of it was read, nor if it cannot be kept.
        let before = (self.last.clone(), self.cursors.clone());
        for (log, seq, payload) in all.into_iter().chain(places.iter().map(|(log, seq)| (*log, *seq, Vec::new()))) {
            self.place(log, seq, payload);
        }
        let path = self.file.as_ref().map(|(path, _)| path.clone());
        let done = path.map_or(Ok(()), |path| self.rewrite(path).map_err(io::Error::other));
        if done.is_err() {
            (self.last, self.cursors) = before;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(n: u8) -> LogId {
        LogId { origin: PeerId([n; 32]), incarnation: Incarnation(1) }
    }

    fn put(time_us: u64, key: &str, value: &str) -> Vec<u8> {
        payload(time_us, key.as_bytes(), Some(value.as_bytes())).expect("short")
    }

    #[test]
    fn the_latest_value_wins_in_whatever_order_records_come() {
        let records =
            [(log(1), 1, put(10, "k", "a")), (log(2), 1, put(10, "k", "b")), (log(3), 1, put(9, "k", "c")), (log(4), 1, b"?".to_vec())];
        for turn in 0..records.len() {
            let mut values = Values::default();
            for (log, seq, payload) in records.iter().cycle().skip(turn).take(records.len()) {
                values.take(*log, *seq, payload).expect("memory");
                values.take(*log, *seq, payload).expect("once more changes nothing");
            }
            assert_eq!(values.entries(), [(b"k".to_vec(), b"b".to_vec())]);
            assert_eq!((values.next_key(None), values.next_key(Some(b"k"))), (Some(&b"k"[..]), None));
            values.take(log(1), 2, &payload(values.time_for(b"k", 3), b"k", None).expect("short")).expect("memory");
            assert_eq!((values.get(b"k"), values.entries().len(), values.cursor(&log(4))), (None, 0, Some(1)));
            assert_eq!(values.next_key(None), None);
        }
    }

    #[test]
    fn a_file_whose_end_was_cut_off_anywhere_holds_what_was_before_and_says_so_by_its_cursor() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut values = Values::open(Some(dir.path())).expect("made");
        (1..=5).for_each(|n| values.take(log(1), n, &put(n, &format!("key {n}"), "value")).expect("written"));
        let path = dir.path().join(VALUES_FILE);
        let whole = std::fs::read(&path).expect("there");
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("written");
            let mut values = Values::open(Some(dir.path())).expect("readable");
            let cursor = values.cursor(&log(1)).unwrap_or(0);
            assert_eq!(values.entries().len() as u64, cursor);
            (cursor + 1..=5).for_each(|n| values.take(log(1), n, &put(n, &format!("key {n}"), "value")).expect("written"));
            assert_eq!(Values::open(Some(dir.path())).expect("readable").entries().len(), 5);
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_in_the_file_has_everything_that_may_be_lost_taken_again() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let records: Vec<_> = (1..=6).map(|n| (n, put(n, &format!("key {}", 9 - n), "value"))).collect();
        let take = |values: &mut Values, upto: u64| {
            let next = values.cursor(&log(1)).unwrap_or(0) + 1;
            records
                .iter()
                .filter(|(seq, _)| (next..=upto).contains(seq))
                .for_each(|(seq, put)| values.take(log(1), *seq, put).expect("written"));
        };
        take(&mut Values::open(Some(dir.path())).expect("made"), 4);
        // Written anew in the order of the keys, and two more behind.
        take(&mut Values::open(Some(dir.path())).expect("readable"), 6);
        let path = dir.path().join(VALUES_FILE);
        let whole = std::fs::read(&path).expect("there");
        let mut told = 0;
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, damaged).expect("written");
            let mut values = Values::open(Some(dir.path())).expect("readable");
            told += usize::from(values.damage.is_some());
            // It ends again before all was taken.
            let some = values.cursor(&log(1)).unwrap_or(0) + 1;
            take(&mut values, some);
            let mut values = Values::open(Some(dir.path())).expect("readable");
            assert_eq!(values.cursor(&log(1)), Some(some.min(6)), "byte {at}");
            take(&mut values, 6);
            assert_eq!(values.entries().len(), 6, "byte {at}");
        }
        assert!(told > whole.len() / 2, "{told} of {}", whole.len());
    }

    #[test]
    fn a_state_that_is_read_keeps_what_is_later_here() {
        let (mut a, mut b) = (Values::default(), Values::default());
        a.take(log(1), 7, &put(5, "x", "of a")).expect("memory");
        a.take(log(1), 8, &put(6, "y", "of a")).expect("memory");
        b.take(log(2), 1, &put(9, "x", "of b")).expect("memory");
        let mut state = Vec::new();
        a.write_to(&mut state).expect("memory");
        b.read_from(&mut &state[..], &[(log(1), 8), (log(3), 4)]).expect("whole");
        assert_eq!(b.entries(), [(b"x".to_vec(), b"of b".to_vec()), (b"y".to_vec(), b"of a".to_vec())]);
        assert_eq!((b.cursor(&log(1)), b.cursor(&log(2)), b.cursor(&log(3))), (Some(8), Some(1), Some(4)));
    }

    /// Whatever is written to the file from now on fails.
    fn fill_disk(values: &mut Values) {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("there");
        values.file.as_mut().expect("on disk").1 = full;
    }

    #[test]
    fn a_write_that_failed_costs_neither_its_entry_nor_those_behind_it() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut values = Values::open(Some(dir.path())).expect("made");
        values.take(log(1), 1, &put(1, "a", "1")).expect("written");
        fill_disk(&mut values);
        values.take(log(1), 2, &put(2, "b", "2")).expect_err("no room");
        assert_eq!((values.cursor(&log(1)), values.get(b"b")), (Some(1), None), "it comes again");
        // Half of it may be there.
        let path = dir.path().join(VALUES_FILE);
        OpenOptions::new().append(true).open(&path).expect("there").write_all(&[99; 7]).expect("written");
        values.take(log(1), 2, &put(2, "b", "2")).expect("there is room again");
        values.take(log(1), 3, &put(3, "c", "3")).expect("written");
        assert_eq!(Values::open(Some(dir.path())).expect("readable").entries(), values.entries());
        assert_eq!(values.entries().len(), 3);
    }

    #[test]
    fn a_record_of_the_own_log_counts_although_the_file_cannot_take_it_and_is_there_before_records_go() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut values = Values::open(Some(dir.path())).expect("made");
        fill_disk(&mut values);
        values.take_own(log(1), 1, &put(1, "a", "1"));
        assert_eq!((values.cursor(&log(1)), values.get(b"a")), (Some(1), Some(b"1".to_vec())));
        values.settle().expect("there is room again");
        assert_eq!(Values::open(Some(dir.path())).expect("readable").get(b"a"), Some(b"1".to_vec()));
        fill_disk(&mut values);
        values.take_own(log(1), 2, &put(2, "b", "2"));
        values.take_own(log(1), 3, &put(3, "c", "3"));
        assert_eq!(Values::open(Some(dir.path())).expect("readable").cursor(&log(1)), Some(3), "the next one brought both");
    }

    #[test]
    fn a_state_that_cannot_be_kept_or_is_none_changes_nothing() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let home = dir.path().join("home");
        std::fs::create_dir(&home).expect("made");
        let (mut a, mut b) = (Values::default(), Values::open(Some(&home)).expect("made"));
        a.take(log(1), 7, &put(5, "x", "of a")).expect("memory");
        b.take(log(2), 1, &put(4, "x", "of b")).expect("written");
        let mut state = Vec::new();
        a.write_to(&mut state).expect("memory");
        let as_before = |b: &Values| assert_eq!((b.get(b"x"), b.cursor(&log(1))), (Some(b"of b".to_vec()), None));
        for foreign in [&b"{\"x\": 1}"[..], &[0; 200], &state[..state.len() - 1], &state[..20]] {
            b.read_from(&mut &foreign[..], &[(log(1), 7)]).expect_err("no state of this form");
            as_before(&b);
        }
        std::fs::remove_dir_all(&home).expect("there");
        b.read_from(&mut &state[..], &[(log(1), 7)]).expect_err("no directory");
        as_before(&b);
        std::fs::create_dir(&home).expect("made");
        b.settle().expect("written anew");
        as_before(&Values::open(Some(&home)).expect("readable"));
        b.read_from(&mut &state[..], &[(log(1), 7)]).expect("whole");
        assert_eq!(b.get(b"x"), Some(b"of a".to_vec()));
    }
}
