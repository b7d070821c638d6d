//! Messages to peers that are no neighbours, over real sockets; and neighbours that tell of each other.

mod common;

use std::time::Duration;

use common::{Peer, config, eventually};
use vixp2p::base::config::Psk;
use vixp2p::base::route::Undelivered;
use vixp2p::base::{Config, Error, Event, PeerId, limits};

fn member(name: &str) -> Config {
    let mut config = config(name);
    config.psk = Some(Psk::new([7; 32]));
    config
}

fn chain<const N: usize>(names: [&str; N]) -> [Peer; N] {
    let mut peers = names.map(|name| Peer::start(member(name)));
    for n in 1..N {
        let [left, right] = &mut peers[n - 1..=n] else { unreachable!("two of them") };
        left.join(right);
    }
    peers
}

fn from(peer: &mut Peer) -> (PeerId, Vec<u8>) {
    peer.expect("Data", |e| match e {
        Event::Data { peer, batch } => Some((*peer, batch.iter().next()?.to_vec())),
        _ => None,
    })
}

fn delivered(peer: &mut Peer, number: u64) {
    peer.expect("Delivered", |e| matches!(e, Event::Delivered { message, .. } if *message == number).then_some(()));
}

fn undelivered(peer: &mut Peer, number: u64) -> Undelivered {
    peer.expect("Undelivered", |e| match e {
        Event::Undelivered { message, reason, .. } if *message == number => Some(*reason),
        _ => None,
    })
}

#[test]
fn a_message_goes_along_a_chain_both_ways_and_its_sender_hears_of_it() {
    let [mut a, b, _c, mut d] = chain(["a", "b", "c", "d"]);
    for len in [0, 1, 3_000, limits::ROUTED_MAX_BYTES] {
        let number = a.node.send_to(d.id(), &vec![len as u8; len], None).expect("taken");
        assert_eq!(from(&mut d), (a.id(), vec![len as u8; len]));
        delivered(&mut a, number);
    }
    let number = d.node.send_to(a.id(), b"back", None).expect("taken");
    assert_eq!(from(&mut a), (d.id(), b"back".to_vec()));
    delivered(&mut d, number);
    let route = a.node.route(d.id()).expect("found");
    assert!(route.via_relay && route.learned && route.next_hop == b.id() && route.ttl == limits::ROUTE_TTL);
    let route = a.node.route(b.id()).expect("a neighbour");
    assert!(!route.via_relay && !route.learned && route.next_hop == b.id());
}

#[test]
fn many_messages_at_once_all_arrive_once() {
    let [mut a, _b, mut c] = chain(["a", "b", "c"]);
    let numbers: Vec<u64> = (0..200u32).map(|n| a.node.send_to(c.id(), &n.to_le_bytes(), None).expect("taken")).collect();
    let mut got: Vec<Vec<u8>> = (0..200).map(|_| from(&mut c).1).collect();
    numbers.into_iter().for_each(|number| delivered(&mut a, number));
    got.sort_by_key(|bytes| u32::from_le_bytes(bytes.as_slice().try_into().expect("four bytes")));
    assert_eq!(got, (0..200u32).map(|n| n.to_le_bytes().to_vec()).collect::<Vec<_>>());
    assert!(!c.has_seen(|e| matches!(e, Event::Data { .. })), "one came twice");
}

#[test]
fn another_way_is_found_when_a_relay_stops_and_a_restarted_recipient_is_reached() {
    let [mut a, b, mut c] = chain(["a", "b", "c"]);
    let mut other = Peer::start(member("other"));
    a.join(&mut other);
    c.join(&mut other);
    let number = a.node.send_to(c.id(), b"1", None).expect("taken");
    assert_eq!(from(&mut c).1, b"1");
    delivered(&mut a, number);
    b.node.stop_blocking();
    a.expect_disconnected();
    let number = a.node.send_to(c.id(), b"2", None).expect("taken");
    assert_eq!(from(&mut c).1, b"2");
    delivered(&mut a, number);
    c.node.stop_blocking();
    c.node.start().expect("starts again");
    other.forget();
    c.node.connect(other.endpoint()).expect("dials");
    let number = a.node.send_to(c.id(), b"3", None).expect("taken");
    assert_eq!(from(&mut c).1, b"3");
    delivered(&mut a, number);
}

#[test]
fn a_node_that_does_not_relay_is_no_way_and_the_sender_is_told_within_the_life_of_the_message() {
    let mut silent = member("b");
    silent.relay = false;
    let [mut a, mut b, mut c] = [Peer::start(member("a")), Peer::start(silent), Peer::start(member("c"))];
    a.join(&mut b);
    c.join(&mut b);
    let life = Some(Duration::from_millis(700));
    let number = a.node.send_to(c.id(), b"x", life).expect("taken");
    assert_eq!(undelivered(&mut a, number), Undelivered::NoRoute);
    // Nor if it is named as the way.
    a.node.set_route(c.id(), b.id(), 8).expect("set");
    let number = a.node.send_to(c.id(), b"x", life).expect("taken");
    assert_eq!(undelivered(&mut a, number), Undelivered::NoRoute);
    let number = a.node.send_to(b.id(), b"y", life).expect("taken");
    assert_eq!(from(&mut b), (a.id(), b"y".to_vec()));
    delivered(&mut a, number);
}

#[test]
fn a_route_that_is_given_is_taken_and_its_ttl_counts() {
    let [mut a, b, _c, mut d] = chain(["a", "b", "c", "d"]);
    a.node.set_route(d.id(), b.id(), 2).expect("set");
    let route = a.node.route(d.id()).expect("given");
    assert!(!route.learned && route.ttl == 2 && route.next_hop == b.id());
    let number = a.node.send_to(d.id(), b"x", Some(Duration::from_secs(3))).expect("taken");
    assert_eq!(undelivered(&mut a, number), Undelivered::TtlExceeded);
    a.node.set_route(d.id(), b.id(), 3).expect("set");
    let number = a.node.send_to(d.id(), b"y", None).expect("taken");
    assert_eq!(from(&mut d).1, b"y");
    delivered(&mut a, number);
    assert!(a.node.remove_route(d.id()) && !a.node.remove_route(d.id()));
    let itself = a.id();
    assert!(matches!(a.node.send_to(itself, b"", None), Err(Error::Invalid(_))));
    assert!(matches!(a.node.set_route(d.id(), itself, 8), Err(Error::Invalid(_))));
    assert!(a.node.set_route(d.id(), b.id(), 0).is_err() && a.node.set_route(d.id(), b.id(), 9).is_err());
    let long = vec![0; limits::ROUTED_MAX_BYTES + 1];
    assert!(matches!(a.node.send_to(d.id(), &long, None), Err(Error::TooLarge { .. })));
}

#[test]
fn a_revoked_sender_is_refused_at_the_end_of_the_way() {
    let [mut a, _b, mut c] = chain(["a", "b", "c"]);
    c.node.revoke(a.id()).expect("revoked");
    let number = a.node.send_to(c.id(), b"x", Some(Duration::from_millis(700))).expect("taken");
    assert_eq!(undelivered(&mut a, number), Undelivered::Refused);
    assert!(!c.has_seen(|e| matches!(e, Event::Data { .. })));
}

#[test]
fn a_message_to_what_is_no_key_is_given_up_at_once() {
    let [mut a, b] = chain(["a", "b"]);
    let mut no_point = [0; 32];
    no_point[0] = 2;
    // Sealed before it is found that nobody can be there, so a way is named.
    a.node.set_route(PeerId(no_point), b.id(), 8).expect("set");
    let number = a.node.send_to(PeerId(no_point), b"x", None).expect("taken");
    assert_eq!(undelivered(&mut a, number), Undelivered::NoKey);
}

#[test]
fn numbers_of_messages_go_on_when_a_node_starts_again() {
    let [mut a, b] = chain(["a", "b"]);
    let first = a.node.send_to(b.id(), b"1", None).expect("taken");
    delivered(&mut a, first);
    a.node.stop_blocking();
    a.node.start().expect("starts");
    assert_eq!(a.node.send_to(b.id(), b"2", None).expect("taken"), first + 1);
}

#[test]
fn peers_of_one_neighbour_learn_of_each_other_and_connect() {
    let peers: Vec<Peer> = (0..4)
        .map(|n| {
            let mut config = member(&format!("n{n}"));
            config.peer_exchange = true;
            Peer::start(config)
        })
        .collect();
    let hub = peers[0].endpoint();
    peers[1..].iter().for_each(|peer| peer.node.connect(hub.clone()).expect("dials"));
    eventually("a full mesh", || peers.iter().all(|peer| peer.node.stats().peers_connected == 3));
}

#[test]
fn a_node_without_peer_exchange_tells_nobody_and_dials_nobody() {
    let exchanging = |name: &str, on: bool| {
        let mut config = member(name);
        config.peer_exchange = on;
        Peer::start(config)
    };
    let [mut hub, mut a, mut b] = [exchanging("hub", false), exchanging("a", true), exchanging("b", true)];
    a.join(&mut hub);
    b.join(&mut hub);
    // What was said on the links by now is answered behind it.
    for peer in [&mut a, &mut b] {
        let number = peer.node.send_to(hub.id(), b"x", None).expect("taken");
        delivered(peer, number);
    }
    let known = |peer: &Peer| peer.node.peers().len();
    assert_eq!((known(&a), known(&b), known(&hub)), (1, 1, 2));
}

#[test]
fn threads_that_set_and_remove_one_route_leave_the_node_and_its_mesh_of_one_mind() {
    let [a, b] = chain(["a", "b"]);
    let to = PeerId([9; 32]);
    for round in 0..300 {
        let start = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                a.node.set_route(to, b.id(), 3).expect("set");
            });
            start.wait();
            a.node.remove_route(to);
        });
        let known = a.node.route(to).is_some();
        assert_eq!(a.node.remove_route(to), known, "round {round}");
    }
}
