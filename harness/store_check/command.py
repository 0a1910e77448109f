"""``afterfault etcd-store``: the check as people and scripts call it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import click

from harness.clusters.backup_store import open_store
from harness.clusters.etcd_release import find_releases
from harness.store_check.check import Limits, check_store
from harness.store_check.words import text

_USUAL = Limits()


@click.group("etcd-store", context_settings={"help_option_names": ["-h", "--help"]})
def etcd_store() -> None:
    """Look at the backup store of a managed etcd cluster (etcd-manager, kops); nothing is ever written.

    \b
        afterfault etcd-store check STORE     before a `kops update cluster`
    """  # noqa: D301 click wants the character


@etcd_store.command()
@click.argument("store")
@click.option("--cluster", metavar="NAME", help="STORE is a kops state store; check this cluster's etcd `main` in it")
@click.option("--etcd", default="main", show_default=True, metavar="WHICH", help="with --cluster: `main` or `events`")
@click.option(
    "--max-age", type=click.FloatRange(min=0), default=_USUAL.max_age_seconds, metavar="SECONDS", show_default=True,
    help="an older newest valid backup is a danger",
)  # fmt: skip
@click.option(
    "--newest", type=click.IntRange(min=0), default=_USUAL.least, metavar="N", show_default=True,
    help="fetch and examine the N newest backups, and further back until one is valid; 0 for all",
)  # fmt: skip
@click.option("--etcd-dir", multiple=True, type=click.Path(path_type=Path), help="folder with etcdutl, as for pytest")
@click.option("--json", "as_json", is_flag=True, help="for machines; docs/etcd-store-check.md has the fields")
def check(
    store: str,
    *,
    cluster: str | None,
    etcd: str,
    max_age: float,
    newest: int,
    etcd_dir: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Would a write of the spec found a new, empty cluster now? When was the last backup that can be restored?

    Ask this before `kops update cluster`, before a manager is restarted, and every few minutes from a monitor.
    STORE is what etcd-manager has as --backup-store: a folder, file:///FOLDER, or s3://BUCKET/PATH.

    \b
        afterfault etcd-store check s3://state/prod.example.com/backups/etcd/main
        afterfault etcd-store check s3://state --cluster prod.example.com --etcd events
        afterfault etcd-store check /backups/etcd/main --max-age 1800 --json

    S3 is reached as etcd-manager reaches it: S3_ENDPOINT, S3_REGION, S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY;
    without S3_ENDPOINT it is S3 of AWS, with AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
    AWS_SESSION_TOKEN. Only GET is asked; s3:ListBucket and s3:GetObject are enough.

    A backup is valid when it unpacks, its checksum is right, `etcdutl snapshot status` takes it, its meta file can be
    parsed, there are keys in it, and it is of the cluster that the spec and the other backups are of.

    \b
    Exit codes:
      0  good
      1  dangerous: says why, and what to do
      2  wrong usage
      3  the store does not answer, or refuses
      4  no etcdutl on this machine
    """  # noqa: D301 click wants the character
    releases = find_releases(etcd_dir)
    with open_store(_address(store, cluster, etcd), os.environ) as opened:
        report = check_store(opened, releases, time.time(), Limits(max_age, newest))
    click.echo(json.dumps(report.to_json(), indent=2) if as_json else text(report))
    sys.exit(0 if report.good else 1)


def _address(store: str, cluster: str | None, etcd: str) -> str:
    """As kops lays it out: ``<state store>/<cluster>/backups/etcd/<main or events>``."""
    return store if cluster is None else f"{store.rstrip('/')}/{cluster}/backups/etcd/{etcd}"
