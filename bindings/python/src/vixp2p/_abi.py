"""The C header in ctypes: constants, structs, one table of functions, and finding the library. No convenience here."""

import ctypes
import ctypes.util
import enum
import os
from ctypes import POINTER, c_char, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p
from pathlib import Path

ABI_VERSION = 1

LISTEN_OFF, LISTEN_ON = 0, 1
DELIVERY_CALLBACK, DELIVERY_POLL = 0, 1
FLAG_NO_DIAL = 1
FLAG_NO_REMEMBER = 2
FLAG_NO_RELAY = 16
FLAG_NO_PEER_EXCHANGE = 32
FLAG_MDNS = 64
FLAG_CAUSAL = 128
APPLY_OK, APPLY_RETRY, APPLY_POISON = 0, 1, 2
PEER_HAS_ID, PEER_SECURE, PEER_TRUSTED = 1, 2, 4
TARGET_WANTED = 8
TRUST_DEFAULT, TRUST_OPEN, TRUST_TOFU, TRUST_PINNED, TRUST_ALLOW_LIST = range(5)
DURABILITY_DURABLE, DURABILITY_BUFFERED = range(2)
REGISTRY_PULL_ONLY, REGISTRY_PULL_AND_ANNOUNCE = range(2)
KEY_AGREEMENT_ANY, KEY_AGREEMENT_POST_QUANTUM, KEY_AGREEMENT_CLASSIC = range(3)
DISCOVERY_OFF, DISCOVERY_BROADCAST, DISCOVERY_MULTICAST, DISCOVERY_BOTH = range(4)
DISCOVERED_AUTHENTICATED = 1
SUBSCRIBE_ALL, SUBSCRIBE_NEW = 1, 2
ACK_DURABLE, ACK_APPLIED = 0, 1
SYNC_OWN, SYNC_PEER, SYNC_FROZEN = 1, 2, 4
OUTBOX_RECEIVED, OUTBOX_FOR_ALL = 1, 2
OUTBOX_KIND_SIZE, OUTBOX_DETAIL_SIZE, OUTBOX_KEY_SIZE = 65, 201, 64
SNAPSHOT_ID_SIZE, SNAPSHOT_SCHEMA_SIZE = 65, 65
NODE_OPTIONS_SIZE_MIN = 176
NODE_ID_SIZE = 256
CAPABILITY_SIZE = 256
ENDPOINT_SIZE = 320
REASON_SIZE = 32
REASON_TEXT_SIZE = 256
HOST_SIZE = 256
PEER_ID_HEX_SIZE = 65
INVITE_ADDRESSES_MAX, INVITE_TEXT_SIZE, INVITE_HAS_PSK = 8, 4097, 1


class Status(enum.IntEnum):
    """How a call ended. Negative: an error."""

    OK = 0
    EMPTY = 1
    TIMEOUT = 2
    ALREADY = 3
    ERR_BAD_HANDLE = -1
    ERR_INVALID = -2
    ERR_UTF8 = -3
    ERR_IO = -4
    ERR_PORT_IN_USE = -5
    ERR_KEY = -6
    ERR_DIR_IN_USE = -7
    ERR_LOG = -8
    ERR_STOPPED = -9
    ERR_NOT_CONNECTED = -10
    ERR_WOULD_BLOCK = -11
    ERR_TOO_LARGE = -12
    ERR_BUFFER_TOO_SMALL = -13
    ERR_WOULD_DEADLOCK = -14
    ERR_FORKED = -15
    ERR_PANIC = -16
    ERR_POISONED = -17
    ERR_UNSUPPORTED = -18
    ERR_FAILED = -19
    ERR_TRUNCATED = -20


class EventKind(enum.IntEnum):
    """What happened. A newer library may have kinds that are not listed here; they come as plain numbers."""

    NONE = 0
    STARTED = 1
    STOPPED = 2
    CONNECT_FAILED = 3
    HANDSHAKE_FAILED = 4
    PEER_CONNECTED = 5
    PEER_DISCONNECTED = 6
    MESSAGE = 7
    ACKED = 8
    STORED = 9
    LOG_DAMAGED = 10
    LOG_FORKED = 11
    APPLY_REFUSED = 12
    LOG_FAILED = 13
    LOST = 14
    FATAL = 15
    PEER_PINNED = 16
    IDENTITY_CHANGED = 17
    TRUST_CHANGED = 18
    SYNC_DECLINED = 19
    KNOWN_PEERS_FAULTY = 20
    FRESH_KEYS = 21
    PEER_DISCOVERED = 22
    ADDRESS_BOOK_FAULTY = 23
    DELIVERED = 24
    UNDELIVERED = 25
    PEER_STALE = 27
    PEER_NAMED = 30
    REGISTRY_ANSWERED = 31
    REGISTRY_FAILED = 32
    APPLY_PARKED = 33
    APPLY_RESUMED = 34
    OUTBOX_PULLED = 37
    OUTBOX_HELD = 38
    PING = 40
    PONG = 41
    SNAPSHOT_MADE = 42
    SNAPSHOT_TAKEN = 43
    LOG_TRUNCATED = 44
    SNAPSHOT_NEEDED = 45
    APPLICATION_BEHIND = 46


class Durability(enum.IntEnum):
    """What an append waits for."""

    DURABLE = DURABILITY_DURABLE
    BUFFERED = DURABILITY_BUFFERED


class KeyAgreement(enum.IntEnum):
    """Which key agreements a node offers and accepts."""

    ANY = KEY_AGREEMENT_ANY
    POST_QUANTUM = KEY_AGREEMENT_POST_QUANTUM
    CLASSIC = KEY_AGREEMENT_CLASSIC


class DiscoveryMode(enum.IntEnum):
    """How a node announces itself on its own networks, where it also dials whoever announces itself."""

    OFF = DISCOVERY_OFF
    BROADCAST = DISCOVERY_BROADCAST
    MULTICAST = DISCOVERY_MULTICAST
    BOTH = DISCOVERY_BOTH


class Direction(enum.IntEnum):
    """Who opened a connection."""

    NONE = 0
    OUTBOUND = 1
    INBOUND = 2


class LogLevel(enum.IntEnum):
    """How much a log line matters."""

    TRACE = 0
    DEBUG = 1
    INFO = 2
    WARN = 3
    ERROR = 4
    CRITICAL = 5
    OFF = 6


class TrustPolicy(enum.IntEnum):
    """Whose keys are trusted; records are exchanged with trusted peers only."""

    DEFAULT = TRUST_DEFAULT
    OPEN = TRUST_OPEN
    TOFU = TRUST_TOFU
    PINNED = TRUST_PINNED
    ALLOW_LIST = TRUST_ALLOW_LIST


class TrustState(enum.IntEnum):
    """What is settled about a key."""

    TRUSTED = 1
    PINNED = 2
    REVOKED = 3


class PeerState(enum.IntEnum):
    """Where a peer stands."""

    DISCONNECTED = 0
    CONNECTING = 1
    HANDSHAKING = 2
    CONNECTED = 3
    STALE = 4
    CLOSED = 5


class HandshakeStage(enum.IntEnum):
    """Which messages of a connection's handshake have passed."""

    NONE = 0
    HELLO_SENT = 1
    HELLO_RECEIVED = 2
    ACK_SENT = 3
    ACK_RECEIVED = 4
    FINISHED = 5


class OutboxState(enum.IntEnum):
    """Where an operation stands."""

    PENDING = 0
    IN_FLIGHT = 1
    DONE = 2
    FAILED = 3
    PERMANENT_FAILED = 4


class PeerIdStruct(ctypes.Structure):
    _fields_ = [("bytes", c_uint8 * 32)]


class LogIdStruct(ctypes.Structure):
    _fields_ = [("origin", PeerIdStruct), ("incarnation", c_uint64)]


class LogRecord(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("level", c_int32), ("message", c_char_p), ("message_len", c_size_t), ("node_id", c_char_p)]


class CursorStruct(ctypes.Structure):
    _fields_ = [("log", LogIdStruct), ("seq", c_uint64)]


class OpIdStruct(ctypes.Structure):
    _fields_ = [("log", LogIdStruct), ("seq", c_uint64)]


class OperationStruct(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("attempt", c_uint32),
        ("id", OpIdStruct),
        ("time_us", c_uint64),
        ("kind", c_char_p),
        ("key", c_void_p),
        ("key_len", c_size_t),
        ("data", c_void_p),
        ("len", c_size_t),
    ]


class OutboxInfoStruct(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("id", OpIdStruct),
        ("target", PeerIdStruct),
        ("state", c_int32),
        ("attempts", c_uint32),
        ("kind", c_char * OUTBOX_KIND_SIZE),
        ("detail", c_char * OUTBOX_DETAIL_SIZE),
        ("key", c_uint8 * OUTBOX_KEY_SIZE),
        ("key_len", c_uint8),
        ("reserved", c_uint8 * 5),
    ]


class SnapshotInfoStruct(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("logs", c_uint32),
        ("maker", PeerIdStruct),
        ("made_us", c_uint64),
        ("bytes", c_uint64),
        ("id", c_char * SNAPSHOT_ID_SIZE),
        ("schema", c_char * SNAPSHOT_SCHEMA_SIZE),
        ("reserved", c_uint8 * 6),
    ]


class SyncStateStruct(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("log", LogIdStruct),
        ("peer", PeerIdStruct),
        ("durable", c_uint64),
        ("applied", c_uint64),
        ("lag_records", c_uint64),
        ("lag_bytes", c_uint64),
        ("lag_ms", c_uint64),
        ("parked", c_uint64),
        ("waits", c_uint64),
        ("waits_for", LogIdStruct),
        ("waits_for_seq", c_uint64),
    ]


class Record(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("log", LogIdStruct),
        ("seq", c_uint64),
        ("time_us", c_uint64),
        ("data", c_void_p),
        ("len", c_size_t),
    ]


# A node, an event and a subscription are opaque.
NODE = c_void_p
EVENT = c_void_p
SUBSCRIPTION = c_void_p

LOG_FN = ctypes.CFUNCTYPE(None, c_void_p, POINTER(LogRecord))
EVENT_FN = ctypes.CFUNCTYPE(None, c_void_p, EVENT)
MESSAGE_FN = ctypes.CFUNCTYPE(None, c_void_p, POINTER(PeerIdStruct), c_void_p, c_size_t)
APPLY_FN = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(Record))
CURSOR_FN = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(LogIdStruct), POINTER(c_uint64))
SNAPSHOT_WRITE_FN = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p, POINTER(c_uint64))
SNAPSHOT_READ_FN = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p)
DROP_FN = ctypes.CFUNCTYPE(None, c_void_p)


class LogCallback(ctypes.Structure):
    _fields_ = [("fn", LOG_FN), ("userdata", c_void_p), ("drop", DROP_FN)]


class EventCallback(ctypes.Structure):
    _fields_ = [("fn", EVENT_FN), ("userdata", c_void_p), ("drop", DROP_FN)]


class MessageCallback(ctypes.Structure):
    _fields_ = [("fn", MESSAGE_FN), ("userdata", c_void_p), ("drop", DROP_FN)]


class ApplyCallback(ctypes.Structure):
    _fields_ = [("fn", APPLY_FN), ("userdata", c_void_p), ("drop", DROP_FN)]


class CursorCallback(ctypes.Structure):
    _fields_ = [("fn", CURSOR_FN), ("userdata", c_void_p), ("drop", DROP_FN)]


class SnapshotPlaceStruct(ctypes.Structure):
    _fields_ = [("log", LogIdStruct), ("applied", c_uint64)]


class SnapshotCallback(ctypes.Structure):
    _fields_ = [("write", SNAPSHOT_WRITE_FN), ("read", SNAPSHOT_READ_FN), ("userdata", c_void_p), ("drop", DROP_FN)]


class CapabilityStruct(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("value", c_char_p)]


class NodeOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("node_id", c_char_p),
        ("listen_host", c_char_p),
        ("listen", c_uint32),
        ("listen_port", c_uint32),
        ("data_dir", c_char_p),
        ("psk", c_char_p),
        ("psk_len", c_size_t),
        ("max_peers", c_uint32),
        ("handshake_timeout_ms", c_uint32),
        ("heartbeat_interval_ms", c_uint32),
        ("stale_after_ms", c_uint32),
        ("delivery", c_int32),
        ("log_level", c_int32),
        ("log", LogCallback),
        ("event", EventCallback),
        ("message", MessageCallback),
        ("apply", ApplyCallback),
        ("key_passphrase", c_char_p),
        ("key_passphrase_len", c_size_t),
        ("psk_previous", c_char_p),
        ("psk_previous_len", c_size_t),
        ("key_agreement", c_uint32),
        ("rekey_after_ms", c_uint32),
        ("fresh_keys_after_ms", c_uint32),
        ("trust", c_uint32),
        ("durability", c_uint32),
        ("reserved", c_uint32),
        ("registry_url", c_char_p),
        ("registry_token", c_char_p),
        ("registry_announce_host", c_char_p),
        ("registry_mode", c_uint32),
        ("registry_poll_interval_ms", c_uint32),
        ("registry_connect_cooldown_ms", c_uint32),
        ("registry_connect_timeout_ms", c_uint32),
        ("registry_request_timeout_ms", c_uint32),
        ("registry_backoff_max_ms", c_uint32),
        ("registry_max_http_bytes", c_uint32),
        ("registry_max_peers_per_poll", c_uint32),
        ("listen_also", POINTER(c_char_p)),
        ("listen_also_count", c_size_t),
        ("discovery", c_uint32),
        ("discovery_port", c_uint32),
        ("discovery_interval_ms", c_uint32),
        ("discovery_ttl_ms", c_uint32),
        ("discovery_cooldown_ms", c_uint32),
        ("discovery_packet_bytes", c_uint32),
        ("discovery_group", c_char_p),
        ("discovery_interfaces", c_char_p),
        ("registry_ca", c_char_p),
        ("announce_port", c_uint32),
        ("reserved_2", c_uint32),
        ("snapshot", SnapshotCallback),
        ("snapshot_schema", c_char_p),
        ("snapshot_from", POINTER(PeerIdStruct)),
        ("snapshot_from_count", c_size_t),
        ("log_max_bytes", c_uint64),
        ("replica_lease_ms", c_uint64),
        ("capabilities", POINTER(CapabilityStruct)),
        ("capabilities_count", c_size_t),
    ]


class PeerInfoStruct(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("id", PeerIdStruct),
        ("state", c_int32),
        ("direction", c_int32),
        ("last_seen_ms_ago", c_int64),
        ("node_id", c_char * NODE_ID_SIZE),
        ("endpoint", c_char * ENDPOINT_SIZE),
        ("stage", c_int32),
        ("failures", c_uint32),
        ("since_ms_ago", c_int64),
        ("next_attempt_in_ms", c_int64),
        ("last_reason", c_char * REASON_SIZE),
        ("last_reason_text", c_char * REASON_TEXT_SIZE),
    ]


class TargetInfoStruct(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("id", PeerIdStruct),
        ("state", c_int32),
        ("stage", c_int32),
        ("since_ms_ago", c_int64),
        ("next_attempt_in_ms", c_int64),
        ("failures", c_uint32),
        ("reserved", c_uint32),
        ("endpoint", c_char * ENDPOINT_SIZE),
        ("last_reason", c_char * REASON_SIZE),
        ("last_reason_text", c_char * REASON_TEXT_SIZE),
    ]


class DiscoveredInfoStruct(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("last_seen_ms_ago", c_int64),
        ("node_id", c_char * NODE_ID_SIZE),
        ("endpoint", c_char * ENDPOINT_SIZE),
    ]


class InviteStruct(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("peer", PeerIdStruct),
        ("psk", c_uint8 * 32),
        ("address_count", c_uint32),
        ("reserved", c_uint32),
        ("addresses", c_char * ENDPOINT_SIZE * INVITE_ADDRESSES_MAX),
    ]


class CapabilityInfoStruct(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("name", c_char * CAPABILITY_SIZE),
        ("value", c_char * CAPABILITY_SIZE),
    ]


class TrustInfoStruct(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("state", c_int32),
        ("id", PeerIdStruct),
        ("added_s", c_int64),
        ("label", c_char * NODE_ID_SIZE),
    ]


class RegistryPeerStruct(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("tcp_port", c_uint32),
        ("node_id", c_char * NODE_ID_SIZE),
        ("host", c_char * HOST_SIZE),
    ]


class StatsStruct(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("peers_total", c_uint64),
        ("peers_connected", c_uint64),
        ("handshakes_started", c_uint64),
        ("handshakes_completed", c_uint64),
        ("connect_attempts", c_uint64),
        ("connect_deduped", c_uint64),
        ("connect_failures", c_uint64),
        ("backoff_skips", c_uint64),
        ("tracked_endpoints", c_uint64),
        ("handshakes_failed", c_uint64),
        ("bytes_sent", c_uint64),
        ("bytes_received", c_uint64),
        ("frames_sent", c_uint64),
        ("frames_received", c_uint64),
        ("records_appended", c_uint64),
        ("records_applied", c_uint64),
        ("half_open", c_uint64),
        ("half_open_evicted", c_uint64),
    ]


class Slice(ctypes.Structure):
    _fields_ = [("data", c_char_p), ("len", c_size_t)]


class LogStateStruct(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("log", LogIdStruct),
        ("durable", c_uint64),
        ("applied", c_uint64),
    ]


# C name of every struct; a test compares sizes and offsets with a C compiler's.
STRUCTS = {
    "vixp2p_peer_id": PeerIdStruct,
    "vixp2p_log_id": LogIdStruct,
    "vixp2p_cursor": CursorStruct,
    "vixp2p_op_id": OpIdStruct,
    "vixp2p_operation": OperationStruct,
    "vixp2p_outbox_info": OutboxInfoStruct,
    "vixp2p_snapshot_info": SnapshotInfoStruct,
    "vixp2p_sync_state": SyncStateStruct,
    "vixp2p_log_record": LogRecord,
    "vixp2p_record": Record,
    "vixp2p_log_callback": LogCallback,
    "vixp2p_event_callback": EventCallback,
    "vixp2p_message_callback": MessageCallback,
    "vixp2p_apply_callback": ApplyCallback,
    "vixp2p_cursor_callback": CursorCallback,
    "vixp2p_snapshot_callback": SnapshotCallback,
    "vixp2p_snapshot_place": SnapshotPlaceStruct,
    "vixp2p_node_options": NodeOptions,
    "vixp2p_peer_info": PeerInfoStruct,
    "vixp2p_target_info": TargetInfoStruct,
    "vixp2p_discovered_info": DiscoveredInfoStruct,
    "vixp2p_invite": InviteStruct,
    "vixp2p_trust_info": TrustInfoStruct,
    "vixp2p_capability": CapabilityStruct,
    "vixp2p_capability_info": CapabilityInfoStruct,
    "vixp2p_registry_peer": RegistryPeerStruct,
    "vixp2p_stats": StatsStruct,
    "vixp2p_slice": Slice,
    "vixp2p_log_state": LogStateStruct,
}

_ID = POINTER(PeerIdStruct)
_LOG = POINTER(LogIdStruct)
_SIZE = POINTER(c_size_t)
_U64 = POINTER(c_uint64)
_STATUS = c_int

# Every function of the header: result, then arguments. A test compares the names with the header.
FUNCTIONS = {
    "vixp2p_abi_version": (c_uint32,),
    "vixp2p_version": (c_char_p,),
    "vixp2p_version_number": (c_uint32,),
    "vixp2p_status_str": (c_char_p, c_int32),
    "vixp2p_last_error_message": (c_char_p,),
    "vixp2p_last_error_code": (_STATUS,),
    "vixp2p_peer_id_to_hex": (_STATUS, _ID, c_char_p, c_size_t),
    "vixp2p_peer_id_from_hex": (_STATUS, c_char_p, _ID),
    "vixp2p_node_options_init": (_STATUS, POINTER(NodeOptions), c_size_t),
    "vixp2p_node_create": (_STATUS, POINTER(NodeOptions), POINTER(NODE)),
    "vixp2p_node_start": (_STATUS, NODE),
    "vixp2p_node_stop": (_STATUS, NODE, c_int32),
    "vixp2p_node_destroy": (None, NODE),
    "vixp2p_node_id": (_STATUS, NODE, _ID),
    "vixp2p_node_port": (_STATUS, NODE, POINTER(c_uint16)),
    "vixp2p_node_connect": (_STATUS, NODE, c_char_p),
    "vixp2p_node_connect_peer": (_STATUS, NODE, c_char_p, _ID),
    "vixp2p_node_trust": (_STATUS, NODE, _ID, c_char_p),
    "vixp2p_node_revoke": (_STATUS, NODE, _ID),
    "vixp2p_node_forget_peer": (_STATUS, NODE, _ID),
    "vixp2p_node_trust_list": (_STATUS, NODE, POINTER(TrustInfoStruct), c_size_t, _SIZE),
    "vixp2p_node_capabilities": (_STATUS, NODE, _ID, POINTER(CapabilityInfoStruct), c_size_t, _SIZE),
    "vixp2p_node_registry_peers": (_STATUS, NODE, POINTER(RegistryPeerStruct), c_size_t, _SIZE),
    "vixp2p_node_discovered": (_STATUS, NODE, POINTER(DiscoveredInfoStruct), c_size_t, _SIZE),
    "vixp2p_node_disconnect": (_STATUS, NODE, _ID),
    "vixp2p_node_forget_endpoint": (_STATUS, NODE, c_char_p),
    "vixp2p_node_network_changed": (_STATUS, NODE),
    "vixp2p_node_rekey": (_STATUS, NODE, _ID),
    "vixp2p_node_send": (_STATUS, NODE, _ID, c_char_p, c_size_t),
    "vixp2p_node_send_to": (_STATUS, NODE, _ID, c_char_p, c_size_t, c_uint32, _U64),
    "vixp2p_node_route_set": (_STATUS, NODE, _ID, _ID, c_uint32),
    "vixp2p_node_route_remove": (_STATUS, NODE, _ID),
    "vixp2p_node_route_resolve": (_STATUS, NODE, _ID, _ID, POINTER(c_int32), POINTER(c_uint32)),
    "vixp2p_node_broadcast": (_STATUS, NODE, c_char_p, c_size_t, _SIZE),
    "vixp2p_node_append": (_STATUS, NODE, c_char_p, c_size_t, _U64),
    "vixp2p_node_append_batch": (_STATUS, NODE, POINTER(Slice), c_size_t, _U64, _U64),
    "vixp2p_node_append_records": (_STATUS, NODE, POINTER(Slice), c_size_t, POINTER(LogIdStruct), _U64, _U64),
    "vixp2p_node_set_applied": (_STATUS, NODE, _LOG, c_uint64),
    "vixp2p_node_apply_resume": (_STATUS, NODE, _LOG, c_int32),
    "vixp2p_node_own_log": (_STATUS, NODE, _LOG),
    "vixp2p_node_logs": (_STATUS, NODE, POINTER(LogStateStruct), c_size_t, _SIZE),
    "vixp2p_outbox_put": (
        _STATUS,
        NODE,
        POINTER(PeerIdStruct),
        c_char_p,
        c_char_p,
        c_size_t,
        c_char_p,
        c_size_t,
        POINTER(OpIdStruct),
    ),
    "vixp2p_outbox_claim": (_STATUS, NODE, c_int32, POINTER(POINTER(OperationStruct))),
    "vixp2p_outbox_done": (_STATUS, NODE, POINTER(OpIdStruct)),
    "vixp2p_outbox_fail": (_STATUS, NODE, POINTER(OpIdStruct), c_uint32, c_char_p),
    "vixp2p_outbox_list": (_STATUS, NODE, POINTER(OutboxInfoStruct), c_size_t, _SIZE),
    "vixp2p_outbox_prune": (_STATUS, NODE, POINTER(OpIdStruct), _SIZE),
    "vixp2p_outbox_wait": (_STATUS, NODE, POINTER(OpIdStruct), c_int32, POINTER(c_int32)),
    "vixp2p_outbox_ask": (_STATUS, NODE, POINTER(PeerIdStruct), POINTER(PeerIdStruct), c_uint32),
    "vixp2p_event_target": (_STATUS, EVENT, POINTER(PeerIdStruct)),
    "vixp2p_operation_free": (None, POINTER(OperationStruct)),
    "vixp2p_node_flush": (_STATUS, NODE, _U64),
    "vixp2p_node_wait_ack": (_STATUS, NODE, _LOG, c_uint64, POINTER(PeerIdStruct), c_size_t, c_uint32, c_int32, _SIZE),
    "vixp2p_node_sync_status": (_STATUS, NODE, POINTER(SyncStateStruct), c_size_t, _SIZE),
    "vixp2p_node_subscribe": (_STATUS, NODE, POINTER(CursorStruct), c_size_t, c_uint32, POINTER(SUBSCRIPTION)),
    "vixp2p_subscription_next": (_STATUS, SUBSCRIPTION, c_int32, POINTER(POINTER(Record))),
    "vixp2p_subscription_fd": (c_int, SUBSCRIPTION),
    "vixp2p_subscription_cursor": (_STATUS, SUBSCRIPTION, POINTER(CursorStruct), _SIZE),
    "vixp2p_subscription_free": (None, SUBSCRIPTION),
    "vixp2p_node_peers": (_STATUS, NODE, POINTER(PeerInfoStruct), c_size_t, _SIZE),
    "vixp2p_node_targets": (_STATUS, NODE, POINTER(TargetInfoStruct), c_size_t, _SIZE),
    "vixp2p_node_stats": (_STATUS, NODE, POINTER(StatsStruct), c_size_t),
    "vixp2p_node_set_log_level": (_STATUS, NODE, c_int32),
    "vixp2p_set_process_log": (_STATUS, c_int32, POINTER(LogCallback)),
    "vixp2p_clear_process_log": (_STATUS,),
    "vixp2p_node_set_log_callback": (_STATUS, NODE, POINTER(LogCallback)),
    "vixp2p_node_set_event_callback": (_STATUS, NODE, POINTER(EventCallback)),
    "vixp2p_node_set_message_callback": (_STATUS, NODE, POINTER(MessageCallback)),
    "vixp2p_node_set_apply_callback": (_STATUS, NODE, POINTER(ApplyCallback)),
    "vixp2p_node_set_cursor_callback": (_STATUS, NODE, POINTER(CursorCallback)),
    "vixp2p_node_set_snapshot_callback": (_STATUS, NODE, POINTER(SnapshotCallback)),
    "vixp2p_snapshot_make": (_STATUS, NODE),
    "vixp2p_snapshot_list": (_STATUS, NODE, POINTER(SnapshotInfoStruct), c_size_t, _SIZE),
    "vixp2p_log_truncate": (_STATUS, NODE, _U64),
    "vixp2p_snapshot_write": (_STATUS, c_void_p, c_char_p, c_size_t),
    "vixp2p_snapshot_read": (_STATUS, c_void_p, c_void_p, c_size_t, _SIZE),
    "vixp2p_snapshot_places": (_STATUS, c_void_p, POINTER(SnapshotPlaceStruct), _SIZE),
    "vixp2p_values_keep": (_STATUS, NODE),
    "vixp2p_values_put": (_STATUS, NODE, c_char_p, c_size_t, c_char_p, c_size_t),
    "vixp2p_values_remove": (_STATUS, NODE, c_char_p, c_size_t),
    "vixp2p_values_get": (_STATUS, NODE, c_char_p, c_size_t, c_void_p, _SIZE),
    "vixp2p_values_next_key": (_STATUS, NODE, c_char_p, c_size_t, c_void_p, _SIZE),
    "vixp2p_node_event_fd": (c_int, NODE),
    "vixp2p_node_next_event": (_STATUS, NODE, POINTER(EVENT)),
    "vixp2p_node_wait_event": (_STATUS, NODE, c_int32, POINTER(EVENT)),
    "vixp2p_node_dispatch": (_STATUS, NODE, c_size_t, _SIZE),
    "vixp2p_invite_make": (_STATUS, _ID, POINTER(c_char_p), c_size_t, c_char_p, c_size_t, c_char_p, _SIZE),
    "vixp2p_invite_parse": (_STATUS, c_char_p, POINTER(InviteStruct), c_size_t),
    "vixp2p_event_get_kind": (c_int, EVENT),
    "vixp2p_event_peer": (_STATUS, EVENT, _ID),
    "vixp2p_event_former": (_STATUS, EVENT, _ID),
    "vixp2p_event_trusted": (c_int32, EVENT),
    "vixp2p_event_node_id": (c_char_p, EVENT),
    "vixp2p_event_endpoint": (c_char_p, EVENT),
    "vixp2p_event_direction": (c_int, EVENT),
    "vixp2p_event_reason": (c_char_p, EVENT),
    "vixp2p_event_reason_text": (c_char_p, EVENT),
    "vixp2p_event_data": (c_void_p, EVENT, _SIZE),
    "vixp2p_event_log": (_STATUS, EVENT, _LOG),
    "vixp2p_event_port": (c_uint16, EVENT),
    "vixp2p_event_connected": (c_uint64, EVENT),
    "vixp2p_event_durable": (c_uint64, EVENT),
    "vixp2p_event_applied": (c_uint64, EVENT),
    "vixp2p_event_seq": (c_uint64, EVENT),
    "vixp2p_event_retry_in_ms": (c_int64, EVENT),
    "vixp2p_event_count": (c_uint64, EVENT),
    "vixp2p_event_bytes": (c_uint64, EVENT),
    "vixp2p_event_new_count": (c_uint64, EVENT),
    "vixp2p_event_message_number": (c_uint64, EVENT),
    "vixp2p_event_text": (c_char_p, EVENT),
    "vixp2p_event_json": (c_char_p, EVENT),
    "vixp2p_event_free": (None, EVENT),
}


def find() -> str:
    """The library: what $VIXP2P_LIBRARY names, the one beside this file, or the system's."""
    given = os.environ.get("VIXP2P_LIBRARY")
    if given:
        return given
    beside = Path(__file__).with_name("libvixp2p.so")
    if beside.exists():
        return str(beside)
    found = ctypes.util.find_library("vixp2p")
    if found:
        return found
    raise ImportError("libvixp2p.so was not found: set VIXP2P_LIBRARY to its path, or install it where the loader looks")


def load(path: str) -> ctypes.CDLL:
    """Loads the library, checks that it fits, and tells ctypes of every function."""
    try:
        library = ctypes.CDLL(path)
        library.vixp2p_abi_version.restype = c_uint32
        abi = library.vixp2p_abi_version()
    except (OSError, AttributeError) as error:
        raise ImportError(f"{path} cannot be used as libvixp2p.so: {error}") from error
    if abi >> 16 != ABI_VERSION >> 16 or abi < ABI_VERSION:
        raise ImportError(
            f"{path} has ABI {abi >> 16}.{abi & 0xFFFF}, this package needs {ABI_VERSION >> 16}.{ABI_VERSION & 0xFFFF} or a later one of the same number"
        )
    for name, (result, *arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


lib = load(find())
