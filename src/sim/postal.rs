//! Messages over routes: written by applications that know what they sent, and the rules they are held to.
//!
//! A message arrives at most once, unaltered, at whom it was for; its sender is told of its end, once, within its life; who is told that
//! it arrived is told the truth, and who is told that no way was found as well. Where a relay lies, it arrives at most once in each
//! life of its recipient, and only of what arrived the sender is told the truth; what the honest can bring there arrives. Never changes
//! what a node decides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use crate::base::route::Undelivered;
use crate::base::{Event, PeerId, Time};
use crate::crypto::Secret;
use crate::mesh::io::Input;
use crate::sim::check::Check;
use crate::sim::node::name;
use crate::sim::world::{What, World};
use crate::wire::message::{Parcel, route};

/// What the payload of such a message begins with; one of a link begins with the number of its connection.
const MARK: [u8; 8] = [0xff; 8];
/// A timer is not late by more than this.
const LATE: Duration = Duration::from_millis(100);
/// The longest that sealing or opening takes, in microseconds: the machine has other things to do.
const LATE_US: u64 = 1_500_000;

/// One message, by its number over all.
#[derive(Debug)]
struct Letter {
    from: usize,
    life: u32,
    to: usize,
    payload: Bytes,
    until: Time,
    /// It has to arrive: nothing stands in its way.
    must: bool,
    /// The lives of its recipient in which it did.
    arrived: BTreeSet<u32>,
    ended: Option<Result<(), Undelivered>>,
}

/// Every message there was.
#[derive(Debug, Default)]
pub(super) struct Letters {
    letters: BTreeMap<u64, Letter>,
    /// One of the relays lies.
    lied: bool,
}

impl Letters {
    fn arrives(&mut self, (at, life): (usize, u32), from: Option<usize>, payload: &[u8]) -> Check {
        let number = payload.get(8..16).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
        let Some(letter) = self.letters.get_mut(&number) else { return Err(format!("{} got letter {number} that nobody wrote", name(at))) };
        if letter.to != at || from != Some(letter.from) || letter.payload != payload {
            return Err(format!("{} got letter {number}, from {from:?}, which is not as {} wrote it", name(at), name(letter.from)));
        }
        let again = !self.lied && !letter.arrived.is_empty();
        if !letter.arrived.insert(life) || again {
            return Err(format!("{} got letter {number} a second time", name(at)));
        }
        match letter.ended {
            Some(Err(Undelivered::Unanswered | Undelivered::Restarted)) | None => Ok(()),
            Some(Err(_)) if self.lied => Ok(()),
            Some(end) => Err(format!("letter {number} arrived after its sender was told {end:?}")),
        }
    }

    fn ends(&mut self, number: u64, end: Result<(), Undelivered>) -> Check {
        let Some(letter) = self.letters.get_mut(&number) else { return Err(format!("letter {number} ends and nobody wrote it")) };
        if letter.ended.is_some() {
            return Err(format!("{} is told a second time of letter {number}: {end:?}", name(letter.from)));
        }
        letter.ended = Some(end);
        let may_have_arrived = self.lied || matches!(end, Ok(()) | Err(Undelivered::Unanswered | Undelivered::Restarted));
        let has_arrived = !letter.arrived.is_empty();
        if (end.is_ok() && !has_arrived) || (has_arrived && !may_have_arrived) {
            return Err(format!("{} is told {end:?} of letter {number}, which has arrived: {has_arrived}", name(letter.from)));
        }
        match end {
            Err(why) if letter.must => {
                Err(format!("letter {number} from {} to {} had to arrive: {why}", name(letter.from), name(letter.to)))
            }
            _ => Ok(()),
        }
    }

    /// A message whose sender lives on and has not been told of its end in time.
    pub(super) fn forgotten(&self, now: Time, lives: impl Fn(usize, u32) -> bool) -> Option<String> {
        let late = |letter: &Letter| letter.ended.is_none() && letter.until + LATE < now && lives(letter.from, letter.life);
        let (number, letter) = self.letters.iter().find(|(_, letter)| late(letter))?;
        Some(format!("{} has not been told what became of letter {number}, whose life ended at {}", name(letter.from), letter.until))
    }

    /// Messages that arrived, and those given up.
    pub(super) fn counts(&self) -> (u64, u64) {
        let arrived = self.letters.values().filter(|letter| !letter.arrived.is_empty()).count();
        let given_up = self.letters.values().filter(|letter| matches!(letter.ended, Some(Err(_)))).count();
        (arrived as u64, given_up as u64)
    }
}

impl World<'_> {
    /// An application sends a message to a node, wherever it is.
    pub(super) fn write_letter(&mut self, from: usize, to: usize, life_ms: u64, must: bool) -> Check {
        if self.nodes[from].paused || from == to {
            return Ok(());
        }
        let Some(life) = &self.nodes[from].life else { return Ok(()) };
        let (number, number_of_life) = (self.letters.letters.len() as u64 + 1, life.number);
        let mut payload = [MARK, number.to_le_bytes()].concat();
        payload.resize(16 + self.rng.usize(..2_000), number as u8);
        let (payload, life) = (Bytes::from(payload), Duration::from_millis(life_ms));
        let until = self.now + life;
        let arrived = BTreeSet::new();
        let letter = Letter { from, life: number_of_life, to, payload: payload.clone(), until, must, arrived, ended: None };
        self.letters.lied = self.liar.is_some();
        self.letters.letters.insert(number, letter);
        let to = self.nodes[to].identity.id();
        self.step(from, Input::Post { number, to, payload, life })
    }

    /// What a node says of messages over routes; `None` if the event is about something else.
    pub(super) fn letter_event(&mut self, node: usize, event: &Event) -> Option<Check> {
        match event {
            Event::Data { peer, batch } => {
                let payload = batch.iter().next().filter(|payload| payload.starts_with(&MARK))?;
                let from = self.nodes.iter().position(|node| node.identity.id() == *peer);
                let life = self.nodes[node].lives;
                Some(self.letters.arrives((node, life), from, payload))
            }
            Event::Delivered { message, .. } => Some(self.letters.ends(*message, Ok(()))),
            Event::Undelivered { message, reason, .. } => Some(self.letters.ends(*message, Err(*reason))),
            _ => None,
        }
    }

    /// What was sealed or opened comes back, mostly soon.
    pub(super) fn hand_over(&mut self, node: usize, input: Input) {
        let most = if self.rng.u8(..8) == 0 { LATE_US } else { 2_000 };
        let (pause, life) = (self.pause(0, most), self.nodes[node].lives);
        self.after(pause, What::Ready { node, life, input });
    }

    /// Seals as the driver does; the result is handed over later.
    pub(super) fn seal(&mut self, node: usize, number: u64, to: &PeerId, (from_run, to_run): (u64, u64), payload: &[u8]) -> Input {
        let mut ephemeral = Secret::zero();
        self.rng.fill(ephemeral.expose_mut());
        let sealed = self.nodes[node].party.seal_parcel(to, &route::header(from_run, to_run, number), payload, &ephemeral);
        Input::Sealed { number, to_run, sealed: sealed.map(|sealed| (sealed.bytes.into(), sealed.answers)) }
    }

    /// Opens as the driver does; the result is handed over later.
    pub(super) fn open(&self, node: usize, ticket: u64, parcel: &Parcel) -> Input {
        let opened = self.nodes[node].party.open_parcel(&parcel.id.from, &parcel.header(), &parcel.sealed);
        Input::Opened { ticket, opened: opened.map(|opened| (opened.payload.into(), opened.answers)) }
    }
}
