"""vixp2p: nodes that authenticate each other by key, exchange messages and replicate a signed append-only log."""

from ._abi import Direction, DiscoveryMode, Durability, EventKind, HandshakeStage, KeyAgreement, LogLevel, OutboxState, PeerState, Status
from ._abi import TrustPolicy, TrustState, lib
from ._node import Node, Poison, clear_process_log, set_process_log
from ._outbox import OpId, Operation, OutboxEntry
from ._snapshot import SnapshotInfo
from ._sync import Appended, LogProgress, Subscription
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
    Target,
    TrustEntry,
    VixP2PError,
    WouldBlock,
)
from ._values import LastValues

__version__ = "0.1.0"
__all__ = [
    "Appended",
    "Direction",
    "Discovered",
    "DiscoveryMode",
    "Event",
    "EventKind",
    "HandshakeStage",
    "Invite",
    "Durability",
    "KeyAgreement",
    "LastValues",
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
    "Poison",
    "Record",
    "Registry",
    "RegistryPeer",
    "Route",
    "SnapshotInfo",
    "Status",
    "Stopped",
    "Subscription",
    "Target",
    "TrustEntry",
    "TrustPolicy",
    "TrustState",
    "VixP2PError",
    "WouldBlock",
    "clear_process_log",
    "library_version",
    "set_process_log",
]


def library_version() -> str:
    """The version of the library that was loaded."""
    return lib.vixp2p_version().decode()
