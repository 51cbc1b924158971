"""What MongoDB's tools and server say when something fails, and what that means."""

from __future__ import annotations

import re

from dbbackup.db.exceptions import CommandConnectorError, ConnectorError

# A time goes before every line.
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+[+-]\d{4}\s+")
# The tools print the whole connection string, of which people know enough.
_URI = re.compile(r"\bmongodb(?:\+srv)?://\S+?(?=: | |$)")
_NAME = re.compile(r"`[^`]*`")
_TOLD = re.compile(r"^Failed: |document\(s\) failed|continuing through error|^error |^E\d+ ", re.IGNORECASE)
# Whoever read the archive has ended, and knows why.
_NO_READER = re.compile(r"write /dev/stdout: broken pipe")
_NONE_FAILED = re.compile(r"\b0 document\(s\) failed to restore")
_RESTORED = re.compile(r"(\d+) document\(s\) restored successfully")
_FAILED = re.compile(r"(\d+) document\(s\) failed to restore")
_GONE = re.compile(
    r"connection refused|server selection error|socket was unexpectedly closed|connection reset|unexpected EOF|"
    r"\bEOF\b|broken pipe|no reachable servers|i/o timeout|NotWritablePrimary|NotPrimary|InterruptedAtShutdown|"
    r"InterruptedDueToReplStateChange|PrimarySteppedDown|ShutdownInProgress|HostUnreachable|pool (?:is )?cleared",
    re.IGNORECASE,
)
_MOVED = re.compile(
    r"QueryPlanKilled|CursorNotFound|CursorKilled|SnapshotUnavailable|CappedPositionLost", re.IGNORECASE
)
_DUPLICATE = re.compile(r"E11000|duplicate key", re.IGNORECASE)
_ADVICE = (
    (re.compile(r"auth error|AuthenticationFailed|authentication failed", re.IGNORECASE),
     "Check USER, PASSWORD and AUTH_SOURCE, the database that the user was made in."),
    (re.compile(r"not authorized|Unauthorized|not allowed to do action", re.IGNORECASE),
     "The user lacks a right: a backup needs the role read (OPLOG: backup), a restore readWrite and dbAdmin."),
    (_DUPLICATE,
     "Documents that are there already are in the way: restore without --no-drop (DROP = True) to replace them."),
    (re.compile(r"oplog overflow", re.IGNORECASE),
     "The oplog is too small for the time that a dump takes: make it larger, or dump when less is written."),
    (re.compile(r"unknown option", re.IGNORECASE), "The tools may be too old: install a newer mongodb-database-tools."),
)  # fmt: skip


class ServerError(ConnectorError):
    """The server refused what was asked of it, or did not answer at all."""

    def __init__(self, message: str, *, gone: bool = False) -> None:
        super().__init__(message)
        self.gone = gone


def last_words(stderr: str) -> str:
    """Return the lines that say why a tool, or another program beside it, failed, without times and URIs."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    said = [_URI.sub("the server", _TIME.sub("", line)) for line in lines]
    told = [line for line in said if _TOLD.search(line) and not _NONE_FAILED.search(line)]
    reasons = [line for line in told if not _NO_READER.search(line)]
    others = [short for short, line in zip(said, lines, strict=True) if not _TIME.match(line)]
    return "\n".join(dict.fromkeys(reasons or others or told or said))


def advice(stderr: str, *, replaces: bool = False) -> str:
    """Return what to do about an error that is known; ``replaces`` is whether a restore drops what is there."""
    reason = _reason(stderr)
    if replaces and _DUPLICATE.search(reason):
        return "Somebody else may have written meanwhile: stop whatever uses the database, and restore again."
    return next((text for pattern, text in _ADVICE if pattern.search(reason)), "")


def failed_documents(stderr: str) -> int:
    """Return how many documents mongorestore says that it could not restore."""
    return sum(int(number) for number in _FAILED.findall(stderr))


def restored_documents(stderr: str) -> int | None:
    """Return how many documents mongorestore says that it has restored; None if it says nothing of that."""
    found = _RESTORED.findall(stderr)
    return int(found[-1]) if found else None


def is_transient(stderr: str) -> bool:
    """Return whether the same dump may succeed: a connection was lost, or a collection replaced under its reader."""
    reason = _reason(stderr)
    return not advice(stderr) and bool(_GONE.search(reason) or _MOVED.search(reason))


def is_gone(error: BaseException) -> bool:
    """Return whether the server did not answer."""
    if isinstance(error, ServerError):
        return error.gone
    return isinstance(error, CommandConnectorError) and bool(_GONE.search(_reason(error.stderr)))


def _reason(stderr: str) -> str:
    """Return the last words without what only looks like one of the known errors: names, and an end of our own."""
    return _NO_READER.sub("", _NAME.sub("", last_words(stderr)))
