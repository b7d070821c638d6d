//! What a snapshot is: whose, of what size and hash, and how far it goes in every log.
//!
//! ```text
//!  "VIXP2PSS" | version u32 = 1 | maker 32 | made_us u64 | schema varint + text | size u64 | root 32
//!  | count varint | count x ( origin 32 | incarnation u64 | applied u64 | sealed u8 | seal record 130, if sealed )
//!  | signature 64, the maker's Ed25519 over "vixp2p snapshot v1\0" and all before it
//! ```
//!
//! `applied` is the last record whose effect is in the state. The seal is that of the last group that ends at or before it, there is
//! none before the first group's end. Strict: places in the order of their logs, each once, nothing after the signature.

use crate::base::{Incarnation, LogId, PeerId, limits};
use crate::crypto::identity::verify;
use crate::sync::record::SEAL_BYTES;
use crate::sync::{Base, GroupError, Signer};
use crate::wire::cursor::{Reader, WireError, Writer};

const MAGIC: &[u8; 8] = b"VIXP2PSS";
const VERSION: u32 = 1;
const DOMAIN: &[u8] = b"vixp2p snapshot v1\0";

/// How far a snapshot goes in one log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Which log.
    pub log: LogId,
    /// Last record whose effect is in the state.
    pub applied: u64,
    /// The last group's end up to there, under the origin's seal.
    pub sealed: Option<Base>,
}

/// A snapshot but for its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// Who made and signed it.
    pub maker: PeerId,
    /// When, by its clock, in microseconds since 1970; for information.
    pub made_us: u64,
    /// What the application calls the form of the bytes.
    pub schema: String,
    /// How many bytes.
    pub size: u64,
    /// Their BLAKE3 hash.
    pub root: [u8; 32],
    /// How far it goes, in the order of the logs.
    pub places: Vec<Place>,
}

/// Why bytes are no snapshot's manifest.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ManifestError {
    /// They are not in the form.
    #[error("snapshot manifest: {0}")]
    Form(#[from] WireError),
    /// They begin with something else, or a later version's.
    #[error("not the manifest of a snapshot this version knows")]
    Unknown,
    /// More than a snapshot may have.
    #[error("snapshot of {got} bytes, limit is {max}")]
    TooLarge {
        /// Bytes by the manifest.
        got: u64,
        /// The limit.
        max: u64,
    },
    /// A log comes twice or out of order.
    #[error("snapshot manifest: the places are out of order")]
    Order,
    /// What is said to be applied does not lie in the group behind the seal.
    #[error("snapshot manifest: record {applied} of {log} does not follow its seal")]
    Applied {
        /// Which log.
        log: LogId,
        /// What is said.
        applied: u64,
    },
    /// Snapshots of its maker are not taken here.
    #[error("snapshots made by {} are not taken here", .0.short())]
    Maker(PeerId),
    /// A seal is not the origin's.
    #[error("snapshot manifest: {0}")]
    Seal(#[from] GroupError),
    /// The signature is not the maker's.
    #[error("the snapshot is not signed by {}", .0.short())]
    Signature(PeerId),
}

impl Manifest {
    /// The bytes, signed by the maker, who is `signer`.
    pub fn sign(&self, signer: &dyn Signer) -> Vec<u8> {
        let mut out = Vec::new();
        let mut w = Writer::new(&mut out);
        w.bytes(MAGIC);
        w.u32(VERSION);
        w.bytes(&self.maker.0);
        w.u64(self.made_us);
        w.str(&self.schema);
        w.u64(self.size);
        w.bytes(&self.root);
        w.var_u64(self.places.len() as u64);
        for place in &self.places {
            w.bytes(&place.log.origin.0);
            w.u64(place.log.incarnation.0);
            w.u64(place.applied);
            w.u8(u8::from(place.sealed.is_some()));
            if let Some(base) = &place.sealed {
                w.bytes(&base.proof);
            }
        }
        let signature = signer.sign(&[DOMAIN, &out].concat());
        out.extend_from_slice(&signature);
        out
    }

    /// The place that a manifest names in one log, proven by that log's origin and by nobody else: worth what a push of its records is.
    pub fn base_in(bytes: &[u8], log: &LogId) -> Option<Base> {
        let Unsigned { places, .. } = Unsigned::read(bytes).ok()?;
        let proof = places.into_iter().find(|(named, ..)| named == log)?.2?;
        Base::prove(log, &proof).ok()
    }

    /// Reads and proves: form, a maker who is welcome, the maker's signature, order, every origin's seal.
    pub fn prove(bytes: &[u8], is_welcome: impl FnOnce(&PeerId) -> bool) -> Result<Manifest, ManifestError> {
        let Unsigned { maker, made_us, schema, size, root, places, signed, signature } = Unsigned::read(bytes)?;
        // The cheap questions before the many signatures.
        if !is_welcome(&maker) {
            return Err(ManifestError::Maker(maker));
        }
        if !verify(&maker, &[DOMAIN, &bytes[..signed]].concat(), &signature) {
            return Err(ManifestError::Signature(maker));
        }
        if !places.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(ManifestError::Order);
        }
        let places = places.into_iter().map(prove_place).collect::<Result<Vec<_>, _>>()?;
        Ok(Manifest { maker, made_us, schema, size, root, places })
    }
}

/// A log, what is applied of it, and a seal record nobody has looked at.
type Unproven = (LogId, u64, Option<[u8; SEAL_BYTES]>);

/// A manifest that has the right form, and nothing more.
struct Unsigned {
    maker: PeerId,
    made_us: u64,
    schema: String,
    size: u64,
    root: [u8; 32],
    places: Vec<Unproven>,
    /// How many bytes are signed.
    signed: usize,
    signature: [u8; 64],
}

impl Unsigned {
    fn read(bytes: &[u8]) -> Result<Unsigned, ManifestError> {
        let mut r = Reader::new(bytes);
        if r.array::<8>()? != *MAGIC || r.u32()? != VERSION {
            return Err(ManifestError::Unknown);
        }
        let (maker, made_us) = (PeerId(r.array()?), r.u64()?);
        let schema = r.str(limits::SNAPSHOT_SCHEMA_MAX_BYTES)?.to_owned();
        let (size, root) = (r.u64()?, r.array()?);
        if size > limits::SNAPSHOT_MAX_BYTES {
            return Err(ManifestError::TooLarge { got: size, max: limits::SNAPSHOT_MAX_BYTES });
        }
        let count = r.count(limits::LOGS_MAX)?;
        let places = (0..count).map(|_| read_place(&mut r)).collect::<Result<Vec<_>, _>>()?;
        let signed = bytes.len() - r.remaining();
        let signature = r.array::<64>()?;
        r.finish()?;
        Ok(Unsigned { maker, made_us, schema, size, root, places, signed, signature })
    }
}

fn read_place(r: &mut Reader<'_>) -> Result<Unproven, WireError> {
    let log = LogId { origin: PeerId(r.array()?), incarnation: Incarnation(r.u64()?) };
    let applied = r.u64()?;
    let sealed = match r.u8()? {
        0 => None,
        1 => Some(r.array()?),
        other => return Err(WireError::Range { what: "sealed flag", got: u64::from(other), min: 0 }),
    };
    Ok((log, applied, sealed))
}

fn prove_place((log, applied, proof): Unproven) -> Result<Place, ManifestError> {
    let sealed = proof.map(|proof| Base::prove(&log, &proof)).transpose()?;
    // Before the first seal there is a group at most.
    let follows = sealed.as_ref().map_or(applied < limits::GROUP_MAX_RECORDS as u64, |base| base.reaches(applied));
    if !follows {
        return Err(ManifestError::Applied { log, applied });
    }
    Ok(Place { log, applied, sealed })
}
