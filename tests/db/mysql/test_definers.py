"""Objects that belong to another account: refused, or given to the one that restores them."""

from __future__ import annotations

import pytest

from tests.db.mysql.altering import SHOP, UNTOUCHED, put_back, refused, restored, with_statement
from tests.db.mysql.conftest import Database
from tests.requirements import requires
from tests.shop import Store

pytestmark = requires("mariadb")

# Strings that look like what is to be stripped.
LOOKALIKES = """
INSERT INTO customer VALUES (4, 'CREATE DEFINER=`a`@`b` VIEW', NULL), (5, 'DEFINER=`owner`@`%`', NULL);
DELIMITER //
CREATE PROCEDURE quoted() BEGIN
  -- CREATE DEFINER=`a`@`b` VIEW
  SELECT 'CREATE DEFINER=`a`@`b` PROCEDURE', "/*!50017 DEFINER=`a`@`b`*/"; END //
CREATE TRIGGER quoting BEFORE UPDATE ON customer FOR EACH ROW SET @said = 'DEFINER=`a`@`b`' //
CREATE EVENT quoting ON SCHEDULE EVERY 1 YEAR STARTS '2038-01-01' DO SELECT 'DEFINER=`a`@`b`' //
DELIMITER ;
CREATE VIEW quoting AS SELECT 'DEFINER=`a`@`b`' AS text;
"""
DEFINERS = """
SELECT definer FROM information_schema.views WHERE table_schema = DATABASE()
UNION ALL SELECT definer FROM information_schema.routines WHERE routine_schema = DATABASE()
UNION ALL SELECT definer FROM information_schema.triggers WHERE trigger_schema = DATABASE()
UNION ALL SELECT definer FROM information_schema.events WHERE event_schema = DATABASE()
"""


@pytest.fixture
def database(make_database, store: Store) -> Database:
    """Return what the owner has made."""
    database: Database = make_database()
    database.sql(SHOP + LOOKALIKES)
    return database


@pytest.fixture
def target(make_database, mariadb, store: Store) -> Database:
    """Return the database of another account."""
    target: Database = make_database(alias="shop", owner=mariadb.other)
    return target


def definers(database: Database) -> set[str]:
    return set(database.sql(DEFINERS, database.server.admin).splitlines())


def test_another_definer_is_refused_by_name(database, target, store):
    error = refused(target, store, database.dump())
    assert "another DEFINER than other@%" in error
    assert "of `owner`@`%`" in error
    assert "STRIP_DEFINER" in error
    assert "SET USER" in error
    assert UNTOUCHED in error


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("CREATE VIEW v AS SELECT 1 AS one", "view `v`"),
        ("CREATE FUNCTION f() RETURNS int RETURN 1", "function `f`"),
        ("CREATE PROCEDURE p() SELECT 1", "procedure `p`"),
        ("CREATE TABLE t (id int); CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = 1", "trigger `tr`"),
        ("CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DO SELECT 1", "event `e`"),
    ],
    ids=["view", "function", "procedure", "trigger", "event"],
)
def test_object_of_another_definer_is_named(make_database, target, store, made, named):
    database = make_database()
    database.sql(made)
    error = refused(target, store, database.dump())
    assert f"{named} of `owner`@`%`" in error


def test_stripped_objects_belong_to_who_restores_them(database, target, store):
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"STRIP_DEFINER": True}}
    run = restored(store, database.dump())
    assert (run.status, run.error) == (0, "")
    assert definers(database) == {"owner@%"}
    assert definers(target) == {"other@%"}
    assert target.server.digest(target.name) == database.server.digest(database.name)
    made = target.server.dump(target.name)
    kept = database.server.dump(database.name).replace(database.name, target.name)
    assert made.replace("`other`@`%`", "`owner`@`%`") == kept
    # All but the comment, which the client has taken out.
    assert made.count("DEFINER=`a`@`b`") == LOOKALIKES.count("DEFINER=`a`@`b`") - 1


def test_failing_restore_that_strips_definers_is_put_back(database, target, store):
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"STRIP_DEFINER": True}}
    target.sql(SHOP.replace("Ann", "Anna"), target.server.other)
    put_back(target, store, with_statement(database.dump(), "INSERT INTO nowhere VALUES (1)"))


def test_owner_restores_without_stripping(database, store, make_database):
    target = make_database(alias="shop")
    assert restored(store, database.dump()).status == 0
    assert definers(target) == {"owner@%"}


def test_account_that_may_set_definers_restores_them(database, target, store):
    admin = target.server.admin
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"USER": admin.name, "PASSWORD": admin.password}}
    assert restored(store, database.dump()).status == 0
    assert definers(target) == {"owner@%"}


def test_granting_what_the_error_names_helps(database, target, store, request):
    dump = database.dump()
    assert "SET USER" in refused(target, store, dump)
    request.addfinalizer(lambda: target.server.sql("REVOKE SET USER ON *.* FROM other"))
    target.server.sql("GRANT SET USER ON *.* TO other")
    run = restored(store, dump)
    assert (run.status, run.error) == (0, "")
    assert definers(target) == {"owner@%"}
