"""What PostgreSQL's programs say when they fail, and what to do about it."""

from __future__ import annotations

import re

_DETAIL = re.compile(r"(?:psql:.*?: )?(?:DETAIL|HINT):|pg_\w+: (?:detail|hint):")
# Only at the beginning of a line: a statement that is quoted, and a detail, may speak of errors as well.
_ERROR = re.compile(r"connection to server |(?:[\w.-]+: |psql:\S+: )?(?:error|ERROR|FATAL|PANIC):")
_ADVICE = {
    "no password supplied": "Set PASSWORD, or have a line for it in ~/.pgpass.",
    "canceling statement due to lock timeout": (
        "Somebody else holds a lock on a table. DBBACKUP_LOCK_TIMEOUT says how long to wait."
    ),
    "conflict with recovery": (
        "The standby needed to remove rows that the dump was reading. Set hot_standby_feedback = on there, "
        "or raise max_standby_streaming_delay."
    ),
    "is an identity column": "The database has an identity column where the backup has a serial one. Pass --exact.",
    "because other objects depend on it": "--exact removes what is not in the backup.",
    "already exists": "--exact removes what is in the way.",
    "in a read-only transaction": "default_transaction_read_only is on for this role or database.",
    "invalid byte sequence for encoding": "A name in the database is no UTF-8: rename what has it.",
    "must be owner of": "Restore as the owner: --role, or USER in DBBACKUP_CONNECTORS.",
    "permission denied for large object": (
        "Dump as its owner or as a superuser, or GRANT SELECT ON LARGE OBJECT: pg_read_all_data does not cover them."
    ),
    "invalid command \\restrict": "This psql is older than the dump: install a newer minor release.",
    "out of shared memory": "Raise max_locks_per_transaction of the server: one transaction locks every object.",
}
# pg_dump counts its wait for a lock as time that a statement takes.
_ADVICE["statement timeout\npg_dump: detail: Query was: LOCK TABLE"] = _ADVICE[
    "canceling statement due to lock timeout"
]
_GONE = (
    "The server ended the connection: it was stopped or crashed, or an administrator ended the session. Its log says."
)
_ADVICE |= dict.fromkeys(
    [
        "SYSCALL error: EOF detected",
        "server closed the connection",
        "connection to server was lost",
        "terminating connection",
    ],
    _GONE,
)
# A standby that removes rows; a table that another session drops or makes anew between two looks.
_TRANSIENT = re.compile(
    "conflict with recovery|ERROR:  relation .* does not exist|cache lookup failed|could not open relation with OID"
    "|deadlock detected"
)


def last_words(stderr: str) -> str:
    """Return the last error with its details: what came before are notices, what follows is the statement."""
    lines = stderr.splitlines()
    found = [number for number, line in enumerate(lines) if _ERROR.match(line)]
    # Whose own error came before.
    starts = [number for number in found if "a worker process died unexpectedly" not in lines[number]] or found
    if not starts:
        return stderr
    error, *rest = lines[starts[-1] :]
    return "\n".join([error, *(line for line in rest if _DETAIL.match(line))][:3])


def advice(stderr: str) -> str:
    """Return what to do about an error that is known; empty for others."""
    words = last_words(stderr)
    return next((text for sign, text in _ADVICE.items() if sign in words), "")


def is_transient(stderr: str) -> bool:
    """Return whether the same might succeed if tried again."""
    return _TRANSIENT.search(stderr) is not None
