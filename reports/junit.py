"""One ``junit.xml`` of several, as pytest writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from harness.errors import UsageError

_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def merge_junit(files: Sequence[Path], into: Path) -> None:
    """Unite the suites of runs; a test that stands in two of them counts once.

    Args:
        files: of the runs; one that does not exist is left out, as a run that was killed has none.
        into: the file to write; not written where there is none to unite.

    Raises:
        UsageError: one is broken.
    """
    suites = [suite for file in files if file.exists() for suite in _suites(file)]
    if not suites:
        return
    tests: dict[tuple[str, str], ElementTree.Element] = {}
    for suite in suites:
        for test in suite.iter("testcase"):
            tests.setdefault((test.get("classname", ""), test.get("name", "")), test)
    united = ElementTree.Element("testsuite", {**suites[0].attrib, **_counts(list(tests.values()))})
    united.extend(tests.values())
    # the machines worked at the same time: together it took as long as the longest
    united.set("time", max((suite.get("time", "0") for suite in suites), key=float))
    united.set("timestamp", min(suite.get("timestamp", "") for suite in suites))
    root = ElementTree.Element("testsuites", {"name": "pytest tests"})
    root.append(united)
    ElementTree.ElementTree(root).write(into, encoding="utf-8", xml_declaration=True)


def _suites(file: Path) -> list[ElementTree.Element]:
    try:
        return list(ElementTree.parse(file).getroot().iter("testsuite"))
    except ElementTree.ParseError as error:
        raise UsageError(f"{file} is broken: {error}") from error


def _counts(tests: Sequence[ElementTree.Element]) -> dict[str, str]:
    told = {name: sum(test.find(child) is not None for test in tests) for name, child in _COUNTED.items()}
    return {name: str(number) for name, number in {**told, "tests": len(tests)}.items()}
