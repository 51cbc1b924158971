"""Archives of other versions of the tools, of the format and of the server."""

from __future__ import annotations

import pytest

from tests.db.mongodb.altering import UNTOUCHED, Parts, change, fill, program, refused, restored
from tests.db.mongodb.conftest import Database
from tests.requirements import requires
from tests.shop import Store

pytestmark = requires("mongodb")


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


@pytest.mark.parametrize("here", ["100.9.4", "100.18.0", "r4.0.28"])
def test_archive_of_newer_tools(database, store, dump, tmp_path, here):
    command = program(tmp_path, 'exec "$TOOL" "$@"', version=here)
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"RESTORE_CMD": command}}
    parts = Parts.of(dump)
    parts.header["tool_version"] = "999.1.0"
    error = refused(database, store, parts.dump())
    assert "mongodump 999.1.0 wrote the backup" in error
    assert f"{command} is of version {here}: install tools that are as new" in error
    assert error.endswith(UNTOUCHED)


@pytest.mark.parametrize("written", ["built-without-version-string", "", "9.9", "v3.6", "100.9.99-rc1", "dev 999.1"])
def test_archive_of_tools_that_are_no_newer_or_do_not_say(database, store, dump, tmp_path, written):
    command = program(tmp_path, 'exec "$TOOL" "$@"', version="100.9.4")
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"RESTORE_CMD": command}}
    parts = Parts.of(dump)
    parts.header["tool_version"] = written
    run = restored(store, parts.dump())
    assert (run.status, run.error) == (0, "")


@pytest.mark.parametrize("here", ["built-without-version-string", "999.1.3", "none of your business 1.2", "(devel)"])
def test_tools_of_any_version_that_is_no_older(database, store, dump, tmp_path, here):
    command = program(tmp_path, 'exec "$TOOL" "$@"', version=here)
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"RESTORE_CMD": command}}
    parts = Parts.of(dump)
    parts.header["tool_version"] = "999.1.0"
    assert restored(store, parts.dump()).error == ""


def test_newer_version_of_the_format(database, store, dump):
    parts = Parts.of(dump)
    parts.header["version"] = "0.2"
    error = refused(database, store, parts.dump())
    assert "it has version '0.2' of the format, and '0.1' is what can be read" in error


@pytest.mark.parametrize("written", ["7.0.12", "9.1.0", "3.6.23"])
def test_archive_of_another_server_is_restored_with_a_word(database, store, dump, written):
    parts = Parts.of(dump)
    parts.header["server_version"] = written
    run = restored(store, parts.dump())
    assert (run.status, run.error) == (0, "")
    here = database.db.client.server_info()["version"]
    assert f"it was made on MongoDB {written}, and the server here is {here}" in run.err


def test_archive_of_another_patch_of_the_same_server(database, store, dump):
    parts = Parts.of(dump)
    major, minor, *_ = parts.header["server_version"].split(".")
    parts.header["server_version"] = f"{major}.{minor}.99"
    run = restored(store, parts.dump())
    assert (run.status, run.error) == (0, "")
    assert "it was made on MongoDB" not in run.err


def test_manifest_names_the_server_and_the_tools(database, store, tmp_path):
    for tool, version in (("mongodump", "100.9.4"), ("mongorestore", "built-without-version-string")):
        command = program(tmp_path, 'exec "$TOOL" "$@"', tool, version=version)
        setting = {"mongodump": "DUMP_CMD", "mongorestore": "RESTORE_CMD"}[tool]
        store.settings.DBBACKUP_CONNECTORS = {"shop": {setting: command}}
        versions = store.manifest(store.backup())["versions"]
        assert versions["server"] == database.db.client.server_info()["version"]
        run = store.run("dbrestore", "--noinput", "-v", "2")
        assert run.status == 0
        if tool == "mongodump":
            assert f"100.9.4 ({command})" in versions["tools"].values()
        assert f"{version} ({command})" in run.out + run.err
