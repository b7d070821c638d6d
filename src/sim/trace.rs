//! The trace: one line for everything that goes into a node or comes out of it, hashed and, if wanted, written out.

use std::fmt::{self, Write as _};
use std::io::Write;

use crate::base::Time;
use crate::base::id::hex;

/// Where lines go.
pub(super) struct Trace<'a> {
    hasher: blake3::Hasher,
    out: Option<&'a mut dyn Write>,
    line: String,
    lines: u64,
}

impl<'a> Trace<'a> {
    /// A trace that is written to `out`, or only hashed.
    pub(super) fn new(out: Option<&'a mut dyn Write>) -> Trace<'a> {
        Trace { hasher: blake3::Hasher::new(), out, line: String::new(), lines: 0 }
    }

    /// Adds a line.
    pub(super) fn line(&mut self, now: Time, text: fmt::Arguments<'_>) -> Result<(), String> {
        self.line.clear();
        writeln!(self.line, "{now} {text}").map_err(|e| format!("a trace line cannot be formatted: {e}"))?;
        self.hasher.update(self.line.as_bytes());
        self.lines += 1;
        match &mut self.out {
            Some(out) => out.write_all(self.line.as_bytes()).map_err(|e| format!("the trace cannot be written: {e}")),
            None => Ok(()),
        }
    }

    /// Lines so far.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// The hash over all lines so far.
    pub(super) fn hash(&self) -> String {
        hex(self.hasher.finalize().as_bytes())
    }
}
