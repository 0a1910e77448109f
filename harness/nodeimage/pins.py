"""What is built, to the version; the sums are in ``files/sums``, in Go's own form.

The first of each tuple is the default. To move a pin: change it here, and write its sums file as
docs/node-image.md shows. Whatever stands here is part of the hash in an image's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.errors import UsageError

KUBERNETES = ("1.34.4", "1.33.13")
ETCD = ("3.6.6", "3.5.21")
COREDNS = "1.12.4"
LOCAL_PATH = "0.0.30"
KIND = "0.30.0"
# The load balancer of kind 0.30, by the name kind asks the engine for.
LOAD_BALANCER = "kindest/haproxy:v20230606-42a2262b"
NODE_REPOSITORY = "afterfault/node"

# kubeadm of a minor speaks to the etcd of that time: 1.34 passes flags that 3.5 does not know.
_ETCD_OF_MINOR: Mapping[str, tuple[str, ...]] = MappingProxyType({"1.34": ("3.6.6",), "1.33": ("3.5.21", "3.6.6")})


@dataclass(frozen=True, slots=True)
class Pair:
    """What tells node images apart.

    Args:
        kubernetes: version without the v.
        etcd: version without the v.
    """

    kubernetes: str
    etcd: str

    def __str__(self) -> str:
        return f"Kubernetes {self.kubernetes} with etcd {self.etcd}"


def all_pairs() -> list[Pair]:
    """Every pair that can be built, the default first."""
    return [Pair(kubernetes, etcd) for kubernetes in KUBERNETES for etcd in _etcds(kubernetes)]


def choose_pair(kubernetes: str = "", etcd: str = "") -> Pair:
    """The pair asked for; what is left out becomes the first that fits.

    Raises:
        UsageError: not pinned; says which are.
    """
    for pair in all_pairs():
        if kubernetes in ("", pair.kubernetes) and etcd in ("", pair.etcd):
            return pair
    asked = " with ".join(
        f"{name} {version}" for name, version in (("Kubernetes", kubernetes), ("etcd", etcd)) if version
    )
    raise UsageError(f"{asked} is not pinned; these are: {'; '.join(map(str, all_pairs()))}")


def _etcds(kubernetes: str) -> tuple[str, ...]:
    return _ETCD_OF_MINOR[kubernetes.rpartition(".")[0]]
