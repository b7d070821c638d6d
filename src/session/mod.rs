//! One connection, in two stages: [`Handshaking`] until both sides are authenticated, then a [`SendHalf`] and a [`RecvHalf`].
//!
//! Bytes in, messages out, and back. Never touches a socket, a clock or a lock. Whether an authenticated peer is welcome is
//! the mesh's business; only who dials asks a trust table before it shows itself.

pub mod handshaking;
pub mod key_update;
pub mod parcels;
pub mod recv;
pub mod send;

pub use handshaking::{Established, Handshaking, LocalParty, RunSecrets};
pub use recv::{Progress, RecvHalf};
pub use send::SendHalf;

#[cfg(test)]
mod tests;
