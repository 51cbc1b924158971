"""The splitter: SQLite's own statements, however the stream is cut into chunks, in linear time."""

from __future__ import annotations

import io
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.sqlite_splitter import excerpt, split_statements
from dbbackup.streams import IteratorReader

TRICKY = b"""-- a comment; with a semicolon and a 'quote
CREATE TABLE "a;b"(x); /* another ' ; -- */ INSERT INTO t VALUES('it''s; ', "x"";y", `z;`, [w;], 1-1, 4/2, -1, - -1);
CREATE /* why */ TRIGGER g AFTER INSERT ON t WHEN NEW.a = 'END;' BEGIN
  UPDATE t SET a = CASE WHEN a THEN 1 ELSE 2 END; -- END;
  SELECT 1;
END;
create temp trigger h after delete on t begin select 1; end ;
/***/ SELECT 1 /* a * b / c **/; CREATE TABLE trigger_like(a);;
-- the end"""

STATEMENTS = [
    b'-- a comment; with a semicolon and a \'quote\nCREATE TABLE "a;b"(x);',
    b""" /* another ' ; -- */ INSERT INTO t VALUES('it''s; ', "x"";y", `z;`, [w;], 1-1, 4/2, -1, - -1);""",
    b"""
CREATE /* why */ TRIGGER g AFTER INSERT ON t WHEN NEW.a = 'END;' BEGIN
  UPDATE t SET a = CASE WHEN a THEN 1 ELSE 2 END; -- END;
  SELECT 1;
END;""",
    b"\ncreate temp trigger h after delete on t begin select 1; end ;",
    b"\n/***/ SELECT 1 /* a * b / c **/;",
    b" CREATE TABLE trigger_like(a);",
    b";",
    b"\n-- the end",
]


def _split(*chunks: bytes) -> list[bytes]:
    return list(split_statements(IteratorReader(chunks)))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_chunks_do_not_matter(size: int):
    assert _split(*(TRICKY[start : start + size] for start in range(0, len(TRICKY), size))) == STATEMENTS


@pytest.mark.parametrize("statement", STATEMENTS[:-2])
def test_sqlite_agrees(statement: bytes):
    assert sqlite3.complete_statement(statement.decode())


@given(st.text(alphabet="ab;'\"`[]-/*\n ", max_size=40), st.integers(1, 5))
def test_chunks_never_matter(text: str, size: int):
    dump = f"{text}".encode()
    pieces = [dump[start : start + size] for start in range(0, len(dump), size)]
    try:
        whole = _split(dump)
    except RestoreError:
        with pytest.raises(RestoreError):
            _split(*pieces)
        return
    assert _split(*pieces) == whole
    assert b"".join(whole) == dump


@pytest.mark.parametrize(
    "end", ["'", '"', "`", "[", "/* ", "x", "'a''", "CREATE TRIGGER t BEGIN SELECT 1;", "x -", "/"]
)
def test_statement_without_an_end_is_refused(end: str):
    with pytest.raises(RestoreError, match="in the middle of a statement"):
        _split(b"SELECT 1; " + end.encode())


@pytest.mark.parametrize("body", [b"'x", b"x'abcdef0123", b"/* x", b"-- ", b"a b c ", b"''", b"(1,'a'),"])
def test_time_is_linear_in_the_length_of_a_statement(body: bytes):
    # A quadratic one would take minutes for this.
    closer = {b"'": b"'", b"/": b"*/", b"-": b"\n"}.get(body[:1], b"")
    opener, rest = (body[:2], body[2:]) if closer else (b"", body)
    if body[:1] == b"x":
        opener, rest, closer = b"x'", body[2:], b"'"
    if body == b"''":
        opener, rest, closer = b"", body, b""
    piece = (rest or b"-") * 20_000
    dump = [opener, *([piece] * 300), closer, b";"]
    (statement, blank) = _split(*dump)
    assert len(statement) == sum(map(len, dump))
    assert blank == b""


def test_many_small_statements_in_one_chunk():
    dump = b"INSERT INTO t VALUES(1);\n" * 100_000
    assert sum(1 for _ in split_statements(io.BytesIO(dump))) == 100_001


def test_excerpt_hides_values():
    assert excerpt(b"  INSERT  INTO\n t VALUES ('secret')") == "INSERT INTO t"
    assert excerpt(b"SELECT " + b"x" * 100) == f"SELECT {'x' * 73} …"
    assert excerpt(b"\xff") == "\N{REPLACEMENT CHARACTER}"
