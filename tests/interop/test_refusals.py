"""What a second implementation does wrong on purpose in the handshake, a node refuses without a word."""

import socket
import threading

import pytest
import vixp2p_crypto as crypto
import vixp2p_wire as wire
from fixtures import NEW_PSK, failed, flip, wait_for
from link import Ended, Listener, connect
from vixp2p import EventKind
from vixp2p_crypto import MAC, H, text_bytes, u16, u64, varint
from vixp2p_wire import HELLO, HELLO_ACK, HELLO_FINISH, WELCOME, Identity, Initiator, Responder, pad

# Keys of small order; the last one is also the second encoding of one.
SMALL_KEYS = [bytes([1]) + bytes(31), bytes(32), bytes.fromhex("ec" + "ff" * 30 + "7f"), bytes.fromhex("ed" + "ff" * 30 + "7f")]


def refused(link, node, *reasons):
    """The connection ends without a byte, and the node says why."""
    from_here = "tcp://127.0.0.1:%d" % link.sock.getsockname()[1]
    with link, pytest.raises(Ended):
        link.more()
    while (event := wait_for(node, EventKind.HANDSHAKE_FAILED)).endpoint != from_here:
        pass
    assert event.reason in (reasons or ("handshake_failed",)), event
    return event


# ---- Hello


class Fields:
    """A Hello in pieces; `build` puts them together and adds a right mac1."""

    def __init__(self, side):
        r = crypto.Reader(side.hello())
        self.side, self.nonce, self.low, self.high = side, r.take(8), r.uint(2), r.uint(2)
        self.suites = [r.uint(2) for _ in range(r.varint())]
        self.shares = [(r.uint(1), r.bytes(1400)) for _ in range(r.varint())]
        self.rand, self.psk_id, self.tail = r.take(32), r.take(8), b""
        self.count = self.mac1 = None

    def build(self):
        count = varint(len(self.suites)) if self.count is None else self.count
        body = self.nonce + u16(self.low) + u16(self.high) + count + b"".join(map(u16, self.suites))
        body += varint(len(self.shares)) + b"".join(bytes([g]) + text_bytes(s) for g, s in self.shares)
        hello = self.side.sign_hello(body + self.rand + self.psk_id)
        return (hello if self.mac1 is None else hello[:-16] + self.mac1) + self.tail


def change(**fields):
    def apply(hello):
        for name, value in fields.items():
            setattr(hello, name, value(getattr(hello, name)) if callable(value) else value)

    return apply


def share(group, value):
    return change(shares=lambda shares: [(g, value(s) if g == group else s) for g, s in shares])


HELLOS = {
    "a suite of an unknown group without its share": change(suites=lambda s: [0x0901] + s),
    "the lowest version above the highest": change(low=3),
    "only older versions": change(low=1, high=1),
    "only later versions": change(low=3, high=9),
    "no suite": change(suites=[]),
    "a suite twice": change(suites=[0x0101, 0x0201, 0x0101]),
    "seventeen suites": change(suites=[0x0101] + list(range(0x0901, 0x0911))),
    "only suites nobody knows": change(suites=[0x0103, 0x0901]),
    "a count of suites in two bytes": change(count=b"\x84\x00"),
    "a count of suites beyond the end": change(count=b"\x7f"),
    "no share": change(shares=[]),
    "the first group's share missing": change(shares=lambda s: s[1:]),
    "the second group's share missing": change(shares=lambda s: s[:1]),
    "shares in falling order": change(shares=lambda s: s[::-1]),
    "a share twice": change(shares=lambda s: [s[0], s[0], s[1]]),
    "five shares": change(shares=lambda s: s + [(9, b"x"), (10, b"x"), (11, b"x")]),
    "a share above its limit": change(shares=lambda s: s + [(9, bytes(1401))]),
    "a short X-Wing key": share(2, lambda s: s[:-1]),
    "an ML-KEM key that is not reduced": share(2, lambda s: b"\xff" * 1184 + s[1184:]),
    "an X-Wing key whose X25519 part is zero": share(2, lambda s: s[:1184] + bytes(32)),
    "a psk id without a psk": change(psk_id=b"\1" * 8),
    "a mac1 without a psk": change(mac1=b"\1" * 16),
    "a byte behind mac1": change(tail=b"\0"),
}


@pytest.mark.parametrize("name", HELLOS)
def test_a_wrong_hello_is_refused_in_silence(nodes, name):
    node = nodes["no psk"]
    link = connect(node.port, Initiator(Identity()))
    fields = Fields(link.side)
    HELLOS[name](fields)
    link.send_envelope(HELLO, fields.build())
    refused(link, node, "handshake_failed", "bad_version", "protocol")


@pytest.mark.parametrize("value", [bytes(32), b"\1" + bytes(31), crypto.P.to_bytes(32, "little"), b"x" * 31, b"x" * 33])
def test_a_useless_x25519_key_is_refused(nodes, value):
    node = nodes["no psk"]
    link = connect(node.port, Initiator(Identity(), suites=(0x0101,)))
    fields = Fields(link.side)
    share(1, lambda _: value)(fields)
    link.send_envelope(HELLO, fields.build())
    refused(link, node)


PSK_CASES = {
    "no psk at all": (None, change()),
    "another psk": (b"\x09" * 32, change()),
    "the right id with a wrong mac1": (NEW_PSK, change(mac1=b"\1" * 16)),
    "the right id with mac1 left out": (NEW_PSK, change(mac1=bytes(16))),
    "the right mac1 with another id": (NEW_PSK, change(psk_id=b"\1" * 8)),
    "the id of zeros": (NEW_PSK, change(psk_id=bytes(8))),
}


@pytest.mark.parametrize("name", PSK_CASES)
def test_who_lacks_the_psk_gets_no_answer(nodes, name):
    node, (psk, wrong) = nodes["previous psk"], PSK_CASES[name]
    link = connect(node.port, Initiator(Identity(), psk=psk))
    fields = Fields(link.side)
    wrong(fields)
    link.send_envelope(HELLO, fields.build())
    refused(link, node)


def test_what_the_text_allows_in_a_hello_is_taken(nodes):
    def with_strangers(fields):
        fields.low, fields.high = 0, 65535
        fields.suites = [0x0901, 0x0103] + fields.suites + [0x02FF]
        fields.shares += [(9, b"of a group nobody knows"), (77, b"")]

    link = connect(nodes["no psk"].port, Initiator(Identity()))
    fields = Fields(link.side)
    with_strangers(fields)
    link.side.hello = fields.build
    with link.shake_as_initiator():
        link.close()


# ---- frames and envelopes


def envelope(payload, magic=b"VP2P", major=2, minor=0, kind=HELLO, msg_id=0, flags=0):
    return magic + u16(major) + u16(minor) + u16(kind) + u64(msg_id) + flags.to_bytes(4, "little") + payload


ENVELOPES = {
    "a frame of length zero": lambda p: b"\0" + text_bytes(envelope(p)),
    "a frame above the limit": lambda p: varint(4097),
    "a frame length of eleven bytes": lambda p: b"\x80" * 11,
    "a frame length in a longer form": lambda p: b"\xff\x00" + bytes(127),
    "another magic": lambda p: text_bytes(envelope(p, b"VP2Q")),
    "major 3": lambda p: text_bytes(envelope(p, major=3)),
    "a minor version": lambda p: text_bytes(envelope(p, minor=1)),
    "another type": lambda p: text_bytes(envelope(p, kind=HELLO_FINISH)),
    "a type of a later message": lambda p: text_bytes(envelope(p, kind=WELCOME)),
    "a message id": lambda p: text_bytes(envelope(p, msg_id=1)),
    "a flag": lambda p: text_bytes(envelope(p, flags=4)),
    "the encrypted flag": lambda p: text_bytes(envelope(bytes(28) + p, flags=1)),
    "a byte behind the payload": lambda p: text_bytes(envelope(p + b"\0")),
    "a payload length that is wrong": lambda p: text_bytes(envelope(varint(9) + b"short")),
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_a_wrong_frame_or_envelope_is_refused_in_silence(nodes, name):
    node = nodes["no psk"]
    link = connect(node.port, Initiator(Identity()))
    link.sock.sendall(ENVELOPES[name](text_bytes(link.side.hello())))
    refused(link, node, "handshake_failed", "protocol", "bad_version", "frame_too_large")


def test_a_v1_node_is_told_apart(nodes):
    node = nodes["no psk"]
    link = connect(node.port, Initiator(Identity()))
    link.sock.sendall(text_bytes(envelope(b"\0", major=1)))
    assert "plaintext protocol 1.0" in refused(link, node, "bad_version").reason_text


# ---- the identity in the box, from either side


def claim_of(me, node_id=None, count=None, pairs=b"", cert=None, public=None):
    node_id = text_bytes(me.node_id.encode()) if node_id is None else node_id
    out = (public or me.public) + node_id + (varint(0) if count is None else count) + pairs
    return out + text_bytes(me.cert if cert is None else cert)


def pair(key, value=b""):
    return text_bytes(key) + text_bytes(value)


OLD = Identity()


def cert_from(old, me, issued=1):
    return wire.rotation(old.secret, me.public, issued)


CLAIMS = {
    "an empty node id": lambda me: claim_of(me, node_id=b"\0"),
    "a node id of 256 bytes": lambda me: claim_of(me, node_id=text_bytes(b"n" * 256)),
    "a node id that is not UTF-8": lambda me: claim_of(me, node_id=text_bytes(b"\xff")),
    "a node id that holds a surrogate": lambda me: claim_of(me, node_id=text_bytes(b"\xed\xa0\x80")),
    "a node id length in two bytes": lambda me: claim_of(me, node_id=b"\x81\x00n"),
    "a capability twice": lambda me: claim_of(me, count=b"\2", pairs=pair(b"a") + pair(b"a")),
    "capabilities that fall": lambda me: claim_of(me, count=b"\2", pairs=pair(b"b") + pair(b"a")),
    "33 capabilities": lambda me: claim_of(me, count=b"\x21", pairs=b"".join(pair(b"%02d" % n) for n in range(33))),
    "a capability value of 256 bytes": lambda me: claim_of(me, count=b"\1", pairs=pair(b"a", b"v" * 256)),
    "a capability value that is not UTF-8": lambda me: claim_of(me, count=b"\1", pairs=pair(b"a", b"\x80")),
    "half a rotation record": lambda me: claim_of(me, cert=cert_from(OLD, me)[:52]),
    "three rotation records": lambda me: claim_of(me, cert=cert_from(OLD, me) * 3),
    "a rotation record twice": lambda me: claim_of(me, cert=cert_from(OLD, OLD) + cert_from(OLD, me)),
    "a rotation record for another key": lambda me: claim_of(me, cert=cert_from(OLD, OLD)),
    "a rotation record with another time": lambda me: claim_of(me, cert=flip(cert_from(OLD, me), 32)),
    "a rotation record of the key itself": lambda me: claim_of(me, cert=cert_from(me, me)),
    "another public key": lambda me: claim_of(me, public=OLD.public),
    **{f"a key of small order, {n}": lambda me, key=key: claim_of(me, public=key) for n, key in enumerate(SMALL_KEYS)},
}
PARTS = {
    "a changed signature": lambda box, claim, sig: (claim, flip(sig, 3), MAC(box.fin_key, H(box.h, claim + flip(sig, 3)))),
    "s + L": lambda box, claim, sig: second_encoding(box, claim, sig),
    "a changed fin": lambda box, claim, sig: (claim, sig, flip(MAC(box.fin_key, H(box.h, claim + sig)), 31)),
    "a signature for the other role": lambda box, claim, sig: other_role(box, claim),
    "a block of padding too much": lambda box, claim, sig: right(box, claim, sig, lambda fin: pad(claim + sig + fin)[len(claim + sig) :] + bytes(64)),
    "padding that is not zero": lambda box, claim, sig: right(box, claim, sig, lambda fin: pad(claim + sig + fin)[len(claim + sig) : -1] + b"\1"),
}
ORDER = 2**252 + 27742317777372353535851937790883648493
signer = {}


def right(box, claim, sig, tail):
    return claim, sig, tail(MAC(box.fin_key, H(box.h, claim + sig)))


def second_encoding(box, claim, sig):
    sig = sig[:32] + (int.from_bytes(sig[32:], "little") + ORDER).to_bytes(32, "little")
    return right(box, claim, sig, lambda fin: fin)


def other_role(box, claim):
    role = {b"initiator": b"responder", b"responder": b"initiator"}[box.role]
    sig = signer["me"].key.sign(b"vixp2p sig " + role + b"\0" + H(box.h, claim))
    return right(box, claim, sig, lambda fin: fin)


def wrong_identity(side, name):
    """A side whose own box holds a wrong identity."""

    class Wrong(side):
        def seal_own(self):
            box = self.box_a if side is Initiator else self.box_b
            signer["me"] = self.me
            claim = CLAIMS[name](self.me) if name in CLAIMS else self.me.claim()
            sig = self.me.key.sign(box.to_sign(claim))
            parts = PARTS.get(name, lambda box, claim, sig: right(box, claim, sig, lambda fin: fin))
            return box.seal_parts(*parts(box, claim, sig))

    return Wrong


@pytest.mark.parametrize("name", [*CLAIMS, *PARTS])
def test_a_wrong_identity_of_the_initiator_is_refused_in_silence(nodes, name):
    node = nodes["no psk"]
    link = connect(node.port, wrong_identity(Initiator, name)(Identity()))
    link.send_envelope(HELLO, link.side.hello())
    link.send_envelope(HELLO_FINISH, link.side.finish(link.receive_envelope(HELLO_ACK)))
    refused(link, node)


@pytest.mark.parametrize("name", [*CLAIMS, *PARTS])
def test_a_wrong_identity_of_the_responder_gets_no_finish(dialer, name):
    node = dialer
    with Listener() as listener:
        node.connect(listener.endpoint)
        with listener.take(side=wrong_identity(Responder, name)) as link, pytest.raises(Ended) as ended:
            link.send_envelope(HELLO_ACK, link.side.ack(link.receive_envelope(HELLO)))
            link.receive_envelope(HELLO_FINISH)
    assert ended.value.close is None
    assert failed(node, listener).reason == "handshake_failed"


ACKS = {
    "another nonce_a": lambda ack: flip(ack, 0),
    "another nonce_b than was sealed": lambda ack: flip(ack, 8),
    "another version": lambda ack: flip(ack, 16),
    "another suite": lambda ack: ack[:18] + u16(0x0202) + ack[20:],
    "a suite nobody offered": lambda ack: ack[:18] + u16(0x0203) + ack[20:],
    "the box cut by a byte": lambda ack: ack[:-1],
    "a byte behind the box": lambda ack: ack + b"\0",
    "a changed box": lambda ack: flip(ack, len(ack) - 1),
    "a changed share": lambda ack: flip(ack, 30),
}


@pytest.mark.parametrize("name", ACKS)
def test_a_wrong_ack_gets_no_finish(dialer, name):
    node = dialer
    with Listener() as listener:
        node.connect(listener.endpoint)
        with listener.take(suites=(0x0201,)) as link, pytest.raises(Ended):
            link.send_envelope(HELLO_ACK, ACKS[name](link.side.ack(link.receive_envelope(HELLO))))
            link.receive_envelope(HELLO_FINISH)
    assert failed(node, listener).reason in ("handshake_failed", "bad_version")


HEADS = {
    "another psk_id": lambda head: flip(head, len(head) - 1),
    "another nonce_a": lambda head: flip(head, 0),
    "version 1": lambda head: head[:16] + u16(1) + head[18:],
    "version 3": lambda head: head[:16] + u16(3) + head[18:],
    "a suite that was not offered, of the same group and cipher": lambda head: head[:18] + u16(0x0111) + head[20:],
    "a share of no bytes": lambda head: head[:20] + b"\0" + head[53:],
    "a share that leads to zero": lambda head: head[:20] + text_bytes(bytes(32)) + head[53:],
    "a share in the length of the other group": lambda head: head[:20] + text_bytes(bytes(1120)) + head[53:],
    "a length of the share in two bytes": lambda head: head[:20] + b"\xa0\x00" + head[21:],
}


@pytest.mark.parametrize("name", HEADS)
def test_a_wrong_ack_under_a_right_box_gets_no_finish(dialer, name):
    class Wrong(Responder):
        def boxes(self, head, dh):
            super().boxes(HEADS[name](head), dh)

    node = dialer
    with Listener() as listener:
        node.connect(listener.endpoint)
        with listener.take(side=Wrong, suites=(0x0101,)) as link, pytest.raises(Ended):
            link.send_envelope(HELLO_ACK, link.side.ack(link.receive_envelope(HELLO)))
            link.receive_envelope(HELLO_FINISH)
    assert failed(node, listener).reason in ("handshake_failed", "bad_version")


@pytest.mark.parametrize("at", [0, 8, 20, -1])
def test_a_finish_with_any_part_changed_is_refused(nodes, at):
    node = nodes["no psk"]
    link = connect(node.port, Initiator(Identity()))
    link.send_envelope(HELLO, link.side.hello())
    finish = link.side.finish(link.receive_envelope(HELLO_ACK))
    link.send_envelope(HELLO_FINISH, flip(finish, at % len(finish)))
    refused(link, node)


def test_a_second_hello_and_a_replayed_finish_are_refused(nodes):
    node = nodes["no psk"]
    link = connect(node.port, Initiator(Identity()))
    hello = link.side.hello()
    link.send_envelope(HELLO, hello)
    finish = link.side.finish(link.receive_envelope(HELLO_ACK))
    link.send_envelope(HELLO, hello)
    refused(link, node, "handshake_failed", "protocol")
    again = connect(node.port, Initiator(Identity()))
    again.send_envelope(HELLO, hello)
    again.receive_envelope(HELLO_ACK)
    again.send_envelope(HELLO_FINISH, finish)
    refused(again, node)


def test_a_node_that_meets_its_own_key_says_so(dialer):
    with Listener() as listener:
        node = dialer
        node.connect(listener.endpoint)
        # Both directions through this test: the node dials itself.
        inbound = listener.sock.accept()[0]
        outbound = socket.create_connection(("127.0.0.1", node.port))

        def pipe(a, b):
            try:
                while data := a.recv(65536):
                    b.sendall(data)
                b.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        threads = [threading.Thread(target=pipe, args=ends) for ends in ((inbound, outbound), (outbound, inbound))]
        for thread in threads:
            thread.start()
        assert wait_for(node, EventKind.CONNECT_FAILED, EventKind.HANDSHAKE_FAILED).reason == "self_connect"
        for thread in threads:
            thread.join()
        inbound.close()
        outbound.close()
