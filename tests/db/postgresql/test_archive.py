"""The table of contents of archives: those of real servers, those of every version, and what damage makes of them."""

from __future__ import annotations

import io
import re
import subprocess
from contextlib import suppress

import pytest

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.postgresql.archive import is_archive, read_archive
from dbbackup.db.postgresql.entries import Entry
from dbbackup.streams import PeekableReader
from tests.db.postgresql.awkward import NAME, ROLE, SERVERS, TABLES, awkward_database, dump

# What pg_restore does not list.
HIDDEN = {"ENCODING", "STDSTRINGS", "SEARCHPATH"}
VERSIONS = [(1, 12), (1, 13), (1, 14), (1, 15), (1, 16), (1, 17)]


@pytest.fixture(scope="module", params=SERVERS)
def cluster(request: pytest.FixtureRequest):
    with awkward_database(request.getfixturevalue(request.param)) as cluster:
        yield cluster


def _read(archive: bytes):
    return read_archive(lambda size: archive[:size])


def _int(value: int) -> bytes:
    return bytes([value < 0]) + abs(value).to_bytes(4, "little")


def _string(text: str | None) -> bytes:
    return _int(-1) if text is None else _int(len(text.encode())) + text.encode()


def _archive(version: tuple[int, int], *entries: Entry) -> bytes:
    """Return an archive as pg_dump of that version would begin it."""
    head = [b"PGDMP", bytes([*version, 0, 4, 8, 1]), b"\2" if version >= (1, 15) else _int(-1)]
    head += [_int(7)] * 7 + [_string("shop"), _string("12.3"), _string("14.5"), _int(len(entries))]
    for entry in entries:
        head += [_int(entry.id), _int(0), _string("1259"), _string("16385"), _string(entry.name), _string(entry.kind)]
        head += [_int(2), _string(entry.definition), _string("DROP x"), _string(None)]
        head += [_string(entry.schema or None), _string("")]
        head += [_string("heap")] if version >= (1, 14) else []
        head += [_int(114)] if version >= (1, 16) else []
        head += [_string(entry.owner), _string("false"), _string("3"), _string("4"), _string(None), b"\3" + bytes(8)]
    return b"".join(head)


ENTRIES = (
    Entry("SCHEMA", "", "wörk", "me", 6, "CREATE SCHEMA wörk;\n"),
    Entry("TABLE", "wörk", "a\nb", "", 7, "CREATE TABLE …"),
)


@pytest.mark.parametrize("args", [["-Z0"], ["-Z6"], ["--schema-only"]], ids=" ".join)
def test_entries_are_those_that_pg_restore_lists(cluster, args):
    data = dump(cluster, "-Fc", *args)
    archive = _read(data)
    listed = subprocess.run([cluster.bin_dir / "pg_restore", "-l"], input=data, capture_output=True, check=True).stdout
    lines = re.findall(r"^(\d+); \d+ \d+ (.*)$", listed.decode(), re.MULTILINE)
    entries = {entry.id: entry for entry in archive.entries}
    shown = {number for number, entry in entries.items() if entry.kind not in HIDDEN | {"DATABASE"}}
    assert {int(number) for number, _ in lines} == shown
    for number, line in lines:
        entry = entries[int(number)]
        assert line.startswith(f"{entry.kind} {entry.schema or '-'} {' '.join(entry.name.splitlines())}")


def test_header_and_names(cluster):
    archive = _read(dump(cluster, "-Fc"))
    assert archive.version == ((1, 14) if cluster.version == 15 else (1, 16))
    assert archive.server.startswith(f"{cluster.version}.")
    assert archive.tool.startswith(f"{cluster.version}.")
    assert archive.database == NAME
    tables = {(entry.schema, entry.name): entry for entry in archive.entries if entry.kind == "TABLE"}
    assert set(tables) == set(TABLES)
    assert tables["public", "Empty"].owner == ROLE
    assert tables["public", "Empty"].definition.startswith('CREATE TABLE public."Empty" (')
    extension = next(entry for entry in archive.entries if entry.kind == "EXTENSION")
    assert (extension.name, extension.schema, extension.owner) == ("pgcrypto", "", "")


def test_every_compression(cluster):
    for option in ["0", "6"] if cluster.version < 16 else ["none", "gzip:9", "zstd", "lz4"]:
        data = dump(cluster, "-Fc", f"--compress={option}")
        archive = _read(data)
        assert len(archive.entries) > 20
        # A block of data begins with its kind, then with the number of its entry.
        assert data[archive.size] in {1, 3}
        assert int.from_bytes(data[archive.size + 2 : archive.size + 6], "little") in {e.id for e in archive.entries}


def test_cut_real_archives(cluster):
    data = dump(cluster, "-Fc", "--schema-only")
    assert _read(data).size == len(data)
    # Every byte of a small archive is cut off and flipped below.
    for size in range(0, len(data), 5):
        with pytest.raises(RestoreError, match=r"ends in its table of contents|is not an archive"):
            _read(data[:size])


def test_flipped_bits_of_real_archives(cluster):
    data = bytearray(dump(cluster, "-Fc"))
    for position in range(0, _read(bytes(data)).size, 5):
        data[position] ^= 1 << position % 8
        _survives(bytes(data))
        data[position] ^= 1 << position % 8


def _survives(data: bytes) -> None:
    with suppress(RestoreError):
        _read(data)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version(version):
    data = _archive(version, *ENTRIES)
    archive = _read(data + b"data")
    assert archive.entries == ENTRIES
    assert (archive.version, archive.server, archive.tool, archive.database) == (version, "12.3", "14.5", "shop")
    assert archive.size == len(data)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_cut_and_every_flipped_byte(version):
    data = _archive(version, *ENTRIES)
    for position in range(len(data)):
        with pytest.raises(RestoreError):
            _read(data[:position])
        for flip in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            damaged = bytearray(data)
            damaged[position] ^= flip
            _survives(bytes(damaged))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"", "cut"),
        (b"PGD", "cut"),
        (b"-- PostgreSQL database dump\n", "not an archive"),
        (b"PGDMP\1\x0b\0\4\10\1", r"version 1\.11 of its format"),
        (b"PGDMP\2\0\0\4\10\1", r"version 2\.0 of its format"),
        (b"PGDMP\1\x0e\0\4\10\3", "not in pg_dump's custom format"),
        (b"PGDMP\1\x0e\0\0\10\1", "damaged"),
        (b"PGDMP\1\x0e\0\4\10\1" + bytes(1000), "damaged"),
        (b"PGDMP\1\x0e\0\4\10\1" + b"\xff" * 1000, "damaged"),
    ],
)
def test_what_is_no_archive_is_refused(head, message):
    with pytest.raises(RestoreError, match=message):
        _read(head)


def test_large_contents_are_read_in_few_steps():
    entries = tuple(Entry("TABLE", "public", f"t{n}", "me", n, "CREATE TABLE t;" * 20) for n in range(1, 3000))
    data = _archive((1, 16), *entries)
    sizes = []

    def peek(size: int) -> bytes:
        sizes.append(size)
        return data[:size]

    assert read_archive(peek).entries == entries
    assert sizes[0] <= 64 * 1024
    assert len(sizes) < 10
    assert max(sizes) < 3 * len(data)


def test_a_long_lie_asks_for_little():
    asked = []

    def peek(size: int) -> bytes:
        asked.append(size)
        return (data + bytes(size))[:size]

    # The name of the database, and the number of entries.
    data = _archive((1, 14))[:-30] + _int(2**31 - 1) * 10
    with pytest.raises(RestoreError):
        read_archive(peek)
    data = _archive((1, 14))[:-5] + _int(2**31 - 1)
    with pytest.raises(RestoreError, match="damaged"):
        read_archive(peek)
    assert max(asked) <= 1024 * 1024


def test_peeking_leaves_the_stream_whole():
    data = _archive((1, 14), *ENTRIES) + b"data" * 100_000
    with PeekableReader(io.BytesIO(data)) as stream:
        assert is_archive(stream.peek(5))
        assert read_archive(stream.peek).entries == ENTRIES
        assert stream.read() == data
