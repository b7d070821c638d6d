//! Whether two nodes have one history of a log: whoever has no more of it than the other shows its last seal, the other one compares.
//!
//! ```text
//!  vectors out, or the log has moved by others ──► known here? ──no──► LastSeals ──► read ──┐
//!                                                      └──yes──────────────────────────► WalSeal ──► peer
//!  peer ──WalSeal──► the last seal here? ──no──► Compare ──► fits, differs (then this node's seal goes back), unknown, false
//! ```
//!
//! Never judges a seal itself: a carrier reads and proves. What a peer says it has of a log that this node wrote counts only as far as
//! its seals fitted here or it took what was pushed to it: the same numbers may be other records once a node was set back.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{CloseReason, Event, LinkId, LogId, Time, limits};
use crate::mesh::io::{Compared, SealRecord};
use crate::mesh::out::Outbox;
use crate::mesh::replica::local::Local;
use crate::mesh::replica::session::{Follower, Session};
use crate::mesh::replica::{LogAcked, Replica};
use crate::wire::Message;
use crate::wire::message::WalSeal;

/// What is known of one log at the other end of a link being the one that is here.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// The peer's seals fitted up to here.
    fits: u64,
    /// It has taken what was pushed to it, up to here.
    pub(super) given: u64,
    /// The furthest record that was pushed to it, also if it said since that it could not use that.
    pub(super) pushed: u64,
    /// What it pushed is durable here, up to here.
    taken: u64,
    /// Where the last seal ended that it was shown.
    sent: u64,
    /// Where the furthest seal ended that it showed.
    seen: u64,
    /// Seals that it was shown and may yet answer.
    unanswered: u32,
    /// One of its seals that differs was answered: it knows then, and an answer is not answered again and again.
    answered: bool,
    /// One of its seals is being compared.
    judging: bool,
    /// A seal of a log this node wrote that lies beyond what is here: compared when that has come back.
    beyond: Option<Box<SealRecord>>,
    /// A seal that could not be compared, when it is compared again, and how often that was so in a row.
    failed: Option<(Time, Box<SealRecord>)>,
    failures: u32,
    /// It is looked at again later whether it is to be shown another.
    due: bool,
    /// How much of it the application was told that counts.
    told: (u64, u64),
}

impl Proof {
    /// Of two seals of a log that stands at `durable` here the one to compare: the furthest that is not beyond the end. One beyond is kept.
    fn choose(&mut self, durable: u64, one: SealRecord, other: SealRecord) -> SealRecord {
        let (less, more) = if one.last() <= other.last() { (one, other) } else { (other, one) };
        if more.last() > durable && less.last() <= durable {
            self.beyond = Some(Box::new(more));
            return less;
        }
        more
    }

    /// The peer has the log to `durable`. What was pushed to it up to there it has taken, also what it had asked for once more meanwhile:
    /// what came from elsewhere and is no more than this node has, it shows before it acknowledges it. One that has more than was pushed may
    /// have had that before a push came, which it then passes over.
    pub(super) fn acked(&mut self, durable: u64) {
        if durable <= self.pushed {
            self.given = self.given.max(durable);
        }
    }

    /// Whether a seal of it was shown and nobody knows yet whether it fits.
    fn is_open(&self) -> bool {
        self.judging || self.beyond.is_some() || self.failed.is_some()
    }
}

/// The seals of a link's peer that wait to be compared: one at a time, of each log the latest.
#[derive(Debug, Default)]
pub(super) struct Judging {
    at: Option<LogId>,
    waiting: BTreeMap<LogId, SealRecord>,
}

impl Judging {
    /// Has a seal of a log wait, in the place of one that is not as far.
    fn add(&mut self, log: LogId, seal: SealRecord) {
        let waiting = self.waiting.entry(log).or_insert(seal);
        if waiting.last() < seal.last() {
            *waiting = seal;
        }
    }
}

/// What a node does about last seals.
#[derive(Debug, Default)]
pub(super) struct Seals {
    /// To be read for peers.
    wanted: BTreeSet<LogId>,
    reading: BTreeSet<LogId>,
    /// Acks to whoever wrote the log, which follow its seal.
    held: BTreeSet<(LinkId, LogId)>,
    /// When it is looked at again whether a peer is to be shown one.
    due: BTreeSet<(Time, LinkId, LogId)>,
}

impl Seals {
    /// When `seals_tick` is needed next.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.due.first().map(|(at, ..)| *at)
    }

    /// Has the next ones read.
    fn read(&mut self, out: &mut Outbox) {
        if !self.reading.is_empty() || self.wanted.is_empty() {
            return;
        }
        let mut logs = std::mem::take(&mut self.wanted);
        if let Some(rest) = logs.iter().nth(limits::SEALS_READ_AT_ONCE).copied() {
            self.wanted = logs.split_off(&rest);
        }
        self.reading.clone_from(&logs);
        out.last_seals(logs.into_iter().collect());
    }

    /// Whether an ack of a log is kept back: the session's peer wrote it, and is shown first which records that is for.
    pub(super) fn hold(&mut self, session: &Session, log: LogId, local: &Local) -> bool {
        let holds = log.origin == session.peer
            && (self.wanted.contains(&log) || self.reading.contains(&log))
            && session.known(&log).is_some_and(|follower| follower.owes(local.durable, true));
        if holds {
            self.held.insert((session.link, log));
        }
        holds
    }
}

impl Follower {
    /// How far the peer has a log that this node wrote, as far as that counts.
    pub(super) fn counted(&self) -> Option<(u64, u64)> {
        let Proof { fits, given, taken, .. } = self.proof;
        let same = fits.max(taken).max(if self.proof.is_open() { 0 } else { given });
        let counts = !self.disowned && (same > 0 || self.durable == 0);
        counts.then(|| (self.durable.min(same), self.applied.min(same)))
    }

    /// Whether the peer is to be shown the last seal of a log that stands at `durable` here. It need not be if it has less (it shows its
    /// own), or if it is known to have the same; but whoever wrote the log has to know who has it.
    fn owes(&self, durable: u64, wrote_it: bool) -> bool {
        let Proof { fits, given, taken, sent, pushed, .. } = self.proof;
        // One that has more than it was pushed may have had what it was pushed from elsewhere as well.
        let given = if self.durable > pushed { 0 } else { given };
        let settled = if wrote_it { taken } else { fits.max(given).max(taken) };
        durable > sent.max(settled) && (wrote_it || self.durable >= durable)
    }
}

impl Session {
    /// Shows the peer the seal that a log ends with here. It is told first that the log goes so far.
    fn show(&mut self, log: LogId, local: &Local, seal: &SealRecord, out: &mut Outbox) {
        if log.origin != self.peer {
            self.tell(log, local.durable, local.applied(), false, out);
        }
        let Some(follower) = self.follower(log, true) else { return };
        follower.proof.sent = follower.proof.sent.max(seal.last());
        follower.proof.unanswered = follower.proof.unanswered.saturating_add(1);
        out.send(self.link, Message::WalSeal(WalSeal { log, seal: *seal.bytes() }));
    }

    /// Has the next of the peer's seals compared, if none is.
    fn judge(&mut self, out: &mut Outbox) {
        if self.judging.at.is_none()
            && let Some((log, seal)) = self.judging.waiting.pop_first()
        {
            self.judging.at = Some(log);
            out.compare(self.link, log, seal);
        }
    }
}

impl Replica {
    /// What a connected peer has confirmed, as far as it counts.
    pub(super) fn acked(&self, session: &Session, log: &LogId) -> Option<LogAcked> {
        let follower = session.known(log)?;
        let wrote_it = log.origin == self.own.origin;
        let (durable, applied) = if wrote_it { follower.counted()? } else { (follower.durable, follower.applied) };
        Some(LogAcked { peer: session.peer, durable, applied })
    }

    /// Tells the application how far a peer has a log that this node wrote, if more of it counts than it was told.
    pub(super) fn tell_counted(&mut self, link: LinkId, log: LogId, out: &mut Outbox) {
        let Some(session) = self.sessions.get_mut(&link).filter(|_| self.logs.contains_key(&log)) else { return };
        let peer = session.peer;
        let Some(follower) = session.follower(log, true) else { return };
        let (durable, applied) = follower.counted().unwrap_or_default();
        let told = &mut follower.proof.told;
        if durable > told.0 || applied > told.1 {
            *told = (durable, applied);
            out.event(Event::Acked { peer, log, durable, applied });
        }
    }

    /// Both vectors are out: what is to be compared is.
    pub(super) fn compare_all(&mut self, now: Time, link: LinkId, out: &mut Outbox) {
        for log in self.logs.keys().copied().collect::<Vec<_>>() {
            self.show_last(now, link, log, out);
        }
        self.seals.read(out);
    }

    /// The same of what has moved.
    pub(super) fn compare_news(&mut self, now: Time, out: &mut Outbox) {
        let links: Vec<LinkId> = if self.news.is_empty() { Vec::new() } else { self.sessions.keys().copied().collect() };
        for log in self.news.iter().copied().collect::<Vec<_>>() {
            links.iter().for_each(|link| self.show_last(now, *link, log, out));
        }
        self.seals.read(out);
    }

    /// A peer says that it has more of a log.
    pub(super) fn compare(&mut self, now: Time, link: LinkId, log: LogId, out: &mut Outbox) {
        self.show_last(now, link, log, out);
        self.seals.read(out);
    }

    /// Shows a peer the last seal of a log if it is to see that, at once, when it has been read, or after a pause.
    fn show_last(&mut self, now: Time, link: LinkId, log: LogId, out: &mut Outbox) {
        let Some(session) = self.sessions.get_mut(&link).filter(|session| session.complete) else { return };
        let Some(local) = self.logs.get(&log).filter(|local| local.durable > 0) else { return };
        let wrote_it = log.origin == session.peer;
        if wrote_it && session.home != Some(log) && session.known(&log).is_none_or(|f| f.durable == 0) {
            // A log that its writer has forgotten.
            return;
        }
        let Some(follower) = session.follower(log, true) else { return };
        let owes = follower.owes(local.durable, wrote_it);
        let (sent, beyond) = (follower.proof.sent, follower.proof.beyond.take_if(|seal| seal.last() <= local.durable));
        if let Some(seal) = beyond {
            follower.proof.judging = true;
            session.judging.add(log, *seal);
            session.judge(out);
        }
        if !owes {
            return;
        }
        if sent > 0 && !wrote_it {
            let Some(follower) = session.follower(log, true) else { return };
            if !std::mem::replace(&mut follower.proof.due, true) {
                self.seals.due.insert((now + limits::SEAL_AGAIN, link, log));
            }
            return;
        }
        match local.ending() {
            Some(seal) => session.show(log, local, &seal, out),
            None => drop(self.seals.wanted.insert(log)),
        }
    }

    /// Seals that were wanted; of a log that cannot be read none, and it is looked at again.
    pub(in crate::mesh) fn seals_read(&mut self, now: Time, seals: &[(LogId, Option<SealRecord>)], out: &mut Outbox) {
        self.seals.reading.clear();
        for (log, seal) in seals {
            if seal.is_none() {
                self.seals.wanted.remove(log);
                self.show_later(now, *log);
            }
            let Some(local) = self.logs.get_mut(log) else { continue };
            if let Some(seal) = seal.filter(|seal| seal.last() >= local.durable) {
                local.last_seal = Some(seal);
            }
            let Some(seal) = local.ending() else { continue };
            self.seals.wanted.remove(log);
            for session in self.sessions.values_mut().filter(|session| session.complete) {
                let wrote_it = log.origin == session.peer;
                if session.known(log).is_some_and(|follower| follower.owes(local.durable, wrote_it)) {
                    session.show(*log, local, &seal, out);
                }
            }
        }
        // Also where none can be read: the ack says only what it says.
        self.awaited.append(&mut self.seals.held);
        self.seals.read(out);
    }

    /// Whoever is to see the last seal of a log that cannot be read now is shown it when it can be.
    fn show_later(&mut self, now: Time, log: LogId) {
        let Some(durable) = self.logs.get(&log).map(|local| local.durable) else { return };
        for (link, session) in self.sessions.iter_mut().filter(|(_, session)| session.complete) {
            let wrote_it = log.origin == session.peer;
            let Some(follower) = session.follower(log, true).filter(|follower| follower.owes(durable, wrote_it)) else { continue };
            if !std::mem::replace(&mut follower.proof.due, true) {
                let pause = limits::SEAL_AGAIN * (1 << follower.proof.failures.min(limits::SEAL_AGAIN_DOUBLES));
                follower.proof.failures = follower.proof.failures.saturating_add(1);
                self.seals.due.insert((now + pause, *link, log));
            }
        }
    }

    /// Does what had to wait.
    pub(super) fn seals_tick(&mut self, now: Time, out: &mut Outbox) {
        while let Some((at, link, log)) = self.seals.due.first().copied().filter(|(at, ..)| *at <= now) {
            self.seals.due.remove(&(at, link, log));
            let (Some(session), Some(local)) = (self.sessions.get_mut(&link), self.logs.get(&log)) else { continue };
            let wrote_it = log.origin == session.peer;
            let Some(follower) = session.follower(log, true) else { continue };
            follower.proof.due = false;
            let again = follower.proof.failed.take_if(|(at, _)| *at <= now);
            follower.proof.judging |= again.is_some();
            if follower.owes(local.durable, wrote_it) {
                match local.ending() {
                    Some(seal) => session.show(log, local, &seal, out),
                    None => drop(self.seals.wanted.insert(log)),
                }
            }
            if let Some((_, seal)) = again {
                let waiting = session.judging.waiting.remove(&log);
                let Some(follower) = session.follower(log, true) else { continue };
                let next = waiting.map_or(*seal, |waiting| follower.proof.choose(local.durable, *seal, waiting));
                session.judging.add(log, next);
                session.judge(out);
            }
        }
        self.seals.read(out);
    }

    /// Groups a peer pushed are durable behind what is here, so that all before them is the same there.
    pub(super) fn has_taken(&mut self, link: LinkId, log: LogId, last: u64) {
        if let Some(follower) = self.sessions.get_mut(&link).and_then(|session| session.follower(log, true)) {
            follower.proof.taken = follower.proof.taken.max(last);
        }
    }

    /// A peer shows where its copy of a log ends.
    pub(in crate::mesh) fn sealed(&mut self, link: LinkId, shown: &WalSeal, out: &mut Outbox) -> Result<(), CloseReason> {
        if !self.is_open(link, "seal")? {
            return Ok(());
        }
        let broken = |rule: String| Err(CloseReason::Protocol(rule));
        let log = shown.log;
        let seal = match SealRecord::read(&shown.seal) {
            Ok(seal) => seal,
            Err(why) => return broken(format!("a seal of {log}: {why}")),
        };
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(()) };
        let wrote_it = log.origin == self.own.origin;
        let Some(local) = self.logs.get(&log) else {
            // This node may have been set back to before it began that log.
            return if wrote_it { Ok(()) } else { broken(format!("a seal of {log}, which this node has not told of")) };
        };
        let Some(follower) = session.follower(log, true) else { return Ok(()) };
        let has = follower.durable.max(follower.pushed);
        if seal.last() > has && !wrote_it {
            return broken(format!("a seal of {log} at record {}, the sender has told of {has}", seal.last()));
        }
        if seal.last() <= follower.proof.seen {
            // An answer to one that differs there: what stands at its place.
            let Some(left) = follower.proof.unanswered.checked_sub(1) else {
                return broken(format!("a seal of {log} at record {} after one at {}", seal.last(), follower.proof.seen));
            };
            follower.proof.unanswered = left;
        }
        follower.proof.seen = follower.proof.seen.max(seal.last());
        follower.proof.failed.take_if(|(_, failed)| failed.last() <= seal.last());
        if local.ending() == Some(seal) {
            self.fits(link, log, seal.last(), out);
        } else {
            follower.proof.judging = true;
            session.judging.waiting.insert(log, seal);
            session.judge(out);
        }
        Ok(())
    }

    /// A peer pushed what has come from elsewhere: the seal at its end says whether the two are the same, if nothing has said so before.
    pub(super) fn passed_over(&mut self, link: LinkId, log: LogId, seal: SealRecord, out: &mut Outbox) {
        let (Some(session), Some(local)) = (self.sessions.get_mut(&link), self.logs.get(&log)) else { return };
        let Some(follower) = session.follower(log, true) else { return };
        let Proof { fits, taken, .. } = follower.proof;
        if seal.last() <= fits.max(taken) || seal.last() < local.base {
            return;
        }
        if local.ending() == Some(seal) {
            follower.proof.failed.take_if(|(_, failed)| failed.last() <= seal.last());
            self.fits(link, log, seal.last(), out);
        } else if let Some((at, failed)) = follower.proof.failed.take() {
            // What cannot be read here is not asked for faster because more of it comes.
            let next = follower.proof.choose(local.durable, *failed, seal);
            follower.proof.failed = Some((at, Box::new(next)));
        } else {
            follower.proof.judging = true;
            session.judging.add(log, seal);
            session.judge(out);
        }
    }

    fn fits(&mut self, link: LinkId, log: LogId, last: u64, out: &mut Outbox) {
        let Some(follower) = self.sessions.get_mut(&link).and_then(|session| session.follower(log, true)) else { return };
        follower.proof.fits = follower.proof.fits.max(last);
        if log == self.own {
            self.tell_counted(link, log, out);
        }
    }

    /// A seal was compared. The reason to close the link with, if its sender is to blame.
    pub(in crate::mesh) fn compared(
        &mut self,
        now: Time,
        (link, log): (LinkId, LogId),
        seal: &SealRecord,
        verdict: Compared,
        out: &mut Outbox,
    ) -> Option<CloseReason> {
        let session = self.sessions.get_mut(&link)?;
        session.judging.at.take_if(|at| *at == log);
        // What came meanwhile would fare no better than one that could not be compared.
        let next = if matches!(verdict, Compared::Failed(_)) { session.judging.waiting.remove(&log) } else { None };
        let waits = session.judging.waiting.contains_key(&log);
        session.judge(out);
        let (peer, wrote_it) = (session.peer, log.origin == self.own.origin);
        let durable = self.logs.get(&log).map(|local| local.durable);
        let is_beyond = wrote_it && durable.is_some_and(|durable| durable < seal.last());
        let follower = session.follower(log, true)?;
        follower.proof.judging = waits;
        if !matches!(verdict, Compared::Failed(_)) {
            follower.proof.failures = 0;
        }
        if is_beyond && matches!(verdict, Compared::Differs { .. } | Compared::Unknown) {
            // That there is more of it was told from its number alone: what comes back may be another history than the peer's.
            follower.proof.beyond = Some(Box::new(*seal));
        }
        match verdict {
            Compared::Fits => {
                let local = self.logs.get_mut(&log).filter(|local| local.durable == seal.last());
                local.into_iter().for_each(|local| local.last_seal = Some(*seal));
                self.fits(link, log, seal.last(), out);
            }
            Compared::False(why) => {
                self.close(link);
                return Some(CloseReason::Protocol(format!("a seal of {log} at record {}: {why}", seal.last())));
            }
            Compared::Differs { ours, .. } => {
                let is_new = wrote_it && !std::mem::replace(&mut follower.disowned, true);
                if is_new && follower.durable > 0 {
                    let detail = format!(
                        "peer {} has other records of this node's log {log} than are here, up to its record {}: the data directory was \
                         rolled back or restored; its acknowledgements of that log are not counted",
                        peer.short(),
                        seal.last()
                    );
                    out.event(Event::LogDamaged { detail });
                }
                let Proof { sent, seen, answered, .. } = follower.proof;
                // Back behind what it was shown only to a peer that has shown something: another one takes that for a broken rule.
                let ours = ours.filter(|ours| !answered && (ours.last() > sent || (seen > 0 && ours.last() != sent)));
                if let (Some(ours), Some(local)) = (ours, self.logs.get(&log)) {
                    // So that the peer sees it as well.
                    follower.proof.answered = true;
                    session.show(log, local, &ours, out);
                }
            }
            Compared::Unknown => {
                // It may never come back, since what is here is another history: the peer is to see where that ends by now.
                self.compare(now, link, log, out);
            }
            // Until then nothing is known, and the peer shows no other one unless the log moves.
            Compared::Failed(_) => {
                let at = now + limits::SEAL_AGAIN * (1 << follower.proof.failures.min(limits::SEAL_AGAIN_DOUBLES));
                follower.proof.failures = follower.proof.failures.saturating_add(1);
                let next = next.map_or(*seal, |next| follower.proof.choose(durable.unwrap_or(0), next, *seal));
                follower.proof.failed = Some((at, Box::new(next)));
                self.seals.due.insert((at, link, log));
            }
        }
        if wrote_it && log == self.own {
            self.tell_counted(link, log, out);
        }
        None
    }
}
