//! Questions to the log's thread that are neither appends, stores nor reads: a barrier, and how far behind somebody is.

use std::sync::Arc;

use crate::base::{Error, LinkId, LogId, Result};
use crate::driver::compare;
use crate::driver::snapshots::log::{self as snapshots, SnapshotAsk};
use crate::driver::{Shell, log};
use crate::mesh::io::SealRecord;
use crate::sync::{Storage, Wal};

/// What lies behind a record: how much, and since when.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Behind {
    /// Bytes of groups behind it.
    pub(crate) bytes: u64,
    /// The origin's wall clock at the first record behind it, microseconds since 1970; 0 if there is none.
    pub(crate) since_us: u64,
}

/// A question with its way back.
pub(crate) enum Ask {
    /// Make durable what was accepted; the last durable record of the own log.
    Flush(Box<dyn FnOnce(Result<u64>) + Send>),
    /// What lies behind each of these records.
    Behind(Vec<(LogId, u64)>, Box<dyn FnOnce(Vec<Behind>) + Send>),
    /// Of snapshots.
    Snapshot(SnapshotAsk),
    /// The mesh wants the last seals of these logs.
    LastSeals(Vec<LogId>),
    /// It wants a peer's seal compared.
    Compare(LinkId, LogId, SealRecord),
}

/// Answers on the log's thread.
pub(crate) fn answer<S: Storage>(shell: &Arc<Shell>, wal: &mut Wal<S>, ask: Ask) {
    match ask {
        Ask::Flush(reply) => {
            let why = "the disk refuses what was accepted; it is tried again, and an event says why";
            let done = log::flush(shell, wal);
            reply(if done { Ok(wal.durable(wal.own())) } else { Err(Error::Log(why.into())) });
        }
        Ask::Behind(places, reply) => reply(behind(wal, &places)),
        Ask::Snapshot(ask) => snapshots::answer(shell, wal, ask),
        Ask::LastSeals(logs) => compare::last_seals(shell, wal, &logs),
        Ask::Compare(link, log, seal) => compare::compare(shell, wal, link, log, seal),
    }
}

/// What lies behind each of these records.
pub(crate) fn behind<S: Storage>(wal: &Wal<S>, places: &[(LogId, u64)]) -> Vec<Behind> {
    places
        .iter()
        .map(|(log, after)| wal.behind(*log, *after).map(|(bytes, since_us)| Behind { bytes, since_us }).unwrap_or_default())
        .collect()
}
