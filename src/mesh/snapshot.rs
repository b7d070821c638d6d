//! What can be seen of a mesh: its peers, and the endpoints it dials. Never changes anything.

use serde::Serialize;

use crate::base::{CloseReason, Direction, Endpoint, HandshakeStage, LinkId, PeerId, PeerState, Time};
use crate::mesh::Mesh;
use crate::mesh::dialer::Seen;
use crate::mesh::peers::{Link, LinkState, Peer};

/// One line of the peer list: a peer met, an endpoint being dialled that nobody has answered for yet, or an accepted connection whose
/// Hello has passed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PeerSnapshot {
    /// Its identity; for an endpoint whose peer is not authenticated yet the one that is expected there, or `None`.
    pub id: Option<PeerId>,
    /// Its label; empty if not met.
    pub node_id: String,
    /// Where it stands.
    pub state: PeerState,
    /// How far the handshake of its connection is.
    pub stage: HandshakeStage,
    /// Milliseconds it has been in this state.
    pub since_ms_ago: u64,
    /// The other end's address on its last link.
    pub endpoint: Endpoint,
    /// Who opened the last link.
    pub direction: Direction,
    /// Whether the peer is authenticated; there are no other links than sealed ones.
    pub secure: bool,
    /// Whether records are, or would be, exchanged with it.
    pub trusted: bool,
    /// Milliseconds since anything was received from it.
    pub last_seen_ms_ago: Option<u64>,
    /// Attempts in a row that failed, or links that ended at once.
    pub failures: u32,
    /// Milliseconds until it is dialled again: the backoff. `None`: no attempt waits.
    pub next_attempt_in_ms: Option<u64>,
    /// Why its last link, or the last attempt, ended.
    pub last_reason: Option<CloseReason>,
    /// The connected link.
    pub link: Option<LinkId>,
    /// What it says it can do.
    pub capabilities: Vec<(String, String)>,
}

/// One endpoint that is dialled, or was tried in vain: a peer may have several.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TargetSnapshot {
    /// Where.
    pub endpoint: Endpoint,
    /// Who answered there last, or is expected to.
    pub id: Option<PeerId>,
    /// Asked for by a person or program, and dialled until it is told otherwise.
    pub wanted: bool,
    /// Where it stands; an endpoint whose peer is connected by another link is `Connected` too.
    pub state: PeerState,
    /// How far the handshake is.
    pub stage: HandshakeStage,
    /// Milliseconds it has been in this state.
    pub since_ms_ago: u64,
    /// Attempts in a row that failed, or links that ended at once.
    pub failures: u32,
    /// Milliseconds until it is dialled: the backoff. `None`: no attempt waits.
    pub next_attempt_in_ms: Option<u64>,
    /// Why the last attempt, or the link it led to, ended.
    pub last_reason: Option<CloseReason>,
}

fn ms(now: Time, earlier: Time) -> u64 {
    now.since(earlier).as_millis() as u64
}

impl Mesh {
    /// Every peer met, then every endpoint being dialled whose peer is not known yet, then accepted connections in the handshake.
    pub fn peers(&self, now: Time) -> Vec<PeerSnapshot> {
        let mut list: Vec<PeerSnapshot> = self.peers.iter().map(|(id, peer)| self.met(now, *id, peer)).collect();
        let met: std::collections::BTreeMap<PeerId, usize> = self.peers.iter().map(|(id, _)| *id).zip(0..).collect();
        for seen in self.dialer.targets() {
            match seen.peer.and_then(|id| met.get(&id)) {
                Some(at) => self.add(now, &mut list[*at], &seen),
                None => list.push(self.not_met(now, &seen)),
            }
        }
        list.extend(self.peers.greeted().map(|link| coming(now, link)));
        list
    }

    /// Every endpoint this node keeps itself connected to, then every other one whose last attempt failed.
    pub fn targets(&self, now: Time) -> Vec<TargetSnapshot> {
        let mut list: Vec<TargetSnapshot> = self.dialer.targets().map(|seen| self.target(now, &seen)).collect();
        let guard = &self.dialer.guard;
        let given_up = guard.failed_endpoints().filter(|endpoint| !self.dialer.has(endpoint));
        list.extend(given_up.map(|endpoint| {
            let last_end = guard.last_end(endpoint);
            TargetSnapshot {
                endpoint: endpoint.clone(),
                id: None,
                wanted: false,
                state: PeerState::Disconnected,
                stage: HandshakeStage::None,
                since_ms_ago: last_end.map_or(0, |(at, _)| ms(now, at)),
                failures: guard.failures(endpoint),
                next_attempt_in_ms: None,
                last_reason: last_end.map(|(_, reason)| reason.clone()),
            }
        }));
        list
    }

    /// What is under way to a target that is no peer's link.
    fn under_way(&self, now: Time, seen: &Seen<'_>) -> (PeerState, HandshakeStage, u64) {
        match seen.link.and_then(|link| self.peers.link(link)) {
            Some(Link { state: LinkState::Connecting, stage, since, .. }) => (PeerState::Connecting, *stage, ms(now, *since)),
            Some(Link { stage, since, .. }) => (PeerState::Handshaking, *stage, ms(now, *since)),
            None => (PeerState::Disconnected, HandshakeStage::None, ms(now, seen.idle_since)),
        }
    }

    fn not_met(&self, now: Time, seen: &Seen<'_>) -> PeerSnapshot {
        let (state, stage, since_ms_ago) = self.under_way(now, seen);
        PeerSnapshot {
            id: seen.peer,
            node_id: String::new(),
            state,
            stage,
            since_ms_ago,
            endpoint: seen.endpoint.clone(),
            direction: Direction::Outbound,
            secure: false,
            trusted: seen.peer.is_some_and(|id| self.settings.trust.trusts(&id)),
            last_seen_ms_ago: None,
            failures: seen.failures,
            next_attempt_in_ms: seen.due.map(|due| ms(due, now)),
            last_reason: seen.last_reason.cloned(),
            link: None,
            capabilities: Vec::new(),
        }
    }

    /// Adds to a peer that was met what is done to reach it by one of its addresses.
    fn add(&self, now: Time, met: &mut PeerSnapshot, seen: &Seen<'_>) {
        if met.link.is_some() {
            return;
        }
        if seen.link.is_some() {
            (met.state, met.stage, met.since_ms_ago) = self.under_way(now, seen);
        }
        met.failures = met.failures.max(seen.failures);
        let next = seen.due.map(|due| ms(due, now));
        met.next_attempt_in_ms = [met.next_attempt_in_ms, next].into_iter().flatten().min();
        if let Some(reason) = seen.last_reason.filter(|_| seen.failures > 0) {
            met.last_reason = Some(reason.clone());
        }
    }

    fn met(&self, now: Time, id: PeerId, peer: &Peer) -> PeerSnapshot {
        let (state, since) = match peer.link {
            Some(link) => self.standing_state(now, link, peer.since),
            None => (PeerState::Closed, peer.since),
        };
        let last_seen = peer.link.and_then(|link| self.heartbeat.last_heard(link)).unwrap_or(peer.last_seen);
        PeerSnapshot {
            id: Some(id),
            node_id: peer.node_id.clone(),
            state,
            stage: if peer.link.is_some() { HandshakeStage::Finished } else { HandshakeStage::None },
            since_ms_ago: ms(now, since),
            endpoint: peer.endpoint.clone(),
            direction: peer.direction,
            secure: true,
            trusted: if peer.link.is_some() { peer.trusted } else { self.settings.trust.trusts(&id) },
            last_seen_ms_ago: Some(ms(now, last_seen)),
            failures: 0,
            next_attempt_in_ms: None,
            last_reason: peer.last_reason.clone(),
            link: peer.link,
            capabilities: peer.capabilities.clone(),
        }
    }

    fn target(&self, now: Time, seen: &Seen<'_>) -> TargetSnapshot {
        let peer = seen.peer.and_then(|id| self.peers.peer(&id)).and_then(|peer| Some((peer.link?, peer.since)));
        let (state, stage, since_ms_ago) = match peer {
            Some((link, since)) if seen.link.is_none_or(|own| own == link) => {
                let (state, since) = self.standing_state(now, link, since);
                (state, HandshakeStage::Finished, ms(now, since))
            }
            _ => self.under_way(now, seen),
        };
        TargetSnapshot {
            endpoint: seen.endpoint.clone(),
            id: seen.peer,
            wanted: seen.wanted,
            state,
            stage,
            since_ms_ago,
            failures: seen.failures,
            next_attempt_in_ms: seen.due.map(|due| ms(due, now)),
            last_reason: seen.last_reason.cloned(),
        }
    }

    /// The state of a link that stands, and since when it is in it.
    fn standing_state(&self, now: Time, link: LinkId, connected: Time) -> (PeerState, Time) {
        match self.heartbeat.stale_since(now, link) {
            Some(since) => (PeerState::Stale, since),
            None => (PeerState::Connected, connected),
        }
    }
}

/// An accepted connection whose Hello has passed.
fn coming(now: Time, link: &Link) -> PeerSnapshot {
    PeerSnapshot {
        id: None,
        node_id: String::new(),
        state: PeerState::Handshaking,
        stage: link.stage,
        since_ms_ago: ms(now, link.since),
        endpoint: link.endpoint.clone(),
        direction: link.direction,
        secure: false,
        trusted: false,
        last_seen_ms_ago: None,
        failures: 0,
        next_attempt_in_ms: None,
        last_reason: None,
        link: None,
        capabilities: Vec::new(),
    }
}
