"""What stands in the way of a restore is found before anything is touched, all of it at once."""

from __future__ import annotations

import io
import lzma
import os
import sqlite3
import subprocess
from contextlib import closing

import pytest

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.mongodb.archive import ArchiveError, read_archive
from dbbackup.db.mongodb.facts import Account
from tests.db.mongodb.altering import (
    AS_IT_WAS,
    UNTOUCHED,
    Parts,
    change,
    fill,
    identities,
    left,
    program,
    refused,
    restored,
)  # fmt: skip
from tests.db.mongodb.conftest import Database
from tests.requirements import requires
from tests.shop import Store

pytestmark = requires("mongodb")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small tmpfs")


@pytest.fixture
def database(make_database, store: Store) -> Database:
    database: Database = make_database(alias="shop")
    fill(database)
    return database


@pytest.fixture
def dump(database: Database) -> bytes:
    """Return a dump of what the database was before it changed."""
    dump = database.dump()
    change(database)
    return dump


# Archives that are not whole.


def test_archive_that_was_cut_anywhere(database, dump):
    """After any byte, the first ones aside, which are those of any file."""
    connector = database.connector()
    for end in range(4, len(dump)):
        with pytest.raises(RestoreError, match="The archive cannot be restored: it was cut"):
            connector.verify_dump(io.BytesIO(dump[:end]))
    connector.verify_dump(io.BytesIO(dump))


def test_archive_that_was_cut_between_two_blocks(database, store, dump):
    before, uuids = database.state(), identities(database)
    boundaries = Parts.of(dump).boundaries()
    assert len(boundaries) > 6
    for end in boundaries:
        with pytest.raises(RestoreError, match=r"it was cut: the end of .* is not there"):
            database.restore(dump[:end], TMP_DIR=store.tmp)
    assert (database.state(), identities(database)) == (before, uuids)
    assert left(store) == []
    assert refused(database, store, dump[:end]).startswith("The archive cannot be restored: it was cut")


@pytest.mark.parametrize("part", ["prelude", "blocks"])
def test_any_byte_that_was_changed(dump, part):
    """It is an error, or nothing of what is restored; the prelude has no checksum, and need only not go wrong."""
    begin = Parts.of(dump).boundaries()[0]
    whole = read_archive(io.BytesIO(dump)).fingerprint()
    for at in range(begin, len(dump)) if part == "blocks" else range(begin):
        # The last two are the types of JavaScript and of a time in BSON.
        for byte in (dump[at] ^ 0xFF, dump[at] ^ 1, 0x0D, 0x11):
            try:
                found = read_archive(io.BytesIO(dump[:at] + bytes([byte]) + dump[at + 1 :]))
            except ArchiveError:
                continue
            assert part == "prelude" or found.fingerprint() == whole, at


def test_changed_byte(database, store, dump):
    at = dump.index(b"Ann")
    error = refused(database, store, dump[:at] + b"E" + dump[at + 1 :])
    assert f"the checksum of {database.name}.customer is not that of its documents" in error


@pytest.mark.parametrize(
    ("garbage", "said"),
    [
        (b"", "empty"),
        (b"\x6d\xe2\x99", "it was cut"),
        (b"\x7fELF\x02\x01\x01\0\0\0", "no archive of mongodump"),
        (bytes(range(256)) * 10, "no archive of mongodump"),
        (b"\x6d\xe2\x99\x81" + b"\xff" * 100, "cannot be"),
        (b"-- PostgreSQL database dump\nSET statement_timeout = 0;\n", "no archive of mongodump"),
        (b"-- MariaDB dump 10.19\n", "no archive of mongodump"),
        (b"SQLite format 3\0", "no archive of mongodump"),
        (b'[{"model": "auth.user"}]', "no archive of mongodump"),
        (b"\x16\x00\x00\x00\x07_id\0abcdefghijkl\0", "no archive of mongodump"),
    ],
    ids=["nothing", "less", "program", "bytes", "magic", "postgresql", "mariadb", "sqlite", "json", "bson"],
)
def test_file_that_is_no_archive(database, store, garbage, said):
    assert said in refused(database, store, garbage)


def test_archive_that_is_compressed_in_another_way(database, store, dump):
    assert "it is compressed with xz" in refused(database, store, lzma.compress(dump))


def test_backup_of_another_engine(database, store, databases, tmp_path):
    databases("lite", ENGINE="django.db.backends.sqlite3", NAME=str(tmp_path / "lite.sqlite3"))
    store.settings.DBBACKUP_DATABASES = ["shop", "lite"]
    with closing(sqlite3.connect(tmp_path / "lite.sqlite3")) as connection:
        connection.execute("CREATE TABLE thing (id)")
    name = store.backup("-d", "lite")
    before = database.state()
    run = store.run("dbrestore", "--noinput", "-d", "shop", "-i", name)
    assert run.error == f"{name} is of engine django.db.backends.sqlite3; database 'shop' is django_mongodb_backend."
    assert database.state() == before


# What is there already.


def test_exact_restore_that_may_not_drop(database, store, dump):
    error = refused(database, store, dump, "--exact", "--no-drop")
    assert "--exact replaces everything, and --no-drop (DROP = False) forbids that" in error


def test_other_indexes_of_the_same_name(database, store, dump):
    database.db["customer"].create_index([("name", -1), ("boss", 1)], name="by name")
    error = refused(database, store, dump, "--no-drop")
    assert f"the index by name of {database.name}.customer has other keys in the backup" in error
    assert restored(store, dump).error == ""


def test_index_of_the_same_name_and_another_order_of_keys(database, store, dump):
    database.db["purchase"].drop_index("customer_1_twice_-1")
    database.db["purchase"].create_index([("twice", -1), ("customer", 1)], name="customer_1_twice_-1")
    error = refused(database, store, dump, "--no-drop")
    assert f"the index customer_1_twice_-1 of {database.name}.purchase has other keys in the backup" in error


@pytest.mark.parametrize("flags", [["--no-drop"], [], ["--exact"]], ids=lambda flags: " ".join(flags) or "drop")
def test_view_in_the_place_of_a_collection_and_the_other_way_round(database, store, flags):
    before, dump = database.state(), database.dump()
    database.db["names"].drop()
    database.db["names"].insert_one({"_id": 1})
    database.db["purchase"].drop()
    database.db.create_collection("purchase", viewOn="customer")
    if flags == ["--no-drop"]:
        error = refused(database, store, dump, *flags)
        assert f"{database.name}.names is a collection here and a view in the backup" in error
        assert f"{database.name}.purchase is a view here and a collection in the backup" in error
    else:
        assert restored(store, dump, *flags).error == ""
        assert database.state() == before


# Rights and room.


@pytest.fixture
def reading(make_database, store, mongodb) -> Database:
    """Return a database whose user may only look at it."""
    database: Database = make_database(alias="shop", user=mongodb.reader)
    fill(database)
    return database


@pytest.fixture
def telling(monkeypatch) -> None:
    """Have the server tell what a user may do, which that of the tests does not."""
    resource = {"db": "", "collection": ""}
    rights = [{"resource": resource, "actions": ["find", "listCollections", "listIndexes", "dbStats"]}]
    monkeypatch.setattr("dbbackup.db.mongodb.facts._account", lambda _: Account("reader@admin", rights))


def test_user_who_may_only_look(reading, store, telling):
    dump = reading.dump()
    change(reading)
    error = refused(reading, store, dump)
    assert "reader@admin may not insert, createCollection, createIndex, dropCollection" in error
    assert f"in '{reading.name}' (the roles readWrite and dbAdmin do)" in error
    assert error.endswith(UNTOUCHED)


@pytest.mark.parametrize("flags", [[], ["--exact"], ["--no-drop"]], ids=lambda flags: " ".join(flags) or "drop")
def test_user_of_whom_the_server_does_not_tell_what_he_may_do(reading, store, flags):
    dump = reading.dump()
    change(reading)
    error = refused(reading, store, dump, *flags)
    assert "not authorized" in error
    assert "a restore readWrite and dbAdmin" in error
    assert error.endswith(AS_IT_WAS)


def test_no_room_for_the_safety_dump(database, store, dump, monkeypatch):
    monkeypatch.setattr("dbbackup.db.undoing.free_space", lambda folder: (folder, 100))
    error = refused(database, store, dump)
    assert "what is there cannot be dumped first, to be put back on a failure" in error
    assert f"bytes in {store.tmp}, which has 100 (make room, or set DBBACKUP_TMP_DIR); --no-safety-dump" in error
    assert restored(store, dump, "--no-safety-dump").error == ""


@needs_root
def test_room_that_runs_out_while_it_is_dumped(database, store, dump, monkeypatch, tmp_path):
    """As when something else fills the disk meanwhile."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        monkeypatch.setattr("dbbackup.db.undoing.free_space", lambda folder: (folder, 2**40))
        database.db["random"].insert_many([{"_id": i, "data": os.urandom(100_000)} for i in range(6)])
        before = database.state()
        with pytest.raises(RestoreError) as caught:
            database.restore(dump, TMP_DIR=small)
        assert "What is there could not be dumped first, so nothing was changed: cannot write in" in str(caught.value)
        assert str(small) in str(caught.value)
        assert "--no-safety-dump goes without that." in str(caught.value)
        assert database.state() == before
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


def test_everything_at_once(reading, store, telling, tmp_path):
    database = reading
    parts = Parts.of(database.dump())
    parts.header["tool_version"] = "999.1.0"
    database.db["names"].drop()
    database.db["names"].insert_one({"_id": 1})
    database.db["customer"].drop_index("by name")
    database.db["customer"].create_index("other", name="by name")
    command = program(tmp_path, 'exec "$TOOL" "$@"', version="100.9.4")
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"RESTORE_CMD": command}}
    error = refused(database, store, parts.dump(), "--exact", "--no-drop")
    for part in (
        "mongodump 999.1.0 wrote the backup",
        "--exact replaces everything",
        "reader@admin may not",
        "the index by name of",
        "names is a collection here and a view in the backup",
    ):
        assert part in error
    assert error.count(UNTOUCHED) == 1
    assert len(error.splitlines()) == 1


def test_tools_that_are_not_there(database, store, dump, monkeypatch):
    for setting in ("RESTORE_CMD", "DUMP_CMD"):
        store.settings.DBBACKUP_CONNECTORS = {"shop": {setting: "no-such-tool"}}
        assert f"{setting}: the program 'no-such-tool' was not found" in refused(database, store, dump)
    store.settings.DBBACKUP_CONNECTORS = {}
    monkeypatch.setenv("PATH", "/nowhere")
    error = refused(database, store, dump)
    assert "The program 'mongorestore' was not found. Install MongoDB's database tools" in error


def test_changed_archive_is_no_longer_what_it_was(dump):
    # The other tests rely on it.
    parts = Parts.of(dump)
    assert parts.dump() == dump
    parts.add("customer", {"_id": 9})
    assert Parts.of(parts.dump()).blocks == parts.blocks
