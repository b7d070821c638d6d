//! Snapshots on a disk: those made or taken here, the one being fetched, and the mark that one is being taken in.
//!
//! ```text
//!  snapshots/new.state                    being written; means nothing
//!  snapshots/ID.{state,hashes,manifest} held; the manifest comes last and makes it one
//!  snapshots/ID.{part,hashes,taking}    being fetched; `taking` is its manifest, and comes first
//!  snapshots/installing                 ID is being taken in: consumer, then every log, then this goes
//! ```
//!
//! `ID` is the BLAKE3 hash of the manifest: the same state by two makers, or at two places, is two snapshots. Every step may be the last one: what the next open finds is a held snapshot, a fetch to go on with, a mark to go on from, or
//! nothing. Bytes are proven again whenever they are read. Never decides which snapshot to make, fetch or take in.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::base::{PeerId, limits};
use crate::snapshot::manifest::{Manifest, ManifestError, Place};
use crate::snapshot::taking::Taking;
use crate::snapshot::tree::{Hashes, Summer, pieces};
use crate::sync::{Signer, Storage};
use crate::wire::message::SnapshotId;

const DIR: &str = "snapshots/";
const NEW: &str = "snapshots/new.state";
const MARK: &str = "snapshots/installing";

/// Why a snapshot cannot be made, kept or read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk refused.
    #[error("cannot {what} {path}: {why}")]
    Disk {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: String,
        /// What the disk said.
        why: String,
    },
    /// There is no such snapshot, or no such part of it.
    #[error("no snapshot {} here", .0.short())]
    Unknown(SnapshotId),
    /// What is on the disk is not what was written there.
    #[error("snapshot {} is damaged on disk: {what}", id.short())]
    Damaged {
        /// Which.
        id: SnapshotId,
        /// What does not check.
        what: &'static str,
    },
    /// It grew past what a snapshot may have.
    #[error("snapshot of more than {max} bytes; that is the limit")]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// A manifest is none.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A peer sent something else.
    #[error(transparent)]
    Refused(#[from] crate::snapshot::Refused),
}

impl SnapshotError {
    pub(super) fn disk(what: &'static str, path: &str) -> impl FnOnce(io::Error) -> SnapshotError {
        let path = path.to_owned();
        move |e| SnapshotError::Disk { what, path, why: e.to_string() }
    }
}

/// A whole snapshot on this disk.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its name.
    pub id: SnapshotId,
    /// What it is.
    pub manifest: Manifest,
    /// The same as its maker signed it.
    pub signed: Vec<u8>,
    hashes: Hashes,
}

impl Held {
    /// How much of the others' logs it has taken in, and of the own ones. A snapshot is taken in only if it has all of the others' that is
    /// applied here, so of two that were here the later one has more of those; of the own ones it may have less.
    fn reach(&self, own: Option<PeerId>) -> (u128, u128) {
        let sum = |is_own: bool| {
            let places = self.manifest.places.iter().filter(|place| (Some(place.log.origin) == own) == is_own);
            places.map(|place| u128::from(place.applied)).sum()
        };
        (sum(false), sum(true))
    }
}

/// A state being written.
#[derive(Debug, Default)]
pub struct Making {
    summer: Summer,
}

impl Making {
    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.summer.size()
    }
}

/// The snapshots of one node.
#[derive(Debug)]
pub struct Store<S: Storage> {
    pub(super) disk: S,
    held: BTreeMap<SnapshotId, Held>,
    pub(super) taking: Option<Taking>,
    marked: Option<SnapshotId>,
    /// Whose node it is.
    own: Option<PeerId>,
    /// Those that are on the disk and do not check.
    faulty: BTreeSet<SnapshotId>,
}

impl<S: Storage> Store<S> {
    /// Takes what is on the disk, removes what means nothing, and says what is damaged. That is left as it is until later ones are here:
    /// another version may read it, or a person. Fails if the disk does.
    pub fn open(disk: S) -> Result<(Store<S>, Vec<SnapshotError>), SnapshotError> {
        let mut store = Store { disk, held: BTreeMap::new(), taking: None, marked: None, own: None, faulty: BTreeSet::new() };
        let mut faults = Vec::new();
        let files = store.disk.list(DIR).map_err(SnapshotError::disk("list", DIR))?;
        for path in files.iter().filter(|path| path.ends_with(".manifest")) {
            match store.load(path) {
                Ok(Some(held)) => drop(store.held.insert(held.id, held)),
                Ok(None) => {}
                Err(fault @ SnapshotError::Disk { .. }) => return Err(fault),
                Err(fault) => {
                    store.faulty.extend(id_in(path));
                    faults.push(fault);
                }
            }
        }
        for path in files.iter().filter(|path| path.ends_with(".taking")) {
            match store.resume(path) {
                Ok(()) => {}
                Err(fault) => faults.push(fault),
            }
        }
        let mark = store.read_whole(MARK, 64)?;
        if mark.is_some() {
            // It may be seen only because a rename failed, or its process ended. An old mark that a power cut brings back would take the
            // application back, and one that it takes leaves the application ahead of the logs.
            store.disk.sync(MARK).map_err(SnapshotError::disk("sync", MARK))?;
        }
        store.marked = mark.and_then(|text| id_of(&text));
        store.sweep(&files);
        Ok((store, faults))
    }

    /// Removes every file that belongs to nothing. What cannot be removed is tried again at the next open.
    fn sweep(&mut self, files: &[String]) {
        for path in files.iter().filter(|path| *path != MARK) {
            let id = id_in(path);
            let is_held = id.is_some_and(|id| self.held.contains_key(&id)) && !path.ends_with(".part") && !path.ends_with(".taking");
            let is_taking = id.is_some() && id == self.taking().map(|(id, _)| id) && !path.ends_with(".manifest");
            let is_faulty = id.is_some() && (id == self.marked || id.is_some_and(|id| self.faulty.contains(&id)));
            if !is_held && !is_taking && !is_faulty {
                let _ = self.disk.remove(path);
            }
        }
    }

    fn load(&mut self, path: &str) -> Result<Option<Held>, SnapshotError> {
        let Some(signed) = self.read_whole(path, limits::SNAPSHOT_MANIFEST_MAX_BYTES)?.filter(|bytes| !bytes.is_empty()) else {
            return Ok(None);
        };
        let manifest = Manifest::prove(&signed, |_| true)?;
        let id = SnapshotId(*blake3::hash(&signed).as_bytes());
        let damaged = |what| SnapshotError::Damaged { id, what };
        let list = self.read_whole(&file(&id, "hashes"), limits::SNAPSHOT_HASHES_MAX_BYTES)?.unwrap_or_default();
        let hashes = Hashes::prove(manifest.size, &manifest.root, &list).ok_or(damaged("the list of hashes"))?;
        let state = file(&id, "state");
        let len = match self.disk.len(&state) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            other => Some(other.map_err(SnapshotError::disk("read", &state))?),
        };
        if id_in(path) != Some(id) || len != Some(manifest.size) {
            return Err(damaged("the length of the state"));
        }
        Ok(Some(Held { id, manifest, signed, hashes }))
    }

    /// The store of this node: of its own logs a later snapshot may have less.
    pub fn owned_by(mut self, own: PeerId) -> Store<S> {
        self.own = Some(own);
        self
    }

    /// The disk under the snapshots.
    pub fn storage(&self) -> &S {
        &self.disk
    }

    /// Whole snapshots here, the latest first.
    pub fn held(&self) -> Vec<&Held> {
        let mut held: Vec<&Held> = self.held.values().collect();
        held.sort_by_key(|held| (std::cmp::Reverse((held.reach(self.own), held.manifest.made_us)), held.id));
        held
    }

    /// The whole snapshot of that name.
    pub fn get(&self, id: &SnapshotId) -> Option<&Held> {
        self.held.get(id)
    }

    /// Begins to write a state; what was begun before is lost.
    pub fn begin_make(&mut self) -> Result<Making, SnapshotError> {
        self.disk.write(NEW, 0, &[]).and_then(|()| self.disk.truncate(NEW, 0)).map_err(SnapshotError::disk("write", NEW))?;
        Ok(Making::default())
    }

    /// The next bytes of a state.
    pub fn make_more(&mut self, making: &mut Making, bytes: &[u8]) -> Result<(), SnapshotError> {
        if making.size().saturating_add(bytes.len() as u64) > limits::SNAPSHOT_MAX_BYTES {
            return Err(SnapshotError::TooLarge { max: limits::SNAPSHOT_MAX_BYTES });
        }
        self.disk.write(NEW, making.size(), bytes).map_err(SnapshotError::disk("write", NEW))?;
        making.summer.update(bytes);
        Ok(())
    }

    /// Nothing comes of the state that was begun.
    pub fn give_up_make(&mut self) {
        let _ = self.disk.remove(NEW);
    }

    /// The state is whole and stands at `places`: signs the manifest, and the snapshot is held once this returns. Its name.
    pub fn finish_make(
        &mut self,
        making: Making,
        signer: &dyn Signer,
        (made_us, schema): (u64, &str),
        places: Vec<Place>,
    ) -> Result<SnapshotId, SnapshotError> {
        let size = making.size();
        let hashes = making.summer.finish();
        let root = hashes.root();
        let manifest = Manifest { maker: signer.public(), made_us, schema: schema.to_owned(), size, root, places };
        let signed = manifest.sign(signer);
        let id = SnapshotId(*blake3::hash(&signed).as_bytes());
        self.disk.sync(NEW).map_err(SnapshotError::disk("sync", NEW))?;
        self.rename(NEW, &file(&id, "state"))?;
        self.put(&id, "hashes", &hashes.to_bytes())?;
        self.put(&id, "manifest", &signed)?;
        self.faulty.remove(&id);
        self.held.insert(id, Held { id, manifest, signed, hashes });
        Ok(id)
    }

    /// A piece of a held snapshot, proven; what is damaged on disk is held no longer.
    pub fn piece(&mut self, id: &SnapshotId, index: u64) -> Result<Vec<u8>, SnapshotError> {
        let held = self.held.get(id).ok_or(SnapshotError::Unknown(*id))?;
        let len = held.hashes.len_of(index).ok_or(SnapshotError::Unknown(*id))?;
        let path = file(id, "state");
        let mut bytes = vec![0; len];
        let read =
            self.disk.read(&path, index * limits::SNAPSHOT_PIECE_BYTES as u64, &mut bytes).map_err(SnapshotError::disk("read", &path))?;
        if read == len && held.hashes.has(index, &bytes) {
            return Ok(bytes);
        }
        // Whoever is taking it in has to be told, so the mark stays.
        self.forget(id);
        Err(SnapshotError::Damaged { id: *id, what: "a piece of the state" })
    }

    /// The list of hashes of a held snapshot.
    pub fn hashes(&self, id: &SnapshotId) -> Option<Vec<u8>> {
        self.held.get(id).map(|held| held.hashes.to_bytes())
    }

    /// How many pieces a held snapshot has.
    pub fn pieces(&self, id: &SnapshotId) -> Option<u64> {
        self.held.get(id).map(|held| pieces(held.manifest.size))
    }

    /// Removes all held snapshots but the latest `keep`, and the one that is being taken in.
    pub fn drop_old(&mut self, keep: usize) {
        self.drop_old_but(keep, None);
    }

    /// [`Store::drop_old`], but keeps `spared` too.
    pub fn drop_old_but(&mut self, keep: usize, spared: Option<SnapshotId>) {
        let marked = self.marked;
        let mut old: Vec<SnapshotId> = self.held().into_iter().skip(keep).map(|held| held.id).collect();
        if self.held.len() >= keep {
            old.extend(std::mem::take(&mut self.faulty));
        }
        old.iter().filter(|id| marked != Some(**id) && spared != Some(**id)).for_each(|id| self.forget(id));
    }

    fn forget(&mut self, id: &SnapshotId) {
        self.held.remove(id);
        // The manifest first: without it the others are leftovers. Emptied and synced: one that was only removed may come back after
        // a power cut, without the others.
        if self.put(id, "manifest", &[]).is_err() {
            return;
        }
        for kind in ["manifest", "hashes", "state"] {
            let _ = self.disk.remove(&file(id, kind));
        }
    }

    /// Notes durably that a held snapshot is being taken in. After an error it may count as marked, until [`Store::unmark`].
    pub fn mark(&mut self, id: &SnapshotId) -> Result<(), SnapshotError> {
        if !self.held.contains_key(id) {
            return Err(SnapshotError::Unknown(*id));
        }
        let new = self.write_new(MARK, id.to_string().as_bytes())?;
        // Also if the rename fails: the mark may be seen by the next start.
        self.marked = Some(*id);
        self.rename(&new, MARK)
    }

    /// Makes it survive a power cut that a snapshot is held: before anything goes because of it. One that was found at the start may be seen
    /// only because a process ended after a rename that failed.
    pub fn secure(&mut self, id: &SnapshotId) -> Result<(), SnapshotError> {
        let path = file(id, "manifest");
        self.disk.sync(&path).map_err(SnapshotError::disk("sync", &path))
    }

    /// The snapshot that is being taken in: the consumer may have it, and the logs may not stand at its places.
    pub fn marked(&self) -> Option<SnapshotId> {
        self.marked
    }

    /// It has been taken in.
    pub fn unmark(&mut self) -> Result<(), SnapshotError> {
        // Emptied and synced: a file that was only removed may come back.
        let gone = self.put_at(MARK, &[]);
        gone.map(|()| self.marked = None)
    }

    /// Whether nothing on the disk that bears this name is worth keeping.
    pub(super) fn is_free(&self, id: &SnapshotId) -> bool {
        !self.held.contains_key(id) && !self.faulty.contains(id) && self.marked != Some(*id)
    }

    /// What was fetched is whole: it is held from now on.
    pub(super) fn hold(&mut self, id: SnapshotId, manifest: Manifest, signed: Vec<u8>, hashes: Hashes) {
        self.faulty.remove(&id);
        self.held.insert(id, Held { id, manifest, signed, hashes });
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> Result<(), SnapshotError> {
        self.disk.rename(from, to).map_err(SnapshotError::disk("rename", from))
    }

    pub(super) fn put(&mut self, id: &SnapshotId, kind: &str, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.put_at(&file(id, kind), bytes)
    }

    /// Replaces a small file, in one step even across a power cut.
    fn put_at(&mut self, path: &str, bytes: &[u8]) -> Result<(), SnapshotError> {
        let new = self.write_new(path, bytes)?;
        self.rename(&new, path)
    }

    /// Writes what is to take the place of a file, durably; its name.
    fn write_new(&mut self, path: &str, bytes: &[u8]) -> Result<String, SnapshotError> {
        let new = format!("{path}.new");
        let disk = &mut self.disk;
        let written = disk.write(&new, 0, bytes).and_then(|()| disk.truncate(&new, bytes.len() as u64));
        written.and_then(|()| disk.sync(&new)).map_err(SnapshotError::disk("write", path))?;
        Ok(new)
    }

    /// A file of at most `max` bytes; `None` if there is none.
    pub(super) fn read_whole(&self, path: &str, max: usize) -> Result<Option<Vec<u8>>, SnapshotError> {
        let len = match self.disk.len(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(SnapshotError::disk("read", path))?,
        };
        let mut bytes = vec![0; usize::try_from(len).map_or(max, |len| len.min(max))];
        let read = self.disk.read(path, 0, &mut bytes).map_err(SnapshotError::disk("read", path))?;
        bytes.truncate(read);
        Ok(Some(bytes))
    }
}

/// The file of a snapshot.
pub(super) fn file(id: &SnapshotId, kind: &str) -> String {
    format!("{DIR}{id}.{kind}")
}

fn id_of(text: &[u8]) -> Option<SnapshotId> {
    data_encoding::HEXLOWER.decode(text).ok()?.try_into().ok().map(SnapshotId)
}

/// The name in a file's name.
pub(super) fn id_in(path: &str) -> Option<SnapshotId> {
    let (name, kind) = path.strip_prefix(DIR)?.split_once('.')?;
    if kind.contains('.') { None } else { id_of(name.as_bytes()) }
}
