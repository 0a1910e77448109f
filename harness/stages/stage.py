"""What a case is played on: a journal, and all that is set up together and struck together."""

from __future__ import annotations

import contextlib
import shlex
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from harness import __version__
from harness.clusters.etcd_release import EtcdRelease
from harness.clusters.members import EtcdEndpoints
from harness.clusters.ownership import Ownership
from harness.errors import ClusterError, HarnessError, MachineError
from harness.heartbeat import Heartbeat
from harness.journal import Journal
from harness.judging import Finding
from harness.kept import Kept
from harness.run_folder import FULL_MIB
from harness.spec import CaseSpec
from harness.tools.deploy_tool import DeployTool, Task, ToolRun
from harness.tools.etcd_manager import EtcdManager
from harness.waiting import Clock


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
        manager: the build of etcd-manager the user named, if any.
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
    manager: EtcdManager | None = None
    progress: Callable[[str], None] = lambda _: None
    ended: Callable[[CaseSpec, Sequence[Finding]], None] = lambda _spec, _findings: None
    anything_kept: bool = False


class Request(Protocol):
    """What a tool is asked to do; how it is put into words is between it and the stage."""

    @property
    def sentence(self) -> str:
        """For people."""


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

    def __init__(self, spec: CaseSpec, settings: LabSettings, clock: Clock) -> None:
        self.spec, self.settings = spec, settings
        self.folder = settings.cases / folder_name(spec.play_id)
        self.work = settings.ownership.lease.work / self.folder.name
        self.leftovers: list[str] = []
        self.keep = False
        self.clock = clock
        self.struck = contextlib.ExitStack()
        self.cluster: Any
        self.journal = Journal(self.folder / "journal.jsonl", clock.monotonic)
        self.struck.callback(self.journal.seal)
        self.journal.append(
            "case.opened",
            spec=spec.to_json(),
            run_id=settings.run_id,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            harness_version=__version__,
        )
        self._heartbeat = Heartbeat(self.journal)
        self.struck.callback(self._heartbeat.stop)
        self._heartbeat.start()

    @abstractmethod
    def build(self) -> None:
        """Set everything up.

        Raises:
            MachineError: something is missing here.
            ClusterError: what there has to be at the beginning did not become healthy.
        """

    @abstractmethod
    def look(self) -> None:
        """Look at the world at a moment of the story."""

    @abstractmethod
    def prepare(self, request: Any, tool: DeployTool, number: int) -> Task:
        """Put the tool's n-th request into words."""

    @abstractmethod
    def look_at_exit(self, task: Task, run: ToolRun) -> None:
        """Look at the world the moment the tool says how it went."""

    def idle_seconds(self) -> float:
        """For how long nothing has changed the world; 0 where nobody watches the tool's calls."""
        return 0.0

    @abstractmethod
    def last_look(self) -> None:
        """Look at everything once more; what comes after is not judged."""

    @abstractmethod
    def collect_logs(self) -> None:
        """Copy what tells what happened into the case's folder."""

    @abstractmethod
    def remove_cluster(self) -> list[str]:
        """Remove it; returns a sentence for each thing that could not be removed."""

    @abstractmethod
    def way_in(self) -> Kept:
        """What a person needs to look at the cluster as it is.

        Raises:
            HarnessError: nothing is up.
        """

    def end_story(self) -> None:
        """The last entry that is judged; an unnoticed gap before it would be noticed too late.

        Raises:
            MachineError: the disk is full.
        """
        self.require_room()
        self._heartbeat.attest()
        self.journal.append("case.ended")

    def leave_cluster(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of what this process itself holds of a cluster that is left up."""

    def strike(self) -> None:
        """Remove what was built, last things first, each whatever became of the others; then seal the journal.

        Raises:
            JournalWriteError, MachineError: the disk would not take the rest.
        """
        self.struck.close()

    def step(self, text: str) -> None:
        """Say what the story does now."""
        self.journal.append("case.step", text=text)
        self.settings.progress(f"{self.spec.play_id}: {text}")

    def require_room(self) -> None:
        """Etcd stops and snapshots break on a full disk; that must never be blamed on the tool.

        Raises:
            MachineError: the disk is full.
        """
        free_mib = shutil.disk_usage(self.work).free // 2**20
        if free_mib < FULL_MIB:
            mend = "free space, or choose another --run-dir"
            raise MachineError(f"No space left on device: {free_mib} MiB are free at the end of the case", mend=mend)

    def remove_at_the_end(self) -> None:
        """From now on there is a cluster: its logs are kept and it is removed, or left for a person to look at."""
        self.struck.callback(self._remove_or_keep)
        self.struck.callback(self._collect_logs)

    def _remove_or_keep(self) -> None:
        if self.keep:
            self.settings.anything_kept = True
            self.leave_cluster()
            self._tell_kept()
            return
        self.leftovers = self.remove_cluster()
        self.settings.ownership.end_strays()

    def _tell_kept(self) -> None:
        try:
            kept = self.way_in()
        except HarnessError as error:
            kept = Kept(trouble=f"there is no way in: {error}")
        try:
            kept.owned_by(self.settings.ownership.lease.label, self.spec.play_id).save(self.folder)
        except OSError as error:
            raise MachineError(f"cannot write into {self.folder}: {error.strerror}") from error
        run = shlex.quote(str(self.settings.cases.parent))
        self.settings.progress(f"{self.spec.play_id}: cluster kept; remove it with `afterfault gc --run {run}`")

    def _collect_logs(self) -> None:
        try:
            self.collect_logs()
        except OSError as error:
            raise MachineError(f"cannot keep logs in {self.folder}: {error.strerror}") from error


def etcdctl_to(cluster: EtcdEndpoints[Any]) -> Kept:
    """The way into a cluster of bare members: by etcdctl, to whoever runs.

    Raises:
        ClusterError: nobody does.
    """
    endpoints = [node.client_url for node in cluster.running()]
    if not endpoints:
        raise ClusterError("no member runs")
    environment = {"ETCDCTL_ENDPOINTS": ",".join(endpoints), **cluster.etcdctl_credentials()}
    return Kept(etcdctl=str(cluster.release.etcdctl), environment=environment)


def folder_name(play_id: str) -> str:
    """The folder below ``cases/`` of a case, or of one of its plays."""
    return play_id.replace("/", "__")
