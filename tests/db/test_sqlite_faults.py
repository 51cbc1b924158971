"""What a fault leaves behind: damaged files, a full disk, kill -9."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dbbackup.db.exceptions import DumpError, RestoreError
from dbbackup.db.sqlite import SqliteBackupConnector, SqliteConnector, SqliteCPConnector
from tests.db.conftest import Database, MakeDatabase
from tests.db.everything import EVERYTHING

FILE_CONNECTORS = pytest.mark.parametrize("cls", [SqliteBackupConnector, SqliteCPConnector])
ALL_CONNECTORS = pytest.mark.parametrize("cls", [SqliteBackupConnector, SqliteCPConnector, SqliteConnector])


# What is no database


@ALL_CONNECTORS
def test_missing_file_is_an_error_and_is_not_made(database: Database, cls: Any):
    for action in (lambda: database.dump(cls), database.connector(cls).preflight_dump):
        with pytest.raises(DumpError, match="has no file"):
            action()
    assert not database.path.exists()


@pytest.mark.parametrize("cls", [SqliteBackupConnector, SqliteConnector])
def test_file_without_any_table_ever_is_an_error(database: Database, cls: Any):
    database.path.touch()
    with pytest.raises(DumpError, match="is empty: no table was ever made"):
        database.dump(cls)


@ALL_CONNECTORS
def test_file_that_is_no_database_is_an_error(database: Database, cls: Any):
    database.path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(DumpError, match="not a database"):
        database.dump(cls)
    assert database.no_temporary_files()


@pytest.mark.parametrize("cls", [SqliteBackupConnector, SqliteConnector])
def test_damaged_database_is_not_dumped(database: Database, cls: Any):
    database.script(EVERYTHING)
    (root,) = database.query("SELECT rootpage FROM sqlite_master WHERE name = 'many_r'")[0]
    with database.path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 100)
    with pytest.raises(DumpError, match=r"damaged|malformed"):
        database.dump(cls)
    assert database.no_temporary_files()


@FILE_CONNECTORS
def test_damaged_dump_is_not_restored(database: Database, cls: Any):
    database.script(EVERYTHING)
    dump = bytearray(database.dump(cls))
    (root,) = database.query("SELECT rootpage FROM sqlite_master WHERE name = 'many_r'")[0]
    dump[(root - 1) * 4096 : (root - 1) * 4096 + 100] = b"\xff" * 100
    database.execute("CREATE TABLE since(a)")
    before = database.state()
    connector = database.connector(cls)
    for action in (connector.restore_dump, connector.verify_dump):
        with pytest.raises(RestoreError, match=r"damaged.*was not touched"):
            action(io.BytesIO(dump))
    for cut in (0, 10, 100, 5000, len(dump) // 2):
        with pytest.raises(RestoreError):
            connector.restore_dump(io.BytesIO(dump[:cut]))
    assert database.state() == before
    assert database.no_temporary_files()


@FILE_CONNECTORS
@pytest.mark.parametrize("head", [b"", b"PGDMP", b"-- DBBackup SQLite dump, format 1\n", b"SQLite format 2\0"])
def test_foreign_dump_is_refused_by_its_head(database: Database, cls: Any, head: bytes):
    with pytest.raises(RestoreError, match="not a SQLite database file"):
        database.connector(cls).check_dump(head)
    with pytest.raises(RestoreError, match="not a SQLite database file"):
        database.connector(cls).restore_dump(io.BytesIO(head))
    assert not database.path.exists()


def test_full_disk_is_said_so(database: Database):
    database.execute("CREATE TABLE t(a)", "INSERT INTO t VALUES(zeroblob(3000000))")
    dump = database.dump(SqliteBackupConnector)
    script = (
        "import io, resource, signal, sys, django; django.setup()\n"
        "from django.db import connections\n"
        "from dbbackup.db.sqlite import SqliteBackupConnector\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        "settings = {**connections['default'].settings_dict, 'NAME': sys.argv[1], 'TMP_DIR': sys.argv[2]}\n"
        "connector = SqliteBackupConnector('default', settings=settings)\n"
        "try:\n"
        "    connector.create_dump() if sys.argv[3] == 'dump' else connector.restore_dump(sys.stdin.buffer)\n"
        "except Exception as exc:\n"
        "    print(type(exc).__name__, exc)\n"
    )
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": os.pathsep.join(sys.path)}
    before = database.state()
    for operation, error in (("dump", "DumpError"), ("restore", "StreamError")):
        args = [sys.executable, "-c", script, str(database.path), str(database.tmp), operation]
        done = subprocess.run(args, input=dump, capture_output=True, check=True, env=env)
        assert done.stdout.decode().startswith(error), done
        assert database.no_temporary_files()
    assert database.state() == before


# kill -9

RESTORE = """
import sys, django; django.setup()
from django.db import connections
from dbbackup.db import sqlite
settings = {**connections['default'].settings_dict, 'NAME': sys.argv[1], 'TMP_DIR': sys.argv[2]}
connector = getattr(sqlite, sys.argv[3])('default', settings=settings)
print('ready', flush=True)
sys.stdin.readline()
connector.restore_dump(open(sys.argv[4], 'rb'))
"""


@pytest.mark.slow
@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("cls", [SqliteBackupConnector, SqliteConnector])
def test_killed_restore_leaves_the_old_or_the_new_database(
    make_database: MakeDatabase, tmp_path: Path, cls: Any, journal: str
):
    source, target = make_database(), make_database()
    rows = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) "
        "INSERT INTO t SELECT i, '{}' || hex(randomblob(60)) FROM n"
    )
    for database, word in ((source, "new"), (target, "old")):
        database.execute(f"PRAGMA journal_mode = {journal}", "CREATE TABLE t(i INTEGER PRIMARY KEY, v TEXT)")
        database.execute(rows.format(word), "CREATE INDEX t_v ON t(v)")
    old, new = target.state(), source.state()
    path = tmp_path / "dump"
    path.write_bytes(source.dump(cls))
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": os.pathsep.join(sys.path)}
    for delay in (0.02, 0.08, 0.15, 0.25, 0.4):
        args = [sys.executable, "-c", RESTORE, str(target.path), str(target.tmp), cls.__name__, str(path)]
        with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as process:
            assert process.stdout
            assert process.stdin
            assert process.stdout.readline() == b"ready\n"
            process.stdin.write(b"\n")
            process.stdin.flush()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        assert target.state() in (old, new)
    target.connector(cls).restore_dump(io.BytesIO(path.read_bytes()))
    assert target.state() == new
