"""The command tap: ``kind``, ``docker`` and ``kubectl`` on a tool's PATH are ours.

A folder with a launcher for each program goes first on the tool's PATH. What a launcher starts
(`harness.taps.command_shim`) asks the tap over a socket; the real program then runs as its child, in the
tool's own process group and on the tool's own terminal, stdin and output. Each call passes the gate before
it is made and before the tool learns how it went, is decided upon by the rules for its program, and is
written to the journal:

    tap.command   call, argv (secrets masked), changed (words that are not the tool's), exit_code (negative:
                  a signal; None: there is none), began, ended (journal seconds), outcome, why
    tap.refused   call, thing, why: something that is not the run's would have been changed
    tap.trouble   call, why: the harness itself failed; nothing about the tool

Outcomes: ``ran``, ``answered`` and ``refused`` (nothing was run), ``dropped-before`` and ``dropped-after`` (by the
gate), ``cut`` (the tool, or its call, was killed meanwhile), ``trouble``.

The real kind finds the real docker: its own calls are neither recorded nor slowed down. A script that the
tool runs, and a plugin of docker's or kubectl's, finds the tap.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import socket
import stat
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from harness.clusters.ownership import Ownership
from harness.errors import HarnessError, JournalWriteError
from harness.journal import Journal
from harness.taps import command_shim
from harness.taps.command_call import DOCKER, KIND, KUBECTL, Course, Hooks, call_from
from harness.taps.command_rules import Decision, Pass, World
from harness.taps.command_shim import Line, TapGoneError
from harness.taps.command_words import Call
from harness.taps.docker_rules import DockerRules
from harness.taps.gate import Gate, OpenGate
from harness.taps.kind_rules import KindRules

__all__ = ["DOCKER", "KIND", "KUBECTL", "CommandTap", "Hooks"]

_SOCKET = "tap.sock"
_BACKLOG = 64
# A look at a cluster that is going to be deleted takes its time, also when the tool is gone meanwhile.
_END_SECONDS = 30.0
_OPEN = OpenGate()
_NO_HOOKS = Hooks()


class CommandTap:
    """Sits between a tool and the programs it calls.

    Args:
        work: folder for launchers and the socket; made here.
        programs: the real ones by name: ``kind``, ``docker``, ``kubectl``; what is missing is not tapped.
        world: the engine, `harness.taps.engine_view.EngineView`.
        ownership: whose the tool's things are: labels, network, engine.
        journal: where calls go.
        gate: asked before and after each call.
        hooks: what the harness does around calls.
        node_image: what kind clusters are made of unless the tool names an image that the engine has.

    Leaves behind: a thread and a socket, until `close`; the folder goes with the run.
    """

    def __init__(  # noqa: PLR0917 - each has a name
        self,
        work: Path,
        programs: Mapping[str, Path],
        world: World,
        ownership: Ownership,
        journal: Journal,
        gate: Gate = _OPEN,
        hooks: Hooks = _NO_HOOKS,
        *,
        node_image: str = "",
    ) -> None:
        self.world, self.journal, self.gate, self.hooks = world, journal, gate, hooks
        self._work, self._ownership, self._programs = work.resolve(), ownership, dict(programs)
        self._kind = KindRules(world, node_image)
        self._docker = DockerRules(world, ownership.labels, hooks.image_missing)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._closed = False
        self._lay_out()
        self._door = self._listen()
        self._porter = threading.Thread(target=self._serve, name="command-tap", daemon=True)
        self._porter.start()

    @property
    def folder(self) -> Path:
        """The launchers'; to be put first on the tool's PATH."""
        return self._work / "bin"

    def environment(self) -> dict[str, str]:
        """What a tool needs: a PATH with the tap in front."""
        path = self._ownership.environment().get("PATH", os.defpath)
        return {"PATH": f"{self.folder}{os.pathsep}{path}"}

    def make_nodes_of(self, image: str) -> None:
        """From now on kind clusters are made of another image."""
        self._kind = KindRules(self.world, image, retired=self._kind.node_image)

    def close(self) -> None:
        """Stop serving. A call that still waits ends with 125, and is written down as cut.

        Raises:
            HarnessError: a hook or the gate does not let go of a call.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            courses = dict(self._open)
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._porter.join(_END_SECONDS)
        self._door.close()
        for stream in courses.values():
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
        for thread in courses:
            thread.join(_END_SECONDS)
        if any(thread.is_alive() for thread in courses):
            raise HarnessError("a call of the tool is still held by a hook or by the gate of the command tap")

    def decide(self, call: Call, config: str) -> Decision:
        """What becomes of a call."""
        if call.program == KIND:
            return self._kind.decide(call, config)
        return self._docker.decide(call) if call.program == DOCKER else Pass(call.words)

    def program(self, name: str) -> Path:
        """The real one."""
        return self._programs[name]

    def environment_of(self, call: Call) -> dict[str, str]:
        """The tool's own environment, but for what leads to another engine and another network."""
        given = dict(call.environment)
        if call.program == KUBECTL:
            return given
        self._ownership.labels()
        owned = self._ownership.environment()
        for name in ("DOCKER_CONTEXT", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
            given.pop(name, None)
        given |= {name: owned[name] for name in owned if name.startswith(("DOCKER_", "AFTERFAULT_"))}
        if call.program == KIND:
            others = [part for part in given.get("PATH", os.defpath).split(os.pathsep) if Path(part) != self.folder]
            given |= {
                "KIND_EXPERIMENTAL_DOCKER_NETWORK": self._ownership.network(),
                "TMPDIR": str(self._work / "tmp"),  # where it unpacks images to load
                "PATH": os.pathsep.join([str(self._real), *others]),
            }
            # told outright, kind says so on stderr each time; by itself it takes the docker it finds here
            given |= {"KIND_EXPERIMENTAL_PROVIDER": "docker"} if "KIND_EXPERIMENTAL_PROVIDER" in given else {}
        return given

    def note_volumes(self) -> None:
        """Containers may have been made, and their disks carry no label."""
        self._ownership.note_volumes()

    def scratch(self) -> Path:
        """A file that does not exist yet."""
        return self._work / "tmp" / f"stdin-{next(self._numbers)}"

    @property
    def _real(self) -> Path:
        """The real programs under their names, for kind to find."""
        return self._work / "real"

    def _lay_out(self) -> None:
        for folder in (self.folder, self._real, self._work / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        for name, program in self._programs.items():
            (self._real / name).symlink_to(program.absolute())
            launcher = self.folder / name
            words = shlex.join([sys.executable, "-I", "-S", command_shim.__file__, str(self._work / _SOCKET), name])
            launcher.write_text(f'#!/bin/sh\nexec {words} "${{LC_CTYPE+set}}" "$@"\n')
            launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)

    def _listen(self) -> socket.socket:
        door = socket.socket(socket.AF_UNIX)
        # by way of the folder: a socket's own path may have a hundred bytes only
        handle = os.open(self._work, os.O_PATH | os.O_DIRECTORY)
        try:
            door.bind(f"/proc/self/fd/{handle}/{_SOCKET}")
            (self._work / _SOCKET).chmod(stat.S_IRUSR | stat.S_IWUSR)
            door.listen(_BACKLOG)
        except OSError:
            door.close()
            raise
        finally:
            os.close(handle)
        return door

    def _serve(self) -> None:
        while True:
            try:
                stream, _ = self._door.accept()
            except OSError:
                return  # closed
            thread = threading.Thread(target=self._attend, args=(stream,), name="command-tap-call", daemon=True)
            with self._lock:
                if self._closed:
                    stream.close()
                    return
                self._open[thread] = stream
                thread.start()

    def _attend(self, stream: socket.socket) -> None:
        """One call; the tool may be killed at any point of it, and the tap closed."""
        try:
            with stream, contextlib.suppress(TapGoneError):
                line = Line(stream)
                Course(call_from(line.hear()), line, self).play()
        except JournalWriteError:
            if not self._closed:
                raise
        finally:
            with self._lock:
                self._open.pop(threading.current_thread(), None)
