"""The one family of errors, and the exit code each of them ends a run with.

Exit codes are part of the interface (see docs/read-a-report.md): 0 all as expected, 1 a guarantee
broken or a known defect changed, 2 wrong usage, 3 inconclusive or harness error, 4 this machine
can't run it.
"""

from __future__ import annotations


class HarnessError(Exception):
    """Something the harness could not do; never a statement about the tool under test.

    Args:
        message: what happened, in one sentence.
        mend: the command or the change that mends it, when there is one.
    """

    exit_code = 3

    def __init__(self, message: str, *, mend: str = "") -> None:
        self.mend = mend
        super().__init__(f"{message}\n  mend: {mend}" if mend else message)


class UsageError(HarnessError):
    """The words of a call are off: a bad option, a file that is not what it should be."""

    exit_code = 2


class JournalError(UsageError):
    """A journal that cannot be trusted: cut, edited, or not a journal.

    Args:
        path: the journal.
        line: the first line that is wrong, counted from 1.
        why: what is wrong with it.
    """

    def __init__(self, path: str, line: int, why: str) -> None:
        self.path, self.line, self.why = path, line, why
        super().__init__(f"{path}:{line}: {why}", mend="use an untouched copy of the run folder")


class MachineError(HarnessError):
    """It can't be run on this machine: a binary, a port, memory or disk is missing."""

    exit_code = 4


class JournalWriteError(MachineError):
    """The journal could not be written (most often: the disk is full)."""


class ClusterError(HarnessError):
    """The cluster could not be built or changed.

    Args:
        message: what happened.
        log_tail: the last lines of the log that tell why, if there is one.
    """

    def __init__(self, message: str, *, log_tail: str = "", mend: str = "") -> None:
        self.log_tail = log_tail
        super().__init__(f"{message}\n{log_tail}" if log_tail else message, mend=mend)


class NotInTime(ClusterError):
    """A node lives and did not come so far in its time: a slow machine, or it never will. Nobody knows which."""


class WaitTimeout(HarnessError):
    """A probe did not come true before its deadline.

    Args:
        what: what was waited for.
        waited_seconds: how long.
        last: the last observation.
    """

    def __init__(self, what: str, waited_seconds: float, last: object) -> None:
        self.what, self.waited_seconds, self.last = what, waited_seconds, last
        super().__init__(f"waited {waited_seconds:.1f} s for {what}; last seen: {last}")


class FaultError(HarnessError):
    """A fault can't be injected here; told before anything is broken."""


class LeftoverError(HarnessError):
    """Clean-up could not remove something; raised after the report is saved.

    Args:
        leftovers: one sentence for each thing left behind.
    """

    def __init__(self, leftovers: list[str]) -> None:
        self.leftovers = leftovers
        super().__init__("clean-up left behind: " + "; ".join(leftovers), mend="afterfault gc")
