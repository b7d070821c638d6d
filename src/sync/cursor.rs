//! Where the application stands in each log, and where it is stuck: the cell `applied`.
//!
//! A note is written at once, so it outlives the process, and made to survive a power cut by the caller's [`Wal::sync_cursors`], many
//! notes a sync. Never ahead of what the application confirmed: what a power cut takes is offered to the application again.

use crate::base::LogId;
use crate::sync::cell::Cell;
use crate::sync::error::WalError;
use crate::sync::log::Log;
use crate::sync::seal::Head;
use crate::sync::storage::Storage;
use crate::sync::wal::Wal;

/// The record a log is parked at, as it stands in the place of the cell's head; 0 is none.
pub(super) fn parked(cursor: &Cell) -> Option<u64> {
    let head = cursor.value().map_or([0; 32], |(_, head)| head);
    head.first_chunk::<8>().map(|seq| u64::from_le_bytes(*seq)).filter(|seq| *seq > cursor.seq())
}

fn park_head(parked: Option<u64>) -> Head {
    let mut head = [0; 32];
    head[..8].copy_from_slice(&parked.unwrap_or(0).to_le_bytes());
    head
}

impl<S: Storage> Wal<S> {
    /// Highest applied record (see [`LogState::applied`](crate::sync::LogState)); 0 for an unknown log.
    pub fn applied(&self, log: LogId) -> u64 {
        self.logs.get(&log).map_or(0, |log| self.applied_in(log))
    }

    pub(super) fn applied_in(&self, log: &Log) -> u64 {
        if log.id.origin == self.own.origin { log.durable } else { log.cursor.seq() }
    }

    /// Notes that the application has applied a log up to `seq`; going back is ignored. Survives a crash of the process at
    /// once, a power cut after [`Wal::sync_cursors`] or `close`: else some records are offered to the application again.
    pub fn set_applied(&mut self, log: LogId, seq: u64) -> Result<(), WalError> {
        let entry = self.logs.get(&log).ok_or(WalError::UnknownLog(log))?;
        if seq <= entry.cursor.seq() { Ok(()) } else { self.move_applied(log, seq) }
    }

    /// Puts the note where the application says it stands, back as well as forth. Survives as [`Wal::set_applied`] does.
    pub fn move_applied(&mut self, log: LogId, seq: u64) -> Result<(), WalError> {
        let entry = self.logs.get(&log).ok_or(WalError::UnknownLog(log))?;
        if log.origin == self.own.origin || seq == entry.cursor.seq() {
            return Ok(());
        }
        if seq > entry.durable {
            return Err(WalError::AheadOfLog { log, seq, durable: entry.durable });
        }
        self.note(log, seq, parked(&entry.cursor))
    }

    /// Notes that the application is stuck at record `parked` of a log, or no longer, and stands at `applied` or later. Survives a
    /// power cut once it returns.
    pub fn park(&mut self, log: LogId, applied: u64, parked: Option<u64>) -> Result<(), WalError> {
        let entry = self.logs.get(&log).ok_or(WalError::UnknownLog(log))?;
        if log.origin == self.own.origin {
            return Ok(());
        }
        self.note(log, applied.min(entry.durable).max(entry.cursor.seq()), parked)?;
        let Wal { disk, logs, .. } = self;
        logs.get_mut(&log).map_or(Ok(()), |entry| entry.cursor.sync(disk))
    }

    fn note(&mut self, log: LogId, seq: u64, parked: Option<u64>) -> Result<(), WalError> {
        let Wal { disk, logs, .. } = self;
        let entry = logs.get_mut(&log).ok_or(WalError::UnknownLog(log))?;
        let parked = parked.filter(|parked| *parked > seq);
        entry.cursor.put(disk, seq, &park_head(parked)).map_err(|e| WalError::disk("write applied in", &entry.dir, e))
    }

    /// Makes the notes of at most `most` logs survive a power cut, those first that come after the ones of the call before; whether there
    /// are more. After an error the others are tried as well.
    pub fn sync_cursors(&mut self, most: usize) -> Result<bool, WalError> {
        let Wal { disk, logs, synced_last, .. } = self;
        let mut unsynced: Vec<LogId> = logs.values().filter(|log| log.cursor.is_unsynced()).map(|log| log.id).collect();
        let turn = unsynced.partition_point(|log| synced_last.is_some_and(|last| *log <= last));
        unsynced.rotate_left(turn);
        let mut result = Ok(());
        for id in unsynced.iter().take(most) {
            *synced_last = Some(*id);
            result = result.and(logs.get_mut(id).map_or(Ok(()), |log| log.cursor.sync(disk)));
        }
        result.map(|()| unsynced.len() > most)
    }
}
