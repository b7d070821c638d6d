//! Replication: what a neighbour lacks is pushed, what it pushes is stored, and both sides say how far they are.
//!
//! ```text
//!   local appends ──Durable──► tail push ─────────────────────────────┐
//!   vector, ack, nak ──► session: behind? ──Read──► ReadDone ──push──►│ neighbour
//!                                                                     │
//!   neighbour ──push──► Store ──Durable──► Apply ──Applied──► ack ───►│ every neighbour
//! ```
//!
//! One engine for every log, whoever writes it. Never touches a record's bytes, never decides about links, and keeps no belief
//! about a peer longer than its link.

mod apart;
mod causes;
mod compare;
mod give;
mod local;
mod receive;
mod send;
mod session;
mod take;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::base::{CloseReason, Event, LinkId, LogId, PeerId, Time, limits};
use crate::mesh::out::Outbox;
use crate::sync::LogState;
use crate::wire::Message;
use crate::wire::message::{VectorEntry, WalAck, WalNak};

pub use causes::LogWait;

use causes::Waits;
use compare::Seals;
use give::Give;
use local::{Credit, Local};
use session::Session;
use take::Take;

/// One log with its progress.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LogView {
    /// Which log.
    pub log: LogId,
    /// Highest record durable here.
    pub durable: u64,
    /// Highest record applied here (of the own log: the same).
    pub applied: u64,
    /// The application is stuck at this record: it said that it can never apply it.
    pub parked: Option<u64>,
    /// In causal mode: a record that comes after others, which are not applied here yet.
    pub waits: Option<LogWait>,
    /// Whether two histories of the log were seen: nothing more is stored of it.
    pub frozen: bool,
    /// What connected peers have confirmed in this session.
    pub acked: Vec<LogAcked>,
}

/// A connected peer's progress on a log, as it said itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct LogAcked {
    /// Who.
    pub peer: PeerId,
    /// Highest record durable there.
    pub durable: u64,
    /// Highest record applied there.
    pub applied: u64,
}

/// What to look at again when its time comes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Retry {
    /// Offer a refused record again.
    Apply,
    /// See whether a log still lacks records that were pushed and let drop.
    Store,
}

/// The replication engine of one node.
#[derive(Debug)]
pub(super) struct Replica {
    own: LogId,
    logs: BTreeMap<LogId, Local>,
    sessions: BTreeMap<LinkId, Session>,
    /// When which follower may be pushed more.
    later: BTreeSet<(Time, LinkId, LogId)>,
    retries: BTreeSet<(Time, LogId, Retry)>,
    /// Logs that moved during this input; acknowledged once, at its end.
    news: BTreeSet<LogId>,
    /// Pushes of records this node had; their senders wait for an ack although nothing moved.
    awaited: BTreeSet<(LinkId, LogId)>,
    rng: fastrand::Rng,
    /// Whether the application knows that the own log was rolled back.
    rollback_told: bool,
    give: Give,
    take: Take,
    waits: Waits,
    seals: Seals,
}

impl Replica {
    pub(super) fn new(logs: Vec<LogState>, (own, causal): (LogId, bool), seed: u64, out: &mut Outbox) -> Replica {
        let mut table = BTreeMap::from([(own, Local::new(0, 0))]);
        for LogState { log, durable, applied, parked, frozen, base } in logs {
            let mut local = Local::new(durable, if log.origin == own.origin { durable } else { applied });
            local.frozen = frozen;
            local.base = base;
            if let Some(seq) = parked.filter(|seq| local.still_parked(*seq)) {
                out.event(Event::ApplyParked { log, seq });
            }
            table.insert(log, local);
        }
        for (log, local) in &mut table {
            offer(*log, local, false, out);
        }
        let give = Give::new(table.values().map(|local| local.base));
        let waits = Waits::new(causal, table.keys().copied());
        Replica {
            own,
            logs: table,
            sessions: BTreeMap::new(),
            later: BTreeSet::new(),
            retries: BTreeSet::new(),
            news: BTreeSet::new(),
            awaited: BTreeSet::new(),
            rng: fastrand::Rng::with_seed(!seed),
            rollback_told: false,
            give,
            take: Take::default(),
            waits,
            seals: Seals::default(),
        }
    }

    /// Appending goes on in `log`; the old one is kept and replicated like anybody's.
    pub(super) fn renewed(&mut self, log: LogId) {
        self.own = log;
        self.waits.begin_log(self.logs.keys().copied());
        self.logs.entry(log).or_insert(Local::new(0, 0));
        self.rollback_told = false;
    }

    /// The log this node appends to.
    pub(super) fn own_log(&self) -> LogId {
        self.own
    }

    /// A link is admitted: tells a trusted peer everything this node has, another one by an empty vector that it holds off.
    pub(super) fn open(&mut self, link: LinkId, peer: PeerId, trusted: bool, out: &mut Outbox) {
        self.sessions.insert(link, Session::new(link, peer));
        if trusted {
            self.tell_all(link, out);
        } else {
            out.send(link, Message::Vector(Vec::new()));
        }
    }

    /// The peer of an admitted link is trusted from now on: what its vector said counts, and it gets this node's.
    pub(super) fn begin_trust(&mut self, now: Time, link: LinkId, out: &mut Outbox) {
        self.tell_all(link, out);
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let (early, theirs) = (std::mem::take(&mut session.early), session.theirs);
        self.believe(link, &early, out);
        if theirs {
            self.begin(now, link, out);
        }
    }

    /// Sends the vector, the own log first. A chunk that is not full ends it.
    fn tell_all(&mut self, link: LinkId, out: &mut Outbox) {
        let line = |(log, local): (&LogId, &Local)| VectorEntry { log: *log, durable: local.durable, applied: local.applied() };
        let own = self.logs.iter().filter(|(log, _)| **log == self.own);
        let others = self.logs.iter().filter(|(log, _)| **log != self.own);
        let mut lines: Vec<VectorEntry> = own.chain(others).map(line).collect();
        let Some(session) = self.sessions.get_mut(&link) else { return };
        session.ours = true;
        for line in &lines {
            session.told(line);
        }
        while lines.len() >= limits::VECTOR_MAX_ENTRIES {
            let rest = lines.split_off(limits::VECTOR_MAX_ENTRIES);
            out.send(link, Message::Vector(std::mem::replace(&mut lines, rest)));
        }
        out.send(link, Message::Vector(lines));
    }

    /// A link is gone. What it handed to storage is still answered for.
    pub(super) fn close(&mut self, link: LinkId) {
        self.sessions.remove(&link);
        self.take.lose(link);
    }

    /// A chunk of the peer's vector; after the last, what it lacks is pushed. Whether it says instead that the peer holds off.
    pub(super) fn vector(&mut self, now: Time, link: LinkId, lines: &[VectorEntry], out: &mut Outbox) -> Result<bool, CloseReason> {
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(false) };
        if session.theirs {
            return Err(CloseReason::Protocol("a vector after the end of the vector".into()));
        }
        if session.lines == 0 && lines.is_empty() {
            return session.hold_off().map(|()| true);
        }
        if session.lines == 0 {
            session.home = lines.first().map(|line| line.log).filter(|log| log.origin == session.peer);
        }
        session.lines += lines.len();
        if session.lines > limits::LOGS_MAX + limits::VECTOR_MAX_ENTRIES {
            let rule = format!("a vector of {} logs, limit is {}", session.lines, limits::LOGS_MAX + limits::VECTOR_MAX_ENTRIES);
            return Err(CloseReason::Protocol(rule));
        }
        session.theirs = lines.len() < limits::VECTOR_MAX_ENTRIES;
        let (ours, theirs) = (session.ours, session.theirs);
        if !ours {
            session.early.extend_from_slice(lines);
            return Ok(false);
        }
        self.believe(link, lines, out);
        if theirs {
            self.begin(now, link, out);
        }
        Ok(false)
    }

    fn believe(&mut self, link: LinkId, lines: &[VectorEntry], out: &mut Outbox) {
        for line in lines {
            // What was acknowledged while there was no link is news about the own log; of the others there may be thousands.
            self.said(link, line, line.log == self.own, out);
        }
    }

    /// The peer confirms progress on a log.
    pub(super) fn ack(&mut self, now: Time, link: LinkId, ack: &WalAck, out: &mut Outbox) -> Result<(), CloseReason> {
        if !self.is_open(link, "ack")? {
            return Ok(());
        }
        self.said(link, ack, true, out);
        self.compare(now, link, ack.log, out);
        self.feed(now, link, ack.log, out);
        self.look_after_ack(now);
        Ok(())
    }

    /// The peer was pushed something that does not follow what it has, or wants no more of a log.
    pub(super) fn nak(&mut self, now: Time, link: LinkId, nak: &WalNak, out: &mut Outbox) -> Result<(), CloseReason> {
        if !self.is_open(link, "nak")? {
            return Ok(());
        }
        let (Some(session), Some(local)) = (self.sessions.get_mut(&link), self.logs.get(&nak.log)) else { return Ok(()) };
        let refuses = nak.have > local.durable;
        session.rewind(nak.log, nak.have, refuses);
        let peer = session.peer;
        let Some(follower) = session.follower(nak.log, true) else { return Ok(()) };
        if refuses && nak.log.origin == self.own.origin && follower.durable > 0 && !std::mem::replace(&mut follower.disowned, true) {
            let detail = format!(
                "peer {} refuses more of this node's log {}, of which it has {} records: they may be other records than here, because the \
                 data directory was rolled back or restored; its acknowledgements of that log are not counted any more",
                peer.short(),
                nak.log,
                follower.durable
            );
            out.event(Event::LogDamaged { detail });
        }
        let again = follower.nak_got.replace(nak.have).is_some_and(|last| nak.have <= last);
        if again {
            // It was pushed just that and could not use it: not at once again.
            send::park(&mut self.later, session, nak.log, now + limits::REPLICA_RETRY);
        }
        session.queue(nak.log, local.durable, local.base);
        session.pump(out);
        self.look_soon(now);
        Ok(())
    }

    /// When `tick` is needed next.
    pub(super) fn deadline(&self) -> Option<Time> {
        let later = self.later.first().map(|(at, ..)| *at);
        let retries = self.retries.first().map(|(at, ..)| *at);
        later.into_iter().chain(retries).chain(self.give.deadline()).chain(self.take.deadline()).chain(self.seals.deadline()).min()
    }

    /// Does what had to wait until now.
    pub(super) fn tick(&mut self, now: Time, out: &mut Outbox) {
        while let Some((at, link, log)) = self.later.first().copied().filter(|(at, ..)| *at <= now) {
            self.later.remove(&(at, link, log));
            if let Some(session) = self.sessions.get_mut(&link) {
                session.wake(&log);
            }
            self.feed(now, link, log, out);
        }
        while let Some((at, log, retry)) = self.retries.first().copied().filter(|(at, ..)| *at <= now) {
            self.retries.remove(&(at, log, retry));
            match retry {
                Retry::Apply => self.offer_again(log, out),
                Retry::Store => self.look_again(now, log, out),
            }
        }
        self.seals_tick(now, out);
        self.give_tick(now, out);
        self.take_tick(now, out);
    }

    /// Acknowledges what moved during this input: at most one ack for each log and link.
    pub(super) fn flush(&mut self, now: Time, out: &mut Outbox) {
        self.install_if_whole(out);
        self.wake(out);
        // Before the acks: who wrote a log sees which records they are of.
        self.compare_news(now, out);
        for (link, log) in std::mem::take(&mut self.awaited) {
            if let (Some(session), Some(local)) = (self.sessions.get_mut(&link), self.logs.get(&log))
                && !self.seals.hold(session, log, local)
            {
                session.tell(log, local.durable, local.applied(), true, out);
            }
        }
        for log in std::mem::take(&mut self.news) {
            let Some(local) = self.logs.get(&log) else { continue };
            for session in self.sessions.values_mut().filter(|s| s.complete) {
                if !self.seals.hold(session, log, local) {
                    session.tell(log, local.durable, local.applied(), false, out);
                }
            }
        }
    }

    pub(super) fn views(&self) -> Vec<LogView> {
        self.logs.keys().filter_map(|log| self.view(*log)).collect()
    }

    pub(super) fn view(&self, log: LogId) -> Option<LogView> {
        let local = self.logs.get(&log)?;
        let acked = self.sessions.values().filter_map(|session| self.acked(session, &log)).collect();
        let (durable, applied, parked, waits) = (local.durable, local.applied(), local.parked(), self.waits.of(&log));
        Some(LogView { log, durable, applied, parked, waits, frozen: local.frozen.is_some(), acked })
    }

    pub(super) fn durables(&self) -> Vec<(LogId, u64)> {
        self.logs.iter().map(|(log, local)| (*log, local.durable)).collect()
    }

    /// Takes a peer's word on a log.
    fn said(&mut self, link: LinkId, line: &WalAck, tell: bool, out: &mut Outbox) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let local = self.logs.get(&line.log);
        let news = session.heard(line, local.is_some());
        let here = local.map_or(0, |l| l.durable);
        if let Some(follower) = session.follower(line.log, local.is_some()) {
            // Its records of these numbers are others than those that may be written here now.
            follower.disowned |= line.log == self.own && line.durable > here;
        }
        let wrote_it = line.log.origin == self.own.origin;
        if news && !wrote_it && tell && local.is_some() && line.durable > 0 {
            out.event(Event::Acked { peer: session.peer, log: line.log, durable: line.durable, applied: line.applied });
        }
        if line.log == self.own && line.durable > here && !self.rollback_told {
            self.rollback_told = true;
            let detail = format!(
                "peer {} has this node's records up to {}, here they end at {here}; the data directory was rolled back or restored, \
                 and the missing records are taken back from peers",
                session.peer.short(),
                line.durable
            );
            out.event(Event::LogDamaged { detail });
        }
        if tell && wrote_it {
            self.tell_counted(link, line.log, out);
        }
    }

    /// Whether the link is one of this engine and both vectors are out; anything else before that is an error.
    fn is_open(&self, link: LinkId, what: &str) -> Result<bool, CloseReason> {
        match self.sessions.get(&link) {
            Some(session) if !session.ours => Err(CloseReason::Protocol(format!("{what} to a node that holds off"))),
            Some(session) if !session.complete => Err(CloseReason::Protocol(format!("{what} before the end of the vector"))),
            session => Ok(session.is_some()),
        }
    }

    fn give_back(&mut self, credit: Option<Credit>) {
        if let Some((link, cost)) = credit
            && let Some(session) = self.sessions.get_mut(&link)
        {
            session.receiving.sub(cost);
        }
    }
}

/// Gives the application the next range, if it has none and is not `held` off.
fn offer(log: LogId, local: &mut Local, held: bool, out: &mut Outbox) {
    if held {
        return;
    }
    if let Some((from, upto)) = local.offer() {
        out.apply(log, from, upto);
    }
}
