//! What the log promises, tried against cut files, flipped bits, lost writes and failing disks.

mod buffered;
mod causes;
mod codec;
mod compare;
mod crash;
mod cursor;
mod damage;
mod disk;
mod every;
mod reader;
mod store;
mod tail;
mod truncate;

use std::sync::Arc;

use bytes::Bytes;
use ed25519_dalek::Signer as _;

use crate::base::{Incarnation, LogId, PeerId};
use crate::sync::{Entry, Group, Signer, Storage, Wal, WalError};

/// A key for tests.
struct Key(ed25519_dalek::SigningKey);

impl Signer for Key {
    fn public(&self) -> PeerId {
        PeerId(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

fn key(n: u8) -> Arc<Key> {
    Arc::new(Key(ed25519_dalek::SigningKey::from_bytes(&[n; 32])))
}

fn log_of(n: u8, incarnation: u64) -> LogId {
    LogId { origin: key(n).public(), incarnation: Incarnation(incarnation) }
}

/// Opens the log of node `n`; nothing may be damaged.
fn open<S: Storage>(disk: S, n: u8) -> Wal<S> {
    let (wal, damages) = Wal::open(disk, key(n), Incarnation(1)).expect("the disk works");
    assert!(damages.is_empty(), "{}", damages[0]);
    wal
}

/// The payload of record `seq`: tells itself apart from every other.
fn payload(seq: u64, len: usize) -> Bytes {
    let mut bytes = seq.to_le_bytes().to_vec();
    bytes.resize(8 + len, seq as u8);
    bytes.into()
}

fn payloads(first: u64, count: u64, len: usize) -> Vec<Bytes> {
    (first..first + count).map(|seq| payload(seq, len)).collect()
}

/// All entries of a log, read in small pieces.
fn read_all<S: Storage>(wal: &Wal<S>, log: LogId) -> Result<Vec<Entry>, WalError> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let from = entries.last().map_or(1, |entry| entry.seq + 1);
        let groups: Vec<Group> = wal.read(log, from, 1000)?;
        if groups.is_empty() {
            return Ok(entries);
        }
        entries.extend(groups.iter().flat_map(Group::entries));
    }
}

/// The log holds exactly records `1..=upto`, each with its own payload.
fn assert_holds<S: Storage>(wal: &Wal<S>, log: LogId, upto: u64, len: usize) {
    assert_eq!(wal.durable(log), upto);
    let entries = read_all(wal, log).expect("reads");
    assert_eq!(entries.len() as u64, upto);
    for (entry, seq) in entries.iter().zip(1..) {
        assert_eq!((entry.seq, &entry.payload), (seq, &payload(seq, len)));
    }
}
