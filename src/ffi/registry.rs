//! A node's registry: the settings by which it is asked, and what it named. Never asks one itself.

use std::ffi::c_char;
use std::time::Duration;

use crate::base::bootstrap::{BootstrapConfig, BootstrapMode, RegistryUrl, Token};
use crate::base::event::printable;
use crate::ffi::boundary::{Answer, Failure, read_str, write_sized};
use crate::ffi::handle::on_node;
use crate::ffi::options::vixp2p_node_options;
use crate::ffi::peers::{VIXP2P_NODE_ID_SIZE, fixed, write_array};
use crate::ffi::status::vixp2p_status;
use crate::ffi::types::vixp2p_node;
use crate::registry::BootstrapPeer;

/// vixp2p_node_options.registry_mode: ask for peers. The default.
pub const VIXP2P_REGISTRY_PULL_ONLY: u32 = 0;
/// vixp2p_node_options.registry_mode: say before each question where this node listens; one that does not listen only asks.
pub const VIXP2P_REGISTRY_PULL_AND_ANNOUNCE: u32 = 1;

/// Room for a host name or address with its terminating zero.
pub const VIXP2P_HOST_SIZE: usize = 256;

/// A peer as a registry names it. A rumour: nothing about it has been checked.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_registry_peer {
    /// Bytes of this struct that the library filled.
    pub struct_size: u32,
    /// Where it is said to listen.
    pub tcp_port: u32,
    /// Its label, without control characters, cut if need be, zero-terminated; may be empty.
    pub node_id: [c_char; VIXP2P_NODE_ID_SIZE],
    /// Its host name or address, without brackets, zero-terminated.
    pub host: [c_char; VIXP2P_HOST_SIZE],
}

impl vixp2p_node_options {
    /// How a registry is asked, if one is.
    ///
    /// # Safety
    /// The strings among the members are NULL or zero-terminated.
    pub(super) unsafe fn bootstrap(&self) -> Answer<Option<BootstrapConfig>> {
        // SAFETY: the caller's promise.
        let text = |pointer, what| unsafe { read_str(pointer, what) };
        let Some(url) = text(self.registry_url, "options.registry_url")? else {
            let texts = [self.registry_token, self.registry_announce_host, self.registry_ca];
            if self.registry_mode != 0 || texts.iter().any(|text| !text.is_null()) {
                return Err(Failure::invalid("options.registry_url is NULL, but other members say how to use a registry"));
            }
            return Ok(None);
        };
        let mut config = BootstrapConfig::new(url.parse::<RegistryUrl>()?);
        config.mode = match self.registry_mode {
            VIXP2P_REGISTRY_PULL_ONLY => BootstrapMode::PullOnly,
            VIXP2P_REGISTRY_PULL_AND_ANNOUNCE => BootstrapMode::PullAndAnnounce,
            other => return Err(Failure::invalid(format!("options.registry_mode is {other}, none of VIXP2P_REGISTRY_..."))),
        };
        config.token = text(self.registry_token, "options.registry_token")?.map(Token::new).transpose()?;
        config.ca_pem = text(self.registry_ca, "options.registry_ca")?.map(str::to_owned);
        config.announce_host = text(self.registry_announce_host, "options.registry_announce_host")?.map(str::to_owned);
        for (to, ms) in [
            (&mut config.poll_interval, self.registry_poll_interval_ms),
            (&mut config.connect_cooldown, self.registry_connect_cooldown_ms),
            (&mut config.connect_timeout, self.registry_connect_timeout_ms),
            (&mut config.request_timeout, self.registry_request_timeout_ms),
            (&mut config.backoff_max, self.registry_backoff_max_ms),
        ] {
            if ms != 0 {
                *to = Duration::from_millis(ms.into());
            }
        }
        if self.registry_max_http_bytes != 0 {
            config.max_http_bytes = self.registry_max_http_bytes as usize;
        }
        if self.registry_max_peers_per_poll != 0 {
            config.max_peers_per_poll = self.registry_max_peers_per_poll;
        }
        Ok(Some(config))
    }
}

/// Whom the registry named last (vixp2p_node_options.registry_url); nobody without a registry or while the node does not run.
///
/// @param node         the node.
/// @param peers        an array to fill; may be NULL if *inout_count is 0.
/// @param peer_size    sizeof(vixp2p_registry_peer).
/// @param inout_count  places in the array; becomes the number of peers. It may have grown before the next call: give spare room.
/// @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_registry_peers(
    node: *const vixp2p_node,
    peers: *mut vixp2p_registry_peer,
    peer_size: usize,
    inout_count: *mut usize,
) -> vixp2p_status {
    on_node("vixp2p_node_registry_peers", node, |inner| {
        let named = inner.node.bootstrap_peers();
        let write = |at: *mut u8, i: usize| {
            let mut peer = describe(&named[i]);
            peer.struct_size = peer_size.min(size_of::<vixp2p_registry_peer>()) as u32;
            // SAFETY: write_array gives a place of peer_size bytes.
            unsafe { write_sized(at, peer_size, &peer) };
        };
        // SAFETY: the caller promises *inout_count places of peer_size bytes at peers.
        unsafe { write_array(peers.cast(), peer_size, inout_count, named.len(), write) }
    })
}

fn describe(peer: &BootstrapPeer) -> vixp2p_registry_peer {
    vixp2p_registry_peer {
        struct_size: 0,
        tcp_port: peer.tcp_port.into(),
        node_id: fixed(&printable(&peer.node_id)),
        host: fixed(&peer.host),
    }
}
