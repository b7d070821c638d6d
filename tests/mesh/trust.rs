//! Who is let in, with whom records are exchanged, and what a change of the table does to links that stand.

use std::sync::Arc;

use vixp2p::base::close::Distrust;
use vixp2p::base::{CloseReason, Endpoint, Event, LinkId, PeerId, TrustEntry, TrustPolicy, TrustState, TrustTable};
use vixp2p::mesh::{Input, Output, PeerInfo};
use vixp2p::wire::Message;
use vixp2p::wire::message::WalAck;

use crate::solo::{Solo, ack, closes, dials, events, group, id, lines, log, nak, push, pushes, sent};

fn entry(n: u8, state: TrustState, label: &str) -> TrustEntry {
    TrustEntry { peer: id(n), state, label: label.into(), added_s: None }
}

fn table(policy: TrustPolicy, generation: u64, entries: &[(u8, TrustState, &str)]) -> Arc<TrustTable> {
    Arc::new(TrustTable::new(policy, generation, entries.iter().map(|(n, state, label)| entry(*n, *state, label))))
}

fn trusting(policy: TrustPolicy, entries: &[(u8, TrustState, &str)]) -> Solo {
    Solo::with(|settings| settings.trust = table(policy, 1, entries), Vec::new())
}

fn change(solo: &mut Solo, policy: TrustPolicy, entries: &[(u8, TrustState, &str)]) -> Vec<Output> {
    let generation = 2 + solo.now.as_millis();
    solo.step(Input::Trust { table: table(policy, generation, entries) })
}

fn reason_of(outputs: &[Output]) -> CloseReason {
    closes(outputs).pop().expect("a close").1
}

fn vector(lines: &[(u8, u64)]) -> Message {
    Message::Vector(lines.iter().map(|(n, durable)| WalAck { log: log(*n), durable: *durable, applied: *durable }).collect())
}

use TrustPolicy::{AllowList, Open, Pinned, Tofu};
use TrustState::{Revoked, Trusted};

#[test]
fn an_inbound_peer_that_is_not_listed_is_refused_before_it_hears_a_welcome() {
    for policy in [Pinned, AllowList] {
        let mut solo = trusting(policy, &[(7, Trusted, "seven")]);
        assert!(closes(&solo.join(7).1).is_empty());
        let (link, seen) = solo.join(8);
        assert!(sent(&seen, link).is_empty());
        assert!(matches!(reason_of(&seen), CloseReason::Untrusted(Distrust::Unlisted { .. })), "{policy}");
        assert!(matches!(&events(&seen)[..], [Event::HandshakeFailed { reason: CloseReason::Untrusted(_), .. }]));
    }
}

#[test]
fn a_dial_carries_its_key_and_whoever_else_answers_is_refused() {
    let mut solo = trusting(Open, &[]);
    let endpoint = Endpoint::tcp("b", 1);
    let seen = solo.step(Input::Connect { endpoint, manual: true, expected: Some(id(7)) });
    assert!(matches!(&seen[..], [Output::Dial { expected: Some(wanted), .. }] if *wanted == id(7)));
    let link = dials(&seen)[0];
    let seen = solo.authenticate(link, 8);
    assert_eq!(reason_of(&seen), CloseReason::Untrusted(Distrust::Unexpected { wanted: id(7), got: id(8) }));
    let again = dials(&solo.wait(20_000));
    assert!(!again.is_empty(), "the right one may come back");
    assert!(closes(&solo.authenticate(again[0], 7)).is_empty());
}

#[test]
fn naming_a_key_leaves_whoever_else_had_answered_there() {
    let mut solo = trusting(Open, &[]);
    let link = dials(&solo.connect("b", true))[0];
    solo.authenticate(link, 8);
    let seen = solo.step(Input::Connect { endpoint: Endpoint::tcp("b", 1), manual: true, expected: Some(id(7)) });
    assert_eq!(reason_of(&seen), CloseReason::Untrusted(Distrust::Unexpected { wanted: id(7), got: id(8) }));
}

#[test]
fn naming_another_key_wakes_a_target_that_rested_because_its_peer_was_connected() {
    let mut solo = trusting(Open, &[]);
    let link = dials(&solo.connect("b", true))[0];
    solo.authenticate(link, 8);
    solo.step(Input::LinkClosed { link, reason: CloseReason::Lost("reset".into()) });
    solo.join(8);
    assert!(dials(&solo.wait(10_000)).is_empty(), "8 is here by another link");
    let seen = solo.step(Input::Connect { endpoint: Endpoint::tcp("b", 1), manual: true, expected: Some(id(7)) });
    assert!(matches!(&seen[..], [Output::Dial { expected: Some(wanted), .. }] if *wanted == id(7)), "{seen:?}");
}

#[test]
fn a_dial_by_key_is_given_up_by_that_key_although_it_never_answered() {
    let mut solo = trusting(Open, &[]);
    let link = dials(&solo.step(Input::Connect { endpoint: Endpoint::tcp("b", 1), manual: true, expected: Some(id(7)) }))[0];
    assert_eq!(closes(&solo.step(Input::Disconnect { peer: id(7) })), [(link, CloseReason::Disconnected)]);
    assert!(dials(&solo.wait(60_000)).is_empty());
}

#[test]
fn a_pinned_node_trusts_the_key_its_dial_named_for_as_long_as_the_link_stands() {
    let mut solo = trusting(Pinned, &[]);
    let link = dials(&solo.step(Input::Connect { endpoint: Endpoint::tcp("b", 1), manual: true, expected: Some(id(7)) }))[0];
    let seen = solo.authenticate(link, 7);
    assert!(matches!(events(&seen)[0], Event::PeerConnected { trusted: true, .. }));
    assert!(closes(&change(&mut solo, Pinned, &[(1, Trusted, "")])).is_empty());
}

#[test]
fn revoking_a_key_closes_its_link_and_keeps_it_out() {
    let mut solo = trusting(Open, &[(7, Trusted, "")]);
    let (link, _) = solo.join(7);
    let (stranger, _) = solo.join(8);
    let seen = change(&mut solo, Open, &[(7, Revoked, ""), (8, Revoked, "")]);
    let closed: Vec<LinkId> = closes(&seen).into_iter().filter(|(_, r)| matches!(r, CloseReason::Revoked(_))).map(|(l, _)| l).collect();
    assert_eq!(closed, [link, stranger]);
    assert!(matches!(reason_of(&solo.join(7).1), CloseReason::Revoked(_)));
}

#[test]
fn an_older_table_changes_nothing() {
    let mut solo = trusting(AllowList, &[(7, Trusted, "")]);
    solo.join(7);
    let seen = solo.step(Input::Trust { table: table(AllowList, 0, &[]) });
    assert!(seen.is_empty());
}

#[test]
fn a_forgotten_key_loses_its_link_also_where_strangers_may_stay() {
    for policy in [Open, Tofu, AllowList] {
        let mut solo = trusting(policy, &[(7, Trusted, "node 7")]);
        let (link, _) = solo.join(7);
        let seen = change(&mut solo, policy, &[]);
        assert!(matches!(&closes(&seen)[..], [(l, CloseReason::Untrusted(_))] if *l == link), "{policy}");
    }
}

#[test]
fn another_key_for_a_pinned_name_is_refused_and_told_by_an_event_of_its_own() {
    let mut solo = trusting(Tofu, &[(7, TrustState::Pinned, "node 8")]);
    let (_, seen) = solo.join(8);
    let told = events(&seen);
    assert!(
        matches!(&told[0], Event::IdentityChanged { peer, former, node_id, .. } if (*peer, *former, node_id.as_str()) == (id(8), id(7), "node 8")),
        "{told:?}"
    );
    assert!(matches!(&told[1], Event::HandshakeFailed { .. }));
}

#[test]
fn a_peer_whose_pin_was_not_written_down_first_is_refused() {
    let mut solo = trusting(Tofu, &[]);
    assert!(matches!(reason_of(&solo.join(7).1), CloseReason::Untrusted(Distrust::Unpinned { .. })));
    change(&mut solo, Tofu, &[(7, TrustState::Pinned, "node 7")]);
    assert!(closes(&solo.join(7).1).is_empty());
}

#[test]
fn a_rotated_key_is_let_in_by_the_table_its_pin_moved_in_and_the_old_one_no_more() {
    let mut solo = trusting(Tofu, &[(7, TrustState::Pinned, "seven")]);
    solo.now = solo.now + std::time::Duration::from_secs(1);
    let info = |n: u8, formerly: Vec<PeerId>| PeerInfo { id: id(n), node_id: "seven".into(), capabilities: Vec::new(), formerly };
    let (old, _) = solo.accept();
    assert!(closes(&solo.step(Input::Authenticated { link: old, peer: info(7, vec![]) })).is_empty());
    let moved = change(&mut solo, Tofu, &[(9, TrustState::Pinned, "seven")]);
    assert!(matches!(&closes(&moved)[..], [(link, CloseReason::Untrusted(_))] if *link == old));
    let (link, _) = solo.accept();
    let seen = solo.step(Input::Authenticated { link, peer: info(9, vec![id(7)]) });
    assert!(closes(&seen).is_empty() && matches!(events(&seen)[..], [Event::PeerConnected { trusted: true, .. }]));
    let (link, _) = solo.accept();
    let seen = solo.step(Input::Authenticated { link, peer: info(7, vec![]) });
    assert!(matches!(reason_of(&seen), CloseReason::Untrusted(Distrust::Changed { .. })));
}

#[test]
fn a_stranger_hears_an_empty_vector_and_nothing_of_the_log() {
    let mut solo = trusting(Open, &[]);
    solo.durable(vec![group(log(5), 1, 2, 10)]);
    let (link, seen) = solo.join(8);
    assert_eq!(lines(&seen)[..2], [format!("{link} -> [welcome]"), format!("{link} -> [vector(0)]")]);
    assert!(matches!(events(&seen)[..], [Event::PeerConnected { trusted: false, .. }]));
    let mut seen = solo.receive(link, vector(&[(8, 3)]));
    seen.extend(solo.durable(vec![group(log(5), 3, 3, 10)]));
    seen.extend(solo.wait(3_000));
    assert!(sent(&seen, link).is_empty() && events(&seen).iter().all(|e| !matches!(e, Event::Acked { .. })), "{seen:?}");
    assert!(solo.mesh.peers(solo.now).iter().all(|peer| !peer.trusted));
}

#[test]
fn a_stranger_that_pushes_or_acknowledges_breaks_the_protocol() {
    for message in [push(&group(log(8), 1, 1, 10)), ack(log(5), 1, 1), nak(log(5), 0)] {
        let mut solo = trusting(Open, &[]);
        let (link, _) = solo.join(8);
        solo.receive(link, vector(&[(8, 1)]));
        let seen = solo.receive(link, message);
        assert!(matches!(reason_of(&seen), CloseReason::Protocol(why) if why.contains("holds off")));
    }
}

#[test]
fn a_stranger_that_becomes_trusted_gets_the_vector_and_what_it_lacks() {
    let mut solo = trusting(Open, &[]);
    solo.durable(vec![group(log(5), 1, 2, 10)]);
    let (link, _) = solo.join(8);
    solo.receive(link, vector(&[(8, 3), (5, 0)]));
    let mut seen = change(&mut solo, Open, &[(8, Trusted, "")]);
    assert!(matches!(&events(&seen)[0], Event::TrustChanged { trusted: true, .. }));
    assert!(matches!(&sent(&seen, link)[0], Message::Vector(lines) if lines.len() == 1));
    assert!(seen.iter().any(|o| matches!(o, Output::Read { from: 1, .. })), "{seen:?}");
    seen = solo.step(Input::ReadDone { link, log: log(5), groups: vec![group(log(5), 1, 2, 10)] });
    assert_eq!(pushes(&seen, link), [(1, 2)]);
    let seen = solo.receive(link, push(&group(log(8), 1, 1, 10)));
    assert!(closes(&seen).is_empty() && seen.iter().any(|o| matches!(o, Output::Store { .. })));
}

#[test]
fn a_peer_that_holds_off_gets_nothing_until_its_vector_comes() {
    let mut solo = trusting(Open, &[(8, Trusted, "")]);
    let (link, _) = solo.join(8);
    let mut seen = solo.receive(link, Message::Vector(Vec::new()));
    assert!(matches!(&events(&seen)[..], [Event::SyncDeclined { peer, .. }] if *peer == id(8)));
    seen = solo.durable(vec![group(log(5), 1, 1, 10)]);
    seen.extend(solo.wait(3_000));
    assert!(sent(&seen, link).is_empty(), "{seen:?}");
    let seen = solo.receive(link, vector(&[(8, 0)]));
    assert!(seen.iter().any(|o| matches!(o, Output::Read { from: 1, .. })), "{seen:?}");
    assert_eq!(lines(&seen)[0], format!("{link} -> [ack {} durable=1 applied=1]", log(5)), "what moved since this node's vector");
}

#[test]
fn a_peer_may_hold_off_once() {
    let mut solo = trusting(Open, &[(8, Trusted, "")]);
    let (link, _) = solo.join(8);
    assert!(closes(&solo.receive(link, Message::Vector(Vec::new()))).is_empty());
    assert!(matches!(reason_of(&solo.receive(link, Message::Vector(Vec::new()))), CloseReason::Protocol(_)));
}
