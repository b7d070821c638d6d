//! What a relay does for others: passes their parcels on within each neighbour's share, and what becomes of them back.
//!
//! Believes what a parcel's pledge proves and nothing else it is told; a notice goes back where the copy came from, and moves only the
//! ways of that copy's neighbours.

use super::relay::{Marked, Told};
use crate::base::{LinkId, PeerId, Time, limits};
use crate::mesh::Mesh;
use crate::wire::Message;
use crate::wire::message::{Notice, Parcel, ParcelId, Verdict};

impl Mesh {
    /// A parcel for another: passed on between friends, or sent back with the reason.
    pub(super) fn relay(&mut self, now: Time, carrier: PeerId, parcel: Parcel) -> Result<(), Verdict> {
        if !self.route.relay || !self.is_friend(&carrier) {
            return Err(Verdict::NoRoute);
        }
        if parcel.id.from == self.settings.local {
            return Err(Verdict::Loop);
        }
        let marked = Marked::from(&parcel);
        // It has arrived, and whoever sent it again did not hear of it.
        if let Some(receipt) = self.route.crumbs.receipt(marked) {
            return Err(Verdict::Received(receipt));
        }
        if self.route.crumbs.seen(now, marked, carrier) {
            return Err(Verdict::Loop);
        }
        if self.is_revoked(&parcel.id.from) {
            return Err(Verdict::Refused);
        }
        if parcel.ttl <= 1 {
            return Err(Verdict::TtlExceeded);
        }
        let Some(on) = self.way_on(carrier, &parcel, marked) else {
            self.route.table.forget_via(&parcel.to, &carrier);
            return Err(Verdict::NoRoute);
        };
        if !self.route.shares.allow(now, (carrier, on), parcel.sealed.len()) {
            return Err(Verdict::Busy);
        }
        self.route.crumbs.drop_one(now, marked, (carrier, on));
        let ttl = parcel.ttl.min(limits::ROUTE_TTL) - 1;
        self.send_to_peer(&on, Message::Parcel(Parcel { ttl, ..parcel }));
        Ok(())
    }

    /// Where a parcel goes on. Another copy of a message means that those before it failed, perhaps by a relay that lies: it goes where
    /// none of that neighbour went yet, as far as there is such a way.
    fn way_on(&mut self, carrier: PeerId, parcel: &Parcel, marked: Marked<'_>) -> Option<PeerId> {
        let to = parcel.to;
        if let Some(route) = self.resolve(&to).filter(|route| !route.learned) {
            return Some(route.next_hop).filter(|on| self.leads_on(on, carrier, parcel));
        }
        let tried = self.route.crumbs.tried(marked, carrier);
        let ways = self.route.table.ways(&to).iter().filter(|on| self.leads_on(on, carrier, parcel));
        let on = ways.min_by_key(|on| tried.get(on)).copied()?;
        for former in tried.keys().filter(|former| **former != on) {
            self.route.table.prefer_others(&to, former);
        }
        Some(on)
    }

    fn leads_on(&self, on: &PeerId, carrier: PeerId, parcel: &Parcel) -> bool {
        *on != carrier && *on != parcel.id.from && self.is_friend(on)
    }

    /// The queue of a link had no room for a parcel.
    pub(in crate::mesh) fn unsent(&mut self, now: Time, id: ParcelId) {
        let verdict = Verdict::Busy;
        if id.from == self.settings.local {
            self.heard(now, &id, None, verdict);
        } else if let Some(crumb) = self.route.crumbs.latest(&id) {
            self.route.shares.charge(now, &crumb, limits::RELAY_UNSENT_COST);
            self.send_to_peer(&crumb.back, Message::Notice(Notice { id, verdict }));
        }
    }

    pub(in crate::mesh) fn notice(&mut self, now: Time, link: LinkId, notice: Notice) {
        let Some(by) = self.peers.peer_of(link) else { return };
        let Notice { id, verdict } = notice;
        if id.from == self.settings.local {
            return if id.from_run == self.route.run {
                self.heard(now, &id, Some(by), verdict)
            };
        }
        let (told, about) = self.route.crumbs.told(now, &id, by, verdict);
        let culprit = if verdict == Verdict::Refused { self.route.crumbs.culprit(&id, by) } else { None };
        // One that says what is not so leads nowhere.
        let verdict = if told == Told::False { Verdict::NoRoute } else { verdict };
        for (crumb, may_tell) in about {
            match verdict {
                _ if told == Told::Proven => self.route.table.proved(now, crumb.to, by),
                // One whose ttl was too small says nothing against the way.
                Verdict::NoRoute | Verdict::Loop => self.route.table.forget_via(&crumb.to, &by),
                Verdict::Refused if may_tell && culprit == Some(crumb.back) => {
                    self.route.shares.charge(now, &crumb, limits::RELAY_REFUSED_COST)
                }
                _ => {}
            }
            if may_tell {
                self.send_to_peer(&crumb.back, Message::Notice(Notice { id, verdict }));
            }
        }
        if let (Verdict::Received(receipt), Told::Proven) = (verdict, told) {
            for (id, back) in self.route.crumbs.arrived(&id, receipt) {
                self.send_to_peer(&back, Message::Notice(Notice { id, verdict }));
            }
        }
    }
}
