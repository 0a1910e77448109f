"""Bare etcd: real members on loopback."""

from __future__ import annotations

import shutil

from harness.clusters.etcd import EtcdCluster
from harness.clusters.etcd_release import pick_release
from harness.errors import MachineError
from harness.kept import Kept
from harness.spec import EtcdSpec
from harness.stages.members import MembersStage
from harness.stages.stage import etcdctl_to
from harness.taps.node_tap import EtcdNodeTap, NodeTap
from harness.traffic import EtcdStore, Store


class EtcdStage(MembersStage):
    """Real etcd processes on loopback."""

    cluster: EtcdCluster

    def make_cluster(self) -> EtcdCluster:
        """With the preferred release, or the one asked for."""
        spec = self.spec.cluster
        assert isinstance(spec, EtcdSpec)
        release = pick_release(self.settings.releases, spec.release)
        return EtcdCluster(spec, release, self.work, self.journal, self.settings.ownership, clock=self.clock)

    def start_cluster(self) -> None:
        """All members at once."""
        self.cluster.start()

    def make_tap(self) -> NodeTap:
        """Switches etcd processes."""
        return EtcdNodeTap(self.cluster, self.journal, self.work / "snapshots")

    def make_store(self) -> Store:
        """Etcd itself."""
        return EtcdStore(self.cluster)

    def look_closer(self) -> None:
        """Are the binaries still there? Without them the tool could do nothing, and would be blamed for it.

        Raises:
            MachineError: one is gone.
        """
        release = self.cluster.release
        for binary in (release.etcd, release.etcdctl, release.etcdutl):
            if not binary.exists():
                raise MachineError(f"{binary} is gone: somebody removed etcd {release.version} while it was in use")

    def collect_logs(self) -> None:
        """Etcd's own, a file a node."""
        for node in self.cluster.nodes.values():
            if node.log.exists():
                shutil.copyfile(node.log, self.folder / f"etcd-{node.name}.log")

    def remove_cluster(self) -> list[str]:
        """Processes, data, addresses."""
        return self.cluster.remove()

    def way_in(self) -> Kept:
        """By etcdctl, to whoever runs."""
        return etcdctl_to(self.cluster)

    def leave_cluster(self) -> None:
        """Its subnet."""
        self.cluster.subnet.leave()
