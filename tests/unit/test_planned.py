"""What a run is to play: each play once, not what is skipped, and no test of the harness itself."""

from types import SimpleNamespace

from harness.plugin.planned import pytest_collection_finish
from harness.pytest_plugin import RUN
from harness.run_folder import RunFolder


def item(play="", *, skipped=False):
    params = {"case": SimpleNamespace(case_id=play.partition("~")[0], play_id=play)} if play else {"other": 1}
    marker = "skip" if skipped else ""
    return SimpleNamespace(
        callspec=SimpleNamespace(params=params),
        module=None,
        nodeid=f"test_a.py::test_b[{play}]",
        get_closest_marker=lambda name: name == marker or None,
    )


def test_plays_are_planned_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    folder = RunFolder(tmp_path)
    config = SimpleNamespace(stash={RUN: folder}, option=SimpleNamespace(collectonly=False))
    items = [item("a"), item("a"), item("a~2"), item("b", skipped=True), item()]
    pytest_collection_finish(SimpleNamespace(config=config, items=items))
    assert folder.planned.read_text() == "a\na~2\n"
