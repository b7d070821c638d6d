//! Snapshots between a simulated mesh, its disk and its application: what the driver does, in the same order, one thing a turn.
//!
//! After every step on a disk it looks whether an armed crash has struck. Decides nothing.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::base::{Incarnation, LogId, limits};
use crate::mesh::io::{Examined, Input, Kept, Place, SnapshotInput, SnapshotOutput};
use crate::sim::Scenario;
use crate::sim::app::App;
use crate::sim::check::Check;
use crate::sim::disk::SimDisk;
use crate::sim::node::{Life, Node, name};
use crate::sim::world::{What, World};
use crate::snapshot::{Held, Manifest, SnapshotError, Store};
use crate::sync::{Storage, StoreError, Wal};
use crate::wire::message::{Part, SnapshotId, SnapshotOffer};

/// How many held snapshots a node keeps.
const KEPT: usize = 2;

fn place(place: &crate::snapshot::Place) -> Place {
    Place { log: place.log, applied: place.applied, base: place.sealed.as_ref().map_or(0, |base| base.seq) }
}

/// What peers are told of a held snapshot.
pub(super) fn held_input(held: &Held) -> SnapshotInput {
    let Manifest { maker, root, size, .. } = held.manifest;
    let offer = SnapshotOffer { id: held.id, maker, root, size, manifest: held.signed.len() as u32 };
    SnapshotInput::Held { offer, places: held.manifest.places.iter().map(place).collect() }
}

/// A held snapshot's state, whole.
pub(super) fn state_of<S: Storage>(store: &mut Store<S>, id: &SnapshotId) -> Result<Vec<u8>, SnapshotError> {
    let pieces = store.pieces(id).ok_or(SnapshotError::Unknown(*id))?;
    let mut state = Vec::new();
    for index in 0..pieces {
        state.extend_from_slice(&store.piece(id, index)?);
    }
    Ok(state)
}

/// Begins every log at its place; those that were. A node that was set back goes on in a `fresh` log of its own.
pub(super) fn adopt_all(wal: &mut Wal<SimDisk>, manifest: &Manifest, fresh: Incarnation) -> Result<Vec<Place>, String> {
    let mut adopted = Vec::new();
    for taken in &manifest.places {
        let mut done = adopt_one(wal, taken);
        if let Err(StoreError::Rollback { .. }) = done {
            wal.renew(fresh).map_err(|e| e.to_string())?;
            done = adopt_one(wal, taken);
        }
        match done {
            // Numbers that were used twice: it stays as it is.
            Err(StoreError::Fork { .. }) => {}
            done => {
                done.map_err(|e| e.to_string())?;
                adopted.push(place(taken));
            }
        }
    }
    Ok(adopted)
}

fn adopt_one(wal: &mut Wal<SimDisk>, taken: &crate::snapshot::Place) -> Result<(), StoreError> {
    match &taken.sealed {
        Some(base) => wal.adopt(taken.log, base, taken.applied),
        None => wal.adopt_beginning(taken.log, taken.applied),
    }
}

/// The application takes in what it wrote itself and does not have the effect of, from its own logs.
pub(super) fn own_effects(app: &mut App, wal: &Wal<SimDisk>, name: char) -> Check {
    for log in wal.states().into_iter().map(|state| state.log).filter(|log| log.origin == wal.own().origin) {
        let at = app.own_at(log);
        if wal.base(log) > at {
            return Err(format!("{name} has the effect of its own records up to {at} and keeps them from {} on only", wal.base(log) + 1));
        }
        let groups = wal.read(log, at + 1, usize::MAX).map_err(|e| e.to_string())?;
        for entry in groups.iter().flat_map(crate::sync::Group::entries) {
            app.own_effect(log, entry.seq, &entry.payload);
        }
    }
    Ok(())
}

impl World<'_> {
    /// Puts the next turn with snapshots on the calendar if there is work.
    pub(super) fn call_shelf(&mut self, node: usize) {
        // The largest parts of all: slower than the log.
        let pause = self.pause(50, 150_000);
        let Some(life) = self.nodes[node].life.as_mut().filter(|life| !life.shelf_called && !life.shelf_work.is_empty()) else { return };
        life.shelf_called = true;
        let life = life.number;
        self.after(pause, What::Shelf { node, life });
    }

    /// One thing that the mesh wants about snapshots.
    pub(super) fn shelf_turn(&mut self, node: usize) -> Check {
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        life.shelf_called = false;
        let Some(wanted) = life.shelf_work.pop_front() else { return Ok(()) };
        let told = match wanted {
            SnapshotOutput::Make => {
                let made = self.make(node)?;
                if self.struck(node)? {
                    return Ok(());
                }
                if made { None } else { Some(SnapshotInput::NotMade) }
            }
            SnapshotOutput::Install { id } => {
                if self.install(node, id)? {
                    None
                } else {
                    Some(SnapshotInput::NotInstalled { id })
                }
            }
            SnapshotOutput::Examine { link, offer, manifest } => {
                let is_judged = self.claimed(node, &manifest)?;
                let store = self.nodes[node].life.as_mut().map(|life| &mut life.store);
                store.map(|store| {
                    let verdict = if is_judged { examine(store, &offer, &manifest) } else { Examined::Failed };
                    SnapshotInput::Examined { link, id: offer.id, verdict }
                })
            }
            other => self.serve(node, other),
        };
        if self.struck(node)? {
            return Ok(());
        }
        if let Some(told) = told {
            self.step(node, Input::Snapshot(told))?;
        }
        self.call_shelf(node);
        Ok(())
    }

    /// A place in the node's own log that is ahead of it, or another, shows that it was set back: it goes on in a new one. Whether it was
    /// looked at.
    fn claimed(&mut self, node: usize, signed: &[u8]) -> Result<bool, String> {
        let place = |life: &Life| Manifest::base_in(signed, &life.wal.own());
        let Some(place) = self.nodes[node].life.as_ref().and_then(place) else { return Ok(true) };
        if self.flush(node)? {
            return Ok(false);
        }
        let Some(life) = &self.nodes[node].life else { return Ok(false) };
        let own = life.wal.own();
        match life.wal.own_place(&place) {
            Ok(()) => Ok(true),
            Err(StoreError::Rollback { .. }) if self.nodes[node].hurt => {
                self.renew(node)?;
                let renewed = self.nodes[node].life.as_ref().is_some_and(|life| life.wal.own() != own);
                self.counts.set_back += u64::from(renewed);
                Ok(renewed)
            }
            Err(StoreError::Disk(_)) => Ok(false),
            Err(e) => Err(format!("{} is shown in its own log what cannot be: {e}", name(node))),
        }
    }

    /// What only the disk is asked for.
    fn serve(&mut self, node: usize, wanted: SnapshotOutput) -> Option<SnapshotInput> {
        let (reads, _) = self.nodes[node].knobs.shelf_errors();
        let is_sick = reads > 0 && self.rng.u32(..1000) < reads;
        let store = &mut self.nodes[node].life.as_mut()?.store;
        Some(match wanted {
            SnapshotOutput::Read { link, id, part } => {
                let bytes = match part {
                    Part::Manifest => store.get(&id).map(|held| held.signed.clone()),
                    Part::Hashes => store.hashes(&id),
                    Part::Piece(index) => store.piece(&id, index).ok(),
                };
                let bytes = bytes.filter(|_| !is_sick);
                self.counts.unread += u64::from(is_sick);
                SnapshotInput::ReadDone { link, id, part, bytes: bytes.map(Bytes::from) }
            }
            SnapshotOutput::Keep { link, id, part, bytes } => {
                let done = match part {
                    Part::Manifest => Err(SnapshotError::Unknown(id)),
                    Part::Hashes => store.keep_hashes(&id, &bytes).map(|()| Kept::Hashes { missing: store.missing() }),
                    Part::Piece(index) => store.keep_piece(&id, index, &bytes).map(|()| Kept::Piece),
                };
                let verdict = done.unwrap_or_else(|e| if let SnapshotError::Refused(_) = e { Kept::False } else { Kept::Failed });
                SnapshotInput::Kept { link, id, part, verdict }
            }
            SnapshotOutput::Examine { .. } | SnapshotOutput::Make | SnapshotOutput::Install { .. } => return None,
        })
    }

    /// The application writes its state down; whether that worked. A crash may have struck either way.
    pub(super) fn make(&mut self, node: usize) -> Result<bool, String> {
        let filler = self.profile.state_bytes;
        let made_us = self.now.0;
        let Node { life, app, identity, .. } = &mut self.nodes[node];
        let Some(life) = life else { return Ok(false) };
        let mut places = Vec::new();
        for (log, applied) in app.places() {
            let sealed = life.wal.place_before(log, applied);
            // Applied beyond what is durable: later.
            let Some(sealed) = sealed.ok().filter(|_| applied <= life.wal.durable(log)) else { return Ok(false) };
            places.push(crate::snapshot::Place { log, applied, sealed });
        }
        let state = app.write(filler);
        let write = || {
            let mut making = life.store.begin_make()?;
            for part in state.chunks(100_000) {
                life.store.make_more(&mut making, part)?;
            }
            life.store.finish_make(making, identity.as_ref(), (made_us, "sim"), places)
        };
        let Ok(id) = write() else { return Ok(false) };
        if life.store.storage().is_dead() {
            return Ok(false);
        }
        self.counts.snapshots += 1;
        self.trace.line(self.now, format_args!("{} * makes snapshot {}, {} bytes", name(node), id.short(), state.len()))?;
        self.tell_held(node, &id)?;
        Ok(true)
    }

    /// Tells the mesh of a snapshot that is here, and of those that are not kept for it.
    fn tell_held(&mut self, node: usize, id: &SnapshotId) -> Check {
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        let told = life.store.get(id).map(held_input);
        let before: Vec<SnapshotId> = life.store.held().into_iter().map(|held| held.id).collect();
        life.store.drop_old(KEPT);
        let gone: Vec<SnapshotId> = before.into_iter().filter(|id| life.store.get(id).is_none()).collect();
        if self.struck(node)? {
            return Ok(());
        }
        told.into_iter().try_for_each(|told| self.step(node, Input::Snapshot(told)))?;
        gone.into_iter().try_for_each(|id| self.step(node, Input::Snapshot(SnapshotInput::Gone { id })))
    }

    /// The application's state is replaced and the logs begin at their places; `false` if nothing has changed.
    fn install(&mut self, node: usize, id: SnapshotId) -> Result<bool, String> {
        let (_, takes) = self.nodes[node].knobs.shelf_errors();
        let is_sick = takes > 0 && self.rng.u32(..1000) < takes;
        let fresh = Incarnation(self.rng.u64(..));
        let Some(life) = &mut self.nodes[node].life else { return Ok(true) };
        if life.store.finish_take(&id).is_err() {
            return self.struck(node);
        }
        let begin = life.store.mark(&id).and_then(|()| state_of(&mut life.store, &id));
        if self.struck(node)? {
            return Ok(true);
        }
        let Node { life, app, identity, .. } = &mut self.nodes[node];
        let Some(life) = life else { return Ok(true) };
        let Some(manifest) = life.store.get(&id).map(|held| held.manifest.clone()) else { return Ok(false) };
        let Some(state) = begin.ok().filter(|_| !is_sick) else {
            // The mark or the consumer fails, and the old state stands.
            self.counts.not_taken += 1;
            let is_well = life.store.unmark().is_ok();
            return if self.struck(node)? { Ok(true) } else { self.by_half(node, is_well).map(|()| !is_well) };
        };
        // Struck between the mark and the consumer, or behind the consumer: the next life does it (again).
        app.install(identity.id(), &state, &manifest).map_err(|e| format!("{}: {e}", name(node)))?;
        self.counts.installed += 1;
        let own = life.wal.own();
        let adopted = adopt_all(&mut life.wal, &manifest, fresh);
        if self.struck(node)? {
            return Ok(true);
        }
        let Node { life, app, .. } = &mut self.nodes[node];
        let Some(life) = life else { return Ok(true) };
        let unmarked = life.store.unmark();
        own_effects(app, &life.wal, name(node))?;
        if self.struck(node)? {
            return Ok(true);
        }
        let (Ok(places), Ok(())) = (adopted, unmarked) else { return self.by_half(node, false).map(|()| true) };
        let renewed = self.nodes[node].life.as_ref().map(|life| life.wal.own()).filter(|log| *log != own);
        if let Some(log) = renewed {
            self.oracle.renewed(node, log);
            self.step(node, Input::Renewed { log })?;
        }
        self.tell_held(node, &id)?;
        if self.nodes[node].life.is_some() {
            self.step(node, Input::Snapshot(SnapshotInput::Installed { id, places }))?;
        }
        Ok(true)
    }

    /// If a state was taken in by half, the node ends, and its next life finishes that.
    fn by_half(&mut self, node: usize, is_whole: bool) -> Check {
        if !is_whole {
            self.crash(node, false)?;
            self.after(std::time::Duration::from_secs(1), What::Restart { node });
        }
        Ok(())
    }

    /// A node makes a snapshot and lets go of everything that is in it, whoever needs it still.
    pub(super) fn truncate(&mut self, node: usize) -> Check {
        if self.nodes[node].life.is_none() || self.nodes[node].paused || !self.make(node)? || self.struck(node)? {
            return Ok(());
        }
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        let newest = life.store.held().first().map(|held| held.id);
        let is_secure = newest.is_some_and(|id| life.store.secure(&id).is_ok());
        if self.struck(node)? || !is_secure {
            return Ok(());
        }
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        let places: Vec<(LogId, u64)> = life.store.held().first().map_or(Vec::new(), |held| {
            held.manifest.places.iter().filter_map(|place| Some((place.log, place.sealed.as_ref()?.seq))).collect()
        });
        for (log, upto) in places {
            let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
            let before = life.wal.base(log);
            let cut = life.wal.truncate(log, upto);
            if self.struck(node)? {
                return Ok(());
            }
            if let Ok(base) = cut
                && base > before
            {
                self.counts.truncated += base - before;
                self.step(node, Input::Snapshot(SnapshotInput::Truncated { log, base }))?;
            }
        }
        Ok(())
    }
}

impl World<'_> {
    /// At the end every application has the same state to the byte, and it is what reading every record comes to.
    pub(super) fn same_states(&self) -> Check {
        if self.options.scenario != Scenario::Late || self.options.text.is_some() {
            return Ok(());
        }
        if self.nodes.iter().any(|node| node.hurt) {
            return self.same_effects();
        }
        let mut state = Vec::new();
        for (log, written) in self.oracle.logs().into_iter().filter(|(_, written)| *written > 0) {
            state.extend_from_slice(&log.origin.0);
            state.extend_from_slice(&log.incarnation.0.to_le_bytes());
            state.extend_from_slice(&written.to_le_bytes());
            state.extend_from_slice(&self.oracle.effect(&log));
        }
        let other = |node: &&Node| node.app.write(0) != state || node.app.write(9_999) != self.nodes[0].app.write(9_999);
        match self.nodes.iter().find(other) {
            Some(node) => Err(format!("{}'s state is not what all records come to", name(node.index))),
            None => Ok(()),
        }
    }

    /// The same of every log that has one history and lost nothing with its writer's disk.
    fn same_effects(&self) -> Check {
        let written: BTreeMap<LogId, u64> = self.oracle.logs().into_iter().collect();
        for (log, left) in self.oracle.left(&self.nodes).into_iter().filter(|(log, left)| written.get(log) == Some(left)) {
            let other = |node: &&Node| node.app.effect(&log) != (left, self.oracle.effect(&log));
            if let Some(node) = self.nodes.iter().find(other) {
                let at = node.app.effect(&log).0;
                return Err(format!("{}'s state up to {at} of {log} is not what its {left} records come to", name(node.index)));
            }
        }
        Ok(())
    }
}

fn examine(store: &mut Store<SimDisk>, offer: &SnapshotOffer, signed: &[u8]) -> Examined {
    if *blake3::hash(signed).as_bytes() != offer.id.0 {
        return Examined::False;
    }
    let Ok(manifest) = Manifest::prove(signed, |_| true) else { return Examined::False };
    if (manifest.maker, manifest.root, manifest.size) != (offer.maker, offer.root, offer.size) {
        return Examined::False;
    }
    let places = manifest.places.iter().map(place).collect();
    if store.get(&offer.id).is_some() {
        return Examined::Good { places, missing: Some(Vec::new()) };
    }
    match store.begin_take(manifest, signed) {
        Ok(()) => Examined::Good { places, missing: store.has_hashes().then(|| store.missing()) },
        Err(_) => Examined::Failed,
    }
}

/// The longest state of the simulation has five pieces.
pub(super) fn draw_state_bytes(rng: &mut fastrand::Rng) -> usize {
    rng.usize(0..=5 * limits::SNAPSHOT_PIECE_BYTES) * usize::from(rng.u8(..4) > 0)
}
