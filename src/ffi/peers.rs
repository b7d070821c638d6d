//! Looking at a node: its peers and its counters. Never changes anything.

use std::ffi::c_char;

use crate::base::event::printable;
use crate::ffi::boundary::{Answer, Failure, read_ref, write_out, write_sized};
use crate::ffi::event::vixp2p_direction;
use crate::ffi::handle::on_node;
use crate::ffi::status::{VIXP2P_ERR_BUFFER_TOO_SMALL, VIXP2P_OK, vixp2p_status};
use crate::ffi::targets::{VIXP2P_REASON_SIZE, VIXP2P_REASON_TEXT_SIZE, millis, reason, stage};
use crate::ffi::types::{vixp2p_node, vixp2p_peer_id};
use crate::mesh::{PeerSnapshot, PeerState};

/// Where a peer stands.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum vixp2p_peer_state {
    /// Never met, and no connection to it is under way: between two attempts.
    VIXP2P_PEER_DISCONNECTED = 0,
    /// A connection to it is being opened.
    VIXP2P_PEER_CONNECTING = 1,
    /// A connection is open; the peer is not authenticated on it yet.
    VIXP2P_PEER_HANDSHAKING = 2,
    /// Authenticated and heard of.
    VIXP2P_PEER_CONNECTED = 3,
    /// Still connected, but silent although asked; soon closed.
    VIXP2P_PEER_STALE = 4,
    /// Met before, and gone.
    VIXP2P_PEER_CLOSED = 5,
}

/// vixp2p_peer_info.flags: id is known.
pub const VIXP2P_PEER_HAS_ID: u32 = 1;
/// vixp2p_peer_info.flags: the peer is authenticated and its link sealed.
pub const VIXP2P_PEER_SECURE: u32 = 2;
/// vixp2p_peer_info.flags: records are, or would be, exchanged with the peer.
pub const VIXP2P_PEER_TRUSTED: u32 = 4;

/// Room for a peer's label with its terminating zero.
pub const VIXP2P_NODE_ID_SIZE: usize = 256;
/// Room for an endpoint's text with its terminating zero.
pub const VIXP2P_ENDPOINT_SIZE: usize = 320;

/// One line of the peer list: a peer met, an address being dialled that nobody has answered for yet, or an accepted connection whose
/// peer has said hello.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_peer_info {
    /// Bytes of this struct that the library filled.
    pub struct_size: u32,
    /// VIXP2P_PEER_HAS_ID, VIXP2P_PEER_SECURE and VIXP2P_PEER_TRUSTED, joined with |.
    pub flags: u32,
    /// Who it is, or who is expected to answer; zeros if not known yet.
    pub id: vixp2p_peer_id,
    /// A #vixp2p_peer_state.
    pub state: i32,
    /// A #vixp2p_direction: who opened the last link.
    pub direction: i32,
    /// Milliseconds since anything was received from it; -1 if nothing ever was.
    pub last_seen_ms_ago: i64,
    /// The label it gave itself, without control characters, cut if need be, zero-terminated.
    pub node_id: [c_char; VIXP2P_NODE_ID_SIZE],
    /// The other end's address on its last link, as "tcp://host:port", zero-terminated.
    pub endpoint: [c_char; VIXP2P_ENDPOINT_SIZE],
    /// A #vixp2p_handshake_stage: how far the handshake of its connection is.
    pub stage: i32,
    /// Attempts in a row that failed, or links that ended at once.
    pub failures: u32,
    /// Milliseconds it has been in this state.
    pub since_ms_ago: i64,
    /// Milliseconds until it is dialled again: the backoff; -1 if no attempt waits.
    pub next_attempt_in_ms: i64,
    /// Why its last link or the last attempt ended: the name vixp2p_event_reason() gives; empty if none has ended.
    pub last_reason: [c_char; VIXP2P_REASON_SIZE],
    /// The same as a sentence, cut if need be; empty if none has ended.
    pub last_reason_text: [c_char; VIXP2P_REASON_TEXT_SIZE],
}

/// A node's counters. The first nine are those of the stats line.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_stats {
    /// Bytes of this struct that the library filled.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Peers known by an authenticated link, connected or gone.
    pub peers_total: u64,
    /// Peers connected now.
    pub peers_connected: u64,
    /// Handshakes begun, on either side.
    pub handshakes_started: u64,
    /// Handshakes that ended authenticated.
    pub handshakes_completed: u64,
    /// Dials begun.
    pub connect_attempts: u64,
    /// Dials left out because one to the same endpoint had just begun, or a link stands.
    pub connect_deduped: u64,
    /// Dials that did not end in an authenticated link.
    pub connect_failures: u64,
    /// Dials left out because the endpoint is backing off.
    pub backoff_skips: u64,
    /// Endpoints the connection guard knows.
    pub tracked_endpoints: u64,
    /// Handshakes that failed.
    pub handshakes_failed: u64,
    /// Bytes written to sockets.
    pub bytes_sent: u64,
    /// Bytes read from sockets.
    pub bytes_received: u64,
    /// Messages sent, of any kind.
    pub frames_sent: u64,
    /// Messages received, of any kind.
    pub frames_received: u64,
    /// Records appended here.
    pub records_appended: u64,
    /// Records of other nodes' logs applied here.
    pub records_applied: u64,
    /// Accepted connections whose peer is not authenticated yet.
    pub half_open: u64,
    /// Accepted connections that gave way to newer ones before their peer was authenticated.
    pub half_open_evicted: u64,
}

/// Everybody a running node knows of, connected or not.
///
/// @param node         the node.
/// @param infos        an array to fill; may be NULL if *inout_count is 0.
/// @param info_size    sizeof(vixp2p_peer_info).
/// @param inout_count  places in the array; becomes the number of peers. It may have grown before the next call: give spare room.
/// @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_peers(
    node: *const vixp2p_node,
    infos: *mut vixp2p_peer_info,
    info_size: usize,
    inout_count: *mut usize,
) -> vixp2p_status {
    on_node("vixp2p_node_peers", node, |inner| {
        let peers = inner.node.peers();
        let write = |at: *mut u8, i: usize| {
            let mut info = describe(&peers[i]);
            info.struct_size = info_size.min(size_of::<vixp2p_peer_info>()) as u32;
            // SAFETY: write_array gives a place of info_size bytes.
            unsafe { write_sized(at, info_size, &info) };
        };
        // SAFETY: the caller promises *inout_count places of info_size bytes at infos.
        unsafe { write_array(infos.cast(), info_size, inout_count, peers.len(), write) }
    })
}

/// A snapshot of the node's counters; zeros while it does not run.
///
/// @param node      the node.
/// @param out       where they go.
/// @param out_size  sizeof(vixp2p_stats); counters beyond it are left out, members the library does not know become 0.
/// @return VIXP2P_OK or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_stats(node: *const vixp2p_node, out: *mut vixp2p_stats, out_size: usize) -> vixp2p_status {
    on_node("vixp2p_node_stats", node, |inner| {
        if out.is_null() {
            return Err(Failure::null("out"));
        }
        let s = inner.node.stats();
        let stats = vixp2p_stats {
            struct_size: out_size.min(size_of::<vixp2p_stats>()) as u32,
            reserved: 0,
            peers_total: s.peers_total,
            peers_connected: s.peers_connected,
            handshakes_started: s.handshakes_started,
            handshakes_completed: s.handshakes_completed,
            connect_attempts: s.connect_attempts,
            connect_deduped: s.connect_deduped,
            connect_failures: s.connect_failures,
            backoff_skips: s.backoff_skips,
            tracked_endpoints: s.tracked_endpoints,
            handshakes_failed: s.handshakes_failed,
            bytes_sent: s.bytes_sent,
            bytes_received: s.bytes_received,
            frames_sent: s.frames_sent,
            frames_received: s.frames_received,
            records_appended: s.records_appended,
            records_applied: s.records_applied,
            half_open: s.half_open,
            half_open_evicted: s.half_open_evicted,
        };
        // SAFETY: the caller promises out_size writable bytes at out.
        unsafe { write_sized(out.cast(), out_size, &stats) };
        Ok(VIXP2P_OK)
    })
}

/// Fills a caller's array of structs whose size is the caller's, and says how many there are.
///
/// # Safety
/// `inout_count` is NULL or points to a count; `array` is NULL or has that many places of `stride` bytes. `write(place, i)` writes
/// at most `stride` bytes.
pub(super) unsafe fn write_array(
    array: *mut u8,
    stride: usize,
    inout_count: *mut usize,
    there: usize,
    write: impl Fn(*mut u8, usize),
) -> Answer {
    // SAFETY: the caller's promise.
    let room = unsafe { array_room(array, inout_count) }?;
    for i in 0..there.min(room) {
        // SAFETY: i is below the number of places.
        write(unsafe { array.add(i * stride) }, i);
    }
    // SAFETY: the caller's promise.
    unsafe { write_out(inout_count, there, "inout_count") }?;
    if there > room {
        return Err(Failure::new(VIXP2P_ERR_BUFFER_TOO_SMALL, format!("*inout_count is {room}, {there} are needed")));
    }
    Ok(VIXP2P_OK)
}

/// How many places a caller's array has.
///
/// # Safety
/// `inout_count` is NULL or points to a count.
pub(super) unsafe fn array_room(array: *const u8, inout_count: *const usize) -> Answer<usize> {
    // SAFETY: the caller's promise.
    let room = unsafe { read_ref(inout_count, "inout_count") }?;
    if room > 0 && array.is_null() {
        return Err(Failure::invalid(format!("the array is NULL but *inout_count is {room}")));
    }
    Ok(room)
}

fn describe(peer: &PeerSnapshot) -> vixp2p_peer_info {
    let has_id = if peer.id.is_some() { VIXP2P_PEER_HAS_ID } else { 0 };
    let secure = if peer.secure { VIXP2P_PEER_SECURE } else { 0 };
    let trusted = if peer.trusted { VIXP2P_PEER_TRUSTED } else { 0 };
    let (last_reason, last_reason_text) = reason(peer.last_reason.as_ref());
    vixp2p_peer_info {
        struct_size: 0,
        flags: has_id | secure | trusted,
        id: peer.id.map(Into::into).unwrap_or_default(),
        state: peer_state(peer.state) as i32,
        direction: vixp2p_direction::from(peer.direction) as i32,
        last_seen_ms_ago: millis(peer.last_seen_ms_ago),
        node_id: fixed(&printable(&peer.node_id)),
        endpoint: fixed(&peer.endpoint.to_string()),
        stage: stage(peer.stage) as i32,
        failures: peer.failures,
        since_ms_ago: millis(Some(peer.since_ms_ago)),
        next_attempt_in_ms: millis(peer.next_attempt_in_ms),
        last_reason,
        last_reason_text,
    }
}

pub(super) fn peer_state(state: PeerState) -> vixp2p_peer_state {
    match state {
        PeerState::Disconnected => vixp2p_peer_state::VIXP2P_PEER_DISCONNECTED,
        PeerState::Connecting => vixp2p_peer_state::VIXP2P_PEER_CONNECTING,
        PeerState::Handshaking => vixp2p_peer_state::VIXP2P_PEER_HANDSHAKING,
        PeerState::Connected => vixp2p_peer_state::VIXP2P_PEER_CONNECTED,
        PeerState::Stale => vixp2p_peer_state::VIXP2P_PEER_STALE,
        PeerState::Closed => vixp2p_peer_state::VIXP2P_PEER_CLOSED,
    }
}

/// `text` in a field of fixed size, cut between characters.
pub(super) fn fixed<const N: usize>(text: &str) -> [c_char; N] {
    let mut field = [0; N];
    let cut = (0..N.min(text.len() + 1)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    for (to, from) in field.iter_mut().zip(text[..cut].bytes()) {
        *to = from as c_char;
    }
    field
}
