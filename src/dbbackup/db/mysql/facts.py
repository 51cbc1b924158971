"""What the server says of itself, of the account and of a database, in one round trip."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dbbackup.db.mysql.grants import Grants
from dbbackup.db.mysql.names import described, lock_name, quote_name, quote_text
from dbbackup.db.mysql.session import Session
from dbbackup.exceptions import ConfigurationError

# The first MariaDB that lists collations by the names that SHOW CREATE gives them.
_FULL_NAMES_SINCE = (10, 10)
_SHOW_CREATE_ROUTINE_SINCE = (11, 3)
_READ_ONLY_ADMIN_SINCE = (10, 11)
NO_LIMIT = 2**64 - 1
"""The sql_select_limit of a server that has none."""
_HERE = "_SCHEMA = DATABASE()"
_QUESTIONS = {
    "server": (
        "SELECT VERSION(), @@version_comment, CURRENT_USER(), @@max_allowed_packet, "
        "@@read_only OR @@innodb_read_only, @@lower_case_table_names, "
        "LEAST(@@GLOBAL.sql_select_limit, @dbbackup_row_limit), "
        "IS_USED_LOCK({lock}) IS NOT NULL, DATABASE()"
    ),
    "engine": "SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS = 'YES'",
    "table": (
        "SELECT TABLE_NAME, TABLE_TYPE, COALESCE(ENGINE, ''), COALESCE(TABLE_COMMENT, ''), "
        f"COALESCE(CREATE_TIME, ''), COALESCE(DATA_LENGTH, 0) FROM information_schema.TABLES WHERE TABLE{_HERE}"
    ),
    "view": f"SELECT TABLE_NAME, DEFINER, CHECK_OPTION FROM information_schema.VIEWS WHERE TABLE{_HERE}",
    "routine": (
        "SELECT ROUTINE_TYPE, ROUTINE_NAME, DEFINER, ROUTINE_DEFINITION IS NULL "
        f"FROM information_schema.ROUTINES WHERE ROUTINE{_HERE}"
    ),
    "trigger": (
        f"SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER{_HERE}"
    ),
    "event": (
        "SELECT EVENT_NAME, DEFINER, CONCAT_WS(' ', EVENT_NAME, EVENT_DEFINITION, EVENT_COMMENT) LIKE '%;;%' "
        f"FROM information_schema.EVENTS WHERE EVENT{_HERE}"
    ),
    "float": (
        f"SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE{_HERE} AND DATA_TYPE = 'float'"
    ),
    "reference": (
        "SELECT TABLE_NAME, REFERENCED_TABLE_NAME "
        f"FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT{_HERE}"
    ),
}


@dataclass(frozen=True)
class Table:
    """A table, view or sequence."""

    name: str
    kind: str
    """As information_schema has it: BASE TABLE, VIEW, SEQUENCE, SYSTEM VERSIONED."""
    engine: str
    comment: str
    made: str
    """When; empty where the server does not know."""
    size: int
    """Bytes of its rows, as the server estimates them."""


@dataclass(frozen=True)
class Facts:
    """What a database has, as far as the account sees it."""

    version: str
    comment: str
    account: str
    max_packet: int
    read_only: bool
    folds_names: bool
    """Whether two names that differ in case are one table's."""
    is_being_restored: bool
    row_limit: int
    """Rows after which the server ends every answer, those to the dump program's questions as well."""
    transactional: frozenset[str]
    tables: Mapping[str, Table]
    views: Mapping[str, str]
    """The definer of each."""
    checks_views: bool
    """Whether there is a view WITH CHECK OPTION."""
    routines: Mapping[tuple[str, str], str]
    """The definer of each, by kind and name."""
    hidden_routines: Sequence[tuple[str, str]]
    """Those whose text the account does not see."""
    triggers: Mapping[str, str]
    events: Mapping[str, str]
    endless_events: Sequence[str]
    """Those at whose text MariaDB's dump program does not end."""
    floats: Mapping[str, list[str]]
    """The single-precision columns of each table."""
    references: Sequence[tuple[str, str]]
    """Tables, each with one that a foreign key of it refers to."""
    grants: Grants = field(repr=False)

    @property
    def is_mariadb(self) -> bool:
        """Return whether the server is MariaDB; MySQL, Percona Server and others are not."""
        return is_mariadb(self.version, self.comment)

    @property
    def may_write(self) -> bool:
        """Return whether the account may write, even if the server is read only for others."""
        # MariaDB's SUPER has not had that right since 10.11; MySQL has given another one since 8.
        newer = self.is_mariadb and numbers(self.version) >= _READ_ONLY_ADMIN_SINCE
        others = () if newer else ("SUPER", "CONNECTION_ADMIN")
        return not self.read_only or self.grants.everywhere("READ_ONLY ADMIN", "READ ONLY ADMIN", *others)

    @property
    def knows_show_create_routine(self) -> bool:
        """Return whether the server has a right of its own for the texts of routines."""
        return self.is_mariadb and numbers(self.version) >= _SHOW_CREATE_ROUTINE_SINCE

    def kinds(self, *kinds: str) -> list[str]:
        """Return the names of the tables of these kinds."""
        return sorted(table.name for table in self.tables.values() if table.kind in kinds)

    @property
    def base_tables(self) -> list[str]:
        """Return the tables that hold rows."""
        return self.kinds("BASE TABLE", "SYSTEM VERSIONED")

    @property
    def size(self) -> int:
        """Return the bytes of all rows, as the server estimates them."""
        return sum(table.size for table in self.tables.values())

    @property
    def definers(self) -> dict[str, list[str]]:
        """Return the objects of each definer, described for people."""
        found: dict[str, list[str]] = {}
        objects = [
            *((definer, described("VIEW", name)) for name, definer in self.views.items()),
            *((definer, described(kind, name)) for (kind, name), definer in self.routines.items()),
            *((definer, described("TRIGGER", name)) for name, definer in self.triggers.items()),
            *((definer, described("EVENT", name)) for name, definer in self.events.items()),
        ]
        for definer, name in objects:
            found.setdefault(definer, []).append(name)
        return found

    @property
    def objects(self) -> set[tuple[str, str]]:
        """Return everything in the database, by kind and name."""
        return {
            *((table.kind, name) for name, table in self.tables.items()),
            *self.routines,
            *(("TRIGGER", name) for name in self.triggers),
            *(("EVENT", name) for name in self.events),
        }


def is_mariadb(version: str, comment: str = "") -> bool:
    """Return whether a server of this VERSION() is MariaDB."""
    return "mariadb" in f"{version} {comment}".lower()


def numbers(version: str) -> tuple[int, ...]:
    """Return a version as it compares: (10, 11, 19)."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def find_facts(session: Session) -> Facts:
    """Ask the server about everything that a dump or a restore depends on."""
    lock = quote_text(lock_name(session.login.database))
    questions = [
        sql.replace("SELECT ", f"SELECT '{tag}', ", 1).replace("{lock}", lock) for tag, sql in _QUESTIONS.items()
    ]
    said: dict[str, list[list[str]]] = {tag: [] for tag in _QUESTIONS}
    grants = []
    cipher = ""
    for row in session.ask(";\n".join([*questions, "SHOW SESSION STATUS LIKE 'Ssl_cipher'", "SHOW GRANTS"])):
        if row[0] in said and len(row) > 1:
            said[row[0]].append(row[1:])
        elif row[0] == "Ssl_cipher":
            cipher = row[1]
        else:
            grants.append("\t".join(row))
    if session.login.must_encrypt and not cipher:
        raise ConfigurationError("The settings ask for TLS, and the server has none: the connection is in the clear.")
    version, comment, account, packet, read_only, folds, limit, restoring, database = said["server"][0]
    floats: dict[str, list[str]] = {}
    for table, column in said["float"]:
        floats.setdefault(table, []).append(column)
    return Facts(
        version=version,
        comment=comment,
        account=account,
        max_packet=int(packet),
        read_only=read_only != "0",
        folds_names=folds != "0",
        is_being_restored=restoring == "1",
        row_limit=int(limit),
        transactional=frozenset(row[0] for row in said["engine"]),
        tables={
            name: Table(name, kind, engine, comment, made, int(size))
            for name, kind, engine, comment, made, size in said["table"]
        },
        views=_pairs(said["view"]),
        checks_views=any(option != "NONE" for _, _, option in said["view"]),
        routines={(kind, name): definer for kind, name, definer, _ in said["routine"]},
        hidden_routines=[(kind, name) for kind, name, _, hidden in said["routine"] if hidden == "1"],
        triggers={name: definer for name, _, definer in said["trigger"]},
        events=_pairs(said["event"]),
        endless_events=[name for name, _, endless in said["event"] if endless == "1" and is_mariadb(version, comment)],
        floats=floats,
        references=sorted({(table, referred) for table, referred in said["reference"]}),
        grants=Grants(grants, database),
    )


def known_collations(session: Session, facts: Facts) -> set[str]:
    """Return the collations that the server has, in lower case."""
    sql = "SELECT COLLATION_NAME FROM information_schema.COLLATIONS"
    if facts.is_mariadb and numbers(facts.version) >= _FULL_NAMES_SINCE:
        sql += ";\nSELECT FULL_COLLATION_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"
    return {row[0].lower() for row in session.ask(sql)}


def count_rows(session: Session, tables: Sequence[str], *, seconds: float) -> dict[str, int]:
    """Return the number of rows of each table."""
    counting = [f"SELECT COUNT(*) FROM {quote_name(table)}" for table in tables]
    found = session.ask(";\n".join(counting), seconds=seconds) if counting else []
    return {table: int(row[0]) for table, row in zip(tables, found, strict=True)}


def _pairs(found: Iterable[Sequence[str]]) -> dict[str, str]:
    return {row[0]: row[1] for row in found}
