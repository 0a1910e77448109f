"""Allure's own page of a run, in a real browser, and the results it is made of."""

import json
import os
from collections import Counter

import pytest

from reports.allure_run import CATEGORIES
from tests.pages.conftest import REAL_RUN
from tests.pages.played import play


@pytest.fixture(scope="session")
def results(played):
    return [json.loads(path.read_text()) for path in (played / "allure-results").glob("*-result.json")]


@pytest.fixture
def opened(page, allure_page):
    page.goto(allure_page)
    page.locator("[data-testid^='tree-']").first.wait_for()
    return page


def labels(result, name):
    return [label["value"] for label in result["labels"] if label["name"] == name]


def test_the_browser_has_nothing_to_complain_of_and_asks_nobody(opened, allure_page):
    assert opened.complaints == []
    home = allure_page.rpartition("/")[0]
    assert [url for url in opened.asked if not url.startswith((home, "data:", "blob:"))] == []


def test_the_page_never_scrolls_sideways(opened):
    assert opened.evaluate("document.documentElement.scrollWidth") <= opened.viewport_size["width"]


def test_the_theme_is_the_readers(opened, theme):
    assert opened.evaluate("document.documentElement.dataset.theme") == theme


def test_the_run_is_named(opened, played):
    executor = json.loads((played / "allure-results" / "executor.json").read_text())
    assert executor["reportName"] in opened.inner_text("body")


def test_every_result_says_what_it_was_played_with(results):
    judged = [result for result in results if labels(result, "story")]
    assert judged
    for result in judged:
        told = {one["name"]: one for one in result["parameters"]}
        assert {"tool", "variant", "cluster", "seed", "etcd", "afterfault"} <= told.keys()
        assert "case" not in told
        assert [name for name, one in told.items() if one.get("excluded")] == [
            name for name in told if name in ("seed", "version", "etcd", "afterfault")
        ]
        assert labels(result, "severity")[0] in ("blocker", "critical", "normal", "minor")
        assert result["steps"]
        assert all(step["stop"] >= step["start"] for step in result["steps"])
        assert any(link["name"].startswith("incident 00") for link in result["links"])


def test_a_red_carries_what_explains_it(results):
    reds = [one for one in results if one["status"] != "passed" and labels(one, "story")]
    assert reds
    for result in reds:
        names = {one["name"] for one in result["attachments"]}
        if "did not show" in result["statusDetails"]["message"]:
            assert "finding" in names
            continue
        assert {"finding", "timeline"} <= names
        known = result["statusDetails"].get("known", False)
        assert known or "journal" in names
        assert [step["status"] for step in result["steps"] if step["status"] != "passed"] in (["failed"], ["broken"])


def test_no_case_is_there_twice(results):
    ids = Counter(result["historyId"] for result in results)
    assert [name for name, number in ids.items() if number > 1] == []


@pytest.mark.skipif(bool(os.environ.get(REAL_RUN)), reason="of the run that is played here")
def test_each_sort_of_red_has_its_category(opened, results):
    sorts = Counter(one["status"] for one in results)
    assert sorts == {"passed": 7, "failed": 9, "broken": 4}
    category = opened.request.get(opened.url.rpartition("/")[0] + "/widgets/categories.json").json()
    names = {node["name"] for node in category["nodes"].values() if node["type"] == "category"}
    assert names == {one["name"] for one in CATEGORIES}


def test_the_same_case_has_the_same_id_in_the_next_run(tmp_path):
    one, other = (play(tmp_path, f"seed-{seed}", seed) / "allure-results" for seed in (1, 2))
    ids = [{json.loads(path.read_text())["historyId"] for path in run.glob("*-result.json")} for run in (one, other)]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 20
    seeds = [{p["value"] for path in run.glob("*-result.json") for p in json.loads(path.read_text())["parameters"]
              if p["name"] == "seed"} for run in (one, other)]  # fmt: skip
    assert seeds == [{"1"}, {"2"}]
