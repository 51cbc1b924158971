"""A restore that fails halfway: the safety dump is put back, and everything is as it was."""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import subprocess
from contextlib import closing, suppress
from pathlib import Path

import pytest

from dbbackup.db.exceptions import RestoreError
from dbbackup.streams import PeekableReader
from tests.db.mysql.altering import CHANGES, SHOP, left, mode, put_back, replaced, restored, with_statement
from tests.db.mysql.conftest import Database
from tests.requirements import requires
from tests.servers.mariadb import quote
from tests.servers.mariadb_install import pattern
from tests.shop import Store

pytestmark = requires("mariadb")


@pytest.fixture
def database(make_database, store: Store) -> Database:
    database: Database = make_database(alias="shop")
    database.sql(SHOP)
    return database


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("INSERT INTO customer VALUES (1, 'Ann again', NULL)", "Duplicate entry '1'"),
        ("INSERT INTO customer (nmae) VALUES ('x')", "Unknown column 'nmae'"),
        ("INSERT INTO purchase VALUES", "You have an error in your SQL syntax"),
        (
            "SET sql_mode = 'NO_ENGINE_SUBSTITUTION'; CREATE TABLE odd (id int) ENGINE=NoSuchEngine",
            "Unknown storage engine 'NoSuchEngine'",
        ),
        ("CREATE TABLE odd (id int DEFAULT no_such_function(1))", "no_such_function"),
        ("SET foreign_key_checks = 1; UPDATE customer SET boss = 99 WHERE id = 1", "foreign key constraint fails"),
        ("SET GLOBAL max_connections = 10", "SUPER"),
        ("SET @@SESSION.nothing_like_it = 1", "Unknown system variable"),
        ("SET sql_mode = 'STRICT_ALL_TABLES'; UPDATE customer SET id = 'x'", "Incorrect integer value"),
    ],
    ids=["duplicate", "column", "syntax", "engine", "function", "foreign key", "right", "variable", "strict"],
)
def test_statement_in_the_middle_that_fails(database, store, statement, said):
    dump = with_statement(database.dump(), statement)
    database.sql(CHANGES)
    assert said in put_back(database, store, dump)


def test_last_statement_that_fails(database, store):
    dump = database.dump()
    end = dump.rindex(b"-- Dump completed")
    database.sql(CHANGES)
    dump = dump[:end] + b"INSERT INTO customer VALUES (1, 'again', NULL);\n" + dump[end:]
    assert "Duplicate" in put_back(database, store, dump)


def test_failing_restore_of_a_signed_backup(database, store):
    store.backup()
    # The name of a trigger is the whole database's, and a newer table has it now.
    trigger = "CREATE TRIGGER before_purchase BEFORE INSERT ON newer FOR EACH ROW SET NEW.id = 1"
    database.sql(CHANGES + trigger)
    assert "Trigger 'test" in (error := put_back(database, store))
    assert "before_purchase' already exists" in error


def test_what_the_half_restore_has_made_goes(database, store):
    made = (
        "CREATE TABLE brand_new (id int)",
        "CREATE VIEW brand_new_view AS SELECT 1 AS one",
        "CREATE SEQUENCE brand_new_sequence",
        "CREATE FUNCTION brand_new_function() RETURNS int RETURN 1",
        "CREATE PROCEDURE brand_new_procedure() SELECT 1",
        "CREATE EVENT brand_new_event ON SCHEDULE EVERY 1 YEAR DO SELECT 1",
        "CREATE TRIGGER brand_new_trigger BEFORE INSERT ON brand_new FOR EACH ROW SET NEW.id = 1",
        "INSERT INTO nowhere VALUES (1)",
    )
    assert "nowhere" in put_back(database, store, with_statement(database.dump(), *made))


def test_view_of_the_half_restore_under_the_name_of_a_table_does_not_block(database, store):
    # Hidden, as otherwise it is refused at once.
    hidden = "EXECUTE IMMEDIATE 'CREATE VIEW price AS SELECT 1 AS id'"
    made = ("DROP TABLE price", hidden, "INSERT INTO nowhere VALUES (1)")
    dump = with_statement(database.dump(), *made)
    assert "nowhere" in put_back(database, store, dump)


def test_table_of_the_half_restore_under_the_name_of_a_view_does_not_block(database, store):
    made = ("DROP VIEW IF EXISTS names", "CREATE TABLE names (id int)", "INSERT INTO nowhere VALUES (1)")
    dump = with_statement(database.dump(), *made)
    assert "nowhere" in put_back(database, store, dump)


def test_exact_restore_that_fails_brings_everything_back(database, store):
    dump = with_statement(database.dump(), "INSERT INTO nowhere VALUES (1)")
    database.sql(CHANGES)
    assert "nowhere" in put_back(database, store, dump, "--exact")


def test_dump_that_lacks_what_it_says_to_have_is_put_back(database, store):
    # Dropped again where reading the dump does not see it.
    dump = database.dump()
    end = dump.rindex(b"-- Dump completed")
    dump = dump[:end] + b"EXECUTE IMMEDIATE 'DROP TABLE purchase';\n" + dump[end:]
    assert "`purchase`, trigger `before_purchase` is not there" in put_back(database, store, dump)


def test_table_that_somebody_else_has_open(database, store):
    """An open transaction that has only read holds up the restore and the putting back alike."""
    store.settings.DBBACKUP_LOCK_TIMEOUT = 2
    dump = database.dump()
    database.sql(CHANGES)
    before = database.state()
    with closing(database.server.connect(database=database.name)) as reader, reader.cursor() as cursor:
        cursor.execute("START TRANSACTION")
        cursor.execute("SELECT COUNT(*) FROM purchase")
        run = restored(store, dump)
        assert run.status == 1
        assert "DBBACKUP_LOCK_TIMEOUT" in run.error
        assert "Putting the safety dump back failed" not in run.error
        assert left(store) == []
    assert database.state() == before
    assert restored(store, dump).status == 0


def by_hand(error: str, password: str) -> None:
    """Run the line that an error shows, at a terminal where the password is typed."""
    line = error.splitlines()[-1].partition("load it by: ")[2]
    assert password not in line
    terminal, its_end = os.openpty()
    with os.fdopen(terminal, "rb+", buffering=0) as screen:
        # As the child's controlling terminal: the client asks there, because its input is the dump.
        with subprocess.Popen(
            ["setsid", "--ctty", "--wait", "bash", "-o", "pipefail", "-c", line],
            stdin=its_end,
            stdout=its_end,
            stderr=its_end,
        ) as process:
            os.close(its_end)
            shown = b""
            while b"password" not in shown:
                shown += screen.read(1000)
            screen.write(f"{password}\n".encode())
            with suppress(OSError):
                while more := screen.read(1000):
                    shown += more
        assert process.returncode == 0, shown


def half_restored(database: Database, dump: bytes, said: list[str]) -> str:
    """Return the error of a restore that fails, as does putting back, because a right is lost meanwhile."""
    server, where = database.server, quote(pattern(database.name))
    connector = database.connector()

    def listen(text: str) -> None:
        said.append(text)
        server.sql(f"REVOKE INSERT ON {where}.* FROM owner")

    connector.listen(listen)
    with pytest.raises(RestoreError) as caught:
        connector.restore_dump(io.BytesIO(dump))
    server.grant("ALL", database.name, server.owner)
    return str(caught.value)


def test_putting_back_that_fails_says_where_the_safety_dump_lies_and_how_to_load_it(database):
    said: list[str] = []
    dump = with_statement(database.dump(), "INSERT INTO nowhere VALUES (1)")
    database.sql(CHANGES)
    expected = database.state()
    error = half_restored(database, dump, said)
    assert said == ["The restore failed; the safety dump is put back."]
    assert "nowhere" in error
    assert "Putting the safety dump back failed as well, and database 'shop' is not as it was" in error
    assert "INSERT" in error
    assert database.state() != expected
    path = Path(re.findall(r"The safety dump is (.+)\. When", error)[0])
    assert path.is_absolute()
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    assert path.parent.parent == database.tmp
    # The next one names it.
    connector = database.connector()
    connector.inspect_dump(PeekableReader(io.BytesIO(gzip.decompress(path.read_bytes()))))
    *_, warning = connector.preflight_restore()
    assert str(path) in warning
    assert error.splitlines()[-1].partition("load it by: ")[2] in warning
    by_hand(error, database.server.owner.password)
    assert database.state() == expected
    assert path.exists()
    shutil.rmtree(path.parent)


def test_changed_dump_is_no_longer_what_it_was(database):
    # The other tests rely on it.
    dump = database.dump()
    assert with_statement(dump, "SELECT 1") != dump
    with pytest.raises(AssertionError):
        replaced(dump, b"no such text", b"")
