"""What Allure is told of one finding: how it stands, what it was played with, its steps and its files. Pure values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.journal import Entry
from harness.judging import Case, Finding, Verdict
from harness.judging.guarantees import GUARANTEES
from harness.judging.ledger import KnownDefect
from harness.spec import CaseSpec
from reports.picture import standalone
from reports.telling import repeat, tell
from reports.why import sign_of

# Entries told before and after each piece of evidence.
_AROUND = 4
# Longer values (member lists, key spaces) are cut: the journal itself is next to the report.
_LONGEST = 240
# A longer journal (a sweep's) is not copied into each result: it is in the run's folder.
_LONGEST_JOURNAL = 2**20
PASSED, FAILED, BROKEN = "passed", "failed", "broken"
_STATUS = {Verdict.RECOVERED: PASSED, Verdict.NOT_RECOVERED: FAILED, Verdict.INCONCLUSIVE: BROKEN}
# How a message begins tells the categories of `reports.allure_run` what sort of red it is.
KNOWN = "known defect"
SHOWS, DID_NOT_SHOW = "shows", "did not show"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a finding stands with the ledger held against it.

    Args:
        status: as Allure has it.
        message: one sentence; empty where all is well.
        is_known: whether the ledger announces the red.
    """

    status: str
    message: str
    is_known: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a case.

    Args:
        name: what was done.
        began, ended: seconds of the journal.
        status: as Allure has it; the part in which it went wrong is the red one.
    """

    name: str
    began: float
    ended: float
    status: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file of a test result.

    Args:
        name: as it is listed.
        mime: its media type.
        body: its content.
    """

    name: str
    mime: str
    body: bytes


def standing(finding: Finding, known: KnownDefect | None, missing: Sequence[KnownDefect]) -> Standing:
    """How it stands; a known defect that should have shown and did not is as red as a new one.

    Args:
        finding: of one guarantee.
        known: what the ledger explains the red with.
        missing: what should have shown in it.
    """
    told = f"{finding.guarantee}: {finding.reason}" + f" [{finding.signature}]" * bool(finding.signature)
    if missing:
        due = f"{missing[0].guarantee} should be broken by {missing[0].signature}"
        return Standing(FAILED, f"{KNOWN} {missing[0].id} {DID_NOT_SHOW}: {due}. {told}", is_known=False)
    if known is not None:
        return Standing(FAILED, f"{KNOWN} {known.id} {SHOWS}: {told}", is_known=True)
    return Standing(_STATUS[finding.verdict], "" if finding.verdict is Verdict.RECOVERED else told, is_known=False)


def parameters(spec: CaseSpec, versions: Mapping[str, str]) -> Iterator[tuple[str, str, bool]]:
    """Names, values, and whether each tells one case from another; the others differ from run to run.

    Args:
        spec: of the case.
        versions: what it was played with, by name.
    """
    yield "tool", spec.target.tool, True
    yield "variant", spec.target.variant, True
    yield "cluster", spec.cluster.label, True
    if spec.moment:
        yield "moment", spec.moment, True
    if spec.repetition > 1:  # else Allure takes it for a second try, and shows only the last of them
        yield "play", str(spec.repetition), True
    yield "seed", str(spec.seed), False
    for name, value in {"version": spec.target.version, **versions}.items():
        if value:
            yield name, value, False


def steps(entries: Sequence[Entry], finding: Finding) -> Iterator[Step]:
    """The parts of a case, each as long as it took.

    Raises:
        UsageError: the entries are not a case's.
    """
    marks = [(entry.at, str(entry.data["text"])) for entry in entries if entry.kind == "case.step"]
    if not marks:
        return
    wrong = _went_wrong(entries, finding)
    for (began, name), (ended, _) in pairwise([*marks, (max(entries[-1].at, marks[-1][0]), "")]):
        here = wrong is not None and began <= wrong and (wrong < ended or ended >= entries[-1].at)
        yield Step(name, began, ended, _STATUS[finding.verdict] if here else PASSED)


def _went_wrong(entries: Sequence[Entry], finding: Finding) -> float | None:
    """The first sign of a red, else its first piece of evidence."""
    if finding.verdict is Verdict.RECOVERED:
        return None
    sign = sign_of(Case.of(entries), [finding])
    seen = [entry.at for entry in entries if entry.seq in finding.evidence]
    return sign.at if sign else min(seen, default=entries[-1].at)


def attachments(entries: Sequence[Entry], finding: Finding, journal: bytes = b"") -> tuple[Attachment, ...]:
    """What to attach for one finding; picture and evidence only where something is to be explained.

    Args:
        entries: of the case.
        finding: of one guarantee.
        journal: the whole of it, where it is to be attached too.

    Raises:
        UsageError: the entries are not a case's.
    """
    case = Case.of(entries)
    found = [
        Attachment("finding", "text/plain", _told(case, finding).encode()),
        Attachment("journal around the evidence", "text/plain", "\n".join(_excerpt(entries, finding)).encode()),
    ]
    if finding.verdict is not Verdict.RECOVERED:
        found.append(Attachment("timeline", "image/svg+xml", standalone(entries, sign_of(case, [finding]))))
        found.append(Attachment("evidence gathered", "text/plain", "\n".join(_gathered(entries)).encode()))
        found.append(Attachment("journal", "text/plain", journal if len(journal) <= _LONGEST_JOURNAL else b""))
    return tuple(attachment for attachment in found if attachment.body)


def _gathered(entries: Sequence[Entry]) -> Iterator[str]:
    """What was gathered before the cluster was removed; the whole of long pieces is beside the journal."""
    for entry in entries:
        if entry.kind == "probe.evidence" and (entry.data["lines"] or entry.data["problem"]):
            yield f"== {entry.data['sort']} {entry.data['subject']} ({entry.data['occasion']}, {entry.at:.1f} s)"
            yield from (str(line) for line in entry.data["lines"] or [f"could not be had: {entry.data['problem']}"])
            yield ""


def _told(case: Case, finding: Finding) -> str:
    known, sign = GUARANTEES.get(finding.guarantee), sign_of(case, [finding])
    lines = [
        f"{finding.verdict}: {finding.guarantee}" + f" [{finding.signature}]" * bool(finding.signature),
        finding.reason,
        "",
        f"promised: {known.sentence}" if known else "",
        f"story: {tell(case)}",
        *([f"first sign: at {sign.at:.1f} s {sign.words}"] if sign else []),
        *(f"{name} = {value:g}" for name, value in finding.measures.items()),
        f"again: {repeat(case.spec)}",
    ]
    return "\n".join(lines) + "\n"


def _excerpt(entries: Sequence[Entry], finding: Finding) -> Iterator[str]:
    """Entries around each piece of evidence, which is marked; a row of dots where some are left out."""
    evidence, last = set(finding.evidence), -1
    for place, entry in enumerate(entries):
        if not any(abs(entry.seq - seq) <= _AROUND for seq in evidence):
            continue
        if last >= 0 and place > last + 1:
            yield "   ..."
        last = place
        data = json.dumps(entry.data, ensure_ascii=False)
        cut = data if len(data) <= _LONGEST else data[:_LONGEST] + " ..."
        yield f"{'>' if entry.seq in evidence else ' '} {entry.seq:5d}  {entry.at:8.3f} s  {entry.kind}  {cut}"
