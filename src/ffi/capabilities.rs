//! What nodes say they can do: names with values, this node's own and its peers'. Never reads a meaning into them.

use std::collections::BTreeMap;
use std::ffi::c_char;

use crate::base::event::printable;
use crate::base::{PeerId, limits};
use crate::ffi::boundary::{Answer, Failure, read_ref, read_str, write_sized};
use crate::ffi::handle::on_node;
use crate::ffi::options::vixp2p_node_options;
use crate::ffi::peers::{array_room, fixed, write_array};
use crate::ffi::status::{VIXP2P_ERR_NOT_CONNECTED, vixp2p_status};
use crate::ffi::types::{vixp2p_node, vixp2p_peer_id};

/// Bytes of a capability's name or value in #vixp2p_capability_info, the terminating zero included.
pub const VIXP2P_CAPABILITY_SIZE: usize = 256;

/// Something a node says of itself, such as "role" = "archive": for vixp2p_node_options.capabilities.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_capability {
    /// Its name, at most 255 bytes of UTF-8.
    pub name: *const c_char,
    /// Its value, at most 255 bytes of UTF-8.
    pub value: *const c_char,
}

/// Something a peer says of itself.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_capability_info {
    /// Bytes of this struct that the library filled.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Its name, without control characters, zero-terminated.
    pub name: [c_char; VIXP2P_CAPABILITY_SIZE],
    /// Its value, likewise.
    pub value: [c_char; VIXP2P_CAPABILITY_SIZE],
}

/// What a connected peer says of itself (its vixp2p_node_options.capabilities), in the order of the names. The peer's signature in the
/// handshake covers it, so nobody else made it up; whether it is true is another matter.
///
/// @param node         a running node.
/// @param peer         the peer.
/// @param infos        an array to fill; may be NULL if *inout_count is 0.
/// @param info_size    sizeof(vixp2p_capability_info).
/// @param inout_count  places in the array; becomes the number of capabilities, 32 at most.
/// @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), VIXP2P_ERR_NOT_CONNECTED, or
///         another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_capabilities(
    node: *const vixp2p_node,
    peer: *const vixp2p_peer_id,
    infos: *mut vixp2p_capability_info,
    info_size: usize,
    inout_count: *mut usize,
) -> vixp2p_status {
    on_node("vixp2p_node_capabilities", node, |inner| {
        // SAFETY: the caller promises NULL or a peer id.
        let peer = PeerId::from(unsafe { read_ref(peer, "peer") }?);
        // SAFETY: the caller promises NULL or a count.
        unsafe { array_room(infos.cast(), inout_count) }?;
        let known = inner.node.peers().into_iter().find(|known| known.id == Some(peer) && known.secure);
        let absent = || Failure::new(VIXP2P_ERR_NOT_CONNECTED, format!("{peer} is not connected"));
        let said = known.ok_or_else(absent)?.capabilities;
        let write = |at: *mut u8, i: usize| {
            let (name, value) = &said[i];
            let info = vixp2p_capability_info {
                struct_size: info_size.min(size_of::<vixp2p_capability_info>()) as u32,
                reserved: 0,
                name: fixed(&printable(name)),
                value: fixed(&printable(value)),
            };
            // SAFETY: write_array gives a place of info_size bytes.
            unsafe { write_sized(at, info_size, &info) };
        };
        // SAFETY: the caller promises *inout_count places of info_size bytes at infos.
        unsafe { write_array(infos.cast(), info_size, inout_count, said.len(), write) }
    })
}

/// The capabilities a program gives its node.
///
/// # Safety
/// `options.capabilities` is NULL or points to `capabilities_count` of them, whose members are NULL or zero-terminated strings.
pub(super) unsafe fn config(options: &vixp2p_node_options) -> Answer<BTreeMap<String, String>> {
    let (given, count) = (options.capabilities, options.capabilities_count);
    if count > limits::CAPABILITIES_MAX || (count > 0 && given.is_null()) {
        let max = limits::CAPABILITIES_MAX;
        return Err(Failure::invalid(format!("options.capabilities_count is {count}; give as many capabilities, {max} at most")));
    }
    let mut capabilities = BTreeMap::new();
    for i in 0..count {
        // SAFETY: not NULL, and the caller promises as many.
        let one = unsafe { given.add(i).read_unaligned() };
        let text = |pointer, member| {
            let what = format!("options.capabilities[{i}].{member}");
            // SAFETY: the caller's promise.
            unsafe { read_str(pointer, &what) }?.map(str::to_owned).ok_or_else(|| Failure::invalid(format!("{what} is NULL")))
        };
        let (name, value) = (text(one.name, "name")?, text(one.value, "value")?);
        if let Some(earlier) = capabilities.insert(name, value) {
            return Err(Failure::invalid(format!("options.capabilities[{i}] has the name of an earlier one, whose value is {earlier:?}")));
        }
    }
    Ok(capabilities)
}
