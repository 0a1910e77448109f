"""The options of a run: what they are called, whether their words make sense, what this machine has of them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from harness.admission import clusters_at_once
from harness.clusters.kind_binaries import named_kind, named_kubectl
from harness.errors import HarnessError, MachineError, UsageError
from harness.nodeimage.s3_server import find_s3_server
from harness.plugin.builds import add_build_options, is_exclusive
from harness.plugin.help import TITLE
from harness.shards import OPTION as DURATIONS
from harness.shards import read_durations
from harness.spec import KindSpec
from harness.stages.kind import kind_setup
from harness.stages.stage import KindWords
from harness.sweep import Choice
from harness.tools.deploy_tool import REPLACE_CONTROL_PLANE, REPLACE_NODE, replace_command

# Why a run was ended before anything was made: its exit code.
REFUSED = pytest.StashKey[int]()
# Plays that another machine plays: not run here, and not left out either.
OF_OTHER_SHARDS = pytest.StashKey[frozenset[str]]()
DEFAULT_CUTS = "sample:4"
_NEEDS = ("etcd", "docker", "kind", "s3", "pages")
# A replacement of a control plane takes a minute or two; a recovery joins two machines.
MEMBER_SECONDS, CONTROL_PLANE_SECONDS = 60.0, 600.0
# What a user's own command is asked to do, by its option.
OWN_COMMANDS = {REPLACE_NODE: "--replace-command", REPLACE_CONTROL_PLANE: "--replace-control-plane-command"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options users and CI hold on to; docs/architecture.md explains each."""
    group = parser.getgroup("afterfault", TITLE)
    group.addoption("--run-dir", default="", metavar="DIR", help="leave the run here (default: runs/<time>)")
    group.addoption("--seed", type=int, default=None, help="feeds every random choice (default: drawn and printed)")
    group.addoption(
        "--keep", nargs="?", const="always", default="no", choices=("no", "always", "on-failure"),
        help="leave clusters up to look at; `afterfault gc` removes them",
    )  # fmt: skip
    group.addoption(
        "--require", default="", metavar="NEED,..", help=f"a missing need is an error, not a skip: {', '.join(_NEEDS)}"
    )
    _add_choice_options(group)
    group.addoption(
        "--etcd-dir", action="append", default=[], metavar="DIR",
        help="folder with etcd, etcdctl and etcdutl; may be given more than once",
    )  # fmt: skip
    group.addoption("--replace-command", metavar="CMD", help="put your own node replacement under test")
    group.addoption(
        "--replace-control-plane-command",
        metavar="CMD",
        help="put your own control plane replacement under test (kind)",
    )
    group.addoption(
        "--cuts",
        default=DEFAULT_CUTS,
        metavar="WHICH",
        help=f"where a swept start is cut: all, sample:N, or a cut point's ID (default: {DEFAULT_CUTS})",
    )
    add_build_options(group)
    group.addoption(
        "--node-image", metavar="REF", help="node image for kind clusters (default: the preferred one here)"
    )
    group.addoption("--kind", metavar="PATH", help="the kind binary (default: the one `afterfault images build` made)")
    group.addoption("--kubectl", metavar="PATH", help="the kubectl binary (default: likewise)")
    group.addoption(
        "--kind-at-once",
        type=int,
        default=None,
        metavar="N",
        help="kind clusters up at the same time (default: one for every two cores, if they fit)",
    )
    group.addoption(
        "--replace-timeout",
        type=float,
        default=None,
        metavar="SECONDS",
        help=f"kill it after that long (default: {MEMBER_SECONDS:.0f}; control planes {CONTROL_PLANE_SECONDS:.0f})",
    )


def _add_choice_options(group: pytest.OptionGroup) -> None:
    """Which cases, and how often."""
    group.addoption("--case", metavar="ID", help="play this case only; `afterfault repro ID` fills it in")
    group.addoption(
        "--repeat", type=int, default=1, metavar="N",
        help="play every case N times, each with a seed of its own; tells flakes, changes no verdict",
    )  # fmt: skip
    group.addoption("--shard-index", type=int, default=0, metavar="I", help="run the I-th part of the cases, from 0")
    group.addoption("--shard-count", type=int, default=1, metavar="N", help="of N parts")
    group.addoption(
        DURATIONS,
        metavar="RUN|FILE",
        help="make the parts equally long, by what cases took there (default: by turns)",
    )


def check_words(config: pytest.Config) -> None:
    """Whether the words of the call make sense, before anything is started.

    Raises:
        UsageError: they don't.
        MachineError: what --require asks for is not here.
    """
    unknown = required(config) - set(_NEEDS)
    if unknown:
        raise UsageError(f"--require {', '.join(sorted(unknown))}: known needs are {', '.join(_NEEDS)}")
    index, count = config.getoption("--shard-index"), config.getoption("--shard-count")
    if not 0 <= index < count:
        raise UsageError(f"--shard-index {index} is not one of 0 to {count - 1}")
    if config.getoption(DURATIONS) is not None:
        read_durations(Path(config.getoption(DURATIONS)))
    if config.getoption("--repeat") < 1:
        raise UsageError(f"--repeat {config.getoption('--repeat')} is not a number of plays", mend="give it 1 or more")
    Choice(config.getoption("--cuts"), 0)
    # An empty one is an unset variable of a CI job, which must not end in testing the reference tools instead.
    timeout = config.getoption("--replace-timeout")
    for option in OWN_COMMANDS.values():
        if config.getoption(option) is not None:
            replace_command(config.getoption(option), MEMBER_SECONDS if timeout is None else timeout, option)
    _check_kind_words(config)
    if os.name != "posix" or not Path("/proc").exists():
        raise MachineError("etcd clusters here need Linux: every node has its own address in 127.0.0.0/8")
    if required(config) & {"docker", "kind"} or config.getoption("--node-image") is not None:
        check_kind(config)
    if "s3" in required(config):
        find_s3_server()


def _check_kind_words(config: pytest.Config) -> None:
    at_once = config.getoption("--kind-at-once")
    if at_once is not None and at_once < 1:
        raise UsageError(f"--kind-at-once {at_once} is not a number of clusters", mend="give it 1 or more")
    words = kind_words(config)
    if words.node_image is not None and not words.node_image.strip():
        raise UsageError("--node-image is empty", mend="leave --node-image out, or give it the name of an image")
    if words.kind is not None:
        named_kind(words.kind)
    if words.kubectl is not None:
        named_kubectl(words.kubectl)


def required(config: pytest.Config) -> set[str]:
    """What must not be missing."""
    return set(filter(None, config.getoption("--require").split(",")))


def kind_words(config: pytest.Config) -> KindWords:
    """What the user named for kind clusters."""
    return KindWords(*(config.getoption(option) for option in ("--node-image", "--kind", "--kubectl")))


def check_kind(config: pytest.Config) -> None:
    """Whether kind clusters can be made here.

    Raises:
        MachineError: something is missing; says what mends it.
        UsageError: what the user named is not what it should be.
    """
    kind_setup(kind_words(config), KindSpec()).engine.close()


def skip_without_kind(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Cases on kind join in where it is there; --require makes its absence an error instead."""
    on_kind = [item for item in items if item.get_closest_marker("kind") and _is_selected(config, item)]
    if not on_kind:
        return
    try:
        check_kind(config)
    except HarnessError as error:
        if required(config) & {"docker", "kind"}:
            pytest.exit(f"afterfault: {error}", returncode=error.exit_code)
        for item in on_kind:
            item.add_marker(pytest.mark.skip(reason=f"kind is not ready here: {error}"))


def skip_without_s3(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Cases over an S3 store join in where the server was built; --require s3 makes its absence an error instead."""
    over_s3 = [item for item in items if _is_over_s3(item) and _is_selected(config, item)]
    if not over_s3:
        return
    try:
        find_s3_server()
    except MachineError as error:
        if "s3" in required(config):
            pytest.exit(f"afterfault: {error}", returncode=error.exit_code)
        for item in over_s3:
            item.add_marker(pytest.mark.skip(reason=f"no S3 server here: {error}"))


def _is_over_s3(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    return call is not None and "case" in call.params and getattr(call.params["case"].cluster, "store", "") == "s3"


def select_case(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the case that ``--case`` names, if it does, or one play of it; the run ends when there is none such."""
    wanted = config.getoption("--case")
    if wanted is None:
        return
    ids = [wanted if wanted in _names(item) else "" for item in items]
    if wanted not in ids:
        known = dict.fromkeys(name for item in items for name in _names(item)[:1])
        near = ", ".join(difflib.get_close_matches(wanted, known, 3, 0.0))
        error = UsageError(f"--case {wanted}: no such case here", mend=f"the nearest are {near}")
        config.stash[REFUSED] = error.exit_code
        pytest.exit(f"afterfault: {error}", returncode=error.exit_code)
    config.hook.pytest_deselected(items=[item for item, name in zip(items, ids, strict=True) if name != wanted])
    items[:] = [item for item, name in zip(items, ids, strict=True) if name == wanted]


def plays_of(config: pytest.Config, *, slow: bool, case_id: str = "") -> int:
    """How often a case is played; what is not going to be selected is not multiplied, which would take minutes."""
    wanted = config.getoption("--case")
    left_out = slow and "not slow" in config.option.markexpr
    other = wanted is not None and wanted.partition("~")[0] != case_id
    return 1 if left_out or other else int(config.getoption("--repeat"))


def _names(item: pytest.Item) -> tuple[str, ...]:
    """IDs of the item's case and of its play."""
    call = getattr(item, "callspec", None)
    if call is None:
        return ()
    told = getattr(getattr(item, "module", None), "case_told_by", None)  # of a story whose cases are no matrix
    case = call.params.get("case") or (told(**call.params) if told else None)
    return (case.case_id, case.play_id) if case else ()


def has_case(item: pytest.Item) -> bool:
    """Whether the item judges a case; the harness's own tests do not."""
    return bool(_names(item))


def case_of(item: pytest.Item) -> str:
    """ID of the item's case, whichever play of it; what `group_of` says where it has none."""
    return next(iter(_names(item)), group_of(item.nodeid))


def play_of(item: pytest.Item) -> str:
    """ID of the item's play; what `group_of` says where it has none."""
    names = _names(item)
    return names[1] if names else group_of(item.nodeid)


def kind_at_once(config: pytest.Config, nodeids: Iterable[str]) -> int:
    """How many kind clusters are up at once in a run of these tests; 1 where kind is not ready, and they are skipped.

    Raises:
        MachineError: they don't fit on this machine.
    """
    try:
        check_kind(config)
    except HarnessError:
        return 1
    cases = {group_of(nodeid): shape for nodeid in nodeids if (shape := KindSpec.size_in(nodeid))}
    # of those that want the engine for themselves only one is up at once
    alone = sorted((group for group in cases if is_exclusive(config, group)), key=lambda group: _nodes(cases[group]))
    return clusters_at_once(
        config.getoption("--kind-at-once"), [shape for group, shape in cases.items() if group not in alone[:-1]]
    )


def _nodes(shape: KindSpec) -> tuple[int, int]:
    return shape.control_planes, shape.workers


def group_of(nodeid: str) -> str:
    """What tests of one case have in common: the module and the case's label."""
    module, _, rest = nodeid.partition("::")
    return module + rest[rest.find("[") :] if "[" in rest else nodeid


def _is_selected(config: pytest.Config, item: pytest.Item) -> bool:
    return "slow" not in item.keywords or "not slow" not in config.option.markexpr
