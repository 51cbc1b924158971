"""One of each thing that MariaDB has comes back equal, whatever the database had in between."""

from __future__ import annotations

import subprocess

import pytest

from dbbackup.db.exceptions import ConnectorError
from tests.db.mysql.awkward import ESCAPED, EVENT, NAMES, ROUTINES, TABLES
from tests.db.mysql.everything import (
    CHANGES,
    EVERYTHING,
    LEFTOVERS,
    both_servers,
    check_restored,
    fill,
    programs,
    state,
)
from tests.requirements import requires

pytestmark = requires("mariadb")


@pytest.fixture
def make(request, make_database, server):
    """Return what makes a database on the server of the test."""
    running = request.getfixturevalue(server)

    def make(script="", **settings):
        database = make_database(server=running, **programs(running), **settings)
        fill(database, script)
        return database

    return make


@both_servers
def test_everything_comes_back_in_another_database(make):
    source, target = make(EVERYTHING), make()
    assert check_restored(target, source.dump()) == []
    assert state(target) == state(source)


@both_servers
def test_everything_comes_back_over_itself_and_over_what_has_changed(make):
    database = make(EVERYTHING)
    before, dump = state(database), database.dump()
    assert check_restored(database, dump) == []
    assert state(database) == before
    fill(database, CHANGES)
    assert state(database) != before
    assert check_restored(database, dump) == []
    assert state(database) == before


@both_servers
def test_leftovers_stay_and_an_exact_restore_removes_them(make):
    database = make(EVERYTHING)
    before, dump = state(database), database.dump()
    fill(database, CHANGES + LEFTOVERS)
    warning, *_ = check_restored(database, dump)
    for name in ("left; over", "left_view", "left_sequence", "left_procedure", "left_f", "left_event", "left_child"):
        assert f"`{name}` " in warning.replace(",", " "), name
    made, rows = state(database)
    assert (made["TABLE bytes"], rows["bytes"]) == (before[0]["TABLE bytes"], before[1]["bytes"])
    assert {"TABLE left; over", "VIEW left_view", "TRIGGER left_trigger"} <= made.keys()
    assert check_restored(database, dump, EXACT=True) == []
    assert state(database) == before


@both_servers
def test_equal_databases_give_equal_dumps(make):
    source, target = make(EVERYTHING), make()
    dump = source.dump()
    assert source.dump() == dump
    target.restore(dump)
    # The name of the database is in the comments.
    assert target.dump().replace(target.name.encode(), b"") == dump.replace(source.name.encode(), b"")


@both_servers
def test_table_whose_default_is_the_next_number_of_a_sequence_comes_back(make):
    source, target = (
        make("CREATE SEQUENCE s; CREATE TABLE a (id bigint PRIMARY KEY DEFAULT NEXTVAL(s), t text);"),
        make(),
    )
    source.sql("INSERT INTO a (t) VALUES ('one'), ('two')")
    target.restore(source.dump())
    assert state(target) == state(source)


@both_servers
def test_view_with_check_option_on_a_view_of_a_later_name_comes_back(make):
    views = "CREATE VIEW z AS SELECT i FROM t WHERE i > 0; CREATE VIEW a AS SELECT i FROM z WITH CASCADED CHECK OPTION"
    source, target = make(f"CREATE TABLE t (i int); {views}"), make()
    target.restore(source.dump())
    assert state(target) == state(source)


@both_servers
def test_date_that_does_not_exist_comes_back(make):
    source, target = make("SET sql_mode = 'ALLOW_INVALID_DATES'; CREATE TABLE a (d date DEFAULT '2021-02-31')"), make()
    source.sql("SET sql_mode = 'ALLOW_INVALID_DATES'; INSERT INTO a VALUES ('2020-02-31'), (DEFAULT)")
    target.restore(source.dump())
    assert target.sql("SELECT d FROM a ORDER BY d") == "2020-02-31\n2021-02-31"


@both_servers
def test_row_that_fails_a_check_comes_back(make):
    source, target = make("CREATE TABLE a (i int CHECK (i > 0)); SET check_constraint_checks = 0"), make()
    source.sql("SET check_constraint_checks = 0; INSERT INTO a VALUES (-1), (1)")
    target.restore(source.dump())
    assert state(target) == state(source)


@both_servers
def test_comments_in_routines_triggers_and_events_come_back(make):
    body = "BEGIN /* it's; a 'comment' */ SET @a = 1; -- another; 'one'\n # and `a third\n END"
    source, target = make(f"CREATE TABLE t (i int); CREATE PROCEDURE p() {body}"), make()
    fill(source, f"CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW {body}")
    fill(source, f"CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' DO {body}")
    target.restore(source.dump())
    made = state(target)[0]
    assert made == state(source)[0]
    for name in ("PROCEDURE p", "TRIGGER r", "EVENT e"):
        assert "-- another; 'one'" in str(made[name].values()).replace("\\'", "'"), name


@both_servers
def test_float_is_warned_of_by_column_and_six_digits_come_back(make):
    source, target = make("CREATE TABLE `a b` (f float, `g``h` float(7,2), d double)"), make()
    source.sql("INSERT INTO `a b` VALUES (0.5, 1.25, 0.1), (-123456, 99999.5, 1e300), (1e-30, NULL, 5e-324)")
    connector = source.connector()
    (warning,) = connector.preflight_dump()
    assert "`a b`.`f`, `a b`.`g``h` is FLOAT" in warning
    assert "`d`" not in warning
    target.restore(source.dump())
    assert state(target) == state(source)


DEFAULTS = {
    "no-backslash": "sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'",
    "strict": "sql_mode = 'TRADITIONAL,ONLY_FULL_GROUP_BY,NO_UNSIGNED_SUBTRACTION,PAD_CHAR_TO_FULL_LENGTH'",
    "oracle": "sql_mode = 'ORACLE,NO_ZERO_DATE,NO_ZERO_IN_DATE,STRICT_ALL_TABLES'",
    "zone": "time_zone = '+05:30', GLOBAL character_set_server = latin1, GLOBAL innodb_strict_mode = ON",
}


@pytest.mark.parametrize("defaults", DEFAULTS.values(), ids=DEFAULTS)
@both_servers
def test_everything_comes_back_on_a_server_with_other_defaults(make, defaults):
    source, target = make(EVERYTHING), make()
    server, before = source.server, state(source)
    try:
        server.sql(f"SET GLOBAL {defaults}")
        dump = source.dump()
        target.restore(dump)
        fill(source, CHANGES)
        source.restore(dump)
        # Over what is there, and exactly: the safety dump is made here too.
        target.restore(dump, EXACT=True)
    finally:
        for variable in ("sql_mode", "time_zone", "character_set_server"):
            server.sql(f"SET GLOBAL {variable} = {'utf8mb4' if 'character' in variable else 'DEFAULT'}")
    assert state(target) == before
    assert state(source) == before


@requires("age-keygen", "python:pyrage")
@pytest.mark.parametrize("flags", [[], ["-z"], ["-z", "zstd"], ["-z", "zstd", "-e", "age"]], ids=" ".join)
def test_everything_comes_back_through_the_commands(store, make_database, tmp_path, flags):
    identity = tmp_path / "identity"
    made = subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True, text=True)
    store.settings.DBBACKUP_AGE_RECIPIENTS = [made.stderr.split()[-1]]
    store.settings.DBBACKUP_AGE_IDENTITY_FILE = str(identity)
    database = make_database(alias="shop")
    fill(database)
    before = state(database)
    store.backup(*flags)
    assert store.run("verifybackups", "--json").status == 0
    fill(database, CHANGES)
    run = store.run("dbrestore", "--noinput", "--json")
    assert run.error == ""
    assert run.lines[-1]["warnings"] == []
    assert state(database) == before
    fill(database, CHANGES + LEFTOVERS)
    assert store.run("dbrestore", "--noinput", "--exact").error == ""
    assert state(database) == before
    assert [*store.tmp.iterdir()] == []


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@both_servers
def test_database_of_any_name_comes_back(request, make_database, server, name):
    running = request.getfixturevalue(server)
    database = make_database(name, server=running, **programs(running))
    fill(database, TABLES + ROUTINES + ("" if ESCAPED & {*name} else EVENT))
    before, dump = database.state(), database.dump()
    for exact in (False, True):
        database.sql(
            "DELETE FROM child; DROP VIEW seen; ALTER TABLE `a b` DROP COLUMN t; CREATE TABLE IF NOT EXISTS z (i int)"
        )
        database.restore(dump, EXACT=exact)
        assert ("TABLE z" not in database.state()[0]) is exact
    assert database.state() == before


def test_database_of_any_name_comes_back_through_the_commands(store, make_database):
    database = make_database('a b.c`d"e', alias="shop")
    fill(database, TABLES + ROUTINES)
    before = database.state()
    store.backup("-x", "child")
    store.backup()
    database.sql("DROP VIEW seen; DROP TABLE child")
    assert store.run("dbrestore", "--noinput").error == ""
    assert database.state() == before


@pytest.mark.parametrize("name", [name for name in NAMES.values() if ESCAPED & {*name}] + ["back\\slash"], ids=repr)
def test_events_and_a_quote_in_the_name_of_the_database_are_an_error_that_says_so(make_database, name):
    database = make_database(name)
    fill(database, TABLES + EVENT)
    with pytest.raises(ConnectorError, match=r"events of a database.* in its name.*Rename the database"):
        database.dump()
