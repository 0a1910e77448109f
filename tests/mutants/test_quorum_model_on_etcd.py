"""A quorum model with a wrong rule is caught by real etcd; the right one is confirmed by the same walk."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from harness.clusters.etcd_release import find_releases
from harness.clusters.ownership import Ownership
from harness.journal import Entry, read
from harness.judging import judge
from harness.judging.case import Case
from harness.judging.quorum_model import State, foretell, model_agrees
from harness.judging.verdict import Verdict
from harness.lab import Lab, LabSettings
from harness.orders import Order
from harness.spec import CaseSpec, EtcdSpec, Target
from harness.stages.stage import folder_name

pytestmark = pytest.mark.etcd
# The ghost stays, the second old node stops: 2 of 4, without the long start that SAT-SAT has to wait for.
ORDER = Order.parse("ATS-SAT")


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Entry]]:
    """The journal of one walk on real etcd."""
    folder = tmp_path_factory.mktemp("walk")
    ownership = Ownership(f"mutants-{uuid.uuid4().hex[:8]}", folder / "work")
    spec = CaseSpec(
        scenario="order_exploration",
        incident="002_638ead7455fd6626.txt",
        target=Target("stepwise", ORDER.id),
        cluster=EtcdSpec(members=3, strict_reconfig_check=False, heartbeat_ms=25, election_ms=250),
        guarantees=("model-agrees",),
        traffic=None,
    )
    lab = Lab(LabSettings("mutants", folder / "cases", find_releases([]), ownership))
    with lab.start(spec):
        lab.walk(ORDER)
    yield list(read(Path(folder) / "cases" / folder_name(spec.case_id) / "journal.jsonl").entries)
    ownership.release()


class HalfIsEnough(State):
    """Mutant: 2 of 4 still serve."""

    __slots__ = ()

    @property
    def serves(self) -> bool:
        return len(self.listed & self.running) * 2 >= len(self.listed)


def test_real_etcd_confirms_the_model(entries: list[Entry]) -> None:
    assert judge("model-agrees", entries).verdict is Verdict.RECOVERED


def test_real_etcd_refutes_a_wrong_model(entries: list[Entry]) -> None:
    finding = model_agrees(Case.of(entries), partial(foretell, rules=HalfIsEnough))
    assert (finding.verdict, finding.signature) == (Verdict.NOT_RECOVERED, "model-disagrees")
    assert "order ATS-SAT: after step 4 (stop n2) the model foretells writes True; seen: writes False" in finding.reason
