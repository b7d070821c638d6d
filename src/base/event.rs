//! What the application is told: one closed list with one text form and one JSON form.
//!
//! Every surface (Rust, C, C++, Python, CLI, log) shows these; none adds its own.

use std::fmt;

use serde::Serialize;

use crate::base::batch::DataBatch;
use crate::base::close::CloseReason;
use crate::base::endpoint::Endpoint;
use crate::base::id::{LogId, PeerId};
use crate::base::log::Level;

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
    /// A connected peer is silent although it was asked: its link is closed soon unless something comes.
    PeerStale {
        /// Its identity.
        peer: PeerId,
        /// Its label.
        node_id: String,
        /// Milliseconds since anything came from it.
        silent_ms: u64,
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
            Event::PeerDiscovered { .. } => Level::Debug,
            Event::PeerPinned { .. } | Event::TrustChanged { .. } | Event::SyncDeclined { .. } | Event::PeerStale { .. } => Level::Info,
            Event::IdentityChanged { .. } | Event::KnownPeersFaulty { .. } | Event::AddressBookFaulty { .. } => Level::Warn,
            Event::ConnectFailed { .. } | Event::HandshakeFailed { .. } | Event::ApplyRefused { .. } | Event::Lost { .. } => Level::Warn,
            Event::LogDamaged { .. } | Event::LogForked { .. } | Event::LogFailed { .. } => Level::Error,
            Event::Fatal { .. } => Level::Critical,
        }
    }

    /// One JSON object on one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|e| format!("{{\"event\":\"unprintable\",\"error\":\"{e}\"}}"))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Started { port: 0 } => f.write_str("node started, not listening"),
            Event::Started { port } => write!(f, "node started, listening on port {port}"),
            Event::Stopped => f.write_str("node stopped"),
            Event::ConnectFailed { endpoint, peer, reason, retry_in_ms } => {
                write!(f, "connect to {endpoint}")?;
                peer.map_or(Ok(()), |peer| write!(f, " for {}", peer.short()))?;
                write!(f, " failed: {reason}")?;
                retry_in_ms.map_or(Ok(()), |ms| write!(f, "; next attempt in {ms} ms"))
            }
            Event::HandshakeFailed { endpoint, direction, reason } => write!(f, "{direction} handshake with {endpoint} ended: {reason}"),
            Event::PeerConnected { peer, node_id, endpoint, direction, connected, trusted } => {
                write!(f, "peer {} \"{}\" connected ({direction}, {endpoint}); {connected} connected", peer.short(), printable(node_id))?;
                if *trusted {
                    return Ok(());
                }
                write!(f, "; not trusted, so no records are exchanged: to change that, vixp2p trust add {peer}")
            }
            Event::PeerDisconnected { peer, node_id, endpoint, direction, reason, connected } => {
                write!(
                    f,
                    "peer {} \"{}\" disconnected ({direction}, {endpoint}): {reason}; {connected} connected",
                    peer.short(),
                    printable(node_id)
                )
            }
            Event::FreshKeys { peer } => write!(f, "fresh keys with {}", peer.short()),
            Event::Data { peer, batch } => write!(f, "{} messages from {}", batch.len(), peer.short()),
            Event::Acked { peer, log, durable, applied } => {
                write!(f, "peer {} has {log} durable to {durable}, applied to {applied}", peer.short())
            }
            Event::Stored { log, durable } => write!(f, "{log} durable here to {durable}"),
            Event::LogDamaged { detail } => f.write_str(detail),
            Event::LogForked { log, seq, detail } => write!(f, "log {log} forked at record {seq}; frozen here: {detail}"),
            Event::ApplyRefused { log, seq, retry_in_ms } => {
                write!(f, "record {seq} of {log} refused by the application; offered again in {retry_in_ms} ms")
            }
            Event::LogFailed { detail } => write!(f, "log cannot be written: {detail}"),
            Event::Lost { count } => write!(f, "{count} events dropped because the application read too slowly"),
            Event::Fatal { detail } => write!(f, "node failed: {detail}"),
            Event::PeerPinned { peer, node_id, former: None } => {
                write!(f, "node_id \"{}\" seen for the first time: key {peer} is pinned to it", printable(node_id))
            }
            Event::PeerPinned { peer, node_id, former: Some(former) } => {
                write!(f, "peer \"{}\" has changed its key from {} to {peer} and proven it", printable(node_id), former.short())
            }
            Event::IdentityChanged { peer, node_id, former, endpoint, direction } => write!(
                f,
                "refused ({direction}, {endpoint}): node_id \"{}\" belongs to key {former}, but key {peer} came with it; somebody else may \
                 be using the name; if the change is right, vixp2p trust forget {former}",
                printable(node_id)
            ),
            Event::TrustChanged { peer, node_id, trusted } => {
                let (now, then) = if *trusted { ("now", "begins") } else { ("no longer", "ends") };
                write!(f, "peer {} \"{}\" is {now} trusted: the exchange of records {then}", peer.short(), printable(node_id))
            }
            Event::SyncDeclined { peer, node_id } => write!(
                f,
                "peer {} \"{}\" exchanges no records with this node: it does not trust it; add this node's key there (vixp2p trust add)",
                peer.short(),
                printable(node_id)
            ),
            Event::PeerDiscovered { node_id, endpoint } => write!(f, "node \"{}\" announces itself at {endpoint}", printable(node_id)),
            Event::PeerStale { peer, node_id, silent_ms } => {
                write!(f, "peer {} \"{}\" has been silent for {silent_ms} ms although it was asked", peer.short(), printable(node_id))
            }
            Event::KnownPeersFaulty { detail } | Event::AddressBookFaulty { detail } => f.write_str(detail),
        }
    }
}

/// `text` with control characters (terminal escapes among them) shown as `\u{..}`: names come from the network.
pub fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
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
