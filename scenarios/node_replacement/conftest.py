"""Which orders of two replacements are walked: a sample by default, all of them in the nightly job."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from harness.orders import Order, all_orders, sample

# Fixed, so that the default selection is the same from run to run; this sample is quick and ends in every way.
DEFAULT_SEED = 15
QUICK = 8
# With the strict check each change waits for etcd's health interval of five seconds: a sample has to do.
STRICT = 24


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test an order; its ID is the order's."""
    seed = _seed(metafunc.config)
    if "order" in metafunc.fixturenames:
        quick = sample(seed, QUICK)
        slow = (order for order in all_orders() if order not in quick)
        metafunc.parametrize("order", [*_params(quick), *_params(slow, pytest.mark.slow)], scope="module")
    if "strict_order" in metafunc.fixturenames:
        metafunc.parametrize("strict_order", _params(sample(seed, STRICT), pytest.mark.slow), scope="module")


@pytest.fixture(scope="session")
def sample_seed(pytestconfig: pytest.Config) -> int:
    """What chose the sample: ``--seed``, or a fixed number."""
    return _seed(pytestconfig)


def _seed(config: pytest.Config) -> int:
    seed = config.getoption("--seed")
    return DEFAULT_SEED if seed is None else int(seed)


def _params(orders: Iterable[Order], *marks: pytest.MarkDecorator) -> list[object]:
    return [pytest.param(order, id=order.id, marks=marks) for order in orders]
