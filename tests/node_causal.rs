//! Causal mode over real nodes: an answer never before its question.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Peer, config, eventually};
use parking_lot::Mutex;
use vixp2p::Config;
use vixp2p::base::config::Durability;
use vixp2p::driver::apply::Outcome;
use vixp2p::sync::{Cause, Group};

fn causal(name: &str) -> Config {
    Config { causal: true, ..config(name) }
}

fn on_disk(name: &str, dir: &tempfile::TempDir) -> Config {
    Config { data_dir: Some(dir.path().join(name)), remember_peers: false, ..causal(name) }
}

/// An application that answers every question while it is given it.
fn answers(peer: &Peer) {
    let node = peer.node.clone();
    peer.node.on_apply(move |record| {
        if record.payload.starts_with(b"question") {
            let answer = [b"answer to ", record.payload].concat();
            node.append_blocking(vec![answer.into()]).expect("appends");
        }
        Outcome::Applied
    });
}

/// An application that remembers what it has applied, and takes no question until it is told to.
#[derive(Clone, Default)]
struct Shy {
    seen: Arc<Mutex<Vec<String>>>,
    takes_questions: Arc<AtomicBool>,
}

impl Shy {
    fn attach(&self, peer: &Peer) {
        let it = self.clone();
        peer.node.on_apply(move |record| {
            if record.payload.starts_with(b"question") && !it.takes_questions.load(Ordering::SeqCst) {
                return Outcome::Retry;
            }
            it.seen.lock().push(String::from_utf8_lossy(record.payload).into_owned());
            Outcome::Applied
        });
    }
}

#[test]
fn an_answer_waits_for_its_question_over_a_restart_and_the_status_says_so() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, mut b) = (Peer::start(causal("a")), Peer::open(causal("b")));
    answers(&b);
    b.node.start().expect("starts");
    b.join(&mut a);
    let shy = Shy::default();
    for round in 0..2 {
        let mut c = Peer::open(on_disk("c", &dir));
        shy.attach(&c);
        c.node.start().expect("starts");
        c.join(&mut b);
        if round == 0 {
            a.append(["question".to_owned()]);
        }
        let (question, answer) = (a.node.own_log(), b.node.own_log());
        let wait = || c.node.sync_status_blocking().into_iter().find(|line| line.log == answer).and_then(|line| line.waits);
        eventually("the answer to wait", || wait().is_some());
        let wait = wait().expect("it waits");
        assert_eq!((wait.seq, wait.needs), (1, Cause { log: question, seq: 1 }));
        assert!(shy.seen.lock().is_empty());
        if round == 1 {
            shy.takes_questions.store(true, Ordering::SeqCst);
            eventually("both", || shy.seen.lock().len() == 2);
            eventually("the node to know it", || c.node.sync_status_blocking().iter().all(|line| line.applied == line.durable));
            assert!(c.node.sync_status_blocking().iter().all(|line| line.waits.is_none()));
        }
        c.node.stop_blocking();
    }
    assert_eq!(*shy.seen.lock(), ["question", "answer to question"]);
}

#[test]
fn a_chain_of_answers_is_applied_in_its_order_by_everybody_in_both_durabilities() {
    for durability in [Durability::Durable, Durability::Buffered] {
        let named = |name: &str| Config { durability, ..causal(name) };
        let mut peers: Vec<Peer> = ["a", "b", "c", "d"].iter().map(|name| Peer::open(named(name))).collect();
        let seen: Vec<Arc<Mutex<Vec<u64>>>> = peers.iter().map(|_| Arc::default()).collect();
        const LAST: u64 = 60;
        for (turn, (peer, seen)) in (0..).zip(peers.iter().zip(&seen)) {
            let (node, seen) = (peer.node.clone(), seen.clone());
            // Whoever's turn it is writes the next number when it is given the one before.
            peer.node.on_apply(move |record| {
                let number = u64::from_le_bytes(record.payload.try_into().expect("a number"));
                seen.lock().push(number);
                if number < LAST && (number + 1) % 4 == turn {
                    seen.lock().push(number + 1);
                    node.append_blocking(vec![(number + 1).to_le_bytes().to_vec().into()]).expect("appends");
                }
                Outcome::Applied
            });
            peer.node.start().expect("starts");
        }
        for n in 1..peers.len() {
            let (before, rest) = peers.split_at_mut(n);
            before.iter_mut().for_each(|peer| rest[0].join(peer));
        }
        seen[0].lock().push(0);
        peers[0].node.append_blocking(vec![0u64.to_le_bytes().to_vec().into()]).expect("appends");
        for seen in &seen {
            eventually("every number", || seen.lock().len() as u64 > LAST);
            assert_eq!(*seen.lock(), (0..=LAST).collect::<Vec<_>>());
        }
    }
}

#[test]
fn what_is_appended_while_a_node_does_not_run_names_what_it_has_applied_once() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, mut b) = (Peer::start(causal("a")), Peer::open(on_disk("b", &dir)));
    b.node.on_apply(|_| Outcome::Applied);
    b.node.start().expect("starts");
    b.join(&mut a);
    a.append(["one".to_owned(), "two".to_owned()]);
    let log = a.node.own_log();
    eventually("two applied", || b.node.logs().iter().any(|view| view.log == log && view.applied == 2));
    b.node.stop_blocking();
    for n in 0..3 {
        b.node.append_blocking(vec![format!("offline {n}").into()]).expect("appends");
    }
    drop(b);
    let disk = vixp2p::driver::disk::DiskStorage::new(&dir.path().join("b"));
    let mut named = Vec::new();
    let mut each = |seen: &vixp2p::sync::GroupSeen<'_>| {
        let entries = |group: &Group| group.entries().flat_map(|entry| entry.causes.iter().collect::<Vec<_>>()).collect::<Vec<_>>();
        named.extend(entries(&seen.group));
    };
    vixp2p::sync::inspect(&disk, &mut each).expect("reads");
    assert_eq!(named, [Cause { log, seq: 2 }]);
}

#[test]
fn a_value_is_put_while_a_node_that_has_records_of_others_does_not_run() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, mut b) = (Peer::open(causal("a")), Peer::open(on_disk("b", &dir)));
    let (of_a, of_b) = (a.node.keep_last_values().expect("before start"), b.node.keep_last_values().expect("before start"));
    a.node.start().expect("starts");
    b.node.start().expect("starts");
    of_a.put(b"question", b"?").expect("durable");
    b.join(&mut a);
    eventually("the question", || of_b.get(b"question").is_some());
    b.node.stop_blocking();
    // The record names the place of A's log, which is asked for meanwhile.
    of_b.put(b"answer", b"!").expect("durable");
    b.node.start().expect("starts");
    b.join(&mut a);
    eventually("the answer", || of_a.get(b"answer").is_some());
}
