"""``python -m harness.tools.reference.deployer VARIANT start|stop --dir D``.

Needs kind, docker and kubectl on PATH, and KUBECONFIG. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
What it does goes to stdout, a line a step; what went wrong is one line on stderr.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.tools.reference.deployer.deployment import Deployment, read_deployment
from harness.tools.reference.deployer.errors import Failed, WrongUsage
from harness.tools.reference.deployer.folder import locked, scratch
from harness.tools.reference.deployer.programs import Programs
from harness.tools.reference.deployer.start import Start
from harness.tools.reference.deployer.variants import VARIANTS, Variant


def main() -> int:
    """Run one call."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("action", choices=("start", "stop"))
    parser.add_argument("--dir", type=Path, required=True, help="the deployment folder")
    words = parser.parse_args()
    try:
        _run(VARIANTS[words.variant], words.action, read_deployment(words.dir))
    except WrongUsage as error:
        print(f"wrong usage: {error}", file=sys.stderr)
        return 2
    except Failed as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _run(variant: Variant, action: str, deployment: Deployment) -> None:
    with locked(deployment) as held, scratch(deployment) as files:
        programs = Programs(held)
        if action == "stop":
            variant.stop(deployment, variant.persistence, programs, files)
            print("stopped", flush=True)
            return
        start = Start(deployment, variant.persistence, variant.install, programs, files)
        for step in variant.steps:
            print(f"step: {step.__name__}", flush=True)
            step(start)
        print("ready", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
