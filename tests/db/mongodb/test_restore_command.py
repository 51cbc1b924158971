"""``manage.py dbrestore`` on MongoDB: where it goes, what it asks and says, one at a time, exit statuses."""

from __future__ import annotations

import builtins
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dbbackup import signals
from dbbackup.db.exceptions import ConnectorError
from tests.db.mongodb.altering import Parts, at_first, change, fill, left, program, refused, restored
from tests.db.mongodb.conftest import Database
from tests.process import MongodbProject, manage
from tests.requirements import requires
from tests.servers.mongodb import MongoDB
from tests.shop import Store

pytestmark = requires("mongodb")

DEADLINE = 60


@pytest.fixture
def database(make_database, store: Store) -> Database:
    database: Database = make_database(alias="shop")
    fill(database)
    return database


# What it says.


def test_restore_says_what_it_did(database, store):
    before, name = database.state(), store.backup()
    change(database)
    run = store.run("dbrestore", "--noinput", "--exact", "--json")
    assert (run.status, run.error) == (0, "")
    [said] = run.lines
    assert (said["database"], said["name"], said["warnings"]) == ("shop", name, [])
    assert said["rows"] == {
        "customer": 3, "purchase": 3, "log": 3, "session": 2, "empty": 0, "mit.Punkt und ü*✓": 1,
    }  # fmt: skip
    assert database.state() == before
    assert left(store) == []
    run = store.run("dbrestore", "--noinput")
    assert f"into database 'shop' ({database.name}), whose content it replaces." in run.err
    assert f"Restored shop from {name} (12 rows in 6 tables" in run.out
    assert "           3  customer\n" in run.out


def test_backup_goes_into_another_database(database, make_database, store):
    other = make_database(alias="other")
    other.db["customer"].insert_one({"_id": "gone"})
    name = store.backup()
    before = database.state()
    run = store.run("dbrestore", "-d", "other", "-i", name, "--noinput")
    assert (run.status, run.error) == (0, "")
    assert f"into database 'other' ({other.name})" in run.err
    assert "made from database 'shop' and goes into 'other'" in run.err
    assert database.state() == before == other.state()


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1), ("", 1)], ids=["yes", "no", "nothing"])
def test_question(database, store, monkeypatch, answer: str, status):
    store.backup()
    change(database)
    before = database.state()
    asked: list[tuple[str, list[str]]] = []

    def ask(question: str) -> str:
        asked.append((question, left(store)))
        return answer

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(builtins, "input", ask)
    run = store.run("dbrestore")
    # Nobody has dumped anything yet, and nothing waits for the answer.
    [(question, seen)] = asked
    assert question == "Go ahead? [y/N] "
    assert not [name for name in seen if "safety" in name or "restoring" in name]
    assert f"into database 'shop' ({database.name}), whose content it replaces." in run.err
    assert run.status == status
    assert (database.state() == before) is (status == 1)
    if status:
        assert run.error == "Restore cancelled; the database was not touched."
    assert left(store) == []


def test_no_terminal_to_ask_on(database, store, monkeypatch):
    store.backup()
    before = database.state()
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert store.run("dbrestore").status == 2
    assert database.state() == before


def test_protected_database(database, store):
    store.backup()
    store.settings.DBBACKUP_PROTECTED_DATABASES = ["shop"]
    before = database.state()
    assert store.run("dbrestore", "--noinput").status == 1
    assert database.state() == before
    assert store.run("dbrestore", "--noinput", "--allow-protected").status == 0


def test_flag_of_another_engine_is_refused_by_name(database, store):
    store.backup()
    before = database.state()
    for flags in (["--jobs", "2"], ["--schema", "public"], ["--role", "owner"], ["--terminate-connections"]):
        run = store.run("dbrestore", "--noinput", *flags)
        assert run.status in {1, 2}
        assert run.error == f"MongoDumpConnector does not support {flags[0]}."
    assert database.state() == before


def test_dump_from_standard_input_and_unverified(database, store, monkeypatch, tmp_path):
    path = tmp_path / "dump"
    path.write_bytes(database.dump())
    before = database.state()
    change(database)
    with path.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        run = store.run("dbrestore", "-I", "-", "--exact")
    assert run.status == 0
    assert "it is unverified: there is no manifest to compare it with" in run.err
    assert database.state() == before


@pytest.mark.parametrize("fails", [False, True], ids=["well", "failing"])
def test_signals(database, store, fails):
    dump = Parts.of(database.dump())
    if fails:
        dump.add("purchase", {"_id": 1, "twice": 1})
    seen: list[tuple[str, str]] = []
    every = {name: getattr(signals, name) for name in ("pre_restore", "post_restore", "restore_failed")}
    receivers: list[tuple[str, Callable[..., None]]] = []
    for name, signal in every.items():

        def receive(name: str = name, **said: object) -> None:
            seen.append((name, str(said["database_name"])))

        receivers.append((name, receive))
        signal.connect(receive)
    try:
        assert restored(store, dump.dump()).status == fails
    finally:
        for name, receive in receivers:
            every[name].disconnect(receive)
    assert seen == [("pre_restore", "shop"), ("restore_failed" if fails else "post_restore", "shop")]


# Damaged backups.


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    at = data.index(b"Ann")
    changed = {
        "cut": data[:-40],
        "longer": data + data[-4:],
        "byte": data[:at] + b"E" + data[at + 1 :],
        "prelude": data.replace(b"purchase", b"purchasE", 1),
        "empty": b"",
        "garbage": os.urandom(len(data)),
    }
    path.write_bytes(changed[how])


@pytest.mark.parametrize("how", ["cut", "longer", "byte", "prelude", "empty", "garbage"])
def test_damaged_backup_is_found_and_not_restored(database, store, how):
    name = store.backup()
    assert store.run("verifybackups").status == 0
    damage(store.folder / name, how)
    before = database.state()
    assert store.run("verifybackups").status == 1
    run = store.run("dbrestore", "--noinput", "-i", name)
    assert run.status == 1
    assert database.state() == before
    # Nor where nobody knows what it was.
    if how != "empty":
        (store.folder / f"{name}.metadata").unlink()
        assert re.search(
            "archive cannot be restored: |no archive", store.run("dbrestore", "--noinput", "-i", name).error
        )
    assert database.state() == before
    assert left(store) == []


# One at a time.


@contextmanager
def restoring(database: Database, store: Store, tmp_path: Path) -> Iterator[None]:
    """Have a restore in the middle of its work, until the block ends."""
    wait = 'touch "$HERE/started"; while [ ! -e "$HERE/gate" ]; do sleep 0.02; done; exec "$TOOL" "$@"'
    command, dump = program(tmp_path, wait), database.dump()
    errors: list[ConnectorError] = []

    def restore() -> None:
        try:
            database.restore(dump, RESTORE_CMD=command, TMP_DIR=store.tmp)
        except ConnectorError as exc:
            errors.append(exc)

    thread = threading.Thread(target=restore)
    thread.start()
    try:
        deadline = time.monotonic() + DEADLINE
        while not (tmp_path / "started").exists():
            assert thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield
    finally:
        (tmp_path / "gate").touch()
        thread.join(DEADLINE)
        assert not thread.is_alive()
    assert errors == []


def test_second_restore_is_refused(database, store, tmp_path):
    before = database.state()
    other = Parts.of(database.dump())
    other.add("customer", {"_id": 9, "name": "of the second"})
    with restoring(database, store, tmp_path):
        run = restored(store, other.dump(), "--exact")
        assert run.status == 1
        assert "Another restore or a backup of database 'shop' is under way." in run.error
        assert "Nothing was changed." in run.error
    assert database.state() == before
    assert left(store) == []
    assert restored(store, other.dump()).status == 0


def test_backup_during_a_restore_is_refused_as_it_would_have_a_half(database, store, tmp_path):
    with restoring(database, store, tmp_path):
        run = store.run("dbbackup")
        assert run.status == 1
        assert "Database 'shop' is being restored." in run.error
        assert store.stored() == []
    assert store.run("dbbackup").status == 0


def test_restore_of_another_database_is_not_prevented(database, make_database, store, tmp_path):
    other, dump = make_database(alias="other"), database.dump()
    with restoring(database, store, tmp_path):
        assert restored(store, dump, "-d", "other").status == 0
    assert other.state() == database.state()


def test_lock_of_a_restore_that_is_refused_is_given_back(database, store):
    refused(database, store, database.dump()[:-1])
    assert list(store.tmp.iterdir()) == []
    assert store.run("dbbackup").status == 0


@pytest.mark.slow
def test_restore_that_was_killed(project_of_mongodb: MongodbProject, tmp_path):
    """The lock is free again, and the next one names the safety dump, which has what was there."""
    project = project_of_mongodb
    project.grow(20)
    assert manage(project, "dbbackup").returncode == 0
    project.change()
    before = project.state()
    project.use("MongoDumpConnector", RESTORE_CMD=program(tmp_path, '"$TOOL" "$@"; kill -9 $PPID'))
    killed = manage(project, "dbrestore", "--noinput", "--exact")
    assert killed.returncode == -9
    assert project.state() != before
    project.use("MongoDumpConnector")
    assert manage(project, "dbbackup").returncode == 0
    [path] = project.tmp.glob("*/safety.archive.gz")
    done = manage(project, "dbrestore", "--noinput")
    assert done.returncode == 0
    assert "an earlier restore was killed, or could not put back what was there before. Load that by" in done.stderr
    assert str(path) in done.stderr
    # As a backup like any other: by the program, and without a key.
    assert manage(project, "dbrestore", "--noinput", "--exact", "-I", str(path)).returncode == 0
    assert project.state() == before
    shutil.rmtree(path.parent)
    assert list(project.tmp.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("how", ["INT", "TERM"])
def test_restore_that_is_interrupted_is_put_back(project_of_mongodb: MongodbProject, tmp_path, how):
    project = project_of_mongodb
    project.grow(20)
    assert manage(project, "dbbackup").returncode == 0
    project.change()
    before = project.state()
    # All of it is there when the signal comes.
    script = f'"$TOOL" "$@"; kill -{how} $PPID; exec sleep {DEADLINE}'
    project.use("MongoDumpConnector", RESTORE_CMD=program(tmp_path, at_first(script)))
    ended = manage(project, "dbrestore", "--noinput", "--exact")
    assert ended.returncode not in {0, None}
    assert "The restore failed; the safety dump is put back." in ended.stderr
    assert "Traceback" not in ended.stderr
    assert project.state() == before
    assert list(project.tmp.iterdir()) == []


@pytest.fixture
def project_of_mongodb(tmp_path: Path, mongodb: MongoDB, mongo_tools: Path, make_database) -> Iterator[MongodbProject]:
    root = tmp_path / "it's a project"
    root.mkdir()
    yield MongodbProject(root, mongodb, "project-ü", mongo_tools)
    mongodb.drop_database("project-ü")
