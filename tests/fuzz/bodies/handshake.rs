//! The handshake's machine under arbitrary bytes and under honest ones that were altered: nobody is established but whoever
//! sent exactly the honest bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use vixp2p::base::config::{KeyAgreement, Psk};
use vixp2p::crypto::{Identity, Secret, Suite};
use vixp2p::session::{Established, Handshaking, LocalParty, RunSecrets};
use vixp2p::wire::Message;

use super::edits::{Choices, pieces};

/// One run between two fixed parties, recorded: by X25519 without a pre-shared key, by X-Wing with one.
struct Recorded {
    dialler: Arc<LocalParty>,
    acceptor: Arc<LocalParty>,
    /// Hello and HelloFinish.
    to_acceptor: Vec<u8>,
    /// HelloAck and the record with the Welcome.
    to_dialler: Vec<u8>,
    /// The three messages as frames.
    frames: [Vec<u8>; 3],
}

static PLAIN: LazyLock<Recorded> = LazyLock::new(|| Recorded::new(None));
static WITH_PSK: LazyLock<Recorded> = LazyLock::new(|| Recorded::new(Some(Psk::new([9; 32]))));

fn secrets(seed: u64) -> RunSecrets {
    RunSecrets::seeded(&mut fastrand::Rng::with_seed(seed))
}

impl Recorded {
    fn new(psk: Option<Psk>) -> Recorded {
        let party = |byte, name: &str| {
            let identity = Arc::new(Identity::from_seed(&Secret::new([byte; 32])));
            let capabilities = BTreeMap::from([("proto".to_owned(), "2".to_owned())]);
            let agreement = if psk.is_some() { KeyAgreement::Any } else { KeyAgreement::Classic };
            let party = LocalParty::new(identity, name, &capabilities, psk.as_ref()).expect("small claim");
            Arc::new(party.with_suites(Suite::supported(agreement)))
        };
        let (dialler, acceptor) = (party(1, "dialler"), party(2, "acceptor"));
        let (mut a, mut b) = (Handshaking::dial(dialler.clone(), secrets(1)), Handshaking::accept(acceptor.clone(), secrets(2)));
        let hello = a.outgoing();
        assert!(b.receive(&mut BytesMut::from(&hello[..])).expect("honest").is_none());
        let ack = b.outgoing();
        assert!(a.receive(&mut BytesMut::from(&ack[..])).expect("honest").is_none());
        let finish = a.outgoing();
        let mut responder = b.receive(&mut BytesMut::from(&finish[..])).expect("honest").expect("established");
        responder.send.push(&Message::Welcome);
        let mut welcome = Vec::new();
        responder.send.take(&mut welcome);
        Recorded {
            dialler,
            acceptor,
            to_acceptor: [&hello[..], &finish].concat(),
            to_dialler: [&ack[..], &welcome].concat(),
            frames: [hello, ack, finish],
        }
    }

    /// Feeds one side; whoever it takes for established, and how much of the stream that took.
    fn feed(&self, dialler: bool, stream: &[u8], cut: u8) -> Option<(Box<Established>, usize)> {
        let mut machine = if dialler {
            Handshaking::dial(self.dialler.clone(), secrets(1))
        } else {
            Handshaking::accept(self.acceptor.clone(), secrets(2))
        };
        let (mut input, mut fed) = (BytesMut::new(), 0);
        for piece in pieces(stream, cut) {
            input.extend_from_slice(piece);
            fed += piece.len();
            match machine.receive(&mut input) {
                Ok(Some(established)) => return Some((established, fed - input.len())),
                Ok(None) => {}
                Err(_) => {
                    assert!(machine.receive(&mut BytesMut::from(&self.to_acceptor[..])).is_err(), "a failed handshake stays failed");
                    return None;
                }
            }
        }
        None
    }

    fn check(&self, dialler: bool, stream: &[u8], cut: u8) {
        let (honest, peer) = if dialler { (&self.to_dialler, &self.acceptor) } else { (&self.to_acceptor, &self.dialler) };
        let established = self.feed(dialler, stream, cut);
        assert!(established.is_some() || stream != honest, "the honest bytes establish a session");
        if let Some((established, used)) = established {
            assert_eq!(established.peer.id, peer.identity.id());
            assert!(used >= honest.len() && stream.starts_with(honest), "nothing but the honest bytes does");
        }
    }
}

/// The three messages of an honest run without their length: envelopes.
pub(crate) fn honest_frames() -> [Vec<u8>; 3] {
    let envelope = |frame: &Vec<u8>| frame[frame.windows(4).position(|w| w == b"VP2P").expect("magic")..].to_vec();
    let [hello, ack, finish] = &WITH_PSK.frames;
    [envelope(hello), envelope(ack), envelope(finish)]
}

fn recorded(flags: u8) -> &'static Recorded {
    if flags & 2 == 0 { &PLAIN } else { &WITH_PSK }
}

/// `flags, cut, stream`
pub(crate) fn stream(input: &[u8]) {
    let mut choices = Choices::new(input);
    let (flags, cut) = (choices.byte(), choices.byte());
    recorded(flags).check(flags & 1 != 0, choices.rest(), cut);
}

pub(crate) fn stream_seeds() -> Vec<Vec<u8>> {
    let seed = |flags: u8| {
        let run = recorded(flags);
        [&[flags, 0][..], if flags & 1 == 0 { run.to_acceptor.as_slice() } else { &run.to_dialler }].concat()
    };
    (0..4).map(seed).collect()
}

/// `flags, cut, edits of the honest stream`
pub(crate) fn tampered(input: &[u8]) {
    let mut choices = Choices::new(input);
    let (flags, cut) = (choices.byte(), choices.byte());
    let run = recorded(flags);
    let dialler = flags & 1 != 0;
    let mut stream = if dialler { run.to_dialler.clone() } else { run.to_acceptor.clone() };
    // Also the messages of the other direction, so that a reflected or repeated one can be tried.
    if flags & 4 != 0 {
        stream.splice(0..0, run.frames[usize::from(flags >> 3) % 3].iter().copied());
    }
    choices.edit(&mut stream, 8);
    run.check(dialler, &stream, cut);
}

pub(crate) fn tampered_seeds() -> Vec<Vec<u8>> {
    vec![vec![0, 0], vec![1, 7], vec![2, 0, 0, 40, 0, 1], vec![3, 0, 2, 255, 0, 0], vec![4, 0], vec![5, 0], vec![13, 0]]
}
