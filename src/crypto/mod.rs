//! Keys, signatures, key schedule and AEAD. Never reads or writes a socket, and never decides whom to trust.

#[cfg(feature = "null-crypto")]
pub mod null;
