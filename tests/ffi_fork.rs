//! fork: nodes of the parent are refused in the child; a child of a parent without nodes has its own. One test, because the nodes
//! of a second one would be nodes of the parent.
#![allow(unsafe_code, reason = "a C caller is what this test plays")]

use std::ptr::{null, null_mut};

use vixp2p::ffi::vixp2p_status::*;
use vixp2p::ffi::*;

/// Runs `child` in a child process; what it returns is its exit code.
fn in_child(child: impl FnOnce() -> i32) -> i32 {
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let code = child();
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status), "the child ended with {status:#x}");
    libc::WEXITSTATUS(status)
}

fn started() -> *mut vixp2p_node {
    let mut node = null_mut();
    unsafe {
        assert_eq!(vixp2p_node_create(null(), &raw mut node), VIXP2P_OK);
        assert_eq!(vixp2p_node_start(node), VIXP2P_OK);
    }
    node
}

/// What a child finds that was forked while `node` lived.
fn finds_its_parents_node(node: *mut vixp2p_node) -> i32 {
    let (mut event, mut own) = (null_mut(), null_mut());
    let refused = unsafe {
        [
            vixp2p_node_start(node),
            vixp2p_node_stop(node, -1),
            vixp2p_node_wait_event(node, -1, &raw mut event),
            vixp2p_node_append(node, null(), 0, null_mut()),
            vixp2p_node_create(null(), &raw mut own),
        ]
    };
    if refused.iter().any(|status| *status != VIXP2P_ERR_FORKED) || !own.is_null() {
        return 1;
    }
    unsafe { vixp2p_node_destroy(node) };
    if vixp2p_last_error_code() == VIXP2P_ERR_FORKED { 0 } else { 2 }
}

/// What a child does that was forked when all nodes were gone.
fn has_nodes_of_its_own(before: *mut vixp2p_node) -> i32 {
    if unsafe { vixp2p_node_start(before) } != VIXP2P_ERR_FORKED {
        return 1;
    }
    let node = started();
    let stopped = unsafe { vixp2p_node_stop(node, 0) };
    unsafe { vixp2p_node_destroy(node) };
    i32::from(stopped != VIXP2P_OK || node.addr() <= before.addr())
}

#[test]
fn a_forked_child_is_told_what_is_its_parents() {
    let node = started();
    assert_eq!(in_child(|| finds_its_parents_node(node)), 0);
    assert_eq!(unsafe { vixp2p_node_stop(node, -1) }, VIXP2P_OK, "the parent's node goes on");
    unsafe { vixp2p_node_destroy(node) };
    assert_eq!(in_child(|| has_nodes_of_its_own(node)), 0);
    let again = started();
    unsafe { vixp2p_node_destroy(again) };
}
