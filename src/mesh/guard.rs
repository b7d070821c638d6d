//! The connection guard: may this endpoint be dialled now? Figures of v1, with failures that really count.
//!
//! Never dials, and never knows who lives behind an endpoint.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::{CloseReason, Endpoint, Time, limits};

/// Exponent from which a delay no longer doubles; both ladders have long reached their last step there.
const DOUBLINGS_MAX: u32 = 10;

/// The guard's answer to "may I dial this now?".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leave {
    /// Yes.
    Go,
    /// Not now: an attempt has just begun.
    Deduped,
    /// Not before this time.
    BackingOff(Time),
}

/// By which figures the pauses between failures grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ladder {
    /// A person waits for it.
    Manual,
    /// It may go better the next time.
    Automatic,
    /// It will fail again until somebody changes something, and nobody asked for it.
    TurnedAway,
}

#[derive(Debug, Default)]
struct Track {
    last_attempt: Option<Time>,
    failures: u32,
    until: Time,
    /// Attempts that were brought forward since the time beside it.
    signs: (u32, Option<Time>),
    /// Whoever is there came back, or restarted, after the last attempt had begun.
    came_back: bool,
    restarted: bool,
    /// When and why the last attempt, or the link it led to, ended.
    last_end: Option<(Time, CloseReason)>,
}

/// What the guard counted; names as in `base::Stats`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GuardCounters {
    pub(super) connect_attempts: u64,
    pub(super) connect_deduped: u64,
    pub(super) connect_failures: u64,
    pub(super) backoff_skips: u64,
}

/// Memory of attempts and failures, one row per endpoint, at most `limits::TRACKED_ENDPOINTS_MAX`.
#[derive(Debug, Default)]
pub(super) struct Guard {
    tracks: BTreeMap<Endpoint, Track>,
    pub(super) counters: GuardCounters,
}

impl Guard {
    /// Whether `endpoint` may be dialled; counts a refusal. A person's attempt skips the dedupe but honours the backoff.
    pub(super) fn ask(&mut self, now: Time, endpoint: &Endpoint, manual: bool) -> Leave {
        let Some(track) = self.tracks.get(endpoint) else { return Leave::Go };
        if now < track.until {
            self.counters.backoff_skips += 1;
            return Leave::BackingOff(track.until);
        }
        if !manual && track.last_attempt.is_some_and(|at| now.since(at) < limits::DIAL_DEDUPE_GAP) {
            self.counters.connect_deduped += 1;
            return Leave::Deduped;
        }
        Leave::Go
    }

    /// A dial begins.
    pub(super) fn attempted(&mut self, now: Time, endpoint: &Endpoint) {
        self.counters.connect_attempts += 1;
        let track = self.track(endpoint);
        (track.last_attempt, track.came_back, track.restarted) = (Some(now), false, false);
    }

    /// A dial did not end in an authenticated link; no other one before the returned time.
    pub(super) fn failed(&mut self, now: Time, endpoint: &Endpoint, ladder: Ladder, rng: &mut fastrand::Rng) -> Time {
        self.counters.connect_failures += 1;
        let track = self.track(endpoint);
        track.failures = track.failures.saturating_add(1);
        track.until = now + backoff(track.failures, ladder, rng);
        track.until
    }

    /// A dial ended in an authenticated link.
    pub(super) fn succeeded(&mut self, endpoint: &Endpoint) {
        if let Some(track) = self.tracks.get_mut(endpoint) {
            track.failures = 0;
            track.until = Time::ZERO;
        }
    }

    /// An attempt, or the link it led to, has ended.
    pub(super) fn ended(&mut self, now: Time, endpoint: &Endpoint, reason: &CloseReason) {
        self.track(endpoint).last_end = Some((now, reason.clone()));
    }

    /// When and why the last attempt there, or the link it led to, ended.
    pub(super) fn last_end(&self, endpoint: &Endpoint) -> Option<(Time, &CloseReason)> {
        let (at, reason) = self.tracks.get(endpoint)?.last_end.as_ref()?;
        Some((*at, reason))
    }

    /// Attempts there that failed in a row.
    pub(super) fn failures(&self, endpoint: &Endpoint) -> u32 {
        self.tracks.get(endpoint).map_or(0, |track| track.failures)
    }

    /// Every endpoint whose last attempt failed.
    pub(super) fn failed_endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.tracks.iter().filter(|(_, track)| track.failures > 0).map(|(endpoint, _)| endpoint)
    }

    /// The network is another one: failures on the old one say nothing. Attempts still keep their distance from each other.
    pub(super) fn forgive(&mut self) {
        for track in self.tracks.values_mut() {
            (track.failures, track.until, track.signs) = (0, Time::ZERO, (0, None));
        }
    }

    /// When an attempt is far enough from the last one.
    pub(super) fn distant(&self, now: Time, endpoint: &Endpoint) -> Time {
        let last = self.tracks.get(endpoint).and_then(|track| track.last_attempt);
        last.map_or(now, |at| now.max(at + limits::DIAL_DEDUPE_GAP))
    }

    /// From when on an attempt that nobody brings forward may be made.
    pub(super) fn pause_end(&self, endpoint: &Endpoint) -> Time {
        self.tracks.get(endpoint).map_or(Time::ZERO, |track| track.until)
    }

    /// Another link to the same peer stood or had just begun.
    pub(super) fn count_deduped(&mut self) {
        self.counters.connect_deduped += 1;
    }

    /// Somebody speaks there who was silent, or has restarted; kept until the next attempt, for it may be no time for one now.
    pub(super) fn news(&mut self, endpoint: &Endpoint, fresh: bool, restarted: bool) {
        if let Some(track) = self.tracks.get_mut(endpoint) {
            track.came_back |= fresh;
            track.restarted |= restarted;
        }
    }

    /// Whether the next attempt may be brought forward because somebody speaks there, to `at`; it is then. A few in a row, for signs also
    /// come from where every attempt fails. Where it takes a person for the next one to go better, one for a restart and no more: silence
    /// is nobody's doing, and runs are easy to forge.
    pub(super) fn hasten(&mut self, now: Time, endpoint: &Endpoint, at: Time) -> bool {
        let Some(track) = self.tracks.get_mut(endpoint) else { return false };
        let in_vain = track.last_end.as_ref().is_some_and(|(_, reason)| takes_a_person(reason));
        let (most, pause) = match in_vain {
            true => (limits::SIGN_DIALS_IN_VAIN_MAX, limits::SIGN_DIALS_FORGOTTEN),
            false if track.came_back => (limits::SIGN_DIALS_MAX, limits::SIGN_DIALS_AGAIN),
            false => (limits::SIGN_DIALS_MAX, limits::SIGN_DIALS_FORGOTTEN),
        };
        if track.signs.1.is_none_or(|since| now.since(since) >= pause) {
            track.signs = (0, Some(now));
        }
        if track.signs.0 >= most || (in_vain && !track.restarted) {
            return false;
        }
        track.signs.0 += 1;
        track.until = track.until.min(at);
        true
    }

    /// An attempt led to a link that stood for a while.
    pub(super) fn stood(&mut self, endpoint: &Endpoint) {
        if let Some(track) = self.tracks.get_mut(endpoint) {
            track.signs = (0, None);
        }
    }

    /// Endpoints remembered.
    pub(super) fn tracked(&self) -> usize {
        self.tracks.len()
    }

    fn track(&mut self, endpoint: &Endpoint) -> &mut Track {
        if !self.tracks.contains_key(endpoint) && self.tracks.len() >= limits::TRACKED_ENDPOINTS_MAX {
            let oldest = self.tracks.iter().min_by_key(|(_, track)| track.last_attempt).map(|(endpoint, _)| endpoint.clone());
            oldest.and_then(|endpoint| self.tracks.remove(&endpoint));
        }
        self.tracks.entry(endpoint.clone()).or_default()
    }
}

/// Whether the same attempt will fail again until somebody changes something.
pub(super) fn takes_a_person(reason: &CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::BadVersion(_)
            | CloseReason::Untrusted(_)
            | CloseReason::Revoked(_)
            | CloseReason::SelfConnect
            | CloseReason::MaxPeers
            | CloseReason::Disconnected
    )
}

/// The pause after the `failures`-th failure in a row; automatic attempts get up to a tenth on top, so that many nodes that
/// lost the same peer do not return in step.
pub(super) fn backoff(failures: u32, ladder: Ladder, rng: &mut fastrand::Rng) -> Duration {
    let (first, last) = match ladder {
        Ladder::Manual => limits::BACKOFF_MANUAL,
        Ladder::Automatic => limits::BACKOFF_AUTOMATIC,
        Ladder::TurnedAway => limits::BACKOFF_TURNED_AWAY,
    };
    let delay = (first * (1 << failures.saturating_sub(1).min(DOUBLINGS_MAX))).min(last);
    if ladder == Ladder::Manual { delay } else { delay + jitter(delay, rng) }
}

/// Up to a tenth of `delay`.
pub(super) fn jitter(delay: Duration, rng: &mut fastrand::Rng) -> Duration {
    up_to(delay / 10, rng)
}

/// Any duration up to `most`.
pub(super) fn up_to(most: Duration, rng: &mut fastrand::Rng) -> Duration {
    Duration::from_micros(rng.u64(0..=most.as_micros() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint::tcp("node-b", 9001)
    }

    fn delays(ladder: Ladder, jitter: bool) -> Vec<u64> {
        let (mut guard, mut rng, mut now) = (Guard::default(), fastrand::Rng::with_seed(1), Time::ZERO);
        (0..6)
            .map(|_| {
                assert_eq!(guard.ask(now, &endpoint(), ladder == Ladder::Manual), Leave::Go);
                guard.attempted(now, &endpoint());
                let until = guard.failed(now, &endpoint(), ladder, &mut rng);
                let ms = until.since(now).as_millis() as u64;
                now = until;
                if jitter { ms } else { ms - ms % 100 }
            })
            .collect()
    }

    #[test]
    fn manual_attempts_wait_from_two_and_a_half_to_twelve_seconds() {
        assert_eq!(delays(Ladder::Manual, true), [2_500, 5_000, 10_000, 12_000, 12_000, 12_000]);
    }

    #[test]
    fn automatic_attempts_wait_from_two_to_fifteen_seconds_and_at_most_a_tenth_more() {
        for (got, figure) in delays(Ladder::Automatic, true).into_iter().zip([2_000, 4_000, 8_000, 15_000, 15_000, 15_000]) {
            assert!((figure..=figure + figure / 10).contains(&got), "{got} for {figure}");
        }
    }

    #[test]
    fn automatic_attempts_closer_than_900_ms_are_one_and_manual_ones_are_not() {
        let mut guard = Guard::default();
        guard.attempted(Time::ZERO, &endpoint());
        assert_eq!(guard.ask(Time::from_millis(899), &endpoint(), false), Leave::Deduped);
        assert_eq!(guard.ask(Time::from_millis(899), &endpoint(), true), Leave::Go);
        assert_eq!(guard.ask(Time::from_millis(900), &endpoint(), false), Leave::Go);
        assert_eq!(guard.counters.connect_deduped, 1);
    }

    #[test]
    fn a_manual_attempt_honours_the_backoff_and_success_ends_it() {
        let (mut guard, mut rng) = (Guard::default(), fastrand::Rng::with_seed(1));
        let until = guard.failed(Time::ZERO, &endpoint(), Ladder::Manual, &mut rng);
        assert_eq!(guard.ask(Time::from_millis(2_499), &endpoint(), true), Leave::BackingOff(until));
        assert_eq!((guard.counters.backoff_skips, guard.counters.connect_failures), (1, 1));
        guard.succeeded(&endpoint());
        assert_eq!(guard.ask(Time::from_millis(1_000), &endpoint(), true), Leave::Go);
        assert_eq!(guard.failed(Time::ZERO, &endpoint(), Ladder::Manual, &mut rng), Time::from_millis(2_500));
    }

    #[test]
    fn the_oldest_endpoint_gives_way_when_the_table_is_full() {
        let mut guard = Guard::default();
        for n in 0..limits::TRACKED_ENDPOINTS_MAX as u64 + 10 {
            guard.attempted(Time::from_millis(n), &Endpoint::tcp(format!("h{n}"), 1));
        }
        assert_eq!(guard.tracked(), limits::TRACKED_ENDPOINTS_MAX);
        assert!(!guard.tracks.contains_key(&Endpoint::tcp("h9", 1)) && guard.tracks.contains_key(&Endpoint::tcp("h10", 1)));
    }
}
