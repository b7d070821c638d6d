//! The carrier's part in snapshots: what lies on its shelf is whatever the input chooses.

use bytes::Bytes;
use vixp2p::base::LogId;
use vixp2p::mesh::Input;
use vixp2p::mesh::io::{Examined, Kept, Place, SnapshotInput, SnapshotOutput};
use vixp2p::wire::message::{Part, SnapshotId, SnapshotOffer};

use super::{Carrier, LOCAL, log};

impl Carrier {
    /// Places a little ahead of what is here, so that a snapshot may help and may cover.
    pub(super) fn some_places(&self, choice: u8) -> Vec<Place> {
        let ahead = |(log, durable): (&LogId, &u64)| {
            let applied = self.applied.get(log).copied().unwrap_or(0).max(*durable);
            let base = durable + u64::from(choice >> 4) + 1;
            Place { log: *log, base, applied: base.max(applied) }
        };
        let fresh = log(choice);
        let new = (!self.durable.contains_key(&fresh)).then_some(Place { log: fresh, base: 2, applied: 3 });
        self.durable.iter().map(ahead).chain(new).collect()
    }

    /// One of what the mesh wants is done, or is not.
    pub(super) fn answer_snapshot(&mut self, choice: u8) {
        let Some(wanted) = self.snapshots.pop_front() else { return };
        let told = match wanted {
            SnapshotOutput::Make if choice & 1 == 0 => SnapshotInput::NotMade,
            SnapshotOutput::Make => held(choice, self.some_places(choice)),
            SnapshotOutput::Read { link, id, part } => {
                SnapshotInput::ReadDone { link, id, part, bytes: (choice & 1 == 0).then(|| Bytes::from_static(b"part")) }
            }
            SnapshotOutput::Examine { link, offer, .. } => {
                self.places = self.some_places(choice);
                let verdict = match choice % 8 {
                    0 => Examined::Unwelcome,
                    1 => Examined::False,
                    2 => Examined::Failed,
                    3 => Examined::Good { places: self.places.clone(), missing: Some(Vec::new()) },
                    _ => Examined::Good { places: self.places.clone(), missing: None },
                };
                SnapshotInput::Examined { link, id: offer.id, verdict }
            }
            SnapshotOutput::Keep { link, id, part, .. } => {
                let verdict = match (choice % 8, part) {
                    (0, _) => Kept::False,
                    (1, _) => Kept::Failed,
                    (_, Part::Piece(_)) => Kept::Piece,
                    (n, _) => Kept::Hashes { missing: (0..u64::from(n)).collect() },
                };
                SnapshotInput::Kept { link, id, part, verdict }
            }
            SnapshotOutput::Install { id } if choice & 1 == 0 => {
                self.installing = false;
                SnapshotInput::NotInstalled { id }
            }
            SnapshotOutput::Install { id } => {
                self.installing = false;
                let places: Vec<Place> =
                    self.places.iter().copied().filter(|p| p.log != self.own && !self.frozen.contains(&p.log)).collect();
                for place in &places {
                    let (durable, applied) = (self.durable.entry(place.log).or_default(), self.applied.entry(place.log).or_default());
                    (*durable, *applied) = ((*durable).max(place.base), (*applied).max(place.applied));
                }
                SnapshotInput::Installed { id, places }
            }
        };
        self.step(Input::Snapshot(told));
    }
}

/// A snapshot that lies here.
pub(super) fn held(choice: u8, places: Vec<Place>) -> SnapshotInput {
    let offer = SnapshotOffer { id: SnapshotId([choice % 4; 32]), maker: LOCAL, root: [choice % 2; 32], size: 9, manifest: 4 };
    SnapshotInput::Held { offer, places }
}
