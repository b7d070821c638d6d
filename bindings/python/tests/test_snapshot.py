"""A program's state goes to a late joiner as a snapshot."""

import json
import time

import pytest

from vixp2p import EventKind, Node, TrustPolicy, VixP2PError

TOFU = {"listen": ("127.0.0.1", 0), "trust": TrustPolicy.TOFU, "log_max_bytes": 512 * 1024, "snapshot_schema": "json"}


class App:
    def __init__(self, name):
        self.state, self.reads = {}, 0
        self.node = Node(name, **TOFU, on_apply=lambda record: self.take(record.data))
        self.node.on_snapshot(self.write, self.read)

    def take(self, data):
        key, value = data.decode().split("=")
        self.state[key] = value

    def append(self, data):
        self.node.append(data)
        self.take(data)

    def write(self, out, own):
        assert own == 300
        out.write(json.dumps(self.state).encode())

    def read(self, state):
        self.state = json.loads(state.read())
        self.reads += list(state.places.values()) == [300]


def test_a_late_joiner_reads_the_state_and_applies_the_tail():
    a, b = App("a"), App("b")
    with a.node, b.node:
        for n in range(300):
            a.append(f"{n % 7}={n:01024}".encode())
        a.node.make_snapshot()
        (made,) = a.node.snapshots()
        assert (made.maker, made.logs, len(made.id)) == (a.node.id, 1, 64) and made.bytes > 1024
        assert a.node.truncate_logs() > 0
        a.append(b"tail=1")
        b.node.connect(f"127.0.0.1:{a.node.port}")
        taken = next(event for event in b.node.events(60) if event.kind == EventKind.SNAPSHOT_TAKEN)
        assert taken.peer == a.node.id and taken.bytes > 1024
        deadline = time.monotonic() + 60
        while b.state != a.state:
            assert time.monotonic() < deadline
            b.node.wait_event(0.05)  # runs the apply callback; perhaps no event follows
        assert b.reads == 1 and b.node.snapshots() == [made]


def test_a_writer_that_raises_gives_the_snapshot_up():
    with Node("a", **TOFU) as node:
        with pytest.raises(VixP2PError):
            node.make_snapshot()
        node.append(b"x")

        def write(_out, _own):
            raise ValueError("not now")

        node.on_snapshot(write, lambda state: None)
        with pytest.raises(ValueError, match="not now"):
            node.make_snapshot()
        with pytest.raises(TypeError):
            node.on_snapshot(write)
