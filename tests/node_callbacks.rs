//! Log sinks and apply handlers that call the node, that break, and many threads at one node.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use common::{Peer, config, eventually, send};
use parking_lot::Mutex;
use vixp2p::base::Level;
use vixp2p::driver::apply::Outcome;
use vixp2p::{Config, Error, Event, Node, PeerId};

const RECORD: &[u8] = b"record";

#[test]
fn a_log_sink_may_call_the_node_for_every_line() {
    let (mut a, mut b) = (Peer::open(config("a")), Peer::named("b"));
    let (weak, peer) = (a.node.downgrade(), b.id());
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = lines.clone();
    a.node.on_log(Level::Trace, move |_, line| {
        seen.lock().push(line.to_owned());
        let Some(node) = weak.upgrade() else { return };
        let _ = (node.stats(), node.port(), node.logs(), node.own_log(), node.peers(), node.is_running());
        // Every call may cause lines itself; what would go on for ever is left out.
        if line.contains(" connected (outbound") {
            let _ = node.send(peer, b"from the sink");
            node.append_blocking(vec![Bytes::from_static(RECORD)]).expect("appends");
        }
    });
    a.node.start().expect("starts");
    a.join(&mut b);
    assert_eq!(b.receive(1)[0], "from the sink");
    b.expect_log(a.node.own_log(), 1, 1);
    b.send(a.id(), b"hello");
    a.receive(1);
    a.node.stop_blocking();
    eventually("the last line", || lines.lock().last().is_some_and(|line| line == "node stopped"));
    let lines = lines.lock();
    assert!(lines[0].starts_with("node started"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains(" connected (outbound")), "{lines:#?}");
}

#[test]
fn a_log_sink_that_panics_is_not_called_again_and_the_node_goes_on() {
    let (mut a, mut b) = (Peer::open(config("a")), Peer::named("b"));
    let calls = Arc::new(AtomicU64::new(0));
    let counted = calls.clone();
    a.node.on_log(Level::Info, move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        panic!("the sink is broken");
    });
    a.node.start().expect("starts");
    a.join(&mut b);
    a.send(b.id(), b"works");
    assert_eq!(b.receive(1)[0], "works");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn an_apply_handler_may_send_append_and_ask() {
    let (mut a, mut b) = (Peer::named("a"), Peer::open(config("b")));
    let (weak, peer) = (b.node.downgrade(), a.id());
    b.node.on_apply(move |record| {
        let Some(node) = weak.upgrade() else { return Outcome::Retry };
        let _ = (node.stats(), node.port(), node.logs());
        node.append_blocking(vec![Bytes::copy_from_slice(record.payload)]).expect("appends");
        node.send(peer, record.payload).expect("sends");
        Outcome::Applied
    });
    b.node.start().expect("starts");
    b.join(&mut a);
    a.append((1..=200).map(|n| format!("r{n}")));
    let echoes = a.receive(200);
    assert!(echoes.iter().zip(1..).all(|(echo, n)| *echo == format!("r{n}")));
    a.expect_log(b.node.own_log(), 200, 200);
}

#[test]
fn a_stop_waits_for_a_handler_that_is_calling_the_node() {
    let (mut a, mut b) = (Peer::named("a"), Peer::open(config("b")));
    let weak = b.node.downgrade();
    let (inside, is_inside) = std::sync::mpsc::channel();
    b.node.on_apply(move |_| {
        let _ = inside.send(());
        let Some(node) = weak.upgrade() else { return Outcome::Retry };
        // Goes on while the node is being stopped: refused at some point, and never stuck.
        while node.append_blocking(vec![Bytes::from_static(RECORD)]).is_ok() {
            let _ = (node.port(), node.logs());
        }
        Outcome::Applied
    });
    b.node.start().expect("starts");
    b.join(&mut a);
    a.append(["r".to_owned()]);
    is_inside.recv_timeout(common::PATIENCE).expect("applies");
    b.node.stop_blocking();
    assert!(!b.node.is_running());
}

#[test]
fn a_handler_that_panics_fails_the_node_loudly_and_nobody_hangs() {
    let (mut a, mut b) = (Peer::named("a"), Peer::open(config("b")));
    b.node.on_apply(|record| if record.seq == 3 { panic!("cannot do number three") } else { Outcome::Applied });
    b.node.start().expect("starts");
    b.join(&mut a);
    a.append((1..=5).map(|n| n.to_string()));
    assert!(b.expect_fatal().contains("cannot do number three"));
    assert!(matches!(b.node.append_blocking(vec![Bytes::from_static(RECORD)]), Err(Error::Failed(_))));
    assert!(matches!(b.node.send(a.id(), b"x"), Err(Error::Failed(_))));
    a.expect_disconnected();
    b.node.stop_blocking();
    assert!(matches!(b.node.start(), Err(Error::Failed(_))), "records must not count as applied without a handler");
    assert!(matches!(b.node.append_blocking(vec![Bytes::from_static(RECORD)]), Err(Error::Failed(_))));
    b.expect("Stopped", |e| matches!(e, Event::Stopped).then_some(()));
}

#[test]
fn what_was_applied_before_a_handler_panicked_is_not_offered_again() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settings = Config { data_dir: Some(dir.path().to_owned()), remember_peers: false, ..config("b") };
    let mut a = Peer::named("a");
    a.append((1..=5).map(|n| n.to_string()));
    let mut b = Peer::open(settings.clone());
    b.node.on_apply(|record| if record.seq == 3 { panic!("cannot do number three") } else { Outcome::Applied });
    b.node.start().expect("starts");
    b.join(&mut a);
    b.expect_fatal();
    b.node.stop_blocking();
    drop(b);
    let (mut b, offered) = (Peer::open(settings), Arc::new(Mutex::new(Vec::new())));
    let seen = offered.clone();
    b.node.on_apply(move |record| {
        seen.lock().push(record.seq);
        Outcome::Applied
    });
    b.node.start().expect("starts");
    b.join(&mut a);
    eventually("the rest", || offered.lock().last() == Some(&5));
    assert_eq!(*offered.lock(), [3, 4, 5]);
}

#[test]
fn a_directory_has_no_other_owner_while_a_handler_of_a_node_that_was_dropped_runs() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settings = Config { data_dir: Some(dir.path().to_owned()), remember_peers: false, ..config("b") };
    let (mut a, mut b) = (Peer::named("a"), Peer::open(settings.clone()));
    let (inside, is_inside) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    b.node.on_apply(move |_| {
        let _ = inside.send(());
        // Ends when the other side goes.
        let _ = released.recv();
        Outcome::Applied
    });
    b.node.start().expect("starts");
    b.join(&mut a);
    a.append(["r".to_owned()]);
    is_inside.recv_timeout(common::PATIENCE).expect("applies");
    drop(b);
    a.expect_disconnected();
    assert!(matches!(Node::open(settings.clone()), Err(Error::DirectoryInUse { .. })));
    drop(release);
    eventually("the directory to be free", || Node::open(settings.clone()).is_ok());
}

#[test]
fn a_log_sink_on_the_logs_thread_is_refused_what_would_wait_for_it() {
    let (mut a, mut b) = (Peer::named("a"), Peer::open(config("b")));
    let (weak, refused) = (b.node.downgrade(), Arc::new(Mutex::new(Vec::new())));
    let seen = refused.clone();
    b.node.on_log(Level::Trace, move |_, _| {
        let Some(node) = weak.upgrade().filter(|_| std::thread::current().name() == Some("vixp2p-log")) else { return };
        let append = node.append_blocking(vec![Bytes::from_static(RECORD)]).err();
        let outbox = node.outbox().err();
        seen.lock().extend([append, node.flush_blocking().err(), outbox]);
    });
    b.node.start().expect("starts");
    b.join(&mut a);
    a.append(["r".to_owned()]);
    eventually("a line of the log's thread", || !refused.lock().is_empty());
    assert!(refused.lock().iter().all(|error| matches!(error, Some(Error::Invalid(_)))), "{:?}", refused.lock());
}

#[test]
fn a_handler_may_stop_its_own_node_from_another_thread() {
    let (mut a, mut b) = (Peer::named("a"), Peer::open(config("b")));
    let weak = b.node.downgrade();
    b.node.on_apply(move |_| {
        if let Some(node) = weak.upgrade() {
            std::thread::spawn(move || node.stop_blocking());
        }
        Outcome::Applied
    });
    b.node.start().expect("starts");
    b.join(&mut a);
    a.append((1..=100).map(|n| n.to_string()));
    b.expect("Stopped", |e| matches!(e, Event::Stopped).then_some(()));
    let applied = b.node.logs().iter().find(|v| v.log == a.node.own_log()).map(|v| v.applied);
    assert!(applied.is_some_and(|n| n > 0), "{applied:?}");
    b.node.start().expect("who has seen the event may start it again");
}

#[test]
fn eight_threads_may_send_append_and_ask_at_once() {
    const EACH: u32 = 1_000;
    let (mut a, mut b) = (Peer::named("a"), Peer::named("b"));
    a.join(&mut b);
    let (log, total) = (a.node.own_log(), u64::from(8 * EACH / 5));
    let work = |node: Node, to: PeerId, n: u32| {
        let mut numbers = Vec::new();
        for i in 0..EACH {
            send(&node, to, &[n.to_le_bytes(), i.to_le_bytes()].concat());
            if i % 10 == 0 {
                let (first, last) = node.append_blocking(vec![Bytes::from_static(RECORD); 2]).expect("appends");
                assert_eq!(first + 1, last);
                numbers.extend([first, last]);
                let _ = (node.stats(), node.peers(), node.logs());
            }
        }
        numbers
    };
    let threads = [0, 1, 2, 3, 4, 5, 6, 7].map(|n| {
        let (node, to) = (a.node.clone(), b.id());
        std::thread::spawn(move || work(node, to, n))
    });
    let received = b.receive(8 * EACH as usize);
    for n in 0..8u32 {
        let of_n: Vec<&[u8]> = received.iter().filter(|m| m[..4] == n.to_le_bytes()).map(|m| &m[4..]).collect();
        assert!(of_n.len() == EACH as usize && of_n.iter().zip(0..).all(|(m, i)| **m == u32::to_le_bytes(i)), "order of thread {n}");
    }
    let mut numbers: Vec<u64> = threads.into_iter().flat_map(|thread| thread.join().expect("worked")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=total).collect::<Vec<_>>());
    b.expect_log(log, total, total);
}
