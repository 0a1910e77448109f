"""The ledger of known defects: which red is expected, and which green is not.

A listed defect has to show, with its signature, wherever it is listed; one that does not is as red
as a new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec
import yaml

from harness.errors import UsageError
from harness.judging.guarantees import GUARANTEES
from harness.judging.verdict import KEPT_CUT, Finding, Verdict
from harness.spec import CaseSpec


class KnownDefect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line of the ledger.

    Args:
        id: short and unique.
        tool, variant, versions: whose defect it is; ``*`` and ``?`` match.
        scenario: the story it shows in.
        clusters: shapes it shows on, as ``3-relaxed``; ``*`` and ``?`` match.
        moments: when it shows, in stories that have moments; ``*`` and ``?`` match.
        guarantee, signature: the guarantee that has to break, and how.
        also: guarantees that may break with it, as its consequence.
        cuts: of a sweep: patterns of cut points' IDs, and how the start after a cut there breaks. Each of them
            that was tried has to be red; any other that is, is news. Left out, it may be red anywhere.
        cuts_at_times: the same for points where it may show: the defect is a race.
        why: what is wrong, in one sentence.
        link: where it is written up; a seed's file name or an address.
        expires: a date as ``2027-03-31``, after which it explains nothing; never when left out.
    """

    id: str
    tool: str
    variant: str = "*"
    versions: str = "*"
    scenario: str
    clusters: tuple[str, ...] = ("*",)
    moments: tuple[str, ...] = ("*",)
    guarantee: str
    signature: str
    also: tuple[str, ...] = ()
    cuts: Mapping[str, str] = msgspec.field(default_factory=dict)
    cuts_at_times: Mapping[str, str] = msgspec.field(default_factory=dict)
    why: str
    link: str
    expires: date | None = None

    def __post_init__(self) -> None:
        unknown = {self.guarantee, *self.also} - set(GUARANTEES)
        if unknown:
            raise ValueError(f"{self.id}: no guarantee {', '.join(sorted(unknown))}")

    def concerns(self, spec: CaseSpec, today: date) -> bool:
        """Whether it is about this case and still counts."""
        target = spec.target
        pairs = ((target.tool, self.tool), (target.variant, self.variant), (target.version, self.versions))
        return (
            all(fnmatchcase(value, pattern) for value, pattern in pairs)
            and fnmatchcase(spec.scenario, self.scenario)
            and any(fnmatchcase(spec.cluster.label, pattern) for pattern in self.clusters)
            and any(fnmatchcase(spec.moment, pattern) for pattern in self.moments)
            and (self.expires is None or today <= self.expires)
        )

    def explains(self, finding: Finding) -> bool:
        """Whether this red is the one it announces, or a consequence of it."""
        named = finding.guarantee == self.guarantee and finding.signature == self.signature
        return (named and self._explains_cuts(finding)) or (
            finding.guarantee in self.also and finding.guarantee != self.guarantee
        )

    def is_due_in(self, finding: Finding) -> bool:
        """Whether it has to show in what this finding is about; a sweep may have tried none of its cut points."""
        return finding.guarantee == self.guarantee and (not self.cuts or any(self._tried(finding)))

    def shows_in(self, finding: Finding) -> bool:
        """Whether it shows, and at each of its cut points that were tried."""
        red = finding.verdict is Verdict.NOT_RECOVERED and finding.signature == self.signature
        return red and all(told == how for told, how in self._tried(finding))

    def _tried(self, finding: Finding) -> Iterator[tuple[str, str]]:
        """How each of its cut points broke, and how it was to."""
        for name, told in finding.cuts.items():
            yield from ((told, how) for pattern, how in self.cuts.items() if fnmatchcase(name, pattern))

    def _explains_cuts(self, finding: Finding) -> bool:
        if not self.cuts:
            return True
        known = [*self.cuts.items(), *self.cuts_at_times.items()]
        return all(
            any(fnmatchcase(name, pattern) and told == how for pattern, how in known)
            for name, told in finding.cuts.items()
            if told != KEPT_CUT
        )


@dataclass(frozen=True, slots=True)
class Ledger:
    """All known defects.

    Args:
        defects: the lines.
        today: the day expiry is held against.
    """

    defects: tuple[KnownDefect, ...] = ()
    today: date = date.min

    @classmethod
    def load(cls, path: Path, today: date) -> Ledger:
        """Read a ledger.

        Raises:
            UsageError: the file can't be read, or a line is not as it should be (it is named).
        """
        try:
            raw = yaml.safe_load(path.read_text(encoding="utf-8"))
            defects = msgspec.convert(raw or [], tuple[KnownDefect, ...])
        except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
            raise UsageError(f"ledger {path.name}: {error}") from error
        twice = [defect.id for index, defect in enumerate(defects) if defect.id in {d.id for d in defects[:index]}]
        if twice:
            raise UsageError(f"ledger {path.name}: {', '.join(twice)} is there twice")
        return cls(defects, today)

    def explain(self, spec: CaseSpec, finding: Finding) -> KnownDefect | None:
        """The known defect behind a red finding; None when it is news."""
        if finding.verdict is not Verdict.NOT_RECOVERED:
            return None
        return next((defect for defect in self._about(spec) if defect.explains(finding)), None)

    def missing(self, spec: CaseSpec, findings: Sequence[Finding]) -> list[KnownDefect]:
        """Known defects that should have shown in these findings and did not."""
        return [
            defect
            for defect in self._about(spec)
            for finding in findings
            if defect.is_due_in(finding) and not defect.shows_in(finding)
        ]

    def _about(self, spec: CaseSpec) -> list[KnownDefect]:
        return [defect for defect in self.defects if defect.concerns(spec, self.today)]
