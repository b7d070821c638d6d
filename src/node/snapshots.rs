//! Snapshots of a node's application, and letting go of records: who writes and reads states, and when. Decides nothing.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::base::{Error, LogId, PeerId, Result};
use crate::driver::snapshots::{Gate, SnapshotHandler, cut};
use crate::snapshot::SnapshotId;

use super::{Node, Truncated};

/// A snapshot that lies in the data directory.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SnapshotView {
    /// Its name: the BLAKE3 hash of its manifest, in hex.
    pub id: String,
    /// Who made it.
    pub maker: PeerId,
    /// When, by the maker's clock, in microseconds since 1970.
    pub made_us: u64,
    /// What the application calls its form.
    pub schema: String,
    /// Bytes of the state.
    pub bytes: u64,
    /// Logs it has taken in.
    pub logs: usize,
}

impl Node {
    /// Sets what writes the application's state for others and puts another's in its place. Takes effect at once; before the first
    /// start, and before a start after a crash, it has to be there already: a snapshot may be half taken in.
    pub fn on_snapshot(&self, handler: impl SnapshotHandler + 'static) {
        self.inner.archive.set_handler(Some(Box::new(handler)));
    }

    /// For surfaces that apply elsewhere than on the apply thread: what they call, and how they hold still meanwhile.
    pub(crate) fn set_snapshot_calls(&self, handler: Option<Box<dyn SnapshotHandler>>, gate: Gate) {
        self.inner.archive.set_gate(Some(gate));
        self.inner.archive.set_handler(handler);
    }

    /// Whether the node is being stopped, or does not run.
    pub(crate) fn is_applying_stopped(&self) -> bool {
        self.inner.shell.read().as_ref().is_none_or(|shell| shell.apply.is_stopping())
    }

    /// Makes a snapshot of the application's state, signed by this node; it lies in the data directory once this returns. Blocks until
    /// the record that is being applied and the provider are done. Not from the apply handler.
    pub fn make_snapshot_blocking(&self) -> Result<SnapshotId> {
        let shell = self.shell_to_wait_for()?;
        self.refuse_apply_thread("make_snapshot")?;
        cut::make_blocking(&shell)
    }

    /// [`Node::make_snapshot_blocking`] for async code.
    pub async fn make_snapshot(&self) -> Result<SnapshotId> {
        let shell = self.shell_to_wait_for()?;
        tokio::task::spawn_blocking(move || cut::make_blocking(&shell)).await.unwrap_or(Err(Error::Stopped))
    }

    /// Lets go of the records that the newest snapshot here holds and that every trusted peer heard of within the lease has; past the
    /// cap also of such that some lack ([`Event::SnapshotNeeded`](crate::Event::SnapshotNeeded)). Whole segment files go. Blocks.
    pub fn truncate_logs_blocking(&self) -> Result<Truncated> {
        let shell = self.shell_to_wait_for()?;
        self.refuse_apply_thread("truncate_logs")?;
        cut::truncate(&shell)
    }

    /// [`Node::truncate_logs_blocking`] for async code.
    pub async fn truncate_logs(&self) -> Result<Truncated> {
        let shell = self.shell_to_wait_for()?;
        tokio::task::spawn_blocking(move || cut::truncate(&shell)).await.unwrap_or(Err(Error::Stopped))
    }

    /// Snapshots that lie here, the latest first.
    pub fn snapshots(&self) -> Vec<SnapshotView> {
        let view = |held: crate::snapshot::Held| SnapshotView {
            id: held.id.to_string(),
            maker: held.manifest.maker,
            made_us: held.manifest.made_us,
            schema: held.manifest.schema,
            bytes: held.manifest.size,
            logs: held.manifest.places.len(),
        };
        self.inner.archive.held().into_iter().map(view).collect()
    }

    /// The apply thread would wait for itself.
    fn refuse_apply_thread(&self, what: &str) -> Result<()> {
        let apply = self.inner.state.lock().workers.as_ref().map(crate::driver::workers::Workers::apply_thread);
        if apply == Some(std::thread::current().id()) {
            return Err(Error::Invalid(format!("{what} waits for the apply handler it was called from")));
        }
        Ok(())
    }

    /// How far the application is by its own word, after a snapshot took the place of a store that lacks records which are gone.
    pub(super) fn ask_cursor_again(&self) -> Result<BTreeMap<LogId, Option<u64>>> {
        let told = self.ask_cursor()?;
        let restores = match &self.inner.state.lock().wal {
            Some(wal) => self.inner.archive.restore(wal, &told)?,
            None => false,
        };
        if !restores {
            return Ok(told);
        }
        self.finish_install()?;
        self.ask_cursor()
    }

    /// Finishes what an earlier run was taking in. No lock is held while the consumer runs.
    pub(super) fn finish_install(&self) -> Result<()> {
        if !self.inner.archive.is_marked() {
            return Ok(());
        }
        let Some(mut wal) = self.inner.state.lock().wal.take() else { return Ok(()) };
        let done = self.inner.archive.resume(&mut wal);
        let mut state = self.inner.state.lock();
        state.wal = Some(wal);
        state.found.extend(done?);
        Ok(())
    }
}
