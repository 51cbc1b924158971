"""Restores over several connections at once, from a file that others must not read."""

from __future__ import annotations

import pytest

from dbbackup.db.exceptions import CommandConnectorError, RestoreError
from dbbackup.db.postgresql import PgDumpConnector
from dbbackup.exceptions import ConfigurationError
from tests.db.postgresql.test_exact import prepared
from tests.db.postgresql.test_restore import SEARCH_PATH, SHOP, Failing, failed
from tests.requirements import requires

pytestmark = requires("postgresql")


def test_jobs_restore_the_same(database):
    database.psql(SHOP)
    before, dump = database.state(), database.dump()
    database.psql("DROP TABLE purchase; UPDATE customer SET name = 'x'")
    assert "3 jobs cannot share one transaction" in prepared(database, dump, JOBS=3)
    database.restore(dump, JOBS=3)
    assert database.state() == before
    assert list(database.tmp.iterdir()) == []


@pytest.mark.parametrize("fails", [False, True])
def test_spooled_dump_is_private_and_does_not_stay(database, tmp_path, fails):
    database.psql(SHOP + (SEARCH_PATH if fails else ""))
    dump = database.dump()
    database.tmp = tmp_path / "temporary"
    database.tmp.mkdir(mode=0o755)
    spy, seen = tmp_path / "spy", tmp_path / "seen"
    spy.write_text(f'#!/bin/bash\nfor file; do :; done\nstat -c "%a %s" "$file" "${{file%/*}}" > {seen}\nexec "$@"\n')
    spy.chmod(0o755)
    if fails:
        failed(database, dump, JOBS=2, RESTORE_PREFIX=str(spy))
    else:
        database.restore(dump, JOBS=2, RESTORE_PREFIX=str(spy))
    file, folder = seen.read_text().splitlines()
    assert file == f"600 {len(dump)}"
    assert folder.split()[0] == "700"
    assert list(database.tmp.iterdir()) == []


def test_failing_job_says_what_is_left(database):
    database.psql(SHOP + SEARCH_PATH)
    error = failed(database, database.dump(), JOBS=2)
    assert "Not in one transaction" in str(error)
    assert "now has a part of the backup" in str(error)


def test_source_that_fails_while_it_is_spooled_leaves_everything(database):
    database.psql(SHOP)
    dump, before = database.dump(), database.state()
    with pytest.raises(OSError, match="cable"):
        database.connector(JOBS=2).restore_dump(Failing(dump[:-1]))
    assert database.state() == before
    assert list(database.tmp.iterdir()) == []


def test_jobs_and_exact_go_together_only_into_an_empty_database(make_database):
    source, empty = make_database(), make_database()
    source.psql(SHOP)
    before, dump = source.state(), source.dump()
    with pytest.raises(RestoreError, match=r"--jobs and --exact .* empty database.*Nothing was changed"):
        source.restore(dump, JOBS=2, EXACT=True)
    assert source.state() == before
    empty.restore(dump, JOBS=2, EXACT=True)
    assert empty.state() == before


def test_database_with_anything_in_it_is_not_empty(database):
    dump = database.dump()
    leftovers = {
        "CREATE SCHEMA s": "DROP SCHEMA s",
        "CREATE TYPE t AS ENUM ()": "DROP TYPE t",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'": "DROP FUNCTION f",
        "SELECT lo_create(7)": "SELECT lo_unlink(7)",
    }
    for make, remove in leftovers.items():
        database.psql(make)
        with pytest.raises(RestoreError, match="empty database"):
            database.restore(dump, JOBS=2, EXACT=True)
        database.psql(remove)
    database.restore(dump, JOBS=2, EXACT=True)


def test_plain_dump_takes_no_jobs(database):
    database.psql(SHOP)
    dump = database.dump(PgDumpConnector)
    with pytest.raises(RestoreError, match=r"--jobs needs an archive"):
        database.restore(dump, PgDumpConnector, JOBS=2)


def test_only_jobs_take_temporary_space(database):
    assert database.connector(JOBS=2).temporary_bytes(1234) == 1234
    assert database.connector(PG_OPTIONS="-j 2").temporary_bytes(1234) == 1234
    assert database.connector(JOBS=1).temporary_bytes(1234) == 0
    assert database.connector().temporary_bytes(1234) == 0


def test_number_of_jobs_that_is_none_is_refused(database):
    dump = database.dump()
    for jobs in (0, -1, "many", 1.5):
        with pytest.raises(ConfigurationError, match="JOBS"):
            database.restore(dump, JOBS=jobs)


def test_role_of_the_restore_is_that_of_every_job(database):
    database.psql(SHOP)
    dump = database.dump()
    with pytest.raises(CommandConnectorError, match='role "nobody" does not exist'):
        database.restore(dump, JOBS=2, ROLE="nobody")
