"""The last value of each key is a dict that nodes share."""

import time

import pytest

from vixp2p import Node, Status, TrustPolicy, VixP2PError

TOFU = {"listen": ("127.0.0.1", 0), "trust": TrustPolicy.TOFU}


def until(look):
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.005)  # nothing tells of a value


def test_two_nodes_share_a_dict_and_have_it_again_after_a_restart(tmp_path):
    a, b = Node("a", data_dir=tmp_path, **TOFU), Node("b", **TOFU)
    of_a, of_b = a.keep_last_values(), b.keep_last_values()
    with a, b:
        b.connect(f"127.0.0.1:{a.port}")
        of_a.update({b"one": b"1", b"two": b"x" * 100_000, b"": b"of no key", b"gone": b""})
        del of_a[b"gone"]
        with pytest.raises(KeyError):
            del of_a[b"gone"]
        of_a.remove(b"gone")
        of_a[b"last"] = b"a"
        until(lambda: b"last" in of_b)
        assert dict(of_b.items()) == {b"one": b"1", b"two": b"x" * 100_000, b"": b"of no key", b"last": b"a"}
        assert len(of_b) == 4 and of_b.get(b"gone") is None and "one" not in of_b
        assert sorted(of_b.values()) == sorted([b"1", b"x" * 100_000, b"of no key", b"a"])
        with pytest.raises(KeyError):
            of_b[b"gone"]
        with pytest.raises(TypeError):
            of_b[3] = b"would be three zeros"
        with pytest.raises(TypeError):
            of_b[b"three"] = 3
        of_b[b"last"] = b"b"
        until(lambda: of_a[b"last"] == b"b")
        assert list(of_a) == [b"", b"last", b"one", b"two"] and of_a.next_key(b"last") == b"one"
        before = dict(of_a)
        with pytest.raises(VixP2PError) as refused:
            a.on_snapshot(lambda out, own: None, lambda state: None)
        assert refused.value.status == Status.ERR_INVALID
    with Node("c", **TOFU) as running, pytest.raises(VixP2PError):
        running.keep_last_values()
    with Node("c", on_apply=print, **TOFU) as applies, pytest.raises(VixP2PError):
        applies.keep_last_values()
    again = Node("a", data_dir=tmp_path, **TOFU)
    assert dict(again.keep_last_values()) == before
    again.close()
