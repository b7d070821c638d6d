//! Ways to peers that are no neighbours, and why a message over one did not arrive.

use std::fmt;

use serde::Serialize;

use crate::base::id::PeerId;

/// The way to a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Route {
    /// The neighbour that gets what is for the peer.
    pub next_hop: PeerId,
    /// Whether that is another than the peer itself, and passes it on.
    pub via_relay: bool,
    /// Links a message may pass.
    pub ttl: u8,
    /// Whether it was found by searching; `false`: the application gave it, or the peer is a neighbour.
    pub learned: bool,
}

/// Why a message over a route was given up. What relays say of it is not proven: it is the last they said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Undelivered {
    /// Nobody knew a way within the message's life.
    NoRoute,
    /// The way is longer than the route's TTL.
    TtlExceeded,
    /// A queue or a relay on the way was full until the end of the message's life, or this node's own.
    Busy,
    /// The recipient does not trust this node, or could not open the message (another cluster's secret).
    Refused,
    /// Copies were sent and no receipt came: the message may have arrived, or not.
    Unanswered,
    /// The recipient began anew while the message was under way: the run before may have got it.
    Restarted,
    /// The recipient's id is no public key.
    NoKey,
}

impl Undelivered {
    /// Every reason.
    pub const ALL: [Undelivered; 7] = [
        Undelivered::NoRoute,
        Undelivered::TtlExceeded,
        Undelivered::Busy,
        Undelivered::Refused,
        Undelivered::Unanswered,
        Undelivered::Restarted,
        Undelivered::NoKey,
    ];

    /// The reason's name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Undelivered::NoRoute => "no_route",
            Undelivered::TtlExceeded => "ttl_exceeded",
            Undelivered::Busy => "busy",
            Undelivered::Refused => "refused",
            Undelivered::Unanswered => "unanswered",
            Undelivered::Restarted => "restarted",
            Undelivered::NoKey => "no_key",
        }
    }
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Undelivered::NoRoute => "no way to it was found; it has to be connected to a chain of relays that trust each other",
            Undelivered::TtlExceeded => "the way to it is longer than the route's ttl",
            Undelivered::Busy => "a queue on the way was full; send less, or later",
            Undelivered::Refused => "it refused the message: it does not trust this node, or has another pre-shared key",
            Undelivered::Unanswered => "no receipt came; it may have arrived",
            Undelivered::Restarted => "it began a new run meanwhile; the run before may have got it",
            Undelivered::NoKey => "its id is no public key",
        })
    }
}
