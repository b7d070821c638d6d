"""Operations as a Python program sees them."""

import json

import pytest
from conftest import wait_for

from vixp2p import EventKind, OutboxState, PeerId, VixP2PError


def test_an_operation_is_executed_once_and_its_sender_learns_of_it(pair):
    a, b = pair
    id = a.outbox_put("mail", b"hello", b.id, key=b"key")
    twin = a.outbox_put("mail", b"hello", b.id, key=b"key")
    operation = b.outbox_claim(30)
    assert (operation.id, operation.kind, operation.key, operation.attempt, operation.data) == (id, "mail", b"key", 1, b"hello")
    b.outbox_done(id)
    assert b.outbox_claim(0) is None
    with pytest.raises(VixP2PError, match="answered for before"):
        b.outbox_done(twin)
    assert a.outbox_wait(id, 30) == a.outbox_wait(twin, 30) == OutboxState.DONE
    assert a.outbox_prune() == 2 and a.outbox_list() == []


def test_a_failure_is_told_and_an_operation_can_be_taken_back(pair):
    a, b = pair
    id = a.outbox_put("news", b"", key=b"\0key")
    assert a.outbox_wait(id, 0) in (OutboxState.PENDING, OutboxState.IN_FLIGHT)
    assert b.outbox_claim(30).id == id
    b.outbox_fail(id, "no use", for_good=True)
    assert a.outbox_wait(id, 30) == OutboxState.PERMANENT_FAILED
    (entry,) = a.outbox_list()
    assert (entry.target, entry.received, entry.detail, entry.key) == (None, False, "no use", b"\0key")
    assert a.outbox_prune(id) == 1 and a.outbox_prune(id) == 0


def test_a_peer_is_asked_where_operations_for_another_node_lie(pair):
    a, b = pair
    absent = PeerId("7f" * 32)
    a.outbox_ask(b.id, absent)
    event = wait_for(a, EventKind.OUTBOX_HELD)
    assert (event.peer, event.target, event.count) == (b.id, absent, 0) and json.loads(event.json)["ranges"] == []
    asked = wait_for(b, EventKind.OUTBOX_PULLED)
    assert (asked.peer, asked.target, asked.count) == (a.id, absent, 128)
