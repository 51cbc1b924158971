"""Literals: what SQLite makes of them is the value again, to the bit."""

from __future__ import annotations

import math
import sqlite3
import struct
from contextlib import closing

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dbbackup.db.exceptions import DumpError
from dbbackup.db.sqlite_values import InsertWriter, blob_literal, real_literal, text_literal


def _evaluated(literal: bytes) -> object:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.text_factory = bytes
        return connection.execute(f"SELECT {literal.decode()}").fetchone()[0]


def _bits(value: object) -> bytes:
    assert isinstance(value, float)
    return struct.pack(">d", value)


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (0.1, b"0.1"),
        (-31.01, b"-31.01"),
        (1.0, b"1.0"),
        (-0.0, b"-0.0"),
        (47.376887, b"47376887/1e6"),
        (-0.000012, b"-12/1e6"),
        (1 / 3, b"6004799503160661.0/18014398509481984"),
        (1e15, b"1000000000000000.0"),
        (1e22, b"2384185791015625.0*4194304"),
        (math.inf, b"9e999"),
        (-math.inf, b"-9e999"),
    ],
)
def test_real(value: float, literal: bytes):
    assert real_literal(value) == literal
    assert _bits(_evaluated(literal)) == _bits(value)


@given(st.floats(allow_nan=False))
@example(5e-324)
@example(2.2250738585072014e-308)
@example(1.7976931348623157e308)
@example(-4503599627370497.5)
@example(123456789.125)
@example(99999999.9999995)
def test_every_real_comes_back(value: float):
    assert _bits(_evaluated(real_literal(value))) == _bits(value)


@given(st.decimals(-(10**9), 10**9, places=7))
def test_every_decimal_comes_back(value: object):
    number = float(str(value))
    assert _bits(_evaluated(real_literal(number))) == _bits(number)


@given(st.binary())
@example(b"it's")
@example(b"a\0b")
@example(b"\xff'")
def test_every_text_and_blob_comes_back(value: bytes):
    assert _evaluated(text_literal(bytearray(value), "UTF-8")) == value
    assert _evaluated(blob_literal(value)) == value


def test_text_that_is_no_unicode_in_any_way_is_an_error():
    with pytest.raises(DumpError, match="not valid UTF-16"):
        text_literal(bytearray(b"\xff"), "UTF-16le")


def test_statement_holds_few_expressions():
    rows = [(number / 7, bytearray(b"a/b")) for number in range(1, 451)]
    statements = list(InsertWriter('"t"("a","b")', "UTF-8").statements(rows))
    assert statements[0].startswith(b'INSERT INTO "t"("a","b") VALUES\n(')
    assert all(statement.endswith(b");\n") for statement in statements)
    assert max(statement.count(b".0/") for statement in statements) <= 100
    assert sum(statement.count(b"(") for statement in statements) == 450 + len(statements)
