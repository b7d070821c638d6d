//! Whom to dial when there are several addresses of one peer, and after the network has changed.

use vixp2p::base::{CloseReason, Endpoint, Event, LinkId, limits};
use vixp2p::mesh::{Input, Output};
use vixp2p::wire::Message;

use crate::solo::{Solo, closes, dials, events, id, retries, sent};

const STAGGER: u64 = limits::DIAL_STAGGER.as_millis() as u64;

fn lost() -> CloseReason {
    CloseReason::Lost("gone".into())
}

/// Where each dial goes.
fn hosts(outputs: &[Output]) -> Vec<String> {
    outputs.iter().filter_map(|o| if let Output::Dial { endpoint, .. } = o { Some(endpoint.host.clone()) } else { None }).collect()
}

/// One mesh that was told these addresses of number 9, in this order.
fn with_addresses(addresses: &[&str]) -> (Solo, Vec<Output>) {
    let mut solo = Solo::new();
    let mut seen = Vec::new();
    for host in addresses {
        seen.extend(solo.step(Input::Connect { endpoint: Endpoint::tcp(*host, 1), manual: true, expected: Some(id(9)) }));
    }
    (solo, seen)
}

#[test]
fn addresses_of_one_peer_are_dialled_a_stagger_apart_with_the_families_in_turns() {
    let (mut solo, first) = with_addresses(&["2001:db8::1", "10.0.0.1", "10.0.0.2", "2001:db8::2"]);
    assert_eq!(hosts(&first), ["2001:db8::1"]);
    assert!(dials(&solo.wait(STAGGER - 1)).is_empty());
    assert_eq!(hosts(&solo.wait(1)), ["10.0.0.1"]);
    assert_eq!(hosts(&solo.wait(STAGGER)), ["2001:db8::2"]);
    assert_eq!(hosts(&solo.wait(STAGGER)), ["10.0.0.2"]);
}

#[test]
fn an_address_that_fails_gives_its_turn_to_the_next_at_once() {
    let (mut solo, first) = with_addresses(&["10.0.0.1", "10.0.0.2"]);
    let seen = solo.fail(dials(&first)[0], CloseReason::Refused("nobody".into()));
    assert_eq!(hosts(&seen), ["10.0.0.2"]);
    assert_eq!(retries(&seen).len(), 1);
}

#[test]
fn the_address_that_answers_first_stays_and_the_others_are_called_off_without_a_word() {
    let (mut solo, first) = with_addresses(&["2001:db8::1", "10.0.0.1"]);
    let second = dials(&solo.wait(STAGGER));
    let seen = solo.step(Input::Dialled { link: second[0] });
    assert_eq!(closes(&seen), [(dials(&first)[0], CloseReason::Duplicate)]);
    assert!(events(&seen).is_empty(), "{seen:?}");
    let seen = solo.authenticate(second[0], 9);
    assert!(events(&seen).iter().any(|e| matches!(e, Event::PeerConnected { .. })));
    assert!(dials(&solo.wait(4_000)).is_empty(), "the other address rests");
    assert_eq!(solo.mesh.stats().connect_failures, 0);
}

#[test]
fn when_the_address_that_answered_first_fails_in_the_handshake_the_others_go_on() {
    let (mut solo, first) = with_addresses(&["2001:db8::1", "10.0.0.1"]);
    let second = dials(&solo.wait(STAGGER));
    solo.step(Input::Dialled { link: second[0] });
    let seen = solo.fail(second[0], lost());
    assert_eq!(hosts(&seen), ["2001:db8::1"], "{first:?}");
}

#[test]
fn addresses_of_different_peers_do_not_wait_for_each_other() {
    let mut solo = Solo::new();
    assert_eq!((dials(&solo.connect("a", true)).len(), dials(&solo.connect("b", true)).len()), (1, 1));
}

#[test]
fn a_failed_dial_names_the_key_it_was_for_and_only_if_it_was_for_one() {
    let (mut solo, first) = with_addresses(&["10.0.0.1"]);
    let seen = solo.fail(dials(&first)[0], lost());
    assert!(matches!(events(&seen)[..], [Event::ConnectFailed { peer: Some(peer), .. }] if peer == id(9)));
    let first = solo.connect("a", true);
    let seen = solo.fail(dials(&first)[0], lost());
    assert!(matches!(events(&seen)[..], [Event::ConnectFailed { peer: None, .. }]));
}

#[test]
fn a_change_of_the_network_ends_every_backoff_and_keeps_attempts_apart() {
    let mut solo = Solo::new();
    let mut link = dials(&solo.connect("a", true))[0];
    for _ in 0..5 {
        solo.fail(link, lost());
        link = std::iter::repeat_with(|| dials(&solo.wait(100))).find(|begun| !begun.is_empty()).expect("redialled")[0];
    }
    let seen = solo.fail(link, lost());
    assert!(retries(&seen)[0].expect("again") > 10_000);
    solo.wait(1_000);
    let seen = solo.step(Input::NetworkChanged);
    assert_eq!(hosts(&seen), ["a"], "at once");
    let seen = solo.fail(dials(&seen)[0], lost());
    assert!(retries(&seen)[0].expect("again") < 3_000, "the first failure on this network");
    assert!(dials(&solo.step(Input::NetworkChanged)).is_empty(), "one has just begun");
    assert_eq!(dials(&solo.wait(900)).len(), 1);
}

#[test]
fn a_change_of_the_network_asks_standing_links_and_closes_those_that_stay_silent() {
    let mut solo = Solo::new();
    let (silent, _) = solo.join(1);
    let (lively, _) = solo.join(2);
    solo.wait(1_000);
    let seen = solo.step(Input::NetworkChanged);
    for link in [silent, lively] {
        assert!(matches!(sent(&seen, link)[..], [Message::Ping { .. }]));
    }
    solo.wait(100);
    solo.receive(lively, Message::Pong { nonce: 1 });
    let seen = solo.wait(1_900);
    assert_eq!(closes(&seen), [(silent, CloseReason::Stale)]);
}

#[test]
fn a_dial_that_began_on_the_old_network_begins_again_on_the_new_one() {
    let mut solo = Solo::new();
    let first = dials(&solo.connect("a", true))[0];
    solo.wait(1_000);
    let seen = solo.step(Input::NetworkChanged);
    assert_eq!(closes(&seen), [(first, CloseReason::Disconnected)]);
    assert_eq!((hosts(&seen), events(&seen).len()), (vec!["a".to_owned()], 0));
}

#[test]
fn a_dial_without_a_key_gives_way_to_one_for_a_key() {
    let mut solo = Solo::new();
    let any = dials(&solo.connect("a", false))[0];
    let connect = |key| Input::Connect { endpoint: Endpoint::tcp("a", 1), manual: true, expected: Some(id(key)) };
    let seen = solo.step(connect(9));
    assert_eq!(closes(&seen), [(any, CloseReason::Disconnected)]);
    assert!(seen.iter().any(|o| matches!(o, Output::Dial { expected: Some(key), .. } if *key == id(9))), "{seen:?}");
    assert!(closes(&solo.step(connect(9))).is_empty(), "the same again");
}

#[test]
fn a_forgotten_endpoint_is_dialled_no_more_and_a_standing_link_stays() {
    let mut solo = Solo::new();
    let forget = |host: &str| Input::Forget { endpoint: Endpoint::tcp(host, 1) };
    let never = dials(&solo.connect("never", true))[0];
    solo.fail(never, lost());
    solo.step(forget("never"));
    let dialling = dials(&solo.connect("dialling", true))[0];
    assert_eq!(closes(&solo.step(forget("dialling"))), [(dialling, CloseReason::Disconnected)]);
    let stands = dials(&solo.connect("stands", true))[0];
    solo.authenticate(stands, 1);
    assert!(closes(&solo.step(forget("stands"))).is_empty());
    solo.step(Input::LinkClosed { link: stands, reason: lost() });
    assert_eq!(dials(&solo.wait(60_000)), Vec::<LinkId>::new());
}

#[test]
fn what_a_person_asked_for_is_dialled_before_what_was_found() {
    let mut solo = Solo::new();
    let links: Vec<_> = (0..limits::DIALS_MAX).flat_map(|n| dials(&solo.connect(&format!("10.1.0.{n}"), false))).collect();
    assert_eq!(links.len(), limits::DIALS_MAX);
    assert!(dials(&solo.connect("10.0.0.1", false)).is_empty() && dials(&solo.connect("10.9.9.9", true)).is_empty());
    assert_eq!(hosts(&solo.fail(links[0], lost())), ["10.9.9.9"]);
}

#[test]
fn a_new_endpoint_takes_the_place_of_one_that_was_only_found_and_of_none_that_is_wanted_or_being_dialled() {
    let mut solo = Solo::new();
    let refused = |out: &[Output]| events(out).iter().any(|event| matches!(event, Event::ConnectFailed { .. }));
    for n in 0..limits::DIAL_TARGETS_MAX {
        assert!(!refused(&solo.connect(&format!("found{n}.example"), false)));
    }
    let wanted: Vec<String> = (0..limits::DIAL_TARGETS_MAX).map(|n| format!("wanted{n}.example")).collect();
    let taken = wanted.iter().take_while(|host| !refused(&solo.connect(host, true))).count();
    assert_eq!(taken, limits::DIAL_TARGETS_MAX - limits::DIALS_MAX);
    assert_eq!(solo.mesh.peers(solo.now).len(), limits::DIAL_TARGETS_MAX);
    assert!(refused(&solo.connect("found.example", false)));
    assert!(!refused(&solo.connect(&wanted[0], true)), "one that is there already");
}
