"""A difference between two states as a person wants to read it: missing, extra, changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.judging.observed import Flaw, listed
from harness.judging.state import Changed, StateDifference

_MOST_FIELDS = 24
_NAMED_FIELDS = 2


def told(difference: StateDifference) -> list[str]:
    """One line for each object, and for each field that changed one below, indented by four spaces.

    What came or went with its owner or its namespace is counted there and not told again.
    """
    lines = [f"can't be listed: {name} ({why})" for name, why in sorted(difference.unlisted.items())]
    lines += [f"missing: {name}" for name in _heads(difference.missing, difference.parents)]
    lines += [f"extra: {name}" for name in _heads(difference.extra, difference.parents)]
    for changed in _causes_first(difference):
        lines.append(f"changed: {changed.id}")
        lines += [f"    {field}" for field in changed.fields[:_MOST_FIELDS]]
        more = len(changed.fields) - _MOST_FIELDS
        lines += [f"    and {more} more fields"] if more > 0 else []
    if difference.other_key:
        lines.append("not compared: the bytes of Secrets, which were hashed under different keys")
    return lines


def flaws_of(difference: StateDifference) -> list[Flaw]:
    """What is wrong, the gravest first."""
    parents = difference.parents
    found = [
        ("resource-unlisted", "can't be listed", [f"{name} ({why})" for name, why in difference.unlisted.items()]),
        ("object-missing", "missing", _heads(difference.missing, parents)),
        ("object-changed", "changed", [_with_fields(changed) for changed in _causes_first(difference)]),
        ("object-extra", "extra", _heads(difference.extra, parents)),
    ]
    return [Flaw(signature, f"{word}: {listed(names)}") for signature, word, names in found if names]


def _heads(names: Sequence[str], parents: Mapping[str, str]) -> list[str]:
    """Those that did not come or go with another of them, each with the number of those that did with it."""
    gone = set(names)
    followers = dict.fromkeys(names, 0)
    for name in names:
        head, seen = name, {name}
        while parents.get(head) in gone and parents[head] not in seen:
            head = parents[head]
            seen.add(head)
        followers[head] += head != name
    heads = [name for name in names if parents.get(name) not in gone]
    return [f"{name} (and {followers[name]} with it)" if followers[name] else name for name in heads]


def _causes_first(difference: StateDifference) -> list[Changed]:
    """What somebody declared before what controllers made of it, and before what they report of it."""

    def is_effect(changed: Changed) -> bool:
        owner = difference.parents.get(changed.id, "")
        made = bool(owner) and not owner.startswith("namespaces ")
        reported = all(field.steps[0] in ("status", "managers") for field in changed.fields)
        return made or reported or changed.id.startswith("endpoints ")

    return sorted(difference.changed, key=is_effect)


def _with_fields(changed: Changed) -> str:
    paths = [field.path for field in changed.fields]
    more = f" and {len(paths) - _NAMED_FIELDS} more" if len(paths) > _NAMED_FIELDS else ""
    return f"{changed.id} ({', '.join(paths[:_NAMED_FIELDS])}{more})"
