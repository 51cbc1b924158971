"""A database whose names, rows and functions look like the dump that they are to be told from."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.requirements import requires
from tests.servers.account import ENVIRONMENT
from tests.servers.postgresql import TIMEOUT, Cluster

SERVERS = [
    pytest.param("postgres", marks=requires("postgresql")),
    pytest.param("newer_postgres", marks=requires("postgresql:newer")),
]
NAME = "awkward; Type: ACL"
ROLE = "o'wner; Type: ACL"
TABLES = [
    ("s p; Type: ACL", "quo\"te'd"),
    ("public", "x; Type: ACL; Schema: y; Owner: z"),
    ("public", "new\nline; -- Name: q; Type: SCHEMA; Schema: -; Owner: -"),
    ("public", "ünï$tag$ FROM stdin;"),
    ("public", "Empty"),
]
SCRIPT = r"""
CREATE EXTENSION pgcrypto;
CREATE SCHEMA "s p; Type: ACL";
CREATE TABLE "s p; Type: ACL"."quo""te'd" (id int PRIMARY KEY, "E'x" text, b bytea);
CREATE TABLE "x; Type: ACL; Schema: y; Owner: z" (a text);
CREATE TABLE "new
line; -- Name: q; Type: SCHEMA; Schema: -; Owner: -" (a text);
CREATE TABLE "ünï$tag$ FROM stdin;" ("$$" text, "a;b" int);
CREATE TABLE "Empty" (a int);
INSERT INTO "s p; Type: ACL"."quo""te'd" VALUES (1, E'\\.', '\x00ff'), (2, NULL, NULL);
INSERT INTO "x; Type: ACL; Schema: y; Owner: z" VALUES
  ('-- Name: x; Type: ACL; Schema: y; Owner: z'), ('--'), ('ALTER TABLE x OWNER TO y;'), (E'''"$$ /*'),
  (E'a\n\\.\nb'), ('\.'), (''), ('-- PostgreSQL database dump complete');
INSERT INTO "ünï$tag$ FROM stdin;" SELECT 'ä' || g, g FROM generate_series(1, 300) g;
ALTER TABLE "Empty" OWNER TO "o'wner; Type: ACL";
GRANT SELECT ON "Empty" TO PUBLIC;
COMMENT ON TABLE "Empty" IS E'it''s; \\ a /* comment -- \n-- Name: c; Type: ACL; Schema: -; Owner: -\n';
CREATE FUNCTION quoted(a int) RETURNS int LANGUAGE plpgsql AS $body$
BEGIN
-- Name: x; Type: ACL; Schema: y; Owner: z
  PERFORM $$;'$$; RETURN $1; -- '
END $body$;
CREATE VIEW v AS SELECT E'\\''' || 'a' AS b, CASE WHEN true THEN 1 ELSE 2 END AS c;
CREATE RULE r AS ON INSERT TO "Empty" DO ALSO (SELECT 1; SELECT 2);
CREATE FUNCTION standard(a int DEFAULT 3) RETURNS int LANGUAGE sql BEGIN ATOMIC
  SELECT 1; SELECT CASE WHEN a > 1 THEN 2 ELSE 3 END;
END;
CREATE PROCEDURE twice() LANGUAGE sql BEGIN ATOMIC
  INSERT INTO "Empty" VALUES (1); INSERT INTO "Empty" VALUES (2);
END;
SELECT lo_from_bytea(0, 'abc'); SELECT lo_from_bytea(0, 'def');
"""


@contextmanager
def awkward_database(cluster: Cluster) -> Iterator[Cluster]:
    cluster.psql('CREATE ROLE "o\'wner; Type: ACL"')
    try:
        cluster.create_database(NAME)
        cluster.psql(SCRIPT, NAME)
        yield cluster
    finally:
        cluster.drop_database(NAME)
        cluster.psql('DROP ROLE "o\'wner; Type: ACL"')


def environment(cluster: Cluster) -> dict[str, str]:
    login = {"PGHOST": cluster.host, "PGPORT": str(cluster.port), "PGDATABASE": NAME}
    secret = {"PGUSER": cluster.admin.name, "PGPASSWORD": cluster.admin.password, "PGCLIENTENCODING": "UTF8"}
    return {**ENVIRONMENT, **login, **secret}


def dump(cluster: Cluster, *args: str) -> bytes:
    command: list[str | Path] = [cluster.bin_dir / "pg_dump", *args]
    return subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=True, env=environment(cluster)).stdout
