//! The answers of an apply callback through the C interface, and the cursor callback.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};

use vixp2p::ffi::vixp2p_event_kind::*;
use vixp2p::ffi::vixp2p_status::*;
use vixp2p::ffi::*;

use crate::support::{Seen, Trial, create, options, polled};

#[test]
fn a_poisoned_record_parks_its_log_until_it_is_skipped_by_order() {
    let records = Trial::new(|seen| if matches!(seen, Seen::Record(2, _)) { VIXP2P_APPLY_POISON } else { VIXP2P_APPLY_OK });
    let (writer, reader) = (polled(c"writer"), create(&vixp2p_node_options { apply: records.apply(), ..options(c"reader") }));
    let nobody = vixp2p_log_id::default();
    assert_eq!(unsafe { vixp2p_node_apply_resume(reader.0, &raw const nobody, 1) }, VIXP2P_ERR_INVALID);
    assert_eq!(unsafe { vixp2p_node_apply_resume(reader.0, std::ptr::null(), 1) }, VIXP2P_ERR_INVALID);
    for data in [b"a", b"b", b"c"] {
        writer.append(data);
    }
    writer.start();
    reader.start();
    writer.connect_to(&reader);
    assert_eq!(records.next(), Seen::Record(1, b"a".to_vec()));
    assert_eq!(records.next(), Seen::Record(2, b"b".to_vec()));
    // The order may come before the node has heard of the poison.
    let log = writer.own_log();
    let mut status = VIXP2P_ERR_INVALID;
    while status != VIXP2P_OK {
        assert_eq!(status, VIXP2P_ERR_INVALID);
        status = unsafe { vixp2p_node_apply_resume(reader.0, &raw const log, 1) };
        std::thread::yield_now();
    }
    assert_eq!(records.next(), Seen::Record(3, b"c".to_vec()));
}

#[test]
fn a_parked_log_is_told_by_an_event_with_its_record() {
    let records = Trial::new(|_| VIXP2P_APPLY_POISON);
    let with = vixp2p_node_options { apply: records.apply(), delivery: VIXP2P_DELIVERY_POLL, ..options(c"reader") };
    let (writer, reader) = (polled(c"writer"), create(&with));
    writer.append(b"a");
    writer.start();
    reader.start();
    writer.connect_to(&reader);
    let parked = reader.until(VIXP2P_EVENT_APPLY_PARKED);
    let mut log = vixp2p_log_id::default();
    assert_eq!(unsafe { vixp2p_event_log(parked.0, &raw mut log) }, VIXP2P_OK);
    assert_eq!((log, unsafe { vixp2p_event_seq(parked.0) }), (writer.own_log(), 1));
    assert_eq!(unsafe { vixp2p_node_apply_resume(reader.0, &raw const log, 0) }, VIXP2P_OK);
    assert_eq!(unsafe { vixp2p_event_seq(reader.until(VIXP2P_EVENT_APPLY_RESUMED).0) }, 1);
    reader.until(VIXP2P_EVENT_APPLY_PARKED);
}

static DROPS: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" fn two_are_there(userdata: *mut c_void, log: *const vixp2p_log_id, out_seq: *mut u64) -> i32 {
    assert!(!userdata.is_null() && !log.is_null());
    unsafe { out_seq.write(2) };
    1
}

unsafe extern "C" fn count_drop(_userdata: *mut c_void) {
    DROPS.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn the_applications_own_cursor_decides_with_which_record_it_begins() {
    let records = Trial::quiet();
    let (writer, reader) = (polled(c"writer"), create(&vixp2p_node_options { apply: records.apply(), ..options(c"reader") }));
    let mut userdata = 0u8;
    let userdata: *mut c_void = (&raw mut userdata).cast();
    let callback = vixp2p_cursor_callback { r#fn: Some(two_are_there), userdata, drop: Some(count_drop) };
    assert_eq!(unsafe { vixp2p_node_set_cursor_callback(reader.0, &raw const callback) }, VIXP2P_OK);
    for data in [b"a", b"b", b"c"] {
        writer.append(data);
    }
    writer.start();
    reader.start();
    writer.connect_to(&reader);
    assert_eq!(records.next(), Seen::Record(3, b"c".to_vec()));
    reader.stop();
    assert_eq!(unsafe { vixp2p_node_set_cursor_callback(reader.0, std::ptr::null()) }, VIXP2P_OK);
    drop(reader);
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
}

static GONE: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" fn not_known_now(_userdata: *mut c_void, _log: *const vixp2p_log_id, out_seq: *mut u64) -> i32 {
    unsafe { out_seq.write(2) };
    -1
}

unsafe extern "C" fn count_gone(_userdata: *mut c_void) {
    GONE.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn a_cursor_callback_that_cannot_tell_has_records_wait_and_is_let_go_of_with_the_node() {
    let records = Trial::quiet();
    let with = vixp2p_node_options { apply: records.apply(), delivery: VIXP2P_DELIVERY_POLL, ..options(c"reader") };
    let (writer, reader) = (polled(c"writer"), create(&with));
    let callback = vixp2p_cursor_callback { r#fn: Some(not_known_now), userdata: std::ptr::null_mut(), drop: Some(count_gone) };
    assert_eq!(unsafe { vixp2p_node_set_cursor_callback(reader.0, &raw const callback) }, VIXP2P_OK);
    writer.append(b"a");
    writer.start();
    reader.start();
    writer.connect_to(&reader);
    assert_eq!(unsafe { vixp2p_event_seq(reader.until(VIXP2P_EVENT_APPLY_REFUSED).0) }, 1);
    reader.stop();
    assert_eq!(unsafe { vixp2p_node_start(reader.0) }, VIXP2P_ERR_INVALID, "a log is there whose place is not known");
    assert!(records.try_next().is_none());
    assert_eq!(GONE.load(Ordering::SeqCst), 0);
    drop(reader);
    assert_eq!(GONE.load(Ordering::SeqCst), 1);
}
