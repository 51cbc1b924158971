"""Names and texts in SQL, and rows as the client prints them: by the rules, and by a real server."""

from __future__ import annotations

import pytest

from dbbackup.db.mysql.names import quote_account, quote_name, quote_text, rows
from dbbackup.db.mysql.watching import execute
from tests.db.mysql.conftest import Database
from tests.requirements import requires

TEXTS = [
    "plain",
    'it\'s "quoted" by `ticks`',
    "''",
    "\\",
    "\\' OR 1=1 -- ",
    "back\\slash\\n and \\0 and \\t",
    "tab\tnewline\nreturn\rboth\r\n",
    "\0nul\0",
    "\x1a\x08\x7f",
    "100%_#;-- /* */ $(x) ${HOME}",
    "NULL",
    "\\N",
    " blanks at the ends ",
    "Straße €uro 日本語 🐘",
    "DELIMITER //",
    "\\! touch x",
]


def test_quoted_names():
    assert quote_name("a`b") == "`a``b`"
    assert quote_name("'\\\" ") == "`'\\\" `"


def test_quoted_texts():
    assert quote_text("it's") == "'it''s'"
    assert quote_text("a\\'b") == "'a\\\\''b'"


@pytest.mark.parametrize(
    ("account", "quoted"),
    [
        ("owner@%", "'owner'@'%'"),
        ("it's@home@10.0.0.%", "'it''s@home'@'10.0.0.%'"),
        ("@localhost", "''@'localhost'"),
    ],
)
def test_quoted_accounts(account: str, quoted: str):
    assert quote_account(account) == quoted


def test_rows_of_a_batch():
    assert list(rows("a\tb\nc\\td\t\\\\n\\n\\0\nNULL\t\n")) == [["a", "b"], ["c\td", "\\n\n\0"], ["NULL", ""]]
    assert list(rows("")) == []
    assert list(rows("only")) == [["only"]]
    # Not the separators that Python knows beside it.
    assert list(rows("a\u2028b\x0b\x0c\x1e\r\tc\n")) == [["a\u2028b\x0b\x0c\x1e\r", "c"]]


@requires("mariadb")
def test_texts_come_back_from_the_server(database: Database):
    with database.connector()._session("dump") as session:
        asked = session.ask(";\n".join(f"SELECT {number}, {quote_text(text)}" for number, text in enumerate(TEXTS)))
    assert asked == [[str(number), text] for number, text in enumerate(TEXTS)]


@requires("mariadb")
def test_names_come_back_from_the_server(database: Database):
    # No name may hold a NUL or four bytes of UTF-8, or end in a blank.
    names = sorted({text.translate({0: None, ord("🐘"): None}).rstrip()[:60] for text in TEXTS} - {""})
    with database.connector()._session("dump") as session:
        execute(session, ";\n".join(f"CREATE TABLE {quote_name(name)} ({quote_name(name)} int)" for name in names))
        asked = session.ask(
            "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()"
        )
        assert sorted(asked) == [[name, name] for name in names]
        execute(session, ";\n".join(f"DROP TABLE {quote_name(name)}" for name in names))
    assert database.sql("SHOW TABLES") == ""


@requires("mariadb")
def test_bytes_that_are_no_text_come_back_too(database: Database):
    with database.connector()._session("dump") as session:
        ((answer,),) = session.ask("SELECT x'61ff09fe0a00c3'")
    assert answer.encode(errors="surrogateescape") == b"a\xff\t\xfe\n\0\xc3"
