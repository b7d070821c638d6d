//! What snapshots ask of the log's thread: where every log stands, to begin logs at a snapshot's places, and to let go of records.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Error, Event, LogId, Result};
use crate::driver::Shell;
use crate::driver::asks::Ask;
use crate::driver::log::renew;
use crate::mesh::io::{Input, SnapshotInput};
use crate::snapshot::Place;
use crate::snapshot::retention::Kept;
use crate::sync::{Base, Storage, StoreError, Wal};

type Reply<T> = Box<dyn FnOnce(Result<T>) + Send>;

/// Begins a new own log, and tells why.
type Renew<'a, S> = &'a mut dyn FnMut(&mut Wal<S>, &str) -> std::result::Result<(), String>;

/// A question with its way back.
pub(crate) enum SnapshotAsk {
    /// The own log, and the sealed places of a state that has it up to this record.
    Places(u64, Reply<(LogId, Vec<Place>)>),
    /// How far every log of others is applied, and own ones are no longer kept.
    Standing(Reply<Vec<(LogId, u64)>>),
    /// A snapshot names this place in that log: if it is the own one and behind what is here, appending goes on in a new one.
    Claim(LogId, Base, Reply<()>),
    /// Begin logs at these places; those that were.
    Adopt(Vec<Place>, Reply<Vec<Place>>),
    /// What is kept, by the places where it can be cut.
    Kept(Reply<BTreeMap<LogId, Kept>>),
    /// Let go of records up to there; the records before which each log begins now.
    Cut(BTreeMap<LogId, u64>, Reply<BTreeMap<LogId, u64>>),
}

/// Answers on the log's thread.
pub(crate) fn answer<S: Storage>(shell: &Arc<Shell>, wal: &mut Wal<S>, ask: SnapshotAsk) {
    match ask {
        SnapshotAsk::Places(own, reply) => reply(places_of(wal, own).map(|places| (wal.own(), places))),
        SnapshotAsk::Standing(reply) => reply(Ok(standing_of(wal))),
        SnapshotAsk::Adopt(places, reply) => {
            let before = wal.formers();
            let adopted = adopt_all(wal, &places, &mut |wal, why| renew(shell, wal, why));
            for file in wal.formers().into_iter().filter(|file| !before.contains(file)) {
                let what =
                    "this node's log went on behind a snapshot's place; its records from here, which may be in no snapshot, are kept in";
                shell.emit(Event::LogDamaged { detail: format!("{what} {file}") });
            }
            // Also where a log is left as it is: what the state has taken in is not to be applied to it.
            for place in places.iter().filter(|_| adopted.is_ok()) {
                shell.step(Input::Applied { log: place.log, seq: place.applied.min(wal.durable(place.log)) });
            }
            reply(adopted);
        }
        SnapshotAsk::Claim(log, place, reply) => reply(claim(shell, wal, log, &place)),
        SnapshotAsk::Kept(reply) => reply(Ok(kept_of(wal))),
        SnapshotAsk::Cut(upto, reply) => reply(cut(shell, wal, &upto)),
    }
}

fn claim<S: Storage>(shell: &Arc<Shell>, wal: &mut Wal<S>, log: LogId, place: &Base) -> Result<()> {
    if log != wal.own() {
        return Ok(());
    }
    // Judged by all of it.
    crate::driver::log::flush(shell, wal);
    match wal.own_place(place) {
        Err(why @ StoreError::Rollback { .. }) => renew(shell, wal, &why.to_string()).map_err(Error::Log),
        Err(why) => Err(Error::Log(why.to_string())),
        Ok(()) => Ok(()),
    }
}

fn ask<T: Send + 'static>(shell: &Shell, ask: impl FnOnce(Reply<T>) -> SnapshotAsk) -> Result<T> {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    shell.log.ask(Ask::Snapshot(ask(Box::new(move |answer| drop(tell.send(answer))))));
    told.recv().unwrap_or(Err(Error::Stopped))
}

/// The own log, and the sealed places of a state that has everything applied, and that log up to `own`. Blocks.
pub(crate) fn places(shell: &Shell, own: u64) -> Result<(LogId, Vec<Place>)> {
    ask(shell, |reply| SnapshotAsk::Places(own, reply))
}

/// How far every log of others is applied, and own ones are no longer kept. Blocks.
pub(crate) fn standing(shell: &Shell) -> Result<Vec<(LogId, u64)>> {
    ask(shell, SnapshotAsk::Standing)
}

/// A snapshot that names this place in the own log is being looked at: goes on in a new log if this node was set back. Blocks.
pub(crate) fn claimed(shell: &Shell, log: LogId, place: Base) -> Result<()> {
    ask(shell, |reply| SnapshotAsk::Claim(log, place, reply))
}

/// Begins logs at a snapshot's places; those that were. Blocks.
pub(crate) fn adopt(shell: &Shell, places: Vec<Place>) -> Result<Vec<Place>> {
    ask(shell, |reply| SnapshotAsk::Adopt(places, reply))
}

/// What is kept of every log. Blocks.
pub(crate) fn kept(shell: &Shell) -> Result<BTreeMap<LogId, Kept>> {
    ask(shell, SnapshotAsk::Kept)
}

/// Lets go of records; where each of the logs begins now. Blocks.
pub(crate) fn cut_to(shell: &Shell, upto: BTreeMap<LogId, u64>) -> Result<BTreeMap<LogId, u64>> {
    ask(shell, |reply| SnapshotAsk::Cut(upto, reply))
}

fn places_of<S: Storage>(wal: &Wal<S>, own: u64) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    for state in wal.states() {
        let applied = if state.log == wal.own() { own } else { state.applied };
        if applied > state.durable {
            let why = format!("{} is applied to record {applied} and durable to {} only: it is being repaired", state.log, state.durable);
            return Err(Error::Log(format!("{why}; make the snapshot later")));
        }
        if applied > 0 {
            let sealed = wal.place_before(state.log, applied).map_err(|e| Error::Log(e.to_string()))?;
            places.push(Place { log: state.log, applied, sealed });
        }
    }
    Ok(places)
}

fn standing_of<S: Storage>(wal: &Wal<S>) -> Vec<(LogId, u64)> {
    let is_own = |log: &LogId| log.origin == wal.own().origin;
    wal.states().into_iter().map(|state| (state.log, if is_own(&state.log) { state.base } else { state.applied })).collect()
}

/// Begins every log at its place; those that were. A log that is frozen keeps its records, one that finds no room is left out.
pub(crate) fn adopt_all<S: Storage>(wal: &mut Wal<S>, places: &[Place], renew: Renew<'_, S>) -> Result<Vec<Place>> {
    let mut adopted = Vec::new();
    for place in places {
        let mut done = adopt_one(wal, place);
        if let Err(why @ StoreError::Rollback { .. }) = &done {
            // Restored from an old copy: the present log becomes an earlier one of this node's.
            renew(wal, &why.to_string()).map_err(Error::Log)?;
            done = adopt_one(wal, place);
        }
        match done {
            Ok(()) => adopted.push(place.clone()),
            Err(StoreError::Disk(why)) => return Err(Error::Log(why)),
            Err(_) => {}
        }
    }
    Ok(adopted)
}

fn adopt_one<S: Storage>(wal: &mut Wal<S>, place: &Place) -> std::result::Result<(), StoreError> {
    match &place.sealed {
        Some(base) => wal.adopt(place.log, base, place.applied),
        None => wal.adopt_beginning(place.log, place.applied),
    }
}

fn kept_of<S: Storage>(wal: &Wal<S>) -> BTreeMap<LogId, Kept> {
    let kept = |log| {
        let (cuts, rest) = wal.cuts(log);
        (log, Kept { cuts, rest })
    };
    wal.states().into_iter().map(|state| kept(state.log)).collect()
}

fn cut<S: Storage>(shell: &Arc<Shell>, wal: &mut Wal<S>, upto: &BTreeMap<LogId, u64>) -> Result<BTreeMap<LogId, u64>> {
    let mut bases = BTreeMap::new();
    for (log, upto) in upto {
        let before = wal.base(*log);
        let base = wal.truncate(*log, *upto).map_err(|e| Error::Log(e.to_string()))?;
        if base > before {
            shell.step(Input::Snapshot(SnapshotInput::Truncated { log: *log, base }));
            shell.emit(Event::LogTruncated { log: *log, seq: base });
        }
        bases.insert(*log, base);
    }
    Ok(bases)
}
