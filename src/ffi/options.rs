//! A node's settings as C gives them. Checks shapes and pointers; what the values mean is for the node to judge.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use crate::base::config::{Durability, KeyAgreement, Listen, Psk};
use crate::base::{Config, Endpoint, Level, Passphrase, TrustPolicy, limits};
use crate::ffi::boundary::{Answer, Failure, guard, read_bytes, read_str, write_sized};
use crate::ffi::callbacks::{vixp2p_apply_callback, vixp2p_event_callback, vixp2p_log_callback, vixp2p_message_callback};
use crate::ffi::capabilities::{self, vixp2p_capability};
use crate::ffi::discovery::{self, VIXP2P_DISCOVERY_OFF};
use crate::ffi::log::read_level;
use crate::ffi::registry::VIXP2P_REGISTRY_PULL_ONLY;
use crate::ffi::snapshot::vixp2p_snapshot_callback;
use crate::ffi::status::{VIXP2P_ERR_UNSUPPORTED, VIXP2P_OK, vixp2p_status};
use crate::ffi::types::vixp2p_peer_id;

/// vixp2p_node_options.listen: accept no connections, only dial.
pub const VIXP2P_LISTEN_OFF: u32 = 0;
/// vixp2p_node_options.listen: accept connections on listen_host and listen_port; port 0 takes any free one.
pub const VIXP2P_LISTEN_ON: u32 = 1;

/// vixp2p_node_options.delivery: a thread of the node calls the callbacks. The default.
pub const VIXP2P_DELIVERY_CALLBACK: i32 = 0;
/// vixp2p_node_options.delivery: the program takes events or has callbacks run on its own thread: vixp2p_node_event_fd(),
/// vixp2p_node_next_event(), vixp2p_node_wait_event(), vixp2p_node_dispatch().
pub const VIXP2P_DELIVERY_POLL: i32 = 1;

/// vixp2p_node_options.key_agreement: X-Wing (X25519 and ML-KEM-768 together) where the peer knows it, else X25519. The default.
pub const VIXP2P_KEY_AGREEMENT_ANY: u32 = 0;
/// vixp2p_node_options.key_agreement: X-Wing or nothing.
pub const VIXP2P_KEY_AGREEMENT_POST_QUANTUM: u32 = 1;
/// vixp2p_node_options.key_agreement: X25519 only; a handshake is 2.3 KB shorter.
pub const VIXP2P_KEY_AGREEMENT_CLASSIC: u32 = 2;

/// vixp2p_node_options.durability: an append waits until the disk has the record, so that it survives a power cut. The default.
pub const VIXP2P_DURABILITY_DURABLE: u32 = 0;
/// vixp2p_node_options.durability: an append does not wait for the disk. The record survives the end of the process, also by SIGKILL,
/// but perhaps not a power cut or a crash of the machine within the next moments (50 ms, or as long as the disk takes). Peers get it
/// once it is durable. While a node is not running its appends wait for the disk.
pub const VIXP2P_DURABILITY_BUFFERED: u32 = 1;

/// vixp2p_node_options.flags: dial nobody; vixp2p_node_connect() is refused too.
pub const VIXP2P_FLAG_NO_DIAL: u32 = 1;
/// vixp2p_node_options.flags: neither note in data_dir where peers were reached, nor dial what was noted there.
pub const VIXP2P_FLAG_NO_REMEMBER: u32 = 2;
/// vixp2p_node_options.flags: pass on no messages of others. Without it they are passed on between trusted peers.
pub const VIXP2P_FLAG_NO_RELAY: u32 = 16;
/// vixp2p_node_options.flags: neither tell trusted peers where the others accept connections, nor dial whom they name.
pub const VIXP2P_FLAG_NO_PEER_EXCHANGE: u32 = 32;
/// vixp2p_node_options.flags: name this node by mDNS/DNS-SD as well (service _vixp2p._tcp), and dial whom it names, on the interfaces of
/// discovery_interfaces; alone, if discovery is VIXP2P_DISCOVERY_OFF. Two more threads. With a psk this node is named and dials nobody
/// for it, because mDNS proves nothing. VIXP2P_ERR_INVALID from a library that was built without it.
pub const VIXP2P_FLAG_MDNS: u32 = 64;

/// vixp2p_node_options.flags: causal mode. Records of this node say what its program had applied before them, and records of others come
/// to the apply callback after those that they name, whosever they are: an answer never before its question. Between nodes that all have
/// it; the records of a node without it name nothing, and such a node waits for nothing. vixp2p_node_sync_status() tells what waits.
pub const VIXP2P_FLAG_CAUSAL: u32 = 128;

// All of the above.
const KNOWN_FLAGS: u32 = 1 | 2 | 16 | 32 | 64 | VIXP2P_FLAG_CAUSAL;

/// vixp2p_node_options.trust: #VIXP2P_TRUST_TOFU with a secret (psk), #VIXP2P_TRUST_OPEN without one. Records are exchanged with
/// trusted peers only, messages with every connected one. A revoked key is refused under every policy.
pub const VIXP2P_TRUST_DEFAULT: u32 = 0;
/// vixp2p_node_options.trust: anybody may connect; only keys that are listed (vixp2p_node_trust()) are trusted.
pub const VIXP2P_TRUST_OPEN: u32 = 1;
/// vixp2p_node_options.trust: trust on first use. The first key that comes with a node_id is pinned and trusted; another key with
/// the same node_id is refused, unless it proves to be the successor.
pub const VIXP2P_TRUST_TOFU: u32 = 2;
/// vixp2p_node_options.trust: only keys that are listed, or named by vixp2p_node_connect_peer() here.
pub const VIXP2P_TRUST_PINNED: u32 = 3;
/// vixp2p_node_options.trust: only keys that are listed, whoever dials.
pub const VIXP2P_TRUST_ALLOW_LIST: u32 = 4;

/// Size of vixp2p_node_options in the first release; smaller ones are refused. Never changes.
pub const VIXP2P_NODE_OPTIONS_SIZE_MIN: usize = 176;

/// The settings of a node. Fill with vixp2p_node_options_init() or #VIXP2P_NODE_OPTIONS_INIT, then change what matters; members
/// added later get their defaults. A number that is 0 and a string that is NULL mean the default.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_node_options {
    /// Bytes of this struct as the program knows it.
    pub struct_size: u32,
    /// VIXP2P_FLAG_... joined with |.
    pub flags: u32,
    /// A label for people, at most 255 bytes of UTF-8; default "vixp2p". Peers see it; it is no authority.
    pub node_id: *const c_char,
    /// An IP address to listen on; default: every interface, IPv4 and IPv6.
    pub listen_host: *const c_char,
    /// #VIXP2P_LISTEN_OFF (default) or #VIXP2P_LISTEN_ON.
    pub listen: u32,
    /// TCP port, up to 65535; 0 is any free one, see vixp2p_node_port().
    pub listen_port: u32,
    /// Directory for identity and log, made if missing; NULL: both live in memory and die with the node.
    pub data_dir: *const c_char,
    /// The cluster's secret of 32 bytes; NULL: none. The library copies it.
    pub psk: *const c_void,
    /// 32, or 0 without a secret.
    pub psk_len: usize,
    /// Connected peers allowed; default 64.
    pub max_peers: u32,
    /// From TCP up to an authenticated link; default 5000.
    pub handshake_timeout_ms: u32,
    /// Silence after which a peer is asked whether it lives; default 5000.
    pub heartbeat_interval_ms: u32,
    /// Silence after which a link is closed; default 15000, must be longer than the heartbeat interval.
    pub stale_after_ms: u32,
    /// #VIXP2P_DELIVERY_CALLBACK (default) or #VIXP2P_DELIVERY_POLL.
    pub delivery: i32,
    /// The least #vixp2p_log_level that reaches the log callback; set to VIXP2P_LOG_INFO by the initialisers.
    pub log_level: i32,
    /// Where log lines go.
    pub log: vixp2p_log_callback,
    /// Where events go.
    pub event: vixp2p_event_callback,
    /// Where application messages go; without it they are dropped under VIXP2P_DELIVERY_CALLBACK.
    pub message: vixp2p_message_callback,
    /// What applies replicated records; without it they count as applied once durable.
    pub apply: vixp2p_apply_callback,
    /// What opens a sealed key file in data_dir, and seals one that is made: 1 to 1024 bytes, as they are. NULL: the key file is
    /// not sealed. The library copies it and wipes the copy once the node is created.
    pub key_passphrase: *const c_void,
    /// Bytes of it, or 0 without one.
    pub key_passphrase_len: usize,
    /// The secret before psk while a cluster changes over, 32 bytes, accepted as well; NULL: none. The library copies it.
    pub psk_previous: *const c_void,
    /// 32, or 0 without one.
    pub psk_previous_len: usize,
    /// VIXP2P_KEY_AGREEMENT_...
    pub key_agreement: u32,
    /// Age of a link's keys at which this side steps to the next ones; default 900000.
    pub rekey_after_ms: u32,
    /// Age at which the side that dialled agrees on fresh keys; default 3600000.
    pub fresh_keys_after_ms: u32,
    /// Whose keys are trusted: #VIXP2P_TRUST_DEFAULT, _OPEN, _TOFU, _PINNED or _ALLOW_LIST.
    pub trust: u32,
    /// What an append waits for: #VIXP2P_DURABILITY_DURABLE (default) or #VIXP2P_DURABILITY_BUFFERED.
    pub durability: u32,
    /// 0.
    pub reserved: u32,
    /// A registry to find peers by, "http://host[:port][/path]" or the same with https; NULL: none is asked.
    pub registry_url: *const c_char,
    /// What opens the registry, 1 to 1024 visible ASCII characters; NULL: nothing. The library copies it.
    pub registry_token: *const c_char,
    /// The host to announce; NULL: the address the registry sees.
    pub registry_announce_host: *const c_char,
    /// #VIXP2P_REGISTRY_PULL_ONLY (default) or #VIXP2P_REGISTRY_PULL_AND_ANNOUNCE.
    pub registry_mode: u32,
    /// Pause between two questions that were answered; default 15000.
    pub registry_poll_interval_ms: u32,
    /// An endpoint the registry names is dialled at most this often; default 12000.
    pub registry_connect_cooldown_ms: u32,
    /// From the name of the registry's host up to a connection; default 3000.
    pub registry_connect_timeout_ms: u32,
    /// From there up to the last byte of the answer; default 5000.
    pub registry_request_timeout_ms: u32,
    /// Longest pause after failures; it doubles from registry_poll_interval_ms. Default 60000.
    pub registry_backoff_max_ms: u32,
    /// Bytes of an answer that are read at most, up to 1048576; default 65536.
    pub registry_max_http_bytes: u32,
    /// Peers asked for, up to 1024; default 20.
    pub registry_max_peers_per_poll: u32,
    /// Further places to accept connections at, up to 16 texts: "tcp://ADDRESS:PORT", "unix:///path/to.sock" (a file of mode 0600,
    /// removed at the end) or "mem://name" (for nodes of this process). In force whatever listen says; NULL: none.
    pub listen_also: *const *const c_char,
    /// Number of them, or 0 without any.
    pub listen_also_count: usize,
    /// Whether nodes on the own networks are looked for: #VIXP2P_DISCOVERY_OFF (default), _BROADCAST, _MULTICAST or _BOTH. The
    /// members below count only then.
    pub discovery: u32,
    /// UDP port of announcements; default 37020.
    pub discovery_port: u32,
    /// Time between two announcements; default 2000, at least 100.
    pub discovery_interval_ms: u32,
    /// Silence after which a discovered node is forgotten; default 15000, must be longer than the interval.
    pub discovery_ttl_ms: u32,
    /// Least time between two dials of one endpoint because of announcements; default 8000.
    pub discovery_cooldown_ms: u32,
    /// Longest announcement sent or read; default 1024, at least 256. The format's own limit of 512 holds as well.
    pub discovery_packet_bytes: u32,
    /// The IPv4 group of VIXP2P_DISCOVERY_MULTICAST; default "239.255.0.1". IPv6 takes ff12:: with the same last 32 bits.
    pub discovery_group: *const c_char,
    /// Names of network interfaces with commas between them; default: all but loopback.
    pub discovery_interfaces: *const c_char,
    /// Certificate authorities of a registry behind https as PEM text, no other being trusted then; NULL: those of Mozilla.
    pub registry_ca: *const c_char,
    /// The port to announce by discovery and to the registry, up to 65535, whether or not this node listens; 0: the one it listens on.
    pub announce_port: u32,
    /// 0.
    pub reserved_2: u32,
    /// What writes the program's state for others and reads another's; without it snapshots are neither made nor taken.
    pub snapshot: vixp2p_snapshot_callback,
    /// What the program calls the form of its snapshots, at most 64 bytes; one of another form is not taken. Default: "".
    pub snapshot_schema: *const c_char,
    /// Makers whose snapshots are taken, if they are trusted; NULL: every trusted peer.
    pub snapshot_from: *const vixp2p_peer_id,
    /// Number of them; with a pointer and 0 none is taken.
    pub snapshot_from_count: usize,
    /// Bytes of logs on disk past which records go that a snapshot holds, although peers lack them; 0: no cap.
    pub log_max_bytes: u64,
    /// A peer that was not heard of for so long does not keep records from going; default 2592000000 (30 days).
    pub replica_lease_ms: u64,
    /// What this node says of itself to peers (vixp2p_node_capabilities()), at most 32 names of which no two are the same and some 1,800
    /// bytes together; NULL: nothing.
    pub capabilities: *const vixp2p_capability,
    /// Number of them, or 0 without any.
    pub capabilities_count: usize,
}

/// Everything of the first release keeps its place for ever.
#[cfg(target_pointer_width = "64")]
const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<vixp2p_node_options>() >= VIXP2P_NODE_OPTIONS_SIZE_MIN);
    assert!(offset_of!(vixp2p_node_options, node_id) == 8);
    assert!(offset_of!(vixp2p_node_options, listen) == 24);
    assert!(offset_of!(vixp2p_node_options, psk_len) == 48);
    assert!(offset_of!(vixp2p_node_options, delivery) == 72);
    assert!(offset_of!(vixp2p_node_options, log) == 80);
    assert!(offset_of!(vixp2p_node_options, apply) == 152);
    assert!(offset_of!(vixp2p_node_options, key_passphrase) == 176);
};

impl vixp2p_node_options {
    /// The defaults.
    pub(super) const DEFAULT: vixp2p_node_options = vixp2p_node_options {
        struct_size: size_of::<vixp2p_node_options>() as u32,
        flags: 0,
        node_id: std::ptr::null(),
        listen_host: std::ptr::null(),
        listen: VIXP2P_LISTEN_OFF,
        listen_port: 0,
        data_dir: std::ptr::null(),
        psk: std::ptr::null(),
        psk_len: 0,
        max_peers: 0,
        handshake_timeout_ms: 0,
        heartbeat_interval_ms: 0,
        stale_after_ms: 0,
        delivery: VIXP2P_DELIVERY_CALLBACK,
        log_level: Level::Info as i32,
        log: vixp2p_log_callback { r#fn: None, userdata: std::ptr::null_mut(), drop: None },
        event: vixp2p_event_callback { r#fn: None, userdata: std::ptr::null_mut(), drop: None },
        message: vixp2p_message_callback { r#fn: None, userdata: std::ptr::null_mut(), drop: None },
        apply: vixp2p_apply_callback { r#fn: None, userdata: std::ptr::null_mut(), drop: None },
        key_passphrase: std::ptr::null(),
        key_passphrase_len: 0,
        psk_previous: std::ptr::null(),
        psk_previous_len: 0,
        key_agreement: VIXP2P_KEY_AGREEMENT_ANY,
        rekey_after_ms: 0,
        fresh_keys_after_ms: 0,
        trust: VIXP2P_TRUST_DEFAULT,
        durability: VIXP2P_DURABILITY_DURABLE,
        reserved: 0,
        registry_url: std::ptr::null(),
        registry_token: std::ptr::null(),
        registry_announce_host: std::ptr::null(),
        registry_mode: VIXP2P_REGISTRY_PULL_ONLY,
        registry_poll_interval_ms: 0,
        registry_connect_cooldown_ms: 0,
        registry_connect_timeout_ms: 0,
        registry_request_timeout_ms: 0,
        registry_backoff_max_ms: 0,
        registry_max_http_bytes: 0,
        registry_max_peers_per_poll: 0,
        listen_also: std::ptr::null(),
        listen_also_count: 0,
        discovery: VIXP2P_DISCOVERY_OFF,
        discovery_port: 0,
        discovery_interval_ms: 0,
        discovery_ttl_ms: 0,
        discovery_cooldown_ms: 0,
        discovery_packet_bytes: 0,
        discovery_group: std::ptr::null(),
        discovery_interfaces: std::ptr::null(),
        registry_ca: std::ptr::null(),
        announce_port: 0,
        reserved_2: 0,
        snapshot: vixp2p_snapshot_callback { write: None, read: None, userdata: std::ptr::null_mut(), drop: None },
        snapshot_schema: std::ptr::null(),
        snapshot_from: std::ptr::null(),
        snapshot_from_count: 0,
        log_max_bytes: 0,
        replica_lease_ms: 0,
        capabilities: std::ptr::null(),
        capabilities_count: 0,
    };

    /// Copies what the program gave over the defaults. The second value says whether it asks for more than this library knows.
    ///
    /// # Safety
    /// `given` is NULL or points to at least as many readable bytes as its first member says.
    pub(super) unsafe fn read(given: *const vixp2p_node_options) -> Answer<(vixp2p_node_options, bool)> {
        let mut options = vixp2p_node_options::DEFAULT;
        if given.is_null() {
            return Ok((options, false));
        }
        let given = given.cast::<u8>();
        // SAFETY: the first member is there whatever the size.
        let size = unsafe { given.cast::<u32>().read_unaligned() } as usize;
        if size < VIXP2P_NODE_OPTIONS_SIZE_MIN {
            return Err(Failure::invalid(format!(
                "options.struct_size is {size}, the least is {VIXP2P_NODE_OPTIONS_SIZE_MIN}; call vixp2p_node_options_init first"
            )));
        }
        let ours = size_of::<vixp2p_node_options>();
        // SAFETY: the caller promises `size` readable bytes; any bytes are valid members, function pointers being nullable.
        let beyond = unsafe {
            std::ptr::from_mut(&mut options).cast::<u8>().copy_from_nonoverlapping(given, size.min(ours));
            if size > ours { std::slice::from_raw_parts(given.add(ours), size - ours) } else { &[] }
        };
        Ok((options, beyond.iter().any(|byte| *byte != 0)))
    }

    /// The settings as the node takes them.
    ///
    /// # Safety
    /// The pointers among the members are NULL or point to what the header says.
    pub(super) unsafe fn config(&self) -> Answer<Config> {
        // SAFETY: the caller's promise.
        let text = |pointer, what| unsafe { read_str(pointer, what) };
        let unknown = self.flags & !KNOWN_FLAGS;
        if unknown != 0 {
            return Err(Failure::new(VIXP2P_ERR_UNSUPPORTED, format!("options.flags has the unknown bits {unknown:#x}")));
        }
        let mut config = Config::new(text(self.node_id, "options.node_id")?.unwrap_or("vixp2p"));
        config.dial = self.flags & VIXP2P_FLAG_NO_DIAL == 0;
        config.remember_peers = self.flags & VIXP2P_FLAG_NO_REMEMBER == 0;
        config.relay = self.flags & VIXP2P_FLAG_NO_RELAY == 0;
        config.peer_exchange = self.flags & VIXP2P_FLAG_NO_PEER_EXCHANGE == 0;
        config.causal = self.flags & VIXP2P_FLAG_CAUSAL != 0;
        config.listen = match self.listen {
            VIXP2P_LISTEN_OFF => Listen::Off,
            VIXP2P_LISTEN_ON => {
                let port = read_port(self.listen_port, "options.listen_port")?;
                Listen::On { host: text(self.listen_host, "options.listen_host")?.unwrap_or_default().to_owned(), port }
            }
            other => return Err(Failure::invalid(format!("options.listen is {other}, neither VIXP2P_LISTEN_OFF nor VIXP2P_LISTEN_ON"))),
        };
        // SAFETY: the caller's promise.
        config.listen_also = unsafe { read_endpoints(self.listen_also, self.listen_also_count, "options.listen_also") }?;
        config.announce_port = Some(read_port(self.announce_port, "options.announce_port")?).filter(|port| *port != 0);
        config.data_dir = text(self.data_dir, "options.data_dir")?.map(Into::into);
        // SAFETY: the caller's promise.
        config.psk = unsafe { read_psk(self.psk, self.psk_len, "options.psk") }?;
        // SAFETY: the caller's promise.
        config.psk_previous = unsafe { read_psk(self.psk_previous, self.psk_previous_len, "options.psk_previous") }?;
        config.key_agreement = match self.key_agreement {
            VIXP2P_KEY_AGREEMENT_ANY => KeyAgreement::Any,
            VIXP2P_KEY_AGREEMENT_POST_QUANTUM => KeyAgreement::PostQuantum,
            VIXP2P_KEY_AGREEMENT_CLASSIC => KeyAgreement::Classic,
            other => return Err(Failure::invalid(format!("options.key_agreement is {other}, none of VIXP2P_KEY_AGREEMENT_..."))),
        };
        // SAFETY: the caller's promise.
        let passphrase = unsafe { read_bytes(self.key_passphrase, self.key_passphrase_len, "options.key_passphrase") }?;
        if !self.key_passphrase.is_null() {
            config.key_passphrase = Some(Passphrase::new(passphrase.to_vec())?);
        }
        config.trust = match self.trust {
            VIXP2P_TRUST_DEFAULT => None,
            VIXP2P_TRUST_OPEN => Some(TrustPolicy::Open),
            VIXP2P_TRUST_TOFU => Some(TrustPolicy::Tofu),
            VIXP2P_TRUST_PINNED => Some(TrustPolicy::Pinned),
            VIXP2P_TRUST_ALLOW_LIST => Some(TrustPolicy::AllowList),
            // What an older library does not know would otherwise be a weaker policy than the program asks for.
            other => return Err(Failure::new(VIXP2P_ERR_UNSUPPORTED, format!("options.trust is {other}, which is no policy"))),
        };
        config.durability = match self.durability {
            VIXP2P_DURABILITY_DURABLE => Durability::Durable,
            VIXP2P_DURABILITY_BUFFERED => Durability::Buffered,
            // What an older library does not know would otherwise be another promise than the program asks for.
            other => return Err(Failure::new(VIXP2P_ERR_UNSUPPORTED, format!("options.durability is {other}, which is none"))),
        };
        for (name, value) in [("reserved", self.reserved), ("reserved_2", self.reserved_2)] {
            if value != 0 {
                return Err(Failure::new(VIXP2P_ERR_UNSUPPORTED, format!("options.{name} is {value}, not 0")));
            }
        }
        // SAFETY: the caller's promise.
        config.bootstrap = unsafe { self.bootstrap() }?;
        // SAFETY: the caller's promise.
        config.discovery = unsafe { discovery::config(self) }?;
        // SAFETY: the caller's promise.
        config.snapshots = unsafe { self.snapshots() }?;
        // SAFETY: the caller's promise.
        config.capabilities = unsafe { capabilities::config(self) }?;
        let set_ms = |to: &mut Duration, ms: u32| {
            if ms != 0 {
                *to = Duration::from_millis(ms.into());
            }
        };
        set_ms(&mut config.handshake_timeout, self.handshake_timeout_ms);
        set_ms(&mut config.heartbeat_interval, self.heartbeat_interval_ms);
        set_ms(&mut config.stale_after, self.stale_after_ms);
        set_ms(&mut config.rekey_after, self.rekey_after_ms);
        set_ms(&mut config.fresh_keys_after, self.fresh_keys_after_ms);
        if self.max_peers != 0 {
            config.max_peers = self.max_peers as usize;
        }
        Ok(config)
    }

    /// Whether the program takes events itself.
    pub(super) fn polled(&self) -> Answer<bool> {
        match self.delivery {
            VIXP2P_DELIVERY_CALLBACK => Ok(false),
            VIXP2P_DELIVERY_POLL => Ok(true),
            other => {
                Err(Failure::invalid(format!("options.delivery is {other}, neither VIXP2P_DELIVERY_CALLBACK nor VIXP2P_DELIVERY_POLL")))
            }
        }
    }

    pub(super) fn level(&self) -> Answer<Level> {
        read_level(self.log_level, "options.log_level")
    }
}

fn read_port(port: u32, what: &'static str) -> Answer<u16> {
    u16::try_from(port).map_err(|_| Failure::invalid(format!("{what} is {port}, over 65535")))
}

/// Endpoints from an array of texts.
///
/// # Safety
/// `texts` is NULL or points to `count` pointers, each NULL or a zero-terminated string.
unsafe fn read_endpoints(texts: *const *const c_char, count: usize, what: &'static str) -> Answer<Vec<Endpoint>> {
    if count > 0 && texts.is_null() {
        return Err(Failure::invalid(format!("{what} is NULL but {what}_count is {count}")));
    }
    if count > limits::LISTEN_ENDPOINTS_MAX {
        return Err(Failure::invalid(format!("{what}_count is {count}, limit is {}", limits::LISTEN_ENDPOINTS_MAX)));
    }
    let read = |i| {
        // SAFETY: i is below the number of pointers, and each is NULL or a string by the caller's promise.
        let text = unsafe { read_str(texts.add(i).read(), what) }?;
        Ok(text.ok_or_else(|| Failure::invalid(format!("{what}[{i}] is NULL")))?.parse::<Endpoint>()?)
    };
    (0..count).map(read).collect()
}

/// A pre-shared key of 32 bytes, or none.
///
/// # Safety
/// `bytes` is NULL or points to `len` readable bytes.
unsafe fn read_psk(bytes: *const c_void, len: usize, what: &'static str) -> Answer<Option<Psk>> {
    // SAFETY: the caller's promise.
    let given = unsafe { read_bytes(bytes, len, what) }?;
    if len == 0 && bytes.is_null() {
        return Ok(None);
    }
    let psk: [u8; 32] = given.try_into().map_err(|_| Failure::invalid(format!("{what}_len is {len}, not 32")))?;
    Ok(Some(Psk::new(psk)))
}

/// Fills options with the defaults.
///
/// @param options  where they go.
/// @param size     sizeof(vixp2p_node_options).
/// @return VIXP2P_OK, or VIXP2P_ERR_INVALID if options is NULL or size is smaller than in the first release.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_options_init(options: *mut vixp2p_node_options, size: usize) -> vixp2p_status {
    guard("vixp2p_node_options_init", || {
        if options.is_null() {
            return Err(Failure::null("options"));
        }
        let told = u32::try_from(size).ok().filter(|_| size >= VIXP2P_NODE_OPTIONS_SIZE_MIN);
        let Some(struct_size) = told else {
            return Err(Failure::invalid(format!("size is {size}; give sizeof(vixp2p_node_options)")));
        };
        let defaults = vixp2p_node_options { struct_size, ..vixp2p_node_options::DEFAULT };
        // SAFETY: the caller promises `size` writable bytes; the struct has no padding (asserted above by its offsets).
        unsafe { write_sized(options.cast(), size, &defaults) };
        Ok(VIXP2P_OK)
    })
}
