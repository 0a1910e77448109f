"""What an operator asks of the managers, through the store; the verbs are etcd-manager-ctl's."""

from __future__ import annotations

import argparse
import json
import os

from harness.clusters.backup_store import open_store
from harness.tools.reference.manager.backups import list_backups
from harness.tools.reference.manager.control_store import ControlError, ControlStore, Spec
from harness.tools.reference.manager.options import StoreOptions, store_options


def run(words: argparse.Namespace) -> None:
    """Do one verb; prints what it did.

    Raises:
        ControlError: there is no spec, or control files can't be read.
        StoreError, UsageError: the store does not answer, or is none.
    """
    options = store_options(words)
    control = ControlStore(open_store(options.control_url, os.environ))
    if words.verb == "configure-cluster":
        _configure(control, words.member_count, words.etcd_version)
    elif words.verb == "get":
        print(json.dumps(_spec(control).to_json()))
    elif words.verb == "restore-backup":
        if options.behaviour.checks_backup and not words.backup:
            raise ControlError("the name of a backup is needed")
        print(f"added restore-backup command: {control.add_restore(words.backup, _spec(control))}")
    elif words.verb == "list-backups":
        _list_backups(options)
    else:
        _commands(control, words.backup if words.verb == "delete-command" else "")


def _configure(control: ControlStore, member_count: int, etcd_version: str) -> None:
    known = control.spec()
    spec = Spec(
        member_count or (known.member_count if known else 1), etcd_version or (known.etcd_version if known else "")
    )
    if not spec.etcd_version:
        raise ControlError("--etcd-version is needed: the spec has none yet")
    control.write_spec(spec)
    print(f"set cluster spec to {json.dumps(spec.to_json())}")


def _spec(control: ControlStore) -> Spec:
    spec = control.spec()
    if spec is None:
        raise ControlError("cluster spec was not found - is this a new cluster?")
    return spec


def _list_backups(options: StoreOptions) -> None:
    for name in list_backups(open_store(options.backups, os.environ)):
        print(name)


def _commands(control: ControlStore, delete: str) -> None:
    wanted = control.wanted()
    if wanted.troubles:
        raise ControlError("; ".join(why for _, why in wanted.troubles))
    for command in wanted.commands:
        if not delete:
            print(f"{command.name} restore-backup {command.backup}")
        elif command.backup == delete:
            control.remove(command)
            print(f"deleted {command.name}")
