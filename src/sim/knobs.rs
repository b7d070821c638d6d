//! What the world can turn while a log owns its disk. Never decides when.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// What the world can turn while a log owns the disk.
#[derive(Debug, Default)]
pub(super) struct Knobs {
    pub(super) crash_in: AtomicU32,
    pub(super) crash_at_sync: AtomicBool,
    pub(super) full: AtomicBool,
    pub(super) write_errors: AtomicU32,
    pub(super) sync_errors: AtomicU32,
    pub(super) shelf_errors: (AtomicU32, AtomicU32),
    pub(super) lying: AtomicBool,
    pub(super) still: AtomicBool,
}

impl Knobs {
    /// The n-th change from now strikes the node down.
    pub(super) fn arm(&self, changes: u32) {
        self.crash_in.store(changes, Ordering::Relaxed);
    }

    /// The next sync strikes the node down before it has done anything.
    pub(super) fn arm_at_sync(&self) {
        self.crash_at_sync.store(true, Ordering::Relaxed);
    }

    /// Whether files can grow.
    pub(super) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    /// How many of a thousand writes and syncs fail.
    pub(super) fn set_errors(&self, writes: u32, syncs: u32) {
        self.write_errors.store(writes, Ordering::Relaxed);
        self.sync_errors.store(syncs, Ordering::Relaxed);
    }

    /// How many of a thousand parts of snapshots cannot be read, and how many states are not taken in.
    pub(super) fn set_shelf_errors(&self, reads: u32, takes: u32) {
        self.shelf_errors.0.store(reads, Ordering::Relaxed);
        self.shelf_errors.1.store(takes, Ordering::Relaxed);
    }

    /// The same, to be drawn by.
    pub(super) fn shelf_errors(&self) -> (u32, u32) {
        (self.shelf_errors.0.load(Ordering::Relaxed), self.shelf_errors.1.load(Ordering::Relaxed))
    }

    /// Sabotage: every sync is a lie from now on.
    pub(super) fn lie(&self) {
        self.lying.store(true, Ordering::Relaxed);
    }

    /// Nothing fails or strikes while `work` goes on.
    pub(super) fn hold_still<R>(&self, work: impl FnOnce() -> R) -> R {
        self.still.store(true, Ordering::Relaxed);
        let done = work();
        self.still.store(false, Ordering::Relaxed);
        done
    }

    /// No more faults.
    pub(super) fn heal(&self) {
        self.disarm();
        self.set_full(false);
        self.set_errors(0, 0);
        self.set_shelf_errors(0, 0);
    }

    /// No crash is armed any more.
    pub(super) fn disarm(&self) {
        self.crash_in.store(0, Ordering::Relaxed);
        self.crash_at_sync.store(false, Ordering::Relaxed);
    }
}
