//! Nodes that cannot meet by a snapshot: each has let go of what the other lacks. Only says so; what is declined, and why, is `take`'s.

use std::collections::BTreeMap;

use crate::base::{Event, LinkId, LogId};
use crate::mesh::io::Place;
use crate::mesh::out::Outbox;
use crate::mesh::replica::Replica;

/// How far a snapshot has a log applied.
fn has(places: &BTreeMap<LogId, Place>, log: &LogId) -> u64 {
    places.get(log).map_or(0, |place| place.applied)
}

impl Replica {
    /// Whether a snapshot lacks records that this node wrote and has let go of: this node would lose their effect, and its maker may
    /// never get them.
    pub(super) fn is_apart(&self, places: &BTreeMap<LogId, Place>) -> bool {
        self.logs.iter().any(|(log, local)| log.origin == self.own.origin && local.base > has(places, log))
    }

    /// Tells the application, once a link, if no waiting helps, or only waiting for somebody else.
    pub(super) fn tell_apart(&mut self, link: LinkId, places: &BTreeMap<LogId, Place>, out: &mut Outbox) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let lacks = |(log, local): &(&LogId, &super::Local)| {
            local.base > has(places, log) && (log.origin == self.own.origin || session.is_below(log, local.base))
        };
        let mut lacking: Vec<_> = self.logs.iter().filter(lacks).collect();
        // What this node wrote it has let go of for good.
        lacking.sort_by_key(|(log, _)| log.origin != self.own.origin);
        let Some((log, local)) = lacking.first() else { return };
        if std::mem::replace(&mut session.apart_told, true) {
            return;
        }
        let (peer, whose) = (session.peer.short(), if log.origin == self.own.origin { "this node's log" } else { "log" });
        let what = format!(
            "a snapshot offered by peer {peer} has {whose} {log} up to record {}, and records up to {} are no longer kept here; it is not \
             taken in",
            has(places, log),
            local.base
        );
        let detail = if log.origin == self.own.origin {
            format!("{what}: the two nodes can only meet by a snapshot from one that has both")
        } else {
            format!("{what}: until one of the two gets elsewhere what the other has let go of, neither can take the other's snapshot")
        };
        out.event(Event::LogFailed { detail });
    }
}
