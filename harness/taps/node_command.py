"""``$AFTERFAULT_NODE``: how a tool under test switches machines on and off.

    $AFTERFAULT_NODE list
    $AFTERFAULT_NODE stop NODE            orderly shutdown; data stays
    $AFTERFAULT_NODE destroy NODE         gone for good
    $AFTERFAULT_NODE wipe NODE            remove its data (etcd: the node has to be stopped)

Where a node is an etcd process:

    $AFTERFAULT_NODE start NODE INITIAL_CLUSTER new|existing
    $AFTERFAULT_NODE restore NODE SNAPSHOT INITIAL_CLUSTER

Where a node is a machine of a Kubernetes cluster:

    $AFTERFAULT_NODE boot NODE            switch it on
    $AFTERFAULT_NODE exec NODE WORD...    run a command on it, as root
    $AFTERFAULT_NODE fetch NODE PATH FILE copy a file from it
    $AFTERFAULT_NODE send NODE FILE PATH  copy a file to it

Prints JSON; ``exec`` prints what the command printed. Exit codes: 0 done, 1 refused (the reason on
stderr), 2 wrong usage; ``exec`` ends with the command's own. Standard library
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
    "boot": ("node",),
    "exec": ("node", "words"),
    "fetch": ("node", "path", "file"),
    "send": ("node", "file", "path"),
}


class NodeRefused(Exception):
    """The machine would not do it; the message says why."""


def ask(action: str, **arguments: str | list[str]) -> Any:
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
        with opener.open(request, timeout=400) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise NodeRefused(json.load(error)["error"]) from error


def main(words: list[str]) -> int:
    """The command line."""
    names = _ARGUMENTS.get(words[0]) if words else None
    given: list[str | list[str]] = [*words[1:2], words[2:]] if words[:1] == ["exec"] else [*words[1:]]
    if names is None or len(given) != len(names) or [] in given:
        sys.stderr.write(__doc__ or "")
        return 2
    try:
        answer = ask(words[0], **dict(zip(names, given, strict=True)))
    except NodeRefused as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if words[0] == "exec":
        sys.stdout.write(answer["stdout"])
        sys.stderr.write(answer["stderr"])
        return int(answer["exit_code"])
    sys.stdout.write(json.dumps(answer, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
