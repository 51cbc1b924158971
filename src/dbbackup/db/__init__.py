"""Which connector serves which engine: the only file that knows all of them. Importing it imports none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dbbackup.exceptions import ConfigurationError

if TYPE_CHECKING:
    from dbbackup.db.base import BaseDBConnector

_SQLITE = "dbbackup.db.sqlite.SqliteBackupConnector"
_MYSQL = "dbbackup.db.mysql.MysqlDumpConnector"
_POSTGRESQL = "dbbackup.db.postgresql.PgDumpBinaryConnector"
_POSTGIS = "dbbackup.db.postgresql.PgDumpGisConnector"
_MONGODB = "dbbackup.db.mongodb.MongoDumpConnector"

DEFAULT_CONNECTOR = "dbbackup.db.django.DjangoConnector"
"""For every engine that has no connector of its own, Oracle among them."""

CONNECTORS: Mapping[str, str] = {
    "django.db.backends.sqlite3": _SQLITE,
    "django.contrib.gis.db.backends.spatialite": _SQLITE,
    "django_prometheus.db.backends.sqlite3": _SQLITE,
    "django_s3_sqlite": _SQLITE,
    "django.db.backends.mysql": _MYSQL,
    "django.contrib.gis.db.backends.mysql": _MYSQL,
    "django_prometheus.db.backends.mysql": _MYSQL,
    "dj_db_conn_pool.backends.mysql": _MYSQL,
    "django.db.backends.postgresql": _POSTGRESQL,
    "django.db.backends.postgresql_psycopg2": _POSTGRESQL,
    "django_prometheus.db.backends.postgresql": _POSTGRESQL,
    "django_tenants.postgresql_backend": _POSTGRESQL,
    "psqlextra.backend": _POSTGRESQL,
    "dj_db_conn_pool.backends.postgresql": _POSTGRESQL,
    "django.contrib.gis.db.backends.postgis": _POSTGIS,
    "django_prometheus.db.backends.postgis": _POSTGIS,
    "django_mongodb_engine": _MONGODB,
    "djongo": _MONGODB,
    "django_mongodb_backend": _MONGODB,
}

# Connectors that are in no row above, but may be asked for.
_OTHER_CONNECTORS = (
    DEFAULT_CONNECTOR,
    "dbbackup.db.sqlite.SqliteConnector",
    "dbbackup.db.sqlite.SqliteCPConnector",
    "dbbackup.db.postgresql.PgDumpConnector",
)


def connector_path(engine: str, mapping: Mapping[str, str] | None = None) -> str:
    """Return the dotted path of the connector for an engine; ``mapping`` goes before the table above."""
    return {**CONNECTORS, **(mapping or {})}.get(engine, DEFAULT_CONNECTOR)


def known_paths(mapping: Mapping[str, str] | None = None, extra: Iterable[str] = ()) -> set[str]:
    """Return the paths that may be imported: those of this package, of the mapping, and ``extra``."""
    return {*CONNECTORS.values(), *_OTHER_CONNECTORS, *(mapping or {}).values(), *extra}


def connector_class(path: str) -> type[BaseDBConnector]:
    """Import the connector at a dotted path; raise ConfigurationError if there is none."""
    from dbbackup.db.base import BaseDBConnector

    module_path, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module_path), name)
    except (ImportError, AttributeError, ValueError) as exc:
        raise ConfigurationError(f"There is no connector {path!r}: {exc}.") from exc
    if not (isinstance(found, type) and issubclass(found, BaseDBConnector)):
        raise ConfigurationError(f"{path} is not a connector: it does not build on BaseDBConnector.")
    return found


def get_connector(alias: str, settings: Mapping[str, Any], mapping: Mapping[str, str] | None = None) -> BaseDBConnector:
    """Return the connector of a database with these merged settings, whose CONNECTOR goes before its engine's."""
    path = settings.get("CONNECTOR") or connector_path(str(settings["ENGINE"]), mapping)
    return connector_class(str(path)).configured(alias, settings)
