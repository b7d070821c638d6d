//! The trace: one line for everything that goes into a node or comes out of it, hashed and, if wanted, written out.

use std::fmt::{self, Write as _};
use std::io::Write;

use crate::base::Time;
use crate::base::id::hex;

/// Lines are hashed so many bytes at a time: one by one they take the hash function twenty times as long.
const HELD_BYTES: usize = 64 * 1024;

/// Where lines go.
pub(super) struct Trace<'a> {
    hasher: blake3::Hasher,
    out: Option<&'a mut dyn Write>,
    /// What is not hashed yet.
    held: String,
    lines: u64,
}

impl<'a> Trace<'a> {
    /// A trace that is written to `out`, or only hashed.
    pub(super) fn new(out: Option<&'a mut dyn Write>) -> Trace<'a> {
        Trace { hasher: blake3::Hasher::new(), out, held: String::new(), lines: 0 }
    }

    /// Adds a line.
    pub(super) fn line(&mut self, now: Time, text: fmt::Arguments<'_>) -> Result<(), String> {
        let from = self.held.len();
        writeln!(self.held, "{now} {text}").map_err(|e| format!("a trace line cannot be formatted: {e}"))?;
        self.lines += 1;
        let line = &self.held.as_bytes()[from..];
        let written = self.out.as_mut().map_or(Ok(()), |out| out.write_all(line));
        if self.held.len() >= HELD_BYTES {
            self.hasher.update(self.held.as_bytes());
            self.held.clear();
        }
        written.map_err(|e| format!("the trace cannot be written: {e}"))
    }

    /// Lines so far.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// The hash over all lines so far.
    pub(super) fn hash(&self) -> String {
        hex(self.hasher.clone().update(self.held.as_bytes()).finalize().as_bytes())
    }
}
