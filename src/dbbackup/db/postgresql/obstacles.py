"""What stands in the way of a restore, found out before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.matching import listed
from dbbackup.db.postgresql.choices import Choices
from dbbackup.db.postgresql.contents import Contents, required_major
from dbbackup.db.postgresql.entries import Entry
from dbbackup.db.postgresql.facts import names, written
from dbbackup.db.postgresql.selection import (
    Selection,
    absent_schemas,
    foreign_owners,
    grantees,
    leftovers,
    missing_extensions,
    routines_and_types_in,
    schemas_in,
    tables_in,
)
from dbbackup.db.postgresql.tools import Tool, package_of

_WITHOUT_PRIVILEGES = frozenset({"--no-privileges", "--no-acl", "-x"})


def check(
    alias: str,
    contents: Contents,
    selection: Selection,
    choices: Choices,
    *,
    tools: Mapping[str, Tool],
    said: Mapping[str, Any],
    beyond_pg_restore: Sequence[str],
) -> list[str]:
    """Return what should be known before a restore; raise RestoreError with all that makes it impossible.

    ``said`` is what the database answered to exact.removals(), where it was asked; ``beyond_pg_restore`` is why the
    archive cannot go through pg_restore alone.
    """
    preflight = _Preflight(contents, selection, choices, tools, said)
    problems = list(preflight.problems())
    if choices.jobs > 1 and beyond_pg_restore:
        problems.append(f"not in {choices.jobs} jobs, because {'; '.join(beyond_pg_restore)}: pass --jobs 1")
    if problems:
        raise RestoreError(f"Cannot restore database {alias!r}: {'; '.join(problems)}. Nothing was changed.")
    return list(preflight.warnings())


class _Preflight:
    def __init__(
        self,
        contents: Contents,
        selection: Selection,
        choices: Choices,
        tools: Mapping[str, Tool],
        said: Mapping[str, Any],
    ) -> None:
        self.said = said
        self.selection = selection
        self.archive = contents.archive
        self.restricted = contents.is_restricted
        self.entries = [entry for entry in contents.entries if selection.wants(entry)]
        self.all_entries = contents.entries
        self.choices = choices
        self.target = selection.target
        self.psql = tools["psql"]
        self.pg_restore = tools.get("pg_restore")

    def problems(self) -> Iterator[str]:
        if self.target.standby:
            yield "the server is a standby, which takes no changes"
        yield from self._wrong_choices()
        if self.archive and (absent := absent_schemas(self.choices.schemas, self.all_entries)):
            yield absent
        yield from self._missing_roles()
        yield from self._extensions()
        if self.choices.exact:
            yield from self._beyond_scope()
        elif self.archive and self.choices.drops:
            yield from self._foreign_keys()

    def warnings(self) -> Iterator[str]:
        choices, target = self.choices, self.target
        if self.archive:
            if owners := foreign_owners(self.entries, target):
                yield (
                    f"nothing can be given to {listed(owners)}: everything will belong to {target.role}, "
                    "and privileges are left out"
                )
            if rows := [written((e.schema, e.name)) for e in self._not_writable()]:
                yield f"the rows of {listed(rows)}, of an extension, are left out: {target.role} may not write there"
        elif choices.pg_options:
            yield f"the options for pg_restore, {' '.join(choices.pg_options)}, are left out: psql loads this backup"
        if self.archive and choices.selective:
            yield f"only a part of the backup is restored ({', '.join(choices.selective)})"
        if choices.exact:
            yield from self._removed()
        elif self.archive:
            yield from self._kept()
        if choices.jobs > 1:
            yield f"{choices.jobs} jobs cannot share one transaction: an error leaves the database partly restored"
        elif not choices.whole:
            yield "it is not in one transaction (SINGLE_TRANSACTION): an error leaves the database partly restored"

    def _wrong_choices(self) -> Iterator[str]:
        jobs = self.choices.jobs
        if self.archive and self.pg_restore and self.pg_restore.major < (required := required_major(self.archive)):
            yield (
                f"pg_restore {self.pg_restore} is too old for an archive by pg_dump {self.archive.tool}: install "
                f"{package_of('pg_restore', required)}, or name it in RESTORE_CMD"
            )
        if not self.archive:
            if jobs > 1:
                yield "--jobs needs an archive (PgDumpBinaryConnector), and this backup is SQL"
            if self.choices.schemas:
                yield "--schema needs an archive (PgDumpBinaryConnector), and this backup is SQL"
            if self.restricted and not self.psql.knows_restrict:
                yield (
                    f"psql {self.psql} does not know \\restrict, which the dump begins with: "
                    "install a newer minor release"
                )
        if self.archive and self.choices.exact and self.choices.selective:
            yield (
                f"{', '.join(self.choices.selective)} takes a part of the backup, and --exact would remove the rest. "
                "Choose with --schema, or leave --exact out"
            )
        if jobs > 1 and self.choices.exact and not self._is_empty():
            yield (
                "--jobs and --exact go together only into an empty database: they cannot share one transaction. "
                "Pass --jobs 1"
            )

    def _is_empty(self) -> bool:
        schemas = [schema for schema in self.target.schemas if not self.selection.keeps_schema(schema)]
        return not (schemas or self.target.tables or self.said["routines_and_types"] or self.said["large_objects"])

    def _missing_roles(self) -> Iterator[str]:
        if foreign_owners(self.entries, self.target) or _WITHOUT_PRIVILEGES & {*self.choices.pg_options}:
            return
        if absent := sorted(grantees(self.entries) - self.target.role_names):
            yield (
                f"the backup grants something to {listed(absent)}, and the server has no such role: create it, or "
                "leave the privileges out with --pg-options=--no-privileges"
            )

    def _extensions(self) -> Iterator[str]:
        wanted = {entry.name for entry in missing_extensions(self.entries, self.target)}
        wanted |= {name for name in self.choices.extensions if name not in self.target.extensions}
        for name in sorted(wanted):
            if name not in self.target.available:
                yield f"the server does not have the extension {name} to install (a package of the server's machine)"
            elif not self.choices.admin and not self.target.may_make(name):
                yield (
                    f"{self.target.role} may not make the extension {name}: set ADMIN_USER and ADMIN_PASSWORD, "
                    f"or have a superuser run CREATE EXTENSION {name} in this database"
                )

    def _foreign_keys(self) -> Iterator[str]:
        """Yield the tables of others that would stop the dump's own from being dropped."""
        tables = tables_in(self.entries)
        what, cure = "in the backup", "--exact removes it too"
        if self.choices.partial and not self.choices.schemas:
            cure = f"restore a backup that has schema {listed(sorted({r[0] for r, _ in self.target.foreign_keys}))} too"
        if self.choices.schemas:
            what, cure = f"in schema {listed(self.choices.schemas)}", "restore its schema too"
        for referring, table in self.target.foreign_keys:
            if table in tables and referring not in tables:
                yield (
                    f"table {written(referring)}, which is not {what}, has a foreign key to {written(table)}, "
                    f"which therefore cannot be dropped: {cure}, or drop that foreign key"
                )

    def _not_writable(self) -> list[Entry]:
        configuration = self.target.configuration
        return [
            entry
            for entry in self.all_entries
            if entry.kind == "TABLE DATA" and (entry.schema, entry.name) in configuration and entry not in self.entries
        ]

    def _beyond_scope(self) -> Iterator[str]:
        """Yield what else would go when the schemas in question go, and what would come beside them."""
        scope = self.choices.scope
        if taken := self.said["taken_along"]:
            yield (
                f"removing schema {listed(scope)} would take along what depends on it in other schemas: "
                f"{listed(taken)}. Restore those schemas too, or drop these objects"
            )
        if scope and (beside := sorted(schemas_in(self.entries) - {*scope} - {"", "pg_catalog"})):
            yield f"the backup also has schema {listed(beside)}, which SCHEMAS does not name: pass --schema to choose"

    def _removed(self) -> Iterator[str]:
        scope = self.choices.scope
        gone = [s for s in self.target.schemas if not self.selection.keeps_schema(s) and (not scope or s in scope)]
        if self.archive:
            gone = [schema for schema in gone if schema not in schemas_in(self.entries)]
        there = leftovers(self.target, tables_in(self.entries), scope)
        others = set(names(self.said["routines_and_types"])) - routines_and_types_in(self.entries)
        there += sorted(name for name in others if not scope or name[0] in scope)
        found = [written(name) for name in there if name[0] not in gone]
        large = 0 if scope or _has_large_objects(self.all_entries) else self.said["large_objects"]
        removed = [f"schema {listed(gone)}"] if gone else []
        removed += [listed(found)] if found else []
        removed += [f"{large} large objects"] if large else []
        if removed and self.archive:
            yield f"not in the backup, and will be removed: {', '.join(removed)}"
        elif removed:
            yield f"will be removed, and come back if the backup has them: {', '.join(removed)}"

    def _kept(self) -> Iterator[str]:
        found = [written(name) for name in leftovers(self.target, tables_in(self.entries), self.choices.schemas)]
        if found:
            yield f"not in the backup, and stays: {listed(found)} (--exact removes it)"


def _has_large_objects(entries: Sequence[Entry]) -> bool:
    return any(entry.kind.startswith("BLOB") for entry in entries)
