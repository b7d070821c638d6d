"""Alice appends records to her log; bob's apply callback gets each, in order; alice learns that he has them."""

import select
import sys

from vixp2p import EventKind, Node, TrustPolicy

RECORDS = 5
applied = []


def apply(record):
    """Runs inside bob.dispatch(). Raising instead of returning would have the record offered again later."""
    assert record.log.origin == alice.id and record.seq == len(applied) + 1
    applied.append(record.data)
    print(f"bob applies {record.seq}: {record.data.decode()}")


# Records go to trusted peers only: here, to the first key of each name.
trust = TrustPolicy.TOFU
with Node("alice", listen=("127.0.0.1", 0), trust=trust) as alice, Node("bob", trust=trust, on_apply=apply) as bob:
    for number in range(RECORDS):
        alice.append(f"entry {number + 1}".encode())  # durable when it returns
    bob.connect(f"127.0.0.1:{alice.port}")
    acknowledged = 0
    while acknowledged < RECORDS:
        readable, _, _ = select.select([alice, bob], [], [], 10)
        if not readable:
            sys.exit(f"bob acknowledged {acknowledged} of {RECORDS}")
        bob.dispatch()
        event = alice.next_event()
        if event is not None and event.kind == EventKind.ACKED:
            acknowledged = event.applied
print(f"alice knows that bob applied {acknowledged}")
sys.exit(0 if applied == [b"entry %d" % n for n in range(1, RECORDS + 1)] else 1)
