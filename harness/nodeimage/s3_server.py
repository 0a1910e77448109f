"""The S3 server for stores of managed clusters: MinIO, built once from the Go module proxy, without root or Docker.

docs/decisions/0009 says why this one, and that it is no longer kept by its authors.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TextIO

from harness.clusters.ownership import cache_folder
from harness.errors import MachineError
from harness.nodeimage.go import GoPrograms, build
from harness.nodeimage.machine import check_go
from harness.nodeimage.steps import Step, building, make_all
from harness.nodeimage.tools import install

MEND = "afterfault images s3-server"
_MODULE = "github.com/minio/minio"
# Its last commit; the module has no newer tag.
_VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
_PROGRAMS = GoPrograms("minio-20260212.sum", (_MODULE,), _VERSION, {"minio": _MODULE})


def s3_server_step() -> Step:
    """How it is built; the step's key covers version, sums, programs and build settings."""
    sums = f"sums/{_PROGRAMS.sums}"
    return Step(
        "s3-server", "S3 server (MinIO)", lambda folder: build(_PROGRAMS, folder), _PROGRAMS.inputs(), files=(sums,)
    )


def find_s3_server() -> Path:
    """The program, of today's pins.

    Raises:
        MachineError: it was not built here.
    """
    place = _place(s3_server_step())
    if place.exists():
        return place
    raise MachineError("the S3 server was not built here", mend=MEND)


def build_s3_server(out: TextIO) -> Path:
    """Build it unless it is there, and put it where `find_s3_server` finds it.

    Raises:
        MachineError: there is no Go, or too old a one.
        CommandError: the proxy does not serve it, a sum differs, or it does not compile.
    """
    step = s3_server_step()
    place = _place(step)
    if place.exists():
        return place
    check_go()
    with building(out):
        make_all([step], out)
        install(step.folder / "bin/minio", place)
        shutil.rmtree(step.folder)  # the program is all of it
    return place


def _place(step: Step) -> Path:
    return cache_folder() / "tools" / f"s3-server-{step.key}" / "minio"
