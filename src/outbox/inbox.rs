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
        let (items, busy, finished, receipted) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Inbox { items, busy, finished, receipted, open_max, keys_max }
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
        let stage = Stage::Ready { attempts: 0, not_before: Time::ZERO };
        self.items.insert(id, Item { target, kind, key, stage, detail: String::new() });
    }

    /// A receipt of this node was read in its own log, or has just been written there.
    pub(super) fn written(&mut self, receipt: &Receipt, was_read: bool) {
        if !receipt.key.is_empty() {
            let key = (receipt.op.log.origin, receipt.key.clone());
            self.busy.remove(&key);
        }
        if receipt.is_of_key() {
            let key = (receipt.op.log.origin, receipt.key.clone());
            self.finished.entry(key).or_insert(receipt.outcome);
        }
        if self.items.remove(&receipt.op).is_none() && !was_read {
            self.receipted.insert(receipt.op);
        }
    }

    /// The sender no longer wants it. One that is being executed goes on.
    pub(super) fn withdrawn(&mut self, id: &OpId) {
        if self.items.get(id).is_some_and(|item| matches!(item.stage, Stage::Ready { .. })) {
            self.items.remove(id);
        }
    }

    /// Takes up to `max` operations that are due, the oldest of each log first.
    pub(super) fn claim(&mut self, now: Time, max: usize, policy: &RetryPolicy) -> Vec<Claimed> {
        self.settle_known();
        let mut claimed = Vec::new();
        for (id, item) in &mut self.items {
            if claimed.len() >= max {
                break;
            }
            let Stage::Ready { attempts, not_before } = item.stage else { continue };
            let key = (id.log.origin, item.key.clone());
            if not_before > now || self.busy.contains_key(&key) {
                continue;
            }
            if !item.key.is_empty() {
                self.busy.insert(key, 1);
            }
            let attempt = attempts + 1;
            item.stage = Stage::InFlight { attempts: attempt, until: now + policy.claim_timeout };
            claimed.push(Claimed { id: *id, kind: item.kind.clone(), key: item.key.clone(), attempt });
        }
        claimed
    }

    /// The application has executed it; also one whose claim has timed out meanwhile.
    pub(super) fn done(&mut self, id: &OpId) -> Result<(), Refusal> {
        let item = self.items.get_mut(id).ok_or(Refusal::Unknown(*id))?;
        let (attempts, was_late) = match item.stage {
            Stage::Writing(ref receipt) if receipt.outcome == Outcome::Done => return Ok(()),
            // Its failure is on its way into the log: what was done comes too late.
            Stage::Writing(_) => return Err(Refusal::Unknown(*id)),
            Stage::Ready { attempts: 0, .. } => return Err(Refusal::NotClaimed(*id)),
            Stage::Ready { attempts, .. } => (attempts, true),
            Stage::InFlight { attempts, .. } => (attempts, false),
        };
        let receipt = Receipt { op: *id, key: item.key.clone(), outcome: Outcome::Done, attempts, detail: String::new() };
        item.stage = Stage::Writing(receipt);
        if was_late && !item.key.is_empty() {
            *self.busy.entry((id.log.origin, item.key.clone())).or_insert(0) += 1;
        }
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
        let detail = cut(detail);
        if for_good || attempts >= policy.attempts_max {
            let receipt = Receipt { op: *id, key: item.key.clone(), outcome: Outcome::Failed, attempts, detail };
            // Its key stays busy until the receipt is written: nobody else is to begin with it.
            item.stage = Stage::Writing(receipt);
            return Ok(());
        }
        (item.stage, item.detail) = (Stage::Ready { attempts, not_before: now + policy.pause(attempts, dice) }, detail);
        let key = (id.log.origin, item.key.clone());
        self.release(&key);
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
        let late = |item: &Item| matches!(item.stage, Stage::InFlight { until, .. } if until <= now);
        let ids: Vec<OpId> = self.items.iter().filter(|(_, item)| late(item)).map(|(id, _)| *id).collect();
        for id in ids {
            // It is in flight: just seen.
            let _ = self.fail(&id, now, (false, "nobody answered for it in time"), dice(), policy);
        }
    }

    /// When something may be claimed or times out next, of what is not due at `now`.
    pub(super) fn deadline(&self, now: Time) -> Option<Time> {
        let at = |item: &Item| match item.stage {
            Stage::Ready { not_before, .. } => Some(not_before),
            Stage::InFlight { until, .. } => Some(until),
            Stage::Writing(_) => None,
        };
        self.items.values().filter_map(at).filter(|at| *at > now).min()
    }

    /// Receipts to be written to the own log, again and again until they are read there.
    pub(super) fn unwritten(&mut self) -> Vec<Receipt> {
        self.settle_known();
        let receipt = |item: &Item| if let Stage::Writing(receipt) = &item.stage { Some(receipt.clone()) } else { None };
        self.items.values().filter_map(receipt).collect()
    }

    /// Whether an operation has a receipt to be written.
    pub(super) fn is_unwritten(&self, id: &OpId) -> bool {
        self.items.get(id).is_some_and(|item| matches!(item.stage, Stage::Writing(_)))
    }

    /// Operations whose key was executed under another number are answered as that one was; such with a key that cannot be remembered
    /// any more have failed.
    fn settle_known(&mut self) {
        let is_full = self.finished.len() >= self.keys_max;
        for (id, item) in self.items.iter_mut().filter(|(_, item)| !item.key.is_empty()) {
            let Stage::Ready { attempts, .. } = item.stage else { continue };
            let key = (id.log.origin, item.key.clone());
            let (outcome, detail) = match self.finished.get(&key) {
                Some(outcome) => (*outcome, "an operation with the same key was executed before"),
                None if is_full && attempts == 0 && !self.busy.contains_key(&key) => {
                    (Outcome::Failed, "the target remembers as many idempotency keys as it can")
                }
                None => continue,
            };
            item.stage = Stage::Writing(Receipt { op: *id, key: item.key.clone(), outcome, attempts: 0, detail: detail.to_owned() });
        }
    }

    /// Whether there are receipts to be written.
    pub(super) fn has_unwritten(&self) -> bool {
        self.items.values().any(|item| matches!(item.stage, Stage::Writing(_)))
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
