"""The Docker engine, through the client that kind uses too."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence

from harness.errors import MachineError
from harness.nodeimage.archive import Image, write_archive
from harness.nodeimage.process import CommandError, run

ENGINE_MEND = "sudo scripts/docker-engine"
_ANSWER_SECONDS = 30.0


def engine_version() -> str:
    """The engine's version.

    Raises:
        MachineError: no client, or no engine answers.
    """
    if not shutil.which("docker"):
        raise MachineError("there is no Docker client on this machine", mend=ENGINE_MEND)
    try:
        return run(["docker", "version", "--format", "{{.Server.Version}}"], timeout_seconds=_ANSWER_SECONDS).strip()
    except CommandError as error:
        raise MachineError("no Docker engine answers", mend=ENGINE_MEND) from error


def labelled_images(label: str) -> list[tuple[str, dict[str, str]]]:
    """References and labels of the images that carry a label.

    Args:
        label: ``name`` or ``name=value``.
    """
    ids = run(["docker", "image", "ls", "--quiet", "--no-trunc", "--filter", f"label={label}"]).split()
    if not ids:
        return []
    found = json.loads(run(["docker", "image", "inspect", *dict.fromkeys(ids)]))
    return [(tag, image["Config"].get("Labels") or {}) for image in found for tag in image["RepoTags"] or []]


def image_labels(reference: str) -> dict[str, str] | None:
    """The labels of an image; None when the engine has no such image."""
    try:
        found = run(["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", reference])
    except CommandError:
        return None
    return json.loads(found) or {}


def image_present(reference: str) -> bool:
    """Whether the engine has an image."""
    return image_labels(reference) is not None


def remove_image(reference: str) -> None:
    """Take a name away; layers that another image shares stay."""
    run(["docker", "image", "rm", reference])


def image_size_mib(reference: str) -> int:
    """What an image takes, layers that it shares included."""
    return int(run(["docker", "image", "inspect", "--format", "{{.Size}}", reference])) // 2**20


def load(image: Image) -> None:
    """Put an image into the engine, without a copy on disk.

    Raises:
        CommandError: the engine refused it.
    """
    command = ["docker", "load", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdin is not None
        said: list[bytes] = []
        reader = threading.Thread(target=lambda: said.append(process.stdout.read() if process.stdout else b""))
        reader.start()
        try:
            with process.stdin as stream:
                write_archive(stream, [image])
        except BrokenPipeError:
            pass  # it ended early, and says why
        finally:
            reader.join()
    if process.returncode:
        raise CommandError(command, process.returncode, b"".join(said).decode(errors="replace"))


def run_privileged(
    name: str, reference: str, command: Sequence[str], volumes: Mapping[str, str], labels: Mapping[str, str]
) -> str:
    """Run a command in a container that is gone afterwards, whatever happens.

    Args:
        name: of the container.
        reference: its image.
        command: words.
        volumes: host folder to folder inside.
        labels: so that it can be told whose it is.
    """
    words = ["docker", "run", "--rm", "--name", name, "--privileged", "--network", "none", "--entrypoint", command[0]]
    for outside, inside in volumes.items():
        words += ["--volume", f"{outside}:{inside}"]
    for label, value in labels.items():
        words += ["--label", f"{label}={value}"]
    try:
        return run([*words, reference, *command[1:]])
    finally:
        run(["sh", "-c", 'docker rm --force --volumes "$0" 2>/dev/null || true', name])
