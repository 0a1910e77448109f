"""Specs, ledgers, run folders and tools: what is refused, and with which words."""

import json
import random
from datetime import date

import pytest

from harness.clusters.addresses import Subnet, check_free
from harness.clusters.etcd_release import find_releases, pick_release
from harness.errors import MachineError, UsageError
from harness.judging.ledger import Ledger
from harness.judging.verdict import Finding, Verdict
from harness.run_folder import RunFolder
from harness.spec import CaseSpec, EtcdSpec, ManagedSpec, Target, TrafficSpec
from harness.tools.deploy_tool import replace_command

SPEC = CaseSpec("rolling", "002.txt", Target("reference", "incident"), EtcdSpec(members=3), ("quorum-kept",))
LINE = """
- id: one
  tool: reference
  variant: inc*
  scenario: rolling
  clusters: [3-*]
  guarantee: quorum-kept
  signature: quorum-lost
  also: [no-ghost-member]
  why: because
  link: 002.txt
"""
RED = Finding("quorum-kept", Verdict.NOT_RECOVERED, "2 of 4", "quorum-lost")


def ledger(tmp_path, text, today=date(2026, 11, 21)):
    path = tmp_path / "known_defects.yaml"
    path.write_text(text)
    return Ledger.load(path, today)


def test_a_spec_survives_json():
    assert CaseSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC
    assert SPEC.case_id == "rolling/incident/3-strict"


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        (ManagedSpec(), "managed-3-file"),
        (ManagedSpec(members=1, store="s3", backup_seconds=2.5), "managed-1-s3-every2.5s"),
    ],
)
def test_a_managed_cluster_survives_json_under_its_label(spec, label):
    case = CaseSpec("seed", "003.txt", Target("reference", "wishes"), spec, ("no-unasked-seed",))
    assert CaseSpec.from_json(json.loads(json.dumps(case.to_json()))) == case
    assert case.case_id == f"seed/wishes/{label}"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EtcdSpec(members=0), "1 to 9 members"),
        (lambda: EtcdSpec(heartbeat_ms=200, election_ms=500), "five heartbeats"),
        (lambda: ManagedSpec(members=0), "1 to 9 machines"),
        (lambda: ManagedSpec(store="tape"), "one of file, s3, not 'tape'"),
        (lambda: ManagedSpec(backup_seconds=0), "is not above 0"),
        (lambda: ManagedSpec(backup_seconds=float("nan")), "is not above 0"),
        (lambda: TrafficSpec(writers=0), "at least one writer"),
        (lambda: TrafficSpec(pause_seconds=0), "above 0"),
        (lambda: CaseSpec("a", "b", Target("c", "d"), EtcdSpec(), ()), "without a guarantee"),
        (lambda: CaseSpec.from_json({"scenario": 3}), "not a case spec"),
    ],
)
def test_nonsense_is_refused(make, words):
    with pytest.raises(UsageError, match=words):
        make()


def test_a_known_defect_explains_itself_and_its_consequences(tmp_path):
    known = ledger(tmp_path, LINE)
    assert known.explain(SPEC, RED).id == "one"
    assert known.explain(SPEC, Finding("no-ghost-member", Verdict.NOT_RECOVERED, "", "anything")).id == "one"
    assert known.explain(SPEC, Finding("quorum-kept", Verdict.NOT_RECOVERED, "", "otherwise")) is None
    assert known.explain(SPEC, Finding("write-gap-bounded", Verdict.NOT_RECOVERED, "", "write-gap")) is None
    assert known.explain(SPEC, Finding("quorum-kept", Verdict.INCONCLUSIVE, "")) is None


def test_a_known_defect_that_does_not_show_is_missing(tmp_path):
    known = ledger(tmp_path, LINE)
    assert not known.missing(SPEC, [RED])
    assert [d.id for d in known.missing(SPEC, [Finding("quorum-kept", Verdict.RECOVERED, "")])] == ["one"]
    assert [d.id for d in known.missing(SPEC, [Finding("quorum-kept", Verdict.NOT_RECOVERED, "", "otherwise")])] == [
        "one"
    ]
    assert not known.missing(SPEC, [Finding("no-ghost-member", Verdict.RECOVERED, "")]), "not judged is not missing"


def test_an_expired_defect_explains_nothing(tmp_path):
    text = LINE + "  expires: 2026-11-20\n"
    assert ledger(tmp_path, text, date(2026, 11, 20)).explain(SPEC, RED) is not None
    assert ledger(tmp_path, text, date(2026, 11, 21)).explain(SPEC, RED) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- id: x", "missing required field"),
        (LINE + "  colour: red\n", "colour"),
        (LINE.replace("quorum-kept", "quorum-wept"), "no guarantee quorum-wept"),
        (LINE + "  expires: someday\n", "Invalid RFC3339 encoded date"),
        (LINE + LINE, "one is there twice"),
        ("{", r"known_defects.yaml:1: "),
    ],
)
def test_a_bad_ledger_names_what_is_wrong(tmp_path, text, words):
    with pytest.raises(UsageError, match=words):
        ledger(tmp_path, text)


def test_a_run_folder_is_never_overwritten(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="not an empty folder"):
        RunFolder.choose(str(tmp_path), tmp_path)


def binaries(folder, **scripts):
    for name in ("etcd", "etcdctl", "etcdutl"):
        says = {"etcd": "etcd Version: 3.5.9", "etcdctl": "etcdctl version: 3.5.9", "etcdutl": "etcdutl version: 3.5.9"}
        body = scripts.get(name, f"echo '{says[name]}'")
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return folder


def test_releases_stand_side_by_side(tmp_path):
    found = find_releases([binaries(tmp_path)])
    assert found[0].version == "3.5.9"
    assert pick_release(found, "").version == "3.5.9"
    assert pick_release(found, "3.5.1").note.startswith("etcd 3.5.1 has known data inconsistency")
    with pytest.raises(MachineError, match=r"etcd 9.9.9 is not here \(there is 3.5.9, 3.5.1\)"):
        pick_release(found, "9.9.9")


@pytest.mark.parametrize(
    ("scripts", "words"),
    [
        ({"etcdctl": "echo 'etcdctl version: 3.5.8'"}, "of different versions"),
        ({name: f"echo '{name} {word}: 3.4.23'" for name, word in
          (("etcd", "Version"), ("etcdctl", "version"), ("etcdutl", "version"))}, "too old"),
        ({"etcd": "printf '\\377\\000\\001'"}, "does not say a version"),
        ({"etcdutl": "exit 7"}, r"exit 7"),
    ],
)  # fmt: skip
def test_a_bad_etcd_dir_is_refused(tmp_path, scripts, words):
    with pytest.raises(UsageError, match=words):
        find_releases([binaries(tmp_path, **scripts)])


def test_a_missing_binary_is_named(tmp_path):
    (binaries(tmp_path) / "etcdutl").unlink()
    with pytest.raises(UsageError, match="no executable etcdutl"):
        find_releases([tmp_path])


def test_subnets_never_collide_and_are_given_back():
    first = Subnet()
    taken = [int(part) for part in first.prefix.split(".")[1:]]
    wanted = iter(taken)
    second = Subnet(lambda low, high: next(wanted, random.randint(low, high)))
    assert second.prefix != first.prefix, "the second one found it taken"
    first.release()
    wanted = iter(taken)
    third = Subnet(lambda low, high: next(wanted, random.randint(low, high)))
    assert third.prefix == first.prefix
    for subnet in (second, third):
        subnet.release()


def test_a_taken_port_is_named():
    subnet = Subnet()
    with pytest.raises(MachineError, match=rf"port 2381 on {subnet.address(254)} is taken"):
        check_free(subnet.address(254), (2381,))
    subnet.release()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("", "is empty"),
        ("./nowhere-to-be-found", "is not there"),
        ("/tmp", "is a folder"),
        ("'open", "No closing quotation"),
    ],
)
def test_a_bad_replace_command_is_refused(command, words):
    with pytest.raises(UsageError, match=words):
        replace_command(command, 60)


def test_a_replace_command_that_is_not_executable_is_refused(tmp_path):
    script = tmp_path / "replace.sh"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(UsageError, match=r"not executable\n  mend: chmod \+x"):
        replace_command(str(script), 60)
