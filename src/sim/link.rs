//! One end of a connection inside a node: handshake, then the two halves. Bytes in, inputs for the mesh out; decides nothing.

use std::sync::Arc;

use bytes::BytesMut;

use crate::base::{CloseReason, LinkId, PeerId, limits};
use crate::crypto::kex::KexSecrets;
use crate::mesh::io::{Inbound, Input};
use crate::session::{Established, Handshaking, LocalParty, Progress, RecvHalf, RunSecrets, SendHalf, key_update};
use crate::wire::Message;

enum Stage {
    /// Dialled, not open yet.
    Waiting,
    Handshaking(Box<Handshaking>),
    Open {
        send: Box<SendHalf>,
        recv: Box<RecvHalf>,
    },
}

/// A link as its carrier holds it.
pub(super) struct Link {
    pub(super) id: LinkId,
    /// Whether this node dialled.
    pub(super) dialled: bool,
    /// The connection and which end of it this is; none while the dial is under way.
    pub(super) at: Option<(u64, usize)>,
    stage: Stage,
    input: BytesMut,
    early: Vec<Inbound>,
    /// Why the link ends, once what came before the fault is told.
    fault: Option<CloseReason>,
    handshake_out: Vec<u8>,
    /// The Hello of whoever dialled has passed.
    greeted: bool,
    /// Goodbye is said, and what the peer sent before it knew is still read.
    pub(super) leaving: bool,
    /// Application messages sent on it.
    pub(super) messages: u64,
}

impl Link {
    /// A dial that begins.
    pub(super) fn dial(id: LinkId) -> Link {
        Link {
            id,
            dialled: true,
            at: None,
            stage: Stage::Waiting,
            input: BytesMut::new(),
            early: Vec::new(),
            fault: None,
            handshake_out: Vec::new(),
            greeted: false,
            leaving: false,
            messages: 0,
        }
    }

    /// A connection somebody else opened.
    pub(super) fn accept(id: LinkId, at: (u64, usize), party: Arc<LocalParty>, secrets: RunSecrets) -> Link {
        let stage = Stage::Handshaking(Box::new(Handshaking::accept(party, secrets)));
        Link { dialled: false, at: Some(at), stage, ..Link::dial(id) }
    }

    /// The dialled connection is open: the handshake begins.
    pub(super) fn opened(&mut self, party: Arc<LocalParty>, secrets: RunSecrets) {
        let mut machine = Handshaking::dial(party, secrets);
        self.handshake_out = machine.outgoing();
        self.stage = Stage::Handshaking(Box::new(machine));
    }

    /// Whether the dial is still under way.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting)
    }

    /// Who the other end has proven to be, in a handshake that is not at its end.
    pub(super) fn met(&self) -> Option<PeerId> {
        if let Stage::Handshaking(machine) = &self.stage { machine.met() } else { None }
    }

    /// Whether the peer is authenticated.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open { .. })
    }

    /// Takes bytes in; [`Link::next`] says what they mean.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next thing for the mesh; an error ends the link. Ask until `None`.
    pub(super) fn next(&mut self, secrets: impl FnMut() -> KexSecrets) -> Result<Option<Input>, CloseReason> {
        if !self.early.is_empty() {
            return Ok(Some(Input::Received { link: self.id, items: std::mem::take(&mut self.early) }));
        }
        match &mut self.stage {
            Stage::Waiting => Ok(None),
            Stage::Handshaking(machine) => {
                let mut received = machine.receive(&mut self.input);
                let answer = machine.outgoing();
                let passed = !self.dialled && !self.greeted && !answer.is_empty();
                self.handshake_out.extend(&answer);
                if !answer.is_empty() && matches!(received, Ok(None)) {
                    // What it said is on its way, as far as it knows.
                    received = machine.receive(&mut self.input);
                }
                let Some(established) = received? else {
                    self.greeted |= passed;
                    return Ok(passed.then_some(Input::HelloPassed { link: self.id }));
                };
                let Established { peer, suite: _, send, recv, early } = *established;
                self.early = early;
                self.stage = Stage::Open { send: Box::new(send), recv: Box::new(recv) };
                Ok(Some(Input::Authenticated { link: self.id, peer }))
            }
            Stage::Open { send, recv } => {
                if let Some(fault) = &self.fault {
                    return Err(fault.clone());
                }
                let mut items = Vec::new();
                let received = receive(send, recv, &mut self.input, &mut items, secrets);
                if items.is_empty() {
                    return received.map(|()| None);
                }
                self.fault = received.err();
                Ok(Some(Input::Received { link: self.id, items }))
            }
        }
    }

    /// Goes on under the next keys.
    pub(super) fn rekey(&mut self, secrets: Option<&KexSecrets>) {
        if let Stage::Open { send, .. } = &mut self.stage {
            match secrets {
                Some(secrets) => key_update::renew(send, secrets),
                None => send.step(None),
            }
        }
    }

    /// Queues a message for the peer. `false`: it does not read, the link is to be given up.
    pub(super) fn push(&mut self, message: &Message) -> bool {
        let Stage::Open { send, .. } = &mut self.stage else { return true };
        if send.pending() > limits::LINK_QUEUE_MAX_BYTES + limits::LINK_CONTROL_RESERVE_BYTES {
            return false;
        }
        send.push(message);
        true
    }

    /// Queues application bytes, if the queue has room.
    pub(super) fn push_data(&mut self, payload: &[u8]) -> bool {
        match &mut self.stage {
            Stage::Open { send, .. } if send.pending() < limits::LINK_QUEUE_MAX_BYTES => {
                send.push_data(payload);
                self.messages += 1;
                true
            }
            _ => false,
        }
    }

    /// Whether the queue takes no more of what can wait.
    pub(super) fn is_full(&self) -> bool {
        matches!(&self.stage, Stage::Open { send, .. } if send.pending() >= limits::LINK_QUEUE_MAX_BYTES)
    }

    /// Bytes waiting for the connection.
    pub(super) fn pending(&self) -> usize {
        let queued = if let Stage::Open { send, .. } = &self.stage { send.pending() } else { 0 };
        self.handshake_out.len() + queued
    }

    /// Takes what is to be sent now.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.handshake_out);
        if let Stage::Open { send, .. } = &mut self.stage {
            let mut sealed = Vec::new();
            send.take(&mut sealed);
            bytes.extend(sealed);
        }
        bytes
    }

    /// Says goodbye with a reason, if there is anybody to hear it.
    pub(super) fn say_goodbye(&mut self, reason: &CloseReason) {
        self.push(&Message::Close { code: reason.code(), detail: reason.told() });
    }

    /// What the mesh is told when the link ends.
    pub(super) fn ended(&self, reason: CloseReason) -> Input {
        if self.dialled && !self.is_open() {
            Input::DialFailed { link: self.id, reason }
        } else {
            Input::LinkClosed { link: self.id, reason }
        }
    }
}

/// Takes every whole record, key updates among them.
fn receive(
    send: &mut SendHalf,
    recv: &mut RecvHalf,
    input: &mut BytesMut,
    items: &mut Vec<Inbound>,
    mut secrets: impl FnMut() -> KexSecrets,
) -> Result<(), CloseReason> {
    while let Progress::KeyUpdate(update) = recv.receive(input, items)? {
        if key_update::turn(send, recv, update, &secrets())? {
            items.push(Inbound::FreshKeys);
        }
    }
    Ok(())
}
