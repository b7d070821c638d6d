"""The nodes of the tests, and their events."""

import time

from vixp2p import EventKind, Node, TrustPolicy

PSK, NEW_PSK = b"\x07" * 32, b"\x08" * 32
# What a node is made with, and what Python uses towards it. Python comes under a new key each time, often under the same name.
OPEN = {"trust": TrustPolicy.OPEN}
KINDS = {
    "no psk": (OPEN, None),
    "psk": ({"psk": PSK, **OPEN}, PSK),
    "previous psk": ({"psk": NEW_PSK, "psk_previous": PSK, **OPEN}, PSK),
}


class Nodes:
    """One node of each kind, made when first asked for."""

    def __init__(self):
        self.made = {}

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        for node in self.made.values():
            node.close()

    def __getitem__(self, kind):
        if kind not in self.made:
            self.made[kind] = Node("rust", listen=("127.0.0.1", 0), **KINDS[kind][0]).start()
        return self.made[kind]


def wait_for(node, *kinds, seconds=30):
    """The next event of one of the kinds; others are dropped."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        event = node.wait_event(left)
        if event is not None and event.kind in kinds:
            return event
    raise AssertionError(f"none of {kinds} within {seconds} s")


def connected(node, peer):
    """Waits until that peer is connected; its event."""
    while (event := wait_for(node, EventKind.PEER_CONNECTED)).peer != peer:
        pass
    return event


def gone(node, peer):
    """Waits until that peer is disconnected; its event."""
    while (event := wait_for(node, EventKind.PEER_DISCONNECTED)).peer != peer:
        pass
    return event


def message(node):
    return wait_for(node, EventKind.MESSAGE).data


def failed(node, listener):
    """The event that says why a dial failed."""
    while (event := wait_for(node, EventKind.CONNECT_FAILED)).endpoint != f"tcp://{listener.endpoint}":
        pass
    return event


def flip(data, at):
    """The same bytes but for one bit."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
