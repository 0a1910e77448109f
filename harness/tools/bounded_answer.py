"""Asking a program we know nothing of: bounded in time and in bytes, and nothing of it is left running."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.errors import MachineError
from harness.waiting import SYSTEM_CLOCK, Clock

MOST_BYTES = 256 * 1024
_CHUNK = 65536
# Escape sequences of terminals: colours, and titles of windows.
_ESCAPES = re.compile(rb"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)")


@dataclass(frozen=True, slots=True)
class Answer:
    """How a short call went.

    Args:
        exit_code: None when it was killed: it went on for too long, or said too much.
        text: what it printed on both streams, without escapes and control characters.
        flaw: why it was killed; empty when it was not.
    """

    exit_code: int | None
    text: str
    flaw: str = ""

    @property
    def first_words(self) -> str:
        """A glimpse for an error message."""
        return " ".join(self.text.split())[:120]

    @property
    def last_lines(self) -> str:
        """What is most worth reading of a call that failed."""
        return "\n".join(self.text.strip().splitlines()[-12:])


def ask(
    words: Sequence[str], environment: Mapping[str, str], seconds: float, *, cwd: str = "/", clock: Clock = SYSTEM_CLOCK
) -> Answer:
    """Call a program, read at most `MOST_BYTES` of what it prints, and wait for its end.

    Args:
        words: the program and its arguments.
        environment: the whole of it.
        seconds: after which its process group is killed.
        cwd: working folder.
        clock: where time comes from.

    Raises:
        MachineError: the program can't be started here.

    Leaves behind: nothing of its process group.
    """
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=dict(environment), cwd=cwd, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise MachineError(f"{words[0]} can't be started: {error.strerror}", mend=_mend(error)) from error
    assert process.stdout is not None
    deadline = clock.monotonic() + seconds
    with process.stdout as pipe:
        raw, flaw = _read(pipe.fileno(), deadline, seconds, clock)
        if not flaw:
            try:
                process.wait(max(0.1, deadline - clock.monotonic()))
            except subprocess.TimeoutExpired:
                flaw = f"did not end within {seconds:g} s"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    return Answer(None if flaw else (code if code >= 0 else 128 - code), readable(raw), flaw)


def readable(raw: bytes) -> str:
    """Any bytes as text for people: no escapes, no control characters but line ends and tabs."""
    text = _ESCAPES.sub(b"", raw).decode(errors="replace").replace("\r\n", "\n")
    return "".join(char for char in text if char.isprintable() or char in "\n\t")


def _read(pipe: int, deadline: float, seconds: float, clock: Clock) -> tuple[bytes, str]:
    raw = bytearray()
    while (left := deadline - clock.monotonic()) > 0:
        if not select.select([pipe], [], [], left)[0]:
            break
        chunk = os.read(pipe, _CHUNK)
        if not chunk:
            return bytes(raw), ""
        raw += chunk
        if len(raw) > MOST_BYTES:
            return bytes(raw[:MOST_BYTES]), f"printed more than {MOST_BYTES // 1024} KiB"
    return bytes(raw), f"did not end within {seconds:g} s"


def _mend(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "its first line names an interpreter that is not there: install the tool anew on this machine"
    return "install the tool anew on this machine"
