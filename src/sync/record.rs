//! One record as it stands on disk and on the wire. Strict both ways; never allocates for what is announced, never decides.
//!
//! ```text
//!  0        4        8      9       10         18          26
//!  +--------+--------+------+-------+----------+-----------+------------------+
//!  | len    | crc32c | kind | flags | seq      | time_us   | payload          |
//!  | u32    | u32    | u8   | u8    | u64      | u64       | len - 18 bytes   |
//!  +--------+--------+------+-------+----------+-----------+------------------+
//!           '- over the len bytes that follow ('the body')
//! ```
//!
//! Integers are little-endian. `len` counts the bytes after the checksum. Kind 1 is data: `seq` is the record's number, `time_us`
//! the origin's wall clock in microseconds since 1970, for information only. Bit 0 of its `flags` says that the payload begins with
//! the names of records in other logs that come before it (`sync::causes`); all other flags are refused. Kind 2 is a seal: `seq` is the last record it covers,
//! `time_us` is 0 and the payload is
//!
//! ```text
//!  26        34                    66                            130
//!  +---------+---------------------+-----------------------------+
//!  | first   | head hash           | Ed25519 signature           |
//!  | u64     | 32 bytes            | 64 bytes                    |
//!  +---------+---------------------+-----------------------------+
//! ```

use bytes::{BufMut, BytesMut};

use crate::base::limits;
use crate::sync::causes::{self, FLAG_CAUSES};
use crate::sync::error::RecordError;
use crate::wire::cursor::Reader;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 26;
/// Bytes of a whole seal record.
pub const SEAL_BYTES: usize = HEADER_BYTES + SEAL_PAYLOAD_BYTES;
/// Bytes of a seal's payload.
pub(super) const SEAL_PAYLOAD_BYTES: usize = 8 + 32 + 64;
/// Length and checksum: what the checksum does not cover.
pub(super) const PREFIX_BYTES: usize = 8;
const BODY_MIN_BYTES: usize = HEADER_BYTES - PREFIX_BYTES;

/// What a record is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// The application's bytes.
    Data = 1,
    /// The origin's signature over the chain so far.
    Seal = 2,
}

/// A decoded record, borrowing its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// What it is for.
    pub kind: Kind,
    /// Its number, or the last number sealed.
    pub seq: u64,
    /// The origin's wall clock; 0 in a seal.
    pub time_us: u64,
    /// Dependency lines of a data record; empty for most.
    pub(super) lines: &'a [u8],
    /// What the application gave, or the seal's fields.
    pub payload: &'a [u8],
    /// Everything the checksum covers.
    pub body: &'a [u8],
}

impl<'a> Record<'a> {
    /// Bytes the record takes.
    pub fn encoded_len(&self) -> usize {
        PREFIX_BYTES + self.body.len()
    }

    /// Bytes behind the fixed fields: what the limit of a group counts.
    pub(super) fn content_len(&self) -> usize {
        self.body.len() - BODY_MIN_BYTES
    }

    /// Decodes the record at the front of `input` and checks every field that one record alone can prove.
    pub fn decode(input: &'a [u8]) -> Result<Record<'a>, RecordError> {
        let short = |need| RecordError::Short { need, have: input.len() };
        let mut reader = Reader::new(input);
        let len = reader.u32().map_err(|_| short(HEADER_BYTES))? as usize;
        if len == 0 {
            return Err(RecordError::Zero);
        }
        let max = BODY_MIN_BYTES + limits::RECORD_PAYLOAD_MAX_BYTES + causes::CAUSES_MAX_BYTES;
        if !(BODY_MIN_BYTES..=max).contains(&len) {
            return Err(RecordError::Length { got: len, min: BODY_MIN_BYTES, max });
        }
        let got = reader.u32().map_err(|_| short(PREFIX_BYTES + len))?;
        let body = reader.bytes(len).map_err(|_| short(PREFIX_BYTES + len))?;
        let want = crc32c::crc32c(body);
        if got != want {
            return Err(RecordError::Checksum { got, want });
        }
        Record::from_body(body)
    }

    fn from_body(body: &'a [u8]) -> Result<Record<'a>, RecordError> {
        let short = |_| RecordError::Short { need: BODY_MIN_BYTES, have: body.len() };
        let mut reader = Reader::new(body);
        let kind = match reader.u8().map_err(short)? {
            1 => Kind::Data,
            2 => Kind::Seal,
            other => return Err(RecordError::Kind(other)),
        };
        let flags = reader.u8().map_err(short)?;
        let is_caused = kind == Kind::Data && flags == FLAG_CAUSES;
        if flags != 0 && !is_caused {
            return Err(RecordError::Flags(flags));
        }
        let (seq, time_us) = (reader.u64().map_err(short)?, reader.u64().map_err(short)?);
        let payload = reader.bytes(reader.remaining()).map_err(short)?;
        if kind == Kind::Seal && payload.len() != SEAL_PAYLOAD_BYTES {
            let want = BODY_MIN_BYTES + SEAL_PAYLOAD_BYTES;
            return Err(RecordError::Length { got: body.len(), min: want, max: want });
        }
        let (lines, payload) = if is_caused { causes::split(payload)? } else { (&[][..], payload) };
        let max = limits::RECORD_PAYLOAD_MAX_BYTES;
        if payload.len() > max {
            let around = body.len() - payload.len();
            return Err(RecordError::Length { got: body.len(), min: around, max: around + max });
        }
        Ok(Record { kind, seq, time_us, lines, payload, body })
    }
}

/// Appends a record, `causes` being what `causes::encode` made.
pub(super) fn encode_record(kind: Kind, seq: u64, time_us: u64, (causes, payload): (&[u8], &[u8]), out: &mut BytesMut) {
    let mut header = [0u8; HEADER_BYTES];
    let len = (BODY_MIN_BYTES + causes.len() + payload.len()) as u32;
    header[..4].copy_from_slice(&len.to_le_bytes());
    header[8] = kind as u8;
    header[9] = if causes.is_empty() { 0 } else { FLAG_CAUSES };
    header[10..18].copy_from_slice(&seq.to_le_bytes());
    header[18..].copy_from_slice(&time_us.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(&header[PREFIX_BYTES..]), causes), payload);
    header[4..8].copy_from_slice(&crc.to_le_bytes());
    out.put_slice(&header);
    out.put_slice(causes);
    out.put_slice(payload);
}
