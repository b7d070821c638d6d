//! The application of one node: what it has applied, and where it goes on after a restart.
//!
//! Keeps either its own cursor together with its data (every record exactly once) or none (the library's cursor: the last records
//! may come again after a crash, never with a gap or out of order). Checks its own contract at every record.

use std::collections::{BTreeMap, VecDeque};

use crate::base::{Incarnation, LogId, PeerId};
use crate::snapshot::Manifest;
use crate::sync::Cause;

/// A range of durable records that the application was given.
#[derive(Clone, Debug)]
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
    /// `next` comes after these records, which it has not applied.
    pub(super) lacks: Vec<Cause>,
}

impl Applying {
    pub(super) fn new(log: LogId, from: u64, upto: u64) -> Applying {
        Applying { log, next: from, upto, told: from, refused: false, poisoned: false, lacks: Vec::new() }
    }
}

/// One node's application.
#[derive(Clone, Debug)]
pub(super) struct App {
    /// Whether it keeps its own cursor.
    pub(super) own_cursor: bool,
    /// How many of a thousand records it refuses for now.
    pub(super) refuses: u32,
    /// How many of a thousand records it calls poison.
    pub(super) poisons: u32,
    /// Highest record of each log whose effect it has; never lost.
    applied: BTreeMap<LogId, u64>,
    /// The effect: a hash over the records of each log in their order.
    effects: BTreeMap<LogId, [u8; 32]>,
    /// The same of what it wrote itself, with how far that goes.
    own: BTreeMap<LogId, (u64, [u8; 32])>,
    /// How far a snapshot that it took in goes in each log: maybe further than the log does here yet.
    granted: BTreeMap<LogId, u64>,
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
            effects: BTreeMap::new(),
            own: BTreeMap::new(),
            granted: BTreeMap::new(),
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
    pub(super) fn apply(&mut self, log: LogId, seq: u64, payload: &[u8]) -> Result<bool, String> {
        let next = self.next.entry(log).or_insert(1);
        if seq != *next {
            return Err(format!("record {seq} of {log} was given to the application where record {next} belongs"));
        }
        *next += 1;
        let applied = self.applied.entry(log).or_insert(0);
        let repeat = seq <= *applied;
        if !repeat {
            link(self.effects.entry(log).or_default(), payload);
        }
        *applied = seq.max(*applied);
        Ok(repeat)
    }

    /// Highest applied record.
    pub(super) fn applied(&self, log: LogId) -> u64 {
        self.applied.get(&log).copied().unwrap_or(0)
    }

    /// Every log of others with how far this life of the process goes in it.
    pub(super) fn seen(&self) -> impl Iterator<Item = (LogId, u64)> + '_ {
        let upto = |log: &LogId, next: u64| if self.own_cursor { self.applied(*log) } else { next - 1 };
        self.next.iter().map(move |(log, next)| (*log, upto(log, *next))).filter(|(_, seq)| *seq > 0)
    }

    /// Every log with its highest applied record.
    pub(super) fn cursors(&self) -> Vec<(LogId, u64)> {
        self.applied.iter().map(|(log, seq)| (*log, *seq)).collect()
    }
}

/// Appends a record to an effect.
pub(super) fn link(effect: &mut [u8; 32], payload: &[u8]) {
    let digest = blake3::hash(payload);
    *effect = *blake3::hash(&[&effect[..], digest.as_bytes()].concat()).as_bytes();
}

const LINE_BYTES: usize = 32 + 8 + 8 + 32;

/// The state as bytes: a line for each log, and so much that depends on all of them.
impl App {
    /// The effect of a record of its own.
    pub(super) fn own_effect(&mut self, log: LogId, seq: u64, payload: &[u8]) {
        let (at, effect) = self.own.entry(log).or_default();
        if seq == *at + 1 {
            link(effect, payload);
            *at = seq;
        }
    }

    /// How far it has the effect of its own records.
    pub(super) fn own_at(&self, log: LogId) -> u64 {
        self.own.get(&log).map_or(0, |(at, _)| *at)
    }

    /// How far its effect of a log goes, and what that is.
    pub(super) fn effect(&self, log: &LogId) -> (u64, [u8; 32]) {
        let other = || Some((self.applied(*log), *self.effects.get(log)?));
        self.own.get(log).copied().or_else(other).unwrap_or_default()
    }

    /// How far a snapshot goes in a log.
    pub(super) fn granted(&self, log: LogId) -> u64 {
        self.granted.get(&log).copied().unwrap_or(0)
    }

    /// Every log with how far its effect goes, in the logs' order.
    pub(super) fn places(&self) -> BTreeMap<LogId, u64> {
        let own = self.own.iter().map(|(log, (at, _))| (*log, *at));
        self.applied.iter().map(|(log, seq)| (*log, *seq)).chain(own).filter(|(_, seq)| *seq > 0).collect()
    }

    /// The whole state, with so many bytes behind its lines.
    pub(super) fn write(&self, filler: usize) -> Vec<u8> {
        let mut state = Vec::new();
        for (log, seq) in self.places() {
            let effect = self.own.get(&log).map(|(_, effect)| effect).or(self.effects.get(&log)).copied().unwrap_or_default();
            state.extend_from_slice(&log.origin.0);
            state.extend_from_slice(&log.incarnation.0.to_le_bytes());
            state.extend_from_slice(&seq.to_le_bytes());
            state.extend_from_slice(&effect);
        }
        let lines = state.len();
        state.resize(lines + filler, 0);
        let (lines, rest) = state.split_at_mut(lines);
        blake3::Hasher::new().update(lines).finalize_xof().fill(rest);
        state
    }

    /// Replaces the state by that of a snapshot, in one step.
    pub(super) fn install(&mut self, me: PeerId, state: &[u8], manifest: &Manifest) -> Result<(), String> {
        let mut fresh = App::new(self.own_cursor);
        let (lines, _) = state[..(manifest.places.len() * LINE_BYTES).min(state.len())].as_chunks::<LINE_BYTES>();
        for (line, place) in lines.iter().zip(&manifest.places) {
            let part = |at: usize| line[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
            let effect: [u8; 32] = line[48..].try_into().map_err(|_| "a line that is cut")?;
            let origin: [u8; 32] = line[..32].try_into().map_err(|_| "a line that is cut")?;
            let (log, seq) = (LogId { origin: PeerId(origin), incarnation: Incarnation(part(32)) }, part(40));
            if (log, seq) != (place.log, place.applied) {
                return Err(format!("a snapshot's state has {log} to {seq}, its manifest {} to {}", place.log, place.applied));
            }
            if log.origin == me {
                fresh.own.insert(log, (seq, effect));
            } else {
                fresh.applied.insert(log, seq);
                fresh.effects.insert(log, effect);
                fresh.granted.insert(log, seq);
                fresh.next.insert(log, seq + 1);
            }
        }
        if lines.len() != manifest.places.len() || fresh.write(state.len() - lines.len() * LINE_BYTES) != state {
            return Err("a snapshot's state is not what was written".into());
        }
        if let Some((log, seq)) = self.applied.iter().find(|(log, seq)| fresh.applied(**log) < **seq) {
            return Err(format!("a snapshot takes {log} back to {}, {seq} is applied", fresh.applied(*log)));
        }
        (self.applied, self.effects, self.own) = (fresh.applied, fresh.effects, fresh.own);
        (self.granted, self.next) = (fresh.granted, fresh.next);
        Ok(())
    }
}
