//! Following logs, waiting for acknowledgements, and the lag of peers, between real nodes.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{PATIENCE, Peer, config, eventually};
use vixp2p::base::config::Durability;
use vixp2p::driver::apply::Outcome;
use vixp2p::node::{AckLevel, Ackers, LogRecord, Subscribe, Subscription};
use vixp2p::{Config, Error, Event};

const SOON: Duration = Duration::from_millis(1);

fn numbered(range: std::ops::RangeInclusive<u64>) -> Vec<Bytes> {
    range.map(|n| Bytes::from(format!("record {n}"))).collect()
}

fn take(subscription: &mut Subscription, count: usize) -> Vec<LogRecord> {
    let next = |_| subscription.next_blocking(PATIENCE).expect("runs").expect("a record in time");
    (0..count).map(next).collect()
}

fn assert_numbered(records: &[LogRecord], first: u64) {
    for (record, n) in records.iter().zip(first..) {
        assert_eq!((record.seq, &record.payload[..]), (n, format!("record {n}").as_bytes()));
    }
}

#[test]
fn a_subscription_gives_what_is_there_from_its_place_on_and_then_what_comes() {
    let peer = Peer::named("a");
    let log = peer.node.own_log();
    peer.node.append_blocking(numbered(1..=1000)).expect("appends");
    let mut all = peer.node.subscribe(Subscribe::log(log, 1)).expect("runs");
    let mut some = peer.node.subscribe(Subscribe::log(log, 990)).expect("runs");
    let mut new = peer.node.subscribe(Subscribe::new_records()).expect("runs");
    assert_numbered(&take(&mut all, 1000), 1);
    assert_numbered(&take(&mut some, 11), 990);
    assert_eq!(all.try_next().expect("runs"), None);
    assert_eq!(new.next_blocking(SOON).expect("runs"), None);
    peer.node.append_blocking(numbered(1001..=1003)).expect("appends");
    for subscription in [&mut all, &mut some, &mut new] {
        assert_numbered(&take(subscription, 3), 1001);
        assert_eq!(subscription.cursor(), [(log, 1004)]);
    }
}

#[test]
fn a_subscription_that_waits_is_woken_by_a_record_and_by_the_end_of_the_node() {
    let peer = Peer::named("a");
    let mut waiting = peer.node.subscribe(Subscribe::all()).expect("runs");
    let thread = std::thread::spawn(move || {
        let first = waiting.next_blocking(PATIENCE);
        (first, waiting.next_blocking(PATIENCE).map(drop))
    });
    peer.node.append_blocking(numbered(1..=1)).expect("appends");
    eventually("the record to be there", || peer.node.logs().iter().any(|view| view.durable == 1));
    let mut cancelled = peer.node.subscribe(Subscribe::new_records()).expect("runs");
    let canceller = cancelled.canceller();
    let other = std::thread::spawn(move || cancelled.next_blocking(PATIENCE).map(drop));
    canceller.cancel();
    assert!(matches!(other.join().expect("no panic"), Err(Error::Stopped)));
    peer.node.stop_blocking();
    let (first, end) = thread.join().expect("no panic");
    // The node may stop before the thread has come to wait.
    assert!(matches!(first, Ok(Some(_)) | Err(Error::Stopped)));
    assert!(matches!(end, Err(Error::Stopped)));
    assert!(matches!(peer.node.subscribe(Subscribe::all()), Err(Error::Stopped)));
}

#[test]
fn a_subscription_to_all_logs_sees_those_of_peers_that_come_later() {
    let (mut a, mut b) = (Peer::named("a"), Peer::named("b"));
    let mut all = b.node.subscribe(Subscribe::all()).expect("runs");
    a.node.append_blocking(numbered(1..=3)).expect("appends");
    a.join(&mut b);
    let records = take(&mut all, 3);
    assert!(records.iter().all(|record| record.log == a.node.own_log()));
    assert_numbered(&records, 1);
    b.node.append_blocking(numbered(1..=1)).expect("appends");
    assert_eq!(take(&mut all, 1)[0].log, b.node.own_log());
    let mut places = vec![(a.node.own_log(), 4), (b.node.own_log(), 2)];
    places.sort();
    assert_eq!(all.cursor(), places);
}

#[tokio::test]
async fn the_asynchronous_subscription_loses_nothing_when_its_future_is_dropped() {
    let peer = Peer::named("a");
    let log = peer.node.own_log();
    let mut all = peer.node.subscribe(Subscribe::log(log, 0)).expect("runs");
    for n in 1..=20 {
        let _ = tokio::time::timeout(SOON, all.next()).await.expect_err("there is nothing yet");
        peer.node.append(numbered(n..=n)).await.expect("appends");
        assert_numbered(&[all.next().await.expect("runs")], n);
    }
}

#[test]
fn a_barrier_makes_buffered_records_durable() {
    let peer = Peer::start(Config { durability: Durability::Buffered, ..config("a") });
    let mut last = 0;
    for n in 1..=50 {
        peer.node.append_blocking(numbered(n..=n)).expect("accepted");
        if n % 10 == 0 {
            last = peer.node.flush_blocking().expect("the disk works");
            assert_eq!(last, n);
            assert!(peer.node.logs().iter().any(|view| view.durable >= n));
        }
    }
    peer.node.stop_blocking();
    assert_eq!(peer.node.flush_blocking().expect("works offline"), last);
}

#[test]
fn waiting_for_acknowledgements_ends_when_those_peers_have_the_record_and_not_before() {
    let (mut a, mut b) = (Peer::named("a"), Peer::open(config("b")));
    let (let_go, gate) = std::sync::mpsc::channel::<()>();
    b.node.on_apply(move |_| {
        // Ends when the test says so, or is over.
        let _ = gate.recv();
        Outcome::Applied
    });
    b.node.start().expect("starts");
    let log = a.node.own_log();
    a.node.append_blocking(numbered(1..=2)).expect("appends");
    let nobody = a.node.wait_for_ack_blocking((log, 2), &Ackers::Any(1), AckLevel::Durable, Some(SOON)).expect("runs");
    assert!(!nobody.complete && nobody.peers.is_empty());
    assert!(a.node.wait_for_ack_blocking((log, 2), &Ackers::Any(0), AckLevel::Durable, None).expect("runs").complete);
    a.join(&mut b);
    let durable = a.node.wait_for_ack_blocking((log, 2), &Ackers::All(vec![b.id()]), AckLevel::Durable, Some(PATIENCE)).expect("runs");
    assert!(durable.complete);
    assert_eq!(durable.peers, [b.id()]);
    let applied = |timeout| a.node.wait_for_ack_blocking((log, 2), &Ackers::Any(1), AckLevel::Applied, Some(timeout)).expect("runs");
    assert!(!applied(SOON).complete);
    let two = a.node.wait_for_ack_blocking((log, 2), &Ackers::Any(2), AckLevel::Durable, Some(SOON)).expect("runs");
    assert!(!two.complete && two.peers == [b.id()]);
    drop(let_go);
    assert!(applied(PATIENCE).complete);
}

#[test]
fn the_status_tells_how_far_each_peer_is_and_what_it_lacks() {
    let (mut a, mut b) = (Peer::named("a"), Peer::open(config("b")));
    b.node.on_apply(|record| if record.seq < 3 { Outcome::Applied } else { Outcome::Poison });
    b.node.start().expect("starts");
    let appended = a.node.append_records_blocking(numbered(1..=5)).expect("appends");
    let log = appended.log;
    assert_eq!((log, appended.first, appended.last), (a.node.own_log(), 1, 5));
    assert_eq!(a.node.append_records_blocking(Vec::new()).expect("nothing to do").last, 0);
    assert_eq!(a.node.sync_status_blocking()[0].durable, 5);
    a.join(&mut b);
    a.node.wait_for_ack_blocking((log, 2), &Ackers::Any(1), AckLevel::Applied, Some(PATIENCE)).expect("runs");
    b.expect("the log to be parked", |e| matches!(e, Event::ApplyParked { .. }).then_some(()));
    let status = a.node.sync_status_blocking();
    assert!(status[0].own && status[0].log == log);
    let peer = &status[0].peers[0];
    assert_eq!((peer.peer, peer.durable, peer.applied, peer.lag.records, peer.lag.bytes), (b.id(), 5, 2, 0, 0));
    let there = b.node.sync_status_blocking();
    let theirs = there.iter().find(|progress| progress.log == log).expect("carries it");
    assert!(!theirs.own && theirs.lag.bytes > 0);
    assert_eq!((theirs.durable, theirs.applied, theirs.lag.records), (5, 2, 3));
    assert_eq!((status[0].parked, theirs.parked, theirs.frozen), (None, Some(3), false));
    b.node.stop_blocking();
    assert_eq!(b.node.append_records_blocking(numbered(1..=1)).expect("keeps its log").log, b.node.own_log());
    assert_eq!(b.node.sync_status_blocking().iter().find(|progress| progress.log == log).map(|p| p.lag.records), Some(3));
}
