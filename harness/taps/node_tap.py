"""The tool's hand on the machines: switches nodes on and off for it, and records every call.

A small HTTP server on the cluster's own loopback subnet, guarded by a token. A tool reaches it by
the command in ``$AFTERFAULT_NODE`` (see `node_command`); what is asked and answered goes to the
journal together with the member list of that moment.
"""

from __future__ import annotations

import json
import secrets
import stat
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from harness.clusters.etcd import EtcdCluster
from harness.clusters.members import EtcdEndpoints
from harness.errors import HarnessError, MachineError
from harness.journal import Journal
from harness.taps import node_command

TAP_HOST = 253
# Nothing is changed by these; what a command changes is told by the world.
LOOKS = ("list", "exec", "fetch")

Deed = Callable[[dict[str, Any]], Any]


class NodeTap(ABC):
    """Serves one cluster's machines to a tool.

    Args:
        cluster: whose machines.
        journal: where calls go (``tap.node_call``).
        snapshots: folder in which the tool leaves snapshots; its content is noted with each call.
        address: of loopback, to listen on.

    Leaves behind: a thread and a listening socket, until `close`.
    """

    def __init__(self, cluster: EtcdEndpoints[Any], journal: Journal, snapshots: Path, address: str) -> None:
        self._cluster, self._journal, self.snapshots = cluster, journal, snapshots
        self._token = secrets.token_hex(16)
        self._actions: dict[str, Deed] = {
            "list": lambda _: self._nodes(),
            "stop": lambda call: self._cluster.node(call["node"]).terminate(),
            "destroy": lambda call: self._cluster.node(call["node"]).destroy(),
            "wipe": lambda call: self._cluster.node(call["node"]).wipe(),
            **self.deeds(),
        }
        self._server = ThreadingHTTPServer((address, 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="node-tap", daemon=True).start()

    @abstractmethod
    def deeds(self) -> dict[str, Deed]:
        """What these machines can do beside being stopped, destroyed and wiped."""

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def environment(self) -> dict[str, str]:
        """What a tool needs to reach the tap."""
        return {
            "AFTERFAULT_NODE": str(self._command_file()),
            "AFTERFAULT_NODE_URL": self.url,
            "AFTERFAULT_NODE_TOKEN": self._token,
        }

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, call: dict[str, Any]) -> tuple[int, Any]:
        """Carry out one call and record it; returns an HTTP status and a JSON value."""
        action = call.get("action", "")
        listed = [] if action in LOOKS else [row.to_json() for row in self._cluster.members()]
        saved = sorted(path.name for path in self.snapshots.glob("*.db"))
        note = {"action": action, "node": call.get("node", ""), "membership": listed, "snapshots": saved}
        if "words" in call:
            note["words"] = list(call["words"])
        try:
            result = self._actions[action](call)
        except KeyError as error:
            status, result = 400, {"error": f"unknown or incomplete call: {error}"}
        except MachineError as error:
            # what this machine can't do is not the tool's doing, whatever the tool makes of it
            self._journal.append("case.problem", problem=f"{type(error).__name__}: {error}")
            status, result = 500, {"error": str(error)}
        except HarnessError as error:
            status, result = 409, {"error": str(error)}
        else:
            status = 200
        self._journal.append("tap.node_call", **note, result="done" if status == 200 else result["error"])
        return status, result

    def _nodes(self) -> list[dict[str, Any]]:
        return [
            {
                "name": node.name,
                "address": node.address,
                "client_url": node.client_url,
                "peer_url": node.peer_url,
                "running": node.running,
                "destroyed": node.destroyed,
            }
            for node in self._cluster.nodes.values()
        ]

    def _command_file(self) -> Path:
        file = self._cluster.work / "afterfault-node"
        if not file.exists():
            file.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "{node_command.__file__}" "$@"\n')
            file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return file

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        tap = self

        class Handler(BaseHTTPRequestHandler):
            """One request: a JSON object in, a JSON value out."""

            def do_POST(self) -> None:
                """Check the token, carry out the call."""
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                allowed = secrets.compare_digest(self.headers.get("X-Afterfault-Token", ""), tap._token)
                status, result = tap.answer(json.loads(body)) if allowed else (403, {"error": "wrong token"})
                answer = json.dumps(result).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """The journal is the log."""

        return Handler


class EtcdNodeTap(NodeTap):
    """Machines with nothing but etcd on them: the tool says how to start it, and from which snapshot.

    Args:
        cluster, journal, snapshots: as of every tap.
    """

    def __init__(self, cluster: EtcdCluster, journal: Journal, snapshots: Path) -> None:
        self._etcd = cluster
        super().__init__(cluster, journal, snapshots, cluster.subnet.address(TAP_HOST))

    def deeds(self) -> dict[str, Deed]:
        """Start etcd, restore a snapshot."""
        return {"start": self._start, "restore": self._restore}

    def _start(self, call: dict[str, Any]) -> None:
        self._etcd.node(call["node"]).start(call["initial_cluster"], call["initial_cluster_state"])

    def _restore(self, call: dict[str, Any]) -> None:
        node = self._etcd.node(call["node"])
        self._etcd.restore_snapshot(Path(call["snapshot"]), node, call["initial_cluster"])
