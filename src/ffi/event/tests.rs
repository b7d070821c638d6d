//! One vocabulary: every kind of event has the same name, number and members in Rust, JSON, the C header (which C++ uses), the Python
//! package and docs/events.md.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fmt::Write;

use serde_json::Value;

use super::*;
use crate::base::close::Distrust;
use crate::base::route::Undelivered;
use crate::base::{CloseReason, DataBatch, Incarnation, LogRange};
use crate::ffi::event_numbers::*;
use crate::ffi::outbox::vixp2p_event_target;

const HEADER: &str = include_str!("../../../include/vixp2p.h");
const ABI_PY: &str = include_str!("../../../bindings/python/src/vixp2p/_abi.py");
const TYPES_PY: &str = include_str!("../../../bindings/python/src/vixp2p/_types.py");
const PAGE: &str = "docs/events.md";
/// Set to write the table of the page anew.
const UPDATE: &str = "VIXP2P_UPDATE_EVENTS";

/// One of every kind, with every optional member there.
fn samples() -> Vec<Event> {
    let peer = PeerId([0xab; 32]);
    let former = PeerId([0xcd; 32]);
    let log = LogId { origin: peer, incarnation: Incarnation(7) };
    let (node_id, detail) = ("node-b".to_owned(), "what the system said".to_owned());
    let endpoint = Endpoint::tcp("192.0.2.7", 9001);
    let (direction, reason) = (Direction::Outbound, CloseReason::Refused("nobody listens there".into()));
    let (label, place) = (|| node_id.clone(), || endpoint.clone());
    vec![
        Event::Started { port: 9001 },
        Event::Stopped,
        Event::ConnectFailed { endpoint: place(), peer: Some(peer), reason: reason.clone(), retry_in_ms: Some(500) },
        Event::HandshakeFailed { endpoint: place(), direction, reason: CloseReason::Untrusted(Distrust::Told) },
        Event::PeerConnected { peer, node_id: label(), endpoint: place(), direction, connected: 3, trusted: true },
        Event::PeerDisconnected { peer, node_id: label(), endpoint: place(), direction, reason: CloseReason::Stale, connected: 2 },
        Event::FreshKeys { peer },
        Event::Data { peer, batch: DataBatch::new(vec![1, 32].into(), 1) },
        Event::Acked { peer, log, durable: 12, applied: 11 },
        Event::Stored { log, durable: 12 },
        Event::LogDamaged { detail: detail.clone() },
        Event::LogForked { log, seq: 12, detail: detail.clone() },
        Event::ApplyRefused { log, seq: 12, retry_in_ms: 1000 },
        Event::LogFailed { detail: detail.clone() },
        Event::Lost { count: 4 },
        Event::Fatal { detail: detail.clone() },
        Event::PeerPinned { peer, node_id: label(), former: Some(former) },
        Event::IdentityChanged { peer, node_id: label(), former, endpoint: place(), direction },
        Event::TrustChanged { peer, node_id: label(), trusted: true },
        Event::SyncDeclined { peer, node_id: label() },
        Event::AddressBookFaulty { detail: detail.clone() },
        Event::PeerDiscovered { node_id: label(), endpoint: place() },
        Event::PeerNamed { node_id: label(), endpoint: place() },
        Event::RegistryAnswered { count: 5, new_count: 2 },
        Event::RegistryFailed { detail: detail.clone(), retry_in_ms: Some(30_000) },
        Event::ApplyParked { log, seq: 12 },
        Event::ApplyResumed { log, seq: 12, skipped: true },
        Event::OutboxPulled { peer, target: former, max_items: 9 },
        Event::OutboxHeld { peer, target: former, ranges: vec![LogRange { log, first: 1, last: 3 }] },
        Event::PeerStale { peer, node_id: label(), silent_ms: 6000 },
        Event::Delivered { peer, message: 9 },
        Event::Undelivered { peer, message: 9, reason: Undelivered::NoRoute },
        Event::SnapshotMade { bytes: 4096, detail: detail.clone() },
        Event::SnapshotTaken { peer, seq: 12, bytes: 4096, detail: detail.clone() },
        Event::LogTruncated { log, seq: 12 },
        Event::SnapshotNeeded { peer, count: 4 },
        Event::ApplicationBehind { held_ms: 1200, count: 2, peers: vec![peer, former] },
        Event::Ping { peer, direction },
        Event::Pong { peer, direction: Direction::Inbound },
        Event::KnownPeersFaulty { detail },
    ]
}

/// Kinds of the header: number, words of the comment, by name in lower case.
fn kinds() -> BTreeMap<String, (i32, String)> {
    let list = HEADER.split("typedef enum vixp2p_event_kind {").nth(1).and_then(|rest| rest.split('}').next()).expect("the enum");
    let mut comment = String::new();
    let mut kinds = BTreeMap::new();
    for line in list.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("VIXP2P_EVENT_") {
            let (name, number) = rest.trim_end_matches(',').split_once(" = ").expect("a number");
            kinds.insert(name.to_lowercase(), (number.parse().expect("a number"), std::mem::take(&mut comment).trim().to_owned()));
        } else {
            let words = line.trim_start_matches(['/', '*']).trim_end_matches(['/', '*']).trim();
            comment.push_str(words);
            comment.push(' ');
        }
    }
    kinds.remove("none").expect("NONE");
    kinds
}

/// The event's own JSON object; the name it has in C.
fn object(event: &Event) -> (String, BTreeMap<String, Value>) {
    let mut members: BTreeMap<String, Value> = serde_json::from_str(&event.to_json()).expect("JSON");
    let name = members.remove("event").expect("a name").as_str().expect("text").to_owned();
    // C has one number for what is counted.
    if let Some(count) =
        members.remove("max_items").or_else(|| members.remove("ranges").map(|all| all.as_array().map_or(0, Vec::len).into()))
    {
        members.insert("count".into(), count);
    }
    // C takes the messages of a batch one by one.
    (if name == "data" { "message".to_owned() } else { name }, members)
}

#[test]
fn every_kind_of_the_header_has_a_sample_here_and_every_sample_a_kind() {
    let named: BTreeMap<String, i32> = samples().iter().map(|e| (object(e).0, vixp2p_event::lent(e.clone()).kind() as i32)).collect();
    let listed: BTreeMap<String, i32> = kinds().into_iter().map(|(name, (number, _))| (name, number)).collect();
    assert_eq!(named, listed, "left: samples() in src/ffi/event/tests.rs; right: the header");
}

#[test]
fn every_member_of_the_json_is_what_the_accessor_of_c_gives() {
    for event in samples().into_iter().filter(|event| !matches!(event, Event::Data { .. })) {
        let (name, members) = object(&event);
        let (text, lent) = (event.to_string(), vixp2p_event::lent(event));
        let lent = &raw const lent;
        // SAFETY: the event lives through this turn of the loop, and so do the places for results.
        let (read_text, said) = unsafe { (|p| opt_text(p), opt_text(vixp2p_event_text(lent))) };
        assert_eq!(said.as_deref(), Some(text.as_str()));
        assert!(!text.contains('\n') && text.starts_with(|c: char| !c.is_uppercase()), "{text}");
        for (member, value) in &members {
            // SAFETY: as above.
            let got: Value = unsafe {
                match member.as_str() {
                    "target" => hex(|out| vixp2p_event_target(lent, out)),
                    "peer" => hex(|out| vixp2p_event_peer(lent, out)),
                    "former" => hex(|out| vixp2p_event_former(lent, out)),
                    "node_id" => read_text(vixp2p_event_node_id(lent)).into(),
                    "endpoint" => read_text(vixp2p_event_endpoint(lent)).into(),
                    "direction" => ["none", "outbound", "inbound"][vixp2p_event_direction(lent) as usize].into(),
                    "log" => log(lent),
                    "port" => vixp2p_event_port(lent).into(),
                    "connected" => vixp2p_event_connected(lent).into(),
                    "durable" => vixp2p_event_durable(lent).into(),
                    "applied" => vixp2p_event_applied(lent).into(),
                    "seq" => vixp2p_event_seq(lent).into(),
                    "message_number" => vixp2p_event_message_number(lent).into(),
                    "retry_in_ms" => vixp2p_event_retry_in_ms(lent).into(),
                    "count" => vixp2p_event_count(lent).into(),
                    "bytes" => vixp2p_event_bytes(lent).into(),
                    "new_count" => vixp2p_event_new_count(lent).into(),
                    "trusted" => (vixp2p_event_trusted(lent) == 1).into(),
                    "reason" => {
                        let reason = read_text(vixp2p_event_reason(lent)).expect("a reason");
                        let named = value.as_str().map_or_else(|| value.get(&reason).is_some(), |name| name == reason);
                        assert!(named && text.contains(&read_text(vixp2p_event_reason_text(lent)).expect("its text")), "{name}: {value}");
                        continue;
                    }
                    "silent_ms" => {
                        assert!(text.contains("6000 ms"), "{name}: {text}");
                        continue;
                    }
                    "held_ms" | "peers" => {
                        assert!(text.contains("1200 ms") && text.contains("abababab, cdcdcdcd"), "{name}: {text}");
                        continue;
                    }
                    "skipped" => {
                        assert!(text.contains("skip"), "{name}: {text}");
                        continue;
                    }
                    "detail" => {
                        assert!(text.contains(value.as_str().expect("text")), "{name}: {text}");
                        continue;
                    }
                    other => panic!("{name} has the member {other}, which no accessor of C gives"),
                }
            };
            let value = if member == "endpoint" { plain(value) } else { value.clone() };
            assert_eq!(got, value, "{name}.{member}");
        }
    }
}

/// An endpoint's JSON object as the text that C has for it.
fn plain(endpoint: &Value) -> Value {
    let part = |name: &str| endpoint[name].as_str().expect("text").to_owned();
    format!("{}://{}:{}", part("scheme"), part("host"), endpoint["port"]).into()
}

unsafe fn opt_text(text: *const c_char) -> Option<String> {
    // SAFETY: NULL or a text of an event that lives.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_str().expect("UTF-8").to_owned())
}

fn hex(read: impl FnOnce(*mut vixp2p_peer_id) -> vixp2p_status) -> Value {
    let mut out = vixp2p_peer_id { bytes: [0; 32] };
    assert_eq!(read(&raw mut out), VIXP2P_OK);
    PeerId(out.bytes).to_string().into()
}

unsafe fn log(event: *const vixp2p_event) -> Value {
    let mut out = vixp2p_log_id { origin: vixp2p_peer_id { bytes: [0; 32] }, incarnation: 0 };
    // SAFETY: the caller's event lives.
    assert_eq!(unsafe { vixp2p_event_log(event, &raw mut out) }, VIXP2P_OK);
    serde_json::to_value(LogId { origin: PeerId(out.origin.bytes), incarnation: Incarnation(out.incarnation) }).expect("JSON")
}

/// What the header says an event of the kind has.
fn has(comment: &str) -> Vec<&str> {
    let list = comment.split("Has: ").nth(1).unwrap_or_default().split('.').next().unwrap_or_default();
    let names = list.split([',', ';']).map(|part| part.trim().split(' ').next().unwrap_or_default());
    names.filter(|name| !name.is_empty()).collect()
}

/// What C and Python have members for; the rest is in the text.
fn expected(name: &str, members: &BTreeMap<String, Value>) -> Vec<String> {
    if name == "message" {
        return vec!["data".into(), "peer".into()];
    }
    let in_the_text = ["detail", "skipped", "silent_ms", "held_ms", "peers"];
    members.keys().filter(|member| !in_the_text.contains(&member.as_str())).cloned().collect()
}

#[test]
fn the_header_says_what_each_kind_has() {
    let kinds = kinds();
    for event in samples() {
        let (name, members) = object(&event);
        let mut said = has(&kinds[&name].1);
        said.sort_unstable();
        assert_eq!(said, expected(&name, &members), "VIXP2P_EVENT_{}", name.to_uppercase());
    }
}

#[test]
fn the_python_package_has_the_same_kinds_with_the_same_members() {
    let list = TYPES_PY.split("\n_HAS = {\n").nth(1).and_then(|rest| rest.split("\n}").next()).expect("_HAS");
    let link = "\"endpoint\", \"direction\", \"reason\", \"reason_text\"";
    let row = |line: &str| {
        let (name, members) = line.trim().strip_prefix("EventKind.")?.split_once(": ")?;
        let members = members.replace("*_LINK", link).replace("_LINK", link);
        let words = members.split(['(', ')', ',', ' ']).map(|word| word.trim_matches('"').to_owned());
        let mut words: Vec<String> = words.filter(|word| !word.is_empty() && word != "reason_text").collect();
        words.sort();
        Some((name.to_lowercase(), words))
    };
    let python: BTreeMap<String, Vec<String>> = list.lines().filter_map(row).collect();
    for event in samples() {
        let (name, members) = object(&event);
        let number = vixp2p_event::lent(event).kind() as i32;
        let number = if name == "message" { Kind::VIXP2P_EVENT_MESSAGE as i32 } else { number };
        assert!(ABI_PY.contains(&format!("\n    {} = {number}\n", name.to_uppercase())), "EventKind has no {name} = {number}");
        if name != "message" {
            assert_eq!(python.get(&name).cloned().unwrap_or_default(), expected(&name, &members), "_HAS of {name}");
        }
    }
}

/// The table of the page.
fn table() -> String {
    let kinds = kinds();
    let mut rows: Vec<_> = samples().into_iter().map(|event| (kinds[&object(&event).0].0, event)).collect();
    rows.sort_by_key(|(number, _)| *number);
    let mut table = "| number | name | level | meaning | members | as text |\n|---|---|---|---|---|---|\n".to_owned();
    for (number, event) in rows {
        let (name, members) = object(&event);
        let (meaning, members) = (kinds[&name].1.split(" Has: ").next().unwrap_or_default().to_owned(), expected(&name, &members));
        let (level, members) = (event.level(), members.iter().map(|m| format!("`{m}`")).collect::<Vec<_>>().join(", "));
        let _ = writeln!(table, "| {number} | `{name}` | {level} | {meaning} | {members} | {event} |");
    }
    table
}

#[test]
fn the_page_has_a_row_for_every_kind() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(&path).expect("the page");
    let (before, rest) = page.split_once("<!-- table -->\n").expect("the place of the table");
    let (shown, after) = rest.split_once("<!-- end -->").expect("its end");
    let table = table();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, format!("{before}<!-- table -->\n{table}<!-- end -->{after}")).expect("written");
    } else {
        assert_eq!(shown, table, "{PAGE} is out of date: {UPDATE}=1 cargo test ffi::event");
    }
}
