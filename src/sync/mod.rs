//! The log: records on disk and on the wire, one append-only log per (origin, incarnation).
//!
//! Pure but for the [`Storage`] trait: never opens a file, reads a clock or starts a thread itself.

pub mod group;
pub mod record;
pub mod segment;
pub mod storage;
pub mod wal;

pub use group::Group;
pub use storage::Storage;
