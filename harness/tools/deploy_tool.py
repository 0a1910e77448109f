"""A tool under test, as a command: one call, one process group, one deadline.

What a tool gets and what its exit code means is the same for every tool and documented in
docs/your-own-tool.md; the reference tools keep to it too.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from harness.clusters.ownership import Ownership
from harness.cuts import Cut
from harness.errors import UsageError
from harness.journal import Journal
from harness.spec import REFERENCE, Target
from harness.tools.cutting import Cutter
from harness.waiting import SYSTEM_CLOCK, Clock

REPLACE_NODE = "replace-node"
RECOVER_QUORUM = "recover-quorum"
REPLACE_CONTROL_PLANE = "replace-control-plane"
RECOVER_CONTROL_PLANE = "recover-control-plane"
RECOVER_MANAGED = "recover-managed"
MANAGE = "manage"
DEPLOY = "deploy"
_TAIL_BYTES = 4000
_LOOKED_THROUGH = 2**20


@dataclass(frozen=True, slots=True)
class Task:
    """What a tool is asked to do.

    Args:
        name: one of the names above.
        environment: the task's own variables; docs/your-own-tool.md lists them.
        old, new: node names, for a replacement.
        command: program and arguments of this very task; empty where the tool's own says all.
        cut: where this call is to be cut, and by what.
        cutter: who cuts it; the taps ask it.
    """

    name: str
    environment: dict[str, str] = field(default_factory=dict)
    old: str = ""
    new: str = ""
    command: tuple[str, ...] = ()
    cut: Cut | None = None
    cutter: Cutter | None = None

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

    @property
    def is_done(self) -> bool:
        """Whether it said so: it ended by itself, with 0."""
        return (self.outcome, self.exit_code) == ("exited", 0)


@dataclass(frozen=True, slots=True)
class DeployTool:
    """A tool under test, as a command.

    Args:
        target: its name in reports.
        command: program and arguments.
        timeout_seconds: after which its whole process group is killed.
        loss: how it says that something is lost: a regular expression over lines, with one group.
    """

    target: Target
    command: tuple[str, ...]
    timeout_seconds: float = 60.0
    loss: str = ""

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
        command = task.command or self.command
        journal.append(
            "tool.started",
            tool=self.target.label,
            task=task.name,
            old=task.old,
            new=task.new,
            argv=[Path(command[0]).name, *command[1:]],
            timeout_seconds=self.timeout_seconds,
            **({"cut": task.cut.id} if task.cut else {}),
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
            announced=self._announced(output),
        )
        return run

    def _call(self, task: Task, ownership: Ownership, output: Path) -> tuple[str, int | None]:
        command = task.command or self.command
        with output.open("wb") as sink:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    env=ownership.environment(AFTERFAULT_TASK=task.name, **task.environment),
                    start_new_session=True,
                )
            except OSError as error:
                sink.write(f"cannot start {command[0]}: {error.strerror}\n".encode())
                return "not_started", None
            if task.cutter:
                task.cutter.begin(task.cut, process)
            try:
                code = process.wait(self.timeout_seconds)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return "timed_out", None
            finally:
                if task.cutter:
                    task.cutter.end()
        return ("signalled", 128 - code) if code < 0 else ("exited", code)

    def _announced(self, output: Path) -> list[str]:
        """What it said is lost, each as ``namespace/name`` or ``*``; looked for in the first and the last MiB."""
        if not self.loss:
            return []
        with output.open("rb") as told:
            text = told.read(_LOOKED_THROUGH)
            told.seek(max(len(text), output.stat().st_size - _LOOKED_THROUGH))
            text += told.read(_LOOKED_THROUGH)
        return sorted(set(re.findall(self.loss, text.decode(errors="replace"), re.MULTILINE)))


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
    with output.open("rb") as told:  # may be a hundred megabytes
        told.seek(max(0, output.stat().st_size - _TAIL_BYTES))
        raw = told.read()
    text = raw.decode("utf-8", errors="backslashreplace")
    return "".join(char if char.isprintable() or char in "\n\t" else f"\\x{ord(char):02x}" for char in text)
