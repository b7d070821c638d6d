//! The sending side: the tail as it becomes durable, the backlog by reading, other origins' records after a pause.
//!
//! Never holds a group longer than the input that brought it: what cannot go now is read again later.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::base::{LinkId, LogId, Time, limits};
use crate::mesh::guard;
use crate::mesh::out::Outbox;
use crate::mesh::replica::Replica;
use crate::mesh::replica::session::Session;
use crate::sync::Group;

impl Replica {
    /// The peer's vector is complete: what it lacks goes into the queue. Other origins' logs wait a moment, each node another
    /// one, so that of several nodes that all have them one begins and the others see it.
    pub(super) fn begin(&mut self, now: Time, link: LinkId, out: &mut Outbox) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        session.complete = true;
        // What has moved since this node's vector.
        for (log, local) in &self.logs {
            session.tell(*log, local.durable, local.applied(), false, out);
        }
        for (log, local) in self.logs.iter().filter(|(_, local)| local.durable > 0) {
            if *log != self.own && session.lacks(log, local.durable) {
                let moment = guard::up_to(limits::SPREAD_DELAY, &mut self.rng);
                park(&mut self.later, session, *log, now + moment);
            }
            session.queue(*log, local.durable, local.base);
        }
        session.pump(out);
        self.compare_all(now, link, out);
        self.look_soon(now);
    }

    /// A group of the own log is durable: whoever has all before it gets it now, the others in their turn.
    pub(super) fn tail(&mut self, group: &Group, out: &mut Outbox) {
        let base = self.logs.get(&group.log).map_or(0, |local| local.base);
        for session in self.sessions.values_mut().filter(|s| s.complete) {
            let has = session.known(&group.log).is_some_and(|f| f.sent >= group.last);
            if has || (session.is_caught_up() && session.push(group, out)) {
                continue;
            }
            session.queue(group.log, group.last, base);
            session.pump(out);
        }
    }

    /// Another origin's log has moved past `before`: neighbours that lack it get it, unless they have it from elsewhere soon.
    pub(super) fn spread(&mut self, now: Time, log: LogId, before: u64) {
        let Some(durable) = self.logs.get(&log).map(|l| l.durable) else { return };
        for session in self.sessions.values_mut().filter(|s| s.complete) {
            let (home, queued) = (session.home == Some(log), session.is_queued(&log));
            let Some(follower) = session.follower(log, true) else { continue };
            if home && follower.sent >= before {
                // The peer wrote these records itself.
                follower.sent = follower.sent.max(durable);
            } else if follower.sent < durable && !queued {
                park(&mut self.later, session, log, now + spread_delay(&mut self.rng));
            }
        }
    }

    /// Pushes more of a log, unless it is another origin's and somebody else is feeding it to the peer: then a while later.
    pub(super) fn feed(&mut self, now: Time, link: LinkId, log: LogId, out: &mut Outbox) {
        let (Some(session), Some(local)) = (self.sessions.get_mut(&link), self.logs.get(&log)) else { return };
        if log != self.own && session.lacks(&log, local.durable) && session.is_fed_elsewhere(&log) {
            park(&mut self.later, session, log, now + spread_delay(&mut self.rng));
        }
        session.queue(log, local.durable, local.base);
        session.pump(out);
    }

    /// Groups were read for a laggard: pushes those that are next and fit the window.
    pub(in crate::mesh) fn read_done(&mut self, now: Time, link: LinkId, log: LogId, groups: &[Group], out: &mut Outbox) {
        let (Some(session), Some(local)) = (self.sessions.get_mut(&link), self.logs.get(&log)) else { return };
        let Some((_, from)) = session.reading.take_if(|(reading, _)| *reading == log) else { return };
        let sent = session.known(&log).map_or(0, |f| f.sent);
        let mut pushed = 0;
        for group in groups.iter().filter(|g| g.log == log && g.last > sent) {
            if !session.push(group, out) {
                break;
            }
            pushed += 1;
        }
        let had_room = session.has_room();
        if pushed == 0 && had_room && sent < local.durable && from == sent.saturating_add(1) {
            // The log could not be read where it should be: not at once again.
            park(&mut self.later, session, log, now + limits::REPLICA_RETRY);
        }
        session.queue(log, local.durable, local.base);
        session.pump(out);
    }
}

/// The pause before another origin's records are forwarded, longer by up to a half so that neighbours do not forward in step.
fn spread_delay(rng: &mut fastrand::Rng) -> Duration {
    limits::SPREAD_DELAY + guard::up_to(limits::SPREAD_DELAY / 2, rng)
}

/// Lets a follower wait until `at`, unless it waits already.
pub(super) fn park(later: &mut BTreeSet<(Time, LinkId, LogId)>, session: &mut Session, log: LogId, at: Time) {
    let link = session.link;
    if let Some(follower) = session.follower(log, true).filter(|f| !f.waiting) {
        follower.waiting = true;
        follower.fed_elsewhere = false;
        later.insert((at, link, log));
    }
}
