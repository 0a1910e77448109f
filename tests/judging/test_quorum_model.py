"""The quorum model foretells what is known by hand, and the rule goes red where model and journal differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from harness.errors import UsageError
from harness.journal import Entry
from harness.judging import judge
from harness.judging.case import Case
from harness.judging.quorum_model import Outcome, State, foretell, majority, model_agrees
from harness.judging.verdict import Verdict
from harness.orders import INCIDENT, Action, Order, Step, all_orders, sample
from harness.spec import CaseSpec, EtcdSpec, Target


def journal_of(order: Order, *, strict: bool = False) -> list[Entry]:
    """A whole journal of a walk that went as foretold."""
    spec = CaseSpec(
        scenario="order_exploration",
        incident="002_638ead7455fd6626.txt",
        target=Target("stepwise", order.id),
        cluster=EtcdSpec(members=3, strict_reconfig_check=strict),
        guarantees=("model-agrees",),
        traffic=None,
    )
    told: list[tuple[str, dict[str, Any]]] = [("case.opened", {"spec": spec.to_json()})]
    told += [("cluster.started", {"cluster_id": "c"})]
    told += [("walk.step", step_data(number, outcome)) for number, outcome in enumerate(foretell(order, strict))]
    told += [("case.ended", {})]
    return [Entry(seq, float(seq), kind, data) for seq, (kind, data) in enumerate(told)]


def step_data(number: int, outcome: Outcome) -> dict[str, Any]:
    return {
        "index": number,
        "action": outcome.step.action.name.lower(),
        "node": outcome.step.node,
        "worked": outcome.worked,
        "writes": outcome.writes,
        "listed": list(outcome.listed),
        "alive": list(outcome.alive),
    }


def steps_of(entries: list[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.kind == "walk.step"]


def story(order_id: str, *, strict: bool = False) -> list[tuple[str, bool, bool]]:
    return [(str(o.step), o.worked, o.writes) for o in foretell(Order.parse(order_id), strict)]


def test_there_are_1080_orders_and_no_two_share_an_id() -> None:
    orders = all_orders()
    assert len(orders) == len({order.id for order in orders}) == len({order.steps for order in orders}) == 1080
    assert Counter(order.removals for order in orders) == {
        ("done", "done"): 576,
        ("done", "omitted"): 144,
        ("omitted", "done"): 144,
        ("omitted", "omitted"): 36,
        ("put off", "done"): 144,
        ("put off", "omitted"): 36,
    }


def test_every_id_reads_back() -> None:
    assert all(Order.parse(order.id) == order for order in all_orders())


@pytest.mark.parametrize(
    "text", ["", "SAT", "SAT-", "SRAT-SRAT-R", "SAT-SAT-X", "SAT-SAT-", "SAT-SATT", "sat-sat", "SAT-SAT-R-R"]
)
def test_what_is_no_order_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Order.parse(text)


def test_an_id_spells_out_its_steps() -> None:
    assert list(map(str, Order.parse("SAT-RTSA-R").steps)) == [
        "stop n1", "add n4", "start n4", "remove n2", "start n5", "stop n2", "add n5", "remove n1",
    ]  # fmt: skip


def test_a_sample_is_the_same_for_the_same_seed_and_takes_from_every_kind() -> None:
    assert sample(5, 8) == sample(5, 8) != sample(6, 8)
    assert sample(5, 8)[0] == INCIDENT
    assert len({order.removals for order in sample(5, 8)}) == 6
    assert set(sample(5, 2000)) == set(all_orders())
    assert len(sample(5, 2000)) == 1080


def test_the_incident_loses_the_quorum_when_the_second_old_node_stops() -> None:
    assert story("SAT-SAT") == [
        ("stop n1", True, True),
        # 2 of 4 until the newcomer is up: the author did not notice
        ("add n4", True, False),
        ("start n4", True, True),
        # 2 of 4 for good
        ("stop n2", True, False),
        ("add n5", False, False),
        ("start n5", False, False),
    ]


def test_the_documented_order_never_stops_writes() -> None:
    assert story("SRAT-SRAT") == [
        ("stop n1", True, True), ("remove n1", True, True), ("add n4", True, True), ("start n4", True, True),
        ("stop n2", True, True), ("remove n2", True, True), ("add n5", True, True), ("start n5", True, True),
    ]  # fmt: skip
    assert story("SRAT-SRAT", strict=True) == story("SRAT-SRAT")


def test_a_removal_put_off_comes_too_late() -> None:
    assert story("SAT-SRAT-R")[3:] == [
        ("stop n2", True, False), ("remove n2", False, False), ("add n5", False, False),
        ("start n5", False, False), ("remove n1", False, False),
    ]  # fmt: skip


def test_a_newcomer_started_before_it_is_added_is_a_ghost_from_birth() -> None:
    last = foretell(Order.parse("TASR-SRAT"), strict=False)[3]
    assert (last.step, last.worked, last.writes) == (Step(Action.REMOVE, "n1"), False, False)
    assert (last.listed, last.alive) == (("n1", "n2", "n3", "n4"), ("n2", "n3"))


def test_removing_a_running_member_takes_its_process_too() -> None:
    removed = foretell(Order.parse("RSAT-SRAT"), strict=False)[0]
    assert (removed.listed, removed.alive) == (("n2", "n3"), ("n2", "n3"))


def test_a_start_can_bring_the_quorum_back_and_late_removals_then_work() -> None:
    assert story("SATR-SATR")[1:4] == [("add n4", True, False), ("start n4", True, True), ("remove n1", True, True)]


def test_the_strict_check_refuses_the_incident_at_its_first_addition() -> None:
    assert story("SAT-SAT", strict=True)[:3] == [
        ("stop n1", True, True), ("add n4", False, True), ("start n4", False, True),
    ]  # fmt: skip


def test_the_strict_check_lets_an_old_member_stay_listed_when_the_newcomer_comes_first() -> None:
    assert story("ATS-SAT", strict=True)[:3] == [
        ("add n4", True, True),
        ("start n4", True, True),
        ("stop n1", True, True),
    ]


def test_the_strict_check_keeps_a_running_member_while_a_newcomer_has_not_started() -> None:
    assert story("ARTS-SRAT", strict=True)[1] == ("remove n1", True, True)
    assert story("SART-SRAT")[1:3] == [("add n4", True, False), ("remove n1", False, False)]
    assert story("TRAS-RSAT", strict=True)[4] == ("remove n2", False, True)


def test_rules_that_hold_for_every_order() -> None:
    for order in all_orders():
        state = State()
        for outcome in foretell(order, strict=False):
            served = state.serves
            _, state = state.after(outcome.step)
            assert outcome.writes == (len(set(outcome.listed) & set(outcome.alive)) * 2 > len(outcome.listed))
            if outcome.step.action in (Action.ADD, Action.REMOVE):
                assert outcome.worked == served, f"{order.id}: a change takes effect exactly when the cluster serves"
            if outcome.writes and not served:
                assert outcome.step.action is Action.START, f"{order.id}: only a start brings the quorum back"


def test_the_strict_check_only_ever_refuses_more() -> None:
    for order in all_orders():
        strict, relaxed = foretell(order, strict=True), foretell(order, strict=False)
        first = next((n for n, pair in enumerate(zip(strict, relaxed, strict=True)) if pair[0] != pair[1]), None)
        assert first is None or (relaxed[first].worked and not strict[first].worked), order.id


@pytest.mark.parametrize("order", sample(3, 40), ids=lambda order: order.id)
@pytest.mark.parametrize("strict", [False, True])
def test_a_walk_as_foretold_is_green(order: Order, strict: bool) -> None:
    finding = judge("model-agrees", journal_of(order, strict=strict))
    assert finding.verdict is Verdict.RECOVERED
    assert finding.measures["steps"] == len(order.steps)


@pytest.mark.parametrize("name", ["worked", "writes", "listed", "alive"])
@pytest.mark.parametrize("number", range(6))
def test_any_other_world_is_red_and_names_order_step_and_both_sides(name: str, number: int) -> None:
    entries = journal_of(INCIDENT)
    step = steps_of(entries)[number]
    step.data[name] = not step.data[name] if name in ("worked", "writes") else ["n9"]
    finding = judge("model-agrees", entries)
    assert (finding.verdict, finding.signature) == (Verdict.NOT_RECOVERED, "model-disagrees")
    assert finding.evidence == (step.seq,)
    for word in (
        "order SAT-SAT",
        f"step {number + 1} ({INCIDENT.steps[number]})",
        f"foretells {name} ",
        f"seen: {name} ",
    ):
        assert word in finding.reason


@pytest.mark.parametrize("number", range(6))
def test_a_step_that_is_missing_is_inconclusive(number: int) -> None:
    entries = journal_of(INCIDENT)
    entries.remove(steps_of(entries)[number])
    finding = judge("model-agrees", entries)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "SAT-SAT" in finding.reason


def test_a_walk_of_another_order_is_inconclusive() -> None:
    entries = journal_of(INCIDENT)
    entries[0].data["spec"]["target"]["variant"] = "SAT-STA"
    assert judge("model-agrees", entries).verdict is Verdict.INCONCLUSIVE
    entries[0].data["spec"]["target"]["variant"] = "no order at all"
    assert judge("model-agrees", entries).verdict is Verdict.INCONCLUSIVE


def test_a_problem_of_the_harness_is_never_a_disagreement() -> None:
    entries = journal_of(INCIDENT)
    entries.insert(3, Entry(99, 3.0, "case.problem", {"problem": "WaitTimeout: ..."}))
    assert judge("model-agrees", entries).verdict is Verdict.INCONCLUSIVE


class HalfIsEnough(State):
    """Mutant: 2 of 4 still serve."""

    __slots__ = ()

    @property
    def serves(self) -> bool:
        return len(self.listed & self.running) * 2 >= len(self.listed)


class GhostsDoNotCount(State):
    """Mutant: only the running are counted."""

    __slots__ = ()

    @property
    def serves(self) -> bool:
        return len(self.listed & self.running) >= majority(self.listed & (self.running | {"n4", "n5"}))


class RemovedRunsOn(State):
    """Mutant: a removed member keeps its process."""

    __slots__ = ()

    def after(self, step: Step) -> tuple[bool, State]:
        worked, left = State.after(self, step)
        return worked, replace(left, running=self.running) if step.action is Action.REMOVE else left


class AnybodyStarts(State):
    """Mutant: a newcomer that is not listed starts."""

    __slots__ = ()

    def after(self, step: Step) -> tuple[bool, State]:
        if step.action is Action.START:
            return True, replace(self, running=self.running | {step.node})
        return State.after(self, step)


class ChangesNeedNoQuorum(State):
    """Mutant: a change works whenever anybody runs."""

    __slots__ = ()

    def after(self, step: Step) -> tuple[bool, State]:
        if step.action is Action.REMOVE:
            return True, replace(self, listed=self.listed - {step.node}, running=self.running - {step.node})
        return State.after(self, step)


@pytest.mark.parametrize("mutant", [HalfIsEnough, GhostsDoNotCount, RemovedRunsOn, AnybodyStarts, ChangesNeedNoQuorum])
def test_the_default_sample_catches_a_wrong_model(mutant: type[State]) -> None:
    """Journals of walks that went as foretold, held against a model with one wrong rule."""
    findings = [model_agrees(Case.of(journal_of(order)), partial(foretell, rules=mutant)) for order in sample(15, 8)]
    assert {finding.signature for finding in findings} & {"model-disagrees"}, f"nobody noticed: {mutant.__doc__}"
