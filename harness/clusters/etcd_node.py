"""One node: a machine with an address and an etcd service that can be switched on and off."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness.clusters.addresses import CLIENT_PORT, PEER_PORT, check_free, is_open
from harness.clusters.certificates import ClusterAuthority, NodeCertificate
from harness.clusters.etcd_release import EtcdRelease
from harness.clusters.logged import last_lines, start_logged
from harness.clusters.ownership import Ownership
from harness.errors import ClusterError, JournalWriteError, MachineError
from harness.journal import Journal
from harness.spec import EtcdSpec
from harness.waiting import until

_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class NodeSetup:
    """What every node of a cluster shares."""

    spec: EtcdSpec
    release: EtcdRelease
    journal: Journal
    ownership: Ownership
    authority: ClusterAuthority | None
    token: str


@dataclass
class EtcdNode:
    """A node of a cluster.

    Args:
        name: also etcd's member name.
        address: its own loopback address.
        folder: for data and log; made at the first start.
        setup: what it shares with the others.

    Leaves behind: an etcd process until `terminate`, `kill` or `destroy`; the log always.
    """

    name: str
    address: str
    folder: Path
    setup: NodeSetup
    destroyed: bool = False
    paused: bool = False
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _how: str = "exited"
    _gone: threading.Event = field(default_factory=threading.Event, repr=False)

    def __post_init__(self) -> None:
        self._certificate: NodeCertificate | None = (
            self.setup.authority.issue(self.name, self.address) if self.setup.authority else None
        )

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return "https" if self._certificate else "http"

    @property
    def client_url(self) -> str:
        """Where clients reach it."""
        return f"{self.scheme}://{self.address}:{CLIENT_PORT}"

    @property
    def peer_url(self) -> str:
        """Where the other members reach it."""
        return f"{self.scheme}://{self.address}:{PEER_PORT}"

    @property
    def data_dir(self) -> Path:
        """Etcd's data directory: what survives a stop."""
        return self.folder / "data"

    @property
    def has_data(self) -> bool:
        """Whether the data directory is there."""
        return self.data_dir.exists()

    @property
    def log(self) -> Path:
        """Etcd's own log, JSON lines; survives everything but the run's work folder."""
        return self.folder / "etcd.log"

    @property
    def running(self) -> bool:
        """Whether its etcd process lives (a paused one does)."""
        return self._process is not None and not self._gone.is_set()

    @property
    def pid(self) -> int:
        """Process ID of its etcd; 0 when it is off."""
        return self._process.pid if self._process is not None and self.running else 0

    @property
    def listens(self) -> bool:
        """Whether its port for peers is open; it may not answer there yet."""
        return is_open(self.address, PEER_PORT)

    def start(self, initial_cluster: str, initial_cluster_state: str) -> None:
        """Start etcd; with data from before, etcd itself ignores the two arguments.

        Args:
            initial_cluster: ``name=peer-url`` pairs, comma-separated.
            initial_cluster_state: ``new`` or ``existing``.

        Raises:
            ClusterError: the node is destroyed or runs already.
            MachineError: one of its ports is taken, or etcd can't be started here.
        """
        if self.destroyed:
            raise ClusterError(f"node {self.name} was destroyed; create another one")
        if self.running:
            raise ClusterError(f"etcd on node {self.name} runs already")
        check_free(self.address, (CLIENT_PORT, PEER_PORT))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._how, self._gone = "exited", threading.Event()
        try:
            command = self._command(initial_cluster, initial_cluster_state)
            self._process = start_logged(command, self.log, self.setup.ownership.environment())
        except OSError as error:
            raise MachineError(f"{self.setup.release.etcd} can't be started: {error.strerror}") from error
        self.setup.journal.append(
            "node.started", node=self.name, pid=self._process.pid, initial_cluster_state=initial_cluster_state
        )
        threading.Thread(target=self._watch, args=(self._process, self._gone), daemon=True).start()

    def terminate(self) -> None:
        """Stop etcd as an orderly shutdown does (SIGTERM); killed after 10 s."""
        self._end(signal.SIGTERM, "terminated")

    def kill(self) -> None:
        """Stop etcd as a power cut does (SIGKILL); data stays."""
        self._end(signal.SIGKILL, "killed")

    def pause(self) -> None:
        """Stop the process's time (SIGSTOP): its sockets stay open and answer nothing."""
        self._signal(signal.SIGSTOP)
        # all of its threads have to stop first, which takes a while on a busy machine
        process = psutil.Process(self.pid)
        until(
            lambda: process.status() == psutil.STATUS_STOPPED,
            what=f"etcd on {self.name} to stand still",
            deadline_seconds=_STOP_SECONDS,
            every_seconds=0.01,
        )
        self.paused = True
        self.setup.journal.append("node.paused", node=self.name)

    def resume(self) -> None:
        """Let the process's time go on (SIGCONT)."""
        self._signal(signal.SIGCONT)
        self.paused = False
        self.setup.journal.append("node.resumed", node=self.name)

    def wipe(self) -> None:
        """Remove the data directory; etcd has to be off."""
        if self.running:
            raise ClusterError(f"node {self.name} runs; its data can't be wiped under it")
        if self.data_dir.exists():
            shutil.rmtree(self.data_dir)
        self.setup.journal.append("node.wiped", node=self.name)

    def destroy(self) -> None:
        """The machine is gone for good: killed, wiped, never to start again."""
        self.kill()
        self.wipe()
        self.destroyed = True
        self.setup.journal.append("node.destroyed", node=self.name)

    def log_tail(self, lines: int = 6) -> str:
        """The last lines of etcd's log, or an empty string."""
        return last_lines(self.log, lines)

    def _end(self, number: signal.Signals, how: str) -> None:
        if self._process is None or not self.running:
            return
        self._how = how
        self._signal(number)
        if self.paused and number is not signal.SIGKILL:
            self.resume()
        if not self._gone.wait(_STOP_SECONDS):
            self._how = "killed"
            self._signal(signal.SIGKILL)
            until(self._gone.is_set, what=f"etcd on {self.name} to end", deadline_seconds=_STOP_SECONDS)
        self.paused = False

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None or not self.running:
            raise ClusterError(f"etcd on node {self.name} is off")
        os.kill(self._process.pid, number)

    def _watch(self, process: subprocess.Popen[bytes], gone: threading.Event) -> None:
        """The one place that sees a process end, whoever ended it."""
        code = process.wait()
        # A journal that takes no more fails the story's own next entry; this thread has nobody to tell.
        with contextlib.suppress(JournalWriteError):
            self.setup.journal.append("node.stopped", node=self.name, pid=process.pid, how=self._how, exit_code=code)
        gone.set()

    def _command(self, initial_cluster: str, initial_cluster_state: str) -> list[str]:
        spec = self.setup.spec
        command = [
            str(self.setup.release.etcd),
            f"--name={self.name}",
            f"--data-dir={self.data_dir}",
            f"--listen-peer-urls={self.peer_url}",
            f"--initial-advertise-peer-urls={self.peer_url}",
            f"--listen-client-urls={self.client_url}",
            f"--advertise-client-urls={self.client_url}",
            f"--initial-cluster={initial_cluster}",
            f"--initial-cluster-state={initial_cluster_state}",
            f"--initial-cluster-token={self.setup.token}",
            f"--heartbeat-interval={spec.heartbeat_ms}",
            f"--election-timeout={spec.election_ms}",
            f"--strict-reconfig-check={str(spec.strict_reconfig_check).lower()}",
            "--logger=zap",
        ]
        return command + ["--unsafe-no-fsync"] * (not spec.fsync) + self._tls_flags()

    def _tls_flags(self) -> list[str]:
        if self._certificate is None or self.setup.authority is None:
            return []
        pairs = {"cert-file": self._certificate.cert, "key-file": self._certificate.key}
        pairs["trusted-ca-file"] = self.setup.authority.ca
        flags = [f"--{prefix}{flag}={path}" for prefix in ("", "peer-") for flag, path in pairs.items()]
        return [*flags, "--client-cert-auth", "--peer-client-cert-auth"]
