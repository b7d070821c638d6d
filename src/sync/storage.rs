//! The disk as the log needs it: a handful of calls, each with its promise.

use std::collections::BTreeMap;
use std::io;

/// Files under one directory, named by relative paths with `/` ("log/ab…/01…/00000000000000000001.wal").
///
/// Implemented by `driver::disk` (real files), `sim::disk` (crashes, torn writes) and [`MemStorage`] (ephemeral nodes, tests).
pub trait Storage: Send {
    /// Relative paths of every file whose path starts with `prefix`, sorted. A missing directory is an empty list.
    fn list(&self, prefix: &str) -> io::Result<Vec<String>>;

    /// Length of the file in bytes; `NotFound` if there is none.
    fn len(&self, path: &str) -> io::Result<u64>;

    /// Fills `buf` from `offset`; returns the bytes read, fewer only at the end of the file.
    fn read(&self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `data` at `offset`, creating the file and its directories if missing. Visible at once, durable only after `sync`.
    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Makes the file `len` bytes long if it is shorter, the new ones zeros, so that writes within it change no length and a sync
    /// is cheap. Only a hint: a disk may do nothing, an error is no fault, and a power cut may undo it until `sync`.
    fn reserve(&mut self, path: &str, len: u64) -> io::Result<()> {
        let _ = (path, len);
        Ok(())
    }

    /// When it returns, every earlier write and truncation of the file, and the file's existence, survive a power cut.
    /// After an error nothing about the un-synced bytes may be assumed; the caller must not retry it as success.
    fn sync(&mut self, path: &str) -> io::Result<()>;

    /// Cuts the file to `len` bytes (also if it seems to have no more); `NotFound` if there is none. Durable after `sync`.
    fn truncate(&mut self, path: &str, len: u64) -> io::Result<()>;

    /// Renames a file within the directory, replacing the target; durable when it returns. After an error the new name may be seen all
    /// the same, and a power cut may bring the old one back.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Gives the file's room back; no error if there is none. A disk may keep the empty file, and a power cut may bring the file back.
    fn remove(&mut self, path: &str) -> io::Result<()> {
        match self.truncate(path, 0) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// A disk that is a map: for ephemeral nodes and tests. Everything written is as durable as the process.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MemStorage {
    files: BTreeMap<String, Vec<u8>>,
}

impl MemStorage {
    /// An empty disk.
    pub fn new() -> MemStorage {
        MemStorage::default()
    }

    /// The files by path, for tests that damage them.
    pub fn files_mut(&mut self) -> &mut BTreeMap<String, Vec<u8>> {
        &mut self.files
    }

    fn file(&self, path: &str) -> io::Result<&Vec<u8>> {
        self.files.get(path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Storage for MemStorage {
    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        Ok(self.files.range(prefix.to_owned()..).map(|(path, _)| path).take_while(|p| p.starts_with(prefix)).cloned().collect())
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        Ok(self.file(path)?.len() as u64)
    }

    fn read(&self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let file = self.file(path)?;
        let rest = usize::try_from(offset).ok().and_then(|at| file.get(at..)).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        // Looked up first so that the common write to an existing file copies no path.
        if !self.files.contains_key(path) {
            self.files.insert(path.to_owned(), Vec::new());
        }
        let file = self.files.get_mut(path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        if file.len() < at {
            file.resize(at, 0);
        }
        let over = data.len().min(file.len() - at);
        file[at..at + over].copy_from_slice(&data[..over]);
        file.extend_from_slice(&data[over..]);
        Ok(())
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        self.file(path).map(|_| ())
    }

    fn truncate(&mut self, path: &str, len: u64) -> io::Result<()> {
        let file = self.files.get_mut(path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        file.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let file = self.files.remove(from).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        self.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.files.remove(path);
        Ok(())
    }
}

impl Storage for Box<dyn Storage> {
    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        (**self).list(prefix)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        (**self).len(path)
    }

    fn read(&self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        (**self).read(path, offset, buf)
    }

    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> io::Result<()> {
        (**self).write(path, offset, data)
    }

    fn reserve(&mut self, path: &str, len: u64) -> io::Result<()> {
        (**self).reserve(path, len)
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        (**self).sync(path)
    }

    fn truncate(&mut self, path: &str, len: u64) -> io::Result<()> {
        (**self).truncate(path, len)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        (**self).rename(from, to)
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        (**self).remove(path)
    }
}

/// A disk in memory whose writes ask first, by their path: for tests of disks that are full or broken.
#[cfg(test)]
pub(crate) struct AskingStorage<F>(pub(crate) MemStorage, pub(crate) F);

#[cfg(test)]
impl<F: FnMut(&str) -> io::Result<()> + Send> Storage for AskingStorage<F> {
    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        self.0.list(prefix)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        self.0.len(path)
    }

    fn read(&self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(path, offset, buf)
    }

    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> io::Result<()> {
        (self.1)(path)?;
        self.0.write(path, offset, data)
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        self.0.sync(path)
    }

    fn truncate(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.0.truncate(path, len)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
}
