"""``--minutes N``: a run that ends in time, whatever it was to play, and says what it left out.

After N minutes no case begins any more; those that run are played to their end. What is still running after
another N minutes, five at most, gets Ctrl-C, in every process of the run at once, as it would from a
terminal: it removes its cluster, and its case is INCONCLUSIVE.

SIGTERM, as a CI job sends it when somebody calls it off, is Ctrl-C too: what was played is judged and told.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from harness.errors import MachineError, UsageError
from harness.plugin.options import group_of
from harness.pytest_plugin import RUN
from harness.waiting import SYSTEM_CLOCK

# How the reason of a skip begins that is no choice of anybody's: a run with one of these is not whole.
NOT_BEGUN = "not begun: "
_MOST_GRACE_MINUTES = 5.0
_STARTED = pytest.StashKey[float]()
_BEGUN = pytest.StashKey[set[str]]()
_TIMER = pytest.StashKey[threading.Timer]()
# The clock's zero is the machine's start, so all processes of a run agree on it.
_TOLD_STARTED = "afterfault_started"


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long it may take."""
    parser.getgroup("afterfault").addoption(
        "--minutes",
        type=float,
        default=None,
        metavar="N",
        help="begin no case after N minutes; what still runs after as many again (at most 5) is interrupted",
    )


@pytest.hookimpl(tryfirst=True)  # before there is a run folder
def pytest_configure(config: pytest.Config) -> None:
    """Note when the run began, and wind the timer."""
    minutes = config.getoption("--minutes")
    if minutes is None:
        return
    if not minutes > 0:  # also not a number
        error = UsageError(f"--minutes {minutes:g} is no time to run for", mend="give it a number above 0, as 30")
        pytest.exit(f"afterfault: {error}", returncode=error.exit_code)
    told = getattr(config, "workerinput", {})
    config.stash[_STARTED] = told.get(_TOLD_STARTED, SYSTEM_CLOCK.monotonic())
    config.stash[_BEGUN] = set()
    left = (minutes + grace_minutes(minutes)) * 60 - _lasted(config)
    timer = threading.Timer(max(0.0, left), interrupt)
    timer.daemon = True
    config.stash[_TIMER] = timer
    timer.start()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Take SIGTERM for Ctrl-C."""
    if RUN in session.config.stash:
        heed_sigterm()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing is left to be interrupted."""
    if _TIMER in config.stash:
        config.stash[_TIMER].cancel()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker when the run began."""
    if _STARTED in node.config.stash:
        node.workerinput[_TOLD_STARTED] = node.config.stash[_STARTED]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """What is written down at the end is not to be interrupted; where it can't be written, that is the machine's fault.

    Pytest's own ``junit.xml`` is among it, and an error there would end the run with 1, a broken guarantee.
    """
    pytest_unconfigure(session.config)
    try:
        return (yield)
    except OSError as error:
        if RUN not in session.config.stash:
            raise
        words = f"afterfault: what came of the run can't be written down: {error}"
        raise pytest.exit.Exception(words, MachineError.exit_code) from error


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin no case after the limit; the tests of one that was begun only judge it, and go on."""
    stash = item.config.stash
    if _STARTED not in stash:
        return
    case, minutes = group_of(item.nodeid), item.config.getoption("--minutes")
    if case in stash[_BEGUN]:
        return
    if _lasted(item.config) >= minutes * 60:
        pytest.skip(f"{NOT_BEGUN}{_limit(minutes)} had passed")
    stash[_BEGUN].add(case)


def was_not_begun(report: Any) -> bool:
    """Whether a test is missing because the run's time was up."""
    told = report.longrepr
    return isinstance(told, tuple) and NOT_BEGUN in str(told[2])


def ended_early(config: pytest.Config, reports: Sequence[Any], *, interrupted: bool) -> str:
    """Why a run stopped before its end, in a sentence; empty if it did not.

    Args:
        config: of the run's main process.
        reports: of all tests.
        interrupted: whether pytest was, by whomever.
    """
    minutes = config.getoption("--minutes")
    cases = {group_of(report.nodeid) for report in reports if was_not_begun(report)}
    told = []
    if cases:
        number = "1 case" if len(cases) == 1 else f"{len(cases)} cases"
        told.append(f"{_limit(minutes)} had passed, {number} not begun")
    if interrupted and minutes is not None and _lasted(config) >= (minutes + grace_minutes(minutes)) * 60:
        told.append(f"what still ran {grace_minutes(minutes):g} minutes after {_limit(minutes)} was interrupted")
    elif interrupted:
        told.append("it was interrupted")
    return "; ".join(told)


def heed_sigterm() -> None:
    """Take SIGTERM for Ctrl-C in this process, unless whoever started it wants it to be ignored."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def interrupt() -> None:
    """Ctrl-C for this process; told to the main thread, so that what it waits for ends as well.

    A script that starts a run with ``&`` has it ignore Ctrl-C, which is the terminal's then; not what we heed as one.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM if ignored else signal.SIGINT)


def grace_minutes(minutes: float) -> float:
    """How long a case that runs when the time is up may go on."""
    return min(_MOST_GRACE_MINUTES, minutes)


def _limit(minutes: float) -> str:
    return f"the limit of {minutes:g} {'minute' if minutes == 1 else 'minutes'}"


def _lasted(config: pytest.Config) -> float:
    return SYSTEM_CLOCK.monotonic() - config.stash[_STARTED]
