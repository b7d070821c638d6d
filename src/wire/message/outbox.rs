//! The outbox family: OutboxPull with the fields of v1, and its answer. Names records, carries none.

use crate::base::{Incarnation, LogId, LogRange, PeerId, limits};
use crate::wire::cursor::{Reader, WireError, Writer};

/// Where do operations for that node lie?
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutboxPull {
    /// The node (v1: `target_node_id`, here its key as text).
    pub target: PeerId,
    /// Operations named at most.
    pub max_items: u32,
}

/// There, as far as the sender knows; the records themselves come as all do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutboxHeld {
    /// For whom.
    pub target: PeerId,
    /// In rising order.
    pub ranges: Vec<LogRange>,
}

impl OutboxPull {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.str(&self.target.to_string());
        w.u32(self.max_items);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<OutboxPull, WireError> {
        let text = r.str(2 * size_of::<PeerId>())?;
        let target: PeerId = text.parse().map_err(|_| WireError::Malformed("target_node_id is no key of 64 hex digits"))?;
        if target.to_string() != text {
            return Err(WireError::Malformed("target_node_id is not in lower case"));
        }
        match r.u32()? {
            0 => Err(WireError::Range { what: "OutboxPull max_items", got: 0, min: 1 }),
            max_items => Ok(OutboxPull { target, max_items }),
        }
    }
}

impl OutboxHeld {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.bytes(&self.target.0);
        w.var_u64(self.ranges.len() as u64);
        for LogRange { log, first, last } in &self.ranges {
            w.bytes(&log.origin.0);
            w.u64(log.incarnation.0);
            w.u64(*first);
            w.u64(*last);
        }
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<OutboxHeld, WireError> {
        let (target, count) = (PeerId(r.array()?), r.count(limits::OUTBOX_PULL_MAX)?);
        let range = |r: &mut Reader<'_>| {
            let log = LogId { origin: PeerId(r.array()?), incarnation: Incarnation(r.u64()?) };
            let (first, last) = (r.u64()?, r.u64()?);
            if first == 0 || last < first {
                return Err(WireError::Range { what: "OutboxHeld range", got: last, min: first.max(1) });
            }
            Ok(LogRange { log, first, last })
        };
        Ok(OutboxHeld { target, ranges: (0..count).map(|_| range(r)).collect::<Result<_, _>>()? })
    }
}
