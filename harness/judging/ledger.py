"""The ledger of known defects: which red is expected, and which green is not.

A listed defect has to show, with its signature, wherever it is listed; one that does not is as red
as a new one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from harness.errors import UsageError
from harness.judging.guarantees import GUARANTEES
from harness.judging.ledger_file import Problem, parse
from harness.judging.verdict import KEPT_CUT, UNCLEAR_CUT, Finding, Verdict
from harness.spec import REFERENCE, CaseSpec

NAME = "known_defects.yaml"
# Fields that say nothing when they are empty.
_WORDS = ("id", "tool", "scenario", "guarantee", "signature", "why", "link", "clusters", "moments")


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
        since: the date it was first seen; of every tool but the reference, whose defects are on purpose.
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
    since: date | None = None
    expires: date | None = None

    def __post_init__(self) -> None:
        unknown = {self.guarantee, *self.also} - set(GUARANTEES)
        if unknown:
            raise ValueError(f"no guarantee {', '.join(sorted(unknown))}{_near(unknown)}")
        empty = [name for name in _WORDS if not getattr(self, name)]
        if empty:
            raise ValueError(f"{', '.join(empty)} is empty")
        if self.since is None and self.tool != REFERENCE:
            raise ValueError("since is missing: the date it was first seen, as 2026-11-22")
        if self.since is not None and self.expires is not None and self.expires <= self.since:
            raise ValueError(f"expires {self.expires} is not after since {self.since}")

    def concerns(self, spec: CaseSpec, today: date) -> bool:
        """Whether it is about this case and still counts."""
        return self.is_about(spec) and not self.has_expired(today)

    def has_expired(self, today: date) -> bool:
        """Whether its last day has passed."""
        return self.expires is not None and today > self.expires

    def is_about(self, spec: CaseSpec) -> bool:
        """Whether it is about this case, expired or not."""
        target = spec.target
        pairs = ((target.tool, self.tool), (target.variant, self.variant), (target.version, self.versions))
        return (
            all(fnmatchcase(value, pattern) for value, pattern in pairs)
            and fnmatchcase(spec.scenario, self.scenario)
            and any(fnmatchcase(spec.cluster.label, pattern) for pattern in self.clusters)
            and any(fnmatchcase(spec.moment, pattern) for pattern in self.moments)
        )

    def explains(self, finding: Finding) -> bool:
        """Whether this red is the one it announces, or a consequence of it."""
        named = finding.guarantee == self.guarantee and finding.signature == self.signature
        return (named and self._explains_cuts(finding)) or (
            finding.guarantee in self.also and finding.guarantee != self.guarantee
        )

    def is_due_in(self, finding: Finding) -> bool:
        """Whether it has to show in what this finding is about.

        Not where nothing could be judged: that is the harness's trouble and no change of the defect. And a sweep
        may have tried none of its cut points.
        """
        judged = finding.guarantee == self.guarantee and finding.verdict is not Verdict.INCONCLUSIVE
        return judged and (not self.cuts or any(self._tried(finding)))

    def shows_in(self, finding: Finding) -> bool:
        """Whether it shows, and at each of its cut points that were tried."""
        red = finding.verdict is Verdict.NOT_RECOVERED and finding.signature == self.signature
        return red and all(told == how for told, how in self._tried(finding))

    def _tried(self, finding: Finding) -> Iterator[tuple[str, str]]:
        """How each of its cut points broke, and how it was to; not where that is unclear."""
        for name, told in finding.cuts.items():
            if told == UNCLEAR_CUT:
                continue
            yield from ((told, how) for pattern, how in self.cuts.items() if fnmatchcase(name, pattern))

    def _explains_cuts(self, finding: Finding) -> bool:
        if not self.cuts:
            return True
        known = [*self.cuts.items(), *self.cuts_at_times.items()]
        return all(
            any(fnmatchcase(name, pattern) and told == how for pattern, how in known)
            for name, told in finding.cuts.items()
            if told != KEPT_CUT  # one that is unclear is nothing that was announced
        )


@dataclass(frozen=True, slots=True)
class Ledger:
    """All known defects.

    Args:
        defects: the lines.
        today: the day expiry is held against.
        name: of its file.
        lines: where in the file each begins, counted from 1, by its ID.
    """

    defects: tuple[KnownDefect, ...] = ()
    today: date = date.min
    name: str = NAME
    lines: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, today: date) -> Ledger:
        """Read a ledger.

        Raises:
            UsageError: the file can't be read, or a line is not as it should be; each that is not is named, as
                ``known_defects.yaml:12: ...``.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"ledger {path.name} can't be read: {error}") from error
        return cls.of(text, today, path.name)

    @classmethod
    def of(cls, text: str, today: date, name: str = NAME) -> Ledger:
        """From its text.

        Raises:
            UsageError: as `load`.
        """
        items = parse(text)
        if isinstance(items, Problem):
            raise _refused(name, [items])
        problems = [problem for item in items for problem in item.problems]
        defects: list[KnownDefect] = []
        lines: dict[str, int] = {}
        for item in [item for item in items if not item.problems]:
            defect = item.convert(KnownDefect)
            if isinstance(defect, Problem):
                problems.append(defect)
            elif lines.setdefault(defect.id, item.line) != item.line:
                problems.append(Problem(item.line, f"{defect.id} is there twice, first in line {lines[defect.id]}"))
            else:
                defects.append(defect)
        if problems:
            raise _refused(name, problems)
        return cls(tuple(defects), today, name, lines)

    def place(self, defect: KnownDefect) -> str:
        """Where a line stands, as ``known_defects.yaml:12``."""
        return f"{self.name}:{self.lines[defect.id]}" if defect.id in self.lines else f"{self.name} {defect.id}"

    def explain(self, spec: CaseSpec, finding: Finding) -> KnownDefect | None:
        """The known defect behind a red finding; None when it is news."""
        if finding.verdict is not Verdict.NOT_RECOVERED:
            return None
        return next((defect for defect in self._about(spec) if defect.explains(finding)), None)

    def explained_once(self, spec: CaseSpec, finding: Finding) -> KnownDefect | None:
        """The known defect that announced a red until it expired."""
        if finding.verdict is not Verdict.NOT_RECOVERED:
            return None
        expired = (d for d in self.defects if d.is_about(spec) and d.has_expired(self.today))
        return next((defect for defect in expired if defect.explains(finding)), None)

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


def _refused(name: str, problems: Sequence[Problem]) -> UsageError:
    told = [f"{name}:{problem.line}: {problem.text}" for problem in sorted(problems, key=lambda each: each.line)]
    head = "the ledger is not as it should be:\n  " if len(told) > 1 else ""
    return UsageError(head + "\n  ".join(told), mend=f"edit {name}; docs/gate.md says what each field means")


def _near(names: set[str]) -> str:
    near = [close for name in sorted(names) for close in difflib.get_close_matches(name, GUARANTEES, 1)]
    return f"; is {', '.join(near)} meant?" if near else ""
