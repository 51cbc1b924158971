"""Objects that the dump programs write in a way that does not load, or not to the same end."""

from __future__ import annotations

import pytest

from dbbackup.db.exceptions import DumpError
from dbbackup.db.mysql.views import CheckedViews
from dbbackup.streams import IteratorReader
from tests.db.mysql.conftest import Database, MakeDatabase
from tests.requirements import requires

pytestmark = requires("mariadb")


def there_and_back(database: Database, **settings: object) -> None:
    before = database.state()
    dump = database.dump()
    database.sql("CREATE TABLE newer (id int)")
    database.restore(dump, EXACT=True, **settings)
    assert database.state() == before


def put_back(database: Database) -> None:
    """Let a restore fail, and see that everything is there again."""
    before = database.state()
    dump = database.dump().replace(b"-- Dump completed", b"SELECT no_such_column;\n-- Dump completed")
    with pytest.raises(Exception, match="put back and verified"):
        database.restore(dump)
    assert database.state() == before


@pytest.fixture(params=[there_and_back, put_back])
def survives(request):
    return request.param


def test_comments_in_bodies(database, survives):
    database.sql("""
        CREATE TABLE thing (id int, k int);
        DELIMITER //
        CREATE TRIGGER t BEFORE INSERT ON thing FOR EACH ROW BEGIN /* it's; */ SET new.k = 1; /* so */ END//
        CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DO BEGIN /* a; */ DELETE FROM thing WHERE id = 1; -- b;
        END//
        CREATE PROCEDURE p() BEGIN /* kept */ SELECT 1; # and this
        END//
    """)

    survives(database)

    database.sql("INSERT INTO thing VALUES (1, 5)")
    assert database.sql("SELECT k FROM thing") == "1"


def test_a_default_from_a_sequence(database, survives):
    database.sql("""
        CREATE SEQUENCE numbers;
        CREATE TABLE thing (id int DEFAULT NEXTVAL(numbers), name text);
        INSERT INTO thing (name) VALUES ('a'), ('b');
    """)

    survives(database)


def test_views_checked_through_others(database, survives):
    database.sql("""
        CREATE TABLE thing (id int PRIMARY KEY, k int);
        CREATE VIEW z_base AS SELECT * FROM thing WHERE k > 0 WITH LOCAL CHECK OPTION;
        CREATE VIEW a_first AS SELECT * FROM z_base WHERE k < 9 WITH CASCADED CHECK OPTION;
        CREATE VIEW m_plain AS SELECT id FROM a_first;
    """)

    survives(database)

    with pytest.raises(AssertionError, match="CHECK OPTION failed"):
        database.sql("INSERT INTO a_first VALUES (1, 10)")


def test_packages(database, survives):
    database.sql("""
        SET sql_mode = 'ORACLE';
        DELIMITER //
        CREATE PACKAGE pack AS FUNCTION one RETURN int; END//
        CREATE PACKAGE BODY pack AS FUNCTION one RETURN int AS BEGIN RETURN 1; END; END//
    """)

    survives(database)


def test_rows_that_a_check_forbids(database, survives):
    database.sql("""
        CREATE TABLE thing (id int CHECK (id > 0));
        SET check_constraint_checks = 0;
        INSERT INTO thing VALUES (-1);
    """)

    survives(database)


def test_dates_that_are_none(database, survives):
    database.sql("""
        SET sql_mode = 'ALLOW_INVALID_DATES';
        CREATE TABLE thing (day date DEFAULT '2020-02-31');
        INSERT INTO thing VALUES ('2021-02-30'), ('0000-00-00');
    """)

    survives(database)


def test_a_trigger_that_names_its_database(make_database: MakeDatabase):
    one, other = make_database(), make_database()
    one.sql(f"""
        CREATE TABLE thing (id int);
        CREATE TRIGGER `{one.name}`.counting BEFORE INSERT ON `{one.name}`.thing FOR EACH ROW SET new.id = 7;
    """)
    there_and_back(one)

    other.restore(one.dump())

    other.sql("INSERT INTO thing VALUES (1)")
    assert other.sql("SELECT id FROM thing") == "7"
    assert one.sql("SELECT count(*) FROM thing") == "0"


def test_an_event_at_which_the_dump_program_hangs(database):
    database.sql("CREATE EVENT endless ON SCHEDULE EVERY 1 YEAR DO SELECT ';;'")

    with pytest.raises(DumpError, match=r"event `endless` has ;; in its text"):
        database.dump()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_checked_view_comes_twice(size):
    dump = (
        b"/*!50001 SET character_set_client      = utf8mb4 */;\n"
        b"/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50001 VIEW `v` AS select 1 */\n"
        b"/*!50002 WITH LOCAL CHECK OPTION */;\n"
        b"SELECT '/*!50002 WITH LOCAL CHECK OPTION */;\n';\n"
    )

    cut = IteratorReader(dump[start : start + size] for start in range(0, len(dump), size))
    with CheckedViews(cut) as reader:
        passed = reader.read()

    first, _, last = passed.partition(b"SELECT '/*!50002 WITH LOCAL CHECK OPTION */;\n';\n")
    assert first == dump.partition(b"SELECT")[0].replace(b"/*!50002 WITH LOCAL CHECK OPTION */", b"")
    assert last == dump.partition(b"SELECT '")[0].replace(b"CREATE", b"CREATE OR REPLACE")
