//! Peer exchange: connected neighbours tell each other where others accept connections. What they tell is worth a dial with the key
//! they name, after a pause of its own, and no more.
//!
//! An address is one this node reached, or the one a peer is seen from with the port it says it accepts at. Told only between trusted
//! peers, once when a link comes to stand and again for each newcomer, never by a timer. Never dials itself: the dialer does.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::endpoint::Scheme;
use crate::base::trust::{TrustPolicy, TrustState};
use crate::base::{Direction, Endpoint, LinkId, PeerId, Time, limits};
use crate::mesh::{Mesh, MeshSettings, guard};
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
    /// Endpoints that wait for their dial.
    rumours: BTreeMap<PeerId, (Time, Endpoint)>,
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
            rng: fastrand::Rng::with_seed(seed ^ 0x0070_6565_7273),
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.tell_at.into_iter().chain(self.rumours.values().map(|(at, _)| *at)).min()
    }

    /// Up to so many of the others, for `reader`: addresses of this machine are told on this machine only.
    fn others(&mut self, reader: PeerId, is_here: bool, only_news: bool) -> Vec<(PeerId, String)> {
        let fits = |(peer, endpoint): &(&PeerId, &Endpoint)| {
            **peer != reader && (is_here || !is_local(endpoint)) && (!only_news || self.news.contains(*peer))
        };
        let mut others: Vec<_> = self.known.iter().filter(fits).map(|(peer, endpoint)| (*peer, endpoint.to_string())).collect();
        self.rng.shuffle(&mut others);
        others.truncate(limits::NEIGHBOURS_TOLD_MAX);
        others
    }

    fn learn(&mut self, now: Time, peer: PeerId, endpoint: Endpoint) {
        if endpoint.scheme == Scheme::Tcp && self.known.get(&peer) != Some(&endpoint) {
            self.known.insert(peer, endpoint);
            self.news.insert(peer);
            self.tell_at.get_or_insert(now + limits::NEIGHBOURS_TELL_AFTER);
        }
    }
}

/// Whether an address means another machine, or another interface, to whoever is told: loopback and link-local ones.
fn is_local(endpoint: &Endpoint) -> bool {
    let host = endpoint.host.as_str();
    host == "localhost" || host == "::1" || host.starts_with("127.") || host.starts_with("fe80:") || host.starts_with("169.254.")
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
        for (id, text) in told.others {
            let Ok(endpoint) = text.parse::<Endpoint>() else { continue };
            if endpoint.scheme == Scheme::Tcp && self.is_worth_a_dial(&id, &endpoint) && self.exchange.rumours.len() < limits::RUMOURS_MAX {
                let at = now + guard::up_to(limits::RUMOUR_SPREAD, &mut self.exchange.rng);
                self.exchange.rumours.entry(id).or_insert((at, endpoint));
            }
        }
    }

    /// Whether a rumour can lead to a new peer that may come in.
    fn is_worth_a_dial(&self, id: &PeerId, endpoint: &Endpoint) -> bool {
        let may_come_in = match self.settings.trust.state_of(id) {
            Some(TrustState::Revoked) => false,
            Some(TrustState::Trusted | TrustState::Pinned) => true,
            None => matches!(self.settings.trust.policy(), TrustPolicy::Open | TrustPolicy::Tofu),
        };
        let is_new = *id != self.settings.local && self.peers.link_of(id).is_none() && !self.dialer.has(endpoint);
        self.settings.dial && may_come_in && is_new && self.peers.connected() < self.settings.max_peers
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
        let due: Vec<PeerId> = self.exchange.rumours.iter().filter(|(_, (at, _))| *at <= now).map(|(id, _)| *id).collect();
        for id in due {
            let Some((_, endpoint)) = self.exchange.rumours.remove(&id) else { continue };
            if self.is_worth_a_dial(&id, &endpoint) {
                self.dialer.connect(now, (endpoint, Some(id)), false, &self.peers, &mut self.out);
            }
        }
    }
}
