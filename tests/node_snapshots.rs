//! Snapshots between real nodes: what was let go of reaches a late joiner as a state, once, whoever is killed meanwhile.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};

use bytes::Bytes;
use common::{Peer, eventually, in_small_files as on_disk, open_again, record};
use parking_lot::Mutex;
use vixp2p::base::Level;
use vixp2p::driver::apply::{Outcome, Standing};
use vixp2p::node::SnapshotHandler;
use vixp2p::outbox::{State, Target};
use vixp2p::snapshot::Place;
use vixp2p::{Event, Node};

/// An application whose state is the last value of each key, and how many records it took.
#[derive(Clone, Default)]
struct App {
    state: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    applied: Arc<AtomicU64>,
    read: Arc<AtomicU64>,
    /// The next read of a state fails.
    failing: Arc<Mutex<bool>>,
    /// The next read of a state does nothing more once the other end of this has gone, as in a process that is killed.
    dying: Arc<Mutex<Option<Receiver<()>>>>,
}

impl App {
    fn take(&self, record: &[u8]) {
        let at = record.iter().position(|byte| *byte == b'=').expect("a key");
        let key = String::from_utf8(record[..at].to_vec()).expect("text");
        self.state.lock().insert(key, record[at + 1..].to_vec());
    }

    fn attach(&self, node: &Node) {
        let app = self.clone();
        node.on_apply(move |record| {
            app.take(record.payload);
            app.applied.fetch_add(1, Ordering::SeqCst);
            Outcome::Applied
        });
        node.on_snapshot(self.clone());
    }

    fn append(&self, node: &Node, records: Vec<Vec<u8>>) {
        records.iter().for_each(|record| self.take(record));
        node.append_blocking(records.into_iter().map(Bytes::from).collect()).expect("appends");
    }

    fn state(&self) -> BTreeMap<String, Vec<u8>> {
        self.state.lock().clone()
    }
}

impl SnapshotHandler for App {
    fn write(&mut self, own: u64, out: &mut dyn Write) -> io::Result<u64> {
        for (key, value) in &*self.state.lock() {
            out.write_all(&(key.len() as u32).to_le_bytes())?;
            out.write_all(key.as_bytes())?;
            out.write_all(&(value.len() as u32).to_le_bytes())?;
            out.write_all(value)?;
        }
        Ok(own)
    }

    fn read(&mut self, places: &[Place], input: &mut dyn Read) -> io::Result<()> {
        assert!(!places.is_empty());
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes)?;
        let (mut rest, mut state) = (&bytes[..], BTreeMap::new());
        let part = |rest: &mut &[u8]| {
            let (len, tail) = rest.split_first_chunk::<4>()?;
            let (part, tail) = tail.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            *rest = tail;
            Some(part.to_vec())
        };
        while !rest.is_empty() {
            let (key, value) = (part(&mut rest).expect("a key"), part(&mut rest).expect("a value"));
            state.insert(String::from_utf8(key).expect("text"), value);
        }
        if std::mem::take(&mut *self.failing.lock()) {
            return Err(io::Error::other("not now"));
        }
        if let Some(killed) = self.dying.lock().take() {
            self.read.fetch_add(1, Ordering::SeqCst);
            let _ = killed.recv();
            panic!("killed");
        }
        *self.state.lock() = state;
        self.read.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A node with records, a snapshot, and without its first records.
fn giver(dir: &Path, records: usize, len: usize) -> (Peer, App) {
    let (peer, app) = (Peer::open(on_disk("a", dir)), App::default());
    app.attach(&peer.node);
    peer.node.start().expect("starts");
    for n in 0..records {
        app.append(&peer.node, vec![record(n, len)]);
    }
    peer.node.make_snapshot_blocking().expect("made");
    let own = peer.node.own_log();
    let base = peer.node.truncate_logs_blocking().expect("cut").bases.get(&own).copied().expect("something went");
    assert!(base > 0 && base <= records as u64);
    (peer, app)
}

#[test]
fn a_late_joiner_gets_what_went_as_a_state_and_the_rest_as_records() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, of_a) = giver(dir.path(), 300, 1024);
    for n in 300..340 {
        of_a.append(&a.node, vec![record(n, 1024)]);
    }
    let (mut b, of_b) = (Peer::open(on_disk("b", dir.path())), App::default());
    of_b.attach(&b.node);
    b.node.start().expect("starts");
    b.join(&mut a);
    b.expect_log(a.node.own_log(), 340, 340);
    eventually("the same state", || of_b.state() == of_a.state());
    let (maker, bytes) =
        b.expect("SnapshotTaken", |e| if let Event::SnapshotTaken { peer, bytes, .. } = e { Some((*peer, *bytes)) } else { None });
    assert!(maker == a.id() && bytes > 64 * 1024);
    assert!(of_b.read.load(Ordering::SeqCst) == 1 && of_b.applied.load(Ordering::SeqCst) < 340);
    assert_eq!(b.node.snapshots(), a.node.snapshots(), "b can give it on");
    // The taker's own records go on, and so do the giver's.
    of_b.append(&b.node, vec![b"of b=1".to_vec()]);
    of_a.append(&a.node, vec![record(341, 10)]);
    eventually("the same state again", || of_b.state() == of_a.state() && of_a.state().contains_key("of b"));
    // What b holds after a restart is the state and the tail.
    b.node.stop_blocking();
    b.node.start().expect("starts");
    assert_eq!(of_b.read.load(Ordering::SeqCst), 1);
}

#[test]
fn a_third_node_takes_the_snapshot_from_one_that_did_not_make_it() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, of_a) = giver(dir.path(), 200, 1024);
    let (mut b, of_b) = (Peer::open(on_disk("b", dir.path())), App::default());
    of_b.attach(&b.node);
    b.node.start().expect("starts");
    b.join(&mut a);
    eventually("b's state", || of_b.state() == of_a.state());
    let maker = a.id();
    let (mut c, of_c) = (Peer::open(on_disk("c", dir.path())), App::default());
    of_c.attach(&c.node);
    c.node.trust(maker, "a").expect("listed");
    c.node.start().expect("starts");
    a.node.stop_blocking();
    c.join(&mut b);
    eventually("c's state", || of_c.state() == of_a.state());
}

#[test]
fn a_taker_that_is_killed_goes_on_with_the_pieces_that_are_on_its_disk() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, of_a) = giver(dir.path(), 64, 900 * 1024);
    let settings = on_disk("b", dir.path());
    let size = a.node.snapshots()[0].bytes;
    let parts = dir.path().join("b/snapshots");
    let written = || {
        let part = fs::read_dir(&parts).ok()?.flatten().find(|entry| entry.path().extension().is_some_and(|e| e == "part"))?;
        Some(part.metadata().ok()?.len())
    };
    let of_b = App::default();
    {
        let b = Peer::open(settings.clone());
        of_b.attach(&b.node);
        b.node.start().expect("starts");
        b.node.connect(a.endpoint()).expect("dials");
        eventually("some pieces", || written().is_some_and(|len| len > size / 4));
        // Dropped without a stop, in the middle.
    }
    let before = a.node.stats().bytes_sent;
    assert!(of_b.state().is_empty(), "the fetch was too fast to be broken off");
    let mut b = open_again(&settings);
    let there = written().expect("pieces");
    of_b.attach(&b.node);
    b.node.start().expect("starts");
    b.join(&mut a);
    eventually("the same state", || of_b.state() == of_a.state());
    let again = a.node.stats().bytes_sent - before;
    assert!(again < size - there / 2, "{there} of {size} bytes were there, {again} were sent again");
}

#[test]
fn a_taker_that_is_killed_in_its_consumer_takes_the_state_in_before_anything_else_of_its_next_life() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, of_a) = giver(dir.path(), 200, 1024);
    let settings = on_disk("b", dir.path());
    let dying = App::default();
    let (alive, killed) = channel::<()>();
    *dying.dying.lock() = Some(killed);
    {
        let b = Peer::open(settings.clone());
        dying.attach(&b.node);
        b.node.start().expect("starts");
        b.node.connect(a.endpoint()).expect("dials");
        eventually("the consumer", || dying.read.load(Ordering::SeqCst) == 1);
    }
    drop(alive);
    let mut b = open_again(&settings);
    let without = b.node.start().expect_err("no consumer").to_string();
    assert!(without.contains("on_snapshot"), "{without}");
    let of_b = App::default();
    of_b.attach(&b.node);
    b.node.start().expect("starts");
    assert_eq!(of_b.state(), of_a.state(), "without a peer");
    b.expect("SnapshotTaken", |e| if let Event::SnapshotTaken { .. } = e { Some(()) } else { None });
    let before = a.node.stats().bytes_sent;
    b.join(&mut a);
    of_a.append(&a.node, vec![record(500, 10)]);
    eventually("the tail", || of_b.state() == of_a.state());
    assert!(a.node.stats().bytes_sent - before < 50_000 && of_b.read.load(Ordering::SeqCst) == 1, "nothing is fetched again");
}

#[test]
fn operations_and_executed_keys_outlive_the_records_they_stood_in() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, of_a) = (Peer::open(on_disk("a", dir.path())), App::default());
    let c_settings = on_disk("c", dir.path());
    let c_id = Peer::open(c_settings.clone()).id();
    of_a.attach(&a.node);
    a.node.start().expect("starts");
    let id = a.node.outbox().expect("runs").put(Target::Peer(c_id), "mail", b"once", b"for c").expect("put");
    let all = a.node.outbox().expect("runs").put(Target::All, "news", b"", b"for all").expect("put");
    (0..200).for_each(|n| of_a.append(&a.node, vec![record(n, 1024)]));
    a.node.make_snapshot_blocking().expect("made");
    let own = a.node.own_log();
    assert!(a.node.truncate_logs_blocking().expect("cut").bases[&own] > all.seq);
    // The sender's own next life knows what it put.
    a.node.stop_blocking();
    a.node.start().expect("starts");
    assert_eq!(a.node.outbox().expect("runs").list().len(), 2);
    let (mut c, of_c) = (Peer::open(c_settings.clone()), App::default());
    of_c.attach(&c.node);
    c.node.start().expect("starts");
    c.join(&mut a);
    eventually("the state", || of_c.state() == of_a.state());
    let claimed: Vec<_> = (0..2).map(|_| c.node.outbox().expect("runs").claim(common::PATIENCE).expect("runs").expect("in time")).collect();
    assert_eq!(claimed.iter().map(|op| (op.id, &op.payload[..])).collect::<Vec<_>>(), [(id, &b"for c"[..]), (all, b"for all")]);
    claimed.iter().for_each(|op| c.node.outbox().expect("runs").done(&op.id).expect("claimed"));
    assert_eq!(a.node.outbox().expect("runs").wait(&id, common::PATIENCE).expect("put here"), State::Done);
    // The target's own log loses the receipt; the key is known all the same.
    (0..200).for_each(|n| of_c.append(&c.node, vec![record(n, 1024)]));
    let own = c.node.own_log();
    a.expect_log(own, 202, 202);
    c.node.make_snapshot_blocking().expect("made");
    eventually("c's receipt to go", || c.node.truncate_logs_blocking().expect("cut").bases.get(&own).is_some_and(|base| *base > 2));
    c.node.stop_blocking();
    let twin = a.node.outbox().expect("runs").put(Target::Peer(c_id), "mail", b"once", b"again").expect("put");
    c.node.start().expect("starts");
    c.join(&mut a);
    c.node.outbox().expect("runs");
    assert_eq!(a.node.outbox().expect("runs").wait(&twin, common::PATIENCE).expect("put here"), State::Done);
    assert!(c.node.outbox().expect("runs").claim(std::time::Duration::from_millis(1)).expect("runs").is_none(), "executed once");
}

#[test]
fn a_snapshot_of_several_writers_logs_is_there_after_a_restart_whichever_of_them_made_it() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, of_a) = (Peer::open(on_disk("a", dir.path())), App::default());
    let (mut b, of_b) = (Peer::open(on_disk("b", dir.path())), App::default());
    for (peer, app) in [(&a, &of_a), (&b, &of_b)] {
        app.attach(&peer.node);
        peer.node.start().expect("starts");
    }
    b.join(&mut a);
    of_a.append(&a.node, vec![record(1, 10)]);
    of_b.append(&b.node, vec![record(2, 10)]);
    a.expect_log(b.node.own_log(), 1, 1);
    b.expect_log(a.node.own_log(), 1, 1);
    // One of the two has its own log last in order.
    for peer in [a, b] {
        let id = peer.node.make_snapshot_blocking().expect("made").to_string();
        let config = on_disk(peer.node.node_id(), dir.path());
        peer.node.stop_blocking();
        drop(peer);
        let mut again = Peer::open(config);
        assert_eq!(again.node.snapshots().iter().map(|view| (&view.id, view.logs)).collect::<Vec<_>>(), [(&id, 2)]);
        assert!(!again.has_seen(|event| matches!(event, Event::LogDamaged { .. })));
    }
}

#[test]
fn who_waits_for_operations_is_woken_by_a_snapshot_that_brings_them() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, of_a) = (Peer::open(on_disk("a", dir.path())), App::default());
    of_a.attach(&a.node);
    a.node.start().expect("starts");
    let all = a.node.outbox().expect("runs").put(Target::All, "news", b"", b"for all").expect("put");
    (0..200).for_each(|n| of_a.append(&a.node, vec![record(n, 1024)]));
    a.node.make_snapshot_blocking().expect("made");
    let own = a.node.own_log();
    assert!(a.node.truncate_logs_blocking().expect("cut").bases[&own] > all.seq);
    let (mut c, of_c) = (Peer::open(on_disk("c", dir.path())), App::default());
    of_c.attach(&c.node);
    c.node.start().expect("starts");
    let outbox = c.node.outbox().expect("runs");
    let waiting = std::thread::spawn(move || outbox.claim(common::PATIENCE).expect("runs").expect("in time").id);
    c.join(&mut a);
    assert_eq!(waiting.join().expect("well"), all);
}

#[test]
fn a_consumer_that_fails_keeps_its_state_and_is_asked_again() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, of_a) = giver(dir.path(), 200, 1024);
    let (mut b, of_b) = (Peer::open(on_disk("b", dir.path())), App::default());
    *of_b.failing.lock() = true;
    of_b.attach(&b.node);
    b.node.start().expect("starts");
    b.join(&mut a);
    b.expect("the failure", |e| if let Event::LogFailed { detail } = e { detail.contains("not now").then_some(()) } else { None });
    eventually("the same state", || of_b.state() == of_a.state());
}

#[test]
fn a_snapshot_of_a_maker_that_is_not_among_those_allowed_is_not_taken() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, _) = giver(dir.path(), 200, 1024);
    let mut settings = on_disk("b", dir.path());
    settings.snapshots.from = Some(vec![vixp2p::PeerId([7; 32])]);
    let (mut b, of_b) = (Peer::open(settings), App::default());
    of_b.attach(&b.node);
    let told = Arc::new(Mutex::new(String::new()));
    let lines = told.clone();
    b.node.on_log(Level::Warn, move |_, line| lines.lock().push_str(line));
    b.node.start().expect("starts");
    b.join(&mut a);
    eventually("the refusal", || told.lock().contains("are not taken here"));
    assert!(of_b.state().is_empty() && b.node.snapshots().is_empty());
    let taken = fs::read_dir(dir.path().join("b/snapshots")).is_ok_and(|mut files| files.next().is_some());
    assert!(!taken, "nothing of it is on disk");
}

#[test]
fn records_stay_for_a_peer_that_lacks_them_until_the_cap_has_them_go_and_says_so() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut settings = on_disk("a", dir.path());
    settings.snapshots.log_max_bytes = Some(2 * 1024 * 1024);
    let (mut a, of_a) = (Peer::open(settings), App::default());
    of_a.attach(&a.node);
    a.node.start().expect("starts");
    let mut b = Peer::start(on_disk("b", dir.path()));
    b.join(&mut a);
    of_a.append(&a.node, vec![record(0, 10)]);
    b.expect_log(a.node.own_log(), 1, 1);
    b.node.stop_blocking();
    a.expect_disconnected();
    let own = a.node.own_log();
    (1..1000).for_each(|n| of_a.append(&a.node, vec![record(n, 1024)]));
    a.node.make_snapshot_blocking().expect("made");
    assert_eq!(a.node.truncate_logs_blocking().expect("cut").bases, BTreeMap::new(), "b lacks them");
    (1000..4000).for_each(|n| of_a.append(&a.node, vec![record(n, 1024)]));
    a.node.make_snapshot_blocking().expect("made");
    let cut = a.node.truncate_logs_blocking().expect("cut");
    assert!(cut.bases[&own] > 1000 && cut.bytes > 1024 * 1024, "{cut:?}");
    let of = a.expect("SnapshotNeeded", |e| if let Event::SnapshotNeeded { peer, count: 1 } = e { Some(*peer) } else { None });
    assert_eq!(of, b.id());
}

struct Where(Arc<Mutex<Vec<std::thread::ThreadId>>>);

impl SnapshotHandler for Where {
    fn write(&mut self, own: u64, _out: &mut dyn Write) -> io::Result<u64> {
        *self.0.lock() = vec![std::thread::current().id()];
        Ok(own)
    }

    fn read(&mut self, _places: &[Place], _input: &mut dyn Read) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_application_is_asked_where_it_stands_only_where_records_are_applied() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (a, calls) = (Peer::open(on_disk("a", dir.path())), Arc::default());
    a.node.on_snapshot(Where(Arc::clone(&calls)));
    let asked = Arc::clone(&calls);
    a.node.on_cursor(move |_| {
        asked.lock().push(std::thread::current().id());
        Standing::Note
    });
    a.node.start().expect("starts");
    for n in 0..300 {
        a.node.append_blocking(vec![record(n, 1024).into()]).expect("durable");
    }
    a.node.make_snapshot_blocking().expect("made");
    assert!(!a.node.truncate_logs_blocking().expect("cut").bases.is_empty());
    let calls = calls.lock();
    assert!(calls.len() > 1 && calls.iter().all(|thread| *thread == calls[0]), "{calls:?}");
}
