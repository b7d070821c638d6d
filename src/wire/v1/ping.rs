//! The liveness family of v1: Ping and Pong. Never measures time.

use crate::wire::cursor::Writer;
use crate::wire::v1::{Error, Reader};

/// Liveness question.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ping {
    /// Sender's choice.
    pub nonce: u64,
}

impl Ping {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.nonce);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Ping, Error> {
        Ok(Ping { nonce: r.u64()? })
    }
}

/// Liveness answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pong {
    /// The Ping's nonce.
    pub nonce: u64,
}

impl Pong {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.nonce);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Pong, Error> {
        Ok(Pong { nonce: r.u64()? })
    }
}
