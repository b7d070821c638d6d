//! One mesh with an honest carrier and peers that send whatever they like: nothing panics, every table keeps its limit, and
//! only durable records are acknowledged, pushed or applied.

mod seals;
mod snapshots;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use vixp2p::Config;
use vixp2p::base::answer::Answers;
use vixp2p::base::endpoint::Source;
use vixp2p::base::{CloseReason, Endpoint, Incarnation, LinkId, LogId, PeerId, Time, limits};
use vixp2p::mesh::io::{Place, SnapshotInput, SnapshotOutput};
use vixp2p::mesh::{Inbound, Input, Mesh, MeshSettings, Output, PeerInfo};
use vixp2p::sync::Group;
use vixp2p::wire::Message;
use vixp2p::wire::message::{Decline, Part, SnapshotData, SnapshotDecline, SnapshotFetch, SnapshotId, SnapshotOffer};
use vixp2p::wire::message::{WalAck, WalNak, WalPush, WalSeal};

use super::edits::Choices;
use snapshots::held;

const MAX_PEERS: usize = 4;
const LOCAL: PeerId = PeerId([5; 32]);
/// Outputs one input may cause here; far above what a handful of links and logs needs.
const OUTPUTS_MAX: usize = 2_000;

fn own() -> LogId {
    LogId { origin: LOCAL, incarnation: Incarnation(100) }
}

/// The carrier's side of a link.
#[derive(Clone, Copy, PartialEq)]
enum Line {
    Dialling,
    Handshaking,
    Open,
}

struct Carrier {
    mesh: Mesh,
    now: Time,
    links: BTreeMap<LinkId, Line>,
    durable: BTreeMap<LogId, u64>,
    applied: BTreeMap<LogId, u64>,
    stores: VecDeque<(LinkId, Group)>,
    reads: VecDeque<(LinkId, LogId, u64)>,
    parcels: VecDeque<u64>,
    seals: seals::Seals,
    snapshots: VecDeque<SnapshotOutput>,
    /// What was said of the snapshot examined last.
    places: Vec<Place>,
    installing: bool,
    applies: BTreeMap<LogId, (u64, u64)>,
    frozen: BTreeSet<LogId>,
    /// Logs of which the disk refused something: they keep their place for the next try.
    refused: BTreeSet<LogId>,
    own: LogId,
}

impl Carrier {
    fn new() -> Carrier {
        let mut settings = MeshSettings::from_config(&Config::new("fuzz"), LOCAL);
        settings.max_peers = MAX_PEERS;
        let mut carrier = Carrier {
            mesh: Mesh::new(settings, vec![(own(), 3, 3)], own(), 7),
            now: Time::from_millis(1_000),
            links: BTreeMap::new(),
            durable: BTreeMap::from([(own(), 3)]),
            applied: BTreeMap::new(),
            stores: VecDeque::new(),
            reads: VecDeque::new(),
            parcels: VecDeque::new(),
            seals: seals::Seals::default(),
            snapshots: VecDeque::new(),
            places: Vec::new(),
            installing: false,
            applies: BTreeMap::new(),
            frozen: BTreeSet::new(),
            refused: BTreeSet::new(),
            own: own(),
        };
        carrier.carry();
        carrier
    }

    fn durable(&self, log: &LogId) -> u64 {
        self.durable.get(log).copied().unwrap_or(0)
    }

    fn link(&self, choice: u8, line: Line) -> Option<LinkId> {
        let mut such = self.links.iter().filter(|(_, at)| **at == line).map(|(link, _)| *link);
        let count = such.clone().count();
        (count > 0).then(|| such.nth(usize::from(choice) % count)).flatten()
    }

    fn step(&mut self, input: Input) {
        self.mesh.handle(self.now, input);
        self.carry();
        self.check();
    }

    fn carry(&mut self) {
        let mut count = 0;
        while let Some(output) = self.mesh.next_output() {
            count += 1;
            assert!(count < OUTPUTS_MAX, "one input causes no flood");
            match output {
                Output::Dial { link, .. } => assert!(self.links.insert(link, Line::Dialling).is_none(), "link numbers are used once"),
                Output::Send { link, message } => {
                    assert!(self.links.get(&link) == Some(&Line::Open), "sent on an open link");
                    self.sent(&message);
                }
                Output::Close { link, .. } => assert!(self.links.remove(&link).is_some(), "closed once"),
                Output::Route { link, .. } => assert!(link.is_none_or(|link| self.links.contains_key(&link))),
                Output::Event(event) => _ = event.to_string(),
                // The target `routes` has these.
                Output::Store { link, group } => {
                    assert!(!self.frozen.contains(&group.log));
                    assert!(group.first > self.durable(&group.log) && group.first <= group.last, "stored in order");
                    self.stores.push_back((link, group));
                }
                Output::Rekey { link, .. } => assert!(self.links.get(&link) == Some(&Line::Open)),
                Output::Read { link, log, from, max_bytes } => {
                    assert!(max_bytes > 0 && max_bytes <= limits::READ_RECORDS_MAX_BYTES);
                    self.reads.push_back((link, log, from));
                }
                Output::LastSeals { logs } => self.wants_seals(logs),
                Output::Compare { link, log, seal } => self.wants_compared(link, log, seal),
                Output::Seal { .. } => unreachable!("nothing is posted"),
                Output::Open { ticket, .. } => self.parcels.push_back(ticket),
                Output::Park { log, applied, parked } => {
                    assert!(parked.is_none_or(|seq| seq == applied + 1), "parked at the next record of {log}");
                }
                Output::Snapshot(wanted) => {
                    if let SnapshotOutput::Install { .. } = wanted {
                        assert!(self.applies.is_empty() && !self.installing, "the application is at rest");
                        self.installing = true;
                    }
                    self.snapshots.push_back(wanted);
                }
                Output::Apply { log, from, upto } => {
                    assert_ne!(log, self.own, "the own log is not applied");
                    assert!(!self.installing, "nothing is applied while the state is replaced");
                    assert_eq!(from, self.applied.get(&log).copied().unwrap_or(0) + 1, "applied in order");
                    assert!(from <= upto && upto <= self.durable(&log), "only durable records are applied");
                    assert!(self.applies.insert(log, (from, upto)).is_none(), "one range at a time");
                }
            }
        }
    }

    fn sent(&self, message: &Message) {
        match message {
            Message::WalAck(ack) => self.told(ack),
            Message::Vector(lines) => lines.iter().for_each(|line| self.told(line)),
            Message::WalPush(push) => assert!(push.seq_end <= self.durable(&push.log), "only durable records are pushed"),
            _ => {}
        }
    }

    fn told(&self, ack: &WalAck) {
        let durable = self.durable(&ack.log);
        let applied = if ack.log.origin == LOCAL { durable } else { self.applied.get(&ack.log).copied().unwrap_or(0) };
        assert!(ack.durable <= durable && ack.applied <= applied && ack.applied <= ack.durable, "told {ack:?}");
    }

    fn check(&self) {
        let open = self.links.values().filter(|line| **line == Line::Open).count();
        let handshaking = self.links.values().filter(|line| **line == Line::Handshaking).count();
        assert!(open <= MAX_PEERS, "{open} links open");
        assert!(handshaking <= limits::HALF_OPEN_MAX + limits::DIALS_MAX);
        let peers = self.mesh.peers(self.now);
        assert!(peers.len() <= limits::GONE_PEERS_MAX + MAX_PEERS + limits::DIAL_TARGETS_MAX);
        let logs = self.mesh.logs();
        assert!(logs.len() <= limits::LOGS_MAX + 1);
        for view in logs {
            assert_eq!(view.durable, self.durable(&view.log), "{}", view.log);
            assert!(view.applied <= view.durable);
            assert!(view.acked.len() <= open);
            let mine = view.log.origin == LOCAL && view.log.incarnation >= own().incarnation;
            let held =
                view.durable > 0 || mine || self.refused.contains(&view.log) || self.stores.iter().any(|(_, group)| group.log == view.log);
            assert!(held, "a log nothing is held of takes no place: {}", view.log);
        }
        let mut credit: BTreeMap<LinkId, usize> = BTreeMap::new();
        self.stores.iter().for_each(|(link, group)| *credit.entry(*link).or_default() += group.bytes.len());
        assert!(credit.values().all(|bytes| *bytes <= limits::REPLICA_WINDOW_BYTES));
    }

    /// The beginning of a log goes, or a snapshot comes or goes.
    fn truncate(&mut self, choice: u8) {
        let log = log(choice);
        let told = match choice % 3 {
            0 => held(choice, self.some_places(choice)),
            1 => SnapshotInput::Gone { id: SnapshotId([choice % 4; 32]) },
            _ => SnapshotInput::Truncated { log, base: self.durable(&log) },
        };
        self.step(Input::Snapshot(told));
    }

    fn answer_store(&mut self, fails: u8) {
        let Some((link, group)) = self.stores.pop_front() else { return };
        let log = group.log;
        let durable = self.durable(&log);
        let follows = group.first == durable + 1;
        let whole = group.last - group.first < limits::GROUP_MAX_RECORDS as u64;
        let failed = |reason| Input::StoreFailed { link, log, durable, reason };
        let forked = |seq| Input::Forked { link, log, seq, detail: "two truths".into() };
        let input = if self.frozen.contains(&log) {
            forked(durable)
        } else if group.last <= durable {
            Input::Durable { groups: vec![group] }
        } else if log == self.own {
            // A peer has this node's own records: they are the old log's from now on.
            self.renew();
            failed(CloseReason::Lost("rolled back".into()))
        } else if !follows {
            self.refused.insert(log);
            failed(CloseReason::Lost("a gap".into()))
        } else if !whole {
            failed(CloseReason::Protocol("no group".into()))
        } else if fails % 8 == 1 {
            self.refused.insert(log);
            failed(CloseReason::Lost("disk full".into()))
        } else if fails % 8 == 2 && durable > 0 {
            self.frozen.insert(log);
            forked(durable)
        } else {
            self.durable.insert(log, group.last);
            Input::Durable { groups: vec![group] }
        };
        self.step(input);
    }

    /// A new incarnation; the old log is an old log like anybody's, wholly applied. Only this node's own seal proves a
    /// rollback, so no peer can cause many.
    fn renew(&mut self) {
        let next = LogId { origin: LOCAL, incarnation: Incarnation(self.own.incarnation.0 + 100) };
        // The log takes no number that it has seen.
        if next.incarnation.0 > 1_000 || self.mesh.logs().iter().any(|view| view.log == next) {
            return;
        }
        self.applied.insert(self.own, self.durable(&self.own));
        self.own = next;
        self.step(Input::Renewed { log: self.own });
    }

    fn answer_read(&mut self, choice: u8) {
        let Some((link, log, from)) = self.reads.pop_front() else { return };
        let durable = self.durable(&log);
        let last = durable.min(from.saturating_add(u64::from(choice % 4)));
        let groups = (from..=last).map(|seq| Group { log, first: seq, last: seq, bytes: Bytes::from_static(&[1; 64]) }).collect();
        self.step(Input::ReadDone { link, log, groups: if choice & 64 == 0 { groups } else { Vec::new() } });
    }

    fn answer_open(&mut self, choice: u8) {
        let Some(ticket) = self.parcels.pop_front() else { return };
        let opened = (choice & 1 == 0).then(|| (Bytes::from_static(b"text"), Answers::new([choice; 32], [choice; 32])));
        self.step(Input::Opened { ticket, opened });
    }

    fn answer_apply(&mut self, choice: u8) {
        let Some((log, (from, upto))) = self.applies.pop_first() else { return };
        if choice.is_multiple_of(3) {
            return self.step(Input::ApplyRefused { log, seq: from });
        }
        self.applied.insert(log, from);
        if from < upto {
            self.applies.insert(log, (from + 1, upto));
        }
        self.step(Input::Applied { log, seq: from });
    }

    fn append(&mut self, count: u64) {
        let (log, first) = (self.own, self.durable(&self.own) + 1);
        let last = first + count;
        self.durable.insert(log, last);
        self.step(Input::Durable { groups: vec![Group { log, first, last, bytes: Bytes::from_static(&[2; 64]) }] });
    }

    /// A dial or a handshake goes on, or fails.
    fn proceed(&mut self, what: u8, choice: u8) {
        if what == 0
            && let Some(link) = self.link(choice, Line::Dialling)
        {
            self.links.insert(link, Line::Handshaking);
            self.step(Input::Dialled { link });
        } else if what == 1
            && let Some(link) = self.link(choice, Line::Handshaking)
        {
            self.links.insert(link, Line::Open);
            let peer = PeerInfo { id: peer(choice), node_id: "p".into(), capabilities: Vec::new(), formerly: Vec::new() };
            self.step(Input::Authenticated { link, peer });
        } else if what == 2
            && let Some(link) = self.link(choice, Line::Dialling).or(self.link(choice, Line::Handshaking))
        {
            self.links.remove(&link);
            self.step(Input::Reached { link, peer: peer(choice) });
            self.step(Input::DialFailed { link, reason: CloseReason::Refused("no".into()) });
        } else if let Some(link) = self.link(choice, Line::Open) {
            self.links.remove(&link);
            self.step(Input::LinkClosed { link, reason: CloseReason::Lost("gone".into()) });
        }
    }

    fn accept(&mut self, choice: u8) {
        let link = self.mesh.next_link();
        self.links.insert(link, Line::Handshaking);
        let source = Source::ipv4([127, 0, 0, choice % 4]);
        self.step(Input::Accepted { link, endpoint: Endpoint::tcp("h", u16::from(choice) + 1), source });
    }
}

fn peer(choice: u8) -> PeerId {
    PeerId([choice % 8; 32])
}

fn log(choice: u8) -> LogId {
    // Life 100 is this node's first.
    LogId { origin: PeerId([choice % 16; 32]), incarnation: Incarnation([100, 0, 1, 200][usize::from(choice >> 6)]) }
}

/// A message as a hostile peer writes it: well formed at times, any bytes at others.
fn message(choices: &mut Choices<'_>) -> Option<Inbound> {
    let ack = |choices: &mut Choices<'_>| {
        let (log, a, b) = (log(choices.byte()), choices.number(), choices.number());
        WalAck { log, durable: a.max(b), applied: a.min(b) }
    };
    Some(Inbound::Message(match choices.byte() % 11 {
        0 => Message::WalAck(ack(choices)),
        1 => Message::WalNak(WalNak { log: log(choices.byte()), have: choices.number() }),
        2 | 3 => {
            let (log, first) = (log(choices.byte()), choices.number().max(1));
            let last = first.saturating_add(choices.number() % 300);
            let size = usize::from(choices.byte());
            Message::WalPush(WalPush { log, seq_begin: first, seq_end: last, wal_bytes: Bytes::copy_from_slice(choices.take(size)) })
        }
        4 => Message::Vector((0..choices.byte() % 8).map(|_| ack(choices)).collect()),
        5 => Message::Ping { nonce: choices.number() },
        6 => Message::Pong { nonce: choices.number() },
        7 => return Some(Inbound::FreshKeys),
        10 => Message::WalSeal(WalSeal { log: log(choices.byte()), seal: seals::made(choices.number(), choices.byte()) }),
        8 => match choices.byte() {
            // A snapshot whose manifest is four bytes, and the answers to what is asked about it.
            n @ 0x80.. => {
                let id = SnapshotId([n % 4; 32]);
                let part = [Part::Manifest, Part::Hashes, Part::Piece(u64::from(n % 8))][usize::from(n >> 3) % 3];
                match n >> 5 {
                    4 => Message::SnapshotOffer(SnapshotOffer { id, maker: peer(n), root: [n % 2; 32], size: 9, manifest: 4 }),
                    5 => Message::SnapshotFetch(SnapshotFetch { id, part }),
                    6 => Message::SnapshotData(SnapshotData { id, part, bytes: Some(Bytes::from_static(b"part")) }),
                    _ => Message::SnapshotDecline(SnapshotDecline { id, why: Decline::Behind }),
                }
            }
            code => Message::Close { code, detail: "bye".into() },
        },
        _ => {
            let (kind, size) = (choices.byte(), usize::from(choices.byte()));
            Message::decode(kind, &Bytes::copy_from_slice(choices.take(size))).ok()?
        }
    }))
}

/// `(operation, its fields)*`
pub(crate) fn inputs(input: &[u8]) {
    let mut choices = Choices::new(input);
    let mut carrier = Carrier::new();
    // An open link with an ended vector, so that most inputs get somewhere.
    if choices.byte() & 1 == 0 {
        carrier.accept(1);
        carrier.proceed(1, 1);
        if let Some(link) = carrier.link(0, Line::Open) {
            carrier.step(Input::Received { link, items: vec![Inbound::Message(Message::Vector(Vec::new()))] });
        }
    }
    while !choices.is_empty() {
        match choices.byte() % 16 {
            0 => carrier.accept(choices.byte()),
            1 => {
                let (endpoint, how) = (Endpoint::tcp("h", u16::from(choices.byte()) + 1), choices.byte());
                let (manual, proven, fresh, restarted) = (how & 1 == 0, how & 2 == 0, how & 4 == 0, how & 8 == 0);
                carrier.step(match how >> 6 {
                    3 => Input::Found { endpoint, proven },
                    2 => Input::Heard { endpoint, fresh, restarted, proven },
                    _ => Input::Connect { endpoint, expected: None, manual },
                });
            }
            2 => {
                let peer = peer(choices.byte());
                carrier.step(match choices.byte() {
                    0xff => Input::NetworkChanged,
                    port @ 0xf0.. => Input::Forget { endpoint: Endpoint::tcp("h", u16::from(port) - 0xef) },
                    even if even & 1 == 0 => Input::Disconnect { peer },
                    _ => Input::Rekey { peer },
                });
            }
            3 | 4 => carrier.proceed(choices.byte() % 4, choices.byte()),
            5 => carrier.answer_store(choices.byte()),
            6 => {
                let choice = choices.byte();
                carrier.answer_open(choice);
                carrier.answer_seals(choice);
                carrier.answer_read(choice);
                carrier.answer_snapshot(choice);
            }
            7 => carrier.answer_apply(choices.byte()),
            8 => carrier.append(u64::from(choices.byte() % 4)),
            9 | 10 => {
                carrier.now = carrier.now + Duration::from_millis(u64::from(choices.u16()));
                carrier.step(Input::Tick);
            }
            11 => match choices.byte() {
                choice @ 0xc0.. => carrier.truncate(choice),
                _ => carrier.renew(),
            },
            _ => {
                let (link, count) = (choices.byte(), choices.byte() % 4 + 1);
                let items: Vec<Inbound> = (0..count).filter_map(|_| message(&mut choices)).collect();
                if let Some(link) = carrier.link(link, Line::Open) {
                    carrier.step(Input::Received { link, items });
                }
            }
        }
    }
}

pub(crate) fn inputs_seeds() -> Vec<Vec<u8>> {
    vec![
        // A push of records 1..=2 of log 1, stored, applied; then an append that is pushed.
        vec![0, 12, 0, 0, 2, 1, 1, 1, 4, 9, 9, 9, 9, 5, 0, 7, 1, 7, 1, 8, 0, 9, 0, 1],
        // A peer that is behind in this node's log: reads, pushes, an ack.
        vec![0, 8, 3, 6, 3, 12, 0, 0, 0, 5, 3, 3, 12, 0, 0, 1, 5, 1, 6, 2],
        // Dials, a second link, time.
        vec![1, 1, 9, 0, 3, 0, 0, 3, 1, 2, 0, 7, 3, 1, 3, 9, 0xff, 0xff, 9, 0xff, 0xff],
        // Vectors and rollback.
        vec![0, 0, 3, 3, 1, 6, 12, 1, 0, 4, 3, 5, 9, 9, 1, 3, 2, 2, 1, 1, 11],
        // A peer with as much of this node's log and of its own as is here: its seals, of which one differs and one is false.
        vec![1, 0, 3, 1, 3, 4, 2, 12, 0, 2, 4, 2, 5, 3, 3, 1, 4, 4, 10, 5, 3, 0, 6, 5, 12, 0, 0, 10, 5, 4, 1, 6, 3, 6, 0],
        // A snapshot offered, its manifest, its hashes, its piece; then one of this node's own for a peer that is behind.
        vec![0, 12, 0, 0, 8, 0x81, 12, 0, 0, 8, 0xc1, 6, 0x0c, 12, 0, 0, 8, 0xc9, 6, 0x0c, 6, 0x0d, 11, 0xc5, 9, 0xff, 0xff, 6, 1],
    ]
}
