//! The three-message handshake as a machine: Hello, HelloAck, HelloFinish, and the responder's Welcome.
//!
//! Bytes in, bytes out, then an [`Established`] session. Fails with a reason for our own log; the other side only sees the
//! connection close. The side that dials asks its [`Gate`] before it shows who it is; a responder's verdict is the mesh's, which
//! then has sealed records to say no with.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Buf, BytesMut};

use crate::base::config::{KeyAgreement, Psk};
use crate::base::trust::Gate;
use crate::base::{CloseReason, HandshakeStage, PeerId, PeerInfo, limits};
use crate::crypto::handshake::{BoxError, ClusterKeys, HandshakeKeys, Role, Transcript};
use crate::crypto::kex::{self, Group, KexSecrets, Offer};
use crate::crypto::{Identity, Secret, Suite, rotation};
use crate::session::{Progress, RecvHalf, SendHalf};
use crate::wire::envelope::{self, LIVE_MAJOR};
use crate::wire::frame::Framer;
use crate::wire::handshake::{self as messages, Claim, Hello, HelloAck, HelloFinish, kind};
use crate::wire::{Inbound, Message, Rotation, WireError};

/// What every handshake of a node has in common.
#[derive(Debug)]
pub struct LocalParty {
    /// The node's key.
    pub identity: Arc<Identity>,
    claim: Claim,
    /// The current pre-shared key's, then the previous one's.
    pub(super) clusters: Vec<ClusterKeys>,
    suites: Vec<Suite>,
}

impl LocalParty {
    /// A node's side of every handshake; label and capabilities have passed `Config::validate`.
    pub fn new(
        identity: Arc<Identity>,
        node_id: &str,
        capabilities: &BTreeMap<String, String>,
        psk: Option<&Psk>,
    ) -> Result<LocalParty, crate::base::Error> {
        let claim =
            Claim { public_key: identity.id().0, node_id: node_id.to_owned(), capabilities: capabilities.clone(), cert: Vec::new() };
        check_claim(&claim)?;
        Ok(LocalParty { identity, claim, clusters: vec![ClusterKeys::new(psk)], suites: Suite::supported(KeyAgreement::Any) })
    }

    /// What the cluster's secret gives; without one, what its absence gives.
    pub fn cluster(&self) -> &ClusterKeys {
        &self.clusters[0]
    }

    /// The same of the present secret and the one before it.
    pub fn clusters(&self) -> &[ClusterKeys] {
        &self.clusters
    }

    /// The same party telling its peers which keys it had before: proven records, the oldest first. The last ones count.
    pub fn with_rotations(mut self, records: &[Rotation]) -> Result<LocalParty, crate::base::Error> {
        self.claim.cert = Rotation::encode_all(&records[records.len().saturating_sub(Rotation::MAX)..]);
        check_claim(&self.claim)?;
        Ok(self)
    }

    /// The same party accepting also the cluster's previous key; it dials with it where the current one finds no answer.
    #[must_use]
    pub fn with_previous_psk(mut self, psk: Option<&Psk>) -> LocalParty {
        self.clusters.extend(psk.map(|psk| ClusterKeys::new(Some(psk))));
        self
    }

    /// The same party offering only these suites, the best first.
    #[must_use]
    pub fn with_suites(mut self, suites: Vec<Suite>) -> LocalParty {
        self.suites = suites;
        self
    }
}

/// The limit is a multiple of the padding, which therefore never exceeds it.
fn check_claim(claim: &Claim) -> Result<(), crate::base::Error> {
    let max = limits::IDENTITY_MAX_BYTES - messages::SIGNATURE_LEN - messages::FIN_LEN;
    let got = claim.encode().len();
    if got > max {
        return Err(crate::base::Error::TooLarge { what: "node_id, capabilities and earlier keys together", got, max });
    }
    Ok(())
}

const _: () = assert!(limits::IDENTITY_MAX_BYTES.is_multiple_of(messages::PADDING));

/// The random values of one run. Used once, wiped after.
#[derive(Debug)]
pub struct RunSecrets {
    /// What goes into the key agreement.
    pub kex: KexSecrets,
    /// Public randomness of this side.
    pub rand: [u8; 32],
    /// Names the run.
    pub nonce: u64,
}

impl RunSecrets {
    /// Draws them from the operating system.
    pub fn draw() -> Result<RunSecrets, getrandom::Error> {
        let mut public = [0; 40];
        getrandom::fill(&mut public)?;
        let (nonce, rand) = public.split_at(8);
        let words = (nonce.try_into().map(u64::from_le_bytes), rand.try_into());
        let (Ok(nonce), Ok(rand)) = words else { return Err(getrandom::Error::UNEXPECTED) };
        Ok(RunSecrets { kex: draw_kex()?, rand, nonce })
    }

    /// Takes them from a seeded generator: the simulator and tests only.
    pub fn seeded(rng: &mut fastrand::Rng) -> RunSecrets {
        let mut secrets = RunSecrets { kex: seeded_kex(rng), rand: [0; 32], nonce: rng.u64(..) };
        rng.fill(&mut secrets.rand);
        secrets
    }
}

/// Draws the secrets of one key agreement from the operating system.
pub fn draw_kex() -> Result<KexSecrets, getrandom::Error> {
    let mut secrets = KexSecrets { x25519: Secret::zero(), xwing: Secret::zero(), reproducible: false };
    getrandom::fill(secrets.x25519.expose_mut())?;
    getrandom::fill(secrets.xwing.expose_mut())?;
    Ok(secrets)
}

/// Takes them from a seeded generator: the simulator and tests only.
pub fn seeded_kex(rng: &mut fastrand::Rng) -> KexSecrets {
    let mut secrets = KexSecrets { x25519: Secret::zero(), xwing: Secret::zero(), reproducible: true };
    rng.fill(secrets.x25519.expose_mut());
    rng.fill(secrets.xwing.expose_mut());
    secrets
}

/// A finished handshake.
#[derive(Debug)]
pub struct Established {
    /// Who is there, proven.
    pub peer: PeerInfo,
    /// What was negotiated.
    pub suite: Suite,
    /// Towards the peer.
    pub send: SendHalf,
    /// From the peer.
    pub recv: RecvHalf,
    /// What came in the same breath as the Welcome.
    pub early: Vec<Inbound>,
}

enum State {
    /// Initiator, waiting for HelloAck.
    HelloSent { offer: Box<Offer>, transcript: Transcript },
    /// Responder, waiting for Hello. The secrets become a key pair only for a Hello that passes: an outsider costs no curve work.
    Listening { kex: Box<KexSecrets>, rand: [u8; 32] },
    /// Responder, waiting for HelloFinish.
    AckSent { keys: HandshakeKeys, transcript: Transcript, nonce_a: u64 },
    /// Initiator, its HelloFinish ready. The session's keys are made when it is gone: the peer works at the same time.
    FinishReady { peer: PeerInfo, keys: HandshakeKeys, transcript: Transcript },
    /// Initiator, waiting for the first record.
    AwaitingWelcome { peer: PeerInfo, suite: Suite, send: Box<SendHalf>, recv: Box<RecvHalf> },
    /// Done or failed.
    Over,
}

/// See the module.
pub struct Handshaking {
    local: Arc<LocalParty>,
    /// Which of the party's pre-shared keys this run uses.
    cluster: usize,
    gate: Gate,
    state: State,
    nonce: u64,
    out: Vec<u8>,
}

impl Handshaking {
    /// The side that dialled; its Hello is ready in [`Handshaking::outgoing`].
    pub fn dial(local: Arc<LocalParty>, secrets: RunSecrets) -> Handshaking {
        Handshaking::dial_with(local, 0, secrets)
    }

    /// The same with the cluster's previous pre-shared key, for a new connection to a peer that did not answer `self`; `None` if it
    /// answered or there is no other key.
    pub fn again(&self, secrets: RunSecrets) -> Option<Handshaking> {
        let next = self.cluster + 1;
        (self.is_unanswered() && next < self.local.clusters.len()).then(|| self.with_cluster(next, secrets))
    }

    /// The same with the same key, for a new connection to a peer that let go of the last one.
    #[must_use]
    pub fn anew(&self, secrets: RunSecrets) -> Handshaking {
        self.with_cluster(self.cluster, secrets)
    }

    fn with_cluster(&self, cluster: usize, secrets: RunSecrets) -> Handshaking {
        Handshaking::dial_with(self.local.clone(), cluster, secrets).judging(self.gate.clone())
    }

    /// The side that dialled has no answer yet.
    pub fn is_unanswered(&self) -> bool {
        matches!(self.state, State::HelloSent { .. })
    }

    /// How far the handshake is.
    pub fn stage(&self) -> HandshakeStage {
        match self.state {
            State::Listening { .. } => HandshakeStage::None,
            State::HelloSent { .. } => HandshakeStage::HelloSent,
            State::AckSent { .. } if self.has_outgoing() => HandshakeStage::HelloReceived,
            State::AckSent { .. } => HandshakeStage::AckSent,
            State::FinishReady { .. } | State::AwaitingWelcome { .. } => HandshakeStage::AckReceived,
            State::Over => HandshakeStage::Finished,
        }
    }

    /// Whom the side that dialled has reached, proven, while it waits to be let in.
    pub fn met(&self) -> Option<PeerId> {
        if let State::AwaitingWelcome { peer, .. } = &self.state { Some(peer.id) } else { None }
    }

    fn dial_with(local: Arc<LocalParty>, cluster: usize, secrets: RunSecrets) -> Handshaking {
        let mut groups: Vec<Group> = local.suites.iter().map(|suite| suite.group).collect();
        groups.sort_unstable();
        groups.dedup();
        let offer = Offer::new(&groups, &secrets.kex);
        let share = |group: Group| offer.share(group).map(|share| (group.number(), share.to_vec()));
        let mut hello = Hello {
            nonce_a: secrets.nonce,
            version_min: LIVE_MAJOR,
            version_max: LIVE_MAJOR,
            suites: local.suites.iter().map(|s| s.number()).collect(),
            key_shares: groups.into_iter().filter_map(share).collect(),
            rand: secrets.rand,
            psk_id: local.clusters[cluster].id,
            mac1: [0; messages::MAC1_LEN],
        };
        let (transcript, mac1) = local.clusters[cluster].open_transcript(&hello.encode_without_mac());
        hello.mac1 = mac1;
        let out = messages::to_frame(kind::HELLO, hello.encode());
        let state = State::HelloSent { offer: Box::new(offer), transcript };
        Handshaking { local, cluster, gate: Gate::default(), state, nonce: secrets.nonce, out }
    }

    /// Whom the side that dialled will show itself to. Without a gate: to anybody.
    #[must_use]
    pub fn judging(mut self, gate: Gate) -> Handshaking {
        self.gate = gate;
        self
    }

    /// The side that was dialled; it says nothing before a Hello that fits.
    pub fn accept(local: Arc<LocalParty>, secrets: RunSecrets) -> Handshaking {
        let state = State::Listening { kex: Box::new(secrets.kex), rand: secrets.rand };
        Handshaking { local, cluster: 0, gate: Gate::default(), state, nonce: secrets.nonce, out: Vec::new() }
    }

    /// Bytes to send now.
    pub fn outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Whether there are any.
    pub fn has_outgoing(&self) -> bool {
        !self.out.is_empty()
    }

    /// Takes what it understands off the front of `input`. `None` means: send `outgoing`, read more, call again.
    /// An error is final.
    pub fn receive(&mut self, input: &mut BytesMut) -> Result<Option<Box<Established>>, CloseReason> {
        self.advance(input).inspect_err(|_| self.state = State::Over)
    }

    fn advance(&mut self, input: &mut BytesMut) -> Result<Option<Box<Established>>, CloseReason> {
        loop {
            match self.state {
                State::FinishReady { .. } if self.has_outgoing() && input.is_empty() => return Ok(None),
                State::FinishReady { .. } | State::AwaitingWelcome { .. } => return self.on_first_record(input),
                State::Over => return Err(CloseReason::Protocol("bytes after the end of the handshake".into())),
                _ => {}
            }
            let Some(frame) = Framer::new(limits::PREAUTH_FRAME_MAX_BYTES).first(input).map_err(not_a_frame)? else {
                return Ok(None);
            };
            check_version(&input[frame.clone()])?;
            let done = match std::mem::replace(&mut self.state, State::Over) {
                State::HelloSent { offer, transcript } => self.on_hello_ack(&offer, transcript, &input[frame.clone()]).map(|()| None),
                State::Listening { kex, rand } => self.on_hello(&kex, rand, &input[frame.clone()]).map(|()| None),
                State::AckSent { keys, transcript, nonce_a } => {
                    self.on_hello_finish(keys, transcript, nonce_a, &input[frame.clone()]).map(Some)
                }
                State::FinishReady { .. } | State::AwaitingWelcome { .. } | State::Over => Ok(None),
            }?;
            input.advance(frame.end);
            if done.is_some() {
                return Ok(done);
            }
        }
    }

    fn on_hello(&mut self, kex: &KexSecrets, rand: [u8; 32], frame: &[u8]) -> Result<(), CloseReason> {
        let payload = messages::from_frame(kind::HELLO, frame).map_err(malformed)?;
        let hello = Hello::decode(&payload).map_err(malformed)?;
        let clusters = &self.local.clusters;
        let which = clusters.iter().position(|cluster| cluster.id == hello.psk_id);
        self.cluster = which.ok_or_else(|| CloseReason::HandshakeFailed(wrong_psk(&hello.psk_id, &clusters[0].id).into()))?;
        let cluster = &clusters[self.cluster];
        let (mut transcript, mac1) = cluster.open_transcript(messages::without_mac(&payload));
        // Before any curve work: an outsider costs one hash.
        if !ClusterKeys::same_mac1(&mac1, &hello.mac1) {
            return Err(CloseReason::HandshakeFailed(wrong_psk(&hello.psk_id, &cluster.id).into()));
        }
        if hello.version_min > LIVE_MAJOR || hello.version_max < LIVE_MAJOR {
            return Err(CloseReason::BadVersion(format!(
                "the peer speaks {} to {}, this node {LIVE_MAJOR}",
                hello.version_min, hello.version_max
            )));
        }
        let suite = Suite::choose(&self.local.suites, &hello.suites).ok_or_else(|| no_common_suite(&hello.suites, &self.local.suites))?;
        let share = hello.key_shares.get(&suite.group.number()).ok_or_else(bad_share)?;
        let (key_share, shared) = kex::answer(suite.group, share, kex).ok_or_else(bad_share)?;
        let mut ack = HelloAck {
            nonce_a: hello.nonce_a,
            nonce_b: self.nonce,
            version: LIVE_MAJOR,
            suite: suite.number(),
            key_share,
            rand,
            psk_id: cluster.id,
            sealed: Vec::new(),
        };
        transcript.absorb(&ack.encode_without_box());
        let keys = cluster.schedule(suite, &shared, &transcript);
        ack.sealed = keys.seal_identity(Role::Responder, &transcript, self.local.claim.clone(), &self.local.identity);
        transcript.absorb(&ack.sealed);
        self.out = messages::to_frame(kind::HELLO_ACK, ack.encode());
        self.state = State::AckSent { keys, transcript, nonce_a: hello.nonce_a };
        Ok(())
    }

    fn on_hello_ack(&mut self, offer: &Offer, mut transcript: Transcript, frame: &[u8]) -> Result<(), CloseReason> {
        let payload = messages::from_frame(kind::HELLO_ACK, frame).map_err(malformed)?;
        let ack = HelloAck::decode(&payload).map_err(malformed)?;
        if ack.nonce_a != self.nonce {
            return Err(CloseReason::HandshakeFailed("the answer belongs to another handshake".into()));
        }
        let cluster = &self.local.clusters[self.cluster];
        if ack.psk_id != cluster.id {
            return Err(CloseReason::HandshakeFailed(wrong_psk(&ack.psk_id, &cluster.id).into()));
        }
        if ack.version != LIVE_MAJOR {
            return Err(CloseReason::BadVersion(format!("the peer chose {}, this node offered {LIVE_MAJOR}", ack.version)));
        }
        let suite = Suite::from_number(ack.suite)
            .filter(|s| self.local.suites.contains(s))
            .ok_or_else(|| CloseReason::HandshakeFailed(format!("the peer chose suite {:#06x}, which was not offered", ack.suite)))?;
        transcript.absorb(&ack.encode_without_box());
        let shared = offer.complete(suite.group, &ack.key_share).ok_or_else(bad_share)?;
        let keys = cluster.schedule(suite, &shared, &transcript);
        let claim = keys.open_identity(Role::Responder, &transcript, &ack.sealed).map_err(box_failed)?;
        let peer = self.proven(claim)?;
        // Whoever is not trusted does not learn who dialled.
        self.gate.judge(&peer)?;
        transcript.absorb(&ack.sealed);
        let sealed = keys.seal_identity(Role::Initiator, &transcript, self.local.claim.clone(), &self.local.identity);
        transcript.absorb(&sealed);
        let finish = HelloFinish { nonce_a: self.nonce, nonce_b: ack.nonce_b, sealed };
        self.out = messages::to_frame(kind::HELLO_FINISH, finish.encode());
        self.state = State::FinishReady { peer, keys, transcript };
        Ok(())
    }

    fn begin_session(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Over);
        let State::FinishReady { peer, keys, transcript } = state else { return self.state = state };
        let suite = keys.suite();
        let (sealer, opener) = keys.finish(Role::Initiator, &transcript);
        let send = Box::new(SendHalf::new(sealer, Role::Initiator, suite.group));
        self.state = State::AwaitingWelcome { peer, suite, send, recv: Box::new(RecvHalf::new(opener)) };
    }

    fn on_hello_finish(
        &mut self,
        keys: HandshakeKeys,
        mut transcript: Transcript,
        nonce_a: u64,
        frame: &[u8],
    ) -> Result<Box<Established>, CloseReason> {
        let payload = messages::from_frame(kind::HELLO_FINISH, frame).map_err(malformed)?;
        let finish = HelloFinish::decode(&payload).map_err(malformed)?;
        if finish.nonce_a != nonce_a || finish.nonce_b != self.nonce {
            return Err(CloseReason::HandshakeFailed("the last message belongs to another handshake".into()));
        }
        let claim = keys.open_identity(Role::Initiator, &transcript, &finish.sealed).map_err(box_failed)?;
        let peer = self.proven(claim)?;
        transcript.absorb(&finish.sealed);
        let suite = keys.suite();
        let (sealer, opener) = keys.finish(Role::Responder, &transcript);
        let send = SendHalf::new(sealer, Role::Responder, suite.group);
        Ok(Box::new(Established { peer, suite, send, recv: RecvHalf::new(opener), early: Vec::new() }))
    }

    fn on_first_record(&mut self, input: &mut BytesMut) -> Result<Option<Box<Established>>, CloseReason> {
        self.begin_session();
        let State::AwaitingWelcome { peer, suite, send, mut recv } = std::mem::replace(&mut self.state, State::Over) else {
            return Err(CloseReason::Protocol("no record is due yet".into()));
        };
        let mut items = Vec::new();
        if let Progress::KeyUpdate(update) = recv.receive(input, &mut items)? {
            if items.is_empty() {
                return Err(CloseReason::Protocol("the session began with a key update in place of a welcome".into()));
            }
            recv.put_back(update);
        }
        if items.is_empty() {
            self.state = State::AwaitingWelcome { peer, suite, send, recv };
            return Ok(None);
        }
        match items.remove(0) {
            Inbound::Message(Message::Welcome) => Ok(Some(Box::new(Established { peer, suite, send: *send, recv: *recv, early: items }))),
            Inbound::Message(Message::Close { code, detail }) => Err(CloseReason::from_code(code, &detail)),
            other => Err(CloseReason::Protocol(format!("the session began with {other:?} in place of a welcome"))),
        }
    }

    fn proven(&self, claim: Claim) -> Result<PeerInfo, CloseReason> {
        if claim.public_key == self.local.claim.public_key {
            return Err(CloseReason::SelfConnect);
        }
        let id = crate::base::PeerId(claim.public_key);
        let formerly = rotation::prove(&claim.cert, &id)
            .ok_or_else(|| CloseReason::HandshakeFailed("the peer's word for its earlier keys is false".into()))?;
        Ok(PeerInfo { id, node_id: claim.node_id, capabilities: claim.capabilities.into_iter().collect(), formerly })
    }
}

impl std::fmt::Debug for Handshaking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.state {
            State::HelloSent { .. } => "Handshaking(hello sent)",
            State::Listening { .. } => "Handshaking(listening)",
            State::AckSent { .. } => "Handshaking(ack sent)",
            State::FinishReady { .. } => "Handshaking(finish ready)",
            State::AwaitingWelcome { .. } => "Handshaking(awaiting welcome)",
            State::Over => "Handshaking(over)",
        })
    }
}

/// A v1 peer, or anything else that is an envelope of another version, is named before the rest is looked at.
fn check_version(frame: &[u8]) -> Result<(), CloseReason> {
    match envelope::peek_version(frame) {
        Some((LIVE_MAJOR, _)) => Ok(()),
        Some((envelope::V1_MAJOR, minor)) => Err(CloseReason::BadVersion(format!(
            "the peer speaks plaintext protocol 1.{minor}, which is neither authenticated nor encrypted; this node speaks {LIVE_MAJOR}"
        ))),
        Some((major, minor)) => Err(CloseReason::BadVersion(format!("the peer speaks {major}.{minor}, this node {LIVE_MAJOR}"))),
        None => Err(CloseReason::Protocol("the first bytes are no envelope of this protocol".into())),
    }
}

fn no_common_suite(theirs: &[u16], ours: &[Suite]) -> CloseReason {
    let ours: Vec<u16> = ours.iter().map(|suite| suite.number()).collect();
    CloseReason::HandshakeFailed(format!("no common cipher suite: the peer offers {theirs:04x?}, this node has {ours:04x?}"))
}

fn not_a_frame(error: WireError) -> CloseReason {
    match error {
        WireError::TooLarge { got, max } => CloseReason::FrameTooLarge { got, max },
        other => CloseReason::Protocol(format!("handshake frame: {other}")),
    }
}

fn malformed(error: WireError) -> CloseReason {
    CloseReason::HandshakeFailed(format!("malformed message: {error}"))
}

fn bad_share() -> CloseReason {
    CloseReason::HandshakeFailed("unusable ephemeral key".into())
}

fn box_failed(error: BoxError) -> CloseReason {
    CloseReason::HandshakeFailed(match error {
        BoxError::Sealed => "the identity box does not open: a different pre-shared key, or altered bytes".into(),
        BoxError::Malformed => "the identity box holds no identity".into(),
        BoxError::Forged => "the identity is not proven: false signature".into(),
    })
}

fn wrong_psk(theirs: &[u8; 8], ours: &[u8; 8]) -> &'static str {
    match (theirs == &[0; 8], ours == &[0; 8]) {
        (true, false) => "the peer has no pre-shared key, this node has one",
        (false, true) => "the peer has a pre-shared key, this node has none",
        _ => "wrong pre-shared key: the peer's is another one, or bytes were altered",
    }
}
