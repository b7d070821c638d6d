"""What the package hands out: errors, ids, events, snapshots. Plain values; nothing here calls a node."""

import ctypes
from dataclasses import dataclass, field
from typing import NamedTuple, Optional, Tuple, Union

from . import _abi
from ._abi import Direction, EventKind, HandshakeStage, PeerState, Status, TrustState, lib


class VixP2PError(Exception):
    """A call failed. `status` is a Status (or a plain number this package does not know), the text says why."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = _known(Status, status)
        self.message = message


class WouldBlock(VixP2PError):
    """The queue towards the peer is full; nothing was taken."""


class NotConnected(VixP2PError):
    """That peer is not connected."""


class Stopped(VixP2PError):
    """The node does not run."""


_ERRORS = {Status.ERR_WOULD_BLOCK: WouldBlock, Status.ERR_NOT_CONNECTED: NotConnected, Status.ERR_STOPPED: Stopped}


def check(status: int) -> int:
    """The status, unless it is an error: that is raised."""
    if status < 0:
        message = lib.vixp2p_last_error_message() or lib.vixp2p_status_str(status)
        raise _ERRORS.get(status, VixP2PError)(status, message.decode())
    return status


def _known(kind, number: int):
    """The number as a member of an enum, or as it is if the library is newer than this package."""
    try:
        return kind(number)
    except ValueError:
        return number


class PeerId(bytes):
    """Who a node is: the 32 bytes of its public key. Prints as hexadecimal digits."""

    def __new__(cls, value: Union[bytes, str]):
        if isinstance(value, str):
            out = _abi.PeerIdStruct()
            check(lib.vixp2p_peer_id_from_hex(value.encode(), out))
            value = bytes(out.bytes)
        if len(value) != 32:
            raise ValueError(f"a peer id has 32 bytes, not {len(value)}")
        return super().__new__(cls, value)

    def __str__(self) -> str:
        out = ctypes.create_string_buffer(_abi.PEER_ID_HEX_SIZE)
        check(lib.vixp2p_peer_id_to_hex(self._as_struct(), out, len(out)))
        return out.value.decode()

    def __repr__(self) -> str:
        return f"PeerId('{self}')"

    def _as_struct(self) -> _abi.PeerIdStruct:
        return _abi.PeerIdStruct.from_buffer_copy(self)


class LogId(NamedTuple):
    """One append-only log: who writes it, and which life of it."""

    origin: PeerId
    incarnation: int

    def _as_struct(self) -> _abi.LogIdStruct:
        return _abi.LogIdStruct(PeerId(self.origin)._as_struct(), self.incarnation)


def peer_id(struct: _abi.PeerIdStruct) -> PeerId:
    return PeerId(bytes(struct.bytes))


def log_id(struct: _abi.LogIdStruct) -> LogId:
    return LogId(peer_id(struct.origin), struct.incarnation)


@dataclass(frozen=True)
class Record:
    """A record of another node's log, for the apply callback."""

    log: LogId
    seq: int
    time_us: int
    data: bytes


@dataclass(frozen=True)
class Event:
    """What happened. Members that the kind does not have are None."""

    kind: Union[EventKind, int]
    text: str
    peer: Optional[PeerId] = None
    data: Optional[bytes] = field(default=None, repr=False)
    node_id: Optional[str] = None
    endpoint: Optional[str] = None
    direction: Optional[Direction] = None
    reason: Optional[str] = None
    reason_text: Optional[str] = None
    log: Optional[LogId] = None
    port: Optional[int] = None
    connected: Optional[int] = None
    durable: Optional[int] = None
    applied: Optional[int] = None
    seq: Optional[int] = None
    retry_in_ms: Optional[int] = None
    count: Optional[int] = None
    new_count: Optional[int] = None
    message_number: Optional[int] = None
    trusted: Optional[bool] = None
    former: Optional[PeerId] = None
    target: Optional[PeerId] = None
    json: Optional[str] = field(default=None, repr=False)
    # Last: behind it the name no longer means the type.
    bytes: Optional[int] = None


def _peer(event: int) -> Optional[PeerId]:
    out = _abi.PeerIdStruct()
    return peer_id(out) if check(lib.vixp2p_event_peer(event, out)) == Status.OK else None


def _target(event: int) -> Optional[PeerId]:
    out = _abi.PeerIdStruct()
    return peer_id(out) if check(lib.vixp2p_event_target(event, out)) == Status.OK else None


def _former(event: int) -> Optional[PeerId]:
    out = _abi.PeerIdStruct()
    return peer_id(out) if check(lib.vixp2p_event_former(event, out)) == Status.OK else None


def _log(event: int) -> Optional[LogId]:
    out = _abi.LogIdStruct()
    return log_id(out) if check(lib.vixp2p_event_log(event, out)) == Status.OK else None


def _text(function):
    def read(event: int) -> Optional[str]:
        text = function(event)
        return None if text is None else text.decode()

    return read


def _retry(event: int) -> Optional[int]:
    milliseconds = lib.vixp2p_event_retry_in_ms(event)
    return None if milliseconds < 0 else milliseconds


_READ = {
    "peer": _peer,
    "node_id": _text(lib.vixp2p_event_node_id),
    "endpoint": _text(lib.vixp2p_event_endpoint),
    "direction": lambda event: _known(Direction, lib.vixp2p_event_direction(event)),
    "reason": _text(lib.vixp2p_event_reason),
    "reason_text": _text(lib.vixp2p_event_reason_text),
    "log": _log,
    "port": lib.vixp2p_event_port,
    "connected": lib.vixp2p_event_connected,
    "durable": lib.vixp2p_event_durable,
    "applied": lib.vixp2p_event_applied,
    "seq": lib.vixp2p_event_seq,
    "retry_in_ms": _retry,
    "count": lib.vixp2p_event_count,
    "new_count": lib.vixp2p_event_new_count,
    "bytes": lib.vixp2p_event_bytes,
    "message_number": lib.vixp2p_event_message_number,
    "trusted": lambda event: lib.vixp2p_event_trusted(event) == 1,
    "former": _former,
    "target": _target,
}
_LINK = ("endpoint", "direction", "reason", "reason_text")
_HAS = {
    EventKind.STARTED: ("port",),
    EventKind.CONNECT_FAILED: ("peer", "endpoint", "reason", "reason_text", "retry_in_ms"),
    EventKind.HANDSHAKE_FAILED: _LINK,
    EventKind.PEER_CONNECTED: ("peer", "node_id", "endpoint", "direction", "connected", "trusted"),
    EventKind.PEER_DISCONNECTED: ("peer", "node_id", *_LINK, "connected"),
    EventKind.ACKED: ("peer", "log", "durable", "applied"),
    EventKind.STORED: ("log", "durable"),
    EventKind.LOG_FORKED: ("log", "seq"),
    EventKind.APPLY_REFUSED: ("log", "seq", "retry_in_ms"),
    EventKind.APPLY_PARKED: ("log", "seq"),
    EventKind.APPLY_RESUMED: ("log", "seq"),
    EventKind.LOST: ("count",),
    EventKind.FRESH_KEYS: ("peer",),
    EventKind.DELIVERED: ("peer", "message_number"),
    EventKind.UNDELIVERED: ("peer", "message_number", "reason", "reason_text"),
    EventKind.PEER_DISCOVERED: ("node_id", "endpoint"),
    EventKind.PEER_STALE: ("peer", "node_id"),
    EventKind.PEER_NAMED: ("node_id", "endpoint"),
    EventKind.REGISTRY_ANSWERED: ("count", "new_count"),
    EventKind.REGISTRY_FAILED: ("retry_in_ms",),
    EventKind.PING: ("peer", "direction"),
    EventKind.PONG: ("peer", "direction"),
    EventKind.SNAPSHOT_MADE: ("bytes",),
    EventKind.SNAPSHOT_TAKEN: ("peer", "seq", "bytes"),
    EventKind.LOG_TRUNCATED: ("log", "seq"),
    EventKind.SNAPSHOT_NEEDED: ("peer", "count"),
    EventKind.APPLICATION_BEHIND: ("count",),
    EventKind.OUTBOX_PULLED: ("peer", "target", "count"),
    EventKind.OUTBOX_HELD: ("peer", "target", "count"),
    EventKind.PEER_PINNED: ("peer", "node_id", "former"),
    EventKind.IDENTITY_CHANGED: ("peer", "node_id", "former", "endpoint", "direction"),
    EventKind.TRUST_CHANGED: ("peer", "node_id", "trusted"),
    EventKind.SYNC_DECLINED: ("peer", "node_id"),
}


def read_event(event: int) -> Event:
    """Copies a C event, so that nothing of it is used after it is freed or the callback has returned."""
    kind = _known(EventKind, lib.vixp2p_event_get_kind(event))
    if kind == EventKind.MESSAGE:
        length = ctypes.c_size_t()
        data = lib.vixp2p_event_data(event, length)
        data = ctypes.string_at(data, length.value)
        return Event(kind, f"message of {len(data)} bytes", peer=_peer(event), data=data)
    parts = {name: _READ[name](event) for name in _HAS.get(kind, ())}
    parts["json"] = lib.vixp2p_event_json(event).decode()
    return Event(kind, lib.vixp2p_event_text(event).decode(), **parts)


@dataclass(frozen=True)
class Route:
    """The way to a peer: the neighbour that gets what is for it, whether that one passes it on, and the links it may pass."""

    next_hop: PeerId
    via_relay: bool
    ttl: int


@dataclass(frozen=True)
class Peer:
    """One line of the peer list. `id` is None while nobody has answered at the endpoint and nobody is expected there."""

    id: Optional[PeerId]
    secure: bool
    trusted: bool
    state: Union[PeerState, int]
    direction: Union[Direction, int]
    last_seen_ms_ago: Optional[int]
    node_id: str
    endpoint: str
    stage: Union[HandshakeStage, int] = HandshakeStage.NONE
    since_ms_ago: int = 0
    failures: int = 0
    next_attempt_in_ms: Optional[int] = None
    last_reason: Optional[str] = None
    last_reason_text: Optional[str] = None


@dataclass(frozen=True)
class Target:
    """One endpoint a node dials, or tried in vain. `next_attempt_in_ms` is None if no attempt waits."""

    endpoint: str
    id: Optional[PeerId]
    wanted: bool
    state: Union[PeerState, int]
    stage: Union[HandshakeStage, int]
    since_ms_ago: int
    failures: int
    next_attempt_in_ms: Optional[int]
    last_reason: Optional[str]
    last_reason_text: Optional[str]


def _progress(info: Union[_abi.PeerInfoStruct, _abi.TargetInfoStruct]) -> dict:
    return dict(
        state=_known(PeerState, info.state),
        stage=_known(HandshakeStage, info.stage),
        since_ms_ago=info.since_ms_ago,
        failures=info.failures,
        next_attempt_in_ms=None if info.next_attempt_in_ms < 0 else info.next_attempt_in_ms,
        last_reason=info.last_reason.decode() or None,
        last_reason_text=info.last_reason_text.decode() or None,
    )


def read_target(info: _abi.TargetInfoStruct) -> Target:
    return Target(
        endpoint=info.endpoint.decode(),
        id=peer_id(info.id) if info.flags & _abi.PEER_HAS_ID else None,
        wanted=bool(info.flags & _abi.TARGET_WANTED),
        **_progress(info),
    )


def read_peer(info: _abi.PeerInfoStruct) -> Peer:
    return Peer(
        id=peer_id(info.id) if info.flags & _abi.PEER_HAS_ID else None,
        secure=bool(info.flags & _abi.PEER_SECURE),
        trusted=bool(info.flags & _abi.PEER_TRUSTED),
        direction=_known(Direction, info.direction),
        last_seen_ms_ago=None if info.last_seen_ms_ago < 0 else info.last_seen_ms_ago,
        node_id=info.node_id.decode(),
        endpoint=info.endpoint.decode(),
        **_progress(info),
    )


@dataclass(frozen=True)
class Discovered:
    """A node that announces itself on a network of this one: a rumour, unless it has shown that it knows the cluster's secret."""

    node_id: str
    endpoint: str
    authenticated: bool
    last_seen_ms_ago: int


def read_discovered(info: _abi.DiscoveredInfoStruct) -> Discovered:
    authenticated = bool(info.flags & _abi.DISCOVERED_AUTHENTICATED)
    return Discovered(info.node_id.decode(), info.endpoint.decode(), authenticated, info.last_seen_ms_ago)


@dataclass(frozen=True)
class Invite:
    """Who a node is and where it is reached, as one line to pass on; a secret one with `psk`."""

    peer: PeerId
    addresses: Tuple[str, ...]
    psk: Optional[bytes] = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> "Invite":
        """Reads the line. Raises VixP2PError, whose text says whether it is none, damaged, or of a newer version."""
        out = _abi.InviteStruct()
        check(lib.vixp2p_invite_parse(text.encode(), out, ctypes.sizeof(out)))
        addresses = tuple(out.addresses[i].value.decode() for i in range(out.address_count))
        return cls(peer_id(out.peer), addresses, bytes(out.psk) if out.flags & _abi.INVITE_HAS_PSK else None)

    def text(self) -> str:
        """The line."""
        addresses = [address.encode() for address in self.addresses]
        array = (ctypes.c_char_p * len(addresses))(*addresses)
        out, size = ctypes.create_string_buffer(_abi.INVITE_TEXT_SIZE), ctypes.c_size_t(_abi.INVITE_TEXT_SIZE)
        peer = PeerId(self.peer)._as_struct()
        check(lib.vixp2p_invite_make(peer, array, len(addresses), self.psk, len(self.psk or b""), out, size))
        return out.value.decode()


@dataclass(frozen=True)
class TrustEntry:
    """One key and what is settled about it. `added_s` is in seconds since 1970, None if that is not known."""

    id: PeerId
    state: Union[TrustState, int]
    label: str
    added_s: Optional[int]


def read_trust(info: _abi.TrustInfoStruct) -> TrustEntry:
    added_s = None if info.added_s < 0 else info.added_s
    return TrustEntry(peer_id(info.id), _known(TrustState, info.state), info.label.decode(), added_s)


@dataclass(frozen=True)
class Registry:
    """A registry to find peers by, "http://host[:port][/path]" or the same with https. 0 means the default.

    `ca` is PEM text: the certificate authorities of a registry behind https, none being trusted besides; None: those of Mozilla.
    `announce` says whether the node tells where it listens; `announce_host` is told instead of the address the registry sees.
    """

    url: str
    announce: bool = False
    token: Optional[str] = field(default=None, repr=False)
    announce_host: Optional[str] = None
    poll_interval_ms: int = 0
    connect_cooldown_ms: int = 0
    connect_timeout_ms: int = 0
    request_timeout_ms: int = 0
    backoff_max_ms: int = 0
    max_http_bytes: int = 0
    max_peers_per_poll: int = 0
    ca: Optional[str] = field(default=None, repr=False)

    def _fill(self, options: _abi.NodeOptions) -> None:
        options.registry_mode = _abi.REGISTRY_PULL_AND_ANNOUNCE if self.announce else _abi.REGISTRY_PULL_ONLY
        for name in ("url", "token", "announce_host", "ca"):
            text = getattr(self, name)
            setattr(options, f"registry_{name}", text.encode() if text is not None else None)
        numbers = ("poll_interval_ms", "connect_cooldown_ms", "connect_timeout_ms", "request_timeout_ms", "backoff_max_ms")
        for name in (*numbers, "max_http_bytes", "max_peers_per_poll"):
            setattr(options, f"registry_{name}", getattr(self, name))


@dataclass(frozen=True)
class RegistryPeer:
    """A peer as a registry names it. A rumour: nothing about it has been checked."""

    node_id: str
    host: str
    tcp_port: int


def read_registry_peer(peer: _abi.RegistryPeerStruct) -> RegistryPeer:
    return RegistryPeer(peer.node_id.decode(), peer.host.decode(), peer.tcp_port)


@dataclass(frozen=True)
class LogState:
    """How far a log has come here."""

    log: LogId
    durable: int
    applied: int
