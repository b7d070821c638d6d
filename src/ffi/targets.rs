//! Looking at the endpoints a node dials, and how far a handshake is. Never changes anything.

use std::ffi::c_char;

use crate::base::event::printable;
use crate::base::{CloseReason, HandshakeStage};
use crate::ffi::boundary::write_sized;
use crate::ffi::handle::on_node;
use crate::ffi::peers::{VIXP2P_ENDPOINT_SIZE, VIXP2P_PEER_HAS_ID, fixed, peer_state, write_array};
use crate::ffi::status::vixp2p_status;
use crate::ffi::types::{vixp2p_node, vixp2p_peer_id};
use crate::mesh::TargetSnapshot;

/// Which messages of a connection's handshake have passed.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum vixp2p_handshake_stage {
    /// None; or there is no connection.
    VIXP2P_STAGE_NONE = 0,
    /// Dialled here: the Hello is on its way.
    VIXP2P_STAGE_HELLO_SENT = 1,
    /// Accepted here: the Hello has come and passed.
    VIXP2P_STAGE_HELLO_RECEIVED = 2,
    /// Accepted here: the HelloAck is on its way.
    VIXP2P_STAGE_ACK_SENT = 3,
    /// Dialled here: the HelloAck has come and passed; the welcome has not come yet.
    VIXP2P_STAGE_ACK_RECEIVED = 4,
    /// All: the link stands.
    VIXP2P_STAGE_FINISHED = 5,
}

/// vixp2p_target_info.flags: asked for by vixp2p_node_connect() and the like, and dialled until it is told otherwise.
pub const VIXP2P_TARGET_WANTED: u32 = 8;

/// Room for the name of a reason with its terminating zero.
pub const VIXP2P_REASON_SIZE: usize = 32;
/// Room for the sentence that explains a reason with its terminating zero.
pub const VIXP2P_REASON_TEXT_SIZE: usize = 256;

/// One endpoint that a node dials, or tried in vain. A peer may have several.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_target_info {
    /// Bytes of this struct that the library filled.
    pub struct_size: u32,
    /// VIXP2P_PEER_HAS_ID and VIXP2P_TARGET_WANTED, joined with |.
    pub flags: u32,
    /// Who answered there last, or is expected to; zeros if not known.
    pub id: vixp2p_peer_id,
    /// A #vixp2p_peer_state; an endpoint whose peer is connected by another link is VIXP2P_PEER_CONNECTED too.
    pub state: i32,
    /// A #vixp2p_handshake_stage.
    pub stage: i32,
    /// Milliseconds it has been in this state.
    pub since_ms_ago: i64,
    /// Milliseconds until it is dialled: the backoff; -1 if no attempt waits.
    pub next_attempt_in_ms: i64,
    /// Attempts in a row that failed, or links that ended at once.
    pub failures: u32,
    /// 0.
    pub reserved: u32,
    /// The address, as "tcp://host:port", zero-terminated.
    pub endpoint: [c_char; VIXP2P_ENDPOINT_SIZE],
    /// Why the last attempt, or the link it led to, ended: the name vixp2p_event_reason() gives; empty if none has ended.
    pub last_reason: [c_char; VIXP2P_REASON_SIZE],
    /// The same as a sentence, cut if need be; empty if none has ended.
    pub last_reason_text: [c_char; VIXP2P_REASON_TEXT_SIZE],
}

/// Every endpoint a running node dials, then every other one where its last attempt failed: what to look at when a peer is missing.
///
/// @param node         the node.
/// @param infos        an array to fill; may be NULL if *inout_count is 0.
/// @param info_size    sizeof(vixp2p_target_info).
/// @param inout_count  places in the array; becomes the number of targets. It may have grown before the next call: give spare room.
/// @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_targets(
    node: *const vixp2p_node,
    infos: *mut vixp2p_target_info,
    info_size: usize,
    inout_count: *mut usize,
) -> vixp2p_status {
    on_node("vixp2p_node_targets", node, |inner| {
        let targets = inner.node.targets();
        let write = |at: *mut u8, i: usize| {
            let mut info = describe(&targets[i]);
            info.struct_size = info_size.min(size_of::<vixp2p_target_info>()) as u32;
            // SAFETY: write_array gives a place of info_size bytes.
            unsafe { write_sized(at, info_size, &info) };
        };
        // SAFETY: the caller promises *inout_count places of info_size bytes at infos.
        unsafe { write_array(infos.cast(), info_size, inout_count, targets.len(), write) }
    })
}

fn describe(target: &TargetSnapshot) -> vixp2p_target_info {
    let has_id = if target.id.is_some() { VIXP2P_PEER_HAS_ID } else { 0 };
    let wanted = if target.wanted { VIXP2P_TARGET_WANTED } else { 0 };
    let (last_reason, last_reason_text) = reason(target.last_reason.as_ref());
    vixp2p_target_info {
        struct_size: 0,
        flags: has_id | wanted,
        id: target.id.map(Into::into).unwrap_or_default(),
        state: peer_state(target.state) as i32,
        stage: stage(target.stage) as i32,
        since_ms_ago: millis(Some(target.since_ms_ago)),
        next_attempt_in_ms: millis(target.next_attempt_in_ms),
        failures: target.failures,
        reserved: 0,
        endpoint: fixed(&target.endpoint.to_string()),
        last_reason,
        last_reason_text,
    }
}

/// A number that may be missing, as -1.
pub(super) fn millis(ms: Option<u64>) -> i64 {
    ms.map_or(-1, |ms| i64::try_from(ms).unwrap_or(i64::MAX))
}

/// A reason's name and sentence.
pub(super) fn reason(reason: Option<&CloseReason>) -> ([c_char; VIXP2P_REASON_SIZE], [c_char; VIXP2P_REASON_TEXT_SIZE]) {
    let text = reason.map(|reason| printable(&reason.to_string())).unwrap_or_default();
    (fixed(reason.map_or("", CloseReason::name)), fixed(&text))
}

pub(super) fn stage(stage: HandshakeStage) -> vixp2p_handshake_stage {
    match stage {
        HandshakeStage::None => vixp2p_handshake_stage::VIXP2P_STAGE_NONE,
        HandshakeStage::HelloSent => vixp2p_handshake_stage::VIXP2P_STAGE_HELLO_SENT,
        HandshakeStage::HelloReceived => vixp2p_handshake_stage::VIXP2P_STAGE_HELLO_RECEIVED,
        HandshakeStage::AckSent => vixp2p_handshake_stage::VIXP2P_STAGE_ACK_SENT,
        HandshakeStage::AckReceived => vixp2p_handshake_stage::VIXP2P_STAGE_ACK_RECEIVED,
        HandshakeStage::Finished => vixp2p_handshake_stage::VIXP2P_STAGE_FINISHED,
    }
}
