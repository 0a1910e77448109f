"""What an operator types: etcdctl, with the endpoints that are up."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import WaitTimeout
from harness.waiting import until

PATIENCE_SECONDS = 10.0
# A newcomer asks each peer for the membership before it starts, and a peer without a leader keeps it
# waiting for six seconds (seen with etcd 3.5.1).
HEALTHY_SECONDS = 18.0
# Passing states: with --strict-reconfig-check every member must have been connected for five
# seconds (etcd server, HealthInterval), a learner must have caught up before it is promoted, and
# right after a member went its leader may be gone too.
_PASSING = ("unhealthy cluster", "in sync with leader", "leader changed", "no leader", "not enough started")


class StepFailed(Exception):
    """A step of the procedure could not be done; the message is etcdctl's."""


@contextlib.contextmanager
def in_time() -> Iterator[None]:
    """What is waited for in it has to come about, else the step could not be done.

    Raises:
        StepFailed: its deadline passed.
    """
    try:
        yield
    except WaitTimeout as error:
        raise StepFailed(str(error)) from error


@dataclass(frozen=True, slots=True)
class Member:
    """A row of the member list."""

    member_id: str
    name: str
    peer_url: str
    client_urls: tuple[str, ...]
    learner: bool


def members(endpoints: str) -> list[Member]:
    """The member list."""
    return members_of(_etcdctl(endpoints, "member", "list", "--write-out=json"))


def members_of(printed: str) -> list[Member]:
    """The member list in what etcdctl printed as JSON."""
    rows = json.loads(printed)["members"]
    return [
        Member(
            f"{row['ID']:x}",
            row.get("name", ""),
            row["peerURLs"][0],
            tuple(row.get("clientURLs", ())),
            row.get("isLearner", False),
        )
        for row in rows
    ]


def healthy(endpoint: str) -> bool:
    """Whether a linearizable read comes through that endpoint."""
    try:
        _etcdctl(endpoint, "endpoint", "health", ETCDCTL_COMMAND_TIMEOUT="2s")
    except StepFailed:
        return False
    return True


def await_healthy(endpoint: str) -> None:
    """Wait until it is healthy."""
    with in_time():
        until(lambda: healthy(endpoint), what=f"{endpoint} to be healthy", deadline_seconds=HEALTHY_SECONDS)


def member_add(endpoints: str, name: str, peer_url: str, *, learner: bool = False) -> str:
    """Add a member; returns the ``--initial-cluster`` etcdctl prints for it."""
    flags = ["--learner"] if learner else []
    printed = _patiently(endpoints, "member", "add", name, f"--peer-urls={peer_url}", *flags)
    match = re.search(r'ETCD_INITIAL_CLUSTER="([^"]*)"', printed)
    if match is None:
        raise StepFailed(f"etcdctl did not print an initial cluster: {printed}")
    return match.group(1)


def member_remove(endpoints: str, member_id: str) -> None:
    """Remove a member."""
    _patiently(endpoints, "member", "remove", member_id)


def member_promote(endpoints: str, member_id: str) -> None:
    """Promote a learner once it has caught up."""
    _patiently(endpoints, "member", "promote", member_id)


def snapshot_save(endpoint: str, file: Path) -> None:
    """Save a snapshot from one endpoint."""
    _etcdctl(endpoint, "snapshot", "save", str(file))


def _patiently(endpoints: str, *words: str) -> str:
    """Call until it works, as long as what is in the way passes by itself."""

    def attempt() -> tuple[str, str]:
        try:
            return _etcdctl(endpoints, *words), ""
        except StepFailed as error:
            return "", str(error)

    def settled(seen: tuple[str, str]) -> bool:
        return not any(passing in seen[1] for passing in _PASSING)

    with in_time():
        done, problem = until(
            attempt,
            settled,
            what=f"etcdctl {' '.join(words[:2])}",
            deadline_seconds=PATIENCE_SECONDS,
            every_seconds=0.25,
        )
    if problem:
        raise StepFailed(problem)
    return done


def _etcdctl(endpoints: str, *words: str, **settings: str) -> str:
    # settings go by environment: etcdctl calls a flag that shadows a variable a conflict
    environment = dict(os.environ) | {"ETCDCTL_ENDPOINTS": endpoints} | settings
    done = subprocess.run(["etcdctl", *words], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise StepFailed(f"etcdctl {' '.join(words[:2])}: {said[-1] if said else f'exit {done.returncode}'}")
    return done.stdout
