//! Starting, stopping, dropping, and what a node holds meanwhile: port, directory, key.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use common::{Peer, config, eventually};
use vixp2p::base::config::Listen;
use vixp2p::base::{CloseReason, limits};
use vixp2p::driver::apply::Outcome;
use vixp2p::{Config, Endpoint, Error, Event, Node};

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port()
}

fn on_port(name: &str, port: u16) -> Config {
    let mut settings = config(name);
    settings.listen = Listen::On { host: "127.0.0.1".into(), port };
    settings
}

fn on_disk(name: &str, dir: &tempfile::TempDir) -> Config {
    let mut settings = config(name);
    settings.data_dir = Some(dir.path().to_owned());
    settings
}

fn is_stopped(event: &Event) -> Option<()> {
    matches!(event, Event::Stopped).then_some(())
}

#[test]
fn a_node_that_stops_says_goodbye_and_its_own_events_end_with_stopped() {
    let (mut a, mut b) = (Peer::named("a"), Peer::named("b"));
    a.join(&mut b);
    a.node.stop_blocking();
    assert!(matches!(b.expect_disconnected(), CloseReason::Lost(why) if why == "the peer stopped"));
    assert_eq!(a.expect_disconnected(), CloseReason::Shutdown);
    a.expect("Stopped", is_stopped);
    assert!(a.node.try_next_event().is_none() && !a.node.is_running());
    assert!(matches!(a.node.send(b.id(), b"x"), Err(Error::Stopped)));
    assert_eq!(a.node.port(), 0);
}

#[test]
fn a_stopped_node_starts_again_on_the_same_port_with_the_same_key_and_log() {
    let port = free_port();
    let (mut a, mut b) = (Peer::start(on_port("a", port)), Peer::named("b"));
    let (id, log) = (a.id(), a.node.own_log());
    for round in 1..=3 {
        assert_eq!(a.node.append_blocking(vec![Bytes::from_static(b"r")]).expect("appends"), (round, round));
        a.join(&mut b);
        b.expect_log(log, round, round);
        a.node.stop_blocking();
        b.expect_disconnected();
        a.forget();
        b.forget();
        a.node.start().expect("starts again");
        assert_eq!((a.id(), a.node.own_log(), a.node.port()), (id, log, port));
    }
    assert!(a.node.start().is_ok(), "a second start does nothing");
}

#[test]
fn a_record_that_is_too_large_is_refused_the_same_way_whether_the_node_runs_or_not() {
    let node = Node::open(config("a")).expect("opens");
    let large = Bytes::from(vec![0; limits::RECORD_PAYLOAD_MAX_BYTES + 1]);
    for _ in 0..2 {
        let refused = node.append_blocking(vec![Bytes::from_static(b"small"), large.clone()]);
        assert!(matches!(refused, Err(Error::TooLarge { got, max, .. }) if got == max + 1), "{refused:?}");
        node.start().expect("starts");
    }
    assert_eq!(node.append_blocking(vec![Bytes::from_static(b"small")]).expect("appends"), (1, 1), "nothing of it is there");
}

#[test]
fn a_node_on_the_callers_runtime_restarts_on_its_port_at_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let node = Node::open(on_port("a", free_port())).expect("opens");
        for _ in 0..20 {
            node.start().expect("the port is free again");
            node.stop().await;
        }
    });
}

#[test]
fn nodes_run_on_the_callers_current_thread_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let talk = async {
        let (a, b) = (Node::open(config("a")).expect("opens"), Node::open(config("b")).expect("opens"));
        a.start().expect("starts");
        b.start().expect("starts");
        a.connect(Endpoint::tcp("127.0.0.1", b.port())).expect("dials");
        while !matches!(a.next_event().await, Some(Event::PeerConnected { .. })) {}
        let sender = a.sender(b.id()).expect("connected");
        for n in 0..10_000u32 {
            sender.send(&n.to_le_bytes()).await.expect("sends");
        }
        let mut next = 0u32;
        while next < 10_000 {
            if let Some(Event::Data { batch, .. }) = b.next_event().await {
                for message in &batch {
                    assert_eq!(message, next.to_le_bytes());
                    next += 1;
                }
            }
        }
        assert_eq!(a.append(vec![Bytes::from_static(b"r")]).await.expect("appends"), (1, 1));
        tokio::join!(a.stop(), b.stop());
        while a.next_event().await.is_some() {}
    };
    runtime.block_on(async { tokio::time::timeout(common::PATIENCE, talk).await.expect("in time") });
}

#[test]
fn a_stop_waits_for_no_dial_and_no_handshake_under_way() {
    // Takes connections and says nothing.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut a = Peer::named("a");
    for _ in 0..5 {
        a.node.connect(Endpoint::tcp("127.0.0.1", mute.local_addr().expect("bound").port())).expect("dials");
        let silent = std::net::TcpStream::connect(("127.0.0.1", a.node.port())).expect("listens");
        let begin = common::now();
        a.node.stop_blocking();
        assert!(begin.elapsed() < limits::STOP_GRACE, "{:?}", begin.elapsed());
        a.expect("Stopped", is_stopped);
        a.forget();
        a.node.start().expect("starts again");
        assert!(!a.has_seen(|e| matches!(e, Event::ConnectFailed { .. })), "nothing of the last run");
        drop(silent);
    }
}

#[test]
fn a_stop_whose_future_is_dropped_goes_on_and_another_one_waits_for_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let node = Node::open(config("a")).expect("opens");
        for _ in 0..10 {
            node.start().expect("starts");
            // Polled once and dropped.
            let _ = tokio::time::timeout(std::time::Duration::ZERO, node.stop()).await;
            node.stop().await;
            assert!(!node.is_running());
        }
    });
}

#[test]
fn many_threads_may_stop_and_append_at_once() {
    let a = Peer::named("a");
    for _ in 0..10 {
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for _ in 0..50 {
                        let done = a.node.append_blocking(vec![Bytes::from_static(b"r")]);
                        assert!(matches!(done, Ok(_) | Err(Error::Stopped)), "{done:?}");
                    }
                });
                threads.spawn(|| a.node.stop_blocking());
            }
        });
        a.node.stop_blocking();
        a.node.start().expect("everybody has stopped");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let a = Peer::named("a");
    let second = Node::open(on_port("b", a.node.port())).expect("opens");
    let error = second.start().expect_err("taken");
    assert!(matches!(error, Error::PortInUse { port } if port == a.node.port()));
    assert!(error.to_string().contains(&a.node.port().to_string()));
    drop(a);
    eventually("the port to be free", || second.start().is_ok());
}

#[test]
fn a_second_node_on_a_directory_is_refused_and_told_who_has_it() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let first = Peer::start(on_disk("a", &dir));
    let error = Node::open(on_disk("b", &dir)).expect_err("taken").to_string();
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    // A stopped node still has its directory.
    first.node.stop_blocking();
    assert!(Node::open(on_disk("b", &dir)).is_err());
    let id = first.id();
    drop(first);
    assert_eq!(Node::open(on_disk("b", &dir)).expect("free").id(), id);
}

#[test]
fn a_directory_is_not_free_before_the_last_append_of_a_dropped_node_is_on_disk() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for round in 0..10u64 {
        let node = Node::open(on_disk("a", &dir)).expect("free");
        let log = node.own_log();
        let durable = node.logs().iter().find(|view| view.log == log).map_or(0, |view| view.durable);
        assert_eq!(durable, round * 1_000);
        node.start().expect("starts");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(async {
            // Queued by the first poll, and left to themselves.
            let records = vec![Bytes::from(vec![7; 1_000]); 1_000];
            let _ = futures_poll_once(node.append(records)).await;
        });
        drop(node);
        let mut next = None;
        eventually("the directory to be free", || {
            next = Node::open(on_disk("a", &dir)).ok();
            next.is_some()
        });
        drop(next);
    }
}

/// Polls once.
async fn futures_poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn a_key_file_that_cannot_be_used_is_an_error_and_stays_as_it_is() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let key = dir.path().join("identity.key");
    for content in ["garbage", "", "vixp2p-secret-key-v1 00ff"] {
        std::fs::write(&key, content).expect("written");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("set");
        let error = Node::open(on_disk("a", &dir)).expect_err("unusable");
        assert!(matches!(error, Error::Key { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&key).expect("still there"), content);
    }
    std::fs::remove_file(&key).expect("removed");
    std::fs::create_dir(&key).expect("a directory in its place");
    assert!(matches!(Node::open(on_disk("a", &dir)), Err(Error::Key { .. })));
    std::fs::remove_dir(&key).expect("untouched");
    let node = Node::open(on_disk("a", &dir)).expect("a new key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("set");
    drop(node);
    assert!(matches!(Node::open(on_disk("a", &dir)), Err(Error::Key { why, .. }) if why.contains("chmod")));
}

#[test]
fn a_handler_set_while_the_node_runs_takes_over_at_the_next_start() {
    let (mut a, mut b) = (Peer::named("a"), Peer::open(config("b")));
    let counts = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
    let attach = |peer: &Peer, n: usize| {
        let count = counts[n].clone();
        peer.node.on_apply(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Outcome::Applied
        });
    };
    attach(&b, 0);
    b.node.start().expect("starts");
    attach(&b, 1);
    let log = a.node.own_log();
    for round in 1..=2u64 {
        b.join(&mut a);
        a.append(["r".to_owned()]);
        b.expect_log(log, round, round);
        b.node.stop_blocking();
        a.expect_disconnected();
        a.forget();
        b.forget();
        b.node.start().expect("starts again");
    }
    assert_eq!(counts.each_ref().map(|count| count.load(Ordering::SeqCst)), [1, 1]);
}
