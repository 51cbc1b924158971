"""Prefixes and suffixes: options, pipes and redirections around the programs, each part of which must succeed."""

from __future__ import annotations

import gzip
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dbbackup.db.exceptions import CommandConnectorError, DumpError
from dbbackup.exceptions import ConfigurationError
from tests.db.mysql.conftest import Database, MakeDatabase
from tests.db.mysql.wrapping import noting, wrapped
from tests.requirements import requires
from tests.servers.mariadb import quote
from tests.shop import Run, Store

pytestmark = requires("mariadb")

TABLE = (
    "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'nut'), (2, 'Schräubchen');"
    "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET NEW.b = COALESCE(NEW.b, 'none')"
)
COMPLETED = b"-- Dump completed"


@pytest.fixture
def table(make_database: MakeDatabase) -> Database:
    database = make_database(alias="shop")
    database.sql(TABLE)
    return database


class Backups:
    """Backups and restores of the table by the commands."""

    def __init__(self, store: Store, table: Database) -> None:
        self.store = store
        self.table = table

    def run(self, command: str, *args: str, **settings: Any) -> Run:
        self.store.settings.DBBACKUP_CONNECTORS = {"shop": settings}
        return self.store.run(command, *args)

    def backup(self, **settings: Any) -> None:
        assert (run := self.run("dbbackup", **settings)).status == 0, run.error

    def restore(self, *args: str, **settings: Any) -> None:
        assert (run := self.run("dbrestore", "--noinput", *args, **settings)).status == 0, run.error

    def stored(self) -> bytes:
        (path,) = (path for path in self.store.folder.iterdir() if path.suffix != ".metadata")
        return path.read_bytes()


@pytest.fixture
def backups(store: Store, table: Database) -> Iterator[Backups]:
    yield Backups(store, table)
    assert list(store.tmp.iterdir()) == []


# Prefixes.


def test_nice_really_runs(table: Database, tmp_path: Path):
    noted = {name: tmp_path / name for name in ("dump", "client")}
    bin_dir = table.server.bin_dir
    own = int(subprocess.run(["nice"], capture_output=True, check=True).stdout)
    settings = {
        "DUMP_CMD": wrapped(tmp_path / "d", bin_dir / "mariadb-dump", noting(noted["dump"], "nice")),
        "RESTORE_CMD": wrapped(tmp_path / "c", bin_dir / "mariadb", noting(noted["client"], "nice")),
    }
    dump = table.dump(**settings, DUMP_PREFIX="nice -n 5")
    assert [int(line) for line in noted["dump"].read_text().split()] == [own + 5]
    noted["client"].unlink()
    table.restore(dump, **settings, RESTORE_PREFIX="nice -n 7")
    assert own + 7 in [int(line) for line in noted["client"].read_text().split()]


def test_prefix_that_fails_is_the_failure(backups: Backups):
    for prefix in ("exit 3;", "no-such-program"):
        run = backups.run("dbbackup", DUMP_PREFIX=prefix)
        assert run.status == 1
        assert "Cannot dump database 'shop'" in run.error
        assert backups.store.stored() == []


# Options behind the programs.


def test_option_in_the_suffix_of_a_dump(backups: Backups):
    before = backups.table.state()
    backups.backup(DUMP_SUFFIX="--skip-triggers")
    assert b"CREATE" in backups.stored()
    assert b"TRIGGER" not in backups.stored()
    assert COMPLETED in backups.stored()
    backups.table.sql("DELETE FROM t; DROP TRIGGER x")
    backups.restore()
    assert backups.table.state()[1] == before[1]


@pytest.mark.parametrize("option", ["--skip-comments", "--compact"])
def test_option_that_takes_the_last_line_away_is_refused_and_named(backups: Backups, option: str):
    run = backups.run("dbbackup", DUMP_SUFFIX=option)
    assert run.status == 1
    assert "last line" in run.error
    assert option in run.error
    assert backups.store.stored() == []


def test_option_that_writes_elsewhere_is_no_backup(backups: Backups, tmp_path: Path):
    run = backups.run("dbbackup", DUMP_SUFFIX=f"--result-file={shlex.quote(str(tmp_path / 'a file'))}")
    assert run.status == 1
    assert "last line" in run.error
    assert backups.store.stored() == []


def test_option_that_no_program_knows_is_named(backups: Backups):
    run = backups.run("dbbackup", DUMP_SUFFIX="--no-such-option")
    assert run.status == 1
    assert "unknown option '--no-such-option'" in run.error
    assert backups.store.stored() == []
    backups.backup()
    before = backups.table.state()
    run = backups.run("dbrestore", "--noinput", RESTORE_SUFFIX="--no-such-option")
    assert run.status == 1
    assert "unknown option '--no-such-option'" in run.error
    assert backups.table.state() == before


def test_option_in_the_suffix_of_a_restore(backups: Backups, tmp_path: Path):
    backups.backup()
    before = backups.table.state()
    backups.table.sql("DELETE FROM t")
    log = tmp_path / "log"
    backups.restore(RESTORE_SUFFIX=f"--verbose > {shlex.quote(str(log))}")
    assert backups.table.state() == before
    assert "INSERT INTO `t`" in log.read_text()


def test_database_that_is_called_like_an_option(make_database: MakeDatabase):
    database = make_database("--version")
    database.sql(TABLE)
    before = database.state()
    for suffix in ("", "| cat"):
        dump = database.dump(DUMP_SUFFIX=suffix)
        assert COMPLETED in dump
        database.sql("DELETE FROM t")
        database.restore(dump)
        assert database.state() == before
    # Behind the two dashes that make it a name, no option is one.
    with pytest.raises(CommandConnectorError, match="--skip-triggers"):
        database.dump(DUMP_SUFFIX="--skip-triggers")


# Pipes.


def test_pipe_of_a_dump_and_its_way_back(backups: Backups):
    before = backups.table.state()
    backups.backup(DUMP_SUFFIX="| gzip")
    assert COMPLETED in gzip.decompress(backups.stored())
    # Without what undoes it, nothing is touched.
    run = backups.run("dbrestore", "--noinput")
    assert run.status == 1
    assert "gzip" in run.error
    assert backups.table.state() == before
    backups.table.sql("DELETE FROM t; CREATE TABLE more (a int)")
    backups.restore("--exact", DUMP_SUFFIX="| gzip", RESTORE_PREFIX="gunzip |")
    assert backups.table.state() == before


def test_verify_of_a_piped_dump_undoes_the_pipe(backups: Backups):
    backups.backup(DUMP_SUFFIX="| gzip")
    settings = {"DUMP_SUFFIX": "| gzip", "RESTORE_PREFIX": "gunzip |"}
    assert (run := backups.run("verifybackups", **settings)).status == 0, run.error


def test_pipe_with_options_before_it(backups: Backups):
    backups.backup(DUMP_SUFFIX="--skip-triggers | gzip -1")
    text = gzip.decompress(backups.stored())
    assert COMPLETED in text
    assert b"TRIGGER" not in text


def test_pipe_that_takes_the_last_line_away_is_the_user_s(backups: Backups):
    before = backups.table.state()
    backups.backup(DUMP_SUFFIX="| grep -v 'Dump completed'")
    assert COMPLETED not in backups.stored()
    backups.table.sql("DELETE FROM t")
    backups.restore(DUMP_SUFFIX="| grep -v 'Dump completed'")
    assert backups.table.state() == before
    # It is the manifest that knows, not the settings of today.
    backups.restore()
    assert backups.table.state() == before


def test_redirection_of_messages(backups: Backups, tmp_path: Path):
    noted = tmp_path / "it's noted"
    backups.backup(DUMP_SUFFIX=f"--verbose 2>> {shlex.quote(str(noted))}")
    assert "Retrieving table structure for table t" in noted.read_text()
    assert COMPLETED in backups.stored()


def test_pipe_of_a_restore(backups: Backups, tmp_path: Path):
    before = backups.table.state()
    backups.backup()
    backups.table.sql("DELETE FROM t")
    noted = tmp_path / "noted"
    backups.restore(RESTORE_PREFIX=f"tee {shlex.quote(str(noted))} |", RESTORE_SUFFIX="| cat > /dev/null")
    assert backups.table.state() == before
    assert COMPLETED in noted.read_bytes()


DUMPING: dict[str, tuple[dict[str, str], str]] = {
    "left": ({"DUMP_CMD": "{tmp}/dump", "DUMP_SUFFIX": "| cat"}, "status 7"),
    "left, behind a program that ends well": ({"DUMP_CMD": "{tmp}/dump", "DUMP_SUFFIX": "| gzip | cat"}, "status 7"),
    "right": ({"DUMP_SUFFIX": "| (cat; exit 4)"}, "status 4"),
    "middle": ({"DUMP_SUFFIX": "| (cat; exit 4) | cat"}, "status 4"),
    "right, at once": ({"DUMP_SUFFIX": "| false"}, "status 1"),
    "nobody": ({"DUMP_SUFFIX": "| no-such-program"}, "no-such-program"),
    "syntax": ({"DUMP_SUFFIX": "| ("}, "syntax error"),
}


@pytest.mark.parametrize("case", DUMPING)
def test_backup_fails_where_any_part_of_the_pipe_does(backups: Backups, tmp_path: Path, case: str):
    settings, words = DUMPING[case]
    dump = shlex.quote(str(backups.table.server.bin_dir / "mariadb-dump"))
    wrapped(tmp_path / "dump", backups.table.server.bin_dir / "mariadb-dump", f'{dump} "$@"; exit 7')
    run = backups.run("dbbackup", **{key: value.format(tmp=tmp_path) for key, value in settings.items()})
    assert run.status == 1
    assert words in run.error
    assert backups.store.stored() == []


RESTORING: dict[str, dict[str, str]] = {
    "left": {"RESTORE_PREFIX": "(cat; exit 5) |"},
    "left, half way": {"RESTORE_PREFIX": "(head -c 1200; exit 5) |"},
    "left, nothing": {"RESTORE_PREFIX": "false |"},
    "right": {"RESTORE_SUFFIX": "| (cat; exit 5)"},
    "right, in the middle": {"RESTORE_SUFFIX": "| (cat; exit 5) | cat"},
    "after": {"RESTORE_SUFFIX": "; exit 5"},
    "nobody": {"RESTORE_SUFFIX": "| no-such-program"},
}


@pytest.mark.parametrize("case", RESTORING)
def test_restore_is_put_back_where_any_part_of_the_pipe_fails(backups: Backups, case: str):
    backups.backup()
    backups.table.sql("UPDATE t SET b = 'another'; CREATE TABLE more (a int)")
    before = backups.table.state()
    run = backups.run("dbrestore", "--noinput", **RESTORING[case])
    assert run.status == 1
    assert "Cannot restore database 'shop'" in run.error
    assert backups.table.state() == before
    if case in {"right", "after"}:
        assert "was put back and verified" in run.error


@pytest.mark.parametrize("prefix", ["exit 5;", "false &&", "no-such-program"])
def test_restore_is_put_back_without_the_prefix_that_failed(backups: Backups, prefix: str):
    backups.backup()
    backups.table.sql("UPDATE t SET b = 'another'")
    before = backups.table.state()
    run = backups.run("dbrestore", "--noinput", "--exact", RESTORE_PREFIX=prefix)
    assert run.status == 1
    assert "was put back and verified" in run.error
    assert backups.table.state() == before


def test_dump_that_a_pipe_cuts_is_not_published(table: Database):
    with pytest.raises(CommandConnectorError):
        # The dump program finds its reader gone.
        table.dump(DUMP_SUFFIX="--max-allowed-packet=1M | head -c 100 > /dev/full")


# What stands in settings is never a command, but in a prefix or suffix.

NAMES = [
    "$(touch {0})",
    "`touch {0}`",
    "; touch {0};",
    "' ; touch {0}; '",
    '" ; touch {0} "',
    "| touch {0}",
    "a\n touch {0}",
]


@pytest.mark.parametrize("number", range(len(NAMES)))
@pytest.mark.parametrize(
    "shell", [{}, {"DUMP_SUFFIX": "| cat", "RESTORE_SUFFIX": "| cat"}], ids=["alone", "in a shell"]
)
def test_names_are_never_run(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, shell: dict[str, str]
):
    monkeypatch.chdir(tmp_path)
    name = NAMES[number].format("ran")
    database = make_database(name)
    table = quote(name)
    database.sql(f"CREATE TABLE {table} (a int); CREATE TABLE kept (a int); INSERT INTO {table} VALUES (1)")
    before = database.state()
    dump = database.dump(**shell, EXCLUDE=[name])
    assert b"kept" in dump
    assert b"INSERT" not in dump
    database.sql("DROP TABLE kept")
    database.restore(dump, **shell)
    assert database.state() == before
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["HOST", "USER", "PORT", "PASSWORD"])
def test_login_is_never_run(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str):
    monkeypatch.chdir(tmp_path)
    for value in ("$(touch ran)", "`touch ran`", "; touch ran;"):
        with pytest.raises((CommandConnectorError, ConfigurationError, DumpError)):
            database.dump(DUMP_SUFFIX="| cat", **{key: value})
    assert not (tmp_path / "ran").exists()
    # The positive control.
    database.dump(DUMP_SUFFIX="; touch ran")
    assert (tmp_path / "ran").exists()
