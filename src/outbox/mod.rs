//! Directed work: operations that one node puts for another, or for all, executed once and answered for.
//!
//! A view over the logs and nothing else. Operations, receipts and settlements are records like any other, so they are durable, signed
//! and carried by whoever meets; reading the logs again gives the same state again. Never reads a clock, draws randomness, seals, or
//! writes: it says what is to be written, and forgets nothing before it has been read in the log.

pub mod carry;
mod inbox;
pub mod record;
mod retry;
mod sent;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use serde::Serialize;

use crate::base::{LogId, LogRange, PeerId, Time, limits};

use inbox::Inbox;
use sent::Sent;

pub use inbox::Claimed;
pub use record::{Body, OpId, Outcome, Receipt, Target, is_ours};
pub use retry::RetryPolicy;

/// Where an operation stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Sent: the target is not known to have it. Received: nobody has claimed it.
    Pending,
    /// Sent: the target has it on its disk. Received: claimed.
    InFlight,
    /// Executed, and the target's receipt says so.
    Done,
    /// Received: an attempt failed, another one follows.
    Failed,
    /// Not executed, and not tried again.
    PermanentFailed,
}

impl From<Outcome> for State {
    fn from(outcome: Outcome) -> State {
        match outcome {
            Outcome::Done => State::Done,
            Outcome::Failed => State::PermanentFailed,
        }
    }
}

/// Which end of an operation this node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// It put it.
    Sent,
    /// It is to execute it.
    Received,
}

/// An operation as it stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct OpView {
    /// Which.
    pub id: OpId,
    /// Whether this node put it or is to execute it.
    pub side: Side,
    /// For whom.
    pub target: Target,
    /// What is to be done.
    pub kind: String,
    /// Idempotency key.
    pub key: Vec<u8>,
    /// Where it stands.
    pub state: State,
    /// Attempts so far.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub detail: String,
}

/// Why an answer for an operation is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// Nothing of that name is here, or it has been answered for.
    #[error("operation {0} is not here, or was answered for before")]
    Unknown(OpId),
    /// It was not claimed, or the claim has timed out.
    #[error("operation {0} is not claimed, or the claim has timed out; claim it again")]
    NotClaimed(OpId),
}

/// A range of records all of which are operations for the same node.
pub type Held = LogRange;

/// Gives every record to a visitor, each time it is called.
pub type Replay<'a> = &'a mut dyn FnMut(Visit<'_>);

/// Takes a record.
pub type Visit<'a> = &'a mut dyn FnMut(LogId, u64, &[u8]);

/// The outbox of one node.
#[derive(Debug)]
pub struct Outbox {
    me: PeerId,
    /// This node's keys, the present and earlier ones.
    mine: BTreeSet<PeerId>,
    policy: RetryPolicy,
    sent: Sent,
    inbox: Inbox,
    /// Operations of others for others that are not answered for: what a third node is asked for.
    carried: BTreeMap<PeerId, BTreeSet<OpId>>,
    carried_count: usize,
    /// Receipts read before the operation they are of.
    early: BTreeMap<OpId, Vec<(PeerId, Receipt)>>,
    early_count: usize,
    /// How far each log was read.
    read: BTreeMap<LogId, u64>,
    /// Logs with operations for this node for which there was no room, and how far the inbox has come in each.
    behind: BTreeMap<LogId, u64>,
    /// Operations in them that their sender took back before they were offered.
    withdrawn: BTreeSet<OpId>,
    /// The last of those that was begun with.
    turn: Option<LogId>,
    dice: fastrand::Rng,
}

impl Outbox {
    /// An empty one; every log is to be read from its first record, those of this node before the others.
    pub fn new(me: PeerId, formerly: &[PeerId], policy: RetryPolicy, seed: u64) -> Outbox {
        Outbox {
            me,
            mine: formerly.iter().copied().chain([me]).collect(),
            policy,
            sent: Sent::default(),
            inbox: Inbox::new(limits::OUTBOX_OPEN_MAX, limits::OUTBOX_KEYS_MAX),
            carried: BTreeMap::new(),
            carried_count: 0,
            early: BTreeMap::new(),
            early_count: 0,
            read: BTreeMap::new(),
            behind: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            turn: None,
            dice: fastrand::Rng::with_seed(seed),
        }
    }

    /// The next record of a log that is durable here. One that was read before changes nothing, unless there was no room for it then.
    pub fn record(&mut self, log: LogId, seq: u64, payload: &[u8]) {
        let read = self.read.entry(log).or_default();
        let is_new = seq > *read;
        *read = seq.max(*read);
        // A log that the inbox is behind in comes to it by being read again, in order.
        let is_offered = self.behind.get(&log).map_or(is_new, |taken| !is_new && seq > *taken);
        if !is_new && !is_offered {
            return;
        }
        // What is not well formed means nothing: it is signed by its origin, and nobody else's loss.
        let body = Some(payload).filter(|payload| is_ours(payload)).and_then(|payload| Body::decode(payload).ok());
        if is_offered {
            self.offer(OpId { log, seq }, body.as_ref());
        }
        match body {
            Some(Body::Put { target, kind, key, .. }) if is_new => self.put(OpId { log, seq }, target, kind, key),
            Some(Body::Receipt(receipt)) if is_new => self.receipt(log.origin, receipt),
            Some(Body::Settled(ops)) if is_new => ops.iter().filter(|op| op.log.origin == log.origin).for_each(|op| self.settled(op)),
            _ => {}
        }
    }

    /// Gives a record to the inbox, or stops giving it records of that log for want of room.
    fn offer(&mut self, id: OpId, body: Option<&Body>) {
        match body {
            Some(Body::Put { target, kind, key, .. }) if self.is_for_me(&id, *target) && !self.withdrawn.remove(&id) => {
                // Where others wait for room, what is read for the first time leaves them some.
                let first = !self.behind.is_empty() && !self.behind.contains_key(&id.log);
                if !self.inbox.has_room_for(&id, first) {
                    self.behind.entry(id.log).or_insert(id.seq - 1);
                    return;
                }
                self.inbox.offered(id, *target, kind.clone(), key.clone());
            }
            // Of more than could be remembered.
            Some(Body::Settled(ops)) => ops.iter().filter(|op| op.log.origin == id.log.origin).for_each(|op| self.inbox.withdrawn(op)),
            _ => {}
        }
        self.took(&id.log, id.seq);
    }

    fn is_for_me(&self, id: &OpId, target: Target) -> bool {
        !self.mine.contains(&id.log.origin) && (target == Target::All || target == Target::Peer(self.me))
    }

    /// In a log that the inbox is behind in it has come that far; it is behind no longer where nothing more was read.
    fn took(&mut self, log: &LogId, upto: u64) {
        let Some(taken) = self.behind.get_mut(log) else { return };
        *taken = upto.max(*taken);
        if self.read.get(log).is_none_or(|read| *taken >= *read) {
            self.behind.remove(log);
            self.withdrawn.retain(|op| op.log != *log);
        }
    }

    /// Records up to there are gone, and what a snapshot has of them was recalled, or cannot be read.
    pub fn gone(&mut self, log: LogId, upto: u64) {
        self.took(&log, upto);
    }

    /// How far the inbox has come in a log.
    fn taken(&self, log: &LogId) -> u64 {
        self.behind.get(log).or_else(|| self.read.get(log)).copied().unwrap_or(0)
    }

    /// Takes what a snapshot carries, in place of all records up to `upto` that were not read: operations first, then receipts.
    pub fn recall(&mut self, upto: &BTreeMap<LogId, u64>, records: Replay<'_>) {
        let before: BTreeMap<LogId, (u64, u64)> = self.read.iter().map(|(log, read)| (*log, (*read, self.taken(log)))).collect();
        let read_before = |log: &LogId| before.get(log).map_or(0, |(read, _)| *read);
        let taken_before = |log: &LogId| before.get(log).map_or(0, |(_, taken)| *taken);
        for (log, upto) in upto {
            let read = self.read.entry(*log).or_default();
            *read = (*upto).max(*read);
            if let Some(taken) = self.behind.get_mut(log) {
                *taken = (*upto).max(*taken);
            }
        }
        records(&mut |log, seq, payload| {
            let Ok(Body::Put { target, kind, key, .. }) = Body::decode(payload) else { return };
            let id = OpId { log, seq };
            if seq > taken_before(&log) && self.is_for_me(&id, target) && !self.withdrawn.remove(&id) {
                self.inbox.offered(id, target, kind.clone(), key.clone());
            }
            if seq > read_before(&log) {
                self.put(id, target, kind, key);
            }
        });
        records(&mut |log, seq, payload| {
            if let Ok(Body::Receipt(receipt)) = Body::decode(payload)
                && seq > read_before(&log)
            {
                self.receipt(log.origin, receipt);
            }
        });
        upto.iter().for_each(|(log, upto)| self.took(log, *upto));
    }

    /// What this node puts, and what it carries for others. Its own is known at once, before its own log is read that far.
    pub fn put(&mut self, id: OpId, target: Target, kind: String, key: Vec<u8>) {
        if self.mine.contains(&id.log.origin) {
            self.sent.put(id, target, kind, key);
        } else if let Target::Peer(peer) = target
            && peer != self.me
            && self.carried_count < limits::OUTBOX_CARRIED_MAX
            && self.carried.entry(peer).or_default().insert(id)
        {
            self.carried_count += 1;
        }
        let early = self.early.remove(&id).unwrap_or_default();
        self.early_count -= early.len();
        early.into_iter().for_each(|(from, receipt)| self.receipt(from, receipt));
    }

    fn receipt(&mut self, from: PeerId, receipt: Receipt) {
        let id = receipt.op;
        if self.mine.contains(&from) {
            return self.inbox.written(&receipt, self.taken(&id.log) >= id.seq);
        }
        let was_read = self.read.get(&id.log).is_some_and(|read| *read >= id.seq);
        if self.sent.has(&id) {
            self.sent.receipt(from, receipt);
        } else if was_read {
            self.drop_carried(from, &id);
        } else if self.early_count < limits::OUTBOX_EARLY_MAX {
            self.early.entry(id).or_default().push((from, receipt));
            self.early_count += 1;
        }
    }

    fn drop_carried(&mut self, target: PeerId, id: &OpId) {
        let Some(ops) = self.carried.get_mut(&target) else { return };
        self.carried_count -= usize::from(ops.remove(id));
        if ops.is_empty() {
            self.carried.remove(&target);
        }
    }

    fn settled(&mut self, id: &OpId) {
        self.sent.settled(id);
        self.inbox.withdrawn(id);
        if self.taken(&id.log) < id.seq && self.behind.contains_key(&id.log) && self.withdrawn.len() < limits::OUTBOX_OPEN_MAX {
            self.withdrawn.insert(*id);
        }
        let target = self.carried.iter().find(|(_, ops)| ops.contains(id)).map(|(target, _)| *target);
        target.into_iter().for_each(|target| self.drop_carried(target, id));
    }

    /// A peer has a log of this node on its disk up to there.
    pub fn held(&mut self, peer: PeerId, log: LogId, durable: u64) {
        if self.mine.contains(&log.origin) {
            self.sent.held(peer, log, durable);
        }
    }

    /// Whether there is no room for another operation to be executed here: what is read is left out, and comes by reading it again.
    pub fn is_full(&self) -> bool {
        self.inbox.is_full()
    }

    /// A log with operations for which there was no room, its first record that was left out, and the last one that was read: to be
    /// read again as far as there is room now. Each of several logs in turn; none before there is room worth reading for.
    pub fn left_out(&mut self) -> Option<LogRange> {
        if !self.inbox.has_much_room() {
            return None;
        }
        let after = self.turn.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.behind.range((after, Bound::Unbounded)).next().or_else(|| self.behind.iter().next());
        let (log, taken) = next.map(|(log, taken)| (*log, *taken))?;
        self.turn = Some(log);
        Some(LogRange { log, first: taken + 1, last: self.read.get(&log).copied().unwrap_or(taken) })
    }

    /// Whether this node can put nothing more until something is settled.
    pub fn is_sent_full(&self) -> bool {
        self.sent.len() >= limits::OUTBOX_OPEN_MAX
    }

    /// Takes up to `max` operations for this node that are due, to be executed and reported by [`Outbox::done`] or [`Outbox::fail`].
    pub fn claim(&mut self, now: Time, max: usize) -> Vec<Claimed> {
        self.tick(now);
        self.inbox.claim(now, max, &self.policy)
    }

    /// A claimed operation has taken effect. [`Outbox::unwritten`] has its receipt.
    pub fn done(&mut self, id: &OpId) -> Result<(), Refusal> {
        self.inbox.done(id)
    }

    /// A claimed operation could not be executed; `for_good` if another attempt would not help.
    pub fn fail(&mut self, now: Time, id: &OpId, for_good: bool, detail: &str) -> Result<(), Refusal> {
        self.inbox.fail(id, now, (for_good, detail), self.dice.u64(..), &self.policy)
    }

    /// Claims that nobody answered in time are free again.
    pub fn tick(&mut self, now: Time) {
        self.inbox.tick(now, &mut || self.dice.u64(..), &self.policy);
    }

    /// When something may be claimed that cannot be now.
    pub fn deadline(&self, now: Time) -> Option<Time> {
        self.inbox.deadline(now)
    }

    /// Receipts to append to the own log. They come again until [`Outbox::written`], or until they are read there.
    pub fn unwritten(&self) -> Vec<Receipt> {
        self.inbox.unwritten()
    }

    /// Whether there are such.
    pub fn has_unwritten(&self) -> bool {
        self.inbox.has_unwritten()
    }

    /// Whether an operation has a receipt among those.
    pub fn is_unwritten(&self, id: &OpId) -> bool {
        self.inbox.is_unwritten(id)
    }

    /// A receipt is durable in the own log.
    pub fn written(&mut self, receipt: &Receipt) {
        self.inbox.written(receipt, true);
    }

    /// What to append so that finished operations are listed no more; then [`Outbox::settle`].
    pub fn finished(&self) -> Vec<OpId> {
        self.sent.finished(&self.everybody())
    }

    /// The settlement of these operations is durable in the own log.
    pub fn settle(&mut self, ops: &[OpId]) {
        ops.iter().for_each(|op| self.sent.settled(op));
    }

    /// Where an operation stands that this node put; `None` if it did not, or has settled it.
    pub fn stands(&self, id: &OpId) -> Option<State> {
        self.sent.stands(id, &self.everybody())
    }

    /// Whether this node put it and has not settled it.
    pub fn has_sent(&self, id: &OpId) -> bool {
        self.sent.has(id)
    }

    /// Everything that is not settled or answered for, put by this node or for it.
    pub fn list(&self) -> Vec<OpView> {
        let mut all = self.sent.list(&self.everybody());
        all.extend(self.inbox.list());
        all
    }

    /// Where operations for `target` lie that it has not answered for, as far as this node knows: whoever asks learns which records to
    /// wait for.
    pub fn pull(&self, target: PeerId, max: usize) -> Vec<Held> {
        let mine = self.sent.list(&BTreeSet::new()).into_iter();
        let mine =
            mine.filter(|op| op.target == Target::Peer(target) && matches!(op.state, State::Pending | State::InFlight)).map(|op| op.id);
        let ids: BTreeSet<OpId> = mine.chain(self.carried.get(&target).into_iter().flatten().copied()).collect();
        let mut held: Vec<Held> = Vec::new();
        for OpId { log, seq } in ids.into_iter().take(max) {
            match held.last_mut() {
                Some(last) if last.log == log && last.last + 1 == seq => last.last = seq,
                _ => held.push(Held { log, first: seq, last: seq }),
            }
        }
        held
    }

    /// Every other node that has written something.
    fn everybody(&self) -> BTreeSet<PeerId> {
        self.read.iter().filter(|(log, read)| **read > 0 && !self.mine.contains(&log.origin)).map(|(log, _)| log.origin).collect()
    }
}
