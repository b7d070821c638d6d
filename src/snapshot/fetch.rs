//! Fetching a snapshot from peers: what to ask for next, and whether what came is it. Every piece is checked before it is kept, so
//! a fetch that broke off goes on with what is there, and a false piece names its sender.
//!
//! Never keeps the pieces: whoever holds this writes them down, and says after a restart which are there.

use std::collections::BTreeSet;

use crate::base::limits;
use crate::snapshot::manifest::Manifest;
use crate::snapshot::tree::{Hashes, pieces};

/// What to ask a peer for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Ask {
    /// The list of hashes.
    Hashes,
    /// This piece.
    Piece(u64),
}

/// What came is not what the snapshot has there: its sender is wrong, or lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not the snapshot's bytes")]
pub struct Refused;

/// A snapshot being fetched.
#[derive(Debug)]
pub struct Fetch {
    size: u64,
    root: [u8; 32],
    hashes: Option<Hashes>,
    missing: BTreeSet<u64>,
    asked: BTreeSet<Ask>,
}

impl Fetch {
    /// Of this snapshot, with nothing of it here.
    pub fn new(manifest: &Manifest) -> Fetch {
        let (size, root) = (manifest.size, manifest.root);
        Fetch { size, root, hashes: None, missing: (0..pieces(size)).collect(), asked: BTreeSet::new() }
    }

    /// Bytes in all.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Pieces still to come.
    pub fn left(&self) -> usize {
        self.missing.len()
    }

    /// Which pieces those are.
    pub fn missing(&self) -> impl Iterator<Item = u64> + '_ {
        self.missing.iter().copied()
    }

    /// A piece that was taken could not be written down.
    pub fn lost(&mut self, index: u64) {
        if index < pieces(self.size) {
            self.missing.insert(index);
        }
    }

    /// Whether everything has come.
    pub fn is_complete(&self) -> bool {
        self.hashes.is_some() && self.missing.is_empty()
    }

    /// What to ask for next; `None` while enough is asked for, or all has come.
    pub fn next_ask(&mut self) -> Option<Ask> {
        let ask = match self.hashes {
            None => Some(Ask::Hashes),
            Some(_) if self.asked.len() >= limits::SNAPSHOT_ASKED_MAX => None,
            Some(_) => self.missing.iter().map(|index| Ask::Piece(*index)).find(|ask| !self.asked.contains(ask)),
        };
        ask.filter(|ask| self.asked.insert(*ask))
    }

    /// No answer will come to what was asked: the peer is gone.
    pub fn forget_asked(&mut self) {
        self.asked.clear();
    }

    /// The list of hashes, from a peer or from a file. `true` if it was needed.
    pub fn take_hashes(&mut self, list: &[u8]) -> Result<bool, Refused> {
        self.asked.remove(&Ask::Hashes);
        if self.hashes.is_some() {
            return Ok(false);
        }
        self.hashes = Some(Hashes::prove(self.size, &self.root, list).ok_or(Refused)?);
        Ok(true)
    }

    /// A piece, from a peer or from a file. `true` if it was missing and is to be written down.
    pub fn take_piece(&mut self, index: u64, bytes: &[u8]) -> Result<bool, Refused> {
        self.asked.remove(&Ask::Piece(index));
        if !self.missing.contains(&index) {
            return Ok(false);
        }
        if !self.hashes.as_ref().is_some_and(|hashes| hashes.has(index, bytes)) {
            return Err(Refused);
        }
        self.missing.remove(&index);
        Ok(true)
    }

    /// Where piece `index` lies in the state: offset and length. `None` before the hashes have come, or if there is no such piece.
    pub fn place(&self, index: u64) -> Option<(u64, usize)> {
        let len = self.hashes.as_ref()?.len_of(index)?;
        Some((index * limits::SNAPSHOT_PIECE_BYTES as u64, len))
    }
}
