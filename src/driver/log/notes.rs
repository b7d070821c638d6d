//! Where the application stands, on its way into the notes of the logs. What the disk refuses is kept until it takes it: a record that
//! took effect is not to be offered again because a disk was full for a moment. Never decides where it stands.

use std::collections::BTreeMap;

use crate::base::{LogId, Result};
use crate::sync::{Storage, Wal, WalError};

/// What the disk has refused so far.
#[derive(Default)]
pub(super) struct Notes {
    refused: BTreeMap<LogId, u64>,
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
        let is_some = !applied.is_empty() || !parks.is_empty();
        for (log, seq) in applied {
            let done = wal.set_applied(log, seq);
            self.look((log, seq), done, failed);
        }
        for (log, applied, parked) in parks {
            let done = wal.park(log, applied, parked);
            self.look((log, applied), done, failed);
        }
        is_some
    }

    /// Tries again what was refused; why some of it still is.
    pub(super) fn retry<S: Storage>(&mut self, wal: &mut Wal<S>) -> Result<(), WalError> {
        let mut last = Ok(());
        self.refused.retain(|log, seq| match wal.set_applied(*log, *seq) {
            Err(error @ WalError::Disk { .. }) => {
                last = Err(error);
                true
            }
            // What the log itself refuses it would refuse for ever.
            _ => false,
        });
        last
    }

    fn look(&mut self, (log, seq): (LogId, u64), done: Result<(), WalError>, failed: &mut dyn FnMut(WalError)) {
        let Err(error) = done else { return };
        if matches!(error, WalError::Disk { .. }) {
            let refused = self.refused.entry(log).or_default();
            *refused = seq.max(*refused);
        }
        failed(error);
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
    use crate::sync::MemStorage;

    /// A disk that has no room for notes for a while.
    struct Full(MemStorage, Arc<AtomicBool>);

    impl Storage for Full {
        fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
            self.0.list(prefix)
        }

        fn len(&self, path: &str) -> io::Result<u64> {
            self.0.len(path)
        }

        fn read(&self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            self.0.read(path, offset, buf)
        }

        fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> io::Result<()> {
            if path.contains("applied") && self.1.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.write(path, offset, data)
        }

        fn sync(&mut self, path: &str) -> io::Result<()> {
            self.0.sync(path)
        }

        fn truncate(&mut self, path: &str, len: u64) -> io::Result<()> {
            self.0.truncate(path, len)
        }

        fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
            self.0.rename(from, to)
        }
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
        let (mut ours, mut notes, mut told) = (wal(Full(MemStorage::new(), is_full.clone()), 2), Notes::default(), 0);
        assert!(ours.store(&groups).iter().all(Result::is_ok), "there is room for records");
        assert!(notes.take(&mut ours, vec![(theirs.own(), 2)], Vec::new(), &mut |_| told += 1));
        assert_eq!((told, ours.applied(theirs.own())), (1, 0));
        assert!(notes.retry(&mut ours).is_err());
        is_full.store(false, Ordering::SeqCst);
        assert!(notes.retry(&mut ours).is_ok());
        assert_eq!(ours.applied(theirs.own()), 2);
        assert!(notes.refused.is_empty());
    }
}
