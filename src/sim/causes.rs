//! What the oracle knows of causes: what a record's writer had applied when it wrote. By its own knowledge of the writer's application,
//! never by what the record says.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::base::LogId;
use crate::mesh::io::Input;
use crate::sim::check::{Check, Oracle};
use crate::sim::node::{Node, name};
use crate::sim::world::World;
use crate::sync::{Cause, Entry};

/// Time after which, at the end, links are back that nobody was told to make: an announcement and a dial.
const LINKS_ARE_BACK: Duration = Duration::from_secs(3);

/// How far somebody had come in every log.
type Past = BTreeMap<LogId, u64>;

/// The past of every record by its digest, while nodes are in causal mode.
#[derive(Debug, Default)]
pub(super) struct Pasts {
    of: BTreeMap<[u8; 32], Rc<Past>>,
    /// The last one of each node: most are like it.
    last: BTreeMap<usize, Rc<Past>>,
    /// Records that are gone everywhere, or of which there are two, from a number on: nobody waits for them.
    lost: BTreeMap<LogId, u64>,
}

impl Oracle {
    /// A node's application asks for a record to be appended.
    pub(super) fn asked(&mut self, node: &Node, payload: &[u8]) {
        let Some(life) = node.life.as_ref().filter(|_| node.causal) else { return };
        let me = node.identity.id();
        // What it wrote in a log that it appends to no more.
        let former = life.wal.states().into_iter().filter(|state| state.log.origin == me && state.log != life.wal.own());
        let past: Past =
            node.app.seen().filter(|(log, _)| log.origin != me).chain(former.map(|state| (state.log, state.durable))).collect();
        let last = self.pasts.last.entry(node.index).or_default();
        if **last != past {
            *last = Rc::new(past);
        }
        self.pasts.of.insert(*blake3::hash(payload).as_bytes(), last.clone());
    }

    /// A record is given to an application: all that its writer had applied is applied there, or its own, or in a snapshot it took in. Where
    /// a log has two histories there are no records to speak of.
    pub(super) fn comes_after(&self, node: &Node, log: LogId, entry: &Entry) -> Check {
        let Some(past) = self.pasts.of.get(blake3::hash(&entry.payload).as_bytes()).filter(|_| node.causal) else { return Ok(()) };
        let here = |of: &LogId| {
            let own = node.life.as_ref().filter(|_| of.origin == node.identity.id()).map(|life| life.wal.durable(*of));
            own.unwrap_or(0).max(node.app.applied(*of)).max(node.app.own_at(*of))
        };
        let is_nowhere = |of: &LogId, seq: u64| {
            let from = self.fork_of(*of).into_iter().chain(self.pasts.lost.get(of).copied());
            from.min().is_some_and(|from| seq >= from)
        };
        match past.iter().find(|(of, seq)| here(of) < **seq && !is_nowhere(of, **seq)) {
            Some((of, seq)) => Err(format!(
                "{} is given record {} of {log}, whose writer had applied {of} to {seq}, and has applied that to {}",
                name(node.index),
                entry.seq,
                here(of)
            )),
            None => Ok(()),
        }
    }
}

impl World<'_> {
    /// At the end, where a disk was hurt: an application goes on without records that are nowhere any more, of which there are two, or that
    /// no neighbour can pass on.
    pub(super) fn free_waiting(&mut self, node: usize) -> Check {
        let Some(life) = self.nodes[node].life.as_ref().filter(|_| self.counts.hurt > 0) else { return Ok(()) };
        let is_linked = self.ending.since().is_some_and(|since| self.now.since(since) >= LINKS_ARE_BACK) && self.unlinked().is_none();
        let waits: Vec<(LogId, Cause)> = life.mesh.logs().into_iter().filter_map(|view| Some((view.log, view.waits?.needs))).collect();
        for (log, needs) in waits {
            let here = |node: &Node| node.life.as_ref().map_or(0, |life| life.wal.durable(needs.log));
            let is_lost = self.nodes.iter().all(|node| node.life.is_some() && here(node) < needs.seq);
            if is_lost || self.oracle.fork_of(needs.log).is_some_and(|fork| needs.seq >= fork || (is_linked && !self.can_come(node, needs)))
            {
                let from = self.oracle.pasts.lost.entry(needs.log).or_insert(needs.seq);
                *from = needs.seq.min(*from);
                self.step(node, Input::ApplyResume { log, skip: true })?;
            }
        }
        Ok(())
    }

    /// Whether a record of a log with two histories can come to a node as things are. Who knows of the two takes nothing more of that log,
    /// not even what a damaged disk has lost of it: nothing comes by that node but what it has.
    fn can_come(&self, node: usize, needs: Cause) -> bool {
        let (mut reached, mut next) = (vec![node], 0);
        while let Some(&at) = reached.get(next) {
            next += 1;
            let Some(life) = &self.nodes[at].life else { continue };
            if life.wal.durable(needs.log) >= needs.seq {
                return true;
            }
            if !self.knows(at, needs.log) {
                let is_linked = |other: &usize| life.routes.contains_key(&self.nodes[*other].identity.id());
                let others: Vec<usize> = (0..self.nodes.len()).filter(is_linked).filter(|other| !reached.contains(other)).collect();
                reached.extend(others);
            }
        }
        false
    }
}
