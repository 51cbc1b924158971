"""The digest sees every row and every value, the state everything that makes a database."""

from __future__ import annotations

from typing import Any

import pytest

from tests.requirements import requires

SERVERS = [
    pytest.param("mariadb", marks=requires("mariadb")),
    pytest.param("newer_mariadb", marks=requires("mariadb:newer")),
]
FIRST = "BEFORE INSERT ON egg FOR EACH ROW SET NEW.hidden = 1"
EVERYTHING = f"""
    CREATE TABLE hen (id int PRIMARY KEY AUTO_INCREMENT, name varchar(20) COLLATE utf8mb4_bin) AUTO_INCREMENT=7;
    INSERT INTO hen VALUES (2, 'Berta'), (1, 'Ada'), (0, '🐔');
    CREATE TABLE egg (
      id int PRIMARY KEY, hen int REFERENCES hen (id) ON DELETE CASCADE, weight decimal(6, 2) CHECK (weight > 0),
      hidden int INVISIBLE DEFAULT 3, half decimal(6, 2) AS (weight / 2) STORED
    );
    INSERT INTO egg (id, hen, weight) VALUES (1, 1, 60), (2, NULL, 55.5);
    CREATE TABLE `o'dd "``|\\` (`a``b'"` int, `%s` blob) ENGINE=Aria DEFAULT CHARSET=latin1;
    INSERT INTO `o'dd "``|\\` VALUES (NULL, 0x00ff0a5c27), (0, '');
    CREATE TABLE part (i int) PARTITION BY RANGE (i)
      (PARTITION a VALUES LESS THAN (5), PARTITION b VALUES LESS THAN (10));
    INSERT INTO part SELECT seq FROM seq_0_to_9;
    CREATE TABLE history (i int) WITH SYSTEM VERSIONING;
    INSERT INTO history VALUES (1);
    UPDATE history SET i = 2;
    CREATE TABLE nothing (i int);
    CREATE SEQUENCE numbers START WITH 5 CACHE 10;
    DO NEXT VALUE FOR numbers;
    CREATE VIEW z_heavy AS SELECT id FROM egg WHERE weight > 1;
    CREATE VIEW a_heavy AS SELECT * FROM z_heavy;
    DELIMITER //
    CREATE FUNCTION twice(i int) RETURNS int DETERMINISTIC BEGIN RETURN 2 * i; END//
    CREATE PROCEDURE lay(IN hen int) COMMENT 'it''s' BEGIN
      INSERT INTO egg (id, hen) SELECT MAX(id) + 1, hen FROM egg;
    END//
    CREATE TRIGGER first {FIRST}//
    CREATE TRIGGER a_second BEFORE INSERT ON egg FOR EACH ROW FOLLOWS first SET NEW.hidden = NEW.hidden + 1//
    CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE DO BEGIN DELETE FROM egg; END//
    SET sql_mode = ORACLE//
    CREATE PACKAGE pack AS FUNCTION one RETURN int; END//
    CREATE PACKAGE BODY pack AS FUNCTION one RETURN int AS BEGIN RETURN 1; END; END//
"""
COUNTS = {"hen": 3, "egg": 2, "o'dd \"`|\\": 2, "part": 10, "history": 2, "nothing": 0, "numbers": 1}
# Two values of a type that something less exact would take for one.
VALUES = [
    ("int", "NULL", "0"),
    ("int", "0", "-1"),
    ("int", "1", "1), (1"),
    ("bigint unsigned", "18446744073709551615", "18446744073709551614"),
    ("text", "NULL", "''"),
    ("text", "'a'", "'A'"),
    ("text", "'a'", "'a '"),
    ("text", "'ss'", "'ß'"),
    ("char(5) CHARACTER SET latin1", "'ü'", "'u'"),
    ("varbinary(9)", "0x00", "0x0000"),
    ("longblob", "REPEAT('a', 9000000)", "CONCAT(REPEAT('a', 8999999), 'b')"),
    ("bit(9)", "b'0'", "b'1'"),
    ("bit(9)", "NULL", "b'0'"),
    ("float", "1.2345671", "1.2345672"),
    ("float", "16777216", "16777215"),
    ("double", "0.1", "0.10000000000000002"),
    ("decimal(30, 20)", "0.1", "0.10000000000000000001"),
    ("date", "'0000-00-00'", "NULL"),
    ("date", "'0000-00-00'", "'2024-00-00'"),
    ("datetime(6)", "'2024-01-01 00:00:00.000001'", "'2024-01-01'"),
    ("timestamp(6) NULL", "'2024-01-01 00:00:00.000001'", "'2024-01-01'"),
    ("timestamp NULL", "0", "NULL"),
    ("time(3)", "'-838:59:59'", "'838:59:59'"),
    ("year", "0", "2000"),
    ("enum('', 'a')", "''", "0"),
    ("set('', 'a')", "''", "1"),
    ("json", "'{}'", "'{ }'"),
    ("uuid", "'00000000-0000-0000-0000-000000000001'", "'00000000-0000-0000-0000-000000000002'"),
    ("inet6", "'::1'", "'::2'"),
    ("geometry", "POINT(1, 1)", "POINT(1, 1.0000000000000002)"),
    ("point", "ST_GeomFromText('POINT(1 1)', 0)", "ST_GeomFromText('POINT(1 1)', 4326)"),
]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
def database(server):
    server.create_database("a b")
    yield "a b"
    server.drop_database("a b")


@pytest.fixture
def everything(server, database):
    server.sql(EVERYTHING, database, server.owner)
    return database


def test_the_digest_sees_every_table(server, everything):
    digest = server.digest(everything)

    assert {table: count for table, (count, _) in digest.items()} == COUNTS


def test_the_digest_sees_every_value(server, database):
    script = ["SET sql_mode = '';"]
    for number, (kind, one, another) in enumerate(VALUES):
        for table, value in [("a", one), ("b", another), ("c", one)]:
            script.append(f"CREATE TABLE {table}{number} (c {kind}, d int);")
            script.append(f"INSERT INTO {table}{number} (c) VALUES ({value});")
    server.sql("\n".join(script), database)

    digest = server.digest(database)

    assert [digest[f"a{number}"] for number in range(len(VALUES))] == [
        digest[f"c{number}"] for number in range(len(VALUES))
    ]
    assert [pair for number, pair in enumerate(VALUES) if digest[f"a{number}"] == digest[f"b{number}"]] == []


def test_the_order_of_rows_is_no_difference(server, database):
    server.sql(
        "CREATE TABLE a (i int, t text); INSERT INTO a VALUES (1, 'x'), (2, NULL), (1, 'x');"
        "CREATE TABLE b (i int, t text); INSERT INTO b VALUES (2, NULL), (1, 'x'), (1, 'x');"
        "CREATE TABLE c (i int, t text); INSERT INTO c VALUES (2, NULL), (1, 'x'), (2, NULL);",
        database,
    )
    digest = server.digest(database)

    assert digest["a"] == digest["b"]
    assert digest["a"] != digest["c"]


def test_the_digest_sees_a_change(server, everything):
    for change, seen in [
        ("UPDATE egg SET hidden = 4 WHERE id = 1", "egg"),
        ("UPDATE part SET i = 1 WHERE i = 2", "part"),
        ("DO NEXTVAL(numbers), SETVAL(numbers, 40)", "numbers"),
        ("UPDATE history SET i = 3; UPDATE history SET i = 2", "history"),
        ("INSERT INTO nothing VALUES (NULL)", "nothing"),
    ]:
        before = server.digest(everything)
        server.sql(change, everything)
        after = server.digest(everything)

        assert {table for table in before if before[table] != after[table]} == {seen}


def test_the_state_sees_a_change(server, everything):
    for change, seen in [
        (f"CREATE OR REPLACE DEFINER=owner@`%` TRIGGER first {FIRST}", "TRIGGERS"),
        ("ALTER DATABASE CHARACTER SET latin1", "DATABASE"),
        ("ALTER TABLE hen AUTO_INCREMENT = 9", "TABLE hen"),
        ("ALTER TABLE egg DROP CONSTRAINT egg_ibfk_1", "TABLE egg"),
        ("CREATE OR REPLACE VIEW a_heavy AS SELECT id FROM hen", "VIEW a_heavy"),
        ("CREATE OR REPLACE DEFINER=other@`%` VIEW a_heavy AS SELECT id FROM hen", "VIEW a_heavy"),
        ("ALTER SEQUENCE numbers CACHE 9", "SEQUENCE numbers"),
        (
            "CREATE OR REPLACE TRIGGER a_second BEFORE INSERT ON egg FOR EACH ROW PRECEDES first SET @a = 1",
            "TRIGGER a_second",
        ),
        ("ALTER FUNCTION twice COMMENT 'more'", "FUNCTION twice"),
        ("SET sql_mode = ''; CREATE OR REPLACE FUNCTION twice(i int) RETURNS int RETURN 2", "FUNCTION twice"),
        ("DROP PROCEDURE lay", "PROCEDURE lay"),
        ("ALTER EVENT nightly ENABLE", "EVENT nightly"),
        ("SET sql_mode = ORACLE; DROP PACKAGE BODY pack", "PACKAGE BODY pack"),
    ]:
        before, _ = server.state(everything)
        server.sql(change, everything)
        after, _ = server.state(everything)

        assert {name for name in before if before[name] != after.get(name)} == {seen}


def test_the_state_is_what_a_dump_brings_back(server, everything):
    dump = server.dump(everything)
    before = server.state(everything)
    server.drop_database(everything)
    server.create_database(everything)
    server.sql(dump, everything)
    after = server.state(everything)

    assert dump == server.dump(everything)
    # The dump has no history without --dump-history, which another server may not know.
    assert after[1].pop("history") != before[1].pop("history")
    assert after == before
