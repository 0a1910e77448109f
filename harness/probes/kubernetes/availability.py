"""Is the API there? Asked all the time, through the load balancer."""

from __future__ import annotations

import threading
import time

from harness.clusters.etcd_client import CallFailed, CallUnknown
from harness.clusters.kube_api import KubeApi, KubernetesCluster, admin_of
from harness.errors import HarnessError
from harness.journal import Journal
from harness.waiting import rest_unless

_EVERY_SECONDS = 0.2
_TIMEOUT_SECONDS = 1.0
# A single object read without a cache: it takes the API server and a quorum of its store.
_QUESTION = "/api/v1/namespaces/default"


class ApiWatch:
    """Asks the API five times a second for an object, and writes down each answer (``probe.api``).

    Args:
        cluster: whose kubeconfig says where the API is.
        journal: where each request is written: ``ok``, ``invoked`` and ``completed`` in seconds of
            the journal, ``status`` of HTTP (0 for no answer), ``error``.

    Leaves behind: a thread, until `stop`.
    """

    def __init__(self, cluster: KubernetesCluster, journal: Journal) -> None:
        self._journal = journal
        self._api = KubeApi(admin_of(cluster), _TIMEOUT_SECONDS)
        self._stopped = threading.Event()
        self._problem: HarnessError | None = None
        self._thread = threading.Thread(target=self._watch, name="api-watch", daemon=True)

    def start(self) -> None:
        """Begin asking."""
        self._thread.start()

    def stop(self) -> None:
        """End asking.

        Raises:
            HarnessError: the watch itself broke, as on a full disk.
        """
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(10)
        self._api.close()
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

    def _watch(self) -> None:
        try:
            while not rest_unless(self._stopped, _EVERY_SECONDS):
                self._ask()
        except HarnessError as problem:
            self._problem = problem

    def _ask(self) -> None:
        invoked = self._journal.elapsed(time.monotonic())
        status, error = 0, ""
        try:
            answer = self._api.get(_QUESTION)
        except (CallFailed, CallUnknown) as problem:
            error = str(problem)[:160]
        else:
            status, error = answer.status, "" if answer.good else answer.text[:160]
        completed = self._journal.elapsed(time.monotonic())
        self._journal.append(
            "probe.api", ok=not error and status < 300, invoked=invoked, completed=completed, status=status, error=error
        )
