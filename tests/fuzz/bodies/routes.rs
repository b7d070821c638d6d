//! A recipient of parcels and a node between hostile neighbours: what was altered never opens, nothing is taken twice, no message ends
//! twice, and one input causes no flood.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vixp2p::Config;
use vixp2p::base::answer::Answers;
use vixp2p::base::endpoint::Source;
use vixp2p::base::{Endpoint, Event, Incarnation, LinkId, LogId, PeerId, Time, TrustTable, limits};
use vixp2p::crypto::handshake::ClusterKeys;
use vixp2p::crypto::parcel;
use vixp2p::crypto::{Identity, Secret};
use vixp2p::mesh::{Inbound, Input, Mesh, MeshSettings, Output, PeerInfo};
use vixp2p::wire::Message;
use vixp2p::wire::message::{Neighbours, Notice, Parcel, ParcelId, Search, SearchStep, Verdict};

use super::edits::Choices;

/// `payload length, payload, edits`: what is opened is what was sealed.
pub(crate) fn parcels(input: &[u8]) {
    let mut choices = Choices::new(input);
    let [from, to] = [1, 2].map(|n| Identity::from_seed(&Secret::new([n; 32])));
    let cluster = [ClusterKeys::new(None)];
    let len = usize::from(choices.byte());
    let payload = choices.take(len).to_vec();
    let sealed = parcel::seal(&from, &to.id(), &cluster[0], &Secret::new([3; 32]), b"header", &payload).expect("a key");
    let mut bytes = sealed.bytes.clone();
    choices.edit(&mut bytes, 8);
    let opened = parcel::open(&to, &from.id(), &cluster, b"header", &bytes);
    assert_eq!(opened.is_ok(), bytes == sealed.bytes);
    let is_same = |opened: parcel::Opened| {
        let (told, run) = (opened.answers.receipt(), opened.answers.run(7));
        opened.payload == payload && sealed.answers.proves_receipt(&told) && sealed.answers.proves_run(&run)
    };
    assert!(opened.is_ok_and(is_same) || bytes != sealed.bytes);
    assert!(parcel::open(&to, &from.id(), &cluster, b"header", choices.rest()).is_err());
}

pub(crate) fn parcels_seeds() -> Vec<Vec<u8>> {
    vec![vec![0], vec![5, b'h', b'e', b'l', b'l', b'o'], vec![3, 1, 2, 3, 0, 40, 0, 1], vec![1, 7, 2, 90, 0, 0]]
}

const LOCAL: PeerId = PeerId([5; 32]);
/// Far above what a handful of links and messages needs.
const OUTPUTS_MAX: usize = 2_000;

fn peer(choice: u8) -> PeerId {
    PeerId([choice % 8; 32])
}

fn answers(n: u8) -> Answers {
    Answers::new([n; 32], [n; 32])
}

struct Carrier {
    mesh: Mesh,
    now: Time,
    links: Vec<LinkId>,
    openings: BTreeMap<u64, Parcel>,
    seals: Vec<(u64, u64)>,
    /// The run the node named last.
    run: u64,
    /// Runs of own parcels that went out, so that notices can name them.
    sent: Vec<ParcelId>,
    posted: u64,
    ended: BTreeSet<u64>,
    taken: BTreeSet<(u64, PeerId, u64, u64)>,
    /// The message being handed over, as `taken` names it.
    opening: Option<(u64, PeerId, u64, u64)>,
}

impl Carrier {
    fn new() -> Carrier {
        let mut settings = MeshSettings::from_config(&Config::new("fuzz"), LOCAL);
        settings.trust = Arc::new(TrustTable::of_friends((0..8).map(peer)));
        settings.port = 9_000;
        let own = LogId { origin: LOCAL, incarnation: Incarnation(1) };
        let mut carrier = Carrier {
            mesh: Mesh::new(settings, Vec::new(), own, 7),
            now: Time::from_millis(1_000),
            links: Vec::new(),
            openings: BTreeMap::new(),
            seals: Vec::new(),
            run: 0,
            sent: Vec::new(),
            posted: 0,
            ended: BTreeSet::new(),
            taken: BTreeSet::new(),
            opening: None,
        };
        for n in 1..4 {
            let link = carrier.mesh.next_link();
            carrier.links.push(link);
            let endpoint = Endpoint::tcp(format!("10.0.0.{n}"), 40_000);
            carrier.step(Input::Accepted { link, endpoint, source: Source::ipv4([10, 0, 0, n]) });
            let info = PeerInfo { id: peer(n), node_id: format!("n{n}"), capabilities: Vec::new(), formerly: Vec::new() };
            carrier.step(Input::Authenticated { link, peer: info });
        }
        carrier
    }

    fn step(&mut self, input: Input) {
        self.mesh.handle(self.now, input);
        let mut count = 0;
        while let Some(output) = self.mesh.next_output() {
            count += 1;
            assert!(count < OUTPUTS_MAX, "one input causes no flood");
            _ = output.to_string();
            match output {
                Output::Seal { number, to_run, .. } => self.seals.push((number, to_run)),
                Output::Open { ticket, parcel } => {
                    assert!(parcel.to == LOCAL && parcel.id.from != LOCAL);
                    self.openings.insert(ticket, parcel);
                    assert!(self.openings.len() <= limits::OPENINGS_MAX);
                }
                Output::Send { link, message } => {
                    assert!(self.links.contains(&link), "sent on an open link");
                    self.sent(&message);
                }
                Output::Close { link, .. } => self.links.retain(|open| *open != link),
                Output::Event(Event::Data { peer, .. }) => {
                    let taken = self.opening.expect("data comes from an opened parcel");
                    assert!(taken.0 == self.run && taken.1 == peer && self.taken.insert(taken), "taken twice, or in another run");
                }
                Output::Event(Event::Delivered { message, .. } | Event::Undelivered { message, .. }) => {
                    assert!(message <= self.posted && self.ended.insert(message), "message {message} ended twice");
                }
                _ => {}
            }
        }
    }

    fn sent(&mut self, message: &Message) {
        match message {
            Message::Parcel(parcel) => {
                assert!((1..=limits::ROUTE_TTL).contains(&parcel.ttl));
                if parcel.id.from == LOCAL {
                    self.sent.push(parcel.id);
                }
            }
            Message::Notice(Notice { verdict: Verdict::Run(run), id }) if id.from != LOCAL => {
                // The node's own comes first.
                self.run = if self.run == 0 { run.run } else { self.run };
            }
            Message::Neighbours(told) => assert!(told.others.len() <= limits::NEIGHBOURS_TOLD_MAX),
            _ => {}
        }
    }

    fn id(&self, choices: &mut Choices<'_>) -> ParcelId {
        if let Some(id) = self.sent.get(usize::from(choices.byte()) % (self.sent.len() + 1)) {
            return *id;
        }
        let (from, number) = (peer(choices.byte()), choices.number());
        ParcelId { from, from_run: u64::from(choices.byte() % 2), number, attempt: choices.byte() % 4 }
    }

    fn message(&self, choices: &mut Choices<'_>) -> Message {
        match choices.byte() % 5 {
            0 | 1 => {
                let (id, to) = (self.id(choices), if choices.byte() & 1 == 0 { LOCAL } else { peer(choices.byte()) });
                let to_run = if choices.byte() & 1 == 0 { self.run } else { choices.number() };
                let (ttl, text) = (choices.byte(), choices.take(8));
                // Some promise an answer that can be guessed.
                let pledge = answers(text.len() as u8 % 2).pledge().0;
                let sealed = if ttl & 64 == 0 { [&[1; 33][..], &pledge, text].concat() } else { text.to_vec() };
                Message::Parcel(Parcel { id, to, to_run, ttl, sealed: sealed.into() })
            }
            2 => {
                let verdict = match choices.byte() % 7 {
                    0 => Verdict::Received([choices.byte() % 2; 32]),
                    1 => Verdict::Run(answers(choices.byte() % 2).run(choices.number())),
                    2 => Verdict::NoRoute,
                    3 => Verdict::TtlExceeded,
                    4 => Verdict::Busy,
                    5 => Verdict::Refused,
                    _ => Verdict::Loop,
                };
                Message::Notice(Notice { id: self.id(choices), verdict })
            }
            3 => {
                let (origin, target) = (peer(choices.byte()), peer(choices.byte()));
                let step = if choices.byte() & 1 == 0 {
                    SearchStep::Seek { ttl: choices.byte() }
                } else {
                    SearchStep::Found { hops: choices.byte() }
                };
                Message::Search(Search { origin, number: choices.number(), target, step })
            }
            _ => {
                let other = |choices: &mut Choices<'_>| (peer(choices.byte()), format!("tcp://10.1.{}.1:1", choices.byte()));
                let others = (0..choices.byte() % 4).map(|_| other(choices)).collect();
                Message::Neighbours(Neighbours { port: choices.u16(), others })
            }
        }
    }
}

/// `(operation, its fields)*`
pub(crate) fn node(input: &[u8]) {
    let mut choices = Choices::new(input);
    let mut carrier = Carrier::new();
    // The node names its run to whoever does not know it.
    let id = ParcelId { from: peer(1), from_run: 9, number: 1, attempt: 0 };
    let first = Message::Parcel(Parcel { id, to: LOCAL, to_run: 0, ttl: 1, sealed: Bytes::new() });
    carrier.step(Input::Received { link: carrier.links[0], items: vec![Inbound::Message(first)] });
    let (ticket, _) = carrier.openings.pop_first().expect("asked for");
    carrier.step(Input::Opened { ticket, opened: Some((Bytes::new(), answers(2))) });
    assert!(carrier.run != 0);
    while !choices.is_empty() {
        match choices.byte() % 8 {
            0 => {
                carrier.posted += 1;
                let (to, life) = (peer(choices.byte()), Duration::from_millis(u64::from(choices.u16())));
                if to != LOCAL {
                    carrier.step(Input::Post { number: carrier.posted, to, payload: Bytes::from_static(b"payload"), life });
                } else {
                    carrier.ended.insert(carrier.posted);
                }
            }
            1 => {
                if let Some((number, to_run)) = carrier.seals.pop() {
                    let sealed = (choices.byte() != 7).then(|| (Bytes::from_static(b"sealed"), answers(1)));
                    carrier.step(Input::Sealed { number, to_run, sealed });
                }
            }
            2 => {
                if let Some((ticket, parcel)) = carrier.openings.pop_first() {
                    carrier.opening = Some((parcel.to_run, parcel.id.from, parcel.id.from_run, parcel.id.number));
                    let opened = (choices.byte() & 3 != 3).then(|| (Bytes::from_static(b"open"), answers(2)));
                    carrier.step(Input::Opened { ticket, opened });
                    carrier.opening = None;
                }
            }
            3 => {
                carrier.now = carrier.now + Duration::from_millis(u64::from(choices.u16() % 5_000));
                carrier.step(Input::Tick);
            }
            4 => {
                let (to, hop) = (peer(choices.byte()), peer(choices.byte()));
                let way = (choices.byte() & 1 == 0).then(|| (hop, choices.byte() % limits::ROUTE_TTL + 1));
                carrier.step(Input::RouteTo { to, way });
            }
            5 => {
                let id = carrier.id(&mut choices);
                carrier.step(Input::Unsent { id });
            }
            _ => {
                let link = usize::from(choices.byte());
                let message = carrier.message(&mut choices);
                if !carrier.links.is_empty() {
                    let link = carrier.links[link % carrier.links.len()];
                    carrier.step(Input::Received { link, items: vec![Inbound::Message(message)] });
                }
            }
        }
    }
    // Every message ends with its life at the latest.
    while let Some(at) = carrier.mesh.deadline().filter(|_| (carrier.ended.len() as u64) < carrier.posted) {
        carrier.now = carrier.now.max(at);
        carrier.step(Input::Tick);
    }
    assert_eq!(carrier.ended.len() as u64, carrier.posted);
}

pub(crate) fn node_seeds() -> Vec<Vec<u8>> {
    vec![
        // A message to neighbour 1: sealed, sent, another run, sealed and sent again, received.
        vec![0, 1, 0xff, 0x7f, 1, 0, 6, 0, 2, 1, 1, 9, 0, 1, 0, 6, 0, 2, 0, 1, 1],
        // A message to somebody far: searched, found, given up.
        vec![0, 7, 0xff, 0x1f, 6, 1, 3, 5, 7, 1, 1, 1, 3, 0xff, 0x0f, 3, 0xff, 0x1f],
        // Parcels to this node, twice, opened; one for another.
        vec![6, 0, 0, 9, 3, 1, 0, 0, 0, 0, 1, 2, 0, 6, 1, 0, 9, 3, 1, 0, 1, 0, 0, 1, 2, 0, 6, 0, 0, 9, 3, 4, 0, 0, 1, 2, 1, 9, 8],
        // A parcel for a neighbour, whose run and receipt are proven.
        [&[6, 0, 0, 0, 3, 1, 1, 0, 1, 2, 0, 8][..], &[7; 8], &[6, 1, 2, 1, 0, 9, 0, 3, 1, 1, 0, 6, 1, 2, 0, 0, 0, 3, 1, 1, 0]].concat(),
        // Neighbours, routes, a full link.
        vec![6, 2, 4, 2, 1, 1, 2, 2, 0x29, 0x23, 4, 7, 2, 0, 5, 5, 0, 1, 1, 0, 0, 3, 0xff, 0xff],
    ]
}
