"""What a test result carries with it: the finding, the journal around its evidence, the picture. Pure values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.journal import Entry
from harness.judging import Case, Finding, Verdict
from harness.judging.guarantees import GUARANTEES
from reports.picture import standalone
from reports.telling import repeat, tell
from reports.why import sign_of

# Entries told before and after each piece of evidence.
_AROUND = 4
# Longer values (member lists, key spaces) are cut: the journal itself is next to the report.
_LONGEST = 240


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


def attachments(entries: Sequence[Entry], finding: Finding) -> tuple[Attachment, ...]:
    """What to attach for one finding; the picture only where something is to be explained.

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
    return tuple(attachment for attachment in found if attachment.body)


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
