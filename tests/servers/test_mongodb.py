from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bson import Int64
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import AutoReconnect, OperationFailure, ServerSelectionTimeoutError

from tests import mongodb_engine, process
from tests.requirements import requires
from tests.servers import programs
from tests.servers.mongodb import MongoDB, User, running

pytestmark = requires("mongodb")

USERS = [MongoDB.admin, MongoDB.owner, MongoDB.reader, MongoDB.local]
WRITERS = [MongoDB.admin, MongoDB.owner, MongoDB.local]
IDS: Callable[[User], str] = lambda user: user.name.split(":")[0].strip()  # noqa: E731
AWKWARD = ["ä-ü€", "a'b%41#`&;=,@:{}?", "--version"]

Client = MongoClient[dict[str, Any]]


@pytest.fixture
def name(mongodb: MongoDB) -> Iterator[str]:
    yield "server"
    mongodb.drop_database("server")


def login(client: Client) -> list[dict[str, str]]:
    logins: list[dict[str, str]] = client.admin.command("connectionStatus")["authInfo"]["authenticatedUsers"]
    return logins


def ping(server: MongoDB, user: User | None = None, **options: Any) -> None:
    with server.client(user, **{"serverSelectionTimeoutMS": 500, **options}) as client:
        client.admin.command("ping")


@pytest.mark.parametrize("user", USERS, ids=IDS)
def test_users_log_in(mongodb, user):
    with mongodb.client(user) as client:
        assert login(client) == [{"user": user.name, "db": user.source}]


@pytest.mark.parametrize("user", USERS, ids=IDS)
def test_a_wrong_login_is_refused(mongodb, user):
    for wrong in (User(user.name, "wrong", user.source), User(user.name, user.password, "elsewhere")):
        with pytest.raises(OperationFailure, match="authentication failed"):
            ping(mongodb, wrong)


def test_without_a_login_nothing_is_answered(mongodb):
    with Client(mongodb.host, mongodb.port) as client, pytest.raises(OperationFailure, match="requires auth"):
        client["server"]["thing"].find_one()


@pytest.mark.parametrize("user", WRITERS, ids=IDS)
def test_who_may_write_does(mongodb, name, user):
    with mongodb.client(user) as client:
        client[name]["thing"].insert_one({"_id": 1})
        client[name]["thing"].create_index("a")
        client[name].command("collMod", "thing", validator={"a": 1})
        client[name]["thing"].drop()
        client.drop_database(name)


def test_who_may_read_does_not_write(mongodb, name):
    with mongodb.client() as client:
        client[name]["thing"].insert_one({"_id": 1})
    with mongodb.client(mongodb.reader) as client:
        thing = client[name]["thing"]
        assert thing.find_one() == {"_id": 1}
        for write in (lambda: thing.insert_one({"_id": 2}), thing.drop, lambda: client.drop_database(name)):
            with pytest.raises(OperationFailure, match="not authorized on server"):
                write()


@pytest.mark.parametrize("database_name", AWKWARD)
def test_a_database_of_any_name_is_made_and_goes(mongodb, database_name):
    before = mongodb.state("unrelated")
    with mongodb.client() as client:
        client[database_name]["thing"].insert_one({"_id": 1})
        client[database_name].command("createUser", "its own", pwd="secret", roles=["readWrite"])
        ping(mongodb, User("its own", "secret", database_name))
        assert mongodb.state(database_name)["thing"]["documents"][0] == 1

        mongodb.drop_database(database_name)

        assert database_name not in client.list_database_names()
        assert mongodb.state(database_name) == before == {}
    with pytest.raises(OperationFailure, match="authentication failed"):
        ping(mongodb, User("its own", "secret", database_name))


@requires("python:django_mongodb_backend")
@pytest.mark.parametrize("user", USERS, ids=IDS)
def test_django_logs_in(mongodb, user, databases):
    from django.db import connections

    databases("server", **mongodb.settings("server", user))
    connection: Any = connections["server"]
    try:
        assert connection.database.name == "server"
        assert login(connection.connection) == [{"user": user.name, "db": user.source}]
        assert mongodb.sessions(user) == 1 + (user == mongodb.admin)
    finally:
        mongodb_engine.close("server")
    assert connection.connection._closed


def test_a_project_logs_in(mongodb, mongo_tools, tmp_path):
    project = process.MongodbProject(tmp_path, mongodb, "project", mongo_tools)
    try:
        project.grow(2000)
        grown = project.state()
        done = process.manage(
            project, "shell", "-v0", "-c", "from django.db import connection as c; print(c.settings_dict['ENGINE'])"
        )
        assert (done.stderr, done.stdout, project.state()) == ("", "django_mongodb_backend\n", grown)
        project.change()
        changed = project.state()
        assert list(changed) == ["newer", "thing", "z_last"]
        assert changed["thing"]["documents"][0] == 1000
        assert changed["z_last"]["documents"] != grown["z_last"]["documents"]
        assert project.sessions() == 0
        with mongodb.client(mongodb.owner) as client:
            client.admin.command("ping")
            assert project.sessions() == 1
    finally:
        mongodb.drop_database("project")


def test_what_was_written_outlives_a_crash(mongodb, name):
    with mongodb.client() as client:
        client[name]["thing"].insert_many({"_id": i} for i in range(500))
        client[name]["last"].insert_one({"_id": 1})
    kept = mongodb.state(name)

    with mongodb.client() as client:
        client[name]["last"].insert_one({"_id": 2})
    mongodb.crash()
    with pytest.raises(ServerSelectionTimeoutError, match="refused"):
        ping(mongodb)
    mongodb.restart()

    found = mongodb.state(name)
    assert found["thing"] == kept["thing"]
    assert found["last"]["documents"][0] == 2


def test_a_frozen_server_goes_on(mongodb):
    with mongodb.frozen(), pytest.raises((AutoReconnect, ServerSelectionTimeoutError), match="timed out"):
        ping(mongodb, connectTimeoutMS=300)

    ping(mongodb)


def test_options_hold_until_the_next_start(mongodb):
    def replica_set() -> str | None:
        with mongodb.client() as client:
            name: str | None = client.admin.command("hello").get("setName")
            return name

    mongodb.freeze()
    mongodb.restart("--standalone")
    assert replica_set() is None
    mongodb.restart()
    assert replica_set() == "secantus"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_server_proves_who_it_is(mongodb, host):
    with mongodb.tls() as options:
        with Client(host, mongodb.port, directConnection=True, **options) as client:
            assert client.admin.command("hello")["ok"] == 1
        for tls, reason in ((False, "reset|closed"), (True, "certificate verify failed")):
            insecure = Client(host, mongodb.port, tls=tls, serverSelectionTimeoutMS=500)
            with insecure, pytest.raises(ServerSelectionTimeoutError, match=reason):
                insecure.admin.command("ping")

    ping(mongodb)


def test_a_client_shows_its_certificate(mongodb, name):
    with mongodb.tls(client_certificates=True):
        with mongodb.client(mongodb.owner) as client:
            client[name]["thing"].insert_one({"_id": 1})
        with pytest.raises(ServerSelectionTimeoutError):
            ping(mongodb, tlsCertificateKeyFile=None)
        assert mongodb.state(name)["thing"]["documents"][0] == 1

    assert mongodb.client_pem.stat().st_mode & 0o777 == 0o600
    assert mongodb.state(name)["thing"]["documents"][0] == 1


def recreate(db: Database[Any], index: str, keys: Any, **options: Any) -> None:
    db.thing.drop_index(index)
    db.thing.create_index(keys, name=index, **options)


def redo_ring(db: Database[Any], *ids: int, **options: Any) -> None:
    db.ring.drop()
    db.create_collection("ring", **{"capped": True, "size": 4096, **options})
    db.ring.insert_many([{"_id": number} for number in ids])


def renumber(db: Database[Any]) -> None:
    db.thing.delete_one({"_id": 2})
    db.thing.insert_one({"_id": Int64(2), "zero": 0.0})


def redefine(db: Database[Any]) -> None:
    db.view.drop()
    db.command("create", "view", viewOn="thing", pipeline=[{"$match": {"a": 2}}])


CHANGES: dict[str, Callable[[Database[Any]], object]] = {
    "a collection": lambda db: db.create_collection("more"),
    "a name's case": lambda db: db.thing.rename("Thing"),
    "a document": lambda db: db.thing.insert_one({"_id": 9}),
    "a document's end": lambda db: db.thing.delete_one({"_id": 1}),
    "the order of fields": lambda db: db.thing.replace_one({"_id": 1}, {"b": 2, "a": 1}),
    "an integer's width": lambda db: db.thing.replace_one({"_id": 1}, {"a": Int64(1), "b": 2}),
    "a double": lambda db: db.thing.replace_one({"_id": 1}, {"a": 1.0, "b": 2}),
    "the sign of zero": lambda db: db.thing.replace_one({"_id": 2}, {"zero": -0.0}),
    "the width of an _id": renumber,
    "an index": lambda db: db.thing.create_index("c"),
    "an index's option": lambda db: recreate(db, "a", "a", sparse=True),
    "an index's direction": lambda db: recreate(db, "a", [("a", -1)]),
    "the order of an index's keys": lambda db: recreate(db, "bc", [("c", 1), ("b", 1)]),
    "a validator": lambda db: db.command("collMod", "thing", validator={"a": {"$exists": True}}),
    "a capped collection's order": lambda db: redo_ring(db, 2, 1),
    "a capped collection's size": lambda db: redo_ring(db, 1, 2, size=8192),
    "a view": lambda db: db.command("create", "another", viewOn="thing", pipeline=[]),
    "a view's pipeline": redefine,
}


def fill(db: Database[Any]) -> None:
    db.thing.insert_many([{"_id": 1, "a": 1, "b": 2}, {"_id": 2, "zero": 0.0}])
    db.thing.create_index("a", name="a")
    db.thing.create_index([("b", 1), ("c", 1)], name="bc")
    redo_ring(db, 1, 2)
    db.command("create", "view", viewOn="thing", pipeline=[{"$match": {"a": 1}}])


@pytest.mark.parametrize("change", list(CHANGES.values()), ids=list(CHANGES))
def test_the_state_shows(mongodb, name, change):
    with mongodb.client() as client:
        fill(client[name])
        before = mongodb.state(name)
        change(client[name])

        assert mongodb.state(name) != before


def test_the_state_of_equal_databases_is_the_same(mongodb, name):
    with mongodb.client() as client:
        fill(client[name])
        other = client["another"]
        try:
            other.command("create", "view", viewOn="thing", pipeline=[{"$match": {"a": 1}}])
            redo_ring(other, 1, 2)
            other.thing.create_index([("b", 1), ("c", 1)], name="bc")
            other.thing.create_index("a", name="a", background=True)
            other.thing.insert_many([{"_id": 2, "zero": 0.0}, {"_id": 3}, {"_id": 1, "a": 1, "b": 2}])
            other.thing.delete_one({"_id": 3})

            assert mongodb.state("another") == mongodb.state(name)
        finally:
            mongodb.drop_database("another")


def test_two_servers_at_once_leave_nothing(mongodb, name):
    with running(programs.mongodb_python(), "mongodb") as other:
        with other.client() as client:
            client[name]["thing"].insert_one({"_id": 1})
        assert (list(other.state(name)), mongodb.state(name)) == (["thing"], {})
        other.freeze()

    assert not listening(other.port)
    assert not other.root.exists()
    ping(mongodb)


@requires("setpriv")
@pytest.mark.parametrize("state", ["running", "frozen"])
def test_a_killed_run_takes_the_server_with_it(state):
    script = (
        "from tests.servers import mongodb, programs\n"
        "server = mongodb.MongoDB(programs.mongodb_python())\n"
        "server.start()\n"
        f"if {state == 'frozen'}: server.freeze()\n"
        "print(server.port, server.root, flush=True)\n"
        "input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        port, root = run.stdout.readline().split()
        assert listening(int(port))
        run.send_signal(signal.SIGKILL)

    deadline = time.monotonic() + 10
    while listening(int(port)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not listening(int(port))
    shutil.rmtree(root)


def listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
