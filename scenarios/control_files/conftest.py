"""Who repairs, and what befalls control files: values that several stories of managed clusters share."""

from __future__ import annotations

import pytest

from harness.spec import CaseSpec
from harness.tools.deploy_tool import DeployTool
from harness.tools.operators import operator


@pytest.fixture(scope="module")
def repair(case: CaseSpec) -> DeployTool:
    """The operator's procedure this case is named after."""
    return operator(case.moment)
