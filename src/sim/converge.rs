//! The end phase: everything is healed and has to become equal, in time, and to stay so.
//!
//! Judges by what the oracle and the other rooms say is lacking; changes no node.

use std::time::Duration;

use crate::base::{Time, limits};
use crate::sim::check::Check;
use crate::sim::world::{What, World};

/// Virtual time in which everything must be equal once all is healed where nobody announces itself: a dead link noticed (15 s), a dial
/// under way (5 s) and a redial (16.5 s), one after the other, and what is written.
const CONVERGE: Duration = Duration::from_secs(60);
/// Virtual time in which every record must be everywhere where nodes announce themselves, besides three round trips: an announcement
/// (2.2 s), a dial and what is written. Where a bit flipped on a connection that is open then, there is the stale time besides: one in the
/// length of a record has the reader wait for the rest of what never ends, and only the silence tells. No packet is lost meanwhile: two
/// announcements lost in a row are two intervals, which leaves nothing of this. Where nobody announces itself dials go on being lost.
const SPREAD_ON_LAN: Duration = Duration::from_secs(5);
/// The same until everybody knows what its neighbours have, which begins anew with a link that takes the place of another one: a handshake with
/// a machine that has lost its power since lasts its five seconds, because an announcement that anybody may have forged does not call it
/// off, and what is dialled after that may find the same node by another way.
const CONVERGE_ON_LAN: Duration = Duration::from_secs(10);
/// Time all have to stay equal in.
const QUIET: Duration = Duration::from_secs(12);
/// How often the end phase looks whether it is done.
const LOOK: Duration = Duration::from_millis(20);

/// How far the run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Play,
    /// Everything is healed since then and has to become equal, and to stay so; every record is everywhere for so long already, everybody
    /// knows of it for so long.
    Converge {
        since: Time,
        full: Option<Time>,
        equal: Option<Time>,
    },
    /// It stayed equal for the quiet time: how long it took until every record was everywhere, and until everybody knew.
    Over {
        full: Duration,
        equal: Duration,
    },
}

/// What the end phase keeps.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) phase: Phase,
    /// Time beyond the usual until everything is equal.
    beyond: Duration,
    /// What it waits for.
    lacking: String,
    /// Since when somebody does not know any more what everybody knew, and how often that was so.
    lapse: Option<Time>,
    lapses: usize,
}

impl Ending {
    pub(super) fn new() -> Ending {
        Ending { phase: Phase::Play, beyond: Duration::ZERO, lacking: String::new(), lapse: None, lapses: 0 }
    }

    /// When everything was healed, once it was.
    pub(super) fn since(&self) -> Option<Time> {
        if let Phase::Converge { since, .. } = self.phase { Some(since) } else { None }
    }
}

impl World<'_> {
    /// What was planned, or had struck, before everything was healed takes effect only now: it is the last that happens.
    pub(super) fn begin_anew(&mut self) {
        if let Phase::Converge { .. } = &self.ending.phase {
            self.ending.phase = Phase::Converge { since: self.now, full: None, equal: None };
            self.ending.lapse = None;
        }
    }

    pub(super) fn heal_everything(&mut self) -> Check {
        self.trace.line(self.now, format_args!("* everything is healed"))?;
        self.ending.phase = Phase::Converge { since: self.now, full: None, equal: None };
        self.ending.beyond = if self.net.has_garbled() { limits::STALE_AFTER } else { Duration::ZERO };
        self.after(LOOK, What::Look);
        self.mend()
    }

    /// Whether the end phase is over, or has lasted too long.
    pub(super) fn look(&mut self) -> Check {
        let Phase::Converge { since, full, equal } = self.ending.phase else { return Ok(()) };
        self.resume_all()?;
        let missing = self.nodes.iter().find_map(|node| self.oracle.lacks(&self.nodes, node));
        let full = if missing.is_some() { None } else { full.or(Some(self.now)) };
        let took = self.now.since(since);
        if let Some(missing) = missing.as_ref().filter(|_| took > self.allowed_to_spread()) {
            return Err(format!("{} ms after everything was healed {missing}", took.as_millis()));
        }
        let lack = missing.or_else(|| self.lack());
        if lack.as_deref().unwrap_or_default() != self.ending.lacking {
            self.ending.lacking = lack.clone().unwrap_or_default();
            self.trace.line(self.now, format_args!("* lacking: {}", self.ending.lacking))?;
        }
        match (lack, equal.zip(full)) {
            (None, None) => {
                self.trace.line(self.now, format_args!("* everybody has everything"))?;
                self.ending.phase = Phase::Converge { since, full, equal: Some(self.now) };
                self.ending.lapse = None;
            }
            (None, Some((equal, full))) if self.now.since(equal) >= QUIET => match self.untidy() {
                Some(what) if self.now.since(equal) > 2 * QUIET => return Err(format!("long after everybody has everything {what}")),
                Some(_) => {}
                None => self.ending.phase = Phase::Over { full: full.since(since), equal: equal.since(since) },
            },
            (None, Some(_)) => {}
            (Some(lack), Some(_)) => {
                self.lapse(lack, took > self.allowed())?;
                self.ending.phase = Phase::Converge { since, full, equal: None };
            }
            (Some(lack), None) if self.now.since(self.ending.lapse.unwrap_or(since)) > self.allowed() => {
                return Err(format!("{} ms after everything was healed {lack}", took.as_millis()));
            }
            (Some(_), None) => self.ending.phase = Phase::Converge { since, full, equal: None },
        }
        self.after(LOOK, What::Look);
        Ok(())
    }

    /// Somebody does not know any more what everybody knew: a target whose dials failed so far turned out to be a peer that had come by
    /// itself meanwhile, and the new link took the place of the old one. That ends, and where it comes late it is counted: it is rare.
    fn lapse(&mut self, lack: String, is_late: bool) -> Check {
        self.ending.lapses += 1;
        self.counts.late_lapses += u64::from(is_late);
        if self.ending.lapses > self.options.nodes * self.options.nodes {
            return Err(format!("after everybody had everything {lack}, {} times now", self.ending.lapses));
        }
        self.ending.lapse = Some(self.now);
        Ok(())
    }

    /// How long it may take until every record is everywhere.
    pub(super) fn allowed_to_spread(&self) -> Duration {
        if self.is_quick() { SPREAD_ON_LAN + self.slack_on_lan() } else { self.allowed() }
    }

    /// Where nodes announce themselves, and nobody may have to take a snapshot, which is made, found to be late and made again before that.
    fn is_quick(&self) -> bool {
        self.profile.lan && self.counts.snapshots == 0
    }

    /// Three round trips, and what a flipped bit may cost.
    fn slack_on_lan(&self) -> Duration {
        6 * Duration::from_micros(self.profile.latency_us.1) + self.ending.beyond
    }

    /// How long it may take until everything is equal.
    fn allowed(&self) -> Duration {
        if self.is_quick() { CONVERGE_ON_LAN + self.slack_on_lan() } else { CONVERGE }
    }

    fn lack(&self) -> Option<String> {
        let forgotten = || self.letters.forgotten(self.now, |node, life| self.lives(node, life));
        self.nodes
            .iter()
            .find_map(|node| self.oracle.is_unsure(&self.nodes, node))
            .or_else(|| self.unlinked())
            .or_else(|| self.untidy().filter(|_| !self.profile.lan))
            .or_else(forgotten)
            .or_else(|| self.mail_lacks())
            .or_else(|| self.unaware())
    }
}
