//! A registry's entries by source: their life, their number, and how often a source may ask.
//!
//! Never looks at a clock: times are Unix milliseconds that the caller keeps from running backwards.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::limits;
use crate::registry::json::{Announcement, BootstrapPeer};

/// Who is counted as one: an IPv4 address, or the 64 bits of an IPv6 address that a provider gives out at least.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Source {
    /// Address.
    V4([u8; 4]),
    /// First half of the address.
    V6([u8; 8]),
}

impl Source {
    /// The source of sixteen octets of an IPv6 address; one that stands for an IPv4 address counts as that.
    pub fn from_octets(octets: [u8; 16]) -> Source {
        match octets {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => Source::V4([a, b, c, d]),
            [a, b, c, d, e, f, g, h, ..] => Source::V6([a, b, c, d, e, f, g, h]),
        }
    }
}

/// Somebody who said it listens somewhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Who said it.
    pub source: Source,
    /// Its label.
    pub node_id: String,
    /// Where it is reached.
    pub host: String,
    /// Where it listens.
    pub tcp_port: u16,
    /// When it said so last.
    pub seen_ms: u64,
}

impl Entry {
    /// What tells it from other entries. The source is part of it, so that nobody can displace another's entry.
    pub fn key(&self) -> EntryKey {
        (self.source, self.host.clone(), self.tcp_port)
    }
}

/// Source, host and port.
pub type EntryKey = (Source, String, u16);

/// Why a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The source asks too often; one more request is free after so many milliseconds.
    TooOften {
        /// How long to wait.
        retry_ms: u64,
    },
    /// The source has all the entries one source may have.
    SourceFull,
    /// The registry has all the entries it may have.
    Full,
}

/// What is left of a source's requests, in thousandths.
#[derive(Debug)]
struct Bucket {
    level: u64,
    at_ms: u64,
}

const WHOLE: u64 = 1000;
const BUCKET_MAX: u64 = limits::REGISTRY_BURST as u64 * WHOLE;

/// The entries and the sources.
#[derive(Debug)]
pub struct Table {
    ttl_ms: u64,
    entries: BTreeMap<EntryKey, Entry>,
    per_source: BTreeMap<Source, usize>,
    buckets: BTreeMap<Source, Bucket>,
}

impl Table {
    /// An empty table whose entries live for `ttl` unless they are announced again.
    pub fn new(ttl: Duration) -> Table {
        let ttl = ttl.clamp(Duration::from_secs(1), limits::REGISTRY_TTL_MAX);
        Table { ttl_ms: ttl.as_millis() as u64, entries: BTreeMap::new(), per_source: BTreeMap::new(), buckets: BTreeMap::new() }
    }

    /// Counts a request of a source.
    pub fn admit(&mut self, now_ms: u64, source: Source) -> Result<(), Refusal> {
        if !self.buckets.contains_key(&source) && self.buckets.len() >= limits::REGISTRY_SOURCES_MAX {
            let silent = self.buckets.iter().min_by_key(|(_, bucket)| bucket.at_ms).map(|(source, _)| *source);
            silent.and_then(|source| self.buckets.remove(&source));
        }
        let bucket = self.buckets.entry(source).or_insert(Bucket { level: BUCKET_MAX, at_ms: now_ms });
        let rate = u64::from(limits::REGISTRY_REQUESTS_PER_SECOND);
        // A thousandth a millisecond is one a second.
        bucket.level = now_ms.saturating_sub(bucket.at_ms).saturating_mul(rate).saturating_add(bucket.level).min(BUCKET_MAX);
        bucket.at_ms = bucket.at_ms.max(now_ms);
        match bucket.level.checked_sub(WHOLE) {
            Some(left) => bucket.level = left,
            None => return Err(Refusal::TooOften { retry_ms: (WHOLE - bucket.level).div_ceil(rate) }),
        }
        Ok(())
    }

    /// Takes an announcement; `seen_host` is the address it came from, for one that names no host.
    pub fn announce(&mut self, now_ms: u64, source: Source, announcement: Announcement, seen_host: &str) -> Result<Entry, Refusal> {
        let Announcement { node_id, tcp_port, host } = announcement;
        let entry = Entry { source, node_id, host: host.unwrap_or_else(|| seen_host.to_owned()), tcp_port, seen_ms: now_ms };
        self.insert(entry.clone()).map(|()| entry)
    }

    /// Takes an entry from an earlier life. One that is over or has no place is not taken; one from the future is from now.
    pub fn restore(&mut self, now_ms: u64, entry: Entry) -> bool {
        let entry = Entry { seen_ms: entry.seen_ms.min(now_ms), ..entry };
        self.lives(now_ms, &entry) && self.insert(entry).is_ok()
    }

    fn insert(&mut self, entry: Entry) -> Result<(), Refusal> {
        let key = entry.key();
        if !self.entries.contains_key(&key) {
            let of_source = self.per_source.get(&entry.source).copied().unwrap_or(0);
            if of_source >= limits::REGISTRY_ENTRIES_PER_SOURCE_MAX {
                return Err(Refusal::SourceFull);
            }
            if self.entries.len() >= limits::REGISTRY_ENTRIES_MAX {
                return Err(Refusal::Full);
            }
            self.per_source.insert(entry.source, of_source + 1);
        }
        self.entries.insert(key, entry);
        Ok(())
    }

    fn lives(&self, now_ms: u64, entry: &Entry) -> bool {
        now_ms.saturating_sub(entry.seen_ms) < self.ttl_ms
    }

    /// Drops what was not announced again in time, and names it.
    pub fn expire(&mut self, now_ms: u64) -> Vec<EntryKey> {
        let over: Vec<EntryKey> = self.entries.iter().filter(|(_, entry)| !self.lives(now_ms, entry)).map(|(key, _)| key.clone()).collect();
        for key in &over {
            self.entries.remove(key);
            if let Some(count) = self.per_source.get_mut(&key.0) {
                *count -= 1;
                if *count == 0 {
                    self.per_source.remove(&key.0);
                }
            }
        }
        over
    }

    /// At most `limit` peers, each endpoint once; `seed` decides which if there are more, so that in the end everybody is found.
    pub fn peers(&self, now_ms: u64, limit: usize, seed: u64) -> Vec<BootstrapPeer> {
        let mut living: Vec<&Entry> = self.entries.values().filter(|entry| self.lives(now_ms, entry)).collect();
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut named = BTreeSet::new();
        let mut peers = Vec::new();
        for place in 0..living.len() {
            if peers.len() >= limit {
                break;
            }
            let other = rng.usize(place..living.len());
            living.swap(place, other);
            let Entry { node_id, host, tcp_port, .. } = living[place];
            if named.insert((host, *tcp_port)) {
                peers.push(BootstrapPeer { node_id: node_id.clone(), host: host.clone(), tcp_port: *tcp_port });
            }
        }
        peers
    }

    /// How many entries there are, those that are over and not yet dropped among them.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How long an entry lives.
    pub fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Source = Source::V4([127, 0, 0, 1]);
    const B: Source = Source::V4([127, 0, 0, 2]);

    fn announcement(node_id: &str, tcp_port: u16, host: Option<&str>) -> Announcement {
        Announcement { node_id: node_id.into(), tcp_port, host: host.map(Into::into) }
    }

    fn table() -> Table {
        Table::new(Duration::from_secs(90))
    }

    #[test]
    fn an_entry_has_the_address_it_came_from_unless_it_names_another() {
        let mut table = table();
        table.announce(0, A, announcement("a", 1, None), "127.0.0.1").expect("room");
        table.announce(0, A, announcement("b", 2, Some("node-b")), "127.0.0.1").expect("room");
        let mut hosts: Vec<_> = table.peers(0, 20, 7).into_iter().map(|peer| (peer.node_id, peer.host)).collect();
        hosts.sort();
        assert_eq!(hosts, [("a".into(), "127.0.0.1".into()), ("b".into(), "node-b".into())]);
    }

    #[test]
    fn an_entry_ends_when_it_is_not_announced_again() {
        let mut table = table();
        table.announce(0, A, announcement("a", 1, None), "h").expect("room");
        table.announce(0, A, announcement("b", 2, None), "h").expect("room");
        table.announce(60_000, A, announcement("a", 1, None), "h").expect("the same entry");
        assert_eq!(table.len(), 2);
        assert_eq!(table.peers(89_999, 20, 7).len(), 2);
        assert_eq!(table.peers(90_000, 20, 7).len(), 1, "over, though not dropped yet");
        assert_eq!(table.expire(90_000), [(A, "h".to_owned(), 2)]);
        assert_eq!(table.expire(150_000).len(), 1);
        assert!(table.is_empty() && table.per_source.is_empty());
    }

    #[test]
    fn one_source_cannot_fill_the_registry_or_displace_another() {
        let mut table = table();
        table.announce(0, B, announcement("honest", 9, None), "h").expect("room");
        for port in 1..=limits::REGISTRY_ENTRIES_PER_SOURCE_MAX as u16 {
            table.announce(1, A, announcement("x", port + 100, None), "h").expect("room");
        }
        assert_eq!(table.announce(1, A, announcement("x", 9, Some("h")), "h"), Err(Refusal::SourceFull));
        assert!(table.announce(1, A, announcement("x", 101, None), "h").is_ok(), "what it has it may renew");
        table.expire(91_000);
        assert!(table.announce(91_000, A, announcement("x", 9, None), "h").is_ok());
    }

    #[test]
    fn a_full_registry_keeps_what_it_has() {
        let mut table = table();
        let sources = limits::REGISTRY_ENTRIES_MAX / limits::REGISTRY_ENTRIES_PER_SOURCE_MAX;
        for number in 0..sources as u16 {
            let source = Source::V4([10, 0, (number >> 8) as u8, number as u8]);
            for port in 1..=limits::REGISTRY_ENTRIES_PER_SOURCE_MAX as u16 {
                table.announce(0, source, announcement("x", port, Some(&format!("h{number}"))), "h").expect("room");
            }
        }
        assert_eq!(table.announce(0, A, announcement("late", 1, None), "h"), Err(Refusal::Full));
        assert_eq!(table.len(), limits::REGISTRY_ENTRIES_MAX);
    }

    #[test]
    fn a_source_that_floods_is_refused_and_told_when_to_come_back() {
        let mut table = table();
        for _ in 0..limits::REGISTRY_BURST {
            assert_eq!(table.admit(5, A), Ok(()));
        }
        let Err(Refusal::TooOften { retry_ms }) = table.admit(5, A) else { panic!("one too many") };
        assert_eq!(table.admit(5, B), Ok(()), "another source");
        assert!(table.admit(5 + retry_ms - 1, A).is_err());
        assert_eq!(table.admit(5 + retry_ms, A), Ok(()));
        assert!(table.admit(1, A).is_err(), "a clock that ran backwards gives nothing");
    }

    #[test]
    fn the_sources_that_are_counted_have_a_limit() {
        let mut table = table();
        for number in 0..2 * limits::REGISTRY_SOURCES_MAX as u64 {
            assert_eq!(table.admit(number, Source::V6(number.to_be_bytes())), Ok(()));
        }
        assert_eq!(table.buckets.len(), limits::REGISTRY_SOURCES_MAX);
    }

    #[test]
    fn addresses_of_one_subscriber_are_one_source() {
        let mut octets = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        let first = Source::from_octets(octets);
        octets[15] = 2;
        assert_eq!(Source::from_octets(octets), first);
        octets[7] = 2;
        assert_ne!(Source::from_octets(octets), first);
        assert_eq!(Source::from_octets([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1]), A);
    }

    #[test]
    fn everybody_is_named_sooner_or_later_and_an_endpoint_only_once() {
        let mut table = table();
        for port in 1..=50 {
            table.announce(0, A, announcement("a", port, Some("h")), "h").expect("room");
            table.announce(1, B, announcement("b", port, Some("h")), "h").expect("room");
        }
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let peers = table.peers(1, 20, seed);
            let endpoints: std::collections::BTreeSet<_> = peers.iter().map(BootstrapPeer::endpoint).collect();
            assert_eq!((peers.len(), endpoints.len()), (20, 20));
            seen.extend(endpoints);
        }
        assert_eq!(seen.len(), 50);
    }

    #[test]
    fn an_earlier_life_is_taken_over_without_what_is_over() {
        let entry = |tcp_port, seen_ms| Entry { source: A, node_id: "a".into(), host: "h".into(), tcp_port, seen_ms };
        let mut table = table();
        assert!(!table.restore(100_000, entry(1, 10_000)));
        assert!(table.restore(100_000, entry(2, 10_001)));
        assert!(table.restore(100_000, entry(3, u64::MAX)), "the clock was set back");
        assert_eq!(table.expire(190_000).len(), 2);
    }
}
