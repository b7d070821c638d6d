//! Connections that do not come to the end of their handshake: who gives way to whom, and that nobody is locked out.

use vixp2p::base::{CloseReason, Event, LinkId, limits};
use vixp2p::mesh::{Input, Output};

use crate::solo::{Solo, closes, events};

/// Source 1 takes all it gets.
fn flooded() -> Solo {
    let mut solo = Solo::new();
    (0..limits::HALF_OPEN_PER_SOURCE_MAX).for_each(|_| assert!(solo.accept().1.is_empty()));
    solo
}

fn victims(outputs: &[Output]) -> Vec<LinkId> {
    closes(outputs).into_iter().map(|(link, reason)| (reason == CloseReason::Busy).then_some(link).expect("busy")).collect()
}

#[test]
fn unfinished_handshakes_have_a_cap_and_a_deadline() {
    let mut solo = flooded();
    for source in 2..=4 {
        (0..limits::HALF_OPEN_PER_SOURCE_MAX).for_each(|_| drop(solo.accept_from(source)));
    }
    assert_eq!(solo.mesh.stats().half_open, limits::HALF_OPEN_MAX as u64);
    let seen = solo.wait(5_000);
    assert_eq!(closes(&seen).len(), limits::HALF_OPEN_MAX);
    assert!(closes(&seen).iter().all(|(_, reason)| *reason == CloseReason::Timeout));
    assert_eq!(solo.mesh.stats().half_open, 0);
    assert!(solo.accept().1.is_empty() && solo.mesh.deadline().is_some());
}

#[test]
fn a_newcomer_always_gets_in_and_the_oldest_of_a_full_source_gives_way() {
    let mut solo = flooded();
    for oldest in 1..=10 {
        let (_, seen) = solo.accept();
        assert_eq!(victims(&seen), [LinkId(oldest)]);
    }
    let (honest, seen) = solo.join(7);
    assert_eq!(victims(&seen).len(), 0, "the place was free when the handshake ended: {honest}");
    let stats = solo.mesh.stats();
    assert_eq!((stats.half_open_evicted, stats.peers_connected), (11, 1));
    assert_eq!(stats.half_open, limits::HALF_OPEN_PER_SOURCE_MAX as u64 - 1);
}

#[test]
fn a_lone_connection_outlives_any_number_from_others() {
    let mut solo = Solo::new();
    let (lone, _) = solo.accept_from(99);
    let mut gone = Vec::new();
    for n in 0..20_000 {
        gone.extend(victims(&solo.accept_from(1 + (n % 8) as u8).1));
    }
    assert!(gone.len() > 17_000 && !gone.contains(&lone));
    assert!(solo.mesh.stats().half_open <= limits::HALF_OPEN_MAX as u64);
    solo.authenticate(lone, 7);
    assert_eq!(solo.mesh.stats().peers_connected, 1);
}

#[test]
fn a_passed_hello_is_safe_from_the_silent() {
    let mut solo = Solo::new();
    let (honest, _) = solo.accept();
    assert!(solo.step(Input::HelloPassed { link: honest }).is_empty());
    for _ in 0..20_000 {
        assert!(!victims(&solo.accept().1).contains(&honest));
    }
    solo.authenticate(honest, 7);
    assert_eq!(solo.mesh.stats().peers_connected, 1);
}

#[test]
fn passed_hellos_have_caps_of_their_own() {
    let mut solo = Solo::new();
    let mut gone = Vec::new();
    for source in 1..=4 {
        for _ in 0..limits::GREETED_PER_SOURCE_MAX + 10 {
            let (link, seen) = solo.accept_from(source);
            assert!(seen.is_empty());
            gone.extend(victims(&solo.step(Input::HelloPassed { link })));
        }
    }
    let stats = solo.mesh.stats();
    assert_eq!((stats.half_open as usize, stats.half_open_evicted as usize), (limits::GREETED_MAX, gone.len()));
}

#[test]
fn a_passed_hello_does_not_move_the_deadline() {
    let mut solo = Solo::new();
    let (link, _) = solo.accept();
    solo.wait(4_000);
    solo.step(Input::HelloPassed { link });
    assert!(closes(&solo.wait(999)).is_empty());
    assert_eq!(closes(&solo.wait(1)), [(link, CloseReason::Timeout)]);
}

#[test]
fn a_flood_is_counted_whole_and_told_in_part() {
    let mut solo = flooded();
    let mut told = 0;
    for _ in 0..10_000 {
        told += events(&solo.accept().1).len();
    }
    assert_eq!(told, limits::HANDSHAKE_EVENTS_BURST as usize);
    let stats = solo.mesh.stats();
    assert_eq!((stats.half_open_evicted, stats.handshakes_failed), (10_000, 10_000));
    // What ends by its deadline is told at the same pace, and what this node dialled whatever else there is.
    told += events(&solo.wait(60_000)).len();
    assert!(told < 100 + 60_000 / limits::HANDSHAKE_EVENT_EVERY.as_millis() as usize, "{told}");
    let dial = crate::solo::dials(&solo.connect("b", true))[0];
    solo.step(Input::Dialled { link: dial });
    let seen = solo.fail(dial, CloseReason::Timeout);
    assert!(events(&seen).iter().any(|e| matches!(e, Event::HandshakeFailed { .. })));
}

#[test]
fn without_descriptors_the_oldest_silent_one_lets_go() {
    let mut solo = Solo::new();
    let (greeted, _) = solo.accept_from(1);
    solo.step(Input::HelloPassed { link: greeted });
    let (lone, _) = solo.accept_from(2);
    let crowd: Vec<LinkId> = (0..3).map(|_| solo.accept_from(1).0).collect();
    for victim in [crowd[0], crowd[1], lone, crowd[2]] {
        assert_eq!(victims(&solo.step(Input::Crowded)), [victim]);
    }
    assert!(solo.step(Input::Crowded).is_empty());
}

#[test]
fn a_process_with_few_descriptors_holds_fewer() {
    let mut solo = Solo::with(|s| s.half_open_max = 64, Vec::new());
    (0..1_000).for_each(|n| drop(solo.accept_from((n % 7) as u8)));
    assert_eq!(solo.mesh.stats().half_open, 64);
}
