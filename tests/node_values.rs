//! The ready-made state between real nodes: the last value of each key, over snapshots and restarts.

mod common;

use std::fs;

use common::{Peer, eventually, in_small_files as on_disk, open_again, record};
use vixp2p::Config;
use vixp2p::base::config::Durability;

#[test]
fn the_ready_made_state_is_the_same_everywhere_also_behind_a_snapshot_and_a_restart() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut a = Peer::open(on_disk("a", dir.path()));
    let of_a = a.node.keep_last_values().expect("before start");
    a.node.start().expect("starts");
    (0..300).for_each(|n| of_a.put(format!("key {}", n % 20).as_bytes(), &record(n, 1024)).expect("durable"));
    of_a.remove(b"key 7").expect("durable");
    a.node.make_snapshot_blocking().expect("made");
    assert!(!a.node.truncate_logs_blocking().expect("cut").bases.is_empty());
    of_a.put(b"tail", b"1").expect("durable");
    let mut b = Peer::open(on_disk("b", dir.path()));
    let of_b = b.node.keep_last_values().expect("before start");
    b.node.start().expect("starts");
    of_b.put(b"of b", b"2").expect("durable");
    b.join(&mut a);
    eventually("the same state", || of_a.entries() == of_b.entries() && of_a.get(b"of b").is_some());
    assert_eq!((of_b.entries().len(), of_b.get(b"key 7")), (21, None));
    of_b.put(b"key 3", b"of b").expect("durable");
    eventually("the later value", || of_a.get(b"key 3").is_some_and(|value| value == b"of b"));
    let before = of_b.entries();
    let settings = on_disk("b", dir.path());
    b.node.stop_blocking();
    drop((b, of_b));
    let b = open_again(&settings);
    assert_eq!(b.node.keep_last_values().expect("before start").entries(), before);
    drop(b);
    // A store that is lost comes back from the snapshot and the records behind it, without a peer.
    fs::remove_file(dir.path().join("b/values")).expect("there");
    let b = open_again(&settings);
    let of_b = b.node.keep_last_values().expect("before start");
    b.node.start().expect("starts");
    eventually("all of it", || of_b.entries() == before);
    b.node.stop_blocking();
    // Without the snapshot it cannot.
    drop((b, of_b));
    fs::remove_dir_all(dir.path().join("b/snapshots")).expect("there");
    fs::remove_file(dir.path().join("b/values")).expect("there");
    let b = open_again(&settings);
    let _values = b.node.keep_last_values().expect("before start");
    let why = b.node.start().expect_err("records are gone").to_string();
    assert!(why.contains("are no longer kept; the newest snapshot cannot"), "{why}");
}

#[test]
fn the_ready_made_state_gets_what_the_node_wrote_itself_from_a_snapshot_or_does_not_begin() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settings = on_disk("a", dir.path());
    let a = Peer::open(settings.clone());
    let values = a.node.keep_last_values().expect("before start");
    a.node.start().expect("starts");
    (0..300).for_each(|n| values.put(format!("key {n}").as_bytes(), &record(n, 1024)).expect("durable"));
    // An append whose end nobody heard of is in the log, and not in the values.
    let payload = [&b"vkv1"[..], &u64::MAX.to_le_bytes(), &6u16.to_le_bytes(), b"unsure", &[1], b"there"].concat();
    a.node.append_blocking(vec![payload.into()]).expect("durable");
    assert_eq!(values.get(b"unsure"), None);
    a.node.make_snapshot_blocking().expect("made");
    assert_eq!(values.get(b"unsure").as_deref(), Some(&b"there"[..]), "the state has what its place says");
    assert!(!a.node.truncate_logs_blocking().expect("cut").bases.is_empty());
    values.put(b"tail", b"1").expect("durable");
    let before = values.entries();
    a.node.stop_blocking();
    drop((a, values));
    fs::remove_file(dir.path().join("a/values")).expect("there");
    let a = open_again(&settings);
    assert_eq!(a.node.keep_last_values().expect("before start").entries(), before);
    drop(a);
    fs::remove_file(dir.path().join("a/values")).expect("there");
    fs::remove_dir_all(dir.path().join("a/snapshots")).expect("there");
    let why = open_again(&settings).node.keep_last_values().expect_err("records are gone").to_string();
    assert!(why.contains("no snapshot here has them"), "{why}");
}

/// Notes where it is called.
#[test]
fn a_value_that_is_put_is_durable_also_where_appends_are_buffered() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let a = Peer::open(Config { durability: Durability::Buffered, ..on_disk("a", dir.path()) });
    let values = a.node.keep_last_values().expect("before start");
    a.node.start().expect("starts");
    for n in 1..=20 {
        values.put(b"key", &record(n, 64)).expect("durable");
        assert!(a.node.logs().iter().any(|view| view.durable >= n as u64), "the file with the values would be ahead of the log");
    }
}
