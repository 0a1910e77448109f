"""Trends for a terminal: a table of cases for each leg, what needs a look first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from reports.trends import CaseTrend, LegTrend, Seen

_NOW = {"kept": "kept", "known": "red as known", "broken": "BROKEN", "inconclusive": "inconclusive"}
_HEADS = ("case", "now", "plays", "flakes", "seconds")


def to_text(legs: Sequence[LegTrend], pattern: str = "*") -> str:
    """All legs.

    Args:
        legs: of a history.
        pattern: of the cases that are listed; ``*`` and ``?`` match.
    """
    return "\n\n".join("\n".join(_leg(leg, pattern)) for leg in legs) or "the history is empty"


def _leg(leg: LegTrend, pattern: str) -> Iterator[str]:
    yield leg_title(leg)
    yield f"  {leg_facts(leg)}"
    for trend in leg.recovery():
        runs = "1 run" if len(trend.runs) == 1 else f"{len(trend.runs)} runs"
        yield f"  recovery of {trend.guarantee}: median {trend.median:.2f} s of {runs}, newest {trend.newest:.2f} s"
    cases = [case for case in leg.cases if fnmatchcase(case.case_id, pattern)]
    rows = [_HEADS, *(_row(case) for case in cases)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    for number, row in enumerate(rows):
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        if number and (told := since(cases[number - 1])):
            yield f"      {told}"


def leg_title(leg: LegTrend) -> str:
    """What it is called, how often it was run, and when."""
    name = f"leg {leg.name}" if leg.name else "runs by themselves"
    first, last = leg.lines[0], leg.lines[-1]
    if first is last:
        return f"{name}: 1 run, {moment(first.started_at)}"
    return f"{name}: {len(leg.lines)} runs, {moment(first.started_at)} to {moment(last.started_at)}"


def leg_facts(leg: LegTrend) -> str:
    """What its runs came to, in a line."""
    codes = " ".join(str(line.exit_code) for line in leg.lines[-20:])
    early = sum(bool(line.ended_early) for line in leg.lines)
    plays = sum(len(case.plays) for case in leg.cases)
    told = [
        f"exit codes {codes}" + " (the newest 20)" * (len(leg.lines) > 20),
        f"a run takes {leg.seconds:.0f} s (median), the newest took {leg.lines[-1].seconds:.0f} s",
        f"{len(leg.cases)} cases, {plays} plays, {leg.flakes} {'flake' if leg.flakes == 1 else 'flakes'}",
    ]
    return "; ".join(told + [f"{early} ended early"] * bool(early))


def flakes(case: CaseTrend) -> str:
    """How many, and of how many plays that can flake; a dash where nothing was played twice."""
    return "-" if case.flake_rate is None else f"{case.flakes} ({case.flake_rate:.0%})"


def since(case: CaseTrend) -> str:
    """Of a case that is red now: since which version, and which was the last good one.

    Nothing of one that was always red as known: most are defects that reference tools were given.
    """
    bad, good, now = case.first_bad, case.last_good, case.newest.play
    if now.missing:
        return f"known defect {', '.join(now.missing)} did not show"
    if bad is None or (good is None and now.standing == "known"):
        return ""
    told = f"first bad: {_seen(bad, good)}"
    return f"{told}; last good: {_seen(good, bad)}" if good else f"{told}; never seen good"


def moment(started_at: str) -> str:
    """To the minute, without the zone: all are UTC."""
    return started_at[:16].replace("T", " ")


def _seen(seen: Seen, beside: Seen | None) -> str:
    return f"{seen.made.told(beside.made if beside else None)} ({moment(seen.line.started_at)})"


def _row(case: CaseTrend) -> tuple[str, ...]:
    now = _NOW[case.newest.play.standing]
    return case.case_id, now, str(len(case.plays)), flakes(case), f"{case.seconds:.1f}"
