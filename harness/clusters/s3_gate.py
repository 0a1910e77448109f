"""A small proxy between managers and the S3 server, which makes the store fail for them and for nobody else.

Requests go on as they came, with the Host header they came with, since that is part of their signature: the server
sees the gate's address there and finds the signature right.
"""

from __future__ import annotations

import contextlib
import enum
import http.client
import socket
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from harness.waiting import rest_unless

_READS = ("GET", "HEAD", "OPTIONS")
_SERVER_SECONDS = 60.0
# Belong to one connection, or are made anew for the next.
_OWN_HEADERS = {"connection", "keep-alive", "transfer-encoding", "expect", "content-length"}
_DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>'
)


class GateMode(enum.StrEnum):
    """What the gate does with requests."""

    PASS = "pass"
    """Hands them on."""
    REFUSE = "refuse"
    """Is not there: connections are refused, those that were open are cut."""
    SLOW = "slow"
    """Hands them on late."""
    DENY = "deny"
    """Answers 403 to all."""
    READ_ONLY = "read_only"
    """Answers 403 to what writes."""


class S3Gate:
    """Listens on loopback, for one server.

    Args:
        endpoint: the server's, as ``http://127.0.0.1:9000``.
        address: of loopback, to listen on; the port is picked free and stays the same.

    Leaves behind: a listening socket and threads, until `close`.
    """

    def __init__(self, endpoint: str, address: str = "127.0.0.1") -> None:
        upstream = urlsplit(endpoint)
        self._upstream = (upstream.hostname or "", upstream.port or 80)
        self.mode, self._seconds = GateMode.PASS, 0.0
        self._changed = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.passed: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()
        self._server: ThreadingHTTPServer | None = self._listen((address, 0))
        self._place = (address, int(self._server.server_address[1]))

    @property
    def endpoint(self) -> str:
        """Where managers are sent."""
        return f"http://{self._place[0]}:{self._place[1]}"

    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        """A store's `environment` that leads through the gate."""
        return environment | {"S3_ENDPOINT": self.endpoint}

    def set(self, mode: GateMode, seconds: float = 0.0) -> None:
        """From now on; requests that are being held go on at once, and `struck` starts from nothing.

        Args:
            mode: what to do.
            seconds: for SLOW, how late.
        """
        with self._lock:
            self.mode, self._seconds = mode, seconds
            self._changed.set()
            self._changed = threading.Event()
            self.struck = Counter()
        if mode is GateMode.REFUSE:
            self._leave()
        elif self._server is None:
            self._server = self._listen(self._place)

    def close(self) -> None:
        """Stop listening, cut what is open."""
        self._changed.set()
        self._leave()

    def _listen(self, place: tuple[str, int]) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(place, type("Handler", (_Handler,), {"gate": self}))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), name="s3-gate", daemon=True).start()
        return server

    def _leave(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        with self._lock:
            still_open = list(self._open)
        for connection in still_open:
            with contextlib.suppress(OSError):  # it ended by itself
                connection.shutdown(socket.SHUT_RDWR)

    def _opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def _closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def _admits(self, method: str) -> bool:
        """Whether a request goes on; it is held here where it is to be late."""
        with self._lock:
            mode, seconds, changed = self.mode, self._seconds, self._changed
            admitted = mode in (GateMode.PASS, GateMode.SLOW) or (mode is GateMode.READ_ONLY and method in _READS)
            if not admitted or mode is GateMode.SLOW:
                self.struck[method] += 1
            if admitted:
                self.passed[method] += 1
        if mode is GateMode.SLOW:
            rest_unless(changed, seconds)
        return admitted

    def _ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(*self._upstream, timeout=_SERVER_SECONDS)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in (headers | {"Content-Length": str(len(body)), "Connection": "close"}).items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    """One connection of a manager."""

    protocol_version = "HTTP/1.1"
    gate: S3Gate

    def setup(self) -> None:
        super().setup()
        self.gate._opened(self.connection)

    def finish(self) -> None:
        self.gate._closed(self.connection)
        with contextlib.suppress(OSError):  # cut meanwhile
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the manager left, or the gate cut it
            super().handle()

    def serve(self) -> None:
        body = self._body()
        if not self.gate._admits(self.command):
            self._tell(403, [("Content-Type", "application/xml")], _DENIED)
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OWN_HEADERS}
        try:
            status, told, content = self.gate._ask(self.command, self.path, headers, body)
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # as if the server itself had gone
            return
        self._tell(status, told, content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = serve  # noqa: N815 - names of the base class

    def _tell(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _OWN_HEADERS:
                self.send_header(name, value)
        length = next((value for name, value in headers if name.lower() == "content-length"), "")
        is_head = self.command == "HEAD"
        self.send_header("Content-Length", (length if is_head and length else str(len(content))))
        self.end_headers()
        if not is_head:
            self.wfile.write(content)

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(iter(self._chunk, b""))
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().partition(b";")[0] or b"0", 16)
        content = self.rfile.read(size)
        self.rfile.readline()
        return content

    def log_message(self, *_: Any) -> None:
        """The journal is the log."""
