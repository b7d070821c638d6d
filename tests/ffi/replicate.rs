//! Two nodes over loopback: messages, the replicated log, and looking at both.

use std::sync::atomic::{AtomicBool, Ordering};

use vixp2p::ffi::vixp2p_event_kind::*;
use vixp2p::ffi::vixp2p_status::*;
use vixp2p::ffi::*;

use crate::support::{Node, Seen, Trial, create, options, polled, text};

fn connected_pair(with: &vixp2p_node_options) -> (Node, Node) {
    let (writer, reader) = (polled(c"writer"), create(with));
    writer.start();
    reader.start();
    writer.connect_to(&reader);
    writer.until(VIXP2P_EVENT_PEER_CONNECTED);
    (writer, reader)
}

#[test]
fn messages_and_records_cross_from_one_node_to_the_other() {
    let (messages, records) = (Trial::quiet(), Trial::quiet());
    let with = vixp2p_node_options { message: messages.message(), apply: records.apply(), ..options(c"reader") };
    let (writer, reader) = connected_pair(&with);
    assert_eq!(writer.send(reader.id(), b"hello"), VIXP2P_OK);
    let mut queued = 0;
    assert_eq!(unsafe { vixp2p_node_broadcast(writer.0, c"all".as_ptr().cast(), 3, &raw mut queued) }, VIXP2P_OK);
    assert_eq!(queued, 1);
    assert_eq!(messages.next(), Seen::Message(b"hello".to_vec()));
    assert_eq!(messages.next(), Seen::Message(b"all".to_vec()));

    assert_eq!(writer.append(b"first"), 1);
    let slices = [&b"second"[..], b"", b"fourth"].map(|b| vixp2p_slice { data: b.as_ptr().cast(), len: b.len() });
    let (mut first, mut last) = (0, 0);
    let status = unsafe { vixp2p_node_append_batch(writer.0, slices.as_ptr(), 3, &raw mut first, &raw mut last) };
    assert_eq!((status, first, last), (VIXP2P_OK, 2, 4));
    for (seq, data) in [(1, &b"first"[..]), (2, b"second"), (3, b""), (4, b"fourth")] {
        assert_eq!(records.next(), Seen::Record(seq, data.to_vec()));
    }
    loop {
        let acked = writer.until(VIXP2P_EVENT_ACKED);
        let mut log = vixp2p_log_id::default();
        assert_eq!(unsafe { vixp2p_event_log(acked.0, &raw mut log) }, VIXP2P_OK);
        assert_eq!((acked.peer(), log), (reader.id(), writer.own_log()));
        if unsafe { vixp2p_event_applied(acked.0) } == 4 {
            assert_eq!(unsafe { vixp2p_event_durable(acked.0) }, 4);
            break;
        }
    }
}

#[test]
fn a_refused_record_comes_again_and_nothing_overtakes_it() {
    let refused = AtomicBool::new(false);
    let records = Trial::new(move |seen| match seen {
        Seen::Record(2, _) if !refused.swap(true, Ordering::Relaxed) => VIXP2P_APPLY_RETRY,
        _ => VIXP2P_APPLY_OK,
    });
    let with = vixp2p_node_options { apply: records.apply(), delivery: VIXP2P_DELIVERY_POLL, ..options(c"reader") };
    let (writer, reader) = connected_pair(&with);
    for data in [b"a", b"b", b"c"] {
        writer.append(data);
    }
    let refusal = reader.until(VIXP2P_EVENT_APPLY_REFUSED);
    assert_eq!(unsafe { vixp2p_event_seq(refusal.0) }, 2);
    assert!(unsafe { vixp2p_event_retry_in_ms(refusal.0) } > 0);
    let mut order = Vec::new();
    while order.len() < 4 {
        // Records are applied while events are waited for.
        let _ = reader.wait_event(10);
        order.extend(std::iter::from_fn(|| records.try_next()).map(|seen| if let Seen::Record(seq, _) = seen { seq } else { 0 }));
    }
    assert_eq!(order, [1, 2, 2, 3]);
}

#[test]
fn a_long_history_is_applied_once_each_over_a_restart() {
    let records = Trial::quiet();
    let with = vixp2p_node_options { apply: records.apply(), ..options(c"reader") };
    let (writer, reader) = (polled(c"writer"), create(&with));
    let payloads: Vec<[u8; 4]> = (1..=9000u32).map(u32::to_le_bytes).collect();
    let slices: Vec<_> = payloads.iter().map(|b| vixp2p_slice { data: b.as_ptr().cast(), len: 4 }).collect();
    let nothing = std::ptr::null_mut();
    let half = slices.len() / 2;
    let appended = |slices: &[vixp2p_slice]| unsafe { vixp2p_node_append_batch(writer.0, slices.as_ptr(), slices.len(), nothing, nothing) };
    assert_eq!(appended(&slices[..half]), VIXP2P_OK, "a node that does not run keeps its log");
    writer.start();
    reader.start();
    writer.connect_to(&reader);
    assert_eq!(records.next(), Seen::Record(1, payloads[0].to_vec()));
    reader.stop();
    assert_eq!(appended(&slices[half..]), VIXP2P_OK);
    reader.start();
    writer.stop();
    writer.start();
    writer.connect_to(&reader);
    for seq in 2..=slices.len() {
        assert_eq!(records.next(), Seen::Record(seq as u64, payloads[seq - 1].to_vec()));
    }
}

#[test]
fn a_record_of_the_outbox_at_the_end_of_a_run_holds_up_nothing() {
    // As many as are given to the callback in one go.
    const RUN: u64 = 4096;
    let open = std::sync::Arc::new(AtomicBool::new(false));
    let gate = open.clone();
    let records = Trial::new(move |_| if gate.load(Ordering::SeqCst) { VIXP2P_APPLY_OK } else { VIXP2P_APPLY_RETRY });
    let with = vixp2p_node_options { apply: records.apply(), ..options(c"reader") };
    let (writer, reader) = connected_pair(&with);
    let (nothing, one) = (std::ptr::null_mut(), vixp2p_slice { data: c"x".as_ptr().cast(), len: 1 });
    let before = vec![one; RUN as usize - 1];
    assert_eq!(unsafe { vixp2p_node_append_batch(writer.0, before.as_ptr(), before.len(), nothing, nothing) }, VIXP2P_OK);
    let mut id = vixp2p_op_id::default();
    let (all, none) = (std::ptr::null(), std::ptr::null());
    assert_eq!(unsafe { vixp2p_outbox_put(writer.0, all, c"k".as_ptr(), none, 0, none, 0, &raw mut id) }, VIXP2P_OK);
    assert_eq!(id.seq, RUN);
    assert_eq!(writer.append(b"behind"), RUN + 1);
    let peer = reader.id();
    let status = unsafe {
        vixp2p_node_wait_ack(writer.0, &raw const id.log, RUN + 1, &raw const peer, 1, VIXP2P_ACK_DURABLE, 30_000, std::ptr::null_mut())
    };
    assert_eq!(status, VIXP2P_OK);
    open.store(true, Ordering::SeqCst);
    loop {
        match records.next() {
            Seen::Record(seq, data) if seq == RUN + 1 => break assert_eq!(data, b"behind"),
            Seen::Record(seq, _) => assert_ne!(seq, RUN, "the application sees nothing of the outbox"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn appending_is_allowed_while_a_record_is_applied() {
    let node = std::sync::Arc::new(std::sync::atomic::AtomicPtr::new(std::ptr::null_mut()));
    let inside = node.clone();
    let records = Trial::new(move |_| {
        let mut seq = 0;
        let handle = inside.load(Ordering::SeqCst);
        assert_eq!(unsafe { vixp2p_node_append(handle, c"echo".as_ptr().cast(), 4, &raw mut seq) }, VIXP2P_OK);
        i32::from(seq != 1)
    });
    let echo = create(&vixp2p_node_options { apply: records.apply(), ..options(c"echo") });
    node.store(echo.0, Ordering::SeqCst);
    let answers = Trial::quiet();
    let asker = create(&vixp2p_node_options { apply: answers.apply(), ..options(c"asker") });
    asker.start();
    echo.start();
    asker.connect_to(&echo);
    asker.append(b"hey");
    assert_eq!(answers.next(), Seen::Record(1, b"echo".to_vec()));
}

#[test]
fn limits_are_told_with_their_numbers() {
    let node = polled(c"limits");
    node.start();
    let big = vec![0u8; 16 * 1024 * 1024 + 1];
    assert_eq!(node.send(node.id(), &big[..1]), VIXP2P_ERR_NOT_CONNECTED);
    let status = unsafe { vixp2p_node_broadcast(node.0, big.as_ptr().cast(), big.len(), std::ptr::null_mut()) };
    assert_eq!(status, VIXP2P_ERR_TOO_LARGE);
    assert!(text(vixp2p_last_error_message()).ends_with("message of 16777217 bytes, limit is 16777216"));
    let status = unsafe { vixp2p_node_append(node.0, big.as_ptr().cast(), 1024 * 1024 + 1, std::ptr::null_mut()) };
    assert_eq!(status, VIXP2P_ERR_TOO_LARGE);
    let status = unsafe { vixp2p_node_send(node.0, &NOBODY, big.as_ptr().cast(), usize::MAX) };
    assert_eq!(status, VIXP2P_ERR_INVALID);
}

const NOBODY: vixp2p_peer_id = vixp2p_peer_id { bytes: [7; 32] };

#[test]
fn peers_logs_and_counters_fill_arrays_of_the_callers_size() {
    let (writer, reader) = connected_pair(&options(c"reader"));
    writer.append(b"x");
    let mut count = 0;
    let none = std::ptr::null_mut();
    assert_eq!(unsafe { vixp2p_node_peers(writer.0, none, 640, &raw mut count) }, VIXP2P_ERR_BUFFER_TOO_SMALL);
    assert_eq!(count, 1);
    // A program of a later version has a longer struct.
    let stride = size_of::<vixp2p_peer_info>() + 16;
    let mut room = vec![u64::MAX; 2 * stride / 8];
    count = 2;
    let infos: *mut vixp2p_peer_info = room.as_mut_ptr().cast();
    assert_eq!(unsafe { vixp2p_node_peers(writer.0, infos, stride, &raw mut count) }, VIXP2P_OK);
    let info = unsafe { infos.read() };
    assert_eq!((count, info.struct_size as usize), (1, size_of::<vixp2p_peer_info>()));
    assert_eq!(info.flags, VIXP2P_PEER_HAS_ID | VIXP2P_PEER_SECURE | VIXP2P_PEER_TRUSTED);
    assert_eq!((info.id, info.state), (reader.id(), vixp2p_peer_state::VIXP2P_PEER_CONNECTED as i32));
    assert_eq!(info.direction, vixp2p_direction::VIXP2P_DIRECTION_OUTBOUND as i32);
    assert_eq!(text(info.node_id.as_ptr()), "reader");
    assert_eq!(text(info.endpoint.as_ptr()), format!("tcp://127.0.0.1:{}", reader.port()));
    assert_eq!((info.stage, info.failures), (vixp2p_handshake_stage::VIXP2P_STAGE_FINISHED as i32, 0));
    assert!(info.since_ms_ago >= 0 && info.next_attempt_in_ms == -1 && text(info.last_reason.as_ptr()).is_empty());
    assert_eq!(room[stride / 8 - 2..stride / 8 + 1], [0, 0, u64::MAX]);

    let mut target = std::mem::MaybeUninit::<vixp2p_target_info>::uninit();
    count = 1;
    let size = size_of::<vixp2p_target_info>();
    assert_eq!(unsafe { vixp2p_node_targets(writer.0, target.as_mut_ptr(), size, &raw mut count) }, VIXP2P_OK);
    let target = unsafe { target.assume_init() };
    assert_eq!((count, target.struct_size as usize, target.id), (1, size, reader.id()));
    assert_eq!(target.flags, VIXP2P_PEER_HAS_ID | VIXP2P_TARGET_WANTED);
    assert_eq!(target.state, vixp2p_peer_state::VIXP2P_PEER_CONNECTED as i32);
    assert_eq!((target.failures, target.next_attempt_in_ms, target.reserved), (0, -1, 0));

    let mut stats = std::mem::MaybeUninit::<vixp2p_stats>::uninit();
    let size = size_of::<vixp2p_stats>();
    assert_eq!(unsafe { vixp2p_node_stats(writer.0, stats.as_mut_ptr(), size) }, VIXP2P_OK);
    let stats = unsafe { stats.assume_init() };
    assert_eq!((stats.struct_size as usize, stats.peers_connected, stats.handshakes_completed), (size, 1, 1));
    assert_eq!(stats.records_appended, 1);
    assert!(stats.bytes_sent > 0 && stats.frames_sent > 0);

    let mut states = [vixp2p_log_state { struct_size: 0, reserved: 9, log: vixp2p_log_id::default(), durable: 0, applied: 0 }; 4];
    count = states.len();
    let size = size_of::<vixp2p_log_state>();
    assert_eq!(unsafe { vixp2p_node_logs(writer.0, states.as_mut_ptr(), size, &raw mut count) }, VIXP2P_OK);
    let own = states[..count].iter().find(|state| state.log == writer.own_log()).expect("its own log");
    assert_eq!((own.durable, own.applied, own.log.origin), (1, 1, writer.id()));
}

#[test]
fn where_the_application_stands_is_said_before_the_start() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = std::ffi::CString::new(dir.path().to_str().expect("UTF-8")).expect("no zero inside");
    let first = Trial::quiet();
    let with = vixp2p_node_options { apply: first.apply(), data_dir: path.as_ptr(), ..options(c"reader") };
    let (writer, reader) = connected_pair(&with);
    let log = writer.own_log();
    for data in [b"a", b"b", b"c"] {
        writer.append(data);
    }
    first.until(|seen| matches!(seen, Seen::Record(3, _)));
    assert_eq!(unsafe { vixp2p_node_set_applied(reader.0, &raw const log, 1) }, VIXP2P_ERR_INVALID, "not while it runs");
    let mut second = std::ptr::null_mut();
    let status = unsafe { vixp2p_node_create(&vixp2p_node_options { data_dir: path.as_ptr(), ..options(c"b") }, &raw mut second) };
    assert_eq!(status, VIXP2P_ERR_DIR_IN_USE);
    let id = reader.id();
    drop(reader);
    let again = Trial::quiet();
    let reader = create(&vixp2p_node_options { apply: again.apply(), data_dir: path.as_ptr(), ..options(c"reader") });
    assert_eq!(reader.id(), id, "the identity is in the directory");
    assert_eq!(unsafe { vixp2p_node_set_applied(reader.0, &raw const log, 1) }, VIXP2P_OK);
    reader.start();
    assert_eq!(again.next(), Seen::Record(2, b"b".to_vec()));
    assert_eq!(again.next(), Seen::Record(3, b"c".to_vec()));
}
