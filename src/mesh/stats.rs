//! What this node counted about its links, put together as `base::Stats`. Transport and log counters are the carrier's.

use crate::base::Stats;
use crate::mesh::guard::Guard;
use crate::mesh::halfopen::HalfOpen;
use crate::mesh::peers::Peers;

/// Handshakes by outcome: started = completed + failed + those under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Handshakes {
    pub(super) started: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
}

/// The mesh's part of the counters; every other field is zero.
pub(super) fn snapshot(handshakes: &Handshakes, guard: &Guard, peers: &Peers, half_open: &HalfOpen) -> Stats {
    Stats {
        peers_total: peers.known() as u64,
        peers_connected: peers.connected() as u64,
        handshakes_started: handshakes.started,
        handshakes_completed: handshakes.completed,
        handshakes_failed: handshakes.failed,
        connect_attempts: guard.counters.connect_attempts,
        connect_deduped: guard.counters.connect_deduped,
        connect_failures: guard.counters.connect_failures,
        backoff_skips: guard.counters.backoff_skips,
        tracked_endpoints: guard.tracked() as u64,
        half_open: half_open.len() as u64,
        half_open_evicted: half_open.evicted,
        ..Stats::default()
    }
}
