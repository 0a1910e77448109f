"""What the scenarios over an S3 store need: the server, built here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.doctor.examined import S3, Examined, missing
from harness.errors import HarnessError
from harness.nodeimage.process import CommandError, run

_ASK_SECONDS = 15.0


def examine_s3(find: Callable[[], Path]) -> list[Examined]:
    """Look at everything that S3 stores need.

    Args:
        find: finds the server's program.
    """
    try:
        program = find()
    except HarnessError as error:
        return [missing(S3, "S3 server", error)]
    mend = f"rm {program}, then afterfault images s3-server"
    try:
        said = run([str(program), "--version"], timeout_seconds=_ASK_SECONDS)
    except (CommandError, OSError) as error:
        return [Examined(S3, "S3 server", False, f"{program} does not run: {str(error).splitlines()[0]}", mend)]
    return [Examined(S3, "S3 server", said.startswith("minio"), f"{' '.join(said.split()[:3])}, {program}", mend)]
