"""Where logs stand: following them, waiting until others have them, seeing how far everybody is."""

import ctypes
import threading
import time
import weakref
from ctypes import byref, c_size_t, c_uint64, c_void_p
from dataclasses import dataclass
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from . import _abi
from ._abi import Status, lib
from ._types import LogId, PeerId, Record, Stopped, check, log_id, peer_id

# A wait in C cannot be interrupted by Ctrl-C; so long ones are cut into pieces.
_WAIT_PIECE_S = 0.2


@dataclass(frozen=True)
class LogProgress:
    """How far a log has come here (`peer` is None), or at a connected peer, and how far that is behind.

    Of a peer the lag is what is durable here and not there, of this node what is durable and not applied."""

    log: LogId
    own: bool
    peer: Optional[PeerId]
    durable: int
    applied: int
    lag_records: int
    lag_bytes: int
    lag_ms: int
    #: Of this node: the record its program called poison and is stuck at; None if there is none.
    parked: Optional[int] = None
    #: Two histories of the log were seen: nothing more of it is stored here.
    frozen: bool = False
    #: Of a causal node: the record that waits because it comes after others; None if none does.
    waits: Optional[int] = None
    #: What that waits for, a log and its record; it may wait for others too.
    waits_for: Optional[Tuple[LogId, int]] = None


class Appended(NamedTuple):
    """Where appended records went: what `wait_for_ack` takes, and the numbers of the first and the last."""

    log: LogId
    first: int
    last: int


def _pieces(timeout: Optional[float]) -> Iterator[int]:
    """Milliseconds to wait, again and again until the time is over; at least once."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = _WAIT_PIECE_S if deadline is None else min(_WAIT_PIECE_S, max(0.0, deadline - time.monotonic()))
        yield int(left * 1000)
        if deadline is not None and time.monotonic() >= deadline:
            return


def _interruptible(call: Callable[[], bool]) -> bool:
    """What a waiting function answers, on a thread of its own, so that Ctrl-C ends this wait: what it counts has to be one call."""
    ended: List[Union[bool, BaseException]] = []

    def run() -> None:
        try:
            ended.append(call())
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=run, name="vixp2p-wait", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_WAIT_PIECE_S)
    if isinstance(ended[0], BaseException):
        raise ended[0]
    return ended[0]


class Subscription:
    """Follows logs. Iterate over it for records as they come, until the node stops; `close()`, or the end of a `with`, ends it."""

    def __init__(self, handle: int):
        self._handle = handle
        self._closed = False
        self._end = weakref.finalize(self, lib.vixp2p_subscription_free, handle)

    def next(self, timeout: Optional[float] = None) -> Optional[Record]:
        """The next record; None if there is none within `timeout` seconds. Raises Stopped once the node stops."""
        for wait_ms in _pieces(timeout):
            out = ctypes.POINTER(_abi.Record)()
            status = lib.vixp2p_subscription_next(self._handle, wait_ms, byref(out))
            if self._closed:
                raise Stopped(Status.ERR_STOPPED, "the subscription was closed")
            # The record stays this thread's until its next call, whatever others do.
            if check(status) == Status.OK:
                r = out.contents
                return Record(log_id(r.log), r.seq, r.time_us, ctypes.string_at(r.data, r.len) if r.len else b"")
        return None

    def __iter__(self) -> Iterator[Record]:
        while True:
            try:
                record = self.next()
            except Stopped:
                return
            if record is not None:
                yield record

    def fileno(self) -> int:
        """A descriptor that is readable when `next(0)` may have a record: for select, or a loop's add_reader."""
        fd = lib.vixp2p_subscription_fd(self._handle)
        if fd < 0:
            check(lib.vixp2p_last_error_code())
        return fd

    def cursor(self) -> Dict[LogId, int]:
        """The record each log goes on with: what `subscribe` takes to go on here another time."""
        room = 16
        while True:
            array, count = (_abi.CursorStruct * room)(), c_size_t(room)
            status = lib.vixp2p_subscription_cursor(self._handle, array, byref(count))
            if status != Status.ERR_BUFFER_TOO_SMALL:
                check(status)
                return {log_id(cursor.log): cursor.seq for cursor in array[: count.value]}
            room = count.value + 16

    def close(self) -> None:
        """Ends it; a `next` that waits in another thread raises Stopped."""
        self._closed = True
        self._end()

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(self, *_error) -> None:
        self.close()


class Progress:
    """What a node offers about where logs stand."""

    _handle: int

    def append_records(self, records: Iterable[bytes]) -> Appended:
        """`Node.append_batch` that also says which log the records are in: a node that was set back goes on in another one."""
        records = [bytes(record) for record in records]
        slices = (_abi.Slice * len(records))(*(_abi.Slice(record, len(record)) for record in records))
        log, first, last = _abi.LogIdStruct(), c_uint64(), c_uint64()
        check(lib.vixp2p_node_append_records(self._handle, slices, len(records), log, first, last))
        return Appended(log_id(log), first.value, last.value)

    def flush(self) -> int:
        """Waits until everything accepted before is durable; the number of the own log's last durable record."""
        durable = c_uint64()
        check(lib.vixp2p_node_flush(self._handle, durable))
        return durable.value

    def subscribe(self, cursors: Optional[Mapping[LogId, int]] = None, *, all: Optional[bool] = None, new: bool = False) -> Subscription:
        """Follows logs: records from a place on, live afterwards.

        `cursors` says with which record logs begin. With `all`, the default without cursors, every other log is followed too, from
        its first record on, or with `new` from its present end on."""
        places = [_abi.CursorStruct(log._as_struct(), seq) for log, seq in (cursors or {}).items()]
        flags = (_abi.SUBSCRIBE_ALL if (not places if all is None else all) or new else 0) | (_abi.SUBSCRIBE_NEW if new else 0)
        out = c_void_p()
        check(lib.vixp2p_node_subscribe(self._handle, (_abi.CursorStruct * len(places))(*places), len(places), flags, byref(out)))
        return Subscription(out.value)

    def wait_for_ack(
        self,
        log: LogId,
        seq: int,
        peers: Union[int, Sequence[PeerId]] = 1,
        *,
        applied: bool = False,
        timeout: Optional[float] = None,
    ) -> bool:
        """Waits until so many peers, or each of these, have a record and all before it on their disks, or `applied` it.

        False if that was not so within `timeout` seconds."""
        level = _abi.ACK_APPLIED if applied else _abi.ACK_DURABLE
        named, count = None, peers
        if not isinstance(peers, int):
            named, count = (_abi.PeerIdStruct * max(1, len(peers)))(*(PeerId(peer)._as_struct() for peer in peers)), len(peers)

        def wait(wait_ms: int) -> bool:
            status = check(lib.vixp2p_node_wait_ack(self._handle, log._as_struct(), seq, named, count, level, wait_ms, None))
            return bool(status == Status.OK)

        if timeout is not None and timeout <= 0:
            return wait(0)
        # For nobody, so that a callback that may not wait is told so: the other thread is none.
        check(lib.vixp2p_node_wait_ack(self._handle, log._as_struct(), 0, None, 0, level, 1, None))
        # What does not fit is 24 days and more.
        wait_ms = -1 if timeout is None or timeout * 1000 >= 2**31 else int(timeout * 1000)
        return _interruptible(lambda: wait(wait_ms))

    def sync_status(self) -> List[LogProgress]:
        """How far every log is here and at every connected peer, and how far each is behind; the own log first."""
        lines = self._array(lib.vixp2p_node_sync_status, _abi.SyncStateStruct)
        return [
            LogProgress(
                log_id(line.log),
                bool(line.flags & _abi.SYNC_OWN),
                peer_id(line.peer) if line.flags & _abi.SYNC_PEER else None,
                line.durable,
                line.applied,
                line.lag_records,
                line.lag_bytes,
                line.lag_ms,
                line.parked or None,
                bool(line.flags & _abi.SYNC_FROZEN),
                line.waits or None,
                (log_id(line.waits_for), line.waits_for_seq) if line.waits else None,
            )
            for line in lines
        ]
