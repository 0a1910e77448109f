"""One leg's pytest as a process: watched, stopped as Ctrl-C stops it, and only then killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from harness.errors import MachineError, WaitTimeout
from harness.waiting import SYSTEM_CLOCK, Clock, until

# After Ctrl-C a run removes its clusters and writes its report.
CLEAN_UP_SECONDS = 120.0
ROOT = Path(__file__).parents[2]
TIME_UP = "its share of the time was up"


class Stop:
    """Whether somebody asked the night to end: Ctrl-C, or SIGTERM as a CI job sends it.

    A context manager: signals are caught inside, and as they were before outside.
    """

    def __init__(self) -> None:
        self.why = ""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stop:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.why = self.why or signal.Signals(number).name


@dataclass(frozen=True, slots=True)
class Ended:
    """How a leg's process ended.

    Args:
        exit_code: pytest's; below 0 a signal's number.
        seconds: how long it ran.
        cut: why it was stopped; empty if it ended by itself.
        killed: whether it had to be killed: it did not end when it was asked to.
    """

    exit_code: int
    seconds: float
    cut: str = ""
    killed: bool = False


def play(command: Sequence[str], log: Path, seconds: float, stop: Stop, clock: Clock = SYSTEM_CLOCK) -> Ended:
    """Run a leg to its end, or to the end of its share, or until the night is to stop.

    Args:
        command: pytest's, with its words.
        log: takes what it says.
        seconds: its share.
        stop: looked at while it runs.
        clock: where time comes from.

    Raises:
        MachineError: it can't be started.

    Leaves behind: its run folder; whatever a killed one had is removed by its reaper.
    """
    began = clock.monotonic()
    try:
        with log.open("wb") as out:
            # a session of its own: Ctrl-C at the terminal is told to the night, which passes it on once
            process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
    except OSError as error:
        raise MachineError(f"{command[0]} can't be started: {error.strerror}") from error
    with process:
        cut = _watched(process, seconds, stop, clock)
        killed = bool(cut) and not _interrupted(process, clock)
        code = process.wait()
    return Ended(code, round(clock.monotonic() - began, 1), cut, killed)


def _watched(process: subprocess.Popen[bytes], seconds: float, stop: Stop, clock: Clock) -> str:
    """Why it has to be stopped; empty when it ended by itself."""
    try:
        until(
            lambda: process.poll() is not None or stop.why,
            what="the leg to end",
            deadline_seconds=seconds,
            every_seconds=0.2,
            clock=clock,
        )
    except WaitTimeout:
        return TIME_UP
    return "" if process.poll() is not None else stop.why


def _interrupted(process: subprocess.Popen[bytes], clock: Clock) -> bool:
    """Ctrl-C for pytest and its workers, and the time to clean up; whether it ended of it. Else it is killed."""
    _signal(process, signal.SIGINT)
    try:
        until(
            lambda: process.poll() is not None,
            what="the leg to clean up",
            deadline_seconds=CLEAN_UP_SECONDS,
            every_seconds=0.2,
            clock=clock,
        )
    except WaitTimeout:
        _signal(process, signal.SIGKILL)
        return False
    return True


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """What a run starts besides its workers is in sessions of its own, and hears nothing of it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
