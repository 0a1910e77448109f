"""What the store holds and whether it takes writes, node by node."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness.clusters.etcd import EtcdCluster, initial_cluster_of
from harness.clusters.etcd_client import CallFailed, CallUnknown
from harness.clusters.members import EtcdMembers, MemberNode
from harness.errors import ClusterError
from harness.journal import Journal
from harness.spec import EtcdSpec

_TIMEOUT_SECONDS = 2.0


def observe_serving(cluster: EtcdMembers[MemberNode], journal: Journal) -> None:
    """Write through each running node and note who took it (``probe.serving``)."""
    nodes = cluster.running()
    answers = _each(nodes, lambda node: _try_write(cluster, node))
    journal.append("probe.serving", nodes={node.name: told for node, told in zip(nodes, answers, strict=True)})


def observe_keyspace(cluster: EtcdMembers[MemberNode], journal: Journal) -> None:
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


def observe_snapshot(cluster: EtcdMembers[MemberNode], journal: Journal, file: Path, role: str) -> None:
    """Restore a snapshot into a scratch member, start it, and note what it holds (``probe.snapshot``).

    Args:
        cluster: lends its release and ownership; is not touched.
        journal: where the observation goes.
        file: the snapshot; need not exist.
        role: what the snapshot is for, as ``before-change-1``.
    """
    seen: dict[str, Any] = {"role": role, "file": file.name, "exists": file.is_file(), "restorable": False}
    if file.is_file():
        seen |= _try_restore(cluster, file)
    journal.append("probe.snapshot", **seen)


def _each(nodes: list[MemberNode], ask: Callable[[MemberNode], dict[str, Any]]) -> list[dict[str, Any]]:
    """Ask all nodes at once: one that does not answer costs its timeout only once."""
    if not nodes:
        return []
    with ThreadPoolExecutor(len(nodes)) as pool:
        return list(pool.map(ask, nodes))


def _try_write(cluster: EtcdMembers[MemberNode], node: MemberNode) -> dict[str, Any]:
    with cluster.client(node, _TIMEOUT_SECONDS) as client:
        try:
            header = client.put({f"afterfault/serving/{node.name}": "yes"})
        except (CallFailed, CallUnknown) as error:
            return {"serves": False, "error": str(error)[:160]}
    return {"serves": True, "cluster_id": header.cluster_id, "member_id": header.member_id}


def _read_log_keys(cluster: EtcdMembers[Any], node: MemberNode, prefix: str) -> dict[str, Any]:
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


def _try_restore(cluster: EtcdMembers[MemberNode], file: Path) -> dict[str, Any]:
    folder = cluster.work / f"scratch-{file.parent.name}-{file.stem}"
    spare = _ScratchMember(cluster, folder)
    try:
        return spare.read(file)
    except ClusterError as error:
        return {"restorable": False, "error": str(error)[-300:]}
    finally:
        spare.remove()


class _ScratchMember:
    """A cluster of one, beside the one under test, whose journal nobody keeps."""

    def __init__(self, cluster: EtcdMembers[MemberNode], folder: Path) -> None:
        self._folder, self._prefix = folder, cluster.log_prefix
        folder.mkdir(parents=True)
        journal = Journal(folder / "scratch.jsonl", lambda: 0.0)
        self._cluster = EtcdCluster(
            EtcdSpec(members=1, fsync=False), cluster.release, folder / "member", journal, cluster.ownership
        )

    def read(self, file: Path) -> dict[str, Any]:
        node = self._cluster.create_node()
        peers = initial_cluster_of([node])
        self._cluster.restore_snapshot(file, node, peers)
        node.start(peers, "new")
        self._cluster.await_healthy(node)
        seen = _read_log_keys(self._cluster, node, self._prefix)
        return {"restorable": "keys" in seen, "keys": seen.get("keys", {}), "error": seen.get("error", "")}

    def remove(self) -> None:
        problems = self._cluster.remove()
        self._cluster.journal.seal()
        shutil.rmtree(self._folder)
        if problems:
            raise ClusterError("; ".join(problems))
