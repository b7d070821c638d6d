//! Snapshots for peers that come after the records were let go: who needs one, which is offered, when one is made, its parts.
//!
//! Never pushes and never takes. A peer that needs records which are not kept here is offered the newest snapshot that would carry it
//! past them, also one that lacks what the peer has applied: then it stops applying, declines, and a newer one is made.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::{CloseReason, LinkId, LogId, Time, limits};
use crate::mesh::io::{Place, SnapshotInput, SnapshotOutput};
use crate::mesh::out::Outbox;
use crate::mesh::replica::Replica;
use crate::mesh::replica::session::Session;
use crate::wire::Message;
use crate::wire::message::{Decline, Part, SnapshotData, SnapshotDecline, SnapshotFetch, SnapshotId, SnapshotOffer};

/// A snapshot that lies here.
#[derive(Debug)]
struct Held {
    offer: SnapshotOffer,
    places: BTreeMap<LogId, Place>,
}

impl Held {
    /// Whether it carries the peer past everything that it lacks and this node does not keep.
    fn reaches(&self, session: &Session, bases: &[(LogId, u64)]) -> bool {
        let reaches = |(log, base): &(LogId, u64)| self.places.get(log).is_some_and(|place| place.base >= *base);
        bases.iter().filter(|(log, base)| session.is_below(log, *base)).all(reaches)
    }

    /// Whether all that the peer says it has applied is in it. Of its own logs it needs no effect from others.
    fn covers(&self, session: &Session) -> bool {
        let applied = |log: &LogId| self.places.get(log).map_or(0, |place| place.applied);
        session.followers().all(|(log, follower)| log.origin == session.peer || follower.applied <= applied(log))
    }
}

/// What a node has to offer.
#[derive(Debug, Default)]
pub(super) struct Give {
    /// Oldest first.
    held: Vec<Held>,
    making: bool,
    /// None is made before.
    make_after: Option<Time>,
    /// Those made in a row that came too late for whom they were made.
    late: u32,
    /// The last one made for a peer, until one says that it came too late.
    fresh: Option<SnapshotId>,
    /// Attempts in a row that came to nothing.
    failed: u32,
    look_at: Option<Time>,
    /// Whether the beginning of any log is not kept here.
    cut: bool,
    /// Whether a peer needed such records when it was looked at last.
    short: bool,
}

impl Give {
    /// Of a node that keeps its logs from these records on.
    pub(super) fn new(mut bases: impl Iterator<Item = u64>) -> Give {
        Give { cut: bases.any(|base| base > 0), ..Give::default() }
    }

    /// A log begins behind a place now.
    pub(super) fn has_cut(&mut self) {
        self.cut = true;
    }

    /// When `give_tick` is needed next.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.look_at
    }

    fn pause(&self) -> Duration {
        let doubled = self.late.max(self.failed.saturating_sub(1)).min(16);
        limits::SNAPSHOT_MAKE_EVERY.saturating_mul(1 << doubled).min(limits::SNAPSHOT_PATIENCE_MAX)
    }
}

impl Replica {
    /// What a carrier tells of snapshots. The link to close and why, if its peer is to blame for something.
    pub(in crate::mesh) fn snapshot(&mut self, now: Time, told: SnapshotInput, out: &mut Outbox) -> Option<(LinkId, CloseReason)> {
        match told {
            SnapshotInput::Truncated { log, base } => self.truncated(now, log, base),
            SnapshotInput::Held { offer, places } => self.held(now, offer, places),
            SnapshotInput::Gone { id } => {
                self.give.held.retain(|held| held.offer.id != id);
                for session in self.sessions.values_mut() {
                    session.offered.take_if(|offered| *offered == id);
                }
                self.look_soon(now);
            }
            SnapshotInput::NotMade => {
                (self.give.making, self.give.failed) = (false, self.give.failed.saturating_add(1));
                // From the end: what fails may take long.
                self.give.make_after = Some(now + self.give.pause());
            }
            SnapshotInput::ReadDone { link, id, part, bytes } => self.part_read(now, link, SnapshotData { id, part, bytes }, out),
            SnapshotInput::Examined { link, id, verdict } => return self.examined(now, (link, id), verdict, out),
            SnapshotInput::Kept { link, id, part, verdict } => return self.kept(now, (link, id), part, verdict, out),
            SnapshotInput::Installed { id, places } => self.installed(now, id, &places, out),
            SnapshotInput::NotInstalled { id } => self.not_installed(now, id, out),
        }
        None
    }

    /// The beginning of a log is gone: nothing of it is read for peers that lie before.
    fn truncated(&mut self, now: Time, log: LogId, base: u64) {
        let Some(local) = self.logs.get_mut(&log) else { return };
        local.base = local.base.max(base.min(local.durable));
        self.give.cut |= local.base > 0;
        let (durable, base) = (local.durable, local.base);
        for session in self.sessions.values_mut() {
            session.unwilling = false;
            session.queue(log, durable, base);
        }
        self.look_soon(now);
    }

    /// A part goes to the peer, or word that it cannot be read. Then the peer does not ask here for more, until the snapshot is offered
    /// again after a pause; one that goes on failing is offered no more, and another one made.
    fn part_read(&mut self, now: Time, link: LinkId, data: SnapshotData, out: &mut Outbox) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        session.serving = session.serving.saturating_sub(1);
        if data.bytes.is_none() && session.offered == Some(data.id) {
            session.offered = None;
            session.offer_after = Some(now + limits::SNAPSHOT_AGAIN.saturating_mul(1 << session.unread));
            session.unread += 1;
            if session.unread >= limits::SNAPSHOT_UNREAD_MAX {
                session.unread = 0;
                session.declined.insert(data.id);
            }
        }
        out.send(link, Message::SnapshotData(data));
        self.look_soon(now);
    }

    fn held(&mut self, now: Time, offer: SnapshotOffer, places: Vec<Place>) {
        let was_making = std::mem::take(&mut self.give.making);
        if offer.maker == self.own.origin {
            self.give.failed = 0;
            self.give.fresh = was_making.then_some(offer.id);
        }
        self.give.held.retain(|held| held.offer.id != offer.id);
        if self.give.held.len() >= limits::SNAPSHOTS_HELD_MAX {
            self.give.held.remove(0);
        }
        self.give.held.push(Held { offer, places: places.into_iter().map(|place| (place.log, place)).collect() });
        self.look_soon(now);
    }

    /// A peer has come further: that is news only where one is waited for, since no ack has a peer need what it did not.
    pub(super) fn look_after_ack(&mut self, now: Time) {
        if self.give.short {
            self.look_soon(now);
        }
    }

    /// Has it looked at soon whether a peer needs a snapshot. At once would be for each of many acks.
    pub(super) fn look_soon(&mut self, now: Time) {
        if self.give.cut {
            let soon = now + limits::SPREAD_DELAY;
            self.give.look_at = Some(self.give.look_at.map_or(soon, |at| at.min(soon)));
        }
    }

    pub(super) fn give_tick(&mut self, now: Time, out: &mut Outbox) {
        if self.give.look_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        let bases: Vec<(LogId, u64)> = self.logs.iter().map(|(log, local)| (*log, local.base)).filter(|(_, base)| *base > 0).collect();
        let (mut waits, mut short, mut can_make, mut later) = (false, false, false, None);
        for session in self.sessions.values_mut().filter(|s| s.complete) {
            if !bases.iter().any(|(log, base)| session.is_below(log, *base)) {
                continue;
            }
            short = true;
            let such =
                || self.give.held.iter().rev().filter(|held| !session.declined.contains(&held.offer.id) && held.reaches(session, &bases));
            // One that it was offered and may be taking stays the one.
            let stays = such().find(|held| session.offered == Some(held.offer.id));
            match stays.or_else(|| such().find(|held| held.covers(session))).or_else(|| such().next()) {
                Some(held) if session.offered == Some(held.offer.id) => {}
                Some(_) if session.offer_after.is_some_and(|at| at > now) => later = later.into_iter().chain(session.offer_after).min(),
                Some(held) => {
                    session.offered = Some(held.offer.id);
                    out.send(session.link, Message::SnapshotOffer(held.offer.clone()));
                }
                None if session.unwilling => {}
                None => {
                    waits = true;
                    let applied = |log: &LogId| self.logs.get(log).map_or(0, super::Local::applied);
                    can_make |= session.followers().all(|(log, f)| log.origin == session.peer || f.applied <= applied(log));
                }
            }
        }
        self.give.short = short;
        if !short {
            self.give.late = 0;
        }
        self.give.look_at = later.into_iter().chain(waits.then(|| now + limits::SNAPSHOT_LOOK_EVERY)).min();
        if can_make && !self.give.making && self.give.make_after.is_none_or(|at| at <= now) {
            self.give.making = true;
            self.give.make_after = Some(now + self.give.pause());
            out.snapshot(SnapshotOutput::Make);
        }
    }

    /// A peer does not take what it was offered.
    pub(in crate::mesh) fn declined(&mut self, now: Time, link: LinkId, no: SnapshotDecline) -> Result<(), CloseReason> {
        if !self.is_open(link, "decline")? {
            return Ok(());
        }
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(()) };
        if session.offered != Some(no.id) || !session.declined.insert(no.id) {
            return Ok(());
        }
        session.declined.retain(|id| *id == no.id || self.give.held.iter().any(|held| held.offer.id == *id));
        let maker = self.give.held.iter().find(|held| held.offer.id == no.id).map(|held| held.offer.maker);
        match no.why {
            // Once for each that was made: neither those that lay here before nor a second peer is a reason to make the next one later.
            Decline::Behind => self.give.late += u32::from(self.give.fresh.take_if(|id| *id == no.id).is_some()),
            Decline::Unneeded => session.unwilling = true,
            Decline::Unwelcome => session.unwilling |= maker == Some(self.own.origin),
        }
        self.look_soon(now);
        Ok(())
    }

    /// A peer asks for a part.
    pub(in crate::mesh) fn fetched(&mut self, link: LinkId, fetch: SnapshotFetch, out: &mut Outbox) -> Result<(), CloseReason> {
        if !self.is_open(link, "fetch")? {
            return Ok(());
        }
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(()) };
        if session.serving >= limits::SNAPSHOT_ASKED_MAX {
            let max = limits::SNAPSHOT_ASKED_MAX;
            return Err(CloseReason::Protocol(format!("more than {max} parts of snapshots asked for at once")));
        }
        let SnapshotFetch { id, part } = fetch;
        if self.give.has(&id, part) {
            session.serving += 1;
            out.snapshot(SnapshotOutput::Read { link, id, part });
        } else {
            out.send(link, Message::SnapshotData(SnapshotData { id, part, bytes: None }));
        }
        Ok(())
    }
}

impl Give {
    fn has(&self, id: &SnapshotId, part: Part) -> bool {
        let pieces = |size: u64| size.div_ceil(limits::SNAPSHOT_PIECE_BYTES as u64).max(1);
        let held = self.held.iter().find(|held| held.offer.id == *id);
        held.is_some_and(|held| if let Part::Piece(index) = part { index < pieces(held.offer.size) } else { true })
    }
}
