"""Three machines with a reference manager each, and an operator, for tests."""

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

from harness.clusters.addresses import Subnet
from harness.clusters.backup_store import open_store
from harness.clusters.etcd_client import CallFailed, CallUnknown, EtcdClient
from harness.control_files import BACKUP, backups_among, commands_among
from harness.errors import WaitTimeout
from harness.tools.reference.manager.variants import VARIANTS
from harness.waiting import until

PROGRAM = [sys.executable, "-m", "harness.tools.reference.manager"]
CLIENT, QUARANTINE = 4001, 8001
PATIENCE_SECONDS = 90


class Machines:
    """Machines 1 to 3 of a cluster."""

    def __init__(self, variant, folder, ownership, release):
        self.variant, self.folder, self.release = variant, folder, release
        self.subnet = Subnet()
        self.environment = ownership.environment(PYTHONPATH=str(Path(__file__).parents[2]))
        self.urls = {name: f"file://{folder}/{name}" for name in ("backups", "control")}
        self.backups, self.control = (open_store(url, {}) for url in self.urls.values())
        self.managers = {}

    def words(self):
        given = ["--variant", self.variant, "--backup-store", self.urls["backups"]]
        return [*given, "--control-store", self.urls["control"]]

    def start(self, *numbers):
        for number in numbers:
            words = [
                *("--id", f"m{number}", "--address", self.subnet.address(number)),
                *("--discovery", self.folder / "found", "--data-dir", self.data(number)),
                *("--etcd-dir", self.release.etcd.parent),
            ]
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.log_file(number).open("ab") as log:
                self.managers[number] = subprocess.Popen(
                    [*PROGRAM, "run", *self.words(), *map(str, words)],
                    env=self.environment,
                    start_new_session=True,
                    stderr=log,
                    stdout=log,
                )

    def form(self):
        self.ctl("configure-cluster", "--member-count", "3", "--etcd-version", self.release.version)
        self.start(1, 2, 3)
        self.await_serving()
        return self.cluster_id()

    def stop(self, *numbers):
        for number in numbers:
            os.killpg(self.managers[number].pid, signal.SIGTERM)
        for number in numbers:
            self.managers[number].wait(PATIENCE_SECONDS)

    def kill(self, *numbers):
        for number in numbers:
            os.killpg(self.managers[number].pid, signal.SIGKILL)
            self.managers[number].wait(PATIENCE_SECONDS)

    def restart(self, *numbers):
        self.stop(*numbers)
        self.start(*numbers)

    def kill_manager(self, number):
        self.managers[number].kill()
        self.managers[number].wait(PATIENCE_SECONDS)

    def end(self):
        for manager in self.managers.values():
            try:
                os.killpg(manager.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            finally:
                manager.wait(PATIENCE_SECONDS)
        self.subnet.release()

    def ctl(self, *words, code=0):
        done = subprocess.run(
            [*PROGRAM, "ctl", *self.words(), *words], env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    def client(self, number=1, port=CLIENT):
        return EtcdClient(f"http://{self.subnet.address(number)}:{port}", timeout_seconds=1.0)

    def serving(self, *numbers):
        up = []
        for number in numbers or (1, 2, 3):
            with self.client(number) as client:
                up.append(client.healthy())
        return all(up)

    def await_serving(self, *numbers):
        until(lambda: self.serving(*numbers), what="members to serve", deadline_seconds=PATIENCE_SECONDS)

    def cluster_id(self, number=1):
        with self.client(number) as client:
            return client.status().header.cluster_id

    def seen_cluster(self, number=1):
        """Cluster ID as a client sees it; empty when nobody answers."""
        try:
            return self.cluster_id(number) if self.serving(number) else ""
        except (CallFailed, CallUnknown):
            return ""

    def put(self, number=1, **items):
        with self.client(number) as client:
            client.put(items)

    def get(self, key, number=1):
        with self.client(number) as client:
            found = client.get(key)[1]
        return found.value if found else None

    def log(self, number=1):
        return self.log_file(number).read_text()

    def log_file(self, number):
        """Outside of what goes with the run, for whoever looks into a failed test."""
        return self.folder.parents[1] / f"{self.folder.name}-m{number}.log"

    def await_log(self, text, number=1, after=0):
        self.wait(lambda: text in self.log(number)[after:], f"{text!r} in the log of m{number}")

    def wait(self, probe, what):
        return until(probe, what=what, deadline_seconds=PATIENCE_SECONDS)

    def data(self, number):
        return self.folder / f"m{number}"

    def archive(self, number=1):
        return sorted((self.data(number) / "data-trashcan").glob("*"))

    def backup_names(self):
        return backups_among(file.name for file in self.backups.list())

    def next_backup(self):
        """Name of a backup that begins after now."""
        before = set(self.backup_names())

        def second():
            new = [name for name in self.backup_names() if name not in before]
            return new[1] if len(new) > 1 else None

        return self.wait(second, "another backup")

    def new_backup_within(self, seconds):
        """Whether another backup came in that time."""
        before = set(self.backup_names())
        return not lasts(lambda: set(self.backup_names()) == before, seconds)

    def snapshot(self, name, file):
        """A backup's snapshot, unpacked to a file."""
        file.write_bytes(gzip.decompress(self.backups.read(f"{name}/{BACKUP}")))
        return file

    @property
    def control_files(self):
        """Where this variant keeps them."""
        return self.control if VARIANTS[self.variant].control_apart else self.backups

    def queue(self):
        return list(commands_among(file.name for file in self.control_files.list()))


def lasts(probe, seconds):
    """Whether it is true for all of that time."""
    try:
        until(lambda: not probe(), what="a change", deadline_seconds=seconds)
    except WaitTimeout:
        return True
    return False
