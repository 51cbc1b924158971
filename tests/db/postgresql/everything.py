"""Databases with one of each thing that PostgreSQL has, and all that can be seen of one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector
from tests.db.postgresql.conftest import Database
from tests.requirements import requires
from tests.servers.postgresql import Cluster

CONNECTORS = [PgDumpBinaryConnector, PgDumpConnector]
SERVERS = [
    pytest.param("postgres", marks=requires("postgresql")),
    pytest.param("newer_postgres", marks=requires("postgresql:newer")),
]


def _script(name: str) -> str:
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")


EVERYTHING = _script("everything")
OF_SUPERUSER = _script("everything_of_superuser")
CHANGES = _script("changes")
"""What a restore that drops its own objects puts right."""
LEFTOVERS = _script("leftovers")
"""What only an exact restore puts right."""

# What neither a dump of the schema nor rows show.
_SEQUENCES = """SELECT format('SELECT %L, last_value, is_called FROM %I.%I', c.oid::regclass, nspname, relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'S' ORDER BY nspname, relname \\gexec"""
_LARGE_OBJECTS = """SELECT oid, lomowner::regrole, lomacl, md5(lo_get(oid)), obj_description(oid, 'pg_largeobject')
    FROM pg_largeobject_metadata ORDER BY oid"""


def content(database: Database) -> tuple[Any, ...]:
    """Return a database's state with sequences and large objects."""
    admin = database.cluster.admin
    return (*database.state(), database.psql(_SEQUENCES, admin), database.psql(_LARGE_OBJECTS, admin))


def programs(cluster: Cluster) -> dict[str, Any]:
    """Return the settings by which a cluster's own programs are found: the newer one's are in no usual place."""
    return {"ENV": {"PATH": os.pathsep.join([str(cluster.bin_dir), os.environ["PATH"]])}}
