"""A database without collections is most often one whose NAME is wrong."""

from __future__ import annotations

import pytest

from dbbackup.db.exceptions import DumpError
from tests.db.mongodb.everything import Command, fill
from tests.requirements import requires
from tests.shop import ALIAS

pytestmark = requires("mongodb")

THING: list[Command] = [{"insert": "thing", "documents": [{"_id": 1}]}]


def test_empty_database_is_refused_by_its_name(store, make_database):
    database = make_database(alias="shop")
    run = store.run("dbbackup")
    assert run.status == 1
    assert f"{database.name!r}" in run.error
    assert f"{database.server.host}:{database.server.port}" in run.error
    assert "Check NAME" in run.error
    assert "--allow-empty" in run.error
    assert len(run.error.splitlines()) <= 3
    assert store.stored() == []
    assert [*store.tmp.iterdir()] == []


def test_name_in_other_letters_is_empty_as_well(make_database):
    fill(make_database("case-of-the-Name"), THING)
    with pytest.raises(DumpError, match=r"'case-of-the-name' on .* has no collections"):
        make_database("case-of-the-name").dump()


@pytest.mark.parametrize("how", ["flag", "setting"])
def test_empty_database_is_backed_up_when_that_is_said(store, make_database, how):
    database = make_database(alias="shop")
    if how == "setting":
        store.settings.DBBACKUP_CONNECTORS = {"shop": {"ALLOW_EMPTY": True}}
    store.backup(*(["--allow-empty"] if how == "flag" else []))
    assert store.run("verifybackups").status == 0
    fill(database, THING)
    before = database.state()
    run = store.run("dbrestore", "--noinput", "--json")
    assert run.error == ""
    assert "--exact empties the database" in " ".join(run.lines[-1]["warnings"])
    assert database.state() == before
    assert store.run("dbrestore", "--noinput", "--exact").error == ""
    assert database.state() == {}


def test_flag_beside_a_database_that_needs_no_such_thing(shop, make_database):
    make_database(alias="mongo")
    shop.settings.DBBACKUP_DATABASES = [ALIAS, "mongo"]
    run = shop.run("dbbackup", "--json")
    assert run.status == 3
    assert [line["database"] for line in run.lines if line.get("name")] == [ALIAS]
    run = shop.run("dbbackup", "--allow-empty", "--json")
    assert run.error == ""
    assert [line["database"] for line in run.lines] == [ALIAS, "mongo"]


def test_database_with_one_empty_collection_is_not_empty(database, make_database):
    fill(database, [{"create": "thing"}])
    target = make_database()
    target.restore(database.dump())
    assert target.state() == database.state()


def test_exact_restore_of_an_empty_backup_that_fails_changes_nothing(store, make_database):
    database = make_database(alias="shop")
    name = store.backup("--allow-empty")
    fill(database, THING)
    before = database.state()
    path = next(path for path in store.folder.iterdir() if path.name.startswith(name) and path.suffix != ".metadata")
    path.write_bytes(path.read_bytes()[:-9])
    run = store.run("dbrestore", "--noinput", "--exact", "-i", name)
    assert run.status == 1
    assert database.state() == before
