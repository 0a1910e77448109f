"""What a run is to play, written down before the first case begins: a run that is killed is still known to be thin."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

from harness.plugin.options import has_case, play_of
from harness.pytest_plugin import RUN
from harness.run_folder import RunFolder


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Note the plays that are left after selection, shard and missing needs; xdist's workers all collect the same."""
    config = session.config
    is_first = os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0"
    if RUN in config.stash and session.items and is_first and not config.option.collectonly:
        _note(config.stash[RUN], session.items)


def _note(folder: RunFolder, items: Iterable[pytest.Item]) -> None:
    played = (item for item in items if has_case(item) and not item.get_closest_marker("skip"))
    plays = dict.fromkeys(map(play_of, played))
    folder.planned.write_text("".join(f"{play}\n" for play in plays), encoding="utf-8")
