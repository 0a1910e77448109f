"""How the state of a cluster, and traces beside it, get into the journal; without a cluster."""

import base64
import contextlib
import json
import os
import subprocess
import time
import zlib
from types import SimpleNamespace

import pytest
import requests.exceptions

from harness.clusters.kube_api import Answer
from harness.clusters.lease import Mark
from harness.clusters.ownership import LABEL_VARIABLE, owned_processes
from harness.errors import ClusterError, MachineError
from harness.journal import Journal
from harness.judging.state import compare, state_of
from harness.judging.traces import told_traces
from harness.probes import traces
from harness.probes.kubernetes import state
from harness.probes.kubernetes.eyes import Eyes
from harness.probes.kubernetes.rest import Patience, await_rest
from harness.probes.secrecy import Fingerprints
from tests.unit.test_golden_picture import CM, WEB, stored, world

SECRET = "/api/v1/namespaces/a/secrets/key"
AUTHORITY = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"


class FakeClock:
    """Each look takes a tenth of a second; `at` says what happens when."""

    def __init__(self, **at):
        self.now, self.at = 0.0, dict(at.pop("events", {}))

    def monotonic(self):
        self.now += 0.1
        for moment in [moment for moment in self.at if moment <= self.now]:
            self.at.pop(moment)()
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def touch(api, path, **more):
    def change():
        metadata = api.objects[path]["metadata"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
        api.objects[path] |= more

    return change


def rested(api, **clock):
    return await_rest(api, Patience(clock=FakeClock(**clock)))


UP = {"observedGeneration": 1, "availableReplicas": 1, "updatedReplicas": 1}


def healthy():
    api = world(stored(SECRET, "s1", data={"k": base64.b64encode(b"pass\0word").decode()}))
    api.objects[WEB] |= {"status": dict(UP)}
    api.objects[WEB]["metadata"]["generation"] = 1
    pod = next(path for path in api.objects if "/pods/" in path)
    api.objects[pod]["status"] = {"conditions": [{"type": "Ready", "status": "True"}]}
    return api


def test_a_quiet_cluster_is_at_rest_after_a_few_seconds():
    rest = rested(healthy())
    assert (rest.at_rest, rest.moving) == (True, [])
    assert 4 < rest.waited_seconds < 8
    assert sorted(rest.objects["configmaps"][0]) == ["data", "metadata"]


def test_each_change_makes_it_wait_anew():
    api = healthy()
    rest = rested(api, events={3.0: touch(api, CM), 7.0: touch(api, CM)})
    assert rest.at_rest
    assert rest.waited_seconds > 11


def test_what_does_not_work_gets_more_time_and_is_named():
    api = healthy()
    api.objects[WEB]["status"]["availableReplicas"] = 0
    rest = rested(api)
    assert (rest.at_rest, rest.moving) == (True, ["deployments.apps a/web"])
    assert 45 < rest.waited_seconds < 50
    api.objects[WEB]["status"]["availableReplicas"] = 0
    soon = rested(api, events={9.0: touch(api, WEB, status=dict(UP))})
    assert soon.moving == []
    assert soon.waited_seconds < 16


def test_what_waits_for_a_finalizer_is_named():
    api = healthy()
    api.objects["/api/v1/namespaces/a"]["metadata"]["deletionTimestamp"] = "now"
    assert rested(api).moving == ["namespaces a"]


def test_what_never_rests_is_taken_as_it_is():
    api = healthy()
    rest = rested(api, events={float(moment): touch(api, CM) for moment in range(1, 140)})
    assert (rest.at_rest, rest.moving) == (False, ["configmaps a/one"])
    assert 119 < rest.waited_seconds < 125


def test_heartbeats_are_not_waited_for():
    api = healthy()
    path, event = stored("/api/v1/namespaces/a/events/e", "e1")
    api.objects[path] = event
    rest = rested(api, events={float(moment): touch(api, path) for moment in range(1, 10)})
    assert rest.waited_seconds < 8
    assert "events" not in rest.objects


@pytest.fixture
def look(monkeypatch, tmp_path):
    """Takes the state of a fake cluster into a journal; returns the entry's data."""
    journal = Journal(tmp_path / "journal.jsonl", time.monotonic)

    def taken(api, role="reference", **more):
        monkeypatch.setattr(state, "eyes_on", lambda *_: contextlib.nullcontext(Eyes(api, "admin")))
        monkeypatch.setattr(state, "admin_of", lambda _: SimpleNamespace(authority=AUTHORITY))
        fake = SimpleNamespace(cluster=None, journal=journal)
        state.observe_state(fake, role, state.StateLook(patience=Patience(clock=FakeClock()), **more))
        return journal.entries()[-1].data

    yield taken
    journal.seal()


def test_a_state_goes_into_the_journal_and_is_read_back(look):
    reference, recovered = look(healthy()), look(healthy(), "recovered")
    assert (reference["role"], recovered["role"]) == ("reference", "recovered")
    assert reference["at_rest"]
    assert reference["objects"] == len(state_of(reference).objects) == 6
    assert compare(state_of(reference), state_of(recovered)).is_none


def test_no_secret_is_in_the_journal_in_clear(look):
    applied = {"kubectl.kubernetes.io/last-applied-configuration": '{"data":{"k":"cGFzcwB3b3Jk"}}'}
    api = healthy()
    api.objects[SECRET]["metadata"]["annotations"] = applied
    packed = zlib.decompress(base64.b64decode(look(api)["packed"])).decode()
    assert "cGFzcwB3b3Jk" not in packed
    assert "hmac-sha256" in packed
    assert ", 9 bytes" in packed


def test_one_byte_of_a_secret_is_found(look):
    api = healthy()
    reference = look(api)
    api.objects[SECRET]["data"] = {"k": base64.b64encode(b"pass\0worD").decode()}
    difference = compare(state_of(reference), state_of(look(api)))
    assert [changed.id for changed in difference.changed] == ["secrets a/key"]


def test_a_secret_whose_value_is_no_base64_is_no_trouble(look):
    api = healthy()
    api.objects[SECRET]["data"] = {"k": "?", "l": None}
    assert look(api)["objects"] == 6


def test_the_authority_is_told_from_another(look):
    api = healthy()
    api.objects[CM]["data"] = {"ca.crt": AUTHORITY, "kubeconfig": base64.b64encode(AUTHORITY.encode()).decode()}
    data = state_of(look(api)).objects["configmaps a/one"]["data"]
    assert data == {
        "ca.crt": "<authority of the cluster>\n",
        "kubeconfig": "<base64 authority of the cluster>",
    }


def test_long_texts_are_told_apart_and_not_kept(look):
    api = healthy()
    api.objects[CM]["data"] = {"long": "x" * 70_000}
    reference = look(api)
    assert len(reference["packed"]) < 3000
    api.objects[CM]["data"] = {"long": "x" * 69_999 + "y"}
    assert not compare(state_of(reference), state_of(look(api))).is_none


def test_what_can_not_be_listed_is_told(look):
    api = healthy()
    api.refuses["/api/v1/secrets"] = 500
    data = look(api)
    assert data["failed"] == {"secrets": {"status": 500, "text": "does not decode"}}
    assert state_of(data).unlisted == {"secrets": "500: does not decode"}


def test_an_api_that_refuses_is_a_fact(look):
    api = healthy()
    api.get = lambda *_, **__: Answer(503, b'{"message": "no"}')
    data = look(api, "recovered")
    assert (data["role"], data["failure"]["sort"]) == ("recovered", "error")


def test_a_state_beyond_all_measure_is_not_written(look, monkeypatch):
    monkeypatch.setattr(state, "_MOST_PACKED_BYTES", 100)
    with pytest.raises(ClusterError, match="more than a journal should hold"):
        look(healthy())


def test_fingerprints_need_the_same_key():
    one, two = Fingerprints(), Fingerprints()
    assert one.of(b"x") == one.of_chunks((b"x",)) != two.of(b"x")
    assert one.of(b"x").endswith(", 1 bytes")
    assert one.key_id != two.key_id
    assert one.key.hex() not in repr(one) + one.key_id


def test_files_are_told_by_path_mode_and_content(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/secret").write_text("pass")
    (tmp_path / "a/secret").chmod(0o600)
    (tmp_path / "link").symlink_to("a/af-1-x")
    os.mkfifo(tmp_path / "pipe")
    seen = traces.seen_traces(traces.TraceLook({"home": tmp_path}, names={"af-1": "<cluster>"}))
    files = seen["files"]["home"]
    assert {name: told["sort"] for name, told in files.items()} == {
        "a": "folder", "a/secret": "file", "link": "link", "pipe": "other",
    }  # fmt: skip
    assert files["a/secret"]["mode"] == "0600"
    assert files["a/secret"]["content"].startswith("hmac-sha256 ")
    assert files["link"]["content"] == "a/<cluster>-x"
    assert "pass" not in json.dumps(seen)


def two_looks(tmp_path, was, now, **more):
    looks = []
    for number, content in enumerate((was, now)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "file").write_bytes(content)
        names = {str(folder): "<folder>", f"af-{number}": "<cluster>"}
        looks.append(traces.seen_traces(traces.TraceLook({"d": folder}, names=names, **more)))
    return told_traces(*looks)


@pytest.mark.parametrize(
    ("was", "now", "same"),
    [
        (b"made 2026-11-21T10:00:00Z", b"made 2027-01-01T00:00:00.123Z", True),
        (b"2026-11-21 10:00:00,123 INFO done", b"2026-11-21 10:00:07,001 INFO done", True),
        (b"2026-11-21 10:00:00,123 INFO done", b"2026-11-21 10:00:07,001 INFO failed", False),
        (b"    client-key-data: AAAA\n", b"    client-key-data: BBBB\n", True),
        (b"    client-key: AAAA\n", b"    client-key: BBBB\n", False),
        (b"  server: https://127.0.0.1:4001\n", b"  server: https://127.0.0.1:4002\n", True),
        (b"  server: https://10.0.0.1:4001\n", b"  server: https://10.0.0.1:4002\n", False),
        (b"  uid: 0a1b\n", b"  uid: 0a1c\n", True),
        (b'"resourceVersion": "12"', b'"resourceVersion": "13"', True),
        (b"port: 12\n", b"port: 13\n", False),
        (b"cluster af-0 here", b"cluster af-1 here", True),
        (b"\0 2026-11-21T10:00:00Z", b"\0 2026-11-21T10:00:01Z", False),
        (b"", b"x", False),
    ],
)
def test_masks_hide_what_they_name_and_nothing_beside_it(tmp_path, was, now, same):
    assert (two_looks(tmp_path, was, now) == []) is same


def test_large_files_are_compared_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(traces, "_LARGEST_MASKED_BYTES", 4)
    assert two_looks(tmp_path, b"xxxxxxxx", b"xxxxxxxx") == []
    assert traces.MASKS[0][2]


def test_what_is_opaque_is_noted_and_not_looked_into(tmp_path):
    (tmp_path / "etcd").mkdir()
    (tmp_path / "etcd/db").write_text("x")
    (tmp_path / "log").write_text("x")
    seen = traces.seen_traces(traces.TraceLook({"d": tmp_path}, opaque=("d/etcd", "d/log")))
    assert seen["files"]["d"].keys() == {"etcd", "log"}
    assert seen["files"]["d"]["log"]["content"] == ""


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(traces, "_MOST_FILES", 2)
    for name in "abc":
        (tmp_path / name).touch()
    with pytest.raises(ClusterError, match="more than 2 files"):
        traces.seen_traces(traces.TraceLook({"d": tmp_path}))


def test_a_folder_that_is_not_there_has_no_files(tmp_path):
    assert traces.seen_traces(traces.TraceLook({"d": tmp_path / "none"}))["files"] == {"d": {}}


def test_a_process_that_does_not_end_is_told_and_one_that_ends_is_not(monkeypatch):
    monkeypatch.setattr(traces, "_PROCESS_SECONDS", 0.3)
    label = f"traces-{os.getpid()}"
    process = subprocess.Popen(["/bin/sleep", "60.5"], env={LABEL_VARIABLE: label})
    try:
        assert traces.seen_traces(traces.TraceLook({}, label))["processes"] == ["sleep 60.5"]
    finally:
        process.kill()
        process.wait()
    assert traces.seen_traces(traces.TraceLook({}, label))["processes"] == []


def test_what_stood_before_the_tool_came_is_no_trace_of_it(monkeypatch):
    monkeypatch.setattr(traces, "_PROCESS_SECONDS", 0.3)
    label = f"standing-{os.getpid()}"
    with contextlib.ExitStack() as ended:

        def start(seconds):
            process = subprocess.Popen(["/bin/sleep", seconds], env={LABEL_VARIABLE: label})
            ended.callback(process.wait)
            ended.callback(process.kill)

        start("60.5")
        look = traces.TraceLook({}, label, frozenset(owned_processes(label)))
        assert traces.seen_traces(look)["processes"] == []
        start("61.5")
        assert traces.seen_traces(look)["processes"] == ["sleep 61.5"]


def test_of_the_engine_only_what_is_the_runs_or_known_to_be_the_tools_is_told():
    mark = Mark("run-1")
    rows = [
        {"Id": "1", "Names": [f"/{mark.cluster_prefix}a-control-plane"], "State": "running",
         "Labels": {"io.x-k8s.kind.cluster": f"{mark.cluster_prefix}a"}},
        {"Id": "2", "Names": ["/laconic-etcd-cleanup"], "State": "exited", "Labels": {}},
        {"Id": "3", "Names": ["/somebody"], "State": "running", "Labels": None},
    ]  # fmt: skip
    api = SimpleNamespace(
        containers=lambda **_: rows,
        networks=lambda: [{"Id": "4", "Name": "mine", "Labels": {"afterfault.run": "run-1"}}],
        volumes=lambda: {"Volumes": [{"Name": "a" * 64, "Labels": None}, {"Name": "b" * 64, "Labels": None}]},
    )
    engine = traces.Engine(SimpleNamespace(api=api), Mark("run-1", ("a" * 64,)), ("laconic-*",))
    look = traces.TraceLook({}, engine=engine, names={f"{mark.cluster_prefix}a": "<cluster>"})
    assert traces.seen_traces(look)["engine"] == [
        {"sort": "container", "name": "<cluster>-control-plane", "state": "running"},
        {"sort": "container", "name": "laconic-etcd-cleanup", "state": "exited"},
        {"sort": "network", "name": "mine", "state": ""},
        {"sort": "volume", "name": "a" * 64, "state": ""},
    ]


def test_an_engine_that_does_not_answer_is_no_trace():
    def silent(**_):
        raise requests.exceptions.ConnectionError("gone")

    engine = traces.Engine(SimpleNamespace(api=SimpleNamespace(containers=silent)), Mark("run-1"))
    with pytest.raises(MachineError, match="stopped answering"):
        traces.seen_traces(traces.TraceLook({}, engine=engine))
