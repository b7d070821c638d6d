//! Persistent targets: which endpoint is dialled when, and again after what.
//!
//! Never opens a connection itself: it names the next endpoint that is due. The guard has the figures.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::{CloseReason, Endpoint, Event, LinkId, PeerId, Time, limits};
use crate::mesh::MeshSettings;
use crate::mesh::guard::{self, Guard, Leave};
use crate::mesh::out::Outbox;
use crate::mesh::peers::Peers;

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
    /// Links in a row that ended almost as soon as they stood, or because the peer broke a rule.
    short_lives: u32,
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
            out.event(Event::ConnectFailed { endpoint, reason: CloseReason::Refused(refusal), retry_in_ms: None });
            return;
        }
        if let Some(target) = self.targets.get_mut(&endpoint).filter(|target| expected.is_some() && target.peer != expected) {
            target.peer = expected;
            if target.state == State::Resting {
                target.state = State::Due(now);
            }
        }
        let known = self.targets.get(&endpoint);
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
        let fresh = Target { state: State::Due(now), manual, attempt_manual: manual, peer: expected, expected, short_lives: 0 };
        let target = self.targets.entry(endpoint).or_insert(fresh);
        target.manual |= manual;
        target.expected = expected.or(target.expected);
        if let Some(state) = state {
            target.attempt_manual = manual && state == State::Due(now);
            target.state = match (target.state, state) {
                (State::Due(planned), State::Due(asked)) => State::Due(planned.min(asked)),
                (_, state) => state,
            };
        }
        self.reschedule();
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
            let found = self.targets.iter().find(|(_, t)| matches!(t.state, State::Due(at) if at <= now));
            let Some((endpoint, peer)) = found.map(|(endpoint, target)| (endpoint.clone(), target.peer)) else { break };
            let state = if is_connected(peer, peers) {
                State::Resting
            } else if peer.is_some() && self.targets.values().any(|t| t.peer == peer && matches!(t.state, State::Dialling(_))) {
                State::Due(now + limits::DIAL_DEDUPE_GAP)
            } else if peers.connected() >= self.max_peers {
                let pause = limits::BACKOFF_AUTOMATIC.1 + guard::jitter(limits::BACKOFF_AUTOMATIC.1, &mut self.rng);
                let retry_in_ms = Some(pause.as_millis() as u64);
                out.event(Event::ConnectFailed { endpoint: endpoint.clone(), reason: CloseReason::MaxPeers, retry_in_ms });
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
        self.reschedule();
    }

    /// The link reached an authenticated peer (whether or not it is the link that stays).
    pub(super) fn reached(&mut self, endpoint: &Endpoint, link: LinkId, peer: PeerId) {
        if let Some(target) = self.target_of(endpoint, link) {
            target.peer = Some(peer);
            target.state = State::Standing(link);
            self.guard.succeeded(endpoint);
            self.reschedule();
        }
    }

    /// The link leads to that peer, which will not let it stand.
    pub(super) fn leads_to(&mut self, endpoint: &Endpoint, link: LinkId, peer: PeerId) {
        if let Some(target) = self.target_of(endpoint, link) {
            target.peer = Some(peer);
        }
    }

    /// A dial did not end in an authenticated link.
    pub(super) fn failed(&mut self, now: Time, endpoint: Endpoint, link: LinkId, reason: CloseReason, out: &mut Outbox) {
        let Some(target) = self.target_of(&endpoint, link) else { return };
        let manual = std::mem::replace(&mut target.attempt_manual, false);
        let wanted = target.manual;
        let mut until = self.guard.failed(now, &endpoint, manual, &mut self.rng);
        let duplicate = reason == CloseReason::Duplicate;
        if duplicate {
            // The peer has a link to this node already, and that was told when it came to stand. Should it be a dead one that
            // only the peer still believes in, the peer finds that out within its stale time.
            until = until.max(now + self.stale_after);
        }
        // Whoever named an endpoint that nobody asked for names it again, if it is still there.
        let again = duplicate || (wanted && reason.is_transient());
        if again {
            self.set(&endpoint, State::Due(until));
        } else {
            self.forget(&endpoint);
        }
        self.reschedule();
        if !duplicate {
            let retry_in_ms = again.then(|| until.since(now).as_millis() as u64);
            out.event(Event::ConnectFailed { endpoint, reason, retry_in_ms });
        }
    }

    /// An authenticated link that was dialled here ended after `lived`.
    pub(super) fn lost(&mut self, now: Time, endpoint: &Endpoint, link: LinkId, reason: &CloseReason, lived: Duration) {
        let Some(target) = self.target_of(endpoint, link) else { return };
        target.attempt_manual = false;
        let duplicate = *reason == CloseReason::Duplicate;
        let in_vain = !duplicate && (lived < limits::BACKOFF_AUTOMATIC.0 || reason.blames_peer());
        target.short_lives = if in_vain { target.short_lives.saturating_add(1) } else { 0 };
        let short_lives = target.short_lives;
        if duplicate || reason.is_transient() {
            let pause = match short_lives {
                0 => guard::jitter(limits::BACKOFF_AUTOMATIC.0, &mut self.rng),
                n => guard::backoff(n, false, &mut self.rng),
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

    /// A peer has no link any more: targets that rested because of it are due again.
    pub(super) fn peer_gone(&mut self, now: Time, peer: &PeerId) {
        for target in self.targets.values_mut().filter(|t| t.peer == Some(*peer) && t.state == State::Resting) {
            target.attempt_manual = false;
            target.state = State::Due(now + guard::jitter(limits::BACKOFF_AUTOMATIC.0, &mut self.rng));
        }
        self.reschedule();
    }

    /// Every target: where, who answered last, and the link that is being dialled or stands.
    pub(super) fn targets(&self) -> impl Iterator<Item = (&Endpoint, Option<PeerId>, Option<LinkId>)> {
        self.targets.iter().map(|(endpoint, target)| {
            let link = match target.state {
                State::Dialling(link) | State::Standing(link) => Some(link),
                State::Due(_) | State::Resting => None,
            };
            (endpoint, target.peer, link)
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
        let idle = self.targets.iter().find(|(_, t)| !t.manual && t.peer.is_none() && matches!(t.state, State::Due(_)));
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

fn is_connected(peer: Option<PeerId>, peers: &Peers) -> bool {
    peer.is_some_and(|peer| peers.link_of(&peer).is_some())
}
