"""What an account may do, as the servers of each flavour say it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbbackup.db.exceptions import DumpError
from dbbackup.db.mysql.grants import Grants
from tests.db.mysql.conftest import MakeDatabase
from tests.requirements import requires
from tests.servers.mariadb import MariaDB

TO_OWNER = "TO `owner`@`%`"
STATIC = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, SHUTDOWN, PROCESS, FILE, REFERENCES, INDEX, ALTER, "
    "SHOW DATABASES, SUPER, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, "
    "CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, CREATE TABLESPACE, "
    "CREATE ROLE, DROP ROLE"
)
DYNAMIC = (
    "BACKUP_ADMIN, SESSION_VARIABLES_ADMIN, SET_ANY_DEFINER, SHOW_ROUTINE, SYSTEM_VARIABLES_ADMIN, XA_RECOVER_ADMIN"
)
ORDINARY = "SELECT", "SHOW VIEW", "TRIGGER", "EVENT", "CREATE ROUTINE", "LOCK TABLES"


def grants(*lines: str, database: str = "shop") -> Grants:
    return Grants(lines, database)


# Each of whom may do everything that a dump needs, and nothing beyond the database.
OWNERS = {
    "mariadb 10.11": ["GRANT USAGE ON *.* TO `owner`@`%` IDENTIFIED BY PASSWORD '*2073B6D73CE8DA560C304274E237C66CA4'"],
    "mariadb 11.4": ["GRANT USAGE ON *.* TO `owner`@`%` REQUIRE SUBJECT '/CN=owner ON `shop`.* TO '"],
    "mysql 5.7": ["GRANT USAGE ON *.* TO 'owner'@'%'"],
    "mysql 8": ["GRANT USAGE ON *.* TO `owner`@`%`"],
}


@pytest.mark.parametrize("version", OWNERS)
def test_all_of_a_database(version: str):
    who = "'owner'@'%'" if version == "mysql 5.7" else "`owner`@`%`"
    found = grants(*OWNERS[version], f"GRANT ALL PRIVILEGES ON `shop`.* TO {who} WITH GRANT OPTION")
    assert all(found.here(right) for right in ORDINARY)
    assert not any(found.everywhere(right) for right in ORDINARY)
    assert found.sees_routines()


@pytest.mark.parametrize("version", OWNERS)
def test_no_right_at_all(version: str):
    found = grants(*OWNERS[version])
    assert not any(found.here(right) or found.everywhere(right) for right in (*ORDINARY, "USAGE ON", "SUPER"))
    assert not found.sees_routines()


@pytest.mark.parametrize(
    "lines",
    [
        ["GRANT ALL PRIVILEGES ON *.* TO `admin`@`%` IDENTIFIED BY PASSWORD '*7177CA6FEDE1' WITH GRANT OPTION"],
        ["GRANT ALL PRIVILEGES ON *.* TO 'root'@'localhost' WITH GRANT OPTION"],
        [
            f"GRANT {STATIC} ON *.* TO `root`@`localhost` WITH GRANT OPTION",
            f"GRANT {DYNAMIC} ON *.* TO `root`@`localhost` WITH GRANT OPTION",
            "GRANT PROXY ON ``@`` TO `root`@`localhost` WITH GRANT OPTION",
        ],
    ],
    ids=["mariadb", "mysql 5.7", "mysql 8"],
)
def test_rights_everywhere_hold_here(lines: list[str]):
    found = grants(*lines)
    assert all(found.here(right) and found.everywhere(right) for right in ORDINARY)
    assert found.everywhere("SUPER", "SET USER")
    assert found.sees_routines()


def test_dynamic_rights_are_those_that_are_named():
    found = grants(f"GRANT SHOW_ROUTINE, SET_ANY_DEFINER ON *.* {TO_OWNER}", f"GRANT SELECT ON `shop`.* {TO_OWNER}")
    assert found.everywhere("SET_USER_ID", "SET_ANY_DEFINER")
    assert not found.everywhere("SET_USER_ID")
    assert found.sees_routines()
    assert not found.here("TRIGGER")


def test_mariadb_s_rights_of_several_words():
    found = grants(f"GRANT SET USER, READ ONLY ADMIN, BINLOG REPLAY ON *.* {TO_OWNER}")
    assert found.everywhere("SET USER")
    assert found.everywhere("READ_ONLY ADMIN", "READ ONLY ADMIN")
    assert not found.everywhere("USER", "READ ONLY", "ADMIN", "SUPER")


def test_rights_in_another_database_are_none():
    found = grants(f"GRANT ALL PRIVILEGES ON `shop2`.* {TO_OWNER}", f"GRANT SELECT ON `sho`.* {TO_OWNER}")
    assert not found.here("SELECT")
    assert not found.sees_routines()


@pytest.mark.parametrize(
    "line",
    [
        "GRANT SELECT, TRIGGER ON `shop`.`thing` TO `owner`@`%`",
        "GRANT SELECT (`a`), TRIGGER, UPDATE (`a`, `b`) ON `shop`.`thing` TO `owner`@`%`",
        "GRANT SELECT (a), INSERT (a, b) ON `shop`.`thing` TO 'owner'@'%'",
        "GRANT SELECT ON `shop`.`*` TO `owner`@`%`",
        "GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE `shop`.`SELECT ON *` TO `owner`@`%` WITH GRANT OPTION",
        "GRANT EXECUTE ON FUNCTION `shop`.`f` TO `owner`@`%`",
    ],
    ids=["table", "columns", "mysql 5.7's columns", "table with a star", "procedure", "function"],
)
def test_rights_to_a_part_of_the_database_are_none_to_all_of_it(line: str):
    found = grants(line)
    assert not found.here("SELECT", "TRIGGER", "UPDATE", "EXECUTE", "ALTER ROUTINE")
    assert not found.sees_routines()


def test_names_that_look_like_grants_are_names():
    for line in (
        "GRANT SELECT, TRIGGER, UPDATE (`x) ON *.* TO y`) ON `shop`.`thing` TO `owner`@`%`",
        "GRANT SELECT ON `a`.* TO `me ON ``shop``.* TO you`@`%`",
        "GRANT `TRIGGER ON *.* TO x` TO `owner`@`%` WITH ADMIN OPTION",
        "SET DEFAULT ROLE `GRANT SELECT ON *.* TO x` FOR `owner`@`%`",
    ):
        assert not grants(line).here("SELECT", "TRIGGER"), line


def test_right_to_a_column_of_the_routines_does_not_show_them():
    assert grants("GRANT SELECT ON `mysql`.`proc` TO `owner`@`%`").sees_routines()
    assert grants("GRANT SELECT ON `mysql`.* TO `owner`@`%`").sees_routines()
    assert not grants("GRANT SELECT (`db`), INSERT ON `mysql`.`proc` TO `owner`@`%`").sees_routines()
    assert not grants("GRANT SELECT ON `mysql`.`procs_priv` TO `owner`@`%`").sees_routines()


def test_right_to_the_texts_of_routines():
    assert grants("GRANT SHOW CREATE ROUTINE ON `shop`.* TO `owner`@`%`").sees_routines()
    assert not grants("GRANT SHOW CREATE ROUTINE ON `other`.* TO `owner`@`%`").sees_routines()


@pytest.mark.parametrize(
    ("written", "name", "other"),
    [
        ("shop%", "shopping", "ashop"),
        ("%", "anything", None),
        ("s_op", "shop", "shhop"),
        ("my\\_shop", "my_shop", "myxshop"),
        ("100\\%", "100%", "1000"),
        ("back``tick", "back`tick", "back``tick"),
        ('it\'s "the" #1', 'it\'s "the" #1', "it"),
        ("a\\\\b", "a\\b", "a\\\\b"),
        ("a.b", "a.b", "axb"),
        ("two\nlines", "two\nlines", "two"),
        ("*", "*", "shop"),
    ],
)
def test_names_of_databases(written: str, name: str, other: str | None):
    line = f"GRANT SELECT ON `{written}`.* {TO_OWNER}"
    assert grants(line, database=name).here("SELECT")
    if other is not None:
        assert not grants(line, database=other).here("SELECT")


def test_names_without_quotes():
    # Of a server with sql_quote_show_create = OFF.
    found = grants("GRANT SELECT, TRIGGER ON shop.* TO owner@`%`", "GRANT EVENT ON other.* TO owner@`%`")
    assert found.here("TRIGGER")
    assert not found.here("EVENT")


def test_rights_of_roles_add_up():
    found = grants(
        "GRANT `r` TO `owner`@`%`",
        "GRANT SELECT ON `shop`.* TO `owner`@`%`",
        "GRANT USAGE ON *.* TO `r`",
        "GRANT SHOW VIEW, EVENT ON `shop`.* TO `r`",
        "GRANT TRIGGER ON `shop`.* TO PUBLIC",
        "SET DEFAULT ROLE `r` FOR `owner`@`%`",
    )
    assert all(found.here(right) for right in ("SELECT", "SHOW VIEW", "EVENT", "TRIGGER"))
    assert not found.here("LOCK TABLES")


def test_role_that_is_not_active_gives_nothing():
    assert not grants("GRANT `all ON *.*` TO `owner`@`%`", "GRANT `r`@`%` TO `owner`@`%`").here("SELECT")


def test_partial_revoke_takes_the_database_out():
    everything = f"GRANT SELECT, TRIGGER, EVENT ON *.* {TO_OWNER}"
    found = grants(everything, "REVOKE TRIGGER, EVENT ON `shop`.* FROM `owner`@`%`")
    assert found.here("SELECT")
    assert not found.here("TRIGGER")
    assert not found.here("EVENT", "TRIGGER")
    assert found.here("EVENT", "SELECT")
    assert grants(everything, "REVOKE TRIGGER ON `mysql`.* FROM `owner`@`%`").here("TRIGGER")
    # Names have no wildcards where rights can be revoked in part.
    assert grants(everything, "REVOKE TRIGGER ON `sh_p`.* FROM `owner`@`%`").here("TRIGGER")


def test_only_the_closest_of_several_databases_counts():
    lines = [
        "GRANT DELETE, TRIGGER ON `sh%`.* TO `owner`@`%`",
        "GRANT SELECT ON `shop`.* TO `owner`@`%` WITH GRANT OPTION",
        "GRANT INSERT ON `s_op`.* TO `owner`@`%`",
        "GRANT UPDATE ON `sho_`.* TO `r`",
        "GRANT EVENT ON `sh%`.* TO `r`",
        "GRANT ALTER ON `Shop`.* TO `owner`@`%`",
    ]
    for order in (lines, lines[::-1]):
        found = grants(*order)
        assert found.here("SELECT")
        assert found.here("UPDATE")
        assert not found.here("DELETE", "TRIGGER", "INSERT", "EVENT", "ALTER")


@pytest.fixture
def rights_by_pattern(mariadb: MariaDB) -> Iterator[MariaDB]:
    mariadb.sql("GRANT ALL ON `triggers%`.* TO other")
    yield mariadb
    mariadb.sql("REVOKE ALL ON `triggers%`.* FROM other")


@requires("mariadb")
def test_server_goes_by_the_closest_too(rights_by_pattern: MariaDB, make_database: MakeDatabase):
    # Without an error, the dump program would leave the trigger out.
    server = rights_by_pattern
    close, far = make_database("triggers here", user=server.other), make_database("triggers there", user=server.other)
    server.grant("SELECT, SHOW VIEW, EVENT, EXECUTE, LOCK TABLES", close.name, server.other)
    for database in (close, far):
        server.sql("CREATE TABLE t (a int); CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @a = 1", database.name)
    assert b"TRIGGER" in far.dump()
    with pytest.raises(DumpError, match="GRANT TRIGGER ON `triggers here`"):
        close.dump()
