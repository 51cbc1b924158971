"""The option file in the user's home: what of it counts, and who sees that home."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from dbbackup.db.exceptions import CommandConnectorError
from dbbackup.db.mysql.option_file import option_file
from tests.db.mysql.conftest import Database
from tests.db.mysql.test_secrets import telling
from tests.requirements import requires
from tests.servers.mariadb import Role

pytestmark = requires("mariadb")


@pytest.fixture
def table(database: Database) -> Database:
    database.sql("CREATE TABLE t (a text); INSERT INTO t VALUES (REPEAT('x', 100)), ('ä€')")
    return database


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


DISTURBING = """
[client]
user = nobody
password = another
host = nowhere.invalid
port = 1
[mysqldump]
where = 1 = 0
ignore-table = shop.t
skip-comments
nonsense
[mariadb-dump]
where = 1 = 0
[mysql]
nonsense
"""


def test_option_file_at_home_does_not_get_in_the_way(table: Database, home: Path):
    (home / ".my.cnf").write_text(DISTURBING)
    before = table.state()
    dump = table.dump()
    assert b"INSERT" in dump
    table.sql("DELETE FROM t")
    table.restore(dump)
    assert table.state() == before


def test_password_at_home_is_taken_where_the_settings_give_none(table: Database, home: Path):
    with pytest.raises(CommandConnectorError, match="ERROR 1045"):
        table.dump(PASSWORD="")
    owner = Role("owner", table.settings["PASSWORD"])
    written = option_file({"user": "nobody", "password": owner.password, "port": "1"})
    (home / ".my.cnf").write_text(written + DISTURBING.replace("password = another", ""))
    before = table.state()
    dump = table.dump(PASSWORD="")
    assert b"INSERT" in dump
    table.sql("DELETE FROM t")
    table.restore(dump, PASSWORD="")
    assert table.state() == before


def test_password_at_home_is_not_shown_either(table: Database, home: Path, tmp_path: Path):
    (home / ".my.cnf").write_text("[client]\npassword = hunter2222\n")
    with pytest.raises(CommandConnectorError) as caught:
        table.dump(PASSWORD="", **telling(table, tmp_path / "programs"))
    assert "hunter2222" not in f"{caught.value} {caught.value!r} {caught.value.stderr}"


def test_programs_of_a_suffix_have_the_user_s_home(table: Database, home: Path, tmp_path: Path):
    noted = tmp_path / "noted"
    line = f'| (echo "$HOME" >> {shlex.quote(str(noted))}; cat)'
    dump = table.dump(DUMP_SUFFIX=line, DUMP_PREFIX=f'echo "$HOME" >> {shlex.quote(str(noted))};')
    table.restore(dump, RESTORE_SUFFIX=line)
    assert noted.read_text().splitlines() == [str(home)] * 3
