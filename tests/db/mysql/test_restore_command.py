"""``manage.py dbrestore`` on MariaDB: where it goes, what it asks and says, exit statuses."""

from __future__ import annotations

import builtins
import sys

import pytest

from tests.db.mysql.altering import CHANGES, SHOP, left, restored
from tests.db.mysql.conftest import Database
from tests.requirements import requires
from tests.shop import Store

pytestmark = requires("mariadb")


@pytest.fixture
def database(make_database, store: Store) -> Database:
    database: Database = make_database(alias="shop")
    database.sql(SHOP)
    return database


def test_restore_says_what_it_did(database, store):
    before, name = database.state(), store.backup()
    database.sql("DELETE FROM purchase; UPDATE customer SET name = 'x'; DROP PROCEDURE shout")
    run = store.run("dbrestore", "--noinput", "--json")
    assert (run.status, run.error) == (0, "")
    assert run.lines[0]["name"] == name
    # What holds today, and no history.
    assert run.lines[0]["rows"] == {"customer": 3, "purchase": 3, "price": 2}
    assert run.lines[0]["warnings"] == []
    assert database.state() == before
    assert left(store) == []


def test_rows_of_large_tables_are_counted_and_not_estimated(database, store):
    database.sql("CREATE TABLE large (id int); INSERT INTO large SELECT seq FROM seq_1_to_12345")
    store.backup()
    run = store.run("dbrestore", "--noinput")
    assert "       12345  large" in run.out
    assert "12353 rows in 4 tables" in run.out


def test_backup_goes_into_another_database(database, make_database, store):
    other = make_database(alias="other")
    other.sql("CREATE TABLE customer (gone int)")
    name = store.backup()
    before = database.state()
    run = store.run("dbrestore", "-d", "other", "-i", name, "--noinput")
    assert (run.status, run.error) == (0, "")
    assert f"into database 'other' ({other.name})" in run.out + run.err
    assert "made from database 'shop' and goes into 'other'" in run.err
    assert database.state() == before
    assert other.dump() == database.dump().replace(database.name.encode(), other.name.encode())


def test_backup_goes_where_the_settings_of_its_alias_say(database, make_database, store):
    other = make_database()
    store.backup()
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"NAME": other.name}}
    before = database.state()
    database.sql("DELETE FROM purchase")
    emptied = database.state()
    assert store.run("dbrestore", "--noinput").status == 0
    assert database.state() == emptied
    assert other.server.digest(other.name) == before[1]


def test_programs_are_shown_when_asked(database, store):
    store.backup()
    version = ".".join(map(str, database.server.version))
    run = store.run("dbrestore", "--noinput", "-v", "2")
    assert f"mariadb {version}-MariaDB" in run.out + run.err
    assert f"mariadb-dump {version}-MariaDB" in run.out + run.err
    run = store.run("dbrestore", "--noinput")
    assert "mariadb-dump" not in run.out + run.err


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1), ("", 1)], ids=["yes", "no", "nothing"])
def test_question(database, store, monkeypatch, answer: str, status):
    store.backup()
    database.sql(CHANGES)
    before = database.state()
    asked: list[list[str]] = []

    def ask(_question: str) -> str:
        asked.append(left(store))
        return answer

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(builtins, "input", ask)
    run = store.run("dbrestore")
    # Nobody has dumped anything yet.
    [seen] = asked
    assert not [name for name in seen if "safety" in name]
    assert run.status == status
    assert (database.state() == before) is (status == 1)
    if status:
        assert run.error == "Restore cancelled; the database was not touched."


def test_no_terminal_to_ask_on(database, store, monkeypatch):
    store.backup()
    before = database.state()
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert store.run("dbrestore").status == 2
    assert database.state() == before


def test_protected_database(database, store):
    store.backup()
    store.settings.DBBACKUP_PROTECTED_DATABASES = ["shop"]
    before = database.state()
    run = store.run("dbrestore", "--noinput")
    assert run.status == 1
    assert database.state() == before
    assert store.run("dbrestore", "--noinput", "--allow-protected").status == 0


def test_flag_of_another_engine_is_refused_by_name(database, store):
    store.backup()
    before = database.state()
    for flags in (["--jobs", "2"], ["--schema", "public"], ["--role", "owner"], ["--no-drop"]):
        run = store.run("dbrestore", "--noinput", *flags)
        assert run.status in {1, 2}
        assert flags[0] in run.error
    assert database.state() == before


@pytest.mark.parametrize("flags", [["-z"], ["--compress", "zstd"], []], ids=["gzip", "zstd", "plain"])
def test_stored_in_any_way(database, store, flags):
    before, name = database.state(), store.backup(*flags)
    assert store.run("verifybackups", "-i", name).status == 0
    database.sql(CHANGES)
    assert store.run("dbrestore", "--noinput", "--exact").status == 0
    assert database.state() == before


def test_unverified_file_is_called_so(database, store):
    run = restored(store, database.dump())
    assert run.status == 0
    assert "it is unverified: there is no manifest to compare it with" in run.err


def test_dump_from_standard_input(database, store, monkeypatch, tmp_path):
    path = tmp_path / "dump"
    path.write_bytes(database.dump())
    before = database.state()
    database.sql("DELETE FROM purchase")
    with path.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert store.run("dbrestore", "-I", "-").status == 0
    assert database.state() == before
