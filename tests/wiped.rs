//! Memory that held a secret is wiped before it goes back to the allocator.
//!
//! The allocator of this program looks at every block it gets back: none may hold a part of a secret. What lies in a type or behind a
//! pointer in it, and every copy made on the heap on the way, is covered alike; memory that the C library of aws-lc allocates is its own.
#![allow(unsafe_code, reason = "an allocator is unsafe to write, and reading what a block held is what this one is for")]

#[path = "wiped/watch.rs"]
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use vixp2p::base::config::{KeyAgreement, Psk};
use vixp2p::base::invite::Invite;
use vixp2p::base::passphrase::Passphrase;
use vixp2p::crypto::handshake::{ClusterKeys, Role};
use vixp2p::crypto::kex::{self, Group, KexSecrets, Offer};
use vixp2p::crypto::record::{Opener, Sealer};
use vixp2p::crypto::{Identity, Secret, Suite, keyfile, parcel, schedule};
use vixp2p::session::{Handshaking, LocalParty, RunSecrets, key_update};
use vixp2p::wire::Message;
use watch::leaks;

const SEED: [u8; 32] = *b"seed of an identity, 32 bytes...";
const SHARED: [u8; 32] = *b"Our members' own word, 32 bytes.";
const SCALAR: [u8; 32] = *b"an X25519 scalar with 32 bytes..";
const XWING: [u8; 64] = *b"a decapsulation key's seed, 32 Band what else encapsulation want";

fn kex_secrets(reproducible: bool) -> KexSecrets {
    KexSecrets { x25519: Secret::new(SCALAR), xwing: Secret::new(XWING), reproducible }
}

/// Makes a value in a block of its own and gives it back.
fn drops<T>(make: impl FnOnce() -> T) {
    drop(std::hint::black_box(Box::new(make())));
}

/// What the other tests rely on: the watch sees what is left, also behind a pointer, and nothing where nothing is left.
#[test]
fn a_block_that_was_not_wiped_is_seen() {
    assert!(leaks(&[&SEED], || drops(|| SEED)) > 0);
    assert!(leaks(&[&SEED], || drops(|| SEED[3..].to_vec())) > 0);
    assert!(leaks(&[&SEED], || drops(|| Some(Box::new((1u8, SEED))))) > 0);
    let mut grows = SEED.to_vec();
    assert!(leaks(&[&SEED], || grows.reserve_exact(10_000)) > 0, "a vector that moves leaves its old block behind");
    assert_eq!(leaks(&[&SEED], || drops(|| [7u8; 64])), 0);
}

#[test]
fn secrets_keys_and_passphrases_are_wiped() {
    let hex = vixp2p::base::id::hex(&SHARED);
    let (text, long) = (hex.as_bytes(), hex.clone() + "00");
    let wrong = hex.clone() + "zz";
    let watched: [&[u8]; 5] = [&SEED, &SHARED, &SCALAR, &XWING, text];
    let clean = |what: &str, make: &dyn Fn()| assert_eq!(leaks(&watched, make), 0, "{what}");
    clean("Secret<32>", &|| drops(|| Secret::new(SEED)));
    clean("Secret<64>", &|| drops(|| Secret::new(XWING)));
    clean("a clone", &|| drops(|| Secret::new(SEED).clone()));
    clean("Psk", &|| drops(|| Psk::new(SHARED)));
    clean("Psk of a text", &|| drops(|| Psk::from_hex(&hex)));
    clean("Psk of a text that is too long", &|| drops(|| Psk::from_hex(&long).is_err()));
    clean("Psk of a text that is no number", &|| drops(|| Psk::from_hex(&wrong).is_err()));
    clean("Passphrase", &|| drops(|| Passphrase::new(SEED.to_vec())));
    clean("a passphrase that is too long", &|| drops(|| Passphrase::new(SEED.repeat(100)).is_err()));
    clean("KexSecrets", &|| drops(|| kex_secrets(true)));
    clean("RunSecrets", &|| drops(|| RunSecrets { kex: kex_secrets(true), rand: [1; 32], nonce: 1 }));
    clean("ClusterKeys", &|| drops(|| ClusterKeys::new(Some(&Psk::new(SHARED)))));
    clean("Identity", &|| drops(|| Identity::from_seed(&Secret::new(SEED))));
}

#[test]
fn offers_and_answers_are_wiped() {
    for reproducible in [false, true] {
        for groups in [&[Group::X25519][..], &[Group::XWing], &[Group::X25519, Group::XWing]] {
            let found = leaks(&[&SCALAR, &XWING, &XWING[32..]], || drops(|| Offer::new(groups, &kex_secrets(reproducible))));
            assert_eq!(found, 0, "an offer of {groups:?}, reproducible {reproducible}");
        }
        for group in [Group::X25519, Group::XWing] {
            let offer = Offer::new(&[group], &kex_secrets(reproducible));
            let share = offer.share(group).expect("offered").to_vec();
            let answer = || kex::answer(group, &share, &kex_secrets(reproducible)).expect("honest");
            assert_eq!(leaks(&[&SCALAR, &XWING, &XWING[32..]], || drops(answer)), 0, "an answer of {group:?}");
            let (reply, shared) = answer();
            let shared = *shared.expose();
            assert_eq!(leaks(&[&shared, &SCALAR, &XWING], || drops(|| offer.complete(group, &reply))), 0, "{group:?}");
        }
    }
}

#[test]
fn what_parcels_are_agreed_with_is_wiped() {
    let (from, to) = (Identity::from_seed(&Secret::new([1; 32])), Identity::from_seed(&Secret::new(SEED)));
    // The recipient's key in its X25519 form.
    let scalar = ed25519_dalek::SigningKey::from_bytes(&SEED).to_scalar_bytes();
    let watched: [&[u8]; 4] = [&SEED, &SCALAR, &SHARED, &scalar];
    let psk = Psk::new(SHARED);
    let seal = || parcel::seal(&from, &to.id(), &ClusterKeys::new(Some(&psk)), &Secret::new(SCALAR), b"", b"hello").expect("a key");
    assert_eq!(leaks(&watched, || drops(seal)), 0);
    let sealed = seal();
    let open = || parcel::open(&to, &from.id(), &[ClusterKeys::new(Some(&psk))], b"", &sealed.bytes).expect("right");
    assert_eq!(leaks(&watched, || drops(open)), 0);
}

#[test]
fn an_invite_and_its_text_are_wiped() {
    let peer = Identity::from_seed(&Secret::new(SEED)).id();
    let make = || Invite::new(peer, vec!["127.0.0.1:9".parse().expect("an endpoint")], Some(Psk::new(SHARED))).expect("fits");
    let text = make().to_text();
    // The secret's digits in the text are the same in every such invite: the part behind the public key.
    let digits = text.as_bytes()[70..100].to_vec();
    assert_eq!(leaks(&[&SHARED], || drops(make)), 0);
    assert_eq!(leaks(&[&SHARED, &digits], || drops(|| make().to_text())), 0);
    assert_eq!(leaks(&[&SHARED], || drops(|| text.parse::<Invite>())), 0);
}

#[test]
fn key_files_are_wiped_open_and_sealed() {
    let identity = Identity::from_seed(&Secret::new(SEED));
    let digits = vixp2p::base::id::hex(&SEED);
    let (passphrase, cost) = (Passphrase::new(SHARED.to_vec()).expect("fits"), keyfile::Cost::new(32, 1, 1).expect("allowed"));
    let seeds = keyfile::SealSeeds { salt: [1; 16], nonce: [2; 24] };
    let (plain, sealed) = (keyfile::to_plain(&identity), keyfile::to_sealed(&identity, &passphrase, cost, &seeds));
    let watched: [&[u8]; 3] = [&SEED, digits.as_bytes(), &SHARED];
    assert_eq!(leaks(&watched, || drops(|| keyfile::to_plain(&identity))), 0, "written open");
    assert_eq!(leaks(&watched, || drops(|| keyfile::to_sealed(&identity, &passphrase, cost, &seeds))), 0, "written sealed");
    assert_eq!(leaks(&watched, || drops(|| keyfile::open(&plain, None))), 0, "read open");
    assert_eq!(leaks(&watched, || drops(|| keyfile::open(&sealed, Some(&passphrase)))), 0, "read sealed");
    let wrong = Passphrase::new(b"wrong".to_vec()).expect("fits");
    assert_eq!(leaks(&watched, || drops(|| keyfile::open(&sealed, Some(&wrong)).is_err())), 0, "not opened");
}

#[test]
fn directions_of_records_are_wiped_and_so_is_every_key_they_leave_behind() {
    for suite in Suite::supported(KeyAgreement::Any) {
        let start = schedule::extract(&[], &SEED);
        let next: Secret<64> = schedule::expand(&start, "next", &[]);
        let fresh = Secret::new(XWING);
        let renewed = schedule::extract(schedule::expand::<64>(&next, "next", &[]).expose(), fresh.expose());
        let keys = [&start, &next, &renewed].map(|secret| *schedule::expand::<32>(secret, "key", &[]).expose());
        let mut watched: Vec<&[u8]> = vec![start.expose(), next.expose(), renewed.expose(), &XWING];
        watched.extend(keys.iter().map(<[u8; 32]>::as_slice));
        let work = || {
            let mut sealer = Box::new(Sealer::new(suite, start.clone(), [9; 32]));
            let mut opener = Box::new(Opener::new(suite, start.clone(), [9; 32]));
            for round in 0..3 {
                let mut record = vec![0; 20];
                let tag = sealer.seal(&mut record);
                record.extend_from_slice(&tag);
                assert!(opener.open(&mut record).is_ok(), "round {round}");
                match round {
                    0 => sealer.step(None),
                    1 => {
                        sealer.step(Some(&fresh));
                        opener.step(&fresh);
                    }
                    _ => {}
                }
            }
        };
        assert_eq!(leaks(&watched, work), 0, "{suite}");
    }
}

fn party(seed: [u8; 32]) -> Arc<LocalParty> {
    let identity = Arc::new(Identity::from_seed(&Secret::new(seed)));
    let party = LocalParty::new(identity, "node", &BTreeMap::new(), Some(&Psk::new(SHARED))).expect("small claim");
    Arc::new(party)
}

#[test]
fn a_whole_session_leaves_no_secret_behind() {
    let run = |reproducible| RunSecrets { kex: kex_secrets(reproducible), rand: [1; 32], nonce: 1 };
    let theirs = || RunSecrets {
        kex: KexSecrets { x25519: Secret::new([9; 32]), xwing: Secret::new([9; 64]), reproducible: true },
        rand: [2; 32],
        nonce: 2,
    };
    let session = |reproducible: bool, until: usize| {
        let (a, b) = (party(SEED), party([8; 32]));
        let (mut dialler, mut acceptor) = (Handshaking::dial(a, run(reproducible)), Handshaking::accept(b, theirs()));
        let hello = dialler.outgoing();
        // Left alone in each state, for a handshake may end at any time.
        if until == 0 {
            return;
        }
        acceptor.receive(&mut BytesMut::from(&hello[..])).expect("a Hello");
        let mut ack = acceptor.outgoing();
        if until == 1 {
            *ack.last_mut().expect("a tag") ^= 1;
            assert!(dialler.receive(&mut BytesMut::from(&ack[..])).is_err());
            return;
        }
        dialler.receive(&mut BytesMut::from(&ack[..])).expect("a HelloAck");
        let mut responder = acceptor.receive(&mut BytesMut::from(&dialler.outgoing()[..])).expect("a HelloFinish").expect("done");
        if until == 2 {
            return;
        }
        responder.send.push(&Message::Welcome);
        let mut bytes = Vec::new();
        responder.send.take(&mut bytes);
        let mut initiator = dialler.receive(&mut BytesMut::from(&bytes[..])).expect("a Welcome").expect("done");
        key_update::renew(&mut initiator.send, &kex_secrets(reproducible));
        initiator.send.step(None);
        initiator.send.take(&mut bytes);
    };
    let of_psk = schedule::extract(b"vixp2p psk", &SHARED);
    let mac1: Secret<64> = schedule::expand(&of_psk, "mac1", &[]);
    let salt = schedule::extract(&[], &SHARED);
    let watched: [&[u8]; 8] = [&SEED, &SHARED, &SCALAR, &XWING, &XWING[32..], of_psk.expose(), mac1.expose(), salt.expose()];
    for reproducible in [false, true] {
        for until in 0..4 {
            assert_eq!(leaks(&watched, || session(reproducible, until)), 0, "up to {until}, reproducible {reproducible}");
        }
    }
}

#[test]
fn the_secrets_of_a_handshake_and_of_its_traffic_are_wiped() {
    let suite = Suite::from_number(0x0102).expect("always there");
    let (cluster, dh) = (ClusterKeys::new(Some(&Psk::new(SHARED))), Secret::new(SEED));
    let hs = schedule::extract(schedule::extract(&[], &SHARED).expose(), dh.expose());
    let (transcript, _) = cluster.open_transcript(b"a Hello");
    let h1 = {
        let tag: Secret<32> = schedule::expand(&schedule::extract(b"vixp2p psk", &SHARED), "tag", &[]);
        schedule::hash(&[b"vixp2p handshake v2", tag.expose(), b"a Hello"])
    };
    let master: Secret<64> = schedule::expand(&hs, "master", &h1);
    let i2r: Secret<64> = schedule::expand(&master, "initiator to responder", &[]);
    let key: Secret<32> = schedule::expand(&i2r, "key", &[]);
    let box_key: Secret<32> = schedule::expand(&hs, "responder box", &h1);
    let fin_key: Secret<64> = schedule::expand(&hs, "responder fin", &h1);
    let watched: [&[u8]; 7] = [hs.expose(), master.expose(), i2r.expose(), key.expose(), box_key.expose(), fin_key.expose(), &SEED];
    let identity = Identity::from_seed(&Secret::new([8; 32]));
    let claim = || vixp2p::wire::handshake::Claim {
        public_key: identity.id().0,
        node_id: "node".into(),
        capabilities: BTreeMap::new(),
        cert: Vec::new(),
    };
    let found = leaks(&watched, || {
        // Not in a box: to finish moves them, and a block that something was moved out of keeps its bytes.
        let keys = cluster.schedule(suite, &dh, &transcript);
        let sealed = keys.seal_identity(Role::Responder, &transcript, claim(), &identity);
        assert!(keys.open_identity(Role::Responder, &transcript, &sealed).is_ok());
        let mut halves = Box::new(keys.finish(Role::Initiator, &transcript));
        halves.0.seal(&mut [0; 20]);
    });
    assert_eq!(found, 0);
}
