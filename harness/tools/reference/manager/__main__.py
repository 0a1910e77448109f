"""`run` supervises a machine's etcd, `ctl` is an operator's side; exit codes: 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import sys

from harness.clusters.backup_store import StoreError
from harness.errors import HarnessError, UsageError
from harness.tools.reference.manager import ctl, klog, run
from harness.tools.reference.manager.control_store import ControlError
from harness.tools.reference.manager.options import parse, run_options


def main() -> int:
    """One call."""
    words = parse()
    try:
        if words.does == "run":
            klog.set_up()
            run.run(run_options(words))
        else:
            ctl.run(words)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except (ControlError, StoreError, HarnessError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
