//! The log between real nodes: every record once and in order, whatever happens to connections and nodes.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use common::proxy::{Fate, Proxy};
use common::{PATIENCE, Peer, config, eventually};
use parking_lot::Mutex;
use vixp2p::base::config::Durability;
use vixp2p::base::{CloseReason, LogId};
use vixp2p::driver::apply::Outcome;
use vixp2p::node::{AckLevel, Ackers};
use vixp2p::{Config, Error, Event};

type Applied = BTreeMap<LogId, Vec<(u64, Bytes)>>;

/// What an application has applied: for every log the numbers and payloads in the order they came.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Applied>>);

impl Store {
    fn attach(&self, peer: &Peer) {
        let store = self.clone();
        peer.node.on_apply(move |record| {
            store.0.lock().entry(record.log).or_default().push((record.seq, Bytes::copy_from_slice(record.payload)));
            Outcome::Applied
        });
    }

    fn len(&self, log: LogId) -> usize {
        self.0.lock().get(&log).map_or(0, Vec::len)
    }

    /// Waits until no node holds the handler any more: nothing is applied from then on.
    fn expect_let_go(&self) {
        eventually("the handler to be gone", || Arc::strong_count(&self.0) == 1);
    }

    /// Waits until `n` records are applied, and sees that they are 1 to `n` with the payloads of [`record`].
    fn expect_exactly(&self, log: LogId, n: u64) {
        eventually(&format!("{n} records applied"), || self.len(log) as u64 >= n);
        let applied = self.0.lock().get(&log).cloned().unwrap_or_default();
        assert_eq!(applied.len() as u64, n);
        assert!(applied.iter().zip(1..).all(|((seq, payload), n)| *seq == n && *payload == record(n)), "in order, each once");
    }
}

fn record(n: u64) -> String {
    format!("record {n} {}", "x".repeat((n % 100) as usize))
}

fn records(range: std::ops::RangeInclusive<u64>) -> impl Iterator<Item = String> {
    range.map(record)
}

fn on_disk(name: &str, dir: &tempfile::TempDir) -> Config {
    let mut settings = config(name);
    settings.data_dir = Some(dir.path().join(name));
    settings
}

fn pair_with_stores() -> (Peer, Peer, Store, Store) {
    let (a, b) = (Peer::open(config("a")), Peer::open(config("b")));
    let (of_a, of_b) = (Store::default(), Store::default());
    of_a.attach(&a);
    of_b.attach(&b);
    a.node.start().expect("starts");
    b.node.start().expect("starts");
    (a, b, of_a, of_b)
}

#[test]
fn records_of_ephemeral_nodes_are_applied_at_the_other_side_and_acknowledged() {
    let (mut a, mut b, of_a, of_b) = pair_with_stores();
    a.join(&mut b);
    assert_eq!(a.append(records(1..=3)), (1, 3));
    assert_eq!(a.append(records(4..=4)), (4, 4));
    assert_eq!(b.append(records(1..=5)), (1, 5));
    of_b.expect_exactly(a.node.own_log(), 4);
    of_a.expect_exactly(b.node.own_log(), 5);
    let (peer, log) = (b.id(), a.node.own_log());
    a.expect("an ack of everything", |e| match e {
        Event::Acked { peer: by, log: of, durable: 4, applied: 4 } if (*by, *of) == (peer, log) => Some(()),
        _ => None,
    });
    let stats = (a.node.stats(), b.node.stats());
    assert_eq!((stats.0.records_appended, stats.0.records_applied), (4, 5));
    assert_eq!((stats.1.records_appended, stats.1.records_applied), (5, 4));
}

#[test]
fn what_is_appended_before_the_start_and_alone_arrives_once_there_is_a_link() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut a = Peer::open(on_disk("a", &dir));
    assert_eq!(a.append(records(1..=10)), (1, 10));
    assert_eq!(a.node.append_blocking(Vec::new()).expect("nothing to do"), (0, 0));
    a.node.start().expect("starts");
    assert_eq!(a.append(records(11..=600)), (11, 600));
    assert_eq!(a.node.append_blocking(Vec::new()).expect("nothing to do"), (0, 0));
    let (mut b, store) = (Peer::open(config("b")), Store::default());
    store.attach(&b);
    b.node.start().expect("starts");
    b.join(&mut a);
    store.expect_exactly(a.node.own_log(), 600);
}

#[test]
fn buffered_records_arrive_and_are_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let buffered = || Config { durability: Durability::Buffered, ..on_disk("a", &dir) };
    let (mut a, mut b, store) = (Peer::start(buffered()), Peer::open(config("b")), Store::default());
    store.attach(&b);
    b.node.start().expect("starts");
    b.join(&mut a);
    for n in 1..=200 {
        assert_eq!(a.append(records(n..=n)), (n, n));
    }
    store.expect_exactly(a.node.own_log(), 200);
    assert_eq!(a.append(records(201..=201)), (201, 201));
    let log = a.node.own_log();
    a.node.stop_blocking();
    assert_eq!(a.append(records(202..=202)), (202, 202), "a stopped node keeps its log");
    drop(a);
    let mut a = Peer::start(buffered());
    assert_eq!(a.node.own_log(), log);
    a.join(&mut b);
    store.expect_exactly(log, 202);
}

#[test]
fn damage_below_the_durable_mark_is_set_aside_and_fetched_again_from_a_peer() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, mut b, store) = (Peer::start(on_disk("a", &dir)), Peer::open(config("b")), Store::default());
    store.attach(&b);
    b.node.start().expect("starts");
    b.join(&mut a);
    for n in 1..=20 {
        a.append(records(n..=n));
    }
    let log = a.node.own_log();
    store.expect_exactly(log, 20);
    a.node.stop_blocking();
    drop(a);
    let file =
        dir.path().join("a").join("log").join(log.origin.to_string()).join(log.incarnation.to_string()).join(format!("{:020}.wal", 1));
    let mut bytes = std::fs::read(&file).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).expect("writable");
    let mut a = Peer::start(on_disk("a", &dir));
    a.expect("the damage", |e| matches!(e, Event::LogDamaged { .. }).then_some(()));
    assert_ne!(a.node.own_log(), log, "acknowledged numbers are never used again");
    assert!(a.node.logs().iter().any(|view| view.log == log && (1..20).contains(&view.durable)), "up to the damage");
    a.join(&mut b);
    eventually("the log is whole again", || a.node.logs().iter().any(|view| view.log == log && view.durable == 20));
    a.append(records(1..=3));
    store.expect_exactly(a.node.own_log(), 3);
    store.expect_exactly(log, 20);
}

fn copy_directory(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("writable");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("known").is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

#[test]
fn a_node_set_back_that_writes_before_it_meets_anybody_goes_on_in_a_new_log_and_keeps_its_links() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settings = || Config { remember_peers: false, ..on_disk("a", &dir) };
    let (mut a, mut b, store) = (Peer::start(settings()), Peer::open(config("b")), Store::default());
    store.attach(&b);
    b.node.start().expect("starts");
    a.append(records(1..=5));
    let old = a.node.own_log();
    a.node.stop_blocking();
    copy_directory(&dir.path().join("a"), &dir.path().join("copy"));
    a.node.start().expect("starts");
    a.join(&mut b);
    a.append(records(6..=10));
    store.expect_exactly(old, 10);
    a.node.stop_blocking();
    drop(a);
    b.expect_disconnected();
    std::fs::rename(dir.path().join("a"), dir.path().join("lost")).expect("moved");
    std::fs::rename(dir.path().join("copy"), dir.path().join("a")).expect("moved");
    let mut a = Peer::start(settings());
    assert_eq!(a.node.own_log(), old);
    a.append(records(6..=8));
    // The peer has another record 8, which is no acknowledgement of this one.
    let node = a.node.clone();
    let acks = move || node.wait_for_ack_blocking((old, 8), &Ackers::Any(1), AckLevel::Durable, Some(PATIENCE));
    let waiting = std::thread::spawn(acks.clone());
    a.join(&mut b);
    eventually("a new log", || a.node.own_log() != old);
    eventually("the fork to be seen", || a.node.logs().iter().any(|view| view.log == old && view.frozen));
    assert!(a.node.sync_status_blocking().iter().any(|progress| progress.log == old && progress.frozen));
    for end in [waiting.join().expect("no panic"), acks()] {
        assert!(matches!(&end, Err(Error::Log(why)) if why.contains("rolled back")), "{end:?}");
    }
    a.append(records(1..=3));
    store.expect_exactly(a.node.own_log(), 3);
    store.expect_exactly(old, 10);
    assert!(!a.has_seen(|e| matches!(e, Event::PeerDisconnected { .. })) && !b.has_seen(|e| matches!(e, Event::PeerDisconnected { .. })));
}

#[test]
fn records_reach_a_node_through_another_one() {
    let (mut a, mut b, _, of_b) = pair_with_stores();
    let (mut c, of_c) = (Peer::open(config("c")), Store::default());
    of_c.attach(&c);
    c.node.start().expect("starts");
    a.join(&mut b);
    c.join(&mut b);
    a.append(records(1..=500));
    c.append(records(1..=300));
    of_c.expect_exactly(a.node.own_log(), 500);
    of_b.expect_exactly(a.node.own_log(), 500);
    of_b.expect_exactly(c.node.own_log(), 300);
    a.expect_log(c.node.own_log(), 300, 300);
    // Who comes when the origin is gone gets it all the same.
    let log = a.node.own_log();
    a.node.stop_blocking();
    let (mut d, of_d) = (Peer::open(config("d")), Store::default());
    of_d.attach(&d);
    d.node.start().expect("starts");
    d.join(&mut c);
    of_d.expect_exactly(log, 500);
}

#[test]
fn a_refused_record_is_offered_again_and_nothing_after_it_before() {
    let (mut a, mut b) = (Peer::named("a"), Peer::open(config("b")));
    let (store, refusals) = (Store::default(), Arc::new(AtomicU64::new(0)));
    let (applied, refused) = (store.clone(), refusals.clone());
    b.node.on_apply(move |record| {
        if record.seq == 7 && refused.fetch_add(1, Ordering::SeqCst) < 2 {
            return Outcome::Retry;
        }
        applied.0.lock().entry(record.log).or_default().push((record.seq, Bytes::copy_from_slice(record.payload)));
        Outcome::Applied
    });
    b.node.start().expect("starts");
    b.join(&mut a);
    a.append(records(1..=20));
    let log = a.node.own_log();
    let refusal = |e: &Event| match e {
        Event::ApplyRefused { log: of, seq: 7, retry_in_ms } if *of == log => Some(*retry_in_ms),
        _ => None,
    };
    assert_eq!(b.expect("a refusal", refusal), 500);
    assert_eq!(store.len(log), 6);
    assert_eq!(b.expect("a second refusal", refusal), 1_000);
    store.expect_exactly(log, 20);
    assert_eq!(refusals.load(Ordering::SeqCst), 3);
}

#[test]
fn an_application_that_tells_its_place_applies_exactly_once_over_restarts() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, store) = (Peer::named("a"), Store::default());
    let log = a.node.own_log();
    for round in 1..=4u64 {
        a.append(records(round * 50 - 49..=round * 50));
        let mut b = Peer::open(on_disk("b", &dir));
        b.node.set_applied(log, store.len(log) as u64).expect("knows the log");
        store.attach(&b);
        b.node.start().expect("starts");
        b.join(&mut a);
        store.expect_exactly(log, round * 50);
        if round % 2 == 0 {
            b.node.stop_blocking();
        }
        drop(b);
        store.expect_let_go();
        eventually("the directory to be free", || lock_is_free(&dir));
        a.forget();
    }
}

fn lock_is_free(dir: &tempfile::TempDir) -> bool {
    std::fs::File::open(dir.path().join("b/lock")).is_ok_and(|file| file.try_lock().is_ok())
}

#[test]
fn a_node_dropped_in_the_middle_goes_on_from_its_directory() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, store) = (Peer::open(on_disk("a", &dir)), Store::default());
    a.append(records(1..=3_000));
    a.node.start().expect("starts");
    let log = a.node.own_log();
    let mut rng = fastrand::Rng::with_seed(11);
    for _ in 0..4 {
        let mut b = Peer::open(on_disk("b", &dir));
        b.node.set_applied(log, store.len(log) as u64).expect("knows the log");
        store.attach(&b);
        b.node.start().expect("starts");
        b.join(&mut a);
        let enough = (store.len(log) + rng.usize(1..700)).min(3_000);
        eventually("some records", || store.len(log) >= enough);
        drop(b);
        store.expect_let_go();
        eventually("the directory to be free", || lock_is_free(&dir));
        a.forget();
    }
    // A kill may come between the effect and the note of it: the application's own count is what is told at the start.
    let mut b = Peer::open(on_disk("b", &dir));
    b.node.set_applied(log, store.len(log) as u64).expect("knows the log");
    store.attach(&b);
    b.node.start().expect("starts");
    b.join(&mut a);
    store.expect_exactly(log, 3_000);
}

#[test]
fn an_altered_record_ends_the_link_which_is_dialled_again_and_nothing_is_lost() {
    let (mut a, mut b, of_a, of_b) = pair_with_stores();
    let spoil = Arc::new(AtomicBool::new(false));
    let armed = spoil.clone();
    let proxy = Proxy::to(&b.endpoint(), move |piece| {
        if piece.to_server && armed.swap(false, Ordering::SeqCst) {
            let middle = piece.offset + piece.bytes.len() as u64 / 2;
            piece.flip(middle);
        }
        Fate::Pass
    });
    a.node.connect(proxy.endpoint()).expect("dials");
    a.expect_connected();
    b.expect_connected();
    a.append(records(1..=100));
    of_b.expect_exactly(a.node.own_log(), 100);
    spoil.store(true, Ordering::SeqCst);
    a.append(records(101..=400));
    b.append(records(1..=200));
    let reason = b.expect_disconnected();
    assert!(matches!(reason, CloseReason::BadRecord(_) | CloseReason::FrameTooLarge { .. }), "{reason}");
    assert!(matches!(a.expect_disconnected(), CloseReason::Lost(_)));
    assert_eq!(a.expect_connected(), b.id());
    of_b.expect_exactly(a.node.own_log(), 400);
    of_a.expect_exactly(b.node.own_log(), 200);
}

#[test]
fn connections_killed_at_any_byte_while_records_go_both_ways_cost_nothing_but_time() {
    const COUNT: u64 = 2_000;
    let (mut a, b, of_a, of_b) = pair_with_stores();
    let (log_a, log_b) = (a.node.own_log(), b.node.own_log());
    let mut rng = fastrand::Rng::with_seed(3);
    for n in 1..=COUNT {
        a.append([record(n)]);
        b.append([record(n)]);
    }
    // Every kill through a proxy of its own: another endpoint has no backoff.
    let mut kills = 0;
    while kills < 25 && (of_a.len(log_b) as u64) < COUNT && (of_b.len(log_a) as u64) < COUNT {
        let (budget, mut passed) = (rng.usize(1..40_000), 0);
        let proxy = Proxy::to(&b.endpoint(), move |piece| {
            passed += piece.bytes.len();
            if passed > budget { Fate::Kill(piece.bytes.len().saturating_sub(passed - budget)) } else { Fate::Pass }
        });
        let endpoint = proxy.endpoint();
        a.node.connect(endpoint.clone()).expect("dials");
        a.expect("the end of the connection", |e| match e {
            Event::ConnectFailed { endpoint: of, .. } | Event::PeerDisconnected { endpoint: of, .. } if *of == endpoint => Some(()),
            _ => None,
        });
        kills += 1;
    }
    assert!(kills >= 5, "killed {kills} times");
    a.node.connect(b.endpoint()).expect("dials");
    of_b.expect_exactly(log_a, COUNT);
    of_a.expect_exactly(log_b, COUNT);
    let (end_a, end_b) = (a.node.logs(), b.node.logs());
    let reach = |views: &[vixp2p::mesh::LogView]| views.iter().map(|v| (v.log, v.durable, v.applied)).collect::<Vec<_>>();
    assert_eq!(reach(&end_a), reach(&end_b));
}
