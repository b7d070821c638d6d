"""A blocking socket around vixp2p_wire: dials a node or answers one. Every wait is bounded."""

import os
import socket
import struct

from vixp2p_wire import CLOSE, DATA, HELLO, HELLO_ACK, HELLO_FINISH, VECTOR, WELCOME, Identity, Initiator, Responder
from vixp2p_wire import framed_envelope, open_envelope, take_frame, text_bytes, u64, varint

WAIT_S = 20


class Ended(Exception):
    """The other side closed; `close` is (code, detail) if it said why, and None if it said nothing."""

    def __init__(self, close=None):
        super().__init__(f"the connection ended: {close}")
        self.close = close


class Link:
    def __init__(self, sock, side):
        self.sock, self.side, self.got = sock, side, []
        sock.settimeout(WAIT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.plain = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.sock.close()

    @property
    def session(self):
        return self.side.session

    def more(self):
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionError as error:
            raise Ended() from error
        if not data:
            raise Ended()
        return data

    # ---- the handshake

    def send_envelope(self, kind, payload):
        self.sock.sendall(framed_envelope(kind, payload))

    def receive_envelope(self, kind):
        while (frame := take_frame(self.plain)) is None:
            self.plain += self.more()
        return open_envelope(frame, kind)

    def shake_as_initiator(self):
        self.send_envelope(HELLO, self.side.hello())
        self.send_envelope(HELLO_FINISH, self.side.finish(self.receive_envelope(HELLO_ACK)))
        kind, body = self.receive()
        if kind == CLOSE:
            raise Ended(read_close(body))
        assert (kind, body) == (WELCOME, b"")
        self.send_vector()
        return self

    def shake_as_responder(self):
        self.send_envelope(HELLO_ACK, self.side.ack(self.receive_envelope(HELLO)))
        self.side.done(self.receive_envelope(HELLO_FINISH))
        self.send(WELCOME)
        self.send_vector()
        return self

    # ---- the session

    def flush(self):
        if self.session.out:
            self.sock.sendall(self.session.out)
            self.session.out.clear()

    def send(self, kind, body=b""):
        self.session.send(kind, body)
        self.flush()

    def send_vector(self):
        """One line: this side's own log, empty."""
        self.send(VECTOR, varint(1) + self.side.me.public + u64(int.from_bytes(os.urandom(7), "little") + 1) + bytes(16))

    def receive(self):
        """The next frame."""
        while not self.got:
            early, self.plain = self.plain, bytearray()
            self.got += self.session.receive(bytes(early) or self.more())
            self.flush()
        return self.got.pop(0)

    def receive_until(self, wanted):
        """The body of the next frame of that kind."""
        while True:
            kind, body = self.receive()
            if kind == wanted:
                return body
            if kind == CLOSE:
                raise Ended(read_close(body))

    def exchange(self, node, payload):
        """A message there and one back, both compared; the node's events are read by the caller."""
        self.send(DATA, payload)
        node.send(self.side.me.public, payload[::-1])
        assert self.receive_until(DATA) == payload[::-1]

    def drain(self):
        """Reads to the end; what the other side said by Close, or None."""
        try:
            while True:
                kind, body = self.receive()
                if kind == CLOSE:
                    return read_close(body)
        except (Ended, ConnectionError):
            return None

    def close(self, code=2, detail=""):
        """Says goodbye and waits for the other end to go."""
        self.send(CLOSE, bytes([code]) + text_bytes(detail.encode()))
        self.sock.shutdown(socket.SHUT_WR)
        self.drain()
        self.sock.close()

    def reset(self):
        """Ends without a word and without leaving the port in TIME_WAIT."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def read_close(body):
    return body[0], body[2:].decode()


def connect(port, side):
    return Link(socket.create_connection(("127.0.0.1", port), WAIT_S), side)


def dial(port, me=None, side=Initiator, **options):
    """A link to a node, past Welcome."""
    link = connect(port, side(me or Identity(), **options))
    try:
        return link.shake_as_initiator()
    except BaseException:
        link.sock.close()
        raise


class Listener:
    def __init__(self):
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.sock.settimeout(WAIT_S)
        self.endpoint = f"127.0.0.1:{self.sock.getsockname()[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.sock.close()

    def take(self, me=None, side=Responder, **options):
        """The next connection, before its handshake."""
        return Link(self.sock.accept()[0], side(me or Identity(), **options))

    def accept(self, me=None, side=Responder, **options):
        """The next connection, past Welcome."""
        link = self.take(me, side, **options)
        try:
            return link.shake_as_responder()
        except BaseException:
            link.sock.close()
            raise
