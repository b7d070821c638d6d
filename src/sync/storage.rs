//! The disk as the log needs it: a handful of calls, each with its promise.

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

    /// When it returns, every earlier write and truncation of the file, and the file's existence, survive a power cut.
    /// After an error nothing about the un-synced bytes may be assumed; the caller must not retry it as success.
    fn sync(&mut self, path: &str) -> io::Result<()>;

    /// Cuts the file to `len` bytes. Durable after `sync`.
    fn truncate(&mut self, path: &str, len: u64) -> io::Result<()>;

    /// Renames a file within the directory, replacing the target; durable when it returns.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
}
