//! One session computed from its inputs by PROTOCOL.md, and the machines held to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use vixp2p::base::config::Psk;
use vixp2p::base::id::hex;
use vixp2p::crypto::kex::{self, Group, KexSecrets, Offer};
use vixp2p::crypto::rotation::sign;
use vixp2p::crypto::schedule::{expand, extract, hash, mac};
use vixp2p::crypto::{Identity, Secret, Suite};
use vixp2p::session::{LocalParty, RunSecrets, key_update};
use vixp2p::wire::Rotation;
use vixp2p::wire::handshake::{Claim, Hello, HelloAck, HelloFinish, Identity as Plain, kind, to_frame};

use crate::machines::Machines;

#[derive(Serialize, Clone)]
pub(super) struct Ephemeral {
    x25519: String,
    xwing: String,
    #[serde(skip)]
    bytes: ([u8; 32], [u8; 64]),
}

impl Ephemeral {
    fn new(rng: &mut fastrand::Rng) -> Ephemeral {
        let mut bytes = ([0; 32], [0; 64]);
        rng.fill(&mut bytes.0);
        rng.fill(&mut bytes.1);
        Ephemeral { x25519: hex(&bytes.0), xwing: hex(&bytes.1), bytes }
    }

    pub(super) fn secrets(&self) -> KexSecrets {
        KexSecrets { x25519: Secret::new(self.bytes.0), xwing: Secret::new(self.bytes.1), reproducible: true }
    }
}

#[derive(Serialize, Clone)]
pub(super) struct Side {
    seed: String,
    public_key: String,
    pub(super) node_id: String,
    capabilities: BTreeMap<String, String>,
    cert: String,
    suites: Vec<String>,
    nonce: String,
    rand: String,
    ephemeral: Ephemeral,
    pub(super) update_ephemeral: Ephemeral,
    #[serde(skip)]
    numbers: Vec<u16>,
    #[serde(skip)]
    own_seed: [u8; 32],
    #[serde(skip)]
    pub(super) records: Vec<Rotation>,
    #[serde(skip)]
    nonce_value: u64,
    #[serde(skip)]
    rand_bytes: [u8; 32],
}

impl Side {
    fn new(rng: &mut fastrand::Rng, node_id: &str, capabilities: &[(&str, &str)], earlier: usize, numbers: Vec<u16>) -> Side {
        let mut seed = || {
            let mut seed = [0; 32];
            rng.fill(&mut seed);
            seed
        };
        let keys: Vec<[u8; 32]> = (0..=earlier).map(|_| seed()).collect();
        let identity = |seed: &[u8; 32]| Identity::from_seed(&Secret::new(*seed));
        let pairs = keys.iter().zip(&keys[1..]).enumerate();
        let records: Vec<Rotation> =
            pairs.map(|(at, (old, new))| sign(&identity(old), &identity(new).id(), 1_700_000_000 + at as u64)).collect();
        let own_seed = keys[earlier];
        let rand_bytes = seed();
        let nonce_value = rng.u64(..);
        let text = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Side {
            seed: hex(&own_seed),
            public_key: hex(&identity(&own_seed).id().0),
            node_id: node_id.to_owned(),
            capabilities: capabilities.iter().map(text).collect(),
            cert: hex(&Rotation::encode_all(&records)),
            suites: numbers.iter().map(|number| format!("{number:#06x}")).collect(),
            nonce: format!("{nonce_value:016x}"),
            rand: hex(&rand_bytes),
            ephemeral: Ephemeral::new(rng),
            update_ephemeral: Ephemeral::new(rng),
            numbers,
            own_seed,
            records,
            nonce_value,
            rand_bytes,
        }
    }

    pub(super) fn identity(&self) -> Identity {
        Identity::from_seed(&Secret::new(self.own_seed))
    }

    fn claim(&self) -> Claim {
        Claim {
            public_key: self.identity().id().0,
            node_id: self.node_id.clone(),
            capabilities: self.capabilities.clone(),
            cert: Rotation::encode_all(&self.records),
        }
    }

    pub(super) fn party(&self, psk: Option<&Psk>) -> Arc<LocalParty> {
        let suites = self.numbers.iter().map(|number| Suite::from_number(*number).expect("built in")).collect();
        let party = LocalParty::new(Arc::new(self.identity()), &self.node_id, &self.capabilities, psk).expect("small claim");
        Arc::new(party.with_rotations(&self.records).expect("fits").with_suites(suites))
    }

    pub(super) fn run(&self) -> RunSecrets {
        RunSecrets { kex: self.ephemeral.secrets(), rand: self.rand_bytes, nonce: self.nonce_value }
    }
}

#[derive(Serialize, Clone)]
pub(super) struct Inputs {
    psk: String,
    pub(super) initiator: Side,
    pub(super) responder: Side,
    #[serde(skip)]
    psk_bytes: Option<[u8; 32]>,
}

impl Inputs {
    pub(super) fn new(number: u8, psk: bool, rich: bool, initiator: Vec<u16>, responder: Vec<u16>) -> Inputs {
        let mut rng = fastrand::Rng::with_seed(u64::from(number));
        let mut bytes = [0; 32];
        rng.fill(&mut bytes);
        let psk_bytes = psk.then_some(bytes);
        let (proto, more) = ([("proto", "2")], [("", "empty key"), ("proto", "2"), ("région", "é"), ("z", "")]);
        let long = "a label of some length, in UTF-8: naïve";
        let (name, capabilities, keys) = if rich { (long, &more[..], (2, 1)) } else { ("node-a", &proto[..], (0, 0)) };
        Inputs {
            psk: psk_bytes.map_or(String::new(), |psk| hex(&psk)),
            initiator: Side::new(&mut rng, name, capabilities, keys.0, initiator),
            responder: Side::new(&mut rng, "node-b", if rich { &proto } else { &[] }, keys.1, responder),
            psk_bytes,
        }
    }

    pub(super) fn suites(&self) -> impl Iterator<Item = u16> {
        self.initiator.numbers.iter().chain(&self.responder.numbers).copied()
    }
}

#[derive(Serialize)]
pub(super) struct Boxed {
    claim: String,
    signature: String,
    fin: String,
    identity: String,
}

#[derive(Serialize)]
pub(super) struct Secrets {
    base: String,
    cluster_tag: String,
    psk_id: String,
    mac1_key: String,
    h1: String,
    h2: String,
    h3: String,
    h4: String,
    dh: String,
    salt: String,
    hs: String,
    k_r: String,
    m_r: String,
    k_i: String,
    m_i: String,
    master: String,
    s_i2r: String,
    s_r2i: String,
    session_id: String,
}

#[derive(Serialize)]
pub(super) struct Record {
    by: char,
    what: &'static str,
    epoch: u8,
    number: u64,
    secret: String,
    key: String,
    nonce: String,
    plaintext: String,
    record: String,
}

#[derive(Serialize)]
pub(super) struct Fresh {
    dh: String,
    fresh: String,
}

/// A session: what goes in, what is said, what is derived.
#[derive(Serialize)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) suite: String,
    inputs: Inputs,
    hello: String,
    hello_ack: String,
    hello_finish: String,
    responder_box: Boxed,
    initiator_box: Boxed,
    secrets: Secrets,
    records: Vec<Record>,
    fresh: Fresh,
}

/// The sealed identity of one side, by the formulas.
fn seal(suite: Suite, role: &str, side: &Side, hs: &Secret<64>, h2: &[u8; 64], transcript: &[u8; 64]) -> (Boxed, Vec<u8>) {
    let claim = side.claim();
    let text = [format!("vixp2p sig {role}\0").as_bytes(), &hash(&[transcript, &claim.encode()])].concat();
    let signature = side.identity().sign(&text);
    let signed = [&claim.encode()[..], &signature].concat();
    let fin = mac(&expand(hs, &format!("{role} fin"), h2), &hash(&[transcript, &signed]));
    let encoded = claim.encode();
    let plain = Plain { claim, signature, fin }.encode();
    let mut sealed = plain.clone();
    let tag = suite.aead(&expand(hs, &format!("{role} box"), h2)).seal([0; 12], transcript, &mut sealed);
    sealed.extend_from_slice(&tag);
    let shown = Boxed { claim: hex(&encoded), signature: hex(&signature), fin: hex(&fin), identity: hex(&plain) };
    (shown, sealed)
}

/// One direction of records, by the formulas.
struct Direction {
    by: char,
    suite: Suite,
    session: [u8; 32],
    secret: Secret<64>,
    epoch: u8,
    number: u64,
}

impl Direction {
    fn step(&mut self, fresh: Option<&Secret<64>>) {
        let next: Secret<64> = expand(&self.secret, "next", &[]);
        self.secret = fresh.map_or_else(|| next.clone(), |fresh| extract(next.expose(), fresh.expose()));
        (self.epoch, self.number) = (self.epoch + 1, 0);
    }

    fn record(&mut self, what: &'static str, kind: u8, body: &[u8]) -> (Record, Vec<u8>) {
        let mut plain = Vec::new();
        vixp2p::wire::cursor::encode_varint(body.len() as u64 + 1, &mut plain);
        plain.push(kind);
        plain.extend_from_slice(body);
        let key: Secret<32> = expand(&self.secret, "key", &[]);
        let nonce: [u8; 12] = [&[0; 4][..], &self.number.to_le_bytes()].concat().try_into().expect("12 bytes");
        let header = [&(plain.len() as u32 + 16).to_le_bytes()[..], &[self.epoch, 0, 0, 0]].concat();
        let mut sealed = plain.clone();
        let tag = self.suite.aead(&key).seal(nonce, &[&header[..], &self.session].concat(), &mut sealed);
        let record = [&header[..], &sealed, &tag].concat();
        let shown = Record {
            by: self.by,
            what,
            epoch: self.epoch,
            number: self.number,
            secret: hex(self.secret.expose()),
            key: hex(key.expose()),
            nonce: hex(&nonce),
            plaintext: hex(&plain),
            record: hex(&record),
        };
        self.number += 1;
        (shown, record)
    }
}

/// What the pre-shared key, if there is one, contributes.
struct Cluster {
    psk: Option<Psk>,
    base: Option<Secret<64>>,
    tag: [u8; 32],
    id: [u8; 8],
    mac1_key: Option<Secret<64>>,
}

impl Cluster {
    fn new(psk: Option<[u8; 32]>) -> Cluster {
        let psk = psk.map(Psk::new);
        let base = psk.as_ref().map(|psk| extract(b"vixp2p psk", psk.as_bytes()));
        let tag = base.as_ref().map_or([0; 32], |base| *expand(base, "tag", &[]).expose());
        let id = base.as_ref().map_or([0; 8], |base| *expand(base, "id", &[]).expose());
        let mac1_key = base.as_ref().map(|base| expand(base, "mac1", &[]));
        Cluster { psk, base, tag, id, mac1_key }
    }

    /// The payload with its mac1, and h1.
    fn hello(&self, i: &Side, groups: &[Group], offer: &Offer) -> (Hello, [u8; 64]) {
        let mut hello = Hello {
            nonce_a: i.nonce_value,
            version_min: 2,
            version_max: 2,
            suites: i.numbers.clone(),
            key_shares: groups.iter().map(|group| (group.number(), offer.share(*group).expect("offered").to_vec())).collect(),
            rand: i.rand_bytes,
            psk_id: self.id,
            mac1: [0; 16],
        };
        let h1 = hash(&[b"vixp2p handshake v2", &self.tag, &hello.encode_without_mac()]);
        if let Some(key) = &self.mac1_key {
            hello.mac1.copy_from_slice(&mac(key, &h1)[..16]);
        }
        (hello, h1)
    }
}

/// A handshake by the formulas.
struct Shaken {
    suite: Suite,
    frames: [Vec<u8>; 3],
    boxes: [Boxed; 2],
    secrets: Secrets,
    directions: [Direction; 2],
}

fn shake(i: &Side, r: &Side, cluster: &Cluster) -> Shaken {
    let preferred: Vec<Suite> = r.numbers.iter().map(|number| Suite::from_number(*number).expect("built in")).collect();
    let suite = Suite::choose(&preferred, &i.numbers).expect("one in common");
    let is_offered = |group: &Group| i.numbers.iter().any(|number| number >> 8 == u16::from(group.number()));
    let groups: Vec<Group> = [Group::X25519, Group::XWing].into_iter().filter(is_offered).collect();
    let offer = Offer::new(&groups, &i.ephemeral.secrets());
    let (hello, h1) = cluster.hello(i, &groups, &offer);

    let share = offer.share(suite.group).expect("offered");
    let (key_share, dh) = kex::answer(suite.group, share, &r.ephemeral.secrets()).expect("honest");
    let (nonce_a, nonce_b) = (i.nonce_value, r.nonce_value);
    let (psk_id, rand, sealed) = (cluster.id, r.rand_bytes, Vec::new());
    let mut ack = HelloAck { nonce_a, nonce_b, version: 2, suite: suite.number(), key_share, rand, psk_id, sealed };
    let h2 = hash(&[&h1, &ack.encode_without_box()]);
    let salt = extract(&[], cluster.psk.as_ref().map_or(&[0; 32], |psk| psk.as_bytes()));
    let hs = extract(salt.expose(), dh.expose());
    let (responder_box, box_b) = seal(suite, "responder", r, &hs, &h2, &h2);
    ack.sealed.clone_from(&box_b);
    let h3 = hash(&[&h2, &box_b]);
    let (initiator_box, box_a) = seal(suite, "initiator", i, &hs, &h2, &h3);
    let finish = HelloFinish { nonce_a, nonce_b, sealed: box_a.clone() };
    let h4 = hash(&[&h3, &box_a]);

    let master: Secret<64> = expand(&hs, "master", &h4);
    let session = *expand::<32>(&master, "session id", &[]).expose();
    let directions = [('i', "initiator to responder"), ('r', "responder to initiator")].map(|(by, label)| Direction {
        by,
        suite,
        session,
        secret: expand(&master, label, &[]),
        epoch: 0,
        number: 0,
    });
    let key = |label: &str| hex(expand::<32>(&hs, label, &h2).expose());
    let mac_key = |label: &str| hex(expand::<64>(&hs, label, &h2).expose());
    let or_empty = |secret: &Option<Secret<64>>| secret.as_ref().map_or(String::new(), |secret| hex(secret.expose()));
    let secrets = Secrets {
        base: or_empty(&cluster.base),
        cluster_tag: hex(&cluster.tag),
        psk_id: hex(&cluster.id),
        mac1_key: or_empty(&cluster.mac1_key),
        h1: hex(&h1),
        h2: hex(&h2),
        h3: hex(&h3),
        h4: hex(&h4),
        dh: hex(dh.expose()),
        salt: hex(salt.expose()),
        hs: hex(hs.expose()),
        k_r: key("responder box"),
        m_r: mac_key("responder fin"),
        k_i: key("initiator box"),
        m_i: mac_key("initiator fin"),
        master: hex(master.expose()),
        s_i2r: hex(directions[0].secret.expose()),
        s_r2i: hex(directions[1].secret.expose()),
        session_id: hex(&session),
    };
    let said = [(kind::HELLO, hello.encode()), (kind::HELLO_ACK, ack.encode()), (kind::HELLO_FINISH, finish.encode())];
    let frames = said.map(|(kind, payload)| to_frame(kind, payload));
    Shaken { suite, frames, boxes: [responder_box, initiator_box], secrets, directions }
}

/// The body of a KeyUpdate.
fn step(number: u8, share: &[u8]) -> Vec<u8> {
    let mut body = vec![number];
    vixp2p::wire::cursor::encode_varint(share.len() as u64, &mut body);
    [&body[..], share].concat()
}

/// The first records of a session, a plain step and fresh keys.
fn converse(inputs: &Inputs, suite: Suite, directions: [Direction; 2], machines: &mut Machines) -> (Vec<Record>, Fresh) {
    let ([mut i2r, mut r2i], mut records) = (directions, Vec::new());
    let mut say = |machines: &mut Machines, direction: &mut Direction, what, kind, body: &[u8]| {
        let (shown, record) = direction.record(what, kind, body);
        machines.says(direction.by, what, &record);
        records.push(shown);
    };
    machines.welcome();
    say(machines, &mut r2i, "Welcome", 6, &[]);
    machines.responder().send.push_data(b"from the responder");
    say(machines, &mut r2i, "data", 32, b"from the responder");
    machines.initiator().send.push_data(b"from the initiator");
    say(machines, &mut i2r, "data", 32, b"from the initiator");
    machines.initiator().send.step(None);
    i2r.step(None);
    machines.initiator().send.push_data(b"after a step");
    say(machines, &mut i2r, "data", 32, b"after a step");

    let (ours, theirs) = (inputs.initiator.update_ephemeral.secrets(), inputs.responder.update_ephemeral.secrets());
    let update = Offer::new(&[suite.group], &ours);
    let offer = update.share(suite.group).expect("offered").to_vec();
    let (answer, dh) = kex::answer(suite.group, &offer, &theirs).expect("honest");
    let fresh: Secret<64> = expand(&extract(b"vixp2p fresh keys", dh.expose()), "fresh", &hash(&[&offer, &answer]));
    key_update::renew(&mut machines.initiator().send, &ours);
    say(machines, &mut i2r, "Offer", 8, &step(1, &offer));
    say(machines, &mut r2i, "Answer", 8, &step(2, &answer));
    r2i.step(Some(&fresh));
    say(machines, &mut i2r, "Switch", 8, &[3]);
    i2r.step(Some(&fresh));
    machines.responder().send.push_data(b"under fresh keys");
    say(machines, &mut r2i, "data", 32, b"under fresh keys");
    machines.initiator().send.push_data(b"under fresh keys");
    say(machines, &mut i2r, "data", 32, b"under fresh keys");
    (records, Fresh { dh: hex(dh.expose()), fresh: hex(fresh.expose()) })
}

/// Computes a case and holds the machines to it.
pub(super) fn case(inputs: Inputs) -> Case {
    let cluster = Cluster::new(inputs.psk_bytes);
    let Shaken { suite, frames, boxes, secrets, directions } = shake(&inputs.initiator, &inputs.responder, &cluster);
    let mut machines = Machines::shake(&inputs, cluster.psk.as_ref(), &frames);
    let (records, fresh) = converse(&inputs, suite, directions, &mut machines);
    let with = if cluster.psk.is_some() { ", pre-shared key" } else { "" };
    let more = if inputs.initiator.records.is_empty() { "" } else { ", capabilities and rotation records" };
    let ([hello, hello_ack, hello_finish], [responder_box, initiator_box]) = (frames.map(|frame| hex(&frame)), boxes);
    Case {
        name: format!("{suite}{with}{more}"),
        suite: format!("{:#06x}", suite.number()),
        inputs,
        hello,
        hello_ack,
        hello_finish,
        responder_box,
        initiator_box,
        secrets,
        records,
        fresh,
    }
}
