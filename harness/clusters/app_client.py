"""The deployed app as a client reaches it: through the ingress, by plain HTTP and by TLS."""

from __future__ import annotations

import hashlib
import socket
import ssl
from dataclasses import dataclass

import httpx

from harness.clusters.tool_made import App

# What users give the app to keep is called that.
CANARY = "canary"
_SECONDS = 4.0
_SAID = 200
# Caddy's, and the stand-in's; the app itself says something, or 204.
_NOBODY = "(an empty 200, as an ingress gives where no route fits)"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Args:
        status: of HTTP; 0 when nothing did.
        content: the body.
        text: what went wrong, for people; empty for a good one.
    """

    status: int
    content: bytes = b""
    text: str = ""

    @property
    def good(self) -> bool:
        """Whether it was done."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class AppClient:
    """Asks once, never tries again; what is shown by TLS is not verified but told.

    A redirect to TLS is followed, as users' clients do: ingress controllers send plain HTTP there.

    Args:
        app: whom to ask.
    """

    app: App

    def get(self, path: str = "", *, tls: bool = False) -> Reply:
        """Read; a path without the first slash."""
        return self._ask("GET", path, None, tls=tls)

    def keep(self, name: str, content: bytes) -> Reply:
        """Give the app something to keep on its volume."""
        return self._ask("PUT", f"data/{name}", content, tls=False)

    def certificate(self) -> str:
        """SHA-256 of the certificate that is shown for the host, in hex; empty when there is no handshake."""
        context = _unverified()
        try:
            with (
                socket.create_connection(("127.0.0.1", self.app.https_port), _SECONDS) as bare,
                context.wrap_socket(bare, server_hostname=self.app.host) as wrapped,
            ):
                return hashlib.sha256(wrapped.getpeercert(binary_form=True) or b"").hexdigest()
        except OSError:
            return ""

    def _ask(self, verb: str, path: str, content: bytes | None, *, tls: bool) -> Reply:
        port, scheme = (self.app.https_port, "https") if tls else (self.app.http_port, "http")
        extensions = {"sni_hostname": self.app.host} if tls else {}
        try:
            with httpx.Client(verify=_unverified(), trust_env=False, timeout=_SECONDS) as client:
                answer = client.request(
                    verb,
                    f"{scheme}://127.0.0.1:{port}/{path}",
                    content=content,
                    headers={"Host": self.app.host},
                    extensions=extensions,
                )
        except httpx.HTTPError as error:
            return Reply(0, text=f"{type(error).__name__}: {error}"[:_SAID])
        led = answer.headers.get("location", "") if answer.is_redirect else ""
        if not tls and led.startswith(f"https://{self.app.host}/"):
            return self._ask(verb, path, content, tls=True)
        if answer.status_code == httpx.codes.OK and not answer.content:
            return Reply(0, text=_NOBODY)
        said = "" if answer.is_success else answer.text[:_SAID] or answer.reason_phrase
        return Reply(answer.status_code, answer.content, said)


def digest(content: bytes) -> str:
    """Sixteen hex digits, enough to tell whether bytes are the same."""
    return hashlib.sha256(content).hexdigest()[:16]


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
