"""The errors of the connectors.

ConnectorError
  x DumpError                 a database could not be dumped
  x RestoreError              a dump could not be restored
  x CommandConnectorError     the program of a connector failed
  x DatabaseLockedError       another connection kept a database locked for too long

The base is for callers who do not mind which; it is never raised itself.
"""

from __future__ import annotations

from dbbackup.exceptions import DBBackupError


class ConnectorError(DBBackupError):
    """Base class of what goes wrong between a database and its dump. Do not raise directly.

    ``transient`` is whether the same may succeed when it is tried again.
    """

    transient = False


class DumpError(ConnectorError):
    """A database could not be dumped, or its dump would not be what is in it."""

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class RestoreError(ConnectorError):
    """A dump could not be restored; the database is as it was unless the message says otherwise."""


class CommandConnectorError(ConnectorError):
    """The program that a connector runs failed.

    ``returncode`` is its exit status (negative: the signal that ended it), ``stderr`` the last
    lines it printed, without secrets.
    """

    def __init__(
        self, message: str, *, returncode: int | None = None, stderr: str = "", transient: bool = False
    ) -> None:
        super().__init__(message)
        self.returncode = returncode
        self.stderr = stderr
        self.transient = transient


class DatabaseLockedError(ConnectorError):
    """Another connection kept a database locked for longer than DBBACKUP_LOCK_TIMEOUT."""
