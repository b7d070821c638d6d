//! The MAC of announcements: who can make it knows the cluster's secret. Never shows a key.

use subtle::ConstantTimeEq;

use crate::base::config::Psk;
use crate::crypto::Secret;
use crate::crypto::schedule::{HASH_BYTES, expand, extract, mac};
use crate::wire::Beacon;

/// The keys of announcements: of the present secret and of the one before it. None without a secret.
#[derive(Debug)]
pub struct Seals {
    keys: Vec<Secret<HASH_BYTES>>,
}

impl Seals {
    /// Derives them.
    pub fn new(psk: Option<&Psk>, previous: Option<&Psk>) -> Seals {
        let key = |psk: &Psk| expand(&extract(b"vixp2p psk", psk.as_bytes()), "announce", &[]);
        Seals { keys: psk.into_iter().chain(previous).map(key).collect() }
    }

    /// Whether announcements carry a MAC.
    pub(super) fn sealing(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The number of the key under which a datagram is sealed, if there is one.
    pub(super) fn opens(&self, datagram: &[u8]) -> Option<usize> {
        let (covered, theirs) = Beacon::sealed(datagram)?;
        self.keys.iter().position(|key| mac(key, covered).ct_eq(&theirs).into())
    }

    /// The datagram of a beacon, `room` bytes long and sealed under that key if there is one. `None` if it does not fit.
    pub(super) fn write(&self, beacon: &Beacon, room: usize, key: usize) -> Option<Vec<u8>> {
        match self.keys.get(key) {
            Some(key) => beacon.write(room, Some(&|covered| mac(key, covered))).ok(),
            None => beacon.write(room, None).ok(),
        }
    }
}
