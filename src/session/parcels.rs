//! A party's parcels: sealed under its key and its cluster's secret, opened under the present secret or the one before it.
//!
//! Judges nobody and draws no randomness.

use crate::base::PeerId;
use crate::crypto::Secret;
use crate::crypto::parcel::{self, Opened, Sealed};
use crate::session::LocalParty;

impl LocalParty {
    /// Seals a payload to a peer; `ephemeral` is fresh. `None` if its id is no public key.
    pub fn seal_parcel(&self, to: &PeerId, header: &[u8], payload: &[u8], ephemeral: &Secret<32>) -> Option<Sealed> {
        parcel::seal(&self.identity, to, self.clusters.first()?, ephemeral, header, payload)
    }

    /// Opens a parcel said to be `from` a peer; `None` if it is not, or was altered, or is sealed under another cluster's secret.
    pub fn open_parcel(&self, from: &PeerId, header: &[u8], bytes: &[u8]) -> Option<Opened> {
        parcel::open(&self.identity, from, &self.clusters, header, bytes).ok()
    }
}
