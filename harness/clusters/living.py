"""Whether a process lives: one that has ended stays listed until its parent has asked how, which may be never."""

from __future__ import annotations

import psutil


def lives(process: psutil.Process) -> bool:
    """Whether this very process runs still; one that has ended and was not reaped yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def living(pid: int) -> psutil.Process | None:
    """The process that has this number and runs, if there is one."""
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None
    return process if lives(process) else None


def pid_lives(pid: int) -> bool:
    """Whether a process has this number and runs."""
    return living(pid) is not None
