"""Which variables the programs have: those of the settings, of each direction, and of the parent or not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dbbackup.db.exceptions import CommandConnectorError, RestoreError
from dbbackup.exceptions import ProgramNotFound
from tests.db.mysql.conftest import Database
from tests.db.mysql.wrapping import noting, wrapped
from tests.requirements import requires

pytestmark = requires("mariadb")

NAMES = ("ENV_ONE", "DUMP_ONE", "RESTORE_ONE", "PARENT_ONE", "BOTH")


class Wrapped:
    """The dump program and the client, each of which notes the variables that it has."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._files = {name: folder / f"{name}.noted" for name in ("dump", "client")}
        print_names = f'echo "{"/".join(f"${{{name}-none}}" for name in NAMES)}"'
        bin_dir = database.server.bin_dir
        line = {name: noting(file, print_names) for name, file in self._files.items()}
        self.settings = {
            "DUMP_CMD": wrapped(folder / "my dump", bin_dir / "mariadb-dump", line["dump"]),
            "RESTORE_CMD": wrapped(folder / "my client", bin_dir / "mariadb", line["client"]),
        }

    def noted(self, program: str) -> list[str]:
        """Return what each run of a program had since the last look."""
        file = self._files[program]
        found = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return found


@pytest.fixture
def programs(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wrapped:
    monkeypatch.setenv("PARENT_ONE", "parent")
    monkeypatch.setenv("BOTH", "parent")
    database.sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    return Wrapped(database, tmp_path / "wrapped programs")


SETTINGS: dict[str, Any] = {
    "ENV": {"ENV_ONE": "env", "BOTH": "env"},
    "DUMP_ENV": {"DUMP_ONE": "it's $(a) dump", "BOTH": "dump"},
    "RESTORE_ENV": {"RESTORE_ONE": "restore", "BOTH": "restore"},
}
OF_DUMP = "env/it's $(a) dump/none/parent/dump"
OF_RESTORE = "env/none/restore/parent/restore"
OF_DUMP_ALONE = OF_DUMP.replace("parent", "none")


SHELL = {"DUMP_PREFIX": "env X=1", "DUMP_SUFFIX": "| cat", "RESTORE_SUFFIX": "| cat"}


@pytest.mark.parametrize("shell", [{}, SHELL], ids=["alone", "in a shell"])
def test_each_direction_has_its_own(database: Database, programs: Wrapped, shell: dict[str, str]):
    dump = database.dump(**programs.settings, **SETTINGS, **shell)
    assert programs.noted("dump") == [OF_DUMP]
    assert set(programs.noted("client")) == {OF_DUMP}
    database.restore(dump, **programs.settings, **SETTINGS, **shell)
    # The safety dump is a dump.
    assert programs.noted("dump") == [OF_DUMP]
    assert set(programs.noted("client")) == {OF_RESTORE}


def test_safety_dump_that_is_compared_has_those_of_a_dump(database: Database, programs: Wrapped):
    before = database.state()
    with pytest.raises(RestoreError, match="put back and verified"):
        database.restore(b"DROP TABLE t;\nSELEC 1;\n", **programs.settings, **SETTINGS)
    assert programs.noted("dump") == [OF_DUMP, OF_DUMP]
    assert set(programs.noted("client")) == {OF_RESTORE}
    assert database.state() == before


def test_without_the_parent_s(database: Database, programs: Wrapped):
    settings = {**programs.settings, **SETTINGS, "USE_PARENT_ENV": False}
    path = {"PATH": os.defpath}
    dump = database.dump(**{**settings, "ENV": {**settings["ENV"], **path}})
    assert programs.noted("dump") == [OF_DUMP_ALONE]
    assert set(programs.noted("client")) == {OF_DUMP_ALONE}
    database.restore(dump, **{**settings, "ENV": {**settings["ENV"], **path}})
    assert programs.noted("dump") == [OF_DUMP_ALONE]
    assert set(programs.noted("client")) == {"env/none/restore/none/restore"}


def test_programs_are_found_without_a_path(database: Database, programs: Wrapped):
    # Nobody needs to give one for programs that are where they usually are.
    assert b"-- Dump completed" in database.dump(USE_PARENT_ENV=False)


def test_programs_are_looked_for_on_the_path_of_the_settings(database: Database, tmp_path: Path):
    folder = tmp_path / "bin"
    noted = tmp_path / "noted"
    for name in ("mariadb-dump", "mariadb"):
        wrapped(folder / name, database.server.bin_dir / name, noting(noted, f"echo {name}"))
    path = f"{folder}:/usr/bin:/bin"
    dump = database.dump(DUMP_ENV={"PATH": path})
    assert set(noted.read_text().split()) == {"mariadb-dump", "mariadb"}
    noted.unlink()
    database.restore(dump)
    assert not noted.exists()
    database.restore(dump, RESTORE_ENV={"PATH": path})
    assert set(noted.read_text().split()) >= {"mariadb"}
    with pytest.raises(ProgramNotFound, match=r"mariadb.*RESTORE_CMD|RESTORE_CMD.*mariadb"):
        database.dump(ENV={"PATH": str(tmp_path / "empty")})


def test_home_and_files_of_the_settings_environment_reach_the_user_s_programs_alone(database: Database, tmp_path: Path):
    home = tmp_path / "a home"
    home.mkdir()
    noted = tmp_path / "noted"
    database.dump(ENV={"HOME": str(home)}, DUMP_SUFFIX=f"| (echo $HOME > '{noted}'; cat)")
    assert noted.read_text().strip() == str(home)
    # A home with an option file that would break the dump does not.
    (home / ".my.cnf").write_text("[mariadb-dump]\nnonsense\n[client]\nuser=nobody\n")
    assert b"-- Dump completed" in database.dump(ENV={"HOME": str(home)})


def test_variables_that_programs_of_mysql_read_are_the_user_s_choice(database: Database):
    # MYSQL_TCP_PORT and the like are defaults, before which the settings go.
    wrong = {
        "MYSQL_TCP_PORT": "1",
        "MYSQL_HOST": "nowhere.invalid",
        "MYSQL_UNIX_PORT": "/nowhere",
        "MYSQL_PWD": "wrong",
    }
    assert b"-- Dump completed" in database.dump(ENV=wrong)
    with pytest.raises(CommandConnectorError, match="ERROR 1045"):
        database.dump(PASSWORD="wrong", ENV=wrong)
