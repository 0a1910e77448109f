"""Drives a sweep: learns one uncut start, then cuts it at each chosen point, every time from the same state.

Up to the creation of the cluster that state is nothing at all; from there on it is the cluster as the tool
finds it when it has just been made, brought back by a golden reset, and the deployment's folder as it was then.
"""

from __future__ import annotations

import contextlib
import difflib
import itertools
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.clusters.golden import Golden
from harness.clusters.kube_ready import await_ready
from harness.clusters.ownership import owned_processes
from harness.cuts import Cut, CutPoint, Means, Moment
from harness.deploy_stage import DeployStage
from harness.errors import ClusterError, HarnessError, UsageError, WaitTimeout
from harness.judging.sweep import CONTROL, cut_points
from harness.probes.deployment import observe_app
from harness.probes.kubernetes.rest import Patience
from harness.probes.kubernetes.state import RECOVERED, REFERENCE, StateLook, observe_state
from harness.probes.traces import Engine, TraceLook, observe_traces
from harness.tools import ToolRun
from harness.tools.deployments import Start
from harness.waiting import until

_CREATE = "kind create cluster"


@dataclass(frozen=True, slots=True)
class _LookPatience:
    """How long is waited for what a start leaves.

    Args:
        app_seconds: for the app to answer.
        rest: for the cluster to come to rest.
    """

    app_seconds: float
    rest: Patience


_PATIENT = _LookPatience(60.0, Patience(quiet_seconds=3.0, every_seconds=0.75))
# After a start that failed, which is red whatever comes: what it left is looked at for the report's sake.
_SHORT = _LookPatience(1.0, Patience(deadline_seconds=30.0, quiet_seconds=3.0, stuck_seconds=6.0, every_seconds=0.75))


@dataclass(frozen=True, slots=True)
class Choice:
    """Which points are cut.

    Args:
        words: ``all``, ``sample:N`` or the ID of one.
        seed: of the sample.

    A sample has one point of each of N equal stretches of the start: a defect that shows at many points
    in a row is met by every sample that is not too small, whatever its seed.
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
            return self._sample(points, min(int(number), len(points)))
        found = [point for point in points if point.id == self.words]
        if not found:
            ids = [point.id for point in points]
            near = ", ".join(difflib.get_close_matches(self.words, ids, 3, 0.0))
            raise UsageError(f"--cuts {self.words}: all, sample:N, or one of {len(points)} points, as {near}")
        return found

    def _sample(self, points: Sequence[CutPoint], number: int) -> list[CutPoint]:
        draw = random.Random(self.seed)
        ends = [len(points) * stretch // number for stretch in range(number + 1)]
        return [points[draw.randrange(begin, end)] for begin, end in itertools.pairwise(ends)]


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
        self._label = stage.settings.ownership.lease.label
        # Taps and the like. Whatever else carries the run's label after a start, the tool has left.
        self._standing = frozenset(owned_processes(self._label))
        self._golden: Golden | None = None

    def go(self) -> None:
        """All of it; ``sweep.learnt``, and for each cut ``sweep.cut`` and ``sweep.ended``.

        Raises:
            ClusterError: an uncut start did not end well, so there is nothing to compare with.
            UsageError: no such point is to be cut.
        """
        _copy(self._site, self._clean)
        points = self._learn()
        chosen = self._choice.of(points)
        born = next((number for number, point in enumerate(points) if _is_birth(point)), -1)
        early = set(points[: born + 1])
        for point in chosen:
            if point in early:
                self._cut(point.id, point, self._from_nothing)
        self._first_call = points[born + 1]
        self._make_golden()
        self._cut(CONTROL, None, self._back_to_golden)
        for point in chosen:
            if point not in early:
                self._cut(point.id, point, self._back_to_golden)

    def _learn(self) -> tuple[CutPoint, ...]:
        """The uncut start: its calls are the points, what it leaves is the reference."""
        first = len(self._stage.journal.entries())
        self._uncut()
        points = cut_points(self._stage.journal.entries()[first:])
        self._look(REFERENCE, _PATIENT)
        self._stage.journal.append("sweep.learnt", points=[point.id for point in points])
        return points

    def _cut(self, name: str, point: CutPoint | None, prepare: Callable[[], None]) -> None:
        """Bring the state back, start and cut, start again, look; what that takes is what a cut costs."""
        self._stage.step(f"cut: {name}")
        self._stage.journal.append("sweep.cut", id=name)
        problem = ""
        try:
            prepare()
            if point is not None:
                self._stage.call(Start(Cut(self._by, point)))
            run = self._stage.call(Start())
            self._look(RECOVERED, _PATIENT if _is_done(run) else _SHORT)
        except HarnessError as error:  # of this cut; the next one begins from a clean state again
            problem = f"{type(error).__name__}: {error}"
        self._stage.journal.append("sweep.ended", id=name, problem=problem)

    def _uncut(self) -> None:
        run = self._stage.call(Start())
        if not _is_done(run):
            raise ClusterError(f"a start that nobody cut {run.outcome} with {run.exit_code}")

    def _from_nothing(self) -> None:
        self._stage.cluster.remove()
        _restore(self._clean, self._site)

    def _make_golden(self) -> None:
        """The cluster as the tool finds it just made."""
        self._from_nothing()
        first = self._first_call
        self._stage.call(Start(Cut(Means.SIGKILL_GROUP, CutPoint(first.call, Moment.BEFORE, first.occurrence))))
        await_ready(self._stage.cluster.kubeconfig, 1)
        _copy(self._site, self._made)
        self._golden = Golden.take(self._stage.cluster)

    def _back_to_golden(self) -> None:
        """By a new cluster where the used one does not come back."""
        _restore(self._made, self._site)
        try:
            if self._golden is not None:
                self._golden.reset(self._stage.cluster)
                return
        except ClusterError as error:
            self._stage.journal.append("sweep.renewed", why=str(error))
        self._golden = None
        self._make_golden()

    def _look(self, role: str, patience: _LookPatience) -> None:
        """The app first: the state comes to rest only when it is up, or will never be."""
        with contextlib.suppress(WaitTimeout):
            until(self._app_answers, what="the app", deadline_seconds=patience.app_seconds, every_seconds=0.5)
        stage, names = self._stage, self._names()
        observe_state(stage.world, role, StateLook(names, patience=patience.rest))
        folders = {name: self._site / name for name in ("deployment", "home", "tmp") if (self._site / name).exists()}
        engine = Engine(stage.setup.engine, stage.settings.ownership.lease.mark)
        look = TraceLook(folders, self._label, self._standing, engine, _OPAQUE, names)
        observe_traces(stage.journal, role, look)

    def _app_answers(self) -> bool:
        observe_app(self._stage.world)
        seen = self._stage.journal.entries()[-1].data
        return bool(seen["http"]["status"] == 200)

    def _names(self) -> dict[str, str]:
        clusters = dict.fromkeys(self._stage.cluster.names, "<cluster>")
        return clusters | {str(self._site): "<site>"}


# Etcd's files and keys differ from start to start; what the app keeps is its users'.
_OPAQUE = ("deployment/data/cluster/*", "deployment/data/app/*")


def _is_done(run: ToolRun) -> bool:
    return (run.outcome, run.exit_code) == ("exited", 0)


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
