"""What an operator types on the machines of a kubeadm cluster, and at kubectl."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from harness.clusters.kubeadm import (
    JOIN_CONFIG,
    KIND_CONFIG,
    UPLOAD_CERTS,
    certificate_key_of,
    join_configuration,
    join_words,
)
from harness.taps.node_command import ask
from harness.tools.reference.etcdctl import Member, StepFailed, in_time, members_of
from harness.waiting import until

_PKI = "/etc/kubernetes/pki/etcd"
_ETCDCTL = (
    "etcdctl", "--endpoints=https://127.0.0.1:2379", f"--cacert={_PKI}/ca.crt",
    f"--cert={_PKI}/healthcheck-client.crt", f"--key={_PKI}/healthcheck-client.key",
)  # fmt: skip
_READY_SECONDS = 120.0
_KUBECTL_SECONDS = "5s"
# More than a load balancer has control planes to send to: one that is gone is asked, too, while it counts as there.
_IN_A_ROW = 6
_BALANCER_SECONDS = "2s"
_API_SECONDS = 60.0
# How kubeadm ends each of its errors, whatever it was.
_HINT = "To see the stack trace of this error"
_MOST_TOLD = 1000
# What kubectl says when the API server it was sent to is gone, or has no store to ask.
_PASSING = (
    "Unable to connect",
    "connection refused",
    "EOF",
    "TLS handshake",
    "timed out",
    "leader changed",
    "ServiceUnavail",
)


def run_on(node: str, *words: str) -> str:
    """Run a command on a machine; returns what it printed.

    Raises:
        StepFailed: it ended with another code than 0.
    """
    done = ask("exec", node=node, words=list(words))
    if done["exit_code"] != 0:
        why = _error_in(done["stderr"] or done["stdout"]) or f"exit {done['exit_code']}"
        raise StepFailed(f"{words[0]} on {node}: {why}")
    return str(done["stdout"])


def _error_in(printed: str) -> str:
    """The error a program ended with, in one line: from where it says so, else what it said last."""
    lines = [line.strip() for line in printed.splitlines() if line.strip() and not line.startswith(_HINT)]
    begins = [number for number, line in enumerate(lines) if line.startswith("error")]
    return "; ".join(lines[begins[0] if begins else -1 :])[:_MOST_TOLD]


def serving() -> list[dict[str, Any]]:
    """Machines that are on and whose etcd answers for itself, with or without quorum."""
    return [node for node in ask("list") if node["running"] and _answers(node["name"])]


def etcdctl(node: str, *words: str) -> str:
    """Call etcdctl on a machine, for the member on it."""
    return run_on(node, *_ETCDCTL, *words)


def members(node: str) -> list[Member]:
    """The member list, as told by the member on a machine."""
    return members_of(etcdctl(node, "member", "list", "--write-out=json"))


def healthy(node: str, member: Member) -> bool:
    """Whether a linearizable read comes through a member, asked from a machine."""
    try:
        run_on(node, _ETCDCTL[0], f"--endpoints={member.client_urls[0]}", *_ETCDCTL[2:], "endpoint", "health")
    except StepFailed:
        return False
    return True


def save_snapshot(node: str, file: Path) -> None:
    """Save the store of the member on a machine, and copy it here."""
    there = "/var/lib/afterfault-snapshot.db"
    etcdctl(node, "snapshot", "save", there)
    ask("fetch", node=node, path=there, file=str(file))


def join(sponsor: str, new: dict[str, Any], *, skip_etcd_check: bool) -> None:
    """Join a machine as a control plane, with certificates uploaded by another.

    Raises:
        StepFailed: kubeadm would not, or the load balancer sends to a machine that is gone for a minute.
    """
    await_balancer()
    try:
        key = certificate_key_of(run_on(sponsor, *UPLOAD_CERTS))
        text = join_configuration(run_on(sponsor, "cat", KIND_CONFIG), sponsor, new["name"], new["address"], key)
    except ValueError as error:
        raise StepFailed(str(error)) from error
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        ask("send", node=new["name"], file=file.name, path=JOIN_CONFIG)
    run_on(new["name"], *join_words(skip_etcd_check=skip_etcd_check))


def kubectl(*words: str) -> str:
    """Call kubectl as the admin, again while the way to the API is broken: a load balancer takes its time.

    Raises:
        StepFailed: it failed, or the API could not be reached for a minute.
    """
    with in_time():
        code, said, printed = until(
            lambda: _kubectl(words),
            lambda seen: not (seen[0] and any(passing in seen[1] for passing in _PASSING)),
            what=f"kubectl {words[0]} to reach the API",
            deadline_seconds=_API_SECONDS,
            every_seconds=0.5,
        )
    if code != 0:
        raise StepFailed(f"kubectl {words[0]}: {said[-300:]}")
    return printed


def await_balancer() -> None:
    """Wait until the load balancer sends to nobody who is gone.

    kubeadm asks once for its configuration, and gives up when that takes ten seconds (seen with 1.34, six seconds after
    a control plane went: "TLS handshake timeout").

    Raises:
        StepFailed: it still does after a minute.
    """

    def first_failure() -> str:
        answers = (_kubectl(("get", "--raw=/readyz"), _BALANCER_SECONDS) for _ in range(_IN_A_ROW))
        return next((said or f"exit {code}" for code, said, _ in answers if code != 0), "")

    with in_time():
        until(
            first_failure,
            lambda failure: not failure,
            what=f"the load balancer to answer {_IN_A_ROW} times in a row",
            deadline_seconds=_API_SECONDS,
            every_seconds=0.5,
        )


def node_names() -> set[str]:
    """Names of all nodes Kubernetes knows."""
    return {row["metadata"]["name"] for row in _nodes()}


def ready_nodes() -> set[str]:
    """Names of the nodes that are Ready."""
    return {
        row["metadata"]["name"]
        for row in _nodes()
        if any(one["type"] == "Ready" and one["status"] == "True" for one in row["status"].get("conditions", ()))
    }


def forget_node(name: str) -> None:
    """Delete a node that is gone, and the mirror pods that would outlive it for a while."""
    kubectl("delete", "node", name, "--ignore-not-found", "--wait=false")
    kubectl(
        "delete", "pods", "--namespace=kube-system", f"--field-selector=spec.nodeName={name}", "--force",
        "--grace-period=0", "--ignore-not-found", "--wait=false",
    )  # fmt: skip


def await_control_plane(name: str) -> None:
    """Wait until the machine's member is healthy and its node Ready.

    Raises:
        StepFailed: not within two minutes.
    """

    def look() -> bool:
        try:
            etcdctl(name, "endpoint", "health")
            return name in ready_nodes()
        except StepFailed:
            return False

    with in_time():
        until(look, what=f"{name} to be a healthy control plane", deadline_seconds=_READY_SECONDS, every_seconds=1.0)


def _answers(node: str) -> bool:
    try:
        etcdctl(node, "endpoint", "status", "--command-timeout=2s")
    except StepFailed:
        return False
    return True


def _nodes() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(kubectl("get", "nodes", "--output=json"))["items"]
    return rows


def _kubectl(words: tuple[str, ...], seconds: str = _KUBECTL_SECONDS) -> tuple[int, str, str]:
    call = ["kubectl", f"--request-timeout={seconds}", *words]
    done = subprocess.run(call, env=dict(os.environ), capture_output=True, text=True, check=False)
    return done.returncode, done.stderr.strip(), done.stdout
