"""A second implementation of PROTOCOL.md's live protocol: bytes in, bytes out. Test-only, as vixp2p_crypto is.

Written from the text alone, so that the text is what both implementations agree on. Holds no socket and no clock.
"""

import hmac
import os
import struct
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from vixp2p_crypto import MAC, ZEROS, H, Psk, Reader, Refused, agree, answer_share, expand, extract, need, offer_share, text_bytes
from vixp2p_crypto import u16, u64, urandom, varint, verify

VERSION = 2
HELLO, PING, PONG, HELLO_ACK, HELLO_FINISH, WELCOME, CLOSE, KEY_UPDATE, VECTOR, DATA, NEIGHBOURS = 1, 2, 3, 4, 5, 6, 7, 8, 13, 32, 43
REQUEST, OFFER, ANSWER, SWITCH = range(4)
SUITES = (0x0201, 0x0202, 0x0101, 0x0102)
AEADS = {1: AESGCM, 2: ChaCha20Poly1305}
# Section 12.
FRAME_MAX, SHARE_MAX, SHARES_MAX, SUITES_MAX, IDENTITY_MAX, CERT_MAX = 4096, 1400, 4, 16, 2560, 208
LABEL_MAX, CAPABILITIES_MAX, RECORD_MAX, MESSAGE_MAX = 255, 32, 65792, 16777216
REKEY_RECORDS, REKEY_BYTES = 16777216, 17179869184


# ---- sections 2 and 3: frames and envelopes


def framed_envelope(kind, payload):
    envelope = b"VP2P" + struct.pack("<HHHQI", 2, 0, kind, 0, 0) + text_bytes(payload)
    return text_bytes(envelope)


def take_frame(buffer):
    """Cuts the first whole frame off a bytearray; None if it has not come yet."""
    for end in range(1, len(buffer) + 1):
        if buffer[end - 1] < 0x80:
            length = Reader(buffer[:end]).varint()
            need(0 < length <= FRAME_MAX, f"a frame of {length} bytes")
            if len(buffer) < end + length:
                return None
            frame = bytes(buffer[end : end + length])
            del buffer[: end + length]
            return frame
        need(end < 10, "a frame length has more than ten bytes")
    return None


def open_envelope(frame, kind):
    r = Reader(frame)
    need(r.take(4) == b"VP2P", "the magic is wrong")
    need(r.uint(2) == 2, "the major version is not 2")
    r.uint(2)
    need(r.uint(2) == kind, "an envelope of another type")
    need(r.uint(8) == 0 and r.uint(4) == 0, "message id or flags are not 0")
    payload = r.bytes(FRAME_MAX)
    r.end()
    return payload


# ---- section 6: identity


@dataclass
class Identity:
    """Who this side is. `cert` holds rotation records, the oldest first."""

    secret: bytes = field(default_factory=lambda: os.urandom(32))
    node_id: str = "python"
    capabilities: tuple = ()
    cert: bytes = b""

    def __post_init__(self):
        self.key = Ed25519PrivateKey.from_private_bytes(self.secret)
        self.public = self.key.public_key().public_bytes_raw()

    def claim(self):
        pairs = b"".join(text_bytes(k.encode()) + text_bytes(v.encode()) for k, v in self.capabilities)
        out = self.public + text_bytes(self.node_id.encode()) + varint(len(self.capabilities)) + pairs
        return out + text_bytes(self.cert)


@dataclass
class Peer:
    public: bytes
    node_id: str
    capabilities: tuple
    earlier: tuple


def rotation(old, new_public, issued):
    """The record by which an old secret vouches for a new key."""
    key = Ed25519PrivateKey.from_private_bytes(old)
    public = key.public_key().public_bytes_raw()
    return public + u64(issued) + key.sign(b"vixp2p rotate v1\0" + public + new_public + u64(issued))


def earlier_keys(cert, public):
    need(len(cert) % 104 == 0, "a cert is not made of records")
    records = [cert[i : i + 104] for i in range(0, len(cert), 104)]
    keys = [record[:32] for record in records] + [public]
    need(len(set(keys)) == len(keys), "a key comes twice")
    for record, new in zip(records, keys[1:]):
        verify(record[:32], record[40:], b"vixp2p rotate v1\0" + record[:32] + new + record[32:40])
    return tuple(keys[:-1])


def pad(plain):
    return plain + bytes(-len(plain) % 64)


def read_identity(plain):
    """The peer, its claim, signature and fin."""
    need(len(plain) <= IDENTITY_MAX, "the identity is too long")
    r = Reader(plain)
    public, node_id = r.take(32), r.text(LABEL_MAX, 1)
    count = r.varint()
    need(count <= CAPABILITIES_MAX, "too many capabilities")
    capabilities = tuple((r.text(LABEL_MAX), r.text(LABEL_MAX)) for _ in range(count))
    keys = [k.encode() for k, _ in capabilities]
    need(all(a < b for a, b in zip(keys, keys[1:])), "capability keys do not rise")
    cert = r.bytes(CERT_MAX)
    claim = plain[: r.at]
    signature, fin = r.take(64), r.take(32)
    need(plain == pad(plain[: r.at]), "the padding is wrong")
    return Peer(public, node_id, capabilities, earlier_keys(cert, public)), claim, signature, fin


class Box:
    """One of the two sealed identities: "responder" under h2, "initiator" under h3."""

    def __init__(self, role, suite, hs, h2, h):
        self.key = expand(hs, role + b" box", h2, 32)
        self.aead = AEADS[suite & 255](self.key)
        self.fin_key = expand(hs, role + b" fin", h2, 64)
        self.role, self.h = role, h

    def to_sign(self, claim):
        return b"vixp2p sig " + self.role + b"\0" + H(self.h, claim)

    def seal(self, me):
        claim = me.claim()
        signature = me.key.sign(self.to_sign(claim))
        return self.seal_parts(claim, signature, MAC(self.fin_key, H(self.h, claim + signature)))

    def seal_parts(self, claim, signature, fin):
        return self.aead.encrypt(bytes(12), pad(claim + signature + fin), self.h)

    def open(self, sealed, own_public):
        try:
            plain = self.aead.decrypt(bytes(12), sealed, self.h)
        except InvalidTag as error:
            raise Refused("the identity does not open") from error
        peer, claim, signature, fin = read_identity(plain)
        need(hmac.compare_digest(fin, MAC(self.fin_key, H(self.h, claim + signature))), "fin is wrong")
        verify(peer.public, signature, self.to_sign(claim))
        need(peer.public != own_public, "both ends have one key")
        return peer


# ---- section 6: the two sides


class Side:
    """What both sides share: the schedule from the agreed secret to the session."""

    def __init__(self, me, psk=None, suites=SUITES, draw=urandom):
        self.me, self.suites, self.draw, self.psk = me, tuple(suites), draw, Psk(psk)
        self.peer = self.suite = self.session = None

    def boxes(self, head, dh):
        self.head, self.dh, self.h2 = head, dh, H(self.h1, head)
        self.salt = extract(b"", self.psk.psk or ZEROS)
        self.hs = extract(self.salt, dh)
        self.box_b = Box(b"responder", self.suite, self.hs, self.h2, self.h2)

    def second_box(self, sealed_b):
        self.h3 = H(self.h2, sealed_b)
        self.box_a = Box(b"initiator", self.suite, self.hs, self.h2, self.h3)

    def conclude(self, sealed_a):
        self.h4 = H(self.h3, sealed_a)
        self.master = expand(self.hs, b"master", self.h4, 64)
        i2r = expand(self.master, b"initiator to responder", b"", 64)
        r2i = expand(self.master, b"responder to initiator", b"", 64)
        self.session_id = expand(self.master, b"session id", b"", 32)
        self.session = Session(isinstance(self, Initiator), self.suite, i2r, r2i, self.session_id, self.draw)


class Initiator(Side):
    def hello(self):
        self.nonce_a = self.draw("nonce_a", 8)
        groups = sorted({suite >> 8 for suite in self.suites})
        self.secrets, shares = {}, b""
        for group in groups:
            self.secrets[group], share = offer_share(group, self.draw)
            shares += bytes([group]) + text_bytes(share)
        head = self.nonce_a + u16(VERSION) + u16(VERSION)
        head += varint(len(self.suites)) + b"".join(map(u16, self.suites))
        return self.sign_hello(head + varint(len(groups)) + shares + self.draw("rand_a", 32) + self.psk.id)

    def sign_hello(self, hello):
        self.h1 = self.psk.h1(hello)
        return hello + self.psk.mac1(self.h1)

    def finish(self, ack):
        """HelloFinish, for a HelloAck; the session is there afterwards."""
        r = Reader(ack)
        need(r.take(8) == self.nonce_a, "nonce_a is not ours")
        nonce_b = r.take(8)
        need(r.uint(2) == VERSION, "the version was not offered")
        self.suite = r.uint(2)
        need(self.suite in self.suites, "the suite was not offered")
        share = r.bytes(SHARE_MAX)
        r.take(32)
        need(r.take(8) == self.psk.id, "psk_id is not ours")
        head = ack[: r.at]
        sealed = r.bytes(IDENTITY_MAX + 16)
        r.end()
        group = self.suite >> 8
        self.boxes(head, agree(group, self.secrets[group], share))
        self.peer = self.box_b.open(sealed, self.me.public)
        self.second_box(sealed)
        sealed_a = self.seal_own()
        self.conclude(sealed_a)
        return self.nonce_a + nonce_b + text_bytes(sealed_a)

    def seal_own(self):
        return self.box_a.seal(self.me)


class Responder(Side):
    def ack(self, hello):
        r = Reader(hello)
        self.nonce_a = r.take(8)
        low, high = r.uint(2), r.uint(2)
        need(low <= high, "version_min is greater than version_max")
        count = r.varint()
        need(1 <= count <= SUITES_MAX, f"{count} suites")
        offered = [r.uint(2) for _ in range(count)]
        need(len(set(offered)) == count, "a suite comes twice")
        count = r.varint()
        need(count <= SHARES_MAX, f"{count} key shares")
        shares = [(r.uint(1), r.bytes(SHARE_MAX)) for _ in range(count)]
        need(all(a < b for (a, _), (b, _) in zip(shares, shares[1:])), "groups do not rise")
        shares = dict(shares)
        r.take(32)
        psk_id = r.take(8)
        self.h1 = self.psk.h1(hello[: r.at])
        mac1 = r.take(16)
        r.end()
        need(psk_id == self.psk.id, "the psk_id is not known")
        need(hmac.compare_digest(mac1, self.psk.mac1(self.h1)), "mac1 is wrong")
        need(low <= VERSION <= high, "no common version")
        both = [suite for suite in offered if suite in self.suites]
        need(both, "no common suite")
        self.suite = min(both, key=lambda suite: (offered.index(suite) + self.suites.index(suite), -suite))
        group = self.suite >> 8
        need(group in shares, "the share of the suite is missing")
        share, dh = answer_share(group, shares[group], self.draw)
        self.nonce_b = self.draw("nonce_b", 8)
        head = self.nonce_a + self.nonce_b + u16(VERSION) + u16(self.suite) + text_bytes(share)
        head += self.draw("rand_b", 32) + psk_id
        self.boxes(head, dh)
        sealed = self.seal_own()
        self.second_box(sealed)
        return self.head + text_bytes(sealed)

    def seal_own(self):
        return self.box_b.seal(self.me)

    def done(self, finish):
        r = Reader(finish)
        need(r.take(8) == self.nonce_a and r.take(8) == self.nonce_b, "a nonce is not echoed")
        sealed = r.bytes(IDENTITY_MAX + 16)
        r.end()
        self.peer = self.box_a.open(sealed, self.me.public)
        self.conclude(sealed)


# ---- section 8: records


class Direction:
    def __init__(self, suite, secret, session_id):
        self.suite, self.session_id, self.epoch = suite, session_id, 0
        self.use(secret)

    def use(self, secret):
        self.secret, self.number, self.plain_bytes = secret, 0, 0
        self.key = expand(secret, b"key", b"", 32)
        self.aead = AEADS[self.suite & 255](self.key)

    def step(self):
        self.use(expand(self.secret, b"next", b"", 64))
        self.epoch = (self.epoch + 1) % 256

    def freshen(self, fresh):
        self.use(extract(expand(self.secret, b"next", b"", 64), fresh))
        self.epoch = (self.epoch + 1) % 256

    def count(self, plain):
        self.number, self.plain_bytes = self.number + 1, self.plain_bytes + plain

    def worn(self):
        return self.number >= REKEY_RECORDS or self.plain_bytes >= REKEY_BYTES

    def nonce(self):
        return bytes(4) + u64(self.number)

    def seal(self, plain, kind=0, flags=0):
        if self.worn():
            self.step()
        header = struct.pack("<IBBH", len(plain) + 16, self.epoch, kind, flags)
        sealed = self.aead.encrypt(self.nonce(), plain, header + self.session_id)
        self.count(len(plain))
        return header + sealed

    def open(self, buffer):
        """Cuts the first whole record off a bytearray and opens it; None if it has not come yet."""
        if len(buffer) < 8:
            return None
        length, epoch, kind, flags = struct.unpack("<IBBH", buffer[:8])
        need(17 <= length <= RECORD_MAX + 16, f"a record of {length} bytes")
        need(kind == 0 and flags == 0, "a record of another type or with flags")
        if len(buffer) < 8 + length:
            return None
        if epoch == (self.epoch + 1) % 256:
            self.step()
        need(epoch == self.epoch and not self.worn(), "a record of another epoch or under a worn key")
        try:
            plain = self.aead.decrypt(self.nonce(), bytes(buffer[8 : 8 + length]), bytes(buffer[:8]) + self.session_id)
        except InvalidTag as error:
            raise Refused("a record does not open") from error
        self.count(len(plain))
        del buffer[: 8 + length]
        return plain


class Session:
    """Both directions after the handshake. What is to be sent collects in `out`."""

    def __init__(self, initiator, suite, i2r, r2i, session_id, draw):
        first, second = Direction(suite, i2r, session_id), Direction(suite, r2i, session_id)
        self.sender, self.receiver = (first, second) if initiator else (second, first)
        self.initiator, self.group, self.draw = initiator, suite >> 8, draw
        self.out, self.raw, self.frames = bytearray(), bytearray(), bytearray()
        self.offered = self.awaits_switch = None
        self.fresh_keys = 0

    def send(self, kind, body=b""):
        frame = text_bytes(bytes([kind]) + body)
        for at in range(0, len(frame), RECORD_MAX):
            self.out += self.sender.seal(frame[at : at + RECORD_MAX])

    def receive(self, data):
        """The frames that came, as (kind, body). Pings and key updates are answered here as well."""
        self.raw += data
        got = []
        while (plain := self.receiver.open(self.raw)) is not None:
            self.frames += plain
            while (frame := self.next_frame()) is not None:
                # Where others are said to listen: nothing here dials them.
                if frame[0] != NEIGHBOURS:
                    got.append(frame)
                self.answer(*frame)
        return got

    def next_frame(self):
        for end in range(1, min(len(self.frames), 4) + 1):
            if self.frames[end - 1] < 0x80:
                length = Reader(self.frames[:end]).varint()
                need(1 <= length <= MESSAGE_MAX + 1, f"a frame of {length} bytes")
                if len(self.frames) < end + length:
                    return None
                frame = bytes(self.frames[end : end + length])
                del self.frames[: end + length]
                return frame[0], frame[1:]
            need(end < 4, "a frame length has more than four bytes")
        return None

    def answer(self, kind, body):
        if kind == PING:
            need(len(body) == 8, "a ping has eight bytes")
            self.send(PONG, body)
        elif kind == KEY_UPDATE:
            need(not self.frames, "a key update is not the last frame of its record")
            self.key_update(body[0] if body else None, body[1:])

    def request(self):
        self.send(KEY_UPDATE, bytes([REQUEST]))

    def offer(self):
        if self.offered is None:
            self.offered = offer_share(self.group, self.draw)
            self.send(KEY_UPDATE, bytes([OFFER]) + text_bytes(self.offered[1]))

    def fresh(self, dh, offer, answer):
        return expand(extract(b"vixp2p fresh keys", dh), b"fresh", H(offer, answer), 64)

    def key_update(self, step, body):
        r = Reader(body)
        share = r.bytes(SHARE_MAX) if step in (OFFER, ANSWER) else b""
        r.end()
        if step == REQUEST and self.initiator:
            self.offer()
        elif step == OFFER and not self.initiator and self.awaits_switch is None:
            own, dh = answer_share(self.group, share, self.draw)
            self.awaits_switch = self.fresh(dh, share, own)
            self.send(KEY_UPDATE, bytes([ANSWER]) + text_bytes(own))
            self.sender.freshen(self.awaits_switch)
        elif step == ANSWER and self.initiator and self.offered is not None:
            fresh = self.fresh(agree(self.group, self.offered[0], share), self.offered[1], share)
            self.receiver.freshen(fresh)
            self.send(KEY_UPDATE, bytes([SWITCH]))
            self.sender.freshen(fresh)
            self.offered, self.fresh_keys = None, self.fresh_keys + 1
        elif step == SWITCH and not self.initiator and self.awaits_switch is not None:
            self.receiver.freshen(self.awaits_switch)
            self.awaits_switch, self.fresh_keys = None, self.fresh_keys + 1
        else:
            raise Refused(f"key update step {step} at this time")
