"""Work on persisted etcd data, done in a container: the files belong to root, and so do the tools."""

from __future__ import annotations

from pathlib import Path

from harness.tools.reference.deployer.deployment import Deployment
from harness.tools.reference.deployer.errors import Failed
from harness.tools.reference.deployer.programs import Programs

_SCRIPTS = Path(__file__).parent / "scripts"
# the second one is the first while its successor is put in place
_STORES = ("etcd", "etcd.before")


class StoreCleanup:
    """Runs the scripts over one deployment's persisted data.

    Args:
        deployment: whose data.
        programs: docker.
    """

    def __init__(self, deployment: Deployment, programs: Programs) -> None:
        self._deployment, self._programs = deployment, programs

    @property
    def has_data(self) -> bool:
        """Whether there is anything of an earlier cluster."""
        return any(_holds_something(self._deployment.cluster_data / name) for name in (*_STORES, "pki"))

    @property
    def has_store(self) -> bool:
        """Whether etcd's data are among it."""
        return any(_holds_something(self._deployment.cluster_data / name) for name in _STORES)

    def run(self, script: str, *words: str, image: str = "etcd_tools", **environment: str) -> str:
        """Run one script to its end; returns what it printed.

        Args:
            script: its name, without ``.sh``.
            words: its arguments.
            image: which of the deployment's images has the tools.
            environment: its variables.

        Raises:
            Failed: there is no such image in the deployment, or the script ended with another code than 0.
        """
        reference = self._deployment.images.get(image)
        if reference is None:
            raise Failed(f"deployment.yml names no image {image}")
        name = f"{self._deployment.cluster}-store-cleanup"
        # one of a call that was killed may still be at it
        self._programs.attempt("docker", "rm", "--force", name)
        text = (_SCRIPTS / "serve.sh").read_text() + (_SCRIPTS / f"{script}.sh").read_text()
        variables = [f"--env={key}={value}" for key, value in environment.items()]
        return self._programs.run(
            "docker", "run", "--rm", f"--name={name}", f"--label=reference-deployer={self._deployment.name}",
            "--network=none", "--user=0:0", f"--volume={self._deployment.cluster_data}:/state", *variables,
            "--entrypoint=sh", reference, "-c", text, "sh", *words,
        )  # fmt: skip


def _holds_something(folder: Path) -> bool:
    try:
        return folder.exists() and any(folder.iterdir())
    except PermissionError:
        return True  # root's: a node has used it
