//! What can be seen of a node from outside: every state of a peer, every stage of a handshake, and why nothing happens.

use vixp2p::base::{CloseReason, Endpoint};
use vixp2p::mesh::{HandshakeStage, Input, PeerSnapshot, PeerState, TargetSnapshot};

use crate::solo::{Solo, dials, id};

fn refused() -> CloseReason {
    CloseReason::Refused("nobody listens".into())
}

fn only(solo: &Solo) -> (PeerSnapshot, TargetSnapshot) {
    let (mut peers, mut targets) = (solo.mesh.peers(solo.now), solo.mesh.targets(solo.now));
    assert_eq!((peers.len(), targets.len()), (1, 1));
    (peers.remove(0), targets.remove(0))
}

/// Peer and target agree on it.
fn state(solo: &Solo) -> (PeerState, HandshakeStage, u64) {
    let (peer, target) = only(solo);
    assert_eq!((peer.state, peer.stage, peer.since_ms_ago), (target.state, target.stage, target.since_ms_ago));
    (peer.state, peer.stage, peer.since_ms_ago)
}

#[test]
fn a_dialled_peer_goes_through_every_state_and_every_stage_of_the_side_that_dials() {
    let mut solo = Solo::new();
    let link = dials(&solo.connect("b", true))[0];
    solo.wait(10);
    assert_eq!(state(&solo), (PeerState::Connecting, HandshakeStage::None, 10));
    solo.fail(link, refused());
    assert_eq!(state(&solo), (PeerState::Disconnected, HandshakeStage::None, 0));
    let link = dials(&solo.wait(2_500))[0];
    solo.step(Input::Dialled { link });
    solo.wait(20);
    assert_eq!(state(&solo), (PeerState::Handshaking, HandshakeStage::HelloSent, 20));
    solo.step(Input::Stage { link, stage: HandshakeStage::AckReceived });
    assert_eq!(state(&solo), (PeerState::Handshaking, HandshakeStage::AckReceived, 20));
    solo.authenticate(link, 7);
    assert_eq!(state(&solo), (PeerState::Connected, HandshakeStage::Finished, 0));
    solo.wait(11_000);
    assert_eq!(state(&solo), (PeerState::Stale, HandshakeStage::Finished, 1_000));
    solo.wait(3_900);
    assert_eq!(only(&solo).0.last_seen_ms_ago, Some(14_900));
    solo.wait(100);
    let (peer, target) = only(&solo);
    assert_eq!((peer.state, peer.stage, peer.last_reason), (PeerState::Closed, HandshakeStage::None, Some(CloseReason::Stale)));
    assert_eq!((target.state, target.last_reason), (PeerState::Disconnected, Some(CloseReason::Stale)));
    assert!(peer.next_attempt_in_ms.is_some_and(|ms| ms <= 200) && peer.next_attempt_in_ms == target.next_attempt_in_ms);
}

#[test]
fn an_accepted_connection_is_listed_from_its_hello_on_with_every_stage_of_its_side() {
    let mut solo = Solo::new();
    let (link, _) = solo.accept();
    assert!(solo.mesh.peers(solo.now).is_empty(), "silence is counted, not listed");
    solo.step(Input::HelloPassed { link });
    let stages = [HandshakeStage::HelloReceived, HandshakeStage::AckSent];
    for stage in stages {
        solo.step(Input::Stage { link, stage });
        let list = solo.mesh.peers(solo.now);
        assert_eq!((list.len(), list[0].id, list[0].state, list[0].stage), (1, None, PeerState::Handshaking, stage));
    }
    solo.authenticate(link, 7);
    let list = solo.mesh.peers(solo.now);
    assert_eq!((list.len(), list[0].state, list[0].stage), (1, PeerState::Connected, HandshakeStage::Finished));
    assert!(solo.mesh.targets(solo.now).is_empty());
}

#[test]
fn a_peer_that_is_not_reached_shows_how_often_why_and_when_again() {
    let mut solo = Solo::new();
    let mut link = dials(&solo.connect("b", true))[0];
    for failures in 1..4 {
        solo.fail(link, CloseReason::HandshakeFailed("wrong key".into()));
        let (peer, target) = only(&solo);
        assert_eq!((peer.failures, target.failures, target.wanted), (failures, failures, true));
        assert_eq!(peer.last_reason, Some(CloseReason::HandshakeFailed("wrong key".into())));
        let wait = target.next_attempt_in_ms.expect("a person asked for it");
        assert_eq!(peer.next_attempt_in_ms, Some(wait));
        assert!(dials(&solo.wait(wait - 1)).is_empty(), "not before that");
        link = dials(&solo.wait(2))[0];
        assert_eq!(only(&solo).1.next_attempt_in_ms, None, "under way");
    }
    solo.authenticate(link, 7);
    assert_eq!(only(&solo).1.failures, 0);
}

#[test]
fn an_endpoint_nobody_asked_for_stays_visible_as_long_as_its_failures_count() {
    let mut solo = Solo::new();
    let link = dials(&solo.connect("b", false))[0];
    solo.fail(link, CloseReason::BadVersion("1".into()));
    assert!(solo.mesh.peers(solo.now).is_empty());
    let targets = solo.mesh.targets(solo.now);
    assert_eq!((targets.len(), targets[0].wanted, targets[0].state), (1, false, PeerState::Disconnected));
    assert_eq!((targets[0].failures, targets[0].next_attempt_in_ms), (1, None));
    assert_eq!(targets[0].last_reason, Some(CloseReason::BadVersion("1".into())));
    assert_eq!(targets[0].endpoint, Endpoint::tcp("b", 1));
}

#[test]
fn a_target_whose_peer_came_by_another_link_is_connected_and_one_that_waits_says_how_long() {
    let mut solo = Solo::new();
    let link = dials(&solo.connect("b", true))[0];
    solo.fail(link, refused());
    solo.step(Input::Connect { endpoint: Endpoint::tcp("c", 1), manual: true, expected: Some(id(7)) });
    solo.join(7);
    let targets = solo.mesh.targets(solo.now);
    let states: Vec<_> = targets.iter().map(|t| (t.endpoint.host.as_str(), t.state, t.next_attempt_in_ms)).collect();
    assert_eq!(states[0], ("b", PeerState::Disconnected, Some(2_500)));
    assert_eq!(states[1].0, "c");
}
