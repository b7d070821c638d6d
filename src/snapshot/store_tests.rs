//! What is found after a crash at every step of making, fetching and taking in.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::base::{Incarnation, LogId, limits};
use crate::crypto::{Identity, Secret};
use crate::snapshot::{Manifest, Place, SnapshotError, Store};
use crate::sync::{MemStorage, Storage, Wal};
use crate::wire::message::SnapshotId;

const PIECE: usize = limits::SNAPSHOT_PIECE_BYTES;

/// A disk that refuses everything after so many changes.
struct Dying {
    disk: MemStorage,
    changes: u32,
    spent: Arc<AtomicU32>,
    /// What cannot be read now.
    blind_to: &'static str,
}

fn dying(disk: MemStorage, changes: u32) -> Dying {
    Dying { disk, changes, spent: Arc::default(), blind_to: "?" }
}

impl Dying {
    fn spend(&mut self) -> io::Result<()> {
        self.spent.fetch_add(1, Ordering::SeqCst);
        self.changes = self.changes.checked_sub(1).ok_or_else(|| io::Error::other("the power is gone"))?;
        Ok(())
    }

    fn see(&self, path: &str) -> io::Result<()> {
        if path.ends_with(self.blind_to) { Err(io::Error::other("too many open files")) } else { Ok(()) }
    }
}

impl Storage for Dying {
    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        self.disk.list(prefix)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        self.see(path)?;
        self.disk.len(path)
    }

    fn read(&self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.see(path)?;
        self.disk.read(path, offset, buf)
    }

    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.spend().is_err() {
            // Half of it, the way a process dies.
            self.disk.write(path, offset, &data[..data.len() / 2])?;
            return Err(io::Error::other("the power is gone"));
        }
        self.disk.write(path, offset, data)
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        self.spend()?;
        self.disk.sync(path)
    }

    fn truncate(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.spend()?;
        self.disk.truncate(path, len)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.spend()?;
        self.disk.rename(from, to)
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.spend()?;
        self.disk.remove(path)
    }
}

fn identity(n: u8) -> Arc<Identity> {
    Arc::new(Identity::from_seed(&Secret::new([n; 32])))
}

fn places(records: u64) -> Vec<Place> {
    let mut wal = Wal::open(MemStorage::new(), identity(2), Incarnation(5)).expect("memory").0;
    (0..records).for_each(|_| drop(wal.append(1, &["x".into()]).expect("memory")));
    let log = wal.own();
    vec![Place { log, applied: records, sealed: wal.place_before(log, records).expect("memory") }]
}

fn state(fill: u8) -> Vec<u8> {
    (0..2 * PIECE + 100).map(|i| fill ^ (i / 9) as u8).collect()
}

fn open<S: Storage>(disk: S) -> Store<S> {
    let (store, faults) = Store::open(disk).expect("readable");
    assert!(faults.is_empty(), "{faults:?}");
    store
}

fn make<S: Storage>(store: &mut Store<S>, state: &[u8], records: u64) -> Result<SnapshotId, SnapshotError> {
    let mut making = store.begin_make()?;
    for bytes in state.chunks(PIECE / 3) {
        store.make_more(&mut making, bytes)?;
    }
    store.finish_make(making, identity(1).as_ref(), (7, "test"), places(records))
}

fn whole<S: Storage>(store: &mut Store<S>, id: &SnapshotId) -> Vec<u8> {
    (0..store.pieces(id).expect("held")).flat_map(|index| store.piece(id, index).expect("sound")).collect()
}

/// What a maker has: the disk, the snapshot's name, its state.
fn made() -> (MemStorage, SnapshotId, Vec<u8>) {
    let mut store = open(MemStorage::new());
    let id = make(&mut store, &state(1), 3).expect("memory");
    (store.disk, id, state(1))
}

#[test]
fn a_crash_while_one_is_made_leaves_the_ones_before_and_nothing_half() {
    let (disk, old, old_state) = made();
    for changes in 0.. {
        let mut store = open(dying(disk.clone(), changes));
        let done = make(&mut store, &state(2), 5);
        let mut after = open(store.disk.disk);
        assert_eq!(whole(&mut after, &old), old_state);
        let files = after.disk.list("snapshots/").expect("memory").len();
        match after.held().first().map(|held| held.id) {
            Some(id) if id != old => {
                assert_eq!((whole(&mut after, &id), files), (state(2), 6));
            }
            _ => assert!(done.is_err() && files == 3, "{files} files after {changes} changes"),
        }
        if done.is_ok() {
            assert!(changes > 8 && after.held().len() == 2);
            return;
        }
    }
}

/// Fetches from `from` whatever is missing at `store`; how many pieces that were.
fn fetch<S: Storage>(store: &mut Store<S>, from: &mut Store<MemStorage>, id: &SnapshotId) -> Result<u64, SnapshotError> {
    let signed = from.get(id).expect("held").signed.clone();
    store.begin_take(Manifest::prove(&signed, |_| true)?, &signed)?;
    if !store.has_hashes() {
        store.keep_hashes(id, &from.hashes(id).expect("held"))?;
    }
    let missing = store.missing();
    for index in &missing {
        store.keep_piece(id, *index, &from.piece(id, *index)?)?;
    }
    store.finish_take(id)?;
    Ok(missing.len() as u64)
}

#[test]
fn a_crash_while_one_is_fetched_costs_no_piece_that_was_written() {
    let (disk, id, state) = made();
    let mut from = open(disk);
    let pieces = from.pieces(&id).expect("held");
    for changes in 0.. {
        let mut store = open(dying(MemStorage::new(), changes));
        let done = fetch(&mut store, &mut from, &id);
        let had = store.taking().map(|_| store.missing().len() as u64);
        let mut after = open(store.disk.disk);
        if after.get(&id).is_none() {
            let was_there = after.taking().map_or(pieces, |_| after.missing().len() as u64);
            assert!(had.is_none_or(|had| was_there <= had), "{was_there} missing, before the crash {had:?}");
            assert_eq!(fetch(&mut after, &mut from, &id), Ok(was_there), "after {changes} changes");
        }
        assert_eq!(whole(&mut after, &id), state);
        assert!(after.taking().is_none() && after.disk.list("snapshots/").expect("memory").len() == 3);
        if done.is_ok() {
            assert!(changes > 8);
            return;
        }
    }
}

#[test]
fn a_disk_that_refused_once_while_one_was_fetched_leaves_nothing_half_behind() {
    let (disk, id, state) = made();
    let mut from = open(disk);
    for changes in 0.. {
        let mut store = open(dying(MemStorage::new(), changes));
        let first = fetch(&mut store, &mut from, &id);
        store.disk.changes = 1_000;
        if first.is_err() {
            fetch(&mut store, &mut from, &id).unwrap_or_else(|e| panic!("again after {changes} changes: {e}"));
        }
        let (mut after, faults) = Store::open(store.disk.disk).expect("memory");
        assert!(faults.is_empty(), "after {changes} changes: {faults:?}");
        assert_eq!(whole(&mut after, &id), state);
        if first.is_ok() {
            assert!(changes > 8);
            return;
        }
    }
}

#[test]
fn the_mark_is_there_until_the_last_step_and_holds_its_snapshot() {
    let (disk, id, state) = made();
    for changes in 0.. {
        let mut store = open(dying(disk.clone(), changes));
        let marked = store.mark(&id);
        let taken_in = marked.as_ref().is_ok_and(|()| store.unmark().is_ok());
        let mut after = open(store.disk.disk);
        assert_eq!(whole(&mut after, &id), state);
        assert!(after.marked().is_none_or(|mark| mark == id));
        if taken_in {
            assert_eq!(after.marked(), None);
            return;
        }
        if marked.is_ok() {
            assert_eq!(after.marked(), Some(id), "after {changes} changes");
            make(&mut after, b"two", 5).expect("memory");
            make(&mut after, b"three", 6).expect("memory");
            after.drop_old(1);
            assert!(after.get(&id).is_some() && after.held().len() == 2);
        }
    }
}

#[test]
fn false_parts_are_refused_and_damage_on_disk_is_found_when_it_is_read() {
    let (disk, id, state) = made();
    let mut from = open(disk);
    let mut store = open(MemStorage::new());
    let signed = from.get(&id).expect("held").signed.clone();
    store.begin_take(Manifest::prove(&signed, |_| true).expect("signed"), &signed).expect("memory");
    assert!(matches!(store.keep_hashes(&id, &[0; 96]), Err(SnapshotError::Refused(_))));
    store.keep_hashes(&id, &from.hashes(&id).expect("held")).expect("right");
    assert!(matches!(store.keep_piece(&id, 0, &state[1..=PIECE]), Err(SnapshotError::Refused(_))));
    assert!(store.finish_take(&id).is_err() && store.missing().len() == 3);
    store.keep_piece(&id, 0, &state[..PIECE]).expect("right");
    let path = store.disk.list("snapshots/").expect("memory").into_iter().find(|path| path.ends_with(".part")).expect("written");
    store.disk.files_mut().get_mut(&path).expect("there")[77] ^= 1;
    let mut store = open(store.disk);
    assert_eq!(store.missing(), [0, 1, 2], "the piece that rotted is fetched again");
    assert_eq!(fetch(&mut store, &mut from, &id), Ok(3));
    let path = format!("snapshots/{id}.state");
    store.disk.files_mut().get_mut(&path).expect("there")[PIECE + 5] ^= 1;
    assert!(matches!(store.piece(&id, 1), Err(SnapshotError::Damaged { .. })));
    assert!(store.held().is_empty() && store.disk.list("snapshots/").expect("memory").is_empty());
}

#[test]
fn the_latest_two_are_kept_and_another_fetch_takes_the_place_of_the_one_before() {
    let mut store = open(MemStorage::new());
    let ids: Vec<SnapshotId> = (1..=4).map(|n| make(&mut store, &[n as u8; 100], n).expect("memory")).collect();
    store.drop_old(2);
    assert_eq!(store.held().iter().map(|held| held.id).collect::<Vec<_>>(), [ids[3], ids[2]]);
    let (disk, id, _) = made();
    let mut from = open(disk);
    let signed = from.get(&id).expect("held").signed.clone();
    store.begin_take(Manifest::prove(&signed, |_| true).expect("signed"), &signed).expect("memory");
    let other = make(&mut from, b"other", 4).expect("memory");
    assert_eq!(fetch(&mut store, &mut from, &other), Ok(1));
    assert!(store.held().first().is_some_and(|held| held.id == ids[3] || held.id == other));
    assert!(store.disk.list("snapshots/").expect("memory").iter().all(|path| !path.contains(&id.to_string())));
}

#[test]
fn an_empty_state_is_a_snapshot_too() {
    let mut from = open(MemStorage::new());
    let id = make(&mut from, b"", 2).expect("memory");
    let mut store = open(MemStorage::new());
    assert_eq!(fetch(&mut store, &mut from, &id), Ok(1));
    assert_eq!(whole(&mut open(store.disk), &id), b"");
}

#[test]
fn a_disk_that_cannot_be_read_now_costs_no_snapshot() {
    let (disk, id, _) = made();
    let mut store = open(disk);
    store.mark(&id).expect("memory");
    for blind_to in [".manifest", ".hashes", ".state", "installing"] {
        let disk = Dying { blind_to, ..dying(store.disk.clone(), 100) };
        let spent = disk.spent.clone();
        assert!(matches!(Store::open(disk), Err(SnapshotError::Disk { .. })), "{blind_to}");
        assert_eq!(spent.load(Ordering::SeqCst), 0, "nothing was removed");
    }
}

#[test]
fn what_does_not_check_is_left_until_later_ones_are_here_and_never_goes_while_it_is_marked() {
    let (mut disk, id, _) = made();
    let path = format!("snapshots/{id}.hashes");
    disk.files_mut().get_mut(&path).expect("there")[3] ^= 1;
    for is_marked in [false, true] {
        if is_marked {
            disk.write("snapshots/installing", 0, id.to_string().as_bytes()).expect("memory");
        }
        let (mut store, faults) = Store::open(disk.clone()).expect("readable");
        assert!(matches!(faults[..], [SnapshotError::Damaged { .. }]) && store.held().is_empty());
        assert_eq!(store.marked(), Some(id).filter(|_| is_marked));
        make(&mut store, b"two", 5).expect("memory");
        store.drop_old(2);
        assert!(store.disk.files_mut().contains_key(&path), "one is not enough");
        make(&mut store, b"three", 6).expect("memory");
        store.drop_old(2);
        assert_eq!(store.disk.files_mut().contains_key(&path), is_marked);
    }
}

#[test]
fn one_that_is_here_is_taken_in_also_while_another_is_fetched() {
    let (disk, id, _) = made();
    let mut from = open(disk);
    let mut store = open(MemStorage::new());
    fetch(&mut store, &mut from, &id).expect("memory");
    let other = make(&mut from, b"other", 4).expect("memory");
    let signed = from.get(&other).expect("held").signed.clone();
    store.begin_take(Manifest::prove(&signed, |_| true).expect("signed"), &signed).expect("memory");
    assert_eq!(store.finish_take(&id), Ok(()));
    assert_eq!(store.taking().map(|(id, _)| id), Some(other), "its pieces stay");
}

/// A disk whose pages count as clean after a sync that failed, whether they arrived or not: the next sync writes what was written since.
#[derive(Clone, Default)]
struct Forgetful {
    visible: MemStorage,
    durable: MemStorage,
    /// What was written since the last sync, by path.
    dirty: BTreeMap<String, Vec<(u64, Vec<u8>)>>,
    /// Syncs of pieces that fail from now on.
    bad_syncs: u32,
    /// Renames that fail from now on when the directory is synced, if the new name ends like this: they are seen all the same.
    bad_renames: Option<&'static str>,
    /// They are not durable yet.
    renamed: Vec<(String, String)>,
}

impl Forgetful {
    /// The directory is synced.
    fn settle(&mut self) {
        for (from, to) in std::mem::take(&mut self.renamed) {
            self.durable.rename(&from, &to).unwrap_or(());
        }
    }
}

impl Storage for Forgetful {
    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        self.visible.list(prefix)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        self.visible.len(path)
    }

    fn read(&self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.visible.read(path, offset, buf)
    }

    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> io::Result<()> {
        self.dirty.entry(path.to_owned()).or_default().push((offset, data.to_vec()));
        self.visible.write(path, offset, data)
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        let dirty = self.dirty.remove(path).unwrap_or_default();
        if self.bad_syncs > 0 && path.ends_with(".part") {
            self.bad_syncs -= 1;
            return Err(io::Error::other("input/output error"));
        }
        self.settle();
        dirty.into_iter().try_for_each(|(at, data)| self.durable.write(path, at, &data))
    }

    fn truncate(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.durable.truncate(path, len).unwrap_or(());
        self.visible.truncate(path, len)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.visible.rename(from, to)?;
        self.renamed.push((from.to_owned(), to.to_owned()));
        if self.bad_renames.take_if(|end| to.ends_with(*end)).is_some() {
            return Err(io::Error::other("input/output error"));
        }
        self.settle();
        Ok(())
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.durable.remove(path).unwrap_or(());
        self.visible.remove(path)
    }
}

#[test]
fn pieces_whose_sync_failed_are_written_again_before_the_snapshot_counts() {
    let (disk, id, state) = made();
    let mut from = open(disk);
    for (bad_syncs, is_killed) in [(1, false), (2, false), (1, true)] {
        let mut store = open(Forgetful { bad_syncs, ..Forgetful::default() });
        for _ in 0..bad_syncs {
            fetch(&mut store, &mut from, &id).expect_err("the sync failed");
            assert!(store.get(&id).is_none() && store.is_whole());
        }
        if is_killed {
            // The next process reads what the system still shows, and knows of no failed sync.
            store = open(store.disk);
        }
        assert_eq!(fetch(&mut store, &mut from, &id), Ok(0), "no piece was asked for again");
        // The power fails.
        let mut after = open(store.disk.durable);
        assert_eq!(whole(&mut after, &id), state);
    }
}

/// A store on such a disk that holds a snapshot, and its name.
fn holding() -> (Store<Forgetful>, SnapshotId) {
    let mut store = open(Forgetful::default());
    let id = make(&mut store, b"state", 5).expect("memory");
    (store, id)
}

#[test]
fn a_mark_that_fails_counts_until_it_is_taken_back_for_the_next_start_may_see_it() {
    let (mut store, id) = holding();
    store.disk.bad_renames = Some("installing");
    assert!(store.mark(&id).is_err());
    assert_eq!((store.marked(), open(store.disk.clone()).marked()), (Some(id), Some(id)));
    store.unmark().expect("healthy");
    for disk in [store.disk.visible, store.disk.durable] {
        assert_eq!(open(disk).marked(), None);
    }
}

#[test]
fn a_mark_that_a_start_finds_gone_is_not_brought_back_by_a_power_cut() {
    let (mut store, id) = holding();
    store.mark(&id).expect("healthy");
    store.disk.bad_renames = Some("installing");
    assert!(store.unmark().is_err() && store.marked() == Some(id), "this process does not go on");
    let store = open(store.disk);
    assert_eq!(store.marked(), None);
    assert_eq!(open(store.disk.durable).marked(), None, "or the application would be taken back");
}

#[test]
fn a_fetched_snapshot_whose_last_names_failed_and_are_seen_can_be_finished() {
    let (disk, id, state) = made();
    let mut from = open(disk);
    for name in [".state", ".manifest"] {
        let mut store = open(Forgetful { bad_renames: Some(name), ..Forgetful::default() });
        fetch(&mut store, &mut from, &id).expect_err("the rename failed");
        assert!(store.get(&id).is_none());
        let mut given_up = open(store.disk.clone());
        given_up.give_up_take();
        assert!(Store::open(given_up.disk).is_ok_and(|(_, faults)| faults.is_empty()), "{name}");
        assert_eq!(fetch(&mut store, &mut from, &id), Ok(0), "{name}");
        assert_eq!(whole(&mut open(store.disk.durable), &id), state);
    }
}

#[test]
fn a_snapshot_that_is_found_at_the_start_survives_a_power_cut_once_it_is_secured() {
    let mut store = open(Forgetful { bad_renames: Some(".manifest"), ..Forgetful::default() });
    make(&mut store, b"state", 5).expect_err("the rename failed");
    let mut store = open(store.disk);
    let id = store.held().first().map(|held| held.id).expect("seen");
    assert!(open(store.disk.durable.clone()).held().is_empty(), "and yet not durable");
    store.secure(&id).expect("healthy");
    assert!(open(store.disk.durable).get(&id).is_some());
}

#[test]
fn the_newest_snapshot_is_the_one_with_most_of_the_others_logs_whatever_it_has_of_the_own() {
    let own = identity(2).id();
    let foreign = |applied| Place { log: LogId { origin: identity(3).id(), incarnation: Incarnation(1) }, applied, sealed: None };
    let mut store = open(MemStorage::new()).owned_by(own);
    let mut held = Vec::new();
    for (mine, theirs) in [(90, 10), (9, 60)] {
        let mut making = store.begin_make().expect("memory");
        store.make_more(&mut making, b"state").expect("memory");
        let all = places(mine).into_iter().chain([foreign(theirs)]).collect();
        held.push(store.finish_make(making, identity(1).as_ref(), (7, "test"), all).expect("memory"));
    }
    assert_eq!(store.held().iter().map(|held| held.id).collect::<Vec<_>>(), [held[1], held[0]]);
}
