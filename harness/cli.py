"""``afterfault``: what is done with runs, before and after them. Each command is loaded when it is called."""

from __future__ import annotations

from importlib import import_module

import click

from harness import __version__
from harness.errors import HarnessError

# Where each is: loading one takes a moment, and loading all of them a second.
_COMMANDS = {
    "bundle": "harness.commands.bundle:bundle",
    "doctor": "harness.commands.doctor:doctor",
    "etcd-store": "harness.store_check.command:etcd_store",
    "fan-out": "harness.commands.fan_out:fan_out",
    "gate": "harness.commands.gate:gate",
    "gc": "harness.commands.gc:gc",
    "history": "harness.commands.history:history",
    "images": "harness.nodeimage.commands:images",
    "ledger": "harness.commands.ledger:ledger",
    "merge": "harness.commands.merge:merge_command",
    "new": "harness.scaffold.command:new",
    "nightly": "harness.nightly.command:nightly",
    "rejudge": "harness.commands.rejudge:rejudge",
    "report": "harness.commands.report:report",
    "repro": "harness.commands.repro:repro",
}


class _Family(click.Group):
    """Loads a subcommand when it is asked for; turns an error of the harness into its sentence and its exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own
        """All of them, by name."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's own
        """One of them; None if there is none such."""
        module, _, name = _COMMANDS.get(cmd_name, "").partition(":")
        command: click.Command | None = getattr(import_module(module), name) if module else None
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the subcommand."""
        try:
            return super().invoke(ctx)
        except HarnessError as error:
            click.echo(f"afterfault: {error}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=_Family, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Bring about documented bad days, let your deploy tool recover, and prove whether the world came back.

    Runs are made by pytest; what is here comes before and after them:

    \b
        nox -s scenarios                                the main job
        pytest scenarios --replace-command ./my-play    your own node replacement under test
        afterfault doctor                               what this machine can run
        afterfault gate RUN                             may this build ship?

    Each command has its own --help, with examples. docs/tutorial.md is the way in.

    \b
    Exit codes, of runs and of commands where they say nothing else:
      0  all as expected
      1  a guarantee is broken, or a known defect changed
      2  wrong usage
      3  inconclusive, a problem of the harness, or nothing ran
      4  this machine can't run it
    """  # noqa: D301 click wants the character
