"""A node for Python: events by waiting for them, callbacks only inside calls of the program's own thread."""

import atexit
import ctypes
import time
import weakref
from collections import deque
from ctypes import byref, c_char_p, c_int32, c_size_t, c_uint16, c_uint32, c_uint64, c_void_p
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from . import _abi
from ._abi import DiscoveryMode, Durability, KeyAgreement, LogLevel, Status, TrustPolicy, lib
from ._outbox import Outbox
from ._snapshot import Snapshots, read_function, write_function
from ._sync import Progress
from ._types import Discovered, Event, LogId, LogState, Peer, PeerId, Record, Registry, RegistryPeer, Route, Target, TrustEntry, VixP2PError
from ._types import check, log_id, peer_id
from ._types import read_discovered, read_event, read_peer, read_registry_peer, read_target, read_trust

# A wait in C cannot be interrupted by Ctrl-C; so long ones are cut into pieces.
_WAIT_PIECE_S = 0.2


# What the process's log callback needs while it is set: ctypes frees a function that nobody refers to.
_process_log: List[Any] = []


def set_process_log(function: Callable[[LogLevel, str, str], Any], level: int = LogLevel.INFO) -> None:
    """Has the log lines of every node of this process go to `function(level, node_id, text)`, beside the nodes' own callbacks.

    It is called on threads of the library, on several at the same time, and must return quickly. What it raises is printed as
    `sys.unraisablehook` does.
    """

    def write(_userdata, record):
        line = record.contents
        function(LogLevel(line.level), line.node_id.decode(), line.message.decode())

    taken = _abi.LOG_FN(write)
    check(lib.vixp2p_set_process_log(level, _abi.LogCallback(taken, None)))
    # The former one may still be in a call.
    _process_log.append(taken)
    del _process_log[:-8]


def clear_process_log() -> None:
    """Ends what `set_process_log` began."""
    check(lib.vixp2p_clear_process_log())


# A thread of the library that called into an interpreter that is gone would never come back.
atexit.register(clear_process_log)


class Poison(Exception):
    """Raised by an `on_apply` for a record that can never take effect: its log is parked there until `Node.apply_resume`."""


class _Callbacks:
    """The program's functions in the shape C calls. Never refers to the node, or the node would never be collected."""

    def __init__(self):
        self.error: Optional[BaseException] = None
        self.functions: Dict[str, Callable] = {}
        # ctypes frees a function that nobody refers to, even while C still has it.
        self.log = _abi.LOG_FN(self._log)
        self.event = _abi.EVENT_FN(self._event)
        self.message = _abi.MESSAGE_FN(self._message)
        self.apply = _abi.APPLY_FN(self._apply)
        self.cursor = _abi.CURSOR_FN(self._cursor)
        self.snapshot_write = write_function(self)
        self.snapshot_read = read_function(self)

    def _run(self, name: str, call: Callable[[Callable], Any]) -> bool:
        """Whether the program's function returned. What it raised is kept: the first error is raised where the call came from."""
        function = self.functions.get(name)
        if function is None:
            return False
        try:
            call(function)
            return True
        except BaseException as error:  # noqa: BLE001: nothing may pass through C
            self.error = self.error or error
            return False

    def _log(self, _userdata, record):
        line = record.contents
        self._run("log", lambda f: f(LogLevel(line.level), line.message.decode()))

    def _event(self, _userdata, event):
        self._run("event", lambda f: f(read_event(event)))

    def _message(self, _userdata, peer, data, length):
        self._run("message", lambda f: f(peer_id(peer.contents), ctypes.string_at(data, length)))

    def _apply(self, _userdata, record):
        r = record.contents
        value = Record(log_id(r.log), r.seq, r.time_us, ctypes.string_at(r.data, r.len) if r.len else b"")
        poison: List[Poison] = []

        def call(function):
            try:
                function(value)
            except Poison as error:
                poison.append(error)

        returned = self._run("apply", call)
        return _abi.APPLY_POISON if poison else _abi.APPLY_OK if returned else _abi.APPLY_RETRY

    def _cursor(self, _userdata, log, out_seq):
        answer: List[Optional[int]] = [None]

        def call(function):
            seq = function(log_id(log.contents))
            if seq is not None and not (isinstance(seq, int) and 0 <= seq < 2**64):
                raise TypeError(f"on_cursor returned {seq!r}, neither the number of a record nor None")
            answer[0] = seq

        if "cursor" in self.functions and not self._run("cursor", call):
            return -1
        if answer[0] is None:
            return 0
        out_seq[0] = answer[0]
        return 1

    def raise_error(self) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error


def _destroy(handle: int, _callbacks: _Callbacks) -> None:
    lib.vixp2p_node_destroy(handle)


class Node(Progress, Outbox, Snapshots):
    """A peer-to-peer node. Use it in a `with` block, which starts it and ends it.

    Callbacks run inside `dispatch()`; `on_log` and `on_apply` also inside `next_event()`, `wait_event()` and `events()`. What they
    raise is raised there. A record whose `on_apply` raised is offered again later, but for `Poison`, which parks its log and is raised nowhere.
    """

    def __init__(
        self,
        node_id: Optional[str] = None,
        *,
        listen: Union[None, int, Tuple[str, int]] = None,
        data_dir: Optional[str] = None,
        key_passphrase: Union[None, str, bytes] = None,
        psk: Optional[bytes] = None,
        psk_previous: Optional[bytes] = None,
        key_agreement: int = KeyAgreement.ANY,
        dial: bool = True,
        trust: int = TrustPolicy.DEFAULT,
        registry: Optional[Registry] = None,
        max_peers: int = 0,
        handshake_timeout_ms: int = 0,
        heartbeat_interval_ms: int = 0,
        stale_after_ms: int = 0,
        durability: int = Durability.DURABLE,
        rekey_after_ms: int = 0,
        fresh_keys_after_ms: int = 0,
        listen_also: Sequence[str] = (),
        announce_port: int = 0,
        remember_peers: bool = True,
        relay: bool = True,
        peer_exchange: bool = True,
        discovery: int = DiscoveryMode.OFF,
        discovery_port: int = 0,
        discovery_interval_ms: int = 0,
        discovery_ttl_ms: int = 0,
        discovery_cooldown_ms: int = 0,
        discovery_packet_bytes: int = 0,
        discovery_group: Optional[str] = None,
        discovery_interfaces: Sequence[str] = (),
        mdns: bool = False,
        causal: bool = False,
        snapshot_schema: str = "",
        snapshot_from: Optional[Sequence[PeerId]] = None,
        log_max_bytes: int = 0,
        replica_lease_ms: int = 0,
        capabilities: Optional[Mapping[str, str]] = None,
        on_event: Optional[Callable[[Event], Any]] = None,
        on_message: Optional[Callable[[PeerId, bytes], Any]] = None,
        on_apply: Optional[Callable[[Record], Any]] = None,
        on_cursor: Optional[Callable[[LogId], Optional[int]]] = None,
        on_log: Optional[Callable[[LogLevel, str], Any]] = None,
        log_level: int = LogLevel.INFO,
    ):
        """`listen`: None only dials, a port listens everywhere, (host, port) there; port 0 is any free one. 0 means the default.

        `listen_also` names further places: "tcp://ADDRESS:PORT", "unix:///path/to.sock", "mem://name" (for nodes of this process).

        `announce_port` is told to discovery and the registry in place of the port listened on, whether or not the node listens.

        `remember_peers` notes in `data_dir` where peers were reached, and dials them again at the next start.

        `relay` passes messages of others on between trusted peers; `peer_exchange` tells trusted peers of each other, and dials whom they
        name.

        `key_passphrase` opens the key file in `data_dir`, and seals one that is made. With `Durability.BUFFERED` `append` does not
        wait for the disk: records survive the end of the process, perhaps not a power cut in the next moments.

        `discovery` looks for nodes on the own networks; `discovery_interfaces` are the names of those to use, all but loopback if
        there are none. `mdns` names this node by mDNS/DNS-SD as well, and dials whom that names; also with `discovery` off.

        With `causal` records come to `on_apply` after those that their writers had applied before, whosever these are: an answer never
        before its question. Every node has to have it. `sync_status` tells what waits.

        `snapshot_from` names the makers whose snapshots are taken, every trusted peer if it is None; past `log_max_bytes` of logs
        records go that a snapshot holds; a peer keeps them for `replica_lease_ms` after it was heard of last.

        `capabilities` is what this node says of itself to its peers, see `Node.capabilities`: at most 32 names.
        """
        options = _abi.NodeOptions()
        check(lib.vixp2p_node_options_init(options, ctypes.sizeof(options)))
        if listen is not None:
            host, port = listen if isinstance(listen, tuple) else (None, listen)
            options.listen = _abi.LISTEN_ON
            options.listen_host = host.encode() if host else None
            options.listen_port = port
        options.node_id = node_id.encode() if node_id is not None else None
        options.data_dir = str(data_dir).encode() if data_dir is not None else None
        options.psk, options.psk_len = psk, len(psk or b"")
        options.psk_previous, options.psk_previous_len = psk_previous, len(psk_previous or b"")
        options.key_agreement = key_agreement
        if key_passphrase is not None:
            passphrase = key_passphrase.encode() if isinstance(key_passphrase, str) else bytes(key_passphrase)
            options.key_passphrase, options.key_passphrase_len = passphrase, len(passphrase)
        options.flags = (0 if dial else _abi.FLAG_NO_DIAL) | (0 if remember_peers else _abi.FLAG_NO_REMEMBER)
        options.flags |= (0 if relay else _abi.FLAG_NO_RELAY) | (0 if peer_exchange else _abi.FLAG_NO_PEER_EXCHANGE)
        options.flags |= (_abi.FLAG_MDNS if mdns else 0) | (_abi.FLAG_CAUSAL if causal else 0)
        options.trust = trust
        options.durability = durability
        if registry is not None:
            registry._fill(options)
        options.max_peers = max_peers
        options.handshake_timeout_ms = handshake_timeout_ms
        options.heartbeat_interval_ms = heartbeat_interval_ms
        options.stale_after_ms = stale_after_ms
        options.rekey_after_ms = rekey_after_ms
        options.fresh_keys_after_ms = fresh_keys_after_ms
        places = [place.encode() for place in listen_also]
        options.listen_also, options.listen_also_count = (c_char_p * len(places))(*places) if places else None, len(places)
        options.announce_port = announce_port
        options.discovery = discovery
        options.discovery_port = discovery_port
        options.discovery_interval_ms = discovery_interval_ms
        options.discovery_ttl_ms = discovery_ttl_ms
        options.discovery_cooldown_ms = discovery_cooldown_ms
        options.discovery_packet_bytes = discovery_packet_bytes
        options.discovery_group = discovery_group.encode() if discovery_group is not None else None
        options.discovery_interfaces = ",".join(discovery_interfaces).encode() or None
        options.snapshot_schema = snapshot_schema.encode()
        if snapshot_from is not None:
            makers = [PeerId(peer)._as_struct() for peer in snapshot_from]
            options.snapshot_from = (_abi.PeerIdStruct * max(len(makers), 1))(*makers)
            options.snapshot_from_count = len(makers)
        options.log_max_bytes = log_max_bytes
        options.replica_lease_ms = replica_lease_ms
        said = [_abi.CapabilityStruct(name.encode(), value.encode()) for name, value in (capabilities or {}).items()]
        options.capabilities = (_abi.CapabilityStruct * len(said))(*said) if said else None
        options.capabilities_count = len(said)
        options.delivery = _abi.DELIVERY_POLL
        options.log_level = log_level
        self._callbacks = _Callbacks()
        self._kept: "deque[Event]" = deque()
        given = {"log": on_log, "event": on_event, "message": on_message, "apply": on_apply}
        for name, function in given.items():
            if function is not None:
                self._callbacks.functions[name] = function
                setattr(getattr(options, name), "fn", getattr(self._callbacks, name))
        handle = c_void_p()
        check(lib.vixp2p_node_create(options, byref(handle)))
        self._handle = handle.value
        self._end = weakref.finalize(self, _destroy, self._handle, self._callbacks)
        if on_cursor is not None:
            self.on_cursor(on_cursor)

    # ---- life

    def start(self) -> "Node":
        """Starts listening and dialling. Does nothing if the node runs."""
        status = lib.vixp2p_node_start(self._handle)
        # What a callback raised says more than that the start failed for it.
        self._callbacks.raise_error()
        check(status)
        return self

    def stop(self, timeout: Optional[float] = None) -> None:
        """Says goodbye to every peer and ends; the node can be started again."""
        check(lib.vixp2p_node_stop(self._handle, -1 if timeout is None else int(timeout * 1000)))

    def close(self) -> None:
        """Ends the node for good. Events that were not taken are lost."""
        self._end()

    def __enter__(self) -> "Node":
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_error) -> None:
        self.close()

    @property
    def id(self) -> PeerId:
        """Who this node is."""
        out = _abi.PeerIdStruct()
        check(lib.vixp2p_node_id(self._handle, out))
        return peer_id(out)

    @property
    def port(self) -> int:
        """The TCP port a running node listens on, or 0."""
        out = c_uint16()
        check(lib.vixp2p_node_port(self._handle, out))
        return out.value

    # ---- peers and messages

    def connect(self, endpoint: str, peer: Optional[PeerId] = None) -> None:
        """Wants a link to "host:port", now and after every loss. Returns at once; events tell the rest.

        With a peer, nobody else's answer will do."""
        if peer is None:
            check(lib.vixp2p_node_connect(self._handle, endpoint.encode()))
        else:
            check(lib.vixp2p_node_connect_peer(self._handle, endpoint.encode(), PeerId(peer)._as_struct()))

    def trust(self, peer: PeerId, label: str = "") -> None:
        """Trusts a key from now on; durable when it returns. Like the next three, also on a node that does not run."""
        check(lib.vixp2p_node_trust(self._handle, PeerId(peer)._as_struct(), label.encode()))

    def revoke(self, peer: PeerId) -> None:
        """Refuses a key for good, under every policy."""
        check(lib.vixp2p_node_revoke(self._handle, PeerId(peer)._as_struct()))

    def forget(self, peer: PeerId) -> bool:
        """Forgets a key, as if it had never been met; whether it was listed."""
        return check(lib.vixp2p_node_forget_peer(self._handle, PeerId(peer)._as_struct())) == Status.OK

    def trusted(self) -> List[TrustEntry]:
        """Every key that is trusted, pinned or revoked."""
        return [read_trust(info) for info in self._array(lib.vixp2p_node_trust_list, _abi.TrustInfoStruct)]

    def capabilities(self, peer: PeerId) -> Dict[str, str]:
        """What a connected peer says of itself. Its signature covers it; whether it is true is another matter."""
        peer = PeerId(peer)._as_struct()

        def call(handle, *rest):
            return lib.vixp2p_node_capabilities(handle, peer, *rest)

        return {info.name.decode(): info.value.decode() for info in self._array(call, _abi.CapabilityInfoStruct)}

    def registry_peers(self) -> List[RegistryPeer]:
        """Whom the registry named last."""
        return [read_registry_peer(peer) for peer in self._array(lib.vixp2p_node_registry_peers, _abi.RegistryPeerStruct)]

    def discovered(self) -> List[Discovered]:
        """Every node that announces itself on a network of this one."""
        return [read_discovered(info) for info in self._array(lib.vixp2p_node_discovered, _abi.DiscoveredInfoStruct)]

    def disconnect(self, peer: PeerId) -> None:
        """Ends the link to a peer and stops dialling it."""
        check(lib.vixp2p_node_disconnect(self._handle, PeerId(peer)._as_struct()))

    def forget_endpoint(self, endpoint: str) -> None:
        """Stops dialling an address, also one where nobody ever answered; a link that stands stays."""
        check(lib.vixp2p_node_forget_endpoint(self._handle, endpoint.encode()))

    def network_changed(self) -> None:
        """The network is another one: links show life or are closed, everything else is dialled at once."""
        check(lib.vixp2p_node_network_changed(self._handle))

    def rekey(self, peer: PeerId) -> None:
        """Agrees on fresh keys with a connected peer, ahead of time; EventKind.FRESH_KEYS tells when both directions use them."""
        check(lib.vixp2p_node_rekey(self._handle, PeerId(peer)._as_struct()))

    def send(self, peer: PeerId, data: bytes) -> None:
        """Queues a message. Raises WouldBlock if the queue is full and NotConnected if the peer is not there."""
        data = bytes(data)
        check(lib.vixp2p_node_send(self._handle, PeerId(peer)._as_struct(), data, len(data)))

    def send_to(self, peer: PeerId, data: bytes, life_ms: int = 0) -> int:
        """Sends a message to a peer, connected or not, over relays if need be; its number.

        `EventKind.DELIVERED` or `EventKind.UNDELIVERED` with that `message_number` tells what became of it within `life_ms` (0: 30 s).
        Raises WouldBlock if too many are under way.
        """
        data, number = bytes(data), c_uint64()
        check(lib.vixp2p_node_send_to(self._handle, PeerId(peer)._as_struct(), data, len(data), life_ms, number))
        return number.value

    def set_route(self, peer: PeerId, next_hop: PeerId, ttl: int = 0) -> None:
        """Says by which neighbour a peer is reached; without it a way is searched. `ttl` is 1 to 8 links, 0 for 8."""
        check(lib.vixp2p_node_route_set(self._handle, PeerId(peer)._as_struct(), PeerId(next_hop)._as_struct(), ttl))

    def remove_route(self, peer: PeerId) -> bool:
        """Takes back what `set_route` said, and forgets what was found by searching; whether anything had been said."""
        return check(lib.vixp2p_node_route_remove(self._handle, PeerId(peer)._as_struct())) == Status.OK

    def route(self, peer: PeerId) -> Optional[Route]:
        """The way a message to a peer would take now; None if it would have to be searched."""
        next_hop, via_relay, ttl = _abi.PeerIdStruct(), c_int32(), c_uint32()
        found = lib.vixp2p_node_route_resolve(self._handle, PeerId(peer)._as_struct(), next_hop, via_relay, ttl)
        return Route(peer_id(next_hop), bool(via_relay.value), ttl.value) if check(found) == Status.OK else None

    def broadcast(self, data: bytes) -> int:
        """Queues a message to every connected peer; the number of peers whose queue took it."""
        data, queued = bytes(data), c_size_t()
        check(lib.vixp2p_node_broadcast(self._handle, data, len(data), queued))
        return queued.value

    def peers(self) -> List[Peer]:
        """Everybody this node knows of, connected or not."""
        return [read_peer(info) for info in self._array(lib.vixp2p_node_peers, _abi.PeerInfoStruct)]

    def targets(self) -> List[Target]:
        """Every endpoint this node dials, and every one it tried in vain: what to look at when a peer is missing."""
        return [read_target(info) for info in self._array(lib.vixp2p_node_targets, _abi.TargetInfoStruct)]

    def stats(self) -> Dict[str, int]:
        """The node's counters by name; zeros while it does not run."""
        out = _abi.StatsStruct()
        check(lib.vixp2p_node_stats(self._handle, out, ctypes.sizeof(out)))
        return {name: getattr(out, name) for name, _ in out._fields_ if name not in ("struct_size", "reserved")}

    # ---- the log

    def append(self, data: bytes) -> int:
        """Appends a record and waits until it is durable; its number."""
        data, seq = bytes(data), c_uint64()
        check(lib.vixp2p_node_append(self._handle, data, len(data), seq))
        return seq.value

    def append_batch(self, records: Iterable[bytes]) -> Tuple[int, int]:
        """Appends records with one wait for the disk; the numbers of the first and the last."""
        records = [bytes(record) for record in records]
        slices = (_abi.Slice * len(records))(*(_abi.Slice(record, len(record)) for record in records))
        first, last = c_uint64(), c_uint64()
        check(lib.vixp2p_node_append_batch(self._handle, slices, len(records), first, last))
        return first.value, last.value

    def own_log(self) -> LogId:
        """The log this node appends to."""
        out = _abi.LogIdStruct()
        check(lib.vixp2p_node_own_log(self._handle, out))
        return log_id(out)

    def logs(self) -> List[LogState]:
        """How far every log has come here."""
        states = self._array(lib.vixp2p_node_logs, _abi.LogStateStruct)
        return [LogState(log_id(state.log), state.durable, state.applied) for state in states]

    def set_applied(self, log: LogId, seq: int) -> None:
        """Tells, before the start, which record of a log was the last to take effect in the program's own store."""
        check(lib.vixp2p_node_set_applied(self._handle, log._as_struct(), seq))

    def apply_resume(self, log: LogId, skip: bool = False) -> None:
        """Has a parked log go on: the record it is parked at is offered once more, or skipped by this order.

        With `skip` a log that waits on a causal node gives up what its status shows it to wait for, and no record is skipped."""
        check(lib.vixp2p_node_apply_resume(self._handle, log._as_struct(), int(skip)))

    # ---- events and callbacks

    def fileno(self) -> int:
        """A descriptor that is readable while something waits: for select, or a loop's add_reader with dispatch()."""
        fd = lib.vixp2p_node_event_fd(self._handle)
        if fd < 0:
            check(lib.vixp2p_last_error_code())
        return fd

    def next_event(self) -> Optional[Event]:
        """The next event, if one waits."""
        return self._take(lambda out: lib.vixp2p_node_next_event(self._handle, out))

    def wait_event(self, timeout: Optional[float] = None) -> Optional[Event]:
        """Waits for the next event; None after `timeout` seconds. Raises Stopped if the node does not run and nothing waits."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _WAIT_PIECE_S if deadline is None else min(_WAIT_PIECE_S, max(0.0, deadline - time.monotonic()))
            event = self._take(lambda out: lib.vixp2p_node_wait_event(self._handle, int(left * 1000), out))
            if event is not None or (deadline is not None and time.monotonic() >= deadline):
                return event

    def events(self, timeout: Optional[float] = None) -> Iterator[Event]:
        """Events as they come, until the node has stopped, or nothing came for `timeout` seconds."""
        while True:
            try:
                event = self.wait_event(timeout)
            except VixP2PError as error:
                if error.status == Status.ERR_STOPPED:
                    return
                raise
            if event is None:
                return
            yield event

    def dispatch(self, max: int = 0) -> int:
        """Runs callbacks for what waits, on this thread, at most `max` (0: all); how many there were."""
        done = c_size_t()
        check(lib.vixp2p_node_dispatch(self._handle, max, done))
        self._callbacks.raise_error()
        return done.value

    def on_event(self, function: Optional[Callable[[Event], Any]]) -> None:
        """Replaces the event callback."""
        self._replace("event", function, _abi.EventCallback, lib.vixp2p_node_set_event_callback)

    def on_message(self, function: Optional[Callable[[PeerId, bytes], Any]]) -> None:
        """Replaces the message callback."""
        self._replace("message", function, _abi.MessageCallback, lib.vixp2p_node_set_message_callback)

    def on_apply(self, function: Optional[Callable[[Record], Any]]) -> None:
        """Replaces the apply callback; one given to a node that was started without takes effect at the next start."""
        self._replace("apply", function, _abi.ApplyCallback, lib.vixp2p_node_set_apply_callback)

    def on_cursor(self, function: Optional[Callable[[LogId], Optional[int]]]) -> None:
        """Replaces what tells how far the program's own store has come; takes effect at the next start.

        None leaves it to the library's note. If it raises, nothing is applied: the start fails, or it is asked again later."""
        self._replace("cursor", function, _abi.CursorCallback, lib.vixp2p_node_set_cursor_callback)

    def on_log(self, function: Optional[Callable[[LogLevel, str], Any]]) -> None:
        """Replaces the log callback."""
        self._replace("log", function, _abi.LogCallback, lib.vixp2p_node_set_log_callback)

    def set_log_level(self, level: int) -> None:
        """Changes which log lines reach the log callback."""
        check(lib.vixp2p_node_set_log_level(self._handle, level))

    def __repr__(self) -> str:
        return f"<vixp2p.Node {self.id}>" if self._end.alive else "<vixp2p.Node closed>"

    # ---- helpers

    def _take(self, call: Callable[[Any], int]) -> Optional[Event]:
        if self._kept:
            return self._kept.popleft()
        out = c_void_p()
        check(call(byref(out)))
        event = None
        if out.value is not None:
            try:
                event = read_event(out.value)
            finally:
                lib.vixp2p_event_free(out)
        if self._callbacks.error is not None:
            if event is not None:
                self._kept.append(event)
            self._callbacks.raise_error()
        return event

    def _replace(self, name: str, function: Optional[Callable], struct: type, set_callback: Callable) -> None:
        if function is None:
            check(set_callback(self._handle, None))
            self._callbacks.functions.pop(name, None)
            return
        self._callbacks.functions[name] = function
        check(set_callback(self._handle, struct(getattr(self._callbacks, name), None)))

    def _array(self, call: Callable, struct: type) -> List[Any]:
        room = 16
        while True:
            array, count = (struct * room)(), c_size_t(room)
            status = call(self._handle, array, ctypes.sizeof(struct), byref(count))
            if status != Status.ERR_BUFFER_TOO_SMALL:
                check(status)
                return list(array[: count.value])
            room = count.value + 16
