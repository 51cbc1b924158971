"""What mongodump writes, and what mongorestore makes of it."""

from __future__ import annotations

import gzip
import io
import json
import os
from typing import Any

import bson
import pytest
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp
from pymongo.database import Database

from tests.mongo_tools.archive import CorruptError, Reader, checksum
from tests.mongo_tools.conftest import FIXTURES, contents
from tests.requirements import requires
from tests.servers.mongodb import MongoDB

pytestmark = requires("mongodb")

MIXED = (FIXTURES / "mixed.archive").read_bytes()
EXPECTED = json.loads((FIXTURES / "mixed.expected.json").read_text(encoding="utf-8"))


def read(archive: bytes) -> tuple[dict[str, Any], dict[str, list[bytes]], list[tuple[str, bool]]]:
    """Return the header of an archive, the documents of each namespace, and the order of the blocks."""
    reader = Reader(io.BytesIO(archive))
    header, namespaces = reader.prelude()
    documents: dict[str, list[bytes]] = {found.name: [] for found in namespaces}
    order = []
    while (block := reader.block()) is not None:
        found = bson.decode(block)
        name = f"{found['db']}.{found['collection']}"
        order.append((name, found["EOF"]))
        while (document := reader.body()) is not None:
            documents[name].append(document)
        if found["EOF"]:
            assert found["CRC"] % (1 << 64) == checksum(b"".join(documents[name]))
    return header, documents, order


@pytest.fixture
def small(database: Database[Any]) -> Database[Any]:
    """Return a database with two collections of ten documents, an empty one and a view."""
    for name in ("one", "two"):
        database[name].insert_many([{"_id": number} for number in range(10)])
    database.create_collection("nothing")
    database.create_collection("view", viewOn="one", pipeline=[])
    return database


def test_an_archive_of_the_real_tools_is_loaded_and_dumped_again(tools, database):
    loaded = tools.restore(MIXED, "--nsInclude=shop.*", "--nsFrom=shop.*", f"--nsTo={database.name}.*")
    run = tools.dump(database.name)

    assert (loaded.status, run.status) == (0, 0), loaded.err + run.err
    assert loaded.last == "2755 document(s) restored successfully. 0 document(s) failed to restore."
    assert contents(database) == EXPECTED
    originals, documents = read(MIXED)[1], read(run.out)[1]
    assert {name.partition(".")[2]: sorted(found) for name, found in documents.items()} == {
        name.partition(".")[2]: sorted(found) for name, found in originals.items()
    }
    assert metadata(run.out) == metadata(MIXED)


def metadata(archive: bytes) -> dict[str, dict[str, Any]]:
    """Return what an archive says of each collection, but for what is the server's own or comes from a restore."""
    _, namespaces = Reader(io.BytesIO(archive)).prelude()
    found = {namespace.collection: json.loads(namespace.metadata) for namespace in namespaces}
    for namespace in namespaces:
        made = found[namespace.collection]
        assert len(made.pop("uuid")) == 32
        assert made["type"] == namespace.type
        made["indexes"] = [{key: index[key] for key in index if key != "ns"} for index in made["indexes"]]
    return found


def test_empty_collections_and_views_have_a_block_and_an_end(tools, small):
    header, _, order = read(tools.dump(small.name).out)

    assert (header["concurrent_collections"], header["version"]) == (4, "0.1")
    for name in (f"{small.name}.nothing", f"{small.name}.view"):
        assert [last for found, last in order if found == name] == [False, True]


def test_a_database_that_does_not_exist_is_an_empty_archive(tools):
    run = tools.dump("nosuch")

    header, documents, order = read(run.out)
    expected, _, _ = read((FIXTURES / "empty.archive").read_bytes())
    assert run.status == 0
    assert header.keys() == expected.keys()
    assert (documents, order) == ({}, [])
    assert tools.restore(run.out, "--drop").status == 0


def test_excluded_collections_are_left_out(tools, small):
    run = tools.dump(small.name, "--excludeCollection=two", "--excludeCollection", "nothing")

    assert set(read(run.out)[1]) == {f"{small.name}.one", f"{small.name}.view"}
    # As in an archive of the real tools.
    assert {"shop.orders", "shop.products"}.isdisjoint(read((FIXTURES / "excluded.archive").read_bytes())[1])


def test_an_archive_may_be_a_file_and_compressed(tools, small, tmp_path):
    before = contents(small)
    path = tmp_path / "archive"
    config = f"--config={tools.config}"

    run = tools.run("mongodump", config, f"--db={small.name}", f"--archive={path}", "--gzip")
    loaded = tools.run("mongorestore", config, f"--archive={path}", "--gzip", "--drop", "--quiet")

    assert (run.status, run.out, loaded.status, loaded.err) == (0, b"", 0, "")
    assert len(read(gzip.decompress(path.read_bytes()))[1][f"{small.name}.two"]) == 10
    assert contents(small) == before


def test_documents_are_not_read_but_copied(tools, database):
    # Among it a timestamp of nothing, which some servers replace on an ordinary insert.
    document = RawBSONDocument(bson.encode({"ts": Timestamp(0, 0), "_id": 1, "long": Int64(1), "double": -0.0}))
    database.command({"insert": "odd", "documents": [document], "bypassEmptyTsReplacement": True})

    first = tools.dump(database.name).out
    tools.restore(first, "--drop")
    second = tools.dump(database.name).out

    # The server puts the "_id" first.
    [stored] = read(first)[1][f"{database.name}.odd"]
    assert sorted(bson.decode(stored).items()) == sorted(bson.decode(document.raw).items())
    assert read(second)[1][f"{database.name}.odd"] == [stored]


def test_large_documents_and_many_batches(tools, database):
    database["large"].insert_many([{"_id": number, "data": os.urandom(15_000_000)} for number in range(2)])
    database["many"].insert_many([{"_id": number} for number in range(2500)])
    before = contents_digest(database)

    archive = tools.dump(database.name).out
    run = tools.restore(archive, "--drop", "--maintainInsertionOrder")

    assert run.last == "2502 document(s) restored successfully. 0 document(s) failed to restore."
    assert contents_digest(database) == before


def contents_digest(database: Database[Any]) -> dict[str, Any]:
    return {name: [hash(str(found)) for found in database[name].find()] for name in ("large", "many")}


def test_options_of_collections_and_indexes_come_back(tools, database):
    german = {"locale": "de", "strength": 2}
    database.create_collection("german", collation=german)
    database.create_collection("clustered", clusteredIndex={"key": {"_id": 1}, "unique": True})
    database["places"].insert_one({"at": {"type": "Point", "coordinates": [1, 2]}})
    database["places"].create_index([("at", "2dsphere")])
    database["places"].create_index("name", collation=german, name="by name")
    database["places"].create_index("hidden", hidden=True)
    database["places"].create_index([("$**", 1)])
    before = contents(database)

    tools.restore(tools.dump(database.name).out, "--drop")

    assert contents(database) == before


def test_an_index_that_says_nothing_of_its_order_gets_the_simple_one(tools, database):
    database.create_collection("german", collation={"locale": "de"})
    database["german"].create_index("plain")

    tools.restore(tools.dump(database.name).out, "--drop")

    # This server does not say that the collection's is meant, where others do.
    assert database["german"].index_information()["plain_1"]["collation"] == {"locale": "simple"}


def test_a_whole_server_is_dumped_with_its_oplog(tools, database, client):
    database["thing"].insert_one({"_id": 1})
    config = f"--config={tools.config}"

    run = tools.run("mongodump", config, "--archive", "--oplog")

    _, documents, order = read(run.out)
    assert run.status == 0
    assert f"{database.name}.thing" in documents
    assert order[-1] == (".oplog", True)
    assert all("ts" in bson.decode(entry) for entry in documents[".oplog"])
    alone = tools.restore(run.out, f"--nsInclude={database.name}.*", "--drop")
    assert (alone.status, database["thing"].count_documents({})) == (0, 1)


def test_an_oplog_is_of_whole_servers_alone(tools, database):
    run = tools.dump(database.name, "--oplog")

    assert (run.status, run.out) == (1, b"")
    assert run.failure == "bad option: --oplog mode only supported on full dumps"


def test_the_reader_refuses_what_is_no_archive(tools):
    run = tools.restore(b"hello, this is not one")

    with pytest.raises(CorruptError) as error:
        read(b"hello, this is not one")
    assert run.failure == str(error.value) == "stream or file does not appear to be a mongodump archive"


def test_what_a_user_may_not_see_is_not_dumped(tools, database, mongodb: MongoDB):
    database["thing"].insert_one({})
    tools.write_config(uri=f"mongodb://{mongodb.host}:{mongodb.port}/")

    run = tools.dump(database.name)

    assert run.status == 1
    assert run.failure.startswith(
        f"error creating intents to dump: error getting collections for database `{database.name}`: (Unauthorized) "
    )
