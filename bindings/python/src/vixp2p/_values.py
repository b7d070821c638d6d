"""The last value of each key, over all nodes: a ready-made state, used as a dict."""

import ctypes
from ctypes import c_size_t
from typing import Any, Callable, Iterator, MutableMapping, Optional

from ._abi import Status, lib
from ._types import check


def _filled(ask: Callable[[Any, c_size_t], int]) -> Optional[bytes]:
    """Asks until the room suffices: another node may make a value longer between two calls."""
    size = 256
    while True:
        room, length = ctypes.create_string_buffer(size), c_size_t(size)
        status = ask(room, length)
        if status != Status.ERR_BUFFER_TOO_SMALL:
            return None if check(status) == Status.EMPTY else room.raw[: length.value]
        size = length.value


class LastValues(MutableMapping[bytes, bytes]):
    """What `Node.keep_last_values` gives: keys and values are bytes. A change is durable here when it returns, and on its way to the
    others once the node runs."""

    def __init__(self, node: Any):
        self._node = node  # keeps it alive
        check(lib.vixp2p_values_keep(node._handle))

    def get(self, key: bytes, default: Any = None) -> Any:
        """The value of a key, or `default`."""
        key = bytes(key)
        value = _filled(lambda out, length: lib.vixp2p_values_get(self._node._handle, key, len(key), out, length))
        return default if value is None else value

    def next_key(self, after: Optional[bytes] = None) -> Optional[bytes]:
        """The first key that has a value, or the first behind `after`, in the order of their bytes; None if there is none."""
        size = 0 if after is None else len(after)
        return _filled(lambda out, length: lib.vixp2p_values_next_key(self._node._handle, after, size, out, length))

    def remove(self, key: bytes) -> None:
        """Takes a key's value away, everywhere, if it has one."""
        key = bytes(key)
        check(lib.vixp2p_values_remove(self._node._handle, key, len(key)))

    def __getitem__(self, key: bytes) -> bytes:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        key, value = bytes(key), bytes(value)
        check(lib.vixp2p_values_put(self._node._handle, key, len(key), value, len(value)))

    def __delitem__(self, key: bytes) -> None:
        if key not in self:
            raise KeyError(key)
        self.remove(key)

    def __contains__(self, key: Any) -> bool:
        return isinstance(key, (bytes, bytearray, memoryview)) and self.get(bytes(key)) is not None

    def __iter__(self) -> Iterator[bytes]:
        key = self.next_key()
        while key is not None:
            yield key
            key = self.next_key(key)

    def __len__(self) -> int:
        return sum(1 for _ in self)
