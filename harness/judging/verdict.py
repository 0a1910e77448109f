"""Verdicts and findings: what judging says about a journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from harness.errors import HarnessError

KEPT_CUT, UNCLEAR_CUT = "", "?"


class Verdict(StrEnum):
    """Three-valued: seeing nothing is never passing, and never the tool's fault."""

    RECOVERED = "RECOVERED"
    NOT_RECOVERED = "NOT_RECOVERED"
    INCONCLUSIVE = "INCONCLUSIVE"

    @classmethod
    def merge(cls, verdicts: Iterable[Verdict]) -> Verdict:
        """The gravest: NOT_RECOVERED > INCONCLUSIVE > RECOVERED; INCONCLUSIVE for none at all."""
        seen = set(verdicts)
        for verdict in (cls.NOT_RECOVERED, cls.INCONCLUSIVE, cls.RECOVERED):
            if verdict in seen:
                return verdict
        return cls.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Finding:
    """What one guarantee came to in one case.

    Args:
        guarantee: the guarantee's ID, as ``quorum-kept``.
        verdict: how it ended.
        reason: one sentence with names and figures, for a person.
        signature: a short stable name of *how* it broke, the same from run to run; empty when kept.
        evidence: sequence numbers of the journal entries that prove it.
        measures: figures with their unit in the name, as ``longest_gap_seconds``.
        cuts: of a sweep: by ID of each cut, how it broke; `KEPT_CUT` where it did not, `UNCLEAR_CUT` where
            nothing is known.
    """

    guarantee: str
    verdict: Verdict
    reason: str
    signature: str = ""
    evidence: tuple[int, ...] = ()
    measures: dict[str, float] = field(default_factory=dict)
    cuts: dict[str, str] = field(default_factory=dict)


class GuaranteeBroken(AssertionError):
    """NOT_RECOVERED: the world did not come back. Allure shows it as failed.

    Args:
        case_id: the case it happened in.
        finding: which guarantee, how, and the evidence.
    """

    def __init__(self, case_id: str, finding: Finding) -> None:
        self.case_id, self.finding = case_id, finding
        super().__init__(f"{finding.guarantee} is broken in {case_id}: {finding.reason} [{finding.signature}]")


class Inconclusive(HarnessError):
    """INCONCLUSIVE: nothing can be said about the tool. Allure shows it as broken.

    Args:
        case_id: the case it happened in.
        finding: what could not be judged, and why.
    """

    def __init__(self, case_id: str, finding: Finding) -> None:
        self.case_id, self.finding = case_id, finding
        super().__init__(f"{finding.guarantee} can't be judged in {case_id}: {finding.reason}")
