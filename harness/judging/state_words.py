"""Placeholders for the words that each cluster has its own of: names, UIDs, addresses, moments.

The rules are those of `harness.judging.state_rules.WORDS`. A word is replaced by whose it is, so that
a reference to another object than in the reference state still shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Raw = Mapping[str, Any]

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_NAME = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)*")
_TOKEN_VOLUME = re.compile(r"\bkube-api-access-[bcdfghjklmnpqrstvwxz2456789]{5}\b")
_IMPORT = re.compile(r"\bimport-\d{4}-\d\d-\d\d(?=@sha256:)")
# The letters the API server and the controllers choose from (apimachinery's rand.String).
_RANDOM = re.compile(r"[bcdfghjklmnpqrstvwxz2456789]{5}")
# Whose owned objects get a name from their controller without saying so in `generateName`.
_NAMED_BY_OWNER = frozenset(
    {("replicasets.apps", "Deployment"), ("jobs.batch", "CronJob"), ("controllerrevisions.apps", "DaemonSet"),
     ("controllerrevisions.apps", "StatefulSet")}
)  # fmt: skip
_ENDED = ("Succeeded", "Failed")
# kubeadm puts them at fixed places: another address is a finding.
_FIXED = ("default/kubernetes", "kube-system/kube-dns")


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as it was listed.

    Args:
        resource: its ID, as ``deployments.apps``.
        raw: as the API told it.
    """

    resource: str
    raw: Raw

    @property
    def metadata(self) -> Raw:
        """The object's."""
        told: Raw = self.raw["metadata"]
        return told

    @property
    def name(self) -> str:
        """As the cluster has it."""
        return str(self.metadata["name"])

    @property
    def namespace(self) -> str:
        """Empty where there is none."""
        return str(self.metadata.get("namespace", ""))

    @property
    def full_name(self) -> str:
        """``namespace/name``, or the name alone."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def controller(self) -> Raw:
        """The reference to its controlling owner; empty where nobody controls it."""
        owners = self.metadata.get("ownerReferences") or ()
        return next((owner for owner in owners if owner.get("controller")), {})

    def was_asked_for(self, name: str) -> bool:
        """Whether somebody who wrote the object named this field, as opposed to the API server."""
        return f'"f:{name}"' in json.dumps(self.metadata.get("managedFields", ()))


@dataclass(slots=True)
class Words:
    """What to put in the place of a cluster's own words.

    Args:
        names: of the run, and what stands for them.
        objects: everything that was listed.
    """

    names: Mapping[str, str]
    objects: Sequence[Listed]
    _by_uid: dict[str, Listed] = field(default_factory=dict)
    _bases: dict[str, str] = field(default_factory=dict)
    _addresses: dict[str, str] = field(default_factory=dict)
    _random_names: dict[str, str] = field(default_factory=dict)
    _literal: re.Pattern[str] | None = None

    def __post_init__(self) -> None:
        """Learn all words before the first is replaced."""
        names = sorted((name for name in self.names if name), key=len, reverse=True)
        if names:
            listed = "|".join(map(re.escape, names))
            self._literal = re.compile(f"(?<![A-Za-z0-9])(?:{listed})(?![A-Za-z0-9])")
        self._by_uid = {str(one.metadata["uid"]): one for one in self.objects if "uid" in one.metadata}
        for one in self.objects:
            base = self._base_name(one)
            if base.endswith("*") and base != one.name:
                self._random_names[one.name] = base
        # nodes last: a pod in the node's own network has the node's address
        for wanted in ("pods", "services", "nodes"):
            for one in self.objects:
                if one.resource == wanted:
                    placeholder = f"<address of {self.id_of(one)}>"
                    self._addresses |= dict.fromkeys(_addresses_of(one), placeholder)

    def id_of(self, one: Listed) -> str:
        """``resource namespace/name`` with placeholders; siblings with random names share one."""
        namespace = f"{self._plain(one.namespace)}/" if one.namespace else ""
        return f"{one.resource} {namespace}{self._placed(self._base_name(one))}"

    def owner_of(self, one: Listed) -> str:
        """ID of the object that controls this one; empty where there is none, or it is gone."""
        owner = self._by_uid.get(str(one.controller.get("uid", "")))
        return self.id_of(owner) if owner else ""

    def told(self, text: str) -> str:
        """The same text with placeholders; random names first, for a name of the run may be a part of one."""
        text = _NAME.sub(lambda found: self._random_names.get(found[0], found[0]), text)
        text = _TOKEN_VOLUME.sub("kube-api-access-*", _MOMENT.sub("<moment>", self._plain(text)))
        return self._placed(_IMPORT.sub("import-<date>", text))

    def _placed(self, text: str) -> str:
        return _ADDRESS.sub(lambda found: self._addresses.get(found[0], found[0]), text)

    def _plain(self, text: str) -> str:
        """Without the names of the run and without UIDs."""
        if self._literal is not None:
            text = self._literal.sub(lambda found: self.names[found[0]], text)
        return _UID.sub(self._whose_uid, text)

    def _whose_uid(self, found: re.Match[str]) -> str:
        owner = self._by_uid.get(found[0])
        # a UID of nobody's is a reference to what is gone: it stays, and so it differs
        return f"<uid of {self.id_of(owner)}>" if owner else found[0]

    def _base_name(self, one: Listed) -> str:
        """The object's name with ``*`` for what its controller chose at random."""
        key = f"{one.resource} {one.full_name}"
        if key not in self._bases:
            self._bases[key] = one.name  # so that nothing can go round in circles
            self._bases[key] = self._learn_base_name(one)
        return self._bases[key]

    def _learn_base_name(self, one: Listed) -> str:
        owner = self._by_uid.get(str(one.controller.get("uid", "")))
        stem = str(one.metadata.get("generateName", ""))
        generated = bool(stem) and one.name.startswith(stem) and bool(_RANDOM.fullmatch(one.name[len(stem) :]))
        if owner is not None and (generated or (one.resource, one.controller["kind"]) in _NAMED_BY_OWNER):
            return f"{self._base_name(owner)}-*"
        return f"{self._plain(stem)}*" if generated and not one.controller else self._plain(one.name)


def _addresses_of(one: Listed) -> list[str]:
    spec, status = one.raw.get("spec") or {}, one.raw.get("status") or {}
    if one.resource == "nodes":
        return [row["address"] for row in status.get("addresses", ()) if row["type"] == "InternalIP"]
    if one.resource == "pods" and status.get("phase") in _ENDED:
        return []  # another pod may have it by now
    if one.resource == "pods":
        return [row["ip"] for row in status.get("podIPs") or ()]
    if one.full_name in _FIXED or one.was_asked_for("clusterIP"):
        return []
    return [address for address in spec.get("clusterIPs") or () if address != "None"]
