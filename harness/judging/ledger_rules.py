"""When a line of the ledger itself has to be changed: expired, about nothing there is, or showing no more. Pure.

A listed defect that does not show where it is due is as red as a new one, and so is a line that can show nowhere.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Protocol

from harness.judging.ledger import KnownDefect, Ledger
from harness.spec import REFERENCE

EXPIRED, UNKNOWN, GONE, CHANGED, STALE = "expired", "unknown", "gone", "changed", "stale"
_PLAY = re.compile(r"~\d+$")
# How long a line may be renewed for at a time: a release or two.
RENEWED_FOR = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class CaseName:
    """A case's ID in its parts.

    Args:
        scenario, variant, cluster, moment: as patterns of the ledger see them; no moment is empty.
    """

    scenario: str
    variant: str
    cluster: str
    moment: str

    @classmethod
    def of(cls, name: str) -> CaseName:
        """From the ID of a case or of one play of it; a moment may have slashes of its own."""
        parts = [*_PLAY.sub("", name).split("/", 3), "", "", ""]
        return cls(parts[0], parts[1], parts[2], parts[3])


class PlayedCase(Protocol):
    """What became of one play in one run of the history."""

    @property
    def tool(self) -> str:
        """Who was under test; empty where the run did not say."""

    @property
    def version(self) -> str:
        """Of the tool, as far as it said."""

    @property
    def known(self) -> Sequence[str]:
        """IDs of the known defects that showed."""

    @property
    def missing(self) -> Sequence[str]:
        """IDs of those that should have and did not."""

    @property
    def broken(self) -> Mapping[str, str]:
        """Signature by guarantee."""


class PlayedRun(Protocol):
    """One run of the history."""

    @property
    def run_id(self) -> str:
        """Which."""

    @property
    def cases(self) -> Mapping[str, PlayedCase]:
        """By play ID."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """A line of the ledger that has to be changed.

    Args:
        rule: ``expired``, ``unknown``, ``gone``, ``changed`` or ``stale``.
        defect: the line.
        place: where it stands, as ``known_defects.yaml:12``.
        why: one sentence.
        mend: what to change.
    """

    rule: str
    defect: KnownDefect
    place: str
    why: str
    mend: str

    @property
    def sentence(self) -> str:
        """All of it, in a line."""
        return f"{self.place}: {self.defect.id} {self.why}; {self.mend}"


def expired(ledger: Ledger) -> Iterator[Complaint]:
    """Lines whose day has passed: what they announced is news again."""
    for defect in ledger.defects:
        if defect.has_expired(ledger.today):
            later = ledger.today + RENEWED_FOR
            why = f"has expired on {defect.expires}: the red that it announced is news again"
            mend = f"mend the defect and delete the line, or look at it again and set expires: {later}"
            yield Complaint(EXPIRED, defect, ledger.place(defect), why, mend)


def unknown(ledger: Ledger, cases: Mapping[str, Iterable[str]]) -> Iterator[Complaint]:
    """Lines that name a case, scenario, variant, moment or cluster that does not exist (any more).

    Args:
        ledger: its lines.
        cases: IDs of all cases there are, by tool; of a tool that is not among them only the variant is not known.
    """
    names = {tool: [CaseName.of(case) for case in ids] for tool, ids in cases.items()}
    for defect in ledger.defects:
        told = [name for tool, own in names.items() if fnmatchcase(tool, defect.tool) for name in own]
        variant = defect.variant if told else "*"
        about = told or [name for own in names.values() for name in own]
        for why, near in _unmatched(defect, about, variant):
            mend = f"is {near} meant? else delete it" if near else "correct the line or delete it"
            yield Complaint(UNKNOWN, defect, ledger.place(defect), why, mend)


def shown_otherwise(ledger: Ledger, runs: Sequence[PlayedRun]) -> Iterator[Complaint]:
    """Lines that should have shown when their cases were played last, and did not, or not as they say.

    Args:
        ledger: its lines.
        runs: the history, oldest first.
    """
    for defect in _living(ledger):
        last = next((run for run in reversed(runs) if any(_due(defect, run))), None)
        if last is None:
            continue
        missed = [(name, case) for name, case in last.cases.items() if defect.id in case.missing]
        if not missed:
            continue
        name, case = missed[0]
        place = f"{name} of run {last.run_id}" + (f" and {len(missed) - 1} more" if len(missed) > 1 else "")
        now = case.broken.get(defect.guarantee, "")
        if now and now != defect.signature:
            why = f"shows as {now} and no more as {defect.signature} in {place}"
            yield Complaint(CHANGED, defect, ledger.place(defect), why, f"set signature: {now}, if that is one defect")
        else:
            why = f"did not show in {place}"
            yield Complaint(GONE, defect, ledger.place(defect), why, "delete the line, or say where it still shows")


def stale(ledger: Ledger, runs: Sequence[PlayedRun], number: int) -> Iterator[Complaint]:
    """Lines that matched nothing in the last runs which played their cases.

    Args:
        ledger: its lines.
        runs: the history, oldest first.
        number: of how many runs; fewer say nothing.
    """
    for defect in _living(ledger):
        played = [cases for run in runs if (cases := _about(defect, run))][-number:]
        if len(played) < number or any(defect.id in case.known for cases in played for case in cases):
            continue
        if any(defect.id in case.missing for case in played[-1]):
            continue  # told as gone or changed
        versions = sorted({case.version for cases in played for case in cases if case.version})
        fits = not versions or any(fnmatchcase(version, defect.versions) for version in versions)
        why = f"matched nothing in the last {number} runs that played its cases"
        if not fits:
            why += f": no build fits versions {defect.versions!r}, they were {', '.join(versions)}"
        yield Complaint(STALE, defect, ledger.place(defect), why, "delete the line, or correct what it is about")


def never_played(ledger: Ledger, runs: Sequence[PlayedRun]) -> list[KnownDefect]:
    """Lines whose cases are in no run of the history: nothing can be said of them."""
    return [defect for defect in _living(ledger) if not any(_about(defect, run) for run in runs)]


def _living(ledger: Ledger) -> Iterator[KnownDefect]:
    return (defect for defect in ledger.defects if not defect.has_expired(ledger.today))


def _about(defect: KnownDefect, run: PlayedRun) -> list[PlayedCase]:
    """The cases of a run that a line is about, whatever the version."""
    return [case for name, case in run.cases.items() if _is_about(defect, name, case)]


def _due(defect: KnownDefect, run: PlayedRun) -> Iterator[PlayedCase]:
    """Those of its version too, where the run said which."""
    return (case for case in _about(defect, run) if not case.version or fnmatchcase(case.version, defect.versions))


def _is_about(defect: KnownDefect, name: str, case: PlayedCase) -> bool:
    told = CaseName.of(name)
    return (
        fnmatchcase(case.tool or REFERENCE, defect.tool)
        and fnmatchcase(told.variant, defect.variant)
        and fnmatchcase(told.scenario, defect.scenario)
        and any(fnmatchcase(told.cluster, pattern) for pattern in defect.clusters)
        and any(fnmatchcase(told.moment, pattern) for pattern in defect.moments)
    )


def _unmatched(defect: KnownDefect, names: Sequence[CaseName], variant: str) -> Iterator[tuple[str, str]]:
    """What in a line matches nothing, in words, and the nearest name there is."""
    of_story = [name for name in names if fnmatchcase(name.scenario, defect.scenario)]
    if not of_story:
        yield f"names no scenario there is: {defect.scenario}", _near(defect.scenario, (n.scenario for n in names))
        return
    of_variant = [name for name in of_story if fnmatchcase(name.variant, variant)]
    if not of_variant:
        yield f"names no variant of {defect.scenario}: {variant}", _near(variant, (name.variant for name in of_story))
        return
    whose = f"{defect.scenario}/{variant}"
    found = False
    for cluster in defect.clusters:
        on_it = [name for name in of_variant if fnmatchcase(name.cluster, cluster)]
        found = found or any(fnmatchcase(name.moment, moment) for name in on_it for moment in defect.moments)
        if not on_it:
            yield f"names no cluster of {whose}: {cluster}", _near(cluster, (name.cluster for name in of_variant))
            found = True
    for moment in defect.moments:
        if not any(fnmatchcase(name.moment, moment) for name in of_variant):
            yield f"names no moment of {whose}: {moment}", _near(moment, (name.moment for name in of_variant))
            found = True
    if not found:
        yield f"names no case: {whose} is played on none of its clusters at any of its moments", ""


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(set(known)), 1)
    return near[0] if near else ""
