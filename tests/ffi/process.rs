//! The library as a guest in a process: fork, and panics that do not cross the border.

use vixp2p::ffi::vixp2p_status::*;
use vixp2p::ffi::*;

use crate::support::polled;

/// What the child of a fork finds, as an exit code.
fn in_child(node: *mut vixp2p_node, before: usize) -> i32 {
    let mut event = std::ptr::null_mut();
    let mut own = std::ptr::null_mut();
    let refused = unsafe {
        [
            vixp2p_node_start(node),
            vixp2p_node_stop(node, -1),
            vixp2p_node_wait_event(node, -1, &raw mut event),
            vixp2p_node_append(node, std::ptr::null(), 0, std::ptr::null_mut()),
        ]
    };
    if refused.iter().any(|status| *status != VIXP2P_ERR_FORKED) {
        return 1;
    }
    unsafe {
        vixp2p_node_destroy(node);
        if vixp2p_last_error_code() != VIXP2P_ERR_FORKED {
            return 2;
        }
        // The child may have nodes of its own.
        if vixp2p_node_create(std::ptr::null(), &raw mut own) != VIXP2P_OK || own.addr() <= before {
            return 3;
        }
        if vixp2p_node_start(own) != VIXP2P_OK || vixp2p_node_stop(own, 0) != VIXP2P_OK {
            return 4;
        }
        vixp2p_node_destroy(own);
    }
    0
}

#[test]
fn a_forked_child_is_told_that_the_node_is_its_parents() {
    let node = polled(c"parent");
    node.start();
    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = in_child(node.0, node.0.addr());
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "the child ended with {status:#x}");
    assert_eq!(node.stop(), VIXP2P_OK, "the parent's node goes on");
}

#[cfg(feature = "test-ffi")]
#[test]
fn a_panic_becomes_a_status_and_the_node_can_only_be_destroyed() {
    use crate::support::{Seen, Trial, create, last_error, options};

    let trial = Trial::quiet();
    let node = create(&vixp2p_node_options { log: trial.log(), delivery: VIXP2P_DELIVERY_POLL, ..options(c"panic") });
    assert_eq!(unsafe { vixp2p_test_panic(node.0) }, VIXP2P_ERR_PANIC);
    assert!(last_error().contains("internal error: asked for at src/ffi/node.rs"), "{}", last_error());
    assert_eq!(unsafe { vixp2p_node_start(node.0) }, VIXP2P_ERR_POISONED);
    let sound = create(&vixp2p_node_options { log: trial.log(), delivery: VIXP2P_DELIVERY_POLL, ..options(c"sound") });
    assert_eq!(unsafe { vixp2p_test_panic(std::ptr::null_mut()) }, VIXP2P_ERR_PANIC);
    unsafe { vixp2p_node_dispatch(sound.0, 0, std::ptr::null_mut()) };
    let line = trial.until(|seen| matches!(seen, Seen::Log(line) if line.contains("asked for")));
    assert!(matches!(line, Seen::Log(_)));
    drop(node);
    drop(sound);
    assert_eq!(trial.drops(), 2);
}
