//! A subscription shared by threads: who looks does not wait for who waits, and a record outlives the handle it came by.

use std::sync::mpsc::channel;

use vixp2p::ffi::vixp2p_status::*;
use vixp2p::ffi::*;

use crate::support::{Node, polled};

#[derive(Clone, Copy)]
struct Shared(*mut vixp2p_subscription);

// SAFETY: a handle is a number, and any thread may use it.
unsafe impl Send for Shared {}

impl Shared {
    fn all(node: &Node) -> Shared {
        let mut out = std::ptr::null_mut();
        let status = unsafe { vixp2p_node_subscribe(node.0, std::ptr::null(), 0, VIXP2P_SUBSCRIBE_ALL, &raw mut out) };
        assert_eq!(status, VIXP2P_OK);
        Shared(out)
    }

    fn next(self, timeout_ms: i32) -> (vixp2p_status, *const vixp2p_record) {
        let mut record = std::ptr::null();
        (unsafe { vixp2p_subscription_next(self.0, timeout_ms, &raw mut record) }, record)
    }

    fn free(self) {
        unsafe { vixp2p_subscription_free(self.0) };
    }
}

/// The bytes of a record that was given to this thread.
fn bytes(record: *const vixp2p_record) -> Vec<u8> {
    unsafe { std::slice::from_raw_parts((*record).data.cast::<u8>(), (*record).len) }.to_vec()
}

#[test]
fn who_looks_at_a_subscription_does_not_wait_for_who_waits_in_it() {
    let node = polled(c"node");
    node.start();
    let all = Shared::all(&node);
    let waiting = std::thread::spawn(move || {
        let (status, record) = all.next(-1);
        (status, bytes(record))
    });
    // Nothing comes before this is over, so that the other thread is in its wait for most of it.
    for _ in 0..2000 {
        assert_eq!(all.next(0).0, VIXP2P_EMPTY);
        assert_eq!(unsafe { vixp2p_subscription_cursor(all.0, std::ptr::null_mut(), &mut 0) }, VIXP2P_OK);
        std::thread::yield_now();
    }
    node.append(b"x");
    assert_eq!(waiting.join().expect("no panic"), (VIXP2P_OK, b"x".to_vec()));
    all.free();
}

#[test]
fn a_record_stays_the_threads_that_took_it_when_another_goes_on_or_frees_the_subscription() {
    let node = polled(c"node");
    node.append(b"first");
    node.append(b"second");
    node.start();
    let all = Shared::all(&node);
    let (taken, is_taken) = channel();
    let (freed, is_freed) = channel::<()>();
    let other = std::thread::spawn(move || {
        let (status, record) = all.next(-1);
        taken.send(()).expect("waited for");
        is_freed.recv().expect("told");
        (status, bytes(record), all.next(0).0)
    });
    is_taken.recv().expect("told");
    let (status, second) = all.next(-1);
    assert_eq!((status, bytes(second)), (VIXP2P_OK, b"second".to_vec()));
    all.free();
    freed.send(()).expect("waited for");
    assert_eq!(other.join().expect("no panic"), (VIXP2P_OK, b"first".to_vec(), VIXP2P_ERR_BAD_HANDLE));
}

#[test]
fn freeing_a_subscription_ends_every_wait_in_it() {
    let node = polled(c"node");
    node.start();
    for _ in 0..200 {
        let all = Shared::all(&node);
        let waiting: Vec<_> = (0..2).map(|_| std::thread::spawn(move || all.next(-1).0)).collect();
        all.free();
        for thread in waiting {
            let status = thread.join().expect("no panic");
            assert!(matches!(status, VIXP2P_ERR_STOPPED | VIXP2P_ERR_BAD_HANDLE), "{status:?}");
        }
    }
}
