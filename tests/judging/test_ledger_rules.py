"""Lines of the ledger: what is refused and where, and each rule by which a line has to be changed, red and green."""

from dataclasses import dataclass, field
from datetime import date

import pytest

from harness.errors import UsageError
from harness.judging.ledger import Ledger
from harness.judging.ledger_rules import CaseName, expired, never_played, shown_otherwise, stale, unknown
from tests.judging.saved_run import LINE

TODAY = date(2026, 11, 21)
REAL = LINE.replace("tool: reference", "tool: laconic-so").replace("variant: bad", 'versions: "1.*"')
CASES = {
    "reference": (
        "rolling_replacement/bad/3-strict",
        "rolling_replacement/good/5-strict",
        "control/bad/3-strict/marker-gone/restart-all",
    )
}


def of(text, today=TODAY):
    return Ledger.of(text, today)


@dataclass
class Play:
    known: tuple = ()
    missing: tuple = ()
    broken: dict = field(default_factory=dict)
    tool: str = "reference"
    version: str = ""


@dataclass
class Run:
    cases: dict
    run_id: str = "r1"


def night(name="rolling_replacement/bad/3-strict", **play):
    return Run({name: Play(**play)})


SHOWN = night(known=("loses-quorum",), broken={"quorum-kept": "quorum-lost"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            LINE.replace("scenario:", "scenari:"),
            "known_defects.yaml:5: loses-quorum: no field is called scenari; is scenario",
        ),
        (
            LINE.replace("[3-strict]", "[3-strict, 5]"),
            "known_defects.yaml:6: loses-quorum: Expected `str`, got `int` in clus",
        ),
        (
            LINE + "  versions: 1.1\n",
            "known_defects.yaml:12: loses-quorum: Expected `str`, got `float` in versions; put it",
        ),
        (LINE + "  tool: other\n", "known_defects.yaml:12: tool is there twice, first in line 3"),
        (LINE + LINE, "known_defects.yaml:13: loses-quorum is there twice, first in line 2"),
        (
            LINE.replace("quorum-kept", "quorum-kep"),
            "known_defects.yaml:2: loses-quorum: no guarantee quorum-kep; is quorum-k",
        ),
        (LINE.replace("why: two of three are gone", 'why: ""'), "known_defects.yaml:2: loses-quorum: why is empty"),
        (REAL, "known_defects.yaml:2: loses-quorum: since is missing"),
        (REAL + "  since: 2026-13-45\n", "known_defects.yaml:2: not a date: month must be in 1..12"),
        (
            LINE + "  since: 2026-11-01\n  expires: 2026-10-01\n",
            "known_defects.yaml:2: loses-quorum: expires 2026-10-01 is not",
        ),
        ("one: two\n", "known_defects.yaml:1: a ledger is a list"),
        ("- one\n", "known_defects.yaml:1: is no known defect"),
        ("- id: [\n", "known_defects.yaml:2: while parsing"),
        ("- id: \x00\n", "known_defects.yaml:1: unacceptable character"),
    ],
)
def test_a_line_that_is_not_as_it_should_be_is_told_with_its_place(text, told):
    with pytest.raises(UsageError) as refused:
        of(text)
    assert told in str(refused.value)


def test_all_lines_that_are_not_as_they_should_be_are_told_at_once():
    with pytest.raises(UsageError) as refused:
        of(LINE.replace("scenario:", "scenari:") + REAL.replace("loses", "has-lost"))
    assert "known_defects.yaml:5:" in str(refused.value)
    assert "known_defects.yaml:13:" in str(refused.value)
    assert "mend: edit known_defects.yaml" in str(refused.value)


def test_a_line_knows_where_it_stands_also_behind_an_anchor():
    text = LINE + "  cuts: &all {a: b}\n" + LINE.replace("loses", "has-lost") + "  cuts: *all\n"
    known = of(text)
    assert [known.place(defect) for defect in known.defects] == ["known_defects.yaml:2", "known_defects.yaml:14"]
    assert known.defects[1].cuts == {"a": "b"}


def test_a_line_of_a_real_tool_says_since_when():
    (defect,) = of(REAL + "  since: 2026-11-01\n").defects
    assert defect.since == date(2026, 11, 1)


@pytest.mark.parametrize(("day", "red"), [(date(2026, 11, 20), False), (date(2026, 11, 21), True)])
def test_a_line_that_has_expired_is_red(day, red):
    told = [each.sentence for each in expired(of(LINE + "  expires: 2026-11-20\n", day))]
    assert len(told) == red
    assert not red or told[0].startswith("known_defects.yaml:2: loses-quorum has expired on 2026-11-20")


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ("", "", ""),
        (
            "scenario: rolling_replacement",
            "scenario: rolling_replacment",
            "names no scenario there is: rolling_replacment",
        ),
        ("variant: bad", "variant: bat", "names no variant of rolling_replacement: bat; is bad meant?"),
        ("[3-strict]", "[3-strict, 5-*]", "names no cluster of rolling_replacement/bad: 5-*"),
        ("[3-strict]", "[3-*]\n  moments: [half-way]", "names no moment of rolling_replacement/bad: half-way"),
        ("scenario: rolling_replacement", "scenario: control\n  moments: [marker-*]", ""),
    ],
)
def test_a_line_that_names_what_there_is_not_is_red(was, now, told):
    found = [each.sentence for each in unknown(of(LINE.replace(was, now)), CASES)]
    assert bool(found) == bool(told)
    assert not told or told in found[0]


def test_a_line_whose_clusters_and_moments_never_meet_is_red():
    cases = {"reference": ("story/bad/3-strict/early", "story/bad/5-strict/late")}
    text = LINE.replace("rolling_replacement", "story") + "  moments: [late]\n"
    assert ["names no case" in each.why for each in unknown(of(text), cases)] == [True]


def test_of_a_tool_without_a_manifest_only_the_variant_is_not_known():
    text = REAL + "  since: 2026-11-01\n"
    assert not list(unknown(of(text), CASES))
    assert list(unknown(of(text.replace("3-strict", "7-strict")), CASES))


def test_a_line_that_shows_is_green():
    known = of(LINE)
    assert not [*shown_otherwise(known, [SHOWN]), *stale(known, [SHOWN] * 9, 3)]
    assert not never_played(known, [SHOWN])


@pytest.mark.parametrize(
    ("broken", "rule", "told"),
    [
        ({}, "gone", "did not show in rolling_replacement/bad/3-strict of run r1; delete the line"),
        ({"quorum-kept": "never-had"}, "changed", "shows as never-had and no more as quorum-lost"),
    ],
)
def test_a_line_that_is_gone_or_shows_otherwise_is_red_until_it_shows_again(broken, rule, told):
    gone = night(missing=("loses-quorum",), broken=broken)
    (complaint,) = shown_otherwise(of(LINE), [SHOWN, gone])
    assert (complaint.rule, told in complaint.sentence) == (rule, True)
    assert not list(shown_otherwise(of(LINE), [gone, SHOWN]))
    assert not list(stale(of(LINE), [gone] * 9, 3)), "told once"


def test_a_line_that_matched_nothing_in_the_last_runs_is_red():
    known, idle = of(LINE), night()
    assert not list(stale(known, [idle, idle], 3)), "too few runs say nothing"
    assert not list(stale(known, [SHOWN, idle, idle], 3))
    (complaint,) = stale(known, [SHOWN, idle, night("other/bad/3-strict"), idle, idle], 3)
    assert (
        "known_defects.yaml:2: loses-quorum matched nothing in the last 3 runs that played its cases"
        in complaint.sentence
    )


def test_a_line_for_a_build_that_is_played_no_more_is_red_and_says_so():
    known = of(REAL + "  since: 2026-11-01\n")
    other = night("rolling_replacement/laconic-so/3-strict", tool="laconic-so", version="2.0")
    (complaint,) = stale(known, [other] * 3, 3)
    assert "no build fits versions '1.*', they were 2.0" in complaint.why
    assert never_played(known, [night()]) == list(known.defects), "the reference's cases are not its own"


def test_a_moment_may_have_slashes_and_a_play_a_number():
    assert CaseName.of("a/b/c/d+e/f,g~12") == CaseName("a", "b", "c", "d+e/f,g")
    assert CaseName.of("a/b/c~2") == CaseName("a", "b", "c", "")
