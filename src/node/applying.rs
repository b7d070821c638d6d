//! What a node's application does with replicated records: who applies them, where it stands, and how it gets past one it cannot
//! apply. Decides nothing: order and offers are the mesh's.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Error, LogId, Result};
use crate::driver::apply::{Outcome, Record};
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
    /// before a power cut may be missing from: then records come again. Takes effect at the next start.
    pub fn on_cursor(&self, cursor: impl Fn(LogId) -> Option<u64> + Send + Sync + 'static) {
        self.inner.state.lock().cursor = Some(Arc::new(cursor));
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
    /// although it had no effect. An application that keeps its own cursor moves that past a skipped record itself.
    pub fn apply_resume(&self, log: LogId, skip: bool) -> Result<()> {
        let not_parked = || Error::Invalid(format!("{log} is not parked"));
        match self.shell() {
            Ok(shell) => {
                let parked = shell.look(|mesh, _| mesh.logs().iter().any(|view| view.log == log && view.parked.is_some()));
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
    pub(super) fn ask_cursor(&self) -> BTreeMap<LogId, Option<u64>> {
        let state = self.inner.state.lock();
        let (Some(cursor), Some(wal)) = (state.cursor.clone(), &state.wal) else { return BTreeMap::new() };
        let own = |log: &LogId| log.origin == self.id() || self.formerly().contains(&log.origin);
        let logs: Vec<LogId> = wal.states().into_iter().map(|state| state.log).filter(|log| !own(log)).collect();
        drop(state);
        logs.into_iter().map(|log| (log, cursor(log))).collect()
    }
}

/// How far every log is, by the application's word where it has one.
pub(super) fn standing(mut states: Vec<LogState>, told: &BTreeMap<LogId, Option<u64>>) -> Vec<LogState> {
    for state in &mut states {
        state.applied = told.get(&state.log).copied().flatten().unwrap_or(state.applied);
    }
    states
}
