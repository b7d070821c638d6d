"""vixp2p: nodes that authenticate each other by key, exchange messages and replicate a signed append-only log."""

from ._abi import Direction, DiscoveryMode, Durability, EventKind, KeyAgreement, LogLevel, OutboxState, PeerState, Status, TrustPolicy, TrustState, lib
from ._node import Node
from ._outbox import OpId, Operation, OutboxEntry
from ._sync import LogProgress, Subscription
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
    "LogProgress",
    "LogState",
    "Node",
    "NotConnected",
    "OpId",
    "Operation",
    "OutboxEntry",
    "OutboxState",
    "Peer",
    "PeerId",
    "PeerState",
    "Record",
    "Registry",
    "RegistryPeer",
    "Status",
    "Stopped",
    "Subscription",
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
