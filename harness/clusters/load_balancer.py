"""The load balancer kind puts before more than one control plane: HAProxy in a container."""

from __future__ import annotations

import docker.errors
from docker.models.containers import Container

from harness.errors import ClusterError

# Where kind writes it, and how it has HAProxy read it again (kind v0.30).
_CONFIG = "/usr/local/etc/haproxy/haproxy.cfg"
_SERVER = "  server {0} {0}:6443 check check-ssl verify none resolvers docker resolve-prefer ipv4"


class LoadBalancer:
    """One cluster's load balancer.

    Args:
        container: it.
    """

    def __init__(self, container: Container) -> None:
        self._container = container

    def add(self, node: str) -> None:
        """Send requests to a further control plane too, once its API server is healthy.

        Raises:
            ClusterError: the configuration could not be changed.
        """
        script = f'printf "%s\\n" "$0" >> {_CONFIG}'
        try:
            done = self._container.exec_run(["sh", "-c", script, _SERVER.format(node)])
            if done.exit_code != 0:
                raise ClusterError(f"load balancer: its configuration can't be written: {done.output!r}")
            self._container.kill("HUP")
        except docker.errors.DockerException as error:
            raise ClusterError(f"load balancer: {error}") from error
