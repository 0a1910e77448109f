"""Faults of a deployment, on a folder and machines made up for it; the shapes that name its versions."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import FaultError, UsageError
from harness.faults.deployment import BackupEmptied, BackupMissing, MachineKilled
from harness.shapes import DeploymentSpec


class Machine:
    def __init__(self, name):
        self.name, self.pid = name, 7

    def kill(self):
        self.pid = 0


class Cluster(SimpleNamespace):
    def machines(self):
        return self.all

    def running(self):
        return [machine for machine in self.all if machine.pid]


@pytest.fixture
def cluster(tmp_path):
    backup = tmp_path / "secrets.yml"
    backup.write_text("kind: Secret\n")
    return Cluster(all=[Machine("one")], backup=backup)


@pytest.mark.parametrize("fault", [MachineKilled(), BackupEmptied(), BackupMissing()], ids=lambda f: type(f).__name__)
def test_it_bites_once(cluster, fault):
    fault.preflight(cluster)
    assert not fault.evidence(cluster).bit
    fault.inject(cluster)
    assert fault.evidence(cluster).bit
    with pytest.raises(FaultError, match="would change nothing"):
        fault.preflight(cluster)


def test_a_machine_that_is_gone_was_not_killed():
    assert not MachineKilled().evidence(Cluster(all=[], backup=None)).bit


@pytest.mark.parametrize("file", [None, Path("/nowhere/secrets.yml")])
def test_a_tool_without_a_backup_is_told_before_anything_is_broken(file):
    with pytest.raises(FaultError, match="has put no secrets by"):
        BackupMissing().preflight(Cluster(all=[], backup=file))


@pytest.mark.parametrize(
    ("shape", "label"),
    [
        (DeploymentSpec(), "kind-1-binary"),
        (DeploymentSpec(secrets="text", jq=False), "kind-1-text-nojq"),
        (
            DeploymentSpec(kubernetes="1.33.13", etcd="3.6.6", then_etcd="3.5.21"),
            "kind-1-binary-k1.33.13-e3.6.6-then-e3.5.21",
        ),
        (DeploymentSpec(in_use=False), "kind-1-new"),
    ],
)
def test_versions_are_in_a_shape_s_name(shape, label):
    assert shape.label == label


def test_nothing_is_made_anew_where_nothing_was():
    with pytest.raises(UsageError, match="made anew"):
        DeploymentSpec(in_use=False, then_etcd="3.5.21")
