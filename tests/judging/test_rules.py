"""Each guarantee: kept, broken in each way it can break, and not judged when nothing was seen."""

import pytest

from harness.errors import UsageError
from harness.journal import Journal, read
from harness.judging import Verdict, judge, judge_all
from tests.judging.story import SPEC, Story

RED, GREEN, UNSEEN = Verdict.NOT_RECOVERED, Verdict.RECOVERED, Verdict.INCONCLUSIVE


def verdict(guarantee, entries):
    finding = judge(guarantee, entries)
    return finding.verdict, finding.signature


def good():
    """A replacement as it should be, witnessed."""
    story = Story().write(0.5, "a").replaced(1)
    story.say(1.6, "probe.snapshot", role="before-change-1", exists=True, restorable=True, keys={"a": 2})
    return story.write(2, "b").read(2.5, "b", 3, 3).write(3, "c").end(4, keys=["a", "b", "c"])


ROLLING = SPEC.guarantees[: SPEC.guarantees.index("service-restored")]


@pytest.mark.parametrize("guarantee", ROLLING)
def test_a_faithful_replacement_keeps_everything(guarantee):
    assert verdict(guarantee, good()) == (GREEN, "")


def test_quorum_lost_to_a_ghost_names_the_figure_and_the_dead():
    story = Story().write(0.5, "a").asked(1).create(1, "n4").down(1.1, "n1").listed(1.2, "n1", "n2", "n3", "n4")
    story.up(1.3, "n4").ended(1.5).asked(2, "n2", "n5").down(3, "n2").ended(4, "n2", "n5")
    finding = judge("quorum-kept", story.end(9))
    assert (finding.verdict, finding.signature) == (RED, "quorum-lost")
    assert "from 3.0 s on only 2 of 4 voters served (not n1, n2), for 6.0 s and to the end" in finding.reason


def test_a_blink_shorter_than_the_grace_is_no_lost_quorum():
    story = Story().asked(1).down(1, "n1").down(1.1, "n2").up(1.5, "n2").ended(2)
    assert verdict("quorum-kept", story.end(3)) == (GREEN, "")


def test_a_learner_has_no_vote():
    story = Story().asked(1).create(1, "n4").listed(1.1, "n1", "n2", "n3", "n4", learners=["n4"]).down(2, "n1").ended(3)
    assert verdict("quorum-kept", story.end(5)) == (GREEN, "")


def test_a_list_that_lags_behind_is_no_news():
    story = Story().replaced(1)
    story.index = 1
    story.listed(2, "n1", "n2", "n3")
    assert verdict("no-ghost-member", story.end(3)) == (GREEN, "")


def test_a_ghost_is_named():
    story = Story().asked(1).down(1, "n1").ended(2)
    finding = judge("no-ghost-member", story.end(3))
    assert (finding.verdict, finding.signature) == (RED, "ghost-member")
    assert "n1 id-n1" in finding.reason


@pytest.mark.parametrize(
    ("change", "signature"),
    [
        (lambda s: s.ended(2), "not-replaced"),
        (lambda s: s.listed(1.5, "n2", "n3").ended(2), "new-node-no-voter"),
        (lambda s: s.listed(1.5, "n2", "n3", "n4", learners=["n4"]).ended(2), "new-node-no-voter"),
        (lambda s: s.listed(1.5, "n2", "n3", "n4").ended(2), "new-node-not-serving"),
        (lambda s: s.listed(1.5, "n1", "n2", "n3", "n4").up(1.6, "n4").ended(2), "old-node-still-listed"),
        (lambda s: s.listed(1.5, "n2", "n4").up(1.6, "n4").ended(2), "voters-missing"),
    ],
)
def test_an_incomplete_replacement_says_what_is_missing(change, signature):
    story = change(Story().asked(1).create(1, "n4"))
    serving = ["n2", "n3"] + ["n4"] * (signature in ("old-node-still-listed", "voters-missing"))
    assert verdict("replacement-complete", story.end(3, serving=serving)) == (RED, signature)


def test_an_incomplete_replacement_says_what_the_procedure_said_last():
    story = Story().asked(1).listed(1.5, "n2", "n3").ended(2, exit_code=1, output="begun\n\nerror: no way to n2\n")
    assert judge("replacement-complete", story.end(3, serving=["n2", "n3"])).reason == (
        "n4 has no vote; the procedure for n1 ended with exit 1: error: no way to n2"
    )


def test_touching_a_node_while_another_is_dead_is_seen():
    story = (
        Story(members=5).down(0.5, "n5").asked(1).touched(1.1, "destroy", "n1", "n1", "n2", "n3", "n4", "n5").ended(2)
    )
    assert verdict("clean-before-next-node", story.end(3)) == (RED, "touched-while-unclean")


def test_refusing_while_another_is_dead_is_right():
    story = Story(members=5).down(0.5, "n5").asked(1).touched(1.1, "list", "").ended(2, exit_code=3)
    assert verdict("clean-before-next-node", story.end(3)) == (GREEN, "")


def test_a_bystander_removed_or_stopped_is_seen():
    removed = Story().asked(1).listed(1.2, "n1", "n2").ended(2).end(3)
    assert verdict("bystanders-kept", removed) == (RED, "bystander-removed")
    stopped = Story().asked(1).touched(1.1, "stop", "n2", "n1", "n2", "n3").ended(2).end(3)
    assert verdict("bystanders-kept", stopped) == (RED, "bystander-stopped")


def test_the_next_old_node_is_a_bystander_until_it_is_asked_for():
    story = Story().asked(1).listed(1.2, "n1", "n3").ended(2).asked(2.5, "n2", "n5").ended(2.9, "n2", "n5")
    assert verdict("bystanders-kept", story.end(3)) == (RED, "bystander-removed")


@pytest.mark.parametrize(
    ("ending", "at_exit", "expected"),
    [
        ({}, {"listed": True, "voter": True, "healthy": False}, (RED, "success-too-early")),
        ({}, {"listed": True, "voter": False, "healthy": True}, (RED, "success-too-early")),
        ({"exit_code": 1}, {"listed": False, "voter": False, "healthy": False}, (GREEN, "")),
        (
            {"outcome": "timed_out", "exit_code": None},
            {"listed": True, "voter": True, "healthy": True},
            (RED, "timed-out"),
        ),
        ({"outcome": "not_started", "exit_code": None}, {"listed": 0, "voter": 0, "healthy": 0}, (RED, "not-started")),
    ],
)
def test_what_a_tool_says_is_held_against_the_moment_it_says_it(ending, at_exit, expected):
    story = Story().asked(1).ended(2, **ending).say(2, "probe.at_exit", new="n4", **at_exit)
    assert verdict("success-is-true", story.end(3)) == expected


@pytest.mark.parametrize(
    ("snapshots", "seen", "signature"),
    [
        ((), {"exists": False, "restorable": False}, "no-snapshot"),
        ((), {"exists": True, "restorable": True, "keys": {"a": 2}}, "snapshot-too-late"),
        (("a.db",), {"exists": True, "restorable": False, "error": "bad"}, "snapshot-broken"),
        (("a.db",), {"exists": True, "restorable": True, "keys": {}}, "snapshot-lacks-writes"),
    ],
)
def test_a_snapshot_has_to_be_there_first_and_whole(snapshots, seen, signature):
    story = Story().write(0.5, "a").asked(1).touched(1.2, "destroy", "n1", "n1", "n2", "n3", snapshots=snapshots)
    story.ended(2).say(2.5, "probe.snapshot", role="before-change-1", **seen)
    assert verdict("snapshot-restorable", story.end(3)) == (RED, signature)


def test_a_lost_write_is_counted_and_named():
    story = Story().write(0.5, "a").write(1, "b").write(1.5, "c", outcome="unknown")
    finding = judge("acknowledged-writes-kept", story.end(3, keys=["a"]))
    assert (finding.verdict, finding.signature) == (RED, "acknowledged-writes-lost")
    assert finding.measures == {"acknowledged_writes": 2, "lost_writes": 1}
    assert "b (revision 3)" in finding.reason


@pytest.mark.parametrize(
    ("sure", "behind", "elsewhere", "expected"),
    [
        (False, True, ["a", "b"], (GREEN, "")),
        (True, True, ["a", "b"], (RED, "acknowledged-writes-lost")),
        (False, False, ["a", "b"], (RED, "acknowledged-writes-lost")),
        (False, True, ["a"], (RED, "acknowledged-writes-lost")),
    ],
    ids=["lags-behind", "quorum-says-so", "is-past-it", "nobody-has-it"],
)
def test_a_copy_that_lags_behind_has_lost_nothing_that_another_one_has(sure, behind, elsewhere, expected):
    story = Story().write(0.5, "a").write(1, "b")
    old, new = story.revision - 1, story.revision
    for node, keys, revision in (("n3", ["a"], old if behind else new), ("n4", elsewhere, new)):
        look = {"node": node, "linearizable": sure, "revision": revision, "cluster_id": "c1"}
        story.say(3, "probe.keyspace", keys=dict.fromkeys(keys, 2), **look)
    assert verdict("acknowledged-writes-kept", story.say(4, "case.ended").entries) == expected


def test_another_cluster_is_seen_in_traffic_and_in_the_last_look():
    assert verdict("cluster-identity-kept", Story().write(1, "a", cluster="c2").end(3)) == (RED, "second-cluster")
    assert verdict("cluster-identity-kept", Story().write(1, "a").end(3, cluster="c2")) == (RED, "second-cluster")


def test_a_write_gap_over_the_bound_is_measured():
    story = Story().write(0.5, "a").asked(1).ended(2).write(8, "b")
    finding = judge("write-gap-bounded", story.end(9))
    assert (finding.verdict, finding.signature) == (RED, "write-gap")
    assert finding.measures["longest_gap_seconds"] == 7.5
    to_the_end = Story().write(0.5, "a").asked(1).ended(2).end(20)
    assert judge("write-gap-bounded", to_the_end).measures["longest_gap_seconds"] == pytest.approx(19.49)


@pytest.mark.parametrize(
    ("read", "signature"),
    [
        (("nobody", 2, 4), "phantom-read"),
        (("refused", 2, 4), "phantom-read"),
        (("later", 9, 9), "read-from-the-future"),
        (("a", 2, 3), "stale-read"),
        (("a", 2, 2), "stale-read"),
        ((None, 0, 3), "stale-read"),
    ],
)
def test_a_read_that_fits_no_order_is_seen(read, signature):
    story = (
        Story().write(0.1, "a").write(0.5, "b").write(0.6, "refused", outcome="failed").read(1, *read).write(2, "later")
    )
    assert verdict("reads-linearizable", story.end(3)) == (RED, signature)


def test_a_read_may_see_a_write_of_unknown_outcome():
    story = Story().write(0.1, "a").write(0.5, "perhaps", outcome="unknown").read(1, "perhaps", 3, 3)
    assert verdict("reads-linearizable", story.end(3)) == (GREEN, "")


def test_revisions_that_run_backwards_are_seen():
    story = Story().write(0.1, "a", revision=7).write(1, "b", revision=5)
    assert verdict("revisions-monotonic", story.end(3)) == (RED, "revision-went-backwards")


def test_concurrent_answers_may_come_in_any_order():
    story = Story().write(0.1, "a", revision=7, took=1).write(0.2, "b", revision=5)
    assert verdict("revisions-monotonic", story.end(3)) == (GREEN, "")


def test_a_restore_is_judged_by_its_loss_window():
    def story(keys):
        told = Story().write(0.5, "before").say(1, "snapshot.saved", began=1.0).write(2, "after")
        return told.say(3, "tool.started").end(6, keys=keys)

    kept = judge("writes-before-snapshot-kept", story(["before"]))
    assert kept.verdict is GREEN
    assert kept.measures == {"lost_writes": 1, "loss_window_seconds": pytest.approx(1.01)}
    assert verdict("writes-before-snapshot-kept", story(["after"])) == (RED, "snapshot-content-lost")


@pytest.mark.parametrize(
    ("serving", "lost", "signature"), [(("n1", "n2"), ("n3",), "not-serving"), (("n1", "n2", "n3"), (), "")]
)
def test_service_is_back_when_every_member_serves(serving, lost, signature):
    entries = Story().fault(1).end(3, serving=serving, lost=lost)
    assert verdict("service-restored", entries) == (RED if signature else GREEN, signature)


def test_a_split_service_is_not_back():
    story = Story().fault(1)
    nodes = {n: {"serves": True, "cluster_id": c} for n, c in (("n1", "c1"), ("n2", "c1"), ("n3", "c9"))}
    story.say(2, "probe.serving", nodes=nodes).say(3, "case.ended")
    assert verdict("service-restored", story.entries) == (RED, "split-clusters")


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({"exists": False, "restorable": False}, (RED, "state-not-saved")),
        ({"exists": True, "restorable": False}, (RED, "saved-state-broken")),
        ({"exists": True, "restorable": True, "keys": {}}, (RED, "saved-state-incomplete")),
        ({"exists": True, "restorable": True, "keys": {"a": 2}}, (GREEN, "")),
    ],
)
def test_the_botched_state_has_to_be_saved_whole(seen, expected):
    story = Story().write(0.5, "a").fault(1).say(2, "probe.snapshot", role="disaster", **seen)
    assert verdict("botched-state-saved", story.end(3)) == expected


def broken_but(**changes):
    """A story whose quorum is lost for good, and that can't be judged all the same."""
    story = Story().write(0.5, "a").fault(1, bit=changes.get("bit", True)).down(1, "n1").down(1, "n2")
    if "problem" in changes:
        story.say(2, "case.problem", problem=changes["problem"])
    entries = story.end(9)
    return [entry for entry in entries if entry.kind not in changes.get("without", ())]


def killed_from_outside():
    story = Story().write(0.5, "a").fault(1).say(2, "node.stopped", node="n3", how="exited", exit_code=-9)
    return story.end(9)


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        (broken_but(bit=False), "shows no sign that it bit"),
        (broken_but(without=["fault.evidence"]), "was never proven"),
        (broken_but(without=["cluster.started"]), "never took writes"),
        (broken_but(without=["case.ended"]), "never came to its end"),
        (broken_but(problem="the probe fell over"), "the probe fell over"),
        (killed_from_outside(), "etcd on n3 was killed from outside (signal 9)"),
    ],
)
def test_the_tool_is_never_blamed_for_the_harness(entries, why):
    findings = judge_all(entries)
    assert {finding.verdict for finding in findings} == {UNSEEN}
    assert all(why in finding.reason for finding in findings)


def test_the_same_story_without_the_obstacle_is_red():
    assert verdict("quorum-kept", broken_but()) == (RED, "quorum-lost")


@pytest.mark.parametrize("guarantee", SPEC.guarantees)
def test_seeing_nothing_is_never_passing(guarantee):
    story = Story()
    story.entries = [entry for entry in story.entries if entry.kind != "probe.membership"]
    story.say(1, "case.ended")
    assert judge(guarantee, story.entries).verdict is UNSEEN


def test_judging_is_pure_and_survives_the_file(tmp_path):
    entries, moments = good(), iter([])
    before = judge_all(entries)
    moments = iter([0.0, *[entry.at for entry in entries], 99.0])
    journal = Journal(tmp_path / "journal.jsonl", lambda: next(moments))
    for entry in entries:
        journal.append(entry.kind, **entry.data)
    journal.seal()
    assert judge_all(read(journal.path).entries) == before == judge_all(entries)


def test_what_is_no_case_is_refused():
    with pytest.raises(UsageError, match=r"does not begin with case\.opened"):
        judge_all(good()[1:])
    with pytest.raises(UsageError, match="no guarantee 'world-peace'"):
        judge("world-peace", good())
