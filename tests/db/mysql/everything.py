"""A database with one of each thing that MariaDB has, and what makes it another one."""

from __future__ import annotations

import io
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pymysql.constants import CLIENT

from dbbackup.streams import PeekableReader
from tests.db.mysql.conftest import Database
from tests.requirements import requires
from tests.servers.mariadb import MariaDB

SERVERS = [
    pytest.param("mariadb", marks=requires("mariadb")),
    pytest.param("newer_mariadb", marks=requires("mariadb:newer")),
]
both_servers = pytest.mark.parametrize("server", SERVERS)

EVERYTHING = Path(__file__).with_name("everything.sql").read_text(encoding="utf-8")

CHANGES = """
    SET foreign_key_checks = 0; SET sql_mode = '';
    DELETE FROM bytes WHERE id > 1; TRUNCATE numbers; UPDATE texts SET u4 = 'other'; DELETE FROM versioned;
    ALTER TABLE kinds DROP COLUMN j, COMMENT = ''; ALTER TABLE made ADD COLUMN later int, DROP CONSTRAINT `a; check`;
    DROP TABLE hen, `new\nline`, shapes, `--version`; ALTER TABLE empty_table AUTO_INCREMENT = 900;
    DROP VIEW zz_checked, z_rooms, `a view; on "views"`;
    ALTER VIEW sums AS SELECT 1 AS one; DROP PROCEDURE p; ALTER FUNCTION backslash COMMENT 'changed';
    DROP TRIGGER z_first; DROP EVENT `e; 1`; ALTER EVENT once ENABLE; DROP SEQUENCE `never; used`; SELECT NEXTVAL(odd);
    ALTER TABLE sale REMOVE PARTITIONING; ALTER TABLE isam ENGINE = InnoDB; INSERT INTO journal (said) VALUES ('more');
    SET sql_mode = 'ORACLE'; DROP PACKAGE pack; SET sql_mode = '';
"""
"""What a restore puts right."""
LEFTOVERS = """
    CREATE TABLE `left; over` (id int PRIMARY KEY) WITH SYSTEM VERSIONING; CREATE VIEW left_view AS SELECT 1 AS one;
    CREATE SEQUENCE left_sequence; CREATE PROCEDURE left_procedure() SELECT 1;
    CREATE FUNCTION left_f() RETURNS int RETURN 1;
    CREATE EVENT left_event ON SCHEDULE AT '2037-01-01' DO SET @a = 1;
    CREATE TABLE left_child (id int PRIMARY KEY, parent int REFERENCES empty_table (a));
    CREATE TRIGGER left_trigger BEFORE INSERT ON left_child FOR EACH ROW SET NEW.parent = NULL;
"""
"""What only an exact restore removes."""


def fill(database: Database, script: str = EVERYTHING) -> None:
    """Run a script as the owner. Not by the client, which has a say in how comments arrive."""
    tables, _, bodies = script.partition("DELIMITER //\n")
    statements = [tables, *bodies.removesuffix("DELIMITER ;\n").split(" //\n")]
    owner, flag = database.server.owner, CLIENT.MULTI_STATEMENTS
    connecting = closing(database.server.connect(owner, database.name, client_flag=flag))
    with connecting as connection, connection.cursor() as cursor:
        for statement in filter(str.strip, statements):
            cursor.execute(statement)
            while cursor.nextset():
                pass


def state(database: Database) -> tuple[dict[str, Any], dict[str, tuple[int, str]]]:
    """Return a database's state without its name, to compare it with another one's."""
    made, digests = database.state()
    shown = made["DATABASE"]["Create Database"].replace(f"`{database.name}`", "")
    return {**made, "DATABASE": shown}, digests


def programs(server: MariaDB) -> dict[str, Any]:
    """Return the settings by which a server's own programs are found: the newer one's are in no usual place."""
    return {"ENV": {"PATH": os.pathsep.join([str(server.bin_dir), os.environ["PATH"]])}}


def check_restored(database: Database, dump: bytes, **settings: Any) -> list[str]:
    """Restore the way the commands do; return the warnings."""
    restoring = database.connector(**settings)
    restoring.inspect_dump(PeekableReader(io.BytesIO(dump)))
    warnings = list(restoring.preflight_restore())
    restoring.restore_dump(PeekableReader(io.BytesIO(dump)))
    return warnings
