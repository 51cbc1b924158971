"""Asking the server: what answers are, what of the server's settings is in the way, and answers that do not come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dbbackup.db.exceptions import CommandConnectorError, DumpError
from dbbackup.db.mysql.errors import is_gone
from dbbackup.db.mysql.facts import find_facts
from dbbackup.db.mysql.watching import execute
from dbbackup.db.watching import NoAnswer
from tests.db.mysql.conftest import Database, MakeDatabase
from tests.requirements import requires
from tests.servers.mariadb import MariaDB, quote

pytestmark = requires("mariadb")


@contextmanager
def server_with(server: MariaDB, **variables: str) -> Iterator[None]:
    """Set variables for new connections of the server for the length of a block."""
    before = {name: server.sql(f"SELECT @@GLOBAL.{name}") for name in variables}
    try:
        for name, value in variables.items():
            server.sql(f"SET GLOBAL {name} = {value}")
        yield
    finally:
        for name, value in before.items():
            number = value.replace(".", "").isdecimal()
            server.sql(f"SET GLOBAL {name} = " + (value if number else "'" + value.replace("'", "''") + "'"))


def test_question_that_is_not_answered_ends_in_its_time(database: Database):
    server = database.server
    with database.connector()._session("dump") as session:
        assert session.ask("SELECT 1") == [["1"]]
        began = time.monotonic()
        with server.frozen(), pytest.raises(NoAnswer, match="did not answer within 1 s") as caught:
            session.ask("SELECT 1", seconds=1)
        assert time.monotonic() - began < 30
        assert is_gone(caught.value)
        assert session.ask("SELECT 1", seconds=30) == [["1"]]


def test_question_that_takes_long_ends_in_its_time(database: Database):
    with database.connector()._session("dump") as session:
        began = time.monotonic()
        with pytest.raises(NoAnswer):
            session.ask("SELECT 1; SELECT SLEEP(60)", seconds=1)
        assert time.monotonic() - began < 30
        assert list(Path(session.variables["HOME"]).glob("*.cnf"))
    assert list(database.tmp.glob("dbbackup-*")) == []


def test_error_of_the_server_is_no_missing_answer(database: Database):
    with database.connector()._session("dump") as session:
        with pytest.raises(CommandConnectorError, match="ERROR 1146") as caught:
            session.ask("SELECT 1; SELECT * FROM nothing; SELECT 2")
        assert not is_gone(caught.value)
        with pytest.raises(CommandConnectorError, match="ERROR 1064"):
            execute(session, "SELEC 1")


def test_server_that_went_away_is_told_from_one_that_refuses(database: Database):
    with database.connector(PORT="1")._session("dump") as session:
        with pytest.raises(CommandConnectorError, match="ERROR 2002") as caught:
            session.ask("SELECT 1")
        assert is_gone(caught.value)
    with database.connector(PASSWORD="wrong")._session("dump") as session:
        with pytest.raises(CommandConnectorError, match="ERROR 1045") as caught:
            session.ask("SELECT 1")
        assert not is_gone(caught.value)


VARIABLES = {
    "quotes": {"sql_mode": "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH'"},
    "names without quotes": {"sql_quote_show_create": "0"},
    "init_connect": {"init_connect": "'SET sql_mode = ''ANSI,ONLY_FULL_GROUP_BY,STRICT_ALL_TABLES'''"},
    "Latin-1": {"character_set_client": "latin1", "collation_connection": "latin1_bin"},
    "no autocommit": {"autocommit": "0"},
    "low priority": {"low_priority_updates": "1"},
}  # fmt: skip


def awkward(database: Database) -> None:
    database.sql(
        "CREATE TABLE `a \\\"'ü` (a char(5), b float); CREATE TABLE b (a int); CREATE VIEW v AS SELECT a FROM b;"
        "INSERT INTO `a \\\"'ü` VALUES ('x ', 1.5); INSERT INTO b VALUES (1), (2), (3);"
        "CREATE PROCEDURE p() SELECT 'it\\'s', \"x\"; CREATE TRIGGER t BEFORE INSERT ON b FOR EACH ROW SET @a = 1"
    )


@pytest.mark.parametrize("case", VARIABLES)
def test_settings_of_the_server_are_not_in_the_way(make_database: MakeDatabase, case: str):
    database = make_database(f"awkward {case} \\ 'x_y'")
    awkward(database)
    before = database.state()
    with database.connector()._session("dump") as session:
        usual = find_facts(session)
    with server_with(database.server, **VARIABLES[case]):
        with database.connector()._session("dump") as session:
            facts = find_facts(session)
        dump = database.dump()
        database.sql("DELETE FROM b; DROP VIEW v; COMMIT")
        database.restore(dump)
    assert facts.tables.keys() == usual.tables.keys()
    assert facts.objects == usual.objects
    assert [facts.grants.here(right) for right in ("SELECT", "TRIGGER", "EVENT")] == [True, True, True]
    assert database.state() == before


def test_limit_of_rows_is_never_a_limit_of_the_dump(database: Database):
    """The programs neither lift it nor say a word: the tables and rows beyond it would be missing."""
    database.sql("CREATE TABLE a (a int); CREATE TABLE b (a int); INSERT INTO a VALUES (1), (2)")
    with server_with(database.server, sql_select_limit="1"), pytest.raises(DumpError, match="sql_select_limit"):
        database.dump()


@pytest.fixture
def limits(database: Database) -> Iterator[Callable[[str], None]]:
    """Return what sets a limit of the owner's account."""
    name = quote(database.server.owner.name)

    def limit(words: str) -> None:
        database.server.sql(f"ALTER USER {name} WITH {words}")

    yield limit
    limit("MAX_STATEMENT_TIME 0")


def test_time_limit_of_the_account_is_not_in_the_way(database: Database, limits: Callable[[str], None]):
    limits("MAX_STATEMENT_TIME 0.5")
    with pytest.raises(AssertionError, match="ERROR 1969"):
        database.sql("SELECT SLEEP(2)")
    with database.connector()._session("dump") as session:
        assert session.ask("SELECT SLEEP(1)") == [["0"]]
        execute(session, "DO SLEEP(1)")


def test_time_limit_of_the_account_holds_for_no_load(database: Database, limits: Callable[[str], None]):
    limits("MAX_STATEMENT_TIME 0.5")
    database.restore(b"CREATE TABLE t AS SELECT SLEEP(1) AS slept;\n")
    assert database.sql("SELECT slept FROM t") == "0"


def test_connect_timeout_is_the_settings_own(database: Database):
    for timeout, expected in {None: ["--connect-timeout=10"], 3: []}.items():
        options = {"charset": "utf8mb4", **({"connect_timeout": timeout} if timeout else {})}
        with database.connector(OPTIONS=options)._session("dump") as session:
            found = [word for word in session.client_args() if word.startswith("--connect-timeout")]
            assert found == expected
            content = Path(session.client_args()[1].partition("=")[2]).read_text()
            assert ("connect-timeout" in content) is bool(timeout)


def test_login_is_the_first_argument_and_in_a_file_of_the_owner_s(database: Database):
    with database.connector()._session("dump") as session:
        program, login, *rest = session.client_args()
        assert program == session.client.path
        path = Path(login.removeprefix("--defaults-extra-file="))
        assert [path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777] == [0o600, 0o700]
        assert path.is_relative_to(database.tmp)
        assert not [word for word in rest if "password" in word.lower() or word.startswith("-p")]
        assert session.client_args()[1] == login
    assert not path.parent.exists()
