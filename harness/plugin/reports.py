"""What a pytest run tells people: progress while it goes, and the run's reports at its end."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pytest

from harness import __version__
from harness.plugin.again import commands
from harness.plugin.limits import ended_early, was_not_begun
from harness.plugin.options import REFUSED
from harness.pytest_plugin import DONE, LEDGER, RELEASES, RUN, SEED
from harness.run_folder import RunFolder
from harness.waiting import SYSTEM_CLOCK, rest_unless
from reports.flakes import Flake, flakes
from reports.gate import OK, Decision, decide
from reports.run import RunFacts, RunResult, load_run, save_facts
from reports.world import kubernetes_of, target_of
from reports.write import write_reports

_PROGRESS = pytest.StashKey["_Progress"]()
_DECISION = pytest.StashKey[Decision]()
_STARTED = pytest.StashKey[tuple[str, float]]()
_AGAIN = pytest.StashKey[list[str]]()
_FLAKES = pytest.StashKey[tuple[Flake, ...]]()
_USAGE, _MACHINE = 2, 4


def pytest_configure(config: pytest.Config) -> None:
    """Begin to tell progress; workers leave that to their controller."""
    if RUN in config.stash and not hasattr(config, "workerinput"):
        config.stash[_STARTED] = (datetime.now(UTC).isoformat(timespec="seconds"), SYSTEM_CLOCK.monotonic())
        # pytest redirects file descriptor 1 while a test runs; now it is still the terminal's
        screen = os.fdopen(os.dup(1), "w", encoding="utf-8")
        verbose = config.get_verbosity() > 0
        config.stash[_PROGRESS] = _Progress(config.stash[RUN].progress, screen, verbose=verbose)
        config.stash[_PROGRESS].start()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Judge all journals of the run once more, as `afterfault rejudge` would, and write its reports."""
    config = session.config
    if _PROGRESS not in config.stash:
        return
    config.stash[_PROGRESS].stop()
    if REFUSED in config.stash:
        return
    if config.option.collectonly or exitstatus == pytest.ExitCode.USAGE_ERROR:
        session.exitstatus = _USAGE if exitstatus == pytest.ExitCode.USAGE_ERROR else exitstatus
        return
    folder = config.stash[RUN]
    terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
    kinds = (pytest.TestReport, pytest.CollectReport)
    reports = [report for group in terminal.stats.values() for report in group if isinstance(report, kinds)]
    try:
        save_facts(folder, _facts(config, reports, interrupted=exitstatus == pytest.ExitCode.INTERRUPTED))
        run = _with_world(load_run(folder, config.stash[LEDGER]))
        save_facts(folder, run.facts)
        _write(folder, run)
    except OSError as error:
        config.stash[_DECISION] = Decision(_MACHINE, f"the reports can't be written: {error.strerror}", ())
        session.exitstatus = _MACHINE
        return
    config.stash[_AGAIN] = commands(run)
    config.stash[_FLAKES] = flakes(run)
    config.stash[_DECISION] = decide(run)
    codes = {getattr(report, "afterfault_exit", 0) for report in reports}
    codes |= {_MACHINE} if not folder.has_room() else set()
    session.exitstatus = _exit_code(config.stash[_DECISION], codes)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The answer in one line, what is not as expected, and where to look."""
    if _DECISION not in config.stash:
        return
    decision, folder = config.stash[_DECISION], config.stash[RUN].path
    terminalreporter.section("afterfault")
    for reason in decision.reasons:
        terminalreporter.write_line(f"  {reason}")
    terminalreporter.write_line(
        decision.headline, green=decision.exit_code == OK, red=decision.exit_code != OK, bold=True
    )
    for line in config.stash.get(_AGAIN, ()):
        terminalreporter.write_line(line)
    for flake in config.stash.get(_FLAKES, ()):
        terminalreporter.write_line(flake.sentence, yellow=flake.is_flaky)
    for text in _left_out(config.stash[RUN]):
        terminalreporter.write_line(f"not run: {text}")
    terminalreporter.write_line(f"report: {_near(folder / 'report.html')}")


class _Progress:
    """Copies the run's progress log to the screen while it grows."""

    def __init__(self, log: Path, screen: IO[str], *, verbose: bool) -> None:
        self._log, self._screen, self._verbose = log, screen, verbose
        self._stopped = threading.Event()
        self._read = 0
        self._thread = threading.Thread(target=self._follow, name="progress", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Show the rest, and end."""
        self._stopped.set()
        self._thread.join(5)
        self._screen.close()

    def _follow(self) -> None:
        ended = False
        while not ended:
            ended = rest_unless(self._stopped, 0.3)
            self._show()

    def _show(self) -> None:
        if not self._log.exists():
            return
        with self._log.open("rb") as log:
            log.seek(self._read)
            fresh = log.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode().splitlines():
            moment, _, text = line.partition(" ")
            if text.startswith(DONE) or self._verbose:
                self._screen.write(f"{moment}  {text.removeprefix(DONE)}\n")
        self._screen.flush()


def _facts(config: pytest.Config, reports: list[Any], *, interrupted: bool) -> RunFacts:
    started_at, started = config.stash[_STARTED]
    release, count = config.stash[RELEASES][0], config.getoption("--shard-count")
    skips = [r for r in reports if isinstance(r.longrepr, tuple) and not was_not_begun(r)]
    skipped = [f"{report.nodeid}: {report.longrepr[2]}" for report in skips]
    errors = [f"{r.nodeid}: {_last_line(r)}" for r in reports if r.failed and _is_no_verdict(r)]
    return RunFacts(
        run_id=config.stash[RUN].run_id,
        seed=config.stash[SEED],
        harness_version=__version__,
        started_at=started_at,
        seconds=round(SYSTEM_CLOCK.monotonic() - started, 1),
        etcd=f"{release.version} from {release.source}" + (f"; {release.note}" if release.note else ""),
        skipped=tuple(skipped + _left_out(config.stash[RUN])),
        problems=tuple(errors),
        planned=config.stash[RUN].planned_plays(),
        shard=f"{config.getoption('--shard-index') + 1}/{count}" if count > 1 else "",
        repeat=config.getoption("--repeat"),
        ended_early=ended_early(config, reports, interrupted=interrupted),
    )


def _with_world(run: RunResult) -> RunResult:
    """Who was under test on what, as the journals have it."""
    return replace(run, facts=replace(run.facts, target=target_of(run), kubernetes=kubernetes_of(run)))


def _left_out(folder: RunFolder) -> list[str]:
    return folder.left_out_told()


def _write(folder: RunFolder, run: RunResult) -> None:
    write_reports(folder, run)
    if folder.work.exists() and not any(folder.work.iterdir()):
        folder.work.rmdir()


def _exit_code(decision: Decision, codes: set[int]) -> int:
    """A broken guarantee first; then what the machine can't do; then the rest."""
    if decision.exit_code == 1 or _MACHINE not in codes:
        return decision.exit_code
    return _MACHINE


def _is_no_verdict(report: Any) -> bool:
    """Whether a test failed by something else than what it judged: that is in no journal, and would be lost."""
    return bool(getattr(report, "afterfault_stray", getattr(report, "when", "collect") != "call"))


def _last_line(report: Any) -> str:
    lines = [line for line in str(report.longrepr).splitlines() if line.startswith("E  ")]
    return (lines[0][1:] if lines else str(report.longrepr).splitlines()[-1]).strip()


def _near(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
