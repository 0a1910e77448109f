"""What several commands are told in the same words."""

from __future__ import annotations

from pathlib import Path

import click

RUN = click.argument("run", type=click.Path(path_type=Path))
LEDGER = click.option(
    "--ledger",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="hold reds against this ledger, not the run's own copy",
)
