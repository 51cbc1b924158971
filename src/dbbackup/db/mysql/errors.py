"""What the programs of MySQL and MariaDB say when they fail, and what to do about it."""

from __future__ import annotations

import re

from dbbackup.db.exceptions import CommandConnectorError, ConnectorError
from dbbackup.db.watching import NoAnswer

# The client and the dump programs name themselves; behind a pipe they only tell that nobody reads them any more.
_ERROR = re.compile(r"ERROR \d+|ERROR: |(?:\S*/)?(?:mysql|mariadb)(?:-?dump)?(?:\.exe)?: ")
# A warning says so where it begins; further on it is somebody's word or table.
_CONSEQUENCE = re.compile(
    r"(?:\S+: )?(?:\[?Warning\b|Deprecated program name)|.*(?:errno 32 on write$|Broken pipe\b)", re.IGNORECASE
)
# A statement that fails may be quoted between such lines, with rows in it.
_QUOTED = re.compile(r"^-{14}\n.*?^-{14}\n", re.MULTILINE | re.DOTALL)
# Any other number is in what is quoted: a value of a row, or a statement.
_NUMBER = re.compile(r"^(?:(?:\S+: )?(?:Got )?error:? (\d{4})\b|.*\((\d{4})\)$)", re.IGNORECASE | re.MULTILINE)

_GONE = frozenset({2002, 2003, 2005, 2006, 2013, 1053, 1927})
_LOCK_WAIT = 1205
_FULL = frozenset({1021, 1114})
_UNREACHABLE = "The server cannot be reached, or went away: see whether it runs, and HOST, PORT and its error log."
_LOCKED = "Somebody else holds a lock on a table: SHOW PROCESSLIST. DBBACKUP_LOCK_TIMEOUT says how long to wait."
# Under TLS the end of a connection has the number of every other error of TLS.
_CUT = re.compile(r"unexpected eof|connection reset|broken pipe|timed out|syscall", re.IGNORECASE)
_TLS = "The client and the server cannot agree on TLS: see OPTIONS['ssl'] and OPTIONS['ssl_mode'] in DATABASES."
_ADVICE = {
    1044: (
        "The account lacks a right to this database: SHOW GRANTS tells which it has. A backup takes SELECT, SHOW VIEW, "
        "TRIGGER and EVENT."
    ),
    1045: "See USER and PASSWORD of the database in DATABASES, or in DBBACKUP_CONNECTORS.",
    1049: "Create the database first: CREATE DATABASE.",
    1114: "The server has no room for the table: its disk, or the limit of a memory table, is full.",
    1021: "The disk of the server is full.",
    1153: "Raise max_allowed_packet of the server: a row is larger than that.",
    2020: "Raise max_allowed_packet of the server: a row is larger than that.",
    _LOCK_WAIT: _LOCKED,
    1227: (
        "An object of the dump has another DEFINER than this account: restore as that account or as one with SET USER "
        "(MariaDB) or SET_ANY_DEFINER (MySQL), or set STRIP_DEFINER in DBBACKUP_CONNECTORS."
    ),
    1235: "The server does not know a statement of the dump: see the versions of both servers.",
    1273: "The server does not know a collation of the dump: map it by COLLATIONS in DBBACKUP_CONNECTORS.",
    1356: "Repair or drop the view, or leave it out by EXCLUDE.",
    1412: "A table was altered, truncated or made anew while the dump ran.",
    1449: "The DEFINER of an object does not exist any more: create the account, or the object anew.",
    2026: _TLS,
    3159: _TLS,
    2059: (
        "The client lacks the plugin that the account logs in with: install the client programs of the server's own "
        "flavour, or give the account another way to log in."
    ),
    2061: "The account must log in over TLS: see OPTIONS['ssl'] and OPTIONS['ssl_mode'] in DATABASES.",
    3948: "LOAD DATA LOCAL is no part of a dump.",
}  # fmt: skip
# A table that another session alters, drops or makes anew between two looks; a connection that was cut.
_TRANSIENT = frozenset({1146, 1213, 1412, 2013})


def last_words(stderr: str) -> str:
    """Return the last error: what came before are warnings, what follows is a consequence."""
    lines = _QUOTED.sub("", stderr).splitlines()
    telling = [line for line in lines if not _CONSEQUENCE.match(line)]
    errors = [line for line in telling if _ERROR.match(line)]
    return "\n".join(errors[-1:] or telling or lines)


def advice(stderr: str) -> str:
    """Return what to do about an error that is known; empty for others."""
    words = last_words(stderr)
    if "insufficient privileges to SHOW CREATE" in words:
        return (
            "Only its DEFINER sees the text of a routine, or who has the right: GRANT SHOW CREATE ROUTINE (MariaDB "
            "11.3), SELECT ON mysql.proc (MariaDB before), SHOW_ROUTINE (MySQL 8)."
        )
    # It escapes these characters of the name as if that were a text.
    if re.search(r"database '.*\\.*when selecting the database", words, re.DOTALL):
        return (
            "mariadb-dump cannot dump events of a database that has a quote, a backslash or a line break in its name. "
            "Rename the database, or drop them."
        )
    if "errno 32 on write" in words:
        return "Nobody reads any more what the program writes: has a program of DUMP_SUFFIX ended?"
    number = _number(words)
    return _UNREACHABLE if number in _GONE else _ADVICE.get(number, "")


def is_transient(stderr: str) -> bool:
    """Return whether the same might succeed if tried again."""
    return _number(last_words(stderr)) in _TRANSIENT


def is_gone(error: BaseException) -> bool:
    """Return whether an error says that the server does not answer."""
    if not isinstance(error, ConnectorError):
        return False
    return isinstance(error, NoAnswer) or (
        isinstance(error, CommandConnectorError) and _number(last_words(error.stderr)) in _GONE
    )


def is_locked(error: BaseException) -> bool:
    """Return whether an error says that another session kept a lock for too long."""
    return isinstance(error, CommandConnectorError) and _number(last_words(error.stderr)) == _LOCK_WAIT


def is_full(error: BaseException) -> bool:
    """Return whether an error says that the server has no room."""
    return isinstance(error, CommandConnectorError) and _number(last_words(error.stderr)) in _FULL


def _number(words: str) -> int:
    found = [one or other for one, other in _NUMBER.findall(words)]
    number = int(found[-1]) if found else 0
    return 2013 if number == 2026 and _CUT.search(words) else number
