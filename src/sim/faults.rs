//! Carrying out the script: what is done to nodes, disks and the network, and undoing it all at the end.

use bytes::Bytes;

use std::sync::Arc;
use std::time::Duration;

use crate::base::{LinkId, TrustTable};
use crate::mesh::MeshSettings;
use crate::mesh::io::Input;
use crate::sim::check::Check;
use crate::sim::net::Parcel;
use crate::sim::node::{Node, Start, endpoint, name};
use crate::sim::script::Action;
use crate::sim::world::{What, World};
use crate::sim::{Sabotage, Scenario};
use crate::sync::DamageKind;

/// Time between two attempts to start a node whose disk refuses.
const RESTART: Duration = Duration::from_secs(1);

impl World<'_> {
    /// Does one thing of the script.
    pub(super) fn act(&mut self, action: Action) -> Check {
        self.trace.line(self.now, format_args!("* {action}"))?;
        match action {
            Action::Write { node, records } => self.write(node, records),
            Action::Talk { node, messages } => self.talk(node, messages),
            Action::Letter { from, to, life_ms, must } => return self.write_letter(from, to, life_ms, must),
            Action::Connect { from, to } => {
                self.nodes[from].targets.insert(to);
                return self.tell(from, Input::Connect { endpoint: endpoint(to), manual: true, expected: None });
            }
            Action::Disconnect { from, to } => {
                self.nodes[from].targets.remove(&to);
                let peer = self.nodes[to].identity.id();
                return self.tell(from, Input::Disconnect { peer });
            }
            Action::Cut { pick } => self.cut(pick),
            Action::Stall { pick, millis } => {
                if let Some(conn) = self.pick(pick) {
                    let until = self.now + Duration::from_millis(millis);
                    self.net.stall(conn, (pick >> 32) as usize & 1, until);
                }
            }
            Action::Corrupt { pick } => {
                if let Some(conn) = self.pick(pick) {
                    self.counts.flips += 1;
                    self.net.corrupt(conn, (pick >> 32) as usize & 1);
                }
            }
            Action::Partition { islands, millis } => {
                self.counts.partitions += 1;
                self.net.partition(islands);
                self.after(Duration::from_millis(millis), What::Do { action: Action::Heal });
            }
            Action::Heal => self.net.heal(),
            Action::Crash { node, power, back_ms } => {
                if self.nodes[node].life.is_some() {
                    self.crash(node, power)?;
                    if let Some(ms) = back_ms {
                        self.after(Duration::from_millis(ms), What::Restart { node });
                    }
                }
            }
            Action::ArmCrash { node, changes, power } => {
                self.nodes[node].armed_power = power;
                self.nodes[node].knobs.arm(changes);
            }
            Action::CrashAtSync { node } => {
                self.nodes[node].armed_power = true;
                self.nodes[node].knobs.arm_at_sync();
            }
            Action::Pause { node, millis } => self.stop(node, millis),
            Action::FillDisk { node, millis } => {
                self.nodes[node].knobs.set_full(true);
                self.after(Duration::from_millis(millis), What::DiskWell { node });
            }
            Action::SickDisk { node, writes, syncs, millis } => {
                self.nodes[node].knobs.set_errors(writes, syncs);
                self.after(Duration::from_millis(millis), What::DiskWell { node });
            }
            Action::Refuse { node, per_mille } => self.nodes[node].app.refuses = per_mille,
            Action::JumpClock { node, wall_us } => self.nodes[node].wall_us = wall_us,
            Action::Expect { nodes } => {
                if let Some(lack) = nodes.iter().find_map(|node| self.oracle.lacks(&self.nodes, &self.nodes[*node])) {
                    return Err(format!("by now they should have everything, but {lack}"));
                }
            }
            other => return self.act_on(other),
        }
        Ok(())
    }

    /// What strikes an application, a direction or a disk.
    fn act_on(&mut self, action: Action) -> Check {
        match action {
            Action::Poison { node, per_mille } => self.nodes[node].app.poisons = per_mille,
            Action::Resume { node } => return self.resume_parked(node),
            Action::OneWay { from, to, millis } => {
                self.counts.partitions += 1;
                self.net.block(from, to);
                self.after(Duration::from_millis(millis), What::Do { action: Action::Heal });
            }
            Action::Flap { node, times, millis } => self.flap(node, times, millis),
            Action::Truncate { node } => return self.truncate(node),
            Action::SickShelf { node, reads, takes, millis } => {
                self.nodes[node].knobs.set_shelf_errors(reads, takes);
                self.after(Duration::from_millis(millis), What::DiskWell { node });
            }
            Action::Save { node } => self.nodes[node].save(),
            Action::Restore { node, back_ms } => {
                self.hurt(node, back_ms, |node, _| node.restore())?;
                if matches!(self.options.scenario, Scenario::Storm | Scenario::SetBack) && self.options.text.is_none() && self.rng.bool() {
                    // At once, before anybody can tell it what it was.
                    let records = self.rng.u64(1..10);
                    self.after(Duration::from_millis(back_ms), What::Do { action: Action::Write { node, records } });
                }
            }
            Action::Rot { node, own, back_ms } => return self.hurt(node, back_ms, |node, rng| node.rot(own, rng)),
            _ => {}
        }
        Ok(())
    }

    /// A node's machine loses its power, something happens to its disk, and it comes back.
    fn hurt(&mut self, node: usize, back_ms: u64, what: impl FnOnce(&mut Node, &mut fastrand::Rng) -> bool) -> Check {
        if self.nodes[node].life.is_some() {
            self.crash(node, true)?;
            self.after(Duration::from_millis(back_ms), What::Restart { node });
        }
        if what(&mut self.nodes[node], &mut self.rng) {
            self.counts.hurt += 1;
            self.oracle.hurt(node);
        }
        Ok(())
    }

    /// A node's network comes and goes.
    fn flap(&mut self, node: usize, times: u32, millis: u64) {
        let islands: Vec<u8> = (0..self.nodes.len()).map(|other| u8::from(other == node)).collect();
        for turn in 0..u64::from(times) {
            let away = Action::Partition { islands: islands.clone(), millis };
            self.after(Duration::from_millis(2 * turn * millis), What::Do { action: away });
        }
    }

    /// The application of a node tries again what it called poison.
    fn resume_parked(&mut self, node: usize) -> Check {
        let views = self.nodes[node].life.as_ref().map(|life| life.mesh.logs()).unwrap_or_default();
        for view in views.into_iter().filter(|view| view.parked.is_some()) {
            self.tell(node, Input::ApplyResume { log: view.log, skip: false })?;
        }
        Ok(())
    }

    /// The same at every node.
    pub(super) fn resume_all(&mut self) -> Check {
        (0..self.nodes.len()).try_for_each(|node| self.resume_parked(node).and_then(|()| self.free_waiting(node)))
    }

    /// Gives a node an input if it runs, now or when it goes on.
    fn tell(&mut self, node: usize, input: Input) -> Check {
        if self.nodes[node].life.is_some() && !self.nodes[node].paused { self.step(node, input) } else { Ok(()) }
    }

    fn write(&mut self, node: usize, records: u64) {
        let records = records.min(self.options.writes.saturating_sub(self.written));
        if self.nodes[node].life.is_none() {
            return;
        }
        for _ in 0..records {
            self.written += 1;
            if self.options.scenario == Scenario::Mail {
                let operation = self.operation(node);
                self.nodes[node].life.iter_mut().for_each(|life| life.work.appends.push(operation.clone()));
                continue;
            }
            let len = self.rng.usize(..=self.profile.payload_max);
            let mut payload = format!("{} {} ", name(node), self.written).into_bytes();
            payload.resize(payload.len() + len, self.written as u8);
            self.oracle.asked(&self.nodes[node], &payload);
            if let Some(life) = &mut self.nodes[node].life {
                life.work.appends.push(Bytes::from(payload));
            }
        }
        self.call_log(node);
    }

    fn talk(&mut self, node: usize, messages: u64) {
        if self.nodes[node].paused {
            return;
        }
        let Some(life) = &self.nodes[node].life else { return };
        let links: Vec<_> = life.routes.values().copied().collect();
        for link in links {
            self.say(node, link, messages);
        }
    }

    /// The application of a node sends messages by one link.
    pub(super) fn say(&mut self, node: usize, link: LinkId, messages: u64) {
        for _ in 0..messages {
            let filler = self.rng.usize(..300);
            let Some(entry) = self.nodes[node].life.as_mut().and_then(|life| life.links.get_mut(&link)) else { break };
            let Some((conn, _)) = entry.at else { break };
            let mut payload = [conn, node as u64, entry.messages].map(u64::to_le_bytes).concat();
            payload.resize(payload.len() + filler, 7);
            if entry.push_data(&payload) {
                self.oracle.said(conn, node);
            }
        }
        self.pump(node, link);
    }

    fn pick(&self, pick: u64) -> Option<u64> {
        let conns = self.net.open_conns();
        let index = pick.checked_rem(conns.len() as u64)?;
        conns.get(index as usize).copied()
    }

    fn cut(&mut self, pick: u64) {
        let Some(conn) = self.pick(pick) else { return };
        self.counts.cuts += 1;
        let calls = self.net.cut(conn, self.now, &mut self.rng);
        for (side, due) in calls.into_iter().enumerate() {
            if let Some(due) = due {
                self.at(due, What::Lane { conn, side });
            }
        }
    }

    fn stop(&mut self, node: usize, millis: u64) {
        if self.nodes[node].life.is_some() {
            self.counts.pauses += 1;
            self.nodes[node].paused = true;
            self.nodes[node].pauses += 1;
            let pause = self.nodes[node].pauses;
            self.after(Duration::from_millis(millis), What::Resume { node, pause });
        }
    }

    /// A node goes on; everything that waited for it happens now, in order.
    pub(super) fn resume(&mut self, node: usize, pause: u64) -> Check {
        if self.nodes[node].pauses != pause || !self.nodes[node].paused {
            return Ok(());
        }
        self.nodes[node].paused = false;
        let waiting = std::mem::take(&mut self.nodes[node].waiting);
        waiting.into_iter().try_for_each(|what| self.happen(what))
    }

    /// A node dies. Its machine, if it still has power, tells the other ends; without power nobody hears anything.
    pub(super) fn crash(&mut self, node: usize, power: bool) -> Check {
        *(if power { &mut self.counts.power_cuts } else { &mut self.counts.kills }) += 1;
        self.trace.line(self.now, format_args!("{} * {}", name(node), if power { "loses power" } else { "dies" }))?;
        self.begin_anew();
        let Some(life) = self.nodes[node].end(power) else { return Ok(()) };
        for (conn, side) in self.net.ends_of(node, life) {
            if !power {
                self.post(conn, side, Parcel::Reset);
            }
            self.net.close(conn, side);
        }
        Ok(())
    }

    /// A dead node comes back, if its disk lets it.
    pub(super) fn restart(&mut self, node: usize) -> Check {
        if self.nodes[node].life.is_some() {
            return Ok(());
        }
        if self.options.sabotage == Some(Sabotage::LyingSync) {
            self.nodes[node].knobs.lie();
        }
        let mut config = crate::base::Config::new(name(node).to_string());
        config.causal = self.nodes[node].causal;
        // Who knows whom is the scenario's to say.
        config.peer_exchange = self.options.scenario == Scenario::Introductions;
        // So often that keys change in the middle of every fault.
        (config.rekey_after, config.fresh_keys_after) = match self.fresh_keys {
            _ if config.peer_exchange => (config.rekey_after, config.fresh_keys_after),
            None => (Duration::from_secs(3), Duration::from_secs(7)),
            Some(pause) => (pause, pause),
        };
        let trust = Arc::new(TrustTable::of_friends(self.nodes.iter().map(|node| node.identity.id())));
        let port = endpoint(node).port;
        let settings = MeshSettings { trust, port, ..MeshSettings::from_config(&config, self.nodes[node].identity.id()) };
        let damages = match self.nodes[node].start(settings, &mut self.rng)? {
            Start::Runs(damages) => damages,
            Start::Refused(why) => {
                self.trace.line(self.now, format_args!("{} * cannot start: {why}", name(node)))?;
                self.after(RESTART, What::Restart { node });
                return Ok(());
            }
            Start::Struck => {
                self.counts.mid_write += 1;
                let power = self.nodes[node].armed_power;
                self.crash(node, power)?;
                self.after(RESTART, What::Restart { node });
                return Ok(());
            }
        };
        self.trace.line(self.now, format_args!("{} * starts, life {}", name(node), self.nodes[node].lives))?;
        self.begin_anew();
        for damage in damages {
            self.trace.line(self.now, format_args!("{} * {damage}", name(node)))?;
            match damage.kind {
                DamageKind::TornTail => self.counts.torn_tails += 1,
                _ if self.nodes[node].hurt => self.counts.quarantined += 1,
                _ => return Err(format!("{} finds damage where there was only a crash: {damage}", name(node))),
            }
        }
        if let Some(life) = &self.nodes[node].life {
            self.oracle.restarted(&self.nodes[node], life)?;
        }
        for input in self.nodes[node].on_shelf() {
            self.step(node, input)?;
        }
        self.first_outputs(node)?;
        self.begin_beacon(node)?;
        self.mail(node, &[])?;
        for to in self.nodes[node].targets.clone() {
            self.step(node, Input::Connect { endpoint: endpoint(to), manual: true, expected: None })?;
        }
        Ok(())
    }

    /// Undoes every fault: from now on everything has to come right by itself.
    pub(super) fn mend(&mut self) -> Check {
        self.net.heal();
        if self.profile.lan {
            self.profile.dial_loss = 0;
        }
        for node in 0..self.nodes.len() {
            self.nodes[node].knobs.heal();
            (self.nodes[node].app.refuses, self.nodes[node].app.poisons) = (0, 0);
            self.resume(node, self.nodes[node].pauses)?;
            self.restart(node)?;
        }
        for (from, to) in self.profile.edges.clone() {
            self.nodes[from].targets.insert(to);
            self.tell(from, Input::Connect { endpoint: endpoint(to), manual: true, expected: None })?;
        }
        Ok(())
    }
}
