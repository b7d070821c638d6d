//! Events of real nodes: what a registry does is told once, pings only to those who ask, every node to the process's log.

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Peer, config, eventually};
use vixp2p::base::{BootstrapConfig, Direction, Level};
use vixp2p::driver::{clear_process_log, set_process_log};
use vixp2p::{Config, Event};

/// A node that asks for signs of life often.
fn lively(name: &str) -> Config {
    Config { heartbeat_interval: Duration::from_millis(20), ..config(name) }
}

#[test]
fn pings_and_pongs_come_while_the_level_is_trace_and_at_no_other_time() {
    let (mut a, mut b) = (Peer::start(lively("a")), Peer::start(lively("b")));
    a.node.on_log(Level::Debug, |_, _| {});
    b.join(&mut a);
    a.node.set_log_level(Level::Trace);
    let id = b.id();
    let of = |event: &Event| match event {
        Event::Ping { peer, direction } if *peer == id => Some((true, *direction)),
        Event::Pong { peer, direction } if *peer == id => Some((false, *direction)),
        _ => None,
    };
    for wanted in [(true, Direction::Outbound), (false, Direction::Inbound), (true, Direction::Inbound), (false, Direction::Outbound)] {
        a.expect("a sign of life", |event| (of(event) == Some(wanted)).then_some(()));
    }
    a.node.set_log_level(Level::Info);
    assert!(!b.has_seen(|event| event.on_request()), "it did not ask");
    a.forget();
    // Both have exchanged more by the time another message is through.
    b.send(a.id(), b"after");
    a.receive(1);
    assert!(!a.has_seen(|event| event.on_request()));
}

/// A registry that answers what `body` says at the moment; an empty text is no answer.
fn registry(body: Arc<Mutex<String>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let body = body.lock().expect("whole").clone();
            if !body.is_empty() {
                // A client that is gone wants no answer.
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            }
        }
    });
    format!("http://{address}")
}

fn named(peers: &[(&str, u16)]) -> String {
    let peers: Vec<String> =
        peers.iter().map(|(name, port)| format!(r#"{{"node_id":"{name}","host":"127.0.0.1","tcp_port":{port}}}"#)).collect();
    format!(r#"{{"peers":[{}]}}"#, peers.join(","))
}

#[test]
fn a_registry_that_answers_names_fails_and_is_back_is_told_each_time_once() {
    let says = Arc::new(Mutex::new(named(&[("b", 9), ("asker", 9)])));
    let mut bootstrap = BootstrapConfig::new(registry(says.clone()).parse().expect("an address"));
    bootstrap.poll_interval = Duration::from_millis(20);
    bootstrap.backoff_max = Duration::from_millis(40);
    let mut node = Peer::start(Config { bootstrap: Some(bootstrap), dial: false, ..config("asker") });
    let answered = |event: &Event| match event {
        Event::RegistryAnswered { count, new_count } => Some((*count, *new_count)),
        _ => None,
    };
    let names = |event: &Event| match event {
        Event::PeerNamed { node_id, endpoint } => Some((node_id.clone(), endpoint.to_string())),
        _ => None,
    };
    let failed = |event: &Event| match event {
        Event::RegistryFailed { detail, retry_in_ms } => Some((detail.clone(), *retry_in_ms)),
        _ => None,
    };
    assert_eq!(node.expect("a name", names), ("b".into(), "tcp://127.0.0.1:9".into()));
    assert_eq!(node.expect("a name", names).0, "asker", "of another port, so not this node");
    assert_eq!(node.expect("an answer", answered), (2, 2));
    *says.lock().expect("whole") = String::new();
    let (detail, retry) = node.expect("a failure", failed);
    assert!(detail.starts_with("no peers learned: ") && retry.is_some(), "{detail}");
    *says.lock().expect("whole") = named(&[("b", 9), ("c", 10)]);
    assert_eq!(node.expect("an answer", answered), (2, 1));
    assert_eq!(node.expect("a name", names).0, "c");
    assert!(!node.has_seen(|event| names(event).is_some() || answered(event).is_some()), "nothing twice");
}

#[test]
fn the_process_hears_the_lines_of_all_its_nodes() {
    let count = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let heard = count.clone();
    set_process_log(Level::Info, move |_, node_id, _| {
        if let Some(at) = ["process-one", "process-two"].iter().position(|name| *name == node_id) {
            heard[at].fetch_add(1, Ordering::Relaxed);
        }
    });
    let _nodes = [Peer::named("process-one"), Peer::named("process-two")];
    eventually("a line of each", || count.iter().all(|count| count.load(Ordering::Relaxed) > 0));
    clear_process_log();
}
