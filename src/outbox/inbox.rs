//! The target's side: operations for this node, each executed once for each idempotency key, with retries and claims.
//!
//! ```text
//!   put ──► Ready ──claim──► InFlight ──done──► Writing ──receipt durable──► gone
//!            ▲  key known: ─────────────────────► ▲
//!            └── fails, may be tried again ──┘    └── fails for good
//! ```
//!
//! Never executes anything, never writes: it says which receipts are to be written. An operation is gone only when its receipt is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::base::{PeerId, Time};
use crate::outbox::record::{OpId, Outcome, Receipt, Target, cut};
use crate::outbox::retry::RetryPolicy;
use crate::outbox::{OpView, Refusal, Side, State};

/// What makes an operation the same as another: who wants it, and its key.
type Key = (PeerId, Vec<u8>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Stage {
    Ready { attempts: u32, not_before: Time },
    InFlight { attempts: u32, until: Time },
    Writing(Receipt),
}

#[derive(Debug)]
struct Item {
    target: Target,
    kind: String,
    key: Vec<u8>,
    stage: Stage,
    detail: String,
}

/// An operation that was claimed: to be executed, then reported done or failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claimed {
    /// Which.
    pub id: OpId,
    /// What is to be done.
    pub kind: String,
    /// Idempotency key; empty for none.
    pub key: Vec<u8>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// Operations for this node.
#[derive(Debug)]
pub(super) struct Inbox {
    items: BTreeMap<OpId, Item>,
    /// Those that may be claimed now, but for those whose key another one holds.
    ready: BTreeSet<OpId>,
    /// Those that have a key and may be claimed, now or after a pause.
    keyed: BTreeMap<Key, BTreeSet<OpId>>,
    /// When what ends by itself does: a pause, or a claim.
    due: BTreeSet<(Time, OpId)>,
    /// Those with a receipt to be written.
    writing: BTreeSet<OpId>,
    /// Keys of operations in flight or done and not answered yet, and how many hold each: another one with the same key waits for them.
    /// There are several where one is reported done after its claim had passed to the next.
    busy: BTreeMap<Key, u32>,
    /// What was executed, for ever.
    finished: BTreeMap<Key, Outcome>,
    /// Receipts in the own log whose operation has not been read yet.
    receipted: BTreeSet<OpId>,
    /// Operations at most.
    pub(super) open_max: usize,
    /// Keys that are known for ever at most: an operation with another one fails for good, so that none is executed twice.
    pub(super) keys_max: usize,
}

impl Inbox {
    pub(super) fn new(open_max: usize, keys_max: usize) -> Inbox {
        Inbox {
            items: BTreeMap::new(),
            ready: BTreeSet::new(),
            keyed: BTreeMap::new(),
            due: BTreeSet::new(),
            writing: BTreeSet::new(),
            busy: BTreeMap::new(),
            finished: BTreeMap::new(),
            receipted: BTreeSet::new(),
            open_max,
            keys_max,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= self.open_max
    }

    /// Whether a quarter is free.
    pub(super) fn has_much_room(&self) -> bool {
        self.items.len() <= self.open_max / 4 * 3
    }

    /// Whether an operation can be offered, or offered with `much` room left: also where it takes no room.
    pub(super) fn has_room_for(&self, id: &OpId, much: bool) -> bool {
        let has_room = if much { self.items.len() < self.open_max / 4 * 3 } else { !self.is_full() };
        has_room || self.receipted.contains(id) || self.items.contains_key(id)
    }

    /// An operation for this node was read.
    pub(super) fn offered(&mut self, id: OpId, target: Target, kind: String, key: Vec<u8>) {
        if self.receipted.remove(&id) || self.items.contains_key(&id) {
            return;
        }
        let stage = match self.finished.get(&(id.log.origin, key.clone())) {
            Some(outcome) => Stage::Writing(as_before(id, &key, *outcome)),
            None => Stage::Ready { attempts: 0, not_before: Time::ZERO },
        };
        self.items.insert(id, Item { target, kind, key, stage, detail: String::new() });
        self.list_under(&id);
    }

    /// Lists an operation by the stage that it is in.
    fn list_under(&mut self, id: &OpId) {
        let Some(item) = self.items.get(id) else { return };
        match item.stage {
            Stage::Ready { not_before, .. } => {
                if not_before > Time::ZERO {
                    self.due.insert((not_before, *id));
                } else {
                    self.ready.insert(*id);
                }
                if !item.key.is_empty() {
                    self.keyed.entry((id.log.origin, item.key.clone())).or_default().insert(*id);
                }
            }
            Stage::InFlight { until, .. } => drop(self.due.insert((until, *id))),
            Stage::Writing(_) => drop(self.writing.insert(*id)),
        }
    }

    /// Takes an operation from the lists of its stage.
    fn unlist(&mut self, id: &OpId) {
        let Some(item) = self.items.get(id) else { return };
        match item.stage {
            Stage::Ready { not_before, .. } => {
                self.ready.remove(id);
                self.due.remove(&(not_before, *id));
                let key = (id.log.origin, item.key.clone());
                if let Some(ids) = self.keyed.get_mut(&key) {
                    ids.remove(id);
                    if ids.is_empty() {
                        self.keyed.remove(&key);
                    }
                }
            }
            Stage::InFlight { until, .. } => drop(self.due.remove(&(until, *id))),
            Stage::Writing(_) => drop(self.writing.remove(id)),
        }
    }

    fn set(&mut self, id: &OpId, stage: Stage) {
        self.unlist(id);
        if let Some(item) = self.items.get_mut(id) {
            item.stage = stage;
        }
        self.list_under(id);
    }

    fn remove(&mut self, id: &OpId) -> Option<Item> {
        self.unlist(id);
        self.items.remove(id)
    }

    /// A receipt of this node was read in its own log, or has just been written there. Those that wait with the same key are answered as
    /// that one was.
    pub(super) fn written(&mut self, receipt: &Receipt, was_read: bool) {
        if self.remove(&receipt.op).is_none() && !was_read {
            self.receipted.insert(receipt.op);
        }
        if receipt.is_of_key() {
            let key = (receipt.op.log.origin, receipt.key.clone());
            self.busy.remove(&key);
            let outcome = *self.finished.entry(key.clone()).or_insert(receipt.outcome);
            for id in self.keyed.get(&key).cloned().unwrap_or_default() {
                self.set(&id, Stage::Writing(as_before(id, &receipt.key, outcome)));
            }
        }
    }

    /// The sender no longer wants it. One that is being executed goes on.
    pub(super) fn withdrawn(&mut self, id: &OpId) {
        if self.items.get(id).is_some_and(|item| matches!(item.stage, Stage::Ready { .. })) {
            self.remove(id);
        }
    }

    /// Takes up to `max` operations that are due, the oldest of each log first.
    pub(super) fn claim(&mut self, now: Time, max: usize, policy: &RetryPolicy) -> Vec<Claimed> {
        let mut claimed = Vec::new();
        let mut behind = Bound::Unbounded;
        while claimed.len() < max
            && let Some(id) = self.ready.range((behind, Bound::Unbounded)).next().copied()
        {
            behind = Bound::Excluded(id);
            claimed.extend(self.claim_one(id, now, policy));
        }
        claimed
    }

    fn claim_one(&mut self, id: OpId, now: Time, policy: &RetryPolicy) -> Option<Claimed> {
        let item = self.items.get(&id)?;
        let Stage::Ready { attempts, .. } = item.stage else { return None };
        let key = (id.log.origin, item.key.clone());
        if self.busy.contains_key(&key) {
            return None;
        }
        if !item.key.is_empty() {
            if attempts == 0 && self.finished.len() >= self.keys_max {
                let detail = "the target remembers as many idempotency keys as it can".to_owned();
                self.set(&id, Stage::Writing(Receipt { op: id, key: key.1, outcome: Outcome::Failed, attempts: 0, detail }));
                return None;
            }
            self.busy.insert(key.clone(), 1);
        }
        let (kind, attempt) = (item.kind.clone(), attempts + 1);
        self.set(&id, Stage::InFlight { attempts: attempt, until: now + policy.claim_timeout });
        Some(Claimed { id, kind, key: key.1, attempt })
    }

    /// The application has executed it; also one whose claim has timed out meanwhile.
    pub(super) fn done(&mut self, id: &OpId) -> Result<(), Refusal> {
        let item = self.items.get(id).ok_or(Refusal::Unknown(*id))?;
        let (attempts, was_late) = match item.stage {
            Stage::Writing(ref receipt) if receipt.outcome == Outcome::Done => return Ok(()),
            // Its failure is on its way into the log: what was done comes too late.
            Stage::Writing(_) => return Err(Refusal::Unknown(*id)),
            Stage::Ready { attempts: 0, .. } => return Err(Refusal::NotClaimed(*id)),
            Stage::Ready { attempts, .. } => (attempts, true),
            Stage::InFlight { attempts, .. } => (attempts, false),
        };
        let key = item.key.clone();
        if was_late && !key.is_empty() {
            *self.busy.entry((id.log.origin, key.clone())).or_insert(0) += 1;
        }
        self.set(id, Stage::Writing(Receipt { op: *id, key, outcome: Outcome::Done, attempts, detail: String::new() }));
        Ok(())
    }

    /// The application could not execute it. Tried again after a pause, unless it is for good or was the last attempt.
    pub(super) fn fail(
        &mut self,
        id: &OpId,
        now: Time,
        (for_good, detail): (bool, &str),
        dice: u64,
        policy: &RetryPolicy,
    ) -> Result<(), Refusal> {
        let item = self.items.get_mut(id).ok_or(Refusal::Unknown(*id))?;
        let Stage::InFlight { attempts, .. } = item.stage else { return Err(Refusal::NotClaimed(*id)) };
        let (key, detail) = (item.key.clone(), cut(detail));
        let known = if for_good { None } else { self.finished.get(&(id.log.origin, key.clone())) };
        if let Some(outcome) = known {
            // One whose claim had passed to this one was executed after all.
            self.set(id, Stage::Writing(as_before(*id, &key, *outcome)));
            return Ok(());
        }
        if for_good || attempts >= policy.attempts_max {
            // Its key stays busy until the receipt is written: nobody else is to begin with it.
            self.set(id, Stage::Writing(Receipt { op: *id, key, outcome: Outcome::Failed, attempts, detail }));
            return Ok(());
        }
        item.detail = detail;
        self.set(id, Stage::Ready { attempts, not_before: now + policy.pause(attempts, dice) });
        self.release(&(id.log.origin, key));
        Ok(())
    }

    /// One of those that hold a key does so no longer.
    fn release(&mut self, key: &Key) {
        if let Some(holders) = self.busy.get_mut(key) {
            *holders -= 1;
            if *holders == 0 {
                self.busy.remove(key);
            }
        }
    }

    /// Claims that nobody has answered in time have failed.
    pub(super) fn tick(&mut self, now: Time, dice: &mut dyn FnMut() -> u64, policy: &RetryPolicy) {
        while self.due.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, id)) = self.due.pop_first()
        {
            match self.items.get(&id).map(|item| &item.stage) {
                Some(Stage::InFlight { .. }) => drop(self.fail(&id, now, (false, "nobody answered for it in time"), dice(), policy)),
                Some(Stage::Ready { .. }) => drop(self.ready.insert(id)),
                _ => {}
            }
        }
    }

    /// When something may be claimed or times out next, of what is not due at `now`.
    pub(super) fn deadline(&self, now: Time) -> Option<Time> {
        self.due.iter().map(|(at, _)| *at).find(|at| *at > now)
    }

    /// Receipts to be written to the own log, again and again until they are read there.
    pub(super) fn unwritten(&self) -> Vec<Receipt> {
        let receipt = |item: &Item| if let Stage::Writing(receipt) = &item.stage { Some(receipt.clone()) } else { None };
        self.writing.iter().filter_map(|id| self.items.get(id).and_then(receipt)).collect()
    }

    /// Whether an operation has a receipt to be written.
    pub(super) fn is_unwritten(&self, id: &OpId) -> bool {
        self.writing.contains(id)
    }

    /// Whether there are receipts to be written.
    pub(super) fn has_unwritten(&self) -> bool {
        !self.writing.is_empty()
    }

    pub(super) fn list(&self) -> Vec<OpView> {
        let view = |(id, item): (&OpId, &Item)| {
            let (state, attempts) = match &item.stage {
                Stage::Ready { attempts: 0, .. } => (State::Pending, 0),
                Stage::Ready { attempts, .. } => (State::Failed, *attempts),
                Stage::InFlight { attempts, .. } => (State::InFlight, *attempts),
                Stage::Writing(receipt) => (State::from(receipt.outcome), receipt.attempts),
            };
            let (kind, key, detail) = (item.kind.clone(), item.key.clone(), item.detail.clone());
            OpView { id: *id, side: Side::Received, target: item.target, kind, key, state, attempts, detail }
        };
        self.items.iter().map(view).collect()
    }
}

/// The receipt of an operation whose key was executed under another number.
fn as_before(op: OpId, key: &[u8], outcome: Outcome) -> Receipt {
    let detail = "an operation with the same key was executed before".to_owned();
    Receipt { op, key: key.to_vec(), outcome, attempts: 0, detail }
}
