//! Why a link ended: one closed list, with the temper that backoff follows. Never decides anything itself.

use std::fmt;

use serde::Serialize;

use crate::base::event::printable;
use crate::base::id::PeerId;
use crate::base::limits;
use crate::base::trust::TrustPolicy;

/// What is missing for trust. For this node's log only: the peer is told "not trusted" and no more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Distrust {
    /// The peer says that it does not trust this node.
    Told,
    /// The key is not listed, and the policy admits listed ones only.
    Unlisted {
        /// The key.
        peer: PeerId,
        /// The policy.
        policy: TrustPolicy,
    },
    /// Another key answered than the dial named.
    Unexpected {
        /// The key that was named.
        wanted: PeerId,
        /// The key that answered.
        got: PeerId,
    },
    /// The node_id belongs to another key.
    Changed {
        /// The label.
        node_id: String,
        /// The key it belongs to.
        pinned: PeerId,
        /// The key that came with it.
        got: PeerId,
    },
    /// No key more can be pinned.
    Full {
        /// Keys that are listed.
        entries: usize,
    },
    /// The key could not be written down, or was forgotten in the same moment.
    Unpinned {
        /// The key.
        peer: PeerId,
    },
    /// The key was forgotten while its peer was connected.
    Withdrawn {
        /// The key.
        peer: PeerId,
    },
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told => f.write_str("the peer does not trust this node; add this node's key there (vixp2p trust add)"),
            Self::Unlisted { peer, policy } => {
                write!(f, "key {peer} is not in known_peers and the policy is {policy}; add it (vixp2p trust add) if it is right")
            }
            Self::Unexpected { wanted, got } => write!(f, "dialled for key {}, but key {got} answered", wanted.short()),
            Self::Changed { node_id, pinned, got } => write!(
                f,
                "node_id \"{}\" belongs to key {}, but key {got} came with it; if that is right, forget the old key (vixp2p trust forget)",
                printable(node_id),
                pinned.short()
            ),
            Self::Full { entries } => write!(f, "known_peers has {entries} keys, which is the limit; forget some (vixp2p trust forget)"),
            Self::Unpinned { peer } => write!(f, "key {} could not be pinned", peer.short()),
            Self::Withdrawn { peer } => write!(f, "key {} was taken off known_peers", peer.short()),
        }
    }
}

impl Serialize for Distrust {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a connection was not made or did not stay.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// Nobody listens there, or the network is unreachable.
    Refused(String),
    /// The host name has no address.
    Unresolved(String),
    /// No answer to the TCP connect, or no handshake within its deadline.
    Timeout,
    /// The other side closed the connection, or it vanished (reset, power cut).
    Lost(String),
    /// Nothing was heard for the stale time.
    Stale,
    /// This node is stopping.
    Shutdown,
    /// `disconnect` was called here.
    Disconnected,
    /// Another link to the same peer stays.
    Duplicate,
    /// The peer limit is reached.
    MaxPeers,
    /// The identity is not trusted.
    Untrusted(Distrust),
    /// The identity was revoked, by whom the text says.
    Revoked(String),
    /// No common protocol version; a v1 plaintext peer ends here.
    BadVersion(String),
    /// Too many unfinished handshakes.
    Busy,
    /// The peer is this node.
    SelfConnect,
    /// The handshake failed: wrong pre-shared key, altered bytes or a false signature. The wire never says which.
    HandshakeFailed(String),
    /// A sealed record did not open, or bytes after the handshake were no record.
    BadRecord(String),
    /// A message broke the protocol; the text says which rule and the numbers.
    Protocol(String),
    /// A frame was longer than allowed.
    FrameTooLarge {
        /// Announced length in bytes.
        got: u64,
        /// The limit in force in bytes.
        max: u64,
    },
    /// The peer does not read what it is sent.
    SlowReader,
}

impl CloseReason {
    /// Whether dialling again later can help.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Disconnected | Self::Shutdown | Self::SelfConnect | Self::Revoked(_) | Self::Duplicate)
    }

    /// Whether the other side broke a rule, as opposed to the network, a limit or our own wish.
    pub fn blames_peer(&self) -> bool {
        matches!(self, Self::HandshakeFailed(_) | Self::BadRecord(_) | Self::Protocol(_) | Self::FrameTooLarge { .. } | Self::SlowReader)
    }

    /// Stable name for programs: events, JSON, the C ABI's text.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Unresolved(_) => "unresolved",
            Self::Timeout => "timeout",
            Self::Lost(_) => "lost",
            Self::Stale => "stale",
            Self::Shutdown => "shutdown",
            Self::Disconnected => "disconnected",
            Self::Duplicate => "duplicate",
            Self::MaxPeers => "max_peers",
            Self::Untrusted(_) => "untrusted",
            Self::Revoked(_) => "revoked",
            Self::BadVersion(_) => "bad_version",
            Self::Busy => "busy",
            Self::SelfConnect => "self_connect",
            Self::HandshakeFailed(_) => "handshake_failed",
            Self::BadRecord(_) => "bad_record",
            Self::Protocol(_) => "protocol",
            Self::FrameTooLarge { .. } => "frame_too_large",
            Self::SlowReader => "slow_reader",
        }
    }

    /// Number on the wire (PROTOCOL.md, "Close codes"); what only this side can know travels as `Lost` (0).
    pub fn code(&self) -> u8 {
        match self {
            Self::Shutdown => 1,
            Self::Disconnected => 2,
            Self::Duplicate => 3,
            Self::MaxPeers => 4,
            Self::Untrusted(_) => 5,
            Self::Revoked(_) => 6,
            Self::BadVersion(_) => 7,
            Self::Busy => 8,
            Self::SelfConnect => 9,
            Self::Protocol(_) | Self::FrameTooLarge { .. } | Self::BadRecord(_) | Self::HandshakeFailed(_) => 10,
            Self::Stale | Self::Timeout => 11,
            Self::SlowReader => 12,
            Self::Refused(_) | Self::Unresolved(_) | Self::Lost(_) => 0,
        }
    }

    /// The explanation that goes with the code. Who is trusted, and why not, is nobody else's business.
    pub fn told(&self) -> String {
        let mut detail = match self {
            Self::Untrusted(_) => "identity not trusted".to_owned(),
            Self::Revoked(_) => "identity revoked".to_owned(),
            other => other.to_string(),
        };
        detail.truncate(detail.floor_char_boundary(limits::CLOSE_DETAIL_MAX_BYTES));
        detail
    }

    /// The reason as the side that *received* the code sees it. The detail is the peer's, so it is shown as `printable`.
    pub fn from_code(code: u8, detail: &str) -> CloseReason {
        let detail = printable(detail);
        match code {
            1 => Self::Lost("the peer stopped".into()),
            2 => Self::Lost("the peer disconnected".into()),
            3 => Self::Duplicate,
            4 => Self::MaxPeers,
            5 => Self::Untrusted(Distrust::Told),
            6 => Self::Revoked("the peer has revoked this node's key".into()),
            7 => Self::BadVersion(detail),
            8 => Self::Busy,
            9 => Self::SelfConnect,
            10 => Self::Lost(format!("the peer reports a protocol error: {detail}")),
            11 => Self::Lost("the peer heard nothing from here for too long".into()),
            12 => Self::Lost("the peer's queue towards here was full".into()),
            _ => Self::Lost(format!("the peer closed with code {code}")),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "connection refused: {why}"),
            Self::Unresolved(why) => write!(f, "host name not found: {why}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Lost(why) => write!(f, "connection lost: {why}"),
            Self::Stale => f.write_str("nothing heard for too long"),
            Self::Shutdown => f.write_str("this node is stopping"),
            Self::Disconnected => f.write_str("disconnected on request"),
            Self::Duplicate => f.write_str("another link to the same peer stays"),
            Self::MaxPeers => f.write_str("peer limit reached; raise max_peers to admit more"),
            Self::Untrusted(why) => write!(f, "identity not trusted: {why}"),
            Self::Revoked(why) => write!(f, "identity revoked: {why}"),
            Self::BadVersion(why) => write!(f, "no common protocol version: {why}"),
            Self::Busy => f.write_str("too many unfinished handshakes; retry later"),
            Self::SelfConnect => f.write_str("the peer is this node itself"),
            Self::HandshakeFailed(why) => write!(f, "handshake failed: {why}"),
            Self::BadRecord(why) => write!(f, "sealed record refused: {why}"),
            Self::Protocol(why) => write!(f, "protocol error: {why}"),
            Self::FrameTooLarge { got, max } => write!(f, "frame of {got} bytes, limit is {max}"),
            Self::SlowReader => f.write_str("the peer does not read; its queue is full"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_keeps_its_name_over_the_wire() {
        for reason in [
            CloseReason::Duplicate,
            CloseReason::MaxPeers,
            CloseReason::Untrusted(Distrust::Told),
            CloseReason::Revoked("the peer has revoked this node's key".into()),
            CloseReason::Busy,
            CloseReason::SelfConnect,
        ] {
            assert_eq!(CloseReason::from_code(reason.code(), ""), reason);
        }
    }

    #[test]
    fn a_stranger_is_not_told_what_is_known_about_keys() {
        let (wanted, got) = (PeerId([1; 32]), PeerId([2; 32]));
        let changed = Distrust::Changed { node_id: "b\u{1b}".into(), pinned: wanted, got };
        for reason in [CloseReason::Untrusted(changed), CloseReason::Revoked(wanted.to_string())] {
            assert!(!reason.told().contains("01010101") && reason.to_string().contains("01010101"), "{reason}");
        }
        assert!(CloseReason::Lost("\u{e9}".repeat(300)).told().len() <= limits::CLOSE_DETAIL_MAX_BYTES);
    }

    #[test]
    fn a_peers_explanation_cannot_steer_the_terminal() {
        for code in 0..=20 {
            assert!(!CloseReason::from_code(code, "\u{1b}[2J").to_string().contains('\u{1b}'));
        }
    }

    #[test]
    fn only_what_another_attempt_cannot_mend_is_final() {
        assert!(CloseReason::Lost("reset".into()).is_transient());
        assert!(CloseReason::HandshakeFailed(String::new()).is_transient());
        assert!(!CloseReason::SelfConnect.is_transient());
    }
}
