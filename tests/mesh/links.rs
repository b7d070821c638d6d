//! Links, dials and the peer list.

use vixp2p::base::{CloseReason, Endpoint, Event, limits};
use vixp2p::mesh::{Input, Mesh, MeshSettings, Output, PeerState};
use vixp2p::wire::Message;

use crate::solo::{Solo, closes, dials, events, everybody, id, lines, log, retries, sent};
use crate::world::{World, own};

fn refused() -> CloseReason {
    CloseReason::Refused("nobody listens".into())
}

fn lost() -> CloseReason {
    CloseReason::Lost("reset".into())
}

#[test]
fn an_inbound_peer_hears_welcome_first_and_then_what_this_node_has() {
    let mut solo = Solo::new();
    let (link, seen) = solo.join(7);
    assert_eq!(
        lines(&seen),
        [
            format!("{link} -> [welcome]"),
            format!("{link} -> [vector(1)]"),
            format!("route 07070707 via {link}"),
            "event: peer 07070707 \"node 7\" connected (inbound, tcp://10.0.0.1:40000); 1 connected".into(),
        ]
    );
    let stats = solo.mesh.stats();
    assert_eq!((stats.handshakes_started, stats.handshakes_completed, stats.peers_connected), (1, 1, 1));
}

#[test]
fn peers_over_the_limit_are_refused_by_name_and_counted() {
    let mut solo = Solo::with(|s| s.max_peers = 2, Vec::new());
    solo.join(1);
    solo.join(2);
    let (link, seen) = solo.join(3);
    assert_eq!(closes(&seen), [(link, CloseReason::MaxPeers)]);
    assert!(matches!(&events(&seen)[..], [Event::HandshakeFailed { reason: CloseReason::MaxPeers, .. }]));
    assert_eq!((solo.mesh.stats().peers_connected, solo.mesh.stats().handshakes_failed), (2, 1));
}

#[test]
fn a_full_node_does_not_dial_until_there_is_room() {
    let mut solo = Solo::with(|s| s.max_peers = 1, Vec::new());
    let (link, _) = solo.join(1);
    let seen = solo.connect("b", true);
    assert!(dials(&seen).is_empty() && matches!(events(&seen)[..], [Event::ConnectFailed { reason: CloseReason::MaxPeers, .. }]));
    solo.step(Input::LinkClosed { link, reason: lost() });
    assert_eq!(dials(&solo.wait(17_000)).len(), 1);
}

#[test]
fn a_node_that_reaches_itself_closes_both_ends_and_never_tries_again() {
    let mut solo = Solo::new();
    let out = dials(&solo.connect("me", true))[0];
    solo.step(Input::Dialled { link: out });
    let (inbound, seen) = solo.join(5);
    assert_eq!(closes(&seen), [(inbound, CloseReason::SelfConnect)]);
    let seen = solo.fail(out, CloseReason::SelfConnect);
    assert_eq!(retries(&seen), [None]);
    assert!(solo.wait(100_000).is_empty() && solo.mesh.peers(solo.now).is_empty());
}

#[test]
fn a_dial_that_hangs_before_or_in_the_handshake_times_out() {
    let mut solo = Solo::new();
    let link = dials(&solo.connect("b", true))[0];
    assert_eq!(closes(&solo.wait(4_999)), []);
    assert_eq!(closes(&solo.wait(1)), [(link, CloseReason::Timeout)]);
    let link = dials(&solo.wait(2_500))[0];
    solo.wait(3_000);
    solo.step(Input::Dialled { link });
    assert_eq!(closes(&solo.wait(4_999)), []);
    assert_eq!(closes(&solo.wait(1)), [(link, CloseReason::Timeout)]);
}

#[test]
fn a_failed_target_is_dialled_again_with_growing_pauses_until_it_answers() {
    let mut solo = Solo::new();
    let mut link = dials(&solo.connect("b", true))[0];
    let figures = [(2_500, 2_500), (4_000, 4_400), (8_000, 8_800), (15_000, 16_500), (15_000, 16_500)];
    for (least, most) in figures {
        let pause = retries(&solo.fail(link, refused()))[0].expect("retried");
        assert!((least..=most).contains(&pause), "{pause}");
        assert!(dials(&solo.wait(pause - 1)).is_empty());
        link = dials(&solo.wait(2))[0];
    }
    solo.authenticate(link, 7);
    let stats = solo.mesh.stats();
    assert_eq!((stats.connect_attempts, stats.connect_failures, stats.tracked_endpoints), (6, 5, 1));
}

#[test]
fn an_endpoint_that_was_only_found_has_one_dial_for_each_time_it_is_found() {
    let mut solo = Solo::new();
    for _ in 0..3 {
        let link = dials(&solo.connect("b", false))[0];
        assert!(solo.mesh.keeps(&Endpoint::tcp("b", 1)));
        assert_eq!(retries(&solo.fail(link, refused())), [None]);
        assert!(!solo.mesh.keeps(&Endpoint::tcp("b", 1)) && solo.wait(100_000).is_empty());
    }
    let asked = dials(&solo.connect("b", true))[0];
    assert!(retries(&solo.fail(asked, refused()))[0].is_some(), "a person's wish is kept");
}

#[test]
fn a_person_asking_again_does_not_jump_the_backoff_and_automation_is_one_attempt() {
    let mut solo = Solo::new();
    let link = dials(&solo.connect("b", true))[0];
    assert!(solo.connect("b", true).is_empty() && solo.connect("b", false).is_empty());
    assert_eq!(solo.mesh.stats().connect_deduped, 2);
    solo.fail(link, refused());
    assert!(solo.connect("b", true).is_empty());
    assert_eq!((solo.mesh.stats().backoff_skips, solo.mesh.stats().connect_attempts), (1, 1));
    assert_eq!(dials(&solo.wait(2_500)).len(), 1);
}

#[test]
fn a_lost_peer_is_dialled_again_and_a_disconnected_one_is_not() {
    let mut solo = Solo::new();
    let link = dials(&solo.connect("b", true))[0];
    solo.authenticate(link, 7);
    solo.wait(4_000);
    let seen = solo.step(Input::LinkClosed { link, reason: lost() });
    assert!(matches!(events(&seen)[..], [Event::PeerDisconnected { connected: 0, .. }]));
    assert_eq!(solo.state_of(7), Some(PeerState::Closed));
    let again = dials(&solo.wait(500));
    assert_eq!((again.len(), solo.state_of(7)), (1, Some(PeerState::Connecting)));
    solo.authenticate(again[0], 7);
    let seen = solo.step(Input::Disconnect { peer: id(7) });
    assert_eq!(closes(&seen), [(again[0], CloseReason::Disconnected)]);
    assert!(solo.wait(100_000).is_empty());
    assert_eq!(solo.state_of(7), Some(PeerState::Closed));
}

#[test]
fn a_peer_that_drops_every_link_at_once_is_dialled_ever_more_slowly() {
    let mut solo = Solo::new();
    let mut link = dials(&solo.connect("b", true))[0];
    for least in [2_000, 4_000, 8_000, 15_000] {
        solo.authenticate(link, 7);
        solo.step(Input::LinkClosed { link, reason: lost() });
        assert!(dials(&solo.wait(least - 1)).is_empty());
        link = dials(&solo.wait(least / 10 + 2))[0];
    }
}

#[test]
fn a_target_whose_peer_is_connected_by_another_link_is_not_dialled() {
    let mut solo = Solo::new();
    let dialled = dials(&solo.connect("b", true))[0];
    solo.authenticate(dialled, 1);
    solo.wait(11_000);
    let (inbound, seen) = solo.join(1);
    assert_eq!(closes(&seen), [(dialled, CloseReason::Duplicate)]);
    let mut dialled_again = Vec::new();
    for _ in 0..10 {
        solo.receive(inbound, Message::Pong { nonce: 1 });
        dialled_again.extend(dials(&solo.wait(4_000)));
    }
    assert!(dialled_again.is_empty());
    solo.connect("b", true);
    assert_eq!(solo.mesh.stats().connect_deduped, 1);
    solo.step(Input::LinkClosed { link: inbound, reason: lost() });
    assert_eq!(dials(&solo.wait(500)).len(), 1);
}

#[test]
fn a_node_told_not_to_dial_says_so() {
    let mut solo = Solo::with(|s| s.dial = false, Vec::new());
    let seen = solo.connect("b", true);
    assert_eq!(lines(&seen).len(), 1);
    assert!(lines(&seen)[0].contains("does not dial"), "{:?}", lines(&seen));
    assert_eq!(solo.mesh.stats().connect_attempts, 0);
}

#[test]
fn targets_and_dials_under_way_have_a_cap() {
    let mut solo = Solo::new();
    let mut open = Vec::new();
    for n in 0..limits::DIAL_TARGETS_MAX + 5 {
        open.extend(dials(&solo.connect(&format!("h{n}"), false)));
    }
    assert_eq!((open.len(), solo.mesh.peers(solo.now).len()), (limits::DIALS_MAX, limits::DIAL_TARGETS_MAX));
    let seen = solo.fail(open[0], refused());
    assert_eq!(dials(&seen).len(), 1);
}

#[test]
fn an_endpoint_nobody_asked_for_is_dialled_once_and_again_when_it_is_named_again() {
    let mut solo = Solo::new();
    let link = dials(&solo.connect("h", false))[0];
    assert!(dials(&solo.fail(link, refused())).is_empty() && solo.mesh.peers(solo.now).is_empty());
    assert!(dials(&solo.wait(60_000)).is_empty());
    assert_eq!(dials(&solo.connect("h", false)).len(), 1);
}

#[test]
fn an_endpoint_that_leads_to_a_connected_peer_is_left_alone_until_that_one_is_gone() {
    let mut solo = Solo::new();
    let (inbound, _) = solo.join(7);
    let link = dials(&solo.connect("h", false))[0];
    solo.step(Input::Reached { link, peer: id(7) });
    solo.fail(link, CloseReason::Duplicate);
    for _ in 0..20 {
        assert!(dials(&solo.connect("h", false)).is_empty());
        solo.receive(inbound, Message::Pong { nonce: 0 });
        assert!(dials(&solo.wait(4_000)).is_empty());
    }
    solo.step(Input::LinkClosed { link: inbound, reason: lost() });
    assert_eq!(dials(&solo.wait(3_000)).len(), 1);
}

#[test]
fn a_silent_link_is_pinged_listed_as_stale_and_closed() {
    let mut solo = Solo::new();
    let (link, _) = solo.join(7);
    assert_eq!(sent(&solo.wait(5_000), link).len(), 1);
    assert_eq!(solo.state_of(7), Some(PeerState::Connected));
    let seen = solo.wait(6_000);
    assert!(
        matches!(events(&seen)[..], [Event::PeerStale { peer, silent_ms: 10_000, .. }, Event::Ping { .. }] if peer == id(7)),
        "{:?}",
        events(&seen)
    );
    assert_eq!(solo.state_of(7), Some(PeerState::Stale));
    let seen = solo.wait(4_000);
    assert_eq!(closes(&seen), [(link, CloseReason::Stale)]);
    assert!(matches!(events(&seen)[..], [Event::PeerDisconnected { reason: CloseReason::Stale, .. }]));
}

#[test]
fn a_ping_is_answered_with_its_nonce() {
    let mut solo = Solo::new();
    let (link, _) = solo.join(7);
    let seen = solo.receive(link, Message::Ping { nonce: 42 });
    assert_eq!(sent(&seen, link), [Message::Pong { nonce: 42 }]);
}

#[test]
fn a_close_from_the_peer_ends_the_link_with_the_peers_reason() {
    let mut solo = Solo::new();
    let (link, _) = solo.join(7);
    let seen = solo.receive(link, Message::Close { code: CloseReason::Revoked(String::new()).code(), detail: String::new() });
    assert!(matches!(&events(&seen)[..], [Event::PeerDisconnected { reason: CloseReason::Revoked(_), .. }]));
    assert!(solo.step(Input::LinkClosed { link, reason: lost() }).is_empty());
}

#[test]
fn nothing_from_a_link_that_is_not_authenticated_has_an_effect() {
    let mut solo = Solo::new();
    let (link, _) = solo.accept();
    for message in [Message::Ping { nonce: 1 }, Message::Welcome, Message::Vector(Vec::new())] {
        assert!(solo.receive(link, message.clone()).is_empty());
        assert!(solo.receive(vixp2p::base::LinkId(999), message).is_empty());
    }
    assert!(solo.step(Input::StoreFailed { link, log: log(9), durable: 0, reason: lost() }).is_empty());
    assert!(solo.step(Input::Applied { log: log(9), seq: 3 }).is_empty());
}

#[test]
fn a_target_without_an_answer_is_listed_without_an_identity() {
    let mut solo = Solo::new();
    let link = dials(&solo.connect("b", true))[0];
    let list = solo.mesh.peers(solo.now);
    assert_eq!((list.len(), list[0].id, list[0].state, list[0].secure), (1, None, PeerState::Connecting, false));
    solo.step(Input::Dialled { link });
    assert_eq!(solo.mesh.peers(solo.now)[0].state, PeerState::Handshaking);
    solo.authenticate(link, 7);
    let list = solo.mesh.peers(solo.now);
    assert_eq!((list.len(), list[0].id, list[0].link, list[0].secure), (1, Some(id(7)), Some(link), true));
    assert_eq!(list[0].capabilities, [("proto".to_owned(), "1".to_owned())]);
}

#[test]
fn two_nodes_that_dial_each_other_at_once_end_with_one_link() {
    for seed in 0..200 {
        let mut world = World::new(2, seed);
        world.connect(0, 1);
        world.connect(1, 0);
        for _ in 0..6 {
            world.run(5_000);
            assert_eq!(world.links_between(0, 1), 1, "seed {seed}");
            for node in 0..2 {
                assert_eq!(world.nodes[node].mesh.stats().peers_connected, 1, "seed {seed}");
            }
        }
        let dialled: u64 = world.nodes.iter().map(|n| n.mesh.stats().connect_attempts).sum();
        assert!(dialled <= 3, "seed {seed}: {dialled} dials");
    }
}

#[test]
fn two_names_of_one_peer_end_with_one_link() {
    for seed in 0..200 {
        let mut world = World::new(2, seed);
        world.connect(0, 1);
        world.connect_alias(0, 1);
        world.run(40_000);
        assert_eq!(world.links_between(0, 1), 1, "seed {seed}");
        let before = world.nodes[0].mesh.stats().connect_attempts;
        world.run(60_000);
        assert_eq!(world.nodes[0].mesh.stats().connect_attempts, before, "seed {seed}: redials without need");
    }
}

#[test]
fn a_peer_that_restarts_is_back_at_once_although_its_old_link_looks_alive() {
    let mut world = World::new(2, 1);
    world.connect(0, 1);
    world.run(20_000);
    world.vanish(0);
    world.connect(0, 1);
    world.run(100);
    assert_eq!(world.links_between(0, 1), 1);
    assert!(world.nodes[1].events.iter().any(|e| matches!(e, Event::PeerDisconnected { .. })));
}

#[test]
fn routes_follow_the_link_that_stays() {
    let mut solo = Solo::new();
    let (first, _) = solo.join(7);
    let (second, seen) = solo.join(7);
    let routes: Vec<_> = seen.iter().filter_map(|o| if let Output::Route { link, .. } = o { Some(*link) } else { None }).collect();
    assert_eq!((closes(&seen), routes), (vec![(first, CloseReason::Duplicate)], vec![None, Some(second)]));
}

#[test]
fn a_peer_that_asks_only_after_the_others_patience_is_asked_by_the_other_and_stays() {
    let mut world = World::new(2, 1);
    let mut settings = MeshSettings { trust: everybody(), ..MeshSettings::from_config(&vixp2p::Config::new("calm"), id(1)) };
    (settings.heartbeat_interval, settings.stale_after) = (40 * limits::STALE_AFTER, 80 * limits::STALE_AFTER);
    world.nodes[0].mesh = Mesh::new(settings, Vec::new(), own(0), 1);
    world.connect(0, 1);
    world.run(20 * limits::STALE_AFTER.as_millis() as u64);
    assert_eq!(world.links_between(0, 1), 1);
    for node in &world.nodes {
        let gone = |event: &&Event| matches!(event, Event::PeerDisconnected { .. } | Event::PeerStale { .. });
        assert_eq!(node.events.iter().filter(gone).count(), 0, "{:?}", node.events);
    }
}
