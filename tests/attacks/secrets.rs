//! What nodes say about themselves never holds a secret: log lines at the lowest level, events, errors, Debug of everything.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL_NOPAD, HEXLOWER};
use vixp2p::base::close::CloseReason;
use vixp2p::base::config::Psk;
use vixp2p::base::invite::Invite;
use vixp2p::base::passphrase::Passphrase;
use vixp2p::base::{Level, TrustPolicy};
use vixp2p::crypto::handshake::ClusterKeys;
use vixp2p::crypto::kex::{self, Group, Offer};
use vixp2p::crypto::record::{Opener, Sealer};
use vixp2p::crypto::{Identity, Secret, Suite, keyfile, schedule};
use vixp2p::session::{Handshaking, LocalParty, RunSecrets};
use vixp2p::{Config, Event, Node};

use crate::common::proxy::{Fate, Proxy};
use crate::common::{Peer, config, eventually};
use crate::support::*;

/// Everything that was said, and what must not be in it.
struct Ear {
    heard: Mutex<Vec<String>>,
    needles: Vec<(String, String)>,
}

impl Ear {
    fn for_secrets(secrets: &[(&str, &[u8])]) -> Arc<Ear> {
        let mut needles = Vec::new();
        for (name, secret) in secrets {
            let mut add = |form: &str, text: String| needles.push((format!("{name} as {form}"), text));
            // Eight bytes anywhere are a leak; the encodings that go by threes and fives are searched from each of their cuts.
            for part in secret.windows(8) {
                add("hex", HEXLOWER.encode(part));
                add("a list", format!("{part:?}").trim_matches(['[', ']']).to_owned());
                add("a list of hex", format!("{part:02x?}").trim_matches(['[', ']']).to_owned());
            }
            for part in secret.windows(9) {
                add("base64", BASE64.encode(part));
                add("base64 for URLs", BASE64URL_NOPAD.encode(part));
            }
            secret.windows(10).for_each(|part| add("base32", BASE32_NOPAD.encode(part).to_lowercase()));
            add("text", String::from_utf8_lossy(secret).into_owned());
        }
        Arc::new(Ear { heard: Mutex::new(Vec::new()), needles })
    }

    fn hears(&self, text: impl Into<String>) {
        self.heard.lock().expect("heard").push(text.into());
    }

    fn hears_debug(&self, value: &dyn Debug) {
        self.hears(format!("{value:?}"));
        self.hears(format!("{value:#?}"));
    }

    fn hears_event(&self, event: &Event) {
        self.hears(event.to_string());
        self.hears_debug(event);
        self.hears(serde_json::to_string(event).expect("events have a JSON form"));
    }

    /// Searches once, in small letters too. Returns how many texts there were.
    fn found_nothing(&self) -> usize {
        let heard = self.heard.lock().expect("heard");
        let all = heard.join("\n");
        // A list over many lines is a list as well.
        let small = [all.to_lowercase(), all.replace(['\n', ' '], "").replace(',', ", ")].join("\n");
        for (what, needle) in &self.needles {
            let shown = || heard.iter().find(|text| text.contains(needle.as_str())).cloned().unwrap_or_default();
            assert!(!all.contains(needle.as_str()) && !small.contains(&needle.to_lowercase()), "{what}: {}", shown());
        }
        heard.len()
    }

    fn follows(self: &Arc<Ear>, node: &Node) {
        let ear = self.clone();
        node.on_log(Level::Trace, move |_, line| ear.hears(line));
    }

    /// What the node tells until then.
    fn listens(&self, peer: &mut Peer, what: &str, until: impl Fn(&Event) -> bool) {
        peer.expect(what, |event| {
            self.hears_event(event);
            until(event).then_some(())
        });
    }
}

const SEED: [u8; 32] = *b"the seed of a node's own key, 32";
const PSK_NOW: [u8; 32] = *b"what the cluster shares today 32";
const PSK_BEFORE: [u8; 32] = *b"and what it shared before that 3";
const PASSPHRASE: &[u8] = b"a passphrase that opens the key file";
const WRONG_PASSPHRASE: &[u8] = b"a passphrase that opens nothing";

fn secrets() -> [(&'static str, &'static [u8]); 5] {
    [
        ("the seed", &SEED),
        ("the pre-shared key", &PSK_NOW),
        ("the previous pre-shared key", &PSK_BEFORE),
        ("the passphrase", PASSPHRASE),
        ("the wrong passphrase", WRONG_PASSPHRASE),
    ]
}

fn settings(name: &str, psk: Option<[u8; 32]>, before: Option<[u8; 32]>) -> Config {
    let mut settings = config(name);
    (settings.psk, settings.psk_previous) = (psk.map(Psk::new), before.map(Psk::new));
    settings.trust = Some(TrustPolicy::Tofu);
    settings
}

/// A data directory whose node has the seed above, sealed under the passphrase.
fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("identity.key");
    let passphrase = Passphrase::new(PASSPHRASE.to_vec()).expect("fits");
    let cost = keyfile::Cost::new(32, 1, 1).expect("allowed");
    let seeds = keyfile::SealSeeds { salt: [1; 16], nonce: [2; 24] };
    let identity = Identity::from_seed(&Secret::new(SEED));
    std::fs::write(&path, keyfile::to_sealed(&identity, &passphrase, cost, &seeds).as_bytes()).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
    }
    dir
}

#[test]
fn the_ear_would_hear_a_secret() {
    for text in [
        HEXLOWER.encode(&SEED),
        HEXLOWER.encode(&SEED[3..14]).to_uppercase(),
        BASE64.encode(&SEED),
        BASE32_NOPAD.encode(&SEED).to_lowercase(),
        format!("{SEED:?}"),
        format!("{SEED:#?}"),
        format!("{:x?}", &SEED[..12]),
        String::from_utf8_lossy(&SEED).into_owned(),
    ] {
        let ear = Ear::for_secrets(&secrets());
        ear.hears(text.clone());
        assert!(std::panic::catch_unwind(|| ear.found_nothing()).is_err(), "{text}");
    }
}

#[test]
fn nodes_that_connect_fail_and_rekey_say_nothing_of_their_secrets() {
    let ear = Ear::for_secrets(&secrets());
    let dir = directory();
    let own = |passphrase: &[u8]| {
        let mut own = settings("own", Some(PSK_NOW), Some(PSK_BEFORE));
        own.data_dir = Some(dir.path().to_owned());
        own.key_passphrase = Some(Passphrase::new(passphrase.to_vec()).expect("fits"));
        own
    };
    let refused = Node::open(own(WRONG_PASSPHRASE)).expect_err("the wrong passphrase");
    ear.hears(refused.to_string());
    ear.hears_debug(&refused);
    ear.hears_debug(&own(PASSPHRASE));
    let mut a = Peer::open(own(PASSPHRASE));
    assert_eq!(a.id(), Identity::from_seed(&Secret::new(SEED)).id());
    ear.follows(&a.node);
    a.node.start().expect("starts");

    let start = |name, psk, before| {
        let peer = Peer::open(settings(name, psk, before));
        ear.follows(&peer.node);
        peer.node.start().expect("starts");
        peer
    };
    let connected = |event: &Event| matches!(event, Event::PeerConnected { .. });
    let failed = |event: &Event| matches!(event, Event::ConnectFailed { .. });
    // With the current key, with the previous one, with none, with another.
    let mut members = [start("b", Some(PSK_NOW), None), start("c", Some(PSK_BEFORE), None)];
    for member in &mut members {
        a.node.connect(member.endpoint()).expect("dials");
        ear.listens(&mut a, "connected", connected);
        ear.listens(member, "connected", connected);
        a.send(member.id(), b"text");
        a.node.rekey(member.id()).expect("connected");
        member.node.rekey(a.id()).expect("connected");
        a.append(["record".to_owned()]);
        member.expect_log(a.node.own_log(), 1, 1);
    }
    for mut stranger in [start("d", None, None), start("e", Some([7; 32]), None)] {
        stranger.node.connect(a.endpoint()).expect("dials");
        ear.listens(&mut stranger, "a failure", failed);
        ear.listens(&mut a, "a failure", |event| matches!(event, Event::HandshakeFailed { .. }));
    }
    // A line that alters the answer, and one that alters a record.
    for at in [300, 1_900] {
        let proxy = Proxy::to(&a.endpoint(), move |piece| {
            if !piece.to_server {
                piece.flip(at);
            }
            Fate::Pass
        });
        let mut f = start("f", Some(PSK_NOW), None);
        f.node.connect(proxy.endpoint()).expect("dials");
        ear.listens(&mut f, "an end", |event| failed(event) || matches!(event, Event::PeerDisconnected { .. }));
    }
    a.node.revoke(members[0].id()).expect("a file");
    ear.listens(&mut a, "the end of a link", |event| matches!(event, Event::PeerDisconnected { .. }));
    for snapshot in a.node.peers() {
        ear.hears_debug(&snapshot);
        ear.hears(serde_json::to_string(&snapshot).expect("JSON"));
    }
    ear.hears_debug(&a.node.stats());
    ear.hears_debug(&a.node);
    ear.hears_debug(&a.node.trusted());
    eventually("log lines", || ear.heard.lock().expect("heard").len() > 50);
    drop((a, members));
    assert!(ear.found_nothing() > 50);
}

#[test]
fn nothing_that_holds_a_secret_shows_it_by_debug_or_in_an_error() {
    let ephemeral = ([0x51; 32], *b"sixty-four bytes of ephemeral secret that nobody is to see, ever");
    let mut all = secrets().to_vec();
    all.push(("the ephemeral scalar", b"ephemeral X25519 scalar of a run"));
    all.push(("the ephemeral seed", &ephemeral.1));
    let ear = Ear::for_secrets(&all);
    let run = || RunSecrets {
        kex: kex::KexSecrets {
            x25519: Secret::new(*b"ephemeral X25519 scalar of a run"),
            xwing: Secret::new(ephemeral.1),
            reproducible: true,
        },
        rand: [3; 32],
        nonce: 7,
    };
    let with = Psk::new(PSK_NOW);
    let identity = Arc::new(Identity::from_seed(&Secret::new(SEED)));
    let party = |identity: Arc<Identity>| {
        let party = LocalParty::new(identity, "node", &std::collections::BTreeMap::new(), Some(&with)).expect("small");
        Arc::new(party.with_previous_psk(Some(&Psk::new(PSK_BEFORE))))
    };
    let (ours, theirs) = (party(identity.clone()), party(Arc::new(crate::support::identity(2))));
    let (mut dialler, mut acceptor) = (Handshaking::dial(ours.clone(), run()), Handshaking::accept(theirs, run_secrets(5)));
    ear.hears_debug(&ours);
    ear.hears_debug(&run());
    ear.hears_debug(&dialler);
    give(&mut acceptor, &dialler.outgoing()).expect("a Hello");
    ear.hears_debug(&acceptor);
    give(&mut dialler, &acceptor.outgoing()).expect("a HelloAck");
    ear.hears_debug(&dialler);
    let established = give(&mut acceptor, &dialler.outgoing()).expect("a HelloFinish").expect("established");
    ear.hears_debug(&established);

    let offer = Offer::new(&[Group::X25519, Group::XWing], &run().kex);
    ear.hears_debug(&offer);
    ear.hears_debug(&identity);
    ear.hears_debug(&Secret::new(SEED));
    ear.hears_debug(&Secret::new(ephemeral.1));
    ear.hears_debug(&with);
    ear.hears_debug(&ClusterKeys::new(Some(&with)));
    ear.hears_debug(&Passphrase::new(PASSPHRASE.to_vec()).expect("fits"));
    let suite = Suite::from_number(0x0102).expect("always there");
    ear.hears_debug(&suite.aead(&Secret::new(SEED)));
    let traffic = schedule::extract(&[], &SEED);
    ear.hears_debug(&(Sealer::new(suite, traffic.clone(), [1; 32]), Opener::new(suite, traffic, [1; 32])));
    let invite = Invite::new(identity.id(), vec!["127.0.0.1:9".parse().expect("an endpoint")], Some(with.clone())).expect("fits");
    ear.hears_debug(&invite);
    ear.hears(invite.to_string());
    // Texts that were meant to be secrets and are broken: no error quotes them.
    let text = invite.to_text();
    for broken in [&text[..text.len() - 1], &text[..40]] {
        ear.hears(broken.parse::<Invite>().expect_err("broken").to_string());
    }
    let digits = HEXLOWER.encode(&PSK_NOW);
    for broken in [&digits[..62], &digits[..63], &format!("{digits}zz")] {
        ear.hears(Psk::from_hex(broken).expect_err("broken").to_string());
    }
    let plain = keyfile::to_plain(&identity);
    for broken in [plain.trim_end().trim_end_matches(|c: char| c.is_ascii_hexdigit()), &plain[..plain.len() - 3], &plain[4..]] {
        ear.hears(keyfile::open(broken, None).expect_err("broken").to_string());
    }
    let passphrase = Passphrase::new(PASSPHRASE.to_vec()).expect("fits");
    ear.hears(keyfile::open(&plain, Some(&passphrase)).expect_err("not sealed").to_string());
    for reason in [CloseReason::HandshakeFailed(String::new()), CloseReason::SelfConnect] {
        ear.hears_debug(&reason);
    }
    assert!(ear.found_nothing() > 30);
}
