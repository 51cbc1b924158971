"""Servers and programs of different major versions: refused before anything runs, or brought together."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from dbbackup.db.exceptions import DumpError, RestoreError
from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector
from dbbackup.exceptions import ConfigurationError, DBBackupError
from tests.db.postgresql.formats import both_formats
from tests.db.postgresql.test_exact import prepared
from tests.db.postgresql.test_restore import INTACT, SEARCH_PATH, SHOP, failed
from tests.requirements import requires
from tests.servers.postgresql import Cluster
from tests.servers.programs import debian_bin, newer_bin

pytestmark = requires("postgresql", "postgresql:newer")


@pytest.fixture
def newer_database(make_database, newer_postgres: Cluster):
    database = make_database(cluster=newer_postgres)
    database.psql(SHOP)
    return database


@pytest.fixture
def older_database(make_database, postgres: Cluster):
    assert postgres.version == 15, "the tests below are about versions before 17"
    database = make_database()
    database.psql(SHOP)
    return database


def older(program: str) -> str:
    return str(debian_bin() / program)  # type: ignore[operator]


def newer(program: str) -> str:
    return str(newer_bin() / program)  # type: ignore[operator]


def with_newer_path() -> dict[str, dict[str, str]]:
    return {"ENV": {"PATH": f"{newer_bin()}:/usr/bin:/bin"}}


@both_formats
@pytest.mark.parametrize("given", [True, False])
def test_server_newer_than_pg_dump_is_refused(newer_database, cls, given):
    settings = {"DUMP_CMD": older("pg_dump")} if given else {"ENV": {"PATH": "/usr/bin:/bin"}}
    with pytest.raises(DBBackupError) as caught:
        newer_database.dump(cls, **settings)
    for word in ("17", "15.", "postgresql-client-17", "DUMP_CMD"):
        assert word in str(caught.value)


def test_server_newer_than_the_pg_dump_given_is_an_error_of_the_dump(newer_database):
    with pytest.raises(DumpError, match=r"The server is PostgreSQL 17\.\d+.*, and pg_dump is 15\."):
        newer_database.connector(DUMP_CMD=older("pg_dump")).preflight_dump()


@both_formats
def test_same_version_on_path_is_found(newer_database, cls):
    before = newer_database.state()
    dump = newer_database.dump(cls, **with_newer_path())
    newer_database.psql("DROP TABLE purchase")
    newer_database.restore(dump, cls, **with_newer_path())
    assert newer_database.state() == before


@pytest.mark.parametrize("how", ["given", "path"])
@pytest.mark.parametrize("settings", [{}, {"EXACT": True}, {"SINGLE_TRANSACTION": False}], ids=str)
def test_archive_by_a_newer_pg_dump_goes_back_into_the_older_server(older_database, how, settings):
    before = older_database.state()
    dump = older_database.dump(DUMP_CMD=newer("pg_dump"))
    older_database.psql("DROP TABLE purchase; UPDATE customer SET name = 'changed'")
    tools = {"RESTORE_CMD": newer("pg_restore")} if how == "given" else with_newer_path()
    older_database.restore(dump, **tools, **settings)
    assert older_database.state() == before


def test_its_failure_leaves_everything_as_it_was(older_database):
    older_database.psql(SEARCH_PATH)
    before, dump = older_database.state(), older_database.dump(DUMP_CMD=newer("pg_dump"))
    error = failed(older_database, dump, RESTORE_CMD=newer("pg_restore"))
    assert 'relation "customer" does not exist' in str(error)
    assert str(error).endswith(INTACT)
    assert older_database.state() == before


@pytest.mark.parametrize("exact", [False, True])
def test_plain_dump_by_a_newer_pg_dump_restores_through_the_older_psql(older_database, exact):
    before = older_database.state()
    dump = older_database.dump(PgDumpConnector, DUMP_CMD=newer("pg_dump"))
    assert b"SET transaction_timeout" in dump
    older_database.psql("DROP TABLE purchase")
    older_database.restore(dump, PgDumpConnector, EXACT=exact, PSQL_CMD=older("psql"))
    assert older_database.state() == before


@both_formats
@pytest.mark.parametrize("exact", [False, True])
def test_dump_of_an_older_server_goes_into_a_newer_one(older_database, make_database, newer_postgres, cls, exact):
    target = make_database(cluster=newer_postgres)
    target.restore(older_database.dump(cls), cls, EXACT=exact, **with_newer_path())
    assert newer_postgres.digest(target.name) == older_database.state()[1]


def test_dump_of_an_older_server_goes_into_a_newer_one_by_the_older_programs(
    older_database, make_database, newer_postgres
):
    target = make_database(cluster=newer_postgres)
    target.restore(older_database.dump(), ENV={"PATH": "/usr/bin:/bin"})
    assert newer_postgres.digest(target.name) == older_database.state()[1]


@pytest.mark.parametrize("given", [False, True])
def test_archive_that_only_a_newer_pg_restore_reads_is_refused(older_database, given):
    dump, before = older_database.dump(DUMP_CMD=newer("pg_dump")), older_database.state()
    settings = {"RESTORE_CMD": older("pg_restore")} if given else {"ENV": {"PATH": "/usr/bin:/bin"}}
    with pytest.raises(DBBackupError) as caught:
        older_database.restore(dump, **settings)
    for word in ("pg_restore", "17", "15.", "postgresql-client-17", "RESTORE_CMD"):
        assert word in str(caught.value)
    assert older_database.state() == before


def test_jobs_of_a_newer_pg_restore_on_an_older_server_are_refused(older_database):
    dump, before = older_database.dump(DUMP_CMD=newer("pg_dump")), older_database.state()
    with pytest.raises(RestoreError, match=r"in 2 jobs, because pg_restore 17\..* version 15\..*pass --jobs 1"):
        older_database.restore(dump, JOBS=2, RESTORE_CMD=newer("pg_restore"))
    assert older_database.state() == before


def test_programs_that_are_chosen_are_named(newer_database):
    connector = newer_database.connector(**with_newer_path())
    connector.preflight_dump()
    assert connector.tool_versions()["pg_dump"].startswith("17.")
    assert newer("pg_dump") in connector.tool_versions()["pg_dump"]
    restoring = newer_database.connector(**with_newer_path())
    dump = newer_database.dump(**with_newer_path())
    assert prepared(newer_database, dump, **with_newer_path()) == ""
    restoring.restore_dump(io.BytesIO(dump))
    assert {*restoring.tool_versions()} == {"pg_restore", "psql"}


@pytest.mark.parametrize(
    ("cls", "setting", "program"),
    [
        (PgDumpBinaryConnector, "RESTORE_CMD", "/bin/false"),
        (PgDumpBinaryConnector, "RESTORE_CMD", "/bin/ls"),
        (PgDumpBinaryConnector, "RESTORE_CMD", "no such program"),
        (PgDumpBinaryConnector, "PSQL_CMD", "/bin/true"),
        (PgDumpConnector, "PSQL_CMD", "/bin/false"),
        (PgDumpConnector, "RESTORE_CMD", "/bin/false"),
    ],
)
def test_program_that_is_none_is_an_error(older_database, cls, setting, program):
    dump, before = older_database.dump(cls), older_database.state()
    with pytest.raises(DBBackupError) as caught:
        older_database.restore(dump, cls, **{setting: program})
    assert isinstance(caught.value, ConfigurationError) or program == "no such program"
    assert program in str(caught.value)
    assert older_database.state() == before


def test_nothing_is_installed(older_database, tmp_path: Path):
    dump = older_database.dump(DUMP_CMD=newer("pg_dump"))
    with pytest.raises(DBBackupError, match="postgresql-client-17"):
        older_database.restore(dump, ENV={"PATH": str(tmp_path)})
