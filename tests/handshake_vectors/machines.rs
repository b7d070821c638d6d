//! The two machines of a case, held to every byte.

use bytes::BytesMut;
use vixp2p::base::config::Psk;
use vixp2p::base::id::hex;
use vixp2p::crypto::kex::KexSecrets;
use vixp2p::session::{Established, Handshaking, Progress, key_update};
use vixp2p::wire::Message;

use crate::derive::Inputs;

/// The two machines, each record of which is compared and carried over.
pub(super) struct Machines {
    dialler: Handshaking,
    initiator: Option<Box<Established>>,
    responder: Box<Established>,
    secrets: [KexSecrets; 2],
}

impl Machines {
    pub(super) fn shake(inputs: &Inputs, psk: Option<&Psk>, frames: &[Vec<u8>; 3]) -> Machines {
        let (i, r) = (&inputs.initiator, &inputs.responder);
        let mut dialler = Handshaking::dial(i.party(psk), i.run());
        let mut acceptor = Handshaking::accept(r.party(psk), r.run());
        assert!(dialler.outgoing() == frames[0], "Hello");
        assert!(acceptor.receive(&mut BytesMut::from(&frames[0][..])).expect("a Hello").is_none());
        assert!(acceptor.outgoing() == frames[1], "HelloAck");
        assert!(dialler.receive(&mut BytesMut::from(&frames[1][..])).expect("a HelloAck").is_none());
        assert!(dialler.outgoing() == frames[2], "HelloFinish");
        let responder = acceptor.receive(&mut BytesMut::from(&frames[2][..])).expect("a HelloFinish").expect("established");
        assert_eq!((responder.peer.id, &responder.peer.node_id), (i.identity().id(), &i.node_id));
        assert_eq!(responder.peer.formerly.len(), i.records.len());
        Machines { dialler, initiator: None, responder, secrets: [i.update_ephemeral.secrets(), r.update_ephemeral.secrets()] }
    }

    pub(super) fn welcome(&mut self) {
        self.responder.send.push(&Message::Welcome);
    }

    pub(super) fn initiator(&mut self) -> &mut Established {
        self.initiator.as_mut().expect("welcomed")
    }

    pub(super) fn responder(&mut self) -> &mut Established {
        &mut self.responder
    }

    /// What `by` has queued is this record; the other side takes it.
    pub(super) fn says(&mut self, by: char, what: &str, record: &[u8]) {
        let mut bytes = Vec::new();
        let (from, [of_i, of_r]) = (by == 'i', &self.secrets);
        let sender = if from { &mut self.initiator.as_mut().expect("welcomed").send } else { &mut self.responder.send };
        sender.take(&mut bytes);
        assert!(bytes == record, "{by} {what}: {} is not {}", hex(&bytes), hex(record));
        let mut input = BytesMut::from(record);
        let (to, secrets) = match (from, &mut self.initiator) {
            (true, _) => (&mut self.responder, of_r),
            (false, Some(initiator)) => (initiator, of_i),
            (false, none) => return *none = Some(self.dialler.receive(&mut input).expect("a Welcome").expect("established")),
        };
        while let Progress::KeyUpdate(update) = to.recv.receive(&mut input, &mut Vec::new()).expect("an honest record") {
            key_update::turn(&mut to.send, &mut to.recv, update, secrets).expect("an honest step");
        }
        assert!(input.is_empty(), "{what}");
    }
}
