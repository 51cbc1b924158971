"""The databases of the project, each with its connector and its merged settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections

from dbbackup import db
from dbbackup.conf import get_settings
from dbbackup.db.base import BaseDBConnector
from dbbackup.exceptions import UsageError


def aliases(names: Sequence[str] | None = None) -> list[str]:
    """Return the aliases to work on: those named, else DBBACKUP_DATABASES, each once.

    Raise UsageError for an alias that DATABASES does not have.
    """
    wanted = list(dict.fromkeys(names or get_settings().databases))
    for alias in wanted:
        if alias not in connections:
            raise UsageError(f"There is no database {alias!r} in DATABASES (it has: {', '.join(connections)}).")
    return wanted


def merged_settings(alias: str) -> dict[str, Any]:
    """Return DATABASES[alias] overlaid with DBBACKUP_CONNECTORS[alias], as connectors take them."""
    settings = get_settings()
    return {
        **connections[alias].settings_dict,
        "TMP_DIR": settings.tmp_dir,
        "TMP_FILE_MAX_SIZE": settings.tmp_file_max_size,
        "LOCK_TIMEOUT": settings.lock_timeout,
        **settings.connectors.get(alias, {}),
    }


def connector(alias: str, path: str | None = None) -> BaseDBConnector:
    """Return the connector of a database, or the one at a dotted path that `is_known` accepted.

    Raise ConfigurationError for an unknown connector or an option that it does not have.
    """
    settings = get_settings()
    merged = merged_settings(alias)
    path = path or connector_path(alias)
    own = settings.connectors.get(alias, {})
    if path == connector_path(alias):
        db.connector_class(path).refuse_unknown_options(own, f"DBBACKUP_CONNECTORS[{alias!r}]")
    return db.get_connector(alias, {**merged, "CONNECTOR": path}, settings.connector_mapping)


def connector_path(alias: str) -> str:
    """Return the dotted path of the connector that the settings give to a database."""
    merged = merged_settings(alias)
    return str(merged.get("CONNECTOR") or db.connector_path(merged["ENGINE"], get_settings().connector_mapping))


def is_known(path: str) -> bool:
    """Return whether the package's own registry or the project's settings name this connector."""
    settings = get_settings()
    named = {str(options["CONNECTOR"]) for options in settings.connectors.values() if options.get("CONNECTOR")}
    return path in db.known_paths(settings.connector_mapping, named)


def same_family(engine: str, other: str) -> bool:
    """Return whether two engines hold the same kind of database (a wrapper and what it wraps, say)."""
    mapping = get_settings().connector_mapping
    families = {db.connector_path(name, mapping).rpartition(".")[0] for name in (engine, other)}
    return engine == other or (len(families) == 1 and db.DEFAULT_CONNECTOR.rpartition(".")[0] not in families)


def is_portable(path: str) -> bool:
    """Return whether what this connector writes can go into a database of any engine."""
    return path == db.DEFAULT_CONNECTOR
