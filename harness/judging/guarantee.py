"""What a guarantee is: its ID, what it promises, and the rule that judges it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.judging.case import Case
from harness.judging.verdict import Finding

Rule = Callable[[Case], Finding]


@dataclass(frozen=True, slots=True)
class Guarantee:
    """One promise.

    Args:
        id: as used in scenarios, ledgers and reports.
        title: short, for a table's head.
        sentence: what is promised.
        rule: judges a case by it; pure.
    """

    id: str
    title: str
    sentence: str
    rule: Rule
