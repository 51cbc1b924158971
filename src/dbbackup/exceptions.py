"""The errors that DBBackup raises.

DBBackupError
  + ConfigurationError        a setting or an option is missing or wrong
  + UsageError                the call names something that does not exist or does not go together
  + StreamError               bytes in motion
    x ProgramError            a program failed
      x ProgramNotFound       a program is not installed
  + CodecError                stored bytes cannot be decoded, or not encoded
  + StorageError              a storage refused or lost an operation
  + VerificationError         a stored backup is not what was written
    x ManifestError           a manifest is malformed, foreign or altered
  + BackupNotFound            no backup answers the description
  + RestoreRefused            a restore stopped before the database was touched
  + OperationFailed           one or more databases of a run failed
  + ConnectorError            see dbbackup.db.exceptions

Classes marked + are bases that a caller may catch; DBBackupError itself is never raised.
"""

from __future__ import annotations


class DBBackupError(Exception):
    """Base class of every error of this package. Do not raise directly."""


class ConfigurationError(DBBackupError):
    """A setting or an option is missing or wrong."""


class UsageError(DBBackupError):
    """The call names something that does not exist, or options that exclude each other."""


class StreamError(DBBackupError):
    """Bytes could not be moved to their end."""


class ProgramError(StreamError):
    """A program failed, or stopped before it had taken all its input.

    ``returncode`` is its exit status (negative: the signal that ended it), ``stderr`` the last lines it printed.
    """

    def __init__(self, message: str, *, returncode: int | None = None, stderr: str = "") -> None:
        super().__init__(message)
        self.returncode = returncode
        self.stderr = stderr


class ProgramNotFound(ProgramError):
    """A program is not installed or cannot be run."""


class CodecError(DBBackupError):
    """Stored bytes cannot be decoded to their end, or a dump cannot be encoded."""


class StorageError(DBBackupError):
    """A storage refused an operation or failed in it."""


class VerificationError(DBBackupError):
    """A stored backup is not what was written."""


class ManifestError(VerificationError):
    """A manifest is malformed, foreign, altered, or stands beside another file than its own."""


class BackupNotFound(DBBackupError):
    """No backup in the storage answers the description."""


class RestoreRefused(DBBackupError):
    """A restore stopped before the database was touched."""


class OperationFailed(DBBackupError):
    """One or more databases of a run failed.

    ``failures`` maps each failed alias to its error; ``results`` holds what the others gave.
    """

    def __init__(self, message: str, failures: dict[str, Exception], results: list[object]) -> None:
        super().__init__(message)
        self.failures = failures
        self.results = results
