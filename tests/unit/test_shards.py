"""Parts of a run: each case in exactly one, about equally long, the same on every machine."""

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.shards import balanced, fingerprint, in_turn, read_durations

NAMES = st.text("abc/-~", min_size=1, max_size=6)
SECONDS = st.one_of(st.none(), st.floats(0, 10_000))
CASES = st.dictionaries(NAMES, SECONDS, max_size=20)
COUNTS = st.integers(1, 9)


@settings(deadline=None, max_examples=50)
@given(CASES, COUNTS)
def test_each_case_is_in_exactly_one_part(cases, count):
    for parts in (balanced(cases, count), in_turn(cases, count)):
        assert len(parts) == count
        assert sorted(name for part in parts for name in part) == sorted(cases)


@settings(deadline=None, max_examples=50)
@given(CASES, COUNTS, st.randoms())
def test_the_order_in_which_cases_are_collected_changes_nothing(cases, count, random):
    shuffled = list(cases.items())
    random.shuffle(shuffled)
    assert balanced(dict(shuffled), count) == balanced(cases, count)
    assert in_turn([name for name, _ in shuffled], count) == in_turn(cases, count)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(NAMES, st.integers(1, 10_000).map(float), min_size=1, max_size=20), COUNTS)
def test_no_part_is_much_longer_than_it_has_to_be(cases, count):
    loads = [sum(cases[name] for name in part) for part in balanced(cases, count)]
    # Graham's bound for any list scheduling, from what no split can beat
    assert max(loads) <= sum(cases.values()) / count + max(cases.values()) * (1 - 1 / count) + 0.001


def test_the_longest_go_first_and_to_the_emptiest():
    cases = {"a": 50.0, "b": 40.0, "c": 30.0, "d": 20.0, "e": 10.0}
    assert balanced(cases, 2) == [("a", "d", "e"), ("b", "c")]
    assert balanced(cases, 2) != in_turn(cases, 2)


def test_an_unknown_case_counts_as_the_median():
    # 100 | 10, 10 and the new one as 10: it goes where less is
    assert balanced({"long": 100.0, "short": 10.0, "tiny": 1.0, "new": None}, 2) == [
        ("long",),
        ("new", "short", "tiny"),
    ]
    # were it as long as the longest, it would be alone
    assert balanced({"a": None, "b": None, "c": None, "d": None}, 2) == [("a", "c"), ("b", "d")]


def test_cases_without_any_length_are_spread_too():
    assert [len(part) for part in balanced(dict.fromkeys("abcdef", 0.0), 3)] == [2, 2, 2]


def test_another_process_cuts_alike():
    cases = {f"case-{number}": float(number * 37 % 101) for number in range(60)}
    code = f"from harness.shards import *; print(fingerprint(balanced({cases!r}, 7)))"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert told == {fingerprint(balanced(cases, 7))}


@settings(deadline=None, max_examples=50)
@given(CASES, CASES, COUNTS)
def test_a_fingerprint_tells_selections_apart(one, other, count):
    same = balanced(one, count) == balanced(other, count)
    assert (fingerprint(balanced(one, count)) == fingerprint(balanced(other, count))) == same


VERDICTS = {"schema": 1, "cases": [{"case_id": "s/a/3", "seconds": 2.5}, {"case_id": "s/b/3", "seconds": 1}]}
NIGHT = {"schema": 1, "run_id": "x", "cases": {"s/a/3": {"seconds": 2.0}, "s/a/3~2": {"seconds": 3.0}}}
LATER = {"schema": 1, "run_id": "y", "cases": {"s/a/3": {"seconds": 7.0}, "s/b/3": {"seconds": 1.0}}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (json.dumps({"s/a/3": 2, "s/b/3": 0.5}), {"s/a/3": 2.0, "s/b/3": 0.5}),
        (json.dumps(VERDICTS, indent=1), {"s/a/3": 2.5, "s/b/3": 1.0}),
        (f"{json.dumps(NIGHT)}\n", {"s/a/3": 2.5}),
        (f"{json.dumps(NIGHT)}\n{json.dumps(LATER)}\n", {"s/a/3": 3.0, "s/b/3": 1.0}),
    ],
)
def test_durations_are_read_from_verdicts_histories_and_plain_files(tmp_path, text, told):
    (tmp_path / "f").write_text(text)
    assert read_durations(tmp_path / "f") == told


def test_durations_are_read_from_a_run(tmp_path):
    (tmp_path / "verdicts.json").write_text(json.dumps(VERDICTS))
    assert read_durations(tmp_path) == {"s/a/3": 2.5, "s/b/3": 1.0}


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "3", "null", "{}", '{"a": "long"}', '{"a": -1}', '{"a": NaN}', '{"cases": {"a": {}}}',
     '{"cases": [{"seconds": "x"}]}', '{"cases": 3}'],
)  # fmt: skip
def test_what_tells_no_durations_is_refused(tmp_path, text):
    (tmp_path / "f").write_text(text)
    with pytest.raises(UsageError, match="--shard-durations"):
        read_durations(tmp_path / "f")
    with pytest.raises(UsageError, match="cannot be read"):
        read_durations(tmp_path / "gone")
