"""What a managed cluster looks like that came back, and how long its manager may take."""

from __future__ import annotations

from harness.clusters.managed import ManagedCluster
from harness.expectations import Expectation, World
from harness.probes.store import observe_keyspace, observe_serving

# One a step of a restore: found, restore, lift quarantine, member by member.
_LOOPS = 10


def _look_at_data(world: World) -> None:
    world.look()
    observe_serving(world.cluster, world.journal)
    observe_keyspace(world.cluster, world.journal)


def restored(cluster: ManagedCluster) -> tuple[Expectation, ...]:
    """After a restore all serve everything, in the time this manager takes to start again and for some loops."""
    seconds = cluster.program.restart_seconds + _LOOPS * cluster.program.loop_seconds
    return (Expectation("restore-complete", _look_at_data, deadline_seconds=seconds),)
