"""A small TCP proxy between client and server that makes the network's faults.

It reads HTTP/1.1 far enough to act on single requests; with ``raw=True`` it only moves bytes (gRPC, TLS).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple


class Request(NamedTuple):
    method: str
    path: str
    head: str = ""


class Fault(NamedTuple):
    """What happens to one request. ``kind``:

    ``pass`` (after ``delay``), ``drop`` (connection cut before the server saw it), ``lose`` (the server answers, the
    client never hears it), ``half`` (half of the answer, then cut), ``answer`` (the proxy answers ``status`` itself).
    """

    kind: str = "pass"
    delay: float = 0.0
    status: str = "503 Service Unavailable"
    headers: str = ""
    body: bytes = b'{"status":{"error":"made by the proxy"}}'


PASS = Fault()
Rule = Callable[[Request], Fault]


class TcpProxy:
    """Listens on a free port of 127.0.0.1; ``rule`` decides about each request and may be replaced at any time."""

    def __init__(self, port: int, rule: Rule = lambda request: PASS, *, raw: bool = False) -> None:
        self.rule = rule
        self.prefix = ""
        """Below it the server answers; it is taken off, as a reverse proxy does."""
        self.requests: list[Request] = []
        self.connections = 0
        self.most_at_once = 0
        """Requests on their way at the same time."""
        self._at_once = 0
        self._target = port
        self._raw = raw
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.port = 0
        self.listen()

    def listen(self) -> None:
        """Start listening, again on the same port if it did before."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def refuse(self) -> None:
        """Refuse new connections; the open ones go on."""
        if self._listener is not None:
            # shutdown() wakes the accepting thread; close() alone would leave the port listening.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def down(self) -> None:
        """Refuse connections and cut the open ones."""
        self.refuse()
        with self._lock:
            for each in list(self._sockets):
                _cut(each)

    close = down

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        upstream = None
        try:
            upstream = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                self._sockets |= {client, upstream}
            if self._raw:
                threading.Thread(target=self._pump, args=(upstream, client), daemon=True).start()
                self._pump(client, upstream)
            else:
                while self._one(client, upstream):
                    pass
        except OSError:
            pass  # either side is gone: that is what a proxy is for
        finally:
            with self._lock:
                self._sockets -= {client, upstream}
            _cut(client)
            if upstream is not None:
                _cut(upstream)

    def _one(self, client: socket.socket, upstream: socket.socket) -> bool:
        """One request and its answer. False: the connection is over."""
        message = _read_message(client)
        if not message:
            return False
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return self._answered(message, client, upstream)
        finally:
            with self._lock:
                self._at_once -= 1

    def _answered(self, message: bytes, client: socket.socket, upstream: socket.socket) -> bool:
        method, path, _ = message.split(b"\r\n", 1)[0].decode().split(" ")
        request = Request(method, path, message.partition(b"\r\n\r\n")[0].decode())
        if self.prefix and path.startswith(self.prefix):
            message = message.replace(f" {self.prefix}".encode(), b" ", 1)
        self.requests.append(request)
        fault = self.rule(request)
        time.sleep(fault.delay)
        if fault.kind == "drop":
            return False
        if fault.kind == "answer":
            head = f"HTTP/1.1 {fault.status}\r\nContent-Length: {len(fault.body)}\r\n{fault.headers}\r\n"
            client.sendall(head.encode() + fault.body)
            return True
        upstream.sendall(message)
        answer = _read_message(upstream)
        if not answer or fault.kind == "lose":
            return False
        if fault.kind == "half":
            client.sendall(answer[: len(answer) // 2])
            return False
        client.sendall(answer)
        return True

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                time.sleep(self.rule(Request("", "")).delay)
                sink.sendall(data)
        _cut(sink)


def _cut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


def _read_message(source: socket.socket) -> bytes:
    """One HTTP/1.1 message: to the end of its body by Content-Length or chunks; empty when the other side closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = source.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    fields = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    if fields.get(b"transfer-encoding") == b"chunked":
        while not body.endswith(b"0\r\n\r\n"):
            body += source.recv(65536)
    else:
        length = int(fields.get(b"content-length", b"0"))
        while len(body) < length:
            body += source.recv(65536)
    return head + b"\r\n\r\n" + body
