//! A disk that loses what was not synced, tears writes, fills up, and fails a sync the way real ones do; and what the log
//! makes of a failing disk.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{assert_holds, log_of, open, payload, payloads};
use crate::base::limits;
use crate::sync::{MemStorage, Storage, StoreError, WalError};

const BLOCK: u64 = 512;

/// A disk shared by whoever holds a clone of it.
#[derive(Clone, Default)]
pub(super) struct Faulty(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What a process sees.
    visible: MemStorage,
    /// What a power cut leaves.
    durable: MemStorage,
    /// Changes of `visible` that no sync has covered, in order.
    pending: Vec<(String, Change)>,
    /// Changing calls until the power is gone.
    power: Option<u32>,
    /// Bytes that still fit.
    room: Option<usize>,
    /// So many syncs of files whose names end like this fail from now on.
    bad_end: &'static str,
    bad_syncs: u32,
    syncs: u32,
    writes: u32,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
    /// Zeros up to this length.
    Grow(u64),
}

impl Change {
    fn apply(&self, path: &str, disk: &mut MemStorage) {
        match self {
            Change::Write(at, data) => disk.write(path, *at, data).expect("memory"),
            // Cutting a file that never reached the disk is no change.
            Change::Truncate(len) => disk.truncate(path, *len).unwrap_or(()),
            Change::Grow(len) => {
                let old = disk.len(path).unwrap_or(0);
                disk.write(path, old, &vec![0; len.saturating_sub(old) as usize]).expect("memory");
            }
        }
    }
}

impl State {
    fn spend(&mut self) -> io::Result<()> {
        match &mut self.power {
            Some(0) => Err(io::Error::other("no power")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn change(&mut self, path: &str, change: Change) {
        change.apply(path, &mut self.visible);
        self.pending.push((path.to_owned(), change));
    }
}

impl Faulty {
    /// As if somebody had removed the file, and that were durable.
    pub(super) fn forget(&self, path: &str) {
        let mut state = self.0.lock();
        state.visible.files_mut().remove(path);
        state.durable.files_mut().remove(path);
        state.pending.retain(|(name, _)| name != path);
    }

    pub(super) fn cut_power_after(&self, calls: u32) {
        self.0.lock().power = Some(calls);
    }

    pub(super) fn set_room(&self, bytes: Option<usize>) {
        self.0.lock().room = bytes;
    }

    pub(super) fn fail_syncs(&self, count: u32) {
        self.fail_syncs_of(".wal", count);
    }

    /// Fails so many syncs of files whose names end so.
    pub(super) fn fail_syncs_of(&self, end: &'static str, count: u32) {
        (self.0.lock().bad_end, self.0.lock().bad_syncs) = (end, count);
    }

    /// Writes and syncs of segments so far.
    pub(super) fn calls(&self) -> (u32, u32) {
        let state = self.0.lock();
        (state.writes, state.syncs)
    }

    /// The disk after a power cut: of the un-synced blocks any may have arrived.
    pub(super) fn after_power_cut(&self, rng: &mut fastrand::Rng) -> Faulty {
        let state = self.0.lock();
        let mut durable = state.durable.clone();
        state.pending.iter().for_each(|(path, change)| arrive(path, change, &mut durable, rng));
        Faulty(Arc::new(Mutex::new(State { visible: durable.clone(), durable, ..State::default() })))
    }

    /// The disk as a process started after a mere crash sees it.
    pub(super) fn after_kill(&self) -> Faulty {
        let mut state = self.0.lock();
        (state.power, state.room, state.bad_syncs) = (None, None, 0);
        self.clone()
    }
}

/// Some blocks of a change reach the disk.
fn arrive(path: &str, change: &Change, durable: &mut MemStorage, rng: &mut fastrand::Rng) {
    let Change::Write(at, data) = change else {
        if rng.bool() {
            change.apply(path, durable);
        }
        return;
    };
    let (mut from, end) = (*at, at + data.len() as u64);
    while from < end {
        let mut to = ((from / BLOCK + 1) * BLOCK).min(end);
        if rng.u8(..8) == 0 {
            to = rng.u64(from..=to);
        }
        if rng.bool() {
            durable.write(path, from, &data[(from - at) as usize..(to - at) as usize]).expect("memory");
        }
        from = ((from / BLOCK + 1) * BLOCK).min(end);
    }
}

impl Storage for Faulty {
    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        self.0.lock().visible.list(prefix)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        self.0.lock().visible.len(path)
    }

    fn read(&self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0.lock().visible.read(path, offset, buf)
    }

    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock();
        state.writes += u32::from(path.ends_with(".wal"));
        let powered = state.spend();
        let fits = state.room.map_or(data.len(), |room| room.min(data.len()));
        state.room = state.room.map(|room| room - fits);
        let torn = if powered.is_err() { data.len() / 2 } else { fits };
        state.change(path, Change::Write(offset, data[..torn].to_vec()));
        powered?;
        if fits < data.len() { Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device")) } else { Ok(()) }
    }

    fn reserve(&mut self, path: &str, len: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        if state.power == Some(0) || state.room.is_some() {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device"));
        }
        state.change(path, Change::Grow(len));
        Ok(())
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        state.spend()?;
        let state = &mut *state;
        state.syncs += u32::from(path.ends_with(".wal"));
        let (mine, rest) = std::mem::take(&mut state.pending).into_iter().partition(|(p, _)| p == path);
        state.pending = rest;
        let mine: Vec<(String, Change)> = mine;
        if state.bad_syncs > 0 && path.ends_with(state.bad_end) {
            // The pages count as clean from now on although only some of them arrived: the next sync will not write them.
            state.bad_syncs -= 1;
            let mut rng = fastrand::Rng::with_seed(u64::from(state.syncs));
            mine.iter().for_each(|(_, change)| arrive(path, change, &mut state.durable, &mut rng));
            return Err(io::Error::other("input/output error"));
        }
        mine.iter().for_each(|(_, change)| change.apply(path, &mut state.durable));
        Ok(())
    }

    fn truncate(&mut self, path: &str, len: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        state.spend()?;
        state.visible.len(path)?;
        state.change(path, Change::Truncate(len));
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        state.spend()?;
        let state = &mut *state;
        state.visible.rename(from, to)?;
        if state.durable.len(from).is_ok() {
            state.durable.rename(from, to)?;
        }
        state.pending.retain(|(path, _)| path != to);
        state.pending.iter_mut().filter(|(path, _)| path == from).for_each(|(path, _)| to.clone_into(path));
        Ok(())
    }
}

#[test]
fn an_append_of_many_groups_is_one_write_and_one_sync() {
    let disk = Faulty::default();
    let mut wal = open(disk.clone(), 1);
    wal.append(0, &payloads(1, 1, 10)).expect("works");
    let (writes, syncs) = disk.calls();
    let groups = wal.append(0, &payloads(2, 1000, 10)).expect("works");
    assert_eq!(groups.len(), 4);
    assert_eq!(disk.calls(), (writes + 1, syncs + 1));
    let mut other = open(MemStorage::new(), 2);
    let theirs = other.append(0, &payloads(1, 1000, 10)).expect("memory");
    assert!(wal.store(&theirs).iter().all(Result::is_ok));
    assert_eq!(disk.calls(), (writes + 2, syncs + 2));
}

#[test]
fn a_reopened_log_continues_its_numbers() {
    let mut disk = Faulty::default();
    for round in 0..5 {
        let mut wal = open(disk.clone(), 1);
        wal.set_segment_max(1000);
        assert_holds(&wal, log_of(1, 1), round * 10, 50);
        wal.append(0, &payloads(round * 10 + 1, 10, 50)).expect("works");
        wal.close().expect("works");
        disk = disk.after_power_cut(&mut fastrand::Rng::with_seed(round));
    }
}

#[test]
fn a_full_disk_leaves_the_log_readable_and_usable_once_there_is_room() {
    let disk = Faulty::default();
    let mut wal = open(disk.clone(), 1);
    let log = wal.own();
    wal.append(0, &payloads(1, 10, 50)).expect("room");
    for room in [0, 1, 700] {
        disk.set_room(Some(room));
        let error = wal.append(0, &payloads(11, 10, 50)).expect_err("full");
        assert!(matches!(error, WalError::Disk { .. }));
        let text = error.to_string();
        assert!(text.contains("cannot write log/") && text.contains("no space left on device"), "{text}");
        assert_holds(&wal, log, 10, 50);
        assert_holds(&open(disk.clone(), 1), log, 10, 50);
    }
    disk.set_room(None);
    wal.append(0, &payloads(11, 10, 50)).expect("room again");
    assert_holds(&wal, log, 20, 50);
    assert_holds(&open(disk, 1), log, 20, 50);
}

#[test]
fn a_full_disk_at_the_start_of_a_segment_leaves_the_log_usable() {
    let disk = Faulty::default();
    let mut wal = open(disk.clone(), 1);
    wal.set_segment_max(1);
    wal.append(0, &payloads(1, 10, 50)).expect("room");
    disk.set_room(Some(40));
    wal.append(0, &payloads(11, 10, 50)).expect_err("full");
    disk.set_room(None);
    assert_holds(&open(disk.clone(), 1), wal.own(), 10, 50);
    wal.append(0, &payloads(11, 10, 50)).expect("room again");
    assert_holds(&open(disk, 1), wal.own(), 20, 50);
}

#[test]
fn a_failed_sync_is_never_success_and_its_records_never_count() {
    for failures in 1..4 {
        let disk = Faulty::default();
        let mut wal = open(disk.clone(), 1);
        let log = wal.own();
        wal.append(0, &payloads(1, 10, 50)).expect("works");
        disk.fail_syncs(failures);
        let error = wal.append(0, &payloads(90, 10, 50)).expect_err("the sync failed").to_string();
        assert!(error.contains("cannot sync log/") && error.contains("input/output error"), "{error}");
        assert_holds(&wal, log, 10, 50);
        if failures > 2 {
            let error = wal.append(0, &payloads(11, 10, 50)).expect_err("cannot be undone yet").to_string();
            assert!(error.contains("takes no records since the disk failed: cannot sync"), "{error}");
            assert_holds(&wal, log, 10, 50);
        }
        wal.append(0, &payloads(11, 10, 50)).expect("undone, and works again");
        assert_holds(&wal, log, 20, 50);
        for seed in 0..50 {
            let cut = disk.after_power_cut(&mut fastrand::Rng::with_seed(seed));
            assert_holds(&open(cut, 1), log, 20, 50);
        }
    }
}

#[test]
fn records_found_after_a_failed_sync_are_written_again_before_they_count() {
    for seed in 0..200 {
        let disk = Faulty::default();
        let mut wal = open(disk.clone(), 1);
        wal.append(0, &payloads(1, 10, 50)).expect("works");
        disk.fail_syncs(1);
        // The process dies between the failed sync and the cut: the records are in the page cache, marked clean.
        disk.cut_power_after(2);
        wal.append(0, &payloads(11, 10, 50)).expect_err("the sync failed");
        let mut wal = open(disk.after_kill(), 1);
        assert_holds(&wal, log_of(1, 1), 20, 50);
        wal.append(0, &payloads(21, 10, 50)).expect("works");
        let cut = disk.after_power_cut(&mut fastrand::Rng::with_seed(seed));
        assert_holds(&open(cut, 1), log_of(1, 1), 30, 50);
    }
}

#[test]
fn two_logs_do_not_disturb_each_other() {
    let disk = Faulty::default();
    let mut wal = open(disk.clone(), 1);
    let (mut second, mut third) = (open(MemStorage::new(), 2), open(MemStorage::new(), 3));
    let mut groups = second.append(0, &payloads(1, 3, 50)).expect("memory");
    groups.extend(third.append(0, &payloads(1, 3, 50)).expect("memory"));
    groups.sort_by_key(|group| group.log);
    disk.fail_syncs(1);
    let verdicts = wal.store(&groups);
    assert!(matches!(&verdicts[0], Err(StoreError::Disk(why)) if why.contains("input/output error")), "{verdicts:?}");
    assert!(verdicts[1].is_ok());
    assert_eq!(wal.states().len(), 2, "own and stored");
    wal.append(0, &payloads(1, 5, 50)).expect("works");
    assert!(wal.store(&groups).iter().all(Result::is_ok));
    let wal = open(disk.after_power_cut(&mut fastrand::Rng::with_seed(1)), 1);
    for (log, records) in [(log_of(1, 1), 5), (log_of(2, 1), 3), (log_of(3, 1), 3)] {
        assert_holds(&wal, log, records, 50);
    }
}

#[test]
fn a_payload_over_the_limit_is_refused_before_anything_is_written() {
    let disk = Faulty::default();
    let mut wal = open(disk.clone(), 1);
    let large = bytes::Bytes::from(vec![0; limits::RECORD_PAYLOAD_MAX_BYTES + 1]);
    let error = wal.append(0, &[payload(1, 1), large.clone()]).expect_err("too large").to_string();
    assert_eq!(error, "record payload has 1048577 bytes, limit is 1048576");
    assert_eq!(disk.calls(), (0, 0));
    assert!(wal.append(0, &[]).expect("nothing to do").is_empty());
    let groups = wal.append(0, &[payload(1, 1), large.slice(1..), payload(3, 1)]).expect("fits");
    assert_eq!(groups.iter().map(|group| (group.first, group.last)).collect::<Vec<_>>(), [(1, 1), (2, 2), (3, 3)]);
    for from in 1..=3 {
        assert_eq!(wal.read(wal.own(), from, 1).expect("reads"), &groups[from as usize - 1..from as usize]);
    }
    assert_eq!(open(disk, 1).read(wal.own(), 1, usize::MAX).expect("reads"), groups);
}

#[test]
fn a_log_that_was_set_back_takes_nothing_until_a_new_one_could_be_begun() {
    let disk = Faulty::default();
    let mut wal = open(disk.clone(), 1);
    wal.append(0, &payloads(1, 3, 50)).expect("works");
    disk.set_room(Some(0));
    assert!(wal.renew(crate::base::Incarnation(9)).is_err() && wal.is_set_back());
    disk.set_room(None);
    for refused in [wal.append(0, &payloads(4, 1, 50)).map(drop), wal.append_buffered(0, &payloads(4, 1, 50)).map(drop)] {
        assert!(matches!(refused, Err(WalError::SetBack(log)) if log == log_of(1, 1)), "its numbers are used");
    }
    let log = wal.renew(crate::base::Incarnation(9)).expect("the disk has room");
    assert_eq!((wal.own(), wal.is_set_back()), (log, false));
    assert_eq!(wal.append(0, &payloads(1, 1, 50)).expect("works")[0].first, 1);
}
