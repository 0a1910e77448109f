"""`afterfault repro` finds what an ID means, hands it to pytest, and says what came of it."""

import json
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from harness import __version__
from harness.cli import main
from harness.errors import MachineError, UsageError
from harness.journal import Journal
from harness.judging import Finding, Verdict
from harness.kept import Kept, find_kept, forget_kept
from harness.replay import kept_shell, same_versions
from harness.replay.again import compare, last_words
from harness.replay.played import Played, Versions, cases_of, find
from harness.replay.same_versions import SameVersions, values
from harness.run_folder import RunFolder
from harness.spec import CaseSpec, DeploymentSpec, EtcdSpec, Target

POINTS = ("api:create:namespaces:shop:1:before", "api:create:namespaces:shop:1:after")
SKIP, APPLY = "every_cut/ingress-skip/kind-1-new", "every_cut/ingress-apply/kind-1-new"


def spec(variant, scenario="every_cut", tool="reference"):
    shape = DeploymentSpec(in_use=False, secrets="none")
    return CaseSpec(scenario, "001.txt", Target(tool, variant), shape, ("every-cut-recovers",), seed=7)


def write(run, case, *more, end=""):
    folder = run / "cases" / case.play_id.replace("/", "__")
    folder.mkdir(parents=True)
    entries = [{"kind": "case.opened", "data": {"spec": case.to_json()}}, *more]
    (folder / "journal.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries) + end)


@pytest.fixture
def run(tmp_path):
    """Two sweeps, one of them stopped half-way, and a story."""
    learnt = {"kind": "sweep.learnt", "data": {"points": POINTS, "cuts": "sample:4"}}
    write(tmp_path, spec("ingress-skip"), learnt, end='{"kind": "sweep.le')
    write(tmp_path, spec("ingress-apply"), learnt | {"data": {"points": (POINTS[0], "other"), "cuts": "all"}})
    write(tmp_path, spec("faithful", "stop_and_start"))
    return tmp_path


def found(run, wanted):
    case, cut = find(list(cases_of(RunFolder(run))), wanted)
    return case.words(cut)


def test_a_case_is_played_with_its_seed(run):
    assert found(run, "stop_and_start/faithful/kind-1-new") == [
        "--case", "stop_and_start/faithful/kind-1-new", "--seed", "7"
    ]  # fmt: skip


def test_a_whole_sweep_tries_the_same_points_again(run):
    assert found(run, SKIP) == ["--case", SKIP, "--seed", "7", "--cuts", "sample:4"]


def test_a_cut_is_named_with_its_case(run):
    assert found(run, f"{APPLY}@{POINTS[0]}") == ["--case", APPLY, "--seed", "7", "--cuts", POINTS[0]]


def test_a_cut_that_only_one_case_has_needs_no_case(run):
    assert found(run, POINTS[1])[1] == SKIP
    with pytest.raises(UsageError, match=f"2 cases have.*\n.*{APPLY}@{POINTS[0]}, {SKIP}@"):
        found(run, POINTS[0])


@pytest.mark.parametrize(
    ("wanted", "near"),
    [
        ("every_cut/ingress-skp/kind-1-new", f"no case and no cut point.*\n.*nearest are {SKIP}"),
        (f"{SKIP}@api:create:namespace:shop:1:after", f"no cut point.*\n.*nearest are {SKIP}@{POINTS[1]}"),
        ("stop_and_start/faithful/kind-1-new@x", "no cut point x\n.*a run without a sweep has no cut points"),
        ("api:create:namespaces:shop:1", f"a part of 2 names.*\n.*say which: {POINTS[0]}, {POINTS[1]}"),
    ],
)
def test_an_unknown_id_names_the_nearest(run, wanted, near):
    with pytest.raises(UsageError, match=near):
        found(run, wanted)


def call(*words):
    return CliRunner().invoke(main, ["repro", *map(str, words)])


def test_the_command_is_printed(run):
    done = call("--dry-run", "--run", run, f"{SKIP}@{POINTS[1]}", "--", "--node-image", "x")
    root = Path(__file__).parents[2]
    expected = (
        f"cd {root} && {sys.executable} -m pytest scenarios -m '' -v --case {SKIP} --seed 7 --cuts {POINTS[1]} "
        f"--run-dir {root}/runs/NEW --keep=on-failure --node-image x\n"
    )
    assert done.exit_code == 0
    assert re.sub(r"/runs/\d{8}-\d{6}-\d{3}", "/runs/NEW", done.output) == expected


@pytest.mark.parametrize(
    ("words", "keep"),
    [
        ([], ["--keep=on-failure"]),
        (["--keep"], ["--keep=always"]),
        (["--shell"], ["--keep=always"]),
        (["--keep", "--shell"], ["--keep=always"]),
        (["--no-keep"], []),
    ],
)
def test_who_asks_for_the_cluster_gets_it(run, words, keep):
    assert re.findall(r"--keep\S*", call("--dry-run", *words, "--run", run, SKIP).output) == keep


def test_a_run_folder_that_is_named_is_taken(run, tmp_path):
    said = call("--dry-run", "--run", run, SKIP, "--", "--run-dir", tmp_path / "mine").output
    assert re.findall(r"--run-dir (\S+)", said) == [str(tmp_path / "mine")]
    assert call("--run", run, SKIP, "--", "--run-dir", run).exit_code == 2, "it is not empty"


def test_a_second_play_has_its_own_name_and_seed(run):
    second = spec("faithful", "stop_and_start").play(2)
    write(run, second)
    assert found(run, "stop_and_start/faithful/kind-1-new~2") == [
        "--case", "stop_and_start/faithful/kind-1-new", "--seed", str(second.seed)
    ]  # fmt: skip


def test_a_part_of_names_tells_whose(run):
    with pytest.raises(UsageError, match=f"ingress is a part of 2 names.*\n.*say which: {APPLY}, {SKIP}"):
        found(run, "ingress")


def test_it_ends_as_pytest_does(run, monkeypatch, tmp_path):
    calls = []
    ended = subprocess.CompletedProcess((), 1)
    monkeypatch.setattr("harness.commands.repro.subprocess.run", lambda *words, **_: calls.append(words) or ended)
    assert call("--run", run, SKIP, "--", "--run-dir", tmp_path / "new").exit_code == 1
    assert len(calls) == 1


def test_wrong_usage_ends_with_2(run, tmp_path):
    for words in (["--run", run, "nothing"], ["--run", tmp_path / "none", SKIP], []):
        assert call(*words).exit_code == 2


def test_a_users_tool_has_to_be_named(run):
    write(run, spec("laconic-so", "stop_and_start", "laconic-so"))
    case = "stop_and_start/laconic-so/kind-1-new"
    for more in ([], ["--", "--node-image", "x"]):
        done = call("--dry-run", "--run", run, case, *more)
        assert done.exit_code == 2
        assert "-- --laconic-so PATH" in done.output


# versions


def played(versions, tool="reference", variant="faithful", shape=None):
    target = Target(tool, variant, versions.tool)
    case = CaseSpec("story", "001.txt", target, shape or DeploymentSpec(in_use=False), ("every-cut-recovers",))
    return Played(case, versions=versions)


@pytest.fixture
def machine(monkeypatch):
    """Etcd 3.5.1 first and 3.6.6 too; one node image that is preferred, and another one."""
    releases = [SimpleNamespace(version=version, etcd=Path(f"/etcd/{version}/etcd")) for version in ("3.5.1", "3.6.6")]
    here = SimpleNamespace(images=["a/node:v1.34.4-etcd3.6.6-aaa", "a/node:v1.33.13-etcd3.6.6-bbb"], build="1.2.3")
    monkeypatch.setattr(same_versions, "find_releases", lambda folders: releases[1:] if folders else releases)
    monkeypatch.setattr(
        same_versions, "pick_node_image", lambda named, *_: SimpleNamespace(reference=named or here.images[0])
    )
    monkeypatch.setattr(same_versions, "image_present", lambda name: name in here.images)
    monkeypatch.setattr(same_versions.LaconicSo, "examine", lambda _: SimpleNamespace(version=here.build))
    return here


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("versions", "shape", "words"),
    [
        (Versions(), None, []),
        (Versions(afterfault=__version__), None, []),
        (Versions(etcd="3.5.1"), EtcdSpec(), []),
        (Versions(etcd="3.6.6"), EtcdSpec(), ["--etcd-dir", "/etcd/3.6.6"]),
        (Versions(etcd="3.5.9"), EtcdSpec(release="3.5.9"), []),
        (Versions(node_image="a/node:v1.34.4-etcd3.6.6-aaa"), None, []),
        (Versions(node_image="a/node:v1.33.13-etcd3.6.6-bbb"), None, ["--node-image", "a/node:v1.33.13-etcd3.6.6-bbb"]),
    ],
)
def test_what_is_here_is_chosen(versions, shape, words):
    same = SameVersions.of(played(versions, shape=shape), ())
    same.require()
    assert same.words == words


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("versions", "shape", "more", "told"),
    [
        (Versions(afterfault="0.0.1"), None, (), "afterfault 0.0.1 .here it is .*take the sources of afterfault 0.0.1"),
        (Versions(etcd="3.4.9"), EtcdSpec(), (), "etcd 3.4.9 .here it is 3.5.1.*-- --etcd-dir DIR, with .* of 3.4.9"),
        (Versions(etcd="3.5.1"), EtcdSpec(), ("--etcd-dir", "x"), "etcd 3.5.1 .here it is 3.6.6"),
        (
            Versions(node_image="a/node:v1.35.0-etcd3.7.0-ccc"), None, (),
            "image a/node:v1.35.0.*afterfault images build --kubernetes 1.35.0 --etcd 3.7.0",
        ),
        (Versions(node_image="a/node:v1.34.4-etcd3.6.6-ccc"), None, (), "another recipe made it"),
        (Versions(node_image="my/own:1"), None, (), "-- --node-image my/own:1, once the engine has it"),
        (
            Versions(node_image="a/node:v1.34.4-etcd3.6.6-aaa"), None, ("--node-image=my/own:1",),
            "here it is my/own:1",
        ),
    ],
)  # fmt: skip
def test_what_is_not_here_is_refused_with_the_way_to_get_it(versions, shape, more, told):
    same = SameVersions.of(played(versions, shape=shape), more)
    with pytest.raises(MachineError, match=re.compile(told + ".*--any-version", re.DOTALL)) as caught:
        same.require()
    assert caught.value.exit_code == 4


def test_the_users_tool_is_asked_for_its_version(machine):
    case = played(Versions(tool="1.2.3"), "laconic-so", "laconic-so-test")
    same = SameVersions.of(case, ("--laconic-so", "x"))
    same.require()
    assert same.words == ["--laconic-so-stack", "test"]
    machine.build = "1.2.4"
    with pytest.raises(MachineError, match=r"laconic-so 1.2.3 \(here it is 1.2.4\)"):
        SameVersions.of(case, ("--laconic-so=x",)).require()


@pytest.mark.usefixtures("machine")
def test_any_version_goes_on_and_tells(run):
    case = spec("other", "stop_and_start")
    write(run, case)
    journal = run / "cases" / case.case_id.replace("/", "__") / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"data": {', '"data": {"harness_version": "0.0.1", ', 1))
    done = call("--dry-run", "--run", run, case.case_id)
    assert (done.exit_code, "--any-version" in done.output) == (4, True)
    done = call("--dry-run", "--any-version", "--run", run, case.case_id)
    assert done.exit_code == 0
    assert "played with afterfault 0.0.1" in done.output


def test_options_are_read_in_both_spellings():
    assert list(values("--x", ["--x", "1", "--x=2", "--xy", "3", "--x"])) == ["1", "2", ""]


# what came of it


def judged(folder, *entries):
    """A case of bare etcd; without more it can't be judged."""
    case = CaseSpec("story", "001.txt", Target("reference", "x"), EtcdSpec(), ("quorum-kept",))
    journal = Journal(folder / "cases" / "story__x" / "journal.jsonl", lambda: 0.0)
    journal.append("case.opened", spec=case.to_json())
    for kind in entries:
        journal.append(kind, problem="the disk was full")
    journal.seal()
    [found] = cases_of(RunFolder(folder))
    return found


def test_it_says_what_is_broken_and_whether_it_was_so_then(tmp_path):
    then, now = judged(tmp_path / "then"), judged(tmp_path / "now")
    assert list(compare(then, RunFolder(tmp_path / "now"), "")) == [
        "inconclusive: quorum-kept: the cluster never took writes", "then: the same"
    ]  # fmt: skip
    now.folder.joinpath("journal.jsonl").write_text("{")
    assert list(compare(then, RunFolder(tmp_path / "now"), "")) == []
    then.folder.joinpath("journal.jsonl").write_text("{")
    again = judged(tmp_path / "again", "case.problem")
    assert list(compare(then, RunFolder(again.folder.parents[1]), ""))[1:] == [
        "then: nobody knows, its journal can't be read"
    ]


def test_a_guarantee_that_broke_by_another_sign_is_the_same_and_says_so(tmp_path, monkeypatch):
    then, now = judged(tmp_path / "then"), RunFolder(judged(tmp_path / "now").folder.parents[1])

    lost = partial(Finding, "quorum-kept", Verdict.NOT_RECOVERED, "it broke")
    kept = Finding("quorum-kept", Verdict.RECOVERED, "it held")
    plays = [lost(signature="no-leader"), lost(signature="no-writes"), lost(signature="no-leader"), kept]
    monkeypatch.setattr("harness.replay.again.judge_all", lambda _: (plays.pop(0),))
    said = [[*compare(then, now, "")][-1] for _ in range(2)]
    assert said == [
        "then: the same, seen otherwise: quorum-kept was no-leader, is no-writes",
        "then: quorum-kept was NOT_RECOVERED, is RECOVERED",
    ]


def test_of_a_sweep_the_one_cut_is_held_against_itself(tmp_path):
    """Whatever came of other cuts and of the control, then or now."""

    def sweep(name, *cuts):
        journal = Journal(tmp_path / name / "cases" / "x" / "journal.jsonl", lambda: 0.0)
        journal.append("case.opened", spec=spec("ingress-skip").to_json())
        for cut, problem in cuts:
            journal.append("sweep.cut", id=cut, like="")
            journal.append("sweep.ended", id=cut, problem=problem)
        journal.seal()
        return RunFolder(tmp_path / name)

    now = sweep("now", (POINTS[0], "it broke"), ("control", "another"))
    told = f"inconclusive: {POINTS[0]}, every-cut-recovers: the harness had a problem: it broke"
    [then] = cases_of(sweep("then", (POINTS[0], "it broke too"), (POINTS[1], "")))
    assert list(compare(then, now, POINTS[0])) == [told, "then: the same"]
    [other] = cases_of(sweep("other", (POINTS[1], "")))
    assert list(compare(other, now, POINTS[0])) == [
        told, f"then: {POINTS[0]}, every-cut-recovers was not played, is INCONCLUSIVE"
    ]  # fmt: skip


def test_the_last_words_are_the_way_in_and_the_way_out(tmp_path, monkeypatch):
    case = judged(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    run = RunFolder(tmp_path / "run")
    assert list(last_words(run)) == ["journal: run/cases/story__x/journal.jsonl"]
    kept = Kept(etcdctl="/bin/etcdctl", environment={"ETCDCTL_ENDPOINTS": "http://a b"})
    kept.owned_by("run-1.main", "story/x").save(case.folder)
    (run.path / "report.html").touch()
    assert list(last_words(run))[1:] == [
        "report: run/report.html",
        "the cluster is up; to get in:",
        "  export ETCDCTL_ENDPOINTS='http://a b'",
        "  /bin/etcdctl endpoint status --write-out=table",
        "to remove it:",
        "  afterfault gc --run run",
    ]
    forget_kept(run.cases, "another.main")
    assert [one.case_id for one in find_kept(run.cases)] == ["story/x"]
    forget_kept(run.cases, "run-1.main")
    assert find_kept(run.cases) == []


def test_a_cluster_that_nobody_can_get_into_says_why():
    assert list(Kept(trouble="there is no way in: no member runs").lines()) == ["# there is no way in: no member runs"]
    assert list(Kept(kubectl="/k", environment={"KUBECONFIG": "/c"}).lines()) == [
        "export KUBECONFIG=/c", "/k get nodes,pods --all-namespaces"
    ]  # fmt: skip


def test_a_spoilt_note_is_a_clear_error(tmp_path):
    case = judged(tmp_path / "run")
    for text in ("{", "[]", '{"environment": 7}'):
        (case.folder / "kept.json").write_text(text)
        with pytest.raises(UsageError, match=r"kept.json can't be read: .*\n.*rm "):
            find_kept(tmp_path / "run" / "cases")


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """A kept cluster, a shell that writes down what it sees, and what gc was asked for."""
    case = judged(tmp_path / "run")
    environment = {"KUBECONFIG": "/the/config"}
    Kept(kubectl="/tools/kubectl", environment=environment, label="x", case_id="c").save(case.folder)
    script = tmp_path / "shell"
    script.write_text(f'#!/bin/sh\necho "$PWD $KUBECONFIG $PATH" > {tmp_path}/seen\nkill -$SIGNAL_ME $PPID\nexit 3\n')
    script.chmod(0o755)
    monkeypatch.setenv("SHELL", str(script))
    monkeypatch.setenv("SIGNAL_ME", "0")
    swept = []
    monkeypatch.setattr(kept_shell, "collect_garbage", lambda **words: swept.append(words["run"]))
    return SimpleNamespace(run=RunFolder(tmp_path / "run"), swept=swept, seen=tmp_path / "seen")


def test_a_shell_sees_the_cluster_which_goes_after_it(shell):
    kept_shell.open_shell(shell.run, keep=False)
    assert shell.seen.read_text().startswith(f"{shell.run.path} /the/config /tools:")
    assert shell.swept == [str(shell.run.path)]


def test_a_kept_cluster_stays_after_the_shell(shell, capsys):
    kept_shell.open_shell(shell.run, keep=True)
    assert shell.swept == []
    assert f"afterfault gc --run {shell.run.near}" in capsys.readouterr().out


def test_ctrl_c_is_the_shells(shell, monkeypatch):
    monkeypatch.setenv("SIGNAL_ME", "INT")
    kept_shell.open_shell(shell.run, keep=False)
    assert shell.swept


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_ends_the_shells_owner_ends_the_cluster(shell, monkeypatch, number):
    before = signal.getsignal(number)
    monkeypatch.setenv("SIGNAL_ME", str(int(number)))
    with pytest.raises(SystemExit) as ended:
        kept_shell.open_shell(shell.run, keep=False)
    assert ended.value.code == 128 + number
    assert shell.swept
    assert signal.getsignal(number) is before


def test_without_a_cluster_there_is_no_shell(shell, capsys):
    for path in shell.run.cases.glob("*/kept.json"):
        path.unlink()
    kept_shell.open_shell(shell.run, keep=False)
    assert "nothing to open a shell in" in capsys.readouterr().err
    assert not shell.seen.exists()
