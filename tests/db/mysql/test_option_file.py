"""Option files: what is written is what a real program reads, and what is read is what it would read."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbbackup.db.mysql.option_file import is_ignored, option_file, read_groups
from dbbackup.exceptions import ConfigurationError
from tests.requirements import requires

AWKWARD = [
    "#", "a#b", "a # b", "; x", '"', "'", '"quoted"', "'quoted'", "it's", 'a"b#c', "a'b#c", "\\", "a\\", "\\\\", "\\n",
    '\\"', "#\\", '\\"#', "\n", "a\nb", "a\n[mysqld]\nuser=x", "\r\n", "\t", "\b", "\v\f", "\x01\x1b", "\x7f", " ",
    " a ", "", "=", "a=b", "[a]", "!include /etc/passwd", "%s%n", "$HOME ${HOME} `id`", "à", "€\xa0", "\u0085",
    "\u2028", "😀", "*" * 3000, "\udcff",
]  # fmt: skip


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode(errors="surrogateescape"))
    return path


def read_by_program(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Return what the real client makes of a file: it prints its arguments, divided by blanks."""
    printed = subprocess.run(
        ["mariadb", f"--defaults-file={path}", "--print-defaults"], capture_output=True, check=True
    )
    rest = printed.stdout.decode(errors="surrogateescape").partition("\n")[2]
    found = {}
    for name in reversed(names):
        rest, _, value = rest.rpartition(f"--{name}=")
        found[name] = value.removesuffix("\n").removesuffix(" ")
    return found


@pytest.mark.parametrize("value", AWKWARD)
def test_value_survives(tmp_path: Path, value: str):
    path = write(tmp_path / "my.cnf", option_file({"password": value, "user": "me", "skip-ssl": None}))
    assert read_groups(path, ["client"]) == {"password": value, "user": "me", "skip-ssl": None}
    assert read_groups(path, ["mysqld", "a"]) == {}


@requires("mariadb")
@pytest.mark.parametrize("value", AWKWARD)
def test_value_survives_in_the_real_program(tmp_path: Path, value: str):
    options = {"user": value, "host": "h"}
    path = write(tmp_path / "my.cnf", option_file(options))
    assert read_by_program(path, list(options)) == options


@given(
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=300), st.text("#'\"\\ nt\n=", max_size=30)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_value_survives(tmp_path: Path, value: str, special: str):
    options = {"password": value, "user": special, "host": special + value}
    path = write(tmp_path / "my.cnf", option_file(options))
    assert read_groups(path, ["client"]) == options


@pytest.mark.slow
@requires("mariadb")
@given(
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=100), st.text("#'\"\\ nt\n=", max_size=30)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_value_survives_in_the_real_program(tmp_path: Path, value: str, special: str):
    options = {"user": value, "host": special}
    path = write(tmp_path / "my.cnf", option_file(options))
    assert read_by_program(path, list(options)) == options


@pytest.mark.parametrize(("value", "reason"), [("a\0b", "NUL"), ("x" * 5000, "too long"), ("€" * 1500, "too long")])
def test_value_that_no_file_can_hold(value: str, reason: str):
    with pytest.raises(ConfigurationError, match=f"password.*{reason}") as caught:
        option_file({"password": value})
    assert value not in str(caught.value)


LINES = {
    "user=x": "x",
    "user = x": "x",
    "  user\t=  x  ": "x",
    "user=x # y": "x",
    "user='x # y'": "x # y",
    'user="x" # y': "x",
    "user='a\"b'#": 'a"b',
    "user='it\\'s # x'": "it's # x",
    'user="x\\\\" # y': "x\\",
    "user=a\\sb\\x\\": "a b\\x\\",
    'user="': '"',
    "user=\"a'": "\"a'",
    "user=''": "",
    "user=": "",
    "user=x;y": "x;y",
    "user=a=b": "a=b",
    "user=x\r": "x",
    "user=x\n; user=y\n# user=z": "x",
    "user=x\n[mysqld]\nuser=y": "x",
    "user=x\n[ client]\nuser=y": "x",
    "user=x\n[client ]\nuser=y": "y",
    "user=x\n[CLIENT]  # again\nuser=y": "y",
    "user=x\nuser=y": "y",
    "user=naïve": "naïve",
    # The last byte of à is a blank in Latin-1.
    "user=à": "\udcc3",
    "user=x\0y": "x",
}


@pytest.mark.parametrize("line", LINES)
def test_line_is_understood(tmp_path: Path, line: str):
    path = write(tmp_path / "my.cnf", f"[client]\nhost=h\n{line}\n")
    assert read_groups(path, ["client"]) == {"host": "h", "user": LINES[line]}


@requires("mariadb")
@pytest.mark.parametrize("line", LINES)
def test_line_is_understood_as_by_the_real_program(tmp_path: Path, line: str):
    path = write(tmp_path / "my.cnf", f"[client]\nhost=h\n{line}\n")
    assert read_by_program(path, ["user"])["user"] == LINES[line]


def test_names_are_of_one_spelling(tmp_path: Path):
    path = write(tmp_path / "my.cnf", "[client]\nssl_ca=a\nssl-verify_server-cert\n")
    assert read_groups(path, ["client"]) == {"ssl-ca": "a", "ssl-verify-server-cert": None}


def test_later_group_counts(tmp_path: Path):
    path = write(tmp_path / "my.cnf", "[web]\nuser=w\n[client]\nuser=c\nhost=c\n[web]\nhost=w\n")
    assert read_groups(path, ["client", "web"]) == {"user": "c", "host": "w"}


def test_includes(tmp_path: Path):
    folder = tmp_path / "conf.d"
    folder.mkdir()
    write(folder / "b.cnf", "[client]\nport=2\nuser=b\n")
    write(folder / "a.cnf", "[client]\nport=1\nsocket=a\n")
    write(folder / "ignored.txt", "[client]\nport=3\n")
    home = tmp_path / "home"
    home.mkdir()
    write(home / "one.cnf", "user=no group yet\n[client]\nhost=one\n")
    text = "!include ~/one.cnf\n[client]\nuser=x\n!include /no/such\n!includedir /no/such\n! includedir %s \nuser2=y\n"
    path = write(tmp_path / "my.cnf", text % folder)
    found = {"host": "one", "user": "b", "port": "2", "socket": "a", "user2": "y"}
    assert read_groups(path, ["client"], home=home) == found
    if shutil.which("mariadb"):
        write(home / "one.cnf", "[client]\nhost=one\n")
        write(path, path.read_text().replace("!includedir /no/such\n", "").replace("~", str(home)))
        assert read_by_program(path, ["host", "port", "user", "user2"])["user2"] == "y"


def test_file_that_includes_itself_ends(tmp_path: Path):
    path = tmp_path / "my.cnf"
    write(path, f"[client]\nuser=x\n!include {path}\n")
    assert read_groups(path, ["client"]) == {"user": "x"}


def test_file_that_is_not_there_says_nothing(tmp_path: Path):
    assert read_groups(tmp_path / "my.cnf", ["client"]) == {}
    write(tmp_path / "file", "")
    assert read_groups(tmp_path / "file" / "my.cnf", ["client"]) == {}


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "my.cnf", "[client]\nuser=x\n")
    assert read_groups("~/my.cnf", ["client"], home=tmp_path) == {"user": "x"}
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_groups("~/my.cnf", ["client"]) == {"user": "x"}


def test_file_that_everybody_may_write_is_ignored(tmp_path: Path):
    path = write(tmp_path / "my.cnf", "[client]\nuser=x\n")
    path.chmod(0o646)
    assert is_ignored(path)
    assert read_groups(path, ["client"]) == {}
    path.chmod(0o664)
    assert not is_ignored(path)
    assert read_groups(path, ["client"]) == {"user": "x"}
