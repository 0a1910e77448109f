"""Wiring of pytest: options, fixtures, selection, and how verdicts become outcomes. No rules live here."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness.clusters.etcd_release import EtcdRelease, find_releases
from harness.clusters.ownership import Ownership
from harness.errors import HarnessError
from harness.judging.ledger import Ledger
from harness.judging.verdict import Finding, GuaranteeBroken, Inconclusive, Verdict
from harness.lab import Lab, LabSettings
from harness.plugin.again import keep_command
from harness.plugin.builds import ETCD_MANAGER, examine_builds, laconic_tool, tell_builds
from harness.plugin.options import (
    CONTROL_PLANE_SECONDS,
    MEMBER_SECONDS,
    OF_OTHER_SHARDS,
    OWN_COMMANDS,
    case_of,
    check_words,
    kind_words,
    play_of,
    plays_of,
    select_case,
    skip_without_kind,
    skip_without_s3,
)
from harness.run_folder import RunFolder
from harness.spec import REFERENCE, CaseMatrix, CaseSpec, DeploymentSpec, KindSpec, Target
from harness.tools.deploy_tool import (
    DEPLOY,
    MANAGE,
    REPLACE_CONTROL_PLANE,
    REPLACE_NODE,
    DeployTool,
    reference_tool,
    replace_command,
)
from harness.tools.deployers import reference_deployer
from harness.tools.managers import etcd_manager_target

RUN = pytest.StashKey[RunFolder]()
LEDGER = pytest.StashKey[Ledger]()
RELEASES = pytest.StashKey[Sequence[EtcdRelease]]()
SEED = pytest.StashKey[int]()
DONE = "done "


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check the words of the call before anything is started; choose the run's folder and seed."""
    config.stash[SEED] = 0
    _let_children_be_signalled()
    if not _plays_scenarios(config):
        return
    try:
        check_words(config)
        config.stash[RELEASES] = find_releases([Path(folder) for folder in config.getoption("--etcd-dir")])
        examine_builds(config, config.stash[RELEASES])
        worker = getattr(config, "workerinput", None)
        if worker is not None:
            config.stash[RUN] = RunFolder(Path(worker["afterfault_run"]))
            config.stash[SEED] = worker["afterfault_seed"]
        else:
            _open_run(config)
        if not config.getoption("allure_report_dir", None):
            config.option.allure_report_dir = str(config.stash[RUN].path / "allure-results")
        config.stash[LEDGER] = Ledger.load(config.stash[RUN].ledger, datetime.now(UTC).date())
    except HarnessError as error:
        pytest.exit(f"afterfault: {error}", returncode=error.exit_code)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Remember which cases are not run; xdist tells its controller nothing of it."""
    config = items[0].config if items else None
    if config is not None and RUN in config.stash and os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        with config.stash[RUN].left_out.open("a", encoding="utf-8") as file:
            of_others = config.stash.get(OF_OTHER_SHARDS, frozenset())
            file.writelines(f"{case}\n" for case in sorted({case_of(i) for i in items if play_of(i) not in of_others}))


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is run with what."""
    if RUN not in config.stash:
        return []
    release = config.stash[RELEASES][0]
    note = f" ({release.note})" if release.note else ""
    return [
        f"afterfault: run {config.stash[RUN].run_id}, seed {config.stash[SEED]}",
        f"etcd: {release.version} from {release.source}{note}",
    ]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker which run it belongs to."""
    if RUN in node.config.stash:
        node.workerinput["afterfault_run"] = str(node.config.stash[RUN].path)
        node.workerinput["afterfault_seed"] = node.config.stash[SEED]
        tell_builds(node)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One set of tests for each play of each case of the module's ``CASES``."""
    if "case" not in metafunc.fixturenames:
        return
    matrices: tuple[CaseMatrix, ...] = metafunc.module.CASES
    cases = [
        (case, plays_of(metafunc.config, slow=not matrix.is_quick(case), case_id=case.case_id), matrix.is_quick(case))
        for matrix in matrices
        for case in matrix.cases(_targets(metafunc.config, matrix), metafunc.config.stash[SEED])
    ]
    metafunc.parametrize(
        "case",
        [
            pytest.param(case.play(number), id=_label(case, matrices, number), marks=[pytest.mark.slow] * (not quick))
            # all once, then all again: a run that is ended early has played each about as often
            for number in range(1, metafunc.config.getoption("--repeat") + 1)
            for case, plays, quick in cases
            if number <= plays
        ],
        scope="module",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what this machine can't run."""
    select_case(config, items)
    skip_without_kind(config, items)
    skip_without_s3(config, items)


@pytest.fixture(scope="session")
def lab_settings(pytestconfig: pytest.Config) -> Iterator[LabSettings]:
    """What all cases of this process share; owns and at the end removes whatever they left."""
    folder = pytestconfig.stash[RUN]
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    keep = str(pytestconfig.getoption("--keep"))
    ownership = Ownership(folder.label(worker), folder.work / worker)
    ledger = pytestconfig.stash[LEDGER]
    settings = LabSettings(
        folder.run_id,
        folder.cases,
        pytestconfig.stash[RELEASES],
        ownership,
        keep,
        kind=kind_words(pytestconfig),
        manager=pytestconfig.stash.get(ETCD_MANAGER, None),
        progress=lambda line: _tell(folder, line),
        ended=lambda spec, findings: _note_end(folder, ledger, spec, findings),
    )
    yield settings
    ownership.release(keep=settings.anything_kept)


@pytest.fixture(scope="module")
def lab(lab_settings: LabSettings, case: CaseSpec) -> Lab:  # noqa: ARG001 - one lab a case
    """A fresh lab for one case."""
    return Lab(lab_settings)


@pytest.fixture(scope="module")
def tool(pytestconfig: pytest.Config, case: CaseSpec) -> DeployTool:
    """The tool under test in this case."""
    if isinstance(case.cluster, DeploymentSpec):
        return laconic_tool(pytestconfig) or reference_deployer(case.target.variant)
    on_kind = isinstance(case.cluster, KindSpec)
    if case.target.tool == REFERENCE:
        return reference_tool(case.target.variant, CONTROL_PLANE_SECONDS if on_kind else MEMBER_SECONDS)
    option = OWN_COMMANDS[REPLACE_CONTROL_PLANE if on_kind else REPLACE_NODE]
    timeout = pytestconfig.getoption("--replace-timeout") or (CONTROL_PLANE_SECONDS if on_kind else MEMBER_SECONDS)
    return replace_command(str(pytestconfig.getoption(option)), timeout, option)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Hold a verdict against the ledger; outermost, so that Allure has seen the bare outcome."""
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(HarnessError):
        report.afterfault_exit = getattr(call.excinfo.value, "exit_code", HarnessError.exit_code)
    if call.excinfo is not None and call.when == "call":
        report.afterfault_stray = not call.excinfo.errisinstance((GuaranteeBroken, Inconclusive))
    lab = lab_of(item)
    if call.when != "call" or lab is None or not lab.findings:
        return report
    finding = list(lab.findings.values())[-1]
    ledger = item.config.stash[LEDGER]
    known = ledger.explain(lab.spec, finding)
    if call.excinfo is not None and call.excinfo.errisinstance(GuaranteeBroken) and known is not None:
        report.outcome = "skipped"
        report.wasxfail = f"{known.id}: {finding.reason}"
    missing = ledger.missing(lab.spec, [finding])
    if missing:
        report.outcome = "failed"
        report.longrepr = (
            f"known defect {missing[0].id} did not show: {finding.guarantee} should be broken by "
            f"{missing[0].signature}, and is: {finding.verdict} {finding.signature}\n{finding.reason}\n"
            f"mend: change or remove {missing[0].id} in scenarios/known_defects.yaml"
        )
    return report


def pytest_report_teststatus(report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """A red that the ledger knows is neither a pass nor a plain expected failure."""
    if getattr(report, "wasxfail", "") and report.when == "call":
        return "known red", "", ("KNOWN RED", {"yellow": True})
    if report.when == "call" and report.passed and report.nodeid.startswith("scenarios/"):
        return "passed", "", ("KEPT", {"green": True})  # cases are told one a line, not one dot a guarantee
    return None


def _let_children_be_signalled() -> None:
    """A run in the background of a script, or under nohup, ignores signals, and so would every tool it starts.

    A handler that does nothing still ignores them here, and is not passed on.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def _plays_scenarios(config: pytest.Config) -> bool:
    """Whether the paths asked for hold scenarios; the harness's own tests need no run folder."""
    scenarios = config.rootpath / "scenarios"
    asked = [(config.invocation_params.dir / arg.split("::")[0]).resolve() for arg in config.args]
    return any(path == scenarios or scenarios in path.parents or path in scenarios.parents for path in asked)


def _open_run(config: pytest.Config) -> None:
    seed = config.getoption("--seed")
    config.stash[SEED] = random.SystemRandom().randrange(2**32) if seed is None else seed
    folder = RunFolder.choose(config.getoption("--run-dir"), config.rootpath / "runs")
    folder.prepare()
    source = config.rootpath / "scenarios" / "known_defects.yaml"
    folder.ledger.write_bytes(source.read_bytes())
    config.stash[RUN] = folder
    if not config.option.xmlpath:
        config.option.xmlpath = str(folder.path / "junit.xml")


def _targets(config: pytest.Config, matrix: CaseMatrix) -> tuple[Target, ...]:
    """The user's own command or build where it fits, else the reference tool's variants."""
    if matrix.task == DEPLOY:
        real = laconic_tool(config)
        return tuple(tool.target for tool in ([real] if real else map(reference_deployer, matrix.variants)))
    if matrix.task == MANAGE and ETCD_MANAGER in config.stash:
        return (etcd_manager_target(config.stash[ETCD_MANAGER]),)
    option = OWN_COMMANDS.get(matrix.task)
    command = config.getoption(option) if option else None
    if option and command:
        return (replace_command(command, MEMBER_SECONDS, option).target,)
    return tuple(reference_tool(variant).target for variant in matrix.variants)


def _label(case: CaseSpec, matrices: tuple[CaseMatrix, ...], play: int) -> str:
    """The play as pytest names it; with the story's name where a module tells more than one."""
    story = f"{case.scenario}-" if len({matrix.scenario for matrix in matrices}) > 1 else ""
    return f"{story}{case.label}" + (f"~{play}" if play > 1 else "")


def lab_of(item: pytest.Item) -> Lab | None:
    """The lab a test judged, whatever its story fixture is called."""
    values = getattr(item, "funcargs", {}).values()
    return next((value for value in values if isinstance(value, Lab)), None)


def _note_end(folder: RunFolder, ledger: Ledger, spec: CaseSpec, findings: Sequence[Finding]) -> None:
    keep_command(folder, ledger, spec, findings)
    _tell(folder, DONE + in_short(ledger, spec, findings))


def in_short(ledger: Ledger, spec: CaseSpec, findings: Sequence[Finding]) -> str:
    """How a case ended, in one line: what broke, what could not be judged, which known defect did not show."""
    red = [finding for finding in findings if finding.verdict is Verdict.NOT_RECOVERED]
    broken = [finding.guarantee for finding in red]
    unjudged = [finding.guarantee for finding in findings if finding.verdict is Verdict.INCONCLUSIVE]
    unseen = [defect.guarantee for defect in ledger.missing(spec, findings)]
    if not broken and not unjudged and not unseen:
        return f"{spec.play_id}: {len(findings)} guarantees kept"
    groups = (("", broken), ("not judged: ", unjudged), ("known, not seen: ", unseen))
    told = "; ".join(head + ", ".join(names) for head, names in groups if names)
    news = unseen or not all(ledger.explain(spec, finding) for finding in red)
    head = "NOT AS EXPECTED " if news else "red as known: " if broken else "INCONCLUSIVE, "
    return f"{spec.play_id}: {head}{told}"


def _tell(folder: RunFolder, line: str) -> None:
    with folder.progress.open("a", encoding="utf-8") as log:
        log.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")
