"""Keeps one part of the cases, so that several machines play a run between them; docs/side-by-side.md."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.plugin.options import OF_OTHER_SHARDS, case_of, group_of, play_of
from harness.pytest_plugin import RUN
from harness.shards import balanced, fingerprint, in_turn, read_durations


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep this shard's cases only; last of all, so that what is cut is what ``-k`` and ``-m`` left."""
    index, count = config.getoption("--shard-index"), config.getoption("--shard-count")
    if count == 1:
        return
    parts = _parts(config, items, count)
    mine: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        (mine if group_of(item.nodeid) in parts[index] else others).append(item)
    config.stash[OF_OTHER_SHARDS] = frozenset(map(play_of, others))
    config.hook.pytest_deselected(items=others)
    items[:] = mine
    if RUN in config.stash and os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        told = {"shard": f"{index + 1}/{count}", "selection": fingerprint(parts)}
        config.stash[RUN].shard.write_text(json.dumps(told) + "\n", encoding="utf-8")


def _parts(config: pytest.Config, items: list[pytest.Item], count: int) -> list[tuple[str, ...]]:
    """The groups of tests that each shard has."""
    source = config.getoption("--shard-durations")
    cases = {group_of(item.nodeid): case_of(item) for item in items}
    if source is None:
        return in_turn(cases, count)
    took = read_durations(Path(source))
    return balanced({group: took.get(case) for group, case in cases.items()}, count)
