//! Asking neighbours where operations lie, and answering. Trusted peers only; never knows what an operation is.

use crate::base::{Event, LinkId, LogRange, PeerId, limits};
use crate::mesh::Mesh;
use crate::wire::Message;
use crate::wire::message::{OutboxHeld, OutboxPull};

impl Mesh {
    /// The application asks a connected peer.
    pub(super) fn pull_outbox(&mut self, peer: &PeerId, target: PeerId, max_items: u32) {
        if let Some(link) = self.peers.link_of(peer) {
            let max_items = max_items.clamp(1, limits::OUTBOX_PULL_MAX as u32);
            self.out.send(link, Message::OutboxPull(OutboxPull { target, max_items }));
        }
    }

    /// A peer asks. One question of a link is answered at a time; those meanwhile are let drop.
    pub(super) fn outbox_pulled(&mut self, link: LinkId, pull: &OutboxPull) {
        self.pulls.retain(|link| self.peers.peer_of(*link).is_some());
        let Some(peer) = self.trusted_on(link) else { return };
        if self.pulls.insert(link) {
            let max_items = pull.max_items.min(limits::OUTBOX_PULL_MAX as u32);
            self.out.event(Event::OutboxPulled { peer, target: pull.target, max_items });
        }
    }

    /// The answer for a peer that asked.
    pub(super) fn tell_held(&mut self, peer: &PeerId, target: PeerId, mut ranges: Vec<LogRange>) {
        let Some(link) = self.peers.link_of(peer).filter(|link| self.pulls.contains(link)) else { return };
        self.pulls.remove(&link);
        ranges.truncate(limits::OUTBOX_PULL_MAX);
        self.out.send(link, Message::OutboxHeld(OutboxHeld { target, ranges }));
    }

    /// A peer answers.
    pub(super) fn outbox_held(&mut self, link: LinkId, held: OutboxHeld) {
        if let Some(peer) = self.trusted_on(link) {
            self.out.event(Event::OutboxHeld { peer, target: held.target, ranges: held.ranges });
        }
    }

    fn trusted_on(&self, link: LinkId) -> Option<PeerId> {
        self.peers.peer_of(link).filter(|id| self.peers.peer(id).is_some_and(|peer| peer.trusted))
    }
}
