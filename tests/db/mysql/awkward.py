"""Databases whose names some program, file or shell treats in its own way."""

from __future__ import annotations

NAMES = {
    "option": "--version",
    "dash": "-dash",
    "all": "--all-databases",
    "dots": 'a b.c`d"e',
    "quote": "o'clock",
    "unicode": "Ünïcode 表",
    "wild": "te_st%",
    "shell": "$(id) ; # `|",
    "newline": "new\nline",
}

ESCAPED = {*"'\"\\\n"}
"""The characters in a name of a database at which mariadb-dump fails if there are events."""

TABLES = """
CREATE TABLE `a b` (id int PRIMARY KEY AUTO_INCREMENT, t text) AUTO_INCREMENT = 9;
INSERT INTO `a b` (t) VALUES ('ä 😀');
CREATE TABLE child (id int PRIMARY KEY, parent int, FOREIGN KEY (parent) REFERENCES `a b` (id));
INSERT INTO child VALUES (1, 9); CREATE VIEW seen AS SELECT t FROM `a b`;
CREATE TRIGGER noted BEFORE INSERT ON child FOR EACH ROW SET NEW.parent = NULL;
"""
ROUTINES = """
CREATE FUNCTION f() RETURNS int RETURN 1; CREATE PROCEDURE p() SELECT * FROM seen;
"""
EVENT = "CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' DO SET @a = 1;"
