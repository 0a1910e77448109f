"""``afterfault new``: what is written for those who begin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from harness.scaffold import FAMILIES, Scaffold, clone_above, incident_file

_WRITTEN = ("the story: given, when, then", "the defect that it has to catch")
_NEXT = (
    ("pytest scenarios/{name} -v", "play it: what is faithful is kept, what is not is red as known"),
    ("scripts/expected-cases --write", "its cases are expected from now on: a gate can miss them"),
    ("afterfault repro {name}/{red} --run RUN", "play the red one again, RUN being the folder the first one named"),
)
_RED = {"etcd": "incident/3-relaxed", "kind": "wipe/kind-1-binary", "managed": "etcd-manager/managed-3-file"}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def new() -> None:
    """Write something to begin with.

    \b
        afterfault new scenario node_upgraded     a story on real etcd, ready to be played
    """  # noqa: D301 click wants the character


@new.command()
@click.argument("name")
@click.option(
    "--incident", default="", metavar="FILE", help="file name of the seed it replays  [default: the family's own]"
)
@click.option(
    "--family",
    type=click.Choice(FAMILIES),
    default=FAMILIES[0],
    show_default=True,
    help="played on bare etcd, on kind with a deploy tool, or on etcd in the hands of managers",
)
def scenario(name: str, incident: str, family: str) -> None:
    """Write a story that can be played as it is, with the defect that it has to catch.

    NAME is that of the story, its folder and its module. Written are scenarios/NAME/test_NAME.py and a line in
    scenarios/known_defects.yaml; nothing that is there is overwritten. Of FILE only the name goes into the
    project. The next three commands are printed; docs/write-a-scenario.md says what to change then.

    \b
        afterfault new scenario node_upgraded
        afterfault new scenario disk_full --incident 004_5f1c0b2ad9e37c44.txt
        afterfault new scenario stopped_for_a_week --family kind
        afterfault new scenario marker_lost --family managed

    \b
    Exit codes: 0 written; 2 a name that won't do or is taken, or no clone of afterfault around; 4 the clone
    can't be written.
    """  # noqa: D301 click wants the character
    scaffold = Scaffold(clone_above(Path.cwd()), name, incident_file(incident, family), family)
    scaffold.check()
    _tell("written:", zip(scaffold.write(), _WRITTEN, strict=True))
    filled = [(command.format(name=name, red=_RED[family]), why) for command, why in _NEXT]
    _tell("next:", filled)


def _tell(title: str, lines: Iterable[tuple[str, str]]) -> None:
    click.echo(title)
    for what, why in lines:
        click.echo(f"  {what}  # {why}")
