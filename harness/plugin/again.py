"""The command that plays a red case again: kept in its folder as it ends, and said at the end of the run."""

from __future__ import annotations

from collections.abc import Sequence

from harness.judging import Finding, Verdict
from harness.judging.ledger import Ledger
from harness.run_folder import RunFolder
from harness.spec import CaseSpec
from harness.stages.stage import folder_name
from reports.run import RunResult
from reports.telling import repeat

FILE = "repro.txt"
# More would push the answer off the screen; all of them are in summary.md.
_MOST = 20


def keep_command(folder: RunFolder, ledger: Ledger, spec: CaseSpec, findings: Sequence[Finding]) -> None:
    """Write ``repro.txt`` into the folder of a play that just ended, unless it kept all and had to.

    Raises:
        OSError: it can't be written.
    """
    if all(finding.verdict is Verdict.RECOVERED for finding in findings) and not ledger.missing(spec, findings):
        return
    file = folder.cases / folder_name(spec.play_id) / FILE
    file.write_text(repeat(spec, folder.near) + "\n", encoding="utf-8")


def commands(run: RunResult) -> list[str]:
    """A line for each play that is not as expected, in the order of their IDs; one more where there are too many."""
    meant = [case for case in run.cases if case.standing in ("broken", "inconclusive")]
    told = [f"again: {repeat(case.spec, case.place)}" for case in meant[:_MOST]]
    return told + [f"again: {len(meant) - _MOST} more in summary.md"] * (len(meant) > _MOST)
