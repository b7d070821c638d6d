//! Where the application stands, on its way into the notes of the logs. What the disk refuses is kept until it takes it: a record that
//! took effect is not to be offered again because a disk was full for a moment. Never decides where it stands.

use std::collections::BTreeMap;

use crate::base::LogId;
use crate::sync::{Storage, Wal, WalError};

/// How far a log is applied, and, if that was to be noted too, what it is stuck at.
type Note = (u64, Option<Option<u64>>);

/// What the disk has refused so far.
#[derive(Default)]
pub(super) struct Notes {
    refused: BTreeMap<LogId, Note>,
}

impl Notes {
    /// Writes down how far logs are applied, and what they are stuck at, and says what was refused; whether there was anything to write.
    pub(super) fn take<S: Storage>(
        &mut self,
        wal: &mut Wal<S>,
        applied: Vec<(LogId, u64)>,
        parks: Vec<(LogId, u64, Option<u64>)>,
        failed: &mut dyn FnMut(WalError),
    ) -> bool {
        let applied = applied.into_iter().map(|(log, seq)| (log, (seq, None)));
        let notes: Vec<(LogId, Note)> = applied.chain(parks.into_iter().map(|(log, seq, parked)| (log, (seq, Some(parked))))).collect();
        for (log, note) in &notes {
            let Err(error) = write(wal, *log, *note) else {
                // The last word on what it is stuck at is written.
                self.refused.get_mut(log).filter(|_| note.1.is_some()).into_iter().for_each(|refused| refused.1 = None);
                continue;
            };
            if matches!(error, WalError::Disk { .. }) {
                let (seq, parked) = self.refused.entry(*log).or_default();
                (*seq, *parked) = (note.0.max(*seq), note.1.or(*parked));
            }
            failed(error);
        }
        !notes.is_empty()
    }

    /// Tries again what was refused, of which was told then; whether all of it is written now.
    pub(super) fn retry<S: Storage>(&mut self, wal: &mut Wal<S>) -> bool {
        // What the log itself refuses it would refuse for ever.
        self.refused.retain(|log, note| matches!(write(wal, *log, *note), Err(WalError::Disk { .. })));
        self.refused.is_empty()
    }
}

fn write<S: Storage>(wal: &mut Wal<S>, log: LogId, (seq, parked): Note) -> Result<(), WalError> {
    match parked {
        None => wal.set_applied(log, seq),
        Some(parked) => wal.park(log, seq, parked),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::base::Incarnation;
    use crate::crypto::{Identity, Secret};
    use crate::sync::{AskingStorage, MemStorage};

    /// A disk that has no room for notes for a while.
    fn full(is_full: &Arc<AtomicBool>) -> impl Storage + use<> {
        let is_full = is_full.clone();
        AskingStorage(MemStorage::new(), move |path: &str| match path.contains("applied") && is_full.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        })
    }

    fn wal(disk: impl Storage + 'static, key: u8) -> Wal<Box<dyn Storage>> {
        let identity = Arc::new(Identity::from_seed(&Secret::new([key; 32])));
        Wal::open(Box::new(disk) as Box<dyn Storage>, identity, Incarnation(1)).expect("memory").0
    }

    #[test]
    fn a_place_that_a_full_disk_refuses_is_noted_when_there_is_room() {
        let mut theirs = wal(MemStorage::new(), 1);
        let groups = theirs.append(1, &[b"one".as_slice().into(), b"two".as_slice().into()]).expect("memory");
        let is_full = Arc::new(AtomicBool::new(true));
        let (mut ours, mut notes, mut told) = (wal(full(&is_full), 2), Notes::default(), 0);
        assert!(ours.store(&groups).iter().all(Result::is_ok), "there is room for records");
        assert!(notes.take(&mut ours, vec![(theirs.own(), 2)], Vec::new(), &mut |_| told += 1));
        assert_eq!((told, ours.applied(theirs.own())), (1, 0));
        assert!(!notes.retry(&mut ours));
        is_full.store(false, Ordering::SeqCst);
        assert!(notes.retry(&mut ours));
        assert_eq!(ours.applied(theirs.own()), 2);
        assert!(notes.refused.is_empty());
    }

    #[test]
    fn what_a_log_is_stuck_at_is_noted_too_when_there_is_room_and_the_last_word_counts() {
        let mut theirs = wal(MemStorage::new(), 1);
        let groups = theirs.append(1, &[b"one".as_slice().into(), b"two".as_slice().into()]).expect("memory");
        let is_full = Arc::new(AtomicBool::new(true));
        let (mut ours, mut notes) = (wal(full(&is_full), 2), Notes::default());
        assert!(ours.store(&groups).iter().all(Result::is_ok), "there is room for records");
        let log = theirs.own();
        let stuck_at = |wal: &Wal<Box<dyn Storage>>| wal.states().iter().find(|state| state.log == log).and_then(|state| state.parked);
        notes.take(&mut ours, vec![(log, 1)], vec![(log, 1, Some(2))], &mut |_| ());
        notes.take(&mut ours, vec![(log, 1)], Vec::new(), &mut |_| ());
        is_full.store(false, Ordering::SeqCst);
        assert!(notes.retry(&mut ours));
        assert_eq!((ours.applied(log), stuck_at(&ours)), (1, Some(2)));
        is_full.store(true, Ordering::SeqCst);
        notes.take(&mut ours, Vec::new(), vec![(log, 1, None)], &mut |_| ());
        assert!(!notes.retry(&mut ours));
        is_full.store(false, Ordering::SeqCst);
        assert!(notes.retry(&mut ours));
        assert_eq!(stuck_at(&ours), None);
        is_full.store(true, Ordering::SeqCst);
        notes.take(&mut ours, Vec::new(), vec![(log, 1, Some(2))], &mut |_| ());
        is_full.store(false, Ordering::SeqCst);
        notes.take(&mut ours, Vec::new(), vec![(log, 1, None)], &mut |_| ());
        assert!(notes.retry(&mut ours));
        assert_eq!(stuck_at(&ours), None, "no older word takes the place of a newer one");
    }
}
