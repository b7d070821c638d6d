//! What an application may answer to a record, and who remembers where it stands.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Peer, config, eventually};
use parking_lot::Mutex;
use vixp2p::base::LogId;
use vixp2p::driver::apply::{Outcome, Standing};
use vixp2p::{Config, Error, Event};

fn on_disk(name: &str, dir: &tempfile::TempDir) -> Config {
    Config { data_dir: Some(dir.path().join(name)), remember_peers: false, ..config(name) }
}

/// An application that applies everything but record 5, while that is poison.
#[derive(Clone)]
struct Picky {
    seen: Arc<Mutex<Vec<u64>>>,
    poison: Arc<AtomicBool>,
}

impl Picky {
    fn new() -> Picky {
        Picky { seen: Arc::default(), poison: Arc::new(AtomicBool::new(true)) }
    }

    fn attach(&self, peer: &Peer) {
        let it = self.clone();
        peer.node.on_apply(move |record| {
            if record.seq == 5 && it.poison.load(Ordering::SeqCst) {
                return Outcome::Poison;
            }
            it.seen.lock().push(record.seq);
            Outcome::Applied
        });
    }

    fn expect(&self, seqs: &[u64]) {
        eventually("the records", || self.seen.lock().len() >= seqs.len());
        assert_eq!(*self.seen.lock(), seqs);
    }
}

fn parked(peer: &mut Peer, log: LogId) {
    peer.expect("the log to be parked", |e| matches!(e, Event::ApplyParked { log: of, seq: 5 } if *of == log).then_some(()));
}

fn ten(peer: &Peer) {
    peer.append((1..=10).map(|n| format!("record {n}")));
}

#[test]
fn a_poisoned_record_parks_its_log_over_restarts_until_it_is_tried_again() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, app) = (Peer::named("a"), Picky::new());
    ten(&a);
    let log = a.node.own_log();
    for round in 0..2 {
        let mut b = Peer::open(on_disk("b", &dir));
        app.attach(&b);
        b.node.start().expect("starts");
        if round == 0 {
            b.join(&mut a);
        }
        parked(&mut b, log);
        app.expect(&[1, 2, 3, 4]);
        b.node.stop_blocking();
    }
    let mut b = Peer::open(on_disk("b", &dir));
    app.attach(&b);
    b.node.start().expect("starts");
    parked(&mut b, log);
    let view = b.node.logs().into_iter().find(|view| view.log == log).expect("listed");
    assert_eq!((view.applied, view.parked), (4, Some(5)));
    b.node.apply_resume(log, false).expect("parked");
    parked(&mut b, log);
    app.poison.store(false, Ordering::SeqCst);
    b.node.apply_resume(log, false).expect("parked again");
    app.expect(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert!(matches!(b.node.apply_resume(log, false), Err(Error::Invalid(why)) if why.contains("not parked")));
}

#[test]
fn a_parked_record_is_skipped_by_order_alone_running_or_not() {
    for running in [true, false] {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (mut a, mut b, app) = (Peer::named("a"), Peer::open(on_disk("b", &dir)), Picky::new());
        app.attach(&b);
        b.node.start().expect("starts");
        ten(&a);
        b.join(&mut a);
        let log = a.node.own_log();
        parked(&mut b, log);
        if !running {
            b.node.stop_blocking();
        }
        b.node.apply_resume(log, true).expect("parked");
        b.node.start().expect("starts, or runs");
        app.expect(&[1, 2, 3, 4, 6, 7, 8, 9, 10]);
    }
}

#[test]
fn an_application_with_a_cursor_of_its_own_is_asked_about_every_log_and_applies_once() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store: Arc<Mutex<BTreeMap<LogId, u64>>> = Arc::default();
    let asked: Arc<Mutex<Vec<LogId>>> = Arc::default();
    let (mut a, mut c) = (Peer::named("a"), Peer::named("c"));
    ten(&a);
    ten(&c);
    // The store knows the first seven of a log that this node has not seen yet: its data directory is new, the store is not.
    store.lock().insert(c.node.own_log(), 7);
    for round in 1..=3 {
        let mut b = Peer::open(on_disk("b", &dir));
        let (applied, of) = (store.clone(), asked.clone());
        b.node.on_apply(move |record| {
            let mut store = applied.lock();
            let last = store.entry(record.log).or_insert(0);
            assert_eq!(record.seq, *last + 1, "exactly once, in order");
            *last = record.seq;
            Outcome::Applied
        });
        let known = store.clone();
        b.node.on_cursor(move |log| {
            of.lock().push(log);
            known.lock().get(&log).copied()
        });
        b.node.start().expect("starts");
        b.join(&mut a);
        b.join(&mut c);
        for log in [a.node.own_log(), c.node.own_log()] {
            eventually("everything applied", || store.lock().get(&log) == Some(&(round * 10)));
        }
        b.node.stop_blocking();
        assert_eq!(asked.lock().len() as u64, 2 * round, "once a log and run");
        // A store that was set back a little goes on from there, not from the library's note.
        store.lock().values_mut().for_each(|last| *last -= 2);
        ten(&a);
        ten(&c);
        a.forget();
        c.forget();
    }
}

#[test]
fn nothing_is_applied_while_the_application_cannot_tell_where_it_stands() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, mut b, app) = (Peer::named("a"), Peer::open(on_disk("b", &dir)), Picky::new());
    app.poison.store(false, Ordering::SeqCst);
    ten(&a);
    app.attach(&b);
    let asked = Arc::new(Mutex::new(0));
    let times = asked.clone();
    // A log that comes to a running node: its first record waits until the second answer.
    b.node.on_cursor(move |_| {
        *times.lock() += 1;
        if *times.lock() == 1 { Standing::Unknown } else { Standing::At(7) }
    });
    b.node.start().expect("starts, with no log to be asked about");
    b.join(&mut a);
    b.expect("the first record to wait", |e| matches!(e, Event::ApplyRefused { seq: 1, .. }).then_some(()));
    app.expect(&[8, 9, 10]);
    assert_eq!(*asked.lock(), 2);
    b.node.stop_blocking();
    b.node.on_cursor(|_| Standing::Unknown);
    assert!(matches!(b.node.start(), Err(Error::Invalid(why)) if why.contains("cannot tell")));
    assert!(!b.node.is_running());
    b.node.on_cursor(|_| Some(9));
    b.node.start().expect("starts");
    app.expect(&[8, 9, 10, 10]);
}

#[test]
fn the_applications_word_moves_the_librarys_note_so_that_a_parked_record_stays_one() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, app) = (Peer::named("a"), Picky::new());
    ten(&a);
    let log = a.node.own_log();
    for told in [None, Some(Some(3)), None] {
        let mut b = Peer::open(on_disk("b", &dir));
        app.attach(&b);
        app.poison.store(told.is_some() || app.seen.lock().len() > 10, Ordering::SeqCst);
        if let Some(told) = told {
            b.node.on_cursor(move |_| told);
        }
        b.node.start().expect("starts");
        if app.seen.lock().is_empty() {
            b.join(&mut a);
            app.expect(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        } else {
            parked(&mut b, log);
        }
        b.node.stop_blocking();
    }
    assert_eq!(app.seen.lock()[10..], [4], "the records behind the parked one are not skipped");
}
