//! Live messages of protocol 2: what travels in frames inside sealed records, after the handshake.
//!
//! `frame = varint(len) || kind(u8) || body`, `len` counting kind and body. PROTOCOL.md has the registry of kinds.

pub mod key_update;
pub mod outbox;
pub mod route;
pub mod snapshot;
pub mod wal;

use bytes::Bytes;

use crate::base::{DataBatch, limits};
use crate::wire::cursor::{Reader, WireError, Writer};

pub use key_update::KeyUpdate;
pub use outbox::{OutboxHeld, OutboxPull};
pub use route::{Neighbours, Notice, Parcel, ParcelId, Search, SearchStep, Verdict};
pub use snapshot::{Decline, Part, SnapshotData, SnapshotDecline, SnapshotFetch, SnapshotId, SnapshotOffer};
pub use wal::{VectorEntry, WalAck, WalNak, WalPush, WalSeal};

/// Kind numbers. Those of v1 keep their number.
pub mod kind {
    /// Liveness question.
    pub const PING: u8 = 2;
    /// Liveness answer.
    pub const PONG: u8 = 3;
    /// The responder admits the initiator; first frame of a session towards it.
    pub const WELCOME: u8 = 6;
    /// The sender closes the session, with a code.
    pub const CLOSE: u8 = 7;
    /// A step of a fresh key agreement.
    pub const KEY_UPDATE: u8 = 8;
    /// Records of one log.
    pub const WAL_PUSH: u8 = 10;
    /// Cumulative progress on one log.
    pub const WAL_ACK: u8 = 11;
    /// Where do operations for a node lie?
    pub const OUTBOX_PULL: u8 = 12;
    /// What the sender has of every log.
    pub const VECTOR: u8 = 13;
    /// A push left a gap; push again from here.
    pub const WAL_NAK: u8 = 14;
    /// A sealed payload on its way to a peer that is no neighbour of its sender.
    pub const PARCEL: u8 = 40;
    /// What became of one.
    pub const NOTICE: u8 = 41;
    /// The search for a way.
    pub const SEARCH: u8 = 42;
    /// Where the sender and others accept connections.
    pub const NEIGHBOURS: u8 = 43;
    /// The answer to an OutboxPull.
    pub const OUTBOX_HELD: u8 = 19;
    /// A snapshot that the receiver needs.
    pub const SNAPSHOT_OFFER: u8 = 20;
    /// A question for a part of one.
    pub const SNAPSHOT_FETCH: u8 = 21;
    /// That part.
    pub const SNAPSHOT_DATA: u8 = 22;
    /// An offered snapshot is not taken.
    pub const SNAPSHOT_DECLINE: u8 = 23;
    /// Where the sender's copy of a log ends.
    pub const WAL_SEAL: u8 = 24;
    /// Application bytes.
    pub const DATA: u8 = 32;
}

/// One live message. Application data has no variant: it stays in the record it came in (`base::DataBatch`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Liveness question; the nonce comes back in the Pong.
    Ping {
        /// Sender's choice.
        nonce: u64,
    },
    /// Liveness answer.
    Pong {
        /// The Ping's nonce.
        nonce: u64,
    },
    /// Admission.
    Welcome,
    /// End of the session.
    Close {
        /// `CloseReason::code`.
        code: u8,
        /// A sentence for the log, at most `limits::CLOSE_DETAIL_MAX_BYTES`.
        detail: String,
    },
    /// A step of a fresh key agreement; ends its record.
    KeyUpdate(KeyUpdate),
    /// Records of one log.
    WalPush(WalPush),
    /// Cumulative progress on one log.
    WalAck(WalAck),
    /// Progress on every log, in one or more messages at session start.
    Vector(Vec<VectorEntry>),
    /// A push left a gap.
    WalNak(WalNak),
    /// A sealed payload on its way.
    Parcel(Parcel),
    /// What became of one.
    Notice(Notice),
    /// The search for a way.
    Search(Search),
    /// Where the sender and others accept connections.
    Neighbours(Neighbours),
    /// Where do operations for a node lie?
    OutboxPull(OutboxPull),
    /// There.
    OutboxHeld(OutboxHeld),
    /// A snapshot that the receiver needs.
    SnapshotOffer(SnapshotOffer),
    /// A question for a part of one.
    SnapshotFetch(SnapshotFetch),
    /// That part.
    SnapshotData(SnapshotData),
    /// An offered snapshot is not taken.
    SnapshotDecline(SnapshotDecline),
    /// Where the sender's copy of a log ends.
    WalSeal(WalSeal),
}

/// One thing received on a link: application data as it came, or a decoded message.
#[derive(Clone, Debug)]
pub enum Inbound {
    /// A run of application messages.
    Data(DataBatch),
    /// Anything else.
    Message(Message),
    /// Both directions go on under keys of a fresh agreement.
    FreshKeys,
}

impl Message {
    /// The kind number.
    pub fn kind(&self) -> u8 {
        match self {
            Message::Ping { .. } => kind::PING,
            Message::Pong { .. } => kind::PONG,
            Message::Welcome => kind::WELCOME,
            Message::Close { .. } => kind::CLOSE,
            Message::KeyUpdate(_) => kind::KEY_UPDATE,
            Message::WalPush(_) => kind::WAL_PUSH,
            Message::WalAck(_) => kind::WAL_ACK,
            Message::Vector(_) => kind::VECTOR,
            Message::WalNak(_) => kind::WAL_NAK,
            Message::Parcel(_) => kind::PARCEL,
            Message::Notice(_) => kind::NOTICE,
            Message::Search(_) => kind::SEARCH,
            Message::Neighbours(_) => kind::NEIGHBOURS,
            Message::OutboxPull(_) => kind::OUTBOX_PULL,
            Message::OutboxHeld(_) => kind::OUTBOX_HELD,
            Message::SnapshotOffer(_) => kind::SNAPSHOT_OFFER,
            Message::SnapshotFetch(_) => kind::SNAPSHOT_FETCH,
            Message::SnapshotData(_) => kind::SNAPSHOT_DATA,
            Message::SnapshotDecline(_) => kind::SNAPSHOT_DECLINE,
            Message::WalSeal(_) => kind::WAL_SEAL,
        }
    }

    /// The body, appended to `out`.
    pub fn encode_body(&self, out: &mut Vec<u8>) {
        let mut w = Writer::new(out);
        match self {
            Message::Ping { nonce } | Message::Pong { nonce } => w.u64(*nonce),
            Message::Welcome => {}
            Message::Close { code, detail } => {
                w.u8(*code);
                w.str(detail);
            }
            Message::KeyUpdate(update) => update.encode(&mut w),
            Message::WalPush(m) => m.encode(&mut w),
            Message::WalAck(m) => m.encode(&mut w),
            Message::Vector(entries) => wal::encode_vector(entries, &mut w),
            Message::WalNak(m) => m.encode(&mut w),
            Message::Parcel(m) => m.encode(&mut w),
            Message::Notice(m) => m.encode(&mut w),
            Message::Search(m) => m.encode(&mut w),
            Message::Neighbours(m) => m.encode(&mut w),
            Message::OutboxPull(m) => m.encode(&mut w),
            Message::OutboxHeld(m) => m.encode(&mut w),
            Message::SnapshotOffer(m) => m.encode(&mut w),
            Message::SnapshotFetch(m) => m.encode(&mut w),
            Message::SnapshotData(m) => m.encode(&mut w),
            Message::SnapshotDecline(m) => m.encode(&mut w),
            Message::WalSeal(m) => m.encode(&mut w),
        }
    }

    /// The message of a kind and a body; every byte of the body must be used.
    pub fn decode(kind: u8, body: &Bytes) -> Result<Message, WireError> {
        let mut r = Reader::new(body);
        let message = match kind {
            kind::PING => Message::Ping { nonce: r.u64()? },
            kind::PONG => Message::Pong { nonce: r.u64()? },
            kind::WELCOME => Message::Welcome,
            kind::CLOSE => Message::Close { code: r.u8()?, detail: r.str(limits::CLOSE_DETAIL_MAX_BYTES)?.to_owned() },
            kind::KEY_UPDATE => Message::KeyUpdate(KeyUpdate::decode(&mut r)?),
            kind::WAL_PUSH => Message::WalPush(WalPush::decode(&mut r, body)?),
            kind::WAL_ACK => Message::WalAck(WalAck::decode(&mut r)?),
            kind::VECTOR => Message::Vector(wal::decode_vector(&mut r)?),
            kind::WAL_NAK => Message::WalNak(WalNak::decode(&mut r)?),
            kind::PARCEL => Message::Parcel(Parcel::decode(&mut r, body)?),
            kind::NOTICE => Message::Notice(Notice::decode(&mut r)?),
            kind::SEARCH => Message::Search(Search::decode(&mut r)?),
            kind::NEIGHBOURS => Message::Neighbours(Neighbours::decode(&mut r)?),
            kind::OUTBOX_PULL => Message::OutboxPull(OutboxPull::decode(&mut r)?),
            kind::OUTBOX_HELD => Message::OutboxHeld(OutboxHeld::decode(&mut r)?),
            kind::SNAPSHOT_OFFER => Message::SnapshotOffer(SnapshotOffer::decode(&mut r)?),
            kind::SNAPSHOT_FETCH => Message::SnapshotFetch(SnapshotFetch::decode(&mut r)?),
            kind::SNAPSHOT_DATA => Message::SnapshotData(SnapshotData::decode(&mut r, body)?),
            kind::SNAPSHOT_DECLINE => Message::SnapshotDecline(SnapshotDecline::decode(&mut r)?),
            kind::WAL_SEAL => Message::WalSeal(WalSeal::decode(&mut r)?),
            other => return Err(WireError::UnknownKind(other)),
        };
        r.finish()?;
        Ok(message)
    }
}

#[cfg(test)]
mod tests;
