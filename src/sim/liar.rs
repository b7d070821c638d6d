//! A liar among the relays: its machines are honest, and what they hear and say of others' messages passes through its hands.
//!
//! It says that it knows ways, swallows, alters and repeats parcels and notices, tells false ones, and writes others' names on them. Each
//! one has tricks it prefers. It holds its own key only, and stays within what any peer may send.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use crate::base::answer::ProvenRun;
use crate::base::{LinkId, PeerId, Time};
use crate::mesh::Output;
use crate::mesh::io::Input;
use crate::sim::check::Check;
use crate::sim::node::name;
use crate::sim::world::World;
use crate::wire::Message;
use crate::wire::message::{Inbound, Notice, Parcel, ParcelId, Search, SearchStep, Verdict};

/// What it has seen and may send again.
const KEPT_MAX: usize = 64;
/// Messages it makes up in a second at most.
const LIES_A_SECOND: u32 = 100;

/// What becomes of a parcel in its hands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Pass,
    Swallow,
    /// Swallowed, and something is told of it.
    Deny,
    /// Passed on, and something else is told of it.
    PassAndDeny,
    Alter,
    /// Passed on, and other copies of it before its sender makes them.
    Forestall,
    /// Kept, and every other copy that its sender could make is sent before it, to end on the way.
    Exhaust,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Liar {
    pub(super) node: usize,
    rng: fastrand::Rng,
    /// Its tricks with parcels.
    fates: Vec<Fate>,
    /// The word it prefers; none: any.
    word: Option<u8>,
    /// How many of a thousand questions it says it knows a way for, answers and notices it swallows or alters, and old things it repeats.
    claims: u32,
    silences: u32,
    alters: u32,
    repeats: u32,
    kept: VecDeque<Message>,
    /// Messages of which it has sent every copy.
    exhausted: BTreeSet<(PeerId, u64, u64)>,
    told: (u64, u32),
}

/// To whom it says something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Whom {
    /// From whom it heard the other.
    Back,
    Anybody,
    /// One neighbour for all of it, so that none of it is missing there.
    One,
}

impl Liar {
    pub(super) fn new(node: usize, seed: u64) -> Liar {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x6c69_6172);
        let all = [Fate::Pass, Fate::Swallow, Fate::Deny, Fate::PassAndDeny, Fate::Alter, Fate::Forestall, Fate::Exhaust];
        // One trick alone is the hardest to tell from bad luck.
        let mut fates: Vec<Fate> = all.into_iter().filter(|_| rng.bool()).collect();
        if fates.is_empty() || rng.bool() {
            fates = vec![all[rng.usize(1..all.len())]];
        }
        let often = |rng: &mut fastrand::Rng| [0, 200, 1_000][rng.usize(..3)];
        let word = rng.bool().then(|| rng.u8(..8));
        let claims = [300, 1_000, 1_000][rng.usize(..3)];
        let (silences, alters, repeats) = (often(&mut rng), often(&mut rng), often(&mut rng));
        Liar { node, rng, fates, word, claims, silences, alters, repeats, kept: VecDeque::new(), exhausted: BTreeSet::new(), told: (0, 0) }
    }

    fn often(&mut self, per_mille: u32) -> bool {
        self.rng.u32(..1_000) < per_mille
    }

    fn keep(&mut self, message: Message) {
        if self.kept.len() >= KEPT_MAX {
            let oldest = self.rng.usize(..KEPT_MAX);
            self.kept.remove(oldest);
        }
        self.kept.push_back(message);
    }

    fn verdict(&mut self) -> Verdict {
        match self.word.unwrap_or_else(|| self.rng.u8(..8)) {
            // It has seen what proves that a parcel was opened, which is no receipt.
            0 => Verdict::Received(self.rng.bool().then(|| self.heard_run()).flatten().map_or_else(|| self.noise(), |run| run.opened)),
            1 => Verdict::NoRoute,
            2 => Verdict::TtlExceeded,
            3 => Verdict::Busy,
            4 => Verdict::Refused,
            5 => Verdict::Loop,
            // Always the same one, or never.
            word => {
                let run = if word == 6 { 7 } else { self.rng.u64(..) };
                let (opened, proof) = (self.noise(), self.noise());
                let heard = self.rng.bool().then(|| self.heard_run()).flatten();
                Verdict::Run(ProvenRun { run, ..heard.unwrap_or(ProvenRun { run, opened, proof }) })
            }
        }
    }

    fn noise(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.rng.fill(&mut bytes);
        bytes
    }

    /// What it heard last of somebody's run.
    fn heard_run(&self) -> Option<ProvenRun> {
        let run = |message: &Message| match message {
            Message::Notice(Notice { verdict: Verdict::Run(run), .. }) => Some(*run),
            _ => None,
        };
        self.kept.iter().rev().find_map(run)
    }

    /// The parcel with something else in it.
    fn altered(&mut self, parcel: &Parcel, people: &[PeerId]) -> Parcel {
        let mut parcel = parcel.clone();
        match self.rng.u8(..9) {
            0 => parcel.id.number ^= 1 << self.rng.u32(..8),
            1 => parcel.id.attempt = parcel.id.attempt.wrapping_add(self.rng.u8(1..9)),
            2 => parcel.id.from = people[self.rng.usize(..people.len())],
            3 => parcel.id.from_run ^= 1,
            4 => parcel.to = people[self.rng.usize(..people.len())],
            5 => parcel.to_run = self.rng.u64(..),
            6 => parcel.ttl = self.rng.u8(..),
            7 => parcel.sealed = parcel.sealed.slice(..self.rng.usize(..=parcel.sealed.len())),
            _ => {
                let mut bytes = parcel.sealed.to_vec();
                if !bytes.is_empty() {
                    let at = self.rng.usize(..bytes.len());
                    bytes[at] ^= 1 << self.rng.u32(..8);
                }
                parcel.sealed = Bytes::from(bytes);
            }
        }
        parcel
    }

    /// What it does with a message it hears: what its own machines are to hear of it, and what it says at once.
    fn hears(&mut self, message: Message, people: &[PeerId]) -> (Option<Message>, Vec<(Whom, Message)>) {
        let me = people[self.node];
        match message {
            Message::Search(search) if search.origin != me && search.target != me => self.hears_search(search),
            Message::Parcel(parcel) if parcel.id.from != me && parcel.to != me => {
                self.keep(Message::Parcel(parcel.clone()));
                self.hears_parcel(parcel, people)
            }
            Message::Notice(notice) if notice.id.from != me => {
                self.keep(Message::Notice(notice.clone()));
                if self.often(self.silences) {
                    return (None, Vec::new());
                }
                let verdict = if self.often(self.alters) { self.verdict() } else { notice.verdict };
                (Some(Message::Notice(Notice { verdict, ..notice })), Vec::new())
            }
            other => (Some(other), Vec::new()),
        }
    }

    fn hears_search(&mut self, search: Search) -> (Option<Message>, Vec<(Whom, Message)>) {
        match search.step {
            SearchStep::Seek { .. } if self.often(self.claims) => {
                let step = SearchStep::Found { hops: self.rng.u8(..3) };
                let asks_on = self.rng.bool().then_some(Message::Search(search));
                (asks_on, vec![(Whom::Back, Message::Search(Search { step, ..search }))])
            }
            SearchStep::Found { .. } if self.often(self.silences) => (None, Vec::new()),
            _ => (Some(Message::Search(search)), Vec::new()),
        }
    }

    fn hears_parcel(&mut self, parcel: Parcel, people: &[PeerId]) -> (Option<Message>, Vec<(Whom, Message)>) {
        let fate = self.fates[self.rng.usize(..self.fates.len())];
        let denial = Notice { id: parcel.id, verdict: self.verdict() };
        let denial = vec![(Whom::Back, Message::Notice(denial))];
        match fate {
            Fate::Pass => (Some(Message::Parcel(parcel)), Vec::new()),
            Fate::Swallow => (None, Vec::new()),
            Fate::Deny => (None, denial),
            Fate::PassAndDeny => (Some(Message::Parcel(parcel)), denial),
            Fate::Alter => {
                let altered = self.altered(&parcel, people);
                (None, vec![(Whom::Anybody, Message::Parcel(altered))])
            }
            Fate::Forestall => {
                let copies = (1..12).map(|more| {
                    let mut copy = if self.rng.bool() { self.altered(&parcel, people) } else { parcel.clone() };
                    copy.id.attempt = parcel.id.attempt.wrapping_add(more);
                    (Whom::Anybody, Message::Parcel(copy))
                });
                let copies: Vec<_> = copies.collect();
                (self.rng.bool().then_some(Message::Parcel(parcel)), copies)
            }
            Fate::Exhaust => (None, self.exhausts(&parcel)),
        }
    }

    /// Every copy there can be after this one, with so few links left that none comes far; once a message.
    fn exhausts(&mut self, parcel: &Parcel) -> Vec<(Whom, Message)> {
        let ParcelId { from, from_run, number, attempt } = parcel.id;
        if !self.exhausted.insert((from, from_run, number)) {
            return Vec::new();
        }
        let copies = (1..=u8::MAX).map(|more| {
            let id = ParcelId { attempt: attempt.wrapping_add(more), ..parcel.id };
            (Whom::One, Message::Parcel(Parcel { id, ttl: self.rng.u8(2..5), ..parcel.clone() }))
        });
        copies.collect()
    }

    /// Something it has seen before, as it was or not.
    fn repeats(&mut self, people: &[PeerId]) -> Option<Message> {
        let index = self.rng.usize(..self.kept.len().max(1));
        let again = self.kept.get(index)?.clone();
        Some(match again {
            Message::Parcel(parcel) if self.rng.bool() => Message::Parcel(self.altered(&parcel, people)),
            Message::Notice(notice) if self.rng.bool() => Message::Notice(Notice { verdict: self.verdict(), ..notice }),
            other => other,
        })
    }

    fn may_speak(&mut self, now: Time) -> bool {
        let second = now.as_millis() / 1_000;
        if self.told.0 != second {
            self.told = (second, 0);
        }
        self.told.1 += 1;
        self.told.1 <= LIES_A_SECOND
    }
}

impl World<'_> {
    /// What a node's machines are given of what came by a link: everything, but for the liar.
    pub(super) fn listens(&mut self, node: usize, link: LinkId, input: Input) -> Result<Input, String> {
        let Some(mut liar) = self.liar.take_if(|liar| liar.node == node) else { return Ok(input) };
        let heard = self.lies(&mut liar, link, input);
        self.liar = Some(liar);
        heard
    }

    fn lies(&mut self, liar: &mut Liar, link: LinkId, input: Input) -> Result<Input, String> {
        let Input::Received { link: by, items } = input else { return Ok(input) };
        let people: Vec<PeerId> = self.nodes.iter().map(|node| node.identity.id()).collect();
        let (mut passed, mut said) = (Vec::new(), Vec::new());
        for item in items {
            let Inbound::Message(message) = item else {
                passed.push(item);
                continue;
            };
            let is_of_routes = matches!(message, Message::Parcel(_) | Message::Notice(_) | Message::Search(_));
            let (heard, lies) = liar.hears(message, &people);
            passed.extend(heard.map(Inbound::Message));
            said.extend(lies);
            if is_of_routes && liar.often(liar.repeats) {
                said.extend(liar.repeats(&people).map(|again| (Whom::Anybody, again)));
            }
        }
        let one = liar.rng.u64(..);
        for (whom, message) in said {
            let nth = match whom {
                Whom::Back => None,
                Whom::Anybody => Some(liar.rng.u64(..)),
                Whom::One => Some(one),
            };
            if whom == Whom::One || liar.may_speak(self.now) {
                self.says(liar, nth.ok_or(link), message)?;
            }
        }
        Ok(Input::Received { link: by, items: passed })
    }

    fn says(&mut self, liar: &mut Liar, link: Result<u64, LinkId>, message: Message) -> Check {
        let node = liar.node;
        let Some(life) = &self.nodes[node].life else { return Ok(()) };
        let links: Vec<LinkId> = life.routes.values().copied().collect();
        if links.is_empty() {
            return Ok(());
        }
        let link = link.map_or_else(|link| link, |nth| links[(nth % links.len() as u64) as usize]);
        let output = Output::Send { link, message };
        self.trace.line(self.now, format_args!("{} lies {output}", name(node)))?;
        let Output::Send { message, .. } = output else { return Ok(()) };
        self.counts.lies += 1;
        let mut inputs = VecDeque::new();
        self.send(node, link, &message, &mut inputs)?;
        inputs.into_iter().try_for_each(|input| self.step(node, input))
    }
}
