"""Finding the programs: by setting, on PATH, of which flavour; and what is no such program."""

from __future__ import annotations

import shlex
import subprocess
import time
from pathlib import Path

import pytest

from dbbackup.db import programs
from dbbackup.db.mysql.tools import find_client, find_dump_tool
from dbbackup.exceptions import ConfigurationError, ProgramNotFound
from tests.db.mysql.fake_tools import VERSIONS, options_of, write_tools
from tests.requirements import requires
from tests.servers.mariadb import MariaDB

DUMP_OPTIONS = "  --single-transaction \n  --opt               Same as\n                      --add-locks\n"
CLIENT_OPTIONS = "  -e, --execute=name  Execute.\n  -B, --batch         Batch.\n"


def program(path: Path, version: str, options: str = DUMP_OPTIONS, then: str = "") -> str:
    """Make a program that answers to --version and --help."""
    path.parent.mkdir(parents=True, exist_ok=True)
    answers = (
        f'case "$2" in\n--version) echo {shlex.quote(version)};;\n--help) printf %s {shlex.quote(options)};;\nesac'
    )
    path.write_text(f"#!/bin/sh\n{answers}\n{then}\n")
    path.chmod(0o755)
    return str(path)


def mariadb_dump(path: Path, version: str = "10.11.19") -> str:
    return program(path, f"{path.name}  Ver 10.19 Distrib {version}-MariaDB, for debian-linux-gnu (x86_64)")


def mysqldump(path: Path, version: str = "8.0.36") -> str:
    return program(path, f"{path.name}  Ver {version} for Linux on x86_64 (MySQL Community Server - GPL)")


LINUX = "for Linux on x86_64"


@pytest.mark.parametrize(
    ("said", "version", "numbers"),
    [
        ("mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian (x)", "10.11.19-MariaDB", (10, 11, 19)),
        ("mariadb-dump from 11.4.5-MariaDB, client 10.19 for linux-systemd (x86_64)", "11.4.5-MariaDB", (11, 4, 5)),
        ("mysqldump  Ver 10.19 Distrib 10.4.32-MariaDB, for Linux (x86_64)", "10.4.32-MariaDB", (10, 4, 32)),
        ("mysqldump  Ver 10.13 Distrib 5.7.44, for Linux (x86_64)", "5.7.44", (5, 7, 44)),
        (f"mysqldump  Ver 8.0.36 {LINUX} (MySQL Community Server - GPL)", "8.0.36", (8, 0, 36)),
        (f"mysqldump  Ver 8.0.36-28 {LINUX} (Percona Server (GPL), Release 28)", "8.0.36-28", (8, 0, 36)),
        (f"mysqldump  Ver 8.0.41-0ubuntu0.24.04.1 {LINUX} ((Ubuntu))", "8.0.41-0ubuntu0.24.04.1", (8, 0, 41)),
        ("/opt/my sql/bin/mysqldump  Ver 9.4.0 for macos15 on arm64 (Homebrew)", "9.4.0", (9, 4, 0)),
        (f"a notice of the wrapper's\nmysqldump  Ver 8.4.3 {LINUX} (x)", "8.4.3", (8, 4, 3)),
    ],
)  # fmt: skip
def test_versions(tmp_path: Path, said: str, version: str, numbers: tuple[int, ...]):
    path = program(tmp_path / "my dump", said)
    tool = find_dump_tool(path)
    assert (tool.path, tool.name, tool.version) == (path, "my dump", version)
    assert (tool.is_mariadb, tool.numbers) == ("-MariaDB" in version, numbers)
    assert str(tool) == f"{version} ({path})"
    assert tool.options == {"single-transaction", "opt"}


@pytest.mark.parametrize("version", VERSIONS)
def test_options_of_mysql(tmp_path: Path, version: str):
    fake = write_tools(tmp_path, version)
    dump, client = find_dump_tool(path=str(tmp_path)), find_client(path=str(tmp_path))
    assert (dump.path, dump.version, dump.is_mariadb, dump.dumps) == (str(fake.dump), version, False, True)
    assert (client.path, client.version, client.is_mariadb, client.dumps) == (str(fake.client), version, False, False)
    assert dump.options == options_of("mysqldump", version)
    assert client.options == options_of("mysql", version)
    assert dump.knows("column-statistics") is not version.startswith("5")
    assert dump.knows("set_gtid_purged")
    assert dump.knows("skip-triggers")
    assert not dump.knows("not-an-option")


@pytest.mark.parametrize(
    ("there", "mariadb", "taken"),
    [
        ("mariadb-dump mysqldump", True, "mariadb-dump"),
        ("mariadb-dump mysqldump", False, "mysqldump"),
        ("mariadb-dump mysqldump", None, "mariadb-dump"),
        ("mariadb-dump", True, "mariadb-dump"),
        ("mariadb-dump", False, "mariadb-dump"),
        ("mariadb-dump", None, "mariadb-dump"),
        ("mysqldump", True, "mysqldump"),
        ("mysqldump", False, "mysqldump"),
        ("mysqldump", None, "mysqldump"),
    ],
)
def test_flavour(tmp_path: Path, there: str, mariadb: bool | None, taken: str):
    make = {"mariadb-dump": mariadb_dump, "mysqldump": mysqldump}
    for name in there.split():
        make[name](tmp_path / name)
    assert find_dump_tool(mariadb=mariadb, path=str(tmp_path)).name == taken


def test_flavour_is_not_told_by_the_name(tmp_path: Path):
    # On Debian mysqldump is MariaDB's, and a MySQL of one's own stands behind it.
    debian, own = tmp_path / "debian", tmp_path / "own"
    mariadb_dump(debian / "mysqldump")
    mariadb_dump(debian / "mariadb-dump")
    path = f"/nowhere::{debian}:{own}"
    assert find_dump_tool(mariadb=False, path=path).path == str(debian / "mysqldump")
    mysqldump(own / "mysqldump")
    assert find_dump_tool(mariadb=False, path=path).path == str(own / "mysqldump")
    assert find_dump_tool(mariadb=True, path=path).path == str(debian / "mariadb-dump")
    (debian / "mariadb-dump").unlink()
    assert find_dump_tool(mariadb=True, path=path).path == str(debian / "mysqldump")


def test_given_program_is_taken_whatever_the_flavour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mariadb_dump(tmp_path / "mariadb-dump")
    path = mysqldump(tmp_path / "mine" / "mysqldump")
    assert find_dump_tool(path, mariadb=True, path=str(tmp_path)).path == path
    assert find_dump_tool("mysqldump", mariadb=True, path=str(tmp_path / "mine")).path == path
    monkeypatch.setenv("PATH", str(tmp_path / "mine"))
    assert find_dump_tool("mysqldump", mariadb=True).path == path
    assert find_dump_tool(mariadb=True).path == path


@pytest.mark.parametrize("given", ["false", "true", "cat", "echo", "/bin/false"])
def test_program_of_another_kind_is_named_with_its_setting(given: str):
    with pytest.raises(ConfigurationError, match=rf"DUMP_CMD: .*{given} is no mariadb-dump or mysqldump"):
        find_dump_tool(given)
    with pytest.raises(ConfigurationError, match=rf"RESTORE_CMD: .*{given} is no mariadb or mysql"):
        find_client(given)


def test_client_is_no_dump_program(tmp_path: Path):
    fake = write_tools(tmp_path, "8.0.36")
    with pytest.raises(ConfigurationError, match=r"DUMP_CMD.*is no mariadb-dump or mysqldump"):
        find_dump_tool(str(fake.client))
    with pytest.raises(ConfigurationError, match=r"RESTORE_CMD.*is no mariadb or mysql"):
        find_client(str(fake.dump))


def test_program_that_is_not_there():
    with pytest.raises(ProgramNotFound, match=r"DUMP_CMD.*'no such'"):
        find_dump_tool("no such")
    with pytest.raises(ProgramNotFound, match=r"'mariadb-dump' nor 'mysqldump'.*default-mysql-client.*DUMP_CMD"):
        find_dump_tool(path="/nowhere")
    with pytest.raises(ProgramNotFound, match=r"'mariadb' nor 'mysql'.*mariadb-client .*RESTORE_CMD"):
        find_client(mariadb=True, path="/nowhere")
    with pytest.raises(ProgramNotFound, match=r"mysql-client, or default-mysql-client,.*RESTORE_CMD"):
        find_client(mariadb=False, path="/nowhere")


@pytest.mark.parametrize(
    "content",
    [
        "#!/bin/sh\nexit 1\n",
        "#!/bin/sh\nkill $$\n",
        "#!/bin/sh\nsleep 100\n",
        # The first process is not the one that lingers.
        "#!/bin/sh\nsleep 100 &\nwait\n",
        "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n",
        "#!/bin/sh\nexec yes\n",
        "#!/bin/sh\nexec cat /dev/zero\n",
        "#!/bin/sh\necho mysqldump\n",
        "#!/bin/sh\necho 'mysqladmin  Ver 8.0.36 for Linux on x86_64'\n",
        "#!/no/such/interpreter\n",
        "\x7fELF of another machine",
    ],
)
def test_broken_program_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str):
    monkeypatch.setattr(programs, "ANSWER_TIME", 0.3)
    broken = tmp_path / "mariadb-dump"
    broken.write_bytes(content.encode("latin-1"))
    broken.chmod(0o755)
    begin = time.monotonic()
    with pytest.raises(ProgramNotFound):
        find_dump_tool(path=str(tmp_path))
    path = mysqldump(tmp_path / "mysqldump")
    monkeypatch.setattr(programs, "ANSWER_TIME", 10.0)
    if "sleep" not in content:
        assert find_dump_tool(path=str(tmp_path)).path == path
    monkeypatch.setattr(programs, "ANSWER_TIME", 0.3)
    with pytest.raises(ConfigurationError, match=r"DUMP_CMD: .*/mariadb-dump is no mariadb-dump or mysqldump"):
        find_dump_tool(str(broken))
    assert time.monotonic() - begin < 30


def test_folder_and_unreadable_file_are_passed_over(tmp_path: Path):
    (tmp_path / "a" / "mariadb-dump").mkdir(parents=True)
    Path(mariadb_dump(tmp_path / "b" / "mariadb-dump")).chmod(0o600)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "mariadb-dump").symlink_to("nothing")
    path = mariadb_dump(tmp_path / "d" / "mariadb-dump")
    assert find_dump_tool(path=":".join(str(tmp_path / folder) for folder in "abcd")).path == path


def test_program_is_asked_once_until_it_changes(tmp_path: Path):
    path = tmp_path / "mysqldump"
    log = tmp_path / "log"
    said = "mysqldump  Ver %s for Linux on x86_64 (x)"
    program(path, said % "8.0.1", then=f"echo asked >> {log}")
    assert [find_dump_tool(path=str(tmp_path)).version for _ in range(3)] == ["8.0.1"] * 3
    assert log.read_text() == "asked\n" * 2
    program(path, said % "8.0.2")
    assert find_dump_tool(str(path)).version == "8.0.2"


# On this machine.


@requires("mariadb")
def test_programs_of_debian():
    dump, client = find_dump_tool(mariadb=True), find_client(mariadb=True)
    assert (dump.name, dump.is_mariadb, dump.dumps) == ("mariadb-dump", True, True)
    assert (client.name, client.is_mariadb, client.dumps) == ("mariadb", True, False)
    said = subprocess.run([dump.path, "--version"], capture_output=True, text=True, check=True).stdout
    assert dump.version in said
    for option in ["single-transaction", "no-tablespaces", "hex-blob", "ssl-verify-server-cert", "skip-ssl"]:
        assert dump.knows(option)
    for option in ["set-gtid-purged", "column-statistics", "ssl-mode", "connect-timeout", "add"]:
        assert not dump.knows(option)
    assert client.knows("binary-mode")
    with pytest.raises(ConfigurationError, match="is no mariadb-dump"):
        find_dump_tool("mariadb")


@requires("mariadb:newer")
def test_newer_programs(newer_mariadb: MariaDB):
    dump = find_dump_tool(mariadb=True, path=str(newer_mariadb.bin_dir))
    assert (dump.numbers, dump.is_mariadb) == (newer_mariadb.version, True)
    assert find_client(mariadb=False, path=str(newer_mariadb.bin_dir)).numbers == newer_mariadb.version
