"""What a run was played on, read from its journals: releases of etcd and Kubernetes, node images, tools."""

from __future__ import annotations

from collections.abc import Iterator

from harness.journal import Entry
from harness.spec import REFERENCE, EtcdSpec
from reports.run import CaseResult, RunResult

_IMAGE = "--image="
# Orders of membership changes are walked by the harness itself.
_BY_STEP = "stepwise"


def played_on(run: RunResult) -> list[tuple[str, str]]:
    """Names and values for a header, without those that nothing in the run was played on."""
    bare = any(isinstance(case.spec.cluster, EtcdSpec) for case in run.cases)
    pairs = [
        ("etcd", run.facts.etcd if bare or not run.cases else ""),
        ("Kubernetes", _joined(_kubernetes(run))),
        ("node image", _joined(_images(run))),
        ("tool", _joined(_tools(run))),
    ]
    return [(name, value) for name, value in pairs if value]


def target_of(run: RunResult) -> str:
    """Who was under test: tools that say which version they are, others by their label, ``reference`` for our own."""
    told = {
        f"{target.tool} {target.version}" if target.version else target.label
        for case in run.cases
        if (target := case.spec.target).tool not in (REFERENCE, _BY_STEP)
    }
    return ", ".join(sorted(told)) or (REFERENCE if run.cases else "")


def kubernetes_of(run: RunResult) -> str:
    """Versions that its nodes told."""
    return _joined(_kubernetes(run))


def _kubernetes(run: RunResult) -> Iterator[str]:
    for case in run.cases:
        for entry in _of(case, "probe.k8s.nodes"):
            yield from (str(node["version"]) for node in entry.data.get("nodes", {}).values() if node.get("version"))


def _images(run: RunResult) -> Iterator[str]:
    for case in run.cases:
        for entry in _of(case, "tap.command"):
            words = [*entry.data.get("changed", ()), *entry.data.get("argv", ())]
            if entry.data["call"] == "kind create cluster":
                yield from (word.removeprefix(_IMAGE) for word in words if word.startswith(_IMAGE))
        for entry in _of(case, "cluster.creating"):
            if image := entry.data.get("image"):
                yield str(image)


def _tools(run: RunResult) -> Iterator[str]:
    """Of a tool that says which version it is."""
    for case in run.cases:
        if case.spec.target.version:
            yield f"{case.spec.target.tool} {case.spec.target.version}"


def _of(case: CaseResult, kind: str) -> Iterator[Entry]:
    return (entry for entry in case.entries if entry.kind == kind)


def _joined(values: Iterator[str]) -> str:
    return ", ".join(sorted(set(values)))
