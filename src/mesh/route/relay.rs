//! What a relay remembers: which copies have passed and whence, which searches, and how much each neighbour asks for. All bounded.
//!
//! Never sends anything and knows no routes. Whatever is counted is counted against a neighbour: no other name is proven here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::fair::Fair;
use crate::base::answer::Pledge;
use crate::base::{PeerId, Time, limits};
use crate::wire::message::{Parcel, ParcelId, Verdict};

/// A copy that has passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crumb {
    /// The neighbour it came from, which is where notices go.
    pub(super) back: PeerId,
    /// The neighbour it went to, which is where notices come from.
    pub(super) on: PeerId,
    /// Whom it is for.
    pub(super) to: PeerId,
    /// What passing it cost.
    pub(super) cost: u32,
    /// What it promises to be answered with.
    pledge: Option<Pledge>,
    /// What proves that it has arrived.
    receipt: Option<[u8; 32]>,
    notices: u8,
    order: u64,
}

/// What a notice is to the copies it is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    /// Only the recipient can have said so.
    Proven,
    /// Anybody can.
    Hint,
    /// The recipient did not say what it is said to have.
    False,
}

/// Each neighbour's copy of a copy, and its mark: whoever brings one that another brought before does not take its way back, and a
/// forged one does not take that of the true one.
type Key = (ParcelId, PeerId, u64);

/// The way back of every copy that has passed, and thereby the proof that it did.
#[derive(Debug, Default)]
pub(super) struct Crumbs {
    crumbs: BTreeMap<Key, Crumb>,
    /// Of each neighbour, in the order in which they came.
    ages: BTreeMap<PeerId, BTreeMap<u64, Key>>,
    /// Neighbours by the number of their crumbs.
    crowds: BTreeSet<(usize, PeerId)>,
    order: u64,
}

impl Crumbs {
    /// Whether this neighbour has brought this copy before.
    pub(super) fn seen(&self, parcel: &Parcel, back: PeerId) -> bool {
        self.crumbs.contains_key(&(parcel.id, back, mark(parcel)))
    }

    /// What proves that a copy of this parcel has arrived, whoever brought that.
    pub(super) fn receipt(&self, parcel: &Parcel) -> Option<[u8; 32]> {
        let mark = mark(parcel);
        self.crumbs.range(of_message(&parcel.id)).filter(|((.., of), _)| *of == mark).find_map(|(_, crumb)| crumb.receipt)
    }

    /// A copy passes.
    pub(super) fn drop_one(&mut self, parcel: &Parcel, (back, on): (PeerId, PeerId)) {
        let key = (parcel.id, back, mark(parcel));
        self.forget(&key);
        if self.crumbs.len() >= limits::CRUMBS_MAX
            && let Some((_, crowded)) = self.crowds.last()
            && let Some(oldest) = self.ages.get(crowded).and_then(|ages| ages.values().next()).copied()
        {
            self.forget(&oldest);
        }
        self.order += 1;
        let (order, cost) = (self.order, cost(parcel.sealed.len()));
        self.crumbs.insert(key, Crumb { back, on, to: parcel.to, cost, pledge: parcel.pledge(), receipt: None, notices: 0, order });
        let ages = self.ages.entry(back).or_default();
        self.crowds.remove(&(ages.len(), back));
        ages.insert(order, key);
        self.crowds.insert((ages.len(), back));
    }

    fn forget(&mut self, key: &Key) {
        let Some(crumb) = self.crumbs.remove(key) else { return };
        let Some(ages) = self.ages.get_mut(&crumb.back) else { return };
        self.crowds.remove(&(ages.len(), crumb.back));
        ages.remove(&crumb.order);
        match ages.len() {
            0 => drop(self.ages.remove(&crumb.back)),
            left => drop(self.crowds.insert((left, crumb.back))),
        }
    }

    /// The crumb of a copy that was passed on last.
    pub(super) fn latest(&self, id: &ParcelId) -> Option<Crumb> {
        self.crumbs.range(of_copy(id)).map(|(_, crumb)| crumb).max_by_key(|crumb| crumb.order).copied()
    }

    /// Whom copies of the same parcel from that neighbour went to, and in which order the last time. What was sealed anew begins anew,
    /// where the answer to the seal before came from.
    pub(super) fn tried(&self, parcel: &Parcel, back: PeerId) -> BTreeMap<PeerId, u64> {
        let mark = mark(parcel);
        let mut tried = BTreeMap::new();
        let copies = self.crumbs.range(of_message(&parcel.id)).filter(|((_, by, of), _)| *by == back && *of == mark);
        for (_, crumb) in copies {
            let latest = tried.entry(crumb.on).or_insert(crumb.order);
            *latest = crumb.order.max(*latest);
        }
        tried
    }

    /// A notice came from `by`: what it is, and the crumbs it is about, one for each neighbour, and whether it may be passed back there
    /// once more.
    pub(super) fn told(&mut self, id: &ParcelId, by: PeerId, verdict: Verdict) -> (Told, Vec<(Crumb, bool)>) {
        let of_by = |(_, crumb): &(&Key, &mut Crumb)| crumb.on == by;
        let is_proof = matches!(verdict, Verdict::Received(_) | Verdict::Run(_));
        let is_kept = is_proof && self.crumbs.range(of_copy(id)).any(|(_, crumb)| crumb.on == by && crumb.is_kept(verdict));
        let mut about: Vec<(Crumb, bool)> = Vec::new();
        for (_, crumb) in self.crumbs.range_mut(of_copy(id)).filter(of_by) {
            if is_kept && !crumb.is_kept(verdict) {
                continue;
            }
            crumb.notices = crumb.notices.saturating_add(1);
            let mut may_tell = crumb.notices <= limits::CRUMB_NOTICES_MAX;
            if let (Verdict::Received(receipt), true) = (verdict, is_kept) {
                // Whatever was said of it before.
                may_tell |= crumb.receipt.is_none();
                crumb.receipt = Some(receipt);
            }
            if about.last().is_none_or(|(last, _)| last.back != crumb.back) {
                about.push((*crumb, may_tell));
            }
        }
        let told = if !is_proof {
            Told::Hint
        } else if is_kept {
            Told::Proven
        } else {
            Told::False
        };
        (told, about)
    }

    /// A parcel has arrived: the other copies of it of which that was not known yet, by whence they came and their names.
    pub(super) fn arrived(&mut self, id: &ParcelId, receipt: [u8; 32]) -> Vec<(ParcelId, PeerId)> {
        let verdict = Verdict::Received(receipt);
        let untold = self.crumbs.range_mut(of_message(id)).filter(|(_, crumb)| crumb.receipt.is_none() && crumb.is_kept(verdict));
        untold
            .map(|((id, back, _), crumb)| {
                crumb.receipt = Some(receipt);
                (*id, *back)
            })
            .collect()
    }
}

impl Crumb {
    /// Whether the recipient said that of it.
    fn is_kept(&self, verdict: Verdict) -> bool {
        self.pledge.is_some_and(|pledge| match verdict {
            Verdict::Received(receipt) => pledge.is_kept_by_receipt(&receipt),
            Verdict::Run(run) => pledge.is_kept_by_opened(&run.opened),
            _ => false,
        })
    }
}

/// The crumbs of one copy.
fn of_copy(id: &ParcelId) -> RangeInclusive<Key> {
    (*id, PeerId([0; 32]), 0)..=(*id, PeerId([0xff; 32]), u64::MAX)
}

/// The crumbs of every copy of a message.
fn of_message(id: &ParcelId) -> RangeInclusive<Key> {
    let copy = |attempt| ParcelId { attempt, ..*id };
    (copy(0), PeerId([0; 32]), 0)..=(copy(u8::MAX), PeerId([0xff; 32]), u64::MAX)
}

/// By what a copy is known besides its name.
fn mark(parcel: &Parcel) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&parcel.to.0).update(&parcel.to_run.to_le_bytes()).update(&parcel.sealed);
    let hash = hasher.finalize();
    hash.as_bytes()[..8].iter().fold(0, |mark, byte| mark << 8 | u64::from(*byte))
}

/// Who asks, under which number, for whom: whoever guesses a number does not use it up for others.
type Asked = (PeerId, u64, PeerId);

/// A search of somebody else that has passed.
#[derive(Clone, Debug)]
struct Seen {
    /// Who asked, and whether it was answered.
    backs: Vec<(PeerId, bool)>,
    /// Who answered first, over so many links, and who after that: nobody is told of the way over itself.
    answers: Vec<(PeerId, u8)>,
    order: u64,
}

/// What a question is to a node that may have been asked before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Question {
    /// Nobody asked it before.
    New,
    /// Another neighbour did, and this was the answer of somebody else than who asks now, if there was one.
    Again(Option<(PeerId, u8)>),
    /// The same neighbour did, or too many.
    Known,
}

/// The searches of others.
#[derive(Debug, Default)]
pub(super) struct Searches {
    seen: BTreeMap<Asked, Seen>,
    ages: BTreeSet<(u64, Asked)>,
    order: u64,
}

impl Searches {
    /// A question arrives. Every neighbour that asks is answered: else one that passes a question on faster than others would be the
    /// only one to hear.
    pub(super) fn asked(&mut self, search: Asked, back: PeerId) -> Question {
        if let Some(seen) = self.seen.get_mut(&search) {
            if seen.backs.iter().any(|(asker, _)| *asker == back) || seen.backs.len() >= limits::SEARCH_ASKERS_MAX {
                return Question::Known;
            }
            let answer = seen.answers.iter().find(|(by, _)| *by != back).copied();
            seen.backs.push((back, answer.is_some()));
            return Question::Again(answer);
        }
        if self.seen.len() >= limits::SEARCHES_MAX
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.seen.remove(&oldest);
        }
        self.order += 1;
        self.seen.insert(search, Seen { backs: vec![(back, false)], answers: Vec::new(), order: self.order });
        self.ages.insert((self.order, search));
        Question::New
    }

    /// An answer arrives: whom it is passed back to, which is whoever asked and was told of none yet. `None`: nobody asked.
    pub(super) fn answered(&mut self, search: Asked, by: PeerId, hops: u8) -> Option<Vec<PeerId>> {
        let seen = self.seen.get_mut(&search)?;
        debug_assert!(self.ages.contains(&(seen.order, search)));
        if seen.answers.len() < 2 && seen.answers.iter().all(|(before, _)| *before != by) {
            seen.answers.push((by, hops));
        }
        let untold = seen.backs.iter_mut().filter(|(back, is_told)| *back != by && !is_told);
        Some(
            untold
                .map(|(back, is_told)| {
                    *is_told = true;
                    *back
                })
                .collect(),
        )
    }
}

/// How much of its relaying a node gives to each neighbour: so many KiB, in all and towards each next hop, and of what goes there a fair
/// share.
#[derive(Debug)]
pub(super) struct Shares {
    fair: Fair,
    carried: Rates<PeerId>,
    towards: Rates<(PeerId, PeerId)>,
}

impl Shares {
    pub(super) fn new() -> Shares {
        let (burst, every) = (limits::RELAY_BURST_KIB, limits::RELAY_KIB_EVERY);
        Shares { fair: Fair::default(), carried: Rates::new(burst, every), towards: Rates::new(burst, every) }
    }

    /// Whether a sealed parcel of so many bytes may pass.
    pub(super) fn allow(&mut self, now: Time, (carrier, on): (PeerId, PeerId), len: usize) -> bool {
        let (cost, way) = (cost(len), (carrier, on));
        let may =
            self.fair.has_room(now, way, cost) && self.towards.allow_cost(now, way, cost) && self.carried.allow_cost(now, carrier, cost);
        if may {
            self.fair.add(now, way, cost);
        }
        may
    }

    /// An own parcel goes to that next hop, which counts it with what others brought.
    pub(super) fn own(&mut self, now: Time, (local, on): (PeerId, PeerId), len: usize) {
        self.fair.add(now, (local, on), cost(len));
    }

    /// A parcel that has passed costs so many times more. Only what the neighbour has left towards that next hop: it is that one's word.
    pub(super) fn charge(&mut self, now: Time, crumb: &Crumb, times: u32) {
        self.towards.charge(now, (crumb.back, crumb.on), crumb.cost * times);
    }
}

/// What passing on so many sealed bytes costs, in KiB.
fn cost(len: usize) -> u32 {
    limits::RELAY_PARCEL_KIB + len.div_ceil(1024) as u32
}

/// How often each of many may do something: a bucket each, as the time at which it is full again.
#[derive(Debug)]
pub(super) struct Rates<K> {
    every: Duration,
    burst: u32,
    full_at: BTreeMap<K, Time>,
}

impl<K: Ord + Copy> Rates<K> {
    pub(super) fn new(burst: u32, every: Duration) -> Rates<K> {
        Rates { every, burst, full_at: BTreeMap::new() }
    }

    /// Takes so many more from one that was allowed, into debt of one burst at most.
    pub(super) fn charge(&mut self, now: Time, who: K, count: u32) {
        if let Some(full_at) = self.full_at.get_mut(&who) {
            *full_at = ((*full_at).max(now) + self.every * count).min(now + self.every * (2 * self.burst));
        }
    }

    /// Whether it may, now; counts it if so.
    pub(super) fn allow(&mut self, now: Time, who: K) -> bool {
        self.allow_cost(now, who, 1)
    }

    /// The same for something that costs so much.
    pub(super) fn allow_cost(&mut self, now: Time, who: K, cost: u32) -> bool {
        let full_at = self.full_at.get(&who).copied().unwrap_or(now).max(now);
        if full_at.since(now) + self.every * cost > self.every * self.burst {
            return false;
        }
        if self.full_at.len() >= limits::RELAY_SOURCES_MAX && !self.full_at.contains_key(&who) {
            self.full_at.retain(|_, at| *at > now);
            let idlest = self.full_at.iter().min_by_key(|(_, at)| **at).map(|(peer, _)| *peer);
            if let Some(idlest) = idlest.filter(|_| self.full_at.len() >= limits::RELAY_SOURCES_MAX) {
                self.full_at.remove(&idlest);
            }
        }
        self.full_at.insert(who, full_at + self.every * cost);
        true
    }
}

#[cfg(test)]
mod tests;
