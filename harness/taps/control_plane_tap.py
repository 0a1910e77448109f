"""The tool's hand on the machines of a kind cluster: switches them, and runs commands on them as ssh would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.clusters.kind import KindCluster
from harness.journal import Journal
from harness.taps.node_tap import Deed, NodeTap

_LOOPBACK = "127.0.0.1"
# A join takes half a minute, and kubeadm waits for its own checks a few minutes at most.
_COMMAND_SECONDS = 180.0


class ControlPlaneTap(NodeTap):
    """Serves a kind cluster's control planes to a tool.

    Args:
        cluster, journal, snapshots: as of every tap.
    """

    def __init__(self, cluster: KindCluster, journal: Journal, snapshots: Path) -> None:
        self._kind = cluster
        super().__init__(cluster, journal, snapshots, _LOOPBACK)

    def deeds(self) -> dict[str, Deed]:
        """Boot a machine, run a command on it, copy files from and to it."""
        return {"boot": self._boot, "exec": self._exec, "fetch": self._fetch, "send": self._send}

    def _boot(self, call: dict[str, Any]) -> None:
        self._kind.node(call["node"]).start()

    def _exec(self, call: dict[str, Any]) -> dict[str, Any]:
        done = self._kind.node(call["node"]).execute(*call["words"], timeout_seconds=_COMMAND_SECONDS)
        return {
            "exit_code": done.exit_code,
            "stdout": done.stdout.decode(errors="backslashreplace"),
            "stderr": done.stderr.decode(errors="backslashreplace"),
        }

    def _fetch(self, call: dict[str, Any]) -> None:
        self._kind.node(call["node"]).copy_out(call["path"], Path(call["file"]))

    def _send(self, call: dict[str, Any]) -> None:
        self._kind.node(call["node"]).write_file(call["path"], Path(call["file"]).read_bytes())
