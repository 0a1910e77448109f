"""Image archives as both ``docker load`` and ``ctr images import`` read them; the same bytes for the same content."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or link of a layer.

    Args:
        path: in the image, without a leading slash.
        source: a file to take, or the content itself.
        link: where a symbolic link points; then there is no source.
        mode: permission bits.
    """

    path: str
    source: Path | bytes = b""
    link: str = ""
    mode: int = 0o644


@dataclass(frozen=True)
class Image:
    """An image to be written.

    Args:
        names: references it gets.
        layers: tar files, the lowest first.
        config: the ``config`` part of the image configuration (Env, Entrypoint, Labels, ...).
    """

    names: tuple[str, ...]
    layers: tuple[Path, ...]
    config: Mapping[str, object] = field(default_factory=dict)


def write_layer(path: Path, entries: Iterable[Entry]) -> Path:
    """Write a layer with its folders, owned by root and without times."""
    made: set[str] = set()
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as layer:
        for entry in sorted(entries, key=lambda entry: entry.path):
            for parent in reversed(PurePosixPath(entry.path).parents[:-1]):
                if str(parent) not in made:
                    layer.addfile(_info(str(parent), tarfile.DIRTYPE, 0o755))
                    made.add(str(parent))
            _add(layer, entry)
    return path


def write_archive(out: IO[bytes], images: Sequence[Image]) -> None:
    """Write images to a stream; a layer that several share is written once."""
    digests = {layer: _sha256(layer) for image in images for layer in image.layers}
    manifest = []
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for digest, layer in {digest: layer for layer, digest in digests.items()}.items():
            _add(archive, Entry(f"{digest}/layer.tar", layer))
        for image in images:
            config = configuration(image, [digests[layer] for layer in image.layers])
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add(archive, Entry(name, config))
            layers = [f"{digests[layer]}/layer.tar" for layer in image.layers]
            manifest.append({"Config": name, "RepoTags": list(image.names), "Layers": layers})
        _add(archive, Entry("manifest.json", json.dumps(manifest).encode()))


def configuration(image: Image, digests: Sequence[str]) -> bytes:
    """The image configuration as stored; its digest is the image's id."""
    text = {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": dict(image.config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "afterfault images build"} for _ in digests],
    }
    return json.dumps(text, sort_keys=True).encode()


def _add(archive: tarfile.TarFile, entry: Entry) -> None:
    info = _info(entry.path, tarfile.SYMTYPE if entry.link else tarfile.REGTYPE, entry.mode)
    if entry.link:
        info.linkname, info.mode = entry.link, 0o777
        archive.addfile(info)
    elif isinstance(entry.source, bytes):
        info.size = len(entry.source)
        archive.addfile(info, io.BytesIO(entry.source))
    else:
        info.size = entry.source.stat().st_size
        with entry.source.open("rb") as source:
            archive.addfile(info, source)


def _info(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type, info.mode = kind, mode
    return info


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
