"""What a case that broke off left open, and Python finds when it clears up: told at the end, and never a verdict.

pytest would end such a run with 1, and 1 says that a guarantee is broken.
"""

from __future__ import annotations

import gc
import sys

import pytest

from harness.errors import HarnessError
from harness.pytest_plugin import RUN

_SEEN = pytest.StashKey[list[str]]()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """All cases have ended: from here on no test is to blame for what is found."""
    if RUN in session.config.stash:
        seen: list[str] = []
        session.config.stash[_SEEN] = seen
        # pytest puts back, when it ends, what it found
        sys.unraisablehook = lambda found: seen.append(str(found.exc_value))


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Look before pytest does; a run without another fault ends with 3, an error of the harness."""
    if _SEEN not in config.stash:
        return
    gc.collect()
    seen = config.stash[_SEEN]
    session = config.pluginmanager.get_plugin("session")
    if not seen or session is None:
        return
    sys.stderr.write(f"afterfault: when the run ended there was left: {'; '.join(seen)}\n")
    if session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = HarnessError.exit_code
