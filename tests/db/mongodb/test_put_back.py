"""A restore that fails halfway: the safety dump is put back, and everything is as it was."""

from __future__ import annotations

import gzip
import io
import os
import re
import shlex
import shutil
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.safety import SafetyDump
from dbbackup.streams import PeekableReader
from tests.db.mongodb.altering import Parts, at_first, change, fill, left, mode, program, put_back, restored
from tests.db.mongodb.conftest import Database
from tests.requirements import requires
from tests.shop import Store

pytestmark = requires("mongodb")

HALF = "there will be no safety dump: a restore that fails leaves the database half restored"


@pytest.fixture
def database(make_database, store: Store) -> Database:
    database: Database = make_database(alias="shop")
    fill(database)
    return database


@pytest.fixture
def dump(database: Database) -> bytes:
    """Return a dump of what the database was before it changed."""
    dump = database.dump()
    change(database)
    return dump


def half(dump: bytes, first: str = "customer") -> tuple[bytes, str]:
    """Return an archive that has one collection before all others, and a shell line that restores just that one."""
    parts = Parts.of(dump)
    size = parts.put_first(first)
    return parts.dump(), f'head -c {size} | "$TOOL" "$@" 2> "$HERE/stderr"; cat > "$HERE/rest"'


# What fails.


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("kill -9 $$", "was ended by signal 9"),
        ("kill -TERM $$", "was ended by signal 15"),
        ("exit 3", "exited with status 3"),
        ("echo 'Failed: shop.x: something odd' >&2; exit 1", "exited with status 1: Failed: shop.x: something odd"),
        ("exit 0", "After the restore "),
        (
            "echo '5 document(s) restored successfully. 2 document(s) failed to restore.' >&2; exit 0",
            "2 documents",
        ),
    ],
    ids=["killed", "ended", "failed", "told", "early", "documents"],
)  # fmt: skip
def test_tool_that_ends_after_the_first_collection(database, store, dump, ending, said):
    dump, line = half(dump)
    command = program(database.tmp, at_first(f"{line}; {ending}"))
    assert said in put_back(database, store, dump, RESTORE_CMD=command)


def test_documents_that_expire_are_put_back_too(database, store, tmp_path):
    """What is there of them is a matter of the hour, but not what a restore has made of them."""
    dump, line = half(database.dump(), "session")
    database.db["session"].delete_many({})
    database.db["session"].insert_one({"_id": 3, "used": datetime(2100, 1, 3, tzinfo=UTC)})
    before = database.state()
    command = program(tmp_path, at_first(f"{line}; exit 1"))
    with pytest.raises(RestoreError, match="is as it was"):
        database.restore(dump, TMP_DIR=store.tmp, RESTORE_CMD=command)
    assert database.state() == before


@pytest.mark.parametrize("reads", [True, False], ids=["reading", "not even reading"])
def test_tool_that_does_nothing(database, store, tmp_path, reads):
    """What has as many documents as the backup is not yet what the backup has."""
    dump = database.dump()
    database.db["purchase"].update_many({}, {"$set": {"twice": 0}})
    before = database.state()
    command = program(tmp_path, at_first("cat > /dev/null; exit 0" if reads else "exit 0"))
    with pytest.raises(RestoreError, match="Database 'shop' is as it was"):
        database.restore(dump, TMP_DIR=store.tmp, RESTORE_CMD=command)
    assert database.state() == before
    assert left(store) == []


def test_documents_that_were_never_restored_are_missed(database, store, dump, tmp_path):
    """As the tool does that is told of another database than that of the archive."""
    command = program(tmp_path, at_first('exec "$TOOL" "${@/#--nsInclude=*/--nsInclude=elsewhere.*}"'))
    database.db["customer"].delete_one({"_id": 1})
    before = database.state()
    with pytest.raises(RestoreError) as caught:
        database.restore(dump, TMP_DIR=store.tmp, RESTORE_CMD=command)
    assert f"1 of the 3 documents of {database.name}.customer" in str(caught.value)
    assert f"{database.name}.empty, {database.name}.names" in str(caught.value)
    assert str(caught.value).endswith("Database 'shop' is as it was.")
    assert database.state() == before


def test_index_that_is_not_there_afterwards(database, store, dump, tmp_path):
    command = program(tmp_path, at_first('exec "$TOOL" "$@" --noIndexRestore'))
    error = put_back(database, store, dump, RESTORE_CMD=command)
    assert f"the index by name of {database.name}.customer" in error
    assert f"the index customer_1_twice_-1 of {database.name}.purchase" in error


def test_unique_index_that_cannot_be_built(database, store, dump):
    parts = Parts.of(dump)
    parts.add("customer", {"_id": 9, "name": "Ann"})
    error = put_back(database, store, parts.dump())
    assert "E11000" in error
    assert "by name" in error


def test_two_documents_of_the_same_id(database, store, dump):
    parts = Parts.of(dump)
    parts.add("purchase", {"_id": 1, "twice": 1})
    assert "E11000" in put_back(database, store, parts.dump())


def test_exact_restore_that_fails_brings_back_what_was_removed(database, store, dump):
    parts = Parts.of(dump)
    parts.add("purchase", {"_id": 1, "twice": 1})
    put_back(database, store, parts.dump(), EXACT=True)


def test_options_that_the_server_refuses(database, store, dump):
    parts = Parts.of(dump)
    parts.change_metadata("purchase", options={"capped": True})
    error = put_back(database, store, parts.dump())
    assert f"{database.name}.purchase" in error
    assert "size" in error


def test_database_that_was_not_there_is_gone_again(make_database, database, store, dump):
    new = make_database(alias="new")
    parts = Parts.of(dump)
    parts.add("purchase", {"_id": 1, "twice": 1})
    with pytest.raises(RestoreError, match="database 'new' is as it was"):
        new.restore(parts.dump(), TMP_DIR=store.tmp)
    assert new.state() == {}
    with new.server.client() as client:
        assert new.name not in client.list_database_names()
    assert left(store) == []


def test_excluded_collections_are_put_back_too(database, store, dump, tmp_path):
    dump, line = half(dump)
    command = program(tmp_path, at_first(f"{line}; exit 1"))
    put_back(database, store, dump, RESTORE_CMD=command, EXCLUDE=["purchase"])


def test_pipes_of_a_backup_are_none_of_the_safety_dump(database, store, dump, tmp_path):
    dump, line = half(dump)
    command = program(tmp_path, at_first(f"{line}; exit 1"))
    put_back(database, store, dump, RESTORE_CMD=command, DUMP_SUFFIX="| tr a-z A-Z")


def test_command_says_so_and_ends_with_status_1(database, store, dump):
    parts = Parts.of(dump)
    parts.add("purchase", {"_id": 1, "twice": 1})
    before = database.state()
    run = restored(store, parts.dump())
    assert run.status == 1
    assert "The restore failed; the safety dump is put back." in run.err
    assert run.error.endswith("The safety dump was put back and verified: database 'shop' is as it was.")
    assert len(run.error.splitlines()) <= 4
    assert database.state() == before


# The safety dump.


@pytest.mark.parametrize("fails", [False, True], ids=["well", "failing"])
def test_safety_dump_is_for_its_owner_alone_and_goes(database, store, dump, tmp_path, fails):
    seen = tmp_path / "seen"
    before = database.dump()
    script = f'cp -a {shlex.quote(str(store.tmp))} {seen}\n{"exit 1" if fails else ""}\nexec "$TOOL" "$@"'
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"RESTORE_CMD": program(tmp_path, at_first(script))}}
    assert restored(store, dump).status == fails
    assert left(store) == []
    [path] = seen.glob("*/safety.archive.gz")
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    kept, now = Parts.of(gzip.decompress(path.read_bytes())), Parts.of(before)
    assert sorted(map(str, kept.blocks)) == sorted(map(str, now.blocks))


@pytest.mark.parametrize("by_setting", [False, True], ids=["flag", "setting"])
def test_restore_without_a_safety_dump_says_so_before_and_after(database, store, dump, tmp_path, by_setting):
    dump, line = half(dump)
    settings = {"RESTORE_CMD": program(tmp_path, f"ls -AR {shlex.quote(str(store.tmp))} > $HERE/seen; {line}; exit 1")}
    store.settings.DBBACKUP_CONNECTORS = {"shop": {**settings, **({"SAFETY_DUMP": False} if by_setting else {})}}
    run = restored(store, dump, *([] if by_setting else ["--no-safety-dump"]))
    assert run.status == 1
    assert HALF in run.err
    assert "put back" not in run.err + run.error
    assert run.error.endswith("There is no safety dump: database 'shop' may be half restored.")
    assert sorted(database.db["customer"].distinct("name")) == ["Ann", "Bob", "Schräub;"]
    assert database.db["purchase"].distinct("_id") == [1]
    assert "safety.archive.gz" not in (tmp_path / "seen").read_text()
    assert left(store) == []


def test_safety_dump_that_fails_changes_nothing(database, store, dump, tmp_path):
    before = database.state()
    command = program(tmp_path, "echo 'Failed: no mood' >&2; exit 1", "mongodump")
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"DUMP_CMD": command}}
    run = restored(store, dump)
    assert run.status == 1
    assert "What is there could not be dumped first, so nothing was changed: " in run.error
    assert "Failed: no mood" in run.error
    assert run.error.endswith("--no-safety-dump goes without that.")
    assert database.state() == before
    assert left(store) == []


def test_safety_dump_that_was_cut_changes_nothing(database, store, dump, tmp_path):
    before = database.state()
    command = program(tmp_path, 'set -o pipefail; "$TOOL" "$@" | head -c -30', "mongodump")
    with pytest.raises(RestoreError) as caught:
        database.restore(dump, TMP_DIR=store.tmp, DUMP_CMD=command)
    assert "nothing was changed: What mongodump wrote is not whole: it was cut" in str(caught.value)
    assert database.state() == before
    assert left(store) == []


# Putting back that fails.


def stuck(database: Database, store: Store, dump: bytes, **settings: object) -> tuple[str, Path]:
    """Return the error of a restore that cannot be put back, and where its safety dump is."""
    with pytest.raises(RestoreError) as caught:
        database.restore(dump, TMP_DIR=store.tmp, **settings)
    error = str(caught.value)
    assert "Putting the safety dump back failed as well, and database 'shop' is not as it was: " in error
    path = Path(re.findall(r"The safety dump is (.+)\. When", error)[0])
    assert path.is_absolute()
    assert path.parent.parent == store.tmp
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    return error, path


def loading_line(error: str, password: str) -> str:
    line = error.splitlines()[-2].partition("load it by: ")[2]
    assert password not in error
    return line


def typed(line: str, password: str) -> str:
    """Run a line at a terminal where the password is typed, and return what that shows."""
    terminal, its_end = os.openpty()
    with os.fdopen(terminal, "rb+", buffering=0) as screen:
        with subprocess.Popen(
            ["setsid", "--ctty", "--wait", "bash", "-o", "pipefail", "-c", line],
            stdin=its_end,
            stdout=its_end,
            stderr=its_end,
        ) as process:
            os.close(its_end)
            shown = b""
            while b"password" not in shown:
                shown += screen.read(1000)
            # It asks first and then hides what is typed.
            deadline = time.monotonic() + 60
            while termios.tcgetattr(terminal)[3] & termios.ECHO and time.monotonic() < deadline:
                time.sleep(0.01)
            screen.write(f"{password}\n".encode())
            with suppress(OSError):
                while more := screen.read(1000):
                    shown += more
        assert process.returncode == 0, shown
    return shown.decode(errors="replace")


@pytest.fixture
def failing(database: Database, store: Store, dump: bytes, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Return the error of a restore by a tool that always fails, and where its safety dump is."""
    dump, line = half(dump)
    expected = database.state()
    error, path = stuck(database, store, dump, RESTORE_CMD=program(tmp_path, f"{line}; exit 1"))
    assert database.state() != expected
    yield error, path
    assert path.exists()
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("by", ["terminal", "file"])
def test_line_of_the_error_loads_the_safety_dump(database, store, dump, tmp_path, by):
    expected = database.state()
    dump, half_line = half(dump)
    error, path = stuck(database, store, dump, RESTORE_CMD=program(tmp_path, f"{half_line}; exit 1"))
    password = database.server.owner.password
    line = loading_line(error, password)
    if by == "terminal":
        assert password.strip() not in typed(line, password)
    else:
        config = tmp_path / "password.yaml"
        config.touch(0o600)
        escaped = password.replace("\\", "\\\\").replace('"', '\\"')
        config.write_text(f'password: "{escaped}"\n', encoding="utf-8")
        subprocess.run(["bash", "-c", f"{line} --config={shlex.quote(str(config))}"], stdin=subprocess.DEVNULL,
            check=True)  # fmt: skip
    assert database.state() == expected
    shutil.rmtree(path.parent)


def test_next_restore_names_what_was_left(database, store, failing):
    error, path = failing
    run = restored(store, gzip.decompress(path.read_bytes()))
    assert run.status == 0
    assert "an earlier restore was killed, or could not put back what was there before. Load that by" in run.err
    assert str(path) in run.err
    line = loading_line(error, database.server.owner.password)
    assert line in run.err


def test_safety_dump_of_a_restore_that_still_runs_is_not_named(database, store, dump):
    """Nor is one that another database's restore has left."""
    login = database.connector()._login
    running = SafetyDump(login.key, store.tmp, "safety.archive.gz")
    running.write(io.BytesIO(dump))
    other = SafetyDump((*login.key[:-1], "another"), store.tmp, "safety.archive.gz")
    other.write(io.BytesIO(dump))
    other.release()
    try:
        connector = database.connector(TMP_DIR=store.tmp)
        connector.inspect_dump(PeekableReader(io.BytesIO(database.dump())))
        assert connector.preflight_restore() == []
        running.release()
        [warning] = connector.preflight_restore()
        assert str(running.path) in warning
        assert str(other.path) not in warning
    finally:
        running.discard()
        other.discard()
