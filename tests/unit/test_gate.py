"""May it ship: each rule of the gate shown red and green on saved runs, and the pages it writes."""

import json
import random
from datetime import date

import msgspec
import pytest

from harness.errors import UsageError
from harness.judging.ledger import Ledger
from harness.run_folder import RunFolder
from reports.expected import Expected
from reports.gate import decide
from reports.gate_page import to_json, to_markdown
from reports.history import HistoryLine
from reports.pace import Pace, spread
from reports.run import load_run
from tests.judging.saved_run import LINE, blind, haunted, kept, lost, save

GOOD, BAD = "rolling_replacement/good/3-strict", "rolling_replacement/bad/3-strict"


@pytest.fixture
def run(tmp_path):
    """Saves a run and judges it."""

    def made(name, *stories, ledger="", today=date(2026, 11, 21), **facts):
        folder = save(tmp_path / name, *stories, ledger=ledger, **facts)
        return load_run(folder, Ledger.load(folder.ledger, today))

    return made


@pytest.fixture
def manifest(tmp_path):
    def made(*lines):
        path = tmp_path / "expected.txt"
        path.write_text("\n".join(lines))
        return Expected.load(path)

    return made


def test_all_as_expected_ships(run):
    decision = decide(run("now", kept(), lost(), ledger=LINE))
    assert (decision.exit_code, decision.headline) == (0, "all 2 cases as expected (1 red as known)")
    assert decision.reasons == ()


def test_a_red_that_nobody_knows_does_not(run):
    decision = decide(run("now", lost()))
    assert decision.exit_code == 1
    assert decision.broken[0].startswith(f"{BAD}: quorum-kept is broken: ")


@pytest.mark.parametrize(
    ("story", "told"),
    [
        (kept("bad"), "did not show (quorum-kept: quorum-lost); known_defects.yaml:2: delete the line"),
        (haunted(), "did not show (quorum-kept: quorum-lost); known_defects.yaml:2: delete the line"),
    ],
)
def test_a_known_defect_that_is_gone_is_red_with_its_line(run, story, told):
    decision = decide(run("now", story, ledger=LINE))
    assert decision.exit_code == 1
    assert any(told in reason for reason in decision.broken)


def test_a_known_defect_with_another_signature_is_red_with_its_line(run):
    decision = decide(run("now", lost(), ledger=LINE.replace("quorum-lost", "quorum-gone")))
    assert decision.exit_code == 1
    assert any("known_defects.yaml:2: it is quorum-lost now: change the signature" in text for text in decision.broken)


def test_an_expired_line_makes_its_red_news_again_and_says_so(run):
    ledger = LINE + "  expires: 2026-11-20\n"
    assert decide(run("then", lost(), ledger=ledger, today=date(2026, 11, 20))).exit_code == 0
    decision = decide(run("now", lost(), ledger=ledger))
    assert decision.exit_code == 1
    assert "known_defects.yaml:2: loses-quorum announced it until it expired on 2026-11-20" in decision.broken[0]


def test_a_line_that_matched_nothing_in_earlier_runs_is_red_in_a_run_of_its_cases(run):
    ledger = LINE.replace("guarantee: quorum-kept", "guarantee: service-restored")
    now = run("now", kept("bad"), ledger=ledger)
    assert decide(now).exit_code == 0, "nobody asked for that guarantee, so it is not missed"
    play = {"standing": "kept", "verdict": "RECOVERED", "tool": "reference"}
    lines = [{"run_id": f"r{n}", "started_at": "", "exit_code": 0, "cases": {BAD: play}} for n in range(5)]
    history = [_line(line) for line in lines]
    decision = decide(now, history=history)
    assert decision.exit_code == 1
    assert "known_defects.yaml:2: loses-quorum matched nothing in the last 5 runs" in decision.broken[0]
    assert decide(now, history=history[1:]).exit_code == 0, "four runs say nothing yet"


def _line(told):
    return msgspec.convert(told, HistoryLine)


def test_nothing_ran_is_never_green(run):
    decision = decide(run("now"))
    assert (decision.exit_code, decision.headline) == (3, "nothing ran")


def test_what_could_not_be_judged_is_three_and_broken_outranks_it(run):
    assert decide(run("one", blind())).exit_code == 3
    assert decide(run("two", blind(), lost())).exit_code == 1


def test_a_run_without_a_planned_case_is_thin(run):
    assert decide(run("whole", kept(), planned=(GOOD,))).exit_code == 0
    decision = decide(run("thin", kept(), planned=(GOOD, BAD, f"{GOOD}~2")))
    assert decision.exit_code == 3
    assert decision.not_run == (BAD, f"{GOOD}~2")
    assert "2 plays of 3 planned did not come about" in decision.unclear[0]


def test_a_run_that_ended_early_says_so_and_lists_what_was_not_played(run):
    decision = decide(run("now", kept(), planned=(GOOD, BAD), ended_early="the limit of 5 minutes had passed"))
    assert decision.exit_code == 3
    assert decision.unclear[0] == "the run ended early: the limit of 5 minutes had passed"
    assert decision.not_run == (BAD,)


def test_a_run_that_was_killed_is_not_green(run, tmp_path):
    run("now", kept())
    folder = RunFolder(tmp_path / "now")
    (folder.path / "run.json").unlink()
    assert decide(load_run(folder, Ledger())).exit_code == 0, "a run from before that was written down"
    folder.planned.write_text(f"{GOOD}\n{BAD}\n")
    decision = decide(load_run(folder, Ledger()))
    assert decision.exit_code == 3
    assert decision.unclear[0] == "the run ended early: it was killed before its end"


def test_a_manifest_makes_a_thinned_out_run_red(run, manifest):
    wanted = manifest("# all of it", GOOD, "rolling_replacement/bad/*  # a comment", "")
    assert decide(run("whole", kept(), lost(), ledger=LINE), expected=wanted).exit_code == 0
    decision = decide(run("thin", kept()), expected=wanted)
    assert decision.exit_code == 3
    assert decision.not_run == ("rolling_replacement/bad/*",)
    assert decide(run("more", kept(), lost(), kept("new"), ledger=LINE), expected=wanted).fresh == (
        "rolling_replacement/new/3-strict",
    )


def test_a_pattern_may_want_a_number_of_cases(run, manifest):
    wanted = manifest("rolling_replacement/*/3-strict >= 2")
    assert decide(run("two", kept(), kept("other")), expected=wanted).exit_code == 0
    decision = decide(run("one", kept(), kept(play=2)), expected=wanted)
    assert decision.exit_code == 3, "two plays are one case"
    assert decision.not_run == ("rolling_replacement/*/3-strict (1 of 2)",)


@pytest.mark.parametrize("lines", [[""], ["# nothing"], ["a b"], ["a >= 0"], ["a >= many"]])
def test_a_manifest_that_wants_nothing_or_makes_no_sense_is_refused(manifest, lines):
    with pytest.raises(UsageError, match=r"expected.txt"):
        manifest(*lines)


def test_a_minimum_count_makes_a_thinned_out_run_red(run):
    now = run("now", kept(), kept(play=2))
    assert decide(now, at_least=1).exit_code == 0
    assert decide(now, at_least=2).unclear == ("1 case played, and at least 2 have to be",)


def test_a_case_of_the_baseline_that_is_gone_is_red_unless_the_manifest_decides(run, manifest):
    now, before = run("now", kept()), run("before", kept(), kept("old"))
    decision = decide(now, baseline=before)
    assert decision.exit_code == 3
    assert decision.not_run == ("rolling_replacement/old/3-strict",)
    assert decide(now, baseline=before, expected=manifest(GOOD)).exit_code == 0
    assert decide(before, baseline=now).against.fresh == ("rolling_replacement/old/3-strict",)


def test_what_was_kept_and_is_broken_is_a_regression_also_where_the_ledger_knows_it(run):
    before = run("before", kept("bad"))
    known = run("now", lost(), ledger=LINE)
    assert decide(known).exit_code == 0
    decision = decide(known, baseline=before)
    assert decision.exit_code == 1
    assert "regression against before (reference)" in decision.broken[0]
    assert "(known: loses-quorum)" in decision.broken[0]
    assert decide(known, baseline=run("same", lost())).against.regressions == ()


def test_what_was_broken_and_is_kept_is_a_fix(run):
    decision = decide(run("now", kept("bad")), baseline=run("before", lost()))
    assert decision.exit_code == 0
    assert f"{BAD}: quorum-kept is kept, and was broken by quorum-lost" in decision.against.fixes


def test_a_consequence_of_a_known_defect_that_shows_in_both_is_no_regression(run):
    ledger = LINE.replace("guarantee: quorum-kept", "guarantee: no-ghost-member").replace("quorum-lost", "ghost-member")
    ledger = ledger.replace("[no-ghost-member, write", "[quorum-kept, write")
    decision = decide(run("now", lost(), ledger=ledger), baseline=run("before", haunted(), ledger=ledger))
    assert decision.exit_code == 0, decision.reasons
    assert [change.guarantee for change in decision.against.of_kind("consequence")] == ["quorum-kept"]


def test_plays_are_compared_by_the_gravest_and_say_in_how_many(run):
    now = run("now", kept(), kept(play=2), lost("good", play=3))
    decision = decide(now, baseline=run("before", kept()))
    assert any("quorum-kept is broken in 1 of 3 plays, and was kept" in text for text in decision.against.regressions)


def plays(*gaps):
    return [kept(gap=gap, play=number) for number, gap in enumerate(gaps, 1)]


def test_a_slower_recovery_is_red_only_beyond_noise_and_never_from_fewer_than_three_plays(run):
    before = run("before", *plays(4, 4.2, 4.1))
    assert decide(run("same", *plays(4.3, 4.1, 5)), baseline=before).exit_code == 0
    slower = decide(run("slow", *plays(12, 12.4, 12.1)), baseline=before)
    assert slower.exit_code == 1
    assert (
        "takes longer to come back: median 12.1 s of 3 plays, 4.1 s of 3 in the baseline (limit 6.2 s)"
        in slower.broken[0]
    )
    few = decide(run("few", *plays(12, 12.4)), baseline=before)
    assert few.exit_code == 0
    assert "told, not judged" in few.against.paces[0].paces[0].words
    assert (
        decide(run("again", *plays(4, 4.2, 4.1)), baseline=run("was", *plays(12, 12.4, 12.1))).against.paces[0].faster
    )


def test_the_limit_grows_with_the_noise_of_either_side():
    still, noisy = (10.0, 10.1, 9.9), (10.0, 18.0, 4.0)
    now = (19.0, 19.2, 18.9)
    assert Pace("c", "g", still, now).is_slower
    assert not Pace("c", "g", noisy, now).is_slower
    assert not Pace("c", "g", still, (19.0, 40.0, 9.0)).is_slower
    assert not Pace("c", "g", (0.2, 0.21, 0.2), (1.5, 1.5, 1.5)).is_slower, "under two seconds nobody waits longer"
    assert spread((5.0,)) == 0.0


def test_the_limit_finds_a_doubling_and_leaves_noise_alone():
    """As docs/gate.md has it: three plays a side, normal times that scatter by a tenth of what they are."""
    dice = random.Random(7)

    def alarms(factor):
        pairs = [[tuple(dice.gauss(40 * f, 4 * f) for _ in range(3)) for f in (1, factor)] for _ in range(1000)]
        return sum(Pace("c", "g", before, now).is_slower for before, now in pairs)

    assert alarms(1) <= 2
    assert alarms(2) >= 700
    assert alarms(3) >= 850


def test_the_page_answers_first_and_is_safe_from_what_tools_are_called(run):
    now = run("now", lost("<script>|x"), kept(), skipped=("a::b: no kind here", "a::c: no kind here"))
    page = to_markdown(now, decide(now, baseline=run("before", kept("<script>|x"), kept("gone"))))
    assert page.startswith("# Do not ship: now (reference)\n\n**")
    assert "<script>" not in page
    assert page.index("## Why not") < page.index("## Regressions") < page.index("## Time to recovery")
    assert "## Not run (1)\n- rolling_replacement/gone/3-strict" in page
    assert "- no kind here (2 tests)" in page
    assert to_markdown(now, decide(run("empty"))).startswith("# Nobody can say: ")


def test_the_json_says_the_same_to_machines(run):
    now = run("now", lost(), kept(), ledger=LINE)
    told = json.loads(json.dumps(to_json(now, decide(now, baseline=run("before", kept("bad"))))))
    assert (told["schema"], told["answer"], told["exit_code"]) == (1, "do not ship", 1)
    assert told["known"][0]["place"] == "known_defects.yaml:2"
    assert {change["kind"] for change in told["against"]["changes"]} == {"regression"}
    assert told["against"]["new_cases"] == [GOOD]
    assert [case["standing"] for case in told["cases"]] == ["known", "kept"]
