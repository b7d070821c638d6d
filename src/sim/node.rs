//! One simulated node: what outlives a crash (key, disk, the application's data) and what does not (mesh, links, queues).
//!
//! Holds and starts things; what they do to each other is in `carry` and `logwork`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::base::{Endpoint, Incarnation, LinkId, LogId, PeerId, Time};
use crate::crypto::kex;
use crate::crypto::suite::Cipher;
use crate::crypto::{Identity, Secret, Suite};
use crate::discovery::Discovery;
use crate::mesh::io::{Input, SnapshotOutput};
use crate::mesh::{Mesh, MeshSettings};
use crate::session::LocalParty;
use crate::sim::app::App;
use crate::sim::compare::SealWork;
use crate::sim::disk::SimDisk;
use crate::sim::knobs::Knobs;
use crate::sim::lent::Lent;
use crate::sim::link::Link;
use crate::sim::shelf::{adopt_all, held_input, own_effects, state_of};
use crate::sim::world::What;
use crate::snapshot::Store;
use crate::sync::{Damage, Group, LogState, Wal};

/// Work waiting for the log, as in the driver.
#[derive(Default)]
pub(super) struct LogWork {
    pub(super) appends: Vec<Bytes>,
    pub(super) stores: Vec<(LinkId, Group)>,
    pub(super) applied: Vec<(LogId, u64)>,
    pub(super) parks: Vec<(LogId, u64, Option<u64>)>,
    pub(super) reads: VecDeque<(LinkId, LogId, u64, usize)>,
    pub(super) seals: Vec<SealWork>,
}

impl LogWork {
    /// Whether nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        let is_quiet = self.applied.is_empty() && self.parks.is_empty() && self.reads.is_empty() && self.seals.is_empty();
        is_quiet && self.appends.is_empty() && self.stores.is_empty()
    }
}

/// What dies with the process.
pub(super) struct Life {
    pub(super) number: u32,
    pub(super) mesh: Mesh,
    pub(super) wal: Wal<SimDisk>,
    /// Snapshots, and what the mesh wants about them.
    pub(super) store: Store<SimDisk>,
    pub(super) shelf_work: VecDeque<SnapshotOutput>,
    pub(super) shelf_called: bool,
    pub(super) links: BTreeMap<LinkId, Link>,
    pub(super) routes: BTreeMap<PeerId, LinkId>,
    pub(super) work: LogWork,
    /// Whether the log is on the world's calendar.
    pub(super) log_called: bool,
    /// Whether the sync of the application's places is.
    pub(super) cursors_called: bool,
    /// Whether the sync of what was only accepted is.
    pub(super) flush_called: bool,
    /// The earliest wake-up on the world's calendar.
    pub(super) armed: Option<Time>,
    /// Its discovery, on a network that has any, and the earliest turn of that on the calendar.
    pub(super) beacon: Option<Discovery>,
    pub(super) beacon_armed: Option<Time>,
    /// Ticks at one and the same instant.
    pub(super) ticks: (Time, u32),
}

/// A node, alive or not.
pub(super) struct Node {
    pub(super) index: usize,
    pub(super) identity: Arc<Identity>,
    pub(super) party: Arc<LocalParty>,
    pub(super) knobs: Arc<Knobs>,
    pub(super) app: App,
    pub(super) life: Option<Life>,
    pub(super) lives: u32,
    /// Whether the machine under the process runs and answers for it.
    pub(super) powered: bool,
    /// The disk while no process has it.
    disk: Option<SimDisk>,
    /// The disk of its snapshots, while no process has it.
    shelf: Option<SimDisk>,
    /// Whom it is configured to connect to.
    pub(super) targets: BTreeSet<usize>,
    /// Whether the process stands still, and what waits for it to go on.
    pub(super) paused: bool,
    pub(super) waiting: VecDeque<What>,
    /// Which pause is the latest, so that an older one's end is not its end.
    pub(super) pauses: u64,
    /// What the next armed crash takes with it: the machine, or only the process.
    pub(super) armed_power: bool,
    /// The node's wall clock, which may be anything.
    pub(super) wall_us: u64,
    pub(super) segment_max: u64,
    /// Sabotage: a restarted node does not ask the application where it is.
    pub(super) forgetful: bool,
    /// Whether its appends do not wait for the disk.
    pub(super) buffered: bool,
    /// Whether it is in causal mode.
    pub(super) causal: bool,
    /// Its disk was damaged or exchanged for an older copy: it may have lost what it had acknowledged.
    pub(super) hurt: bool,
    /// Snapshots that an earlier life had begun to take in and a later one finished.
    pub(super) finished: u64,
    /// A copy of its disk, and of its snapshots and its application's data if those are saved with it.
    saved: Option<(SimDisk, Option<(SimDisk, App)>)>,
    /// Whether they are.
    pub(super) saves_all: bool,
}

/// What came of an attempt to start.
pub(super) enum Start {
    /// It runs; what recovery found.
    Runs(Vec<Damage>),
    /// The disk refused; try again later.
    Refused(String),
    /// A crash struck while the log was opened.
    Struck,
}

/// The name of a node in the trace.
pub(super) fn name(index: usize) -> char {
    let first = if index < 26 { b'A' } else { b'a' };
    char::from(first + (index % 26) as u8)
}

/// Where a node listens.
pub(super) fn endpoint(index: usize) -> Endpoint {
    Endpoint::tcp(host(index), 9000)
}

/// The address of its machine: neighbours tell each other of addresses only, not of names.
pub(super) fn host(index: usize) -> String {
    format!("10.0.{}.{}", index / 256, index % 256)
}

/// The node that listens there.
pub(super) fn listener(endpoint: &Endpoint) -> Option<usize> {
    let (high, low) = endpoint.host.strip_prefix("10.0.")?.split_once('.')?;
    Some(256 * high.parse::<usize>().ok()? + low.parse::<usize>().ok()?)
}

impl Node {
    /// A node that has never run.
    pub(super) fn new(index: usize, rng: &mut fastrand::Rng, psk: Option<&crate::base::config::Psk>) -> Result<Node, String> {
        let mut seed = Secret::zero();
        rng.fill(seed.expose_mut());
        let identity = Arc::new(Identity::from_seed(&seed));
        let party = LocalParty::new(identity.clone(), &name(index).to_string(), &BTreeMap::new(), psk).map_err(|e| e.to_string())?;
        let knobs = Arc::new(Knobs::default());
        Ok(Node {
            index,
            identity,
            // One suite, so that a trace does not depend on what this machine's CPU can do.
            party: Arc::new(party.with_suites(vec![Suite { group: kex::Group::X25519, cipher: Cipher::ChaCha20Poly1305 }])),
            disk: Some(SimDisk::new(knobs.clone(), rng.u64(..))),
            shelf: Some(SimDisk::new(knobs.clone(), index as u64)),
            knobs,
            app: App::new(true),
            life: None,
            lives: 0,
            powered: true,
            targets: BTreeSet::new(),
            paused: false,
            waiting: VecDeque::new(),
            pauses: 0,
            armed_power: false,
            wall_us: 0,
            segment_max: crate::base::limits::SEGMENT_MAX_BYTES,
            forgetful: false,
            buffered: false,
            causal: false,
            hurt: false,
            finished: 0,
            saved: None,
            saves_all: false,
        })
    }

    /// The disk, whoever has it.
    pub(super) fn disk(&self) -> Option<&SimDisk> {
        self.life.as_ref().map(|life| life.wal.storage()).or(self.disk.as_ref())
    }

    /// Starts the process: opens the log, tells it and the mesh how far the application is.
    pub(super) fn start(&mut self, settings: MeshSettings, rng: &mut fastrand::Rng) -> Result<Start, String> {
        let Some(mut disk) = self.disk.take() else { return Err("a running node is started".into()) };
        let (signer, fresh) = (self.identity.clone(), Incarnation(rng.u64(..)));
        // Opened once on loan, so that the disk is still here if it fails, and then for good: that must find nothing more.
        let damages = match Wal::open(Lent(&mut disk), signer.clone(), fresh) {
            Ok((_, damages)) => damages,
            Err(error) => {
                let struck = disk.is_dead();
                self.disk = Some(disk);
                return Ok(if struck { Start::Struck } else { Start::Refused(error.to_string()) });
            }
        };
        if disk.is_dead() {
            self.disk = Some(disk);
            return Ok(Start::Struck);
        }
        self.knobs.disarm();
        let opened = self.knobs.hold_still(|| Wal::open(disk, signer, fresh));
        let (mut wal, again) = opened.map_err(|e| format!("a log that was just opened cannot be opened: {e}"))?;
        if let Some(damage) = again.first() {
            return Err(format!("opening the log a second time finds damage that the first time had mended: {damage}"));
        }
        wal.set_segment_max(self.segment_max);
        let Some(store) = self.open_shelf(&mut wal, Incarnation(rng.u64(..)))? else {
            let struck = wal.storage().is_dead() || self.shelf.as_ref().is_some_and(SimDisk::is_dead);
            self.disk = Some(wal.storage().clone());
            return Ok(if struck { Start::Struck } else { Start::Refused("the snapshots cannot be opened".into()) });
        };
        if self.app.own_cursor {
            for (log, seq) in self.app.cursors() {
                if wal.durable(log).max(self.app.granted(log)) < seq && !self.hurt {
                    return Err(format!(
                        "the application has applied {log} to {seq}, after the restart the log ends at {}",
                        wal.durable(log)
                    ));
                }
                // If the disk refuses, the library's cursor stays behind; the mesh is told the truth all the same.
                let _ = wal.set_applied(log, seq);
            }
        }
        let mut logs = Vec::new();
        for state in wal.states() {
            let foreign = state.log.origin != self.identity.id();
            let cursor = if foreign && self.app.own_cursor { self.app.applied(state.log) } else { state.applied };
            let cursor = if self.forgetful && foreign { 0 } else { cursor };
            if foreign {
                self.app.begin(state.log, cursor)?;
            }
            logs.push(LogState { applied: cursor, ..state });
        }
        own_effects(&mut self.app, &wal, name(self.index))?;
        let mesh = Mesh::resume(settings, logs, wal.own(), rng.u64(..));
        self.lives += 1;
        self.powered = true;
        self.life = Some(Life {
            number: self.lives,
            mesh,
            wal,
            store,
            shelf_work: VecDeque::new(),
            shelf_called: false,
            links: BTreeMap::new(),
            routes: BTreeMap::new(),
            work: LogWork::default(),
            log_called: false,
            cursors_called: false,
            flush_called: false,
            armed: None,
            beacon: None,
            beacon_armed: None,
            ticks: (Time::ZERO, 0),
        });
        Ok(Start::Runs(damages))
    }

    /// Opens the snapshots, and finishes what an earlier life was taking in. `None` if a disk refuses or a crash has struck.
    fn open_shelf(&mut self, wal: &mut Wal<SimDisk>, fresh: Incarnation) -> Result<Option<Store<SimDisk>>, String> {
        let Some(mut disk) = self.shelf.take() else { return Err("the snapshots are open already".into()) };
        // On loan first, as the log.
        if Store::open(Lent(&mut disk)).is_err() || disk.is_dead() {
            self.shelf = Some(disk);
            return Ok(None);
        }
        let opened = self.knobs.hold_still(|| Store::open(disk));
        let (store, faults) = opened.map_err(|e| format!("snapshots that were just opened cannot be opened: {e}"))?;
        let mut store = store.owned_by(self.identity.id());
        if let Some(fault) = faults.first() {
            return Err(format!("{} finds damage where there was only a crash: {fault}", name(self.index)));
        }
        if let Some(id) = store.marked() {
            let manifest = store.get(&id).map(|held| held.manifest.clone()).ok_or("a snapshot that was being taken in is gone")?;
            let state = state_of(&mut store, &id).map_err(|e| e.to_string());
            let done = state.and_then(|state| self.app.install(self.identity.id(), &state, &manifest));
            let done = done.and_then(|()| adopt_all(wal, &manifest, fresh)).and_then(|_| store.unmark().map_err(|e| e.to_string()));
            if done.is_err() || wal.storage().is_dead() || store.storage().is_dead() {
                self.shelf = Some(store.storage().clone());
                return Ok(None);
            }
            self.finished += 1;
        }
        Ok(Some(store))
    }

    /// What the mesh is told of the snapshots that are here when it begins.
    pub(super) fn on_shelf(&self) -> Vec<Input> {
        let held = self.life.as_ref().map(|life| life.store.held()).unwrap_or_default();
        held.into_iter().rev().map(|held| Input::Snapshot(held_input(held))).collect()
    }

    /// A copy of the disk is put aside.
    pub(super) fn save(&mut self) {
        let shelf = self.life.as_ref().map(|life| life.store.storage()).or(self.shelf.as_ref()).map(SimDisk::copy);
        let rest = shelf.filter(|_| self.saves_all).map(|shelf| (shelf, self.app.clone()));
        self.saved = self.disk().map(|disk| (disk.copy(), rest));
    }

    /// While nothing runs on it, the disk is exchanged for the copy; whether there was one.
    pub(super) fn restore(&mut self) -> bool {
        let Some((disk, rest)) = self.saved.as_ref().filter(|_| self.life.is_none()) else { return false };
        self.disk = Some(disk.copy());
        if let Some((shelf, app)) = rest {
            (self.shelf, self.app) = (Some(shelf.copy()), app.clone());
            self.app.end_process();
        }
        self.be_hurt();
        true
    }

    /// While nothing runs on it, a bit of a log on the disk flips; whether there was one.
    pub(super) fn rot(&mut self, own: bool, rng: &mut fastrand::Rng) -> bool {
        let origin = crate::base::id::hex(&self.identity.id().0);
        let Some(disk) = self.disk.as_mut().filter(|_| self.life.is_none()) else { return false };
        let struck = disk.rot(|path| path.contains(&origin) == own, rng);
        if struck {
            self.be_hurt();
        }
        struck
    }

    /// Ends the node for good, to see what it held: its machines, its log and snapshots, and their disks.
    pub(super) fn weigh(&mut self, live: fn() -> usize) -> [usize; 3] {
        let Some(Life { mesh, wal, store, links, routes, beacon, work, shelf_work, .. }) = self.life.take() else { return [0; 3] };
        let disks = (wal.storage().clone(), store.storage().clone());
        let before = live();
        drop((mesh, links, routes, beacon, work, shelf_work));
        let between = live();
        drop((wal, store));
        let after = live();
        drop((disks, self.disk.take(), self.shelf.take()));
        [before.saturating_sub(between), between.saturating_sub(after), after.saturating_sub(live())]
    }

    fn be_hurt(&mut self) {
        self.hurt = true;
        self.app.hurt();
    }

    /// The process ends without a word; with `power`, the machine as well. Returns the number of the life that ended.
    pub(super) fn end(&mut self, power: bool) -> Option<u32> {
        let number = self.life.take().map(|life| {
            self.disk = Some(life.wal.storage().clone());
            self.shelf = Some(life.store.storage().clone());
            life.number
        });
        for disk in [&mut self.disk, &mut self.shelf].into_iter().flatten() {
            if power { disk.lose_power() } else { disk.end_process() }
        }
        self.app.end_process();
        self.waiting.clear();
        (self.paused, self.pauses) = (false, self.pauses + 1);
        self.powered = !power;
        number
    }
}
