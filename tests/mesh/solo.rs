//! One mesh and a hand that plays everybody else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vixp2p::base::endpoint::Source;
use vixp2p::base::{CloseReason, Endpoint, Event, Incarnation, LinkId, LogId, PeerId, Time, TrustTable};
use vixp2p::mesh::{Inbound, Input, Mesh, MeshSettings, Output, PeerInfo};
use vixp2p::sync::Group;
use vixp2p::wire::Message;
use vixp2p::wire::message::{WalAck, WalNak, WalPush};
use vixp2p::{Config, mesh};

/// The identity everybody calls number `n`.
pub(crate) fn id(n: u8) -> PeerId {
    PeerId([n; 32])
}

/// A table that trusts every number.
pub(crate) fn everybody() -> Arc<TrustTable> {
    Arc::new(TrustTable::of_friends((0..=255).map(id)))
}

/// The log that number `n` writes.
pub(crate) fn log(n: u8) -> LogId {
    LogId { origin: id(n), incarnation: Incarnation(u64::from(n)) }
}

/// A group of `bytes` bytes that depend only on its log and place.
pub(crate) fn group(log: LogId, first: u64, last: u64, bytes: usize) -> Group {
    let fill = log.origin.0[0].wrapping_mul(31).wrapping_add(first as u8);
    Group { log, first, last, bytes: Bytes::from(vec![fill; bytes]) }
}

pub(crate) fn ack(log: LogId, durable: u64, applied: u64) -> Message {
    Message::WalAck(WalAck { log, durable, applied })
}

pub(crate) fn nak(log: LogId, have: u64) -> Message {
    Message::WalNak(WalNak { log, have })
}

pub(crate) fn push(group: &Group) -> Message {
    let Group { log, first, last, bytes } = group.clone();
    Message::WalPush(WalPush { log, seq_begin: first, seq_end: last, wal_bytes: bytes })
}

/// A mesh of number 5, with the time it lives at.
pub(crate) struct Solo {
    pub(crate) mesh: Mesh,
    pub(crate) now: Time,
}

impl Solo {
    pub(crate) fn new() -> Solo {
        Solo::with(|_| {}, Vec::new())
    }

    pub(crate) fn with(change: impl FnOnce(&mut MeshSettings), logs: Vec<(LogId, u64, u64)>) -> Solo {
        let mut settings = MeshSettings::from_config(&Config::new("solo"), id(5));
        settings.trust = everybody();
        change(&mut settings);
        Solo { mesh: Mesh::new(settings, logs, log(5), 1), now: Time::ZERO }
    }

    /// One input, and everything it caused.
    pub(crate) fn step(&mut self, input: Input) -> Vec<Output> {
        self.mesh.handle(self.now, input);
        std::iter::from_fn(|| self.mesh.next_output()).collect()
    }

    /// Lets time pass, with every tick on the way.
    pub(crate) fn wait(&mut self, ms: u64) -> Vec<Output> {
        let end = self.now + Duration::from_millis(ms);
        let mut seen = Vec::new();
        while let Some(at) = self.mesh.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            seen.extend(self.step(Input::Tick));
        }
        self.now = end;
        seen
    }

    pub(crate) fn connect(&mut self, host: &str, manual: bool) -> Vec<Output> {
        self.step(Input::Connect { endpoint: Endpoint::tcp(host, 1), manual, expected: None })
    }

    pub(crate) fn fail(&mut self, link: LinkId, reason: CloseReason) -> Vec<Output> {
        self.step(Input::DialFailed { link, reason })
    }

    pub(crate) fn authenticate(&mut self, link: LinkId, peer: u8) -> Vec<Output> {
        let peer = PeerInfo {
            id: id(peer),
            node_id: format!("node {peer}"),
            capabilities: vec![("proto".into(), "1".into())],
            formerly: Vec::new(),
        };
        self.step(Input::Authenticated { link, peer })
    }

    /// An inbound link in the handshake.
    pub(crate) fn accept(&mut self) -> (LinkId, Vec<Output>) {
        self.accept_from(1)
    }

    /// The same from 10.0.0.`n`.
    pub(crate) fn accept_from(&mut self, n: u8) -> (LinkId, Vec<Output>) {
        let link = self.mesh.next_link();
        (
            link,
            self.step(Input::Accepted {
                link,
                endpoint: Endpoint::tcp(format!("10.0.0.{n}"), 40_000),
                source: Source::ipv4([10, 0, 0, n]),
            }),
        )
    }

    /// An inbound link from `peer` that is admitted.
    pub(crate) fn join(&mut self, peer: u8) -> (LinkId, Vec<Output>) {
        let (link, _) = self.accept();
        let seen = self.authenticate(link, peer);
        (link, seen)
    }

    pub(crate) fn receive(&mut self, link: LinkId, message: Message) -> Vec<Output> {
        self.step(Input::Received { link, items: vec![Inbound::Message(message)] })
    }

    /// An inbound link from `peer` whose vector says what it has, its own log first.
    pub(crate) fn join_with(&mut self, peer: u8, has: &[(LogId, u64)]) -> (LinkId, Vec<Output>) {
        let (link, mut seen) = self.join(peer);
        let own = (!has.iter().any(|(l, _)| *l == log(peer))).then_some((log(peer), 0));
        let lines = own.iter().chain(has).map(|(log, durable)| WalAck { log: *log, durable: *durable, applied: *durable }).collect();
        seen.extend(self.receive(link, Message::Vector(lines)));
        (link, seen)
    }

    pub(crate) fn durable(&mut self, groups: Vec<Group>) -> Vec<Output> {
        self.step(Input::Durable { groups })
    }

    pub(crate) fn state_of(&self, peer: u8) -> Option<mesh::PeerState> {
        self.mesh.peers(self.now).into_iter().find(|s| s.id == Some(id(peer))).map(|s| s.state)
    }
}

/// The lines of a trace.
pub(crate) fn lines(outputs: &[Output]) -> Vec<String> {
    outputs.iter().map(ToString::to_string).collect()
}

pub(crate) fn dials(outputs: &[Output]) -> Vec<LinkId> {
    outputs.iter().filter_map(|o| if let Output::Dial { link, .. } = o { Some(*link) } else { None }).collect()
}

pub(crate) fn closes(outputs: &[Output]) -> Vec<(LinkId, CloseReason)> {
    outputs.iter().filter_map(|o| if let Output::Close { link, reason } = o { Some((*link, reason.clone())) } else { None }).collect()
}

pub(crate) fn events(outputs: &[Output]) -> Vec<Event> {
    outputs.iter().filter_map(|o| if let Output::Event(event) = o { Some(event.clone()) } else { None }).collect()
}

/// What was sent on a link.
pub(crate) fn sent(outputs: &[Output], to: LinkId) -> Vec<Message> {
    let message = |o: &Output| match o {
        Output::Send { link, message } if *link == to => Some(message.clone()),
        _ => None,
    };
    outputs.iter().filter_map(message).collect()
}

/// The first and last records pushed on a link.
pub(crate) fn pushes(outputs: &[Output], to: LinkId) -> Vec<(u64, u64)> {
    let range = |m: Message| if let Message::WalPush(p) = m { Some((p.seq_begin, p.seq_end)) } else { None };
    sent(outputs, to).into_iter().filter_map(range).collect()
}

/// The `retry_in_ms` of the connect failures among the outputs.
pub(crate) fn retries(outputs: &[Output]) -> Vec<Option<u64>> {
    let retry = |e: Event| if let Event::ConnectFailed { retry_in_ms, .. } = e { Some(retry_in_ms) } else { None };
    events(outputs).into_iter().filter_map(retry).collect()
}
