//! What goes to one next hop, shared among those who bring it: the next hop counts all of it against this node, so here is who can tell
//! a greedy neighbour from the others.
//!
//! To each next hop a debt drains at the rate at which relays take from one neighbour, and what drains is divided evenly among those who
//! have any. One of them may have so many times as much of it as is left free: alone it gets nearly all, there is always some room for one
//! that comes later, and while that one makes use of it the first gets no more. Never judges what is brought.

use std::collections::BTreeMap;

use crate::base::{PeerId, Time, limits};

/// Nanoseconds in which the whole debt towards a next hop drains.
const BURST: u64 = limits::RELAY_KIB_EVERY.as_nanos() as u64 * limits::RELAY_BURST_KIB as u64;

#[derive(Debug)]
struct Hop {
    at: Time,
    /// What each neighbour has sent there and is not drained, in nanoseconds; this node's own is under its own name.
    debts: BTreeMap<PeerId, u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Fair {
    hops: BTreeMap<PeerId, Hop>,
}

impl Fair {
    /// Whether that neighbour may send so many KiB more to that next hop.
    pub(super) fn has_room(&mut self, now: Time, (by, on): (PeerId, PeerId), cost: u32) -> bool {
        let Some(hop) = self.hops.get_mut(&on) else { return true };
        hop.drain(now);
        let (cost, debt) = (nanos(cost), hop.debts.get(&by).copied().unwrap_or(0));
        let free = BURST.saturating_sub(hop.debts.values().sum::<u64>() + cost);
        debt + cost <= limits::RELAY_SHARE_FACTOR * free
    }

    /// Counts what this node sends there of its own, however much it is: against the others no more than its part.
    pub(super) fn add_own(&mut self, now: Time, (local, on): (PeerId, PeerId), cost: u32) {
        self.add(now, (local, on), cost);
        if let Some(debt) = self.hops.get_mut(&on).and_then(|hop| hop.debts.get_mut(&local)) {
            *debt = (*debt).min(BURST / limits::RELAY_OWN_PART);
        }
    }

    /// Counts what it sends there.
    pub(super) fn add(&mut self, now: Time, (by, on): (PeerId, PeerId), cost: u32) {
        if self.hops.len() >= limits::RELAY_SOURCES_MAX && !self.hops.contains_key(&on) {
            self.hops.values_mut().for_each(|hop| hop.drain(now));
            self.hops.retain(|_, hop| !hop.debts.is_empty());
            if self.hops.len() >= limits::RELAY_SOURCES_MAX {
                self.hops.pop_first();
            }
        }
        let hop = self.hops.entry(on).or_insert_with(|| Hop { at: now, debts: BTreeMap::new() });
        hop.drain(now);
        let debt = hop.debts.entry(by).or_default();
        *debt = (*debt + nanos(cost)).min(BURST);
    }
}

impl Hop {
    /// Takes off what has drained since, evenly of all.
    fn drain(&mut self, now: Time) {
        let mut left = now.since(self.at).as_nanos().min(u128::from(u64::MAX)) as u64;
        self.at = self.at.max(now);
        while let Some(least) = self.debts.values().min().copied() {
            let count = self.debts.len() as u64;
            let each = least.min(left / count);
            self.debts.values_mut().for_each(|debt| *debt -= each);
            self.debts.retain(|_, debt| *debt > 0);
            left -= each * count;
            if each < least {
                return;
            }
        }
    }
}

fn nanos(kib: u32) -> u64 {
    limits::RELAY_KIB_EVERY.as_nanos() as u64 * u64::from(kib)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: PeerId = PeerId([9; 32]);
    const SMALL: u32 = limits::RELAY_PARCEL_KIB + 1;

    fn by(n: u8) -> PeerId {
        PeerId([n; 32])
    }

    /// How many small parcels each of them gets through in so many milliseconds, offering as many at every second one.
    fn passed<const N: usize>(fair: &mut Fair, offers: [(u8, u32); N], ms: std::ops::Range<u64>) -> [u32; N] {
        let mut passed = [0; N];
        for now in ms.step_by(2).map(Time::from_millis) {
            for ((n, count), passed) in offers.iter().zip(&mut passed) {
                for _ in 0..*count {
                    if fair.has_room(now, (by(*n), ON), SMALL) {
                        fair.add(now, (by(*n), ON), SMALL);
                        *passed += 1;
                    }
                }
            }
        }
        passed
    }

    #[test]
    fn one_that_is_alone_gets_nearly_the_whole_burst_and_the_whole_rate() {
        let mut fair = Fair::default();
        let [burst] = passed(&mut fair, [(1, 2_000)], 0..1);
        assert_eq!(burst, limits::RELAY_BURST_KIB / SMALL * 63 / 64);
        let [second] = passed(&mut fair, [(1, 10)], 1..1_001);
        let rate = 1_000_000 / limits::RELAY_KIB_EVERY.as_micros() as u32 / SMALL;
        assert!(second.abs_diff(rate) <= 2, "{second} of {rate}");
    }

    #[test]
    fn one_that_comes_later_finds_room_and_gets_half_however_much_the_other_offers() {
        let mut fair = Fair::default();
        let [first] = passed(&mut fair, [(1, 100)], 0..2_000);
        assert!(first > 1_000);
        let [greedy, late] = passed(&mut fair, [(1, 100), (2, 1)], 2_000..2_100);
        assert_eq!(late, 50, "a modest one loses nothing: {greedy}");
        // Until the second has as much on its way as the first.
        passed(&mut fair, [(1, 100), (2, 100)], 2_100..7_100);
        let [one, two] = passed(&mut fair, [(1, 100), (2, 100)], 7_100..17_100);
        assert!(one.abs_diff(two) < 100 && one > 3_000, "{one} and {two}");
        let [_, modest] = passed(&mut fair, [(1, 1_000), (3, 1)], 17_100..17_200);
        assert_eq!(modest, 50);
    }

    #[test]
    fn all_together_send_no_more_than_a_relay_takes_from_one_neighbour() {
        let mut fair = Fair::default();
        let mut shares = crate::mesh::route::relay::Rates::new(limits::RELAY_BURST_KIB, limits::RELAY_KIB_EVERY);
        for ms in 0..3_000 {
            for n in 1..30 {
                let now = Time::from_millis(ms);
                if fair.has_room(now, (by(n), ON), SMALL) {
                    fair.add(now, (by(n), ON), SMALL);
                    assert!(shares.allow_cost(now, by(0), SMALL), "neighbour {n} at {ms} ms");
                }
            }
        }
    }

    #[test]
    fn however_much_this_node_sends_of_its_own_half_is_left_to_the_others() {
        let mut fair = Fair::default();
        let mut passed = 0;
        for ms in 0..4_000 {
            let now = Time::from_millis(ms);
            (0..100).for_each(|_| fair.add_own(now, (by(0), ON), SMALL));
            while fair.has_room(now, (by(1), ON), SMALL) {
                fair.add(now, (by(1), ON), SMALL);
                passed += 1;
            }
        }
        let rate = 1_000_000 / limits::RELAY_KIB_EVERY.as_micros() as u32 / SMALL;
        assert!(passed > limits::RELAY_BURST_KIB / SMALL * 63 / 128 + rate, "{passed}");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut fair = Fair::default();
        for n in 0..3 * limits::RELAY_SOURCES_MAX as u64 {
            let mut on = [0; 32];
            on[..8].copy_from_slice(&n.to_be_bytes());
            fair.add(Time::ZERO, (by(1), PeerId(on)), SMALL);
        }
        assert_eq!(fair.hops.len(), limits::RELAY_SOURCES_MAX);
    }
}
