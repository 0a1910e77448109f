"""The kube API tap's program, built once into the cache folder as `afterfault images build` does."""

import shutil
import sys

import pytest

from harness.errors import MachineError
from harness.nodeimage import tools
from harness.nodeimage.recipe import kube_tap_step
from harness.nodeimage.steps import building, make


def built_kube_tap():
    try:
        return tools.find_kube_tap()
    except MachineError:
        if not shutil.which("go"):
            pytest.skip("the kube API tap is not built and there is no Go")
    step = kube_tap_step()
    with building(sys.stdout):
        if not step.done:
            make(step)
    return tools.install_kube_tap(step)
