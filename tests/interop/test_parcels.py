"""PROTOCOL.md's parcels by a second implementation: the known answer that src/crypto/parcel/tests.rs holds too, and what must not open."""

import hashlib
import hmac
import struct

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

P = 2**255 - 19

# From bytes 1, to bytes 2, ephemeral bytes 3, header b"header", payload b"payload"; without and with a pre-shared key of bytes 5.
# The parcel, its receipt, what proves that it was opened, and that the run is 7.
KNOWN = {
    None: (
        "015dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef227ac0af2db2b56c3df2a4ef99d5ca119854c3373e7db0b614bcc6ae49032d5b"
        "b02b976baf895c04d14596c16b7a9268b3e4eb1d4614e446994136248e82c5bffc3718e73f2289d87fd6c6352a141c668bb052e18a4a7ed672666097e9966369"
        "e00dd9bb474b34d796f72d9690b58916ae069b1e6eedef5e",
        "9a6ad813ea2b379653919ed7d73c1162b28c7dcd86ecb3cd40afb4f40ab90156",
        "8e8bfd57e02aa246c32d7af59468db5f468de3ffc6cae53b7616209f1ea75912",
        "630f47617b6a7075a27a5db2035c2e3a0984588326ed46c71974e9e1642a39a0",
    ),
    bytes([5]) * 32: (
        "015dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef2212d8004e764219f9bbe49745752a5e5f2ce5729b81a95252ab0a285b956d71"
        "fd7f4279a648b2cf96b6c629dbf5f94a15779eefd77c825c5012c8fd4b2cd730efc2136d2e06d3fb67e1daefeceead559ab04c5cde34d864769a7ea567f612c3"
        "2aa25e1fb078d4d7307b108e467f8f129de5e87f6e973100",
        "a80bdac378889c4184370613f1735102a604de3c5b3fe7c8affab21ef1ed8fa4",
        "25e8b332d928f06ae59f5a34fdc7e0e78c80a95bfea40fcee6b8cafe55e87b9b",
        "1dbdeb9b1a999eebe32bf57d1c838eb51b5bc86a3e11f0d3f8d000be45735de1",
    ),
}


# BLAKE3 of what fits one block, written from its paper.
IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
COLUMNS = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]
DIAGONALS = [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
PERMUTED = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
CHUNK_START_END_ROOT, KEYED = 1 | 2 | 8, 16


def turned(word, by):
    return (word >> by | word << (32 - by)) & 0xFFFFFFFF


def blake3(text, key=None):
    assert len(text) <= 64
    words = list(struct.unpack("<16I", text.ljust(64, b"\0")))
    chaining = list(struct.unpack("<8I", key)) if key else IV
    state = chaining + IV[:4] + [0, 0, len(text), CHUNK_START_END_ROOT | (KEYED if key else 0)]
    for _ in range(7):
        for n, (a, b, c, d) in enumerate(COLUMNS + DIAGONALS):
            for word, first, second in ((words[2 * n], 16, 12), (words[2 * n + 1], 8, 7)):
                state[a] = (state[a] + state[b] + word) & 0xFFFFFFFF
                state[d] = turned(state[d] ^ state[a], first)
                state[c] = (state[c] + state[d]) & 0xFFFFFFFF
                state[b] = turned(state[b] ^ state[c], second)
        words = [words[n] for n in PERMUTED]
    return struct.pack("<8I", *(state[n] ^ state[n + 8] for n in range(8)))


def mac(key, text):
    return hmac.new(key, text, hashlib.sha512).digest()


def expand(secret, label, context, length):
    return mac(secret, label + b"\0" + context + b"\1")[:length]


def hash_of(*parts):
    state = hashlib.sha512()
    for part in parts:
        state.update(struct.pack("<Q", len(part)) + part)
    return state.digest()


def raw(key):
    return key.public_key().public_bytes_raw()


def montgomery(ed25519):
    """RFC 7748 §4.1: u = (1 + y) / (1 - y)."""
    y = int.from_bytes(ed25519, "little") & (2**255 - 1)
    return ((1 + y) * pow(1 - y, P - 2, P) % P).to_bytes(32, "little")


def keys(psk, shared, context):
    salt = expand(mac(b"vixp2p psk", psk), b"parcel", b"", 64) if psk else bytes(64)
    prk = mac(salt, shared)
    return ChaCha20Poly1305(expand(prk, b"parcel key", context, 32)), prk


def answers(prk, whole):
    """The receipt, and what it is when the recipient's run is 7."""
    receipt, run_key = (expand(prk, label, whole, 32) for label in (b"parcel receipt", b"parcel run"))
    return receipt, blake3(receipt), blake3(struct.pack("<Q", 7), run_key)


def seal(sender, to, psk, ephemeral, header, payload):
    pair = X25519PrivateKey.from_private_bytes(ephemeral)
    context = hash_of(b"vixp2p parcel v1", raw(pair), to, raw(sender), header)
    aead, prk = keys(psk, pair.exchange(X25519PublicKey.from_public_bytes(montgomery(to))), context)
    whole = hash_of(context, payload)
    text = payload + sender.sign(b"vixp2p sig parcel\0" + whole)
    told = answers(prk, whole)
    return b"\1" + raw(pair) + blake3(told[1]) + aead.encrypt(bytes(12), text, context), told


def open_(me, sender, psk, header, parcel):
    scalar = hashlib.sha512(me.private_bytes_raw()).digest()[:32]
    assert parcel[0] == 1
    ephemeral = parcel[1:33]
    context = hash_of(b"vixp2p parcel v1", ephemeral, raw(me), sender, header)
    shared = X25519PrivateKey.from_private_bytes(scalar).exchange(X25519PublicKey.from_public_bytes(ephemeral))
    aead, prk = keys(psk, shared, context)
    text = aead.decrypt(bytes(12), parcel[65:], context)
    payload, signature = text[:-64], text[-64:]
    whole = hash_of(context, payload)
    Ed25519PublicKey.from_public_bytes(sender).verify(signature, b"vixp2p sig parcel\0" + whole)
    told = answers(prk, whole)
    assert blake3(told[1]) == parcel[33:65]
    return payload, told


A, B = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))


@pytest.mark.parametrize("psk", KNOWN)
def test_the_known_answer_is_sealed_and_opened(psk):
    parcel, told = seal(A, raw(B), psk, bytes([3]) * 32, b"header", b"payload")
    assert (parcel.hex(), *(proof.hex() for proof in told)) == KNOWN[psk]
    assert open_(B, raw(A), psk, b"header", parcel) == (b"payload", told)


def test_blake3_is_that_of_its_own_vectors():
    assert blake3(b"").hex() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


def test_another_header_sender_secret_or_byte_does_not_open():
    parcel, _ = seal(A, raw(B), None, bytes([3]) * 32, b"header", b"payload")
    altered, pledged = parcel[:-1] + bytes([parcel[-1] ^ 1]), parcel[:64] + bytes([parcel[64] ^ 1]) + parcel[65:]
    for sender, psk, header, text in [
        (raw(B), None, b"header", parcel),
        (raw(A), bytes([5]) * 32, b"header", parcel),
        (raw(A), None, b"heades", parcel),
        (raw(A), None, b"header", altered),
        (raw(A), None, b"header", pledged),
    ]:
        with pytest.raises((InvalidTag, InvalidSignature, AssertionError)):
            open_(B, sender, psk, header, text)
