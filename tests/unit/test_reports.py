"""Pages and files from journals: what they say, and that they say it to everybody."""

import itertools
import re
import xml.etree.ElementTree as ET
from datetime import date

import pytest

from harness.errors import UsageError
from harness.journal import Journal
from harness.judging.ledger import Ledger
from harness.run_folder import RunFolder
from harness.spec import CaseSpec, EtcdSpec, Target
from reports import verdicts
from reports.gate import decide
from reports.html import to_html
from reports.picture import draw, standalone
from reports.run import RunFacts, load_run, save_facts
from reports.summary import to_markdown
from reports.write import write_reports
from tests.judging.story import Story

LINE = """
- {id: one, tool: reference, variant: bad, scenario: rolling_replacement, guarantee: quorum-kept,
   signature: quorum-lost, also: [no-ghost-member], why: because, link: 002.txt}
"""


def spec(variant):
    target = Target("reference", variant)
    return CaseSpec("rolling_replacement", "002.txt", target, EtcdSpec(3), ("quorum-kept", "no-ghost-member"))


def good_story(variant="good"):
    return Story(spec=spec(variant)).write(0.5, "a").replaced(1).write(2, "<b>&").end(4, keys=["a"])


def bad_story(variant="bad"):
    story = Story(spec=spec(variant)).write(0.5, "a").asked(1).down(1, "n1").down(1.2, "n2").ended(2)
    return story.end(6)


def blind_story():
    return [entry for entry in good_story("blind") if entry.kind != "case.ended"]


@pytest.fixture
def run(tmp_path):
    """Writes stories into a run folder and reads it back, held against a ledger."""
    folder = RunFolder(tmp_path / "run-1")

    def write(*stories, ledger=""):
        for entries in stories:
            moments = itertools.chain([0.0], (entry.at for entry in entries), itertools.repeat(entries[-1].at))
            name = entries[0].data["spec"]["target"]["variant"]
            journal = Journal(folder.cases / name / "journal.jsonl", lambda moments=moments: next(moments))
            for entry in entries:
                journal.append(entry.kind, **entry.data)
            journal.seal()
        (tmp_path / "ledger.yaml").write_text(ledger)
        return folder, load_run(folder, Ledger.load(tmp_path / "ledger.yaml", date(2026, 11, 21)))

    return write


@pytest.mark.parametrize(
    ("stories", "ledger", "code", "headline"),
    [
        ([good_story()], "", 0, "the only case is as expected (0 red as known)"),
        ([good_story(), bad_story()], LINE, 0, "all 2 cases as expected (1 red as known)"),
        ([bad_story()], "", 1, "2 things not as expected"),
        ([good_story("bad")], LINE, 1, "1 thing not as expected"),
        ([blind_story()], "", 3, "1 thing could not be judged"),
        ([blind_story(), bad_story()], "", 1, "3 things not as expected"),
    ],
)
def test_the_gate_knows_what_is_expected(run, stories, ledger, code, headline):
    decision = decide(run(*stories, ledger=ledger)[1])
    assert decision.exit_code == code
    if headline.startswith(("all", "the only", "1 thing", "2 things")):
        assert decision.headline == headline


def test_nothing_ran_is_not_green(run, tmp_path):
    (tmp_path / "run-1" / "cases").mkdir(parents=True)
    assert decide(run()[1]).exit_code == 3
    with pytest.raises(UsageError, match="is no run folder"):
        load_run(RunFolder(tmp_path / "nowhere"), Ledger())


def test_a_journal_that_was_edited_is_told_not_skipped(run):
    folder, _ = run(good_story())
    path = folder.cases / "good" / "journal.jsonl"
    path.write_text(path.read_text().replace('"n4"', '"n9"'))
    result = load_run(folder, Ledger())
    assert result.cases == ()
    assert re.match(r"cases/good/journal.jsonl:\d+: was edited", result.unreadable[0])
    assert decide(result).exit_code == 3


def test_verdicts_are_the_same_when_judged_again(run):
    folder, result = run(good_story(), bad_story(), ledger=LINE)
    verdicts.save(folder, result)
    saved = verdicts.load(folder)
    assert verdicts.differences(saved, load_run(folder, Ledger())) == []
    saved["cases"][0]["findings"][0]["verdict"] = "RECOVERED"
    (told,) = verdicts.differences(saved, result)
    assert "quorum-kept was RECOVERED quorum-lost, is NOT_RECOVERED quorum-lost" in told


def test_a_journal_rewritten_with_all_its_hashes_is_still_another_one(run):
    folder, result = run(good_story())
    verdicts.save(folder, result)
    (folder.cases / "good" / "journal.jsonl").unlink()
    _, other = run(bad_story("good"))
    told = verdicts.differences(verdicts.load(folder), other)
    assert any("the journal is another one than was judged then" in line for line in told)


def test_the_page_is_one_file_that_needs_nobody(run):
    folder, _ = run(good_story(), bad_story(), ledger=LINE)
    save_facts(folder, RunFacts("run-1", seed=7, etcd="3.5.1", skipped=("x <is> slow",)))
    write_reports(folder, load_run(folder, Ledger.load(folder.path.parent / "ledger.yaml", date(2026, 11, 21))))
    page = (folder.path / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!#|cases/)[^"]*"', page), "only anchors and journals"
    assert "<script" not in page
    assert "All 2 cases as expected (1 red as known)" in page
    assert "x &lt;is&gt; slow" in page
    assert page.count("<svg") == 2
    assert 'name="viewport"' in page
    assert "prefers-color-scheme:dark" in page
    ids = re.findall(r'id="(case-[^"]+)"', page)
    assert sorted(ids) == sorted(set(ids))
    assert set(re.findall(r'href="#(case-[^"]+)"', page)) == set(ids)


def test_the_picture_shows_when_and_why():
    svg = draw(bad_story())
    tree = ET.fromstring(standalone(bad_story()))
    assert tree.tag.endswith("svg")
    assert 'class="vote lost"' in svg
    assert "1 of 3 voters serve: quorum lost" in svg
    assert "n1 is listed and does not serve" in svg
    assert "no write for 5.5 s" in svg
    assert 'role="img"' in svg
    assert "quorum lost" not in draw(good_story())


def test_text_from_outside_is_escaped(run):
    _, result = run(good_story("<script>alert(1)</script>"))
    assert "<script" not in to_html(result)


def test_the_summary_names_what_is_not_as_expected(run):
    _, result = run(good_story(), bad_story())
    text = to_markdown(result)
    assert text.startswith("# afterfault run-1: 2 things not as expected")
    assert "rolling_replacement/bad/3-strict: quorum-kept is broken: from 1.2 s on only 1 of 3 voters served" in text
    assert "| rolling_replacement/good/3-strict | kept |" in text
