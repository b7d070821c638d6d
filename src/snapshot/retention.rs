//! What may go of the logs: the records that a durable snapshot holds and that every replica still counted has.
//!
//! A replica that was not heard of for the lease does not count; it takes a snapshot when it comes back. Nor does the origin of a log
//! count for that log: it wrote the records, and one that was set back begins a new log. A cap on the bytes kept lets
//! records go that a counted replica lacks, and says whose they were, but never such that no snapshot holds. Never touches a log: it
//! names the places, and whoever keeps the logs cuts there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::{LogId, PeerId};
use crate::snapshot::manifest::Place;
use crate::snapshot::replicas::Replicas;

/// What is kept of one log, by the places where it can be cut.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Kept {
    /// Every place where it can be cut, rising: the last record before it, and the bytes between the cut before and this one.
    pub cuts: Vec<(u64, u64)>,
    /// Bytes behind the last of them, which stay in any case.
    pub rest: u64,
}

impl Kept {
    fn bytes(&self) -> u64 {
        self.cuts.iter().fold(self.rest, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }
}

/// Whether replicas count, and how much may stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// The wall clock, microseconds since 1970.
    pub now_us: u64,
    /// A replica counts for so long after it was heard of.
    pub lease: Duration,
    /// Bytes of logs at most, if a snapshot holds the others; `None` for no cap.
    pub cap: Option<u64>,
}

/// What goes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// The last record that may go, by log. Logs of which nothing goes are left out.
    pub upto: BTreeMap<LogId, u64>,
    /// Bytes that go.
    pub bytes: u64,
    /// Replicas that count and lack records that go because of the cap: they will need a snapshot. With the logs.
    pub forced: BTreeMap<PeerId, BTreeSet<LogId>>,
    /// Bytes above the cap that no snapshot holds: a newer one is needed.
    pub above: u64,
}

/// What may go of `kept` when `places` are those of the newest durable snapshot.
pub fn plan(places: &[Place], replicas: &Replicas, kept: &BTreeMap<LogId, Kept>, rule: &Rule) -> Plan {
    // The tail of the snapshot begins behind its seal, so the group of the record it has applied last is needed.
    let covered: BTreeMap<LogId, u64> =
        places.iter().filter_map(|place| Some((place.log, place.sealed.as_ref()?.seq.min(place.applied)))).collect();
    let counted: Vec<PeerId> = replicas.counted(rule.now_us, rule.lease).collect();
    // The cuts taken of each log so far.
    let mut taken: BTreeMap<LogId, usize> = BTreeMap::new();
    let mut left = kept.values().fold(0u64, |sum, kept| sum.saturating_add(kept.bytes()));
    let all = left;
    for (log, kept) in kept {
        let others = counted.iter().filter(|peer| **peer != log.origin);
        let free = others.map(|peer| replicas.durable(peer, log)).chain([covered.get(log).copied().unwrap_or(0)]).min().unwrap_or(0);
        let cuts = kept.cuts.iter().take_while(|(seq, _)| *seq <= free);
        let (number, bytes) = cuts.fold((0, 0u64), |(number, sum), (_, bytes)| (number + 1, sum.saturating_add(*bytes)));
        left -= bytes.min(left);
        taken.insert(*log, number);
    }
    let mut plan = Plan::default();
    while rule.cap.is_some_and(|cap| left > cap) {
        let Some((log, (seq, bytes))) = next_forced(kept, &taken, &covered) else { break };
        *taken.entry(log).or_default() += 1;
        left -= bytes.min(left);
        for peer in counted.iter().filter(|peer| **peer != log.origin && replicas.durable(peer, &log) < seq) {
            plan.forced.entry(*peer).or_default().insert(log);
        }
    }
    let last = |(log, number): (&LogId, &usize)| Some((*log, kept.get(log)?.cuts.get(number.checked_sub(1)?)?.0));
    plan.upto = taken.iter().filter_map(last).collect();
    plan.bytes = all - left;
    plan.above = rule.cap.map_or(0, |cap| left.saturating_sub(cap));
    plan
}

/// Of the log that still keeps most among those with anything a snapshot holds: its next cut.
fn next_forced(
    kept: &BTreeMap<LogId, Kept>,
    taken: &BTreeMap<LogId, usize>,
    covered: &BTreeMap<LogId, u64>,
) -> Option<(LogId, (u64, u64))> {
    let next = |(log, kept): (&LogId, &Kept)| {
        let number = taken.get(log).copied().unwrap_or(0);
        let cut = *kept.cuts.get(number).filter(|(seq, _)| covered.get(log).is_some_and(|upto| seq <= upto))?;
        let stays = kept.cuts.iter().skip(number).fold(kept.rest, |sum, (_, bytes)| sum.saturating_add(*bytes));
        Some((stays, *log, cut))
    };
    kept.iter().filter_map(next).max().map(|(_, log, cut)| (log, cut))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock};

    use proptest::prelude::*;

    use super::*;
    use crate::base::{Incarnation, limits};
    use crate::crypto::{Identity, Secret};
    use crate::sync::{MemStorage, Wal};

    const LOGS: usize = 3;
    const RECORDS: u64 = 24;

    /// Three logs of 24 records, each a group, and the place behind every record.
    fn places() -> &'static [(LogId, Vec<Place>)] {
        static MADE: OnceLock<Vec<(LogId, Vec<Place>)>> = OnceLock::new();
        MADE.get_or_init(|| (0..LOGS).map(|n| log(n as u8 + 1)).collect())
    }

    fn log(n: u8) -> (LogId, Vec<Place>) {
        let identity = Arc::new(Identity::from_seed(&Secret::new([n; 32])));
        let mut wal = Wal::open(MemStorage::new(), identity, Incarnation(1)).expect("memory").0;
        (0..RECORDS).for_each(|_| drop(wal.append(1, &["x".into()]).expect("memory")));
        let log = wal.own();
        let place = |applied| Place { log, applied, sealed: wal.place_before(log, applied).expect("memory") };
        (log, (0..=RECORDS).map(place).collect())
    }

    #[derive(Clone, Debug)]
    struct World {
        places: Vec<Place>,
        replicas: Vec<(PeerId, u64, Vec<u64>)>,
        kept: BTreeMap<LogId, Kept>,
        rule: Rule,
    }

    impl World {
        fn table(&self) -> Replicas {
            let mut table = Replicas::default();
            for (peer, heard_us, durable) in &self.replicas {
                table.heard(*peer, *heard_us);
                places().iter().zip(durable).for_each(|((log, _), seq)| table.acked(*peer, *log, *seq));
            }
            table
        }

        fn plan(&self) -> Plan {
            plan(&self.places, &self.table(), &self.kept, &self.rule)
        }

        fn counts(&self, heard_us: u64) -> bool {
            self.rule.now_us.saturating_sub(heard_us) < self.rule.lease.as_micros() as u64
        }
    }

    prop_compose! {
        fn cuts()(ends in proptest::collection::btree_set(1..RECORDS, 0..6), bytes in proptest::collection::vec(1u64..100, 6), rest in 0u64..50) -> Kept {
            Kept { cuts: ends.into_iter().zip(bytes).collect(), rest }
        }
    }

    prop_compose! {
        fn world()(
            applied in proptest::collection::vec(proptest::option::of(0..=RECORDS as usize), LOGS),
            replicas in proptest::collection::vec((0u64..200, proptest::collection::vec(0..=RECORDS, LOGS)), 0..4),
            kept in proptest::collection::vec(cuts(), LOGS),
            cap in proptest::option::of(0u64..1200),
        ) -> World {
            let place = |(n, at): (usize, &Option<usize>)| at.map(|at| places()[n].1[at].clone());
            // The first is the origin of a log.
            let peer = |n: usize| if n == 0 { places()[0].0.origin } else { PeerId([n as u8; 32]) };
            let replica = |(n, (heard_us, durable))| (peer(n), heard_us, durable);
            World {
                places: applied.iter().enumerate().filter_map(place).collect(),
                replicas: replicas.into_iter().enumerate().map(replica).collect(),
                kept: places().iter().map(|(log, _)| *log).zip(kept).collect(),
                rule: Rule { now_us: 200, lease: Duration::from_micros(100), cap },
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_goes_that_no_snapshot_holds(world in world()) {
            for (log, upto) in world.plan().upto {
                let place = world.places.iter().find(|place| place.log == log).expect("a place in a log that is cut");
                prop_assert!(upto <= place.applied);
                prop_assert!(place.sealed.as_ref().is_some_and(|sealed| upto <= sealed.seq));
            }
        }

        #[test]
        fn without_a_cap_nothing_goes_that_a_counted_replica_lacks(mut world in world()) {
            world.rule.cap = None;
            let plan = world.plan();
            prop_assert!(plan.forced.is_empty() && plan.above == 0);
            for (n, (log, _)) in places().iter().enumerate() {
                let upto = plan.upto.get(log).copied().unwrap_or(0);
                let counted = world.replicas.iter().filter(|(peer, heard_us, _)| *peer != log.origin && world.counts(*heard_us));
                counted.for_each(|(_, _, durable)| assert!(upto <= durable[n]));
            }
        }

        #[test]
        fn a_cap_holds_unless_the_snapshot_is_too_old_for_it(world in world()) {
            let plan = world.plan();
            let kept: u64 = world.kept.values().map(Kept::bytes).sum();
            let Some(cap) = world.rule.cap else { return Ok(()) };
            prop_assert_eq!(plan.above, (kept - plan.bytes).saturating_sub(cap));
            if plan.above > 0 {
                for (log, kept) in &world.kept {
                    let sealed = world.places.iter().find(|place| place.log == *log).and_then(|place| place.sealed.as_ref());
                    let most = kept.cuts.iter().map(|(seq, _)| *seq).rfind(|seq| sealed.is_some_and(|sealed| *seq <= sealed.seq));
                    prop_assert_eq!(plan.upto.get(log).copied(), most);
                }
            }
        }

        #[test]
        fn whoever_lacks_what_goes_is_named(world in world()) {
            let plan = world.plan();
            for (n, (log, _)) in places().iter().enumerate() {
                let upto = plan.upto.get(log).copied().unwrap_or(0);
                for (peer, heard_us, durable) in &world.replicas {
                    let named = plan.forced.get(peer).is_some_and(|logs| logs.contains(log));
                    prop_assert_eq!(named, *peer != log.origin && world.counts(*heard_us) && durable[n] < upto);
                }
            }
        }

        #[test]
        fn an_update_that_was_lost_only_keeps_more(mut world in world(), of in 0usize..4, log in 0..LOGS, less in 1u64..20) {
            world.rule.cap = None;
            let before = world.plan();
            let Some((_, _, durable)) = world.replicas.get_mut(of) else { return Ok(()) };
            durable[log] = durable[log].saturating_sub(less);
            for (log, upto) in world.plan().upto {
                prop_assert!(before.upto.get(&log).is_some_and(|earlier| upto <= *earlier));
            }
        }

        #[test]
        fn a_replica_that_was_silent_for_the_lease_does_not_count(mut world in world()) {
            world.rule.cap = None;
            let mut alone = world.clone();
            alone.replicas.clear();
            world.replicas.iter_mut().for_each(|(_, heard_us, _)| *heard_us = 100);
            prop_assert_eq!(world.plan(), alone.plan());
        }
    }

    #[test]
    fn the_origin_of_a_log_keeps_none_of_it_back_and_needs_no_snapshot_of_it() {
        let ((log, places), (other, _)) = (&places()[0], &places()[1]);
        let kept = BTreeMap::from([(*log, Kept { cuts: vec![(5, 10), (9, 10)], rest: 1 })]);
        let mut replicas = Replicas::default();
        // As an origin speaks of its own log: in its vector, and never again.
        replicas.heard(log.origin, 10);
        replicas.acked(log.origin, *log, 0);
        replicas.heard(other.origin, 10);
        replicas.acked(other.origin, *log, 5);
        let rule = |cap| Rule { now_us: 10, lease: limits::REPLICA_LEASE, cap };
        assert_eq!(plan(&places[10..11], &replicas, &kept, &rule(None)).upto, BTreeMap::from([(*log, 5)]));
        let forced = plan(&places[10..11], &replicas, &kept, &rule(Some(1)));
        assert_eq!(forced.upto, BTreeMap::from([(*log, 9)]));
        assert_eq!(forced.forced, BTreeMap::from([(other.origin, BTreeSet::from([*log]))]));
    }

    #[test]
    fn a_replica_heard_of_by_a_clock_that_was_ahead_counts() {
        let (log, places) = &places()[0];
        let kept = BTreeMap::from([(*log, Kept { cuts: vec![(5, 10)], rest: 1 })]);
        let rule = Rule { now_us: 10, lease: limits::REPLICA_LEASE, cap: None };
        let mut replicas = Replicas::default();
        replicas.heard(PeerId([1; 32]), 1_000_000_000);
        assert_eq!(plan(&places[9..10], &replicas, &kept, &rule), Plan::default());
        replicas.acked(PeerId([1; 32]), *log, 5);
        assert_eq!(plan(&places[9..10], &replicas, &kept, &rule).upto, BTreeMap::from([(*log, 5)]));
    }
}
