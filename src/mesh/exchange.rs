//! Peer exchange: connected neighbours tell each other where others accept connections. What they tell is worth a dial with the key
//! they name, after a pause of its own, and no more: an IP address that means the same here as to whoever told it, few at a time.
//!
//! An address is one this node reached, or the one a peer is seen from with the port it says it accepts at. Told only between trusted
//! peers, once when a link comes to stand and again for each newcomer, never by a timer. Never dials itself: the dialer does.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::endpoint::Scheme;
use crate::base::trust::{TrustPolicy, TrustState};
use crate::base::{CloseReason, Direction, Endpoint, LinkId, PeerId, Time, limits};
use crate::mesh::reach::{self, Reach};
use crate::mesh::{Mesh, MeshSettings, dialer, guard};
use crate::wire::Message;
use crate::wire::message::Neighbours;

/// See the module.
#[derive(Debug)]
pub(super) struct Exchange {
    is_on: bool,
    port: u16,
    /// Where connected, trusted peers accept connections.
    known: BTreeMap<PeerId, Endpoint>,
    /// Of whom the others have not been told, and when they are.
    news: BTreeSet<PeerId>,
    tell_at: Option<Time>,
    /// Endpoints that wait for their dial, and who named each.
    rumours: BTreeMap<PeerId, (Time, Endpoint, PeerId)>,
    /// No dial of a rumour before.
    next_dial: Time,
    /// Endpoints where another key answered than was named, and until when no rumour about them counts.
    misnamed: BTreeMap<Endpoint, Time>,
    rng: fastrand::Rng,
}

impl Exchange {
    pub(super) fn new(settings: &MeshSettings, seed: u64) -> Exchange {
        Exchange {
            is_on: settings.peer_exchange,
            port: settings.port,
            known: BTreeMap::new(),
            news: BTreeSet::new(),
            tell_at: None,
            rumours: BTreeMap::new(),
            next_dial: Time::ZERO,
            misnamed: BTreeMap::new(),
            rng: fastrand::Rng::with_seed(seed ^ 0x0070_6565_7273),
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let dial = self.rumours.values().map(|(at, ..)| (*at).max(self.next_dial)).min();
        self.tell_at.into_iter().chain(dial).min()
    }

    /// Up to so many of the others, for `reader`: addresses of this machine are told on this machine only.
    fn others(&mut self, reader: PeerId, is_here: bool, only_news: bool) -> Vec<(PeerId, String)> {
        let fits = |(peer, endpoint): &(&PeerId, &Endpoint)| {
            **peer != reader && (is_here || reach::of_address(endpoint) != Some(Reach::Local)) && (!only_news || self.news.contains(*peer))
        };
        let mut others: Vec<_> = self.known.iter().filter(fits).map(|(peer, endpoint)| (*peer, endpoint.to_string())).collect();
        self.rng.shuffle(&mut others);
        others.truncate(limits::NEIGHBOURS_TOLD_MAX);
        others
    }

    fn learn(&mut self, now: Time, peer: PeerId, endpoint: Endpoint) {
        if reach::of_address(&endpoint).is_some() && self.known.get(&peer) != Some(&endpoint) {
            self.known.insert(peer, endpoint);
            self.news.insert(peer);
            self.tell_at.get_or_insert(now + limits::NEIGHBOURS_TELL_AFTER);
        }
    }
}

/// Whether what a link leads to is this machine, or so near that its addresses mean the same.
fn is_local(endpoint: &Endpoint) -> bool {
    reach::of_neighbour(endpoint) == Reach::Local
}

impl Mesh {
    /// A trusted peer is connected, or a connected one is trusted now: it is told of the others, and where this node listens.
    pub(super) fn introduce(&mut self, now: Time, link: LinkId) {
        let Some(peer) = self.peers.peer_of(link).filter(|_| self.exchange.is_on) else { return };
        let Some(entry) = self.peers.link(link) else { return };
        let (endpoint, direction) = (entry.endpoint.clone(), entry.direction);
        let others = self.exchange.others(peer, is_local(&endpoint), false);
        if self.exchange.port != 0 || !others.is_empty() {
            self.out.send(link, Message::Neighbours(Neighbours { port: self.exchange.port, others }));
        }
        if direction == Direction::Outbound {
            self.exchange.learn(now, peer, endpoint);
        }
    }

    /// A peer is gone: nobody is told of it any more.
    pub(super) fn unlearn(&mut self, peer: &PeerId) {
        self.exchange.known.remove(peer);
        self.exchange.news.remove(peer);
    }

    pub(super) fn neighbours(&mut self, now: Time, link: LinkId, told: Neighbours) {
        let Some(peer) = self.peers.peer_of(link).filter(|_| self.exchange.is_on) else { return };
        let (Some(entry), Some(true)) = (self.peers.link(link), self.peers.peer(&peer).map(|peer| peer.trusted)) else { return };
        if entry.direction == Direction::Inbound && told.port != 0 && entry.endpoint.scheme == Scheme::Tcp {
            let endpoint = Endpoint::tcp(entry.endpoint.host.clone(), told.port);
            self.exchange.learn(now, peer, endpoint);
        }
        let speaks_from = reach::of_neighbour(&entry.endpoint);
        let mut of_teller = self.exchange.rumours.values().filter(|(.., teller)| *teller == peer).count();
        for (id, text) in told.others {
            let Ok(endpoint) = text.parse::<Endpoint>() else { continue };
            let can_know = reach::of_address(&endpoint).is_some_and(|reach| reach >= speaks_from);
            let has_room = of_teller < limits::RUMOURS_PER_TELLER_MAX && self.exchange.rumours.len() < limits::RUMOURS_MAX;
            if can_know && has_room && !self.exchange.rumours.contains_key(&id) && self.is_worth_a_dial(now, &id, &endpoint) {
                let at = now + guard::up_to(limits::RUMOUR_SPREAD, &mut self.exchange.rng);
                self.exchange.rumours.insert(id, (at, endpoint, peer));
                of_teller += 1;
            }
        }
    }

    /// Whether a rumour can lead to a new peer that may come in.
    fn is_worth_a_dial(&self, now: Time, id: &PeerId, endpoint: &Endpoint) -> bool {
        let may_come_in = match self.settings.trust.state_of(id) {
            Some(TrustState::Revoked) => false,
            Some(TrustState::Trusted | TrustState::Pinned) => true,
            None => matches!(self.settings.trust.policy(), TrustPolicy::Open | TrustPolicy::Tofu),
        };
        let is_new = *id != self.settings.local && self.peers.link_of(id).is_none() && !self.dialer.has(endpoint);
        let is_doubted = self.exchange.misnamed.get(endpoint).is_some_and(|until| *until > now);
        self.settings.dial && may_come_in && is_new && !is_doubted && self.peers.connected() < self.settings.max_peers
    }

    pub(super) fn exchange_tick(&mut self, now: Time) {
        if self.exchange.tell_at.is_some_and(|at| at <= now) {
            self.exchange.tell_at = None;
            let told: Vec<_> =
                self.peers.iter().filter(|(_, peer)| peer.trusted).filter_map(|(id, peer)| Some((*id, peer.link?))).collect();
            for (id, link) in told {
                let is_here = self.peers.link(link).is_some_and(|entry| is_local(&entry.endpoint));
                let others = self.exchange.others(id, is_here, true);
                if !others.is_empty() {
                    self.out.send(link, Message::Neighbours(Neighbours { port: self.exchange.port, others }));
                }
            }
            self.exchange.news.clear();
        }
        while self.exchange.next_dial <= now {
            let Some(id) = self.exchange.rumours.iter().find(|(_, (at, ..))| *at <= now).map(|(id, _)| *id) else { return };
            if self.dialer.rumours() >= limits::RUMOUR_DIALS_MAX {
                self.exchange.next_dial = now + limits::RUMOUR_DIAL_EVERY;
                return;
            }
            let Some((_, endpoint, _)) = self.exchange.rumours.remove(&id) else { return };
            if self.is_worth_a_dial(now, &id, &endpoint) {
                self.exchange.next_dial = now + limits::RUMOUR_DIAL_EVERY;
                self.dialer.connect_rumour(now, (endpoint, id), &self.peers, &mut self.out);
            }
        }
    }

    /// A dial has ended. If another key answered than a rumour named, that says nothing against the endpoint, but no rumour about it
    /// counts for a while.
    pub(super) fn doubt(&mut self, now: Time, endpoint: &Endpoint, reason: &CloseReason) {
        if dialer::is_unexpected(reason) && self.dialer.is_rumour(endpoint) {
            self.exchange.misnamed.retain(|_, until| *until > now);
            if self.exchange.misnamed.len() >= limits::RUMOURS_MAX {
                self.exchange.misnamed.pop_first();
            }
            self.exchange.misnamed.insert(endpoint.clone(), now + limits::RUMOUR_DOUBT);
        }
    }
}
