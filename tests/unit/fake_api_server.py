"""An HTTPS server that knows nothing of Kubernetes: it records what arrives and answers as the path asks."""

import ssl
import threading
from base64 import b64encode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme
import yaml


@dataclass
class Arrived:
    method: str
    target: str
    headers: dict[str, str]
    certificate: bytes | None
    body: bytes = b""


@dataclass
class FakeApiServer:
    """Serves until `close`; what is asked of it lies in `arrived`, what it waits for in `go_on`."""

    arrived: list[Arrived] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)
    reading: threading.Event = field(default_factory=threading.Event)
    authority: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self):
        self.client = self.authority.issue_cert("client", common_name="client")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("127.0.0.1", "api.test").configure_cert(context)
        self.authority.configure_trust(context)
        context.verify_mode = ssl.CERT_OPTIONAL
        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self._server.told = self
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()

    def kubeconfig(self, user=None, **cluster):
        """A text as kind writes it; `user` and `cluster` change rows."""
        key = self.client.private_key_pem.bytes()
        chain = b"".join(blob.bytes() for blob in self.client.cert_chain_pems)
        told = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
            "clusters": [
                {"name": "other", "cluster": {"server": "https://192.0.2.1:6443"}},
                {
                    "name": "c",
                    "cluster": {
                        "server": f"https://{self.address}",
                        "certificate-authority-data": _base64(self.authority.cert_pem.bytes()),
                    }
                    | cluster,
                },
            ],
            "users": [
                {
                    "name": "u",
                    "user": user
                    if user is not None
                    else {"client-certificate-data": _base64(chain), "client-key-data": _base64(key)},
                }
            ],
        }
        return yaml.safe_dump(told, sort_keys=False)


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_):
        """Connections are cut here all the time."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        certificate = self.connection.getpeercert(binary_form=True)
        told = Arrived(self.command, self.path, dict(self.headers), certificate)
        self.server.told.arrived.append(told)
        told.body = self.body()
        path = self.path.partition("?")[0]
        getattr(self, f"tell_{path.rpartition('/')[2]}", self.plain)()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
            self.server.told.reading.set()
        self.rfile.readline()
        return b"".join(pieces)

    def begin(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def chunk(self, data, end=b"\r\n"):
        self.wfile.write(b"%x\r\n%s%s" % (len(data), data, end))
        self.wfile.flush()

    def plain(self):
        text = b'{"kind":"Status","answer":"s3cret-answer"}'
        self.begin(201 if self.command == "POST" else 200, Content_Length=str(len(text)), Warning='299 - "old"')
        self.wfile.write(text)

    def tell_conflict(self):
        self.begin(409, Content_Length="0")

    def tell_slowly(self):
        """The second half only when it is told to."""
        self.begin(200, Content_Length="10")
        self.wfile.write(b"first")
        self.wfile.flush()
        assert self.server.told.go_on.wait(30)
        self.wfile.write(b"secnd")

    def tell_streamed(self):
        self.begin(200, Transfer_Encoding="chunked")
        self.chunk(b'{"type":"ADDED"}\n')
        assert self.server.told.go_on.wait(30)
        self.chunk(b'{"type":"DELETED"}\n')
        self.chunk(b"")

    def tell_trailed(self):
        self.begin(200, Transfer_Encoding="chunked", Trailer="X-Sum")
        self.chunk(b"body")
        self.chunk(b"", b"X-Sum: 42\r\n\r\n")

    def tell_big(self):
        self.begin(200, Content_Length=str(64 << 20))
        for _ in range(64):
            self.wfile.write(b"x" * (1 << 20))

    def tell_dies(self):
        self.close_connection = True

    def tell_breaks(self):
        self.begin(200, Content_Length="100")
        self.wfile.write(b"half")
        self.close_connection = True

    def tell_exec(self):
        """What comes is said twice, until it is a farewell: then this side ends, and waits for the other."""
        self.begin(101, Connection="Upgrade", Upgrade=self.headers["Upgrade"])
        while (word := self.connection.recv(100)) not in (b"", b"bye"):
            self.wfile.write(word * 2)
            self.wfile.flush()
        if word:
            self.connection.unwrap()
        self.close_connection = True

    def log_message(self, *_):
        pass


def _base64(data):
    return b64encode(data).decode()
