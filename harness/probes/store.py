"""What the store holds and whether it takes writes, node by node."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness.clusters.etcd import EtcdCluster, initial_cluster_of
from harness.clusters.etcd_client import CallFailed, CallUnknown
from harness.clusters.members import EtcdEndpoints, EtcdMachine
from harness.errors import ClusterError, NotInTime
from harness.journal import Journal
from harness.spec import EtcdSpec

_TIMEOUT_SECONDS = 2.0
_LONGEST = 300


def observe_serving(cluster: EtcdEndpoints[Any], journal: Journal) -> None:
    """Write through each running node and note who took it (``probe.serving``)."""
    nodes = cluster.running()
    answers = _each(nodes, lambda node: _try_write(cluster, node))
    journal.append("probe.serving", nodes={node.name: told for node, told in zip(nodes, answers, strict=True)})


def observe_keyspace(cluster: EtcdEndpoints[Any], journal: Journal) -> None:
    """Read all log keys through each running node (``probe.keyspace``).

    Linearizable where possible; where quorum is gone, the node's own copy, and the entry says so.
    A node that holds the same as the one before it is noted by that node's name only.
    """
    known: dict[tuple[tuple[str, int], ...], str] = {}
    nodes = cluster.running()
    for node, seen in zip(
        nodes, _each(nodes, lambda node: _read_log_keys(cluster, node, cluster.log_prefix)), strict=True
    ):
        keys: dict[str, int] | None = seen.pop("keys", None)
        if keys is not None:
            frozen = tuple(sorted(keys.items()))
            first = known.setdefault(frozen, node.name)
            seen |= {"keys": keys} if first == node.name else {"same_as": first}
        journal.append("probe.keyspace", node=node.name, **seen)


def observe_snapshot(cluster: EtcdEndpoints[Any], journal: Journal, file: Path, role: str) -> None:
    """Restore a snapshot into a scratch member, start it, and note what it holds (``probe.snapshot``).

    Where that member lives and is not healthy in its time, nothing is known of the snapshot
    (``probe.snapshot_unclear``): a machine may be that slow.

    Args:
        cluster: lends its release and ownership; is not touched.
        journal: where the observation goes.
        file: the snapshot; need not exist.
        role: what the snapshot is for, as ``before-change-1``.
    """
    seen: dict[str, Any] = {"role": role, "file": file.name, "exists": file.is_file(), "restorable": False}
    try:
        if file.is_file():
            seen |= _try_restore(cluster, file)
    except NotInTime as error:
        journal.append("probe.snapshot_unclear", role=role, file=file.name, why=str(error)[:_LONGEST])
        return
    journal.append("probe.snapshot", **seen)


def _each(nodes: list[EtcdMachine], ask: Callable[[EtcdMachine], dict[str, Any]]) -> list[dict[str, Any]]:
    """Ask all nodes at once: one that does not answer costs its timeout only once."""
    if not nodes:
        return []
    with ThreadPoolExecutor(len(nodes)) as pool:
        return list(pool.map(ask, nodes))


def _try_write(cluster: EtcdEndpoints[Any], node: EtcdMachine) -> dict[str, Any]:
    with cluster.client(node, _TIMEOUT_SECONDS) as client:
        try:
            header = client.put({f"afterfault/serving/{node.name}": "yes"})
        except (CallFailed, CallUnknown) as error:
            return {"serves": False, "error": str(error)[:160]}
    return {"serves": True, "cluster_id": header.cluster_id, "member_id": header.member_id}


def _read_log_keys(cluster: EtcdEndpoints[Any], node: EtcdMachine, prefix: str) -> dict[str, Any]:
    error = ""
    with cluster.client(node, _TIMEOUT_SECONDS) as client:
        for linearizable in (True, False):
            try:
                header, items = client.keys(prefix, linearizable=linearizable)
            except (CallFailed, CallUnknown) as failure:
                error = str(failure)[:160]
                continue
            keys = {item.key.removeprefix(prefix): item.mod_revision for item in items}
            return {
                "cluster_id": header.cluster_id,
                "revision": header.revision,
                "linearizable": linearizable,
                "keys": keys,
            }
    return {"error": error}


def _try_restore(cluster: EtcdEndpoints[Any], file: Path) -> dict[str, Any]:
    folder = cluster.work / f"scratch-{file.parent.name}-{file.stem}"
    spare = ScratchMember(cluster, folder)
    try:
        return spare.read(file)
    except NotInTime:
        raise
    except ClusterError as error:
        return {"restorable": False, "error": str(error)[-300:]}
    finally:
        spare.remove()


class ScratchMember:
    """A cluster of one, beside the one under test, whose journal nobody keeps.

    Args:
        cluster: lends its release and ownership; is not touched.
        folder: for all it writes; made here.

    Leaves behind: an etcd process and its folder, until `remove`.
    """

    def __init__(self, cluster: EtcdEndpoints[Any], folder: Path) -> None:
        self._folder, self._prefix = folder, cluster.log_prefix
        folder.mkdir(parents=True)
        journal = Journal(folder / "scratch.jsonl", lambda: 0.0)
        # nobody else votes: it need not wait for others as long as a cluster does
        alone = EtcdSpec(members=1, fsync=False, heartbeat_ms=20, election_ms=100)
        self._cluster = EtcdCluster(alone, cluster.release, folder / "member", journal, cluster.ownership)

    def read(self, file: Path) -> dict[str, Any]:
        """Restore a snapshot and say what it holds: ``restorable``, ``keys``, ``revision``, ``error``.

        Raises:
            NotInTime: it restores, and is not healthy in its time, or gives no answer.
            ClusterError: it does not restore, or does not start.
        """
        node = self._cluster.create_node()
        peers = initial_cluster_of([node])
        self._cluster.restore_snapshot(file, node, peers)
        node.start(peers, "new")
        self._cluster.await_healthy(node)
        seen = _read_log_keys(self._cluster, node, self._prefix)
        if "Timeout" in seen.get("error", ""):
            raise NotInTime(f"node {node.name} does not say what it holds: {seen['error']}")
        return {
            "restorable": "keys" in seen,
            "keys": seen.get("keys", {}),
            "revision": seen.get("revision", 0),
            "error": seen.get("error", ""),
        }

    def remove(self) -> None:
        """Stop it and remove what it has.

        Raises:
            ClusterError: something stays.
        """
        problems = self._cluster.remove()
        self._cluster.journal.seal()
        shutil.rmtree(self._folder)
        if problems:
            raise ClusterError("; ".join(problems))
