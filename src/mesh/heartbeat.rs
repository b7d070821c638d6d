//! Signs of life: the deadline of every handshake, Ping after silence, the end of a link that stays silent.
//!
//! Never closes a link itself: it names the ones whose time is up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::{CloseReason, LinkId, Time, limits};
use crate::mesh::MeshSettings;
use crate::mesh::out::Outbox;
use crate::wire::Message;

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Not authenticated: closed at its next check whatever arrives.
    Expected,
    /// Authenticated: alive as long as something arrives.
    Live {
        heard: Time,
        pinged: Time,
        /// When it is closed unless something arrives before.
        probe: Option<Time>,
        /// This node does not read it: its silence says nothing about the peer.
        unread: bool,
        /// Its silence has been told.
        told: bool,
        /// It is to be asked soon.
        owed: bool,
        /// Since when it leaves the question unanswered that was asked because its peer came by another one.
        doubted: Option<Time>,
    },
}

#[derive(Clone, Copy, Debug)]
struct Pulse {
    phase: Phase,
    check: Time,
}

/// One pulse per link, and when each is to be looked at next. What arrives only moves `heard`; the look is corrected when it comes.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Duration,
    stale_after: Duration,
    pulses: BTreeMap<LinkId, Pulse>,
    checks: BTreeSet<(Time, LinkId)>,
    nonce: u64,
    /// Links that were asked since this was last taken.
    asked: Vec<LinkId>,
    /// Links whose silence is to be told.
    silent: Vec<LinkId>,
}

impl Heartbeat {
    pub(super) fn new(settings: &MeshSettings) -> Heartbeat {
        Heartbeat {
            interval: settings.heartbeat_interval.max(Duration::from_millis(1)),
            stale_after: settings.stale_after,
            pulses: BTreeMap::new(),
            checks: BTreeSet::new(),
            nonce: 0,
            asked: Vec::new(),
            silent: Vec::new(),
        }
    }

    /// The link has until `deadline` to be authenticated, or to reach the next step of that.
    pub(super) fn expect(&mut self, link: LinkId, deadline: Time) {
        self.set(link, Phase::Expected, deadline);
    }

    /// The link is authenticated.
    pub(super) fn alive(&mut self, now: Time, link: LinkId) {
        self.set(
            link,
            Phase::Live { heard: now, pinged: now, probe: None, unread: false, told: false, owed: false, doubted: None },
            now + self.interval,
        );
    }

    /// Something arrived on a link.
    pub(super) fn heard(&mut self, now: Time, link: LinkId) {
        if let Some(Pulse { phase: Phase::Live { heard, probe, told, doubted, .. }, .. }) = self.pulses.get_mut(&link) {
            (*heard, *probe, *told, *doubted) = (now, None, false, None);
        }
    }

    /// This node stops reading a link, because its application is behind, or goes on; then the peer has its time anew.
    pub(super) fn set_unread(&mut self, now: Time, link: LinkId, is: bool) {
        if let Some(Pulse { phase: Phase::Live { heard, probe, unread, doubted, .. }, .. }) = self.pulses.get_mut(&link) {
            (*heard, *probe, *unread, *doubted) = (if is { *heard } else { now }, None, is, None);
        }
    }

    /// When something last arrived on an authenticated link.
    pub(super) fn last_heard(&self, link: LinkId) -> Option<Time> {
        match self.pulses.get(&link)?.phase {
            Phase::Live { heard, .. } => Some(heard),
            Phase::Expected => None,
        }
    }

    /// Since when a link's silence has lasted so long that a Ping must have gone unanswered.
    pub(super) fn stale_since(&self, now: Time, link: LinkId) -> Option<Time> {
        match self.pulses.get(&link)?.phase {
            Phase::Live { heard, unread: false, .. } => Some(heard + self.patience()).filter(|since| *since <= now),
            Phase::Live { .. } | Phase::Expected => None,
        }
    }

    /// Silence in which a Ping must have gone unanswered.
    fn patience(&self) -> Duration {
        (self.interval + self.stale_after) / 2
    }

    /// Links that have become silent since the last question.
    pub(super) fn take_silent(&mut self) -> Vec<LinkId> {
        std::mem::take(&mut self.silent)
    }

    /// The link is gone.
    pub(super) fn forget(&mut self, link: LinkId) {
        if let Some(pulse) = self.pulses.remove(&link) {
            self.checks.remove(&(pulse.check, link));
        }
    }

    /// When `tick` is needed next.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.checks.first().map(|(at, _)| *at)
    }

    /// The links that were asked since the last call.
    pub(super) fn take_asked(&mut self) -> Vec<LinkId> {
        std::mem::take(&mut self.asked)
    }

    /// Answers a question of life.
    pub(super) fn ping(&self, link: LinkId, nonce: u64, out: &mut Outbox) {
        out.send(link, Message::Pong { nonce });
    }

    /// Asks every authenticated link now, and gives it, and every handshake, `PROBE_DEADLINE` from now.
    pub(super) fn probe(&mut self, now: Time, out: &mut Outbox) {
        let deadline = now + limits::PROBE_DEADLINE;
        let links: Vec<LinkId> = self.pulses.keys().copied().collect();
        for link in links {
            self.ask(now, link, out);
            self.answer_by(link, deadline);
        }
    }

    /// Asks an authenticated link now. If the machine at the other end knows nothing of it any more, it says so.
    pub(super) fn ask(&mut self, now: Time, link: LinkId, out: &mut Outbox) {
        if let Some(Pulse { phase: Phase::Live { pinged, owed, .. }, .. }) = self.pulses.get_mut(&link) {
            (*pinged, *owed) = (now, false);
            self.nonce += 1;
            self.asked.push(link);
            out.send(link, Message::Ping { nonce: self.nonce });
        }
    }

    /// Asks an authenticated link because of an announcement: now, or when the last question is `SIGN_ASKS_EVERY` old.
    pub(super) fn ask_in_turn(&mut self, now: Time, link: LinkId, out: &mut Outbox) {
        let Some(Pulse { phase: Phase::Live { pinged, owed, .. }, .. }) = self.pulses.get_mut(&link) else { return };
        let turn = *pinged + limits::SIGN_ASKS_EVERY;
        if turn <= now {
            self.ask(now, link, out);
        } else {
            *owed = true;
            self.look_by(link, turn);
        }
    }

    /// Asks a link that is silent although its peer speaks by another one. It has `PROBE_DEADLINE` besides the time in which a peer that
    /// does not read, because its own application is behind, asks from its side.
    pub(super) fn doubt(&mut self, now: Time, link: LinkId, out: &mut Outbox) {
        let Some(Pulse { phase: Phase::Live { heard, unread: false, doubted, .. }, .. }) = self.pulses.get_mut(&link) else { return };
        if doubted.is_none() && now.since(*heard) >= limits::DUPLICATE_SILENCE {
            *doubted = Some(now);
            self.ask(now, link, out);
            self.answer_by(link, now + self.interval + limits::PROBE_DEADLINE);
        }
    }

    /// Whether a link that was doubted has said nothing for so long since that its peer, which comes again, cannot have it any more. One that
    /// has, and does not read because its application is behind, loses it to the new one if it dials twice where it does not know whom.
    pub(super) fn is_mute(&self, now: Time, link: LinkId) -> bool {
        let is_mute = |phase: Phase| match phase {
            Phase::Live { doubted, .. } => doubted.is_some_and(|at| now.since(at) >= limits::DUPLICATE_SILENCE),
            Phase::Expected => false,
        };
        self.pulses.get(&link).is_some_and(|pulse| is_mute(pulse.phase))
    }

    /// A link is closed then, unless something arrives or its handshake ends before.
    fn answer_by(&mut self, link: LinkId, deadline: Time) {
        let Some(pulse) = self.pulses.get_mut(&link) else { return };
        if let Phase::Live { probe, unread, .. } = &mut pulse.phase {
            // Asked again before it answered: the first question counts. An answer nobody reads is none to wait for.
            *probe = if *unread { None } else { Some(probe.map_or(deadline, |at| at.min(deadline))) };
        }
        self.look_by(link, deadline);
    }

    fn look_by(&mut self, link: LinkId, at: Time) {
        if let Some(pulse) = self.pulses.get_mut(&link).filter(|pulse| at < pulse.check) {
            self.checks.remove(&(pulse.check, link));
            pulse.check = at;
            self.checks.insert((at, link));
        }
    }

    /// Asks the silent, and names the links whose time is up.
    pub(super) fn tick(&mut self, now: Time, out: &mut Outbox) -> Vec<(LinkId, CloseReason)> {
        let mut over = Vec::new();
        let patience = self.patience();
        while let Some((at, link)) = self.checks.first().copied().filter(|(at, _)| *at <= now) {
            self.checks.remove(&(at, link));
            let Some(pulse) = self.pulses.get_mut(&link) else { continue };
            let check = match &mut pulse.phase {
                Phase::Expected => {
                    over.push((link, CloseReason::Timeout));
                    now + self.interval
                }
                Phase::Live { heard, probe, unread: false, .. }
                    if now.since(*heard) >= self.stale_after || probe.is_some_and(|at| at <= now) =>
                {
                    over.push((link, CloseReason::Stale));
                    now + self.interval
                }
                Phase::Live { heard, pinged, probe, unread, told, owed, .. } => {
                    if !*unread && !*told && now >= *heard + patience {
                        *told = true;
                        self.silent.push(link);
                    }
                    let is_owed = *owed && now >= *pinged + limits::SIGN_ASKS_EVERY;
                    if is_owed || now >= (*heard).max(*pinged) + self.interval {
                        (*pinged, *owed) = (now, false);
                        self.nonce += 1;
                        self.asked.push(link);
                        out.send(link, Message::Ping { nonce: self.nonce });
                    }
                    let next = if *owed { *pinged + limits::SIGN_ASKS_EVERY } else { (*heard).max(*pinged) + self.interval };
                    let silence = if *told { self.stale_after } else { patience };
                    let check = if *unread { next } else { next.min(*heard + silence) };
                    probe.filter(|at| *at > now).map_or(check, |at| check.min(at))
                }
            };
            pulse.check = check;
            self.checks.insert((check, link));
        }
        over
    }

    fn set(&mut self, link: LinkId, phase: Phase, check: Time) {
        self.forget(link);
        self.pulses.insert(link, Pulse { phase, check });
        self.checks.insert((check, link));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Config, PeerId};
    use crate::mesh::io::Output;

    const LINK: LinkId = LinkId(1);

    fn heartbeat() -> Heartbeat {
        Heartbeat::new(&MeshSettings::from_config(&Config::new("n"), PeerId([0; 32])))
    }

    fn pings(out: &mut Outbox) -> usize {
        std::iter::from_fn(|| out.next()).filter(|o| matches!(o, Output::Send { message: Message::Ping { .. }, .. })).count()
    }

    #[test]
    fn a_silent_peer_is_asked_each_interval_and_closed_when_stale() {
        let (mut heart, mut out) = (heartbeat(), Outbox::default());
        heart.alive(Time::ZERO, LINK);
        let mut seen = Vec::new();
        loop {
            let now = heart.deadline().expect("a live link is watched");
            let over = heart.tick(now, &mut out);
            seen.push((now.as_millis(), pings(&mut out), over.len()));
            if !over.is_empty() {
                assert_eq!(over, [(LINK, CloseReason::Stale)]);
                break;
            }
        }
        assert_eq!(seen, [(5_000, 1, 0), (10_000, 1, 0), (15_000, 0, 1)]);
    }

    #[test]
    fn anything_received_is_a_sign_of_life_and_saves_the_ping() {
        let (mut heart, mut out) = (heartbeat(), Outbox::default());
        heart.alive(Time::ZERO, LINK);
        for ms in (1_000..60_000).step_by(1_000) {
            heart.heard(Time::from_millis(ms), LINK);
            assert!(heart.tick(Time::from_millis(ms), &mut out).is_empty());
        }
        assert_eq!(pings(&mut out), 0);
        assert!(
            heart.stale_since(Time::from_millis(68_999), LINK).is_none() && heart.stale_since(Time::from_millis(69_000), LINK).is_some()
        );
    }

    #[test]
    fn a_link_this_node_does_not_read_is_asked_and_never_called_silent() {
        let (mut heart, mut out) = (heartbeat(), Outbox::default());
        heart.alive(Time::ZERO, LINK);
        heart.set_unread(Time::from_millis(1), LINK, true);
        heart.probe(Time::from_millis(2), &mut out);
        for ms in (1_000..=60_000).step_by(500) {
            assert_eq!(heart.tick(Time::from_millis(ms), &mut out), []);
            assert_eq!(heart.stale_since(Time::from_millis(ms), LINK), None);
        }
        // The peer hears from here all the while, and so does not find this side silent either.
        assert_eq!(pings(&mut out), 12);
        heart.set_unread(Time::from_millis(60_000), LINK, false);
        assert_eq!(heart.tick(Time::from_millis(74_999), &mut out), []);
        assert_eq!(heart.tick(Time::from_millis(75_000), &mut out), [(LINK, CloseReason::Stale)]);
    }

    #[test]
    fn a_probe_asks_at_once_and_closes_what_stays_silent_and_nothing_else() {
        let (mut heart, mut out) = (heartbeat(), Outbox::default());
        let (silent, lively) = (LINK, LinkId(2));
        heart.alive(Time::ZERO, silent);
        heart.alive(Time::ZERO, lively);
        heart.expect(LinkId(3), Time::from_millis(5_000));
        heart.probe(Time::from_millis(1_000), &mut out);
        assert_eq!(pings(&mut out), 2);
        heart.heard(Time::from_millis(1_001), lively);
        // Asking again does not put the end off.
        heart.probe(Time::from_millis(2_000), &mut out);
        heart.heard(Time::from_millis(2_001), lively);
        assert_eq!(heart.tick(Time::from_millis(2_999), &mut out), []);
        let over = heart.tick(Time::from_millis(3_000), &mut out);
        assert_eq!(over, [(silent, CloseReason::Stale), (LinkId(3), CloseReason::Timeout)]);
        assert_eq!(heart.tick(Time::from_millis(4_000), &mut out).into_iter().find(|(link, _)| *link == lively), None);
    }

    #[test]
    fn a_handshake_has_one_deadline_that_no_byte_moves() {
        let (mut heart, mut out) = (heartbeat(), Outbox::default());
        heart.expect(LINK, Time::from_millis(5_000));
        heart.heard(Time::from_millis(4_999), LINK);
        assert!(heart.tick(Time::from_millis(4_999), &mut out).is_empty());
        assert_eq!(heart.tick(Time::from_millis(5_000), &mut out), [(LINK, CloseReason::Timeout)]);
    }

    #[test]
    fn a_forgotten_link_leaves_nothing_to_wait_for() {
        let mut heart = heartbeat();
        heart.alive(Time::ZERO, LINK);
        heart.forget(LINK);
        assert_eq!(heart.deadline(), None);
    }
}
