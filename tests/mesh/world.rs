//! A carrier of in-memory logs and loss-free wires for several meshes, with oracles that hold after every output.
//!
//! What happens next is drawn from a seed among everything that could.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use vixp2p::Config;
use vixp2p::base::endpoint::Source;
use vixp2p::base::{CloseReason, Endpoint, Event, LinkId, LogId, Time};
use vixp2p::mesh::io::{Compared, SealRecord};
use vixp2p::mesh::{Inbound, Input, Mesh, MeshSettings, Output, PeerInfo};
use vixp2p::sync::Group;
use vixp2p::wire::Message;

use crate::solo::{everybody, group, id, log};

/// Something on its way to one end of a wire.
enum Parcel {
    Accepted,
    Dialled,
    Authenticated,
    Message(Message),
    Failed(CloseReason),
    Lost,
}

/// One end of a wire.
struct End {
    node: usize,
    link: LinkId,
    open: bool,
    authenticated: bool,
    inbox: VecDeque<Parcel>,
}

/// A wire; the dialler's end comes first.
struct Wire {
    ends: [End; 2],
}

enum Task {
    Store(LinkId, Group),
    Read(LinkId, LogId, u64, usize),
    LastSeals(Vec<LogId>),
    Compare(LinkId, LogId, SealRecord),
    Append(usize),
    Apply(LogId, u64, u64),
}

pub(crate) struct Node {
    pub(crate) mesh: Mesh,
    pub(crate) logs: BTreeMap<LogId, Vec<Group>>,
    pub(crate) applied: BTreeMap<LogId, u64>,
    pub(crate) events: Vec<Event>,
    /// Records the application refuses, and how often still.
    pub(crate) refuses: BTreeMap<(LogId, u64), u32>,
    /// How many of the next stores the disk refuses.
    pub(crate) disk_errors: u32,
    disk: VecDeque<Task>,
    app: VecDeque<Task>,
}

pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: Time,
    pub(crate) rng: fastrand::Rng,
    wires: Vec<Wire>,
    cut: BTreeSet<(usize, usize)>,
    /// Pushes carried, and those of records the receiver already had.
    pub(crate) pushes: (u64, u64),
}

/// Where something can happen next.
enum Place {
    Wire(usize, usize),
    Disk(usize),
    App(usize),
}

pub(crate) fn own(node: usize) -> LogId {
    log(node as u8 + 1)
}

fn mesh(node: usize, logs: &BTreeMap<LogId, Vec<Group>>, applied: &BTreeMap<LogId, u64>, seed: u64) -> Mesh {
    let mut settings = MeshSettings::from_config(&Config::new("node"), id(node as u8 + 1));
    settings.trust = everybody();
    settings.peer_exchange = false;
    let logs = logs.iter().map(|(log, groups)| (*log, last(groups), applied.get(log).copied().unwrap_or(0))).collect();
    Mesh::new(settings, logs, own(node), seed)
}

fn last(groups: &[Group]) -> u64 {
    groups.last().map_or(0, |g| g.last)
}

impl Node {
    pub(crate) fn durable(&self, log: LogId) -> u64 {
        self.logs.get(&log).map_or(0, |groups| last(groups))
    }

    pub(crate) fn applied(&self, log: LogId) -> u64 {
        self.applied.get(&log).copied().unwrap_or(0)
    }
}

impl World {
    pub(crate) fn new(count: usize, seed: u64) -> World {
        let node = |n| Node {
            mesh: mesh(n, &BTreeMap::new(), &BTreeMap::new(), seed),
            logs: BTreeMap::new(),
            applied: BTreeMap::new(),
            events: Vec::new(),
            refuses: BTreeMap::new(),
            disk_errors: 0,
            disk: VecDeque::new(),
            app: VecDeque::new(),
        };
        World {
            nodes: (0..count).map(node).collect(),
            now: Time::from_millis(1_000),
            rng: fastrand::Rng::with_seed(seed),
            wires: Vec::new(),
            cut: BTreeSet::new(),
            pushes: (0, 0),
        }
    }

    pub(crate) fn connect(&mut self, from: usize, to: usize) {
        self.step(from, Input::Connect { endpoint: Endpoint::tcp("node", to as u16 + 1), manual: true, expected: None });
    }

    /// As `connect`, by another name of the same node.
    pub(crate) fn connect_alias(&mut self, from: usize, to: usize) {
        self.step(from, Input::Connect { endpoint: Endpoint::tcp("alias", to as u16 + 1), manual: true, expected: None });
    }

    /// The node appends a group of this many bytes.
    pub(crate) fn append(&mut self, node: usize, bytes: usize) {
        self.nodes[node].disk.push_back(Task::Append(bytes));
    }

    /// Breaks every wire between two nodes and lets no new one through.
    pub(crate) fn cut(&mut self, a: usize, b: usize) {
        self.cut.insert((a.min(b), a.max(b)));
        self.break_wires(a, b);
    }

    pub(crate) fn mend(&mut self, a: usize, b: usize) {
        self.cut.remove(&(a.min(b), a.max(b)));
    }

    /// Breaks every wire between two nodes; what was on its way is lost.
    pub(crate) fn break_wires(&mut self, a: usize, b: usize) {
        for wire in &mut self.wires {
            let [x, y] = &wire.ends;
            if (x.node, y.node) == (a, b) || (x.node, y.node) == (b, a) {
                for end in &mut wire.ends {
                    end.inbox.clear();
                    end.inbox.push_back(Parcel::Lost);
                }
            }
        }
    }

    /// The node dies without a word and starts again from its disk; its peers' ends of the wires look alive.
    pub(crate) fn vanish(&mut self, node: usize) {
        for end in self.wires.iter_mut().flat_map(|w| &mut w.ends).filter(|e| e.node == node) {
            end.open = false;
            end.inbox.clear();
        }
        let seed = self.rng.u64(..);
        let it = &mut self.nodes[node];
        it.disk.clear();
        it.app.clear();
        it.mesh = mesh(node, &it.logs, &it.applied, seed);
        self.carry(node);
    }

    pub(crate) fn links_between(&self, a: usize, b: usize) -> usize {
        let joins = |w: &&Wire| {
            let [x, y] = &w.ends;
            ((x.node, y.node) == (a, b) || (x.node, y.node) == (b, a)) && x.open && y.open
        };
        self.wires.iter().filter(joins).count()
    }

    /// Lets everything happen that can, at this time.
    pub(crate) fn settle(&mut self) {
        while self.happen() {}
    }

    /// One thing that can happen does. `false` if there is none.
    pub(crate) fn happen(&mut self) -> bool {
        let mut places = Vec::new();
        for (w, wire) in self.wires.iter().enumerate() {
            places.extend((0..2).filter(|e| wire.ends[*e].open && !wire.ends[*e].inbox.is_empty()).map(|e| Place::Wire(w, e)));
        }
        for (n, node) in self.nodes.iter().enumerate() {
            places.extend((!node.disk.is_empty()).then_some(Place::Disk(n)));
            places.extend((!node.app.is_empty()).then_some(Place::App(n)));
        }
        let Some(place) = self.rng.choice(places) else { return false };
        match place {
            Place::Wire(wire, end) => self.deliver(wire, end),
            Place::Disk(node) => self.disk(node),
            Place::App(node) => self.app(node),
        }
        true
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        loop {
            self.settle();
            let next = (0..self.nodes.len()).filter_map(|n| Some((self.nodes[n].mesh.deadline()?, n))).min();
            let Some((at, node)) = next.filter(|(at, _)| *at <= end) else { break };
            self.now = self.now.max(at);
            self.step(node, Input::Tick);
        }
        self.now = end;
    }

    fn step(&mut self, node: usize, input: Input) {
        self.nodes[node].mesh.handle(self.now, input);
        self.carry(node);
    }

    fn carry(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].mesh.next_output() {
            match output {
                Output::Dial { link, endpoint, .. } => self.dial(node, link, usize::from(endpoint.port) - 1),
                Output::Send { link, message } => self.send(node, link, message),
                Output::Close { link, reason } => self.close(node, link, &reason),
                Output::Route { .. } | Output::Rekey { .. } => {}
                Output::Seal { .. } | Output::Open { .. } => unreachable!("nobody writes to anybody"),
                Output::Event(event) => self.nodes[node].events.push(event),
                Output::Store { link, group } => self.nodes[node].disk.push_back(Task::Store(link, group)),
                Output::Read { link, log, from, max_bytes } => {
                    self.nodes[node].disk.push_back(Task::Read(link, log, from, max_bytes));
                }
                Output::LastSeals { logs } => self.nodes[node].disk.push_back(Task::LastSeals(logs)),
                Output::Compare { link, log, seal } => self.nodes[node].disk.push_back(Task::Compare(link, log, seal)),
                Output::Park { .. } | Output::Snapshot(_) => {}
                Output::Apply { log, from, upto } => {
                    let it = &mut self.nodes[node];
                    assert_eq!(from, it.applied(log) + 1, "applied in order");
                    assert!(upto <= it.durable(log), "only durable records are applied");
                    assert_ne!(log, own(node), "the own log is not applied");
                    it.app.push_back(Task::Apply(log, from, upto));
                }
            }
        }
    }

    fn dial(&mut self, node: usize, link: LinkId, to: usize) {
        let reachable = !self.cut.contains(&(node.min(to), node.max(to)));
        let other = self.nodes[to].mesh.next_link();
        let end = |node, link, parcels: Vec<Parcel>| End { node, link, open: true, authenticated: false, inbox: parcels.into() };
        let here = if reachable { Parcel::Dialled } else { Parcel::Failed(CloseReason::Refused("cut".into())) };
        let there = if reachable { vec![Parcel::Accepted, Parcel::Authenticated] } else { Vec::new() };
        self.wires.push(Wire { ends: [end(node, link, vec![here]), end(to, other, there)] });
    }

    /// The wire and the end a node knows under a link number, if it is still open there.
    fn find(&self, node: usize, link: LinkId) -> Option<(usize, usize)> {
        let at = |(w, wire): (usize, &Wire)| {
            let end = wire.ends.iter().position(|e| e.node == node && e.link == link && e.open)?;
            Some((w, end))
        };
        self.wires.iter().enumerate().rev().find_map(at)
    }

    fn send(&mut self, node: usize, link: LinkId, message: Message) {
        match &message {
            Message::WalAck(ack) => {
                let it = &self.nodes[node];
                let applied = if ack.log == own(node) { it.durable(ack.log) } else { it.applied(ack.log) };
                assert!(ack.durable <= it.durable(ack.log), "an ack never exceeds what is durable");
                assert!(ack.applied <= applied && ack.applied <= ack.durable, "an ack never exceeds what is applied");
            }
            Message::WalPush(push) => {
                assert!(push.seq_end <= self.nodes[node].durable(push.log), "only durable records are pushed");
                self.pushes.0 += 1;
            }
            _ => {}
        }
        let (wire, end) = self.find(node, link).expect("sent on an open link");
        let [dialler, acceptor] = &mut self.wires[wire].ends;
        let other = if end == 0 { acceptor } else { dialler };
        let parcel = match message {
            Message::Welcome => Parcel::Authenticated,
            message => Parcel::Message(message),
        };
        other.inbox.push_back(parcel);
    }

    fn close(&mut self, node: usize, link: LinkId, reason: &CloseReason) {
        let Some((wire, end)) = self.find(node, link) else { return };
        self.wires[wire].ends[end].open = false;
        let told = self.wires[wire].ends[end].authenticated;
        let other = &mut self.wires[wire].ends[1 - end];
        other.inbox.push_back(match (told, other.authenticated || end == 0) {
            (false, _) => Parcel::Lost,
            (true, true) => Parcel::Message(Message::Close { code: reason.code(), detail: String::new() }),
            (true, false) => Parcel::Failed(CloseReason::from_code(reason.code(), "")),
        });
    }

    fn deliver(&mut self, wire: usize, end: usize) {
        let peer = self.wires[wire].ends[1 - end].node;
        let it = &mut self.wires[wire].ends[end];
        let (node, link) = (it.node, it.link);
        let Some(first) = it.inbox.pop_front() else { return };
        let lost = || CloseReason::Lost("the wire broke".into());
        let input = match first {
            Parcel::Accepted => Input::Accepted {
                link,
                endpoint: Endpoint::tcp("somewhere", peer as u16 + 1),
                source: Source::ipv4([10, 0, 0, peer as u8]),
            },
            Parcel::Dialled => Input::Dialled { link },
            Parcel::Authenticated => {
                it.authenticated = true;
                let peer =
                    PeerInfo { id: id(peer as u8 + 1), node_id: format!("node {peer}"), capabilities: Vec::new(), formerly: Vec::new() };
                Input::Authenticated { link, peer }
            }
            Parcel::Failed(reason) => {
                it.open = false;
                Input::DialFailed { link, reason }
            }
            Parcel::Lost => {
                it.open = false;
                if end == 0 && !it.authenticated {
                    Input::DialFailed { link, reason: lost() }
                } else {
                    Input::LinkClosed { link, reason: lost() }
                }
            }
            Parcel::Message(message) => {
                let mut items = vec![Inbound::Message(message)];
                let batch = self.rng.usize(0..4);
                while items.len() <= batch && matches!(it.inbox.front(), Some(Parcel::Message(_))) {
                    if let Some(Parcel::Message(message)) = it.inbox.pop_front() {
                        items.push(Inbound::Message(message));
                    }
                }
                self.count(node, &items);
                Input::Received { link, items }
            }
        };
        self.step(node, input);
    }

    fn count(&mut self, node: usize, items: &[Inbound]) {
        for item in items {
            if let Inbound::Message(Message::WalPush(push)) = item {
                self.pushes.1 += u64::from(push.seq_end <= self.nodes[node].durable(push.log));
            }
        }
    }

    fn disk(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        let input = match it.disk.pop_front() {
            Some(Task::Append(bytes)) => {
                let groups = it.logs.entry(own(node)).or_default();
                let first = last(groups) + 1;
                let new = group(own(node), first, first + self.rng.u64(0..3), bytes);
                groups.push(new.clone());
                Input::Durable { groups: vec![new] }
            }
            Some(Task::Store(link, group)) => {
                let groups = it.logs.entry(group.log).or_default();
                if it.disk_errors > 0 {
                    it.disk_errors -= 1;
                    Input::StoreFailed { link, log: group.log, durable: last(groups), reason: CloseReason::Lost("disk full".into()) }
                } else if group.first == last(groups) + 1 {
                    groups.push(group.clone());
                    Input::Durable { groups: vec![group] }
                } else if group.last <= last(groups) {
                    Input::Durable { groups: vec![group] }
                } else {
                    // What follows a group the disk refused.
                    Input::StoreFailed { link, log: group.log, durable: last(groups), reason: CloseReason::Protocol("gap".into()) }
                }
            }
            Some(Task::Read(link, log, from, max_bytes)) => {
                let (mut bytes, mut groups) = (0, Vec::new());
                for group in it.logs.get(&log).into_iter().flatten().filter(|g| g.last >= from) {
                    groups.push(group.clone());
                    bytes += group.bytes.len();
                    if bytes > max_bytes {
                        break;
                    }
                }
                Input::ReadDone { link, log, groups }
            }
            Some(Task::LastSeals(logs)) => {
                let seal = |log| (log, it.logs.get(&log).and_then(|groups| SealRecord::of(groups.last()?)));
                Input::LastSeals { seals: logs.into_iter().map(seal).collect() }
            }
            // The groups of this world have none that would fit.
            Some(Task::Compare(link, log, seal)) => Input::Compared { link, log, seal, verdict: Box::new(Compared::Unknown) },
            Some(Task::Apply(..)) | None => return,
        };
        self.step(node, input);
    }

    fn app(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        let Some(Task::Apply(log, from, upto)) = it.app.pop_front() else { return };
        let input = match it.refuses.get_mut(&(log, from)).filter(|times| **times > 0) {
            Some(times) => {
                *times -= 1;
                Input::ApplyRefused { log, seq: from }
            }
            None => {
                assert_eq!(it.applied(log) + 1, from);
                it.applied.insert(log, from);
                if from < upto {
                    it.app.push_front(Task::Apply(log, from + 1, upto));
                }
                Input::Applied { log, seq: from }
            }
        };
        self.step(node, input);
    }

    /// Every node holds the same of every log, has applied all of it, and nothing was invented.
    pub(crate) fn assert_converged(&self, context: &str) {
        for origin in 0..self.nodes.len() {
            let truth = self.nodes[origin].logs.get(&own(origin)).cloned().unwrap_or_default();
            for (n, node) in self.nodes.iter().enumerate() {
                let copy = node.logs.get(&own(origin)).cloned().unwrap_or_default();
                assert!(copy == truth, "{context}: node {n} has {} of {} records of {origin}", last(&copy), last(&truth));
                assert!(n == origin || node.applied(own(origin)) == last(&truth), "{context}: node {n} has not applied all of {origin}");
            }
        }
    }
}
