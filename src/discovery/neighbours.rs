//! Who was heard, who is worth a dial, and when. Never holds more than its limits, whoever talks.

use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::{Discovered, DiscoveryConfig, Endpoint, Time, limits};
use crate::wire::announce::Announce;

/// Whom a row is about: an address (with the scope that IPv6 may need) and a port.
type Place = (IpAddr, u32, u16);

/// The run of whoever announces nothing: only another directory names it. Runs of nodes are random, and long.
const NAMED: u64 = u64::MAX;

/// What is known of an announcement besides its text.
pub(super) struct Heard {
    /// The run of the node.
    pub(super) run: u64,
    /// It knows the cluster's secret and is there now.
    pub(super) proven: bool,
    /// Unproven ones are worth a dial too.
    pub(super) rumour_will_do: bool,
}

/// What became of the announcement.
pub(super) struct Noted {
    /// Nobody was known there, or another run of the node.
    pub(super) new: bool,
    /// Proven now or earlier.
    pub(super) proven: bool,
}

/// Who may be dialled next.
pub(super) struct Next {
    pub(super) node_id: String,
    pub(super) endpoint: Endpoint,
    /// For the first time.
    pub(super) new: bool,
    pub(super) proven: bool,
}

#[derive(Debug)]
struct Row {
    node_id: String,
    run: u64,
    proven: bool,
    last: Time,
    /// How long it is silent between two announcements, of late.
    pause: Duration,
    /// That it came, as it is now, has not been passed on.
    fresh: bool,
    /// Nor that it is another run than before.
    restarted: bool,
    found: Option<Time>,
    waiting: Option<Waiting>,
}

impl Row {
    fn new(now: Time, run: u64) -> Row {
        let (last, pause) = (now, Duration::ZERO);
        Row { node_id: String::new(), run, proven: false, last, pause, fresh: true, restarted: false, found: None, waiting: None }
    }
}

/// A place in a queue for dials: never dialled ones first, then by the time of the last dial, then by arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Waiting {
    found: Option<Time>,
    since: Time,
    place: Place,
}

/// One queue and when its next dial may be.
#[derive(Debug)]
struct Queue {
    waiting: BTreeSet<Waiting>,
    next: Time,
    every: Duration,
}

impl Queue {
    fn new(every: Duration) -> Queue {
        Queue { waiting: BTreeSet::new(), next: Time::ZERO, every }
    }
}

/// The table.
#[derive(Debug)]
pub(super) struct Neighbours {
    ttl: Duration,
    cooldown: Duration,
    /// How long whoever is like this node is silent between two announcements.
    pause: Duration,
    rows: BTreeMap<Place, Row>,
    /// How many rows are of whom only another directory names.
    named: usize,
    members: Queue,
    rumours: Queue,
    /// No row is to be forgotten before this.
    earliest_end: Option<Time>,
}

impl Neighbours {
    pub(super) fn new(config: &DiscoveryConfig) -> Neighbours {
        Neighbours {
            ttl: config.seen_ttl,
            cooldown: config.connect_cooldown,
            pause: config.announce_interval,
            rows: BTreeMap::new(),
            named: 0,
            members: Queue::new(limits::DISCOVERY_MEMBER_DIAL_EVERY),
            rumours: Queue::new(limits::DISCOVERY_RUMOUR_DIAL_EVERY),
            earliest_end: None,
        }
    }

    /// Notes an announcement; `None` if there is no room for it.
    pub(super) fn heard(&mut self, now: Time, from: SocketAddr, announce: &Announce, heard: Heard) -> Option<Noted> {
        let place = (from.ip(), scope(from), announce.tcp_port);
        if !self.rows.contains_key(&place) && !self.has_room(now, place, heard.run == NAMED) {
            return None;
        }
        let end = now + self.ttl;
        self.earliest_end = Some(self.earliest_end.map_or(end, |at| at.min(end)));
        let mut new = false;
        let named = &mut self.named;
        let row = self.rows.entry(place).or_insert_with(|| {
            new = true;
            *named += usize::from(heard.run == NAMED);
            Row::new(now, heard.run)
        });
        if row.run != heard.run {
            *named -= usize::from(row.run == NAMED);
            (new, row.run, row.proven, row.fresh, row.restarted) = (true, heard.run, false, true, true);
        }
        // Whoever speaks seldom, or is often not heard, is not news each time.
        let silence = now.since(row.last);
        row.fresh |= silence >= row.pause.max(self.pause) * limits::DISCOVERY_MISSED;
        row.pause = silence.max(row.pause / 2);
        row.node_id.clone_from(&announce.node_id);
        row.last = now;
        row.proven |= heard.proven;
        let noted = Noted { new, proven: row.proven };
        let rested = row.found.is_none_or(|found| now.since(found) >= self.cooldown);
        let ready = rested && (row.proven || heard.rumour_will_do);
        let since = row.waiting.map_or(now, |waiting| waiting.since);
        if let Some(waiting) = row.waiting.take() {
            self.members.waiting.remove(&waiting);
            self.rumours.waiting.remove(&waiting);
        }
        if ready {
            let waiting = Waiting { found: row.found, since, place };
            row.waiting = Some(waiting);
            let queue = if row.proven { &mut self.members } else { &mut self.rumours };
            queue.waiting.insert(waiting);
        }
        Some(noted)
    }

    /// Where whoever announces itself from there with that port is to be dialled, whether it came since this was last asked, and whether
    /// as another run.
    pub(super) fn spoke(&mut self, from: SocketAddr, port: u16) -> Option<(Endpoint, bool, bool)> {
        let place = (from.ip(), scope(from), port);
        let row = self.rows.get_mut(&place)?;
        Some((endpoint(place), std::mem::take(&mut row.fresh), std::mem::take(&mut row.restarted)))
    }

    /// Notes whom another directory names; `false` if there is no room. Where somebody announces itself, that says more.
    pub(super) fn named(&mut self, now: Time, at: SocketAddr, node_id: &str) -> bool {
        let place = (at.ip(), scope(at), at.port());
        let run = self.rows.get(&place).map_or(NAMED, |row| row.run);
        let announce = Announce { node_id: node_id.to_owned(), tcp_port: at.port(), ts_ms: 0, nonce: 0, capabilities: BTreeMap::new() };
        self.heard(now, at, &announce, Heard { run, proven: false, rumour_will_do: true }).is_some()
    }

    /// Forgets whom only another directory named.
    pub(super) fn unnamed(&mut self, at: SocketAddr) {
        let place = (at.ip(), scope(at), at.port());
        if self.rows.get(&place).is_some_and(|row| row.run == NAMED) {
            self.remove_named(place);
        }
    }

    fn remove_named(&mut self, place: Place) {
        let Some(row) = self.rows.remove(&place) else { return };
        self.named -= 1;
        if let Some(waiting) = row.waiting {
            self.rumours.waiting.remove(&waiting);
        }
    }

    /// The next node that may be dialled now, and whether for the first time.
    pub(super) fn next_to_dial(&mut self, now: Time) -> Option<Next> {
        let queue = [&mut self.members, &mut self.rumours].into_iter().find(|queue| queue.next <= now && !queue.waiting.is_empty())?;
        let waiting = queue.waiting.pop_first()?;
        queue.next = now + queue.every;
        let row = self.rows.get_mut(&waiting.place)?;
        row.waiting = None;
        let new = row.found.replace(now).is_none();
        Some(Next { node_id: row.node_id.clone(), endpoint: endpoint(waiting.place), new, proven: row.proven })
    }

    /// Drops everybody who has said nothing for too long.
    pub(super) fn forget_silent(&mut self, now: Time) {
        if self.earliest_end.is_none_or(|at| at > now) {
            return;
        }
        let (ttl, named, members, rumours) = (self.ttl, &mut self.named, &mut self.members.waiting, &mut self.rumours.waiting);
        self.rows.retain(|_, row| {
            let stays = row.last + ttl > now;
            *named -= usize::from(!stays && row.run == NAMED);
            if let (false, Some(waiting)) = (stays, row.waiting) {
                members.remove(&waiting);
                rumours.remove(&waiting);
            }
            stays
        });
        // Not again at once: in a flood every microsecond has its end.
        let soonest = now + ttl / 64;
        self.earliest_end = self.rows.values().map(|row| (row.last + ttl).max(soonest)).min();
    }

    /// When somebody may be dialled or is to be forgotten.
    pub(super) fn deadline(&self) -> Option<Time> {
        let dial = [&self.members, &self.rumours].into_iter().filter(|queue| !queue.waiting.is_empty()).map(|queue| queue.next);
        dial.chain(self.earliest_end).min()
    }

    pub(super) fn snapshot(&self, now: Time) -> Vec<Discovered> {
        let show = |(place, row): (&Place, &Row)| Discovered {
            node_id: row.node_id.clone(),
            endpoint: endpoint(*place),
            authenticated: row.proven,
            last_seen_ms_ago: now.since(row.last).as_millis() as u64,
        };
        self.rows.iter().filter(|(_, row)| row.last + self.ttl > now).map(show).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    #[cfg(test)]
    pub(super) fn named_rows(&self) -> usize {
        self.named
    }

    /// Whether somebody new fits. Whom only another directory names takes a share of the table, and gives way on a crowded machine to
    /// whoever announces itself: those names may stand for longer than anybody would go on announcing them.
    fn has_room(&mut self, now: Time, (ip, scope, _): Place, named: bool) -> bool {
        if self.rows.len() >= limits::DISCOVERED_MAX {
            self.forget_silent(now);
        }
        if self.rows.len() >= limits::DISCOVERED_MAX || (named && self.named >= limits::DISCOVERED_NAMED_MAX) {
            return false;
        }
        let there = self.rows.range((ip, scope, 0)..=(ip, scope, u16::MAX));
        if there.clone().count() < limits::DISCOVERED_PER_ADDRESS_MAX {
            return true;
        }
        let mut mere = there.filter(|(_, row)| !named && row.run == NAMED);
        let Some(place) = mere.next().map(|(place, _)| *place) else { return false };
        self.remove_named(place);
        true
    }
}

/// The interface an address is meant on, where it says nothing without.
fn scope(from: SocketAddr) -> u32 {
    match from {
        SocketAddr::V6(from) if from.ip().is_unicast_link_local() => from.scope_id(),
        _ => 0,
    }
}

fn endpoint((ip, scope, port): Place) -> Endpoint {
    Endpoint::tcp(if scope == 0 { ip.to_string() } else { format!("{ip}%{scope}") }, port)
}
