"""A restore that nothing of the server's undoes: what was there is dumped first, and put back if it fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NoReturn, TypeVar

from dbbackup.db.exceptions import ConnectorError, RestoreError
from dbbackup.db.safety import SafetyDump, free_space

PATIENCE = 30.0
"""Seconds that a server which went away has to come back, before putting the safety dump back is given up."""

_WORTH_A_WORD = 100 * 1024 * 1024

_Result = TypeVar("_Result")


class UndoableRestore:
    """One restore of one dump into one database, which is as it was before if that fails."""

    def __init__(self, alias: str) -> None:
        """Take what the messages call the database."""
        self._alias = alias

    # What a subclass writes.

    def _secure(self, notify: Callable[[str], None]) -> SafetyDump | None:
        """Return a dump of the database as it is; None if there is to be none. An error leaves nothing behind."""
        raise NotImplementedError("subclasses of UndoableRestore must provide a _secure() method.")

    def _check_access(self) -> None:
        """Raise what would hold up the restore halfway; nothing has been changed yet."""

    def _replace(self, dump: BinaryIO, notify: Callable[[str], None]) -> None:
        """Replace what is there by the dump, and raise an error unless all of it came to be."""
        raise NotImplementedError("subclasses of UndoableRestore must provide a _replace() method.")

    def _is_untouched(self, safety: SafetyDump | None) -> bool:  # noqa: ARG002 for those that can tell
        """Return whether a restore that failed has certainly changed nothing, so that there is nothing to put back.

        An error counts as no. The server may be away.
        """
        return False

    def _await_server(self, notify: Callable[[str], None]) -> None:
        """Give a server that went away time to come back; await_answer() does."""

    def _put_back(self, safety: SafetyDump, notify: Callable[[str], None]) -> None:
        """Have the database as the safety dump has it, and raise an error unless it has been seen to be so."""
        raise NotImplementedError("subclasses of UndoableRestore must provide a _put_back() method.")

    def _by_hand(self, path: Path) -> str:
        """Return the shell line that puts back the safety dump at a path."""
        raise NotImplementedError("subclasses of UndoableRestore must provide a _by_hand() method.")

    def _exactly(self, path: Path) -> str:  # noqa: ARG002 for those that know one
        """Return what to say behind that line, as of a better way; by default nothing."""
        return ""

    @property
    def _losses(self) -> Sequence[str]:
        """Return sentences, without their full stops, about what is not as it was after the putting back."""
        return ()

    # What it does.

    def _safety_warnings(self, *, wanted: bool, left_behind: Iterable[Path]) -> list[str]:
        """Return what should be known of safety dumps before the restore: that there is none, or an old one."""
        none = "there will be no safety dump: a restore that fails leaves the database half restored"
        return ([] if wanted else [none]) + [
            "an earlier restore was killed, or could not put back what was there before. Load that by\n"
            f"{self._by_hand(path)}\nor delete {path}{self._exactly(path)}"
            for path in left_behind
        ]

    def run(self, dump: BinaryIO, notify: Callable[[str], None]) -> None:
        """Restore. Whatever goes wrong, the database is as it was before, unless the error says otherwise."""
        # A terminal that is gone must not keep what was there from being put back.
        notify = _undaunted(notify)
        safety = self._secure(notify)
        try:
            self._check_access()
        except BaseException:
            if safety is not None:
                safety.discard()
            raise
        try:
            self._replace(dump, notify)
        except BaseException as exc:  # noqa: BLE001 - raised again by what it calls
            self._undo(safety, exc, notify)
        if safety is not None:
            safety.discard()

    def _undo(self, safety: SafetyDump | None, cause: BaseException, notify: Callable[[str], None]) -> NoReturn:
        """Have the database as it was, and raise the cause with how that ended."""
        if self._is_surely_untouched(safety):
            state = f"Database {self._alias!r} is as it was."
        elif safety is None:
            raise RestoreError(
                f"{_words(cause)}\nThere is no safety dump: database {self._alias!r} may be half restored."
            ) from cause
        else:
            self._go_back(safety, cause, notify)
            state = f"The safety dump was put back and verified: database {self._alias!r} is as it was." + "".join(
                f" But {text}." for text in self._losses
            )
        if safety is not None:
            safety.discard()
        if isinstance(cause, Exception):
            raise RestoreError(f"{_words(cause)}\n{state}") from cause
        notify(state)
        raise cause

    def _is_surely_untouched(self, safety: SafetyDump | None) -> bool:
        try:
            return self._is_untouched(safety)
        except BaseException:  # noqa: BLE001 - not even an interrupt of the question keeps it from being put back
            return False

    def _go_back(self, safety: SafetyDump, cause: BaseException, notify: Callable[[str], None]) -> None:
        """Put the safety dump back, or raise the cause with why that failed and what to do."""
        try:
            notify("The restore failed; the safety dump is put back.")
            self._await_server(notify)
            self._put_back(safety, notify)
        except BaseException as again:  # noqa: BLE001 - an interrupt leaves it half done as well
            safety.release()
            raise RestoreError(
                f"{_words(cause)}\nPutting the safety dump back failed as well, and database {self._alias!r} is not as "
                f"it was: {_words(again)}\nThe safety dump is {safety.path}. When the cause is gone, load it by: "
                f"{self._by_hand(safety.path)}{self._exactly(safety.path)}"
            ) from cause


@contextmanager
def securing(safety: SafetyDump) -> Iterator[None]:
    """Write the safety dump in a block; one that fails leaves nothing of it, and says that nothing was changed."""
    try:
        yield
    except BaseException as exc:
        safety.discard()
        if isinstance(exc, ConnectorError):
            raise RestoreError(
                f"What is there could not be dumped first, so nothing was changed: {exc}\n"
                "--no-safety-dump goes without that."
            ) from exc
        raise


def announce(size: int, notify: Callable[[str], None]) -> None:
    """Say that a safety dump of that many bytes is made, if that takes some time."""
    if size > _WORTH_A_WORD:
        notify(f"What is there is dumped first ({size // 1024**2} MiB), to be put back if the restore fails.")


def safety_problems(size: int, directory: Path | None, others: Iterable[str] = ()) -> list[str]:
    """Return why there can be no safety dump of that many bytes: ``others``, or that there is no room."""
    found = list(others)
    folder, free = free_space(directory)
    if size > free:
        cure = "make room, or set DBBACKUP_TMP_DIR"
        found.append(f"it may take up to {size} bytes in {folder}, which has {free} ({cure})")
    if not found:
        return []
    return [f"what is there cannot be dumped first, to be put back on a failure: {reason}" for reason in found] + [
        "--no-safety-dump goes without that"
    ]


def await_answer(
    ask: Callable[[], object], is_gone: Callable[[BaseException], bool], notify: Callable[[str], None]
) -> None:
    """Ask the server until it answers, PATIENCE seconds long; any other error is raised at once."""
    patiently(
        ask,
        notify,
        f"The server does not answer; it has {PATIENCE:.0f} s to come back.",
        passes=is_gone,
        seconds=PATIENCE,
        pause=1,
    )


def patiently(
    act: Callable[[], _Result],
    notify: Callable[[str], None],
    words: str,
    *,
    passes: Callable[[BaseException], bool],
    seconds: float,
    pause: float = 0.0,
) -> _Result:
    """Return what ``act`` does, tried again for that many seconds as long as it fails by an error that ``passes``.

    The words are said once, when it has to be tried again. Between two tries is a pause, for what fails at once.
    """
    deadline = time.monotonic() + seconds
    waits = False
    while True:
        try:
            return act()
        except ConnectorError as exc:
            if not passes(exc) or time.monotonic() > deadline:
                raise
        if not waits:
            waits = True
            notify(words)
        time.sleep(pause)


def _undaunted(notify: Callable[[str], None]) -> Callable[[str], None]:
    def tell(text: str) -> None:
        with suppress(Exception):
            notify(text)

    return tell


def _words(error: BaseException) -> str:
    return "Interrupted." if isinstance(error, KeyboardInterrupt) else str(error)
