"""The root file system of a node, and the files of the small images, from Debian packages."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.errors import MachineError
from harness.nodeimage.process import run
from harness.nodeimage.steps import FILES

_SUITE = "bookworm"
_PROXY = "Acquire::http::Proxy"


def mirror() -> str:
    """The mirror that this machine's own apt uses for Debian's main archive.

    Raises:
        MachineError: apt knows none.
    """
    lines = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(LABEL)", "Created-By: Packages"])
    for line in lines.splitlines():
        address, *rest = line.split()
        if rest == ["Debian", "Debian"]:
            return address.rstrip("/")
    raise MachineError(
        "apt knows no mirror of Debian's main archive here",
        mend="add one to /etc/apt/sources.list and run apt-get update",
    )


def make_root(folder: Path) -> None:
    """Make ``rootfs.tar`` of a node, ``base.tar`` and ``haproxy.tar`` of the small images, ``packages.txt``.

    Args:
        folder: empty; needs about 1.5 GB while it works.
    """
    root, source = folder / "root", mirror()
    packages = ",".join(_packages("BOOKWORM"))
    environment = _proxy_environment() | {"LC_ALL": "C"}
    run(
        ["debootstrap", "--variant=minbase", f"--include={packages}", _SUITE, str(root), source],
        extra=environment,
    )
    inside = root / "afterfault"
    shutil.copytree(FILES / "debian", inside)
    # a mount namespace of its own: what is mounted goes when the script ends, however it ends
    script = 'mount -t proc proc "$0/proc" && exec chroot "$0" /bin/bash /afterfault/furnish "$1"'
    run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, str(root), source],
        extra=environment,
    )
    for made in (inside / "out").iterdir():
        shutil.move(made, folder / made.name)
    shutil.rmtree(inside)
    run(["tar", "-C", str(root), "--numeric-owner", "--sort=name", "-cf", str(folder / "rootfs.tar"), "."])
    shutil.rmtree(root)


def _packages(name: str) -> list[str]:
    """The words of a list in ``files/debian/packages.sh``, which the script inside reads too."""
    return run(["bash", "-c", f'. "$0"; echo ${name}', str(FILES / "debian/packages.sh")]).split()


def _proxy_environment() -> dict[str, str]:
    said = run(["apt-config", "shell", "PROXY", _PROXY]).strip()
    address = said.partition("=")[2].strip("'\"")
    return {"http_proxy": address} if address else {}
