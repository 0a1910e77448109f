"""`--help` teaches: each command has an example that its own parser takes, and says what its exit codes mean."""

import ast
import inspect
import re
import shlex
import textwrap

import click
import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.plugin.help import TITLE
from tests.docs.pages import ROOT, prose
from tests.docs.words import WordsWrong, check_afterfault, check_pytest

# A group's leaf commands answer for it.
_ALWAYS = {0, 2}


def tree(command=main, path=("afterfault",)):
    """All commands there are, each with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from tree(command.get_command(context, name), (*path, name))


COMMANDS = list(tree())
PATHS = [path for path, _ in COMMANDS]
LEAVES = [(path, command) for path, command in COMMANDS if not isinstance(command, click.Group)]


def names(value):
    return " ".join(value) if isinstance(value, tuple) else None


def shown(path):
    done = CliRunner().invoke(main, [*path[1:], "--help"], terminal_width=120)
    assert done.exit_code == 0, done.output
    return done.output


def examples(path):
    """Lines of the help that begin with a call of a command, comments taken off."""
    calls = re.findall(r"^ {2,}(afterfault .*)$", shown(path), re.MULTILINE)
    return [re.split(r"\s{2,}|\s#\s", call)[0] for call in calls]


def test_no_command_is_overlooked():
    assert {("afterfault", "gate"), ("afterfault", "etcd-store", "check"), ("afterfault", "ledger", "check")} <= {
        *PATHS
    }


@pytest.mark.parametrize("path", PATHS, ids=names)
def test_there_is_an_example_that_parses(path):
    called = " ".join(path)
    own = [line for line in examples(path) if line == called or line.startswith(called + " ")]
    assert own, f"`{called} --help` shows nobody how it is called"
    for line in examples(path):
        check_afterfault(line.split()[1:])


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=names)
def test_exit_codes_are_told(path, command):
    told = re.search(r"^ *Exit codes[^:]*:(.*?)(?:^ *$|\Z)", shown(path), re.MULTILINE | re.DOTALL)
    assert told, f"`{' '.join(path)} --help` has no paragraph `Exit codes:`"
    missing = (_ALWAYS | exit_codes_of(command)) - set(map(int, re.findall(r"\b\d\b", told[1])))
    assert not missing, f"not a word of exit code {missing}"


def exit_codes_of(command):
    """Figures in the exits of its function; what errors of the harness end with stands where they are."""
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(command.callback)))
    exits = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.exit", "ctx.exit")
    ]
    return {
        node.value
        for call in exits
        for node in ast.walk(call)
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool)
    }


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=names)
def test_every_word_is_explained(path, command):
    text = " ".join(shown(path).split())
    told = text.partition("]")[2] if "]" in text else text
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help, f"{param.opts[0]} of `{' '.join(path)}` has no help"
        elif param.required:
            word = param.make_metavar(click.Context(command)).strip("[].")
            assert told.count(word.split()[0]) >= 1, f"nothing is said of {word} in `{' '.join(path)} --help`"


@pytest.mark.parametrize("path", PATHS, ids=names)
def test_nothing_of_the_markup_shows(path):
    text = shown(path)
    assert "\\b" not in text
    assert "\b" not in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_first_page_lists_every_command_and_the_exit_codes():
    text = shown(("afterfault",))
    for name in main.list_commands(click.Context(main)):
        assert f"\n  {name} " in text
    for code in range(5):
        assert re.search(rf"^ +{code}  \w", text, re.MULTILINE)


def group_of_options(pytestconfig):
    return next(group for group in pytestconfig._parser._groups if group.name == "afterfault")


def test_pytest_options_are_explained_here_and_in_the_docs(pytestconfig):
    documented = prose(ROOT / "docs" / "architecture.md")
    for option in group_of_options(pytestconfig).options:
        (name,) = option.names()
        assert option.attrs().get("help"), f"{name} has no help"
        assert f"`{name}" in documented, f"docs/architecture.md (Options of pytest) does not know {name}"


def test_pytest_help_shows_calls_and_exit_codes(pytestconfig):
    assert TITLE in pytestconfig._parser.optparser.format_help()
    calls = re.findall(r"^  pytest (.*?)(?:\s{2,}.*)?$", TITLE, re.MULTILINE)
    assert len(calls) >= 3
    for call in calls:
        check_pytest(shlex.split(call), pytestconfig)
    for code in range(5):
        assert f" {code} " in TITLE.partition("exit codes")[2]


@pytest.mark.parametrize(
    "words",
    ["juggle", "gate", "gate RUN --fast", "new scenario", "images build --colour red", "rejudge RUN RUN"],
)
def test_the_parser_of_examples_refuses(words):
    with pytest.raises(WordsWrong):
        check_afterfault(words.split())


@pytest.mark.parametrize("words", ["scenarios --fast", "scenarios --seed many", "no/such/folder", "--cuts"])
def test_the_parser_of_pytest_calls_refuses(words, pytestconfig):
    with pytest.raises(WordsWrong):
        check_pytest(words.split(), pytestconfig)
