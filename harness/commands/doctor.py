"""``afterfault doctor``: what this machine can run."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from harness.clusters.etcd_release import find_releases
from harness.doctor import ETCD, KIND, S3, Examined, examine_etcd, examine_kind, examine_s3
from harness.nodeimage.s3_server import find_s3_server


@click.command()
@click.option("--only", type=click.Choice((ETCD, KIND, S3)), help="look at what these scenarios need, and nothing else")
@click.option("--json", "as_json", is_flag=True, help="for machines: a list of {group, what, good, seen, mend}")
@click.option("--etcd-dir", multiple=True, type=click.Path(path_type=Path), help="as for pytest")
def doctor(only: str | None, etcd_dir: tuple[Path, ...], *, as_json: bool) -> None:
    """Say what this machine can run, and the command that mends what it can't; nothing is changed.

    docs/machine.md says of each thing that is looked at why it is.

    \b
        afterfault doctor
        afterfault doctor --only etcd
        afterfault doctor --json

    \b
    Exit codes: 0 nothing is missing; 2 wrong usage; 4 something is.
    """  # noqa: D301 click wants the character
    findings: list[Examined] = []
    if only in (None, ETCD):
        findings += examine_etcd(lambda: find_releases(etcd_dir), Path.cwd())
    if only in (None, KIND):
        findings += examine_kind()
    if only in (None, S3):
        findings += examine_s3(find_s3_server)
    click.echo(_as_json(findings) if as_json else _told(findings))
    sys.exit(0 if all(finding.good for finding in findings) else 4)


def _as_json(findings: list[Examined]) -> str:
    told = [asdict(finding) | ({"mend": ""} if finding.good else {}) for finding in findings]
    return json.dumps(told, indent=2)


def _told(findings: list[Examined]) -> str:
    lines: list[str] = []
    for finding in findings:
        title = f"{finding.group} scenarios"
        if title not in lines:
            lines.append(title)
        lines.append(f"  {'ok     ' if finding.good else 'MISSING'} {finding.what}: {finding.seen}")
        if not finding.good:
            lines.append(f"          mend: {finding.mend}")
    return "\n".join(lines)
