"""The SQL that takes everything of the user's out of a database, within the transaction that restores it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dbbackup.db.postgresql.facts import OURS
from dbbackup.db.postgresql.names import quote_texts

# Kinds of objects in a schema, as a catalog and a condition on its rows. What belongs to another object (the
# sequence of a column, the type of a table, an index) goes with that one.
_IN_SCHEMA = (
    ("pg_class", "relnamespace", "relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"),
    ("pg_type", "typnamespace", "typtype IN ('b', 'c', 'd', 'e', 'r') AND typelem = 0"),
    ("pg_proc", "pronamespace", "true"),
    ("pg_operator", "oprnamespace", "true"),
    ("pg_opclass", "opcnamespace", "true"),
    ("pg_opfamily", "opfnamespace", "true"),
    ("pg_collation", "collnamespace", "true"),
    ("pg_conversion", "connamespace", "true"),
    ("pg_statistic_ext", "stxnamespace", "true"),
    ("pg_ts_config", "cfgnamespace", "true"),
    ("pg_ts_dict", "dictnamespace", "true"),
    ("pg_ts_parser", "prsnamespace", "true"),
    ("pg_ts_template", "tmplnamespace", "true"),
)
_IN_NO_SCHEMA = ("pg_publication", "pg_foreign_server", "pg_foreign_data_wrapper", "pg_language", "pg_cast", "pg_am")
# The first number that an object made after initdb can have (FirstNormalObjectId in access/transam.h).
_FIRST_OF_USERS = 16384


def empty_schemas(schemas: Sequence[str] = ()) -> str:
    """Return SQL that drops these schemas, by default everything that is not the system's or an extension's.

    public, and schemas that an extension lives in, are emptied instead: their owners, grants and comments stay.
    """
    chosen = f" AND n.nspname = ANY ({quote_texts(schemas)})" if schemas else ""
    objects = " UNION ALL ".join(_objects_in_schema(*kind) for kind in _IN_SCHEMA)
    others = " UNION ALL ".join(map(_objects, _IN_NO_SCHEMA)) + _LARGE_OBJECTS + f" UNION ALL ({_DEFAULTS})"
    # First of all, so that they do not act on what follows.
    triggers = "" if schemas else _objects("pg_event_trigger") + " UNION ALL "
    return f"""
SET client_min_messages = warning;
DO $dbbackup$
DECLARE
    kept oid[];
    command text;
BEGIN
    SELECT coalesce(array_agg(n.oid), '{{}}') INTO kept FROM pg_catalog.pg_namespace n
    WHERE {OURS}{chosen} AND (n.nspname = 'public'
        OR EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extnamespace = n.oid));
    -- Collected first: dropping one object may take another with it, which then has no name any more.
    FOREACH command IN ARRAY array({triggers}
        SELECT format('DROP SCHEMA IF EXISTS %I CASCADE', n.nspname) FROM pg_catalog.pg_namespace n
        WHERE {OURS}{chosen} AND n.oid <> ALL (kept)
        UNION ALL ({objects}) UNION ALL ({_DEFAULTS_IN_SCHEMA}){"" if schemas else f" UNION ALL ({others})"}
    ) LOOP
        EXECUTE command;
    END LOOP;
END
$dbbackup$;
RESET client_min_messages;
"""


def removals(schemas: Sequence[str] = ()) -> Mapping[str, str]:
    """Return questions, beside facts.TARGET, about what empty_schemas() removes.

    ``routines_and_types`` are pairs of schema and name, ``large_objects`` is a number, and ``taken_along`` are
    objects in other schemas that depend on those in ``schemas``, and would go with them.
    """
    return {
        "routines_and_types": f"""
            SELECT coalesce(json_agg(DISTINCT jsonb_build_array(n.nspname, o.name)), '[]') FROM (
                SELECT pronamespace, proname, oid, 'pg_proc'::regclass FROM pg_catalog.pg_proc
                UNION ALL SELECT typnamespace, typname, oid, 'pg_type'::regclass FROM pg_catalog.pg_type
                WHERE typelem = 0 AND typtype IN ('b', 'c', 'd', 'e', 'r')
            ) o (namespace, name, oid, catalog) JOIN pg_catalog.pg_namespace n ON n.oid = o.namespace
            WHERE {OURS} AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                WHERE d.classid = o.catalog AND d.objid = o.oid AND d.deptype IN ('e', 'i'))""",
        "large_objects": "SELECT to_json(count(*)) FROM pg_catalog.pg_largeobject_metadata",
        "taken_along": _taken_along(schemas) if schemas else "SELECT json_build_array()",
    }


def _taken_along(schemas: Sequence[str]) -> str:
    scope = quote_texts(schemas)
    inside = " UNION ALL ".join(
        f"SELECT '{catalog}'::regclass, oid FROM pg_catalog.{catalog} WHERE {namespace} IN (SELECT oid FROM named)"
        for catalog, namespace, _ in _IN_SCHEMA
    )
    # What is an extension's stays, and so do the array types and row types that come with it.
    return f"""
        WITH named AS (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY ({scope})),
        inside (classid, objid) AS ({inside}),
        dependent AS (
            SELECT DISTINCT d.classid, d.objid, d.objsubid
            FROM pg_catalog.pg_depend d JOIN inside i ON i.classid = d.refclassid AND i.objid = d.refobjid
            WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.deptype = 'e' AND (
                (e.classid = i.classid AND e.objid = i.objid)
                OR EXISTS (SELECT FROM pg_catalog.pg_depend p WHERE p.deptype = 'i' AND p.classid = i.classid
                    AND p.objid = i.objid AND e.classid = p.refclassid AND e.objid = p.refobjid)))),
        told AS (
            SELECT o.type, o.identity, coalesce(o.schema, a.object_names[1]) AS schema FROM dependent,
            pg_catalog.pg_identify_object(classid, objid, objsubid) o,
            pg_catalog.pg_identify_object_as_address(classid, objid, objsubid) a)
        SELECT coalesce(json_agg(DISTINCT type || ' ' || identity), '[]') FROM told
        JOIN pg_catalog.pg_namespace n ON n.nspname = told.schema WHERE n.nspname <> ALL ({scope}) AND {OURS}"""


def _objects_in_schema(catalog: str, namespace: str, condition: str) -> str:
    return f"{_objects(catalog)} AND o.{namespace} = ANY (kept) AND {condition}"


def _objects(catalog: str) -> str:
    """Return a query for the commands that drop the objects of a catalog, but those of extensions and of others."""
    return f"""
        SELECT CASE i.type
            WHEN 'foreign-data wrapper' THEN format('DROP FOREIGN DATA WRAPPER IF EXISTS %s CASCADE', i.identity)
            WHEN 'statistics object' THEN format('DROP STATISTICS IF EXISTS %s CASCADE', i.identity)
            ELSE format('DROP %s IF EXISTS %s CASCADE', i.type, i.identity) END
        FROM pg_catalog.{catalog} o,
            pg_catalog.pg_identify_object('pg_catalog.{catalog}'::regclass, o.oid, 0) i
        WHERE o.oid >= {_FIRST_OF_USERS} AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.{catalog}'::regclass
            AND d.objid = o.oid AND d.deptype IN ('e', 'i', 'P')
            -- The columns of a partition key depend on their own table like this.
            AND d.objsubid = 0)"""


_LARGE_OBJECTS = " UNION ALL SELECT format('SELECT lo_unlink(%s)', oid) FROM pg_catalog.pg_largeobject_metadata"

# Default privileges that were set after the backup would go to what is made anew. Those that the dump has come back.
_DEFAULT_ACLS = """
        FROM pg_catalog.pg_default_acl a JOIN pg_catalog.pg_roles r ON r.oid = a.defaclrole
        JOIN (VALUES ('r', 'TABLES'), ('S', 'SEQUENCES'), ('f', 'FUNCTIONS'), ('T', 'TYPES'), ('n', 'SCHEMAS'))
            AS k (objtype, kind) ON k.objtype = a.defaclobjtype::text"""
_GRANTEES = """
        CROSS JOIN LATERAL (SELECT DISTINCT grantee FROM pg_catalog.aclexplode(a.defaclacl)) AS x (grantee)
        LEFT JOIN pg_catalog.pg_roles g ON g.oid = x.grantee"""
_GRANTEE = "CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE format('%I', g.rolname) END"
_DEFAULTS_IN_SCHEMA = f"""
        SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I REVOKE ALL ON %s FROM %s',
            r.rolname, n.nspname, k.kind, {_GRANTEE})
        {_DEFAULT_ACLS} {_GRANTEES} JOIN pg_catalog.pg_namespace n ON n.oid = a.defaclnamespace
        WHERE n.oid = ANY (kept) AND pg_has_role(r.oid, 'MEMBER')"""
# Those of no schema begin with what PostgreSQL itself grants.
_DEFAULTS = f"""
        SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I REVOKE ALL ON %s FROM %s', r.rolname, k.kind, {_GRANTEE})
        {_DEFAULT_ACLS} {_GRANTEES} WHERE a.defaclnamespace = 0 AND pg_has_role(r.oid, 'MEMBER')
        UNION ALL
        SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ALL ON %s TO %I', r.rolname, k.kind, r.rolname)
        {_DEFAULT_ACLS} WHERE a.defaclnamespace = 0 AND pg_has_role(r.oid, 'MEMBER')
        UNION ALL
        SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ALL ON %s TO PUBLIC', r.rolname, k.kind)
        {_DEFAULT_ACLS} WHERE a.defaclnamespace = 0 AND k.objtype IN ('f', 'T') AND pg_has_role(r.oid, 'MEMBER')"""
