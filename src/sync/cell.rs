//! Two small facts that outlive the process: a pair of slots rewritten in turn, and the file that names the own incarnation.
//!
//! A cell (`mark`, `applied`) is two slots; a write goes to the slot that does not hold the value last synced, so that a torn write
//! falls back to that one, however many were not synced:
//!
//! ```text
//!  0        8        16            48            60       64
//!  +--------+--------+-------------+-------------+--------+
//!  | turn   | seq    | head        | zero        | crc32c |   x 2
//!  | u64    | u64    | 32 bytes    | 12 bytes    | u32    |
//!  +--------+--------+-------------+-------------+--------+
//! ```
//!
//! The slot that checks and has the greater turn counts. `applied` leaves the head zero. The file `current`:
//!
//! ```text
//!  0             8          12              20       24
//!  +-------------+----------+---------------+--------+
//!  | "VIXP2PCU"  | version  | incarnation   | crc32c |
//!  |             | u32 = 1  | u64           | u32    |
//!  +-------------+----------+---------------+--------+
//! ```
//!
//! Never syncs on its own account: the caller says when.

use std::io;

use crate::base::Incarnation;
use crate::sync::error::WalError;
use crate::sync::seal::Head;
use crate::sync::storage::Storage;

const SLOT_BYTES: usize = 64;
const CHECKED_BYTES: usize = SLOT_BYTES - 4;
const CURRENT_MAGIC: &[u8; 8] = b"VIXP2PCU";
const CURRENT_VERSION: u32 = 1;
const CURRENT_BYTES: usize = 24;

/// A number and a head that survive a torn write.
#[derive(Debug)]
pub(super) struct Cell {
    path: String,
    turn: u64,
    value: Option<(u64, Head)>,
    unsynced: bool,
    /// A sync failed, or may have: the next one proves nothing unless the value is written once more before.
    adrift: bool,
    /// The slot with the value that was last synced, or that was there at the start: not written to before the next sync.
    pinned: u64,
    /// Whether the other slot was written since.
    written: bool,
}

impl Cell {
    /// A cell whose file is not written yet.
    pub(super) fn new(path: String) -> Cell {
        Cell { path, turn: 0, value: None, unsynced: false, adrift: false, pinned: 0, written: false }
    }

    /// Reads the file; a missing or wholly damaged one is a cell without value.
    pub(super) fn load<S: Storage>(disk: &S, path: String) -> Result<Cell, WalError> {
        let mut bytes = [0u8; 2 * SLOT_BYTES];
        let n = match disk.read(&path, 0, &mut bytes) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            Err(e) => return Err(WalError::disk("read", &path, e)),
        };
        let mut cell = Cell::new(path);
        for (slot, bytes) in (0..).zip(bytes[..n].chunks_exact(SLOT_BYTES)) {
            if let Some((turn, seq, head)) = decode_slot(bytes).filter(|(turn, ..)| *turn > cell.turn) {
                (cell.turn, cell.pinned) = (turn, slot);
                cell.value = Some((seq, head));
            }
        }
        Ok(cell)
    }

    /// The number, 0 if there is none.
    pub(super) fn seq(&self) -> u64 {
        self.value.map_or(0, |(seq, _)| seq)
    }

    /// Number and head, if there are any.
    pub(super) fn value(&self) -> Option<(u64, Head)> {
        self.value
    }

    /// What was read may be in the system's memory only, and a failed sync of the process before may have marked it clean: the next
    /// [`Cell::sync`] writes it once more.
    pub(super) fn distrust(&mut self) {
        (self.unsynced, self.adrift) = (self.value.is_some(), self.value.is_some());
    }

    /// Writes a new value into the slot that is not pinned. After an error the old value stands, here and after the next sync.
    pub(super) fn put<S: Storage>(&mut self, disk: &mut S, seq: u64, head: &Head) -> io::Result<()> {
        let turn = self.turn + 1;
        let mut slot = [0u8; SLOT_BYTES];
        slot[..8].copy_from_slice(&turn.to_le_bytes());
        slot[8..16].copy_from_slice(&seq.to_le_bytes());
        slot[16..48].copy_from_slice(head);
        let crc = crc32c::crc32c(&slot[..CHECKED_BYTES]);
        slot[CHECKED_BYTES..].copy_from_slice(&crc.to_le_bytes());
        if let Err(error) = disk.write(&self.path, (1 - self.pinned) * SLOT_BYTES as u64, &slot) {
            // It may have spoiled the value before, if that is in the same slot and not synced.
            self.adrift |= self.written;
            return Err(error);
        }
        (self.turn, self.value, self.unsynced, self.written) = (turn, Some((seq, *head)), true, true);
        Ok(())
    }

    /// Whether the last value may not survive a power cut.
    pub(super) fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    /// Makes the last value survive a power cut.
    pub(super) fn sync<S: Storage>(&mut self, disk: &mut S) -> Result<(), WalError> {
        if !self.unsynced {
            return Ok(());
        }
        if let (true, Some((seq, head))) = (self.adrift, self.value) {
            self.put(disk, seq, &head).map_err(|e| WalError::disk("write", &self.path, e))?;
        }
        self.adrift = true;
        disk.sync(&self.path).map_err(|e| WalError::disk("sync", &self.path, e))?;
        (self.unsynced, self.adrift) = (false, false);
        if std::mem::replace(&mut self.written, false) {
            self.pinned = 1 - self.pinned;
        }
        Ok(())
    }
}

fn decode_slot(slot: &[u8]) -> Option<(u64, u64, Head)> {
    let (body, crc) = slot.split_last_chunk::<4>()?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (turn, rest) = body.split_first_chunk::<8>()?;
    let (seq, rest) = rest.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*turn), u64::from_le_bytes(*seq), *rest.first_chunk()?))
}

/// What the file `current` says.
pub(super) enum Current {
    /// There is none.
    Missing,
    /// The own log is this one.
    Is(Incarnation),
    /// It cannot be read; so many bytes.
    Damaged(u64),
}

/// Reads the file that names the own incarnation.
pub(super) fn load_current<S: Storage>(disk: &S, path: &str) -> Result<Current, WalError> {
    let mut bytes = [0u8; CURRENT_BYTES + 1];
    match disk.read(path, 0, &mut bytes) {
        Ok(n) => Ok(decode_current(&bytes[..n]).map_or(Current::Damaged(n as u64), Current::Is)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Current::Missing),
        Err(e) => Err(WalError::disk("read", path, e)),
    }
}

fn decode_current(bytes: &[u8]) -> Option<Incarnation> {
    let bytes: &[u8; CURRENT_BYTES] = bytes.try_into().ok()?;
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    let rest = body.strip_prefix(CURRENT_MAGIC)?.strip_prefix(&CURRENT_VERSION.to_le_bytes())?;
    (crc32c::crc32c(body) == u32::from_le_bytes(*crc)).then_some(Incarnation(u64::from_le_bytes(rest.try_into().ok()?)))
}

/// Replaces the file that names the own incarnation, in one step even across a power cut.
pub(super) fn store_current<S: Storage>(disk: &mut S, path: &str, incarnation: Incarnation) -> Result<(), WalError> {
    let mut bytes = Vec::with_capacity(CURRENT_BYTES);
    bytes.extend_from_slice(CURRENT_MAGIC);
    bytes.extend_from_slice(&CURRENT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&incarnation.0.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    let new = format!("{path}.new");
    disk.write(&new, 0, &bytes)
        .and_then(|()| disk.truncate(&new, CURRENT_BYTES as u64))
        .and_then(|()| disk.sync(&new))
        .and_then(|()| disk.rename(&new, path))
        .map_err(|e| WalError::disk("write", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::MemStorage;

    #[test]
    fn a_torn_cell_falls_back_to_the_value_that_was_synced_however_many_were_not() {
        let mut disk = MemStorage::new();
        let mut cell = Cell::new("c".into());
        cell.put(&mut disk, 7, &[1; 32]).expect("memory");
        cell.sync(&mut disk).expect("memory");
        let synced = disk.clone();
        for (turn, seq) in (8..12).enumerate() {
            cell.put(&mut disk, seq, &[2; 32]).expect("memory");
            let mut torn = disk.clone();
            for (byte, old) in torn.files_mut().get_mut("c").expect("written").iter_mut().zip(&synced.clone().files_mut()["c"]) {
                // Nothing of what was synced may have been written over.
                assert!(*old == 0 || byte == old, "turn {turn}");
            }
            torn.files_mut().get_mut("c").expect("written")[20] ^= 1;
            let left = Cell::load(&torn, "c".into()).expect("memory").seq();
            torn.files_mut().get_mut("c").expect("written")[SLOT_BYTES + 20] ^= 1;
            assert!(left == 7 || left == seq, "turn {turn}: {left}");
        }
    }

    #[test]
    fn a_torn_cell_falls_back_to_the_value_before() {
        let mut disk = MemStorage::new();
        let mut cell = Cell::new("c".into());
        cell.put(&mut disk, 7, &[1; 32]).expect("memory");
        cell.sync(&mut disk).expect("memory");
        cell.put(&mut disk, 9, &[2; 32]).expect("memory");
        assert_eq!(Cell::load(&disk, "c".into()).expect("memory").value(), Some((9, [2; 32])));
        for byte in 0..SLOT_BYTES {
            let mut torn = disk.clone();
            torn.files_mut().get_mut("c").expect("written")[byte] ^= 0x10;
            assert_eq!(Cell::load(&torn, "c".into()).expect("memory").value(), Some((7, [1; 32])), "byte {byte}");
        }
    }

    #[test]
    fn a_damaged_current_file_is_never_taken_for_another_incarnation() {
        let mut disk = MemStorage::new();
        store_current(&mut disk, "c", Incarnation(0x1234)).expect("memory");
        assert!(matches!(load_current(&disk, "c"), Ok(Current::Is(Incarnation(0x1234)))));
        for bit in 0..CURRENT_BYTES * 8 {
            let mut bad = disk.clone();
            bad.files_mut().get_mut("c").expect("written")[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(load_current(&bad, "c"), Ok(Current::Damaged(24))), "bit {bit}");
        }
    }
}
