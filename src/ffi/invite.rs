//! Invites for C: making and reading the line that says who a node is and where. Needs no node and dials nothing.

use std::ffi::{c_char, c_void};

use zeroize::Zeroize;

use crate::base::config::Psk;
use crate::base::{Endpoint, Error, Invite, limits};
use crate::ffi::boundary::{Answer, Failure, guard, read_bytes, read_ref, read_str, write_out, write_sized};
use crate::ffi::peers::{VIXP2P_ENDPOINT_SIZE, fixed};
use crate::ffi::status::{VIXP2P_ERR_BUFFER_TOO_SMALL, VIXP2P_OK, vixp2p_status};
use crate::ffi::types::vixp2p_peer_id;

/// Addresses an invite may have.
pub const VIXP2P_INVITE_ADDRESSES_MAX: usize = 8;
/// Room for the text of any invite with its terminating zero.
pub const VIXP2P_INVITE_TEXT_SIZE: usize = 4097;
/// vixp2p_invite.flags: psk is there.
pub const VIXP2P_INVITE_HAS_PSK: u32 = 1;

const _: () = assert!(VIXP2P_INVITE_ADDRESSES_MAX == limits::INVITE_ADDRESSES_MAX);
const _: () = assert!(VIXP2P_INVITE_TEXT_SIZE == limits::INVITE_TEXT_MAX_BYTES + 1);
const _: () = assert!(VIXP2P_ENDPOINT_SIZE > limits::ENDPOINT_TEXT_MAX_BYTES);

/// What an invite says. Wipe it after use if it has a secret.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vixp2p_invite {
    /// Bytes of this struct that the library filled.
    pub struct_size: u32,
    /// VIXP2P_INVITE_HAS_PSK or 0.
    pub flags: u32,
    /// The node that is to answer; whether it does is for the program to compare.
    pub peer: vixp2p_peer_id,
    /// The cluster's secret for vixp2p_node_options.psk; zeros if the invite has none.
    pub psk: [u8; 32],
    /// Addresses there are: 1 to #VIXP2P_INVITE_ADDRESSES_MAX.
    pub address_count: u32,
    /// 0.
    pub reserved: u32,
    /// The addresses for vixp2p_node_connect(), the best first, each zero-terminated.
    pub addresses: [[c_char; VIXP2P_ENDPOINT_SIZE]; VIXP2P_INVITE_ADDRESSES_MAX],
}

impl std::fmt::Debug for vixp2p_invite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("vixp2p_invite(..)")
    }
}

/// Makes an invite: one line of text that says who a node is and where it is reached.
///
/// @param peer           the node to be found.
/// @param addresses      where it is reached: "host:port" or "tcp://host:port", the best first.
/// @param address_count  how many there are: 1 to #VIXP2P_INVITE_ADDRESSES_MAX.
/// @param psk            the cluster's secret of 32 bytes, which makes the line a secret; NULL: it is not passed on.
/// @param psk_len        32, or 0 without a secret.
/// @param out            where the text goes, zero-terminated; may be NULL if *inout_size is 0.
/// @param inout_size     in: bytes at out, #VIXP2P_INVITE_TEXT_SIZE always suffice. Out: bytes needed, the terminating zero included.
/// @return VIXP2P_OK; VIXP2P_ERR_BUFFER_TOO_SMALL, and nothing is written to out; VIXP2P_ERR_INVALID; VIXP2P_ERR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_invite_make(
    peer: *const vixp2p_peer_id,
    addresses: *const *const c_char,
    address_count: usize,
    psk: *const c_void,
    psk_len: usize,
    out: *mut c_char,
    inout_size: *mut usize,
) -> vixp2p_status {
    guard("vixp2p_invite_make", || {
        // SAFETY: the caller promises that peer, if not NULL, points to a peer id.
        let peer = unsafe { read_ref(peer, "peer") }?;
        // SAFETY: the caller promises address_count strings at addresses.
        let addresses = unsafe { read_addresses(addresses, address_count) }?;
        // SAFETY: the caller promises psk_len bytes at psk.
        let secret = unsafe { read_bytes(psk, psk_len, "psk") }?;
        let psk = match (psk.is_null(), <[u8; 32]>::try_from(secret)) {
            (true, _) => None,
            (false, Ok(secret)) => Some(Psk::new(secret)),
            (false, Err(_)) => return Err(Failure::invalid(format!("psk_len is {psk_len}, not 32"))),
        };
        // SAFETY: the caller promises that inout_size, if not NULL, points to a size.
        let room = unsafe { read_ref(inout_size, "inout_size") }?;
        if out.is_null() && room > 0 {
            return Err(Failure::invalid(format!("out is NULL but *inout_size is {room}")));
        }
        let text = Invite::new(peer.into(), addresses, psk)?.to_text();
        let needed = text.len() + 1;
        // SAFETY: the caller promises that inout_size can be written.
        unsafe { write_out(inout_size, needed, "inout_size") }?;
        if room < needed {
            return Err(Failure::new(VIXP2P_ERR_BUFFER_TOO_SMALL, format!("*inout_size is {room}, {needed} are needed")));
        }
        // SAFETY: the caller promises room writable bytes at out, which was just found enough for the text and a zero.
        unsafe {
            out.copy_from_nonoverlapping(text.as_ptr().cast(), text.len());
            out.add(text.len()).write(0);
        }
        Ok(VIXP2P_OK)
    })
}

/// # Safety
/// `addresses` is NULL or points to `count` pointers, each NULL or to a zero-terminated string.
unsafe fn read_addresses(addresses: *const *const c_char, count: usize) -> Answer<Vec<Endpoint>> {
    if addresses.is_null() {
        return Err(Failure::null("addresses"));
    }
    if count == 0 || count > VIXP2P_INVITE_ADDRESSES_MAX {
        return Err(Failure::invalid(format!("address_count is {count}, not 1 to {VIXP2P_INVITE_ADDRESSES_MAX}")));
    }
    let read = |i: usize| {
        let what = format!("addresses[{i}]");
        // SAFETY: i is below the number of pointers the caller promises, and so is what each points to.
        let text = unsafe { read_str(addresses.add(i).read_unaligned(), &what) }?.ok_or_else(|| Failure::null(&what))?;
        text.parse().map_err(|e: Error| Failure::invalid(format!("{what}: {e}")))
    };
    (0..count).map(read).collect()
}

/// Reads an invite, with white space around it or not, in letters of either case.
///
/// @param text      the line, zero-terminated.
/// @param out       where its content goes; unchanged on failure.
/// @param out_size  sizeof(vixp2p_invite); members beyond it are left out, members the library does not know become 0.
/// @return VIXP2P_OK; VIXP2P_ERR_INVALID if it is no invite, a damaged one, or one of a newer version, as the text of the error
///         says; VIXP2P_ERR_TOO_LARGE; VIXP2P_ERR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_invite_parse(text: *const c_char, out: *mut vixp2p_invite, out_size: usize) -> vixp2p_status {
    guard("vixp2p_invite_parse", || {
        // SAFETY: the caller promises that text, if not NULL, is a zero-terminated string that stays put during the call.
        let text = unsafe { read_str(text, "text") }?.ok_or_else(|| Failure::null("text"))?;
        if out.is_null() {
            return Err(Failure::null("out"));
        }
        let invite: Invite = text.parse()?;
        let mut content = vixp2p_invite {
            struct_size: out_size.min(size_of::<vixp2p_invite>()) as u32,
            flags: if invite.psk().is_some() { VIXP2P_INVITE_HAS_PSK } else { 0 },
            peer: invite.peer().into(),
            psk: invite.psk().map(|psk| *psk.as_bytes()).unwrap_or_default(),
            address_count: invite.addresses().len() as u32,
            reserved: 0,
            addresses: [[0; VIXP2P_ENDPOINT_SIZE]; VIXP2P_INVITE_ADDRESSES_MAX],
        };
        for (to, address) in content.addresses.iter_mut().zip(invite.addresses()) {
            *to = fixed(&address.to_string());
        }
        // SAFETY: the caller promises out_size writable bytes at out; the struct has no padding, all members being of 4 or 1 bytes.
        unsafe { write_sized(out.cast(), out_size, &content) };
        content.psk.zeroize();
        Ok(VIXP2P_OK)
    })
}
