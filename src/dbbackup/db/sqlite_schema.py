"""What is in a SQLite database: its objects, and names as SQL writes them."""

# ruff: noqa: S608 (every name and text that comes into SQL here is quoted)

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from dbbackup.exceptions import ConfigurationError

TABLE_LIST_VERSION = (3, 37, 0)
"""Since this version ``PRAGMA table_list`` tells which tables are the shadows of a virtual one."""
_UPPER_TO_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


@dataclass(frozen=True)
class SchemaObject:
    """A row of sqlite_master that has SQL: a table, index, trigger or view."""

    kind: str
    """"table", "virtual", "shadow", "index", "trigger" or "view"."""
    name: str
    table: str
    """The table that an index, trigger or shadow belongs to; for others their own name."""
    sql: str

    @property
    def key(self) -> tuple[bool, str]:
        """Return what tells objects apart: triggers have names of their own, all others share theirs."""
        return self.kind == "trigger", fold(self.name)

    @property
    def drop_sql(self) -> str:
        """Return the statement that removes the object, if it is still there."""
        kind = self.kind if self.kind in {"index", "trigger", "view"} else "table"
        return f"DROP {kind.upper()} IF EXISTS {quoted(self.name)}"


def schema_objects(connection: sqlite3.Connection) -> list[SchemaObject]:
    """Return all that was made by CREATE, in the order in which it was made."""
    rows = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master "
        "WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
    ).fetchall()
    shadows: set[str] = set()
    if sqlite3.sqlite_version_info >= TABLE_LIST_VERSION:
        listed = connection.execute("PRAGMA main.table_list").fetchall()
        shadows = {name for _, name, kind, *_ in listed if kind == "shadow"}
    virtual = [name for _, name, _, sql in rows if _is_virtual(sql)]
    return [
        SchemaObject("shadow", name, _owner(name, virtual), sql)
        if name in shadows
        else SchemaObject("virtual" if _is_virtual(sql) else kind, name, table, sql)
        for kind, name, table, sql in rows
    ]


def _is_virtual(sql: str) -> bool:
    return sql[:20].upper() == "CREATE VIRTUAL TABLE"


def _owner(shadow: str, virtual: Iterable[str]) -> str:
    """Return the virtual table that a shadow belongs to: that of the longest name before a "_"."""
    owners = [name for name in virtual if fold(shadow).startswith(fold(name) + "_")]
    return max(owners, key=len, default=shadow)


def find_tables(objects: Iterable[SchemaObject], names: Iterable[str], where: str) -> list[SchemaObject]:
    """Return the tables of these names, in any case of letters.

    Raise ConfigurationError for a name that no table has, with those that come near.
    """
    tables = {fold(item.name): item for item in objects if item.kind in {"table", "virtual"}}
    found = []
    for name in dict.fromkeys(names):
        if fold(name) not in tables:
            near = get_close_matches(fold(name), tables, n=3)
            hint = f" Did you mean {' or '.join(tables[key].name for key in near)}?" if near else ""
            raise ConfigurationError(f"{where} names the table {name!r}, which does not exist.{hint}")
        found.append(tables[fold(name)])
    return found


def table_counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the number of rows of each ordinary table."""
    return {
        item.name: connection.execute(f"SELECT count(*) FROM {quoted(item.name)}").fetchone()[0]
        for item in schema_objects(connection)
        if item.kind == "table"
    }


def quoted(name: str) -> str:
    """Return a name as SQL, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def fold(name: str) -> str:
    """Return the name in the case that SQLite compares it in, which knows A to Z only."""
    return name.translate(_UPPER_TO_LOWER)
