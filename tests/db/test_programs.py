"""What a program says of itself, if it does."""

from __future__ import annotations

import time

import pytest

from dbbackup.db import programs
from dbbackup.db.programs import answer
from dbbackup.exceptions import ProgramError, ProgramNotFound


def sh(script: str) -> list[str]:
    return ["sh", "-c", script, "program", "--version"]


def test_answer_is_what_is_printed_whatever_the_bytes():
    assert answer(sh('echo "$0 $1"; echo aside >&2')) == "program --version\n"
    assert answer(sh("printf 'caf\\303\\251 \\377'")) == "café �"
    assert answer(sh(":")) == ""


def test_nobody_is_asked_for_input():
    assert answer(sh("cat; echo done")) == "done\n"


def test_program_that_fails_is_named():
    with pytest.raises(ProgramError, match="sh exited with status 3: no such option"):
        answer(sh("echo 1.2; echo no such option >&2; exit 3"))
    with pytest.raises(ProgramNotFound, match="no-such-program"):
        answer(["no-such-program", "--version"])


def test_program_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(programs, "ANSWER_TIME", 0.2)
    begin = time.monotonic()
    with pytest.raises(ValueError, match=r"^its --version took more than 0\.2 s\.$"):
        answer(sh("trap '' TERM; echo 1.2; sleep 60"))
    assert time.monotonic() - begin < 30


def test_program_that_says_too_much_is_ended():
    with pytest.raises(ValueError, match=r"^its --version does not end\.$"):
        answer(sh("while :; do echo yes yes yes yes yes yes; done"))
