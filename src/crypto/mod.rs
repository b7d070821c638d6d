//! Keys in, bytes out: identity, key agreement, key schedule, handshake arithmetic, AEAD suites, sealed records.
//!
//! Never opens a socket or a file, never reads a clock or draws random numbers: ephemeral keys are handed in.

pub mod handshake;
pub mod identity;
pub mod kex;
pub mod keyfile;
#[cfg(feature = "null-crypto")]
pub mod null;
pub mod parcel;
pub mod record;
pub mod rotation;
pub mod schedule;
pub mod secret;
pub mod suite;

pub use identity::Identity;
pub use secret::Secret;
pub use suite::Suite;

#[cfg(test)]
mod tests;
