//! The table of routes: those the application gave, and those that searches found. Never sends anything.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::route::Route;
use crate::base::{PeerId, Time, limits};

#[derive(Clone, Debug)]
struct Learned {
    /// Neighbours that answered, the preferred one first.
    hops: Vec<PeerId>,
    at: Time,
}

/// See the module. A neighbour needs no row.
#[derive(Debug, Default)]
pub(super) struct Table {
    given: BTreeMap<PeerId, (PeerId, u8)>,
    learned: BTreeMap<PeerId, Learned>,
    ages: BTreeSet<(Time, PeerId)>,
    /// Ways, by target and next hop, that failed or ended in silence, and until when others go before them.
    silent: BTreeMap<(PeerId, PeerId), Time>,
    /// Answers of such next hops, for want of another.
    spare: BTreeMap<PeerId, PeerId>,
}

impl Table {
    /// The application gives a way; one more than the limit changes nothing.
    pub(super) fn give(&mut self, to: PeerId, next_hop: PeerId, ttl: u8) {
        if self.given.contains_key(&to) || self.given.len() < limits::ROUTES_MAX {
            self.given.insert(to, (next_hop, ttl));
        }
    }

    /// The application takes it back, and what was found besides is forgotten.
    pub(super) fn take_back(&mut self, to: &PeerId) {
        self.given.remove(to);
        self.forget(to);
    }

    /// The neighbour a given way begins with.
    pub(super) fn given(&self, to: &PeerId) -> Option<PeerId> {
        self.given.get(to).map(|(next_hop, _)| *next_hop)
    }

    /// The way to a peer: straight to a neighbour, else as the application says, else as it was found. Each only over a link that stands.
    pub(super) fn resolve(&self, to: &PeerId, stands: impl Fn(&PeerId) -> bool) -> Option<Route> {
        let given = self.given.get(to);
        let ttl = given.map_or(limits::ROUTE_TTL, |(_, ttl)| *ttl);
        let route = |next_hop, learned| Route { next_hop, via_relay: next_hop != *to, ttl, learned };
        if stands(to) {
            return Some(route(*to, false));
        }
        if let Some((next_hop, _)) = given.filter(|(next_hop, _)| stands(next_hop)) {
            return Some(route(*next_hop, false));
        }
        self.ways(to).iter().find(|next_hop| stands(next_hop)).map(|next_hop| route(*next_hop, true))
    }

    /// The neighbours that searches found, the preferred one first.
    pub(super) fn ways(&self, to: &PeerId) -> &[PeerId] {
        self.learned.get(to).map_or(&[], |learned| &learned.hops)
    }

    /// A search found a way; those found before stay before it.
    pub(super) fn learn(&mut self, now: Time, to: PeerId, next_hop: PeerId) {
        let mut hops = self.learned.get(&to).map(|learned| learned.hops.clone()).unwrap_or_default();
        if !hops.contains(&next_hop) {
            hops.truncate(limits::ROUTE_WAYS_MAX - 1);
            hops.push(next_hop);
        }
        self.forget(&to);
        if self.learned.len() >= limits::ROUTES_MAX
            && let Some((_, oldest)) = self.ages.first().copied()
        {
            self.forget(&oldest);
        }
        self.learned.insert(to, Learned { hops, at: now });
        self.ages.insert((now, to));
    }

    /// That way is taken after the others from now on.
    pub(super) fn prefer_others(&mut self, to: &PeerId, next_hop: &PeerId) {
        let Some(Learned { hops, .. }) = self.learned.get_mut(to) else { return };
        if let Some(at) = hops.iter().position(|hop| hop == next_hop) {
            hops[at..].rotate_left(1);
        }
    }

    /// Nothing that was found leads there.
    fn forget(&mut self, to: &PeerId) {
        if let Some(learned) = self.learned.remove(to) {
            self.ages.remove(&(learned.at, *to));
        }
    }

    /// Nothing came back along a way that was found, or it was said to lead nowhere: it may be a relay that only says it knows one.
    pub(super) fn doubt(&mut self, now: Time, to: &PeerId, next_hop: &PeerId) {
        if !self.ways(to).contains(next_hop) {
            return;
        }
        self.forget_via(to, next_hop);
        if self.silent.len() >= limits::ROUTES_MAX {
            self.silent.retain(|_, until| *until > now);
        }
        if self.silent.len() >= limits::ROUTES_MAX {
            self.silent.pop_first();
        }
        self.silent.insert((*to, *next_hop), now + limits::ROUTE_SILENT);
    }

    /// What only the recipient can tell came that way: it goes before the others, even if it was given up for being slow.
    pub(super) fn proved(&mut self, now: Time, to: PeerId, next_hop: PeerId) {
        self.silent.remove(&(to, next_hop));
        if next_hop != to {
            self.learn(now, to, next_hop);
        }
        if let Some(Learned { hops, .. }) = self.learned.get_mut(&to)
            && let Some(at) = hops.iter().position(|hop| *hop == next_hop)
        {
            hops[..=at].rotate_right(1);
        }
    }

    /// A search of this node found a way. `false`: it failed not long ago, and is kept for want of another, the one first that failed
    /// the longest ago.
    pub(super) fn found(&mut self, now: Time, to: PeerId, next_hop: PeerId) -> bool {
        if let Some(until) = self.silent.get(&(to, next_hop)).filter(|until| **until > now) {
            let before = self.spare.get(&to).and_then(|spare| self.silent.get(&(to, *spare)));
            if before.is_some_and(|before| before < until) {
                return false;
            }
            if self.spare.len() >= limits::ROUTES_MAX && !self.spare.contains_key(&to) {
                self.spare.pop_first();
            }
            self.spare.insert(to, next_hop);
            return false;
        }
        self.spare.remove(&to);
        self.learn(now, to, next_hop);
        true
    }

    /// No other way was found: the one that is left is taken.
    pub(super) fn take_spare(&mut self, now: Time, to: PeerId) {
        if let Some(next_hop) = self.spare.remove(&to) {
            self.learn(now, to, next_hop);
        }
    }

    /// A way that was found leads nowhere, if it leads over that neighbour.
    pub(super) fn forget_via(&mut self, to: &PeerId, next_hop: &PeerId) {
        let Some(learned) = self.learned.get_mut(to) else { return };
        learned.hops.retain(|hop| hop != next_hop);
        if learned.hops.is_empty() {
            self.forget(to);
        }
    }

    /// Rows, given and learned.
    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.given.len(), self.learned.len())
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

    #[test]
    fn a_link_goes_before_a_given_way_and_that_before_a_found_one() {
        let mut table = Table::default();
        let [to, given, found] = [1, 2, 3].map(peer);
        table.give(to, given, 5);
        table.learn(Time::ZERO, to, found);
        let hop = |stands: &[PeerId]| table.resolve(&to, |peer| stands.contains(peer)).map(|route| (route.next_hop, route.ttl));
        assert_eq!(hop(&[to, given, found]), Some((to, 5)));
        assert_eq!(hop(&[given, found]), Some((given, 5)));
        assert_eq!(hop(&[found]), Some((found, 5)));
        assert_eq!(hop(&[]), None);
        let route = table.resolve(&to, |peer| *peer == found).expect("found");
        assert!(route.via_relay && route.learned);
        table.take_back(&to);
        assert_eq!(table.len(), (0, 0));
    }

    #[test]
    fn the_oldest_found_way_gives_way_and_no_given_one_does() {
        let mut table = Table::default();
        for n in 0..limits::ROUTES_MAX as u64 + 9 {
            table.learn(Time(n), peer(n), peer(7));
            table.give(peer(n), peer(8), 8);
        }
        assert_eq!(table.len(), (limits::ROUTES_MAX, limits::ROUTES_MAX));
        assert!(table.given(&peer(0)).is_some() && table.given(&peer(limits::ROUTES_MAX as u64)).is_none());
        assert!(table.resolve(&peer(8), |peer| *peer == self::peer(7)).is_none(), "the oldest");
    }

    #[test]
    fn a_way_that_ended_in_silence_comes_after_every_other() {
        let mut table = Table::default();
        let [to, liar, honest] = [1, 2, 3].map(peer);
        let hop = |table: &Table| table.resolve(&to, |peer| *peer != to).map(|route| route.next_hop);
        assert!(table.found(Time::ZERO, to, liar));
        table.doubt(Time::ZERO, &to, &liar);
        assert!(!table.found(Time::ZERO, to, liar) && table.found(Time::ZERO, to, honest));
        assert_eq!(hop(&table), Some(honest));
        table.doubt(Time(1), &to, &liar);
        assert_eq!(hop(&table), Some(honest), "a way that is none any more");
        table.doubt(Time(1), &to, &honest);
        assert!(!table.found(Time(1), to, liar) && !table.found(Time(1), to, honest));
        assert_eq!(hop(&table), None);
        table.take_spare(Time::ZERO, to);
        assert_eq!(hop(&table), Some(liar), "for want of another");
        table.proved(Time::ZERO, to, liar);
        table.proved(Time::ZERO, to, honest);
        assert_eq!(table.ways(&to), [honest, liar], "slow, not false");
        assert!(table.found(Time::ZERO, to, liar) && table.spare.is_empty() && table.silent.is_empty());
        table.doubt(Time::ZERO, &to, &liar);
        assert!(table.found(Time::ZERO + limits::ROUTE_SILENT, to, liar), "forgiven");
    }

    #[test]
    fn several_ways_are_kept_in_the_order_they_were_found_or_tried() {
        let mut table = Table::default();
        let to = peer(1);
        for n in [2, 3, 4, 3] {
            table.learn(Time::ZERO, to, peer(n));
        }
        assert_eq!(table.ways(&to), [2, 3, 4].map(peer));
        assert_eq!(table.resolve(&to, |hop| *hop == peer(4)).map(|route| route.next_hop), Some(peer(4)), "the first that stands");
        table.prefer_others(&to, &peer(2));
        assert_eq!(table.ways(&to), [3, 4, 2].map(peer));
        table.proved(Time::ZERO, to, peer(2));
        assert_eq!(table.ways(&to), [2, 3, 4].map(peer));
        table.prefer_others(&to, &peer(2));
        table.forget_via(&to, &peer(4));
        assert_eq!(table.ways(&to), [3, 2].map(peer));
        (10..50).for_each(|n| table.learn(Time::ZERO, to, peer(n)));
        assert_eq!((table.ways(&to).len(), table.ways(&to)[0]), (limits::ROUTE_WAYS_MAX, peer(3)));
    }

    #[test]
    fn a_way_that_failed_is_forgotten_only_if_it_is_still_that_way() {
        let mut table = Table::default();
        table.learn(Time::ZERO, peer(1), peer(2));
        table.forget_via(&peer(1), &peer(3));
        assert_eq!(table.len().1, 1);
        table.forget_via(&peer(1), &peer(2));
        assert_eq!(table.len().1, 0);
    }
}
