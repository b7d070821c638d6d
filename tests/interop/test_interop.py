"""The second implementation and a real node hold sessions with each other over loopback."""

import itertools
import os

import pytest
import vixp2p_crypto as crypto
import vixp2p_wire as wire
from fixtures import KINDS, NEW_PSK, PSK, connected, gone, message, wait_for
from link import Ended, Listener, connect, dial
from vixp2p import Direction, EventKind, KeyAgreement, Node, TrustPolicy
from vixp2p_crypto import text_bytes
from vixp2p_wire import DATA, HELLO, HELLO_ACK, HELLO_FINISH, PING, PONG, SUITES, WELCOME, Identity, Initiator, Responder

ROUNDS = 10
suites = pytest.mark.parametrize("suite", SUITES, ids=hex)
kinds = pytest.mark.parametrize("kind", KINDS)


def swap(node, link, payload):
    """A message each way, and the right peer on both sides."""
    event = connected(node, link.side.me.public)
    assert event.node_id == link.side.me.node_id
    assert link.side.peer.public == node.id and link.side.peer.node_id == "rust"
    link.send(DATA, payload)
    assert message(node) == payload
    node.send(link.side.me.public, payload[::-1])
    assert link.receive_until(DATA) == payload[::-1]
    return event


@suites
@kinds
def test_python_dials_a_node(nodes, kind, suite):
    node, psk = nodes[kind], KINDS[kind][1]
    for n in range(ROUNDS):
        me = Identity(node_id=f"πython {n}", capabilities=(("", "empty"), ("b", ""), ("é", "x" * 255)))
        with dial(node.port, me, suites=(suite,), psk=psk) as link:
            assert link.side.suite == suite
            assert swap(node, link, os.urandom(n * 700)).direction == Direction.INBOUND
            link.close()
        assert gone(node, me.public).reason_text == "connection lost: the peer disconnected"


@suites
@kinds
def test_a_node_dials_python(nodes, kind, suite):
    node, psk = nodes[kind], KINDS[kind][1]
    for n in range(ROUNDS):
        me = Identity(node_id=f"answering {n}")
        with Listener() as listener:
            node.connect(listener.endpoint)
            if kind == "previous psk":
                with listener.take(psk=PSK) as first:
                    with pytest.raises(wire.Refused, match="psk_id"):
                        first.shake_as_responder()
            with listener.accept(me, suites=(suite,), psk=psk) as link:
                assert link.side.suite == suite
                assert swap(node, link, os.urandom(n * 700)).direction == Direction.OUTBOUND
                node.disconnect(me.public)
                assert link.drain()[0] == 2
        gone(node, me.public)


def test_a_node_dials_with_the_current_psk_first(nodes):
    node, me = nodes["previous psk"], Identity()
    with Listener() as listener:
        node.connect(listener.endpoint)
        with listener.accept(me, psk=NEW_PSK) as link:
            swap(node, link, b"new")
            node.disconnect(me.public)
            link.drain()
    gone(node, me.public)


def offered_by(node):
    """The suites of a node's Hello, in its order."""
    seen = []

    class Looks(Responder):
        def ack(self, hello):
            r = crypto.Reader(hello[12:])
            seen.extend(r.uint(2) for _ in range(r.varint()))
            return super().ack(hello)

    me = Identity()
    with Listener() as listener:
        node.connect(listener.endpoint)
        with listener.accept(me, side=Looks) as link:
            connected(node, me.public)
            node.disconnect(me.public)
            link.drain()
    gone(node, me.public)
    return tuple(seen)


def test_the_responder_picks_the_smallest_sum_of_ranks_and_then_the_greater_number(nodes):
    node = nodes["no psk"]
    theirs = offered_by(node)
    assert theirs in (SUITES, (0x0202, 0x0201, 0x0102, 0x0101))
    orders = [order for n in (1, 2, 4) for order in itertools.permutations(SUITES, n)]
    # Suites that nobody knows keep their ranks.
    strangers = [order[:1] + (0x02F0, 0x02F1) + order[1:] for order in orders]
    for ours in orders[::3] + strangers[1::3] + [(0x0101, 0x02F0, 0x02F1, 0x0201)]:
        both = [suite for suite in theirs if suite in ours]
        ranks = {suite: ours.index(suite) + theirs.index(suite) for suite in both}
        best = max(suite for suite in both if ranks[suite] == min(ranks.values()))
        with dial(node.port, suites=ours) as link:
            assert link.side.suite == best
            link.close()


@pytest.mark.parametrize("setting", [KeyAgreement.POST_QUANTUM, KeyAgreement.CLASSIC])
def test_a_node_offers_and_accepts_only_what_its_key_agreement_allows(setting):
    group = {KeyAgreement.POST_QUANTUM: crypto.X_WING, KeyAgreement.CLASSIC: crypto.X25519}[setting]
    with Node("rust", listen=("127.0.0.1", 0), key_agreement=setting) as node:
        assert {suite >> 8 for suite in offered_by(node)} == {group}
        with dial(node.port) as link:
            assert link.side.suite >> 8 == group
        with pytest.raises(Ended, match="ended: None"):
            dial(node.port, suites=[suite for suite in SUITES if suite >> 8 != group])


@suites
@pytest.mark.parametrize("python_dials", [True, False])
def test_both_sides_change_keys_while_messages_flow(nodes, suite, python_dials):
    node, me = nodes["no psk"], Identity()
    with Listener() as listener:
        if python_dials:
            link = dial(node.port, me, suites=(suite,))
        else:
            node.connect(listener.endpoint)
            link = listener.accept(me, suites=(suite,))
        with link:
            swap(node, link, b"first")
            for n in range(3):
                link.session.sender.step()
                link.send(DATA, b"stepped %d" % n)
                assert message(node) == b"stepped %d" % n
            for n, ask in enumerate([lambda: node.rekey(me.public), link.session.offer if python_dials else link.session.request] * 2):
                ask()
                link.flush()
                while link.session.fresh_keys <= n:
                    link.receive()
                link.send(DATA, b"fresh %d" % n)
                assert wait_for(node, EventKind.FRESH_KEYS).peer == me.public
                assert message(node) == b"fresh %d" % n
                node.send(me.public, b"back %d" % n)
                assert link.receive_until(DATA) == b"back %d" % n
            assert link.session.sender.epoch == 7 and link.session.receiver.epoch == 4
            node.disconnect(me.public)
            link.drain()
    gone(node, me.public)


def test_epochs_wrap_after_256_steps(nodes):
    node, me = nodes["no psk"], Identity()
    with dial(node.port, me) as link:
        connected(node, me.public)
        for n in range(300):
            link.session.sender.step()
            link.session.send(DATA, b"%d" % n)
        link.flush()
        assert [message(node) for _ in range(300)] == [b"%d" % n for n in range(300)]
        link.close()


def test_a_node_steps_by_itself_and_python_follows():
    with Node("rust", listen=("127.0.0.1", 0), rekey_after_ms=1000) as node:
        me = Identity()
        with dial(node.port, me) as link:
            connected(node, me.public)
            while link.session.receiver.epoch == 0:
                node.send(me.public, b"x")
                link.receive_until(DATA)
            link.close()


def test_large_messages_span_records_and_small_ones_share_them(nodes):
    node, me = nodes["no psk"], Identity()
    large = os.urandom(3 * wire.RECORD_MAX + 17)
    with dial(node.port, me) as link:
        connected(node, me.public)
        link.send(DATA, large)
        assert message(node) == large
        node.send(me.public, large)
        assert link.receive_until(DATA) == large
        # Fifty frames in one record.
        plain = b"".join(text_bytes(bytes([DATA]) + b"%d" % n) for n in range(50))
        link.sock.sendall(link.session.sender.seal(plain))
        assert [message(node) for _ in range(50)] == [b"%d" % n for n in range(50)]
        link.close()


def test_frames_may_follow_hello_finish_at_once_and_come_before_the_vector(nodes):
    node, me = nodes["no psk"], Identity()
    with connect(node.port, Initiator(me)) as link:
        link.send_envelope(HELLO, link.side.hello())
        link.send_envelope(HELLO_FINISH, link.side.finish(link.receive_envelope(HELLO_ACK)))
        link.send(DATA, b"early")
        link.send_vector()
        assert link.receive() == (WELCOME, b"")
        connected(node, me.public)
        assert message(node) == b"early"
        link.close()


def test_a_small_frame_split_over_records_is_read(nodes):
    node, me = nodes["no psk"], Identity()
    with dial(node.port, me) as link:
        connected(node, me.public)
        frame = text_bytes(bytes([DATA]) + b"in three parts")
        for part in (frame[:2], frame[2:9], frame[9:] + text_bytes(bytes([DATA]) + b"next")):
            link.sock.sendall(link.session.sender.seal(part))
        assert [message(node), message(node)] == [b"in three parts", b"next"]
        link.close()


def test_a_ping_is_answered(nodes):
    with dial(nodes["no psk"].port) as link:
        link.send(PING, b"12345678")
        assert link.receive_until(PONG) == b"12345678"
        link.close()


def test_earlier_keys_are_shown_and_bytes_may_arrive_one_by_one(nodes):
    node, old = nodes["no psk"], [os.urandom(32), os.urandom(32)]
    secret = os.urandom(32)
    chain = [Identity(old[0]), Identity(old[1]), Identity(secret)]
    cert = wire.rotation(old[0], chain[1].public, 1) + wire.rotation(old[1], chain[2].public, 2**64 - 1)

    me = Identity(secret, cert=cert)
    with dial(node.port, me) as link:
        connected(node, me.public)
        link.session.send(DATA, b"drop by drop")
        sealed, link.session.out = link.session.out, bytearray()
        for byte in sealed:
            link.sock.sendall(bytes([byte]))
        assert message(node) == b"drop by drop"
        link.close()


def test_a_name_stays_with_its_key_and_follows_it_through_a_rotation():
    first, second, thief = os.urandom(32), os.urandom(32), Identity(node_id="anna")
    with Node("rust", listen=("127.0.0.1", 0), trust=TrustPolicy.TOFU) as node:
        with dial(node.port, Identity(first, "anna")) as link:
            link.close()
        with pytest.raises(Ended) as ended:
            dial(node.port, thief)
        assert ended.value.close[0] == 5
        heir = Identity(second, "anna", cert=wire.rotation(first, Identity(second).public, 1))
        with dial(node.port, heir) as link:
            connected(node, heir.public)
            link.close()


def test_the_largest_identity_of_the_limits_is_accepted(nodes):
    node = nodes["no psk"]
    pairs = tuple((f"{n:02}" + "k" * 42, "v" * 14) for n in range(32))
    assert sum(len(k) + len(v) for k, v in pairs) == 1856
    old = [os.urandom(32), os.urandom(32)]
    secret = os.urandom(32)
    cert = wire.rotation(old[0], Identity(old[1]).public, 1) + wire.rotation(old[1], Identity(secret).public, 2)
    me = Identity(secret, "n" * 255, pairs, cert)
    with dial(node.port, me) as link:
        assert connected(node, me.public).node_id == "n" * 255
        link.close()
