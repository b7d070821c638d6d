//! The routing family: parcels on their way, what becomes of them, the search for a way, and where others accept connections.

use bytes::Bytes;

use crate::base::answer::{Pledge, ProvenRun};
use crate::base::{PeerId, limits};
use crate::wire::cursor::{Reader, WireError, Writer};

/// A sealed payload from one peer to another. Only `ttl` and `attempt` are the carriers'; all else is bound by the seal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parcel {
    /// Which message.
    pub id: ParcelId,
    /// For whom.
    pub to: PeerId,
    /// The run of the recipient it was sealed for; 0 if the sender knows none. Another run takes it for none of its own.
    pub to_run: u64,
    /// Links it may still pass, this one among them.
    pub ttl: u8,
    /// What `crypto::parcel` made.
    pub sealed: Bytes,
}

/// One copy of one message: loops are known by it, and notices find their way back by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ParcelId {
    /// Who sent it.
    pub from: PeerId,
    /// Which run of the sender's process.
    pub from_run: u64,
    /// The message's number in that run.
    pub number: u64,
    /// Which copy of it, from 0.
    pub attempt: u8,
}

impl Parcel {
    /// The caller's header that is bound by the seal, besides sender and recipient.
    pub fn header(&self) -> [u8; 24] {
        header(self.id.from_run, self.to_run, self.id.number)
    }

    /// What it promises to be answered with; `None`: it is too short to be a parcel.
    pub fn pledge(&self) -> Option<Pledge> {
        Pledge::of_parcel(&self.sealed)
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        self.id.encode(w);
        w.bytes(&self.to.0);
        w.u64(self.to_run);
        w.u8(self.ttl);
        w.bytes_var(&self.sealed);
    }

    pub(super) fn decode(r: &mut Reader<'_>, body: &Bytes) -> Result<Parcel, WireError> {
        let id = ParcelId::decode(r)?;
        let (to, to_run, ttl) = (PeerId(r.array()?), r.u64()?, r.u8()?);
        let sealed = body.slice_ref(r.bytes_var(limits::PARCEL_MAX_BYTES)?);
        Ok(Parcel { id, to, to_run, ttl, sealed })
    }
}

/// The bound header of a parcel.
pub fn header(from_run: u64, to_run: u64, number: u64) -> [u8; 24] {
    let mut header = [0; 24];
    for (place, value) in header.chunks_exact_mut(8).zip([from_run, to_run, number]) {
        place.copy_from_slice(&value.to_le_bytes());
    }
    header
}

impl ParcelId {
    fn encode(&self, w: &mut Writer<'_>) {
        w.bytes(&self.from.0);
        w.u64(self.from_run);
        w.u64(self.number);
        w.u8(self.attempt);
    }

    fn decode(r: &mut Reader<'_>) -> Result<ParcelId, WireError> {
        Ok(ParcelId { from: PeerId(r.array()?), from_run: r.u64()?, number: r.u64()?, attempt: r.u8()? })
    }
}

/// What became of a copy, told back along its way. Only `Received` and `Run` prove anything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// Which copy.
    pub id: ParcelId,
    /// What became of it.
    pub verdict: Verdict,
}

/// See [`Notice`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The recipient has it; the receipt is one that only who opened the parcel can make.
    Received([u8; 32]),
    /// The recipient's run is this one: seal it for that. The proof is one that only who opened the parcel can make.
    Run(ProvenRun),
    /// Whoever tells this knows no way on.
    NoRoute,
    /// It has passed as many links as it may.
    TtlExceeded,
    /// The way on is full, or the sender sends more than its share.
    Busy,
    /// The recipient does not take it: it does not trust the sender, or the parcel does not open.
    Refused,
    /// It came to the same node twice.
    Loop,
}

impl Notice {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        self.id.encode(w);
        match &self.verdict {
            Verdict::Received(receipt) => {
                w.u8(0);
                w.bytes(receipt);
            }
            Verdict::Run(run) => {
                w.u8(1);
                w.u64(run.run);
                w.bytes(&run.opened);
                w.bytes(&run.proof);
            }
            Verdict::NoRoute => w.u8(2),
            Verdict::TtlExceeded => w.u8(3),
            Verdict::Busy => w.u8(4),
            Verdict::Refused => w.u8(5),
            Verdict::Loop => w.u8(6),
        }
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Notice, WireError> {
        let id = ParcelId::decode(r)?;
        let verdict = match r.u8()? {
            0 => Verdict::Received(r.array()?),
            1 => Verdict::Run(ProvenRun { run: r.u64()?, opened: r.array()?, proof: r.array()? }),
            2 => Verdict::NoRoute,
            3 => Verdict::TtlExceeded,
            4 => Verdict::Busy,
            5 => Verdict::Refused,
            6 => Verdict::Loop,
            _ => return Err(WireError::Malformed("a notice has the verdicts 0 to 6")),
        };
        Ok(Notice { id, verdict })
    }
}

/// The search for a way to a peer, asked from neighbour to neighbour and answered along the same way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Search {
    /// Who searches.
    pub origin: PeerId,
    /// Which of its searches.
    pub number: u64,
    /// Who is searched.
    pub target: PeerId,
    /// Question or answer.
    pub step: SearchStep,
}

/// See [`Search`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SearchStep {
    /// Asks, over so many links more, this one among them.
    Seek {
        /// Links.
        ttl: u8,
    },
    /// The sender reaches the target over so many links.
    Found {
        /// Links; 0 from the target itself.
        hops: u8,
    },
}

impl Search {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.bytes(&self.origin.0);
        w.u64(self.number);
        w.bytes(&self.target.0);
        match self.step {
            SearchStep::Seek { ttl } => [0, ttl],
            SearchStep::Found { hops } => [1, hops],
        }
        .into_iter()
        .for_each(|byte| w.u8(byte));
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Search, WireError> {
        let (origin, number, target) = (PeerId(r.array()?), r.u64()?, PeerId(r.array()?));
        let step = match (r.u8()?, r.u8()?) {
            (0, ttl) => SearchStep::Seek { ttl },
            (1, hops) => SearchStep::Found { hops },
            _ => return Err(WireError::Malformed("a search has the steps 0 and 1")),
        };
        Ok(Search { origin, number, target, step })
    }
}

/// Where the sender accepts connections, and where others are said to. Rumours, all of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Neighbours {
    /// The sender's TCP port, at the address it is seen from; 0 if it accepts none.
    pub port: u16,
    /// Others: key, and endpoint as text. Whoever acts on one parses it.
    pub others: Vec<(PeerId, String)>,
}

impl Neighbours {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.port);
        w.var_u64(self.others.len() as u64);
        for (peer, endpoint) in &self.others {
            w.bytes(&peer.0);
            w.str(endpoint);
        }
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Neighbours, WireError> {
        let port = r.u16()?;
        let count = r.count(limits::NEIGHBOURS_TOLD_MAX)?;
        let others = (0..count).map(|_| Ok((PeerId(r.array()?), r.str(limits::ENDPOINT_TEXT_MAX_BYTES)?.to_owned())));
        Ok(Neighbours { port, others: others.collect::<Result<_, _>>()? })
    }
}
