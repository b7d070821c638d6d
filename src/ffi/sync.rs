//! Barriers and progress of the log: flush, wait for acknowledgements, look at the lag. Never decides who has what.

use std::time::Duration;

use crate::ffi::boundary::{Failure, read_ref, write_optional, write_sized};
use crate::ffi::callbacks::refuse_inside_callback;
use crate::ffi::delivery::inside_log_callback;
use crate::ffi::handle::on_node;
use crate::ffi::peers::write_array;
use crate::ffi::status::{VIXP2P_ERR_WOULD_DEADLOCK, VIXP2P_OK, VIXP2P_TIMEOUT, vixp2p_status};
use crate::ffi::types::{vixp2p_log_id, vixp2p_node, vixp2p_peer_id};
use crate::mesh::LogWait;
use crate::node::{AckLevel, Ackers, Lag, LogProgress};

/// vixp2p_node_wait_ack(): the record is on the peer's disk.
pub const VIXP2P_ACK_DURABLE: u32 = 0;
/// vixp2p_node_wait_ack(): the peer's application has applied it.
pub const VIXP2P_ACK_APPLIED: u32 = 1;

/// vixp2p_sync_state.flags: the log is the one this node appends to.
pub const VIXP2P_SYNC_OWN: u32 = 1;
/// vixp2p_sync_state.flags: the line is about a connected peer; without it, about this node.
pub const VIXP2P_SYNC_PEER: u32 = 2;
/// vixp2p_sync_state.flags: two histories of the log were seen, nothing more of it is stored here.
pub const VIXP2P_SYNC_FROZEN: u32 = 4;

/// How far a log has come here, or at a connected peer.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_sync_state {
    /// Bytes of this struct that the library filled.
    pub struct_size: u32,
    /// VIXP2P_SYNC_OWN, VIXP2P_SYNC_PEER and VIXP2P_SYNC_FROZEN, joined with |.
    pub flags: u32,
    /// Which log.
    pub log: vixp2p_log_id,
    /// The peer; zeros in a line about this node.
    pub peer: vixp2p_peer_id,
    /// Highest record durable there.
    pub durable: u64,
    /// Highest record applied there.
    pub applied: u64,
    /// Of a peer: records that are durable here and not there. Of this node: records that are durable and not applied.
    pub lag_records: u64,
    /// The same in bytes of log: exact up to 64 KiB and close to it beyond.
    pub lag_bytes: u64,
    /// Age of the first of these records in milliseconds, by the clock of its origin and this node's.
    pub lag_ms: u64,
    /// Of this node: the record its application called poison and is stuck at, see vixp2p_node_apply_resume(); 0 if there is none.
    pub parked: u64,
    /// Of this node, in causal mode (VIXP2P_FLAG_CAUSAL): the record that waits because it comes after others; 0 if none does.
    pub waits: u64,
    /// What it waits for: this log up to waits_for_seq; zeros if nothing waits. It may wait for others too.
    pub waits_for: vixp2p_log_id,
    /// See waits_for.
    pub waits_for_seq: u64,
}

/// A barrier: blocks until every record that was accepted before is durable. Only under VIXP2P_DURABILITY_BUFFERED is there anything
/// to wait for.
///
/// @param node         the node, running or not.
/// @param out_durable  where the number of the last durable record of its log goes; may be NULL.
/// @return VIXP2P_OK; VIXP2P_ERR_LOG if the disk refuses (what was accepted is kept and tried again); VIXP2P_ERR_STOPPED while
///         stopping; VIXP2P_ERR_WOULD_DEADLOCK from the log callback; another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_flush(node: *mut vixp2p_node, out_durable: *mut u64) -> vixp2p_status {
    on_node("vixp2p_node_flush", node, |inner| {
        if inside_log_callback() {
            return Err(Failure::new(VIXP2P_ERR_WOULD_DEADLOCK, "called from inside the log callback, which must not wait"));
        }
        let durable = inner.node.flush_blocking()?;
        // SAFETY: the caller promises NULL or a place for the number.
        unsafe { write_optional(out_durable, durable) };
        Ok(VIXP2P_OK)
    })
}

/// Blocks until peers have a record and all before it. What a peer said counts while this waits, whether or not it is connected
/// afterwards.
///
/// @param node         a running node.
/// @param log          which log; see vixp2p_node_own_log().
/// @param seq          the record.
/// @param peers        whose word is waited for; NULL: any peers, so many as count says.
/// @param count        how many. 0: only until the record is durable here.
/// @param level        VIXP2P_ACK_DURABLE or VIXP2P_ACK_APPLIED.
/// @param timeout_ms   how long to wait; -1 for ever, 0 only looks.
/// @param out_reached  where the number of peers that have the record goes; may be NULL. Written also at VIXP2P_TIMEOUT.
/// @return VIXP2P_OK; VIXP2P_TIMEOUT; VIXP2P_ERR_STOPPED once the node stops; VIXP2P_ERR_INVALID; VIXP2P_ERR_WOULD_DEADLOCK from
///         inside a callback if timeout_ms is not 0; another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_wait_ack(
    node: *mut vixp2p_node,
    log: *const vixp2p_log_id,
    seq: u64,
    peers: *const vixp2p_peer_id,
    count: usize,
    level: u32,
    timeout_ms: i32,
    out_reached: *mut usize,
) -> vixp2p_status {
    // SAFETY: the caller promises NULL or a place for the number.
    unsafe { write_optional(out_reached, 0) };
    on_node("vixp2p_node_wait_ack", node, |inner| {
        // SAFETY: the caller promises NULL or a log id.
        let log = unsafe { read_ref(log, "log") }?;
        let level = match level {
            VIXP2P_ACK_DURABLE => AckLevel::Durable,
            VIXP2P_ACK_APPLIED => AckLevel::Applied,
            other => return Err(Failure::invalid(format!("level is {other}, neither VIXP2P_ACK_DURABLE nor VIXP2P_ACK_APPLIED"))),
        };
        let ackers = if peers.is_null() {
            Ackers::Any(count)
        } else {
            // SAFETY: the caller promises count peer ids.
            let peer = |i: usize| unsafe { read_ref(peers.add(i), "peers[]") }.map(Into::into);
            Ackers::All((0..count).map(peer).collect::<Result<_, _>>()?)
        };
        if timeout_ms != 0 {
            refuse_inside_callback()?;
        }
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let acks = inner.node.wait_for_ack_blocking((log.into(), seq), &ackers, level, timeout)?;
        // SAFETY: as above.
        unsafe { write_optional(out_reached, acks.peers.len()) };
        Ok(if acks.complete { VIXP2P_OK } else { VIXP2P_TIMEOUT })
    })
}

/// How far every log is here and at every connected peer, and how far each is behind. A line about this node stands before the lines
/// about peers of the same log; the log this node appends to comes first. Waits for the disk.
///
/// @param node         the node, running or not.
/// @param states       an array to fill; may be NULL if *inout_count is 0.
/// @param state_size   sizeof(vixp2p_sync_state).
/// @param inout_count  places in the array; becomes the number of lines. It may have grown before the next call: give spare room.
/// @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), VIXP2P_ERR_WOULD_DEADLOCK
///         from the log callback, or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_sync_status(
    node: *const vixp2p_node,
    states: *mut vixp2p_sync_state,
    state_size: usize,
    inout_count: *mut usize,
) -> vixp2p_status {
    on_node("vixp2p_node_sync_status", node, |inner| {
        if inside_log_callback() {
            return Err(Failure::new(VIXP2P_ERR_WOULD_DEADLOCK, "called from inside the log callback, which must not wait"));
        }
        let lines: Vec<vixp2p_sync_state> = inner.node.sync_status_blocking().iter().flat_map(lines).collect();
        let struct_size = state_size.min(size_of::<vixp2p_sync_state>()) as u32;
        let write = |at: *mut u8, i: usize| {
            // SAFETY: write_array gives a place of state_size bytes.
            unsafe { write_sized(at, state_size, &vixp2p_sync_state { struct_size, ..lines[i] }) };
        };
        // SAFETY: the caller promises *inout_count places of state_size bytes at states.
        unsafe { write_array(states.cast(), state_size, inout_count, lines.len(), write) }
    })
}

fn lines(log: &LogProgress) -> Vec<vixp2p_sync_state> {
    let own = if log.own { VIXP2P_SYNC_OWN } else { 0 } | if log.frozen { VIXP2P_SYNC_FROZEN } else { 0 };
    let line = |flags, peer, durable, applied, lag: Lag| vixp2p_sync_state {
        struct_size: 0,
        flags,
        log: log.log.into(),
        peer,
        durable,
        applied,
        lag_records: lag.records,
        lag_bytes: lag.bytes,
        lag_ms: lag.ms,
        parked: 0,
        waits: 0,
        waits_for: vixp2p_log_id::default(),
        waits_for_seq: 0,
    };
    let here = line(own, vixp2p_peer_id::default(), log.durable, log.applied, log.lag);
    let mut here = vixp2p_sync_state { parked: log.parked.unwrap_or(0), ..here };
    if let Some(LogWait { seq, needs }) = log.waits {
        (here.waits, here.waits_for, here.waits_for_seq) = (seq, needs.log.into(), needs.seq);
    }
    let peers = log.peers.iter().map(|p| line(own | VIXP2P_SYNC_PEER, p.peer.into(), p.durable, p.applied, p.lag));
    std::iter::once(here).chain(peers).collect()
}
