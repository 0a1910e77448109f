"""A mirror from which nodes pull, where no image registry is reachable: it answers with images of the engine.

An image that is pulled by ``imagePullPolicy: Always`` is asked for in a registry each time, even when the
node has it. The mirror is the little of the OCI distribution protocol that a pull needs (manifests and
blobs by GET and HEAD), served to the run's own Docker network; containerd in the node is led to it for
every registry by ``certs.d/_default/hosts.toml``. What it is asked for is the engine's image of that very
name, or else the stand-in for it.

It is a process of its own, owned by the run: with ``--keep`` pods can go on pulling when pytest has ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

import docker.errors
import requests.exceptions
from docker import DockerClient

from harness.clusters.engine import connect
from harness.clusters.ownership import Ownership
from harness.errors import HarnessError, MachineError
from harness.tools.laconic_images import stand_in
from harness.waiting import until

_OCI = "application/vnd.oci.image"
_MANIFEST = f"{_OCI}.manifest.v1+json"
_START_SECONDS = 20.0
_GZIP = b"\x1f\x8b"
_DIGEST = "sha256:"
_TROUBLE = (docker.errors.DockerException, requests.exceptions.RequestException)


@dataclass(frozen=True, slots=True)
class ImageMirror:
    """A running mirror.

    Args:
        url: where nodes reach it.
        certs: for the node's ``/etc/containerd/certs.d``.
        log: one line of JSON for each image asked for: ``asked``, ``served`` (empty: refused).
        process: that serves.
    """

    url: str
    certs: Path
    log: Path
    process: subprocess.Popen[bytes]

    def close(self) -> None:
        """End it; pods that are started anew can't pull from now on. Left out with ``--keep``."""
        self.process.kill()
        self.process.wait()


def start_mirror(ownership: Ownership, folder: Path, images: Mapping[str, str]) -> ImageMirror:
    """Start a mirror on the run's network; it ends with the run, or by `ImageMirror.close`.

    Args:
        ownership: of the run, which has made its network or does so now.
        folder: gets what is served, the log and the configuration for nodes.
        images: references the engine has, by the names that `stand_in` gives.

    Raises:
        MachineError: it does not come up; most often because the engine is on another machine.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True)
    address = _gateway(ownership)
    ready, log = folder / "port", folder / "asked.jsonl"
    with (folder / "mirror.log").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, address, ownership.lease.engine, str(folder), json.dumps(dict(images))],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
            env=ownership.environment(), cwd=str(Path(__file__).parents[2]),
        )  # fmt: skip
    until(
        lambda: ready.exists() or process.poll() is not None,
        what="the image mirror to listen",
        deadline_seconds=_START_SECONDS,
    )
    if not ready.exists():
        raise MachineError(
            f"no image mirror can listen on {address}: {(folder / 'mirror.log').read_text()[-300:]}",
            mend="use an engine of this machine, or images from a registry",
        )
    url = f"http://{address}:{ready.read_text()}"
    return ImageMirror(url, write_certs(folder / "certs.d", url), log, process)


def write_certs(folder: Path, url: str) -> Path:
    """Containerd's configuration that leads every pull to one address; returns the folder."""
    (folder / "_default").mkdir(parents=True)
    (folder / "_default" / "hosts.toml").write_text(
        f'server = "{url}"\n\n[host."{url}"]\n  capabilities = ["pull", "resolve"]\n'
    )
    return folder


class Shelf:
    """Images of the engine, laid out as blobs.

    Args:
        client: of the engine.
        folder: gets ``blobs``, by digest, and the log.
        images: as `start_mirror` has them.
    """

    def __init__(self, client: DockerClient, folder: Path, images: Mapping[str, str]) -> None:
        self._images = images
        self._client, self._blobs, self._log = client, folder / "blobs", folder / "asked.jsonl"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, str] = {}
        self._lock = threading.Lock()

    def blob(self, digest: str) -> Path | None:
        """The file with that digest, if it is here."""
        file = self._blobs / digest.removeprefix(_DIGEST)
        return file if file.parent == self._blobs and file.is_file() else None

    def manifest(self, registry: str, name: str, tag: str) -> str | None:
        """Digest of the manifest of the image that is asked for, or of its stand-in; None when there is neither."""
        with self._lock:  # the same layer may be asked for twice at once
            found = self._find(registry, name, tag)
            asked = f"{registry}/{name}:{tag}"
            with self._log.open("a") as log:
                log.write(json.dumps({"asked": asked, "served": found[0] if found else ""}) + "\n")
            if found is None:
                return None
            reference, image = found
            if image not in self._known:
                self._known[image] = self._lay_out(reference)
            return self._known[image]

    def _find(self, registry: str, name: str, tag: str) -> tuple[str, str] | None:
        plain = f"{name.removeprefix('library/')}:{tag}"
        for reference in (f"{registry}/{name}:{tag}", plain, self._images.get(stand_in(plain) or "", "")):
            with contextlib.suppress(docker.errors.ImageNotFound, docker.errors.NullResource):
                return reference, str(self._client.images.get(reference).id)
        return None

    def _lay_out(self, reference: str) -> str:
        """Write an image's blobs and its manifest; returns the manifest's digest."""
        saved = self._blobs / "saving.tar"
        try:
            with saved.open("wb") as sink:
                for chunk in self._client.api.get_image(reference):
                    sink.write(chunk)
            with tarfile.open(saved) as archive:
                described = json.load(_member(archive, "manifest.json"))[0]
                config = self._put(_member(archive, described["Config"]))
                layers = [self._put(_member(archive, path)) for path in described["Layers"]]
        finally:
            saved.unlink(missing_ok=True)
        content = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": {"mediaType": f"{_OCI}.config.v1+json", **config},
                "layers": [{"mediaType": self._layer_type(layer["digest"]), **layer} for layer in layers],
            }
        ).encode()
        digest = hashlib.sha256(content).hexdigest()
        (self._blobs / digest).write_bytes(content)
        return _DIGEST + digest

    def _put(self, source: BinaryIO) -> dict[str, Any]:
        unfinished = self._blobs / "unfinished"
        digest = hashlib.sha256()
        with unfinished.open("wb") as sink:
            while chunk := source.read(1 << 20):
                digest.update(chunk)
                sink.write(chunk)
        file = unfinished.replace(self._blobs / digest.hexdigest())
        return {"digest": _DIGEST + digest.hexdigest(), "size": file.stat().st_size}

    def _layer_type(self, digest: str) -> str:
        with (self._blobs / digest.removeprefix(_DIGEST)).open("rb") as file:
            return f"{_OCI}.layer.v1.tar" + ("+gzip" if file.read(2) == _GZIP else "")


class _Handler(BaseHTTPRequestHandler):
    """``/v2/``, ``/v2/NAME/manifests/TAG-OR-DIGEST`` and ``/v2/NAME/blobs/DIGEST``; ``ns`` names the registry."""

    shelf: Shelf
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *words: Any) -> None:  # noqa: A002 - the name is given
        """Said in the shelf's log, by image."""

    def _answer(self, *, with_body: bool) -> None:
        try:
            file, headers = self._find()
        except _TROUBLE as error:
            self.send_error(HTTPStatus.BAD_GATEWAY, str(error).splitlines()[0][:200])
            return
        if file is None:
            self._end(HTTPStatus.NOT_FOUND, {"Content-Length": "0"})
            return
        self._end(HTTPStatus.OK, {"Content-Length": str(file.stat().st_size), **headers})
        if with_body:
            with file.open("rb") as source:
                shutil.copyfileobj(source, self.wfile)

    def _find(self) -> tuple[Path | None, Mapping[str, str]]:
        place = urlsplit(self.path)
        if place.path in ("/v2", "/v2/"):
            return Path("/dev/null"), {}
        name, _, last = place.path.removeprefix("/v2/").rpartition("/")
        name, _, sort = name.rpartition("/")
        digest: str | None = last
        if sort == "manifests" and not last.startswith(_DIGEST):
            registry = parse_qs(place.query).get("ns", [""])[0]
            digest = self.shelf.manifest(registry, name, last)
        if sort not in ("manifests", "blobs") or digest is None:
            return None, {}
        kind = _MANIFEST if sort == "manifests" else "application/octet-stream"
        return self.shelf.blob(digest), {"Content-Type": kind, "Docker-Content-Digest": digest}

    def _end(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def serve(shelf: Shelf, address: str) -> ThreadingHTTPServer:
    """A server of a shelf on a free port; not running yet.

    Raises:
        OSError: nothing can listen there.
    """
    return ThreadingHTTPServer((address, 0), type("Handler", (_Handler,), {"shelf": shelf}))


def _gateway(ownership: Ownership) -> str:
    network = ownership.network()
    with contextlib.closing(connect(ownership.lease.engine)) as client:
        try:
            pools = client.api.inspect_network(network)["IPAM"]["Config"]
        except _TROUBLE as error:
            raise MachineError(f"the network {network} can't be read: {error}") from error
    # an engine that was told only the subnet gives itself the first address, and writes it down or not
    return str(pools[0].get("Gateway") or next(ip_network(pools[0]["Subnet"]).hosts()))


def _member(archive: tarfile.TarFile, name: str) -> BinaryIO:
    member = archive.extractfile(name)
    if member is None:
        raise HarnessError(f"the engine saved an image without {name}")
    return member  # type: ignore[return-value]


def _main(address: str, engine: str, folder: str, images: str) -> int:
    with contextlib.closing(connect(engine)) as client:
        server = serve(Shelf(client, Path(folder), json.loads(images)), address)
        unfinished = Path(folder) / "port.unfinished"
        unfinished.write_text(str(server.server_address[1]))
        unfinished.replace(Path(folder) / "port")
        server.serve_forever()
    return 0


if __name__ == "__main__":
    raise SystemExit(_main(*sys.argv[1:]))
