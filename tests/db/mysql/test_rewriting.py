from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.mysql.contents import scan
from dbbackup.db.mysql.lexer import Lexer
from dbbackup.db.mysql.rewriting import Changes, Rewriter

SANDBOX = b"/*M!999999\\- enable the sandbox mode */ \n"
COLLATIONS = {"utf8mb4_0900_ai_ci": "utf8mb4_uca1400_ai_ci"}
EVERYTHING = Changes(drop_sandbox=True, strip_definer=True, collations=COLLATIONS, database="new")
# Everything in it looks like something to change.
UNTOUCHED = (
    b"-- DEFINER=`x`@`y` COLLATE utf8mb4_0900_ai_ci\n"
    b"INSERT INTO `t` VALUES (1,'CREATE DEFINER=`x`@`y` VIEW v; COLLATE utf8mb4_0900_ai_ci'),\n"
    b"(2,'\\n/*M!999999\\\\- x */\\nALTER DATABASE `old` COLLATE utf8mb4_0900_ai_ci;\\n'),(3,'\0');\n"
    b"CREATE TABLE `DEFINER=x` (`COLLATE utf8mb4_0900_ai_ci` int COMMENT 'COLLATE utf8mb4_0900_ai_ci')"
    b" COLLATE=utf8mb4_bin;\n"
    b"/* CREATE DEFINER=`x`@`y` VIEW v */\n"
    b"DELIMITER ;;\n"
    b"CREATE PROCEDURE p() begin\n"
    b"  -- it's DEFINER=`x`@`y` COLLATE utf8mb4_0900_ai_ci\n"
    b"  set @a = 'CREATE DEFINER=`x`@`y` VIEW v', @b = \"ALTER DATABASE `old`\";\n"
    b"  select 1 collate utf8mb4_0900_ai_ci_x;\n"
    b"end ;;\n"
    b"DELIMITER ;\n"
    b"-- Dump completed\n"
)


def rewritten(dump: bytes, changes: Changes = EVERYTHING) -> bytes:
    with Rewriter(io.BytesIO(dump), changes) as reader:
        return reader.read()


def test_nothing_but_definitions_is_changed():
    assert rewritten(UNTOUCHED) == UNTOUCHED


@pytest.mark.parametrize(
    "dump",
    [
        SANDBOX + b"-- MariaDB dump\nselect 1;\n",
        b"\xef\xbb\xbf" + SANDBOX.replace(b" \n", b"\r\n") + b"-- MariaDB dump\nselect 1;\n",
    ],
)
@pytest.mark.parametrize("changes", [Changes(drop_sandbox=True), EVERYTHING])
def test_the_sandbox_line_is_dropped(dump, changes):
    assert rewritten(dump, changes).removeprefix(b"\xef\xbb\xbf") == b"-- MariaDB dump\nselect 1;\n"


@pytest.mark.parametrize("changes", [Changes(), Changes(strip_definer=True)])
def test_the_sandbox_line_stays_when_it_is_not_to_go(changes):
    assert rewritten(SANDBOX + UNTOUCHED, changes) == SANDBOX + UNTOUCHED


def test_without_changes_in_statements_nothing_is_lexed(monkeypatch):
    monkeypatch.setattr(Lexer, "feed", None)

    assert rewritten(SANDBOX + b"INSERT INTO t VALUES ('", Changes(drop_sandbox=True)) == b"INSERT INTO t VALUES ('"
    assert rewritten(b"", Changes(drop_sandbox=True)) == b""


def test_only_a_first_line_is_the_sandbox_line():
    dump = b"INSERT INTO t VALUES ('\n" + SANDBOX + b"');\n"

    assert rewritten(dump, Changes(drop_sandbox=True)) == dump


@pytest.mark.parametrize(
    "definer",
    [
        b"`u`@`h`",
        b"'u'@'h'",
        b'"u"@"h"',
        b"u@h",
        b"u@10.0.0.1",
        b"CURRENT_USER",
        b"CURRENT_USER()",
        b"`r`",
        b"`D``E;`@`%`",
    ],
)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"CREATE DEFINER=%s PROCEDURE `p`() select 1 ;;", b"CREATE PROCEDURE `p`() select 1 ;;"),
        (
            b"create  definer = %s\n function f() returns int return 1;;",
            b"create  \n function f() returns int return 1;;",
        ),
        (
            b"CREATE OR REPLACE DEFINER=%s EVENT IF NOT EXISTS e DO x;;",
            b"CREATE OR REPLACE EVENT IF NOT EXISTS e DO x;;",
        ),
        (
            b"/*!50003 CREATE*/ /*!50017 DEFINER=%s*/ /*!50003 trigger g after update on t for each row x */;;",
            b"/*!50003 CREATE*/ /*!50017 */ /*!50003 trigger g after update on t for each row x */;;",
        ),
        (
            b"/*!50001 CREATE */\n/*!50013 DEFINER=%s SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select 1*/;;",
            b"/*!50001 CREATE */\n/*!50013 SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select 1*/;;",
        ),
        (b"CREATE ALGORITHM=MERGE DEFINER=%s VIEW v AS select 1;;", b"CREATE ALGORITHM=MERGE VIEW v AS select 1;;"),
        (b"CREATE DEFINER=%s PACKAGE BODY `k` AS x END;;", b"CREATE PACKAGE BODY `k` AS x END;;"),
    ],
)
def test_definers_are_stripped_from_what_is_created(definer, before, after):
    dump = b"DELIMITER ;;\n%s\nDELIMITER ;\n"

    found = rewritten(dump % before.replace(b"%s", definer), Changes(strip_definer=True))

    assert found == dump % after
    assert scan(io.BytesIO(found)).definers == {}
    assert rewritten(dump % before.replace(b"%s", definer), Changes(database="x")) == dump % before.replace(
        b"%s", definer
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b") DEFAULT CHARSET=utf8mb4 COLLATE=%s;", b"utf8mb4_0900_ai_ci"),
        (b") CHARSET=utf8mb4 COLLATE = %s COMMENT='COLLATE utf8mb4_0900_ai_ci';", b"UTF8MB4_0900_ai_ci"),
        (b", b text collate %s, c text COLLATE utf8mb4_0900_as_cs, d text collate  %s);", b"utf8mb4_0900_ai_ci"),
        (b", b text COLLATE /* x */ %s NOT NULL);", b"'utf8mb4_0900_ai_ci'"),
        (b", b text COLLATE %s);", b"`utf8mb4_0900_ai_ci`"),
    ],
)
def test_collations_are_mapped_where_they_are_named(before, after):
    dump = b"CREATE TABLE t (a int" + before

    assert rewritten(dump.replace(b"%s", after)) == dump.replace(b"%s", b"utf8mb4_uca1400_ai_ci")


@pytest.mark.parametrize(
    "statement",
    [
        b"/*!50003 SET collation_connection  = %s */ ;",
        b"SET @@session.collation_connection=%s;",
        b"SET NAMES utf8mb4 COLLATE %s;",
        b"/*!50001 CREATE VIEW v AS select 'a' collate %s AS a */;",
        b"CREATE FUNCTION f() RETURNS text CHARSET utf8mb4 COLLATE %s return (select a collate %s from t);",
    ],
)
def test_collations_are_mapped_in_settings_and_bodies(statement):
    assert rewritten(statement.replace(b"%s", b"utf8mb4_0900_ai_ci")) == statement.replace(
        b"%s", b"utf8mb4_uca1400_ai_ci"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"ALTER DATABASE `old` CHARACTER SET latin1 ;", b"ALTER DATABASE `new` CHARACTER SET latin1 ;"),
        (
            b"/*!50003 ALTER DATABASE `old` CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */ ;",
            b"/*!50003 ALTER DATABASE `new` CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_ai_ci */ ;",
        ),
        (b"alter schema old collate utf8mb4_bin;", b"alter schema `new` collate utf8mb4_bin;"),
        (b"ALTER DATABASE CHARACTER SET latin1;", b"ALTER DATABASE CHARACTER SET latin1;"),
        (b"ALTER TABLE old ADD a int;", b"ALTER TABLE old ADD a int;"),
    ],
)
def test_the_altered_database_is_renamed(before, after):
    assert rewritten(before) == after


def test_the_new_name_is_quoted():
    assert rewritten(b"ALTER DATABASE a COLLATE x;", Changes(database="a`b")) == b"ALTER DATABASE `a``b` COLLATE x;"


@given(st.integers(1, 300))
def test_any_cutting_gives_the_same_dump(size):
    dump = (
        SANDBOX
        + UNTOUCHED
        + b"ALTER DATABASE `old` COLLATE utf8mb4_0900_ai_ci;\nCREATE DEFINER=u@h VIEW v AS select 1;\n"
    )

    class Slices(io.BytesIO):
        def read1(self, _size: int | None = -1, /) -> bytes:
            return super().read1(size)

    for changes in (EVERYTHING, Changes(drop_sandbox=True)):
        with Rewriter(Slices(dump), changes) as reader:
            assert reader.read() == rewritten(dump, changes)


def test_changing_twice_changes_nothing_more():
    once = rewritten(SANDBOX + UNTOUCHED + b"CREATE DEFINER=u@h VIEW v AS select 1 collate utf8mb4_0900_ai_ci;\n")

    assert rewritten(once) == once
    assert b"u@h" not in once


def test_a_cut_dump_ends_in_an_error():
    with Rewriter(io.BytesIO(b"INSERT INTO `t` VALUES ('a"), EVERYTHING) as reader:
        for _ in range(2):
            with pytest.raises(RestoreError, match="The dump was cut"):
                reader.read()


def test_closing_closes_the_dump():
    dump = io.BytesIO(UNTOUCHED)

    Rewriter(dump, EVERYTHING).close()

    assert dump.closed
