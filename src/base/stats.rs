//! Counters people and programs read: the nine of the stats line, and the transport's.

use std::fmt;

use serde::Serialize;

use crate::base::id::PeerId;

/// A snapshot of a node's counters. The first nine, in this order, are the stats line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Stats {
    /// Peers known by an authenticated link, connected or gone.
    pub peers_total: u64,
    /// Peers connected now.
    pub peers_connected: u64,
    /// Handshakes begun, on either side.
    pub handshakes_started: u64,
    /// Handshakes that ended authenticated.
    pub handshakes_completed: u64,
    /// Dials begun.
    pub connect_attempts: u64,
    /// Dials left out because one to the same endpoint had just begun, or a link stands.
    pub connect_deduped: u64,
    /// Dials that did not end in an authenticated link.
    pub connect_failures: u64,
    /// Dials left out because the endpoint is backing off.
    pub backoff_skips: u64,
    /// Endpoints the connection guard knows.
    pub tracked_endpoints: u64,
    /// Handshakes that failed.
    pub handshakes_failed: u64,
    /// Bytes written to sockets.
    pub bytes_sent: u64,
    /// Bytes read from sockets.
    pub bytes_received: u64,
    /// Messages sent, of any kind.
    pub frames_sent: u64,
    /// Messages received, of any kind.
    pub frames_received: u64,
    /// Records appended here.
    pub records_appended: u64,
    /// Records applied here, of any origin but this node.
    pub records_applied: u64,
    /// Accepted connections whose peer is not authenticated yet.
    pub half_open: u64,
    /// Accepted connections that gave way to newer ones before their peer was authenticated.
    pub half_open_evicted: u64,
}

/// Links that are not read, because the application has not taken what came by then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unread {
    /// How long ago the first of them was read last.
    pub since_ms_ago: u64,
    /// How many.
    pub links: usize,
    /// Whose, as far as known.
    pub peers: Vec<PeerId>,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "peers_total={} peers_connected={} handshakes_started={} handshakes_completed={} connect_attempts={} \
             connect_deduped={} connect_failures={} backoff_skips={} tracked_endpoints={}",
            self.peers_total,
            self.peers_connected,
            self.handshakes_started,
            self.handshakes_completed,
            self.connect_attempts,
            self.connect_deduped,
            self.connect_failures,
            self.backoff_skips,
            self.tracked_endpoints
        )
    }
}
