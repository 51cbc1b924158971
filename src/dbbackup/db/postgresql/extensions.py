"""The extensions that a dump takes, and the SQL by which somebody else makes them and takes them away again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dbbackup.db.postgresql.entries import Entry
from dbbackup.db.postgresql.facts import Target
from dbbackup.db.postgresql.names import quote_name, unquoted
from dbbackup.db.postgresql.selection import missing_extensions

_SCHEMA = re.compile(r" WITH SCHEMA (\"(?:[^\"]|\"\")+\"|\w+);")


@dataclass(frozen=True)
class Step:
    """Something to make before a restore, and how to undo it when the restore fails."""

    do: str
    undo: str


def steps(entries: Sequence[Entry], required: Iterable[str], target: Target) -> Iterator[Step]:
    """Yield what an admin does so that a database has the extensions of a dump, and those ``required`` beside."""
    made = set(target.schemas)
    for entry in missing_extensions(entries, target):
        schema = _schema(entry)
        if schema and schema not in made and not schema.startswith("pg_"):
            made.add(schema)
            owner = _owner(schema, entries, target)
            yield Step(
                f"CREATE SCHEMA {quote_name(schema)} AUTHORIZATION {quote_name(owner)}",
                f"DROP SCHEMA IF EXISTS {quote_name(schema)}",
            )
        yield _make(entry.name, entry.definition)
    for name in missing_beside(entries, required):
        if name not in target.extensions:
            yield _make(name)


def missing_beside(entries: Iterable[Entry], required: Iterable[str]) -> list[str]:
    """Return the extensions that are required but which the dump does not make itself, maybe in another schema."""
    dumped = {entry.name for entry in entries if entry.kind == "EXTENSION"}
    return [name for name in required if name not in dumped]


def _make(name: str, definition: str = "") -> Step:
    return Step(
        definition or f"CREATE EXTENSION IF NOT EXISTS {quote_name(name)}",
        f"DROP EXTENSION IF EXISTS {quote_name(name)}",
    )


def _schema(extension: Entry) -> str:
    found = _SCHEMA.search(extension.definition)
    return unquoted(found[1]) if found else ""


def _owner(schema: str, entries: Iterable[Entry], target: Target) -> str:
    """Return who shall own a schema: whom the dump names, if that can be, else the role of the restore."""
    owners = [entry.owner for entry in entries if entry.kind == "SCHEMA" and entry.name == schema]
    return next((owner for owner in owners if owner in target.roles), target.role)
