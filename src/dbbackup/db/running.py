"""How a connector's program is run: between the texts of the settings, and with errors that name the operation."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from dbbackup.db.exceptions import CommandConnectorError
from dbbackup.exceptions import ProgramError
from dbbackup.streams import ProgramReader, StreamReader, pull

if TYPE_CHECKING:
    from dbbackup.db.base import BaseCommandDBConnector

_OPERATORS = "();<>|&"
"""What a shell makes more of than an argument."""


def with_shell(args: Sequence[str], prefix: str, suffix: str) -> list[str]:
    """Return the command itself, or a shell that runs it between the texts of the settings."""
    if not prefix and not suffix:
        return list(args)
    line = " ".join(part for part in (prefix, shlex.join(args), suffix) if part)
    # Without pipefail the last program of a pipe alone decides, and a failed dump would pass for one.
    bash = shutil.which("bash")
    if bash:
        return [bash, "-o", "pipefail", "-c", line]
    if "|" in prefix + suffix:
        # busybox has it, an older dash has not, and then says so and ends.
        return ["sh", "-c", f"set -o pipefail || exit 125\n{line}"]
    return ["sh", "-c", line]


def rewrites(suffix: str) -> bool:
    """Return whether a DUMP_SUFFIX has more than options: what a pipe makes of a dump is nobody's to know."""
    words = shlex.shlex(suffix, posix=True, punctuation_chars=_OPERATORS)
    words.whitespace_split = True
    try:
        return any(not set(word) - set(_OPERATORS) for word in words)
    except ValueError:
        return True


class ConnectorProgram(ProgramReader):
    """A program whose failure is that of an operation on a database."""

    def __init__(self, args: Sequence[str], *, connector: BaseCommandDBConnector, what: str, **options: Any) -> None:
        """Take the connector that knows its errors, and what it is run for, as "dump database 'default'"."""
        self._connector = connector
        self._what = what
        super().__init__(args, **options)

    def failure(self, returncode: int, stderr: str) -> Exception:
        """Return the error, with the operation, the database and what to do."""
        reason = super().failure(returncode, self._connector.error_lines(stderr))
        advice = self._connector.error_advice(stderr)
        error = CommandConnectorError(
            f"Cannot {self._what}: {reason}" + (f"\n{advice}" if advice else ""),
            returncode=returncode,
            stderr=stderr,
            transient=self._connector.is_transient(stderr),
        )
        error.__cause__ = reason if isinstance(reason, ProgramError) else None
        return error


class Borrowed(StreamReader):
    """A file of somebody else's, which stays open."""

    def __init__(self, file: BinaryIO) -> None:
        """Take the file to read."""
        self._file = file
        super().__init__()

    def _next_chunk(self) -> bytes:
        return pull(self._file)
