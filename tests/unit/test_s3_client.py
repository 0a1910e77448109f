"""Signatures are those of the S3 API reference; the gate hands requests on as they came, or does what it is set to."""

import http.client
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.clusters.backup_store import S3Login, S3Store, StoreError, open_store
from harness.clusters.s3_gate import GateMode, S3Gate
from harness.clusters.s3_signature import sign

# "Examples: Signature calculations", S3 API reference.
EXAMPLE = S3Login(
    "https://examplebucket.s3.amazonaws.com", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)
EXAMPLE_TIME = datetime(2013, 5, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("call", "headers", "signature"),
    [
        (
            ("GET", "/test.txt", "", b""),
            {"range": "bytes=0-9"},
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            ("PUT", "/test%24file.text", "", b"Welcome to Amazon S3."),
            {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            ("GET", "/", "lifecycle=", b""),
            {},
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            ("GET", "/", "max-keys=2&prefix=J", b""),
            {},
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_signatures_of_the_reference(call, headers, signature):
    signed = sign(EXAMPLE, call, headers, EXAMPLE_TIME)
    assert signed["authorization"].endswith(f"Signature={signature}")


def test_a_login_from_the_environment_and_back():
    s3 = {"S3_ENDPOINT": "127.0.0.1:9/", "S3_ACCESS_KEY_ID": "a", "S3_SECRET_ACCESS_KEY": "b", "S3_REGION": "c"}
    login = S3Login.from_environment(s3)
    assert login == S3Login("https://127.0.0.1:9", "a", "b", "c")
    assert S3Login.from_environment(login.environment()) == login
    aws = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "c", "AWS_SESSION_TOKEN": "d"}
    assert S3Login.from_environment(aws) == S3Login("https://s3.c.amazonaws.com", "a", "b", "c", "d")
    assert sign(S3Login.from_environment(aws), ("GET", "/", "", b""), {}, EXAMPLE_TIME)["x-amz-security-token"] == "d"


@pytest.fixture
def upstream():
    """A server that remembers what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            size = int(self.headers.get("Content-Length") or 0)
            asked.append((self.command, self.path, dict(self.headers.items()), self.rfile.read(size)))
            self.send_response(404 if "missing" in self.path else 200)
            self.send_header("ETag", '"abc"')
            self.send_header("Content-Length", "5")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(b"hello")

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer  # noqa: N815 - names of the base class

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def gate(upstream):
    one = S3Gate(upstream[0])
    yield one
    one.close()


@pytest.fixture
def connection(gate):
    one = http.client.HTTPConnection(gate.endpoint.removeprefix("http://"), timeout=10)
    yield one
    one.close()


def ask(connection, method="GET", path="/b/k?x=%2F&y", **more):
    connection.request(method, path, **more)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer


def test_requests_pass_as_they_came(upstream, gate, connection):
    headers = {"Host": "somewhere.else:1", "Authorization": "AWS4 x", "X-Amz-Date": "now", "Expect": "100-continue"}
    status, content, answer = ask(connection, "PUT", headers=headers, body=b"\0\1" * 5000)
    assert (status, content, answer.headers["ETag"]) == (200, b"hello", '"abc"')
    method, path, seen, body = upstream[1][0]
    assert (method, path, body) == ("PUT", "/b/k?x=%2F&y", b"\0\1" * 5000)
    assert {name: seen[name] for name in ("Host", "Authorization", "X-Amz-Date")} == {
        "Host": "somewhere.else:1", "Authorization": "AWS4 x", "X-Amz-Date": "now",
    }  # fmt: skip
    assert "Expect" not in seen
    assert gate.passed == {"PUT": 1}


def test_several_calls_on_one_connection(connection):
    assert [ask(connection)[0] for _ in range(3)] == [200] * 3
    status, content, answer = ask(connection, "HEAD", "/b/missing")
    assert (status, content, answer.headers["Content-Length"]) == (404, b"", "5")
    assert ask(connection)[1] == b"hello"


def test_a_body_in_chunks(upstream, connection):
    connection.request("PUT", "/b/k", body=iter([b"abc", b"", b"defg"]), encode_chunked=True)
    assert connection.getresponse().read() == b"hello"
    assert upstream[1][0][3] == b"abcdefg"
    assert ask(connection)[0] == 200


@pytest.mark.parametrize(("mode", "refused"), [(GateMode.DENY, ["GET", "HEAD", "PUT"]), (GateMode.READ_ONLY, ["PUT"])])
def test_what_is_denied_never_arrives(upstream, gate, connection, mode, refused):
    gate.set(mode)
    told = {
        method: ask(connection, method, body=b"x" if method == "PUT" else None) for method in ("GET", "HEAD", "PUT")
    }
    assert [method for method, (status, _, _) in told.items() if status == 403] == refused
    assert b"<Code>AccessDenied</Code>" in told["PUT"][1]
    assert [method for method, _, _, _ in upstream[1]] == [method for method in told if method not in refused]
    assert sorted(gate.struck) == refused


def test_an_open_connection_is_cut(gate, connection):
    assert ask(connection)[0] == 200
    gate.set(GateMode.REFUSE)
    with pytest.raises((http.client.HTTPException, OSError)):
        ask(connection)
    connection.close()
    with pytest.raises(ConnectionRefusedError):
        ask(connection)
    connection.close()
    gate.set(GateMode.PASS)
    assert ask(connection)[0] == 200


def test_what_is_no_answer_of_s3(gate, upstream):
    with S3Store("b", "p", S3Login(gate.endpoint, "a", "b")) as store:
        with pytest.raises(StoreError, match="is not XML"):
            store.list()
        with pytest.raises(StoreError, match="404"):
            store.read("missing")
        gate.set(GateMode.DENY)
        with pytest.raises(StoreError, match="403 AccessDenied") as told:
            store.read("k")
        assert told.value.denied
    with open_store("s3://b/p", gate.environment(store.environment)) as through:
        assert through.environment["S3_ENDPOINT"] == gate.endpoint
    assert upstream[1]
