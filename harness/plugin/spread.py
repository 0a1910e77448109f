"""Which cases run when, and at the same time, and whether this machine can hold them: xdist hands out whole cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

from harness.errors import HarnessError
from harness.plugin.builds import is_exclusive
from harness.plugin.options import REFUSED, group_of, kind_at_once
from harness.pytest_plugin import RUN
from harness.room import is_big
from harness.spec import KindSpec

_KIND_AT_ONCE = pytest.StashKey[int]()
_TESTS = "tests/"
# Tests of one folder there share a cluster or would make too many at once, or share a run and a browser.
_FOLDERS_TOGETHER = ("tests/kind/", "tests/pages/")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest goes first; but what has to be alone goes last, when least has to wait for it."""
    items.sort(key=lambda item: 2 if _is_alone(item.nodeid) else item.get_closest_marker("kind") is None)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse what does not fit on this machine, before anything is made."""
    if RUN in session.config.stash and not hasattr(session.config, "workerinput"):
        _admit(session.config, [item.nodeid for item in session.items if not item.get_closest_marker("skip")])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Sequence[str]) -> None:
    """The same, where only xdist's workers know the cases."""
    if RUN in node.config.stash and _KIND_AT_ONCE not in node.config.stash:
        _admit(node.config, ids)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Keep the tests of a case on one worker, for they share a cluster; the harness's own by module.

    xdist's own ``--dist loadgroup`` marks tests by changing their IDs, which pytest 9.2 ignores.
    """
    config.option.loadscopereorder = False  # stories with the longest cases are collected first
    return _ByCase(config, log)


class _ByCase(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out whole cases; those on kind in as many heaps as there may be clusters at once.

    Cases of a tool that wants the Docker engine for itself are one of these heaps: in two of them each would wait for
    the other's lock, with a worker of its own.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._kind_cases: dict[str, int] = {}
        self._reserved: int | None = None

    def _split_scope(self, nodeid: str) -> str:
        group = group_of(nodeid)
        module = nodeid.partition("::")[0]
        if module.startswith(_FOLDERS_TOGETHER):
            return module.rpartition("/")[0]
        if module.startswith(_TESTS):
            return module
        if KindSpec.size_in(nodeid) is None:
            return group
        if _is_alone(nodeid):
            return "kind, one by one"
        return f"kind {self._heap(group)}"

    def _heap(self, group: str) -> int:
        """By turns; the last heap is kept for exclusive cases, where there are any and more than one heap."""
        count: int = self.config.stash.get(_KIND_AT_ONCE, 1)
        if is_exclusive(self.config, group):
            return count - 1
        number = self._kind_cases.setdefault(group, len(self._kind_cases))
        return number % max(1, count - self._reserve())

    def _reserve(self) -> int:
        """How many heaps are kept for exclusive cases: one where there are such, else none."""
        if self._reserved is None:
            self._reserved = int(any(is_exclusive(self.config, nodeid) for nodeid in self.collection or ()))
        return self._reserved


def _is_alone(nodeid: str) -> bool:
    shape = KindSpec.size_in(nodeid)
    return shape is not None and is_big(shape.kind_nodes)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """A run that was refused leaves nothing."""
    if REFUSED in config.stash:
        config.stash[RUN].discard()


def _admit(config: pytest.Config, nodeids: Sequence[str]) -> None:
    if config.option.collectonly:
        return
    try:
        config.stash[_KIND_AT_ONCE] = kind_at_once(config, nodeids)
    except HarnessError as error:
        config.stash[REFUSED] = error.exit_code
        pytest.exit(f"afterfault: {error}", returncode=error.exit_code)
