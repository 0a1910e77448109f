"""Which orders of two replacements are walked: a sample by default, all of them in the nightly job."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from harness.orders import Order, all_orders, sample
from harness.plugin.options import plays_of

# Fixed, so that the default selection is the same from run to run; this sample is quick and ends in every way.
DEFAULT_SEED = 15
QUICK = 8
# With the strict check each change waits for etcd's health interval of five seconds: a sample has to do.
STRICT = 24


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a play of an order; its ID is the order's."""
    seed = _seed(metafunc.config)
    quick_plays, slow_plays = (plays_of(metafunc.config, slow=slow) for slow in (False, True))
    if "order" in metafunc.fixturenames:
        quick = sample(seed, QUICK)
        slow = [order for order in all_orders() if order not in quick]
        told = [*_params(quick, quick_plays), *_params(slow, slow_plays, pytest.mark.slow)]
        metafunc.parametrize(("order", "repetition"), told, scope="module")
    if "strict_order" in metafunc.fixturenames:
        told = _params(sample(seed, STRICT), slow_plays, pytest.mark.slow)
        metafunc.parametrize(("strict_order", "repetition"), told, scope="module")


@pytest.fixture(scope="session")
def sample_seed(pytestconfig: pytest.Config) -> int:
    """What chose the sample: ``--seed``, or a fixed number."""
    return _seed(pytestconfig)


def _seed(config: pytest.Config) -> int:
    seed = config.getoption("--seed")
    return DEFAULT_SEED if seed is None else int(seed)


def _params(orders: Iterable[Order], plays: int, *marks: pytest.MarkDecorator) -> list[object]:
    return [
        pytest.param(order, number, id=order.id + (f"~{number}" if number > 1 else ""), marks=marks)
        for order in orders
        for number in range(1, plays + 1)
    ]
