//! The log on loan: an append that finds the log's thread idle is done by the thread that asks for it, which saves waking another one and
//! being woken by it. The log has one owner at any time; who wants it while it is lent waits until it is back.
//!
//! Never lends a log with records that are accepted and not durable, nor past work that came earlier.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::base::{Error, LogRange, Result};
use crate::driver::workers::NodeWal;
use crate::driver::{Shell, panic_text};

use super::append::commit;
use super::{LogQueue, Pending, Work, check};

thread_local! {
    /// The logs that this thread has, by the address of their queues.
    static HERE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// While it lives this thread has a log, and must not wait for it.
pub(super) struct Here(usize);

impl Drop for Here {
    fn drop(&mut self) {
        HERE.with_borrow_mut(|logs| logs.retain(|log| *log != self.0));
    }
}

/// Who has the log.
#[derive(Default)]
pub(super) enum Place {
    /// Its thread.
    #[default]
    AtWork,
    /// Nobody: its thread waits for work.
    Resting(Box<NodeWal>),
    /// Somebody who appends.
    Lent,
    /// Nobody any more: whoever had it panicked.
    Lost,
}

impl Pending {
    /// The log, if it rests and nobody's work came earlier.
    pub(super) fn borrow(&mut self) -> Option<Box<NodeWal>> {
        if self.stop || self.is_wanted || !self.is_idle() {
            return None;
        }
        match std::mem::take(&mut self.place) {
            Place::Resting(wal) => {
                self.place = Place::Lent;
                Some(wal)
            }
            other => {
                self.place = other;
                None
            }
        }
    }
}

impl LogQueue {
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Says that this thread has the log.
    pub(super) fn here(&self) -> Here {
        HERE.with_borrow_mut(|logs| logs.push(self.address()));
        Here(self.address())
    }

    /// Whether this thread has the log: what it calls, such as a log sink, would wait for itself.
    pub(crate) fn is_here(&self) -> bool {
        HERE.with_borrow(|logs| logs.contains(&self.address()))
    }

    /// Appends records, one at least, and blocks until they are durable: here, if the log rests. Not for async code.
    pub(crate) fn append_blocking(&self, shell: &Arc<Shell>, payloads: Vec<Bytes>) -> Result<LogRange> {
        check(&payloads)?;
        let mut pending = self.pending.lock();
        if let Some(wal) = pending.borrow() {
            drop(pending);
            return self.append_here(shell, wal, &payloads);
        }
        self.append_queued(pending, payloads, false)
    }

    /// Appends on this thread.
    fn append_here(&self, shell: &Arc<Shell>, mut wal: Box<NodeWal>, payloads: &[Bytes]) -> Result<LogRange> {
        let append = || {
            let _here = self.here();
            let answer = commit(shell, &mut wal, payloads);
            wal.mark_own();
            answer
        };
        let outcome = catch_unwind(AssertUnwindSafe(append));
        let mut pending = self.pending.lock();
        match outcome {
            Ok(answer) => {
                pending.place = Place::Resting(wal);
                // Its thread went back to sleep if it woke meanwhile.
                if pending.stop || pending.is_wanted || !pending.is_idle() {
                    self.bell.notify_one();
                }
                answer.map_err(Error::Log)
            }
            Err(panic) => {
                pending.place = Place::Lost;
                self.bell.notify_one();
                drop(pending);
                shell.fail(format!("the log panicked: {}", panic_text(panic.as_ref())));
                Err(Error::Stopped)
            }
        }
    }

    /// The log with the next batch of work, which is empty if there is none until `due`, and `None` when it is time to end. Nothing if
    /// the log was lost on loan; it is lent only if `lends`.
    pub(super) fn take(&self, wal: NodeWal, lends: bool, due: Option<Instant>) -> Option<(NodeWal, Option<Work>)> {
        let mut pending = self.pending.lock();
        pending.stores.is_busy = false;
        let (mut mine, mut is_late) = (Some(wal), false);
        let wal = loop {
            if pending.stop || is_late || !pending.is_idle() {
                if let Some(wal) = mine.take() {
                    break wal;
                }
                match std::mem::take(&mut pending.place) {
                    Place::Resting(wal) => break *wal,
                    Place::Lost => return None,
                    other => pending.place = other,
                }
                pending.is_wanted = true;
                self.bell.wait(&mut pending);
                continue;
            }
            if let Some(wal) = mine.take_if(|_| lends) {
                pending.place = Place::Resting(Box::new(wal));
            }
            match due {
                None => self.bell.wait(&mut pending),
                Some(due) => is_late = self.bell.wait_until(&mut pending, due).timed_out(),
            }
        };
        if pending.stop && pending.is_idle() {
            return Some((wal, None));
        }
        let groups = pending.stores.take();
        let (stop, stores) = (pending.stop, std::mem::take(&mut pending.stores));
        let taken = std::mem::replace(&mut *pending, Pending { stop, stores, ..Pending::default() });
        drop(pending);
        self.room.notify_all();
        self.async_room.notify_waiters();
        Some((wal, Some((taken, groups))))
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::base::{Incarnation, limits};
    use crate::crypto::{Identity, Secret};
    use crate::sync::{MemStorage, Storage, Wal};

    fn wal() -> NodeWal {
        let disk: Box<dyn Storage> = Box::new(MemStorage::new());
        let identity = Arc::new(Identity::from_seed(&Secret::new([7; 32])));
        Wal::open(disk, identity, Incarnation(1)).expect("memory").0
    }

    #[test]
    fn a_log_that_its_own_thread_waits_for_is_lent_to_nobody_before() {
        let mut pending = Pending { place: Place::Resting(Box::new(wal())), is_wanted: true, ..Pending::default() };
        assert!(pending.borrow().is_none());
        pending.is_wanted = false;
        assert!(pending.borrow().is_some() && pending.borrow().is_none());
    }

    #[test]
    fn an_append_joins_the_queue_when_the_bytes_before_it_are_taken_and_none_does_after_the_stop() {
        let queue = LogQueue::default();
        let mut poll = Context::from_waker(Waker::noop());
        let payload = Bytes::from(vec![0; limits::RECORD_PAYLOAD_MAX_BYTES]);
        let many = vec![payload.clone(); limits::APPEND_QUEUE_MAX_BYTES.div_ceil(payload.len())];
        let (mut first, mut second, mut third) =
            (pin!(queue.append(many)), pin!(queue.append(vec![payload])), pin!(queue.append(vec![Bytes::new()])));
        assert!(first.as_mut().poll(&mut poll).is_pending() && second.as_mut().poll(&mut poll).is_pending());
        assert_eq!(queue.pending.lock().appends.len(), 1, "the second one waits outside");
        let (wal, work) = queue.take(wal(), false, None).expect("not lost");
        assert_eq!(work.expect("work").0.appends.len(), 1);
        assert!(second.as_mut().poll(&mut poll).is_pending());
        assert_eq!(queue.pending.lock().appends.len(), 1);
        queue.stop();
        assert!(matches!(third.as_mut().poll(&mut poll), Poll::Ready(Err(Error::Stopped))));
        let (wal, work) = queue.take(wal, false, None).expect("not lost");
        assert_eq!(work.expect("what came before the stop is done").0.appends.len(), 1);
        assert!(queue.take(wal, false, None).is_some_and(|(_, work)| work.is_none()), "then it ends");
    }
}
