//! What comparing logs with peers asks of the log's thread: the last seals of logs, and what stands where a peer's copy ends.
//!
//! Never decides what is compared. A copy that differs freezes the log; one of the own log shows that this node was set back.

use std::sync::Arc;

use crate::base::{Event, LinkId, LogId};
use crate::driver::Shell;
use crate::driver::log::{flush, renew};
use crate::mesh::io::{Compared, Input, SealRecord};
use crate::sync::{Storage, StoreError, Wal};

/// The last seal of each of these logs.
pub(crate) fn last_seals<S: Storage>(shell: &Arc<Shell>, wal: &Wal<S>, logs: &[LogId]) {
    let seal = |log: &LogId| {
        let read = wal.last_seal(*log);
        if let Err(error) = &read {
            shell.emit(Event::LogDamaged { detail: error.to_string() });
        }
        (*log, read.unwrap_or_default())
    };
    let seals = logs.iter().map(seal).collect();
    shell.step(Input::LastSeals { seals });
}

/// Compares a peer's seal with what is here.
pub(crate) fn compare<S: Storage>(shell: &Arc<Shell>, wal: &mut Wal<S>, link: LinkId, log: LogId, seal: SealRecord) {
    if log == wal.own() {
        // Judged by all of it.
        flush(shell, wal);
    }
    let mut verdict = wal.compare(log, &seal);
    match &verdict {
        Compared::Differs { why: why @ StoreError::Rollback { .. }, .. } => match renew(shell, wal, &why.to_string()) {
            // It is a log like any other now, and has two histories unless it is only too short.
            Ok(()) => freeze(shell, link, log, &wal.compare(log, &seal)),
            // Nothing has changed, so that it is to be compared again.
            Err(detail) => verdict = Compared::Failed(detail),
        },
        Compared::Failed(detail) => shell.emit(Event::LogFailed { detail: detail.clone() }),
        verdict => freeze(shell, link, log, verdict),
    }
    shell.step(Input::Compared { link, log, seal, verdict: Box::new(verdict) });
}

fn freeze(shell: &Arc<Shell>, link: LinkId, log: LogId, verdict: &Compared) {
    if let Compared::Differs { why: why @ StoreError::Fork { seq }, .. } = verdict {
        shell.step(Input::Forked { link, log, seq: *seq, detail: why.to_string() });
    }
}
