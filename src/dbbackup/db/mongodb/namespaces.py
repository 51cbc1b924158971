"""What databases hold in MongoDB: collections, views and time series, each with its options and indexes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BUCKETS = "system.buckets."
"""Before the name of a time series, of the collection that holds its rows."""
FUNCTIONS = "system.js"
"""The collection of the server's own that is anybody's to write: it cannot be dropped, only emptied."""
USERS = "$admin.system."
"""Before the names of what mongodump --dumpDbUsersAndRoles adds to a database."""
_NUMBERS = {"$numberInt": int, "$numberLong": int, "$numberDouble": float}
# Where an index is, and in which version of the server's own format, is not the index.
_NOT_THE_INDEX = frozenset({"ns", "v"})

Name = tuple[str, str]
"""A database and a collection."""


@dataclass(frozen=True)
class Namespace:
    """A collection, a view or a time series."""

    kind: str
    """As "collection", "view" and "timeseries"."""
    uuid: str = ""
    """Of the collection on the server, in hexadecimal, if the server has such."""
    options: Mapping[str, Any] = field(default_factory=dict)
    indexes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Each by its name."""

    @classmethod
    def from_metadata(cls, kind: str, text: str) -> Namespace:
        """Return what the metadata of an archive describe, in Extended JSON; ValueError if they are damaged."""
        try:
            metadata = plain(json.loads(text or "{}"))
            indexes = {str(index["name"]): _index(index) for index in metadata.get("indexes") or []}
            return cls(kind, str(metadata.get("uuid") or ""), dict(metadata.get("options") or {}), indexes)
        except (KeyError, TypeError, AttributeError, RecursionError) as exc:
            raise ValueError(f"these are no metadata of a collection: {exc!r}") from exc

    @property
    def keys(self) -> dict[str, list[tuple[str, Any]]]:
        """Return the keys of each index in their order, by the name of the index."""
        return {name: list(index["key"].items()) for name, index in self.indexes.items()}

    @property
    def expires(self) -> bool:
        """Return whether the server removes documents by itself when they are old."""
        return any("expireAfterSeconds" in one for one in (self.options, *self.indexes.values()))


def shown(name: Name) -> str:
    """Return a name for people."""
    return ".".join(filter(None, name))


def plain(value: Any) -> Any:
    """Return Extended JSON, as parsed by json, with its numbers as numbers."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, inner),) = value.items()
        if key in _NUMBERS and isinstance(inner, str):
            return _NUMBERS[key](inner)
    return {key: plain(inner) for key, inner in value.items()}


def _index(found: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(found["key"], dict):
        raise TypeError("the key of an index is none")
    return {name: value for name, value in found.items() if name not in _NOT_THE_INDEX}
