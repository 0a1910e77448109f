"""What a person does by hand in the stories of this folder: each way is called with the lab and the tool."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from harness.lab import Lab
from harness.spec import CaseSpec
from harness.tools.by_hand import (
    DELETE_CLUSTER,
    DELETE_INGRESS_BINDING,
    DELETE_INGRESS_CLASS,
    DELETE_INGRESS_NAMESPACE,
    DELETE_INGRESS_ROLE,
    OPERATOR,
)
from harness.tools.deploy_tool import DeployTool
from harness.tools.deployments import Stop

Way = Callable[[Lab, DeployTool], None]


def delete_ingress(lab: Lab, _: DeployTool) -> None:
    """Incident 001's first workaround: the ingress's objects, in its order."""
    lab.run(OPERATOR, DELETE_INGRESS_NAMESPACE)
    lab.run(OPERATOR, DELETE_INGRESS_ROLE)
    lab.run(OPERATOR, DELETE_INGRESS_BINDING)
    lab.run(OPERATOR, DELETE_INGRESS_CLASS)


def delete_cluster(lab: Lab, _: DeployTool) -> None:
    """Its second, and incident 000's only one: the whole cluster."""
    lab.run(OPERATOR, DELETE_CLUSTER)


def stop(lab: Lab, tool: DeployTool) -> None:
    """The tool's own way, of which no incident speaks."""
    lab.run(tool, Stop())


WAYS: Mapping[str, Way] = {"ingress-deleted": delete_ingress, "cluster-deleted": delete_cluster, "stopped": stop}


@pytest.fixture(scope="module")
def way(case: CaseSpec) -> Way:
    """The one of this case."""
    return WAYS[case.moment]
