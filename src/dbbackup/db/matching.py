"""Names that a user gives, and names that a user is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import chain
from typing import TypeVar

from dbbackup.db.exceptions import DumpError

_SHOWN = 10

Found = TypeVar("Found")


def matches(wanted: Iterable[str], known: Mapping[Found, Sequence[str]], complaint: str) -> list[Found]:
    """Return what is meant: whatever has exactly this name, else whatever fits it as a pattern with * and ?.

    ``known`` has the names of each, of which a table has one with its schema and one without.
    """
    found: dict[Found, None] = {}
    unknown = []
    for name in wanted:
        fitting = [item for item, called in known.items() if name in called]
        pattern = name.replace("[", "[[]")
        fitting = fitting or [
            item for item, called in known.items() if any(fnmatchcase(one, pattern) for one in called)
        ]
        found |= dict.fromkeys(fitting)
        if not fitting:
            unknown.append(name)
    if unknown:
        names_of_all = sorted(set(chain.from_iterable(known.values())))
        near = dict.fromkeys(match for name in unknown for match in get_close_matches(name, names_of_all, n=3))
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise DumpError(f"{complaint} {' or '.join(map(repr, unknown))}.{hint}")
    return list(found)


def listed(objects: Sequence[str]) -> str:
    """Return names for people, the first few of many."""
    more = f" and {len(objects) - _SHOWN} more" if len(objects) > _SHOWN else ""
    return ", ".join(objects[:_SHOWN]) + more
