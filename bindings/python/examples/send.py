"""Messages: one there, one back, one to everybody."""

import sys

from vixp2p import EventKind, Node


def wait_for(node, kind):
    for event in node.events(timeout=10):
        if event.kind == kind:
            return event
    sys.exit("nothing came")


def receive(node, name):
    message = wait_for(node, EventKind.MESSAGE)
    print(f'{name} got "{message.data.decode()}"')
    return message.data


with Node("alice", listen=("127.0.0.1", 0)) as alice, Node("bob", listen=("127.0.0.1", 0)) as bob:
    bob.connect(f"127.0.0.1:{alice.port}")
    wait_for(alice, EventKind.PEER_CONNECTED)
    wait_for(bob, EventKind.PEER_CONNECTED)

    bob.send(alice.id, b"are you there?")
    ok = receive(alice, "alice") == b"are you there?"
    alice.send(bob.id, b"here")
    ok = receive(bob, "bob") == b"here" and ok
    ok = bob.broadcast(b"to whom it may concern") == 1 and ok
    ok = receive(alice, "alice") == b"to whom it may concern" and ok
sys.exit(0 if ok else 1)
