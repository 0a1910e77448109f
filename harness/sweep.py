"""Drives a sweep: learns one uncut start, then cuts it at each chosen point, every time from the same state.

Up to the creation of the cluster that state is nothing at all; from there on it is the cluster as the tool
finds it when it has just been made, brought back by a golden reset, and the deployment's folder as it was then.
"""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.clusters.golden import Golden
from harness.clusters.kube_ready import await_ready
from harness.cuts import Cut, CutPoint, Means, Moment
from harness.deploy_stage import DeployStage
from harness.errors import ClusterError, HarnessError, UsageError, WaitTimeout
from harness.judging.sweep import CONTROL, cut_points
from harness.probes.deployment import observe_app
from harness.probes.kubernetes.state import RECOVERED, REFERENCE, StateLook, observe_state
from harness.probes.traces import Engine, TraceLook, observe_traces
from harness.tools import ToolRun
from harness.tools.deployments import Start
from harness.waiting import until

_CREATE = "kind create cluster"
_APP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Choice:
    """Which points are cut.

    Args:
        words: ``all``, ``sample:N`` or the ID of one.
        seed: of the sample.
    """

    words: str
    seed: int

    def of(self, points: Sequence[CutPoint]) -> list[CutPoint]:
        """The chosen ones, in the order of the start.

        Raises:
            UsageError: there is no such point; names the nearest ones.
        """
        if self.words == "all":
            return list(points)
        word, _, number = self.words.partition(":")
        if word == "sample" and number.isdigit() and int(number) > 0:
            chosen = random.Random(self.seed).sample(range(len(points)), min(int(number), len(points)))
            return [points[index] for index in sorted(chosen)]
        found = [point for point in points if point.id == self.words]
        if not found:
            some = ", ".join(point.id for point in points[:3])
            raise UsageError(f"--cuts {self.words}: all, sample:N, or one of {len(points)} points, as {some}")
        return found


class Sweep:
    """One sweep of a start.

    Args:
        stage: a site with nothing on it yet.
        choice: which points.
        by: what ends the tool.
    """

    def __init__(self, stage: DeployStage, choice: Choice, by: Means = Means.SIGKILL_GROUP) -> None:
        self._stage, self._choice, self._by = stage, choice, by
        self._site = stage.work / "site"
        self._clean, self._made = stage.work / "site-clean", stage.work / "site-made"

    def go(self) -> None:
        """All of it; ``sweep.learnt``, and for each cut ``sweep.cut`` and ``sweep.ended``.

        Raises:
            ClusterError: an uncut start did not end well, so there is nothing to compare with.
        """
        _copy(self._site, self._clean)
        points = self._learn()
        born = next((number for number, point in enumerate(points) if _is_birth(point)), -1)
        chosen = [(point, points.index(point) <= born) for point in self._choice.of(points)]
        for point in [point for point, early in chosen if early]:
            self._from_nothing()
            self._cut(point.id, point)
        self._make_golden(points[born + 1])
        self._back_to_golden()
        self._cut(CONTROL, None)
        for point in [point for point, early in chosen if not early]:
            self._back_to_golden()
            self._cut(point.id, point)

    def _learn(self) -> tuple[CutPoint, ...]:
        """The uncut start: its calls are the points, what it leaves is the reference."""
        first = len(self._stage.journal.entries())
        self._start(None)
        points = cut_points(self._stage.journal.entries()[first:])
        self._look(REFERENCE)
        self._stage.journal.append("sweep.learnt", points=[point.id for point in points])
        return points

    def _cut(self, name: str, point: CutPoint | None) -> None:
        self._stage.step(f"cut: {name}")
        self._stage.journal.append("sweep.cut", id=name)
        problem = ""
        try:
            if point is not None:
                self._stage.call(Start(Cut(self._by, point)))
            self._stage.call(Start())
            self._look(RECOVERED)
        except HarnessError as error:  # of this cut; the next one begins from a clean state again
            problem = f"{type(error).__name__}: {error}"
        self._stage.journal.append("sweep.ended", id=name, problem=problem)

    def _start(self, cut: Cut | None) -> ToolRun:
        run = self._stage.call(Start(cut))
        if cut is None and (run.outcome, run.exit_code) != ("exited", 0):
            raise ClusterError(f"a start that nobody cut {run.outcome} with {run.exit_code}")
        return run

    def _from_nothing(self) -> None:
        self._stage.cluster.remove()
        _restore(self._clean, self._site)

    def _make_golden(self, after_birth: CutPoint) -> None:
        """The cluster as the tool finds it just made."""
        self._from_nothing()
        self._start(Cut(Means.SIGKILL_GROUP, CutPoint(after_birth.call, Moment.BEFORE, after_birth.occurrence)))
        await_ready(self._stage.cluster.kubeconfig, 1)
        _copy(self._site, self._made)
        self._golden = Golden.take(self._stage.cluster)

    def _back_to_golden(self) -> None:
        _restore(self._made, self._site)
        self._golden.reset(self._stage.cluster)

    def _look(self, role: str) -> None:
        """The app first: the state comes to rest only when it is up, or will never be."""
        with contextlib.suppress(WaitTimeout):
            until(self._app_answers, what="the app", deadline_seconds=_APP_SECONDS, every_seconds=0.5)
        stage, names = self._stage, self._names()
        observe_state(stage.world, role, StateLook(names))
        engine = Engine(stage.setup.engine, stage.settings.ownership.lease.mark)
        folders = {name: self._site / name for name in ("deployment", "home", "tmp") if (self._site / name).exists()}
        label = stage.settings.ownership.lease.label
        observe_traces(stage.journal, role, TraceLook(folders, label, engine, _OPAQUE, names))

    def _app_answers(self) -> bool:
        observe_app(self._stage.world)
        seen = self._stage.journal.entries()[-1].data
        return bool(seen["http"]["status"] == 200)

    def _names(self) -> dict[str, str]:
        clusters = dict.fromkeys(self._stage.cluster.names, "<cluster>")
        return clusters | {str(self._site): "<site>"}


# Etcd's files and keys differ from start to start; what the app keeps is its users'.
_OPAQUE = ("deployment/data/cluster/*", "deployment/data/app/*")


def _is_birth(point: CutPoint) -> bool:
    return point.call == _CREATE and point.moment is Moment.AFTER


def _copy(folder: Path, to: Path) -> None:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to, symlinks=True)


def _restore(copy: Path, folder: Path) -> None:
    """Make a folder what it was; folders stay the same ones, for a node may have them mounted."""
    for path in sorted(folder.rglob("*"), reverse=True):
        kept = copy / path.relative_to(folder)
        if not kept.exists() or path.is_symlink():
            (path.rmdir if path.is_dir() and not path.is_symlink() else path.unlink)()
    for path in sorted(copy.rglob("*")):
        place = folder / path.relative_to(copy)
        if path.is_dir():
            place.mkdir(exist_ok=True)
        else:
            shutil.copy2(path, place, follow_symlinks=False)
