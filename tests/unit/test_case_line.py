"""The one line that a case leaves in the progress: it tells news from what is known, and both from what nobody saw."""

import pytest

from harness.judging.ledger import KnownDefect, Ledger
from harness.judging.verdict import Finding, Verdict
from harness.pytest_plugin import in_short
from harness.spec import CaseSpec, EtcdSpec, Target

SPEC = CaseSpec("node_gone", "i.txt", Target("reference", "slow"), EtcdSpec(), ("quorum-kept", "no-ghost-member"))
KNOWN = KnownDefect(
    id="slow", tool="reference", variant="slow", scenario="node_gone", guarantee="no-ghost-member",
    signature="ghost-left", why="w", link="l",
)  # fmt: skip


def said(ledger=(), **verdicts):
    findings = [
        Finding(name.replace("_", "-"), Verdict[verdict], "why", signature="ghost-left" if verdict[0] == "N" else "")
        for name, verdict in verdicts.items()
    ]
    return in_short(Ledger(tuple(ledger)), SPEC, findings).partition(": ")[2]


@pytest.mark.parametrize(
    ("ledger", "quorum", "ghost", "line"),
    [
        ((), "RECOVERED", "RECOVERED", "2 guarantees kept"),
        ((), "RECOVERED", "NOT_RECOVERED", "NOT AS EXPECTED no-ghost-member"),
        ((KNOWN,), "RECOVERED", "NOT_RECOVERED", "red as known: no-ghost-member"),
        ((KNOWN,), "RECOVERED", "RECOVERED", "NOT AS EXPECTED known, not seen: no-ghost-member"),
        ((KNOWN,), "RECOVERED", "INCONCLUSIVE", "INCONCLUSIVE, not judged: no-ghost-member"),
        ((KNOWN,), "INCONCLUSIVE", "NOT_RECOVERED", "red as known: no-ghost-member; not judged: quorum-kept"),
        ((), "INCONCLUSIVE", "NOT_RECOVERED", "NOT AS EXPECTED no-ghost-member; not judged: quorum-kept"),
    ],
)
def test_a_case_in_one_line(ledger, quorum, ghost, line):
    assert said(ledger, quorum_kept=quorum, no_ghost_member=ghost) == line
