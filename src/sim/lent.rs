//! A disk lent out for an attempt to open what is on it. Adds nothing to the disk.

use std::io;

use crate::sim::disk::SimDisk;
use crate::sync::Storage;

/// A disk lent to a log for the time of an attempt to open it.
pub(super) struct Lent<'a>(pub(super) &'a mut SimDisk);

impl Storage for Lent<'_> {
    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        self.0.list(prefix)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        Storage::len(&*self.0, path)
    }

    fn read(&self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(path, offset, buf)
    }

    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(path, offset, data)
    }

    fn reserve(&mut self, path: &str, len: u64) -> io::Result<()> {
        Storage::reserve(&mut *self.0, path, len)
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

    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.0.remove(path)
    }
}
