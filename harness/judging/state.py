"""The state of a cluster in a form that two clusters share where the same was done to them.

What is volatile is a matter of listed rules (`harness.judging.state_rules`); everything else counts:
every object of every resource the API serves, its status and its history included.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from harness.errors import UsageError
from harness.judging.differences import Change, changes
from harness.judging.state_rules import (
    CLOCKWORK,
    EXPIRING,
    FIELDS,
    HARNESS_MANAGERS,
    HISTORY,
    MANAGERS,
    PASSING,
    PLACE,
    Action,
    FieldRule,
)
from harness.judging.state_words import Listed, Words

_PASSING = frozenset(rule.resource for rule in PASSING)
_HISTORY = frozenset(tuple(path.split()) for path in HISTORY)
_MASK = "<...>"
_MOST_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class State:
    """A cluster's normalized state.

    Args:
        objects: by ID, ``resource namespace/name``, with placeholders for random names; objects that
            differ in nothing but a random name are numbered (``#2``).
        parents: of each object that has one, the ID of the one it comes and goes with: the object that
            controls it, or its namespace.
        unlisted: what could not be listed, by resource or API group, and why.
        key: under which Secrets were hashed.
    """

    objects: Mapping[str, Any] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)
    unlisted: Mapping[str, str] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """An object that both states have, and not alike.

    Args:
        id: the object's.
        fields: what differs, at least one.
    """

    id: str
    fields: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class StateDifference:
    """How a state differs from the reference.

    Args:
        missing: IDs only in the reference.
        extra: IDs only in the other.
        changed: what both have.
        unlisted: what could not be listed in the other, and could in the reference.
        parents: of all IDs, as `State` has them.
        other_key: whether Secrets were hashed under different keys, and so only their keys and sizes compared.
    """

    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    changed: tuple[Changed, ...] = ()
    unlisted: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)
    other_key: bool = False

    @property
    def is_none(self) -> bool:
        """Whether the states are the same."""
        return not (self.missing or self.extra or self.changed or self.unlisted)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of holding one ``probe.k8s.state`` entry against another.

    Args:
        difference: how the other differs from the reference.
        objects: how many each has: the reference, the other.
        unlisted: of the reference.
    """

    difference: StateDifference
    objects: tuple[int, int]
    unlisted: Mapping[str, str]


def comparison_of(reference: Mapping[str, Any], other: Mapping[str, Any]) -> Comparison:
    """How the state that an entry holds differs from the reference's; the same pair is compared once.

    Raises:
        UsageError: as `state_of`.
    """
    return _comparison_of(_key_of(reference), _key_of(other))


def state_of(seen: Mapping[str, Any]) -> State:
    """The state that a ``probe.k8s.state`` entry holds.

    Raises:
        UsageError: it was not packed as the probe packs it.
    """
    return _state_of(*_key_of(seen))


def normalize(
    objects: Mapping[str, Sequence[Mapping[str, Any]]],
    names: Mapping[str, str],
    *,
    unlisted: Mapping[str, str] | None = None,
    key: str = "",
) -> State:
    """What of a listing counts.

    Args:
        objects: by resource ID, as the API told them; values of Secrets as fingerprints.
        names: the run's own words, and what stands for each.
        unlisted, key: as `State` has them.
    """
    listed = [Listed(resource, raw) for resource, found in objects.items() for raw in found if resource not in _PASSING]
    words = Words(names, listed)
    listed = _without_clockwork(listed)
    alike: dict[str, list[tuple[str, Listed, Any]]] = {}
    for one in listed:
        form = _Form(one, words).of()
        alike.setdefault(words.id_of(one), []).append((_rank(one, form), one, form))
    forms: dict[str, Any] = {}
    parents: dict[str, str] = {}
    for base, siblings in sorted(alike.items()):
        for number, (_, one, form) in enumerate(sorted(siblings, key=lambda row: row[0]), start=1):
            name = base if number == 1 else f"{base} #{number}"
            forms[name] = form
            parent = words.owner_of(one) or (words.told(f"namespaces {one.namespace}") if one.namespace else "")
            parents |= {name: parent} if parent else {}
    return State(forms, parents, unlisted or {}, key)


def _without_clockwork(listed: Sequence[Listed]) -> list[Listed]:
    """Without the jobs that cron jobs made, and without their pods."""
    kind = CLOCKWORK
    made = {str(one.metadata.get("uid")) for one in listed if one.controller.get("kind") == kind}
    return [one for one in listed if one.controller.get("kind") != kind and one.controller.get("uid") not in made]


def compare(reference: State, other: State) -> StateDifference:
    """How `other` differs from `reference`; of what one of them could not list nothing is said but that."""
    same_key = reference.key == other.key
    blind = {*reference.unlisted, *other.unlisted}

    def only_in(one: State, another: State) -> Iterator[str]:
        return (name for name in one.objects if name not in another.objects and name.partition(" ")[0] not in blind)

    changed = []
    for name in reference.objects:
        if name in other.objects:
            fields = tuple(_fields(name, reference.objects[name], other.objects[name], same_key=same_key))
            changed += [Changed(name, fields)] if fields else []
    missing = [name for name in only_in(reference, other) if not any(fnmatchcase(name, end) for end in EXPIRING)]
    return StateDifference(
        tuple(missing),
        tuple(only_in(other, reference)),
        tuple(changed),
        {name: why for name, why in other.unlisted.items() if name not in reference.unlisted},
        {**reference.parents, **other.parents},
        not same_key,
    )


def _key_of(seen: Mapping[str, Any]) -> tuple[str, str, str]:
    """All that a state is made of."""
    try:
        failed = {**seen["failed"], **seen["groups_failed"]}
        unlisted = {name: f"{told['status']}: {told['text']}" for name, told in failed.items()}
        return str(seen["packed"]), json.dumps(unlisted), str(seen["key"])
    except (KeyError, TypeError) as error:
        raise _unreadable(error) from error


# A sweep is one reference and many others, and a run is judged more than once.
@lru_cache(maxsize=2)
def _state_of(packed: str, unlisted: str, key: str) -> State:
    try:
        body = json.loads(zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), _MOST_BYTES))
        return normalize(body["objects"], body["names"], unlisted=json.loads(unlisted), key=key)
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error) as error:
        raise _unreadable(error) from error


@lru_cache(maxsize=512)
def _comparison_of(reference: tuple[str, str, str], other: tuple[str, str, str]) -> Comparison:
    expected, found = _state_of(*reference), _state_of(*other)
    return Comparison(compare(expected, found), (len(expected.objects), len(found.objects)), expected.unlisted)


def _unreadable(error: Exception) -> UsageError:
    return UsageError(f"a state in the journal is not readable: {error!r}")


def _fields(name: str, was: Any, now: Any, *, same_key: bool) -> Iterator[Change]:
    ours = any(manager.startswith(HARNESS_MANAGERS) for form in (was, now) for manager in form["managers"])
    for change in changes(was, now):
        told_by_history = ours and any(change.steps[: len(path)] == path for path in _HISTORY)
        # under another key even the same bytes have another fingerprint; their number is after the comma
        told_by_key = not same_key and name.startswith("secrets ") and _size(change.was) == _size(change.now) != ""
        if not (told_by_history or told_by_key):
            yield change


def _size(fingerprint: Any) -> str:
    text = str(fingerprint)
    return text.partition(", ")[2] if text.startswith("hmac-sha256 ") else ""


def _rank(one: Listed, form: Any) -> str:
    """The order of siblings: the newest revision first, what is alike by what it is."""
    annotations = one.metadata.get("annotations") or {}
    revision = one.raw.get("revision") or annotations.get("deployment.kubernetes.io/revision") or 0
    return f"{10**9 - int(revision):010d}" + json.dumps(form, sort_keys=True)


@dataclass(frozen=True, slots=True)
class _Form:
    """One object in the making."""

    one: Listed
    words: Words

    def of(self) -> dict[str, Any]:
        """The object with placeholders, by all rules that cover it."""
        rules = [rule for rule in FIELDS if rule.covers(self.one.resource, self.one.full_name)]
        form: dict[str, Any] = self._ruled(self.one.raw, (), rules)
        passing = {rule.manager for rule in MANAGERS if rule.resource == self.one.resource}
        form["managers"] = dict.fromkeys(sorted(set(self._managers()) - passing), True)
        return form

    def _managers(self) -> Iterator[str]:
        for row in self.one.metadata.get("managedFields") or ():
            part = f" of {row['subresource']}" if row.get("subresource") else ""
            yield f"{self.words.told(row.get('manager', ''))} ({row.get('operation', '')}{part})"

    def _ruled(self, value: Any, path: tuple[str, ...], rules: Sequence[FieldRule]) -> Any:
        if isinstance(value, Mapping):
            told = ((name, self._field(inner, (*path, name), rules)) for name, inner in value.items())
            return {self.words.told(name): inner for name, inner in told if inner is not Action.DROP}
        if isinstance(value, list):
            return [self._ruled(inner, (*path, PLACE), rules) for inner in value]
        return self.words.told(value) if isinstance(value, str) else value

    def _field(self, value: Any, path: tuple[str, ...], rules: Sequence[FieldRule]) -> Any:
        action = next((rule.action for rule in rules if rule.matches(path)), None)
        if action is Action.DROP:
            return action
        chosen = action is Action.MASK_IF_CHOSEN and not self.one.was_asked_for(path[-1])
        if action is Action.MASK or chosen:
            return _MASK
        told = self._ruled(value, path, rules)
        if told == {} != value and len(path) > 1:
            return Action.DROP  # nothing was there but what was dropped
        if action is Action.SORT and isinstance(told, list):
            told.sort(key=_place_in_set)
        return told


def _place_in_set(row: Any) -> str:
    """By type first: a condition keeps its place when its status changes."""
    sort = row.get("type", "") if isinstance(row, Mapping) else ""
    return json.dumps([sort, row], sort_keys=True)
