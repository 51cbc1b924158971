from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.mysql.contents import Contents, check_head, scan

MARIADB = rb"""/*M!999999\- enable the sandbox mode */
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
-- Host: localhost    Database: shop
-- Server version	10.11.19-MariaDB-0+deb12u1

/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!40101 SET NAMES utf8mb4 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
DROP SEQUENCE IF EXISTS `seq`;
CREATE SEQUENCE `seq` start with 5 minvalue 1 nocycle ENGINE=InnoDB;
DO SETVAL(`seq`, 1005, 0);
DROP TABLE IF EXISTS `child`;
CREATE TABLE `child` (
  `id` int(11) NOT NULL COMMENT 'COLLATE none_ci',
  `COLLATE no_ci` text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, -- COLLATE comment_ci
  `k` varchar(9) COLLATE 'utf8mb4_czech_ci'
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='a\nb;c';
LOCK TABLES `child` WRITE;
INSERT INTO `child` VALUES
(1,'CREATE TABLE `x` (a int) COLLATE utf8mb4_0900_ai_ci;','DEFINER=`x`@`y`'),
(9,'\n-- Dump completed\n','USE `other`;');
UNLOCK TABLES;
/*!50003 SET collation_connection  = utf8mb3_general_ci */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`o`@`%`*/ /*!50003 trigger trg before insert on child for each row begin
 set new.k = 'DEFINER=`no`@`no`'; end
*/;;
DELIMITER ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;
DROP TABLE IF EXISTS `v1`;
/*!50001 DROP VIEW IF EXISTS `v1`*/;
/*!50001 CREATE VIEW `v1` AS SELECT
 NULL AS `id` */;
DELIMITER ;;
/*!50106 CREATE*/ /*!50117 DEFINER=`o`@`%`*/ /*!50106 EVENT `ev` ON SCHEDULE EVERY 1 DAY DO begin
insert into child values (9,1,1); end
*/ ;;
DELIMITER ;
/*!50003 DROP FUNCTION IF EXISTS `fn` */;
/*!50003 SET collation_connection  = utf8mb4_unicode_ci */ ;
DELIMITER ;;
CREATE DEFINER='r'@'localhost' FUNCTION `fn`() RETURNS varchar(9) CHARSET utf8mb4 COLLATE UTF8MB4_Bin
begin
-- it's
USE nowhere;
CREATE TABLE nothing (a int);
return 5;
end ;;
CREATE DEFINER=`o`@`%` PROCEDURE `pr`()
select 1 ;;
DELIMITER ;
/*!50001 DROP VIEW IF EXISTS `v1`*/;
/*!50001 SET collation_connection      = utf8mb4_general_ci */;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`o`@`%` SQL SECURITY DEFINER */
/*!50001 VIEW `v1` AS select `child`.`id` collate utf8mb4_bin AS `id` from `child` */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;

-- Dump completed on 2026-01-02  3:04:05
"""

MYSQL = b"""-- MySQL dump 10.13  Distrib 8.0.36-28, for Linux (x86_64)
-- Host: 127.0.0.1    Database: a shop
-- Server version\t8.0.36

/*!50503 SET NAMES utf8mb4 */;
SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5';
CREATE TABLE `t` (`a` int) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
INSERT INTO `t` VALUES (1),(2);
ALTER DATABASE `a shop` CHARACTER SET latin1 COLLATE latin1_swedish_ci ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50020 DEFINER=`root`@`localhost`*/ /*!50003 FUNCTION `f`() RETURNS int
return 1 */;;
DELIMITER ;
/*!50003 ALTER DATABASE `a shop` CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */ ;
-- Dump completed
"""

# As before MySQL 5.7: the stand-in of a view is a table.
OLD_VIEW = b"""/*!50001 DROP VIEW IF EXISTS `v`*/;
/*!50001 CREATE TABLE `v` (
  `a` tinyint NOT NULL
) ENGINE=MyISAM */;
/*!50001 DROP TABLE IF EXISTS `v`*/;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`o`@`%` SQL SECURITY DEFINER */
/*!50001 VIEW `v` AS select 1 AS `a` */;
"""


TRAILER = b"\n-- Dump completed"


class Slices(io.BytesIO):
    """Give few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self.size = size

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(self.size)


def contents(dump: bytes) -> Contents:
    return scan(io.BytesIO(dump))


def test_a_dump_of_mariadb_says_what_it_creates():
    found = contents(MARIADB)

    assert (found.flavour, found.tool_version) == ("MariaDB", "10.11.19-MariaDB")
    assert (found.server_version, found.database) == ("10.11.19-MariaDB-0+deb12u1", "shop")
    assert found.has_header
    assert found.complete
    assert found.sandboxed
    assert found.tables == {"child"}
    assert found.views == {"v1"}
    assert found.sequences == {"seq"}
    assert found.routines == {("FUNCTION", "fn"), ("PROCEDURE", "pr")}
    assert found.triggers == {"trg": "child"}
    assert found.events == {"ev"}
    assert found.definers == {
        "`o`@`%`": ["trigger `trg`", "event `ev`", "procedure `pr`", "view `v1`"],
        "'r'@'localhost'": ["function `fn`"],
    }
    assert found.collations == {
        "latin1_swedish_ci": ["table `child`"],
        "utf8mb3_general_ci": ["trigger `trg`"],
        "utf8mb4_bin": ["table `child`", "function `fn`", "view `v1`"],
        "utf8mb4_czech_ci": ["table `child`"],
        "utf8mb4_general_ci": ["view `v1`"],
        "utf8mb4_unicode_ci": ["function `fn`"],
    }
    assert found.other_databases == []
    assert found.altered_databases == set()
    assert found.problems == []


def test_a_dump_of_mysql_says_what_it_creates():
    found = contents(MYSQL)

    assert (found.flavour, found.tool_version, found.server_version) == ("MySQL", "8.0.36-28", "8.0.36")
    assert found.database == "a shop"
    assert found.complete
    assert not found.sandboxed
    assert found.tables == {"t"}
    assert found.routines == {("FUNCTION", "f")}
    assert found.definers == {"`root`@`localhost`": ["function `f`"]}
    assert found.altered_databases == {"a shop"}
    assert found.collations == {
        "utf8mb4_0900_ai_ci": ["table `t`", "database `a shop`"],
        "latin1_swedish_ci": ["database `a shop`"],
    }


@pytest.mark.parametrize(
    ("title", "version"),
    [
        (b"-- MariaDB dump 10.19-11.4.5-MariaDB, for linux-systemd (x86_64)\n", "11.4.5-MariaDB"),
        (b"-- MySQL dump 10.16  Distrib 10.1.48-MariaDB, for debian-linux-gnu (x86_64)\n", "10.1.48-MariaDB"),
    ],
)
def test_mariadbs_tools_are_known_by_all_their_titles(title, version):
    found = contents(title)

    assert (found.flavour, found.tool_version) == ("MariaDB", version)


def test_sql_of_other_origin_has_no_header():
    found = contents(b"-- phpMyAdmin SQL Dump\nCREATE TABLE t (a int);\n-- MySQL dump 10.13  Distrib 8.0.36, for x\n")

    assert not found.has_header
    assert not found.complete
    assert found.flavour == found.tool_version == found.server_version == ""
    assert found.tables == {"t"}


@given(st.integers(1, 900), st.sampled_from([MARIADB, MYSQL, OLD_VIEW]))
def test_any_cutting_gives_the_same_contents(size, dump):
    assert scan(Slices(dump, size)) == contents(dump)


def test_the_stand_in_of_a_view_is_no_table():
    found = contents(OLD_VIEW)

    assert found.tables == set()
    assert found.views == {"v"}
    assert found.definers == {"`o`@`%`": ["view `v`"]}


@pytest.mark.parametrize(
    ("statement", "kind", "name"),
    [
        (b'CREATE TABLE `we``ird na\'me; "x" \\n` (a int);', "tables", 'we`ird na\'me; "x" \\n'),
        (b"create temporary table if not exists plain(a int);", "tables", "plain"),
        (b'SET sql_mode=\'ANSI_QUOTES\'; CREATE TABLE "a""b" (a int);', "tables", 'a"b'),
        (b"CREATE /* VIEW x */ OR REPLACE TABLE\n`t` LIKE x;", "tables", "t"),
        ("CREATE TABLE `tä\nb` (a int);".encode(), "tables", "tä\nb"),
        (b"CREATE TABLE `\xff` (a int);", "tables", "\udcff"),
        (b"CREATE OR REPLACE SQL SECURITY INVOKER VIEW v AS select 1;", "views", "v"),
        (b"CREATE ALGORITHM = MERGE DEFINER = CURRENT_USER() VIEW v AS select 1;", "views", "v"),
        (b"CREATE SEQUENCE IF NOT EXISTS s;", "sequences", "s"),
        (b"CREATE EVENT IF NOT EXISTS e ON SCHEDULE EVERY 1 DAY DO select 1;", "events", "e"),
    ],
)
def test_names_are_read_in_all_their_forms(statement, kind, name):
    assert getattr(contents(statement), kind) == {name}


@pytest.mark.parametrize(
    ("statement", "routine"),
    [
        (b"CREATE AGGREGATE FUNCTION f RETURNS int SONAME 'x.so';", ("FUNCTION", "f")),
        (b"CREATE DEFINER=r PROCEDURE IF NOT EXISTS `p`() select 1;", ("PROCEDURE", "p")),
        (b"CREATE DEFINER=`r`@`h` PACKAGE `k` AS x int END;", ("PACKAGE", "k")),
        (b"CREATE DEFINER=`r`@`h` PACKAGE  BODY `k` AS x int END;", ("PACKAGE BODY", "k")),
    ],
)
def test_routines_are_told_apart_by_their_type(statement, routine):
    assert contents(statement).routines == {routine}


def test_what_is_dropped_again_is_not_created():
    created = b"CREATE TABLE a (x int); CREATE TABLE b (x int); CREATE VIEW v AS select 1; CREATE SEQUENCE s;"
    others = b"CREATE FUNCTION f() RETURNS int return 1; CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO select 1;"
    trigger = b"CREATE TRIGGER g BEFORE INSERT ON a FOR EACH ROW SET new.x = 1;"
    dropped = (
        b"DROP TABLE IF EXISTS a, `b`; DROP VIEW v; DROP SEQUENCE s; DROP FUNCTION f; DROP EVENT e; DROP TRIGGER g;"
    )

    assert contents(created + others + trigger).triggers == {"g": "a"}
    assert contents(created + others + trigger + dropped) == Contents(largest=len(trigger))


@pytest.mark.parametrize(
    "definer",
    ["`u`@`h`", "'u'@'h'", '"u" @ "h"', "u@10.0.0.1", "CURRENT_USER", "current_user ( )", "`a role`", "`a``b`@`%`"],
)
def test_definers_are_kept_as_they_are_written(definer):
    statement = f"CREATE DEFINER = {definer} VIEW v AS select 1;"

    assert contents(statement.encode()).definers == {definer: ["view `v`"]}


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        (b"USE `x`;", "USE `x`"),
        (b"use x;", "USE `x`"),
        (
            b"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `a``b` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;",
            "CREATE DATABASE `a``b`",
        ),
        (b"/*!40000 DROP DATABASE IF EXISTS `x`*/;", "DROP DATABASE `x`"),
        (b"CREATE SCHEMA x;", "CREATE DATABASE `x`"),
        (b"CREATE TABLE `x`.`t` (a int);", "CREATE TABLE `x`.`t`"),
        (b"DROP TABLE t, x . y;", "DROP TABLE `x`.`y`"),
        (b"ALTER TABLE x.t ADD b int;", "ALTER TABLE `x`.`t`"),
        (b"INSERT INTO t VALUES (1); INSERT IGNORE INTO `x`.`t` VALUES (1);", "INSERT INTO `x`.`t`"),
        (b"REPLACE x.`t(` VALUES ('y');", "REPLACE INTO `x`.`t(`"),
    ],
)
def test_statements_that_name_a_database_are_listed(statement, shown):
    assert contents(statement + statement).other_databases == [shown]


@pytest.mark.parametrize(
    "statement", [b"ALTER DATABASE CHARACTER SET utf8mb4;", b"ALTER DATABASE COLLATE utf8mb4_bin;"]
)
def test_alter_database_without_a_name_is_about_the_one_in_use(statement):
    assert contents(statement).altered_databases == set()


def test_a_collation_without_an_object_is_the_sessions():
    found = contents(
        b"SET NAMES utf8mb4 COLLATE utf8mb4_bin;"
        b"SET collation_connection = a_ci; SET @@session.collation_connection='b_ci'; SET collation_database = DEFAULT;"
        b"SET @x = @@collation_connection; SET @collation_connection = 'c_ci';"
    )

    assert found.collations == {"utf8mb4_bin": ["the session"], "a_ci": ["the session"], "b_ci": ["the session"]}


@pytest.mark.parametrize(
    ("dump", "problem"),
    [
        (b"\\! touch x\n;", r"It holds \! outside of a string, a command for the client."),
        (b"\\. other.sql\n;", r"It holds \. outside of a string, a command for the client."),
        (b"select 1 \\g\n;", r"It holds \g outside of a string, a command for the client."),
        (b"source other.sql\n;", "It holds SOURCE, a command for the client."),
        (b"select 1;\nSystem ls;", "It holds SYSTEM, a command for the client."),
        (b"tee x;", "It holds TEE, a command for the client."),
        (b"select 1; DELIMITER $$\n;", "It holds DELIMITER, a command for the client."),
    ],
)
def test_commands_that_a_client_would_run_are_problems(dump, problem):
    assert contents(dump).problems == [problem]


def test_what_only_looks_like_a_command_is_none():
    dump = (
        b"INSERT INTO t VALUES ('\\!',\\N);\nSELECT 1;\n-- source x\n/*\nsystem ls\n*/ CREATE TABLE source (tee int);\n"
    )

    assert contents(dump).problems == []


@pytest.mark.parametrize(
    ("end", "complete"),
    [
        (b"\n-- Dump completed\n", True),
        (b"\r\n-- Dump completed on 2026-01-02  3:04:05\r\n\r\n", True),
        (b"\n-- Dump completed", True),
        (b"\n-- Dump completed\nselect 1;\n", False),
        (b"\n-- Dump completed\n-- more\n", False),
        (b"\n/*\n-- Dump completed\n*/\n", False),
        (b"\n/*\n-- Dump completed on Monday */", False),
        (b"\nselect '\n-- Dump completed\n';\n", False),
        (b"\nDELIMITER ;;\nselect '\n-- Dump completed\n';;\nDELIMITER ;\n", False),
        (b"\n", False),
    ],
)
def test_a_dump_is_complete_when_its_last_comment_says_so(end, complete):
    assert contents(b"-- MySQL dump 10.13  Distrib 8.0.36, for x\nINSERT INTO t VALUES (1);" + end).complete is complete


@given(st.lists(st.integers(1, 3000), max_size=5))
def test_the_largest_statement_is_measured(sizes):
    inserts = [b"INSERT INTO t VALUES ('" + b"x" * size + b"');" for size in sizes]
    dump = b"-- " + b"c" * 9000 + b"\n" + b"\n".join(inserts) + b"\nselect 1;\n"

    assert contents(dump).largest == max([len(b"select 1;"), *map(len, inserts)])
    assert scan(Slices(dump, 100)).largest == contents(dump).largest


def test_a_cut_dump_is_refused():
    end = MARIADB.index(b"begin\n-- it's")

    with pytest.raises(RestoreError, match="The dump was cut: it ends inside the statement CREATE DEFINER="):
        contents(MARIADB[:end])


@given(st.integers(0, len(MARIADB) - 2))
def test_a_dump_cut_anywhere_is_refused_or_not_complete(end):
    try:
        found = contents(MARIADB[:end])
    except RestoreError as exc:
        found, error = Contents(), str(exc)
    else:
        error = "The dump was cut"

    assert error.startswith("The dump was cut")
    # Of the trailer, the time may be missing.
    assert not found.complete or end >= MARIADB.index(TRAILER) + len(TRAILER)


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"\x1f\x8b\x08", "compressed with gzip"),
        (b"\x28\xb5\x2f\xfd\x04", "compressed with Zstandard"),
        (b"-----BEGIN PGP MESSAGE-----", "encrypted with GnuPG"),
        (b"age-encryption.org/v1", "encrypted with age"),
        (b"PGDMP\x01", "an archive of pg_dump"),
        (b"--\n-- PostgreSQL database dump\n--\n", "SQL for PostgreSQL"),
        (b"SQLite format 3\0", "a database file of SQLite"),
        (b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;", "SQL for SQLite"),
        (b"\xff\xfe-\0-\0", "text in UTF-16"),
        (b'<?xml version="1.0"?>', "XML"),
        (b'[{"model": ', "JSON, as dumpdata writes it"),
        (b"ab\0cd", "not text"),
    ],
)
def test_what_is_no_sql_for_these_servers_is_refused_by_its_head(head, what):
    with pytest.raises(RestoreError, match=rf"^This is no dump of MySQL or MariaDB: it is {what}\."):
        check_head(head)


def test_an_empty_dump_is_refused():
    with pytest.raises(RestoreError, match="The dump is empty"):
        check_head(b"")


@pytest.mark.parametrize(
    "head", [MARIADB, MYSQL, OLD_VIEW, b"\xef\xbb\xbfselect 1;", b"-- " + b"x" * 80 + b"\nINSERT INTO t VALUES ('\0');"]
)
def test_sql_is_accepted_by_its_head(head):
    check_head(head)
