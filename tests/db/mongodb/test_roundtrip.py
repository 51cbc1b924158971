"""One of each thing that MongoDB has comes back equal, whatever the database had in between."""

from __future__ import annotations

import io
import subprocess

import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from tests.db.mongodb.everything import (
    CHANGES,
    CHANGES_OF_NAMED,
    KINDS,
    LEFTOVERS,
    UNKEPT,
    VALUES,
    check_restored,
    document,
    element,
    fill,
    script,
    text,
)
from tests.mongo_tools.archive import Namespace, Reader, Writer, checksum
from tests.requirements import requires

pytestmark = requires("mongodb")

LARGEST = 16 * 1024 * 1024
STORED = {"_id": "f", "value": "function () {}"}
RAW = CodecOptions(document_class=RawBSONDocument)
DATABASES = {"awkward": "it's-(a)#1{b}[c],%41=&~`!", "star": "st*r-\N{GREEK SMALL LETTER OMEGA}*", "long": "ü" * 31}


def raw(database, name):
    return [found.raw for found in database.db.get_collection(name, codec_options=RAW).find().sort("$natural", 1)]


def test_everything_comes_back_in_another_database(database, make_database):
    fill(database)
    target = make_database()
    assert check_restored(target, database.dump()) == []
    assert target.state() == database.state()
    # The server itself has not made anything else of what was put in.
    expected = {document(element(2, "_id", text(name)), value) for name, value in VALUES.items()}
    assert {*raw(target, "values")} == expected
    assert [found["_id"] for found in target.db["capped"].find()] == [5, 3, 9, 1, 7, 2]
    assert [*target.db["a view's view"].find({}, {"_id": 1})] == [*database.db["a view's view"].find({}, {"_id": 1})]
    assert target.db["a view's view"].count_documents({}) >= 2


def test_everything_comes_back_over_itself_and_over_what_has_changed(database):
    fill(database)
    before, dump = database.state(), database.dump()
    assert check_restored(database, dump) == []
    assert database.state() == before
    fill(database, CHANGES + CHANGES_OF_NAMED)
    assert database.state() != before
    assert check_restored(database, dump) == []
    assert database.state() == before


def test_leftovers_stay_and_an_exact_restore_removes_them(database):
    fill(database)
    before, dump = database.state(), database.dump()
    fill(database, CHANGES + LEFTOVERS)
    left = {str(next(iter(command.values()))) for command in LEFTOVERS}
    assert left & before.keys() == set()
    database.restore(dump)
    after = database.state()
    assert after.keys() - before.keys() == left
    assert {name: after[name] for name in before} == before
    database.restore(dump, EXACT=True)
    assert database.state() == before


@requires("age-keygen", "python:pyrage")
@pytest.mark.parametrize("flags", [[], ["-z"], ["-z", "zstd"], ["-z", "zstd", "-e", "age"]], ids=" ".join)
def test_everything_comes_back_through_the_commands(store, make_database, tmp_path, flags):
    identity, noted = tmp_path / "identity", tmp_path / "arguments"
    made = subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True, text=True)
    store.settings.DBBACKUP_AGE_RECIPIENTS = [made.stderr.split()[-1]]
    store.settings.DBBACKUP_AGE_IDENTITY_FILE = str(identity)
    database = make_database(alias="shop")
    noting = f"printf '%s\\n' \"$@\" >> '{noted}'"
    store.settings.DBBACKUP_CONNECTORS = {
        "shop": {
            "DUMP_CMD": script(tmp_path / "dump", "mongodump", noting),
            "RESTORE_CMD": script(tmp_path / "restore", "mongorestore", noting),
        }
    }
    fill(database, KINDS)
    before = database.state()
    store.backup(*flags)
    assert store.run("verifybackups", "--json").status == 0
    fill(database, CHANGES)
    run = store.run("dbrestore", "--noinput", "--json")
    assert run.error == ""
    assert run.lines[-1]["warnings"] == []
    assert database.state() == before
    fill(database, CHANGES + LEFTOVERS)
    assert store.run("dbrestore", "--noinput", "--exact").error == ""
    assert database.state() == before
    assert [*store.tmp.iterdir()] == []
    # A dump, and a safety dump and the restore for each way back: none compresses by itself.
    arguments = noted.read_text().splitlines()
    assert arguments.count("--archive") == 5
    assert not [word for word in arguments if "gzip" in word]


def test_documents_of_fifteen_megabytes_and_the_largest_come_back(store, make_database):
    database = make_database(alias="shop")
    frame = len(document(element(16, "_id", bytes(4)), element(2, "text", text(""))))
    for number, size in enumerate([15 * 1024 * 1024, LARGEST, 15 * 1024 * 1024 + 1]):
        value = element(2, "text", text(chr(97 + number) * (size - frame)))
        found = document(element(16, "_id", bytes([number, 0, 0, 0])), value)
        assert len(found) == size
        database.db["large"].insert_one(RawBSONDocument(found))
    before = database.state()
    store.backup("-z", "zstd")
    database.db["large"].delete_many({"_id": {"$gt": 0}})
    assert store.run("dbrestore", "--noinput").error == ""
    assert database.state() == before


@pytest.mark.parametrize("name", DATABASES.values(), ids=DATABASES)
def test_database_of_any_name_comes_back(store, make_database, name):
    database = make_database(name, alias="shop")
    fill(database, [{"insert": "a.b", "documents": [{"_id": 1}]}, {"create": "v", "viewOn": "a.b", "pipeline": []}])
    before = database.state()
    # Beside it is one that its name would fit if it were a pattern.
    beside = make_database(name.replace("*", "x") if "*" in name else "beside-it")
    fill(beside, [{"insert": "a.b", "documents": [{"_id": 2}]}])
    kept = beside.state()
    store.backup()
    fill(database, [{"drop": "v"}, {"insert": "a.b", "documents": [{"_id": 7}]}])
    fill(database, LEFTOVERS[:1])
    assert store.run("dbrestore", "--noinput", "--exact").error == ""
    assert database.state() == before
    assert beside.state() == kept


def made_by_hand(database, *, uuid=""):
    """Return an archive with documents that the server would not keep as they are, and those documents."""
    contents = [document(element(2, "_id", text(name)), value) for name, value in UNKEPT.items()]
    contents.append(document(element(16, "a", bytes(4)), element(2, "_id", text("not the first"))))
    stream, where = (
        io.BytesIO(),
        Namespace(database.name, "values", f'{{"indexes": [], "uuid": "{uuid}"}}', "collection"),
    )
    writer = Writer(stream)
    writer.prelude([where], parallel=1, server="8.2.0", tool="100.9.0")
    writer.documents(where, b"".join(contents))
    writer.end(where, checksum(b"".join(contents)))
    return stream.getvalue(), contents


def documents_of(archive):
    reader = Reader(io.BytesIO(archive))
    reader.prelude()
    assert reader.block() is not None
    return [*iter(reader.body, None)]


def test_documents_that_the_tests_server_does_not_keep_pass_as_they_are(database, tmp_path):
    archive, contents = made_by_hand(database)
    dumped, arrived = tmp_path / "archive", tmp_path / "arrived"
    dumped.write_bytes(archive)
    fill(database, [{"create": "values"}])
    dump = database.dump(DUMP_CMD=script(tmp_path / "dump", "mongodump", then=f"cat '{dumped}'"))
    assert dump == archive
    # The server takes nothing of that: what is looked at is what the program is fed.
    restore = script(tmp_path / "restore", "mongorestore", then=f"cat > '{arrived}'; echo kept >&2; exit 1")
    database.connector().verify_dump(io.BytesIO(dump))
    with pytest.raises(Exception, match="kept"):
        database.restore(dump, RESTORE_CMD=restore)
    assert documents_of(arrived.read_bytes()) == contents


def test_functions_on_the_server_come_back(store, make_database):
    # mongorestore --drop leaves alone what is the server's own, this among it.
    database = make_database(alias="shop")
    fill(database, [{"insert": "system.js", "documents": [STORED]}, {"insert": "thing", "documents": [{"_id": 1}]}])
    before = database.state()
    store.backup()
    fill(
        database,
        [{"insert": "system.js", "documents": [{"_id": "g"}]}, {"delete": "thing", "deletes": [{"q": {}, "limit": 0}]}],
    )
    assert store.run("dbrestore", "--noinput").error == ""
    assert database.state() == before
