"""``--exact``: what has been made since the backup goes; without it, it stays."""

from __future__ import annotations

import pytest

from tests.db.mongodb.altering import change, fill, identities, left, restored
from tests.db.mongodb.conftest import Database
from tests.requirements import requires
from tests.shop import Store

pytestmark = requires("mongodb")


@pytest.fixture
def database(make_database, store: Store) -> Database:
    database: Database = make_database(alias="shop")
    fill(database)
    return database


def test_everything_is_as_in_the_backup(database, store):
    before, _ = database.state(), store.backup()
    change(database)
    run = store.run("dbrestore", "--noinput", "--exact", "--json")
    assert (run.status, run.error) == (0, "")
    assert database.state() == before
    assert run.lines[0]["warnings"] == []
    assert left(store) == []


def test_what_is_newer_stays_and_is_named_unless_it_is_exact(database, store):
    before, _ = database.state(), store.backup()
    change(database)
    newer, uuids = database.state(), identities(database)
    run = store.run("dbrestore", "--noinput")
    assert run.status == 0
    assert (
        f"{database.name}.newer, {database.name}.newest is not in the backup and stays (--exact removes it)" in run.err
    )
    assert database.state() == before | {name: newer[name] for name in ("newer", "newest")}
    # Not dropped and put there again.
    assert identities(database)["newer"] == uuids["newer"]


def test_names_of_any_kind_go(database, store):
    before, _ = database.state(), store.backup()
    for name in ("a.b", "a*b", "a'b", 'a"b', "a b", "--a", "ünï%s ✓", "a\\b", "a/b", "(x)", "x" * 200):
        database.db[name].insert_one({})
    assert store.run("dbrestore", "--noinput", "--exact").status == 0
    assert database.state() == before


def test_excluded_collections_stay_even_then(database, store):
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"EXCLUDE": ["purchase", "log"]}}
    before, name = database.state(), store.backup()
    assert store.manifest(name)["limits"]["exclude"] == ["purchase", "log"]
    change(database)
    changed, uuids = database.state(), identities(database)
    # What counts is what the backup was made without.
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"EXCLUDE": ["newer"]}}
    run = store.run("dbrestore", "--noinput", "--exact")
    assert (run.status, run.error) == (0, "")
    assert database.state() == before | {name: changed[name] for name in ("purchase", "log")}
    assert identities(database)["purchase"] == uuids["purchase"]


def test_archive_of_nobody_knows_whom_keeps_nothing(database, store):
    before, dump = database.state(), database.dump(EXCLUDE=["purchase"])
    assert restored(store, dump, "--exact").status == 0
    del before["purchase"]
    assert database.state() == before


def test_system_collections_are_not_touched(database, store):
    database.db["system.js"].insert_one({"_id": "half", "value": "function (x) { return x / 2 }"})
    before, _ = database.state(), store.backup()
    with database.server.client() as client:
        client[database.name].command("createUser", "someone", pwd="x", roles=["read"])
        users = client[database.name].command("usersInfo")["users"]
    change(database)
    database.db["system.js"].insert_one({"_id": "later", "value": "function () {}"})
    assert store.run("dbrestore", "--noinput", "--exact").error == ""
    assert database.state() == before
    with database.server.client() as client:
        assert client[database.name].command("usersInfo")["users"] == users != []


def test_empty_and_missing_databases_are_filled(database, store):
    before, _ = database.state(), store.backup()
    database.server.drop_database(database.name)
    assert store.run("dbrestore", "--noinput", "--exact").status == 0
    assert database.state() == before


def test_backup_without_collections_empties_only_then(database, store):
    before, empty = database.state(), store.run("dbbackup", "--allow-empty", "--json")
    assert empty.status == 0
    for name in database.db.list_collection_names():
        database.db.drop_collection(name)
    assert "has no collections" in store.run("dbbackup").error
    name = store.backup("--allow-empty")
    fill(database)
    run = store.run("dbrestore", "--noinput", "-i", name)
    assert run.status == 0
    assert "it has no collection, so that nothing is restored; --exact empties the database" in run.err
    assert database.state() == before
    assert store.run("dbrestore", "--noinput", "-i", name, "--exact").status == 0
    assert database.state() == {}
