"""What a recovered world looks like, and how long it may take to get there.

An expectation names a guarantee (whose sentence and rule judging knows) and brings the probe that
gathers what the rule needs and a deadline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.journal import Journal
from harness.probes.store import observe_serving


@dataclass(frozen=True, slots=True)
class World:
    """What a probe may look at.

    Args:
        cluster: any sort; a probe says what it needs.
        journal: where observations go.
        look: look at once at what is watched anyway.
    """

    cluster: Any
    journal: Journal
    look: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Expectation:
    """One thing to wait for.

    Args:
        guarantee: its ID; the rule of that guarantee tells when it is met.
        probe: looks, and writes what it sees to the journal.
        deadline_seconds: how long the world may take.
        once: whether it is enough to have seen it met, for a probe that costs the world something.
    """

    guarantee: str
    probe: Callable[[World], None]
    deadline_seconds: float
    once: bool = False


def _look_at_members(world: World) -> None:
    world.look()


def _look_at_service(world: World) -> None:
    world.look()
    observe_serving(world.cluster, world.journal)


NO_GHOST = Expectation("no-ghost-member", _look_at_members, deadline_seconds=4.0)
REPLACEMENT_COMPLETE = Expectation("replacement-complete", _look_at_service, deadline_seconds=4.0)
SERVICE_RESTORED = Expectation("service-restored", _look_at_service, deadline_seconds=8.0)
