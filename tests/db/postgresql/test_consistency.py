"""A dump beside a busy writer holds one moment of the database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector
from tests.requirements import requires

pytestmark = requires("postgresql")

# Between the two in the dump, so that a dump without a snapshot of its own would see them apart.
TABLES = """
    CREATE TABLE a_first (n int); INSERT INTO a_first VALUES (0);
    CREATE TABLE b_journal (n int PRIMARY KEY, t text);
    CREATE TABLE c_filler AS SELECT g, repeat(g::text, 50) FROM generate_series(1, 20000) g;
    CREATE TABLE d_last (n int); INSERT INTO d_last VALUES (0);
"""


class Writer(threading.Thread):
    """Counts in two tables and writes each number into a third, a transaction each."""

    def __init__(self, settings):
        super().__init__()
        self._stopped = threading.Event()
        self._changed = threading.Condition()
        self.count = 0
        login = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
        self._login = {key: settings[name] for key, name in login.items()}

    def run(self):
        with psycopg.connect(**self._login) as connection:
            while not self._stopped.is_set():
                with connection.transaction():
                    connection.execute("UPDATE a_first SET n = n + 1")
                    connection.execute("INSERT INTO b_journal SELECT n, 'x' FROM a_first")
                    connection.execute("UPDATE d_last SET n = n + 1")
                with self._changed:
                    self.count += 1
                    self._changed.notify_all()

    def wait_for(self, count):
        with self._changed:
            assert self._changed.wait_for(lambda: self.count >= count, timeout=30)

    def stop(self):
        self._stopped.set()
        self.join()


@contextmanager
def writing(settings) -> Iterator[Writer]:
    writer = Writer(settings)
    writer.start()
    try:
        writer.wait_for(1)
        yield writer
    finally:
        writer.stop()


def counters(database):
    """Return both counters, and how many numbers there are and the last of them."""
    said = database.psql(
        "SELECT a_first.n, d_last.n, count(b.n), max(b.n) FROM a_first, d_last, b_journal b GROUP BY 1, 2"
    )
    return [int(number) for number in said.split("|")]


@pytest.mark.parametrize("connector", [PgDumpBinaryConnector, PgDumpConnector])
def test_dump_beside_a_writer_holds_one_moment(database, make_database, connector):
    database.psql(TABLES)
    dumps = []
    with writing(database.settings) as writer:
        for _ in range(3):
            before = writer.count
            with database.connector(connector).create_dump() as dump:
                head = dump.read(1)
                # The snapshot is taken, and the writer goes on while the rest is read.
                writer.wait_for(writer.count + 20)
                dumps.append((before, head + dump.read(), writer.count))
    for before, dump, after in dumps:
        target = make_database()
        target.restore(dump, connector)
        first, last, numbers, highest = counters(target)
        assert first == last == numbers == highest
        assert before <= first <= after
    assert len({dump for _, dump, _ in dumps}) == 3


def test_backup_command_beside_a_writer(store, make_database):
    database = make_database(alias="shop")
    database.psql(TABLES)
    with writing(database.settings) as writer:
        name = store.backup("-z", "zstd")
        writer.wait_for(writer.count + 20)
        backed_up = writer.count
    assert store.run("dbrestore", "--noinput", "-i", name).error == ""
    first, last, numbers, highest = counters(database)
    assert first == last == numbers == highest
    assert 1 <= first < backed_up
