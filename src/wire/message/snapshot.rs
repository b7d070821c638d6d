//! The snapshot family: an offer, a question for one part of it, and that part. Never judges what the bytes are.

use std::fmt;

use bytes::Bytes;

use crate::base::id::hex;
use crate::base::{PeerId, limits};
use crate::wire::cursor::{Reader, WireError, Writer};

/// Names a snapshot: the BLAKE3 hash of its manifest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SnapshotId(pub [u8; 32]);

impl SnapshotId {
    /// The first eight digits.
    pub fn short(&self) -> String {
        hex(&self.0[..4])
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// The sender holds a snapshot that the receiver needs: records it lacks are not kept any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotOffer {
    /// Which.
    pub id: SnapshotId,
    /// Who made and signed it; not always the sender.
    pub maker: PeerId,
    /// BLAKE3 hash of the state.
    pub root: [u8; 32],
    /// Bytes of the state.
    pub size: u64,
    /// Bytes of the manifest.
    pub manifest: u32,
}

/// What is fetched of a snapshot at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// The manifest.
    Manifest,
    /// The list of the pieces' hashes.
    Hashes,
    /// This piece of the state.
    Piece(u64),
}

/// A question for one part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotFetch {
    /// Of which snapshot.
    pub id: SnapshotId,
    /// Which part.
    pub part: Part,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotData {
    /// Of which snapshot.
    pub id: SnapshotId,
    /// Which part.
    pub part: Part,
    /// `None`: the sender does not have it any more.
    pub bytes: Option<Bytes>,
}

/// Why an offer is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Decline {
    /// The sender has applied records that are not in it: a newer one would do.
    Behind = 0,
    /// The sender lacks nothing that it could bring.
    Unneeded = 1,
    /// Its maker is not one the sender takes snapshots from, or it is in a form that the sender does not know.
    Unwelcome = 2,
}

/// The sender does not take an offered snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotDecline {
    /// Which.
    pub id: SnapshotId,
    /// Why.
    pub why: Decline,
}

impl SnapshotDecline {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.bytes(&self.id.0);
        w.u8(self.why as u8);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<SnapshotDecline, WireError> {
        let id = SnapshotId(r.array()?);
        let why = match r.u8()? {
            0 => Decline::Behind,
            1 => Decline::Unneeded,
            2 => Decline::Unwelcome,
            _ => return Err(WireError::Malformed("an unknown reason not to take a snapshot")),
        };
        Ok(SnapshotDecline { id, why })
    }
}

impl Part {
    /// The most bytes it may have.
    pub fn max_bytes(self) -> usize {
        match self {
            Part::Manifest => limits::SNAPSHOT_MANIFEST_MAX_BYTES,
            Part::Hashes => limits::SNAPSHOT_HASHES_MAX_BYTES,
            Part::Piece(_) => limits::SNAPSHOT_PIECE_BYTES,
        }
    }

    fn encode(self, w: &mut Writer<'_>) {
        match self {
            Part::Manifest => w.u8(0),
            Part::Hashes => w.u8(1),
            Part::Piece(index) => {
                w.u8(2);
                w.u64(index);
            }
        }
    }

    fn decode(r: &mut Reader<'_>) -> Result<Part, WireError> {
        match r.u8()? {
            0 => Ok(Part::Manifest),
            1 => Ok(Part::Hashes),
            2 => match r.u64()? {
                index if index < limits::SNAPSHOT_MAX_BYTES / limits::SNAPSHOT_PIECE_BYTES as u64 => Ok(Part::Piece(index)),
                _ => Err(WireError::Malformed("a piece past the end of the largest snapshot")),
            },
            _ => Err(WireError::Malformed("an unknown part of a snapshot")),
        }
    }
}

impl SnapshotOffer {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.bytes(&self.id.0);
        w.bytes(&self.maker.0);
        w.bytes(&self.root);
        w.u64(self.size);
        w.u32(self.manifest);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<SnapshotOffer, WireError> {
        let (id, maker, root) = (SnapshotId(r.array()?), PeerId(r.array()?), r.array()?);
        let (size, manifest) = (r.u64()?, r.u32()?);
        if size > limits::SNAPSHOT_MAX_BYTES || manifest as usize > limits::SNAPSHOT_MANIFEST_MAX_BYTES {
            return Err(WireError::Malformed("a larger snapshot than there may be"));
        }
        Ok(SnapshotOffer { id, maker, root, size, manifest })
    }
}

impl SnapshotFetch {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.bytes(&self.id.0);
        self.part.encode(w);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<SnapshotFetch, WireError> {
        Ok(SnapshotFetch { id: SnapshotId(r.array()?), part: Part::decode(r)? })
    }
}

impl SnapshotData {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.bytes(&self.id.0);
        self.part.encode(w);
        w.u8(u8::from(self.bytes.is_some()));
        if let Some(bytes) = &self.bytes {
            w.bytes_var(bytes);
        }
    }

    pub(super) fn decode(r: &mut Reader<'_>, body: &Bytes) -> Result<SnapshotData, WireError> {
        let (id, part) = (SnapshotId(r.array()?), Part::decode(r)?);
        let bytes = match r.u8()? {
            0 => None,
            1 => Some(body.slice_ref(r.bytes_var(part.max_bytes())?)),
            other => return Err(WireError::Range { what: "SnapshotData held flag", got: u64::from(other), min: 0 }),
        };
        Ok(SnapshotData { id, part, bytes })
    }
}
