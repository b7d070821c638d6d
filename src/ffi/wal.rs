//! The log: append, and where the application stands. Never decides what is replicated.

use std::ffi::c_void;

use bytes::Bytes;

use crate::base::LogRange;
use crate::ffi::boundary::{Answer, Failure, read_bytes, read_ref, write_optional, write_out, write_sized};
use crate::ffi::delivery::inside_log_callback;
use crate::ffi::handle::{Inner, on_node};
use crate::ffi::peers::write_array;
use crate::ffi::status::{VIXP2P_ERR_WOULD_DEADLOCK, VIXP2P_OK, vixp2p_status};
use crate::ffi::types::{vixp2p_log_id, vixp2p_node, vixp2p_slice};

/// How far a log has come here.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_log_state {
    /// Bytes of this struct that the library filled.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Which log.
    pub log: vixp2p_log_id,
    /// Highest durable record; 0 if there is none.
    pub durable: u64,
    /// Highest applied record; for this node's own log the same as durable.
    pub applied: u64,
}

/// Appends a record to this node's log and blocks until it is durable, or accepted if vixp2p_node_options.durability says so. Peers get it now or when they next meet this node or
/// another that has it. A node that is created but not running keeps its log too.
///
/// Allowed from callbacks, but for the log callback.
///
/// @param node     the node.
/// @param data     the record; may be NULL if len is 0.
/// @param len      its length, at most 1 MiB.
/// @param out_seq  where the record's number goes; may be NULL.
/// @return VIXP2P_OK; VIXP2P_ERR_TOO_LARGE; VIXP2P_ERR_LOG if the disk refuses; VIXP2P_ERR_STOPPED while stopping;
///         VIXP2P_ERR_WOULD_DEADLOCK from the log callback; another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_append(node: *mut vixp2p_node, data: *const c_void, len: usize, out_seq: *mut u64) -> vixp2p_status {
    on_node("vixp2p_node_append", node, |inner| {
        // SAFETY: the caller promises len bytes at data.
        let data = unsafe { read_bytes(data, len, "data") }?;
        let first = append(inner, vec![Bytes::copy_from_slice(data)])?.first;
        // SAFETY: the caller promises NULL or a place for the number.
        unsafe { write_optional(out_seq, first) };
        Ok(VIXP2P_OK)
    })
}

/// Appends records in order and blocks until all are durable (or accepted): as vixp2p_node_append(), with one wait for the disk.
///
/// @param node       the node.
/// @param records    the records, each at most 1 MiB.
/// @param count      how many, at least 1.
/// @param out_first  where the first record's number goes; may be NULL.
/// @param out_last   where the last record's number goes; may be NULL.
/// @return as vixp2p_node_append(); on failure none of them is acknowledged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_append_batch(
    node: *mut vixp2p_node,
    records: *const vixp2p_slice,
    count: usize,
    out_first: *mut u64,
    out_last: *mut u64,
) -> vixp2p_status {
    on_node("vixp2p_node_append_batch", node, |inner| {
        // SAFETY: the caller promises count slices at records, and len bytes at the data of each.
        let payloads = unsafe { read_records(records, count) }?;
        let LogRange { first, last, .. } = append(inner, payloads)?;
        // SAFETY: the caller promises NULL or a place for each number.
        unsafe {
            write_optional(out_first, first);
            write_optional(out_last, last);
        }
        Ok(VIXP2P_OK)
    })
}

/// vixp2p_node_append_batch() that also says which log the records are in. Only the log and the number together name a record: a
/// node that was set back goes on in another log. What vixp2p_node_wait_ack() and vixp2p_subscription_cursor() take.
///
/// @param node       the node.
/// @param records    the records, each at most 1 MiB.
/// @param count      how many, at least 1.
/// @param out_log    where the log's id goes; may be NULL.
/// @param out_first  where the first record's number goes; may be NULL.
/// @param out_last   where the last record's number goes; may be NULL.
/// @return as vixp2p_node_append_batch().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_append_records(
    node: *mut vixp2p_node,
    records: *const vixp2p_slice,
    count: usize,
    out_log: *mut vixp2p_log_id,
    out_first: *mut u64,
    out_last: *mut u64,
) -> vixp2p_status {
    on_node("vixp2p_node_append_records", node, |inner| {
        // SAFETY: the caller promises count slices at records, and len bytes at the data of each.
        let payloads = unsafe { read_records(records, count) }?;
        let appended = append(inner, payloads)?;
        // SAFETY: the caller promises NULL or a place for each.
        unsafe {
            write_optional(out_log, appended.log.into());
            write_optional(out_first, appended.first);
            write_optional(out_last, appended.last);
        }
        Ok(VIXP2P_OK)
    })
}

/// Copies records out of the caller's memory.
unsafe fn read_records(records: *const vixp2p_slice, count: usize) -> Answer<Vec<Bytes>> {
    if records.is_null() || count == 0 {
        return Err(Failure::invalid(format!("records is {}, count is {count}", if records.is_null() { "NULL" } else { "given" })));
    }
    let mut payloads = Vec::new();
    for i in 0..count {
        // SAFETY: as the caller of this promises.
        let bytes = unsafe {
            let slice = records.add(i).read_unaligned();
            read_bytes(slice.data, slice.len, "records[].data")?
        };
        payloads.push(Bytes::copy_from_slice(bytes));
    }
    Ok(payloads)
}

fn append(inner: &Inner, payloads: Vec<Bytes>) -> Answer<LogRange> {
    if inside_log_callback() {
        return Err(Failure::new(VIXP2P_ERR_WOULD_DEADLOCK, "called from inside the log callback, which must not wait"));
    }
    Ok(inner.node.append_records_blocking(payloads)?)
}

/// Tells where the application stands: the last record of a log that has taken effect in its own store. It replaces the library's
/// own note of that, back as well as forth; a program that keeps the number in the same transaction as the effect applies every
/// record exactly once.
///
/// @param node  a node that was created and not started yet, or was stopped.
/// @param log   which log; one that this node has never seen is accepted if seq is 0.
/// @param seq   the record's number; 0: none yet.
/// @return VIXP2P_OK, VIXP2P_ERR_INVALID while the node runs, VIXP2P_ERR_LOG, or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_set_applied(node: *mut vixp2p_node, log: *const vixp2p_log_id, seq: u64) -> vixp2p_status {
    on_node("vixp2p_node_set_applied", node, |inner| {
        // SAFETY: the caller promises NULL or a log id.
        let log = unsafe { read_ref(log, "log") }?;
        inner.node.set_applied(log.into(), seq)?;
        Ok(VIXP2P_OK)
    })
}

/// Has a parked log go on, running or not: the record that the apply callback called poison is offered once more, or skipped.
///
/// In causal mode a log that waits (vixp2p_sync_state.waits) gives up what its status shows it to wait for, if skip is not 0, and no
/// record is skipped: for records that will never come. What else it lacks it still waits for, and shows next.
///
/// @param node  the node.
/// @param log   which log, as VIXP2P_EVENT_APPLY_PARKED named it.
/// @param skip  0: offer the record again; anything else: it counts as applied although it had no effect. A program with a cursor
///              callback moves its own number past the record as well.
/// @return VIXP2P_OK, VIXP2P_ERR_INVALID if the log is not parked and does not wait, or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_apply_resume(node: *mut vixp2p_node, log: *const vixp2p_log_id, skip: i32) -> vixp2p_status {
    on_node("vixp2p_node_apply_resume", node, |inner| {
        // SAFETY: the caller promises NULL or a log id.
        let log = unsafe { read_ref(log, "log") }?;
        inner.node.apply_resume(log.into(), skip != 0)?;
        Ok(VIXP2P_OK)
    })
}

/// The log this node appends to.
///
/// @param node  the node.
/// @param out   where the log id goes.
/// @return VIXP2P_OK or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_own_log(node: *const vixp2p_node, out: *mut vixp2p_log_id) -> vixp2p_status {
    on_node("vixp2p_node_own_log", node, |inner| {
        // SAFETY: the caller promises that out, if not NULL, can be written.
        unsafe { write_out(out, inner.node.own_log().into(), "out") }?;
        Ok(VIXP2P_OK)
    })
}

/// How far every log has come here: this node's and those it carries for others.
///
/// @param node         the node.
/// @param states       an array to fill; may be NULL if *inout_count is 0.
/// @param state_size   sizeof(vixp2p_log_state).
/// @param inout_count  places in the array; becomes the number of logs.
/// @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_logs(
    node: *const vixp2p_node,
    states: *mut vixp2p_log_state,
    state_size: usize,
    inout_count: *mut usize,
) -> vixp2p_status {
    on_node("vixp2p_node_logs", node, |inner| {
        let logs = inner.node.logs();
        let write = |at: *mut u8, i: usize| {
            let struct_size = state_size.min(size_of::<vixp2p_log_state>()) as u32;
            let view = &logs[i];
            let state = vixp2p_log_state { struct_size, reserved: 0, log: view.log.into(), durable: view.durable, applied: view.applied };
            // SAFETY: write_array gives a place of state_size bytes.
            unsafe { write_sized(at, state_size, &state) };
        };
        // SAFETY: the caller promises *inout_count places of state_size bytes at states.
        unsafe { write_array(states.cast(), state_size, inout_count, logs.len(), write) }
    })
}
