"""Runs that are going to be killed: each owns things in the Docker engine, in a process of its own.

    python -m tests.contract.victims SORT LABEL WORK

WORK is the folder for what stays (a journal); what the run owns lies in WORK/owned. Says "up" when all is made.
"""

import contextlib
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import docker
import docker.errors

from harness.clusters.engine import CLUSTER_LABEL
from harness.clusters.ownership import Ownership
from harness.journal import Journal
from tests.contract.small_image import SMALL

BUSY = """
import docker, itertools, os
engine = docker.from_env()
for number in itertools.count():
    made = engine.api.create_container(
        "{image}", volumes=["/var"], network_disabled=True, labels={{"{label}": "{cluster}"}}
    )
    engine.api.start(made["Id"])
"""


def build_everything(owner: Ownership, work: Path) -> None:
    """One of each sort of thing, marked in each way there is; and a child."""
    network, labels = owner.network(), owner.labels()
    engine = docker.from_env()
    node = {CLUSTER_LABEL: owner.lease.cluster_prefix + "one"}
    run = {"image": SMALL, "detach": True, "volumes": ["/var"], "restart_policy": {"Name": "always"}}
    engine.containers.run(network=network, labels=labels, **run)
    paused = engine.containers.run(network=network, labels=node, name=owner.lease.cluster_prefix + "node", **run)
    with contextlib.suppress(docker.errors.APIError):  # on a busy machine cgroup v1 gives up freezing
        paused.pause()
    engine.api.create_container(SMALL, volumes=["/var"], network_disabled=True, labels=node)
    engine.volumes.create(f"{owner.lease.label}-volume", labels=labels)
    engine.images.build(fileobj=_dockerfile(labels), tag=f"afterfault-test/{owner.lease.label}:1", rm=True)
    owner.note_volumes()
    (work / "owned" / "case").mkdir()
    (work / "owned" / "case" / "kubeconfig").write_text("{}")
    subprocess.Popen(["sleep", "600"], env=owner.environment())


def build_busily(owner: Ownership, _: Path) -> None:
    """Three children that make containers without end, each with a disk the engine has to fill first."""
    owner.labels()
    script = BUSY.format(image=SMALL, label=CLUSTER_LABEL, cluster=owner.lease.cluster_prefix + "busy")
    for _ in range(3):
        subprocess.Popen([sys.executable, "-c", script], env=owner.environment())


def build_kind_cluster(owner: Ownership, work: Path) -> None:
    """One node, as a scenario has it."""
    from harness.clusters.kind import KindCluster, KindSetup
    from harness.nodeimage import pick_node_image, tool_paths
    from harness.spec import KindSpec

    tools = tool_paths()
    setup = KindSetup(docker.from_env(), pick_node_image().reference, tools.kind, tools.kubectl)
    journal = Journal(work / "journal.jsonl", time.monotonic)
    KindCluster(KindSpec(), setup, work / "owned" / "case", journal, owner).start()


def _dockerfile(labels):
    """The small image with labels: a build needs no more than that."""
    lines = [f"LABEL {json.dumps(key)}={json.dumps(value)}" for key, value in labels.items()]
    return io.BytesIO("\n".join([f"FROM {SMALL}", *lines]).encode())


SORTS = {"everything": build_everything, "busy": build_busily, "kind": build_kind_cluster}


def main(sort: str, label: str, work: Path) -> None:
    owner = Ownership(label, work / "owned")
    SORTS[sort](owner, work)
    print("up", owner._reaper.pid, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        sys.stdin.read()
    owner.release()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
