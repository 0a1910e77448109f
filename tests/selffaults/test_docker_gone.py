"""A Docker engine that is gone in the middle of a case: the run is not told apart from a tool that fails, unless asked.

The engine of this machine is everybody's and stays as it is. The run reaches it through a socket of ours, and that
is what goes: for the run no engine answers any more. When it is back, ``afterfault gc`` removes what nobody could.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading

import pytest

from harness.clusters.docker_engine import open_engine
from harness.clusters.lease import RUN_LABEL
from tests.kind.needs import kind_needed
from tests.selffaults.victim import ROOT, Victim

pytestmark = [pytest.mark.kind, pytest.mark.slow]
ENGINE = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
STORY = "scenarios/persisted_etcd/test_stop_and_start.py"
CASE = "stop_and_start/faithful/kind-1-text"


class Door:
    """A socket that leads to the engine until it is shut."""

    def __init__(self, path):
        self.path, self._open = path, []
        self.open()

    def open(self):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self):
        self.path.unlink()
        for one in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self, listener):
        with contextlib.suppress(OSError):  # it was shut
            while True:
                client, engine = listener.accept()[0], socket.socket(socket.AF_UNIX)
                engine.connect(ENGINE)
                self._open += [client, engine]
                for pair in ((client, engine), (engine, client)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source, sink):
        with contextlib.suppress(OSError):
            while told := source.recv(65536):
                sink.sendall(told)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("step", ["start", "stop"])
def test_an_engine_that_is_gone(tmp_path, pytestconfig, judge, step):
    with kind_needed(pytestconfig):
        engine = open_engine()
    door = Door(tmp_path / "engine.sock")
    own = {"DOCKER_HOST": f"unix://{door.path}"}
    with contextlib.closing(engine), Victim(tmp_path / "run", ("-p", "no:xdist"), (), own, STORY, CASE) as victim:
        victim.await_step(f"faithful: {step}")
        door.shut()
        victim.await_end()
        door.open()
        gc = [sys.executable, "-c", "from harness.cli import main; main()", "gc", "--run", str(victim.run)]
        told = subprocess.run(gc, cwd=ROOT, env=os.environ | own, capture_output=True, text=True, check=False)
        ended = victim.end()
        ours = [one for one in engine.api.containers(all=True) if is_of(one, victim.run)]
        door.shut()
    assert told.returncode == 0, told.stderr
    assert ours == []
    judge(
        "the Docker engine is gone",
        f"while the tool's {step} goes on",
        ended,
        {3, 4},
        r"[Nn]o Docker engine|does not answer",
    )


def is_of(container, run):
    return container["Labels"].get(RUN_LABEL, "").startswith(run.name)
