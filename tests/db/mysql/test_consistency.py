"""A dump beside a busy writer holds one moment of the database, or there is none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from dbbackup.db.exceptions import ConnectorError
from tests.db.mysql.everything import fill, state
from tests.requirements import requires

pytestmark = requires("mariadb")

# Between the others in the dump, and larger than what pipes and sockets hold: the dump waits in it for its reader.
FILLER = "CREATE TABLE c_filler AS SELECT seq, REPEAT(MD5(seq), 60) AS t FROM seq_1_to_6000;"
COUNTERS = f"""
    CREATE TABLE a_number (n int PRIMARY KEY, t text); {FILLER}
    CREATE TABLE d_number (n int PRIMARY KEY, FOREIGN KEY (n) REFERENCES a_number (n));
"""


class Writer(threading.Thread):
    """Writes 1, 2, 3 and so on into two tables, a transaction each."""

    def __init__(self, database):
        super().__init__()
        self._stopped = threading.Event()
        self._changed = threading.Condition()
        self._database = database
        self.count = 0

    def run(self):
        server = self._database.server
        with closing(server.connect(server.owner, self._database.name, autocommit=False)) as connection:
            while not self._stopped.is_set():
                with connection.cursor() as cursor:
                    cursor.execute(f"INSERT INTO a_number VALUES ({self.count + 1}, 'x')")
                    cursor.execute(f"INSERT INTO d_number VALUES ({self.count + 1})")
                connection.commit()
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
def writing(database) -> Iterator[Writer]:
    writer = Writer(database)
    writer.start()
    try:
        writer.wait_for(1)
        yield writer
    finally:
        writer.stop()


def counted(database):
    """Return how many numbers both tables have, once they are found to be 1, 2, 3 and so on to the same end."""
    said = database.sql(
        "SELECT COUNT(*), MIN(n), MAX(n) FROM a_number; SELECT COUNT(*), MIN(n), MAX(n) FROM d_number"
    ).splitlines()
    count = int(said[0].split("\t")[0])
    assert said == [f"{count}\t1\t{count}"] * 2
    return count


def test_dump_beside_a_writer_holds_one_moment(database, make_database):
    fill(database, COUNTERS)
    dumps = []
    with writing(database) as writer:
        for _ in range(3):
            before = writer.count
            with closing(database.connector().create_dump()) as dump:
                head = dump.read(1)
                # The snapshot is taken, and the writer goes on while the rest is read.
                writer.wait_for(writer.count + 20)
                dumps.append((before, head + dump.read(), writer.count))
    for before, content, after in dumps:
        target = make_database()
        target.restore(content)
        assert before <= counted(target) < after


def test_backup_command_beside_a_writer(store, make_database):
    database = make_database(alias="shop")
    fill(database, COUNTERS)
    with writing(database) as writer:
        name = store.backup("-z", "zstd")
        writer.wait_for(writer.count + 20)
        backed_up = writer.count
    assert store.run("dbrestore", "--noinput", "-i", name).error == ""
    assert 1 <= counted(database) < backed_up


VICTIM = f"""
    {FILLER} CREATE TABLE z_victim (i int PRIMARY KEY, t text); INSERT INTO z_victim VALUES (1, 'a'), (2, 'b');
    CREATE TABLE z_other LIKE z_victim; INSERT INTO z_other VALUES (9, 'z');
    ALTER TABLE z_victim ADD INDEX old (t(3)); ALTER TABLE c_filler COMMENT = 'made before';
"""
MEANWHILE = {
    "truncate": "TRUNCATE z_victim",
    "alter": "ALTER TABLE z_victim ADD COLUMN n int",
    "rebuild": "ALTER TABLE z_victim FORCE",
    "swap": "RENAME TABLE z_victim TO z_old, z_other TO z_victim, z_old TO z_other",
    "replace": "DROP TABLE z_victim; CREATE TABLE z_victim (i int, t text); INSERT INTO z_victim VALUES (3, 'c')",
    "drop": "DROP TABLE z_victim",
}  # fmt: skip


@pytest.mark.parametrize("statement", MEANWHILE.values(), ids=MEANWHILE)
def test_table_that_is_another_meanwhile_fails_the_dump(database, statement):
    fill(database, VICTIM)
    # The server knows to the second when a table was made or renamed.
    database.sql("DO SLEEP(1.1)")
    with closing(database.connector().create_dump()) as dump:
        dump.read(1)
        database.sql(statement)
        with pytest.raises(ConnectorError, match="z_victim"):
            dump.read()


@pytest.mark.parametrize("statement", [MEANWHILE["swap"], MEANWHILE["truncate"]], ids=["swap", "truncate"])
def test_backup_is_made_again(store, make_database, statement):
    database = make_database(alias="shop")
    fill(database, VICTIM)
    database.sql("DO SLEEP(1.1)")
    found = threading.Event()

    def change():
        server = database.server
        sessions = "SELECT COUNT(*) FROM information_schema.processlist"
        seen = f"{sessions} WHERE db = '{database.name}' AND info LIKE '%c_filler%' AND user = 'owner'"
        with closing(server.connect()) as connection, connection.cursor() as cursor:
            for _ in range(100_000):
                cursor.execute(seen)
                if cursor.fetchone()[0]:
                    break
            found.set()
        database.sql(statement)

    thread = threading.Thread(target=change)
    thread.start()
    # Its reader is slow, so that the dump is in the filler for a while.
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"DUMP_SUFFIX": "| (head -c 1000; sleep 1; cat)"}}
    try:
        run = store.run("dbbackup", "--json")
    finally:
        thread.join()
    assert found.is_set()
    assert run.error == ""
    after = state(database)
    fill(database, "DROP TABLE z_victim")
    assert store.run("dbrestore", "--noinput").error == ""
    assert state(database) == after


def test_row_that_is_changed_meanwhile_is_in_the_dump_as_it_was(database, make_database):
    fill(database, VICTIM)
    before = state(database)
    with closing(database.connector().create_dump()) as dump:
        head = dump.read(1)
        database.sql("DELETE FROM z_victim; UPDATE z_other SET t = 'changed'")
        content = head + dump.read()
    target = make_database()
    target.restore(content)
    assert state(target) == before


def test_tables_that_cannot_be_read_in_a_transaction_are_warned_of_by_name(database):
    fill(
        database,
        "CREATE TABLE `my isam` (i int) ENGINE = MyISAM; CREATE TABLE aria (i int) ENGINE = Aria;"
        "CREATE TABLE mem (i int) ENGINE = MEMORY; CREATE TABLE inno (i int); CREATE VIEW v AS SELECT 1",
    )
    (warning,) = database.connector().preflight_dump()
    assert warning.startswith("`aria` (Aria), `mem` (MEMORY), `my isam` (MyISAM) cannot be read in a transaction")
    assert list(database.connector(EXCLUDE=["m*", "aria"]).preflight_dump()) == []
