"""What holds for the undoing of a restore whatever the engine: when, what it says, and what it leaves."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import pytest

from dbbackup.db import undoing
from dbbackup.db.exceptions import DatabaseLockedError, RestoreError
from dbbackup.db.safety import SafetyDump
from dbbackup.db.undoing import UndoableRestore, await_answer, patiently, securing
from dbbackup.db.watching import NoAnswer

NOT_THERE = "no such table"


class Restore(UndoableRestore):
    """Of a database that is a text; each step raises what it is given, if anything."""

    def __init__(self, folder: Path, *, secures: bool = True, untouched: bool | BaseException = False) -> None:
        super().__init__("shop")
        self.content = b"old"
        self.secures = secures
        self.untouched = untouched
        self.errors: dict[str, BaseException] = {}
        self.steps: list[str] = []
        self.losses: tuple[str, ...] = ()
        self._folder = folder

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.errors:
            raise self.errors[name]

    def _secure(self, notify: Callable[[str], None]) -> SafetyDump | None:
        if not self.secures:
            return None
        safety = SafetyDump(("shop",), self._folder, "safety.gz")
        with securing(safety):
            safety.write(io.BytesIO(self.content))
            self._step("secure")
        notify("secured")
        return safety

    def _check_access(self) -> None:
        self._step("check")

    def _replace(self, dump: BinaryIO, notify: Callable[[str], None]) -> None:
        self.content = b"half"
        self._step("replace")
        self.content = dump.read()
        notify("replaced")

    def _is_untouched(self, safety: SafetyDump | None) -> bool:
        assert (safety is not None) is self.secures
        if isinstance(self.untouched, BaseException):
            raise self.untouched
        return self.untouched

    def _await_server(self, notify: Callable[[str], None]) -> None:
        self._step("await")
        notify("awaited")

    def _put_back(self, safety: SafetyDump, notify: Callable[[str], None]) -> None:
        self._step("put back")
        with safety.open() as dump:
            self.content = dump.read()
        notify("put back")

    def _by_hand(self, path: Path) -> str:
        return f"load {path}"

    @property
    def _losses(self) -> Sequence[str]:
        return self.losses


def run(restore: Restore) -> list[str]:
    said: list[str] = []
    restore.run(io.BytesIO(b"new"), said.append)
    return said


def failing(restore: Restore) -> str:
    with pytest.raises(RestoreError) as caught:
        run(restore)
    assert caught.value.__cause__ is restore.errors.get("replace", caught.value.__cause__)
    return str(caught.value)


def test_restore_that_succeeds_leaves_no_safety_dump(tmp_path: Path):
    restore = Restore(tmp_path)
    assert run(restore) == ["secured", "replaced"]
    assert (restore.content, restore.steps) == (b"new", ["secure", "check", "replace"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("secures", [True, False], ids=["dumped", "not dumped"])
def test_restore_that_may_not_begin_changes_nothing(tmp_path: Path, secures: bool):
    restore = Restore(tmp_path, secures=secures)
    restore.errors["check"] = DatabaseLockedError("in use")
    with pytest.raises(DatabaseLockedError, match=r"^in use$"):
        run(restore)
    assert restore.content == b"old"
    assert "replace" not in restore.steps
    assert list(tmp_path.iterdir()) == []


def test_safety_dump_that_fails_changes_nothing_and_says_so(tmp_path: Path):
    restore = Restore(tmp_path)
    restore.errors["secure"] = RestoreError("no room")
    assert failing(restore) == (
        "What is there could not be dumped first, so nothing was changed: no room\n--no-safety-dump goes without that."
    )
    assert restore.steps == ["secure"]
    assert list(tmp_path.iterdir()) == []


def test_interrupt_of_the_safety_dump_stays_one(tmp_path: Path):
    restore = Restore(tmp_path)
    restore.errors["secure"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(restore)
    assert list(tmp_path.iterdir()) == []


def test_restore_that_fails_is_undone(tmp_path: Path):
    restore = Restore(tmp_path)
    restore.errors["replace"] = ValueError(NOT_THERE)
    restore.losses = ("a is lost", "so is b")
    assert failing(restore) == (
        "no such table\nThe safety dump was put back and verified: database 'shop' is as it was. But a is lost. "
        "But so is b."
    )
    assert restore.steps[2:] == ["replace", "await", "put back"]
    assert restore.content == b"old"
    assert list(tmp_path.iterdir()) == []


def test_interrupted_restore_is_undone(tmp_path: Path):
    restore = Restore(tmp_path)
    restore.errors["replace"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(restore)
    assert restore.content == b"old"
    assert list(tmp_path.iterdir()) == []


def test_terminal_that_is_gone_keeps_nothing_from_being_put_back(tmp_path: Path):
    def gone(text: str) -> None:
        raise BrokenPipeError(text)

    restore = Restore(tmp_path)
    restore.errors["replace"] = RestoreError(NOT_THERE)
    with pytest.raises(RestoreError, match="is as it was"):
        restore.run(io.BytesIO(b"new"), gone)
    assert restore.content == b"old"


@pytest.mark.parametrize("step", ["await", "put back"])
@pytest.mark.parametrize(
    ("cause", "again", "words"),
    [
        (RestoreError(NOT_THERE), RestoreError("disk full"), ("no such table", "disk full")),
        (RestoreError(NOT_THERE), KeyboardInterrupt(), ("no such table", "Interrupted.")),
        (KeyboardInterrupt(), RestoreError("disk full"), ("Interrupted.", "disk full")),
    ],
    ids=["fails", "interrupted", "fails after an interrupt"],
)
def test_putting_back_that_fails_leaves_the_safety_dump(
    tmp_path: Path, step: str, cause: BaseException, again: BaseException, words: tuple[str, str]
):
    restore = Restore(tmp_path)
    restore.errors |= {"replace": cause, step: again}
    said = failing(restore)
    [path] = tmp_path.glob("*/safety.gz")
    assert said == (
        f"{words[0]}\nPutting the safety dump back failed as well, and database 'shop' is not as it was: {words[1]}\n"
        f"The safety dump is {path}. When the cause is gone, load it by: load {path}"
    )


def test_restore_without_a_safety_dump_says_what_may_be(tmp_path: Path):
    restore = Restore(tmp_path, secures=False)
    restore.errors["replace"] = KeyboardInterrupt()
    assert failing(restore) == "Interrupted.\nThere is no safety dump: database 'shop' may be half restored."
    assert restore.steps == ["check", "replace"]


# What was not touched.


@pytest.mark.parametrize("secures", [True, False], ids=["dumped", "not dumped"])
def test_what_was_not_touched_is_not_put_back(tmp_path: Path, secures: bool):
    restore = Restore(tmp_path, secures=secures, untouched=True)
    restore.errors["replace"] = RestoreError(NOT_THERE)
    assert failing(restore) == "no such table\nDatabase 'shop' is as it was."
    assert restore.steps[-1] == "replace"
    assert list(tmp_path.iterdir()) == []


def test_interrupt_before_anything_was_touched_stays_one(tmp_path: Path):
    restore = Restore(tmp_path, untouched=True)
    restore.errors["replace"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(restore)
    assert restore.steps[-1] == "replace"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [NoAnswer("gone"), OSError("disk"), KeyboardInterrupt()], ids=repr)
def test_what_cannot_be_told_is_put_back(tmp_path: Path, error: BaseException):
    restore = Restore(tmp_path, untouched=error)
    restore.errors["replace"] = RestoreError(NOT_THERE)
    assert "was put back and verified" in failing(restore)
    assert restore.content == b"old"


# Patience.


class Server:
    """Fails as often as it is told to."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    def ask(self) -> str:
        if self._errors:
            raise self._errors.pop(0)
        return "answer"


def is_gone(error: BaseException) -> bool:
    return isinstance(error, NoAnswer)


def test_what_passes_is_waited_for_and_said_once():
    said: list[str] = []
    server = Server(NoAnswer("1"), NoAnswer("2"), NoAnswer("3"))
    assert patiently(server.ask, said.append, "wait", passes=is_gone, seconds=60) == "answer"
    assert said == ["wait"]
    assert patiently(server.ask, said.append, "wait", passes=is_gone, seconds=60) == "answer"
    assert said == ["wait"]


def test_what_does_not_pass_is_raised_at_once():
    said: list[str] = []
    with pytest.raises(RestoreError, match="denied"):
        patiently(Server(RestoreError("denied")).ask, said.append, "wait", passes=is_gone, seconds=60)
    assert said == []


def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(undoing, "PATIENCE", -1.0)
    said: list[str] = []
    with pytest.raises(NoAnswer, match="gone"):
        await_answer(Server(NoAnswer("gone")).ask, is_gone, said.append)
    assert said == []


def test_server_that_comes_back_is_waited_for():
    said: list[str] = []
    await_answer(Server(NoAnswer("gone")).ask, is_gone, said.append)
    assert said == ["The server does not answer; it has 30 s to come back."]
