//! Fresh keys inside a session: Request, Offer, Answer, Switch (PROTOCOL.md, "Fresh keys").
//!
//! Only the side that dialled offers, so that two offers never cross. Each direction changes keys at a record's end, named by its own
//! sender. Never decides when: the mesh keeps the time.

use crate::base::CloseReason;
use crate::crypto::Secret;
use crate::crypto::handshake::Role;
use crate::crypto::kex::{self, Group, KexSecrets, Offer};
use crate::crypto::schedule::HASH_BYTES;
use crate::session::{RecvHalf, SendHalf};
use crate::wire::Message;
use crate::wire::message::KeyUpdate;

/// What the sending half knows of agreements.
#[derive(Debug)]
pub(super) struct Renewal {
    pub(super) role: Role,
    pub(super) group: Group,
    /// Offered and not answered yet.
    offer: Option<Offer>,
}

impl Renewal {
    pub(super) fn new(role: Role, group: Group) -> Renewal {
        Renewal { role, group, offer: None }
    }
}

/// Begins an agreement, or asks the side that dialled to begin one. Nothing happens while one is under way.
pub fn renew(send: &mut SendHalf, secrets: &KexSecrets) {
    if send.renewal.role == Role::Responder {
        send.push_last(&Message::KeyUpdate(KeyUpdate::Request));
        return;
    }
    if send.renewal.offer.is_none() {
        let group = send.renewal.group;
        let offer = Offer::new(&[group], secrets);
        let share = offer.share(group).unwrap_or_default().to_vec();
        send.renewal.offer = Some(offer);
        send.push_last(&Message::KeyUpdate(KeyUpdate::Offer(share)));
    }
}

/// Takes a step the peer made. `true`: both directions are under fresh keys now.
pub fn turn(send: &mut SendHalf, recv: &mut RecvHalf, update: KeyUpdate, secrets: &KexSecrets) -> Result<bool, CloseReason> {
    let group = send.renewal.group;
    match (send.renewal.role, update) {
        (Role::Initiator, KeyUpdate::Request) => {
            renew(send, secrets);
            Ok(false)
        }
        (Role::Responder, KeyUpdate::Offer(share)) if recv.awaited.is_none() => {
            let (answer, shared) = kex::answer(group, &share, secrets).ok_or_else(unusable)?;
            let fresh = kex::fresh(&shared, &share, &answer);
            send.push_last(&Message::KeyUpdate(KeyUpdate::Answer(answer)));
            send.step(Some(&fresh));
            recv.awaited = Some(fresh);
            Ok(false)
        }
        (Role::Initiator, KeyUpdate::Answer(answer)) => {
            let offer = send.renewal.offer.take().ok_or_else(out_of_turn)?;
            let shared = offer.complete(group, &answer).ok_or_else(unusable)?;
            let fresh = kex::fresh(&shared, offer.share(group).unwrap_or_default(), &answer);
            recv.step(&fresh);
            send.push_last(&Message::KeyUpdate(KeyUpdate::Switch));
            send.step(Some(&fresh));
            Ok(true)
        }
        (Role::Responder, KeyUpdate::Switch) => {
            let fresh: Secret<HASH_BYTES> = recv.awaited.take().ok_or_else(out_of_turn)?;
            recv.step(&fresh);
            Ok(true)
        }
        _ => Err(out_of_turn()),
    }
}

fn unusable() -> CloseReason {
    CloseReason::Protocol("a key update whose share cannot be used".into())
}

fn out_of_turn() -> CloseReason {
    CloseReason::Protocol("a key update out of turn".into())
}
