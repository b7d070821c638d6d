//! Operations for one node or all: put, claim, done, failed. Decides nothing; an operation given out is the caller's until freed.

use std::ffi::{CStr, CString, c_char, c_void};
use std::time::Duration;

use crate::base::{Event, PeerId};
use crate::ffi::boundary::{
    Answer, Failure, c_text, guard, guard_or, read_bytes, read_ref, read_str, write_optional, write_out, write_sized,
};
use crate::ffi::callbacks::refuse_inside_callback;
use crate::ffi::delivery::inside_log_callback;
use crate::ffi::event::vixp2p_event;
use crate::ffi::handle::{Inner, on_node};
use crate::ffi::peers::{fixed, write_array};
use crate::ffi::status::{VIXP2P_EMPTY, VIXP2P_ERR_BAD_HANDLE, VIXP2P_ERR_WOULD_DEADLOCK, VIXP2P_OK, VIXP2P_TIMEOUT, vixp2p_status};
use crate::ffi::types::{vixp2p_log_id, vixp2p_node, vixp2p_peer_id};
use crate::node::{NodeOutbox, Operation};
use crate::outbox::{OpId, OpView, Side, State, Target};

/// Room for an operation's kind with its terminating zero.
pub const VIXP2P_OUTBOX_KIND_SIZE: usize = 65;
/// Room for why an attempt failed, with the terminating zero.
pub const VIXP2P_OUTBOX_DETAIL_SIZE: usize = 201;

/// Room for an idempotency key, which may have any bytes.
pub const VIXP2P_OUTBOX_KEY_SIZE: usize = 64;

/// vixp2p_outbox_info.flags: this node is to execute it; without, this node put it.
pub const VIXP2P_OUTBOX_RECEIVED: u32 = 1;
/// vixp2p_outbox_info.flags: for every node, not for target alone.
pub const VIXP2P_OUTBOX_FOR_ALL: u32 = 2;

/// Where an operation stands.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum vixp2p_outbox_state {
    /// Put here: the target is not known to have it. For this node: nobody has claimed it.
    VIXP2P_OUTBOX_PENDING = 0,
    /// Put here: the target has it on its disk. For this node: claimed.
    VIXP2P_OUTBOX_IN_FLIGHT = 1,
    /// Executed, as the target says.
    VIXP2P_OUTBOX_DONE = 2,
    /// For this node: an attempt failed and another one follows.
    VIXP2P_OUTBOX_FAILED = 3,
    /// Not executed, and not tried again.
    VIXP2P_OUTBOX_PERMANENT_FAILED = 4,
}

/// Names an operation: the record that put it.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct vixp2p_op_id {
    /// The log of whoever put it.
    pub log: vixp2p_log_id,
    /// The record's number.
    pub seq: u64,
}

/// An operation that was claimed. Read it, execute it, report it, free it.
#[repr(C)]
#[derive(Debug)]
pub struct vixp2p_operation {
    /// Bytes of this struct as the library knows it; fields beyond it do not exist.
    pub struct_size: u32,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Which.
    pub id: vixp2p_op_id,
    /// The sender's wall clock when it put it, in microseconds since 1970; information only.
    pub time_us: u64,
    /// What is to be done, in the sender's words; zero-terminated.
    pub kind: *const c_char,
    /// Idempotency key; kept with the effect, it makes the effect happen once whatever fails.
    pub key: *const c_void,
    /// Its length; 0: none.
    pub key_len: usize,
    /// What the sender gave.
    pub data: *const c_void,
    /// Its length in bytes.
    pub len: usize,
}

/// A line of the list of operations.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_outbox_info {
    /// Bytes of this struct that the library filled.
    pub struct_size: u32,
    /// VIXP2P_OUTBOX_RECEIVED and VIXP2P_OUTBOX_FOR_ALL, joined with |.
    pub flags: u32,
    /// Which.
    pub id: vixp2p_op_id,
    /// For whom; zeros if for all.
    pub target: vixp2p_peer_id,
    /// A #vixp2p_outbox_state.
    pub state: i32,
    /// Attempts so far.
    pub attempts: u32,
    /// What is to be done, cut if need be, zero-terminated.
    pub kind: [c_char; VIXP2P_OUTBOX_KIND_SIZE],
    /// Why the last attempt failed, zero-terminated.
    pub detail: [c_char; VIXP2P_OUTBOX_DETAIL_SIZE],
    /// Idempotency key.
    pub key: [u8; VIXP2P_OUTBOX_KEY_SIZE],
    /// Its length, 0 for none.
    pub key_len: u8,
    /// 0.
    pub reserved: [u8; 5],
}

/// Puts an operation for one node, sealed so that nobody else can read it, or for all. Blocks until it is durable. Whoever meets carries
/// it; its target executes it once, however often one with the same key is put, and says so in its own log.
///
/// The first call on the outbox of a running node reads every log that is here once, and blocks meanwhile.
///
/// @param node     a running node.
/// @param target   for whom; NULL: for every other node.
/// @param kind     what is to be done, at most 64 bytes.
/// @param key      idempotency key, at most 64 bytes; may be NULL if key_len is 0: then every operation is another one.
/// @param key_len  its length.
/// @param data     what the target is to have; may be NULL if len is 0.
/// @param len      its length, at most 1 MiB less 512 bytes.
/// @param out      where the operation's name goes; may be NULL.
/// @return VIXP2P_OK; VIXP2P_ERR_TOO_LARGE; VIXP2P_ERR_WOULD_BLOCK if too many are not pruned; VIXP2P_ERR_LOG; VIXP2P_ERR_STOPPED;
///         VIXP2P_ERR_WOULD_DEADLOCK from the log callback; another error. After one it may be in the log all the same: put again with
///         the same key it is executed once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_outbox_put(
    node: *mut vixp2p_node,
    target: *const vixp2p_peer_id,
    kind: *const c_char,
    key: *const c_void,
    key_len: usize,
    data: *const c_void,
    len: usize,
    out: *mut vixp2p_op_id,
) -> vixp2p_status {
    on_node("vixp2p_outbox_put", node, |inner| {
        // SAFETY: the caller promises a zero-terminated string, key_len bytes at key, and len bytes at data.
        let (kind, key, data) = unsafe { (read_str(kind, "kind")?, read_bytes(key, key_len, "key")?, read_bytes(data, len, "data")?) };
        let kind = kind.ok_or_else(|| Failure::null("kind"))?;
        let target = if target.is_null() {
            Target::All
        } else {
            // SAFETY: the caller promises NULL or a peer id.
            Target::Peer(unsafe { read_ref(target, "target") }?.into())
        };
        let id = outbox(inner)?.put(target, kind, key, data)?;
        // SAFETY: the caller promises NULL or a place for the name.
        unsafe { write_optional(out, id.into()) };
        Ok(VIXP2P_OK)
    })
}

/// Takes an operation for this node, to be executed and reported by vixp2p_outbox_done() or vixp2p_outbox_fail() within 30 seconds;
/// otherwise it is offered again.
///
/// @param node        a running node.
/// @param timeout_ms  how long to wait for one; -1 for ever, 0 not at all.
/// @param out         where the operation goes, to be freed with vixp2p_operation_free(); NULL there if there is none.
/// @return VIXP2P_OK; VIXP2P_EMPTY (0 given) or VIXP2P_TIMEOUT; VIXP2P_ERR_STOPPED once the node stops; VIXP2P_ERR_WOULD_DEADLOCK from
///         inside a callback if timeout_ms is not 0, or from the log callback; another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_outbox_claim(node: *mut vixp2p_node, timeout_ms: i32, out: *mut *const vixp2p_operation) -> vixp2p_status {
    // SAFETY: the caller promises that out, if not NULL, can be written.
    let place = unsafe { write_out(out, std::ptr::null(), "out") };
    on_node("vixp2p_outbox_claim", node, |inner| {
        place?;
        if timeout_ms != 0 {
            refuse_inside_callback()?;
        }
        let timeout = u64::try_from(timeout_ms).map_or(Duration::MAX, Duration::from_millis);
        let Some(operation) = outbox(inner)?.claim(timeout)? else {
            return Ok(if timeout_ms == 0 { VIXP2P_EMPTY } else { VIXP2P_TIMEOUT });
        };
        // SAFETY: out was written before.
        unsafe { write_out(out, Given::give(operation), "out") }?;
        Ok(VIXP2P_OK)
    })
}

/// A claimed operation has taken effect. When this returns VIXP2P_OK its receipt is durable and it is never offered again; if the program
/// ends before, it is offered once more. After VIXP2P_ERR_LOG the receipt is written as soon as the disk lets it; there is nothing to repeat.
///
/// @param node  a running node.
/// @param id    which.
/// @return VIXP2P_OK; VIXP2P_ERR_INVALID if it is not claimed, or was answered for; VIXP2P_ERR_LOG if the disk refuses; VIXP2P_ERR_STOPPED;
///         another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_outbox_done(node: *mut vixp2p_node, id: *const vixp2p_op_id) -> vixp2p_status {
    on_node("vixp2p_outbox_done", node, |inner| {
        // SAFETY: the caller promises NULL or an operation's name.
        let id = unsafe { read_ref(id, "id") }?;
        outbox(inner)?.done(&id.into())?;
        Ok(VIXP2P_OK)
    })
}

/// A claimed operation could not be executed. It is tried again, eight times in all with growing pauses, or given up at once. Where another one
/// with its key was reported done late it is answered as that one.
///
/// @param node      a running node.
/// @param id        which.
/// @param for_good  not 0: another attempt is no use; the sender is told.
/// @param detail    why, at most 200 bytes of it are kept; may be NULL.
/// @return VIXP2P_OK; VIXP2P_ERR_INVALID if it is not claimed, or the claim has timed out; VIXP2P_ERR_LOG if it is answered and the
///         disk refuses the answer to its sender, which the node then writes as soon as it can: not to be reported again;
///         VIXP2P_ERR_STOPPED; another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_outbox_fail(
    node: *mut vixp2p_node,
    id: *const vixp2p_op_id,
    for_good: u32,
    detail: *const c_char,
) -> vixp2p_status {
    on_node("vixp2p_outbox_fail", node, |inner| {
        // SAFETY: the caller promises NULL or an operation's name, and NULL or a zero-terminated string.
        let (id, detail) = unsafe { (read_ref(id, "id")?, read_str(detail, "detail")?) };
        outbox(inner)?.fail(&id.into(), for_good != 0, detail.unwrap_or_default())?;
        Ok(VIXP2P_OK)
    })
}

/// Waits until an operation that this node put is over: done, or failed for good.
///
/// @param node        a running node.
/// @param id          which.
/// @param timeout_ms  how long to wait; -1 for ever, 0 only looks.
/// @param out_state   where its #vixp2p_outbox_state goes, also at VIXP2P_TIMEOUT; may be NULL.
/// @return VIXP2P_OK; VIXP2P_TIMEOUT; VIXP2P_ERR_INVALID if this node did not put it, or has pruned it; VIXP2P_ERR_STOPPED once the node
///         stops; VIXP2P_ERR_WOULD_DEADLOCK from inside a callback if timeout_ms is not 0; another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_outbox_wait(
    node: *mut vixp2p_node,
    id: *const vixp2p_op_id,
    timeout_ms: i32,
    out_state: *mut i32,
) -> vixp2p_status {
    on_node("vixp2p_outbox_wait", node, |inner| {
        // SAFETY: the caller promises NULL or an operation's name.
        let id = unsafe { read_ref(id, "id") }?;
        if timeout_ms != 0 {
            refuse_inside_callback()?;
        }
        let timeout = u64::try_from(timeout_ms).map_or(Duration::MAX, Duration::from_millis);
        let state = outbox(inner)?.wait(&id.into(), timeout)?;
        // SAFETY: the caller promises NULL or a place for the state.
        unsafe { write_optional(out_state, number(state) as i32) };
        Ok(if matches!(state, State::Done | State::PermanentFailed) { VIXP2P_OK } else { VIXP2P_TIMEOUT })
    })
}

/// Every operation that this node put and has not pruned, or is to execute.
///
/// @param node         a running node.
/// @param infos        an array to fill; may be NULL if *inout_count is 0.
/// @param info_size    sizeof(vixp2p_outbox_info).
/// @param inout_count  places in the array; becomes the number of operations. It may have grown before the next call: give spare room.
/// @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_outbox_list(
    node: *mut vixp2p_node,
    infos: *mut vixp2p_outbox_info,
    info_size: usize,
    inout_count: *mut usize,
) -> vixp2p_status {
    on_node("vixp2p_outbox_list", node, |inner| {
        let list = outbox(inner)?.list();
        let struct_size = info_size.min(size_of::<vixp2p_outbox_info>()) as u32;
        let write = |at: *mut u8, i: usize| {
            // SAFETY: write_array gives a place of info_size bytes.
            unsafe { write_sized(at, info_size, &vixp2p_outbox_info { struct_size, ..describe(&list[i]) }) };
        };
        // SAFETY: the caller promises *inout_count places of info_size bytes at infos.
        unsafe { write_array(infos.cast(), info_size, inout_count, list.len(), write) }
    })
}

/// Takes an operation back that this node put: targets that have not claimed it will not execute it, and it is listed no more.
///
/// @param node  a running node.
/// @param id    which; NULL: all that are finished, which only lists them no more.
/// @param out_count  where the number of operations goes; may be NULL.
/// @return VIXP2P_OK; VIXP2P_EMPTY if there was none; VIXP2P_ERR_LOG; VIXP2P_ERR_STOPPED; another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_outbox_prune(node: *mut vixp2p_node, id: *const vixp2p_op_id, out_count: *mut usize) -> vixp2p_status {
    // SAFETY: the caller promises NULL or a place for the number.
    unsafe { write_optional(out_count, 0) };
    on_node("vixp2p_outbox_prune", node, |inner| {
        let outbox = outbox(inner)?;
        let count = if id.is_null() {
            outbox.prune()?
        } else {
            // SAFETY: the caller promises NULL or an operation's name.
            usize::from(outbox.withdraw(unsafe { read_ref(id, "id") }?.into())?)
        };
        // SAFETY: as above.
        unsafe { write_optional(out_count, count) };
        Ok(if count > 0 { VIXP2P_OK } else { VIXP2P_EMPTY })
    })
}

/// Asks a connected peer for where operations for a node lie in the logs it carries; VIXP2P_EVENT_OUTBOX_HELD tells, if the peer trusts
/// this node. Their records come by replication, as all do.
///
/// @param node       a running node.
/// @param peer       whom.
/// @param target     for whom.
/// @param max_items  operations named at most: 1 to 1024.
/// @return VIXP2P_OK, VIXP2P_ERR_NOT_CONNECTED, VIXP2P_ERR_STOPPED or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_outbox_ask(
    node: *mut vixp2p_node,
    peer: *const vixp2p_peer_id,
    target: *const vixp2p_peer_id,
    max_items: u32,
) -> vixp2p_status {
    on_node("vixp2p_outbox_ask", node, |inner| {
        // SAFETY: the caller promises NULL or peer ids.
        let (peer, target) = unsafe { (read_ref(peer, "peer")?, read_ref(target, "target")?) };
        outbox(inner)?.ask(peer.into(), target.into(), max_items)?;
        Ok(VIXP2P_OK)
    })
}

/// The node that operations are for, of VIXP2P_EVENT_OUTBOX_PULLED and VIXP2P_EVENT_OUTBOX_HELD.
///
/// @param event  the event.
/// @param out    where the peer id goes.
/// @return VIXP2P_OK, VIXP2P_EMPTY if the event has none, or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_target(event: *const vixp2p_event, out: *mut vixp2p_peer_id) -> vixp2p_status {
    guard("vixp2p_event_target", || {
        // SAFETY: the caller promises NULL or a live event, and NULL or a place for the result.
        let event = unsafe { event.as_ref() }.ok_or_else(|| Failure::new(VIXP2P_ERR_BAD_HANDLE, "event is NULL"))?;
        let Some(Event::OutboxPulled { target, .. } | Event::OutboxHeld { target, .. }) = event.event() else { return Ok(VIXP2P_EMPTY) };
        // SAFETY: as above.
        unsafe { write_out(out, (*target).into(), "out") }?;
        Ok(VIXP2P_OK)
    })
}

/// Frees an operation and what it points to. That reports nothing about it.
///
/// @param operation  the operation; NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_operation_free(operation: *const vixp2p_operation) {
    guard_or("vixp2p_operation_free", (), || {
        if !operation.is_null() {
            // SAFETY: the caller promises that it came from vixp2p_outbox_claim() and was not freed; the view is the first member.
            drop(unsafe { Box::from_raw(operation.cast_mut().cast::<Given>()) });
        }
        Ok(())
    });
}

fn outbox(inner: &Inner) -> Answer<NodeOutbox> {
    if inside_log_callback() {
        return Err(Failure::new(VIXP2P_ERR_WOULD_DEADLOCK, "called from inside the log callback, which must not wait"));
    }
    Ok(inner.node.outbox()?)
}

impl From<OpId> for vixp2p_op_id {
    fn from(id: OpId) -> Self {
        vixp2p_op_id { log: id.log.into(), seq: id.seq }
    }
}

impl From<vixp2p_op_id> for OpId {
    fn from(id: vixp2p_op_id) -> Self {
        OpId { log: id.log.into(), seq: id.seq }
    }
}

/// An operation with what its view points to.
#[repr(C)]
struct Given {
    view: vixp2p_operation,
    operation: Operation,
    kind: CString,
}

impl Given {
    fn give(operation: Operation) -> *const vixp2p_operation {
        let kind = c_text(&operation.kind);
        let view = vixp2p_operation {
            struct_size: size_of::<vixp2p_operation>() as u32,
            attempt: operation.attempt,
            id: operation.id.into(),
            time_us: operation.time_us,
            kind: CStr::as_ptr(&kind),
            key: operation.key.as_ptr().cast(),
            key_len: operation.key.len(),
            data: operation.payload.as_ptr().cast(),
            len: operation.payload.len(),
        };
        // Moving the vectors moves none of their bytes.
        Box::into_raw(Box::new(Given { view, operation, kind })).cast()
    }
}

fn number(state: State) -> vixp2p_outbox_state {
    match state {
        State::Pending => vixp2p_outbox_state::VIXP2P_OUTBOX_PENDING,
        State::InFlight => vixp2p_outbox_state::VIXP2P_OUTBOX_IN_FLIGHT,
        State::Done => vixp2p_outbox_state::VIXP2P_OUTBOX_DONE,
        State::Failed => vixp2p_outbox_state::VIXP2P_OUTBOX_FAILED,
        State::PermanentFailed => vixp2p_outbox_state::VIXP2P_OUTBOX_PERMANENT_FAILED,
    }
}

fn describe(op: &OpView) -> vixp2p_outbox_info {
    let mut key = [0; VIXP2P_OUTBOX_KEY_SIZE];
    let key_len = op.key.len().min(key.len());
    key[..key_len].copy_from_slice(&op.key[..key_len]);
    let received = if op.side == Side::Received { VIXP2P_OUTBOX_RECEIVED } else { 0 };
    let (for_all, target) = match op.target {
        Target::All => (VIXP2P_OUTBOX_FOR_ALL, PeerId([0; 32])),
        Target::Peer(peer) => (0, peer),
    };
    vixp2p_outbox_info {
        struct_size: 0,
        flags: received | for_all,
        id: op.id.into(),
        target: target.into(),
        state: number(op.state) as i32,
        attempts: op.attempts,
        kind: fixed(&crate::base::event::printable(&op.kind)),
        detail: fixed(&crate::base::event::printable(&op.detail)),
        key,
        key_len: key_len as u8,
        reserved: [0; 5],
    }
}
