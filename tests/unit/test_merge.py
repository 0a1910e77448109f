"""Runs of many machines become one, which is what one machine's run would have been; or the reason why not is told."""

import itertools
import json
import shutil
import xml.etree.ElementTree as ET

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.errors import UsageError
from harness.journal import Journal
from harness.judging.ledger import Ledger
from harness.run_folder import RunFolder
from harness.spec import CaseSpec, EtcdSpec, Target
from reports.gate import decide
from reports.merge import merge
from reports.run import RunFacts, load_facts, load_run, save_facts
from tests.judging.story import Story

GUARANTEES = ("quorum-kept", "no-ghost-member")


def spec(variant, repetition=1):
    case = CaseSpec("rolling", "002.txt", Target("reference", variant), EtcdSpec(3), GUARANTEES, seed=5)
    return case.play(repetition)


def kept(variant, repetition=1, value="a"):
    story = Story(spec=spec(variant, repetition))
    return story.write(0.5, value).replaced(1).write(2, "b").end(4, keys=[value])


def broken(variant):
    return Story(spec=spec(variant)).write(0.5, "a").asked(1).down(1, "n1").down(1.2, "n2").ended(2).end(6)


def play(folder, entries):
    moments = itertools.chain([0.0], (entry.at for entry in entries), itertools.repeat(entries[-1].at))
    name = CaseSpec.from_json(entries[0].data["spec"]).play_id.replace("/", "__")
    journal = Journal(folder.cases / name / "journal.jsonl", lambda: next(moments))
    for entry in entries:
        journal.append(entry.kind, **entry.data)
    journal.seal()


def junit(folder, stories):
    suite = ET.Element("testsuite", name="pytest", time="3.5", timestamp="2026-11-21T10:00:00", tests="9", skipped="0")
    for entries in stories:
        case = CaseSpec.from_json(entries[0].data["spec"])
        for guarantee in GUARANTEES:
            test = ET.SubElement(suite, "testcase", classname="scenarios.x", name=f"test_{guarantee}[{case.play_id}]")
            if case.target.variant == "bad":
                ET.SubElement(test, "failure", message="broken")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.ElementTree(root).write(folder.path / "junit.xml")


@pytest.fixture
def run(tmp_path):
    """Writes a run folder of stories."""

    def make(name, *stories, shard="", selection="one", left=(), planned=None, **facts):
        folder = RunFolder(tmp_path / name)
        folder.cases.mkdir(parents=True)
        (folder.path / "allure-results").mkdir()
        for entries in stories:
            play(folder, entries)
            slug = CaseSpec.from_json(entries[0].data["spec"]).play_id.replace("/", "-")
            (folder.path / "allure-results" / f"{slug}-result.json").write_text(f'{{"run": "{name}"}}')
        junit(folder, stories)
        plays = [CaseSpec.from_json(entries[0].data["spec"]).play_id for entries in stories]
        usual = {"seed": 7, "harness_version": "1", "started_at": "2026-11-21T10:00:00+00:00", "seconds": 60.0}
        wanted = tuple(plays if planned is None else planned)
        folder.planned.write_text("".join(f"{name}\n" for name in wanted))
        if left:
            folder.left_out.write_text("".join(f"{case}\n" for case in left))
        told = RunFacts(name, **{**usual, "planned": wanted, "shard": shard, **facts})
        save_facts(
            folder,
            told
            if facts.get("skipped")
            else told.__class__(**{**_dict(told), "skipped": tuple(folder.left_out_told())}),
        )
        folder.ledger.write_text("")
        folder.progress.write_text("10:00:00 hello\n")
        (folder.path / "verdicts.json").write_text("{}")
        if shard:
            folder.shard.write_text(json.dumps({"shard": shard, "selection": selection}))
        return folder.path

    return make


def _dict(facts):
    return {name: getattr(facts, name) for name in facts.__dataclass_fields__}


def judged(path):
    return load_run(RunFolder(path), Ledger())


def verdicts_of(path):
    return {
        case.spec.play_id: [(one.guarantee, one.verdict, one.signature, one.reason) for one in case.findings]
        for case in judged(path).cases
    }


def merged_by_hand(*words):
    done = CliRunner().invoke(main, ["merge", *map(str, words)])
    return done.exit_code, done.output


ALL = ("a", "b", "c", "bad")


def shards_of(run, **more):
    stories = {name: broken(name) if name == "bad" else kept(name) for name in ALL}
    whole = run("whole", *stories.values())
    parts = [run(f"part-{k}", stories[name], shard=f"{k}/4", **more) for k, name in enumerate(ALL, 1)]
    return whole, parts


def test_a_merged_run_has_the_verdicts_of_the_unsharded_one(run, tmp_path):
    whole, parts = shards_of(run)
    one = merge(parts, tmp_path / "one")
    assert verdicts_of(one.path) == verdicts_of(whole)
    assert len(verdicts_of(one.path)) == 4
    facts = load_facts(one)
    assert facts.run_id == "one"
    assert (facts.seed, facts.problems, facts.shard, facts.ended_early, facts.notes) == (7, (), "", "", ())
    assert facts.planned == tuple(sorted(load_facts(RunFolder(whole)).planned))
    now, then = decide(judged(one.path)), decide(judged(whole))
    assert (now.exit_code, sorted(now.reasons)) == (then.exit_code, sorted(then.reasons))


def test_the_order_of_runs_changes_nothing_but_who_is_named_first(run, tmp_path):
    _, parts = shards_of(run)
    assert verdicts_of(merge(parts, tmp_path / "x").path) == verdicts_of(merge(parts[::-1], tmp_path / "y").path)


def test_results_of_all_machines_are_together_and_their_own_words_apart(run, tmp_path):
    _, parts = shards_of(run)
    one = merge(parts, tmp_path / "one").path
    assert len(list((one / "allure-results").iterdir())) == 4
    assert {path.name for path in (one / "machines").iterdir()} == {path.name for path in parts}
    for part in parts:
        assert (one / "machines" / part.name / "run.json").read_bytes() == (part / "run.json").read_bytes()
        assert (one / "machines" / part.name / "progress.log").exists()
    suite = ET.parse(one / "junit.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("8", "2", "0")
    assert len(suite.findall("testcase")) == 8


def test_a_case_in_two_runs_counts_once_where_it_is_the_same_play(run, tmp_path):
    _, parts = shards_of(run)
    some = merge(parts[:3], tmp_path / "some").path
    assert "shard 4 of 4 is missing: its cases were not played" in load_facts(RunFolder(some)).problems
    one = merge([some, some, parts[0], parts[3]], tmp_path / "one").path
    assert sorted(verdicts_of(one)) == [
        "rolling/a/3-strict",
        "rolling/b/3-strict",
        "rolling/bad/3-strict",
        "rolling/c/3-strict",
    ]
    assert load_facts(RunFolder(one)).problems == ()  # it is not missing any more
    assert {path.name for path in (one / "machines").iterdir()} == {"some", *(path.name for path in parts)}
    assert ET.parse(one / "junit.xml").getroot().find("testsuite").get("tests") == "8"


def test_a_case_that_two_runs_played_differently_is_no_merged_run(run, tmp_path):
    here, there = run("here", kept("a")), run("there", kept("a", value="other"))
    with pytest.raises(UsageError, match=r"rolling/a/3-strict was played twice, in .*here and in .*there"):
        merge([here, there], tmp_path / "one")
    assert {path.name for path in tmp_path.iterdir()} == {"here", "there"}  # nothing half-way is left


def test_plays_of_one_case_are_kept_apart(run, tmp_path):
    here, there = run("here", kept("a"), repeat=2), run("there", kept("a", 2), repeat=2)
    one = merge([here, there], tmp_path / "one")
    assert sorted(verdicts_of(one.path)) == ["rolling/a/3-strict", "rolling/a/3-strict~2"]
    assert load_facts(one).repeat == 2


def test_a_missing_shard_is_told_and_exits_with_3(run, tmp_path):
    parts = [run(f"part-{k}", kept(name), shard=f"{k}/4") for k, name in ((1, "a"), (2, "b"), (4, "c"))]
    code, said = merged_by_hand(*parts, "--into", tmp_path / "one")
    assert code == 3
    assert "shard 3 of 4 is missing" in said
    assert (tmp_path / "one" / "report.html").exists()


def test_shards_of_different_selections_are_no_run(run, tmp_path):
    first, second = run("p1", kept("a"), shard="1/2"), run("p2", kept("b"), shard="2/2", selection="other")
    with pytest.raises(UsageError, match="different selections"):
        merge([first, second], tmp_path / "one")
    third = run("p3", kept("b"), shard="2/3")
    with pytest.raises(UsageError, match="different selections"):
        merge([first, third], tmp_path / "one")


def test_left_out_is_what_nobody_played(run, tmp_path):
    first = run("first", kept("a"), left=("rolling/b/3-strict", "rolling/slow/3"))
    second = run("second", kept("b"), left=("rolling/a/3-strict", "rolling/slow/3"))
    one = merge([first, second], tmp_path / "one")
    assert one.left_out.read_text().split() == ["rolling/slow/3"]
    assert load_facts(one).skipped == tuple(one.left_out_told())
    assert "1 cases were not selected" in load_facts(one).skipped[0]


def test_what_one_machine_missed_the_merged_run_missed(run, tmp_path):
    first = run("first", kept("a"), skipped=("no kind here",), problems=("set-up failed",), ended_early="out of time")
    second = run("second", kept("b"), skipped=("no kind here",), etcd="3.6.6 from PATH")
    facts = load_facts(merge([first, second], tmp_path / "one", ["the pod died"]))
    assert facts.skipped == ("no kind here",)
    assert facts.problems == ("set-up failed", "the pod died")
    assert facts.ended_early == "first: out of time"
    assert facts.etcd == "3.6.6 from PATH"


def test_different_seeds_are_told_and_decide_nothing(run, tmp_path):
    code, said = merged_by_hand(run("x", kept("a"), seed=1), run("y", kept("b"), seed=2), "--into", tmp_path / "one")
    assert code == 0
    assert "note: the runs that were merged had seeds of their own (x 1, y 2)" in said


def test_the_time_is_from_the_first_begin_to_the_last_end(run, tmp_path):
    first = run("first", kept("a"))
    second = run("second", kept("b"), started_at="2026-11-21T12:01:30+02:00", seconds=100.0)
    facts = load_facts(merge([second, first], tmp_path / "one"))
    assert facts.started_at == "2026-11-21T10:00:00+00:00"
    assert facts.seconds == 190.0


@pytest.mark.parametrize(
    ("facts", "words"),
    [({"harness_version": "2"}, "different versions of the harness: 1, 2"), ({"target": "mine 2"}, "different tools")],
)
def test_runs_that_answer_different_questions_are_not_merged(run, tmp_path, facts, words):
    with pytest.raises(UsageError, match=words):
        merge(
            [run("x", kept("a"), target="mine 1"), run("y", kept("b"), **{"target": "mine 1", **facts})], tmp_path / "z"
        )


def test_runs_held_against_different_ledgers_are_not_merged(run, tmp_path):
    here, there = run("here", kept("a")), run("there", kept("b"))
    (there / "known_defects.yaml").write_text("# another\n")
    with pytest.raises(UsageError, match="different ledgers"):
        merge([here, there], tmp_path / "one")


def test_a_run_that_was_killed_is_a_problem_and_no_error(run, tmp_path):
    here, there = run("here", kept("a")), run("there", kept("b"), planned=("rolling/b/3-strict", "rolling/c/3-strict"))
    for name in ("run.json", "verdicts.json", "junit.xml"):
        (there / name).unlink()
    code, _ = merged_by_hand(here, there, "--into", tmp_path / "one")
    facts = load_facts(RunFolder(tmp_path / "one"))
    assert code == 3
    assert "there" in facts.ended_early
    assert "rolling/c/3-strict" in facts.planned
    (there / "planned.txt").unlink()
    merge([here, there], tmp_path / "two")
    assert load_facts(RunFolder(tmp_path / "two")).problems == ("there never came to its end: it has no run.json",)


def test_a_cut_journal_is_told_in_the_merged_run_too(run, tmp_path):
    here, there = run("here", kept("a")), run("there", kept("b"))
    journal = next(there.glob("cases/*/journal.jsonl"))
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-1]))
    code, said = merged_by_hand(here, there, "--into", tmp_path / "one")
    assert (code, "without its seal" in said) == (3, True)


def test_two_machines_may_have_named_their_runs_alike(run, tmp_path):
    here, there = run("shard", kept("a")), run("elsewhere", kept("b"))
    (tmp_path / "far").mkdir()
    shutil.move(there, tmp_path / "far" / "shard")
    one = merge([here, tmp_path / "far" / "shard"], tmp_path / "one").path
    assert {path.name for path in (one / "machines").iterdir()} == {"shard", "shard-2"}


@pytest.mark.parametrize("file", ["run.json", "junit.xml", "shard.json"])
def test_a_broken_file_is_named(run, tmp_path, file):
    path = run("here", kept("a"), shard="1/1")
    (path / file).write_text('{"run_id": 3, "shard": "9/1"')
    code, said = merged_by_hand(path, "--into", tmp_path / "one")
    assert (code, file in said) == (2, True)
    assert not (tmp_path / "one").exists()


@pytest.mark.parametrize("shard", ["0/2", "3/2", "x", "1/0", "-1/2"])
def test_a_shard_that_cannot_be_is_named(run, tmp_path, shard):
    path = run("here", kept("a"), shard=shard)
    with pytest.raises(UsageError, match=r"shard\.json is broken"):
        merge([path], tmp_path / "one")


def test_wrong_words_exit_with_2(run, tmp_path):
    path = run("here", kept("a"))
    foreign = tmp_path / "holidays"
    foreign.mkdir()
    (foreign / "beach.jpg").write_text("")
    assert merged_by_hand("--into", tmp_path / "one")[0] == 2
    assert merged_by_hand(path)[0] == 2
    for words in ((foreign,), (path, foreign), (path, tmp_path / "gone")):
        code, said = merged_by_hand(*words, "--into", tmp_path / "one")
        assert (code, "is no run folder" in said) == (2, True)
    code, said = merged_by_hand(path, "--into", foreign)
    assert (code, "is not an empty folder" in said) == (2, True)
    assert (foreign / "beach.jpg").exists()


def test_runs_without_any_case_are_nothing(run, tmp_path):
    code, _ = merged_by_hand(run("x", shard="1/2"), run("y", shard="2/2"), "--into", tmp_path / "one")
    assert code == 3
