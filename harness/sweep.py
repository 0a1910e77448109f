"""Drives a sweep: learns one uncut start, then cuts it at each chosen point, every time from the same state.

Up to the creation of the cluster that state is nothing at all; from there on it is the cluster as the tool
finds it when it has just been made, brought back by a golden reset, and the deployment's folder as it was then.
"""

from __future__ import annotations

import contextlib
import difflib
import itertools
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import docker.errors

from harness.clusters.golden import Golden
from harness.clusters.kube_ready import await_ready
from harness.clusters.ownership import owned_processes
from harness.cuts import Cut, CutPoint, Means, Moment
from harness.errors import ClusterError, HarnessError, UsageError, WaitTimeout
from harness.judging import Verdict
from harness.judging.sweep import CONTROL, cut_points, under_way
from harness.probes.deployment import observe_app
from harness.probes.evidence import Occasion
from harness.probes.kubernetes.rest import Patience
from harness.probes.kubernetes.state import RECOVERED, REFERENCE, StateLook, observe_state
from harness.probes.traces import Engine, TraceLook, observe_traces
from harness.stages.deploy import DeployStage
from harness.tools.deployments import Start
from harness.tools.site_copy import SiteCopy
from harness.waiting import until

_CHOICE = re.compile(r"all|sample:0*[1-9]\d*|.+:\d+:(?:before|after)")
_CREATE = "kind create cluster"
# In every kind node, for kind loads images by it.
_IMAGES = ("ctr", "--namespace=k8s.io", "images")
# Etcd has its files open as long as its node runs: what they say is brought back by a golden reset.
_OPEN = ("/var/lib/etcd", "/etc/kubernetes")


@dataclass(frozen=True, slots=True)
class _LookPatience:
    """How long is waited for what a start leaves.

    Args:
        app_seconds: for the app to answer.
        rest: for the cluster to come to rest.
    """

    app_seconds: float
    rest: Patience


_PATIENT = _LookPatience(120.0, Patience(quiet_seconds=3.0, every_seconds=0.75))
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

    def __post_init__(self) -> None:
        """Know words that can't be meant before anything is made."""
        if not _CHOICE.fullmatch(self.words):
            raise UsageError(f"--cuts {self.words}: all, sample:N, or the ID of a cut point, which ends in a moment")

    def of(self, points: Sequence[CutPoint]) -> list[CutPoint]:
        """The chosen ones, in the order of the start.

        Raises:
            UsageError: there is no such point; names the nearest ones.
        """
        if self.words == "all":
            return list(points)
        if self.words.startswith("sample:"):
            return self._sample(points, min(int(self.words.removeprefix("sample:")), len(points)))
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
        self._clean = SiteCopy(self._site, stage.work / "site-clean")
        self._mounts: dict[Path, str] = {}  # folders of the site that nodes have mounted, and where
        self._label = stage.settings.ownership.lease.label
        # Taps and the like. Whatever else carries the run's label after a start, the tool has left.
        self._standing = frozenset(owned_processes(self._label))
        self._golden: Golden | None = None
        self._images: dict[str, set[str]] = {}  # at the golden moment

    def go(self) -> None:
        """All of it; ``sweep.learnt``, and for each cut ``sweep.cut`` and ``sweep.ended``.

        Where one cut is chosen it comes last, or nothing but its control does: what is kept is what it left.

        Raises:
            ClusterError: an uncut start did not end well, so there is nothing to compare with.
            UsageError: no such point is to be cut.
        """
        points = self._learn()
        chosen = self._choice.of(points)
        born = next((number for number, point in enumerate(points) if _is_birth(point)), -1)
        early = set(points[: born + 1])
        at_birth = points[min(born + 1, len(points) - 1)]
        if early.issuperset(chosen):
            self._cut_at_birth(at_birth)
        for point in chosen:
            if point in early:
                self._cut(point.id, point, self._from_nothing)
        if not early.issuperset(chosen):
            self._cut_at_birth(at_birth)
        for point in chosen:
            if point not in early and point != self._first:
                self._cut(point.id, point, self._back_to_golden)

    def _cut_at_birth(self, first: CutPoint) -> None:
        """The first cut that finds a cluster makes the state from which the others begin.

        By itself it owes nothing to a golden reset; the control, which does, has to end as it does. So what
        differs by the reset is told from what a tool makes of having been cut.
        """
        self._first = first
        self._cut(first.id, first, self._from_nothing, self._take_golden)
        self._cut(CONTROL, None, self._back_to_golden, like=first.id)

    def _learn(self) -> tuple[CutPoint, ...]:
        """The uncut start: its calls are the points, what it leaves is the reference."""
        first = len(self._stage.journal.entries())
        self._uncut()
        names = list(self._names())
        points = cut_points(self._stage.journal.entries()[first:], names)
        self._look(REFERENCE, _PATIENT)
        ids, words = [point.id for point in points], self._choice.words
        self._stage.journal.append("sweep.learnt", points=ids, cuts=words, names=names)
        return points

    def _cut(
        self,
        name: str,
        point: CutPoint | None,
        prepare: Callable[[], None],
        between: Callable[[], None] = lambda: None,
        like: str = "",
    ) -> None:
        """Bring the state back, start and cut, start again, look; what that takes is what a cut costs."""
        self._stage.step(f"cut: {name}")
        self._stage.journal.append("sweep.cut", id=name, like=like)
        problem = ""
        try:
            prepare()
            if point is not None:
                self._stage.call(Start(Cut(self._by, point)))
            between()
            run = self._stage.call(Start())
            self._look(RECOVERED, _PATIENT if run.is_done else _SHORT)
            if under_way(self._stage.journal.entries()) is Verdict.NOT_RECOVERED:
                self._stage.evidence.gather(Occasion.RED)
        except HarnessError as error:  # of this cut; the next one begins from a clean state again
            problem = f"{type(error).__name__}: {error}"
        self._stage.journal.append("sweep.ended", id=name, problem=problem)

    def _uncut(self) -> None:
        run = self._stage.call(Start())
        if not run.is_done:
            raise ClusterError(f"a start that nobody cut {run.outcome} with {run.exit_code}")

    def _from_nothing(self) -> None:
        self._stage.cluster.remove()
        self._clean.restore()

    def _take_golden(self) -> None:
        """The cluster as the tool finds it just made."""
        await_ready(self._stage.cluster.kubeconfig, 1)
        open_ones = [folder for folder, place in self._note_mounts().items() if place.startswith(_OPEN)]
        self._made = SiteCopy(self._site, self._stage.work / "site-made", open_ones)
        self._golden = Golden.take(self._stage.cluster)
        self._images = self._images_now()

    def _back_to_golden(self) -> None:
        """By a new cluster where the used one does not come back."""
        try:
            if self._golden is not None:
                self._made.restore()
                self._golden.reset(self._stage.cluster)
                self._remove_new_images()
                return
        except ClusterError as error:
            self._stage.journal.append("sweep.renewed", why=str(error))
        self._golden = None
        self._from_nothing()
        self._stage.call(Start(Cut(self._by, self._first)))
        self._take_golden()

    def _images_now(self) -> dict[str, set[str]]:
        """Names of the images on each node."""
        listed = {node.name: node.execute(*_IMAGES, "ls", "-q") for node in self._stage.cluster.running()}
        if failed := [name for name, answer in listed.items() if answer.exit_code != 0]:
            raise ClusterError(f"the images on {', '.join(failed)} can't be listed")
        return {name: set(answer.stdout.decode().split()) for name, answer in listed.items()}

    def _remove_new_images(self) -> None:
        """A golden reset leaves images where they are; a tool cut before it loads one must not find it."""
        now = self._images_now()
        for node in self._stage.cluster.running():
            if new := now[node.name] - self._images.get(node.name, set()):
                node.execute(*_IMAGES, "rm", *sorted(new))
        if self._images_now() != self._images:
            raise ClusterError("images that the tool loaded can't be removed")

    def _look(self, role: str, patience: _LookPatience) -> None:
        """The app first: the state comes to rest only when it is up, or will never be."""
        with contextlib.suppress(WaitTimeout):
            until(self._app_answers, what="the app", deadline_seconds=patience.app_seconds, every_seconds=0.5)
        stage, names = self._stage, self._names()
        observe_state(stage.world, role, StateLook(names, patience=patience.rest))
        # Etcd's files and keys differ from start to start; what the app keeps is its users'.
        opaque = tuple(f"{folder.relative_to(self._site)}/*" for folder in self._note_mounts())
        folders = {path.name: path for path in self._site.iterdir() if path.is_dir()}
        engine = Engine(stage.setup.engine, stage.settings.ownership.lease.mark)
        observe_traces(stage.journal, role, TraceLook(folders, self._label, self._standing, engine, opaque, names))

    def _note_mounts(self) -> dict[Path, str]:
        """Those of all nodes there ever were: where one is gone, its folders are left."""
        try:
            nodes = [self._stage.setup.engine.containers.get(node.name) for node in self._stage.cluster.running()]
        except docker.errors.DockerException as error:
            raise ClusterError(f"a node can't be looked at: {error}") from error
        mounts = [
            (Path(mount.get("Source", "")), mount["Destination"]) for node in nodes for mount in node.attrs["Mounts"]
        ]
        self._mounts |= {source: place for source, place in mounts if source.is_relative_to(self._site)}
        return self._mounts

    def _app_answers(self) -> bool:
        observe_app(self._stage.world)
        seen = self._stage.journal.entries()[-1].data
        return bool(seen["http"]["status"] == 200)

    def _names(self) -> dict[str, str]:
        clusters = dict.fromkeys(self._stage.cluster.names, "<cluster>")
        return clusters | {str(self._site): "<site>"}


def _is_birth(point: CutPoint) -> bool:
    return point.call == _CREATE and point.moment is Moment.AFTER
