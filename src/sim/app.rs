//! The application of one node: what it has applied, and where it goes on after a restart.
//!
//! Keeps either its own cursor together with its data (every record exactly once) or none (the library's cursor: the last records
//! may come again after a crash, never with a gap or out of order). Checks its own contract at every record.

use std::collections::{BTreeMap, VecDeque};

use crate::base::LogId;

/// A range of durable records that the application was given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Applying {
    pub(super) log: LogId,
    /// Next record.
    pub(super) next: u64,
    /// Last record.
    pub(super) upto: u64,
    /// The node knows that everything before this is applied.
    pub(super) told: u64,
    /// The application refused `next`.
    pub(super) refused: bool,
    /// It said that it can never apply `next`.
    pub(super) poisoned: bool,
}

/// One node's application.
#[derive(Debug)]
pub(super) struct App {
    /// Whether it keeps its own cursor.
    pub(super) own_cursor: bool,
    /// How many of a thousand records it refuses for now.
    pub(super) refuses: u32,
    /// How many of a thousand records it calls poison.
    pub(super) poisons: u32,
    /// Highest record of each log whose effect it has; never lost.
    applied: BTreeMap<LogId, u64>,
    /// What the library's own notes were when they last survived a sync: they never go back behind that.
    safe: BTreeMap<LogId, u64>,
    /// Next record of each log in this life of the process.
    next: BTreeMap<LogId, u64>,
    /// Ranges waiting.
    pub(super) requests: VecDeque<Applying>,
    /// The range under way.
    pub(super) current: Option<Applying>,
    /// Whether the world has it on its calendar.
    pub(super) called: bool,
}

impl App {
    /// An application that has applied nothing.
    pub(super) fn new(own_cursor: bool) -> App {
        let (applied, next) = (BTreeMap::new(), BTreeMap::new());
        App {
            own_cursor,
            refuses: 0,
            poisons: 0,
            safe: BTreeMap::new(),
            applied,
            next,
            requests: VecDeque::new(),
            current: None,
            called: false,
        }
    }

    /// The process ended: what was under way is forgotten, effects stay.
    pub(super) fn end_process(&mut self) {
        self.next.clear();
        self.requests.clear();
        (self.current, self.called) = (None, false);
    }

    /// A life begins: the node will go on after `cursor` in this log.
    pub(super) fn begin(&mut self, log: LogId, cursor: u64) -> Result<(), String> {
        let applied = self.applied(log);
        if cursor > applied || (self.own_cursor && cursor < applied) {
            return Err(format!("the node goes on after record {cursor} of {log}, the application has applied {applied}"));
        }
        if let Some(safe) = self.safe.get(&log).filter(|safe| cursor < **safe) {
            return Err(format!("the node goes on after record {cursor} of {log}, its note of {safe} was synced"));
        }
        self.next.insert(log, cursor + 1);
        Ok(())
    }

    /// The library's notes were synced.
    pub(super) fn noted(&mut self, log: LogId, seq: u64) {
        self.safe.insert(log, seq);
    }

    /// The disk was damaged or exchanged: what was synced may be gone.
    pub(super) fn hurt(&mut self) {
        self.safe.clear();
    }

    /// Where the application stands by its own word in a log that it has not been asked about in this life.
    pub(super) fn first_word(&mut self, log: LogId) -> Option<u64> {
        if !self.own_cursor || self.next.contains_key(&log) {
            return None;
        }
        let applied = self.applied(log);
        self.next.insert(log, applied + 1);
        Some(applied)
    }

    /// The effect of a record. Whether it was a repeat.
    pub(super) fn apply(&mut self, log: LogId, seq: u64) -> Result<bool, String> {
        let next = self.next.entry(log).or_insert(1);
        if seq != *next {
            return Err(format!("record {seq} of {log} was given to the application where record {next} belongs"));
        }
        *next += 1;
        let applied = self.applied.entry(log).or_insert(0);
        let repeat = seq <= *applied;
        *applied = seq.max(*applied);
        Ok(repeat)
    }

    /// Highest applied record.
    pub(super) fn applied(&self, log: LogId) -> u64 {
        self.applied.get(&log).copied().unwrap_or(0)
    }

    /// Every log with its highest applied record.
    pub(super) fn cursors(&self) -> Vec<(LogId, u64)> {
        self.applied.iter().map(|(log, seq)| (*log, *seq)).collect()
    }
}
