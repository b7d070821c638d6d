//! Links that gave way to another link of the same peer: what the peer had sent by them still counts.
//!
//! The peer learns of the change a moment later, and all that its application queued until then travels by the old link. The carrier
//! reads that link on to the peer's goodbye (`Output::Close`); what comes by the new one meanwhile waits, so that messages keep their
//! order. Never holds more than `HANDOVER_PARKED_MAX_BYTES` of a peer: past that, order is given up and no message.

use std::collections::BTreeMap;

use crate::base::{CloseReason, DataBatch, Event, LinkId, PeerId, limits};
use crate::mesh::Mesh;
use crate::mesh::peers::LinkState;
use crate::wire::Inbound;

#[derive(Debug, Default)]
struct Parked {
    /// Links of the peer that are still read to their end.
    leaving: usize,
    batches: Vec<DataBatch>,
    bytes: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Handover {
    leaving: BTreeMap<LinkId, PeerId>,
    parked: BTreeMap<PeerId, Parked>,
}

impl Handover {
    fn begin(&mut self, link: LinkId, peer: PeerId) {
        if self.leaving.len() < limits::LEAVING_LINKS_MAX && self.leaving.insert(link, peer).is_none() {
            self.parked.entry(peer).or_default().leaving += 1;
        }
    }

    /// Nothing comes by that link any more; whose it was and what waited for it.
    fn end(&mut self, link: LinkId) -> Option<(PeerId, Vec<DataBatch>)> {
        let peer = self.leaving.remove(&link)?;
        let parked = self.parked.get_mut(&peer)?;
        parked.leaving -= 1;
        if parked.leaving > 0 {
            return None;
        }
        self.parked.remove(&peer).map(|parked| (peer, parked.batches))
    }

    /// What came by a peer's present link; what of it, and of what waits, is to be told now.
    fn arrived(&mut self, peer: PeerId, batch: DataBatch) -> Vec<DataBatch> {
        let Some(parked) = self.parked.get_mut(&peer) else { return vec![batch] };
        parked.bytes += batch.bytes() + limits::EVENT_DATA_OVERHEAD_BYTES;
        parked.batches.push(batch);
        if parked.bytes > limits::HANDOVER_PARKED_MAX_BYTES { self.flush(&peer) } else { Vec::new() }
    }

    fn flush(&mut self, peer: &PeerId) -> Vec<DataBatch> {
        self.parked.get_mut(peer).map(|parked| (parked.bytes = 0, std::mem::take(&mut parked.batches)).1).unwrap_or_default()
    }
}

impl Mesh {
    /// A link is about to be closed from this side.
    pub(super) fn hand_over(&mut self, link: LinkId, reason: &CloseReason) {
        if *reason == CloseReason::Duplicate
            && let Some(LinkState::Connected { peer, .. }) = self.peers.link(link).map(|entry| entry.state)
        {
            self.handover.begin(link, peer);
        }
    }

    /// A link that was dialled here is refused although its peer has let this node in: the peer may have spoken.
    pub(super) fn hand_over_refused(&mut self, link: LinkId, peer: PeerId) {
        self.handover.begin(link, peer);
    }

    /// Nothing more comes by a link.
    pub(super) fn handed_over(&mut self, link: LinkId) {
        if let Some((peer, batches)) = self.handover.end(link) {
            self.tell_data(peer, batches);
        }
    }

    /// A peer has no link any more: what waited is told before that.
    pub(super) fn flush_parked(&mut self, peer: PeerId) {
        let batches = self.handover.flush(&peer);
        self.tell_data(peer, batches);
    }

    /// Application messages by a peer's link.
    pub(super) fn data(&mut self, peer: PeerId, batch: DataBatch) {
        let batches = self.handover.arrived(peer, batch);
        self.tell_data(peer, batches);
    }

    /// Something by a link that is no peer's: only application messages of one that gave way count, while the peer is there.
    pub(super) fn late(&mut self, link: LinkId, item: Inbound) {
        if let (Inbound::Data(batch), Some(peer)) = (item, self.handover.leaving.get(&link).copied())
            && self.peers.link_of(&peer).is_some()
        {
            self.out.event(Event::Data { peer, batch });
        }
    }

    fn tell_data(&mut self, peer: PeerId, batches: Vec<DataBatch>) {
        for batch in batches {
            self.out.event(Event::Data { peer, batch });
        }
    }
}
