"""Operations as a Python program sees them."""

import pytest
from conftest import wait_for

from vixp2p import EventKind, OutboxState, VixP2PError


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
    while {entry.state for entry in a.outbox_list()} != {OutboxState.DONE}:
        wait_for(a, EventKind.STORED)
    assert a.outbox_prune() == 2 and a.outbox_list() == []


def test_a_failure_is_told_and_an_operation_can_be_taken_back(pair):
    a, b = pair
    id = a.outbox_put("news", b"")
    assert b.outbox_claim(30).id == id
    b.outbox_fail(id, "no use", for_good=True)
    while a.outbox_list()[0].state != OutboxState.PERMANENT_FAILED:
        wait_for(a, EventKind.STORED)
    (entry,) = a.outbox_list()
    assert (entry.target, entry.received, entry.detail) == (None, False, "no use")
    assert a.outbox_prune(id) == 1 and a.outbox_prune(id) == 0
