//! Snapshots of a running node: the store they lie in, the application's provider and consumer, and who does what on which thread.
//!
//! ```text
//!  apply thread   make: provider ──► store ──► places from the log ──► Held       install: mark, consumer, logs, mark gone ──► Installed
//!  blocking pool  parts for peers, manifests and parts from peers
//!  log's thread   places, adopting, cutting
//! ```
//!
//! The application's code runs with no lock held, and nothing is applied while it does. Decides nothing but what may go ([`cut`]).

pub(crate) mod cut;
pub(crate) mod install;
pub(crate) mod log;
pub(crate) mod make;
pub(crate) mod parts;
pub(crate) mod section;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::base::{Config, Error, Event, Result, SnapshotConfig, limits};
use crate::crypto::Identity;
use crate::driver::Shell;
use crate::driver::disk::DiskStorage;
use crate::mesh::io::{self as told, Input, SnapshotInput, SnapshotOutput};
use crate::snapshot::{Held, Place, Store};
use crate::sync::{MemStorage, Storage};
use crate::wire::message::{SnapshotId, SnapshotOffer};

/// Writes the application's state for others, and puts a state of another in its place.
///
/// Both run where records are applied: while they do, none is.
pub trait SnapshotHandler: Send {
    /// Writes the whole state, as all applied records have left it, and returns the last record of this node's own log whose effect is
    /// in it; `own` is the last one there is. An error gives the snapshot up.
    fn write(&mut self, own: u64, out: &mut dyn Write) -> io::Result<u64>;

    /// Reads a state and puts it in the place of the own one, as a whole or not at all: after an error the old state stands. `places`
    /// says how far it goes; an application that keeps its own cursors sets them in the same transaction. Records of this node's own
    /// log behind its place are not in it: what they did has to be done again. Called again for the same state after a crash.
    fn read(&mut self, places: &[Place], input: &mut dyn Read) -> io::Result<()>;
}

/// Runs what it is given while the application applies nothing, or not at all: where applying happens elsewhere than on the apply thread.
pub(crate) type Gate = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

/// What the application has set.
#[derive(Default)]
struct Handler {
    /// Not here while it runs.
    handler: Option<Box<dyn SnapshotHandler>>,
    is_set: bool,
    /// Rises with each that is set: one that runs meanwhile is not put back.
    times: u64,
}

/// The snapshots of a node, over stop and start.
pub(crate) struct Archive {
    store: Mutex<Store<Box<dyn Storage>>>,
    handler: Mutex<Handler>,
    gate: Mutex<Option<Gate>>,
    identity: Arc<Identity>,
    config: SnapshotConfig,
    /// What the state is called if the configuration does not say.
    form: Mutex<&'static str>,
    /// When a peer last read of a snapshot.
    read: Mutex<BTreeMap<SnapshotId, Instant>>,
    pub(crate) replicas: cut::Table,
}

impl Archive {
    /// Takes what the data directory has; what is damaged is told and left out.
    pub(crate) fn open(config: &Config, identity: Arc<Identity>) -> Result<(Archive, Vec<Event>)> {
        let dir = config.data_dir.as_deref();
        let disk: Box<dyn Storage> = match dir {
            Some(dir) => Box::new(DiskStorage::new(dir)),
            None => Box::new(MemStorage::new()),
        };
        let (store, faults) = Store::open(disk).map_err(|e| Error::Log(e.to_string()))?;
        let store = store.owned_by(identity.id());
        let (replicas, fault) = cut::Table::open(dir.map(Path::to_owned));
        let told = faults.into_iter().map(|fault| fault.to_string()).chain(fault);
        let told = told.map(|detail| Event::LogDamaged { detail }).collect();
        let (store, handler, gate, read) = (Mutex::new(store), Mutex::default(), Mutex::new(None), Mutex::default());
        let (config, form) = (config.snapshots.clone(), Mutex::new(""));
        let archive = Archive { store, handler, gate, identity, config, form, read, replicas };
        Ok((archive, told))
    }

    pub(crate) fn set_handler(&self, handler: Option<Box<dyn SnapshotHandler>>) {
        let mut slot = self.handler.lock();
        let times = slot.times + 1;
        let old = std::mem::replace(&mut *slot, Handler { is_set: handler.is_some(), handler, times });
        drop(slot);
        drop(old);
    }

    /// What the state is called if the configuration does not say.
    pub(crate) fn name_form(&self, form: &'static str) {
        *self.form.lock() = form;
    }

    fn schema(&self) -> &str {
        if self.config.schema.is_empty() { *self.form.lock() } else { &self.config.schema }
    }

    pub(crate) fn set_gate(&self, gate: Option<Gate>) {
        *self.gate.lock() = gate;
    }

    /// Runs `work` while nothing is applied, wherever that happens. Only on the apply thread. Not at all if the node is being stopped.
    fn exclusively(&self, work: &mut dyn FnMut()) {
        let gate = self.gate.lock().clone();
        match gate {
            Some(gate) => gate(work),
            None => work(),
        }
    }

    fn has_handler(&self) -> bool {
        self.handler.lock().is_set
    }

    /// Runs `work` with the application's handler and no lock held; `None` if there is none.
    fn with_handler<T>(&self, work: impl FnOnce(&mut dyn SnapshotHandler) -> T) -> Option<T> {
        let (mut handler, times) = {
            let mut slot = self.handler.lock();
            (slot.handler.take()?, slot.times)
        };
        let done = work(handler.as_mut());
        let mut slot = self.handler.lock();
        // What was set meanwhile is newer, also if it is nothing.
        let newer = if slot.times == times { slot.handler.replace(handler) } else { Some(handler) };
        drop(slot);
        drop(newer);
        Some(done)
    }

    /// Whole snapshots here, the latest first.
    pub(crate) fn held(&self) -> Vec<Held> {
        self.store.lock().held().into_iter().cloned().collect()
    }

    /// A peer reads of a snapshot.
    #[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
    fn note_read(&self, id: SnapshotId) {
        let mut read = self.read.lock();
        read.retain(|_, at| at.elapsed() < limits::SNAPSHOT_SPARED);
        read.insert(id, Instant::now());
    }

    /// Drops what is older than the latest ones, but for one that a peer is fetching; what that was.
    fn drop_old(&self) -> Vec<SnapshotId> {
        let mut read: Vec<(SnapshotId, Instant)> = self.read.lock().iter().map(|(id, at)| (*id, *at)).collect();
        read.retain(|(_, at)| at.elapsed() < limits::SNAPSHOT_SPARED);
        read.sort_by_key(|(_, at)| std::cmp::Reverse(*at));
        let mut store = self.store.lock();
        let before: Vec<SnapshotId> = store.held().into_iter().map(|held| held.id).collect();
        let old = before.get(limits::SNAPSHOTS_KEPT..).unwrap_or_default();
        let spared = read.into_iter().map(|(id, _)| id).find(|id| old.contains(id));
        store.drop_old_but(limits::SNAPSHOTS_KEPT, spared);
        before.into_iter().filter(|id| store.get(id).is_none()).collect()
    }

    /// Tells a mesh that begins what lies here.
    pub(crate) fn announce(&self, shell: &Arc<Shell>) {
        for held in self.held().iter().rev() {
            shell.step(Input::Snapshot(held_input(held)));
        }
    }
}

/// What the mesh is told of a snapshot that lies here.
fn held_input(held: &Held) -> SnapshotInput {
    SnapshotInput::Held { offer: offer(held), places: held.manifest.places.iter().map(place).collect() }
}

fn offer(held: &Held) -> SnapshotOffer {
    let (maker, root, size) = (held.manifest.maker, held.manifest.root, held.manifest.size);
    SnapshotOffer { id: held.id, maker, root, size, manifest: held.signed.len() as u32 }
}

fn place(place: &Place) -> told::Place {
    told::Place { log: place.log, applied: place.applied, base: place.sealed.as_ref().map_or(0, |sealed| sealed.seq) }
}

/// Carries out what the mesh wants about snapshots. Called under the node's lock: answers later, from elsewhere.
pub(crate) fn carry(shell: &Arc<Shell>, wanted: SnapshotOutput) {
    let theirs = shell.clone();
    match wanted {
        SnapshotOutput::Make => shell.apply.run(Box::new(move || make::for_mesh(&theirs))),
        SnapshotOutput::Install { id } => shell.apply.run(Box::new(move || install::for_mesh(&theirs, id))),
        wanted => {
            let present = shell.present();
            drop(shell.handle.spawn_blocking(move || {
                let _present = present;
                let answer = parts::answer(&theirs, wanted);
                answer.into_iter().for_each(|answer| theirs.step(Input::Snapshot(answer)));
            }));
        }
    }
}
