"""A Kubernetes cluster that others made, through its own client: any kubeconfig that kubectl takes does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from kubernetes.stream.ws_client import STDOUT_CHANNEL
from urllib3.exceptions import HTTPError
from websocket import WebSocketException

from harness.errors import ClusterError, MachineError, UsageError
from harness.fan_out.job import CONTAINER, INDEX
from harness.waiting import SYSTEM_CLOCK, until

_ANSWER_SECONDS = 30
_FETCH_SECONDS = 300
_GONE_SECONDS = 120.0
_NOT_FOUND, _DENIED, _INVALID = 404, (401, 403), (400, 422)
# What a container waits for that will not come by waiting.
_NEVER = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError")


class NoAnswer(MachineError):
    """The cluster does not answer, or not in time; it may later."""


@dataclass(frozen=True, slots=True)
class PodState:
    """What can be said of a shard's pod.

    Args:
        name, uid, node: which one, and where.
        index: of the shard, from 0.
        phase: Kubernetes' word.
        is_ready: whether the run folder can be fetched.
        blocked: why its container will never start; empty where it may.
        waiting: why it is not placed; empty where it is.
        ended: how its container ended, in words; empty while it did not.
    """

    name: str
    uid: str
    node: str
    index: int
    phase: str
    is_ready: bool
    blocked: str
    waiting: str
    ended: str


class Engine:
    """Makes Jobs in one namespace, looks at their pods, and takes all of it away again.

    Args:
        kubeconfig: as for kubectl.
        context: of it; empty for the current one.
        namespace: that exists; empty for the context's own.

    Raises:
        UsageError: that is no kubeconfig, or it has no such context.

    Every call raises:
        NoAnswer: no cluster answers.
        MachineError: it does not let this user.
        UsageError: there is no such namespace, or the cluster refuses the words.
        ClusterError: the cluster could not do it.
    """

    def __init__(self, kubeconfig: Path, context: str = "", namespace: str = "") -> None:
        try:
            contexts, current = config.list_kube_config_contexts(str(kubeconfig))
            chosen = next((one for one in contexts if one["name"] == context), None) if context else current
            if chosen is None:
                raise UsageError(f"{kubeconfig} has no context {context}", mend=_contexts(contexts))
            self._client = _client_of(kubeconfig, chosen["name"])
            # a WebSocket call takes the client over while it lasts
            self._wire = _client_of(kubeconfig, chosen["name"])
        except (config.ConfigException, OSError, KeyError, TypeError) as error:
            raise UsageError(f"--kubeconfig {kubeconfig} can't be used: {error}") from error
        self.namespace = namespace or chosen["context"].get("namespace") or "default"
        self.server = str(self._client.configuration.host)
        # its published types lack what is not wanted every day: raw answers, dry runs, bodies of plain values
        self._pods: Any = client.CoreV1Api(self._client)
        self._jobs: Any = client.BatchV1Api(self._client)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._wire.close()

    def create_job(self, body: Mapping[str, Any], *, dry_run: bool = False) -> None:
        """Make a Job; with `dry_run` the server only checks it, and nothing is made."""
        more = {"dry_run": "All"} if dry_run else {}
        with self._asking(f"make a Job in namespace {self.namespace}"):
            self._jobs.create_namespaced_job(
                self.namespace,
                dict(body),
                field_validation="Strict",
                _request_timeout=_ANSWER_SECONDS,
                **more,
            )

    def job_ended(self, name: str) -> str:
        """Why a Job failed, in Kubernetes' words, or that it is gone; empty while neither is so."""
        job: client.V1Job | None = None
        with self._asking(f"look at Job {name}", unless=_NOT_FOUND):
            job = self._jobs.read_namespaced_job_status(name, self.namespace, _request_timeout=_ANSWER_SECONDS)
        if job is None:
            return "somebody deleted the Job"
        conditions = (job.status and job.status.conditions) or []
        return next((f"{one.reason}: {one.message}" for one in conditions if one.type == "Failed"), "")

    def pods(self, selector: str) -> list[PodState]:
        """The pods of a Job, the first shard's first."""
        with self._asking(f"look at pods in namespace {self.namespace}"):
            found = self._pods.list_namespaced_pod(
                self.namespace, label_selector=selector, _request_timeout=_ANSWER_SECONDS
            )
        return sorted(map(_state, found.items), key=lambda state: (state.index, state.name))

    def log(self, pod: str) -> str:
        """What a pod said so far; empty where it can't be had, as before it started."""
        try:
            said = self._pods.read_namespaced_pod_log(
                pod, self.namespace, container=CONTAINER, _preload_content=False, _request_timeout=_ANSWER_SECONDS
            )
            return str(said.data.decode(errors="replace"))
        except (ApiException, HTTPError):
            return ""

    def run(self, pod: str, *command: str) -> bytes:
        """What a command in a pod says.

        Raises:
            ClusterError: it failed, or the connection broke off.
        """
        call = client.CoreV1Api(self._wire).connect_get_namespaced_pod_exec
        told: dict[str, Any] = {"container": CONTAINER, "stdout": True, "stderr": False, "stdin": False, "tty": False}
        with self._asking(f"run {command[0]} in pod {pod}"):
            answer: Any = stream(
                call, pod, self.namespace, command=list(command), binary=True, _preload_content=False, **told
            )
            said, ended = _read(answer), _how_run_ended(answer)
            answer.close()
        if ended:
            raise ClusterError(f"{' '.join(command)} in pod {pod} {ended}")
        return said

    def delete_job(self, name: str, selector: str) -> None:
        """Delete a Job with its pods, and wait until they are gone; one that is gone already is fine.

        Raises:
            WaitTimeout: they don't go, or nobody answers.
        """

        def is_gone() -> bool:
            try:
                with self._asking(f"delete Job {name}", unless=_NOT_FOUND):
                    self._jobs.delete_namespaced_job(
                        name,
                        self.namespace,
                        propagation_policy="Background",
                        grace_period_seconds=0,
                        _request_timeout=_ANSWER_SECONDS,
                    )
                return not self.pods(selector)
            except NoAnswer:
                return False

        until(is_gone, what=f"Job {name} to go with its pods", deadline_seconds=_GONE_SECONDS, every_seconds=1.0)

    @contextmanager
    def _asking(self, what: str, unless: int = 0) -> Iterator[None]:
        """Errors of the client as ours."""
        try:
            yield
        except ApiException as error:
            if unless and error.status == unless:
                return
            if not error.status:  # a WebSocket that was not opened
                raise self._no_answer(error.reason) from error
            raise self._refusal(what, error) from error
        except (HTTPError, WebSocketException, OSError) as error:
            raise self._no_answer(error) from error

    def _no_answer(self, why: object) -> NoAnswer:
        return NoAnswer(f"no cluster answers at {self.server}: {why}", mend="kubectl get nodes")

    def _refusal(self, what: str, error: ApiException) -> UsageError | MachineError | ClusterError:
        told = _message(error)
        refused: Callable[[str], UsageError | MachineError | ClusterError] = ClusterError
        if error.status in _DENIED:
            refused = MachineError
        elif error.status in _INVALID or (error.status == _NOT_FOUND and "namespaces" in told):
            refused = UsageError
        return refused(f"the cluster at {self.server} does not {what}: {told}")


def _read(answer: Any) -> bytes:
    """Standard output until the command's end; read as it comes, for the client joins what waits piece by piece."""
    pieces: list[bytes] = []
    deadline = SYSTEM_CLOCK.monotonic() + _FETCH_SECONDS
    while answer.is_open() and SYSTEM_CLOCK.monotonic() < deadline:
        answer.update(timeout=1)
        pieces.append(answer.read_channel(STDOUT_CHANNEL))
    return b"".join([*pieces, answer.read_channel(STDOUT_CHANNEL)])


def _how_run_ended(answer: Any) -> str:
    """Why a command in a pod did not end well; empty where it did."""
    try:
        code = answer.returncode
    except (ValueError, KeyError, TypeError, IndexError) as error:
        return f"could not be run: {error}"  # what stands where its exit code should
    if code is None:
        return f"came to no end in {_FETCH_SECONDS} s"
    return f"ended with {code}" if code else ""


def _client_of(kubeconfig: Path, context: str) -> Any:
    return config.new_client_from_config(str(kubeconfig), context)


def _state(pod: client.V1Pod) -> PodState:
    metadata, status = pod.metadata, pod.status
    assert metadata is not None
    container = next(iter((status and status.container_statuses) or []), None)
    waits = container.state.waiting if container and container.state else None
    ended = container.state.terminated if container and container.state else None
    conditions = (status and status.conditions) or []
    unplaced = next((one.message for one in conditions if one.type == "PodScheduled" and one.status == "False"), "")
    return PodState(
        name=str(metadata.name),
        uid=str(metadata.uid),
        node=str((pod.spec and pod.spec.node_name) or ""),
        index=int((metadata.annotations or {}).get(INDEX, (metadata.labels or {}).get(INDEX, "-1"))),
        phase=str((status and status.phase) or ""),
        is_ready=bool(container and container.ready),
        blocked=f"{waits.reason}: {waits.message}" if waits and waits.reason in _NEVER else "",
        waiting=unplaced or "",
        ended=_how_ended(status, ended),
    )


def _how_ended(status: client.V1PodStatus | None, ended: client.V1ContainerStateTerminated | None) -> str:
    """Of the pod, if it says; else of its container."""
    if status is not None and status.phase == "Failed" and status.reason:
        return f"{status.reason}: {status.message or 'no word more'}"
    return f"{ended.reason}, exit code {ended.exit_code}" if ended else ""


def _message(error: ApiException) -> str:
    """Kubernetes' own words."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)


def _contexts(contexts: Sequence[Any]) -> str:
    return "it has " + (", ".join(sorted(str(one["name"]) for one in contexts)) or "none")
