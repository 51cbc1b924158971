"""The safety dump: what is in it, when there can be none, and what becomes of it."""

from __future__ import annotations

import gzip
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from dbbackup.db import undoing
from dbbackup.db.mysql.login import Login
from dbbackup.db.mysql.safety import new_safety_dump
from dbbackup.db.safety import SafetyDump
from tests.db.mysql.altering import CHANGES, SHOP, left, mode, put_back, refused, restored, with_statement
from tests.db.mysql.conftest import Database
from tests.requirements import requires
from tests.shop import Store

pytestmark = requires("mariadb")

WRONG = "INSERT INTO nowhere VALUES (1)"
HALF = "there will be no safety dump: a restore that fails leaves the database half restored"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small tmpfs")


@pytest.fixture
def database(make_database, store: Store) -> Database:
    database: Database = make_database(alias="shop")
    database.sql(SHOP)
    return database


@pytest.fixture
def wrong(database: Database) -> bytes:
    """Return a dump of what the database was before it changed, whose restore fails halfway."""
    dump = with_statement(database.dump(), WRONG)
    database.sql(CHANGES)
    return dump


# Without one.


@pytest.mark.parametrize("by_setting", [False, True], ids=["flag", "setting"])
def test_restore_without_a_safety_dump_says_so_before_and_after(database, store, wrong, by_setting):
    if by_setting:
        store.settings.DBBACKUP_CONNECTORS = {"shop": {"SAFETY_DUMP": False}}
    run = restored(store, wrong, *([] if by_setting else ["--no-safety-dump"]))
    assert run.status == 1
    assert HALF in run.err
    assert "put back" not in run.err + run.error
    assert "nowhere" in run.error
    assert run.error.endswith("There is no safety dump: database 'shop' may be half restored.")
    # The first half of the dump is there.
    assert database.sql("SELECT GROUP_CONCAT(name ORDER BY id) FROM customer") == "Ann,Bob,Schräubchen; DROP"
    assert left(store) == []


def test_nothing_but_the_login_is_written_without_a_safety_dump(database, store):
    seen = store.folder.parent / "seen"
    dump = database.dump()
    store.settings.DBBACKUP_CONNECTORS = {
        "shop": {"RESTORE_PREFIX": f"ls -AR {shlex.quote(str(store.tmp))} > {shlex.quote(str(seen))};"}
    }
    assert restored(store, dump, "--no-safety-dump").status == 0
    listed = seen.read_text().split()
    assert [name for name in listed if name.endswith(".cnf")]
    assert not [name for name in listed if "safety" in name or "sql" in name]
    assert restored(store, dump).status == 0
    assert "safety.sql.gz" in seen.read_text()
    assert left(store) == []


def test_database_of_sqlite_has_no_safety_dump(shop):
    shop.backup()
    run = shop.run("dbrestore", "--noinput", "--no-safety-dump")
    assert run.status == 1
    assert "--no-safety-dump" in run.error


# What is in it.


def test_excluded_tables_are_in_the_safety_dump(database, store):
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"EXCLUDE": ["price"]}}
    dump = with_statement(database.dump(EXCLUDE=["price"]), "DROP TABLE price", WRONG)
    put_back(database, store, dump)


def test_pipe_of_a_backup_is_none_of_the_safety_dump(database, store, wrong):
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"DUMP_SUFFIX": "| tr a-z A-Z"}}
    put_back(database, store, wrong)


def test_safety_dump_is_made_with_the_prefix_and_the_environment_of_a_backup(database, store, wrong):
    seen = store.folder.parent / "seen"
    store.settings.DBBACKUP_CONNECTORS = {
        "shop": {
            "DUMP_PREFIX": f'echo "$MARK" >> {shlex.quote(str(seen))};',
            "DUMP_ENV": {"MARK": "here it's"},
        }
    }
    put_back(database, store, wrong)
    # The safety dump, and the one that it is compared with.
    assert seen.read_text().splitlines() == ["here it's"] * 2


def test_safety_dump_is_for_its_owner_alone_and_a_whole_dump(database, store, wrong):
    kept = store.folder.parent / "kept"
    store.settings.DBBACKUP_CONNECTORS = {
        "shop": {"RESTORE_PREFIX": f"cp -a {shlex.quote(str(store.tmp))} {shlex.quote(str(kept))};"}
    }
    run = restored(store, wrong)
    assert run.status == 1
    # The second one is of the putting back.
    path = next(kept.glob("*/safety.sql.gz"))
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    prelude, _, dump = gzip.decompress(path.read_bytes()).partition(b"/*M!999999")
    assert b"/*M!999999" + dump == database.dump()
    # So that it loads by hand as well.
    assert b"check_constraint_checks = 0" in prelude


# When there can be none.


def refused_without_one(database: Database, store: Store, dump: bytes) -> str:
    error = refused(database, store, dump)
    assert "--no-safety-dump" in error
    return error


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("CREATE DEFINER = other VIEW alien AS SELECT 1 AS one", "view `alien`"),
        ("CREATE DEFINER = other FUNCTION alien() RETURNS int RETURN 1", "function `alien`"),
        ("CREATE DEFINER = other PROCEDURE alien() SELECT 1", "procedure `alien`"),
        ("CREATE DEFINER = other TRIGGER alien BEFORE INSERT ON customer FOR EACH ROW SET @a = 1", "trigger `alien`"),
        ("CREATE DEFINER = other EVENT alien ON SCHEDULE EVERY 1 YEAR DO SELECT 1", "event `alien`"),
    ],
    ids=["view", "function", "procedure", "trigger", "event"],
)
def test_objects_of_another_definer_could_not_be_put_back(database, store, made, named):
    dump = database.dump()
    database.sql(made, database.server.admin)
    error = refused_without_one(database, store, dump)
    assert named in error
    assert "another DEFINER" in error
    admin = {"USER": database.server.admin.name, "PASSWORD": database.server.admin.password}
    store.settings.DBBACKUP_CONNECTORS = {"shop": admin}
    put_back(database, store, with_statement(dump, WRONG))
    assert restored(store, dump).status == 0


def test_broken_view_could_not_be_put_back(database, store):
    dump = database.dump()
    database.sql("DROP TABLE purchase; ALTER TABLE customer DROP COLUMN name")
    error = refused_without_one(database, store, dump)
    assert "`names`" in error
    # With it the restore is tried, and repairs the view.
    assert restored(store, dump, "--no-safety-dump").status == 0
    assert database.dump() == dump


def test_row_that_is_larger_than_what_the_server_takes(database, store, request):
    server = database.server
    dump, usual = database.dump(), server.sql("SELECT @@max_allowed_packet")
    database.sql("CREATE TABLE large (t longtext); INSERT INTO large VALUES (REPEAT('x', 2000000))")
    request.addfinalizer(lambda: server.sql(f"SET GLOBAL max_allowed_packet = {usual}"))
    server.sql("SET GLOBAL max_allowed_packet = 1048576")
    error = refused_without_one(database, store, dump)
    assert "max_allowed_packet" in error


# Room for it.


def test_too_little_room_is_found_before_anything_is_touched(database, store, monkeypatch):
    dump = database.dump()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=64 * 1024 * 1024 + 1000))
    error = refused_without_one(database, store, dump)
    assert f"in {store.tmp}, which has 1000" in error
    assert "DBBACKUP_TMP_DIR" in error


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with room for 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@needs_root
@pytest.mark.parametrize("estimated", [False, True], ids=["in the middle", "estimated"])
def test_full_disk(database, store, small, monkeypatch, estimated):
    dump = database.dump()
    database.sql(
        "CREATE TABLE large (t varchar(100)); INSERT INTO large"
        " SELECT CONCAT(MD5(RAND()), MD5(RAND()), MD5(RAND())) FROM seq_1_to_20000"
    )
    store.settings.DBBACKUP_TMP_DIR = str(small)
    if not estimated:
        monkeypatch.setattr(undoing, "free_space", lambda folder: (folder, 10**12))
    error = refused_without_one(database, store, dump)
    assert str(small) in error
    assert ("No space left on device" in error) is not estimated
    assert "nothing was changed" in error.lower()
    assert list(small.iterdir()) == []


# Those of others.


def safety_of(database: Database, store: Store) -> SafetyDump:
    return new_safety_dump(Login.from_settings(database.settings), store.tmp)


def test_safety_dump_of_a_killed_restore_is_named_with_the_line_that_loads_it(database, store):
    dump, safety = database.dump(), safety_of(database, store)
    database.sql("DELETE FROM purchase")
    with database.connector().create_dump() as now:
        safety.write(now, b"")
    safety.release()
    before = database.state()
    run = restored(store, dump)
    assert run.status == 0
    assert "an earlier restore was killed" in run.err
    assert f"gzip -dc {shlex.quote(str(safety.path))} | mariadb " in run.err
    assert safety.path.exists()
    assert database.state() != before
    shutil.rmtree(safety.folder)
    assert "killed" not in restored(store, dump).err


def test_unfinished_safety_dump_of_a_killed_restore_goes(database, store):
    safety = safety_of(database, store)
    (safety.folder / "safety.sql.partial").write_bytes(b"half of")
    safety.release()
    run = restored(store, database.dump())
    assert run.status == 0
    assert "killed" not in run.err
    assert left(store) == []


def test_safety_dump_of_a_living_restore_is_left_alone(database, store):
    for finished in (False, True):
        safety = safety_of(database, store)
        if finished:
            with database.connector().create_dump() as now:
                safety.write(now, b"")
        run = restored(store, database.dump())
        assert run.status == 0
        assert "killed" not in run.err
        assert safety.folder.is_dir()
        assert safety.path.exists() is finished
        safety.discard()
    assert left(store) == []


def test_safety_dump_of_another_database_is_left_alone(database, make_database, store):
    safety = safety_of(make_database(alias="other"), store)
    safety.release()
    run = restored(store, database.dump())
    assert run.status == 0
    assert "killed" not in run.err
    assert safety.folder.is_dir()
    with suppress(OSError):
        shutil.rmtree(safety.folder)
