//! Whose key this node trusts, as its application says. Decides nothing: the table judges, the file remembers.

use std::sync::Arc;

use crate::base::{Endpoint, Event, PeerId, Result, TrustEntry, TrustPolicy, TrustState, TrustTable};
use crate::driver::ring::Item;
use crate::mesh::io::Input;

use super::Node;

impl Node {
    /// [`Node::connect`] that takes no other answer than from `peer`. This node's own identity is shown to nobody else. Under the
    /// policy `pinned` that is enough to trust the peer on this link.
    pub fn connect_to(&self, endpoint: Endpoint, peer: PeerId) -> Result<()> {
        self.dial(endpoint, Some(peer))
    }

    /// The policy in force: the configured one, or its default.
    pub fn trust_policy(&self) -> TrustPolicy {
        self.inner.config.trust_policy()
    }

    /// Trusts a key from now on, also one that was revoked. The label is for people; under the policy `tofu` no other key may come
    /// with it as its node_id. An empty one leaves the label as it is. Blocks until that is durable, as the two below; all work
    /// whether the node runs or not and take effect on standing links at once.
    pub fn trust(&self, peer: PeerId, label: &str) -> Result<()> {
        let label = Some(label).filter(|label| !label.is_empty());
        self.inner.keeper.set(peer, TrustState::Trusted, label).map(|table| self.spread(table))
    }

    /// Refuses a key for good under every policy, and its proven successors unless they are trusted by [`Node::trust`].
    pub fn revoke(&self, peer: PeerId) -> Result<()> {
        self.inner.keeper.set(peer, TrustState::Revoked, None).map(|table| self.spread(table))
    }

    /// Forgets a key, as if it had never been met. Whether it was listed.
    pub fn forget(&self, peer: PeerId) -> Result<bool> {
        let table = self.inner.keeper.forget(peer)?;
        Ok(table.map(|table| self.spread(table)).is_some())
    }

    /// Every key that is trusted, pinned or revoked, in the order of the keys.
    pub fn trusted(&self) -> Vec<TrustEntry> {
        self.inner.keeper.entries()
    }

    /// Reads `known_peers` again after somebody has edited it. Lines that cannot be used are reported by
    /// [`Event::KnownPeersFaulty`] events and left out; a file that cannot be read changes nothing.
    pub fn reload_trust(&self) -> Result<()> {
        let (table, faults) = self.inner.keeper.reload()?;
        self.spread(table);
        for fault in faults {
            self.tell(fault);
        }
        Ok(())
    }

    fn spread(&self, table: Arc<TrustTable>) {
        // A node that does not run takes the table along when it starts.
        if let Ok(shell) = self.shell() {
            shell.step(Input::Trust { table });
        }
    }

    fn tell(&self, event: Event) {
        match self.shell() {
            Ok(shell) => shell.emit(event),
            Err(_) => self.inner.ring.push(Item::Event(event)),
        }
    }
}
