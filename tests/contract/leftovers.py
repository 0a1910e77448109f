"""What a run left on this machine, looked for by the run's folder, and not by the labels that the reaper looks for.

Every process of a run has the folder among its words, its variables or as the folder it works in.
"""

import contextlib
import os
from pathlib import Path

import psutil

from harness.clusters.ownership import cache_folder
from harness.run_folder import RunFolder


def processes_of(run):
    """The living processes that have to do with a run's folder, this one left out."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = [*process.cmdline(), process.cwd(), *process.environ().values()]
            if process.pid != os.getpid() and any(str(run) in word for word in words):
                found.append(process)
    return found


def left_of(run):
    """Everything of it there is beside what it reports, a phrase each."""
    told = []
    for process in processes_of(run):
        with contextlib.suppress(psutil.Error):
            told.append(f"process {process.name()}")
    told += [f"mount {line.split()[1]}" for line in Path("/proc/mounts").read_text().splitlines() if str(run) in line]
    # the run's own folder stays, and may have an empty one in it where a run that ends by itself has none
    told += [f"folder {path.name}" for path in (run / "work").glob("*")]
    label = RunFolder(run).label("")
    return told + [f"lease {file.name}" for file in (cache_folder() / "leases").glob(f"{label}*")]
