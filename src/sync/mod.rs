//! The log: records on disk and on the wire, one append-only log per (origin, incarnation).
//!
//! Pure but for the [`Storage`] trait: never opens a file, reads a clock or starts a thread itself. Knows nothing of links and
//! peers' states; it proves, orders, keeps and gives back.

mod accepted;
mod base;
mod causes;
mod cell;
mod compare;
mod cursor;
pub mod error;
pub mod group;
pub mod inspect;
mod log;
mod proven;
pub mod reader;
pub mod record;
mod recover;
pub mod seal;
mod segment;
pub mod storage;
mod truncate;
pub mod wal;

#[cfg(test)]
mod tests;

pub use base::Base;
pub use causes::{Cause, Causes};
pub use compare::{Compared, SealRecord};
pub use error::{Damage, DamageKind, GroupError, RecordError, StoreError, Stored, WalError};
pub use group::{Entries, Entry, Group, encode_caused_group, encode_group, verify_group};
pub use inspect::{GroupSeen, LogReport, Verdict, inspect, inspect_segment};
pub use proven::Proven;
pub(crate) use reader::Places;
pub use reader::{Leftover, Reader};
pub use seal::{Head, Signer, log_head};
#[cfg(test)]
pub(crate) use storage::AskingStorage;
pub use storage::{MemStorage, Storage};
pub use wal::{LogState, Wal};
