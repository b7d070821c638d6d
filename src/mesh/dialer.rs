//! Persistent targets: which endpoint is dialled when, and again after what.
//!
//! Never opens a connection itself: it names the next endpoint that is due. The guard has the figures.

mod signs;
mod turns;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::close::Distrust;
use crate::base::{CloseReason, Endpoint, Event, LinkId, PeerId, Time, limits};
use crate::mesh::MeshSettings;
use crate::mesh::guard::{self, Guard, Ladder, Leave};
use crate::mesh::out::Outbox;
use crate::mesh::peers::Peers;

pub(super) use signs::{Answer, Sign};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// To be dialled at this time.
    Due(Time),
    /// This link is being dialled.
    Dialling(LinkId),
    /// This link stands.
    Standing(LinkId),
    /// Its peer is connected by another link.
    Resting,
}

#[derive(Debug)]
struct Target {
    state: State,
    /// Asked for by a person, now or earlier; such a target never gives way to others.
    manual: bool,
    /// Whether the attempt that is due or under way is the one a person asked for. A redial never is.
    attempt_manual: bool,
    /// Who answered last time, or is expected to.
    peer: Option<PeerId>,
    /// The only key that will do.
    expected: Option<PeerId>,
    /// Named by a neighbour only.
    rumour: bool,
    /// Whether a peer ever answered there.
    answered: bool,
    /// When the dial under way began.
    began: Time,
    /// Whether its connection is open.
    open: bool,
    /// Due only because another address of its peer is being dialled.
    waits: bool,
    /// Since when nothing is under way.
    idle_since: Time,
    /// Links in a row that ended almost as soon as they stood, or because the peer broke a rule.
    short_lives: u32,
}

impl Target {
    fn new(now: Time, manual: bool, expected: Option<PeerId>) -> Target {
        Target {
            state: State::Due(now),
            manual,
            attempt_manual: manual,
            peer: expected,
            expected,
            rumour: false,
            answered: false,
            began: Time::ZERO,
            open: false,
            waits: false,
            idle_since: now,
            short_lives: 0,
        }
    }
}

/// What can be seen of a target.
pub(super) struct Seen<'a> {
    pub(super) endpoint: &'a Endpoint,
    /// Who answered last, or is expected to.
    pub(super) peer: Option<PeerId>,
    /// Asked for by a person.
    pub(super) wanted: bool,
    /// The link that is being dialled, or stands.
    pub(super) link: Option<LinkId>,
    /// When it is dialled.
    pub(super) due: Option<Time>,
    /// Since when nothing is under way, if nothing is.
    pub(super) idle_since: Time,
    /// Attempts in a row that failed, or links that ended at once.
    pub(super) failures: u32,
    /// Why the last attempt or link ended.
    pub(super) last_reason: Option<&'a CloseReason>,
}

/// Every endpoint this node is to stay connected to, at most `limits::DIAL_TARGETS_MAX`.
#[derive(Debug)]
pub(super) struct Dialer {
    enabled: bool,
    max_peers: usize,
    stale_after: Duration,
    targets: BTreeMap<Endpoint, Target>,
    dialling: usize,
    next: Option<Time>,
    /// No dial before this that only an unproven announcement asks for.
    next_rumour: Time,
    rng: fastrand::Rng,
    pub(super) guard: Guard,
}

impl Dialer {
    pub(super) fn new(settings: &MeshSettings, seed: u64) -> Dialer {
        Dialer {
            enabled: settings.dial,
            max_peers: settings.max_peers,
            stale_after: settings.stale_after,
            targets: BTreeMap::new(),
            dialling: 0,
            next: None,
            next_rumour: Time::ZERO,
            rng: fastrand::Rng::with_seed(seed),
            guard: Guard::default(),
        }
    }

    /// When `due` has something to name; `None` also while so many dials are under way that only their end can help.
    pub(super) fn deadline(&self) -> Option<Time> {
        if self.dialling >= limits::DIALS_MAX { None } else { self.next }
    }

    /// The application wants this endpoint: registers it and makes it due, unless the guard or a standing link says otherwise.
    pub(super) fn connect(
        &mut self,
        now: Time,
        (endpoint, expected): (Endpoint, Option<PeerId>),
        manual: bool,
        peers: &Peers,
        out: &mut Outbox,
    ) {
        if let Some(refusal) = self.refusal(&endpoint) {
            out.event(Event::ConnectFailed { endpoint, peer: expected, reason: CloseReason::Refused(refusal), retry_in_ms: None });
            return;
        }
        if let Some(target) = self.targets.get_mut(&endpoint).filter(|target| expected.is_some() && target.peer != expected) {
            target.peer = expected;
            if target.state == State::Resting {
                target.state = State::Due(now);
            }
        }
        let known = self.targets.get(&endpoint);
        let is_new = known.is_none();
        let standing = known.is_some_and(|t| !matches!(t.state, State::Due(_)) || is_connected(t.peer, peers));
        let state = if standing {
            self.guard.count_deduped();
            None
        } else {
            Some(match self.guard.ask(now, &endpoint, manual) {
                Leave::Go => State::Due(now),
                Leave::Deduped => State::Due(now + limits::DIAL_DEDUPE_GAP),
                Leave::BackingOff(until) => State::Due(until),
            })
        };
        let fresh = Target::new(now, manual, expected);
        let target = self.targets.entry(endpoint).or_insert(fresh);
        target.manual |= manual;
        if manual && target.rumour {
            target.rumour = false;
            (target.expected, target.peer) = (expected, expected.or(target.peer.filter(|_| target.answered)));
        }
        target.expected = expected.or(target.expected);
        if let Some(state) = state {
            target.attempt_manual = manual && state == State::Due(now);
            target.state = match (target.state, state) {
                (State::Due(planned), State::Due(asked)) if !is_new => State::Due(planned.min(asked)),
                (_, state) => state,
            };
        }
        self.reschedule();
    }

    /// A neighbour says that this key accepts connections there.
    pub(super) fn connect_rumour(&mut self, now: Time, (endpoint, key): (Endpoint, PeerId), peers: &Peers, out: &mut Outbox) {
        self.connect(now, (endpoint.clone(), Some(key)), false, peers, out);
        if let Some(target) = self.targets.get_mut(&endpoint) {
            target.rumour = !target.manual;
        }
    }

    /// Whether only a neighbour named it.
    pub(super) fn is_rumour(&self, endpoint: &Endpoint) -> bool {
        self.targets.get(endpoint).is_some_and(|target| target.rumour)
    }

    /// Rumours that are dialled, or about to be, and never proved true.
    pub(super) fn rumours(&self) -> usize {
        self.targets.values().filter(|t| t.rumour && !t.answered && matches!(t.state, State::Due(_) | State::Dialling(_))).count()
    }

    /// Drops every target whose peer is `peer`; names the links among them that are being dialled.
    pub(super) fn disconnect(&mut self, peer: &PeerId) -> Vec<LinkId> {
        let mut dialling = Vec::new();
        self.targets.retain(|_, target| {
            let drop = target.peer == Some(*peer);
            if let (true, State::Dialling(link)) = (drop, target.state) {
                dialling.push(link);
            }
            !drop
        });
        self.reschedule();
        dialling
    }

    /// The next endpoint to dial now. The caller dials it and says so with [`Dialer::opened`].
    pub(super) fn due(&mut self, now: Time, peers: &Peers, out: &mut Outbox) -> Option<Endpoint> {
        while self.deadline().is_some_and(|at| at <= now) {
            let Some((endpoint, peer, expected)) = self.next_due(now) else { break };
            let turn = self.turn(now, peer);
            self.postpone(&endpoint, turn > now);
            let state = if is_connected(peer, peers) {
                State::Resting
            } else if turn > now {
                State::Due(turn)
            } else if peers.connected() >= self.max_peers {
                let pause = limits::BACKOFF_AUTOMATIC.1 + guard::jitter(limits::BACKOFF_AUTOMATIC.1, &mut self.rng);
                let retry_in_ms = Some(pause.as_millis() as u64);
                self.guard.ended(now, &endpoint, &CloseReason::MaxPeers);
                out.event(Event::ConnectFailed { endpoint: endpoint.clone(), peer: expected, reason: CloseReason::MaxPeers, retry_in_ms });
                State::Due(now + pause)
            } else {
                return Some(endpoint);
            };
            self.set(&endpoint, state);
            self.reschedule();
        }
        None
    }

    /// An endpoint named by [`Dialer::due`] is being dialled under this number.
    pub(super) fn opened(&mut self, now: Time, endpoint: &Endpoint, link: LinkId) {
        self.guard.attempted(now, endpoint);
        self.set(endpoint, State::Dialling(link));
        if let Some(target) = self.targets.get_mut(endpoint) {
            (target.began, target.open) = (now, false);
        }
        self.reschedule();
    }

    /// A dialled connection is open: other addresses of its peer wait for what becomes of it. Names their dials that are to be called
    /// off.
    pub(super) fn connected(&mut self, now: Time, link: LinkId) -> Vec<LinkId> {
        let Some(target) = self.targets.values_mut().find(|t| t.state == State::Dialling(link)) else { return Vec::new() };
        target.open = true;
        let peer = target.peer;
        let mut slower = Vec::new();
        for target in self.targets.values_mut().filter(|t| t.peer.is_some() && t.peer == peer && !t.open) {
            if let State::Dialling(link) = target.state {
                slower.push(link);
                (target.state, target.waits) = (State::Due(now + limits::DIAL_DEDUPE_GAP), true);
            }
        }
        self.reschedule();
        slower
    }

    /// The link reached an authenticated peer (whether or not it is the link that stays).
    pub(super) fn reached(&mut self, endpoint: &Endpoint, link: LinkId, peer: PeerId) {
        if let Some(target) = self.target_of(endpoint, link) {
            target.peer = Some(peer);
            (target.state, target.answered) = (State::Standing(link), true);
            self.guard.succeeded(endpoint);
            self.reschedule();
        }
    }

    /// The link leads to that peer, which will not let it stand.
    pub(super) fn leads_to(&mut self, endpoint: &Endpoint, link: LinkId, peer: PeerId) {
        if let Some(target) = self.target_of(endpoint, link) {
            (target.peer, target.answered) = (Some(peer), true);
        }
    }

    /// A dial did not end in an authenticated link.
    pub(super) fn failed(&mut self, now: Time, endpoint: Endpoint, link: LinkId, reason: CloseReason, out: &mut Outbox) {
        let Some(target) = self.target_of(&endpoint, link) else { return };
        let manual = std::mem::replace(&mut target.attempt_manual, false);
        let wanted = target.manual;
        target.idle_since = now;
        let duplicate = reason == CloseReason::Duplicate;
        let mut until = now;
        // A rumour's wrong key says nothing against the endpoint.
        if !(target.rumour && is_unexpected(&reason)) {
            until = self.guard.failed(now, &endpoint, ladder(manual, wanted, &reason), &mut self.rng);
            self.guard.ended(now, &endpoint, &reason);
        }
        if duplicate && self.targets.get(&endpoint).is_some_and(|target| target.peer.is_none()) {
            // Somebody there has a link to this node already, and that was told when it came to stand. Where it is known who, and that
            // one has none here, it is a dead one that only the peer still believes in: the peer has asked it by the next attempt.
            until = until.max(now + self.stale_after);
        }
        // Whoever named an endpoint that nobody asked for names it again, if it is still there.
        let again = duplicate || (wanted && reason.is_transient());
        let (peer, expected) = self.targets.get(&endpoint).map_or((None, None), |t| (t.peer, t.expected));
        self.next_turn(now, peer);
        if again {
            self.set(&endpoint, State::Due(until));
        } else {
            self.forget(&endpoint);
        }
        self.reschedule();
        if !duplicate {
            let retry_in_ms = again.then(|| until.since(now).as_millis() as u64);
            out.event(Event::ConnectFailed { endpoint, peer: expected, reason, retry_in_ms });
        }
    }

    /// An authenticated link that was dialled here ended after `lived`.
    pub(super) fn lost(&mut self, now: Time, endpoint: &Endpoint, link: LinkId, reason: &CloseReason, lived: Duration) {
        let Some(target) = self.target_of(endpoint, link) else { return };
        target.attempt_manual = false;
        let duplicate = *reason == CloseReason::Duplicate;
        let in_vain = !duplicate && (lived < limits::BACKOFF_AUTOMATIC.0 || reason.blames_peer());
        target.short_lives = if in_vain { target.short_lives.saturating_add(1) } else { 0 };
        target.idle_since = now;
        let short_lives = target.short_lives;
        if short_lives == 0 {
            self.guard.stood(endpoint);
        }
        self.guard.ended(now, endpoint, reason);
        if duplicate || reason.is_transient() {
            let pause = match short_lives {
                0 => guard::jitter(limits::BACKOFF_AUTOMATIC.0, &mut self.rng),
                n => guard::backoff(n, Ladder::Automatic, &mut self.rng),
            };
            self.set(endpoint, State::Due(now + pause));
        } else {
            self.forget(endpoint);
        }
        self.reschedule();
    }

    /// The key that is to answer at an endpoint, if one was named.
    pub(super) fn expected(&self, endpoint: &Endpoint) -> Option<PeerId> {
        self.targets.get(endpoint)?.expected
    }

    /// Whether this node keeps itself connected to an endpoint, whatever stands there now.
    pub(super) fn has(&self, endpoint: &Endpoint) -> bool {
        self.targets.contains_key(endpoint)
    }

    /// A peer has no link any more: targets that rested because of it are due again.
    pub(super) fn peer_gone(&mut self, now: Time, peer: &PeerId) {
        for target in self.targets.values_mut().filter(|t| t.peer == Some(*peer) && t.state == State::Resting) {
            target.attempt_manual = false;
            target.state = State::Due(now + guard::jitter(limits::BACKOFF_AUTOMATIC.0, &mut self.rng));
        }
        self.reschedule();
    }

    /// The network is another one: failures are forgotten, and what is not connected is due. Names the dials that are to be called
    /// off, which began on the old one.
    pub(super) fn network_changed(&mut self, now: Time) -> Vec<LinkId> {
        self.guard.forgive();
        let mut called_off = Vec::new();
        for (endpoint, target) in &mut self.targets {
            target.short_lives = 0;
            match target.state {
                State::Dialling(link) if !target.open => called_off.push(link),
                State::Due(_) => {}
                State::Dialling(_) | State::Standing(_) | State::Resting => continue,
            }
            (target.state, target.waits) = (State::Due(self.guard.distant(now, endpoint)), false);
        }
        self.reschedule();
        called_off
    }

    /// The dial of an endpoint is given up without counting as a failure; another is due.
    pub(super) fn call_off(&mut self, now: Time, endpoint: &Endpoint) {
        self.set(endpoint, State::Due(now));
        self.reschedule();
    }

    /// Drops a target; the link by which it is being dialled, if it is.
    pub(super) fn forget_endpoint(&mut self, endpoint: &Endpoint) -> Option<LinkId> {
        let target = self.targets.remove(endpoint)?;
        self.reschedule();
        if let State::Dialling(link) = target.state { Some(link) } else { None }
    }

    /// Every target.
    pub(super) fn targets(&self) -> impl Iterator<Item = Seen<'_>> {
        self.targets.iter().map(|(endpoint, target)| {
            let (link, due) = match target.state {
                State::Dialling(link) | State::Standing(link) => (Some(link), None),
                State::Due(at) => (None, Some(at)),
                State::Resting => (None, None),
            };
            let failures = self.guard.failures(endpoint).max(target.short_lives);
            let (peer, wanted, idle_since) = (target.peer, target.manual, target.idle_since);
            Seen { endpoint, peer, wanted, link, due, idle_since, failures, last_reason: self.guard.last_end(endpoint).map(|(_, why)| why) }
        })
    }

    /// Why a new target cannot be taken, making room first if an automatic one can give way.
    fn refusal(&mut self, endpoint: &Endpoint) -> Option<String> {
        if !self.enabled {
            return Some("this node does not dial; set `dial` to true in its settings".into());
        }
        if self.targets.contains_key(endpoint) || self.targets.len() < limits::DIAL_TARGETS_MAX {
            return None;
        }
        let idle = self.targets.iter().find(|(_, t)| !t.manual && !t.answered && matches!(t.state, State::Due(_)));
        match idle.map(|(endpoint, _)| endpoint.clone()) {
            Some(endpoint) => {
                self.targets.remove(&endpoint);
                None
            }
            None => Some(format!("{} endpoints are being dialled already, which is the limit", self.targets.len())),
        }
    }

    fn target_of(&mut self, endpoint: &Endpoint, link: LinkId) -> Option<&mut Target> {
        self.targets.get_mut(endpoint).filter(|target| matches!(target.state, State::Dialling(l) | State::Standing(l) if l == link))
    }

    fn set(&mut self, endpoint: &Endpoint, state: State) {
        if let Some(target) = self.targets.get_mut(endpoint) {
            target.state = state;
        }
    }

    fn forget(&mut self, endpoint: &Endpoint) {
        self.targets.remove(endpoint);
    }

    fn reschedule(&mut self) {
        let due = |target: &Target| if let State::Due(at) = target.state { Some(at) } else { None };
        self.next = self.targets.values().filter_map(due).min();
        self.dialling = self.targets.values().filter(|t| matches!(t.state, State::Dialling(_))).count();
    }
}

/// Whether another key answered than the one that was named.
pub(super) fn is_unexpected(reason: &CloseReason) -> bool {
    matches!(reason, CloseReason::Untrusted(Distrust::Unexpected { .. }))
}

/// A finder names an endpoint every few seconds, also one whose peer cannot be had as it is: a node of the first protocol, a stranger.
fn ladder(manual: bool, wanted: bool, reason: &CloseReason) -> Ladder {
    match reason {
        _ if manual => Ladder::Manual,
        CloseReason::BadVersion(_) | CloseReason::Untrusted(_) | CloseReason::Revoked(_) | CloseReason::SelfConnect if !wanted => {
            Ladder::TurnedAway
        }
        _ => Ladder::Automatic,
    }
}

fn is_connected(peer: Option<PeerId>, peers: &Peers) -> bool {
    peer.is_some_and(|peer| peers.link_of(&peer).is_some())
}
