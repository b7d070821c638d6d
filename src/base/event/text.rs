//! What an event says to people: one line each. Names and details from elsewhere are made printable; never more than is known.

use std::fmt;

use crate::base::event::{Direction, Event};
use crate::base::id::PeerId;

/// Peers that one line names.
const PEERS_NAMED: usize = 8;

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
            Event::ApplyRefused { .. } | Event::ApplyParked { .. } | Event::ApplyResumed { .. } => self.fmt_apply(f),
            Event::LogFailed { detail } => write!(f, "log cannot be written: {detail}"),
            Event::Lost { .. } | Event::ApplicationBehind { .. } => self.fmt_behind(f),
            Event::Fatal { detail } => write!(f, "node failed: {detail}"),
            Event::PeerPinned { .. } | Event::IdentityChanged { .. } | Event::TrustChanged { .. } | Event::SyncDeclined { .. } => {
                self.fmt_of_trust(f)
            }
            Event::PeerDiscovered { node_id, endpoint } => write!(f, "node \"{}\" announces itself at {endpoint}", printable(node_id)),
            Event::PeerNamed { .. } | Event::RegistryAnswered { .. } | Event::RegistryFailed { .. } => self.fmt_of_registry(f),
            Event::Ping { .. } | Event::Pong { .. } => self.fmt_of_life(f),
            Event::Delivered { .. } | Event::Undelivered { .. } => self.fmt_of_post(f),
            Event::OutboxPulled { .. } | Event::OutboxHeld { .. } => self.describe_outbox(f),
            Event::PeerStale { peer, node_id, silent_ms } => {
                write!(f, "peer {} \"{}\" has been silent for {silent_ms} ms although it was asked", peer.short(), printable(node_id))
            }
            Event::SnapshotMade { .. } | Event::SnapshotTaken { .. } | Event::LogTruncated { .. } | Event::SnapshotNeeded { .. } => {
                self.fmt_of_snapshots(f)
            }
            Event::KnownPeersFaulty { detail } | Event::AddressBookFaulty { detail } => f.write_str(detail),
        }
    }
}

impl Event {
    /// What an application that was too slow has missed, and who waited for it.
    fn fmt_behind(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Lost { count } => write!(f, "{count} events dropped because the application read too slowly"),
            Event::ApplicationBehind { held_ms, count, peers } => {
                write!(f, "the application took no messages for {held_ms} ms; links that were not read meanwhile: {count}")?;
                let named = peers.iter().take(PEERS_NAMED).map(PeerId::short).collect::<Vec<_>>().join(", ");
                if named.is_empty() { Ok(()) } else { write!(f, ", of {named}{}", if *count > PEERS_NAMED { " and others" } else { "" }) }
            }
            _ => Ok(()),
        }
    }

    /// Whose key is whose, and who exchanges records.
    fn fmt_of_trust(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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
            _ => Ok(()),
        }
    }

    /// What became of a record on its way to the application.
    fn fmt_apply(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::ApplyRefused { log, seq, retry_in_ms } => {
                write!(f, "record {seq} of {log} refused by the application; offered again in {retry_in_ms} ms")
            }
            Event::ApplyParked { log, seq } => {
                write!(f, "record {seq} of {log} cannot be applied; the log is parked there: retry or skip it by apply_resume")
            }
            Event::ApplyResumed { log, seq, skipped } => {
                write!(f, "{log} goes on; record {seq} is {}", if *skipped { "skipped by order" } else { "offered again" })
            }
            _ => Ok(()),
        }
    }

    /// What was made, taken and let go of.
    fn fmt_of_snapshots(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::SnapshotMade { bytes, detail } => write!(f, "snapshot made, {bytes} bytes: {detail}"),
            Event::SnapshotTaken { peer, seq, bytes, detail } => {
                write!(f, "snapshot by {} taken in, {bytes} bytes: {detail}; of the own log it has record {seq} and before", peer.short())
            }
            Event::LogTruncated { log, seq } => write!(f, "{log} is kept from behind record {seq} on"),
            Event::SnapshotNeeded { peer, count } => {
                write!(f, "peer {} lacks records of {count} logs that went because of the cap: it will need a snapshot", peer.short())
            }
            _ => Ok(()),
        }
    }

    /// What peers ask and tell of operations.
    fn describe_outbox(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::OutboxPulled { peer, target, max_items } => {
                write!(f, "peer {} asks for up to {max_items} operations for {}", peer.short(), target.short())
            }
            Event::OutboxHeld { peer, target, ranges } => {
                write!(f, "peer {} knows operations for {} in {} ranges of records", peer.short(), target.short(), ranges.len())
            }
            _ => Ok(()),
        }
    }

    /// What became of a message over a route.
    fn fmt_of_post(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Delivered { peer, message } => write!(f, "message {message} has arrived at {}", peer.short()),
            Event::Undelivered { peer, message, reason } => write!(f, "message {message} to {} was given up: {reason}", peer.short()),
            _ => Ok(()),
        }
    }

    fn fmt_of_registry(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::PeerNamed { node_id, endpoint } => write!(f, "the registry names node \"{}\" at {endpoint}", printable(node_id)),
            Event::RegistryAnswered { count, new_count } => write!(f, "registry: {count} peers named, {new_count} of them new"),
            Event::RegistryFailed { detail, retry_in_ms } => {
                write!(f, "registry: {}", printable(detail))?;
                retry_in_ms.map_or(Ok(()), |ms| write!(f, "; asked again in {ms} ms"))
            }
            _ => Ok(()),
        }
    }

    fn fmt_of_life(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Ping { peer, direction: Direction::Outbound } => write!(f, "ping to {}", peer.short()),
            Event::Ping { peer, direction: Direction::Inbound } => write!(f, "ping from {}", peer.short()),
            Event::Pong { peer, direction: Direction::Outbound } => write!(f, "pong to {}", peer.short()),
            Event::PeerStale { peer, node_id, silent_ms } => {
                write!(f, "peer {} \"{}\" has been silent for {silent_ms} ms although it was asked", peer.short(), printable(node_id))
            }
            Event::Pong { peer, direction: Direction::Inbound } => write!(f, "pong from {}", peer.short()),
            _ => Ok(()),
        }
    }
}

/// `text` with control characters (terminal escapes among them) shown as `\u{..}`: names come from the network.
pub fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}
