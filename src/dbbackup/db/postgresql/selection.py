"""Which objects of a dump go into a database, and what stands in their way there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dbbackup.db.postgresql.entries import Entry
from dbbackup.db.postgresql.facts import Configuration, Name, Target
from dbbackup.db.postgresql.names import unquoted

# In a schema, but of an object in none, without which they fail.
_OF_PUBLICATIONS = frozenset({"PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA"})
_GRANTEE = re.compile(r"^GRANT .* TO (\"(?:[^\"]|\"\")+\"|[^\s\";]+)(?: WITH GRANT OPTION)?;$", re.MULTILINE)
PRIVILEGES = frozenset({"ACL", "DEFAULT ACL"})
_FUNCTIONS = frozenset({"FUNCTION", "PROCEDURE", "AGGREGATE"})
_TYPES = frozenset({"TYPE", "DOMAIN", "SHELL TYPE"})


@dataclass(frozen=True)
class Selection:
    """What is wanted of a dump in a target; the same rules for archives and plain dumps.

    Extensions that the target has stay as they are, because an ordinary role may neither drop them nor make them
    again, and because what others built on them would go too.
    """

    target: Target
    schemas: tuple[str, ...] = ()
    """Only these; empty for all."""
    crowded: frozenset[str] = frozenset()
    """Schemas that hold tables which the dump has not, and which stay."""

    def wants(self, entry: Entry) -> bool:
        """Return whether an object of the dump is restored."""
        if (self.schemas and not self._in_schemas(entry)) or not self._may_change_schema(entry):
            return False
        if entry.kind == "EXTENSION":
            return entry.name not in self.target.extensions
        if entry.kind == "COMMENT" and entry.name.startswith("EXTENSION "):
            return self._may_comment(entry.name.removeprefix("EXTENSION "))
        if entry.kind == "SCHEMA":
            return not self.keeps_schema(entry.name) or not makes_schema(entry)
        found = self.configuration(entry)
        return found is None or found.writable

    def keeps_schema(self, schema: str) -> bool:
        """Return whether a schema of the target is not dropped and made anew: public, and where others' things live."""
        there = schema in self.target.schemas
        return there and (schema == "public" or schema in self.crowded or self.target.holds_extension(schema))

    def configuration(self, entry: Entry) -> Configuration | None:
        """Return what is known of the table of an extension, if the entry is the rows of one."""
        return self.target.configuration.get((entry.schema, entry.name)) if entry.kind == "TABLE DATA" else None

    def _in_schemas(self, entry: Entry) -> bool:
        schema = entry.schema or _schema_itself(entry)
        return schema in self.schemas and entry.kind not in _OF_PUBLICATIONS

    def _may_change_schema(self, entry: Entry) -> bool:
        """Return whether an entry is of no schema itself, or of one that is made anew or belongs to the role."""
        schema = _schema_itself(entry)
        return schema is None or not self.keeps_schema(schema) or schema not in self.target.schemas_of_others

    def _may_comment(self, extension: str) -> bool:
        found = self.target.extensions.get(extension)
        return self.target.may_make(extension) if found is None else found.owned


def _schema_itself(entry: Entry) -> str | None:
    """Return the schema that an entry makes, comments on or grants something on."""
    if entry.schema:
        return None
    if entry.kind == "SCHEMA":
        return entry.name
    kind, _, name = entry.name.partition(" ")
    return name if kind == "SCHEMA" and entry.kind in {"COMMENT", "ACL"} else None


def makes_schema(entry: Entry) -> bool:
    """Return whether an entry makes a schema; that of public may only say who owns it."""
    return entry.kind == "SCHEMA" and "CREATE SCHEMA" in (entry.definition or "CREATE SCHEMA")


def tables_in(entries: Iterable[Entry]) -> set[Name]:
    """Return the tables, views and sequences that a dump has."""
    kinds = {"TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "SEQUENCE"}
    return {(entry.schema, entry.name) for entry in entries if entry.kind in kinds}


def routines_and_types_in(entries: Iterable[Entry]) -> set[Name]:
    """Return the functions, without their arguments, and the types that a dump has."""
    entries = list(entries)
    functions = {(entry.schema, entry.name.partition("(")[0]) for entry in entries if entry.kind in _FUNCTIONS}
    return functions | {(entry.schema, entry.name) for entry in entries if entry.kind in _TYPES}


def schemas_in(entries: Iterable[Entry]) -> set[str]:
    """Return the schemas that a dump has something of."""
    named = {entry.schema for entry in entries} | {entry.name for entry in entries if entry.kind == "SCHEMA"}
    return named - {""}


def leftovers(target: Target, tables: set[Name], schemas: Sequence[str]) -> list[Name]:
    """Return the tables of a database that are not in the dump, within these schemas if there are any."""
    return [name for name in target.tables if name not in tables and (not schemas or name[0] in schemas)]


def foreign_owners(entries: Iterable[Entry], target: Target) -> list[str]:
    """Return the roles that own objects of a dump and that the role of the restore cannot give anything to."""
    # Rows belong to whom their table belongs to, and some are those of an extension, which stays its owner's.
    return sorted({entry.owner for entry in entries if entry.owner and entry.kind != "TABLE DATA"} - target.roles)


def grantees(entries: Iterable[Entry]) -> set[str]:
    """Return the roles that an archive grants something to."""
    found = {name for entry in entries if entry.kind in PRIVILEGES for name in _GRANTEE.findall(entry.definition)}
    return {unquoted(name) for name in found} - {"PUBLIC"}


def missing_extensions(entries: Iterable[Entry], target: Target) -> list[Entry]:
    """Return the extensions of a dump that a database has not got."""
    return [entry for entry in entries if entry.kind == "EXTENSION" and entry.name not in target.extensions]


def absent_schemas(wanted: Sequence[str], entries: Iterable[Entry]) -> str:
    """Return what to say of schemas that the dump does not have; empty if it has them all."""
    there = schemas_in(entries)
    absent = [schema for schema in wanted if schema not in there]
    has = ", ".join(sorted(there)) or "none"
    return f"the backup has no schema {', '.join(map(repr, absent))}; it has {has}" if absent else ""
