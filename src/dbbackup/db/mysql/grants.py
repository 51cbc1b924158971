"""What an account may do, from the words of SHOW GRANTS."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

# A server may be told to quote only those names that need it.
_NAME = r"(?:`(?:[^`]|``)*`|[\w$]+|\*)"
_COLUMNS = r"\((?:`(?:[^`]|``)*`|[^`)])*\)"
_GRANT = re.compile(
    rf"(?P<verb>GRANT|REVOKE) (?P<rights>(?:[^(`]|{_COLUMNS})+?)"
    rf" ON (?P<where>{_NAME}\.{_NAME}) (?:TO|FROM) (?P<who>.*)",
    re.DOTALL,
)
_WHERE = re.compile(rf"({_NAME})\.({_NAME})", re.DOTALL)
_OF_COLUMNS = re.compile(rf"[^,(]*{_COLUMNS}")
# What follows an account in some versions: how it logs in, and what it may hand on.
_AFTER_ACCOUNT = re.compile(r" (?:IDENTIFIED|REQUIRE|WITH) ")
_ALL = {"ALL", "ALL PRIVILEGES"}


class Grants:
    """The rights of an account, its active roles' included, as far as they hold in one database."""

    def __init__(self, lines: Iterable[str], database: str) -> None:
        self._everywhere: set[str] = set()
        self._revoked: set[str] = set()
        self._system: set[str] = set()
        here: dict[str, list[tuple[str, set[str]]]] = {}
        for line in lines:
            if (found := _GRANT.match(line)) is None:
                continue
            # A right to some columns is none to the table.
            rights = {right.strip().upper() for right in _OF_COLUMNS.sub("", found["rights"]).split(",")}
            schema, table = _split(found["where"])
            if found["verb"] == "REVOKE":
                # MySQL 8 takes a database out of a right to all of them; its name is meant as it is.
                self._revoked |= rights if (schema, table) == (database, None) else set()
            elif schema is None:
                self._everywhere |= rights
            elif table is None and _pattern(schema).fullmatch(database):
                here.setdefault(_AFTER_ACCOUNT.split(found["who"])[0], []).append((schema, rights))
            elif schema == "mysql" and table in {None, "proc"}:
                self._system |= rights
        # Of several that fit, the server goes by the closest one alone, for the account and for each role.
        closest = [max(fitting, key=lambda grant: _closeness(grant[0], database))[1] for fitting in here.values()]
        self._database: set[str] = set().union(*closest)

    def here(self, *rights: str) -> bool:
        """Return whether the account has one of these rights on everything in the database."""
        left = {*rights} - self._revoked
        return bool(self._database & ({*rights} | _ALL)) or (bool(left) and self.everywhere(*left))

    def everywhere(self, *rights: str) -> bool:
        """Return whether the account has one of these rights on everything of the server."""
        return bool(self._everywhere & ({*rights} | _ALL))

    def sees_routines(self) -> bool:
        """Return whether no routine of the database is hidden from the account; its text may be."""
        # What mysql.proc says, the server shows; MySQL 8 goes by a SELECT on everything instead.
        return (
            self.here("EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE", "SHOW CREATE ROUTINE")
            or self.everywhere("SHOW_ROUTINE", "SELECT")
            or bool(self._system & ({"SELECT"} | _ALL))
        )


def _split(where: str) -> tuple[str | None, str | None]:
    """Return the database and the table; None stands for all of them."""
    found = _WHERE.fullmatch(where)
    assert found is not None
    schema, table = (
        part[1:-1].replace("``", "`") if part.startswith("`") else None if part == "*" else part
        for part in found.groups()
    )
    return schema, table


@lru_cache
def _pattern(schema: str) -> re.Pattern[str]:
    # In the name of a database, % and _ stand for any characters and one, unless a backslash goes before them.
    parts = re.findall(r"\\.|.", schema, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL | re.IGNORECASE)


def _closeness(schema: str, database: str) -> tuple[bool, int]:
    """Return how close a pattern is: in the same case, and with its first wildcard as late as can be."""
    same_case = re.fullmatch(_pattern(schema).pattern, database, re.DOTALL) is not None
    first = re.search(r"(?<!\\)(?:\\\\)*[%_]", schema)
    return same_case, first.start() if first else len(schema) + 1000
