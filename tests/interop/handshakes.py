#!/usr/bin/env python3
"""Many handshakes between the second implementation and a node: `handshakes.py --handshakes 10000`.

Roles alternate, suites and pre-shared keys take turns; each handshake carries a message each way and every tenth agrees on fresh keys.
Ends with 1 at the first that fails.
"""

import argparse
import collections
import itertools
import os
import runpy
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
runpy.run_path(str(HERE.parents[1] / "bindings/python/tests/conftest.py"))
sys.path.insert(0, str(HERE))

from fixtures import KINDS, Nodes, connected, gone, message  # noqa: E402
from link import Listener, dial  # noqa: E402
from vixp2p_wire import DATA, SUITES, Identity, Refused  # noqa: E402

# A dial with the previous key costs a second connection; the tests cover it.
TURNS = list(itertools.product(["no psk", "psk"], SUITES, ["python dials", "node dials"]))


def open_link(node, psk, suite, role, me):
    if role == "python dials":
        return dial(node.port, me, suites=(suite,), psk=psk)
    with Listener() as listener:
        node.connect(listener.endpoint)
        return listener.accept(me, suites=(suite,), psk=psk)


def one(nodes, turn, n):
    kind, suite, role = turn
    node, psk = nodes[kind], KINDS[kind][1]
    me, payload = Identity(node_id=f"python {n}"), os.urandom(n % 300)
    with open_link(node, psk, suite, role, me) as link:
        assert connected(node, me.public).node_id == me.node_id
        assert link.side.suite == suite and link.side.peer.public == node.id
        if n % 10 == 0:
            node.rekey(me.public)
            while not link.session.fresh_keys:
                link.receive()
        link.send(DATA, payload)
        assert message(node) == payload
        node.send(me.public, payload)
        assert link.receive_until(DATA) == payload
        node.disconnect(me.public)
        assert link.drain()[0] == 2
    gone(node, me.public)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--handshakes", type=int, default=10000)
    arguments.add_argument("--seconds", type=int, default=900, help="an upper bound")
    arguments = arguments.parse_args()
    done, start = collections.Counter(), time.monotonic()
    with Nodes() as nodes:
        for n, turn in zip(range(arguments.handshakes), itertools.cycle(TURNS)):
            if time.monotonic() - start > arguments.seconds:
                print(f"{arguments.seconds} s are over")
                break
            try:
                one(nodes, turn, n)
            except (Exception, Refused) as error:
                print(f"handshake {n} ({turn[0]}, {turn[1]:#06x}, {turn[2]}) failed: {error!r}")
                return 1
            done[turn] += 1
    for (kind, suite, role), count in sorted(done.items()):
        print(f"{count:6}  {suite:#06x}  {kind:7}  {role}")
    print(f"{done.total():6}  handshakes in {time.monotonic() - start:.1f} s, all as they should be")
    return 0 if done.total() == arguments.handshakes else 1


if __name__ == "__main__":
    sys.exit(main())
