//! Making a snapshot: the provider writes, the places are read off the log, the manifest is signed. On the apply thread, so that the
//! state and its places are of one moment.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use crate::base::{Error, Event, LogId, Result, limits};
use crate::driver::Shell;
use crate::driver::apply::Standing;
use crate::driver::log::now_us;
use crate::driver::snapshots::{Archive, SnapshotHandler, held_input, log, section};
use crate::mesh::LogView;
use crate::mesh::io::{Input, SnapshotInput};
use crate::snapshot::Making;
use crate::wire::message::SnapshotId;

/// Makes one because a peer needs it.
pub(crate) fn for_mesh(shell: &Arc<Shell>) {
    if let Err(error) = now(shell) {
        if shell.snapshots.get().is_some_and(|archive| archive.has_handler()) {
            shell.emit(Event::LogFailed { detail: error.to_string() });
        }
        shell.step(Input::Snapshot(SnapshotInput::NotMade));
    }
}

/// Makes one and tells the mesh. Only on the apply thread.
pub(crate) fn now(shell: &Arc<Shell>) -> Result<SnapshotId> {
    let archive = shell.snapshots.get().ok_or(Error::Stopped)?;
    let mut made = Err(Error::Stopped);
    archive.exclusively(&mut || {
        let none = || Err(Error::Invalid("no snapshot is made without a provider: set one with on_snapshot".into()));
        made = archive.with_handler(|handler| make(shell, archive, handler)).unwrap_or_else(none);
    });
    let id = made?;
    let (told, gone) = archive.settle(&id);
    if let Some((input, event)) = told {
        shell.step(Input::Snapshot(input));
        shell.emit(event);
    }
    gone.into_iter().for_each(|id| shell.step(Input::Snapshot(SnapshotInput::Gone { id })));
    Ok(id)
}

fn make(shell: &Arc<Shell>, archive: &Archive, handler: &mut dyn SnapshotHandler) -> Result<SnapshotId> {
    let others: Vec<LogView> =
        shell.look(|mesh, _| mesh.logs()).into_iter().filter(|view| view.log.origin != archive.identity.id()).collect();
    // What came of a log that the application was ahead of was never offered, and so not noted yet.
    others.iter().filter(|view| view.applied > 0).for_each(|view| shell.log.applied(view.log, view.applied));
    let own = shell.log.flush_blocking()?;
    let (own_log, mut places) = log::places(shell, own)?;
    let upto: BTreeMap<LogId, u64> = places.iter().map(|place| (place.log, place.applied)).collect();
    let ahead = |(log, applied): &(&LogId, &u64)| matches!(shell.apply.told(**log), Standing::At(seq) if seq > **applied);
    if let Some((log, applied)) = upto.iter().filter(|(log, _)| log.origin != archive.identity.id()).find(ahead) {
        return Err(Error::Log(format!("the application is ahead of record {applied} of {log}, which is being repaired; try later")));
    }
    // A place before what the state has would have its records applied twice elsewhere.
    if let Some(view) = others.iter().find(|view| view.applied > upto.get(&view.log).copied().unwrap_or(0)) {
        return Err(Error::Log(format!("the disk refuses to note that record {} of {} is applied; try later", view.applied, view.log)));
    }
    let mut out = Out { archive, making: Some(archive.store.lock().begin_make().map_err(failed)?), buffer: Vec::new() };
    let written =
        section::write(shell, &upto, &mut out).and_then(|()| handler.write(own, &mut out)).and_then(|own| out.flush().map(|()| own));
    let outcome = written.map_err(|e| Error::Log(format!("the snapshot's provider: {e}"))).and_then(|upto| {
        if upto > own {
            return Err(Error::Invalid(format!("the snapshot's provider says that record {upto} of the own log is in it; it has {own}")));
        }
        // The others' are those that the outbox was looked at up to.
        let (same_log, now) = log::places(shell, upto)?;
        if same_log != own_log {
            return Err(Error::Log("this node's log was set back meanwhile; make the snapshot again".into()));
        }
        places.retain(|place| place.log != own_log);
        places.extend(now.into_iter().filter(|place| place.log == own_log));
        places.sort_by_key(|place| place.log);
        let making = out.making.take().ok_or(Error::Stopped)?;
        let made = (now_us(), archive.schema());
        archive.store.lock().finish_make(making, archive.identity.as_ref(), made, places).map_err(failed)
    });
    if outcome.is_err() {
        archive.store.lock().give_up_make();
    }
    outcome
}

pub(crate) fn failed(error: crate::snapshot::SnapshotError) -> Error {
    Error::Log(error.to_string())
}

impl Archive {
    /// Drops what is older; what to tell of the new one, and what is gone.
    fn settle(&self, id: &SnapshotId) -> (Option<(SnapshotInput, Event)>, Vec<SnapshotId>) {
        let store = self.store.lock();
        let told = store.get(id).map(|held| {
            let detail = format!("{id}: {} logs", held.manifest.places.len());
            (held_input(held), Event::SnapshotMade { bytes: held.manifest.size, detail })
        });
        drop(store);
        (told, self.drop_old())
    }
}

/// Where the provider writes: piece by piece into the store, which is locked for moments only.
struct Out<'a> {
    archive: &'a Archive,
    making: Option<Making>,
    buffer: Vec<u8>,
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = &bytes[..bytes.len().min(limits::SNAPSHOT_PIECE_BYTES)];
        self.buffer.extend_from_slice(taken);
        if self.buffer.len() >= limits::SNAPSHOT_PIECE_BYTES {
            self.flush()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let making = self.making.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        self.archive.store.lock().make_more(making, &self.buffer).map_err(io::Error::other)?;
        self.buffer.clear();
        Ok(())
    }
}
