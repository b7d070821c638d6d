//! The receiving side: pushes into storage in order, durable records to the application.
//!
//! Never believes a push: what counts is `Durable`. Groups that cannot be used are let drop and asked for again.

use std::collections::BTreeMap;

use crate::base::{CloseReason, Event, LinkId, LogId, Time, limits};
use crate::mesh::out::Outbox;
use crate::mesh::replica::local::Local;
use crate::mesh::replica::session::{Cost, Follower, REFUSED, Session};
use crate::mesh::replica::{Replica, Retry, offer};
use crate::sync::{Group, SealRecord};
use crate::wire::message::WalPush;

impl Replica {
    /// Records from a peer.
    pub(in crate::mesh) fn push(&mut self, now: Time, link: LinkId, push: WalPush, out: &mut Outbox) -> Result<(), CloseReason> {
        let WalPush { log, seq_begin, seq_end, wal_bytes } = push;
        if !self.is_open(link, "push")? {
            return Ok(());
        }
        if seq_begin == 0 || seq_end < seq_begin || wal_bytes.is_empty() {
            return Err(CloseReason::Protocol(format!("push of records {seq_begin}..={seq_end} in {} bytes", wal_bytes.len())));
        }
        let pushed = Group { log, first: seq_begin, last: seq_end, bytes: wal_bytes };
        let upto = self.logs.get(&log).map_or(0, Local::upto);
        if seq_begin > upto || seq_end <= upto {
            return self.take(now, link, pushed, out);
        }
        // An overlap: the part that is known is ignored. A group that is known in part has other borders than here, which storage judges.
        for group in cut(&pushed)?.into_iter().filter(|group| group.last > upto) {
            self.take(now, link, group, out)?;
        }
        Ok(())
    }

    /// One group of a push.
    fn take(&mut self, now: Time, link: LinkId, group: Group, out: &mut Outbox) -> Result<(), CloseReason> {
        let (log, first, last) = (group.log, group.first, group.last);
        let cost = Cost::of(first, last, group.bytes.len());
        if cost.records > Cost::LARGEST.records {
            return Err(CloseReason::Protocol(format!("{} records in one group, limit is {}", cost.records, Cost::LARGEST.records)));
        }
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(()) };
        if !self.logs.contains_key(&log) && !may_begin(session, &group, self.logs.len(), out) {
            return Ok(());
        }
        let local = self.logs.entry(log).or_insert_with(|| Local::new(0, 0));
        let Some(follower) = session.follower(log, true) else { return Ok(()) };
        follower.pushed = follower.pushed.max(last);
        follower.sent = follower.sent.max(last);
        let upto = local.upto();
        if local.frozen.is_some() || follower.nak_sent == Some(REFUSED) {
            if follower.nak_sent != Some(REFUSED) {
                session.nak(log, REFUSED, out);
            }
        } else if last <= upto {
            self.awaited.insert((link, log));
            // It came from elsewhere, and may be another history: the peer takes the ack for one of its push.
            if last <= local.durable
                && let Some(seal) = SealRecord::at_end(&group)
            {
                session.queue(log, local.durable, local.base);
                self.passed_over(link, log, seal, out);
                return Ok(());
            }
        } else if local.paused.is_some() || local.storing_from().is_some_and(|from| from != link) {
            follower.held = true;
            if local.watch() {
                self.retries.insert((now + limits::SPREAD_DELAY, log, Retry::Store));
            }
        } else if first <= upto.saturating_add(1) {
            (follower.pushed, follower.held, follower.nak_sent) = (last, false, None);
            if !session.receiving.leaves_room_for(cost) {
                session.receiving.add(cost);
                let Cost { bytes, records } = session.receiving;
                let (max_bytes, max) = (limits::REPLICA_WINDOW_BYTES, limits::REPLICA_WINDOW_RECORDS);
                if local.is_blank() && local.storing_from().is_none() && log != self.own {
                    self.logs.remove(&log);
                }
                let rule = format!(
                    "{bytes} bytes in {records} records pushed without waiting for an ack, window is {max_bytes} bytes and {max} records"
                );
                return Err(CloseReason::Protocol(rule));
            }
            session.receiving.add(cost);
            local.store(link, last, cost);
            out.store(link, group);
        } else if !follower.held && follower.nak_sent != Some(upto) {
            session.nak(log, upto, out);
        }
        session.queue(log, local.durable, local.base);
        Ok(())
    }

    /// Groups are durable here, written by this node or stored for a peer.
    pub(in crate::mesh) fn durable(&mut self, now: Time, groups: &[Group], out: &mut Outbox) {
        let mut moved: BTreeMap<LogId, u64> = BTreeMap::new();
        for group in groups {
            let local = self.logs.entry(group.log).or_insert_with(|| Local::new(0, 0));
            let (before, from) = (local.durable, local.storing_from());
            let from_peer = from.is_some();
            let credit = local.advance(group.last);
            let news = local.durable > before;
            if let Some(seal) = SealRecord::of(group).filter(|seal| seal.last() == local.durable) {
                local.last_seal = Some(seal);
            }
            if group.log == self.own {
                local.settle();
                self.waits.stir(group.log);
                if from_peer {
                    self.news.insert(group.log);
                }
                if news {
                    self.tail(group, out);
                }
            } else if news {
                moved.entry(group.log).or_insert(before);
            }
            self.give_back(credit);
            if let Some(link) = from {
                // What a snapshot's place came before is settled and says nothing of the peer's copy.
                if !group.bytes.is_empty() {
                    self.has_taken(link, group.log, group.last);
                }
            }
        }
        for (log, before) in moved {
            self.moved(now, log, before, out);
        }
    }

    /// Storage refused a group. The reason to close the link with, if it is the peer's fault.
    pub(in crate::mesh) fn store_failed(
        &mut self,
        now: Time,
        (link, log): (LinkId, LogId),
        durable: u64,
        reason: CloseReason,
        out: &mut Outbox,
    ) -> Option<CloseReason> {
        let local = self.logs.get_mut(&log).filter(|l| l.storing_from() == Some(link))?;
        let (before, credit) = (local.durable, local.give_up());
        local.advance(durable);
        self.give_back(credit);
        if durable > before && log != self.own {
            self.moved(now, log, before, out);
        }
        if reason.blames_peer() {
            self.close(link);
            self.ask_again(log, out);
            // A log nothing is held of is no log: a false push must not use up a place.
            if log != self.own && self.logs.get(&log).is_some_and(Local::is_blank) {
                self.logs.remove(&log);
            }
            return Some(reason);
        }
        let until = now + limits::REPLICA_RETRY;
        if let Some(local) = self.logs.get_mut(&log) {
            local.paused = Some(until);
            local.watch();
        }
        self.retries.insert((until, log, Retry::Store));
        None
    }

    /// Two truths about one log, both sealed by its origin: it stays as it is, and nobody need push more of it.
    pub(in crate::mesh) fn forked(&mut self, log: LogId, seq: u64, detail: String, out: &mut Outbox) {
        let Some(local) = self.logs.get_mut(&log) else { return };
        let credit = local.give_up();
        if local.frozen.is_none() {
            local.frozen = Some(seq);
            out.event(Event::LogForked { log, seq, detail });
            self.waits.stir(log);
        }
        self.give_back(credit);
        self.ask_again(log, out);
    }

    /// A peer's version of a log goes on differently than the one here, and nobody can say which is altered: it is taken from others.
    pub(in crate::mesh) fn diverged(&mut self, link: LinkId, log: LogId, out: &mut Outbox) {
        let Some(local) = self.logs.get_mut(&log).filter(|local| local.storing_from() == Some(link)) else { return };
        let credit = local.give_up();
        self.give_back(credit);
        if let Some(session) = self.sessions.get_mut(&link) {
            session.nak(log, REFUSED, out);
        }
        self.ask_again(log, out);
    }

    /// The application has applied records of a log.
    pub(in crate::mesh) fn applied(&mut self, log: LogId, seq: u64, out: &mut Outbox) {
        if let Some(local) = self.logs.get_mut(&log).filter(|_| log != self.own) {
            local.has_applied(seq);
            self.news.insert(log);
            offer(log, local, self.take.is_holding(), out);
        }
    }

    /// The application refused a record; it gets it again after a pause.
    pub(in crate::mesh) fn apply_refused(&mut self, now: Time, log: LogId, seq: u64, out: &mut Outbox) {
        if let Some((pause, told)) = self.logs.get_mut(&log).and_then(|local| local.refused(seq)) {
            self.waits.refuse(log);
            self.news.insert(log);
            self.retries.insert((now + pause, log, Retry::Apply));
            if told {
                out.event(Event::ApplyRefused { log, seq, retry_in_ms: pause.as_millis() as u64 });
            }
        }
    }

    /// The application can never apply a record: its log waits for an order, and nothing of it is skipped.
    pub(in crate::mesh) fn apply_poisoned(&mut self, log: LogId, seq: u64, out: &mut Outbox) {
        let Some(local) = self.logs.get_mut(&log).filter(|_| log != self.own) else { return };
        if local.park(seq) {
            self.waits.refuse(log);
            self.news.insert(log);
            out.park(log, seq - 1, Some(seq));
            out.event(Event::ApplyParked { log, seq });
        }
    }

    /// The application goes on with a parked log, or with one that waits.
    pub(in crate::mesh) fn apply_resume(&mut self, log: LogId, skip: bool, out: &mut Outbox) {
        let Some(local) = self.logs.get_mut(&log) else { return };
        if let Some(seq) = local.unpark(skip) {
            self.news.insert(log);
            out.park(log, if skip { seq } else { seq - 1 }, None);
            out.event(Event::ApplyResumed { log, seq, skipped: skip });
            offer(log, local, self.take.is_holding(), out);
        } else if skip {
            self.wait_no_more(log, out);
        }
    }

    pub(super) fn offer_again(&mut self, log: LogId, out: &mut Outbox) {
        if let Some(local) = self.logs.get_mut(&log) {
            local.resume();
            offer(log, local, self.take.is_holding(), out);
        }
    }

    /// Pushes were let drop a while ago. If the log has moved since, or is about to, they are likely to come to it from
    /// elsewhere, and it is looked at once more later; if not, they are asked for.
    pub(super) fn look_again(&mut self, now: Time, log: LogId, out: &mut Outbox) {
        let Some(local) = self.logs.get_mut(&log) else { return };
        if local.paused.is_some_and(|until| until > now) {
            return;
        }
        local.paused = None;
        let moving = local.has_moved() || local.storing_from().is_some();
        let durable = local.durable;
        let lacks = self.sessions.values().any(|s| s.known(&log).is_some_and(|f| f.pushed > durable));
        if moving && lacks {
            local.watch();
            self.retries.insert((now + limits::SPREAD_DELAY, log, Retry::Store));
        } else {
            self.ask_again(log, out);
        }
    }

    /// Has every peer that pushed records which are not durable here push them again, or no more of a frozen log.
    fn ask_again(&mut self, log: LogId, out: &mut Outbox) {
        let Some(local) = self.logs.get(&log) else { return };
        let have = if local.frozen.is_some() { REFUSED } else { local.durable };
        for session in self.sessions.values_mut() {
            let refused = |f: &Follower| have != REFUSED && f.nak_sent == Some(REFUSED);
            if session.known(&log).is_some_and(|f| f.pushed > local.durable && !refused(f)) {
                session.nak(log, have, out);
            }
        }
    }

    /// Another origin's log has moved: tells the application and the neighbours.
    fn moved(&mut self, now: Time, log: LogId, before: u64, out: &mut Outbox) {
        let Some(local) = self.logs.get_mut(&log) else { return };
        out.event(Event::Stored { log, durable: local.durable });
        if log.origin == self.own.origin {
            // What this node wrote itself comes back to it after damage, and is no news to its application.
            local.settle();
        }
        offer(log, local, self.take.is_holding(), out);
        self.news.insert(log);
        self.spread(now, log, before);
    }
}

/// Whether a log that is not known here may begin with this group: only what can be stored makes a row, so that a false push does not
/// use up a place.
fn may_begin(session: &mut Session, group: &Group, logs: usize, out: &mut Outbox) -> bool {
    if logs >= limits::LOGS_MAX {
        session.nak(group.log, REFUSED, out);
        return false;
    }
    if group.first > 1 && session.known(&group.log).is_none_or(|f| f.nak_sent != Some(0)) {
        session.nak(group.log, 0, out);
    }
    group.first == 1
}

/// The groups of a push, which must be what it says they are.
fn cut(pushed: &Group) -> Result<Vec<Group>, CloseReason> {
    let groups = Group::split(pushed.log, &pushed.bytes).map_err(|e| CloseReason::Protocol(e.to_string()))?;
    let ends = (groups.first().map(|g| g.first), groups.last().map(|g| g.last));
    let holes = groups.windows(2).any(|pair| pair[0].last.checked_add(1) != Some(pair[1].first));
    if holes || ends != (Some(pushed.first), Some(pushed.last)) {
        return Err(CloseReason::Protocol(format!("push of records {}..={} holds others", pushed.first, pushed.last)));
    }
    Ok(groups)
}
