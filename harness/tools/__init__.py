"""Runs the tool under test: one call, one process group, one deadline.

What a tool gets and what its exit code means is the same for every tool and documented in
docs/your-own-tool.md; the reference tools keep to it too.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from harness.clusters.ownership import Ownership
from harness.errors import UsageError
from harness.journal import Journal
from harness.spec import REFERENCE, Target
from harness.waiting import SYSTEM_CLOCK, Clock

REPLACE_NODE = "replace-node"
RECOVER_QUORUM = "recover-quorum"
REPLACE_CONTROL_PLANE = "replace-control-plane"
RECOVER_CONTROL_PLANE = "recover-control-plane"
_TAIL_BYTES = 4000


@dataclass(frozen=True, slots=True)
class Task:
    """What a tool is asked to do.

    Args:
        name: one of the names above.
        environment: the task's own variables; docs/your-own-tool.md lists them.
        old, new: node names, for a replacement.
    """

    name: str
    environment: dict[str, str] = field(default_factory=dict)
    old: str = ""
    new: str = ""

    @property
    def recovers(self) -> bool:
        """Whether a broken cluster is to be brought back; else a node is to be replaced."""
        return self.name in (RECOVER_QUORUM, RECOVER_CONTROL_PLANE)


@dataclass(frozen=True, slots=True)
class ToolRun:
    """How one call of a tool went.

    Args:
        outcome: ``exited``, ``signalled`` (it died of a signal), ``timed_out`` (it was killed at
            its deadline) or ``not_started``.
        exit_code: as a shell would give it; None when there is none.
        seconds: how long it took.
        output: file with everything it printed, bytes as they came.
    """

    outcome: str
    exit_code: int | None
    seconds: float
    output: Path


@dataclass(frozen=True, slots=True)
class DeployTool:
    """A tool under test, as a command.

    Args:
        target: its name in reports.
        command: program and arguments.
        timeout_seconds: after which its whole process group is killed.
    """

    target: Target
    command: tuple[str, ...]
    timeout_seconds: float = 60.0

    def run(
        self, task: Task, ownership: Ownership, journal: Journal, output: Path, clock: Clock = SYSTEM_CLOCK
    ) -> ToolRun:
        """Call the tool once and wait for its end; never raises for what the tool does.

        Args:
            task: what to do.
            ownership: whose process it is.
            journal: gets ``tool.started`` and ``tool.ended``.
            output: file for what it prints.
            clock: where time comes from.

        Leaves behind: nothing of its process group after a timeout; children that the tool
            itself detached are left to the run's reaper.
        """
        journal.append(
            "tool.started",
            tool=self.target.label,
            task=task.name,
            old=task.old,
            new=task.new,
            argv=[Path(self.command[0]).name, *self.command[1:]],
            timeout_seconds=self.timeout_seconds,
        )
        started = clock.monotonic()
        output.parent.mkdir(parents=True, exist_ok=True)
        outcome, code = self._call(task, ownership, output)
        run = ToolRun(outcome, code, round(clock.monotonic() - started, 3), output)
        journal.append(
            "tool.ended",
            task=task.name,
            old=task.old,
            new=task.new,
            outcome=outcome,
            exit_code=code,
            seconds=run.seconds,
            output=_tail(output),
            output_path=output.name,
        )
        return run

    def _call(self, task: Task, ownership: Ownership, output: Path) -> tuple[str, int | None]:
        with output.open("wb") as sink:
            try:
                process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    env=ownership.environment(AFTERFAULT_TASK=task.name, **task.environment),
                    start_new_session=True,
                )
            except OSError as error:
                sink.write(f"cannot start {self.command[0]}: {error.strerror}\n".encode())
                return "not_started", None
            try:
                code = process.wait(self.timeout_seconds)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return "timed_out", None
        return ("signalled", 128 - code) if code < 0 else ("exited", code)


def replace_command(command: str, timeout_seconds: float, option: str = "--replace-command") -> DeployTool:
    """The user's own procedure, from ``--replace-command`` or its like for control planes.

    Raises:
        UsageError: it is empty, not there, or not executable, or has no time; told before anything is started.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{option} {command!r}: {error}") from error
    if not timeout_seconds > 0:  # nan is not above 0 either
        raise UsageError(f"--replace-timeout {timeout_seconds} is not above 0")
    if not words:
        raise UsageError(f"{option} is empty", mend="give a program, with its arguments in one string")
    program = shutil.which(words[0])
    if program is None:
        raise UsageError(f"{option}: {_why_not(words[0])}", mend=_mend(words[0]))
    return DeployTool(Target(option.removeprefix("--"), Path(words[0]).name), (program, *words[1:]), timeout_seconds)


def reference_tool(variant: str, timeout_seconds: float = 60.0) -> DeployTool:
    """Our own small procedure, with the strategy or defect of that name."""
    command = (sys.executable, "-m", "harness.tools.reference", variant)
    return DeployTool(Target(REFERENCE, variant), command, timeout_seconds)


def _why_not(program: str) -> str:
    path = Path(program)
    if path.is_dir():
        return f"{program} is a folder"
    return f"{program} is not executable" if path.exists() else f"{program} is not there"


def _mend(program: str) -> str:
    return f"chmod +x {program}" if Path(program).is_file() else "give the path of your command"


def _tail(output: Path) -> str:
    """The end of what was printed, any bytes made readable."""
    raw = output.read_bytes()[-_TAIL_BYTES:]
    text = raw.decode("utf-8", errors="backslashreplace")
    return "".join(char if char.isprintable() or char in "\n\t" else f"\\x{ord(char):02x}" for char in text)
