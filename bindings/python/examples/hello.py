"""Two nodes meet over 127.0.0.1, prove to each other who they are, and print whom they met."""

import sys

from vixp2p import EventKind, Node


def meet(node, name):
    for event in node.events(timeout=10):
        if event.kind == EventKind.PEER_CONNECTED:
            print(f"{name} met {event.node_id}, {event.peer}")
            return event.peer
    sys.exit(f"{name} met nobody")


with Node("alice", listen=("127.0.0.1", 0)) as alice, Node("bob", listen=("127.0.0.1", 0)) as bob:
    bob.connect(f"127.0.0.1:{alice.port}")
    ok = meet(bob, "bob") == alice.id
    ok = meet(alice, "alice") == bob.id and ok
sys.exit(0 if ok else 1)
