//! Causal mode: what this node's next record comes after, and records that wait for those they come after.
//!
//! ```text
//!   carrier ──may_have──► here? ──no──► ApplyWaits ──► the log waits ──awaited logs move──► offered again
//!   carrier ──take──► what moved since the last record ──► lines of the next one
//! ```
//!
//! A record that was given to the application counts at once as what comes before this node's next record, since the answer to it may be
//! appended before it is answered for: too much is named then, never too little, and no circle, since the next record is not written yet.
//! Never offers anything by itself for longer than an input, reads no record's bytes, and writes nothing down: after a restart a record
//! that has to wait is found out again when it is offered.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::base::{LogId, limits};
use crate::mesh::out::Outbox;
use crate::mesh::replica::local::Local;
use crate::mesh::replica::{Replica, offer};
use crate::sync::{Cause, Causes};

/// A log that waits for others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct LogWait {
    /// Its record that waits.
    pub seq: u64,
    /// What that waits for; it may be more than this.
    pub needs: Cause,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Waits {
    /// Whether this node keeps causes at all.
    is_on: bool,
    /// Logs that may have moved since they were named last.
    fresh: BTreeSet<LogId>,
    /// How far each was named in the log this node appends to.
    named: BTreeMap<LogId, u64>,
    /// What the application has been given and not answered for.
    given: BTreeMap<LogId, u64>,
    /// The record each waiting log stands at, and what it lacks; at most `CAUSES_AWAITED_MAX` each.
    waiting: BTreeMap<LogId, (u64, Vec<Cause>)>,
    /// Who waits for what.
    awaited: BTreeMap<Cause, BTreeSet<LogId>>,
    /// Records that somebody ordered not to wait for these any more, until they are applied.
    waived: BTreeMap<LogId, (u64, BTreeSet<Cause>)>,
    /// Logs that moved during this input without being news to peers.
    stirred: BTreeSet<LogId>,
}

impl Waits {
    /// Nothing is named yet of `logs`.
    pub(super) fn new(is_on: bool, logs: impl Iterator<Item = LogId>) -> Waits {
        Waits {
            is_on,
            fresh: if is_on { logs.collect() } else { BTreeSet::new() },
            named: BTreeMap::new(),
            given: BTreeMap::new(),
            waiting: BTreeMap::new(),
            awaited: BTreeMap::new(),
            waived: BTreeMap::new(),
            stirred: BTreeSet::new(),
        }
    }

    /// The log has moved, which nobody else is told.
    pub(super) fn stir(&mut self, log: LogId) {
        if self.is_on {
            self.stirred.insert(log);
        }
    }

    /// The application has refused what it was given.
    pub(super) fn refuse(&mut self, log: LogId) {
        self.given.remove(&log);
    }

    /// A state with these places is about to be the application's.
    pub(super) fn give(&mut self, places: impl Iterator<Item = (LogId, u64)>) {
        if self.is_on {
            for (log, seq) in places {
                let given = self.given.entry(log).or_insert(0);
                *given = seq.max(*given);
                self.fresh.insert(log);
            }
        }
    }

    /// It will not be.
    pub(super) fn take_back<'a>(&mut self, places: impl Iterator<Item = &'a LogId>) {
        for log in places {
            self.given.remove(log);
        }
    }

    /// Nothing is named in the log this node appends to from now on.
    pub(super) fn begin_log(&mut self, logs: impl Iterator<Item = LogId>) {
        if self.is_on {
            self.named.clear();
            self.fresh.extend(logs);
        }
    }

    /// What a log waits for.
    pub(super) fn of(&self, log: &LogId) -> Option<LogWait> {
        let (seq, lacks) = self.waiting.get(log)?;
        lacks.first().map(|needs| LogWait { seq: *seq, needs: *needs })
    }

    fn wait(&mut self, log: LogId, seq: u64, lacks: Vec<Cause>) {
        self.end(log);
        for cause in &lacks {
            self.awaited.entry(*cause).or_default().insert(log);
        }
        self.waiting.insert(log, (seq, lacks));
    }

    fn end(&mut self, log: LogId) {
        for cause in self.waiting.remove(&log).into_iter().flat_map(|(_, lacks)| lacks) {
            self.let_go(log, &cause);
        }
    }

    fn let_go(&mut self, log: LogId, cause: &Cause) {
        if let Some(waiters) = self.awaited.get_mut(cause) {
            waiters.remove(&log);
            if waiters.is_empty() {
                self.awaited.remove(cause);
            }
        }
    }

    /// A log waits no more for what it is shown to wait for; whether that was the last.
    fn waive(&mut self, log: LogId) -> bool {
        let Some((seq, lacks)) = self.waiting.get_mut(&log) else { return false };
        let (seq, cause) = (*seq, lacks.remove(0));
        let is_last = lacks.is_empty();
        self.let_go(log, &cause);
        if is_last {
            self.waiting.remove(&log);
        }
        let (at, waived) = self.waived.entry(log).or_insert_with(|| (seq, BTreeSet::new()));
        if *at != seq {
            (*at, *waived) = (seq, BTreeSet::new());
        }
        waived.insert(cause);
        is_last
    }

    fn is_waived(&self, log: LogId, seq: u64, cause: &Cause) -> bool {
        self.waived.get(&log).is_some_and(|(at, waived)| *at == seq && waived.contains(cause))
    }

    /// These records of a log are reached, none beyond `upto`: who has nothing left to wait for.
    fn met(&mut self, log: LogId, upto: u64, is_reached: impl Fn(u64) -> bool) -> Vec<LogId> {
        let of_log = self.awaited.range(Cause { log, seq: 0 }..=Cause { log, seq: upto });
        let met: Vec<Cause> = of_log.map(|(cause, _)| *cause).filter(|cause| is_reached(cause.seq)).collect();
        let mut free = Vec::new();
        for cause in met {
            for waiter in self.awaited.remove(&cause).into_iter().flatten() {
                let Some((_, lacks)) = self.waiting.get_mut(&waiter) else { continue };
                lacks.retain(|lacking| *lacking != cause);
                if lacks.is_empty() {
                    self.waiting.remove(&waiter);
                    free.push(waiter);
                }
            }
        }
        free
    }
}

/// Whether a record counts as applied for those that wait for it. A log with two histories comes no further here, and beyond where they are
/// known to part (they may have before) a number names no record: whoever waits for that would wait for ever, so it is enough to have what there is, up to where it is
/// itself held up by what its origin wrote.
fn is_reached(local: Option<&Local>, seq: u64) -> bool {
    let is_out = |local: &Local| local.reached() >= local.durable || local.is_waiting() || local.parked().is_some();
    let is_nowhere = |local: &Local| local.frozen.is_some_and(|fork| seq >= fork || seq > local.durable);
    local.is_some_and(|local| seq <= local.reached() || (is_nowhere(local) && is_out(local)))
}

impl Replica {
    /// Whether the application may have a record now. If not, what is lacking, `CAUSES_AWAITED_MAX` of it at most; `ApplyWaits` is to
    /// follow. If it may, the record counts from here on as what comes before the next one of this node.
    pub(in crate::mesh) fn may_have(&mut self, log: LogId, seq: u64, causes: &Causes) -> Result<(), Vec<Cause>> {
        if !self.waits.is_on {
            return Ok(());
        }
        let lacks = self.lacking(log, seq, causes.iter());
        if !lacks.is_empty() {
            return Err(lacks);
        }
        self.waits.give(std::iter::once((log, seq)));
        Ok(())
    }

    fn lacking(&self, log: LogId, seq: u64, causes: impl Iterator<Item = Cause>) -> Vec<Cause> {
        let lacks = |cause: &Cause| !is_reached(self.logs.get(&cause.log), cause.seq) && !self.waits.is_waived(log, seq, cause);
        causes.filter(lacks).take(limits::CAUSES_AWAITED_MAX).collect()
    }

    /// The carrier found a record that has to wait, after all before it were applied.
    pub(in crate::mesh) fn apply_waits(&mut self, log: LogId, seq: u64, causes: Vec<Cause>, out: &mut Outbox) {
        if !self.logs.get_mut(&log).is_some_and(|local| local.wait(seq)) {
            return;
        }
        self.news.insert(log);
        // What has come meanwhile is not waited for.
        let lacks = self.lacking(log, seq, causes.into_iter());
        if lacks.is_empty() {
            self.go_on(log, out);
        } else {
            self.waits.wait(log, seq, lacks);
        }
    }

    /// Somebody orders a log that waits to do so no more for what it is shown to wait for at this moment. What else its record comes after
    /// is still waited for: nobody has given that up.
    pub(super) fn wait_no_more(&mut self, log: LogId, out: &mut Outbox) {
        if self.waits.waive(log) {
            self.go_on(log, out);
        }
    }

    fn go_on(&mut self, log: LogId, out: &mut Outbox) {
        if let Some(local) = self.logs.get_mut(&log) {
            local.go_on();
            offer(log, local, self.take.is_holding(), out);
        }
    }

    /// At the end of an input: whoever waited for what came with it goes on.
    pub(super) fn wake(&mut self, out: &mut Outbox) {
        if !self.waits.is_on {
            return;
        }
        let mut moved = std::mem::take(&mut self.waits.stirred);
        moved.extend(self.news.iter().copied());
        for log in moved {
            let Some(local) = self.logs.get(&log) else { continue };
            if !local.is_waiting() {
                self.waits.end(log);
            }
            if self.waits.waived.get(&log).is_some_and(|(seq, _)| *seq <= local.reached()) {
                self.waits.waived.remove(&log);
            }
            if self.waits.given.get(&log).is_some_and(|given| *given <= local.reached()) {
                self.waits.given.remove(&log);
            }
            self.waits.fresh.insert(log);
            let upto = if local.frozen.is_some() { u64::MAX } else { local.reached() };
            for waiter in self.waits.met(log, upto, |seq| is_reached(Some(local), seq)) {
                self.go_on(waiter, out);
            }
        }
    }

    /// What the next record of this node comes after in other logs, as far as the records before it have not said so. Counts as said
    /// unless it is given back.
    pub(in crate::mesh) fn take_causes(&mut self) -> Vec<Cause> {
        let mut causes = Vec::new();
        for log in std::mem::take(&mut self.waits.fresh).into_iter().filter(|log| *log != self.own) {
            let reached = self.logs.get(&log).map_or(0, Local::reached);
            let seq = reached.max(self.waits.given.get(&log).copied().unwrap_or(0));
            if seq > self.waits.named.get(&log).copied().unwrap_or(0) {
                self.waits.named.insert(log, seq);
                causes.push(Cause { log, seq });
            }
        }
        causes
    }

    /// The record was not written.
    pub(in crate::mesh) fn give_back_causes(&mut self, causes: &[Cause]) {
        for cause in causes {
            self.waits.named.remove(&cause.log);
            self.waits.fresh.insert(cause.log);
        }
    }

    /// The places of the snapshot that is to be taken in, or was not.
    pub(super) fn expect_state(&mut self, is_coming: bool) {
        let places = &self.take.places;
        if is_coming {
            self.waits.give(places.values().map(|place| (place.log, place.applied)));
        } else {
            self.waits.take_back(places.keys());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Incarnation, PeerId};

    fn log(n: u8) -> LogId {
        LogId { origin: PeerId([n; 32]), incarnation: Incarnation(7) }
    }

    fn cause(n: u8, seq: u64) -> Cause {
        Cause { log: log(n), seq }
    }

    #[test]
    fn a_log_goes_on_when_the_last_of_what_it_waits_for_is_there() {
        let mut waits = Waits::new(true, std::iter::empty());
        waits.wait(log(1), 5, vec![cause(2, 3), cause(3, 9)]);
        waits.wait(log(4), 1, vec![cause(2, 4)]);
        assert_eq!(waits.of(&log(1)), Some(LogWait { seq: 5, needs: cause(2, 3) }));
        assert!(waits.met(log(2), 3, |_| true).is_empty());
        assert_eq!(waits.of(&log(1)), Some(LogWait { seq: 5, needs: cause(3, 9) }));
        assert_eq!(waits.met(log(2), u64::MAX, |_| true), [log(4)]);
        assert_eq!((waits.met(log(3), 8, |_| true), waits.met(log(3), 9, |_| true)), (vec![], vec![log(1)]));
        assert!(waits.waiting.is_empty() && waits.awaited.is_empty());
    }

    #[test]
    fn a_log_that_waits_for_something_else_now_leaves_nothing_behind() {
        let mut waits = Waits::new(true, std::iter::empty());
        waits.wait(log(1), 5, vec![cause(2, 3)]);
        waits.wait(log(1), 6, vec![cause(3, 1)]);
        assert!(waits.met(log(2), 9, |_| true).is_empty());
        waits.end(log(1));
        assert!(waits.met(log(3), 9, |_| true).is_empty() && waits.awaited.is_empty());
    }
}
