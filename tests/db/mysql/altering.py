"""A database that has everything, dumps of it with changes, and what becomes of them in a restore."""

from __future__ import annotations

import stat
from pathlib import Path

from tests.db.mysql.conftest import Database
from tests.shop import Run, Store

SHOP = """
CREATE TABLE customer (
  id int AUTO_INCREMENT PRIMARY KEY, name varchar(50), boss int, FOREIGN KEY (boss) REFERENCES customer (id));
CREATE TABLE purchase (
  id int PRIMARY KEY, customer_id int, twice int AS (id * 2) STORED,
  FOREIGN KEY (customer_id) REFERENCES customer (id));
CREATE TABLE price (id int PRIMARY KEY, amount decimal(10, 2)) WITH SYSTEM VERSIONING;
CREATE SEQUENCE counter START WITH 100;
CREATE VIEW names AS SELECT name FROM customer;
CREATE VIEW all_names AS SELECT name FROM names;
CREATE FUNCTION half(x int) RETURNS int DETERMINISTIC RETURN x DIV 2;
DELIMITER //
CREATE PROCEDURE shout() BEGIN UPDATE customer SET name = UPPER(name); SELECT ';'; END //
CREATE TRIGGER before_purchase BEFORE INSERT ON purchase FOR EACH ROW BEGIN
  IF NEW.id IS NULL THEN SET NEW.id = 1; END IF; END //
DELIMITER ;
CREATE EVENT tidy ON SCHEDULE EVERY 1 YEAR STARTS '2038-01-01 00:00:00' DO DELETE FROM purchase WHERE id < 0;
INSERT INTO customer VALUES (1, 'Ann', NULL), (2, 'Bob', 1), (3, 'Schräubchen; DROP', NULL);
UPDATE customer SET boss = 2 WHERE id = 1;
INSERT INTO purchase (id, customer_id) VALUES (1, 1), (2, 2), (3, 3);
INSERT INTO price VALUES (1, 1.50), (2, 2.50);
UPDATE price SET amount = 9.99 WHERE id = 1;
SELECT NEXT VALUE FOR counter;
"""
CHANGES = """
DELETE FROM purchase WHERE id > 1;
UPDATE customer SET name = 'changed';
UPDATE price SET amount = 100;
DELETE FROM price WHERE id = 2;
CREATE TABLE newer (id int PRIMARY KEY);
INSERT INTO newer VALUES (7);
CREATE VIEW newest AS SELECT id FROM newer;
CREATE FUNCTION later() RETURNS int DETERMINISTIC RETURN 1;
DROP TRIGGER before_purchase;
CREATE TRIGGER after_purchase AFTER DELETE ON purchase FOR EACH ROW DELETE FROM newer;
CREATE EVENT tidier ON SCHEDULE EVERY 2 YEAR STARTS '2038-01-01 00:00:00' DO DELETE FROM newer;
CREATE SEQUENCE steps START WITH 5;
DROP PROCEDURE shout;
SELECT NEXT VALUE FOR steps;
"""
PUT_BACK = "The safety dump was put back and verified: database 'shop' is as it was."
UNTOUCHED = "Nothing was changed."
# What the second half of a dump begins with.
_MIDDLE = b"\n--\n-- Table structure for table `purchase`\n"


def with_statement(dump: bytes, *statements: str, before: bytes = _MIDDLE) -> bytes:
    """Return a dump that has statements more, in its middle."""
    assert dump.count(before) == 1
    return dump.replace(before, b"\n" + b"".join(f"{statement};\n".encode() for statement in statements) + before)


def replaced(dump: bytes, old: bytes, new: bytes) -> bytes:
    """Return a dump with another text in the place of one that it has."""
    assert old in dump
    return dump.replace(old, new)


def restored(store: Store, dump: bytes, *args: str) -> Run:
    """Restore a dump from a file, of which nobody says who has made it."""
    path = store.folder.parent / "from elsewhere.dump"
    path.write_bytes(dump)
    run = store.run("dbrestore", "--noinput", "-I", str(path), *args)
    assert "Traceback" not in run.error + run.err
    return run


def refused(database: Database, store: Store, dump: bytes | None = None, *args: str) -> str:
    """Return the error of a restore that is refused before anything is touched."""
    before = database.state()
    run = store.run("dbrestore", "--noinput", *args) if dump is None else restored(store, dump, *args)
    assert run.status == 1
    assert "safety dump is put back" not in run.err
    assert "was put back" not in run.error
    assert database.state() == before
    assert left(store) == []
    return run.error


def put_back(database: Database, store: Store, dump: bytes | None = None, *args: str) -> str:
    """Return the error of a restore that fails halfway, and after which everything is as it was."""
    before = database.state()
    run = store.run("dbrestore", "--noinput", *args) if dump is None else restored(store, dump, *args)
    assert run.status == 1
    assert "The restore failed; the safety dump is put back." in run.err
    assert run.error.endswith(PUT_BACK)
    assert database.state() == before
    assert left(store) == []
    return run.error


def left(store: Store) -> list[str]:
    """Return what is in the folder for temporary files."""
    return sorted(path.relative_to(store.tmp).as_posix() for path in store.tmp.rglob("*"))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
