"""Dumps of other tools, versions and options are restored, each into the database that is meant."""

from __future__ import annotations

import subprocess

import pytest

from tests.db.mysql.altering import CHANGES, SHOP, put_back, refused, replaced, restored, with_statement
from tests.db.mysql.conftest import Database
from tests.requirements import requires
from tests.servers.mariadb import quote
from tests.servers.mariadb_install import option
from tests.shop import Store

pytestmark = requires("mariadb")

SANDBOX = b"/*M!999999\\- enable the sandbox mode */ \n"
GTID = "SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77'"
# As mysqldump of 8.0 writes it; that of 5.7 in brackets.
MYSQL = b"""-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
--
-- Host: localhost    Database: elsewhere
-- ------------------------------------------------------
-- Server version\t8.0.36

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!50503 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;

--
-- Table structure for table `word`
--

DROP TABLE IF EXISTS `word`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `word` (
  `id` int NOT NULL AUTO_INCREMENT,
  `text` varchar(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci DEFAULT NULL,
  `twice` int GENERATED ALWAYS AS ((`id` * 2)) VIRTUAL,
  `bits` bit(3) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `hidden` (`text`) /*!80000 INVISIBLE */
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `word`
--

LOCK TABLES `word` WRITE;
/*!40000 ALTER TABLE `word` DISABLE KEYS */;
INSERT INTO `word` (`id`, `text`, `bits`) VALUES (1,'\xc3\x84pfel; \\'DELIMITER ;;\\'',0x05),(2,_binary '\\0\\n',NULL);
/*!40000 ALTER TABLE `word` ENABLE KEYS */;
UNLOCK TABLES;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`owner`@`%`*/ /*!50003 TRIGGER `shout` BEFORE INSERT ON `word` FOR EACH ROW BEGIN
  SET NEW.text = UPPER(NEW.text); END */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;

--
-- Temporary view structure for view `words`
--

DROP TABLE IF EXISTS `words`;
/*!50001 DROP VIEW IF EXISTS `words`*/;
SET @saved_cs_client     = @@character_set_client;
/*!50503 SET character_set_client = utf8mb4 */;
/*!50001 CREATE VIEW `words` AS SELECT
 1 AS `text`*/;
SET character_set_client = @saved_cs_client;

--
-- Final view structure for view `words`
--

/*!50001 DROP VIEW IF EXISTS `words`*/;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`owner`@`%` SQL SECURITY DEFINER */
/*!50001 VIEW `words` AS select `word`.`text` AS `text` from `word` */;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed on 2024-02-29 12:00:00
"""


@pytest.fixture
def database(make_database, store: Store) -> Database:
    database: Database = make_database(alias="shop")
    database.sql(SHOP)
    return database


def stock(database: Database, *args: str) -> bytes:
    """Return what mariadb-dump makes with these options alone."""
    server = database.server
    path = database.tmp / "login.cnf"
    path.touch(0o600)
    path.write_text(
        f"[client]\nuser={server.owner.name}\npassword={option(server.owner.password)}\nsocket={server.socket}\n",
        encoding="utf-8",
    )
    command = [str(server.bin_dir / "mariadb-dump"), f"--defaults-file={path}", *args, database.name]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--no-autocommit"],
        ["--skip-extended-insert"],
        ["--skip-quote-names"],
        ["--complete-insert", "--skip-set-charset"],
        ["--skip-opt", "--add-drop-table", "--create-options"],
        ["--add-drop-trigger", "--hex-blob", "--tz-utc"],
        ["--replace"],
        ["--insert-ignore", "--skip-add-locks", "--skip-disable-keys"],
        ["--order-by-primary", "--single-transaction"],
        ["--compatible=ansi", "--default-character-set=utf8mb4"],
    ],
    ids=" ".join,
)
def test_dump_of_the_stock_tool(database, store, options):
    dump = stock(database, *options)
    before = database.server.digest(database.name), database.dump()
    database.sql(
        "DELETE FROM purchase; UPDATE customer SET name = 'x'; DROP VIEW all_names; DROP TRIGGER before_purchase"
    )
    run = restored(store, dump)
    assert (run.status, run.error) == (0, "")
    digest, made = database.server.digest(database.name), database.dump()
    # Without --dump-history the tool leaves out what has been.
    before[0].pop("price"), digest.pop("price")
    assert digest == before[0]
    assert (b"TRIGGER before_purchase" in made) is (b"TRIGGER before_purchase" in before[1])


def test_compact_dump_is_restored_with_a_warning(database, store):
    dump = stock(database, "--compact", "--add-drop-table")
    # Nothing in it says that it is whole.
    assert b"-- " not in dump.replace(b"-- Dump", b"")
    database.sql("DELETE FROM purchase")
    run = restored(store, dump)
    assert (run.status, run.error) == (0, "")
    assert "whether it is whole cannot be told" in run.err
    assert database.sql("SELECT COUNT(*) FROM purchase") == "3"


def test_tables_that_the_dump_does_not_drop_are_put_back(database, store):
    assert "already exists" in put_back(database, store, stock(database, "--skip-add-drop-table"))


def test_dump_of_mysql_8(database, store):
    run = restored(store, MYSQL)
    assert (run.status, run.error) == (0, "")
    assert "the backup is of MySQL 8.0.36, and the server is 10.11" in run.err
    shown = database.sql("SELECT id, HEX(text), twice, bits + 0 FROM word ORDER BY id")
    text = "Äpfel; 'DELIMITER ;;'".encode().hex().upper()
    assert shown.splitlines() == [f"1\t{text}\t2\t5", "2\t000A\t4\tNULL"]
    database.sql("INSERT INTO word (text) VALUES ('loud')")
    assert database.sql("SELECT text FROM words WHERE text = 'LOUD' COLLATE utf8mb4_bin") == "LOUD"


def test_dump_of_mysql_5_7(database, store):
    old = MYSQL.replace(b"8.0.36", b"5.7.44").replace(b"!50503", b"!40101").replace(b" int ", b" int(11) ")
    run = restored(store, old.replace(b" /*!80000 INVISIBLE */", b""))
    assert (run.status, run.error) == (0, "")
    assert database.sql("SELECT COUNT(*) FROM words") == "2"


def test_cut_dump_of_mysql(database, store):
    assert "it was cut" in refused(database, store, MYSQL[: MYSQL.index(b"-- Dump completed")])


@pytest.mark.parametrize("statement", [GTID, "SET @@SESSION.SQL_LOG_BIN= 0"], ids=["positions", "log"])
def test_replication_in_a_dump_is_left_out(database, store, statement):
    """Only an administrator may set it, and it is the server's, not the database's."""
    dump = replaced(MYSQL, b"\n--\n-- Table structure", f"\n{statement};\n\n--\n-- Table structure".encode())
    run = restored(store, dump)
    assert (run.status, run.error) == (0, "")
    assert "the place in the replication that the dump sets is left as it is" in run.err
    assert database.sql("SELECT COUNT(*) FROM words") == "2"


@pytest.mark.parametrize("line", [SANDBOX, SANDBOX.replace(b"M!", b"!"), SANDBOX.replace(b" \n", b"\r\n"), b""])
def test_first_line_of_newer_dumps(database, store, line):
    dump = database.dump()
    dump = line + dump[dump.index(b"-- MariaDB dump") :]
    before = database.state()
    database.sql("DELETE FROM purchase")
    run = restored(store, dump)
    assert (run.status, run.error) == (0, "")
    assert database.state() == before


@requires("mariadb:newer")
def test_dump_of_a_newer_server_and_of_an_older_one(make_database, newer_mariadb, store):
    newer, older = make_database(alias="newer", server=newer_mariadb), make_database(alias="older")
    newer.sql(SHOP)
    for one, other in ((newer, "older"), (older, "newer")):
        target = {"newer": newer, "older": older}[other]
        dump = one.dump()
        target.server.drop_database(target.name)
        target.server.create_database(target.name)
        run = restored(store, dump, "-d", other)
        assert (run.status, run.error) == (0, "")
        assert target.server.digest(target.name) == one.server.digest(one.name)


def test_alter_database_goes_to_the_target(database, make_database, store):
    """As the tools write it around what was made under another collation than the database's."""
    target = make_database(alias="target")
    database.sql("ALTER DATABASE COLLATE utf8mb4_bin")
    database.sql("CREATE PROCEDURE older() SELECT 1")
    database.sql("ALTER DATABASE COLLATE utf8mb4_unicode_ci")
    dump = database.dump()
    assert f"ALTER DATABASE {quote(database.name)}".encode() in dump
    before, wanted = database.state(), target.state()[0]["DATABASE"]
    run = restored(store, dump, "-d", "target")
    assert (run.status, run.error) == (0, "")
    assert database.state() == before
    collations = (
        "SELECT database_collation FROM information_schema.routines"
        " WHERE routine_schema = DATABASE() AND routine_name = 'older'"
    )
    assert target.sql(collations) == database.sql(collations) == "utf8mb4_bin"
    assert target.state()[0]["DATABASE"]["Database"] == wanted["Database"]


def test_foreign_keys_in_any_order_and_in_cycles(database):
    database.sql(
        "CREATE TABLE a_child (id int PRIMARY KEY, z int);"
        " CREATE TABLE z_parent (id int PRIMARY KEY, a int, FOREIGN KEY (a) REFERENCES a_child (id));"
        " INSERT INTO a_child VALUES (1, NULL); INSERT INTO z_parent VALUES (1, 1);"
        " ALTER TABLE a_child ADD FOREIGN KEY (z) REFERENCES z_parent (id); UPDATE a_child SET z = 1"
    )
    before, dump = database.state(), database.dump()
    database.sql("UPDATE a_child SET z = NULL; DELETE FROM z_parent; DELETE FROM purchase")
    database.restore(dump)
    assert database.state() == before
    database.sql("SET foreign_key_checks = 0; DROP TABLE a_child, z_parent, purchase")
    database.restore(dump)
    assert database.state() == before


def test_triggers_do_not_fire_during_the_load(database):
    database.sql(
        "CREATE TRIGGER counting AFTER INSERT ON customer FOR EACH ROW INSERT INTO price VALUES (NEW.id + 50, 0)"
    )
    before, dump = database.state(), database.dump()
    database.sql(CHANGES)
    database.restore(dump, EXACT=True)
    assert database.state() == before


def test_statement_of_the_test_s_own_does_run(database, store):
    dump = with_statement(database.dump(), "INSERT INTO customer VALUES (50, 'more', NULL)")
    assert restored(store, dump).status == 0
    assert database.sql("SELECT name FROM customer WHERE id = 50") == "more"
