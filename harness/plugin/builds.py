"""Real tools put under test by an option: examined once a run, and told to its workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from harness.clusters.etcd_release import EtcdRelease
from harness.tools.deployers import laconic_so
from harness.tools.deployments import DeploymentTool
from harness.tools.etcd_manager import OPTION, EtcdManager
from harness.tools.laconic_so import LaconicSo
from harness.tools.laconic_stack import MINI, STACKS

LACONIC_SO = pytest.StashKey[LaconicSo]()
ETCD_MANAGER = pytest.StashKey[EtcdManager]()
_TOLD_LACONIC_SO, _TOLD_ETCD_MANAGER = "afterfault_laconic_so", "afterfault_etcd_manager"


def add_build_options(group: pytest.OptionGroup) -> None:
    """Where they are."""
    group.addoption("--laconic-so", metavar="PATH", help="put a build of laconic-so under test (kind)")
    group.addoption(
        "--laconic-so-stack",
        choices=STACKS,
        default=MINI,
        help=f"what that build deploys: our smallest stack, or the one it ships (default: {MINI})",
    )
    group.addoption(OPTION, metavar="DIR", help="put a build of etcd-manager under test (folder with it and its -ctl)")


def examine_builds(config: pytest.Config, releases: Sequence[EtcdRelease]) -> None:
    """Find out what the options name; workers are told by their controller, who has asked: that takes seconds.

    Raises:
        UsageError: it is not what it should be.
        MachineError: it can't be run here.
    """
    told = getattr(config, "workerinput", {})
    if config.getoption("--laconic-so") is not None:
        known = told.get(_TOLD_LACONIC_SO)
        config.stash[LACONIC_SO] = (
            LaconicSo.from_json(known) if known else LaconicSo.examine(config.getoption("--laconic-so"))
        )
    if config.getoption(OPTION) is not None:
        known = told.get(_TOLD_ETCD_MANAGER)
        config.stash[ETCD_MANAGER] = (
            EtcdManager.from_json(known) if known else EtcdManager.examine(config.getoption(OPTION), releases)
        )


def laconic_tool(config: pytest.Config) -> DeploymentTool | None:
    """The build of laconic-so that the options name; None without one."""
    build = config.stash.get(LACONIC_SO, None)
    return None if build is None else laconic_so(build, str(config.getoption("--laconic-so-stack")))


def is_exclusive(config: pytest.Config, nodeid: str) -> bool:
    """Whether a test's case wants the Docker engine for itself: two such cases never run at the same time."""
    tool = laconic_tool(config)
    return tool is not None and tool.deployer.is_exclusive and f"{tool.target.variant}-kind-" in nodeid


def tell_builds(node: Any) -> None:
    """What an xdist worker is told of them."""
    if LACONIC_SO in node.config.stash:
        node.workerinput[_TOLD_LACONIC_SO] = node.config.stash[LACONIC_SO].to_json()
    if ETCD_MANAGER in node.config.stash:
        node.workerinput[_TOLD_ETCD_MANAGER] = node.config.stash[ETCD_MANAGER].to_json()
