"""What a case is played on: journal, cluster, traffic, watch and tap; set up together, struck together."""

from __future__ import annotations

import contextlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import __version__
from harness.clusters.etcd_release import EtcdRelease
from harness.clusters.members import EtcdMembers
from harness.clusters.ownership import Ownership
from harness.errors import MachineError
from harness.journal import Journal
from harness.judging import Finding
from harness.probes.membership import MembershipWatch
from harness.probes.store import observe_keyspace, observe_serving, observe_snapshot
from harness.run_folder import FULL_MIB
from harness.spec import CaseSpec
from harness.taps.node_tap import NodeTap
from harness.tools import Task
from harness.traffic import Store, Traffic
from harness.waiting import Clock

_WARM_UP_WRITES = 5


@dataclass(frozen=True, slots=True)
class KindWords:
    """What the user named for kind clusters; what is None is found.

    Args:
        node_image: reference of an image.
        kind, kubectl: paths of binaries.
    """

    node_image: str | None = None
    kind: str | None = None
    kubectl: str | None = None


@dataclass(slots=True)
class LabSettings:
    """What all cases of a run share.

    Args:
        run_id: the run.
        cases: folder that gets one folder a case.
        releases: etcd releases there are, the preferred one first.
        ownership: whose processes and data these are.
        keep: ``no``, ``on-failure`` or ``always``: leave the cluster up for a person to look at.
        kind: what the user named for kind clusters.
        progress: told what happens, a line each.
        ended: told how each case ended.
        anything_kept: set once a cluster was left up.
    """

    run_id: str
    cases: Path
    releases: Sequence[EtcdRelease]
    ownership: Ownership
    keep: str = "no"
    kind: KindWords = field(default_factory=KindWords)
    progress: Callable[[str], None] = lambda _: None
    ended: Callable[[CaseSpec, Sequence[Finding]], None] = lambda _spec, _findings: None
    anything_kept: bool = False


class Stage(ABC):
    """One case's stage; each sort of cluster has its own.

    Args:
        spec: what is to be played.
        settings: what all cases share.
        clock: where time comes from.

    Raises:
        JournalWriteError: the journal can't be made.

    Leaves behind: a cluster, threads and sockets, until `strike`; the case's folder always.
    """

    # After how long without an answer a node that served counts as silent; None leaves that to its process.
    silence_seconds: float | None = None

    def __init__(self, spec: CaseSpec, settings: LabSettings, clock: Clock) -> None:
        self.spec, self.settings = spec, settings
        self.folder = settings.cases / folder_name(spec.case_id)
        self.work = settings.ownership.lease.work / self.folder.name
        self.leftovers: list[str] = []
        self.tasks: list[Task] = []
        self.keep = False
        self.clock = clock
        self.struck = contextlib.ExitStack()
        self.cluster: EtcdMembers[Any]
        self.traffic: Traffic | None = None
        self.journal = Journal(self.folder / "journal.jsonl", clock.monotonic)
        self.struck.callback(self.journal.seal)
        self.journal.append(
            "case.opened",
            spec=spec.to_json(),
            run_id=settings.run_id,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            harness_version=__version__,
        )

    @abstractmethod
    def make_cluster(self) -> EtcdMembers[Any]:
        """The cluster, not started yet."""

    @abstractmethod
    def start_cluster(self) -> None:
        """Start it and wait until it is healthy."""

    @abstractmethod
    def make_tap(self) -> NodeTap:
        """The tool's hand on its machines."""

    @abstractmethod
    def make_store(self) -> Store:
        """Whom traffic calls."""

    @abstractmethod
    def collect_logs(self) -> None:
        """Copy what tells what happened into the case's folder."""

    @abstractmethod
    def remove_cluster(self) -> list[str]:
        """Remove it; returns a sentence for each thing that could not be removed."""

    def look_closer(self) -> None:  # noqa: B027 - a stage may have nothing to add
        """What the last look of this sort of cluster looks at beside its members."""

    def build(self) -> None:
        """Start everything, and wait until a healthy cluster takes traffic.

        Raises:
            MachineError: a release, an image or a port is missing here.
            ClusterError: the cluster did not become healthy.
        """
        self.step(f"cluster {self.spec.cluster.label}")
        self.cluster = self.make_cluster()
        self.struck.callback(self._remove_or_keep)
        self.struck.callback(self._collect_logs)
        self.tap = self.make_tap()
        self.struck.callback(self.tap.close)
        self.watch = MembershipWatch(self.cluster, self.journal, self.silence_seconds)
        self.struck.callback(self.watch.stop)
        self.start_cluster()
        self.watch.start()
        self.watch.look()
        if self.spec.traffic:
            self.traffic = Traffic(self.spec.traffic, self.make_store(), self.journal, self.clock)
            self.struck.callback(self.traffic.stop)
            self.traffic.start()
            self.traffic.await_acknowledged(_WARM_UP_WRITES)

    def last_look(self) -> None:
        """Look at everything once more; traffic ends first, so that all it was promised has to be there."""
        self.step("the last look")
        self.watch.look()
        if self.traffic:
            self.traffic.stop()
            observe_serving(self.cluster, self.journal)
            observe_keyspace(self.cluster, self.journal)
        self.look_closer()
        for number, task in enumerate(self.tasks, start=1):
            self._look_at_snapshot(number, task)
        self.watch.stop()
        self._require_room()
        self.journal.append("case.ended")

    def strike(self) -> None:
        """Remove what was built, last things first, each whatever became of the others; then seal the journal.

        Raises:
            JournalWriteError, MachineError: the disk would not take the rest.
        """
        self.struck.close()

    def step(self, text: str) -> None:
        """Say what the story does now."""
        self.journal.append("case.step", text=text)
        self.settings.progress(f"{self.spec.case_id}: {text}")

    def snapshots(self, number: int) -> Path:
        """Folder for the snapshots of the tool's n-th call."""
        return self.work / "snapshots" / f"run-{number}"

    def _look_at_snapshot(self, number: int, task: Task) -> None:
        role = "disaster" if task.recovers else f"before-change-{number}"
        file = next(iter(sorted(self.snapshots(number).glob("*.db"))), self.snapshots(number) / "none.db")
        observe_snapshot(self.cluster, self.journal, file, role)

    def _require_room(self) -> None:
        """Etcd stops and snapshots break on a full disk; that must never be blamed on the tool."""
        free_mib = shutil.disk_usage(self.work).free // 2**20
        if free_mib < FULL_MIB:
            mend = "free space, or choose another --run-dir"
            raise MachineError(f"No space left on device: {free_mib} MiB are free at the end of the case", mend=mend)

    def _remove_or_keep(self) -> None:
        if self.keep:
            self.settings.anything_kept = True
            self.settings.progress(f"{self.spec.case_id}: cluster kept; remove it with `afterfault gc`")
            return
        self.leftovers = self.remove_cluster()
        self.settings.ownership.end_strays()

    def _collect_logs(self) -> None:
        try:
            self.collect_logs()
        except OSError as error:
            raise MachineError(f"cannot keep logs in {self.folder}: {error.strerror}") from error


def folder_name(case_id: str) -> str:
    """The case's folder below ``cases/``."""
    return case_id.replace("/", "__")
