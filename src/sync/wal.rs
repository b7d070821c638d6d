//! All logs of one node: its own, which it appends to, and those of others, which it proves and keeps.

use std::sync::Arc;

use bytes::Bytes;

use crate::base::{Incarnation, LogId};
use crate::sync::error::{Damage, StoreError, Stored, WalError};
use crate::sync::group::Group;
use crate::sync::seal::Signer;
use crate::sync::storage::Storage;

/// How far a log has come here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogState {
    /// Which log.
    pub log: LogId,
    /// Highest durable record.
    pub durable: u64,
    /// Highest applied record; in this node's own logs the same as `durable`. May be ahead of `durable` after damage was set
    /// aside: cap it before telling a peer, and do not apply the refetched records again.
    pub applied: u64,
}

/// All logs of one node.
pub struct Wal<S: Storage> {
    _disk: S,
    own: LogId,
    _signer: Arc<dyn Signer + Send + Sync>,
}

#[expect(clippy::todo, unused_variables, missing_docs, reason = "signatures first")]
impl<S: Storage> Wal<S> {
    pub fn open(disk: S, signer: Arc<dyn Signer + Send + Sync>, fresh: Incarnation) -> Result<(Wal<S>, Vec<Damage>), WalError> {
        todo!()
    }
    pub fn own(&self) -> LogId {
        self.own
    }
    pub fn states(&self) -> Vec<LogState> {
        todo!()
    }
    pub fn append(&mut self, now_us: u64, payloads: &[Bytes]) -> Result<Vec<Group>, WalError> {
        todo!()
    }
    /// One verdict per group, in the order given.
    pub fn store(&mut self, groups: &[Group]) -> Vec<Result<Stored, StoreError>> {
        todo!()
    }
    pub fn read(&self, log: LogId, from: u64, max_bytes: usize) -> Result<Vec<Group>, WalError> {
        todo!()
    }
    pub fn durable(&self, log: LogId) -> u64 {
        todo!()
    }
    pub fn applied(&self, log: LogId) -> u64 {
        todo!()
    }
    pub fn set_applied(&mut self, log: LogId, seq: u64) -> Result<(), WalError> {
        todo!()
    }
    /// Opens a new incarnation of the own log (this node was restored from an old copy).
    pub fn renew(&mut self, fresh: Incarnation) -> Result<LogId, WalError> {
        todo!()
    }
    pub fn set_segment_max(&mut self, bytes: u64) {
        todo!()
    }
    pub fn close(self) -> Result<(), WalError> {
        todo!()
    }
}
