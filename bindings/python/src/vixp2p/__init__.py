"""vixp2p: nodes that authenticate each other by key, exchange messages and replicate a signed append-only log."""

from ._abi import Direction, DiscoveryMode, Durability, EventKind, KeyAgreement, LogLevel, PeerState, Status, TrustPolicy, TrustState, lib
from ._node import Node
from ._types import (
    Discovered,
    Event,
    Invite,
    LogId,
    LogState,
    NotConnected,
    Peer,
    PeerId,
    Record,
    Registry,
    RegistryPeer,
    Route,
    Stopped,
    TrustEntry,
    VixP2PError,
    WouldBlock,
)

__version__ = "0.1.0"
__all__ = [
    "Direction",
    "Discovered",
    "DiscoveryMode",
    "Event",
    "EventKind",
    "Invite",
    "Durability",
    "KeyAgreement",
    "LogId",
    "LogLevel",
    "LogState",
    "Node",
    "NotConnected",
    "Peer",
    "PeerId",
    "PeerState",
    "Record",
    "Registry",
    "RegistryPeer",
    "Route",
    "Status",
    "Stopped",
    "TrustEntry",
    "TrustPolicy",
    "TrustState",
    "VixP2PError",
    "WouldBlock",
    "library_version",
]


def library_version() -> str:
    """The version of the library that was loaded."""
    return lib.vixp2p_version().decode()
