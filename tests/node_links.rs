//! Nodes on real sockets: links come to stand, carry messages, and end with a reason.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::proxy::{Fate, Proxy};
use common::{Peer, config, eventually, send};
use vixp2p::base::{CloseReason, limits};
use vixp2p::{Error, Event, PeerId};

fn pair() -> (Peer, Peer) {
    let (mut a, mut b) = (Peer::named("a"), Peer::named("b"));
    a.join(&mut b);
    (a, b)
}

/// Bytes that are not the same everywhere.
fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8 ^ seed).collect()
}

#[test]
fn two_nodes_that_connect_know_each_others_key_and_name() {
    let (a, b) = pair();
    let (of_a, of_b) = (a.node.peers(), b.node.peers());
    assert_eq!((of_a[0].id, of_a[0].node_id.as_str(), of_a[0].secure), (Some(b.id()), "b", true));
    assert_eq!((of_b[0].id, of_b[0].node_id.as_str(), of_b[0].secure), (Some(a.id()), "a", true));
    let stats = a.node.stats();
    assert_eq!((stats.peers_connected, stats.handshakes_completed, stats.handshakes_failed), (1, 1, 0));
    assert!(stats.bytes_sent > 0 && stats.bytes_received > 0);
}

#[test]
fn messages_of_every_size_arrive_whole_in_both_directions() {
    let (mut a, mut b) = pair();
    let sizes = [0, 1, 64 << 10, 1 << 20, limits::MESSAGE_MAX_BYTES, 0];
    for (n, size) in sizes.into_iter().enumerate() {
        a.send(b.id(), &pattern(size, n as u8));
        b.send(a.id(), &pattern(size, n as u8 + 100));
    }
    for (n, size) in sizes.into_iter().enumerate() {
        assert!(b.receive(1)[0] == pattern(size, n as u8), "{size} bytes there");
        assert!(a.receive(1)[0] == pattern(size, n as u8 + 100), "{size} bytes back");
    }
}

#[test]
fn a_message_one_byte_over_the_limit_is_refused_and_the_link_stays() {
    let (a, mut b) = pair();
    let large = vec![0; limits::MESSAGE_MAX_BYTES + 1];
    for refused in [a.node.send(b.id(), &large), a.node.broadcast(&large).map(|_| ())] {
        assert!(matches!(refused, Err(Error::TooLarge { got, max, .. }) if got == max + 1));
    }
    a.send(b.id(), b"still here");
    assert_eq!(b.receive(1)[0], "still here");
}

#[test]
fn a_hundred_thousand_small_messages_arrive_in_order() {
    const COUNT: u32 = 100_000;
    let (a, mut b) = pair();
    let to = b.id();
    let sender = std::thread::spawn(move || {
        for n in 0..COUNT {
            a.send(to, &n.to_le_bytes());
        }
        a
    });
    let received = b.receive(COUNT as usize);
    assert!(received.iter().zip(0..COUNT).all(|(message, n)| message[..] == n.to_le_bytes()));
    assert_eq!(received.len(), COUNT as usize);
    drop(sender.join().expect("sent"));
}

#[test]
fn a_broadcast_reaches_every_connected_peer() {
    let mut hub = Peer::named("hub");
    let mut others: Vec<Peer> = (0..3).map(|n| Peer::named(&format!("n{n}"))).collect();
    for other in &mut others {
        other.join(&mut hub);
    }
    assert_eq!(hub.node.broadcast(b"to all").expect("runs"), 3);
    for other in &mut others {
        assert_eq!(other.receive(1)[0], "to all");
    }
}

#[test]
fn sending_to_somebody_who_is_not_connected_says_so() {
    let a = Peer::named("a");
    let nobody = PeerId([7; 32]);
    assert!(matches!(a.node.send(nobody, b"x"), Err(Error::NotConnected(id)) if id == nobody));
    assert_eq!(a.node.broadcast(b"x").expect("runs"), 0);
}

#[test]
fn a_peer_whose_application_does_not_read_stops_the_sender_and_loses_nothing() {
    let (a, mut b) = pair();
    let message = pattern(100_000, 3);
    let mut accepted = 0u32;
    loop {
        let numbered = [&accepted.to_le_bytes()[..], &message].concat();
        match a.node.send(b.id(), &numbered) {
            Ok(()) => accepted += 1,
            // The queue is full: all buffers on the way are, if it stays so while the writer works.
            Err(Error::WouldBlock) if accepted * 100_000 > 3 * limits::EVENT_RING_DATA_MAX_BYTES as u32 => break,
            Err(Error::WouldBlock) => std::thread::yield_now(),
            Err(e) => panic!("{e}"),
        }
    }
    let received = b.receive(accepted as usize);
    assert!(received.iter().zip(0u32..).all(|(m, n)| m[..4] == n.to_le_bytes() && m[4..] == message));
}

/// Sends until everything on the way to an application that takes nothing is full; how many messages were accepted.
fn fill(from: &Peer, to: &Peer, message: &[u8]) -> u32 {
    let mut accepted = 0u32;
    let mut refused = 0;
    while refused < 200 {
        match from.node.send(to.id(), &[&accepted.to_le_bytes()[..], message].concat()) {
            Ok(()) => (accepted, refused) = (accepted + 1, 0),
            Err(Error::WouldBlock) => {
                refused += 1;
                std::thread::yield_now();
            }
            Err(e) => panic!("{e}"),
        }
    }
    accepted
}

#[test]
fn a_peer_whose_application_pauses_for_longer_than_the_stale_time_is_not_given_up_by_either_side() {
    let (mut a, mut b) = (Peer::start(quick("a")), Peer::start(quick("b")));
    a.join(&mut b);
    let accepted = fill(&a, &b, &pattern(100_000, 3));
    // Twice the stale time: all that b says meanwhile is that it lives.
    let begin = a.node.stats().frames_received;
    eventually("heartbeats", || a.node.stats().frames_received >= begin + 12);
    assert_eq!(b.node.peers()[0].state, vixp2p::mesh::PeerState::Connected);
    let received = b.receive(accepted as usize);
    assert!(received.iter().zip(0u32..).all(|(m, n)| m[..4] == n.to_le_bytes()));
    for peer in [&mut a, &mut b] {
        assert!(!peer.has_seen(|e| matches!(e, Event::PeerDisconnected { .. })));
    }
}

#[test]
fn what_was_sent_last_before_a_stop_arrives_although_the_stopping_node_has_not_read_everything() {
    let (a, mut b) = pair();
    fill(&b, &a, &pattern(100_000, 3));
    let message = pattern(50_000, 5);
    for _ in 0..40 {
        send(&a.node, b.id(), &message);
    }
    a.node.stop_blocking();
    assert!(b.receive(40).iter().all(|m| *m == message));
}

#[test]
fn a_queue_full_of_large_messages_is_no_reason_to_give_a_link_up() {
    let (a, mut b) = pair();
    let large = pattern(limits::MESSAGE_MAX_BYTES, 1);
    // Records and their acks go the same way as the messages, behind them.
    for round in 0..3 {
        a.send(b.id(), &large);
        a.append([format!("record {round}")]);
    }
    assert!(b.receive(3).iter().all(|m| *m == large));
    b.expect_log(a.node.own_log(), 3, 3);
    assert!(!b.has_seen(|e| matches!(e, Event::PeerDisconnected { .. })));
}

#[test]
fn a_node_over_its_peer_limit_is_told_the_reason() {
    let mut settings = config("full");
    settings.max_peers = 1;
    let (mut full, mut first, mut second) = (Peer::start(settings), Peer::named("first"), Peer::named("second"));
    first.join(&mut full);
    second.node.connect(full.endpoint()).expect("dials");
    let (reason, retry) = second.expect_connect_failed();
    assert_eq!(reason, CloseReason::MaxPeers);
    assert!(retry.is_some(), "a place may become free");
    assert_eq!(full.expect_handshake_failed(), CloseReason::MaxPeers);
    assert_eq!(full.node.stats().peers_connected, 1);
}

#[test]
fn a_node_that_does_not_dial_refuses_to_and_is_dialled_all_the_same() {
    let mut settings = config("quiet");
    settings.dial = false;
    let (mut quiet, mut other) = (Peer::start(settings), Peer::named("other"));
    assert!(matches!(quiet.node.connect(other.endpoint()), Err(Error::Invalid(_))));
    other.join(&mut quiet);
}

#[test]
fn a_node_that_dials_itself_finds_out() {
    let mut a = Peer::named("a");
    a.node.connect(a.endpoint()).expect("dials");
    let (reason, retry) = a.expect_connect_failed();
    assert_eq!((reason, retry), (CloseReason::SelfConnect, None));
}

#[test]
fn nodes_that_dial_each_other_at_once_keep_one_link_that_works() {
    for _ in 0..5 {
        let (mut a, mut b) = (Peer::named("a"), Peer::named("b"));
        let (to_a, to_b) = (a.endpoint(), b.endpoint());
        let gate = std::sync::Barrier::new(2);
        std::thread::scope(|threads| {
            for (node, to) in [(&a.node, to_b), (&b.node, to_a)] {
                let gate = &gate;
                threads.spawn(move || {
                    gate.wait();
                    node.connect(to).expect("dials");
                });
            }
        });
        assert_eq!((a.expect_connected(), b.expect_connected()), (b.id(), a.id()));
        // Both handshakes have run their course on both sides before the messages are counted on.
        for peer in [&a, &b] {
            eventually("two handshakes", || {
                let stats = peer.node.stats();
                stats.handshakes_started == 2 && stats.handshakes_completed + stats.handshakes_failed == 2
            });
        }
        a.send(b.id(), b"there");
        b.send(a.id(), b"back");
        assert_eq!((&b.receive(1)[0], &a.receive(1)[0]), (&Bytes::from("there"), &Bytes::from("back")));
        assert_eq!((a.node.stats().peers_connected, b.node.stats().peers_connected), (1, 1));
    }
}

#[test]
fn disconnect_ends_the_link_and_nobody_dials_again() {
    let (mut a, mut b) = pair();
    a.node.disconnect(b.id()).expect("runs");
    assert_eq!(a.expect_disconnected(), CloseReason::Disconnected);
    assert!(matches!(b.expect_disconnected(), CloseReason::Lost(why) if why.contains("disconnected")));
    assert!(matches!(a.node.send(b.id(), b"x"), Err(Error::NotConnected(_))));
}

fn quick(name: &str) -> vixp2p::Config {
    let mut settings = config(name);
    settings.heartbeat_interval = Duration::from_millis(250);
    settings.stale_after = Duration::from_millis(1500);
    settings
}

#[test]
fn an_idle_link_is_kept_by_heartbeats_alone() {
    let (mut a, mut b) = (Peer::start(quick("a")), Peer::start(quick("b")));
    a.join(&mut b);
    let begin = a.node.stats().frames_received;
    // Twice the stale time in pongs and pings.
    eventually("heartbeats", || a.node.stats().frames_received >= begin + 12);
    assert!(!a.has_seen(|e| matches!(e, Event::PeerDisconnected { .. })));
    assert!(!b.has_seen(|e| matches!(e, Event::PeerDisconnected { .. })));
}

#[test]
fn a_link_on_which_nothing_moves_any_more_is_closed_as_stale_on_both_sides() {
    let (mut a, mut b) = (Peer::start(quick("a")), Peer::start(quick("b")));
    let proxy = Proxy::to(&b.endpoint(), |_| Fate::Pass);
    a.node.connect(proxy.endpoint()).expect("dials");
    a.expect_connected();
    b.expect_connected();
    proxy.hold();
    assert_eq!((a.expect_disconnected(), b.expect_disconnected()), (CloseReason::Stale, CloseReason::Stale));
}
