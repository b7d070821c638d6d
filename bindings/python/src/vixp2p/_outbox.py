"""Operations for one node or all: executed once, answered for by their targets."""

import ctypes
from ctypes import byref, c_int32, c_size_t
from dataclasses import dataclass
from typing import List, Optional

from . import _abi
from ._abi import OutboxState, Status, lib
from ._sync import _pieces
from ._types import LogId, PeerId, check, log_id, peer_id


@dataclass(frozen=True)
class OpId:
    """Names an operation: the record that put it."""

    log: LogId
    seq: int

    def _as_struct(self) -> "_abi.OpIdStruct":
        return _abi.OpIdStruct(self.log._as_struct(), self.seq)


@dataclass(frozen=True)
class Operation:
    """An operation that was claimed: execute it, then report it by `outbox_done` or `outbox_fail`."""

    id: OpId
    kind: str
    key: bytes
    attempt: int
    time_us: int
    data: bytes


@dataclass(frozen=True)
class OutboxEntry:
    """An operation as it stands; `target` is None if it is for all, `received` if this node is to execute it."""

    id: OpId
    received: bool
    target: Optional[PeerId]
    state: OutboxState
    attempts: int
    kind: str
    detail: str
    key: bytes = b""


def _op_id(struct: "_abi.OpIdStruct") -> OpId:
    return OpId(log_id(struct.log), struct.seq)


class Outbox:
    """What a running node offers about operations."""

    _handle: int

    def outbox_put(self, kind: str, data: bytes, target: Optional[PeerId] = None, *, key: bytes = b"") -> OpId:
        """Puts an operation for one node, sealed so that nobody else can read it, or for all; durable when it returns."""
        data, key, out = bytes(data), bytes(key), _abi.OpIdStruct()
        to = None if target is None else PeerId(target)._as_struct()
        check(lib.vixp2p_outbox_put(self._handle, to, kind.encode(), key, len(key), data, len(data), out))
        return _op_id(out)

    def outbox_claim(self, timeout: Optional[float] = None) -> Optional[Operation]:
        """The next operation for this node; None if there is none within `timeout` seconds. One that is not reported within 30
        seconds is offered again."""
        for wait_ms in _pieces(timeout):
            out = ctypes.POINTER(_abi.OperationStruct)()
            if check(lib.vixp2p_outbox_claim(self._handle, wait_ms, byref(out))) != Status.OK:
                continue
            try:
                o = out.contents
                key = ctypes.string_at(o.key, o.key_len) if o.key_len else b""
                data = ctypes.string_at(o.data, o.len) if o.len else b""
                return Operation(_op_id(o.id), o.kind.decode(), key, o.attempt, o.time_us, data)
            finally:
                lib.vixp2p_operation_free(out)
        return None

    def outbox_done(self, id: OpId) -> None:
        """A claimed operation has taken effect; its receipt is durable when this returns."""
        check(lib.vixp2p_outbox_done(self._handle, id._as_struct()))

    def outbox_fail(self, id: OpId, detail: str = "", *, for_good: bool = False) -> None:
        """A claimed operation could not be executed: it is tried again, eight times in all, or given up."""
        check(lib.vixp2p_outbox_fail(self._handle, id._as_struct(), int(for_good), detail.encode()))

    def outbox_wait(self, id: OpId, timeout: Optional[float] = None) -> OutboxState:
        """Waits until an operation that this node put is done or has failed for good, or `timeout` seconds; where it stands then."""
        state = c_int32()
        for wait_ms in _pieces(timeout):
            if check(lib.vixp2p_outbox_wait(self._handle, id._as_struct(), wait_ms, state)) == Status.OK:
                break
        return OutboxState(state.value)

    def outbox_ask(self, peer: PeerId, target: PeerId, max_items: int = 128) -> None:
        """Asks a connected peer for where operations for a node lie in the logs it carries; EventKind.OUTBOX_HELD tells."""
        check(lib.vixp2p_outbox_ask(self._handle, PeerId(peer)._as_struct(), PeerId(target)._as_struct(), max_items))

    def outbox_list(self) -> List[OutboxEntry]:
        """Every operation that this node put and has not pruned, or is to execute."""
        return [
            OutboxEntry(
                _op_id(info.id),
                bool(info.flags & _abi.OUTBOX_RECEIVED),
                None if info.flags & _abi.OUTBOX_FOR_ALL else peer_id(info.target),
                OutboxState(info.state),
                info.attempts,
                info.kind.decode(),
                info.detail.decode(),
                bytes(info.key[: info.key_len]),
            )
            for info in self._array(lib.vixp2p_outbox_list, _abi.OutboxInfoStruct)
        ]

    def outbox_prune(self, id: Optional[OpId] = None) -> int:
        """Lists finished operations no more, or takes one back that this node put; how many there were."""
        count = c_size_t()
        check(lib.vixp2p_outbox_prune(self._handle, id._as_struct() if id is not None else None, count))
        return count.value
