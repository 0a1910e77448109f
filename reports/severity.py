"""How grave it is when a guarantee is broken, in Allure's words, and why. Pure.

``blocker``: data of users is gone, somebody else's things are hit, or the cluster does not come back.
``critical``: users wait, or what they would need for the way back is not there, or they are told a lie.
``normal``: the next step stumbles over what was left. ``minor``: nobody is hurt; somebody should look.
"""

from __future__ import annotations

BLOCKER, CRITICAL, NORMAL, MINOR = "blocker", "critical", "normal", "minor"
LEVELS = (BLOCKER, CRITICAL, NORMAL, MINOR)

_GONE = "what users were told is safe is gone"
_DOWN = "users have no service until a person steps in"
_OTHERS = "it hits somebody who has nothing to do with it"
_WAIT = "users wait, and then it goes on"
_LIE = "who believes it does the next step on a broken cluster"
_WAY_BACK = "it is only missed on the day it is needed"
_LEFT = "the next step stumbles over it"
_MODEL = "the world is not as our own model has it: nobody is hurt, but somebody should look"

# By guarantee: how grave, and why.
SEVERITIES: dict[str, tuple[str, str]] = {
    "acknowledged-writes-kept": (BLOCKER, _GONE),
    "writes-accounted": (BLOCKER, _GONE),
    "writes-before-snapshot-kept": (BLOCKER, _GONE),
    "reads-linearizable": (BLOCKER, "programs that rely on it do wrong things without noticing"),
    "revisions-monotonic": (BLOCKER, "watchers and controllers miss changes without noticing"),
    "cluster-identity-kept": (BLOCKER, "writes go to two clusters, and one of them is lost"),
    "no-unasked-seed": (BLOCKER, "an empty cluster takes the place of the one with the data"),
    "served-is-ours": (BLOCKER, "writes go to two clusters, and one of them is lost"),
    "restore-complete": (BLOCKER, _GONE),
    "secrets-kept": (BLOCKER, _GONE),
    "app-data-kept": (BLOCKER, _GONE),
    "foreign-untouched": (BLOCKER, _OTHERS),
    "foreign-workloads-kept": (BLOCKER, _OTHERS),
    "bystanders-kept": (BLOCKER, _OTHERS),
    "quorum-kept": (BLOCKER, _DOWN),
    "service-restored": (BLOCKER, _DOWN),
    "restart-succeeds": (BLOCKER, _DOWN),
    "every-cut-recovers": (BLOCKER, _DOWN),
    "nodes-ready": (BLOCKER, _DOWN),
    "api-service-present": (BLOCKER, _DOWN),
    "bootstrap-rbac-present": (BLOCKER, _DOWN),
    "app-reachable": (BLOCKER, _DOWN),
    "objects-decode": (CRITICAL, "controllers that list them stand still"),
    "system-workloads-stable": (CRITICAL, "the cluster works by halves, and fails later"),
    "fresh-pod-works": (CRITICAL, "what runs goes on, and nothing new starts"),
    "write-gap-bounded": (CRITICAL, _WAIT),
    "api-available": (CRITICAL, _WAIT),
    "bad-name-harmless": (CRITICAL, "a slip of the pen costs an outage"),
    "app-configured": (CRITICAL, "it answers, and does something else than was asked"),
    "success-is-true": (CRITICAL, _LIE),
    "ready-when-done": (CRITICAL, _LIE),
    "secret-loss-told": (CRITICAL, _LIE),
    "restore-loss-told": (CRITICAL, _LIE),
    "loss-alarmed": (CRITICAL, "nobody knows until it is too late"),
    "snapshot-restorable": (CRITICAL, _WAY_BACK),
    "botched-state-saved": (CRITICAL, _WAY_BACK),
    "backups-fresh": (CRITICAL, _WAY_BACK),
    "backups-restorable": (CRITICAL, _WAY_BACK),
    "archive-kept": (CRITICAL, _WAY_BACK),
    "rule-spares-control": (CRITICAL, "the next restart swaps the cluster for an empty one"),
    "clean-before-next-node": (CRITICAL, "one more failure, and the quorum is lost"),
    "no-ghost-member": (CRITICAL, "one more failure, and the quorum is lost"),
    "replacement-complete": (NORMAL, _LEFT),
    "stopped-is-gone": (NORMAL, _LEFT),
    "same-state-as-uncut": (NORMAL, _LEFT),
    "no-traces-left": (NORMAL, _LEFT),
    "queue-drained": (NORMAL, "it is carried out again after the next restart"),
    "disk-bounded": (NORMAL, "a disk that is full stops the members one by one"),
    "model-agrees": (MINOR, _MODEL),
    "state-as-foretold": (MINOR, _MODEL),
}


def severity(guarantee: str) -> str:
    """How grave it is; ``normal`` for a guarantee of before or after this table."""
    return SEVERITIES.get(guarantee, (NORMAL, ""))[0]


def gravity(guarantee: str) -> int:
    """To sort by: the gravest first."""
    return LEVELS.index(severity(guarantee))
