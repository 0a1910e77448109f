"""A finished run, read back from its folder: every journal judged anew, every red held against the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import JournalError, UsageError
from harness.journal import Entry, read
from harness.judging import Finding, Verdict, judge_all
from harness.judging.ledger import KnownDefect, Ledger
from harness.judging.verdict import KEPT_CUT, UNCLEAR_CUT
from harness.run_folder import RunFolder
from harness.spec import CaseSpec
from reports.anchors import slug

_KILLED = "it was killed before its end"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the journals do not know of a run; kept in ``run.json``.

    Args:
        run_id, seed, harness_version: which run.
        started_at: UTC, ISO 8601.
        seconds: how long it took.
        etcd: release and source.
        skipped: what was not run and why, a sentence each.
        problems: what pytest itself could not do (collection, set-up, clean-up), a sentence each.
        target: the tool under test, as ``laconic-so 1.1.0-b3e9366``; ``reference`` without one.
        kubernetes: the versions its nodes told.
        planned: IDs of all plays that were to be played, after selection, shard and missing needs.
        ended_early: why the run stopped before its end; empty when it did not.
        shard: which part of the cases, as ``2/4``, counted from 1; empty for all.
        repeat: how often each case was to be played.
        notes: what a reader should know of it, a sentence each; they decide nothing.
    """

    run_id: str
    seed: int = 0
    harness_version: str = ""
    started_at: str = ""
    seconds: float = 0.0
    etcd: str = ""
    skipped: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    target: str = ""
    kubernetes: str = ""
    planned: tuple[str, ...] = ()
    ended_early: str = ""
    shard: str = ""
    repeat: int = 1
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CaseResult:
    """One judged case.

    Args:
        spec: what was asked.
        entries: its journal.
        findings: one for each guarantee asked.
        known: ID of the known defect behind a red, by guarantee.
        missing: known defects that should have shown and did not.
        journal: path of the journal, relative to the run folder.
        digest: the journal's last hash.
        known_cuts: IDs of the cuts of a sweep whose red a known defect announces, also where others are news.
        place: the run's folder, as a person types it; empty where it has none.
    """

    spec: CaseSpec
    entries: Sequence[Entry]
    findings: tuple[Finding, ...]
    known: dict[str, str]
    missing: tuple[KnownDefect, ...]
    journal: str
    digest: str
    known_cuts: frozenset[str] = frozenset()
    place: str = ""

    @property
    def verdict(self) -> Verdict:
        """The gravest of its findings."""
        return Verdict.merge(finding.verdict for finding in self.findings)

    @cached_property
    def news(self) -> tuple[Finding, ...]:
        """Reds that no known defect explains."""
        return tuple(f for f in self.findings if f.verdict is Verdict.NOT_RECOVERED and f.guarantee not in self.known)

    @cached_property
    def inconclusive(self) -> tuple[Finding, ...]:
        """What could not be judged."""
        return tuple(finding for finding in self.findings if finding.verdict is Verdict.INCONCLUSIVE)

    @property
    def standing(self) -> str:
        """``kept``, ``known`` (red as the ledger says), ``broken`` or ``inconclusive``."""
        if self.news or self.missing:
            return "broken"
        if self.inconclusive:
            return "inconclusive"
        return "known" if self.known else "kept"

    @property
    def seconds(self) -> float:
        """How long the case took."""
        return self.entries[-1].at if self.entries else 0.0

    @property
    def procedure(self) -> str:
        """Who was under test, as rows are named: the variant, with its tool in front unless it is the reference."""
        target = self.spec.target
        return target.variant if target.tool == "reference" else target.label

    @property
    def anchor(self) -> str:
        """Its place on the page."""
        return "case-" + slug(self.spec.play_id)

    def finding(self, guarantee: str) -> Finding | None:
        """The finding for one guarantee; None when it was not asked for."""
        return next((finding for finding in self.findings if finding.guarantee == guarantee), None)


@dataclass(frozen=True)
class RunResult:
    """All judged cases of a run.

    Args:
        facts: which run.
        cases: in the order of their IDs; of one that was played more than once each play, in their order.
        unreadable: cases whose journal could not be read or is not there, a sentence each.
        ledger: what reds were held against.
    """

    facts: RunFacts
    cases: tuple[CaseResult, ...]
    unreadable: tuple[str, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)


def load_judged(folder: RunFolder, ledger: Path | None = None) -> RunResult:
    """Judge a run folder by today's rules and a ledger that has not expired today.

    Args:
        folder: the run's.
        ledger: a file to hold reds against; None for the run's own copy, or for none where it has none.

    Raises:
        UsageError: this is no run folder, or the file no ledger.
    """
    chosen = ledger or folder.ledger
    known = Ledger.load(chosen, datetime.now(UTC).date()) if ledger or chosen.exists() else Ledger()
    return load_run(folder, known)


def load_run(folder: RunFolder, ledger: Ledger) -> RunResult:
    """Judge every journal of a run folder; one that can't be read, or is gone, is told, not skipped.

    Raises:
        UsageError: this is no run folder.
    """
    if not folder.cases.is_dir():
        raise UsageError(
            f"{folder.path} is no run folder: it has no cases/", mend="give the folder of a run, as runs/<run-id>"
        )
    cases: dict[str, CaseResult] = {}
    unreadable = []
    for place in sorted(path for path in folder.cases.iterdir() if path.is_dir()):
        try:
            case = _load_case(place / "journal.jsonl", folder.path, ledger)
        except (JournalError, UsageError) as error:
            unreadable.append(str(error).replace(str(folder.path) + "/", ""))
            continue
        twin = cases.setdefault(case.spec.play_id, case)
        if twin is not case:
            unreadable.append(f"{case.journal}: is a second journal of {case.spec.play_id}, next to {twin.journal}")
    in_order = sorted(cases.values(), key=lambda case: (case.spec.case_id.replace("/", "__"), case.spec.repetition))
    return RunResult(load_facts(folder), tuple(in_order), tuple(unreadable), ledger)


def save_facts(folder: RunFolder, facts: RunFacts) -> None:
    """Write ``run.json``."""
    (folder.path / "run.json").write_text(json.dumps(asdict(facts), indent=1) + "\n", encoding="utf-8")


def load_facts(folder: RunFolder) -> RunFacts:
    """What ``run.json`` says.

    Raises:
        UsageError: it is broken.
    """
    path = folder.path / "run.json"
    if not path.exists():
        planned = folder.planned_plays()
        return RunFacts(folder.run_id, planned=planned, ended_early=_KILLED if planned else "")
    try:
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
        return msgspec.convert(raw, RunFacts)
    except (ValueError, msgspec.ValidationError) as error:
        raise UsageError(f"{path.name} of {folder.run_id} is broken: {error}") from error


def _load_case(path: Path, root: Path, ledger: Ledger) -> CaseResult:
    sealed = read(path)
    findings = judge_all(sealed.entries)
    spec = CaseSpec.from_json(sealed.entries[0].data["spec"])
    explained = {finding.guarantee: ledger.explain(spec, finding) for finding in findings}
    return CaseResult(
        spec,
        sealed.entries,
        findings,
        {guarantee: defect.id for guarantee, defect in explained.items() if defect is not None},
        tuple(ledger.missing(spec, findings)),
        path.relative_to(root).as_posix(),
        sealed.digest,
        frozenset(cut for finding in findings for cut in _known_cuts(ledger, spec, finding)),
        RunFolder(root).near,
    )


def _known_cuts(ledger: Ledger, spec: CaseSpec, finding: Finding) -> Iterator[str]:
    """Of a sweep: the red cuts that the ledger lists; a defect without a list of cuts may be red anywhere."""
    for defect in ledger.defects:
        if defect.guarantee != finding.guarantee or not defect.concerns(spec, ledger.today):
            continue
        listed = [*defect.cuts.items(), *defect.cuts_at_times.items()]
        for cut, told in finding.cuts.items():
            is_listed = any(fnmatchcase(cut, pattern) and told == how for pattern, how in listed)
            if told not in (KEPT_CUT, UNCLEAR_CUT) and (is_listed or not defect.cuts):
                yield cut
