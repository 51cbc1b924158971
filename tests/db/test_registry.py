"""Which connector serves which engine."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dbbackup import db
from dbbackup.db.base import BaseDBConnector
from dbbackup.db.sqlite import SqliteBackupConnector, SqliteConnector
from dbbackup.exceptions import ConfigurationError

SETTINGS = {"ENGINE": "django.db.backends.sqlite3", "NAME": "app.sqlite3"}


@pytest.mark.parametrize(
    ("engine", "name"),
    [
        ("django.db.backends.sqlite3", "sqlite.SqliteBackupConnector"),
        ("django.contrib.gis.db.backends.spatialite", "sqlite.SqliteBackupConnector"),
        ("django_prometheus.db.backends.mysql", "mysql.MysqlDumpConnector"),
        ("django.db.backends.postgresql", "postgresql.PgDumpBinaryConnector"),
        ("django_prometheus.db.backends.postgis", "postgresql.PgDumpGisConnector"),
        ("django_mongodb_backend", "mongodb.MongoDumpConnector"),
        ("django.db.backends.oracle", "django.DjangoConnector"),
    ],
)
def test_engine_has_its_connector(engine: str, name: str):
    assert db.connector_path(engine) == f"dbbackup.db.{name}"


def test_mapping_goes_before_the_table():
    mapping = {"django.db.backends.sqlite3": "dbbackup.db.sqlite.SqliteConnector", "other": "my.Connector"}
    assert db.connector_path("other", mapping) == "my.Connector"
    assert isinstance(db.get_connector("default", SETTINGS, mapping), SqliteConnector)
    assert isinstance(db.get_connector("default", SETTINGS), SqliteBackupConnector)


def test_setting_goes_before_the_mapping():
    settings = {**SETTINGS, "CONNECTOR": "dbbackup.db.sqlite.SqliteConnector", "EXTENSION": "sql"}
    connector = db.get_connector("default", settings, {SETTINGS["ENGINE"]: "dbbackup.db.sqlite.SqliteCPConnector"})
    assert type(connector) is SqliteConnector
    assert (connector.extension, connector.settings) == ("sql", settings)


def test_known_paths():
    known = db.known_paths({"e": "my.Mapped"}, ["my.Own"])
    assert {"my.Mapped", "my.Own", db.DEFAULT_CONNECTOR, "dbbackup.db.sqlite.SqliteCPConnector"} <= known
    assert "os.system" not in known


@pytest.mark.parametrize(
    "path", ["nowhere.Connector", "dbbackup.db.sqlite.Nothing", "plain", "", "dbbackup.db.nosuch.X"]
)
def test_connector_that_is_not_there_is_named(path: str):
    with pytest.raises(ConfigurationError, match="There is no connector"):
        db.connector_class(path)


def test_class_that_is_no_connector_is_refused():
    with pytest.raises(ConfigurationError, match="is not a connector"):
        db.connector_class("pathlib.Path")
    assert db.connector_class("dbbackup.db.base.BaseDBConnector") is BaseDBConnector


def test_registry_imports_no_connector():
    script = "import sys, dbbackup.db; print([name for name in sys.modules if name == 'dbbackup.db.sqlite'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
