"""Which points of a start a sweep cuts."""

import pytest

from harness.cuts import CutPoint, Moment
from harness.errors import UsageError
from harness.sweep import Choice

POINTS = [CutPoint(f"api create things t{number}", Moment.AFTER) for number in range(42)]


def numbers(words, seed=0, points=POINTS):
    return [points.index(point) for point in Choice(words, seed).of(points)]


def test_all_are_cut_in_the_order_of_the_start():
    assert numbers("all") == list(range(42))


def test_one_is_cut_by_its_id():
    assert numbers("api:create:things:t7:1:after") == [7]


@pytest.mark.parametrize("seed", range(50))
def test_a_sample_has_one_of_each_stretch(seed):
    assert [number // 7 for number in numbers("sample:6", seed)] == list(range(6))
    uneven = numbers("sample:5", seed)  # stretches of 8 and 9
    assert [sum(number >= end for end in (8, 16, 25, 33)) for number in uneven] == list(range(5))


def test_a_sample_is_its_seeds_and_no_larger_than_there_are_points():
    assert numbers("sample:6", 3) == numbers("sample:6", 3)
    assert len({tuple(numbers("sample:6", seed)) for seed in range(20)}) > 15
    assert numbers("sample:100") == list(range(42))


@pytest.mark.parametrize("words", ["", "sample", "sample:0", "sample:-1", "sample:x", "most"])
def test_other_words_are_wrong_usage(words):
    with pytest.raises(UsageError, match="all, sample:N, or the ID"):
        Choice(words, 0)


def test_an_unknown_point_names_the_nearest():
    with pytest.raises(UsageError, match="one of 42 points, as api:create:things:t7:1:after"):
        numbers("api:create:things:t7:2:after")
