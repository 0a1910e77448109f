"""A night without a cluster: legs, shares of the time, stopping, what it all comes to, and what is left behind."""

import itertools
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.errors import MachineError, UsageError
from harness.journal import Journal
from harness.nightly import call, needs
from harness.nightly.artifacts import collect, tell_step
from harness.nightly.budget import Budget, Share, shares
from harness.nightly.call import TIME_UP, Ended, Stop, play
from harness.nightly.command import MATRIX
from harness.nightly.legs import Leg, choose, load_legs
from harness.nightly.needs import Equipped, Given, Missing, equip, labelled
from harness.nightly.night import NightPlan, run_night
from harness.nightly.outcome import decide_red, gravest, judged
from harness.nightly.summary import Night, to_json, to_markdown
from harness.run_folder import RunFolder
from harness.spec import CaseSpec, EtcdSpec, Target
from harness.waiting import until
from reports.expected import Expected
from reports.run import RunFacts, save_facts
from tests.judging.story import Story

ONE = Leg(name="one", pytest=("scenarios", "-n", "{workers}"), minutes=10)
TWO = Leg(name="two", pytest=("scenarios",), minutes=30)
BAD = Leg(name="bad", pytest=("scenarios",), expected="must-be-red", red=("rolling_replacement/*",))
NOT_HERE = Equipped(TWO, (), (Missing("etcd-3.6", "there is none", "bring one"),))


class HandClock:
    """Time passes when a test says so, or when somebody waits."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def write_run(folder, *outcomes, ended_early="", unclear=False):
    """A run as pytest leaves it: True for a case that was kept, False for one that is red."""
    for number, ends_well in enumerate(outcomes):
        target = Target("reference", f"v{number}")
        spec = CaseSpec("rolling_replacement", "002.txt", target, EtcdSpec(3), ("quorum-kept",))
        story = Story(spec=spec).write(0.5, "a")
        story = story.replaced(1).write(2, "b") if ends_well else story.asked(1).down(1, "n1").down(1.2, "n2").ended(2)
        entries = story.end(6)
        entries = entries[:-1] if unclear else entries
        moments = itertools.chain([0.0], (entry.at for entry in entries), itertools.repeat(entries[-1].at))
        journal = Journal(folder.cases / f"v{number}" / "journal.jsonl", lambda moments=moments: next(moments))
        for entry in entries:
            journal.append(entry.kind, **entry.data)
        journal.seal()
    folder.cases.mkdir(parents=True, exist_ok=True)
    facts = RunFacts(folder.run_id, started_at="2027-03-01T02:00:00+00:00", seconds=30.0, ended_early=ended_early)
    save_facts(folder, facts)
    (folder.path / "report.html").write_text("<p>report</p>")


@pytest.fixture
def night(tmp_path):
    """Plays legs with a stand-in for pytest; returns the finished night, the calls, and the clock."""
    clock, calls, stop = HandClock(), [], Stop()

    def go(*legs, seconds=2400.0, outcomes=None, lasts=None, stops=None):
        plan = NightPlan(tmp_path / "night-1", legs, 6, ("-k", "x"), seconds)
        plan.folder.mkdir()

        def player(command, log, share, stop):
            name = Path(command[command.index("--run-dir") + 1]).name.removeprefix("night-1-")
            calls.append((name, command, share))
            clock.now += min(share, (lasts or {}).get(name, share / 2))
            write_run(RunFolder(plan.folder / f"night-1-{name}"), *(outcomes or {}).get(name, [True]))
            log.write_text("said")
            if stops == name:
                stop.why = "SIGTERM"
                return Ended(2, share, "SIGTERM")
            return Ended(0, share / 2)

        told = []
        found = run_night(plan, Budget(seconds, clock), stop, ended=told.append, player=player)
        assert told == found
        return Night(plan.folder, found, seconds, seconds / 60, stop.why), calls

    return go


def test_the_matrix_of_the_project_is_whole():
    legs = load_legs(MATRIX)
    assert {leg.name for leg in legs if leg.expected == "must-be-red"} == {"laconic-so-known-bad"}
    wanted = {need for leg in choose(legs, ()) for need in leg.needs}
    builds = {"laconic-so-release", "laconic-so-main", "laconic-so-known-bad"}
    assert wanted >= {"etcd-3.5", "etcd-3.6", "kubernetes-1.34", "kubernetes-1.33"} | builds
    assert all("--require" in leg.pytest for leg in legs), "a leg that skips what it is about says nothing"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "matrix m.yaml"),
        ("[]", "has no legs"),
        ("[{name: a b, pytest: [x]}]", "is no name of a leg"),
        ("[{name: ../a, pytest: [x]}]", "is no name of a leg"),
        ("[{name: a, pytest: []}]", "no words for pytest"),
        ("[{name: a, pytest: [x], minutes: 0}]", "minutes is above 0"),
        ("[{name: a, pytest: [x], expected: must-be-red}]", "go together"),
        ("[{name: a, pytest: [x], red: [b]}]", "go together"),
        ("[{name: a, pytest: [x], expected: green}]", "Invalid enum value 'green'"),
        ("[{name: a, pytest: [x], neds: [etcd-3.5]}]", "unknown field `neds`"),
        ("[{name: a, pytest: [x]}, {name: a, pytest: [x]}]", "a is there twice"),
    ],
)
def test_a_matrix_that_is_off_says_where(tmp_path, text, words):
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"matrix m\.yaml") as error:
        load_legs(tmp_path / "m.yaml")
    assert words in str(error.value)


def test_legs_that_take_hours_are_played_by_name_only():
    long = Leg(name="long", pytest=("x",), only_by_name=True)
    assert choose((ONE, long), ()) == (ONE,)
    assert choose((ONE, TWO, long), ("l*", "one")) == (ONE, long)
    with pytest.raises(UsageError, match="--leg thre: there is no such leg\n  mend: the legs are one, two"):
        choose((ONE, TWO), ("thre",))


def test_shares_are_by_what_legs_usually_take():
    assert [share.seconds for share in shares(80.0, [1.0, 3.0])] == [20.0, 60.0]
    assert Share(2400.0).begin_minutes == 35.0, "five minutes are for the cases that run by then"
    assert Share(40.0).begin_minutes == 0.5


def test_what_one_leg_leaves_is_the_others():
    clock = HandClock()
    budget = Budget(400.0, clock)
    assert budget.share(10, [30]) == Share(100.0)
    clock.now += 40
    assert budget.share(30, []) == Share(360.0)
    clock.now += 345
    assert budget.share(1, []) is None
    clock.now += 345
    assert budget.left_seconds == 0


def test_a_night_plays_its_legs_one_after_another(night):
    done, calls = night(Equipped(ONE, ("--etcd-dir", "/e")), Equipped(TWO))
    assert [(name, round(share)) for name, _, share in calls] == [("one", 600), ("two", 2100)]
    command = calls[0][1]
    assert command[1:] == ["-m", "pytest", "scenarios", "-n", "6", "--etcd-dir", "/e", "--minutes", "7.5",
                           "--run-dir", str(done.folder / "night-1-one"), "-k", "x"]  # fmt: skip
    assert (done.exit_code, done.is_partial) == (0, False)
    assert done.headline == "2 legs played, all as expected"


def test_a_leg_that_is_not_here_is_told_and_takes_no_time(night):
    done, calls = night(Equipped(ONE), NOT_HERE)
    assert [(name, share) for name, _, share in calls] == [("one", 2400.0)]
    assert done.exit_code == 0
    assert "- two: etcd-3.6: there is none; mend: bring one" in to_markdown(done)


def test_where_nothing_can_be_played_the_machine_can_not(night):
    done, _ = night(NOT_HERE)
    assert (done.exit_code, done.headline) == (4, "no leg can be played here")


def test_what_was_not_begun_is_said_and_is_not_green(night):
    done, calls = night(Equipped(ONE), Equipped(TWO), seconds=70.0, lasts={"one": 60})
    assert [name for name, *_ in calls] == ["one"] or [name for name, *_ in calls] == ["two"]
    assert (done.exit_code, done.is_partial) == (3, True)
    assert "not begun: the night's time was up" in to_markdown(done)


def test_a_night_that_is_stopped_says_so_and_leaves_the_rest(night):
    done, calls = night(Equipped(ONE), Equipped(TWO), stops="one")
    assert [name for name, *_ in calls] == ["one"]
    text = to_markdown(done)
    assert done.exit_code == 3
    assert "**stopped by SIGTERM: what is here is partial**" in text
    assert "the leg was stopped: SIGTERM" in text
    assert "- two: not begun: the night was stopped by SIGTERM" in text
    assert to_json(done)["stopped"] == "SIGTERM"


def test_one_red_leg_decides(night):
    done, _ = night(Equipped(ONE), Equipped(TWO), outcomes={"one": [True, False]})
    assert (done.exit_code, done.headline) == (1, "1 of 2 legs not as expected: one")
    text = to_markdown(done)
    assert "| one | **NOT AS EXPECTED** | 2 |" in text
    assert "## Play it again\n- one: `afterfault repro rolling_replacement/v1/3-strict" in text
    assert [leg["exit_code"] for leg in to_json(done)["legs"]] == [1, 0]


@pytest.mark.parametrize(
    ("codes", "code"), [((0, 3), 3), ((3, 4), 4), ((4, 2), 2), ((2, 1, 3), 1), ((0, 0), 0), ((), 3)]
)
def test_the_gravest_leg_decides(codes, code):
    assert gravest(codes) == code


@pytest.mark.parametrize(
    ("outcomes", "unclear", "code", "headline"),
    [
        ([True, False], False, 0, "red, as it has to be: 1 of 2 cases"),
        ([True], False, 1, "not red where it has to be"),
        ([True], True, 3, "not seen to be red"),
        ([], False, 3, "not seen to be red"),
    ],
)
def test_a_known_bad_release_must_be_red(tmp_path, outcomes, unclear, code, headline):
    folder = RunFolder(tmp_path / "run")
    write_run(folder, *outcomes, unclear=unclear)
    decision, run = judged(BAD, folder, Ended(1, 5.0), tmp_path / "log")
    assert (decision.exit_code, decision.headline) == (code, headline)
    assert decide_red(BAD, run) == decision


@pytest.mark.parametrize(
    ("ended", "log", "code", "words"),
    [
        (Ended(2, 1.0), "x\nafterfault: --cuts x is no choice\nend", 2, "afterfault: --cuts x is no choice"),
        (Ended(4, 1.0), "ERROR: no etcd\n", 4, "ERROR: no etcd"),
        (Ended(1, 1.0), "Traceback\nImportError: x\n\n", 3, "ImportError: x"),
        (Ended(-9, 1.0, TIME_UP, killed=True), "", 3, "the leg was stopped: its share of the time was up"),
    ],
)
def test_a_leg_that_left_no_run_is_never_green(tmp_path, ended, log, code, words):
    (tmp_path / "log").write_text(log)
    decision, run = judged(ONE, RunFolder(tmp_path / "run"), ended, tmp_path / "log")
    assert (decision.exit_code, run) == (code, None)
    assert words in decision.reasons


def test_a_leg_that_was_killed_is_not_green_whatever_its_journals_say(tmp_path):
    write_run(RunFolder(tmp_path / "run"), True)
    decision, _ = judged(ONE, RunFolder(tmp_path / "run"), Ended(-9, 1.0, TIME_UP, killed=True), tmp_path / "log")
    assert decision.exit_code == 3
    assert decision.reasons[0].endswith("it did not end and was killed")
    decision, _ = judged(ONE, RunFolder(tmp_path / "run"), Ended(-11, 1.0), tmp_path / "log")
    assert (decision.exit_code, decision.reasons[0]) == (3, "pytest ended with -11: it said nothing")


def test_a_leg_that_lost_cases_is_inconclusive(tmp_path):
    write_run(RunFolder(tmp_path / "run"), True)
    (tmp_path / "m.txt").write_text("rolling_replacement/v0/3-strict\nrolling_replacement/v9/3-strict\n")
    wanted = Expected.load(tmp_path / "m.txt")
    decision, _ = judged(ONE, RunFolder(tmp_path / "run"), Ended(0, 1.0), tmp_path / "log", wanted)
    assert (decision.exit_code, decision.not_run) == (3, ("rolling_replacement/v9/3-strict",))
    decision, _ = judged(ONE, RunFolder(tmp_path / "run"), Ended(0, 1.0), tmp_path / "log")
    assert decision.exit_code == 0


def test_builds_are_named_by_their_label(tmp_path):
    (tmp_path / "so").touch()
    leg = Leg(name="x", pytest=("x",), needs=("laconic-so-main", "kind"))
    assert labelled([f"main={tmp_path}/so"], [leg]) == {"main": tmp_path / "so"}
    for word, why in (
        ("main", "LABEL=PATH"),
        ("main=", "LABEL=PATH"),
        ("mian=x", "no leg needs it"),
        ("main=/no", "no such"),
    ):
        with pytest.raises(UsageError, match=why):
            labelled([word], [leg])
    with pytest.raises(UsageError, match="given twice"):
        labelled([f"main={tmp_path}/so"] * 2, [leg])


def test_a_need_is_looked_for_once_and_told_with_what_mends_it(monkeypatch):
    asked = []

    def no_engine():
        asked.append(1)
        raise MachineError("no Docker engine answers", mend="start one")

    monkeypatch.setattr(needs, "find_node_images", no_engine)
    legs = [Leg(name=name, pytest=("x",), needs=("kubernetes-1.34", "laconic-so-main")) for name in "ab"]
    found = equip(legs, Given())
    assert len(asked) == 1
    assert [one.sentence for one in found[1].missing] == [
        "kubernetes-1.34: no Docker engine answers; mend: start one",
        "laconic-so-main: nobody said where it is; mend: --laconic-so main=PATH (docs/laconic-so.md)",
    ]
    with pytest.raises(UsageError, match="a need that nobody knows: moon"):
        equip([Leg(name="a", pytest=("x",), needs=("moon",))], Given())


def test_the_wheel_is_the_etcd_of_its_minor():
    (found,) = equip([Leg(name="a", pytest=("x",), needs=("etcd-3.5",))], Given())
    assert found.words[0] == "--etcd-dir"
    (found,) = equip([Leg(name="a", pytest=("x",), needs=("etcd-3.99",))], Given())
    assert found.missing[0].mend == "--etcd-dir DIR of etcd 3.99"


SLOW = "import signal, sys, time\n"
POLITE = SLOW + "try:\n print('up', flush=True); time.sleep(60)\nexcept KeyboardInterrupt:\n print('bye'); sys.exit(2)"
STUBBORN = SLOW + "signal.signal(signal.SIGINT, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def test_a_leg_that_ends_by_itself(tmp_path):
    ended = play([sys.executable, "-c", "print('hello'); raise SystemExit(3)"], tmp_path / "log", 60, Stop())
    assert (ended.exit_code, ended.cut, ended.killed) == (3, "", False)
    assert (tmp_path / "log").read_text() == "hello\n"


def test_a_leg_whose_time_is_up_is_interrupted_and_cleans_up(tmp_path):
    clock = StartedClock(tmp_path / "log")
    ended = play([sys.executable, "-c", POLITE], tmp_path / "log", 5, Stop(), clock)
    assert (ended.exit_code, ended.cut, ended.killed) == (2, TIME_UP, False)
    assert "bye" in (tmp_path / "log").read_text()


def test_a_leg_that_does_not_end_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(call, "CLEAN_UP_SECONDS", 1.0)
    clock = StartedClock(tmp_path / "log")
    ended = play([sys.executable, "-c", STUBBORN], tmp_path / "log", 1, Stop(), clock)
    assert (ended.exit_code, ended.cut, ended.killed) == (-9, TIME_UP, True)


class StartedClock(HandClock):
    """Time stands still until the child is up, and a child gets real time to end."""

    def __init__(self, log):
        super().__init__()
        self._log = log

    def sleep(self, seconds):
        until(lambda: self._log.exists() and "up" in self._log.read_text(), what="the child", deadline_seconds=600)
        with subprocess.Popen([sys.executable, "-c", "pass"]) as waits_a_little:
            waits_a_little.wait()
        self.now += seconds


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_night_and_is_handed_on(tmp_path, number):
    before = signal.getsignal(number)
    code = f"import os, signal\nos.kill({os.getpid()}, {int(number)})\n{POLITE}"
    with Stop() as stop:
        ended = play([sys.executable, "-c", code], tmp_path / "log", 60, stop)
    assert (ended.cut, stop.why) == (number.name, number.name)
    assert ended.exit_code in (2, -2)  # it may not have come as far as its try
    assert signal.getsignal(number) is before


def test_artifacts_have_the_report_the_journals_and_a_bundle_of_every_red(night, tmp_path):
    done, _ = night(Equipped(ONE), NOT_HERE, outcomes={"one": [True, False]})
    assert collect(tmp_path / "artifacts", done.outcomes) == []
    place = tmp_path / "artifacts" / "one"
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == ["one"]
    assert (place / "report.html").exists()
    with tarfile.open(place / "journals.tar.gz") as archive:
        assert sorted(archive.getnames()) == ["cases/v0/journal.jsonl", "cases/v1/journal.jsonl"]
    (bundle,) = (place / "bundles").iterdir()
    done = CliRunner().invoke(main, ["rejudge", str(bundle)])
    assert (done.exit_code, "1 case, 1 findings judged again: 0 differ" in done.output) == (0, True), done.output


def test_the_step_summary_is_added_to_and_never_too_long(tmp_path, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    tell_step("nowhere")
    file = tmp_path / "step.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    file.write_text("before\n")
    tell_step("# night")
    assert file.read_text() == "before\n# night\n"
    tell_step("é" * 600_000)
    assert file.stat().st_size < 2**20
    assert file.read_text().endswith("(cut here; summary.md has all of it)\n")


def first_screen(run):
    page = (run / "report.html").read_text()
    return page[page.index("<body") : page.index("<section", page.index("<body") + 1)]


@pytest.fixture
def played(tmp_path, monkeypatch):
    """The whole command, with a stand-in for pytest."""
    legs = "[{name: one, pytest: [x], says: a leg, expect: all.txt}, {name: two, pytest: [x], needs: [etcd-3.99]}]"
    (tmp_path / "m.yaml").write_text(legs)
    (tmp_path / "all.txt").write_text("rolling_replacement/v0/*\nrolling_replacement/v7/*\n")

    def stand_in(command, *_):
        write_run(RunFolder(Path(command[command.index("--run-dir") + 1])), True, False)
        return Ended(1, 5.0)

    monkeypatch.setattr(run_night, "__kwdefaults__", {"player": stand_in})
    files = ["--matrix", str(tmp_path / "m.yaml"), "--history", str(tmp_path / "h.jsonl"), "--dir", str(tmp_path / "n")]
    return lambda *words: CliRunner().invoke(main, ["nightly", *files, *words])


def test_the_command_leaves_summary_artifacts_and_a_line_of_history(played, tmp_path):
    done = played()
    assert done.exit_code == 1, done.output
    assert "one: exit code 1 after 5 s: 1 thing not as expected" in done.output
    assert "rolling_replacement/v7/*" in done.output
    assert "two: not here: etcd-3.99: there is no etcd 3.99 here" in done.output
    left = {path.name for path in (tmp_path / "n").iterdir()}
    assert left == {"n-one", "summary.md", "night.json", "artifacts"}
    (line,) = (tmp_path / "h.jsonl").read_text().splitlines()
    assert {key: json.loads(line)[key] for key in ("run_id", "leg", "exit_code")} == {
        "run_id": "n-one", "leg": "one", "exit_code": 1
    }  # fmt: skip
    assert "## Over all nights\n- one: 1 nights" in (tmp_path / "n/summary.md").read_text()


def test_what_was_chosen_by_hand_is_held_against_no_manifest(played):
    assert "v7" not in played("--", "-k", "v0").output


def test_a_legs_page_says_since_when_it_is_bad(played, tmp_path):
    played()
    assert "since" not in first_screen(tmp_path / "n/n-one")
    (tmp_path / "n").rename(tmp_path / "before")
    played("--dir", str(tmp_path / "again"))
    assert "since" in first_screen(tmp_path / "again/again-one")


def test_a_manifest_that_is_not_there_is_told_before_the_night(played, tmp_path):
    (tmp_path / "all.txt").unlink()
    done = played()
    assert (done.exit_code, "manifest all.txt can't be read" in done.output) == (2, True)
    assert not (tmp_path / "n").exists()


def test_a_dry_run_tells_and_does_nothing(played, tmp_path):
    done = played("--dry-run", "--", "-k", "rolling")
    assert done.exit_code == 0
    assert "one: a leg; expected: as the ledger says" in done.output
    assert f"--run-dir {tmp_path}/n/n-one -k rolling" in done.output
    assert "NOT HERE etcd-3.99" in done.output
    assert not (tmp_path / "n").exists()


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_required_legs_have_to_be_here(played, tmp_path, more):
    done = played("--require", *more)
    assert done.exit_code == 4
    assert "leg two: etcd-3.99: there is no etcd 3.99 here" in done.output
    assert not (tmp_path / "n").exists()


def test_a_broken_history_is_told_before_the_night(played, tmp_path):
    (tmp_path / "h.jsonl").write_text("{}\n")
    done = played()
    assert (done.exit_code, "h.jsonl:1: not a run's line" in done.output) == (2, True)
    assert not (tmp_path / "n").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--minutes", "0"], "--minutes 0 is no time to run for"),
        (["--minutes", "nan"], "--minutes nan is no time to run for"),
        (["--leg", "x"], "there is no such leg"),
        (["--laconic-so", "main=x"], "no leg needs it"),
        (["--etcd-dir", "/nowhere", "--leg", "two"], "--etcd-dir /nowhere"),
        (["--workers", "0"], "0 is not in the range"),
    ],
)
def test_wrong_words_are_refused_before_anything(played, tmp_path, words, said):
    done = played(*words)
    assert (done.exit_code, said in done.output) == (2, True), done.output
    assert not (tmp_path / "n").exists()


def test_old_nights_are_never_overwritten(played, tmp_path):
    (tmp_path / "n").mkdir()
    (tmp_path / "n/mine").touch()
    done = played()
    assert (done.exit_code, "is not an empty folder" in done.output) == (2, True)
