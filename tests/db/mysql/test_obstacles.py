"""What stands in the way of a restore is found before anything is touched, all of it at once."""

from __future__ import annotations

import gzip
import lzma
import re

import pytest

from tests.db.mysql.altering import CHANGES, SHOP, UNTOUCHED, refused, replaced, restored, with_statement
from tests.db.mysql.conftest import Database
from tests.requirements import requires
from tests.servers.mariadb import quote
from tests.shop import Store

pytestmark = requires("mariadb")


@pytest.fixture
def database(make_database, store: Store) -> Database:
    database: Database = make_database(alias="shop")
    database.sql(SHOP)
    return database


@pytest.fixture
def dump(database: Database) -> bytes:
    """Return a dump of what the database was before it changed."""
    dump = database.dump()
    database.sql(CHANGES)
    return dump


def test_dump_that_was_cut_behind_a_statement(database, store, dump):
    for end in (dump.index(b"-- Table structure for table `purchase`"), dump.rindex(b"-- Dump completed")):
        error = refused(database, store, dump[:end])
        assert "it was cut" in error
        assert UNTOUCHED in error


@pytest.mark.parametrize("where", [b"AUTO_INCREMENT,", b"'Ann", b"'Ann',", b"IF NEW.id", b"/*!40101 SET", b"CREATE"])
def test_dump_that_was_cut_within_a_statement(database, store, dump, where):
    assert "cut" in refused(database, store, dump[: dump.index(where) + len(where)])


@pytest.mark.parametrize(
    "garbage",
    [b"\x7fELF\x02\x01\x01\0\0\0", bytes(range(256)) * 10, b"-- PostgreSQL database dump\nSET statement_timeout = 0;\n",
     b"PGDMP\x01\x0e\0", b"SQLite format 3\0", b"", b"[{\"model\": \"auth.user\"}]"],
    ids=["program", "bytes", "postgresql", "archive", "sqlite", "nothing", "json"],
)  # fmt: skip
def test_file_that_is_no_dump_of_these_servers(database, store, dump, garbage):
    assert re.search("no dump of MySQL or MariaDB|empty|no SQL|cut", refused(database, store, garbage))


def test_compressed_dump_under_another_name_is_found_out(database, store, dump):
    run = restored(store, gzip.compress(dump))
    assert (run.status, run.error) == (0, "")
    assert database.sql("SELECT count(*) FROM purchase") == "3"
    assert "it is compressed with xz" in refused(database, store, lzma.compress(dump))


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("USE mysql", "USE `mysql`"),
        ("use `other one`", "USE `other one`"),
        ("CREATE DATABASE /*!32312 IF NOT EXISTS*/ `elsewhere`", "CREATE DATABASE `elsewhere`"),
        ("DROP DATABASE elsewhere", "DROP DATABASE `elsewhere`"),
        ("DROP TABLE IF EXISTS elsewhere.t", "DROP TABLE `elsewhere`.`t`"),
        ("INSERT INTO `elsewhere`.`t` VALUES (1)", "INSERT INTO `elsewhere`.`t`"),
    ],
)
def test_statement_that_reaches_another_database(database, store, dump, statement, named):
    error = refused(database, store, with_statement(dump, statement))
    assert named in error
    assert "--databases" in error


def test_dump_of_whole_databases(database, store, dump):
    made = f"\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ {quote(database.name)};\n\nUSE {quote(database.name)};\n"
    first = b"\n--\n-- Table structure for table `customer`"
    error = refused(database, store, replaced(dump, first, made.encode() + first))
    assert f"CREATE DATABASE {quote(database.name)}" in error
    assert f"USE {quote(database.name)}" in error
    assert "make it without --databases" in error


@pytest.mark.parametrize("command", ["\\! touch {}", "system touch {}", "\\. {}", "source {}", "tee {}", "\\T {}"])
def test_commands_for_the_client_do_not_run(database, store, dump, command, tmp_path):
    trace = tmp_path / "trace"
    line = f"\n{command.format(trace)}\n".encode()
    error = refused(database, store, replaced(dump, b"\n--\n-- Table structure for table `purchase`", line))
    assert "command for the client" in error
    assert not trace.exists()


def test_statement_that_the_server_would_not_take(database, store, dump):
    size = int(database.sql("SELECT @@max_allowed_packet"))
    statement = f"INSERT INTO customer VALUES (4, '{'x' * size}', NULL)"
    error = refused(database, store, with_statement(dump, statement))
    assert f"the server takes {size}" in error
    wanted = int(re.findall(r"SET GLOBAL max_allowed_packet = (\d+)", error)[0])
    assert wanted > len(statement)


def test_table_in_the_place_of_a_view_and_the_other_way_round(database, store, dump):
    database.sql(
        "DROP VIEW names; CREATE TABLE names (name int); DROP TABLE purchase; CREATE VIEW purchase AS SELECT 1 AS id;"
        " DROP SEQUENCE counter; CREATE TABLE counter (id int)"
    )
    error = refused(database, store, dump)
    assert "`names` is a table here and a view in the backup (--exact empties the database first)" in error
    assert "`purchase` is a view here and a table in the backup" in error
    assert "`counter` is a table here and a sequence in the backup" in error
    assert restored(store, dump, "--exact").status == 0
    assert database.dump() == dump


@pytest.fixture
def of_another(make_database, store: Store, mariadb) -> Database:
    """Return a database whose account may only look at it."""
    database: Database = make_database(alias="shop", user=mariadb.other)
    database.sql(SHOP)
    rights = "SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE, LOCK TABLES"
    database.server.grant(rights, database.name, mariadb.other)
    database.server.sql("GRANT SELECT ON mysql.proc TO other")
    return database


def test_rights_that_the_account_lacks_are_named_as_what_gives_them(of_another, store, request):
    server = of_another.server
    request.addfinalizer(lambda: server.sql("REVOKE SELECT ON mysql.proc FROM other"))
    of_another.sql("DROP VIEW names, all_names; DROP PROCEDURE shout; DROP FUNCTION half; DROP EVENT tidy")
    of_another.sql("DROP TRIGGER before_purchase")
    dump = of_another.dump()
    of_another.sql("DELETE FROM purchase")
    error = refused(of_another, store, dump)
    grant = re.findall(r"\((GRANT .*? TO '.*?'@'.*?')\)", error)[0]
    assert "CREATE, DROP, INSERT, ALTER" in grant
    assert "DELETE" not in grant
    server.sql(grant)
    run = restored(store, dump)
    assert (run.status, run.error) == (0, "")
    assert of_another.dump() == dump


def test_everything_at_once(database, store, dump):
    database.sql("DROP VIEW names; CREATE TABLE names (name int)")
    dump = with_statement(dump, "USE mysql", "CREATE TABLE odd (a int) COLLATE=utf8mb4_0900_ai_ci", "\\! touch /")
    dump = dump[: dump.rindex(b"-- Dump completed")]
    dump = dump.replace(b"DEFINER=`owner`@`%`", b"DEFINER=`somebody`@`elsewhere`")
    error = refused(database, store, dump)
    for part in ("it was cut", "USE `mysql`", "utf8mb4_0900_ai_ci", "`somebody`@`elsewhere`", "`names` is a table"):
        assert part in error
    assert "command for the client" in error
    assert error.count(UNTOUCHED) == 1


def test_server_that_is_read_only(database, store, dump, request):
    request.addfinalizer(lambda: database.server.sql("SET GLOBAL read_only = 0"))
    database.server.sql("SET GLOBAL read_only = 1")
    assert "the server is read only" in refused(database, store, dump)


def test_database_that_is_not_there(database, store, dump, mariadb):
    gone = {"NAME": "not there", "USER": mariadb.admin.name, "PASSWORD": mariadb.admin.password}
    store.settings.DBBACKUP_CONNECTORS = {"shop": gone}
    error = refused(database, store, dump)
    assert "Unknown database 'not there'" in error
    assert "CREATE DATABASE" in error
    # Who has no right to a database is not told whether it is there.
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"NAME": "not there"}}
    assert "Access denied for user 'owner'@'%' to database 'not there'" in refused(database, store, dump)


def test_no_obstacle_is_seen_in_strings_and_bodies(database, store):
    database.sql(
        "DELIMITER //\n"
        "CREATE PROCEDURE talk() BEGIN SELECT 'USE mysql; \\\\! ls', 'DEFINER=`a`@`b`'; -- \\! ls\n"
        'SELECT "\nsystem ls\nUSE mysql;\n"; END //\n'
        "DELIMITER ;\n"
        "INSERT INTO customer VALUES (4, '\\n\\\\! ls\\nUSE mysql;\\nsystem ls\\n', NULL)"
    )
    dump = database.dump()
    run = restored(store, dump)
    assert (run.status, run.error) == (0, "")
    assert database.dump() == dump
