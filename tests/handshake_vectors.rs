//! Known-answer vectors of the live handshake, records, steps and fresh keys, for whoever writes a second implementation.
//!
//! Every value is computed here from the formulas of PROTOCOL.md, sections 6 and 8, on top of the primitives alone; the machines then
//! have to say the same bytes. `VIXP2P_UPDATE_VECTORS=1 cargo test --test handshake_vectors` writes the file anew.

#[path = "handshake_vectors/derive.rs"]
mod derive;
#[path = "handshake_vectors/known.rs"]
mod known;
#[path = "handshake_vectors/machines.rs"]
mod machines;

use derive::{Case, Inputs};
use serde::Serialize;
use vixp2p::base::config::KeyAgreement;
use vixp2p::crypto::Suite;

/// What the file says about itself.
const ABOUT: &[&str] = &[
    "Vectors of the live protocol (major 2) of vixp2p; PROTOCOL.md has the rules, in sections 2, 3, 6 and 8. Byte strings are lower-case hex.",
    "Each case is one session. inputs: all that goes in. For each side: seed is the Ed25519 private key (RFC 8032), cert the rotation records as they stand in the claim, suites the list in order of preference, nonce and rand its public randomness. ephemeral holds the two key agreements' secrets: x25519 is the X25519 scalar of group 1 (before clamping); xwing has 64 bytes, of which the initiator takes the first 32 as the decapsulation key's seed of group 2 and the responder all as the seed of EncapsulateDerand. The two groups have no secret in common. psk is empty for none.",
    "Nonces are numbers of 64 bits written as 16 hex digits, most significant first; on the wire they are little-endian.",
    "hello, hello_ack, hello_finish: what goes over TCP: length, envelope, payload. responder_box and initiator_box: identity is the plaintext of the box with its padding; claim, signature and fin are its parts.",
    "secrets: base, mac1_key, cluster_tag and psk_id are those of the psk (zeros or empty without one); h1 to h4 the transcript; dh the shared secret of the suite's group; salt = Extract('', psk or zeros); hs, the box keys, the fin keys, master, the traffic secrets and session_id as in the key schedule.",
    "records: in the order they are sent. by is 'i' or 'r', epoch and number name the key and the nonce, secret is the direction's traffic secret in that epoch, key and nonce follow from it; plaintext is the frames, record is what goes over TCP.",
    "The records of a case: the responder's Welcome and data, the initiator's data; the initiator steps (epoch 1) and sends data; then fresh keys: Offer, Answer, Switch, with update_ephemeral as the two sides' secrets, used as in the handshake; then data in both directions under the fresh secrets. fresh: that agreement's dh and the 64 bytes that enter both directions.",
];

#[derive(Serialize)]
struct Document {
    about: &'static [&'static str],
    protocol: u16,
    cases: Vec<Case>,
}

const SUITES: [u16; 4] = [0x0201, 0x0202, 0x0101, 0x0102];

/// The two lists of suites that lead to each suite.
fn lists(suite: u16) -> (Vec<u16>, Vec<u16>) {
    match suite {
        0x0201 => (SUITES.to_vec(), SUITES.to_vec()),
        0x0202 => (SUITES.to_vec(), vec![0x0202, 0x0201, 0x0102, 0x0101]),
        0x0101 => (vec![0x0101, 0x0102], SUITES.to_vec()),
        _ => (SUITES.to_vec(), vec![0x0102]),
    }
}

fn inputs() -> Vec<Inputs> {
    let plain = SUITES.iter().flat_map(|suite| [false, true].map(|psk| (*suite, psk, false)));
    // The last one has a long label, capabilities on both sides and a node that changed its key twice.
    let all = plain.chain([(0x0202, true, true)]);
    all.enumerate()
        .map(|(number, (suite, psk, rich))| {
            let (initiator, responder) = lists(suite);
            Inputs::new(number as u8 + 1, psk, rich, initiator, responder)
        })
        .collect()
}

/// Whether this build has what a case needs: without aws-lc there is no AES, not even to offer.
fn is_computable(inputs: &Inputs) -> bool {
    let built: Vec<u16> = Suite::supported(KeyAgreement::Any).iter().map(|suite| suite.number()).collect();
    inputs.suites().all(|number| built.contains(&number))
}

fn path() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/handshake_v2.json")
}

#[test]
fn the_committed_vectors_are_what_the_protocol_and_the_machines_say() {
    let cases: Vec<Case> = inputs().into_iter().filter(is_computable).map(derive::case).collect();
    if std::env::var_os("VIXP2P_UPDATE_VECTORS").is_some() {
        let document = Document { about: ABOUT, protocol: 2, cases };
        assert_eq!(document.cases.len(), inputs().len(), "the file is made by a build with every suite");
        std::fs::write(path(), serde_json::to_string_pretty(&document).expect("plain data") + "\n").expect("the file can be written");
        return;
    }
    let text = std::fs::read_to_string(path()).expect("the vectors are there");
    let committed: serde_json::Value = serde_json::from_str(&text).expect("the vectors are JSON");
    let committed = committed["cases"].as_array().expect("a list of cases");
    assert_eq!(committed.len(), inputs().len());
    for case in cases {
        let ours = serde_json::to_value(&case).expect("plain data");
        let theirs = committed.iter().find(|theirs| theirs["name"] == ours["name"]).expect("a case of that name");
        for (key, value) in ours.as_object().expect("a case is an object") {
            assert_eq!(&theirs[key], value, "{}, {key}", case.name);
        }
    }
    assert!(text.len() < 200_000, "{} bytes", text.len());
}

#[test]
fn the_cases_cover_every_suite_with_and_without_a_pre_shared_key() {
    let text = include_str!("vectors/handshake_v2.json");
    let committed: serde_json::Value = serde_json::from_str(text).expect("the vectors are JSON");
    let cases = committed["cases"].as_array().expect("a list of cases");
    let told = |case: &serde_json::Value| (case["suite"].clone(), case["inputs"]["psk"] != "");
    for suite in SUITES {
        for psk in [true, false] {
            assert!(cases.iter().any(|case| told(case) == (format!("{suite:#06x}").into(), psk)), "{suite:#06x} psk {psk}");
        }
    }
}
