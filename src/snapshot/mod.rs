//! Snapshots: an application's state as bytes, and the places in the logs that it has taken in. For peers that come after the
//! records were let go.
//!
//! ```text
//!  maker:  state bytes ──Summer──► size, root, hashes ─┐
//!          applied places, sealed by the origins ──────┴─► Manifest, signed
//!  taker:  Manifest ──prove──► Fetch ──asks──► pieces ──checked one by one──► whole state, then the logs begin at its places
//! ```
//!
//! Pure: pieces are kept through the log's `Storage`, never in a file opened here. Whom to believe is not decided here: the origins' seals prove where a snapshot
//! stands, its maker's signature who says that the state is right.

mod fetch;
mod manifest;
mod replicas;
pub mod retention;
pub mod store;
mod taking;
mod tree;

#[cfg(test)]
mod store_tests;
#[cfg(test)]
mod tests;

pub use fetch::{Ask, Fetch, Refused};
pub use manifest::{Manifest, ManifestError, Place};
pub use replicas::Replicas;
pub use store::{Held, Making, SnapshotError, Store};
pub use tree::{Hashes, Summer, pieces};

pub use crate::wire::message::SnapshotId;
