"""``manage.py dbrestore`` on PostgreSQL: flags, what is said, exit statuses, and kill -9."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from tests.db.postgresql.conftest import Database
from tests.db.postgresql.test_blockers import DEADLINE, holding, sessions_of_restores
from tests.db.postgresql.test_restore import INTACT, LARGE, SEARCH_PATH, SHOP
from tests.process import Project, manage
from tests.requirements import requires
from tests.servers.postgresql import quote
from tests.shop import Store

pytestmark = requires("postgresql")

PLAIN = {"CONNECTOR": "dbbackup.db.postgresql.PgDumpConnector"}
connectors = pytest.mark.parametrize("connector", [{}, PLAIN], ids=["archive", "plain"])
SCHEMAS = ["a", 'two "words"', "-n x; y", "ünï%s*?"]


@pytest.fixture
def database(make_database, store: Store) -> Database:
    database: Database = make_database(alias="shop")
    database.psql(SHOP)
    return database


def configure(store: Store, connector: Mapping[str, object], **more: object) -> None:
    store.settings.DBBACKUP_CONNECTORS = {"shop": {**connector, **more}}


def refused(database: Database, store: Store, *args: str) -> str:
    """Return the error of a restore that fails and changes nothing."""
    before = database.state()
    run = store.run("dbrestore", "--noinput", *args)
    assert run.status == 1
    assert "Traceback" not in run.error + run.err
    assert database.state() == before
    return run.error


@connectors
def test_restore_says_what_it_did(database, store, connector):
    configure(store, connector)
    before, name = database.state(), store.backup()
    database.psql("DELETE FROM purchase")
    run = store.run("dbrestore", "--noinput", "--json")
    assert (run.status, run.error) == (0, "")
    assert run.lines[0]["name"] == name
    assert run.lines[0]["rows"] == {"customer": 100, "purchase": 100, "stock.shelf": 10}
    assert run.lines[0]["warnings"] == []
    assert database.state() == before
    assert list(store.tmp.iterdir()) == []


@connectors
def test_failing_restore_exits_with_1(database, store, connector):
    configure(store, connector)
    database.psql(SEARCH_PATH)
    store.backup()
    database.psql("DELETE FROM purchase")
    error = refused(database, store)
    assert 'relation "customer" does not exist' in error
    assert error.endswith(INTACT)
    configure(store, connector, SINGLE_TRANSACTION=False)
    run = store.run("dbrestore", "--noinput")
    assert run.status == 1
    assert "now has a part of the backup" in run.error
    assert list(store.tmp.iterdir()) == []


@connectors
def test_exact_lists_what_goes(database, store, connector):
    configure(store, connector)
    before, _ = database.state(), store.backup()
    database.psql("CREATE TABLE newer (id int); CREATE SCHEMA also")
    run = store.run("dbrestore", "--noinput", "--exact")
    assert run.status == 0
    assert "newer" in run.err
    assert "also" in run.err
    assert database.state() == before
    database.psql("CREATE TABLE newer (id int)")
    run = store.run("dbrestore", "--noinput", "--exact", "--json")
    assert "newer" in run.lines[0]["warnings"][0]


@connectors
def test_no_drop_leaves_what_is_there(database, store, connector):
    configure(store, connector)
    store.backup()
    database.psql("DELETE FROM purchase")
    error = refused(database, store, "--no-drop")
    assert "already exists" in error
    assert error.endswith(INTACT)


@pytest.fixture
def with_schemas(database: Database) -> Database:
    made = "CREATE SCHEMA {0}; CREATE TABLE {0}.t (id int); INSERT INTO {0}.t VALUES (1);"
    database.psql("".join(made.format(quote(schema)) for schema in SCHEMAS))
    return database


def test_one_schema_is_restored_and_no_other(with_schemas, store):
    before, _ = with_schemas.state(), store.backup()
    for schema, exact in [*((schema, False) for schema in SCHEMAS), (SCHEMAS[2], True)]:
        with_schemas.psql(f"DELETE FROM {quote(schema)}.t; DELETE FROM purchase")
        if exact:
            with_schemas.psql(f"CREATE TABLE {quote(schema)}.more (id int)")
        # With "=", because argparse takes "-n" for a flag wherever it stands alone.
        run = store.run("dbrestore", "--noinput", f"--schema={schema}", *(["--exact"] if exact else []))
        assert run.error == ""
        assert with_schemas.psql("SELECT count(*) FROM purchase") == "0"
        with_schemas.psql("INSERT INTO purchase SELECT g, g FROM generate_series(1, 100) g")
        assert with_schemas.state() == before, (schema, exact)


def test_several_schemas_are_restored(with_schemas, store):
    store.backup()
    with_schemas.psql("".join(f"DELETE FROM {quote(schema)}.t;" for schema in SCHEMAS))
    run = store.run("dbrestore", "--noinput", "-n", SCHEMAS[0], "-n", SCHEMAS[1])
    assert run.error == ""
    counted = ", ".join(f"(SELECT count(*) FROM {quote(schema)}.t)" for schema in SCHEMAS)
    assert with_schemas.psql(f"SELECT {counted}") == "1|1|0|0"


def test_unknown_schema_is_named_with_those_that_there_are(database, store):
    store.backup()
    assert "the backup has no schema 'stok'; it has public, stock. Nothing was changed." in refused(
        database, store, "--schema", "stok"
    )


def test_foreign_key_from_a_schema_that_is_not_restored_is_named(database, store):
    database.psql("CREATE TABLE stock.bill (customer_id int REFERENCES customer)")
    store.backup()
    assert "table stock.bill, which is not in schema public, has a foreign key to customer" in refused(
        database, store, "--schema", "public"
    )


def test_schema_of_a_plain_dump_is_refused(database, store):
    configure(store, PLAIN)
    store.backup()
    assert "--schema needs an archive" in refused(database, store, "--schema", "stock")


def test_pg_options_are_passed_on_or_refused(database, store):
    store.backup()
    run = store.run("dbrestore", "--noinput", "--pg-options=--schema-only --verbose")
    assert run.status == 0
    assert database.psql("SELECT count(*) FROM purchase") == "0"
    assert "--dbname is not to be given" in refused(database, store, "--pg-options=--dbname=postgres")


def test_number_of_jobs_that_is_none_is_a_usage_error(database, store):
    store.backup()
    before = database.state()
    for jobs in (0, -1):
        run = store.run("dbrestore", "--noinput", f"--jobs={jobs}")
        assert run.status == 2
        assert run.error == f"--jobs must be a number from 1 on, not {jobs}."
    assert database.state() == before


def test_jobs_that_are_no_number_are_a_usage_error(project):
    done = manage(project, "dbrestore", "--noinput", "--jobs=many")
    assert done.returncode == 2
    assert "--jobs" in done.stderr


def test_jobs_are_announced(database, store):
    before, _ = database.state(), store.backup()
    run = store.run("dbrestore", "--noinput", "--jobs", "2")
    assert run.status == 0
    assert "2 jobs cannot share one transaction" in run.err
    assert database.state() == before
    assert list(store.tmp.iterdir()) == []


def test_too_little_temporary_space_for_jobs_is_refused(database, store, monkeypatch):
    store.backup()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    assert "DBBACKUP_TMP_DIR" in refused(database, store, "--jobs", "2")
    assert store.run("dbrestore", "--noinput").status == 0


@connectors
def test_named_backup_of_another_database_goes_where_it_is_told(database, make_database, store, connector):
    other = make_database(alias="other")
    store.settings.DBBACKUP_CONNECTORS = {"shop": connector}
    name = store.backup()
    run = store.run("dbrestore", "-d", "other", "-i", name, "--noinput")
    assert run.error == ""
    assert f"into database 'other' ({other.name})" in run.out + run.err
    assert "made from database 'shop' and goes into 'other'" in run.err
    assert other.state() == database.state()


def test_backup_of_another_database_is_not_chosen_by_itself(database, make_database, store):
    make_database(alias="other")
    store.backup()
    run = store.run("dbrestore", "-d", "other", "--noinput")
    assert run.status == 1
    assert "other" in run.error


def test_programs_are_shown_when_asked(database, store):
    store.backup()
    run = store.run("dbrestore", "--noinput", "-v", "2")
    assert f"pg_restore {database.cluster.version}." in run.out + run.err
    assert f"psql {database.cluster.version}." in run.out + run.err
    run = store.run("dbrestore", "--noinput")
    assert "pg_restore" not in run.out + run.err


def test_locked_database_exits_with_1_and_shows_who_holds_it(database, store):
    store.settings.DBBACKUP_LOCK_TIMEOUT = DEADLINE
    store.backup()
    before = database.state()
    with holding(database) as holder:
        run = store.run("dbrestore", "--noinput")
        pid = holder.info.backend_pid
        assert run.status == 1
        assert f"The restore waits for process {pid} (owner, " in run.err
        assert f"process {pid}" in run.error
        assert run.error.endswith(INTACT)
        assert database.state() == before
        run = store.run("dbrestore", "--noinput", "--terminate-connections")
        assert run.error == ""
    assert database.state() == before


# A check that takes its time in a restore alone, so that the restore can be met halfway.
SLOW = """
CREATE FUNCTION slow(x int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
IF current_setting('application_name') LIKE 'dbbackup%' THEN PERFORM pg_sleep(1.5); END IF; RETURN true; END $$;
CREATE TABLE aa_first (id int CHECK (slow(id)));
INSERT INTO aa_first VALUES (1);
"""


@pytest.mark.slow
# By pg_restore itself, and by psql in a transaction of its own.
@pytest.mark.parametrize(("connector", "arguments"), [({}, []), (PLAIN, ["--exact"])], ids=["archive", "plain-exact"])
def test_killed_restore_leaves_the_old_data(make_database, project: Project, connector, arguments):
    database = make_database()
    database.psql(SHOP + SLOW + LARGE)
    project.configure(f"DATABASES = {{'default': {database.settings!r}}}")
    project.configure(f"DBBACKUP_CONNECTORS = {{'default': {connector!r}}}")
    assert manage(project, "dbbackup").returncode == 0
    database.psql("DELETE FROM purchase; CREATE TABLE newer (id int)")
    before = database.state()
    with subprocess.Popen(
        project.command("dbrestore", "--noinput", *arguments),
        env=project.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        wait_for(database, "pg_sleep", "COPY")
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert sessions_of_restores(database) == ""
    assert database.state() == before
    if not arguments:
        assert manage(project, "dbrestore", "--noinput").returncode == 0
        assert database.psql("SELECT count(*) FROM purchase") == "100"
        assert list(project.tmp.iterdir()) == []


def wait_for(database: Database, event: str, query: str) -> None:
    """Wait until the restore is in the middle of it."""
    deadline = time.monotonic() + 60
    asked = (
        f"SELECT FROM pg_stat_activity WHERE datname = '{database.name}'"
        f" AND wait_event ILIKE '{event.replace('_', '')}' AND query LIKE '{query}%'"
    )
    while database.cluster.psql(f"SELECT EXISTS ({asked})") != "t":
        assert time.monotonic() < deadline
        time.sleep(0.05)
