"""``--no-drop``: documents are added to what is there, all of them or none."""

from __future__ import annotations

import pytest

from dbbackup.db.exceptions import RestoreError
from tests.db.mongodb.altering import AS_IT_WAS, Parts, fill, identities, left, put_back, restored
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
    """Return a dump that has nothing which is there now."""
    parts = Parts.of(database.dump())
    parts.listed = [entry for entry in parts.listed if entry["collection"] in {"customer", "purchase"}]
    parts.blocks = [block for block in parts.blocks if block[0]["collection"] in {"customer", "purchase"}]
    database.db["customer"].update_many({}, [{"$set": {"name": {"$concat": ["other ", "$name"]}}}])
    renumber(database, "customer")
    renumber(database, "purchase")
    return parts.dump()


def renumber(database: Database, name: str) -> None:
    """Give each document of a collection an _id that the backup has not."""
    found = list(database.db[name].find())
    database.db[name].delete_many({})
    database.db[name].insert_many({**document, "_id": document["_id"] + 100} for document in found)


@pytest.mark.parametrize("by_setting", [False, True], ids=["flag", "setting"])
def test_documents_come_beside_those_that_are_there(database, store, dump, by_setting):
    if by_setting:
        store.settings.DBBACKUP_CONNECTORS = {"shop": {"DROP": False}}
    before, uuids = database.state(), identities(database)
    run = restored(store, dump, *([] if by_setting else ["--no-drop"]))
    assert (run.status, run.error) == (0, "")
    assert sorted(database.db["customer"].distinct("_id")) == [1, 2, 3, 101, 102, 103]
    after = database.state()
    changed = {"customer", "purchase"}
    assert {name: after[name] for name in after.keys() - changed} == {
        name: before[name] for name in before.keys() - changed
    }
    assert identities(database) == uuids
    assert left(store) == []


def test_collection_that_is_not_there_is_made(database, store, dump):
    database.db["purchase"].drop()
    assert restored(store, dump, "--no-drop").error == ""
    assert sorted(database.db["purchase"].distinct("_id")) == [1, 2, 3]
    assert "customer_1_twice_-1" in database.db["purchase"].index_information()


def test_documents_that_are_there_already_are_put_back(database, store, dump):
    database.db["customer"].insert_one({"_id": 2, "name": "mine"})
    database.db["purchase"].delete_many({})
    before = database.state()
    run = restored(store, dump, "--no-drop")
    assert run.status == 1
    assert "E11000 duplicate key" in run.error
    assert "document(s) failed to restore" in run.error
    assert "Documents that are there already are in the way: restore without --no-drop (DROP = True)" in run.error
    assert "database 'shop' is as it was." in run.error.lower()
    assert database.state() == before
    assert left(store) == []


def test_failure_of_the_second_collection_takes_the_first_out_again(database, store, dump):
    parts = Parts.of(dump)
    parts.put_first("customer")
    parts.add("purchase", {"_id": 1, "twice": 1})
    error = put_back(database, store, parts.dump(), DROP=False)
    assert "E11000" in error
    assert "1 document(s) failed to restore" in error


def test_nothing_that_could_be_added_leaves_everything_untouched(database, store):
    before, dump = database.state(), database.dump()
    with pytest.raises(RestoreError) as caught:
        database.restore(dump, DROP=False, TMP_DIR=store.tmp)
    assert "document(s) failed to restore" in str(caught.value)
    assert str(caught.value).endswith(AS_IT_WAS)
    assert database.state() == before
    assert left(store) == []


@pytest.mark.parametrize(
    "index",
    [
        {"keys": "name", "name": "other name", "unique": True},
        {"keys": "name", "name": "by name", "unique": False},
    ],
    ids=["name", "options"],
)
def test_index_that_is_otherwise_the_same(database, store, dump, index):
    """The server decides whether both can be; either way nothing is lost."""
    database.db["customer"].drop_index("by name")
    database.db["customer"].create_index(index.pop("keys"), **index)
    before = database.state()
    run = restored(store, dump, "--no-drop")
    if run.status:
        assert "as it was" in run.error
        assert database.state() == before
    else:
        assert sorted(database.db["customer"].distinct("_id")) == [1, 2, 3, 101, 102, 103]
    assert left(store) == []
