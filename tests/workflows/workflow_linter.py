"""actionlint, built once from the Go module proxy into the cache folder, as our other Go programs are."""

import sys

import pytest

from harness.clusters.ownership import cache_folder
from harness.errors import MachineError
from harness.nodeimage.go import GoPrograms, build
from harness.nodeimage.machine import check_go
from harness.nodeimage.steps import Step, building, make_all
from harness.nodeimage.tools import install
from harness.plugin.options import required

MODULE, VERSION = "github.com/rhysd/actionlint", "v1.7.12"
SUMS = "actionlint-1.7.12.sum"
PROGRAMS = GoPrograms(SUMS, (MODULE,), VERSION, {"actionlint": f"{MODULE}/cmd/actionlint"})


def linter_step():
    """How it is built."""
    return Step(
        "actionlint", "actionlint", lambda folder: build(PROGRAMS, folder), PROGRAMS.inputs(), files=(f"sums/{SUMS}",)
    )


def built_linter(config):
    """The program; without Go a test is skipped, or in error where anything is required."""
    step = linter_step()
    place = cache_folder() / "tools" / f"actionlint-{step.key}" / "actionlint"
    if place.exists():
        return place
    try:
        check_go()
    except MachineError as error:
        if required(config):
            raise
        pytest.skip(f"the workflow linter is not built here: {error}")
    with building(sys.stdout):
        make_all([step], sys.stdout)
        return install(step.folder / "bin/actionlint", place)
