"""What a case is played on: journal, cluster, traffic, watch and tap; set up together, struck together."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness import __version__
from harness.clusters.etcd import EtcdCluster
from harness.clusters.etcd_release import EtcdRelease, pick_release
from harness.clusters.ownership import Ownership
from harness.errors import MachineError
from harness.journal import Journal
from harness.judging import Finding
from harness.probes.membership import MembershipWatch
from harness.probes.store import observe_keyspace, observe_serving, observe_snapshot
from harness.run_folder import FULL_MIB
from harness.spec import CaseSpec
from harness.taps.node_tap import NodeTap
from harness.tools import RECOVER_QUORUM, Task
from harness.traffic import Traffic
from harness.waiting import Clock

_WARM_UP_WRITES = 5


@dataclass(slots=True)
class LabSettings:
    """What all cases of a run share.

    Args:
        run_id: the run.
        cases: folder that gets one folder a case.
        releases: etcd releases there are, the preferred one first.
        ownership: whose processes and data these are.
        keep: ``no``, ``on-failure`` or ``always``: leave the cluster up for a person to look at.
        progress: told what happens, a line each.
        ended: told how each case ended.
        anything_kept: set once a cluster was left up.
    """

    run_id: str
    cases: Path
    releases: Sequence[EtcdRelease]
    ownership: Ownership
    keep: str = "no"
    progress: Callable[[str], None] = lambda _: None
    ended: Callable[[CaseSpec, Sequence[Finding]], None] = lambda _spec, _findings: None
    anything_kept: bool = False


class Stage:
    """One case's stage.

    Args:
        spec: what is to be played.
        settings: what all cases share.
        clock: where time comes from.

    Raises:
        JournalWriteError: the journal can't be made.

    Leaves behind: a cluster, threads and sockets, until `strike`; the case's folder always.
    """

    def __init__(self, spec: CaseSpec, settings: LabSettings, clock: Clock) -> None:
        self._spec, self._settings = spec, settings
        self.folder = settings.cases / folder_name(spec.case_id)
        self.work = settings.ownership.lease.work / self.folder.name
        self.leftovers: list[str] = []
        self.tasks: list[Task] = []
        self.keep = False
        self._clock = clock
        self._struck = contextlib.ExitStack()
        self.journal = Journal(self.folder / "journal.jsonl", clock.monotonic)
        self._struck.callback(self.journal.seal)
        self.journal.append(
            "case.opened",
            spec=spec.to_json(),
            run_id=settings.run_id,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            harness_version=__version__,
        )

    def build(self) -> None:
        """Start everything, and wait until a healthy cluster takes traffic.

        Raises:
            MachineError: a release or a port is missing here.
            ClusterError: the cluster did not become healthy.
        """
        spec, settings = self._spec, self._settings
        self.step(f"etcd cluster {spec.cluster.label}")
        release = pick_release(settings.releases, spec.cluster.release)
        self.cluster = EtcdCluster(
            spec.cluster, release, self.work, self.journal, settings.ownership, clock=self._clock
        )
        self._struck.callback(self._remove_cluster)
        self._struck.callback(self._collect_logs)
        self.tap = NodeTap(self.cluster, self.journal, self.work / "snapshots")
        self._struck.callback(self.tap.close)
        self.watch = MembershipWatch(self.cluster, self.journal)
        self._struck.callback(self.watch.stop)
        self.traffic = Traffic(spec.traffic, self.cluster, self.journal, self._clock) if spec.traffic else None
        self.cluster.start()
        self.watch.start()
        self.watch.look()
        if self.traffic:
            self._struck.callback(self.traffic.stop)
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
        self._struck.close()

    def step(self, text: str) -> None:
        """Say what the story does now."""
        self.journal.append("case.step", text=text)
        self._settings.progress(f"{self._spec.case_id}: {text}")

    def snapshots(self, number: int) -> Path:
        """Folder for the snapshots of the tool's n-th call."""
        return self.work / "snapshots" / f"run-{number}"

    def _look_at_snapshot(self, number: int, task: Task) -> None:
        role = "disaster" if task.name == RECOVER_QUORUM else f"before-change-{number}"
        file = next(iter(sorted(self.snapshots(number).glob("*.db"))), self.snapshots(number) / "none.db")
        observe_snapshot(self.cluster, self.journal, file, role)

    def _require_room(self) -> None:
        """Etcd stops and snapshots break on a full disk; that must never be blamed on the tool."""
        free_mib = shutil.disk_usage(self.work).free // 2**20
        if free_mib < FULL_MIB:
            mend = "free space, or choose another --run-dir"
            raise MachineError(f"No space left on device: {free_mib} MiB are free at the end of the case", mend=mend)

    def _remove_cluster(self) -> None:
        if self.keep:
            self._settings.anything_kept = True
            self._settings.progress(f"{self._spec.case_id}: cluster kept; remove it with `afterfault gc`")
            return
        self.leftovers = self.cluster.remove()
        self._settings.ownership.end_strays()

    def _collect_logs(self) -> None:
        try:
            for node in self.cluster.nodes.values():
                if node.log.exists():
                    shutil.copyfile(node.log, self.folder / f"etcd-{node.name}.log")
        except OSError as error:
            raise MachineError(f"cannot keep etcd's logs in {self.folder}: {error.strerror}") from error


def folder_name(case_id: str) -> str:
    """The case's folder below ``cases/``."""
    return case_id.replace("/", "__")
