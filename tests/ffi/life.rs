//! Create, start, stop, destroy: twice, too late, and from inside callbacks. Userdata is let go exactly once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use vixp2p::ffi::vixp2p_event_kind::*;
use vixp2p::ffi::vixp2p_status::*;
use vixp2p::ffi::*;

use crate::support::{Node, Seen, Trial, create, last_error, options, polled};

#[test]
fn a_node_can_be_started_and_stopped_again_and_again() {
    let node = polled(c"cycle");
    assert_eq!(node.stop(), VIXP2P_ALREADY);
    assert_eq!(node.wait_event(-1).err(), Some(VIXP2P_ERR_STOPPED), "nothing can come before the start");
    for _ in 0..3 {
        node.start();
        assert_eq!(unsafe { vixp2p_node_start(node.0) }, VIXP2P_ALREADY);
        let started = node.until(VIXP2P_EVENT_STARTED);
        assert_eq!(unsafe { vixp2p_event_port(started.0) }, node.port());
        assert_ne!(node.port(), 0);
        assert_eq!(node.stop(), VIXP2P_OK);
        node.until(VIXP2P_EVENT_STOPPED);
        assert_eq!(node.wait_event(-1).err(), Some(VIXP2P_ERR_STOPPED));
    }
}

#[test]
fn a_port_in_use_is_told_from_other_trouble() {
    let first = polled(c"first");
    first.start();
    let taken = vixp2p_node_options { listen_port: first.port().into(), ..options(c"second") };
    let second = create(&taken);
    assert_eq!(unsafe { vixp2p_node_start(second.0) }, VIXP2P_ERR_PORT_IN_USE, "{}", last_error());
    first.stop();
    second.start();
}

#[test]
fn a_destroyed_handle_is_known_as_such() {
    let trial = Trial::quiet();
    let node = create(&vixp2p_node_options { event: trial.event(), ..options(c"once") });
    let stale = node.0;
    node.start();
    drop(node);
    assert_eq!(trial.drops(), 1, "destroy returned, so userdata is gone");
    let other = polled(c"other");
    assert_ne!(other.0, stale, "handles are not used twice");
    unsafe { vixp2p_node_destroy(stale) };
    assert_eq!(vixp2p_last_error_code(), VIXP2P_ERR_BAD_HANDLE);
    assert_eq!(unsafe { vixp2p_node_start(stale) }, VIXP2P_ERR_BAD_HANDLE);
    assert!(last_error().contains("node was destroyed"), "{}", last_error());
    let mut never = 0u64;
    let never = (&raw mut never).cast();
    assert_eq!(unsafe { vixp2p_node_stop(never, 0) }, VIXP2P_ERR_BAD_HANDLE);
    assert_eq!(trial.drops(), 1);
}

/// A place for a handle that a callback is to use.
fn shared() -> Arc<Mutex<Option<Node>>> {
    Arc::default()
}

#[test]
fn a_node_can_be_destroyed_from_its_own_callback() {
    for kind in [VIXP2P_EVENT_STARTED, VIXP2P_EVENT_STOPPED] {
        let node = shared();
        let inside = node.clone();
        let trial = Trial::new(move |seen| {
            if *seen == Seen::Event(kind) {
                let handle = inside.lock().expect("sound").take().expect("still there");
                let number = handle.0;
                drop(handle);
                assert_eq!(unsafe { vixp2p_node_start(number) }, VIXP2P_ERR_BAD_HANDLE, "dead from the call on");
            }
            0
        });
        let created = create(&vixp2p_node_options { event: trial.event(), ..options(c"suicide") });
        let handle = created.0;
        *node.lock().expect("sound") = Some(created);
        assert_eq!(unsafe { vixp2p_node_start(handle) }, VIXP2P_OK);
        unsafe { vixp2p_node_stop(handle, 0) };
        trial.wait_for_drop();
        assert_eq!(trial.drops(), 1);
    }
}

#[test]
fn two_nodes_can_destroy_each_other_from_their_callbacks() {
    let (left, right) = (shared(), shared());
    let both = Arc::new(std::sync::Barrier::new(2));
    let mut trials = Vec::new();
    for (own, other) in [(&left, &right), (&right, &left)] {
        let (other, both) = (other.clone(), both.clone());
        let trial = Trial::new(move |seen| {
            if *seen == Seen::Event(VIXP2P_EVENT_STARTED) {
                both.wait();
                drop(other.lock().expect("sound").take());
            }
            0
        });
        *own.lock().expect("sound") = Some(create(&vixp2p_node_options { event: trial.event(), ..options(c"duel") }));
        trials.push(trial);
    }
    let handles = [&left, &right].map(|node| node.lock().expect("sound").as_ref().expect("there").0);
    for handle in handles {
        unsafe { vixp2p_node_start(handle) };
    }
    for trial in &trials {
        trial.wait_for_drop();
        assert_eq!(trial.drops(), 1);
    }
}

#[test]
fn a_node_that_polls_can_be_destroyed_while_it_dispatches() {
    let node = shared();
    let inside = node.clone();
    let trial = Trial::new(move |_| {
        drop(inside.lock().expect("sound").take());
        0
    });
    let created = create(&vixp2p_node_options { event: trial.event(), delivery: VIXP2P_DELIVERY_POLL, ..options(c"poll") });
    created.start();
    let handle = created.0;
    *node.lock().expect("sound") = Some(created);
    let mut done = 0;
    assert_eq!(unsafe { vixp2p_node_dispatch(handle, 0, &raw mut done) }, VIXP2P_OK);
    assert_eq!(done, 1, "nothing is begun after destroy");
    trial.wait_for_drop();
}

#[test]
fn destroy_waits_for_a_callback_that_runs() {
    let (entered, is_entered) = std::sync::mpsc::channel();
    let (leave, may_leave) = std::sync::mpsc::channel::<()>();
    let finished = Arc::new(AtomicUsize::new(0));
    let count = finished.clone();
    let trial = Trial::new(move |seen| {
        if *seen == Seen::Event(VIXP2P_EVENT_STARTED) {
            entered.send(()).expect("the test waits");
            may_leave.recv().expect("the test answers");
            count.fetch_add(1, Ordering::SeqCst);
        }
        0
    });
    let node = create(&vixp2p_node_options { event: trial.event(), ..options(c"busy") });
    node.start();
    is_entered.recv().expect("the callback runs");
    let destroyer = std::thread::spawn(move || drop(node));
    assert_eq!(trial.drops(), 0, "not while a call uses it");
    leave.send(()).expect("the callback waits");
    destroyer.join().expect("no panic");
    assert_eq!((finished.load(Ordering::SeqCst), trial.drops()), (1, 1));
}

#[test]
fn calls_that_would_wait_for_their_own_callback_say_so() {
    let node = shared();
    let inside = node.clone();
    let trial = Trial::new(move |seen| {
        if *seen == Seen::Event(VIXP2P_EVENT_STARTED) {
            let node = inside.lock().expect("sound");
            let handle = node.as_ref().expect("there").0;
            let mut event = std::ptr::null_mut();
            unsafe {
                assert_eq!(vixp2p_node_stop(handle, 0), VIXP2P_ERR_WOULD_DEADLOCK);
                assert_eq!(vixp2p_node_dispatch(handle, 0, std::ptr::null_mut()), VIXP2P_ERR_WOULD_DEADLOCK);
                assert_eq!(vixp2p_node_next_event(handle, &raw mut event), VIXP2P_ERR_WOULD_DEADLOCK);
                assert_eq!(vixp2p_node_wait_event(handle, -1, &raw mut event), VIXP2P_ERR_WOULD_DEADLOCK);
            }
        }
        0
    });
    let created = create(&vixp2p_node_options { event: trial.event(), delivery: VIXP2P_DELIVERY_POLL, ..options(c"inside") });
    created.start();
    let handle = created.0;
    *node.lock().expect("sound") = Some(created);
    assert_eq!(unsafe { vixp2p_node_dispatch(handle, 1, std::ptr::null_mut()) }, VIXP2P_OK);
    assert_eq!(trial.next(), Seen::Event(VIXP2P_EVENT_STARTED));
    drop(node.lock().expect("sound").take());
}

#[test]
fn a_callback_can_be_replaced_while_it_runs() {
    let (old, new) = (Trial::quiet(), Trial::quiet());
    let node = shared();
    let inside = node.clone();
    let replacement = new.event();
    let replacement = Mutex::new((replacement.r#fn, replacement.userdata as usize, replacement.drop));
    let replacing = Trial::new(move |seen| {
        if *seen == Seen::Event(VIXP2P_EVENT_STARTED) {
            let (function, userdata, release) = *replacement.lock().expect("sound");
            let callback = vixp2p_event_callback { r#fn: function, userdata: userdata as *mut _, drop: release };
            let node = inside.lock().expect("sound");
            let handle = node.as_ref().expect("there").0;
            assert_eq!(unsafe { vixp2p_node_set_event_callback(handle, &raw const callback) }, VIXP2P_OK);
        }
        0
    });
    let created = create(&vixp2p_node_options { event: old.event(), ..options(c"replace") });
    let (handle, callback) = (created.0, replacing.event());
    *node.lock().expect("sound") = Some(created);
    assert_eq!(unsafe { vixp2p_node_set_event_callback(handle, &raw const callback) }, VIXP2P_OK);
    assert_eq!(old.drops(), 1);
    assert_eq!(unsafe { vixp2p_node_start(handle) }, VIXP2P_OK);
    replacing.wait_for_drop();
    unsafe { vixp2p_node_stop(handle, 0) };
    new.until(|seen| *seen == Seen::Event(VIXP2P_EVENT_STOPPED));
    drop(node.lock().expect("sound").take());
    assert_eq!((old.drops(), replacing.drops(), new.drops()), (1, 1, 1));
    assert!(old.try_next().is_none());
}

#[test]
fn userdata_of_a_replacement_that_fails_is_dropped_too() {
    let trial = Trial::quiet();
    let (log, event, message, apply) = (trial.log(), trial.event(), trial.message(), trial.apply());
    let nobody = std::ptr::null_mut();
    unsafe {
        assert_eq!(vixp2p_node_set_log_callback(nobody, &raw const log), VIXP2P_ERR_BAD_HANDLE);
        assert_eq!(vixp2p_node_set_event_callback(nobody, &raw const event), VIXP2P_ERR_BAD_HANDLE);
        assert_eq!(vixp2p_node_set_message_callback(nobody, &raw const message), VIXP2P_ERR_BAD_HANDLE);
        assert_eq!(vixp2p_node_set_apply_callback(nobody, &raw const apply), VIXP2P_ERR_BAD_HANDLE);
    }
    assert_eq!(trial.drops(), 4);
}

#[test]
fn a_thread_that_waits_ends_when_the_node_does() {
    let stopped = polled(c"stopped");
    stopped.start();
    stopped.until(VIXP2P_EVENT_STARTED);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| (stopped.wait_event(-1).map(|event| event.kind()), stopped.wait_event(-1).err()));
        stopped.stop();
        assert_eq!(waiter.join().expect("no panic"), (Ok(VIXP2P_EVENT_STOPPED), Some(VIXP2P_ERR_STOPPED)));
    });
    let destroyed = polled(c"destroyed");
    destroyed.start();
    destroyed.until(VIXP2P_EVENT_STARTED);
    let handle = destroyed.0.addr();
    let waiter = std::thread::spawn(move || {
        let mut event = std::ptr::null_mut();
        loop {
            match unsafe { vixp2p_node_wait_event(std::ptr::without_provenance_mut(handle), -1, &raw mut event) } {
                VIXP2P_OK => unsafe { vixp2p_event_free(event) },
                status => return status,
            }
        }
    });
    drop(destroyed);
    assert!([VIXP2P_ERR_STOPPED, VIXP2P_ERR_BAD_HANDLE].contains(&waiter.join().expect("no panic")));
}

#[test]
fn many_nodes_live_and_die_side_by_side() {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..10 {
                    let (hub_trial, leaf_trial) = (Trial::quiet(), Trial::quiet());
                    let hub = create(&vixp2p_node_options { event: hub_trial.event(), ..options(c"hub") });
                    let leaf = create(&vixp2p_node_options { event: leaf_trial.event(), log: leaf_trial.log(), ..options(c"leaf") });
                    hub.start();
                    leaf.start();
                    leaf.connect_to(&hub);
                    if round % 2 == 0 {
                        hub_trial.until(|seen| *seen == Seen::Event(VIXP2P_EVENT_PEER_CONNECTED));
                    }
                    drop((leaf, hub));
                    assert_eq!((hub_trial.drops(), leaf_trial.drops()), (1, 2));
                }
            });
        }
    });
}
