//! What a relay remembers: which copies have passed and whence, which searches, and how much each neighbour asks for. All bounded.
//!
//! Never sends anything and knows no routes. Whatever is counted is counted against a neighbour: no other name is proven here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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
    /// What it was, so that nobody uses up the name of another's copy with a forged one.
    mark: u64,
    /// What `on` says proves its arrival: only its sender can tell.
    receipt: Option<[u8; 32]>,
    notices: u8,
    order: u64,
}

/// Each neighbour's copy of a copy: whoever brings one that another brought before does not take its way back.
type Key = (ParcelId, PeerId);

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
    /// Whether this neighbour has brought this copy before, and the receipt that was told of it, if one was.
    pub(super) fn seen(&self, parcel: &Parcel, back: PeerId) -> Option<Option<[u8; 32]>> {
        self.crumbs.get(&(parcel.id, back)).filter(|crumb| crumb.mark == mark(parcel)).map(|crumb| crumb.receipt)
    }

    /// A copy passes.
    pub(super) fn drop_one(&mut self, parcel: &Parcel, (back, on): (PeerId, PeerId)) {
        let key = (parcel.id, back);
        self.forget(&key);
        if self.crumbs.len() >= limits::CRUMBS_MAX
            && let Some((_, crowded)) = self.crowds.last()
            && let Some(oldest) = self.ages.get(crowded).and_then(|ages| ages.values().next()).copied()
        {
            self.forget(&oldest);
        }
        self.order += 1;
        let (order, cost) = (self.order, cost(parcel.sealed.len()));
        self.crumbs.insert(key, Crumb { back, on, to: parcel.to, cost, mark: mark(parcel), receipt: None, notices: 0, order });
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

    fn of(&self, from: ParcelId, to: ParcelId) -> impl Iterator<Item = &Crumb> {
        self.crumbs.range((from, PeerId([0; 32]))..=(to, PeerId([0xff; 32]))).map(|(_, crumb)| crumb)
    }

    /// The crumb of a copy that was passed on last.
    pub(super) fn latest(&self, id: &ParcelId) -> Option<Crumb> {
        self.of(*id, *id).max_by_key(|crumb| crumb.order).copied()
    }

    /// Whom copies of the same message from that neighbour went to, and in which order the last time.
    pub(super) fn tried(&self, id: &ParcelId, back: PeerId) -> BTreeMap<PeerId, u64> {
        let (first, last) = (ParcelId { attempt: 0, ..*id }, ParcelId { attempt: u8::MAX, ..*id });
        let mut tried = BTreeMap::new();
        for crumb in self.of(first, last).filter(|crumb| crumb.back == back) {
            let latest = tried.entry(crumb.on).or_insert(crumb.order);
            *latest = crumb.order.max(*latest);
        }
        tried
    }

    /// A notice came from `by`: the crumbs it is about, and whether it may be passed back once more.
    pub(super) fn told(&mut self, id: &ParcelId, by: PeerId, verdict: Verdict) -> Vec<(Crumb, bool)> {
        let range = (*id, PeerId([0; 32]))..=(*id, PeerId([0xff; 32]));
        let of_by = self.crumbs.range_mut(range).filter(|(_, crumb)| crumb.on == by);
        of_by
            .map(|(_, crumb)| {
                crumb.notices = crumb.notices.saturating_add(1);
                if let Verdict::Received(receipt) = verdict {
                    crumb.receipt = Some(receipt);
                }
                (*crumb, crumb.notices <= limits::CRUMB_NOTICES_MAX)
            })
            .collect()
    }
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
    backs: Vec<PeerId>,
    /// Who answered first, over so many links.
    answer: Option<(PeerId, u8)>,
    order: u64,
}

/// What a question is to a node that may have been asked before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Question {
    /// Nobody asked it before.
    New,
    /// Another neighbour did, and this was the answer, if there was one.
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
            if seen.backs.contains(&back) || seen.backs.len() >= limits::SEARCH_ASKERS_MAX {
                return Question::Known;
            }
            seen.backs.push(back);
            return Question::Again(seen.answer);
        }
        if self.seen.len() >= limits::SEARCHES_MAX
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.seen.remove(&oldest);
        }
        self.order += 1;
        self.seen.insert(search, Seen { backs: vec![back], answer: None, order: self.order });
        self.ages.insert((self.order, search));
        Question::New
    }

    /// An answer arrives: whom it is passed back to, which is nobody but for the first. `None`: nobody asked.
    pub(super) fn answered(&mut self, search: Asked, by: PeerId, hops: u8) -> Option<Vec<PeerId>> {
        let seen = self.seen.get_mut(&search)?;
        debug_assert!(self.ages.contains(&(seen.order, search)));
        if seen.answer.is_some() {
            return Some(Vec::new());
        }
        seen.answer = Some((by, hops));
        Some(seen.backs.iter().filter(|back| **back != by).copied().collect())
    }
}

/// How much of its relaying a node gives to each neighbour: so many KiB, in all and towards each next hop.
#[derive(Debug)]
pub(super) struct Shares {
    carried: Rates<PeerId>,
    towards: Rates<(PeerId, PeerId)>,
}

impl Shares {
    pub(super) fn new() -> Shares {
        let (burst, every) = (limits::RELAY_BURST_KIB, limits::RELAY_KIB_EVERY);
        Shares { carried: Rates::new(burst, every), towards: Rates::new(burst, every) }
    }

    /// Whether a sealed parcel of so many bytes may pass.
    pub(super) fn allow(&mut self, now: Time, (carrier, on): (PeerId, PeerId), len: usize) -> bool {
        let cost = cost(len);
        self.towards.allow_cost(now, (carrier, on), cost) && self.carried.allow_cost(now, carrier, cost)
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
