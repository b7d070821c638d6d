//! What a mesh is told of snapshots and what it wants done about them. The mesh never sees a state's bytes but on their way through.
//!
//! ```text
//!  giver:  Make ──► Held (or NotMade)     Read ──► ReadDone
//!  taker:  Examine ──► Examined     Keep ──► Kept, for each part     Install ──► Installed (or NotInstalled)
//! ```

use std::fmt;

use bytes::Bytes;

use crate::base::{LinkId, LogId};
use crate::wire::message::{Part, SnapshotId, SnapshotOffer};

/// How far a snapshot goes in one log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Which log.
    pub log: LogId,
    /// Last record whose effect is in the state.
    pub applied: u64,
    /// Last record of the last group that ends there or before; 0 if there is none. The log of whoever takes the snapshot begins behind it.
    pub base: u64,
}

/// What came of a manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Examined {
    /// It is proven, its maker may be believed, and there is room for it.
    Good {
        /// How far it goes, each log once.
        places: Vec<Place>,
        /// Pieces that are not on disk yet; `None` if the list of hashes is not there either.
        missing: Option<Vec<u64>>,
    },
    /// Right, but not for this node: its maker is not one of those allowed, or its schema is another.
    Unwelcome,
    /// The disk refuses it for now; it is asked about again later.
    Failed,
    /// It is not what the offer said, or a signature in it is false: the peer that sent it is to blame.
    False,
}

/// What came of a part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kept {
    /// A piece is on disk, now or before.
    Piece,
    /// So is the list of hashes; these pieces are missing.
    Hashes {
        /// Their numbers.
        missing: Vec<u64>,
    },
    /// It is not what belongs there: the peer that sent it is to blame.
    False,
    /// The disk refused it, or this snapshot is not being taken (any more). It may be asked for again.
    Failed,
}

/// What a carrier tells a mesh of snapshots.
#[derive(Clone, Debug)]
pub enum SnapshotInput {
    /// A log begins behind this record here from now on: older ones were let go.
    Truncated {
        /// Which log.
        log: LogId,
        /// Last record that is not kept.
        base: u64,
    },
    /// A whole snapshot lies here durably: found at the start, made (also as the answer to `Make`), or taken.
    Held {
        /// As peers are told.
        offer: SnapshotOffer,
        /// How far it goes, each log once.
        places: Vec<Place>,
    },
    /// A snapshot is not kept any more.
    Gone {
        /// Which.
        id: SnapshotId,
    },
    /// The answer to `Make` if there is none to be had: no provider, it failed, no room.
    NotMade,
    /// The answer to `Read`.
    ReadDone {
        /// For which link.
        link: LinkId,
        /// Of which snapshot.
        id: SnapshotId,
        /// Which part.
        part: Part,
        /// `None`: it is gone, or cannot be read (then `Gone` follows: the peer does not ask this node for it again).
        bytes: Option<Bytes>,
    },
    /// The answer to `Examine`.
    Examined {
        /// The link it came from.
        link: LinkId,
        /// Which snapshot.
        id: SnapshotId,
        /// What came of it.
        verdict: Examined,
    },
    /// The answer to `Keep`.
    Kept {
        /// The link it came from.
        link: LinkId,
        /// Of which snapshot.
        id: SnapshotId,
        /// Which part.
        part: Part,
        /// What came of it.
        verdict: Kept,
    },
    /// The answer to `Install`: the application's state is the snapshot's, and the logs stand at its places. `Held` follows or came before.
    Installed {
        /// Which snapshot.
        id: SnapshotId,
        /// The places that were taken over; logs that could not be are left out.
        places: Vec<Place>,
    },
    /// The answer to `Install` if nothing has changed.
    NotInstalled {
        /// Which snapshot.
        id: SnapshotId,
    },
}

/// What a mesh wants of its carrier about snapshots.
#[derive(Clone, Debug)]
pub enum SnapshotOutput {
    /// A peer needs a snapshot, and none here is far enough: make one; answer `Held` or `NotMade`. One is under way at a time.
    Make,
    /// Read a part for a peer; answer `ReadDone`.
    Read {
        /// For which link.
        link: LinkId,
        /// Of which snapshot.
        id: SnapshotId,
        /// Which part.
        part: Part,
    },
    /// A manifest has come: check it against the offer, prove it, begin to take that snapshot (in place of any other one; what is on
    /// disk of it is used); answer `Examined`.
    Examine {
        /// Where it came from.
        link: LinkId,
        /// What was offered; its `id` is the manifest's hash.
        offer: SnapshotOffer,
        /// The manifest as it came.
        manifest: Bytes,
    },
    /// A part of the snapshot that is being taken has come: check it, write it; answer `Kept`, also when the link has gone meanwhile.
    Keep {
        /// Where it came from.
        link: LinkId,
        /// Of which snapshot: the one examined last.
        id: SnapshotId,
        /// The list of hashes or a piece.
        part: Part,
        /// As it came.
        bytes: Bytes,
    },
    /// Every piece is there and the application is at rest: note durably that this begins, replace the application's state, begin
    /// the logs at its places, note that it is done; answer `Installed` or `NotInstalled`. What a crash breaks off is done at the next start.
    Install {
        /// Which snapshot.
        id: SnapshotId,
    },
}

struct Said(Part);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Part::Manifest => f.write_str("manifest"),
            Part::Hashes => f.write_str("hashes"),
            Part::Piece(index) => write!(f, "piece {index}"),
        }
    }
}

/// The trace's words for a message of the family.
pub(super) fn describe(id: &SnapshotId, part: Part, bytes: Option<Option<&Bytes>>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match bytes {
        None => write!(f, "fetch {} {}", id.short(), Said(part)),
        Some(None) => write!(f, "no {} of {}", Said(part), id.short()),
        Some(Some(bytes)) => write!(f, "{} of {}: {} bytes", Said(part), id.short(), bytes.len()),
    }
}

impl fmt::Display for SnapshotInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotInput::Truncated { log, base } => write!(f, "{log} begins behind {base}"),
            SnapshotInput::Held { offer, places } => write!(f, "snapshot {} of {} logs is here", offer.id.short(), places.len()),
            SnapshotInput::Gone { id } => write!(f, "snapshot {} is gone", id.short()),
            SnapshotInput::NotMade => f.write_str("no snapshot was made"),
            SnapshotInput::ReadDone { link, id, part, bytes } => {
                write!(f, "{link} read {} of snapshot {}: {:?} bytes", Said(*part), id.short(), bytes.as_ref().map(Bytes::len))
            }
            SnapshotInput::Examined { link, id, verdict } => {
                write!(f, "{link} snapshot {} ", id.short())?;
                match verdict {
                    Examined::Good { places, missing: None } => write!(f, "is good, {} logs", places.len()),
                    Examined::Good { places, missing: Some(missing) } => {
                        write!(f, "is good, {} logs, {} pieces missing", places.len(), missing.len())
                    }
                    Examined::Failed => f.write_str("cannot be taken now"),
                    Examined::Unwelcome => f.write_str("is unwelcome"),
                    Examined::False => f.write_str("is false"),
                }
            }
            SnapshotInput::Kept { link, id, part, verdict } => {
                write!(f, "{link} {} of snapshot {} ", Said(*part), id.short())?;
                match verdict {
                    Kept::Piece => f.write_str("kept"),
                    Kept::Hashes { missing } => write!(f, "kept, {} pieces missing", missing.len()),
                    Kept::False => f.write_str("is false"),
                    Kept::Failed => f.write_str("not kept"),
                }
            }
            SnapshotInput::Installed { id, places } => write!(f, "snapshot {} is installed in {} logs", id.short(), places.len()),
            SnapshotInput::NotInstalled { id } => write!(f, "snapshot {} is not installed", id.short()),
        }
    }
}

impl fmt::Display for SnapshotOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotOutput::Make => f.write_str("make a snapshot"),
            SnapshotOutput::Read { link, id, part } => write!(f, "{link} read {} of snapshot {}", Said(*part), id.short()),
            SnapshotOutput::Examine { link, offer, manifest } => {
                write!(f, "{link} examine snapshot {}: {} bytes", offer.id.short(), manifest.len())
            }
            SnapshotOutput::Keep { link, id, part, bytes } => {
                write!(f, "{link} keep {} of snapshot {}: {} bytes", Said(*part), id.short(), bytes.len())
            }
            SnapshotOutput::Install { id } => write!(f, "install snapshot {}", id.short()),
        }
    }
}
