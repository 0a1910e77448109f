"""Runs a command, keeps what it says, and takes its whole family along when it is cut short."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import HarnessError

_TAIL_LINES = 25


class CommandError(HarnessError):
    """A command failed.

    Args:
        command: its words.
        code: its exit code; negative is a signal's number.
        output: what it said, standard output first.
    """

    def __init__(self, command: Sequence[str], code: int, output: str) -> None:
        self.command, self.code, self.output = tuple(command), code, output
        tail = "\n".join(output.strip().splitlines()[-_TAIL_LINES:])
        super().__init__(f"`{' '.join(command[:8])}` ended with {code}:\n{tail}")


def run(
    command: Sequence[str],
    *,
    folder: Path | None = None,
    extra: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
) -> str:
    """Run to the end and return what it said on its standard output.

    Args:
        command: words.
        folder: where it runs.
        extra: environment variables over the caller's.
        timeout_seconds: after which it is killed with everything it started.

    Raises:
        CommandError: it failed, or took too long.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | dict(extra or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            said, complained = process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired as error:
            _end(process)
            told = "".join(process.communicate())
            raise CommandError(command, -signal.SIGKILL, f"{told}\nno end after {timeout_seconds:.0f} s") from error
        finally:
            _end(process)
    if process.returncode:
        raise CommandError(command, process.returncode, said + complained)
    return said


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
