"""A program of ours in a session of its own, and what it wrote down."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def start_logged(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start it; it reads nothing, and works in the log's folder.

    Args:
        log: gets what it prints, at the end of what is there; its folder is there.
        environment: all of it.

    Raises:
        OSError: it can't be started.

    Leaves behind: the process.
    """
    with log.open("ab") as sink:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd=log.parent,
            env=dict(environment),
            start_new_session=True,
        )


def last_lines(log: Path, lines: int = 12) -> str:
    """The end of a log; an empty string where there is none yet."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
