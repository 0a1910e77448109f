"""Every state of the control files, and every event or pair of events after it, against a small model (incident 003).

The author of 003_dc68aa53602124f8.txt met one cell of it, and drew conclusions about others from the source. Here
each is brought about on a real cluster; the model says what becomes of it, and the cluster confirms that.
`-m state_table` plays all 102 of them.
"""

from __future__ import annotations

import pytest

from harness.control_cells import ControlCell, all_cells
from harness.faults.cells import damage_of, events_of
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, ManagedSpec, TrafficSpec
from harness.tools.deploy_tool import MANAGE

INCIDENT = "003_dc68aa53602124f8.txt"
pytestmark = [pytest.mark.etcd, pytest.mark.state_table, pytest.mark.incident(INCIDENT)]
# Enough to tell whose answers they are; backups stay small.
TRAFFIC = TrafficSpec(writers=1, readers=1, pause_seconds=0.25)

CASES = (
    CaseMatrix(
        scenario="state_table",
        incident=INCIDENT,
        guarantees=("state-as-foretold",),
        task=MANAGE,
        traffic=TRAFFIC,
        variants=("etcd-manager",),
        shapes=(ManagedSpec(),),
        moments=tuple(cell.id for cell in all_cells()),
        # each outcome, the incident's own order and its author's repair
        quick=(
            "*-marker-there+spec-there/none",
            "*-marker-there+spec-gone/restart-all",
            "*-marker-gone+spec-there/none",
            "*-marker-gone+spec-gone/none",
            "*-marker-gone+spec-gone/restart-all",
            "*-marker-gone+spec-gone/spec-again,restart-all",
            "*-marker-gone+spec-gone/marker-again,spec-again",
            "*-marker-empty+spec-there/restart-leader",
        ),
    ),
)


@pytest.fixture(scope="module")
def walked(lab: Lab, case: CaseSpec) -> Lab:
    """Given a healthy cluster that is backed up, when control files are damaged, and events follow in this order."""
    cell = ControlCell.parse(case.moment)
    with lab.start(case):
        lab.inject(*damage_of(cell))
        lab.let_pass(loops=3)
        lab.inject_in_turn(*events_of(cell))
        lab.let_pass(loops=3, backups=3)
    return lab


def test_the_cell_ends_as_foretold(walked: Lab) -> None:
    """Who knows what each state comes to can choose what to write first; in 003_dc68aa53602124f8.txt nobody did."""
    walked.judge("state-as-foretold")
