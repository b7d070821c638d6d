//! The search for a way: asked when one is needed, passed on once, answered to every neighbour that asks.
//!
//! Several answers are kept, since the first may be a lie. Never decides which of them is taken.

use super::relay::Question;
use crate::base::{LinkId, PeerId, Time, limits};
use crate::mesh::Mesh;
use crate::wire::Message;
use crate::wire::message::{Search, SearchStep};

impl Mesh {
    /// Asks for a way: the neighbour the application named, else all that are trusted.
    pub(super) fn seek(&mut self, now: Time, target: PeerId) {
        let recently = |(_, at): &(u64, Time)| now.since(*at) < limits::ROUTE_SEARCH_GAP;
        if self.route.searched.get(&target).is_some_and(recently) {
            return;
        }
        if self.route.searched.len() >= limits::ROUTES_MAX && !self.route.searched.contains_key(&target) {
            self.route.searched.pop_first();
        }
        let number = self.route.numbers.u64(..);
        self.route.searched.insert(target, (number, now));
        let named = self.route.table.given(&target).filter(|next_hop| self.peers.link_of(next_hop).is_some());
        let step = SearchStep::Seek { ttl: limits::ROUTE_TTL };
        let search = Search { origin: self.settings.local, number, target, step };
        match named {
            Some(next_hop) => self.send_to_peer(&next_hop, Message::Search(search)),
            None => self.ask_all(search, None),
        }
    }

    fn ask_all(&mut self, search: Search, but: Option<PeerId>) {
        let asked = |id: &PeerId| Some(*id) != but && *id != search.origin;
        let links: Vec<_> = self.peers.iter().filter(|(id, peer)| peer.trusted && asked(id)).filter_map(|(_, peer)| peer.link).collect();
        for link in links {
            self.out.send(link, Message::Search(search));
        }
    }

    pub(in crate::mesh) fn search(&mut self, now: Time, link: LinkId, search: Search) {
        let Some(asker) = self.peers.peer_of(link).filter(|peer| self.is_friend(peer)) else { return };
        let Search { origin, number, target, step } = search;
        match step {
            SearchStep::Found { hops } => self.found(now, asker, search, hops),
            SearchStep::Seek { ttl } => {
                if origin == self.settings.local || self.is_revoked(&origin) || !self.route.asked.allow(now, asker) {
                    return;
                }
                let asked = self.route.searches.asked((origin, number, target), asker);
                let found = |hops| Message::Search(Search { step: SearchStep::Found { hops }, ..search });
                match asked {
                    Question::Known => {}
                    _ if target == self.settings.local => self.out.send(link, found(0)),
                    _ if !self.route.relay => {}
                    _ if target != asker && self.is_friend(&target) => self.out.send(link, found(1)),
                    Question::New if ttl > 1 && self.may_forward(now, asker) => {
                        let step = SearchStep::Seek { ttl: ttl.min(limits::ROUTE_TTL) - 1 };
                        self.ask_all(Search { step, ..search }, Some(asker));
                    }
                    Question::Again(Some((by, hops))) if by != asker => self.out.send(link, found(hops + 1)),
                    Question::New | Question::Again(_) => {}
                }
            }
        }
    }

    /// Whether a neighbour's question is passed on: the rest of what others take from here is for own ones.
    fn may_forward(&mut self, now: Time, asker: PeerId) -> bool {
        let (of_each, of_all) = &mut self.route.forwarded;
        of_each.allow(now, asker) && of_all.allow(now, ())
    }

    fn found(&mut self, now: Time, by: PeerId, search: Search, hops: u8) {
        let Search { origin, number, target, .. } = search;
        if target == self.settings.local || hops >= limits::ROUTE_TTL {
            return;
        }
        if origin == self.settings.local {
            let asked = self.route.searched.get(&target).map(|(number, _)| *number);
            if asked != Some(number) {
                return;
            }
            match self.resolve(&target) {
                // In reserve, should the one that is taken fail.
                Some(route) if route.learned => drop(self.route.table.found(now, target, by)),
                Some(_) => {}
                None if self.route.table.found(now, target, by) => self.way_found(now, &target),
                None => self.route.posts.hurry(now, &target),
            }
            return;
        }
        if !self.route.relay {
            return;
        }
        let Some(backs) = self.route.searches.answered((origin, number, target), by, hops) else { return };
        self.route.table.learn(now, target, by);
        for back in backs {
            if self.is_friend(&back) {
                self.send_to_peer(&back, Message::Search(Search { step: SearchStep::Found { hops: hops + 1 }, ..search }));
            }
        }
    }
}
