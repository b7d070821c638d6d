//! What a relay remembers: which copies have passed and whence, which searches, and how much each peer asks for. All bounded.
//!
//! Never sends anything and knows no routes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::{PeerId, Time, limits};
use crate::wire::message::ParcelId;

/// A copy that has passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crumb {
    /// The neighbour it came from, which is where notices go.
    pub(super) back: PeerId,
    /// The neighbour it went to, which is where notices come from.
    pub(super) on: PeerId,
    /// Whom it is for.
    pub(super) to: PeerId,
    notices: u8,
    order: u64,
}

/// The way back of every copy that has passed, and thereby the proof that it did.
#[derive(Debug, Default)]
pub(super) struct Crumbs {
    crumbs: BTreeMap<ParcelId, Crumb>,
    ages: BTreeSet<(u64, ParcelId)>,
    order: u64,
}

impl Crumbs {
    /// Whether this copy has passed here.
    pub(super) fn has(&self, id: &ParcelId) -> bool {
        self.crumbs.contains_key(id)
    }

    /// A copy passes.
    pub(super) fn drop_one(&mut self, id: ParcelId, (back, on, to): (PeerId, PeerId, PeerId)) {
        if self.crumbs.len() >= limits::CRUMBS_MAX
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.crumbs.remove(&oldest);
        }
        self.order += 1;
        if let Some(former) = self.crumbs.insert(id, Crumb { back, on, to, notices: 0, order: self.order }) {
            self.ages.remove(&(former.order, id));
        }
        self.ages.insert((self.order, id));
    }

    /// The crumb of a copy.
    pub(super) fn get(&self, id: &ParcelId) -> Option<&Crumb> {
        self.crumbs.get(id)
    }

    /// Whether a notice about it may be passed back once more.
    pub(super) fn may_tell(&mut self, id: &ParcelId) -> bool {
        let Some(crumb) = self.crumbs.get_mut(id) else { return false };
        crumb.notices = crumb.notices.saturating_add(1);
        crumb.notices <= limits::CRUMB_NOTICES_MAX
    }
}

/// Who asks, under which number, for whom: whoever guesses a number does not use it up for others.
type Asked = (PeerId, u64, PeerId);

/// A search of somebody else that has passed.
#[derive(Clone, Copy, Debug)]
struct Seen {
    back: PeerId,
    answered: bool,
    order: u64,
}

/// The searches of others.
#[derive(Debug, Default)]
pub(super) struct Searches {
    seen: BTreeMap<Asked, Seen>,
    ages: BTreeSet<(u64, Asked)>,
    order: u64,
}

impl Searches {
    /// A question arrives; `false` if it has been here.
    pub(super) fn asked(&mut self, search: Asked, back: PeerId) -> bool {
        if self.seen.contains_key(&search) {
            return false;
        }
        if self.seen.len() >= limits::SEARCHES_MAX
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.seen.remove(&oldest);
        }
        self.order += 1;
        self.seen.insert(search, Seen { back, answered: false, order: self.order });
        self.ages.insert((self.order, search));
        true
    }

    /// An answer arrives: whom it is passed back to, the first time.
    pub(super) fn answered(&mut self, search: Asked) -> Option<PeerId> {
        let seen = self.seen.get_mut(&search).filter(|seen| !seen.answered)?;
        seen.answered = true;
        debug_assert!(self.ages.contains(&(seen.order, search)));
        Some(seen.back)
    }
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
        let full_at = self.full_at.get(&who).copied().unwrap_or(now).max(now);
        if full_at.since(now) > self.every * (self.burst - 1) {
            return false;
        }
        if self.full_at.len() >= limits::RELAY_SOURCES_MAX && !self.full_at.contains_key(&who) {
            self.full_at.retain(|_, at| *at > now);
            let idlest = self.full_at.iter().min_by_key(|(_, at)| **at).map(|(peer, _)| *peer);
            if let Some(idlest) = idlest.filter(|_| self.full_at.len() >= limits::RELAY_SOURCES_MAX) {
                self.full_at.remove(&idlest);
            }
        }
        self.full_at.insert(who, full_at + self.every);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u64) -> PeerId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        PeerId(id)
    }

    fn id(n: u64) -> ParcelId {
        ParcelId { from: peer(1), from_run: 1, number: n, attempt: 0 }
    }

    #[test]
    fn the_oldest_crumb_gives_way_and_the_others_lead_back() {
        let mut crumbs = Crumbs::default();
        for n in 0..limits::CRUMBS_MAX as u64 + 5 {
            crumbs.drop_one(id(n), (peer(2), peer(3), peer(4)));
        }
        assert_eq!((crumbs.crumbs.len(), crumbs.ages.len()), (limits::CRUMBS_MAX, limits::CRUMBS_MAX));
        assert!(!crumbs.has(&id(4)) && crumbs.has(&id(5)));
        assert_eq!(crumbs.get(&id(5)).map(|crumb| (crumb.back, crumb.on)), Some((peer(2), peer(3))));
        let told = (0..20).filter(|_| crumbs.may_tell(&id(5))).count();
        assert_eq!(told, usize::from(limits::CRUMB_NOTICES_MAX));
    }

    #[test]
    fn a_search_is_passed_on_once_and_answered_once() {
        let mut searches = Searches::default();
        assert!(searches.asked((peer(1), 1, peer(9)), peer(2)));
        assert!(!searches.asked((peer(1), 1, peer(9)), peer(3)), "the other way round a circle");
        assert_eq!(searches.answered((peer(1), 1, peer(8))), None, "another target");
        assert!(searches.asked((peer(1), 1, peer(8)), peer(3)), "a guessed number with another target");
        assert_eq!(searches.answered((peer(1), 1, peer(9))), Some(peer(2)));
        assert_eq!(searches.answered((peer(1), 1, peer(9))), None);
        (2..3000).for_each(|n| assert!(searches.asked((peer(1), n, peer(9)), peer(2))));
        assert_eq!((searches.seen.len(), searches.ages.len()), (limits::SEARCHES_MAX, limits::SEARCHES_MAX));
    }

    #[test]
    fn a_burst_is_let_through_and_then_one_each_time_and_others_are_not_held_up() {
        let mut rates = Rates::new(4, Duration::from_millis(100));
        let mut allowed = |ms, n| rates.allow(Time::from_millis(ms), peer(n));
        assert_eq!((0..10).filter(|_| allowed(0, 1)).count(), 4);
        assert!(allowed(0, 2) && !allowed(99, 1) && allowed(100, 1) && !allowed(100, 1));
        (0..5_000).for_each(|n| assert!(allowed(100, 10 + n)));
        assert!(rates.full_at.len() <= limits::RELAY_SOURCES_MAX);
    }
}
