"""``python -m harness.tools.reference VARIANT``: does the task in ``$AFTERFAULT_TASK``.

Exit codes are those of every tool under test: 0 done, 3 refused with nothing changed, 1 failed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable

from harness.taps.node_command import NodeRefused
from harness.tools.reference import recover_control_plane, recover_managed, replace_control_plane
from harness.tools.reference.etcdctl import StepFailed
from harness.tools.reference.recover_quorum import RECOVERIES, RECOVERY_DEFECTS, recover_quorum
from harness.tools.reference.replace_node import DEFECTS, STRATEGIES, Refused, replace_node

TASKS: dict[str, tuple[Callable[[str], None], Iterable[str]]] = {
    "replace-node": (replace_node, STRATEGIES | DEFECTS),
    "recover-quorum": (recover_quorum, RECOVERIES | RECOVERY_DEFECTS),
    "replace-control-plane": (
        replace_control_plane.replace_control_plane,
        replace_control_plane.STRATEGIES | replace_control_plane.DEFECTS,
    ),
    "recover-control-plane": (
        recover_control_plane.recover_control_plane,
        recover_control_plane.RECOVERIES | recover_control_plane.RECOVERY_DEFECTS,
    ),
    "recover-managed": (
        recover_managed.recover_managed,
        recover_managed.RECOVERIES | recover_managed.RECOVERY_DEFECTS,
    ),
}


def main() -> int:
    """Run one task."""
    task, variants = TASKS[os.environ.get("AFTERFAULT_TASK", "replace-node")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant", choices=sorted(variants))
    words = parser.parse_args()
    try:
        task(words.variant)
    except Refused as error:
        print(f"refused: {error}", file=sys.stderr)
        return 3
    except (StepFailed, NodeRefused) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
