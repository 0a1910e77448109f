"""Every resource an API server serves, and every object of each, found by asking it.

Source: Kubernetes API concepts (discovery at ``/api`` and ``/apis``; lists come in chunks with
``limit`` and ``continue``). Of a group only the version the server prefers is listed: the others
show the same stored objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from harness.clusters.etcd_client import CallFailed, CallUnknown
from harness.clusters.kube_api import Answer, KubeApi
from harness.errors import HarnessError

T = TypeVar("T")

_CHUNK = "500"
# Stored nowhere: the API server asks the components when it is listed.
_NOT_STORED = frozenset({"componentstatuses"})
_AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class Resource:
    """A sort of objects.

    Args:
        group: empty for the core group.
        version: preferred by the server.
        name: plural, as in paths.
        kind: as in objects.
        namespaced: whether its objects lie in namespaces.
        verbs: what may be done with it.
    """

    group: str
    version: str
    name: str
    kind: str
    namespaced: bool
    verbs: frozenset[str]

    @property
    def id(self) -> str:
        """``pods``, ``deployments.apps``."""
        return f"{self.name}.{self.group}" if self.group else self.name

    @property
    def api_version(self) -> str:
        """``v1``, ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "") -> str:
        """Of the collection, or of one object; without a namespace of all namespaces' objects."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        middle = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return f"{root}{middle}/{self.name}" + (f"/{name}" if name else "")


class Refusal(HarnessError):
    """An answer that was not what was asked for, or none at all.

    Args:
        status: of HTTP; 0 when there was no answer.
        text: the API's words.
    """

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text
        super().__init__(f"{status}: {text}")

    def to_json(self) -> dict[str, Any]:
        """As the journal keeps it."""
        return {"status": self.status, "text": self.text}


@dataclass(slots=True)
class Discovered:
    """What a server serves.

    Args:
        resources: all that can be listed, in a stable order.
        refusals: by group version, those that did not answer.
    """

    resources: list[Resource] = field(default_factory=list)
    refusals: dict[str, Refusal] = field(default_factory=dict)


@dataclass(slots=True)
class Listing:
    """Every object there is, by resource ID, and what could not be listed."""

    objects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    refusals: dict[str, Refusal] = field(default_factory=dict)


def ask(api: KubeApi, path: str, **query: str) -> Answer:
    """Read a path.

    Raises:
        Refusal: the answer is no good one, or there is none.
    """
    return demand(lambda: api.get(path, **query))


def demand(call: Callable[[], Answer]) -> Answer:
    """A call's answer, if it is a good one.

    Raises:
        Refusal: it is not, or there is none.
    """
    try:
        answer = call()
    except (CallFailed, CallUnknown) as error:
        raise Refusal(0, str(error)[:300]) from error
    if not answer.good:
        raise Refusal(answer.status, answer.text)
    return answer


def discover(api: KubeApi) -> Discovered:
    """All resources that can be listed.

    Raises:
        Refusal: the server does not even tell its groups.
    """
    groups = ask(api, "/apis").body.get("groups", [])
    paths = ["/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)]
    found = Discovered()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for path, told in zip(paths, pool.map(lambda path: _or_refusal(lambda: ask(api, path)), paths), strict=True):
            if isinstance(told, Refusal):
                found.refusals[path.removeprefix("/apis/").removeprefix("/api/")] = told
            else:
                found.resources += _resources(told.body)
    return found


def list_all(api: KubeApi, resources: Sequence[Resource]) -> Listing:
    """Every object of these resources, in all namespaces; a list that is refused is noted."""
    listing = Listing()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        lists = pool.map(lambda resource: _or_refusal(lambda: list_objects(api, resource.path())), resources)
        for resource, told in zip(resources, lists, strict=True):
            if isinstance(told, Refusal):
                listing.refusals[resource.id] = told
            else:
                listing.objects[resource.id] = told
    return listing


def list_objects(api: KubeApi, path: str, **query: str) -> list[dict[str, Any]]:
    """All objects of a collection, chunk by chunk.

    Raises:
        Refusal: a chunk was refused.
    """
    objects: list[dict[str, Any]] = []
    go_on: str | None = ""
    while go_on is not None:
        answer = ask(api, path, limit=_CHUNK, **({"continue": go_on} if go_on else {}), **query).body
        objects += answer.get("items") or []
        go_on = (answer.get("metadata") or {}).get("continue") or None
    return objects


def _or_refusal(call: Callable[[], T]) -> T | Refusal:
    try:
        return call()
    except Refusal as refusal:
        return refusal


def _resources(body: dict[str, Any]) -> Iterator[Resource]:
    group, _, version = body.get("groupVersion", "").rpartition("/")
    for row in body.get("resources", []):
        verbs = frozenset(row.get("verbs") or ())
        if "list" in verbs and "/" not in row["name"] and row["name"] not in _NOT_STORED:
            yield Resource(group, version, row["name"], row["kind"], bool(row["namespaced"]), verbs)
