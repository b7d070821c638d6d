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

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::base::{Config, Error, Event, Result, SnapshotConfig};
use crate::crypto::Identity;
use crate::driver::Shell;
use crate::driver::disk::DiskStorage;
use crate::mesh::io::{self as told, Input, SnapshotInput, SnapshotOutput};
use crate::snapshot::{Held, Place, Store};
use crate::sync::{MemStorage, Storage};
use crate::wire::message::SnapshotOffer;

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

/// The snapshots of a node, over stop and start.
pub(crate) struct Archive {
    store: Mutex<Store<Box<dyn Storage>>>,
    handler: Mutex<Option<Box<dyn SnapshotHandler>>>,
    gate: Mutex<Option<Gate>>,
    identity: Arc<Identity>,
    config: SnapshotConfig,
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
        let (replicas, fault) = cut::Table::open(dir.map(Path::to_owned));
        let told = faults.into_iter().map(|fault| fault.to_string()).chain(fault);
        let told = told.map(|detail| Event::LogDamaged { detail }).collect();
        let (store, handler, gate) = (Mutex::new(store), Mutex::new(None), Mutex::new(None));
        let archive = Archive { store, handler, gate, identity, config: config.snapshots.clone(), replicas };
        Ok((archive, told))
    }

    pub(crate) fn set_handler(&self, handler: Option<Box<dyn SnapshotHandler>>) {
        let old = std::mem::replace(&mut *self.handler.lock(), handler);
        drop(old);
    }

    pub(crate) fn set_gate(&self, gate: Gate) {
        *self.gate.lock() = Some(gate);
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
        self.handler.lock().is_some()
    }

    /// Runs `work` with the application's handler and no lock held; `None` if there is none.
    fn with_handler<T>(&self, work: impl FnOnce(&mut dyn SnapshotHandler) -> T) -> Option<T> {
        let mut handler = self.handler.lock().take()?;
        let done = work(handler.as_mut());
        // One that was set meanwhile is the newer one.
        self.handler.lock().get_or_insert(handler);
        Some(done)
    }

    /// Whole snapshots here, the latest first.
    pub(crate) fn held(&self) -> Vec<Held> {
        self.store.lock().held().into_iter().cloned().collect()
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
        wanted => drop(shell.handle.spawn_blocking(move || {
            let answer = parts::answer(&theirs, wanted);
            answer.into_iter().for_each(|answer| theirs.step(Input::Snapshot(answer)));
        })),
    }
}
