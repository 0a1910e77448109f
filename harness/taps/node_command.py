"""``$AFTERFAULT_NODE``: how a tool under test switches machines on and off.

    $AFTERFAULT_NODE list
    $AFTERFAULT_NODE start NODE INITIAL_CLUSTER new|existing
    $AFTERFAULT_NODE stop NODE            orderly shutdown; data stays
    $AFTERFAULT_NODE destroy NODE         gone for good
    $AFTERFAULT_NODE wipe NODE            remove the data of a stopped node
    $AFTERFAULT_NODE restore NODE SNAPSHOT INITIAL_CLUSTER

Prints JSON. Exit codes: 0 done, 1 refused (the reason on stderr), 2 wrong usage. Standard library
only, and no import of the harness: it has to start at once and to run anywhere.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

_ARGUMENTS = {
    "list": (),
    "start": ("node", "initial_cluster", "initial_cluster_state"),
    "stop": ("node",),
    "destroy": ("node",),
    "wipe": ("node",),
    "restore": ("node", "snapshot", "initial_cluster"),
}


class NodeRefused(Exception):
    """The machine would not do it; the message says why."""


def ask(action: str, **arguments: str) -> Any:
    """Carry out one action on a machine.

    Raises:
        NodeRefused: it could not be done.
    """
    request = urllib.request.Request(
        os.environ["AFTERFAULT_NODE_URL"],
        data=json.dumps({"action": action, **arguments}).encode(),
        headers={"X-Afterfault-Token": os.environ["AFTERFAULT_NODE_TOKEN"]},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise NodeRefused(json.load(error)["error"]) from error


def main(words: list[str]) -> int:
    """The command line."""
    names = _ARGUMENTS.get(words[0]) if words else None
    if names is None or len(words) != len(names) + 1:
        sys.stderr.write(__doc__ or "")
        return 2
    try:
        answer = ask(words[0], **dict(zip(names, words[1:], strict=True)))
    except NodeRefused as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(answer, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
