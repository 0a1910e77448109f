"""What a deployment looks like that came back, and how long that may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from harness.clusters.tool_made import ToolMadeCluster
from harness.errors import UsageError
from harness.expectations import Expectation, World
from harness.expectations.kubernetes import RECOVERED_KUBERNETES, foreign_workloads_kept
from harness.probes.deployment import DeploymentWorld, observe_app, observe_secrets
from harness.traffic.users import NEIGHBOURS


def _of_deployment(probe: Callable[[DeploymentWorld], None]) -> Callable[[World], None]:
    def look(world: World) -> None:
        if not isinstance(world.cluster, ToolMadeCluster):
            raise UsageError(f"{probe.__name__} looks at a deployment, and a {type(world.cluster).__name__} is none")
        probe(cast("DeploymentWorld", world))

    return look


# A start ends long after its node was made: with three clusters at a time on two cores, all was well by then.
_SETTLED_SECONDS = 75.0

RECOVERED_CLUSTER = tuple(
    replace(each, deadline_seconds=min(each.deadline_seconds, _SETTLED_SECONDS)) for each in RECOVERED_KUBERNETES
)
APP_REACHABLE = Expectation("app-reachable", _of_deployment(observe_app), deadline_seconds=60.0)
# it is there when the pod starts, or not at all
APP_CONFIGURED = Expectation("app-configured", _of_deployment(observe_app), deadline_seconds=20.0)
APP_DATA_KEPT = Expectation("app-data-kept", _of_deployment(observe_app), deadline_seconds=60.0)
NEIGHBOURS_KEPT = foreign_workloads_kept(NEIGHBOURS)
SECRETS_KEPT = Expectation("secrets-kept", _of_deployment(observe_secrets), deadline_seconds=10.0)
RECOVERED_DEPLOYMENT = (*RECOVERED_CLUSTER, APP_REACHABLE, APP_DATA_KEPT, SECRETS_KEPT, NEIGHBOURS_KEPT)
