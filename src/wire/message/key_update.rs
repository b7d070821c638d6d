//! The steps of a key agreement inside an established session. Never computes a key.

use crate::base::limits;
use crate::wire::cursor::{Reader, WireError, Writer};

/// One step; PROTOCOL.md ("Fresh keys") has their order. `step u8 | share bytes (steps 1 and 2)`
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyUpdate {
    /// The responder of the handshake wants fresh keys.
    Request,
    /// The initiator of the handshake offers a key share of the session's group.
    Offer(Vec<u8>),
    /// The responder's answer; what it sends next is under the new keys.
    Answer(Vec<u8>),
    /// What the initiator sends next is under the new keys.
    Switch,
}

impl KeyUpdate {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        match self {
            KeyUpdate::Request => w.u8(0),
            KeyUpdate::Offer(share) => {
                w.u8(1);
                w.bytes_var(share);
            }
            KeyUpdate::Answer(share) => {
                w.u8(2);
                w.bytes_var(share);
            }
            KeyUpdate::Switch => w.u8(3),
        }
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<KeyUpdate, WireError> {
        Ok(match r.u8()? {
            0 => KeyUpdate::Request,
            1 => KeyUpdate::Offer(r.bytes_var(limits::KEY_SHARE_MAX_BYTES)?.to_vec()),
            2 => KeyUpdate::Answer(r.bytes_var(limits::KEY_SHARE_MAX_BYTES)?.to_vec()),
            3 => KeyUpdate::Switch,
            _ => return Err(WireError::Malformed("a key update has the steps 0 to 3")),
        })
    }
}
