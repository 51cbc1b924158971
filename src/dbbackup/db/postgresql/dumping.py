"""Before a dump: which pg_dump, which tables without their rows, and whether it can succeed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dbbackup.db.exceptions import DumpError
from dbbackup.db.matching import listed, matches
from dbbackup.db.postgresql.facts import FILES, SOURCE, TABLES, Name, names, written
from dbbackup.db.postgresql.names import quote_name
from dbbackup.db.postgresql.session import Session
from dbbackup.db.postgresql.tools import Tool, find_tool, package_of


@dataclass(frozen=True)
class DumpPlan:
    """What a dump of a database takes."""

    tool: Tool
    server: str
    schemas: tuple[str, ...]
    without_rows: tuple[Name, ...]
    warnings: tuple[str, ...]
    unicode: bool
    """Whether the database's texts can be written in UTF-8."""

    def selection(self) -> list[str]:
        """Return the arguments that choose schemas and leave out rows; each name is quoted, so it is no pattern."""
        chosen = [f"--schema={quote_name(schema)}" for schema in self.schemas]
        tables = [f"{quote_name(schema)}.{quote_name(name)}" for schema, name in self.without_rows]
        return chosen + [f"--exclude-table-data={table}" for table in tables]


def plan_dump(session: Session, alias: str, *, given: str, schemas: Sequence[str], exclude: Sequence[str]) -> DumpPlan:
    """Ask the server and return the plan; raise an error that names every reason why a dump would fail."""
    said = session.ask({**SOURCE, **(TABLES if exclude else {})})
    tool = _tool(session, said, given)
    chosen = tuple(matches(schemas, {name: [name] for name in said["schemas"]}, f"database {alias!r} has no schema"))
    without_rows = _without_rows(alias, said, exclude) if exclude else ()
    if problems := _problems(said, chosen, without_rows):
        raise DumpError(f"Cannot dump database {alias!r} as {said['role']}: {'; '.join(problems)}.")
    warnings = _references(said, chosen, without_rows) if exclude else []
    return DumpPlan(
        tool=tool,
        server=said["version"],
        schemas=chosen,
        without_rows=without_rows,
        warnings=tuple(warnings),
        unicode=said["unicode"],
    )


def _tool(session: Session, said: Mapping[str, Any], given: str) -> Tool:
    major = said["number"] // 10_000
    tool = find_tool("pg_dump", given, wanted=major, path=session.path)
    if tool.major < major:
        raise DumpError(
            f"The server is PostgreSQL {said['version']}, and pg_dump is {tool}: it cannot dump a server newer than "
            f"itself. Install {package_of('pg_dump', major)}, or name a newer one in DUMP_CMD."
        )
    return tool


def _problems(said: Mapping[str, Any], schemas: Sequence[str], without_rows: Iterable[Name]) -> list[str]:
    def wanted(found: Iterable[Name]) -> list[str]:
        return [written(name) for name in found if not schemas or name[0] in schemas]

    hidden = [name for name in said["hidden_schemas"] if not schemas or name in schemas]
    unreadable = wanted(names(said["unreadable"] + said["unreadable_sequences"]))
    # The rows of these are not read, so no policy can hide any.
    covered = wanted(name for name in names(said["row_security"]) if name not in without_rows)
    found = [
        ("no USAGE on schema", hidden, "GRANT USAGE ON SCHEMA"),
        ("no SELECT on", unreadable, "GRANT SELECT, also by ALTER DEFAULT PRIVILEGES for what is made later"),
        ("row-level security would hide rows of", covered, "use a role with BYPASSRLS, or name them in EXCLUDE"),
    ]
    return [f"{problem} {listed(objects)} ({cure})" for problem, objects, cure in found if objects]


def _without_rows(alias: str, said: Mapping[str, Any], exclude: Sequence[str]) -> tuple[Name, ...]:
    """Return the tables that EXCLUDE names, with the partitions that hold their rows."""
    tables = {name: [name[1], ".".join(name)] for name in names(said["tables"])}
    found = set(matches(exclude, tables, f"EXCLUDE: database {alias!r} has no table"))
    partitions = [(tuple(parent), tuple(child)) for parent, child in said["partitions"]]
    while more := {child for parent, child in partitions if parent in found} - found:
        found |= more
    return tuple(sorted(found))


def _references(said: Mapping[str, Any], schemas: Sequence[str], without_rows: Iterable[Name]) -> list[str]:
    excluded = set(without_rows)
    pairs: list[tuple[Name, Name]] = [((a, b), (c, d)) for (a, b), (c, d) in said["foreign_keys"]]
    kept = [(r, t) for r, t in pairs if t in excluded and r not in excluded and (not schemas or r[0] in schemas)]
    broken = {table: sorted({written(r) for r, t in kept if t == table}) for _, table in sorted(kept)}
    return [
        f"table {written(table)} goes without its rows, and {listed(referring)} may refer to them: "
        "a restore fails where a foreign key misses its row"
        for table, referring in broken.items()
    ]


def table_files(session: Session) -> dict[str, list[Any]]:
    """Return the schema, the name and the file of each table, by its number."""
    files: dict[str, list[Any]] = session.ask({"files": FILES})["files"]
    return files


def check_files(session: Session, before: Mapping[str, Sequence[Any]]) -> None:
    """Raise a transient DumpError if a table has another file than ``before``.

    pg_dump takes its snapshot before its locks. A TRUNCATE or a rewrite that commits in between leaves it a table
    without rows, and no error (PostgreSQL manual, "Caveats" of concurrency control). To be called when pg_dump has its
    locks, with the files from before it started.
    """
    after = table_files(session)
    if changed := [written((b[0], b[1])) for oid, b in before.items() if oid in after and after[oid][2] != b[2]]:
        raise DumpError(
            f"Meanwhile {listed(changed)} was emptied or rewritten, and pg_dump would find no rows in it.",
            transient=True,
        )
