//! Messages to peers that are no neighbours: how they are sent, passed on, taken, and told about.
//!
//! ```text
//!  post ─► posts ─► table ──no way──► search ─► neighbours ─► … ─► one that has a link to the peer
//!             ▲       │ way                                              │
//!             │       ▼                                                  ▼
//!          notice ◄─ relays (crumbs, rates) ─► the recipient (replays) ◄─ found: each on the way learns its next hop
//! ```
//!
//! Never seals or opens: the carrier does, outside the node's lock. Believes nothing of what relays say but what the recipient proves.

mod fair;
mod pass;
mod posts;
mod relay;
mod replay;
mod search;
mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::base::answer::Answers;
use crate::base::route::{Route, Undelivered};
use crate::base::trust::{TrustPolicy, TrustState};
use crate::base::{DataBatch, Event, LinkId, PeerId, Time, limits};
use crate::mesh::{Mesh, MeshSettings};
use crate::wire::Message;
use crate::wire::cursor::encode_varint;
use crate::wire::message::{Notice, Parcel, ParcelId, Verdict, kind};

use posts::{Heard, Need, Posts};
use relay::{Crumbs, Rates, Searches, Shares};
use replay::{Replays, Taken};
use table::Table;

/// Everything about routes that one node keeps.
#[derive(Debug)]
pub(super) struct Routing {
    relay: bool,
    /// The run of this process, as a sender.
    run: u64,
    table: Table,
    posts: Posts,
    /// Own searches by target: the last one's number and time.
    searched: BTreeMap<PeerId, (u64, Time)>,
    searches: Searches,
    /// Numbers of searches, which tell nothing of each other.
    numbers: fastrand::Rng,
    crumbs: Crumbs,
    shares: Shares,
    asked: Rates<PeerId>,
    /// Searches passed on: for each neighbour, and in all.
    forwarded: (Rates<PeerId>, Rates<()>),
    replays: Replays,
    /// Parcels the carrier is opening: whom each came from, and the run it was sealed for.
    openings: BTreeMap<u64, (PeerId, ParcelId, u64)>,
    opened: Rates<PeerId>,
    ticket: u64,
}

impl Routing {
    pub(super) fn new(settings: &MeshSettings, seed: u64) -> Routing {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x726f_7574_6573);
        Routing {
            relay: settings.relay,
            run: rng.u64(1..),
            table: Table::default(),
            posts: Posts::default(),
            searched: BTreeMap::new(),
            searches: Searches::default(),
            numbers: fastrand::Rng::with_seed(rng.u64(..)),
            crumbs: Crumbs::new(),
            shares: Shares::new(),
            asked: Rates::new(limits::SEARCH_BURST, limits::SEARCH_EVERY),
            forwarded: (
                Rates::new(limits::SEARCH_SHARE_BURST, limits::SEARCH_SHARE_EVERY),
                Rates::new(limits::SEARCH_FORWARD_BURST, limits::SEARCH_FORWARD_EVERY),
            ),
            replays: Replays::new(rng.u64(..)),
            openings: BTreeMap::new(),
            opened: Rates::new(limits::OPENING_BURST, limits::OPENING_EVERY),
            ticket: 0,
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.posts.deadline()
    }
}

impl Mesh {
    /// Whether another message over a route fits.
    pub fn may_post(&self, len: usize) -> bool {
        self.route.posts.has_room(len)
    }

    /// The way a message to that peer would take now; `None`: it would be searched.
    pub fn resolve(&self, to: &PeerId) -> Option<Route> {
        self.route.table.resolve(to, |peer| self.peers.link_of(peer).is_some())
    }

    pub(super) fn give_route(&mut self, now: Time, to: PeerId, way: Option<(PeerId, u8)>) {
        match way {
            Some((next_hop, ttl)) => self.route.table.give(to, next_hop, ttl),
            None => self.route.table.take_back(&to),
        }
        self.way_found(now, &to);
    }

    pub(super) fn post(&mut self, now: Time, number: u64, to: PeerId, payload: Bytes, life: Duration) {
        if !self.route.posts.has_room(payload.len()) {
            return self.out.event(Event::Undelivered { peer: to, message: number, reason: Undelivered::Busy });
        }
        self.route.posts.add(now, number, to, payload, life);
        self.push_post(now, number);
    }

    /// The carrier has sealed an own message.
    pub(super) fn sealed(&mut self, now: Time, number: u64, run: u64, sealed: Option<(Bytes, Answers)>) {
        match self.route.posts.sealed(number, run, sealed) {
            Ok(true) => self.push_post(now, number),
            Ok(false) => {}
            Err((peer, reason)) => self.out.event(Event::Undelivered { peer, message: number, reason }),
        }
    }

    /// Tries what is due, gives up what has lived its life.
    pub(super) fn route_tick(&mut self, now: Time) {
        while let Some(number) = self.route.posts.next_due(now) {
            if let Some((peer, reason)) = self.route.posts.expire(now, number) {
                self.out.event(Event::Undelivered { peer, message: number, reason });
                continue;
            }
            let to = self.route.posts.to(number);
            if let (Some(to), Some(hop)) = (to, self.route.posts.overdue(number)) {
                self.route.table.doubt(now, &to, &hop);
            } else if let Some(to) = to.filter(|to| self.resolve(to).is_none()) {
                self.route.table.take_spare(now, to);
            }
            self.push_post(now, number);
        }
    }

    /// There are more links than before: what found no way tries again.
    pub(super) fn link_came(&mut self, now: Time) {
        for number in self.route.posts.stranded(None) {
            self.push_post(now, number);
        }
    }

    fn way_found(&mut self, now: Time, to: &PeerId) {
        for number in self.route.posts.stranded(Some(to)) {
            self.push_post(now, number);
        }
    }

    fn push_post(&mut self, now: Time, number: u64) {
        let Some(to) = self.route.posts.to(number) else { return };
        let Some(route) = self.resolve(&to) else {
            self.route.posts.strand(now, number);
            return self.seek(now, to);
        };
        let local = (self.settings.local, self.route.run);
        match self.route.posts.ready(now, number, local, route.next_hop) {
            Need::Seal { to, run, payload } => self.out.seal(number, to, (self.route.run, run), payload),
            Need::Send(parcel) => {
                // One that is for the next hop itself is not relayed there.
                if route.next_hop != to {
                    self.route.shares.own(now, (self.settings.local, route.next_hop), parcel.sealed.len());
                }
                self.send_to_peer(&route.next_hop, Message::Parcel(Parcel { ttl: route.ttl, ..parcel }));
            }
            Need::Nothing => {}
        }
    }

    fn send_to_peer(&mut self, peer: &PeerId, message: Message) {
        if let Some(link) = self.peers.link_of(peer) {
            self.out.send(link, message);
        }
    }

    /// Whether a connected peer is one to relay for and to.
    fn is_friend(&self, peer: &PeerId) -> bool {
        self.peers.peer(peer).is_some_and(|peer| peer.link.is_some() && peer.trusted)
    }

    /// Whether a peer may write to this node over relays: who might come in by a link, for all that its key alone says.
    fn may_write(&self, from: &PeerId) -> bool {
        match self.settings.trust.state_of(from) {
            Some(TrustState::Revoked) => false,
            Some(TrustState::Trusted | TrustState::Pinned) => true,
            None => matches!(self.settings.trust.policy(), TrustPolicy::Open | TrustPolicy::Tofu),
        }
    }

    fn is_revoked(&self, peer: &PeerId) -> bool {
        self.settings.trust.state_of(peer) == Some(TrustState::Revoked)
    }

    pub(super) fn parcel(&mut self, now: Time, link: LinkId, parcel: Parcel) {
        let Some(carrier) = self.peers.peer_of(link) else { return };
        let id = parcel.id;
        let verdict = if parcel.to == self.settings.local { self.accept(now, carrier, parcel) } else { self.relay(now, carrier, parcel) };
        if let Err(verdict) = verdict {
            self.out.send(link, Message::Notice(Notice { id, verdict }));
        }
    }

    /// A parcel for this node: the carrier opens it, if it is worth that. One for another run as well: only so can be proven which is this.
    fn accept(&mut self, now: Time, carrier: PeerId, parcel: Parcel) -> Result<(), Verdict> {
        if parcel.id.from == self.settings.local || !self.may_write(&parcel.id.from) {
            return Err(Verdict::Refused);
        }
        let of_carrier = self.route.openings.values().filter(|(by, ..)| *by == carrier).count();
        let has_room = self.route.openings.len() < limits::OPENINGS_MAX && of_carrier < limits::OPENINGS_PER_CARRIER_MAX;
        if !has_room || !self.route.opened.allow(now, carrier) {
            return Err(Verdict::Busy);
        }
        self.route.ticket += 1;
        self.route.openings.insert(self.route.ticket, (carrier, parcel.id, parcel.to_run));
        self.out.open(self.route.ticket, parcel);
        Ok(())
    }

    /// The carrier has opened a parcel, or could not.
    pub(super) fn opened(&mut self, now: Time, ticket: u64, opened: Option<(Bytes, Answers)>) {
        let Some((carrier, id, run)) = self.route.openings.remove(&ticket) else { return };
        if opened.is_none() {
            self.route.opened.charge(now, carrier, limits::OPENING_FAILED_COST);
        }
        // What is settled may have changed meanwhile.
        let verdict = match opened.filter(|_| self.may_write(&id.from)) {
            None => Verdict::Refused,
            Some((_, answers)) if run != self.route.replays.run() => Verdict::Run(answers.run(self.route.replays.run())),
            Some((payload, answers)) => match self.take(now, &id) {
                Taken::New => {
                    self.out.event(Event::Data { peer: id.from, batch: as_batch(&payload) });
                    Verdict::Received(answers.receipt())
                }
                Taken::Again => Verdict::Received(answers.receipt()),
                Taken::Full => Verdict::Busy,
                Taken::Renewed => Verdict::Run(answers.run(self.route.replays.run())),
                Taken::Unknown => return,
            },
        };
        self.send_to_peer(&carrier, Message::Notice(Notice { id, verdict }));
    }

    fn take(&mut self, now: Time, id: &ParcelId) -> Taken {
        let is_listed = matches!(self.settings.trust.state_of(&id.from), Some(TrustState::Trusted | TrustState::Pinned));
        self.route.replays.take(now, id.from, is_listed, (id.from_run, id.number))
    }

    /// A notice about an own message, from a neighbour or this node itself.
    fn heard(&mut self, now: Time, id: &ParcelId, by: Option<PeerId>, verdict: Verdict) {
        let message = id.number;
        match self.route.posts.heard(now, id, by, verdict) {
            Heard::Delivered(peer) => {
                self.way_proven(now, peer, by);
                self.out.event(Event::Delivered { peer, message });
            }
            Heard::Renew(peer) => {
                self.way_proven(now, peer, by);
                self.push_post(now, message);
            }
            Heard::Renewed => self.push_post(now, message),
            Heard::Astray(peer) => {
                if let Some(by) = by {
                    self.route.table.doubt(now, &peer, &by);
                }
                // A named way is searched as well: its neighbours learn it by that.
                if !self.resolve(&peer).is_some_and(|route| route.learned) {
                    self.seek(now, peer);
                }
            }
            Heard::Slow(peer) => {
                // Many who are full tell the truth, so the way is kept, for want of another. One that refuses what others would take is
                // to be gone round by relays as well: the search is what they learn other ways from.
                let ways = self.route.table.ways(&peer).len();
                if let Some(by) = by.filter(|_| ways > 0) {
                    self.route.table.prefer_others(&peer, &by);
                    if ways == 1 || verdict == Verdict::Refused {
                        self.seek(now, peer);
                    }
                }
            }
            Heard::Nothing => {}
        }
    }

    fn way_proven(&mut self, now: Time, to: PeerId, by: Option<PeerId>) {
        if let Some(by) = by {
            self.route.table.proved(now, to, by);
        }
    }
}

/// A message as those of a link come.
fn as_batch(payload: &[u8]) -> DataBatch {
    let mut frame = Vec::with_capacity(payload.len() + 4);
    encode_varint(payload.len() as u64 + 1, &mut frame);
    frame.push(kind::DATA);
    frame.extend_from_slice(payload);
    DataBatch::new(frame.into(), 1)
}
