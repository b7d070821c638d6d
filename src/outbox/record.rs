//! What the outbox writes into logs: operations, receipts and settlements, in payloads that begin with a mark. Strict; never decides.
//!
//! ```text
//!   8      1
//! | mark | type | body |
//!
//! 1 put      | 0: all, 1: one | target[32] if one | kind str | key bytes | payload bytes |
//! 2 receipt  | operation | key bytes | 0: done, 1: failed for good | attempts varint | detail str |
//! 3 settled  | n varint | n x operation |
//!
//! operation  | origin[32] | incarnation u64 | seq u64 |
//! ```
//!
//! Primitives as in PROTOCOL.md section 1. docs/outbox.md says what each of them means.

use std::fmt;

use serde::Serialize;

use crate::base::{Incarnation, LogId, PeerId, limits};
use crate::wire::cursor::{Reader, WireError, Writer};

/// What a payload of the outbox begins with; the application may append none that does.
pub const MARK: [u8; 8] = *b"\xffvixout\x01";

/// Whether a record is the outbox's, and none of the application's.
pub fn is_ours(payload: &[u8]) -> bool {
    payload.starts_with(&MARK)
}

/// An operation: the record that put it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct OpId {
    /// The sender's log.
    pub log: LogId,
    /// The record in it.
    pub seq: u64,
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.log, self.seq)
    }
}

/// Whom an operation is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Every node but the sender.
    All,
    /// One node.
    Peer(PeerId),
}

/// How an operation ended at its target.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It took effect.
    Done,
    /// It did not, and is not tried again.
    Failed,
}

/// What a target says of an operation, once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Of which.
    pub op: OpId,
    /// Its idempotency key, so that the target knows it for ever.
    pub key: Vec<u8>,
    /// How it ended.
    pub outcome: Outcome,
    /// Attempts it took; 0 if another operation with the same key had been executed.
    pub attempts: u32,
    /// Why it failed.
    pub detail: String,
}

impl Receipt {
    /// Whether its key is remembered by it. What failed without an attempt has been answered as another one was, or is executed by nobody.
    pub fn is_of_key(&self) -> bool {
        !self.key.is_empty() && (self.outcome == Outcome::Done || self.attempts > 0)
    }
}

/// A record of the outbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// An operation, in its sender's log.
    Put {
        /// For whom.
        target: Target,
        /// What is to be done, in the application's words.
        kind: String,
        /// Idempotency key; empty for none.
        key: Vec<u8>,
        /// For the target; sealed to it if it is for one.
        payload: Vec<u8>,
    },
    /// In the target's log.
    Receipt(Receipt),
    /// In the sender's log: these are no longer of interest, finished or not.
    Settled(Vec<OpId>),
}

impl OpId {
    fn encode(&self, w: &mut Writer<'_>) {
        w.bytes(&self.log.origin.0);
        w.u64(self.log.incarnation.0);
        w.u64(self.seq);
    }

    fn decode(r: &mut Reader<'_>) -> Result<OpId, WireError> {
        let log = LogId { origin: PeerId(r.array()?), incarnation: Incarnation(r.u64()?) };
        Ok(OpId { log, seq: r.u64()? })
    }
}

impl Body {
    /// The record's payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MARK.to_vec();
        let mut w = Writer::new(&mut out);
        match self {
            Body::Put { target, kind, key, payload } => {
                w.u8(1);
                match target {
                    Target::All => w.u8(0),
                    Target::Peer(peer) => {
                        w.u8(1);
                        w.bytes(&peer.0);
                    }
                }
                w.str(kind);
                w.bytes_var(key);
                w.bytes_var(payload);
            }
            Body::Receipt(Receipt { op, key, outcome, attempts, detail }) => {
                w.u8(2);
                op.encode(&mut w);
                w.bytes_var(key);
                w.u8(u8::from(*outcome == Outcome::Failed));
                w.var_u64(u64::from(*attempts));
                w.str(detail);
            }
            Body::Settled(ops) => {
                w.u8(3);
                w.var_u64(ops.len() as u64);
                ops.iter().for_each(|op| op.encode(&mut w));
            }
        }
        out
    }

    /// The record of a payload; an error also for what is not the outbox's.
    pub fn decode(payload: &[u8]) -> Result<Body, WireError> {
        let rest = payload.strip_prefix(&MARK[..]).ok_or(WireError::Malformed("no record of the outbox"))?;
        let mut r = Reader::new(rest);
        let body = match r.u8()? {
            1 => {
                let target = match r.u8()? {
                    0 => Target::All,
                    1 => Target::Peer(PeerId(r.array()?)),
                    _ => return Err(WireError::Malformed("target is neither all nor one")),
                };
                let kind = r.str(limits::OUTBOX_KIND_MAX_BYTES)?.to_owned();
                let key = r.bytes_var(limits::OUTBOX_KEY_MAX_BYTES)?.to_vec();
                Body::Put { target, kind, key, payload: r.bytes_var(limits::RECORD_PAYLOAD_MAX_BYTES)?.to_vec() }
            }
            2 => {
                let (op, key) = (OpId::decode(&mut r)?, r.bytes_var(limits::OUTBOX_KEY_MAX_BYTES)?.to_vec());
                let outcome = match r.u8()? {
                    0 => Outcome::Done,
                    1 => Outcome::Failed,
                    _ => return Err(WireError::Malformed("outcome is neither done nor failed")),
                };
                let attempts = u32::try_from(r.var_u64()?).map_err(|_| WireError::Malformed("attempts do not fit 32 bits"))?;
                Body::Receipt(Receipt { op, key, outcome, attempts, detail: r.str(limits::CLOSE_DETAIL_MAX_BYTES)?.to_owned() })
            }
            3 => {
                let count = r.count(limits::OUTBOX_SETTLED_MAX)?;
                Body::Settled((0..count).map(|_| OpId::decode(&mut r)).collect::<Result<_, _>>()?)
            }
            _ => return Err(WireError::Malformed("unknown type of an outbox record")),
        };
        r.finish()?;
        Ok(body)
    }
}

/// `text` cut to what a receipt holds.
pub(super) fn cut(text: &str) -> String {
    let end = (0..=limits::CLOSE_DETAIL_MAX_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[..end].to_owned()
}
