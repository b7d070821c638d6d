//! Operations between real nodes: sealed, carried by others, executed once, answered for.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{PATIENCE, Peer, config, eventually};
use vixp2p::base::config::Durability;
use vixp2p::base::{LogId, limits};
use vixp2p::node::{AckLevel, Ackers, Operation, Subscribe};
use vixp2p::outbox::{Side, State, Target};
use vixp2p::{Config, Error, Event, PeerId};

const SOON: Duration = Duration::from_millis(1);

fn on_disk(name: &str, dir: &tempfile::TempDir) -> Config {
    Config { data_dir: Some(dir.path().join(name)), remember_peers: false, ..config(name) }
}

fn claim(peer: &Peer) -> Operation {
    peer.node.outbox().expect("runs").claim(PATIENCE).expect("runs").expect("an operation in time")
}

fn state_of(peer: &Peer, seq: u64) -> Option<State> {
    let list = peer.node.outbox().expect("runs").list();
    list.iter().find(|view| view.side == Side::Sent && view.id.seq == seq).map(|view| view.state)
}

/// Waits until a log is durable here up to there.
fn carries(peer: &Peer, log: LogId, seq: u64) {
    eventually("the log to arrive", || peer.node.logs().iter().any(|view| view.log == log && view.durable >= seq));
}

#[test]
fn an_operation_is_executed_by_its_target_alone_and_its_sender_learns_of_it() {
    let (mut a, mut b, mut c) = (Peer::named("a"), Peer::named("b"), Peer::named("c"));
    a.join(&mut b);
    a.join(&mut c);
    let outbox = a.node.outbox().expect("runs");
    let id = outbox.put(Target::Peer(c.id()), "mail", b"key", b"for c only").expect("put");
    let operation = claim(&c);
    assert_eq!((operation.id, operation.kind.as_str(), operation.attempt), (id, "mail", 1));
    assert_eq!((&operation.key[..], &operation.payload[..]), (&b"key"[..], &b"for c only"[..]));
    eventually("the target to have it", || state_of(&a, id.seq) == Some(State::InFlight));
    c.node.outbox().expect("runs").done(&id).expect("claimed");
    assert_eq!(outbox.wait(&id, PATIENCE).expect("put here"), State::Done);
    carries(&b, id.log, id.seq);
    let carried = b.node.outbox().expect("runs");
    assert!(carried.list().is_empty() && carried.claim(SOON).expect("runs").is_none());
    assert_eq!(outbox.prune().expect("durable"), 1);
    assert!(outbox.list().is_empty());
}

#[test]
fn what_is_put_is_durable_also_where_appends_are_buffered() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let a = Peer::start(Config { durability: Durability::Buffered, ..on_disk("a", &dir) });
    a.node.append_blocking(vec![Bytes::from_static(b"accepted")]).expect("accepted");
    let id = a.node.outbox().expect("runs").put(Target::All, "mail", b"", b"").expect("put");
    let durable = |a: &Peer| a.node.logs().iter().find(|view| view.log == id.log).map(|view| view.durable);
    assert_eq!((id.seq, durable(&a)), (2, Some(2)));
}

#[test]
fn the_application_sees_nothing_of_the_outbox_in_the_log_and_cannot_forge_it() {
    let (mut a, mut b) = (Peer::named("a"), Peer::named("b"));
    a.join(&mut b);
    let id = a.node.outbox().expect("runs").put(Target::Peer(b.id()), "secret kind", b"", b"the plain text").expect("put");
    a.node.append_blocking(vec![Bytes::from_static(b"mine")]).expect("appends");
    let mut all = b.node.subscribe(Subscribe::all()).expect("runs");
    let record = all.next_blocking(PATIENCE).expect("runs").expect("in time");
    assert_eq!((record.seq, &record.payload[..]), (id.seq + 1, &b"mine"[..]));
    let forged = vixp2p::outbox::Body::Settled(vec![id]).encode();
    assert!(matches!(a.node.append_blocking(vec![forged.into()]), Err(Error::Invalid(_))));
    let own = a.node.outbox().expect("runs").put(Target::Peer(a.id()), "k", b"", b"");
    assert!(matches!(own, Err(Error::Invalid(_))));
    assert!(matches!(a.node.outbox().expect("runs").put(Target::All, &"k".repeat(65), b"", b""), Err(Error::TooLarge { .. })));
}

#[test]
fn a_writes_for_c_and_dies_b_carries_c_executes_once_and_the_next_life_of_a_learns_of_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut b = Peer::start(on_disk("b", &dir));
    let mut a = Peer::start(on_disk("a", &dir));
    let c_config = on_disk("c", &dir);
    let c_id: PeerId = Peer::open(c_config.clone()).id();
    a.join(&mut b);
    let outbox = a.node.outbox().expect("runs");
    let id = outbox.put(Target::Peer(c_id), "mail", b"once", b"sealed for c").expect("put");
    let twin = outbox.put(Target::Peer(c_id), "mail", b"once", b"the same again").expect("put");
    a.node.wait_for_ack_blocking((id.log, twin.seq), &Ackers::Any(1), AckLevel::Durable, Some(PATIENCE)).expect("b has it");
    a.node.stop_blocking();
    drop((outbox, a));

    // C meets B only. What it was about to execute when it died comes again; what it executed does not.
    let held = b.node.outbox().expect("runs").pull(c_id, 128);
    assert_eq!(held.iter().map(|held| (held.log, held.first, held.last)).collect::<Vec<_>>(), [(id.log, id.seq, twin.seq)]);
    let mut c = Peer::start(c_config.clone());
    c.join(&mut b);
    c.node.outbox().expect("runs").ask(b.id(), c_id, 128).expect("connected");
    let told =
        c.expect("OutboxHeld", |e| if let Event::OutboxHeld { target, ranges, .. } = e { Some((*target, ranges.clone())) } else { None });
    assert_eq!(told, (c_id, held));
    b.expect("OutboxPulled", |e| matches!(e, Event::OutboxPulled { peer, .. } if *peer == c_id).then_some(()));
    assert_eq!((claim(&c).payload, claimable(&c)), (b"sealed for c".to_vec(), false));
    c.node.stop_blocking();
    drop(c);
    let c = Peer::start(c_config.clone());
    assert_eq!(claim(&c).id, id);
    c.node.outbox().expect("runs").done(&id).expect("claimed");
    c.node.stop_blocking();
    drop(c);
    let mut again = Peer::start(c_config);
    assert!(!claimable(&again), "executed, and its twin answered");
    again.join(&mut b);
    eventually("b to know", || b.node.outbox().expect("runs").pull(c_id, 128).is_empty());
    again.node.stop_blocking();

    let mut a = Peer::start(on_disk("a", &dir));
    assert_eq!(state_of(&a, id.seq), Some(State::Pending), "nothing accepted is lost");
    a.join(&mut b);
    eventually("the receipts", || [id, twin].iter().all(|op| state_of(&a, op.seq) == Some(State::Done)));
}

fn claimable(peer: &Peer) -> bool {
    peer.node.outbox().expect("runs").claim(SOON).expect("runs").is_some()
}

#[test]
fn a_failed_operation_is_told_to_its_sender_and_one_that_was_withdrawn_is_not_executed() {
    let (mut a, mut b) = (Peer::named("a"), Peer::named("b"));
    let outbox = a.node.outbox().expect("runs");
    let to_all = outbox.put(Target::All, "news", b"", b"for everybody").expect("put");
    let withdrawn = outbox.put(Target::Peer(b.id()), "k", b"", b"").expect("put");
    assert!(outbox.withdraw(withdrawn).expect("durable"));
    assert!(!outbox.withdraw(withdrawn).expect("durable"));
    a.join(&mut b);
    let operation = claim(&b);
    assert_eq!((operation.id, &operation.payload[..]), (to_all, &b"for everybody"[..]));
    let there = b.node.outbox().expect("runs");
    there.fail(&to_all, false, "not now").expect("claimed");
    assert!(there.done(&withdrawn).is_err());
    assert_eq!(there.list()[0].state, State::Failed);
    assert_eq!(claim(&b).attempt, 2);
    there.fail(&to_all, true, "never").expect("claimed");
    assert!(there.list().is_empty());
    eventually("the receipt", || state_of(&a, to_all.seq) == Some(State::PermanentFailed));
    assert!(a.node.outbox().expect("runs").list().iter().any(|view| view.detail == "never"));
}

#[test]
fn a_claim_that_waits_ends_with_the_node() {
    let a = Peer::named("a");
    let outbox = a.node.outbox().expect("runs");
    let waiting = std::thread::spawn(move || outbox.claim(PATIENCE));
    a.node.stop_blocking();
    assert!(matches!(waiting.join().expect("no panic"), Err(Error::Stopped)));
    assert!(matches!(a.node.outbox(), Err(Error::Stopped)));
}

#[test]
fn a_receipt_that_the_disk_refuses_is_no_done_and_is_written_once_it_lets() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut a, mut c) = (Peer::named("a"), Peer::start(on_disk("c", &dir)));
    a.join(&mut c);
    let sender = a.node.outbox().expect("runs");
    let id = sender.put(Target::Peer(c.id()), "mail", b"", b"for c").expect("put");
    let operation = claim(&c);
    let own = c.node.logs().iter().map(|view| view.log).find(|log| log.origin == c.id()).expect("there");
    let logs = std::fs::read_dir(dir.path().join("c/log")).expect("there").map(|entry| entry.expect("readable").path());
    let place = logs.into_iter().find(|path| path.join("current").exists()).expect("its own").join(own.incarnation.to_string());
    // C has written nothing yet: where its log is to be lies a file.
    std::fs::write(&place, b"in the way").expect("free until now");
    let outbox = c.node.outbox().expect("runs");
    assert!(matches!(outbox.done(&operation.id), Err(Error::Log(_))), "it would be executed again after a restart");
    std::fs::remove_file(&place).expect("written");
    // The node's own doing, though no log moves.
    assert_eq!(sender.wait(&id, PATIENCE).expect("put here"), State::Done);
}

/// Puts so many operations for a target, several at a time.
fn put_many(sender: &Peer, target: PeerId, count: usize) {
    let outbox = sender.node.outbox().expect("runs");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..count / 8 {
                    outbox.put(Target::Peer(target), "many", b"", b"").expect("room");
                }
            });
        }
    });
}

#[test]
fn a_node_with_more_to_execute_than_it_can_hold_hears_answers_to_its_own_and_gets_the_rest_in_time() {
    let (mut a, mut b, mut c) = (Peer::named("a"), Peer::named("b"), Peer::named("c"));
    put_many(&a, b.id(), 34_000);
    put_many(&c, b.id(), 34_000);
    a.join(&mut b);
    c.join(&mut b);
    let (outbox, held) = (b.node.outbox().expect("runs"), limits::OUTBOX_OPEN_MAX);
    eventually("as many as there is room for", || outbox.list().len() == held);
    let asked = outbox.put(Target::Peer(a.id()), "ask", b"", b"").expect("put");
    a.node.outbox().expect("runs").done(&claim(&a).id).expect("claimed");
    assert_eq!(outbox.wait(&asked, PATIENCE).expect("put here"), State::Done);
    let executed = std::sync::Mutex::new(std::collections::BTreeSet::new());
    let count = || executed.lock().expect("no panic").len();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut idle = 0;
                while count() < 68_000 && idle < 300 {
                    idle += 1;
                    let Some(operation) = outbox.claim(Duration::from_millis(100)).expect("runs") else { continue };
                    outbox.done(&operation.id).expect("claimed");
                    assert!(executed.lock().expect("no panic").insert(operation.id), "executed twice");
                    idle = 0;
                }
            });
        }
    });
    assert_eq!(count(), 68_000);
}
