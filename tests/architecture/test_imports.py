"""The shape of the code: which room may import which, and the writing rules that can be counted."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = sorted(path for room in ("harness", "reports", "scenarios") for path in (ROOT / room).rglob("*.py"))

# What a room may import; each list is what lies below it.
VALUES = {"errors", "shapes", "spec", "cuts", "orders", "control_cells", "control_files", "run_folder", "kept"}
JUDGING = VALUES | {"journal", "judging"}
BASE = VALUES | {"journal", "waiting", "clusters"}
STAGES = BASE | {"heartbeat", "taps", "tools", "probes", "traffic", "judging", "nodeimage", "stages", "__init__"}
MAY_IMPORT = {
    "errors": set(),
    "orders": {"errors"},
    "control_cells": {"errors"},
    "control_files": set(),
    "shapes": {"errors"},
    "spec": {"errors", "orders", "shapes"},
    "cuts": {"errors"},
    "run_folder": {"errors"},
    "kept": {"errors"},
    "journal": VALUES,
    "waiting": {"errors"},
    "heartbeat": VALUES | {"journal", "waiting"},
    "room": {"errors", "waiting"},
    "clusters": BASE,
    "taps": BASE | {"taps"},
    "faults": BASE | {"taps", "faults"},
    "tools": BASE | {"taps", "tools"},
    "probes": BASE | {"taps", "probes"},
    "traffic": BASE | {"taps", "traffic"},
    "expectations": BASE | {"taps", "faults", "tools", "probes", "traffic", "expectations"},
    "stages": STAGES,
    "sweep": STAGES,
    "lab": STAGES | {"faults", "expectations", "sweep", "room"},
    "admission": BASE,
    "nodeimage": BASE | {"nodeimage"},
    "doctor": BASE | {"admission", "nodeimage", "doctor"},
    "store_check": BASE | {"store_check"},
    "scaffold": {"errors", "scaffold"},
    "shards": {"errors"},
    "fan_out": BASE | {"fan_out"},
    "replay": BASE | {"judging", "nodeimage", "tools", "reports", "replay", "__init__"},
    "nightly": JUDGING | {"waiting", "clusters", "nodeimage", "replay", "reports", "nightly"},
    "judging": JUDGING,
    "reports": JUDGING | {"reports"},
}
DOING = {
    "waiting",
    "heartbeat",
    "clusters",
    "taps",
    "faults",
    "tools",
    "probes",
    "traffic",
    "expectations",
    "stages",
    "sweep",
    "room",
    "lab",
}
DOING |= {"nodeimage", "fan_out"}


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[1] if parts[0] == "harness" else parts[0]


def imported_rooms(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" if node.module == "harness" else node.module for alias in node.names]
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "harness":
                yield ("__init__" if parts[1:] == ["__version__"] else parts[1]), node.lineno
            if parts[0] in ("reports", "scenarios"):
                yield parts[0], node.lineno


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down_only(path):
    allowed = MAY_IMPORT.get(room_of(path))
    if allowed is None:
        pytest.skip("wiring and stories may import everything")
    wrong = [f"line {line}: {room}" for room, line in imported_rooms(path) if room not in allowed]
    assert not wrong, f"{path.name} imports what is not below it: {wrong}"


def test_judging_and_reports_work_where_no_cluster_ever_was():
    for path in PRODUCT:
        if room_of(path) in ("judging", "reports"):
            assert not {room for room, _ in imported_rooms(path)} & DOING, path


def test_the_node_command_is_standard_library_only():
    path = ROOT / "harness/taps/node_command.py"
    assert not list(imported_rooms(path))
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_one_module_waits():
    for path in PRODUCT:
        text = path.read_text()
        if path.name != "waiting.py":
            assert "tenacity" not in text, path
            assert "time.sleep" not in text, path
            assert "clock.sleep" not in text, path


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))


def test_scenarios_have_no_loop_no_if_no_try():
    branching = (ast.For, ast.While, ast.If, ast.Try)
    for path in (ROOT / "scenarios").rglob("test_*.py"):
        for function in functions(path):
            assert not [node for node in ast.walk(function) if isinstance(node, branching)], (
                f"{path.name} {function.name}"
            )


def test_scenarios_name_their_incident():
    for path in (ROOT / "scenarios").rglob("test_*.py"):
        for function in functions(path):
            if function.name.startswith("test_"):
                assert "_" in (ast.get_docstring(function) or ""), f"{path.name} {function.name} has no docstring"
                assert ".txt" in (ast.get_docstring(function) or ""), f"{path.name} {function.name} names no incident"


def test_modules_and_functions_stay_small():
    for path in PRODUCT:
        assert path.read_text().count("\n") <= 300, path
        for function in functions(path):
            size = function.end_lineno - function.body[0].lineno + 1
            assert size <= 50, f"{path.name} {function.name}: {size} lines"


def test_nothing_catches_everything():
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                name = getattr(node.type, "id", "")
                assert node.type is not None, f"{path.name}:{node.lineno}"
                assert name not in ("Exception", "BaseException"), f"{path.name}:{node.lineno}"
