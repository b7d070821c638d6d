//! One log as it stands here: durable, applied, what is being stored and what is being applied.
//!
//! Never speaks to a peer; it keeps the order `applied <= durable <= in storage`.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::{LinkId, Time, limits};
use crate::mesh::replica::session::Cost;
use crate::sync::SealRecord;

/// Credit to give back to a link: what it pushed that is settled now.
pub(super) type Credit = (LinkId, Cost);

/// Groups handed out for storage and not answered yet, all from one link, so that a bad group spoils only its sender's others.
#[derive(Debug)]
struct Storing {
    link: LinkId,
    /// Last record and cost of each.
    groups: VecDeque<(u64, Cost)>,
}

/// What the application is doing with the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Apply {
    Idle,
    /// It has been given the records up to here.
    Running {
        upto: u64,
    },
    /// It refused a record and gets it again after a pause.
    Refused,
    /// This record comes after others that are not here yet.
    Waiting {
        seq: u64,
    },
    /// It can never apply this record, and gets nothing before somebody says so.
    Parked {
        seq: u64,
    },
}

/// The state of one log.
#[derive(Debug)]
pub(super) struct Local {
    /// Highest durable record.
    pub(super) durable: u64,
    /// Last record that is not kept here.
    pub(super) base: u64,
    /// Highest applied record. Ahead of `durable` after damage was set aside: what is refetched is not applied again.
    cursor: u64,
    /// The disk refused; nothing is stored or asked for until then.
    pub(super) paused: Option<Time>,
    /// Forked, from this record on at the latest: stays as it is.
    pub(super) frozen: Option<u64>,
    /// The seal of the last group, as far as it was seen.
    pub(super) last_seal: Option<SealRecord>,
    /// Pushes were let drop while the log stood at this record; it is looked at again later.
    watched: Option<u64>,
    storing: Option<Storing>,
    apply: Apply,
    /// The record that was refused last, and how often in a row.
    refusal: Option<(u64, u32)>,
}

impl Local {
    pub(super) fn new(durable: u64, applied: u64) -> Local {
        Local {
            durable,
            base: 0,
            cursor: applied,
            paused: None,
            frozen: None,
            last_seal: None,
            watched: None,
            storing: None,
            apply: Apply::Idle,
            refusal: None,
        }
    }

    /// The seal that it ends with here, if that is known.
    pub(super) fn ending(&self) -> Option<SealRecord> {
        self.last_seal.filter(|seal| seal.last() == self.durable)
    }

    /// Notes that pushes were let drop. Whether nobody had noted so before.
    pub(super) fn watch(&mut self) -> bool {
        self.watched.replace(self.durable).is_none()
    }

    /// Whether the log has moved since [`Local::watch`]; ends the watch.
    pub(super) fn has_moved(&mut self) -> bool {
        self.watched.take().is_some_and(|stood| stood < self.durable)
    }

    /// The link whose groups are in storage.
    pub(super) fn storing_from(&self) -> Option<LinkId> {
        self.storing.as_ref().map(|s| s.link)
    }

    /// The highest record durable or in storage.
    pub(super) fn upto(&self) -> u64 {
        let last = self.storing.as_ref().and_then(|s| s.groups.back()).map_or(0, |(last, _)| *last);
        last.max(self.durable)
    }

    /// A group goes to storage.
    pub(super) fn store(&mut self, link: LinkId, last: u64, cost: Cost) {
        let storing = self.storing.get_or_insert_with(|| Storing { link, groups: VecDeque::new() });
        storing.groups.push_back((last, cost));
    }

    /// Records up to `durable` are durable; what was in storage up to there is settled.
    pub(super) fn advance(&mut self, durable: u64) -> Option<Credit> {
        self.durable = self.durable.max(durable);
        let storing = self.storing.as_mut()?;
        let (link, mut freed) = (storing.link, Cost::default());
        while let Some((_, cost)) = storing.groups.front().filter(|(last, _)| *last <= self.durable) {
            freed.add(*cost);
            storing.groups.pop_front();
        }
        if storing.groups.is_empty() {
            self.storing = None;
        }
        Some((link, freed))
    }

    /// Nothing in storage will come to anything.
    pub(super) fn give_up(&mut self) -> Option<Credit> {
        let storing = self.storing.take()?;
        let mut freed = Cost::default();
        storing.groups.iter().for_each(|(_, cost)| freed.add(*cost));
        Some((storing.link, freed))
    }

    /// Highest applied record among those that are durable.
    pub(super) fn applied(&self) -> u64 {
        self.cursor.min(self.durable)
    }

    /// Highest applied record, which may be more than there is here.
    pub(super) fn reached(&self) -> u64 {
        self.cursor
    }

    /// Whether nothing is known of the log, neither by records nor by a snapshot.
    pub(super) fn is_blank(&self) -> bool {
        self.durable == 0 && self.cursor == 0
    }

    /// Highest record that the application has applied or may be applying.
    pub(super) fn reaches(&self) -> u64 {
        if let Apply::Running { upto } = self.apply { upto.max(self.cursor) } else { self.cursor }
    }

    /// Whether the application has a range under way.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.apply, Apply::Running { .. })
    }

    /// The log stands behind `base` or later, and its records up to `applied` are in the application's state.
    pub(super) fn adopt(&mut self, base: u64, applied: u64) -> Option<Credit> {
        if base > self.durable {
            self.base = base;
        }
        self.has_applied(applied);
        self.advance(base)
    }

    /// Every durable record counts as applied: the own log.
    pub(super) fn settle(&mut self) {
        self.cursor = self.cursor.max(self.durable);
    }

    /// The next range for the application, if it has none and there is one.
    pub(super) fn offer(&mut self) -> Option<(u64, u64)> {
        if self.apply != Apply::Idle || self.cursor >= self.durable {
            return None;
        }
        self.apply = Apply::Running { upto: self.durable };
        Some((self.cursor + 1, self.durable))
    }

    /// The application has applied up to `seq`, which may be more than there is here.
    pub(super) fn has_applied(&mut self, seq: u64) {
        self.cursor = self.cursor.max(seq);
        let past = match self.apply {
            Apply::Running { upto } => self.cursor >= upto,
            Apply::Parked { seq } | Apply::Waiting { seq } => self.cursor >= seq,
            Apply::Idle | Apply::Refused => false,
        };
        if past {
            self.apply = Apply::Idle;
        }
        if self.refusal.is_some_and(|(refused, _)| self.cursor >= refused) {
            self.refusal = None;
        }
    }

    /// Whether the application has been offered `seq` and has not applied it.
    fn is_offered(&self, seq: u64) -> bool {
        matches!(self.apply, Apply::Running { upto } if seq > self.cursor && seq <= upto)
    }

    /// The application refused `seq` after applying what comes before. Returns when to offer it again, later each time for the same record,
    /// and whether that is to be told. `None` if it has not been offered.
    pub(super) fn refused(&mut self, seq: u64) -> Option<(Duration, bool)> {
        if !self.is_offered(seq) {
            return None;
        }
        let times = self.refusal.filter(|(last, _)| *last == seq).map_or(1, |(_, times)| times.saturating_add(1));
        self.cursor = seq - 1;
        self.apply = Apply::Refused;
        self.refusal = Some((seq, times));
        let pause = (limits::APPLY_RETRY_BASE * (1 << (times - 1).min(10))).min(limits::APPLY_RETRY_MAX);
        Some((pause, times.is_power_of_two() || times.is_multiple_of(limits::APPLY_REFUSALS_TOLD)))
    }

    /// The pause after a refusal is over.
    pub(super) fn resume(&mut self) {
        if self.apply == Apply::Refused {
            self.apply = Apply::Idle;
        }
    }

    /// Record `seq` has to wait for others, and what comes before it is applied. `false` if it has not been offered.
    pub(super) fn wait(&mut self, seq: u64) -> bool {
        let offered = self.is_offered(seq);
        if offered {
            self.cursor = seq - 1;
            self.apply = Apply::Waiting { seq };
        }
        offered
    }

    /// Whether a record waits for others.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.apply, Apply::Waiting { .. })
    }

    /// What was waited for is there.
    pub(super) fn go_on(&mut self) {
        if self.is_waiting() {
            self.apply = Apply::Idle;
        }
    }

    /// The application can never apply `seq`, and has applied what comes before. `false` if it has not been offered.
    pub(super) fn park(&mut self, seq: u64) -> bool {
        let offered = self.is_offered(seq);
        if offered {
            self.cursor = seq - 1;
            self.apply = Apply::Parked { seq };
        }
        offered
    }

    /// The log was parked at `seq` when the node last ran.
    pub(super) fn still_parked(&mut self, seq: u64) -> bool {
        let parked = seq == self.cursor.saturating_add(1);
        if parked {
            self.apply = Apply::Parked { seq };
        }
        parked
    }

    /// The record the log is parked at.
    pub(super) fn parked(&self) -> Option<u64> {
        if let Apply::Parked { seq } = self.apply { Some(seq) } else { None }
    }

    /// Somebody wants the application to go on, with the record it is parked at or behind it. That record, if there is one.
    pub(super) fn unpark(&mut self, skip: bool) -> Option<u64> {
        let seq = self.parked()?;
        self.apply = Apply::Idle;
        if skip {
            self.cursor = seq;
        }
        Some(seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_under_way_at_a_time_and_the_next_begins_where_it_ended() {
        let mut log = Local::new(3, 0);
        assert_eq!(log.offer(), Some((1, 3)));
        log.advance(5);
        assert_eq!(log.offer(), None);
        log.has_applied(2);
        assert_eq!(log.offer(), None);
        log.has_applied(3);
        assert_eq!(log.offer(), Some((4, 5)));
    }

    #[test]
    fn applied_never_exceeds_durable() {
        let mut log = Local::new(3, 9);
        log.has_applied(100);
        assert_eq!((log.durable, log.applied()), (3, 3));
    }

    #[test]
    fn records_that_were_set_aside_are_not_applied_again_when_they_come_back() {
        let mut log = Local::new(0, 7);
        log.advance(5);
        assert_eq!((log.applied(), log.offer()), (5, None));
        log.advance(9);
        assert_eq!(log.offer(), Some((8, 9)));
    }

    #[test]
    fn a_parked_log_offers_nothing_until_it_is_told_to_and_skips_only_by_order() {
        let mut log = Local::new(9, 2);
        assert!(!log.park(4), "nothing was offered");
        assert_eq!(log.offer(), Some((3, 9)));
        log.has_applied(3);
        assert!(log.park(5), "record 4 was applied and not told of");
        log.advance(12);
        assert_eq!((log.offer(), log.applied(), log.parked()), (None, 4, Some(5)));
        assert_eq!((log.unpark(false), log.offer()), (Some(5), Some((5, 12))));
        assert!(log.park(5));
        assert_eq!((log.unpark(true), log.unpark(true), log.offer()), (Some(5), None, Some((6, 12))));
    }

    #[test]
    fn a_record_refused_again_and_again_is_offered_after_pauses_that_double_to_a_limit() {
        let mut log = Local::new(9, 0);
        let mut refuse = || {
            log.offer().expect("offered again");
            let (pause, told) = log.refused(4).expect("was offered");
            log.resume();
            (pause.as_millis() as u64, told)
        };
        let seen: Vec<(u64, bool)> = (0..100).map(|_| refuse()).collect();
        assert_eq!(seen[..4], [(500, true), (1_000, true), (1_000, false), (1_000, true)]);
        let told: Vec<usize> = seen.iter().zip(1..).filter(|((_, told), _)| *told).map(|(_, times)| times).collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 32, 64, 96]);
        assert_eq!((log.applied(), log.offer()), (3, Some((4, 9))));
        log.has_applied(4);
        assert_eq!(log.refused(5), Some((limits::APPLY_RETRY_BASE, true)));
    }

    #[test]
    fn credit_comes_back_when_a_group_is_durable_or_given_up() {
        let mut log = Local::new(0, 0);
        for last in 1..=3 {
            log.store(LinkId(7), last, Cost { bytes: 100, records: 1 });
        }
        assert_eq!((log.upto(), log.advance(2)), (3, Some((LinkId(7), Cost { bytes: 200, records: 2 }))));
        assert_eq!((log.upto(), log.give_up()), (3, Some((LinkId(7), Cost { bytes: 100, records: 1 }))));
        assert_eq!((log.upto(), log.storing_from()), (2, None));
    }
}
