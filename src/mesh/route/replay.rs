//! Which messages of which senders were taken, so that none is taken twice.
//!
//! A message is sealed for one run of its recipient. Within the run its numbers are remembered; when there is no room for another
//! sender the run ends, which voids everything sealed for it, and a new one begins. One sender gets a few places, and some are kept for
//! listed ones. Never judges who may send.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{PeerId, Time, limits};

/// The numbers of one run of one sender.
#[derive(Debug, Default)]
struct Window {
    taken: BTreeSet<u64>,
    /// This number and lower ones are refused: they may have been taken.
    floor: Option<u64>,
}

/// What is to be done with a message that opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// It is the first of its number.
    New,
    /// It was taken before.
    Again,
    /// There is no room for its sender: not now.
    Full,
    /// There was none, and a new run has begun.
    Renewed,
    /// Nobody can tell any more. Best not answered: "not taken" may be wrong.
    Unknown,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Replays {
    run: u64,
    since: Time,
    windows: BTreeMap<(PeerId, u64), Window>,
    rng: fastrand::Rng,
}

impl Replays {
    pub(super) fn new(seed: u64) -> Replays {
        let mut rng = fastrand::Rng::with_seed(seed);
        Replays { run: rng.u64(1..), since: Time::ZERO, windows: BTreeMap::new(), rng }
    }

    /// The run messages are to be sealed for; not 0.
    pub(super) fn run(&self) -> u64 {
        self.run
    }

    /// A message that was sealed for this run and opened, from the run `from_run` of a sender whom the trust table lists or does not.
    pub(super) fn take(&mut self, now: Time, from: PeerId, is_listed: bool, (from_run, number): (u64, u64)) -> Taken {
        let is_known = self.windows.contains_key(&(from, from_run));
        if !is_known && !self.has_room(from, is_listed) {
            let least = if is_listed { limits::REPLAY_RUN_MIN } else { limits::REPLAY_RUN_MIN_UNLISTED };
            if now.since(self.since) < least {
                return Taken::Full;
            }
            (self.run, self.since) = (self.rng.u64(1..), now);
            self.windows.clear();
            return Taken::Renewed;
        }
        let window = self.windows.entry((from, from_run)).or_default();
        if window.floor.is_some_and(|floor| number <= floor) {
            return Taken::Unknown;
        }
        if !window.taken.insert(number) {
            return Taken::Again;
        }
        if window.taken.len() > limits::REPLAY_WINDOW {
            window.floor = window.taken.pop_first();
        }
        Taken::New
    }

    /// Whether another run of that sender can be remembered.
    fn has_room(&self, from: PeerId, is_listed: bool) -> bool {
        let kept = if is_listed { 0 } else { limits::REPLAY_SOURCES_LISTED };
        let of_sender = self.windows.range((from, 0)..=(from, u64::MAX)).count();
        self.windows.len() < limits::REPLAY_SOURCES_MAX - kept && of_sender < limits::REPLAY_RUNS_PER_SENDER_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerId = PeerId([1; 32]);

    fn peer(n: u64) -> PeerId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        PeerId(id)
    }

    #[test]
    fn a_number_is_taken_once_in_any_order_and_by_each_run_of_a_sender() {
        let mut replays = Replays::new(1);
        for number in [5, 3, 9, 4] {
            assert_eq!(replays.take(Time::ZERO, A, false, (1, number)), Taken::New);
            assert_eq!(replays.take(Time::ZERO, A, false, (1, number)), Taken::Again);
        }
        assert_eq!(replays.take(Time::ZERO, A, false, (2, 5)), Taken::New);
        assert_eq!(replays.take(Time::ZERO, PeerId([2; 32]), false, (1, 5)), Taken::New);
    }

    #[test]
    fn what_fell_out_of_the_window_is_refused_not_taken_again() {
        let mut replays = Replays::new(1);
        let last = limits::REPLAY_WINDOW as u64 + 10;
        (0..last).for_each(|number| assert_eq!(replays.take(Time::ZERO, A, false, (1, 2 * number)), Taken::New));
        (0..10).for_each(|number| assert_eq!(replays.take(Time::ZERO, A, false, (1, 2 * number)), Taken::Unknown));
        assert_eq!(replays.take(Time::ZERO, A, false, (1, 1)), Taken::Unknown, "never seen, but nobody can tell");
        assert_eq!(replays.take(Time::ZERO, A, false, (1, 20)), Taken::Again);
        assert_eq!(replays.take(Time::ZERO, A, false, (1, 21)), Taken::New);
        assert!(replays.windows.values().all(|window| window.taken.len() <= limits::REPLAY_WINDOW));
    }

    #[test]
    fn when_there_is_no_room_for_a_sender_the_run_ends_and_not_more_than_once_a_minute() {
        let mut replays = Replays::new(1);
        let first = replays.run();
        let (max, kept) = (limits::REPLAY_SOURCES_MAX as u64, limits::REPLAY_SOURCES_LISTED as u64);
        (0..max - kept).for_each(|n| assert_eq!(replays.take(Time::ZERO, peer(n), false, (1, 1)), Taken::New));
        assert_eq!(replays.take(Time::from_millis(599_999), A, false, (1, 1)), Taken::Full, "what is left is for listed ones");
        (max - kept..max).for_each(|n| assert_eq!(replays.take(Time::ZERO, peer(n), true, (1, 1)), Taken::New));
        assert_eq!(replays.take(Time::from_millis(59_999), A, true, (1, 1)), Taken::Full);
        assert_eq!((replays.run(), replays.take(Time::ZERO, peer(0), false, (1, 1))), (first, Taken::Again));
        assert_eq!(replays.take(Time::from_millis(60_000), A, true, (1, 1)), Taken::Renewed);
        assert_ne!(replays.run(), first);
        assert_eq!(replays.take(Time::from_millis(60_000), A, true, (1, 1)), Taken::New);
    }

    #[test]
    fn one_sender_gets_a_few_places_however_many_runs_it_claims() {
        let mut replays = Replays::new(1);
        let new = (0..1_000).filter(|run| replays.take(Time::ZERO, A, false, (*run, 1)) == Taken::New).count();
        assert_eq!(new, limits::REPLAY_RUNS_PER_SENDER_MAX);
        assert_eq!(replays.take(Time::ZERO, peer(7), false, (1, 1)), Taken::New);
    }
}
