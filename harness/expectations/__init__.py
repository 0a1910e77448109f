"""What a recovered world looks like, and how long it may take to get there.

An expectation names a guarantee (whose sentence and rule judging knows) and brings the probe that
gathers what the rule needs and a deadline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.clusters.members import EtcdMembers
from harness.journal import Journal
from harness.probes.membership import MembershipWatch
from harness.probes.store import observe_serving


@dataclass(frozen=True, slots=True)
class World:
    """What a probe may look at."""

    cluster: EtcdMembers[Any]
    journal: Journal
    watch: MembershipWatch


@dataclass(frozen=True, slots=True)
class Expectation:
    """One thing to wait for.

    Args:
        guarantee: its ID; the rule of that guarantee tells when it is met.
        probe: looks, and writes what it sees to the journal.
        deadline_seconds: how long the world may take.
    """

    guarantee: str
    probe: Callable[[World], None]
    deadline_seconds: float


def _look_at_members(world: World) -> None:
    world.watch.look()


def _look_at_service(world: World) -> None:
    world.watch.look()
    observe_serving(world.cluster, world.journal)


NO_GHOST = Expectation("no-ghost-member", _look_at_members, deadline_seconds=4.0)
REPLACEMENT_COMPLETE = Expectation("replacement-complete", _look_at_service, deadline_seconds=4.0)
SERVICE_RESTORED = Expectation("service-restored", _look_at_service, deadline_seconds=8.0)
