//! A disk that keeps its promises to the letter and nothing beyond them.
//!
//! What was written and not synced is seen by reads (the page cache) and survives the end of the process, but when the power
//! fails every 512-byte block of it is kept in any state it went through, or lost. A failed sync leaves pages that are seen
//! and will never be written; a removed file may be back; a rename that failed is seen, until a power cut
//! undoes it. An armed crash strikes in the middle of an operation: the operation fails, and so does every
//! later one until the world has ended the node. Never touches a real file.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sim::knobs::Knobs;
use crate::sim::pages::{Fate, File};
use crate::sync::Storage;

/// A rename that failed when its directory was synced.
#[derive(Clone, Debug)]
struct Renamed {
    from: String,
    to: String,
    before: Option<Arc<File>>,
}

/// The disk of one node. A clone shares the files until one of the two changes.
#[derive(Clone, Debug)]
pub(super) struct SimDisk {
    files: BTreeMap<String, Arc<File>>,
    /// Removed, and a power cut may bring them back: until a name in the same directory is made durable.
    gone: BTreeMap<String, Arc<File>>,
    /// Renames that are seen and that a power cut may undo, until a name in the same directory is made durable: what stood there before.
    renamed: Vec<Renamed>,
    /// Files whose names this process has made durable, with those of their directories.
    named: BTreeSet<String>,
    knobs: Arc<Knobs>,
    rng: fastrand::Rng,
    dead: bool,
    /// Writes and syncs refused.
    pub(super) errors: u64,
    /// Crashes after a write and before its sync did anything.
    pub(super) before_sync: u64,
}

impl SimDisk {
    /// An empty disk.
    pub(super) fn new(knobs: Arc<Knobs>, seed: u64) -> SimDisk {
        SimDisk {
            files: BTreeMap::new(),
            gone: BTreeMap::new(),
            renamed: Vec::new(),
            named: BTreeSet::new(),
            knobs,
            rng: fastrand::Rng::with_seed(seed),
            dead: false,
            errors: 0,
            before_sync: 0,
        }
    }

    /// Whether an armed crash has struck.
    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    /// The process ends; what it wrote is still in the system's memory.
    pub(super) fn end_process(&mut self) {
        self.dead = false;
        self.named.clear();
        self.knobs.disarm();
    }

    /// The machine loses its power.
    pub(super) fn lose_power(&mut self) {
        self.end_process();
        let dirty_end = self.files.values().filter_map(|f| f.dirty.keys().next_back()).max().map_or(1, |last| last + 2);
        let fate = match self.rng.u32(..8) {
            0 | 1 => Fate::Lost,
            2 => Fate::Kept,
            3 | 4 => Fate::Prefix(self.rng.usize(..dirty_end)),
            _ => Fate::Dice,
        };
        self.undo_renames(fate);
        let rng = &mut self.rng;
        self.files.retain(|_, file| Arc::make_mut(file).lose_power(fate, rng));
        for (path, mut file) in std::mem::take(&mut self.gone) {
            let is_back = match fate {
                Fate::Lost => true,
                Fate::Kept => false,
                Fate::Prefix(_) | Fate::Dice => rng.bool(),
            };
            if is_back && Arc::make_mut(&mut file).lose_power(fate, rng) {
                self.files.entry(path).or_insert(file);
            }
        }
    }

    /// Of the renames whose directory was not synced, the last ones are undone.
    fn undo_renames(&mut self, fate: Fate) {
        let renamed = std::mem::take(&mut self.renamed);
        let stay = match fate {
            Fate::Lost => 0,
            Fate::Kept => renamed.len(),
            Fate::Prefix(_) | Fate::Dice if renamed.is_empty() => 0,
            Fate::Prefix(_) | Fate::Dice => self.rng.usize(..=renamed.len()),
        };
        for Renamed { from, to, before } in renamed.into_iter().skip(stay).rev() {
            let file = self.files.remove(&to);
            if let Some(before) = before {
                self.files.insert(to, before);
            }
            if let Some(file) = file {
                self.files.entry(from).or_insert(file);
            }
        }
    }

    /// A copy of the files as they are seen, all of it durable.
    pub(super) fn copy(&self) -> SimDisk {
        let mut copy = self.clone();
        copy.dead = false;
        copy.gone.clear();
        copy.renamed.clear();
        copy.files.values_mut().for_each(|file| Arc::make_mut(file).sync());
        copy
    }

    /// A bit flips in a segment whose path is wanted; whether there was one.
    pub(super) fn rot(&mut self, wanted: impl Fn(&str) -> bool, rng: &mut fastrand::Rng) -> bool {
        let segments = self.files.iter_mut().filter(|(path, file)| path.ends_with(".wal") && wanted(path) && !file.seen.is_empty());
        let chosen = rng.choice(segments.collect::<Vec<_>>());
        chosen.map(|(_, file)| Arc::make_mut(file).rot(rng)).is_some()
    }

    /// What would be left if the power failed now and everything un-synced were lost; only paths that begin with `dir`.
    pub(super) fn synced<'a>(&'a self, dir: &'a str) -> Synced<'a> {
        Synced { disk: self, dir }
    }

    /// Whether the armed crash strikes now.
    fn strikes(&mut self) -> bool {
        if self.knobs.still.load(Ordering::Relaxed) {
            return false;
        }
        let left = self.knobs.crash_in.load(Ordering::Relaxed);
        self.knobs.crash_in.store(left.saturating_sub(1), Ordering::Relaxed);
        self.dead |= left == 1;
        left == 1
    }

    fn alive(&self) -> io::Result<()> {
        if self.dead { Err(struck()) } else { Ok(()) }
    }

    fn rolls(&mut self, per_mille: &AtomicU32) -> bool {
        let still = self.knobs.still.load(Ordering::Relaxed);
        let failed = !still && self.rng.u32(..1000) < per_mille.load(Ordering::Relaxed);
        self.errors += u64::from(failed);
        failed
    }

    /// The names in a file's directory are durable, also those that are no more there.
    fn sync_names(&mut self, path: &str) {
        let of = dir_of(path);
        self.gone.retain(|gone, _| dir_of(gone) != of);
        self.renamed.retain(|renamed| dir_of(&renamed.to) != of);
    }

    /// Makes a file durable, and its name.
    fn sync_file(&mut self, path: &str) -> io::Result<()> {
        let is_new = !self.file(path)?.linked;
        self.file_mut(path)?.sync();
        if is_new {
            self.sync_names(path);
        }
        if self.named.insert(path.to_owned()) {
            self.renamed.retain(|renamed| !path.starts_with(dir_of(&renamed.to)));
        }
        Ok(())
    }

    fn file(&self, path: &str) -> io::Result<&File> {
        self.files.get(path).map(AsRef::as_ref).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn file_mut(&mut self, path: &str) -> io::Result<&mut File> {
        self.files.get_mut(path).map(Arc::make_mut).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

/// The part of a path up to its last `/`.
fn dir_of(path: &str) -> &str {
    &path[..path.rfind('/').map_or(0, |end| end + 1)]
}

fn struck() -> io::Error {
    io::Error::other("the node was struck down")
}

fn read_at(bytes: &[u8], offset: u64, buf: &mut [u8]) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    let n = rest.len().min(buf.len());
    buf[..n].copy_from_slice(&rest[..n]);
    n
}

impl Storage for SimDisk {
    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        self.alive()?;
        Ok(self.files.range(prefix.to_owned()..).map(|(path, _)| path).take_while(|path| path.starts_with(prefix)).cloned().collect())
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        self.alive()?;
        Ok(self.file(path)?.seen.len() as u64)
    }

    fn read(&self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.alive()?;
        Ok(read_at(&self.file(path)?.seen, offset, buf))
    }

    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> io::Result<()> {
        self.alive()?;
        let knobs = self.knobs.clone();
        let at = usize::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let grows = self.files.get(path).is_none_or(|file| file.seen.len() < at + data.len());
        if grows && knobs.full.load(Ordering::Relaxed) {
            self.errors += 1;
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let (strikes, fails) = (self.strikes(), self.rolls(&knobs.write_errors));
        let done = if strikes || fails { self.rng.usize(..=data.len()) } else { data.len() };
        let file = Arc::make_mut(self.files.entry(path.to_owned()).or_default());
        file.write(at, &data[..done]);
        match (strikes, fails) {
            (true, _) => Err(struck()),
            (_, true) => Err(io::Error::other("input/output error")),
            _ => Ok(()),
        }
    }

    fn reserve(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.alive()?;
        if self.knobs.full.load(Ordering::Relaxed) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Arc::make_mut(self.files.entry(path.to_owned()).or_default()).grow(len);
        Ok(())
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        self.alive()?;
        let knobs = self.knobs.clone();
        if knobs.crash_at_sync.swap(false, Ordering::Relaxed) {
            (self.dead, self.before_sync) = (true, self.before_sync + 1);
            return Err(struck());
        }
        if self.strikes() {
            // Struck down before the sync, or after it and before anybody heard of it.
            if self.rng.bool() {
                self.sync_file(path)?;
            } else {
                self.before_sync += u64::from(!self.file(path)?.dirty.is_empty());
            }
            return Err(struck());
        }
        if knobs.lying.load(Ordering::Relaxed) {
            return Ok(());
        }
        if self.rolls(&knobs.sync_errors) {
            let mut rng = self.rng.fork();
            self.file_mut(path)?.sync_failed(&mut rng);
            return Err(io::Error::other("input/output error"));
        }
        self.sync_file(path)
    }

    fn truncate(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.alive()?;
        let strikes = self.strikes();
        if !strikes || self.rng.bool() {
            self.file_mut(path)?.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        }
        if strikes { Err(struck()) } else { Ok(()) }
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.alive()?;
        let strikes = self.strikes();
        // As the driver's disk forgets.
        self.named.clear();
        if !strikes || self.rng.bool() {
            let mut file = self.files.remove(from).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            Arc::make_mut(&mut file).linked = true;
            let before = self.files.insert(to.to_owned(), file);
            let knobs = self.knobs.clone();
            let is_sick = !strikes && knobs.sync_errors.load(Ordering::Relaxed) > 0 && self.rolls(&knobs.sync_errors);
            // The process may also end before the directory is synced.
            if is_sick || (strikes && self.rng.bool()) {
                self.renamed.push(Renamed { from: from.to_owned(), to: to.to_owned(), before });
                return Err(io::Error::other("input/output error"));
            }
            self.sync_names(to);
        }
        if strikes { Err(struck()) } else { Ok(()) }
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.alive()?;
        let strikes = self.strikes();
        self.named.remove(path);
        if (!strikes || self.rng.bool())
            && let Some(file) = self.files.remove(path).filter(|file| file.linked)
        {
            self.gone.insert(path.to_owned(), file);
        }
        if strikes { Err(struck()) } else { Ok(()) }
    }
}

/// The part of a disk that no power cut can take, to read.
pub(super) struct Synced<'a> {
    disk: &'a SimDisk,
    dir: &'a str,
}

impl Synced<'_> {
    fn file(&self, path: &str) -> io::Result<&File> {
        if let Some(renamed) = self.disk.renamed.iter().find(|renamed| renamed.to == path) {
            return renamed.before.as_deref().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
        }
        self.disk.file(path).and_then(|file| if file.linked { Ok(file) } else { Err(io::Error::from(io::ErrorKind::NotFound)) })
    }
}

impl Storage for Synced<'_> {
    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        let here = self
            .disk
            .files
            .range::<str, _>((Bound::Included(self.dir), Bound::Unbounded))
            .take_while(|(path, _)| path.starts_with(self.dir));
        Ok(here.filter(|(path, file)| file.linked && path.starts_with(prefix)).map(|(path, _)| path.clone()).collect())
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        Ok(self.file(path)?.kept.len() as u64)
    }

    fn read(&self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        Ok(read_at(&self.file(path)?.kept, offset, buf))
    }

    fn write(&mut self, _: &str, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem))
    }

    fn sync(&mut self, _: &str) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem))
    }

    fn truncate(&mut self, _: &str, _: u64) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem))
    }

    fn rename(&mut self, _: &str, _: &str) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(seed: u64) -> SimDisk {
        SimDisk::new(Arc::default(), seed)
    }

    fn text(disk: &SimDisk, path: &str) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(Storage::len(disk, path).ok()?).expect("small")];
        disk.read(path, 0, &mut bytes).ok()?;
        Some(bytes)
    }

    #[test]
    fn what_was_synced_survives_every_power_cut() {
        for seed in 0..200 {
            let mut disk = disk(seed);
            disk.write("a", 0, &[1; 2000]).expect("healthy");
            disk.sync("a").expect("healthy");
            disk.write("a", 2000, &[2; 2000]).expect("healthy");
            disk.write("b", 0, b"never synced").expect("healthy");
            disk.lose_power();
            let left = text(&disk, "a").expect("synced");
            assert_eq!(left[..2000], [1; 2000], "seed {seed}");
            assert!(left[2000..].iter().all(|byte| [0, 2].contains(byte)), "seed {seed}");
        }
    }

    #[test]
    fn power_cuts_leave_nothing_something_and_everything_of_unsynced_writes() {
        let mut sizes = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut disk = disk(seed);
            disk.write("a", 0, &[7; 2048]).expect("healthy");
            disk.lose_power();
            sizes.insert(text(&disk, "a").map(|bytes| bytes.iter().filter(|byte| **byte == 7).count()));
        }
        assert!(sizes.contains(&None) && sizes.contains(&Some(2048)) && sizes.contains(&Some(512)) && sizes.len() > 4, "{sizes:?}");
    }

    #[test]
    fn a_failed_sync_is_not_mended_by_the_next_one() {
        let lost = (0..100).filter(|seed| {
            let mut disk = disk(*seed);
            disk.write("a", 0, &[1; 512]).expect("healthy");
            disk.sync("a").expect("healthy");
            disk.write("a", 0, &[2; 512]).expect("healthy");
            disk.knobs.set_errors(0, 1000);
            assert!(disk.sync("a").is_err());
            disk.knobs.heal();
            disk.sync("a").expect("healed");
            assert_eq!(text(&disk, "a"), Some(vec![2; 512]));
            disk.lose_power();
            text(&disk, "a") == Some(vec![1; 512])
        });
        assert!((20..80).contains(&lost.count()));
    }

    #[test]
    fn a_removed_file_may_be_back_after_a_power_cut_until_its_directory_is_synced() {
        let back = |is_synced: bool| {
            let after = |seed: &u64| {
                let mut disk = disk(*seed);
                for path in ["x/a", "x/b"] {
                    disk.write(path, 0, b"here").expect("healthy");
                    disk.sync(path).expect("healthy");
                }
                disk.remove("x/a").expect("healthy");
                disk.remove("x/a").expect("no error if there is none");
                if is_synced {
                    disk.write("x/c", 0, b"new").expect("healthy");
                    disk.sync("x/c").expect("healthy");
                }
                assert_eq!(text(&disk, "x/a"), None);
                disk.lose_power();
                let text = text(&disk, "x/a");
                assert!(text.as_ref().is_none_or(|text| text == b"here"), "{text:?}");
                text.is_some()
            };
            (0..100).filter(after).count()
        };
        assert!((20..80).contains(&back(false)), "{}", back(false));
        assert_eq!(back(true), 0);
    }

    #[test]
    fn an_armed_crash_fails_its_operation_and_all_after_it() {
        let mut disk = disk(3);
        disk.knobs.arm(2);
        disk.write("a", 0, b"one").expect("not yet");
        assert!(disk.sync("a").is_err() && disk.is_dead());
        assert!(disk.list("").is_err() && disk.write("a", 0, b"two").is_err());
        disk.lose_power();
        assert!(disk.list("").is_ok());
    }
}
