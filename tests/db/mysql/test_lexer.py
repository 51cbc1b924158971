from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterable
from contextlib import nullcontext
from itertools import chain, pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.mysql import lexer
from dbbackup.db.mysql.lexer import HEAD, Lexer, Part, Piece
from dbbackup.db.mysql.quoting import Quoting

MIB = 1024 * 1024
FRAGMENTS = (
    [bytes([byte]) for byte in b"'\"`\\;#-/*!M+ \n\taN\0"]
    + [
        b"''",
        b"\\'",
        b"\\\\",
        b";;",
        b"-- ",
        b"--\n",
        b"--x",
        b"/*",
        b"*/",
        b"/*!50003 ",
        b"/*M!100000 ",
        b"/*+",
        b"\r\n",
    ]
    + [b"DELIMITER ;;\n", b"DELIMITER ;\n", b"delimiter //\n", b"\n DELIMITER $$ x\n", b"//", b"$$", b"DELIMITER"]
    + [
        b"INSERT INTO `t` VALUES ('",
        b"'),(0x00,-1,NULL,'",
        b"');\n",
        b"REPLACE ",
        b"/*!40000 INSERT",
        b"CREATE",
        "ü".encode(),
    ]
)
DUMPS = st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(b"".join)


def lex(chunks: Iterable[bytes]) -> list[Piece]:
    reader = Lexer()
    pieces = [piece for chunk in chunks for piece in reader.feed(chunk)]
    return pieces + list(reader.finish())


def parts(dump: bytes, size: int | None = None) -> list[tuple[Part, bytes]]:
    """Return the parts of a dump, those of one INSERT put together."""
    size = size or len(dump) or 1
    return joined(lex(dump[start : start + size] for start in range(0, len(dump), size)))


def joined(pieces: list[Piece]) -> list[tuple[Part, bytes]]:
    found: list[tuple[Part, bytes]] = []
    is_open = False
    for piece in pieces:
        if is_open:
            assert piece.is_data
            found[-1] = (piece.part, found[-1][1] + piece.text)
        else:
            found.append((piece.part, piece.text))
        is_open = not piece.is_last
    assert not is_open
    return found


def statements(dump: bytes) -> list[bytes]:
    return [text for part, text in parts(dump) if part in {Part.STATEMENT, Part.DATA}]


class ByteByByte:
    """Split a dump one byte after the other, as the clients do."""

    def __init__(self, dump: bytes) -> None:
        self.dump = dump
        self.statements: list[bytes] = []
        self.delimiter = b";"
        self.position, self.start, self.at_line_start = 0, -1, True

    def split(self) -> bool:
        """Return whether the dump ends where it can end."""
        try:
            while self.position < len(self.dump):
                self.step(self.dump[self.position :])
        except RestoreError:
            return False
        return self.start < 0 and self.delimiter == b";"

    def step(self, here: bytes) -> None:
        if self.start < 0 and here[:1].isspace():
            self.at_line_start = self.at_line_start or here[:1] == b"\n"
            self.position += 1
        elif self.start < 0 and self.at_line_start and re.match(rb"DELIMITER(?![\w$\x80-\xff])", here, re.IGNORECASE):
            line = here.split(b"\n")[0]
            self.delimiter = self.argument(line.split(None, 1)[1:])
            self.position += len(line) + 1
        elif here.startswith(self.delimiter):
            end = self.position + len(self.delimiter)
            self.statements.append(self.dump[self.start if self.start >= 0 else self.position : end])
            self.position, self.start, self.at_line_start = end, -1, False
        elif re.match(rb"#|--" if self.start < 0 else rb"#|--(?:[\s\0]|\Z)", here):
            self.position += len(here.split(b"\n")[0]) + 1
            self.at_line_start = True
        elif re.match(rb"/\*(?!M?!)", here):
            self.position += self.size(here, b"*/", 2)
            self.at_line_start = False
        else:
            self.start = self.start if self.start >= 0 else self.position
            self.position += self.code(here)

    def argument(self, found: list[bytes]) -> bytes:
        words = found[0].split() if found else []
        word = words[0] if words else b""
        if word[:1] in {b"'", b'"', b"`"}:
            word = found[0].split(word[:1])[1]
        if not word or b"\\" in word:
            raise RestoreError("DELIMITER")
        return word

    def code(self, here: bytes) -> int:
        if here[:1] == b"\\":
            return 2
        if here[:1] == b"`":
            return self.size(here, b"`", 1)
        if here[:1] in {b"'", b'"'}:
            found = re.match(rb"(?s)'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", here)
            if not found:
                raise RestoreError("string")
            return found.end()
        return 1

    def size(self, here: bytes, closer: bytes, start: int) -> int:
        if here.find(closer, start) < 0:
            raise RestoreError("comment")
        return here.index(closer, start) + len(closer)


@given(DUMPS)
@example(b"a -")
@example(b"--")
@example(b"/*!1 2*/*3; 4 */;")
@example(b"DELIMITER //\na / b /x //\nDELIMITER ;\n")
def test_statements_end_where_the_clients_end_them(dump):
    expected = ByteByByte(dump)
    is_whole = expected.split()
    reader = Lexer()
    found, held = [], b""

    with nullcontext() if is_whole else pytest.raises(RestoreError):
        for piece in chain(reader.feed(dump), reader.finish()):
            held += piece.text
            if piece.is_last and piece.part in {Part.STATEMENT, Part.DATA}:
                found.append(held)
            held = b"" if piece.is_last else held

    # Those before the error count as well.
    assert found == expected.statements


@given(DUMPS, st.lists(st.integers(0, 200)))
def test_any_cutting_gives_the_same_pieces_and_loses_nothing(dump, cuts):
    edges = sorted({0, len(dump), *(cut for cut in cuts if cut < len(dump))})
    chunks = [dump[start:end] for start, end in pairwise(edges)]
    try:
        whole = parts(dump)
    except RestoreError as exc:
        with pytest.raises(RestoreError, match=re.escape(str(exc))):
            lex(chunks)
    else:
        assert joined(lex(chunks)) == whole
        assert b"".join(text for _, text in whole) == dump
        assert parts(dump, 1) == whole


def test_a_dump_falls_into_its_parts():
    dump = (
        b"/*M!999999\\- enable the sandbox mode */ \n"
        b"-- MariaDB dump\n\n"
        b"/*!40101 SET NAMES utf8mb4 */;\n"
        b"INSERT INTO `t` VALUES\n(1,'a;b'),\n(2,'it''s');\n"
        b"DELIMITER ;;\n"
        b"CREATE PROCEDURE p() begin select 1; -- it's; \n end ;;\n"
        b"DELIMITER ;\n"
        b"\n-- Dump completed\n"
    )

    assert parts(dump) == [
        (Part.SANDBOX, b"/*M!999999\\- enable the sandbox mode */ \n"),
        (Part.SPACE, b"-- MariaDB dump\n\n"),
        (Part.STATEMENT, b"/*!40101 SET NAMES utf8mb4 */;"),
        (Part.SPACE, b"\n"),
        (Part.DATA, b"INSERT INTO `t` VALUES\n(1,'a;b'),\n(2,'it''s');"),
        (Part.SPACE, b"\n"),
        (Part.DELIMITER, b"DELIMITER ;;\n"),
        (Part.STATEMENT, b"CREATE PROCEDURE p() begin select 1; -- it's; \n end ;;"),
        (Part.SPACE, b"\n"),
        (Part.DELIMITER, b"DELIMITER ;\n"),
        (Part.SPACE, b"\n-- Dump completed\n"),
    ]
    for size in range(1, 60):
        assert parts(dump, size) == parts(dump)


@pytest.mark.parametrize(
    "line",
    [
        b"/*!999999\\- enable the sandbox mode */\n",
        b"/*M!999999\\- x */\r\n",
        b"/*M!999999\\- x */",
        b"/*M!999999\\- x */ ",
    ],
)
def test_the_sandbox_line_ends_with_its_comment(line):
    found = parts(b"\xef\xbb\xbf\n" + line + b"select 1;", 3)

    assert found == [(Part.SPACE, b"\xef\xbb\xbf\n"), (Part.SANDBOX, line), (Part.STATEMENT, b"select 1;")]


@pytest.mark.parametrize(
    "body",
    [
        b"begin\n-- it's\n;\nend",
        b"begin\nDELIMITER $$\n;\nend",
        b"begin\nINSERT INTO `t` VALUES (1);\nUSE x;\nCREATE TABLE y (a int);\n-- Dump completed\nend",
        b"begin select 'a;;\n\\';;', \"it's ;;\", `n;;``;;\n`; end",
        b"begin /* ' ;; */ select 1; # \" ;;\n end",
        b"/*! begin */ select /*+ it's ;; */ 1; /*!50000 end */",
    ],
)
def test_nothing_in_a_body_is_taken_for_a_statement(body):
    create = b"CREATE PROCEDURE `p`() " + body + b" ;;"

    assert statements(b"DELIMITER ;;\n" + create + b"\nDELIMITER ;\nselect 2;\n") == [create, b"select 2;"]


@pytest.mark.parametrize(
    ("mode", "statement"),
    [
        (b"NO_BACKSLASH_ESCAPES", b"select 'C:\\';"),
        (b"ANSI_QUOTES,NO_BACKSLASH_ESCAPES", b"select 'C:\\', \"a\\\";"),
        (b"STRICT_TRANS_TABLES,ANSI_QUOTES", b"select \"a\\\", 'b\\';';"),
    ],
)
@pytest.mark.parametrize(
    "setting",
    [
        b"/*!50003 SET sql_mode              = '%s' */ ;",
        b"SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='%s';",
        b'set session sql_mode = "%s";',
        b"SET @@session.sql_mode := '%s';",
    ],
)
def test_the_sql_mode_says_what_a_backslash_is(mode, statement, setting):
    set_mode, restore = setting % mode, b"/*!50003 SET sql_mode = @saved_sql_mode */ ;"

    assert statements(set_mode + statement + restore + b"select 'a\\';b';") == [
        set_mode,
        statement,
        restore,
        b"select 'a\\';b';",
    ]


@pytest.mark.parametrize(
    "setting",
    [
        b"SET @sql_mode = 'NO_BACKSLASH_ESCAPES';",
        b"SET GLOBAL x = 1;",
        b"SET @saved_sql_mode = @@sql_mode;",
        b"SELECT sql_mode = 'NO_BACKSLASH_ESCAPES';",
    ],
)
def test_other_settings_leave_backslashes_alone(setting):
    assert statements(setting + b"select 'a\\';b';") == [setting, b"select 'a\\';b';"]


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        (b"a 'it''s' \"\\\"\" `b``c` d", b"a '_____' \"__\" `____` d"),
        (b"/*!50001 a */ /*M!100000 b*/c", b"a b c"),
        (b"a/* ' */b /*+ ' */ c-- '\nd # '\ne--1", b"a b c d e--1"),
        (b"2*/* ' */3", b"2* 3"),
    ],
)
def test_hiding_leaves_code_alone(statement, code):
    assert b" ".join(Quoting().hide(statement).split()) == code


@given(DUMPS)
def test_hiding_moves_nothing(dump):
    hidden = Quoting().hide(dump)

    assert len(hidden) == len(dump)
    assert all(new in {old, *b" _"} for old, new in zip(dump, hidden, strict=True))


@pytest.mark.parametrize(
    ("dump", "inside"),
    [
        (b"INSERT INTO `t` VALUES (1,'secret", "a string of the statement INSERT INTO `t`"),
        (b"INSERT INTO `t` VALUES (1,'secret\\", "a string of the statement INSERT INTO `t`"),
        (b"REPLACE INTO `a(` SELECT 'secret", "a string of the statement REPLACE INTO `a(`"),
        (b"INSERT INTO `t` VALUES (1," + b"'secret'," * 300, "the statement INSERT INTO `t`"),
        (b"INSERT INTO `t` VALUES (1,'secret')", "the statement INSERT INTO `t`"),
        (b"/*!50001 CREATE VIEW `v` AS SELECT 'secret'*/", "the statement CREATE VIEW `v`"),
        (b"UPDATE t SET a = 'secret'", "the statement UPDATE t"),
        (b"CREATE TABLE `t` (\n  `a", "a name of the statement CREATE TABLE `t`"),
        (b"select 1; /* secret", "a comment"),
        (b"select /* secret", "a comment of the statement select"),
        (b"/*M!999999\\- enable", "a comment"),
        (b"select 1;\nDELIMITER ", "a line DELIMITER"),
    ],
)
@pytest.mark.parametrize("size", [1, 700, 10_000])
def test_a_cut_dump_is_refused_without_its_values(dump, inside, size):
    with pytest.raises(RestoreError) as caught:
        parts(dump, size)

    assert str(caught.value).startswith(f"The dump was cut: it ends inside {inside}")
    assert "secret" not in str(caught.value)


def test_a_delimiter_has_to_come_back():
    with pytest.raises(
        RestoreError, match=r"The dump was cut: it ends before the delimiter ;; has been changed back\."
    ):
        lex([b"DELIMITER ;;\nselect 1;;\n"])


@pytest.mark.parametrize("line", [b"DELIMITER\n", b"DELIMITER \\\n", b"DELIMITER ''\n", b"delimiter ''"])
def test_a_delimiter_needs_a_name(line):
    with pytest.raises(RestoreError, match="names no delimiter"):
        lex([line])


@pytest.mark.parametrize(("line", "delimiter"), [(b"DELIMITER '$ $'\r\n", b"$ $"), (b"\tdelimiter go  x\n", b"go")])
def test_a_delimiter_is_read_as_the_clients_read_it(line, delimiter):
    statement = b"select 1; g $x " + delimiter

    assert statements(line + statement + b"\nDELIMITER ;\n") == [statement]


def test_commands_for_the_client_are_found_outside_of_strings_only():
    reader = Lexer()
    pieces = list(reader.feed(b"INSERT INTO t VALUES ('\\! a', \\N);\nselect 1 \\! id\n; -- \\. x\n")) + list(
        reader.finish()
    )

    assert [piece.part for piece in pieces if piece.part is not Part.SPACE] == [Part.DATA, Part.STATEMENT]
    assert reader.commands == {b"\\!"}


@pytest.mark.parametrize("row", [b"'%s'", b"'\\'%s'", b"0x%s", b"`%s`", b"/*%s*/"])
def test_a_value_of_any_size_passes_in_the_memory_of_a_few_chunks(row):
    before, after = (b"INSERT INTO `t` VALUES (1," + row + b");\n").split(b"%s")
    chunk = b"AB" * (MIB // 2)
    reader = Lexer()
    tracemalloc.start()
    try:
        passed = sum(len(piece.text) for piece in reader.feed(before))
        for _ in range(24):
            for piece in reader.feed(chunk):
                assert piece.is_data
                assert not piece.is_last
                passed += len(piece.text)
            del piece
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    passed += sum(len(piece.text) for piece in [*reader.feed(after), *reader.finish()])
    assert passed == len(before) + 24 * MIB + len(after)
    assert peak < 5 * MIB


@given(st.integers(1, 600))
def test_the_first_piece_of_an_insert_has_its_beginning(size):
    dump = b"INSERT INTO `t` VALUES (1,'" + b"x" * 2000 + b"');"
    first = lex(dump[start : start + size] for start in range(0, len(dump), size))[0]

    assert first.is_data
    assert first.text[:HEAD] == dump[:HEAD]


def test_a_long_statement_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(lexer, "_LONGEST", 1000)

    with pytest.raises(RestoreError, match="longer than any server takes: CREATE TABLE x"):
        lex([b"CREATE TABLE x (" + b"a int, " * 100, b"b int, " * 100])
