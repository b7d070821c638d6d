//! The tables of links and peers, and who is admitted. Never sends anything and never dials.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::{CloseReason, Direction, Endpoint, HandshakeStage, LinkId, PeerId, Time, limits};
use crate::mesh::MeshSettings;
use crate::mesh::io::PeerInfo;

/// How far a link has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LinkState {
    Connecting,
    Handshaking,
    Connected { peer: PeerId, since: Time },
}

/// One connection.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) endpoint: Endpoint,
    pub(super) direction: Direction,
    pub(super) state: LinkState,
    /// Which messages of the handshake have passed.
    pub(super) stage: HandshakeStage,
    /// When the dial, or the handshake, began.
    pub(super) since: Time,
    /// The only key that will do, if the dial named one.
    pub(super) expected: Option<PeerId>,
}

/// Somebody met. `link` is `None` once it is gone.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) node_id: String,
    pub(super) capabilities: Vec<(String, String)>,
    pub(super) formerly: Vec<PeerId>,
    pub(super) endpoint: Endpoint,
    pub(super) direction: Direction,
    pub(super) link: Option<LinkId>,
    pub(super) last_seen: Time,
    /// Since when it is connected, or gone.
    pub(super) since: Time,
    /// Why its last link ended.
    pub(super) last_reason: Option<CloseReason>,
    /// Whether records are exchanged over its link.
    pub(super) trusted: bool,
}

/// What is to be done with a link whose peer has just proved who it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// A new peer: welcome.
    Admit,
    /// The link takes the place of `old`: both sides dialled at once, or the peer came back while its old link seemed alive.
    Replace { old: LinkId, came_back: bool },
    /// Not this link.
    Refuse(CloseReason),
}

/// Every link and every peer of one node.
#[derive(Debug, Default)]
pub(super) struct Peers {
    links: BTreeMap<LinkId, Link>,
    /// Boxed: the nodes of the tree are half to wholly full, and a thousand of those who are gone would take now so much, now double.
    peers: BTreeMap<PeerId, Box<Peer>>,
    gone: BTreeSet<(Time, PeerId)>,
    connected: usize,
}

impl Peers {
    /// Peers met, connected or gone.
    pub(super) fn known(&self) -> usize {
        self.peers.len()
    }

    /// Peers connected now.
    pub(super) fn connected(&self) -> usize {
        self.connected
    }

    pub(super) fn link(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link)
    }

    pub(super) fn peer(&self, peer: &PeerId) -> Option<&Peer> {
        self.peers.get(peer).map(Box::as_ref)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.peers.iter().map(|(id, peer)| (id, peer.as_ref()))
    }

    /// The peer behind an authenticated link.
    pub(super) fn peer_of(&self, link: LinkId) -> Option<PeerId> {
        match self.links.get(&link)?.state {
            LinkState::Connected { peer, .. } => Some(peer),
            LinkState::Connecting | LinkState::Handshaking => None,
        }
    }

    /// The link a peer is connected by.
    pub(super) fn link_of(&self, peer: &PeerId) -> Option<LinkId> {
        self.peers.get(peer)?.link
    }

    /// A new connection: one being dialled, or one accepted.
    pub(super) fn open(&mut self, now: Time, link: LinkId, (endpoint, direction): (Endpoint, Direction), expected: Option<PeerId>) {
        let state = match direction {
            Direction::Outbound => LinkState::Connecting,
            Direction::Inbound => LinkState::Handshaking,
        };
        self.links.insert(link, Link { endpoint, direction, state, stage: HandshakeStage::None, since: now, expected });
    }

    /// A dialled connection is open. `false` if there is no such dial.
    pub(super) fn handshaking(&mut self, now: Time, link: LinkId) -> bool {
        match self.links.get_mut(&link) {
            Some(entry) if entry.state == LinkState::Connecting => {
                (entry.state, entry.since) = (LinkState::Handshaking, now);
                // A dialler has its Hello ready before the connection is open.
                entry.stage = HandshakeStage::HelloSent;
                true
            }
            _ => false,
        }
    }

    /// A handshake has come so far.
    pub(super) fn reached_stage(&mut self, link: LinkId, stage: HandshakeStage) {
        if let Some(entry) = self.links.get_mut(&link).filter(|entry| entry.state == LinkState::Handshaking) {
            entry.stage = stage;
        }
    }

    /// Accepted connections whose Hello has passed and whose peer is not authenticated yet.
    pub(super) fn greeted(&self) -> impl Iterator<Item = &Link> {
        let greeted = |link: &&Link| link.state == LinkState::Handshaking && link.stage != HandshakeStage::None;
        self.links.values().filter(|link| link.direction == Direction::Inbound).filter(greeted)
    }

    /// Who may stay: never ourselves, one link per peer, at most `max_peers` peers.
    ///
    /// A second link in the same direction stays: the peer would not have opened it if it still had the first. With opposite
    /// directions both sides dialled at once, and both keep the link dialled by the greater id, unless the first link has
    /// stood for longer than two dials can overlap: then the peer came back, and the newer link stays.
    pub(super) fn verdict(&self, settings: &MeshSettings, link: LinkId, peer: &PeerId, now: Time) -> Verdict {
        if *peer == settings.local {
            return Verdict::Refuse(CloseReason::SelfConnect);
        }
        let new_direction = self.links.get(&link).map(|l| l.direction);
        let Some((old, entry)) = self.link_of(peer).and_then(|old| Some((old, self.links.get(&old)?))) else {
            let full = self.connected >= settings.max_peers;
            return if full { Verdict::Refuse(CloseReason::MaxPeers) } else { Verdict::Admit };
        };
        let LinkState::Connected { since, .. } = entry.state else { return Verdict::Admit };
        if new_direction == Some(entry.direction) || now.since(since) > overlap(settings) {
            return Verdict::Replace { old, came_back: true };
        }
        let dialled_here = new_direction == Some(Direction::Outbound);
        if dialled_here == (settings.local > *peer) {
            Verdict::Replace { old, came_back: false }
        } else {
            Verdict::Refuse(CloseReason::Duplicate)
        }
    }

    /// The peer of a link is admitted; from now on it is the peer's link.
    pub(super) fn admit(&mut self, link: LinkId, info: PeerInfo, trusted: bool, now: Time) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        (entry.state, entry.stage) = (LinkState::Connected { peer: info.id, since: now }, HandshakeStage::Finished);
        let (endpoint, direction) = (entry.endpoint.clone(), entry.direction);
        let PeerInfo { id, node_id, capabilities, formerly } = info;
        let known = self.peers.get(&id);
        let last_reason = known.and_then(|peer| peer.last_reason.clone());
        let since = known.filter(|peer| peer.link.is_some()).map_or(now, |peer| peer.since);
        let link = Some(link);
        let peer = Peer { node_id, capabilities, formerly, endpoint, direction, link, last_seen: now, since, last_reason, trusted };
        let before = self.peers.insert(id, Box::new(peer));
        if let Some(gone) = before.as_ref().filter(|before| before.link.is_none()) {
            self.gone.remove(&(gone.last_seen, id));
        }
        if before.is_none_or(|before| before.link.is_none()) {
            self.connected += 1;
        }
    }

    /// The peer of an admitted link is trusted from now on.
    pub(super) fn trust(&mut self, peer: &PeerId) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.trusted = true;
        }
    }

    /// Forgets a link. Its peer, if this was its link, is gone and stays listed.
    pub(super) fn remove(&mut self, link: LinkId, last_seen: Time) -> Option<Link> {
        let entry = self.links.remove(&link)?;
        match entry.state {
            LinkState::Connecting | LinkState::Handshaking => {}
            LinkState::Connected { peer: id, .. } => {
                if let Some(peer) = self.peers.get_mut(&id).filter(|p| p.link == Some(link)) {
                    peer.link = None;
                    peer.last_seen = last_seen;
                    self.connected -= 1;
                    self.gone.insert((last_seen, id));
                    self.forget_oldest();
                }
            }
        }
        Some(entry)
    }

    /// A peer has lost its link for good, for this reason.
    pub(super) fn ended(&mut self, now: Time, peer: &PeerId, reason: CloseReason) {
        if let Some(peer) = self.peers.get_mut(peer) {
            (peer.since, peer.last_reason) = (now, Some(reason));
        }
    }

    fn forget_oldest(&mut self) {
        if self.gone.len() > limits::GONE_PEERS_MAX
            && let Some((_, id)) = self.gone.pop_first()
        {
            self.peers.remove(&id);
        }
    }
}

/// The longest time by which one of two simultaneous dials can be authenticated after the other.
fn overlap(settings: &MeshSettings) -> Duration {
    limits::DIAL_TIMEOUT + settings.handshake_timeout
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: PeerId = PeerId([5; 32]);
    const LESSER: PeerId = PeerId([1; 32]);
    const GREATER: PeerId = PeerId([9; 32]);

    fn settings() -> MeshSettings {
        let mut settings = MeshSettings::from_config(&crate::base::Config::new("n"), LOCAL);
        settings.max_peers = 1;
        settings
    }

    fn info(id: PeerId) -> PeerInfo {
        PeerInfo { id, node_id: "peer".into(), capabilities: Vec::new(), formerly: Vec::new() }
    }

    /// Peers with link 1 connected to `first` in one direction and link 2 in the handshake in the other.
    fn two_links(first: PeerId, one: Direction, two: Direction) -> Peers {
        let mut peers = Peers::default();
        peers.open(Time::ZERO, LinkId(1), (Endpoint::tcp("h", 1), one), None);
        peers.admit(LinkId(1), info(first), true, Time::ZERO);
        peers.open(Time::ZERO, LinkId(2), (Endpoint::tcp("h", 2), two), None);
        peers
    }

    #[test]
    fn this_node_itself_is_refused_before_anything_else() {
        let peers = two_links(GREATER, Direction::Inbound, Direction::Inbound);
        assert_eq!(peers.verdict(&settings(), LinkId(2), &LOCAL, Time::ZERO), Verdict::Refuse(CloseReason::SelfConnect));
    }

    #[test]
    fn a_peer_over_the_limit_is_refused_but_a_connected_one_may_replace_its_link() {
        let peers = two_links(GREATER, Direction::Inbound, Direction::Inbound);
        assert_eq!(peers.verdict(&settings(), LinkId(2), &LESSER, Time::ZERO), Verdict::Refuse(CloseReason::MaxPeers));
        let again = peers.verdict(&settings(), LinkId(2), &GREATER, Time::ZERO);
        assert_eq!(again, Verdict::Replace { old: LinkId(1), came_back: true });
    }

    #[test]
    fn of_two_simultaneous_dials_the_one_by_the_greater_id_stays() {
        use Direction::{Inbound, Outbound};
        let replace = Verdict::Replace { old: LinkId(1), came_back: false };
        let refuse = Verdict::Refuse(CloseReason::Duplicate);
        for (peer, one, two, expected) in [
            (GREATER, Outbound, Inbound, &replace),
            (GREATER, Inbound, Outbound, &refuse),
            (LESSER, Outbound, Inbound, &refuse),
            (LESSER, Inbound, Outbound, &replace),
        ] {
            let peers = two_links(peer, one, two);
            assert_eq!(peers.verdict(&settings(), LinkId(2), &peer, Time::from_millis(10_000)), *expected);
        }
    }

    #[test]
    fn a_link_older_than_any_dial_gives_way_to_a_peer_that_came_back() {
        let peers = two_links(LESSER, Direction::Outbound, Direction::Inbound);
        let late = peers.verdict(&settings(), LinkId(2), &LESSER, Time::from_millis(10_001));
        assert_eq!(late, Verdict::Replace { old: LinkId(1), came_back: true });
    }

    #[test]
    fn peers_that_are_gone_stay_listed_up_to_a_cap() {
        let mut peers = Peers::default();
        for n in 0..limits::GONE_PEERS_MAX as u64 + 7 {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            peers.open(Time(n), LinkId(n), (Endpoint::tcp("h", 1), Direction::Inbound), None);
            peers.admit(LinkId(n), info(PeerId(id)), true, Time(n));
            peers.remove(LinkId(n), Time(n));
        }
        assert_eq!((peers.known(), peers.connected()), (limits::GONE_PEERS_MAX, 0));
    }
}
