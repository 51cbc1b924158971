"""MariaDB: databases on a server that runs for the measurement."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from tests.servers.mariadb import MariaDB, Role, running
from tests.servers.programs import mariadb_bin

from benchmarks.contenders import Places
from benchmarks.data import BATCH, DIRTY_ROWS, rows

USER = Role("bench", "bench")
SCHEMA = """
CREATE TABLE shop_order (
    id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, number char(32) NOT NULL UNIQUE, placed datetime(6) NOT NULL,
    customer varchar(60) NOT NULL, total decimal(9, 2) NOT NULL, weight double NOT NULL, paid bool NOT NULL,
    details json NOT NULL, note longtext NOT NULL, KEY placed (placed), KEY customer (customer)) ENGINE=InnoDB;
"""
# As on a server of this machine's size; a commit does not wait for the disk, which is not what is measured.
OPTIONS = ("--innodb-buffer-pool-size=2G", "--innodb-log-file-size=1G", "--innodb-flush-log-at-trx-commit=0")
INSERT = "INSERT INTO shop_order VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
SIZE = "SELECT SUM(data_length + index_length) FROM information_schema.tables WHERE table_schema = 'source'"


class Mariadb:
    """Databases of one server, reached over its socket, as the chains built by hand reach them."""

    connectors: Mapping[str, str] = {"sql": "dbbackup.db.mysql.MysqlDumpConnector"}

    def __init__(self, server: MariaDB, folder: Path) -> None:
        self._server = server
        self._login = folder / "login.cnf"
        self._login.touch(0o600)
        server.restart(*OPTIONS)
        server.sql(f"CREATE USER {USER.name} IDENTIFIED BY '{USER.password}'")
        self._login.write_text(
            f"[client]\nuser={USER.name}\npassword={USER.password}\nsocket={server.socket}\n", encoding="utf-8"
        )

    @property
    def version(self) -> str:
        """Return the version of the server and how it is set."""
        return f"MariaDB {self._server.sql('SELECT VERSION()')}, {' '.join(OPTIONS)}"

    def fill(self, size: int) -> None:
        """Make the source, and what the target is copied from."""
        self._server.create_database("source", USER)
        self._server.sql(SCHEMA, "source")
        found = rows(size)
        while int(float(self._server.sql(f"ANALYZE TABLE source.shop_order; {SIZE}").splitlines()[-1])) < size:
            self._insert("source", islice(found, BATCH))

    def reset(self) -> None:
        """Make the target anew."""
        self._server.drop_database("target")
        self._server.create_database("target", USER)
        self._server.sql(SCHEMA, "target")
        self._insert("target", islice(rows(0), DIRTY_ROWS))

    def settings(self, database: str) -> Mapping[str, Any]:
        """Return the entry of DATABASES."""
        return {**self._server.settings(database, USER), "HOST": str(self._server.socket)}

    def environment(self) -> Mapping[str, str]:
        """Return a PATH without anything of the user's own."""
        return {"PATH": "/usr/local/bin:/usr/bin:/bin"}

    def digest(self, database: str) -> str:
        """Return a hash of everything in a database, schema included."""
        made, content = self._server.state(database)
        # It has the name, in which the two differ.
        del made["DATABASE"]
        return repr((made, content))

    def by_hand(self, shape: str, codec: str, places: Places) -> tuple[str, str]:  # noqa: ARG002 - there is one shape
        """Return the shell lines of the backup and of the restore."""
        encode, decode = places.filters(codec)
        stored, login = shlex.quote(str(places.storage / "dump")), shlex.quote(f"--defaults-extra-file={self._login}")
        dump = f"mariadb-dump {login} --single-transaction --quick --routines --events --triggers --hex-blob"
        backup, restore = " | ".join([f"{dump} source", *encode]), " | ".join([*decode, f"mariadb {login} target"])
        return f"{backup} > {stored}", f"< {stored} {restore}"

    def _insert(self, database: str, found: Iterator[tuple[Any, ...]]) -> None:
        with closing(self._server.connect(database=database)) as connection, connection.cursor() as cursor:
            connection.autocommit(False)
            cursor.executemany(INSERT, list(found))
            connection.commit()


@contextmanager
def mariadb(folder: Path) -> Iterator[Mariadb]:
    """Give a server that lives as long as the block."""
    with running(mariadb_bin(), "mariadb") as server:
        yield Mariadb(server, folder)
