"""Dumps carried from one version of MariaDB to another, by the programs of either."""

from __future__ import annotations

import pytest

from tests.db.mysql.everything import CHANGES, EVERYTHING, fill, programs, state
from tests.requirements import requires
from tests.servers.programs import mariadb_bin, newer_mariadb_bin

pytestmark = requires("mariadb", "mariadb:newer")

DIRECTIONS = {"to-older": ("newer_mariadb", "mariadb"), "to-newer": ("mariadb", "newer_mariadb")}
BINS = {"older": mariadb_bin, "newer": newer_mariadb_bin}
# The default of 11.4, known to 10.11; named, and as the server chooses it.
SHOP = """
    CREATE TABLE plain (t varchar(50) PRIMARY KEY, c enum('ä', 'b'))
      DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_uca1400_ai_ci;
    INSERT INTO plain VALUES ('a 😀', 'ä'), ('Ä', 'b'); CREATE TABLE chosen (t text); INSERT INTO chosen VALUES ('é');
    CREATE VIEW v AS SELECT t FROM plain WHERE t > 'x' COLLATE utf8mb4_uca1400_as_cs;
    CREATE FUNCTION f(a text) RETURNS text RETURN CONCAT(a, '; ''😀');
    CREATE TRIGGER r BEFORE INSERT ON chosen FOR EACH ROW SET NEW.t = CONCAT(NEW.t, '!');
    CREATE SEQUENCE s START WITH 5 NOCACHE; SELECT NEXTVAL(s);
"""


@pytest.fixture
def make(request, make_database):
    def make(server, script="", **settings):
        database = make_database(server=request.getfixturevalue(server), **settings)
        fill(database, script)
        return database

    return make


def tools(which):
    """Return the settings that name the dump program and the client of a version."""
    folder = BINS[which]()
    assert folder is not None
    return {"DUMP_CMD": str(folder / "mariadb-dump"), "RESTORE_CMD": str(folder / "mariadb")}


@pytest.mark.parametrize("restoring", BINS)
@pytest.mark.parametrize("dumping", BINS)
@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_everything_goes_to_another_version_and_back(make, direction, dumping, restoring):
    source, target = make(direction[0], EVERYTHING), make(direction[1])
    before = state(source)
    target.restore(source.dump(**tools(dumping)), **tools(restoring))
    there = state(target)
    # How a statement is shown differs a little, the rows do not.
    assert there[1] == before[1]
    assert there[0].keys() == before[0].keys()
    fill(source, CHANGES)
    source.restore(target.dump(**tools(dumping)), **tools(restoring), EXACT=True)
    assert state(source) == before


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_newer_collation_is_known_to_both(make, request, direction):
    source, target = make(direction[0], SHOP), make(direction[1])
    own, theirs = (programs(request.getfixturevalue(server)) for server in direction)
    target.restore(source.dump(**own), **theirs)
    assert state(target)[1] == state(source)[1]
    assert "utf8mb4_uca1400_ai_ci" in target.sql("SHOW CREATE TABLE plain")
    assert target.sql("INSERT INTO chosen VALUES ('a'); SELECT t FROM chosen ORDER BY t") == "a!\né"
    assert target.sql("SELECT f('a'), NEXTVAL(s)") == source.sql("SELECT f('a'), NEXTVAL(s)")


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_exact_restore_and_safety_dump_by_the_other_versions_programs(make, direction):
    source, target = make(direction[0], SHOP), make(direction[1], SHOP)
    target.sql("CREATE TABLE leftover (i int); DELETE FROM plain")
    target.restore(source.dump(**tools("newer")), EXACT=True, **tools("older"))
    target.restore(source.dump(**tools("older")), EXACT=True, **tools("newer"))
    assert state(target)[1] == state(source)[1]


@pytest.mark.parametrize(
    ("server", "which", "said"), [("mariadb", "newer", "11.4."), ("newer_mariadb", "older", "10.11.")]
)
def test_manifest_names_the_server_and_the_programs(store, make, server, which, said):
    database = make(server, SHOP, alias="shop")
    store.settings.DBBACKUP_CONNECTORS = {"shop": tools(which)}
    before = state(database)
    manifest = store.manifest(store.backup("-z"))
    assert manifest["versions"]["server"] == database.server.sql("SELECT VERSION()")
    found = manifest["versions"]["tools"]
    assert found.keys() == {"mariadb-dump", "mariadb"}
    for name, version in found.items():
        assert version.startswith(said), name
        assert str(BINS[which]() / name) in version, name
    database.sql("DROP VIEW v; DELETE FROM plain")
    assert store.run("dbrestore", "--noinput").error == ""
    assert state(database) == before
