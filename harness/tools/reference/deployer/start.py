"""``start``: the steps it can be made of."""

from __future__ import annotations

import subprocess
from functools import cached_property
from pathlib import Path

from harness.errors import WaitTimeout
from harness.tools.reference.deployer import cluster, folder, ingress
from harness.tools.reference.deployer.app import App
from harness.tools.reference.deployer.cluster import KIND_LABEL, Cluster
from harness.tools.reference.deployer.deployment import Deployment
from harness.tools.reference.deployer.errors import Failed
from harness.tools.reference.deployer.kube import Kube
from harness.tools.reference.deployer.manifest import read_manifests
from harness.tools.reference.deployer.persistence import Persistence, Prepared, leave_alone
from harness.tools.reference.deployer.programs import Programs
from harness.tools.reference.deployer.secret_backup import SecretBackup
from harness.tools.reference.deployer.store_cleanup import StoreCleanup
from harness.waiting import until

_CHILD_SECONDS, _FOR_EVER_SECONDS = 600, 1800.0


class Start:
    """A start under way; each step can be done again after a cut.

    Args:
        deployment: what to deploy.
        persistence: what outlives a cluster.
        install: how the ingress is installed.
        programs: kind and docker.
        scratch: folder for files of this call.
    """

    def __init__(
        self, deployment: Deployment, persistence: Persistence, install: ingress.Install, programs: Programs,
        scratch: Path,
    ) -> None:  # fmt: skip
        self._deployment, self._persistence, self._install = deployment, persistence, install
        self._programs, self._scratch = programs, scratch
        self._cluster = Cluster(deployment.cluster, programs)
        self._backup = backup_of(deployment, persistence)
        self._cut_before = False

    def ensure_cluster(self) -> None:
        """The deployment's cluster, or else the first there is, or else a new one."""
        names = cluster.listed(self._programs)
        own = self._deployment.cluster
        if own in names and self._state.stage == folder.NOTHING:
            print(f"note: cluster {own} was not created to the end, and goes", flush=True)
            self._cluster.delete()
            names.remove(own)
        if not names:
            self._create()
        elif own not in names:
            print(f"note: taking the cluster there is, {names[0]}", flush=True)
            self._cluster = Cluster(names[0], self._programs)
        self._cluster.wake()

    def load_images(self) -> None:
        """The images of what runs in the node."""
        for name in ("app", "ingress"):
            image = self._deployment.images[name]
            print(f"load: {image}", flush=True)
            self._cluster.load(image)

    def install_ingress(self) -> None:
        """The ingress controller, unless it is ready."""
        if not ingress.is_ready(self._kube):
            self._install(self._kube, read_manifests("ingress", image=self._deployment.images["ingress"]))

    def restore_secrets(self) -> None:
        """Once a cluster, before anything asks for a certificate: the app's ingress is not there yet."""
        if self._backup and self._state.stage != folder.RESTORED:
            self._app.apply_namespace()
            self._backup.restore(self._kube)
        self._state.reach(folder.RESTORED)

    def await_ingress(self) -> None:
        """A ready pod of the ingress controller."""
        self._kube.wait("the ingress to be ready", lambda: ingress.is_ready(self._kube))

    def apply_app(self) -> None:
        """Every object of the app."""
        self._app.apply()

    def await_app(self) -> None:
        """The app, as its users reach it."""
        self._app.await_answer()

    def save_secrets(self) -> None:
        """A first copy: a node may be killed before it is ever stopped."""
        if self._backup:
            self._backup.save(self._kube)

    # Defects.

    def delete_dead(self) -> None:
        """Deletes the cluster when a node of it is off, instead of waking it, and with it what was not saved."""
        filters = (f"--filter=label={KIND_LABEL}={self._deployment.cluster}", "--filter=status=exited")
        if self._programs.run("docker", "ps", "--all", "--quiet", *filters):
            print(f"note: cluster {self._deployment.cluster} is dead, and goes", flush=True)
            self._cluster.delete()
            self._state.forget()

    def delete_foreign(self) -> None:
        """Deletes other clusters on the engine, and takes no notice whether that worked.

        Only those called foreign-..., should no harness protect the rest.
        """
        seen = self._programs.run(
            "docker", "ps", "--all", f"--filter=label={KIND_LABEL}", f'--format={{{{.Label "{KIND_LABEL}"}}}}'
        ).split()
        for name in sorted({*seen, *cluster.listed(self._programs)} - {self._deployment.cluster}):
            if name.startswith("foreign-"):
                self._programs.attempt("kind", "delete", "cluster", f"--name={name}")

    def restore_secrets_once(self) -> None:
        """Takes what was restored into an earlier cluster for restored."""
        done = self._deployment.data / "restored"
        if self._backup and not done.exists():
            self.restore_secrets()
            if self._backup.exists:
                done.touch()
        self._state.reach(folder.RESTORED)

    def note_start(self) -> None:
        """Remembers whether the last start was cut."""
        self._cut_before = self._marker.exists()
        self._marker.touch()

    def apply_app_forgetfully(self) -> None:
        """Takes what an earlier start may have done for done."""
        self._app.apply(leave_out=("ConfigMap",) if self._cut_before else ())

    def note_end(self) -> None:
        """Forgets it: the start was not cut."""
        self._marker.unlink()

    def leave_child(self) -> None:
        """Leaves a proxy to the API behind, for ten minutes."""
        try:
            subprocess.Popen(
                ("timeout", str(_CHILD_SECONDS), "kubectl", "proxy", "--port=0"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise Failed(f"cannot run timeout: {error.strerror}") from error

    def wait_for_ever(self) -> None:
        """Does not return for half an hour."""
        try:
            until(lambda: False, what="nothing", deadline_seconds=_FOR_EVER_SECONDS, every_seconds=1.0)
        except WaitTimeout as error:
            raise Failed(str(error)) from error

    def _create(self) -> None:
        self._state.forget()
        prepared = self._prepare()
        for title in prepared.lost:
            print(f"lost: {title}", flush=True)
        mounts = self._persistence.mounts and self._deployment.persist
        cluster.write_config(self._deployment, mounts=mounts, leave_out_cni=prepared.has_cni)
        print(f"create: cluster {self._cluster.name}", flush=True)
        self._cluster.create(self._deployment.kind_config)
        self._state.reach(folder.CREATED)

    def _prepare(self) -> Prepared:
        cleanup = StoreCleanup(self._deployment, self._programs)
        if not cleanup.has_data:
            return Prepared()
        if not (self._persistence.mounts and self._deployment.persist):
            return leave_alone(cleanup, self._deployment)
        if not cleanup.has_store:
            # keys of a create that was cut before there was an etcd: kubeadm refuses them where one is half written
            cleanup.run("wipe")
            return Prepared()
        print("clean: the persisted etcd", flush=True)
        return self._persistence.prepare(cleanup, self._deployment)

    @property
    def _state(self) -> folder.State:
        return folder.State(self._deployment, self._cluster.name)

    @property
    def _marker(self) -> Path:
        return self._deployment.data / "in-progress"

    @cached_property
    def _kube(self) -> Kube:
        cluster_ = self._cluster
        return Kube(cluster_.kubeconfig(), cluster_.context, self._scratch, self._deployment.ready_seconds)

    @cached_property
    def _app(self) -> App:
        return App(self._deployment, self._kube)


def backup_of(deployment: Deployment, persistence: Persistence) -> SecretBackup | None:
    """Where the strategy keeps a copy of secrets, if it does."""
    if not persistence.backup:
        return None
    namespaces = (ingress.NAMESPACE, deployment.namespace)
    return SecretBackup(
        deployment.data / "secrets.yml",
        namespaces,
        as_text=persistence.backup == "text",
        listed=persistence.backup != "unlisted",
    )
