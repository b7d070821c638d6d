//! Taking a snapshot in: a durable mark, the consumer, every log begun at its place, the mark gone. A crash in between has the same
//! done again at the next start, before anything is applied.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use crate::base::{Error, Event, LogId, Result};
use crate::driver::Shell;
use crate::driver::snapshots::make::failed;
use crate::driver::snapshots::{Archive, held_input, log, place, section};
use crate::driver::workers::NodeWal;
use crate::mesh::io::{Input, SnapshotInput};
use crate::snapshot::{Held, Place};
use crate::wire::message::SnapshotId;

/// Takes in what the mesh has fetched.
pub(crate) fn for_mesh(shell: &Arc<Shell>, id: SnapshotId) {
    let Some(archive) = shell.snapshots.get() else { return shell.step(Input::Snapshot(SnapshotInput::NotInstalled { id })) };
    let mut done = Err(Error::Stopped);
    archive.exclusively(&mut || done = install(shell, archive, id));
    match done {
        Ok((held, places)) => {
            shell.step(Input::Snapshot(held_input(&held)));
            shell.emit(taken(archive, &held));
            shell.step(Input::Snapshot(SnapshotInput::Installed { id, places: places.iter().map(place).collect() }));
            let gone = archive.drop_old();
            gone.into_iter().for_each(|id| shell.step(Input::Snapshot(SnapshotInput::Gone { id })));
        }
        Err(error) => {
            shell.emit(Event::LogFailed { detail: format!("a snapshot was not taken in: {error}") });
            shell.step(Input::Snapshot(SnapshotInput::NotInstalled { id }));
            if archive.store.lock().marked().is_some() {
                // The application may stand at the snapshot's places and the logs do not: nothing may be applied before they do.
                shell.fail(format!("a snapshot was taken in by half; open the node anew to finish it: {error}"));
            }
        }
    }
}

fn taken(archive: &Archive, held: &Held) -> Event {
    let own = held.manifest.places.iter().filter(|place| place.log.origin == archive.identity.id()).map(|place| place.applied).max();
    Event::SnapshotTaken {
        peer: held.manifest.maker,
        seq: own.unwrap_or(0),
        bytes: held.manifest.size,
        detail: format!("{}: {} logs", held.id, held.manifest.places.len()),
    }
}

fn install(shell: &Arc<Shell>, archive: &Archive, id: SnapshotId) -> Result<(Held, Vec<Place>)> {
    let held = {
        let mut store = archive.store.lock();
        store.finish_take(&id).map_err(failed)?;
        store.get(&id).cloned().ok_or(Error::Stopped)?
    };
    check_covers(&held, &log::standing(shell)?)?;
    archive.mark(&id)?;
    if let Err(why) = archive.consume(&held) {
        // By the handler's promise the old state stands.
        archive.store.lock().unmark().map_err(failed)?;
        return Err(why);
    }
    let places = log::adopt(shell, held.manifest.places.clone())?;
    archive.store.lock().unmark().map_err(failed)?;
    Ok((held, places))
}

/// A state that lacks what is applied here would undo it; one that lacks own records which are gone would be the newest without them.
fn check_covers(held: &Held, applied: &[(LogId, u64)]) -> Result<()> {
    let places: BTreeMap<LogId, u64> = held.manifest.places.iter().map(|place| (place.log, place.applied)).collect();
    for (log, seq) in applied {
        let place = places.get(log).copied().unwrap_or(0);
        if place < *seq {
            return Err(Error::Invalid(format!("it holds {log} up to record {place}, and {seq} is applied here or no longer kept")));
        }
    }
    Ok(())
}

impl Archive {
    /// Notes that a snapshot is being taken in. Where the note fails it is taken back: the next start may see it all the same.
    fn mark(&self, id: &SnapshotId) -> Result<()> {
        let mut store = self.store.lock();
        let done = store.mark(id).map_err(failed);
        let is_marked = done.is_err() && store.marked() == Some(*id);
        if is_marked { store.unmark().map_err(failed).and(done) } else { done }
    }

    /// The newest state here, from its beginning.
    pub(super) fn newest_state(&self) -> Option<impl Read> {
        let id = self.store.lock().held().first().map(|held| held.id)?;
        Some(In { archive: self, id, index: 0, piece: Vec::new(), at: 0 })
    }

    /// Has the consumer replace the state.
    fn consume(&self, held: &Held) -> Result<()> {
        let mut input = In { archive: self, id: held.id, index: 0, piece: Vec::new(), at: 0 };
        section::skip(&mut input).map_err(|e| Error::Log(e.to_string()))?;
        let done = self.with_handler(|handler| handler.read(&held.manifest.places, &mut input));
        let done = done.ok_or_else(|| {
            Error::Invalid("a snapshot was being taken in when the node ended; set the consumer (on_snapshot) before start".into())
        })?;
        done.map_err(|e| Error::Log(format!("the snapshot's consumer: {e}")))
    }

    /// Has the application's part of the newest state here read, without a word to the logs; whether there is one.
    pub(crate) fn read_newest(&self, read: impl FnOnce(&[Place], &mut dyn Read) -> io::Result<()>) -> io::Result<bool> {
        let newest = self.store.lock().held().first().map(|held| (held.id, held.manifest.places.clone()));
        let Some((id, places)) = newest else { return Ok(false) };
        let mut input = In { archive: self, id, index: 0, piece: Vec::new(), at: 0 };
        section::skip(&mut input)?;
        read(&places, &mut input).map(|()| true)
    }

    /// Whether a snapshot was being taken in when the node ended.
    pub(crate) fn is_marked(&self) -> bool {
        self.store.lock().marked().is_some()
    }

    /// An application's store that lacks records which are gone: has the newest snapshot put in its place, if that has all it holds.
    pub(crate) fn restore(&self, wal: &NodeWal, told: &BTreeMap<LogId, Option<u64>>) -> Result<bool> {
        let lacks = told.iter().find(|(log, seq)| seq.is_some_and(|seq| seq < wal.base(**log)));
        let Some((log, seq)) = lacks else { return Ok(false) };
        let held = self.store.lock().held().first().map(|held| (*held).clone());
        let covers = |held: &Held| {
            let applied: Vec<_> = told.iter().filter_map(|(log, seq)| Some((*log, (*seq)?))).collect();
            check_covers(held, &applied).and_then(|()| check_covers(held, &[(*log, wal.base(*log))]))
        };
        match held.map(|held| covers(&held).map(|()| held.id)) {
            Some(Ok(id)) => self.mark(&id).map(|()| true),
            other => {
                let why = other.map_or("there is no snapshot".to_owned(), |fault| fault.err().map(|e| e.to_string()).unwrap_or_default());
                let (seq, base) = (seq.unwrap_or(0), wal.base(*log));
                let what = format!("the application stands at record {seq} of {log}, and records up to {base} are no longer kept");
                Err(Error::Log(format!("{what}; the newest snapshot cannot take its state's place: {why}")))
            }
        }
    }

    /// Finishes what an earlier run was taking in, before the log and the application move.
    pub(crate) fn resume(&self, wal: &mut NodeWal) -> Result<Option<Event>> {
        let marked = self.store.lock().marked();
        let Some(id) = marked else { return Ok(None) };
        let held = self.store.lock().get(&id).cloned().ok_or_else(|| {
            let why = format!("snapshot {id} was being taken in when the node ended, and it is no longer on disk; the application's state");
            Error::Log(format!("{why} may be ahead of the logs: restore the data directory and the application together"))
        })?;
        self.consume(&held)?;
        log::adopt_all(wal, &held.manifest.places, &mut |wal, _| {
            let n = getrandom::u64().map_err(|e| e.to_string())?;
            wal.renew(crate::base::Incarnation(n)).map(drop).map_err(|e| e.to_string())
        })?;
        self.store.lock().unmark().map_err(failed)?;
        Ok(Some(taken(self, &held)))
    }
}

/// Where the consumer reads: piece by piece, proven, from the store, which is locked for moments only.
struct In<'a> {
    archive: &'a Archive,
    id: SnapshotId,
    index: u64,
    piece: Vec<u8>,
    at: usize,
}

impl Read for In<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            let mut store = self.archive.store.lock();
            if store.pieces(&self.id).is_none_or(|pieces| self.index >= pieces) && store.get(&self.id).is_some() {
                return Ok(0);
            }
            self.piece = store.piece(&self.id, self.index).map_err(io::Error::other)?;
            (self.index, self.at) = (self.index + 1, 0);
        }
        let n = out.len().min(self.piece.len() - self.at);
        out[..n].copy_from_slice(&self.piece[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
