//! Who may come in and with whom records are exchanged: asked at admission, and of every link again when the table changes.
//!
//! Never writes a key down: a carrier pins before it tells that a peer is authenticated, so that no peer is ever met before its pin
//! is durable.

use std::sync::Arc;

use crate::base::close::Distrust;
use crate::base::trust::Standing;
use crate::base::{CloseReason, Direction, Endpoint, Event, LinkId, PeerId, Time, TrustTable};
use crate::mesh::Mesh;
use crate::mesh::io::PeerInfo;

impl Mesh {
    /// Whether a peer that proved its key may come in, and whether it is trusted. This node itself is refused by another rule.
    pub(super) fn standing(&self, info: &PeerInfo, expected: Option<PeerId>) -> Result<bool, CloseReason> {
        if info.id == self.settings.local {
            return Ok(false);
        }
        let standing = self.settings.trust.judge(info, expected)?;
        if standing.pin {
            return Err(CloseReason::Untrusted(Distrust::Unpinned { peer: info.id }));
        }
        Ok(standing.trusted)
    }

    /// A new table: every connected peer is judged again. Who lost trust is closed, also where strangers may stay (the exchange of
    /// records ends with the link only); with who gained it the exchange begins.
    pub(super) fn trust(&mut self, now: Time, table: Arc<TrustTable>) {
        if table.generation() < self.settings.trust.generation() {
            return;
        }
        self.settings.trust = table;
        let connected: Vec<_> = self.peers.iter().filter_map(|(id, peer)| Some((*id, peer.link?))).collect();
        for (id, link) in connected {
            let (Some(peer), Some(entry)) = (self.peers.peer(&id), self.peers.link(link)) else { continue };
            let (was_trusted, node_id, expected) = (peer.trusted, peer.node_id.clone(), entry.expected);
            let info = PeerInfo { id, node_id: node_id.clone(), capabilities: Vec::new(), formerly: peer.formerly.clone() };
            let table = &self.settings.trust;
            // A listed key that is to move or be renamed was let in once and stays; that is done when it comes again.
            let listed = |s: &Standing| !s.pin || s.moved_from.is_some() || table.trusts(&id);
            match table.judge(&info, expected).map(|standing| standing.trusted && listed(&standing)) {
                Err(reason) => self.close(now, link, reason),
                Ok(trusted) if trusted == was_trusted => {}
                Ok(_) if was_trusted => self.close(now, link, CloseReason::Untrusted(Distrust::Withdrawn { peer: id })),
                Ok(_) => {
                    self.peers.trust(&id);
                    self.out.event(Event::TrustChanged { peer: id, node_id, trusted: true });
                    self.replica.begin_trust(now, link, &mut self.out);
                    self.introduce(now, link);
                    self.link_came(now);
                }
            }
        }
    }

    /// A dial names a key: whoever else answered at that endpoint before, or is being asked now, is left. A person's dial that takes any
    /// key's answer does not wait for one that a rumour named.
    pub(super) fn leave_others(&mut self, now: Time, endpoint: &Endpoint, expected: Option<PeerId>, manual: bool) {
        let link = self.dialer.targets().find(|seen| *seen.endpoint == *endpoint).and_then(|seen| seen.link);
        if let (None, true, Some(link)) = (expected, manual && self.dialer.is_rumour(endpoint), link)
            && self.peers.peer_of(link).is_none()
        {
            self.dialer.call_off(now, endpoint);
            return self.close(now, link, CloseReason::Disconnected);
        }
        let (Some(wanted), Some(link)) = (expected, link) else { return };
        match self.peers.peer_of(link) {
            Some(got) if wanted != got => self.close(now, link, CloseReason::Untrusted(Distrust::Unexpected { wanted, got })),
            Some(_) => {}
            // A dial that would take any key's answer is no dial for this one.
            None if self.dialer.expected(endpoint) != expected => {
                self.dialer.call_off(now, endpoint);
                self.close(now, link, CloseReason::Disconnected);
            }
            None => {}
        }
    }

    /// The peer of a link holds off.
    pub(super) fn declined(&mut self, link: LinkId) {
        if let Some(peer) = self.peers.peer_of(link) {
            let node_id = self.peers.peer(&peer).map(|p| p.node_id.clone()).unwrap_or_default();
            self.out.event(Event::SyncDeclined { peer, node_id });
        }
    }

    /// A handshake ended because a name has another key than before: worth an event of its own.
    pub(super) fn tell_of_change(&mut self, endpoint: &Endpoint, direction: Direction, reason: &CloseReason) {
        if let CloseReason::Untrusted(Distrust::Changed { node_id, pinned, got }) = reason {
            let (node_id, endpoint) = (node_id.clone(), endpoint.clone());
            self.out.event(Event::IdentityChanged { peer: *got, node_id, former: *pinned, endpoint, direction });
        }
    }
}
