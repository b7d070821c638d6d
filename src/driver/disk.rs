//! Files of a data directory: the log's storage, and the lock that makes one process the owner. Its keys are [`keyfile`](super::keyfile)'s.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::base::{Error, Result};
use crate::sync::Storage;

/// The file whose lock makes a process the directory's owner.
pub const LOCK_FILE: &str = "lock";

/// The log's files below a data directory. Keeps the file written last open.
#[derive(Debug)]
pub struct DiskStorage {
    root: PathBuf,
    open: Mutex<Option<(String, File)>>,
}

impl DiskStorage {
    /// Files below `root`, which exists.
    pub fn new(root: &Path) -> DiskStorage {
        DiskStorage { root: root.to_owned(), open: Mutex::new(None) }
    }

    /// Runs `work` on the file, opened for writing; created, with its directories, if missing.
    fn with_file<T>(&self, path: &str, create: bool, work: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        let mut open = self.open.lock();
        if open.as_ref().is_none_or(|(name, _)| name != path) {
            let full = self.root.join(path);
            let file = match OpenOptions::new().read(true).write(true).open(&full) {
                Err(e) if create && e.kind() == io::ErrorKind::NotFound => create_durably(&self.root, &full)?,
                other => other?,
            };
            *open = Some((path.to_owned(), file));
        }
        match open.as_ref() {
            Some((_, file)) => work(file),
            None => Err(io::Error::other("no file is open")),
        }
    }
}

/// Makes the file and its directories, and makes their names durable.
fn create_durably(root: &Path, full: &Path) -> io::Result<File> {
    let parent = full.parent().unwrap_or(root);
    if !parent.is_dir() {
        fs::create_dir_all(parent)?;
        for dir in parent.ancestors().take_while(|dir| dir.starts_with(root)) {
            File::open(dir)?.sync_all()?;
        }
    }
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(full)?;
    File::open(parent)?.sync_all()?;
    Ok(file)
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
            if file.metadata()?.len() < len {
                rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, len)?;
            }
            Ok(())
        })
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        self.with_file(path, false, File::sync_data)
    }

    fn truncate(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.with_file(path, false, |file| file.set_len(len))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        *self.open.lock() = None;
        let target = self.root.join(to);
        fs::rename(self.root.join(from), &target)?;
        File::open(target.parent().unwrap_or(&self.root))?.sync_all()
    }
}

/// The right to be the only process on a data directory; ends with the value.
#[derive(Debug)]
pub struct DirectoryLock(File);

impl DirectoryLock {
    /// Creates the directory if missing and takes the lock, or names the process that has it.
    pub fn take(dir: &Path) -> Result<DirectoryLock> {
        // Records are nobody else's business; a directory that exists keeps its mode.
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(dir).map_err(Error::io(format!("creating data directory {}", dir.display())))?;
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
        file.set_len(0).and_then(|()| file.write_all(std::process::id().to_string().as_bytes())).map_err(Error::io(context()))?;
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
    use super::*;

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
        // A file system may know no such thing.
        let reserved = disk.reserve("log/aa/1.wal", 10_000).is_ok();
        disk.reserve("log/aa/1.wal", 5).unwrap_or(());
        assert_eq!(disk.len("log/aa/1.wal").expect("len"), if reserved { 10_000 } else { 5 });
        assert_eq!(disk.read("log/aa/1.wal", 4, &mut buf[..3]).expect("read"), if reserved { 3 } else { 1 });
        assert!(!reserved || buf[..3] == *b"o\0\0");
        disk.rename("log/aa/1.wal", "log/aa/2.wal").expect("rename");
        assert_eq!(disk.len("log/aa/1.wal").expect_err("gone").kind(), io::ErrorKind::NotFound);
    }
}
