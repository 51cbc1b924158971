"""Connectors that run programs: arguments, environment, prefix and suffix, failures, secrets."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from dbbackup.db.base import BaseCommandDBConnector
from dbbackup.db.exceptions import CommandConnectorError
from dbbackup.exceptions import ConfigurationError
from tests.requirements import requires

ARGUMENTS = [sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"]
ENVIRONMENT = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]


class Connector(BaseCommandDBConnector):
    accepts_stream = True

    def _create_dump(self) -> BinaryIO:
        return self.dump_stream(["cat", "--", str(self.settings["NAME"])])

    def _restore_dump(self, dump: BinaryIO) -> None:
        self.restore_stream(["tee", "--", str(self.settings["NAME"])], dump)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(b"one\ntwo\n")
    return path


def make(path: Path | str = "app", **settings: Any) -> Connector:
    return Connector("default", settings={"ENGINE": "e", "NAME": path, "PASSWORD": "hunter2", **settings})


def test_dump_and_restore_stream(path: Path):
    with make(path).create_dump() as dump:
        assert dump.read() == b"one\ntwo\n"
    make(path).restore_dump(io.BytesIO(b"three"))
    assert path.read_bytes() == b"three"


def test_arguments_reach_the_program_as_they_are():
    tricky = ["a b", "'", '"', "$HOME", "*", "; rm -rf x", "-x", "", "é"]
    for settings in ({}, {"DUMP_PREFIX": "env"}, {"DUMP_SUFFIX": "| cat"}):
        with make(**settings).dump_stream([*ARGUMENTS, *tricky]) as output:
            assert json.load(output) == tricky


def test_prefix_and_suffix_surround_the_command(path: Path):
    connector = make(path, DUMP_PREFIX="env WORD=two", DUMP_SUFFIX='| grep -v "$(echo one)"')
    with connector.create_dump() as dump:
        assert dump.read() == b"two\n"
    connector = make(path, RESTORE_PREFIX="tr a-z A-Z |", RESTORE_SUFFIX="> /dev/null")
    connector.restore_dump(io.BytesIO(b"three"))
    assert path.read_bytes() == b"THREE"


@requires("bash")
def test_failure_before_a_pipe_is_a_failure():
    failure = pytest.raises(CommandConnectorError, match=r"Cannot dump database 'default'.*No such file")
    with make("/nowhere/at/all", DUMP_SUFFIX="| cat").create_dump() as dump, failure as caught:
        dump.read()
    assert caught.value.returncode == 1


def test_shell_without_bash_runs_the_line(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    # A PATH with nothing but what the line needs.
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "cat", "env"):
        found = next(Path(folder, name) for folder in os.environ["PATH"].split(":") if Path(folder, name).exists())
        (programs / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(programs))
    with make(path, DUMP_PREFIX="env").create_dump() as dump:
        assert dump.read() == b"one\ntwo\n"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"A": "parent"}),
        ({"ENV": {"A": "base", "N": 5}}, {"A": "base", "N": "5"}),
        ({"ENV": {"A": "base"}, "DUMP_ENV": {"A": "dump"}, "RESTORE_ENV": {"A": "restore"}}, {"A": "dump"}),
        ({"USE_PARENT_ENV": False, "ENV": {"B": "b"}}, {"A": None, "B": "b"}),
    ],
)
def test_environment(monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], expected: dict[str, str | None]):
    monkeypatch.setenv("A", "parent")
    with make(**settings).dump_stream(ENVIRONMENT) as output:
        seen = json.load(output)
    assert {key: seen.get(key) for key in expected} == expected
    with make(**settings).dump_stream(ENVIRONMENT, {"A": "call"}) as output:
        assert json.load(output)["A"] == "call"


def test_restore_environment(tmp_path: Path):
    target = tmp_path / "seen"
    script = f"import os, sys; sys.stdin.read(); open({str(target)!r}, 'w').write(os.environ['A'])"
    make(ENV={"A": "base"}, RESTORE_ENV={"A": "restore"}).restore_stream(
        [sys.executable, "-c", script], io.BytesIO(b"x")
    )
    assert target.read_text() == "restore"


def test_failing_restore_is_named_and_hides_the_password():
    script = "import sys; sys.stdin.read(); sys.exit('no entry with hunter2')"
    with pytest.raises(
        CommandConnectorError, match=r"Cannot restore database 'default'.*no entry with \*\*\*"
    ) as caught:
        make().restore_stream([sys.executable, "-c", script], io.BytesIO(b"x"))
    assert "hunter2" not in str(caught.value) + caught.value.stderr
    assert caught.value.returncode == 1


def test_missing_program_is_named():
    with pytest.raises(CommandConnectorError, match=r"Cannot dump database 'default'.*no-such-program"):
        make().dump_stream(["no-such-program"])


# What connectors written for django-dbbackup call.


def test_run_command_with_a_string():
    stdout, stderr = make(DUMP_PREFIX="false").run_command("sh -c 'echo \"a  b\"; echo aside >&2'")
    with stdout, stderr:
        assert stdout.read() == b"a  b\n"
        assert stderr.read() == b"aside\n"
        assert stdout.seekable()
        stdout.seek(0)
        assert stdout.read(1) == b"a"


def test_run_command_leaves_the_input_open(path: Path):
    with path.open("rb") as file:
        stdout, stderr = make().run_command(["cat"], stdin=file)
        assert not file.closed
    with stdout, stderr:
        assert stdout.read() == b"one\ntwo\n"


def test_run_command_takes_an_environment():
    stdout, stderr = make(ENV={"A": "base", "B": "b"}).run_command("env", env={"A": "call"})
    with stdout, stderr:
        lines = stdout.read().splitlines()
    assert {b"A=call", b"B=b"} <= set(lines)


def test_run_command_that_fails():
    with pytest.raises(CommandConnectorError, match="status 3: it broke"):
        make().run_command("sh -c 'echo it broke >&2; exit 3'")
    with pytest.raises(CommandConnectorError, match="no-such-program"):
        make().run_command("no-such-program -x")


def test_unknown_options_are_refused():
    with pytest.raises(
        ConfigurationError, match=r"Connector does not have options: dmup_cmd .*Did you mean DUMP_CMD\?"
    ):
        Connector.refuse_unknown_options(["DMUP_CMD"], "DBBACKUP_CONNECTORS['default']")
