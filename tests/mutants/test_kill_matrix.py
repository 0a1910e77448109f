"""The kill matrix: each defect dies by its named guarantee on real etcd, the faithful procedures live."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from harness.clusters.ownership import Ownership
from harness.expectations import NO_GHOST, REPLACEMENT_COMPLETE
from harness.faults.membership import ReplacedWithoutRemoval
from harness.judging import Verdict, judge_all
from harness.judging.guarantees import GUARANTEES
from harness.judging.ledger import Ledger
from harness.lab import Lab
from harness.spec import CaseSpec, EtcdSpec
from harness.tools.deploy_tool import reference_tool
from harness.tools.reference.replace_node import DEFECTS, STRATEGIES
from harness.tools.tasks import ReplaceNode

pytestmark = pytest.mark.etcd
ROOT = Path(__file__).parents[2]
LEDGER = Ledger.load(ROOT / "scenarios" / "known_defects.yaml", date(2026, 11, 21))
FAITHFUL = [variant for variant in STRATEGIES if variant != "incident"]
MUTANTS = ["incident", *DEFECTS]
JUDGED = tuple(GUARANTEES)[: list(GUARANTEES).index("service-restored")]


def play_rolling(lab, spec):
    with lab.start(spec):
        lab.run(reference_tool(spec.target.variant), ReplaceNode("n1"))
        lab.run(reference_tool(spec.target.variant), ReplaceNode("n2"))
        lab.observe(NO_GHOST, REPLACEMENT_COMPLETE)


def play_unclean(lab, spec):
    with lab.start(spec):
        lab.inject(ReplacedWithoutRemoval("n1"))
        lab.run(reference_tool(spec.target.variant), ReplaceNode("n2"))


# a missing look at the member list shows only where there is something to see
STORY = {"no-check": ("unclean_membership", play_unclean, (*JUDGED[:1], "clean-before-next-node"))}


def judged(settings, variant):
    """One case with an ownership of its own: at its end a case ends whatever its run still owns."""
    owner = Ownership(f"{settings.ownership.lease.label}-{variant}", settings.ownership.lease.work / variant)
    settings = replace(settings, ownership=owner)
    scenario, play, guarantees = STORY.get(variant, ("rolling_replacement", play_rolling, JUDGED))
    target = reference_tool(variant).target
    spec = CaseSpec(scenario, "002", target, EtcdSpec(3, strict_reconfig_check=False), guarantees)
    lab = Lab(settings)
    play(lab, spec)
    owner.release()
    return spec, judge_all(lab.entries)


def test_each_defect_dies_by_its_named_guarantee(settings, capsys):
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda variant: judged(settings, variant), [*FAITHFUL, *MUTANTS]))
    rows = [Row(spec, findings) for spec, findings in results]
    with capsys.disabled():
        print("\n\nkill matrix (x broken, X broken and named in the ledger)\n" + table(rows))
    for row in rows[: len(FAITHFUL)]:
        assert not row.not_kept, f"{row.name} is faithful: {row.not_kept}"
    for row in rows[len(FAITHFUL) :]:
        assert row.named, f"{row.name} is in no line of the ledger"
        assert row.named <= row.red, f"{row.name} did not die by {row.named - row.red}"
        assert not row.unexplained, f"{row.name}: {row.unexplained}"


class Row:
    def __init__(self, spec, findings):
        self.name = spec.target.variant
        self.red = {finding.guarantee for finding in findings if finding.verdict is Verdict.NOT_RECOVERED}
        self.not_kept = [finding for finding in findings if finding.verdict is not Verdict.RECOVERED]
        self.named = {d.guarantee for d in LEDGER.defects if d.concerns(spec, LEDGER.today)}
        self.unexplained = [f for f in findings if f.guarantee in self.red and not LEDGER.explain(spec, f)]


def table(rows):
    width = max(len(row.name) for row in rows) + 2
    lines = ["".ljust(width) + " ".join(GUARANTEES[name].title for name in JUDGED)]
    for row in rows:
        marks = ("X" if g in row.red & row.named else "x" if g in row.red else "." for g in JUDGED)
        cells = (mark.center(len(GUARANTEES[g].title)) for mark, g in zip(marks, JUDGED, strict=True))
        lines.append(row.name.ljust(width) + " ".join(cells))
    return "\n".join(lines)
