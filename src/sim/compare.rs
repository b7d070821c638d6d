//! Logs compared between simulated nodes: what the driver does, in the same order, and who has to know of two histories in the end.

use crate::base::{LinkId, LogId};
use crate::mesh::io::{Compared, Input, SealRecord};
use crate::sim::check::Check;
use crate::sim::node::{Node, name};
use crate::sim::world::World;
use crate::sync::{Group, StoreError};

/// What a mesh wants of its log about seals.
#[derive(Debug)]
pub(super) enum SealWork {
    Read(Vec<LogId>),
    Compare(LinkId, LogId, Box<SealRecord>),
}

impl World<'_> {
    /// Whether a crash has struck.
    pub(super) fn seal_turn(&mut self, node: usize, work: SealWork) -> Result<bool, String> {
        match work {
            SealWork::Read(logs) => {
                let Some(life) = &self.nodes[node].life else { return Ok(true) };
                let seal = |log: &LogId| life.wal.last_seal(*log).map(|seal| (*log, seal));
                let seals = logs.iter().map(seal).collect::<Result<_, _>>().map_err(|e| format!("{}: {e}", name(node)))?;
                self.step(node, Input::LastSeals { seals }).map(|()| false)
            }
            SealWork::Compare(link, log, seal) => self.compare(node, link, log, *seal),
        }
    }

    fn compare(&mut self, node: usize, link: LinkId, log: LogId, seal: SealRecord) -> Result<bool, String> {
        let own = |nodes: &[Node]| nodes[node].life.as_ref().map(|life| life.wal.own());
        if own(&self.nodes) == Some(log) && self.flush(node)? {
            return Ok(true);
        }
        let Some(life) = &mut self.nodes[node].life else { return Ok(true) };
        let mut verdict = life.wal.compare(log, &seal);
        if self.struck(node)? {
            return Ok(true);
        }
        match &verdict {
            Compared::Differs { why: StoreError::Rollback { .. }, .. } if self.nodes[node].hurt => {
                self.renew(node)?;
                if self.struck(node)? {
                    return Ok(true);
                }
                if own(&self.nodes).is_some_and(|own| own != log) {
                    self.counts.shown += 1;
                    let again = self.nodes[node].life.as_mut().map(|life| life.wal.compare(log, &seal));
                    if self.struck(node)? {
                        return Ok(true);
                    }
                    again.map_or(Ok(()), |again| self.freeze(node, link, log, &again))?;
                } else {
                    // The disk refuses now: nothing has changed, so that it is to be compared again.
                    verdict = Compared::Failed("no new log could be begun".into());
                }
            }
            Compared::Fits | Compared::Unknown => {}
            verdict => self.freeze(node, link, log, verdict)?,
        }
        self.step(node, Input::Compared { link, log, seal, verdict: Box::new(verdict) }).map(|()| false)
    }

    fn freeze(&mut self, node: usize, link: LinkId, log: LogId, verdict: &Compared) -> Check {
        match verdict {
            Compared::Fits | Compared::Unknown => Ok(()),
            Compared::Differs { why: why @ StoreError::Fork { seq }, .. } if self.oracle.is_forked(log) => {
                self.counts.compared += 1;
                self.step(node, Input::Forked { link, log, seq: *seq, detail: why.to_string() })
            }
            other => Err(format!("{} compares an honest seal of {log}: {other:?}", name(node))),
        }
    }

    /// Two linked nodes that hold two histories of a log, one of which does not know it.
    pub(super) fn unaware(&self) -> Option<String> {
        for (log, _) in self.oracle.logs().into_iter().filter(|(log, _)| self.oracle.is_forked(*log)) {
            for a in 0..self.nodes.len() {
                let of = |b: usize| self.nodes[b].identity.id();
                let is_linked = |b: &usize| self.nodes[a].life.as_ref().is_some_and(|life| life.routes.contains_key(&of(*b)));
                for b in (0..a).filter(is_linked) {
                    if self.differ(a, b, log)
                        && let Some(who) = [a, b].into_iter().find(|node| !self.knows(*node, log))
                    {
                        return Some(format!("{} and {} hold two histories of {log}, and {} does not know", name(a), name(b), name(who)));
                    }
                }
            }
        }
        None
    }

    pub(super) fn knows(&self, node: usize, log: LogId) -> bool {
        let life = self.nodes[node].life.as_ref();
        life.is_some_and(|life| life.mesh.log(log).is_some_and(|view| view.frozen))
    }

    /// Whether two nodes hold different groups at the last place that both have.
    fn differ(&self, a: usize, b: usize, log: LogId) -> bool {
        let wal = |node: usize| self.nodes[node].life.as_ref().map(|life| &life.wal);
        let (Some(a), Some(b)) = (wal(a), wal(b)) else { return false };
        let both = a.durable(log).min(b.durable(log));
        let at = |wal: &crate::sync::Wal<crate::sim::disk::SimDisk>| wal.read(log, both, 1).ok()?.into_iter().next();
        let (one, two): (Option<Group>, Option<Group>) = (at(a), at(b));
        both > 0 && one.zip(two).is_some_and(|(one, two)| one != two)
    }
}
