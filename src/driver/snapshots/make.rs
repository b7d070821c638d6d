//! Making a snapshot: the provider writes, the places are read off the log, the manifest is signed. On the apply thread, so that the
//! state and its places are of one moment.
//!
//! ```text
//!  state = "VIXP2PST" | version u32 = 1 | length u32 | what the library keeps itself | what the application wrote
//! ```

use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::base::{Error, Event, Result, limits};
use crate::driver::Shell;
use crate::driver::log::now_us;
use crate::driver::snapshots::{Archive, SnapshotHandler, held_input, log};
use crate::mesh::io::{Input, SnapshotInput};
use crate::snapshot::Making;
use crate::wire::message::SnapshotId;

const MAGIC: &[u8; 8] = b"VIXP2PST";
const VERSION: u32 = 1;

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
    shell.apply.exclusively(&mut || {
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
    let own = shell.log.flush_blocking()?;
    let library = crate::driver::outbox::section(shell)?;
    let mut out = Out { archive, making: Some(archive.store.lock().begin_make().map_err(failed)?), buffer: Vec::new() };
    let written = out.begin(&library).and_then(|()| handler.write(own, &mut out)).and_then(|own| out.flush().map(|()| own));
    let outcome = written.map_err(|e| Error::Log(format!("the snapshot's provider: {e}"))).and_then(|upto| {
        if upto > own {
            return Err(Error::Invalid(format!("the snapshot's provider says that record {upto} of the own log is in it; it has {own}")));
        }
        let places = log::places(shell, upto)?;
        let making = out.making.take().ok_or(Error::Stopped)?;
        let made = (now_us(), archive.config.schema.as_str());
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
        let mut store = self.store.lock();
        let told = store.get(id).map(|held| {
            let detail = format!("{id}: {} logs", held.manifest.places.len());
            (held_input(held), Event::SnapshotMade { bytes: held.manifest.size, detail })
        });
        let before: Vec<SnapshotId> = store.held().into_iter().map(|held| held.id).collect();
        store.drop_old(limits::SNAPSHOTS_KEPT);
        (told, before.into_iter().filter(|id| store.get(id).is_none()).collect())
    }
}

/// Where the provider writes: piece by piece into the store, which is locked for moments only.
struct Out<'a> {
    archive: &'a Archive,
    making: Option<Making>,
    buffer: Vec<u8>,
}

impl Out<'_> {
    fn begin(&mut self, library: &[u8]) -> io::Result<()> {
        self.write_all(MAGIC)?;
        self.write_all(&VERSION.to_le_bytes())?;
        self.write_all(&u32::try_from(library.len()).map_err(io::Error::other)?.to_le_bytes())?;
        self.write_all(library)
    }
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

/// The library's part of a state, read off its beginning.
pub(crate) fn read_library(mut input: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut head = [0; 16];
    input.read_exact(&mut head)?;
    let (magic, rest) = head.split_at(8);
    let (version, len) = rest.split_at(4);
    if magic != MAGIC || version != VERSION.to_le_bytes() {
        return Err(io::Error::other("the state begins in a form that this version does not know"));
    }
    let len = u32::from_le_bytes(len.try_into().unwrap_or_default());
    let mut library = Vec::new();
    // Not reserved: the length is a peer's word, the bytes are there or not.
    (&mut input).take(u64::from(len)).read_to_end(&mut library)?;
    if library.len() as u64 == u64::from(len) { Ok(library) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
