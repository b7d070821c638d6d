//! Origins that come back as old copies of themselves: to peers that have let go of what they lack, that they have outrun, or that each
//! hold another history. And a log that is cut while its origin is connected.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use common::{PATIENCE, Peer, config, eventually};
use parking_lot::Mutex;
use vixp2p::base::{LogId, SnapshotConfig};
use vixp2p::driver::apply::Outcome;
use vixp2p::node::{AckLevel, Ackers, SnapshotHandler};
use vixp2p::snapshot::Place;
use vixp2p::{Config, Error, Event, Node};

/// An application whose records are lines `key=value`, and whose state is the last value of each key.
#[derive(Clone, Default)]
struct App(Arc<Mutex<BTreeMap<String, String>>>);

impl App {
    fn take(&self, lines: &str) {
        let pairs = lines.lines().filter_map(|line| line.split_once('='));
        self.0.lock().extend(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    fn attach(&self, node: &Node) {
        let app = self.clone();
        node.on_apply(move |record| {
            app.take(std::str::from_utf8(record.payload).expect("text"));
            Outcome::Applied
        });
        node.on_snapshot(self.clone());
    }

    fn append(&self, node: &Node, numbers: std::ops::Range<usize>) {
        for n in numbers {
            let line = format!("key {}={n} {}", n % 64, "x".repeat(1024));
            self.take(&line);
            node.append_blocking(vec![Bytes::from(line)]).expect("appends");
        }
    }

    fn state(&self) -> BTreeMap<String, String> {
        self.0.lock().clone()
    }
}

impl SnapshotHandler for App {
    fn write(&mut self, own: u64, out: &mut dyn Write) -> io::Result<u64> {
        self.state().iter().try_for_each(|(key, value)| writeln!(out, "{key}={value}"))?;
        Ok(own)
    }

    fn read(&mut self, _: &[Place], input: &mut dyn Read) -> io::Result<()> {
        let mut lines = String::new();
        input.read_to_string(&mut lines)?;
        self.0.lock().clear();
        self.take(&lines);
        Ok(())
    }
}

/// Settings under which a file of the log has 64 KiB, so that a few records can go.
fn on_disk(name: &str, dir: &Path) -> Config {
    let mut config = config(name);
    config.data_dir = Some(dir.join(name));
    config.snapshots = SnapshotConfig { schema: "test".into(), log_max_bytes: Some(512 * 1024), ..SnapshotConfig::default() };
    config
}

fn started(config: &Config, app: &App) -> Peer {
    let mut node = None;
    eventually("the directory to be free", || {
        node = Node::open(config.clone()).ok();
        node.is_some()
    });
    drop(node);
    let peer = Peer::open(config.clone());
    app.attach(&peer.node);
    peer.node.start().expect("starts");
    peer
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("there") {
        let entry = entry.expect("readable");
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_directory(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

#[test]
fn the_log_of_an_origin_is_cut_while_it_is_connected() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (of_a, of_b) = (App::default(), App::default());
    let (mut a, mut b) = (started(&on_disk("a", dir.path()), &of_a), started(&on_disk("b", dir.path()), &of_b));
    b.join(&mut a);
    let log = a.node.own_log();
    of_a.append(&a.node, 0..300);
    b.expect_log(log, 300, 300);
    b.node.make_snapshot_blocking().expect("made");
    let cut = b.node.truncate_logs_blocking().expect("cut");
    assert!(cut.bases.get(&log).is_some_and(|base| *base > 100), "{cut:?}");
    assert!(!b.has_seen(|event| matches!(event, Event::SnapshotNeeded { .. })), "the origin needs none of it");
}

#[test]
fn a_node_restored_from_before_what_its_peer_has_let_go_of_goes_on_in_a_new_log_with_the_peers_state() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (settings, copy) = (on_disk("a", dir.path()), dir.path().join("copy"));
    let of_a = App::default();
    let a = started(&settings, &of_a);
    of_a.append(&a.node, 0..50);
    a.node.stop_blocking();
    copy_directory(&dir.path().join("a"), &copy);
    let restored = App::default();
    restored.take(&of_a.state().iter().map(|(key, value)| format!("{key}={value}\n")).collect::<String>());
    drop(a);
    let of_b = App::default();
    let (mut a, mut b) = (started(&settings, &of_a), started(&on_disk("b", dir.path()), &of_b));
    b.join(&mut a);
    let log = a.node.own_log();
    of_a.append(&a.node, 50..300);
    b.expect_log(log, 300, 300);
    b.node.make_snapshot_blocking().expect("made");
    assert!(b.node.truncate_logs_blocking().expect("cut").bases.get(&log).is_some_and(|base| *base > 50));
    a.node.stop_blocking();
    b.expect_disconnected();
    drop(a);
    fs::remove_dir_all(dir.path().join("a")).expect("there");
    fs::rename(&copy, dir.path().join("a")).expect("restored");
    let mut a = started(&settings, &restored);
    assert_eq!(a.node.own_log(), log);
    a.join(&mut b);
    let told = |event: &Event| if let Event::LogDamaged { detail } = event { detail.contains("goes on in").then_some(()) } else { None };
    a.expect("word of the new log", told);
    eventually("the peer's state", || restored.state() == of_b.state());
    let fresh = a.node.own_log();
    assert_ne!(fresh, log);
    a.expect_log(log, 300, 300);
    restored.append(&a.node, 1000..1010);
    b.expect_log(fresh, 10, 10);
    assert_eq!(restored.state(), of_b.state());
}

/// Stops the node and puts the copy in the place of its directory.
fn set_back(mut node: Peer, peer: Option<&mut Peer>, dir: &Path, copy: &Path, settings: &Config, app: &App) -> Peer {
    node.node.stop_blocking();
    drop(node);
    if let Some(peer) = peer {
        peer.expect_disconnected();
    }
    fs::remove_dir_all(dir.join("a")).expect("there");
    copy_directory(copy, &dir.join("a"));
    node = started(settings, app);
    node
}

fn is_frozen(peer: &Peer, log: LogId) -> bool {
    peer.node.logs().iter().any(|view| view.log == log && view.frozen)
}

#[test]
fn a_node_set_back_that_has_outrun_its_peer_learns_of_it_as_soon_as_they_meet_and_so_does_the_peer() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settings = Config { remember_peers: false, ..on_disk("a", dir.path()) };
    let (copy, of_a, of_b) = (dir.path().join("copy"), App::default(), App::default());
    let a = started(&settings, &of_a);
    of_a.append(&a.node, 0..5);
    a.node.stop_blocking();
    copy_directory(&dir.path().join("a"), &copy);
    drop(a);
    let (mut a, mut b) = (started(&settings, &of_a), Peer::open(config("b")));
    of_b.attach(&b.node);
    b.node.start().expect("starts");
    b.join(&mut a);
    let old = a.node.own_log();
    of_a.append(&a.node, 5..7);
    b.expect_log(old, 7, 7);
    let mut a = set_back(a, Some(&mut b), dir.path(), &copy, &settings, &of_a);
    assert_eq!(a.node.own_log(), old);
    // Longer than what the peer has: no push of this node's shows more of its log than there is.
    of_a.append(&a.node, 7..20);
    a.join(&mut b);
    eventually("a new log", || a.node.own_log() != old);
    eventually("both to know", || is_frozen(&a, old) && is_frozen(&b, old));
    let ends = a.node.wait_for_ack_blocking((old, 6), &Ackers::Any(1), AckLevel::Durable, Some(PATIENCE));
    assert!(matches!(&ends, Err(Error::Log(why)) if why.contains("rolled back")), "{ends:?}");
    of_a.append(&a.node, 20..23);
    b.expect_log(a.node.own_log(), 3, 3);
    assert!(b.node.logs().iter().any(|view| view.log == old && view.durable == 7), "what it had stays");
    assert!(a.node.logs().iter().any(|view| view.log == old && view.durable == 18), "and so does what was written");
}

#[test]
fn two_nodes_that_hold_the_two_histories_of_a_third_ones_log_know_it_when_they_meet_without_it() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settings = Config { remember_peers: false, ..on_disk("a", dir.path()) };
    let (copy, app) = (dir.path().join("copy"), App::default());
    let a = started(&settings, &app);
    app.append(&a.node, 0..5);
    let old = a.node.own_log();
    a.node.stop_blocking();
    copy_directory(&dir.path().join("a"), &copy);
    drop(a);
    let mut a = started(&settings, &app);
    let mut holders = Vec::new();
    for (name, numbers) in [("b", 5..8), ("c", 8..11)] {
        let mut holder = Peer::open(Config { remember_peers: false, peer_exchange: false, ..config(name) });
        App::default().attach(&holder.node);
        holder.node.start().expect("starts");
        holder.join(&mut a);
        app.append(&a.node, numbers);
        holder.expect_log(old, 8, 8);
        a = set_back(a, Some(&mut holder), dir.path(), &copy, &settings, &app);
        holders.push(holder);
    }
    a.node.stop_blocking();
    let (mut c, mut b) = (holders.pop().expect("two"), holders.pop().expect("two"));
    assert!(!is_frozen(&b, old) && !is_frozen(&c, old));
    c.join(&mut b);
    for holder in [&mut b, &mut c] {
        holder
            .expect("word of the fork", |event| if let Event::LogForked { log, .. } = event { (*log == old).then_some(()) } else { None });
    }
    assert!(is_frozen(&b, old) && is_frozen(&c, old));
}

#[test]
fn what_a_restored_node_wrote_before_it_was_told_is_kept_beside_its_log_when_a_snapshot_takes_that_logs_place() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settings = Config { remember_peers: false, ..on_disk("a", dir.path()) };
    let (copy, of_a, of_b) = (dir.path().join("copy"), App::default(), App::default());
    let a = started(&settings, &of_a);
    of_a.append(&a.node, 0..50);
    a.node.stop_blocking();
    copy_directory(&dir.path().join("a"), &copy);
    drop(a);
    let (mut a, mut b) = (started(&settings, &of_a), started(&on_disk("b", dir.path()), &of_b));
    b.join(&mut a);
    let log = a.node.own_log();
    of_a.append(&a.node, 50..300);
    b.expect_log(log, 300, 300);
    b.node.make_snapshot_blocking().expect("made");
    assert!(b.node.truncate_logs_blocking().expect("cut").bases.get(&log).is_some_and(|base| *base > 60));
    let mut a = set_back(a, Some(&mut b), dir.path(), &copy, &settings, &of_a);
    a.node.append_blocking(vec![Bytes::from("key 0=written before anybody told it")]).expect("appends");
    a.join(&mut b);
    let told =
        |event: &Event| if let Event::LogDamaged { detail } = event { detail.split("are kept in ").nth(1).map(String::from) } else { None };
    let mut kept = false;
    while !kept {
        let file = a.expect("word of a file", told);
        let bytes = fs::read(dir.path().join("a").join(&file)).expect("there");
        kept = bytes.windows(36).any(|window| window == b"key 0=written before anybody told it");
    }
    a.expect_log(log, 300, 300);
}
