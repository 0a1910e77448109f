"""The kube API tap against a server of the test's own: what passes, what is told, what is cut."""

import base64
import http.client
import json
import signal
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import trustme
import yaml

from harness.clusters.kube_api import Credentials
from harness.clusters.ownership import Ownership, owned_processes
from harness.errors import ClusterError, MachineError
from harness.journal import Journal
from harness.nodeimage import tools
from harness.taps.gate import Moment
from harness.taps.kube_tap import KubeTap
from harness.waiting import until
from tests.unit.fake_api_server import FakeApiServer
from tests.unit.kube_tap_program import built_kube_tap

SHOP = "/api/v1/namespaces/shop"
PODS = f"{SHOP}/pods"
SCALE = "/apis/apps/v1/namespaces/shop/deployments/app/scale"
IN_YAML = "kind: Pod\nmetadata:\n  labels:\n    name: x\n  name: 'app' # it\n"
HARNESS = """
import sys, time
from pathlib import Path
from harness.journal import Journal
from harness.taps.kube_tap import KubeTap

class Own:
    def environment(self, **more):
        return {}

program, work = map(Path, sys.argv[1:])
tap = KubeTap(program, work, Own(), Journal(work / "journal", time.monotonic))
print(tap._process.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="session")
def program():
    return built_kube_tap()


@pytest.fixture(scope="module")
def ownership(tmp_path_factory):
    """One for all: making it takes longer than a test does."""
    owner = Ownership(f"test-{time.time_ns()}", tmp_path_factory.mktemp("owned") / "work")
    yield owner
    owner.release()


@pytest.fixture
def server():
    served = FakeApiServer()
    yield served
    served.close()


class Hand:
    """A gate that remembers, and does as it is told."""

    def __init__(self):
        self.asked = []
        self.refused = set()
        self.held = {}

    def hold(self, moment):
        self.held[moment] = threading.Event()
        return self.held[moment]

    def passes(self, call, moment):
        self.asked.append((call, moment))
        if moment in self.held:
            assert self.held[moment].wait(30)
        return moment not in self.refused


@pytest.fixture
def gate():
    return Hand()


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path / "journal.jsonl", time.monotonic)
    yield made
    made.seal()


@pytest.fixture
def tap(program, tmp_path, ownership, journal, gate):
    made = KubeTap(program, tmp_path / "tap", ownership, journal, gate)
    yield made
    made.close()


@pytest.fixture
def kubeconfig(tap, tmp_path, server):
    path = tmp_path / "kubeconfig"
    path.write_text(server.kubeconfig())
    path.chmod(0o640)
    tap.attach(path)
    return path


@pytest.fixture
def connect(kubeconfig):
    made = []

    def one(context=None):
        credentials = Credentials.of(kubeconfig.read_text())
        address = credentials.server.removeprefix("https://")
        made.append(http.client.HTTPSConnection(address, context=context or credentials.context(), timeout=30))
        return made[-1]

    yield one
    for connection in made:
        connection.close()


@pytest.fixture
def call(connect):
    """One call on a connection of its own: status and body."""

    def one(method, path, body=None, **headers):
        connection = connect()
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()

    return one


def told(journal, count=1):
    """The calls in the journal, once so many are there."""

    def calls():
        return [entry.data for entry in journal.entries() if entry.kind == "tap.api_call"]

    return until(calls, lambda seen: len(seen) >= count, what=f"{count} calls in the journal", deadline_seconds=30)


def protobuf(name="", generated=""):
    def part(number, data):
        return bytes([number << 3 | 2, len(data)]) + data

    metadata = (part(1, name.encode()) if name else b"") + part(2, generated.encode()) + part(3, b"shop")
    pod = part(1, metadata) + part(2, b"\x28\x01")
    return b"k8s\x00" + part(1, part(1, b"v1") + part(2, b"Pod")) + part(2, pod)


class TestKubeconfig:
    def test_only_server_and_authority_change(self, kubeconfig, server, tmp_path):
        before, after = yaml.safe_load(server.kubeconfig()), yaml.safe_load(kubeconfig.read_text())
        row = after["clusters"][1]["cluster"]
        assert row["server"].startswith("https://127.0.0.1:")
        assert row["server"] != before["clusters"][1]["cluster"]["server"]
        before["clusters"][1]["cluster"] = row
        assert after == before
        assert kubeconfig.stat().st_mode & 0o777 == 0o640
        kept = tmp_path / "tap" / "untapped-1.kubeconfig"
        assert kept.read_text() == server.kubeconfig()
        assert kept.stat().st_mode & 0o777 == 0o600

    def test_a_second_time_does_nothing(self, kubeconfig, tap, tmp_path):
        text, there = kubeconfig.read_text(), kubeconfig.stat().st_ino
        tap.attach(kubeconfig)
        assert (kubeconfig.read_text(), kubeconfig.stat().st_ino, tap.lead(text)) == (text, there, text)
        assert len(list((tmp_path / "tap").glob("untapped-*"))) == 1

    def test_one_end_for_one_server(self, kubeconfig, tap, server):
        assert tap.lead(server.kubeconfig()) == kubeconfig.read_text()

    def test_a_link_stays_one(self, tap, tmp_path, server):
        file, link = tmp_path / "file", tmp_path / "link"
        file.write_text(server.kubeconfig())
        link.symlink_to(file)
        tap.attach(link)
        assert link.is_symlink()
        assert server.address not in file.read_text()

    def test_files_it_names_are_read_beside_it(self, tap, tmp_path, server):
        server.client.private_key_pem.write_to_path(tmp_path / "key.pem")
        server.client.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        server.authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        path = tmp_path / "by-files"
        user = {"client-certificate": "cert.pem", "client-key": "key.pem"}
        cluster = {"certificate-authority": "ca.pem", "certificate-authority-data": None}
        path.write_text(server.kubeconfig(user, **cluster))
        tap.attach(path)
        led = yaml.safe_load(path.read_text())["clusters"][1]["cluster"]
        context = ssl.create_default_context(cadata=base64.b64decode(led["certificate-authority-data"]).decode())
        context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
        connection = http.client.HTTPSConnection(led["server"].removeprefix("https://"), context=context, timeout=30)
        connection.request("GET", "/version")
        assert connection.getresponse().status == 200
        connection.close()

    @pytest.mark.parametrize(
        "text", ["", "[]", "{", "current-context: gone\ncontexts: []\nclusters: []\nkey: s3cret\n"]
    )
    def test_another_file_is_told_without_its_words(self, tap, text):
        with pytest.raises(ClusterError) as error:
            tap.lead(text)
        assert "s3cret" not in str(error.value)

    def test_what_it_can_t_stand_in_front_of(self, tap, server):
        with pytest.raises(ClusterError, match="https"):
            tap.lead(server.kubeconfig(server="http://127.0.0.1:80"))

    def test_a_file_that_is_not_there(self, tap, tmp_path):
        with pytest.raises(ClusterError, match="No such file"):
            tap.attach(tmp_path / "nowhere")

    def test_a_server_verified_by_another_name(self, tap, server):
        credentials = Credentials.of(tap.lead(server.kubeconfig(**{"tls-server-name": "api.test"})))
        connection = http.client.HTTPSConnection(
            credentials.server.removeprefix("https://"), context=credentials.context(), timeout=10
        )
        connection.request("GET", "/version")
        assert connection.getresponse().status == 200
        connection.close()


class TestPassing:
    def test_a_request_arrives_as_it_was_sent(self, call, server):
        headers = {"X_Forwarded_For": "192.0.2.9", "Accept_Encoding": "gzip", "Authorization": "Bearer t0ken"}
        status, body = call("POST", f"{PODS}?fieldManager=a;b&c=%zz", '{"metadata":{"name":"app"}}', **headers)
        arrived = server.arrived[0]
        assert (status, body) == (201, b'{"kind":"Status","answer":"s3cret-answer"}')
        assert (arrived.method, arrived.target) == ("POST", f"{PODS}?fieldManager=a;b&c=%zz")
        assert arrived.body == b'{"metadata":{"name":"app"}}'
        assert arrived.headers == {
            "Host": server.address,
            "Content-Length": "27",
            "X-Forwarded-For": "192.0.2.9",
            "Accept-Encoding": "gzip",
            "Authorization": "Bearer t0ken",
        }

    def test_the_client_s_certificate_speaks_for_it(self, call, server):
        call("GET", "/version")
        leaf = server.client.cert_chain_pems[0].bytes().decode()
        assert server.arrived[0].certificate == ssl.PEM_cert_to_DER_cert(leaf)

    def test_without_a_certificate_there_is_none(self, connect, tap, server):
        credentials = Credentials.of(tap.lead(server.kubeconfig()))
        connection = connect(ssl.create_default_context(cadata=credentials.authority))
        connection.request("GET", "/version", headers={"Authorization": "Bearer t0ken"})
        assert connection.getresponse().status == 200
        assert server.arrived[0].certificate is None
        assert server.arrived[0].headers["Authorization"] == "Bearer t0ken"

    def test_a_certificate_without_a_known_key_is_refused(self, connect, tap, server, journal, tmp_path):
        credentials = Credentials.of(tap.lead(server.kubeconfig()))
        context = ssl.create_default_context(cadata=credentials.authority)
        trustme.CA().issue_cert("stranger").private_key_and_cert_chain_pem.write_to_path(tmp_path / "stranger.pem")
        context.load_cert_chain(tmp_path / "stranger.pem")
        connection = connect(context)
        connection.request("GET", "/version")
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["kind"]) == (502, "Status")
        assert server.arrived == []
        assert told(journal)[0]["outcome"] == "failed"

    def test_what_is_streamed_arrives_at_once(self, connect, server, journal):
        connection = connect()
        connection.request("GET", "/api/v1/streamed?watch=true")
        answer = connection.getresponse()
        assert answer.readline() == b'{"type":"ADDED"}\n'
        assert not [entry for entry in journal.entries() if entry.kind == "tap.api_call"]
        server.go_on.set()
        assert answer.read() == b'{"type":"DELETED"}\n'
        assert (told(journal)[0]["call"], told(journal)[0]["response_bytes"]) == ("api watch streamed", 36)

    def test_trailers_are_kept(self, connect):
        connection = connect()
        connection.request("GET", "/api/v1/trailed")
        answer = connection.getresponse()
        raw = answer.fp.read(25)
        assert answer.getheader("Trailer") == "X-Sum"
        assert b"X-Sum: 42" in raw

    def test_an_upgraded_connection_goes_both_ways(self, connect, journal):
        connection = connect()
        connection.request(
            "POST", f"{PODS}/app/exec?command=sh", headers={"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
        )
        raw = connection.sock
        assert raw.recv(1000).startswith(b"HTTP/1.1 101 ")
        for word in (b"one", b"two"):
            raw.sendall(word)
            assert raw.recv(100) == word * 2
        connection.close()
        seen = told(journal)[0]
        assert (seen["call"], seen["mutating"]) == ("api create pods/exec shop/app", False)
        assert (seen["status"], seen["request_bytes"], seen["response_bytes"]) == (101, 6, 12)
        assert seen["outcome"] == "answered"

    def test_no_answer_breaks_off_when_it_comes_before_the_end_of_the_question_was_seen(self, connect):
        """Nor of calls that change nothing and have a body; it did in about one of a thousand."""

        def ask_often(connection):
            for _ in range(200):
                connection.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "{}")
                assert connection.getresponse().read().endswith(b"}")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask_often, [connect() for _ in range(8)]))

    def test_large_bodies_are_streamed(self, connect, server, journal):
        def pieces():
            yield b"x" * (1 << 20)
            assert server.reading.wait(30)  # the server has the first piece before the second is sent
            yield from [b"x" * (1 << 20)] * 63

        connection = connect()
        connection.request("POST", f"{PODS}/app/proxy/upload", pieces(), encode_chunked=True)
        assert connection.getresponse().read()
        connection.request("GET", f"{PODS}/app/proxy/big")
        assert connection.getresponse().read() == b"x" * (64 << 20)
        assert len(server.arrived[0].body) == 64 << 20
        assert [seen["request_bytes"] for seen in told(journal, 2)] == [64 << 20, 0]
        assert told(journal, 2)[1]["response_bytes"] == 64 << 20

    def test_http_2_is_offered(self, tap, server):
        credentials = Credentials.of(tap.lead(server.kubeconfig()))
        context = credentials.context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        connection = http.client.HTTPSConnection(
            credentials.server.removeprefix("https://"), context=context, timeout=10
        )
        connection.connect()
        assert connection.sock.selected_alpn_protocol() == "h2"
        connection.close()

    def test_a_server_that_is_down_looks_like_one(self, call, server, journal):
        server.close()
        with pytest.raises(ConnectionError):
            call("GET", "/version")
        assert (told(journal)[0]["outcome"], told(journal)[0]["status"]) == ("failed", 0)

    @pytest.mark.parametrize("method", ["GET", "PUT"])
    @pytest.mark.parametrize("name", ["dies", "breaks"])
    def test_an_answer_that_breaks_off_breaks_off(self, call, journal, method, name):
        with pytest.raises((ConnectionError, http.client.IncompleteRead)):
            call(method, f"{PODS}/{name}", "{}" if method == "PUT" else None)
        assert told(journal)[0]["outcome"] == "failed"

    def test_the_server_sees_a_client_leave(self, connect, journal):
        connection = connect()
        connection.request("GET", "/api/v1/streamed?watch=1")
        connection.getresponse().readline()
        connection.close()
        assert told(journal)[0]["outcome"] == "answered"


class TestNames:
    @pytest.mark.parametrize(
        ("method", "path", "body", "name", "mutating"),
        [
            ("POST", "/api/v1/namespaces", '{"metadata":{"name":"shop"}}', "create namespaces shop", True),
            ("POST", PODS, '{"metadata":{"generateName":"app-"}}', "create pods shop/app-*", True),
            ("POST", PODS, protobuf("app"), "create pods shop/app", True),
            ("POST", PODS, protobuf(generated="app-"), "create pods shop/app-*", True),
            ("POST", PODS, IN_YAML, "create pods shop/app", True),
            ("POST", PODS, "metadata: {name: app, namespace: shop}\n", "create pods shop/app", True),
            ("POST", PODS, b"\x00\xff", "create pods shop/?", True),
            ("POST", PODS, b"k8s\x00\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "create pods shop/?", True),
            ("POST", PODS, '{"metadata":{"name":"a b\\n"}}', "create pods shop/?", True),
            ("POST", f"{PODS}?dryRun=All", '{"metadata":{"name":"app"}}', "create pods shop", False),
            ("POST", f"{PODS}/app/eviction", "{}", "create pods/eviction shop/app", True),
            ("POST", f"{PODS}/app/binding", "{}", "create pods/binding shop/app", True),
            ("POST", f"{PODS}/app/portforward", "", "create pods/portforward shop/app", False),
            ("POST", f"{SHOP}/serviceaccounts/app/token", "{}", "create serviceaccounts/token shop/app", False),
            ("PUT", "/api/v1/nodes/n1/proxy/run", "{}", "update nodes/proxy n1", False),
            (
                "POST",
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                "{}",
                "create selfsubjectaccessreviews.authorization.k8s.io",
                False,
            ),
            ("PATCH", SCALE, "{}", "patch deployments.apps/scale shop/app", True),
            ("PUT", "/api/v1/namespaces/shop/finalize", "{}", "update namespaces/finalize shop", True),
            ("DELETE", "/api/v1/namespaces/shop", None, "delete namespaces shop", True),
            ("DELETE", f"{PODS}/app", '{"dryRun":["All"]}', "delete pods shop/app", False),
            ("DELETE", f"{PODS}/app", '{"dryRun":[]}', "delete pods shop/app", True),
            ("DELETE", f"{PODS}?labelSelector=a", None, "deletecollection pods shop", True),
            ("GET", f"{PODS}/app/log", None, "get pods/log shop/app", False),
            ("GET", PODS, None, "list pods shop", False),
            ("GET", "/api/v1/pods", None, "list pods", False),
            ("GET", f"{PODS}?watch=0", None, "list pods shop", False),
            ("GET", f"{PODS}?watch=true&fieldSelector=metadata.name%3Dapp", None, "watch pods shop/app", False),
            ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node", None,
             "get clusterroles.rbac.authorization.k8s.io system:node", False),
            ("GET", "/openapi/v3?hash=s3cret", None, "get /openapi/v3", False),
            ("GET", "/apis/apps/v1", None, "get /apis/apps/v1", False),
        ],
    )  # fmt: skip
    def test_of_a_call(self, call, journal, gate, method, path, body, name, mutating):
        call(method, path, body, User_Agent="tool/1.2 (linux/amd64)")
        seen = told(journal)[0]
        assert (seen["call"], seen["mutating"], seen["user"]) == (f"api {name}", mutating, "tool/1.2")
        asked = [(f"api {name}", Moment.BEFORE), (f"api {name}", Moment.AFTER)]
        assert gate.asked == (asked if mutating else [])

    def test_below_a_server_s_own_path(self, tap, server, journal):
        credentials = Credentials.of(tap.lead(server.kubeconfig(server=f"https://{server.address}/k8s/c1")))
        address, _, path = credentials.server.removeprefix("https://").partition("/")
        connection = http.client.HTTPSConnection(address, context=credentials.context(), timeout=30)
        connection.request("GET", f"/{path}{PODS}")
        connection.getresponse().read()
        connection.close()
        assert server.arrived[0].target == f"/k8s/c1{PODS}"
        assert told(journal)[0]["call"] == "api list pods shop"

    def test_times_bytes_and_status(self, call, journal):
        before = journal.now()
        call("PUT", f"{PODS}/conflict", "12345")
        seen = told(journal)[0]
        assert before - 0.01 <= seen["began"] <= seen["ended"] <= journal.now()
        assert (seen["status"], seen["request_bytes"], seen["response_bytes"]) == (409, 5, 0)
        assert (seen["verb"], seen["outcome"]) == ("update", "answered")


class TestGate:
    def test_before_means_never_sent(self, call, server, gate, journal):
        gate.refused = {Moment.BEFORE}
        with pytest.raises(ConnectionError):
            call("POST", PODS, '{"metadata":{"name":"app"}}')
        assert server.arrived == []
        assert (told(journal)[0]["outcome"], told(journal)[0]["status"]) == ("dropped-before", 0)

    def test_after_means_done_and_not_told(self, call, server, gate, journal):
        gate.refused = {Moment.AFTER}
        with pytest.raises(ConnectionError):
            call("POST", PODS, '{"metadata":{"name":"app"}}')
        assert [arrived.method for arrived in server.arrived] == ["POST"]
        assert (told(journal)[0]["outcome"], told(journal)[0]["status"]) == ("dropped-after", 201)

    def test_a_held_call_holds_nobody_else(self, call, server, gate, journal):
        release = gate.hold(Moment.BEFORE)
        answers = []
        caller = threading.Thread(target=lambda: answers.append(call("DELETE", f"{PODS}/app")))
        caller.start()
        until(lambda: gate.asked, what="the question", deadline_seconds=30)
        assert call("GET", f"{PODS}/app")[0] == 200
        assert [arrived.method for arrived in server.arrived] == ["GET"]
        release.set()
        caller.join(30)
        assert answers[0][0] == 200
        assert [arrived.method for arrived in server.arrived] == ["GET", "DELETE"]
        assert len(told(journal, 2)) == 2

    def test_after_is_asked_when_the_whole_answer_is_there(self, call, server, gate):
        caller = threading.Thread(target=call, args=("PATCH", f"{PODS}/slowly", "{}"))
        caller.start()
        until(lambda: server.arrived, what="the call", deadline_seconds=30)
        assert [moment for _, moment in gate.asked] == [Moment.BEFORE]
        server.go_on.set()
        caller.join(30)
        assert [moment for _, moment in gate.asked] == [Moment.BEFORE, Moment.AFTER]

    def test_no_byte_is_given_while_it_is_held_after(self, connect, gate):
        release = gate.hold(Moment.AFTER)
        connection = connect()
        connection.request("PUT", f"{PODS}/app", "{}")
        until(lambda: len(gate.asked) == 2, what="the question", deadline_seconds=30)
        connection.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.sock.recv(1)
        release.set()
        connection.sock.settimeout(10)
        assert connection.sock.recv(9) == b"HTTP/1.1 "

    def test_a_client_that_dies_while_it_is_held_before_sends_nothing(self, connect, gate, server, journal):
        release = gate.hold(Moment.BEFORE)
        connection = connect()
        connection.request("PUT", f"{PODS}/app", "{}")
        until(lambda: gate.asked, what="the question", deadline_seconds=30)
        connection.close()
        gate.refused = {Moment.BEFORE}
        release.set()
        assert told(journal)[0]["outcome"] == "dropped-before"
        assert server.arrived == []

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_gate_that_breaks_lets_nothing_pass(self, call, gate, server, journal):
        gate.passes = lambda *_: 1 / 0
        with pytest.raises(ConnectionError):
            call("PUT", f"{PODS}/app", "{}")
        assert server.arrived == []
        assert told(journal)[0]["outcome"] == "dropped-before"
        asks = [thread for thread in threading.enumerate() if thread.name == "kube-tap-gate"]
        until(lambda: not any(map(threading.Thread.is_alive, asks)), what="its error to be told", deadline_seconds=30)


class TestSecrets:
    def test_no_body_header_or_query_is_written_down(self, call, journal, tmp_path):
        secret = {"Authorization": "Bearer s3cret", "X_Other": "s3cret", "User_Agent": "tool s3cret"}
        call("POST", f"{PODS}?token=s3cret", '{"metadata":{"name":"app"},"data":{"key":"s3cret"}}', **secret)
        call("GET", f"{PODS}/app?token=s3cret", **secret)
        told(journal, 2)
        assert "s3cret" not in journal.path.read_text()
        assert "s3cret" not in (tmp_path / "tap" / "kube-tap.log").read_text()


class TestEnd:
    def test_its_process_is_the_run_s(self, tap, ownership):
        assert tap._process.pid in [process.pid for process in owned_processes(ownership.lease.label)]

    def test_it_ends_with_its_harness(self, program):
        with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdin.close()
            assert process.wait(20) == 0

    def test_it_ends_when_its_harness_is_killed(self, program, tmp_path):
        words = [sys.executable, "-c", HARNESS, program, tmp_path]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as harness:
            tap = psutil.Process(int(harness.stdout.readline()))
            harness.send_signal(signal.SIGKILL)
        gone, alive = psutil.wait_procs([tap], 5)
        assert (len(gone), alive) == (1, [])

    def test_what_is_still_open_is_told_at_the_end(self, connect, tap, journal):
        watching, upgraded = connect(), connect()
        watching.request("GET", "/api/v1/streamed?watch=1")
        watching.getresponse().readline()
        upgraded.request("POST", f"{PODS}/app/exec", headers={"Connection": "Upgrade", "Upgrade": "SPDY/3.1"})
        assert b" 101 " in upgraded.sock.recv(1000)
        tap.close()
        tap.close()
        calls = {entry.data["call"]: entry.data for entry in journal.entries()}
        assert calls.keys() == {"api watch streamed", "api create pods/exec shop/app"}
        assert {data["outcome"] for data in calls.values()} == {"answered"}

    def test_a_client_that_does_not_leave_after_the_server_did_holds_up_nothing(self, connect, tap, journal):
        upgraded = connect()
        upgraded.request("POST", f"{PODS}/app/exec", headers={"Connection": "Upgrade", "Upgrade": "SPDY/3.1"})
        assert b" 101 " in upgraded.sock.recv(1000)
        upgraded.sock.sendall(b"bye")
        assert upgraded.sock.recv(100) == b""
        tap.close()
        assert [data["outcome"] for data in told(journal)] == ["answered"]

    def test_a_call_that_is_held_is_dropped_at_the_end(self, connect, tap, gate, journal, server):
        release = gate.hold(Moment.BEFORE)
        connect().request("DELETE", f"{PODS}/app")
        asking = connect()
        asking.request("DELETE", f"{PODS}/app")
        until(lambda: gate.asked, what="the question", deadline_seconds=30)
        tap.close()
        release.set()
        assert server.arrived == []
        assert {seen["outcome"] for seen in told(journal)} == {"dropped-before"}

    def test_a_program_that_died_is_told(self, program, tmp_path, ownership, journal):
        tap = KubeTap(program, tmp_path / "tap", ownership, journal)
        tap._process.kill()
        tap._process.wait(20)
        with pytest.raises(ClusterError, match="ended with -9"):
            tap.close()

    def test_a_program_that_is_none(self, tmp_path, ownership, journal):
        with pytest.raises(MachineError, match="images build"):
            KubeTap(tmp_path / "nothing", tmp_path / "tap", ownership, journal)


def test_a_program_that_was_not_built_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MachineError, match="afterfault images build"):
        tools.find_kube_tap()
