//! A group commit: the unit that is signed, made durable, pushed and stored. Never split.
//!
//! ```text
//! data record first | data record first+1 | ... | data record last | seal of first..=last
//! ```
//!
//! At most `GROUP_MAX_RECORDS` records, and at most `GROUP_MAX_BYTES` of payload (names of other logs included) unless it is a single record. The bytes of a
//! group are the same on every disk and every wire, so they are copied, never encoded again.

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::base::{LogId, limits};
use crate::sync::causes::{self, Cause, Causes, FLAG_CAUSES, LINE_BYTES};
use crate::sync::error::{GroupError, WalError};
use crate::sync::record::{self, HEADER_BYTES, Kind, PREFIX_BYTES, Record, SEAL_BYTES};
use crate::sync::seal::{self, Head, Seal, Signer};

/// Records `first..=last` of a log and the seal over them, as they stand on disk and on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Whose records.
    pub log: LogId,
    /// First record's number.
    pub first: u64,
    /// Last record's number, inclusive.
    pub last: u64,
    /// The encoded records followed by their seal (`sync::record`).
    pub bytes: Bytes,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}..={} ({} bytes)", self.log, self.first, self.last, self.bytes.len())
    }
}

/// One data record, sharing the bytes of its group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// The origin's wall clock in microseconds since 1970; for information, never for order.
    pub time_us: u64,
    /// What comes before it in other logs, by its writer's word: what changed since the record before.
    pub causes: Causes,
    /// What the application appended.
    pub payload: Bytes,
}

impl Group {
    /// Cuts a run of whole groups (a WalPush, a piece of a segment) into groups. Checks form and checksums, proves no seal.
    pub fn split(log: LogId, bytes: &Bytes) -> Result<Vec<Group>, GroupError> {
        let mut groups = Vec::new();
        let mut rest = bytes.clone();
        while !rest.is_empty() {
            let walked = walk(&rest, None, None)?;
            groups.push(Group { log, first: walked.first, last: walked.last, bytes: rest.split_to(walked.len) });
        }
        Ok(groups)
    }

    /// The data records in order. Of bytes that were never verified it yields what is well formed up to the first that is not.
    pub fn entries(&self) -> Entries {
        Entries { rest: self.bytes.clone() }
    }
}

/// Iterator over the data records of a [`Group`].
#[derive(Clone, Debug)]
pub struct Entries {
    rest: Bytes,
}

impl Iterator for Entries {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let head: &[u8; HEADER_BYTES] = self.rest.first_chunk()?;
        let [l0, l1, l2, l3, _, _, _, _, kind, flags, stamps @ ..] = head;
        let (seq, time_us) = stamps.split_first_chunk::<8>()?;
        let (seq, time_us) = (u64::from_le_bytes(*seq), u64::from_le_bytes(*time_us.first_chunk()?));
        let total = PREFIX_BYTES + u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize;
        if *kind != Kind::Data as u8 || !(HEADER_BYTES..=self.rest.len()).contains(&total) {
            return None;
        }
        let flags = *flags;
        let mut payload = self.rest.split_to(total).split_off(HEADER_BYTES);
        let mut named = Causes::default();
        if flags & FLAG_CAUSES != 0 {
            let mut block = payload.split_to(causes::block_bytes(&payload)?);
            named = Causes::new(block.split_off(block.len() % LINE_BYTES));
        }
        Some(Entry { seq, time_us, causes: named, payload })
    }
}

/// What a walk over one group's bytes found.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) first: u64,
    pub(super) last: u64,
    /// Bytes of the group, seal included.
    pub(super) len: usize,
    /// Whether any record names others that come before it.
    pub(super) is_caused: bool,
    pub(super) seal: Seal,
}

/// Walks the group at the front of `input`: form, checksums, numbers, limits and, given the head before it, the chain.
/// `first` is the number it must begin with, if that is known. On success `head` is the head after the group.
pub(super) fn walk(input: &[u8], first: Option<u64>, head: Option<&mut Head>) -> Result<Walked, GroupError> {
    let (mut at, mut count, mut payload, mut is_caused) = (0, 0, 0, false);
    let (mut begin, mut next) = (first, first.unwrap_or(0));
    loop {
        let rest = input.get(at..).unwrap_or_default();
        let record = Record::decode(rest).map_err(|source| GroupError::Record { at, source })?;
        let begins = at;
        at += record.encoded_len();
        if record.kind == Kind::Seal {
            let seal = Seal::decode(&record)?;
            let (want_first, want_last) = (begin.unwrap_or(0), next.wrapping_sub(1));
            if count == 0 {
                return Err(GroupError::Empty);
            }
            if (seal.first, seal.last) != (want_first, want_last) {
                return Err(GroupError::SealRange { first: seal.first, last: seal.last, want_first, want_last });
            }
            if let Some(head) = head {
                let after = seal::extend(head, input.get(..begins).unwrap_or_default());
                if after != seal.head {
                    return Err(GroupError::Chain { first: want_first, last: want_last });
                }
                *head = after;
            }
            return Ok(Walked { first: want_first, last: want_last, len: at, is_caused, seal });
        }
        let expected = if begin.is_some() { next } else { record.seq.max(1) };
        begin = begin.or(Some(expected));
        if record.seq != expected {
            return Err(GroupError::Sequence { expected, got: record.seq });
        }
        next = expected.checked_add(1).ok_or(GroupError::Sequence { expected: 1, got: expected })?;
        (count, payload) = (count + 1, payload + record.content_len());
        is_caused |= !record.lines.is_empty();
        if count > limits::GROUP_MAX_RECORDS {
            return Err(GroupError::TooManyRecords { max: limits::GROUP_MAX_RECORDS });
        }
        if count > 1 && payload > limits::GROUP_MAX_BYTES {
            return Err(GroupError::TooLarge { got: payload, max: limits::GROUP_MAX_BYTES });
        }
    }
}

/// Proves a group: form, numbers, chain from `prev` (the head before `group.first`) and the origin's signature.
/// Returns the head after it.
pub fn verify_group(log: &LogId, prev: &Head, group: &Group) -> Result<Head, GroupError> {
    let mut head = *prev;
    let walked = walk(&group.bytes, Some(group.first), Some(&mut head))?;
    check_label(log, group, &walked)?;
    if !walked.seal.is_signed(log) {
        return Err(GroupError::Signature { first: group.first, last: group.last });
    }
    Ok(head)
}

/// Whether a group is what its fields say, down to the last byte.
pub(super) fn check_label(log: &LogId, group: &Group, walked: &Walked) -> Result<(), GroupError> {
    if group.bytes.len() != walked.len {
        return Err(GroupError::Trailing(group.bytes.len() - walked.len));
    }
    if (group.log, group.first, group.last) != (*log, walked.first, walked.last) {
        return Err(GroupError::Mislabelled(group.to_string()));
    }
    let names_itself = |entry: &Entry| entry.causes.iter().any(|cause| cause.log == *log);
    match group.entries().filter(|_| walked.is_caused).find(names_itself) {
        Some(entry) => Err(GroupError::OwnCause { seq: entry.seq }),
        None => Ok(()),
    }
}

/// Encodes and seals one group after the head `prev`; returns it with the head after it.
///
/// The caller keeps to the limits of a group: [`Wal::append`](crate::sync::Wal::append) cuts by itself.
pub fn encode_group(log: LogId, prev: &Head, first: u64, now_us: u64, payloads: &[Bytes], signer: &dyn Signer) -> (Group, Head) {
    encode_behind(log, prev, (first, now_us), (&[], payloads), signer)
}

/// [`encode_group`] whose first record comes after `causes`.
pub fn encode_caused_group(
    log: LogId,
    prev: &Head,
    (first, now_us): (u64, u64),
    (causes, payloads): (&[Cause], &[Bytes]),
    signer: &dyn Signer,
) -> Result<(Group, Head), WalError> {
    Ok(encode_behind(log, prev, (first, now_us), (&causes::encode(&log, causes)?, payloads), signer))
}

fn encode_behind(
    log: LogId,
    prev: &Head,
    (first, now_us): (u64, u64),
    (causes, payloads): (&[u8], &[Bytes]),
    signer: &dyn Signer,
) -> (Group, Head) {
    let mut out = BytesMut::with_capacity(causes.len() + encoded_len(payloads));
    let mut head = *prev;
    let last = append_group(&log, &mut head, (first, now_us), (causes, payloads), signer, &mut out);
    (Group { log, first, last, bytes: out.freeze() }, head)
}

/// Bytes of the group with these payloads.
pub(super) fn encoded_len(payloads: &[Bytes]) -> usize {
    payloads.iter().map(|p| HEADER_BYTES + p.len()).sum::<usize>() + SEAL_BYTES
}

/// Appends one sealed group to `out`, its first record behind `causes` as `causes::encode` made them, moves `head` on and returns the
/// last number.
pub(super) fn append_group(
    log: &LogId,
    head: &mut Head,
    (first, now_us): (u64, u64),
    (mut causes, payloads): (&[u8], &[Bytes]),
    signer: &dyn Signer,
    out: &mut BytesMut,
) -> u64 {
    let (mut seq, begin) = (first, out.len());
    for payload in payloads {
        record::encode_record(Kind::Data, seq, now_us, (std::mem::take(&mut causes), payload), out);
        seq += 1;
    }
    *head = seal::extend(head, &out[begin..]);
    let last = seq.saturating_sub(1);
    Seal::append(log, first, last, head, signer, out);
    last
}

/// How many payloads from the front form the next group, behind so many bytes of other logs' names; at least one.
pub(super) fn next_group(payloads: &[Bytes], mut bytes: usize) -> usize {
    let fits = payloads.iter().take(limits::GROUP_MAX_RECORDS).take_while(|payload| {
        bytes += payload.len();
        bytes <= limits::GROUP_MAX_BYTES
    });
    fits.count().max(1).min(payloads.len())
}
