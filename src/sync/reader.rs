//! Follows the logs of a directory that another process writes, without changing a byte.

use crate::base::LogId;
use crate::sync::error::WalError;
use crate::sync::group::Group;
use crate::sync::storage::Storage;

/// A read-only follower of every log in a directory.
pub struct Reader<S: Storage> {
    _disk: S,
}

#[expect(clippy::todo, unused_variables, missing_docs, reason = "signatures first")]
impl<S: Storage> Reader<S> {
    pub fn open(disk: S) -> Result<Reader<S>, WalError> {
        todo!()
    }
    /// Logs seen so far.
    pub fn logs(&self) -> Vec<LogId> {
        todo!()
    }
    /// Groups that came since the last call, about `max_bytes`; empty: nothing new.
    pub fn poll(&mut self, max_bytes: usize) -> Result<Vec<Group>, WalError> {
        todo!()
    }
}
