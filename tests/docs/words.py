"""Whether the words of a command make sense, without running it: programs, options, sessions, files."""

from __future__ import annotations

import ast
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest
from _pytest.config.exceptions import PrintHelp

from harness.cli import main
from tests.docs.pages import ROOT
from tests.docs.plan import MADE

_BETWEEN = {"&&", "||", "|", ";"}
# What may stand in a page and need not be on the machine that reads it.
_ELSEWHERE = {"kubectl", "docker", "kind", "go", "kops", "aws", "npx", "gh", "act"}
_BUILT_IN = {"cd", "export", "eval", "source", ".", "test", "["}
_NOX_OPTIONS = {"-s", "--list"}
# What a session of nox hands its own words to.
_SESSIONS = {
    "scenarios": ("pytest", "scenarios"),
    "tests": ("pytest", "tests"),
    "images": ("afterfault", "images", "build"),
    "nightly": ("afterfault", "nightly"),
}


class WordsWrong(Exception):
    """A command that can't be typed as it stands; the message says why."""


def check(command: str, config: pytest.Config) -> None:
    """Look at a command of the docs as a shell would, as far as that goes without running it.

    Raises:
        WordsWrong: a program, an option, a session or a file that it names is not there.
    """
    for part in parts_of(command):
        _check_call(part, config)


def parts_of(command: str) -> Iterator[list[str]]:
    """The calls of a command line, each without the variables set before it."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise WordsWrong(f"{command}: {error}") from error
    call: list[str] = []
    for word in [*words, ";"]:
        if word not in _BETWEEN:
            call.append(word)
            continue
        yield _without_variables(call)
        call = []


def _without_variables(words: list[str]) -> list[str]:
    first = next((number for number, word in enumerate(words) if "=" not in word.split("/")[0]), len(words))
    return words[first:]


def _check_call(words: Sequence[str], config: pytest.Config) -> None:
    if not words or words[0] in _BUILT_IN | _ELSEWHERE:
        return
    program, rest = words[0].removeprefix(".venv/bin/"), list(words[1:])
    if program == "sudo":
        _check_call(rest, config)
    elif program.endswith("afterfault"):
        check_afterfault(rest)
    elif program.endswith("pytest"):
        check_pytest(rest, config)
    elif program == "nox":
        _check_nox(rest, config)
    elif "/" in program:
        _check_script(program, rest)
    elif shutil.which(program) is None:
        raise WordsWrong(f"there is no {program}")


def check_afterfault(words: Sequence[str]) -> None:
    """Resolve the command and have it parse its words; nothing is called.

    Raises:
        WordsWrong: there is no such command, or it does not take these words.
    """
    command: click.Command = main
    context = click.Context(main, info_name="afterfault")
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        if found is None:
            raise WordsWrong(f"afterfault {' '.join(words)}: there is no {rest[0]}")
        command, context = found, click.Context(found, info_name=rest[0], parent=context)
        rest = rest[1:]
    try:
        with pytest.MonkeyPatch.context() as patch:
            # a page may speak of files that the reader has
            patch.setattr(click.Path, "convert", lambda _self, value, _param, _ctx: Path(value))
            patch.setattr(click.File, "convert", lambda _self, value, _param, _ctx: value)
            command.make_context(context.info_name, rest, parent=context.parent)
    except click.exceptions.Exit:
        pass  # --help and --version end at once
    except click.UsageError as error:
        raise WordsWrong(f"afterfault {' '.join(words)}: {error.format_message()}") from error


def check_pytest(words: Sequence[str], config: pytest.Config) -> None:
    """Have the parser of this very run, which knows the harness's options, parse the words.

    Raises:
        WordsWrong: an option or a path that is not there.
    """
    try:
        told = config._parser.parse(list(words))
    except PrintHelp:
        return
    except (pytest.UsageError, SystemExit) as error:
        raise WordsWrong(f"pytest {' '.join(words)}: {error}") from error
    for path in told.file_or_dir:
        _check_path(path.partition("::")[0])


def _check_nox(words: list[str], config: pytest.Config) -> None:
    more = words[words.index("--") + 1 :] if "--" in words else []
    own = words[: words.index("--")] if "--" in words else words
    sessions = [own[number + 1] for number, word in enumerate(own[:-1]) if word == "-s"]
    unknown = [word for word in own if word.startswith("-") and word not in _NOX_OPTIONS]
    if unknown:
        raise WordsWrong(f"nox does not know {', '.join(unknown)}")
    if not sessions:
        raise WordsWrong(f"nox {' '.join(words)}: no session is named")
    for session in sessions:
        if session not in nox_sessions():
            raise WordsWrong(f"nox -s {session}: noxfile.py has no such session")
        if session in _SESSIONS:
            _check_call([*_SESSIONS[session], *more], config)


def nox_sessions() -> set[str]:
    """Functions of noxfile.py that are sessions."""
    functions = [
        node for node in ast.parse((ROOT / "noxfile.py").read_text()).body if isinstance(node, ast.FunctionDef)
    ]
    return {node.name for node in functions if any("session" in ast.unparse(how) for how in node.decorator_list)}


def _check_script(program: str, words: Sequence[str]) -> None:
    if program.startswith("./"):  # the reader's own
        return
    _check_path(program)
    text = (ROOT / program).read_text(encoding="utf-8") if (ROOT / program).is_file() else ""
    unknown = [word for word in words if word.startswith("-") and word not in text]
    if unknown:
        raise WordsWrong(f"{program} does not know {', '.join(unknown)}")


def _check_path(path: str) -> None:
    if path.isupper() or "NAME" in path:  # stands for something
        return
    if not path.startswith(("/", "..", *MADE)) and not (ROOT / path).exists():
        raise WordsWrong(f"{path} is not there")
