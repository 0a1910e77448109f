"""Sites for the reference deployer, one after the other: through the taps as in every story, or without any."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from harness.clusters.ownership import Ownership
from harness.errors import ClusterError
from harness.spec import REFERENCE, CaseSpec, DeploymentSpec, KindSpec, Target
from harness.stages.deploy import DeployStage
from harness.stages.kind import kind_setup
from harness.stages.stage import KindWords, LabSettings
from harness.tools.deploy_tool import DeployTool, Task
from harness.tools.deployers import reference_deployer
from harness.tools.deployments import Start, Stop
from harness.waiting import SYSTEM_CLOCK

INCIDENT = "001_398af5f43316f612.txt"
# The tool takes the first cluster it sees, and names no image: somebody has to do for it what the taps do.
_GUARD = """#!/bin/sh
case "$1 $2" in
"get clusters") {kind} get clusters 2> /dev/null | grep -x {cluster}; exit 0 ;;
"create cluster") set -- "$@" --image={image} ;;
esac
exec {kind} "$@"
"""


class TappedSite(DeployStage):
    """As in every story."""

    def collect_logs(self) -> None:
        """Nobody reads them here."""

    def start(self) -> float:
        """One start of the tool from nothing, to its end; returns the seconds it took.

        Raises:
            ClusterError: it did not succeed.
        """
        run = self.call(Start())
        if (run.outcome, run.exit_code) != ("exited", 0):
            raise ClusterError(f"the start {run.outcome} with {run.exit_code}", log_tail=run.output.read_text()[-2000:])
        return run.seconds


class PlainSite(TappedSite):
    """The same site, network, names and images; but the tool calls kind, docker and the API itself."""

    def prepare(self, request: Start | Stop, tool: DeployTool, number: int) -> Task:
        """With a PATH where nothing is ours but a guard of four lines, in front of kind."""
        task = super().prepare(request, tool, number)
        shelf = self.work / "plain"
        shelf.mkdir(exist_ok=True)
        guard = shelf / "kind"
        words = {"kind": self.setup.kind, "cluster": self.cluster_name, "image": self.setup.image}
        guard.write_text(_GUARD.format(**{name: shlex.quote(str(word)) for name, word in words.items()}))
        guard.chmod(0o755)
        with contextlib.suppress(FileExistsError):
            (shelf / "kubectl").symlink_to(self.setup.kubectl)
        task.environment.update(
            PATH=f"{shelf}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            KIND_EXPERIMENTAL_DOCKER_NETWORK=self._owner.network(),
        )
        return task

    @property
    def cluster_name(self) -> str:
        """As the stage chooses it."""
        return f"{self._owner.lease.cluster_prefix}made"


@contextlib.contextmanager
def settings_in(folder: Path, label: str) -> Iterator[LabSettings]:
    """A run of our own, and nothing left of it."""
    ownership = Ownership(f"{label}-{os.getpid()}-{time.time_ns()}", folder / "owned")
    try:
        yield LabSettings(label, folder / "cases", (), ownership)
    finally:
        ownership.release()


def spec_of(name: str, variant: str = "faithful") -> CaseSpec:
    """A case of a start from nothing."""
    shape = DeploymentSpec(in_use=False, secrets="none")
    return CaseSpec(name, INCIDENT, Target(REFERENCE, variant), shape, ("foreign-untouched",))


@contextlib.contextmanager
def site(sort: type[TappedSite], name: str, settings: LabSettings) -> Iterator[TappedSite]:
    """A site with nothing on it, gone afterwards with all that the tool made there.

    Raises:
        MachineError: kind is not ready here.
        ClusterError: something was left.
    """
    setup = kind_setup(KindWords(), KindSpec())
    stage = sort(spec_of(name), settings, SYSTEM_CLOCK, setup, reference_deployer("faithful"))
    try:
        stage.build()
        yield stage
    finally:
        stage.strike()
    if stage.leftovers:
        raise ClusterError("; ".join(stage.leftovers))
