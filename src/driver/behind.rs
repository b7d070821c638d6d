//! Whether the application is behind: which links are not read because it does not take what came, since when, and what it is told of that
//! once it reads again. Holds nobody back itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::{Event, LinkId, PeerId, Time, Unread, limits};

/// See the module. A leaf lock.
#[derive(Debug, Default)]
pub(crate) struct Behind(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    held: BTreeMap<LinkId, Option<PeerId>>,
    /// When the first of them was no longer read.
    since: Time,
    /// What was not told yet: for how long, how many links at once, whose.
    untold: (Duration, usize, BTreeSet<PeerId>),
    told: Option<Time>,
}

impl Behind {
    /// A link has not been read since then; whether it is the first.
    pub(super) fn hold(&self, since: Time, link: LinkId, peer: Option<PeerId>) -> bool {
        let mut inner = self.0.lock();
        let first = inner.held.is_empty();
        if first {
            inner.since = since;
        }
        inner.held.insert(link, peer);
        let together = inner.held.len();
        inner.untold.1 = inner.untold.1.max(together);
        if let Some(peer) = peer.filter(|_| inner.untold.2.len() < limits::BEHIND_PEERS_MAX) {
            inner.untold.2.insert(peer);
        }
        first
    }

    /// The link is read again, or gone. With the last of them comes what is to be told, at a bounded pace.
    pub(super) fn release(&self, now: Time, link: LinkId) -> Option<Event> {
        let mut inner = self.0.lock();
        inner.held.remove(&link)?;
        if !inner.held.is_empty() {
            return None;
        }
        let held = now.since(inner.since);
        inner.untold.0 += held;
        if inner.told.is_some_and(|told| now.since(told) < limits::BEHIND_EVENT_EVERY) {
            return None;
        }
        inner.told = Some(now);
        let (held, count, peers) = std::mem::take(&mut inner.untold);
        Some(Event::ApplicationBehind { held_ms: held.as_millis() as u64, count, peers: peers.into_iter().collect() })
    }

    /// What is not read now, if anything is.
    pub(crate) fn unread(&self, now: Time) -> Option<Unread> {
        let inner = self.0.lock();
        let peers: BTreeSet<PeerId> = inner.held.values().flatten().copied().collect();
        let since_ms_ago = now.since(inner.since).as_millis() as u64;
        (!inner.held.is_empty()).then(|| Unread { since_ms_ago, links: inner.held.len(), peers: peers.into_iter().collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(byte: u8) -> Option<PeerId> {
        Some(PeerId([byte; 32]))
    }

    fn told(event: Option<Event>) -> (u64, usize, Vec<PeerId>) {
        let Some(Event::ApplicationBehind { held_ms, count, peers }) = event else { panic!("{event:?}") };
        (held_ms, count, peers)
    }

    #[test]
    fn it_is_told_when_the_last_link_is_read_again_for_how_long_and_whose_links_waited() {
        let behind = Behind::default();
        assert!(behind.unread(Time::ZERO).is_none());
        assert!(behind.hold(Time::from_millis(100), LinkId(1), peer(1)));
        assert!(!behind.hold(Time::from_millis(400), LinkId(2), peer(2)));
        let now = behind.unread(Time::from_millis(600)).expect("two");
        assert_eq!((now.since_ms_ago, now.links, now.peers.len()), (500, 2, 2));
        assert!(behind.release(Time::from_millis(700), LinkId(1)).is_none());
        let event = behind.release(Time::from_millis(1_100), LinkId(2));
        assert_eq!(told(event), (1_000, 2, vec![PeerId([1; 32]), PeerId([2; 32])]));
        assert!(behind.unread(Time::from_millis(1_100)).is_none() && behind.release(Time::from_millis(1_200), LinkId(2)).is_none());
    }

    #[test]
    fn an_application_that_is_always_a_little_behind_is_not_flooded_and_the_next_event_has_it_all() {
        let behind = Behind::default();
        let mut events = Vec::new();
        for n in 0..100u64 {
            behind.hold(Time::from_millis(200 * n), LinkId(1), peer(1));
            events.extend(behind.release(Time::from_millis(200 * n + 150), LinkId(1)));
        }
        let events: Vec<_> = events.into_iter().map(|event| told(Some(event))).collect();
        let whose = vec![PeerId([1; 32])];
        assert_eq!(events, [(150, 1, whose.clone()), (50 * 150, 1, whose)], "19.8 s");
    }

    #[test]
    fn peers_are_named_up_to_a_bound_and_links_counted_beyond_it() {
        let behind = Behind::default();
        let many = limits::BEHIND_PEERS_MAX + 10;
        for n in 0..many {
            behind.hold(Time::ZERO, LinkId(n as u64), peer(n as u8));
        }
        let events: Vec<Event> = (0..many).filter_map(|n| behind.release(Time::from_millis(9), LinkId(n as u64))).collect();
        let (_, count, peers) = told(events.into_iter().next());
        assert_eq!((count, peers.len()), (many, limits::BEHIND_PEERS_MAX));
    }
}
