//! The bell that rings when a log moved or a peer said how far it is: for whoever waits for that. Knows nothing of logs itself.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use crate::mesh::io::{Input, SnapshotInput};
use crate::wire::{Inbound, Message};

/// Called at every ring, on whatever thread rang, with a leaf lock held: must not block or call the node.
pub(crate) type Watcher = Box<dyn Fn() + Send + Sync>;

/// A bell with a counter, so that a ring between a look and the wait is not missed.
#[derive(Default)]
pub(crate) struct Progress {
    moves: AtomicU64,
    ended: AtomicBool,
    waiting: AtomicUsize,
    watching: AtomicUsize,
    lock: Mutex<()>,
    bell: Condvar,
    notify: Notify,
    watchers: Mutex<Vec<(u64, Watcher)>>,
    next_watcher: AtomicU64,
}

impl Progress {
    /// Whether what a mesh was told may have moved a log, here or at a peer.
    pub(crate) fn is_moved_by(input: &Input) -> bool {
        match input {
            // What a peer said before it was trusted counts from then on.
            Input::Compared { .. }
            | Input::Durable { .. }
            | Input::Applied { .. }
            | Input::Renewed { .. }
            | Input::Forked { .. }
            | Input::Snapshot(SnapshotInput::Installed { .. })
            | Input::Trust { .. } => true,
            Input::Received { items, .. } => {
                items.iter().any(|item| matches!(item, Inbound::Message(Message::WalAck(_) | Message::Vector(_) | Message::WalSeal(_))))
            }
            _ => false,
        }
    }

    /// Something moved.
    pub(crate) fn ring(&self) {
        self.moves.fetch_add(1, Ordering::SeqCst);
        self.notify.notify_waiters();
        if self.waiting.load(Ordering::SeqCst) > 0 {
            drop(self.lock.lock());
            self.bell.notify_all();
        }
        if self.watching.load(Ordering::SeqCst) > 0 {
            self.watchers.lock().iter().for_each(|(_, watcher)| watcher());
        }
    }

    /// The node stops: whoever waits need not any more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.ring();
    }

    /// Whether nothing will move any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// How often it has rung: look at this first, then at what may have moved, then wait.
    pub(crate) fn moves(&self) -> u64 {
        self.moves.load(Ordering::SeqCst)
    }

    /// Blocks until it has rung since `seen`, or `deadline` is over.
    pub(crate) fn wait(&self, seen: u64, deadline: Option<Instant>) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.lock.lock();
        while self.moves() == seen && !self.has_ended() {
            match deadline {
                None => self.bell.wait(&mut guard),
                Some(deadline) if self.bell.wait_until(&mut guard, deadline).timed_out() => break,
                Some(_) => {}
            }
        }
        drop(guard);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// Resolves when it has rung since `seen`.
    pub(crate) async fn moved(&self, seen: u64) {
        loop {
            let mut rung = pin!(self.notify.notified());
            rung.as_mut().enable();
            if self.moves() != seen || self.has_ended() {
                return;
            }
            rung.await;
        }
    }

    /// Has `watcher` called at every ring, until [`Progress::unwatch`] with the number returned.
    pub(crate) fn watch(&self, watcher: Watcher) -> u64 {
        let number = self.next_watcher.fetch_add(1, Ordering::Relaxed);
        self.watchers.lock().push((number, watcher));
        self.watching.fetch_add(1, Ordering::SeqCst);
        number
    }

    /// When it returns the watcher is not called any more.
    pub(crate) fn unwatch(&self, number: u64) {
        let mut watchers = self.watchers.lock();
        let before = watchers.len();
        watchers.retain(|(other, _)| *other != number);
        self.watching.fetch_sub(before - watchers.len(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn trust_may_move_a_log_since_what_a_peer_said_before_counts_from_then_on() {
        let table = Arc::new(crate::base::TrustTable::new(crate::base::trust::TrustPolicy::Open, 0, []));
        assert!(Progress::is_moved_by(&Input::Trust { table }));
        assert!(!Progress::is_moved_by(&Input::Tick));
    }

    #[test]
    fn a_ring_between_the_look_and_the_wait_is_not_missed() {
        let bell = Progress::default();
        let seen = bell.moves();
        bell.ring();
        bell.wait(seen, None);
        bell.end();
        bell.wait(bell.moves(), None);
    }

    #[test]
    fn watchers_are_called_until_they_are_taken_away() {
        let (bell, count) = (Progress::default(), Arc::new(AtomicUsize::new(0)));
        let theirs = count.clone();
        let number = bell.watch(Box::new(move || {
            theirs.fetch_add(1, Ordering::Relaxed);
        }));
        bell.ring();
        bell.unwatch(number);
        bell.ring();
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}
