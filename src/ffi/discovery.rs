//! Discovery: its settings, and what was found. Never dials.

use std::ffi::c_char;
use std::time::Duration;

use crate::base::event::printable;
use crate::base::{Discovered, DiscoveryConfig, DiscoveryMode};
use crate::ffi::boundary::{Answer, Failure, read_str, write_sized};
use crate::ffi::handle::on_node;
use crate::ffi::options::{VIXP2P_FLAG_MDNS, vixp2p_node_options};
use crate::ffi::peers::{VIXP2P_ENDPOINT_SIZE, VIXP2P_NODE_ID_SIZE, fixed, write_array};
use crate::ffi::status::{VIXP2P_ERR_UNSUPPORTED, vixp2p_status};
use crate::ffi::types::vixp2p_node;

/// vixp2p_node_options.discovery: look for nobody and be found by nobody. The default.
pub const VIXP2P_DISCOVERY_OFF: u32 = 0;
/// vixp2p_node_options.discovery: announce this node by IPv4 broadcast and to all nodes in IPv6, and dial whoever announces itself.
pub const VIXP2P_DISCOVERY_BROADCAST: u32 = 1;
/// vixp2p_node_options.discovery: announce this node to a multicast group instead.
pub const VIXP2P_DISCOVERY_MULTICAST: u32 = 2;
/// vixp2p_node_options.discovery: announce this node both ways.
pub const VIXP2P_DISCOVERY_BOTH: u32 = 3;

/// vixp2p_discovered_info.flags: the node has shown that it knows the cluster's secret; without a secret nobody does.
pub const VIXP2P_DISCOVERED_AUTHENTICATED: u32 = 1;

/// A node that announces itself on a network of this one. A rumour: its key is not known before it is connected.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_discovered_info {
    /// Bytes of this struct that the library filled.
    pub struct_size: u32,
    /// VIXP2P_DISCOVERED_AUTHENTICATED or 0.
    pub flags: u32,
    /// Milliseconds since it was heard.
    pub last_seen_ms_ago: i64,
    /// The label it announces, without control characters, cut if need be, zero-terminated.
    pub node_id: [c_char; VIXP2P_NODE_ID_SIZE],
    /// The address its announcement came from and the port it names, as "tcp://host:port", zero-terminated.
    pub endpoint: [c_char; VIXP2P_ENDPOINT_SIZE],
}

/// Every node that announces itself on a network of this one; none while the node does not run, or discovery is off.
///
/// @param node         the node.
/// @param infos        an array to fill; may be NULL if *inout_count is 0.
/// @param info_size    sizeof(vixp2p_discovered_info).
/// @param inout_count  places in the array; becomes the number of nodes. It may have grown before the next call: give spare room.
/// @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_discovered(
    node: *const vixp2p_node,
    infos: *mut vixp2p_discovered_info,
    info_size: usize,
    inout_count: *mut usize,
) -> vixp2p_status {
    on_node("vixp2p_node_discovered", node, |inner| {
        let found = inner.node.discovered();
        let write = |at: *mut u8, i: usize| {
            let mut info = describe(&found[i]);
            info.struct_size = info_size.min(size_of::<vixp2p_discovered_info>()) as u32;
            // SAFETY: write_array gives a place of info_size bytes.
            unsafe { write_sized(at, info_size, &info) };
        };
        // SAFETY: the caller promises *inout_count places of info_size bytes at infos.
        unsafe { write_array(infos.cast(), info_size, inout_count, found.len(), write) }
    })
}

fn describe(found: &Discovered) -> vixp2p_discovered_info {
    vixp2p_discovered_info {
        struct_size: 0,
        flags: if found.authenticated { VIXP2P_DISCOVERED_AUTHENTICATED } else { 0 },
        last_seen_ms_ago: i64::try_from(found.last_seen_ms_ago).unwrap_or(i64::MAX),
        node_id: fixed(&printable(&found.node_id)),
        endpoint: fixed(&found.endpoint.to_string()),
    }
}

/// The settings of discovery among a node's; `None` = off.
///
/// # Safety
/// The pointers among the members are NULL or point to what the header says.
pub(super) unsafe fn config(options: &vixp2p_node_options) -> Answer<Option<DiscoveryConfig>> {
    let mode = match options.discovery {
        VIXP2P_DISCOVERY_OFF if options.flags & VIXP2P_FLAG_MDNS == 0 => return Ok(None),
        VIXP2P_DISCOVERY_OFF => DiscoveryMode::Off,
        VIXP2P_DISCOVERY_BROADCAST => DiscoveryMode::Broadcast,
        VIXP2P_DISCOVERY_MULTICAST => DiscoveryMode::Multicast,
        VIXP2P_DISCOVERY_BOTH => DiscoveryMode::Both,
        other => {
            return Err(Failure::new(VIXP2P_ERR_UNSUPPORTED, format!("options.discovery is {other}, none of VIXP2P_DISCOVERY_...")));
        }
    };
    let mut config = DiscoveryConfig { mode, mdns: options.flags & VIXP2P_FLAG_MDNS != 0, ..DiscoveryConfig::default() };
    if options.discovery_port != 0 {
        let port = u16::try_from(options.discovery_port);
        config.port = port.map_err(|_| Failure::invalid(format!("options.discovery_port is {}, over 65535", options.discovery_port)))?;
    }
    let set_ms = |to: &mut Duration, ms: u32| {
        if ms != 0 {
            *to = Duration::from_millis(ms.into());
        }
    };
    set_ms(&mut config.announce_interval, options.discovery_interval_ms);
    set_ms(&mut config.seen_ttl, options.discovery_ttl_ms);
    set_ms(&mut config.connect_cooldown, options.discovery_cooldown_ms);
    if options.discovery_packet_bytes != 0 {
        config.max_packet_bytes = options.discovery_packet_bytes as usize;
    }
    // SAFETY: the caller's promise.
    if let Some(group) = unsafe { read_str(options.discovery_group, "options.discovery_group") }? {
        let unreadable = |_| Failure::invalid(format!("options.discovery_group is \"{group}\", which is no IPv4 address"));
        config.multicast_group = group.parse().map_err(unreadable)?;
    }
    // SAFETY: the caller's promise.
    if let Some(names) = unsafe { read_str(options.discovery_interfaces, "options.discovery_interfaces") }? {
        config.interfaces = names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    }
    Ok(Some(config))
}
