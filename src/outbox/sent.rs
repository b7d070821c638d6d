//! The sender's side: what became of the operations this node put. Done only when the target's own receipt says so.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{LogId, PeerId};
use crate::outbox::record::{OpId, Outcome, Receipt, Target};
use crate::outbox::{OpView, Side, State};

#[derive(Debug)]
struct Op {
    target: Target,
    kind: String,
    key: Vec<u8>,
    receipts: BTreeMap<PeerId, Receipt>,
}

/// Operations this node put and has not settled.
#[derive(Debug, Default)]
pub(super) struct Sent {
    ops: BTreeMap<OpId, Op>,
    /// How far peers have this node's logs on their disks.
    held: BTreeMap<(PeerId, LogId), u64>,
}

impl Sent {
    pub(super) fn len(&self) -> usize {
        self.ops.len()
    }

    pub(super) fn has(&self, id: &OpId) -> bool {
        self.ops.contains_key(id)
    }

    pub(super) fn put(&mut self, id: OpId, target: Target, kind: String, key: Vec<u8>) {
        self.ops.entry(id).or_insert(Op { target, kind, key, receipts: BTreeMap::new() });
    }

    /// A receipt was read in a peer's log. The first one counts.
    pub(super) fn receipt(&mut self, from: PeerId, receipt: Receipt) {
        if let Some(op) = self.ops.get_mut(&receipt.op).filter(|op| matches!(op.target, Target::All) || op.target == Target::Peer(from)) {
            op.receipts.entry(from).or_insert(receipt);
        }
    }

    /// A peer has a log of this node on its disk up to there.
    pub(super) fn held(&mut self, peer: PeerId, log: LogId, durable: u64) {
        let at = self.held.entry((peer, log)).or_default();
        *at = durable.max(*at);
    }

    pub(super) fn settled(&mut self, id: &OpId) {
        self.ops.remove(id);
    }

    /// What is finished: for one target when it said so, for all when everybody known has.
    pub(super) fn finished(&self, everybody: &BTreeSet<PeerId>) -> Vec<OpId> {
        let is_over = |(_, op): &(&OpId, &Op)| matches!(self.state(op, None, everybody), State::Done | State::PermanentFailed);
        self.ops.iter().filter(is_over).map(|(id, _)| *id).collect()
    }

    /// Where an operation stands; `None` if it was not put here, or is settled.
    pub(super) fn stands(&self, id: &OpId, everybody: &BTreeSet<PeerId>) -> Option<State> {
        self.ops.get(id).map(|op| self.state(op, Some(id), everybody))
    }

    fn state(&self, op: &Op, id: Option<&OpId>, everybody: &BTreeSet<PeerId>) -> State {
        let has = |peer: &PeerId| id.is_some_and(|id| self.held.get(&(*peer, id.log)).is_some_and(|durable| *durable >= id.seq));
        match op.target {
            Target::Peer(peer) => match op.receipts.get(&peer) {
                Some(receipt) => State::from(receipt.outcome),
                None if has(&peer) => State::InFlight,
                None => State::Pending,
            },
            Target::All if !everybody.is_empty() && everybody.iter().all(|peer| op.receipts.contains_key(peer)) => {
                let failed = op.receipts.values().any(|receipt| receipt.outcome == Outcome::Failed);
                if failed { State::PermanentFailed } else { State::Done }
            }
            Target::All if !op.receipts.is_empty() || everybody.iter().any(has) => State::InFlight,
            Target::All => State::Pending,
        }
    }

    pub(super) fn list(&self, everybody: &BTreeSet<PeerId>) -> Vec<OpView> {
        let view = |(id, op): (&OpId, &Op)| {
            let last = op.receipts.values().max_by_key(|receipt| (receipt.outcome == Outcome::Failed, receipt.attempts));
            let (attempts, detail) = last.map_or((0, String::new()), |receipt| (receipt.attempts, receipt.detail.clone()));
            let (state, kind, key) = (self.state(op, Some(id), everybody), op.kind.clone(), op.key.clone());
            OpView { id: *id, side: Side::Sent, target: op.target, kind, key, state, attempts, detail }
        };
        self.ops.iter().map(view).collect()
    }
}
