"""What is asked of the machine: room, binaries that run, and whose process a number is."""

import itertools
import os
from collections import namedtuple

import psutil
import pytest

from harness.clusters.etcd_release import find_releases
from harness.clusters.kind_binaries import kind_version, kubectl_version, named_kind, named_kubectl
from harness.clusters.ownership import Lease
from harness.errors import JournalError, MachineError, UsageError
from harness.journal import SEAL, Journal, read
from harness.run_folder import LEAST_FREE_MIB, RunFolder

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("free_mib", "enough"), [(LEAST_FREE_MIB, True), (LEAST_FREE_MIB - 1, False)])
def test_a_run_needs_room(tmp_path, monkeypatch, free_mib, enough):
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(0, 0, free_mib * 2**20))
    folder = RunFolder(tmp_path / "run")
    if enough:
        folder.prepare()
        assert folder.cases.is_dir()
    else:
        with pytest.raises(MachineError, match="511 MiB are free for the run folder; a run needs 512 MiB"):
            folder.prepare()


def test_a_run_folder_where_none_can_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="cannot make the run folder"):
        RunFolder(tmp_path / "file" / "run").prepare()


def etcd_dir(folder):
    for name, says in (("etcd", "etcd Version"), ("etcdctl", "etcdctl version"), ("etcdutl", "etcdutl version")):
        (folder / name).write_text(f"#!/bin/sh\necho '{says}: 3.5.9'\n")
        (folder / name).chmod(0o755)
    return folder


def not_executable(folder):
    (folder / "etcdctl").chmod(0o644)


def a_folder(folder):
    (folder / "etcdctl").unlink()
    (folder / "etcdctl").mkdir()


def fails_after_all(folder):
    (folder / "etcdctl").write_text("#!/bin/sh\necho 'etcdctl version: 3.5.9'\nexit 7\n")


def for_another_machine(folder):
    (folder / "etcdctl").write_bytes(b"\x7fELF" + bytes(60))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (not_executable, "no executable etcdctl in"),
        (a_folder, "no executable etcdctl in"),
        (fails_after_all, r"does not say a version \(exit 7\)"),
        (for_another_machine, "does not run"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_one_bad_binary_spoils_a_release(tmp_path, spoil, words):
    spoil(etcd_dir(tmp_path))
    with pytest.raises(UsageError, match=words):
        find_releases([tmp_path])


KIND_SAYS = "kind v0.30.0 go1.25 linux/amd64"
KUBECTL_SAYS = '{"clientVersion": {"gitVersion": "v1.34.4"}}'


def program(folder, says, code=0):
    path = folder / "program"
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return path


def test_kind_and_kubectl_say_their_versions(tmp_path):
    assert kind_version(program(tmp_path, KIND_SAYS)) == "0.30.0"
    assert kind_version(program(tmp_path, "kind v0.31.0-alpha+abc go1.25")) == "0.31.0-alpha+abc"
    assert kubectl_version(program(tmp_path, KUBECTL_SAYS)) == "1.34.4"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("#!/bin/sh\necho kind v0.30.0; exit 3\n", "does not say a version .exit 3, 'kind v0.30.0'"),
        ("#!/bin/sh\necho moon v0.30.0\n", "is not kind"),
        ("#!/bin/sh\nhead -c 4000 /dev/urandom\n", "is not kind"),
        ("#!/nowhere/sh\n", "does not run"),
        ("\x7fELF and nothing", "does not run"),
    ],
)
def test_a_kind_that_is_none(tmp_path, body, words):
    program(tmp_path, "").write_text(body)
    with pytest.raises(MachineError, match=words):
        kind_version(tmp_path / "program")


@pytest.mark.parametrize(
    ("named", "option", "says", "other"),
    [(named_kind, "--kind", KIND_SAYS, KUBECTL_SAYS), (named_kubectl, "--kubectl", KUBECTL_SAYS, KIND_SAYS)],
)
def test_a_named_binary_is_tried_at_once(tmp_path, monkeypatch, named, option, says, other):
    path = program(tmp_path, says)
    monkeypatch.chdir(tmp_path)
    assert named("program") == path  # a case has another working folder
    path.chmod(0o644)
    for word, wrong in (("", "is empty"), ("  ", "is empty"), ("moon", "moon is not there"), (".", ". is a folder"),
                        ("program", "program is not executable")):  # fmt: skip
        with pytest.raises(UsageError, match=f"{option} {wrong}.*\n  mend: give the path"):
            named(word)
    with pytest.raises(UsageError, match=f"{option} .*does not say a version"):
        named(str(program(tmp_path, other)))


def test_a_reused_process_number_is_not_the_owner(tmp_path):
    created = psutil.Process().create_time()
    assert Lease("x", tmp_path, os.getpid(), created).owner_lives()
    assert not Lease("x", tmp_path, os.getpid(), created - 1).owner_lives()


def test_a_seal_counts_the_lines_above_it(tmp_path):
    ticks = itertools.count(0.0, 1.0)
    journal = Journal(tmp_path / "journal.jsonl", lambda: next(ticks))
    journal.append("case.step", text="one")
    journal.append(SEAL, entries=7)
    with pytest.raises(JournalError, match="counts another number"):
        read(journal.path)
    journal.seal()
