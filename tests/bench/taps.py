"""How much longer a start takes through the taps than without them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from tests.bench.telling import spread
from tests.kind.sites import PlainSite, TappedSite, settings_in, site

MOST_RATIO = 1.05


def bench_taps(pairs: int) -> bool:
    """Starts of the reference deployer from nothing, in turn; only the tool's own time counts.

    The arm without taps has a guard of four lines of shell in front of kind, which does what the tool can't
    be without on a machine of many: it hides others' clusters, and names the node image. As with creations, a
    ratio above the limit is believed only when as many pairs again, counted together with the first, say so too.
    """
    seconds: dict[type[TappedSite], list[float]] = {TappedSite: [], PlainSite: []}
    with tempfile.TemporaryDirectory() as folder, settings_in(Path(folder), "bench-taps") as settings:
        # the first start on a machine warms the engine: no part of either
        with site(PlainSite, "warm", settings) as warm:
            warm.start()
        for number in range(2 * pairs):
            if number == pairs and _ratio(seconds) <= MOST_RATIO:
                break
            for sort in (TappedSite, PlainSite) if number % 2 else (PlainSite, TappedSite):
                with site(sort, f"{sort.__name__}-{number}", settings) as one:
                    seconds[sort].append(one.start())
    tapped, plain = seconds[TappedSite], seconds[PlainSite]
    each = ", ".join(f"{a / b:.2f}" for a, b in zip(tapped, plain, strict=True))
    print(f"a start of the reference deployer: through taps {spread(tapped)}, without {spread(plain)}")
    print(f"ratio of medians of {len(plain)} pairs: {_ratio(seconds):.2f} (at most {MOST_RATIO}); pair by pair: {each}")
    return _ratio(seconds) <= MOST_RATIO


def _ratio(seconds: Mapping[type[TappedSite], list[float]]) -> float:
    return median(seconds[TappedSite]) / median(seconds[PlainSite])
