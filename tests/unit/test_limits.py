"""Ctrl-C of our own, when a run's time is up: also where the terminal's is ignored, as in a script's background job."""

import subprocess
import sys

import pytest

RUN = """
import threading
from harness.plugin import limits
limits.heed_sigterm()
threading.Timer(0.2, limits.interrupt).start()
try:
    threading.Event().wait(60)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("trap", ["", 'trap "" INT; '])
def test_a_run_whose_time_is_up_is_interrupted(trap):
    command = ["/bin/sh", "-c", f'{trap}exec "$@"', "sh", sys.executable, "-c", RUN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


def test_who_ignores_sigterm_does_not_heed_it():
    code = "import os, signal; from harness.plugin import limits; limits.heed_sigterm(); os.kill(os.getpid(), 15)"
    command = ["/bin/sh", "-c", 'trap "" TERM; exec "$@"', "sh", sys.executable, "-c", code]
    assert subprocess.run(command, timeout=50, check=False).returncode == 0
