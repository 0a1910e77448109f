"""A machine's own view of files and processes, for programs that know fixed paths; root is not needed.

A manager may look for etcd in ``/opt``, meet its peers in ``/tmp`` and write ``/etc/hosts``. In user, mount and
process namespaces of its own it finds other folders there, and the machine's own are not touched. What it starts
ends with it, whatever becomes of labels: an etcd whose manager gave it a fresh environment carries none.
Mounts are seen by nobody else and go with the last process. Source: unshare(1), user_namespaces(7), pid_namespaces(7).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.errors import MachineError

# Exit code of a box whose view could not be made; the program was not started then.
NO_VIEW = 125
_LOOK_SECONDS = 20
# Makes the view, starts the program, and lives as long as anything in the box does: it is the first process there.
_FIRST_PROCESS = f"""
while [ "$1" != -- ]; do mount --rbind "$1" "$2" || exit {NO_VIEW}; shift 2; done
shift
"$@" &
wait $!
code=$?
while kill -0 -1 2>/dev/null; do sleep 1; done
exit $code
"""
_USER = ("--user", "--map-root-user")
_BOX = ("--mount", "--pid", "--fork", "--kill-child")
# Settings that keep user namespaces from ordinary users, and what each has to be.
_SETTINGS = {
    "user.max_user_namespaces": ("0", "15000"),
    "kernel.unprivileged_userns_clone": ("0", "1"),
    "kernel.apparmor_restrict_unprivileged_userns": ("1", "0"),
}


@dataclass(frozen=True, slots=True)
class Box:
    """Namespaces for one start of a program.

    Args:
        binds: ``(what, where)`` pairs, bound in this order.
    """

    binds: tuple[tuple[Path, Path], ...]

    def command(self, command: Sequence[str]) -> tuple[str, ...]:
        """The command that runs another in the box: its first child is the box's first process.

        Raises:
            MachineError: namespaces can't be had here.
        """
        words = [str(path) for pair in self.binds for path in pair]
        return (*_unshare(), "sh", "-c", _FIRST_PROCESS, "box", *words, "--", *command)


def make_box(replaced: Mapping[Path, Path], kept: Sequence[Path]) -> Box:
    """A box in which some folders and files are replaced by others, and some below them are there all the same.

    Args:
        replaced: by what; both have to be there.
        kept: paths that the program must find where they are, as its data.

    Leaves behind: empty folders in what replaces, to bind to.
    """
    binds: list[tuple[Path, Path]] = []
    for hidden, instead in replaced.items():
        for path in _outermost(kept, hidden):
            place = instead / path.relative_to(hidden)
            place.mkdir(parents=True, exist_ok=True)
            binds.append((path, place))
    return Box((*binds, *((instead, hidden) for hidden, instead in replaced.items())))


def require_namespaces() -> None:
    """Make sure boxes can be had.

    Raises:
        MachineError: they can't; says what mends it.
    """
    _unshare()


@cache
def _unshare() -> tuple[str, ...]:
    unshare = shutil.which("unshare")
    if unshare is None or shutil.which("mount") is None:
        raise MachineError("managers need namespaces of their own, and unshare or mount is not on PATH", mend=_INSTALL)
    said = ""
    # root may have namespaces without a user namespace where those are switched off
    for way in (_USER, ())[: 2 if os.geteuid() == 0 else 1]:
        said = _try_way((unshare, *way, *_BOX))
        if not said:
            return (unshare, *way, *_BOX)
    raise MachineError(f"managers need namespaces of their own, and there are none here: {said}", mend=_mend())


_INSTALL = "install util-linux and mount"


def _try_way(words: tuple[str, ...]) -> str:
    """Why there is no box this way; empty where there is one."""
    command = (*words, "sh", "-c", "mount --rbind / /")
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_LOOK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]


def _mend() -> str:
    for name, (off, on) in _SETTINGS.items():
        file = Path("/proc/sys") / name.replace(".", "/")
        if file.exists() and file.read_text().strip() == off:
            return f"sudo sysctl {name}={on}"
    return "run as root, or in a container with --privileged (or --security-opt seccomp=unconfined)"


def _outermost(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Those below the folder, without those that lie below another."""
    inside = [path for path in paths if folder in path.parents]
    return [path for path in inside if not set(path.parents) & set(inside)]
