"""The words of a call, as frozen values."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from harness.tools.reference.manager.variants import VARIANTS, Behaviour


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports on the machine's address; the defaults are etcd-manager's."""

    client: int = 4001
    quarantine: int = 8001
    peer: int = 2380
    orders: int = 8000


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Where backups and control files lie.

    Args:
        variant: one of `VARIANTS`.
        backups: URL, as ``file:///...`` or ``s3://bucket/prefix``.
        control: URL of the control store, where one was given.
    """

    variant: str
    backups: str
    control: str

    @property
    def behaviour(self) -> Behaviour:
        """Of the variant."""
        return VARIANTS[self.variant]

    @property
    def control_url(self) -> str:
        """Where this variant keeps its control files."""
        return self.control if self.control and self.behaviour.control_apart else self.backups


@dataclass(frozen=True, slots=True)
class Options:
    """A manager's own.

    Args:
        store: where backups and control files lie.
        manager_id: for ``<data-dir>/myid`` where there is none yet.
        address: its machine's.
        discovery: folder that all managers of a cluster share.
        data_dir: everything it keeps on its machine.
        etcd_dir: folder with etcd, etcdctl and etcdutl.
        loop_seconds: rest between two passes that changed nothing.
        backup_seconds: from one backup to the next.
        keep_backups: the newest so many stay in the store.
        ports: on its address.
    """

    store: StoreOptions
    manager_id: str
    address: str
    discovery: Path
    data_dir: Path
    etcd_dir: Path
    loop_seconds: float
    backup_seconds: float
    keep_backups: int
    ports: Ports


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The words of a call; ends the process with exit code 2 where they are wrong."""
    parser = argparse.ArgumentParser(prog="manager", description=__doc__)
    does = parser.add_subparsers(dest="does", required=True)
    _add_run(does.add_parser("run", help="supervise this machine's etcd"))
    _add_ctl(does.add_parser("ctl", help="what an operator asks of the managers"))
    return parser.parse_args(words)


def store_options(words: argparse.Namespace) -> StoreOptions:
    """Of both `run` and `ctl`."""
    return StoreOptions(words.variant, words.backup_store, words.control_store)


def run_options(words: argparse.Namespace) -> Options:
    """Of `run`."""
    return Options(
        store_options(words),
        words.id,
        words.address,
        words.discovery.resolve(),
        words.data_dir.resolve(),
        words.etcd_dir.resolve(),
        words.loop_seconds,
        words.backup_seconds,
        words.keep_backups,
        Ports(words.client_port, words.quarantine_port, words.peer_port, words.orders_port),
    )


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variant", choices=sorted(VARIANTS), default="wishes")
    parser.add_argument("--backup-store", required=True, metavar="URL")
    parser.add_argument("--control-store", default="", metavar="URL")


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_store(parser)
    parser.add_argument("--id", required=True, help="kept in <data-dir>/myid; the lowest leads")
    parser.add_argument("--address", required=True)
    for folder in ("--discovery", "--data-dir", "--etcd-dir"):
        parser.add_argument(folder, required=True, type=Path, metavar="DIR")
    parser.add_argument("--loop-seconds", type=float, default=0.2)
    parser.add_argument("--backup-seconds", type=float, default=1.0)
    parser.add_argument("--keep-backups", type=int, default=1000)
    usual = Ports()
    parser.add_argument("--client-port", type=int, default=usual.client)
    parser.add_argument("--quarantine-port", type=int, default=usual.quarantine)
    parser.add_argument("--peer-port", type=int, default=usual.peer)
    parser.add_argument("--orders-port", type=int, default=usual.orders)


def _add_ctl(parser: argparse.ArgumentParser) -> None:
    _add_store(parser)
    verbs = parser.add_subparsers(dest="verb", required=True)
    configure = verbs.add_parser("configure-cluster")
    configure.add_argument("--member-count", type=int, default=0)
    configure.add_argument("--etcd-version", default="")
    for verb in ("get", "list-backups", "list-commands"):
        verbs.add_parser(verb)
    for verb in ("restore-backup", "delete-command"):
        verbs.add_parser(verb).add_argument("backup")
