//! Files of a data directory: the log's storage, and the lock that makes one process the owner. Its keys are [`keyfile`](super::keyfile)'s.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::base::{Error, Result, limits};
use crate::sync::Storage;

/// The file whose lock makes a process the directory's owner.
pub const LOCK_FILE: &str = "lock";

/// Room is made in pieces of this size.
const ZEROS_BYTES: usize = 64 * 1024;

/// The log's files below a data directory. Keeps the files written last open.
#[derive(Debug)]
pub struct DiskStorage {
    root: PathBuf,
    open: Mutex<Open>,
}

/// Files that were written.
#[derive(Debug, Default)]
struct Open {
    /// The last few, the latest in front.
    files: VecDeque<(String, File)>,
    /// Those whose names are durable, as far as remembered.
    named: BTreeSet<String>,
}

impl DiskStorage {
    /// Files below `root`, which exists.
    pub fn new(root: &Path) -> DiskStorage {
        DiskStorage { root: root.to_owned(), open: Mutex::default() }
    }

    /// Runs `work` on the file, opened for writing; created, with its directories, if missing.
    fn with_file<T>(&self, path: &str, create: bool, work: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        let mut open = self.open.lock();
        match open.files.iter().position(|(name, _)| name == path) {
            Some(0) => {}
            Some(at) => open.files.swap(0, at),
            None => {
                let file = open_file(&self.root.join(path), create)?;
                open.files.push_front((path.to_owned(), file));
                open.files.truncate(limits::LOG_FILES_OPEN_MAX);
            }
        }
        match open.files.front() {
            Some((_, file)) => work(file),
            None => Err(io::Error::other("no file is open")),
        }
    }

    /// Makes the names of a file and of its directories durable. Also of a file that was found: the process that made it may have died
    /// before it came to this.
    fn sync_names(&self, path: &str) -> io::Result<()> {
        let mut open = self.open.lock();
        if open.named.contains(path) {
            return Ok(());
        }
        for dir in self.root.join(path).ancestors().skip(1).take_while(|dir| dir.starts_with(&self.root)) {
            File::open(dir)?.sync_all()?;
        }
        if open.named.len() >= limits::LOGS_MAX {
            open.named.clear();
        }
        open.named.insert(path.to_owned());
        Ok(())
    }
}

fn open_file(full: &Path, create: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.open(full) {
        Err(e) if create && e.kind() == io::ErrorKind::NotFound => {
            full.parent().map_or(Ok(()), fs::create_dir_all)?;
            options.create(true).open(full)
        }
        other => other,
    }
}

impl Storage for DiskStorage {
    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let mut dirs = vec![self.root.clone()];
        while let Some(dir) = dirs.pop() {
            let entries = match fs::read_dir(&dir) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            for entry in entries {
                let entry = entry?;
                let path = entry.path();
                let Some(name) = path.strip_prefix(&self.root).ok().and_then(Path::to_str) else { continue };
                if entry.file_type()?.is_dir() {
                    if prefix.starts_with(name) || name.starts_with(prefix) {
                        dirs.push(path);
                    }
                } else if name.starts_with(prefix) {
                    found.push(name.to_owned());
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.root.join(path))?.len())
    }

    fn read(&self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let file = File::open(self.root.join(path))?;
        let mut done = 0;
        while done < buf.len() {
            match file.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with_file(path, true, |file| file.write_all_at(data, offset))
    }

    fn reserve(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.with_file(path, true, |file| {
            // Zeros that are written, because a sync of blocks that are merely set aside has to note each as used now.
            let (zeros, mut at) = ([0; ZEROS_BYTES], file.metadata()?.len());
            while at < len {
                let n = usize::try_from(len - at).map_or(ZEROS_BYTES, |rest| rest.min(ZEROS_BYTES));
                file.write_all_at(&zeros[..n], at)?;
                at += n as u64;
            }
            Ok(())
        })
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        self.with_file(path, false, File::sync_data)?;
        self.sync_names(path)
    }

    fn truncate(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.with_file(path, false, |file| file.set_len(len))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        *self.open.lock() = Open::default();
        let target = self.root.join(to);
        fs::rename(self.root.join(from), &target)?;
        File::open(target.parent().unwrap_or(&self.root))?.sync_all()
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        let mut open = self.open.lock();
        open.files.retain(|(name, _)| name != path);
        open.named.remove(path);
        match fs::remove_file(self.root.join(path)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// Makes a directory, and those above it, if they are missing, and their names durable. Records are nobody else's business; a
/// directory that exists keeps its mode.
fn create_durably(dir: &Path) -> io::Result<()> {
    let missing = dir.ancestors().filter(|dir| !dir.as_os_str().is_empty()).take_while(|dir| !dir.exists()).count();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    dir.ancestors().skip(1).take(missing).try_for_each(|above| {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        File::open(above)?.sync_all()
    })
}

/// The right to be the only process on a data directory; ends with the value.
#[derive(Debug)]
pub struct DirectoryLock(File);

impl DirectoryLock {
    /// Creates the directory if missing and takes the lock, or names the process that has it.
    pub fn take(dir: &Path) -> Result<DirectoryLock> {
        create_durably(dir).map_err(Error::io(format!("creating data directory {}", dir.display())))?;
        let path = dir.join(LOCK_FILE);
        let context = || format!("locking {}", path.display());
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(Error::io(context()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // What cannot be read is reported as unknown.
                let _ = (&mut file).take(20).read_to_string(&mut pid);
                let pid = if pid.trim().is_empty() { "of unknown id".to_owned() } else { pid.trim().to_owned() };
                return Err(Error::DirectoryInUse { path: dir.to_owned(), pid });
            }
            Err(TryLockError::Error(e)) => return Err(Error::io(context())(e)),
        }
        // A disk that is full takes no number: the owner goes unnamed.
        let _ = file.set_len(0).and_then(|()| file.write_all(std::process::id().to_string().as_bytes()));
        Ok(DirectoryLock(file))
    }
}

/// Whether a process owns the data directory now. Changes nothing.
pub fn is_owned(dir: &Path) -> bool {
    File::open(dir.join(LOCK_FILE)).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // The next owner writes its own number; an empty file only means nobody is named.
        let _ = self.0.set_len(0);
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use super::*;
    use crate::base::Incarnation;
    use crate::crypto::{Identity, Secret};
    use crate::sync::{DamageKind, Wal};

    #[test]
    fn a_data_directory_has_one_owner_who_is_named() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let lock = DirectoryLock::take(dir.path()).expect("free");
        let error = DirectoryLock::take(dir.path()).expect_err("taken").to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(lock);
        DirectoryLock::take(dir.path()).expect("free again");
    }

    #[test]
    fn a_data_directory_is_made_with_those_above_it() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let below = dir.path().join("a/b/c");
        DirectoryLock::take(&below).expect("made");
        assert_eq!(fs::metadata(&below).expect("there").permissions().mode() & 0o777, 0o700);
    }

    /// What a power cut left below a data directory.
    type Left<'a> = Box<dyn Fn(&Path) + 'a>;

    #[test]
    fn a_log_opens_whatever_a_power_cut_left_of_the_making_of_its_directory() {
        let identity = || Arc::new(Identity::from_seed(&Secret::new([7; 32])));
        let open = |root: &Path| Wal::open(DiskStorage::new(root), identity(), Incarnation(1)).expect("opens");
        let whole = tempfile::tempdir().expect("temporary directory");
        let (mut wal, _) = open(whole.path());
        wal.append(1, &["one".into()]).expect("room");
        wal.close().expect("closes");
        let files = DiskStorage::new(whole.path()).list("log/").expect("list");
        let dirs: BTreeSet<&Path> = files.iter().flat_map(|file| Path::new(file).ancestors().skip(1)).collect();
        let in_log = |file: &&String| !file.contains("current");
        let mut states: Vec<Left<'_>> = Vec::new();
        for dir in dirs {
            // Its name came through, and nothing in it.
            states.push(Box::new(move |root| fs::create_dir_all(root.join(dir)).expect("made")));
        }
        let first_file = states.len();
        for file in files.iter().filter(in_log) {
            let bytes = fs::read(whole.path().join(file)).expect("there");
            for len in [0, 1, bytes.len() / 2] {
                // And so did the name of a file, with a part of its bytes or none.
                let part = bytes[..len].to_vec();
                states.push(Box::new(move |root| {
                    fs::create_dir_all(root.join(file).parent().expect("below")).expect("made");
                    fs::write(root.join(file), &part).expect("written");
                }));
            }
        }
        for (number, state) in states.iter().enumerate() {
            // A file of the log is made only once the own log is named for good.
            for named in [true, false].into_iter().filter(|named| *named || number < first_file) {
                let left = tempfile::tempdir().expect("temporary directory");
                if named {
                    open(left.path());
                }
                state(left.path());
                let (mut wal, damages) = open(left.path());
                assert!(damages.iter().all(|damage| damage.kind == DamageKind::TornTail), "state {number}: {damages:?}");
                let groups = wal.append(1, &["one".into()]).expect("room");
                assert_eq!(groups[0].first, 1, "state {number}");
                drop(wal);
                let (wal, damages) = open(left.path());
                assert_eq!((wal.durable(groups[0].log), damages.len()), (1, 0), "state {number}");
            }
        }
    }

    #[test]
    fn storage_keeps_its_files_apart_however_many_are_written_in_turn() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut disk = DiskStorage::new(dir.path());
        let path = |n: usize| format!("log/{n}/1.wal");
        for round in 0..3 {
            for n in 0..=limits::LOG_FILES_OPEN_MAX {
                disk.write(&path(n), round, &[n as u8]).expect("write");
                disk.sync(&path(n)).expect("sync");
            }
        }
        for n in 0..=limits::LOG_FILES_OPEN_MAX {
            assert_eq!(fs::read(dir.path().join(path(n))).expect("there"), [n as u8; 3]);
        }
        assert_eq!(disk.sync("log/none").expect_err("no file").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn storage_keeps_what_is_written_and_lists_it() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut disk = DiskStorage::new(dir.path());
        disk.write("log/aa/1.wal", 0, b"hello").expect("write");
        disk.write("log/aa/1.wal", 5, b" world").expect("write");
        disk.write("log/bb/1.wal", 0, b"x").expect("write");
        disk.sync("log/aa/1.wal").expect("sync");
        assert_eq!(disk.list("log/").expect("list"), ["log/aa/1.wal", "log/bb/1.wal"]);
        assert_eq!(disk.list("log/a").expect("list"), ["log/aa/1.wal"]);
        let mut buf = [0; 20];
        assert_eq!(disk.read("log/aa/1.wal", 6, &mut buf).expect("read"), 5);
        assert_eq!(&buf[..5], b"world");
        disk.truncate("log/aa/1.wal", 5).expect("truncate");
        assert_eq!(disk.len("log/aa/1.wal").expect("len"), 5);
        disk.reserve("log/aa/1.wal", 100_000).expect("reserve");
        disk.reserve("log/aa/1.wal", 5).expect("nothing to do");
        assert_eq!(disk.len("log/aa/1.wal").expect("len"), 100_000);
        assert_eq!(disk.read("log/aa/1.wal", 4, &mut buf[..3]).expect("read"), 3);
        assert_eq!(buf[..3], *b"o\0\0");
        disk.rename("log/aa/1.wal", "log/aa/2.wal").expect("rename");
        assert_eq!(disk.len("log/aa/1.wal").expect_err("gone").kind(), io::ErrorKind::NotFound);
        disk.write("log/aa/2.wal", 0, b"again").expect("write");
        disk.remove("log/aa/2.wal").expect("remove");
        disk.remove("log/aa/2.wal").expect("nothing to do");
        assert_eq!(disk.list("log/a").expect("list"), [""; 0]);
        disk.write("log/aa/2.wal", 0, b"anew").expect("write");
        disk.sync("log/aa/2.wal").expect("sync");
        assert_eq!(disk.len("log/aa/2.wal").expect("len"), 4);
    }
}
