//! Who takes records from here, when each was heard of last, and how far each is in every log by its own word.
//!
//! ```text
//!  "VIXP2PRE" | version u32 = 1 | count varint | count x ( peer 32 | heard_us u64 | count varint | count x ( origin 32 | incarnation u64 | durable u64 ) )
//! ```
//!
//! What is missing here, because it was lost or there was no room, counts as not had: more is kept then, never less. Knows no file
//! and decides nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::{Incarnation, LogId, PeerId, limits};
use crate::wire::cursor::{Reader, WireError, Writer};

const MAGIC: &[u8; 8] = b"VIXP2PRE";
const VERSION: u32 = 1;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Replica {
    heard_us: u64,
    durable: BTreeMap<LogId, u64>,
}

/// Every replica that is known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Replicas {
    known: BTreeMap<PeerId, Replica>,
    /// Places in all.
    places: usize,
}

impl Replicas {
    /// A replica was heard of, at this time of the wall clock in microseconds since 1970.
    pub fn heard(&mut self, peer: PeerId, now_us: u64) {
        if !self.known.contains_key(&peer) && self.known.len() >= limits::REPLICAS_MAX {
            let oldest = self.known.iter().min_by_key(|(_, replica)| replica.heard_us).map(|(peer, _)| *peer);
            oldest.into_iter().for_each(|peer| self.forget(peer));
        }
        let replica = self.known.entry(peer).or_default();
        replica.heard_us = replica.heard_us.max(now_us);
    }

    /// A replica that was heard of says how far it is in a log. Its last word counts: a disk may have been set back.
    pub fn acked(&mut self, peer: PeerId, log: LogId, durable: u64) {
        let Some(replica) = self.known.get_mut(&peer) else { return };
        if let Some(known) = replica.durable.get_mut(&log) {
            *known = durable;
        } else if self.places < limits::REPLICA_PLACES_MAX {
            replica.durable.insert(log, durable);
            self.places += 1;
        }
    }

    /// A replica takes no more records from here.
    pub fn forget(&mut self, peer: PeerId) {
        self.places -= self.known.remove(&peer).map_or(0, |replica| replica.durable.len());
    }

    /// How far a replica is in a log.
    pub fn durable(&self, peer: &PeerId, log: &LogId) -> u64 {
        self.known.get(peer).and_then(|replica| replica.durable.get(log)).copied().unwrap_or(0)
    }

    /// Every replica and when it was heard of last.
    pub fn known(&self) -> impl Iterator<Item = (PeerId, u64)> {
        self.known.iter().map(|(peer, replica)| (*peer, replica.heard_us))
    }

    /// Replicas heard of within the lease.
    pub fn counted(&self, now_us: u64, lease: Duration) -> impl Iterator<Item = PeerId> {
        let lease_us = u64::try_from(lease.as_micros()).unwrap_or(u64::MAX);
        self.known().filter(move |(_, heard_us)| now_us.saturating_sub(*heard_us) < lease_us).map(|(peer, _)| peer)
    }

    /// The table as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut w = Writer::new(&mut out);
        w.bytes(MAGIC);
        w.u32(VERSION);
        w.var_u64(self.known.len() as u64);
        for (peer, replica) in &self.known {
            w.bytes(&peer.0);
            w.u64(replica.heard_us);
            w.var_u64(replica.durable.len() as u64);
            for (log, durable) in &replica.durable {
                w.bytes(&log.origin.0);
                w.u64(log.incarnation.0);
                w.u64(*durable);
            }
        }
        out
    }

    /// Reads what [`Replicas::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Replicas, WireError> {
        let mut r = Reader::new(bytes);
        let (magic, version) = (r.array::<8>()?, r.u32()?);
        if magic != *MAGIC || version != VERSION {
            return Err(WireError::Range { what: "version of a table of replicas", got: u64::from(version), min: u64::from(VERSION) });
        }
        let mut table = Replicas::default();
        for _ in 0..r.count(limits::REPLICAS_MAX)? {
            let peer = PeerId(r.array()?);
            table.heard(peer, r.u64()?);
            for _ in 0..r.count(limits::LOGS_MAX)? {
                let log = LogId { origin: PeerId(r.array()?), incarnation: Incarnation(r.u64()?) };
                table.acked(peer, log, r.u64()?);
            }
        }
        r.finish()?;
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn log(n: u8) -> LogId {
        LogId { origin: PeerId([n; 32]), incarnation: Incarnation(u64::from(n)) }
    }

    proptest! {
        #[test]
        fn a_table_comes_back_as_it_was_written(said in proptest::collection::vec((0u8..5, any::<u64>(), 0u8..5, any::<u64>()), 0..40)) {
            let mut table = Replicas::default();
            for (peer, heard_us, of, durable) in said {
                table.heard(PeerId([peer; 32]), heard_us);
                table.acked(PeerId([peer; 32]), log(of), durable);
            }
            let bytes = table.to_bytes();
            prop_assert_eq!(Replicas::from_bytes(&bytes), Ok(table));
            for cut in 0..bytes.len() {
                prop_assert!(Replicas::from_bytes(&bytes[..cut]).is_err());
            }
        }

        #[test]
        fn no_bytes_upset_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Replicas::from_bytes(&[&MAGIC[..], &VERSION.to_le_bytes(), &bytes].concat());
        }
    }

    #[test]
    fn the_last_word_of_a_replica_counts_and_one_that_was_not_heard_of_has_none() {
        let (mut table, peer) = (Replicas::default(), PeerId([1; 32]));
        table.acked(peer, log(1), 9);
        assert_eq!(table, Replicas::default());
        table.heard(peer, 5);
        table.acked(peer, log(1), 9);
        table.acked(peer, log(1), 4);
        assert_eq!((table.durable(&peer, &log(1)), table.durable(&peer, &log(2))), (4, 0));
        table.forget(peer);
        assert_eq!(table, Replicas::default());
    }

    #[test]
    fn a_full_table_forgets_the_replica_that_was_silent_longest() {
        let mut table = Replicas::default();
        for n in 0..=limits::REPLICAS_MAX as u64 {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_le_bytes());
            table.heard(PeerId(key), n + 1);
        }
        assert_eq!(table.known().count(), limits::REPLICAS_MAX);
        assert!(table.known().all(|(_, heard_us)| heard_us > 1));
    }
}
