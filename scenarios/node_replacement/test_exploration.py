"""Every order in which two nodes can be replaced, against a small model of the quorum (incident 002).

The author of 002_638ead7455fd6626.txt walked one order and met one end. Here each order of stopping,
removing, adding and starting is walked on real etcd, the removals left out and put off too; the model
says after which steps writes go on, and etcd confirms it. `-m slow` walks all 1080 of them.
"""

from __future__ import annotations

from typing import cast

import pytest

from harness.lab import Lab, LabSettings
from harness.orders import Order
from harness.spec import CaseSpec, EtcdSpec, Target

INCIDENT = "002_638ead7455fd6626.txt"
pytestmark = [pytest.mark.etcd, pytest.mark.incident(INCIDENT)]

# Elections are waited for after many a step: short ones.
RELAXED = EtcdSpec(members=3, strict_reconfig_check=False, heartbeat_ms=25, election_ms=250)
STRICT = EtcdSpec(members=3, strict_reconfig_check=True, heartbeat_ms=25, election_ms=250)


@pytest.fixture(scope="module")
def walked(lab_settings: LabSettings, order: Order, repetition: int, sample_seed: int) -> Lab:
    """Given three healthy members, when the steps are taken in this order, each tried once."""
    lab = Lab(lab_settings)
    with lab.start(_case(order, RELAXED, sample_seed).play(repetition)):
        lab.walk(order)
    return lab


@pytest.fixture(scope="module")
def strictly_walked(lab_settings: LabSettings, strict_order: Order, repetition: int, sample_seed: int) -> Lab:
    """Given three healthy members with the strict check on, when the steps are taken in this order."""
    lab = Lab(lab_settings)
    with lab.start(_case(strict_order, STRICT, sample_seed).play(repetition)):
        lab.walk(strict_order)
    return lab


def test_each_step_ends_as_foretold(walked: Lab) -> None:
    """Who follows the model never loses the quorum unawares: the author of 002_638ead7455fd6626.txt had none.

    A disagreement means that etcd does what the procedures judged here do not reckon with.
    """
    walked.judge("model-agrees")


def test_each_step_ends_as_foretold_with_the_strict_check(strictly_walked: Lab) -> None:
    """The strict check refuses just what the model says: it is what would have stopped 002_638ead7455fd6626.txt."""
    strictly_walked.judge("model-agrees")


def case_told_by(
    *, order: Order | None = None, strict_order: Order | None = None, repetition: int = 1, **_: object
) -> CaseSpec:
    """The case that a test's parameters stand for: what a run plans, shards and repeats is known by its ID."""
    walked, cluster = (order, RELAXED) if strict_order is None else (strict_order, STRICT)
    return _case(cast("Order", walked), cluster, 0).play(repetition)


def _case(order: Order, cluster: EtcdSpec, seed: int) -> CaseSpec:
    return CaseSpec(
        scenario="order_exploration",
        incident=INCIDENT,
        target=Target("stepwise", order.id),
        cluster=cluster,
        guarantees=("model-agrees",),
        seed=seed,
        traffic=None,
    )
