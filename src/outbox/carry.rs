//! What a snapshot carries of the outbox: of all records in the logs those that still mean something to some node.
//!
//! Node-independent: the same for whoever takes the snapshot. Two passes over the same records in the order of their logs; never keeps
//! a payload.

use std::collections::BTreeSet;

use crate::base::LogId;
use crate::outbox::record::{Body, OpId};

/// Sees every record once, then says of each whether it is carried.
#[derive(Debug, Default)]
pub struct Sieve {
    settled: BTreeSet<OpId>,
}

impl Sieve {
    /// The first pass.
    pub fn look(&mut self, log: LogId, body: &Body) {
        if let Body::Settled(ops) = body {
            self.settled.extend(ops.iter().filter(|op| op.log.origin == log.origin));
        }
    }

    /// The second pass. An operation is carried until its sender settles it; a receipt as long, and for ever if its key is remembered.
    pub fn keeps(&self, log: LogId, seq: u64, body: &Body) -> bool {
        match body {
            Body::Put { .. } => !self.settled.contains(&OpId { log, seq }),
            Body::Receipt(receipt) => receipt.is_of_key() || !self.settled.contains(&receipt.op),
            Body::Settled(_) => false,
        }
    }
}
