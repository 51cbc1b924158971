"""What a restore finds in its way and gets past, and what it must not let through."""

from __future__ import annotations

import io

import pytest

from dbbackup.db.exceptions import CommandConnectorError, RestoreError
from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector
from dbbackup.db.postgresql.login import Login
from dbbackup.streams import PeekableReader
from tests.db.postgresql.formats import both_formats
from tests.requirements import requires

pytestmark = requires("postgresql")


class TarConnector(PgDumpBinaryConnector):
    """What a user of django-dbbackup may have written: another format, dumped and restored in its own way."""

    extension = "tar"
    # pg_restore leaves the zeros at the end of a tar file.
    restore_suffix = "&& cat > /dev/null"

    def _create_dump(self):
        return self.dump_stream(["pg_dump", "--format=tar", *self.where()], self.login())

    def _restore_dump(self, dump):
        self.restore_stream(["pg_restore", "--clean", "--if-exists", *self.where()], dump, self.login())

    def where(self):
        return Login.from_settings(self.settings).connection("old")

    def login(self):
        return {"PGPASSWORD": self.settings["PASSWORD"]}


THROUGH_A_PIPE = {"DUMP_SUFFIX": "| gzip", "RESTORE_PREFIX": "gzip -dc |"}


@both_formats
def test_schema_public_that_was_dropped_by_hand_is_made_again(database, cls):
    database.psql("CREATE TABLE a (id int); INSERT INTO a VALUES (1)")
    dump = database.dump(cls)
    before = database.cluster.digest(database.name)
    database.cluster.psql("DROP SCHEMA public CASCADE", database.name)
    database.restore(dump, cls)
    assert database.cluster.digest(database.name) == before


@both_formats
def test_dump_of_the_schema_public_makes_it_itself(database, cls):
    database.psql("CREATE TABLE a (id int); INSERT INTO a VALUES (1)")
    dump = database.dump(cls, SCHEMAS=["public"])
    before = database.cluster.digest(database.name)
    database.cluster.psql("DROP SCHEMA public CASCADE", database.name)
    database.restore(dump, cls)
    assert database.cluster.digest(database.name) == before


def test_schema_that_holds_newer_tables_stays_with_them(database):
    database.psql("CREATE SCHEMA blog; CREATE TABLE blog.post (id int); INSERT INTO blog.post VALUES (1)")
    dump = database.dump()
    database.psql("CREATE TABLE blog.later (id int); INSERT INTO blog.later VALUES (2); DELETE FROM blog.post")
    database.restore(dump)
    assert database.psql("SELECT * FROM blog.post UNION ALL SELECT * FROM blog.later") == "1\n2"


@both_formats
@pytest.mark.parametrize("option", [{}, {"EXACT": True}], ids=["", "exact"])
def test_dump_behind_a_pipe_of_the_users_comes_back_like_any_other(database, cls, option):
    database.psql("CREATE TABLE a (id int); INSERT INTO a VALUES (1)")
    dump = database.dump(cls, **THROUGH_A_PIPE)
    before = database.state()
    database.connector(cls, **THROUGH_A_PIPE).verify_dump(io.BytesIO(dump))
    database.psql("DELETE FROM a; CREATE TABLE b (id int)" if option else "DELETE FROM a")
    database.restore(dump, cls, **THROUGH_A_PIPE, **option)
    assert database.state() == before


@both_formats
def test_pipe_of_the_users_that_breaks_restores_nothing(database, cls):
    database.psql("CREATE TABLE a (t text); INSERT INTO a SELECT md5(i::text) FROM generate_series(1, 50000) i")
    dump = database.dump(cls, **THROUGH_A_PIPE)
    database.psql("DELETE FROM a")
    before = database.state()
    for broken in ("(gzip -dc | head -c 400000; exit 1) |", "(gzip -dc | head -c 400000) |"):
        with pytest.raises((CommandConnectorError, RestoreError)):
            database.restore(dump, cls, **{**THROUGH_A_PIPE, "RESTORE_PREFIX": broken})
        assert database.state() == before


def test_dump_that_nothing_changes_back_is_an_error_that_says_so(database):
    database.psql("CREATE TABLE a (id int)")
    dump = database.dump(DUMP_SUFFIX="| gzip")
    with pytest.raises(RestoreError, match="DUMP_SUFFIX has changed it"):
        database.restore(dump, DUMP_SUFFIX="| gzip")


@pytest.mark.parametrize("options", ["-t pub", "-n nosuch", "--schema-only", "--section=pre-data", "-a"])
def test_exact_with_options_that_take_a_part_is_refused(database, options):
    database.psql("CREATE TABLE a (id int); INSERT INTO a VALUES (1); CREATE TABLE pub (id int)")
    dump = database.dump()
    before = database.state()
    with pytest.raises(RestoreError, match="takes a part of the backup"):
        database.restore(dump, EXACT=True, PG_OPTIONS=options)
    assert database.state() == before


@pytest.mark.parametrize("options", ["-t nosuch", "-n nosuch"])
def test_options_that_choose_nothing_are_an_error(database, options):
    database.psql("CREATE TABLE a (id int); INSERT INTO a VALUES (1)")
    dump = database.dump()
    with pytest.raises(CommandConnectorError, match="not found"):
        database.restore(dump, PG_OPTIONS=options)


@both_formats
def test_exact_restore_of_some_schemas_leaves_the_others(make_database, store, cls):
    database = make_database(alias="shop")
    database.psql("CREATE SCHEMA s1; CREATE TABLE s1.a (id int); CREATE SCHEMA s2; CREATE TABLE s2.b (id int)")
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"CONNECTOR": f"dbbackup.db.postgresql.{cls.__name__}"}}
    assert store.manifest(store.backup("--schema", "s1"))["limits"] == {"schemas": ["s1"]}
    before = database.state()
    database.psql("CREATE TABLE s1.later (id int); INSERT INTO s1.a VALUES (1)")
    assert store.run("dbrestore", "--noinput", "--exact").status == 0
    assert database.state() == before


def test_other_roles_find_their_way_into_a_schema_public_that_was_gone(database):
    readonly = database.cluster.readonly
    database.psql("CREATE TABLE a (id int); INSERT INTO a VALUES (1); GRANT SELECT ON a TO readonly")
    dump = database.dump()
    database.cluster.psql("DROP SCHEMA public CASCADE", database.name)
    database.restore(dump)
    assert database.psql("SELECT * FROM a", readonly) == "1"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("\\! touch {stolen}", RestoreError),
        ("\\connect postgres", RestoreError),
        ("\\copy a from program 'touch {stolen}'", RestoreError),
        # In the middle of a statement psql looks for commands too.
        ("SELECT 1 \\! touch {stolen}\n;", CommandConnectorError),
        ("SELECT 1 \\g |touch {stolen}\n;", CommandConnectorError),
        ("COMMIT;SELECT 1/0;", CommandConnectorError),
        ("commit;SELECT 1/0;", RestoreError),
        ("COMMIT AND CHAIN;SELECT 1/0;", RestoreError),
        ("END;SELECT 1/0;", RestoreError),
    ],
)
def test_commands_in_a_dump_are_not_run(database, tmp_path, line, error):
    database.psql("CREATE TABLE a (id int); INSERT INTO a VALUES (1)")
    before = database.state()
    head, mark, tail = database.dump(PgDumpConnector).partition(b"--\n-- PostgreSQL database dump complete")
    stolen = tmp_path / "stolen"
    with pytest.raises(error):
        database.restore(head + line.format(stolen=stolen).encode() + b"\n" + mark + tail, PgDumpConnector)
    assert not stolen.exists()
    assert database.state() == before


def test_connector_that_overrides_both_directions_keeps_its_format(database):
    database.psql("CREATE TABLE a (id int); INSERT INTO a VALUES (1)")
    dump = database.dump(TarConnector)
    database.connector(TarConnector).verify_dump(io.BytesIO(dump))
    database.psql("DELETE FROM a")
    connector = database.connector(TarConnector)
    connector.inspect_dump(PeekableReader(io.BytesIO(dump)))
    connector.preflight_restore()
    connector.restore_dump(io.BytesIO(dump))
    assert database.psql("SELECT * FROM a") == "1"
