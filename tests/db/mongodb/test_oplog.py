"""A dump of a whole server, as of one moment: what it takes, what it has, and how it comes back."""

from __future__ import annotations

import io
import time
from contextlib import closing
from types import MappingProxyType

import pytest

from dbbackup.db.exceptions import DumpError, RestoreError
from dbbackup.db.mongodb.archive import read_archive
from dbbackup.db.mongodb.dumping import plan_dump
from dbbackup.db.mongodb.login import Login
from dbbackup.db.mongodb.session import Session
from tests.db.mongodb.everything import KINDS, Command, fill, script
from tests.requirements import requires

pytestmark = requires("mongodb")

THINGS: list[Command] = [
    {"insert": "thing", "documents": [{"_id": n} for n in range(50)]},
    {"createIndexes": "thing", "indexes": [{"name": "n", "key": {"n": 1}}]},
]


@pytest.fixture
def make(make_database, mongodb):
    """Return what makes a database that the admin dumps, with the oplog."""

    def make(commands=THINGS, **settings):
        database = make_database(user=mongodb.admin, **settings)
        fill(database, commands)
        return database

    return make


@pytest.fixture
def standalone(mongodb):
    mongodb.restart("--standalone")
    yield mongodb
    mongodb.restart()


def test_server_that_is_no_replica_set_is_refused(standalone, make):
    with pytest.raises(DumpError, match="with OPLOG: the server is no member of a replica set"):
        make().dump(OPLOG=True)


def test_exclusions_are_refused(make):
    with pytest.raises(DumpError, match=r"with OPLOG: .*leave nothing out \(EXCLUDE, --exclude-tables\)"):
        make().dump(OPLOG=True, EXCLUDE=["thing"])


def test_every_reason_is_named_at_once(standalone, make):
    with pytest.raises(DumpError, match=r"replica set.*; .*EXCLUDE"):
        make().dump(OPLOG=True, EXCLUDE=["thing"])


class Mongos(Session):
    """A server that says it stands before shards."""

    @property
    def hello(self):
        assert super().hello
        return MappingProxyType({"msg": "isdbgrid", "ok": 1.0})


def test_mongos_is_refused(make):
    database = make()
    session = Mongos(Login.from_settings(database.settings), "dump it", directory=database.tmp)
    with closing(session), pytest.raises(DumpError, match="the server is a mongos"):
        plan_dump(session, "shop", given="", path=None, exclude=(), oplog=True, allow_empty=False)


def test_dump_has_all_databases_and_the_oplog(store, make):
    database, other = make(alias="shop"), make(KINDS)
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"OPLOG": True}}
    name = store.backup("-z")
    assert store.manifest(name)["limits"] == {"oplog": True}
    assert store.run("verifybackups").status == 0
    archive = read_archive(io.BytesIO(database.dump(OPLOG=True)))
    assert {database.name, other.name} <= {*archive.databases}
    assert ("", "oplog") in archive.namespaces
    assert archive.documents[database.name, "thing"].count == 50


def test_arguments_are_what_they_should_be(make, tmp_path):
    noted = tmp_path / "arguments"
    database = make()
    noting = f"printf '%s\\n' \"$@\" > '{noted}'"
    dump = database.dump(OPLOG=True, DUMP_CMD=script(tmp_path / "dump", "mongodump", noting))
    done = "cat >/dev/null; echo '1000 document(s) restored successfully. 0 document(s) failed to restore.' >&2"
    assert noted.read_text().splitlines()[1:] == ["--archive", "--oplog"]
    database.restore(dump, OPLOG=True, RESTORE_CMD=script(tmp_path / "restore", "mongorestore", noting, then=done))
    careful = ["--maintainInsertionOrder", "--bypassDocumentValidation"]
    assert noted.read_text().splitlines()[1:] == ["--archive", "--drop", "--objcheck", *careful, "--oplogReplay"]


def test_restore_without_the_setting_is_refused(store, make):
    database = make(alias="shop")
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"OPLOG": True}}
    store.backup()
    store.settings.DBBACKUP_CONNECTORS = {"shop": {}}
    fill(database, [{"drop": "thing"}])
    run = store.run("dbrestore", "--noinput")
    assert run.status == 1
    assert "OPLOG = True restores all of that" in run.error
    assert "Nothing was changed" in run.error
    assert database.state() == {}


@pytest.fixture
def beating(mongodb):
    """Return a server that writes into its oplog by itself, every second that nothing happens."""
    mongodb.restart("--noop-heartbeat-seconds=1")
    yield mongodb
    mongodb.restart()


def await_heartbeat(server):
    """Wait until the end of the oplog changes nothing: the tests' server has not the command that applies an oplog."""
    deadline = time.monotonic() + 60
    with server.client() as client:
        while client.local["oplog.rs"].find_one(sort=[("$natural", -1)])["op"] != "n":
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_whole_server_comes_back(beating, store, make):
    database, other = make(alias="shop"), make(KINDS)
    before = database.state(), other.state()
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"OPLOG": True}}
    await_heartbeat(beating)
    store.backup("-z", "zstd")
    fill(database, [{"delete": "thing", "deletes": [{"q": {"_id": {"$gt": 9}}, "limit": 0}]}])
    fill(other, [{"drop": "capped"}, {"drop": "values"}, {"insert": "ids", "documents": [{"_id": "more"}]}])
    await_heartbeat(beating)
    run = store.run("dbrestore", "--noinput")
    assert (run.error, run.status) == ("", 0)
    assert (database.state(), other.state()) == before
    # Who may log in is part of a server as well.
    with database.server.client(database.server.owner) as client:
        assert client[database.name]["thing"].count_documents({}) == 50


def written_meanwhile(database):
    """Return a dump during which documents come and go."""
    # More than pipes hold: the program waits for its reader in it.
    fill(database, [{"insert": "filler", "documents": [{"text": "x" * 200_000} for _ in range(60)]}])
    with closing(database.connector(OPLOG=True).create_dump()) as dump:
        head = dump.read(1)
        database.db["thing"].insert_many({"_id": n} for n in range(100, 150))
        database.db["thing"].delete_one({"_id": 0})
        return head + dump.read()


def test_oplog_has_what_is_written_during_the_dump(make):
    database = make()
    archive = read_archive(io.BytesIO(written_meanwhile(database)))
    assert archive.documents["", "oplog"].count >= 51


def test_restore_whose_oplog_cannot_be_applied_is_undone_everywhere(make):
    # The tests' server does not know the command.
    database, other = make(), make(KINDS)
    dump = written_meanwhile(database)
    fill(database, [{"insert": "since", "documents": [{"_id": 1}]}])
    fill(other, [{"drop": "values"}])
    before = database.state(), other.state()
    with pytest.raises(RestoreError, match=r"applyOps(.|\n)*put back and verified"):
        database.restore(dump, OPLOG=True)
    assert (database.state(), other.state()) == before
