//! Finding nodes on the own networks: datagrams and time in; announcements, answers and found nodes out.
//!
//! ```text
//!   receive(now, from, datagram) ─ own? seal? rate? replay? ─ table ─┬─ Output::Answer   to a newcomer, at once
//!   tick(now), set_paths(..)                                         ├─ Output::Found    worth a dial, at a bounded rate
//!                                                                    ├─ Output::Heard    somebody known speaks, or speaks again
//!                                                                    └─ Output::Announce on every path, in its turn
//! ```
//!
//! Never opens a socket, reads a clock or dials, and never believes what it hears: an announcement is worth a dial, no more. With
//! a pre-shared key only members' announcements count, and only one that answers an own announcement causes a dial (a replayed one
//! cannot). An answer goes to where a datagram came from and is never longer than it.

mod neighbours;
mod seal;
mod sources;

use core::net::SocketAddr;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::base::{Discovered, DiscoveryConfig, Endpoint, Time, limits};
use crate::wire::Beacon;
use crate::wire::announce::Announce;

pub use seal::Seals;

use neighbours::{Heard, Neighbours, Next};
use sources::{Runs, Sources};

/// The low bits of a nonce count announcements, the others name the run of the node.
const COUNTER_BITS: u32 = 24;

/// A way out of this machine, numbered by the carrier: an interface and an address family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PathId(pub u32);

/// What the machine is told at birth.
#[derive(Debug)]
pub struct DiscoverySettings {
    /// The node's label. Announced as far as it fits.
    pub node_id: String,
    /// The port that is announced; 0 = nothing is announced, others are only listened to.
    pub tcp_port: u16,
    /// How often, how long, how large.
    pub config: DiscoveryConfig,
    /// Unix time in milliseconds at [`Time::ZERO`].
    pub unix_ms: u64,
    /// The keys of announcements.
    pub seals: Seals,
    /// Everything random comes from it.
    pub seed: u64,
}

/// What the carrier is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send to everybody on a path.
    Announce {
        /// Which path.
        path: PathId,
        /// What.
        datagram: Vec<u8>,
    },
    /// Send to one node, by the path its datagram came on.
    Answer {
        /// Which path.
        path: PathId,
        /// Whence the datagram came.
        to: SocketAddr,
        /// What.
        datagram: Vec<u8>,
    },
    /// A node that is worth a dial.
    Found {
        /// The label it announces.
        node_id: String,
        /// Where.
        endpoint: Endpoint,
        /// For the first time since it was forgotten, or ever.
        new: bool,
        /// It has shown that it knows the cluster's secret.
        proven: bool,
    },
    /// A node that would be worth a dial speaks: what failed there may go well now.
    Heard {
        /// Where.
        endpoint: Endpoint,
        /// For the first time, as another run, or after a silence.
        fresh: bool,
        /// As another run than before.
        restarted: bool,
        /// It has shown that it knows the cluster's secret.
        proven: bool,
    },
}

/// What the machine counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Datagrams heard, own ones among them.
    pub heard: u64,
    /// Datagrams that were no announcement, or not of this cluster.
    pub refused: u64,
    /// Datagrams of addresses that said too much.
    pub limited: u64,
    /// Sealed announcements that had been heard before.
    pub replayed: u64,
    /// Announcements for which there was no room.
    pub crowded: u64,
}

/// The machine.
#[derive(Debug)]
pub struct Discovery {
    tcp_port: u16,
    node_id: String,
    interval: Duration,
    max_bytes: usize,
    unix_ms: u64,
    seals: Seals,
    run: u64,
    counter: u64,
    /// The counters at two moments `DISCOVERY_PROOF_MAX_AGE` apart: answers to what came before the first are stale.
    marks: (u64, u64, Time),
    paths: BTreeMap<PathId, Time>,
    sources: Sources,
    runs: Runs,
    neighbours: Neighbours,
    /// When the next sign of life would be passed on if they came evenly.
    next_sign: Time,
    rng: fastrand::Rng,
    out: VecDeque<Output>,
    counters: Counters,
}

impl Discovery {
    /// A machine without a path.
    pub fn new(settings: DiscoverySettings) -> Discovery {
        let DiscoverySettings { node_id, tcp_port, config, unix_ms, seals, seed } = settings;
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut machine = Discovery {
            tcp_port,
            node_id,
            interval: config.announce_interval,
            max_bytes: config.max_packet_bytes.min(limits::ANNOUNCE_MAX_BYTES),
            unix_ms,
            seals,
            run: rng.u64(..) >> COUNTER_BITS,
            counter: 0,
            marks: (0, 0, Time::ZERO),
            paths: BTreeMap::new(),
            sources: Sources::new(),
            runs: Runs::new(),
            neighbours: Neighbours::new(&config),
            next_sign: Time::ZERO,
            rng,
            out: VecDeque::new(),
            counters: Counters::default(),
        };
        // With the longest numbers and every member.
        let widest = |node_id: &str| Beacon { announce: machine.announce(node_id, u64::MAX, u64::MAX), re: Some(u64::MAX), ask: true };
        let mut label = machine.node_id.clone();
        while !label.is_empty() && machine.seals.write(&widest(&label), machine.max_bytes, 0).is_none() {
            label.pop();
        }
        machine.node_id = label;
        machine
    }

    /// The paths there are now. On a new one this node announces itself at once.
    pub fn set_paths(&mut self, now: Time, paths: impl IntoIterator<Item = PathId>) {
        let old = std::mem::take(&mut self.paths);
        self.paths = paths.into_iter().map(|path| (path, old.get(&path).copied().unwrap_or(now))).collect();
        self.tick(now);
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Time) {
        self.neighbours.forget_silent(now);
        self.find(now);
        let due: Vec<PathId> = self.paths.iter().filter(|(_, at)| **at <= now).map(|(path, _)| *path).collect();
        for path in due {
            let pause = self.interval + self.interval.mul_f64(self.rng.f64() / 10.0);
            self.paths.insert(path, now + pause);
            if let Some(datagram) = self.say(now, None, false, self.max_bytes, 0) {
                self.out.push_back(Output::Announce { path, datagram });
            }
        }
    }

    /// When [`Discovery::tick`] is due.
    pub fn deadline(&self) -> Option<Time> {
        let announce = self.paths.values().min().copied();
        [announce, self.neighbours.deadline()].into_iter().flatten().min()
    }

    /// The next thing to do; ask until `None` after every call.
    pub fn next_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Takes a datagram that came on a path.
    pub fn receive(&mut self, now: Time, path: PathId, from: SocketAddr, datagram: &[u8]) {
        self.counters.heard += 1;
        let ip = from.ip();
        if !self.sources.may(now, ip) {
            self.counters.limited += 1;
            return;
        }
        let key = self.seals.opens(datagram);
        let readable = datagram.len() <= self.max_bytes && key.is_some() == self.seals.sealing() && is_usable(from);
        let Some(beacon) = readable.then(|| Beacon::parse(datagram).ok()).flatten() else {
            self.sources.spend(now, ip);
            self.counters.refused += 1;
            return;
        };
        let (run, counter) = (beacon.announce.nonce >> COUNTER_BITS, beacon.announce.nonce & ((1 << COUNTER_BITS) - 1));
        if run == self.run {
            // Own ones do not count against nodes on the same machine.
            return;
        }
        self.sources.spend(now, ip);
        if key.is_some() && !self.runs.is_news(run, counter) {
            self.counters.replayed += 1;
            return;
        }
        let answers = beacon.re.is_some_and(|nonce| self.is_recent(now, nonce));
        // Without a port of its own this node cannot ask anybody for proof.
        let heard = Heard { run, proven: key.is_some() && answers, rumour_will_do: key.is_none() || self.tcp_port == 0 };
        let Some(row) = self.neighbours.heard(now, from, &beacon.announce, heard) else {
            self.counters.crowded += 1;
            return;
        };
        let ask = key.is_some() && !row.proven;
        if if answers { beacon.ask } else { row.new || ask }
            && let Some(answer) = self.say(now, Some(beacon.announce.nonce), ask, datagram.len(), key.unwrap_or(0))
        {
            self.out.push_back(Output::Answer { path, to: from, datagram: answer });
        }
        if key.is_none() || row.proven {
            self.sign_of_life(now, from, beacon.announce.tcp_port, row.proven);
        }
        self.find(now);
    }

    /// Passes on that somebody speaks, as far as the rate allows.
    fn sign_of_life(&mut self, now: Time, from: SocketAddr, port: u16, proven: bool) {
        let burst = limits::DISCOVERY_SIGN_EVERY * (limits::DISCOVERY_SIGNS_BURST - 1);
        if self.next_sign.since(now) <= burst
            && let Some((endpoint, fresh, restarted)) = self.neighbours.spoke(from, port)
        {
            self.next_sign = self.next_sign.max(now) + limits::DISCOVERY_SIGN_EVERY;
            self.out.push_back(Output::Heard { endpoint, fresh, restarted, proven });
        }
    }

    /// Takes what another directory of the network names, mDNS: a rumour like an announcement without proof. Told again for as long as it
    /// is named there. With a secret it is nothing.
    pub fn named(&mut self, now: Time, at: SocketAddr, node_id: &str) {
        if self.seals.sealing() || !is_usable(at) {
            return;
        }
        if self.neighbours.named(now, at, node_id) {
            self.find(now);
        } else {
            self.counters.crowded += 1;
        }
    }

    /// What that directory does not name any more. Whoever announces itself as well stays.
    pub fn unnamed(&mut self, at: SocketAddr) {
        self.neighbours.unnamed(at);
    }

    /// Everybody heard of.
    pub fn snapshot(&self, now: Time) -> Vec<Discovered> {
        self.neighbours.snapshot(now)
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Rows of the largest table.
    pub fn largest_table(&self) -> usize {
        self.neighbours.len().max(self.sources.len()).max(self.runs.len())
    }

    fn find(&mut self, now: Time) {
        while let Some(Next { node_id, endpoint, new, proven }) = self.neighbours.next_to_dial(now) {
            self.out.push_back(Output::Found { node_id, endpoint, new, proven });
        }
    }

    /// An announcement of `room` bytes; `None` if it does not fit, or there is nothing to announce.
    fn say(&mut self, now: Time, re: Option<u64>, ask: bool, room: usize, key: usize) -> Option<Vec<u8>> {
        if self.tcp_port == 0 {
            return None;
        }
        self.turn_marks(now);
        self.counter += 1;
        if self.counter >> COUNTER_BITS != 0 {
            (self.run, self.counter, self.marks) = (self.rng.u64(..) >> COUNTER_BITS, 1, (0, 0, now));
        }
        let announce = self.announce(&self.node_id, self.unix_ms.saturating_add(now.as_millis()), self.run << COUNTER_BITS | self.counter);
        self.seals.write(&Beacon { announce, re, ask }, room.min(self.max_bytes), key)
    }

    fn announce(&self, node_id: &str, ts_ms: u64, nonce: u64) -> Announce {
        let capabilities = [("proto", "1.0"), ("transport", "tcp")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        Announce { node_id: node_id.to_owned(), tcp_port: self.tcp_port.max(1), ts_ms, nonce, capabilities }
    }

    fn turn_marks(&mut self, now: Time) {
        let (_, newer, since) = self.marks;
        let age = now.since(since);
        if age >= 2 * limits::DISCOVERY_PROOF_MAX_AGE {
            self.marks = (self.counter, self.counter, now);
        } else if age >= limits::DISCOVERY_PROOF_MAX_AGE {
            self.marks = (newer, self.counter, now);
        }
    }

    /// Whether `nonce` is of an own announcement of late.
    fn is_recent(&mut self, now: Time, nonce: u64) -> bool {
        self.turn_marks(now);
        let counter = nonce & ((1 << COUNTER_BITS) - 1);
        nonce >> COUNTER_BITS == self.run && counter > self.marks.0 && counter <= self.counter
    }
}

/// Whether somebody may be there.
fn is_usable(from: SocketAddr) -> bool {
    let ip = from.ip();
    let broadcast = matches!(ip, core::net::IpAddr::V4(ip) if ip.is_broadcast());
    from.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

#[cfg(test)]
mod tests;
