"""Several operations on one database at once: each ends well, or with an error that names the other."""

from __future__ import annotations

import subprocess

import pytest

from tests.faults.gate import Gate
from tests.faults.mongodb import MIB, TIMEOUT, gated, grow, halfway_through_the_load, leftovers, mo
from tests.process import MongodbProject, manage
from tests.requirements import requires

__all__ = ["mo"]

pytestmark = [requires("mongodb"), pytest.mark.slow]


def test_two_backups(mo: MongodbProject):
    grow(mo)
    before = mo.state()
    runs = [subprocess.Popen(mo.command("dbbackup", "-z"), env=mo.env) for _ in range(2)]
    assert [run.wait(TIMEOUT) for run in runs] == [0, 0]
    names = sorted(path.name for path in mo.backups.iterdir() if path.suffix == ".gz")
    assert len(names) == 2
    for name in names:
        mo.change()
        assert manage(mo, "dbrestore", "--noinput", "--exact", "-i", name).returncode == 0
        assert mo.state() == before
    assert leftovers(mo) == []


def test_a_second_restore_changes_nothing(mo: MongodbProject, gate: Gate):
    grow(mo)
    new = mo.state()
    assert manage(mo, "dbbackup", "-o", "first").returncode == 0
    mo.change()
    assert manage(mo, "dbbackup", "-o", "second").returncode == 0
    halfway_through_the_load(mo, gate, "--exact", "-i", "first")
    mo.use("MongoDumpConnector")
    done = manage(mo, "dbrestore", "--noinput", "-i", "second")
    assert done.returncode == 1
    assert "Another restore or a backup of database 'default' is under way" in done.stderr
    assert "Nothing was changed." in done.stderr
    assert "put back" not in done.stderr
    done = gate.open()
    assert done.returncode == 0, done.stderr
    assert mo.state() == new
    assert leftovers(mo) == []


def test_a_backup_during_a_restore_is_refused(mo: MongodbProject, gate: Gate):
    grow(mo)
    new = mo.state()
    assert manage(mo, "dbbackup").returncode == 0
    stored = sorted(mo.backups.iterdir())
    mo.change()
    halfway_through_the_load(mo, gate, "--exact")
    done = manage(mo, "dbbackup")
    assert done.returncode == 1
    assert "Database 'default' is being restored. Dump it when that is done." in done.stderr
    assert sorted(mo.backups.iterdir()) == stored
    done = gate.open()
    assert done.returncode == 0, done.stderr
    assert mo.state() == new
    assert manage(mo, "dbbackup").returncode == 0
    assert leftovers(mo) == []


def test_a_restore_that_begins_during_a_backup(mo: MongodbProject, gate: Gate):
    def versions() -> set[int]:
        with mo.server.client() as client:
            database = client[mo.name]
            return {
                document["version"]
                for name in database.list_collection_names()
                for document in database[name].find({}, ["version"])
            }

    # More than the tool reads at once.
    for version in (1, 2):
        with mo.server.client() as client:
            for number in range(12):
                client[mo.name][f"c{number}"].drop()
                client[mo.name][f"c{number}"].insert_one({"version": version, "text": "x" * (MIB // 2)})
        if version == 1:
            assert manage(mo, "dbbackup", "-o", "first").returncode == 0
    mo.use("MongoDumpConnector", DUMP_CMD=gated(mo, gate, "mongodump"))
    gate.run(mo, "dbbackup", "-o", "second")
    mo.use("MongoDumpConnector")
    restore = manage(mo, "dbrestore", "--noinput", "-i", "first")
    assert restore.returncode == 1
    assert "a backup of database 'default' is under way" in restore.stderr
    assert versions() == {2}
    done = gate.open()
    assert done.returncode == 0, done.stderr
    assert manage(mo, "dbrestore", "--noinput", "-i", "first").returncode == 0
    assert versions() == {1}
    # Half of the one and half of the other would be no backup.
    assert manage(mo, "dbrestore", "--noinput", "-i", "second").returncode == 0
    assert versions() == {2}
    assert leftovers(mo) == []
