"""The line that a program is run by, between the texts of the settings."""

from __future__ import annotations

import io
import shutil
import subprocess

import pytest

from dbbackup.db.running import Borrowed, rewrites, with_shell
from tests.requirements import requires

ARGS = ["printf", "%s\n", 'it\'s a "test"', "$HOME;`ls`", "*"]


def test_command_alone_needs_no_shell():
    assert with_shell(ARGS, "", "") == ARGS


@requires("bash")
@pytest.mark.parametrize(
    ("prefix", "suffix"), [("env A=1", ""), ("", "| cat"), ("env A=1", "| cat | cat"), ("cat /dev/null &&", "")]
)
def test_arguments_stay_what_they_are_between_prefix_and_suffix(prefix: str, suffix: str):
    args = with_shell(ARGS, prefix, suffix)
    assert args[0] == shutil.which("bash")
    assert subprocess.run(args, capture_output=True, text=True, check=True).stdout.splitlines() == ARGS[2:]


@requires("bash")
def test_failure_of_any_program_of_a_pipe_counts():
    assert subprocess.run(with_shell(["false"], "", "| cat"), check=False).returncode == 1
    assert subprocess.run(with_shell(["true"], "sh -c 'exit 5' |", "| cat"), check=False).returncode == 5


def test_shell_without_bash_says_where_a_pipe_cannot_be_trusted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert with_shell(["true"], "nice", "") == ["sh", "-c", "nice true"]
    args = with_shell(["false"], "", "| cat")
    assert args[:2] == ["sh", "-c"]
    # Either it knows pipefail, or it ends before it runs anything.
    assert subprocess.run(args, capture_output=True, check=False).returncode in {1, 2, 125}


@pytest.mark.parametrize(
    ("suffix", "changes"),
    [
        ("", False),
        ("--quiet", False),
        ("--query='a|b > c' --x=\"1;2\"", False),
        (r"--name=a\|b", False),
        ("| gzip", True),
        ("--quiet|gzip", True),
        ("> /tmp/file", True),
        ("2>/dev/null", True),
        ("; echo more", True),
        ("&& echo more", True),
        ("$(true) | tee x", True),
        ("'never closed", True),
    ],
)
def test_what_makes_another_dump_of_it(suffix: str, changes: bool):
    assert rewrites(suffix) is changes


def test_borrowed_file_stays_open():
    file = io.BytesIO(b"one two")
    with Borrowed(file) as borrowed:
        assert borrowed.read(3) == b"one"
    assert not file.closed
    assert borrowed.closed
