"""Snapshots: a program's state written for others, another's put in its place, and records let go of."""

import ctypes
from ctypes import byref, c_size_t, c_uint64
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional

from . import _abi
from ._abi import lib
from ._types import LogId, PeerId, check, log_id, peer_id
from ._values import LastValues

_READ_BYTES = 1 << 20


class StateWriter:
    """Where a state is written, inside the function given to `Node.on_snapshot`."""

    def __init__(self, pointer: int):
        self._pointer = pointer

    def write(self, data: bytes) -> int:
        """Writes the next bytes; how many."""
        data = bytes(data)
        check(lib.vixp2p_snapshot_write(self._pointer, data, len(data)))
        return len(data)


class StateReader:
    """Where a state is read, inside the function given to `Node.on_snapshot`."""

    def __init__(self, pointer: int):
        self._pointer = pointer

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `size`; all that are left if it is negative. Empty at the end."""
        if size < 0:
            pieces = []
            while True:
                piece = self.read(_READ_BYTES)
                if not piece:
                    return b"".join(pieces)
                pieces.append(piece)
        room, got = ctypes.create_string_buffer(max(size, 1)), c_size_t()
        check(lib.vixp2p_snapshot_read(self._pointer, room, size, byref(got)))
        return room.raw[: got.value]

    @property
    def places(self) -> Dict[LogId, int]:
        """How far the state goes: the last record of each log that has taken effect in it."""
        count = c_size_t()
        lib.vixp2p_snapshot_places(self._pointer, None, byref(count))
        places = (_abi.SnapshotPlaceStruct * count.value)()
        check(lib.vixp2p_snapshot_places(self._pointer, places, byref(count)))
        return {log_id(place.log): place.applied for place in places[: count.value]}


def write_function(callbacks: Any) -> Any:
    """The program's writer in the shape C calls."""

    def write(_userdata, writer, inout_own):
        def call(function):
            own = function[0](StateWriter(writer), inout_own[0])
            if own is not None:
                inout_own[0] = own

        return 0 if callbacks._run("snapshot", call) else 1

    return _abi.SNAPSHOT_WRITE_FN(write)


def read_function(callbacks: Any) -> Any:
    """The program's reader in the shape C calls."""

    def read(_userdata, reader):
        return 0 if callbacks._run("snapshot", lambda function: function[1](StateReader(reader))) else 1

    return _abi.SNAPSHOT_READ_FN(read)


@dataclass(frozen=True)
class SnapshotInfo:
    """A snapshot that lies here."""

    #: Its name: the BLAKE3 hash of its manifest, in hex.
    id: str
    maker: PeerId
    #: When, by the maker's clock, in microseconds since 1970.
    made_us: int
    #: Bytes of the state.
    bytes: int
    #: Logs that it has taken in.
    logs: int
    #: What the program that made it calls its form.
    schema: str


class Snapshots:
    """What a node does with snapshots."""

    _handle: Any
    _callbacks: Any
    _array: Any

    def on_snapshot(
        self,
        write: Optional[Callable[[StateWriter, int], Optional[int]]] = None,
        read: Optional[Callable[[StateReader], Any]] = None,
    ) -> None:
        """Replaces what writes the program's state for others and what puts another's in its place; both, or none.

        `write(out, own)` writes the whole state; it may return the last record of the own log that is in it, if that is not `own`, the
        last there is. `read(input)` replaces the state, as a whole or not at all. Both run on a thread of the library, `read` at a
        start on the one that starts the node, never while another callback of this node runs; what they raise gives the snapshot up, and
        is raised by the next call that runs callbacks."""
        if (write is None) != (read is None):
            raise TypeError("give both functions, or none")
        if write is None:
            check(lib.vixp2p_node_set_snapshot_callback(self._handle, None))
            self._callbacks.functions.pop("snapshot", None)
            return
        self._callbacks.functions["snapshot"] = (write, read)
        struct = _abi.SnapshotCallback(self._callbacks.snapshot_write, self._callbacks.snapshot_read, None)
        check(lib.vixp2p_node_set_snapshot_callback(self._handle, struct))

    def make_snapshot(self) -> None:
        """Makes a snapshot of the program's state; it is on disk when this returns."""
        status = lib.vixp2p_snapshot_make(self._handle)
        self._callbacks.raise_error()
        check(status)

    def snapshots(self) -> List[SnapshotInfo]:
        """Snapshots that lie here, the latest first."""
        infos = self._array(lib.vixp2p_snapshot_list, _abi.SnapshotInfoStruct)
        return [SnapshotInfo(i.id.decode(), peer_id(i.maker), i.made_us, i.bytes, i.logs, i.schema.decode()) for i in infos]

    def truncate_logs(self) -> int:
        """Lets go of the records that the newest snapshot holds and nobody counted needs; the bytes that went."""
        gone = c_uint64()
        check(lib.vixp2p_log_truncate(self._handle, byref(gone)))
        return gone.value

    def keep_last_values(self) -> LastValues:
        """A ready-made state in place of `on_apply`, `on_cursor` and `on_snapshot`: the last value of each key, as a dict that all nodes
        share. Before the node's first start, on every node."""
        return LastValues(self)
