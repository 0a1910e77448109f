"""What Allure is told while a run is played; what it is told of the run as a whole is in reports/allure_run.py.

allure-pytest writes a result a test. Here its words become the story's: a test's name and parameters are those of the
case, without what differs from run to run (the seed), so that Allure finds a case again in its history; its status is
what the ledger makes of it.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from hashlib import md5
from pathlib import Path
from typing import Any

import allure
import allure_commons
import pytest
from allure_commons.model2 import Label, Link, Parameter, StatusDetails, TestResult, TestStepResult
from allure_commons.types import LabelType, LinkType
from allure_commons.utils import now

from harness import __version__
from harness.judging.guarantees import GUARANTEES
from harness.judging.ledger import Ledger
from harness.judging.verdict import Finding
from harness.lab import Lab
from harness.pytest_plugin import LEDGER, RELEASES, RUN, lab_of
from harness.spec import CaseSpec
from harness.stages.stage import folder_name
from reports import allure as telling
from reports.allure_run import incident_page
from reports.severity import severity

_TELLER = pytest.StashKey["Teller"]()
_DOCS = Path(__file__).resolve().parents[2] / "docs"


class Teller:
    """Sees every result before it is written, and says in it what a reader wants to know.

    Args:
        ledger: what reds are held against.
        versions: what the cases are played with, by name.
    """

    def __init__(self, ledger: Ledger, versions: dict[str, str]) -> None:
        self._ledger, self._versions = ledger, versions
        self._spec: CaseSpec | None = None
        self._lab: Lab | None = None
        self._finding: Finding | None = None
        self._opened: dict[str, float] = {}

    def begin(self, spec: CaseSpec | None) -> None:
        """A test begins; None for one that plays no case."""
        self._spec, self._lab, self._finding = spec, None, None

    def judged(self, lab: Lab, journal: Path) -> None:
        """A test has judged; its files are attached while allure-pytest still takes some."""
        self._lab, self._spec, self._finding = lab, lab.spec, list(lab.findings.values())[-1]
        # a case is played once, for all its tests
        self._opened.setdefault(lab.spec.play_id, now() - 1000 * (lab.entries[-1].at if lab.entries else 0))
        stands = self._standing(self._finding)
        is_news = stands.status != telling.PASSED and not stands.is_known
        whole = journal.read_bytes() if is_news and journal.exists() else b""
        for attachment in telling.attachments(lab.entries, self._finding, whole):
            allure.attach(attachment.body, attachment.name, attachment.mime)

    @allure_commons.hookimpl(tryfirst=True)
    def report_result(self, result: Any) -> None:
        """Complete a result that is about to be written."""
        if not isinstance(result, TestResult) or self._spec is None:
            return
        self._tell_case(result, self._spec)
        if self._lab is not None and self._finding is not None:
            self._tell_finding(result, self._lab, self._finding)

    def _tell_case(self, result: Any, spec: CaseSpec) -> None:
        told = telling.parameters(spec, self._versions)
        # what a test is parametrized with beside its case stays
        others = [one for one in result.parameters if one.name != "case"]
        result.parameters = others + [
            Parameter(name=name, value=value, excluded=None if tells else True) for name, value, tells in told
        ]
        words = [result.fullName, spec.target.tool, spec.play_id, *(f"{one.name}={one.value}" for one in others)]
        name = " ".join(words)
        result.historyId = md5(name.encode(), usedforsecurity=False).hexdigest()
        suites = {LabelType.PARENT_SUITE: spec.scenario, LabelType.SUITE: spec.target.label}
        suites |= {LabelType.SUB_SUITE: spec.cluster.label}
        kept = [label for label in result.labels if label.name not in suites]
        result.labels = [*kept, *(Label(name=name, value=value) for name, value in suites.items())]
        page = incident_page(spec.incident, _DOCS, os.environ)
        result.links.append(Link(type=LinkType.ISSUE, url=page, name=f"incident {spec.incident}"))

    def _tell_finding(self, result: Any, lab: Lab, finding: Finding) -> None:
        guarantee, stands = GUARANTEES[finding.guarantee], self._standing(finding)
        result.name = f"{guarantee.title} · {lab.spec.label}"
        result.description = guarantee.sentence
        result.labels += [
            Label(name=LabelType.SEVERITY, value=severity(finding.guarantee)),
            Label(name=LabelType.STORY, value=guarantee.title),
            Label(name=LabelType.TAG, value=finding.verdict.value),
        ]
        result.status = stands.status
        if stands.message:
            trace = result.statusDetails.trace if result.statusDetails else None
            result.statusDetails = StatusDetails(message=stands.message, trace=trace, known=stands.is_known)
        opened = self._opened[lab.spec.play_id]
        result.steps = [
            TestStepResult(
                name=f"{step.began:.1f} s  {step.name}",
                status=step.status,
                start=int(opened + 1000 * step.began),
                stop=int(opened + 1000 * step.ended),
            )
            for step in telling.steps(lab.entries, finding)
        ]

    def _standing(self, finding: Finding) -> telling.Standing:
        spec = self._spec
        if spec is None:
            return telling.standing(finding, None, ())
        known, missing = self._ledger.explain(spec, finding), self._ledger.missing(spec, [finding])
        return telling.standing(finding, known, missing)


def pytest_configure(config: pytest.Config) -> None:
    """Stand between allure-pytest and its files, in the process that plays cases."""
    if RUN in config.stash:
        config.stash[_TELLER] = Teller(config.stash[LEDGER], _versions(config))
        allure_commons.plugin_manager.register(config.stash[_TELLER])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Step back again."""
    if _TELLER in config.stash:
        allure_commons.plugin_manager.unregister(config.stash[_TELLER])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Know whose result is written at its end, also where a cluster never came up."""
    if _TELLER in item.config.stash:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        case = params.get("case")
        item.config.stash[_TELLER].begin(case if isinstance(case, CaseSpec) else None)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Give Allure the case's finding, and for a red one its picture and what was gathered."""
    try:
        return (yield)
    finally:
        lab = lab_of(item)
        if _TELLER in item.config.stash and lab is not None and lab.findings:
            journal = item.config.stash[RUN].cases / folder_name(lab.spec.play_id) / "journal.jsonl"
            item.config.stash[_TELLER].judged(lab, journal)


def _versions(config: pytest.Config) -> dict[str, str]:
    releases = config.stash.get(RELEASES, ())
    return {"etcd": str(releases[0].version) if releases else "", "afterfault": __version__}
