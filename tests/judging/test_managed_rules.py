"""Each guarantee of a managed cluster: kept, broken in each way it can break, and not judged when nothing was seen."""

import pytest

from harness.judging import Case, Verdict, judge, judge_all
from harness.judging.managed import Managed
from tests.judging.managed_story import (
    FOUNDING,
    IDS,
    MARKER,
    OTHER,
    RESTORED,
    SPEC,
    ManagedStory,
    good,
    restored,
    spec_of,
    stopped,
    swapped,
    warned,
)

RED, GREEN, UNSEEN = Verdict.NOT_RECOVERED, Verdict.RECOVERED, Verdict.INCONCLUSIVE
# What a story without trouble says nothing about.
_OF_TROUBLE = (
    "rule-spares-control", "restore-complete", "restore-loss-told", "bad-name-harmless", "state-as-foretold",
)  # fmt: skip


def judged(guarantee, story, **end):
    finding = judge(guarantee, story.end(**end))
    return finding.verdict, finding.signature


@pytest.mark.parametrize("guarantee", IDS)
@pytest.mark.parametrize("make", [good, warned], ids=["good", "warned"])
def test_a_faithful_manager_keeps_everything(make, guarantee):
    expected = UNSEEN if guarantee in _OF_TROUBLE else GREEN
    assert judge(guarantee, make().end()).verdict is expected


@pytest.mark.parametrize(
    ("make", "reds"),
    [
        (stopped, {"backups-fresh": "backups-stale", "loss-alarmed": "no-alarm"}),
        (
            swapped,
            {
                "no-unasked-seed": "new-cluster-unasked", "served-is-ours": "foreign-cluster-answers",
                "writes-accounted": "acknowledged-writes-lost", "loss-alarmed": "no-alarm",
            },
        ),
        (restored, {}),
    ],
    ids=["stopped", "swapped", "restored"],
)  # fmt: skip
def test_the_incident_breaks_what_it_broke(make, reds):
    findings = judge_all(make().end())
    assert {f.guarantee: f.signature for f in findings if f.verdict is RED} == reds


@pytest.mark.parametrize("guarantee", IDS)
def test_seeing_nothing_is_never_passing(guarantee):
    story = ManagedStory(spec_of(moment="marker-gone+spec-gone/none"))
    looks = ("etcd.seen", "store.seen", "archive.seen", "lease.seen")
    story.entries = [entry for entry in story.entries if entry.kind not in looks]
    story.say("control.asked", verb="restore-backup", words=["x"], expects="restore")
    assert judge(guarantee, story.say("case.ended").entries).verdict is UNSEEN


@pytest.mark.parametrize("guarantee", IDS)
def test_a_cluster_that_never_took_writes_tells_nothing(guarantee):
    entries = [entry for entry in swapped().end() if entry.kind != "managed.started"]
    assert judge(guarantee, entries).verdict is UNSEEN
    assert Managed.of(Case.of(entries)) is None


def test_a_fault_without_evidence_or_a_manager_killed_from_outside_blames_nobody():
    for spoil in (
        lambda s: s.fault("MarkerGone", bit=False),
        lambda s: s.say("machine.stopped", machine="m1", why="ended by itself, exit -9"),
        lambda s: s.say("case.problem", problem="the probe fell over"),
    ):
        findings = judge_all(spoil(swapped()).end())
        assert {finding.verdict for finding in findings} == {UNSEEN}


@pytest.mark.parametrize("make", [warned, swapped, restored], ids=["warned", "swapped", "restored"])
def test_a_story_cut_short_anywhere_is_judged_without_falling_over(make):
    entries = make().end()
    kinds = [entry.kind for entry in entries]
    for cut in range(1, len(entries)):
        if kinds[cut - 1] == kinds[cut]:
            continue
        for finding in judge_all([*entries[:cut], entries[-1]]):
            assert finding.reason
            assert finding.signature or finding.verdict is not RED


# no-unasked-seed, served-is-ours


def test_a_new_cluster_after_a_restore_is_done_is_unasked():
    story = restored().goes_on(8)
    assert judged("no-unasked-seed", story.reseeds("fade000000000004").goes_on(5)) == (RED, "new-cluster-unasked")


def test_a_restore_that_tries_again_may_found_more_than_one():
    story = ManagedStory().goes_on(6)
    name = story.backups[2]
    story.queues(name).swaps("fade000000000004", aside="t1").swaps(RESTORED, keys=tuple(story.kept[name]), aside="t2")
    assert judged("no-unasked-seed", story.drains().goes_on(5)) == (GREEN, "")


def test_a_wrong_name_is_no_leave_to_seed():
    story = ManagedStory().goes_on(4).asks("nonsense", expects="none").runs()
    assert judged("no-unasked-seed", story.reseeds().goes_on(5)) == (RED, "new-cluster-unasked")


def test_silence_after_the_trouble_is_no_proof_unless_the_data_was_put_aside():
    story = ManagedStory().goes_on(4).both_gone()
    story.serves = False
    assert judged("no-unasked-seed", story.goes_on(5)) == (UNSEEN, "")
    story = ManagedStory().goes_on(4).both_gone()
    story.serves = False
    story.say("archive.seen", machine="m1", entries={"token-1": 5})
    assert judged("no-unasked-seed", story.goes_on(5)) == (RED, "cluster-given-up")


def test_a_cluster_that_still_answers_after_its_successor_is_seen():
    story = restored()
    story.cluster = FOUNDING
    assert judged("served-is-ours", story.writes().goes_on(2)) == (RED, "old-cluster-answers")


def test_a_recovery_that_brings_the_very_cluster_back_is_none_such():
    story = swapped().asks(verb="start-whole-directory").runs(2, "start-whole-directory")
    story.swaps(FOUNDING, keys=("v1",))
    reason = judge("served-is-ours", story.goes_on(3).end()).reason
    assert OTHER in reason


def test_a_restored_cluster_that_serves_before_it_is_restored_is_seen_by_what_it_lacks():
    story = ManagedStory().goes_on(6)
    name = story.backups[4]
    story.queues(name).swaps(RESTORED, keys=())
    story.reads(value=None, mod_revision=0)
    story.keys, story.now = dict(story.kept[name]), story.now + 1
    assert judged("served-is-ours", story.drains().goes_on(4)) == (RED, "served-before-restored")


def test_a_restored_cluster_that_serves_long_before_its_command_is_done_is_seen():
    story = ManagedStory().goes_on(6)
    name = story.backups[4]
    story.queues(name).swaps(RESTORED, keys=tuple(story.kept[name])).goes_on(4)
    assert judged("served-is-ours", story.drains().goes_on(4)) == (RED, "served-before-restored")


def test_a_restored_cluster_that_serves_before_it_is_restored_is_seen_by_what_was_put_over_its_writes():
    """Also where clients had written to each register before anybody read it."""
    story = ManagedStory().goes_on(6)
    name = story.backups[4]
    story.queues(name).swaps(RESTORED, keys=())
    taken = story.writes().number
    story.now += 0.2
    story.keys |= dict.fromkeys(story.kept[name], story.revision + 3)
    story.revision += 3
    finding = judge("served-is-ours", story.drains().goes_on(4).end())
    assert (finding.verdict, finding.signature) == (RED, "served-before-restored")
    assert f"it took v{taken} at revision 2, and the backup's last key at 5" in finding.reason
    assert judged("served-is-ours", restored()) == (GREEN, "")


# writes-accounted


def killed_and_restored(lost, *told):
    """The whole directory of a killed etcd is started; the last `lost` writes of its log are discarded."""
    story = ManagedStory().goes_on(6)
    kept = list(story.keys)[: len(story.keys) - lost]
    story.asks(verb="restore-backup").runs(1, "recover-managed")
    for text in told:
        story.say("restore.told", text=text)
    return story.swaps(RESTORED, keys=tuple(kept)).goes_on(4)


@pytest.mark.parametrize(
    ("lost", "said", "green"),
    [
        (0, "all leases", True),
        (1, "all leases", False),
        (1, "all leases; the last 1 entry of the old log", True),
        (2, "the last 3 entries of the old log", True),
        (3, "the last 2 entries of the old log", False),
    ],
)
def test_writes_that_etcd_discarded_are_a_declared_loss(lost, said, green):
    told = [judged(rule, killed_and_restored(lost, said)) for rule in ("writes-accounted", "restore-complete")]
    losses = [(RED, "acknowledged-writes-lost"), (RED, "restored-data-missing")]
    assert told == ([(GREEN, "")] * 2 if green else losses)


def test_writes_acknowledged_before_the_restored_backup_have_to_be_there():
    story = ManagedStory().goes_on(12)
    name = story.backups[-1]
    story.kept[name] = dict.fromkeys(["v1"], 1)
    story.restores(name)
    assert judged("writes-accounted", story.goes_on(4)) == (RED, "acknowledged-writes-lost")


def test_the_window_of_a_restore_is_measured_and_what_the_new_cluster_took_is_counted():
    story = swapped()
    name = story.backups[3]
    finding = judge("writes-accounted", story.restores(name).goes_on(4).end())
    assert finding.verdict is GREEN
    assert finding.measures["new_cluster_writes"] == finding.measures["new_cluster_writes_lost"] == 12
    assert finding.measures["loss_window_seconds"] == pytest.approx(15.7, abs=2)
    assert "12 by a cluster that took its place" in finding.reason


def test_a_restored_cluster_keeps_what_it_acknowledged():
    story = restored()
    story.keys.pop(list(story.keys)[-1])
    assert judged("writes-accounted", story) == (RED, "restored-writes-lost")


def test_one_member_alone_that_lacks_a_write_is_named():
    story = good()
    story.lacks = {"m2": (FOUNDING, ("v3",))}
    finding = judge("writes-accounted", story.end())
    assert (finding.verdict, finding.signature) == (RED, "acknowledged-writes-lost")
    assert "can't be read on m2: v3" in finding.reason


def test_a_recovery_from_no_backup_declares_nothing_lost():
    story = ManagedStory().goes_on(6).asks(verb="start-db-alone").runs(1, "start-db-alone")
    story.swaps(RESTORED, keys=("v1", "v2"))
    assert judged("writes-accounted", story.goes_on(4)) == (RED, "acknowledged-writes-lost")


def test_a_copy_read_without_quorum_may_lag_behind():
    story = good()
    story.lacks = {"m2": (FOUNDING, ("v3",))}
    entries = story.end()
    for entry in entries:
        if entry.kind == "probe.keyspace":
            entry.data["linearizable"] = False
    assert judge("writes-accounted", entries).verdict is GREEN


def test_nobody_answering_though_all_are_asked_is_red():
    entries = good().end()
    for entry in entries:
        if entry.kind == "probe.keyspace":
            entry.data.update(error="no leader")
            entry.data.pop("keys", None)
            entry.data.pop("same_as", None)
    assert judge("writes-accounted", entries).signature == "nobody-answers"


def test_a_restore_of_a_backup_nobody_saw_is_not_judged():
    story = ManagedStory().goes_on(6)
    story.kept["2023-11-14T20:00:00Z-000001"] = {}
    assert judged("writes-accounted", story.restores("2023-11-14T20:00:00Z-000001").goes_on(3)) == (UNSEEN, "")


# backups


def test_backups_that_do_not_restore_are_no_backups():
    assert judged("backups-fresh", good(), restorable=False) == (RED, "backups-unrestorable")
    assert judged("backups-restorable", good(), restorable=False) == (RED, "backup-unrestorable")


def test_a_store_without_a_backup_is_red_and_one_that_nobody_checked_is_not_judged():
    story = ManagedStory()
    story.backs_up = False
    assert judged("backups-fresh", story.goes_on(6)) == (RED, "no-backup")
    assert judged("backups-fresh", good(), checks=False) == (UNSEEN, "")
    assert judged("backups-restorable", good(), checks=False) == (UNSEEN, "")


def test_a_backup_from_before_the_trouble_is_no_proof_that_backups_go_on():
    assert judged("backups-fresh", ManagedStory().goes_on(6).both_gone().goes_on(1)) == (UNSEEN, "")


def test_who_restarts_has_time_until_all_are_back():
    late = ManagedStory().goes_on(6).restarted(back=False)
    late.serves = True
    late.now += 3
    assert judged("backups-fresh", late.are_back().goes_on(2)) == (UNSEEN, "")


def test_as_long_as_the_store_is_in_trouble_nobody_can_save():
    story = ManagedStory().goes_on(4).fault("StoreUnreachable")
    story.backs_up = False
    assert judged("backups-fresh", story.goes_on(8)) == (UNSEEN, "")
    story = ManagedStory().goes_on(4).fault("StoreUnreachable")
    story.backs_up = False
    story.goes_on(3).say("fault.healed", fault="StoreUnreachable", node="the store")
    assert judged("backups-fresh", story.goes_on(8)) == (RED, "backups-stale")


def test_a_store_that_did_not_answer_last_is_not_known():
    story = good().say("store.unreachable", error="refused")
    assert {judged(one, story)[0] for one in ("backups-fresh", "backups-restorable", "queue-drained")} == {UNSEEN}


def test_a_backup_that_was_reported_and_never_taken_is_seen():
    story = ManagedStory().goes_on(4)
    story.saves("2023-11-14T23:00:00Z-000001", uploaded=False)
    assert judged("backups-restorable", story.goes_on(4)) == (RED, "reported-untaken")
    late = ManagedStory().goes_on(4)
    late.saves("2023-11-14T23:00:00Z-000001", uploaded=False)
    assert judged("backups-restorable", late) == (GREEN, "")
    struck = ManagedStory().goes_on(4).fault("BackupPathGone", then=lambda s: s.vanished(MARKER, SPEC))
    struck.saves("2023-11-14T23:00:00Z-000001", uploaded=False)
    assert judged("backups-restorable", struck.goes_on(4)) == (GREEN, "")


def test_an_empty_backup_lacks_what_was_acknowledged_before_it():
    story = ManagedStory().goes_on(4).saves(keys={}).goes_on(2)
    finding = judge("backups-restorable", story.end())
    assert (finding.verdict, finding.signature) == (RED, "backup-lacks-writes")
    assert "the first v1 at 0.6 s" in finding.reason


@pytest.mark.parametrize(
    ("held", "told", "verdict"),
    [(6, True, GREEN), (3, True, RED), (6, False, RED)],
    ids=["up-to-its-begin", "less", "begin-unknown"],
)
def test_a_slow_upload_owes_what_was_acknowledged_before_it_was_begun(held, told, verdict):
    story = ManagedStory()
    if told:
        story.entries[0].data["started_at"] = "2023-11-14T22:13:20+00:00"
    story.backs_up = False
    story.goes_on(held)
    keys = dict(story.keys)
    story.goes_on(20 - held).saves("2023-11-14T22:13:26Z-000001", keys=keys)
    story.backs_up = True
    assert judged("backups-restorable", story.goes_on(4))[0] is verdict


def test_a_backup_is_owed_only_what_its_own_cluster_acknowledged():
    assert judged("backups-restorable", swapped()) == (GREEN, "")


def test_a_backup_that_a_story_spoilt_is_not_its_makers_doing():
    story = ManagedStory().goes_on(4)
    name = story.backups[0]
    story.fault("BackupCorrupt", then=lambda s: s.stored(f"{name}/etcd.backup.gz", size=10)).goes_on(4)
    entries = story.end()
    for entry in entries:
        if entry.kind == "backup.checked" and entry.data["name"] == name:
            entry.data["restorable"] = False
    assert judge("backups-restorable", entries).verdict is GREEN


# alarms


def test_an_alarm_has_to_come_in_time():
    story = ManagedStory().goes_on(4).marker_gone().goes_on(7).alarms().goes_on(1)
    finding = judge("loss-alarmed", story.end())
    assert (finding.verdict, finding.signature) == (RED, "alarm-late")
    assert finding.measures["alarm_seconds"] == pytest.approx(7.1)


def test_an_alarm_before_anything_vanished_does_not_count():
    assert judged("loss-alarmed", ManagedStory().alarms().goes_on(4).marker_gone().goes_on(7)) == (RED, "no-alarm")


def test_a_marker_that_its_manager_puts_back_at_once_is_still_a_loss():
    struck = {"then": lambda s: s.stored(MARKER), "left": {MARKER: -1}}
    assert judged("loss-alarmed", ManagedStory().goes_on(4).fault("MarkerGone", **struck).goes_on(7)) == (
        RED,
        "no-alarm",
    )


def test_a_marker_that_is_emptied_and_backups_that_a_rule_took_are_losses():
    emptied = ManagedStory().goes_on(4).fault("MarkerEmpty", then=lambda s: s.stored(MARKER, size=0))
    assert judged("loss-alarmed", emptied.goes_on(7)) == (RED, "no-alarm")
    ruled = ManagedStory().goes_on(4)
    name = f"{ruled.backups[0]}/etcd.backup.gz"
    assert judged("loss-alarmed", ruled.fault("LifecycleApplied", then=lambda s: s.vanished(name)).goes_on(7)) == (
        RED,
        "no-alarm",
    )


def test_old_backups_that_a_manager_removes_itself_are_no_loss():
    story = ManagedStory().goes_on(6)
    assert judged("loss-alarmed", story.vanished(f"{story.backups[0]}/etcd.backup.gz").goes_on(7)) == (GREEN, "")


def test_what_is_put_back_before_an_alarm_is_due_or_seen_too_briefly_is_not_judged():
    again = ManagedStory().goes_on(4).marker_gone().goes_on(1).say("control.written", by="operator", name=MARKER)
    assert judged("loss-alarmed", again.stored(MARKER).goes_on(7)) == (UNSEEN, "")
    assert judged("loss-alarmed", ManagedStory().goes_on(4).marker_gone().goes_on(2)) == (UNSEEN, "")


# what lies about


def test_a_rule_that_takes_a_control_file_is_named():
    def rule(then):
        return ManagedStory().goes_on(6).fault("LifecycleApplied", then=then).goes_on(4)

    backup = "2023-11-14T22:13:01Z-000001/etcd.backup.gz"
    assert judged("rule-spares-control", rule(lambda s: s.vanished(backup, SPEC))) == (RED, "control-file-taken")
    assert judged("rule-spares-control", rule(lambda s: s.vanished(backup))) == (GREEN, "")
    assert judged("rule-spares-control", rule(lambda s: s)) == (UNSEEN, "")


def test_a_command_that_stays_is_seen_once_it_had_its_time():
    story = ManagedStory().goes_on(4)
    story.queues(story.backups[0])
    assert judged("queue-drained", story.goes_on(3)) == (UNSEEN, "")
    story = ManagedStory().goes_on(4)
    story.queues(story.backups[0])
    assert judged("queue-drained", story.goes_on(12)) == (RED, "command-left")


@pytest.mark.parametrize(
    ("entries", "signature"),
    [({}, "archive-purged"), ({"token-1": 4096}, "archive-emptied"), ({"token-1": 50_000_000, "t": 1}, "")],
)
def test_what_was_put_aside_has_to_stay(entries, signature):
    story = swapped().say("archive.seen", machine="m2", entries=entries)
    assert judged("archive-kept", story) == (RED if signature else GREEN, signature)


def test_data_that_was_never_put_aside_is_gone():
    story = ManagedStory().goes_on(4).reseeds(archives=False).goes_on(4)
    assert judged("archive-kept", story) == (RED, "old-data-gone")


def test_a_disk_over_its_bound_is_seen():
    assert judged("disk-bounded", good(), bound=2**26) == (RED, "disk-over-bound")
    assert judged("disk-bounded", good(), archive=False) == (UNSEEN, "")


# restores


def test_a_restore_is_complete_when_all_serve_what_the_backup_holds():
    assert judged("restore-complete", restored()) == (GREEN, "")


@pytest.mark.parametrize(
    ("spoil", "signature"),
    [
        (lambda s: s.off.add("m3"), "member-not-serving"),
        (lambda s: s.lacks.update(m2=(FOUNDING, ())), "split-clusters"),
        (lambda s: s.lacks.update(m2=(RESTORED, ("v2",))), "restored-data-missing"),
    ],
)
def test_an_incomplete_restore_says_what_is_missing(spoil, signature):
    story = restored()
    spoil(story)
    assert judged("restore-complete", story) == (RED, signature)


def test_a_restore_that_never_happened_is_seen():
    story = ManagedStory().goes_on(6)
    story.queues(story.backups[2])
    assert judged("restore-complete", story.goes_on(6)) == (RED, "restore-not-done")


def test_the_price_of_a_restore_has_to_be_told():
    def story(*told):
        one = ManagedStory().goes_on(6)
        one.restores(one.backups[1], told=False)
        for text in told:
            one.say("restore.told", text=text)
        return one.goes_on(4)

    assert judged("restore-loss-told", restored()) == (GREEN, "")
    assert judged("restore-loss-told", story()) == (RED, "loss-not-told")
    assert judged("restore-loss-told", story("revision 13 -> 5")) == (RED, "leases-not-told")
    assert judged("restore-loss-told", story("1 lease is gone")) == (RED, "revisions-not-told")
    assert judged("restore-loss-told", story("1 lease is gone", "revision 13 -> 5")) == (GREEN, "")


def bad_name():
    return ManagedStory().goes_on(4).asks("nonsense", expects="none").runs(code=1)


def test_a_bad_name_that_is_refused_is_harmless():
    finding = judge("bad-name-harmless", bad_name().goes_on(6).end())
    assert finding.verdict is GREEN
    assert finding.measures["outage_seconds"] < 1


@pytest.mark.parametrize(
    ("happens", "signature"),
    [
        (lambda s: s.reseeds(keys=tuple(s.keys)).goes_on(4), "cluster-replaced"),
        (lambda s: s.lacks.update(m1=(FOUNDING, ("v1",))), "writes-lost"),
        (lambda s: setattr(s, "now", s.now + 8), "outage"),
    ],
)
def test_a_bad_name_that_does_harm_is_seen(happens, signature):
    story = bad_name().goes_on(2)
    happens(story)
    assert judged("bad-name-harmless", story.goes_on(2)) == (RED, signature)


def test_a_bad_name_after_which_nobody_wrote_is_not_judged():
    assert judged("bad-name-harmless", bad_name()) == (UNSEEN, "")


def test_a_backup_taken_of_a_cluster_before_it_serves_owes_nothing_of_the_one_before():
    story = ManagedStory().goes_on(6)
    story.now += 0.5
    story.saves(keys={}).reseeds().goes_on(4)
    assert judged("backups-restorable", story) == (GREEN, "")
