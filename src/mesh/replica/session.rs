//! One link's part of replication: what the peer has of each log, what was pushed to it, and what comes next.
//!
//! Never looks at another link, and is thrown away with its own: no belief about a peer outlives the link.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use crate::base::{CloseReason, LinkId, LogId, PeerId, Time, limits};
use crate::mesh::out::Outbox;
use crate::mesh::replica::compare::{Judging, Proof};
use crate::sync::Group;
use crate::wire::Message;
use crate::wire::message::{SnapshotId, WalAck, WalNak, WalPush};

/// What a push costs of the window on top of its bytes: its header, so that a flood of tiny pushes is bounded too.
const PUSH_OVERHEAD_BYTES: usize = 64;

/// The `have` of a nak that says: nothing of this log, please, as long as this link lives.
pub(super) const REFUSED: u64 = u64::MAX;

/// A part of a link's window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Cost {
    pub(super) bytes: usize,
    pub(super) records: u64,
}

impl Cost {
    /// All of it.
    const WINDOW: Cost = Cost { bytes: limits::REPLICA_WINDOW_BYTES, records: limits::REPLICA_WINDOW_RECORDS };
    /// The largest push.
    pub(super) const LARGEST: Cost =
        Cost { bytes: limits::WAL_PUSH_MAX_BYTES + PUSH_OVERHEAD_BYTES, records: limits::GROUP_MAX_RECORDS as u64 };

    /// What pushing records `first..=last` in so many bytes takes of it.
    pub(super) fn of(first: u64, last: u64, bytes: usize) -> Cost {
        Cost { bytes: bytes.saturating_add(PUSH_OVERHEAD_BYTES), records: last.saturating_sub(first).saturating_add(1) }
    }

    pub(super) fn add(&mut self, other: Cost) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.records = self.records.saturating_add(other.records);
    }

    pub(super) fn sub(&mut self, other: Cost) {
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.records = self.records.saturating_sub(other.records);
    }

    /// Whether there is room for `other` beside this in the window.
    pub(super) fn leaves_room_for(mut self, other: Cost) -> bool {
        self.add(other);
        self.bytes <= Cost::WINDOW.bytes && self.records <= Cost::WINDOW.records
    }
}

/// What is known about one log at the other end of a link.
#[derive(Debug, Default)]
pub(super) struct Follower {
    /// Highest record durable there, as the peer said.
    pub(super) durable: u64,
    /// Highest record applied there, as the peer said.
    pub(super) applied: u64,
    /// Nothing up to here needs pushing: pushed already, or the peer has it.
    pub(super) sent: u64,
    /// Pushed and not acknowledged: last record and cost.
    unacked: VecDeque<(u64, Cost)>,
    /// The highest record the peer pushed here.
    pub(super) pushed: u64,
    /// Where the last nak to the peer said to begin again; nothing it pushed from there has been taken yet.
    pub(super) nak_sent: Option<u64>,
    /// Pushes from the peer were let drop because another link was feeding the log.
    pub(super) held: bool,
    /// Where the peer's last nak said to begin again.
    pub(super) nak_got: Option<u64>,
    /// The peer said that it has more than was pushed to it here: somebody else feeds it.
    pub(super) fed_elsewhere: bool,
    /// The peer refuses this log, which is one of this node's, or has more of it than this node: what it has may be another history,
    /// and counts for nothing.
    pub(super) disowned: bool,
    /// How far it is known to be the log that is here.
    pub(super) proof: Proof,
    /// Whether the log waits for its time before more of it is pushed.
    pub(super) waiting: bool,
    /// What the peer was last told about this node's progress.
    told: (u64, u64),
}

/// One link.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) link: LinkId,
    pub(super) peer: PeerId,
    /// The log the peer writes itself.
    pub(super) home: Option<LogId>,
    /// The peer's vector has come to its end, and this node's is out: records and acks may go both ways.
    pub(super) complete: bool,
    /// This node's vector is out: the peer is trusted.
    pub(super) ours: bool,
    /// The peer began with an empty vector: it holds off until it sends another.
    pub(super) held_off: bool,
    /// The peer's vector has come to its end.
    pub(super) theirs: bool,
    /// What the vector of a peer that is not trusted said: believed only when it is.
    pub(super) early: Vec<WalAck>,
    /// Lines of the peer's vector so far.
    pub(super) lines: usize,
    /// A read under way: which log, from which record.
    pub(super) reading: Option<(LogId, u64)>,
    /// Pushed by the peer and in storage here.
    pub(super) receiving: Cost,
    /// Its seals that are compared.
    pub(super) judging: Judging,
    /// The snapshot the peer was offered last.
    pub(super) offered: Option<SnapshotId>,
    /// Those of the ones here that it does not take.
    pub(super) declined: BTreeSet<SnapshotId>,
    /// It takes none that this node makes.
    pub(super) unwilling: bool,
    /// Parts being read for it.
    pub(super) serving: usize,
    /// The application was told that the two nodes cannot meet by a snapshot of the peer.
    pub(super) apart_told: bool,
    /// Times in a row that a part of what it was offered could not be read here, and before when it is offered nothing for that.
    pub(super) unread: u32,
    pub(super) offer_after: Option<Time>,
    followers: BTreeMap<LogId, Follower>,
    behind: BTreeSet<LogId>,
    turn: Option<LogId>,
    in_flight: Cost,
}

impl Session {
    pub(super) fn new(link: LinkId, peer: PeerId) -> Session {
        Session {
            link,
            peer,
            home: None,
            complete: false,
            ours: false,
            held_off: false,
            theirs: false,
            early: Vec::new(),
            lines: 0,
            reading: None,
            receiving: Cost::default(),
            judging: Judging::default(),
            offered: None,
            declined: BTreeSet::new(),
            unwilling: false,
            serving: 0,
            apart_told: false,
            unread: 0,
            offer_after: None,
            followers: BTreeMap::new(),
            behind: BTreeSet::new(),
            turn: None,
            in_flight: Cost::default(),
        }
    }

    /// The peer's vector began empty: it does not exchange records, or not yet. It may say so once.
    pub(super) fn hold_off(&mut self) -> Result<(), CloseReason> {
        if std::mem::replace(&mut self.held_off, true) {
            return Err(CloseReason::Protocol("a second empty vector".into()));
        }
        Ok(())
    }

    /// The follower of a log, made if need be. Logs this node does not have are remembered up to a cap.
    pub(super) fn follower(&mut self, log: LogId, known: bool) -> Option<&mut Follower> {
        if !known && self.followers.len() >= limits::LOGS_MAX && !self.followers.contains_key(&log) {
            return None;
        }
        Some(self.followers.entry(log).or_default())
    }

    /// The follower of a log, if there is one.
    pub(super) fn known(&self, log: &LogId) -> Option<&Follower> {
        self.followers.get(log)
    }

    /// Whether no log waits for its turn to be read and pushed.
    pub(super) fn is_caught_up(&self) -> bool {
        self.behind.is_empty()
    }

    /// Whether the largest push fits the window.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight.leaves_room_for(Cost::LARGEST)
    }

    /// Everything known about the logs at the other end.
    pub(super) fn followers(&self) -> impl Iterator<Item = (&LogId, &Follower)> {
        self.followers.iter()
    }

    /// Whether the peer needs records of a log that are not kept here.
    pub(super) fn is_below(&self, log: &LogId, base: u64) -> bool {
        self.followers.get(log).map_or(0, |f| f.sent) < base
    }

    /// Puts a log in the queue for reading if the peer lacks some of it that is kept here, takes it out if not.
    pub(super) fn queue(&mut self, log: LogId, durable: u64, base: u64) {
        let lacks = !self.is_below(&log, base) && self.followers.get(&log).is_none_or(|f| !f.waiting && f.sent < durable);
        if lacks {
            self.behind.insert(log);
        } else {
            self.behind.remove(&log);
        }
    }

    /// Whether there is something to push of a log that is durable here up to `durable`.
    pub(super) fn lacks(&self, log: &LogId, durable: u64) -> bool {
        self.followers.get(log).map_or(0, |f| f.sent) < durable
    }

    /// Whether somebody else has fed a log to the peer since it was last made to wait.
    pub(super) fn is_fed_elsewhere(&self, log: &LogId) -> bool {
        self.followers.get(log).is_some_and(|f| f.fed_elsewhere)
    }

    /// A log's wait is over.
    pub(super) fn wake(&mut self, log: &LogId) {
        if let Some(follower) = self.followers.get_mut(log) {
            follower.waiting = false;
        }
    }

    /// Whether a log is in the queue.
    pub(super) fn is_queued(&self, log: &LogId) -> bool {
        self.behind.contains(log)
    }

    /// The peer's own word on a log. Whether it was news.
    pub(super) fn heard(&mut self, ack: &WalAck, known: bool) -> bool {
        let Some(follower) = self.follower(ack.log, known) else { return false };
        let news = ack.durable > follower.durable || ack.applied > follower.applied;
        follower.fed_elsewhere |= ack.durable > follower.sent;
        follower.durable = follower.durable.max(ack.durable);
        follower.applied = follower.applied.max(ack.applied.min(ack.durable));
        follower.sent = follower.sent.max(follower.durable);
        follower.proof.acked(follower.durable);
        let mut freed = Cost::default();
        while let Some((_, cost)) = follower.unacked.front().filter(|(last, _)| *last <= follower.durable) {
            freed.add(*cost);
            follower.unacked.pop_front();
        }
        self.in_flight.sub(freed);
        news
    }

    /// The peer dropped what was pushed after `have` (all of it, if it `refuses` the log).
    pub(super) fn rewind(&mut self, log: LogId, have: u64, refuses: bool) {
        let Some(follower) = self.followers.get_mut(&log) else { return };
        follower.sent = have.max(follower.durable);
        let mut freed = Cost::default();
        while let Some((_, cost)) = follower.unacked.back().filter(|(last, _)| refuses || *last > have) {
            freed.add(*cost);
            follower.unacked.pop_back();
        }
        self.in_flight.sub(freed);
    }

    /// Pushes a group, if it has the next record and fits the window.
    pub(super) fn push(&mut self, group: &Group, out: &mut Outbox) -> bool {
        let cost = Cost::of(group.first, group.last, group.bytes.len());
        let fits = self.in_flight.leaves_room_for(cost);
        let follower = self.followers.entry(group.log).or_default();
        // One that the peer has in part shows it that its log has other borders: one of two histories.
        if group.first > follower.sent.saturating_add(1) || group.last <= follower.sent || !fits {
            return false;
        }
        follower.sent = group.last;
        follower.proof.pushed = follower.proof.pushed.max(group.last);
        follower.unacked.push_back((group.last, cost));
        self.in_flight.add(cost);
        let push = WalPush { log: group.log, seq_begin: group.first, seq_end: group.last, wal_bytes: group.bytes.clone() };
        out.send(self.link, Message::WalPush(push));
        true
    }

    /// Asks for a read for the next log in turn, if none is under way and the window has room for the largest group.
    pub(super) fn pump(&mut self, out: &mut Outbox) {
        if !self.complete || self.reading.is_some() || !self.has_room() {
            return;
        }
        let room = Cost::WINDOW.bytes - self.in_flight.bytes - Cost::LARGEST.bytes;
        let after = self.turn.map_or(Bound::Unbounded, Bound::Excluded);
        let Some(log) = self.behind.range((after, Bound::Unbounded)).next().or(self.behind.first()).copied() else { return };
        let from = self.followers.entry(log).or_default().sent.saturating_add(1);
        self.turn = Some(log);
        self.reading = Some((log, from));
        out.read(self.link, log, from, room.clamp(1, limits::READ_RECORDS_MAX_BYTES));
    }

    /// Tells the peer this node's progress on a log, unless it was told the same before and does not wait for it.
    pub(super) fn tell(&mut self, log: LogId, durable: u64, applied: u64, awaited: bool, out: &mut Outbox) {
        let Some(follower) = self.follower(log, true) else { return };
        if awaited || follower.told != (durable, applied) {
            follower.told = (durable, applied);
            out.send(self.link, Message::WalAck(WalAck { log, durable, applied }));
        }
    }

    /// Notes what the vector told the peer.
    pub(super) fn told(&mut self, line: &WalAck) {
        if let Some(follower) = self.follower(line.log, true) {
            follower.told = (line.durable, line.applied);
        }
    }

    /// Says once that nothing of a log is taken.
    pub(super) fn refuse(&mut self, log: LogId, out: &mut Outbox) {
        if self.known(&log).is_none_or(|f| f.nak_sent != Some(REFUSED)) {
            self.nak(log, REFUSED, out);
        }
    }

    /// Has the peer push again from `have + 1`, or nothing more if that is [`REFUSED`].
    pub(super) fn nak(&mut self, log: LogId, have: u64, out: &mut Outbox) {
        if let Some(follower) = self.follower(log, false) {
            follower.nak_sent = Some(have);
            follower.pushed = if have == REFUSED { 0 } else { have };
        }
        out.send(self.link, Message::WalNak(WalNak { log, have }));
    }
}
