//! The wire format of the existing C++ module, protocol 1.0, with its laxity and its error texts, byte for byte.
//!
//! For applications and tools that speak these codecs. Never used by a live link: nothing of this authenticates or hides
//! anything. What the C++ code leaves to chance or dies of (a frame length that wraps) is an error here.

pub mod announce;
pub mod cursor;
pub mod envelope;
pub mod framing;
pub mod hello;
pub mod ping;
pub mod wal;

use crate::wire::cursor::Writer;

pub use announce::DiscoveryAnnounce;
pub use cursor::Reader;
pub use hello::{Hello, HelloAck, HelloFinish};
pub use ping::{Ping, Pong};
pub use wal::{OutboxPull, WalAck, WalPush};

/// Why bytes are no v1 value. `Display` is the exact text of the C++ exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The input ends inside a value.
    #[error("bin::Reader: buffer underflow")]
    Underflow,
    /// A varint goes on after ten bytes.
    #[error("bin::Reader: varint too long")]
    VarintTooLong,
    /// Bytes are announced that are not there.
    #[error("bin::Reader: bytes_var too large")]
    BytesTooLarge,
    /// Text is announced that is not there.
    #[error("bin::Reader: str_var too large")]
    StrTooLarge,
    /// Not an envelope.
    #[error("Envelope: bad magic")]
    BadMagic,
    /// An envelope of another major version.
    #[error("Envelope: incompatible version")]
    IncompatibleVersion,
    /// Bytes remain after the last field of the named thing.
    #[error("{0}: trailing bytes")]
    Trailing(&'static str),
    /// A type number without a message.
    #[error("Dispatch: unknown message type")]
    UnknownType,
    /// A frame length that no memory can hold.
    #[error("LengthPrefixVarint: length overflow")]
    LengthOverflow,
}

/// Names and values in the order of the wire. v1 keeps them in a hash map, writes hash order and reads any.
pub type Capabilities = Vec<(Vec<u8>, Vec<u8>)>;

/// Numbers of `MessageType`.
pub mod kind {
    /// No message.
    pub const UNKNOWN: u16 = 0;
    /// [`super::Hello`].
    pub const HELLO: u16 = 1;
    /// [`super::Ping`].
    pub const PING: u16 = 2;
    /// [`super::Pong`].
    pub const PONG: u16 = 3;
    /// [`super::HelloAck`].
    pub const HELLO_ACK: u16 = 4;
    /// [`super::HelloFinish`].
    pub const HELLO_FINISH: u16 = 5;
    /// [`super::WalPush`].
    pub const WAL_PUSH: u16 = 10;
    /// [`super::WalAck`].
    pub const WAL_ACK: u16 = 11;
    /// [`super::OutboxPull`].
    pub const OUTBOX_PULL: u16 = 12;
}

/// Any v1 message, in the order of the C++ variant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// First of the handshake.
    Hello(Hello),
    /// Second of the handshake.
    HelloAck(HelloAck),
    /// Third of the handshake.
    HelloFinish(HelloFinish),
    /// Liveness question.
    Ping(Ping),
    /// Liveness answer.
    Pong(Pong),
    /// Records.
    WalPush(WalPush),
    /// Progress.
    WalAck(WalAck),
    /// Request for queued items.
    OutboxPull(OutboxPull),
}

impl Message {
    /// The type number and the place in the C++ variant.
    fn numbers(&self) -> (u16, usize) {
        match self {
            Message::Hello(_) => (kind::HELLO, 0),
            Message::HelloAck(_) => (kind::HELLO_ACK, 1),
            Message::HelloFinish(_) => (kind::HELLO_FINISH, 2),
            Message::Ping(_) => (kind::PING, 3),
            Message::Pong(_) => (kind::PONG, 4),
            Message::WalPush(_) => (kind::WAL_PUSH, 5),
            Message::WalAck(_) => (kind::WAL_ACK, 6),
            Message::OutboxPull(_) => (kind::OUTBOX_PULL, 7),
        }
    }

    /// The envelope type that announces the message.
    pub fn kind(&self) -> u16 {
        self.numbers().0
    }

    /// The message's place in the C++ variant.
    pub fn index(&self) -> usize {
        self.numbers().1
    }

    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut w = Writer::new(&mut out);
        match self {
            Message::Hello(m) => m.encode(&mut w),
            Message::HelloAck(m) => m.encode(&mut w),
            Message::HelloFinish(m) => m.encode(&mut w),
            Message::Ping(m) => m.encode(&mut w),
            Message::Pong(m) => m.encode(&mut w),
            Message::WalPush(m) => m.encode(&mut w),
            Message::WalAck(m) => m.encode(&mut w),
            Message::OutboxPull(m) => m.encode(&mut w),
        }
        out
    }

    /// The message of a type and a payload (`decode_payload_or_throw`).
    pub fn decode(kind: u16, payload: &[u8]) -> Result<Message, Error> {
        let mut r = Reader::new(payload);
        let (name, message) = match kind {
            kind::HELLO => ("Hello", Message::Hello(Hello::decode(&mut r)?)),
            kind::HELLO_ACK => ("HelloAck", Message::HelloAck(HelloAck::decode(&mut r)?)),
            kind::HELLO_FINISH => ("HelloFinish", Message::HelloFinish(HelloFinish::decode(&mut r)?)),
            kind::PING => ("Ping", Message::Ping(Ping::decode(&mut r)?)),
            kind::PONG => ("Pong", Message::Pong(Pong::decode(&mut r)?)),
            kind::WAL_PUSH => ("WalPush", Message::WalPush(WalPush::decode(&mut r)?)),
            kind::WAL_ACK => ("WalAck", Message::WalAck(WalAck::decode(&mut r)?)),
            kind::OUTBOX_PULL => ("OutboxPull", Message::OutboxPull(OutboxPull::decode(&mut r)?)),
            _ => return Err(Error::UnknownType),
        };
        r.finish(name)?;
        Ok(message)
    }
}

#[cfg(test)]
mod tests;
