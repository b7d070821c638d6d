//! Where a log begins on this disk: everything up to a group's end is no longer kept, and that group's seal says what it was.
//!
//! The file `base` in a log's directory, replaced as a whole:
//!
//! ```text
//!  0             8          12                    142      146
//!  +-------------+----------+---------------------+--------+
//!  | "VIXP2PBA"  | version  | seal record         | crc32c |
//!  |             | u32 = 1  | 130 bytes           | u32    |
//!  +-------------+----------+---------------------+--------+
//! ```
//!
//! The origin signed the seal, so a base proves itself to whoever is shown it. A file that does not check counts as none: the log
//! then seems to lack its beginning, which recovery reports as damage. Never decides what may go.

use std::io;

use crate::base::{LogId, limits};
use crate::sync::error::{GroupError, WalError};
use crate::sync::record::{Kind, Record, SEAL_BYTES};
use crate::sync::seal::{Head, Seal};
use crate::sync::storage::Storage;

const MAGIC: &[u8; 8] = b"VIXP2PBA";
const VERSION: u32 = 1;
const CHECKED_BYTES: usize = 8 + 4 + SEAL_BYTES;
const FILE_BYTES: usize = CHECKED_BYTES + 4;

/// A place in a log that is a group's end, with the origin's signature over all that leads up to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Base {
    /// Last record before the log begins here.
    pub seq: u64,
    /// The chain's head after it.
    pub head: Head,
    /// The seal record as it stood in the log.
    pub proof: [u8; SEAL_BYTES],
}

impl Base {
    /// Reads a seal record and checks that the origin of `log` signed it.
    pub fn prove(log: &LogId, proof: &[u8; SEAL_BYTES]) -> Result<Base, GroupError> {
        let record = Record::decode(proof).map_err(|source| GroupError::Record { at: 0, source })?;
        if record.kind != Kind::Seal {
            return Err(GroupError::Mislabelled("a seal".into()));
        }
        let Seal { first, last, head, .. } = Seal::decode(&record)?;
        if first == 0 || first > last || last == u64::MAX {
            return Err(GroupError::Empty);
        }
        if !Seal::decode(&record)?.is_signed(log) {
            return Err(GroupError::Signature { first, last });
        }
        Ok(Base { seq: last, head, proof: *proof })
    }

    /// Whether a state that has taken in all records up to `applied` can stand at this place: it lies in the group that follows, or
    /// before it.
    pub fn reaches(&self, applied: u64) -> bool {
        applied >= self.seq && applied - self.seq < limits::GROUP_MAX_RECORDS as u64
    }

    /// What the file in `dir` says; `None` if there is none or it does not check.
    pub(super) fn load<S: Storage>(disk: &S, dir: &str, log: &LogId) -> Result<Option<Base>, WalError> {
        let path = path(dir);
        let mut bytes = [0u8; FILE_BYTES + 1];
        match disk.read(&path, 0, &mut bytes) {
            Ok(n) => Ok(decode(&bytes[..n]).and_then(|proof| Base::prove(log, &proof).ok())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(WalError::disk("read", &path, e)),
        }
    }

    /// Replaces the file, in one step even across a power cut.
    pub(super) fn store<S: Storage>(&self, disk: &mut S, dir: &str) -> Result<(), WalError> {
        let mut bytes = Vec::with_capacity(FILE_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.proof);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        let path = path(dir);
        let new = format!("{path}.new");
        disk.write(&new, 0, &bytes)
            .and_then(|()| disk.truncate(&new, FILE_BYTES as u64))
            .and_then(|()| disk.sync(&new))
            .and_then(|()| disk.rename(&new, &path))
            .map_err(|e| WalError::disk("write", &path, e))
    }
}

fn path(dir: &str) -> String {
    format!("{dir}base")
}

fn decode(bytes: &[u8]) -> Option<[u8; SEAL_BYTES]> {
    let bytes: &[u8; FILE_BYTES] = bytes.try_into().ok()?;
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    let proof = body.strip_prefix(MAGIC)?.strip_prefix(&VERSION.to_le_bytes())?;
    (crc32c::crc32c(body) == u32::from_le_bytes(*crc)).then_some(proof.try_into().ok()?)
}
