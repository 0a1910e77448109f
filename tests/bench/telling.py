"""How figures are told."""

from __future__ import annotations

from statistics import median


def spread(seconds: list[float], digits: int = 1) -> str:
    """Smallest, middle and largest."""
    figures = " / ".join(f"{value:.{digits}f}" for value in (min(seconds), median(seconds), max(seconds)))
    return f"{figures} s (min / median / max)"
