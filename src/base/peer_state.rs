//! Where a peer stands, and how far its handshake has come: the words for it, and nothing that changes them.

use std::fmt;

use serde::Serialize;

/// Where a peer stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// Never met, and no connection to it is under way: where every peer starts, and where it is between two attempts.
    #[default]
    Disconnected,
    /// A connection to it is being opened.
    Connecting,
    /// A connection is open; the peer is not authenticated on it yet.
    Handshaking,
    /// Authenticated and heard of.
    Connected,
    /// Still connected, but silent although asked; soon closed.
    Stale,
    /// Met before, and gone.
    Closed,
}

impl PeerState {
    /// The state's name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            PeerState::Disconnected => "disconnected",
            PeerState::Connecting => "connecting",
            PeerState::Handshaking => "handshaking",
            PeerState::Connected => "connected",
            PeerState::Stale => "stale",
            PeerState::Closed => "closed",
        }
    }
}

impl fmt::Display for PeerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which messages of a connection's handshake have passed. The side that dials goes from `HelloSent` over `AckReceived` to `Finished`,
/// the other from `HelloReceived` over `AckSent`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HandshakeStage {
    /// None; or there is no connection.
    #[default]
    None,
    /// Dialled: the Hello is on its way.
    HelloSent,
    /// Accepted: the Hello is here and passed.
    HelloReceived,
    /// Accepted: the HelloAck is on its way.
    AckSent,
    /// Dialled: the HelloAck is here and passed, the HelloFinish on its way, the welcome not here yet.
    AckReceived,
    /// All; the link stands.
    Finished,
}

impl HandshakeStage {
    /// The stage's name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            HandshakeStage::None => "none",
            HandshakeStage::HelloSent => "hello_sent",
            HandshakeStage::HelloReceived => "hello_received",
            HandshakeStage::AckSent => "ack_sent",
            HandshakeStage::AckReceived => "ack_received",
            HandshakeStage::Finished => "finished",
        }
    }
}

impl fmt::Display for HandshakeStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
