"""Orders of the steps of two successive node replacements: values, their readable IDs, all of them, a sample.

Incident 002_638ead7455fd6626.txt is one order of these: the old node stopped, the new one added and
started, the removal left out, twice. An ID spells an order out: S stop the old node, R remove it from
the member list, A add the new one to it, T start the new one; a removal that is left out has no letter,
and one put off until after the second replacement is the ``R`` at the end.

    SRAT-SRAT   as etcd's documentation has it
    SAT-SAT     as in the incident
    SAT-SRAT-R  the first removal put off until after the second replacement
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations

from harness.errors import UsageError

FOUNDERS = ("n1", "n2", "n3")


class Action(StrEnum):
    """What is done to one node; the value is the letter in an ID."""

    STOP = "S"
    REMOVE = "R"
    ADD = "A"
    START = "T"


@dataclass(frozen=True, slots=True)
class Replacement:
    """Who goes and who comes."""

    old: str
    new: str

    def steps(self, letters: str) -> tuple[Step, ...]:
        """The steps these letters spell; stop and remove are about the old node, the others about the new."""
        return tuple(Step(action, self.old if action in _ABOUT_OLD else self.new) for action in map(Action, letters))


@dataclass(frozen=True, slots=True)
class Step:
    """One action on one node."""

    action: Action
    node: str

    def __str__(self) -> str:
        return f"{self.action.name.lower()} {self.node}"


_ABOUT_OLD = (Action.STOP, Action.REMOVE)
FIRST, SECOND = Replacement("n1", "n4"), Replacement("n2", "n5")


@dataclass(frozen=True, slots=True)
class Order:
    """In which order two replacements are carried out.

    Args:
        first: letters of n1's replacement by n4, each of S, A and T once, R at most once.
        second: the same for n2's by n5.
        put_off: n1 is removed after everything else; `first` then has no R.

    Raises:
        UsageError: the letters are no such order.
    """

    first: str
    second: str
    put_off: bool = False

    def __post_init__(self) -> None:
        for letters in (self.first, self.second):
            if sorted(letters) not in (sorted("SAT"), sorted("SRAT")):
                raise UsageError(f"{letters!r} is no order of S, A, T and perhaps R", mend="as in SRAT-SAT")
        if self.put_off and Action.REMOVE in self.first:
            raise UsageError(f"{self.id}: n1 can't be removed twice")

    @classmethod
    def parse(cls, text: str) -> Order:
        """The order that has this ID.

        Raises:
            UsageError: no order has it.
        """
        first, _, rest = text.partition("-")
        second, dash, last = rest.partition("-")
        if dash and last != Action.REMOVE:
            raise UsageError(f"{text!r} is no order: after the second dash only a removal put off may stand")
        return cls(first, second, bool(dash))

    @property
    def id(self) -> str:
        """Stable and readable, as ``SAT-SRAT-R``."""
        return f"{self.first}-{self.second}" + "-R" * self.put_off

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, first to last."""
        last = FIRST.steps(Action.REMOVE) if self.put_off else ()
        return (*FIRST.steps(self.first), *SECOND.steps(self.second), *last)

    @property
    def removals(self) -> tuple[str, str]:
        """What becomes of each removal: ``done``, ``omitted`` or ``put off``; orders of a kind share it."""
        first = "put off" if self.put_off else _removal(self.first)
        return first, _removal(self.second)


INCIDENT = Order("SAT", "SAT")


def all_orders() -> tuple[Order, ...]:
    """Every order there is, sorted by ID: (24 + 6 + 6) for the first replacement times (24 + 6) for the second."""
    return tuple(sorted(_orders(), key=lambda order: order.id))


def sample(seed: int, size: int) -> tuple[Order, ...]:
    """Some orders, the same for the same seed, in turns from each kind of removal; the incident's always first.

    Args:
        seed: feeds the choice.
        size: how many, at least 1.
    """
    choice = random.Random(seed)
    kinds: dict[tuple[str, str], list[Order]] = {}
    for order in all_orders():
        if order != INCIDENT:
            kinds.setdefault(order.removals, []).append(order)
    shuffled = [choice.sample(kinds[kind], len(kinds[kind])) for kind in sorted(kinds)]
    deepest = max(map(len, shuffled))
    turns = [orders[turn] for turn in range(deepest) for orders in shuffled if turn < len(orders)]
    return (INCIDENT, *turns)[:size]


def _orders() -> Iterator[Order]:
    whole = ["".join(letters) for letters in permutations("SRAT")]
    without = ["".join(letters) for letters in permutations("SAT")]
    for second in (*whole, *without):
        for first in (*whole, *without):
            yield Order(first, second)
        for first in without:
            yield Order(first, second, put_off=True)


def _removal(letters: str) -> str:
    return "done" if Action.REMOVE in letters else "omitted"
