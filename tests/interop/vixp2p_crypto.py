"""PROTOCOL.md's primitives for vixp2p_wire: integers, the key schedule's functions, strict signatures, key agreement. Test-only: nothing
is wiped, nothing is constant-time.

Randomness is asked for by name, `draw(name, count)`, so that a run can be repeated from vectors.
"""

import hashlib
import hmac
import os
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from kyber_py.ml_kem import ML_KEM_768

try:
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey

    MLKEM768PrivateKey.from_seed_bytes(bytes(64))
except Exception:  # an older package, or an OpenSSL without it: kyber-py does, slower
    MLKEM768PrivateKey = None

X25519, X_WING = 1, 2
ZEROS = bytes(32)


class Refused(Exception):
    """The other side broke a rule; the text says which."""


def need(condition, why):
    if not condition:
        raise Refused(why)


def urandom(_name, count):
    return os.urandom(count)


# ---- section 1: primitives


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def text_bytes(data):
    return varint(len(data)) + data


def u16(value):
    return struct.pack("<H", value)


def u64(value):
    return struct.pack("<Q", value)


class Reader:
    def __init__(self, data):
        self.data, self.at = bytes(data), 0

    def take(self, count):
        need(self.at + count <= len(self.data), "the message is too short")
        self.at += count
        return self.data[self.at - count : self.at]

    def uint(self, count):
        return int.from_bytes(self.take(count), "little")

    def varint(self):
        value = 0
        for i in range(10):
            byte = self.uint(1)
            value |= (byte & 0x7F) << 7 * i
            if byte < 0x80:
                need(i == 0 or byte, "a varint is longer than it needs to be")
                need(value < 1 << 64, "a varint does not fit 64 bits")
                return value
        raise Refused("a varint has more than ten bytes")

    def bytes(self, limit, low=0):
        length = self.varint()
        need(low <= length <= limit, f"a length of {length} is outside {low}..{limit}")
        return self.take(length)

    def text(self, limit, low=0):
        try:
            return self.bytes(limit, low).decode()
        except UnicodeDecodeError as error:
            raise Refused("text is not UTF-8") from error

    def end(self):
        need(self.at == len(self.data), "bytes follow the last field")


# ---- section 6: primitives of the key schedule


def H(*parts):
    return hashlib.sha512(b"".join(u64(len(part)) + part for part in parts)).digest()


def hmac512(key, data):
    return hmac.new(key, data, hashlib.sha512).digest()


def MAC(key, data):
    return hmac512(key, data)[:32]


def extract(salt, ikm):
    return hmac512(salt, ikm)


def expand(secret, label, context, count):
    need(count <= 64, "one block is enough for all of the schedule")
    return hmac512(secret, label + b"\0" + context + b"\x01")[:count]


class Psk:
    """What follows from a pre-shared key, or from none."""

    def __init__(self, psk=None):
        self.psk, self.base, self.tag, self.id, self.mac1_key = psk, b"", ZEROS, bytes(8), b""
        if psk is not None:
            self.base = extract(b"vixp2p psk", psk)
            self.tag, self.id = expand(self.base, b"tag", b"", 32), expand(self.base, b"id", b"", 8)
            self.mac1_key = expand(self.base, b"mac1", b"", 64)

    def mac1(self, h1):
        return bytes(16) if self.psk is None else MAC(self.mac1_key, h1)[:16]

    def h1(self, hello):
        return H(b"vixp2p handshake v2", self.tag, hello)


P = 2**255 - 19
# The y of every point of small order (RFC 7748's curve in Edwards form): 0, 1, -1 and two of order 8.
_Y8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
SMALL_ORDER = {0, 1, P - 1, _Y8, P - _Y8}


def verify(public, signature, message):
    for point in (public, signature[:32]):
        y = int.from_bytes(point, "little") & (1 << 255) - 1
        need(y < P and y not in SMALL_ORDER, "a point of small order or in a second encoding")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise Refused("a signature is false") from error


# ---- section 6: key agreement


def x25519_public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def x25519(secret, public):
    need(len(public) == 32, "an X25519 key has 32 bytes")
    try:
        return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise Refused("the X25519 secret is all zero") from error


def x_wing_expand(seed):
    d = hashlib.shake_256(seed).digest(96)
    return d[:64], d[64:]


def x_wing_combine(ss_m, ss_x, ct_x, pk_x):
    return hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + b"\\.//^\\").digest()


def offer_share(group, draw):
    """What to keep, and the share to send."""
    secret = draw(f"share of group {group}", 32)
    if group == X25519:
        return secret, x25519_public(secret)
    m, x = x_wing_expand(secret)
    if MLKEM768PrivateKey is None:
        ek = ML_KEM_768._keygen_internal(m[:32], m[32:])[0]
    else:
        ek = MLKEM768PrivateKey.from_seed_bytes(m).public_key().public_bytes_raw()
    return secret, ek + x25519_public(x)


def answer_share(group, share, draw):
    """The share to send back, and the secret."""
    if group == X25519:
        secret = draw("answer", 32)
        return x25519_public(secret), x25519(secret, share)
    need(len(share) == 1216, "an X-Wing key has 1216 bytes")
    ek, pk_x = share[:1184], share[1184:]
    seed = draw("answer", 64)
    try:
        if MLKEM768PrivateKey is None or draw is not urandom:
            ss_m, ct_m = ML_KEM_768._encaps_internal(ek, seed[:32])
        else:
            ss_m, ct_m = MLKEM768PublicKey.from_public_bytes(ek).encapsulate()
    except ValueError as error:
        raise Refused("an ML-KEM key is malformed") from error
    ct_x = x25519_public(seed[32:])
    return ct_m + ct_x, x_wing_combine(ss_m, x25519(seed[32:], pk_x), ct_x, pk_x)


def agree(group, secret, share):
    """The secret, from what was kept and the answer."""
    if group == X25519:
        return x25519(secret, share)
    need(len(share) == 1120, "an X-Wing ciphertext has 1120 bytes")
    m, x = x_wing_expand(secret)
    if MLKEM768PrivateKey is None:
        ss_m = ML_KEM_768.decaps(ML_KEM_768._keygen_internal(m[:32], m[32:])[1], share[:1088])
    else:
        ss_m = MLKEM768PrivateKey.from_seed_bytes(m).decapsulate(share[:1088])
    ct_x = share[1088:]
    return x_wing_combine(ss_m, x25519(x, ct_x), ct_x, x25519_public(x))
