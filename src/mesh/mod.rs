//! One node's decisions: messages and time in, decisions out.
//!
//! ```text
//!              handle(now, Input)                      next_output() -> Output
//!                     │                                        ▲
//!        one match, one owner for each input                 out.rs
//!                     │                                        │
//!   dialer ─ guard    lifecycle ─ peers ─ trust    heartbeat    replica/{mod, session, local}
//!   whom, and when    links and admission          life, rekey  the log, to and from every neighbour
//!        ▲
//!   exchange          route: messages to peers that are no neighbours, and those of others
//!   of addresses
//! ```
//!
//! Never reads a clock, opens a socket or file, locks, or draws randomness but from its seed: the same inputs give the same
//! outputs. A carrier feeds it, takes every output after every input, and comes back with `Tick` at `deadline`.

mod dialer;
mod exchange;
mod guard;
mod halfopen;
mod handover;
mod heartbeat;
pub mod io;
mod lifecycle;
mod mailbox;
mod out;
mod peers;
mod reach;
mod rekey;
mod replica;
mod route;
mod snapshot;
mod stats;
mod trust;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{CloseReason, Config, Direction, Endpoint, Event, LinkId, LogId, PeerId, Stats, Time, TrustTable, limits};
use crate::sync::{Cause, Causes, LogState};
use crate::wire::Message;

pub use crate::base::{HandshakeStage, PeerState};
pub use io::{Inbound, Input, Output, PeerInfo};
pub use replica::{LogAcked, LogView, LogWait};
pub use snapshot::{PeerSnapshot, TargetSnapshot};

use dialer::{Dialer, Sign};
use exchange::Exchange;
use halfopen::HalfOpen;
use handover::Handover;
use heartbeat::Heartbeat;
use out::Outbox;
use peers::Peers;
use rekey::Rekey;
use replica::Replica;
use route::Routing;
use stats::Handshakes;

/// What a mesh is told at birth, besides its logs.
#[derive(Clone, Debug)]
pub struct MeshSettings {
    /// This node's identity.
    pub local: PeerId,
    /// Connected peers allowed.
    pub max_peers: usize,
    /// From TCP up to an authenticated link.
    pub handshake_timeout: Duration,
    /// Silence after which a Ping goes out.
    pub heartbeat_interval: Duration,
    /// Silence after which a link is closed.
    pub stale_after: Duration,
    /// Age of a link's keys at which this side steps to the next.
    pub rekey_after: Duration,
    /// Age at which the side that dialled agrees on fresh ones.
    pub fresh_keys_after: Duration,
    /// Whether anything is dialled.
    pub dial: bool,
    /// Who is trusted, until `Input::Trust`.
    pub trust: Arc<TrustTable>,
    /// Accepted connections allowed to be silent at once; at most `HALF_OPEN_MAX`, and the caps beside it shrink with it.
    pub half_open_max: usize,
    /// Whether messages of others are passed on, between trusted peers.
    pub relay: bool,
    /// Whether trusted peers are told of each other.
    pub peer_exchange: bool,
    /// Whether records come to the application after those they depend on, and this node's records say what they depend on.
    pub causal: bool,
    /// The TCP port this node accepts connections at; 0 for none.
    pub port: u16,
}

impl MeshSettings {
    /// The mesh's part of a node's settings.
    pub fn from_config(config: &Config, local: PeerId) -> MeshSettings {
        MeshSettings {
            local,
            max_peers: config.max_peers,
            handshake_timeout: config.handshake_timeout,
            heartbeat_interval: config.heartbeat_interval,
            stale_after: config.stale_after,
            rekey_after: config.rekey_after,
            fresh_keys_after: config.fresh_keys_after,
            dial: config.dial,
            trust: Arc::new(TrustTable::new(config.trust_policy(), 0, [])),
            half_open_max: limits::HALF_OPEN_MAX,
            relay: config.relay,
            peer_exchange: config.peer_exchange,
            causal: config.causal,
            port: 0,
        }
    }
}

/// The decision machine of one node.
#[derive(Debug)]
pub struct Mesh {
    settings: MeshSettings,
    last_link: u64,
    out: Outbox,
    peers: Peers,
    dialer: Dialer,
    heartbeat: Heartbeat,
    rekey: Rekey,
    replica: Replica,
    handshakes: Handshakes,
    half_open: HalfOpen,
    handover: Handover,
    route: Routing,
    exchange: Exchange,
    /// Links whose OutboxPull has not been answered.
    pulls: BTreeSet<LinkId>,
}

impl Mesh {
    /// A mesh whose node holds `logs` (each durable and applied up to a record) and writes `own_log`. Everything random comes
    /// from `seed`. Take its outputs at once: logs that are not applied to their end have something to do.
    pub fn new(settings: MeshSettings, logs: Vec<(LogId, u64, u64)>, own_log: LogId, seed: u64) -> Mesh {
        let state = |(log, durable, applied)| LogState { log, durable, applied, parked: None, frozen: None, base: 0 };
        Mesh::resume(settings, logs.into_iter().map(state).collect(), own_log, seed)
    }

    /// [`Mesh::new`] with all that a log remembers of the run before.
    pub fn resume(settings: MeshSettings, logs: Vec<LogState>, own_log: LogId, seed: u64) -> Mesh {
        let mut out = Outbox::default();
        Mesh {
            last_link: 0,
            peers: Peers::default(),
            dialer: Dialer::new(&settings, seed),
            heartbeat: Heartbeat::new(&settings),
            rekey: Rekey::new(&settings),
            replica: Replica::new(logs, (own_log, settings.causal), seed, &mut out),
            handshakes: Handshakes::default(),
            half_open: HalfOpen::new(settings.half_open_max),
            handover: Handover::default(),
            route: Routing::new(&settings, seed),
            exchange: Exchange::new(&settings, seed),
            pulls: BTreeSet::new(),
            settings,
            out,
        }
    }

    /// Takes one input. Time never runs backwards.
    pub fn handle(&mut self, now: Time, input: Input) {
        match input {
            Input::Connect { endpoint, manual, expected } => {
                self.leave_others(now, &endpoint, expected, manual);
                self.dialer.connect(now, (endpoint, expected), manual, &self.peers, &mut self.out);
            }
            Input::Found { endpoint, proven } => self.dialer.found(now, endpoint, proven, &self.peers, &mut self.out),
            Input::Heard { endpoint, fresh, restarted, proven } => self.announced(now, &endpoint, Sign { fresh, restarted, proven }),
            Input::Disconnect { peer } => self.disconnect(now, peer),
            Input::Forget { endpoint } => self.forget_endpoint(now, &endpoint),
            Input::NetworkChanged => self.network_changed(now),
            Input::Rekey { peer } => {
                if let Some(link) = self.peers.link_of(&peer) {
                    self.out.rekey(link, true);
                }
            }
            Input::Accepted { link, endpoint, source } => self.accepted(now, link, endpoint, source),
            Input::HelloPassed { link } => self.hello_passed(now, link),
            Input::Unread { link, unread } => self.heartbeat.set_unread(now, link, unread),
            Input::Stage { link, stage } => self.peers.reached_stage(link, stage),
            Input::Crowded => self.crowded(now),
            Input::Dialled { link } => self.dialled(now, link),
            Input::Authenticated { link, peer } => self.authenticated(now, link, peer),
            Input::Reached { link, peer } => {
                if let Some(link_to) = self.peers.link(link) {
                    self.dialer.leads_to(&link_to.endpoint, link, peer);
                }
            }
            Input::DialFailed { link, reason } | Input::LinkClosed { link, reason } => {
                self.handed_over(link);
                self.gone(now, link, reason);
            }
            Input::Received { link, items } => self.received(now, link, items),
            Input::Durable { groups } => self.replica.durable(now, &groups, &mut self.out),
            Input::StoreFailed { link, log, durable, reason } => {
                if let Some(reason) = self.replica.store_failed(now, (link, log), durable, reason, &mut self.out) {
                    self.close(now, link, reason);
                }
            }
            Input::Forked { link: _, log, seq, detail } => self.replica.forked(log, seq, detail, &mut self.out),
            Input::Diverged { link, log } => self.replica.diverged(link, log, &mut self.out),
            Input::ReadDone { link, log, groups } => self.replica.read_done(now, link, log, &groups, &mut self.out),
            Input::LastSeals { seals } => self.replica.seals_read(now, &seals, &mut self.out),
            Input::Compared { link, log, seal, verdict } => {
                if let Some(reason) = self.replica.compared(now, (link, log), &seal, *verdict, &mut self.out) {
                    self.close(now, link, reason);
                }
            }
            Input::Applied { log, seq } => self.replica.applied(log, seq, &mut self.out),
            Input::ApplyRefused { log, seq } => self.replica.apply_refused(now, log, seq, &mut self.out),
            Input::ApplyWaits { log, seq, causes } => self.replica.apply_waits(log, seq, causes, &mut self.out),
            Input::ApplyPoisoned { log, seq } => self.replica.apply_poisoned(log, seq, &mut self.out),
            Input::ApplyResume { log, skip } => self.replica.apply_resume(log, skip, &mut self.out),
            Input::PullOutbox { peer, target, max_items } => self.pull_outbox(&peer, target, max_items),
            Input::TellHeld { peer, target, ranges } => self.tell_held(&peer, target, ranges),
            Input::Renewed { log } => self.replica.renewed(log),
            Input::Trust { table } => self.trust(now, table),
            Input::Post { number, to, payload, life } => self.post(now, number, to, payload, life),
            Input::RouteTo { to, way } => self.give_route(now, to, way),
            Input::Sealed { number, to_run, sealed } => self.sealed(now, number, to_run, sealed),
            Input::Opened { ticket, opened } => self.opened(now, ticket, opened),
            Input::Unsent { id } => self.unsent(now, id),
            Input::Snapshot(told) => {
                if let Some((link, reason)) = self.replica.snapshot(now, told, &mut self.out) {
                    self.close(now, link, reason);
                }
            }
            Input::Tick => self.tick(now),
        }
        self.follow_up(now);
    }

    /// What any input may have made due.
    fn follow_up(&mut self, now: Time) {
        for peer in self.heartbeat.take_asked().into_iter().filter_map(|link| self.peers.peer_of(link)) {
            self.out.event(Event::Ping { peer, direction: Direction::Outbound });
        }
        self.dial_due(now);
        self.replica.flush(now, &mut self.out);
    }

    /// The next thing to do; ask until `None` after every `handle`.
    pub fn next_output(&mut self) -> Option<Output> {
        self.out.next()
    }

    /// When `Tick` is due, if nothing else happens before.
    pub fn deadline(&self) -> Option<Time> {
        let base = [self.dialer.deadline(), self.heartbeat.deadline(), self.rekey.deadline(), self.replica.deadline()];
        let all = base.into_iter().chain([self.route.deadline(), self.exchange.deadline()]);
        // `min` over options compares the value of a none before its tag: harmless, but memory checkers of applications report it.
        let never = Time(u64::MAX);
        Some(all.map(|at| at.unwrap_or(never)).min().unwrap_or(never)).filter(|at| *at != never)
    }

    /// A number for a connection the carrier has accepted.
    pub fn next_link(&mut self) -> LinkId {
        self.last_link += 1;
        LinkId(self.last_link)
    }

    /// The counters a mesh owns; those of the transport and the log are zero here.
    pub fn stats(&self) -> Stats {
        stats::snapshot(&self.handshakes, &self.dialer.guard, &self.peers, &self.half_open)
    }

    /// Whether this node keeps itself connected to an endpoint: finders have nothing to add about it.
    pub fn keeps(&self, endpoint: &Endpoint) -> bool {
        self.dialer.has(endpoint)
    }

    /// The log this node appends to.
    pub fn own_log(&self) -> LogId {
        self.replica.own_log()
    }

    /// Every log with its progress here and at every connected peer.
    pub fn logs(&self) -> Vec<LogView> {
        self.replica.views()
    }

    /// How far each log has come here: its last durable record.
    pub fn durables(&self) -> Vec<(LogId, u64)> {
        self.replica.durables()
    }

    /// One log with its progress; `None` if nothing is known of it.
    pub fn log(&self, log: LogId) -> Option<LogView> {
        self.replica.view(log)
    }

    /// Whether records wait for those they depend on: then [`Mesh::may_apply`] is asked before each.
    pub fn is_causal(&self) -> bool {
        self.settings.causal
    }

    /// Whether the application may be given a record of an `Apply` now. If not, what it lacks: `Input::ApplyWaits` with that is the
    /// range's end. If so, the record counts as what comes before this node's next one.
    pub fn may_apply(&mut self, log: LogId, seq: u64, causes: &Causes) -> Result<(), Vec<Cause>> {
        self.replica.may_have(log, seq, causes)
    }

    /// What the record this node is about to write comes after in other logs; said once, so that a record that was not written after
    /// all has it given back.
    pub fn take_causes(&mut self) -> Vec<Cause> {
        self.replica.take_causes()
    }

    /// The opposite of [`Mesh::take_causes`].
    pub fn give_back_causes(&mut self, causes: &[Cause]) {
        self.replica.give_back_causes(causes);
    }

    fn tick(&mut self, now: Time) {
        for (link, reason) in self.heartbeat.tick(now, &mut self.out) {
            self.close(now, link, reason);
        }
        self.tell_silent(now);
        self.rekey.tick(now, &mut self.out);
        self.replica.tick(now, &mut self.out);
        self.route_tick(now);
        self.exchange_tick(now);
    }

    fn received(&mut self, now: Time, link: LinkId, items: Vec<Inbound>) {
        self.heartbeat.heard(now, link);
        for item in items {
            let Some(peer) = self.peers.peer_of(link) else {
                self.late(link, item);
                continue;
            };
            let verdict = match item {
                Inbound::Data(batch) => {
                    self.data(peer, batch);
                    Ok(())
                }
                Inbound::Message(message) => {
                    self.sign_of_life(peer, &message);
                    self.message(now, link, message)
                }
                Inbound::FreshKeys => {
                    self.rekey.renewed(now, link);
                    self.out.event(Event::FreshKeys { peer });
                    Ok(())
                }
            };
            if let Err(reason) = verdict {
                self.close(now, link, reason);
                // The peer has said goodbye, or is not to be believed.
                self.handed_over(link);
            }
        }
    }

    fn sign_of_life(&mut self, peer: PeerId, message: &Message) {
        match message {
            Message::Ping { .. } => {
                self.out.event(Event::Ping { peer, direction: Direction::Inbound });
                self.out.event(Event::Pong { peer, direction: Direction::Outbound });
            }
            Message::Pong { .. } => self.out.event(Event::Pong { peer, direction: Direction::Inbound }),
            _ => {}
        }
    }

    /// Hands a message to its owner; an error closes the link.
    fn message(&mut self, now: Time, link: LinkId, message: Message) -> Result<(), CloseReason> {
        match message {
            Message::Ping { nonce } => self.heartbeat.ping(link, nonce, &mut self.out),
            Message::Pong { .. } => {}
            Message::Welcome => return Err(CloseReason::Protocol("welcome after the handshake".into())),
            Message::KeyUpdate(_) => return Err(CloseReason::Protocol("a key update outside the session".into())),
            Message::Close { code, detail } => return Err(CloseReason::from_code(code, &detail)),
            Message::Vector(entries) => {
                if self.replica.vector(now, link, &entries, &mut self.out)? {
                    self.declined(link);
                }
            }
            Message::OutboxPull(pull) => self.outbox_pulled(link, &pull),
            Message::OutboxHeld(held) => self.outbox_held(link, held),
            Message::WalPush(push) => return self.replica.push(now, link, push, &mut self.out),
            Message::WalAck(ack) => return self.replica.ack(now, link, &ack, &mut self.out),
            Message::WalNak(nak) => return self.replica.nak(now, link, &nak, &mut self.out),
            Message::WalSeal(shown) => return self.replica.sealed(link, &shown, &mut self.out),
            Message::SnapshotOffer(offer) => return self.replica.offered(now, link, offer, &mut self.out),
            Message::SnapshotFetch(fetch) => return self.replica.fetched(link, fetch, &mut self.out),
            Message::SnapshotDecline(no) => return self.replica.declined(now, link, no),
            Message::SnapshotData(data) => return self.replica.part_came(now, link, data, &mut self.out),
            Message::Parcel(parcel) => self.parcel(now, link, parcel),
            Message::Notice(notice) => self.notice(now, link, notice),
            Message::Search(search) => self.search(now, link, search),
            Message::Neighbours(told) => self.neighbours(now, link, told),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::base::endpoint::Source;
    use crate::base::{DataBatch, Endpoint, Incarnation};

    fn outputs(mesh: &mut Mesh) -> Vec<String> {
        std::iter::from_fn(|| mesh.next_output()).map(|o| o.to_string()).collect()
    }

    #[test]
    fn application_data_is_handed_on_in_its_order_and_only_from_an_authenticated_link() {
        let own = LogId { origin: PeerId([1; 32]), incarnation: Incarnation(1) };
        let mut mesh = Mesh::new(MeshSettings::from_config(&Config::new("n"), own.origin), Vec::new(), own, 0);
        let link = mesh.next_link();
        mesh.handle(Time::ZERO, Input::Accepted { link, endpoint: Endpoint::tcp("h", 1), source: Source::ipv4([10, 0, 0, 1]) });
        let data = |n| Inbound::Data(DataBatch::new(Bytes::from_static(&[2, 32, 7, 2, 32, 8]).slice(..3 * n), n));
        mesh.handle(Time::ZERO, Input::Received { link, items: vec![data(1)] });
        assert!(outputs(&mut mesh).is_empty());
        let peer = PeerInfo { id: PeerId([2; 32]), node_id: "p".into(), capabilities: Vec::new(), formerly: Vec::new() };
        mesh.handle(Time::ZERO, Input::Authenticated { link, peer });
        outputs(&mut mesh);
        let closing = Inbound::Message(Message::Close { code: CloseReason::Shutdown.code(), detail: String::new() });
        mesh.handle(Time::ZERO, Input::Received { link, items: vec![data(2), data(1), closing, data(2)] });
        let seen = outputs(&mut mesh);
        assert_eq!(seen[..2], ["event: 2 messages from 02020202", "event: 1 messages from 02020202"]);
        assert_eq!(seen.iter().filter(|line| line.contains("messages")).count(), 2, "nothing after the close");
    }
}
