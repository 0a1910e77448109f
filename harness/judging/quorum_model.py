"""Foretells what each step of an order of membership changes does to a cluster, and holds that against etcd.

The whole model is two sets, who is listed and who runs, and these rules (measured on etcd 3.5.1;
`docs` is etcd's "Runtime reconfiguration", names in brackets are functions of etcd's server):

- The cluster serves exactly while the listed that run are a majority of the listed (raft; docs).
- A change of the list is a write: it takes effect exactly when the cluster serves before it (docs).
- A stopped machine is gone, and its row on the list stays (the incident; docs, "remove a member").
- A member that is removed while it runs ends its own process (docs; ``applyConfChange``).
- A newcomer that is listed starts and stays, even when nobody serves, and its vote then counts. One
  that is not listed ends at once (``ValidateClusterAndAssignIDs``).

With ``--strict-reconfig-check`` a change has to pass one more check (``mayAddMember``,
``mayRemoveMember``); that counts members connected for five seconds (``HealthInterval``), so whoever
compares lets more than that pass before each change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import UsageError
from harness.journal import Entry
from harness.judging.case import Case
from harness.judging.verdict import Finding, Verdict
from harness.orders import FOUNDERS, Action, Order, Step

GUARANTEE = "model-agrees"
_COMPARED = ("worked", "writes", "listed", "alive")


@dataclass(frozen=True, slots=True)
class State:
    """All the model knows of a cluster.

    Args:
        listed: nodes on the member list; all of them vote.
        running: nodes whose etcd process runs.
        strict: etcd's ``--strict-reconfig-check``.
        published: listed nodes that once ran while the cluster served; etcd calls them started.
    """

    listed: frozenset[str] = frozenset(FOUNDERS)
    running: frozenset[str] = frozenset(FOUNDERS)
    strict: bool = False
    published: frozenset[str] = frozenset(FOUNDERS)

    @property
    def serves(self) -> bool:
        """Whether writes are possible."""
        return len(self.listed & self.running) >= majority(self.listed)

    def after(self, step: Step) -> tuple[bool, State]:
        """Whether the step works, and the state it leaves."""
        worked, left = _RULES[step.action](self, step.node)
        if left.serves:
            left = replace(left, published=left.published | (left.listed & left.running))
        return worked, left


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ends: did it work, are writes possible afterwards, who is listed, who runs."""

    step: Step
    worked: bool
    writes: bool
    listed: tuple[str, ...]
    alive: tuple[str, ...]


Model = Callable[[Order, bool], Sequence[Outcome]]


def majority(listed: frozenset[str]) -> int:
    """How many voters have to serve so that the cluster does."""
    return len(listed) // 2 + 1


def foretell(order: Order, strict: bool, rules: type[State] = State) -> tuple[Outcome, ...]:
    """How each step of the order ends, each tried once, on three founders.

    Args:
        order: the steps.
        strict: etcd's ``--strict-reconfig-check``.
        rules: the model; mutants of it bring their own.
    """
    state, outcomes = rules(strict=strict), []
    for step in order.steps:
        worked, state = state.after(step)
        outcomes.append(Outcome(step, worked, state.serves, tuple(sorted(state.listed)), tuple(sorted(state.running))))
    return tuple(outcomes)


def model_agrees(case: Case, model: Model = foretell) -> Finding:
    """Each step ended as the model foretells; a disagreement names the order, the step and both sides."""
    try:
        order = Order.parse(case.spec.target.variant)
    except UsageError as error:
        return Finding(GUARANTEE, Verdict.INCONCLUSIVE, str(error))
    foretold = model(order, case.shape.strict_reconfig_check)
    seen = list(case.of_kind("walk.step"))
    for number, outcome in enumerate(foretold):
        if number >= len(seen) or not _is_about(seen[number], number, outcome.step):
            unseen = f"order {order.id}: step {number + 1} ({outcome.step}) was never seen"
            return Finding(GUARANTEE, Verdict.INCONCLUSIVE, unseen)
        differing = {name: seen[number].data[name] for name in _COMPARED if _differs(seen[number], outcome, name)}
        if differing:
            return _disagreement(order, number, outcome, differing, seen[number].seq)
    without = sum(not entry.data["writes"] for entry in seen)
    return Finding(
        GUARANTEE,
        Verdict.RECOVERED,
        f"order {order.id}: all {len(seen)} steps ended as foretold, {without} of them without writes",
        evidence=tuple(entry.seq for entry in seen),
        measures={"steps": len(seen), "steps_without_writes": without},
    )


def _stop(state: State, node: str) -> tuple[bool, State]:
    return True, replace(state, running=state.running - {node})


def _remove(state: State, node: str) -> tuple[bool, State]:
    if not state.serves or (state.strict and not _may_remove(state, node)):
        return False, state
    return True, replace(
        state, listed=state.listed - {node}, running=state.running - {node}, published=state.published - {node}
    )


def _add(state: State, node: str) -> tuple[bool, State]:
    if not state.serves or (state.strict and not _may_add(state)):
        return False, state
    return True, replace(state, listed=state.listed | {node})


def _start(state: State, node: str) -> tuple[bool, State]:
    if node not in state.listed:
        return False, state
    return True, replace(state, running=state.running | {node})


def _may_add(state: State) -> bool:
    """``mayAddMember``: everybody listed is connected; that makes a majority of started ones too."""
    return state.listed <= state.running


def _may_remove(state: State, node: str) -> bool:
    """``mayRemoveMember``: enough started ones stay, and a running one goes only where enough connected ones stay."""
    stay = state.listed - {node}
    if not stay or len(state.published & stay) < majority(stay):
        return False
    connected = len(state.listed & state.running)
    return node not in state.running or connected - 1 >= 1 + (len(state.listed) - 1) // 2


_RULES: dict[Action, Callable[[State, str], tuple[bool, State]]] = {
    Action.STOP: _stop,
    Action.REMOVE: _remove,
    Action.ADD: _add,
    Action.START: _start,
}


def _is_about(entry: Entry, number: int, step: Step) -> bool:
    data = entry.data
    return (data["index"], data["action"], data["node"]) == (number, step.action.name.lower(), step.node)


def _differs(entry: Entry, outcome: Outcome, name: str) -> bool:
    return bool(_plain(getattr(outcome, name)) != entry.data[name])


def _disagreement(order: Order, number: int, outcome: Outcome, differing: dict[str, Any], seq: int) -> Finding:
    foretold = ", ".join(f"{name} {_plain(getattr(outcome, name))}" for name in differing)
    seen = ", ".join(f"{name} {value}" for name, value in differing.items())
    return Finding(
        GUARANTEE,
        Verdict.NOT_RECOVERED,
        f"order {order.id}: after step {number + 1} ({outcome.step}) the model foretells {foretold}; seen: {seen}",
        "model-disagrees",
        (seq,),
    )


def _plain(value: object) -> object:
    """As the journal keeps it."""
    return list(value) if isinstance(value, tuple) else value
