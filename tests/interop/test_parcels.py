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
KNOWN = {
    None: (
        "015dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef222b976baf895c04d14596c16b7a9268b3e4eb1d4614e446994136248e82c5bf"
        "fc3718e73f2289d87fd6c6352a141c668bb052e18a4a7ed672666097e9966369e00dd9bb474b34d796f72d9690b58916ae069b1e6eedef5e",
        "9a6ad813ea2b379653919ed7d73c1162b28c7dcd86ecb3cd40afb4f40ab90156",
    ),
    bytes([5]) * 32: (
        "015dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef227f4279a648b2cf96b6c629dbf5f94a15779eefd77c825c5012c8fd4b2cd730"
        "efc2136d2e06d3fb67e1daefeceead559ab04c5cde34d864769a7ea567f612c32aa25e1fb078d4d7307b108e467f8f129de5e87f6e973100",
        "a80bdac378889c4184370613f1735102a604de3c5b3fe7c8affab21ef1ed8fa4",
    ),
}


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


def seal(sender, to, psk, ephemeral, header, payload):
    pair = X25519PrivateKey.from_private_bytes(ephemeral)
    context = hash_of(b"vixp2p parcel v1", raw(pair), to, raw(sender), header)
    aead, prk = keys(psk, pair.exchange(X25519PublicKey.from_public_bytes(montgomery(to))), context)
    whole = hash_of(context, payload)
    text = payload + sender.sign(b"vixp2p sig parcel\0" + whole)
    return b"\1" + raw(pair) + aead.encrypt(bytes(12), text, context), expand(prk, b"parcel receipt", whole, 32)


def open_(me, sender, psk, header, parcel):
    scalar = hashlib.sha512(me.private_bytes_raw()).digest()[:32]
    assert parcel[0] == 1
    ephemeral = parcel[1:33]
    context = hash_of(b"vixp2p parcel v1", ephemeral, raw(me), sender, header)
    shared = X25519PrivateKey.from_private_bytes(scalar).exchange(X25519PublicKey.from_public_bytes(ephemeral))
    aead, prk = keys(psk, shared, context)
    text = aead.decrypt(bytes(12), parcel[33:], context)
    payload, signature = text[:-64], text[-64:]
    whole = hash_of(context, payload)
    Ed25519PublicKey.from_public_bytes(sender).verify(signature, b"vixp2p sig parcel\0" + whole)
    return payload, expand(prk, b"parcel receipt", whole, 32)


A, B = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))


@pytest.mark.parametrize("psk", KNOWN)
def test_the_known_answer_is_sealed_and_opened(psk):
    parcel, receipt = seal(A, raw(B), psk, bytes([3]) * 32, b"header", b"payload")
    assert (parcel.hex(), receipt.hex()) == KNOWN[psk]
    assert open_(B, raw(A), psk, b"header", parcel) == (b"payload", receipt)


def test_another_header_sender_secret_or_byte_does_not_open():
    parcel, _ = seal(A, raw(B), None, bytes([3]) * 32, b"header", b"payload")
    altered = parcel[:-1] + bytes([parcel[-1] ^ 1])
    for sender, psk, header, text in [
        (raw(B), None, b"header", parcel),
        (raw(A), bytes([5]) * 32, b"header", parcel),
        (raw(A), None, b"heades", parcel),
        (raw(A), None, b"header", altered),
    ]:
        with pytest.raises((InvalidTag, InvalidSignature)):
            open_(B, sender, psk, header, text)
