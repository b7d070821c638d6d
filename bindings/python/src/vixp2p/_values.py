"""The last value of each key, over all nodes: a ready-made state, used as a dict."""

import ctypes
from ctypes import c_size_t
from typing import Any, Callable, Iterator, List, MutableMapping, Optional, Tuple

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


def _bytes(data: Any) -> bytes:
    """The bytes of anything that is made of bytes; of a number there would be as many zeros."""
    return bytes(memoryview(data))


class LastValues(MutableMapping[bytes, bytes]):
    """What `Node.keep_last_values` gives: keys and values are bytes. A change returns as `Node.append` does, and is on its way to the
    others once the node runs. What others remove while one goes through it is left out by `items` and `values`; `dict(values.items())`
    is a copy that cannot fail."""

    def __init__(self, node: Any):
        self._node = node  # keeps it alive
        check(lib.vixp2p_values_keep(node._handle))

    def get(self, key: bytes, default: Any = None) -> Any:
        """The value of a key, or `default`."""
        key = _bytes(key)
        value = _filled(lambda out, length: lib.vixp2p_values_get(self._node._handle, key, len(key), out, length))
        return default if value is None else value

    def next_key(self, after: Optional[bytes] = None) -> Optional[bytes]:
        """The first key that has a value, or the first behind `after`, in the order of their bytes; None if there is none."""
        after = None if after is None else _bytes(after)
        size = 0 if after is None else len(after)
        return _filled(lambda out, length: lib.vixp2p_values_next_key(self._node._handle, after, size, out, length))

    def remove(self, key: bytes) -> None:
        """Takes a key's value away, everywhere, if it has one."""
        key = _bytes(key)
        check(lib.vixp2p_values_remove(self._node._handle, key, len(key)))

    def __getitem__(self, key: bytes) -> bytes:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        key, value = _bytes(key), _bytes(value)
        check(lib.vixp2p_values_put(self._node._handle, key, len(key), value, len(value)))

    def __delitem__(self, key: bytes) -> None:
        if key not in self:
            raise KeyError(key)
        self.remove(key)

    def __contains__(self, key: Any) -> bool:
        return isinstance(key, (bytes, bytearray, memoryview)) and self.get(key) is not None

    def __iter__(self) -> Iterator[bytes]:
        key = self.next_key()
        while key is not None:
            yield key
            key = self.next_key(key)

    def items(self) -> List[Tuple[bytes, bytes]]:  # type: ignore[override]
        """Keys with their values, as they are now."""
        pairs = ((key, self.get(key)) for key in self)
        return [(key, value) for key, value in pairs if value is not None]

    def values(self) -> List[bytes]:  # type: ignore[override]
        """The values, as they are now, in the order of their keys."""
        return [value for _, value in self.items()]

    def __len__(self) -> int:
        return sum(1 for _ in self)
