//! Accepted connections whose peer is not authenticated yet, by source: how many there may be, and which one gives way.
//!
//! A newcomer is never the one: whoever only holds places loses them to whoever comes, and the oldest of the most crowded source
//! goes first. Connections whose Hello passed have places of their own, so that silence cannot push out a handshake. Never looks
//! at bytes, and keeps no deadline: that is the heartbeat's, and one for all.
//!
//! Why an honest peer gets in, even from the address of a flood: its Hello is sent with the last packet of the TCP handshake and
//! read within three turns of the accept loop, during which at most `3 * ACCEPT_BATCH` = 96 others are accepted. It loses its
//! place to that source only after `HALF_OPEN_PER_SOURCE_MAX` = 1,024 later ones. At 20,000 connections a second that is 50 ms for a
//! Hello to come in, and a dialler that had no processor for so long tries again at once (`DIAL_RESETS_MAX`). Ten thousand connections
//! that only stay are no rate at all.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::base::endpoint::Source;
use crate::base::{CloseReason, HandshakeStage, LinkId, Time, limits};
use crate::mesh::Mesh;

/// Places that are not shared fairly unless somebody keeps count.
#[derive(Debug)]
struct Places {
    max: usize,
    per_source_max: usize,
    taken: usize,
    /// Link numbers rise, so the first of a source is its oldest.
    of: BTreeMap<Source, BTreeSet<LinkId>>,
    /// How many a source has and its oldest: the last entry is the most crowded one, of equals the one with the oldest link.
    crowds: BTreeSet<(usize, Reverse<LinkId>, Source)>,
}

impl Places {
    fn new(max: usize, per_source_max: usize) -> Places {
        Places { max: max.max(1), per_source_max: per_source_max.max(1), taken: 0, of: BTreeMap::new(), crowds: BTreeSet::new() }
    }

    /// Takes a place; whoever has to leave for it.
    fn take(&mut self, link: LinkId, source: Source) -> Option<LinkId> {
        let own = self.of.get(&source).filter(|links| links.len() >= self.per_source_max).map(|_| source);
        let victim = own.or_else(|| self.most_crowded().filter(|_| self.taken >= self.max)).and_then(|from| self.leave_oldest(from));
        self.change(source, |links| links.insert(link));
        victim
    }

    fn most_crowded(&self) -> Option<Source> {
        self.crowds.last().map(|(.., source)| *source)
    }

    fn leave_oldest(&mut self, source: Source) -> Option<LinkId> {
        let oldest = *self.of.get(&source)?.first()?;
        self.leave(oldest, source);
        Some(oldest)
    }

    fn leave(&mut self, link: LinkId, source: Source) -> bool {
        self.change(source, |links| links.remove(&link))
    }

    /// Changes one source's links and what is counted about them.
    fn change(&mut self, source: Source, change: impl FnOnce(&mut BTreeSet<LinkId>) -> bool) -> bool {
        let links = self.of.entry(source).or_default();
        let rank = |links: &BTreeSet<LinkId>| links.first().map(|oldest| (links.len(), Reverse(*oldest), source));
        let (before, count) = (rank(links), links.len());
        let changed = change(links);
        let (after, now) = (rank(links), links.len());
        self.taken = self.taken + now - count;
        if before != after {
            before.map(|rank| self.crowds.remove(&rank));
            self.crowds.extend(after);
        }
        if after.is_none() {
            self.of.remove(&source);
        }
        changed
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct HalfOpen {
    silent: Places,
    greeted: Places,
    source: BTreeMap<LinkId, Source>,
    /// Links that gave way.
    pub(super) evicted: u64,
    /// Until when events about failed inbound handshakes are used up, were they told at an even pace.
    told: Time,
}

impl HalfOpen {
    /// Room for `max` silent connections at most; the other caps shrink with it.
    pub(super) fn new(max: usize) -> HalfOpen {
        let share = |cap: usize| cap * max.min(limits::HALF_OPEN_MAX) / limits::HALF_OPEN_MAX;
        HalfOpen {
            silent: Places::new(share(limits::HALF_OPEN_MAX), share(limits::HALF_OPEN_PER_SOURCE_MAX)),
            greeted: Places::new(share(limits::GREETED_MAX), share(limits::GREETED_PER_SOURCE_MAX)),
            source: BTreeMap::new(),
            evicted: 0,
            told: Time::ZERO,
        }
    }

    /// Connections in the handshake.
    pub(super) fn len(&self) -> usize {
        self.silent.taken + self.greeted.taken
    }

    /// A connection was accepted; the one that gives way to it.
    fn arrived(&mut self, link: LinkId, source: Source) -> Option<LinkId> {
        self.source.insert(link, source);
        self.silent.take(link, source)
    }

    /// The Hello of a connection passed; the one that gives way to it.
    fn greeted(&mut self, link: LinkId) -> Option<LinkId> {
        let source = *self.source.get(&link)?;
        let was_silent = self.silent.leave(link, source);
        was_silent.then(|| self.greeted.take(link, source)).flatten()
    }

    /// The handshake is over, or the connection.
    pub(super) fn forget(&mut self, link: LinkId) {
        if let Some(source) = self.source.remove(&link) {
            let _ = self.silent.leave(link, source) || self.greeted.leave(link, source);
        }
    }

    /// Whether one more failed inbound handshake may be told: anybody can fail as often as it likes, and events are for people.
    /// All are counted.
    pub(super) fn may_tell(&mut self, now: Time) -> bool {
        let used = self.told.max(now);
        if used.since(now) >= limits::HANDSHAKE_EVENT_EVERY * limits::HANDSHAKE_EVENTS_BURST {
            return false;
        }
        self.told = used + limits::HANDSHAKE_EVENT_EVERY;
        true
    }
}

impl Mesh {
    /// A place for a connection that was just accepted.
    pub(super) fn make_room(&mut self, now: Time, link: LinkId, source: Source) {
        let victim = self.half_open.arrived(link, source);
        self.give_way(now, victim);
    }

    /// A connection's Hello passed.
    pub(super) fn hello_passed(&mut self, now: Time, link: LinkId) {
        self.peers.reached_stage(link, HandshakeStage::HelloReceived);
        let victim = self.half_open.greeted(link);
        self.give_way(now, victim);
    }

    /// The carrier could not accept: one that holds a descriptor and says nothing lets go of it.
    pub(super) fn crowded(&mut self, now: Time) {
        let places = &self.half_open.silent;
        let victim = places.most_crowded().and_then(|source| places.of.get(&source)?.first().copied());
        self.give_way(now, victim);
    }

    fn give_way(&mut self, now: Time, victim: Option<LinkId>) {
        if let Some(victim) = victim {
            self.half_open.evicted += 1;
            self.close(now, victim, CloseReason::Busy);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn source(n: u8) -> Source {
        Source::ipv4([10, 0, 0, n])
    }

    /// Takes the victim out, as the mesh does.
    fn settle(table: &mut HalfOpen, victim: Option<LinkId>) -> Option<LinkId> {
        victim.inspect(|victim| table.forget(*victim))
    }

    fn arrive(table: &mut HalfOpen, link: u64, from: u8) -> Option<LinkId> {
        let victim = table.arrived(LinkId(link), source(from));
        settle(table, victim)
    }

    fn greet(table: &mut HalfOpen, link: u64) -> Option<LinkId> {
        let victim = table.greeted(LinkId(link));
        settle(table, victim)
    }

    #[test]
    fn the_oldest_silent_one_of_a_full_source_gives_way_to_its_newest() {
        let mut table = HalfOpen::new(usize::MAX);
        let per_source = limits::HALF_OPEN_PER_SOURCE_MAX as u64;
        assert!((0..per_source).all(|n| arrive(&mut table, n, 1).is_none()));
        assert_eq!(arrive(&mut table, per_source, 1), Some(LinkId(0)));
        assert_eq!(arrive(&mut table, per_source + 1, 1), Some(LinkId(1)));
        assert_eq!((arrive(&mut table, per_source + 2, 2), table.len()), (None, per_source as usize + 1));
    }

    #[test]
    fn a_greeting_leaves_the_silent_and_is_not_pushed_out_by_them() {
        let mut table = HalfOpen::new(usize::MAX);
        assert_eq!((arrive(&mut table, 0, 1), greet(&mut table, 0)), (None, None));
        let victims: Vec<_> = (1..10_000).filter_map(|n| arrive(&mut table, n, 1)).collect();
        assert!(!victims.is_empty() && !victims.contains(&LinkId(0)));
        assert_eq!(greet(&mut table, 0), None, "a second one changes nothing");
        assert_eq!(table.len(), limits::HALF_OPEN_PER_SOURCE_MAX + 1);
    }

    #[test]
    fn whoever_comes_without_the_network_is_not_pushed_out_by_a_crowd_from_it() {
        let mut table = HalfOpen::new(usize::MAX);
        assert_eq!(table.arrived(LinkId(0), Source::LOCAL), None);
        let crowd = 3 * limits::HALF_OPEN_MAX as u64;
        assert!((1..crowd).filter_map(|n| arrive(&mut table, n, (n % 3) as u8)).all(|victim| victim != LinkId(0)));
    }

    #[test]
    fn greetings_have_caps_of_their_own_and_the_one_that_just_came_stays() {
        let mut table = HalfOpen::new(usize::MAX);
        let max = limits::GREETED_PER_SOURCE_MAX as u64;
        // The link with the smallest number greets last.
        arrive(&mut table, 0, 1);
        (1..=max).for_each(|n| assert_eq!((arrive(&mut table, n, 1), greet(&mut table, n)), (None, None)));
        assert_eq!(greet(&mut table, 0), Some(LinkId(1)));
        assert_eq!(table.len(), max as usize);
    }

    #[test]
    fn failures_are_told_at_a_pace_that_no_flood_sets() {
        let mut table = HalfOpen::new(usize::MAX);
        let told = |table: &mut HalfOpen, ms| (0..10_000).filter(|_| table.may_tell(Time::from_millis(ms))).count();
        assert_eq!(told(&mut table, 0), limits::HANDSHAKE_EVENTS_BURST as usize);
        assert_eq!(told(&mut table, limits::HANDSHAKE_EVENT_EVERY.as_millis() as u64), 1);
        let rested = Time::from_millis(3_600_000).as_millis();
        assert_eq!(told(&mut table, rested), limits::HANDSHAKE_EVENTS_BURST as usize);
        assert!(limits::HANDSHAKE_EVENT_EVERY >= Duration::from_millis(100));
    }

    #[derive(Clone, Debug)]
    enum Act {
        Arrive(u8),
        Greet(usize),
        Forget(usize),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            // Source 0 floods; the others come now and then.
            6 => Just(Act::Arrive(0)),
            3 => (1u8..20).prop_map(Act::Arrive),
            2 => any::<usize>().prop_map(Act::Greet),
            1 => any::<usize>().prop_map(Act::Forget),
        ];
        prop::collection::vec(act, 0..400)
    }

    proptest! {
        #[test]
        fn no_table_exceeds_its_cap_and_the_victim_is_always_of_the_most_crowded(acts in acts(), max in 1usize..64) {
            let mut table = HalfOpen::new(max);
            let mut model: Vec<(LinkId, u8, bool)> = Vec::new();
            for (number, act) in acts.into_iter().enumerate() {
                let link = LinkId(number as u64);
                let (victim, newcomer) = match act {
                    Act::Arrive(from) => {
                        let victim = table.arrived(link, source(from));
                        model.push((link, from, false));
                        (victim, link)
                    }
                    Act::Greet(at) if !model.is_empty() => {
                        let at = at % model.len();
                        let victim = table.greeted(model[at].0);
                        model[at].2 = true;
                        (victim, model[at].0)
                    }
                    Act::Forget(at) if !model.is_empty() => {
                        let gone = model.remove(at % model.len());
                        table.forget(gone.0);
                        continue;
                    }
                    Act::Greet(_) | Act::Forget(_) => continue,
                };
                if let Some(victim) = victim {
                    prop_assert_ne!(victim, newcomer);
                    let (_, from, greeted) = *model.iter().find(|(l, ..)| *l == victim).expect("a victim that is there");
                    let had = |from: u8| model.iter().filter(|(l, s, g)| (*s, *g) == (from, greeted) && *l != newcomer).count();
                    let places = if greeted { &table.greeted } else { &table.silent };
                    // It is the newcomer's own source that is full, or the whole is and nobody has more than the victim's source.
                    let of_newcomer = model.iter().find(|(l, ..)| *l == newcomer).expect("it stays").1;
                    let is_own = from == of_newcomer && had(from) == places.per_source_max;
                    prop_assert!(is_own || (0..20).all(|other| had(other) <= had(from)));
                    let oldest = model.iter().filter(|(l, s, g)| (*s, *g) == (from, greeted) && *l != newcomer).map(|(l, ..)| *l).min();
                    prop_assert_eq!(Some(victim), oldest);
                    table.forget(victim);
                    model.retain(|(l, ..)| *l != victim);
                }
                for (places, greeted) in [(&table.silent, false), (&table.greeted, true)] {
                    prop_assert!(places.taken <= places.max);
                    prop_assert_eq!(places.taken, model.iter().filter(|(.., g)| *g == greeted).count());
                    prop_assert!(places.of.values().all(|links| !links.is_empty() && links.len() <= places.per_source_max));
                    prop_assert_eq!(places.crowds.len(), places.of.len());
                }
                prop_assert_eq!((table.source.len(), table.len()), (model.len(), model.len()));
            }
        }
    }
}
