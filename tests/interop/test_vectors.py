"""The second implementation gets every value of tests/vectors/handshake_v2.json from the inputs."""

import json
from pathlib import Path

import pytest
import vixp2p_wire as wire
from vixp2p_crypto import X25519, H, text_bytes
from vixp2p_wire import DATA, HELLO, HELLO_ACK, HELLO_FINISH, WELCOME, Identity, Initiator, Responder, framed_envelope, pad

FILE = Path(__file__).resolve().parents[1] / "vectors" / "handshake_v2.json"
CASES = json.loads(FILE.read_text())["cases"]


def side_of(case, role):
    """One side, its randomness taken from the case."""
    given = case["inputs"][role]
    ephemeral = dict(given["ephemeral"])

    def draw(name, count):
        if name.startswith("nonce"):
            drawn = bytes.fromhex(given["nonce"])[::-1]
        elif name.startswith("rand"):
            drawn = bytes.fromhex(given["rand"])
        else:
            group = int(name[-1]) if name.startswith("share") else int(case["suite"], 16) >> 8
            drawn = bytes.fromhex(ephemeral["x25519" if group == X25519 else "xwing"])[:count]
        assert len(drawn) == count
        return drawn

    me = Identity(bytes.fromhex(given["seed"]), given["node_id"], tuple(given["capabilities"].items()), bytes.fromhex(given["cert"]))
    assert me.public.hex() == given["public_key"]
    suites = [int(suite, 16) for suite in given["suites"]]
    psk = bytes.fromhex(case["inputs"]["psk"]) or None
    side = {"initiator": Initiator, "responder": Responder}[role](me, psk, suites, draw)
    # From here on the draws are those of the key update.
    side.begin_update = lambda: ephemeral.update(given["update_ephemeral"])
    return side


def shaken(case):
    """Both sides after their handshake, each message compared."""
    i, r = side_of(case, "initiator"), side_of(case, "responder")
    hello = i.hello()
    assert framed_envelope(HELLO, hello).hex() == case["hello"]
    ack = r.ack(hello)
    assert framed_envelope(HELLO_ACK, ack).hex() == case["hello_ack"]
    finish = i.finish(ack)
    assert framed_envelope(HELLO_FINISH, finish).hex() == case["hello_finish"]
    r.done(finish)
    return i, r


def box_of(side, box):
    claim = side.me.claim()
    signature = side.me.key.sign(box.to_sign(claim))
    fin = wire.MAC(box.fin_key, H(box.h, claim + signature))
    identity = pad(claim + signature + fin)
    return {name: value.hex() for name, value in {"claim": claim, "signature": signature, "fin": fin, "identity": identity}.items()}


cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])


@cases
def test_the_handshake_is_that_of_the_vectors(case):
    i, r = shaken(case)
    assert f"{i.suite:#06x}" == case["suite"] and i.suite == r.suite
    assert box_of(r, r.box_b) == case["responder_box"]
    assert box_of(i, i.box_a) == case["initiator_box"]
    for side in (i, r):
        initiator, session = side is i, side.session
        directions = (session.sender, session.receiver) if initiator else (session.receiver, session.sender)
        secrets = {
            "base": side.psk.base,
            "cluster_tag": side.psk.tag,
            "psk_id": side.psk.id,
            "mac1_key": side.psk.mac1_key,
            "k_r": side.box_b.key,
            "m_r": side.box_b.fin_key,
            "k_i": side.box_a.key,
            "m_i": side.box_a.fin_key,
            "s_i2r": directions[0].secret,
            "s_r2i": directions[1].secret,
            **{name: getattr(side, name) for name in ("h1", "h2", "h3", "h4", "dh", "salt", "hs", "master", "session_id")},
        }
        assert {name: value.hex() for name, value in secrets.items()} == case["secrets"]
    for seen, other in ((i.peer, r.me), (r.peer, i.me)):
        assert (seen.public, seen.node_id, seen.capabilities) == (other.public, other.node_id, other.capabilities)
        assert b"".join(seen.earlier) == b"".join(other.cert[at : at + 32] for at in range(0, len(other.cert), 104))


@cases
def test_the_records_and_fresh_keys_are_those_of_the_vectors(case, monkeypatch):
    sealed, agreed, seal, fresh = [], [], wire.Direction.seal, wire.Session.fresh

    def noting_seal(direction, plain, *rest):
        before = (direction.epoch, direction.number, direction.secret.hex(), direction.key.hex(), direction.nonce().hex(), plain.hex())
        sealed.append((*before, seal(direction, plain, *rest)))
        return sealed[-1][-1]

    def noting_fresh(session, dh, *shares):
        agreed.append((dh.hex(), fresh(session, dh, *shares).hex()))
        return bytes.fromhex(agreed[-1][1])

    i, r = shaken(case)
    i.begin_update()
    r.begin_update()
    monkeypatch.setattr(wire.Direction, "seal", noting_seal)
    monkeypatch.setattr(wire.Session, "fresh", noting_fresh)
    sessions = {"i": i.session, "r": r.session}
    for n, record in enumerate(case["records"]):
        sender, receiver = sessions[record["by"]], sessions["r" if record["by"] == "i" else "i"]
        plain = bytes.fromhex(record["plaintext"])
        if record["what"] == "Offer":
            sender.offer()
        elif record["what"] in ("Welcome", "data"):
            if record["epoch"] != sender.sender.epoch:
                sender.sender.step()
            kind, body = (WELCOME, b"") if record["what"] == "Welcome" else (DATA, plain[2:])
            sender.send(kind, body)
        # An Answer and a Switch were made when the step before them came.
        assert len(sealed) == n + 1
        names = ("epoch", "number", "secret", "key", "nonce", "plaintext")
        assert dict(zip(names, sealed[n])) == {name: record[name] for name in names}
        assert sealed[n][-1].hex() == record["record"]
        sender.out.clear()
        got = receiver.receive(sealed[n][-1])
        assert [text_bytes(bytes([kind]) + body) for kind, body in got] == [plain]
    assert agreed == [(case["fresh"]["dh"], case["fresh"]["fresh"])] * 2
    assert i.session.fresh_keys == r.session.fresh_keys == 1
