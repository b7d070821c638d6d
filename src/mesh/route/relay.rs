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

/// A parcel with what it is known by besides its name, worked out once: that is a hash over all of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marked<'a> {
    parcel: &'a Parcel,
    mark: u64,
}

impl<'a> From<&'a Parcel> for Marked<'a> {
    fn from(parcel: &'a Parcel) -> Marked<'a> {
        Marked { parcel, mark: mark(parcel) }
    }
}

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
    /// When it passed, and how many links it might pass then.
    at: Time,
    ttl: u8,
    /// Something was told of it: another may pass.
    heard: bool,
    notices: u8,
    /// A proven run was passed back.
    run_told: bool,
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

/// What a notice is about: each copy with whether the notice may be passed back once more.
pub(super) type About = Vec<(Crumb, bool)>;

/// Each neighbour's copy of a copy, its mark, and where it went: whoever brings one that another brought before does not take its way
/// back, a forged one does not take that of the true one, and one that passes again leaves the answer to the first its way.
type Key = (ParcelId, PeerId, u64, PeerId);

/// One parcel, whatever the attempt: the message, and the mark.
type Same = (PeerId, u64, u64, u64);

/// The way back of every copy that has passed, and thereby the proof that it did.
#[derive(Debug)]
pub(super) struct Crumbs {
    crumbs: BTreeMap<Key, Crumb>,
    /// The crumbs of each parcel: many forged ones of a message are no more work for the true one.
    same: BTreeSet<(Same, Key)>,
    /// Of each neighbour, in the order in which they came.
    ages: BTreeMap<PeerId, BTreeMap<u64, Key>>,
    /// Neighbours by the number of their crumbs.
    crowds: BTreeSet<(usize, PeerId)>,
    /// How much each neighbour makes this one look through for nothing.
    walks: Rates<PeerId>,
    order: u64,
}

impl Crumbs {
    pub(super) fn new() -> Crumbs {
        let walks = Rates::new(limits::CRUMB_WALK_BURST, limits::CRUMB_WALK_EVERY);
        let (crumbs, same, ages, crowds) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
        Crumbs { crumbs, same, ages, crowds, walks, order: 0 }
    }

    /// Whether this neighbour has just brought this copy. What goes round in a circle comes again soon, with fewer links left, and while
    /// nobody has told of it: anything else may be the true one after one that a liar sent before it, under its name, to end on the way.
    pub(super) fn seen<'a>(&self, now: Time, parcel: impl Into<Marked<'a>>, back: PeerId) -> bool {
        let Marked { parcel, mark } = parcel.into();
        let ttl = parcel.ttl.min(limits::ROUTE_TTL);
        let same = self.crumbs.range((parcel.id, back, mark, LEAST)..=(parcel.id, back, mark, GREATEST));
        same.into_iter().any(|(_, crumb)| !crumb.heard && ttl <= crumb.ttl && now.since(crumb.at) < limits::CRUMB_LOOPS)
    }

    /// What proves that a copy of this parcel has arrived, whoever brought that.
    pub(super) fn receipt<'a>(&self, parcel: impl Into<Marked<'a>>) -> Option<[u8; 32]> {
        let Marked { parcel, mark } = parcel.into();
        self.of_parcel(&parcel.id, mark).find_map(|crumb| crumb.receipt)
    }

    fn of_parcel(&self, id: &ParcelId, mark: u64) -> impl Iterator<Item = &Crumb> {
        let same = same(id, mark);
        let none = |attempt, peer, mark| (ParcelId { attempt, ..*id }, peer, mark, peer);
        let keys = self.same.range((same, none(0, LEAST, 0))..=(same, none(u8::MAX, GREATEST, u64::MAX)));
        keys.filter_map(|(_, key)| self.crumbs.get(key))
    }

    /// A copy passes.
    pub(super) fn drop_one<'a>(&mut self, now: Time, parcel: impl Into<Marked<'a>>, (back, on): (PeerId, PeerId)) {
        let Marked { parcel, mark } = parcel.into();
        let key = (parcel.id, back, mark, on);
        self.forget(&key);
        if self.crumbs.len() >= limits::CRUMBS_MAX
            && let Some((_, crowded)) = self.crowds.last()
            && let Some(oldest) = self.ages.get(crowded).and_then(|ages| ages.values().next()).copied()
        {
            self.forget(&oldest);
        }
        self.order += 1;
        let (order, cost, ttl) = (self.order, cost(parcel.sealed.len()), parcel.ttl.min(limits::ROUTE_TTL));
        let (to, pledge, receipt) = (parcel.to, parcel.pledge(), None);
        let crumb = Crumb { back, on, to, cost, pledge, receipt, at: now, ttl, heard: false, notices: 0, run_told: false, order };
        self.crumbs.insert(key, crumb);
        self.same.insert((same(&key.0, key.2), key));
        let ages = self.ages.entry(back).or_default();
        self.crowds.remove(&(ages.len(), back));
        ages.insert(order, key);
        self.crowds.insert((ages.len(), back));
    }

    fn forget(&mut self, key: &Key) {
        let Some(crumb) = self.crumbs.remove(key) else { return };
        self.same.remove(&(same(&key.0, key.2), *key));
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
    pub(super) fn tried<'a>(&self, parcel: impl Into<Marked<'a>>, back: PeerId) -> BTreeMap<PeerId, u64> {
        let Marked { parcel, mark } = parcel.into();
        let mut tried = BTreeMap::new();
        for crumb in self.of_parcel(&parcel.id, mark).filter(|crumb| crumb.back == back) {
            let latest = tried.entry(crumb.on).or_insert(crumb.order);
            *latest = crumb.order.max(*latest);
        }
        tried
    }

    /// A notice came from `by`: what it is, and the crumbs it is about, one for each neighbour.
    pub(super) fn told(&mut self, now: Time, id: &ParcelId, by: PeerId, verdict: Verdict) -> (Told, About) {
        let kept = pledge_kept(verdict);
        let most = if self.walks.allow_cost(now, by, 0) { usize::MAX } else { limits::CRUMBS_WALKED_MAX };
        let mut walked = 0;
        let proven = kept.is_some_and(|kept| {
            let mut crumbs = self.crumbs.range(of_copy(id)).take(most).inspect(|_| walked += 1);
            crumbs.any(|(_, crumb)| crumb.on == by && crumb.pledge == Some(kept))
        });
        let most = if proven { most } else { limits::CRUMBS_WALKED_MAX };
        let mut about: About = Vec::new();
        for (_, crumb) in self.crumbs.range_mut(of_copy(id)).take(most).filter(|(_, crumb)| crumb.on == by) {
            if proven && crumb.pledge != kept {
                continue;
            }
            crumb.heard = true;
            crumb.notices = crumb.notices.saturating_add(1);
            let mut may_tell = crumb.notices <= limits::CRUMB_NOTICES_MAX;
            // Whatever was said of it before.
            match verdict {
                Verdict::Received(receipt) if proven => may_tell |= crumb.receipt.replace(receipt).is_none(),
                Verdict::Run(_) if proven => may_tell |= !std::mem::replace(&mut crumb.run_told, true),
                _ => {}
            }
            match about.last_mut().filter(|(last, _)| last.back == crumb.back) {
                Some((_, may)) => *may |= may_tell,
                None => about.push((*crumb, may_tell)),
            }
        }
        if kept.is_some() && !(proven && about.iter().any(|(_, may_tell)| *may_tell)) {
            self.walks.charge(now, by, walked);
        }
        let told = match kept {
            None => Told::Hint,
            Some(_) if proven => Told::Proven,
            Some(_) => Told::False,
        };
        (told, about)
    }

    /// Who brought what its recipient refused under that name: the neighbour that brought most of the copies that went there. `None`:
    /// nobody can tell, as another brought as many.
    pub(super) fn culprit(&self, id: &ParcelId, by: PeerId) -> Option<PeerId> {
        let mut counts: BTreeMap<PeerId, usize> = BTreeMap::new();
        for (_, crumb) in self.crumbs.range(of_copy(id)).take(limits::CRUMBS_WALKED_MAX).filter(|(_, crumb)| crumb.on == by) {
            *counts.entry(crumb.back).or_default() += 1;
        }
        let most = counts.values().max().copied()?;
        let mut culprits = counts.into_iter().filter(|(_, count)| *count == most).map(|(back, _)| back);
        culprits.next().filter(|_| culprits.next().is_none())
    }

    /// A parcel has arrived: the other copies of it of which that was not known yet, by whence they came and their names.
    pub(super) fn arrived(&mut self, id: &ParcelId, receipt: [u8; 32]) -> Vec<(ParcelId, PeerId)> {
        let kept = Some(Pledge::kept_by_receipt(&receipt));
        let untold = self.crumbs.range_mut(of_message(id)).filter(|(_, crumb)| crumb.receipt.is_none() && crumb.pledge == kept);
        let mut told: Vec<_> = untold
            .map(|((id, back, ..), crumb)| {
                crumb.receipt = Some(receipt);
                (*id, *back)
            })
            .collect();
        told.dedup();
        told
    }
}

const LEAST: PeerId = PeerId([0; 32]);
const GREATEST: PeerId = PeerId([0xff; 32]);

/// The pledge which that keeps; `None`: it is no proof.
fn pledge_kept(verdict: Verdict) -> Option<Pledge> {
    match verdict {
        Verdict::Received(receipt) => Some(Pledge::kept_by_receipt(&receipt)),
        Verdict::Run(run) => Some(Pledge::kept_by_opened(&run.opened)),
        _ => None,
    }
}

fn same(id: &ParcelId, mark: u64) -> Same {
    (id.from, id.from_run, id.number, mark)
}

/// The crumbs of one copy.
fn of_copy(id: &ParcelId) -> RangeInclusive<Key> {
    (*id, LEAST, 0, LEAST)..=(*id, GREATEST, u64::MAX, GREATEST)
}

/// The crumbs of every copy of a message.
fn of_message(id: &ParcelId) -> RangeInclusive<Key> {
    let copy = |attempt| ParcelId { attempt, ..*id };
    (copy(0), LEAST, 0, LEAST)..=(copy(u8::MAX), GREATEST, u64::MAX, GREATEST)
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

    /// An own parcel goes over that next hop, which counts it with what others brought.
    pub(super) fn own(&mut self, now: Time, (local, on): (PeerId, PeerId), len: usize) {
        self.fair.add_own(now, (local, on), cost(len));
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
