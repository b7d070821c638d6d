"""Following logs, barriers, acknowledgements and lag, as a Python program sees them."""

import select
import threading
import time

import pytest

from conftest import join
from vixp2p import Durability, Node, Stopped, TrustPolicy


def until(holds):
    """Waits until it holds."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


LOOPBACK = {"listen": ("127.0.0.1", 0), "trust": TrustPolicy.TOFU}


def test_a_subscription_gives_old_records_and_then_new_ones():
    with Node("a", **LOOPBACK) as node:
        log = node.own_log()
        node.append_batch([b"one", b"two", b""])
        with node.subscribe() as all, node.subscribe({log: 3}) as some, node.subscribe(new=True) as new:
            assert [all.next(30).data for _ in range(3)] == [b"one", b"two", b""]
            assert some.next(30).seq == 3
            assert new.next(0) is None and all.next(0.01) is None
            assert not select.select([all], [], [], 0)[0]
            node.append(b"four")
            assert select.select([all], [], [], 30)[0]
            for subscription in (all, some, new):
                record = subscription.next(30)
                assert (record.log, record.seq, record.data) == (log, 4, b"four")
            assert all.cursor() == {log: 5}


def test_iterating_ends_when_the_node_stops():
    with Node("a", **LOOPBACK) as node:
        node.append(b"x")
        seen = []
        subscription = node.subscribe()
        came = threading.Event()
        thread = threading.Thread(target=lambda: [(seen.append(record.seq), came.set()) for record in subscription])
        thread.start()
        assert came.wait(30)
        node.stop()
        thread.join(30)
        assert not thread.is_alive() and seen == [1]
        with pytest.raises(Stopped):
            subscription.next(0)


def test_closing_a_subscription_ends_a_wait_in_another_thread():
    with Node("a", **LOOPBACK) as node:
        for _ in range(20):
            subscription, ended = node.subscribe(), []

            def wait():
                try:
                    subscription.next()
                except Stopped:
                    ended.append(True)

            threads = [threading.Thread(target=wait) for _ in range(2)]
            for thread in threads:
                thread.start()
            subscription.close()
            for thread in threads:
                thread.join(30)
            assert ended == [True, True]
            with pytest.raises(Stopped):
                subscription.next(0)


def test_what_a_peer_acknowledged_counts_although_it_has_left_before_the_next_one_does(pair):
    a, b = pair
    log, told = a.own_log(), []
    waiter = threading.Thread(target=lambda: told.append(a.wait_for_ack(log, 1, 2, timeout=30)))
    waiter.start()
    a.append(b"x")
    until(lambda: any(line.peer == b.id and line.durable == 1 for line in a.sync_status()))
    # So that the wait has seen it too, which nothing tells.
    time.sleep(1)
    b.stop()
    until(lambda: not any(line.peer for line in a.sync_status()))
    # Longer than any wait that Ctrl-C could not end.
    time.sleep(0.5)
    assert not told
    with Node("c", **LOOPBACK) as c:
        c.connect(f"127.0.0.1:{a.port}")
        waiter.join(30)
        assert told == [True]


def test_acknowledgements_are_waited_for_and_the_lag_is_told(pair):
    a, b = pair
    log = a.own_log()
    assert not a.wait_for_ack(log, 1, timeout=0.01)
    assert a.append_records([b"x"]) == (log, 1, 1)
    assert a.wait_for_ack(log, 1, [b.id], applied=True, timeout=30)
    assert a.wait_for_ack(log, 1, 0)
    own, peer = a.sync_status()[:2]
    assert own.own and own.peer is None and own.durable == 1
    assert own.parked is None and not own.frozen
    assert (peer.peer, peer.durable, peer.applied, peer.lag_records, peer.lag_bytes) == (b.id, 1, 1, 0, 0)


def test_an_answer_waits_for_its_question_on_a_causal_node():
    taken, seen = threading.Event(), []

    def apply(record):
        if record.data == b"question" and not taken.is_set():
            raise RuntimeError("not now")
        seen.append(record.data)

    options = {"causal": True, **LOOPBACK}
    with Node("a", **options) as a, Node("b", **options) as b, Node("c", on_apply=apply, **options) as c:
        join(a, b)
        join(b, c)
        question = a.append_records([b"question"])
        until(lambda: any(line.log == question.log and line.applied == 1 for line in b.sync_status()))
        answer = b.append_records([b"answer"])
        assert b.wait_for_ack(answer.log, 1, [c.id], timeout=30)

        def wait():
            # What a callback raises comes out of a call for events.
            try:
                c.wait_event(0.01)
            except RuntimeError:
                pass
            lines = [line for line in c.sync_status() if line.log == answer.log and line.peer is None]
            return bool(lines) and lines[0].waits

        until(wait)
        line = next(line for line in c.sync_status() if line.waits)
        assert (line.waits, line.waits_for, seen) == (1, (question.log, 1), [])
        taken.set()
        until(lambda: (wait(), len(seen) == 2)[1])
        assert seen == [b"question", b"answer"]


def test_a_barrier_makes_buffered_records_durable():
    with Node("a", durability=Durability.BUFFERED, **LOOPBACK) as node:
        node.append_batch([b"x"] * 10)
        assert node.flush() == 10
        assert node.sync_status()[0].durable == 10
