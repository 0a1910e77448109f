"""Which cases run when: those of laconic-so never two at once, those on big clusters one by one at the end."""

import os
from types import SimpleNamespace

import pytest

from harness.plugin import builds, options, spread
from harness.plugin.spread import _KIND_AT_ONCE, _ByCase
from harness.tools.deployers import reference_deployer

REAL = [f"scenarios/a/test_a.py::test_{name}[stop-laconic-so-kind-1-{users}]" for users in ("text", "binary", "new")
        for name in ("one", "two")]  # fmt: skip
OTHERS = [f"scenarios/b/test_b.py::test_one[{variant}-kind-3-relaxed]" for variant in "abcde"]
ETCD = ["scenarios/c/test_c.py::test_one[documented-3-relaxed]"]


@pytest.fixture(autouse=True)
def cores(monkeypatch):
    """Four of them, until a test says otherwise."""

    def have(count):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(count)))

    have(4)
    return have


class Tool:
    deployer = SimpleNamespace(is_exclusive=True)
    target = SimpleNamespace(variant="laconic-so")


@pytest.fixture
def under_test(monkeypatch):
    """Put a tool under test."""

    def put(tool):
        monkeypatch.setattr(builds, "laconic_tool", lambda _: tool)

    return put


def scopes(collection, at_once):
    spread = object.__new__(_ByCase)
    stash = pytest.Stash()
    stash[_KIND_AT_ONCE] = at_once
    spread.config, spread.collection = SimpleNamespace(stash=stash), collection
    spread._kind_cases, spread._reserved = {}, None
    return {nodeid: spread._split_scope(nodeid) for nodeid in collection}


@pytest.mark.parametrize("at_once", [1, 2, 3, 4])
def test_all_cases_of_laconic_so_are_one_heap(under_test, at_once):
    under_test(Tool())
    told = scopes(REAL + OTHERS + ETCD, at_once)
    assert len({told[nodeid] for nodeid in REAL}) == 1
    assert len({told[nodeid] for nodeid in REAL + OTHERS}) == at_once
    if at_once > 1:
        assert not {told[nodeid] for nodeid in OTHERS} & {told[nodeid] for nodeid in REAL}
    assert told[ETCD[0]].startswith("scenarios/c")


@pytest.mark.parametrize("tool", [None, reference_deployer("faithful")])
def test_without_it_cases_on_kind_are_dealt_out_by_turns(under_test, tool):
    under_test(tool)
    told = scopes(REAL + OTHERS, 2)
    assert len({told[nodeid] for nodeid in REAL}) == 2
    assert [told[nodeid] for nodeid in OTHERS] == ["kind 1", "kind 0", "kind 1", "kind 0", "kind 1"]


def test_where_three_control_planes_are_more_than_the_cores_they_are_one_heap(cores):
    cores(2)
    told = scopes(REAL + OTHERS + ETCD, 2)
    assert {told[nodeid] for nodeid in OTHERS} == {"kind, one by one"}
    assert {told[nodeid] for nodeid in REAL} == {"kind 0", "kind 1"}


@pytest.mark.parametrize(("count", "order"), [(2, REAL[:2] + ETCD + OTHERS), (4, OTHERS + REAL[:2] + ETCD)])
def test_kind_goes_first_and_what_has_to_be_alone_goes_last(cores, count, order):
    cores(count)
    items = [
        SimpleNamespace(nodeid=nodeid, get_closest_marker=lambda _, kind="kind" in nodeid: kind or None)
        for nodeid in OTHERS + ETCD + REAL[:2]
    ]
    spread.pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == order


def test_where_it_has_nothing_to_do_no_heap_is_kept_for_it(under_test):
    under_test(Tool())
    assert len(set(scopes(OTHERS, 2).values())) == 2


def test_the_harness_s_own_tests_stay_together_by_what_they_share():
    modules = {
        "tests/kind/test_a.py::test_x": "tests/kind",
        "tests/kind/one_cluster/test_b.py::test_x": "tests/kind/one_cluster",
        "tests/pages/test_c.py::test_x[light]": "tests/pages",
        "tests/contract/test_d.py::test_x[3-strict]": "tests/contract/test_d.py",
    }
    assert scopes(list(modules), 2) == modules


@pytest.mark.parametrize(("ids", "shapes"), [(REAL, 1), (REAL + OTHERS, 6), (OTHERS, 5)])
def test_of_its_clusters_one_is_counted(under_test, monkeypatch, ids, shapes):
    under_test(Tool())
    asked = []
    monkeypatch.setattr(options, "check_kind", lambda _: None)
    monkeypatch.setattr(options, "clusters_at_once", lambda at_once, demand: asked.extend(demand) or at_once)
    spread.kind_at_once(SimpleNamespace(getoption=lambda _: 2), ids)
    assert len(asked) == shapes
