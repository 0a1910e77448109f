"""The real etcd-manager (kubernetes-sigs/etcd-manager, the one kops ships) as a manager under test.

It knows fixed paths: etcd below ``/opt``, its peers in ``/tmp/discovery``, names in ``/etc/hosts``. So each of its
machines gets a view of its own (see `harness.clusters.namespaces`). Facts: its source (``pkg/etcd/etcdprocess.go``,
``pkg/controller/controller.go``, ``cmd/etcd-manager/main.go``), and runs against its head of July 2026.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.clusters.etcd_release import EtcdRelease, load_release
from harness.clusters.managed import ManagedCluster, ManagedMachine
from harness.clusters.namespaces import Box, make_box, require_namespaces
from harness.errors import MachineError, UsageError
from harness.tools.bounded_answer import ask

OPTION = "--etcd-manager"
NAME, CONTROL_NAME = "etcd-manager", "etcd-manager-ctl"
_ANSWER_SECONDS = 30.0
# Options by which each is known, as Go's flag package prints them.
_KNOWN_BY = {NAME: "-quarantine-client-urls", CONTROL_NAME: "-member-count"}
_MEND = f"give {OPTION} the folder that holds {NAME} and {CONTROL_NAME}"
_BINARIES = ("etcd", "etcdctl", "etcdutl")
# Where it looks for etcd, by the age of the build.
_ETCD_FOLDERS = ("etcd-v{version}", "etcd-v{version}-linux-amd64")
_REPLACED = ("/tmp", "/opt", "/etc/hosts")

# What its log says, as regular expressions over a line's text.
ALARM = (
    r"error (checking|refreshing) control store|error reading (cluster spec|marker)|error during backup"
    r"|must issue restore-backup|error (restoring|from restore)|we don't support etcd version"
)
NOTABLE = (
    r"detected that there is no existing cluster|no cluster spec set|starting new etcd cluster"
    r"|archiving etcd data|etting quarantined state|to quarantined|got restore-backup command|deleting command"
    r"|restored \d+ keys|unexpected error running"
)
TOOK = r'took backup: .*?name:\s?"([^"]+)"'


@dataclass(frozen=True, slots=True)
class EtcdManager:
    """A build under test.

    Args:
        folder: with both programs; absolute.
        release: the etcd that it runs and restores with.
        build: first twelve digits of the program's SHA-256: it says no version of itself.
    """

    folder: Path
    release: EtcdRelease
    build: str = ""
    label: str = NAME
    client_port: int = 4001
    quarantine_port: int = 8001
    peer_port: int = 2380
    manager_port: int = 8000
    loop_seconds: float = 10.0
    least_backup_seconds: float = 5.0
    formation_seconds: float = 120.0
    restart_seconds: float = 90.0
    fsync: bool = True
    keeps_control_apart: bool = False
    alarm: str = ALARM
    notable: str = NOTABLE
    took: str = TOOK
    loss: str = ""

    @classmethod
    def examine(
        cls, folder: str, releases: Sequence[EtcdRelease], answer_seconds: float = _ANSWER_SECONDS
    ) -> EtcdManager:
        """Find out whether a folder holds the two programs, and which etcd they want.

        Args:
            folder: what the user gave.
            releases: those there are; releases in ``etcd-v*`` folders beside the programs come first.
            answer_seconds: for each of two questions.

        Raises:
            UsageError: the folder or a program is not there, not executable, or another program.
            MachineError: they can't be started here, there is no etcd that they want, or no namespaces.
        """
        place = _named(folder)
        for name, option in _KNOWN_BY.items():
            _check_program(place / name, option, answer_seconds)
        beside = [load_release(found, str(found)) for found in sorted(place.glob("etcd-v*"), reverse=True)]
        content = (place / NAME).read_bytes()
        release = _wanted(place / NAME, content, [*beside, *releases])
        require_namespaces()
        return cls(place, release, hashlib.sha256(content).hexdigest()[:12])

    @classmethod
    def from_json(cls, text: str) -> EtcdManager:
        """What `to_json` gave: the same build, not asked again."""
        told = json.loads(text)
        paths = {name: Path(told["release"][name]) for name in _BINARIES}
        return cls(Path(told["folder"]), EtcdRelease(**(told["release"] | paths)), told["build"])

    def to_json(self) -> str:
        """All that is known of it, for another process of the run."""
        told = {"folder": str(self.folder), "release": asdict(self.release), "build": self.build}
        return json.dumps(told, default=str)

    def command(self, machine: ManagedMachine, cluster: ManagedCluster) -> tuple[str, ...]:
        """As on loopback: no TLS, every port on the machine's own address."""
        at = f"http://{machine.address}"
        return (
            str(self.folder / NAME), "--insecure", "--etcd-insecure",
            f"--address={machine.address}", f"--etcd-address={machine.address}", f"--grpc-port={self.manager_port}",
            "--cluster-name=main",
            f"--backup-store={cluster.store.url}", f"--backup-interval={cluster.backup_seconds:g}s",
            f"--data-dir={machine.data_dir}", "--discovery-poll-interval=2s", "--v=2",
            f"--client-urls={at}:{self.client_port}", f"--quarantine-client-urls={at}:{self.quarantine_port}",
            f"--peer-urls={at}:{self.peer_port}",
        )  # fmt: skip

    def environment(self, cluster: ManagedCluster) -> dict[str, str]:  # noqa: ARG002 - the same for all
        """Temporary files go where the box has its own; paths of sockets there have to be short."""
        return {"TMPDIR": "/tmp"}

    def box(self, machine: ManagedMachine, cluster: ManagedCluster) -> Box:
        """A view with this etcd in ``/opt``, a ``/tmp`` that only this cluster's machines share, its own hosts file."""
        view, hosts = cluster.work / "view", machine.folder / "hosts"
        places = {Path(name): view / Path(name).name for name in _REPLACED[:2] if Path(name).is_dir()}
        for place in places.values():
            for pattern in _ETCD_FOLDERS:
                self._link_etcd(place / pattern.format(version=self.release.version))
        if not hosts.exists():
            shutil.copyfile("/etc/hosts", hosts)
        # what links lead to, not where they lie
        etcd = [path.resolve().parent for path in self._binaries()]
        kept = [cluster.ownership.lease.work.resolve(), cluster.work, self.folder, *etcd]
        return make_box({**places, Path(_REPLACED[2]): hosts}, kept)

    def control(self, cluster: ManagedCluster, verb: str, *words: str) -> tuple[str, ...]:
        """By the program for operators; the spec's values stand before the verb."""
        spec: tuple[str, ...] = ()
        if verb == "configure-cluster":
            spec = (f"-member-count={cluster.spec.members}", f"-etcd-version={self.release.version}")
        return (str(self.folder / CONTROL_NAME), f"-backup-store={cluster.control_store.url}", *spec, verb, *words)

    def _binaries(self) -> tuple[Path, Path, Path]:
        return self.release.etcd, self.release.etcdctl, self.release.etcdutl

    def _link_etcd(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, binary in zip(_BINARIES, self._binaries(), strict=True):
            if not (folder / name).exists():
                (folder / name).symlink_to(binary.resolve())


def _named(word: str) -> Path:
    """The folder that a user named."""
    if not word.strip():
        raise UsageError(f"{OPTION} is empty", mend=_MEND)
    folder = Path(word)
    if not folder.is_dir():
        raise UsageError(f"{OPTION} {word} is {'no folder' if folder.exists() else 'not there'}", mend=_MEND)
    return folder.resolve()


def _check_program(program: Path, option: str, seconds: float) -> None:
    if not program.is_file():
        raise UsageError(f"{OPTION} {program.parent}: {program.name} is not there", mend=_MEND)
    if not os.access(program, os.X_OK):
        raise UsageError(f"{OPTION}: {program} is not executable", mend=f"chmod +x {program}")
    answer = ask((str(program), "--help"), {"PATH": os.environ.get("PATH", os.defpath)}, seconds)
    if answer.flaw.startswith("did not end"):
        raise MachineError(
            f"{program}: `{program.name} --help` {answer.flaw}", mend=f"see why it hangs: {program} --help"
        )
    if option not in answer.text:
        raise UsageError(
            f"{program} is not {program.name}: `--help` names no {option}, and said {answer.first_words!r}", mend=_MEND
        )


def _wanted(program: Path, content: bytes, releases: Sequence[EtcdRelease]) -> EtcdRelease:
    """The first release whose version stands in the program: it restores with versions it knows, and with no other.

    Source: ``EtcdVersionForRestore`` in its ``pkg/etcdversions``; without that very version a restore loops.
    """
    for release in releases:
        if release.version.encode() in content:
            return release
    have = ", ".join(release.version for release in releases) or "none"
    raise MachineError(
        f"{program} knows other versions of etcd than those here ({have})",
        mend="give --etcd-dir DIR with the etcd that its pkg/etcdversions names last, as 3.5.30",
    )
