"""Which procedures keep the cluster alive? The question a reader comes with, answered over all cases of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.judging import Verdict
from harness.judging.guarantees import GUARANTEES
from reports.run import CaseResult, RunResult

# A procedure that keeps these has kept the cluster alive, whatever else it leaves behind.
_ALIVE = ("quorum-kept", "write-gap-bounded", "acknowledged-writes-kept", "cluster-identity-kept")
# Stories in which a node is (or should not be) replaced ask for one of these; the others are about something else.
_REPLACING = {"replacement-complete", "clean-before-next-node"}


@dataclass(frozen=True, slots=True)
class Procedure:
    """What one procedure came to, over all stories and shapes in which it replaced a node.

    Args:
        name: the variant; with its tool in front unless it is the reference.
        group: ``kept`` all guarantees, ``alive`` but something else broke, ``lost`` the cluster,
            or ``unclear``.
        broken: titles of the guarantees broken, those that cost the cluster its life alone when
            it was lost.
        cases: how many cases tell.
        lost: in how many of them the cluster was lost.
        anchor: the case to look at: the first one that put it into this group.
    """

    name: str
    group: str
    broken: tuple[str, ...]
    cases: int
    lost: int
    anchor: str


def procedures(run: RunResult) -> tuple[Procedure, ...]:
    """Every procedure that replaced a node, by name."""
    groups: dict[str, list[CaseResult]] = {}
    for case in run.cases:
        if _REPLACING & set(case.spec.guarantees):
            groups.setdefault(case.procedure, []).append(case)
    return tuple(_procedure(name, cases) for name, cases in sorted(groups.items()))


def _procedure(name: str, cases: list[CaseResult]) -> Procedure:
    lost = [case for case in cases if _red(case) & set(_ALIVE)]
    other = [case for case in cases if _red(case)]
    unclear = [case for case in cases if case.inconclusive]
    group = "lost" if lost else "unclear" if unclear else "alive" if other else "kept"
    telling = {"lost": lost, "unclear": unclear, "alive": other, "kept": cases}[group]
    reds: Iterable[str] = set().union(*(_red(case) for case in telling))
    named = [gid for gid in GUARANTEES if gid in reds and (group != "lost" or gid in _ALIVE)]
    return Procedure(
        name, group, tuple(GUARANTEES[gid].title for gid in named), len(cases), len(lost), telling[0].anchor
    )


def _red(case: CaseResult) -> set[str]:
    return {finding.guarantee for finding in case.findings if finding.verdict is Verdict.NOT_RECOVERED}
