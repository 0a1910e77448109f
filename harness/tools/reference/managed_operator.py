"""An operator's hands: control commands, the store, machines, and an etcd started aside."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from harness.clusters.backup_store import open_store
from harness.clusters.etcd_client import CallFailed, CallUnknown, EtcdClient, Status
from harness.control_files import BACKUP, META, backups_among, commands_among, meta_content
from harness.errors import WaitTimeout
from harness.taps.node_command import ask
from harness.tools.reference.etcdctl import StepFailed
from harness.waiting import rest_unless, until

_CLIENT_PORT, _PEER_PORT = 2379, 2380
_START_SECONDS = 20.0
# As etcd logs it with --force-new-cluster.
_DISCARDED = re.compile(r'"number-of-discarded-entries":(\d+)')


class Operator:
    """One procedure's tools; the variables of its task say where everything is.

    Attributes:
        snapshot: the file to restore from, once there is one.
        backup: name of the backup to restore, once it is known.
    """

    def __init__(self) -> None:
        told = os.environ
        self.store = open_store(told["AFTERFAULT_CONTROL_STORE"], told)
        self.backup_store = open_store(told["AFTERFAULT_STORE"], told)
        self.machines = json.loads(told["AFTERFAULT_MACHINES"])
        self.members, self.etcd_version = int(told["AFTERFAULT_MEMBERS"]), told["AFTERFAULT_ETCD_VERSION"]
        self.folder, self.address = Path(told["AFTERFAULT_FOLDER"]), told["AFTERFAULT_SCRATCH_ADDRESS"]
        self.loop_seconds = float(told["AFTERFAULT_LOOP_SECONDS"])
        self.formation_seconds = float(told["AFTERFAULT_FORMATION_SECONDS"])
        self.restart_seconds = float(told["AFTERFAULT_RESTART_SECONDS"])
        self.snapshot, self.backup = Path(), ""
        self._discarded: dict[Path, int] = {}
        self._commands = json.loads(told["AFTERFAULT_CONTROL"])
        self._asides = 0

    def control(self, verb: str, name: str) -> str:
        """A control command; returns what it printed.

        Raises:
            StepFailed: it failed.
        """
        words = [word.replace("{name}", name) for word in self._commands[verb]]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise StepFailed(f"{verb}: {said[-1] if said else f'exit {done.returncode}'}")
        return done.stdout

    def backups(self) -> list[str]:
        """Names of the whole backups in the store, oldest first."""
        return backups_among(file.name for file in self.backup_store.list())

    def upload(self, snapshot: Path, *, described: bool = True, whole: bool = True) -> str:
        """Put a snapshot into the store as a backup; returns its name."""
        name = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}-{999999:06}"
        packed = gzip.compress(snapshot.read_bytes())
        self.backup_store.write(f"{name}/{BACKUP}", packed if whole else packed[: len(packed) // 2])
        if described:
            self.backup_store.write(f"{name}/{META}", meta_content(self.members, self.etcd_version, time.time()))
        return name

    def archives(self) -> list[Path]:
        """The newest archived data directory of each machine that has one.

        Raises:
            StepFailed: no machine has.
        """
        newest = [max(map(Path, one["archive"]), key=_written) for one in self.machines if one["archive"]]
        if not newest:
            raise StepFailed("no machine has an archive")
        return newest

    def snapshot_of_db(self, archive: Path) -> Path:
        """From the db file alone: restored without its hash, started, and saved as a snapshot."""
        place = self._aside()
        db = place / "copied.db"
        shutil.copyfile(_db_of(archive), db)
        self._run(
            "etcdutl", "snapshot", "restore", str(db), "--skip-hash-check",
            f"--data-dir={place / 'data'}", "--name=aside",
            f"--initial-cluster=aside={self._url(_PEER_PORT)}",
            f"--initial-advertise-peer-urls={self._url(_PEER_PORT)}",
        )  # fmt: skip
        return self._saved(place, place / "data")

    def snapshot_of_directory(self, archive: Path) -> Path:
        """From the whole directory: copied, started as a cluster of one over its write-ahead log, and saved."""
        place = self._aside()
        shutil.copytree(_db_of(archive).parents[2], place / "data")
        saved = self._saved(place, place / "data", "--force-new-cluster")
        self._discarded[saved] = sum(map(int, _DISCARDED.findall((place / "etcd.log").read_text(errors="replace"))))
        return saved

    def snapshot_of_running(self) -> Path:
        """Of what is served now."""
        file = self._aside() / "running.db"
        self._etcdctl(self.machines[0]["client_url"], "snapshot", "save", str(file))
        return file

    def fullest(self, snapshots: list[Path]) -> Path:
        """The one with the highest revision."""
        return max(snapshots, key=self.revision_of)

    def revision_of(self, snapshot: Path) -> int:
        """The last revision in a snapshot."""
        told = self._run("etcdutl", "snapshot", "status", str(snapshot), "--write-out=json")
        return int(json.loads(told)["revision"])

    def loss(self) -> str:
        """What a restore of the chosen backup takes away: revisions after it, and every lease."""
        packed = self.backup_store.read(f"{self.backup}/{BACKUP}")
        file = self._aside() / "chosen.db"
        file.write_bytes(gzip.decompress(packed or b""))
        served = max((status.header.revision for status in self._statuses()), default=0)
        revision = self.revision_of(file)
        told = f"revisions {revision + 1} to {max(served, revision)} of what is served now, and all leases"
        if number := self._discarded.get(self.snapshot, 0):
            entries = "1 entry" if number == 1 else f"{number} entries"
            told += f"; the last {entries} of the old log, which nobody had written down as committed"
        return told

    def is_taken_up(self) -> bool:
        """Whether the command leaves the queue within a few loops, with nobody's help."""
        with contextlib.suppress(WaitTimeout):
            return until(self._queue_is_empty, what="the queue", deadline_seconds=6 * self.loop_seconds + 2)
        return False

    def await_empty_queue(self) -> None:
        """Wait until the managers have done what they were told.

        Raises:
            StepFailed: they have not.
        """
        self._await(self._queue_is_empty, "the command queue to be empty", 2 * self.formation_seconds)

    def await_serving(self) -> None:
        """Wait until every machine answers, all for one cluster.

        Raises:
            StepFailed: they don't.
        """
        self._await(
            self._all_serve, "every machine to serve one cluster", self.formation_seconds + self.restart_seconds
        )

    def restart(self) -> None:
        """Stop every machine's manager, all at once: the last one left would begin alone; then start them."""
        names = [machine["name"] for machine in self.machines]
        with ThreadPoolExecutor(len(names)) as at_once:
            list(at_once.map(lambda name: ask("stop", node=name), names))
            list(at_once.map(lambda name: ask("boot", node=name), names))

    def remove_archives(self) -> None:
        """Of all machines."""
        for machine in self.machines:
            for archive in machine["archive"]:
                shutil.rmtree(archive)

    def rest(self, seconds: float) -> None:
        """Let time pass."""
        rest_unless(threading.Event(), seconds)

    def die_if_told(self, step: str) -> None:
        """The operator's connection breaks off after that step."""
        if os.environ["AFTERFAULT_STOP_AFTER"] == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def _aside(self) -> Path:
        self._asides += 1
        place = self.folder / f"aside-{self._asides}"
        place.mkdir()
        return place

    def _saved(self, place: Path, data: Path, *flags: str) -> Path:
        file = place / "saved.db"
        with _etcd(place, data, self._url(_CLIENT_PORT), self._url(_PEER_PORT), flags) as client_url:
            self._etcdctl(client_url, "snapshot", "save", str(file))
        return file

    def _etcdctl(self, endpoint: str, *words: str) -> None:
        self._run("etcdctl", f"--endpoints={endpoint}", *words)

    def _url(self, port: int) -> str:
        return f"http://{self.address}:{port}"

    def _run(self, *words: str) -> str:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()
            raise StepFailed(f"{' '.join(words[:3])}: {said[-1] if said else f'exit {done.returncode}'}")
        return done.stdout

    def _await(self, probe: object, what: str, seconds: float) -> None:
        assert callable(probe)
        try:
            until(probe, what=what, deadline_seconds=seconds, every_seconds=0.1)
        except WaitTimeout as error:
            raise StepFailed(str(error)) from error

    def _queue_is_empty(self) -> bool:
        return not commands_among(file.name for file in self.store.list())

    def _all_serve(self) -> bool:
        told = self._statuses()
        return len(told) == len(self.machines) and len({status.header.cluster_id for status in told}) == 1

    def _statuses(self) -> list[Status]:
        found = []
        for machine in self.machines:
            client = EtcdClient(machine["client_url"], timeout_seconds=1.0)
            with client, contextlib.suppress(CallFailed, CallUnknown):
                found.append(client.status())
        return found


@contextlib.contextmanager
def _etcd(place: Path, data: Path, client_url: str, peer_url: str, flags: tuple[str, ...]) -> Iterator[str]:
    """An etcd over a data directory, while the block lasts; yields its client URL.

    Raises:
        StepFailed: it does not get healthy.
    """
    words = [
        "etcd", "--name=aside", f"--data-dir={data}", f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}", f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}", f"--initial-cluster=aside={peer_url}", *flags,
    ]  # fmt: skip
    with (place / "etcd.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        with EtcdClient(client_url, timeout_seconds=1.0) as client:
            until(client.healthy, what="the etcd aside to be healthy", deadline_seconds=_START_SECONDS)
        yield client_url
    except WaitTimeout as error:
        raise StepFailed(str(error)) from error
    finally:
        process.terminate()
        process.wait()


def _db_of(archive: Path) -> Path:
    """The db file somewhere below an archive: ``.../member/snap/db``.

    Raises:
        StepFailed: there is none.
    """
    found = sorted(archive.rglob("member/snap/db"))
    if not found:
        raise StepFailed(f"no etcd db below {archive.name}")
    return found[0]


def _written(archive: Path) -> float:
    return archive.stat().st_mtime
