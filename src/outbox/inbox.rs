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
use crate::outbox::record::{OpId, Outcome, Receipt, cut};
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
#[derive(Debug, Default)]
pub(super) struct Inbox {
    items: BTreeMap<OpId, Item>,
    /// Keys of operations in flight or done and not answered yet, and how many hold each: another one with the same key waits for them.
    /// There are several where one is reported done after its claim had passed to the next.
    busy: BTreeMap<Key, u32>,
    /// What was executed, for ever.
    finished: BTreeMap<Key, Outcome>,
    /// Receipts in the own log whose operation has not been read yet.
    receipted: BTreeSet<OpId>,
}

impl Inbox {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Keys that are known for ever.
    pub(super) fn keys(&self) -> usize {
        self.finished.len()
    }

    /// An operation for this node was read.
    pub(super) fn offered(&mut self, id: OpId, kind: String, key: Vec<u8>) {
        if self.receipted.remove(&id) || self.items.contains_key(&id) {
            return;
        }
        let stage = Stage::Ready { attempts: 0, not_before: Time::ZERO };
        self.items.insert(id, Item { kind, key, stage, detail: String::new() });
    }

    /// A receipt of this node was read in its own log, or has just been written there.
    pub(super) fn written(&mut self, receipt: &Receipt, was_read: bool) {
        if !receipt.key.is_empty() {
            let key = (receipt.op.log.origin, receipt.key.clone());
            self.busy.remove(&key);
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
            Stage::Writing(_) => return Ok(()),
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

    /// Operations whose key was executed under another number are answered as that one was.
    fn settle_known(&mut self) {
        for (id, item) in self.items.iter_mut().filter(|(_, item)| matches!(item.stage, Stage::Ready { .. })) {
            let known = self.finished.get(&(id.log.origin, item.key.clone())).filter(|_| !item.key.is_empty());
            if let Some(outcome) = known {
                let detail = "an operation with the same key was executed before".to_owned();
                item.stage = Stage::Writing(Receipt { op: *id, key: item.key.clone(), outcome: *outcome, attempts: 0, detail });
            }
        }
    }

    pub(super) fn list(&self, to: impl Fn(&OpId) -> crate::outbox::Target) -> Vec<OpView> {
        let view = |(id, item): (&OpId, &Item)| {
            let (state, attempts) = match &item.stage {
                Stage::Ready { attempts: 0, .. } => (State::Pending, 0),
                Stage::Ready { attempts, .. } => (State::Failed, *attempts),
                Stage::InFlight { attempts, .. } => (State::InFlight, *attempts),
                Stage::Writing(receipt) => (State::from(receipt.outcome), receipt.attempts),
            };
            let (kind, key, detail) = (item.kind.clone(), item.key.clone(), item.detail.clone());
            OpView { id: *id, side: Side::Received, target: to(id), kind, key, state, attempts, detail }
        };
        self.items.iter().map(view).collect()
    }
}
