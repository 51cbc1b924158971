"""Finding the programs: by setting, in versioned folders, on PATH; and what is no such program."""

from __future__ import annotations

import shlex
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from dbbackup.db import programs as asking
from dbbackup.db.exceptions import DumpError
from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector, tools
from dbbackup.db.postgresql.tools import Tool, find_tool, identify, newest_tool
from dbbackup.exceptions import ConfigurationError, ProgramNotFound
from tests.db.postgresql.conftest import Database, MakeDatabase
from tests.db.postgresql.formats import both_formats
from tests.requirements import requires
from tests.servers import programs
from tests.servers.postgresql import Cluster
from tests.shop import Store


@pytest.fixture
def versioned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that takes the place of those where distributions keep each version."""
    folder = tmp_path / "versions"
    monkeypatch.setattr(tools, "_VERSIONED", (f"{folder}/*/bin",))
    return folder


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "on PATH"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"/nowhere:{folder}:/bin:/usr/bin")
    return folder


def program(folder: Path, says: str, name: str = "pg_dump", then: str = "") -> str:
    """Make a program that answers to --version."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {shlex.quote(says)}\n{then}\n")
    path.chmod(0o755)
    return str(path)


def installed(versioned: Path, *versions: str, name: str = "pg_dump") -> None:
    for version in versions:
        program(versioned / version / "bin", f"{name} (PostgreSQL) {version}", name)


@pytest.mark.parametrize(
    ("says", "version", "major", "minor"),
    [
        ("pg_dump (PostgreSQL) 16.3", "16.3", 16, 3),
        ("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "15.18", 15, 18),
        ("pg_dump (PostgreSQL) 17beta1", "17beta1", 17, 0),
        ("pg_dump (PostgreSQL) 18devel", "18devel", 18, 0),
        ("pg_dump (PostgreSQL) 9.6.24", "9.6.24", 9, 6),
        ("pg_dump (EnterpriseDB) 15.2.0 (Debian 15.2.0-1.bullseye)", "15.2.0", 15, 2),
        ("pg_dump (PostgreSQL) 14.1 (EnterpriseDB Advanced Server 14.1.0)", "14.1", 14, 1),
        ("a notice of the wrapper's\npg_dump (PostgreSQL) 16.3", "16.3", 16, 3),
    ],
)
def test_versions(tmp_path: Path, says: str, version: str, major: int, minor: int):
    path = program(tmp_path, says)
    assert identify(path, "pg_dump") == Tool(path, version, major, minor)
    assert str(identify(path, "pg_dump")) == f"{version} ({path})"


@pytest.mark.parametrize("given", ["false", "true", "cat", "printf", "/bin/false"])
def test_program_of_another_kind_is_named(given: str):
    with pytest.raises(ConfigurationError, match=rf"{given} --version .* no pg_dump"):
        find_tool("pg_dump", given)


def test_program_of_the_same_kind_but_another_name(tmp_path: Path):
    for says in ("psql (PostgreSQL) 16.3", "pg_dumpall (PostgreSQL) 16.3", "pg_dump from 16", ""):
        with pytest.raises(ConfigurationError, match="so it is no pg_dump"):
            identify(program(tmp_path, says), "pg_dump")


def test_program_that_is_not_there_is_named_with_its_setting():
    for name, setting in [("pg_dump", "DUMP_CMD"), ("pg_restore", "RESTORE_CMD"), ("psql", "PSQL_CMD")]:
        with pytest.raises(ProgramNotFound, match=f"{setting}.*'no such'"):
            find_tool(name, "no such")


def test_given_program_is_taken_whatever_is_wanted(versioned: Path, on_path: Path, tmp_path: Path):
    installed(versioned, "17.1")
    path = program(tmp_path / "mine", "pg_dump (PostgreSQL) 12.1")
    assert find_tool("pg_dump", path, wanted=17, at_least=16).path == path
    program(on_path, "pg_dump (PostgreSQL) 13.1", "pg_dump-mine")
    assert find_tool("pg_dump", "pg_dump-mine", wanted=17).version == "13.1"
    assert find_tool("pg_dump", "pg_dump-mine", path=str(on_path)).version == "13.1"
    with pytest.raises(ProgramNotFound):
        find_tool("pg_dump", "pg_dump-mine", path="/bin")


def test_version_of_the_server_goes_before_the_newest(versioned: Path, on_path: Path):
    installed(versioned, "9.6.24", "15.2", "15.10", "17.1", "16.3")
    assert find_tool("pg_dump", wanted=15).version == "15.10"
    assert find_tool("pg_dump").version == "17.1"
    assert find_tool("pg_dump", wanted=14).version == "17.1"
    assert find_tool("pg_dump", wanted=15, at_least=16).version == "17.1"
    assert find_tool("pg_dump", wanted=16, at_least=16).version == "16.3"


def test_versioned_folders_go_before_path(versioned: Path, on_path: Path):
    installed(versioned, "15.2")
    program(on_path, "pg_dump (PostgreSQL) 15.9")
    assert find_tool("pg_dump", wanted=15).version == "15.2"
    assert find_tool("pg_dump").version == "15.2"


def test_path_is_looked_through_when_the_folders_do_not_suit(versioned: Path, on_path: Path):
    installed(versioned, "15.2")
    path = program(on_path, "pg_dump (PostgreSQL) 17.0")
    assert find_tool("pg_dump", wanted=17).path == path
    assert find_tool("pg_dump", wanted=16).path == path
    newest = newest_tool("pg_dump")
    assert newest is not None
    assert newest.version == "15.2"


def test_path_of_the_settings_is_the_one(versioned: Path, on_path: Path, tmp_path: Path):
    program(on_path, "pg_dump (PostgreSQL) 15.1")
    path = program(tmp_path / "other", "pg_dump (PostgreSQL) 15.0")
    assert find_tool("pg_dump", path=str(tmp_path / "other")).path == path


def test_broken_programs_are_passed_over(versioned: Path, on_path: Path, tmp_path: Path):
    installed(versioned, "14.0")
    for number, (says, then) in enumerate([("pg_dump (PostgreSQL) 99.0", "exit 1"), ("nothing", ""), ("", "kill $$")]):
        program(versioned / f"broken{number}" / "bin", says, then=then)
    (versioned / "empty" / "bin" / "pg_dump").mkdir(parents=True)
    Path(program(versioned / "unreadable" / "bin", "pg_dump (PostgreSQL) 98.0")).chmod(0o600)
    wrong = versioned / "architecture" / "bin"
    wrong.mkdir(parents=True)
    (wrong / "pg_dump").write_bytes(b"\x7fELF of another machine")
    (wrong / "pg_dump").chmod(0o755)
    assert find_tool("pg_dump").version == "14.0"
    with pytest.raises((ConfigurationError, ProgramNotFound), match="pg_dump"):
        find_tool("pg_dump", str(wrong / "pg_dump"))


@pytest.mark.parametrize(
    ("then", "reason"),
    [("exec sleep 100", "took more than 0.3 s"), ("exec yes", "does not end")],
    ids=["hangs", "raves"],
)
def test_program_that_does_not_come_to_an_end_is_passed_over(
    versioned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str, reason: str
):
    installed(versioned, "14.0")
    path = program(versioned / "99" / "bin", "pg_dump (PostgreSQL) 99.0", then=then)
    # Asked while there is time for it, and not again.
    identify(str(versioned / "14.0" / "bin" / "pg_dump"), "pg_dump")
    monkeypatch.setattr(asking, "ANSWER_TIME", 0.3 if "more" in reason else 60)
    with pytest.raises(ConfigurationError, match=f"so it is no pg_dump: its --version {reason}"):
        find_tool("pg_dump", path)
    assert find_tool("pg_dump").version == "14.0"


def test_nothing_there_names_package_and_setting(versioned: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ProgramNotFound, match=r"'pg_dump' was not found.*postgresql-client-16 .*DUMP_CMD"):
        find_tool("pg_dump", wanted=16)
    with pytest.raises(ProgramNotFound, match=r"'psql' was not found.*client programs.*PSQL_CMD"):
        find_tool("psql")
    installed(versioned, "15.1", name="pg_restore")
    with pytest.raises(
        ProgramNotFound, match=r"pg_restore 17 or newer.*newest here is 15.1.*postgresql-client-17 .*RESTORE_CMD"
    ):
        find_tool("pg_restore", wanted=15, at_least=17)


@pytest.mark.parametrize(
    ("version", "knows"),
    [
        ("12.22", False), ("13.21", False), ("13.22", True), ("15.13", False), ("15.14", True), ("16.9", False),
        ("16.10", True), ("17beta1", False), ("17.5", False), ("17.6", True), ("18.0", True), ("19devel", True),
    ],
)  # fmt: skip
def test_psql_that_knows_restrict(tmp_path: Path, version: str, knows: bool):
    assert identify(program(tmp_path, f"psql (PostgreSQL) {version}", "psql"), "psql").knows_restrict is knows


# On this machine.


@requires("postgresql")
@pytest.mark.parametrize("name", ["pg_dump", "pg_restore", "psql"])
def test_wrapper_is_not_taken_where_the_program_is(name: str):
    found = find_tool(name)
    assert found.path.startswith("/usr/lib/postgresql/")
    said = subprocess.run([found.path, "--version"], capture_output=True, text=True, check=True).stdout
    assert f"(PostgreSQL) {found.version}" in said


@requires("postgresql", "postgresql:newer")
def test_newer_programs_on_path(postgres: Cluster, newer_postgres: Cluster, monkeypatch: pytest.MonkeyPatch):
    path = f"{newer_postgres.bin_dir}:/bin"
    assert find_tool("pg_dump", wanted=17, path=path).path == str(newer_postgres.bin_dir / "pg_dump")
    assert find_tool("pg_dump", wanted=15, path=path).path == str(postgres.bin_dir / "pg_dump")


@requires("postgresql", "postgresql:newer")
def test_newer_server_finds_its_programs_by_the_path_of_the_settings(
    newer_postgres: Cluster, make_database: MakeDatabase
):
    database = make_database(cluster=newer_postgres)
    database.psql("CREATE TABLE t (a int)")
    with pytest.raises((DumpError, ProgramNotFound), match=r"17\.10[\s\S]*15\.[\s\S]*postgresql-client-17.*DUMP_CMD"):
        database.dump()
    connector = database.connector(ENV={"PATH": f"{newer_postgres.bin_dir}:/bin"})
    connector.preflight_dump()
    assert connector.tool_versions()["pg_dump"] == f"17.10 ({newer_postgres.bin_dir}/pg_dump)"
    with connector.create_dump() as dump:
        assert dump.read(5) == b"PGDMP"


@requires("postgresql")
def test_programs_of_the_settings_are_the_ones_that_run(postgres: Cluster, database: Database, tmp_path: Path):
    database.psql("CREATE TABLE t (a int)")
    log = tmp_path / "log"
    given: dict[str, Any] = {}
    for name, setting in [("pg_dump", "DUMP_CMD"), ("pg_restore", "RESTORE_CMD"), ("psql", "PSQL_CMD")]:
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho {name} >> {log}\nexec {postgres.bin_dir}/{name} "$@"\n')
        path.chmod(0o755)
        given[setting] = str(path)
    database.restore(database.dump(**given), **given)
    assert {"pg_dump", "pg_restore", "psql"} == set(log.read_text().split())
    log.unlink()
    # There the program that restores is psql, as it was in django-dbbackup.
    sql = database.dump(PgDumpConnector)
    database.restore(sql, PgDumpConnector, RESTORE_CMD=given["PSQL_CMD"])
    assert {"psql"} == set(log.read_text().split())
    log.unlink()
    database.restore(database.dump(), PgDumpConnector, RESTORE_CMD=given["PSQL_CMD"])
    assert {"psql"} == set(log.read_text().split())


OTHERS = ["/bin/false", "/bin/cat", "/no/such"]


@requires("postgresql")
def test_dump_with_a_program_of_another_kind(store: Store, make_database: MakeDatabase):
    make_database(alias="shop")
    for setting, given in product(["DUMP_CMD", "PSQL_CMD"], OTHERS):
        store.settings.DBBACKUP_CONNECTORS = {"shop": {setting: given}}
        run = store.run("dbbackup")
        assert (run.status, given in run.error) == (1, True), (setting, given)
    assert store.stored() == []


@requires("postgresql")
def test_restore_with_a_program_of_another_kind(store: Store, make_database: MakeDatabase):
    database = make_database(alias="shop")
    database.psql("CREATE TABLE t (a int)")
    store.backup()
    database.psql("INSERT INTO t VALUES (1)")
    before = database.state()
    for setting, given in product(["RESTORE_CMD", "PSQL_CMD"], OTHERS):
        store.settings.DBBACKUP_CONNECTORS = {"shop": {setting: given}}
        run = store.run("dbrestore", "--noinput")
        assert (run.status, given in run.error) == (1, True), (setting, given)
    assert database.state() == before


@requires("postgresql")
@both_formats
def test_chosen_programs_are_reported(store: Store, make_database: MakeDatabase, cls: type):
    make_database(alias="shop", CONNECTOR=f"dbbackup.db.postgresql.{cls.__name__}")
    folder = programs.debian_bin()
    run = store.run("dbbackup", verbosity=2)
    assert f"{folder}/pg_dump" in run.out + run.err
    (name,) = (name.removesuffix(".metadata") for name in store.stored() if name.endswith(".metadata"))
    assert f"{folder}/pg_dump" in str(store.manifest(name))
    run = store.run("dbrestore", "--noinput", verbosity=2)
    program = "pg_restore" if cls is PgDumpBinaryConnector else "psql"
    assert f"{folder}/{program}" in run.out + run.err
