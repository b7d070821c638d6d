//! The oracle: knows every record that was ever written, and what each node can truthfully claim.
//!
//! Held after every step: what a node says it has durable is on its synced disk; what it says it has applied, its application
//! has; nobody holds a larger number about a node than is true of it; applied <= durable; every record is the one its origin
//! wrote at that place; nothing acknowledged is missing after a crash. Never changes anything.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::base::id::hex;
use crate::base::{LogId, PeerId, limits};
use crate::discovery::Discovery;
use crate::mesh::{LogAcked, LogView};
use crate::sim::app::link;
use crate::sim::causes::Pasts;
use crate::sim::node::{Life, Node, name};
use crate::sync::{Entry, Group, Places, Reader};

/// A rule that holds, or a sentence about the one that does not.
pub(super) type Check = Result<(), String>;

/// See the module.
#[derive(Debug)]
pub(super) struct Oracle {
    /// Every record of every log, in order.
    truth: BTreeMap<LogId, Vec<Bytes>>,
    /// Payloads handed to a log that were neither acknowledged nor found in it yet, by writer.
    attempts: Vec<BTreeSet<Bytes>>,
    /// Highest record of each log that was seen on each node's synced disk, and where it was.
    synced: Vec<BTreeMap<LogId, (u64, Places)>>,
    /// Highest record each node ever claimed to have durable.
    claimed: Vec<BTreeMap<LogId, u64>>,
    /// The next application message of each connection and sender.
    messages: BTreeMap<(u64, usize), u64>,
    /// How many were sent.
    said: BTreeMap<(u64, usize), u64>,
    people: BTreeMap<PeerId, usize>,
    /// The log each node writes.
    own: Vec<Option<LogId>>,
    /// What each node has to have after a restart: what it claimed, but for what a damaged disk took.
    kept: Vec<BTreeMap<LogId, u64>>,
    /// Logs that a node which had lost its place wrote twice, and the second versions of their records.
    forked: BTreeMap<LogId, BTreeSet<(u64, Bytes)>>,
    /// What each node believed after its last step, all of it looked at: it cannot have become less true since.
    believed: Vec<Vec<LogView>>,
    /// What each record's writer had applied when it asked for it to be appended.
    pub(super) pasts: Pasts,
}

impl Oracle {
    /// An oracle over nodes that have written nothing.
    pub(super) fn new(people: &[PeerId]) -> Oracle {
        Oracle {
            truth: BTreeMap::new(),
            attempts: vec![BTreeSet::new(); people.len()],
            synced: vec![BTreeMap::new(); people.len()],
            claimed: vec![BTreeMap::new(); people.len()],
            messages: BTreeMap::new(),
            said: BTreeMap::new(),
            own: vec![None; people.len()],
            kept: vec![BTreeMap::new(); people.len()],
            forked: BTreeMap::new(),
            believed: vec![Vec::new(); people.len()],
            pasts: Pasts::default(),
            people: people.iter().enumerate().map(|(index, id)| (*id, index)).collect(),
        }
    }

    /// Logs with the number of their records.
    pub(super) fn logs(&self) -> Vec<(LogId, u64)> {
        self.truth.iter().map(|(log, records)| (*log, records.len() as u64)).collect()
    }

    /// A payload is about to be appended.
    pub(super) fn attempt(&mut self, node: usize, payload: &Bytes) {
        self.attempts[node].insert(payload.clone());
    }

    /// The log has acknowledged these groups to its own writer.
    pub(super) fn appended(&mut self, node: &Node, groups: &[Group]) -> Check {
        for group in groups {
            self.written(node, group)?;
        }
        match groups.last() {
            Some(group) => self.claim(node, group.log, group.last),
            None => Ok(()),
        }
    }

    /// Records that are in their origin's own log now, beyond what was known of it.
    fn written(&mut self, node: &Node, group: &Group) -> Check {
        let (hurt, node) = (node.hurt, node.index);
        let records = self.truth.entry(group.log).or_default();
        for entry in group.entries() {
            let next = records.len() as u64 + 1;
            if hurt && entry.seq < next && self.attempts[node].remove(&entry.payload) {
                self.forked.entry(group.log).or_default().insert((entry.seq, entry.payload));
                continue;
            }
            if entry.seq != next {
                return Err(format!("{} wrote record {} of its log {} where record {next} belongs", name(node), entry.seq, group.log));
            }
            if !self.attempts[node].remove(&entry.payload) {
                return Err(format!("record {next} in {}'s own log {} was never written, or twice", name(node), group.log));
            }
            records.push(entry.payload);
        }
        Ok(())
    }

    /// A node says, to a peer or to a writer of its own, that it has a log durable up to here.
    pub(super) fn claim(&mut self, node: &Node, log: LogId, durable: u64) -> Check {
        if durable == 0 {
            return Ok(());
        }
        let written = self.truth.get(&log).map_or(0, |records| records.len() as u64);
        if durable > written {
            return Err(format!("{} claims {log} to {durable}, its origin has written {written} records", name(node.index)));
        }
        let (seen, places) = self.synced[node.index].entry(log).or_default();
        if durable > *seen {
            *seen = (*seen).max(synced_upto(node, log, places)?);
        }
        if durable > *seen {
            // What was read last may have been cut off since: from the beginning.
            *places = Places::default();
            *seen = (*seen).max(synced_upto(node, log, places)?);
        }
        if durable > *seen {
            return Err(format!("{} claims {log} durable to {durable}, its synced disk has {seen}", name(node.index)));
        }
        let claimed = self.claimed[node.index].entry(log).or_insert(0);
        *claimed = durable.max(*claimed);
        let kept = self.kept[node.index].entry(log).or_insert(0);
        *kept = durable.max(*kept);
        Ok(())
    }

    /// Whether a node that had lost its place wrote numbers of that log twice: one history is as true as the other.
    pub(super) fn is_forked(&self, log: LogId) -> bool {
        self.forked.contains_key(&log)
    }

    /// The first number that was written twice.
    pub(super) fn fork_of(&self, log: LogId) -> Option<u64> {
        self.forked.get(&log)?.first().map(|(seq, _)| *seq)
    }

    /// A node that was set back goes on in another log.
    pub(super) fn renewed(&mut self, node: usize, log: LogId) {
        self.own[node] = Some(log);
    }

    /// A disk was damaged or exchanged.
    pub(super) fn hurt(&mut self, node: usize) {
        self.synced[node].clear();
        self.kept[node].clear();
        self.believed.iter_mut().for_each(Vec::clear);
    }

    /// A node says, to a peer, how far it has a log durable and applied.
    pub(super) fn acked(&mut self, node: &Node, log: LogId, durable: u64, applied: u64) -> Check {
        self.claim(node, log, durable)?;
        let really = if log.origin == node.identity.id() { durable } else { node.app.applied(log) };
        if applied > really || applied > durable {
            return Err(format!(
                "{} acknowledges {log} applied to {applied}, durable to {durable}; it has applied {really}",
                name(node.index)
            ));
        }
        Ok(())
    }

    /// What a node believes of its own and of its peers' logs after a step.
    pub(super) fn believes(&mut self, nodes: &[Node], index: usize, views: Vec<LogView>) -> Check {
        let before = std::mem::take(&mut self.believed[index]);
        for view in views.iter().enumerate().filter_map(|(at, view)| Some(view).filter(|_| before.get(at) != Some(view))) {
            self.acked(&nodes[index], view.log, view.durable, view.applied)?;
            for ack in &view.acked {
                let Some(peer) = self.people.get(&ack.peer).copied() else {
                    return Err(format!("{} holds an ack of a stranger", name(index)));
                };
                let claimed = self.claimed[peer].get(&view.log).copied().unwrap_or(0);
                // An application that was set back had applied it.
                let applied = if view.log.origin == ack.peer || nodes[peer].hurt { claimed } else { nodes[peer].app.applied(view.log) };
                if ack.durable > claimed || ack.applied > applied {
                    return Err(format!(
                        "{} believes {} has {} durable to {}, applied to {}; true is {claimed} and {applied}",
                        name(index),
                        name(peer),
                        view.log,
                        ack.durable,
                        ack.applied
                    ));
                }
            }
        }
        self.believed[index] = views;
        Ok(())
    }

    /// A record comes to the application: it must be the one its origin wrote there, durable here, and not the node's own.
    pub(super) fn applying(&mut self, node: &Node, log: LogId, seq: u64, payload: &[u8]) -> Check {
        if log.origin == node.identity.id() {
            return Err(format!("{} is given record {seq} of its own log {log}", name(node.index)));
        }
        self.is_true(node.index, log, seq, payload)?;
        self.claim(node, log, seq)
    }

    fn is_true(&self, node: usize, log: LogId, seq: u64, payload: &[u8]) -> Check {
        let wrote = self.truth.get(&log).and_then(|records| records.get(usize::try_from(seq).ok()?.checked_sub(1)?));
        let twice = || self.forked.get(&log).is_some_and(|second| second.contains(&(seq, Bytes::copy_from_slice(payload))));
        if wrote.is_none_or(|wrote| wrote != payload) && !twice() {
            return Err(format!("{} has something else at record {seq} of {log} than its origin wrote there", name(node)));
        }
        Ok(())
    }

    /// A node has restarted: everything it ever claimed is there, and nothing that was never written.
    pub(super) fn restarted(&mut self, node: &Node, life: &Life) -> Check {
        let index = node.index;
        self.believed[index].clear();
        for state in life.wal.states() {
            let mut next = state.base + 1;
            let groups = life.wal.read(state.log, next, usize::MAX).map_err(|e| format!("{}: {e}", name(index)))?;
            for group in &groups {
                let known = self.truth.get(&state.log).map_or(0, |records| records.len() as u64);
                let is_news = |entry: &Entry| self.is_true(index, state.log, entry.seq, &entry.payload).is_err();
                if state.log.origin == node.identity.id() && (group.first > known || (node.hurt && group.entries().any(|e| is_news(&e)))) {
                    self.written(node, group)?;
                }
                for entry in group.entries() {
                    if entry.seq != next {
                        return Err(format!("{} reads record {} of {} where {next} belongs", name(index), entry.seq, state.log));
                    }
                    next += 1;
                    self.is_true(index, state.log, entry.seq, &entry.payload)?;
                }
            }
            if next != state.durable + 1 {
                return Err(format!("{} has {} to {} and reads it to {}", name(index), state.log, state.durable, next - 1));
            }
        }
        for (log, claimed) in &self.kept[index] {
            let durable = life.wal.durable(*log);
            if durable < *claimed {
                return Err(format!("{} had acknowledged {log} to {claimed}, after the crash it has {durable}", name(index)));
            }
        }
        let own = life.wal.own();
        let before = self.own[index].replace(own);
        match before {
            Some(before) if before != own && !node.hurt => {
                Err(format!("{} begins log {own} although {before} was not damaged", name(index)))
            }
            _ => Ok(()),
        }
    }

    /// An application message: the next one of its sender on that connection.
    pub(super) fn message(&mut self, from: PeerId, payload: &[u8]) -> Check {
        let field = |at: usize| payload.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(u64::MAX, u64::from_le_bytes);
        let (conn, sender, number) = (field(0), field(8), field(16));
        let next = self.messages.entry((conn, sender as usize)).or_insert(0);
        if self.people.get(&from).copied() != Some(sender as usize) || number != *next {
            return Err(format!("message {number} of node {sender} came from {} where message {next} belongs", from.short()));
        }
        *next += 1;
        Ok(())
    }

    /// A node's application has sent a message by a connection.
    pub(super) fn said(&mut self, conn: u64, sender: usize) {
        *self.said.entry((conn, sender)).or_insert(0) += 1;
    }

    /// Where no connection is cut, every message that was sent is received, also by connections that are gone.
    pub(super) fn heard_everything(&self) -> Check {
        match self.said.iter().find(|(key, said)| self.messages.get(key).unwrap_or(&0) != *said) {
            Some(((conn, sender), said)) => {
                let heard = self.messages.get(&(*conn, *sender)).unwrap_or(&0);
                Err(format!("{} sent {said} messages by connection {conn}, {heard} were received", name(*sender)))
            }
            None => Ok(()),
        }
    }

    /// No table or queue of a node beyond its cap.
    pub(super) fn bounded(&self, life: &Life, index: usize, now: crate::base::Time) -> Check {
        let stores: usize = life.work.stores.iter().map(|(_, group)| group.bytes.len()).sum();
        let links = life.links.len();
        let facts = [
            (
                "peers",
                life.mesh.peers(now).len(),
                limits::GONE_PEERS_MAX + limits::MAX_PEERS_DEFAULT + limits::DIAL_TARGETS_MAX + limits::GREETED_MAX,
            ),
            ("tracked endpoints", life.mesh.stats().tracked_endpoints as usize, limits::TRACKED_ENDPOINTS_MAX),
            ("links", links, limits::HALF_OPEN_MAX + limits::GREETED_MAX + limits::MAX_PEERS_DEFAULT + limits::DIALS_MAX),
            ("logs", life.mesh.logs().len(), limits::LOGS_MAX),
            ("announcements", life.beacon.as_ref().map_or(0, Discovery::largest_table), limits::DISCOVERED_MAX),
            ("bytes to store", stores, (links + 1) * limits::REPLICA_WINDOW_BYTES),
        ];
        for (what, got, max) in facts {
            if got > max {
                return Err(format!("{} has {got} {what}, limit is {max}", name(index)));
            }
        }
        let max = limits::LINK_QUEUE_MAX_BYTES + limits::LINK_CONTROL_RESERVE_BYTES + limits::WAL_PUSH_MAX_BYTES;
        match life.links.iter().find(|(_, link)| link.pending() > max) {
            Some((id, link)) => Err(format!("{}'s {id} has {} bytes waiting, limit is {max}", name(index), link.pending())),
            None => Ok(()),
        }
    }

    /// The logs that every node has to have in the end, with the number of their records: those of one history, up to what is left of
    /// it anywhere if its writer's disk was damaged.
    pub(super) fn left(&self, nodes: &[Node]) -> Vec<(LogId, u64)> {
        let hurt = |log: &LogId| nodes.iter().any(|node| node.hurt && node.identity.id() == log.origin);
        let anywhere = |log: &LogId| nodes.iter().filter_map(|n| Some(n.life.as_ref()?.wal.durable(*log))).max().unwrap_or(0);
        let logs = self.logs().into_iter().filter(|(log, _)| !self.is_forked(*log));
        logs.map(|(log, written)| (log, if hurt(&log) { anywhere(&log) } else { written })).filter(|(_, n)| *n > 0).collect()
    }

    /// The effect of every record of a log, in order.
    pub(super) fn effect(&self, log: &LogId) -> [u8; 32] {
        let mut effect = [0; 32];
        self.truth.get(log).into_iter().flatten().for_each(|payload| link(&mut effect, payload));
        effect
    }

    /// Which record this node does not have or has not applied, if there is one.
    pub(super) fn lacks(&self, nodes: &[Node], node: &Node) -> Option<String> {
        let who = name(node.index);
        let Some(life) = &node.life else { return Some(format!("{who} does not run")) };
        for (log, written) in self.left(nodes) {
            let durable = life.wal.durable(log);
            if durable != written {
                return Some(format!("{who} has {log} to {durable} of {written}"));
            }
            let applied = node.app.applied(log);
            if log.origin != node.identity.id() && (applied < written || (applied > written && !nodes.iter().any(|n| n.hurt))) {
                return Some(format!("{who} has applied {log} to {applied} of {written}"));
            }
        }
        None
    }

    /// What this node does not know of what it and its neighbours have. A link that takes the place of another one begins anew.
    pub(super) fn is_unsure(&self, nodes: &[Node], node: &Node) -> Option<String> {
        let who = name(node.index);
        let life = node.life.as_ref()?;
        let views = life.mesh.logs();
        for (log, written) in self.left(nodes) {
            let view = views.iter().find(|view| view.log == log);
            if view.is_none_or(|view| (view.durable, view.applied) != (written, written)) {
                return Some(format!("{who}'s mesh does not know that {log} is applied to {written}: {view:?}"));
            }
            // What a neighbour has of the log a node writes counts in the end.
            let counts = |peer: &PeerId| view.is_some_and(|view| view.acked.iter().any(|ack| ack.peer == *peer));
            if let Some(peer) = life.routes.keys().find(|peer| log == life.wal.own() && !counts(peer)) {
                return Some(format!("{who} does not count what {} has of its log {log}", peer.short()));
            }
            // An origin says nothing about its own log after its vector: its pushes say it.
            let late = |ack: &&LogAcked| ack.peer != log.origin && (ack.durable, ack.applied) != (written, written);
            if let Some(ack) = view.and_then(|view| view.acked.iter().find(late)) {
                return Some(format!(
                    "{who} knows of {} only that it has {log} to {}, applied to {}, of {written}",
                    ack.peer.short(),
                    ack.durable,
                    ack.applied
                ));
            }
        }
        None
    }

    /// At the end: every record of every log on every node is the one that was written.
    pub(super) fn holds_everything(&self, nodes: &[Node], node: &Node) -> Check {
        let Some(life) = &node.life else { return Err(format!("{} does not run at the end", name(node.index))) };
        for (log, written) in self.left(nodes) {
            let mut last = life.wal.base(log);
            let groups = life.wal.read(log, last + 1, usize::MAX).map_err(|e| format!("{}: {e}", name(node.index)))?;
            for entry in groups.iter().flat_map(Group::entries) {
                self.is_true(node.index, log, entry.seq, &entry.payload)?;
                last = entry.seq;
            }
            if last != written {
                return Err(format!("{} reads {log} to {last} of {written}", name(node.index)));
            }
        }
        Ok(())
    }
}

/// How far a log goes on the part of a node's disk that no power cut can take, reading on behind `places`.
fn synced_upto(node: &Node, log: LogId, places: &mut Places) -> Result<u64, String> {
    let Some(disk) = node.disk() else { return Ok(0) };
    let dir = format!("log/{}/{}/", hex(&log.origin.0), log.incarnation);
    let mut read = || {
        let mut reader = Reader::resume(disk.synced(&dir), std::mem::take(places));
        while !reader.poll(usize::MAX)?.is_empty() {}
        let last = reader.upto(&log);
        *places = reader.into_places();
        Ok(last)
    };
    read().map_err(|e: crate::sync::WalError| format!("{}'s synced disk cannot be read: {e}", name(node.index)))
}
