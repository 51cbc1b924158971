"""A SQLite schema with every thing that has ever been lost in a dump."""

from __future__ import annotations

EVERYTHING = r"""
PRAGMA user_version = 42;
PRAGMA application_id = 1234567;
CREATE TABLE author(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, born DATE);
INSERT INTO author VALUES(7, 'Zoë', '1970-01-01'), (9, 'O''Brien'||char(10)||'two lines);'||char(10)||'x', NULL);
DELETE FROM author WHERE id = 9;
CREATE TABLE book(id INTEGER PRIMARY KEY, author_id INTEGER REFERENCES author(id) DEFERRABLE INITIALLY DEFERRED,
  price NUMERIC, rating REAL, cover BLOB, CHECK (price >= 0)); -- a comment behind
INSERT INTO book VALUES(1, 7, 12.50, 0.1, x'00ff27'), (-5, 999, 3, 1e308, zeroblob(10000)),
  (9223372036854775807, 7, NULL, 5e-324, x'');
CREATE TABLE plain(a, b, c);
INSERT INTO plain(rowid, a, b, c) VALUES
  (3, 9223372036854775807, -9223372036854775808, 0.1),
  (5, 9e999, -9e999, NULL), (100, 'a' || char(0) || 'b', '', x''), (-7, 1.0, 1, '1'),
  (101, 3.141592653589793, 2.2250738585072014e-308, 1.7976931348623157e308),
  (102, 0.30000000000000004, -0.0, 123456789012345.678), (103, 47.376887, -8.541694, 1e15),
  (104, 'semi;colon', 'quote''quote', 'back\slash'), (105, 9007199254740993, 9007199254740993.0, 1e22),
  (106, CAST(x'c328ff' AS TEXT), '-- no comment', '/* nor this'), (107, 'Ω≈ç√∫˜µ≤≥÷ 🎉', char(0), char(0,39,0));
CREATE TABLE "a ""quoted"" name
with a newline"("select" TEXT, "x y" INT, "ü" REAL, 'it''s' BLOB, [br acket] TEXT);
INSERT INTO "a ""quoted"" name
with a newline" VALUES('v', 1, 2.5, x'01', ']');
CREATE TABLE "-dash"(rowid TEXT, _rowid_ INT);
INSERT INTO "-dash"(oid, rowid, _rowid_) VALUES(77, 'mine', 5);
CREATE TABLE shadowed(rowid TEXT, _rowid_ TEXT, oid TEXT);
INSERT INTO shadowed VALUES('a', 'b', 'c');
CREATE TABLE descending(id INTEGER PRIMARY KEY DESC, v);
INSERT INTO descending(rowid, id, v) VALUES(50, 1, 'x');
CREATE TABLE keyed(k TEXT COLLATE NOCASE, n INT, v BLOB, PRIMARY KEY(k, n DESC)) WITHOUT ROWID;
INSERT INTO keyed VALUES('a', 1, x'00'), ('B', 2, NULL), ('b', 1, 'text');
CREATE TABLE strict(i INT, r REAL, t TEXT, b BLOB, a ANY) STRICT;
INSERT INTO strict(rowid, i, r, t, b, a) VALUES(4, 1, 1, '1', x'31', 1), (8, NULL, 0.1, '', x'', '01');
CREATE TABLE made(w INT, h INT, area INT AS (w * h), stored TEXT GENERATED ALWAYS AS (w || 'x' || h) STORED, z INT);
INSERT INTO made(rowid, w, h, z) VALUES(10, 3, 4, 5);
CREATE INDEX made_area ON made(area) WHERE area > 1;
CREATE INDEX "index ""of"" expressions" ON author(lower(name), length(name) DESC);
CREATE UNIQUE INDEX plain_unique ON plain(a) WHERE typeof(a) = 'text';
CREATE TABLE log(what TEXT);
CREATE TRIGGER author_added AFTER INSERT ON author BEGIN
  INSERT INTO log VALUES('added ' || NEW.name || ';');
  UPDATE log SET what = CASE WHEN what = 'END;' THEN 'x' ELSE what END;
END;
CREATE TRIGGER no_delete BEFORE DELETE ON book WHEN OLD.id = 1 BEGIN SELECT RAISE(ABORT, 'keep it; please'); END;
CREATE VIEW "all books" AS SELECT b.id, a.name FROM book b LEFT JOIN author a ON a.id = b.author_id;
CREATE VIEW named AS SELECT * FROM "all books" WHERE name IS NOT NULL -- the end of it
;
CREATE VIEW before_its_base AS SELECT * FROM later;
CREATE VIEW later AS SELECT 1 AS one;
CREATE TRIGGER view_insert INSTEAD OF INSERT ON named BEGIN INSERT INTO author(name) VALUES(NEW.name); END;
CREATE VIRTUAL TABLE search USING fts5(title, body, tokenize = "unicode61 remove_diacritics 2", prefix='2 3');
INSERT INTO search(rowid, title, body) VALUES(5, 'Zürich', 'a town; it''s large'), (1, 'other', 'text');
INSERT INTO search(search, rank) VALUES('rank', 'bm25(10.0, 5.0)');
DELETE FROM search WHERE rowid = 1;
CREATE VIRTUAL TABLE search_named USING fts5(name, content='author', content_rowid='id');
INSERT INTO search_named(search_named) VALUES('rebuild');
CREATE VIRTUAL TABLE search_bare USING fts5(x, content='');
INSERT INTO search_bare(rowid, x) VALUES(11, 'contentless words');
CREATE VIRTUAL TABLE words USING fts5vocab('search', 'row');
CREATE VIRTUAL TABLE old_search USING fts4(subject, body, notindexed=body);
INSERT INTO old_search(docid, subject, body) VALUES(3, 'hello world', 'x'), (4, 'other', NULL);
CREATE VIRTUAL TABLE place USING rtree(id, x0, x1, y0, y1, +label TEXT);
INSERT INTO place VALUES(1, 0.1, 0.2, 47.3, 47.4, 'Zürich'), (2, -10, 10, -10, 10, NULL);
CREATE TABLE many(id INTEGER PRIMARY KEY, t TEXT, r REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
INSERT INTO many SELECT i, 'row ' || i || CASE WHEN i % 7 THEN '' ELSE ''');' || char(10) END, i / 7.0 FROM n;
CREATE INDEX many_r ON many(r);
ANALYZE;
"""
