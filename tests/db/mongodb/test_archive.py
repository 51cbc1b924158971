"""Archives of the real mongodump, and some of our own: what is found in them, whole, cut and damaged."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import json_util
from hypothesis import given, settings
from hypothesis import strategies as st

from dbbackup.db.mongodb.archive import Archive, ArchiveError, read_archive
from dbbackup.db.mongodb.namespaces import plain
from tests.db.mongodb import archives
from tests.db.mongodb.archives import END, HEADER, MAGIC, Collection, encoded

FIXTURES = Path(__file__).parent / "fixtures"

THINGS = Collection(
    "things",
    [bson.encode({"_id": number, "name": "nut" * number}) for number in range(3)],
    options={"validator": {"name": {"$type": "string"}}},
)
NOTHING = Collection("nothing", database="other")
VIEW = Collection("ünder things", kind="view", options={"viewOn": "things", "pipeline": []}, indexes=())
SMALL = archives.archive(THINGS, NOTHING, VIEW)
BLOCKS = len(archives.prelude(THINGS, NOTHING, VIEW))
"""Where the first block of SMALL begins."""


def read(data: bytes, *, digests: bool = False) -> Archive:
    return read_archive(io.BytesIO(data), digests=digests)


def is_whole(data: bytes) -> bool:
    try:
        read(data)
    except ArchiveError:
        return False
    return True


def content(found: Archive) -> Any:
    """Return everything that was found."""
    documents = {name: vars(one) for name, one in found.documents.items()}
    return found.server_version, found.tool_version, found.namespaces, documents, found.fingerprint()


def fed(data: bytes, size: int) -> Archive:
    found = Archive(digests=True)
    for start in range(0, len(data), size):
        found.feed(data[start : start + size])
    found.close()
    return found


# Of the real tools.


def expected() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / "mixed.expected.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def mixed() -> bytes:
    return (FIXTURES / "mixed.archive").read_bytes()


def of_the_server(indexes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return indexes as the reader has them: without the version of the server's own format."""
    return {one["name"]: {key: plain(value) for key, value in one.items() if key != "v"} for one in indexes}


def test_archive_of_the_real_tool_has_what_was_in_the_database(mixed: bytes):
    found, wanted = read(mixed, digests=True), expected()
    assert found.databases == ["shop"]
    assert {name for _, name in found.namespaces} == set(wanted)
    assert found.counts("shop") == {name: len(one["documents"] or []) for name, one in wanted.items()}
    for name, one in wanted.items():
        namespace, documents = found.namespaces["shop", name], found.documents["shop", name]
        assert namespace.kind == one["type"]
        assert namespace.options == plain(one["options"])
        assert namespace.indexes == of_the_server(one["indexes"])
        assert namespace.expires is (name == "products")
        encoded_ones = [
            bson.encode(json_util.loads(json.dumps(document), json_options=json_util.CANONICAL_JSON_OPTIONS))
            for document in one["documents"] or []
        ]
        # Whatever their order, the documents are these, byte for byte.
        again = read(archives.archive(Collection(name, encoded_ones)), digests=True)
        assert documents.digest == again.documents["shop", name].digest
    assert (found.server_version, found.tool_version) == ("8.2.11", "built-without-version-string")


def test_other_archives_of_the_real_tool():
    excluded = read((FIXTURES / "excluded.archive").read_bytes())
    assert set(excluded.counts("shop")) == set(expected()) - {"orders", "products"}
    empty = read((FIXTURES / "empty.archive").read_bytes())
    assert (empty.namespaces, empty.databases, empty.counts("shop")) == ({}, [], {})


@pytest.mark.parametrize("size", [1, 3, 100, 65536])
def test_size_of_the_pieces_does_not_matter(mixed: bytes, size: int):
    data = mixed if size > 1 else SMALL
    assert content(fed(data, size)) == content(read(data, digests=True))


def test_real_archive_cut_anywhere_is_not_whole(mixed: bytes):
    # Where the last end begins, and a sample of the rest.
    last = range(len(mixed) - 150, len(mixed))
    for offset in (*range(0, len(mixed), 9973), *last):
        with pytest.raises(ArchiveError, match="it was cut" if offset else "it is empty"):
            read(mixed[:offset])


# Of our own.


def test_own_writer_is_understood():
    found = read(SMALL)
    assert (found.server_version, found.tool_version) == ("8.2.1", "100.18.0")
    assert found.databases == ["other", "shop"]
    assert found.counts("shop") == {"things": 3, "ünder things": 0}
    assert found.namespaces["shop", "things"].indexes == {"_id_": {"key": {"_id": 1}, "name": "_id_"}}
    things = found.documents["shop", "things"]
    assert things.ended


def test_archive_cut_at_any_offset_is_not_whole():
    for offset in range(len(SMALL)):
        with pytest.raises(ArchiveError, match="it was cut" if offset else "it is empty"):
            read(SMALL[:offset])


def changed_bits(offsets: range) -> Iterator[tuple[int, bytes]]:
    for offset in offsets:
        for bit in range(8):
            data = bytearray(SMALL)
            data[offset] ^= 1 << bit
            yield offset, bytes(data)


def test_every_changed_bit_of_the_blocks_is_found():
    assert [offset for offset, data in changed_bits(range(BLOCKS, len(SMALL))) if is_whole(data)] == []


def test_changed_bits_before_the_blocks_are_found_or_not_but_break_nothing():
    # There is no checksum of that in this format: another option of a collection passes for what was written.
    assert {is_whole(data) for _, data in changed_bits(range(BLOCKS))} == {False, True}


UNKNOWN = Collection("elsewhere", [bson.encode({})])
TWO = Collection("two", [bson.encode({"_id": 1}), bson.encode({"_id": 2})])
BEGIN = archives.prelude(TWO)
DEEP = "[" * 1_000_000
DAMAGED = {
    "other file": (b"PK\3\4" + SMALL, "it is no archive of mongodump"),
    "compressed": (b"\x1f\x8b\x08\0" + SMALL, "it is no archive of mongodump"),
    "other version": (archives.prelude(version="0.2"), "it has version '0.2' of the format"),
    "no version": (MAGIC + encoded({"a": 1}) + END, "it has version None of the format"),
    "nothing behind the magic": (MAGIC, "it was cut"),
    "no end of the prelude": (BEGIN[: -len(END)], "it was cut"),
    "listed twice": (archives.prelude(TWO, TWO) + archives.blocks(TWO), "it lists shop.two twice"),
    "not listed": (BEGIN + archives.blocks(TWO, UNKNOWN), "it has documents of shop.elsewhere, which it does not list"),
    "empty and not listed": (SMALL + UNKNOWN.end(), "of shop.elsewhere, which it does not list"),
    "of another database": (BEGIN + Collection("two", database="x").block(b""), "of x.two, which it does not list"),
    "block behind its end": (archives.archive(TWO) + TWO.block(), "it goes on with shop.two behind the end of that"),
    "two ends": (archives.archive(TWO) + TWO.end(), "it goes on with shop.two behind the end of that"),
    "documents behind the end": (BEGIN + TWO.block() + TWO.end()[:-4] + TWO.content + END, "documents behind the end"),
    "block left out": (BEGIN + TWO.end(), "the checksum of shop.two is not that of its documents"),
    "block doubled": (BEGIN + TWO.block() * 2 + TWO.end(), "the checksum of shop.two"),
    "documents swapped": (BEGIN + TWO.block(b"".join(TWO.documents[::-1])) + TWO.end(), "the checksum of shop.two"),
    "no checksum": (BEGIN + TWO.block() + TWO.end(CRC=None), "it tells no checksum of shop.two"),
    "checksum of text": (BEGIN + TWO.block() + TWO.end(CRC="x"), "it tells no checksum of shop.two"),
    "checksum that is no number": (BEGIN + TWO.block() + TWO.end(CRC=float("inf")), "it tells no checksum of shop.two"),
    "end of text": (BEGIN + TWO.block() + TWO.end(EOF="yes"), "it tells no checksum of shop.two"),
    "no end": (archives.prelude(TWO, NOTHING) + TWO.block() + NOTHING.end(), "cut: the end of shop.two is not there"),
    "no end of an empty one": (archives.prelude(TWO, NOTHING) + archives.blocks(TWO), "the end of other.nothing is"),
    "no name": (MAGIC + encoded(HEADER) + TWO.entry(collection=""), "it names no collection"),
    "name of no text": (BEGIN + TWO.header(db=5), "it names no collection"),
    "negative size": (BEGIN + TWO.header() + b"\xfe\xff\xff\xff", "a document of -2 bytes cannot be"),
    "size of nothing": (BEGIN + TWO.header() + bytes(4), "a document of 0 bytes cannot be"),
    "too small": (BEGIN + TWO.header() + b"\4\0\0\0", "a document of 4 bytes cannot be"),
    "too large": (BEGIN + TWO.header() + b"\0\0\0\2", "a document of 33554432 bytes cannot be"),
    "header too large": (BEGIN + b"\xff\xff\xff\x7f", "a document of 2147483647 bytes cannot be"),
    "not ended by NUL": (BEGIN + TWO.block(TWO.content[:-1] + b"x"), "a document does not end where it should"),
    "header that is none": (BEGIN + b"\6\0\0\0x\0", "one of its headers is damaged"),
    "terminator twice": (archives.archive(TWO) + END, "a document of -1 bytes cannot be"),
    "byte behind it": (SMALL + b"\0", "it was cut"),
    "bytes behind it": (SMALL + b"more of something", "bytes cannot be|it was cut"),
    "second archive behind it": (SMALL + SMALL, "cannot be"),
    "metadata of nothing": (archives.prelude(Collection("c", metadata="")) + Collection("c").end(), None),
    "metadata of no JSON": (archives.prelude(Collection("c", metadata="{")), "what it says of shop.c is damaged"),
    "metadata of a number": (archives.prelude(Collection("c", metadata="5")), "what it says of shop.c is damaged"),
    "deep metadata": (archives.prelude(Collection("c", metadata=DEEP)), "what it says of shop.c is damaged"),
    "deep header": (BEGIN + encoded({"a": json.loads("[" * 900 + "]" * 900)}), "it names no collection|is damaged"),
    "time series in its buckets": (
        archives.archive(Collection("t", TWO.documents, kind="timeseries", stored_as="system.buckets.t")),
        None,
    ),
    "buckets of no time series": (BEGIN + Collection("system.buckets.t").end(), "of shop.t, which it does not list"),
    "oplog": (archives.archive(Collection("oplog", TWO.documents, database="", indexes=(), metadata="")), None),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_named(case: str):
    data, words = DAMAGED[case]
    if words is None:
        # What looks like damage and is none.
        assert all(one.ended for one in read(data).documents.values())
        return
    with pytest.raises(ArchiveError, match=words):
        read(data)


def test_time_series_and_oplog_count_under_their_names():
    rows = [bson.encode({"_id": 1})]
    series = Collection("t", rows, kind="timeseries", stored_as="system.buckets.t")
    oplog = Collection("oplog", rows, database="", metadata="")
    found = read(archives.archive(series, oplog))
    assert (found.databases, found.counts("shop"), found.counts("")) == (["shop"], {"t": 1}, {"oplog": 1})
    # What was written during a dump is not part of what is there.
    assert set(found.fingerprint()) == {("shop", "t")}


# What is equal.


def changed(**changes: Any) -> bytes:
    fields = {"name": "a", "documents": TWO.documents, "indexes": THINGS.indexes, **changes}
    return archives.archive(Collection(**fields), NOTHING)


def index(key: dict[str, Any], **more: Any) -> tuple[dict[str, Any], ...]:
    return (archives.ID_INDEX, {"v": 2, "key": key, "name": "i", **more})


@pytest.mark.parametrize("digests", [False, True])
def test_order_of_blocks_and_collections_makes_no_difference(digests: bool):
    one, two = TWO, Collection("x", THINGS.documents)
    parts = [two.block(two.documents[0]), one.block(), two.block(b"".join(two.documents[1:])), one.end(), two.end()]
    other = archives.prelude(two, one) + b"".join(parts)
    assert read(archives.archive(one, two), digests=digests).fingerprint() == read(other, digests=digests).fingerprint()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "b"},
        {"database": "x"},
        {"kind": "view"},
        {"options": {"capped": True}},
        {"options": {"validator": {"$and": [1, 2]}}},
        {"options": {"validator": {"$and": [2, 1]}}},
        {"indexes": ()},
        {"indexes": index({"a": 1, "b": 1})},
        {"indexes": index({"b": 1, "a": 1})},
        {"indexes": index({"a": 1, "b": -1})},
        {"indexes": index({"a": 1, "b": 1}, unique=True)},
        {"documents": TWO.documents[:1]},
        {"documents": [*TWO.documents, bson.encode({"_id": 3})]},
        {"documents": [TWO.documents[0], bson.encode({"_id": 3})]},
    ],
    ids=range(14),
)
def test_each_difference_shows(changes: dict[str, Any]):
    others: list[dict[str, Any]] = [
        {},
        {"indexes": index({"a": 1, "b": 1})},
        {"options": {"validator": {"$and": [2, 1]}}},
    ]
    for digests in (False, True):
        found = read(changed(**changes), digests=digests).fingerprint()
        for other in others:
            assert (found == read(changed(**other), digests=digests).fingerprint()) is (str(changes) == str(other))


def test_what_is_no_difference():
    same = [
        changed(),
        changed(uuid="11" * 16),
        changed(indexes=({"key": {"_id": 1.0}, "v": 1, "ns": "shop.a", "name": "_id_"},)),
    ]
    first, *others = [read(data).fingerprint() for data in same]
    assert others == [first] * 2
    # Which is not equal to itself.
    options = {"validator": {"a": {"$numberDouble": "NaN"}}}
    assert read(changed(options=options)).fingerprint() == read(changed(options=options)).fingerprint()


def test_order_of_documents_is_told_by_the_checksum_alone():
    there, back = changed(), changed(documents=TWO.documents[::-1])
    assert read(there).fingerprint() != read(back).fingerprint()
    assert read(there, digests=True).fingerprint() == read(back, digests=True).fingerprint()
    # The sum of hashes is not one that two equal documents leave out.
    doubled = changed(documents=[*TWO.documents, *TWO.documents])
    assert read(doubled, digests=True).fingerprint() != read(there, digests=True).fingerprint()


def test_documents_that_expire_are_not_compared():
    indexes = index({"at": 1}, expireAfterSeconds=5)
    fewer = changed(indexes=indexes, documents=TWO.documents[:1])
    assert read(fewer).fingerprint() == read(changed(indexes=indexes)).fingerprint()


# Of any size and any bytes.


def pieces(size: int) -> Iterator[bytes]:
    """Yield an archive of one collection of that many bytes, in pieces that do not end where documents do."""
    document = bson.encode({"_id": 1, "text": "x" * 1_000_000})
    yield archives.prelude(TWO) + TWO.header() + document[:777_777]
    for _ in range(size // len(document)):
        yield document[777_777:] + document[:777_777]


def test_memory_holds_no_more_than_a_piece_and_a_document():
    found = Archive(digests=True)
    tracemalloc.start()
    try:
        for piece in pieces(200_000_000):
            found.feed(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.counts("shop") == {"two": 199}
    assert peak < 10_000_000, peak


def test_largest_document_is_taken():
    document = bson.encode({"_id": 1, "text": "x" * (16 * 1024 * 1024 - 40)})
    assert read(changed(documents=[document])).counts("shop") == {"a": 1}


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(), st.binary().map(lambda more: MAGIC + more), st.binary().map(lambda more: BEGIN + more)))
def test_any_bytes_are_an_archive_or_an_archive_error(data: bytes):
    with pytest.raises(ArchiveError):
        read(data)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_damage_is_an_archive_error_or_harmless(data: st.DataObject):
    damaged = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(damaged)))
        end = start + data.draw(st.integers(0, 20))
        damaged[start:end] = data.draw(st.binary(max_size=20))
    if is_whole(bytes(damaged)):
        assert bytes(damaged[-4:]) == END
        assert read(bytes(damaged), digests=True).fingerprint()


NAMES = st.sampled_from(
    ["options", "indexes", "uuid", "name", "key", "v", "expireAfterSeconds", "$numberInt", "$numberDouble", "x"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(metadata=st.dictionaries(NAMES, VALUES, max_size=4) | VALUES, header=st.dictionaries(NAMES, VALUES, max_size=3))
def test_any_values_are_an_archive_or_an_archive_error(metadata: object, header: dict[str, Any]):
    made = Collection("c", TWO.documents, metadata=json.dumps(metadata))
    for data in (archives.archive(made), BEGIN + TWO.block() + TWO.end(**header)):
        if is_whole(data):
            assert read(data).fingerprint() == read(data).fingerprint()
