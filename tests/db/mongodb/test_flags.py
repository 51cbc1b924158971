"""What the commands' flags do with MongoDB; those of other databases are refused by name."""

from __future__ import annotations

import io
import shutil

import pytest
from django.core.management import load_command_class

from tests.db.mongodb.conftest import Database, MakeDatabase
from tests.requirements import requires
from tests.shop import Shop, Store

pytestmark = requires("mongodb")


@pytest.fixture
def filled(make_database: MakeDatabase, store: Store) -> Database:
    """Return a database under the alias of the store, with a backup."""
    database = make_database(alias="shop")
    database.db["thing"].insert_many([{"_id": 1, "name": "nut"}, {"_id": 2, "name": "Schräubchen"}])
    database.db["log.2026"].insert_one({"_id": 1})
    store.backup()
    return database


OTHERS = {
    "--schema=public": "--schema",
    "--jobs=2": "--jobs",
    "--role=other": "--role",
    "--pg-options=--no-comments": "--pg-options",
    "--terminate-connections": "--terminate-connections",
}


@pytest.mark.parametrize("flag", OTHERS)
def test_restore_refuses_what_is_of_postgresql(filled: Database, store: Store, flag: str):
    filled.db["thing"].delete_one({"_id": 1})
    before = filled.state()
    run = store.run("dbrestore", "--noinput", flag)
    assert run.status
    assert "MongoDumpConnector" in run.error
    assert OTHERS[flag] in run.error
    assert len(run.error.splitlines()) <= 3
    assert filled.state() == before


def test_backup_refuses_what_is_of_postgresql(filled: Database, store: Store):
    stored = store.stored()
    run = store.run("dbbackup", "--schema=public")
    assert run.status
    assert "MongoDumpConnector does not support --schema" in run.error
    assert store.stored() == stored


def test_allow_empty(make_database: MakeDatabase, store: Store):
    database = make_database(alias="shop")
    run = store.run("dbbackup")
    assert run.status == 1
    assert f"'{database.name}' on {database.server.host}:{database.server.port} has no collections" in run.error
    assert "--allow-empty" in run.error
    assert store.stored() == []
    store.backup("--allow-empty")
    database.db["newer"].insert_one({"_id": 1})
    run = store.run("dbrestore", "--noinput", "--exact")
    assert (run.status, run.error) == (0, "")
    assert database.state() == {}


def test_allow_empty_is_for_those_that_it_means(shop: Shop):
    """It must not keep the databases beside a MongoDB from being backed up."""
    assert shop.run("dbbackup", "--allow-empty").status == 0


def test_restore_of_everything_that_drops_nothing_is_refused(filled: Database, store: Store):
    before = filled.state()
    run = store.run("dbrestore", "--noinput", "--exact", "--no-drop")
    assert run.status == 1
    assert "--exact" in run.error
    assert "--no-drop" in run.error
    assert "Nothing was changed." in run.error
    assert filled.state() == before


def test_excluded_collections_are_left_out(filled: Database, store: Store):
    name = store.backup("--exclude-tables", "log.2026")
    assert store.manifest(name)["limits"] == {"exclude": ["log.2026"]}
    filled.db["log.2026"].insert_one({"_id": 2})
    filled.db["newer"].insert_one({"_id": 1})
    filled.db["thing"].delete_one({"_id": 1})
    run = store.run("dbrestore", "--noinput", "--exact", "-i", name)
    assert (run.status, run.error) == (0, "")
    assert {name: found["documents"][0] for name, found in filled.state().items()} == {"log.2026": 2, "thing": 2}


def test_quiet_says_nothing(filled: Database, store: Store):
    for args in (["dbbackup"], ["dbrestore"], ["verifybackups"]):
        run = store.run(*args, "--quiet", *(["--noinput"] if args == ["dbrestore"] else []))
        assert (run.status, run.out, run.err) == (0, "", "")


def test_quiet_keeps_errors(filled: Database, store: Store):
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"PASSWORD": "wrong"}}
    run = store.run("dbbackup", "--quiet")
    assert run.status == 1
    assert "authentication" in run.error


def test_more_words_name_the_tools(filled: Database, store: Store):
    backup, quiet = store.run("dbbackup", verbosity=2), store.run("dbbackup")
    restore = store.run("dbrestore", "--noinput", verbosity=2)
    dump_tool, restore_tool = (f"({shutil.which(name)})" for name in ("mongodump", "mongorestore"))
    assert [backup.status, quiet.status, restore.status] == [0, 0, 0]
    assert dump_tool in backup.err
    assert dump_tool in restore.err
    assert restore_tool in restore.err
    assert dump_tool not in quiet.out + quiet.err


@pytest.mark.parametrize(
    ("command", "flag"), [("dbbackup", "--allow-empty"), ("dbrestore", "--no-safety-dump"), ("dbbackup", "--schema")]
)
def test_help_says_which_databases_know_a_flag(command: str, flag: str):
    text = io.StringIO()
    load_command_class("dbbackup", command).create_parser("manage.py", command).print_help(text)
    said = " ".join(text.getvalue().split()).partition("options:")[2].partition(f" {flag}")[2][:250]
    assert ("MongoDB" in said.partition(" --")[0]) is (flag != "--schema")


def test_help_says_that_collections_are_left_out():
    text = io.StringIO()
    load_command_class("dbbackup", "dbbackup").create_parser("manage.py", "dbbackup").print_help(text)
    said = " ".join(text.getvalue().split()).partition("--exclude-tables EXCLUDE_TABLES ")[2].partition(" -")[0]
    assert "collections" in said.lower()
