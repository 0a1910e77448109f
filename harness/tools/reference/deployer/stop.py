"""``stop``: what is needed later is saved, the app is deleted, then the cluster."""

from __future__ import annotations

from pathlib import Path

from harness.tools.reference.deployer import folder
from harness.tools.reference.deployer.app import App
from harness.tools.reference.deployer.cluster import Cluster, listed
from harness.tools.reference.deployer.deployment import Deployment
from harness.tools.reference.deployer.errors import Failed
from harness.tools.reference.deployer.kube import Kube
from harness.tools.reference.deployer.persistence import Persistence
from harness.tools.reference.deployer.programs import Programs
from harness.tools.reference.deployer.start import backup_of
from harness.tools.reference.deployer.unmanaged import unmanaged

# How long a stop waits for an API that it can do without.
_PATIENCE_SECONDS = 15.0


def stop(deployment: Deployment, persistence: Persistence, programs: Programs, scratch: Path) -> None:
    """Stop a deployment; its data stay in the folder, and so does what the strategy keeps.

    The app's namespace is not deleted: users keep their TLS secrets in it, and it may be persisted.

    Raises:
        Failed: something could not be saved or deleted; nothing after it was done.
    """
    cluster, state = Cluster(deployment.cluster, programs), folder.State(deployment, deployment.cluster)
    if cluster.name not in listed(programs):
        print(f"note: there is no cluster {cluster.name}", flush=True)
        state.forget()
        return
    if state.stage == folder.NOTHING:
        print(f"note: cluster {cluster.name} was not created to the end", flush=True)
    elif persistence.backup:
        _save_and_empty(deployment, persistence, cluster, scratch)
    else:
        _empty(deployment, cluster, scratch)
    print(f"delete: cluster {cluster.name}", flush=True)
    cluster.delete()
    state.forget()


def stop_by_notes(deployment: Deployment, persistence: Persistence, programs: Programs, scratch: Path) -> None:
    """Defect: takes a cluster that is not in its notes for none, though a killed start may have made one."""
    state = folder.State(deployment, deployment.cluster)
    if state.stage == folder.NOTHING:
        print(f"note: there is no cluster {deployment.cluster}", flush=True)
        return
    stop(deployment, persistence, programs, scratch)


def _save_and_empty(deployment: Deployment, persistence: Persistence, cluster: Cluster, scratch: Path) -> None:
    """With secrets at stake a cluster that does not answer is not deleted."""
    backup = backup_of(deployment, persistence)
    cluster.wake()
    kube = Kube(cluster.kubeconfig(), cluster.context, scratch, deployment.ready_seconds)
    # before all secrets were restored, the older copy is the better one
    if backup and folder.State(deployment, cluster.name).stage == folder.RESTORED:
        backup.save(kube)
    for title in unmanaged(kube, backup.namespaces if backup else ()):
        print(f"lost: {title}", flush=True)
    App(deployment, kube).delete()


def _empty(deployment: Deployment, cluster: Cluster, scratch: Path) -> None:
    try:
        kube = Kube(cluster.kubeconfig(), cluster.context, scratch, _PATIENCE_SECONDS)
        App(deployment, kube).delete()
    except Failed as error:
        print(f"note: the app's objects may be left, {error}", flush=True)
