"""One node of a kind cluster: a container that is a machine, with kubelet and, on a control plane, etcd."""

from __future__ import annotations

import base64
import io
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import docker.errors
import requests.exceptions
from docker import DockerClient
from docker.models.containers import Container

from harness.clusters.addresses import CLIENT_PORT, PEER_PORT
from harness.errors import ClusterError
from harness.journal import Journal
from harness.waiting import until

CONTROL_PLANE = "control-plane"
ETCD_DATA = "/var/lib/etcd/member"
# runc's word for a machine that was busy forking while it was frozen.
_NOT_FROZEN = "unable to freeze"
_STOP_SECONDS = 20
_BOOT_SECONDS = 60.0
_KILLED_BY_TIMEOUT = 124


@dataclass(frozen=True, slots=True)
class Executed:
    """How a command on a node ended.

    Args:
        exit_code: as a shell would give it; 124 when it was ended at its deadline.
        stdout, stderr: what it wrote.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def said(self) -> str:
        """The end of what it wrote, for a message."""
        return (self.stderr or self.stdout).decode(errors="replace").strip()[-800:]


@dataclass
class KindNode:
    """A machine of a kind cluster.

    Args:
        name: of the container and of the Kubernetes node alike.
        role: ``control-plane`` or ``worker``.
        engine: the Docker engine it runs on.
        journal: every change of it is written there.

    Leaves behind: a container, until `destroy`.
    """

    name: str
    role: str
    engine: DockerClient
    journal: Journal
    destroyed: bool = False
    paused: bool = False
    address: str = ""

    def __post_init__(self) -> None:
        self.address = self._read_address()

    @property
    def client_url(self) -> str:
        """Where clients reach its etcd."""
        return f"https://{self.address}:{CLIENT_PORT}"

    @property
    def peer_url(self) -> str:
        """Where the other members reach it."""
        return f"https://{self.address}:{PEER_PORT}"

    @property
    def pid(self) -> int:
        """Process ID of the machine's init, as the host sees it; 0 when it is off."""
        return int(self._state().get("Pid", 0))

    @property
    def running(self) -> bool:
        """Whether the machine is switched on (a paused one is)."""
        return not self.destroyed and bool(self._state().get("Running", False))

    @property
    def has_data(self) -> bool:
        """Whether etcd's data is there; False for a machine that is off, whose disk nobody can read."""
        return self.running and not self.paused and self.execute("test", "-d", ETCD_DATA).exit_code == 0

    def start(self) -> None:
        """Switch it on and wait until it has booted; kubelet brings its static pods back by itself.

        Raises:
            ClusterError: it is destroyed or does not boot within 60 s.
        """
        if self.destroyed:
            raise ClusterError(f"node {self.name} was destroyed; create another one")
        self._do(lambda machine: machine.start())
        self.address = self._read_address()
        self.journal.append("node.started", node=self.name, pid=self.pid, initial_cluster_state="existing")
        self.await_booted()

    def await_booted(self) -> None:
        """Wait until all its services are started, as kind does.

        Raises:
            WaitTimeout: not within 60 s.
            ClusterError: it ended while it booted; carries the last lines of its console.
        """
        booted = ("sh", "-c", "systemctl is-active --quiet multi-user.target && ctr version")
        until(
            lambda: self._try_while_on(*booted),
            what=f"{self.name} to boot",
            deadline_seconds=_BOOT_SECONDS,
            every_seconds=0.2,
        )

    def terminate(self) -> None:
        """Orderly shutdown (systemd's own signal); killed after 20 s. Disk and container stay."""
        self._end("terminated", lambda machine: machine.stop(timeout=_STOP_SECONDS))

    def kill(self) -> None:
        """A power cut. Disk and container stay."""
        self._end("killed", lambda machine: machine.kill("KILL"))

    def pause(self) -> None:
        """Stop the machine's time (cgroup freezer): its sockets stay open and answer nothing.

        Raises:
            WaitTimeout: its processes fork faster than runc freezes them, for 20 s.
        """
        until(self._try_pause, what=f"{self.name} to stand still", deadline_seconds=_STOP_SECONDS)
        self.paused = True
        self.journal.append("node.paused", node=self.name)

    def resume(self) -> None:
        """Let the machine's time go on."""
        self._do(lambda machine: machine.unpause())
        self.paused = False
        self.journal.append("node.resumed", node=self.name)

    def wipe(self) -> None:
        """Remove what kubeadm and etcd left on a machine that is on: ``kubeadm reset`` by hand, no call to the API.

        Raises:
            ClusterError: it is off.
        """
        script = (
            "systemctl stop kubelet; ctr -n k8s.io tasks ls -q | xargs -r ctr -n k8s.io tasks kill -s 9;"
            "rm -rf /etc/kubernetes/manifests /etc/kubernetes/*.conf /etc/kubernetes/pki /var/lib/etcd /var/lib/kubelet"
        )
        if self.execute("sh", "-c", script).exit_code == _KILLED_BY_TIMEOUT:
            raise ClusterError(f"node {self.name} can't be wiped")
        self.journal.append("node.wiped", node=self.name)

    def destroy(self) -> None:
        """The machine is gone for good, with its disk."""
        self.kill()
        self._do(lambda machine: machine.remove(force=True, v=True))
        self.destroyed = True
        self.journal.append("node.destroyed", node=self.name)

    def execute(self, *words: str, stdin: bytes = b"", timeout_seconds: float = 30) -> Executed:
        """Run a command on the machine, as root.

        Args:
            words: program and arguments.
            stdin: what it reads; up to 64 KiB.
            timeout_seconds: after which it is ended, with exit code 124.

        Raises:
            ClusterError: the machine is off or the engine does not answer.
        """
        if stdin:
            feed = 'printf %s "$0" | base64 -d | exec "$@"'
            words = ("sh", "-c", feed, base64.b64encode(stdin).decode(), *words)
        command = ["timeout", "--kill-after=2", str(timeout_seconds), *words]
        code, (out, err) = self._do(lambda machine: machine.exec_run(command, demux=True))
        return Executed(code, out or b"", err or b"")

    def write_file(self, path: str, content: bytes, mode: int = 0o600) -> None:
        """Put a file on the machine's disk (not below /tmp or /run, which are in memory)."""
        place = PurePosixPath(path)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            entry = tarfile.TarInfo(place.name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
        self._do(lambda machine: machine.put_archive(str(place.parent), buffer.getvalue()))

    def read_file(self, path: str) -> bytes:
        """What a file on the machine holds.

        Raises:
            ClusterError: there is no such file.
        """
        done = self.execute("cat", path, timeout_seconds=60)
        if done.exit_code != 0:
            raise ClusterError(f"{self.name}: {done.said}")
        return done.stdout

    def copy_out(self, path: str, file: Path) -> None:
        """Copy a file of the machine's disk to this machine, with its mode; for what is too big to be read at once.

        Raises:
            ClusterError: there is no such file.
        """
        with tempfile.TemporaryFile() as spool:
            chunks, _ = self._do(lambda machine: machine.get_archive(path))
            for chunk in chunks:
                spool.write(chunk)
            spool.seek(0)
            with tarfile.open(fileobj=spool) as archive:
                entry = archive.getmembers()[0]
                content = archive.extractfile(entry)
                if content is None:
                    raise ClusterError(f"{self.name}: {path} is no file")
                with file.open("wb") as out:
                    shutil.copyfileobj(content, out)
                file.chmod(entry.mode & 0o777)

    def log_tail(self, lines: int = 8) -> str:
        """The last lines its kubelet logged, or an empty string."""
        if not self.running:
            return ""
        return self.execute("journalctl", "-u", "kubelet", "-n", str(lines), "--no-pager", "-o", "cat").said

    def console(self, lines: int = 200) -> str:
        """The last lines its machine said.

        Raises:
            ClusterError: the engine does not tell.
        """
        return str(self._do(lambda machine: machine.logs(tail=lines)).decode(errors="replace"))

    def _try_while_on(self, *words: str) -> bool:
        try:
            return self.execute(*words, timeout_seconds=5).exit_code == 0
        except ClusterError as error:
            if self.running:
                return False  # as while the engine still starts it
            raise ClusterError(f"node {self.name} ended while it booted: {error}", log_tail=self.console(12)) from error

    def _try_pause(self) -> bool:
        try:
            self._do(lambda machine: machine.pause())
        except ClusterError as error:
            if _NOT_FROZEN not in str(error):
                raise
            return False
        return True

    def _end(self, how: str, end: Any) -> None:
        if self.destroyed or not self.running:
            return
        if self.paused:
            self.resume()
        pid = self.pid
        self._do(end)
        # docker answers a kill before the machine is off
        until(lambda: not self.running, what=f"{self.name} to be off", deadline_seconds=_STOP_SECONDS)
        self.journal.append("node.stopped", node=self.name, pid=pid, how=how, exit_code=0)

    def _do(self, deed: Any) -> Any:
        try:
            return deed(self._machine())
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise ClusterError(f"node {self.name}: {error}") from error

    def _machine(self) -> Container:
        return self.engine.containers.get(self.name)

    def _state(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = self.engine.api.inspect_container(self.name)["State"]
        except docker.errors.NotFound:
            return {}
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise ClusterError(f"node {self.name}: {error}") from error
        return state

    def _read_address(self) -> str:
        networks = self._do(lambda machine: machine.attrs["NetworkSettings"]["Networks"])
        return next((str(network["IPAddress"]) for network in networks.values()), "")
