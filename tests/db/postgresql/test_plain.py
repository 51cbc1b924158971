"""The filter over plain dumps: psql's own statements, however the stream is cut into chunks, and no cut one passes."""

from __future__ import annotations

import io
import re
import subprocess
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.postgresql.entries import Entry
from dbbackup.db.postgresql.plain import PlainFilter, is_plain, leading_entries
from dbbackup.streams import IteratorReader, chunks
from tests.db.postgresql.awkward import NAME, SERVERS, TABLES, awkward_database, dump, environment
from tests.servers.postgresql import TIMEOUT, Cluster

CUT = "was cut"
STATEMENTS = [
    b"SET a = 1;",
    b";",
    b"SELECT 'it''s; ', \"x\"\";y\", 1 - -1, 4/2, a/*;*/b, 1--;\n;",
    rb"SELECT E'a\';''\\', e';', B'1', n'\', U&'\;', 'E', xE'\', E'';",
    b"SELECT $$;'$$, $a$;$b$;$$;$a$, $\xc3\xa4$;$\xc3\xa4$, a$b$c, a$$, \xc3\xa4$, $1, $12$$;$$, 1$$;$$, $ $, $a ;",
    b"SELECT /* /* ; */ ; **//*/;*/*/ 1;",
    b"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT ')'; SELECT (2););",
    b"CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; SELECT CASE a WHEN 1 THEN CASE 2 WHEN b THEN 3 END END; END;",
    b'create or replace  procedure p(begin int) begin atomic select "end"; select beginning, "case", end_; END;',
    b"BEGIN;",
    b"COMMIT;",
    b"END;",
    b"SELECT CASE WHEN a THEN 1 END;",
    b"CREATE TABLE function (begin no_type);",
    b"COPY t (a) TO stdout;",
    b'COPY "x FROM stdin" TO stdout;',
]
ENDS = [
    *(b"x", b"SELECT 1", b"(;", b"a --;", b"-", b"/", b"E", b"a$", b"/* ", b"/*/**/"),
    *(b"'", b"'a''", b"E'\\'", b'"', b"$$;", b"$a$;$b$", b"CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;"),
    *(b"COPY t FROM stdin;" + rows for rows in (b"", b"\n", b"\n1\t2", b"\n1\t2\n", b"\n1\n\\.", b"\n1\n\\.\r")),
]
BETWEEN = [
    b"\n",
    b" \t\r\n\f",
    b"\n-- a ; comment ' \" $$ /* (\n",
    b"--\r\n",
    b"/* a ' ; /* nested */ -- */",
    b"\n\\restrict KEY\n\n\\unrestrict KEY\n",
]
ROWS = [
    b"\\.\n",
    b"1\t2\n\\.\n",
    b"-- Name: x; Type: ACL; Schema: y; Owner: z\n\\N\t'\"$$/*(\nALTER TABLE x OWNER TO y;\n\\.\n",
    b"\\\\.\na\\.\n\\.x\n.\n\\.\r\n",
    b"\n\n\\. \n\\.\n",
]
COPIES = [
    b"COPY t (a) FROM stdin;",
    b"copy t from STDIN;",
    b'COPY public."it\'s; FROM" ("a""b") FROM stdin;',
    b"COPY t FROM stdin WITH (NULL '');",
    b"COPY t FROM /* a ; */ -- '\n stdin;",
]


class Trickle(io.BytesIO):
    """A file that gives no more than ``step`` bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self._step = step

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read(self._step)


def _all(dump: bytes, step: int = 4096, *, keep: bool = True):
    """Return what passes, and every statement with the entry above it."""
    asked: list[tuple[Entry | None, bytes]] = []

    def answer(entry: Entry | None, statement: bytes) -> bool:
        asked.append((entry, statement))
        return keep

    with PlainFilter(Trickle(dump, step), answer) as stream:
        return stream.read(), asked


def without_restrict(dump: bytes) -> bytes:
    """Return a dump as it passes: without the lines that only the user of psql may say."""
    return re.sub(rb"(?m)^\\(un)?restrict \S+", b"", dump)


@st.composite
def _dumps(draw: st.DrawFn):
    """A dump, what passes of it, its statements, and what is left of it without them."""
    dump = passing = rest = b""
    statements = []
    for _ in range(draw(st.integers(0, 6))):
        between = draw(st.sampled_from(BETWEEN))
        statement = draw(st.sampled_from(STATEMENTS + COPIES))
        statements.append(statement)
        rows = b""
        if statement in COPIES:
            rows = draw(st.sampled_from([b"\n", b"\r\n"])) + draw(st.sampled_from(ROWS))
        dump += between + statement + rows
        passing += without_restrict(between) + statement + rows
        rest += without_restrict(between)
    return dump, passing, statements, rest


@given(_dumps(), st.sampled_from([1, 2, 3, 5, 7, 64, 10_000]))
def test_statements_are_found_whatever_stands_between(made, step):
    dump, passing, expected, rest = made
    passed, asked = _all(dump, step)
    assert passed == passing
    assert [statement for _, statement in asked] == expected
    passed, asked = _all(dump, step, keep=False)
    assert passed == rest
    assert [statement for _, statement in asked] == expected


@given(st.text(alphabet="aE1$;'\"\\()-/*\n \r", max_size=40), st.integers(1, 5))
def test_chunks_never_matter(text, step):
    dump = text.encode()
    try:
        whole = _all(dump, 1000)
    except RestoreError:
        with pytest.raises(RestoreError):
            _all(dump, step)
        return
    assert _all(dump, step) == whole
    assert whole[0] == dump


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_garbage_passes_whole_or_is_refused(garbage):
    with suppress(RestoreError):
        assert _all(garbage)[0] == without_restrict(garbage)
    leading_entries(garbage)
    is_plain(garbage)


@pytest.mark.parametrize(
    "end",
    ENDS,
)
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("step", [1, 4096])
def test_a_cut_dump_has_no_good_end(end, keep, step):
    with pytest.raises(RestoreError, match=CUT):
        _all(b"SELECT 1;\n" + end, step, keep=keep)


def test_an_error_is_raised_again():
    with PlainFilter(io.BytesIO(b"SELECT 1;\nCOPY t FROM stdin;\n1"), lambda *_: True) as stream:
        for _ in range(2):
            with pytest.raises(RestoreError, match="rows of a table"):
                stream.read()


def test_errors_of_the_source_pass_through():
    def source():
        yield b"SELECT 1;\nCOPY t FROM stdin;\n1\n"
        raise OSError("the disk is gone")

    with PlainFilter(IteratorReader(source()), lambda *_: True) as stream, pytest.raises(OSError, match="is gone"):
        stream.read()


def test_closing_closes_the_source():
    source = io.BytesIO(b"SELECT 1;")
    PlainFilter(source, lambda *_: True).close()
    assert source.closed


HEADERS = rb"""-- Name: t; Type: TABLE; Schema: public; Owner: me
SELECT 1;
--
-- Data for Name: a; Type: ACL; Schema: b; Owner: c; Type: TABLE DATA; Schema: s p; Owner: 
--
SELECT 2; SELECT $$
-- Name: no; Type: SCHEMA; Schema: -; Owner: -
$$;
COPY t FROM stdin;
-- Name: no; Type: SCHEMA; Schema: -; Owner: -
\.
/*
-- Name: no; Type: SCHEMA; Schema: -; Owner: -
*/
-- Statistics for Name: i; Type: STATISTICS DATA; Schema: public; Owner: -
SELECT 3;
-- Name: t i; Type: FK CONSTRAINT; Schema: public; Owner: me; Tablespace: fast
SELECT 4;
-- Name: no
SELECT 5;
"""  # noqa: W291 -- pg_dump's own blank
ENTRIES = [
    Entry("TABLE", "public", "t", "me"),
    Entry("TABLE DATA", "s p", "a; Type: ACL; Schema: b; Owner: c", ""),
    Entry("STATISTICS DATA", "public", "i", ""),
    Entry("FK CONSTRAINT", "public", "t i", "me"),
]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_statements_belong_to_the_comment_above_them(newline):
    _, asked = _all(b"SELECT 0;\n".replace(b"\n", newline) + HEADERS.replace(b"\n", newline))
    table, data, statistics, key = ENTRIES
    assert [entry for entry, _ in asked] == [None, table, data, data, data, statistics, key, key]


def test_leading_entries():
    assert leading_entries(HEADERS) == ENTRIES
    seen = 0
    for size in range(len(HEADERS)):
        found = leading_entries(HEADERS[:size])
        assert found == ENTRIES[: len(found)]
        assert len(found) >= seen
        seen = len(found)


@pytest.mark.parametrize(
    ("end", "complete"),
    [
        (b"\n--\n-- PostgreSQL database dump complete\n--\n\n", True),
        (b"\\restrict KEY\n-- PostgreSQL database dump complete\r\n\\unrestrict KEY\r\n", True),
        (b"\\restrict KEY\n-- PostgreSQL database dump complete\r\n", False),
        (b"-- PostgreSQL database dump complete", True),
        (b"-- PostgreSQL database dump complete\n\\restrict KEY\n\\unrestrict KEY\n", False),
        (b"-- PostgreSQL database dump complete\nSELECT 1;\n", False),
        (b"-- PostgreSQL database dump complet\n", False),
        (b"SELECT $$\n-- PostgreSQL database dump complete\n$$;", False),
        (b"COPY t FROM stdin;\n-- PostgreSQL database dump complete\n\\.\n", False),
        (b"", False),
    ],
)
def test_completeness(end, complete):
    with PlainFilter(io.BytesIO(b"SELECT 1;\n" + end), lambda *_: True) as stream:
        stream.read()
        assert stream.complete is complete


def test_kinds_of_dumps():
    assert is_plain(b"--\n-- PostgreSQL database dump\n--\n\n\\restrict x\n")
    assert is_plain(b"--\r\n-- PostgreSQL database dump\r\n--\r\n")
    assert not is_plain(b"--\n-- PostgreSQL database dump complete\n")
    assert not is_plain(b"PGDMP\1\n-- PostgreSQL database dump\n\0")
    assert not is_plain(b"x" * 4096 + b"\n-- PostgreSQL database dump\n")
    assert not is_plain(b"")


def test_many_small_statements_pass_in_order():
    dump = b"".join(b"INSERT INTO t VALUES (%d, 'text');\n" % number for number in range(20_000))
    assert _all(dump, 100_000)[0] == dump
    with PlainFilter(io.BytesIO(dump), lambda _, statement: b"7" in statement) as stream:
        rows = stream.read().split(b"\n")
    assert [row for row in rows if row] == [row for row in dump.split(b"\n") if b"7" in row]


def test_memory_does_not_grow_with_the_rows():
    row = b"1\tsome text\n" * 50_000

    def source():
        yield b"COPY t FROM stdin;\n"
        for _ in range(200):
            yield row
        yield b"\\.\n"

    for keep in (True, False):
        tracemalloc.start()
        size = sum(map(len, chunks(PlainFilter(IteratorReader(source()), lambda *_, keep=keep: keep))))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size == (200 * len(row) + 22 if keep else 0)
        assert peak < 8 * len(row)


@pytest.mark.parametrize("body", [b"'x", b"E'\\", b"/* x", b"-- ", b"$$ a", b"$a$ $", b"a b c ", b"''", b"(1,'a'),"])
def test_time_is_linear_in_the_length_of_a_statement(body):
    # A quadratic one would take minutes for this.
    with (
        PlainFilter(Trickle(b"SELECT " + body * (4_000_000 // len(body)), 1000), lambda *_: True) as stream,
        pytest.raises(RestoreError, match=CUT),
    ):
        stream.read()


# Real dumps.


@pytest.fixture(scope="module", params=SERVERS)
def cluster(request: pytest.FixtureRequest):
    with awkward_database(request.getfixturevalue(request.param)) as cluster:
        yield cluster


@pytest.mark.parametrize(
    "args", [[], ["--inserts"], ["--clean", "--if-exists", "--verbose"], ["--no-owner"]], ids=" ".join
)
def test_real_dumps_pass_whole(cluster, args):
    data = dump(cluster, *args)
    assert is_plain(data)
    wholes = [_all(data, step) for step in (1, 7, 4096)]
    assert wholes[0] == wholes[1] == wholes[2]
    passed, asked = wholes[0]
    assert passed == without_restrict(data)
    assert {(entry.schema, entry.name) for entry in leading_entries(data) if entry.kind == "TABLE"} == {
        (schema, name.replace("\n", " ")) for schema, name in TABLES
    }
    functions = [statement for entry, statement in asked if entry and entry.kind in {"FUNCTION", "PROCEDURE"}]
    assert sum(statement.startswith(b"CREATE") for statement in functions) == 3
    for entry, statement in asked:
        assert (entry is not None and entry.kind == "ACL") == statement.startswith((b"GRANT", b"REVOKE"))


def test_psql_sees_the_same_statements(cluster, tmp_path):
    # It prints what it sends; the server's answers go elsewhere.
    done = subprocess.run(
        [cluster.bin_dir / "psql", "-Xqe", "-o", tmp_path / "answers"],
        input=b"\n".join(STATEMENTS) + b"\n",
        capture_output=True, timeout=TIMEOUT, check=True, env=environment(cluster),
    )  # fmt: skip
    assert done.stdout == b"".join(statement + b"\n" for statement in STATEMENTS)


def test_real_dumps_load_without_what_was_refused(cluster: Cluster):
    def keep(entry: Entry | None, statement: bytes) -> bool:
        data = entry is not None and entry.kind == "TABLE DATA" and entry.name == "ünï$tag$ FROM stdin;"
        return b" OWNER TO " not in statement and not data

    with PlainFilter(io.BytesIO(dump(cluster)), keep) as stream:
        filtered = stream.read().decode()
        assert stream.complete
    cluster.create_database("filtered")
    try:
        cluster.psql(filtered, "filtered")
        before, after = cluster.digest(NAME), cluster.digest("filtered")
        assert {table for table in before if before[table] != after[table]} == {'public."ünï$tag$ FROM stdin;"'}
        owners = cluster.psql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'", "filtered")
        assert owners == cluster.admin.name
    finally:
        cluster.drop_database("filtered")


def test_real_dumps_that_are_cut_are_not_complete(cluster):
    data = dump(cluster)
    last = data.index(b"-- PostgreSQL database dump complete")
    for size in range(0, last + 36, 11):
        with PlainFilter(io.BytesIO(data[:size]), lambda *_: True) as stream:
            with suppress(RestoreError):
                stream.read()
            assert not stream.complete


@pytest.mark.parametrize(
    "command",
    [
        rb"\connect other",
        rb"\! touch stolen",
        rb"\copy t from program 'true'",
        rb"\restrict",
        rb"\unrestrict KEY",
        b"\\restrict KEY\n\\unrestrict KEX",
    ],
)
def test_commands_of_psql_are_refused(command):
    with pytest.raises(RestoreError, match=r"psql command|does not fit"):
        _all(b"SELECT 1;\n" + command + b"\nSELECT 2;\n")


def test_dump_that_makes_its_database_is_refused(cluster):
    with pytest.raises(RestoreError, match=r"psql command \\(connect|encoding)"):
        _all(dump(cluster, "--create"))
