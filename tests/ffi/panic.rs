//! A panic inside the library does not cross the border. Only with the feature that lets a caller ask for one.

use vixp2p::ffi::vixp2p_status::*;
use vixp2p::ffi::*;

use crate::support::{Seen, Trial, create, last_error, options};

#[test]
fn a_panic_becomes_a_status_and_the_node_can_only_be_destroyed() {
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
