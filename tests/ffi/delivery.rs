//! Both ways of delivery: a thread of the node calls, or the program polls a descriptor. Log lines on either.

use std::sync::{Arc, Mutex};

use vixp2p::ffi::vixp2p_event_kind::*;
use vixp2p::ffi::vixp2p_status::*;
use vixp2p::ffi::*;

use crate::support::{Node, Seen, Trial, create, options, polled, text};

/// Whether the descriptor is readable within `timeout_ms`.
fn readable(fd: i32, timeout_ms: i32) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let ready = unsafe { libc::poll(&raw mut poll, 1, timeout_ms) };
    assert!(ready >= 0 && poll.revents & !libc::POLLIN == 0);
    ready == 1
}

fn fd(node: &Node) -> i32 {
    let fd = unsafe { vixp2p_node_event_fd(node.0) };
    assert!(fd >= 0);
    assert_ne!(unsafe { libc::fcntl(fd, libc::F_GETFD) } & libc::FD_CLOEXEC, 0);
    fd
}

fn pair() -> (Node, Node) {
    let (left, right) = (polled(c"left"), polled(c"right"));
    left.start();
    right.start();
    left.connect_to(&right);
    left.until(VIXP2P_EVENT_PEER_CONNECTED);
    right.until(VIXP2P_EVENT_PEER_CONNECTED);
    (left, right)
}

#[test]
fn the_descriptor_is_readable_exactly_while_something_waits() {
    let node = polled(c"fd");
    let fd = fd(&node);
    assert!(!readable(fd, 0), "nothing has happened yet");
    node.start();
    assert!(readable(fd, 30_000));
    assert!(readable(fd, 0), "level-triggered");
    let mut event = std::ptr::null_mut();
    assert_eq!(unsafe { vixp2p_node_next_event(node.0, &raw mut event) }, VIXP2P_OK);
    unsafe { vixp2p_event_free(event) };
    assert!(!readable(fd, 0), "taken");
    assert_eq!(unsafe { vixp2p_node_next_event(node.0, &raw mut event) }, VIXP2P_EMPTY);
    assert!(event.is_null());
    assert_eq!(node.wait_event(0).err(), Some(VIXP2P_TIMEOUT));
    assert_eq!(node.wait_event(5).err(), Some(VIXP2P_TIMEOUT));
    node.stop();
    assert!(readable(fd, 0));
}

#[test]
fn every_message_of_a_batch_is_an_event_and_keeps_the_descriptor_readable() {
    let (left, right) = pair();
    let fd = fd(&right);
    for n in 0..100u8 {
        assert_eq!(left.send(right.id(), &[n]), VIXP2P_OK);
    }
    assert_eq!(left.send(right.id(), b""), VIXP2P_OK);
    for n in 0..=100u8 {
        assert!(readable(fd, 30_000), "message {n}");
        let message = right.until(VIXP2P_EVENT_MESSAGE);
        assert_eq!(message.data(), if n < 100 { vec![n] } else { Vec::new() });
        assert_eq!(message.peer(), left.id());
        let expected = if n < 100 { "message of 1 bytes from " } else { "message of 0 bytes from " };
        assert!(text(unsafe { vixp2p_event_text(message.0) }).starts_with(expected));
        assert!(text(unsafe { vixp2p_event_json(message.0) }).starts_with("{\"bytes\":"));
    }
}

#[test]
fn events_tell_who_where_and_why() {
    let (left, right) = (polled(c"left"), polled(c"the \x1b right"));
    left.start();
    right.start();
    left.connect_to(&right);
    let met = left.until(VIXP2P_EVENT_PEER_CONNECTED);
    unsafe {
        assert_eq!(met.peer(), right.id());
        assert_eq!(text(vixp2p_event_node_id(met.0)), "the \\u{1b} right");
        assert_eq!(text(vixp2p_event_endpoint(met.0)), format!("tcp://127.0.0.1:{}", right.port()));
        assert_eq!(vixp2p_event_direction(met.0), vixp2p_direction::VIXP2P_DIRECTION_OUTBOUND);
        assert_eq!(vixp2p_event_connected(met.0), 1);
        assert!(vixp2p_event_reason(met.0).is_null() && vixp2p_event_data(met.0, std::ptr::null_mut()).is_null());
        assert_eq!(vixp2p_event_log(met.0, std::ptr::null_mut()), VIXP2P_EMPTY);
        assert_eq!((vixp2p_event_retry_in_ms(met.0), vixp2p_event_count(met.0), vixp2p_event_seq(met.0)), (-1, 0, 0));
    }
    let peer = right.id();
    assert_eq!(unsafe { vixp2p_node_disconnect(left.0, &raw const peer) }, VIXP2P_OK);
    let gone = left.until(VIXP2P_EVENT_PEER_DISCONNECTED);
    unsafe {
        assert_eq!(text(vixp2p_event_reason(gone.0)), "disconnected");
        assert_eq!(text(vixp2p_event_reason_text(gone.0)), "disconnected on request");
        assert_eq!(vixp2p_event_connected(gone.0), 0);
    }
    assert_eq!(left.send(peer, b"late"), VIXP2P_ERR_NOT_CONNECTED);
    unsafe { vixp2p_node_connect(left.0, c"127.0.0.1:1".as_ptr()) };
    let failed = left.until(VIXP2P_EVENT_CONNECT_FAILED);
    assert_eq!(text(unsafe { vixp2p_event_reason(failed.0) }), "refused");
    assert!(unsafe { vixp2p_event_retry_in_ms(failed.0) } > 0);
}

#[test]
fn a_node_with_callbacks_gives_no_events_away() {
    let node = create(&options(c"calls"));
    let mut event = std::ptr::null_mut();
    unsafe {
        assert_eq!(vixp2p_node_next_event(node.0, &raw mut event), VIXP2P_ERR_UNSUPPORTED);
        assert_eq!(vixp2p_node_wait_event(node.0, 0, &raw mut event), VIXP2P_ERR_UNSUPPORTED);
        assert_eq!(vixp2p_node_dispatch(node.0, 0, std::ptr::null_mut()), VIXP2P_ERR_UNSUPPORTED);
        assert_eq!(vixp2p_node_event_fd(node.0), -1);
        assert_eq!(vixp2p_last_error_code(), VIXP2P_ERR_UNSUPPORTED);
    }
}

#[test]
fn dispatch_runs_callbacks_on_the_calling_thread_up_to_the_number_given() {
    let here = std::thread::current().id();
    let trial = Trial::new(move |_| {
        assert_eq!(std::thread::current().id(), here);
        0
    });
    let both =
        vixp2p_node_options { event: trial.event(), message: trial.message(), delivery: VIXP2P_DELIVERY_POLL, ..options(c"dispatch") };
    let (node, other) = (create(&both), polled(c"other"));
    node.start();
    other.start();
    other.connect_to(&node);
    other.until(VIXP2P_EVENT_PEER_CONNECTED);
    for text in [b"one", b"two"] {
        assert_eq!(other.send(node.id(), text), VIXP2P_OK);
    }
    let mut seen = Vec::new();
    while !seen.contains(&Seen::Message(b"two".to_vec())) {
        assert!(readable(fd(&node), 30_000));
        let mut done = 9;
        let status = unsafe { vixp2p_node_dispatch(node.0, 1, &raw mut done) };
        assert_eq!((status, done), (VIXP2P_OK, 1));
        seen.push(trial.next());
    }
    assert_eq!(seen[0], Seen::Event(VIXP2P_EVENT_STARTED));
    assert!(seen.contains(&Seen::Message(b"one".to_vec())));
}

#[test]
fn log_lines_reach_their_callback_from_the_level_on() {
    let trial = Trial::quiet();
    let node = create(&vixp2p_node_options { log: trial.log(), log_level: 6, ..options(c"log") });
    node.start();
    node.stop();
    assert_eq!(unsafe { vixp2p_node_set_log_level(node.0, 2) }, VIXP2P_OK);
    assert_eq!(unsafe { vixp2p_node_set_log_level(node.0, 7) }, VIXP2P_ERR_INVALID);
    node.start();
    assert_eq!(trial.next(), Seen::Log(format!("node started, listening on port {}", node.port())), "nothing before was wanted");
    node.stop();
    trial.until(|seen| *seen == Seen::Log("node stopped".into()));
}

#[test]
fn a_log_callback_may_call_but_neither_wait_nor_feed_itself() {
    let node: Arc<Mutex<Option<Node>>> = Arc::default();
    let inside = node.clone();
    let trial = Trial::new(move |seen| {
        let Seen::Log(line) = seen else { return 0 };
        let node = inside.lock().expect("sound");
        let handle = node.as_ref().expect("there").0;
        unsafe {
            assert_eq!(vixp2p_node_append(handle, std::ptr::null(), 0, std::ptr::null_mut()), VIXP2P_ERR_WOULD_DEADLOCK);
            // Would log that the node dials itself, again and again.
            if line.contains("node started") {
                vixp2p_node_connect(handle, c"127.0.0.1:1".as_ptr());
            }
        }
        0
    });
    let created = create(&vixp2p_node_options { log: trial.log(), log_level: 0, ..options(c"feedback") });
    let handle = created.0;
    *node.lock().expect("sound") = Some(created);
    unsafe {
        vixp2p_node_start(handle);
        vixp2p_node_stop(handle, 0);
    }
    trial.until(|seen| *seen == Seen::Log("node stopped".into()));
    drop(node.lock().expect("sound").take());
    assert_eq!(trial.drops(), 1);
}
