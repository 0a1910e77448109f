"""The etcd member of a machine: it carries out the leader's orders and keeps etcd running in between.

A member that has a state is started from it at once, without asking the store or a leader, as
etcd-manager does (its pkg/etcd/etcdserver.go).
"""

from __future__ import annotations

import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.clusters.etcd_release import EtcdRelease
from harness.tools.reference.manager.backups import Backups
from harness.tools.reference.manager.etcd_process import EtcdProcess
from harness.tools.reference.manager.folder import MachineFolder, State
from harness.tools.reference.manager.klog import LOG
from harness.tools.reference.manager.options import Options
from harness.tools.reference.manager.orders import OrderRefused
from harness.tools.reference.manager.peers import Peer

_RESTART_SECONDS = 1.0
_RESTORE_SECONDS = 15.0


class Member:
    """The member of one machine; its methods may be called by several threads.

    Args:
        options: of the manager.
        folder: what it has on disk.
        me: its URLs.
        release: the etcd it starts.
        backups: for a restore.

    Leaves behind: etcd, until `end`.
    """

    def __init__(
        self, options: Options, folder: MachineFolder, me: Peer, release: EtcdRelease, backups: Backups
    ) -> None:
        self._options, self._folder, self._me = options, folder, me
        self._release, self._backups = release, backups
        self._lock = threading.Lock()
        self._state = folder.load()
        self._process = EtcdProcess(folder.path)
        self._started = 0.0
        self._process.adopt(self._command(self._state) if self._state else [])

    def tend(self) -> None:
        """Start etcd when it should run and does not, at most once a second."""
        with self._lock:
            if self._state is None or self._process.running or time.monotonic() - self._started < _RESTART_SECONDS:
                return
            if self._process.began:
                LOG.warning("etcd process exited; starting it again")
            self._start(self._state)

    def info(self) -> dict[str, Any]:
        """What a leader wants to know."""
        with self._lock:
            state = self._state.to_json() if self._state else None
            return {"has_data": self._folder.has_data, "state": state}

    def found(self, words: dict[str, Any]) -> None:
        """Found a cluster together with others, or the same with a backup's data.

        Raises:
            OrderRefused: etcd runs here.
            BackupError: the backup can't be used; nothing is started.
        """
        state, backup = State.from_json(words["state"]), str(words["backup"])
        with self._lock:
            self._refuse_if_running()
            if backup:
                self._restore(state, self._backups.fetch(backup))
            self._begin(state)

    def join(self, words: dict[str, Any]) -> None:
        """Join a cluster that has us on its list. Raises OrderRefused."""
        with self._lock:
            self._refuse_if_running()
            self._begin(replace(State.from_json(words["state"]), new=False))

    def stop(self) -> None:
        """End etcd and put its data aside. Raises OSError."""
        with self._lock:
            state = self._state
            if state is None:
                return
            self._process.end(signal.SIGKILL)
            self._state = None
            self._folder.save(None)
            put_aside = self._folder.purge if self._options.store.behaviour.purges else self._folder.archive
            put_aside(state.token)

    def quarantine(self, words: dict[str, Any]) -> None:
        """Start etcd again where clients look, or where they don't. Raises OrderRefused."""
        with self._lock:
            if self._state is None:
                raise OrderRefused("this machine belongs to no cluster")
            state = replace(self._state, quarantined=bool(words["quarantined"]))
            self._process.end(signal.SIGKILL)
            self._keep(state)
            self._start(state)

    def end(self) -> None:
        """An orderly end of etcd; the state stays."""
        with self._lock:
            self._process.end(signal.SIGTERM)

    def _refuse_if_running(self) -> None:
        if self._process.running:
            raise OrderRefused("etcd process already running")

    def _begin(self, state: State) -> None:
        self._keep(state)
        self._start(state)
        # a founder asks the others whether they are a cluster already; one that does not listen yet keeps it waiting
        self._process.await_listening(self._options.address, self._options.ports.peer)
        self._keep(replace(state, new=False))

    def _keep(self, state: State) -> None:
        self._state = state
        self._folder.save(state)

    def _restore(self, state: State, snapshot: bytes) -> None:
        data_dir = self._folder.data_dir(state.token)
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=data_dir.parent, prefix=".restore-") as folder:
            file, half_done = Path(folder) / "snapshot.db", Path(folder) / "data"
            file.write_bytes(snapshot)
            restore_aside(self._release, file, half_done, state, self._me)
            half_done.rename(data_dir)

    def _start(self, state: State) -> None:
        self._started = time.monotonic()
        self._process.start(self._command(state))

    def _command(self, state: State) -> list[str]:
        client_url = self._me.quarantine_url if state.quarantined else self._me.client_url
        return [
            str(self._release.etcd),
            f"--name={self._me.peer_id}",
            f"--data-dir={self._folder.data_dir(state.token)}",
            f"--listen-peer-urls={self._me.peer_url}",
            f"--initial-advertise-peer-urls={self._me.peer_url}",
            f"--listen-client-urls={client_url}",
            f"--advertise-client-urls={client_url}",
            f"--initial-cluster={state.initial_cluster}",
            f"--initial-cluster-state={'new' if state.new else 'existing'}",
            f"--initial-cluster-token={state.token}",
            "--heartbeat-interval=50",
            "--election-timeout=500",
            "--strict-reconfig-check=true",
            "--logger=zap",
            "--unsafe-no-fsync",
        ]


def restore_aside(release: EtcdRelease, snapshot: Path, data_dir: Path, state: State, me: Peer) -> None:
    """Make a data directory from a snapshot, with etcdutl.

    Raises:
        OrderRefused: with etcdutl's last line.
    """
    words = [
        str(release.etcdutl), "snapshot", "restore", str(snapshot), f"--data-dir={data_dir}",
        f"--name={me.peer_id}", f"--initial-advertise-peer-urls={me.peer_url}",
        f"--initial-cluster={state.initial_cluster}", f"--initial-cluster-token={state.token}",
    ]  # fmt: skip
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_RESTORE_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise OrderRefused(f"etcdutl snapshot restore did not end within {_RESTORE_SECONDS:.0f} s") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise OrderRefused(f"etcdutl snapshot restore: {said[-1] if said else f'exit {done.returncode}'}")
