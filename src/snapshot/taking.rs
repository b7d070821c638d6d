//! The snapshot being fetched, on disk: its manifest first, then its hashes, then pieces in any order, each proven before it is written.
//!
//! A fetch that broke off, even with the process, goes on: the pieces that are there are found by hashing them. They are not synced
//! one by one; what a power cut takes is fetched again. Never asks anybody for anything.

use std::io;

use crate::base::limits;
use crate::snapshot::fetch::Fetch;
use crate::snapshot::manifest::Manifest;
use crate::snapshot::store::{SnapshotError, Store, file, id_in};
use crate::snapshot::tree::{Hashes, pieces};
use crate::sync::Storage;
use crate::wire::message::SnapshotId;

#[derive(Debug)]
pub(super) struct Taking {
    id: SnapshotId,
    manifest: Manifest,
    signed: Vec<u8>,
    fetch: Fetch,
    /// Once they have come.
    list: Option<Vec<u8>>,
    /// A sync of the pieces was begun and has not come to a good end, or may have been by an earlier process.
    is_unsure: bool,
}

impl<S: Storage> Store<S> {
    /// What is being fetched.
    pub fn taking(&self) -> Option<(SnapshotId, &Manifest)> {
        self.taking.as_ref().map(|taking| (taking.id, &taking.manifest))
    }

    /// Begins to fetch the snapshot of a manifest that was proven from `signed`, or goes on with it. Pieces of another are dropped.
    pub fn begin_take(&mut self, manifest: Manifest, signed: &[u8]) -> Result<(), SnapshotError> {
        let id = SnapshotId(*blake3::hash(signed).as_bytes());
        if self.taking.as_ref().is_some_and(|taking| taking.id == id) {
            return Ok(());
        }
        self.give_up_take();
        self.put(&id, "taking", signed)?;
        let fetch = Fetch::new(&manifest);
        self.taking = Some(Taking { id, manifest, signed: signed.to_vec(), fetch, list: None, is_unsure: false });
        Ok(())
    }

    /// Whether the list of hashes has come; without it no piece can be kept.
    pub fn has_hashes(&self) -> bool {
        self.taking.as_ref().is_some_and(|taking| taking.list.is_some())
    }

    /// Pieces still to come.
    pub fn missing(&self) -> Vec<u64> {
        self.taking.as_ref().map(|taking| taking.fetch.missing().collect()).unwrap_or_default()
    }

    /// Whether everything has come.
    pub fn is_whole(&self) -> bool {
        self.taking.as_ref().is_some_and(|taking| taking.fetch.is_complete())
    }

    /// The list of hashes from a peer. [`SnapshotError::Refused`] if it is another's.
    pub fn keep_hashes(&mut self, id: &SnapshotId, list: &[u8]) -> Result<(), SnapshotError> {
        let taking = self.taking_of(id)?;
        if !taking.fetch.take_hashes(list)? {
            return Ok(());
        }
        let kept = self.put(id, "hashes", list);
        let taking = self.taking_of(id)?;
        match kept {
            Ok(()) => taking.list = Some(list.to_vec()),
            // It is asked for once more: a snapshot that is held without it would be damaged after a restart.
            Err(_) => taking.fetch = Fetch::new(&taking.manifest),
        }
        kept
    }

    /// A piece from a peer. [`SnapshotError::Refused`] if it is another's.
    pub fn keep_piece(&mut self, id: &SnapshotId, index: u64, bytes: &[u8]) -> Result<(), SnapshotError> {
        let taking = self.taking_of(id)?;
        if !taking.fetch.take_piece(index, bytes)? {
            return Ok(());
        }
        let (at, _) = taking.fetch.place(index).ok_or(SnapshotError::Unknown(*id))?;
        let path = file(id, "part");
        let written = self.disk.write(&path, at, bytes).map_err(SnapshotError::disk("write", &path));
        if written.is_err()
            && let Some(taking) = &mut self.taking
        {
            taking.fetch.lost(index);
        }
        written
    }

    /// Everything has come: the snapshot is held once this returns.
    pub fn finish_take(&mut self, id: &SnapshotId) -> Result<(), SnapshotError> {
        // Another one may have been begun since.
        if self.get(id).is_some() && self.taking.as_ref().is_none_or(|taking| taking.id != *id) {
            return Ok(());
        }
        let taking = self.taking_of(id)?;
        if !taking.fetch.is_complete() {
            return Err(SnapshotError::Unknown(*id));
        }
        let (manifest, signed, list) = (taking.manifest.clone(), taking.signed.clone(), taking.list.clone().unwrap_or_default());
        let hashes =
            Hashes::prove(manifest.size, &manifest.root, &list).ok_or(SnapshotError::Damaged { id: *id, what: "the list of hashes" })?;
        let (part, state) = (file(id, "part"), file(id, "state"));
        if manifest.size == 0 {
            self.disk.write(&part, 0, &[]).map_err(SnapshotError::disk("write", &part))?;
        }
        self.name_part(id)?;
        self.sync_part(id)?;
        self.rename(&part, &state)?;
        self.name_back(&file(id, "taking"), &file(id, "manifest"))?;
        self.rename(&file(id, "taking"), &file(id, "manifest"))?;
        self.taking = None;
        self.hold(*id, manifest, signed, hashes);
        Ok(())
    }

    /// Drops what was fetched.
    pub fn give_up_take(&mut self) {
        let Some(taking) = self.taking.take() else { return };
        let manifest = file(&taking.id, "manifest");
        if self.is_free(&taking.id) && self.disk.len(&manifest).is_ok() {
            // Its last rename has failed and is seen. Emptied and synced, as one that is dropped.
            if self.put(&taking.id, "manifest", &[]).is_err() {
                return;
            }
            let _ = self.disk.remove(&manifest);
        }
        // The manifest first: without it the others are leftovers.
        for kind in ["taking", "hashes", "part"] {
            let _ = self.disk.remove(&file(&taking.id, kind));
        }
        if self.is_free(&taking.id) {
            // Where the last step was refused.
            let _ = self.disk.remove(&file(&taking.id, "state"));
        }
    }

    /// A crash, or a refusal, between the two renames of the end has left the state under its last name.
    fn name_part(&mut self, id: &SnapshotId) -> Result<(), SnapshotError> {
        self.name_back(&file(id, "part"), &file(id, "state"))
    }

    /// Undoes a rename of the end that failed and is seen.
    fn name_back(&mut self, first: &str, last: &str) -> Result<(), SnapshotError> {
        let is_gone = self.disk.len(first).is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
        if is_gone && self.disk.len(last).is_ok() { self.rename(last, first) } else { Ok(()) }
    }

    /// Makes the pieces durable. After a sync that failed the system may hold for written what is not: then they are written again first.
    fn sync_part(&mut self, id: &SnapshotId) -> Result<(), SnapshotError> {
        let part = file(id, "part");
        let taking = self.taking_of(id)?;
        let again: Vec<(u64, usize)> = match taking.is_unsure {
            true => (0..pieces(taking.manifest.size)).filter_map(|index| taking.fetch.place(index)).collect(),
            false => Vec::new(),
        };
        taking.is_unsure = true;
        for (at, len) in again {
            let mut bytes = vec![0; len];
            let read = self.disk.read(&part, at, &mut bytes).map_err(SnapshotError::disk("read", &part))?;
            self.disk.write(&part, at, &bytes[..read]).map_err(SnapshotError::disk("write", &part))?;
        }
        self.disk.sync(&part).map_err(SnapshotError::disk("sync", &part))?;
        self.taking_of(id)?.is_unsure = false;
        Ok(())
    }

    fn taking_of(&mut self, id: &SnapshotId) -> Result<&mut Taking, SnapshotError> {
        self.taking.as_mut().filter(|taking| taking.id == *id).ok_or(SnapshotError::Unknown(*id))
    }

    /// Goes on with what an earlier run was fetching.
    pub(super) fn resume(&mut self, path: &str) -> Result<(), SnapshotError> {
        let Some(signed) = self.read_whole(path, limits::SNAPSHOT_MANIFEST_MAX_BYTES)?.filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        let manifest = Manifest::prove(&signed, |_| true)?;
        let id = SnapshotId(*blake3::hash(&signed).as_bytes());
        if id_in(path) != Some(id) || self.taking.is_some() {
            return Ok(());
        }
        let mut fetch = Fetch::new(&manifest);
        let list = self.read_whole(&file(&id, "hashes"), limits::SNAPSHOT_HASHES_MAX_BYTES)?;
        let list = list.filter(|list| fetch.take_hashes(list).is_ok());
        if list.is_some() {
            self.name_part(&id)?;
            let part = file(&id, "part");
            for index in 0..pieces(manifest.size) {
                let Some((at, len)) = fetch.place(index) else { break };
                let mut bytes = vec![0; len];
                let read = self.disk.read(&part, at, &mut bytes).unwrap_or(0);
                // What does not check is fetched.
                let _ = fetch.take_piece(index, &bytes[..read]);
            }
        }
        self.taking = Some(Taking { id, manifest, signed, fetch, list, is_unsure: true });
        Ok(())
    }
}
