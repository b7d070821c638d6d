//! When each link's keys have had their time: a plain step by either side, a fresh agreement by the side that dialled.
//!
//! Never sees a key. The record layer counts use on its own; this is the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::{Direction, LinkId, Time};
use crate::mesh::MeshSettings;
use crate::mesh::out::Outbox;

/// The schedule of every connected link.
#[derive(Debug)]
pub(super) struct Rekey {
    step_after: Duration,
    fresh_after: Duration,
    /// When this side begins a fresh agreement; never for a link the peer dialled.
    links: BTreeMap<LinkId, (Time, Option<Time>)>,
    order: BTreeSet<(Time, LinkId)>,
}

impl Rekey {
    pub(super) fn new(settings: &MeshSettings) -> Rekey {
        let (step_after, fresh_after) = (settings.rekey_after, settings.fresh_keys_after);
        Rekey { step_after, fresh_after, links: BTreeMap::new(), order: BTreeSet::new() }
    }

    /// A link stands, under keys of this moment.
    pub(super) fn opened(&mut self, now: Time, link: LinkId, direction: Direction) {
        self.closed(link);
        let fresh = (direction == Direction::Outbound).then(|| now + self.fresh_after);
        self.schedule(now, link, fresh);
    }

    pub(super) fn closed(&mut self, link: LinkId) {
        if let Some((due, _)) = self.links.remove(&link) {
            self.order.remove(&(due, link));
        }
    }

    /// Both directions of a link are under fresh keys.
    pub(super) fn renewed(&mut self, now: Time, link: LinkId) {
        if let Some((due, fresh)) = self.links.get(&link).copied() {
            self.order.remove(&(due, link));
            self.schedule(now, link, fresh.map(|_| now + self.fresh_after));
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.order.first().map(|(due, _)| *due)
    }

    pub(super) fn tick(&mut self, now: Time, out: &mut Outbox) {
        while let Some((due, link)) = self.order.first().copied().filter(|(due, _)| *due <= now) {
            self.order.remove(&(due, link));
            let Some((_, fresh)) = self.links.get(&link).copied() else { continue };
            let renew = fresh.is_some_and(|at| at <= now);
            out.rekey(link, renew);
            self.schedule(now, link, if renew { Some(now + self.fresh_after) } else { fresh });
        }
    }

    fn schedule(&mut self, now: Time, link: LinkId, fresh: Option<Time>) {
        let step = now + self.step_after;
        let due = fresh.map_or(step, |at| at.min(step));
        self.links.insert(link, (due, fresh));
        self.order.insert((due, link));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Config, PeerId};

    fn rekeys(direction: Direction, until_secs: u64) -> Vec<String> {
        let settings = MeshSettings::from_config(&Config::new("n"), PeerId([1; 32]));
        let (mut rekey, mut out) = (Rekey::new(&settings), Outbox::default());
        rekey.opened(Time::ZERO, LinkId(1), direction);
        let mut seen = Vec::new();
        while let Some(due) = rekey.deadline().filter(|due| *due <= Time::from_millis(until_secs * 1000)) {
            rekey.tick(due, &mut out);
            let minutes = due.since(Time::ZERO).as_secs() / 60;
            seen.extend(std::iter::from_fn(|| out.next()).map(|output| format!("{minutes} min: {output}")));
        }
        rekey.closed(LinkId(1));
        assert_eq!(rekey.deadline(), None);
        seen
    }

    #[test]
    fn the_side_that_dialled_steps_every_quarter_and_renews_every_hour() {
        let hour = ["15 min: link#1 next keys", "30 min: link#1 next keys", "45 min: link#1 next keys", "60 min: link#1 fresh keys"];
        assert_eq!(rekeys(Direction::Outbound, 4000), hour);
    }

    #[test]
    fn the_side_that_was_dialled_only_steps() {
        assert_eq!(rekeys(Direction::Inbound, 7300).len(), 8);
        assert!(rekeys(Direction::Inbound, 7300).iter().all(|line| line.ends_with("next keys")));
    }
}
