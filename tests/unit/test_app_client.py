"""The deployed app as its users ask for it: redirects to TLS are followed, and nobody's answer is not the app's."""

import contextlib
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme

from harness.clusters.app_client import AppClient
from harness.clusters.tool_made import App

HOST = "app.test"


@contextlib.contextmanager
def serving(answer, context=None):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = answer(self)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_PUT(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def tls():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert(HOST).configure_cert(context)
    return context


def client(http, https=1):
    return AppClient(App("shop", HOST, http, https, ("shop", "app-tls")))


def moved(location):
    return lambda _: (308, {"Location": location}, b"gone")


def app(request):
    return (204, {}, b"") if request.command == "PUT" else (200, {}, b"the app\n" + request.headers["Host"].encode())


@pytest.mark.parametrize("verb", ["get", "keep"])
def test_a_redirect_to_tls_is_followed_to_the_port_that_is_mapped(tls, verb):
    with serving(app, tls) as https, serving(moved(f"https://{HOST}/data/x")) as http:
        users = client(http, https)
        reply = users.get() if verb == "get" else users.keep("x", b"\0")
    assert (reply.good, reply.text) == (True, "")
    assert reply.content == (b"the app\n" + HOST.encode() if verb == "get" else b"")


@pytest.mark.parametrize("location", ["https://elsewhere.test/", f"https://{HOST}.evil.test/", "/login", ""])
def test_no_other_redirect_is_followed(location):
    with serving(moved(location)) as http:
        reply = client(http).get()
    assert (reply.status, reply.good, reply.text) == (308, False, "gone")


def test_a_redirect_to_tls_that_does_not_answer_is_no_answer():
    with serving(moved(f"https://{HOST}/")) as http:
        reply = client(http, https=1).get()
    assert (reply.status, reply.text.partition(":")[0]) == (0, "ConnectError")


def test_the_empty_200_of_an_ingress_without_a_route_is_no_answer_of_the_app():
    with serving(lambda _: (200, {}, b"")) as http:
        assert not client(http).keep("canary", b"x").good
        reply = client(http).get()
    assert (reply.status, reply.good) == (0, False)
    assert "no route fits" in reply.text
