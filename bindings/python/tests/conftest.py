"""Finds the package and the library: $VIXP2P_LIBRARY, else the newest of what scripts/test-native and cargo have built."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent
PROJECT = PACKAGE.parents[1]


def _built():
    target = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"))
    places = [PROJECT / "build/native/lib/libvixp2p.so", PROJECT / "build/lib/libvixp2p.so", target / "release/libvixp2p.so"]
    return max((place for place in places if place.exists()), key=lambda place: place.stat().st_mtime, default=None)


if "VIXP2P_LIBRARY" not in os.environ:
    library = _built()
    if library is None:
        pytest.exit("libvixp2p.so is not built: run scripts/test-native, or set VIXP2P_LIBRARY", returncode=2)
    os.environ["VIXP2P_LIBRARY"] = str(library)
sys.path.insert(0, str(PACKAGE / "src"))


@pytest.fixture
def header() -> str:
    return (PROJECT / "include" / "vixp2p.h").read_text()


@pytest.fixture
def pair():
    """Two nodes that know each other."""
    from vixp2p import Node, TrustPolicy

    options = {"listen": ("127.0.0.1", 0), "trust": TrustPolicy.TOFU}
    with Node("a", **options) as a, Node("b", **options) as b:
        join(a, b)
        yield a, b


def join(a, b):
    from vixp2p import EventKind

    b.connect(f"127.0.0.1:{a.port}")
    wait_for(a, EventKind.PEER_CONNECTED)
    wait_for(b, EventKind.PEER_CONNECTED)


def wait_for(node, kind):
    """The next event of that kind."""
    for event in node.events(timeout=30):
        if event.kind == kind:
            return event
    raise AssertionError(f"no {kind!r}")
