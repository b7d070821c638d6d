//! When a client asks its registry again, and which of the endpoints it was told are worth a dial now.
//!
//! Never asks and never dials: it names the pause and the endpoints.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::{BootstrapConfig, Endpoint, Time, limits};
use crate::registry::json::BootstrapPeer;

/// A client's memory of its registry.
#[derive(Debug)]
pub struct Poller {
    poll_interval: Duration,
    connect_cooldown: Duration,
    backoff_max: Duration,
    node_id: String,
    own_port: u16,
    failures: u32,
    dialled: BTreeMap<Endpoint, Time>,
    rng: fastrand::Rng,
}

impl Poller {
    /// A client that has not asked yet. `own_port` is where the node listens, 0 if it does not.
    pub fn new(config: &BootstrapConfig, node_id: &str, own_port: u16, seed: u64) -> Poller {
        Poller {
            poll_interval: config.poll_interval,
            connect_cooldown: config.connect_cooldown,
            backoff_max: config.backoff_max,
            node_id: node_id.to_owned(),
            own_port,
            failures: 0,
            dialled: BTreeMap::new(),
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// The pause after an answer.
    pub fn answered(&mut self) -> Duration {
        self.failures = 0;
        self.spread(self.poll_interval)
    }

    /// The pause after a failure: twice the one before, up to `backoff_max`, but never shorter than `poll_interval`.
    pub fn failed(&mut self) -> Duration {
        self.failures = (self.failures + 1).min(31);
        let longest = self.backoff_max.max(self.poll_interval);
        self.spread(self.poll_interval.saturating_mul(1 << self.failures).min(longest))
    }

    /// Up to an eighth more, so that clients that lost their registry together do not come back together.
    fn spread(&mut self, pause: Duration) -> Duration {
        let eighth = (pause / 8).as_millis().min(u128::from(u64::MAX - 1)) as u64;
        pause.saturating_add(Duration::from_millis(self.rng.u64(0..=eighth)))
    }

    /// Whether a registry's entry is this node's own.
    pub fn is_own(&self, peer: &BootstrapPeer) -> bool {
        self.own_port != 0 && peer.tcp_port == self.own_port && peer.node_id == self.node_id
    }

    /// The endpoints among `peers` to dial now: not this node's own, not `known`, not dialled within the cooldown; the ones dialled
    /// longest ago or never come first.
    pub fn worth_a_dial(&mut self, now: Time, peers: &[BootstrapPeer], known: impl Fn(&Endpoint) -> bool) -> Vec<Endpoint> {
        let mut found: Vec<(Option<Time>, Endpoint)> = Vec::new();
        for endpoint in peers.iter().filter(|peer| !self.is_own(peer)).map(BootstrapPeer::endpoint) {
            let last = self.dialled.get(&endpoint).copied();
            let cooling = last.is_some_and(|at| now.since(at) < self.connect_cooldown);
            if !cooling && !known(&endpoint) && !found.iter().any(|(_, other)| *other == endpoint) {
                found.push((last, endpoint));
            }
        }
        found.sort_by_key(|(last, _)| *last);
        found.truncate(limits::BOOTSTRAP_DIALS_PER_POLL);
        for (_, endpoint) in &found {
            self.remember(now, endpoint);
        }
        found.into_iter().map(|(_, endpoint)| endpoint).collect()
    }

    fn remember(&mut self, now: Time, endpoint: &Endpoint) {
        if self.dialled.len() >= limits::BOOTSTRAP_PEERS_MAX && !self.dialled.contains_key(endpoint) {
            let oldest = self.dialled.iter().min_by_key(|(_, at)| **at).map(|(endpoint, _)| endpoint.clone());
            oldest.and_then(|endpoint| self.dialled.remove(&endpoint));
        }
        self.dialled.insert(endpoint.clone(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poller() -> Poller {
        let config = BootstrapConfig::new("http://r".parse().expect("address"));
        Poller::new(&config, "me", 9001, 7)
    }

    fn peers(ports: std::ops::RangeInclusive<u16>) -> Vec<BootstrapPeer> {
        ports.map(|tcp_port| BootstrapPeer { node_id: "n".into(), host: "h".into(), tcp_port }).collect()
    }

    fn second(s: u64) -> Time {
        Time::ZERO + Duration::from_secs(s)
    }

    #[test]
    fn the_pause_doubles_with_every_failure_up_to_its_limit_and_an_answer_ends_that() {
        let mut poller = poller();
        let seconds: Vec<u64> = (0..40).map(|_| poller.failed().as_millis() as u64).collect();
        for (pause, least) in seconds.iter().zip([30_000, 60_000, 60_000].into_iter().chain(std::iter::repeat(60_000))) {
            assert!((least..=least + least / 8).contains(pause), "{pause}");
        }
        assert!(poller.answered() < Duration::from_secs(17));
        assert!(poller.failed() < Duration::from_secs(34));
    }

    #[test]
    fn an_endpoint_is_dialled_again_only_after_its_cooldown() {
        let mut poller = poller();
        let two = peers(1..=2);
        assert_eq!(poller.worth_a_dial(second(0), &two, |_| false).len(), 2);
        assert!(poller.worth_a_dial(second(11), &two, |_| false).is_empty());
        assert_eq!(poller.worth_a_dial(second(12), &two, |_| false).len(), 2);
    }

    #[test]
    fn every_endpoint_has_its_turn_though_eight_are_dialled_at_a_time() {
        let mut poller = poller();
        let many = peers(1..=20);
        let mut seen = std::collections::BTreeSet::new();
        for poll in 0..3 {
            let now = poller.worth_a_dial(second(poll * 15), &many, |_| false);
            assert!(now.len() <= limits::BOOTSTRAP_DIALS_PER_POLL);
            seen.extend(now);
        }
        assert_eq!(seen.len(), 20);
    }

    #[test]
    fn the_node_itself_and_those_it_knows_are_not_dialled() {
        let mut poller = poller();
        let me = BootstrapPeer { node_id: "me".into(), host: "h".into(), tcp_port: 9001 };
        let namesake = BootstrapPeer { tcp_port: 9002, ..me.clone() };
        let twice = [me, namesake.clone(), namesake.clone(), peers(1..=1).remove(0)];
        assert_eq!(poller.worth_a_dial(second(0), &twice, |e| e.port == 1), [namesake.endpoint()]);
    }

    #[test]
    fn the_memory_of_dials_has_a_limit() {
        let mut poller = poller();
        for port in 1..=2000 {
            poller.worth_a_dial(second(u64::from(port)), &peers(port..=port), |_| false);
        }
        assert_eq!(poller.dialled.len(), limits::BOOTSTRAP_PEERS_MAX);
    }
}
