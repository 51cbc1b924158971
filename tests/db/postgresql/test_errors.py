"""What is quoted of the programs' errors, and the advice that goes with them."""

from __future__ import annotations

import pytest

from dbbackup.db.exceptions import CommandConnectorError
from dbbackup.db.postgresql import PgDumpConnector
from dbbackup.db.postgresql.errors import advice, is_transient, last_words
from tests.db.postgresql.conftest import Connector, Database
from tests.db.postgresql.formats import both_formats
from tests.requirements import requires

OUTPUTS = {
    # A notice before, the statement after.
    """NOTICE:  table "a" does not exist, skipping
pg_restore: error: could not execute query: ERROR:  cannot drop table public.t because other objects depend on it
DETAIL:  constraint x on table y depends on table public.t
HINT:  Use DROP ... CASCADE to drop the dependent objects too.
Command was: DROP TABLE IF EXISTS public.t;
CREATE FUNCTION f() AS $$ RAISE 'an ERROR: not this' $$;
""": (
        "pg_restore: error: could not execute query: ERROR:  cannot drop table public.t because other objects depend "
        "on it\nDETAIL:  constraint x on table y depends on table public.t\n"
        "HINT:  Use DROP ... CASCADE to drop the dependent objects too."
    ),
    """psql:<stdin>:18: NOTICE:  drop cascades to 2 other objects
DETAIL:  drop cascades to table a
drop cascades to table b
psql:<stdin>:25: ERROR:  duplicate key value violates unique constraint "t_pkey"
DETAIL:  Key (id)=(1) already exists.
CONTEXT:  COPY t, line 2
""": (
        'psql:<stdin>:25: ERROR:  duplicate key value violates unique constraint "t_pkey"\n'
        "DETAIL:  Key (id)=(1) already exists."
    ),
    """psql: error: connection to server at "127.0.0.1", port 5432 failed: FATAL:  password authentication failed
connection to server at "127.0.0.1", port 5432 failed: FATAL:  no pg_hba.conf entry for host
""": 'connection to server at "127.0.0.1", port 5432 failed: FATAL:  no pg_hba.conf entry for host',
    """psql: error: connection to server at "127.0.0.1", port 1 failed: Connection refused
\tIs the server running on that host and accepting TCP/IP connections?
""": 'psql: error: connection to server at "127.0.0.1", port 1 failed: Connection refused',
    """pg_dump: error: query failed: ERROR:  permission denied for table t
pg_dump: detail: Query was: LOCK TABLE public.t IN ACCESS SHARE MODE
""": (
        "pg_dump: error: query failed: ERROR:  permission denied for table t\n"
        "pg_dump: detail: Query was: LOCK TABLE public.t IN ACCESS SHARE MODE"
    ),
    # Another language, of which no word is known.
    "pg_dump: Fehler: keine Berechtigung\n": "pg_dump: Fehler: keine Berechtigung\n",
    "psql:<stdin>:9: server closed the connection unexpectedly\n\tThis probably means the server terminated\n": (
        "psql:<stdin>:9: server closed the connection unexpectedly\n\tThis probably means the server terminated\n"
    ),
    "age: error: no identity matched any of the recipients\n": "age: error: no identity matched any of the recipients",
    "": "",
}


@pytest.mark.parametrize(("stderr", "words"), OUTPUTS.items(), ids=range(len(OUTPUTS)))
def test_last_words(stderr: str, words: str):
    assert last_words(stderr) == words


@pytest.mark.parametrize(
    ("error", "what"),
    [
        ("FATAL:  password authentication", ""),
        ("psql: error: fe_sendauth: no password supplied", "Set PASSWORD"),
        ("pg_dump: error: query failed: ERROR:  canceling statement due to lock timeout", "DBBACKUP_LOCK_TIMEOUT"),
        ("ERROR:  canceling statement due to conflict with recovery", "hot_standby_feedback"),
        ('ERROR:  column "id" of relation "t" is an identity column', "--exact"),
        ('ERROR:  relation "t" already exists', "--exact"),
        ("psql:<stdin>:5: error: invalid command \\restrict", "newer minor release"),
        ("ERROR:  out of shared memory\nHINT:  You might need to increase max_locks", "max_locks_per_transaction"),
    ],
)
def test_advice(error: str, what: str):
    said = advice(f"pg_restore: error: relation already exists\n{error}\nCommand was: x already exists")
    assert what in said
    assert bool(said) is bool(what)


def test_transient():
    assert is_transient("ERROR:  canceling statement due to conflict with recovery")
    assert not is_transient("ERROR:  canceling statement due to lock timeout")


BODY = "BEGIN\n  RAISE EXCEPTION 'ERROR: this is not the error';\nEND"


@requires("postgresql")
@both_formats
def test_error_of_a_restore_is_quoted_from_its_beginning(database: Database, cls: type[Connector]):
    # A table and a function of one dump; in the target the function is a procedure, which CREATE cannot replace.
    database.psql(f"CREATE TABLE t (a int); CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $${BODY}$$")
    dump = database.dump(cls, DROP=False)
    database.psql("DROP FUNCTION f; DROP TABLE t; CREATE PROCEDURE f() LANGUAGE sql AS ''")
    before = database.state()
    with pytest.raises(CommandConnectorError) as caught:
        database.restore(dump, cls, DROP=False)
    text = str(caught.value)
    assert 'function "f" already exists with same argument types' in text
    assert "not the error" not in text
    assert "--exact" in text
    assert text.endswith("The database is as it was.")
    assert database.state() == before


@requires("postgresql")
def test_notices_are_not_quoted(database: Database):
    database.psql("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
    dump = database.dump(PgDumpConnector)
    # The last error of many lines of notices.
    database.psql("CREATE TABLE b (a int REFERENCES a)")
    broken = dump.replace(b"\n1\n\\.\n", b"\n1\n1\n\\.\n")
    assert broken != dump
    before = database.state()
    with pytest.raises(CommandConnectorError, match=r"unique|depend") as caught:
        database.restore(broken, PgDumpConnector)
    assert "NOTICE" not in str(caught.value)
    assert database.state() == before
