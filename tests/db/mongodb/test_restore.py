"""What mongorestore is told, which part of an archive is taken, and where it goes."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from dbbackup.db.exceptions import RestoreError
from tests.db.mongodb.altering import (
    RECORD,
    Parts,
    change,
    fill,
    identities,
    left,
    program,
    recorded,
    refused,
    restored,
    together,
)  # fmt: skip
from tests.db.mongodb.conftest import Database
from tests.requirements import requires
from tests.shop import Store

pytestmark = requires("mongodb")

CAREFUL = ["--maintainInsertionOrder", "--bypassDocumentValidation"]


@pytest.fixture
def database(make_database, store: Store) -> Database:
    database: Database = make_database(alias="shop")
    fill(database)
    return database


def arguments(database: Database, dump: bytes, tmp_path: Path, **settings: Any) -> list[str]:
    """Return what a restore has told the tool."""
    command = program(tmp_path, f'{RECORD}exec "$TOOL" "$@"')
    database.restore(dump, RESTORE_CMD=command, **settings)
    [found] = recorded(tmp_path)
    return found


@pytest.mark.parametrize(
    ("chosen", "flags"),
    [
        ({}, ["--drop", "--objcheck"]),
        ({"OBJECT_CHECK": False}, ["--drop"]),
        ({"DROP": False}, ["--objcheck"]),
    ],
    ids=["default", "unchecked", "no drop"],
)
def test_tool_is_told_what_the_settings_say(database, tmp_path, chosen, flags):
    before, dump = database.state(), database.dump()
    for found in database.db.list_collection_names():
        database.db.drop_collection(found)
    only = f"--nsInclude={database.name}.*"
    assert arguments(database, dump, tmp_path, **chosen) == ["--archive", *flags, only, *CAREFUL]
    assert database.state() == before


def test_other_name_is_told_only_where_it_differs(database, make_database, tmp_path):
    other, dump = make_database(), database.dump()
    found = arguments(other, dump, tmp_path)
    names = [f"--nsInclude={database.name}.*", f"--nsFrom={database.name}.*", f"--nsTo={other.name}.*"]
    assert found == ["--archive", "--drop", "--objcheck", *names, *CAREFUL]


def test_user_who_may_not_go_round_a_validator_does_not_ask_to(database, store, tmp_path):
    """It would be refused then, for documents that every validator takes."""
    with database.server.client() as client:
        client[database.name].command("createUser", "writer", pwd="w", roles=["readWrite"])
    writer = {"USER": "writer", "PASSWORD": "w", "AUTH_SOURCE": database.name}
    dump = database.dump()
    assert arguments(database, dump, tmp_path, **writer)[-1] == "--maintainInsertionOrder"
    store.settings.DBBACKUP_CONNECTORS = {"shop": writer}
    run = restored(store, dump)
    assert run.status == 0
    assert f"documents that the validator of {database.name}.purchase refuses would stop the restore" in run.err
    assert "because writer" in run.err
    assert "may not bypass it (the role dbAdmin may)" in run.err


def test_backup_goes_where_the_settings_say_without_a_flag(database, make_database, store):
    other, name = make_database(), store.backup()
    before = database.state()
    change(database)
    changed = database.state()
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"NAME": other.name}}
    run = store.run("dbrestore", "--noinput", "-i", name)
    assert (run.status, run.error) == (0, "")
    assert database.state() == changed
    assert other.state() == before
    assert left(store) == []


@pytest.fixture
def several(database: Database, make_database) -> tuple[Database, bytes]:
    """Return a database beside, and an archive that has both."""
    other = make_database()
    other.db["customer"].insert_one({"_id": "of another"})
    other.db["only here"].insert_one({"_id": 1})
    return other, together(other.dump(), database.dump())


def test_one_of_several_databases_is_taken(database, store, several):
    other, dump = several
    before = database.state()
    change(database)
    other.db["customer"].insert_one({"_id": "later"})
    beside, uuids = other.state(), identities(other)
    run = restored(store, dump, "--exact")
    assert (run.status, run.error) == (0, "")
    assert database.state() == before
    assert (other.state(), identities(other)) == (beside, uuids)


def test_none_of_several_databases_is_taken_by_chance(database, store, several, make_database):
    other, dump = several
    make_database(alias="third")
    store.settings.DBBACKUP_DATABASES = ["third"]
    store.settings.DBBACKUP_CONNECTORS = {"third": {"NAME": "somewhere-else"}}
    error = refused(database, store, dump)
    first, second = sorted([database.name, other.name])
    assert f"the backup has {first}, {second}, none of which is 'somewhere-else'" in error
    assert error.endswith("Nothing was changed.")


def test_archive_of_the_tool_that_has_the_whole_server(database, make_database, store, tmp_path):
    other = make_database()
    other.db["beside"].insert_one({"_id": 1})
    whole = program(tmp_path, '[[ "$2" == --archive ]] && exec "$TOOL" "$1" --archive', "mongodump")
    before, dump = database.state(), database.dump(DUMP_CMD=whole, USER=database.server.admin.name,
        PASSWORD=database.server.admin.password)  # fmt: skip
    assert len({entry["db"] for entry in Parts.of(dump).listed}) > 1
    change(database)
    other.db["beside"].insert_one({"_id": 2})
    beside = other.state()
    assert restored(store, dump, "--exact").error == ""
    assert database.state() == before
    assert other.state() == beside


def test_archive_with_an_oplog_is_for_the_whole_server(database, store):
    parts = Parts.of(database.dump())
    parts.listed.append({"db": "", "collection": "oplog", "metadata": "", "size": 0, "type": "collection"})
    parts.blocks.append(({"db": "", "collection": "oplog", "EOF": True, "CRC": 0}, []))
    change(database)
    error = refused(database, store, parts.dump())
    assert "the backup is one of a whole server, with its oplog: OPLOG = True restores all of that" in error


@pytest.mark.parametrize("by", ["us", "tool"])
def test_compressed_archive_under_another_name(database, store, tmp_path, by):
    before, dump = database.state(), database.dump()
    if by == "us":
        packed = gzip.compress(dump)
    else:
        packed = database.dump(DUMP_CMD=program(tmp_path, 'exec "$TOOL" "$@" --gzip', "mongodump"), DUMP_SUFFIX="| cat")
    change(database)
    run = restored(store, packed, "--exact")
    assert (run.status, run.error) == (0, "")
    assert database.state() == before


def test_documents_that_a_later_validator_refuses_are_restored(database, store):
    database.db["purchase"].insert_one({"_id": 9, "twice": 0})
    database.db.command("collMod", "purchase", validator={"never": {"$exists": True}})
    before, dump = database.state(), database.dump()
    database.db["purchase"].drop()
    database.restore(dump)
    assert database.state() == before


def test_connector_used_by_itself_reads_the_archive_first(database):
    dump = database.dump()
    change(database)
    changed = database.state()
    with pytest.raises(RestoreError, match="it was cut"):
        database.restore(dump[:-1])
    assert database.state() == changed
