//! Operations between simulated nodes: the outbox of each life, an application that executes them, and what must have come of them.
//!
//! The application keeps an operation's key with its effect, as docs/outbox.md asks: an effect happens once, whatever crashes between
//! it and its receipt. Everything an outbox knows it reads from its node's log, after every restart anew.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::base::{LogId, limits};
use crate::outbox::{Body, OpId, Outbox, RetryPolicy, State, Target};
use crate::sim::Scenario;
use crate::sim::check::Check;
use crate::sim::node::name;
use crate::sim::world::World;
use crate::sync::Group;

/// The outbox of a node's present life.
struct Life {
    number: u32,
    outbox: Outbox,
    /// Receipts on their way into the log.
    posted: BTreeSet<OpId>,
}

/// Everything about operations.
#[derive(Default)]
pub(super) struct Mail {
    lives: BTreeMap<usize, Life>,
    /// Keys that took effect at a node; never lost.
    effects: BTreeSet<(usize, Vec<u8>)>,
    /// Operations whose record was durable at their sender, their target, and their key.
    put: BTreeMap<OpId, (usize, Vec<u8>)>,
    /// Offers that found their key executed already.
    pub(super) repeats: u64,
}

impl World<'_> {
    /// What a node writes in the scenario of operations: for the node after the next. Every third repeats the key before.
    pub(super) fn operation(&mut self, node: usize) -> Bytes {
        let target = (node + 2) % self.nodes.len();
        let key = (self.written * 2 / 3).to_le_bytes().to_vec();
        let payload = self.written.to_le_bytes().to_vec();
        let target = Target::Peer(self.nodes[target].identity.id());
        Body::Put { target, kind: "mail".into(), key, payload }.encode().into()
    }

    /// Records became durable at a node: its outbox reads them, its application executes what is due.
    pub(super) fn mail(&mut self, node: usize, groups: &[Group]) -> Check {
        if self.options.scenario != Scenario::Mail {
            return Ok(());
        }
        self.begin_life(node)?;
        let me = self.nodes[node].identity.id();
        let Some(life) = self.mail.lives.get_mut(&node) else { return Ok(()) };
        for (log, entry) in groups.iter().flat_map(|group| group.entries().map(|entry| (group.log, entry))) {
            life.outbox.record(log, entry.seq, &entry.payload);
            if log.origin == me
                && let Ok(Body::Put { target: Target::Peer(peer), key, .. }) = Body::decode(&entry.payload)
                && let Some(target) = self.nodes.iter().position(|node| node.identity.id() == peer)
            {
                self.mail.put.insert(OpId { log, seq: entry.seq }, (target, key));
            }
        }
        self.execute(node)
    }

    /// A life that has not read its log yet does so, its own log first.
    fn begin_life(&mut self, node: usize) -> Check {
        let Some(current) = &self.nodes[node].life else { return Ok(()) };
        if self.mail.lives.get(&node).is_some_and(|life| life.number == current.number) {
            return Ok(());
        }
        let me = self.nodes[node].identity.id();
        let mut outbox = Outbox::new(me, &[], RetryPolicy::default(), u64::from(current.number));
        let mut logs: Vec<(LogId, u64)> = current.wal.states().into_iter().map(|state| (state.log, state.durable)).collect();
        logs.sort_by_key(|(log, _)| log.origin != me);
        for (log, durable) in logs {
            let mut next = 1;
            while next <= durable {
                let groups = current.wal.read(log, next, limits::READ_RECORDS_MAX_BYTES).map_err(|e| e.to_string())?;
                let Some(last) = groups.last().map(|group| group.last) else { return Err(format!("{log} cannot be read from {next}")) };
                groups.iter().flat_map(Group::entries).for_each(|entry| outbox.record(log, entry.seq, &entry.payload));
                next = last + 1;
            }
        }
        self.mail.lives.insert(node, Life { number: current.number, outbox, posted: BTreeSet::new() });
        Ok(())
    }

    fn execute(&mut self, node: usize) -> Check {
        let now = self.now;
        let Some(life) = self.mail.lives.get_mut(&node) else { return Ok(()) };
        for claimed in life.outbox.claim(now, usize::MAX) {
            if !self.mail.effects.insert((node, claimed.key.clone())) {
                self.mail.repeats += 1;
            }
            life.outbox.done(&claimed.id).map_err(|e| e.to_string())?;
        }
        let fresh: Vec<Bytes> = life
            .outbox
            .unwritten()
            .into_iter()
            .filter(|receipt| life.posted.insert(receipt.op))
            .map(|receipt| Body::Receipt(receipt).encode().into())
            .collect();
        if !fresh.is_empty()
            && let Some(life) = &mut self.nodes[node].life
        {
            life.work.appends.extend(fresh);
            self.call_log(node);
        }
        Ok(())
    }

    /// An operation that has not come to its end although everything is healed.
    pub(super) fn mail_lacks(&self) -> Option<String> {
        self.mail.put.iter().find_map(|(id, (target, key))| {
            let sender = self.nodes.iter().position(|node| node.identity.id() == id.log.origin)?;
            if !self.mail.effects.contains(&(*target, key.clone())) {
                return Some(format!("operation {id} was not executed at {}", name(*target)));
            }
            let life = self.mail.lives.get(&sender).filter(|life| self.lives(sender, life.number))?;
            let state = life.outbox.stands(id);
            (state != Some(State::Done)).then(|| format!("operation {id} is {state:?} at its sender {}", name(sender)))
        })
    }

    /// What was executed must have been put; and something must have been.
    pub(super) fn mail_holds(&self) -> Check {
        if self.options.scenario != Scenario::Mail {
            return Ok(());
        }
        let wanted: BTreeSet<(usize, Vec<u8>)> = self.mail.put.values().map(|(target, key)| (*target, key.clone())).collect();
        if self.mail.put.is_empty() || wanted.len() >= self.mail.put.len() {
            return Err(format!("{} operations with {} keys: the scenario tests nothing", self.mail.put.len(), wanted.len()));
        }
        match self.mail.effects.iter().find(|effect| !wanted.contains(effect)) {
            Some((node, _)) => Err(format!("{} executed what nobody put", name(*node))),
            None => Ok(()),
        }
    }
}
