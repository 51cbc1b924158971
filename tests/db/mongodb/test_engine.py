"""The engines: how each writes its settings, and the official one for real, from migrate to dbrestore."""

from __future__ import annotations

import json
import sys
import time
from types import ModuleType
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connections
from django.db.backends.dummy.base import DatabaseWrapper

from dbbackup import db
from tests.db.mongodb.everything import fill
from tests.mongodb_engine import ENGINE
from tests.process import MongodbProject, manage
from tests.requirements import requires

CONNECTOR = "dbbackup.db.mongodb.MongoDumpConnector"
NOWHERE = {"USER": "", "PASSWORD": "", "HOST": "", "PORT": "", "OPTIONS": {}}

real = requires("mongodb", "python:django_mongodb_backend")


@pytest.mark.parametrize("engine", ["django_mongodb_engine", "djongo", "django_mongodb_backend"])
def test_connector_of_an_engine(engine):
    assert db.connector_path(engine) == CONNECTOR
    connector = db.get_connector("default", {"ENGINE": engine, "NAME": "a"})
    assert type(connector).__name__ == "MongoDumpConnector"
    assert connector.extension == "dump"


@pytest.fixture
def dummy(monkeypatch):
    """Return what makes an engine of a name, which never connects."""

    def make(name):
        package, base = ModuleType(name), ModuleType(f"{name}.base")
        package.__path__ = []
        vars(base)["DatabaseWrapper"] = DatabaseWrapper
        monkeypatch.setitem(sys.modules, name, package)
        monkeypatch.setitem(sys.modules, f"{name}.base", base)
        return name

    return make


def there_and_back(store, database):
    """Back up, change and restore."""
    fill(database, [{"insert": "thing", "documents": [{"_id": 1, "name": "nut"}]}, {"create": "empty"}])
    before = database.state()
    manifest = store.manifest(store.backup())
    assert (manifest["engine"], manifest["connector"]) == (database.settings["ENGINE"], CONNECTOR)
    fill(database, [{"drop": "thing"}, {"insert": "empty", "documents": [{"_id": 1}]}])
    run = store.run("dbrestore", "--noinput")
    assert (run.error, run.status) == ("", 0)
    assert database.state() == before


def userinfo(user):
    return f"{quote(user.name, safe='')}:{quote(user.password, safe='')}"


@requires("mongodb")
def test_djongo_has_its_own_form(store, make_database, mongodb, dummy):
    user = mongodb.owner
    login = {
        "username": user.name,
        "password": user.password,
        "authSource": user.source,
        "authMechanism": "SCRAM-SHA-256",
    }
    client = {"host": mongodb.host, "port": mongodb.port, **login}
    there_and_back(store, make_database(alias="shop", **{**NOWHERE, "ENGINE": dummy("djongo"), "CLIENT": client}))


@requires("mongodb")
def test_djongo_with_a_connection_string_as_its_host(store, make_database, mongodb, dummy):
    client = {"host": f"mongodb://{userinfo(mongodb.owner)}@{mongodb.host}:{mongodb.port}/?authSource=admin"}
    there_and_back(store, make_database(alias="shop", **{**NOWHERE, "ENGINE": dummy("djongo"), "CLIENT": client}))


@requires("mongodb")
def test_django_mongodb_engine_has_the_plain_form(store, make_database, dummy):
    there_and_back(store, make_database(alias="shop", ENGINE=dummy("django_mongodb_engine"), OPTIONS={}))


def through_django(store, database):
    """Have the real engine write and read as well, so that it takes the same settings."""
    connection: Any = connections["shop"]
    things = connection.get_database()["of_django"]
    things.insert_one({"_id": 1, "name": "bolt"})
    assert database.db["of_django"].count_documents({}) == 1
    there_and_back(store, database)
    assert [*things.find()] == [{"_id": 1, "name": "bolt"}]


@real
def test_official_engine_with_a_connection_string_as_host(store, make_database, mongodb):
    host = f"mongodb://{mongodb.host}:{mongodb.port}/?retryWrites=false"
    options = {"authSource": "admin", "tls": False, "appName": "a shop"}
    through_django(store, make_database(alias="shop", HOST=host, PORT="", OPTIONS=options))


@real
def test_official_engine_with_everything_but_the_name_in_the_connection_string(store, make_database, mongodb):
    host = f"mongodb://{userinfo(mongodb.owner)}@{mongodb.host}:{mongodb.port}/?authSource=admin"
    through_django(store, make_database(alias="shop", **{**NOWHERE, "HOST": host}))


@real
def test_official_engine_with_the_name_in_the_connection_string_alone(store, make_database, mongodb):
    host = f"mongodb://{userinfo(mongodb.owner)}@{mongodb.host}:{mongodb.port}/in-the-uri"
    database = make_database("in-the-uri", alias="shop", **{**NOWHERE, "HOST": f"{host}?authSource=admin", "NAME": ""})
    through_django(store, database)


@real
@pytest.mark.parametrize("options", [{"authSource": "accounts-ü"}, {}], ids=["options", "uri"])
def test_user_of_another_database(store, make_database, mongodb, options):
    user = mongodb.local
    source = "" if options else f"?authSource={quote(user.source)}"
    host = f"mongodb://{userinfo(user)}@{mongodb.host}:{mongodb.port}/{source}"
    through_django(store, make_database(alias="shop", **{**NOWHERE, "HOST": host, "OPTIONS": options}))


AUTH_SOURCES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "in the databases": ({"AUTH_SOURCE": "accounts-ü"}, {}),
    "in the connectors": ({}, {"AUTH_SOURCE": "accounts-ü"}),
    "the connectors go first": ({"AUTH_SOURCE": "admin"}, {"AUTH_SOURCE": "accounts-ü"}),
    "before the options": ({"AUTH_SOURCE": "accounts-ü", "OPTIONS": {"authSource": "admin"}}, {}),
}


@requires("mongodb")
@pytest.mark.parametrize("where", AUTH_SOURCES)
def test_authentication_database_is_taken_from_where_it_is_said(store, make_database, mongodb, where):
    settings, connector = AUTH_SOURCES[where]
    store.settings.DBBACKUP_CONNECTORS = {"shop": connector}
    there_and_back(store, make_database(alias="shop", user=mongodb.local, **{"OPTIONS": {}, **settings}))


@requires("mongodb")
def test_user_is_looked_for_in_admin_and_then_in_the_database_itself(store, make_database, mongodb):
    name, password = "its own: @user/", "p%41ss @&="
    database = make_database(alias="shop", USER=name, PASSWORD=password, OPTIONS={})
    database.db.command("createUser", name, pwd=password, roles=["readWrite", "dbAdmin"])
    there_and_back(store, database)


@requires("mongodb")
def test_user_whom_admin_knows_by_another_password_is_looked_for_in_the_database_too(store, make_database, mongodb):
    name = "of two databases"
    database = make_database(alias="shop", USER=name, PASSWORD="its own", OPTIONS={})
    database.db.command("createUser", name, pwd="its own", roles=["readWrite", "dbAdmin"])
    with mongodb.client() as client:
        client.admin.command("createUser", name, pwd="another", roles=[])
        try:
            there_and_back(store, database)
        finally:
            client.admin.command("dropUser", name)


@requires("mongodb")
def test_user_whom_nobody_knows_is_refused_with_both_databases_named(store, make_database):
    database = make_database(alias="shop", USER="nobody", PASSWORD="secret-%41", OPTIONS={})
    run = store.run("dbbackup")
    assert run.status == 1
    assert "authentication" in run.error
    assert f"admin or {database.name}" in run.error
    assert "secret" not in run.error + run.err
    assert store.stored() == []


MODEL = """
from django.db import models

class Thing(models.Model):
    name = models.CharField(max_length=50, unique=True)
    made = models.DateTimeField(null=True)
    parts = models.JSONField(default=list)
"""
MAKE = """
from datetime import UTC, datetime
from things.models import Thing
Thing.objects.create(name="nut ü", made=datetime(2020, 2, 29, 1, 2, 3, 4000, tzinfo=UTC), parts=[1, {"a": None}])
Thing.objects.create(name="bolt")
"""
CHANGE = """
from things.models import Thing
Thing.objects.filter(name="bolt").delete()
Thing.objects.update(parts=["changed"])
Thing.objects.create(name="washer")
"""
SHOW = """
from things.models import Thing
for thing in Thing.objects.order_by("name"): print(type(thing.pk).__name__, thing.name, thing.made, thing.parts)
"""


@pytest.fixture
def project(mongodb, mongo_tools, tmp_path):
    root = tmp_path / "it's a project"
    root.mkdir()
    project = MongodbProject(root, mongodb, "project-ü", mongo_tools)
    project.configure(
        f'DEFAULT_AUTO_FIELD = "{ENGINE}.fields.ObjectIdAutoField"',
        'INSTALLED_APPS += ["things"]',
    )
    yield project
    mongodb.drop_database(project.name)


def done(project, *args):
    run = manage(project, *args)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@real
@pytest.mark.slow
def test_project_from_migrate_to_dbrestore(project):
    app = project.root / "things"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "models.py").write_text(MODEL)
    done(project, "makemigrations", "things")
    done(project, "migrate")
    shown = done(project, "shell", "-c", MAKE + SHOW)
    before = project.state()
    assert [line.split()[:2] for line in shown.splitlines()[-2:]] == [["ObjectId", "bolt"], ["ObjectId", "nut"]]
    done(project, "dbbackup", "--compress", "zstd")
    (manifest,) = project.backups.glob("*.metadata")
    assert json.loads(manifest.read_text())["migrations"]["things"] == ["0001_initial"]
    assert done(project, "shell", "-c", CHANGE + SHOW) != shown
    assert project.state() != before
    done(project, "dbrestore", "--noinput")
    assert project.state() == before
    assert done(project, "shell", "-c", SHOW) == shown
    assert "No migrations to apply" in done(project, "migrate")
    assert [*project.tmp.iterdir()] == []


@real
def test_name_that_cannot_be_looked_up_ends_in_one_clear_line(project):
    (project.root / "things").mkdir()
    (project.root / "things" / "__init__.py").touch()
    project.configure(
        'DATABASES["default"].update(PORT="", PASSWORD="hush-%41 it", HOST="mongodb+srv://no-such-cluster.invalid/")'
    )
    started = time.monotonic()
    run = manage(project, "dbbackup")
    assert time.monotonic() - started < 15
    assert run.returncode == 1
    said = run.stdout + run.stderr
    assert "no-such-cluster.invalid" in said
    assert len(said.strip().splitlines()) <= 2, said
    assert "Traceback" not in said
    assert "hush" not in said
    assert [*project.backups.iterdir()] == []
