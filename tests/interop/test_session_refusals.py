"""What a second implementation does wrong on purpose inside a session ends it with Close 10."""

import copy

import pytest
import vixp2p_crypto as crypto
import vixp2p_wire as wire
from fixtures import connected, failed, flip, gone
from link import Listener, dial
from vixp2p_crypto import text_bytes, varint
from vixp2p_wire import ANSWER, DATA, HELLO, HELLO_ACK, HELLO_FINISH, KEY_UPDATE, OFFER, PING, REQUEST, SWITCH, VECTOR, WELCOME, Identity


def raw(link, data):
    link.sock.sendall(data)


def seal(link, *frames, kind=0, flags=0):
    return link.session.sender.seal(b"".join(text_bytes(f) for f in frames), kind, flags)


def replay(link):
    record = seal(link, bytes([DATA]))
    raw(link, record * 2)


def skip(link):
    seal(link, bytes([DATA]))
    raw(link, seal(link, bytes([DATA])))


def two_steps(link):
    link.session.sender.step()
    link.session.sender.step()
    raw(link, seal(link, bytes([DATA])))


def earlier_epoch(link):
    old = copy.copy(link.session.sender)
    link.session.sender.step()
    raw(link, seal(link, bytes([DATA])))
    raw(link, old.seal(text_bytes(bytes([DATA]))))


def offer_frame(link):
    link.session.offered = crypto.offer_share(link.session.group, crypto.urandom)
    return bytes([KEY_UPDATE, OFFER]) + text_bytes(link.session.offered[1])


BAD_RECORDS = {
    "plain bytes": lambda link: link.send_envelope(HELLO, b"again"),
    "a changed record": lambda link: raw(link, flip(seal(link, bytes([DATA])), 9)),
    "a changed header": lambda link: raw(link, flip(seal(link, bytes([DATA])), 4)),
    "a record twice": replay,
    "a record left out": skip,
    "two steps without a record between": two_steps,
    "an epoch that is over": earlier_epoch,
    "another record type": lambda link: raw(link, seal(link, bytes([DATA]), kind=1)),
    "record flags": lambda link: raw(link, seal(link, bytes([DATA]), flags=1)),
    "an empty record": lambda link: raw(link, seal(link)),
    "a record above the limit": lambda link: raw(link, link.session.sender.seal(bytes(wire.RECORD_MAX + 1))[:8]),
}
BAD_FRAMES = {
    "a frame of length zero": lambda link: raw(link, link.session.sender.seal(b"\0")),
    "a frame length in a longer form": lambda link: raw(link, link.session.sender.seal(b"\x81\x00 ")),
    "a frame length of five bytes": lambda link: raw(link, link.session.sender.seal(b"\xff\xff\xff\xff\x0f")),
    "a message above the limit": lambda link: raw(link, link.session.sender.seal(varint(wire.MESSAGE_MAX + 2) + bytes([DATA]))),
    "kind 0": lambda link: link.send(0),
    "a kind that is free": lambda link: link.send(9),
    "a kind reserved for applications": lambda link: link.send(33, b"x"),
    "a Hello": lambda link: link.send(HELLO),
    "a Welcome from the initiator": lambda link: link.send(WELCOME),
    "a second end of the vector": lambda link: link.send(VECTOR, b"\0"),
    "a short ping": lambda link: link.send(PING, bytes(7)),
    "a long ping": lambda link: link.send(PING, bytes(9)),
    "a key update of an unknown step": lambda link: link.send(KEY_UPDATE, b"\4"),
    "an empty key update": lambda link: link.send(KEY_UPDATE),
    "a request of the initiator": lambda link: link.send(KEY_UPDATE, bytes([REQUEST])),
    "an answer without an offer": lambda link: link.send(KEY_UPDATE, bytes([ANSWER]) + text_bytes(bytes(1120))),
    "a switch without an offer": lambda link: link.send(KEY_UPDATE, bytes([SWITCH])),
    "a short offer": lambda link: link.send(KEY_UPDATE, bytes([OFFER]) + text_bytes(bytes(32))),
    "an offer with a byte behind it": lambda link: link.send(KEY_UPDATE, offer_frame(link)[1:] + b"\0"),
    "an offer that is not last in its record": lambda link: raw(link, seal(link, offer_frame(link), bytes([DATA]))),
    "a frame whose kind comes in the next record": lambda link: raw(link, link.session.sender.seal(b"\1") + link.session.sender.seal(bytes([DATA]))),
    "a vector that is not read to its end": lambda link: link.send(VECTOR, b"\1"),
}


@pytest.mark.parametrize("name", [*BAD_RECORDS, *BAD_FRAMES])
def test_a_wrong_record_or_frame_ends_the_session(nodes, name):
    node, me = nodes["no psk"], Identity()
    with dial(node.port, me) as link:
        connected(node, me.public)
        (BAD_RECORDS.get(name) or BAD_FRAMES[name])(link)
        close = link.drain()
        assert close is not None and close[0] == 10 and 0 < len(close[1].encode()) <= 200
        assert gone(node, me.public).reason in (("bad_record", "frame_too_large") if name in BAD_RECORDS else ("protocol", "frame_too_large"))


def test_an_offer_before_the_switch_is_a_protocol_error(nodes):
    node, me = nodes["no psk"], Identity()
    with dial(node.port, me, suites=(0x0101,)) as link:
        connected(node, me.public)
        session = link.session
        link.send(KEY_UPDATE, offer_frame(link)[1:])
        # Takes the answer but sends another offer in place of the switch.
        link.session.key_update = lambda step, body: link.session.send(KEY_UPDATE, offer_frame(link)[1:])
        link.receive_until(KEY_UPDATE)
        assert gone(node, me.public).reason == "protocol"
        assert session is link.session


def test_a_welcome_twice_ends_the_session(nodes):
    node, me = nodes["no psk"], Identity()
    with Listener() as listener:
        node.connect(listener.endpoint)
        with listener.accept(me) as link:
            connected(node, me.public)
            link.send(WELCOME)
            assert link.drain()[0] == 10
            assert gone(node, me.public).reason == "protocol"
            node.disconnect(me.public)


@pytest.mark.parametrize("frame", [bytes([DATA]), bytes([VECTOR, 0]), bytes([KEY_UPDATE, REQUEST])], ids=["data", "vector", "key update"])
def test_anything_before_welcome_ends_the_session(dialer, frame):
    node, me = dialer, Identity()
    with Listener() as listener:
        node.connect(listener.endpoint)
        with listener.take(me) as link:
            link.send_envelope(HELLO_ACK, link.side.ack(link.receive_envelope(HELLO)))
            link.side.done(link.receive_envelope(HELLO_FINISH))
            link.send(frame[0], frame[1:])
            link.drain()
            assert failed(node, listener).reason == "protocol"
