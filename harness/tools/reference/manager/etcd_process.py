"""The etcd process of a machine: started, adopted after its manager was killed, ended.

It is a child in the manager's process group, and lives on when only the manager is killed, as with
etcd-manager. A pid file tells the next manager which process that is.
"""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import psutil

from harness.clusters.addresses import is_open
from harness.clusters.living import lives
from harness.errors import WaitTimeout
from harness.tools.reference.manager.klog import LOG
from harness.waiting import until

# A leader that ends hands over for six seconds when the others end too; nothing on disk depends on it.
_END_SECONDS, _KILL_SECONDS = 2.0, 10.0
_LISTEN_SECONDS = 5.0


class EtcdProcess:
    """At most one etcd.

    Args:
        folder: for the pid file and etcd's own log.

    Leaves behind: the process, until `end`.
    """

    def __init__(self, folder: Path) -> None:
        self._pid_file, self._log = folder / "etcd.pid", folder / "etcd.log"
        self._process: psutil.Process | psutil.Popen | None = None

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and lives(self._process)

    @property
    def began(self) -> bool:
        """Whether one was started or adopted, and not ended by us: one that does not run then has ended by itself."""
        return self._process is not None

    def start(self, command: list[str]) -> None:
        """Start etcd.

        Raises:
            OSError: the binary can't be started.
        """
        with self._log.open("ab") as log:
            process = psutil.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._pid_file.parent)
        self._process = process
        told = {"pid": process.pid, "created": process.create_time(), "command": command}
        self._pid_file.write_text(json.dumps(told))
        LOG.info("started etcd; pid=%d", process.pid)

    def adopt(self, command: list[str]) -> bool:
        """Take over the etcd an earlier manager left, if it is the one we would start; any other of ours is killed.

        Args:
            command: that would be started; empty where none should run.
        """
        left = self._left_behind()
        if left is None:
            return False
        process, its_command = left
        self._process = process
        if its_command == command:
            LOG.info("took over etcd that an earlier manager left; pid=%d", process.pid)
            return True
        self.end(signal.SIGKILL)
        return False

    def await_listening(self, address: str, port: int) -> bool:
        """Wait until it listens for its peers; False when it ended or does not."""
        try:
            until(
                lambda: is_open(address, port) or not self.running,
                what=f"etcd to listen on {address}:{port}",
                deadline_seconds=_LISTEN_SECONDS,
                every_seconds=0.01,
            )
        except WaitTimeout:
            return False
        return self.running

    def end(self, number: signal.Signals) -> None:
        """End it, killed after 2 s; the pid file goes with it."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.send_signal(number)
            process.wait(_END_SECONDS)
        except psutil.TimeoutExpired:
            LOG.info("etcd takes its time to end; it is killed; pid=%d", process.pid)
            process.kill()
            process.wait(_KILL_SECONDS)
        except psutil.NoSuchProcess:
            LOG.info("etcd had ended already; pid=%d", process.pid)
        self._pid_file.unlink(missing_ok=True)

    def _left_behind(self) -> tuple[psutil.Process, list[str]] | None:
        """The process of the pid file, when it is still the same one, and what it was started with."""
        try:
            told = json.loads(self._pid_file.read_text())
            process = psutil.Process(told["pid"])
            # the number may belong to somebody else by now
            same = process.create_time() == told["created"] and process.cmdline() == told["command"]
        except (FileNotFoundError, ValueError, KeyError, psutil.Error):
            return None
        return (process, told["command"]) if same and lives(process) else None
