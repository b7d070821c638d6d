//! What a node's application does with replicated records: who applies them, where it stands, and how it gets past one it cannot
//! apply. Decides nothing: order and offers are the mesh's.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Error, LogId, Result};
use crate::driver::apply::{Outcome, Record, Standing};
use crate::driver::workers::NodeWal;
use crate::mesh::LogView;
use crate::mesh::io::Input;
use crate::sync::{LogState, WalError};

use super::Node;

impl Node {
    /// Sets what applies replicated records, on a thread of its own. Takes effect at the next start. A handler that panics ends the
    /// node ([`Event::Fatal`]): the record is not applied, and no other is offered.
    pub fn on_apply(&self, handler: impl FnMut(&Record<'_>) -> Outcome + Send + 'static) {
        self.inner.state.lock().handler = Some(Box::new(handler));
    }

    /// Sets what tells how far the application's own store has come in a log: the number it keeps in the same transaction as the
    /// effects, which is what makes applying exactly-once. Asked at the start about every log that is here, and about one that appears
    /// later before its first record, on the thread that applies. `None` leaves it to the library's own note, which the last second
    /// before a power cut may be missing from: then records come again. [`Standing::Unknown`] fails the start, or has the record wait
    /// and this asked again. Takes effect at the next start.
    pub fn on_cursor<S: Into<Standing>>(&self, cursor: impl Fn(LogId) -> S + Send + Sync + 'static) {
        self.inner.state.lock().cursor = Some(Arc::new(move |log| cursor(log).into()));
    }

    pub(crate) fn set_cursor(&self, cursor: Option<crate::driver::apply::Cursor>) {
        self.inner.state.lock().cursor = cursor;
    }

    /// Tells where the application stands: the last record of `log` that has taken effect in its own store. Replaces the library's own
    /// note; [`Node::on_cursor`] does so without being told log by log. Call it before `start`.
    pub fn set_applied(&self, log: LogId, seq: u64) -> Result<()> {
        let mut state = self.inner.state.lock();
        let wal = state.wal.as_mut().ok_or_else(|| Error::Invalid("set_applied comes before start".into()))?;
        match wal.move_applied(log, seq) {
            Ok(()) => Ok(()),
            Err(WalError::UnknownLog(_)) if seq == 0 => Ok(()),
            Err(e) => Err(Error::Log(e.to_string())),
        }
    }

    /// Has a parked log go on ([`Outcome::Poison`]): the record it is parked at is offered once more, or, if `skip`, counts as applied
    /// although it had no effect. An application that keeps its own cursor moves that past a skipped record itself. A log that waits in
    /// causal mode ([`LogView::waits`](crate::mesh::LogView)) gives up by `skip` what the view shows it to wait for, and no record is
    /// skipped: for records that will never come. What else it lacks it still waits for, and shows next.
    pub fn apply_resume(&self, log: LogId, skip: bool) -> Result<()> {
        let not_parked = || Error::Invalid(format!("{log} is not parked"));
        match self.shell() {
            Ok(shell) => {
                let stuck = |view: LogView| view.parked.is_some() || (skip && view.waits.is_some());
                let parked = shell.look(|mesh, _| mesh.log(log).is_some_and(stuck));
                parked.then(|| shell.step(Input::ApplyResume { log, skip })).ok_or_else(not_parked)
            }
            Err(Error::Stopped) => {
                let mut state = self.inner.state.lock();
                let wal = state.wal.as_mut().ok_or(Error::Stopped)?;
                let parked = wal.states().into_iter().find(|state| state.log == log).and_then(|state| state.parked);
                let seq = parked.ok_or_else(not_parked)?;
                wal.park(log, if skip { seq } else { seq - 1 }, None).map_err(|e| Error::Log(e.to_string()))
            }
            Err(e) => Err(e),
        }
    }

    /// How far the application is in every log of others, by its own word. No lock is held while it answers.
    pub(super) fn ask_cursor(&self) -> Result<BTreeMap<LogId, Option<u64>>> {
        let state = self.inner.state.lock();
        let (Some(cursor), Some(wal)) = (state.cursor.clone(), &state.wal) else { return Ok(BTreeMap::new()) };
        let logs: Vec<LogId> = wal.states().into_iter().map(|state| state.log).filter(|log| !self.is_own(*log)).collect();
        drop(state);
        let ask = |log: LogId| match cursor(log) {
            Standing::At(seq) => Ok((log, Some(seq))),
            Standing::Note => Ok((log, None)),
            Standing::Unknown => {
                Err(Error::Invalid(format!("the cursor callback cannot tell where {log} stands; start again when it can")))
            }
        };
        logs.into_iter().map(ask).collect()
    }

    /// Whether this node, or an earlier key of it, wrote a log.
    pub(super) fn is_own(&self, log: LogId) -> bool {
        log.origin == self.id() || self.formerly().contains(&log.origin)
    }
}

/// Puts the library's notes where the application says it stands: a later start without its word, and a parked record, go by them.
pub(super) fn note(wal: &mut NodeWal, told: &BTreeMap<LogId, Option<u64>>) -> Result<()> {
    for (log, seq) in told.iter().filter_map(|(log, seq)| Some((*log, (*seq)?))) {
        let seq = seq.min(wal.durable(log));
        match wal.move_applied(log, seq) {
            Ok(()) | Err(WalError::UnknownLog(_)) => {}
            Err(e) => return Err(Error::Log(e.to_string())),
        }
    }
    Ok(())
}

/// How far every log is, by the application's word where it has one.
pub(super) fn standing(mut states: Vec<LogState>, told: &BTreeMap<LogId, Option<u64>>) -> Vec<LogState> {
    for state in &mut states {
        state.applied = told.get(&state.log).copied().flatten().unwrap_or(state.applied);
    }
    states
}
