"""Frozen values that say what a case is; validated when made, no I/O.

A spec is written whole into the first entry of a case's journal, so a saved run knows what was
asked of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.shapes import ClusterShape, DeploymentSpec, EtcdSpec, KindSpec, ManagedSpec, shape_of

__all__ = [
    "CaseMatrix", "CaseSpec", "ClusterShape", "DeploymentSpec", "EtcdSpec", "KindSpec", "ManagedSpec", "Target",
    "TrafficSpec",
]  # fmt: skip

# The tool name of our own procedures.
REFERENCE = "reference"

# Keys of the traffic that witnesses a fault: registers are overwritten, log keys are written once.
REGISTER_PREFIX = "afterfault/register/"
LOG_PREFIX = "afterfault/log/"
# The same through an API server: ConfigMaps, and where etcd keeps those of the log.
CONFIGMAP_NAMESPACE = "afterfault-traffic"
CONFIGMAP_LOG = "log-"
CONFIGMAP_LOG_KEYS = f"/registry/configmaps/{CONFIGMAP_NAMESPACE}/{CONFIGMAP_LOG}"


@dataclass(frozen=True, slots=True)
class TrafficSpec:
    """Concurrent clients that witness a fault.

    Args:
        writers, readers: how many clients of each sort.
        registers: keys that are overwritten and read; each write also leaves a key of its own.
        pause_seconds: rest of a client between two calls.
        timeout_seconds: after which a call's outcome is unknown.
    """

    writers: int = 2
    readers: int = 1
    registers: int = 4
    pause_seconds: float = 0.05
    timeout_seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.writers < 1 or self.readers < 0 or self.registers < 1:
            raise UsageError("traffic needs at least one writer and one register")
        if self.pause_seconds <= 0 or self.timeout_seconds <= 0:
            raise UsageError("pause_seconds and timeout_seconds are above 0")


@dataclass(frozen=True, slots=True)
class Target:
    """The tool under test.

    Args:
        tool: ``reference`` or the name a user gave their own.
        variant: strategy or defect of a reference tool, else a short label.
        version: what the tool says of itself; free text.
    """

    tool: str
    variant: str
    version: str = ""

    @property
    def label(self) -> str:
        """``tool:variant``, the row name in reports."""
        return f"{self.tool}:{self.variant}"


@dataclass(frozen=True, slots=True)
class CaseSpec:
    """One run of one story against one target on one cluster.

    Args:
        scenario: the story's name, as ``rolling_replacement``.
        incident: file name of the seed the story replays.
        target: the tool under test.
        cluster: the cluster's shape.
        guarantees: IDs of all guarantees the story is judged by.
        seed: feeds every random choice of the case.
        write_gap_seconds: longest time without an acknowledged write that is still accepted.
        traffic: the clients that witness it; None for a story that needs no witness.
        moment: when the story's trouble comes, where that differs from case to case.
        repetition: which play of the case it is, from 1; ``--repeat`` asks for more than one.
    """

    scenario: str
    incident: str
    target: Target
    cluster: ClusterShape
    guarantees: tuple[str, ...]
    seed: int = 0
    write_gap_seconds: float = 5.0
    traffic: TrafficSpec | None = field(default_factory=TrafficSpec)
    moment: str = ""
    repetition: int = 1

    def __post_init__(self) -> None:
        if not self.guarantees:
            raise UsageError(f"{self.scenario}: a case without a guarantee can't be judged")
        if self.write_gap_seconds <= 0:
            raise UsageError("write_gap_seconds is above 0")
        if self.repetition < 1:
            raise UsageError("plays are counted from 1")

    @property
    def case_id(self) -> str:
        """Stable ID: ``scenario/target/cluster``, and the moment if there is one."""
        return "/".join([self.scenario, self.target.variant, self.cluster.label, *filter(None, [self.moment])])

    @property
    def play_id(self) -> str:
        """Stable ID of this play: the case's own, and from the second play on ``~2``."""
        return f"{self.case_id}~{self.repetition}" if self.repetition > 1 else self.case_id

    def play(self, repetition: int) -> CaseSpec:
        """The n-th play of this case: the same but for a seed of its own, that the case's own makes.

        The first play has the case's seed. The n-th has the first four bytes of SHA-256 over ``seed~n``, so
        that the same run seed gives the same plays, and any of them can be played alone as ``--case`` with its seed.
        """
        if repetition == 1:
            return self
        derived = hashlib.sha256(f"{self.seed}~{repetition}".encode()).digest()[:4]
        return replace(self, repetition=repetition, seed=int.from_bytes(derived))

    @property
    def label(self) -> str:
        """What tells the cases of one story apart: ``target-cluster``, and the moment if there is one."""
        return "-".join([self.target.variant, self.cluster.label, *filter(None, [self.moment])])

    def to_json(self) -> dict[str, Any]:
        """The spec as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: object) -> CaseSpec:
        """The spec back from plain JSON values.

        Raises:
            UsageError: the data does not have a spec's shape.
        """
        try:
            return msgspec.convert(data, cls, dec_hook=_shape)
        except msgspec.ValidationError as error:
            raise UsageError(f"not a case spec: {error}") from error


def _shape(kind: type, data: Any) -> ClusterShape:
    """Told by its fields."""
    if kind is not ClusterShape:
        raise NotImplementedError(f"no {kind} in a case spec")
    return msgspec.convert(data, shape_of(data))


@dataclass(frozen=True, slots=True)
class CaseMatrix:
    """The cases of one story: each variant of a tool on each shape of cluster.

    Args:
        scenario, incident, guarantees: as in a `CaseSpec`.
        task: what tools are asked to do; a user's own command joins in where it is ``replace-node``.
        variants: variants of the reference tool.
        shapes: cluster shapes.
        quick: labels of cases (``*`` matches) of the default selection; the rest is slow.
        write_gap_seconds: as in a `CaseSpec`.
        traffic: as in a `CaseSpec`.
        moments: of each of which there is a case.
        telling: for a variant of the reference tool, the moments that tell something of it; the others are left out.
    """

    scenario: str
    incident: str
    guarantees: tuple[str, ...]
    task: str
    variants: tuple[str, ...]
    shapes: tuple[ClusterShape, ...]
    quick: tuple[str, ...] = ("*",)
    write_gap_seconds: float = 5.0
    traffic: TrafficSpec | None = TrafficSpec()
    moments: tuple[str, ...] = ("",)
    telling: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = [moment for moments in self.telling.values() for moment in moments if moment not in self.moments]
        if unknown:
            raise UsageError(f"{self.scenario}: no moment {', '.join(unknown)}")

    def cases(self, targets: tuple[Target, ...], seed: int) -> list[CaseSpec]:
        """All cases for these targets, in a stable order."""
        return [
            CaseSpec(
                self.scenario,
                self.incident,
                target,
                shape,
                self.guarantees,
                seed,
                self.write_gap_seconds,
                self.traffic,
                moment,
            )
            for target in targets
            for shape in self.shapes
            for moment in self._moments_of(target)
        ]

    def _moments_of(self, target: Target) -> tuple[str, ...]:
        """Of a user's own tool nobody knows beforehand."""
        return self.telling.get(target.variant, self.moments) if target.tool == REFERENCE else self.moments

    def is_quick(self, case: CaseSpec) -> bool:
        """Whether the case belongs to the default selection; a user's own tool is always tried on every shape."""
        if case.target.tool != REFERENCE:
            return True
        return any(fnmatchcase(case.label, pattern) for pattern in self.quick)
