"""Finding mongodump and mongorestore, whatever they say of their version; and what is no such program."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import pytest

from dbbackup.db import programs
from dbbackup.db.mongodb.tools import find_tool, release
from dbbackup.exceptions import ConfigurationError, ProgramNotFound


def program(path: Path, said: str, then: str = "") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nprintf %s {shlex.quote(said)}\n{then}\n")
    path.chmod(0o755)
    return str(path)


BUILT = "git version: 8f3a1\nGo version: go1.21.3\nOpenSSL version: OpenSSL 3.0.2\n   os: linux\n   arch: amd64\n"


@pytest.mark.parametrize(
    ("said", "version", "numbers"),
    [
        (f"mongodump version: 100.9.4\n{BUILT}", "100.9.4", (100, 9)),
        (f"mongodump version: built-without-version-string\n{BUILT}", "built-without-version-string", None),
        (f"mongodump version: \n{BUILT}", "unknown", None),
        ("mongodump version: r4.0.28\n", "r4.0.28", (4, 0)),
        ("mongodump version: v100.10.0-3-gabc\n", "v100.10.0-3-gabc", (100, 10)),
        ("mongodump version: Ünser build 5 🙂\r\n", "Ünser build 5 🙂", None),
        (f"a wrapper greets\nmongodump version: 100.9.4\n{BUILT}", "100.9.4", (100, 9)),
        ("my mongodump, version 3.2 of tuesday", "3.2 of tuesday", (3, 2)),
        ("no such word", "unknown", None),
        ("", "unknown", None),
    ],
    ids=range(10),
)
def test_versions_of_any_text(tmp_path: Path, said: str, version: str, numbers: tuple[int, int] | None):
    path = program(tmp_path / "my dump", said)
    tool = find_tool("DUMP_CMD", "mongodump", path)
    assert (tool.path, tool.name, tool.version) == (path, "my dump", version)
    assert str(tool) == f"{version} ({path})"
    assert release(tool.version) == numbers


def test_version_that_is_no_utf_8(tmp_path: Path):
    path = tmp_path / "mongodump"
    path.write_bytes(b"#!/bin/sh\nprintf 'mongodump version: \\377\\376'\n")
    path.chmod(0o755)
    assert find_tool("DUMP_CMD", "mongodump", str(path)).version == "��"


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("100.18.0", (100, 18)),
        ("8.2.11-rc0", (8, 2)),
        ("r4.4.1", (4, 4)),
        ("v8.0", (8, 0)),
        ("", None),
        ("8", None),
        ("8 of 2024", None),
        ("8f3a1.2", None),
        ("x8.2", None),
        ("²8.1", None),
        ("٨.٢", None),
        ("9" * 5000 + ".1", None),
    ],
)
def test_releases(version: str, numbers: tuple[int, int] | None):
    assert release(version) == numbers


def test_missing_tools_are_named(tmp_path: Path):
    with pytest.raises(ProgramNotFound, match=r"'mongodump' was not found.* \(mongodb-database-tools\).* DUMP_CMD\."):
        find_tool("DUMP_CMD", "mongodump", path=str(tmp_path))
    with pytest.raises(ProgramNotFound, match=r"^RESTORE_CMD: the program '/no/such' was not found"):
        find_tool("RESTORE_CMD", "mongorestore", "/no/such", path=str(tmp_path))


def test_path_of_the_operation_is_looked_through(tmp_path: Path):
    (tmp_path / "a" / "mongodump").mkdir(parents=True)
    Path(program(tmp_path / "b" / "mongodump", "")).chmod(0o600)
    path = program(tmp_path / "c" / "mongodump", "")
    folders = ":".join(str(tmp_path / folder) for folder in "abc")
    assert find_tool("DUMP_CMD", "mongodump", path=folders).path == path
    # A name is looked for there as well.
    other = program(tmp_path / "c" / "my-dump", "")
    assert find_tool("DUMP_CMD", "mongodump", "my-dump", path=folders).path == other


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("#!/bin/sh\necho no such luck >&2\nexit 3\n", "status 3: no such luck"),
        ("#!/no/such/shell\n", "No such file|not found|cannot"),
        ("\x7fELF, or not", "Exec format error|cannot"),
        ("#!/bin/sh\nwhile :; do echo version of a lot of text; done\n", "its --version does not end"),
    ],
    ids=["fails", "no interpreter", "no program", "never ends"],
)
def test_what_does_not_run_is_named(tmp_path: Path, content: str, words: str):
    path = tmp_path / "mongodump"
    path.write_text(content)
    path.chmod(0o755)
    with pytest.raises(ConfigurationError, match=f"(?s)^DUMP_CMD: {path} does not work as mongodump: .*({words})"):
        find_tool("DUMP_CMD", "mongodump", str(path))


def test_tool_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(programs, "ANSWER_TIME", 0.2)
    path = program(tmp_path / "mongodump", "mongodump version: 1.2", "exec sleep 60")
    begin = time.monotonic()
    with pytest.raises(ConfigurationError, match=r"does not work as mongodump: its --version took more than 0\.2 s"):
        find_tool("DUMP_CMD", "mongodump", path)
    assert time.monotonic() - begin < 30


def test_tool_is_asked_once_until_it_changes(tmp_path: Path):
    log = tmp_path / "log"
    path = program(tmp_path / "mongodump", "mongodump version: 1.2", f"echo asked >> {shlex.quote(str(log))}")
    assert [find_tool("DUMP_CMD", "mongodump", path).version for _ in range(3)] == ["1.2"] * 3
    assert log.read_text() == "asked\n"
    program(tmp_path / "mongodump", "mongodump version: 1.3")
    assert find_tool("DUMP_CMD", "mongodump", path).version == "1.3"
