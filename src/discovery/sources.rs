//! How much one address may say, and what one run of a node has said already. Never keeps more than its limits.

use core::net::IpAddr;
use std::collections::{BTreeMap, VecDeque};

use crate::base::{Time, limits};

/// A map that holds so many keys at most: the one that came first gives way.
#[derive(Debug)]
struct Bounded<K, V> {
    rows: BTreeMap<K, V>,
    order: VecDeque<K>,
    max: usize,
}

impl<K: Ord + Copy, V: Default> Bounded<K, V> {
    fn new(max: usize) -> Bounded<K, V> {
        Bounded { rows: BTreeMap::new(), order: VecDeque::new(), max }
    }

    fn row(&mut self, key: K) -> &mut V {
        if !self.rows.contains_key(&key) {
            if self.rows.len() >= self.max
                && let Some(oldest) = self.order.pop_front()
            {
                self.rows.remove(&oldest);
            }
            self.order.push_back(key);
        }
        self.rows.entry(key).or_default()
    }
}

/// The rate of each address: a burst, then one datagram each `limits::DISCOVERY_SOURCE_EVERY`.
#[derive(Debug)]
pub(super) struct Sources {
    /// When the next datagram would come if they came evenly.
    due: Bounded<IpAddr, Time>,
}

impl Sources {
    pub(super) fn new() -> Sources {
        Sources { due: Bounded::new(limits::DISCOVERY_SOURCES_MAX) }
    }

    /// Whether another datagram of `ip` may be read now.
    pub(super) fn may(&self, now: Time, ip: IpAddr) -> bool {
        let burst = limits::DISCOVERY_SOURCE_EVERY * (limits::DISCOVERY_SOURCE_BURST - 1);
        self.due.rows.get(&ip).is_none_or(|due| due.since(now) <= burst)
    }

    /// Counts one.
    pub(super) fn spend(&mut self, now: Time, ip: IpAddr) {
        let due = self.due.row(ip);
        *due = (*due).max(now) + limits::DISCOVERY_SOURCE_EVERY;
    }

    pub(super) fn len(&self) -> usize {
        self.due.rows.len()
    }
}

/// What was heard of one run: the highest counter and the 64 up to it, the highest as bit 0.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    highest: u64,
    seen: u64,
}

impl Window {
    /// Whether the counter is new; from now on it is not.
    fn take(&mut self, counter: u64) -> bool {
        if self.seen == 0 || counter > self.highest {
            let ahead = counter - self.highest;
            self.seen = if self.seen == 0 || ahead >= 64 { 1 } else { self.seen << ahead | 1 };
            self.highest = counter;
            return true;
        }
        let behind = self.highest - counter;
        if behind >= 64 || self.seen & 1 << behind != 0 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}

/// The counters of sealed announcements, for each run of a node.
#[derive(Debug)]
pub(super) struct Runs {
    windows: Bounded<u64, Window>,
}

impl Runs {
    pub(super) fn new() -> Runs {
        Runs { windows: Bounded::new(limits::DISCOVERY_RUNS_MAX) }
    }

    /// Whether that run says this for the first time, as far as it is remembered.
    pub(super) fn is_news(&mut self, run: u64, counter: u64) -> bool {
        self.windows.row(run).take(counter)
    }

    pub(super) fn len(&self) -> usize {
        self.windows.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_says_its_burst_and_then_one_thing_each_150_ms() {
        let (mut sources, ip) = (Sources::new(), IpAddr::from([10, 0, 0, 1]));
        let mut say = |now| {
            let may = sources.may(now, ip);
            if may {
                sources.spend(now, ip);
            }
            may
        };
        let at_once = (0..20).filter(|_| say(Time::ZERO)).count();
        assert_eq!(at_once, limits::DISCOVERY_SOURCE_BURST as usize);
        assert!(!say(Time::from_millis(149)) && say(Time::from_millis(150)) && !say(Time::from_millis(299)));
    }

    #[test]
    fn the_address_watched_longest_gives_way() {
        let mut sources = Sources::new();
        let ip = |n: u32| IpAddr::from(n.to_be_bytes());
        for n in 0..=limits::DISCOVERY_SOURCES_MAX as u32 {
            sources.spend(Time::ZERO, ip(n));
        }
        assert_eq!(sources.len(), limits::DISCOVERY_SOURCES_MAX);
        assert!(!sources.due.rows.contains_key(&ip(0)) && sources.due.rows.contains_key(&ip(1)));
    }

    proptest! {
        #[test]
        fn a_counter_is_taken_once_and_late_ones_within_the_window(counters in prop::collection::vec(0u64..200, 1..200)) {
            let (mut runs, mut taken, mut highest) = (Runs::new(), std::collections::BTreeSet::new(), None);
            for counter in counters {
                let near = highest.is_none_or(|highest: u64| counter + 64 > highest);
                let news = runs.is_news(1, counter);
                prop_assert_eq!(news, near && !taken.contains(&counter));
                if news {
                    taken.insert(counter);
                }
                highest = highest.max(Some(counter));
            }
        }
    }
}
