"""Keys of a snapshot written into a running cluster, and leases counted, over etcd's JSON gateway."""

from __future__ import annotations

import base64
import shutil
import signal
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3

from harness.clusters.etcd_client import CallFailed, CallUnknown, EtcdClient
from harness.clusters.etcd_release import EtcdRelease
from harness.errors import WaitTimeout
from harness.tools.reference.manager.backups import BackupError
from harness.tools.reference.manager.etcd_process import EtcdProcess
from harness.tools.reference.manager.folder import State
from harness.tools.reference.manager.klog import LOG
from harness.tools.reference.manager.member import restore_aside
from harness.tools.reference.manager.orders import OrderRefused
from harness.tools.reference.manager.peers import Peer
from harness.waiting import until

# etcd takes 128 operations in one transaction by default (--max-txn-ops)
_AT_ONCE = 100
_CALL_SECONDS, _UP_SECONDS = 5.0, 15.0
# beside the four ports of a manager, on the same address
_READER_CLIENT_PORT, _READER_PEER_PORT = 8002, 8003
_FIRST_KEY = "\0"


def copy_keys(snapshot: bytes, release: EtcdRelease, url: str, folder: Path) -> int:
    """Start an etcd of its own from the snapshot, and write all its keys to a cluster.

    Args:
        snapshot: of etcd, unpacked.
        release: the etcd to read it with.
        url: a member of the cluster, on this machine or another.
        folder: for that etcd; empty again afterwards. What was left there by one that was killed goes first.

    Returns the number of keys.

    Raises:
        BackupError: the snapshot can't be read, or a key could not be written.
    """
    host = urllib3.util.parse_url(url).host
    reader = Peer("restore", "", f"http://{host}:{_READER_CLIENT_PORT}", "", f"http://{host}:{_READER_PEER_PORT}")
    process = EtcdProcess(folder)
    process.adopt([])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        _start(process, folder, snapshot, release, reader)
        return _copy(reader.client_url, url)
    except (OrderRefused, WaitTimeout, urllib3.exceptions.HTTPError) as error:
        raise BackupError(f"error copying keys: {error}") from error
    finally:
        LOG.info("stopping etcd that was reading backup")
        process.end(signal.SIGKILL)
        shutil.rmtree(folder)


def count_leases(url: str) -> int | None:
    """How many leases a cluster has; None when nobody tells."""
    try:
        with EtcdClient(url) as client:
            return len(client.leases())
    except (CallFailed, CallUnknown) as error:
        LOG.info("leases can't be counted: %s", error)
        return None


def _start(process: EtcdProcess, folder: Path, snapshot: bytes, release: EtcdRelease, reader: Peer) -> None:
    file, data_dir = folder / "snapshot.db", folder / "data"
    file.write_bytes(snapshot)
    state = State("restore", {reader.peer_id: reader.peer_url})
    restore_aside(release, file, data_dir, state, reader)
    LOG.info("starting etcd to read backup")
    process.start(
        [
            str(release.etcd), f"--name={reader.peer_id}", f"--data-dir={data_dir}",
            f"--listen-client-urls={reader.client_url}", f"--advertise-client-urls={reader.client_url}",
            f"--listen-peer-urls={reader.peer_url}", f"--initial-advertise-peer-urls={reader.peer_url}",
            f"--initial-cluster={state.initial_cluster}", "--logger=zap", "--unsafe-no-fsync",
        ]
    )  # fmt: skip
    with EtcdClient(reader.client_url) as client:
        until(
            lambda: client.healthy() or not process.running,
            what="the etcd that reads the backup",
            deadline_seconds=_UP_SECONDS,
        )


def _copy(source: str, target: str) -> int:
    LOG.info("copying etcd keys from backup-restore process to new cluster")
    copied, begin = 0, _FIRST_KEY.encode()
    while True:
        body = {"key": _b64(begin), "range_end": _b64(b"\0"), "limit": _AT_ONCE, "sort_target": "KEY"}
        found = _call(source, "/v3/kv/range", body | {"sort_order": "ASCEND"})
        items = found.get("kvs", [])
        if not items:
            return copied
        puts = [{"request_put": {"key": each["key"], "value": each.get("value", "")}} for each in items]
        _call(target, "/v3/kv/txn", {"success": puts})
        copied += len(items)
        begin = base64.b64decode(items[-1]["key"]) + b"\0"


def _call(url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = urllib3.request("POST", url + path, json=body, timeout=_CALL_SECONDS, retries=False)
    if response.status != HTTPStatus.OK:
        raise BackupError(f"error copying keys: {path}: {response.status} {response.data[:200]!r}")
    answer: dict[str, Any] = response.json()
    return answer


def _b64(key: bytes) -> str:
    return base64.b64encode(key).decode()
