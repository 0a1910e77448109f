"""What is asked of a folder that is said to hold etcd-manager, and how it is called; no etcd-manager is needed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.clusters.etcd_release import EtcdRelease
from harness.errors import MachineError, UsageError
from harness.tools import etcd_manager
from harness.tools.etcd_manager import EtcdManager
from harness.tools.managers import etcd_manager_target

RELEASE = EtcdRelease("3.5.30", Path("/e/etcd"), Path("/e/etcdctl"), Path("/e/etcdutl"), "here")
HELP = {"etcd-manager": "-quarantine-client-urls string", "etcd-manager-ctl": "-member-count int"}


@pytest.fixture
def folder(tmp_path):
    """Two programs that say what etcd-manager's say."""
    for name, text in HELP.items():
        write(tmp_path / name, f"echo 'Usage of {name}:'; echo '  {text}'; exit 2 # restores with 3.5.30")
    return tmp_path


def write(program, line, mode=0o755):
    program.write_text(f"#!/bin/sh\n{line}\n")
    program.chmod(mode)


def examine(folder, releases=(RELEASE,), seconds=20.0):
    return EtcdManager.examine(str(folder), list(releases), seconds)


def test_a_build_is_known_by_its_help_and_survives_json(folder):
    build = examine(folder)
    assert build.folder == folder
    assert EtcdManager.from_json(json.loads(json.dumps(build.to_json()))) == build


def test_two_builds_are_told_apart(folder):
    """The program says no version of itself."""
    first = etcd_manager_target(examine(folder))
    write(folder / "etcd-manager", f"echo '  {HELP['etcd-manager']}'; exit 2 # mended; restores with 3.5.30")
    second = etcd_manager_target(examine(folder))
    assert (first.tool, first.variant) == (second.tool, second.variant) == ("etcd-manager", "build")
    assert first.version != second.version
    assert first.version.endswith(" with etcd 3.5.30")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda place: (place / "etcd-manager").unlink(), "etcd-manager is not there"),
        (lambda place: (place / "etcd-manager-ctl").unlink(), "etcd-manager-ctl is not there"),
        (lambda place: (place / "etcd-manager-ctl").chmod(0o644), r"not executable\n  mend: chmod \+x"),
        (
            lambda place: write(place / "etcd-manager", "echo I am kubectl"),
            "and said 'I am kubectl'",
        ),
        (lambda place: write(place / "etcd-manager", ":"), "is not etcd-manager"),
    ],
)
def test_what_is_not_etcd_manager_is_refused(folder, spoil, words):
    spoil(folder)
    with pytest.raises(UsageError, match=words) as refused:
        examine(folder)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(("word", "words"), [("", "is empty"), ("  ", "is empty"), ("/nowhere", "is not there")])
def test_a_folder_that_is_none_is_refused(word, words):
    with pytest.raises(UsageError, match=words):
        examine(word)


def test_a_program_in_place_of_the_folder_is_refused(folder):
    with pytest.raises(UsageError, match="is no folder"):
        examine(folder / "etcd-manager")


def test_a_program_that_hangs_is_this_machines_trouble(folder):
    write(folder / "etcd-manager", "sleep 60")
    with pytest.raises(MachineError, match=r"did not end within 0.5 s"):
        examine(folder, seconds=0.5)


def test_etcd_of_a_version_it_does_not_know_is_refused(folder):
    with pytest.raises(MachineError, match=r"knows other versions of etcd than those here \(3.5.1\)") as refused:
        examine(folder, [replace(RELEASE, version="3.5.1")])
    assert "--etcd-dir" in refused.value.mend
    with pytest.raises(MachineError, match=r"\(none\)"):
        examine(folder, [])


def test_the_release_it_names_is_chosen_among_others(folder):
    assert examine(folder, [replace(RELEASE, version="3.5.1"), RELEASE]).release == RELEASE


def test_without_namespaces_the_run_is_refused_with_what_mends_it(folder, monkeypatch):
    def nowhere():
        raise MachineError("no namespaces", mend="sudo sysctl x=1")

    monkeypatch.setattr(etcd_manager, "require_namespaces", nowhere)
    with pytest.raises(MachineError, match="no namespaces") as refused:
        examine(folder)
    assert refused.value.exit_code == 4
