//! Bytes to values and back, nothing else. The only room that indexes into buffers by protocol position.
//!
//! Never decides: it neither knows who sent the bytes nor what will be done with the values.

pub mod announce;
pub mod beacon;
pub mod cursor;
pub mod envelope;
pub mod frame;
pub mod handshake;
pub mod message;
pub mod rotation;
pub mod v1;

pub use beacon::Beacon;
pub use cursor::{Reader, WireError, Writer};
pub use message::{Inbound, Message};
pub use rotation::Rotation;
