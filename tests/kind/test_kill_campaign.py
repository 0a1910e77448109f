"""Runs killed with SIGKILL at moments drawn from a seed, beside a cluster and a container of somebody else's.

After a minute nothing of them is left, and what is somebody else's is what it was. Looks for leaks in its own
way, by what it saw the runs have, and not by what the reaper looks for.
"""

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from harness.clusters.bystanders import look
from harness.clusters.docker_engine import open_engine
from harness.clusters.lease import CLUSTER_LABEL, RUN_LABEL, Lease, Mark
from harness.clusters.ownership import owned_processes
from harness.errors import WaitTimeout
from harness.judging.bystanders import changes
from harness.nodeimage import pick_node_image, tool_paths
from harness.waiting import rest_unless, until
from tests.contract.small_image import SMALL, small_image
from tests.kind.needs import kind_needed

ROOT = Path(__file__).parents[2]
RUNS = int(os.environ.get("AFTERFAULT_CAMPAIGN_RUNS", "20"))
SEED = int(os.environ.get("AFTERFAULT_CAMPAIGN_SEED", "20261121"))
GONE_SECONDS = 60
HOME_CONFIG = Path.home() / ".kube" / "config"


@dataclass
class Killed:
    """One run: when it was killed, what it had then, and what became of it."""

    label: str
    killed_at: float
    lived: dict[str, int] = field(default_factory=dict)
    gone_after: float = 0.0
    leaks: list[str] = field(default_factory=list)
    harmed: list[str] = field(default_factory=list)

    def row(self, number):
        lived = ", ".join(f"{count} {sort}" for sort, count in self.lived.items() if count) or "nothing yet"
        leaks, harmed = "; ".join(self.leaks) or "0", "; ".join(self.harmed) or "untouched"
        return f"{number:>3}  {self.killed_at:>9.2f}  {lived:<95} {self.gone_after:>7.1f}  {leaks:<5}  {harmed}"


class Witness(threading.Thread):
    """Sees what containers a run has, and so which unlabelled volumes are its own."""

    def __init__(self, client, label):
        super().__init__(daemon=True)
        self.client, self.mark, self.volumes, self.done = client, Mark(label), set(), threading.Event()

    def run(self):
        while not rest_unless(self.done, 0.2):
            self.containers()

    def containers(self):
        found = []
        for raw in self.client.api.containers(all=True):
            labels = raw["Labels"] or {}
            ours = labels.get(RUN_LABEL) == self.mark.label
            if ours or labels.get(CLUSTER_LABEL, "").startswith(self.mark.cluster_prefix):
                self.volumes |= {mount["Name"] for mount in raw["Mounts"] if mount["Type"] == "volume"}
                found.append(f"container {raw['Names']}")
        return found

    def left(self, folder):
        """Everything of the run there is, a phrase each."""
        api, lease = self.client.api, Lease(self.mark.label, folder, 0, 0)
        told = self.containers()
        told += [f"process {process.pid}" for process in owned_processes(self.mark.label)]
        told += [f"network {n['Name']}" for n in api.networks() if self._is_ours(n["Name"], n["Labels"])]
        told += [f"image {i['RepoTags']}" for i in api.images(all=True) if self._is_ours("", i["Labels"])]
        told += [
            f"volume {v['Name'][:12]}"
            for v in api.volumes()["Volumes"] or ()
            if v["Name"] in self.volumes or self._is_ours(v["Name"], v["Labels"])
        ]
        told += [f"kubeconfig {file}" for file in folder.rglob("kubeconfig")]
        told += [f"folder {folder}"] if folder.exists() else []
        return told + [f"lease {file.name}" for file in lease.file.parent.glob(f"{self.mark.label}*")]

    def _is_ours(self, name, labels):
        return name.startswith(self.mark.cluster_prefix) or (labels or {}).get(RUN_LABEL) == self.mark.label


@pytest.fixture(scope="module")
def client(pytestconfig):
    with kind_needed(pytestconfig):
        opened = open_engine()
    with contextlib.closing(opened), small_image(opened, disk_mib=48):
        yield opened


@pytest.fixture(scope="module")
def foreign(client, tmp_path_factory, pytestconfig):
    """Somebody else's kind cluster, made by kind alone, and a container; their rows as the engine has them."""
    with kind_needed(pytestconfig):
        image, tools = pick_node_image(), tool_paths()
    name, folder = f"foreign-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("foreign")
    theirs = os.environ | {"KUBECONFIG": str(folder / "config"), "KIND_EXPERIMENTAL_DOCKER_NETWORK": name}
    kind = [str(tools.kind), "--name", name]
    made = None
    try:
        subprocess.run([*kind[:1], "create", "cluster", *kind[1:], "--image", image.reference, "--wait", "120s"],
                       env=theirs, check=True, capture_output=True)  # fmt: skip
        made = client.containers.run(SMALL, detach=True, name=name, network=name, volumes=["/var"])
        yield lambda: {one.id: asdict(one) for one in look(client, Mark("nobody")) if name in (one.cluster, one.name)}
    finally:
        if made is not None:
            made.remove(force=True, v=True)
        subprocess.run([*kind[:1], "delete", "cluster", *kind[1:]], env=theirs, check=False, capture_output=True)
        for network in client.networks.list(names=[name]):
            network.remove()


def kill_one(client, sort, killed_at, folder, foreign):
    """One run, from its start to what is left of it a minute after its end at most."""
    killed = Killed(f"campaign-{uuid.uuid4().hex[:12]}", killed_at)
    before, config = foreign(), stamp(HOME_CONFIG)
    witness = Witness(client, killed.label)
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    command = [sys.executable, "-m", "tests.contract.victims", sort, killed.label, str(folder)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    own = os.environ | {"TMPDIR": str(temporary)}
    with subprocess.Popen(command, cwd=ROOT, env=own, stdin=subprocess.PIPE, **quiet) as process:
        witness.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(killed_at)
        alive = process.poll() is None
        process.kill()
    ended = time.monotonic()
    for thing in witness.left(folder / "owned"):
        killed.lived[thing.split()[0]] = killed.lived.get(thing.split()[0], 0) + 1
    with contextlib.suppress(WaitTimeout):
        until(lambda: not witness.left(folder / "owned"), what="it all to go", deadline_seconds=GONE_SECONDS)
    killed.gone_after = time.monotonic() - ended
    killed.leaks = witness.left(folder / "owned") + [f"temporary {file.name}" for file in temporary.iterdir()]
    killed.leaks += [] if alive else ["died before it was killed"]
    killed.harmed = changes(before, foreign()) + (
        ["~/.kube/config was written"] if stamp(HOME_CONFIG) != config else []
    )
    witness.done.set()
    witness.join()
    return killed, witness


def stamp(file):
    return (file.stat().st_mtime_ns, file.stat().st_size) if file.exists() else None


@pytest.mark.slow
@pytest.mark.kind
@pytest.mark.parametrize(("sort", "longest"), [("everything", 6.0), ("kind", 30.0)])
def test_runs_killed_at_any_moment_leave_nothing(client, foreign, tmp_path, capsys, sort, longest):
    draw = random.Random(SEED)
    moments = [draw.uniform(0, longest) for _ in range(RUNS)]
    campaign = []
    for number, moment in enumerate(moments, start=1):
        campaign.append(kill_one(client, sort, moment, tmp_path / str(number), foreign))
        with capsys.disabled():
            if number == 1:
                print(f"\n{sort}: {RUNS} runs, killed after 0 to {longest:.0f} s (seed {SEED})")
                print(f"run  killed, s  {'what lived then':<95} gone, s  leaks  foreign cluster and container")
            print(campaign[-1][0].row(number), flush=True)
    latecomers = [witness.left(tmp_path / str(number) / "owned") for number, (_, witness) in enumerate(campaign, 1)]
    assert [killed.leaks for killed, _ in campaign] == [[]] * RUNS
    assert [killed.harmed for killed, _ in campaign] == [[]] * RUNS
    assert latecomers == [[]] * RUNS
    assert sum("container" in killed.lived for killed, _ in campaign) >= RUNS // 3, (
        "most died before there was anything"
    )
    assert max(killed.gone_after for killed, _ in campaign) < GONE_SECONDS
