//! Parts of snapshots: read for peers, and what comes from them proven and kept. On threads that may wait for the disk.

use std::sync::Arc;

use bytes::Bytes;

use crate::base::PeerId;
use crate::driver::Shell;
use crate::driver::snapshots::{Archive, log, place};
use crate::mesh::io::{Examined, Kept, SnapshotInput, SnapshotOutput};
use crate::snapshot::{Manifest, ManifestError, SnapshotError};
use crate::wire::message::{Part, SnapshotId, SnapshotOffer};

/// The answer to a wish that only the disk is asked for.
pub(crate) fn answer(shell: &Arc<Shell>, wanted: SnapshotOutput) -> Option<SnapshotInput> {
    let archive = shell.snapshots.get();
    match wanted {
        SnapshotOutput::Read { link, id, part } => {
            if let Some(archive) = archive {
                archive.note_read(id);
            }
            let read = archive.and_then(|archive| told(shell, archive.part(&id, part)));
            let is_gone = archive.is_some_and(|archive| archive.store.lock().get(&id).is_none());
            if is_gone {
                shell.step(crate::mesh::io::Input::Snapshot(SnapshotInput::Gone { id }));
            }
            Some(SnapshotInput::ReadDone { link, id, part, bytes: read.map(Bytes::from) })
        }
        SnapshotOutput::Examine { link, offer, manifest } => {
            let verdict = archive.map_or(Examined::Unwelcome, |archive| examine(shell, archive, &offer, &manifest));
            Some(SnapshotInput::Examined { link, id: offer.id, verdict })
        }
        SnapshotOutput::Keep { link, id, part, bytes } => {
            let verdict = archive.map_or(Kept::Failed, |archive| keep(shell, archive, &id, part, &bytes));
            Some(SnapshotInput::Kept { link, id, part, verdict })
        }
        SnapshotOutput::Make | SnapshotOutput::Install { .. } => None,
    }
}

/// What the disk gave, or nothing after an event that says why.
fn told<T>(shell: &Shell, done: Result<T, SnapshotError>) -> Option<T> {
    match done {
        Ok(done) => Some(done),
        // It was dropped for a later one; who asked is told.
        Err(SnapshotError::Unknown(_)) => None,
        Err(e) => {
            shell.emit(crate::base::Event::LogFailed { detail: e.to_string() });
            None
        }
    }
}

impl Archive {
    fn part(&self, id: &SnapshotId, part: Part) -> Result<Vec<u8>, SnapshotError> {
        let mut store = self.store.lock();
        match part {
            Part::Manifest => store.get(id).map(|held| held.signed.clone()).ok_or(SnapshotError::Unknown(*id)),
            Part::Hashes => store.hashes(id).ok_or(SnapshotError::Unknown(*id)),
            Part::Piece(index) => store.piece(id, index),
        }
    }

    /// Whether snapshots of this maker are taken here.
    fn is_welcome(&self, shell: &Shell, maker: &PeerId) -> bool {
        let is_trusted = *maker == self.identity.id() || shell.keeper.table().trusts(maker);
        is_trusted && self.config.from.as_ref().is_none_or(|from| from.contains(maker))
    }
}

fn examine(shell: &Shell, archive: &Archive, offer: &SnapshotOffer, signed: &[u8]) -> Examined {
    if *blake3::hash(signed).as_bytes() != offer.id.0 {
        return Examined::False;
    }
    // Whoever made it, and whether or not it is taken then.
    let own = shell.look(|mesh, _| mesh.own_log());
    if let Some(place) = Manifest::base_in(signed, &own)
        && let Err(e) = log::claimed(shell, own, place)
    {
        shell.emit(crate::base::Event::LogFailed { detail: e.to_string() });
        return Examined::Failed;
    }
    let manifest = match Manifest::prove(signed, |maker| archive.is_welcome(shell, maker)) {
        Ok(manifest) => manifest,
        Err(why @ ManifestError::Maker(_)) => {
            shell.write_log(crate::base::Level::Warn, || format!("an offered snapshot is not taken: {why}"));
            return Examined::Unwelcome;
        }
        Err(_) => return Examined::False,
    };
    if (manifest.maker, manifest.root, manifest.size) != (offer.maker, offer.root, offer.size) {
        return Examined::False;
    }
    if manifest.schema != archive.schema() || !archive.has_handler() {
        shell.write_log(crate::base::Level::Warn, || {
            format!(
                "an offered snapshot of {} is not taken: its schema is \"{}\", here it is \"{}\", and a consumer is{} set",
                manifest.maker.short(),
                crate::base::event::printable(&manifest.schema),
                archive.schema(),
                if archive.has_handler() { "" } else { " not" }
            )
        });
        return Examined::Unwelcome;
    }
    let places = manifest.places.iter().map(place).collect();
    let mut store = archive.store.lock();
    if store.get(&offer.id).is_some() {
        return Examined::Good { places, missing: Some(Vec::new()) };
    }
    let begun = store.begin_take(manifest, signed);
    let missing = store.has_hashes().then(|| store.missing());
    drop(store);
    told(shell, begun).map_or(Examined::Failed, |()| Examined::Good { places, missing })
}

fn keep(shell: &Shell, archive: &Archive, id: &SnapshotId, part: Part, bytes: &[u8]) -> Kept {
    let mut store = archive.store.lock();
    let done = match part {
        Part::Manifest => Err(SnapshotError::Unknown(*id)),
        Part::Hashes => store.keep_hashes(id, bytes).map(|()| Kept::Hashes { missing: store.missing() }),
        Part::Piece(index) => store.keep_piece(id, index, bytes).map(|()| Kept::Piece),
    };
    drop(store);
    match done {
        Err(SnapshotError::Refused(_)) => Kept::False,
        done => told(shell, done).unwrap_or(Kept::Failed),
    }
}
