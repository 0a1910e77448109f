"""The stories of a run, in the order in which they are read, and what their tables show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from harness.judging.guarantees import GUARANTEES, Guarantee
from reports.run import CaseResult, RunResult

# A story with more cases than this is told in one line, and only what is not as expected is shown.
MOST_SHOWN = 150
_STANDINGS = ("broken", "inconclusive", "kept", "known")
_TITLES = {
    "stop_and_start": (
        "A deployment in use is stopped, and started again",
        "The stop deletes its cluster; the start makes a new one over what was kept.",
    ),
    "interrupted_start": (
        "A start is interrupted, then simply started again",
        "At a named moment, by Ctrl-C, a signal or a timeout.",
    ),
    "every_cut": (
        "A start is cut at each of its calls",
        "Before it is made, or after it was made and not answered, always from the same state; then it starts again.",
    ),
    "stop_and_start_twice": (
        "A deployment in use is stopped and started, and then once more",
        "What survives once may not survive twice.",
    ),
    "machine_killed": (
        "The machine of a deployment in use is killed, then it is started",
        "Nobody was there to stop it first.",
    ),
    "secret_backup": (
        "Secrets are kept in a file beside the cluster",
        "The file is there, empty, or gone when the deployment is started again.",
    ),
    "third_try": ("A start is cut, then started again up to three times", "What fails once may not fail for ever."),
    "cut_again": ("A start is cut, the next one too, and the third is let be", "Interruptions come in rows."),
    "stop_after_cut": ("A start is cut, then stopped, then started anew", "The way out that needs no kubectl."),
    "workaround_after_cut": (
        "The workarounds after an interrupted start",
        "Step by step, as the incident recommends them.",
    ),
    "workaround_in_use": (
        "The workarounds on a deployment in use",
        "What they cost its users and their neighbours.",
    ),
    "workaround_persisted": (
        "The workaround for a broken persisted etcd",
        "The cluster is deleted by hand before the next start.",
    ),
    "rolling_replacement": (
        "Two nodes are replaced, one after the other",
        "On three and five members, with and without etcd's strict reconfiguration check.",
    ),
    "unclean_membership": (
        "A ghost is listed, and the next node is to be replaced",
        "A procedure that looks first refuses, or cleans up.",
    ),
    "node_killed": ("A node is killed, then replaced", "Its data is still on the machine that is gone."),
    "node_wiped": ("A node is wiped, then replaced", "It is listed, and holds nothing."),
    "node_gone": ("A node is gone for good, then replaced", "The new one has another address."),
    "member_paused": ("A member stands still, then is replaced", "Its sockets are open and answer nothing."),
    "quorum_recovery": ("The way back from 2 of 4", "A snapshot is restored; what came after it is counted as lost."),
    "ghost_removal": ("The ghost is removed while quorum holds", "The gentler way back."),
    "control_plane_replacement": (
        "Control planes of a real cluster are replaced, one after the other",
        "Made by kind and kubeadm, with etcd on the control planes.",
    ),
    "control_plane_recovery": (
        "The way back of a real cluster whose etcd lost its quorum",
        "A snapshot is restored on a control plane, and the others join anew.",
    ),
    "control_files_gone": (
        "Control files vanish or break beneath the backup path",
        "And the leader's machine, another, all of them or none is restarted or killed.",
    ),
    "storage_rule": (
        "A storage rule deletes old backups, and control files with them",
        "As the incident had it: a prefix and an age, carried out by the store itself.",
    ),
    "store_trouble": (
        "The backup store is unreachable, slow, read-only or denied",
        "What can't be read is not gone.",
    ),
    "kops_update": (
        "An update writes the spec again, months later",
        "One write, no look at what else is there: how the incident's cluster was swapped.",
    ),
    "rewritten": ("An operator writes the control files again", "In either order, before or after a restart."),
    "restore_backup": ("A backup is restored", "Old or new, without a hitch or cut by a loss of power."),
    "bad_name": ("A restore is asked for by a wrong name", "Of a backup that is not there, or not whole."),
    "after_reseed": (
        "The ways back after the cluster was swapped for an empty one",
        "The twelve steps of the incident, and others.",
    ),
    "state_table": (
        "The state table of control files",
        "What becomes of marker and spec, times what happens then, in either order.",
    ),
    "order_exploration": (
        "Every order of two replacements",
        "A small model of quorum predicts each step, and real etcd confirms it.",
    ),
}


@dataclass(frozen=True, slots=True)
class Story:
    """One scenario on the page."""

    name: str
    title: str
    words: str
    summary: str
    guarantees: Sequence[Guarantee]
    shown: Sequence[CaseResult]


def stories(run: RunResult) -> Iterator[Story]:
    """All of them; what is not as expected comes first in each."""
    order = list(_TITLES)
    cases = sorted(
        run.cases,
        key=lambda case: (
            order.index(case.spec.scenario) if case.spec.scenario in order else len(order),
            case.spec.scenario,
            _STANDINGS.index(case.standing),
        ),
    )
    for name, group in groupby(cases, key=lambda case: case.spec.scenario):
        members = list(group)
        title, words = _TITLES.get(name, (name.replace("_", " "), ""))
        many = len(members) > MOST_SHOWN or name == "order_exploration"
        shown = [case for case in members if case.standing in ("broken", "inconclusive")] if many else members
        noun, well = ("orders", "confirmed") if name == "order_exploration" else ("cases", "as expected")
        summary = f"{len(members)} {noun}: {len(members) - len(shown)} {well}, {len(shown)} not" if many else ""
        asked = {gid for case in members for gid in case.spec.guarantees}
        yield Story(name, title, words, summary, [one for gid, one in GUARANTEES.items() if gid in asked], shown)
