"""What changes while a dump is made: a collection that takes another name must not get lost in between."""

from __future__ import annotations

import io
import sys
from contextlib import closing

import pytest

from dbbackup.db.exceptions import DumpError
from tests.db.mongodb.everything import Command, fill, script
from tests.mongo_tools.archive import Reader
from tests.requirements import requires

pytestmark = requires("mongodb")

THINGS: list[Command] = [
    {"insert": "thing", "documents": [{"_id": n} for n in range(50)]},
    {"insert": "other", "documents": [{"_id": 1}]},
    {"create": "view", "viewOn": "thing", "pipeline": []},
]


def dumped_while(database, change):
    """Return a dump during which, once the program has listed what there is, something changes."""
    with closing(database.connector().create_dump()) as dump:
        head = dump.read(1)
        change(database.db)
        return head + dump.read()


def names(dump):
    return {found.collection for found in Reader(io.BytesIO(dump)).prelude()[1]}


RENAMES = {
    "away": ([("thing", "things")], {"thing": "things"}),
    "over another": ([("thing", "other")], {"thing": "other"}),
    "swapped": (
        [("thing", "passing"), ("other", "thing"), ("passing", "other")],
        {"thing": "other", "other": "thing"},
    ),
}
PROGRAM = """
import sys
from pathlib import Path
from pymongo import MongoClient

def uuids():
    return {{found["name"]: bytes(found["info"]["uuid"]).hex().encode() for found in database.list_collections()}}

archive, made = Path(sys.argv[1]), {made!r}
with MongoClient({host!r}, {port}, **{login!r}) as client:
    database = client[{name!r}]
    if made is None:
        thing, = [name for name in database.list_collection_names() if name.startswith("thing")]
        made = [(thing, thing + "+")], {{thing: thing + "+"}}
    steps, renamed = made
    before = uuids()
    for old, new in steps:
        database[old].rename(new, dropTarget=True)
    # A collection keeps its UUID under another name. On the tests' server it gets a new one, so the archive is told it.
    for old, new in renamed.items():
        assert before[old] in archive.read_bytes()
        archive.write_bytes(archive.read_bytes().replace(before[old], uuids()[new]))
"""


def renaming(database, folder, times, made=None):
    """Return a program that dumps, and that many times renames before it ends; it counts its runs in a file."""
    server, runs, archive, program = database.server, folder / "runs", folder / "archive", folder / "rename.py"
    login = {"username": server.admin.name, "password": server.admin.password, "authSource": server.admin.source}
    where = {"host": server.host, "port": server.port, "login": login, "name": database.name}
    program.write_text(PROGRAM.format(made=made, **where))
    again = f"if [ $(wc -l < '{runs}') -le {times} ]; then '{sys.executable}' '{program}' '{archive}' || exit 9; fi"
    return script(
        folder / "renaming",
        "mongodump",
        f"echo run >> '{runs}'",
        then=f"""TOOL "$@" > '{archive}' || exit 8; {again}; cat '{archive}'""",
    )


@pytest.mark.parametrize("how", RENAMES)
def test_collection_that_is_renamed_during_a_dump_fails_it(database, tmp_path, how):
    fill(database, THINGS)
    with pytest.raises(DumpError, match="renamed during the dump") as caught:
        database.dump(DUMP_CMD=renaming(database, tmp_path, 1, RENAMES[how]))
    for before, after in RENAMES[how][1].items():
        assert f"{database.name}.{before} is {database.name}.{after} now" in str(caught.value)
    assert caught.value.transient


MEANWHILE = {
    "dropped": lambda db: db["other"].drop(),
    "created": lambda db: db["newer"].insert_one({"_id": 1}),
    "made anew": lambda db: (db["other"].drop(), db["other"].insert_one({"_id": 2})),
    "view dropped": lambda db: db["view"].drop(),
    "view made anew": lambda db: (db["view"].drop(), db.create_collection("view", viewOn="other")),
    "renamed there and back": lambda db: (db["other"].rename("passing"), db["passing"].rename("other")),
    "indexed": lambda db: db["other"].create_index("x"),
    # As an aggregation does: it writes elsewhere and then takes the name.
    "written by an aggregation": lambda db: db["thing"].aggregate([{"$out": "of an aggregation"}]),
}


@pytest.mark.parametrize("how", MEANWHILE)
def test_what_else_changes_during_a_dump_fails_nothing(database, make_database, how):
    fill(database, THINGS)
    dump = dumped_while(database, MEANWHILE[how])
    assert names(dump) == {"thing", "other", "view"}
    target = make_database()
    target.restore(dump)
    assert target.db["thing"].count_documents({}) == 50


def test_backup_is_made_again_after_a_rename(store, make_database, tmp_path):
    database = make_database(alias="shop")
    fill(database, THINGS)
    command, runs = renaming(database, tmp_path, 2), tmp_path / "runs"
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"DUMP_CMD": command}}
    run = store.run("dbbackup", "--json")
    assert run.error == ""
    assert "Trying again (2 of 3)" in run.err
    assert len(runs.read_text().splitlines()) == 3
    assert len(store.stored()) == 2
    before = database.state()
    assert {*before} == {"thing++", "other", "view"}
    fill(database, [{"drop": "thing++"}])
    assert store.run("dbrestore", "--noinput").error == ""
    assert database.state() == before


def test_collection_that_is_renamed_every_time_is_an_error(store, make_database, tmp_path):
    database = make_database(alias="shop")
    fill(database, THINGS)
    command, runs = renaming(database, tmp_path, 9), tmp_path / "runs"
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"DUMP_CMD": command}}
    run = store.run("dbbackup")
    assert run.status == 1
    assert f"{database.name}.thing++ is {database.name}.thing+++ now" in run.error
    assert len(runs.read_text().splitlines()) == 3
    assert store.stored() == []
    assert [*store.tmp.iterdir()] == []


def test_collection_that_is_renamed_before_the_program_looks_is_in_the_dump(database, make_database):
    fill(database, THINGS)
    connector = database.connector()
    connector.preflight_dump()
    database.db["thing"].rename("things")
    with closing(connector.create_dump()) as dump:
        content = dump.read()
    assert names(content) == {"things", "other", "view"}
    target = make_database()
    target.restore(content)
    assert target.db["things"].count_documents({}) == 50


def test_documents_written_during_a_dump_are_in_it_or_not(database, make_database):
    fill(database, THINGS)

    def write(db):
        db["thing"].insert_many({"_id": n} for n in range(50, 2000))
        db["thing"].delete_many({"_id": {"$gte": 50, "$mod": [2, 0]}})

    target = make_database()
    target.restore(dumped_while(database, write))
    found = {document["_id"] for document in target.db["thing"].find()}
    assert {*range(50)} <= found <= {*range(2000)}
