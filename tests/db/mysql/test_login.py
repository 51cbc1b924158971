"""How the programs log in: what Django tells its driver, files of the user's, passwords of every kind."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dbbackup.db.mysql import login as login_module
from dbbackup.db.mysql.login import Login
from dbbackup.db.mysql.option_file import option_file, read_groups
from dbbackup.db.mysql.tools import Tool, find_client, find_dump_tool
from dbbackup.exceptions import ConfigurationError
from tests.db.mysql.fake_tools import MARIADB, MARIADB_DUMP, MYSQL, MYSQLDUMP, MYSQLDUMP_5
from tests.requirements import requires
from tests.servers.mariadb import MariaDB, Role, literal, quote


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., dict[str, str | None]]:
    """Return what a program is told: settings, tool -> the options in the file."""

    def read(settings: Mapping[str, Any], tool: Tool = MARIADB_DUMP, **files: Any) -> dict[str, str | None]:
        path = tmp_path / "written.cnf"
        path.write_text(Login.from_settings({"NAME": "db", **settings}).option_file(tool, **files))
        return read_groups(path, ["client"])

    return read


Written = Callable[..., dict[str, str | None]]
UNVERIFIED = {"ssl": None, "skip-ssl-verify-server-cert": None}
PLAIN = {"host": "localhost", "default-character-set": "utf8mb4", **UNVERIFIED}


# Who and where.


def test_settings(written: Written):
    login = Login.from_settings({"NAME": "db", "USER": "me", "PASSWORD": "se cret", "HOST": "h", "PORT": 3307})
    assert login == Login("db", "me", "se cret", "h", "3307", secrets=("se cret",))
    assert "cret" not in repr(login)
    told = written({"USER": "me", "PASSWORD": "se cret", "HOST": "h", "PORT": "3307"})
    assert told == {**PLAIN, "user": "me", "password": "se cret", "host": "h", "port": "3307"}


def test_host_may_be_a_socket(written: Written):
    assert written({"HOST": "/run/my sql/s"}) == {**PLAIN, "socket": "/run/my sql/s"}
    assert written({"HOST": "h", "OPTIONS": {"unix_socket": "/s"}}) == {**PLAIN, "host": "h", "socket": "/s"}
    assert written({"OPTIONS": {"host": "/t"}}) == {**PLAIN, "socket": "/t"}


def test_empty_settings_are_the_driver_s(written: Written):
    assert written({"USER": "", "PASSWORD": "", "HOST": "", "PORT": "", "OPTIONS": {}}) == PLAIN
    assert written({"OPTIONS": None}) == PLAIN


@pytest.mark.parametrize("names", [("db", "passwd"), ("database", "password")])
def test_options_go_before_the_settings(names: tuple[str, str]):
    database, password = names
    options = {database: "other", "user": "you", password: "theirs", "host": "elsewhere", "port": 1}
    settings = {"NAME": "db", "USER": "me", "PASSWORD": "mine", "HOST": "h", "PORT": "2", "OPTIONS": options}
    login = Login.from_settings(settings)
    assert (login.database, login.user, login.password) == ("other", "you", "theirs")
    assert (login.host, login.port, login.socket) == ("elsewhere", "1", "")
    assert login.secrets == ("theirs", "mine")
    assert not any(secret in repr(login) for secret in login.secrets)


def test_password_may_be_bytes():
    # PyMySQL's way to have others than Latin-1.
    assert Login.from_settings({"NAME": "db", "OPTIONS": {"password": "pä€".encode()}}).password == "pä€"


@pytest.mark.parametrize("settings", [{}, {"NAME": ""}, {"NAME": None}, {"NAME": "", "OPTIONS": {"user": "x"}}])
def test_database_without_a_name(settings: dict[str, Any]):
    with pytest.raises(ConfigurationError, match="no NAME"):
        Login.from_settings(settings)


def test_by_hand():
    login = Login.from_settings({"NAME": "my db", "USER": "o'me", "PASSWORD": "secret", "HOST": "h", "PORT": 1})
    words = shlex.split(login.by_hand())
    assert words == ["--host=h", "--port=1", "--user=o'me", "--password", "--database=my db"]
    assert "secret" not in login.by_hand()
    assert Login.from_settings({"NAME": "db", "HOST": "/s"}).by_hand() == "--socket=/s --database=db"


# What else the driver may be told.


def test_character_set_holds_every_character(written: Written):
    for charset, told in [("utf8", "utf8mb4"), ("latin1", "utf8mb4"), ("utf8mb4", "utf8mb4"), ("binary", "binary")]:
        assert written({"OPTIONS": {"charset": charset}})["default-character-set"] == told


def test_option_is_written_only_for_a_program_that_knows_it(written: Written):
    options = {"connect_timeout": 5, "compress": True, "auth_plugin": "ed25519", "init_command": "SELECT 1"}
    told = {
        tool: written({"OPTIONS": options}, tool) for tool in [MARIADB_DUMP, MARIADB, MYSQLDUMP, MYSQL, MYSQLDUMP_5]
    }
    assert [tool.name for tool in told if "connect-timeout" in told[tool]] == ["mariadb", "mysql"]
    assert all(told[tool]["default-auth"] == "ed25519" for tool in told)
    assert told[MYSQL]["connect-timeout"] == "5"
    assert [tool.version for tool in told if "compress" in told[tool]] == [
        "10.11.19-MariaDB",
        "11.4.5-MariaDB",
        "5.7.44",
    ]
    assert told[MYSQL]["compression-algorithms"] == "zlib,uncompressed"
    assert "compress" not in written({"OPTIONS": {"compress": False}})


# Option files of the user's.


def test_default_file(written: Written, tmp_path: Path):
    path = tmp_path / "their.cnf"
    # As Django's documentation has it, and what the dump programs would stumble over.
    path.write_text(
        "[client]\ndatabase = NAME\nuser = USER\npassword = 'PASS#WORD'\ndefault-character-set = utf8\n"
        "connect_timeout=7\nssl-mode=REQUIRED\n[mysqldump]\nno-data\n[web]\nport=1\n"
    )
    login = Login.from_settings({"OPTIONS": {"read_default_file": str(path)}})
    assert (login.database, login.user, login.password, login.secrets) == ("NAME", "USER", "PASS#WORD", ("PASS#WORD",))
    assert "PASS" not in repr(login)
    expected = {"user": "USER", "password": "PASS#WORD", "host": "localhost", "default-character-set": "utf8mb4"}
    options = {"read_default_file": str(path)}
    assert written({"OPTIONS": options}, MARIADB_DUMP) == {**expected, **UNVERIFIED}
    assert written({"OPTIONS": options}, MYSQL) == {**expected, "connect-timeout": "7", "ssl-mode": "REQUIRED"}
    told = written({"USER": "me", "OPTIONS": {**options, "read_default_group": "web", "password": "mine"}})
    assert told == {**expected, **UNVERIFIED, "user": "me", "password": "mine", "port": "1"}


def test_bare_names_in_the_default_file(written: Written, tmp_path: Path):
    path = tmp_path / "their.cnf"
    path.write_text("[client]\npassword\nprotocol=tcp\nplugin_dir=/p\nenable-cleartext-plugin\ncompress\n")
    told = written({"OPTIONS": {"read_default_file": str(path)}}, MYSQL)
    # A bare password would ask at a terminal.
    assert "password" not in told
    assert (told["protocol"], told["plugin-dir"], told["enable-cleartext-plugin"]) == ("tcp", "/p", "1")
    assert "compression-algorithms" in told


def test_place_of_the_default_file(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    machine = tmp_path / "etc"
    machine.mkdir()
    monkeypatch.setattr(login_module, "_SYSTEM_FOLDERS", (tmp_path / "nothing", machine))

    def user(**options: str) -> str:
        return Login.from_settings({"NAME": "db", "OPTIONS": options}).user

    for path, given in [(home / "x.cnf", "~/x.cnf"), (tmp_path / "x.cnf", "x.cnf"), (machine / "y.cnf", "y.cnf")]:
        path.write_text(f"[client]\nuser={given}\n")
        assert user(read_default_file=given) == given
    # Without a file, the driver looks where it always does.
    (machine / "my.cnf").write_text("[web]\nuser=machine\n")
    assert user(read_default_group="web") == "machine"
    (home / ".my.cnf").write_text("[web]\nuser=mine\n")
    assert user(read_default_group="web") == "mine"
    assert user(read_default_group="other") == ""


def test_default_file_that_cannot_be_read(tmp_path: Path):
    path = tmp_path / "their.cnf"
    settings = {"NAME": "db", "OPTIONS": {"read_default_file": str(path)}}
    with pytest.raises(ConfigurationError, match=r"not there: .*/their\.cnf"):
        Login.from_settings(settings)
    path.write_text("[client]\n")
    path.chmod(0o666)
    with pytest.raises(ConfigurationError, match=r"Everybody may write .*/their\.cnf"):
        Login.from_settings(settings)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigurationError, match=r"not there: .*/their\.cnf"):
        Login.from_settings(settings)


def test_password_at_home_counts_where_the_settings_have_none(written: Written, home: Path, tmp_path: Path):
    (home / ".my.cnf").write_text("[client]\nuser=mine\npassword=at home\nhost=other\nport=9\n[mysqldump]\nno-data\n")
    assert written({}) == {**PLAIN, "user": "mine", "password": "at home"}
    assert written({"USER": "me", "HOST": "h"}) == {
        **PLAIN,
        "user": "me",
        "password": "at home",
        "host": "h",
        "port": "3306",
    }
    assert written({"PASSWORD": "given"}) == {**PLAIN, "password": "given"}
    file = tmp_path / "their.cnf"
    file.write_text("[client]\nuser=theirs\n")
    assert written({"OPTIONS": {"read_default_file": str(file)}}) == {**PLAIN, "user": "theirs"}
    assert written({}, home=tmp_path) == PLAIN


def test_password_at_home_may_be_of_one_program(written: Written, home: Path):
    (home / ".my.cnf").write_text("[mysqldump]\npassword=d\n[mysql]\npassword=c\n[mysqld]\npassword=s\n")
    assert [written({}, tool)["password"] for tool in [MARIADB_DUMP, MYSQLDUMP, MARIADB, MYSQL]] == ["d", "d", "c", "c"]


# Real users.

PASSWORDS = [
    "plain", "a#b", " spaces at both ends ", "it's", 'say "x"', "back\\slash\\", "\\n is no newline", "two\nlines\r\n",
    "tab\there", "\x01\b\v\f\x1b\x7f", "üñí€\u2028😀", "à", "[client]\nuser=root", "%s ${HOME} `id` $(id)",
    ";=!include /x", "\\\"#'\\'", "*" * 300,
]  # fmt: skip


@pytest.fixture
def user(mariadb: MariaDB) -> Iterator[Callable[[str], Role]]:
    """Return what makes a user with a password."""
    name = "it's a \\user#1 "

    def make(password: str) -> Role:
        mariadb.sql(f"CREATE OR REPLACE USER {quote(name)} IDENTIFIED BY {literal(password)}")
        return Role(name, password)

    yield make
    mariadb.sql(f"DROP USER {quote(name)}")


def check_login(login: Login, server: MariaDB, folder: Path) -> None:
    """Have both programs of a server log in."""
    path = folder / "my.cnf"
    # As for a restore, the user's own files are out of sight.
    environment = {**os.environ, "HOME": str(folder)}
    for tool, args, sign in [
        (find_client(path=str(server.bin_dir)), ["--batch", "--execute=SELECT USER()"], "it's a "),
        (find_dump_tool(path=str(server.bin_dir)), ["information_schema", "TRIGGERS", "--no-data"], "Dump completed"),
    ]:
        path.write_text(login.option_file(tool))
        command = [tool.path, f"--defaults-extra-file={path}", *args]
        run = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert (run.returncode, run.stderr) == (0, "")
        assert sign in run.stdout


@requires("mariadb", "mariadb:newer")
@pytest.mark.parametrize("password", PASSWORDS)
def test_password_reaches_the_server(
    mariadb: MariaDB, newer_mariadb: MariaDB, user: Callable[[str], Role], tmp_path: Path, password: str
):
    login = Login.from_settings(mariadb.settings("information_schema", user(password)))
    for programs in (mariadb, newer_mariadb):
        check_login(login, programs, tmp_path)


@requires("mariadb")
def test_password_at_home_reaches_the_server(mariadb: MariaDB, user: Callable[[str], Role], home: Path, tmp_path: Path):
    settings = mariadb.settings("information_schema", user("at # home"))
    # What the dump program would stumble over if it read the file itself.
    (home / ".my.cnf").write_text("[client]\nuser=nobody\npassword='at # home'\nconnect-timeout=1\ndatabase=none\n")
    check_login(Login.from_settings({**settings, "PASSWORD": ""}), mariadb, tmp_path)


@requires("mariadb")
def test_default_file_reaches_the_server(mariadb: MariaDB, user: Callable[[str], Role], tmp_path: Path):
    role = user("in # a file")
    path = tmp_path / "their.cnf"
    values = {"database": "information_schema", "user": role.name, "password": role.password, "port": str(mariadb.port)}
    path.write_text(
        option_file({**values, "host": mariadb.host, "connect-timeout": "9", "default-character-set": "utf8"})
    )
    check_login(Login.from_settings({"OPTIONS": {"read_default_file": str(path)}}), mariadb, tmp_path)
