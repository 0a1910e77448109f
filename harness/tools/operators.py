"""Operators of a managed cluster, as tools: each follows one procedure."""

from __future__ import annotations

import sys

from harness.spec import REFERENCE, Target
from harness.tools.deploy_tool import DeployTool

# With a manager whose loop takes ten seconds and that is restarted on the way, minutes.
_SECONDS = 600.0
# What of a case's moment is no part of the procedure's name: ``trash-can.cut-after-upload``.
_MARK = "."


def operator(procedure: str) -> DeployTool:
    """Our own procedure of that name, whatever stands behind a dot."""
    name = procedure.partition(_MARK)[0]
    command = (sys.executable, "-m", "harness.tools.reference", name)
    return DeployTool(Target(REFERENCE, name), command, _SECONDS, loss=r"^lost: (.*)$")
