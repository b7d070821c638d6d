"""A node as a Python program sees it."""

import asyncio
import gc
import http.server
import json
import os
import queue
import select
import threading
import weakref

import pytest
from conftest import join, wait_for

import vixp2p
from vixp2p import (
    Direction,
    DiscoveryMode,
    EventKind,
    Invite,
    Durability,
    KeyAgreement,
    LogId,
    LogLevel,
    Node,
    PeerId,
    HandshakeStage,
    PeerState,
    Registry,
    RegistryPeer,
    Status,
    TrustPolicy,
    TrustState,
    VixP2PError,
    _abi,
)

TOFU = {"listen": ("127.0.0.1", 0), "trust": TrustPolicy.TOFU}


def test_the_versions_agree():
    assert vixp2p.library_version() == vixp2p.__version__
    assert _abi.lib.vixp2p_version_number() == 0x000100
    assert _abi.lib.vixp2p_abi_version() == _abi.ABI_VERSION


def test_peer_ids_are_bytes_and_print_as_hex():
    id = PeerId("AB" * 32)
    assert id == b"\xab" * 32 and str(id) == "ab" * 32
    assert PeerId(str(id)) == id and len({id, PeerId(bytes(id))}) == 1
    with pytest.raises(VixP2PError) as caught:
        PeerId("ab")
    assert caught.value.status == Status.ERR_INVALID
    with pytest.raises(ValueError):
        PeerId(b"short")


def test_a_peer_says_of_itself_what_it_was_told_to():
    said = {"role": "archive", "größe": "4 TB"}
    with Node("a", **TOFU) as a, Node("b", capabilities=said, **TOFU) as b:
        join(a, b)
        assert a.capabilities(b.id) == said
        assert b.capabilities(a.id) == {}
        with pytest.raises(VixP2PError) as caught:
            a.capabilities(PeerId(b"\x09" * 32))
        assert caught.value.status == Status.ERR_NOT_CONNECTED
    with pytest.raises(VixP2PError):
        Node("c", capabilities={"k" * 256: "too long"})


def test_nodes_meet_and_see_each_other(pair):
    a, b = pair
    (peer,) = a.peers()
    assert peer.id == b.id and peer.secure and peer.trusted and peer.state == PeerState.CONNECTED
    assert peer.direction == Direction.INBOUND and peer.node_id == "b"
    assert (peer.stage, peer.failures, peer.next_attempt_in_ms, peer.last_reason) == (HandshakeStage.FINISHED, 0, None, None)
    (target,) = b.targets()
    assert (target.id, target.wanted, target.state, target.failures) == (a.id, True, PeerState.CONNECTED, 0)
    assert a.targets() == [] and a.stats()["peers_connected"] == 1
    assert b.port != a.port != 0


def test_an_endpoint_nobody_answers_at_says_why_and_when_it_is_tried_again():
    with Node("a") as a:
        a.connect("127.0.0.1:1")
        assert wait_for(a, EventKind.CONNECT_FAILED).reason == "refused"
        (target,) = a.targets()
        assert (target.endpoint, target.state, target.failures, target.last_reason) == ("tcp://127.0.0.1:1", PeerState.DISCONNECTED, 1, "refused")
        assert 0 < target.next_attempt_in_ms <= 2500 and "refused" in target.last_reason_text
        (peer,) = a.peers()
        assert (peer.id, peer.failures, peer.last_reason) == (None, 1, "refused")


def test_messages_go_both_ways_and_may_be_empty(pair):
    a, b = pair
    a.send(b.id, b"\x00zero\x00")
    assert wait_for(b, EventKind.MESSAGE).data == b"\x00zero\x00"
    b.send(a.id, memoryview(b""))
    message = wait_for(a, EventKind.MESSAGE)
    assert message.data == b"" and message.peer == b.id
    assert a.broadcast(b"all") == 1


def test_errors_carry_a_status_and_a_sentence(pair):
    a, _ = pair
    with pytest.raises(vixp2p.NotConnected) as caught:
        a.send(PeerId(b"\x07" * 32), b"x")
    assert caught.value.status == Status.ERR_NOT_CONNECTED
    assert str(caught.value).startswith("vixp2p_node_send: ")
    with pytest.raises(VixP2PError, match="endpoint"):
        a.connect("nowhere")
    with pytest.raises(VixP2PError, match="psk"):
        Node(psk=b"short")


def test_a_closed_node_refuses_and_closing_twice_is_nothing():
    node = Node("gone")
    node.close()
    node.close()
    with pytest.raises(VixP2PError) as caught:
        node.start()
    assert caught.value.status == Status.ERR_BAD_HANDLE
    assert repr(node) == "<vixp2p.Node closed>"


def test_a_node_nobody_refers_to_is_destroyed():
    node = Node("forgotten", on_event=lambda event: None)
    gone, handle = weakref.ref(node), node._handle
    del node
    gc.collect()
    assert gone() is None
    assert _abi.lib.vixp2p_node_start(handle) == Status.ERR_BAD_HANDLE


def test_records_are_applied_in_order_and_acknowledged():
    applied = []
    with Node("a", **TOFU) as a, Node("b", **TOFU, on_apply=applied.append) as b:
        assert a.append(b"one") == 1
        assert a.append_batch([b"two", b""]) == (2, 3)
        join(a, b)
        while len(applied) < 3:
            assert select.select([b], [], [], 30)[0]
            b.next_event()
        while wait_for(a, EventKind.ACKED).applied < 3:
            pass
        assert [(r.log, r.seq, r.data) for r in applied] == [(a.own_log(), n + 1, d) for n, d in enumerate([b"one", b"two", b""])]
        (state,) = [state for state in b.logs() if state.log == a.own_log()]
        assert (state.durable, state.applied) == (3, 3)


def test_an_error_in_an_apply_callback_is_raised_and_the_record_comes_again():
    seen = []

    def apply(record):
        seen.append(record.seq)
        if len(seen) == 1:
            raise KeyError("not yet")

    with Node("a", **TOFU) as a, Node("b", **TOFU, on_apply=apply) as b:
        join(a, b)
        a.append(b"x")
        with pytest.raises(KeyError, match="not yet"):
            while True:
                assert b.wait_event(30) is not None
        while len(seen) < 2:
            assert select.select([b], [], [], 30)[0]
            b.next_event()
        assert seen == [1, 1]


def test_dispatch_runs_callbacks_here_and_raises_their_first_error(pair):
    a, b = pair
    got = []

    def on_message(peer, data):
        got.append((peer, data))
        raise RuntimeError(data.decode())

    b.on_message(on_message)
    events = []
    b.on_event(events.append)
    a.send(b.id, b"first")
    a.send(b.id, b"second")
    with pytest.raises(RuntimeError, match="first"):
        while not got:
            assert select.select([b], [], [], 30)[0]
            b.dispatch()
    while len(got) < 2:
        assert select.select([b], [], [], 30)[0]
        try:
            b.dispatch(1)
        except RuntimeError:
            pass
    assert got == [(a.id, b"first"), (a.id, b"second")]
    b.on_message(None)
    a.disconnect(b.id)
    while EventKind.PEER_DISCONNECTED not in [event.kind for event in events]:
        assert select.select([b], [], [], 30)[0]
        b.dispatch()
    b.on_event(None)


def test_an_event_taken_beside_a_failing_log_callback_is_not_lost():
    def on_log(level, line):
        raise ValueError(line)

    with Node("a", listen=("127.0.0.1", 0), on_log=on_log, log_level=LogLevel.TRACE) as a:
        kinds = []
        with Node("b", listen=("127.0.0.1", 0)) as b:
            b.connect(f"127.0.0.1:{a.port}")
            failures = 0
            while EventKind.PEER_CONNECTED not in kinds:
                try:
                    event = a.wait_event(30)
                    assert event is not None
                    kinds.append(event.kind)
                except ValueError:
                    failures += 1
        assert failures > 0 and kinds[0] == EventKind.STARTED
        a.on_log(None)
        a.set_log_level(LogLevel.OFF)


def test_callbacks_may_not_wait_for_themselves(pair):
    a, b = pair
    errors = []

    def on_message(_peer, _data):
        with pytest.raises(VixP2PError) as caught:
            b.stop()
        errors.append(caught.value.status)

    b.on_message(on_message)
    a.send(b.id, b"x")
    while not errors:
        assert select.select([b], [], [], 30)[0]
        b.dispatch()
    assert errors == [Status.ERR_WOULD_DEADLOCK]


def test_a_node_can_be_stopped_and_started_again():
    node = Node("again", listen=("127.0.0.1", 0)).start()
    node.stop(1)
    assert [event.kind for event in node.events()] == [EventKind.STARTED, EventKind.STOPPED]
    with pytest.raises(vixp2p.Stopped):
        node.wait_event()
    node.set_applied(LogId(PeerId(bytes(32)), 1), 0)
    node.start()
    assert wait_for(node, EventKind.STARTED).port == node.port
    assert node.next_event() is None
    assert node.wait_event(0) is None
    node.close()


def test_a_poisoned_record_parks_its_log_until_it_is_skipped_by_order():
    applied = []

    def on_apply(record):
        if record.seq == 2:
            raise vixp2p.Poison("cannot be read")
        applied.append(record.data)

    a = Node("a", **TOFU).start()
    b = Node("b", **TOFU, on_apply=on_apply).start()
    for payload in (b"one", b"two", b"three"):
        a.append(payload)
    a.connect(f"127.0.0.1:{b.port}")
    parked = wait_for(b, EventKind.APPLY_PARKED)
    assert (parked.log, parked.seq, applied) == (a.own_log(), 2, [b"one"])
    b.apply_resume(parked.log, skip=True)
    assert wait_for(b, EventKind.APPLY_RESUMED).seq == 2
    while applied != [b"one", b"three"]:
        b.wait_event(0.05)
    with pytest.raises(VixP2PError):
        b.apply_resume(parked.log)
    a.close()
    b.close()


def test_the_programs_own_cursor_decides_where_records_begin():
    applied, asked = [], []

    def on_cursor(log):
        asked.append(log)
        return 2

    a = Node("a", **TOFU).start()
    b = Node("b", **TOFU, on_apply=lambda r: applied.append(r.data), on_cursor=on_cursor).start()
    for payload in (b"one", b"two", b"three"):
        a.append(payload)
    a.connect(f"127.0.0.1:{b.port}")
    while not applied:
        b.wait_event(0.05)
    assert (applied, asked) == ([b"three"], [a.own_log()])
    a.close()
    b.close()


def test_a_cursor_callback_that_fails_has_nothing_applied():
    applied, answers = [], ["two", None]

    def on_cursor(_log):
        answer = answers.pop(0)
        if answer is None:
            raise KeyError("no database")
        return answer

    a = Node("a", **TOFU).start()
    b = Node("b", **TOFU, on_apply=lambda r: applied.append(r.data), on_cursor=on_cursor).start()
    a.append(b"one")
    a.connect(f"127.0.0.1:{b.port}")
    for error in (TypeError, KeyError):
        with pytest.raises(error):
            while True:
                b.wait_event(0.05)
    b.stop()
    answers.append(None)
    with pytest.raises(KeyError):
        b.start()
    assert b.port == 0 and applied == []
    answers.append(0)
    b.start()
    while not applied:
        b.wait_event(0.05)
    a.close()
    b.close()


def test_identity_and_log_live_in_the_data_directory(tmp_path):
    with Node("first", data_dir=tmp_path / "data") as node:
        id = node.id
        assert node.append(b"kept") == 1
        with pytest.raises(VixP2PError) as caught:
            Node("second", data_dir=tmp_path / "data")
        assert caught.value.status == Status.ERR_DIR_IN_USE
    with Node("first", data_dir=tmp_path / "data") as node:
        assert node.id == id and node.append(b"more") == 2


def test_an_event_loop_can_watch_a_node(pair):
    a, b = pair

    async def talk():
        loop = asyncio.get_running_loop()
        got = loop.create_future()
        b.on_message(lambda _peer, data: got.done() or got.set_result(data))
        loop.add_reader(b.fileno(), b.dispatch)
        a.send(b.id, b"asyncio")
        try:
            return await asyncio.wait_for(got, 30)
        finally:
            loop.remove_reader(b.fileno())

    assert asyncio.run(talk()) == b"asyncio"


def test_a_forked_child_is_refused_the_parents_node():
    with Node("parent") as node:
        child = os.fork()
        if child == 0:
            try:
                node.append(b"x")
            except VixP2PError as error:
                os._exit(0 if error.status == Status.ERR_FORKED else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert node.append(b"x") == 1


def test_a_buffered_append_is_accepted_and_reaches_peers_once_it_is_durable(tmp_path):
    with Node("a", listen=("127.0.0.1", 0), data_dir=tmp_path / "a", psk=b"k" * 32, durability=Durability.BUFFERED) as a:
        with Node("b", psk=b"k" * 32) as b:
            b.connect(f"127.0.0.1:{a.port}")
            wait_for(a, EventKind.PEER_CONNECTED)
            assert [a.append(b"x") for _ in range(20)] == list(range(1, 21))
            while wait_for(a, EventKind.ACKED).applied < 20:
                pass
    with Node("a", data_dir=tmp_path / "a") as a:
        assert a.append(b"y") == 21


def test_keys_are_renewed_by_either_side_while_messages_flow():
    with Node("a", listen=("127.0.0.1", 0), key_agreement=KeyAgreement.POST_QUANTUM) as a, Node("b") as b:
        b.connect(f"127.0.0.1:{a.port}")
        wait_for(b, EventKind.PEER_CONNECTED)
        wait_for(a, EventKind.PEER_CONNECTED)
        for round in range(4):
            asking = (a, b)[round % 2]
            other = (b, a)[round % 2]
            asking.rekey(other.id)
            asking.send(other.id, b"meanwhile")
            assert wait_for(other, EventKind.MESSAGE).data == b"meanwhile"
            assert wait_for(asking, EventKind.FRESH_KEYS).peer == other.id


def test_a_message_reaches_a_peer_that_is_no_neighbour_or_its_sender_is_told_why_not():
    psk = bytes(range(32))
    with Node("b", listen=("127.0.0.1", 0), psk=psk, peer_exchange=False) as b:
        with Node("a", psk=psk) as a, Node("c", psk=psk) as c:
            for node in (a, c):
                node.connect(f"127.0.0.1:{b.port}")
                wait_for(node, EventKind.PEER_CONNECTED)
            number = a.send_to(c.id, b"over b")
            message = wait_for(c, EventKind.MESSAGE)
            assert (message.peer, message.data) == (a.id, b"over b")
            delivered = wait_for(a, EventKind.DELIVERED)
            assert (delivered.peer, delivered.message_number) == (c.id, number)
            assert (a.route(c.id).next_hop, a.route(c.id).via_relay) == (b.id, True)
            nobody = PeerId("58" + 62 * "6")
            a.set_route(nobody, b.id, 3)
            assert a.route(nobody).ttl == 3
            assert a.remove_route(nobody) and not a.remove_route(nobody)
            assert a.route(nobody) is None
            number = a.send_to(nobody, b"lost", life_ms=300)
            given_up = wait_for(a, EventKind.UNDELIVERED)
            assert (given_up.peer, given_up.message_number, given_up.reason) == (nobody, number, "no_route")


def test_nodes_meet_over_unix_sockets_and_within_the_process(tmp_path):
    places = [f"unix://{tmp_path}/a.sock", "mem://python"]
    with Node("a", listen_also=places) as a:
        for place in places:
            with Node("b") as b:
                b.connect(place)
                event = wait_for(b, EventKind.PEER_CONNECTED)
                assert event.peer == a.id and event.endpoint == place
    with pytest.raises(VixP2PError, match="known are tcp, unix, mem"):
        Node("a", listen_also=["quic://127.0.0.1:1"])


def test_an_address_is_forgotten_and_a_failed_dial_names_its_key(pair):
    a, b = pair
    key = PeerId("01" * 32)
    a.connect("mem://nobody", key)
    assert wait_for(a, EventKind.CONNECT_FAILED).peer == key
    a.network_changed()
    a.forget_endpoint("mem://nobody")
    assert [peer.id for peer in a.peers()] == [b.id]


def test_who_was_met_is_found_again_unless_nobody_is_to_be_remembered(tmp_path):
    with Node("a", listen=("127.0.0.1", 0)) as a:
        for remember in (True, True, False):
            with Node("b", data_dir=tmp_path, remember_peers=remember) as b:
                if remember and not (tmp_path / "peers").exists():
                    b.connect(f"127.0.0.1:{a.port}")
                if remember:
                    assert wait_for(b, EventKind.PEER_CONNECTED).peer == a.id
                else:
                    assert b.stats()["connect_attempts"] == 0


def test_nodes_connect_across_a_change_of_the_pre_shared_key():
    old, new = b"o" * 32, b"n" * 32
    for ours, theirs in [((new, old), (old, None)), ((old, None), (new, old)), ((new, old), (new, old))]:
        with Node("a", listen=("127.0.0.1", 0), psk=theirs[0], psk_previous=theirs[1]) as a:
            with Node("b", psk=ours[0], psk_previous=ours[1]) as b:
                b.connect(f"127.0.0.1:{a.port}")
                assert wait_for(b, EventKind.PEER_CONNECTED).peer == a.id


def test_a_node_that_wants_only_x_wing_refuses_one_that_wants_only_x25519():
    with Node("a", listen=("127.0.0.1", 0), key_agreement=KeyAgreement.POST_QUANTUM) as a:
        with Node("b", key_agreement=KeyAgreement.CLASSIC) as b:
            b.connect(f"127.0.0.1:{a.port}")
            assert "no common cipher suite" in wait_for(a, EventKind.HANDSHAKE_FAILED).text
            assert wait_for(b, EventKind.CONNECT_FAILED).reason == "lost"


def test_a_sealed_key_opens_with_its_passphrase_only(tmp_path):
    def identity(passphrase=None):
        node = Node("sealed", data_dir=tmp_path / "data", key_passphrase=passphrase)
        try:
            return node.id
        finally:
            node.close()

    first = identity("open sesame")
    assert identity(b"open sesame") == first
    for passphrase, why in [("open", "passphrase is wrong"), (None, "no passphrase was given")]:
        with pytest.raises(VixP2PError, match=why) as caught:
            identity(passphrase)
        assert caught.value.status == Status.ERR_KEY and "sesame" not in str(caught.value)
    with pytest.raises(VixP2PError, match="empty"):
        identity("")


def test_an_invite_survives_its_line_and_hides_its_secret():
    invite = Invite(PeerId(b"\x07" * 32), ("tcp://node-b:9001", "tcp://[::1]:2"), b"\x09" * 32)
    line = invite.text()
    assert line.startswith("vixp2p1") and Invite.parse(f" {line.upper()}\n") == invite
    assert "psk" not in repr(invite)
    open_one = Invite(invite.peer, invite.addresses[:1])
    assert Invite.parse(open_one.text()) == open_one and open_one.psk is None
    for text, why in [("hello", "not an invite"), (line[:-1], "damaged"), ("vixp2p2aaaa", "newer version")]:
        with pytest.raises(VixP2PError, match=why):
            Invite.parse(text)
    with pytest.raises(VixP2PError, match="address_count is 0"):
        Invite(invite.peer, ()).text()


def test_a_key_is_trusted_revoked_and_forgotten(pair):
    a, b = pair
    (entry,) = a.trusted()
    assert (entry.id, entry.state, entry.label) == (b.id, TrustState.PINNED, "b") and entry.added_s > 0
    a.revoke(b.id)
    for node in pair:
        assert wait_for(node, EventKind.PEER_DISCONNECTED).reason == "revoked"
    a.trust(b.id, "bob")
    assert [(entry.state, entry.label) for entry in a.trusted()] == [(TrustState.TRUSTED, "bob")]
    b.connect(f"localhost:{a.port}", a.id)
    assert wait_for(b, EventKind.PEER_CONNECTED).trusted is True
    assert a.forget(b.id) is True and a.forget(b.id) is False
    with pytest.raises(VixP2PError, match="policy"):
        Node(trust=9)


def test_a_registry_is_told_of_a_node_and_names_others():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(b'{"ok":true}', body)

        def do_GET(self):
            named = {"node_id": "a", "host": "127.0.0.1", "tcp_port": a.port}
            self.answer(json.dumps({"peers": [named]}).encode(), b"")

        def answer(self, body, heard):
            requests.put((self.path, self.headers["Authorization"], heard))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    requests = queue.Queue()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, Node("a", **TOFU) as a:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        registry = Registry(f"http://127.0.0.1:{server.server_port}", announce=True, token="open-sesame", max_peers_per_poll=7)
        assert "open-sesame" not in repr(registry)
        with Node("b", registry=registry, announce_port=4711, **TOFU) as b:
            wait_for(b, EventKind.PEER_CONNECTED)
            path, token, heard = requests.get(timeout=30)
            assert (path, token, json.loads(heard)["tcp_port"]) == ("/announce", "Bearer open-sesame", 4711)
            assert requests.get(timeout=30)[:2] == ("/peers?limit=7", "Bearer open-sesame")
            assert b.registry_peers() == [RegistryPeer("a", "127.0.0.1", a.port)]
        server.shutdown()
    with pytest.raises(VixP2PError, match="neither http nor https"):
        Node(registry=Registry("ftp://127.0.0.1"))


def test_strangers_exchange_messages_but_no_records_until_they_trust_each_other():
    with Node("a", listen=("127.0.0.1", 0)) as a, Node("b", listen=("127.0.0.1", 0)) as b:
        a.append(b"secret")
        b.connect(f"127.0.0.1:{a.port}")
        assert wait_for(a, EventKind.PEER_CONNECTED).trusted is False
        assert wait_for(b, EventKind.PEER_CONNECTED).trusted is False
        assert wait_for(b, EventKind.SYNC_DECLINED).peer == a.id
        a.send(b.id, b"hello")
        assert wait_for(b, EventKind.MESSAGE).data == b"hello"
        assert [state.log for state in b.logs()] == [b.own_log()]
        a.trust(b.id)
        b.trust(a.id)
        changed = wait_for(a, EventKind.TRUST_CHANGED)
        assert changed.peer == b.id and changed.trusted is True
        while wait_for(a, EventKind.ACKED).durable < 1:
            pass


def test_a_name_with_another_key_is_refused_and_told():
    with Node("a", **TOFU) as a, Node("b", **TOFU) as b, Node("b", **TOFU) as other:
        join(a, b)
        other.connect(f"127.0.0.1:{a.port}")
        event = wait_for(a, EventKind.IDENTITY_CHANGED)
        assert (event.peer, event.former, event.node_id, event.direction) == (other.id, b.id, "b", Direction.INBOUND)


def test_nodes_find_each_other_on_the_loopback_interface_alone():
    port = 20_000 + os.getpid() % 20_000
    where = {"discovery": DiscoveryMode.MULTICAST, "discovery_port": port, "discovery_interfaces": ["lo"], "discovery_interval_ms": 100}
    with Node("a", **TOFU, **where) as a, Node("b", **TOFU, **where) as b:
        event = wait_for(a, EventKind.PEER_DISCOVERED)
        assert (event.node_id, event.endpoint) == ("b", f"tcp://127.0.0.1:{b.port}")
        assert wait_for(a, EventKind.PEER_CONNECTED).peer == b.id
        (found,) = a.discovered()
        assert (found.node_id, found.endpoint, found.authenticated) == ("b", event.endpoint, False) and found.last_seen_ms_ago >= 0
    with pytest.raises(VixP2PError, match="interval"):
        Node(discovery=DiscoveryMode.BOTH, discovery_interval_ms=1)
    # Alone as well. Not started: mDNS speaks to a port that is not this process's own.
    Node(mdns=True, discovery_interfaces=["lo"]).close()
    with pytest.raises(VixP2PError, match="interval"):
        Node(mdns=True, discovery_interval_ms=1)


def test_the_process_log_hears_every_node_by_name_until_it_is_cleared():
    heard = []
    vixp2p.set_process_log(lambda level, node_id, text: heard.append(node_id), LogLevel.INFO)
    try:
        with Node("one") as one, Node("two") as two:
            wait_for(one, EventKind.STARTED)
            wait_for(two, EventKind.STARTED)
        assert {"one", "two"} <= set(heard)
    finally:
        vixp2p.clear_process_log()
    with Node("three") as three:
        wait_for(three, EventKind.STARTED)
    assert "three" not in heard
