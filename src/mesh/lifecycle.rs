//! The life of a link, from dial or accept to its end. Every link ends through `gone`.
//!
//! Never looks into messages, and leaves every rule to the table that owns it: peers, dialer, heartbeat, replica.

use crate::base::endpoint::Source;
use crate::base::{CloseReason, Direction, Endpoint, Event, LinkId, PeerId, Time, limits};
use crate::mesh::Mesh;
use crate::mesh::dialer::{Answer, Sign};
use crate::mesh::io::PeerInfo;
use crate::mesh::peers::{Link, LinkState, Verdict};
use crate::wire::Message;

impl Mesh {
    /// Opens what the dialer has due.
    pub(super) fn dial_due(&mut self, now: Time) {
        while let Some(endpoint) = self.dialer.due(now, &self.peers, &mut self.out) {
            let link = self.next_link();
            self.dialer.opened(now, &endpoint, link);
            let expected = self.dialer.expected(&endpoint);
            self.peers.open(now, link, (endpoint.clone(), Direction::Outbound), expected);
            self.heartbeat.expect(link, now + limits::DIAL_TIMEOUT);
            self.out.dial(link, endpoint, expected);
        }
    }

    pub(super) fn accepted(&mut self, now: Time, link: LinkId, endpoint: Endpoint, source: Source) {
        self.make_room(now, link, source);
        self.handshakes.started += 1;
        self.peers.open(now, link, (endpoint, Direction::Inbound), None);
        self.heartbeat.expect(link, now + self.settings.handshake_timeout);
    }

    pub(super) fn dialled(&mut self, now: Time, link: LinkId) {
        if self.peers.handshaking(now, link) {
            self.handshakes.started += 1;
            self.heartbeat.expect(link, now + self.settings.handshake_timeout);
            for slower in self.dialer.connected(now, link) {
                self.close(now, slower, CloseReason::Duplicate);
            }
        }
    }

    pub(super) fn authenticated(&mut self, now: Time, link: LinkId, info: PeerInfo) {
        self.dialled(now, link);
        let Some(entry) = self.peers.link(link).filter(|l| l.state == LinkState::Handshaking).cloned() else { return };
        self.half_open.forget(link);
        let trusted = match self.standing(&info, entry.expected) {
            Ok(trusted) => trusted,
            Err(reason) => return self.close(now, link, reason),
        };
        let standing = self.peers.link_of(&info.id);
        let mut verdict = self.peers.verdict(&self.settings, link, &info.id, now);
        // Its former try had the standing link asked, which has not answered: it would not come again if it had that.
        if let (Verdict::Refuse(CloseReason::Duplicate), Some(old)) = (&verdict, standing)
            && self.heartbeat.is_mute(now, old)
        {
            verdict = Verdict::Replace { old, came_back: true };
        }
        match verdict {
            Verdict::Admit => self.admit(now, link, &entry, (info, trusted), None),
            Verdict::Replace { old, came_back } => self.admit(now, link, &entry, (info, trusted), Some((old, came_back))),
            Verdict::Refuse(CloseReason::Duplicate) => {
                // The handshake itself went well; what this node dialled leads to a peer it has.
                self.handshakes.completed += 1;
                self.dialer.reached(&entry.endpoint, link, info.id);
                self.hand_over_refused(link, info.id);
                // It would not have opened this one if it knew of the other, unless both were opened at once.
                if let Some(standing) = standing {
                    self.heartbeat.doubt(now, standing, &mut self.out);
                }
                self.out.close(link, CloseReason::Duplicate);
                self.heartbeat.forget(link);
                self.peers.remove(link, now);
                self.dialer.lost(now, &entry.endpoint, link, &CloseReason::Duplicate, limits::BACKOFF_AUTOMATIC.0);
            }
            Verdict::Refuse(reason) => self.close(now, link, reason),
        }
    }

    fn admit(&mut self, now: Time, link: LinkId, entry: &Link, (info, trusted): (PeerInfo, bool), replaced: Option<(LinkId, bool)>) {
        let id = info.id;
        self.handshakes.completed += 1;
        self.dialer.reached(&entry.endpoint, link, id);
        if let Some((old, true)) = replaced {
            self.close(now, old, CloseReason::Duplicate);
        }
        let node_id = info.node_id.clone();
        let was_connected = self.peers.link_of(&id).is_some();
        self.peers.admit(link, info, trusted, now);
        self.heartbeat.alive(now, link);
        self.rekey.opened(now, link, entry.direction);
        if entry.direction == Direction::Inbound {
            self.out.send(link, Message::Welcome);
        }
        self.replica.open(link, id, trusted, &mut self.out);
        self.out.route(id, Some(link));
        if let Some((old, false)) = replaced {
            self.close(now, old, CloseReason::Duplicate);
        }
        if !was_connected {
            let (endpoint, direction, connected) = (entry.endpoint.clone(), entry.direction, self.peers.connected());
            self.out.event(Event::PeerConnected { peer: id, node_id, endpoint, direction, connected, trusted });
        }
        if trusted {
            self.introduce(now, link);
        }
        self.link_came(now);
    }

    /// Tells which peers are silent although they were asked.
    pub(super) fn tell_silent(&mut self, now: Time) {
        for link in self.heartbeat.take_silent() {
            let heard = self.heartbeat.last_heard(link);
            let known = self.peers.peer_of(link).and_then(|id| Some((id, self.peers.peer(&id)?.node_id.clone())));
            if let (Some((peer, node_id)), Some(heard)) = (known, heard) {
                self.out.event(Event::PeerStale { peer, node_id, silent_ms: now.since(heard).as_millis() as u64 });
            }
        }
    }

    /// The application wants no link to `peer`, and no redial.
    pub(super) fn disconnect(&mut self, now: Time, peer: PeerId) {
        let dialling = self.dialer.disconnect(&peer);
        for link in dialling.into_iter().chain(self.peers.link_of(&peer)) {
            self.close(now, link, CloseReason::Disconnected);
        }
    }

    /// The application wants no redial of `endpoint`.
    pub(super) fn forget_endpoint(&mut self, now: Time, endpoint: &Endpoint) {
        if let Some(link) = self.dialer.forget_endpoint(endpoint) {
            self.close(now, link, CloseReason::Disconnected);
        }
    }

    /// Somebody announces itself: what waits for it, or may have been lost with it, is seen to.
    pub(super) fn announced(&mut self, now: Time, endpoint: &Endpoint, sign: Sign) {
        match self.dialer.heard(now, endpoint, sign, &self.peers, &mut self.out) {
            Answer::Nothing => {}
            Answer::CallOff(link) => self.close(now, link, CloseReason::Duplicate),
            Answer::Ask(peer) => {
                if let Some(link) = self.peers.link_of(&peer) {
                    self.heartbeat.ask_in_turn(now, link, &mut self.out);
                }
            }
        }
    }

    /// Nothing that was learnt from the network before counts any more, good or bad.
    pub(super) fn network_changed(&mut self, now: Time) {
        self.heartbeat.probe(now, &mut self.out);
        for link in self.dialer.network_changed(now) {
            self.close(now, link, CloseReason::Disconnected);
        }
    }

    /// Ends a link from this side.
    pub(super) fn close(&mut self, now: Time, link: LinkId, reason: CloseReason) {
        if self.peers.link(link).is_some() {
            self.hand_over(link, &reason);
            self.out.close(link, reason.clone());
            self.gone(now, link, reason);
        }
    }

    /// A link has ended, from whichever side; a second time it is nobody's.
    pub(super) fn gone(&mut self, now: Time, link: LinkId, reason: CloseReason) {
        let last_heard = self.heartbeat.last_heard(link).unwrap_or(now);
        let Some(Link { endpoint, direction, state, .. }) = self.peers.remove(link, last_heard) else { return };
        self.heartbeat.forget(link);
        self.half_open.forget(link);
        self.rekey.closed(link);
        if state == LinkState::Handshaking {
            self.handshakes.failed += 1;
            self.tell_of_change(&endpoint, direction, &reason);
            if reason != CloseReason::Duplicate && (direction == Direction::Outbound || self.half_open.may_tell(now)) {
                self.out.event(Event::HandshakeFailed { endpoint: endpoint.clone(), direction, reason: reason.clone() });
            }
        }
        let LinkState::Connected { peer, since } = state else {
            self.doubt(now, &endpoint, &reason);
            self.dialer.failed(now, endpoint, link, reason, &mut self.out);
            return;
        };
        self.replica.close(link);
        self.dialer.lost(now, &endpoint, link, &reason, now.since(since));
        if self.peers.link_of(&peer).is_none() {
            let node_id = self.peers.peer(&peer).map(|p| p.node_id.clone()).unwrap_or_default();
            self.peers.ended(now, &peer, reason.clone());
            self.flush_parked(peer);
            self.dialer.peer_gone(now, &peer);
            self.unlearn(&peer);
            self.out.route(peer, None);
            let connected = self.peers.connected();
            self.out.event(Event::PeerDisconnected { peer, node_id, endpoint, direction, reason, connected });
        }
    }
}
