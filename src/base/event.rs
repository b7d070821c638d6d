//! What the application is told: one closed list with one text form and one JSON form.
//!
//! Every surface (Rust, C, C++, Python, CLI, log) shows these; none adds its own.

mod text;

use std::fmt;

use serde::Serialize;

use crate::base::batch::DataBatch;
use crate::base::close::CloseReason;
use crate::base::endpoint::Endpoint;
use crate::base::id::{LogId, LogRange, PeerId};
use crate::base::log::Level;
use crate::base::route::Undelivered;

pub use text::printable;

/// Who opened a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// This node dialled.
    Outbound,
    /// The peer dialled.
    Inbound,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Outbound => "outbound",
            Direction::Inbound => "inbound",
        })
    }
}

/// Something the application may want to know.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The node runs; `port` is the port it listens on, 0 if none.
    Started {
        /// Listening TCP port.
        port: u16,
    },
    /// The node has stopped; no event follows.
    Stopped,
    /// A dial did not end in an authenticated link.
    ConnectFailed {
        /// Where to.
        endpoint: Endpoint,
        /// The key that was to answer there, if the dial named one.
        peer: Option<PeerId>,
        /// Why.
        reason: CloseReason,
        /// When the next automatic attempt is due, if there will be one.
        retry_in_ms: Option<u64>,
    },
    /// A connection failed before its peer was authenticated.
    HandshakeFailed {
        /// The other end's address.
        endpoint: Endpoint,
        /// Who opened it.
        direction: Direction,
        /// Why.
        reason: CloseReason,
    },
    /// A peer is authenticated and connected.
    PeerConnected {
        /// Its identity.
        peer: PeerId,
        /// Its label, bound under its signature, chosen by itself.
        node_id: String,
        /// The other end's address.
        endpoint: Endpoint,
        /// Who opened the connection.
        direction: Direction,
        /// Peers connected now.
        connected: usize,
        /// Whether records are exchanged with it.
        trusted: bool,
    },
    /// A connected peer is gone.
    PeerDisconnected {
        /// Its identity.
        peer: PeerId,
        /// Its label.
        node_id: String,
        /// The other end's address.
        endpoint: Endpoint,
        /// Who had opened the connection.
        direction: Direction,
        /// Why it ended.
        reason: CloseReason,
        /// Peers connected now.
        connected: usize,
    },
    /// Both directions of the link to a peer go on under keys of a fresh agreement.
    FreshKeys {
        /// Which peer.
        peer: PeerId,
    },
    /// Application messages from a peer.
    Data {
        /// The sender.
        peer: PeerId,
        /// The messages, in order.
        #[serde(serialize_with = "batch_len")]
        batch: DataBatch,
    },
    /// A peer confirmed records of a log; both numbers are cumulative.
    Acked {
        /// Who confirmed.
        peer: PeerId,
        /// Which log.
        log: LogId,
        /// Highest record durable there.
        durable: u64,
        /// Highest record applied there.
        applied: u64,
    },
    /// Records of another origin are durable here, up to this one.
    Stored {
        /// Which log.
        log: LogId,
        /// Highest durable record.
        durable: u64,
    },
    /// A log was found damaged; what was set aside is named in the text.
    LogDamaged {
        /// What was found, where, and what was done.
        detail: String,
    },
    /// Two different records claim the same place in an origin's log; that log is frozen here.
    LogForked {
        /// Which log.
        log: LogId,
        /// The place.
        seq: u64,
        /// What was seen.
        detail: String,
    },
    /// The apply callback refused a record; it will be offered again.
    ApplyRefused {
        /// Which log.
        log: LogId,
        /// The record.
        seq: u64,
        /// When it will be offered again.
        retry_in_ms: u64,
    },
    /// The disk refused the log; appends fail until it works again.
    LogFailed {
        /// What was tried and what the system answered.
        detail: String,
    },
    /// The application read too slowly: so many informational events were dropped. Data is never among them.
    Lost {
        /// Number of events.
        count: u64,
    },
    /// A worker of the node failed; it can only be destroyed.
    Fatal {
        /// What happened.
        detail: String,
    },
    /// A key was written down: the first that came with its node_id, or the proven successor of one that is listed.
    PeerPinned {
        /// The key.
        peer: PeerId,
        /// The peer's label.
        node_id: String,
        /// The key whose place it takes.
        former: Option<PeerId>,
    },
    /// A peer came with a node_id that belongs to another key, and was refused.
    IdentityChanged {
        /// The key that came.
        peer: PeerId,
        /// The label.
        node_id: String,
        /// The key the label belongs to.
        former: PeerId,
        /// The other end's address.
        endpoint: Endpoint,
        /// Who opened the connection.
        direction: Direction,
    },
    /// A connected peer became trusted: records are exchanged with it from now on.
    TrustChanged {
        /// Its identity.
        peer: PeerId,
        /// Its label.
        node_id: String,
        /// Whether it is trusted now.
        trusted: bool,
    },
    /// A connected peer exchanges no records with this node: it does not trust it, or not yet.
    SyncDeclined {
        /// Its identity.
        peer: PeerId,
        /// Its label.
        node_id: String,
    },
    /// The address book has lines that cannot be used, or cannot be written.
    AddressBookFaulty {
        /// What is wrong, with the line's number.
        detail: String,
    },
    /// A node announces itself on a network of this one: a rumour, and worth a dial.
    PeerDiscovered {
        /// The label it announces.
        node_id: String,
        /// Where its announcement came from, and the port it names.
        endpoint: Endpoint,
    },
    /// The registry named a node that its last answer did not: a rumour, and worth a dial.
    PeerNamed {
        /// The label it announced there.
        node_id: String,
        /// Where it is said to listen.
        endpoint: Endpoint,
    },
    /// The registry answered for the first time, again after a failure, or with names that its last answer did not have.
    RegistryAnswered {
        /// Peers named.
        count: usize,
        /// How many of them the last answer did not name.
        new_count: usize,
    },
    /// The registry did not answer, or refused; told once, until it fails in another way or works again.
    RegistryFailed {
        /// What was asked and what came of it.
        detail: String,
        /// When it is asked again.
        retry_in_ms: Option<u64>,
    },
    /// A question of life went to a peer (outbound) or came from it. Only told where it was asked for, see [`Event::on_request`].
    Ping {
        /// Which peer.
        peer: PeerId,
        /// Who asked: this node, if outbound.
        direction: Direction,
    },
    /// The answer to a question of life came from a peer (inbound) or went to it. Only told where it was asked for.
    Pong {
        /// Which peer.
        peer: PeerId,
        /// Who answered: this node, if outbound.
        direction: Direction,
    },
    /// The application can never apply a record: its log waits until [`Node::apply_resume`](crate::Node::apply_resume). Told again at every start.
    ApplyParked {
        /// Which log.
        log: LogId,
        /// The record.
        seq: u64,
    },
    /// A parked log goes on, by order of the application.
    ApplyResumed {
        /// Which log.
        log: LogId,
        /// The record it was parked at.
        seq: u64,
        /// Whether that record was skipped; else it is offered once more.
        skipped: bool,
    },
    /// A message over a route has arrived: its recipient has proven it.
    Delivered {
        /// The recipient.
        peer: PeerId,
        /// The message, by the number that sending it gave.
        #[serde(rename = "message_number")]
        message: u64,
    },
    /// A message over a route was given up.
    Undelivered {
        /// The recipient.
        peer: PeerId,
        /// The message, by the number that sending it gave.
        #[serde(rename = "message_number")]
        message: u64,
        /// Why.
        reason: Undelivered,
    },
    /// A peer asks where operations for a node lie; the node's outbox answers.
    OutboxPulled {
        /// Who asks.
        peer: PeerId,
        /// For whom.
        target: PeerId,
        /// Operations asked for at most.
        max_items: u32,
    },
    /// A peer tells where operations for a node lie: its answer to `NodeOutbox::ask`.
    OutboxHeld {
        /// Who answers.
        peer: PeerId,
        /// For whom.
        target: PeerId,
        /// Records that hold operations which the target has not answered for, as far as the peer knows.
        ranges: Vec<LogRange>,
    },
    /// A connected peer is silent although it was asked: its link is closed soon unless something comes.
    PeerStale {
        /// Its identity.
        peer: PeerId,
        /// Its label.
        node_id: String,
        /// Milliseconds since anything came from it.
        silent_ms: u64,
    },
    /// A snapshot of the application's state was made and lies here.
    SnapshotMade {
        /// Bytes of the state.
        bytes: u64,
        /// Its name, and how many logs it has taken in.
        detail: String,
    },
    /// The application's state is that of a snapshot now, and the logs go on behind its places.
    SnapshotTaken {
        /// Who made it.
        peer: PeerId,
        /// The last record of this node's own log whose effect is in it: what later ones did is to be done again. 0 for none.
        seq: u64,
        /// Bytes of the state.
        bytes: u64,
        /// Its name, and how many logs it has taken in.
        detail: String,
    },
    /// The beginning of a log was let go of: a snapshot holds what it did.
    LogTruncated {
        /// Which log.
        log: LogId,
        /// The last record that is not kept.
        seq: u64,
    },
    /// The cap on the size of the logs had records go that a peer lacks: it will need a snapshot.
    SnapshotNeeded {
        /// Who.
        peer: PeerId,
        /// In how many logs.
        count: u64,
    },
    /// The application reads again after it had not taken its messages for so long that links were not read: their peers waited. Once each
    /// ten seconds at most; what was shorter in between is in the next.
    ApplicationBehind {
        /// For how long, in all.
        held_ms: u64,
        /// How many links at once, at most.
        count: usize,
        /// Whose, the first of them.
        peers: Vec<PeerId>,
    },
    /// `known_peers` has lines that cannot be used, or cannot be written.
    KnownPeersFaulty {
        /// What is wrong, with the line's number.
        detail: String,
    },
}

fn batch_len<S: serde::Serializer>(batch: &DataBatch, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(batch.len() as u64)
}

impl Event {
    /// How much the event matters as a log line.
    pub fn level(&self) -> Level {
        match self {
            Event::Data { .. } | Event::Acked { .. } | Event::Stored { .. } => Level::Trace,
            Event::FreshKeys { .. } => Level::Debug,
            Event::Started { .. } | Event::Stopped | Event::PeerConnected { .. } | Event::PeerDisconnected { .. } => Level::Info,
            Event::PeerDiscovered { .. } | Event::PeerNamed { .. } | Event::Delivered { .. } => Level::Debug,
            Event::OutboxPulled { .. } | Event::OutboxHeld { .. } => Level::Debug,
            Event::Ping { .. } | Event::Pong { .. } => Level::Trace,
            Event::RegistryAnswered { .. } => Level::Info,
            Event::RegistryFailed { .. } | Event::Undelivered { .. } => Level::Warn,
            Event::PeerPinned { .. } | Event::TrustChanged { .. } | Event::SyncDeclined { .. } | Event::PeerStale { .. } => Level::Info,
            Event::IdentityChanged { .. } | Event::KnownPeersFaulty { .. } | Event::AddressBookFaulty { .. } => Level::Warn,
            Event::ConnectFailed { .. } | Event::HandshakeFailed { .. } | Event::ApplyRefused { .. } | Event::Lost { .. } => Level::Warn,
            Event::SnapshotMade { .. } | Event::SnapshotTaken { .. } | Event::LogTruncated { .. } => Level::Info,
            Event::ApplyResumed { .. } | Event::ApplicationBehind { .. } | Event::SnapshotNeeded { .. } => Level::Warn,
            Event::ApplyParked { .. } => Level::Error,
            Event::LogDamaged { .. } | Event::LogForked { .. } | Event::LogFailed { .. } => Level::Error,
            Event::Fatal { .. } => Level::Critical,
        }
    }

    /// Whether the event is so frequent and says so little that it is told only to those who asked for everything (level trace).
    pub fn on_request(&self) -> bool {
        matches!(self, Event::Ping { .. } | Event::Pong { .. })
    }

    /// One JSON object on one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|e| format!("{{\"event\":\"unprintable\",\"error\":\"{e}\"}}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_the_network_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
    }

    #[test]
    fn an_event_has_one_json_line_with_its_name() {
        let json = Event::Started { port: 9001 }.to_json();
        assert_eq!(json, r#"{"event":"started","port":9001}"#);
    }
}
