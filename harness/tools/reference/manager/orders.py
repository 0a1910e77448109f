"""What a leader tells the machines to do, as JSON over HTTP on the machines' own addresses.

- `lead`: follow this leader; the answer is what the machine is and has
- `found`: found a cluster with these nodes, from a backup where one is named
- `join`: join a cluster that runs
- `stop`: end etcd and put its data aside
- `quarantine`: start etcd again where clients look for it, or where they don't
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import urllib3

from harness.tools.reference.manager.backups import BackupError
from harness.tools.reference.manager.klog import LOG
from harness.tools.reference.manager.peers import Peer

Answer = Callable[[str, dict[str, Any]], dict[str, Any]]
QUICK_SECONDS, LONG_SECONDS = 2.0, 20.0


class OrderFailed(Exception):
    """An order was not carried out, or nobody knows whether it was."""


class OrderRefused(Exception):
    """A machine won't do that."""


class OrderServer:
    """Takes orders on a port of this machine.

    Args:
        address, port: to listen on.
        answer: carries out an order; what it raises of the named kinds goes back as a refusal.

    Leaves behind: a listener, until `close`.
    """

    def __init__(self, address: str, port: int, answer: Answer) -> None:
        self._server = ThreadingHTTPServer((address, port), _handler(answer))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._server.server_close()


class Messenger:
    """Brings a leader's orders to the machines."""

    def __init__(self) -> None:
        self._http = urllib3.PoolManager(retries=False)

    def ask(
        self, peer: Peer, order: str, words: dict[str, Any], timeout_seconds: float = LONG_SECONDS
    ) -> dict[str, Any]:
        """Give one order and wait for the answer.

        Raises:
            OrderFailed: it was refused, or nobody answered in time.
        """
        try:
            response = self._http.request("POST", f"{peer.orders_url}/{order}", json=words, timeout=timeout_seconds)
        except urllib3.exceptions.HTTPError as error:
            raise OrderFailed(f"{peer.peer_id} does not answer to {order}: {error!r}") from error
        if response.status != HTTPStatus.OK:
            raise OrderFailed(f"{peer.peer_id} refuses to {order}: {response.data.decode(errors='replace')}")
        answer: dict[str, Any] = response.json()
        return answer


def _handler(answer: Answer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            words = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                status, body = 200, json.dumps(answer(self.path.strip("/"), words))
            except (OrderRefused, BackupError, OSError) as error:
                LOG.warning("order %s failed: %s", self.path, error)
                status, body = 409, str(error)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
            """Not every pass of a leader is worth a line."""

    return Handler
