//! Taking a snapshot: what was offered, what is asked of whom, when the application is held off, when it is given up for now.
//!
//! ```text
//!  Idle ──offer──► Asking ──manifest──► Examining ──good, helps──► Parts ──none missing, application at rest──► Installing ──► Idle
//!   ▲                 │ none, silence       │ declined               │ no progress: the application goes on        │
//!   └─────────────────┴─────────────────────┴────────────────────────┴─────────────────────────────────────────────┘
//! ```
//!
//! Never believes an offer: a carrier proves the manifest and every part. From `Parts` on nothing is given to the application, so that
//! the snapshot goes on covering what it has applied.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::{CloseReason, LinkId, LogId, PeerId, Time, limits};
use crate::mesh::io::{Examined, Kept, Place, SnapshotOutput};
use crate::mesh::out::Outbox;
use crate::mesh::replica::local::Local;
use crate::mesh::replica::{Replica, offer};
use crate::wire::Message;
use crate::wire::message::{Decline, Part, SnapshotData, SnapshotDecline, SnapshotFetch, SnapshotId, SnapshotOffer};

/// A neighbour that offers a snapshot.
#[derive(Debug)]
struct Source {
    peer: PeerId,
    offer: SnapshotOffer,
    /// Its offer was declined, or it does not have it any more.
    refused: bool,
    /// It has not answered for long; it may yet.
    stalled: bool,
    /// Asked and not answered.
    asked: BTreeSet<(SnapshotId, Part)>,
    /// Came from it and is with the carrier.
    keeping: BTreeSet<Part>,
    /// When it was asked with nothing else open, or answered last.
    heard: Time,
}

impl Source {
    fn is_of_use(&self) -> bool {
        !self.refused && !self.stalled
    }

    fn has_room(&self) -> bool {
        self.asked.len() + self.keeping.len() < limits::SNAPSHOT_ASKED_MAX
    }

    fn ask(&mut self, now: Time, link: LinkId, part: Part, out: &mut Outbox) {
        if self.asked.is_empty() {
            self.heard = now;
        }
        if self.asked.insert((self.offer.id, part)) {
            out.send(link, Message::SnapshotFetch(SnapshotFetch { id: self.offer.id, part }));
        }
    }

    /// When it counts as stalled.
    fn due(&self) -> Option<Time> {
        (!self.asked.is_empty() && !self.stalled).then_some(self.heard + limits::SNAPSHOT_PATIENCE)
    }
}

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stage {
    #[default]
    Idle,
    Asking(LinkId),
    Examining(LinkId),
    Parts,
    Installing,
}

/// A snapshot being taken, if one is.
#[derive(Debug, Default)]
pub(super) struct Take {
    sources: BTreeMap<LinkId, Source>,
    stage: Stage,
    /// What is being taken.
    offer: Option<SnapshotOffer>,
    pub(super) places: BTreeMap<LogId, Place>,
    /// Whether the list of hashes is there.
    hashes: bool,
    missing: BTreeSet<u64>,
    /// The application is held off until then, longer with every progress.
    hold: Option<Time>,
    /// An offer is taken up again then.
    again: Option<Time>,
    /// Times it was given up in a row.
    vain: u32,
    /// Times in a row that the state could not be replaced.
    failed: u32,
    /// Who sent false parts.
    liars: BTreeSet<PeerId>,
}

impl Take {
    /// Whether nothing is to be given to the application.
    pub(super) fn is_holding(&self) -> bool {
        self.hold.is_some()
    }

    /// When `take_tick` is needed next.
    pub(super) fn deadline(&self) -> Option<Time> {
        let hold = self.hold.filter(|_| self.stage != Stage::Installing);
        let stalls = self.sources.values().filter_map(Source::due);
        stalls.chain(hold).chain(self.again).min()
    }

    /// A link is gone.
    pub(super) fn lose(&mut self, link: LinkId) {
        if self.stage == Stage::Asking(link) {
            self.stage = Stage::Idle;
        }
        if self.sources.remove(&link).is_some() {
            // Whoever else offers one is asked at the next tick.
            self.again = self.again.or(Some(Time::ZERO));
        }
    }

    fn patience(&self) -> Duration {
        limits::SNAPSHOT_PATIENCE.saturating_mul(1 << self.vain.min(16)).min(limits::SNAPSHOT_PATIENCE_MAX)
    }

    /// The pause after it was given up.
    fn rest(&self) -> Duration {
        let doubled = self.failed.saturating_sub(1).min(16);
        limits::SNAPSHOT_AGAIN.saturating_mul(1 << doubled).min(limits::SNAPSHOT_PATIENCE_MAX)
    }

    fn is_taking(&self, id: SnapshotId) -> bool {
        self.offer.as_ref().is_some_and(|offer| offer.id == id)
    }

    /// Whether a source offers the bytes that are being taken, under whatever name.
    fn is_same(&self, source: &Source) -> bool {
        self.offer.as_ref().is_some_and(|offer| (offer.root, offer.size) == (source.offer.root, source.offer.size))
    }

    /// Whether every part is on disk.
    fn is_whole(&self) -> bool {
        self.hashes && self.missing.is_empty()
    }

    /// Asks whoever can give it for what is missing.
    fn ask(&mut self, now: Time, out: &mut Outbox) {
        if self.stage != Stage::Parts {
            return;
        }
        let mut pending: BTreeSet<Part> = BTreeSet::new();
        for source in self.sources.values().filter(|source| self.is_same(source)) {
            // What a stalled one was asked for is asked of another.
            let asked = source.asked.iter().filter(|(id, _)| *id == source.offer.id && !source.stalled);
            pending.extend(asked.map(|(_, part)| *part).chain(source.keeping.iter().copied()));
        }
        let wanted: Vec<Part> = if self.hashes {
            let most = limits::SNAPSHOT_SOURCES_MAX * limits::SNAPSHOT_ASKED_MAX;
            self.missing.iter().map(|index| Part::Piece(*index)).filter(|part| !pending.contains(part)).take(most).collect()
        } else if pending.contains(&Part::Hashes) {
            Vec::new()
        } else {
            vec![Part::Hashes]
        };
        let root = self.offer.as_ref().map(|offer| (offer.root, offer.size));
        let of_use = |source: &Source| source.is_of_use() && Some((source.offer.root, source.offer.size)) == root;
        let mut sources: Vec<(LinkId, &mut Source)> =
            self.sources.iter_mut().filter(|(_, s)| of_use(s)).map(|(link, s)| (*link, s)).take(limits::SNAPSHOT_SOURCES_MAX).collect();
        // In turn, so that none has all the work.
        let mut wanted = wanted.into_iter().peekable();
        while wanted.peek().is_some() && sources.iter().any(|(_, source)| source.has_room()) {
            for (link, source) in sources.iter_mut().filter(|(_, source)| source.has_room()) {
                if let Some(part) = wanted.next_if(|part| !source.asked.contains(&(source.offer.id, *part))) {
                    source.ask(now, *link, part, out);
                } else if wanted.next().is_none() {
                    return;
                }
            }
        }
    }

    /// Asks for the manifest of an offer, if one is to be taken up.
    fn seek(&mut self, now: Time, out: &mut Outbox) {
        if self.again.is_some_and(|at| at > now) || self.stage == Stage::Installing {
            return;
        }
        let is_whole = self.stage == Stage::Parts && self.is_whole();
        let fed = self.stage == Stage::Parts && self.sources.values().any(|s| s.is_of_use() && self.is_same(s));
        if fed || is_whole {
            return self.ask(now, out);
        }
        if !matches!(self.stage, Stage::Idle | Stage::Parts) {
            return;
        }
        self.again = None;
        // What was being taken first: pieces of it are here.
        let mut such = self.sources.iter().filter(|(_, source)| source.is_of_use() && source.has_room());
        let link = such.clone().find(|(_, source)| self.is_same(source)).or_else(|| such.next()).map(|(link, _)| *link);
        let Some((link, source)) = link.and_then(|link| Some((link, self.sources.get_mut(&link)?))) else { return };
        self.stage = Stage::Asking(link);
        self.offer = Some(source.offer.clone());
        source.ask(now, link, Part::Manifest, out);
    }

    /// An offer is not for this node, whoever makes it; all are told.
    fn decline(&mut self, id: SnapshotId, why: Decline, out: &mut Outbox) {
        for (link, source) in self.sources.iter_mut().filter(|(_, source)| source.offer.id == id && !source.refused) {
            source.refused = true;
            out.send(*link, Message::SnapshotDecline(SnapshotDecline { id, why }));
        }
    }

    /// A peer sent what is not the snapshot's.
    fn blame(&mut self, link: LinkId, what: &str) -> Option<(LinkId, CloseReason)> {
        let source = self.sources.remove(&link)?;
        self.liars.insert(source.peer);
        if self.liars.len() > limits::SNAPSHOT_LIARS_MAX {
            self.liars.pop_first();
        }
        Some((link, CloseReason::Protocol(format!("{what} of snapshot {} is false", source.offer.id.short()))))
    }
}

impl Replica {
    /// A peer offers a snapshot: records this node lacks are not kept there any more.
    pub(in crate::mesh) fn offered(&mut self, now: Time, link: LinkId, offer: SnapshotOffer, out: &mut Outbox) -> Result<(), CloseReason> {
        if !self.is_open(link, "offer")? {
            return Ok(());
        }
        let Some(peer) = self.sessions.get(&link).map(|session| session.peer) else { return Ok(()) };
        if self.take.liars.contains(&peer) {
            return Ok(());
        }
        match self.take.sources.get_mut(&link) {
            // Its parts can be read there again.
            Some(source) if source.offer == offer => source.refused = false,
            Some(source) => {
                (source.offer, source.refused) = (offer, false);
                if self.take.stage == Stage::Asking(link) {
                    self.take.stage = Stage::Idle;
                }
            }
            None => {
                let (asked, keeping) = (BTreeSet::new(), BTreeSet::new());
                self.take.sources.insert(link, Source { peer, offer, refused: false, stalled: false, asked, keeping, heard: now });
            }
        }
        self.take.seek(now, out);
        Ok(())
    }

    /// A part of a snapshot, or that the peer does not have it any more.
    pub(in crate::mesh) fn part_came(&mut self, now: Time, link: LinkId, data: SnapshotData, out: &mut Outbox) -> Result<(), CloseReason> {
        if !self.is_open(link, "part of a snapshot")? {
            return Ok(());
        }
        let SnapshotData { id, part, bytes } = data;
        let take = &mut self.take;
        let Some(source) = take.sources.get_mut(&link).filter(|source| source.asked.contains(&(id, part))) else {
            return Err(CloseReason::Protocol("a part of a snapshot that was not asked for".into()));
        };
        source.asked.remove(&(id, part));
        (source.heard, source.stalled) = (now, false);
        let current = source.offer.id == id;
        match bytes {
            None => source.refused |= current,
            Some(manifest) if take.stage == Stage::Asking(link) && part == Part::Manifest && current => {
                if manifest.len() != source.offer.manifest as usize {
                    return Err(CloseReason::Protocol(format!(
                        "a manifest of {} bytes, offered were {}",
                        manifest.len(),
                        source.offer.manifest
                    )));
                }
                take.stage = Stage::Examining(link);
                let offer = source.offer.clone();
                out.snapshot(SnapshotOutput::Examine { link, offer, manifest });
            }
            Some(bytes) if take.stage == Stage::Parts && current => {
                let is_wanted = match part {
                    Part::Manifest => false,
                    Part::Hashes => !take.hashes,
                    Part::Piece(index) => take.hashes && take.missing.contains(&index),
                };
                let same = take.offer.as_ref().is_some_and(|o| (o.root, o.size) == (source.offer.root, source.offer.size));
                if let Some(offer) = take.offer.as_ref().filter(|_| is_wanted && same) {
                    source.keeping.insert(part);
                    out.snapshot(SnapshotOutput::Keep { link, id: offer.id, part, bytes });
                }
            }
            Some(_) => {}
        }
        if take.stage == Stage::Asking(link) && current && part == Part::Manifest {
            take.stage = Stage::Idle;
        }
        take.seek(now, out);
        Ok(())
    }

    /// A manifest was looked at.
    pub(super) fn examined(
        &mut self,
        now: Time,
        (link, id): (LinkId, SnapshotId),
        verdict: Examined,
        out: &mut Outbox,
    ) -> Option<(LinkId, CloseReason)> {
        if self.take.stage != Stage::Examining(link) || !self.take.is_taking(id) {
            return None;
        }
        self.take.stage = Stage::Idle;
        let mut blamed = None;
        match verdict {
            Examined::False => blamed = self.take.blame(link, "the manifest"),
            Examined::Failed => self.give_up(now, out),
            Examined::Unwelcome => self.take.decline(id, Decline::Unwelcome, out),
            Examined::Good { places, missing } => {
                let places: BTreeMap<LogId, Place> = places.into_iter().map(|place| (place.log, place)).collect();
                if !self.helps(&places) {
                    self.refuse_frozen(link, out);
                    self.take.decline(id, Decline::Unneeded, out);
                } else if self.is_apart(&places) {
                    // No waiting helps.
                    self.tell_apart(link, &places, out);
                    self.take.decline(id, Decline::Unneeded, out);
                } else {
                    // From here on the application stands still, also if that is not enough: a newer one will then be.
                    self.take.hold = Some(self.take.hold.unwrap_or(Time::ZERO).max(now + self.take.patience()));
                    if self.covers(&places) {
                        (self.take.stage, self.take.places) = (Stage::Parts, places);
                        (self.take.hashes, self.take.missing) = (missing.is_some(), missing.unwrap_or_default().into_iter().collect());
                    } else {
                        self.tell_apart(link, &places, out);
                        self.take.decline(id, Decline::Behind, out);
                    }
                }
            }
        }
        self.take.seek(now, out);
        blamed
    }

    /// A part was looked at and written down.
    pub(super) fn kept(
        &mut self,
        now: Time,
        (link, id): (LinkId, SnapshotId),
        part: Part,
        verdict: Kept,
        out: &mut Outbox,
    ) -> Option<(LinkId, CloseReason)> {
        if let Some(source) = self.take.sources.get_mut(&link) {
            source.keeping.remove(&part);
        }
        if self.take.stage != Stage::Parts || !self.take.is_taking(id) {
            return None;
        }
        let mut blamed = None;
        match verdict {
            Kept::False => blamed = self.take.blame(link, "a part"),
            // Not again at once.
            Kept::Failed => self.give_up(now, out),
            Kept::Hashes { missing } => (self.take.hashes, self.take.missing) = (true, missing.into_iter().collect()),
            Kept::Piece => {
                if let Part::Piece(index) = part {
                    self.take.missing.remove(&index);
                }
                self.take.vain = 0;
                self.take.hold = Some(now + self.take.patience());
            }
        }
        self.take.seek(now, out);
        blamed
    }

    /// Everything has come: the state is replaced as soon as the application has nothing under way.
    pub(super) fn install_if_whole(&mut self, out: &mut Outbox) {
        let is_due = self.take.stage == Stage::Parts && self.take.is_whole() && !self.logs.values().any(Local::is_running);
        let Some(id) = self.take.offer.as_ref().filter(|_| is_due).map(|offer| offer.id) else { return };
        if self.covers(&self.take.places) && !self.is_apart(&self.take.places) {
            self.take.stage = Stage::Installing;
            self.expect_state(true);
            out.snapshot(SnapshotOutput::Install { id });
        } else {
            // The application has told of more than it had been given.
            self.take.stage = Stage::Idle;
            self.take.decline(id, Decline::Behind, out);
        }
    }

    /// The application's state is a snapshot's: the logs go on behind its places.
    pub(super) fn installed(&mut self, now: Time, id: SnapshotId, places: &[Place], out: &mut Outbox) {
        if self.take.stage != Stage::Installing || !self.take.is_taking(id) {
            return;
        }
        let (mut moved, own) = (Vec::new(), self.own);
        for place in places.iter().filter(|place| place.log != own) {
            let local = self.logs.entry(place.log).or_insert_with(|| Local::new(0, 0));
            let before = local.durable;
            let credit = local.adopt(place.base, place.applied);
            if place.log.origin == self.own.origin {
                local.settle();
            }
            if local.durable > before {
                self.give.has_cut();
                moved.push((place.log, before));
            }
            self.news.insert(place.log);
            self.give_back(credit);
        }
        (self.take.stage, self.take.offer, self.take.vain, self.take.failed) = (Stage::Idle, None, 0, 0);
        for source in self.take.sources.values_mut().filter(|source| source.offer.id == id) {
            source.refused = true;
        }
        self.release(out);
        for (log, before) in moved {
            self.spread(now, log, before);
        }
        self.look_soon(now);
        self.take.seek(now, out);
    }

    /// It could not be replaced; the old one is as it was.
    pub(super) fn not_installed(&mut self, now: Time, id: SnapshotId, out: &mut Outbox) {
        if self.take.stage == Stage::Installing && self.take.is_taking(id) {
            self.take.failed = self.take.failed.saturating_add(1);
            self.expect_state(false);
            self.give_up(now, out);
        }
    }

    pub(super) fn take_tick(&mut self, now: Time, out: &mut Outbox) {
        for source in self.take.sources.values_mut().filter(|source| source.due().is_some_and(|at| at <= now)) {
            source.stalled = true;
        }
        if let Stage::Asking(link) = self.take.stage
            && self.take.sources.get(&link).is_none_or(|source| !source.is_of_use())
        {
            self.take.stage = Stage::Idle;
        }
        if self.take.stage != Stage::Installing && self.take.hold.is_some_and(|at| at <= now) {
            self.give_up(now, out);
        }
        if self.take.again.is_some_and(|at| at <= now) {
            self.take.again = None;
        }
        self.take.seek(now, out);
    }

    /// Nothing comes of it for now: the application goes on, the pieces stay on disk, and what is offered is taken up again later.
    fn give_up(&mut self, now: Time, out: &mut Outbox) {
        if matches!(self.take.stage, Stage::Parts | Stage::Installing) {
            self.take.stage = Stage::Idle;
        }
        self.take.vain = self.take.vain.saturating_add(1);
        self.take.again = Some(now + self.take.rest());
        self.release(out);
    }

    /// The application is given what has come meanwhile.
    fn release(&mut self, out: &mut Outbox) {
        self.take.hold = None;
        for (log, local) in &mut self.logs {
            offer(*log, local, false, out);
        }
    }

    /// Whether it brings records nearer that cannot be had.
    fn helps(&self, places: &BTreeMap<LogId, Place>) -> bool {
        let local = |log: &LogId| self.logs.get(log);
        let lacks = |place: &Place| local(&place.log).is_none_or(|local| local.frozen.is_none() && local.durable < place.base);
        places.values().any(|place| place.log != self.own && place.base > 0 && lacks(place))
    }

    /// Whether all that the application has applied, or may be applying, is in it. What this node wrote itself the application has from
    /// the log.
    fn covers(&self, places: &BTreeMap<LogId, Place>) -> bool {
        let applied = |log: &LogId| places.get(log).map_or(0, |place| place.applied);
        self.logs.iter().all(|(log, local)| log.origin == self.own.origin || local.reaches() <= applied(log))
    }

    /// Whoever offers records of a log that is frozen here is told that none are taken.
    fn refuse_frozen(&mut self, link: LinkId, out: &mut Outbox) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        for (log, _) in self.logs.iter().filter(|(_, local)| local.frozen.is_some()) {
            session.refuse(*log, out);
        }
    }
}
