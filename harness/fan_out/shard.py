"""What a pod does: play one shard, pack its run folder, and stay until that was fetched.

    python3 -m harness.fan_out.shard --until 1795316400 --shards 4 -- PYTEST-OPTION...

Which shard it is says JOB_COMPLETION_INDEX, which Kubernetes sets in the pods of an Indexed Job.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from harness.errors import WaitTimeout
from harness.run_folder import RunFolder
from harness.waiting import until

WORK = Path("/work")
DURATIONS = Path("/etc/afterfault/durations")
# The run folder, packed; what it came to; and the other side's word that it has it.
PACKED, DONE, FETCHED = WORK / "run.tar.gz", WORK / "done", WORK / "fetched"
PATIENCE_SECONDS = 600.0
_INDEX = "JOB_COMPLETION_INDEX"
# Of the time there is, left for interrupting what still runs (five minutes, see --minutes) and for packing.
_LAST_MINUTES = 6.0
_LEAST_MINUTES = 0.5


def main(words: Sequence[str]) -> int:
    """Play, pack, wait; the exit code says whether the folder was fetched, never what is in it.

    Leaves behind: `PACKED` and `DONE`, until the pod goes.
    """
    parser = ArgumentParser()
    parser.add_argument("--until", type=float, required=True)
    parser.add_argument("--shards", type=int, required=True)
    parser.add_argument("options", nargs="*")
    asked = parser.parse_args(words)
    folder = RunFolder(WORK / "run")
    minutes = max(_LEAST_MINUTES, (asked.until - datetime.now(UTC).timestamp()) / 60 - _LAST_MINUTES)
    known = ["--shard-durations", str(DURATIONS)] if DURATIONS.exists() and DURATIONS.stat().st_size else []
    ours = ["-p", "no:cacheprovider", "--minutes", f"{minutes:.1f}", *known]
    part = ["--shard-index", os.environ[_INDEX], "--shard-count", str(asked.shards), "--run-dir", str(folder.path)]
    code = _play([sys.executable, "-m", "pytest", "scenarios", *ours, *asked.options, *part])
    _pack(folder, code)
    try:
        until(FETCHED.exists, what="the run folder to be fetched", deadline_seconds=PATIENCE_SECONDS, every_seconds=0.5)
    except WaitTimeout as error:
        print(error)  # noqa: T201 - a pod's log is where its words go
        return 1
    return 0


def _play(command: Sequence[str]) -> int:
    """Pytest's exit code; a pod that is to go ends it as Ctrl-C would, so that it clears up."""
    with subprocess.Popen(command) as pytest:

        def end(_: int, __: FrameType | None) -> None:
            pytest.send_signal(signal.SIGINT)

        signal.signal(signal.SIGTERM, end)
        return pytest.wait()


def _pack(folder: RunFolder, code: int) -> None:
    with tarfile.open(PACKED, "w:gz", compresslevel=6) as archive:
        for path in sorted(folder.path.iterdir()) if folder.path.exists() else ():
            if path != folder.work:
                archive.add(path, path.name)
    packed = PACKED.read_bytes()
    told = {"exit_code": code, "bytes": len(packed), "sha256": hashlib.sha256(packed).hexdigest()}
    partial = DONE.with_suffix(".partial")
    partial.write_text(json.dumps(told))
    partial.rename(DONE)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
