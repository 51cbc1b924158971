"""One of each thing that PostgreSQL has comes back equal, whatever the database had in between."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable

import pytest

from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector
from dbbackup.streams import PeekableReader
from tests.db.postgresql.conftest import Database
from tests.db.postgresql.everything import (
    CHANGES,
    CONNECTORS,
    EVERYTHING,
    LEFTOVERS,
    OF_SUPERUSER,
    SERVERS,
    content,
    programs,
)
from tests.requirements import requires
from tests.servers.postgresql import Cluster

pytestmark = requires("postgresql")

both_connectors = pytest.mark.parametrize("connector", CONNECTORS)
both_servers = pytest.mark.parametrize("server", SERVERS)

Make = Callable[..., Database]


@pytest.fixture
def make(request: pytest.FixtureRequest, make_database: Callable[..., Database], server: str) -> Make:
    """Return what makes a database on the server of the test, of the owner or of the superuser."""
    cluster: Cluster = request.getfixturevalue(server)

    def make(script: str = "", *, superuser: bool = False) -> Database:
        role = cluster.admin if superuser else cluster.owner
        database = make_database(cluster=cluster, owner=role, **programs(cluster))
        database.psql(script, role)
        return database

    return make


def check_restored(database: Database, dump: bytes, connector: type, **settings: object) -> None:
    """Restore the way the commands do, with a preflight that has nothing to say."""
    restoring = database.connector(connector, **settings)
    reader = PeekableReader(io.BytesIO(dump))
    restoring.inspect_dump(reader)
    assert list(restoring.preflight_restore()) == []
    restoring.restore_dump(reader)


@both_servers
@both_connectors
def test_everything_comes_back_in_a_fresh_database(make, connector):
    source, target = make(EVERYTHING), make()
    check_restored(target, source.dump(connector), connector)
    assert content(target) == content(source)


@both_servers
@both_connectors
def test_everything_comes_back_over_what_has_changed_and_exactly_over_leftovers(make, connector):
    database = make(EVERYTHING)
    before, dump = content(database), database.dump(connector)
    database.psql(CHANGES)
    assert content(database) != before
    check_restored(database, dump, connector)
    assert content(database) == before
    database.psql(CHANGES + LEFTOVERS)
    database.restore(dump, connector, EXACT=True)
    assert content(database) == before


@both_servers
@both_connectors
def test_default_privileges_add_nothing_to_an_exact_restore(make, connector):
    database = make(
        "CREATE TABLE a (i int); CREATE SEQUENCE s; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO readonly;"
    )
    before, dump = content(database), database.dump(connector)
    database.psql("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
    database.psql("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO other")
    database.restore(dump, connector, EXACT=True)
    assert content(database) == before


@both_servers
@both_connectors
def test_what_a_superuser_makes_comes_back_in_a_fresh_database(make, connector):
    source, target = make(OF_SUPERUSER, superuser=True), make(superuser=True)
    check_restored(target, source.dump(connector), connector)
    assert content(target) == content(source)


@both_servers
@both_connectors
def test_what_a_superuser_makes_comes_back_over_itself(make, connector):
    database = make(OF_SUPERUSER, superuser=True)
    before, dump = content(database), database.dump(connector)
    for exact in (False, True):
        database.psql("UPDATE watched SET a = 'b'; DELETE FROM kept_from", database.cluster.admin)
        database.restore(dump, connector, EXACT=exact)
        assert content(database) == before, exact


@pytest.mark.parametrize(("maker", "restorer"), [CONNECTORS, CONNECTORS[::-1]])
@pytest.mark.parametrize("server", SERVERS[:1])
def test_each_connector_restores_the_dumps_of_the_other(make, maker, restorer):
    source, target = make(EVERYTHING), make()
    check_restored(target, source.dump(maker), restorer)
    assert content(target) == content(source)


@requires("postgresql:newer")
@both_connectors
def test_dump_goes_into_a_newer_server(make_database, newer_postgres, connector):
    source, target = make_database(), make_database(cluster=newer_postgres, **programs(newer_postgres))
    source.psql(EVERYTHING)
    check_restored(target, source.dump(connector), connector)
    # The newer server's pg_dump shows a schema in its own way, so rows alone can be compared.
    assert content(target)[1:] == content(source)[1:]


@both_servers
def test_archive_is_compressed_once(make):
    database = make("CREATE TABLE a (t text); INSERT INTO a SELECT 'marker' FROM generate_series(1, 1000)")
    alone, compressed = (database.connector() for _ in range(2))
    compressed.compresses_later = True
    with alone.create_dump() as one, compressed.create_dump() as other:
        small, large = one.read(), other.read()
    assert large.count(b"marker\n") == 1000
    assert small.count(b"marker\n") < 10
    assert (b"\x28\xb5\x2f\xfd" in small) is (database.cluster.version >= 17), "Zstandard where pg_dump has it"
    for dump in (small, large):
        database.psql("TRUNCATE a")
        database.restore(dump)
        assert database.psql("SELECT count(*) FROM a") == "1000"


@requires("age-keygen", "python:pyrage")
@pytest.mark.parametrize("connector", CONNECTORS)
def test_everything_comes_back_through_the_commands(store, make_database, tmp_path, connector):
    identity = tmp_path / "identity"
    made = subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True, text=True)
    store.settings.DBBACKUP_AGE_RECIPIENTS = [made.stderr.split()[-1]]
    store.settings.DBBACKUP_AGE_IDENTITY_FILE = str(identity)
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"CONNECTOR": f"{connector.__module__}.{connector.__name__}"}}
    database = make_database(alias="shop")
    database.psql(EVERYTHING)
    before = content(database)
    name = store.backup("-z", "zstd", "-e", "age")
    assert name.endswith(f".{connector.extension}.zst.age")
    assert store.run("verifybackups", "--json").status == 0
    database.psql(CHANGES)
    run = store.run("dbrestore", "--noinput", "--json")
    assert run.error == ""
    assert run.lines[-1]["warnings"] == []
    assert content(database) == before
    assert [*store.tmp.iterdir()] == []


def test_manifest_names_the_server_and_the_programs(store, make_database, postgres):
    make_database(alias="shop").psql("CREATE TABLE a (i int)")
    said = store.manifest(store.backup())
    server = postgres.psql("SHOW server_version")
    assert said["connector"] == "dbbackup.db.postgresql.PgDumpBinaryConnector"
    assert said["versions"]["server"] == server
    assert said["versions"]["tools"].keys() == {"pg_dump", "psql"}
    assert str(postgres.bin_dir / "pg_dump") in said["versions"]["tools"]["pg_dump"]
    assert server.split()[0] in said["versions"]["tools"]["pg_dump"]


def test_formats_have_their_own_endings():
    assert (PgDumpBinaryConnector.extension, PgDumpConnector.extension) == ("psql.bin", "psql")
