//! Between a mesh, its log and its application: what the driver's log thread and apply thread do, in the same order.
//!
//! After every call on the log it looks whether an armed crash has struck; then nothing of the call is told to anybody.

use std::time::Duration;

use bytes::Bytes;

use crate::base::{CloseReason, Incarnation, LinkId, LogId, limits};
use crate::mesh::io::Input;
use crate::sim::Sabotage;
use crate::sim::app::Applying;
use crate::sim::check::Check;
use crate::sim::node::{Life, LogWork, Node, name};
use crate::sim::shelf::own_effects;
use crate::sim::world::{What, World};
use crate::sync::{Cause, Entry, Group, StoreError, Stored, WalError};

/// The application's turn applies so many records at most, so that a crash finds it in the middle.
const APPLY_MAX: u64 = 8;

impl World<'_> {
    /// Puts the log's next turn on the calendar if it has work.
    pub(super) fn call_log(&mut self, node: usize) {
        let most = self.profile.disk_us;
        let pause = self.pause(50, most);
        let Some(life) = self.nodes[node].life.as_mut().filter(|life| !life.log_called && !life.work.is_idle()) else { return };
        life.log_called = true;
        let life = life.number;
        self.after(pause, What::Log { node, life });
    }

    /// Puts the application's next turn on the calendar if it has work.
    pub(super) fn call_app(&mut self, node: usize) {
        let pause = self.pause(10, 3_000);
        let Some(life) = self.nodes[node].life.as_ref().map(|life| life.number) else { return };
        let app = &mut self.nodes[node].app;
        if !app.called && (app.current.is_some() || !app.requests.is_empty()) {
            app.called = true;
            self.after(pause, What::Apply { node, life });
        }
    }

    /// Whether an armed crash has struck the node; then it is dead now.
    pub(super) fn struck(&mut self, node: usize) -> Result<bool, String> {
        let dead = self.nodes[node].life.as_ref().is_some_and(|life| life.wal.storage().is_dead() || life.store.storage().is_dead());
        if dead {
            self.counts.mid_write += 1;
            let (power, back) = (self.nodes[node].armed_power, self.pause(10_000, 5_000_000));
            self.crash(node, power)?;
            self.after(back, What::Restart { node });
        }
        Ok(dead)
    }

    /// The log does everything that waits: appends, stores, cursors, reads.
    pub(super) fn log_turn(&mut self, node: usize) -> Check {
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        life.log_called = false;
        let LogWork { appends, stores, applied, parks, reads, seals } = std::mem::take(&mut life.work);
        if !appends.is_empty() && self.append(node, &appends)? {
            return Ok(());
        }
        if !stores.is_empty() && self.store(node, stores)? {
            return Ok(());
        }
        for (log, seq) in applied {
            let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
            // A cursor that cannot be written stays behind; the records come again after a crash, no more.
            let _ = life.wal.set_applied(log, seq);
            if self.struck(node)? {
                return Ok(());
            }
            self.call_cursors(node);
        }
        for (log, applied, parked) in parks {
            let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
            // One that cannot be written is found out again when the record is offered after a restart.
            let _ = life.wal.park(log, applied, parked);
            if self.struck(node)? {
                return Ok(());
            }
        }
        for work in seals {
            if self.seal_turn(node, work)? {
                return Ok(());
            }
        }
        for (link, log, from, max_bytes) in reads {
            let Some(life) = &self.nodes[node].life else { return Ok(()) };
            let groups = match life.wal.read(log, from, max_bytes) {
                // A snapshot was taken in after the mesh asked.
                Err(WalError::Truncated { .. }) => Ok(Vec::new()),
                read => read.map_err(|e| format!("{} reading {log}: {e}", name(node))),
            }?;
            self.step(node, Input::ReadDone { link, log, groups })?;
        }
        self.call_log(node);
        Ok(())
    }

    /// Has the application's places synced a while after they were noted.
    fn call_cursors(&mut self, node: usize) {
        let Some(life) = self.nodes[node].life.as_mut().filter(|life| !life.cursors_called) else { return };
        life.cursors_called = true;
        let life = life.number;
        self.after(limits::CURSOR_SYNC_EVERY, What::Cursors { node, life });
    }

    /// The application's places are synced.
    pub(super) fn cursors_turn(&mut self, node: usize) -> Check {
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        life.cursors_called = false;
        let synced = life.wal.sync_cursors(limits::CURSOR_SYNCS_AT_ONCE);
        if self.struck(node)? {
            return Ok(());
        }
        match synced {
            Ok(false) => {
                let states = self.nodes[node].life.as_ref().map(|life| life.wal.states()).unwrap_or_default();
                let foreign = states.into_iter().filter(|state| state.log.origin != self.nodes[node].identity.id());
                foreign.collect::<Vec<_>>().iter().for_each(|state| self.nodes[node].app.noted(state.log, state.applied));
            }
            Ok(true) | Err(_) => self.call_cursors(node),
        }
        Ok(())
    }

    fn append(&mut self, node: usize, payloads: &[Bytes]) -> Result<bool, String> {
        payloads.iter().for_each(|payload| self.oracle.attempt(node, payload));
        self.nodes[node].wall_us = self.nodes[node].wall_us.wrapping_add(1_000);
        let wall_us = self.nodes[node].wall_us;
        if self.nodes[node].buffered {
            return self.accept(node, wall_us, payloads);
        }
        if self.nodes[node].life.as_ref().is_some_and(|life| life.wal.is_set_back()) {
            self.renew(node)?;
        }
        if self.struck(node)? {
            return Ok(true);
        }
        let Some(life) = &mut self.nodes[node].life else { return Ok(true) };
        let causes = life.mesh.take_causes();
        let appended = life.wal.append_unmarked_after(wall_us, &causes, payloads);
        if appended.is_ok() {
            life.wal.mark_own();
        } else {
            life.mesh.give_back_causes(&causes);
        }
        if self.struck(node)? {
            return Ok(true);
        }
        match appended {
            Ok(groups) => {
                self.oracle.appended(&self.nodes[node], &groups)?;
                self.took_effect(node, &groups);
                self.counts.appended += payloads.len() as u64;
                self.step(node, Input::Durable { groups })?;
            }
            Err(error) => {
                self.counts.refused += payloads.len() as u64;
                self.trace.line(self.now, format_args!("{} * append refused: {error}", name(node)))?;
            }
        }
        Ok(false)
    }

    /// What a node wrote has its effect in its own application.
    fn took_effect(&mut self, node: usize, groups: &[Group]) {
        for (log, entry) in groups.iter().flat_map(|group| group.entries().map(|entry| (group.log, entry))) {
            self.nodes[node].app.own_effect(log, entry.seq, &entry.payload);
        }
    }

    /// Appends without waiting for the disk; whether a crash has struck.
    fn accept(&mut self, node: usize, wall_us: u64, payloads: &[Bytes]) -> Result<bool, String> {
        let Some(life) = &mut self.nodes[node].life else { return Ok(true) };
        let causes = life.mesh.take_causes();
        let accepted = life.wal.append_buffered_after(wall_us, &causes, payloads);
        if accepted.is_err() {
            life.mesh.give_back_causes(&causes);
        }
        if self.struck(node)? {
            return Ok(true);
        }
        let count = payloads.len() as u64;
        *(if accepted.is_ok() { &mut self.counts.appended } else { &mut self.counts.refused }) += count;
        self.call_flush(node, limits::BUFFERED_SYNC_EVERY);
        Ok(false)
    }

    fn call_flush(&mut self, node: usize, pause: Duration) {
        let Some(life) = self.nodes[node].life.as_mut().filter(|life| !life.flush_called && life.wal.accepted_bytes() > 0) else { return };
        life.flush_called = true;
        let life = life.number;
        self.after(pause, What::Flush { node, life });
    }

    /// What a buffered node accepted is made durable; whether a crash has struck.
    pub(super) fn flush(&mut self, node: usize) -> Result<bool, String> {
        let Some(life) = &mut self.nodes[node].life else { return Ok(true) };
        life.flush_called = false;
        let flushed = life.wal.flush();
        if self.struck(node)? {
            return Ok(true);
        }
        match flushed {
            Ok(groups) if groups.is_empty() => {}
            Ok(groups) => {
                self.oracle.appended(&self.nodes[node], &groups)?;
                self.took_effect(node, &groups);
                self.step(node, Input::Durable { groups })?;
            }
            Err(_) => self.call_flush(node, limits::BUFFERED_RETRY_AFTER),
        }
        Ok(false)
    }

    fn store(&mut self, node: usize, stores: Vec<(LinkId, Group)>) -> Result<bool, String> {
        // Others' word about the own log is judged by all of it.
        let is_judged = |life: &Life| stores.iter().any(|(_, group)| group.log == life.wal.own());
        if self.nodes[node].life.as_ref().is_some_and(is_judged) && self.flush(node)? {
            return Ok(true);
        }
        if self.options.sabotage == Some(Sabotage::DurableBeforeWrite) {
            let groups: Vec<Group> = stores.iter().take(1).map(|(_, group)| group.clone()).collect();
            self.step(node, Input::Durable { groups })?;
        }
        let (links, groups): (Vec<LinkId>, Vec<Group>) = stores.into_iter().unzip();
        let Some(life) = &mut self.nodes[node].life else { return Ok(true) };
        let verdicts = life.wal.store(&groups);
        if self.struck(node)? {
            return Ok(true);
        }
        let mut durable: Vec<Group> = Vec::new();
        for ((link, group), verdict) in links.into_iter().zip(groups).zip(verdicts) {
            if verdict.is_err() || durable.last().is_some_and(|last| last.log != group.log) {
                self.tell_durable(node, &mut durable)?;
            }
            match verdict {
                Ok(Stored::Past) => durable.push(Group { bytes: Bytes::new(), ..group }),
                Ok(_) => durable.push(group),
                Err(error) => self.store_failed(node, link, group.log, &error)?,
            }
        }
        self.tell_durable(node, &mut durable)?;
        if let Node { life: Some(life), app, hurt: true, .. } = &mut self.nodes[node] {
            // What it wrote itself comes back to it.
            own_effects(app, &life.wal, name(node))?;
        }
        Ok(false)
    }

    fn tell_durable(&mut self, node: usize, groups: &mut Vec<Group>) -> Check {
        let groups = std::mem::take(groups);
        if groups.is_empty() { Ok(()) } else { self.step(node, Input::Durable { groups }) }
    }

    fn store_failed(&mut self, node: usize, link: LinkId, log: LogId, error: &StoreError) -> Check {
        if let (StoreError::Fork { seq }, true) = (error, self.oracle.is_forked(log)) {
            return self.step(node, Input::Forked { link, log, seq: *seq, detail: error.to_string() });
        }
        if let (StoreError::Diverged { .. }, true) = (error, self.oracle.is_forked(log)) {
            return self.step(node, Input::Diverged { link, log });
        }
        if matches!(error, StoreError::Rollback { .. }) && self.nodes[node].hurt {
            self.renew(node)?;
        } else if !matches!(error, StoreError::Disk(_) | StoreError::Gap { .. }) {
            return Err(format!("{} refuses an honest group of {log}: {error}", name(node)));
        }
        let durable = self.nodes[node].life.as_ref().map_or(0, |life| life.wal.durable(log));
        self.step(node, Input::StoreFailed { link, log, durable, reason: CloseReason::Lost(error.to_string()) })
    }

    /// The node was set back: it goes on in a new incarnation.
    pub(super) fn renew(&mut self, node: usize) -> Check {
        let fresh = Incarnation(self.rng.u64(..));
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        match life.wal.renew(fresh) {
            Ok(log) => {
                self.oracle.renewed(node, log);
                self.step(node, Input::Renewed { log })
            }
            // The disk refuses now; the next push of it brings it up again.
            Err(_) => Ok(()),
        }
    }

    /// The application takes its next few records.
    pub(super) fn apply_turn(&mut self, node: usize) -> Check {
        self.nodes[node].app.called = false;
        let request = match self.nodes[node].app.current.take() {
            Some(current) => Some(current),
            None => self.nodes[node].app.requests.pop_front(),
        };
        let Some(mut range) = request else { return Ok(()) };
        let Some(number) = self.nodes[node].life.as_ref().map(|life| life.number) else { return Ok(()) };
        if let Some(seq) = self.nodes[node].app.first_word(range.log).filter(|seq| *seq >= range.next) {
            range.next = seq + 1;
            // A log that waited for this has its turn after this one.
            self.nodes[node].app.called = true;
            self.step(node, Input::Applied { log: range.log, seq })?;
            self.nodes[node].app.called = false;
            if range.next > range.upto {
                self.call_app(node);
                return Ok(());
            }
            range.told = range.next;
        }
        let Some(life) = &self.nodes[node].life else { return Ok(()) };
        let end = range.upto.min(range.next + self.rng.u64(0..APPLY_MAX));
        let groups = read_to(life, range.log, range.next..=end, APPLY_MAX as usize * self.profile.payload_max)
            .map_err(|e| format!("{}: {e}", name(node)))?;
        let mut entries: Vec<Entry> =
            groups.iter().flat_map(Group::entries).filter(|entry| (range.next..=end).contains(&entry.seq)).collect();
        if entries.is_empty() {
            return Err(format!("{} is to apply {} from {} and cannot read it", name(node), range.log, range.next));
        }
        self.tamper(&mut entries, &mut range);
        for entry in entries {
            range.lacks = self.lacks(node, range.log, &entry);
            if !range.lacks.is_empty() {
                break;
            }
            if self.rng.u32(..1000) < self.nodes[node].app.refuses {
                range.refused = true;
                break;
            }
            if self.rng.u32(..1000) < self.nodes[node].app.poisons {
                range.poisoned = true;
                break;
            }
            self.oracle.applying(&self.nodes[node], range.log, entry.seq, &entry.payload)?;
            self.oracle.comes_after(&self.nodes[node], range.log, &entry)?;
            let repeat = self.nodes[node].app.apply(range.log, entry.seq, &entry.payload).map_err(|e| format!("{}: {e}", name(node)))?;
            self.counts.applied += 1;
            self.counts.repeated += u64::from(repeat);
            range.next = range.next.max(entry.seq + 1);
        }
        self.trace.line(self.now, format_args!("{} * applied {} up to {}", name(node), range.log, range.next - 1))?;
        self.nodes[node].app.current = Some(range);
        self.nodes[node].app.called = true;
        let pause = self.pause(0, 2_000);
        self.after(pause, What::Told { node, life: number });
        Ok(())
    }

    /// What a record has to wait for.
    fn lacks(&mut self, node: usize, log: LogId, entry: &Entry) -> Vec<Cause> {
        let Some(life) = &mut self.nodes[node].life else { return Vec::new() };
        let lacks = life.mesh.may_apply(log, entry.seq, &entry.causes).err().unwrap_or_default();
        if self.options.sabotage == Some(Sabotage::IgnoreCauses) {
            return Vec::new();
        }
        self.counts.waited += u64::from(!lacks.is_empty());
        lacks
    }

    /// Breaks the rule that is to be broken, every now and then.
    fn tamper(&mut self, entries: &mut Vec<Entry>, range: &mut Applying) {
        self.sabotage_turn += 1;
        if !self.sabotage_turn.is_multiple_of(8) {
            return;
        }
        match self.options.sabotage {
            Some(Sabotage::SkipApply) => {
                let skipped = entries.remove(0);
                range.next = skipped.seq + 1;
            }
            Some(Sabotage::SwapApply) if entries.len() > 1 => entries.swap(0, 1),
            Some(Sabotage::AlterPayload) => entries[0].payload = Bytes::from_static(b"altered"),
            _ => {}
        }
    }

    /// The application tells the node how far it came.
    pub(super) fn apply_told(&mut self, node: usize) -> Check {
        self.nodes[node].app.called = false;
        let Some(mut range) = self.nodes[node].app.current.take() else { return Ok(()) };
        let Applying { log, next, upto, told, refused, poisoned, .. } = range;
        let lacks = std::mem::take(&mut range.lacks);
        if next > told {
            if let Some(life) = &mut self.nodes[node].life {
                life.work.applied.push((log, next - 1));
            }
            self.call_log(node);
        }
        range.told = next;
        if !refused && !poisoned && lacks.is_empty() && next <= upto {
            self.nodes[node].app.current = Some(range);
        }
        if next > told {
            self.step(node, Input::Applied { log, seq: next - 1 })?;
        }
        if refused {
            self.step(node, Input::ApplyRefused { log, seq: next })?;
        }
        if poisoned {
            self.step(node, Input::ApplyPoisoned { log, seq: next })?;
        }
        if !lacks.is_empty() {
            self.step(node, Input::ApplyWaits { log, seq: next, causes: lacks })?;
        }
        self.call_app(node);
        Ok(())
    }
}

/// The groups of these records, so many bytes at a time, since the application takes few.
fn read_to(life: &Life, log: LogId, range: std::ops::RangeInclusive<u64>, bytes: usize) -> Result<Vec<Group>, WalError> {
    let mut groups: Vec<Group> = Vec::new();
    while let Some(from) = groups.last().map(|last| last.last + 1).or(Some(*range.start())).filter(|from| range.contains(from)) {
        match life.wal.read(log, from, bytes.max(4_096)) {
            Ok(more) if more.is_empty() => break,
            Ok(more) => groups.extend(more),
            Err(_) if !groups.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(groups)
}
