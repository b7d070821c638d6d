//! The last value of each key, for C: kept, put, removed, got, gone through. Decides nothing: what wins is `driver::values`' to say.

use std::ffi::c_void;

use crate::ffi::boundary::{Answer, Failure, read_bytes, read_ref, write_out};
use crate::ffi::delivery::inside_log_callback;
use crate::ffi::handle::{Inner, on_node};
use crate::ffi::status::{
    VIXP2P_ALREADY, VIXP2P_EMPTY, VIXP2P_ERR_BUFFER_TOO_SMALL, VIXP2P_ERR_INVALID, VIXP2P_ERR_WOULD_DEADLOCK, VIXP2P_OK, vixp2p_status,
};
use crate::ffi::types::vixp2p_node;
use crate::node::LastValues;

/// Has a node keep the last value of each key, over all nodes that share records: a ready-made state for programs that want none of
/// their own. Every node of the cluster is to keep it. The later change wins by the clock of whoever made it, and always over what it had
/// seen. It takes the place of the apply, cursor and snapshot callbacks, is replicated, in snapshots, and there again after a restart (the
/// file values of the data directory). All of it is in memory.
///
/// @param node  the node, before its first start, without apply, cursor and snapshot callbacks; they cannot be given to it later.
/// @return VIXP2P_OK; VIXP2P_ALREADY; VIXP2P_ERR_INVALID if the node runs or has one of the callbacks; VIXP2P_ERR_IO or VIXP2P_ERR_LOG if
///         the file or the log cannot be read, or lacks records that are not kept any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_values_keep(node: *mut vixp2p_node) -> vixp2p_status {
    on_node("vixp2p_values_keep", node, |inner| {
        let _setup = inner.setup.lock();
        if inner.values.get().is_some() {
            return Ok(VIXP2P_ALREADY);
        }
        let callbacks = &inner.callbacks;
        if callbacks.apply.is_set() || callbacks.cursor.is_set() || callbacks.snapshot.is_set() {
            return Err(Failure::invalid("node has an apply, cursor or snapshot callback, in whose place this comes"));
        }
        let values = inner.node.keep_last_values()?;
        Ok(if inner.values.set(values).is_ok() { VIXP2P_OK } else { VIXP2P_ALREADY })
    })
}

/// Gives a key a value. Blocks as vixp2p_node_append() does, until it is durable here, whatever options.durability says; it is on its way to the
/// others then, or goes there once the node runs.
///
/// @param node       a node that keeps values, running or not.
/// @param key        the key; may be NULL if key_len is 0.
/// @param key_len    its length, at most 65535.
/// @param value      the value; may be NULL if value_len is 0.
/// @param value_len  its length, at most 1 MiB together with the key, less 15 bytes.
/// @return VIXP2P_OK; VIXP2P_ERR_TOO_LARGE; VIXP2P_ERR_LOG if the disk refuses; VIXP2P_ERR_STOPPED while the node stops; VIXP2P_ERR_INVALID for a node
///         without vixp2p_values_keep(); VIXP2P_ERR_WOULD_DEADLOCK from the log callback; another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_values_put(
    node: *mut vixp2p_node,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) -> vixp2p_status {
    on_node("vixp2p_values_put", node, |inner| {
        // SAFETY: the caller promises key_len bytes at key and value_len bytes at value.
        let (key, value) = unsafe { (read_bytes(key, key_len, "key")?, read_bytes(value, value_len, "value")?) };
        values(inner)?.put(key, value)?;
        Ok(VIXP2P_OK)
    })
}

/// Takes a key's value away, everywhere. Blocks as vixp2p_values_put() does.
///
/// @param node     a node that keeps values, running or not.
/// @param key      the key; may be NULL if key_len is 0. It need not have a value.
/// @param key_len  its length, at most 65535.
/// @return as vixp2p_values_put().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_values_remove(node: *mut vixp2p_node, key: *const c_void, key_len: usize) -> vixp2p_status {
    on_node("vixp2p_values_remove", node, |inner| {
        // SAFETY: the caller promises key_len bytes at key.
        let key = unsafe { read_bytes(key, key_len, "key") }?;
        values(inner)?.remove(key)?;
        Ok(VIXP2P_OK)
    })
}

/// The value of a key, of a node that runs or does not. Waits while a snapshot is written or read.
///
/// @param node       a node that keeps values.
/// @param key        the key; may be NULL if key_len is 0.
/// @param key_len    its length.
/// @param out        where the value goes; may be NULL if *inout_len is 0.
/// @param inout_len  bytes that fit at out; becomes the length of the value, 0 if there is none.
/// @return VIXP2P_OK; VIXP2P_EMPTY if the key has no value; VIXP2P_ERR_BUFFER_TOO_SMALL, and nothing is written to out;
///         VIXP2P_ERR_INVALID; VIXP2P_ERR_WOULD_DEADLOCK from the log callback; another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_values_get(
    node: *mut vixp2p_node,
    key: *const c_void,
    key_len: usize,
    out: *mut c_void,
    inout_len: *mut usize,
) -> vixp2p_status {
    on_node("vixp2p_values_get", node, |inner| {
        // SAFETY: the caller promises key_len bytes at key.
        let key = unsafe { read_bytes(key, key_len, "key") }?;
        let value = values(inner)?.get(key);
        // SAFETY: the caller promises *inout_len bytes at out.
        unsafe { give(value.as_deref(), out, inout_len) }
    })
}

/// The next key that has a value, in the order of the keys' bytes. To go through all of them: begin with NULL, then give the key that came
/// last; what others change meanwhile is seen or not, and nothing comes twice. Waits as vixp2p_values_get() does.
///
/// @param node       a node that keeps values.
/// @param after      the key before; NULL: the first key is wanted.
/// @param after_len  its length.
/// @param out        where the key goes; may be after, or NULL if *inout_len is 0.
/// @param inout_len  bytes that fit at out (65535 are always enough); becomes the length of the key, 0 if there is none.
/// @return VIXP2P_OK; VIXP2P_EMPTY if there is none; VIXP2P_ERR_BUFFER_TOO_SMALL, and nothing is written to out; VIXP2P_ERR_INVALID;
///         VIXP2P_ERR_WOULD_DEADLOCK from the log callback; another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_values_next_key(
    node: *mut vixp2p_node,
    after: *const c_void,
    after_len: usize,
    out: *mut c_void,
    inout_len: *mut usize,
) -> vixp2p_status {
    on_node("vixp2p_values_next_key", node, |inner| {
        // SAFETY: the caller promises NULL or after_len bytes at after.
        let before = unsafe { read_bytes(after, after_len, "after") }?;
        let key = values(inner)?.next_key((!after.is_null()).then_some(before));
        // SAFETY: the caller promises *inout_len bytes at out.
        unsafe { give(key.as_deref(), out, inout_len) }
    })
}

/// # Safety
/// `inout_len` is NULL or points to a length; `out` is NULL or has so many bytes.
unsafe fn give(found: Option<&[u8]>, out: *mut c_void, inout_len: *mut usize) -> Answer {
    // SAFETY: the caller's promise.
    let room = unsafe { read_ref(inout_len, "inout_len") }?;
    if room > 0 && out.is_null() {
        return Err(Failure::invalid(format!("out is NULL but *inout_len is {room}")));
    }
    // SAFETY: the caller's promise.
    unsafe { write_out(inout_len, found.map_or(0, <[u8]>::len), "inout_len") }?;
    let Some(found) = found else { return Ok(VIXP2P_EMPTY) };
    if found.len() > room {
        return Err(Failure::new(VIXP2P_ERR_BUFFER_TOO_SMALL, format!("*inout_len is {room}, {} are needed", found.len())));
    }
    if !found.is_empty() {
        // SAFETY: there is room, and found is the library's own.
        unsafe { out.cast::<u8>().copy_from_nonoverlapping(found.as_ptr(), found.len()) };
    }
    Ok(VIXP2P_OK)
}

fn values(inner: &Inner) -> Answer<&LastValues> {
    if inside_log_callback() {
        return Err(Failure::new(VIXP2P_ERR_WOULD_DEADLOCK, "called from inside the log callback, which must not wait"));
    }
    let without = || Failure::new(VIXP2P_ERR_INVALID, "node keeps no values; call vixp2p_values_keep() before its first start");
    inner.values.get().ok_or_else(without)
}

impl Inner {
    /// Refuses what would take the place of what keeps the values.
    pub(super) fn refuse_beside_values(&self) -> Answer<()> {
        match self.values.get() {
            Some(_) => Err(Failure::invalid("node keeps the last value of each key, which comes in the place of this callback")),
            None => Ok(()),
        }
    }
}
