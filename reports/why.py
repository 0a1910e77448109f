"""Why a red case is red: the first sign of it against a healthy story of the same run, and what was gathered then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from harness.journal import Entry
from harness.judging import Case
from harness.judging.departure import Departure, first_departure, first_seen, healthy_start
from harness.judging.verdict import Finding, Verdict
from harness.spec import DeploymentSpec
from reports.run import CaseResult, RunResult

_EVIDENCE = "probe.evidence"
_SORTS = {
    "api-health": "the API server's checks",
    "undecodable-key": "a key in etcd that can't be decoded",
    "failing-pod": "a failing pod",
    "warning-events": "warnings",
    "container-log": "last lines of a container",
    "kubelet-log": "the kubelet's words",
    "console": "the node's console",
}
_OCCASIONS = {
    "create-failed": "when kind could not make the cluster",
    "deleting": "before the cluster was deleted",
    "red": "when it was found red",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was gathered, ready for the page.

    Args:
        title: whom it is about, and when.
        lines: the last lines of it.
        raw: bytes as they were found, in hex.
        file: the whole of it, relative to the run folder; empty where the lines are all.
        problem: why it could not be had.
    """

    title: str
    lines: Sequence[str]
    raw: str
    file: str
    problem: str


def departure_of(run: RunResult, result: CaseResult) -> Departure | None:
    """The first sign in a red case of a deployment; None for others, or where nothing can be seen."""
    return sign_of(Case.of(result.entries), result.findings, _healthy_twin(run, result))


def sign_of(case: Case, findings: Sequence[Finding], twin: Sequence[Entry] = ()) -> Departure | None:
    """The same of a case alone, or beside a healthy one."""
    if not isinstance(case.spec.cluster, DeploymentSpec) or case.last("sweep.learnt"):
        return None  # of a sweep each cut has its own
    return first_departure(case, findings, [*healthy_start(case.entries), *twin])


def _healthy_twin(run: RunResult, result: CaseResult) -> Sequence[Entry]:
    """A kept case of the same story, moment and tool; of the same variant if there is one."""
    twins = [
        case
        for case in run.cases
        if case.verdict is Verdict.RECOVERED
        and (case.spec.scenario, case.spec.moment, case.spec.target.tool)
        == (result.spec.scenario, result.spec.moment, result.spec.target.tool)
    ]
    alike = [
        (case.spec.target.variant != result.spec.target.variant, case.spec.cluster != result.spec.cluster, place)
        for place, case in enumerate(twins)
    ]
    return Case.of(twins[min(alike)[2]].entries).entries if twins else ()


def first_shown(case: Case, finding: Finding) -> str:
    """When a red was seen first, as ``first seen at 12.3 s``; empty where nobody looked again and again."""
    if finding.verdict is not Verdict.NOT_RECOVERED or not isinstance(case.spec.cluster, DeploymentSpec):
        return ""
    seen = first_seen(case, finding)
    return f"first seen at {seen[0].at:.1f} s" if seen else ""


def evidence_of(result: CaseResult, entries: Sequence[Entry]) -> list[Evidence]:
    """What was gathered, also after the case's end; things that are in order are not told."""
    folder = PurePosixPath(result.journal).parent
    return [_evidence(entry, folder) for entry in entries if entry.kind == _EVIDENCE and _tells(entry)]


def _tells(entry: Entry) -> bool:
    return bool(entry.data["lines"] or entry.data["problem"] or entry.data["file"])


def _evidence(entry: Entry, folder: PurePosixPath) -> Evidence:
    data = entry.data
    sort, occasion = _SORTS.get(data["sort"], data["sort"]), _OCCASIONS.get(data["occasion"], data["occasion"])
    about = ", ".join(filter(None, [sort, data["subject"], *_facts(data["facts"])]))
    return Evidence(
        f"{about} ({occasion}, {entry.at:.1f} s)",
        data["lines"],
        _spaced(str(data["facts"].get("raw", ""))),
        str(folder / data["file"]) if data["file"] else "",
        data["problem"],
    )


def _facts(facts: dict[str, object]) -> Iterator[str]:
    if failing := facts.get("failing"):
        yield f"failing: {', '.join(map(str, failing)) if isinstance(failing, list) else failing}"
    if restarts := facts.get("restarts"):
        yield f"{restarts} restarts"


def _spaced(raw: str) -> str:
    """Hex in pairs, sixteen bytes a line."""
    pairs = [raw[at : at + 2] for at in range(0, len(raw), 2)]
    return "\n".join(" ".join(pairs[at : at + 16]) for at in range(0, len(pairs), 16))
