"""What a database says of itself: queries, each for one JSON value, and what they return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What belongs to the system or came with an extension is not the user's.
OURS = """n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_namespace'::regclass
    AND d.objid = n.oid AND d.deptype = 'e')"""
_NOT_OF_EXTENSION = """NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
    WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')"""
_RELATIONS = "pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
_QUALIFIED = "json_build_array(n.nspname, c.relname)"


def _all(value: str, rest: str) -> str:
    return f"SELECT coalesce(json_agg({value}), '[]') FROM {rest}"


def _tables(kinds: str, condition: str = "true") -> str:
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    return _all(
        _QUALIFIED,
        # CASE, because a condition fails on what is of another kind, and AND may ask it first.
        f"{_RELATIONS} WHERE CASE WHEN c.relkind IN ({listed}) THEN {condition} ELSE false END"
        f" AND {OURS} AND {_NOT_OF_EXTENSION}",
    )


def _pairs(rest: str) -> str:
    """Return a query for pairs of tables, c and then f, for relations r that join them."""
    return _all(
        "json_build_array(json_build_array(n.nspname, c.relname), json_build_array(m.nspname, f.relname))",
        f"{_RELATIONS} {rest} JOIN pg_catalog.pg_namespace m ON m.oid = f.relnamespace",
    )


_FOREIGN_KEYS = _pairs(
    "JOIN pg_catalog.pg_constraint r ON r.conrelid = c.oid AND r.contype = 'f' "
    "JOIN pg_catalog.pg_class f ON f.oid = r.confrelid"
)
_PARTITIONS = _pairs(
    "JOIN pg_catalog.pg_inherits r ON r.inhparent = c.oid AND c.relkind = 'p' "
    "JOIN pg_catalog.pg_class f ON f.oid = r.inhrelid"
)
_VERSION = {
    "version": "SELECT to_json(current_setting('server_version'))",
    "number": "SELECT to_json(current_setting('server_version_num')::int)",
    "role": "SELECT to_json(current_user)",
    "schemas": _all("n.nspname ORDER BY n.nspname", f"pg_catalog.pg_namespace n WHERE {OURS}"),
}

SOURCE: Mapping[str, str] = {
    **_VERSION,
    # What has no known encoding cannot be converted.
    "unicode": "SELECT to_json(getdatabaseencoding() NOT IN ('SQL_ASCII', 'MULE_INTERNAL'))",
    "hidden_schemas": _all(
        "n.nspname", f"pg_catalog.pg_namespace n WHERE {OURS} AND NOT has_schema_privilege(n.oid, 'USAGE')"
    ),
    # Without USAGE on its schema, nobody may even ask about a table's rights by name; by number anybody may.
    "unreadable": _tables("rpm", "NOT has_table_privilege(c.oid, 'SELECT')"),
    "unreadable_sequences": _tables("S", "NOT has_sequence_privilege(c.oid, 'SELECT')"),
    "row_security": _tables("rp", "pg_catalog.row_security_active(c.oid)"),
}
"""Asked before a dump."""

FILES = (
    "SELECT coalesce(json_object_agg(c.oid, json_build_array(n.nspname, c.relname, c.relfilenode)), '{}')"
    f" FROM {_RELATIONS} WHERE c.relkind = 'r' AND {OURS}"
)
"""The file that each table is in, which TRUNCATE and a rewrite replace."""

TABLES: Mapping[str, str] = {
    "tables": _tables("rpmf"),
    "foreign_keys": _FOREIGN_KEYS,
    "partitions": _PARTITIONS,
}
"""Asked as well when tables are to be left out."""

TARGET: Mapping[str, str] = {
    **_VERSION,
    "standby": "SELECT to_json(pg_is_in_recovery())",
    "superuser": "SELECT to_json(current_setting('is_superuser') = 'on')",
    # Since version 16 a membership need not allow SET ROLE, which giving away an object takes.
    "roles": _all(
        "rolname",
        "pg_catalog.pg_roles WHERE pg_has_role(oid,"
        " CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END)",
    ),
    "role_names": _all("rolname", "pg_catalog.pg_roles"),
    "schemas_of_others": _all("nspname", "pg_catalog.pg_namespace WHERE NOT pg_has_role(nspowner, 'USAGE')"),
    "may_create": "SELECT to_json(has_database_privilege(current_database(), 'CREATE'))",
    "extensions": _all(
        "json_build_array(e.extname, n.nspname, pg_has_role(e.extowner, 'USAGE'))",
        "pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace",
    ),
    # "trusted" is a column since version 13.
    "available": "SELECT coalesce(json_object_agg(name, trusted), '{}') FROM ("
    "SELECT name, bool_or(NOT superuser OR coalesce((to_jsonb(v) ->> 'trusted')::bool, false)) AS trusted"
    " FROM pg_catalog.pg_available_extension_versions v GROUP BY name) found",
    "configuration": _all(
        "json_build_array(n.nspname, c.relname, e.extname, x.condition,"
        " has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'DELETE'))",
        "pg_catalog.pg_extension e, unnest(e.extconfig, e.extcondition) AS x (oid, condition)"
        f" JOIN {_RELATIONS} ON c.oid = x.oid WHERE c.relkind = 'r'",
    ),
    "tables": _tables("rpvmSf"),
    "inherited_keys": _all(
        "json_build_array(n.nspname, c.relname, r.conname)",
        f"{_RELATIONS} JOIN pg_catalog.pg_constraint r ON r.conrelid = c.oid"
        f" WHERE r.contype IN ('p', 'u') AND r.conparentid <> 0 AND {OURS}",
    ),
    "foreign_keys": _FOREIGN_KEYS,
}
"""Asked before a restore."""

TRANSACTION_TIMEOUT_SINCE = 17
"""The version that came with the setting transaction_timeout, which pg_dump and pg_restore set from then on."""

COUNTS = (
    "SELECT coalesce(json_object_agg(CASE schemaname WHEN 'public' THEN relname"
    " ELSE schemaname || '.' || relname END, n_live_tup), '{}') FROM pg_catalog.pg_stat_user_tables"
)
"""Rows per table, as the server's statistics count them: exact behind a restore, and at no cost."""

Name = tuple[str, str]
"""Schema and name of a table."""


def names(answer: list[list[str]]) -> list[Name]:
    """Return an answer as names of tables, in order."""
    return sorted((schema, name) for schema, name in answer)


def written(name: Name) -> str:
    """Return a table's name for people, without a schema that goes without saying."""
    return name[1] if name[0] == "public" else f"{name[0]}.{name[1]}"


@dataclass(frozen=True)
class Extension:
    """An extension that a database has."""

    schema: str
    owned: bool
    """Whether the role may comment on it and drop it."""


@dataclass(frozen=True)
class Configuration:
    """A table of an extension that holds rows of the user's as well."""

    extension: str
    condition: str
    """What tells the user's rows; empty for all of them."""
    writable: bool


@dataclass(frozen=True)
class Target:
    """The database that a restore goes into, as its role sees it."""

    version: str
    major: int
    role: str
    standby: bool
    superuser: bool
    may_create: bool
    roles: frozenset[str]
    """Those that the role may give something to."""
    role_names: frozenset[str]
    """All that the server has."""
    schemas_of_others: frozenset[str]
    """Those that the role may neither comment on nor grant anything on."""
    schemas: tuple[str, ...]
    tables: tuple[Name, ...]
    foreign_keys: tuple[tuple[Name, Name], ...]
    inherited_keys: frozenset[tuple[str, str, str]]
    """Schema, table and name of the keys that partitions have from their parents."""
    extensions: Mapping[str, Extension]
    available: Mapping[str, bool]
    """The extensions that the server could make, and whether an ordinary role may."""
    configuration: Mapping[Name, Configuration]

    @classmethod
    def from_answers(cls, said: Mapping[str, Any]) -> Target:
        """Return what the answers to TARGET say."""
        return cls(
            version=said["version"],
            major=said["number"] // 10_000,
            role=said["role"],
            standby=said["standby"],
            superuser=said["superuser"],
            may_create=said["may_create"],
            roles=frozenset(said["roles"]),
            role_names=frozenset(said["role_names"]),
            schemas_of_others=frozenset(said["schemas_of_others"]),
            schemas=tuple(said["schemas"]),
            tables=tuple(names(said["tables"])),
            foreign_keys=tuple((tuple(one), tuple(other)) for one, other in said["foreign_keys"]),
            inherited_keys=frozenset((schema, table, key) for schema, table, key in said["inherited_keys"]),
            extensions={name: Extension(schema, owned) for name, schema, owned in said["extensions"]},
            available=said["available"],
            configuration={(schema, name): Configuration(*rest) for schema, name, *rest in said["configuration"]},
        )

    def may_make(self, extension: str) -> bool:
        """Return whether the role itself can make an extension that is not there yet."""
        return self.superuser or (self.may_create and self.available.get(extension, False))

    def holds_extension(self, schema: str) -> bool:
        """Return whether an extension lives in a schema, so that dropping it would drop the extension."""
        return any(found.schema == schema for found in self.extensions.values())
