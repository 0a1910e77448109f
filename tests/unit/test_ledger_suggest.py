"""What the ledger would have to say after a run, and that it then is as expected; comments and order stay."""

from datetime import date

import pytest

from harness.errors import UsageError
from harness.judging.ledger import Ledger
from harness.run_folder import RunFolder
from reports.gate import decide
from reports.ledger_edits import Edit, LedgerText
from reports.run import load_run
from reports.suggest import suggest
from tests.judging.saved_run import LINE, haunted, kept, lost, save

TODAY = date(2026, 11, 21)
OTHER = "\n# --- another\n" + LINE.replace("loses-quorum", "other").replace("variant: bad", "variant: other")


@pytest.fixture
def after(tmp_path):
    """The ledger's text after a run, what was suggested, and what the gate says then."""

    def told(text, *stories):
        folder = RunFolder(tmp_path / "run") if (tmp_path / "run").exists() else save(tmp_path / "run", *stories)
        suggested = suggest(load_run(folder, Ledger.of(text, TODAY)), text)
        new = LedgerText(text).with_edits(suggested.edits, suggested.added, TODAY)
        return new, suggested, decide(load_run(folder, Ledger.of(new, TODAY)))

    return told


def test_a_run_that_is_as_expected_changes_nothing(after):
    new, suggested, decision = after(LINE + OTHER, kept(), lost())
    assert (new, suggested.added, suggested.notes, decision.exit_code) == (LINE + OTHER, "", (), 0)


def test_news_becomes_one_line_for_all_its_clusters_ready_to_paste(after):
    stories = [lost("new"), lost("new", members=5), kept("new", members=7)]
    new, suggested, decision = after(LINE, *stories)
    assert decision.exit_code == 0, decision.reasons
    assert suggested.number == 1
    (line,) = Ledger.of(suggested.added, TODAY).defects
    assert (line.variant, line.clusters, line.guarantee) == ("new", ("3-strict", "5-strict"), "quorum-kept")
    assert line.also == ("no-ghost-member",)
    assert new.startswith(LINE)


def test_news_of_a_real_tool_says_which_build_and_since_when(after):
    _, suggested, decision = after("", lost("mine", tool="laconic-so", version="1.1.0-a[b]"))
    (line,) = Ledger.of(suggested.added, TODAY).defects
    assert decision.exit_code == 0
    assert (line.tool, line.versions, line.since) == ("laconic-so", "1.1.0-a[[]b]", date(2026, 11, 21))


def test_moments_stay_with_the_clusters_they_showed_on(after):
    stories = [lost("new", moment="early"), lost("new", moment="late"), lost("new", members=5, moment="late")]
    stories.append(kept("new", members=5, moment="early"))
    _, suggested, decision = after("", *stories)
    assert decision.exit_code == 0, "a line for both clusters and both moments would be missed on one"
    assert suggested.number == 2


def test_a_line_that_does_not_show_is_deleted_and_nothing_else_is(after):
    new, suggested, decision = after(LINE + OTHER, kept("bad"))
    assert decision.exit_code == 0
    assert new == LINE.splitlines(keepends=True)[0] + OTHER
    assert suggested.added == ""


def test_a_line_that_shows_otherwise_gets_its_new_signature(after):
    text = LINE.replace("quorum-lost", "quorum-gone  # as it was")
    new, suggested, decision = after(text, lost())
    assert decision.exit_code == 0
    assert "signature: quorum-lost  # as it was" in new
    assert suggested.added == "", "it is the same defect, not a second one"
    assert "-  signature: quorum-gone" in LedgerText(text).patch(suggested.edits, "known_defects.yaml", TODAY)


def test_a_line_is_narrowed_to_where_it_shows(after):
    new, _, decision = after(LINE.replace("[3-strict]", "[3-strict, 5-strict]"), lost(), kept("bad", members=5))
    assert decision.exit_code == 0
    assert "clusters: [3-strict]" in new


def test_what_a_pattern_hides_is_left_to_people(after):
    new, suggested, decision = after(LINE.replace("[3-strict]", '["*"]'), lost(), kept("bad", members=5))
    assert decision.exit_code == 1
    assert new == LINE.replace("[3-strict]", '["*"]')
    assert (
        "known_defects.yaml:2: loses-quorum is kept in rolling_replacement/bad/5-strict, and shows"
        in suggested.notes[0]
    )


def test_an_expired_line_is_renewed_where_it_shows_and_deleted_where_not(after, tmp_path):
    text = LINE + "  expires: 2026-11-20\n"
    new, suggested, decision = after(text, lost())
    assert (decision.exit_code, suggested.added) == (0, "")
    assert "expires: 2027-02-19" in new
    assert "mend or renew it" in suggested.notes[0]
    folder = save(tmp_path / "kept", kept("bad"))
    told = suggest(load_run(folder, Ledger.of(text, TODAY)), text)
    assert LedgerText(text).with_edits(told.edits, told.added, TODAY) == LINE.splitlines(keepends=True)[0]


def test_what_does_not_always_show_is_not_listed(after):
    _, suggested, decision = after("", lost("new"), kept("new", play=2))
    assert suggested.added == ""
    assert "quorum-kept is broken in 1 of 2 plays" in suggested.notes[0]
    assert decision.exit_code == 1


def test_a_second_line_gets_an_id_of_its_own(after):
    first = LINE.replace("loses-quorum", "new-rolling-replacement-quorum-lost").replace("variant: bad", "variant: old")
    new, _, _ = after(first, lost("new"))
    assert "- id: new-rolling-replacement-quorum-lost-2\n" in new


def test_what_others_refer_to_is_not_deleted_in_silence():
    text = LINE + "  cuts: &all {a: b}\n" + OTHER + "  cuts: *all\n"
    ledger = LedgerText(text)
    with pytest.raises(UsageError, match="can't be made by themselves"):
        ledger.with_edits([ledger.deleted("loses-quorum")], "", TODAY)
    assert ledger.changed("other", "cuts", {}) is None
    assert ledger.deleted("nobody") is None


def test_a_block_list_is_changed_as_well():
    text = LINE.replace("clusters: [3-strict]", "clusters:\n    - 3-strict\n    - 5-strict  # both")
    new = LedgerText(text).with_edits([LedgerText(text).changed("loses-quorum", "clusters", ["3-strict"])], "", TODAY)
    assert Ledger.of(new, TODAY).defects[0].clusters == ("3-strict",)
    assert LedgerText(LINE).with_edits([Edit(0, 0, "")], "", TODAY) == LINE


def test_another_red_of_a_case_that_is_known_is_a_line_of_its_own(after):
    text = LINE.replace("  also: [no-ghost-member, write-gap-bounded]\n", "")
    _, suggested, decision = after(text, lost(), haunted("quiet"))
    assert decision.exit_code == 0, decision.reasons
    assert suggested.number == 2
